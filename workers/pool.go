package workers

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"potluck/community"
	"potluck/failpoint"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// Pool owns every job that is not final, every lease and every live worker. One loop (Run) changes that state and never waits: SQL and checks
// run beside it and come back as input, frames go into the bounded queue of a session.
type Pool struct {
	cfg   Config
	store Store
	rates Rates
	log   *slog.Logger
	link  *link

	inbox   chan any      // submission, cancellation, arrival, departure, word or func(now): read by the loop only
	stopped chan struct{} // closed when the loop has ended
	tasks   sync.WaitGroup
	view    atomic.Pointer[Overview]
	counts  atomic.Pointer[Stats]

	// The loop's own.
	work     context.Context // of the tasks: outlives Run's by a bounded time
	sched    *scheduler
	jobs     map[int64]*job
	keys     map[string]*job
	leases   map[string]*lease
	present  map[int64]*presence
	revoked  map[int64]bool
	running  int // tasks that have not come back
	closing  bool
	begun    time.Time
	decided  bool // the restart grace is over
	dirty    bool // the overview is older than the state
	moved    bool // the queue changed since positions were told
	told     time.Time
	tallied  Stats
	restored map[string]*lease // leases of an earlier run that nobody has announced yet
	fresh    map[int64]freshRow
}

// freshRow is what Refresh read of a worker: a handshake that began before may bring an older row, with vouches that were withdrawn.
type freshRow struct {
	Worker
	read time.Time
}

// phase is where the loop stands with a job.
type phase int

const (
	saving   phase = iota // Submit is out
	waiting               // in the scheduler's queue
	leasing               // Lease is out
	running               // a worker has it
	settling              // the result is being checked and saved
	ending                // Requeue or Abandon is out
	pausing               // the store refused; tried again at retry
)

type job struct {
	Job
	feed     *feed
	waiters  map[*waiter]bool
	phase    phase
	number   int // of the last attempt
	lease    *lease
	deadline time.Time
	retry    time.Time
	estimate float64      // reference seconds
	cost     float64      // of the dearest offer that the hold is enough for; 0 = any, also after a restart
	doom     *fault.Error // abandon with this as soon as the store answers
	// attached: a Do of this run of the program has come, so Check is known. Until then a result is parked: neither paid nor thrown away.
	attached  bool
	parked    bool
	undecided bool // whether anybody could ever do it is decided after the restart grace
	// objections are what workers said who called it impossible; refused is why the last one declined it.
	objections []objection
	refused    *fault.Error
}

// objection is one worker's word that a job cannot be done. One owner's word ends no job as long as somebody else can be asked.
type objection struct {
	worker int64
	owner  community.MemberID
	offer  *offer
}

// waiter is one call of Do.
type waiter struct {
	done chan outcome // of capacity 1
	job  *job         // the loop's; nil when the job is over
}

type outcome struct {
	result Result
	err    error
}

type lease struct {
	Attempt
	job      *job
	offer    *offer // nil until a restored one is adopted
	binding  *binding
	durable  bool
	sent     bool
	accepted bool
	restored bool
	heard    bool // its last event has come, and is to be acknowledged
	done     *protocol.Done
	took     time.Duration
}

// presence is a worker that is connected, or was a moment ago.
type presence struct {
	Worker
	read     time.Time // before Worker was read from the store
	session  *session  // nil while away
	since    time.Time
	away     time.Time
	offers   []*offer
	raw      []protocol.Offer
	slots    int
	free     int
	paused   string // why, empty = not
	draining bool
	load     []protocol.GPULoad
	leases   map[string]*lease
}

type (
	submission struct {
		job Job
		w   *waiter
		got chan *feed
	}
	cancellation struct{ w *waiter }
	detachment   struct{ w *waiter }
	// arrival is a worker that has proved its key.
	arrival struct {
		session *session
		worker  Worker
		read    time.Time // before worker was read from the store
		hello   protocol.Hello
		joined  bool                // just linked, with a code
		reply   chan protocol.Frame // Welcome (which is queued already) or Bye
	}
	departure struct {
		session *session
		worker  int64
		final   bool // silence, or it said bye: it is not waited for
	}
	// word is a frame that the loop must know about.
	word struct {
		session *session
		worker  int64
		frame   protocol.Frame
	}
)

// tickEvery is how exact deadlines are; anything that people wait for is an event and needs no tick.
const tickEvery = 250 * time.Millisecond

// handshakeAge is older than any row that a handshake may bring: reading it takes storePatience at most, and the loop is never so far behind.
const handshakeAge = 5 * time.Minute

// storeTimeout bounds how long tasks may go on after the loop was told to end.
const storeTimeout = 5 * time.Second

// New checks the configuration and makes the blob folder.
func New(cfg Config, store Store, rates Rates, log *slog.Logger) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.BlobDir, 0o700); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	p := &Pool{
		cfg: cfg, store: store, rates: rates, log: log, inbox: make(chan any, 256), stopped: make(chan struct{}), jobs: map[int64]*job{}, keys: map[string]*job{},
		leases: map[string]*lease{}, present: map[int64]*presence{}, revoked: map[int64]bool{}, restored: map[string]*lease{},
		fresh: map[int64]freshRow{},
	}
	p.tallied.Attempts = map[Outcome]int{}
	p.view.Store(&Overview{})
	p.counts.Store(&Stats{})
	p.link = newLink(p)
	return p, nil
}

// Run reads what is open in the store and carries jobs until ctx ends. Then it says goodbye to the workers, waits a bounded time for what is
// being saved, and leaves running attempts leased: the next Run adopts them. A Pool runs once.
func (p *Pool) Run(ctx context.Context) error {
	var cancel context.CancelFunc
	p.work, cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		cancel()
		close(p.stopped)
		p.tasks.Wait()
		p.link.shut()
	}()
	if err := p.restore(ctx, time.Now()); err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	p.link.open()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.shutdown()
			return nil
		case in := <-p.inbox:
			p.handle(in, time.Now())
		case now := <-ticker.C:
			p.tick(now)
		}
		p.perform(time.Now())
		if p.dirty && len(p.present) <= 64 {
			p.publish(time.Now())
		}
	}
}

func (p *Pool) shutdown() {
	p.closing = true
	ended := make(chan struct{})
	p.tasks.Go(func() {
		p.link.shut()
		close(ended)
	})
	timeout := time.NewTimer(storeTimeout)
	defer timeout.Stop()
	for linked := true; linked || p.running > 0; {
		select {
		case in := <-p.inbox:
			p.handle(in, time.Now())
		case <-ended:
			linked, ended = false, nil
		case <-timeout.C:
			p.log.Warn("jobs were still being saved when the pool ended", "tasks", p.running)
			return
		}
	}
}

func (p *Pool) restore(ctx context.Context, now time.Time) error {
	speeds, err := p.store.Speeds(ctx)
	if err != nil {
		return err
	}
	p.begun = now
	p.sched = newScheduler(schedulerConfig{
		Affinity: max(p.cfg.Affinity, 0), LoadTime: p.cfg.LoadTime, FaultsInRow: 3, BackOff: p.cfg.BackOff, BackOffMax: p.cfg.BackOffMax,
	}, speeds)
	jobs, attempts, err := p.store.Open(ctx)
	if err != nil {
		return err
	}
	byJob := map[int64]Attempt{}
	for _, a := range attempts {
		byJob[a.Job] = a
	}
	keep := map[string]bool{}
	for _, stored := range jobs {
		j := p.keep(stored, now)
		j.undecided = true
		a, leased := byJob[j.ID]
		if !leased {
			j.phase = waiting
			p.sched.submit(&j.Job, j.estimate, now)
			continue
		}
		j.number = max(j.number, a.Number)
		a.Deadline = now.Add(max(a.Deadline.Sub(a.Started), p.cfg.RestartGrace))
		l := &lease{Attempt: a, job: j, durable: true, sent: true, accepted: true, restored: true}
		l.binding = p.bind(l)
		j.phase, j.lease = running, l
		j.feed.begin(a.Number)
		p.leases[a.Lease], p.restored[a.Lease] = l, l
		p.sched.adopt(&j.Job, j.estimate, a.Worker, now)
		keep[a.Lease] = true
	}
	sweepBlobs(p.cfg.BlobDir, keep, now)
	p.dirty = true
	linked, err := p.store.Workers(ctx, 0)
	if err != nil {
		return err
	}
	if len(linked) == 0 { // nobody can come back, so nobody is waited for
		p.decide(now)
	}
	return nil
}

// keep takes a stored job into memory.
func (p *Pool) keep(stored Job, now time.Time) *job {
	j := &job{Job: stored, feed: newFeed(), waiters: map[*waiter]bool{}, number: max(stored.LastNumber, stored.Attempts)}
	// Nobody knows how long the bot was down, and that does not count: its time begins anew. Its worker, or the Do that wants it, may need the grace.
	j.deadline = now.Add(max(stored.Wait, p.cfg.RestartGrace))
	j.estimate = p.holdings(&j.Job)[0].Seconds
	j.feed.of(j.ID)
	p.jobs[j.ID], p.keys[j.Key] = j, j
	return j
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (p *Pool) handle(in any, now time.Time) {
	switch in := in.(type) {
	case func(time.Time):
		in(now)
	case submission:
		p.submit(in, now)
	case cancellation:
		if in.w.job != nil {
			p.stop(in.w.job, fault.New(fault.Cancelled), now)
		}
	case detachment:
		if in.w.job != nil {
			delete(in.w.job.waiters, in.w)
			in.w.job = nil
		}
	case arrival:
		p.arrive(in, now)
	case departure:
		p.depart(in, now)
	case word:
		p.hear(in, now)
	}
}

// post hands an input to the loop; false when the loop has ended.
func (p *Pool) post(in any) bool {
	select {
	case p.inbox <- in:
		return true
	case <-p.stopped:
		return false
	}
}

// task runs do beside the loop and then with its result on it.
func (p *Pool) task(do func(context.Context) func(now time.Time)) {
	p.running++
	p.tasks.Go(func() {
		then := do(p.work)
		p.post(func(now time.Time) {
			p.running--
			if then != nil {
				then(now)
			}
		})
	})
}

// persist repeats a store call until it succeeds, its error is one that will not pass, or the pool ends.
func (p *Pool) persist(ctx context.Context, what string, job int64, call func(context.Context) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := call(ctx)
		if err == nil || errors.Is(err, ErrStale) || ctx.Err() != nil {
			return err
		}
		p.log.Error("store refused, trying again", "step", what, "job", job, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// Submitting.

// holding is a hold that a job may be submitted with, and which offers may then do it.
type holding struct {
	ledger.Price
	cost float64 // of the dearest offer that it is enough for, see offer.cost; 0 = any
}

// maxHoldings bounds how often Submit is tried with less; workers choose the models, so there could be any number of prices.
const maxHoldings = 8

// holdings lists what a job may cost, dearest first: for a job without a model, the prices of the models that could do it now.
func (p *Pool) holdings(j *Job) []holding {
	if j.Model != "" || p.sched == nil {
		return []holding{{Price: p.rates.Price(j.Model, j.Work)}}
	}
	n := needOf(j)
	real, demos := map[float64]string{}, map[float64]string{} // cost → one of the models
	p.sched.capable(j, func(o *offer) bool {
		models := real
		if rank, _ := o.quality(&n); rank == 0 {
			models = demos
		}
		if m, ok := models[o.cost]; !ok || o.canonical < m {
			models[o.cost] = o.canonical
		}
		return true
	})
	if len(real) == 0 { // demonstrations are done only where nothing else is
		real = demos
	}
	if len(real) == 0 {
		return []holding{{Price: p.rates.Price("", j.Work)}}
	}
	costs := slices.Sorted(maps.Keys(real))
	slices.Reverse(costs)
	var out []holding
	for i := range min(len(costs), maxHoldings) {
		cost := costs[i]
		if len(costs) > maxHoldings { // dearest and cheapest, and evenly between them
			cost = costs[i*(len(costs)-1)/(maxHoldings-1)]
		}
		h := holding{p.rates.Price(real[cost], j.Work), cost}
		if i == 0 {
			h.cost = 0
		} else if h.Amount >= out[len(out)-1].Amount {
			continue
		}
		out = append(out, h)
	}
	return out
}

func (p *Pool) submit(in submission, now time.Time) {
	if j := p.keys[in.job.Key]; j != nil {
		j.waiters[in.w] = true
		in.w.job = j
		in.got <- j.feed
		p.attach(j, &in.job, now)
		return
	}
	j := &job{Job: in.job, feed: newFeed(), waiters: map[*waiter]bool{in.w: true}, phase: saving, attached: true}
	p.keys[j.Key], in.w.job = j, j
	in.got <- j.feed
	var why *fault.Error
	if j.undecided = !p.decided; p.decided {
		why = p.sched.infeasible(&j.Job)
	}
	holds := p.holdings(&j.Job)
	wanted := j.Job
	p.task(func(ctx context.Context) func(time.Time) {
		var stored Job
		var err error
		hold := holds[0]
		if why != nil {
			// Perhaps it is done already: an answer that is there is no matter of who could give it now. And a job that was saved although
			// the store said no must be ended there too, or its hold stays.
			var known bool
			if stored, known, err = p.store.JobByKey(ctx, wanted.Key); err == nil && !known {
				err = why
			}
		} else {
			// Anybody may claim a dear model: who cannot pay for it gets the cheaper ones.
			for _, hold = range holds {
				stored, err = p.store.Submit(ctx, wanted, ledger.Charge{Payer: wanted.Payer, Amount: hold.Amount, Rates: p.rates.Version()}, now)
				if !fault.Has(err, fault.NoCredit) {
					break
				}
			}
		}
		return func(now time.Time) {
			j.estimate, j.cost = hold.Seconds, hold.cost
			j.undecided = j.undecided || why != nil
			p.submitted(j, stored, err, now)
		}
	})
}

// attach makes a Do's Check and Visible known to a job that it joined, and settles a result that waited for them.
func (p *Pool) attach(j *job, joined *Job, now time.Time) {
	if j.Check == nil {
		j.Check = joined.Check
	}
	if j.Visible == nil {
		j.Visible = joined.Visible
	}
	if j.attached = true; j.parked {
		j.parked = false
		p.settle(j, now)
	}
}

func (p *Pool) submitted(j *job, stored Job, err error, now time.Time) {
	if err != nil {
		p.conclude(j, Result{}, err)
		return
	}
	if stored.State.Final() {
		p.concludeStored(j, stored)
		return
	}
	check, visible, input := j.Check, j.Visible, j.Input
	j.Job = stored
	j.Check, j.Visible = check, visible
	if len(j.Input) == 0 {
		j.Input = input
	}
	j.deadline = j.Created.Add(j.Wait)
	j.number = max(j.LastNumber, j.Attempts)
	j.feed.of(j.ID)
	p.jobs[j.ID] = j
	p.queue(j, now)
}

// queue hands a job whose row is queued to the scheduler, or ends it when somebody wanted that meanwhile.
func (p *Pool) queue(j *job, now time.Time) {
	if j.doom == nil && j.undecided && p.decided {
		j.undecided = false
		j.doom = p.sched.infeasible(&j.Job)
	}
	if j.doom != nil {
		p.sched.drop(j.ID, now)
		p.abandon(j, j.doom, OutcomeCancelled, now)
		return
	}
	j.phase, j.lease = waiting, nil
	j.feed.begin(0)
	if p.sched.jobs[j.ID] == nil {
		p.sched.submitWithin(&j.Job, j.estimate, j.cost, now)
	} else {
		p.sched.again(j.ID, now)
	}
	p.dirty, p.moved = true, true
	p.perform(now)
	if j.phase == waiting && len(p.jobs) <= 256 {
		p.sched.ranks()
		j.feed.wait(p.sched.eta(j.ID))
	}
	if j.phase == waiting && p.decided && p.sched.spent(j.ID) {
		p.stop(j, j.noTaker(), now)
	}
}

// noTaker says why nobody who is here does a job.
func (j *job) noTaker() *fault.Error {
	if j.refused != nil {
		return j.refused
	}
	return fault.New(fault.EngineRefused, "kind", j.Kind)
}

// Leasing.

// perform carries out what the scheduler decided.
func (p *Pool) perform(now time.Time) {
	if p.closing {
		return
	}
	for _, a := range p.sched.take() {
		j := p.jobs[a.job]
		if j == nil || j.phase != waiting {
			continue // stopped in the same step; the scheduler has freed the slot again
		}
		j.number++
		l := &lease{job: j, offer: a.offer, Attempt: Attempt{
			Lease: newLease(), Job: j.ID, Number: j.number, Worker: a.worker, Engine: a.offer.Engine, Model: a.offer.Model,
			Started: now, Deadline: now.Add(p.leaseTime(j, a)),
		}}
		j.phase, j.lease = leasing, l
		p.leases[l.Lease] = l
		if w := p.present[a.worker]; w != nil {
			w.leases[l.Lease] = l
		}
		p.dirty, p.moved = true, true
		attempt := l.Attempt
		p.task(func(ctx context.Context) func(time.Time) {
			failpoint.Hit("lease.before")
			var err error
			// A number may be taken by an attempt of an earlier run that did not count: try the next ones before believing in a broken store.
			for range 5 {
				if err = p.store.Lease(ctx, attempt); err == nil || errors.Is(err, ErrStale) || ctx.Err() != nil {
					break
				}
				attempt.Number++
			}
			failpoint.Hit("lease.after")
			return func(now time.Time) { p.leased(l, attempt.Number, err, now) }
		})
	}
}

func newLease() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return hex.EncodeToString(b[:])
}

// leaseTime is four times what the job should take on this worker, within the configured bounds. A worker that was never measured may be a
// processor without a GPU: it gets much longer.
func (p *Pool) leaseTime(j *job, a assignment) time.Duration {
	rate := 0.05
	if v, ok := p.sched.speeds[speedKey{a.worker, a.offer.Kind, a.offer.canonical}]; ok && v.Rate > 0 {
		rate = v.Rate
	}
	seconds := 4 * j.estimate / rate
	if !a.offer.Loaded {
		seconds += 4 * p.cfg.LoadTime.Seconds()
	}
	return time.Duration(min(max(seconds, p.cfg.LeaseMin.Seconds()), p.cfg.LeaseMax.Seconds()) * float64(time.Second))
}

func (p *Pool) leased(l *lease, number int, err error, now time.Time) {
	j := l.job
	l.Number, j.number = number, number
	switch {
	case errors.Is(err, ErrStale):
		p.log.Error("store says that a queued job is not", "job", j.ID)
		p.forget(l)
		p.sched.drop(j.ID, now)
		p.lookUp(j)
	case err != nil:
		p.log.Error("store refused a lease, trying again", "job", j.ID, "err", err)
		p.forget(l)
		p.sched.end(j.ID, blameless, now)
		j.phase, j.lease, j.retry = pausing, nil, now.Add(time.Second)
	default:
		l.durable = true
		l.binding = p.bind(l)
		j.phase = running
		j.feed.begin(number)
		w := p.present[l.Worker]
		switch {
		case j.doom != nil:
			p.sched.drop(j.ID, now)
			p.forget(l)
			p.abandon(j, j.doom, OutcomeCancelled, now)
		case w == nil || w.leases[l.Lease] != l: // gone meanwhile, perhaps here anew
			p.attemptOver(l, OutcomeLost, blameless, false, now)
		case w.session != nil:
			p.assign(w, l, now)
		} // else it is away: when it comes back the lease is sent, when not it is lost
	}
}

// lookUp goes on with what the store knows about a job: it is over, or a lease was saved although the store had reported an error. Nobody
// works on such a lease, so it is taken back.
func (p *Pool) lookUp(j *job) {
	j.phase = ending
	p.task(func(ctx context.Context) func(time.Time) {
		var stored Job
		var known bool
		err := p.persist(ctx, "look up", j.ID, func(ctx context.Context) (err error) {
			stored, known, err = p.store.JobByKey(ctx, j.Key)
			return err
		})
		number := 0
		if err == nil && known && stored.State == Leased {
			number, err = p.takeBack(ctx, j.ID)
		}
		return func(now time.Time) {
			switch {
			case err != nil || !known:
				p.conclude(j, Result{}, fmt.Errorf("job %d is lost: %w", j.ID, errors.Join(ErrStale, err)))
			case stored.State.Final():
				p.concludeStored(j, stored)
			default:
				j.number = max(j.number, number)
				j.phase, j.lease, j.retry = pausing, nil, now.Add(time.Second)
			}
		}
	})
}

// takeBack ends the attempt that the store believes to be running, and returns its number.
func (p *Pool) takeBack(ctx context.Context, job int64) (number int, err error) {
	_, attempts, err := p.store.Open(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range attempts {
		if a.Job == job {
			return a.Number, p.store.Requeue(ctx, a.Lease, OutcomeRestart, false, time.Now())
		}
	}
	return 0, nil
}

func (p *Pool) bind(l *lease) *binding {
	b := &binding{lease: l.Lease, attempt: l.Number, feed: l.job.feed, inputs: l.job.Input}
	if l.job.Image != nil {
		b.pictures = max(l.job.Image.Count, 1)
	}
	return b
}

func (p *Pool) assign(w *presence, l *lease, now time.Time) {
	l.sent = true
	w.session.bind(l.binding)
	j := l.job
	deadline := l.Deadline
	if j.deadline.Before(deadline) {
		deadline = j.deadline
	}
	chat := j.Chat
	if chat != nil && l.offer != nil && l.offer.MaxTokens > 0 && chat.MaxTokens > l.offer.MaxTokens {
		shorter := *chat
		shorter.MaxTokens = l.offer.MaxTokens
		chat = &shorter
	}
	w.session.send(protocol.Assign{
		Lease: l.Lease, Attempt: l.Number, Kind: j.Kind, Model: l.Model, Engine: l.Engine, Features: j.Features,
		DeadlineMS: max(deadline.Sub(now).Milliseconds(), 1), Chat: chat, Image: j.Image, Translate: j.Translate,
	})
}

// forget takes a lease out of memory and off its worker's session.
func (p *Pool) forget(l *lease) {
	delete(p.leases, l.Lease)
	delete(p.restored, l.Lease)
	if w := p.present[l.Worker]; w != nil {
		delete(w.leases, l.Lease)
		if w.session != nil {
			w.session.release(l.Lease)
		}
	}
	p.dirty = true
}

// Workers coming, speaking and going.

func (p *Pool) arrive(in arrival, now time.Time) {
	if in.joined {
		delete(p.revoked, in.worker.ID)
	}
	if p.closing || p.revoked[in.worker.ID] {
		code := protocol.ByeRevoked
		if p.closing {
			code = protocol.ByeShutdown
		}
		in.reply <- protocol.Bye{Code: code}
		return
	}
	w := p.present[in.worker.ID]
	if w == nil {
		w = &presence{leases: map[string]*lease{}}
		p.present[in.worker.ID] = w
	} else if w.session != nil {
		w.session.end(protocol.Bye{Code: protocol.ByeReplaced, Reason: "this worker connected again"})
	}
	if r, ok := p.fresh[in.worker.ID]; ok && r.read.After(in.read) { // a Refresh overtook the handshake
		in.worker, in.read = r.Worker, r.read
	}
	w.Worker, w.read, w.session, w.since, w.away = in.worker, in.read, in.session, now, time.Time{}
	w.Seen, w.Hardware = now, in.hello.Hardware
	w.slots, w.free, w.draining, w.load, w.paused = in.hello.Slots, in.hello.Slots, false, nil, ""
	if in.hello.Paused {
		w.paused = "paused"
	}
	w.raw, w.offers = in.hello.Offers, p.offers(in.hello.Offers)
	announced := map[string]bool{}
	for _, r := range in.hello.Running {
		announced[r.Lease] = true
	}
	for id, l := range p.restored {
		if l.Worker == w.ID {
			w.leases[id] = l
		}
	}
	p.sched.connect(w.Worker, w.offers, w.slots, true, now) // nothing new before the leases are sorted out
	var adopted []string
	var fresh, gone []*lease
	for _, l := range inOrder(w.leases) {
		id := l.Lease
		switch {
		case announced[id]:
			adopted = append(adopted, id)
			l.sent, l.accepted = true, true
			if delete(p.restored, id); l.restored { // it is at work: it may go on as long as its lease
				l.job.deadline = later(l.job.deadline, l.Deadline)
			}
			if l.offer == nil {
				l.offer = p.offerOf(w, l)
			}
			if l.job.phase == running {
				p.sched.attach(l.job.ID, w.ID)
			}
			in.session.bind(l.binding)
			l.job.feed.start(l.Number, w.Worker)
		case l.job.phase == settling:
		case l.durable && !l.sent:
			fresh = append(fresh, l)
		case l.durable:
			gone = append(gone, l)
		}
	}
	welcome := protocol.Welcome{
		Worker: w.ID, Name: w.Name, Owner: w.OwnerName, Token: in.session.token(), BeatMS: int(p.cfg.Beat.Milliseconds()), Adopted: adopted,
	}
	in.session.send(welcome)
	in.reply <- welcome
	for _, l := range fresh {
		p.assign(w, l, now)
	}
	for _, l := range gone {
		if l.restored {
			p.attemptOver(l, OutcomeRestart, blameless, false, now)
		} else {
			p.attemptOver(l, OutcomeLost, failed, l.accepted, now)
		}
	}
	paused := in.hello.Paused
	p.sched.change(w.ID, now, func(n *node) { n.paused = paused })
	p.seen(w, now)
}

func (p *Pool) seen(w *presence, now time.Time) {
	p.dirty, p.moved = true, true
	id, hw, raw := w.ID, w.Hardware, w.raw
	p.task(func(ctx context.Context) func(time.Time) {
		if err := p.store.Seen(ctx, id, hw, raw, now); err != nil {
			p.log.Error("worker's visit not saved", "worker", id, "err", err)
		}
		return nil
	})
}

// usualWork is the work by which the models of a kind are ordered from cheap to dear.
var usualWork = map[protocol.Kind]ledger.Work{
	protocol.Chat:      {Kind: string(protocol.Chat), InTokens: 500, OutTokens: 500},
	protocol.Image:     {Kind: string(protocol.Image), Pixels: 1 << 20, Steps: 20},
	protocol.Translate: {Kind: string(protocol.Translate), InTokens: 200},
}

func (p *Pool) offers(raw []protocol.Offer) []*offer {
	out := make([]*offer, 0, len(raw))
	for _, o := range raw {
		n := newOffer(o, p.rates.Canonical(o.Model))
		n.cost = p.rates.Price(n.canonical, usualWork[o.Kind]).Seconds
		out = append(out, n)
	}
	return out
}

// offerOf finds what an adopted lease was given for; the worker may have stopped offering it.
func (p *Pool) offerOf(w *presence, l *lease) *offer {
	for _, o := range w.offers {
		if o.Kind == l.job.Kind && o.Engine == l.Engine && o.Model == l.Model {
			return o
		}
	}
	return newOffer(protocol.Offer{Kind: l.job.Kind, Engine: l.Engine, Model: l.Model, Quality: l.job.Quality, AnyPair: true}, p.rates.Canonical(l.Model))
}

func (p *Pool) depart(in departure, now time.Time) {
	w := p.present[in.worker]
	if w == nil || w.session != in.session || p.closing {
		return
	}
	w.session, w.away = nil, now
	p.dirty = true
	if in.final {
		p.gone(w, now)
		return
	}
	p.sched.change(w.ID, now, func(n *node) { n.away = true })
}

// gone ends what a worker that does not come back was doing.
func (p *Pool) gone(w *presence, now time.Time) {
	delete(p.present, w.ID)
	if w.session != nil {
		w.session.end(protocol.Bye{Code: protocol.ByeRevoked, Reason: "this worker was unlinked"})
	}
	p.sched.change(w.ID, now, func(n *node) { n.away = true })
	for _, l := range inOrder(w.leases) {
		if l.job.phase != settling && l.durable {
			p.attemptOver(l, OutcomeLost, failed, l.accepted && !p.revoked[w.ID], now)
		}
	}
	p.sched.leave(w.ID, now)
	p.seen(w, now)
}

func (p *Pool) hear(in word, now time.Time) {
	w := p.present[in.worker]
	if w == nil || w.session != in.session {
		return
	}
	switch f := in.frame.(type) {
	case protocol.Beat:
		w.Seen, w.free, w.load = now, f.Free, f.GPUs
		p.sched.beat(w.ID, f.Free, now)
	case protocol.OfferFrame:
		w.raw, w.offers, w.slots = f.Offers, p.offers(f.Offers), f.Slots
		p.sched.change(w.ID, now, func(n *node) { n.offers, n.slots = w.offers, w.slots })
		p.seen(w, now)
	case protocol.Pause:
		w.paused = f.Reason
		fill(&w.paused, "paused")
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.paused = true })
	case protocol.Resume:
		w.paused = ""
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.paused = false })
	case protocol.Drain:
		w.draining = true
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.draining = true })
	case protocol.Accept:
		if l := w.leases[f.Lease]; l != nil && !l.accepted {
			l.accepted = true
			l.job.feed.start(l.Number, w.Worker)
		}
	case protocol.Refuse:
		if l := w.leases[f.Lease]; l != nil && l.job.phase == running {
			v := declined
			switch f.Reason {
			case protocol.ReasonBusy, protocol.ReasonPaused:
				v = crowded
			case protocol.ReasonPolicy:
				l.job.refused = fault.New(fault.EngineRefused, "kind", l.job.Kind)
			default: // a model, a feature or a size that it does not do after all
				l.job.refused = fault.New(fault.NoFit, "what", "", "max", 0)
			}
			p.attemptOver(l, OutcomeRefused, v, false, now)
		}
	case protocol.Event:
		p.hearEnd(w, f, now)
	}
}

// hearEnd takes the event that ends an attempt, done or error.
func (p *Pool) hearEnd(w *presence, f protocol.Event, now time.Time) {
	l := w.leases[f.Lease]
	if l == nil {
		w.session.send(protocol.Ack{Lease: f.Lease}) // too late, or twice: nobody waits for it and nothing is paid
		return
	}
	if l.job.phase != running {
		return // being settled; the acknowledgement follows
	}
	l.accepted, l.heard = true, true
	switch {
	case f.Kind == protocol.EventDone && f.Done != nil:
		p.sched.free(l.job.ID, now)
		done := *f.Done
		l.done, l.took = &done, now.Sub(l.Started)
		l.job.phase = settling
		if l.job.attached {
			p.settle(l.job, now)
		} else {
			l.job.parked = true
		}
	case f.Error != nil:
		p.hearError(l, *f.Error, now)
	default:
		p.attemptOver(l, OutcomeRejected, failed, true, now)
	}
}

func (p *Pool) hearError(l *lease, e protocol.Error, now time.Time) {
	j := l.job
	p.log.Debug("attempt failed", "job", j.ID, "worker", l.Worker, "model", l.Model, "fault", e.Fault, "detail", printable(e.Detail, 200))
	switch e.Fault {
	case protocol.FaultOverload:
		p.attemptOver(l, OutcomeOverload, crowded, false, now)
	case protocol.FaultRequest:
		p.object(l, fault.New(fault.EngineRefused, "kind", j.Kind), false, now)
	case protocol.FaultBlocked:
		p.object(l, fault.New(fault.Blocked), false, now)
	case protocol.FaultTooLong:
		size := 0
		if l.offer != nil {
			size = l.offer.Context
		}
		p.object(l, fault.New(fault.NoFit, "what", "context", "max", size), p.sched.larger(j.ID), now)
	default:
		p.attemptOver(l, OutcomeEngine, failed, true, now)
	}
}

// object takes a worker's word that a job cannot be done. The first owner who says so may be wrong or lying: somebody else's worker is asked, and when that
// one does the job, the first is blamed. The word of a second owner ends it, and so does the first when nobody else is here. larger says that a worker with
// more context is here, who is asked in any case.
func (p *Pool) object(l *lease, why *fault.Error, larger bool, now time.Time) {
	j := l.job
	w := p.present[l.Worker]
	if w == nil {
		p.attemptOver(l, OutcomeRequest, declined, false, now)
		return
	}
	second := slices.ContainsFunc(j.objections, func(o objection) bool { return o.owner != w.Owner })
	j.objections = append(j.objections, objection{l.Worker, w.Owner, l.offer})
	j.refused = why
	if larger {
		p.attemptOver(l, OutcomeRequest, declined, false, now)
		return
	}
	if p.sched.bar(j.ID, w.Owner); second || !p.sched.others(j.ID, w.Owner) {
		p.giveUp(l, why, OutcomeRequest, now)
		return
	}
	p.attemptOver(l, OutcomeRequest, declined, false, now)
}

// Ending attempts.

// attemptOver ends an attempt without a result and has the job tried again, or failed when that was the last time.
func (p *Pool) attemptOver(l *lease, o Outcome, v verdict, counts bool, now time.Time) {
	j := l.job
	p.withdraw(l, o)
	p.sched.end(j.ID, v, now)
	if counts {
		j.Attempts++
	}
	if o == OutcomeRejected && j.Translate != nil {
		t := *j.Translate
		t.Variant++
		j.Translate = &t
	}
	switch {
	case j.doom != nil:
		p.sched.drop(j.ID, now)
		p.abandon(j, j.doom, o, now)
	case counts && j.Attempts >= p.cfg.MaxAttempts:
		p.sched.drop(j.ID, now)
		p.abandon(j, fault.New(fault.WorkerFailed, "kind", j.Kind, "attempts", j.Attempts), o, now)
	default:
		j.phase, j.lease = ending, nil
		j.feed.begin(0)
		p.task(func(ctx context.Context) func(time.Time) {
			err := p.persist(ctx, "requeue", j.ID, func(ctx context.Context) error { return p.store.Requeue(ctx, l.Lease, o, counts, now) })
			return func(now time.Time) {
				p.acknowledge(l)
				switch {
				case errors.Is(err, ErrStale):
					p.sched.drop(j.ID, now)
					p.lookUp(j)
				case err == nil:
					p.queue(j, now)
				}
			}
		})
	}
}

// withdraw takes a lease from its worker: a frame stops it if it still runs, its uploads are deleted.
func (p *Pool) withdraw(l *lease, o Outcome) {
	p.tallied.Attempts[o]++
	switch o {
	case OutcomeCancelled, OutcomeExpired, OutcomeRejected, OutcomeRestart:
		if w := p.present[l.Worker]; w != nil && w.session != nil && l.done == nil {
			w.session.send(protocol.Cancel{Lease: l.Lease, Reason: string(o)})
		}
	}
	p.forget(l)
	if l.job.Image != nil {
		count := max(l.job.Image.Count, 1)
		p.task(func(context.Context) func(time.Time) {
			if l.binding != nil {
				l.binding.seal()
			}
			deleteBlobs(p.cfg.BlobDir, l.Lease, count)
			return nil
		})
	}
}

func (p *Pool) acknowledge(l *lease) {
	if w := p.present[l.Worker]; l.heard && w != nil && w.session != nil {
		w.session.send(protocol.Ack{Lease: l.Lease})
	}
}

// giveUp ends a job with the attempt that showed that it cannot be done.
func (p *Pool) giveUp(l *lease, why *fault.Error, o Outcome, now time.Time) {
	p.withdraw(l, o)
	p.sched.drop(l.job.ID, now)
	p.abandon(l.job, why, o, now)
}

// abandon fails or cancels a job that the scheduler has let go of, and refunds it.
func (p *Pool) abandon(j *job, why *fault.Error, o Outcome, now time.Time) {
	j.phase = ending
	l := j.lease
	j.lease = nil
	j.feed.begin(0)
	p.dirty, p.moved = true, true
	p.task(func(ctx context.Context) func(time.Time) {
		err := p.persist(ctx, "abandon", j.ID, func(ctx context.Context) error { return p.store.Abandon(ctx, j.ID, why, o, now) })
		return func(time.Time) {
			if l != nil {
				p.acknowledge(l)
			}
			switch {
			case errors.Is(err, ErrStale):
				p.lookUp(j)
			case err == nil:
				p.conclude(j, Result{}, why)
			}
		}
	})
}

// stop ends a job before its result: cancelled by a person, or out of time. A result that is being checked wins when it is accepted.
func (p *Pool) stop(j *job, why *fault.Error, now time.Time) {
	switch j.phase {
	case saving, leasing, ending:
		if j.doom == nil {
			j.doom = why
		}
	case waiting, pausing:
		p.sched.drop(j.ID, now)
		p.abandon(j, why, OutcomeCancelled, now)
	case running:
		p.giveUp(j.lease, why, OutcomeCancelled, now)
	case settling:
		if j.parked {
			j.parked = false
			p.giveUp(j.lease, why, OutcomeCancelled, now)
		} else if j.doom == nil {
			j.doom = why
		}
	}
}

// Settling.

// speedShare is the weight of the newest job in a measured speed.
const speedShare = 0.2

// settle checks a result, saves it with its payment, and only then tells the worker and the callers.
func (p *Pool) settle(j *job, now time.Time) {
	l := j.lease
	w := p.present[l.Worker]
	if w == nil { // parked, and the worker has gone meanwhile: its row says whose it is
		p.task(func(ctx context.Context) func(time.Time) {
			all, err := p.store.Workers(ctx, 0)
			return func(now time.Time) {
				for _, known := range all {
					if known.ID == l.Worker {
						p.settleFor(l, known, now)
						return
					}
				}
				if err != nil {
					p.log.Error("workers not read", "err", err)
				}
				p.attemptOver(l, OutcomeLost, blameless, false, now)
			}
		})
		return
	}
	p.settleFor(l, w.Worker, now)
}

func (p *Pool) settleFor(l *lease, worker Worker, began time.Time) {
	snapshot, done := l.job.Job, l.done
	need := needOf(&snapshot)
	rank := 1
	if l.offer != nil {
		rank, _ = l.offer.quality(&need)
	}
	canonical := p.rates.Canonical(l.Model)
	res := Result{
		Job: l.Job, Text: done.Text, Reasoning: cut(done.Reasoning, protocol.MaxText), Finish: "stop", Segments: done.Segments, Seed: done.Seed,
		Model: canonical, Engine: l.Engine, Quality: qualityOf(rank), Worker: l.Worker, WorkerName: shownName(worker), Took: l.took,
	}
	if done.Finish == "length" {
		res.Finish = done.Finish
	}
	if snapshot.Image != nil {
		for n := 1; n <= max(snapshot.Image.Count, 1); n++ {
			res.Blobs = append(res.Blobs, filepath.Join(p.cfg.BlobDir, l.Lease+"-"+strconv.Itoa(n)))
		}
	}
	speed := Speed{Worker: l.Worker, Kind: snapshot.Kind, Model: canonical}
	if v, ok := p.sched.speeds[speedKey{l.Worker, snapshot.Kind, canonical}]; ok {
		speed = v
	}
	attempt := l.Attempt
	p.task(func(ctx context.Context) func(time.Time) {
		l.binding.seal() // what is looked at is what is kept
		err := p.judge(&snapshot, done, &res, worker.Owner)
		if err != nil {
			return func(now time.Time) { p.rejected(l, err, now) }
		}
		if l.restored { // how long the bot was down is part of its time
			speed = Speed{}
		} else {
			speed = speed.with(res.Bill.Seconds, l.took)
		}
		at := time.Now()
		s := Settlement{Attempt: attempt, Result: res, At: at, Earner: worker.Owner, Bill: res.Bill, Release: at.Add(p.cfg.EscrowFor), Speed: speed}
		failpoint.Hit("settle.before")
		err = p.persist(ctx, "finish", l.Job, func(ctx context.Context) error { return p.store.Finish(ctx, s) })
		failpoint.Hit("settle.after")
		return func(now time.Time) { p.settled(l, res, speed, err, now.Sub(began), now) }
	})
}

// judge prices a result and checks it: the pool's own checks, then the feature's. A panic in a feature's code rejects the result like an error, so that
// no worker can write what ends the program. It runs on no loop.
func (p *Pool) judge(j *Job, d *protocol.Done, res *Result, owner community.MemberID) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("the check of a result panicked", "job", j.ID, "err", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("the check panicked: %v", r)
		}
	}()
	if err := examine(j, d, res.Blobs); err != nil {
		return err
	}
	visible := d.Text
	if j.Visible != nil {
		visible = j.Visible(*res)
	}
	price := p.rates.Price(res.Model, measure(j, d.Text, visible))
	res.Bill = bill(price, j.Held, j.Member != 0 && j.Member == owner)
	if j.Check == nil {
		return nil
	}
	return j.Check(*res)
}

// with is a speed with one more job in it.
func (s Speed) with(seconds float64, took time.Duration) Speed {
	rate := seconds / max(took.Seconds(), 0.001)
	if s.Jobs > 0 {
		rate = s.Rate + speedShare*(rate-s.Rate)
	}
	s.Rate, s.Jobs = rate, s.Jobs+1
	return s
}

func (p *Pool) rejected(l *lease, why error, now time.Time) {
	p.log.Info("result rejected", "job", l.Job, "worker", l.Worker, "model", l.Model, "err", why)
	p.attemptOver(l, OutcomeRejected, failed, true, now)
}

func (p *Pool) settled(l *lease, res Result, speed Speed, err error, took time.Duration, now time.Time) {
	j := l.job
	switch {
	case errors.Is(err, ErrStale):
		// Either it came too late, or an earlier try was saved although it reported an error: the row knows.
		p.forget(l)
		p.sched.drop(j.ID, now)
		p.acknowledge(l)
		p.lookUp(j)
	case err == nil:
		p.tallied.Attempts[OutcomeDone]++
		p.tallied.Settled++
		p.tallied.SettleTime += took
		if speed.Worker != 0 {
			p.sched.speeds[speedKey{speed.Worker, speed.Kind, speed.Model}] = speed
		}
		for _, o := range j.objections {
			if o.worker != l.Worker {
				p.sched.contradicted(o.worker, o.offer, now)
			}
		}
		p.sched.settled(j.ID, res.Bill.Seconds, now)
		p.forget(l)
		p.acknowledge(l)
		p.conclude(j, res, nil)
	}
}

// conclude tells everybody who waits and forgets the job.
func (p *Pool) conclude(j *job, res Result, err error) {
	delete(p.jobs, j.ID)
	delete(p.keys, j.Key)
	for w := range j.waiters {
		w.done <- outcome{res, err}
		w.job = nil
	}
	j.waiters = nil
	p.dirty, p.moved = true, true
}

func (p *Pool) concludeStored(j *job, stored Job) {
	switch {
	case stored.Result != nil:
		p.conclude(j, *stored.Result, nil)
	case stored.Failure != nil:
		p.conclude(j, Result{}, stored.Failure)
	default:
		p.conclude(j, Result{}, fault.New(fault.Erased))
	}
}

// Time.

// due returns those that need something done, in the order of their numbers: what the pool does must not hang on the order of a map, so that a
// simulated run can be played again.
func due[T any](all map[int64]T, need func(T) bool) []T {
	var ids []int64
	for id, v := range all {
		if need(v) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	out := make([]T, len(ids))
	for i, id := range ids {
		out[i] = all[id]
	}
	return out
}

// inOrder returns leases by their jobs' numbers.
func inOrder(leases map[string]*lease) []*lease {
	return slices.SortedFunc(maps.Values(leases), func(a, b *lease) int { return cmp.Compare(a.Job, b.Job) })
}

func (p *Pool) tick(now time.Time) {
	if !p.decided && now.Sub(p.begun) >= p.cfg.RestartGrace {
		p.decide(now)
	}
	p.sched.tick(now)
	maps.DeleteFunc(p.fresh, func(_ int64, r freshRow) bool { return now.Sub(r.read) > handshakeAge })
	for _, w := range due(p.present, func(w *presence) bool { return w.session == nil && now.Sub(w.away) >= p.cfg.Reconnect }) {
		p.gone(w, now)
	}
	late := func(j *job) bool {
		return !j.deadline.After(now) || j.phase == running && !j.lease.Deadline.After(now) || j.phase == pausing && !j.retry.After(now)
	}
	for _, j := range due(p.jobs, late) {
		switch {
		case !j.deadline.After(now):
			p.stop(j, fault.New(fault.Expired, "kind", j.Kind), now)
		case j.phase == running && !j.lease.Deadline.After(now):
			p.attemptOver(j.lease, OutcomeExpired, failed, true, now)
		case j.phase == pausing && !j.retry.After(now):
			p.queue(j, now)
		}
	}
	if p.decided {
		for _, id := range p.sched.allSpent() {
			if j := p.jobs[id]; j != nil && j.phase == waiting {
				p.stop(j, j.noTaker(), now)
			}
		}
	}
	p.perform(now)
	if p.moved && now.Sub(p.told) >= time.Second {
		p.moved, p.told = false, now
		p.sched.ranks()
		for _, j := range p.jobs {
			if j.phase == waiting {
				j.feed.wait(p.sched.eta(j.ID))
			}
		}
	}
	if p.dirty {
		p.publish(now)
	}
}

// decide ends the restart grace: attempts that nobody announced are over, and jobs that nobody here can ever do are refused.
func (p *Pool) decide(now time.Time) {
	p.decided = true
	for _, l := range inOrder(p.restored) {
		p.attemptOver(l, OutcomeRestart, blameless, false, now)
	}
	for _, j := range due(p.jobs, func(j *job) bool { return j.undecided && j.phase == waiting }) {
		j.undecided = false
		if why := p.sched.infeasible(&j.Job); why != nil {
			p.stop(j, why, now)
		}
	}
}
