package bot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"potluck/community"
	"potluck/fault"
)

// Config is what a Router is made of. Log, Limits, Pace, Keep, Eraser and Cancel may be left out.
type Config struct {
	Platforms []Platform
	Commands  []Command
	Listeners []Listener
	Actions   []ActionHandler
	Store     Store
	People    community.Store
	Catalogue Catalogue
	Eraser    Eraser
	// Cancel ends the jobs that a request of an earlier process left behind; those that are over stay as they are.
	Cancel func(ctx context.Context, request string) error
	Log    *slog.Logger
	Limits Limits
	Pace   time.Duration // between two edits of a growing message where the platform is no Pacer; default 400 ms
	Keep   time.Duration // how long requests, buttons and what was sent are remembered; default 30 days
}

// Limits are per member, except Chat. A zero takes the default.
type Limits struct {
	Running   int           // costly requests at work at once; default 2
	Queued    int           // costly requests waiting besides; default 5
	PerMinute int           // requests of any kind; default 30
	Chat      int           // requests of one chat that have no reply yet; default 100
	Drain     time.Duration // how long Run waits for what runs when it ends; default 10 s
}

const (
	stopAction = "stop"
	// refusal is the Command of a request that only tells why another was not accepted; its Args are the fault.
	refusal = "refusal"
	// A chat's queue goes on to the next request when a first message takes longer than this to send.
	postLimit = 30 * time.Second
	// Answers to a flood of requests that not even a refusal is kept for: at most this many at once.
	busyLimit = 16
	// A request that is taken up again this often, and the process dies within calmAfter each time, is given up: it may be what kills it.
	maxStarts = 3
	calmAfter = 10 * time.Second
)

var errStopping = errors.New("the bot is stopping")

// Router takes the events of all platforms, keeps what is asked, runs it, and sees to it that each request gets exactly one final answer.
type Router struct {
	platforms map[string]Platform
	all       []Platform
	commands  []Command
	listeners []Listener
	actions   map[string]ActionHandler
	store     Store
	people    community.Store
	catalogue Catalogue
	eraser    Eraser
	cancel    func(ctx context.Context, request string) error
	log       *slog.Logger
	limits    Limits
	pace      time.Duration
	keep      time.Duration

	ready   chan struct{} // closed when Run takes events
	base    context.Context
	deliver context.Context // ends when Run gives up waiting for finals; set before ready
	busy    chan struct{}   // one token per Busy reply being sent

	mu      sync.Mutex
	closed  bool
	work    sync.WaitGroup // every goroutine but the platforms'; Add only under mu while not closed
	chats   map[community.ChatID]*chatQueue
	running map[string]*invocation // by request, from acceptance to the end
	members map[community.MemberID]*allowance
	typical time.Duration // how long a costly request takes, moving mean
}

// chatQueue holds a chat's requests that have no message yet; one goroutine works on it while it is not empty.
type chatQueue struct{ waiting []*invocation }

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
}

// NewRouter checks the commands (see CheckCommands) and that every name is used once.
func NewRouter(c Config) (*Router, error) {
	if err := CheckCommands(c.Commands); err != nil {
		return nil, err
	}
	r := &Router{
		platforms: make(map[string]Platform), all: c.Platforms, commands: c.Commands, listeners: c.Listeners,
		actions: make(map[string]ActionHandler), store: c.Store, people: c.People, catalogue: c.Catalogue, eraser: c.Eraser, cancel: c.Cancel,
		log: cmp.Or(c.Log, slog.Default()), pace: cmp.Or(c.Pace, 400*time.Millisecond), keep: cmp.Or(c.Keep, actionLife),
		limits: Limits{
			Running: cmp.Or(c.Limits.Running, 2), Queued: cmp.Or(c.Limits.Queued, 5), PerMinute: cmp.Or(c.Limits.PerMinute, 30),
			Chat: cmp.Or(c.Limits.Chat, 100), Drain: cmp.Or(c.Limits.Drain, 10*time.Second),
		},
		ready: make(chan struct{}), busy: make(chan struct{}, busyLimit),
		chats: make(map[community.ChatID]*chatQueue), running: make(map[string]*invocation),
		members: make(map[community.MemberID]*allowance), typical: 20 * time.Second,
	}
	for _, p := range c.Platforms {
		if _, ok := r.platforms[p.Name()]; ok {
			return nil, fmt.Errorf("two platforms named %q", p.Name())
		}
		r.platforms[p.Name()] = p
	}
	names := map[string]bool{stopAction: true, refusal: true}
	take := func(name string) error {
		if name == "" || names[name] {
			return fmt.Errorf("the name %q is empty or used twice among commands, listeners and actions", name)
		}
		names[name] = true
		return nil
	}
	for _, cmd := range c.Commands {
		if err := take(cmd.Name); err != nil {
			return nil, err
		}
	}
	for _, l := range c.Listeners {
		if err := take(l.Name); err != nil {
			return nil, err
		}
	}
	for _, a := range c.Actions {
		if err := take(a.Name); err != nil {
			return nil, err
		}
		r.actions[a.Name] = a
	}
	return r, nil
}

// Run takes up every unfinished request, then runs all platforms until ctx ends or one of them fails. Then no event is taken any more,
// what runs is cancelled and waited for (Limits.Drain); what got no final answer by then stays unfinished for the next start.
// A Router runs once.
func (r *Router) Run(ctx context.Context) error {
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(errStopping)
	deliver, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	r.base, r.deliver = base, deliver

	if err := r.resume(ctx); err != nil {
		return err
	}
	close(r.ready)
	r.spawn(func() { r.forget(base) })

	// The platforms outlive the requests: finals still go out while they are waited for.
	platforms, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	g, failed := errgroup.WithContext(platforms)
	for _, p := range r.all {
		g.Go(func() error {
			if err := p.Run(failed, r.Handle); err != nil && platforms.Err() == nil {
				return fmt.Errorf("%s: %w", p.Name(), err)
			}
			return nil
		})
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	stop(errStopping)
	idle := make(chan struct{})
	go func() { r.work.Wait(); close(idle) }()
	drain := time.NewTimer(r.limits.Drain)
	defer drain.Stop()
	select {
	case <-idle:
	case <-drain.C:
		r.log.Warn("requests did not end in time", "after", r.limits.Drain)
	}
	abandon()
	disconnect()
	err := g.Wait()
	// Whoever still runs here ignores its context; it is left behind rather than hanging the process.
	last := time.NewTimer(time.Second)
	defer last.Stop()
	select {
	case <-idle:
	case <-last.C:
		err = errors.Join(err, errors.New("a command did not end although its context did"))
	}
	return err
}

// spawn runs f unless the Router is closed; Run waits for it.
func (r *Router) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.work.Go(f)
	return true
}

func (r *Router) forget(ctx context.Context) {
	for {
		if err := r.store.Forget(ctx, time.Now().Add(-r.keep)); err != nil && ctx.Err() == nil {
			r.log.Error("forget old requests", "err", err)
		}
		if !sleep(ctx, time.Hour) {
			return
		}
	}
}

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

// Handle is the Handler of every platform. It returns nil once the event is safe: its request saved, or of no interest.
func (r *Router) Handle(ctx context.Context, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil { // of a Listener's Match
			err = panicked(p)
			r.log.Error("panic", "chat", e.Chat.ID, "user", e.User, "err", err, "stack", string(debug.Stack()))
		}
	}()
	select {
	case <-r.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.FromBot {
		return nil
	}
	if r.base.Err() != nil {
		return errStopping
	}
	e.Text = e.Text.valid()
	switch e.Kind {
	case MessageNew:
		err = r.message(ctx, e)
	case ActionPressed:
		err = r.pressed(ctx, e)
	case ChatMigrated:
		if m, ok := r.people.(mover); ok {
			err = m.MoveChat(ctx, e.Chat.ID, e.MovedTo)
		}
	}
	if err != nil {
		return fmt.Errorf("take %s of %s: %w", e.Kind, e.Chat.ID, err)
	}
	return nil
}

// mover is a community.Store that can give a chat another id and keep what belongs to it.
type mover interface {
	MoveChat(ctx context.Context, from, to community.ChatID) error
}

func (r *Router) message(ctx context.Context, e Event) error {
	want := wish{event: e}
	if e.Command != nil || isCommand(e.Text.Plain) {
		var f found
		var p Parsed
		var err error
		if e.Command != nil {
			f, err = find(r.commands, e.Command.Path)
			if err == nil {
				p, err = check(f, *e.Command)
			}
		} else {
			f, p, err = parse(r.commands, e.Text)
		}
		want.needs, want.costly, want.private = f.needs, f.costly, f.private || e.Private
		want.command = strings.Join(f.path, " ")
		if want.args, want.refused = p, err; err != nil {
			want.costly = false
		}
		return r.accept(ctx, want)
	}
	if e.ReplyTo != "" && len(r.listeners) > 0 {
		var err error
		if e.Answers, err = r.answers(ctx, e.Chat.ID, e.ReplyTo); err != nil {
			return err
		}
	}
	for _, l := range r.listeners {
		if l.Match(e) {
			want.command, want.costly, want.private = l.Name, l.Costly, e.Private
			want.args = Parsed{Rest: e.Text}
			return r.accept(ctx, want)
		}
	}
	return nil
}

// answers returns the request whose answer a message is, "" if none.
func (r *Router) answers(ctx context.Context, chat community.ChatID, m community.MessageID) (string, error) {
	request, _, err := r.store.RequestOf(ctx, chat, m)
	if err != nil {
		return "", fmt.Errorf("find what is replied to: %w", err)
	}
	return request, nil
}

// wish is what an event asks for, before it is a Request.
type wish struct {
	event   Event
	member  *community.Member // nil: accept looks it up
	command string
	args    any
	costly  bool
	private bool
	needs   community.Role
	refused error
}

// who makes sure of the chat and the member and adds the role of operators.
func (r *Router) who(ctx context.Context, e *Event) (community.Member, error) {
	chat, err := r.people.Chat(ctx, e.Chat)
	if err != nil {
		return community.Member{}, fmt.Errorf("chat: %w", err)
	}
	e.Chat = chat
	m, err := r.people.Member(ctx, e.User, e.Name, time.Now())
	if err != nil {
		return community.Member{}, fmt.Errorf("member: %w", err)
	}
	if m.Operator {
		e.Role = community.Operator
	}
	return m, nil
}

// pressed finds what a button does. Stop is done at once; everything else becomes a request.
func (r *Router) pressed(ctx context.Context, e Event) error {
	a, ok, err := r.store.Action(ctx, e.Action)
	if err != nil {
		return fmt.Errorf("find the action: %w", err)
	}
	want := wish{event: e, private: true}
	handler := r.actions[a.Name]
	if !ok || !time.Now().Before(a.Expires) || (handler.Run == nil && a.Name != stopAction) {
		want.refused = fault.New(fault.Gone)
		return r.accept(ctx, want)
	}
	member, err := r.who(ctx, &e)
	if err != nil {
		return err
	}
	if member.Blocked {
		return nil
	}
	want.event, want.member = e, &member
	moderates := e.Role >= community.Admin && (handler.Moderators || a.Name == stopAction)
	if a.Owner != 0 && a.Owner != member.ID && !moderates {
		want.refused = fault.New(fault.NotYours, "what", a.Name)
		return r.accept(ctx, want)
	}
	if a.Name == stopAction {
		return r.stop(ctx, a, want)
	}
	if handler.Anew {
		q, ok, err := r.store.Request(ctx, a.Request)
		if err != nil {
			return fmt.Errorf("find the question: %w", err)
		}
		if ok && q.Source != "" && q.Chat.ID == e.Chat.ID {
			want.event.Message = q.Source
		}
	}
	want.command, want.costly, want.private, want.args = a.Name, handler.Costly, handler.Private || e.Private, a
	return r.accept(ctx, want)
}

// stop is saved first, so that it also holds when the process ends before the final is out.
func (r *Router) stop(ctx context.Context, a Action, want wish) error {
	q, ok, err := r.store.Request(ctx, a.Request)
	if err != nil {
		return fmt.Errorf("find the request: %w", err)
	}
	if !ok || q.State == Delivered {
		want.refused = fault.New(fault.Gone)
		return r.accept(ctx, want)
	}
	if err := r.store.SetState(ctx, q.ID, Stopped); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	r.mu.Lock()
	inv := r.running[q.ID]
	r.mu.Unlock()
	if inv != nil {
		inv.cancel(fault.New(fault.Cancelled))
	}
	return nil
}

// accept saves a wish, or the answer that refuses it, and puts it into the chat's queue.
func (r *Router) accept(ctx context.Context, w wish) error {
	if w.member == nil {
		m, err := r.who(ctx, &w.event)
		if err != nil {
			if e := w.event; fault.Has(err, fault.Storage) {
				r.tell(Request{Event: e.ID, Chat: e.Chat, User: e.User, Locale: r.catalogue.Match("", e.Locale), Source: e.Message, Handle: e.Handle, Private: w.private}, fault.Storage)
			}
			return err
		}
		w.member = &m
	}
	member, e := *w.member, w.event
	if member.Blocked {
		return nil
	}
	if w.refused == nil && e.Role < w.needs {
		w.refused = fault.New(fault.Forbidden, "role", w.needs)
	}
	counted := false
	r.mu.Lock()
	full := r.chats[e.Chat.ID] != nil && len(r.chats[e.Chat.ID].waiting) >= r.limits.Chat
	if !full {
		al := r.allowance(member.ID)
		if w.refused == nil {
			w.refused = r.admit(al, w.costly, time.Now())
			counted = w.refused == nil && w.costly
		} else if err := r.admit(al, false, time.Now()); err != nil {
			w.refused = err
		}
		if fault.Has(w.refused, fault.RateLimited) && e.Handle == "" && !al.mayTell(r.limits.PerMinute, time.Now()) {
			r.mu.Unlock()
			return nil // it was told often enough in this minute
		}
	}
	r.mu.Unlock()
	release := func() {
		if counted {
			r.mu.Lock()
			r.allowance(member.ID).pending--
			r.mu.Unlock()
		}
	}

	q := Request{
		ID: newID(), Event: e.ID, Chat: e.Chat, User: e.User, Member: member.ID, Name: e.Name,
		Locale: r.catalogue.Match(member.Language, e.Locale), Role: e.Role, Command: w.command, Source: e.Message, ReplyTo: e.ReplyTo,
		Handle: e.Handle, Private: w.private, State: Accepted, Created: time.Now(),
	}
	if full {
		r.tell(q, fault.Busy)
		return nil
	}
	if w.refused != nil {
		f := fault.Of(w.refused)
		q.Command, w.args = refusal, fault.Error{Code: f.Code, Args: f.Args}
	}
	args, err := json.Marshal(w.args)
	if err != nil {
		release()
		return fmt.Errorf("arguments: %w", err)
	}
	q.Args = args
	fresh, err := r.store.Accept(ctx, q)
	if err != nil || !fresh {
		release()
		if fault.Has(err, fault.Storage) {
			r.tell(q, fault.Storage)
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		return nil
	}
	inv := &invocation{request: q, member: member, costly: w.costly && w.refused == nil, counted: counted}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enqueue(inv) // when the Router has closed meanwhile, the request runs at the next start
	return nil
}

// tell answers with a fault's text without a request: what there is no room for is not kept either. The nonce comes from the event, for a
// second delivery.
func (r *Router) tell(q Request, code fault.Code) {
	select {
	case r.busy <- struct{}{}:
	default:
		r.log.Warn("too many requests to answer", "chat", q.Chat.ID, "user", q.User)
		return
	}
	sum := sha256.Sum256([]byte(q.Event))
	out := Outgoing{
		Chat: q.Chat.ID, ReplyTo: q.Source, Text: r.catalogue.Say(q.Locale)("fault." + string(code)), Final: true,
		Nonce: base32.StdEncoding.EncodeToString(sum[:])[:16], Handle: q.Handle,
	}
	if q.Private {
		out.Only = q.User
	}
	if !r.spawn(func() {
		defer func() { <-r.busy }()
		ctx, cancel := context.WithTimeout(r.base, postLimit)
		defer cancel()
		if p := r.platforms[community.Platform(q.Chat.ID)]; p != nil {
			if _, err := p.Send(ctx, out); err != nil {
				r.log.Warn("tell why a request was not kept", "code", code, "chat", q.Chat.ID, "user", q.User, "err", err)
			}
		}
	}) {
		<-r.busy
	}
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
	if inv.request.State == Stopped {
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
		if err := r.turn(inv); err != nil {
			return err
		}
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
// through, or after calmAfter: a request that ran that long, or until an orderly stop, has not killed the process.
func (r *Router) countStart(inv *invocation) (through func(), err error) {
	id := inv.request.ID
	starts, err := r.store.CountStart(inv.ctx, id, 1)
	if err != nil {
		r.log.Warn("count the start of a request", "chat", inv.request.Chat.ID, "command", inv.request.Command, "err", err)
		return func() {}, nil
	}
	if starts > maxStarts {
		return nil, fmt.Errorf("the process died %d times soon after it took this request up", maxStarts)
	}
	over := make(chan struct{})
	r.work.Go(func() { // perform is counted in work, so the count cannot be zero here
		calm := time.NewTimer(calmAfter)
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
		if !sleep(r.base, wait) {
			return false
		}
	}
}

// forgotten tells whether a request was deleted while it ran, because somebody wants to be forgotten: there is nothing to save any more.
func (r *Router) forgotten(ctx context.Context, id string) bool {
	_, ok, err := r.store.Request(ctx, id)
	return err == nil && !ok
}

// panicked keeps the message of a runtime error; any other value could hold what people wrote.
func panicked(p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %T", p)
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
	f, err := find(r.commands, strings.Fields(q.Command)) // a command of an older version may be gone
	if err != nil {
		return nil, err
	}
	return f.command.Run, nil
}

// conclude ends a request whose run returned nil without Final: what it showed last is the answer; if that is nothing, nothing is said.
func (r *Router) conclude(resp *Responder) error {
	shown := resp.Shown()
	if !empty(shown) {
		return resp.final(shown)
	}
	if resp.costly {
		return errors.New("the command ended without an answer")
	}
	if !resp.take(Reply{}) {
		return nil
	}
	if len(resp.parts) > 0 { // a placeholder that came up because the run took long
		if err := resp.platform.Delete(r.deliver, resp.request.Chat.ID, resp.parts); err != nil && !fault.Has(err, fault.Gone) {
			r.log.Warn("take back a placeholder", "chat", resp.request.Chat.ID, "command", resp.request.Command, "err", err)
		}
	}
	return resp.close(r.deliver)
}

func empty(rep Reply) bool { return rep.Text.Plain == "" && len(rep.Pictures) == 0 }

// failed is the final of a run that ended with a fault: what there is of the answer, then what happened.
func (r *Responder) failed(f *fault.Error) Reply {
	r.mu.Lock()
	shown, below, say := r.shown, r.below, r.say
	r.mu.Unlock()
	args := make([]any, 0, 2*len(f.Args))
	for _, name := range slices.Sorted(maps.Keys(f.Args)) {
		args = append(args, name, f.Args[name])
	}
	line := say("fault."+string(f.Code), args...)
	if !shown.Status {
		line = Join(Plain("\n\n"), shown.Text, line)
	}
	return Reply{Text: Join(Plain("\n"), line, below)}
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
	case f.Cause != nil:
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

func (r *Responder) isClaimed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claimed
}

// valid returns t as valid UTF-8 with well-formed spans: platforms and people can send anything.
func (t Text) valid() Text {
	if !utf8.ValidString(t.Plain) {
		return Plain(strings.ToValidUTF8(t.Plain, "\uFFFD"))
	}
	return t.normal()
}
