package workers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// toils has a worker be at every job for as long as how says, with a claim of progress every five seconds, and then send what it made, unless it is stopped.
func (h *hand) toils(how func(protocol.Assign) (time.Duration, protocol.Done)) {
	conn, frames := h.conn, h.frames
	tell := func(f protocol.Frame) {
		if b, err := protocol.Encode(f); err == nil {
			_ = conn.Write(h.t.Context(), websocket.MessageText, b) // it may be over
		}
	}
	toil := func(lease string, took time.Duration, done protocol.Done, stop chan struct{}) {
		tell(protocol.Accept{Lease: lease})
		ready := time.After(took)
		for seq := 1; ; seq++ {
			select {
			case <-h.t.Context().Done():
				return
			case <-stop:
				return
			case <-time.After(5 * time.Second):
				tell(protocol.Event{Lease: lease, Seq: seq, Kind: protocol.EventProgress, Fraction: 0.5})
			case <-ready:
				for n := range done.Blobs {
					h.put(lease, n+1, []byte("png"))
				}
				tell(protocol.Event{Lease: lease, Seq: seq, Kind: protocol.EventDone, Done: &done})
				return
			}
		}
	}
	go func() {
		stops := map[string]chan struct{}{}
		for f := range frames {
			switch f := f.(type) {
			case protocol.Assign:
				took, done := how(f)
				stops[f.Lease] = make(chan struct{})
				go toil(f.Lease, took, done, stops[f.Lease])
			case protocol.Cancel:
				if stop := stops[f.Lease]; stop != nil {
					close(stop)
					delete(stops, f.Lease)
				}
			}
		}
	}()
}

// answersAfter is how a worker toils that answers every question alike.
func answersAfter(took time.Duration, text string) func(protocol.Assign) (time.Duration, protocol.Done) {
	return func(protocol.Assign) (time.Duration, protocol.Done) { return took, protocol.Done{Text: text} }
}

// drawsOnly offers pictures, one at a time, by a model that is loaded.
func drawsOnly(f *protocol.Hello) {
	o := allOffers[1]
	o.Loaded = true
	f.Slots, f.Offers = 1, []protocol.Offer{o}
}

// largePicture takes the reference card 127 s.
func largePicture(key string) Job {
	return Job{
		Origin: Origin{Key: key + ":picture", Class: Public, Community: "page:p", Member: 1, Quality: protocol.Rough}, Kind: protocol.Image, Model: "sdxl",
		Image: &protocol.ImageJob{Prompt: "x", Width: 1024, Height: 1024, Steps: 50, Count: 4},
		Work:  ledger.Work{Kind: "image", Pixels: 4 << 20, Steps: 50}, Wait: 10 * time.Minute,
	}
}

func (b *bed) outcomes() string {
	faketime.Wait()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	return fmt.Sprint(b.store.outcomes)
}

// Machines that were never measured took a job from each other until its time was over, although each alone had time enough.
func TestSlowMachinesFinishTogetherWhatOneDoes(t *testing.T) {
	model := protocol.Offer{Kind: protocol.Translate, Engine: "openai", Model: "qwen3:8b", Quality: protocol.Postable, AnyPair: true, Context: 8192, Loaded: true}
	text := translation("r1")
	text.Wait, text.Work.InTokens = 10*time.Minute, 1000
	for name, c := range map[string]struct {
		job    Job
		offers func(*protocol.Hello)
		done   protocol.Done
	}{
		"thinks":     {patient("r1"), chatsOnly(1), protocol.Done{Text: "an answer"}},
		"translates": {text, func(f *protocol.Hello) { f.Slots, f.Offers = 1, []protocol.Offer{model} }, protocol.Done{Segments: [][]protocol.Piece{{{Text: "hola "}, {Keep: 1}}}}},
		"draws":      {largePicture("r1"), drawsOnly, protocol.Done{Blobs: 4}},
	} {
		for _, machines := range []int{1, 2, 3} {
			t.Run(fmt.Sprint(name, machines), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bed) {
					b.decided()
					for n := range machines {
						h := b.enlist(community.MemberID(8 + n)).connect(c.offers).alive()
						defer h.close()
						h.toils(func(protocol.Assign) (time.Duration, protocol.Done) { return 254 * time.Second, c.done })
					}
					began := time.Now()
					if o := <-b.do(c.job).out; o.err != nil {
						t.Errorf("%v after %v: %s", o.err, time.Since(began), b.outcomes())
					}
				})
			})
		}
	}
}

// Whoever asked a few questions that a model thinks about for minutes had every honest machine blamed.
func TestHardQuestionsBlameNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		for n := range 2 {
			h := b.enlist(community.MemberID(8 + n)).connect(chatsOnly(2)).alive()
			defer h.close()
			h.toils(func(a protocol.Assign) (time.Duration, protocol.Done) {
				if a.Chat.MaxTokens == 50 { // an easy one
					return 5 * time.Second, protocol.Done{Text: "an answer"}
				}
				return 254 * time.Second, protocol.Done{Text: "an answer"}
			})
		}
		var hard []*call
		for n := range 4 {
			hard = append(hard, b.do(patient(fmt.Sprint("hard", n))))
		}
		for n := range 20 {
			<-time.After(time.Minute)
			easy := patient(fmt.Sprint("easy", n))
			easy.Member, easy.Chat.MaxTokens = community.MemberID(100+n), 50
			b.do(easy).ok()
		}
		for _, c := range hard {
			c.ok()
		}
		if got := b.outcomes(); strings.Contains(got, "expired") {
			t.Errorf("the attempts ended as %s", got)
		}
	})
}

// On the page, where demonstrations may be shown, the only real machine was stopped for the sake of the demonstration engine.
func TestNobodyIsStoppedForADemonstration(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		demo := b.decided().enlist(7, func(w *Worker) { w.Operator = true }).connect(func(f *protocol.Hello) {
			f.Slots, f.Offers = 4, []protocol.Offer{{Kind: protocol.Chat, Engine: "demo", Model: "demo", Quality: protocol.Demo, Loaded: true}}
		}).alive()
		defer demo.close()
		demo.toils(answersAfter(0, "a demonstration"))
		real := b.enlist(8).connect(chatsOnly(1)).alive()
		defer real.close()
		real.toils(answersAfter(254*time.Second, "an answer"))
		j := patient("r1")
		j.Quality = protocol.Demo
		if res := b.do(j).ok(); res.Text != "an answer" {
			t.Errorf("the person got %q", res.Text)
		}
	})
}

// The only other worker had failed this very job, and the one that was at it was stopped for its sake.
func TestShareOfTheTimeIsForWhoCanDoIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		broken := b.decided().enlist(8).connect(chatsOnly(1)).alive()
		defer broken.close()
		broken.answers(func(a protocol.Assign) { broken.fail(a.Lease, protocol.FaultEngine) })
		thinker := b.enlist(9).connect(func(f *protocol.Hello) {
			f.Slots, f.Offers = 1, []protocol.Offer{allOffers[0]}
			f.Offers[0].Loaded = false // so the broken one is asked first
		}).alive()
		defer thinker.close()
		thinker.toils(answersAfter(390*time.Second, "an answer"))
		b.do(patient("r1")).ok()
		if got := b.outcomes(); got != "[engine done]" {
			t.Errorf("the attempts ended as %s", got)
		}
	})
}

// Two machines that claim progress and do nothing do not keep a job from a third one until its time is over, be that as new as they are. As it needs less
// time than they had, they get nothing more while it is free.
func TestPairThatOnlyClaimsProgressLosesTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		for n := range 2 {
			h := b.enlist(community.MemberID(20 + n)).connect(chatsOnly(protocol.MaxSlots)).alive()
			defer h.close()
			h.toils(answersAfter(time.Hour, "never"))
		}
		honest := b.enlist(9).connect(chatsOnly(1)).alive()
		defer honest.close()
		honest.toils(answersAfter(20*time.Second, strings.Repeat("an answer ", 100)))
		for n := range 3 {
			b.do(patient(fmt.Sprint("r", n))).ok()
		}
		if got := b.outcomes(); got != "[expired expired done done done]" {
			t.Errorf("the attempts ended as %s", got)
		}
	})
}

// Who has had its share of a job's time is blamed as soon as another one did the job in less, and not before.
func TestWhoeverIsSurpassedIsBlamed(t *testing.T) {
	for _, c := range []struct {
		other  time.Duration // what the next worker needs
		faults int
	}{{20 * time.Second, 1}, {254 * time.Second, 0}} {
		t.Run(c.other.String(), func(t *testing.T) {
			s := testScheduler()
			p := &Pool{sched: s}
			s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.submit(chatJob(1, "a", 1, ""), 1, start)
			a := s.take()
			hog := a[0].worker
			s.end(1, tardy, start)
			if n := s.faults(s.nodes[hog], a[0].offer); n != 0 {
				t.Errorf("blamed before anybody was better: %d", n)
			}
			j := &job{Job: *chatJob(1, "a", 1, ""), handovers: []handover{{hog, a[0].offer, 200 * time.Second}}}
			p.surpass(&lease{Attempt: Attempt{Worker: 3 - hog}, job: j, took: c.other}, start)
			if n := s.faults(s.nodes[hog], a[0].offer); n != c.faults {
				t.Errorf("%d faults in a row", n)
			}
		})
	}
}

// A machine that had needed minutes for one word could keep every later job for its whole time, blameless: it was measured as that slow.
func TestOneSlowAnswerIsNoLicence(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect(chatsOnly(1)).alive()
		defer h.close()
		took := 3 * time.Minute
		h.toils(func(protocol.Assign) (time.Duration, protocol.Done) {
			defer func() { took = time.Hour }()
			return took, protocol.Done{Text: "x"}
		})
		b.do(patient("r1")).ok()
		b.do(patient("r2")).fails(fault.Expired)
		if got := b.outcomes(); got != "[done expired]" {
			t.Errorf("the attempts ended as %s", got)
		}
	})
}

// A machine was blamed three times, and rested, for pictures that the reference card would have needed longer for than there was time.
func TestNotBlamedForWhatNobodyCouldDoInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect(drawsOnly).alive()
		defer h.close()
		for n := range 3 {
			j := largePicture(fmt.Sprint("r", n))
			j.Wait = 40 * time.Second // what is left after a long queue
			call := b.do(j)
			h.every(5*time.Second, h.take().Lease, protocol.Event{Kind: protocol.EventProgress, Fraction: 0.1})
			call.fails(fault.Expired)
		}
		if got := b.outcomes(); got != "[cancelled cancelled cancelled]" {
			t.Errorf("the attempts ended as %s", got)
		}
		call := b.do(largePicture("later"))
		began := time.Now()
		h.take()
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("it rested for %v", waited)
		}
		call.cancel(fault.New(fault.Cancelled))
		<-call.out
	})
}

// Who is proven is not stopped for a stranger, who may only claim to be better, nor a slow machine for one that is known to be too slow for what is left.
func TestJobIsHandedToNobodyWorse(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(s *scheduler)
		left time.Duration
		want bool
	}{
		"a stranger for a stranger":         {func(*scheduler) {}, time.Minute, true},
		"a stranger for one that is proven": {func(s *scheduler) { s.prove(s.nodes[2], protocol.Chat) }, time.Minute, true},
		"one that is proven for a stranger": {func(s *scheduler) { s.prove(s.nodes[1], protocol.Chat) }, time.Minute, false},
		"for one that rests":                {func(s *scheduler) { s.blame(s.nodes[2], s.nodes[2].offers[0], crowded, start) }, time.Minute, false},
		"for one that is busy":              {func(s *scheduler) { s.nodes[2].other = 1 }, time.Minute, false},
		"for one that failed at it":         {func(s *scheduler) { s.jobs[1].barred = map[int64]bool{2: false} }, time.Minute, false},
		"for one that is away":              {func(s *scheduler) { s.nodes[2].away = true }, time.Minute, false},
		"for one that needs longer than is left": {func(s *scheduler) {
			s.speeds[speedKey{2, protocol.Chat, "m"}] = Speed{Worker: 2, Kind: protocol.Chat, Model: "m", Rate: 0.1, Jobs: 1}
		}, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := testScheduler()
			s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.submit(chatJob(1, "a", 1, ""), 10, start)
			assigned(t, s, [2]int64{1, 1})
			s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
			c.set(s)
			if got := s.elsewhere(1, 1, c.left); got != c.want {
				t.Errorf("elsewhere: %v", got)
			}
		})
	}
}
