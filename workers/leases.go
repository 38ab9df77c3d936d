package workers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"potluck/failpoint"
	"potluck/fault"
	"potluck/workers/protocol"
)

// perform carries out what the scheduler decided.
func (p *Pool) perform(now time.Time) {
	if p.closing {
		return
	}
	for _, a := range p.sched.take() {
		j := p.jobs[a.job]
		if j == nil || j.phase != waiting {
			continue // stopped in the same step; the scheduler has freed the slot again
		}
		j.number++
		l := &lease{job: j, offer: a.offer, Attempt: Attempt{
			Lease: newLease(), Job: j.ID, Number: j.number, Worker: a.worker, Engine: a.offer.Engine, Model: a.offer.Model,
			Started: now, Deadline: now.Add(p.leaseTime(j, a.worker, a.offer)),
		}}
		l.from = now
		l.first, l.gap = p.patience(l)
		j.phase, j.lease = leasing, l
		p.leases[l.Lease] = l
		if w := p.present[a.worker]; w != nil {
			w.leases[l.Lease] = l
		}
		p.dirty, p.moved = true, true
		attempt := l.Attempt
		p.task(func(ctx context.Context) func(time.Time) {
			failpoint.Hit("lease.before")
			var err error
			// A number may be taken by an attempt of an earlier run that did not count: try the next ones before believing in a broken store.
			for range 5 {
				if err = p.store.Lease(ctx, attempt); err == nil || errors.Is(err, ErrStale) || ctx.Err() != nil {
					break
				}
				attempt.Number++
			}
			failpoint.Hit("lease.after")
			return func(now time.Time) { p.leased(l, attempt.Number, err, now) }
		})
	}
}

func newLease() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return hex.EncodeToString(b[:])
}

func (p *Pool) leased(l *lease, number int, err error, now time.Time) {
	j := l.job
	l.Number, j.number = number, number
	switch {
	case errors.Is(err, ErrStale):
		p.log.Error("store says that a queued job is not", "job", j.ID)
		p.forget(l)
		p.sched.drop(j.ID, now)
		p.lookUp(j)
	case err != nil:
		p.log.Error("store refused a lease, trying again", "job", j.ID, "err", err)
		p.forget(l)
		p.sched.end(j.ID, blameless, now)
		j.phase, j.lease, j.retry = pausing, nil, now.Add(time.Second)
	default:
		l.durable = true
		l.binding = p.bind(l)
		j.phase = running
		j.feed.begin(number)
		w := p.present[l.Worker]
		switch {
		case j.doom != nil:
			p.sched.drop(j.ID, now)
			p.forget(l)
			p.abandon(j, j.doom, OutcomeCancelled, now)
		case w == nil || w.leases[l.Lease] != l: // gone meanwhile, perhaps here anew
			p.attemptOver(l, OutcomeLost, blameless, false, now)
		case w.session != nil:
			p.assign(w, l, now)
		} // else it is away: when it comes back the lease is sent, when not it is lost
	}
}

// lookUp goes on with what the store knows about a job: it is over, or a lease was saved although the store had reported an error. Nobody
// works on such a lease, so it is taken back.
func (p *Pool) lookUp(j *job) {
	j.phase = ending
	p.task(func(ctx context.Context) func(time.Time) {
		var stored Job
		var known bool
		err := p.persist(ctx, "look up", j.ID, func(ctx context.Context) (err error) {
			stored, known, err = p.store.JobByKey(ctx, j.Key)
			return err
		})
		number := 0
		if err == nil && known && stored.State == Leased {
			number, err = p.takeBack(ctx, j.ID)
		}
		return func(now time.Time) {
			switch {
			case err != nil || !known:
				p.conclude(j, Result{}, fmt.Errorf("job %d is lost: %w", j.ID, errors.Join(ErrStale, err)))
			case stored.State.Final():
				p.concludeStored(j, stored)
			default:
				j.number = max(j.number, number)
				j.phase, j.lease, j.retry = pausing, nil, now.Add(time.Second)
			}
		}
	})
}

// takeBack ends the attempt that the store believes to be running, and returns its number.
func (p *Pool) takeBack(ctx context.Context, job int64) (number int, err error) {
	a, ok, err := p.store.Running(ctx, job)
	if err != nil || !ok {
		return 0, err
	}
	return a.Number, p.store.Requeue(ctx, a.Lease, OutcomeRestart, false, time.Now())
}

func (p *Pool) bind(l *lease) *binding {
	b := &binding{lease: l.Lease, attempt: l.Number, feed: l.job.feed, inputs: l.job.Input}
	if l.job.Image != nil {
		b.pictures = max(l.job.Image.Count, 1)
	}
	return b
}

func (p *Pool) assign(w *presence, l *lease, now time.Time) {
	l.sent, l.since = true, now
	w.session.bind(l.binding)
	j := l.job
	deadline := l.Deadline
	if j.deadline.Before(deadline) {
		deadline = j.deadline
	}
	chat := j.Chat
	if chat != nil && l.offer != nil && l.offer.MaxTokens > 0 && chat.MaxTokens > l.offer.MaxTokens {
		shorter := *chat
		shorter.MaxTokens = l.offer.MaxTokens
		chat = &shorter
	}
	w.session.send(protocol.Assign{
		Lease: l.Lease, Attempt: l.Number, Kind: j.Kind, Model: l.Model, Engine: l.Engine, Features: j.Features,
		DeadlineMS: max(deadline.Sub(now).Milliseconds(), 1), Chat: chat, Image: j.Image, Translate: j.Translate,
	})
}

// forget takes a lease out of memory and off its worker's session.
func (p *Pool) forget(l *lease) {
	delete(p.leases, l.Lease)
	delete(p.restored, l.Lease)
	if w := p.present[l.Worker]; w != nil {
		delete(w.leases, l.Lease)
		if w.session != nil {
			w.session.release(l.Lease)
		}
	}
	p.dirty = true
}

// object takes a worker's word that a job cannot be done. The first owner who says so may be wrong or lying: somebody else's worker is asked, and when that
// one does the job, the first is blamed. The word of a second owner ends it, and so does the first when nobody else is here. When a job is called too long
// and a worker with more context is here, that one is asked in any case.
func (p *Pool) object(l *lease, why *fault.Error, now time.Time) {
	j := l.job
	long := why.Code == fault.NoFit
	larger := long && p.sched.larger(j.ID)
	w := p.present[l.Worker]
	if w == nil {
		p.attemptOver(l, OutcomeRequest, declined, false, now)
		return
	}
	second := slices.ContainsFunc(j.objections, func(o objection) bool { return o.owner != w.Owner })
	j.objections = append(j.objections, objection{l.Worker, w.Owner, l.offer, long})
	j.refused = why
	if larger {
		p.attemptOver(l, OutcomeRequest, declined, false, now)
		return
	}
	if p.sched.bar(j.ID, w.Owner); second || !p.sched.others(j.ID, w.Owner) {
		p.giveUp(l, why, OutcomeRequest, now)
		return
	}
	p.attemptOver(l, OutcomeRequest, declined, false, now)
}

// excused tells whether an objection is no lie although the job was done: by an offer (nil: nobody knows which) with a larger context than it is too long for.
func (o *objection) excused(by *offer) bool {
	return o.long && by != nil && o.offer != nil && o.offer.Context > 0 && (by.Context == 0 || by.Context > o.offer.Context)
}

// maxUncounted is how often a job may be refused or not begun at all: each time is a row in the store, and none counts against MaxAttempts.
const maxUncounted = 20

// attemptOver ends an attempt without a result and has the job tried again, or failed when that was the last time.
func (p *Pool) attemptOver(l *lease, o Outcome, v verdict, counts bool, now time.Time) {
	j := l.job
	p.withdraw(l, o)
	p.sched.end(j.ID, v, now)
	switch {
	case counts:
		j.Attempts++
	case v != blameless:
		j.uncounted++
	}
	if o == OutcomeRejected && j.Translate != nil {
		t := *j.Translate
		t.Variant++
		j.Translate = &t
	}
	switch {
	case j.doom != nil:
		p.sched.drop(j.ID, now)
		p.abandon(j, j.doom, o, now)
	case counts && j.Attempts >= p.cfg.MaxAttempts:
		p.sched.drop(j.ID, now)
		p.abandon(j, fault.New(fault.WorkerFailed, "kind", j.Kind, "attempts", j.Attempts), o, now)
	case j.uncounted >= maxUncounted:
		p.sched.drop(j.ID, now)
		p.abandon(j, j.nobody(), o, now)
	default:
		j.phase, j.lease = ending, nil
		j.feed.begin(0)
		p.task(func(ctx context.Context) func(time.Time) {
			err := p.persist(ctx, "requeue", j.ID, func(ctx context.Context) error { return p.store.Requeue(ctx, l.Lease, o, counts, now) })
			return func(now time.Time) {
				p.acknowledge(l)
				switch {
				case errors.Is(err, ErrStale):
					p.sched.drop(j.ID, now)
					p.lookUp(j)
				case err == nil:
					p.queue(j, now)
				}
			}
		})
	}
}

// withdraw takes a lease from its worker: a frame stops it if it still runs, its uploads are deleted.
func (p *Pool) withdraw(l *lease, o Outcome) {
	p.tallied.Attempts[o]++
	switch o {
	case OutcomeCancelled, OutcomeExpired, OutcomeRejected, OutcomeRestart:
		if w := p.present[l.Worker]; w != nil && w.session != nil && l.done == nil {
			w.session.send(protocol.Cancel{Lease: l.Lease, Reason: string(o)})
		}
	}
	p.forget(l)
	if l.job.Image != nil {
		count := max(l.job.Image.Count, 1)
		p.task(func(context.Context) func(time.Time) {
			if l.binding != nil {
				l.binding.seal()
			}
			deleteBlobs(p.cfg.BlobDir, l.Lease, count)
			return nil
		})
	}
}

func (p *Pool) acknowledge(l *lease) {
	if w := p.present[l.Worker]; l.heard && w != nil && w.session != nil {
		w.session.send(protocol.Ack{Lease: l.Lease})
	}
}
