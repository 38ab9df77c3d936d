package workers

import (
	"sync"
	"time"
)

// bars keep a worker away for a while that broke the rules of the link, longer each time: a machine that floods may be let in again as often as it likes
// to knock, and being put out anew would cost the pool more than it costs the machine. Only a key that proved itself is ever barred, so nobody can bar another.
// The zero value is ready.
type bars struct {
	mu  sync.Mutex
	all map[string]bar
}

type bar struct {
	strikes int
	until   time.Time
}

const (
	firstBar   = 5 * time.Second
	longestBar = 10 * time.Minute
	// A worker that behaved for so long since its bar ended begins anew.
	forgiven = 10 * time.Minute
	keptBars = 1024
)

// strike bars a key from now on.
func (b *bars) strike(key string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string]bar{}
	}
	if len(b.all) >= keptBars {
		for k, v := range b.all {
			if now.Sub(v.until) >= forgiven {
				delete(b.all, k)
			}
		}
	}
	v := b.all[key]
	if now.Before(v.until) {
		return // of a session that was still open
	}
	if now.Sub(v.until) >= forgiven {
		v.strikes = 0
	}
	b.all[key] = bar{v.strikes + 1, now.Add(min(firstBar<<min(v.strikes, 10), longestBar))}
}

// left is how long a key must still stay away.
func (b *bars) left(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.all[key].until.Sub(now), 0)
}
