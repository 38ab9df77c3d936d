//go:build unix

package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What people see of a worker that goes away, and of Stop, with the real programs. The limits in seconds (7 after a closed connection, 17 after
// silence, 1 for Stop) are held under a fake clock by the tests of the pool and the agent; the benchmarks here say what this machine makes of them.

// dispatchedAgain takes a worker away in the middle of its answer and returns how long it took until the next one began that job.
func dispatchedAgain(t testing.TB, away, back func(*worker)) time.Duration {
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

func killed(t testing.TB) time.Duration {
	return dispatchedAgain(t, func(w *worker) { w.kill() }, func(*worker) {})
}

// silenced stops a worker without closing its connection; what it says when it comes to itself again changes nothing.
func silenced(t testing.TB) time.Duration {
	signal := func(s syscall.Signal) func(*worker) {
		return func(w *worker) {
			if err := w.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dispatchedAgain(t, signal(syscall.SIGSTOP), func(w *worker) {
		signal(syscall.SIGCONT)(w)
		w.said(w.errs, `msg="not connected"`) // it has noticed that it was given up
	})
}

// stopped asks for a long story, presses Stop, and returns how long the request at the model server itself went on.
func stopped(k *kitchen, model *modelServer) time.Duration {
	q := k.guest.say("/ask tell me a long story")
	model.asked(k.t)
	model.say(k.t, "Once ", "upon ", "a ")
	running := k.guest.growing(q, "Once upon a")
	pressed := time.Now()
	k.guest.press(running, "Stop")
	took := await(k.t, "the end of the request at the model server", model.left).Sub(pressed)
	k.guest.answer(q)
	k.guest.answeredOnce(q)
	return took
}

func TestKilledWorkersJobBeginsElsewhere(t *testing.T) {
	t.Parallel()
	t.Logf("kill to the next worker's start: %v", killed(t).Round(time.Millisecond))
}

func TestSilentWorkersJobBeginsElsewhere(t *testing.T) {
	t.Parallel()
	t.Logf("silence to the next worker's start: %v", silenced(t).Round(time.Millisecond))
}

// Stop ends the request at the model server itself, again and again, not only what people see.
func TestStopReachesTheEngine(t *testing.T) {
	t.Parallel()
	k, model := openKitchen(t), serveModel(t)
	k.lend(k.operator, "tower", model.config())
	for range 5 {
		t.Logf("Stop pressed to the end of the request at the engine: %v", stopped(k, model).Round(time.Microsecond))
	}
	k.close()
}

// BenchmarkFailover: from the loss of a worker in the middle of its answer to the start of that job on another one; 7 s and 17 s are wanted.
func BenchmarkFailover(b *testing.B) {
	for name, lost := range map[string]func(testing.TB) time.Duration{"killed": killed, "silent": silenced} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for range b.N {
				took = append(took, lost(b))
			}
			b.ReportMetric(slices.Max(took).Seconds(), "slowest-s")
		})
	}
}

// BenchmarkStop: from the press of Stop to the end of the request at the model server; 1 s is wanted.
func BenchmarkStop(b *testing.B) {
	k, model := openKitchen(b), serveModel(b)
	k.lend(k.operator, "tower", model.config())
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		took = append(took, stopped(k, model))
	}
	b.StopTimer()
	b.ReportMetric(float64(slices.Max(took))/float64(time.Millisecond), "slowest-ms")
	b.ReportMetric(median(took), "p50-ms")
	k.close()
}
