package workers

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

var (
	seeds     = flag.Int("seeds", 20, "how many worlds TestSimulation plays")
	firstSeed = flag.Uint64("seed", 1, "the first world that TestSimulation plays")
)

// A world is a small Potluck under a fake clock: the real Pool, link and handshake over pipes, a store with a ledger, members who ask and stop,
// workers who come, go, lie and fail, and a bot that restarts. Whatever is random is drawn from the seed and from what it is for, never from
// who came first, so a seed plays the same way each time: every world is played twice and compared, but under the race detector.
type world struct {
	t     *testing.T
	seed  uint64
	begun time.Time
	cfg   Config
	rates *ledger.Rates
	kept  simStore
	shaky bool // the store fails now and then
	over  chan struct{}
	tasks sync.WaitGroup

	mu       sync.Mutex
	pool     *Pool
	net      *pipes // nil while the bot is down
	log      []string
	finals   map[string]string
	leases   []string          // all that workers have seen
	names    map[string]string // of leases, without what is random in them
	revoked  map[int]time.Time
	calls    map[string]int
	explored map[string]int
}

// simStore is what a world needs of a store.
type simStore struct {
	Store
	Ledger
}

// Ledger is what a test sees of members and credits beside the pool.
type Ledger interface {
	Member(i int) (community.MemberID, ledger.Payer)
	// MakeOperator is called before the member's machines are linked: they may see everything.
	MakeOperator(community.MemberID)
	// Sound names the first broken rule of the ledger; final tells that no hold may stand any more.
	Sound(final bool) error
	Earned(community.MemberID) ledger.Amount // in escrow
}

var openSQLite func(testing.TB) (Store, Ledger)

// SetSQLite is for package workers_test, which may import the real database.
func SetSQLite(open func(testing.TB) (Store, Ledger)) { openSQLite = open }

func inSQLite(t testing.TB) simStore {
	s, l := openSQLite(t)
	return simStore{s, l}
}

// dice gives the random numbers of one matter.
func (w *world) dice(matter ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintln(h, matter...)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// between draws a duration to the nanosecond, so that no two things happen at once.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low))|1)
}

// pass waits on the fake clock; false when the world ends first.
func (w *world) pass(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.over:
		return false
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.over: // everybody goes at once, in any order
		return
	default:
	}
	w.log = append(w.log, fmt.Sprintf("%015d ", time.Since(w.begun))+fmt.Sprintf(format, args...))
}

func (w *world) wrong(format string, args ...any) {
	w.t.Errorf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *world) seen(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.explored[what]++
}

// play runs one world to its end and returns the hash of its log.
func play(t *testing.T, seed uint64, open func(testing.TB) simStore) (hash string, log []string, explored map[string]int) {
	faketime.Test(t, func(t *testing.T) {
		w := &world{
			t: t, seed: seed, begun: time.Now(), rates: ledger.DefaultRates(), over: make(chan struct{}), finals: map[string]string{}, revoked: map[int]time.Time{},
			calls: map[string]int{}, explored: map[string]int{}, names: map[string]string{},
		}
		w.kept = open(t)
		r := w.dice("world")
		w.shaky = r.IntN(4) == 0
		w.cfg = DefaultConfig()
		w.cfg.ServerKey, w.cfg.BlobDir, w.cfg.PublicURL, w.cfg.AllowLoopback = ed25519.NewKeyFromSeed(make([]byte, 32)), t.TempDir(), "http://127.0.0.1", true
		var actors, members sync.WaitGroup
		for i := range 1 + r.IntN(5) {
			m := w.enlist(i)
			actors.Go(m.live)
		}
		stop := w.begin()
		actors.Go(func() { // the bot's own fate
			r := w.dice("bot")
			for range r.IntN(3) {
				if !w.pass(between(r, 2*time.Second, 60*time.Second)) {
					break
				}
				stop(r.IntN(2) == 0)
				w.seen("restart")
				w.pass(between(r, time.Millisecond, 8*time.Second))
				stop = w.begin()
			}
			<-w.over
			stop(false)
		})
		if r.IntN(3) == 0 {
			actors.Go(w.revoke)
		}
		for i := range 2 + r.IntN(4) {
			members.Go(func() { w.ask(i) })
		}
		members.Wait()
		for range 60 { // what nobody waits for comes to its end
			<-time.After(time.Second + 1)
		}
		w.idle()
		close(w.over)
		actors.Wait()
		w.tasks.Wait()
		<-time.After(time.Second) // net/http keeps a connection for half a second after it refused a body
		if err := w.kept.Sound(true); err != nil {
			w.wrong("%v", err)
		}
		jobs, attempts, err := w.kept.Open(context.Background())
		if err != nil || len(jobs)+len(attempts) != 0 {
			w.wrong("%d jobs and %d attempts are open at the end: %v", len(jobs), len(attempts), err)
		}
		slices.Sort(w.log)
		sum := sha256.Sum256([]byte(strings.Join(w.log, "\n")))
		if t.Failed() {
			t.Log(strings.Join(w.log, "\n"))
		}
		hash, log, explored = hex.EncodeToString(sum[:]), w.log, w.explored
	})
	return hash, log, explored
}

// begin starts the bot; the returned function ends it, gently or as a kill does.
func (w *world) begin() (stop func(kill bool)) {
	store := &frail{simStore: w.kept, w: w, dead: make(chan struct{})}
	pool, err := New(w.cfg, store, w.rates, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := pool.Run(ctx); err != nil {
			w.wrong("run: %v", err)
		}
	}()
	p := newPipes()
	server := &http.Server{Handler: pool.Handler()}
	go func() { _ = server.Serve(p) }()
	w.mu.Lock()
	w.pool, w.net = pool, p
	w.mu.Unlock()
	w.note("bot begins")
	return func(kill bool) {
		w.note("bot ends, killed %v", kill)
		w.mu.Lock()
		w.net = nil
		w.mu.Unlock()
		p.Close()
		if kill {
			close(store.dead)
			pool.link.mu.Lock()
			for _, s := range pool.link.sessions {
				go s.conn.CloseNow()
			}
			pool.link.mu.Unlock()
			faketime.Wait() // nobody hears a goodbye
		}
		cancel()
		if !kill {
			<-ended
		}
		server.Close()
	}
}

// revoke unlinks one machine at some time; after that it must get nothing.
func (w *world) revoke() {
	r := w.dice("revoke")
	machine := int64(1 + r.IntN(2))
	for wait := between(r, time.Second, 60*time.Second); w.pass(wait); wait = between(r, time.Millisecond, time.Second) {
		w.mu.Lock()
		pool := w.pool
		w.mu.Unlock()
		err := pool.Revoke(context.Background(), machine, community.Member{Operator: true})
		if err == nil {
			w.mu.Lock()
			w.revoked[int(machine-1)] = time.Now()
			w.mu.Unlock()
			w.note("machine %d is revoked", machine-1)
			w.seen("revoked")
		}
		if err == nil || explained(err) {
			return
		}
	}
}

// idle checks that the Pool has nothing left to do and owes nobody anything.
func (w *world) idle() {
	up := func() *Pool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.net == nil {
			return nil
		}
		return w.pool
	}
	p := up()
	for ; p == nil; p = up() {
		<-time.After(time.Second + 1)
	}
	err := p.ask(context.Background(), func(time.Time) {
		s := p.sched
		if len(p.jobs)+len(p.keys)+len(p.leases)+len(p.restored)+p.running != 0 {
			w.wrong("the pool keeps %d jobs, %d keys, %d leases, %d restored, %d tasks", len(p.jobs), len(p.keys), len(p.leases), len(p.restored), p.running)
		}
		if len(s.jobs)+s.queued+len(s.mine)+len(s.retries) != 0 {
			w.wrong("the scheduler keeps %d jobs, %d queued, %d members', %d retries", len(s.jobs), s.queued, len(s.mine), len(s.retries))
		}
		for _, n := range s.nodes {
			if n.running != 0 {
				w.wrong("worker %d has %d slots in use", n.id, n.running)
			}
		}
		for id, c := range s.root.communities {
			if c.queued+c.running != 0 {
				w.wrong("community %s has %d queued and %d running", id, c.queued, c.running)
			}
		}
		for _, v := range p.present {
			if len(v.leases) != 0 || v.session != nil && len(v.session.bindings) != 0 {
				w.wrong("worker %d keeps %d leases", v.ID, len(v.leases))
			}
		}
	})
	if err != nil {
		w.wrong("%v", err)
	}
	if err := w.kept.Sound(false); err != nil {
		w.wrong("%v", err)
	}
}

// ask is one member's evening.
func (w *world) ask(i int) {
	r := w.dice("member", i)
	var wishes sync.WaitGroup
	defer wishes.Wait()
	for n := range 1 + r.IntN(8) {
		if r.IntN(3) > 0 {
			<-time.After(between(r, time.Millisecond, 10*time.Second))
		} else {
			<-time.After(between(r, 0, time.Millisecond))
		}
		wishes.Go(func() { w.wish(i, n) })
	}
}

func (w *world) job(i, n int) Job {
	tag := fmt.Sprintf("m%d-%d", i, n)
	r := w.dice("job", tag)
	member, payer := w.kept.Member(i)
	j := Job{
		Origin: Origin{
			Key: "sim-" + tag + ":step", Class: Public, Community: community.CommunityID(fmt.Sprint("sim:", i%2)), Member: member, Payer: payer, Quality: protocol.Rough,
		},
		Wait: between(r, 20*time.Second, 3*time.Minute),
	}
	switch r.IntN(6) {
	case 0:
		j.Class = Community
	case 1:
		if r.IntN(4) == 0 {
			j.Class = Private
		}
	}
	switch k := r.IntN(10); {
	case k < 6:
		j.Kind, j.Chat = protocol.Chat, &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: tag}}, MaxTokens: 50 + r.IntN(2000)}
		j.Work = ledger.Work{Kind: "chat", InTokens: 10 + r.IntN(1000), OutTokens: j.Chat.MaxTokens}
		if r.IntN(3) == 0 {
			j.Model = w.rates.Canonical("llama3.1:8b")
		}
		j.Check = func(res Result) error { return same(res.Text, tag) }
	case k < 9:
		j.Kind, j.Translate = protocol.Translate, &protocol.TranslateJob{From: "en", To: "es", Segments: [][]protocol.Piece{{{Text: tag}, {Keep: 1}}, {{Text: "second"}}}}
		j.Work = ledger.Work{Kind: "translate", InTokens: 10 + r.IntN(200)}
		j.Check = func(res Result) error { return same(res.Segments[0][1].Text, tag) }
	default:
		j.Kind, j.Image = protocol.Image, &protocol.ImageJob{Prompt: tag, Width: 64, Height: 64, Steps: 4, Count: 1 + r.IntN(2)}
		j.Work = ledger.Work{Kind: "image", Pixels: int64(j.Image.Count) * 64 * 64, Steps: 4}
		j.Check = func(res Result) error {
			for _, p := range res.Blobs {
				b, err := os.ReadFile(p)
				if err != nil {
					return err
				}
				if err := same(string(b), tag); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return j
}

func same(got, tag string) error {
	if !strings.HasPrefix(got, tag+" ") {
		return errors.New("not an answer to this")
	}
	return nil
}

// wish is one accepted request: it is asked again until it has a final answer, as the Router does after a restart.
func (w *world) wish(i, n int) {
	j := w.job(i, n)
	r := w.dice("wish", j.Key)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	if r.IntN(7) == 0 {
		t := time.AfterFunc(between(r, time.Millisecond, 40*time.Second), func() { w.note("stop %s", j.Key); stop(fault.New(fault.Cancelled)) })
		defer t.Stop()
	}
	for limit := time.Now().Add(15 * time.Minute); ; {
		attempt := 0
		w.mu.Lock()
		pool := w.pool
		w.mu.Unlock()
		text := ""
		res, err := pool.Do(ctx, j, func(e Event) {
			if e.Kind == Waiting {
				attempt, text = max(attempt, 0), ""
				return
			}
			if e.Attempt < attempt {
				w.wrong("%s: news of attempt %d after %d", j.Key, e.Attempt, attempt)
			}
			if e.Attempt > attempt {
				attempt, text = e.Attempt, ""
			}
			if e.Kind == Text {
				if text = e.Text; !strings.HasPrefix(text, j.Chat.Messages[0].Text+" ") && !strings.HasPrefix(text, "nonsense") {
					w.wrong("%s was shown %q", j.Key, text)
				}
			}
		})
		switch {
		case err == nil:
			if err := j.Check(res); err != nil {
				w.wrong("%s ended with a wrong result: %v", j.Key, err)
			}
			w.final(j, fmt.Sprint("done by ", res.Worker, " ", res.Text, res.Segments, len(res.Blobs)))
			w.seen("done")
		case explained(err):
			w.final(j, "failed: "+string(fault.Of(err).Code))
			w.seen("failed " + string(fault.Of(err).Code))
		default:
			w.seen("asked again")
			if time.Now().After(limit) {
				w.wrong("%s has no final answer after 15 minutes: %v", j.Key, err)
				return
			}
			<-time.After(between(r, time.Millisecond, time.Second))
			continue
		}
		break
	}
	// The answer stays what it was, whoever asks again.
	if r.IntN(3) == 0 {
		<-time.After(between(r, 0, 30*time.Second))
		stored, known, err := w.kept.JobByKey(context.Background(), j.Key)
		switch {
		case err != nil:
			w.wrong("%v", err)
		case known && !stored.State.Final():
			w.wrong("%s was answered and is %s", j.Key, stored.State)
		case known:
			w.mu.Lock()
			pool, was := w.pool, w.finals[j.Key]
			w.mu.Unlock()
			res, err := pool.Do(context.Background(), j, nil)
			again := fmt.Sprint("done by ", res.Worker, " ", res.Text, res.Segments, len(res.Blobs))
			if err != nil {
				again = "failed: " + string(fault.Of(err).Code)
			}
			if (err == nil || explained(err)) && again != was {
				w.wrong("%s was %q, asked again it is %q", j.Key, was, again)
			}
		}
	}
}

// explained tells whether people hear why; anything else is tried again.
func explained(err error) bool {
	_, ok := errors.AsType[*fault.Error](err)
	return ok
}

func (w *world) final(j Job, what string) {
	w.note("final %s %s", j.Key, what)
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, twice := w.finals[j.Key]; twice {
		w.t.Errorf("seed %d: %s ended twice: %q, %q", w.seed, j.Key, was, what)
	}
	w.finals[j.Key] = what
}

func inMemory(testing.TB) simStore {
	b := newBooks()
	return simStore{b, b}
}

func TestSimulation(t *testing.T) {
	explored := map[string]int{}
	began := time.Now()
	for seed := *firstSeed; seed < *firstSeed+uint64(*seeds); seed++ {
		open, kind := inMemory, "memory"
		if seed%50 == 0 {
			open, kind = inSQLite, "SQLite"
		}
		hash, log, what := play(t, seed, open)
		for k, n := range what {
			explored[k] += n
		}
		if t.Failed() {
			t.Fatalf("the store of seed %d was in %s", seed, kind)
		}
		if !faketime.Exact {
			continue
		}
		if again, log2, _ := play(t, seed, open); again != hash {
			t.Fatalf("seed %d played differently the second time:\n%s", seed, firstDifference(log, log2))
		}
	}
	var lines []string
	for k, n := range explored {
		lines = append(lines, fmt.Sprintf("%s: %d", k, n))
	}
	slices.Sort(lines)
	t.Logf("%d worlds in %v had %s", *seeds, time.Since(began).Round(time.Second), strings.Join(lines, ", "))
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			from := max(0, i-15)
			return strings.Join(a[from:min(i+5, len(a))], "\n") + "\n--- and\n" + strings.Join(b[from:min(i+5, len(b))], "\n")
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a), len(b))
}

// saysNo saves everything and reports the first saved lease as failed: what a disk does that fills up while it confirms.
type saysNo struct {
	Store
	said bool
}

func (s *saysNo) Lease(ctx context.Context, a Attempt) error {
	err := s.Store.Lease(ctx, a)
	if err == nil && !s.said {
		s.said = true
		return errStore
	}
	return err
}

// Such a job was lost until the next restart: leased to nobody, its credit held, and every Do of its key failed.
func TestLeaseThatWasSavedAlthoughTheStoreSaidNo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		b.over = func(s Store) Store { return &saysNo{Store: s} }
		b.begin()
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		b.settledOnce(1)
	})
}

// A stop that came between two runs of the bot was answered with "cancelled", at random, while the job went on and was paid.
func TestStopOfAJobOfAnEarlierRunStopsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		const jobs = 20
		h := b.enlist(9, known).connect(func(f *protocol.Hello) { f.Slots = jobs })
		var leases []protocol.Running
		for i := range jobs {
			b.do(asked(fmt.Sprint("r", i), 1))
			leases = append(leases, protocol.Running{Lease: h.take().Lease, Attempt: 1})
		}
		faketime.Wait()
		b.end()
		b.begin()
		h.connect(func(f *protocol.Hello) { f.Slots, f.Running = jobs, leases })
		defer h.close()
		stopped, stop := context.WithCancelCause(t.Context())
		stop(fault.New(fault.Cancelled))
		for i := range jobs {
			if _, err := b.pool.Do(stopped, asked(fmt.Sprint("r", i), 1), nil); !fault.Has(err, fault.Cancelled) {
				t.Errorf("job %d ended with %v", i, err)
			}
			if j, _, _ := b.store.JobByKey(t.Context(), asked(fmt.Sprint("r", i), 1).Key); j.State != Cancelled {
				t.Errorf("job %d is %s after it was stopped", i, j.State)
			}
		}
	})
}
