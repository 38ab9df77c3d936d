package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"potluck/fault"
)

// Wait returns nil after d, at once when d is not above 0, or why ctx ended before (context.Cause).
func Wait(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// removeFor is how long it is tried to take something away.
const removeFor = 6 * time.Hour

// TakeAway calls remove until what it takes away is gone: nil. Else it returns remove's error, if the platform never does it (fault.Forbidden, ErrRejected)
// or did not for removeFor, or why ctx ended meanwhile, which is looked at between two calls. Pauses grow as those between the tries of a final.
func TakeAway(ctx context.Context, remove func() error) error {
	begun := time.Now()
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		err := remove()
		switch {
		case err == nil, fault.Has(err, fault.Gone):
			return nil
		case fault.Has(err, fault.Forbidden), errors.Is(err, ErrRejected), time.Since(begun) >= removeFor:
			return err
		}
		if ended := Wait(ctx, wait); ended != nil {
			return ended
		}
	}
}

// maxTold are the keys that a Told remembers. With one more all are forgotten, and each may be told once more.
const maxTold = 10_000

// Told remembers what was told lately, so that what goes on and on is told once in a while. The zero Told is ready; it may be used from any goroutine.
type Told struct {
	mu   sync.Mutex
	last map[string]time.Time // by key
}

// Due tells whether key was not told within the time every; then it counts as told now.
func (t *Told) Due(key string, every time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if at, ok := t.last[key]; ok && now.Sub(at) < every {
		return false
	}
	if t.last == nil || len(t.last) >= maxTold {
		t.last = make(map[string]time.Time)
	}
	t.last[key] = now
	return true
}
