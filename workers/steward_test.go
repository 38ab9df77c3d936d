package workers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
	"potluck/workers/protocol"
)

var owner9 = community.Member{ID: 9}

func (b *bed) view(id int64) WorkerView {
	b.t.Helper()
	<-time.After(2 * tickEvery) // the bubble's clock: the overview is that old at most
	for _, w := range b.pool.Overview().Workers {
		if w.ID == id {
			return w
		}
	}
	return WorkerView{}
}

func (h *hand) answer() {
	h.t.Helper()
	a := h.take()
	h.done(a.Lease, protocol.Done{Text: "ok"})
}

// A pause in the chat holds over restarts of the bot and of the machine, whatever the machine says of its own pause.
func TestPauseInTheChatHoldsUntilResume(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer func() { h.close() }()
		ctx := t.Context()
		if err := b.pool.Pause(ctx, 1, community.Member{ID: 8}); !fault.Has(err, fault.UnknownWorker) {
			t.Errorf("somebody else paused it: %v", err)
		}
		if err := b.pool.Pause(ctx, 1, owner9); err != nil {
			t.Fatal(err)
		}
		b.do(asked("r1", 1)).fails(fault.NoWorker)
		h.send(protocol.Pause{Reason: "a game"})
		h.send(protocol.Resume{}) // the game is over; the chat's pause is not
		if v := b.view(1); v.State != Paused || v.Closed != ClosedByOwner || v.Reason != "" {
			t.Errorf("%s closed by %q, reason %q", v.State, v.Closed, v.Reason)
		}
		b.do(asked("r2", 1)).fails(fault.NoWorker)
		h.close()
		b.end()
		b.begin()
		h.connect()
		b.decided().do(asked("r3", 1)).fails(fault.NoWorker)
		h.send(protocol.Pause{Reason: "a game"})
		faketime.Wait()
		if err := b.pool.Resume(ctx, 1, owner9); err != nil {
			t.Fatal(err)
		}
		if v := b.view(1); v.State != Paused || v.Closed != "" || v.Reason != "a game" {
			t.Errorf("%s closed by %q, reason %q: the machine's own pause is over, too", v.State, v.Closed, v.Reason)
		}
		h.send(protocol.Resume{})
		faketime.Wait()
		c := b.do(asked("r4", 1))
		h.answer()
		c.ok()
	})
}

// A pause lets what runs end.
func TestPauseStopsNothingThatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		if err := b.pool.Pause(t.Context(), 1, owner9); err != nil {
			t.Fatal(err)
		}
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

func TestLimitOfKinds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		if err := b.pool.Limit(t.Context(), 1, Limits{Kinds: []protocol.Kind{protocol.Translate}}, owner9); err != nil {
			t.Fatal(err)
		}
		b.do(asked("r1", 1)).fails(fault.NoWorker)
		b.view(1)
		if m := b.pool.Overview().Models; len(m) != 1 || m[0].Kind != protocol.Translate {
			t.Errorf("offered to people: %+v", m)
		}
		h.send(protocol.OfferFrame{Slots: 1, Offers: allOffers}) // the machine's word does not lift it
		faketime.Wait()
		b.do(asked("r2", 1)).fails(fault.NoWorker)
		if err := b.pool.Limit(t.Context(), 1, Limits{}, owner9); err != nil {
			t.Fatal(err)
		}
		c := b.do(asked("r3", 1))
		h.answer()
		c.ok()
	})
}

func TestLimitOfJobsPerDay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9, known).connect(func(f *protocol.Hello) { f.Slots = 4 })
		defer h.close()
		if err := b.pool.Limit(t.Context(), 1, Limits{PerDay: 2}, owner9); err != nil {
			t.Fatal(err)
		}
		c1, c2 := b.do(asked("r1", 1)), b.do(asked("r2", 1))
		a1, a2 := h.take(), h.take()
		c3 := b.do(asked("r3", 1)) // waits: one of the two may fail
		faketime.Wait()
		if v := b.view(1); v.Free != 0 {
			t.Errorf("%d slots free at the limit", v.Free)
		}
		h.fail(a1.Lease, protocol.FaultOverload) // does not count
		again := h.take()
		h.done(a2.Lease, protocol.Done{Text: "ok"})
		h.done(again.Lease, protocol.Done{Text: "ok"})
		faketime.Wait()
		if v := b.view(1); v.Closed != ClosedDay {
			t.Errorf("closed by %q", v.Closed)
		}
		b.do(asked("r4", 1)).fails(fault.NoWorker)
		for _, c := range []*call{c1, c2, c3} {
			c.cancel(fault.New(fault.Cancelled))
			<-c.out // two of them are done
		}
	})
}

// While a result was being checked and saved it was neither running nor done, and the next job was given on top of the day's number.
func TestJobsADayAreNotExceeded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9, func(w *Worker) { w.Limits = Limits{PerDay: 2} }).connect(chatsOnly(1)).alive()
		defer h.close()
		got := 0
		h.answers(func(a protocol.Assign) {
			got++
			h.done(a.Lease, protocol.Done{Text: "an answer"})
		})
		var calls []*call
		for n := range 5 {
			calls = append(calls, b.do(patient(fmt.Sprint("r", n))))
		}
		done := 0
		for _, c := range calls {
			if o := <-c.out; o.err == nil {
				done++
			}
		}
		if got != 2 || done != 2 {
			t.Errorf("%d jobs were given, %d done; the owner allows 2", got, done)
		}
	})
}

// A result that is not accepted leaves its place of the day to another job, and a machine that comes back owes what it left with.
func TestResultsThatAreCheckedAreOwed(t *testing.T) {
	s := testScheduler()
	w := Worker{ID: 1, Owner: 9, Limits: Limits{PerDay: 2}}
	s.connect(w, []*offer{chatOffer("m", true)}, 1, false, start)
	for id := range int64(4) {
		s.submit(chatJob(id+1, "a", 1, ""), 1, start)
	}
	assigned(t, s, [2]int64{1, 1})
	s.free(1, start)
	assigned(t, s, [2]int64{2, 1})
	s.free(2, start)
	s.leave(1, start)
	s.connect(w, []*offer{chatOffer("m", true)}, 1, false, start)
	assigned(t, s)
	s.settled(1, 1, start)
	assigned(t, s)
	s.end(2, failed, start)
	assigned(t, s, [2]int64{3, 1})
	s.free(3, start)
	s.drop(3, start) // stopped
	assigned(t, s, [2]int64{4, 1})
	s.settled(4, 1, start)
	if n := s.nodes[1]; n.rules.closed != ClosedDay || n.checked != 0 {
		t.Errorf("closed by %q, %d are being checked", n.rules.closed, n.checked)
	}
}

// The day of an owner's limit ends at midnight where the owner lives.
func TestDayOfLimitEndsAtTheOwnersMidnight(t *testing.T) {
	var r rules
	r.obey(Worker{Limits: Limits{PerDay: 2, Zone: "America/New_York"}, Today: 2}, start)
	midnight := time.Date(start.Year(), start.Month(), start.Day(), 5, 0, 0, 0, time.UTC)
	for !midnight.After(start) {
		midnight = midnight.Add(24 * time.Hour)
	}
	for _, c := range []struct {
		now  time.Time
		want Closed
	}{{start, ClosedDay}, {midnight.Add(-time.Second), ClosedDay}, {midnight, ""}} {
		if r.judge(c.now); r.closed != c.want {
			t.Errorf("at %v closed by %q", c.now, r.closed)
		}
	}
}

func TestHoursOfLimits(t *testing.T) {
	berlin := "Europe/Berlin"
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		l    Limits
		now  string // UTC
		want bool
	}{
		{Limits{}, "2026-11-22 12:00", true},
		{Limits{From: 22 * 60, Until: 7 * 60}, "2026-11-22 21:59", false},
		{Limits{From: 22 * 60, Until: 7 * 60}, "2026-11-22 22:00", true},
		{Limits{From: 22 * 60, Until: 7 * 60}, "2026-11-22 06:59", true},
		{Limits{From: 22 * 60, Until: 7 * 60}, "2026-11-22 07:00", false},
		{Limits{From: 9 * 60, Until: 24 * 60}, "2026-11-22 23:59", true},
		{Limits{From: 9 * 60, Until: 24 * 60}, "2026-11-22 00:00", false},
		{Limits{From: 22 * 60, Until: 7 * 60, Zone: berlin}, "2026-11-22 21:00", true}, // winter: UTC+1
		{Limits{From: 22 * 60, Until: 7 * 60, Zone: berlin}, "2026-07-22 20:00", true}, // summer: UTC+2
		{Limits{From: 22 * 60, Until: 7 * 60, Zone: "-03:30"}, "2026-11-22 01:29", false},
		{Limits{From: 22 * 60, Until: 7 * 60, Zone: "-03:30"}, "2026-11-22 01:30", true},
	} {
		if got := c.l.Within(at(c.now)); got != c.want {
			t.Errorf("%+v at %s: %v", c.l, c.now, got)
		}
	}
	for _, bad := range []Limits{{PerDay: -1}, {From: -1}, {Until: 1441}, {Zone: "Mars/Olympus"}, {Zone: "local"}, {Zone: "+15"}, {Zone: "+1:99"}, {Kinds: []protocol.Kind{"cook"}}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// A test goes to its worker alone, holds nothing and pays nothing, although the asker has no credit.
func TestJobForOneWorkerOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.store.broke = true
		other := b.decided().enlist(8).connect()
		defer other.close()
		mine := b.enlist(9).connect()
		defer mine.close()
		j := asked("r1", 9)
		j.Only, j.Free = 2, true
		c := b.do(j)
		mine.answer()
		if r := c.ok(); r.Worker != 2 || r.Bill.Held != 0 || r.Bill.Paid != 0 || !r.Bill.Own || r.Bill.Amount == 0 {
			t.Errorf("%+v", r)
		}
		j = asked("r2", 9)
		j.Only, j.Free = 2, true
		if err := b.pool.Pause(t.Context(), 2, owner9); err != nil {
			t.Fatal(err)
		}
		b.do(j).fails(fault.NoWorker) // never on the other one
	})
}

func TestVouchHoldsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		private := func(key string) Job {
			j := asked(key, 1)
			j.Class = Private
			return j
		}
		admin := community.Member{ID: 3}
		b.do(private("r1")).fails(fault.NoPrivateWorker)
		for _, class := range []Class{Community, Private} {
			if err := b.pool.Vouch(t.Context(), 1, "page:p", class, admin); err != nil {
				t.Fatal(err)
			}
			if class == Community {
				b.do(private("r2")).fails(fault.NoPrivateWorker)
			}
		}
		c := b.do(private("r3"))
		h.answer()
		c.ok()
		if err := b.pool.Vouch(t.Context(), 1, "page:p", "", admin); err != nil {
			t.Fatal(err)
		}
		b.do(private("r4")).fails(fault.NoPrivateWorker)
		if err := b.pool.Vouch(t.Context(), 77, "page:p", Private, admin); !fault.Has(err, fault.UnknownWorker) {
			t.Errorf("a worker that is not there: %v", err)
		}
	})
}

// leaving is a store whose caller has gone by the time that a write is on the disk, as when the message with a command is deleted meanwhile.
type leaving struct {
	Store
	leave context.CancelFunc
}

func (s *leaving) Workers(ctx context.Context, owner community.MemberID) ([]Worker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Store.Workers(ctx, owner)
}

func (s *leaving) Revoke(ctx context.Context, id int64, now time.Time) error {
	defer s.leave()
	return s.Store.Revoke(ctx, id, now)
}

func (s *leaving) SetPaused(ctx context.Context, id int64, since time.Time) error {
	defer s.leave()
	return s.Store.SetPaused(ctx, id, since)
}

func (s *leaving) Vouch(ctx context.Context, id int64, c community.CommunityID, class Class, by community.MemberID, now time.Time) error {
	defer s.leave()
	return s.Store.Vouch(ctx, id, c, class, by, now)
}

// What was withdrawn in the store went on for the worker that was connected, until it connected again.
func TestWhoGivesAnOrderNeedNotWaitForIt(t *testing.T) {
	for name, order := range map[string]func(context.Context, *Pool, int64) error{
		"revoke": func(ctx context.Context, p *Pool, id int64) error { return p.Revoke(ctx, id, owner9) },
		"pause":  func(ctx context.Context, p *Pool, id int64) error { return p.Pause(ctx, id, owner9) },
		"vouch": func(ctx context.Context, p *Pool, id int64) error {
			return p.Vouch(ctx, id, "page:p", "", community.Member{ID: 3})
		},
	} {
		inBubble(t, func(t *testing.T, b *bed) {
			gone := &leaving{}
			b.end()
			b.over = func(s Store) Store { gone.Store = s; return gone }
			b.begin()
			b.decided()
			for id := int64(1); id <= 12; id++ { // a context that has ended was noticed in every second call only
				h := b.enlist(9, func(w *Worker) { w.Vouched = map[community.CommunityID]Class{"page:p": Private} }).connect()
				defer h.close()
				j := asked(fmt.Sprint(name, id), 1)
				j.Class, j.Only = Private, id
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				gone.leave = cancel
				if err := order(ctx, b.pool, id); err != nil {
					t.Errorf("%s %d: %v", name, id, err)
				}
				c := b.do(j)
				select {
				case o := <-c.out:
					if o.err == nil {
						t.Errorf("%s %d: the job was done", name, id)
					}
				case <-time.After(time.Second):
					t.Errorf("%s %d: the worker still gets jobs", name, id)
				}
			}
		})
	}
}

func TestNamesOfOneOwnerDiffer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.enlist(9, func(w *Worker) { w.Name = "Attic" })
		b.enlist(9, func(w *Worker) { w.Name = "Cellar" })
		ctx := t.Context()
		if err := b.pool.Rename(ctx, 2, " attic\n", owner9); !fault.Has(err, fault.NameTaken) {
			t.Errorf("the same name twice: %v", err)
		}
		if err := b.pool.Rename(ctx, 2, "\u202e \t", owner9); !fault.Has(err, fault.BadOption) {
			t.Errorf("an invisible name: %v", err)
		}
		if err := b.pool.Rename(ctx, 2, "Kitchen\u202e", owner9); err != nil {
			t.Error(err)
		}
		if all, _ := b.pool.Workers(ctx, 9); all[1].Name != "Kitchen" {
			t.Errorf("%+v", all[1].Name)
		}
	})
}

func TestWishesHoldNoText(t *testing.T) {
	for _, c := range []struct {
		model string
		code  fault.Code
		want  string
		ok    bool
	}{
		{"llama3.3:70b", fault.NoModel, "llama3.3:70b", true},
		{"Rita-is-stupid 70b", fault.NoModel, "", false},
		{"secret", fault.NoModel, "", false},
		{"llama3.3:70b", fault.NoWorker, "", true}, // nobody answers at all: the model does not matter
		{"", fault.Expired, "", true},
		{"", fault.NoCredit, "", false},
		{"", fault.Cancelled, "", false},
	} {
		j := asked("r", 1)
		j.Model = c.model
		if w, ok := wishOf(&j, fault.New(c.code)); ok != c.ok || w.Model != c.want {
			t.Errorf("%q, %s: %+v %v", c.model, c.code, w, ok)
		}
	}
	j := translation("r")
	if w, ok := wishOf(&j, fault.New(fault.NoPair)); !ok || w.From != "en" || w.To != "es" {
		t.Errorf("%+v %v", w, ok)
	}
	if _, ok := wishOf(&j, context.Canceled); ok {
		t.Error("a shutdown is a wish")
	}
}
