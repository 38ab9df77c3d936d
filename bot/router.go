package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"potluck/community"
)

// Config is what a Router is made of. Reactions, Log, Limits, Pace, Keep, Eraser, Gate and Cancel may be left out.
type Config struct {
	Platforms []Platform
	Commands  []Command
	Listeners []Listener
	Actions   []ActionHandler
	Reactions []ReactionHandler
	Store     Store
	People    People
	Catalogue Catalogue
	Eraser    Eraser
	// Gate says, as a fault, what a place has against something costly, before it is kept; q has no id and no arguments. nil: nothing ever.
	Gate func(ctx context.Context, q Request, m community.Member) error
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
	PerMinute int           // requests of any kind; default 20
	Chat      int           // requests of one chat that have no reply yet; default 100
	Drain     time.Duration // how long Run waits for what runs when it ends; default 10 s
	// Starts is how often a request is taken up again after the process died within Calm of doing so; then it is given up, for it may be what
	// kills it. Default 3 and 10 s.
	Starts int
	Calm   time.Duration
}

const (
	stopAction = "stop"
	// refusal is the Command of a request that only tells why another was not accepted; its Args are the fault.
	refusal = "refusal"
	// A chat's queue goes on to the next request when a first message takes longer than this to send.
	postLimit = 30 * time.Second
	// Answers to a flood of requests that not even a refusal is kept for: at most this many at once.
	busyLimit = 16
)

var errStopping = errors.New("the bot is stopping")

// Router takes the events of all platforms, keeps what is asked, runs it, and sees to it that each request gets exactly one final answer.
type Router struct {
	platforms map[string]Platform
	all       []Platform
	commands  []Command
	listeners []Listener
	actions   map[string]ActionHandler
	reactions []ReactionHandler
	store     Store
	people    People
	catalogue Catalogue
	eraser    Eraser
	gate      func(ctx context.Context, q Request, m community.Member) error
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

// NewRouter checks the commands (see CheckCommands) and that every name is used once.
func NewRouter(c Config) (*Router, error) {
	if err := CheckCommands(c.Commands); err != nil {
		return nil, err
	}
	r := &Router{
		platforms: make(map[string]Platform), all: c.Platforms, commands: c.Commands, listeners: c.Listeners,
		actions: make(map[string]ActionHandler), reactions: c.Reactions, store: c.Store, people: c.People, catalogue: c.Catalogue,
		eraser: c.Eraser, gate: c.Gate, cancel: c.Cancel,
		log: cmp.Or(c.Log, slog.Default()), pace: cmp.Or(c.Pace, 400*time.Millisecond), keep: cmp.Or(c.Keep, actionLife),
		limits: Limits{
			Running: cmp.Or(c.Limits.Running, 2), Queued: cmp.Or(c.Limits.Queued, 5), PerMinute: cmp.Or(c.Limits.PerMinute, 20),
			Chat: cmp.Or(c.Limits.Chat, 100), Drain: cmp.Or(c.Limits.Drain, 10*time.Second),
			Starts: cmp.Or(c.Limits.Starts, 3), Calm: cmp.Or(c.Limits.Calm, 10*time.Second),
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
	if err := checkNames(c); err != nil {
		return nil, err
	}
	for _, a := range c.Actions {
		r.actions[a.Name] = a
	}
	return r, nil
}

// checkNames checks that every name is used once: kept requests find by it who handles them.
func checkNames(c Config) error {
	var names []string
	for _, cmd := range c.Commands {
		names = append(names, cmd.Name)
	}
	for _, l := range c.Listeners {
		names = append(names, l.Name)
	}
	for _, a := range c.Actions {
		names = append(names, a.Name)
	}
	for _, h := range c.Reactions {
		names = append(names, h.Name)
	}
	taken := map[string]bool{stopAction: true, refusal: true}
	for _, name := range names {
		if name == "" || taken[name] {
			return fmt.Errorf("the name %q is empty or used twice among commands, listeners and actions", name)
		}
		taken[name] = true
	}
	return nil
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

// Unfinished is how many requests have no saved final answer yet; known is false until Run has taken up those of before the start.
func (r *Router) Unfinished() (n int, known bool) {
	select {
	case <-r.ready:
	default:
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running), true
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
		if Wait(ctx, time.Hour) != nil {
			return
		}
	}
}
