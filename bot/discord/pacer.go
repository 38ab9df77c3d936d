package discord

import (
	"context"
	"sync"
	"time"

	"potluck/bot"
)

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
		if err := bot.Wait(ctx, d); err != nil {
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
