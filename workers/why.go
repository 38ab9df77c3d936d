package workers

import (
	"context"
	"slices"
	"time"

	"potluck/workers/protocol"
)

// Obstacle is what keeps a job from running: all in all, or on one worker.
type Obstacle string

const (
	// Of a worker that could do the job, from what passes soonest to what only people can change.
	ObstacleNone     Obstacle = "none"     // a worker is free: it begins in a moment
	ObstacleNew      Obstacle = "new"      // it has as many jobs at once as it may have until it has done more
	ObstacleBusy     Obstacle = "busy"     // every slot is taken
	ObstacleDemo     Obstacle = "demo"     // it would only demonstrate, and a real engine is there
	ObstacleAway     Obstacle = "away"     // the connection is lost, perhaps it comes back
	ObstacleResting  Obstacle = "resting"  // it failed several times in a row and rests until Until
	ObstacleTried    Obstacle = "tried"    // it failed at this job or declined it
	ObstacleHours    Obstacle = "hours"    // outside the hours that its owner allows
	ObstacleDay      Obstacle = "day"      // it has done the jobs that its owner allows for today
	ObstaclePaused   Obstacle = "paused"   // by its owner, on the machine or in the chat
	ObstacleDraining Obstacle = "draining" // it finishes what runs and then leaves
	ObstacleClass    Obstacle = "class"    // nobody vouched for it, and the job is not public
	ObstacleCredit   Obstacle = "credit"   // its model costs more than the payer has
	ObstacleFit      Obstacle = "fit"      // too small, or it lacks a feature
	ObstaclePair     Obstacle = "pair"     // it does not translate in this direction
	ObstacleModel    Obstacle = "model"    // it has other models
	ObstacleKind     Obstacle = "kind"     // no worker does this kind of work

	// Of a job that does not stand in line.
	ObstacleSaving  Obstacle = "saving"  // it is being saved
	ObstacleGrace   Obstacle = "grace"   // the program has just started: workers may come back until Until
	ObstacleRunning Obstacle = "running" // a worker has it
	ObstacleSettled Obstacle = "settled" // its result is being checked and saved
	ObstacleParked  Obstacle = "parked"  // its result is here and waits for the request to be run again after a restart
	ObstacleStore   Obstacle = "store"   // the database refused; tried again at Until
	ObstacleOver    Obstacle = "over"    // the pool does not know it (any more)
)

// Why says why a job is not done yet.
type Why struct {
	Obstacle Obstacle
	// Position counts from 1 among the jobs of its kind, ETA is 0 when unknown; both stand only while it is in line.
	Position int
	ETA      time.Duration
	Until    time.Time // of ObstacleResting (the soonest), ObstacleGrace and ObstacleStore
	// Kind, Model, From and To are what the job asks for, where it does; Class says who may see it.
	Kind     protocol.Kind
	Model    string
	From, To string
	Class    Class
	// Workers are those that do this kind of work with what keeps each of them, the most promising first; at most maxHindered, More says how many were left
	// out. Of a job that runs it is the one that has it.
	Workers []Hindered
	More    int
}

// Hindered is one worker and what keeps it from a job.
type Hindered struct {
	Worker   int64
	Name     string
	Obstacle Obstacle
	Until    time.Time // of ObstacleResting
	Reason   string    // of ObstaclePaused: what its owner's machine said
}

// maxHindered bounds Why.Workers.
const maxHindered = 8

// whyBatch is how many jobs are explained in one turn of the loop: each looks at every live worker.
const whyBatch = 8

// severity orders what keeps workers from a job, from what passes soonest on.
var severity = []Obstacle{
	ObstacleNone, ObstacleNew, ObstacleBusy, ObstacleDemo, ObstacleAway, ObstacleResting, ObstacleTried, ObstacleHours, ObstacleDay, ObstaclePaused, ObstacleDraining,
	ObstacleClass, ObstacleCredit, ObstacleFit, ObstaclePair, ObstacleModel, ObstacleKind,
}

func bySeverity(a, b Obstacle) int { return slices.Index(severity, a) - slices.Index(severity, b) }

// Why explains jobs by their numbers. A job that the pool does not know is ObstacleOver.
func (p *Pool) Why(ctx context.Context, jobs ...int64) (map[int64]Why, error) {
	out := make(map[int64]Why, len(jobs))
	for part := range slices.Chunk(jobs, whyBatch) {
		err := p.ask(ctx, func(time.Time) {
			for _, id := range part {
				out[id] = p.why(id)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *Pool) why(id int64) Why {
	j := p.jobs[id]
	if j == nil {
		return Why{Obstacle: ObstacleOver}
	}
	n := needOf(&j.Job)
	y := Why{}
	switch j.phase {
	case waiting:
		y = p.sched.why(id)
		if !p.decided && bySeverity(y.Obstacle, ObstacleBusy) > 0 {
			y.Obstacle, y.Until = ObstacleGrace, p.begun.Add(p.cfg.RestartGrace)
		}
	case running, leasing:
		y.Obstacle = ObstacleRunning
		if j.lease != nil {
			y.Workers = []Hindered{{Worker: j.lease.Worker, Obstacle: ObstacleRunning}}
		}
	case settling:
		y.Obstacle = ObstacleSettled
		if j.parked {
			y.Obstacle = ObstacleParked
		}
	case pausing:
		y.Obstacle, y.Until = ObstacleStore, j.retry
	case saving:
		y.Obstacle = ObstacleSaving
	default:
		y.Obstacle = ObstacleOver
	}
	y.Kind, y.Model, y.From, y.To, y.Class = j.Kind, n.model, n.from, n.to, n.class
	for i := range y.Workers {
		h := &y.Workers[i]
		if w := p.present[h.Worker]; w != nil {
			h.Name = w.Name
			if h.Obstacle == ObstaclePaused {
				h.Reason = w.paused
			}
		}
	}
	return y
}

// why explains a queued job: it asks of each live worker what keeps it from the job, and the least of that is what keeps the job.
func (s *scheduler) why(id int64) Why {
	e := s.jobs[id]
	if e == nil || e.group == nil {
		return Why{Obstacle: ObstacleOver}
	}
	y := Why{Obstacle: ObstacleKind}
	y.Position, y.ETA = s.eta(id)
	for _, w := range due(s.nodes, func(*node) bool { return true }) {
		h, does := s.hindered(e, w)
		if !does {
			continue
		}
		if bySeverity(h.Obstacle, y.Obstacle) < 0 {
			y.Obstacle = h.Obstacle
		}
		if h.Obstacle == ObstacleResting && (y.Until.IsZero() || h.Until.Before(y.Until)) {
			y.Until = h.Until
		}
		y.Workers = append(y.Workers, h)
	}
	if y.Obstacle != ObstacleResting {
		y.Until = time.Time{}
	}
	slices.SortStableFunc(y.Workers, func(a, b Hindered) int { return bySeverity(a.Obstacle, b.Obstacle) })
	if n := len(y.Workers); n > maxHindered {
		y.Workers, y.More = y.Workers[:maxHindered:maxHindered], n-maxHindered
	}
	return y
}

// hindered says what keeps a worker from a queued job, by its most suitable offer; does is false when it offers nothing of that kind.
func (s *scheduler) hindered(e *entry, w *node) (h Hindered, does bool) {
	h = Hindered{Worker: w.id, Obstacle: ObstacleKind}
	if !w.may(&e.group.need) { // the job is a test of another worker
		return h, false
	}
	var offered *offer
	for _, o := range w.offers {
		if o.Kind != e.need.kind {
			continue
		}
		if what := e.group.misses(o); !does || bySeverity(what, h.Obstacle) < 0 {
			h.Obstacle, offered = what, o
		}
		does = true
	}
	if !does || h.Obstacle != ObstacleNone {
		return h, does
	}
	_, barred := e.group.barred[w.id]
	rank, _ := offered.quality(&e.group.need)
	// What only people can change first: that it is busy too says nothing about when the job can run.
	switch {
	case !w.admits(e.group.class, e.community):
		h.Obstacle = ObstacleClass
	case w.draining:
		h.Obstacle = ObstacleDraining
	case w.paused, w.rules.closed == ClosedByOwner:
		h.Obstacle = ObstaclePaused
	case w.rules.closed == ClosedDay:
		h.Obstacle = ObstacleDay
	case w.rules.closed == ClosedHours:
		h.Obstacle = ObstacleHours
	case barred:
		h.Obstacle = ObstacleTried
	case s.resting(w, offered):
		if h.Obstacle, h.Until = ObstacleResting, w.rested(offered); h.Until.IsZero() {
			h.Obstacle = ObstacleBusy // on probation, with one job
		}
	case w.away:
		h.Obstacle = ObstacleAway
	case rank == 0 && s.hasReal(e.group):
		h.Obstacle = ObstacleDemo
	case w.free() <= 0:
		h.Obstacle = ObstacleBusy
	case s.full(w, e.need.kind) && !w.spares(e):
		h.Obstacle = ObstacleNew
	}
	return h, true
}

// misses says what an offer of the right kind lacks for a need.
func (n *need) misses(o *offer) Obstacle {
	rank, pair := o.quality(n)
	_, fits := o.limits(n)
	switch {
	case n.model != "" && n.model != o.canonical:
		return ObstacleModel
	case !pair:
		return ObstaclePair
	case rank < n.rank, !fits, !o.can(n):
		return ObstacleFit
	case n.cost > 0 && o.cost > n.cost:
		return ObstacleCredit
	default:
		return ObstacleNone
	}
}
