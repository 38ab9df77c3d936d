package discord

import (
	"context"
	"sync"
	"time"

	"potluck/community"
)

// lru remembers the newest n values.
type lru[V any] struct {
	mu   sync.Mutex
	have map[string]V
	ring []string
	at   int
}

func newLRU[V any](n int) *lru[V] { return &lru[V]{have: make(map[string]V), ring: make([]string, n)} }

func (l *lru[V]) get(key string) V {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.have[key]
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

// hashes are an lru of what messages show.
type hashes struct{ lru[[32]byte] }

func newHashes(n int) *hashes {
	return &hashes{lru[[32]byte]{have: make(map[string][32]byte), ring: make([]string, n)}}
}

// is tells whether a message shows this.
func (h *hashes) is(key string, v [32]byte) bool { return h.get(key) == v }

type sentParts = lru[[]community.MessageID]

const (
	paceEdits  = 4
	paceWindow = 5 * time.Second
)

// pacer spaces edits of growing messages in one channel: at most paceEdits in paceWindow.
type pacer struct {
	mu    sync.Mutex
	edits map[string][]time.Time
}

func newPacer() *pacer { return &pacer{edits: make(map[string][]time.Time)} }

// wait returns when one more edit fits; it counts.
func (p *pacer) wait(ctx context.Context, channel string) error {
	for {
		p.mu.Lock()
		now := time.Now()
		list := p.edits[channel]
		for len(list) > 0 && now.Sub(list[0]) >= paceWindow {
			list = list[1:]
		}
		if len(list) < paceEdits {
			p.edits[channel] = append(list, now)
			p.mu.Unlock()
			return nil
		}
		p.edits[channel] = list
		d := paceWindow - now.Sub(list[0])
		p.mu.Unlock()
		if err := await(ctx, d, nil); err != nil {
			return err
		}
	}
}

// sweep forgets channels where nothing is edited.
func (p *pacer) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for channel, list := range p.edits {
		if len(list) == 0 || now.Sub(list[len(list)-1]) >= paceWindow {
			delete(p.edits, channel)
		}
	}
}
