package imagegen

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"potluck/fault"
	"potluck/workers"
)

// pool gives each job to its painters in turn until Check takes a result, as the real pool does.
type pool struct {
	folder   string
	painters []func(workers.Job) []byte
	preview  []byte
	jobs     []workers.Job
	refused  []error
}

func (p *pool) Do(_ context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	p.jobs = append(p.jobs, j)
	for attempt, paint := range p.painters {
		if progress != nil {
			progress(workers.Event{Kind: workers.Preview, Preview: p.preview})
		}
		var r workers.Result
		for k := range j.Image.Count {
			path := filepath.Join(p.folder, fmt.Sprintf("%d-%d", attempt, k))
			if err := os.WriteFile(path, paint(j), 0o600); err != nil {
				return r, err
			}
			r.Blobs = append(r.Blobs, path)
		}
		if err := j.Check(r); err != nil {
			p.refused = append(p.refused, err)
			continue
		}
		return r, nil
	}
	return workers.Result{}, fault.New(fault.BadResult, "kind", "image")
}

func good(j workers.Job) []byte { return asPNG(painted(j.Image.Width, j.Image.Height)) }

func service(t *testing.T, painters ...func(workers.Job) []byte) (*Service, *pool) {
	p := &pool{folder: t.TempDir(), painters: painters}
	return New(Config{Jobs: p}), p
}

func TestBadPicturesAreDrawnElsewhere(t *testing.T) {
	s, p := service(t,
		func(j workers.Job) []byte { return asPNG(flat(j.Image.Width, j.Image.Height, color.Black)) },
		func(j workers.Job) []byte { return asPNG(painted(64, 64)) },
		func(workers.Job) []byte { return []byte("out of memory") },
		good)
	d, err := s.Draw(t.Context(), Request{Origin: workers.Origin{Key: "7"}, Prompt: "a fox", Count: 2}, nil)
	if err != nil || len(d.Pictures) != 2 || len(p.refused) != 3 {
		t.Fatalf("%d pictures, %v, refused %v", len(d.Pictures), err, p.refused)
	}
	j := p.jobs[0]
	if j.Key != "7:draw" || j.Work.Pixels != 2*768*768 || j.Work.Steps != j.Image.Steps || j.Wait <= 0 || d.Width != 768 || d.Seed != j.Image.Seed {
		t.Errorf("job %+v, %+v", j, j.Image)
	}
	if !strings.Contains(j.Image.Negative, "nsfw") {
		t.Errorf("negative %q", j.Image.Negative)
	}
}

func TestOnlyBadPicturesIsAFault(t *testing.T) {
	s, _ := service(t, func(workers.Job) []byte { return []byte("no") })
	if _, err := s.Draw(t.Context(), Request{Prompt: "a fox"}, nil); !fault.Has(err, fault.BadResult) {
		t.Error(err)
	}
}

func TestSeedComesFromTheKey(t *testing.T) {
	s, p := service(t, good)
	for _, key := range []string{"1", "1", "2"} {
		if _, err := s.Draw(t.Context(), Request{Origin: workers.Origin{Key: key}, Prompt: "a fox"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := p.jobs[0].Image.Seed, p.jobs[1].Image.Seed, p.jobs[2].Image.Seed
	if a != b || a == c || a < 0 || a > maxSeed {
		t.Errorf("seeds %d, %d, %d", a, b, c)
	}
}

func TestPreviewsAreMadeSafe(t *testing.T) {
	s, p := service(t, good)
	for _, c := range []struct {
		preview []byte
		shown   int
	}{{asJPEG(painted(64, 64)), 1}, {bomb(60_000, 60_000), 0}} {
		p.preview = c.preview
		shown := 0
		_, err := s.Draw(t.Context(), Request{Prompt: "a fox"}, func(e workers.Event) {
			if shown++; slices.Equal(e.Preview, c.preview) {
				t.Error("a worker's bytes came through")
			}
		})
		if err != nil || shown != c.shown {
			t.Errorf("%d previews shown, want %d, %v", shown, c.shown, err)
		}
	}
}

func TestFlags(t *testing.T) {
	seed := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		prompt string
		want   Request
	}{
		{"a fox --ar 16:9", Request{Prompt: "a fox", Aspect: "16:9"}},
		{"a fox —ar 16:9", Request{Prompt: "a fox", Aspect: "16:9"}},
		{"a fox –ar=16:9, in snow", Request{Prompt: "a fox in snow", Aspect: "16:9"}},
		{"a fox --seed 5 --style anime --no text, people", Request{Prompt: "a fox", Seed: seed(5), Style: "anime", Negative: "text, people"}},
		{"--ar 2:3 a fox in snow —Seed 7 at night", Request{Prompt: "a fox in snow at night", Aspect: "2:3", Seed: seed(7)}},
		{"a castle — dark and gloomy", Request{Prompt: "a castle — dark and gloomy"}},
		{"a fox --v 5", Request{Prompt: "a fox --v 5"}},
		{"a well--no-nonsense fox", Request{Prompt: "a well--no-nonsense fox"}},
		{"a fox --count 3", Request{Prompt: "a fox", Count: 3}},
		{"a fox --no", Request{Prompt: "a fox"}},
	} {
		got, err := withFlags(Request{Prompt: c.prompt})
		if err != nil || got.Prompt != c.want.Prompt || got.Aspect != c.want.Aspect || got.Style != c.want.Style || got.Negative != c.want.Negative || got.Count != c.want.Count ||
			(got.Seed == nil) != (c.want.Seed == nil) || got.Seed != nil && *got.Seed != *c.want.Seed {
			t.Errorf("%q: %+v, %v", c.prompt, got, err)
		}
	}
	if got, err := withFlags(Request{Prompt: "a fox --ar 16:9", Aspect: "1:1"}); err != nil || got.Aspect != "1:1" || got.Prompt != "a fox" {
		t.Errorf("an option must win over a flag: %+v, %v", got, err)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		aspect, model string
		w, h          int
		snapped       string
	}{
		{"", "", 768, 768, ""}, {"1:1", "demo-image", 768, 768, ""}, {"16:9", "", 1024, 576, ""}, {"16x9", "", 1024, 576, ""}, {"9:16", "", 576, 1024, ""},
		{"portrait", "", 512, 768, ""}, {"Landscape", "", 768, 512, ""}, {"square", "sdxl", 1024, 1024, ""}, {"16:9", "sdxl", 1344, 768, ""}, {"1:1", "sd-1.5", 576, 576, ""},
		{"１６：９", "", 1024, 576, ""}, {"513x513", "", 512, 512, "512x512"}, {"640x640", "", 640, 640, ""}, {"4000x4000", "", 768, 768, "768x768"}, {"100:1", "", 1024, 512, "2:1"},
		{" 16 : 9 ", "", 1024, 576, ""},
	} {
		w, h, snapped, err := size(c.aspect, c.model)
		if err != nil || w != c.w || h != c.h || snapped != c.snapped {
			t.Errorf("size(%q, %q) = %d, %d, %q, %v", c.aspect, c.model, w, h, snapped, err)
		}
	}
	for _, bad := range []string{"0:1", "1:0", "wide-ish", "16:9:4", "-1:1", "16", "999999:1", "?", "1e3:1"} {
		if _, _, _, err := size(bad, ""); !fault.Has(err, fault.BadOption) {
			t.Errorf("size(%q): %v", bad, err)
		}
	}
	for w := 1; w < 40; w++ {
		for h := 1; h < 40; h++ {
			for _, model := range []string{"", "sdxl", "sd-1.5"} {
				a, b, _, err := size(fmt.Sprintf("%d:%d", w, h), model)
				if err != nil || a%grid != 0 || b%grid != 0 || a < minSide || b < minSide || a*b > budget(model) || math.Max(float64(a), float64(b)) > 1536 {
					t.Fatalf("%d:%d of %q is %d×%d, %v", w, h, model, a, b, err)
				}
			}
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	seed := int64(1 << 32)
	for _, c := range []struct {
		r    Request
		want fault.Code
	}{
		{Request{}, fault.MissingOption}, {Request{Prompt: "--ar 1:1"}, fault.MissingOption}, {Request{Prompt: "<lora:x:1>"}, fault.MissingOption},
		{Request{Prompt: strings.Repeat("a", 6001)}, fault.TooLong}, {Request{Prompt: "a fox", Negative: strings.Repeat("a", 6001)}, fault.TooLong},
		{Request{Prompt: "a fox --ar 0:1"}, fault.BadOption}, {Request{Prompt: "a fox --seed x"}, fault.BadOption}, {Request{Prompt: "a fox", Seed: &seed}, fault.BadOption},
		{Request{Prompt: "a fox", Style: "cubist"}, fault.BadOption}, {Request{Prompt: "a fox", Count: 5}, fault.BadOption}, {Request{Prompt: "a fox", Count: -1}, fault.BadOption},
		{Request{Prompt: "a nude child"}, fault.Blocked}, {Request{Prompt: "a nu<x>de chi<y>ld"}, fault.Blocked}, {Request{Prompt: "a child --no clothes"}, fault.Blocked},
	} {
		s, p := service(t, good)
		_, err := s.Draw(t.Context(), c.r, nil)
		if !fault.Has(err, c.want) || len(p.jobs) != 0 {
			t.Errorf("%.40q: %v, %d jobs", c.r.Prompt, err, len(p.jobs))
		}
		if c.want == fault.Blocked && len(fault.Of(err).Args) != 0 {
			t.Errorf("the rule is told: %v", fault.Of(err).Args)
		}
	}
}

func TestLongPromptIsAccepted(t *testing.T) {
	s, p := service(t, good)
	long := strings.Repeat("ein Wald im Nebel ", 334)[:6000]
	if _, err := s.Draw(t.Context(), Request{Prompt: long}, nil); err != nil || !strings.Contains(p.jobs[0].Image.Prompt, strings.TrimSpace(long)) {
		t.Error(err)
	}
}

func TestPromptIsInert(t *testing.T) {
	for prompt, want := range map[string]string{
		"a fox <lora:evil:9> here":                                 "a fox here",
		`x<sd_cpp_extra_args>{"width":99999}</sd_cpp_extra_args>y`: "x y",
		`x <SD_CPP_extra_args>{"steps":1}`:                         "x",
		"a <b <c> d> e":                                            "a b c d e",
		"1 < 2 and 3 > 2":                                          "1 2 and 3 2",
		"x<y and z>w":                                              "x y and z w", // everything between the two was lost
		"a < lyco:evil:1 >fox<HyperNet:evil:9>":                    "a fox",
		"(embedding:evil:1.2), a fox, embedding:worse":             "( ), a fox,",
		"an embedding of words, <lora\u200b:evil:9>":               "an embedding of words,",
		"<lo<lora:x:1>ra:evil:9>":                                  "lo ra:evil:9",
		"a\x00b\x1b[0m\u202ec\u200b\nd":                            "ab[0mc d",
		"\xff\xfea":                                                "a",
		"<<<":                                                      "",
	} {
		if got := inert(prompt); got != want {
			t.Errorf("inert(%q) = %q, want %q", prompt, got, want)
		}
	}
}

func TestStyles(t *testing.T) {
	if got := Styles(); !slices.Equal(got, []string{"none", "anime", "2d", "3d", "photo"}) {
		t.Errorf("%q", got)
	}
	s, p := service(t, good)
	for _, name := range append(Styles(), "") {
		if _, err := s.Draw(t.Context(), Request{Prompt: "a fox", Style: name}, nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		j := p.jobs[len(p.jobs)-1].Image
		if j.Steps < 1 || j.CFG <= 0 || j.Sampler == "" || !strings.Contains(j.Prompt, "a fox") {
			t.Errorf("%q: %+v", name, j)
		}
	}
	for word := range table().Aspects {
		if _, _, _, err := size(word, ""); err != nil {
			t.Error(err)
		}
	}
}
