package workers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// turnstile limits how often each of many may pass. It forgets who has not come for as long as it makes no difference.
type turnstile[K comparable] struct {
	perSec rate.Limit
	burst  int

	mu    sync.Mutex
	all   map[K]*rate.Limiter
	swept time.Time
}

func newTurnstile[K comparable](perSec rate.Limit, burst int) *turnstile[K] {
	return &turnstile[K]{perSec: perSec, burst: burst, all: map[K]*rate.Limiter{}}
}

// pass tells whether who has not come too often.
func (t *turnstile[K]) pass(who K, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.swept) >= time.Second { // not at every call: strangers at many addresses make it long
		t.swept = now
		for k, v := range t.all {
			if v.TokensAt(now) >= float64(t.burst) {
				delete(t.all, k)
			}
		}
	}
	limit := t.all[who]
	if limit == nil {
		limit = rate.NewLimiter(t.perSec, t.burst)
		t.all[who] = limit
	}
	return limit.AllowN(now, 1)
}
