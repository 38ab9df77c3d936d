//go:build unix

package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dispatchedAgain takes a worker away in the middle of its answer and returns how long it took until the next one began that job.
func dispatchedAgain(t *testing.T, away, back func(*worker)) time.Duration {
	k, first, second := openKitchen(t), serveModel(t), serveModel(t)
	rita, sam := k.visit("Rita"), k.visit("Sam")
	tower := k.lend(rita, "tower", first.config())
	q := k.guest.say("/ask is anybody there?")
	first.asked(t)
	first.say(t, "I am ")
	laptop := k.lend(sam, "laptop", second.config())
	first.say(t, "about to ")
	begun := k.guest.growing(q, "I am about to")

	gone := time.Now()
	away(tower)
	laptop.said(laptop.errs, `msg="job begins"`)
	took := time.Since(gone)
	second.say(t, "Yes, ", "here.")
	second.end()
	final := k.guest.answer(q)
	back(tower)

	if final.ID != begun.ID || !strings.HasPrefix(final.Text, "Yes, here.") || !strings.Contains(final.Text, "on Sam's laptop") {
		t.Errorf("message %s became %+v", begun.ID, final)
	}
	paidOnce(sam, final)
	if n := rita.earned(); n != 0 {
		t.Errorf("the owner of the worker that was away earned %v", n)
	}
	k.close()
	k.guest.answeredOnce(q)
	return took
}

// A worker is killed: its connection is closed, and its job begins elsewhere within 7 s (workers.lost is 5 s).
func TestKilledWorkersJobBeginsElsewhereWithin7s(t *testing.T) {
	t.Parallel()
	took := dispatchedAgain(t, func(w *worker) { w.kill() }, func(*worker) {})
	t.Logf("kill to the next worker's start: %v", took.Round(time.Millisecond))
	if took > 7*time.Second {
		t.Errorf("the job began elsewhere after %v", took)
	}
}

// A worker falls silent in the middle of its text, but its connection stays open: its job begins elsewhere within 17 s (workers.silence is
// 15 s). What it says when it comes to itself again changes nothing.
func TestSilentWorkersJobBeginsElsewhereWithin17s(t *testing.T) {
	t.Parallel()
	signal := func(s syscall.Signal) func(*worker) {
		return func(w *worker) {
			if err := w.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	took := dispatchedAgain(t, signal(syscall.SIGSTOP), func(w *worker) {
		signal(syscall.SIGCONT)(w)
		w.said(w.errs, `msg="not connected"`) // it has noticed that it was given up
	})
	t.Logf("silence to the next worker's start: %v", took.Round(time.Millisecond))
	if took > 17*time.Second {
		t.Errorf("the job began elsewhere after %v", took)
	}
}

// Stop ends the request at the model server itself within a second, not only what people see.
func TestStopReachesTheEngineWithinASecond(t *testing.T) {
	t.Parallel()
	k, model := openKitchen(t), serveModel(t)
	k.lend(k.operator, "tower", model.config())
	var all []time.Duration
	for range 5 {
		q := k.guest.say("/ask tell me a long story")
		model.asked(t)
		model.say(t, "Once ", "upon ", "a ")
		running := k.guest.growing(q, "Once upon a")
		pressed := time.Now()
		k.guest.press(running, "Stop")
		all = append(all, await(t, "the end of the request at the model server", model.left).Sub(pressed))
		k.guest.answer(q)
		k.guest.answeredOnce(q)
	}
	slices.Sort(all)
	t.Logf("Stop pressed to the end of the request at the engine: median %v, slowest %v", all[2].Round(time.Microsecond), all[4].Round(time.Microsecond))
	if all[4] > time.Second {
		t.Errorf("the engine went on for %v", all[4])
	}
	k.close()
}
