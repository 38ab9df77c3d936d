package workers

import (
	"maps"
	"slices"
	"strings"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

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
		if !w.open() || !w.may(&n) || !w.admits(j.Class, j.Community) {
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
	seen := reach{models: map[string]bool{}, targets: map[string]bool{}, pairs: map[string]bool{}}
	for _, w := range s.nodes {
		if !w.open() || !w.may(&n) {
			continue
		}
		admitted := w.admits(n.class, j.Community)
		for _, o := range w.offers {
			if seen.all(o, &n, admitted) {
				return nil
			}
		}
	}
	return seen.lacks(&n)
}

// reach is how far the offers of live workers come with what a job needs, one requirement after the other.
type reach struct {
	kind, admitted, model, pair bool            // some offer came beyond this one
	models, targets, pairs      map[string]bool // what there is instead
	limit                       misfit          // the widest of those that are too small
}

// all notes how far an offer comes, and tells whether that is all the way. admitted: its worker may see the job.
func (r *reach) all(o *offer, n *need, admitted bool) bool {
	if o.Kind != n.kind {
		return false
	}
	rank, ok := o.quality(n)
	good := ok && rank >= n.rank
	if o.Kind != protocol.Translate && !good {
		return false
	}
	r.kind = true
	if !admitted {
		return false
	}
	r.admitted = true
	r.models[o.canonical] = true
	if n.model != "" && n.model != o.canonical {
		return false
	}
	r.model = true
	for p, rank := range o.pairs {
		if rank >= n.rank {
			r.pairs[p[0]+"→"+p[1]] = true
			if p[0] == n.from {
				r.targets[p[1]] = true
			}
		}
	}
	if !good {
		return false
	}
	r.pair = true
	if !o.can(n) {
		return false
	}
	limit, fits := o.limits(n)
	if !fits && limit.max > r.limit.max {
		r.limit = limit
	}
	return fits
}

// lacks names the first requirement that no offer came beyond.
func (r *reach) lacks(n *need) *fault.Error {
	list := func(m map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
	switch {
	case !r.kind:
		return fault.New(fault.NoWorker, "kind", n.kind)
	case !r.admitted && n.class == Private:
		return fault.New(fault.NoPrivateWorker, "kind", n.kind)
	case !r.admitted:
		return fault.New(fault.NoWorker, "kind", n.kind)
	case !r.model:
		return fault.New(fault.NoModel, "model", n.model, "models", list(r.models))
	case !r.pair:
		return fault.New(fault.NoPair, "from", n.from, "to", n.to, "targets", list(r.targets), "pairs", list(r.pairs))
	case r.limit.what != "":
		return fault.New(fault.NoFit, "what", r.limit.what, "max", r.limit.max)
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
		if !w.open() || !w.may(&g.need) || !w.admits(g.class, asker) {
			continue
		}
		if o, _ := s.best(w, g); o != nil {
			n := s.share(w, g.kind)
			total += s.rate(w, o) * float64(n)
			slots += n
		}
	}
	g.capacities[asker] = capacity{total, slots}
	return total, slots
}

type capacity struct {
	total float64
	slots int
}
