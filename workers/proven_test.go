package workers

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/community"
	"potluck/workers/protocol"
)

// Machines that anybody can link, each new and each at fault once, used up all attempts of a job while one that had done many was idle.
func TestNovicesDoNotGetWhatHasFailed(t *testing.T) {
	s := testScheduler()
	s.speeds[speedKey{1, protocol.Chat, "m"}] = Speed{Worker: 1, Kind: protocol.Chat, Model: "m", Rate: 0.2, Jobs: 10}
	s.prove(&node{id: 1}, protocol.Chat)
	s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
	for id := int64(2); id < 6; id++ {
		s.connect(Worker{ID: id, Owner: community.MemberID(10 + id)}, []*offer{chatOffer("m", true)}, 8, false, start)
	}
	s.submit(chatJob(1, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{1, 2}) // believed to be five times as fast
	s.end(1, failed, start)
	s.again(1, start)
	assigned(t, s, [2]int64{1, 1})
	// Another one fails while the proven worker is busy: it waits for that one.
	s.submit(chatJob(2, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{2, 3})
	s.end(2, failed, start)
	s.again(2, start)
	s.tick(start)
	assigned(t, s)
	s.settled(1, 1, start)
	assigned(t, s, [2]int64{2, 1})
	// Its own failure is somebody else's chance, and when it leaves a novice gets what waits for it.
	s.submit(chatJob(3, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{3, 4})
	s.end(3, failed, start)
	s.again(3, start)
	assigned(t, s)
	s.end(2, failed, start)
	assigned(t, s, [2]int64{3, 1})
	s.again(2, start)
	assigned(t, s, [2]int64{2, 5})
	s.end(3, blameless, start)
	s.leave(1, start)
	s.again(3, start)
	if a := s.take(); len(a) != 1 || a[0].job != 3 || a[0].worker == 4 {
		t.Fatalf("assigned %+v", a)
	}
}

// busyProven has a proven worker 1, which is at job 1, and a novice 2 that is idle.
func busyProven(t *testing.T) *scheduler {
	t.Helper()
	s := testScheduler()
	s.prove(&node{id: 1}, protocol.Chat)
	s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(1, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{1, 1})
	s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
	return s
}

// What is kept from novices comes to them as soon as nobody proven is there.
func TestWaitingForAProvenWorkerEnds(t *testing.T) {
	s := busyProven(t)
	s.submit(chatJob(2, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{2, 2})
	s.end(2, failed, start)
	s.connect(Worker{ID: 3, Owner: 10}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.again(2, start)
	s.tick(start)
	assigned(t, s)
	s.change(1, start, func(w *node) { w.paused = true })
	assigned(t, s, [2]int64{2, 3})
	// Its first job proves a worker.
	s.settled(2, 1, start)
	if !s.proven(s.nodes[3], protocol.Chat) || s.proven(s.nodes[3], protocol.Image) || s.proven(s.nodes[2], protocol.Chat) {
		t.Error("who did a job is proven for its kind, and nobody else")
	}
}

// The operator's demonstration counted as proven: it answered what a novice had failed, although a real engine was idle.
func TestDemonstrationKeepsNothingFromNovices(t *testing.T) {
	s := testScheduler()
	demo := newOffer(protocol.Offer{Kind: protocol.Chat, Engine: "demo", Model: "demo", Quality: protocol.Demo, Loaded: true}, "demo")
	s.connect(Worker{ID: 1, Owner: 8, Operator: true}, []*offer{demo}, 4, false, start)
	j := chatJob(1, "a", 1, "")
	j.Quality = protocol.Demo
	s.submit(j, 1, start)
	assigned(t, s, [2]int64{1, 1}) // nobody else is here
	s.settled(1, 1, start)
	if s.records[1] != (record{}) {
		t.Error("a demonstration proves a worker")
	}
	s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
	j.ID = 2
	s.submit(j, 1, start)
	assigned(t, s, [2]int64{2, 2})
	s.connect(Worker{ID: 3, Owner: 10}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.end(2, failed, start)
	s.again(2, start)
	assigned(t, s, [2]int64{2, 3})
}

// A machine that did one job and then always said that its places are taken kept what had failed once from everybody who was idle.
func TestProvenWorkerWithoutPlacesKeepsNothing(t *testing.T) {
	for name, takeAway := range map[string]func(s *scheduler){
		"offers none":    func(s *scheduler) { s.change(1, start, func(w *node) { w.slots = 0 }) },
		"says none free": func(s *scheduler) { s.beat(1, 0, start) },
	} {
		s := testScheduler()
		s.prove(&node{id: 1}, protocol.Chat)
		s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
		takeAway(s)
		s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
		s.submit(chatJob(1, "a", 1, ""), 1, start)
		s.take()
		s.connect(Worker{ID: 3, Owner: 10}, []*offer{chatOffer("m", true)}, 1, false, start)
		s.end(1, failed, start)
		if s.again(1, start); s.jobs[1].node != s.nodes[3] {
			t.Errorf("%s: job 1 waits although worker 3 is idle", name)
		}
	}
}

// A proven worker that always has other work keeps a retry from novices for a quarter of the job's time, not for all of it.
func TestWaitingForABusyProvenWorkerEnds(t *testing.T) {
	s := busyProven(t)
	j := chatJob(2, "a", 1, "")
	j.Wait = 4 * time.Minute
	s.submit(j, 1, start)
	assigned(t, s, [2]int64{2, 2})
	s.connect(Worker{ID: 3, Owner: 10}, []*offer{chatOffer("m", true)}, 1, false, start)
	now := start.Add(time.Minute)
	s.end(2, failed, now)
	s.again(2, now)
	s.tick(now.Add(time.Minute - time.Second))
	assigned(t, s)
	s.tick(now.Add(time.Minute))
	assigned(t, s, [2]int64{2, 3})
}

// Two machines of two owners, linked for nothing, said of every question that it cannot be answered, and that was the end of it.
func TestTwoNovicesWordIsNotEnough(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		good := b.decided().enlist(9).connect(chatsOnly(1)).alive()
		defer good.close()
		work := func(a protocol.Assign) { // slower than the reference card, which a novice is believed to be as fast as
			good.send(protocol.Accept{Lease: a.Lease})
			<-time.After(20 * time.Second)
			good.done(a.Lease, protocol.Done{Text: strings.Repeat("an answer ", 100)})
		}
		call := b.do(patient("warm"))
		work(good.take())
		call.ok()
		asks := 0
		for owner := range 2 {
			h := b.enlist(community.MemberID(20 + owner)).connect(chatsOnly(8)).alive()
			defer h.close()
			h.answers(func(a protocol.Assign) { asks++; h.fail(a.Lease, protocol.FaultRequest) })
		}
		good.answers(work)
		for i := range 20 {
			b.do(patient(fmt.Sprint("r", i))).ok()
		}
		if asks > 6 {
			t.Errorf("the two were asked %d times although they were disproved 3 times in a row each", asks)
		}
	})
}

// A machine that anybody can link for nothing claimed 64 slots, got what waited in one gulp and let each job lie until its first sign was overdue.
func TestANewWorkerHasOneJobMoreThanItHasDone(t *testing.T) {
	s := testScheduler()
	ask := func(from, to int64, c community.CommunityID, m community.MemberID) {
		for id := from; id <= to; id++ {
			s.submit(chatJob(id, c, m, ""), 1, start)
		}
	}
	ask(1, 9, "a", 1)
	s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, protocol.MaxSlots, false, start)
	assigned(t, s, [2]int64{1, 1})
	if y := s.why(2); y.Obstacle != ObstacleNew || len(y.Workers) != 1 || y.Workers[0].Obstacle != ObstacleNew {
		t.Errorf("the second job waits because of %+v", y)
	}
	s.end(1, blameless, start) // a failure proves nothing
	assigned(t, s, [2]int64{2, 1})
	s.free(2, start) // while its result is looked at the next one may begin
	assigned(t, s, [2]int64{3, 1})
	s.settled(2, 1, start)
	assigned(t, s, [2]int64{4, 1})
	s.settled(3, 1, start)
	assigned(t, s, [2]int64{5, 1}, [2]int64{6, 1})
	// Somebody who comes while it is full waits, and gets the place that is next.
	ask(20, 20, "b", 2)
	assigned(t, s)
	s.settled(4, 1, start)
	assigned(t, s, [2]int64{20, 1}, [2]int64{7, 1})

	// It has done no pictures, whatever it did besides: one at a time.
	s = testScheduler()
	s.credit(1, protocol.Chat, 40)
	image := newOffer(protocol.Offer{Kind: protocol.Image, Engine: "comfyui", Model: "sdxl", MaxPixels: 1 << 20, MaxSteps: 50, MaxCount: 4, Loaded: true}, "sdxl")
	s.connect(Worker{ID: 1, Owner: 8}, []*offer{image}, 8, false, start)
	for id := range int64(3) {
		s.submit(&Job{ID: 1 + id, Kind: protocol.Image, Image: &protocol.ImageJob{Width: 512, Height: 512, Steps: 4, Count: 1}, Origin: Origin{Class: Public, Community: "a", Member: 1, Quality: protocol.Rough}}, 1, start)
	}
	assigned(t, s, [2]int64{1, 1})
}

// The operator's machines, those that an admin vouched for (for what comes from there), and a machine for its own owner need no record; one of before a restart has it.
func TestWhoIsTrustedHasAllSlotsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		row    Worker
		speeds []Speed
		want   int
	}{
		"a stranger":              {Worker{ID: 1, Owner: 8}, nil, 1},
		"the operator's":          {Worker{ID: 1, Owner: 8, Operator: true}, nil, 6},
		"vouched for here":        {Worker{ID: 1, Owner: 8, Vouched: map[community.CommunityID]Class{"a": Community}}, nil, 6},
		"vouched for elsewhere":   {Worker{ID: 1, Owner: 8, Vouched: map[community.CommunityID]Class{"b": Community}}, nil, 1},
		"its owner's own jobs":    {Worker{ID: 1, Owner: 3}, nil, 6},
		"three jobs ago":          {Worker{ID: 1, Owner: 8}, []Speed{{Worker: 1, Kind: protocol.Chat, Model: "old", Rate: 1, Jobs: 3}}, 4},
		"many jobs with two":      {Worker{ID: 1, Owner: 8}, []Speed{{Worker: 1, Kind: protocol.Chat, Model: "old", Rate: 1, Jobs: 3}, {Worker: 1, Kind: protocol.Chat, Model: "m", Rate: 1, Jobs: 3}}, 6},
		"another machine's merit": {Worker{ID: 1, Owner: 8}, []Speed{{Worker: 2, Kind: protocol.Chat, Model: "m", Rate: 1, Jobs: 3}}, 1},
	} {
		for _, early := range []bool{true, false} { // whether the jobs wait for the worker, or it for them
			s := newScheduler(testScheduler().cfg, c.speeds)
			connect := func() { s.connect(c.row, []*offer{chatOffer("m", true)}, 6, false, start) }
			if !early {
				connect()
			}
			for id := range int64(9) {
				s.submit(chatJob(1+id, "a", 3, ""), 1, start)
			}
			if early {
				connect()
			}
			if got := len(s.take()); got != c.want {
				t.Errorf("%s (jobs first: %v): %d at once, want %d", name, early, got, c.want)
			}
		}
	}
}

// In the whole pool: of a burst the stranger gets one job, everybody else's goes on, and when nobody else is there it works through what waits.
func TestABurstIsNotForANewMachine(t *testing.T) {
	const jobs = 20
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		stranger := b.enlist(8).connect(chatsOnly(protocol.MaxSlots)).alive()
		defer stranger.close()
		taken := 0
		stranger.swallows(&taken)
		honest := b.enlist(9, func(w *Worker) { w.Operator = true }).connect(chatsOnly(2)).alive()
		defer honest.close()
		honest.answers(func(a protocol.Assign) {
			honest.send(protocol.Accept{Lease: a.Lease})
			<-time.After(2 * time.Second)
			honest.done(a.Lease, protocol.Done{Text: strings.Repeat("an answer ", 10)})
		})
		began := time.Now()
		var calls []*call
		for i := range jobs {
			calls = append(calls, b.do(patient(fmt.Sprint("r", i))))
		}
		for _, c := range calls {
			c.ok()
		}
		if took := time.Since(began); taken > 2 || took > 2*time.Minute {
			t.Errorf("the stranger got %d of %d jobs at a time, and they took %v", taken, jobs, took)
		}
	})
	inBubble(t, func(t *testing.T, b *bed) {
		alone := b.decided().enlist(8).connect(chatsOnly(4)).alive()
		defer alone.close()
		var mu sync.Mutex // guards at, most and what alone says
		at, most := 0, 0
		alone.answers(func(a protocol.Assign) {
			mu.Lock()
			defer mu.Unlock()
			at++
			most = max(most, at)
			alone.send(protocol.Accept{Lease: a.Lease})
			time.AfterFunc(2*time.Second, func() {
				mu.Lock()
				defer mu.Unlock()
				at--
				alone.done(a.Lease, protocol.Done{Text: strings.Repeat("an answer ", 10)})
			})
		})
		var calls []*call
		for i := range jobs {
			calls = append(calls, b.do(patient(fmt.Sprint("r", i))))
		}
		began := time.Now()
		for _, c := range calls {
			c.ok()
		}
		mu.Lock()
		defer mu.Unlock()
		// One at a time first, then two, three and four: 1 + 2 + 3 + 4 + 4 + 4 + 2.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("a lone new machine took %v for %d jobs in 4 slots, at most %d at once", took, jobs, most)
		}
	})
}
