package workers

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // owners name their time zone, and not every machine knows them all

	"potluck/workers/protocol"
)

// Limits are what an owner allows a worker to do, said in the chat and kept by the server's scheduler. The zero value allows everything; what
// the machine's own configuration forbids stays forbidden.
type Limits struct {
	Kinds  []protocol.Kind `json:"kinds,omitempty"`   // empty = all
	PerDay int             `json:"per_day,omitempty"` // jobs done from one midnight to the next; 0 = any number
	From   int             `json:"from,omitempty"`    // minutes after midnight; From == Until is all day, From > Until goes over midnight
	Until  int             `json:"until,omitempty"`
	Zone   string          `json:"zone,omitempty"` // "Europe/Berlin" or "+02:00"; empty = UTC
}

// None tells whether everything is allowed.
func (l Limits) None() bool { return len(l.Kinds) == 0 && l.PerDay == 0 && l.From == l.Until }

// Check tells what is wrong with limits that somebody typed.
func (l Limits) Check() error {
	for _, k := range l.Kinds {
		if !slices.Contains(protocol.Kinds(), k) {
			return fmt.Errorf("kind %q", k)
		}
	}
	if l.PerDay < 0 || min(l.From, l.Until) < 0 || max(l.From, l.Until) > 24*60 {
		return errors.New("numbers out of range")
	}
	_, err := Zone(l.Zone)
	return err
}

// Zone reads a time zone as people write it: a name of the IANA list, or a distance from UTC such as "+2" or "-03:30". Empty is UTC.
func Zone(name string) (*time.Location, error) {
	if name == "" || strings.EqualFold(name, "UTC") {
		return time.UTC, nil
	}
	if name[0] == '+' || name[0] == '-' {
		hours, minutes, _ := strings.Cut(name[1:], ":")
		h, err1 := strconv.ParseUint(hours, 10, 8)
		m, err2 := uint64(0), error(nil)
		if minutes != "" {
			m, err2 = strconv.ParseUint(minutes, 10, 8)
		}
		if err := errors.Join(err1, err2); err != nil || h > 14 || m > 59 {
			return nil, fmt.Errorf("time zone %q", name)
		}
		seconds := int(h*60+m) * 60
		if name[0] == '-' {
			seconds = -seconds
		}
		return time.FixedZone(name, seconds), nil
	}
	if strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("time zone %q", name) // the server's, which is not what anybody means
	}
	return time.LoadLocation(name)
}

// In is now in the limits' time zone.
func (l Limits) In(now time.Time) time.Time {
	zone, err := Zone(l.Zone)
	if err != nil {
		zone = time.UTC
	}
	return now.In(zone)
}

// Day is when the day of now began.
func (l Limits) Day(now time.Time) time.Time {
	y, m, d := l.In(now).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, l.In(now).Location())
}

// Within tells whether now is in the hours that the owner allows.
func (l Limits) Within(now time.Time) bool {
	if l.From == l.Until {
		return true
	}
	here := l.In(now)
	at := here.Hour()*60 + here.Minute()
	if l.From < l.Until {
		return at >= l.From && at < l.Until
	}
	return at >= l.From || at < l.Until
}

// Closed says why a worker that is there takes nothing new.
type Closed string

const (
	ClosedByOwner Closed = "owner" // paused in the chat
	ClosedHours   Closed = "hours" // outside the hours that the owner allows
	ClosedDay     Closed = "day"   // the owner's number of jobs for today is done
)

// rules are a worker's limits as the scheduler keeps them.
type rules struct {
	Limits
	halted bool // paused in the chat
	closed Closed
	day    time.Time // began at
	today  int       // jobs done since
}

// obey takes over what a worker's row says. Jobs that the row does not know of yet are not forgotten.
func (r *rules) obey(row Worker, now time.Time) {
	r.Limits, r.halted = row.Limits, !row.Paused.IsZero()
	if day := r.Day(now); !day.Equal(r.day) {
		r.day, r.today = day, 0
	}
	r.today = max(r.today, row.Today)
}

// judge decides anew whether the worker is closed, and tells whether that changed.
func (r *rules) judge(now time.Time) (changed bool) {
	was := r.closed
	if r.PerDay > 0 {
		if day := r.Day(now); !day.Equal(r.day) {
			r.day, r.today = day, 0
		}
	}
	switch {
	case r.halted:
		r.closed = ClosedByOwner
	case !r.Within(now):
		r.closed = ClosedHours
	case r.PerDay > 0 && r.today >= r.PerDay:
		r.closed = ClosedDay
	default:
		r.closed = ""
	}
	return r.closed != was
}

// allowed are those of a worker's offers that its limits let it take jobs for.
func (r *rules) allowed(offers []*offer) []*offer {
	if len(r.Kinds) == 0 {
		return offers
	}
	return slices.DeleteFunc(slices.Clone(offers), func(o *offer) bool { return !slices.Contains(r.Kinds, o.Kind) })
}

// obey has a worker follow what its owner said, now and from now on.
func (s *scheduler) obey(w *node, row Worker, now time.Time) {
	w.rules.obey(row, now)
	w.rules.judge(now)
	if w.rules.None() {
		delete(s.ruled, w.id)
	} else {
		s.ruled[w.id] = w
	}
}

// clock opens and closes workers whose hours or day begin or end.
func (s *scheduler) clock(now time.Time) {
	for _, w := range due(s.ruled, func(w *node) bool { return w.rules.judge(now) }) {
		s.changed(w)
		s.fill(w, now)
	}
}

// did counts a job against its worker's day.
func (s *scheduler) did(w *node, now time.Time) {
	if w.rules.PerDay == 0 {
		return
	}
	w.rules.judge(now)
	w.rules.today++
	if w.rules.judge(now) {
		s.changed(w)
	}
}

// check notes whose result of a job is being checked, nil: nobody's any more. It returns whose was.
func (e *entry) check(w *node) (was *node) {
	if was = e.checked; was != nil {
		was.checked--
	}
	if e.checked = w; w != nil {
		w.checked++
	}
	return was
}

// owed finds what a worker that left and is here anew had done before, and is being checked still.
func (s *scheduler) owed(w *node) {
	for _, e := range s.jobs {
		if e.checked != nil && e.last == w.id {
			e.check(w)
		}
	}
}

// open tells whether a worker takes new jobs, as far as its machine and its owner are concerned; it may be away for a moment.
func (w *node) open() bool { return !w.paused && !w.draining && w.rules.closed == "" }

// may tells whether a need is meant for this worker.
func (w *node) may(n *need) bool { return n.only == 0 || n.only == w.id }
