package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"potluck/community"
	"potluck/fault"
)

// invocation is a request on its way.
type invocation struct {
	request Request
	member  community.Member
	costly  bool
	rerun   bool
	ctx     context.Context // the request's own
	cancel  context.CancelCauseFunc
	posted  chan struct{} // closed by post
	post    func()        // may be called often
	counted bool          // in the member's pending
	whisper func() bool   // Event.Whisper; nil after a restart
	// withdrawn is set when the message that asks was deleted: nothing is to stay as its answer.
	withdrawn atomic.Bool
}

// chatQueue holds a chat's requests that have no message yet; one goroutine works on it while it is not empty.
type chatQueue struct{ waiting []*invocation }

// resume puts every unfinished request into its chat's queue again.
func (r *Router) resume(ctx context.Context) error {
	unfinished, err := r.store.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("list unfinished requests: %w", err)
	}
	for _, q := range unfinished {
		if r.platforms[community.Platform(q.Chat.ID)] == nil {
			r.log.Warn("an unfinished request of a platform that is not configured stays", "chat", q.Chat.ID, "command", q.Command)
			continue
		}
		member, err := r.people.MemberByID(ctx, q.Member)
		if err != nil { // somebody who wants to be forgotten, perhaps; the request is to end all the same
			r.log.Warn("member of an unfinished request", "chat", q.Chat.ID, "user", q.User, "command", q.Command, "err", err)
			member = community.Member{ID: q.Member, Name: q.Name}
		}
		inv := &invocation{request: q, member: member, rerun: true, costly: r.costly(q.Command)}
		inv.withdrawn.Store(q.State == Withdrawn)
		r.mu.Lock()
		if inv.costly {
			r.allowance(member.ID).pending++
			inv.counted = true
		}
		r.enqueue(inv)
		r.mu.Unlock()
	}
	return nil
}

// costly tells whether what a stored request names counts against the member's limit.
func (r *Router) costly(name string) bool {
	if a, ok := r.actions[name]; ok {
		return a.Costly
	}
	for _, l := range r.listeners {
		if l.Name == name {
			return l.Costly
		}
	}
	f, _ := find(r.commands, strings.Fields(name))
	return f.command != nil && f.costly
}

// enqueue needs mu.
func (r *Router) enqueue(inv *invocation) {
	if r.closed {
		return
	}
	inv.ctx, inv.cancel = context.WithCancelCause(r.base)
	inv.posted = make(chan struct{})
	inv.post = sync.OnceFunc(func() { close(inv.posted) })
	r.running[inv.request.ID] = inv
	id := inv.request.Chat.ID
	q := r.chats[id]
	if q == nil {
		q = new(chatQueue)
		r.chats[id] = q
		r.work.Go(func() { r.serve(id, q) })
	}
	q.waiting = append(q.waiting, inv)
}

// serve starts a chat's requests one after the other: the next when the one before has its first message (or is done), so that the
// messages stand in the order of what was asked, while the work itself goes on side by side.
func (r *Router) serve(id community.ChatID, q *chatQueue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			delete(r.chats, id)
			r.mu.Unlock()
			return
		}
		inv := q.waiting[0]
		r.mu.Unlock()

		// serve itself is counted in work, so the count cannot be zero here.
		r.work.Go(func() { r.perform(inv) })
		limit := time.NewTimer(postLimit)
		select {
		case <-inv.posted:
		case <-limit.C:
		}
		limit.Stop()
		// Taken out only now: until its first message is up, a request counts against the chat's limit.
		r.mu.Lock()
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		r.mu.Unlock()
	}
}

// perform runs one request to its end. Here, and only here, an error becomes a log line and a reply.
func (r *Router) perform(inv *invocation) {
	defer inv.post()
	defer r.end(inv)
	q := inv.request
	platform := r.platforms[community.Platform(q.Chat.ID)]
	if platform == nil {
		r.log.Error("an event of a platform that is not configured", "chat", q.Chat.ID)
		return
	}
	language := r.catalogue.Match(q.Locale)
	say := r.catalogue.Say(language)
	resp := r.responder(inv, platform, say)
	if r.base.Err() != nil {
		return
	}
	r.work.Go(func() { resp.show(r.base) })
	err := r.attempt(inv, &Invocation{Request: q, Member: inv.member, Say: say, Language: language, Reply: resp})
	if r.base.Err() != nil && !resp.isClaimed() {
		<-resp.done
		return // it runs again at the next start
	}
	if resp.isClaimed() {
		r.report(inv, err)
		return
	}
	if err == nil {
		err = r.conclude(resp)
	}
	if cause := context.Cause(inv.ctx); errors.Is(err, context.Canceled) && fault.Has(cause, fault.Cancelled) {
		err = cause // Stop was pressed during a call that tells only that it was interrupted
	}
	if err != nil {
		// Also when the command has begun: it may have failed before it came to its job.
		if inv.rerun && !r.cancelJobs(inv) {
			<-resp.done
			return // as above
		}
		r.report(inv, err)
		err = resp.final(resp.failed(fault.Of(err)))
		if err != nil {
			r.report(inv, err)
		}
	}
}

// attempt waits for the member's turn and runs the command. A panic is an error like any other.
func (r *Router) attempt(inv *invocation, in *Invocation) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
			r.log.Error("panic", "chat", inv.request.Chat.ID, "user", inv.request.User, "command", inv.request.Command,
				"err", err, "stack", string(debug.Stack()))
		}
	}()
	if s := inv.request.State; s == Stopped || s == Withdrawn {
		return fault.New(fault.Cancelled)
	}
	run, err := r.bind(in)
	if err != nil {
		return err
	}
	if q := in.Request; q.ReplyTo != "" {
		if in.Answers, err = r.answers(inv.ctx, q.Chat.ID, q.ReplyTo); err != nil {
			return err
		}
	}
	if inv.costly {
		if err := r.turn(inv, in.Reply.inLine); err != nil {
			return err
		}
		in.Reply.atWork()
		defer r.pass(inv, time.Now())
	}
	if inv.ctx.Err() != nil {
		return context.Cause(inv.ctx)
	}
	if inv.rerun {
		through, err := r.countStart(inv)
		if err != nil {
			return err
		}
		defer through()
	}
	if err := run(inv.ctx, in); err != nil {
		return fmt.Errorf("%s: %w", inv.request.Command, err)
	}
	return nil
}

// countStart counts that the request is about to run again, and an error says that this was tried too often. It is counted back by
// through, or after Limits.Calm: a request that ran that long, or until an orderly stop, has not killed the process.
func (r *Router) countStart(inv *invocation) (through func(), err error) {
	id := inv.request.ID
	starts, err := r.store.CountStart(inv.ctx, id, 1)
	if err != nil {
		r.log.Warn("count the start of a request", "chat", inv.request.Chat.ID, "command", inv.request.Command, "err", err)
		return func() {}, nil
	}
	if most := r.limits.Starts; starts > most {
		return nil, fault.Wrap(fmt.Errorf("the process died %d times soon after it took this request up", most), fault.GivenUp, "times", most)
	}
	over := make(chan struct{})
	r.work.Go(func() { // perform is counted in work, so the count cannot be zero here
		calm := time.NewTimer(r.limits.Calm)
		defer calm.Stop()
		select {
		case <-calm.C:
		case <-over:
		}
		if _, err := r.store.CountStart(r.deliver, id, -1); err != nil && !r.forgotten(r.deliver, id) {
			r.log.Warn("count back the start of a request", "chat", inv.request.Chat.ID, "command", inv.request.Command, "err", err)
		}
	})
	return func() { close(over) }, nil
}

// bind finds what a request runs and fills in its arguments.
func (r *Router) bind(in *Invocation) (func(context.Context, *Invocation) error, error) {
	q := in.Request
	if q.Command == refusal {
		var f fault.Error
		if err := json.Unmarshal(q.Args, &f); err != nil {
			return nil, fmt.Errorf("arguments of request %s: %w", q.ID, err)
		}
		return func(context.Context, *Invocation) error { return &f }, nil
	}
	if h, ok := r.actions[q.Command]; ok {
		var a Action
		if err := json.Unmarshal(q.Args, &a); err != nil {
			return nil, fmt.Errorf("arguments of request %s: %w", q.ID, err)
		}
		return func(ctx context.Context, in *Invocation) error { return h.Run(ctx, in, a) }, nil
	}
	p, err := q.Parsed()
	if err != nil {
		return nil, err
	}
	in.Options, in.Rest = p.Options, p.Rest
	if in.Options == nil {
		in.Options = make(map[string]string)
	}
	for _, l := range r.listeners {
		if l.Name == q.Command {
			return l.Run, nil
		}
	}
	for _, h := range r.reactions {
		if h.Name == q.Command {
			return h.Run, nil
		}
	}
	f, err := find(r.commands, strings.Fields(q.Command)) // a command of an older version may be gone
	if err != nil {
		return nil, err
	}
	return f.command.Run, nil
}

// cancelJobs ends what an earlier process began for a request whose command is not called any more, so that nobody works and pays for
// what nobody will see. False: the process ends before that was possible.
func (r *Router) cancelJobs(inv *invocation) bool {
	if r.cancel == nil {
		return true
	}
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		err := r.cancel(r.base, inv.request.ID)
		if err == nil {
			return true
		}
		r.log.Warn("cancel the jobs of a request", "chat", inv.request.Chat.ID, "command", inv.request.Command, "err", err)
		if Wait(r.base, wait) != nil {
			return false
		}
	}
}

// report writes the log line of a run's error: what people got wrong or stopped is of no interest in quiet hours.
func (r *Router) report(inv *invocation, err error) {
	if err == nil {
		return
	}
	f := fault.Of(err)
	level := slog.LevelDebug
	switch {
	case f.Code == fault.Internal:
		level = slog.LevelError
	case f.Cause != nil && !f.Code.Mistake():
		level = slog.LevelWarn
	}
	r.log.Log(context.Background(), level, "request", "chat", inv.request.Chat.ID, "user", inv.request.User, "command", inv.request.Command, "err", err)
}

// end forgets a request that runs no more.
func (r *Router) end(inv *invocation) {
	inv.cancel(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, inv.request.ID)
	if inv.counted {
		r.allowance(inv.member.ID).pending--
	}
}

// panicked keeps the message of a runtime error; any other value could hold what people wrote.
func panicked(p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %T", p)
}

// forgotten tells whether a request was deleted while it ran, because somebody wants to be forgotten: there is nothing to save any more.
func (r *Router) forgotten(ctx context.Context, id string) bool {
	_, ok, err := r.store.Request(ctx, id)
	return err == nil && !ok
}
