package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The whole program: bot, page, database, and the worker as a process of its own.
func TestWholeProgram(t *testing.T) {
	idle := goleak.IgnoreCurrent()
	t.Setenv("WHOLE_PROGRAM_TEST", t.TempDir()) // every process that comes from this test carries it
	data := t.TempDir()
	environ := []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}
	// Whatever else runs on this machine stays out of it.
	write(t, filepath.Join(data, "worker", "config.yaml"), "engines: [apertium]\n")

	demo := startHere(t, environ, "demo")
	base := demo.said(demo.out, `Potluck is at +(http://127\.0\.0\.1:[1-9]\d*)`)[1]
	operatorURL := demo.said(demo.out, `Be its operator +(\S+)`)[1]
	demo.said(demo.out, `(?s)linked and offers:.*/imagine with demo|(?s)linked and offers:.*demonstration`)

	operator, anna := visit(t, base, "Olga"), visit(t, base, "Anna")
	if !strings.HasPrefix(operatorURL, base) {
		t.Errorf("the operator's address is %s, the page's %s", operatorURL, base)
	}
	operator.becomeOperator(operatorURL)
	if n := operator.earned(); n != 0 {
		t.Errorf("the operator earned %v before anybody asked", n)
	}

	picture := anna.say("/imagine a lighthouse at dusk aspect:16:9")
	drawn := anna.answer(picture)
	if len(drawn.Images) != 1 || !strings.Contains(drawn.Text, "a lighthouse at dusk") || !strings.Contains(drawn.Text, "demo computer") {
		t.Fatalf("/imagine: %+v", drawn)
	}
	size := anna.picture(drawn.Images[0]).Bounds()
	if w, h := number(t, `(\d+) × \d+`, drawn.Text), number(t, `\d+ × (\d+)`, drawn.Text); float64(size.Dx()) != w || float64(size.Dy()) != h || w/h < 1.6 || w/h > 1.9 {
		t.Errorf("the picture has %v, its footer says %v × %v", size, w, h)
	}
	shown := strings.Join(anna.steps(picture), "\n---\n")
	for _, state := range []string{"demo computer is on it…", "% · step"} {
		if !strings.Contains(shown, state) {
			t.Errorf("while the picture was drawn, nothing said %q:\n%s", state, shown)
		}
	}
	if n := operator.earned(); n <= 0 {
		t.Errorf("the operator's worker drew a picture and earned %v", n)
	}

	question := anna.say("/ask why is the sky blue?")
	answer := anna.answer(question)
	grew := anna.steps(question)
	for len(grew) > 0 && !strings.HasPrefix(grew[0], "This is Potluck's demo") {
		grew = grew[1:]
	}
	if len(grew) < 5 || !strings.Contains(answer.Text, "why is the sky blue?") || !strings.Contains(answer.Text, "not a language model") {
		t.Errorf("/ask showed %d growing texts, then %q", len(grew), answer.Text)
	}
	for i := 1; i < len(grew); i++ {
		if len(grew[i]) <= len(grew[i-1]) {
			t.Errorf("the answer shrank from %q to %q", grew[i-1], grew[i])
		}
	}

	translated := anna.ask("/translate to:es The children are reading a book in the garden.")
	switch _, err := os.Stat("/usr/share/apertium/modes/eng-spa.mode"); {
	case err == nil && !strings.Contains(translated.Text, "Los niños están leyendo un libro en el jardín."):
		t.Errorf("Apertium's translation is %q", translated.Text)
	case err != nil && !strings.Contains(translated.Text, "not a translation"):
		t.Errorf("without Apertium, /translate says %q", translated.Text)
	}

	job := jobOf(t, answer)
	why := operator.ask("/credits why:" + job).Text
	for _, part := range []string{"Job " + job + " cost", "writing", "tokens ÷", "per second", "on an RTX 3060", "paid to the machine's owner"} {
		if !strings.Contains(why, part) {
			t.Errorf("/credits why:%s does not say %q: %s", job, part, why)
		}
	}
	earned := operator.earned()

	// A clean stop: visitors see their streams end, exit code 0, nothing left.
	begun := time.Now()
	if code := demo.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("stop: %v", time.Since(begun).Round(time.Millisecond))
	anna.untilGone()
	noneLeft(t, data)

	// A second start on the same folder.
	demo = startHere(t, environ, "demo")
	base = demo.said(demo.out, `Potluck is at +(http://\S+)`)[1]
	demo.said(demo.out, "linked and offers:")
	for _, v := range []*visitor{anna, operator} {
		v.base = base
	}
	history := anna.again()
	if m := history.answer(question); m.Text != answer.Text {
		t.Errorf("after the second start the answer is %q", m.Text)
	}
	if m := history.answer(picture); len(m.Images) != 1 || history.picture(m.Images[0]).Bounds() != size {
		t.Errorf("after the second start the picture is %+v", m)
	}
	operator.listen()
	if n := operator.earned(); n != earned {
		t.Errorf("after the second start the operator has earned %v, before it %v", n, earned)
	}
	if code := demo.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, v := range []*visitor{anna, operator, history} {
		v.close()
		v.client.CloseIdleConnections()
	}
	noneLeft(t, data)
	goleak.VerifyNone(t, idle)
}

// noneLeft checks that the demo's worker and whatever it started have ended.
func noneLeft(t *testing.T, data string) {
	t.Helper()
	if out, _, code := execute(t, "potluck-worker", []string{"WHOLE_PROGRAM_TEST=over"}, "status", "-dir", filepath.Join(data, "worker")); code != 0 || !strings.Contains(out, "Not running") {
		t.Errorf("the worker's status after the stop: %d %s", code, out)
	}
	if runtime.GOOS != "linux" {
		return
	}
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), "WHOLE_PROGRAM_TEST="+os.Getenv("WHOLE_PROGRAM_TEST")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			t.Errorf("a process is left: %s", strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
}
