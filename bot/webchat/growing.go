package webchat

import (
	"context"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"potluck/bot"
	"potluck/community"
)

const (
	// saveEvery is how far the row of a growing answer may be behind what people see: a kill loses at most the words of that time, and who
	// continues the answer has them anyway.
	saveEvery = time.Second
	// savesAtOnce go into the same commits of the database.
	savesAtOnce = 32
	// quickest is shorter than what lies between two frames of a worker (50 ms), so its words never wait for each other here.
	quickest = 20 * time.Millisecond
	slowest  = time.Second
	// writesPerSecond is what all growing answers together may cost at all streams; the pace follows from it.
	writesPerSecond = 10_000
)

// growing holds the messages that are not final: their newest text is shown from memory at once, and saved once in a while.
type growing struct {
	mu       sync.Mutex
	saved    bool // somebody saves them: Run runs
	messages map[community.MessageID]*growth
}

type growth struct {
	message Message // as people see it
	ahead   bool    // of its row
}

// begin takes up a message as its row has it now; one that is final or gone leaves.
func (g *growing) begin(m Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.Final || m.Deleted {
		delete(g.messages, m.ID)
		return
	}
	g.messages[m.ID] = &growth{message: m}
}

func (g *growing) drop(id community.MessageID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.messages, id)
}

// grow changes the text of a message in memory. ok is false when that is not enough: it is not known, or more than its text changes, which
// others look for in the row (a button that is pressed, a picture).
func (g *growing) grow(id community.MessageID, text bot.Text, images []Image, buttons []bot.Button) (m Message, changed, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.messages[id]
	if now == nil || now.message.Asks || !g.saved || !alike(now.message.Images, images) || !alike(now.message.Buttons, buttons) {
		return Message{}, false, false
	}
	if !reflect.DeepEqual(now.message.Text, text) {
		now.message.Text, now.ahead, changed = text, true, true
	}
	return now.message, changed, true
}

// alike compares lists; none and empty are the same.
func alike[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// newest is the text of a message as people see it, which may be ahead of its row.
func (g *growing) newest(m Message) bot.Text {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.messages[m.ID]; now != nil && now.ahead {
		return now.message.Text
	}
	return m.Text
}

// ahead lists the messages whose rows are behind.
func (g *growing) ahead() (behind []Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, now := range g.messages {
		if now.ahead {
			behind = append(behind, now.message)
		}
	}
	return behind
}

func (g *growing) number() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.messages)
}

// open tells whether what grows is saved from now on by somebody who looks for it.
func (g *growing) open(saved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.saved = saved
}

// Pace is short while few look on and few answers grow, and grows with both: every edit goes to every stream.
func (p *Page) Pace() time.Duration {
	busy := time.Duration(p.hub.number()*p.growing.number()) * time.Second / writesPerSecond
	return min(max(busy, quickest), slowest)
}

var _ bot.Pacer = (*Page)(nil)

// grow shows the next words of an answer from memory; ok is false when the edit has to be saved. Its caller holds the message's lock.
func (p *Page) grow(id community.MessageID, images []Image, m bot.Outgoing) (ok bool) {
	if m.Final || m.Asks { // a question to somebody is to outlive a kill
		return false
	}
	message, changed, ok := p.growing.grow(id, m.Text, images, m.Buttons)
	if changed {
		p.hub.pass(newFrame(PageEvent{Kind: EditEvent, Message: message}))
	}
	return ok
}

// saveGrowing brings the rows up to what people see. An answer that could not be saved is left to its next edit, which then is not shown
// before it is saved.
func (p *Page) saveGrowing(ctx context.Context) {
	var work errgroup.Group
	work.SetLimit(savesAtOnce)
	for _, m := range p.growing.ahead() {
		work.Go(func() error {
			lock := p.lock(m.ID)
			lock.Lock()
			defer lock.Unlock()
			_, err := p.rewrite(ctx, m.Chat, m.ID, func(now *Message) { now.Text = p.growing.newest(*now) })
			if err != nil {
				p.config.Log.Warn("a growing answer was not saved; its next edit will be", "chat", p.chat(m.Chat).ID, "err", err)
			}
			return nil
		})
	}
	work.Wait()
}
