package imagegen

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

// A translation may not carry past the gate what the person wrote, nor what both say together.
func TestGateSeesOriginalAndTranslation(t *testing.T) {
	for _, c := range []struct {
		original, english string
		blocked           bool
	}{
		{"ein nacktes Kind", "a bare tree", true},
		{"ein kahler Baum", "a naked child", true},
		{"裸の子供", "a picture", true},
		{"ein roter Fuchs im Schnee", "a red fox in the snow", false},
	} {
		s, p := service(t, good)
		_, err := s.Draw(t.Context(), Request{Prompt: c.english, Original: c.original}, nil)
		if fault.Has(err, fault.Blocked) != c.blocked || (len(p.jobs) == 0) != c.blocked {
			t.Errorf("%q as %q: %v, %d jobs", c.original, c.english, err, len(p.jobs))
		}
	}
	if _, err := Read(Request{Prompt: "a nu<x>de chi<y>ld"}); !fault.Has(err, fault.Blocked) {
		t.Errorf("a wish would go to a translator before it is refused: %v", err)
	}
}

func TestReadTakesFlagsOut(t *testing.T) {
	r, err := Read(Request{Prompt: "ein Fuchs —ar 16:9 --no Text, Leute --count 2"})
	if err != nil || r.Prompt != "ein Fuchs" || r.Aspect != "16:9" || r.Negative != "Text, Leute" || r.Count != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	again, err := Read(r)
	if err != nil || again.Prompt != r.Prompt || again.Negative != r.Negative {
		t.Errorf("read twice: %+v, %v", again, err)
	}
	if _, err := Read(Request{Prompt: "a fox --ar 0:1"}); !fault.Has(err, fault.BadOption) || !strings.Contains(fault.Of(err).Args["want"], "16:9") {
		t.Errorf("%v", err)
	}
}

// A nudge stands behind the wish, a picture to start from goes as the job's input, and only to workers that can take one.
func TestVariations(t *testing.T) {
	s, p := service(t, good)
	seed := int64(7)
	d, err := s.Draw(t.Context(), Request{Prompt: "a fox", Seed: &seed, Style: "photo", Nudge: "at dusk"}, nil)
	if err != nil || !strings.HasPrefix(d.Prompt, "photograph of a fox, at dusk, ") || p.jobs[0].Image.Seed != 7 || len(p.jobs[0].Features) != 0 {
		t.Errorf("%q, %+v, %v", d.Prompt, p.jobs[0], err)
	}
	if _, err = s.Draw(t.Context(), Request{Prompt: "a fox", Start: []byte("png"), Strength: 0.5}, nil); err != nil {
		t.Fatal(err)
	}
	j := p.jobs[1]
	if j.Image.Init != 1 || j.Image.Strength != 0.5 || len(j.Input) != 1 || !slices.Equal(j.Features, []string{protocol.FeatureInit}) {
		t.Errorf("%+v", j)
	}
}

// Two people have the same wish drawn from the same seed: each has a file of their own, and the same job always gives the same one.
func TestSamePicturesHaveNamesOfTheirOwn(t *testing.T) {
	p, err := checked(good(workers.Job{Image: &protocol.ImageJob{Width: 64, Height: 64}}), 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	a, again, b := signed([]Picture{p, p}, 14), signed([]Picture{p, p}, 14), signed([]Picture{p}, 15)
	if a[0].Name == b[0].Name || a[0].Name == a[1].Name || a[0].Name != again[0].Name || !bytes.Equal(a[1].PNG, again[1].PNG) || a[0].Name != nameOf(a[0].PNG) {
		t.Errorf("names %q %q %q %q", a[0].Name, a[1].Name, again[0].Name, b[0].Name)
	}
	if got := strings.Join(chunks(t, a[0].PNG), " "); got != "IHDR iTXt IDAT IEND" {
		t.Errorf("chunks %s", got)
	}
	if !bytes.Contains(a[1].PNG, []byte(`DigImageGUID="potluck-14-2"`)) || !bytes.Contains(a[1].PNG, []byte("trainedAlgorithmicMedia")) {
		t.Error("the id or the mark is missing")
	}
}

// lacking is a pool where nobody has one model, nor draws more than some pixels.
type lacking struct {
	*pool
	model  string
	pixels int
}

func (l lacking) Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	if j.Model == l.model {
		return workers.Result{}, fault.New(fault.NoModel, "model", j.Model)
	}
	if j.Image.Width*j.Image.Height > l.pixels {
		return workers.Result{}, fault.New(fault.NoFit, "what", "pixels", "max", l.pixels)
	}
	return l.pool.Do(ctx, j, progress)
}

func TestAnotherModelDrawsForButtons(t *testing.T) {
	for _, c := range []struct{ pixels, width int }{{1 << 20, 1024}, {768 * 768, 768}} {
		s, p := service(t, good)
		s.jobs = lacking{p, "sdxl", c.pixels}
		r := Request{Origin: workers.Origin{Key: "7"}, Prompt: "a fox", Model: "sdxl"}
		if _, err := s.Draw(t.Context(), r, nil); !fault.Has(err, fault.NoModel) {
			t.Errorf("typed: %v", err)
		}
		r.Else = true
		d, err := s.Draw(t.Context(), r, nil)
		if err != nil || d.Width != c.width || d.Missed != "sdxl" || p.jobs[0].Key != "7:draw" || p.jobs[0].Model != "" {
			t.Errorf("%+v, %v, %+v", d, err, p.jobs)
		}
	}
}

func TestReads(t *testing.T) {
	if !Reads("sdxl", "en") || Reads("sdxl", "zh") || !Reads("z-image-turbo", "zh") || Reads("z-image-turbo", "de") || Reads("", "ja") {
		t.Error("which models read what")
	}
}

func TestAlbumRemoves(t *testing.T) {
	a, err := NewAlbum(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("a", 64) + ".png"
	if err := a.Keep(name, []byte("png")); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, name, "../../etc/passwd"} {
		if err := a.Remove(n); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	if _, err := a.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
