package workers

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"potluck/community"
	"potluck/fault"
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
	demos   map[int64]*node
	retries map[*group]bool
	queued  int
	speeds  map[speedKey]Speed
	steps   [4][]int // known limits of offers, sorted: context, pixels, steps, count
	out     []assignment
	forgot  time.Time // when forget last ran
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

// need is what a job asks of a worker; jobs with equal needs are interchangeable to the workers.
type need struct {
	kind     protocol.Kind
	model    string // canonical, empty = any
	features string // sorted, separated by blanks
	rank     int    // lowest quality, see rankOf
	class    Class
	context  int // tokens
	pixels   int
	steps    int
	count    int
	sampler  string
	from, to string
	cost     float64 // the highest offer.cost that its hold is enough for, 0 = any
	retry    int64   // the job's id when some worker may not have it again: it stands alone then
}

// promptRoom is what a model that translates needs for its instructions, in tokens.
const promptRoom = 256

func needOf(j *Job) need {
	n := need{kind: j.Kind, model: j.Model, rank: rankOf(j.Quality), class: j.Class}
	if len(j.Features) > 0 {
		f := slices.Clone(j.Features)
		slices.Sort(f)
		n.features = strings.Join(slices.Compact(f), " ")
	}
	switch {
	case j.Chat != nil:
		n.context = j.Work.InTokens + max(j.Chat.MaxTokens, 0)
	case j.Image != nil:
		n.pixels, n.steps, n.count, n.sampler = j.Image.Width*j.Image.Height, j.Image.Steps, max(j.Image.Count, 1), strings.ToLower(j.Image.Sampler)
	case j.Translate != nil:
		n.from, n.to = baseLanguage(j.Translate.From), baseLanguage(j.Translate.To)
		// A model that translates needs room for prompt, source and translation.
		n.context = 2*j.Work.InTokens + promptRoom
	}
	return n
}

func baseLanguage(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return base
}

// rankOf orders qualities; what is not named is taken for the least that a real engine gives.
func rankOf(q protocol.Quality) int {
	switch q {
	case protocol.Demo:
		return 0
	case protocol.Postable:
		return 2
	default:
		return 1
	}
}

func qualityOf(rank int) protocol.Quality {
	return [...]protocol.Quality{protocol.Demo, protocol.Rough, protocol.Postable}[rank]
}

// offer is a worker's offer as the scheduler reads it.
type offer struct {
	protocol.Offer
	canonical string
	rank      int
	cost      float64           // reference seconds of a usual job of its kind: what it is worth, compared with other models
	pairs     map[[2]string]int // quality rank of each direction
}

func newOffer(o protocol.Offer, canonical string) *offer {
	n := &offer{Offer: o, canonical: canonical, rank: rankOf(o.Quality)}
	if o.Kind != protocol.Translate && o.Quality == "" {
		n.rank = 2
	}
	if len(o.Pairs) > 0 {
		n.pairs = make(map[[2]string]int, len(o.Pairs))
		for _, p := range o.Pairs {
			n.pairs[[2]string{baseLanguage(p.From), baseLanguage(p.To)}] = rankOf(p.Quality)
		}
	}
	return n
}

// quality is the rank of what this offer would make of the need; ok is false when it cannot.
func (o *offer) quality(n *need) (rank int, ok bool) {
	if o.Kind != protocol.Translate {
		return o.rank, true
	}
	if r, ok := o.pairs[[2]string{n.from, n.to}]; ok {
		return r, true
	}
	return o.rank, o.AnyPair
}

// A misfit says which limit of an offer is too small for a need.
type misfit struct {
	what string
	max  int
}

func (o *offer) limits(n *need) (misfit, bool) {
	small := func(what string, have, want int) (misfit, bool) { return misfit{what, have}, have > 0 && want > have }
	if o.Kind == protocol.Chat || o.AnyPair {
		if m, bad := small("context", o.Context, n.context); bad {
			return m, false
		}
	}
	if o.Kind == protocol.Image {
		if m, bad := small("pixels", o.MaxPixels, n.pixels); bad {
			return m, false
		}
		if m, bad := small("steps", o.MaxSteps, n.steps); bad {
			return m, false
		}
		if m, bad := small("count", o.MaxCount, n.count); bad {
			return m, false
		}
	}
	return misfit{}, true
}

// suits tells whether the offer can serve the need, whoever's it is.
func (o *offer) suits(n *need) bool {
	if o.Kind != n.kind || n.model != "" && n.model != o.canonical || n.cost > 0 && o.cost > n.cost || !o.can(n) {
		return false
	}
	rank, ok := o.quality(n)
	if !ok || rank < n.rank {
		return false
	}
	_, fits := o.limits(n)
	return fits
}

func (o *offer) can(n *need) bool {
	for f := range strings.FieldsSeq(n.features) {
		if !slices.Contains(o.Features, f) {
			return false
		}
	}
	return n.sampler == "" || len(o.Samplers) == 0 || slices.ContainsFunc(o.Samplers, func(s string) bool { return strings.EqualFold(s, n.sampler) })
}

// node is a worker as the scheduler sees it.
type node struct {
	id       int64
	owner    community.MemberID
	operator bool
	vouched  map[community.CommunityID]Class
	offers   []*offer
	slots    int
	running  int
	other    int  // slots that the machine uses for something else, by its last beat
	away     bool // the connection is lost, perhaps it comes back
	paused   bool
	draining bool
	troubles map[speedKey]*trouble

	matches     []match
	seen, epoch int
	ticket      uint64 // of its places in the idle heaps; 0 = none
}

type match struct {
	g     *group
	offer *offer
	demo  bool
}

// trouble is what went wrong with one model on one worker.
type trouble struct {
	inRow int
	rest  time.Duration // how long the last rest was
	until time.Time     // rests until then
}

func (w *node) usable() bool { return !w.away && !w.paused && !w.draining }
func (w *node) free() int    { return w.slots - w.running - w.other }

// admits tells whether confidentiality allows a job of this class and community on the worker.
func (w *node) admits(class Class, c community.CommunityID) bool {
	if class == Public || w.operator {
		return true
	}
	v := w.vouched[c]
	return v == Private || class == Community && v == Community
}

// group is all queued jobs with one need.
type group struct {
	need
	queued  int
	flows   minHeap[*flow]
	byID    map[community.CommunityID]*slot[*flow]
	barred  map[int64]bool // of a retry: workers that failed this job; true = for good, false = while there is another
	realCap int            // scheduler.caps for which real is right
	real    bool           // some usable worker can do it with more than a demonstration

	capacityAt int // scheduler.caps for which capacities is right
	capacities map[community.CommunityID]capacity
}

// flow is the part of a group that belongs to one community.
type flow struct {
	client *client
	lines  minHeap[*line]
	byID   map[community.MemberID]*slot[*line]
}

// line is one member's jobs in a flow, first come, first served.
type line struct {
	client *client
	jobs   []*entry
}

// client is a party of the fair queue: a community, or a member within one.
type client struct {
	counter float64 // reference seconds served ÷ weight
	weight  float64
	credit  float64 // charged too much before
	queued  int
	running int
	// tie decides between equal counters: who has had nothing yet goes first, then who came earlier.
	tie uint64
	// active holds the clients below this one that have queued jobs; floor is what a newcomer is lifted to when there is none.
	active      minHeap[*client]
	floor       float64
	place       slot[*client]
	members     map[community.MemberID]*client
	communities map[community.CommunityID]*client // of the root only
}

func newClient() *client {
	c := &client{weight: 1}
	c.place.index, c.place.value = -1, c
	return c
}

// lift brings a returning client to the least active counter: idle time cannot be saved up.
func (parent *client) lift(c *client) {
	least := parent.floor
	if t := parent.least(); t != nil {
		least = t.counter
	}
	c.counter = max(c.counter, least)
}

func (parent *client) least() *client {
	return first(parent.active, func(c *client) *client { return c })
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

// add charges a client. What it was charged too much is set against its next charges, so that counters never fall and heaps may be lazy.
func (c *client) add(seconds float64) {
	seconds = seconds/c.weight - c.credit
	c.credit = max(-seconds, 0)
	c.counter += max(seconds, 0)
}

// entry is a job in the scheduler, from submit to finish.
type entry struct {
	id        int64
	tie       uint64
	community community.CommunityID
	member    community.MemberID
	cost      float64 // estimated reference seconds
	charged   float64
	served    [2]*client // community and member, while it runs at their cost
	since     time.Time
	group     *group // nil while it runs
	need      need
	barred    map[int64]bool
	node      *node  // whose slot it takes
	last      int64  // the worker of the last attempt
	offer     *offer // of the last attempt; nil after an adoption
	// Written by ranks.
	position int
	ahead    float64
}

type speedKey struct {
	worker int64
	kind   protocol.Kind
	model  string
}

// idleKey names a heap of idle workers: who may use them ("" everybody, "*" the operator's, else a community's), for which kind and model.
type idleKey struct {
	audience string
	kind     protocol.Kind
	model    string
}

const operators = "*"

type ticket struct {
	node   *node
	number uint64
	offer  *offer
}

// idleHeap is swept of invalid tickets whenever it has doubled.
type idleHeap struct {
	minHeap[ticket]
	sweepAt int
}

func newScheduler(cfg schedulerConfig, speeds []Speed) *scheduler {
	s := &scheduler{
		cfg: cfg, jobs: map[int64]*entry{}, nodes: map[int64]*node{}, groups: map[need]*group{}, mine: map[community.MemberID][]*entry{},
		idle: map[idleKey]*idleHeap{}, demos: map[int64]*node{}, retries: map[*group]bool{}, speeds: map[speedKey]Speed{}, root: newClient(),
		owners: map[community.MemberID]map[int64]*node{},
	}
	s.root.communities = map[community.CommunityID]*client{}
	for _, v := range speeds {
		s.speeds[speedKey{v.Worker, v.Kind, v.Model}] = v
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
	e := &entry{id: j.ID, community: j.Community, member: j.Member, cost: seconds, since: now, need: s.coarse(n)}
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
	s.jobs[j.ID] = &entry{id: j.ID, community: j.Community, member: j.Member, cost: seconds, since: now, need: s.coarse(needOf(j)), last: worker}
}

// attach books a running job on its worker.
func (s *scheduler) attach(id, worker int64) {
	e, w := s.jobs[id], s.nodes[worker]
	if e == nil || w == nil || e.node != nil || e.group != nil {
		return
	}
	e.node = w
	w.running++
}

func (s *scheduler) enqueue(e *entry, now time.Time) {
	n := e.need
	if len(e.barred) > 0 {
		n.retry = e.id
	}
	g := s.groups[n]
	if g == nil {
		g = &group{need: n, byID: map[community.CommunityID]*slot[*flow]{}, barred: e.barred, realCap: -1}
		s.order = append(s.order, g)
		if n.retry != 0 {
			s.retries[g] = true // not in groups: each retry is a group of its own
		} else {
			s.groups[n] = g
		}
	}
	e.group = g
	s.tie++
	e.tie = s.tie

	c := s.root.communities[e.community]
	if c == nil {
		c = newClient()
		c.members = map[community.MemberID]*client{}
		s.root.communities[e.community] = c
	}
	m := c.members[e.member]
	if m == nil {
		m = newClient()
		c.members[e.member] = m
	}
	s.activate(s.root, c)
	s.activate(c, m)

	fs := g.byID[e.community]
	if fs == nil {
		fs = &slot[*flow]{key: c.counter, tie: c.tie, value: &flow{client: c, byID: map[community.MemberID]*slot[*line]{}}}
		g.byID[e.community] = fs
		g.flows.push(fs)
	}
	f := fs.value
	ls := f.byID[e.member]
	if ls == nil {
		ls = &slot[*line]{key: m.counter, tie: m.tie, value: &line{client: m}}
		f.byID[e.member] = ls
		f.lines.push(ls)
	}
	ls.value.jobs = append(ls.value.jobs, e)
	g.queued++
	s.queued++
	s.mine[e.member] = append(s.mine[e.member], e)

	if n.retry != 0 {
		s.unbar(g)
	}
	if w, o := s.idleFor(e, now); w != nil {
		s.dispatch(e, w, o, now)
		if w.free() <= 0 {
			w.ticket = 0
		}
	}
}

func (s *scheduler) activate(parent, c *client) {
	if c.queued++; c.queued == 1 {
		parent.lift(c)
		s.tie++
		if c.tie = s.tie; c.running > 0 {
			c.tie |= served
		}
		c.place.key, c.place.tie = c.counter, c.tie
		parent.active.push(&c.place)
	}
}

func (s *scheduler) deactivate(parent, c *client) {
	if c.queued--; c.queued == 0 {
		parent.floor = max(parent.floor, c.counter)
		parent.active.remove(&c.place)
	}
}

// unqueue takes a job out of its group.
func (s *scheduler) unqueue(e *entry) {
	g := e.group
	fs := g.byID[e.community]
	f := fs.value
	ls := f.byID[e.member]
	l := ls.value
	i := slices.Index(l.jobs, e)
	if i == 0 {
		l.jobs[0] = nil
		l.jobs = l.jobs[1:]
	} else {
		l.jobs = slices.Delete(l.jobs, i, i+1)
	}
	if len(l.jobs) == 0 {
		f.lines.remove(ls)
		delete(f.byID, e.member)
	}
	if len(f.lines) == 0 {
		g.flows.remove(fs)
		delete(g.byID, e.community)
	}
	g.queued--
	s.queued--
	own := s.mine[e.member]
	if own[0] == e {
		own[0] = nil
		own = own[1:]
	} else if i := slices.Index(own, e); i >= 0 {
		own = slices.Delete(own, i, i+1)
	}
	if len(own) == 0 {
		delete(s.mine, e.member)
	} else {
		s.mine[e.member] = own
	}
	e.group = nil
	s.deactivate(s.root, f.client)
	s.deactivate(f.client, l.client)
	if g.retry != 0 {
		delete(s.retries, g)
	}
	if g.queued == 0 && len(s.order) > 1024 && len(s.order) > 8*(s.queued+64) {
		s.sweep()
	}
}

// sweep forgets the groups without jobs.
func (s *scheduler) sweep() {
	s.epoch++
	kept := s.order[:0]
	for _, g := range s.order {
		if g.queued > 0 {
			kept = append(kept, g)
		} else if g.retry == 0 {
			delete(s.groups, g.need)
		}
	}
	clear(s.order[len(kept):])
	s.order = kept
}

// forget drops clients that neither wait nor are ahead of those that do, and idle heaps of offers that are gone.
func (s *scheduler) forget() {
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
	for key, h := range s.idle {
		if h.keep(ticket.valid); len(h.minHeap) == 0 {
			delete(s.idle, key)
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
		s.fill(w, now)
	}
}

// settled ends a job that was done; actual is its size in reference seconds.
func (s *scheduler) settled(id int64, actual float64, now time.Time) {
	e := s.jobs[id]
	if e == nil {
		return
	}
	if w := s.nodes[e.last]; w != nil && e.offer != nil {
		key := speedKey{w.id, e.offer.Kind, e.offer.canonical}
		t := w.troubles[key]
		if delete(w.troubles, key); t != nil && !t.until.IsZero() { // its rest is over: what was kept from it may come
			s.changed(w)
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

// verdict says what a failed attempt means for the worker.
type verdict int

const (
	blameless verdict = iota // not the worker's doing, it may have the job again
	declined                 // it will not do this job
	crowded                  // busy after all: rests for a moment
	failed                   // its fault
)

// crowdedRest is how long a worker that was busy after all is left alone with that model.
const crowdedRest = 2 * time.Second

// end books that an attempt ended without a result, and why. The job waits outside until again.
func (s *scheduler) end(id int64, v verdict, now time.Time) {
	e := s.jobs[id]
	if e == nil || e.group != nil {
		return
	}
	if v != blameless {
		// A fresh map: groups of earlier attempts still hold the old one.
		barred := maps.Clone(e.barred)
		if barred == nil {
			barred = map[int64]bool{}
		}
		barred[e.last] = barred[e.last] || v == declined
		e.barred = barred
	}
	if w := s.nodes[e.last]; w != nil && e.offer != nil && (v == failed || v == crowded) {
		s.blame(w, e.offer, v, now)
	}
	s.correct(e, 0)
	e.charged = 0
	s.unbook(e, now)
}

func (s *scheduler) blame(w *node, o *offer, v verdict, now time.Time) {
	key := speedKey{w.id, o.Kind, o.canonical}
	if w.troubles == nil {
		w.troubles = map[speedKey]*trouble{}
	}
	t := w.troubles[key]
	if t == nil {
		t = &trouble{}
		w.troubles[key] = t
	}
	if v == crowded {
		t.until = now.Add(crowdedRest)
	} else if t.inRow++; t.inRow >= s.cfg.FaultsInRow {
		t.rest = min(max(2*t.rest, s.cfg.BackOff), s.cfg.BackOffMax)
		t.until = now.Add(t.rest)
	}
	s.changed(w)
	s.fill(w, now)
}

// again queues a job whose attempt ended.
func (s *scheduler) again(id int64, now time.Time) {
	if e := s.jobs[id]; e != nil && e.group == nil && e.node == nil {
		s.enqueue(e, now)
	}
}

// larger raises what a job needs of a model's context above what the last worker had; false when no live worker has more.
func (s *scheduler) larger(id int64) bool {
	e := s.jobs[id]
	if e == nil || e.offer == nil || e.offer.Context == 0 {
		return false
	}
	n := e.need
	n.context = e.offer.Context + 1
	for _, w := range s.nodes {
		if _, barred := e.barred[w.id]; barred || w.id == e.last || w.paused || w.draining || !w.admits(n.class, e.community) {
			continue
		}
		if slices.ContainsFunc(w.offers, func(o *offer) bool { return o.suits(&n) }) {
			e.need = s.coarse(n)
			return true
		}
	}
	return false
}

// connect makes a worker known, or known anew. What runs on it stays booked.
func (s *scheduler) connect(worker Worker, offers []*offer, slots int, paused bool, now time.Time) {
	w := s.nodes[worker.ID]
	if w == nil {
		w = &node{id: worker.ID}
		s.nodes[worker.ID] = w
	}
	s.own(w, worker)
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

// enlist is own for a worker that is here already.
func (s *scheduler) enlist(row Worker, now time.Time) {
	s.change(row.ID, now, func(w *node) { s.own(w, row) })
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
	delete(s.nodes, id)
	delete(s.owners[w.owner], id)
	if len(s.owners[w.owner]) == 0 {
		delete(s.owners, w.owner)
	}
	delete(s.demos, id)
	s.caps++
	s.reconsider(now)
}

// changed forgets what was concluded from a worker's offers and state.
func (s *scheduler) changed(w *node) {
	s.caps++
	w.epoch, w.ticket = -1, 0
	delete(s.demos, w.id)
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
		s.forget()
	}
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

// reconsider gives idle workers what was kept from them as long as there was a better one.
func (s *scheduler) reconsider(now time.Time) {
	idle := func(w *node) bool { return w.usable() && w.free() > 0 }
	for _, g := range slices.SortedFunc(maps.Keys(s.retries), func(a, b *group) int { return cmp.Compare(a.retry, b.retry) }) {
		if g.queued > 0 && s.unbar(g) {
			for _, w := range due(s.nodes, idle) {
				w.epoch = -1
				s.fill(w, now)
			}
		}
	}
	for _, w := range due(s.demos, idle) {
		s.fill(w, now)
	}
}

// bar keeps a job for good from every worker of an owner that is here now.
func (s *scheduler) bar(id int64, owner community.MemberID) {
	e := s.jobs[id]
	if e == nil {
		return
	}
	barred := maps.Clone(e.barred) // groups of earlier attempts still hold the old one
	if barred == nil {
		barred = map[int64]bool{}
	}
	for w := range s.owners[owner] {
		barred[w] = true
	}
	e.barred = barred
}

// others tells whether a live worker of anybody but owner could still do a job.
func (s *scheduler) others(id int64, owner community.MemberID) bool {
	e := s.jobs[id]
	return e != nil && s.willing(&e.need, e.barred, e.community, func(w *node) bool { return w.owner != owner })
}

// willing tells whether some live worker that may be asked could do a need and is not barred from it for good.
func (s *scheduler) willing(n *need, barred map[int64]bool, asker community.CommunityID, may func(*node) bool) bool {
	for _, w := range s.nodes {
		if !barred[w.id] && may(w) && !w.paused && !w.draining && w.admits(n.class, asker) && slices.ContainsFunc(w.offers, func(o *offer) bool { return o.suits(n) }) {
			return true
		}
	}
	return false
}

// spent tells whether a queued job was declined by workers, and nobody is here who has not.
func (s *scheduler) spent(id int64) bool {
	e := s.jobs[id]
	if e == nil || e.group == nil {
		return false
	}
	for _, good := range e.barred {
		if good {
			return !s.willing(&e.need, e.barred, e.community, func(*node) bool { return true })
		}
	}
	return false
}

// allSpent lists the jobs that are spent.
func (s *scheduler) allSpent() []int64 {
	var ids []int64
	for g := range s.retries {
		if s.spent(g.retry) {
			ids = append(ids, g.retry)
		}
	}
	slices.Sort(ids)
	return ids
}

// contradicted blames a worker that called a job impossible which another one then did.
func (s *scheduler) contradicted(worker int64, o *offer, now time.Time) {
	if w := s.nodes[worker]; w != nil && o != nil {
		s.blame(w, o, failed, now)
	}
}

// unbar lifts a retry's bars that are not for good when no other live worker can do it.
func (s *scheduler) unbar(g *group) bool {
	soft := false
	for _, good := range g.barred {
		soft = soft || !good
	}
	if !soft {
		return false
	}
	var asker community.CommunityID
	for asker = range g.byID { // a retry has one job
	}
	for _, w := range s.nodes {
		if _, barred := g.barred[w.id]; barred || w.paused || w.draining || !w.admits(g.class, asker) {
			continue
		}
		if slices.ContainsFunc(w.offers, func(o *offer) bool { return o.suits(&g.need) }) {
			return false
		}
	}
	g.barred = maps.Clone(g.barred)
	maps.DeleteFunc(g.barred, func(_ int64, good bool) bool { return !good })
	return true
}

// rate is a worker's measured speed with an offer, 1 (the reference card) until measured.
func (s *scheduler) rate(w *node, o *offer) float64 {
	if v, ok := s.speeds[speedKey{w.id, o.Kind, o.canonical}]; ok && v.Rate > 0 {
		return v.Rate
	}
	return 1
}

// merit orders workers for a job, least first: real before demo, loaded before not, fast before slow, trouble last.
func (s *scheduler) merit(w *node, o *offer) float64 {
	k := -float64(int(min(s.rate(w, o), 1e4)*10)) * 10
	if t := w.troubles[speedKey{w.id, o.Kind, o.canonical}]; t != nil {
		k += float64(min(t.inRow, 9))
	}
	if !o.Loaded {
		k += 1e7
	}
	if o.rank == 0 {
		k += 1e9
	}
	return k
}

func (s *scheduler) resting(w *node, o *offer) bool {
	t := w.troubles[speedKey{w.id, o.Kind, o.canonical}]
	return t != nil && !t.until.IsZero()
}

// best is the worker's best offer for a need, whatever the community.
func (s *scheduler) best(w *node, g *group) (chosen *offer, demo bool) {
	if _, barred := g.barred[w.id]; barred {
		return nil, false
	}
	var merit float64
	for _, o := range w.offers {
		if !o.suits(&g.need) || s.resting(w, o) {
			continue
		}
		rank, _ := o.quality(&g.need)
		m := s.merit(w, o)
		if rank == 0 {
			m += 1e9
		}
		if chosen == nil || m < merit {
			chosen, merit, demo = o, m, rank == 0
		}
	}
	return chosen, demo
}

// look brings the list of groups that a worker can serve up to date.
func (s *scheduler) look(w *node) {
	if w.epoch != s.epoch {
		w.epoch, w.seen, w.matches = s.epoch, 0, w.matches[:0]
	}
	for ; w.seen < len(s.order); w.seen++ {
		g := s.order[w.seen]
		if o, demo := s.best(w, g); o != nil {
			w.matches = append(w.matches, match{g, o, demo})
		}
	}
}

// fill gives a worker jobs until it is full or there is none for it.
func (s *scheduler) fill(w *node, now time.Time) {
	if !w.usable() {
		w.ticket = 0
		return
	}
	for w.free() > 0 {
		e, o := s.choose(w, now)
		if e == nil {
			s.rest(w)
			return
		}
		s.dispatch(e, w, o, now)
	}
	w.ticket = 0
}

// choose is the decision: which queued job comes next on this worker.
func (s *scheduler) choose(w *node, now time.Time) (*entry, *offer) {
	s.look(w)
	if len(s.mine) > 0 {
		var skip *group
		for _, e := range s.mine[w.owner] {
			if w.owner == 0 || e.group == skip {
				continue
			}
			if o, demo := s.best(w, e.group); o != nil && w.admits(e.group.class, e.community) && !(demo && s.hasReal(e.group)) {
				return e, o
			}
			skip = e.group
		}
	}
	slack := s.cfg.Affinity * s.cfg.LoadTime.Seconds()
	var best candidate
	for _, loaded := range [2]bool{true, false} { // loaded first: then most of the others need no look
		for i := range w.matches {
			m := &w.matches[i]
			if m.offer.Loaded != loaded || m.g.queued == 0 || m.demo && s.hasReal(m.g) {
				continue
			}
			c := candidate{offer: m.offer}
			if !loaded {
				c.penalty, c.rate = slack, s.rate(w, m.offer)
			}
			// Counters only grow, so a key that may be stale still says how early the group's first community comes at best. Where the best
			// job's own community waits too, members and not communities are compared.
			if best.job != nil {
				least, limit := m.g.flows[0].key, best.community.counter+best.penalty*best.rate
				if least > limit || least+c.penalty*c.rate > limit && m.g.byID[best.job.community] == nil {
					continue
				}
			}
			if s.head(w, m.g, &c); c.job != nil && (best.job == nil || c.before(&best)) {
				best = c
			}
		}
	}
	return best.job, best.offer
}

// candidate is the first job of a group, with what decides between groups.
type candidate struct {
	job               *entry
	offer             *offer
	community, member *client
	penalty           float64 // seconds
	rate              float64 // reference seconds per second
}

// before compares where the two differ first: communities by their counters, members of one community by theirs, jobs of one member by
// age. A model that must be loaded comes later by the slack.
func (a *candidate) before(b *candidate) bool {
	x, y := a.penalty*a.rate, b.penalty*b.rate
	var first bool
	switch {
	case a.community != b.community:
		x, y, first = x+a.community.counter, y+b.community.counter, a.community.tie < b.community.tie
	case a.member != b.member:
		x, y, first = x+a.member.counter, y+b.member.counter, a.member.tie < b.member.tie
	default:
		return a.job.since.Add(time.Duration(a.penalty * float64(time.Second))).Before(b.job.since.Add(time.Duration(b.penalty * float64(time.Second))))
	}
	return x < y || x == y && first
}

// head finds the job of a group that comes first among those whose community lets the worker see them; c.job stays nil when there is none.
func (s *scheduler) head(w *node, g *group, c *candidate) {
	var f *flow
	if g.class == Public || w.operator {
		f = first(g.flows, func(f *flow) *client { return f.client })
	} else {
		for c := range w.vouched {
			if v := g.byID[c]; v != nil && w.admits(g.class, c) && (f == nil || v.value.client.before(f.client)) {
				f = v.value
			}
		}
	}
	if f == nil {
		return
	}
	l := first(f.lines, func(l *line) *client { return l.client })
	c.job, c.community, c.member = l.jobs[0], f.client, l.client
}

func (c *client) before(d *client) bool {
	return c.counter < d.counter || c.counter == d.counter && c.tie < d.tie
}

// hasReal tells whether some worker that is there can do the group's jobs with more than a demonstration.
func (s *scheduler) hasReal(g *group) bool {
	if g.realCap == s.caps {
		return g.real
	}
	g.realCap, g.real = s.caps, false
	for _, w := range s.nodes {
		if w.paused || w.draining {
			continue
		}
		seen := g.class == Public || w.operator
		for c := range g.byID {
			seen = seen || w.admits(g.class, c)
		}
		if !seen {
			continue
		}
		if o, demo := s.best(w, g); o != nil && !demo {
			g.real = true
			break
		}
	}
	return g.real
}

func (s *scheduler) dispatch(e *entry, w *node, o *offer, now time.Time) {
	s.unqueue(e)
	e.node, e.last, e.offer = w, w.id, o
	w.running++
	// What a member's own machine does costs nobody else anything.
	if e.member == 0 || e.member != w.owner {
		e.charged = e.cost
		c := s.root.communities[e.community]
		m := c.members[e.member]
		c.add(e.cost)
		m.add(e.cost)
		c.tie |= served
		m.tie |= served
		c.running++
		m.running++
		e.served = [2]*client{c, m}
	}
	s.out = append(s.out, assignment{e.id, w.id, o})
}

// rest puts a worker without work into the idle heaps, once per offer and audience.
func (s *scheduler) rest(w *node) {
	if w.ticket != 0 {
		return
	}
	s.tie++
	w.ticket = s.tie
	for _, o := range w.offers {
		if s.resting(w, o) {
			continue
		}
		k := s.merit(w, o)
		put := func(audience string) {
			for _, model := range [2]string{o.canonical, ""} {
				key := idleKey{audience, o.Kind, model}
				h := s.idle[key]
				if h == nil {
					h = &idleHeap{sweepAt: 64}
					s.idle[key] = h
				}
				if len(h.minHeap) >= h.sweepAt {
					h.keep(ticket.valid)
					h.sweepAt = max(64, 2*len(h.minHeap))
				}
				h.push(&slot[ticket]{key: k, tie: w.ticket, value: ticket{w, w.ticket, o}})
			}
		}
		put("")
		if w.operator {
			put(operators)
		}
		for c := range w.vouched {
			put(string(c))
		}
	}
}

func (t ticket) valid() bool { return t.number == t.node.ticket }

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

// idleFor finds the best idle worker for a job that just came: its owner's own first.
func (s *scheduler) idleFor(e *entry, now time.Time) (*node, *offer) {
	g := e.group
	usable := func(t ticket) bool {
		w := t.node
		if !t.valid() || w.free() <= 0 || !w.usable() || !w.admits(g.class, e.community) || !t.offer.suits(&g.need) || s.resting(w, t.offer) {
			return false
		}
		if _, barred := g.barred[w.id]; barred {
			return false
		}
		rank, _ := t.offer.quality(&g.need)
		return rank > 0 || !s.hasReal(g)
	}
	var found *slot[ticket]
	visit := func(audience string) {
		h := s.idle[idleKey{audience, g.kind, g.model}]
		if h == nil {
			return
		}
		for len(h.minHeap) > 0 && !h.minHeap[0].value.valid() {
			h.remove(h.minHeap[0])
		}
		if len(h.minHeap) == 0 {
			delete(s.idle, idleKey{audience, g.kind, g.model})
			return
		}
		if t := h.minHeap[0]; usable(t.value) {
			if found == nil || t.key < found.key {
				found = t
			}
			return
		}
		for _, t := range h.minHeap {
			if (found == nil || t.key < found.key || t.key == found.key && t.tie < found.tie) && usable(t.value) {
				found = t
			}
		}
	}
	if g.class == Public {
		visit("")
	} else {
		visit(operators)
		visit(string(e.community))
	}
	if found == nil {
		return nil, nil
	}
	if e.member != 0 && found.value.node.owner != e.member {
		idle := func(w *node) bool {
			return w.ticket != 0 && w.usable() && w.free() > 0 && w.admits(g.class, e.community)
		}
		for _, w := range due(s.owners[e.member], idle) {
			if o, demo := s.best(w, g); o != nil && (!demo || !s.hasReal(g)) {
				return w, o
			}
		}
	}
	return found.value.node, found.value.offer
}

// ranks writes each queued job's position among those of its kind and the reference seconds before it, by playing the fair order forward.
func (s *scheduler) ranks() {
	type item struct {
		e    *entry
		m, c float64 // the counters that the member and the community would have after it
	}
	byCommunity := map[community.CommunityID][]item{}
	byMember := map[community.MemberID][]*entry{}
	for m, es := range s.mine {
		byMember[m] = es
	}
	type party struct {
		c community.CommunityID
		m community.MemberID
	}
	counters := map[party]float64{}
	for m, es := range byMember {
		for _, e := range es {
			p := party{e.community, m}
			k, ok := counters[p]
			if !ok {
				k = s.root.communities[e.community].members[m].counter
			}
			counters[p] = k + e.cost
			byCommunity[e.community] = append(byCommunity[e.community], item{e: e, m: k})
		}
	}
	all := make([]item, 0, s.queued)
	for id, items := range byCommunity {
		slices.SortFunc(items, func(a, b item) int { return byKey(a.m, b.m, a.e, b.e) })
		k := s.root.communities[id].counter
		for i := range items {
			items[i].c = k
			k += items[i].e.cost
		}
		all = append(all, items...)
	}
	slices.SortFunc(all, func(a, b item) int { return byKey(a.c, b.c, a.e, b.e) })
	position, ahead := map[protocol.Kind]int{}, map[protocol.Kind]float64{}
	for _, e := range s.jobs {
		if e.node != nil {
			ahead[e.need.kind] += e.cost / 2 // on average half of it is still to come
		}
	}
	for _, it := range all {
		k := it.e.need.kind
		position[k]++
		it.e.position, it.e.ahead = position[k], ahead[k]
		ahead[k] += it.e.cost
	}
}

func byKey(a, b float64, x, y *entry) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return int(x.tie) - int(y.tie)
	}
}

// eta guesses how long a queued job still needs; 0 when nobody could do it now.
func (s *scheduler) eta(id int64) (position int, eta time.Duration) {
	e := s.jobs[id]
	if e == nil || e.group == nil {
		return 0, 0
	}
	total, n := s.capacity(e)
	if n == 0 {
		return e.position, 0
	}
	seconds := e.ahead/total + e.cost/(total/float64(n))
	return e.position, time.Duration(seconds * float64(time.Second))
}

// capable calls f for each offer of a live worker that the job's class admits, with whether it suits the job, until f returns false.
func (s *scheduler) capable(j *Job, f func(*offer) bool) {
	n := needOf(j)
	for _, w := range s.nodes {
		if w.paused || w.draining || !w.admits(j.Class, j.Community) {
			continue
		}
		for _, o := range w.offers {
			if o.suits(&n) && !f(o) {
				return
			}
		}
	}
}

// infeasible says why no live worker could ever do the job, naming what can be done now; nil when one could.
func (s *scheduler) infeasible(j *Job) *fault.Error {
	n := needOf(j)
	var kind, admitted bool
	models, targets, pairs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var modelOK, pairOK bool
	var limit misfit
	for _, w := range s.nodes {
		if w.paused || w.draining {
			continue
		}
		for _, o := range w.offers {
			if o.Kind != n.kind {
				continue
			}
			if rank, ok := o.quality(&n); o.Kind != protocol.Translate && (!ok || rank < n.rank) {
				continue
			}
			kind = true
			if !w.admits(n.class, j.Community) {
				continue
			}
			admitted = true
			models[o.canonical] = true
			if n.model != "" && n.model != o.canonical {
				continue
			}
			modelOK = true
			for p, rank := range o.pairs {
				if rank >= n.rank {
					pairs[p[0]+"→"+p[1]] = true
					if p[0] == n.from {
						targets[p[1]] = true
					}
				}
			}
			if rank, ok := o.quality(&n); !ok || rank < n.rank {
				continue
			}
			pairOK = true
			if !o.can(&n) {
				continue
			}
			if m, ok := o.limits(&n); !ok {
				if m.max > limit.max {
					limit = m
				}
				continue
			}
			return nil
		}
	}
	list := func(m map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
	switch {
	case !kind:
		return fault.New(fault.NoWorker, "kind", n.kind)
	case !admitted && n.class == Private:
		return fault.New(fault.NoPrivateWorker, "kind", n.kind)
	case !admitted:
		return fault.New(fault.NoWorker, "kind", n.kind)
	case !modelOK:
		return fault.New(fault.NoModel, "model", n.model, "models", list(models))
	case !pairOK:
		return fault.New(fault.NoPair, "from", n.from, "to", n.to, "targets", list(targets), "pairs", list(pairs))
	case limit.what != "":
		return fault.New(fault.NoFit, "what", limit.what, "max", limit.max)
	default: // a feature or a sampler that nobody has
		return fault.New(fault.NoFit, "what", strings.TrimSpace(n.features+" "+n.sampler), "max", 0)
	}
}

// capacity is what all live workers can do of a job's group together, in reference seconds per second, and with how many slots.
func (s *scheduler) capacity(e *entry) (total float64, slots int) {
	g := e.group
	asker := e.community
	if g.class == Public {
		asker = ""
	}
	if g.capacityAt != s.caps || g.capacities == nil {
		g.capacityAt, g.capacities = s.caps, map[community.CommunityID]capacity{}
	}
	if c, ok := g.capacities[asker]; ok {
		return c.total, c.slots
	}
	for _, w := range s.nodes {
		if w.paused || w.draining || !w.admits(g.class, asker) {
			continue
		}
		if o, _ := s.best(w, g); o != nil {
			total += s.rate(w, o) * float64(w.slots)
			slots += w.slots
		}
	}
	g.capacities[asker] = capacity{total, slots}
	return total, slots
}

type capacity struct {
	total float64
	slots int
}
