package telegram

import (
	"context"
	"runtime/debug"
	"sync"
)

// maxPerChat are the updates of one chat that wait.
const maxPerChat = 200

// chatQueues does what updates ask for, those of one chat one after the other and in order, those of different chats side by side.
type chatQueues struct {
	platform *Platform

	mu      sync.Mutex
	open    bool
	ctx     context.Context
	waiting map[int64][]func(context.Context)
	work    sync.WaitGroup
}

func newChatQueues(p *Platform) *chatQueues {
	return &chatQueues{platform: p, waiting: make(map[int64][]func(context.Context))}
}

// run lets work begin; when ctx ends it waits for what is at work. What still waits is given up: Telegram was not told that it arrived.
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
	q.mu.Unlock()
	q.work.Wait()
	return nil
}

// full tells whether a chat takes no more for now.
func (q *chatQueues) full(chat int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[chat]) >= maxPerChat
}

// add puts f behind what waits for its chat.
func (q *chatQueues) add(chat int64, f func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ctx != nil && !q.open {
		return // it has ended
	}
	list, busy := q.waiting[chat]
	q.waiting[chat] = append(list, f)
	if q.open && !busy {
		ctx := q.ctx
		q.work.Go(func() { q.serve(ctx, chat) })
	}
}

func (q *chatQueues) serve(ctx context.Context, chat int64) {
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
			p.log.Error("panic in the Telegram adapter", "err", kind, "stack", string(debug.Stack()))
		}
	}()
	f()
}
