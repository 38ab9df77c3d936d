package engine

import (
	"bytes"
	"context"
	"errors"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"strings"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers/protocol"
)

func TestDemoSaysWhatItIs(t *testing.T) {
	var out shown
	res, err := NewDemo(DemoConfig{}).Run(t.Context(), chatJob("Why is the sky blue?"), &out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(res.Done.Text, "This is Potluck's demonstration engine, not a language model") || !strings.Contains(res.Done.Text, "Why is the sky blue?") || strings.Join(out.text, "") != res.Done.Text {
		t.Fatalf("answered %q", res.Done.Text)
	}
	if strings.Contains(res.Done.Text, "restart") || !strings.Contains(res.Done.Text, "finds it by itself") {
		t.Errorf("a worker looks again every half minute, and the tip says %q", res.Done.Text)
	}
	got := run(t, NewDemo(DemoConfig{}), translateJob("en", "es", []protocol.Piece{{Text: "Hi "}, {Keep: 4}}))
	if len(got[0]) != 2 || got[0][0].Text != "[demo, not a translation: es] Hi " || got[0][1].Keep != 4 {
		t.Fatalf("translated to %+v", got)
	}
}

func TestDemoPicturesAreAsAskedAndRepeatable(t *testing.T) {
	job := protocol.Assign{Kind: protocol.Image, Image: &protocol.ImageJob{Prompt: "the sea at night", Width: 320, Height: 192, Steps: 20, Seed: 9, Count: 2}}
	var out shown
	first, err := NewDemo(DemoConfig{}).Run(t.Context(), job, &out)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewDemo(DemoConfig{}).Run(t.Context(), job, &shown{})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Pictures) != 2 || bytes.Equal(first.Pictures[0], first.Pictures[1]) {
		t.Fatal("want two different pictures")
	}
	for i, p := range first.Pictures {
		if !bytes.Equal(p, again.Pictures[i]) {
			t.Errorf("picture %d differs the second time", i)
		}
		if m, format, err := image.DecodeConfig(bytes.NewReader(p)); err != nil || format != "png" || m.Width != 320 || m.Height != 192 {
			t.Errorf("picture %d: %v %v %v", i, m, format, err)
		}
	}
	if n := len(out.progress); n != 40 || out.progress[n-1] != 1 || len(out.previews) < 4 || len(out.previews[0]) > 64<<10 {
		t.Errorf("%d steps, %d previews", n, len(out.previews))
	}
	if _, format, err := image.Decode(bytes.NewReader(out.previews[0])); err != nil || format != "jpeg" {
		t.Errorf("preview: %v %v", format, err)
	}
}

func TestDemoRefusesWhatItCannotDraw(t *testing.T) {
	for _, j := range []protocol.ImageJob{{Width: 99999, Height: 64}, {Width: 0, Height: 64}, {Width: 64, Height: 64, Steps: 1 << 30}, {Width: 64, Height: 64, Count: 1000}} {
		_, err := NewDemo(DemoConfig{}).Run(t.Context(), protocol.Assign{Kind: protocol.Image, Image: &j}, &shown{})
		if e, ok := errors.AsType[*JobError](err); !ok || e.Fault != protocol.FaultRequest {
			t.Errorf("%+v: got %v", j, err)
		}
	}
}

func TestDemoCanBeWatchedAndStopped(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		begun := time.Now()
		if _, err := NewDemo(DemoPace()).Run(t.Context(), chatJob("hi"), &shown{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 2*time.Second || took > 10*time.Second {
			t.Errorf("the answer took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var out shown
		out.first = cancel
		if _, err := NewDemo(DemoPace()).Run(ctx, chatJob("hi"), &out); !errors.Is(err, context.Canceled) || len(out.text) != 1 {
			t.Errorf("stopped: %v after %d words", err, len(out.text))
		}
	})
}

func BenchmarkDemoPicture(b *testing.B) {
	job := protocol.Assign{Kind: protocol.Image, Image: &protocol.ImageJob{Prompt: "the sea at night", Width: 512, Height: 512, Steps: 20}}
	for b.Loop() {
		if _, err := NewDemo(DemoConfig{}).Run(b.Context(), job, &shown{}); err != nil {
			b.Fatal(err)
		}
	}
}

// A German question got an English answer, and a note below that the answer is in another language.
func TestDemoAnswersInTheLanguageOfTheQuestion(t *testing.T) {
	for question, want := range map[string]string{
		"Why is the sky blue?":                "This is Potluck's demonstration engine",
		"sky":                                 "This is Potluck's demonstration engine",
		"":                                    "This is Potluck's demonstration engine",
		"Warum ist der Himmel blau?":          "Das ist die Vorführung von Potluck",
		"Schreib ein Haiku über Suppe":        "Das ist die Vorführung von Potluck",
		"¿Por qué el cielo es azul?":          "Soy el motor de demostración de Potluck",
		"escribe un haiku sobre la sopa":      "Soy el motor de demostración de Potluck",
		"空はどうして青いの？":                          "これは Potluck のデモ用エンジンで",
		"スープ":                                 "これは Potluck のデモ用エンジンで",
		"Write a haiku in the style of 'die'": "This is Potluck's demonstration engine",
	} {
		var out shown
		res, err := NewDemo(DemoConfig{}).Run(t.Context(), chatJob(question), &out)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(res.Done.Text, want) || !strings.Contains(res.Done.Text, question) || strings.Contains(res.Done.Text, "%!") ||
			strings.Join(out.text, "") != res.Done.Text || len(out.text) < 50 {
			t.Errorf("%q: %d words %q", question, len(out.text), res.Done.Text)
		}
	}
}
