package workers

import (
	"fmt"
	"testing"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

func TestOneWorkerCannotFailEverything(t *testing.T) {
	for _, whose := range []string{protocol.FaultRequest, protocol.FaultBlocked, protocol.FaultTooLong} {
		t.Run(whose, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				bad := b.decided().enlist(8).connect()
				defer bad.close()
				c := b.do(asked("warm", 1))
				a := bad.take()
				bad.done(a.Lease, protocol.Done{Text: "x"}) // it is measured: the fastest
				c.ok()
				second := b.enlist(8).connect() // of the same owner, who says the same
				defer second.close()
				good := b.enlist(9).connect()
				defer good.close()
				objected := 0
				object := func(h *hand) func(protocol.Assign) {
					return func(a protocol.Assign) { objected++; h.fail(a.Lease, whose) }
				}
				bad.answers(object(bad))
				second.answers(object(second))
				good.answers(func(a protocol.Assign) { good.done(a.Lease, protocol.Done{Text: "an answer"}) })
				for i := range 20 {
					b.do(asked(fmt.Sprint("r", i), 1)).ok()
				}
				if objected > 6 {
					t.Errorf("asked %d times although others disproved them 3 times in a row", objected)
				}
			})
		})
	}
}

// Whoever said rightly that a question is too long for its context was blamed when a worker with a larger one answered it, and rested after three.
func TestSmallContextIsNoFault(t *testing.T) {
	for whose, faults := range map[string]int{protocol.FaultTooLong: 0, protocol.FaultRequest: 1} {
		inBubble(t, func(t *testing.T, b *bed) {
			with := func(tokens int, loaded bool) func(*protocol.Hello) {
				return func(f *protocol.Hello) {
					f.Offers = f.Offers[:1]
					f.Offers[0].Context, f.Offers[0].Loaded = tokens, loaded
				}
			}
			small := b.decided().enlist(8).connect(with(4096, true)).alive()
			defer small.close()
			large := b.enlist(9).connect(with(32768, false)).alive()
			defer large.close()
			c := b.do(patient("r1"))
			small.fail(small.take().Lease, whose)
			large.done(large.take().Lease, protocol.Done{Text: "an answer"})
			c.ok()
			if err := b.pool.ask(t.Context(), func(time.Time) {
				w := b.pool.sched.nodes[small.welcome.Worker]
				if n := b.pool.sched.faults(w, w.offers[0]); n != faults {
					t.Errorf("%s: %d faults in a row, want %d", whose, n, faults)
				}
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTwoOwnersWordIsEnough(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		var hands []*hand
		b.decided()
		for owner := range 3 {
			h := b.enlist(community.MemberID(10 + owner)).connect()
			defer h.close()
			hands = append(hands, h)
		}
		asks := 0
		for _, h := range hands {
			h.answers(func(a protocol.Assign) { asks++; h.fail(a.Lease, protocol.FaultBlocked) })
		}
		b.do(asked("r1", 1)).fails(fault.Blocked)
		if asks != 2 {
			t.Errorf("%d workers were asked", asks)
		}
		b.settledOnce(1)
	})
}

func TestEverybodyRefuses(t *testing.T) {
	for reason, code := range map[string]fault.Code{
		protocol.ReasonLimit: fault.NoFit, protocol.ReasonModel: fault.NoFit, protocol.ReasonFeature: fault.NoFit, protocol.ReasonPolicy: fault.EngineRefused,
	} {
		t.Run(reason, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				b.decided()
				for owner := range 3 {
					h := b.enlist(community.MemberID(10 + owner)).connect()
					defer h.close()
					h.answers(func(a protocol.Assign) { h.send(protocol.Refuse{Lease: a.Lease, Reason: reason}) })
				}
				began := time.Now()
				b.do(asked("r1", 1)).fails(code)
				if d := time.Since(began); d > time.Second {
					t.Errorf("heard after %v", d)
				}
				b.settledOnce(1)
			})
		})
	}
}

// While the grace of a restart runs, more workers may come.
func TestRefusalInTheGraceWaitsForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9)
		b.end()
		b.begin()
		h.connect()
		defer h.close()
		h.answers(func(a protocol.Assign) { h.send(protocol.Refuse{Lease: a.Lease, Reason: protocol.ReasonLimit}) })
		c := b.do(asked("r1", 1))
		<-time.After(10 * time.Second)
		h2 := b.enlist(8).connect()
		defer h2.close()
		a := h2.take()
		h2.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

func TestTheLastWillingWorkerLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		willing := b.enlist(8).connect()
		busy := b.do(asked("r0", 1))
		willing.take()
		refuser := b.enlist(9).connect()
		defer refuser.close()
		refuser.answers(func(a protocol.Assign) { refuser.send(protocol.Refuse{Lease: a.Lease, Reason: protocol.ReasonPolicy}) })
		c := b.do(asked("r1", 1))
		<-time.After(2 * time.Second)
		willing.close()
		c.fails(fault.EngineRefused)
		busy.fails(fault.EngineRefused)
	})
}

func TestAnswerIsAskedForAsLongAsTheOwnerAllows(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect(func(h *protocol.Hello) { h.Offers[0].MaxTokens = 40 })
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		if a.Chat.MaxTokens != 40 {
			t.Errorf("asked for %d tokens", a.Chat.MaxTokens)
		}
		h.done(a.Lease, protocol.Done{Text: "ok", Finish: "length"})
		c.ok()
		if n := b.store.jobs[0].Chat.MaxTokens; n != 100 {
			t.Errorf("the job was changed: %d tokens", n)
		}
	})
}
