package workers

import "potluck/workers/protocol"

// provedKey names what a worker has shown that it can do.
type provedKey struct {
	worker int64
	kind   protocol.Kind
}

// prove notes that a worker did a job of a kind; first tells whether that is news.
func (s *scheduler) prove(w *node, kind protocol.Kind) (first bool) {
	key := provedKey{w.id, kind}
	first = !s.proved[key]
	s.proved[key] = true
	return first
}

// proven tells whether a worker is the operator's, or did a job of the kind at some time. Who has not is a novice.
func (s *scheduler) proven(w *node, kind protocol.Kind) bool {
	return w.operator || s.proved[provedKey{w.id, kind}]
}

// keptFrom tells whether a worker may not have the jobs of a group: it failed that job before, or is a novice while a proven worker can do what somebody
// has failed at. Otherwise a few machines that anybody can link, each new, could fail a job as often as it may be tried.
func (s *scheduler) keptFrom(w *node, g *group) bool {
	if _, barred := g.barred[w.id]; barred {
		return true
	}
	if g.retry == 0 || s.proven(w, g.kind) || !s.hasProven(g) {
		return false
	}
	g.kept = true
	return true
}

// hasProven tells whether a proven worker is here that can do a retry, be it busy now.
func (s *scheduler) hasProven(g *group) bool {
	for _, w := range s.nodes {
		if !w.usable() || !s.proven(w, g.kind) || !s.sees(w, g) {
			continue
		}
		if o, _ := s.best(w, g); o != nil {
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
