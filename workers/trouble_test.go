package workers

import (
	"fmt"
	"testing"
	"time"

	"potluck/workers/protocol"
)

func TestTroubleIsRemembered(t *testing.T) {
	s := testScheduler()
	honest, bad := Worker{ID: 1, Owner: 8}, Worker{ID: 2, Owner: 9}
	s.speeds[speedKey{1, protocol.Chat, "m"}] = Speed{Worker: 1, Kind: protocol.Chat, Model: "m", Rate: 0.2, Jobs: 10}
	s.connect(bad, []*offer{chatOffer("m", true)}, 64, false, start)
	s.submit(chatJob(1, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{1, 2})
	s.end(1, failed, start)
	s.connect(honest, []*offer{chatOffer("m", true)}, 1, false, start)
	s.again(1, start)
	assigned(t, s, [2]int64{1, 1})
	s.settled(1, 1, start)
	s.submit(chatJob(2, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{2, 1}) // a fifth of the speed that a stranger is believed, and honest
	s.settled(2, 1, start)
	// Whoever leaves and comes back is no stranger.
	s.leave(2, start)
	s.connect(bad, []*offer{chatOffer("m", true)}, 64, false, start)
	s.submit(chatJob(3, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{3, 1})
	s.settled(3, 1, start)
	// For an hour.
	s.tick(start.Add(longPast))
	s.submit(chatJob(4, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{4, 2})
}

// A worker that offered another model after each fault never rested.
func TestFaultsOfManyModelsAddUp(t *testing.T) {
	s := testScheduler()
	now := start
	for n := range int64(6) {
		s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer(fmt.Sprint("m", n), true)}, 1, false, now)
		s.submit(chatJob(n+1, "a", 1, ""), 1, now)
		assigned(t, s, [2]int64{n + 1, 1})
		s.end(n+1, failed, now)
		s.drop(n+1, now)
	}
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("new", true)}, 1, false, now)
	s.submit(chatJob(7, "a", 1, ""), 1, now)
	assigned(t, s)
	now = now.Add(30 * time.Second)
	s.tick(now)
	assigned(t, s, [2]int64{7, 1})
}

func TestAfterARestComesOneJobAtATime(t *testing.T) {
	s := testScheduler()
	now := start
	s.credit(1, protocol.Chat, 8)
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true)}, 8, false, now)
	for id := range int64(3) {
		s.submit(chatJob(id+1, "a", 1, ""), 1, now)
		s.take()
		s.end(id+1, failed, now)
		s.drop(id+1, now)
	}
	for id := range int64(6) {
		s.submit(chatJob(10+id, "a", 1, ""), 1, now)
	}
	assigned(t, s)
	now = now.Add(30 * time.Second)
	s.tick(now)
	assigned(t, s, [2]int64{10, 1})
	s.drop(10, now) // whoever asked stopped it: that says nothing
	assigned(t, s, [2]int64{11, 1})
	s.settled(11, 1, now)
	assigned(t, s, [2]int64{12, 1}, [2]int64{13, 1}, [2]int64{14, 1}, [2]int64{15, 1})
}

// A machine that was on probation with a job, and was switched off while its attempt or its result was being saved, never got that model again.
func TestProbationEndsWhenTheWorkerLeaves(t *testing.T) {
	for _, moment := range []string{"leasing", "settling"} {
		s := testScheduler()
		now := start
		s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true)}, 8, false, now)
		for id := range int64(3) {
			s.submit(chatJob(id+1, "a", 1, ""), 1, now)
			s.take()
			s.end(id+1, failed, now)
			s.drop(id+1, now)
		}
		now = now.Add(30 * time.Second)
		s.tick(now)
		s.submit(chatJob(10, "a", 1, ""), 1, now)
		assigned(t, s, [2]int64{10, 1})
		if moment == "leasing" {
			s.leave(1, now)
			s.end(10, blameless, now)
			s.drop(10, now)
		} else {
			s.free(10, now)
			s.leave(1, now)
			s.settled(10, 1, now)
		}
		s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true)}, 8, false, now)
		s.submit(chatJob(11, "a", 1, ""), 1, now)
		s.submit(chatJob(12, "a", 1, ""), 1, now)
		assigned(t, s, [2]int64{11, 1}) // on probation still, with one at a time
		s.settled(11, 1, now)
		assigned(t, s, [2]int64{12, 1})
	}
}

// Eight answers were under way when the only machine was started anew: eight faults in a row. It rested for ten minutes, and everybody's time was over.
func TestOneBreakdownIsOneFault(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9, func(w *Worker) { w.Operator = true }).connect(chatsOnly(8)).alive()
		var calls []*call
		for n := range 8 {
			calls = append(calls, b.do(patient(fmt.Sprint("r", n))))
			h.take()
		}
		h.close()
		<-time.After(time.Second)
		h.connect(chatsOnly(8)).alive()
		defer h.close()
		h.answers(func(a protocol.Assign) { h.done(a.Lease, protocol.Done{Text: "an answer"}) })
		began := time.Now()
		for _, c := range calls {
			c.ok()
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("their answers came after %v", took)
		}
	})
}

// A worker that loses all its jobs again and again rests, however many those are at a time; each model and the kind count by themselves.
func TestBreakdownsInARow(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 9, Operator: true}, []*offer{chatOffer("m", true), chatOffer("n", true)}, 8, false, start)
	w := s.nodes[1]
	for n := range 3 {
		var ids []int64
		for id := range int64(8) {
			ids = append(ids, int64(n*8)+id+1)
			s.submit(chatJob(ids[id], "a", 1, []string{"m", "n"}[id%2]), 1, start)
		}
		s.take()
		s.breakdown(1, func() {
			for _, id := range ids {
				s.end(id, failed, start)
			}
		})
		for _, id := range ids {
			s.drop(id, start)
		}
		for _, o := range w.offers {
			if model, kind := w.trouble(o); model.inRow != n+1 || kind.inRow != n+1 || model.resting() != (n == 2) {
				t.Errorf("after %d breakdowns %s has %d faults, its kind %d, resting %v", n+1, o.canonical, model.inRow, kind.inRow, model.resting())
			}
		}
	}
}

// The troubles of workers that left while they rested were kept until the program ended.
func TestTroublesOfWhoLeftAreForgotten(t *testing.T) {
	s := testScheduler()
	for id := range int64(100) {
		s.connect(Worker{ID: id, Owner: 9}, []*offer{chatOffer("m", true)}, 8, false, start)
		for range 3 {
			s.submit(chatJob(1, "a", 1, ""), 1, start)
			s.take()
			s.end(1, failed, start)
			s.drop(1, start)
		}
		s.leave(id, start)
	}
	if s.tick(start.Add(longPast - time.Second)); len(s.gone) != 100 {
		t.Errorf("the troubles of %d workers are kept for less than %v", len(s.gone), longPast)
	}
	if s.tick(start.Add(longPast + time.Minute)); len(s.gone) != 0 {
		t.Errorf("the troubles of %d workers are kept after %v", len(s.gone), longPast)
	}
}

// The heaps of models that a worker offered a moment ago were kept for a minute, with the offers in them: hundreds of MB for one worker.
func TestReofferedModelsDoNotPileUp(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 9}, nil, 64, false, start)
	for n := range 300 {
		offers := make([]*offer, protocol.MaxOffers)
		for i := range offers {
			offers[i] = chatOffer(fmt.Sprint("m", n, "-", i), true)
		}
		s.change(1, start, func(w *node) { w.offers = offers })
		held := 0
		for _, h := range s.idle {
			held += len(h.minHeap)
		}
		if live := 2 * protocol.MaxOffers; held != s.tickets || held > max(fewTickets, 2*live)+live || len(s.idle) > held {
			t.Fatalf("after %d offers %d tickets are held, %d counted, %d heaps; %d are of use", n+1, held, s.tickets, len(s.idle), live)
		}
	}
	s.submit(chatJob(1, "a", 1, "m299-7"), 1, start)
	if a := s.take(); len(a) != 1 || a[0].offer.canonical != "m299-7" {
		t.Fatalf("assigned %+v", a)
	}
}

// A worker that was taken on with its job after a restart could not be counted or blamed for it.
func TestAdoptedAttemptCounts(t *testing.T) {
	s := testScheduler()
	now := start
	for id := range int64(3) {
		s.adopt(chatJob(id+1, "a", 1, ""), 1, 1, now)
	}
	o := chatOffer("m", true)
	s.connect(Worker{ID: 1, Owner: 9, Limits: Limits{PerDay: 1}}, []*offer{o}, 8, false, now)
	for id := range int64(3) {
		s.attach(id+1, 1, o)
	}
	s.settled(1, 1, now)
	if w := s.nodes[1]; w.rules.today != 1 || w.rules.closed != ClosedDay {
		t.Errorf("done today: %d, closed %q", w.rules.today, w.rules.closed)
	}
	s.end(2, failed, now)
	if n := s.faults(s.nodes[1], o); n != 1 {
		t.Errorf("%d faults in a row", n)
	}
}
