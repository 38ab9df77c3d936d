package workers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"potluck/community"
	"potluck/faketime"
	"potluck/workers/protocol"
)

// serve answers each assignment after d, one after another per slot.
func (h *hand) serve(d time.Duration) {
	for {
		f := h.read()
		if f == nil {
			return
		}
		if a, ok := f.(protocol.Assign); ok {
			write(context.Background(), h.conn, protocol.Accept{Lease: a.Lease}) // the test may be over and the connection gone
			time.AfterFunc(d, func() {
				write(context.Background(), h.conn, protocol.Event{Lease: a.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "ok"}})
				write(context.Background(), h.conn, protocol.Beat{Free: 1})
			})
		}
	}
}

func TestNextMemberStartsNextBehindAFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		for i := range 500 {
			j := asked(fmt.Sprint("flood", i), 1)
			j.Wait = time.Hour
			b.do(j)
		}
		first := h.take()
		second := asked("second", 2)
		second.Chat.Messages[0].Text = "second"
		c := b.do(second)
		faketime.Wait()
		h.done(first.Lease, protocol.Done{Text: "ok"})
		a := h.take()
		if a.Chat.Messages[0].Text != "second" {
			t.Error("the flooding member was served again before the other")
		}
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

// waits plays a heavy community against light ones in fake time and returns how long light jobs took.
func waits(t *testing.T, heavy bool) (p95 time.Duration) {
	inBubble(t, func(t *testing.T, b *bed) {
		const light, each, work = 50, 4, 2 * time.Second
		b.decided()
		for w := range 4 {
			h := b.enlist(community.MemberID(900 + w)).connect()
			defer h.close()
			go h.serve(work)
		}
		ask := func(c string, m community.MemberID, n int) *call {
			j := asked(fmt.Sprint(c, "-", m, "-", n), m)
			j.Community, j.Wait = community.CommunityID(c), 2*time.Hour
			return b.do(j)
		}
		if heavy {
			for n := range 100 * each {
				ask("heavy", community.MemberID(1+n%20), n)
			}
			faketime.Wait()
		}
		var took []time.Duration
		for round := range each {
			began := time.Now()
			ends := make([]time.Duration, light)
			done := make(chan bool)
			for i := range light {
				c := ask(fmt.Sprint("light", i), community.MemberID(100+i), round)
				go func() {
					c.ok()
					ends[i] = time.Since(began)
					done <- true
				}()
			}
			for range light {
				<-done
			}
			took = append(took, ends...)
		}
		slices.Sort(took)
		p95 = took[len(took)*95/100]
	})
	return p95
}

// shares has every community wait all the time, one of them with 100 times the jobs, and returns Jain's index of what they were given.
func shares(t *testing.T) (jain float64) {
	inBubble(t, func(t *testing.T, b *bed) {
		const light, each, work = 50, 20, 2 * time.Second
		b.decided()
		for w := range 4 {
			h := b.enlist(community.MemberID(900 + w)).connect()
			defer h.close()
			go h.serve(work)
		}
		for i := range light + 1 {
			jobs := each
			if i == 0 {
				jobs = 100 * each
			}
			for n := range jobs {
				j := asked(fmt.Sprint("share", i, "-", n), community.MemberID(1+i))
				j.Community, j.Wait = community.CommunityID(fmt.Sprint("c", i)), 2*time.Hour
				b.do(j)
			}
		}
		<-time.After(6 * time.Minute) // about 700 of 3,000 jobs: a job more or less no longer matters
		given := map[community.CommunityID]float64{}
		b.store.mu.Lock()
		for _, j := range b.store.jobs {
			if j.State == Done {
				given[j.Community]++
			}
		}
		b.store.mu.Unlock()
		var sum, squares float64
		for _, v := range given {
			sum += v
			squares += v * v
		}
		jain = sum * sum / ((light + 1) * squares)
	})
	return jain
}

func TestHeavyCommunityDoesNotDelayLightOnes(t *testing.T) {
	solo, beside, jain := waits(t, false), waits(t, true), shares(t)
	if ratio := beside.Seconds() / solo.Seconds(); ratio > 1.5 || jain < 0.95 {
		t.Errorf("light p95 is %v alone and %v beside the heavy community (%.2f×), Jain %.3f", solo, beside, ratio, jain)
	}
	t.Logf("light p95 %v alone, %v beside the heavy community, Jain %.3f", solo, beside, jain)
}

// slow is a store whose answers take a while, so that a revocation falls into the middle of handshakes and of leases being saved.
type slow struct{ Store }

func (s slow) WorkerByKey(ctx context.Context, key []byte) (Worker, bool, error) {
	w, ok, err := s.Store.WorkerByKey(ctx, key)
	<-time.After(40 * time.Millisecond) // what it found is old by now
	return w, ok, err
}

func (s slow) Lease(ctx context.Context, a Attempt) error {
	<-time.After(30 * time.Millisecond)
	return s.Store.Lease(ctx, a)
}

func (s slow) Revoke(ctx context.Context, id int64, now time.Time) error {
	err := s.Store.Revoke(ctx, id, now)
	<-time.After(5 * time.Millisecond)
	return err
}

// clinging is a machine that never gives up: it connects again and again, and does at once what it is given.
type clinging struct {
	revoked   time.Time // when that was acknowledged; zero before
	late      int       // jobs that it was given after that
	got       int       // and before
	connected int
	mu        sync.Mutex
}

func (c *clinging) take(a protocol.Assign) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.revoked.IsZero() && time.Now().After(c.revoked) { // what was on its way at that moment takes no time here
		c.late++
	} else {
		c.got++
	}
}

// cling goes on until the test is over. Before the revocation the machine leaves every 700 ms by itself, after it it stays wherever it is let in.
func (c *clinging) cling(ctx context.Context, h *hand) {
	pause := 50 * time.Millisecond
	for {
		h.connect(func(f *protocol.Hello) { f.Slots = 4 })
		if h.bye == nil {
			conn := h.conn
			stop := context.AfterFunc(ctx, func() { conn.CloseNow() })
			c.mu.Lock()
			c.connected++
			if c.revoked.IsZero() {
				time.AfterFunc(700*time.Millisecond, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					if c.revoked.IsZero() {
						go conn.CloseNow()
					}
				})
			}
			c.mu.Unlock()
			for f := h.read(); f != nil; f = h.read() {
				if a, ok := f.(protocol.Assign); ok {
					c.take(a)
					write(context.Background(), h.conn, protocol.Accept{Lease: a.Lease})
					write(context.Background(), h.conn, protocol.Event{Lease: a.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "ok"}})
				}
			}
			stop()
			conn.CloseNow()
		} else {
			pause = min(2*pause, 5*time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// In each trial a machine that comes, works and goes is unlinked at another moment; a job waits in every second of the next 20, and none of them may reach it.
func TestRevokedWorkerGetsNothing(t *testing.T) {
	const trials, shards = 1000, 4
	var late, idle atomic.Int64
	t.Run("trials", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for i := shard; i < trials; i += shards {
					revokeAtWork(t, time.Duration(i)*800*time.Microsecond, &late, &idle) // over one round of coming and going
				}
			})
		}
	})
	if n := late.Load(); n > 0 {
		t.Errorf("%d jobs reached a machine after it was revoked", n)
	}
	if n := idle.Load(); n > trials/100 { // then the trials would prove nothing
		t.Errorf("in %d of %d trials the machine was not at work", n, trials)
	}
}

// revokeAtWork unlinks a machine so long after it began to work, adds the jobs that reach it later to late, and one to idle if it never worked.
func revokeAtWork(t *testing.T, moment time.Duration, late, idle *atomic.Int64) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		b.over = func(s Store) Store { return slow{s} }
		b.begin()
		evil := b.decided().enlist(9)
		busy := b.enlist(8).connect(func(f *protocol.Hello) { f.Slots = 1 }) // with it there, jobs may wait, and it does too few of them
		go busy.serve(3 * time.Second)
		ctx, over := context.WithCancel(t.Context())
		c, done := &clinging{}, make(chan struct{})
		go func() { defer close(done); c.cling(ctx, evil) }()
		jobs := 0
		ask := func() { jobs++; b.do(asked(fmt.Sprint("r", jobs), community.MemberID(1+jobs%3))) }
		for range 8 {
			<-time.After(250 * time.Millisecond)
			ask()
		}
		<-time.After(moment)
		if err := b.pool.Revoke(t.Context(), 1, community.Member{ID: 9}); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		c.revoked = time.Now()
		c.mu.Unlock()
		for range 20 {
			ask()
			<-time.After(time.Second)
		}
		over()
		<-done
		busy.close()
		if late.Add(int64(c.late)); c.got == 0 || c.connected < 2 {
			idle.Add(1)
		}
	})
}

// Whatever happens, the scheduler gives no worker more than its slots, more than one beyond what it has done, or what it may not see, leaves nobody idle who
// could work, and in the end every job is done.
func TestSchedulerKeepsItsRules(t *testing.T) {
	operations := 0
	rapid.Check(t, func(t *rapid.T) {
		s := testScheduler()
		now := start
		jobs, queued, running := map[int64]*Job{}, map[int64]bool{}, map[int64]int64{}
		machines, offers := map[int64]Worker{}, map[int64][]*offer{}
		slots, did := map[int64]int{}, map[int64]int{}
		var id int64
		// A worker that is neither the operator's, nor vouched for where the job comes from, nor the asker's own has one job more than it has done.
		stranger := func(w, job int64) bool {
			m := machines[w]
			return !m.Operator && m.Vouched[jobs[job].Community] == "" && m.Owner != jobs[job].Member
		}
		others := func(w int64) (n int) {
			for j, at := range running {
				if at == w && jobs[j].Member != machines[w].Owner {
					n++
				}
			}
			return n
		}
		settle := func() {
			operations++
			for _, a := range s.take() {
				if !queued[a.job] {
					t.Fatalf("job %d was given out and is not queued", a.job)
				}
				if stranger(a.worker, a.job) && others(a.worker) > did[a.worker] {
					t.Fatalf("worker %d has done %d jobs and got job %d beside %d", a.worker, did[a.worker], a.job, others(a.worker))
				}
				delete(queued, a.job)
				running[a.job] = a.worker
				n := needOf(jobs[a.job])
				w := s.nodes[a.worker]
				if w == nil || !a.offer.suits(&n) || !w.admits(jobs[a.job].Class, jobs[a.job].Community) {
					t.Fatalf("job %d went to worker %d, who may not do it", a.job, a.worker)
				}
			}
			used := map[int64]int{}
			for _, w := range running {
				if used[w]++; used[w] > slots[w] {
					t.Fatalf("worker %d has %d jobs in %d slots", w, used[w], slots[w])
				}
			}
			for w, node := range s.nodes {
				if !node.usable() || used[w] >= slots[w] {
					continue
				}
				for j := range queued {
					if stranger(w, j) && others(w) > did[w] {
						continue
					}
					n := needOf(jobs[j])
					for _, o := range offers[w] {
						if o.suits(&n) && node.admits(jobs[j].Class, jobs[j].Community) && len(s.jobs[j].barred) == 0 && !s.resting(node, o) {
							t.Fatalf("worker %d is idle and job %d waits", w, j)
						}
					}
				}
			}
		}
		pick := func(name string, m map[int64]int64) int64 {
			var ids []int64
			for k := range m {
				ids = append(ids, k)
			}
			slices.Sort(ids)
			if len(ids) == 0 {
				return 0
			}
			return rapid.SampledFrom(ids).Draw(t, name)
		}
		models := []string{"a", "b", "c"}
		connect := func(w int64) {
			row := Worker{ID: w, Owner: community.MemberID(w % 3), Operator: w%2 == 0}
			if w == 5 {
				row.Vouched = map[community.CommunityID]Class{"a": Community}
			}
			machines[w] = row
			offers[w] = []*offer{chatOffer(models[w%3], true), chatOffer(models[(w+1)%3], false)}
			if s.nodes[w] == nil {
				slots[w] = rapid.IntRange(1, 3).Draw(t, "slots")
			}
			s.connect(row, offers[w], slots[w], false, now)
		}
		t.Repeat(map[string]func(*rapid.T){
			"submit": func(t *rapid.T) {
				id++
				j := chatJob(id, community.CommunityID(rapid.SampledFrom(models).Draw(t, "community")), community.MemberID(rapid.IntRange(1, 5).Draw(t, "member")), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "model"))
				j.Class = rapid.SampledFrom([]Class{Public, Community, Private}).Draw(t, "class")
				jobs[id], queued[id] = j, true
				s.submit(j, rapid.Float64Range(0.1, 50).Draw(t, "seconds"), now)
				settle()
			},
			"done": func(t *rapid.T) {
				if j := pick("job", running); j != 0 {
					did[running[j]]++
					delete(running, j)
					s.settled(j, rapid.Float64Range(0.1, 50).Draw(t, "seconds"), now)
					settle()
				}
			},
			"failed": func(t *rapid.T) {
				if j := pick("job", running); j != 0 {
					delete(running, j)
					s.end(j, rapid.SampledFrom([]verdict{blameless, crowded, failed}).Draw(t, "verdict"), now)
					queued[j] = true
					s.again(j, now)
					settle()
				}
			},
			"connect": func(t *rapid.T) { connect(rapid.Int64Range(1, 5).Draw(t, "worker")); settle() },
			"leave": func(t *rapid.T) {
				w := rapid.Int64Range(1, 5).Draw(t, "worker")
				for j, at := range running {
					if at == w {
						delete(running, j)
						s.change(w, now, func(n *node) { n.away = true })
						s.end(j, blameless, now)
						queued[j] = true
						s.again(j, now)
					}
				}
				s.leave(w, now)
				settle()
			},
			"stop": func(t *rapid.T) {
				if id > 0 {
					j := rapid.Int64Range(1, id).Draw(t, "job")
					delete(queued, j)
					delete(running, j)
					s.drop(j, now)
					settle()
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 60000).Draw(t, "ms")) * time.Millisecond)
				s.tick(now)
				settle()
			},
		})
		// Nobody starves: with all machines there, everything comes to its end.
		for w := range int64(6) {
			connect(w + 1)
			settle()
		}
		for round := 0; len(queued)+len(running) > 0; round++ {
			if round > 10*len(jobs)+100 {
				t.Fatalf("%d jobs are never done", len(queued)+len(running))
			}
			now = now.Add(time.Minute)
			s.tick(now)
			settle()
			for j, w := range running {
				did[w]++
				delete(running, j)
				s.settled(j, 1, now)
				settle()
			}
		}
	})
	t.Logf("%d operations", operations)
}
