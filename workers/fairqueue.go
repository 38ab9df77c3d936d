package workers

import (
	"slices"
	"time"

	"potluck/community"
)

// group is all queued jobs with one need.
type group struct {
	need
	queued  int
	flows   minHeap[*flow]
	byID    map[community.CommunityID]*slot[*flow]
	barred  map[int64]bool // of a retry: workers that failed this job; true = for good, false = while there is another
	realCap int            // scheduler.caps for which real is right
	real    bool           // some usable worker can do it with more than a demonstration
	kept    bool           // of a retry: it was kept from a novice
	until   time.Time      // of a retry: waits for a proven worker until then; zero: as long as one is here
	open    bool           // of a retry: it has waited for one in vain, and anybody may have it

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
	wait      time.Duration // how long it may take in all; 0 = nobody knows
	group     *group        // nil while it runs
	need      need
	barred    map[int64]bool
	node      *node  // whose slot it takes
	lent      bool   // that slot is not its asker's own
	checked   *node  // whose result of it is being checked and saved
	last      int64  // the worker of the last attempt
	offer     *offer // of the last attempt; nil until an adopted one's worker is there
	// Written by ranks.
	position int
	ahead    float64
}

// enqueue lines a job up, or starts it at once where somebody is idle.
func (s *scheduler) enqueue(e *entry, now time.Time) {
	g := s.groupFor(e)
	e.group = g
	s.tie++
	e.tie = s.tie

	c, m := s.clientsOf(e)
	s.activate(s.root, c)
	s.activate(c, m)
	l := g.lineOf(e, c, m)
	l.jobs = append(l.jobs, e)
	g.queued++
	s.queued++
	s.mine[e.member] = append(s.mine[e.member], e)

	if g.retry != 0 {
		s.unbar(g)
		if e.wait > 0 {
			g.until = now.Add(e.wait / provenShare)
		}
	}
	if w, o := s.idleFor(e); w != nil {
		s.dispatch(e, w, o, now)
		switch {
		case w.free() <= 0:
			w.ticket = 0
		case w.ticket == 0: // it may have nothing more of this kind or model for now, and may do others
			s.fill(w, now)
		}
	}
}

// groupFor returns the group of jobs that need the same as e.
func (s *scheduler) groupFor(e *entry) *group {
	n := e.need
	if len(e.barred) > 0 {
		n.retry = e.id
	}
	if g := s.groups[n]; g != nil {
		return g
	}
	g := &group{need: n, byID: map[community.CommunityID]*slot[*flow]{}, barred: e.barred, realCap: -1}
	s.order = append(s.order, g)
	if n.retry != 0 {
		s.retries[g] = true // not in groups: each retry is a group of its own
	} else {
		s.groups[n] = g
	}
	return g
}

// clientsOf returns a job's community and member.
func (s *scheduler) clientsOf(e *entry) (c, m *client) {
	c = s.root.communities[e.community]
	if c == nil {
		c = newClient()
		c.members = map[community.MemberID]*client{}
		s.root.communities[e.community] = c
	}
	m = c.members[e.member]
	if m == nil {
		m = newClient()
		c.members[e.member] = m
	}
	return c, m
}

// lineOf returns where a job waits in its group: among those of the same member m of the same community c.
func (g *group) lineOf(e *entry, c, m *client) *line {
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
	return ls.value
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
