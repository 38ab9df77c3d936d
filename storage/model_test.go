package storage_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
)

// model says in plain Go what the database must hold.
type model struct {
	free, own      ledger.Amount
	granted        string // the day of the last grant
	escrow, earned ledger.Amount
	ownerOwn       ledger.Amount
	jobs           []*modelJob
	due            []modelDue
	minted         ledger.Amount // less burned
}

type modelJob struct {
	job                workers.Job
	fromFree, fromOwn  ledger.Amount
	day                string // of the hold
	state              workers.State
	attempt            workers.Attempt
	attempts, lastUsed int
	old                []workers.Attempt
}

type modelDue struct {
	at     time.Time
	amount ledger.Amount
}

// giveBack burns what came from an allowance that was granted anew since.
func (m *model) giveBack(j *modelJob, rest ledger.Amount) {
	own := min(rest, j.fromOwn)
	m.own += own
	if m.granted == j.day {
		m.free += rest - own
	} else {
		m.minted -= rest - own
	}
}

func (m *model) in(states ...workers.State) (found []*modelJob) {
	for _, j := range m.jobs {
		for _, s := range states {
			if j.state == s {
				found = append(found, j)
			}
		}
	}
	return found
}

// TestAnySequenceKeepsTheLedgerSound runs random sequences against the model; the audit must be clean after each step. -rapid.checks 40000
// makes more than a million of them, in about an hour.
func TestAnySequenceKeepsTheLedgerSound(t *testing.T) {
	dir := t.TempDir()
	run, operations := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		w := newWorldAt(t, filepath.Join(dir, fmt.Sprint(run, ".db")))
		defer w.db.Close()
		ctx := t.Context()
		clock := now
		w.payer.Daily = 2 * ledger.Credit // small, so that many holds draw from both accounts
		amounts := rapid.SampledFrom([]ledger.Amount{0, 1, 700, 2000, 2500, 4100})
		var m model
		ok := func(err error) {
			if err != nil {
				r.Fatal(err)
			}
		}
		pick := func(states ...workers.State) *modelJob {
			if found := m.in(states...); len(found) > 0 {
				return rapid.SampledFrom(found).Draw(r, "job")
			}
			r.Skip("no such job")
			return nil
		}
		submit := func(key string, amount ledger.Amount) (workers.Job, error) {
			return w.jobs.Submit(ctx, w.job(key), ledger.Charge{Payer: w.payer, Amount: amount, Rates: 1}, clock)
		}
		r.Repeat(map[string]func(*rapid.T){
			"time passes": func(r *rapid.T) {
				clock = clock.Add(time.Duration(rapid.IntRange(1, 40).Draw(r, "hours")) * time.Hour)
			},
			"earn elsewhere": func(r *rapid.T) {
				amount := ledger.Amount(rapid.IntRange(1, 9000).Draw(r, "amount"))
				w.give(w.asker, amount)
				m.own += amount
				m.minted += amount
			},
			"submit": func(r *rapid.T) {
				amount := amounts.Draw(r, "amount")
				key := fmt.Sprint("req:", len(m.jobs))
				day := clock.Format(time.DateOnly)
				free := m.free
				if amount > 0 && m.granted != day {
					free = w.payer.Daily
				}
				j, err := submit(key, amount)
				if free+m.own < amount {
					if !fault.Has(err, fault.NoCredit) {
						r.Fatalf("%v, want no_credit", err)
					}
					return
				}
				ok(err)
				if amount > 0 && m.granted != day {
					m.minted += w.payer.Daily - m.free
					m.granted = day
				}
				fromFree := min(free, amount)
				m.free, m.own = free-fromFree, m.own-(amount-fromFree)
				m.jobs = append(m.jobs, &modelJob{job: j, fromFree: fromFree, fromOwn: amount - fromFree, day: day, state: workers.Queued})
			},
			"submit again": func(r *rapid.T) {
				j := pick(workers.Queued, workers.Leased, workers.Done, workers.Failed, workers.Cancelled)
				again, err := submit(j.job.Key, 77)
				ok(err)
				if again.ID != j.job.ID || again.State != j.state || again.Held != j.job.Held || again.Attempts != j.attempts {
					r.Fatalf("stored %+v, want %+v", again, j)
				}
			},
			"lease": func(r *rapid.T) {
				j := pick(workers.Queued)
				j.lastUsed++
				j.attempt = workers.Attempt{Lease: lease(), Job: j.job.ID, Number: j.lastUsed, Worker: w.worker.ID, Engine: "demo", Started: clock, Deadline: clock.Add(time.Minute)}
				ok(w.jobs.Lease(ctx, j.attempt))
				j.state = workers.Leased
			},
			"requeue": func(r *rapid.T) {
				j := pick(workers.Leased)
				counts := rapid.Bool().Draw(r, "counts")
				ok(w.jobs.Requeue(ctx, j.attempt.Lease, workers.OutcomeLost, counts, clock))
				if counts {
					j.attempts++
				}
				j.old = append(j.old, j.attempt)
				j.state = workers.Queued
			},
			"finish": func(r *rapid.T) {
				j := pick(workers.Leased)
				paid := j.job.Held * ledger.Amount(rapid.IntRange(0, 4).Draw(r, "quarters paid")) / 4
				s := w.settlement(j.job, j.attempt, paid)
				s.At, s.Release = clock, clock.Add(time.Duration(rapid.IntRange(0, 48).Draw(r, "escrow hours"))*time.Hour)
				ok(w.jobs.Finish(ctx, s))
				m.giveBack(j, j.job.Held-paid)
				m.escrow += paid
				m.earned += paid
				if paid > 0 {
					m.due = append(m.due, modelDue{s.Release, paid})
				}
				j.state = workers.Done
				j.old = append(j.old, j.attempt)
			},
			"abandon": func(r *rapid.T) {
				j := pick(workers.Queued, workers.Leased)
				code := rapid.SampledFrom([]fault.Code{fault.Expired, fault.Cancelled}).Draw(r, "code")
				ok(w.jobs.Abandon(ctx, j.job.ID, fault.New(code), workers.OutcomeCancelled, clock))
				m.giveBack(j, j.job.Held)
				if j.state == workers.Leased {
					j.old = append(j.old, j.attempt)
				}
				if j.state = workers.Failed; code == fault.Cancelled {
					j.state = workers.Cancelled
				}
			},
			"come too late": func(r *rapid.T) {
				j := pick(workers.Queued, workers.Leased, workers.Done, workers.Failed, workers.Cancelled)
				if len(j.old) == 0 {
					r.Skip("no ended attempt")
				}
				a := rapid.SampledFrom(j.old).Draw(r, "attempt")
				for what, err := range map[string]error{
					"finish":  w.jobs.Finish(ctx, w.settlement(j.job, a, 0)),
					"requeue": w.jobs.Requeue(ctx, a.Lease, workers.OutcomeLost, true, clock),
				} {
					if !errors.Is(err, workers.ErrStale) {
						r.Fatalf("%s of an ended attempt: %v", what, err)
					}
				}
				if j.state.Final() {
					if err := w.jobs.Abandon(ctx, j.job.ID, fault.New(fault.Expired), workers.OutcomeExpired, clock); !errors.Is(err, workers.ErrStale) {
						r.Fatalf("abandon of a final job: %v", err)
					}
				}
			},
			"release": func(r *rapid.T) {
				limit := rapid.IntRange(1, 3).Draw(r, "limit")
				sort.SliceStable(m.due, func(i, k int) bool { return m.due[i].at.Before(m.due[k].at) })
				want := 0
				for want < limit && want < len(m.due) && !m.due[want].at.After(clock) {
					m.escrow -= m.due[want].amount
					m.ownerOwn += m.due[want].amount
					want++
				}
				m.due = m.due[want:]
				got, err := w.credits.Release(ctx, clock, limit)
				ok(err)
				if got != want {
					r.Fatalf("released %d, want %d", got, want)
				}
			},
			"erase": func(r *rapid.T) { ok(errOf(w.jobs.Erase(ctx, "req"))) },
			"": func(r *rapid.T) {
				operations++
				var held ledger.Amount
				open := m.in(workers.Queued, workers.Leased)
				for _, j := range open {
					held += j.job.Held
				}
				asker, err := w.credits.Balance(ctx, w.asker, w.payer, clock)
				ok(err)
				free := m.free
				if m.granted != clock.Format(time.DateOnly) {
					free = w.payer.Daily
				}
				if asker.Spendable != m.own || asker.Held != held || asker.Free != free {
					r.Fatalf("asker %+v, want own %d held %d free %d", asker, m.own, held, free)
				}
				owner, err := w.credits.Balance(ctx, w.owner, ledger.Payer{}, clock)
				ok(err)
				if owner.Pending != m.escrow || owner.Earned != m.earned || owner.Spendable != m.ownerOwn {
					r.Fatalf("owner %+v, want pending %d earned %d own %d", owner, m.escrow, m.earned, m.ownerOwn)
				}
				jobs, attempts, err := w.jobs.Open(ctx)
				ok(err)
				if len(jobs) != len(open) || len(attempts) != len(m.in(workers.Leased)) {
					r.Fatalf("%d open jobs and %d attempts, want %d and %d", len(jobs), len(attempts), len(open), len(m.in(workers.Leased)))
				}
				for i, j := range jobs {
					if j.ID != open[i].job.ID || j.State != open[i].state || j.LastNumber != open[i].lastUsed || j.Attempts != open[i].attempts {
						r.Fatalf("open job %+v, want %+v", j, open[i])
					}
				}
				report, err := w.credits.AuditAt(ctx, now) // no hold is old by this clock
				ok(err)
				if len(report.Breaches) > 0 || report.Outstanding != m.minted || report.Jobs != len(m.jobs) {
					r.Fatalf("audit %+v, want %d outstanding of %d jobs", report, m.minted, len(m.jobs))
				}
			},
		})
	})
	t.Logf("%d operations in %d sequences", operations, run)
}
