package workers

import (
	"time"

	"potluck/workers/protocol"
)

// record counts the jobs that a worker has done, by kind: what it has shown that it can do. It outlives its connections.
type record [3]int

// placeOf is a kind's place where each has one.
func placeOf(kind protocol.Kind) int {
	switch kind {
	case protocol.Chat:
		return 0
	case protocol.Image:
		return 1
	default:
		return 2
	}
}

func (r record) all() int { return r[0] + r[1] + r[2] }

// credit adds jobs to a worker's record.
func (s *scheduler) credit(worker int64, kind protocol.Kind, jobs int) {
	r := s.records[worker]
	r[placeOf(kind)] += jobs
	s.records[worker] = r
}

// prove notes that a worker did a job of a kind; first tells whether that is news.
func (s *scheduler) prove(w *node, kind protocol.Kind) (first bool) {
	first = s.records[w.id][placeOf(kind)] == 0
	if s.credit(w.id, kind, 1); s.untried(w) {
		s.caps++ // it may have more at once
	}
	return first
}

// proven tells whether a worker is the operator's, or did a job of the kind at some time. Who has not is a novice.
func (s *scheduler) proven(w *node, kind protocol.Kind) bool {
	return w.operator || s.records[w.id][placeOf(kind)] > 0
}

// untried tells whether a worker has done so little that it may not have jobs in all its slots at once.
func (s *scheduler) untried(w *node) bool {
	return !w.operator && s.records[w.id].all() <= w.slots
}

// share is how many jobs of a kind a worker may have at once: one, and one more for each that it has done. Machines that anybody can link for nothing could
// otherwise take what waits in one gulp, and each hold it until its first sign is overdue.
func (s *scheduler) share(w *node, kind protocol.Kind) int {
	if w.operator {
		return w.slots
	}
	return min(w.slots, 1+s.records[w.id][placeOf(kind)])
}

// full tells whether a worker may have no other job of a kind now, although it may have free slots: it has as many as share says, or in all one more than it
// has done. Jobs of its own owner do not count, and those of a community that vouched for the worker are not kept from it (see spares).
func (s *scheduler) full(w *node, kind protocol.Kind) bool { return s.fullOf(w)[placeOf(kind)] }

// fullOf is full of every kind.
func (s *scheduler) fullOf(w *node) (full [3]bool) {
	if w.operator || w.lent == (record{}) {
		return full
	}
	r := s.records[w.id]
	for i := range full {
		full[i] = w.lent[i] > r[i] || w.lent.all() > r.all()
	}
	return full
}

// spares tells whether a job may go to a worker that is full.
func (w *node) spares(e *entry) bool {
	return e.member != 0 && e.member == w.owner || w.vouched[e.community] != ""
}

// lend books a job on a worker, so that full knows of it.
func (w *node) lend(e *entry) {
	if e.lent = e.member == 0 || e.member != w.owner; e.lent {
		w.lent[placeOf(e.need.kind)]++
	}
}

// returned takes that back, and has the worker stand among the idle ones for what it may have now.
func (s *scheduler) returned(w *node, e *entry) {
	if !e.lent {
		return
	}
	before := s.fullOf(w)
	e.lent = false
	w.lent[placeOf(e.need.kind)]--
	s.loosened(w, before)
}

// loosened tells whether a worker may have more than before; then it has to stand among the idle ones anew.
func (s *scheduler) loosened(w *node, before [3]bool) bool {
	if before == s.fullOf(w) {
		return false
	}
	w.ticket = 0
	return true
}

// keptFrom tells whether a worker may not have the jobs of a group: it failed that job before, or is a novice while a proven worker can do what somebody
// has failed at; then it notes that novices wait for that one (see released). Otherwise a few machines that anybody can link, each new, could fail a job as
// often as it may be tried.
func (s *scheduler) keptFrom(w *node, g *group) bool {
	if _, barred := g.barred[w.id]; barred {
		return true
	}
	if g.retry == 0 || g.open || s.proven(w, g.kind) || !s.hasProven(g) {
		return false
	}
	g.kept = true
	return true
}

// provenShare is the part of a job's time, one in so many, that a retry waits at most for a proven worker.
const provenShare = 4

// released tells whether idle novices may have a retry that was kept from them: no proven worker is here any more, or it has waited long enough for one.
func (s *scheduler) released(g *group, now time.Time) bool {
	if !g.kept {
		return false
	}
	g.open = g.open || !g.until.IsZero() && !now.Before(g.until)
	return g.open || !s.hasProven(g)
}

// hasProven tells whether a proven worker is here that can do a retry with more than a demonstration, be it busy with jobs now. Who has no place although it
// does nothing may never have one.
func (s *scheduler) hasProven(g *group) bool {
	for _, w := range s.nodes {
		if !w.usable() || w.running == 0 && w.free() <= 0 || !s.proven(w, g.kind) || !s.sees(w, g) {
			continue
		}
		if o, demo := s.best(w, g); o != nil && !demo {
			return true
		}
	}
	return false
}

// sees tells whether a worker may see the jobs of some community that waits in a group.
func (s *scheduler) sees(w *node, g *group) bool {
	if g.class == Public || w.operator {
		return true
	}
	for c := range g.byID {
		if w.admits(g.class, c) {
			return true
		}
	}
	return false
}
