package workers

import (
	"time"

	"potluck/workers/protocol"
)

type match struct {
	g     *group
	offer *offer
	demo  bool
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

// ticket is a place of an idle worker. It holds no offer: one that is out of date may stand in its heap for long, and offers may be large.
type ticket struct {
	node   *node
	number uint64
	place  int // of the offer among the worker's
}

// idleHeap is swept of invalid tickets whenever it has doubled.
type idleHeap struct {
	minHeap[ticket]
	sweepAt int
}

// rate is a worker's measured speed with an offer, 1 (the reference card) until measured.
func (s *scheduler) rate(w *node, o *offer) float64 {
	if v, ok := s.speeds[speedKey{w.id, o.Kind, o.canonical}]; ok && v.Rate > 0 {
		return v.Rate
	}
	return 1
}

func (s *scheduler) measured(w *node, o *offer) bool {
	return s.speeds[speedKey{w.id, o.Kind, o.canonical}].Rate > 0
}

// merit orders workers for a job, least first: real before demo, loaded before not, fast before slow, trouble last. Each fault in a row halves what a
// speed is worth, and takes from a worker that was never measured the benefit of the doubt: it must not go before others again and again.
func (s *scheduler) merit(w *node, o *offer) float64 {
	rate, faults := s.rate(w, o), min(s.faults(w, o), 9)
	if faults > 0 {
		if !s.measured(w, o) {
			rate = unmeasured
		}
		rate /= float64(int(1) << faults)
	}
	k := -float64(int(min(rate, 1e4)*10))*10 + float64(faults)
	if !o.Loaded {
		k += 1e7
	}
	if o.rank == 0 {
		k += 1e9
	}
	return k
}

// best is the worker's best offer for a need, whatever the community.
func (s *scheduler) best(w *node, g *group) (chosen *offer, demo bool) {
	if !w.may(&g.need) || s.keptFrom(w, g) {
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
	slack, full := s.cfg.Affinity*s.cfg.LoadTime.Seconds(), s.fullOf(w)
	var best candidate
	for _, loaded := range [2]bool{true, false} { // loaded first: then most of the others need no look
		for i := range w.matches {
			m := &w.matches[i]
			if m.offer.Loaded != loaded || m.g.queued == 0 || full[placeOf(m.g.kind)] && len(w.vouched) == 0 || m.demo && s.hasReal(m.g) {
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
	if w.operator || g.class == Public && !s.full(w, g.kind) {
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

// hasReal tells whether some worker that is there can do the group's jobs with more than a demonstration.
func (s *scheduler) hasReal(g *group) bool {
	if g.realCap == s.caps {
		return g.real
	}
	g.realCap, g.real = s.caps, false
	for _, w := range s.nodes {
		if !w.open() || !s.sees(w, g) {
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
	if w.lend(e); s.full(w, e.need.kind) {
		w.ticket = 0
	}
	s.probe(e)
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
	if s.tickets >= s.sweepAt {
		s.sweepIdle()
	}
	s.tie++
	w.ticket = s.tie
	full := s.fullOf(w)
	for i, o := range w.offers {
		if s.resting(w, o) || full[placeOf(o.Kind)] && len(w.vouched) == 0 {
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
					s.tickets -= h.sweep()
				}
				s.tickets++
				h.push(&slot[ticket]{key: k, tie: w.ticket, value: ticket{w, w.ticket, i}})
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

// offer is what a valid ticket stands for: a worker's tickets become invalid whenever its offers change.
func (t ticket) offer() *offer { return t.node.offers[t.place] }

// sweep drops the invalid tickets of a heap and tells how many.
func (h *idleHeap) sweep() int {
	before := len(h.minHeap)
	h.keep(ticket.valid)
	h.sweepAt = max(64, 2*len(h.minHeap))
	return before - len(h.minHeap)
}

// fewTickets are not worth a look at all heaps.
const fewTickets = 4096

// sweepIdle drops every invalid ticket, and the heaps that are empty then. A worker that offers other models again and again leaves heaps that nobody
// looks into: so this is done whenever the tickets have doubled, not by the clock.
func (s *scheduler) sweepIdle() {
	s.tickets = 0
	for key, h := range s.idle {
		if h.sweep(); len(h.minHeap) == 0 {
			delete(s.idle, key)
		}
		s.tickets += len(h.minHeap)
	}
	s.sweepAt = max(fewTickets, 2*s.tickets)
}

// idleFor finds the best idle worker for a job that just came: its owner's own first.
func (s *scheduler) idleFor(e *entry) (*node, *offer) {
	g := e.group
	var found *slot[ticket]
	if g.class == Public {
		found = s.idlest(e, "", nil)
	} else {
		found = s.idlest(e, operators, nil)
		found = s.idlest(e, string(e.community), found)
	}
	if e.member != 0 && (found == nil || found.value.node.owner != e.member) { // an own machine that is full for others stands in no heap
		idle := func(w *node) bool {
			return w.ticket != 0 && w.usable() && w.free() > 0 && w.admits(g.class, e.community)
		}
		for _, w := range due(s.owners[e.member], idle) {
			if o, demo := s.best(w, g); o != nil && (!demo || !s.hasReal(g)) {
				return w, o
			}
		}
	}
	if found == nil {
		return nil, nil
	}
	return found.value.node, found.value.offer()
}

// idlest returns the best ticket for a job among those of an audience, or found when that is better. It drops invalid ones from the top.
func (s *scheduler) idlest(e *entry, audience string, found *slot[ticket]) *slot[ticket] {
	key := idleKey{audience, e.group.kind, e.group.model}
	h := s.idle[key]
	if h == nil {
		return found
	}
	for len(h.minHeap) > 0 && !h.minHeap[0].value.valid() {
		h.remove(h.minHeap[0])
		s.tickets--
	}
	if len(h.minHeap) == 0 {
		delete(s.idle, key)
		return found
	}
	if t := h.minHeap[0]; s.serves(t.value, e) {
		if found == nil || t.key < found.key {
			found = t
		}
		return found
	}
	for _, t := range h.minHeap {
		if (found == nil || t.key < found.key || t.key == found.key && t.tie < found.tie) && s.serves(t.value, e) {
			found = t
		}
	}
	return found
}

// serves tells whether a ticket's worker may and can do a job now with the offer that it stands for.
func (s *scheduler) serves(t ticket, e *entry) bool {
	w, g := t.node, e.group
	if !t.valid() || w.free() <= 0 || !w.usable() || !w.may(&g.need) || !w.admits(g.class, e.community) {
		return false
	}
	o := t.offer()
	if !o.suits(&g.need) || s.resting(w, o) || s.keptFrom(w, g) {
		return false
	}
	if s.full(w, g.kind) && !w.spares(e) {
		return false
	}
	rank, _ := o.quality(&g.need)
	return rank > 0 || !s.hasReal(g)
}
