package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/workers/protocol"
)

// installed opens the Apertium of this machine; the test is skipped where it or a direction is missing.
func installed(t testing.TB, from, to string, cfg ApertiumConfig) *Apertium {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute // this machine may be busy
	}
	a, err := NewApertium(cfg)
	if err != nil {
		t.Skip("Apertium is not installed: apt install apertium apertium-eng-spa apertium-spa-cat")
	}
	t.Cleanup(func() { a.Close() })
	if !slices.ContainsFunc(a.Directions(), func(d Direction) bool { return d.From == from && d.To == to && a.commands[d.Mode] != nil }) {
		t.Skipf("Apertium's %s-%s is not installed: apt install apertium-eng-spa apertium-spa-cat", from, to)
	}
	return a
}

func translateJob(from, to string, segments ...[]protocol.Piece) protocol.Assign {
	return protocol.Assign{Kind: protocol.Translate, Model: "apertium", Translate: &protocol.TranslateJob{From: from, To: to, Segments: segments}}
}

func run(t testing.TB, e Engine, job protocol.Assign) [][]protocol.Piece {
	t.Helper()
	res, err := e.Run(t.Context(), job, &shown{})
	if err != nil {
		t.Fatal(err)
	}
	return res.Done.Segments
}

func TestApertiumTranslates(t *testing.T) {
	a := installed(t, "en", "es", ApertiumConfig{})
	for in, want := range map[string]string{
		"The children are reading a book in the garden.":   "Los niños están leyendo un libro en el jardín.",
		"  The children are reading a book in the garden ": "  Los niños están leyendo un libro en el jardín ",
		"zork blah":                         "zork blah",
		"**zork** 👍🏽 @me #x":                "**zork** 👍🏽 @me #x",
		`[x] {zork} ^a\b/$ <zork>` + "\x00": `[x] {zork} ^un\b/$ <zork>` + "\x00",
		"The house\n\n- the house":          "La casa\n\n- La casa",
		"... 12:30 ?":                       "... 12:30 ?",
	} {
		got := run(t, a, translateJob("en", "es", []protocol.Piece{{Text: in}}))
		if strings.ContainsRune(in, 0) {
			want = strings.TrimSuffix(want, "\x00")
			got[0][0].Text = strings.TrimRight(got[0][0].Text, " \x00")
		}
		if len(got) != 1 || len(got[0]) != 1 || !strings.EqualFold(got[0][0].Text, want) {
			t.Errorf("%q: got %+v, want %q", in, got, want)
		}
	}
}

func TestApertiumKeepsSurvive(t *testing.T) {
	a := installed(t, "en", "es", ApertiumConfig{})
	for _, segment := range [][]protocol.Piece{
		{{Text: "The children are reading "}, {Keep: 7}, {Text: " in the garden."}},
		{{Keep: 2}, {Text: " we went to "}, {Keep: 1}, {Text: "'s house with "}, {Keep: 300}, {Text: "! [4] Do you see?"}},
		{{Keep: 1}, {Keep: 2}, {Text: "go home"}, {Keep: 3}},
		{{Keep: 1}},
	} {
		got := run(t, a, translateJob("en", "es", segment))[0]
		keeps := func(pieces []protocol.Piece) (all []int) {
			for _, p := range pieces {
				if p.Keep > 0 {
					all = append(all, p.Keep)
				}
			}
			slices.Sort(all)
			return all
		}
		if !slices.Equal(keeps(got), keeps(segment)) {
			t.Errorf("%+v became %+v", segment, got)
		}
	}
}

func TestApertiumUsesOneWarmPipe(t *testing.T) {
	a := installed(t, "en", "es", ApertiumConfig{})
	var first *pipe
	for i := range 50 {
		run(t, a, translateJob("en", "es", []protocol.Piece{{Text: "The children are reading a book in the garden."}}))
		if i == 0 {
			first = a.pipes["eng-spa"]
		}
	}
	if first == nil || a.pipes["eng-spa"] != first {
		t.Fatal("the pipe was started again")
	}
	first.kill() // as if the system had ended it
	if got := run(t, a, translateJob("en", "es", []protocol.Piece{{Text: "The house."}})); got[0][0].Text != "La casa." {
		t.Fatalf("after the pipe died: got %+v", got)
	}
	if a.pipes["eng-spa"] == first {
		t.Fatal("the dead pipe is still used")
	}
}

func TestApertiumClosesTheOldestPipe(t *testing.T) {
	a := installed(t, "es", "ca", ApertiumConfig{Alive: 1})
	run(t, a, translateJob("es", "ca", []protocol.Piece{{Text: "La casa."}}))
	run(t, a, translateJob("ca", "es", []protocol.Piece{{Text: "La casa."}}))
	if len(a.pipes) != 1 || a.pipes["cat-spa"] == nil {
		t.Fatalf("alive: %v", a.pipes)
	}
}

func TestApertiumOffersWhatPassedItsTest(t *testing.T) {
	a := installed(t, "es", "ca", ApertiumConfig{Settle: time.Minute})
	offers, err := a.Offers(t.Context())
	if err != nil || len(offers) != 1 {
		t.Fatalf("got %+v, %v", offers, err)
	}
	if !slices.Contains(offers[0].Pairs, protocol.Pair{From: "es", To: "ca", Quality: protocol.Postable}) {
		t.Fatalf("no es-ca in %+v", offers[0].Pairs)
	}
	for _, d := range a.Directions() {
		if !d.Ready {
			t.Logf("%s is not offered: %s", d.Mode, d.Why)
		}
	}
}

// shell writes a modes folder whose programs are shell scripts.
func shell(t *testing.T, scripts map[string]string) ApertiumConfig {
	t.Helper()
	dir := t.TempDir()
	for mode, script := range scripts {
		program := filepath.Join(dir, "run-"+mode)
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, mode+".mode"), []byte("run-"+mode+" $1 'a b'"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ApertiumConfig{ModesDir: dir, Path: dir + string(os.PathListSeparator) + os.Getenv("PATH"), Timeout: time.Minute, Settle: time.Minute}
}

func TestApertiumBrokenPairsAreNotOffered(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh for the broken programs")
	}
	cfg := shell(t, map[string]string{"rus-ukr": "exit 0", "spa-por": "exec cat", "spa-cat_valencia": "exec cat"})
	if err := os.WriteFile(filepath.Join(cfg.ModesDir, "fra-spa.mode"), []byte("no-such-program 'x'"), 0o644); err != nil {
		t.Fatal(err)
	}
	// cat takes "-z" for an unknown option in some systems, so the echo is made of the shell's own words.
	if err := os.WriteFile(filepath.Join(cfg.ModesDir, "run-spa-por"), []byte("#!/bin/sh\nshift $#\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := NewApertium(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	offers, err := a.Offers(t.Context())
	if err != nil || len(offers) != 1 || len(offers[0].Pairs) != 1 || offers[0].Pairs[0].To != "pt" {
		t.Fatalf("got %+v, %v", offers, err)
	}
	for _, d := range a.Directions() {
		if d.Ready == (d.Why != "") {
			t.Errorf("%+v: a reason for what is broken, none for the rest", d)
		}
	}
}

func TestApertiumSilentPairIsNotOffered(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh for the silent program")
	}
	cfg := shell(t, map[string]string{"deu-eng": "exec sleep 1000"})
	cfg.Timeout = 100 * time.Millisecond
	a, err := NewApertium(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if offers, err := a.Offers(t.Context()); err == nil && len(offers) > 0 && len(offers[0].Pairs) > 0 {
		t.Errorf("got %+v", offers)
	}
	if all := a.Directions(); len(all) != 1 || all[0].Ready || !strings.Contains(all[0].Why, "no answer in") {
		t.Errorf("%+v", all)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Run(ctx, translateJob("de", "en", []protocol.Piece{{Text: "Haus"}}), &shown{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestAPY(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /listPairs", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"responseData":[{"sourceLanguage":"spa","targetLanguage":"cat"},{"sourceLanguage":"spa","targetLanguage":"cat_valencia"},{"sourceLanguage":"eng","targetLanguage":"spa"}],"responseDetails":null,"responseStatus":200}`)
	})
	mux.HandleFunc("POST /translate", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("langpair") != "spa|cat" || r.FormValue("format") != "html" {
			w.WriteHeader(400)
			return
		}
		if q := r.FormValue("q"); q != "<apertium-notrans>3</apertium-notrans>Hola<apertium-notrans>4</apertium-notrans> &lt;a <apertium-notrans>2</apertium-notrans>" {
			t.Errorf("asked %q", q)
		}
		io.WriteString(w, `{"responseData":{"translatedText":"<apertium-notrans>3</apertium-notrans>Hola<apertium-notrans>4</apertium-notrans> &lt;a <apertium-notrans>2</apertium-notrans>"},"responseDetails":null,"responseStatus":200}`)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	a, err := NewAPY(APYConfig{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	offers, err := a.Offers(t.Context())
	want := []protocol.Pair{{From: "es", To: "ca", Quality: protocol.Postable}, {From: "en", To: "es", Quality: protocol.Rough}}
	if err != nil || len(offers) != 1 || !slices.Equal(offers[0].Pairs, want) {
		t.Fatalf("got %+v, %v", offers, err)
	}
	segment := []protocol.Piece{{Text: "*Hola* <a "}, {Keep: 2}}
	if got := run(t, a, translateJob("es", "ca", segment)); !slices.Equal(got[0], segment) {
		t.Fatalf("got %+v", got)
	}
}

func BenchmarkApertiumSentence(b *testing.B) {
	a := installed(b, "en", "es", ApertiumConfig{})
	job := translateJob("en", "es", []protocol.Piece{{Text: "The children are reading a book in the garden."}})
	run(b, a, job)
	for b.Loop() {
		run(b, a, job)
	}
}
