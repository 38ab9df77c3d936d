package workers

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"potluck/workers/protocol"
)

// Overview is what the pool looks like now: a copy that nobody changes.
type Overview struct {
	At      time.Time
	Workers []WorkerView
	Queued  map[protocol.Kind]int
	Running map[protocol.Kind]int
	Models  []ModelView
	Pairs   []PairView
}

// WorkerView is one live worker. ShownName is empty when the owner does not want to be named; Name is for the owner and operators.
type WorkerView struct {
	Worker
	ShownName string
	Offers    []OfferView
	Slots     int
	Free      int
	State     WorkerState
	Reason    string // why its machine is paused
	Closed    Closed // why it takes nothing new although its machine would; then State is Paused, too
	Load      []protocol.GPULoad
	Jobs      []int64
	Since     time.Time // connected
}

// WorkerState is what a worker does as a whole.
type WorkerState string

const (
	Online   WorkerState = "online"
	Paused   WorkerState = "paused"
	Draining WorkerState = "draining"
	Away     WorkerState = "away" // the connection is lost, perhaps it comes back
)

// OfferView is an offer under its canonical model name.
type OfferView struct {
	protocol.Offer
	Canonical string
	Rate      float64 // measured reference seconds per second; 0 = never measured
}

// ModelView is a model that some live worker can run now.
type ModelView struct {
	Kind    protocol.Kind
	Model   string // canonical
	Quality protocol.Quality
	Workers int
	Loaded  int
	// The largest that one worker takes; 0 = unknown.
	Context, MaxPixels, MaxSteps, MaxCount int
	Features                               []string
}

// PairView is a translation direction that is possible now; From and To are "*" for a model that reads everything.
type PairView struct {
	From, To string
	Quality  protocol.Quality // the best
	Workers  int
}

// Stats are plain numbers for metrics; Attempts and what follows count since the start.
type Stats struct {
	Workers    map[WorkerState]int
	Queued     map[protocol.Kind]int
	Running    map[protocol.Kind]int
	Attempts   map[Outcome]int
	Settled    int
	SettleTime time.Duration // in all: divide by Settled
}

// Overview returns the pool as the loop last described it, at most a quarter of a second ago; the caller must not change it.
func (p *Pool) Overview() Overview { return p.view.Load().overview() }

// snapshot is what the loop knows at one moment. Summing up who can do what is left to the first who asks: the loop has no time for that,
// workers could offer thousands of models.
type snapshot struct {
	Overview // without Models and Pairs
	able     [][]*offer
	once     sync.Once
}

func (s *snapshot) overview() Overview {
	s.once.Do(s.sum)
	return s.Overview
}

// Stats returns numbers of the same age.
func (p *Pool) Stats() Stats { return *p.counts.Load() }

// publish describes the state for readers.
func (p *Pool) publish(now time.Time) {
	p.dirty, p.published = false, now
	v := &snapshot{Overview: Overview{At: now, Queued: map[protocol.Kind]int{}, Running: map[protocol.Kind]int{}}}
	st := &Stats{
		Workers: map[WorkerState]int{}, Queued: v.Queued, Running: v.Running, Attempts: map[Outcome]int{},
		Settled: p.tallied.Settled, SettleTime: p.tallied.SettleTime,
	}
	for o, n := range p.tallied.Attempts {
		st.Attempts[o] = n
	}
	for _, j := range p.keys {
		switch j.phase {
		case running, leasing, settling:
			v.Running[j.Kind]++
		default:
			v.Queued[j.Kind]++
		}
	}
	for _, w := range p.present {
		wv := p.describe(w)
		st.Workers[wv.State]++
		v.Workers = append(v.Workers, wv)
		if wv.State != Paused && wv.State != Draining {
			v.able = append(v.able, p.offered(w))
		}
	}
	slices.SortFunc(v.Workers, func(a, b WorkerView) int { return cmp.Compare(a.ID, b.ID) })
	p.view.Store(v)
	p.counts.Store(st)
	p.publishing = time.Since(now)
}

// mayPublish tells whether describing the state again would take less than a twentieth of the loop's time; a tick does it in any case.
func (p *Pool) mayPublish(now time.Time) bool { return now.Sub(p.published) >= 20*p.publishing }

// sum adds what the workers can do together.
func (s *snapshot) sum() {
	type modelKey struct {
		kind  protocol.Kind
		model string
	}
	models := map[modelKey]*ModelView{}
	pairs := map[[2]string]*PairView{}
	translates := func(from, to string, rank int) {
		pv := pairs[[2]string{from, to}]
		if pv == nil {
			pv = &PairView{From: from, To: to, Quality: protocol.Demo}
			pairs[[2]string{from, to}] = pv
		}
		pv.Workers++
		pv.Quality = qualityOf(max(rank, rankOf(pv.Quality)))
	}
	for _, offers := range s.able {
		for _, o := range offers {
			k := modelKey{o.Kind, o.canonical}
			m := models[k]
			if m == nil {
				m = &ModelView{Kind: o.Kind, Model: o.canonical, Quality: protocol.Demo}
				models[k] = m
			}
			m.add(o)
			for pair, rank := range o.pairs {
				translates(pair[0], pair[1], rank)
			}
			if o.Kind == protocol.Translate && o.AnyPair {
				translates("*", "*", o.rank)
			}
		}
	}
	s.able = nil
	for _, m := range models {
		slices.Sort(m.Features)
		s.Models = append(s.Models, *m)
	}
	for _, pv := range pairs {
		s.Pairs = append(s.Pairs, *pv)
	}
	slices.SortFunc(s.Models, func(a, b ModelView) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Model, b.Model)) })
	slices.SortFunc(s.Pairs, func(a, b PairView) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}

func (m *ModelView) add(o *offer) {
	m.Workers++
	if o.Loaded {
		m.Loaded++
	}
	rank := o.rank
	for _, r := range o.pairs {
		rank = max(rank, r)
	}
	m.Quality = qualityOf(max(rank, rankOf(m.Quality)))
	m.Context, m.MaxPixels = max(m.Context, o.Context), max(m.MaxPixels, o.MaxPixels)
	m.MaxSteps, m.MaxCount = max(m.MaxSteps, o.MaxSteps), max(m.MaxCount, o.MaxCount)
	for _, f := range o.Features {
		if !slices.Contains(m.Features, f) {
			m.Features = append(m.Features, f)
		}
	}
}

func (p *Pool) describe(w *presence) WorkerView {
	v := WorkerView{Worker: w.Worker, ShownName: shownName(w.Worker), Slots: w.slots, Load: w.load, Since: w.since, State: Online, Reason: w.paused}
	switch {
	case w.session == nil:
		v.State = Away
	case w.draining:
		v.State = Draining
	case w.paused != "":
		v.State = Paused
	}
	if n := p.sched.nodes[w.ID]; n != nil {
		v.Free = max(n.free(), 0)
		if v.Closed = n.rules.closed; v.Closed != "" && v.State == Online {
			v.State = Paused
		}
	}
	if w.shown == nil && len(w.offers) > 0 {
		w.shown = make([]OfferView, 0, len(w.offers))
		for _, o := range w.offers {
			w.shown = append(w.shown, OfferView{o.Offer, o.canonical, p.sched.speeds[speedKey{w.ID, o.Kind, o.canonical}].Rate})
		}
	}
	v.Offers = w.shown
	for _, l := range w.leases {
		v.Jobs = append(v.Jobs, l.Job)
	}
	slices.Sort(v.Jobs)
	return v
}

// shownName is how a worker is credited under a result: "Rita's RTX 3060".
func shownName(w Worker) string {
	switch {
	case !w.Share:
		return ""
	case w.OwnerName == "":
		return w.Name
	default:
		return w.OwnerName + "'s " + w.Name
	}
}

// Erase forgets what a delivered request sent and received, with its pictures.
func (p *Pool) Erase(ctx context.Context, request string) error {
	paths, err := p.store.Erase(ctx, request)
	if err != nil {
		return err
	}
	return removeBlobs(p.cfg.BlobDir, paths)
}
