package storage_test

import (
	"testing"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/web/operator"
	"potluck/workers"
	"potluck/workers/protocol"
)

// One job waited 30 s and was done after a lost attempt, one failed without ever starting, one runs and one waits.
func TestOperatorSeesJobs(t *testing.T) {
	w := newWorld(t)
	ctx, o := t.Context(), &storage.Operator{DB: w.db}
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	lease := func(j workers.Job, n, second int) workers.Attempt {
		a := workers.Attempt{Lease: lease(), Job: j.ID, Number: n, Worker: w.worker.ID, Engine: "ollama", Model: "qwen3:8b", Started: at(second), Deadline: at(second + 60)}
		w.ok(w.jobs.Lease(ctx, a))
		return a
	}
	done, failed, running, waiting := w.submit("r:1", 900), w.submit("r:2", 100), w.submit("r:3", 100), w.submit("r:4", 100)
	first := lease(done, 1, 30)
	w.ok(w.jobs.Requeue(ctx, first.Lease, workers.OutcomeLost, true, at(40)))
	second := lease(done, 2, 50)
	s := w.settlement(done, second, 600)
	s.Bill.Seconds, s.At = 0.6, at(70)
	w.ok(w.jobs.Finish(ctx, s))
	w.ok(w.jobs.Abandon(ctx, failed.ID, fault.New(fault.Expired, "kind", "chat"), workers.OutcomeCancelled, at(80)))
	lease(running, 1, 60)

	e, err := o.Ended(ctx, now, 2*time.Minute)
	w.ok(err)
	if e.Waited != 1 || e.P50 != 30*time.Second || e.P95 != 30*time.Second {
		t.Errorf("waits: %d jobs, p50 %v, p95 %v", e.Waited, e.P50, e.P95)
	}
	want := []operator.Group{
		{Kind: protocol.Chat, State: workers.Done, Worker: w.worker.ID, Earner: w.owner, Jobs: 1, Seconds: 0.6, Paid: 600},
		{Kind: protocol.Chat, State: workers.Failed, Jobs: 1},
	}
	same(t, "groups", want, e.Groups, nil)
	width := now.UnixMilli() / (2 * time.Minute).Milliseconds()
	same(t, "stays", []operator.Stay{{Came: width, Left: width, Jobs: 2, In: 0, Out: 110 * time.Second}}, e.Stays, nil) // 30 s and 80 s
	if e, err := o.Ended(ctx, now.Add(-2*time.Minute), 2*time.Minute); err != nil || len(e.Groups) != 0 || e.Waited != 0 {
		t.Errorf("before anything ended: %+v %v", e, err)
	}

	line, err := o.Line(ctx)
	w.ok(err)
	if len(line) != 1 || line[0].Queued != 1 || line[0].Running != 1 || !line[0].Oldest.Equal(now) || len(line[0].Open) != 2 || !line[0].Open[0].Left.Equal(at(60)) {
		t.Errorf("line: %+v", line)
	}
	waits, err := o.Waits(ctx, now)
	same(t, "waits by kind", []operator.Wait{{Kind: protocol.Chat, Jobs: 1, P50: 30 * time.Second, P95: 30 * time.Second}}, waits, err)

	for _, c := range []struct {
		filter operator.Filter
		want   []int64
	}{
		{operator.Filter{}, []int64{waiting.ID, running.ID, failed.ID, done.ID}},
		{operator.Filter{State: workers.Queued}, []int64{waiting.ID}},
		{operator.Filter{State: workers.Leased}, []int64{running.ID}},
		{operator.Filter{State: workers.Failed}, []int64{failed.ID}},
		{operator.Filter{State: workers.Done, Kind: protocol.Chat}, []int64{done.ID}},
		{operator.Filter{Kind: protocol.Image}, nil},
	} {
		page, next, err := o.Jobs(ctx, c.filter)
		var got []int64
		for _, j := range page {
			got = append(got, j.ID)
		}
		same(t, "list", c.want, got, err)
		if next != "" {
			t.Errorf("%+v goes on at %q", c.filter, next)
		}
	}
	j, attempts, ok, err := o.Job(ctx, done.ID)
	if err != nil || !ok || j.Worker != w.worker.ID || j.Asker != "Ada" || j.Paid != 600 || !j.Started.Equal(at(30)) || j.Attempts != 1 {
		t.Errorf("job: %+v %v %v", j, ok, err)
	}
	if len(attempts) != 2 || attempts[0].Outcome != workers.OutcomeLost || !attempts[0].Counts || attempts[1].Outcome != workers.OutcomeDone || attempts[0].Name != "box" {
		t.Errorf("attempts: %+v", attempts)
	}
	if j, _, _, err := o.Job(ctx, running.ID); err != nil || j.Worker != w.worker.ID {
		t.Errorf("a running job is at worker %d: %v", j.Worker, err)
	}
	if _, _, ok, err := o.Job(ctx, 4711); ok || err != nil {
		t.Errorf("an unknown job: %v %v", ok, err)
	}

	faults, err := o.Faults(ctx, 10)
	w.ok(err)
	if len(faults) != 2 || faults[0].Failure != fault.Expired || faults[1].Outcome != workers.OutcomeLost || faults[1].Name != "box" {
		t.Errorf("faults: %+v", faults)
	}
	counts, err := o.FaultCounts(ctx, now)
	same(t, "fault counts", map[int64]operator.FaultCount{w.worker.ID: {Faults: 1, Last: at(40), Outcome: workers.OutcomeLost}}, counts, err)

	kinds, earned, err := o.Accounts(ctx)
	w.ok(err)
	var total ledger.Amount
	for _, k := range kinds {
		total += k.Balance
	}
	if total != 0 || earned[w.owner] != 600 {
		t.Errorf("accounts sum to %d, the owner earned %d: %+v", total, earned[w.owner], kinds)
	}
	names, err := o.Names(ctx, []community.MemberID{w.owner, 4711})
	same(t, "names", map[community.MemberID]string{w.owner: "Rita"}, names, err)
}

// A list of many jobs comes in pages that neither repeat nor skip a job.
func TestOperatorTurnsPages(t *testing.T) {
	w := newWorld(t)
	o := &storage.Operator{DB: w.db}
	const n = 120
	for i := range n {
		j := w.submit("r:"+string(rune('a'+i%26))+string(rune('a'+i/26)), 0)
		if i%2 == 0 {
			w.ok(w.jobs.Abandon(t.Context(), j.ID, fault.New(fault.Expired), workers.OutcomeCancelled, now)) // all in the same millisecond
		}
	}
	for state, want := range map[workers.State]int{"": n, workers.Failed: n / 2, workers.Queued: n / 2} {
		seen := map[int64]bool{}
		f := operator.Filter{State: state}
		for pages := 1; ; pages++ {
			page, next, err := o.Jobs(t.Context(), f)
			w.ok(err)
			for _, j := range page {
				if seen[j.ID] {
					t.Errorf("%q: job %d came twice", state, j.ID)
				}
				seen[j.ID] = true
			}
			if f.From = next; next == "" {
				break
			}
			if pages > 20 {
				t.Fatalf("%q: the pages never end", state)
			}
		}
		if len(seen) != want {
			t.Errorf("%q: %d jobs, want %d", state, len(seen), want)
		}
	}
	if _, _, err := o.Jobs(t.Context(), operator.Filter{From: "x.1"}); err == nil {
		t.Error("a page that does not exist was found")
	}
}
