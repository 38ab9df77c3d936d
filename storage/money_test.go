package storage_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/workers"
	"potluck/workers/protocol"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a database with one asker, one owner and the owner's worker.
type world struct {
	t       testing.TB
	db      *storage.DB
	jobs    *storage.Jobs
	credits *storage.Credits
	people  *storage.People
	asker   community.MemberID
	owner   community.MemberID
	worker  workers.Worker
	payer   ledger.Payer
}

const askerIdentity = community.UserID("page:asker")

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, filepath.Join(t.TempDir(), "potluck.db"))
}

func newWorldAt(t testing.TB, path string) *world {
	t.Helper()
	db := storagetest.OpenPath(t, path)
	w := &world{t: t, db: db, jobs: &storage.Jobs{DB: db}, credits: &storage.Credits{DB: db}, people: &storage.People{DB: db}}
	w.asker = w.member(askerIdentity, "Ada")
	w.owner = w.member("page:owner", "Rita")
	w.worker = w.enrol(w.owner, bytes.Repeat([]byte{1}, 32))
	w.payer = ledger.Payer{Allowance: ledger.AllowanceOf(askerIdentity), Daily: 10 * ledger.Credit, Spend: ledger.SpendOf(w.asker)}
	return w
}

func (w *world) member(id community.UserID, name string) community.MemberID {
	w.t.Helper()
	m, err := w.people.Member(w.t.Context(), id, name, now)
	w.ok(err)
	return m.ID
}

func (w *world) identities(m community.MemberID) []community.UserID {
	w.t.Helper()
	ids, err := w.people.Identities(w.t.Context(), m)
	w.ok(err)
	return ids
}

func (w *world) enrol(owner community.MemberID, key []byte) workers.Worker {
	w.t.Helper()
	var hash [32]byte
	rand.Read(hash[:])
	w.ok(w.jobs.SaveJoinCode(w.t.Context(), hash, owner, "box", true, now.Add(10*time.Minute)))
	worker, err := w.jobs.Enrol(w.t.Context(), hash, key, protocol.Hardware{OS: "linux", CPUs: 4}, 5, now)
	w.ok(err)
	return worker
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) job(key string) workers.Job {
	temperature := 0.5
	return workers.Job{
		Origin: workers.Origin{Key: key, Class: workers.Public, Community: "page:potluck", Member: w.asker, Payer: w.payer, Quality: protocol.Rough},
		Kind:   protocol.Chat, Model: "qwen3-8b", Features: []string{protocol.FeatureVision},
		Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: "the plain question"}}, MaxTokens: 64, Temperature: &temperature},
		Work: ledger.Work{Kind: "chat", InTokens: 10, OutTokens: 64}, Wait: time.Minute, Input: [][]byte{[]byte("picture bytes")},
	}
}

func (w *world) submit(key string, amount ledger.Amount) workers.Job {
	w.t.Helper()
	j, err := w.jobs.Submit(w.t.Context(), w.job(key), ledger.Charge{Payer: w.payer, Amount: amount, Rates: 3}, now)
	w.ok(err)
	return j
}

func lease() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (w *world) lease(j workers.Job, number int) workers.Attempt {
	w.t.Helper()
	a := workers.Attempt{Lease: lease(), Job: j.ID, Number: number, Worker: w.worker.ID, Engine: "ollama", Model: "qwen3:8b", Started: now, Deadline: now.Add(30 * time.Second)}
	w.ok(w.jobs.Lease(w.t.Context(), a))
	return a
}

func (w *world) settlement(j workers.Job, a workers.Attempt, paid ledger.Amount) workers.Settlement {
	return workers.Settlement{
		Attempt: a, At: now.Add(5 * time.Second), Earner: w.owner, Release: now.Add(24 * time.Hour),
		Result: workers.Result{Text: "the plain answer", Finish: "stop", Model: "qwen3-8b", Engine: "ollama", Quality: protocol.Postable, Worker: w.worker.ID, Blobs: []string{"blobs/1"}, Took: 5 * time.Second},
		Bill:   ledger.Bill{Price: ledger.Price{Amount: paid, Rates: 3, Model: "qwen3-8b"}, Held: j.Held, Paid: paid, Returned: j.Held - paid},
		Speed:  workers.Speed{Worker: w.worker.ID, Kind: protocol.Chat, Model: "qwen3-8b", Rate: 1.5, Jobs: 1},
	}
}

func (w *world) balance(m community.MemberID, p ledger.Payer, at time.Time) ledger.Balance {
	w.t.Helper()
	b, err := w.credits.Balance(w.t.Context(), m, p, at)
	w.ok(err)
	return b
}

func (w *world) sound() storage.Report {
	w.t.Helper()
	r, err := w.credits.AuditAt(w.t.Context(), now)
	w.ok(err)
	for _, b := range r.Breaches {
		w.t.Errorf("%s: %s", b.Invariant, b.Detail)
	}
	return r
}

func (w *world) give(m community.MemberID, amount ledger.Amount) {
	w.t.Helper()
	storagetest.Mint(w.t, w.db, ledger.SpendOf(m), amount, "test", now)
}

func TestJobFromSubmissionToRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if b := w.balance(w.asker, w.payer, now); b.Free != 10*ledger.Credit || b.Daily != 10*ledger.Credit {
		t.Errorf("before the first job %+v, want the whole grant free", b)
	}
	w.give(w.asker, 5*ledger.Credit)
	j := w.submit("req:ask", 12*ledger.Credit)
	want := w.job("req:ask")
	want.ID, want.State, want.Created, want.Held = j.ID, workers.Queued, now, 12*ledger.Credit
	if d := cmp.Diff(want, j); d != "" {
		t.Errorf("submitted (-want +got):\n%s", d)
	}
	stored, ok, err := w.jobs.JobByKey(ctx, "req:ask")
	if d := cmp.Diff(want, stored); err != nil || !ok || d != "" {
		t.Errorf("stored %v %v (-want +got):\n%s", ok, err, d)
	}
	if b := w.balance(w.asker, w.payer, now); b.Free != 0 || b.Spendable != 3*ledger.Credit || b.Held != 12*ledger.Credit {
		t.Errorf("while it is held %+v: allowance goes first", b)
	}

	a := w.lease(j, 1)
	jobs, attempts, err := w.jobs.Open(ctx)
	w.ok(err)
	want.State, want.LastNumber = workers.Leased, 1
	if d := cmp.Diff([]workers.Job{want}, jobs); d != "" {
		t.Errorf("open jobs (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]workers.Attempt{a}, attempts); d != "" {
		t.Errorf("open attempts (-want +got):\n%s", d)
	}

	s := w.settlement(j, a, 4*ledger.Credit)
	w.ok(w.jobs.Finish(ctx, s))
	// Drawn 10 from the allowance and 2 from own credits; 8 come back, own credits first.
	if b := w.balance(w.asker, w.payer, now); b.Free != 6*ledger.Credit || b.Spendable != 5*ledger.Credit || b.Held != 0 {
		t.Errorf("after settling %+v", b)
	}
	if b := w.balance(w.owner, ledger.Payer{}, now); b.Pending != 4*ledger.Credit || b.Earned != 4*ledger.Credit || b.Spendable != 0 || !b.NextRelease.Equal(s.Release) {
		t.Errorf("the owner has %+v", b)
	}
	done, _, err := w.jobs.JobByKey(ctx, "req:ask")
	w.ok(err)
	s.Result.Job, s.Result.Bill = j.ID, s.Bill
	if d := cmp.Diff(&s.Result, done.Result); d != "" || done.State != workers.Done {
		t.Errorf("result (-want +got):\n%s", d)
	}
	again, err := w.jobs.Submit(ctx, w.job("req:ask"), ledger.Charge{Payer: w.payer, Amount: 12 * ledger.Credit}, now)
	if d := cmp.Diff(done, again); err != nil || d != "" {
		t.Errorf("submitted again %v (-want +got):\n%s", err, d)
	}
	speeds, err := w.jobs.Speeds(ctx)
	if d := cmp.Diff([]workers.Speed{s.Speed}, speeds); err != nil || d != "" {
		t.Errorf("speeds %v (-want +got):\n%s", err, d)
	}

	for _, c := range []struct {
		at time.Time
		n  int
	}{{now, 0}, {s.Release, 1}, {s.Release, 0}} {
		if n, err := w.credits.Release(ctx, c.at, 10); err != nil || n != c.n {
			t.Errorf("release at %s: %d, %v; want %d", c.at, n, err, c.n)
		}
	}
	if b := w.balance(w.owner, ledger.Payer{}, now); b.Pending != 0 || b.Earned != 4*ledger.Credit || b.Spendable != 4*ledger.Credit || !b.NextRelease.IsZero() {
		t.Errorf("after release the owner has %+v", b)
	}

	blobs, err := w.jobs.Erase(ctx, "req")
	if d := cmp.Diff([]string{"blobs/1"}, blobs); err != nil || d != "" {
		t.Errorf("erased %v (-want +got):\n%s", err, d)
	}
	if blobs, err := w.jobs.Erase(ctx, "req"); err != nil || len(blobs) != 0 {
		t.Errorf("erased twice: %v, %v", blobs, err)
	}
	gone, ok, err := w.jobs.JobByKey(ctx, "req:ask")
	if err != nil || !ok || gone.Chat != nil || gone.Input != nil || gone.Result != nil || gone.State != workers.Done {
		t.Errorf("erased job %+v, %v", gone, err)
	}
	info, ok, err := w.credits.Bill(ctx, j.ID)
	wantInfo := storage.BillInfo{Job: j.ID, Kind: protocol.Chat, State: workers.Done, Asker: w.asker, Earner: w.owner, Bill: s.Bill, At: s.At}
	if d := cmp.Diff(wantInfo, info); err != nil || !ok || d != "" {
		t.Errorf("bill %v %v (-want +got):\n%s", ok, err, d)
	}
	if r := w.sound(); r.Jobs != 1 || r.Outstanding != 15*ledger.Credit || r.Transactions != 5 {
		t.Errorf("report %+v", r)
	}
}

func TestSubmitWithoutEnoughCredit(t *testing.T) {
	w := newWorld(t)
	w.give(w.asker, 1500)
	_, err := w.jobs.Submit(t.Context(), w.job("req:ask"), ledger.Charge{Payer: w.payer, Amount: 12_345}, now)
	f := fault.Of(err)
	if d := cmp.Diff(map[string]string{"need": "12.345", "have": "11.5", "reset": "2026-03-02T00:00:00Z"}, f.Args); f.Code != fault.NoCredit || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if _, ok, err := w.jobs.JobByKey(t.Context(), "req:ask"); ok || err != nil {
		t.Errorf("the refused job is there (%v)", err)
	}
	if _, err := w.jobs.Submit(t.Context(), w.job("req:ask"), ledger.Charge{Payer: ledger.Payer{}, Amount: 1}, now); !fault.Has(err, fault.NoCredit) {
		t.Errorf("without any account: %v, want no_credit", err)
	}
	if _, err := w.jobs.Submit(t.Context(), w.job("req:ask"), ledger.Charge{Payer: w.payer, Amount: -1}, now); err == nil {
		t.Error("a negative charge is taken")
	}
	stranger := w.job("req:ask")
	stranger.Member = 99
	if _, err := w.jobs.Submit(t.Context(), stranger, ledger.Charge{}, now); !errors.Is(err, storage.ErrNoMember) {
		t.Errorf("unknown member: %v", err)
	}
	w.sound()
}

func TestAllowanceOfEachDay(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	submit := func(key string, amount ledger.Amount, at time.Time) {
		t.Helper()
		_, err := w.jobs.Submit(ctx, w.job(key), ledger.Charge{Payer: w.payer, Amount: amount}, at)
		w.ok(err)
	}
	submit("a:1", 4*ledger.Credit, now)
	submit("a:2", 1*ledger.Credit, now.Add(time.Hour))
	if b := w.balance(w.asker, w.payer, now); b.Free != 5*ledger.Credit {
		t.Errorf("the same day: %+v", b)
	}
	tomorrow := now.Add(24 * time.Hour)
	if b := w.balance(w.asker, w.payer, tomorrow); b.Free != 10*ledger.Credit {
		t.Errorf("tomorrow before the first job: %+v", b)
	}
	submit("a:3", 2*ledger.Credit, tomorrow)
	if b := w.balance(w.asker, w.payer, tomorrow); b.Free != 8*ledger.Credit {
		t.Errorf("tomorrow: %+v, the rest of yesterday is burned", b)
	}
	// A refund of yesterday's job is burned like everything that was left of yesterday.
	j, _, err := w.jobs.JobByKey(ctx, "a:1")
	w.ok(err)
	w.ok(w.jobs.Abandon(ctx, j.ID, fault.New(fault.Expired), workers.OutcomeExpired, tomorrow))
	if b := w.balance(w.asker, w.payer, tomorrow); b.Free != 8*ledger.Credit {
		t.Errorf("after the refund: %+v", b)
	}
	w.sound()
}

// However many members a household has, they use no more of what all visitors share than its part: held and paid credits count, what comes back does not, and
// neither a restart nor another session begins anew. The next day does.
func TestAHouseholdUsesItsPartOfASharedAllowance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	w := newWorldAt(t, path)
	ctx := t.Context()
	payer := func(household string) ledger.Payer {
		p := ledger.Payer{Allowance: ledger.AllowanceOf(home), Daily: 40 * ledger.Credit, Spend: ledger.SpendOf(w.asker)}
		p.Share = ledger.Share{Household: household, Most: 10 * ledger.Credit}
		return p
	}
	submit := func(key string, p ledger.Payer, amount ledger.Amount, at time.Time) (workers.Job, error) {
		return w.jobs.Submit(ctx, w.job(key), ledger.Charge{Payer: p, Amount: amount}, at)
	}
	left := func(what, household string, at time.Time, want ledger.Amount) {
		t.Helper()
		if b := w.balance(w.asker, payer(household), at); b.Free != want || b.Daily != 10*ledger.Credit {
			t.Errorf("%s: %+v, want %v", what, b, want)
		}
	}
	left("at first", "monday", now, 10*ledger.Credit)
	held, err := submit("a:1", payer("monday"), 7*ledger.Credit, now)
	w.ok(err)
	left("while a job runs", "monday", now, 3*ledger.Credit)
	_, err = submit("b:1", payer("monday"), 4*ledger.Credit, now)
	f := fault.Of(err)
	if d := cmp.Diff(map[string]string{"need": "4", "have": "3", "share": "10", "reset": "2026-03-02T00:00:00Z"}, f.Args); f.Code != fault.NoCredit || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	_, err = submit("c:1", payer("neighbours"), 10*ledger.Credit, now)
	w.ok(err)

	w.ok(w.db.Close())
	w.db = storagetest.OpenPath(t, path)
	w.jobs, w.credits = &storage.Jobs{DB: w.db}, &storage.Credits{DB: w.db}
	left("after a restart", "monday", now, 3*ledger.Credit)
	w.ok(w.jobs.Finish(ctx, w.settlement(held, w.lease(held, 1), 2*ledger.Credit)))
	left("paid less than was held", "monday", now, 8*ledger.Credit)
	failed, err := submit("d:1", payer("monday"), 8*ledger.Credit, now)
	w.ok(err)
	left("held once more", "monday", now, 0)
	w.ok(w.jobs.Abandon(ctx, failed.ID, fault.New(fault.Expired), workers.OutcomeExpired, now))
	left("refunded", "monday", now, 8*ledger.Credit)

	// Own credits are nobody's share, and what others left of the whole bounds everybody.
	w.give(w.asker, 5*ledger.Credit)
	_, err = submit("e:1", payer("monday"), 12*ledger.Credit, now)
	w.ok(err)
	left("with own credits", "monday", now, 0)
	for i, who := range []string{"n1", "n2"} {
		_, err = submit(fmt.Sprint("f:", i), payer(who), 10*ledger.Credit-ledger.Amount(i), now)
		w.ok(err)
	}
	left("the rest of all", "n3", now, 1)
	_, err = submit("g:1", payer("n3"), 2*ledger.Credit, now)
	if f := fault.Of(err); f.Code != fault.NoCredit || f.Args["share"] != "" {
		t.Errorf("%v: it is not the share that is used up", err)
	}
	tomorrow := now.Add(24 * time.Hour)
	left("tomorrow", "tuesday", tomorrow, 10*ledger.Credit)
	_, err = submit("h:1", payer("monday"), 2*ledger.Credit, tomorrow) // it waited over midnight
	if !fault.Has(err, fault.NoCredit) {
		t.Errorf("a wish of yesterday beyond yesterday's share: %v", err)
	}
	_, err = submit("h:2", payer("tuesday"), 10*ledger.Credit, tomorrow)
	w.ok(err)
	w.ok(w.credits.ForgetShares(ctx, tomorrow))
	left("yesterday's, after an hourly forgetting", "monday", tomorrow, 0)
	w.ok(w.credits.ForgetShares(ctx, tomorrow.Add(24*time.Hour)))
	left("what nobody needs any more", "monday", tomorrow, 10*ledger.Credit)
	w.sound()
}

// A request's household is known until its answer is out, and no longer.
func TestTheHouseholdOfARequestIsForgottenWithItsAnswer(t *testing.T) {
	w := newWorld(t)
	requests := &storage.Requests{DB: w.db}
	ok, err := requests.Accept(t.Context(), bot.Request{
		ID: "r1", Event: "page:1", Chat: community.Chat{ID: "page:potluck:lobby", Community: home}, User: askerIdentity, Member: w.asker, Household: "3f", Created: now,
	})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, c := range []struct {
		state bot.RequestState
		want  string
	}{{bot.Stopped, "3f"}, {bot.Delivered, ""}} {
		w.ok(requests.SetState(t.Context(), "r1", c.state))
		if r, _, err := requests.Request(t.Context(), "r1"); err != nil || r.Household != c.want {
			t.Errorf("%s: household %q, %v", c.state, r.Household, err)
		}
	}
}

// A job that held yesterday's allowance over midnight and was cancelled gave it back beside today's.
func TestAllowanceHeldOverMidnightIsNotGivenTwice(t *testing.T) {
	w := newWorld(t)
	late := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	early := late.Add(2 * time.Minute)
	w.give(w.asker, 3*ledger.Credit)
	submit := func(key string, amount ledger.Amount, at time.Time) workers.Job {
		j, err := w.jobs.Submit(t.Context(), w.job(key), ledger.Charge{Payer: w.payer, Amount: amount}, at)
		w.ok(err)
		return j
	}
	a := submit("r1:ask", 12*ledger.Credit, late)
	b := submit("r2:ask", 1*ledger.Credit, early) // grants today's 10
	for _, j := range []workers.Job{a, b} {
		w.ok(w.jobs.Abandon(t.Context(), j.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, early))
	}
	if got := w.balance(w.asker, w.payer, early); got.Free != 10*ledger.Credit || got.Spendable != 3*ledger.Credit {
		t.Errorf("today: %+v, want the daily 10 free and the own 3", got)
	}
	w.sound()
}

func TestPool(t *testing.T) {
	w := newWorld(t)
	const c = community.CommunityID("page:potluck")
	grant := func(at time.Time, want ledger.Amount) {
		t.Helper()
		if got, err := w.credits.GrantPool(t.Context(), c, 10*ledger.Credit, at); err != nil || got != want {
			t.Errorf("pool at %s: %d, %v; want %d", at, got, err, want)
		}
	}
	grant(now, 10*ledger.Credit)
	grant(now, 10*ledger.Credit)
	w.give(w.asker, 50*ledger.Credit)
	for i, want := range []bool{true, false} {
		if applied, err := w.credits.Give(t.Context(), "give:1", w.asker, ledger.PoolOf(c), 50*ledger.Credit, now); err != nil || applied != want {
			t.Errorf("gift %d: %v, %v", i, applied, err)
		}
	}
	grant(now.Add(24*time.Hour), 60*ledger.Credit) // gifts stay, nothing is added
	j := w.job("req:auto")
	j.Member, j.Payer = 0, ledger.Payer{Spend: ledger.PoolOf(c)}
	j, err := w.jobs.Submit(t.Context(), j, ledger.Charge{Payer: j.Payer, Amount: 55 * ledger.Credit}, now)
	w.ok(err)
	w.ok(w.jobs.Abandon(t.Context(), j.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, now))
	grant(now.Add(24*time.Hour), 60*ledger.Credit)
	if _, err := w.credits.Give(t.Context(), "give:2", w.asker, ledger.PoolOf(c), 50*ledger.Credit, now); !fault.Has(err, fault.NotEnough) {
		t.Errorf("somebody gave what they do not have: %v", err)
	}
	w.sound()
}

func TestRequeueAbandonAndStaleLeases(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	j := w.submit("req:ask", 2*ledger.Credit)
	stale := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, workers.ErrStale) {
			t.Errorf("%s: %v, want ErrStale", what, err)
		}
	}
	first := w.lease(j, 1)
	stale("lease of a leased job", w.jobs.Lease(ctx, workers.Attempt{Lease: lease(), Job: j.ID, Number: 2, Worker: w.worker.ID}))
	stale("unknown lease", w.jobs.Requeue(ctx, lease(), workers.OutcomeLost, true, now))
	w.ok(w.jobs.Requeue(ctx, first.Lease, workers.OutcomeLost, true, now))
	stale("requeue twice", w.jobs.Requeue(ctx, first.Lease, workers.OutcomeLost, true, now))
	stale("finish after requeue", w.jobs.Finish(ctx, w.settlement(j, first, 1000)))
	if err := w.jobs.Lease(ctx, workers.Attempt{Lease: lease(), Job: j.ID, Number: 1, Worker: w.worker.ID}); err == nil {
		t.Error("an attempt number is used twice")
	}
	second := w.lease(j, 2)
	w.ok(w.jobs.Requeue(ctx, second.Lease, workers.OutcomeRefused, false, now))
	jobs, attempts, err := w.jobs.Open(ctx)
	if err != nil || len(jobs) != 1 || len(attempts) != 0 || jobs[0].Attempts != 1 || jobs[0].LastNumber != 2 || jobs[0].State != workers.Queued {
		t.Errorf("open: %+v %+v %v", jobs, attempts, err)
	}

	third := w.lease(j, 3)
	other := third
	other.Worker++
	stale("result of another worker", w.jobs.Finish(ctx, w.settlement(j, other, 1000)))
	bad := w.settlement(j, third, 1000)
	bad.Bill.Returned += 1
	if err := w.jobs.Finish(ctx, bad); err == nil || errors.Is(err, workers.ErrStale) {
		t.Errorf("a bill that does not add up: %v", err)
	}
	bad = w.settlement(j, third, 1000)
	bad.Bill.Held, bad.Bill.Paid = j.Held+1000, 2000
	if err := w.jobs.Finish(ctx, bad); err == nil || errors.Is(err, workers.ErrStale) {
		t.Errorf("a bill over what was held: %v", err)
	}
	why := fault.New(fault.WorkerFailed, "kind", "chat", "attempts", 3)
	w.ok(w.jobs.Abandon(ctx, j.ID, why, workers.OutcomeEngine, now))
	stale("abandon twice", w.jobs.Abandon(ctx, j.ID, why, workers.OutcomeEngine, now))
	stale("finish after abandon", w.jobs.Finish(ctx, w.settlement(j, third, 1000)))
	stale("lease after abandon", w.jobs.Lease(ctx, workers.Attempt{Lease: lease(), Job: j.ID, Number: 4, Worker: w.worker.ID}))
	stale("abandon an unknown job", w.jobs.Abandon(ctx, 999, why, workers.OutcomeEngine, now))
	failed, _, err := w.jobs.JobByKey(ctx, "req:ask")
	if d := cmp.Diff(why, failed.Failure); err != nil || d != "" || failed.State != workers.Failed {
		t.Errorf("failed job %s %v (-want +got):\n%s", failed.State, err, d)
	}
	if b := w.balance(w.asker, w.payer, now); b.Free != 10*ledger.Credit {
		t.Errorf("after the refund %+v", b)
	}
	info, ok, err := w.credits.Bill(ctx, j.ID)
	if err != nil || !ok || info.Bill.Returned != j.Held || info.Bill.Paid != 0 || info.State != workers.Failed {
		t.Errorf("bill of a failed job %+v, %v", info, err)
	}
	w.ok(errOf(w.jobs.Erase(ctx, "req")))
	failed, _, err = w.jobs.JobByKey(ctx, "req:ask")
	if err != nil || failed.Failure == nil || failed.Failure.Code != fault.WorkerFailed || len(failed.Failure.Args) != 0 {
		t.Errorf("erased failure %+v, %v: the code stays", failed.Failure, err)
	}

	done := w.submit("req:two", 2*ledger.Credit)
	a := w.lease(done, 1)
	w.ok(w.jobs.Finish(ctx, w.settlement(done, a, 1000)))
	stale("finish twice", w.jobs.Finish(ctx, w.settlement(done, a, 1000)))
	stale("refund after settling", w.jobs.Abandon(ctx, done.ID, why, workers.OutcomeEngine, now))

	free := w.submit("req:free", 0)
	a = w.lease(free, 1)
	own := w.settlement(free, a, 0)
	own.Bill.Own = true
	w.ok(w.jobs.Finish(ctx, own))
	if _, ok, err := w.credits.Bill(ctx, 999); ok || err != nil {
		t.Errorf("bill of an unknown job: %v %v", ok, err)
	}
	w.sound()
}

func errOf[T any](_ T, err error) error { return err }

func TestEraseTakesOnlyTheRequestsFinalJobs(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	finish := func(key string) workers.Job {
		j := w.submit(key, 0)
		s := w.settlement(j, w.lease(j, 1), 0)
		s.Result.Blobs = []string{key}
		w.ok(w.jobs.Finish(ctx, s))
		return j
	}
	finish("req:1")
	finish("req:2")
	finish("req2:1")
	finish("req;")
	w.submit("req:running", 0)
	if kept, err := w.jobs.Unerased(ctx); err != nil || len(kept) != 4 {
		t.Errorf("unerased: %v %v", kept, err)
	}
	blobs, err := w.jobs.Erase(ctx, "req")
	if d := cmp.Diff([]string{"req:1", "req:2"}, blobs); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if j, _, err := w.jobs.JobByKey(ctx, "req:running"); err != nil || j.Chat == nil {
		t.Errorf("a running job lost its payload (%v)", err)
	}
	if blobs, err := w.jobs.EraseEnded(ctx, now, 10); err != nil || len(blobs) != 0 {
		t.Errorf("too early: %v %v", blobs, err)
	}
	if blobs, err := w.jobs.EraseEnded(ctx, now.Add(time.Hour), 1); err != nil || len(blobs) != 1 {
		t.Errorf("at most one: %v %v", blobs, err)
	}
	if blobs, err := w.jobs.EraseEnded(ctx, now.Add(time.Hour), 10); err != nil || len(blobs) != 1 {
		t.Errorf("the other: %v %v", blobs, err)
	}
	if kept, err := w.jobs.Unerased(ctx); err != nil || len(kept) != 0 {
		t.Errorf("unerased after all: %v %v", kept, err)
	}
}

// The process was killed between a job's end and its delivery and came back after a quarter of an hour: the answer is still there.
func TestEraseEndedLeavesWhatIsNotDelivered(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	if ok, err := s.requests.Accept(ctx, s.request("req", now)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	j := s.submit("req:ask", 0)
	s.ok(s.jobs.Finish(ctx, s.settlement(j, s.lease(j, 1), 0)))
	erased := func(before time.Time, want int) {
		t.Helper()
		blobs, err := s.jobs.EraseEnded(ctx, before, 10)
		s.ok(err)
		got, _, err := s.jobs.JobByKey(ctx, "req:ask")
		s.ok(err)
		if (got.Result == nil) != (want == 1) {
			t.Errorf("erased before %v: result %v, blobs %v", before, got.Result, blobs)
		}
	}
	erased(now.Add(23*time.Hour), 0)
	erased(now.Add(25*time.Hour), 1)

	k := s.submit("req:again", 0)
	s.ok(s.jobs.Finish(ctx, s.settlement(k, s.lease(k, 1), 0)))
	s.ok(s.requests.SetState(ctx, "req", bot.Delivered))
	s.ok(errOf(s.jobs.EraseEnded(ctx, now.Add(time.Minute), 10)))
	if got, _, err := s.jobs.JobByKey(ctx, "req:again"); err != nil || got.Result != nil {
		t.Errorf("a delivered request's result stays: %v %v", got.Result, err)
	}
}

func TestSubmitOfOneKeyFromManySides(t *testing.T) {
	w := newWorld(t)
	ids := make([]int64, 32)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			j, err := w.jobs.Submit(t.Context(), w.job("req:same"), ledger.Charge{Payer: w.payer, Amount: ledger.Credit}, now)
			if err != nil {
				t.Error(err)
			}
			ids[i] = j.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("ids %v, want one job", ids)
		}
	}
	if b := w.balance(w.asker, w.payer, now); b.Free != 9*ledger.Credit || b.Held != ledger.Credit {
		t.Errorf("held %+v, want once", b)
	}
	w.sound()
}

func TestOnlyOneOfManyResolvesAJob(t *testing.T) {
	w := newWorld(t)
	j := w.submit("req:race", ledger.Credit)
	a := w.lease(j, 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 24 {
		wg.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				err = w.jobs.Finish(t.Context(), w.settlement(j, a, 500))
			case 1:
				err = w.jobs.Abandon(t.Context(), j.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, now)
			default:
				w.balance(w.asker, w.payer, now)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, workers.ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d resolutions, want 1", won)
	}
	w.sound()
}

func TestLedgerIsAppendOnlyAndFinalIsFinal(t *testing.T) {
	w := newWorld(t)
	j := w.submit("req:ask", ledger.Credit)
	w.ok(w.jobs.Finish(t.Context(), w.settlement(j, w.lease(j, 1), 400)))
	raw := rawOpen(t, w.db.Path())
	for _, query := range []string{
		`UPDATE postings SET amount = amount * 2`,
		`DELETE FROM postings`,
		`UPDATE transactions SET at_ms = 0`,
		`DELETE FROM transactions`,
		`INSERT INTO postings VALUES (1, 1, 0)`,
		`UPDATE accounts SET balance = -1 WHERE kind = 'spend' OR kind = 'hold' OR kind = 'allowance'`,
		`UPDATE jobs SET state = 'queued', ended_ms = NULL`,
		`UPDATE jobs SET bill = '{}'`,
		`UPDATE jobs SET held = 5`,
		`INSERT INTO transactions (kind, key, at_ms) VALUES ('grant', 'hold:1', 0)`,
		`INSERT INTO transactions (kind, key, at_ms) VALUES ('adjust', 'adjust:x', 0)`,
		`INSERT INTO transactions (kind, key, at_ms) VALUES ('theft', 'x', 0)`,
		`INSERT INTO accounts (kind, owner) VALUES ('mint', 'me')`,
		`INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms) VALUES ('short', 1, 9, 1, '', '', 0, 0)`,
	} {
		if _, err := raw.Exec(query); err == nil {
			t.Errorf("%s: done, want refused", query)
		}
	}
	w.sound()
}

func TestAuditNamesTheBreach(t *testing.T) {
	for name, c := range map[string]struct {
		invariant, says string
		tamper          []string
	}{
		"posting changed":     {"I1", "sums to 7", []string{`DROP TRIGGER postings_keep`, `UPDATE postings SET amount = amount + 7 WHERE transaction_id = 1 AND amount > 0`}},
		"posting removed":     {"I2", "all postings sum to", []string{`DROP TRIGGER postings_stay`, `DELETE FROM postings WHERE transaction_id = 2 AND amount > 0`}},
		"transaction emptied": {"I1", "has no postings", []string{`DROP TRIGGER postings_stay`, `DELETE FROM postings WHERE transaction_id = 2`}},
		"balance changed": {"I3", "account spend/2 shows 12345, its postings sum to 0", []string{
			`INSERT INTO accounts (kind, owner, balance) VALUES ('spend', '2', 12345)`}},
		"negative balance":     {"I4", "escrow/2 is at -5", []string{`PRAGMA ignore_check_constraints = 1`, `UPDATE accounts SET balance = -5 WHERE kind = 'escrow'`}},
		"resolution lost":      {"I5", "never resolved", []string{`DROP TRIGGER transactions_keep`, `UPDATE transactions SET key = 'x' WHERE key = 'resolve:1'`}},
		"paid and still open":  {"I5", "its hold is resolved", []string{`DROP TRIGGER jobs_end_once`, `UPDATE jobs SET state = 'queued', ended_ms = NULL, bill = NULL, earner = NULL, result_sealed = NULL WHERE id = 1`}},
		"refund of a done job": {"I5", "is a refund", []string{`DROP TRIGGER transactions_keep`, `UPDATE transactions SET kind = 'refund' WHERE key = 'resolve:1'`}},
		"hold changed":         {"I5", "the ledger says 1000", []string{`UPDATE jobs SET held = 900 WHERE id = 2`}},
		"old hold":             {"I6", "job 2 is queued and holds 1000 since 2026-03-01T00:00:00Z", []string{`UPDATE jobs SET created_ms = 1772323200000 WHERE id = 2`}},
		"paid over the bill":   {"I7", "its bill says 300", []string{`DROP TRIGGER jobs_end_once`, `UPDATE jobs SET bill = json_set(bill, '$.paid', 300, '$.returned', 700) WHERE id = 1`}},
		"bill over the hold":   {"I7", "returned for 1000 held", []string{`DROP TRIGGER jobs_end_once`, `UPDATE jobs SET bill = json_set(bill, '$.returned', 900) WHERE id = 1`}},
		"money from nowhere":   {"I9", "minted less burned", []string{`UPDATE accounts SET balance = balance + 1 WHERE kind = 'escrow'`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			j := w.submit("req:1", ledger.Credit)
			w.ok(w.jobs.Finish(t.Context(), w.settlement(j, w.lease(j, 1), 400)))
			w.submit("req:2", ledger.Credit)
			w.sound()
			raw := rawOpen(t, w.db.Path())
			for _, query := range c.tamper {
				mustExec(t, raw, query)
			}
			r, err := w.credits.AuditAt(t.Context(), now)
			w.ok(err)
			for _, b := range r.Breaches {
				if b.Invariant == c.invariant && strings.Contains(b.Detail, c.says) {
					return
				}
			}
			t.Errorf("breaches %q, want %s: …%s…", r.Breaches, c.invariant, c.says)
		})
	}
}

// The pool begins waits anew when it starts, and nobody can end them while none runs: after a night without the bot every hold was reported as old.
func TestDowntimeMakesNoHoldOld(t *testing.T) {
	w := newWorld(t)
	w.submit("req:1", ledger.Credit) // may wait for a minute
	beside, err := storage.OpenBeside(t.Context(), storage.Config{Path: w.db.Path()})
	w.ok(err)
	defer beside.Close()
	old := func(db *storage.DB, at time.Time) bool {
		t.Helper()
		r, err := (&storage.Credits{DB: db}).AuditAt(t.Context(), at)
		w.ok(err)
		for _, b := range r.Breaches {
			if b.Invariant != "I6" {
				t.Errorf("%s: %s", b.Invariant, b.Detail)
			}
		}
		return len(r.Breaches) > 0
	}
	night := now.Add(10 * time.Hour)
	if old(beside, night) {
		t.Error("nobody was there to end the wait")
	}
	if !old(w.db, night) {
		t.Error("who has the database open should have ended it")
	}
	begun := time.Now()
	_, _, err = w.jobs.Open(t.Context())
	w.ok(err)
	if old(w.db, begun.Add(5*time.Minute)) || old(beside, begun.Add(10*time.Hour)) {
		t.Error("the wait has just begun anew")
	}
	if !old(w.db, begun.Add(7*time.Minute)) {
		t.Error("a minute of waiting and the grace are over")
	}
	later := begun.Add(10 * time.Minute)
	storagetest.Mint(t, w.db, ledger.SpendOf(w.owner), ledger.Credit, "later", later)
	if !old(beside, begun.Add(10*time.Hour)) {
		t.Error("the bot was there when the wait and the grace were over: it wrote something else")
	}
}

// An attempt that is adopted after a restart may go on as long as its lease, however short its job may wait.
func TestAdoptedAttemptMakesNoHoldOld(t *testing.T) {
	w := newWorld(t)
	a := workers.Attempt{Lease: lease(), Job: w.submit("req:1", ledger.Credit).ID, Number: 1, Worker: w.worker.ID, Engine: "ollama", Model: "qwen3:8b", Started: now, Deadline: now.Add(15 * time.Minute)}
	w.ok(w.jobs.Lease(t.Context(), a))
	for minutes, old := range map[int]bool{19: false, 21: true} {
		r, err := w.credits.AuditAt(t.Context(), now.Add(time.Duration(minutes)*time.Minute))
		w.ok(err)
		if len(r.Breaches) > 0 != old {
			t.Errorf("after %d minutes: %v", minutes, r.Breaches)
		}
	}
}

// Whatever an attempt was read for in the middle of a run made holds young that had been forgotten long ago.
func TestReadingAnAttemptMakesNoHoldYoung(t *testing.T) {
	w := newWorld(t)
	w.submit("req:1", ledger.Credit) // may wait for a minute
	job := w.submit("req:2", ledger.Credit).ID
	a := workers.Attempt{Lease: lease(), Job: job, Number: 1, Worker: w.worker.ID, Engine: "ollama", Model: "qwen3:8b", Started: now, Deadline: now.Add(15 * time.Minute)}
	w.ok(w.jobs.Lease(t.Context(), a))
	got, ok, err := w.jobs.Running(t.Context(), job)
	w.ok(err)
	if d := cmp.Diff(a, got); d != "" || !ok {
		t.Errorf("known %v: %s", ok, d)
	}
	w.ok(w.jobs.Requeue(t.Context(), a.Lease, workers.OutcomeRestart, false, now))
	if _, ok, err := w.jobs.Running(t.Context(), job); ok || err != nil {
		t.Errorf("an attempt that has ended runs: %v, %v", ok, err)
	}
	r, err := w.credits.AuditAt(t.Context(), time.Now())
	w.ok(err)
	if len(r.Breaches) != 2 || r.Breaches[0].Invariant != "I6" {
		t.Errorf("breaches %v, want I6 of both jobs", r.Breaches)
	}
}

func TestSealedColumnsHoldNoPlainText(t *testing.T) {
	s := newStores(t)
	secrets := s.writeSecrets()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(s.db.Path() + suffix)
		s.ok(err)
		for _, secret := range secrets {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%q stands in potluck.db%s", secret, suffix)
			}
		}
	}
	if b, _ := os.ReadFile(s.db.Path() + "-wal"); !bytes.Contains(b, []byte("qwen3-8b")) {
		t.Error("the scan does not even find what is not sealed")
	}
}
