package workers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"potluck/community"
	"potluck/failpoint"
	"potluck/fault"
	"potluck/workers/protocol"
)

// giveUp ends a job with the attempt that showed that it cannot be done.
func (p *Pool) giveUp(l *lease, why *fault.Error, o Outcome, now time.Time) {
	p.withdraw(l, o)
	p.sched.drop(l.job.ID, now)
	p.abandon(l.job, why, o, now)
}

// abandon fails or cancels a job that the scheduler has let go of, and refunds it.
func (p *Pool) abandon(j *job, why *fault.Error, o Outcome, now time.Time) {
	j.phase = ending
	l := j.lease
	j.lease = nil
	j.feed.end()
	p.dirty, p.moved = true, true
	p.task(func(ctx context.Context) func(time.Time) {
		err := p.persist(ctx, "abandon", j.ID, func(ctx context.Context) error { return p.store.Abandon(ctx, j.ID, why, o, now) })
		return func(time.Time) {
			if l != nil {
				p.acknowledge(l)
			}
			switch {
			case errors.Is(err, ErrStale):
				p.lookUp(j)
			case err == nil:
				p.conclude(j, Result{}, why)
			}
		}
	})
}

// stop ends a job before its result: cancelled by a person, or out of time. A result that is being checked wins when it is accepted.
func (p *Pool) stop(j *job, why *fault.Error, now time.Time) {
	switch j.phase {
	case saving, leasing, ending:
		if j.doom == nil {
			j.doom = why
		}
	case waiting, pausing:
		p.sched.drop(j.ID, now)
		p.abandon(j, why, OutcomeCancelled, now)
	case running:
		p.giveUp(j.lease, why, OutcomeCancelled, now)
	case settling:
		if j.parked {
			j.parked = false
			p.giveUp(j.lease, why, OutcomeCancelled, now)
		} else if j.doom == nil {
			j.doom = why
		}
	}
}

// settle checks a result, saves it with its payment, and only then tells the worker and the callers.
func (p *Pool) settle(j *job, now time.Time) {
	l := j.lease
	w := p.present[l.Worker]
	if w == nil { // parked, and the worker has gone meanwhile: its row says whose it is
		p.task(func(ctx context.Context) func(time.Time) {
			all, err := p.store.Workers(ctx, 0)
			return func(now time.Time) {
				for _, known := range all {
					if known.ID == l.Worker {
						p.settleFor(l, known, now)
						return
					}
				}
				if err != nil {
					p.log.Error("workers not read", "err", err)
				}
				p.attemptOver(l, OutcomeLost, blameless, false, now)
			}
		})
		return
	}
	p.settleFor(l, w.Worker, now)
}

func (p *Pool) settleFor(l *lease, worker Worker, began time.Time) {
	snapshot, done := l.job.Job, l.done
	need := needOf(&snapshot)
	rank := 1
	if l.offer != nil {
		rank, _ = l.offer.quality(&need)
	}
	canonical := p.rates.Canonical(l.Model)
	res := Result{
		Job: l.Job, Text: done.Text, Reasoning: protocol.CutText(done.Reasoning, protocol.MaxText), Finish: "stop", Segments: done.Segments, Seed: done.Seed,
		Model: canonical, Engine: l.Engine, Quality: qualityOf(rank), Worker: l.Worker, WorkerName: shownName(worker), WorkerOwner: shownOwner(worker), Took: l.took,
	}
	if done.Finish == "length" {
		res.Finish = done.Finish
	}
	if snapshot.Image != nil {
		for n := 1; n <= max(snapshot.Image.Count, 1); n++ {
			res.Blobs = append(res.Blobs, filepath.Join(p.cfg.BlobDir, l.Lease+"-"+strconv.Itoa(n)))
		}
	}
	speed := Speed{Worker: l.Worker, Kind: snapshot.Kind, Model: canonical}
	if v, ok := p.sched.speeds[speedKey{l.Worker, snapshot.Kind, canonical}]; ok {
		speed = v
	}
	attempt := l.Attempt
	p.task(func(ctx context.Context) func(time.Time) {
		l.binding.seal() // what is looked at is what is kept
		err := p.judge(&snapshot, done, &res, worker.Owner)
		if err != nil {
			return func(now time.Time) { p.rejected(l, err, now) }
		}
		if err := onDisk(p.cfg.BlobDir, res.Blobs); err != nil { // nobody's fault: the job is done again
			p.log.Error("pictures not on the disk", "job", l.Job, "err", err)
			return func(now time.Time) { p.attemptOver(l, OutcomeLost, blameless, true, now) }
		}
		if l.restored || rank == 0 { // how long the bot was down is part of its time; a demonstration does no work
			speed = Speed{}
		} else {
			speed = speed.with(res.Bill.Seconds, l.took)
		}
		at := time.Now()
		s := Settlement{Attempt: attempt, Result: res, At: at, Earner: worker.Owner, Bill: res.Bill, Release: at.Add(p.cfg.EscrowFor), Speed: speed}
		failpoint.Hit("settle.before")
		err = p.persist(ctx, "finish", l.Job, func(ctx context.Context) error { return p.store.Finish(ctx, s) })
		failpoint.Hit("settle.after")
		return func(now time.Time) { p.settled(l, res, speed, err, now.Sub(began), now) }
	})
}

// judge prices a result and checks it: the pool's own checks, then the feature's. A panic in a feature's code rejects the result like an error, so that
// no worker can write what ends the program. It runs on no loop.
func (p *Pool) judge(j *Job, d *protocol.Done, res *Result, owner community.MemberID) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("the check of a result panicked", "job", j.ID, "err", unworded(r), "stack", string(debug.Stack()))
			err = errors.New("the check panicked")
		}
	}()
	if err := examine(j, d, res.Blobs); err != nil {
		return err
	}
	visible := d.Text
	if j.Visible != nil {
		visible = j.Visible(*res)
	}
	price := p.rates.Price(res.Model, measure(j, d.Text, visible))
	res.Bill = bill(price, j.Held, j.Member != 0 && j.Member == owner)
	if j.Check == nil {
		return nil
	}
	return j.Check(*res)
}

// unworded is what of a panic may stand in the log: its value may hold text of the job, but the runtime's own hold numbers only.
func unworded(panicked any) string {
	if e, ok := panicked.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", panicked)
}

func (p *Pool) settled(l *lease, res Result, speed Speed, err error, took time.Duration, now time.Time) {
	j := l.job
	switch {
	case errors.Is(err, ErrStale):
		// Either it came too late, or an earlier try was saved although it reported an error: the row knows.
		p.forget(l)
		p.sched.drop(j.ID, now)
		p.acknowledge(l)
		p.lookUp(j)
	case err == nil:
		p.tallied.Attempts[OutcomeDone]++
		p.tallied.Settled++
		p.tallied.SettleTime += took
		if speed.Worker != 0 {
			p.measured(speed)
		}
		for _, o := range j.objections {
			if o.worker != l.Worker && !o.excused(l.offer) {
				p.sched.contradicted(o.worker, o.offer, now)
			}
		}
		p.surpass(l, now)
		p.sched.settled(j.ID, res.Bill.Seconds, now)
		p.forget(l)
		p.acknowledge(l)
		p.conclude(j, res, nil)
	}
}

// conclude tells everybody who waits and forgets the job.
func (p *Pool) conclude(j *job, res Result, err error) {
	delete(p.jobs, j.ID)
	delete(p.keys, j.asked)
	for w := range j.waiters {
		w.done <- outcome{res, err}
		w.job = nil
	}
	j.waiters = nil
	p.dirty, p.moved = true, true
}

func (p *Pool) concludeStored(j *job, stored Job) {
	switch {
	case stored.Result != nil:
		p.conclude(j, *stored.Result, nil)
	case stored.Failure != nil:
		p.conclude(j, Result{}, stored.Failure)
	default:
		p.conclude(j, Result{}, fault.New(fault.Erased))
	}
}
