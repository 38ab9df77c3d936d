package workers

import (
	"fmt"
	"strings"
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

// What is kept from novices comes to them as soon as nobody proven is there.
func TestWaitingForAProvenWorkerEnds(t *testing.T) {
	s := testScheduler()
	s.prove(&node{id: 1}, protocol.Chat)
	s.connect(Worker{ID: 1, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(1, "a", 1, ""), 1, start)
	assigned(t, s, [2]int64{1, 1})
	s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
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
