package commands

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers"
	"potluck/workers/protocol"
)

// view is a progress whose clock the test moves.
func view(at *time.Time, o *workers.Overview, from workers.Origin, kind protocol.Kind, model string) progress {
	return progress{say: Texts().Say("en"), now: func() time.Time { return *at }, until: "", model: model, able: func() (bool, []string) {
		return able(*o, from, kind, model)
	}}
}

func lent(kind protocol.Kind, models ...string) workers.WorkerView {
	w := workers.WorkerView{State: workers.Online}
	for _, m := range models {
		w.Offers = append(w.Offers, workers.OfferView{Offer: protocol.Offer{Kind: kind}, Canonical: m})
	}
	return w
}

// A guess that stands still is a lie after a while: it runs down, and when it was wrong that is said. A new guess counts from when it came.
func TestGuessesOfTimeRunDown(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := workers.Overview{Workers: []workers.WorkerView{lent(protocol.Image, "sdxl")}}
	p := view(&now, &o, workers.Origin{Class: workers.Public}, protocol.Image, "")
	check := func(want string) {
		t.Helper()
		if got := p.text().Plain; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("Looking for a machine…")
	p.see(workers.Event{Kind: workers.Waiting, Position: 2, ETA: 40 * time.Second})
	check("In line: 2nd · about 40 s")
	now = now.Add(25 * time.Second)
	check("In line: 2nd · about 15 s")
	now = now.Add(15 * time.Second)
	check("In line: 2nd · it takes longer than I thought")
	p.see(workers.Event{Kind: workers.Waiting, Position: 1, ETA: 20 * time.Second})
	check("You are next · about 20 s")
	now = now.Add(time.Minute)
	check("You are next · it takes longer than I thought")
	p.see(workers.Event{Kind: workers.Started, Attempt: 1, WorkerName: "Attic PC"})
	check("Attic PC is on it…")
	now = now.Add(10 * time.Second)
	p.see(workers.Event{Kind: workers.Progress, Attempt: 1, Fraction: 0.25, Step: 5, Steps: 20})
	check("Attic PC is on it…\n▓▓▓░░░░░░░ 25% · step 5 of 20 · about 30 s left")
	now = now.Add(20 * time.Second)
	check("Attic PC is on it…\n▓▓▓░░░░░░░ 25% · step 5 of 20 · about 10 s left")
	now = now.Add(20 * time.Second)
	check("Attic PC is on it…\n▓▓▓░░░░░░░ 25% · step 5 of 20")
}

// A wait for a model that only one machine had says so when that machine leaves, and which others there are; nothing has to happen to the job.
func TestWaitNamesWhatIsMissing(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := workers.Overview{Workers: []workers.WorkerView{lent(protocol.Chat, "qwen3:4b"), lent(protocol.Chat, "llama3.1:8b", "gemma3:4b")}}
	from := workers.Origin{Class: workers.Public}
	p := view(&now, &o, from, protocol.Chat, "qwen3:4b")
	p.see(workers.Event{Kind: workers.Waiting, Position: 1})
	if got := p.text().Plain; got != "You are next" {
		t.Error(got)
	}
	o.Workers[0].State = workers.Paused
	want := "No machine with qwen3:4b is online now. I wait for one. Online are gemma3:4b, llama3.1:8b: press Stop and ask again with one of these as model:, or without it."
	if got := p.text().Plain; got != want {
		t.Error(got)
	}
	// In a private chat only machines that are trusted with it count.
	from.Class, from.Community = workers.Private, "page:potluck"
	p = view(&now, &o, from, protocol.Chat, "")
	p.see(workers.Event{Kind: workers.Waiting, Position: 1})
	if got := p.text().Plain; got != "No machine that could take this is online now. I wait for one." {
		t.Error(got)
	}
	o.Workers[1].Operator = true
	if got := p.text().Plain; got != "You are next" {
		t.Error(got)
	}
}

func TestTickingEndsWithItsWork(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var shows atomic.Int32
		stop := ticking(context.Background(), func() { shows.Add(1) })
		<-time.After(3*tick + time.Second)
		stop()
		stop() // also when the work ended otherwise
		<-time.After(time.Hour)
		if n := shows.Load(); n != 3 {
			t.Errorf("shown %d times", n)
		}
	})
}
