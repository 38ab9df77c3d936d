package workers

import (
	"context"
	"maps"
	"slices"
	"time"

	"potluck/fault"
	"potluck/ledger"
)

// holding is a hold that a job may be submitted with, and which offers may then do it.
type holding struct {
	ledger.Price
	cost float64 // of the dearest offer that it is enough for, see offer.cost; 0 = any
}

// maxHoldings bounds how often Submit is tried with less; workers choose the models, so there could be any number of prices.
const maxHoldings = 8

// holdings lists what a job may cost, dearest first: for a job without a model, the prices of the models that could do it now.
func (p *Pool) holdings(j *Job) []holding {
	if j.Model != "" || p.sched == nil {
		return []holding{{Price: p.rates.Price(j.Model, j.Work)}}
	}
	n := needOf(j)
	real, demos := map[float64]string{}, map[float64]string{} // cost → one of the models
	p.sched.capable(j, func(o *offer) bool {
		models := real
		if rank, _ := o.quality(&n); rank == 0 {
			models = demos
		}
		if m, ok := models[o.cost]; !ok || o.canonical < m {
			models[o.cost] = o.canonical
		}
		return true
	})
	if len(real) == 0 { // demonstrations are done only where nothing else is
		real = demos
	}
	if len(real) == 0 {
		return []holding{{Price: p.rates.Price("", j.Work)}}
	}
	costs := slices.Sorted(maps.Keys(real))
	slices.Reverse(costs)
	var out []holding
	for i := range min(len(costs), maxHoldings) {
		cost := costs[i]
		if len(costs) > maxHoldings { // dearest and cheapest, and evenly between them
			cost = costs[i*(len(costs)-1)/(maxHoldings-1)]
		}
		h := holding{p.rates.Price(real[cost], j.Work), cost}
		if i == 0 {
			h.cost = 0
		} else if h.Amount >= out[len(out)-1].Amount {
			continue
		}
		out = append(out, h)
	}
	return out
}

func (p *Pool) submit(in submission, now time.Time) {
	if j := p.keys[in.job.Key]; j != nil {
		j.waiters[in.w] = true
		in.w.job = j
		in.got <- j.feed
		p.attach(j, &in.job, now)
		return
	}
	j := &job{Job: in.job, asked: in.job.Key, feed: newFeed(), waiters: map[*waiter]bool{in.w: true}, phase: saving, attached: true}
	p.keys[j.asked], in.w.job = j, j
	in.got <- j.feed
	var why *fault.Error
	if j.undecided = !p.decided; p.decided {
		why = p.sched.infeasible(&j.Job)
	}
	holds := p.holdings(&j.Job)
	if j.Free {
		holds[0].Amount, holds = 0, holds[:1]
	}
	wanted := j.Job
	p.task(func(ctx context.Context) func(time.Time) {
		stored, hold, err := p.save(ctx, wanted, holds, why, now)
		if err == nil && stored.missedModel() && wanted.Model == "" {
			wanted.Key += otherModel
			stored, hold, err = p.save(ctx, wanted, holds, why, now)
		}
		return func(now time.Time) {
			j.estimate, j.cost = hold.Seconds, hold.cost
			j.undecided = j.undecided || why != nil
			p.submitted(j, stored, err, now)
		}
	})
}

// otherModel ends the key of a job that may be done by any model because the one that was wanted is not there, when that was said too late to be no job
// at all: within the restart grace a wish is saved before anybody knows. Its first row is final, and keeps the key.
const otherModel = "+other"

func (j *Job) missedModel() bool {
	return j.State == Failed && j.Model != "" && j.Failure != nil && j.Failure.Code == fault.NoModel
}

// save has the store keep a job, with the dearest hold that its payer can afford. With why it is only looked up: perhaps it is done already, and an answer
// that is there is no matter of who could give it now. And a job that was saved although the store said no must be ended there too, or its hold stays.
func (p *Pool) save(ctx context.Context, wanted Job, holds []holding, why *fault.Error, now time.Time) (stored Job, hold holding, err error) {
	if why != nil {
		var known bool
		if stored, known, err = p.store.JobByKey(ctx, wanted.Key); err == nil && !known {
			err = why
		}
		return stored, holds[0], err
	}
	for _, hold = range holds { // anybody may claim a dear model: who cannot pay for it gets the cheaper ones
		stored, err = p.store.Submit(ctx, wanted, ledger.Charge{Payer: wanted.Payer, Amount: hold.Amount, Rates: p.rates.Version()}, now)
		if !fault.Has(err, fault.NoCredit) {
			break
		}
	}
	return stored, hold, err
}

// attach makes a Do's Check and Visible known to a job that it joined, and settles a result that waited for them.
func (p *Pool) attach(j *job, joined *Job, now time.Time) {
	if j.Check == nil {
		j.Check = joined.Check
	}
	if j.Visible == nil {
		j.Visible = joined.Visible
	}
	if j.attached = true; j.parked {
		j.parked = false
		p.settle(j, now)
	}
}

func (p *Pool) submitted(j *job, stored Job, err error, now time.Time) {
	if err != nil {
		p.conclude(j, Result{}, err)
		return
	}
	if stored.State.Final() {
		p.concludeStored(j, stored)
		return
	}
	check, visible, input := j.Check, j.Visible, j.Input
	j.Job = stored
	j.Check, j.Visible = check, visible
	if len(j.Input) == 0 {
		j.Input = input
	}
	j.deadline = j.Created.Add(j.Wait)
	j.number = max(j.LastNumber, j.Attempts)
	j.feed.of(j.ID)
	p.jobs[j.ID] = j
	p.queue(j, now)
}

// queue hands a job whose row is queued to the scheduler, or ends it when somebody wanted that meanwhile.
func (p *Pool) queue(j *job, now time.Time) {
	if j.doom == nil && j.undecided && p.decided {
		j.undecided = false
		j.doom = p.sched.infeasible(&j.Job)
	}
	if j.doom != nil {
		p.sched.drop(j.ID, now)
		p.abandon(j, j.doom, OutcomeCancelled, now)
		return
	}
	j.phase, j.lease = waiting, nil
	j.feed.begin(0)
	if p.sched.jobs[j.ID] == nil {
		p.sched.submitWithin(&j.Job, j.estimate, j.cost, now)
	} else {
		p.sched.again(j.ID, now)
	}
	p.dirty, p.moved = true, true
	p.perform(now)
	if j.phase == waiting && len(p.jobs) <= 256 {
		p.sched.ranks()
		j.feed.wait(p.sched.eta(j.ID))
	}
	if j.phase == waiting && p.decided && p.sched.spent(j.ID) {
		p.stop(j, j.noTaker(), now)
	}
}

// nobody says why a job ends that was given out again and again and never begun.
func (j *job) nobody() *fault.Error {
	if j.refused != nil {
		return j.refused
	}
	return fault.New(fault.WorkerFailed, "kind", j.Kind, "attempts", j.Attempts+j.uncounted)
}

// noTaker says why nobody who is here does a job.
func (j *job) noTaker() *fault.Error {
	if j.refused != nil {
		return j.refused
	}
	return fault.New(fault.EngineRefused, "kind", j.Kind)
}
