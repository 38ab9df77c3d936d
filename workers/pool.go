package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"potluck/community"
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
	view    atomic.Pointer[snapshot]
	counts  atomic.Pointer[Stats]

	// The loop's own.
	work       context.Context // of the tasks: outlives Run's by a bounded time
	sched      *scheduler
	jobs       map[int64]*job
	keys       map[string]*job
	leases     map[string]*lease
	present    map[int64]*presence
	revoked    map[int64]time.Time // since when; not those that were linked again
	running    int                 // tasks that have not come back
	closing    bool
	begun      time.Time
	decided    bool          // the restart grace is over
	dirty      bool          // the overview is older than the state
	published  time.Time     // when it was described
	publishing time.Duration // how long that took
	moved      bool          // the queue changed since positions were told
	told       time.Time
	tallied    Stats
	restored   map[string]*lease // leases of an earlier run that nobody has announced yet
	fresh      map[int64]freshRow
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
	asked    string // the key that Do knows it by: Key, but for what follows otherModel
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
	handovers  []handover
	uncounted  int // attempts of this run that ended before they began: refused, busy, never accepted
}

// objection is one worker's word that a job cannot be done. One owner's word ends no job as long as somebody else can be asked.
type objection struct {
	worker int64
	owner  community.MemberID
	offer  *offer
	long   bool // it only said that the job is too long for its context
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
	heard    bool      // its last event has come, and is to be acknowledged
	from     time.Time // when its time begins: Started, or when it was adopted after a restart
	// since is when the assign went out, the worker accepted, or came back with it: from then on it may show nothing for first, and later for gap.
	since      time.Time
	first, gap time.Duration
	received   int64     // bytes of its pictures, when it was last silent for so long
	review     time.Time // when it is looked at whether it leaves time for others; zero until its share is known
	tooSlow    bool      // it had its share, and another worker would begin the job
	done       *protocol.Done
	took       time.Duration
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
	shown    []OfferView // the offers as people see them; nil = not made yet, or a speed has changed
	slots    int
	free     int
	paused   string // why, empty = not
	draining bool
	load     []protocol.GPULoad
	leases   map[string]*lease
	saving   bool      // Seen is out
	unsaved  bool      // what the store has is out of date
	hurry    bool      // and is to be saved as soon as Seen is back
	written  time.Time // when Seen was last called
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
		offers  []*offer            // of the hello
		joined  bool                // just linked, with a code
		reply   chan protocol.Frame // Welcome (which is queued already) or Bye
	}
	// offering says that a session has new offers: takeOffers returns them. They are not in the inbox themselves, for they may be large and many.
	offering struct {
		session *session
		worker  int64
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
		leases: map[string]*lease{}, present: map[int64]*presence{}, revoked: map[int64]time.Time{}, restored: map[string]*lease{},
		fresh: map[int64]freshRow{},
	}
	p.tallied.Attempts = map[Outcome]int{}
	p.view.Store(&snapshot{})
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
			p.publish(time.Now()) // the last word: what was done stays readable
			return nil
		case in := <-p.inbox:
			p.handle(in, time.Now())
		case now := <-ticker.C:
			p.tick(now)
		}
		p.perform(time.Now())
		if now := time.Now(); p.dirty && p.mayPublish(now) {
			p.publish(now)
		}
	}
}

func (p *Pool) shutdown() {
	p.closing = true
	for _, w := range p.present {
		if w.session != nil {
			p.seen(w)
		}
	}
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

// restore takes up what the database holds of an earlier run.
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
		p.restoreLease(j, a, now)
		keep[a.Lease] = true
	}
	unerased, err := p.store.Unerased(ctx)
	if err != nil {
		return err
	}
	for _, l := range unerased {
		keep[l] = true
	}
	sweepBlobs(p.cfg.BlobDir, keep)
	p.dirty = true
	linked, err := p.store.Workers(ctx, 0)
	if err != nil {
		return err
	}
	if len(linked) == 0 && !p.cfg.ExpectWorker { // nobody can come back, so nobody is waited for
		p.decide(now)
	}
	return nil
}

// restoreLease lets a job's worker go on with an attempt, if it comes back within its time.
func (p *Pool) restoreLease(j *job, a Attempt, now time.Time) {
	j.number = max(j.number, a.Number)
	a.Deadline = now.Add(max(a.Deadline.Sub(a.Started), p.cfg.RestartGrace))
	l := &lease{Attempt: a, job: j, durable: true, sent: true, accepted: true, restored: true}
	l.binding = p.bind(l)
	j.phase, j.lease = running, l
	j.feed.begin(a.Number)
	p.leases[a.Lease], p.restored[a.Lease] = l, l
	p.sched.adopt(&j.Job, j.estimate, a.Worker, now)
}

// keep takes a stored job into memory.
func (p *Pool) keep(stored Job, now time.Time) *job {
	j := &job{Job: stored, asked: strings.TrimSuffix(stored.Key, otherModel), feed: newFeed(), waiters: map[*waiter]bool{}, number: max(stored.LastNumber, stored.Attempts)}
	// Nobody knows how long the bot was down, and that does not count: its time begins anew. Its worker, or the Do that wants it, may need the grace.
	j.deadline = now.Add(max(stored.Wait, p.cfg.RestartGrace))
	j.estimate = p.holdings(&j.Job)[0].Seconds
	j.feed.of(j.ID)
	p.jobs[j.ID], p.keys[j.asked] = j, j
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
	case offering:
		p.reoffer(in, now)
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

// usualWork is the work by which the models of a kind are ordered from cheap to dear.
var usualWork = map[protocol.Kind]ledger.Work{
	protocol.Chat:      {Kind: string(protocol.Chat), InTokens: 500, OutTokens: 500},
	protocol.Image:     {Kind: string(protocol.Image), Pixels: 1 << 20, Steps: 20},
	protocol.Translate: {Kind: string(protocol.Translate), InTokens: 200},
}

// speedShare is the weight of the newest job in a measured speed.
const speedShare = 0.2

// with is a speed with one more job in it.
func (s Speed) with(seconds float64, took time.Duration) Speed {
	rate := seconds / max(took.Seconds(), 0.001)
	if s.Jobs > 0 {
		rate = s.Rate + speedShare*(rate-s.Rate)
	}
	s.Rate, s.Jobs = rate, s.Jobs+1
	return s
}

// measured notes a worker's new speed.
func (p *Pool) measured(s Speed) {
	p.sched.speeds[speedKey{s.Worker, s.Kind, s.Model}] = s
	if w := p.present[s.Worker]; w != nil {
		w.shown = nil
	}
}

func (p *Pool) rejected(l *lease, why error, now time.Time) {
	p.log.Info("result rejected", "job", l.Job, "worker", l.Worker, "model", l.Model, "err", why)
	p.attemptOver(l, OutcomeRejected, failed, true, now)
}

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
	p.noteChanges(now)
	maps.DeleteFunc(p.fresh, func(_ int64, r freshRow) bool { return now.Sub(r.read) > handshakeAge })
	for _, w := range due(p.present, func(w *presence) bool { return w.session == nil && now.Sub(w.away) >= p.cfg.Reconnect }) {
		p.gone(w, now)
	}
	late := func(j *job) bool {
		return !j.deadline.After(now) || j.phase == running && p.overdue(j.lease, now) || j.phase == pausing && !j.retry.After(now)
	}
	for _, j := range due(p.jobs, late) {
		switch {
		case !j.deadline.After(now):
			p.outOfTime(j, now)
		case j.phase == running:
			p.endOverdue(j.lease, now)
		case j.phase == pausing:
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
