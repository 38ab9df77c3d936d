package bot

import (
	"cmp"
	"context"
	"slices"
	"time"

	"potluck/community"
	"potluck/fault"
)

// allowance is what one member may do. Guarded by Router.mu.
type allowance struct {
	pending int       // costly requests that are accepted and have not ended
	running int       // of these, how many are at work
	waiting []*waiter // those whose turn comes, oldest first
	tokens  bucket    // requests of any kind
	telling bucket    // answers that say "too fast"
	told    time.Time // when it was said last that the member is blocked
	reacted time.Time // when the last reaction was taken
}

// waiter is a request that waits for its turn.
type waiter struct {
	turn  chan struct{} // closed when it is there
	moved chan struct{} // holds one: the line has changed
}

// lineMoved tells everybody in the line; it needs Router.mu.
func (a *allowance) lineMoved() {
	for _, w := range a.waiting {
		select {
		case w.moved <- struct{}{}:
		default:
		}
	}
}

// blockedEvery is how often somebody who is blocked is told so; anything else of them is passed over in silence.
const blockedEvery = time.Hour

// mayTellBlocked tells whether it is time to say it once more, and counts that as said.
func (r *Router) mayTellBlocked(m community.MemberID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.allowance(m)
	if !a.told.IsZero() && time.Since(a.told) < blockedEvery {
		return false
	}
	a.told = time.Now()
	return true
}

// bucket is a token bucket: it holds at most a minute's worth and is filled steadily.
type bucket struct {
	level float64
	at    time.Time
}

// take takes a token, or returns how long until there is one.
func (b *bucket) take(perMinute int, now time.Time) (wait time.Duration) {
	size := float64(perMinute)
	if b.at.IsZero() {
		b.level = size
	} else if d := now.Sub(b.at); d > 0 {
		b.level = min(size, b.level+d.Minutes()*size)
	}
	b.at = now
	if b.level < 1 {
		return time.Duration((1 - b.level) / size * float64(time.Minute))
	}
	b.level--
	return 0
}

func (a *allowance) mayTell(perMinute int, now time.Time) bool {
	return a.telling.take(perMinute, now) == 0
}

// Idle allowances are dropped when there are more than this.
const manyMembers = 4096

// allowance needs mu.
func (r *Router) allowance(m community.MemberID) *allowance {
	a := r.members[m]
	if a == nil {
		if len(r.members) >= manyMembers {
			for id, old := range r.members {
				if old.pending == 0 && old.running == 0 && time.Since(old.tokens.at) > time.Minute && time.Since(old.told) > blockedEvery {
					delete(r.members, id)
				}
			}
		}
		a = new(allowance)
		r.members[m] = a
	}
	return a
}

// admit tells whether a member may ask once more; it needs mu.
func (r *Router) admit(a *allowance, costly bool, now time.Time) error {
	if wait := a.tokens.take(r.limits.PerMinute, now); wait > 0 {
		return fault.New(fault.RateLimited, "wait", roundUp(wait, time.Second))
	}
	if !costly {
		return nil
	}
	if a.pending >= r.limits.Running+r.limits.Queued {
		wait := r.typical / time.Duration(r.limits.Running) // whichever ends first leaves a place
		return fault.New(fault.TooMany, "running", min(a.pending, r.limits.Running), "queued", max(0, a.pending-r.limits.Running),
			"wait", roundUp(wait, 5*time.Second))
	}
	a.pending++
	return nil
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// turn waits until fewer than Limits.Running of the member's costly requests are at work; pass gives the turn on. Meanwhile tell is called with
// the place in the member's own line, which counts from 1, whenever the line has changed.
func (r *Router) turn(inv *invocation, tell func(running, place, line int)) error {
	r.mu.Lock()
	a := r.allowance(inv.member.ID)
	if a.running < r.limits.Running {
		a.running++
		r.mu.Unlock()
		return nil
	}
	mine := &waiter{turn: make(chan struct{}), moved: make(chan struct{}, 1)}
	a.waiting = append(a.waiting, mine)
	a.lineMoved()
	r.mu.Unlock()
	for waits := true; waits; {
		select {
		case <-mine.turn:
			return nil
		case <-inv.ctx.Done():
			waits = false
		case <-mine.moved:
			r.mu.Lock()
			running, place, line := a.running, slices.Index(a.waiting, mine)+1, len(a.waiting)
			r.mu.Unlock()
			if place > 0 {
				tell(running, place, line)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(a.waiting, mine); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		a.lineMoved()
	} else {
		r.next(a) // the turn came at the same moment
	}
	return context.Cause(inv.ctx)
}

func (r *Router) pass(inv *invocation, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if inv.ctx.Err() == nil {
		r.typical += (time.Since(since) - r.typical) / 8
	}
	r.next(r.allowance(inv.member.ID))
}

// next gives a turn that has ended to the one that waits longest; it needs mu.
func (r *Router) next(a *allowance) {
	if len(a.waiting) > 0 {
		close(a.waiting[0].turn)
		a.waiting = slices.Delete(a.waiting, 0, 1)
		a.lineMoved()
		return
	}
	a.running--
}

// SetLimits changes how much each member may ask from now on; what is zero stays as it is. What was accepted already is done all the same.
func (r *Router) SetLimits(l Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits.Running = cmp.Or(l.Running, r.limits.Running)
	r.limits.Queued = cmp.Or(l.Queued, r.limits.Queued)
	r.limits.PerMinute = cmp.Or(l.PerMinute, r.limits.PerMinute)
}
