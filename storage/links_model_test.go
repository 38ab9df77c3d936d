package storage_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/workers"
)

// soul says in plain Go what one person has. Who joins another leads to that one for good.
type soul struct {
	into        *soul
	member      community.MemberID
	own, escrow ledger.Amount
}

func (s *soul) now() *soul {
	for s.into != nil {
		s = s.into
	}
	return s
}

type soulJob struct {
	job               workers.Job
	payer             *soul
	free              community.UserID // whose free credits were drawn
	fromFree, fromOwn ledger.Amount
	day               string
	earner            *soul
	attempt           workers.Attempt
	leased            bool
}

// Whatever people connect, disconnect, ask, earn, give and have forgotten, in whichever order and between kills: no credit appears or is lost, everybody
// has what they should have under each of their accounts, and no account is granted more than once a day.
func TestAnyConnectingKeepsTheLedgerSound(t *testing.T) {
	dir := t.TempDir()
	run, operations, joins := 0, 0, 0
	identities := []community.UserID{"discord:1", "telegram:1", "page:1", "discord:2", "telegram:2", "page:2"}
	rapid.Check(t, func(r *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run, ".db"))
		p := &pairing{world: newWorldAt(t, path)}
		p.links = &storage.Links{DB: p.db}
		defer func() { p.db.Close() }()
		ctx, clock := t.Context(), now
		const daily = 2 * ledger.Credit
		souls, free, granted := map[community.UserID]*soul{}, map[community.UserID]ledger.Amount{}, map[community.UserID]string{}
		var jobs []*soulJob
		meet := func(id community.UserID) *soul {
			m, err := p.people.Member(ctx, id, "Name of "+string(id), clock)
			p.ok(err)
			if souls[id] == nil {
				souls[id] = &soul{member: m.ID}
			}
			if got := souls[id].now().member; got != m.ID {
				r.Fatalf("%s is member %d, want %d", id, m.ID, got)
			}
			return souls[id].now()
		}
		for _, id := range identities {
			meet(id)
		}
		anyone := rapid.SampledFrom(identities)
		purse := func(id community.UserID) (ledger.Payer, community.UserID) {
			m, of := p.of(id), id
			if m.Free != "" {
				of = m.Free
			}
			return ledger.Payer{Allowance: ledger.AllowanceOf(of), Daily: daily, Spend: ledger.SpendOf(m.ID)}, of
		}
		left := func(of community.UserID) ledger.Amount {
			if granted[of] != clock.Format(time.DateOnly) {
				return daily
			}
			return free[of]
		}
		giveBack := func(j *soulJob, rest ledger.Amount) {
			own := min(rest, j.fromOwn)
			j.payer.now().own += own
			if granted[j.free] == j.day {
				free[j.free] += rest - own
			}
		}
		outstanding := func() ledger.Amount {
			report, err := p.credits.AuditAt(ctx, now)
			p.ok(err)
			return report.Outstanding
		}
		take := func(r *rapid.T, leased bool) *soulJob {
			var fit []*soulJob
			for _, j := range jobs {
				if j.leased == leased {
					fit = append(fit, j)
				}
			}
			if len(fit) == 0 {
				r.Skip("no such job")
			}
			return rapid.SampledFrom(fit).Draw(r, "job")
		}
		over := func(j *soulJob) { jobs = slices.DeleteFunc(jobs, func(k *soulJob) bool { return k == j }) }

		r.Repeat(map[string]func(*rapid.T){
			"time passes": func(r *rapid.T) {
				clock = clock.Add(time.Duration(rapid.IntRange(1, 30).Draw(r, "hours")) * time.Hour)
			},
			"earn elsewhere": func(r *rapid.T) {
				s := meet(anyone.Draw(r, "who"))
				amount := ledger.Amount(rapid.IntRange(1, 5000).Draw(r, "amount"))
				p.give(s.member, amount)
				s.own += amount
			},
			"connect": func(r *rapid.T) {
				a, b := anyone.Draw(r, "asker"), anyone.Draw(r, "typer")
				before, request := outstanding(), p.begin(a, clock)
				_, err := p.links.Redeem(ctx, p.request(), is(b), hashed(request), clock)
				if err != nil {
					if !fault.Has(err, fault.OwnLinkCode) && !fault.Has(err, fault.LinkRefused) {
						r.Fatal(err)
					}
					return
				}
				p.ok(p.links.Agree(ctx, request, b, clock))
				m, err := p.links.Join(ctx, request, a, clock)
				p.ok(err)
				joins++
				older, younger := souls[a].now(), souls[b].now()
				if older.member > younger.member {
					older, younger = younger, older
				}
				if m != older.member {
					r.Fatalf("joined %d, want %d", m, older.member)
				}
				older.own, older.escrow = older.own+younger.own, older.escrow+younger.escrow
				younger.own, younger.escrow, younger.into = 0, 0, older
				if after := outstanding(); after != before {
					r.Fatalf("connecting made %d of %d", after, before)
				}
			},
			"disconnect": func(r *rapid.T) {
				id := anyone.Draw(r, "who")
				before, s := outstanding(), souls[id].now()
				fresh, err := p.links.Unlink(ctx, s.member, id, clock)
				if err != nil {
					p.refused(err, fault.Gone, "")
					return
				}
				souls[id] = &soul{member: fresh}
				if after := outstanding(); after != before {
					r.Fatalf("disconnecting made %d of %d", after, before)
				}
			},
			"ask": func(r *rapid.T) {
				id, amount := anyone.Draw(r, "who"), ledger.Amount(rapid.IntRange(1, 4000).Draw(r, "amount"))
				s := meet(id)
				payer, of := purse(id)
				j := p.job(p.request() + ":a")
				// Also in the name of somebody who has joined another since: a command may have begun before.
				if first := souls[id]; rapid.Bool().Draw(r, "stale") && first != s {
					j.Member, payer.Spend = first.member, ledger.SpendOf(first.member)
				} else {
					j.Member = s.member
				}
				j, err := p.jobs.Submit(ctx, j, ledger.Charge{Payer: payer, Amount: amount, Rates: 1}, clock)
				have := left(of)
				if have+s.own < amount {
					p.refused(err, fault.NoCredit, "")
					return
				}
				p.ok(err)
				day := clock.Format(time.DateOnly)
				granted[of] = day
				fromFree := min(have, amount)
				free[of], s.own = have-fromFree, s.own-(amount-fromFree)
				jobs = append(jobs, &soulJob{job: j, payer: s, free: of, fromFree: fromFree, fromOwn: amount - fromFree, day: day, earner: meet(anyone.Draw(r, "earner"))})
			},
			"begin": func(r *rapid.T) {
				j := take(r, false)
				j.attempt = workers.Attempt{Lease: lease(), Job: j.job.ID, Number: 1, Worker: p.worker.ID, Engine: "demo", Started: clock, Deadline: clock.Add(time.Minute)}
				p.ok(p.jobs.Lease(ctx, j.attempt))
				j.leased = true
			},
			"finish": func(r *rapid.T) {
				j := take(r, true)
				paid := j.job.Held * ledger.Amount(rapid.IntRange(0, 4).Draw(r, "quarters paid")) / 4
				s := p.settlement(j.job, j.attempt, paid)
				s.At, s.Release, s.Earner = clock, clock.Add(time.Duration(rapid.IntRange(0, 48).Draw(r, "escrow hours"))*time.Hour), j.earner.member
				p.ok(p.jobs.Finish(ctx, s))
				giveBack(j, j.job.Held-paid)
				j.earner.now().escrow += paid
				over(j)
			},
			"stop": func(r *rapid.T) {
				j := take(r, rapid.Bool().Draw(r, "running"))
				p.ok(p.jobs.Abandon(ctx, j.job.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, clock))
				giveBack(j, j.job.Held)
				over(j)
			},
			"release all": func(r *rapid.T) {
				if _, err := p.credits.Release(ctx, clock.Add(100*time.Hour), 10_000); err != nil {
					r.Fatal(err)
				}
				for _, s := range souls {
					s = s.now()
					s.own, s.escrow = s.own+s.escrow, 0
				}
			},
			"give": func(r *rapid.T) {
				from, to := meet(anyone.Draw(r, "from")), souls[anyone.Draw(r, "to")]
				amount := ledger.Amount(rapid.IntRange(1, 3000).Draw(r, "amount"))
				applied, err := p.credits.Give(ctx, ledger.GiveKey(p.request()), from.member, ledger.SpendOf(to.member), amount, clock)
				switch {
				case to.now() == from:
					if err == nil {
						r.Fatal("a gift to oneself")
					}
				case from.own < amount:
					p.refused(err, fault.NotEnough, "")
				case err != nil || !applied:
					r.Fatal(applied, err)
				default:
					from.own -= amount
					to.now().own += amount
				}
			},
			"forget": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "really") > 0 {
					r.Skip("not so often")
				}
				s := meet(anyone.Draw(r, "who"))
				before := outstanding()
				if _, err := p.people.Forget(ctx, s.member, p.identities(s.member), home, clock); err != nil {
					r.Fatal(err)
				}
				if after := outstanding(); after != before {
					r.Fatalf("forgetting made %d of %d", after, before)
				}
				for id := range souls {
					if souls[id].now() == s {
						delete(souls, id)
					}
				}
				for _, id := range identities {
					meet(id)
				}
			},
			"kill": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "really") > 0 {
					r.Skip("not so often")
				}
				p.ok(p.db.Close())
				p.db = storagetest.OpenPath(t, path)
				p.jobs, p.credits, p.people, p.links = &storage.Jobs{DB: p.db}, &storage.Credits{DB: p.db}, &storage.People{DB: p.db}, &storage.Links{DB: p.db}
			},
			"": func(r *rapid.T) {
				operations++
				report, err := p.credits.AuditAt(ctx, now)
				p.ok(err)
				if len(report.Breaches) > 0 {
					r.Fatal(report.Breaches)
				}
				for _, id := range identities {
					s := meet(id)
					payer, of := purse(id)
					b, err := p.credits.Balance(ctx, s.member, payer, clock)
					p.ok(err)
					if b.Spendable != s.own || b.Pending != s.escrow || b.Free != left(of) {
						r.Fatalf("%s has %+v, want own %d, pending %d, free %d of %s", id, b, s.own, s.escrow, left(of), of)
					}
				}
			},
		})
		if t.Failed() {
			r.Fatal("see above")
		}
	})
	t.Logf("%d operations in %d sequences, %d connected", operations, run, joins)
}
