package telegram

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// class says how urgent a call is. Of those that wait, the higher goes first.
type class int

const (
	progress    class = iota // may be dropped: the next one says more
	placeholder              // the first message of an answer
	final                    // never lost
)

const (
	perSecond = 30 // calls that write, of the whole bot
	perMinute = 20 // messages and edits in one group
	chatApart = time.Second
	// Edits of growing messages in a group are this far apart: then a third of the group's minute is left for answers.
	groupEdits = 3500 * time.Millisecond
	// Of a group's minute, progress leaves this much to others, placeholders this much to finals.
	leftByProgress, leftByPlaceholder = 5, 2
	// Progress waits this long at most, then it is dropped: what it shows is old by then.
	progressPatience = 1200 * time.Millisecond
	// When this many chats are limited within limitedNear, the limit is the bot's.
	manyLimited = 3
	limitedNear = 5 * time.Second
	// globalPause is how long the whole bot then waits at most; each chat's own time holds besides.
	globalPause = 30 * time.Second
	maxBudgets  = 10_000 // chats that are remembered; those that are idle are forgotten above
)

// errDropped says that progress found no room.
var errDropped = errors.New("dropped: no room for progress")

// budget lets calls go when Telegram's limits allow it: finals first, then placeholders, then progress.
type budget struct {
	mu      sync.Mutex
	chats   map[int64]*chatBudget
	recent  []time.Time // of all calls, within the last second
	pause   time.Time   // no call before
	limited map[int64]time.Time
	waiting []*turn
	order   int
	timer   *time.Timer
	told    func(chat int64, wait time.Duration)
}

// chatBudget is guarded by budget.mu.
type chatBudget struct {
	recent   []time.Time // within the last minute
	progress time.Time   // the last call that showed progress
	pause    time.Time   // no call before, as Telegram wants it
}

// turn is a call that waits.
type turn struct {
	chat  int64 // 0: it belongs to none
	cost  int   // messages
	class class
	order int
	free  chan struct{} // closed when it may go
}

func newBudget(told func(chat int64, wait time.Duration)) *budget {
	return &budget{chats: make(map[int64]*chatBudget), limited: make(map[int64]time.Time), told: told}
}

// begin is called when calls may begin. What an earlier process did is not known: a second's silence is kept after it.
func (b *budget) begin(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause = later(b.pause, now.Add(chatApart))
}

// enter waits until a call that writes cost messages (0: none that counts) into a chat may be made.
func (b *budget) enter(ctx context.Context, chat int64, cost int, c class) error {
	b.mu.Lock()
	b.order++
	t := &turn{chat: chat, cost: cost, class: c, order: b.order, free: make(chan struct{})}
	now := time.Now()
	if c == progress && b.when(t, now).Sub(now) > progressPatience {
		b.mu.Unlock()
		return errDropped
	}
	at, _ := slices.BinarySearchFunc(b.waiting, t, before)
	b.waiting = slices.Insert(b.waiting, at, t)
	b.dispatch(now)
	b.mu.Unlock()
	var late <-chan time.Time
	if c == progress {
		timer := time.NewTimer(progressPatience)
		defer timer.Stop()
		late = timer.C
	}
	var err error
	select {
	case <-t.free:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late:
		err = errDropped
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at = slices.Index(b.waiting, t)
	if at < 0 {
		return nil // it was let go at the same moment
	}
	b.waiting = slices.Delete(b.waiting, at, at+1)
	b.dispatch(time.Now())
	return err
}

// before orders turns: the more urgent class first, then as they came.
func before(a, b *turn) int {
	return cmp.Or(cmp.Compare(b.class, a.class), cmp.Compare(a.order, b.order))
}

// dispatch lets go what may go now and sets the timer for what may go next. It needs mu.
func (b *budget) dispatch(now time.Time) {
	var next time.Time
	blocked := make(map[int64]bool) // chats in which something more urgent waits
	kept := b.waiting[:0]
	for _, t := range b.waiting {
		at := b.when(t, now)
		if !at.After(now) && !blocked[t.chat] {
			b.count(t, now)
			close(t.free)
			continue
		}
		if t.chat != 0 {
			blocked[t.chat] = true
		}
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
		kept = append(kept, t)
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	if b.timer != nil {
		b.timer.Stop()
	}
	if !next.IsZero() {
		b.timer = time.AfterFunc(next.Sub(now), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.dispatch(time.Now())
		})
	}
}

// when is the earliest moment at which a call may be made, as far as is known now. It needs mu.
func (b *budget) when(t *turn, now time.Time) time.Time {
	at := later(now, b.pause)
	if t.chat == 0 && t.cost == 0 {
		return at // the answer to a press, say, is no message: somebody looks at a button that turns
	}
	b.recent = within(b.recent, now, time.Second)
	if n := len(b.recent) - perSecond + max(t.cost, 1); n > 0 {
		at = later(at, b.recent[min(n, len(b.recent))-1].Add(time.Second))
	}
	c := b.chats[t.chat]
	if t.chat == 0 || c == nil {
		return at
	}
	at = later(at, c.pause)
	if t.cost == 0 {
		return at
	}
	c.recent = within(c.recent, now, time.Minute)
	if n := len(c.recent); n > 0 {
		at = later(at, c.recent[n-1].Add(chatApart))
	}
	if t.chat > 0 {
		return at
	}
	room := perMinute
	switch t.class {
	case progress:
		room -= leftByProgress
		at = later(at, c.progress.Add(groupEdits))
	case placeholder:
		room -= leftByPlaceholder
	}
	if n := len(c.recent) - room + t.cost; n > 0 {
		at = later(at, c.recent[min(n, len(c.recent))-1].Add(time.Minute))
	}
	return at
}

// count takes a call out of the budgets. It needs mu.
func (b *budget) count(t *turn, now time.Time) {
	if t.chat == 0 && t.cost == 0 {
		return
	}
	for range max(t.cost, 1) {
		b.recent = append(b.recent, now)
	}
	if t.chat == 0 || t.cost == 0 {
		return
	}
	c := b.chat(t.chat, now)
	for range t.cost {
		c.recent = append(c.recent, now)
	}
	if t.class == progress {
		c.progress = now
	}
}

// chat needs mu.
func (b *budget) chat(id int64, now time.Time) *chatBudget {
	c := b.chats[id]
	if c == nil {
		if len(b.chats) >= maxBudgets {
			for k, old := range b.chats {
				if len(within(old.recent, now, time.Minute)) == 0 && !now.Before(old.pause) {
					delete(b.chats, k)
				}
			}
		}
		c = new(chatBudget)
		b.chats[id] = c
	}
	return c
}

// limit obeys a 429: nothing goes to that chat before the time that Telegram named is over. Several limited chats mean the bot as a whole.
func (b *budget) limit(chat int64, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	c := b.chat(chat, now)
	c.pause = later(c.pause, now.Add(wait))
	for k, at := range b.limited {
		if now.Sub(at) > limitedNear {
			delete(b.limited, k)
		}
	}
	b.limited[chat] = now
	if len(b.limited) >= manyLimited {
		b.pause = later(b.pause, now.Add(min(wait, globalPause)))
	}
	if b.told != nil {
		b.told(chat, wait)
	}
	b.dispatch(now)
}

// close ends the timer; nothing waits any more.
func (b *budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}

// within drops what is older than d.
func within(list []time.Time, now time.Time, d time.Duration) []time.Time {
	old := 0
	for old < len(list) && now.Sub(list[old]) >= d {
		old++
	}
	if old == 0 {
		return list
	}
	return append(list[:0], list[old:]...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
