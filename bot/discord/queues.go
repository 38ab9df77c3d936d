package discord

import (
	"context"
	"runtime/debug"
	"sync"
)

const (
	maxPerChat = 200    // events of one chat that wait
	maxInAll   = 20_000 // events that wait
)

// chatQueues does what events ask for, those of one chat one after the other and in order, those of different chats side by side.
type chatQueues struct {
	platform *Platform

	mu      sync.Mutex
	open    bool
	ctx     context.Context
	waiting map[snowflake][]func(context.Context)
	total   int
	dropped int
	work    sync.WaitGroup
}

func newChatQueues(p *Platform) *chatQueues {
	return &chatQueues{platform: p, waiting: make(map[snowflake][]func(context.Context))}
}

// run lets work begin; when ctx ends it waits for what is at work, and what still waits is given up.
func (q *chatQueues) run(ctx context.Context) error {
	q.mu.Lock()
	q.open, q.ctx = true, ctx
	for chat, list := range q.waiting {
		if len(list) > 0 {
			q.work.Go(func() { q.serve(ctx, chat) })
		}
	}
	q.mu.Unlock()
	<-ctx.Done()
	q.mu.Lock()
	q.open = false
	clear(q.waiting)
	q.total = 0
	q.mu.Unlock()
	q.work.Wait()
	return nil
}

// add puts f behind what waits for its chat; false: there is no room.
func (q *chatQueues) add(chat snowflake, f func(context.Context)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, busy := q.waiting[chat]
	if len(list) >= maxPerChat || q.total >= maxInAll {
		q.dropped++
		if q.dropped&(q.dropped-1) == 0 { // 1, 2, 4, 8, …
			q.platform.log.Warn("more events than can be handled: some are dropped", "chat", chat, "dropped", q.dropped)
		}
		return false
	}
	q.waiting[chat] = append(list, f)
	q.total++
	if q.open && !busy {
		ctx := q.ctx
		q.work.Go(func() { q.serve(ctx, chat) })
	}
	return true
}

func (q *chatQueues) serve(ctx context.Context, chat snowflake) {
	for {
		q.mu.Lock()
		list := q.waiting[chat]
		if len(list) == 0 || !q.open {
			delete(q.waiting, chat)
			q.mu.Unlock()
			return
		}
		f := list[0]
		list[0] = nil
		q.waiting[chat] = list[1:]
		q.total--
		q.mu.Unlock()
		q.platform.guarded(func() { f(ctx) })
	}
}

// guarded runs f; a panic of it ends nothing but itself.
func (p *Platform) guarded(f func()) {
	defer func() {
		if r := recover(); r != nil {
			kind := "panic"
			if err, ok := r.(error); ok {
				kind = err.Error()
			}
			p.log.Error("panic in the Discord adapter", "err", kind, "stack", string(debug.Stack()))
		}
	}()
	f()
}
