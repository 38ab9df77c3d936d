package workers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/faketime"
	"potluck/fault"
	"potluck/workers/protocol"
)

// alive keeps a worker from being taken for gone: it beats and answers pings until its connection ends.
func (h *hand) alive() *hand {
	conn := h.conn
	frames := make(chan protocol.Frame, 1024)
	h.frames = frames
	go func() {
		defer close(frames)
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			f, err := protocol.Decode(b)
			if err != nil {
				h.t.Error(err)
				return
			}
			frames <- f
		}
	}()
	beat, err := protocol.Encode(protocol.Beat{Free: protocol.MaxSlots})
	if err != nil {
		h.t.Fatal(err)
	}
	go func() {
		for conn.Write(h.t.Context(), websocket.MessageText, beat) == nil {
			if !h.pass(h.b.cfg.Beat) {
				return
			}
		}
	}()
	return h
}

// pass waits; false when the test has ended.
func (h *hand) pass(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-h.t.Context().Done():
		return false
	}
}

// patient is a job that may take as long as people wait by default.
func patient(key string) Job {
	j := asked(key, 1)
	j.Wait = 10 * time.Minute
	j.Chat.MaxTokens, j.Work.OutTokens = 500, 500
	return j
}

func chatsOnly(slots int) func(*protocol.Hello) {
	return func(f *protocol.Hello) { f.Slots, f.Offers = slots, allOffers[:1] }
}

// handed checks when a job came to another worker, and that it is not said before it could be.
func handed(t *testing.T, began time.Time, due time.Duration) {
	t.Helper()
	if took := time.Since(began); took < due || took > due+2*tickEvery {
		t.Errorf("given to another worker after %v, want %v", took, due)
	}
}

// A stranger's machine that accepted everything, or nothing, and only beat, kept each job until people had waited ten minutes for nothing, and was never blamed.
func TestSilentWorkerIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name    string
		job     Job
		does    func(h *hand, a protocol.Assign)
		after   time.Duration
		outcome Outcome
		counts  bool
	}{
		{"accepts nothing", patient("r1"), func(*hand, protocol.Assign) {}, 10 * time.Second, OutcomeExpired, false},
		{"accepts and does nothing", patient("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
		}, time.Minute, OutcomeExpired, true},
		{"stops in the middle", patient("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
			h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "once upon a time"})
		}, 20 * time.Second, OutcomeExpired, true},
		{"says the same again", patient("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
			h.every(5*time.Second, a.Lease, protocol.Event{Kind: protocol.EventText, Text: "once", Reset: true})
		}, 25 * time.Second, OutcomeExpired, true},
		{"drips", patient("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
			h.every(15*time.Second, a.Lease, protocol.Event{Kind: protocol.EventText, Text: "."})
		}, 200 * time.Second, OutcomeExpired, true}, // its share of the ten minutes
		{"claims to load", patient("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
			h.every(15*time.Second, a.Lease, protocol.Event{Kind: protocol.EventProgress})
		}, 200 * time.Second, OutcomeExpired, true},
		{"translates nothing", translation("r1"), func(h *hand, a protocol.Assign) {
			h.send(protocol.Accept{Lease: a.Lease})
		}, 30 * time.Second, OutcomeExpired, true}, // its lease
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				b.decided()
				offers := func(f *protocol.Hello) {
					f.Offers = slices.Clone(allOffers)
					for i := range f.Offers {
						f.Offers[i].Loaded = true
					}
				}
				silent := b.enlist(8).connect(offers, func(f *protocol.Hello) { f.Slots = protocol.MaxSlots }).alive()
				defer silent.close()
				began := time.Now()
				call := b.do(c.job)
				c.does(silent, want[protocol.Assign](silent))
				honest := b.enlist(9).connect(offers).alive()
				defer honest.close()
				var a protocol.Assign
				select {
				case f := <-honest.frames:
					a, _ = f.(protocol.Assign)
					honest.send(protocol.Accept{Lease: a.Lease})
				case <-time.After(15 * time.Minute):
					t.Fatal("given to nobody else")
				}
				handed(t, began, c.after)
				if stop := want[protocol.Cancel](silent); stop.Reason != string(OutcomeExpired) {
					t.Errorf("the silent worker was told %+v", stop)
				}
				if a.Translate != nil {
					honest.done(a.Lease, protocol.Done{Segments: [][]protocol.Piece{{{Text: "hola "}, {Keep: 1}}}})
				} else {
					honest.done(a.Lease, protocol.Done{Text: "an answer"})
				}
				if res := call.ok(); res.Worker != honest.welcome.Worker {
					t.Errorf("answered by %d", res.Worker)
				}
				b.store.mu.Lock()
				defer b.store.mu.Unlock()
				if b.store.outcomes[0] != c.outcome || b.store.counted[0] != c.counts {
					t.Errorf("the attempt ended as %s, counted %v", b.store.outcomes[0], b.store.counted[0])
				}
			})
		})
	}
}

// every says something about a lease again and again, until the worker's connection ends.
func (h *hand) every(d time.Duration, lease string, e protocol.Event) {
	conn := h.conn
	go func() {
		for e.Lease, e.Seq = lease, 1; ; e.Seq++ {
			if !h.pass(d) {
				return
			}
			if b, err := protocol.Encode(e); err != nil || conn.Write(h.t.Context(), websocket.MessageText, b) != nil {
				return
			}
		}
	}()
}

// Who is at work is not taken for silent: a model is loaded, a long question is read, an answer is written slowly, a picture goes over a slow line.
func TestSlowWorkerIsNotTakenForSilent(t *testing.T) {
	pass := func(d time.Duration) { <-time.After(d) }
	for name, c := range map[string]struct {
		job    func(*Job)
		loaded bool
		does   func(h *hand, a protocol.Assign)
	}{
		"loads the model": {func(*Job) {}, false, func(h *hand, a protocol.Assign) {
			pass(2 * time.Minute)
			h.done(a.Lease, protocol.Done{Text: "an answer"})
		}},
		"reads a long question": {func(j *Job) { j.Work.InTokens = 7000 }, true, func(h *hand, a protocol.Assign) {
			pass(90 * time.Second)
			h.done(a.Lease, protocol.Done{Text: "an answer"})
		}},
		"thinks": {func(*Job) {}, true, func(h *hand, a protocol.Assign) {
			for range 9 {
				pass(20 * time.Second)
				h.say(a.Lease, protocol.Event{Kind: protocol.EventProgress})
			}
			h.done(a.Lease, protocol.Done{Text: "an answer"})
		}},
		"writes for five minutes": {func(j *Job) { j.Chat.MaxTokens, j.Work.OutTokens = 1000, 1000 }, true, func(h *hand, a protocol.Assign) {
			for range 60 { // three tokens a second: what a processor without a GPU makes of it
				pass(5 * time.Second)
				h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "and then the sea was very big and the boat was very small, "})
			}
			h.done(a.Lease, protocol.Done{Text: "an answer"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				b.decided()
				slow := b.enlist(8).connect(chatsOnly(1), func(f *protocol.Hello) { f.Offers = slices.Clone(f.Offers); f.Offers[0].Loaded = c.loaded }).alive()
				defer slow.close()
				j := patient("r1")
				c.job(&j)
				call := b.do(j)
				a := slow.take()
				other := b.enlist(9).connect(chatsOnly(1)).alive()
				defer other.close()
				c.does(slow, a)
				if res := call.ok(); res.Worker != slow.welcome.Worker {
					t.Errorf("answered by %d", res.Worker)
				}
			})
		})
	}
}

// What the only worker that can do a job is slow with is nobody else's: it has all the time there is.
func TestOnlyWorkerHasAllTheTime(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect(chatsOnly(1)).alive()
		defer h.close()
		call := b.do(patient("r1"))
		a := h.take()
		for range 35 {
			<-time.After(15 * time.Second)
			h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "."})
		}
		h.done(a.Lease, protocol.Done{Text: "an answer"})
		call.ok()
	})
}

// One quick answer made the next leases so short that a machine which then had less time, for a game, was stopped in mid-answer, again and again.
func TestQuickAnswerDoesNotShortenTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect(chatsOnly(1)).alive()
		defer h.close()
		call := b.do(patient("r1"))
		a := h.take()
		<-time.After(2 * time.Second)
		h.done(a.Lease, protocol.Done{Text: strings.Repeat("an answer ", 100)})
		call.ok()
		call = b.do(patient("r2"))
		a = h.take()
		for range 40 {
			<-time.After(3 * time.Second)
			h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "word "})
		}
		if deadline := time.Duration(a.DeadlineMS) * time.Millisecond; deadline < 2*time.Minute {
			t.Errorf("the worker stops by itself after %v", deadline)
		}
		h.done(a.Lease, protocol.Done{Text: strings.Repeat("word ", 40)})
		call.ok()
	})
}

// A job whose time ended was "cancelled", and its worker blameless, however long that had let it lie.
func TestWorkerIsBlamedForAJobThatRanOutOfTime(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8, known).connect(chatsOnly(2)).alive()
		defer h.close()
		j := patient("r1")
		j.Wait = 50 * time.Second
		call := b.do(j)
		h.take()
		<-time.After(30 * time.Second)
		young := patient("r2")
		young.Wait = 15 * time.Second
		second := b.do(young)
		h.take()
		call.fails(fault.Expired)
		second.fails(fault.Expired)
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		if got := fmt.Sprint(b.store.outcomes); got != "[cancelled expired]" { // the second had no time to speak of
			t.Errorf("the attempts ended as %s", got)
		}
	})
}

// Unmeasured workers counted as fast as the reference card whatever they had done, so they were asked before honest slower ones for ever.
func TestSilentStrangerHarmsFew(t *testing.T) {
	const jobs = 60
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		silent := b.enlist(8).connect(chatsOnly(protocol.MaxSlots)).alive()
		defer silent.close()
		taken := 0
		silent.swallows(&taken)
		honest := b.enlist(9).connect(chatsOnly(1)).alive()
		defer honest.close()
		honest.answers(func(a protocol.Assign) {
			honest.send(protocol.Accept{Lease: a.Lease})
			<-time.After(20 * time.Second) // slower than the reference card
			honest.done(a.Lease, protocol.Done{Text: strings.Repeat("an answer ", 100)})
		})
		var late int
		for n := range jobs { // an hour, one job a minute
			began := time.Now()
			call := b.do(patient(fmt.Sprint("r", n)))
			call.ok()
			took := time.Since(began)
			if took > 85*time.Second { // a minute of silence, the job itself, and ticks
				t.Errorf("job %d took %v", n, took)
			}
			if took > 21*time.Second {
				late++
			}
			<-time.After(max(time.Minute-took, 0))
		}
		faketime.Wait()
		if taken != late || late > 1 {
			t.Errorf("the silent worker had %d jobs, %d answers came late: an honest worker was there", taken, late)
		}
	})
}

// With more jobs than the honest worker can do at once, the stranger is asked: on probation, with one job at a time.
func TestSilentStrangerUnderLoad(t *testing.T) {
	const jobs = 40
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		silent := b.enlist(8).connect(chatsOnly(protocol.MaxSlots)).alive()
		defer silent.close()
		taken := 0
		silent.swallows(&taken)
		honest := b.enlist(9).connect(chatsOnly(1)).alive()
		defer honest.close()
		honest.answers(func(a protocol.Assign) {
			honest.send(protocol.Accept{Lease: a.Lease})
			<-time.After(5 * time.Second)
			honest.done(a.Lease, protocol.Done{Text: "an answer"})
		})
		var calls []*call
		began := time.Now()
		for n := range jobs {
			calls = append(calls, b.do(patient(fmt.Sprint("r", n))))
		}
		for _, c := range calls {
			c.ok()
		}
		// The honest one alone needs 200 s; the first 60 s it has one, the stranger all others.
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("%d jobs took %v", jobs, took)
		}
		first := taken
		for n := range jobs { // and again: the stranger is known by now
			calls[n] = b.do(patient(fmt.Sprint("s", n)))
		}
		for _, c := range calls {
			c.ok()
		}
		faketime.Wait()
		if again := taken - first; again > 2 {
			t.Errorf("the silent worker got %d more jobs in %v", again, time.Since(began))
		}
	})
}

// The only worker that could do a job and was busy after all was asked hundreds of times a second; each time is a row that is kept.
func TestBusyWorkerIsAskedLessAndLess(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect(chatsOnly(protocol.MaxSlots)).alive()
		defer h.close()
		asks := 0
		h.answers(func(a protocol.Assign) {
			asks++
			h.send(protocol.Refuse{Lease: a.Lease, Reason: protocol.ReasonBusy})
		})
		call := b.do(patient("r1"))
		call.fails(fault.Expired)
		if asks < 8 || asks > 16 { // 2, 4, 8, 16, 32 and then 60 s apart
			t.Errorf("asked %d times in ten minutes", asks)
		}
	})
}

// A job that everybody declines again and again ends with a reason.
func TestJobThatNobodyBeginsEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		asks := 0
		for range maxUncounted + 5 {
			h := b.enlist(9).connect(chatsOnly(1)).alive()
			defer h.close()
			h.answers(func(a protocol.Assign) {
				asks++
				h.fail(a.Lease, protocol.FaultOverload)
			})
		}
		why := b.do(patient("r1")).fails(fault.WorkerFailed)
		if asks != maxUncounted || why.Args["attempts"] != fmt.Sprint(maxUncounted) {
			t.Errorf("asked %d times, said %v", asks, why)
		}
	})
}
