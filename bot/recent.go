package bot

import "sync"

// Recent remembers the newest n values by a key, in memory that does not grow: one more key puts the one out that was put in first. The empty key
// is never there. It may be used from any goroutine.
type Recent[V any] struct {
	mu   sync.Mutex
	have map[string]recentValue[V]
	ring []string // keys, oldest at next
	next int
}

type recentValue[V any] struct {
	value V
	place int // in the ring
}

// NewRecent makes one of n ≥ 1 values.
func NewRecent[V any](n int) *Recent[V] {
	return &Recent[V]{have: make(map[string]recentValue[V]), ring: make([]string, n)}
}

// Get returns the value of key; ok is false when there is none (any more). Asking makes nothing younger.
func (r *Recent[V]) Get(key string) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	had, ok := r.have[key]
	return had.value, ok
}

// Put remembers v as the value of key; a key that is there gets no younger by it.
func (r *Recent[V]) Put(key string, v V) { r.put(key, v, true) }

// First tells whether the key was not there; now it is, with v. A key that was there keeps its value. An empty one is always the first.
func (r *Recent[V]) First(key string, v V) bool { return r.put(key, v, false) }

// Drop forgets key; what is not there is no matter. Its place among the n stays taken until its turn.
func (r *Recent[V]) Drop(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.have, key) // its place is found empty when its turn comes
}

func (r *Recent[V]) put(key string, v V, again bool) (fresh bool) {
	if key == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.have[key]; ok {
		if again {
			r.have[key] = recentValue[V]{v, had.place}
		}
		return false
	}
	if old, ok := r.have[r.ring[r.next]]; ok && old.place == r.next {
		delete(r.have, r.ring[r.next])
	}
	r.ring[r.next] = key
	r.have[key] = recentValue[V]{v, r.next}
	r.next = (r.next + 1) % len(r.ring)
	return true
}
