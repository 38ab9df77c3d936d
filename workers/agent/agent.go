// Package agent is what runs on an owner's machine: it links to a server, offers what the machine can do, does jobs and returns them.
package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"potluck/failpoint"
	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

const (
	offersEvery   = 3 * time.Second
	offersTimeout = 5 * time.Second
	discoverEvery = 30 * time.Second
	pauseEvery    = 500 * time.Millisecond
	statusEvery   = 2 * time.Second
	drainTime     = 30 * time.Second
	heldTime      = 15 * time.Minute // a final event that nobody acknowledged is of no use after that
	maxHeld       = 16               // final events that wait for their Ack; a server that never sends one gets no more work done
	stopTime      = 5 * time.Second  // for engines to stop when the agent does
	steady        = 10 * time.Second // a connection that lasted so long begins the backoff anew
	// Frames that may wait keep below the server's limit, so that finals and beats always fit.
	textFrames = protocol.FramesPerSec * 3 / 4
)

// Found is an inference program on this machine.
type Found struct {
	Engine engine.Engine
	Where  string // address or path; with the engine's name it says whether a later discovery found the same
	Note   string // for `engines`: version, models
}

// Missed is an inference program that was looked for in vain.
type Missed struct {
	Name string
	Why  string
}

// Discover looks for the inference programs that an owner allows.
type Discover func(context.Context) ([]Found, []Missed)

// Config is all that an Agent needs. Zero values of HTTP, Log and Rand mean the usual ones.
type Config struct {
	Link     Link
	Key      ed25519.PrivateKey
	Settings Settings
	Program  string // "potluck-worker 0.1.0 linux/amd64"
	Discover Discover
	Hardware protocol.Hardware
	Load     func(context.Context) []protocol.GPULoad // nil = not known
	Paused   func() (reason string, paused bool)      // asked twice a second; nil = never
	Status   func(Status)                             // every 2 s, not concurrently; nil = nobody asks
	HTTP     *http.Client
	Log      *slog.Logger
	Rand     *rand.Rand // jitter of reconnects
}

// Agent does the work of one worker. Use New, then Run once.
type Agent struct {
	cfg         Config
	fingerprint [32]byte
	inbox       chan happening // from any goroutine, read by the loop
	drain       chan struct{}
	drainOnce   sync.Once
	stopped     context.Context // ends with Run; every goroutine of the agent heeds it
	parts       sync.WaitGroup
	jobParts    sync.WaitGroup // engines at work: waited for, but not for ever
	running     atomic.Int32   // of jobParts, for the log

	engines []engine.Engine // only touched by look, then closed by Run

	// Below only touched by the loop.
	slots      int
	session    *session
	connecting bool
	retry      <-chan time.Time
	backoff    backoff
	jobs       map[string]*job // by lease: running, or with a final event that waits for its Ack
	routes     map[route]offered
	offers     []protocol.Offer
	saidOffers []byte
	loads      []protocol.GPULoad
	paused     bool
	reason     string
	draining   bool
	frames     *rate.Limiter
	hour       []time.Time // when jobs of the last hour began
	status     Status
}

// happening is something that the loop must know; it runs there.
type happening func()

// route is what names an engine in an assign.
type route struct {
	kind   protocol.Kind
	engine string
	model  string
}

type offered struct {
	engine engine.Engine
	offer  protocol.Offer
}

// New checks the link and prepares an Agent.
func New(cfg Config) (*Agent, error) {
	fp, err := cfg.Link.fingerprint()
	if err != nil {
		return nil, err
	}
	if err := protocol.CheckServer(cfg.Link.Server); err != nil {
		return nil, err
	}
	if err := cfg.Settings.validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return &Agent{
		cfg: cfg, fingerprint: fp, inbox: make(chan happening, 256), drain: make(chan struct{}), jobs: map[string]*job{},
		backoff: backoff{rand: cfg.Rand}, frames: rate.NewLimiter(textFrames, textFrames),
	}, nil
}

// Drain lets what runs finish, for at most 30 s, and then ends Run. Safe to call from any goroutine, also twice.
func (a *Agent) Drain() { a.drainOnce.Do(func() { close(a.drain) }) }

// Run keeps the link and does jobs until ctx ends (jobs are cancelled), a drain is over, or the server said that this worker
// must not come back (a *ByeError). A lost connection is no reason to return, and running jobs go on meanwhile.
func (a *Agent) Run(ctx context.Context) error {
	if a.cfg.HTTP == nil {
		a.cfg.HTTP = newClient()
	}
	defer a.cfg.HTTP.CloseIdleConnections()
	stopped, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stopped = stopped
	a.slots = a.cfg.Settings.Limits.JobsAtOnce
	a.status = Status{Started: time.Now(), State: "connecting", Slots: a.slots}
	if a.cfg.Paused != nil {
		a.reason, a.paused = a.cfg.Paused()
	}
	if a.paused {
		why := ""
		if a.reason != "" {
			why = ": " + a.reason
		}
		a.cfg.Log.Warn("paused" + why + " – potluck-worker resume to take jobs")
	}

	status := make(chan Status, 1)
	a.parts.Go(func() { a.look(stopped) })
	a.parts.Go(func() { a.watchPause(stopped) })
	if a.cfg.Status != nil {
		a.parts.Go(func() {
			for s := range status {
				a.cfg.Status(s)
			}
		})
	}
	err := a.loop(ctx, status)

	for _, j := range a.jobs {
		j.cancel(context.Canceled)
	}
	if s := a.session; s != nil {
		s.close()
		select {
		case <-s.ctx.Done():
		case <-time.After(2 * closeTimeout):
		}
		s.cancel(errClosed)
	}
	stop()
	close(status)
	a.parts.Wait()
	a.waitForEngines()
	for _, e := range a.engines {
		CloseEngine(e)
	}
	return err
}

// waitForEngines gives engines time to stop. One that ignores its context must not keep the process alive.
func (a *Agent) waitForEngines() {
	done := make(chan struct{})
	go func() { // ends with the last engine
		a.jobParts.Wait()
		close(done)
	}()
	t := time.NewTimer(stopTime)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		a.cfg.Log.Warn("engines did not stop in time", "running", a.running.Load())
	}
}

// tell hands something to the loop. It gives up when the agent stops.
func (a *Agent) tell(h happening) {
	select {
	case a.inbox <- h:
	case <-a.stopped.Done():
	}
}

// loop owns the agent's state until there is nothing left to do. Its error is why the agent must not connect again.
func (a *Agent) loop(ctx context.Context, status chan Status) error {
	var drainEnds <-chan time.Time
	var beats beatTimer
	defer beats.stop()
	statusTicker := time.NewTicker(statusEvery)
	defer statusTicker.Stop()
	status <- a.report() // has room; what an earlier run wrote would be taken for this one's
	flush := time.NewTimer(time.Hour)
	defer flush.Stop()
	drain := a.drain

	for {
		// The first connection waits for the first look at the engines, so that its hello has offers.
		if a.session == nil && !a.connecting && a.retry == nil && a.routes != nil {
			a.connect()
		}
		flush.Stop()
		if at, ok := a.nextFlush(); ok {
			flush.Reset(max(time.Until(at), 0))
		}

		stop := false
		select {
		case h := <-a.inbox:
			h()
		case <-flush.C:
			a.flush(time.Now())
		case <-beats.of(a.session):
			a.beat(time.Now())
		case <-a.retry:
			a.retry = nil
		case <-statusTicker.C:
			select {
			case status <- a.report():
			default: // the disk is slow; the next one is newer
			}
		case <-drain:
			drain = nil
			a.beginDrain()
			drainEnds = time.After(drainTime)
		case <-drainEnds:
			stop = true
		case <-ctx.Done():
			stop = true
		}
		switch {
		case a.status.fatal != nil:
			return a.status.fatal
		case stop, a.draining && len(a.jobs) == 0:
			a.send(protocol.Bye{Code: protocol.ByeShutdown, Reason: "the owner stopped the worker"})
			return nil
		}
		a.leaveDrained()
	}
}

func (a *Agent) beginDrain() {
	a.draining = true
	a.cfg.Log.Info("draining: what runs may finish, nothing new is taken", "jobs", len(a.jobs))
	a.send(protocol.Drain{Reason: "the owner stops the worker"})
}

// leaveDrained ends a connection that the server drains once nothing is owed to it; then this side dials again.
func (a *Agent) leaveDrained() {
	if s := a.session; s != nil && s.draining && !s.closed && a.owed() == 0 {
		a.send(protocol.Bye{Code: protocol.ByeShutdown, Reason: "drained"})
		s.close()
	}
}

// connect dials in the background with a snapshot of what the worker is and does. No lease can come before the welcome, so the
// snapshot cannot miss one.
func (a *Agent) connect() {
	a.connecting = true
	a.status.State = "connecting"
	hello := protocol.Hello{
		Program: a.cfg.Program, Hardware: a.cfg.Hardware, Slots: a.slots, Paused: a.paused || a.draining, Offers: a.offers,
	}
	for _, j := range a.jobs {
		if !j.dropped {
			hello.Running = append(hello.Running, protocol.Running{Lease: j.assign.Lease, Attempt: j.assign.Attempt})
		}
	}
	said, _ := json.Marshal(a.offers)
	saidPaused := hello.Paused
	a.parts.Go(func() {
		c, err := dial(a.stopped, a.cfg.HTTP, a.cfg.Link.Server, a.fingerprint, a.cfg.Key, hello)
		if err != nil {
			a.tell(func() { a.connecting = false; a.lost(nil, err) })
			return
		}
		s := newSession(a.stopped, c)
		a.tell(func() { a.connecting = false; a.saidOffers = said; a.connected(s, saidPaused) })
		err = s.run(func(f protocol.Frame) {
			select {
			case a.inbox <- func() { a.received(s, f) }:
			case <-s.ctx.Done():
			case <-s.closing: // the loop may be gone
			}
		})
		a.tell(func() { a.lost(s, err) })
	})
}

func (a *Agent) connected(s *session, saidPaused bool) {
	a.session = s
	a.status.State, a.status.Problem = "connected", ""
	a.cfg.Log.Info("connected", "server", a.cfg.Link.Server, "worker", s.welcome.Worker, "owner", plain(s.welcome.Owner, 80), "adopted", len(s.welcome.Adopted))
	for lease, j := range a.jobs {
		switch {
		case !slices.Contains(s.welcome.Adopted, lease):
			a.drop(j, "the server gave it to another worker")
		case j.final != nil:
			a.deliver(j)
		default:
			j.text.restart()
		}
	}
	if a.draining {
		a.send(protocol.Drain{Reason: "the owner stops the worker"})
	}
	if !a.draining && (a.paused != saidPaused || a.paused && a.reason != "") { // a hello gives no reason
		a.sayPause()
	}
	a.sayOffers()
	a.beat(time.Now())
}

// lost decides when to dial again; s is nil when the handshake failed.
func (a *Agent) lost(s *session, err error) {
	var last *ByeError
	limit := lastRetry
	if s != nil {
		if a.session != s {
			return
		}
		a.session = nil
		last = s.lastBye
		if time.Since(s.began) >= steady {
			a.backoff.tries = 0
		}
	} else if e, ok := errors.AsType[*ByeError](err); ok {
		last = e
	}
	if last != nil {
		err = last
		if last.final() {
			a.status.fatal = last
			return
		}
		if last.Code == protocol.ByeReplaced || last.Code == protocol.ByeTooMany {
			a.backoff.tries, limit = 6, told // two that replace each other would do so for ever
		}
	}
	if errors.Is(err, ErrFingerprint) {
		a.backoff.tries, limit = 6, told
	}
	wait := a.backoff.next(limit)
	a.retry = time.After(wait)
	a.status.State, a.status.Problem = "connecting", plain(err.Error(), 200)
	a.cfg.Log.Warn("not connected", "err", plain(err.Error(), 300), "again_in", wait.Round(time.Millisecond))
}

func (a *Agent) received(s *session, f protocol.Frame) {
	failpoint.HitFrame("agent.in.", protocol.Name(f))
	if a.session != s {
		return
	}
	switch f := f.(type) {
	case protocol.Assign:
		a.assigned(f)
	case protocol.Cancel:
		if j := a.jobs[f.Lease]; j != nil {
			a.drop(j, plain(f.Reason, 100))
		}
	case protocol.Ack:
		if j := a.jobs[f.Lease]; j != nil && j.final != nil {
			if j.final.Kind == protocol.EventDone {
				a.status.Done++
			} else {
				a.status.Failed++
			}
			j.cancel(context.Canceled)
			delete(a.jobs, f.Lease)
		}
	case protocol.Drain:
		a.cfg.Log.Info("the server takes this worker out: what runs may finish", "reason", plain(f.Reason, 200))
		s.draining = true
	case protocol.Bye:
		s.lastBye = bye(f)
		s.cancel(s.lastBye)
	}
}

// send queues a frame; without a connection there is nobody to tell, and what matters is said again in the next hello.
func (a *Agent) send(f protocol.Frame) bool {
	if a.session == nil {
		return false
	}
	failpoint.HitFrame("agent.out.", protocol.Name(f))
	b, err := protocol.Encode(f)
	if err != nil || len(b) > protocol.MaxFrame {
		a.cfg.Log.Error("a frame cannot be sent", "bytes", len(b), "err", err)
		return false
	}
	a.frames.AllowN(time.Now(), 1) // counts, but never waits
	a.session.send(b)
	return true
}

// owed counts leases that the server still expects something from.
func (a *Agent) owed() int {
	n := 0
	for _, j := range a.jobs {
		if !j.dropped {
			n++
		}
	}
	return n
}

func (a *Agent) sayPause() {
	if a.paused {
		a.send(protocol.Pause{Reason: a.reason})
	} else {
		a.send(protocol.Resume{})
	}
}

func (a *Agent) sayOffers() {
	b, err := json.Marshal(a.offers)
	if err != nil || a.session == nil || bytes.Equal(b, a.saidOffers) {
		return
	}
	if a.send(protocol.OfferFrame{Slots: a.slots, Offers: a.offers}) {
		a.saidOffers = b
	}
}

// watchPause sees the owner's marker within a second.
func (a *Agent) watchPause(ctx context.Context) {
	if a.cfg.Paused == nil {
		return
	}
	t := time.NewTicker(pauseEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		reason, paused := a.cfg.Paused()
		a.tell(func() {
			if paused == a.paused && reason == a.reason {
				return
			}
			a.paused, a.reason = paused, reason
			a.cfg.Log.Info("pause", "paused", paused, "reason", reason)
			a.sayPause()
			a.beat(time.Now())
		})
	}
}

func (a *Agent) report() Status {
	s := a.status
	s.Paused, s.fatal = a.paused, nil
	for _, o := range a.offers {
		s.Offers = append(s.Offers, string(o.Kind)+" "+o.Model+" ("+o.Engine+")")
	}
	for _, j := range a.jobs {
		if j.running {
			s.Jobs = append(s.Jobs, StatusJob{Kind: string(j.assign.Kind), Model: j.assign.Model, Since: j.began})
		}
	}
	slices.SortFunc(s.Jobs, func(x, y StatusJob) int { return x.Since.Compare(y.Since) })
	return s
}
