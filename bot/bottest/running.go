package bottest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"potluck/bot"
)

// Running is a Platform that runs, and what it hands over. Stop ends it.
type Running struct {
	Stop context.CancelFunc
	Done chan error // what its Run returned

	mu     sync.Mutex
	events []bot.Event
	handle bot.Handler
}

// Run starts a Platform, until the test ends at the latest.
func Run(tb testing.TB, p bot.Platform) *Running {
	ctx, cancel := context.WithCancel(tb.Context())
	r := &Running{Stop: cancel, Done: make(chan error, 1)}
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
	synctest.Wait()
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
