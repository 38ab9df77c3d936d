package telegram

import (
	"crypto/rand"
	"sync"
)

// lru remembers the newest n values.
type lru[V any] struct {
	mu   sync.Mutex
	have map[string]V
	ring []string
	at   int
}

func newLRU[V any](n int) *lru[V] { return &lru[V]{have: make(map[string]V), ring: make([]string, n)} }

func (l *lru[V]) get(key string) (v V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok = l.have[key]
	return v, ok
}

func (l *lru[V]) put(key string, v V) {
	if key == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.have[key]; !ok {
		delete(l.have, l.ring[l.at])
		l.ring[l.at] = key
		l.at = (l.at + 1) % len(l.ring)
	}
	l.have[key] = v
}

func (l *lru[V]) drop(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.have, key) // its place in the ring is found empty when its turn comes
}

// randomSecret has 130 random bits, in letters that a webhook's header may hold.
func randomSecret() string { return rand.Text() }
