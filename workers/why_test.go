package workers

import (
	"context"
	"sync"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers/protocol"
)

// Each case is a job that waits and one thing that keeps it.
func TestWhySaysWhatKeepsAJob(t *testing.T) {
	big := func(model string) *offer {
		o := chatOffer(model, true)
		o.cost = 10
		return o
	}
	for _, c := range []struct {
		name  string
		set   func(s *scheduler)
		job   func(j *Job)
		cost  float64
		want  Obstacle
		until time.Duration
	}{
		{name: "nobody is here", set: func(*scheduler) {}, want: ObstacleKind},
		{name: "only other kinds", want: ObstacleKind, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{newOffer(protocol.Offer{Kind: protocol.Image, Model: "sd"}, "sd")}, 1, false, start)
		}},
		{name: "another model", want: ObstacleModel, job: func(j *Job) { j.Model = "llama" }, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "too large", want: ObstacleFit, job: func(j *Job) { j.Chat.MaxTokens = 9000 }, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "a feature is missing", want: ObstacleFit, job: func(j *Job) { j.Features = []string{"vision"} }, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "too dear for the payer", want: ObstacleCredit, cost: 5, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{big("m")}, 1, false, start)
		}},
		{name: "not vouched", want: ObstacleClass, job: func(j *Job) { j.Class = Community }, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "paused by its owner", want: ObstaclePaused, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, true, start)
		}},
		{name: "paused in the chat", want: ObstaclePaused, set: func(s *scheduler) {
			s.connect(Worker{ID: 1, Paused: start}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "outside its hours", want: ObstacleHours, set: func(s *scheduler) { // start is midnight
			s.connect(Worker{ID: 1, Limits: Limits{From: 60, Until: 120}}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "its day is done", want: ObstacleDay, set: func(s *scheduler) {
			s.connect(Worker{ID: 1, Limits: Limits{PerDay: 2}, Today: 2}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "a test of another worker", want: ObstacleKind, job: func(j *Job) { j.Only = 2 }, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
		}},
		{name: "draining", want: ObstacleDraining, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.change(1, start, func(w *node) { w.draining = true })
		}},
		{name: "away", want: ObstacleAway, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.change(1, start, func(w *node) { w.away = true })
		}},
		{name: "all busy", want: ObstacleBusy, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.submit(chatJob(1, "a", 1, ""), 10, start)
		}},
		{name: "backed off", want: ObstacleResting, until: 30 * time.Second, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
			for id := int64(1); id <= 3; id++ {
				s.submit(chatJob(id, "a", 1, ""), 10, start)
				s.end(id, failed, start)
				s.drop(id, start)
			}
		}},
		{name: "paused hides busy, busy elsewhere wins", want: ObstacleBusy, set: func(s *scheduler) {
			s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
			s.submit(chatJob(1, "a", 1, ""), 10, start)
			s.connect(Worker{ID: 2}, []*offer{chatOffer("m", true)}, 1, true, start)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testScheduler()
			c.set(s)
			j := chatJob(100, "a", 2, "")
			if c.job != nil {
				c.job(j)
			}
			s.submitWithin(j, 10, c.cost, start)
			s.ranks()
			y := s.why(100)
			if y.Obstacle != c.want {
				t.Fatalf("the obstacle is %q (%+v), want %q", y.Obstacle, y.Workers, c.want)
			}
			if got := y.Until; c.until > 0 != !got.IsZero() || c.until > 0 && !got.Equal(start.Add(c.until)) {
				t.Errorf("until %v, want %v", got, c.until)
			}
			if y.Position != 1 {
				t.Errorf("position %d, want 1", y.Position)
			}
			if c.want == ObstacleBusy && y.ETA <= 0 {
				t.Errorf("no estimate although a worker is at work")
			}
		})
	}
}

// A worker that failed at a job is named as tried as long as another one may have it.
func TestWhyNamesWhoTried(t *testing.T) {
	s := testScheduler()
	s.connect(Worker{ID: 1}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(1, "a", 1, ""), 10, start)
	s.connect(Worker{ID: 2}, []*offer{chatOffer("m", true)}, 1, false, start)
	s.submit(chatJob(2, "a", 1, ""), 10, start)
	s.take()
	s.end(1, declined, start)
	s.again(1, start)
	s.submit(chatJob(3, "b", 3, ""), 10, start)
	y := s.why(1)
	if y.Obstacle != ObstacleBusy || len(y.Workers) != 2 || y.Workers[0].Worker != 2 || y.Workers[1].Obstacle != ObstacleTried {
		t.Fatalf("%+v: want busy at 2, and 1 tried", y)
	}
}

func TestWhyOfManyWorkersIsBounded(t *testing.T) {
	s := testScheduler()
	for id := int64(1); id <= 100; id++ {
		s.connect(Worker{ID: id}, []*offer{chatOffer("m", true)}, 1, id != 70, start)
	}
	s.submit(chatJob(1, "a", 1, ""), 10, start)
	s.submit(chatJob(2, "a", 1, ""), 10, start)
	y := s.why(2)
	if y.Obstacle != ObstacleBusy || len(y.Workers) != maxHindered || y.More != 100-maxHindered || y.Workers[0].Worker != 70 {
		t.Fatalf("%+v", y)
	}
}

// The pool adds the phases outside of the line, and that workers may still come back after a start.
func TestPoolSaysWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		b.cfg.ExpectWorker = true
		b.begin()
		ctx, cancel := context.WithCancel(t.Context())
		var asked sync.WaitGroup
		defer asked.Wait()
		defer cancel()
		for key, class := range map[string]Class{"r:1": Public, "r:2": Private} {
			j := *chatJob(0, "page:a", 1, "")
			j.Key, j.Class, j.Wait = key, class, time.Hour
			asked.Go(func() { b.pool.Do(ctx, j, nil) })
		}
		faketime.Wait()
		open, _, err := b.store.Open(ctx)
		if err != nil || len(open) != 2 {
			t.Fatalf("%d jobs wait, want 2: %v", len(open), err)
		}
		all, err := b.pool.Why(ctx, open[0].ID, open[1].ID, 4711)
		if err != nil {
			t.Fatal(err)
		}
		if y := all[4711]; y.Obstacle != ObstacleOver {
			t.Errorf("an unknown job: %+v", y)
		}
		for _, j := range open {
			if y := all[j.ID]; y.Obstacle != ObstacleGrace || y.Until.IsZero() || y.Kind != protocol.Chat || y.Class != j.Class {
				t.Errorf("while workers may come back, job %d: %+v", j.ID, y)
			}
		}
	})
}
