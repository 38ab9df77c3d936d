package workers

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"potluck/community"
)

// trouble is what went wrong with one model on one worker.
type trouble struct {
	inRow int
	rest  time.Duration // how long the last rest was
	until time.Time     // rests until then
}

// verdict says what a failed attempt means for the worker.
type verdict int

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
		if _, barred := e.barred[w.id]; barred || w.id == e.last || !w.open() || !w.may(&n) || !w.admits(n.class, e.community) {
			continue
		}
		if slices.ContainsFunc(w.offers, func(o *offer) bool { return o.suits(&n) }) {
			e.need = s.coarse(n)
			return true
		}
	}
	return false
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
		if !barred[w.id] && may(w) && w.open() && w.may(n) && w.admits(n.class, asker) && slices.ContainsFunc(w.offers, func(o *offer) bool { return o.suits(n) }) {
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
		if _, barred := g.barred[w.id]; barred || !w.open() || !w.may(&g.need) || !w.admits(g.class, asker) {
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
