package workers

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testScheduler() *scheduler {
	return newScheduler(schedulerConfig{Affinity: 4, LoadTime: 20 * time.Second, FaultsInRow: 3, BackOff: 30 * time.Second, BackOffMax: 10 * time.Minute}, nil)
}

func chatOffer(model string, loaded bool) *offer {
	return newOffer(protocol.Offer{Kind: protocol.Chat, Engine: "openai", Model: model, Loaded: loaded, Context: 8192}, model)
}

func chatJob(id int64, c community.CommunityID, m community.MemberID, model string) *Job {
	return &Job{
		ID: id, Kind: protocol.Chat, Model: model, Chat: &protocol.ChatJob{MaxTokens: 256},
		Origin: Origin{Class: Public, Community: c, Member: m, Quality: protocol.Rough},
	}
}

func assigned(t *testing.T, s *scheduler, want ...[2]int64) {
	t.Helper()
	got := s.take()
	var pairs [][2]int64
	for _, a := range got {
		pairs = append(pairs, [2]int64{a.job, a.worker})
	}
	if fmt.Sprint(pairs) != fmt.Sprint(want) && len(pairs)+len(want) > 0 {
		t.Fatalf("assigned (job, worker) %v, want %v", pairs, want)
	}
}

func TestFloodDoesNotDelayTheNextMember(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 99}, []*offer{chatOffer("m", true)}, 1, false, start)
	for i := int64(1); i <= 50; i++ {
		s.submit(chatJob(i, "a", 1, ""), 10, start)
	}
	assigned(t, s, [2]int64{1, 1})
	s.submit(chatJob(100, "a", 2, ""), 10, start) // a second member of the same community
	s.submit(chatJob(200, "b", 3, ""), 10, start) // and another community
	s.settled(1, 10, start)
	got := s.take()
	if len(got) != 1 || got[0].job == 2 {
		t.Fatalf("after the flooder's first job came %+v", got)
	}
	first := got[0].job
	s.settled(first, 10, start)
	second := s.take()[0].job
	if first+second != 300 {
		t.Fatalf("next two were %d and %d, want 100 and 200 in some order", first, second)
	}
}

func TestIdleTimeCannotBeSavedUp(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 99}, []*offer{chatOffer("m", true)}, 1, false, start)
	for i := int64(1); i <= 20; i++ {
		s.submit(chatJob(i, "a", 1, ""), 10, start)
	}
	for i := int64(1); i <= 10; i++ {
		s.settled(i, 10, start)
	}
	s.take()
	for i := int64(101); i <= 110; i++ {
		s.submit(chatJob(i, "b", 2, ""), 10, start)
	}
	last, inRow := "", 0
	for range 10 {
		for _, e := range s.jobs {
			if e.node != nil {
				s.settled(e.id, 10, start)
				break
			}
		}
		a := s.take()[0].job
		who := "a"
		if a > 100 {
			who = "b"
		}
		if who == last {
			inRow++
		} else {
			last, inRow = who, 1
		}
		if inRow > 2 {
			t.Fatalf("%s was served %d times in a row", who, inRow)
		}
	}
}

func TestClassDecidesWhoMaySee(t *testing.T) {
	for _, c := range []struct {
		name   string
		worker Worker
		class  Class
		want   bool
	}{
		{"public anywhere", Worker{}, Public, true},
		{"community unvouched", Worker{}, Community, false},
		{"community vouched", Worker{Vouched: map[community.CommunityID]Class{"a": Community}}, Community, true},
		{"community vouched elsewhere", Worker{Vouched: map[community.CommunityID]Class{"b": Private}}, Community, false},
		{"private vouched for community", Worker{Vouched: map[community.CommunityID]Class{"a": Community}}, Private, false},
		{"private vouched", Worker{Vouched: map[community.CommunityID]Class{"a": Private}}, Private, true},
		{"operator", Worker{Operator: true}, Private, true},
	} {
		for _, jobFirst := range []bool{true, false} {
			s := testScheduler()
			c.worker.ID, c.worker.Owner = 1, 99
			j := chatJob(1, "a", 1, "")
			j.Class = c.class
			if jobFirst {
				s.submit(j, 1, start)
			}
			s.connect(c.worker, []*offer{chatOffer("m", true)}, 1, false, start)
			if !jobFirst {
				s.submit(j, 1, start)
			}
			if got := len(s.take()) == 1; got != c.want {
				t.Errorf("%s (job first: %v): assigned %v", c.name, jobFirst, got)
			}
			if feasible := s.infeasible(j) == nil; feasible != c.want {
				t.Errorf("%s: feasible %v", c.name, feasible)
			}
		}
	}
}

func TestRealEngineBeatsDemo(t *testing.T) {
	demo := newOffer(protocol.Offer{Kind: protocol.Chat, Engine: "demo", Model: "demo", Quality: protocol.Demo, Loaded: true}, "demo")
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 99}, []*offer{demo}, 4, false, start)
	s.credit(1, protocol.Chat, 4)
	s.submit(chatJob(1, "a", 1, ""), 1, start)
	assigned(t, s) // real people are not shown demonstrations
	j := chatJob(2, "a", 1, "")
	j.Quality = protocol.Demo
	s.submit(j, 1, start)
	assigned(t, s, [2]int64{2, 1})

	s.connect(Worker{ID: 2, Owner: 99}, []*offer{chatOffer("m", false)}, 1, false, start)
	assigned(t, s, [2]int64{1, 2})
	j = chatJob(3, "a", 1, "")
	j.Quality = protocol.Demo
	s.submit(j, 1, start)
	assigned(t, s) // the real one is busy, but there
	s.change(2, start, func(w *node) { w.paused = true })
	assigned(t, s, [2]int64{3, 1})
}

func TestOwnJobsGoFirstToTheOwnWorker(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 7}, []*offer{chatOffer("m", false)}, 1, false, start)
	s.connect(Worker{ID: 2, Owner: 8}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(1, "a", 7, ""), 10, start)
	assigned(t, s, [2]int64{1, 1}) // although the other has the model loaded
	s.submit(chatJob(2, "a", 1, ""), 10, start)
	s.submit(chatJob(3, "a", 2, ""), 10, start)
	s.submit(chatJob(4, "a", 7, ""), 10, start)
	s.take()
	s.settled(1, 10, start)
	assigned(t, s, [2]int64{4, 1})
}

func TestFailedWorkerIsPassedOverUnlessAlone(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(1, "a", 1, ""), 10, start)
	assigned(t, s, [2]int64{1, 1})
	s.connect(Worker{ID: 2, Owner: 9}, []*offer{chatOffer("m", false)}, 1, false, start)
	s.end(1, failed, start)
	s.again(1, start)
	assigned(t, s, [2]int64{1, 2})
	s.end(1, failed, start)
	s.again(1, start)
	if a := s.take(); len(a) != 1 {
		t.Fatalf("both failed and none else: got %+v", a)
	}
}

func TestFaultyModelRestsAndDoubles(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true)}, 1, false, start)
	now, id := start, int64(0)
	fail := func() bool {
		id++
		s.submit(chatJob(id, "a", 1, ""), 1, now)
		ok := len(s.take()) == 1
		if ok {
			s.end(id, failed, now)
		}
		s.drop(id, now)
		return ok
	}
	for range 3 {
		if !fail() {
			t.Fatal("rested too early")
		}
	}
	for _, rest := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		if fail() {
			t.Fatal("took a job while resting")
		}
		now = now.Add(rest - time.Second)
		s.tick(now)
		if fail() {
			t.Fatalf("rested less than %v", rest)
		}
		now = now.Add(time.Second)
		s.tick(now)
		if !fail() {
			t.Fatalf("rested more than %v", rest)
		}
	}
}

func TestInfeasibleNamesWhatCanBeDone(t *testing.T) {
	s := testScheduler()
	j := chatJob(1, "a", 1, "")
	want := func(j *Job, code fault.Code, args ...string) {
		t.Helper()
		f := s.infeasible(j)
		if f == nil || f.Code != code {
			t.Fatalf("got %v, want %s", f, code)
		}
		for i := 0; i < len(args); i += 2 {
			if f.Args[args[i]] != args[i+1] {
				t.Errorf("%s: %s is %q, want %q", code, args[i], f.Args[args[i]], args[i+1])
			}
		}
	}
	want(j, fault.NoWorker, "kind", "chat")
	mt := newOffer(protocol.Offer{Kind: protocol.Translate, Engine: "apertium", Model: "apertium", Pairs: []protocol.Pair{
		{From: "en", To: "ca", Quality: protocol.Postable}, {From: "en", To: "es", Quality: protocol.Postable}, {From: "en", To: "eo", Quality: protocol.Rough},
	}}, "apertium")
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("m", true), mt, newOffer(protocol.Offer{Kind: protocol.Image, Model: "sd", MaxPixels: 512 * 512}, "sd")}, 1, false, start)
	want(chatJob(1, "a", 1, "other"), fault.NoModel, "model", "other", "models", "m")
	big := chatJob(1, "a", 1, "")
	big.Work.InTokens = 9000
	want(big, fault.NoFit, "what", "context", "max", "8192")
	private := chatJob(1, "a", 1, "")
	private.Class = Private
	want(private, fault.NoPrivateWorker, "kind", "chat")
	tr := &Job{Kind: protocol.Translate, Origin: Origin{Class: Public, Quality: protocol.Postable}, Translate: &protocol.TranslateJob{From: "en", To: "eo"}}
	want(tr, fault.NoPair, "from", "en", "to", "eo", "targets", "ca, es", "pairs", "en→ca, en→es")
	tr.Quality = protocol.Rough
	if f := s.infeasible(tr); f != nil {
		t.Errorf("rough translation: %v", f)
	}
	img := &Job{Kind: protocol.Image, Origin: Origin{Class: Public}, Image: &protocol.ImageJob{Width: 1024, Height: 512, Count: 1}}
	want(img, fault.NoFit, "what", "pixels", "max", fmt.Sprint(512*512))
}

func TestAffinityIsBounded(t *testing.T) {
	for _, other := range []community.CommunityID{"a", "b"} { // the same holds between members and between communities
		s := testScheduler()
		s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("loaded", true), chatOffer("cold", false)}, 1, false, start)
		s.submit(chatJob(1, "a", 1, "loaded"), 10, start)
		s.submit(chatJob(2, other, 2, "cold"), 10, start)
		for i := int64(10); i < 30; i++ {
			s.submit(chatJob(i, "a", 1, "loaded"), 10, start)
		}
		served := 0
		for id := s.take()[0].job; id != 2 && served < 20; id = s.take()[0].job {
			served++
			s.settled(id, 10, start)
		}
		if served < 5 || served > 10 { // 4 × 20 s × rate 1 = 80 reference seconds = 8 jobs
			t.Errorf("the cold model of community %s waited for %d jobs, want about 8", other, served)
		}
	}
}

func TestOneMembersColdJobWaitsABoundedTime(t *testing.T) {
	s := testScheduler()
	now := start
	s.connect(Worker{ID: 1, Owner: 9}, []*offer{chatOffer("loaded", true), chatOffer("cold", false)}, 1, false, now)
	s.submit(chatJob(1, "a", 1, "loaded"), 10, now)
	s.submit(chatJob(2, "a", 1, "cold"), 10, now)
	assigned(t, s, [2]int64{1, 1})
	for id := int64(1); id != 2; id = s.take()[0].job {
		now = now.Add(10 * time.Second)
		s.submit(chatJob(100+id, "a", 1, "loaded"), 10, now)
		s.settled(id, 10, now)
		if now.Sub(start) > 2*time.Minute {
			t.Fatal("the cold job starves")
		}
	}
}

func TestRanksFollowTheFairOrder(t *testing.T) {
	s := testScheduler()
	for i := int64(1); i <= 10; i++ {
		s.submit(chatJob(i, "a", 1, ""), 10, start)
	}
	s.submit(chatJob(11, "b", 2, ""), 10, start)
	s.ranks()
	if p, _ := s.eta(11); p != 2 {
		t.Errorf("the newcomer has position %d, want 2", p)
	}
	if p, _ := s.eta(10); p != 11 {
		t.Errorf("the flooder's last has position %d, want 11", p)
	}
}

// BenchmarkScheduler keeps 10,000 jobs queued before 5,000 busy workers: each step one finishes, a new job arrives and the free worker is decided.
func BenchmarkScheduler(b *testing.B) {
	const workers, queued, models, members = 5000, 10000, 60, 2000
	r := rand.New(rand.NewSource(1))
	s := testScheduler()
	now := start
	for w := range int64(workers) {
		var offers []*offer
		for i := range 1 + r.Intn(8) {
			offers = append(offers, chatOffer(fmt.Sprint("model", (int(w)+i*7)%models), i == 0))
		}
		s.connect(Worker{ID: w + 1, Owner: community.MemberID(100000 + w)}, offers, 1, false, now)
	}
	var id int64
	submit := func() {
		id++
		m := community.MemberID(1 + r.Intn(members))
		j := chatJob(id, community.CommunityID(fmt.Sprint("c", m%50)), m, fmt.Sprint("model", r.Intn(models)))
		j.Work.InTokens = r.Intn(4000)
		s.submit(j, 5+20*r.Float64(), now)
	}
	var busy []int64
	take := func() int {
		a := s.take()
		for _, x := range a {
			busy = append(busy, x.job)
		}
		return len(a)
	}
	for s.queued < queued {
		submit()
		take()
	}
	b.ReportAllocs()
	decisions := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		i := r.Intn(len(busy))
		done := busy[i]
		busy[i] = busy[len(busy)-1]
		busy = busy[:len(busy)-1]
		s.settled(done, 10, now)
		submit()
		decisions += take()
	}
	b.ReportMetric(float64(decisions)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(decisions+b.N)/b.Elapsed().Seconds(), "arrivals+decisions/s")
}

// What a pause and a resume of a worker with as many offers as are allowed cost the loop, with 200 kinds of queued jobs: why they are limited like offers.
func BenchmarkPauseAndResume(b *testing.B) {
	s := testScheduler()
	var offers []*offer
	for i := range protocol.MaxOffers {
		offers = append(offers, chatOffer(fmt.Sprintf("m%d", i), false))
	}
	s.connect(Worker{ID: 1, Owner: 7}, offers, 1, false, start)
	for i := range int64(200) {
		s.submit(chatJob(i+1, "a", community.MemberID(i+1), fmt.Sprintf("n%d", i)), 1, start)
	}
	for b.Loop() {
		s.change(1, start, func(n *node) { n.paused = true })
		s.change(1, start, func(n *node) { n.paused = false })
	}
}
