package webchat

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits are the rates of visitors and of their addresses.
type limits struct {
	visitor  *rates // messages and presses of one visitor
	address  *rates // of one address
	sessions *rates // new sessions and renames of one address
	streams  *rates // event streams that one visitor opens: each one reads history

	suggestions *rates // for one visitor who types
}

func newLimits(l Limits) *limits {
	return &limits{
		visitor:  newRates(l.MessagesPerSecond, l.MessagesBurst, l.RememberedVisitors),
		address:  newRates(l.AddressPerSecond, l.AddressBurst, l.RememberedVisitors),
		sessions: newRates(l.SessionsPerSecond, l.SessionsBurst, l.RememberedVisitors),
		streams:  newRates(l.StreamsPerSecond, l.StreamsBurst, l.RememberedVisitors),

		suggestions: newRates(l.SuggestionsPerSecond, l.SuggestionsBurst, l.RememberedVisitors),
	}
}

// rates holds one token bucket per key, for a bounded number of keys: when the younger half is full, it becomes the older one, and
// what was not asked for since then is forgotten.
type rates struct {
	perSecond rate.Limit
	burst     int
	half      int

	mu             sync.Mutex
	younger, older map[string]*rate.Limiter
}

func newRates(perSecond float64, burst, keys int) *rates {
	return &rates{perSecond: rate.Limit(perSecond), burst: burst, half: max(1, keys/2), younger: map[string]*rate.Limiter{}}
}

// take uses one token of key. When there is none, wait tells how long until the next one.
func (r *rates) take(key string, now time.Time) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.younger[key]
	if l == nil {
		if l = r.older[key]; l == nil {
			l = rate.NewLimiter(r.perSecond, r.burst)
		}
		if len(r.younger) >= r.half {
			r.older, r.younger = r.younger, make(map[string]*rate.Limiter, r.half)
		}
		r.younger[key] = l
	}
	if l.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - l.TokensAt(now)
	return time.Duration(missing / float64(r.perSecond) * float64(time.Second)), false
}
