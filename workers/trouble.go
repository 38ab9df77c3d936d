package workers

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"potluck/community"
)

// trouble is what went wrong with one model on one worker, or with all models of a kind.
type trouble struct {
	inRow int
	busy  int           // times in a row that it was busy after all
	rest  time.Duration // how long the last rest was
	until time.Time     // rests until then
	probe int64         // the one job that it has on probation: after a rest it must do one before it gets more
	last  time.Time     // when something went wrong
}

// anyModel stands for all models of a kind together in the key of a trouble; no model is called so. A worker that fails with one model after the other
// is no better than one that fails with one.
const anyModel = "\x00"

// unmeasured is the speed that a worker is taken to have at least, in reference seconds per second: it may be a processor without a GPU.
const unmeasured = 0.05

// verdict says what a failed attempt means for the worker.
type verdict int

const (
	blameless verdict = iota // not the worker's doing, it may have the job again
	declined                 // it will not do this job
	crowded                  // busy after all: rests for a moment
	tardy                    // had its share of the time; whether that is its fault, another worker has to show
	failed                   // its fault
)

// A worker that was busy after all is left alone with that model for crowdedRest, and twice as long each time that it is busy again, up to crowdedMax.
const (
	crowdedRest = 2 * time.Second
	crowdedMax  = time.Minute
)

// longPast is when a trouble is forgotten.
const longPast = time.Hour

func (t *trouble) past(now time.Time) bool {
	return !t.until.After(now) && t.probe == 0 && now.Sub(t.last) >= longPast
}

// trouble finds what went wrong with an offer of a worker; both may be nil.
func (w *node) trouble(o *offer) (model, kind *trouble) {
	if len(w.troubles) == 0 {
		return nil, nil
	}
	return w.troubles[speedKey{w.id, o.Kind, o.canonical}], w.troubles[speedKey{w.id, o.Kind, anyModel}]
}

func (t *trouble) resting() bool { return t != nil && (!t.until.IsZero() || t.probe != 0) }

// resting tells whether a worker gets nothing for an offer now.
func (s *scheduler) resting(w *node, o *offer) bool {
	model, kind := w.trouble(o)
	return model.resting() || kind.resting()
}

// rested is until when a worker rests from an offer; zero when it is on probation.
func (w *node) rested(o *offer) (until time.Time) {
	model, kind := w.trouble(o)
	for _, t := range [2]*trouble{model, kind} {
		if t != nil {
			until = later(until, t.until)
		}
	}
	return until
}

// faults is how often in a row a worker failed with an offer's model or, with several models, at its kind.
func (s *scheduler) faults(w *node, o *offer) (n int) {
	model, kind := w.trouble(o)
	if model != nil {
		n = model.inRow
	}
	if kind != nil {
		n = max(n, kind.inRow)
	}
	return n
}

// probe puts a worker that failed too often on probation with a job: until that is over it gets no other of the model, or of the kind.
func (s *scheduler) probe(e *entry) {
	w := e.node
	model, kind := w.trouble(e.offer)
	began := false
	if model != nil && model.inRow >= s.cfg.FaultsInRow {
		model.probe, began = e.id, true
	}
	if kind != nil && kind.inRow >= kindFaults*s.cfg.FaultsInRow {
		kind.probe, began = e.id, true
	}
	if began {
		s.changed(w)
	}
}

// probed ends the probation of the worker that a job was given to, and returns it: it may be filled. nil when it was on none.
func (s *scheduler) probed(e *entry) *node {
	w := s.nodes[e.last]
	if w == nil || e.offer == nil {
		return nil
	}
	model, kind := w.trouble(e.offer)
	ended := false
	for _, t := range [2]*trouble{model, kind} {
		if t != nil && t.probe == e.id {
			t.probe, ended = 0, true
		}
	}
	if !ended {
		return nil
	}
	s.changed(w)
	return w
}

// redeemed forgets what went wrong with an offer, because a job was done by it. It tells whether something was kept from the worker because of that.
func (s *scheduler) redeemed(w *node, o *offer) bool {
	model, kind := w.trouble(o)
	delete(w.troubles, speedKey{w.id, o.Kind, o.canonical})
	delete(w.troubles, speedKey{w.id, o.Kind, anyModel})
	return model.resting() || kind.resting()
}

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
	if w := e.check(nil); w != nil {
		defer func() { s.fill(w, now) }()
	}
	if w := s.probed(e); w != nil {
		defer func() { s.fill(w, now) }()
	}
	if w := s.nodes[e.last]; w != nil && e.offer != nil && (v == failed || v == crowded) {
		s.blame(w, e.offer, v, now)
	}
	s.correct(e, 0)
	e.charged = 0
	s.unbook(e, now)
}

func (s *scheduler) blame(w *node, o *offer, v verdict, now time.Time) {
	if t := w.troubled(speedKey{w.id, o.Kind, o.canonical}, now); v == crowded {
		t.crowd(now)
	} else {
		w.fault(t, s.cfg.FaultsInRow, &s.cfg, now)
		w.fault(w.troubled(speedKey{w.id, o.Kind, anyModel}, now), kindFaults*s.cfg.FaultsInRow, &s.cfg, now)
	}
	s.changed(w)
	s.fill(w, now)
}

// kindFaults times as many faults in a row as make one model rest make the whole kind rest.
const kindFaults = 2

func (w *node) troubled(key speedKey, now time.Time) *trouble {
	if w.troubles == nil {
		w.troubles = map[speedKey]*trouble{}
	}
	t := w.troubles[key]
	if t == nil {
		t = &trouble{}
		w.troubles[key] = t
	}
	t.last = now
	return t
}

// breakdown has whatever f blames a worker for count as one fault of each model and of its kind: it lost all of it at one blow.
func (s *scheduler) breakdown(worker int64, f func()) {
	w := s.nodes[worker]
	if w == nil {
		f()
		return
	}
	w.broken = map[*trouble]bool{}
	f()
	w.broken = nil
}

func (w *node) fault(t *trouble, most int, cfg *schedulerConfig, now time.Time) {
	if w.broken[t] {
		return
	}
	if w.broken != nil {
		w.broken[t] = true
	}
	t.fault(most, cfg, now)
}

func (t *trouble) fault(most int, cfg *schedulerConfig, now time.Time) {
	if t.inRow++; t.inRow >= most {
		t.rest = min(max(2*t.rest, cfg.BackOff), cfg.BackOffMax)
		t.until = now.Add(t.rest)
	}
}

// crowd lets a busy worker rest. Several jobs that it could not take at one moment count once.
func (t *trouble) crowd(now time.Time) {
	if t.until.IsZero() {
		t.busy++
		t.until = now.Add(min(crowdedRest<<min(t.busy-1, 10), crowdedMax))
	}
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
		if g.queued > 0 && (s.unbar(g) || s.released(g, now)) {
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

// elsewhere tells whether a running job would be begun at once by another worker that is known for no less than its own, and could end it in the time that
// is left, as far as anybody knows. A demonstration is no reason to stop what is real.
func (s *scheduler) elsewhere(id, worker int64, left time.Duration) bool {
	e, own := s.jobs[id], s.nodes[worker]
	if e == nil || own == nil || e.offer == nil {
		return false
	}
	barred := map[int64]bool{worker: false}
	maps.Copy(barred, e.barred)
	g := &group{need: e.need, barred: barred, byID: map[community.CommunityID]*slot[*flow]{e.community: nil}, realCap: -1}
	rank, _ := e.offer.quality(&e.need)
	known, novice := s.standing(own, e.offer), false
	for _, w := range s.nodes {
		if !w.usable() || w.free() <= 0 || !w.admits(g.class, e.community) || s.full(w, g.kind) && !w.spares(e) {
			continue
		}
		o, demo := s.best(w, g)
		if o == nil || demo && rank > 0 || s.standing(w, o) < known || s.measured(w, o) && e.cost/s.rate(w, o) > left.Seconds() {
			continue
		}
		if s.proven(w, g.kind) {
			return true
		}
		novice = true
	}
	return novice && !s.hasProven(g) // who would be kept from it then
}

// standing orders workers by what they are known for: jobs of an offer's kind that were done, and lately faults.
func (s *scheduler) standing(w *node, o *offer) (n int) {
	if s.proven(w, o.Kind) {
		n++
	}
	if s.faults(w, o) > 0 {
		n--
	}
	return n
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
