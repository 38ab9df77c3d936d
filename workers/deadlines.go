package workers

import (
	"time"

	"potluck/fault"
	"potluck/ledger"
)

const (
	// loadings is how many times LoadTime a worker may take that has to load the model first.
	loadings = 4
	// reviewEvery is how often an attempt that has had its share of the time is looked at.
	reviewEvery = 5 * time.Second
)

// pace is how fast a worker does an offer's jobs, in reference seconds per second; what was never measured may be a processor without a GPU.
func (p *Pool) pace(worker int64, o *offer) (rate float64, measured bool) {
	if v := p.sched.speeds[speedKey{worker, o.Kind, o.canonical}]; v.Rate > 0 {
		return v.Rate, true
	}
	return unmeasured, false
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// leaseTime is four times what the job should take on this worker, within the configured bounds. An answer has as long as the slowest worker would need:
// whether it grows is seen, and the card that was measured may have a game to do now.
func (p *Pool) leaseTime(j *job, worker int64, o *offer) time.Duration {
	rate, _ := p.pace(worker, o)
	if j.Chat != nil {
		rate = min(rate, unmeasured)
	}
	return min(max(seconds(min(4*j.estimate/rate, p.cfg.LeaseMax.Seconds()))+p.loading(o), p.cfg.LeaseMin), p.cfg.LeaseMax)
}

// loading is how long a worker may be silent because it loads the model.
func (p *Pool) loading(o *offer) time.Duration {
	if o.Loaded {
		return 0
	}
	return loadings * p.cfg.LoadTime
}

// patience is how long a lease's worker may show nothing: until its first sign of work, and between two. Reading a long question takes a slow worker
// longer than FirstToken; of a picture or a translation there may be nothing to show before the end.
func (p *Pool) patience(l *lease) (first, gap time.Duration) {
	rate, _ := p.pace(l.Worker, l.offer)
	if l.job.Chat != nil {
		reading := p.rates.Price(l.offer.canonical, ledger.Work{Kind: string(l.job.Kind), InTokens: l.job.Work.InTokens}).Seconds
		return max(p.cfg.FirstToken, seconds(min(2*reading/rate, p.cfg.LeaseMax.Seconds()))) + p.loading(l.offer), p.cfg.TextGap
	}
	whole := l.Deadline.Sub(l.from)
	gap = max(p.cfg.FirstToken, min(seconds(min(2*l.job.estimate/rate, p.cfg.LeaseMax.Seconds())), whole/2))
	return gap + p.loading(l.offer), gap
}

// overdue tells whether a running attempt is to be ended and tried elsewhere: its lease is over, its worker did not accept it, shows no sign of work,
// or has had its share of the job's time without keeping pace. What a worker does that is away for a moment is seen when it is back.
func (p *Pool) overdue(l *lease, now time.Time) bool {
	if !l.Deadline.After(now) {
		return true
	}
	if w := p.present[l.Worker]; l.since.IsZero() || w == nil || w.session == nil {
		return false
	}
	if !l.accepted {
		return now.Sub(l.since) >= p.cfg.AcceptWithin
	}
	return p.silent(l, now) || p.hogs(l, now)
}

// silent tells whether an accepted attempt has shown no sign of work for too long.
func (p *Pool) silent(l *lease, now time.Time) bool {
	sign, spoke := l.job.feed.signs(l.Number)
	limit := l.first
	if spoke || l.job.Chat == nil && !sign.IsZero() {
		limit = l.gap
	}
	if now.Sub(later(l.since, sign)) < limit {
		return false
	}
	if sent := l.binding.received(); sent != l.received { // a slow line takes minutes for its pictures
		l.received, l.since = sent, now
		return false
	}
	return true
}

// received is how many bytes of pictures a lease has sent.
func (b *binding) received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

// hogs tells whether an attempt has had its share of the job's time, is not on the way to an answer as far as the server can see, and another worker
// would begin the job now: there must be time left for that one. What was written can be counted; what a worker says of its progress counts nothing.
func (p *Pool) hogs(l *lease, now time.Time) bool {
	if p.cfg.MaxAttempts-l.job.Attempts < 2 || now.Before(l.review) {
		return false
	}
	if l.review.IsZero() {
		if l.review = l.from.Add(p.share(l)); now.Before(l.review) {
			return false
		}
	}
	l.review = now.Add(reviewEvery)
	l.tooSlow = !p.keepsPace(l, now) && p.sched.elsewhere(l.job.ID, l.Worker, l.job.deadline.Sub(now))
	return l.tooSlow
}

// share is how long an attempt may take while another worker waits for the job: an equal part of what is left for each attempt. Once a job was handed over,
// the next attempt gets most of the rest: the job may be hard, and machines that take it from each other would never finish it.
func (p *Pool) share(l *lease) time.Duration {
	j := l.job
	left, enough := j.deadline.Sub(l.from), p.enough(l)
	if _, measured := p.pace(l.Worker, l.offer); !measured {
		enough = min(enough, left/2)
	}
	if len(j.handovers) > 0 {
		return max(left*3/4, enough)
	}
	return max(left/time.Duration(p.cfg.MaxAttempts-j.Attempts), enough)
}

// handover is an attempt that was stopped for the sake of another worker.
type handover struct {
	worker int64
	offer  *offer
	had    time.Duration
}

// endOverdue has the job of an overdue attempt tried elsewhere. Who was at work as far as anybody knows, and only had its share of the time, is not
// blamed before another one does the job in less.
func (p *Pool) endOverdue(l *lease, now time.Time) {
	v := failed
	if l.tooSlow {
		v = tardy
		l.job.handovers = append(l.job.handovers, handover{l.Worker, l.offer, now.Sub(l.from)})
	}
	p.attemptOver(l, OutcomeExpired, v, l.accepted, now)
}

// surpass blames the workers that a done job was taken from, if the one that did it needed less time than they had.
func (p *Pool) surpass(l *lease, now time.Time) {
	for _, h := range l.job.handovers {
		if h.worker != l.Worker && l.took < h.had {
			p.sched.contradicted(h.worker, h.offer, now)
		}
	}
}

// keepsPace tells whether what an attempt has written so far is as much as the slowest worker that is worth waiting for would have.
func (p *Pool) keepsPace(l *lease, now time.Time) bool {
	j := l.job
	if j.Chat == nil {
		return false
	}
	text, took := j.feed.written(l.Number), now.Sub(l.from)-p.loading(l.offer)
	return text != "" && p.rates.Price(l.offer.canonical, measure(&j.Job, text, text)).Seconds >= unmeasured*took.Seconds()
}

// outOfTime ends a job whose time is over. An attempt that had long enough for it and was not at it is the fault of its worker.
func (p *Pool) outOfTime(j *job, now time.Time) {
	why := fault.New(fault.Expired, "kind", j.Kind)
	if j.phase == running && p.wasted(j.lease, now) {
		p.sched.end(j.ID, failed, now)
		p.giveUp(j.lease, why, OutcomeExpired, now)
		return
	}
	p.stop(j, why, now)
}

// wasted tells whether an attempt had time enough, for which it can show nothing.
func (p *Pool) wasted(l *lease, now time.Time) bool {
	if l.since.IsZero() {
		return false
	}
	enough := p.enough(l)
	sign, _ := l.job.feed.signs(l.Number)
	if rate, measured := p.pace(l.Worker, l.offer); !measured && !sign.IsZero() { // at work, and slow perhaps
		enough = max(enough, min(seconds(l.job.estimate/rate), l.job.Wait/time.Duration(p.cfg.MaxAttempts))+p.loading(l.offer))
	}
	return now.Sub(l.from) >= enough && !p.keepsPace(l, now)
}

// enough is the time that an attempt gets in any case: twice what it should take, on the reference card where the worker was never measured, and what
// loading takes; at least LeaseMin. Who was measured as slower than anybody is worth waiting for has no more time for it.
func (p *Pool) enough(l *lease) time.Duration {
	rate, measured := p.pace(l.Worker, l.offer)
	if !measured {
		rate = 1
	}
	rate = max(rate, unmeasured)
	return max(p.cfg.LeaseMin, seconds(min(2*l.job.estimate/rate, p.cfg.LeaseMax.Seconds()))) + p.loading(l.offer)
}
