package workers

import (
	"maps"
	"slices"
	"time"

	"potluck/community"
	"potluck/workers/protocol"
)

// scheduler decides which worker does which job. It is pure: facts and the time go in, assignments come out (take). Fairness is a weighted
// fair queue of two levels, community and then member in it, over virtual counters in reference seconds.
//
// Jobs that the same workers can do (the same need) share a group. A group holds a heap of communities, each of those a heap of members, each
// of those a line of jobs; a community's counter is the same in all its groups. So a decision looks only at the heads of the groups that a
// worker can serve, never at all jobs, and an arrival only at the heap of idle workers for its kind and model.
type scheduler struct {
	cfg     schedulerConfig
	jobs    map[int64]*entry
	nodes   map[int64]*node
	groups  map[need]*group
	order   []*group // every group since the last sweep; a node remembers how far it has looked
	epoch   int      // changes with each sweep of order
	caps    int      // changes whenever a worker's ability to do something new changes
	tie     uint64
	root    *client                         // its members are the communities
	mine    map[community.MemberID][]*entry // queued, by who asked
	owners  map[community.MemberID]map[int64]*node
	idle    map[idleKey]*idleHeap
	tickets int // in idle, valid or not
	sweepAt int // so many tickets
	demos   map[int64]*node
	retries map[*group]bool
	ruled   map[int64]*node // with limits of their owners
	queued  int
	speeds  map[speedKey]Speed
	records map[int64]record
	steps   [4][]int // known limits of offers, sorted: context, pixels, steps, count
	out     []assignment
	forgot  time.Time                       // when forget last ran
	gone    map[int64]map[speedKey]*trouble // of workers that left: who comes back is no stranger
}

type schedulerConfig struct {
	// Affinity (k) × LoadTime × the worker's rate is how far, in reference seconds, a loaded model may bend the fair order.
	Affinity float64
	LoadTime time.Duration
	// After FaultsInRow failures of one model on one worker it rests for BackOff, doubling up to BackOffMax.
	FaultsInRow         int
	BackOff, BackOffMax time.Duration
}

// assignment says that a job goes to a worker now. offer belongs to the scheduler and never changes.
type assignment struct {
	job    int64
	worker int64
	offer  *offer
}

// node is a worker as the scheduler sees it.
type node struct {
	id       int64
	owner    community.MemberID
	operator bool
	vouched  map[community.CommunityID]Class
	offers   []*offer // those that the owner's limits allow
	slots    int
	running  int
	lent     record // of those, by kind, the ones that are not its owner's
	other    int    // slots that the machine uses for something else, by its last beat
	away     bool   // the connection is lost, perhaps it comes back
	paused   bool
	draining bool
	rules    rules
	checked  int // results of it that are being checked and saved: they may count for its day
	troubles map[speedKey]*trouble
	broken   map[*trouble]bool // those that a breakdown has counted for already, while it is booked; else nil

	matches     []match
	seen, epoch int
	ticket      uint64 // of its places in the idle heaps; 0 = none
}

func (w *node) usable() bool { return !w.away && w.open() }

func (w *node) free() int {
	n := w.slots - w.running - w.other
	if w.rules.PerDay > 0 {
		n = min(n, w.rules.PerDay-w.rules.today-w.running-w.checked)
	}
	return n
}

// admits tells whether confidentiality allows a job of this class and community on the worker.
func (w *node) admits(class Class, c community.CommunityID) bool {
	if class == Public || w.operator {
		return true
	}
	v := w.vouched[c]
	return v == Private || class == Community && v == Community
}

// first brings a heap of clients, or of what belongs to them, in order at its top and returns that; counters and ties only grow while queued
// so a stale slot is never too far down.
func first[T any](h minHeap[T], of func(T) *client) (v T) {
	for len(h) > 0 {
		t := h[0]
		c := of(t.value)
		if t.key == c.counter && t.tie == c.tie {
			return t.value
		}
		t.key, t.tie = c.counter, c.tie
		h.down(0)
	}
	return v
}

// served marks that a client had its turn.
const served = 1 << 63

const operators = "*"

func newScheduler(cfg schedulerConfig, speeds []Speed) *scheduler {
	s := &scheduler{
		cfg: cfg, jobs: map[int64]*entry{}, nodes: map[int64]*node{}, groups: map[need]*group{}, mine: map[community.MemberID][]*entry{},
		idle: map[idleKey]*idleHeap{}, demos: map[int64]*node{}, retries: map[*group]bool{}, ruled: map[int64]*node{}, speeds: map[speedKey]Speed{}, root: newClient(),
		records: map[int64]record{}, owners: map[community.MemberID]map[int64]*node{}, sweepAt: fewTickets, gone: map[int64]map[speedKey]*trouble{},
	}
	s.root.communities = map[community.CommunityID]*client{}
	for _, v := range speeds {
		s.speeds[speedKey{v.Worker, v.Kind, v.Model}] = v
		if v.Rate > 0 {
			s.credit(v.Worker, v.Kind, max(v.Jobs, 1))
		}
	}
	return s
}

// take returns the assignments made since the last call.
func (s *scheduler) take() []assignment {
	out := s.out
	s.out = nil
	return out
}

// submit queues a job that costs an estimated number of reference seconds.
func (s *scheduler) submit(j *Job, seconds float64, now time.Time) {
	s.submitWithin(j, seconds, 0, now)
}

// submitWithin is submit for a job that only offers up to a cost may have; 0 = any.
func (s *scheduler) submitWithin(j *Job, seconds, cost float64, now time.Time) {
	n := needOf(j)
	n.cost = cost
	e := &entry{id: j.ID, community: j.Community, member: j.Member, cost: seconds, since: now, wait: j.Wait, need: s.coarse(n)}
	s.jobs[e.id] = e
	s.enqueue(e, now)
}

// coarse raises each size to the next one at which some offer seen so far ends: the same workers can do it, and jobs of almost any size share
// a group.
func (s *scheduler) coarse(n need) need {
	for i, size := range [4]*int{&n.context, &n.pixels, &n.steps, &n.count} {
		if k, _ := slices.BinarySearch(s.steps[i], *size); *size > 0 && k < len(s.steps[i]) {
			*size = s.steps[i][k]
		}
	}
	return n
}

// maxSteps bounds how many limits are remembered per size; workers choose them, so there could be any number.
const maxSteps = 256

func (s *scheduler) learn(o *offer) {
	for i, limit := range [4]int{o.Context, o.MaxPixels, o.MaxSteps, o.MaxCount} {
		if k, known := slices.BinarySearch(s.steps[i], limit); limit > 0 && !known && len(s.steps[i]) < maxSteps {
			s.steps[i] = slices.Insert(s.steps[i], k, limit)
		}
	}
}

// adopt makes known a job that was running before this scheduler began; attach books it when its worker is there.
func (s *scheduler) adopt(j *Job, seconds float64, worker int64, now time.Time) {
	s.jobs[j.ID] = &entry{
		id: j.ID, community: j.Community, member: j.Member, cost: seconds, since: now, wait: j.Wait, need: s.coarse(needOf(j)), last: worker,
	}
}

// attach books a running job on its worker, with what it does it by.
func (s *scheduler) attach(id, worker int64, o *offer) {
	e, w := s.jobs[id], s.nodes[worker]
	if e == nil || w == nil || e.node != nil || e.group != nil {
		return
	}
	e.node, e.offer = w, o
	w.running++
	w.lend(e)
}

// forget drops clients that neither wait nor are ahead of those that do, idle heaps of offers that are gone, and troubles that are long past.
func (s *scheduler) forget(now time.Time) {
	past := func(parent, c *client) bool {
		t := parent.least()
		return c.queued+c.running == 0 && (t != nil && c.counter <= t.counter || t == nil && c.counter <= parent.floor)
	}
	for id, c := range s.root.communities {
		for m, mc := range c.members {
			if past(c, mc) {
				delete(c.members, m)
			}
		}
		if len(c.members) == 0 && past(s.root, c) {
			delete(s.root.communities, id)
		}
	}
	s.sweepIdle()
	long := func(_ speedKey, t *trouble) bool { return t.past(now) }
	mended := due(s.nodes, func(w *node) bool {
		before := len(w.troubles)
		maps.DeleteFunc(w.troubles, long)
		return len(w.troubles) < before
	})
	for _, w := range mended { // it stands higher among the idle ones now
		s.changed(w)
		s.fill(w, now)
	}
	for id, troubles := range s.gone {
		if maps.DeleteFunc(troubles, long); len(troubles) == 0 {
			delete(s.gone, id)
		}
	}
}

// drop forgets a job, wherever it is: settled, cancelled, expired or failed for good. What it was charged and did not use is given back.
func (s *scheduler) drop(id int64, now time.Time) {
	e := s.jobs[id]
	if e == nil {
		return
	}
	delete(s.jobs, id)
	if w := e.check(nil); w != nil {
		defer func() { s.fill(w, now) }()
	}
	if w := s.probed(e); w != nil {
		defer func() { s.fill(w, now) }()
	}
	if e.group != nil {
		s.unqueue(e)
		return
	}
	s.correct(e, 0)
	s.free(id, now)
	s.unbook(e, now)
}

// free gives a worker's slot back as soon as its part is over, while the result is still being checked and saved.
func (s *scheduler) free(id int64, now time.Time) {
	if e := s.jobs[id]; e != nil {
		e.check(e.node)
		s.unbook(e, now)
	}
}

func (s *scheduler) unbook(e *entry, now time.Time) {
	for i, c := range e.served {
		if c != nil {
			c.running--
			e.served[i] = nil
		}
	}
	if w := e.node; w != nil {
		e.node = nil
		w.running--
		s.returned(w, e)
		s.fill(w, now)
	}
}

// settled ends a job that was done; actual is its size in reference seconds.
func (s *scheduler) settled(id int64, actual float64, now time.Time) {
	e := s.jobs[id]
	if e == nil {
		return
	}
	e.check(nil)
	if w := s.nodes[e.last]; w != nil && e.offer != nil {
		s.did(w, now)
		before := s.fullOf(w)
		rank, _ := e.offer.quality(&e.need)
		first := rank > 0 && s.prove(w, e.offer.Kind) // a demonstration shows nothing
		more := s.loosened(w, before)
		if s.redeemed(w, e.offer) || first { // what was kept from it may come
			s.changed(w)
			more = true
		}
		if more {
			defer func() { s.fill(w, now) }()
		}
	}
	if e.charged != 0 {
		s.correct(e, actual)
	}
	e.charged = 0
	s.drop(id, now)
}

// correct replaces the estimate that a job's community and member were charged.
func (s *scheduler) correct(e *entry, actual float64) {
	d := actual - e.charged
	if e.charged == 0 || d == 0 {
		return
	}
	e.charged = actual
	if c := s.root.communities[e.community]; c != nil {
		if m := c.members[e.member]; m != nil {
			m.add(d)
		}
		c.add(d)
	}
}

// connect makes a worker known, or known anew. What runs on it stays booked.
func (s *scheduler) connect(worker Worker, offers []*offer, slots int, paused bool, now time.Time) {
	w := s.nodes[worker.ID]
	if w == nil {
		w = &node{id: worker.ID, troubles: s.gone[worker.ID]}
		s.nodes[worker.ID] = w
		delete(s.gone, worker.ID)
		s.owed(w)
	}
	s.own(w, worker)
	s.obey(w, worker, now)
	w.offers, w.slots, w.paused, w.away, w.draining, w.other = offers, slots, paused, false, false, 0
	s.changed(w)
	s.fill(w, now)
}

// own notes whose a worker is and what it may see.
func (s *scheduler) own(w *node, row Worker) {
	delete(s.owners[w.owner], w.id)
	if s.owners[row.Owner] == nil {
		s.owners[row.Owner] = map[int64]*node{}
	}
	s.owners[row.Owner][w.id] = w
	w.owner, w.operator, w.vouched = row.Owner, row.Operator, maps.Clone(row.Vouched)
}

// enlist is own for a worker that is here already, with everything that it offers.
func (s *scheduler) enlist(row Worker, offers []*offer, now time.Time) {
	s.change(row.ID, now, func(w *node) {
		s.own(w, row)
		s.obey(w, row, now)
		w.offers = offers
	})
}

// change lets f alter a worker and draws the conclusions.
func (s *scheduler) change(id int64, now time.Time, f func(*node)) {
	w := s.nodes[id]
	if w == nil {
		return
	}
	f(w)
	s.changed(w)
	s.fill(w, now)
	s.reconsider(now)
}

// beat notes how many slots the worker says are free; it may use some for its owner.
func (s *scheduler) beat(id int64, free int, now time.Time) {
	w := s.nodes[id]
	if w == nil {
		return
	}
	other := max(0, w.slots-w.running-max(free, 0))
	if other == w.other {
		return
	}
	w.other = other
	s.fill(w, now)
}

// leave forgets a worker; its jobs must have been taken back before.
func (s *scheduler) leave(id int64, now time.Time) {
	w := s.nodes[id]
	if w == nil {
		return
	}
	w.ticket, w.away = 0, true
	w.offers, w.matches = nil, nil // tickets that are out of date still hold the node
	if len(w.troubles) > 0 {
		for _, t := range w.troubles {
			t.probe = 0 // however that job ends, it says nothing to who is not here
		}
		s.gone[id] = w.troubles
	}
	delete(s.nodes, id)
	delete(s.owners[w.owner], id)
	if len(s.owners[w.owner]) == 0 {
		delete(s.owners, w.owner)
	}
	delete(s.demos, id)
	delete(s.ruled, id)
	s.caps++
	s.reconsider(now)
}

// changed forgets what was concluded from a worker's offers and state.
func (s *scheduler) changed(w *node) {
	s.caps++
	w.epoch, w.ticket = -1, 0
	delete(s.demos, w.id)
	w.offers = w.rules.allowed(w.offers)
	for _, o := range w.offers {
		s.learn(o)
		if o.demonstrates() {
			s.demos[w.id] = w
		}
	}
}

func (o *offer) demonstrates() bool {
	if o.Kind != protocol.Translate || o.AnyPair {
		return o.rank == 0
	}
	for _, r := range o.pairs {
		if r == 0 {
			return true
		}
	}
	return false
}

// tick does what only time brings about: rests end, and jobs that are barred from every live worker get a second chance with them.
func (s *scheduler) tick(now time.Time) {
	if now.Sub(s.forgot) >= time.Minute {
		s.forgot = now
		s.forget(now)
	}
	s.clock(now)
	rested := due(s.nodes, func(w *node) bool {
		over := false
		for _, t := range w.troubles {
			if !t.until.IsZero() && !now.Before(t.until) {
				t.until = time.Time{}
				over = true
			}
		}
		return over
	})
	for _, w := range rested {
		s.changed(w)
		s.fill(w, now)
	}
	s.reconsider(now)
}

func (c *client) before(d *client) bool {
	return c.counter < d.counter || c.counter == d.counter && c.tie < d.tie
}

// keep drops every slot whose value is not wanted.
func (h *minHeap[T]) keep(wanted func(T) bool) {
	old := *h
	*h = old[:0]
	for _, s := range old {
		if wanted(s.value) {
			h.push(s)
		}
	}
	clear(old[len(*h):])
}
