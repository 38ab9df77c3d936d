package bottest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/faketime"
)

// Running is a Platform that runs, and what it hands over. Stop ends it.
type Running struct {
	Stop context.CancelFunc
	Done chan error // what its Run returned

	tb       testing.TB
	platform bot.Platform
	log      *Log

	mu     sync.Mutex
	events []bot.Event
	handle bot.Handler
}

// Run starts a Platform, until the test ends at the latest. A test that fails by a method of Running shows log.
func Run(tb testing.TB, p bot.Platform, log *Log) *Running {
	ctx, cancel := context.WithCancel(tb.Context())
	r := &Running{Stop: cancel, Done: make(chan error, 1), tb: tb, platform: p, log: log}
	go func() {
		r.Done <- p.Run(ctx, func(ctx context.Context, e bot.Event) error {
			r.mu.Lock()
			r.events = append(r.events, e)
			h := r.handle
			r.mu.Unlock()
			if h != nil {
				return h(ctx, e)
			}
			return nil
		})
	}()
	return r
}

// SetHandle decides what becomes of the events; nil: nothing.
func (r *Running) SetHandle(h bot.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handle = h
}

// Taken returns the events of a kind, after everything that is under way in a bubble has come to rest.
func (r *Running) Taken(kind bot.EventKind) []bot.Event {
	faketime.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []bot.Event
	for _, e := range r.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// One returns the only event of a kind so far.
func (r *Running) One(kind bot.EventKind) bot.Event {
	r.tb.Helper()
	all := r.Taken(kind)
	if len(all) != 1 {
		r.tb.Fatalf("%d events %s: %+v\n%s", len(all), kind, all, r.log)
	}
	return all[0]
}

// Send has the Platform send m, which must work.
func (r *Running) Send(m bot.Outgoing) []community.MessageID {
	r.tb.Helper()
	ids, err := r.platform.Send(r.tb.Context(), m)
	if err != nil {
		r.tb.Fatalf("Send: %v\n%s", err, r.log)
	}
	return ids
}

// Edit has the Platform show m in what is there, which must work. An edit has no nonce.
func (r *Running) Edit(ids []community.MessageID, m bot.Outgoing) []community.MessageID {
	r.tb.Helper()
	m.Nonce = ""
	now, err := r.platform.Edit(r.tb.Context(), ids, m)
	if err != nil {
		r.tb.Fatalf("Edit: %v\n%s", err, r.log)
	}
	return now
}

// End stops the Platform and waits for its end, as a bubble needs it.
func (r *Running) End() {
	r.tb.Helper()
	r.Stop()
	if err := <-r.Done; err != nil {
		r.tb.Errorf("Run: %v", err)
	}
}

// Pass lets time go by in a bubble, and what is under way come to rest.
func Pass(d time.Duration) {
	<-time.After(d)
	faketime.Wait()
}

// Log is a log that a test may read while it is written.
type Log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
