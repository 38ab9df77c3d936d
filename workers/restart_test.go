package workers

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

func TestWorkerIsBackWithinTheGrace(t *testing.T) {
	slowest := protocol.MaxRetry + protocol.DialTimeout
	if grace := DefaultConfig().RestartGrace; slowest >= grace {
		t.Fatalf("a worker may need %v to come back, the grace is %v", slowest, grace)
	}
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		c := b.do(asked("r1", 1))
		a := h.take()
		b.end()
		h.close()
		<-c.out
		<-time.After(2 * time.Minute) // it waits as long as it ever does now
		b.begin()
		c = b.do(asked("r1", 1))
		c2 := b.do(asked("r2", 1)) // asked anew in the first seconds after the restart
		<-time.After(slowest)
		h.connect(func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer h.close()
		if len(h.welcome.Adopted) != 1 {
			t.Fatalf("the answer was thrown away: adopted %v", h.welcome.Adopted)
		}
		h.done(a.Lease, protocol.Done{Text: "one"})
		c.ok()
		a = h.take()
		h.done(a.Lease, protocol.Done{Text: "two"})
		c2.ok()
	})
}

func TestDowntimeIsNotPartOfAJobsWait(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		c := b.do(asked("r1", 1)) // may take 5 min
		a := h.take()
		c2 := b.do(asked("r2", 2)) // waits behind it
		b.end()
		h.close()
		<-c.out
		<-c2.out
		<-time.After(10 * time.Minute)
		b.begin()
		<-time.After(10 * time.Second)
		h.connect(func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer h.close()
		alive := time.AfterFunc(10*time.Second, func() { h.send(protocol.Beat{}) })
		defer alive.Stop()
		c, c2 = b.do(asked("r1", 1)), b.do(asked("r2", 2))
		<-time.After(18 * time.Second) // the grace is over
		select {
		case o := <-c.out:
			t.Fatalf("cut off at work: %v", o.err)
		case o := <-c2.out:
			t.Fatalf("given up in the queue: %v", o.err)
		default:
		}
		h.done(a.Lease, protocol.Done{Text: "x"})
		c.ok()
		a = h.take()
		h.done(a.Lease, protocol.Done{Text: "x"})
		c2.ok()
	})
}

// The result of an attempt that went on while the bot was down was thrown away, and its worker blamed, when another worker was there.
func TestDowntimeIsNobodysTimeWithTwoWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect(chatsOnly(1)).alive()
		c := b.do(patient("r1"))
		a := h.take()
		<-time.After(5 * time.Second)
		b.end()
		h.close()
		<-c.out
		<-time.After(9 * time.Minute) // of the ten that it may take
		b.begin()
		other := b.enlist(8).connect(chatsOnly(1)).alive()
		defer other.close()
		<-time.After(5 * time.Second)
		h.connect(chatsOnly(1), func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} }).alive()
		defer h.close()
		c = b.do(patient("r1"))
		<-time.After(3 * time.Second) // its last words are on the way
		h.done(a.Lease, protocol.Done{Text: "x"})
		if res := c.ok(); res.Worker != h.welcome.Worker {
			t.Errorf("answered by %d", res.Worker)
		}
	})
}

func TestCancelRequestEndsAllItsJobs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		running := b.do(asked("r1", 1))
		a := h.take()
		second := asked("r1", 1)
		second.Key = "r1:second"
		queued := b.do(second)
		faketime.Wait()
		other := b.do(asked("r11", 1)) // of another request, whose name begins the same
		faketime.Wait()
		if err := b.pool.CancelRequest(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		b.settledOnce(1) // it is true when CancelRequest returns
		b.settledOnce(2)
		running.fails(fault.Cancelled)
		queued.fails(fault.Cancelled)
		if got := want[protocol.Cancel](h); got.Lease != a.Lease {
			t.Errorf("cancelled %s", got.Lease)
		}
		a = h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		other.ok()
		for range 2 {
			if err := b.pool.CancelRequest(t.Context(), "r1"); err != nil {
				t.Error(err)
			}
		}
		b.do(asked("r1", 1)).fails(fault.Cancelled)
		h.close()
	})
}

// A request that was stopped before the kill is not run again, so no Do comes for its jobs.
func TestCancelRequestAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		c1 := b.do(asked("r1", 1))
		a := h.take()
		c2 := b.do(asked("r2", 2)) // waits
		faketime.Wait()
		b.end()
		h.close()
		<-c1.out
		<-c2.out
		b.begin()
		for _, request := range []string{"r1", "r2"} {
			if err := b.pool.CancelRequest(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		h.connect(func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer h.close()
		if len(h.welcome.Adopted) != 0 {
			t.Errorf("adopted %v", h.welcome.Adopted)
		}
		h.done(a.Lease, protocol.Done{Text: "one"})
		want[protocol.Ack](h)
		faketime.Wait()
		if len(b.store.running) != 0 || b.store.balance[1] != 0 || b.store.balance[2] != 0 || b.store.earned[9] != 0 {
			t.Errorf("running %v, balance %v, earned %v", b.store.running, b.store.balance, b.store.earned)
		}
		b.settledOnce(1)
		b.settledOnce(2)
	})
}

func TestCancelRequestEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		checking, goOn := make(chan bool), make(chan bool)
		j := asked("r1", 1)
		j.Check = func(Result) error { close(checking); <-goOn; return nil }
		c := b.do(j)
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		<-checking
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.pool.CancelRequest(ctx, "r1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(goOn)
		c.ok() // it was there first
	})
}

// The process was away so long that a finished job's result was erased before its request ran again.
func TestErasedResultIsCalledThat(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		h.done(h.take().Lease, protocol.Done{Text: "x"})
		c.ok()
		if _, err := b.store.Erase(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		b.do(asked("r1", 1)).fails(fault.Erased)
	})
}

// A store may save a job and say that it did not (the disk answered too late). When the same wish comes again and nobody can do it, that
// job must end too, with its hold.
func TestJobSavedInSecretIsEndedWhenNobodyCanDoIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		j := asked("r1", 1)
		saved, err := b.store.Submit(t.Context(), j, ledger.Charge{Amount: 5 * ledger.Credit}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b.do(j).fails(fault.NoWorker)
		faketime.Wait()
		if got, _, _ := b.store.JobByKey(t.Context(), j.Key); got.ID != saved.ID || got.State != Failed {
			t.Errorf("job %d is %s", got.ID, got.State)
		}
		b.settledOnce(saved.ID)
		if b.store.balance[1] != 0 {
			t.Errorf("the hold was kept: balance %v", b.store.balance[1])
		}
	})
}

// secretive saves the first lease and says that it did not.
type secretive struct {
	Store
	leases, opened atomic.Int32
}

func (s *secretive) Lease(ctx context.Context, a Attempt) error {
	if err := s.Store.Lease(ctx, a); err != nil || s.leases.Add(1) > 1 {
		return err
	}
	return errStore
}

func (s *secretive) Open(ctx context.Context) ([]Job, []Attempt, error) {
	s.opened.Add(1)
	return s.Store.Open(ctx)
}

// A lease that was saved in secret is taken back. For that everything open was read as at a start, which began all waits anew.
func TestLeaseSavedInSecretIsTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		store := &secretive{Store: b.store}
		b.over = func(Store) Store { return store }
		b.begin()
		h := b.decided().enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		h.done(h.take().Lease, protocol.Done{Text: "ok"})
		c.ok()
		if n := store.opened.Load(); n != 1 {
			t.Errorf("what is open was read %d times, once at the start", n)
		}
		if got := b.store.history(); !slices.Equal(got, []Outcome{OutcomeRestart, OutcomeDone}) {
			t.Errorf("outcomes %v", got)
		}
		b.settledOnce(1)
	})
}
