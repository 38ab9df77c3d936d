package workers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

// Steward keeps what owners and admins say about linked workers. Every method is one durable transaction.
type Steward interface {
	Rename(ctx context.Context, worker int64, name string) error
	SetShare(ctx context.Context, worker int64, share bool) error
	// SetPaused keeps since when a worker is paused in the chat; the zero time lets it go on.
	SetPaused(ctx context.Context, worker int64, since time.Time) error
	SetLimits(ctx context.Context, worker int64, l Limits) error
	// Vouch says up to which class a worker may see a community's jobs; an empty class takes it back.
	Vouch(ctx context.Context, worker int64, c community.CommunityID, class Class, by community.MemberID, now time.Time) error
	// Record tells how a worker did since a time.
	Record(ctx context.Context, worker int64, since time.Time, errors int) (Record, error)
	// CountUptime adds a stretch of time to the day of now for workers that are here.
	CountUptime(ctx context.Context, workers []int64, d time.Duration, now time.Time) error
}

// Record is how a worker did in a while.
type Record struct {
	Since  time.Time // or when it was linked, if that was later
	Jobs   int       // done
	Paid   int64     // milli-credits that its owner earned with them
	Kinds  map[protocol.Kind]int
	Up     time.Duration
	Faults map[Outcome]int
	Errors []Mishap // the newest ones first
}

// Mishap is one attempt that failed on a worker.
type Mishap struct {
	At      time.Time
	Job     int64
	Kind    protocol.Kind
	Model   string // local name
	Outcome Outcome
}

// MaxName is how many bytes a worker's name may have: 32 characters of most scripts.
const MaxName = 96

// Rename gives a worker another name. The machine learns of it when it connects next.
func (p *Pool) Rename(ctx context.Context, id int64, name string, by community.Member) error {
	if name = label(name, MaxName); name == "" {
		return fault.New(fault.BadOption, "option", "name", "value", name, "want", "")
	}
	return p.decree(ctx, "rename worker", id, by, func(w Worker) error {
		all, err := p.Workers(ctx, w.Owner)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o Worker) bool { return o.ID != id && strings.EqualFold(o.Name, name) }) {
			return fault.New(fault.NameTaken, "name", name)
		}
		return p.store.Rename(ctx, id, name)
	})
}

// Share says whether the owner is named under a worker's results.
func (p *Pool) Share(ctx context.Context, id int64, share bool, by community.Member) error {
	return p.decree(ctx, "share worker", id, by, func(Worker) error { return p.store.SetShare(ctx, id, share) })
}

// Pause keeps a worker from taking anything new until Resume, also over restarts of both sides. It is not the pause of the machine itself:
// either alone is enough, and each is ended where it was begun.
func (p *Pool) Pause(ctx context.Context, id int64, by community.Member) error {
	return p.decree(ctx, "pause worker", id, by, func(w Worker) error {
		if !w.Paused.IsZero() {
			return nil
		}
		return p.store.SetPaused(ctx, id, time.Now())
	})
}

// Resume ends what Pause began.
func (p *Pool) Resume(ctx context.Context, id int64, by community.Member) error {
	return p.decree(ctx, "resume worker", id, by, func(Worker) error { return p.store.SetPaused(ctx, id, time.Time{}) })
}

// Limit sets what a worker may do; the zero Limits allow everything.
func (p *Pool) Limit(ctx context.Context, id int64, l Limits, by community.Member) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("limit worker: %w", err)
	}
	return p.decree(ctx, "limit worker", id, by, func(Worker) error { return p.store.SetLimits(ctx, id, l) })
}

// Vouch says up to which class a worker may see a community's jobs; an empty class takes it back. Whoever calls it has made sure that by may.
func (p *Pool) Vouch(ctx context.Context, id int64, c community.CommunityID, class Class, by community.Member) error {
	if c == "" || class != "" && class != Community && class != Private {
		return fmt.Errorf("vouch for worker: class %q in %q", class, c)
	}
	w, err := p.find(ctx, id)
	if err == nil && w.ID == 0 {
		return fault.New(fault.UnknownWorker, "worker", id)
	}
	if err == nil {
		err = p.store.Vouch(ctx, id, c, class, by.ID, time.Now())
	}
	if err != nil {
		return fmt.Errorf("vouch for worker: %w", err)
	}
	return p.Refresh(ctx, id)
}

// Record tells an owner how a worker did since a time, with at most errors of its last failures.
func (p *Pool) Record(ctx context.Context, id int64, since time.Time, errors int) (Record, error) {
	return p.store.Record(ctx, id, since, errors)
}

// CountUptime writes down that the workers that are here were here for d. Call it every d.
func (p *Pool) CountUptime(ctx context.Context, d time.Duration, now time.Time) error {
	var here []int64
	for _, w := range p.Overview().Workers {
		if w.State != Away {
			here = append(here, w.ID)
		}
	}
	if len(here) == 0 {
		return nil
	}
	return p.store.CountUptime(ctx, here, d, now)
}

// Lag is how long the loop takes to answer now.
func (p *Pool) Lag(ctx context.Context) (time.Duration, error) {
	asked := time.Now()
	err := p.ask(ctx, func(time.Time) {})
	return time.Since(asked), err
}

// decree saves what the owner of a worker (or an operator) says and has the loop follow it. To everybody else the worker does not exist.
func (p *Pool) decree(ctx context.Context, what string, id int64, by community.Member, save func(Worker) error) error {
	w, err := p.find(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if w.ID == 0 || w.Owner != by.ID && !by.Operator {
		return fault.New(fault.UnknownWorker, "worker", id)
	}
	if err := save(w); err != nil {
		return fmt.Errorf("%s %d: %w", what, id, err)
	}
	return p.Refresh(ctx, id)
}

// offered is what a worker may be asked for: its machine's offers less what its owner excluded.
func (p *Pool) offered(w *presence) []*offer {
	if n := p.sched.nodes[w.ID]; n != nil {
		return n.offers
	}
	return w.offers
}

// shownOwner is whose worker it is, where shownName names both.
func shownOwner(w Worker) string {
	if !w.Share {
		return ""
	}
	return w.OwnerName
}
