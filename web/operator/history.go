package operator

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"potluck/community"
	"potluck/web/guard"
	"potluck/workers"
	"potluck/workers/protocol"
)

// span is one of the times that the pictures show, cut into stretches.
type span struct {
	width time.Duration // of one stretch; a divisor of a day
	count int
}

var spans = map[string]span{
	"hour": {time.Minute, 60},
	"day":  {15 * time.Minute, 96},
	"week": {2 * time.Hour, 84},
}

// begin is where the first stretch begins; the last one holds now.
func (s span) begin(now time.Time) time.Time {
	return now.Truncate(s.width).Add(-time.Duration(s.count-1) * s.width)
}

// stretch is one cached piece of the past.
type stretch struct {
	width time.Duration
	from  int64 // milliseconds
}

const (
	// readTime is how long one look at the past may read; what is missing then comes with the next look.
	readTime = 400 * time.Millisecond
	// settledAfter is how long after its end a stretch may still change: a transaction carries the time at which it was begun.
	settledAfter = 2 * time.Minute
	// unsettledAge is how old what is known of such a stretch may be.
	unsettledAge = 5 * time.Second
)

// history remembers stretches of the past, which do not change any more.
type history struct {
	store Store
	mu    sync.Mutex
	known map[stretch]Ended
	fresh map[stretch]freshStretch // those that may still change
}

type freshStretch struct {
	Ended
	read time.Time
}

// read returns the stretches of a span, the oldest first, and how many of them are known already (the newest ones). The others are empty.
func (h *history) read(ctx context.Context, s span, now time.Time) (all []Ended, complete int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	begun := time.Now()
	all = make([]Ended, s.count)
	first := s.begin(now)
	fresh := map[stretch]freshStretch{}
	for i := s.count - 1; i >= 0; i-- {
		from := first.Add(time.Duration(i) * s.width)
		key := stretch{s.width, from.UnixMilli()}
		if e, ok := h.known[key]; ok {
			all[i] = e
			complete++
			continue
		}
		if f, ok := h.fresh[key]; ok && now.Sub(f.read) < unsettledAge {
			all[i], fresh[key] = f.Ended, f
			complete++
			continue
		}
		if time.Since(begun) > readTime {
			break
		}
		e, err := h.store.Ended(ctx, from, s.width)
		if err != nil {
			return nil, 0, err
		}
		if now.Sub(from.Add(s.width)) > settledAfter {
			h.known[key] = e
		} else {
			fresh[key] = freshStretch{e, now}
		}
		all[i] = e
		complete++
	}
	maps.DeleteFunc(h.fresh, func(k stretch, _ freshStretch) bool { return k.width == s.width })
	if h.fresh == nil {
		h.fresh = map[stretch]freshStretch{}
	}
	maps.Copy(h.fresh, fresh)
	maps.DeleteFunc(h.known, func(k stretch, _ Ended) bool { return k.width == s.width && k.from < first.UnixMilli() })
	return all, complete, nil
}

// chartView is what the pictures of one span are drawn from. Every list has one value for each stretch, the oldest first.
type chartView struct {
	Begin    int64                       `json:"begin"` // ms
	Width    int64                       `json:"width"` // ms
	Complete float64                     `json:"complete"`
	P50      []float64                   `json:"p50"` // seconds; negative: nothing began
	P95      []float64                   `json:"p95"`
	Depth    []float64                   `json:"depth"` // jobs in line, on average
	Done     map[protocol.Kind][]int     `json:"done"`
	Failed   []int                       `json:"failed"`
	Owners   []ownerSeconds              `json:"owners"` // the most first; at most maxOwners and one for all others
	names    map[community.MemberID]bool // whose names are wanted
}

type ownerSeconds struct {
	Owner   community.MemberID `json:"owner"` // 0 = all others
	Name    string             `json:"name"`
	Seconds []float64          `json:"seconds"`
}

// maxOwners is how many owners have a colour of their own.
const maxOwners = 5

func (v *View) chart(w http.ResponseWriter, r *http.Request, _ community.Member) {
	s, ok := spans[cmp.Or(r.URL.Query().Get("span"), "hour")]
	if !ok {
		guard.Refuse(w, http.StatusNotFound, "unknown_span", "The spans are hour, day and week.")
		return
	}
	now := v.config.Now()
	all, complete, err := v.history.read(r.Context(), s, now)
	if err != nil {
		v.broken(w, r, err)
		return
	}
	line, err := v.config.Store.Line(r.Context())
	if err != nil {
		v.broken(w, r, err)
		return
	}
	c := draw(s, now, all, line)
	c.Complete = float64(complete) / float64(s.count)
	names, err := v.config.Store.Names(r.Context(), slices.Collect(maps.Keys(c.names)))
	if err != nil {
		v.broken(w, r, err)
		return
	}
	for i := range c.Owners {
		c.Owners[i].Name = shown(names[c.Owners[i].Owner])
	}
	v.answer(w, r, c)
}

// draw turns stretches into lines of numbers.
func draw(s span, now time.Time, all []Ended, line []Line) chartView {
	c := chartView{
		Begin: s.begin(now).UnixMilli(), Width: s.width.Milliseconds(), Done: map[protocol.Kind][]int{}, Failed: make([]int, len(all)),
		names: map[community.MemberID]bool{},
	}
	for _, k := range kinds() {
		c.Done[k] = make([]int, len(all))
	}
	owners := map[community.MemberID]*ownerSeconds{}
	totals := map[community.MemberID]float64{}
	for i, e := range all {
		p50, p95 := e.P50.Seconds(), e.P95.Seconds()
		if e.Waited == 0 {
			p50, p95 = -1, -1
		}
		c.P50, c.P95 = append(c.P50, p50), append(c.P95, p95)
		for _, g := range e.Groups {
			switch g.State {
			case workers.Done:
				c.Done[g.Kind][i] += g.Jobs
				o := owners[g.Earner]
				if o == nil {
					o = &ownerSeconds{Owner: g.Earner, Seconds: make([]float64, len(all))}
					owners[g.Earner] = o
				}
				o.Seconds[i] += g.Seconds
				totals[g.Earner] += g.Seconds
			case workers.Failed:
				c.Failed[i] += g.Jobs
			}
		}
	}
	c.Owners = most(owners, totals, len(all))
	for _, o := range c.Owners {
		c.names[o.Owner] = true
	}
	c.Depth = depth(s, now, all, line)
	return c
}

// most keeps the owners with the most seconds and adds up the rest.
func most(owners map[community.MemberID]*ownerSeconds, totals map[community.MemberID]float64, n int) []ownerSeconds {
	order := slices.SortedFunc(maps.Keys(owners), func(a, b community.MemberID) int {
		return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b))
	})
	out := []ownerSeconds{}
	for i, id := range order {
		if i < maxOwners {
			out = append(out, *owners[id])
			continue
		}
		if i == maxOwners {
			out = append(out, ownerSeconds{Seconds: make([]float64, n)})
		}
		for k, s := range owners[id].Seconds {
			out[maxOwners].Seconds[k] += s
		}
	}
	return out
}

// depth is how many jobs stood in line, on average over each stretch: the time that all jobs together stood there, by the stretch's width.
func depth(s span, now time.Time, all []Ended, line []Line) []float64 {
	first := s.begin(now).UnixMilli() / s.width.Milliseconds()
	stood := make([]time.Duration, len(all))
	add := func(at int64, d time.Duration) {
		if k := at - first; k >= 0 && k < int64(len(stood)) {
			stood[k] += d
		}
	}
	stay := func(st Stay) {
		if st.Came == st.Left {
			add(st.Came, st.Out-st.In)
			return
		}
		add(st.Came, time.Duration(st.Jobs)*s.width-st.In)
		add(st.Left, st.Out)
		for at := max(st.Came+1, first); at < min(st.Left, first+int64(len(stood))); at++ {
			add(at, time.Duration(st.Jobs)*s.width)
		}
	}
	for _, e := range all {
		for _, st := range e.Stays {
			stay(st)
		}
	}
	place := func(t time.Time) (int64, time.Duration) {
		w := s.width.Milliseconds()
		return t.UnixMilli() / w, time.Duration(t.UnixMilli()%w) * time.Millisecond
	}
	for _, l := range line {
		for _, o := range l.Open {
			st := Stay{Jobs: 1}
			left := o.Left
			if left.IsZero() {
				left = now
			}
			if left.Before(o.Came) {
				continue // the clock was set
			}
			st.Came, st.In = place(o.Came)
			st.Left, st.Out = place(left)
			stay(st)
		}
	}
	out := make([]float64, len(stood))
	for i, d := range stood {
		out[i] = max(d.Seconds(), 0) / s.width.Seconds()
	}
	if passed := now.Sub(now.Truncate(s.width)); passed > time.Second { // the last stretch has only begun
		last := len(out) - 1
		out[last] = max(stood[last].Seconds(), 0) / passed.Seconds()
	}
	return out
}
