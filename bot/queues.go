package bot

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Queues does what the events of a platform ask for: those of one chat one after the other and in order, those of different chats side by side.
// K names a chat. A panic of a task is logged and ends nothing but that task.
type Queues[K comparable] struct {
	limits QueueLimits
	log    *slog.Logger

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	ended   bool
	waiting map[K][]func(context.Context) // a chat at work stands here too
	total   int
	work    sync.WaitGroup
}

// QueueLimits are the tasks that wait at most. PerChat and Total are ≥ 1.
type QueueLimits struct{ PerChat, Total int }

// NewQueues makes queues that take tasks at once; none of them begins before Run. Panics of tasks go to log.
func NewQueues[K comparable](limits QueueLimits, log *slog.Logger) *Queues[K] {
	return &Queues[K]{limits: limits, log: log, waiting: make(map[K][]func(context.Context))}
}

// Run lets work begin. When ctx ends it waits for what is at work; what still waits is given up. It runs once.
func (q *Queues[K]) Run(ctx context.Context) error {
	q.mu.Lock()
	q.ctx = ctx
	for chat := range q.waiting {
		q.work.Go(func() { q.serve(chat) })
	}
	q.mu.Unlock()
	<-ctx.Done()
	q.mu.Lock()
	q.ended = true
	clear(q.waiting)
	q.total = 0
	q.mu.Unlock()
	q.work.Wait()
	return nil
}

// Full tells whether a chat takes no more for now, by its own limit or by that of all.
func (q *Queues[K]) Full(chat K) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[chat]) >= q.limits.PerChat || q.total >= q.limits.Total
}

// Add puts f behind what waits for its chat, also above the limits: who can refuse asks Full before. After the end of Run it does nothing.
func (q *Queues[K]) Add(chat K, f func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return
	}
	list, busy := q.waiting[chat]
	q.waiting[chat] = append(list, f)
	q.total++
	if q.ctx != nil && !busy {
		q.work.Go(func() { q.serve(chat) })
	}
}

// Drain does on this goroutine what waits, of a platform that does not run.
func (q *Queues[K]) Drain(ctx context.Context) {
	for {
		q.mu.Lock()
		list := q.waiting
		q.waiting, q.total = make(map[K][]func(context.Context)), 0
		q.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, tasks := range list {
			for _, f := range tasks {
				f(ctx)
			}
		}
	}
}

func (q *Queues[K]) serve(chat K) {
	for {
		q.mu.Lock()
		list := q.waiting[chat]
		if len(list) == 0 || q.ended {
			delete(q.waiting, chat)
			q.mu.Unlock()
			return
		}
		f := list[0]
		list[0] = nil
		q.waiting[chat] = list[1:]
		q.total--
		q.mu.Unlock()
		Guarded(q.log, func() { f(q.ctx) })
	}
}

// Guarded runs f; a panic of it is logged and ends nothing but f.
func Guarded(log *slog.Logger, f func()) {
	defer func() {
		if r := recover(); r != nil {
			kind := "panic"
			if err, ok := r.(error); ok {
				kind = err.Error()
			}
			log.Error("panic", "err", kind, "stack", string(debug.Stack()))
		}
	}()
	f()
}
