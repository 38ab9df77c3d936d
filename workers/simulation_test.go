package workers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

var (
	seeds     = flag.Int("seeds", 20, "how many worlds TestSimulation plays")
	replay    = flag.Uint64("replay", 10, "every which world TestSimulation plays twice, to see whether it goes the same way")
	firstSeed = flag.Uint64("seed", 1, "the first world that TestSimulation plays")
)

// A world is a small Potluck under a fake clock: the real Pool, link and handshake over pipes, a store with a ledger, members who ask and stop,
// workers who come, go, lie and fail, and a bot that restarts. Whatever is random is drawn from the seed and from what it is for, never from
// who came first, so a seed plays the same way each time.
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

// frail is the store as one run of the bot sees it: each call takes a while, may fail before or after it was saved, and none comes
// through once the run was killed.
type frail struct {
	simStore
	w    *world
	dead chan struct{}
}

var errStore = errors.New("the disk said no")

func (f *frail) call(ctx context.Context, what, about string, do func() error) error {
	f.w.mu.Lock()
	key := what + " " + about
	f.w.calls[key]++
	r := f.w.dice("store", key, f.w.calls[key])
	f.w.mu.Unlock()
	slow := 3 * time.Millisecond
	if r.IntN(20) == 0 {
		slow = 400 * time.Millisecond
	}
	t := time.NewTimer(between(r, 100*time.Microsecond, slow))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-f.dead:
		return errStore
	}
	luck := r.IntN(25)
	if f.w.shaky && luck == 0 {
		f.w.note("store %s refused", key)
		return errStore
	}
	err := do()
	f.w.note("store %s: %v", key, err)
	if f.w.shaky && luck == 1 && err == nil {
		f.w.note("store %s saved, but says no", key)
		f.w.seen("commit of unknown end")
		return errStore
	}
	return err
}

func (f *frail) Submit(ctx context.Context, j Job, c ledger.Charge, now time.Time) (out Job, err error) {
	err = f.call(ctx, "submit", j.Key, func() (err error) { out, err = f.Store.Submit(ctx, j, c, now); return err })
	return out, err
}

func (f *frail) JobByKey(ctx context.Context, key string) (out Job, ok bool, err error) {
	err = f.call(ctx, "job", key, func() (err error) { out, ok, err = f.Store.JobByKey(ctx, key); return err })
	return out, ok, err
}

func (f *frail) Lease(ctx context.Context, a Attempt) error {
	f.w.mu.Lock()
	f.w.names[a.Lease] = fmt.Sprint(a.Job, "/", a.Number)
	f.w.mu.Unlock()
	return f.call(ctx, "lease", fmt.Sprint(a.Job, " to ", a.Worker, " as ", a.Number), func() error { return f.Store.Lease(ctx, a) })
}

func (f *frail) Requeue(ctx context.Context, lease string, o Outcome, counts bool, now time.Time) error {
	f.w.mu.Lock()
	name := f.w.names[lease]
	f.w.mu.Unlock()
	return f.call(ctx, "requeue", name+" "+string(o), func() error { return f.Store.Requeue(ctx, lease, o, counts, now) })
}

func (f *frail) Finish(ctx context.Context, s Settlement) error {
	return f.call(ctx, "finish", fmt.Sprint(s.Attempt.Job, " as ", s.Attempt.Number, " paid ", s.Bill.Paid), func() error { return f.Store.Finish(ctx, s) })
}

func (f *frail) Abandon(ctx context.Context, job int64, why *fault.Error, o Outcome, now time.Time) error {
	return f.call(ctx, "abandon", fmt.Sprint(job, " ", why.Code, " ", o), func() error { return f.Store.Abandon(ctx, job, why, o, now) })
}

func (f *frail) WorkerByKey(ctx context.Context, key []byte) (out Worker, ok bool, err error) {
	err = f.call(ctx, "worker", hex.EncodeToString(key[:4]), func() (err error) { out, ok, err = f.Store.WorkerByKey(ctx, key); return err })
	return out, ok, err
}

// play runs one world to its end and returns the hash of its log.
func play(t *testing.T, seed uint64, open func(testing.TB) simStore) (hash string, log []string, explored map[string]int) {
	synctest.Test(t, func(t *testing.T) {
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
			synctest.Wait() // nobody hears a goodbye
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

// machine is a worker of the world. It outlives its connections.
type machine struct {
	w    *world
	i    int
	id   int64
	key  ed25519.PrivateKey
	lies int // per cent of jobs that go wrong in some way

	mu      sync.Mutex
	conn    *websocket.Conn // nil while away
	token   string
	net     *pipes
	running map[string]*task
}

type task struct {
	assign  protocol.Assign
	attempt int
	stop    context.CancelFunc
	final   *protocol.Event
	text    string
	seq     int
	on      *websocket.Conn // where its text was told last: anywhere else it begins with the whole
}

func (w *world) enlist(i int) *machine {
	r := w.dice("machine", i)
	seed := sha256.Sum256(fmt.Appendln(nil, "machine", i))
	m := &machine{w: w, i: i, key: ed25519.NewKeyFromSeed(seed[:]), running: map[string]*task{}, lies: []int{0, 20, 50, 90}[r.IntN(4)]}
	ctx := context.Background()
	code := sha256.Sum256(fmt.Append(nil, "code", i))
	owner, _ := w.kept.Member(i + 2) // some owners ask, too
	if r.IntN(3) == 0 {
		w.kept.MakeOperator(owner)
	}
	if err := w.kept.SaveJoinCode(ctx, code, owner, fmt.Sprint("box ", i), true, time.Now().Add(protocol.JoinLifetime)); err != nil {
		w.t.Fatal(err)
	}
	row, err := w.kept.Enrol(ctx, code, m.key.Public().(ed25519.PublicKey), protocol.Hardware{}, 20, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	m.id = row.ID
	return m
}

// live is a machine's evening: on, off, on again.
func (m *machine) live() {
	r := m.w.dice("life", m.i)
	m.w.pass(between(r, 0, 5*time.Second))
	forget := -1
	if r.IntN(10) == 0 {
		forget = r.IntN(60)
	}
	for life := 0; ; life++ {
		ctx, cancel := context.WithCancel(context.Background())
		end := time.AfterFunc(between(r, time.Second, 4*time.Minute), cancel)
		off := context.AfterFunc(ctx, func() {})
		go func() {
			select {
			case <-m.w.over:
				cancel()
			case <-ctx.Done():
			}
		}()
		if err := m.connect(ctx, r); err != nil {
			m.w.note("machine %d: %v", m.i, err)
			if strings.Contains(err.Error(), protocol.ByeRevoked) {
				end.Stop()
				cancel()
				return
			}
		}
		off()
		end.Stop()
		cancel()
		if forget >= 0 && life >= forget%3 { // a process that was killed knows nothing of its jobs
			m.dropAll()
		}
		if !m.w.pass(between(r, 200*time.Millisecond, 12*time.Second)) {
			m.dropAll()
			return
		}
	}
}

func (m *machine) dropAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for lease, t := range m.running {
		t.stop()
		delete(m.running, lease)
	}
}

func (m *machine) offers(r *rand.Rand) []protocol.Offer {
	all := slices.Clone(allOffers)
	if r.IntN(3) == 0 {
		all = slices.Delete(all, 1, 2)
	}
	all = append(all, protocol.Offer{Kind: protocol.Chat, Engine: "openai", Model: "qwen2.5:7b", Context: 4096, Loaded: r.IntN(2) == 0})
	return all
}

// connect is one connection, from dialling to its end.
func (m *machine) connect(ctx context.Context, r *rand.Rand) error {
	m.w.mu.Lock()
	p := m.w.net
	m.w.mu.Unlock()
	if p == nil {
		return errors.New("nobody there")
	}
	client := &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}
	dialCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	nonce := make([]byte, 32)
	public := m.key.Public().(ed25519.PublicKey)
	q := url.Values{"v": {"1"}, "key": {base64.RawURLEncoding.EncodeToString(public)}, "nonce": {base64.RawURLEncoding.EncodeToString(nonce)}}
	conn, _, err := websocket.Dial(dialCtx, "http://pool"+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return errors.New("not dialled")
	}
	defer conn.CloseNow()
	conn.SetReadLimit(protocol.MaxAssign)
	_, data, err := conn.Read(dialCtx)
	if err != nil {
		return errors.New("no challenge")
	}
	f, _ := protocol.Decode(data)
	c, ok := f.(protocol.Challenge)
	if !ok {
		return errors.New("no challenge")
	}
	slots := 1 + r.IntN(3)
	hello := protocol.Hello{
		Protocol: 1, Slots: slots, Program: "sim", Paused: r.IntN(15) == 0, Offers: m.offers(r),
		Signature: ed25519.Sign(m.key, protocol.Transcript(protocol.RoleWorker, 1, c.Nonce, nonce, c.Key, public)),
	}
	m.mu.Lock()
	for lease, t := range m.running {
		hello.Running = append(hello.Running, protocol.Running{Lease: lease, Attempt: t.attempt})
	}
	m.mu.Unlock()
	if !m.w.pass(between(r, time.Millisecond, 300*time.Millisecond)) {
		return nil
	}
	write(ctx, conn, hello)
	if _, data, err = conn.Read(dialCtx); err != nil {
		return errors.New("no welcome")
	}
	switch f, _ := protocol.Decode(data); f := f.(type) {
	case protocol.Welcome:
		m.welcome(conn, p, f)
	case protocol.Bye:
		return errors.New("bye " + f.Code)
	default:
		return fmt.Errorf("%T for a welcome", f)
	}
	m.w.note("machine %d is on", m.i)
	beats := make(chan struct{})
	half := r.IntN(12) == 0 // half-open: after a while nothing comes through any more, and nobody closes anything
	deaf := time.Now().Add(between(r, time.Second, 30*time.Second))
	pace := between(r, 4900*time.Millisecond, 5*time.Second)
	alive := func() bool { return !half || time.Now().Before(deaf) }
	go func() {
		defer close(beats)
		t := time.NewTicker(pace)
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
			if alive() {
				m.mu.Lock()
				free := slots - len(m.running)
				m.mu.Unlock()
				m.send(conn, protocol.Beat{Free: max(free, 0)})
			}
		}
	}()
	var ended error
	for n := 0; ; n++ {
		_, data, err := conn.Read(ctx)
		if err != nil {
			break
		}
		if !alive() {
			m.w.seen("half-open")
			<-ctx.Done()
			break
		}
		f, _ := protocol.Decode(data)
		m.w.note("machine %d is sent a %T", m.i, f)
		<-time.After(between(m.w.dice("wire", m.i, r.Uint64()), 0, 30*time.Millisecond))
		if b, ok := f.(protocol.Bye); ok {
			m.w.note("machine %d: bye %s", m.i, b.Code)
			if b.Code == protocol.ByeRevoked {
				ended = errors.New(b.Code)
			}
			break
		}
		m.hear(conn, f)
	}
	m.mu.Lock()
	if m.conn == conn {
		m.conn = nil
	}
	m.mu.Unlock()
	conn.CloseNow()
	m.w.note("machine %d is off", m.i)
	return ended
}

func write(ctx context.Context, conn *websocket.Conn, f protocol.Frame) {
	b, err := protocol.Encode(f)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = conn.Write(ctx, websocket.MessageText, b)
}

func (m *machine) send(conn *websocket.Conn, f protocol.Frame) {
	if conn != nil {
		write(context.Background(), conn, f)
	}
}

// tell sends on whatever connection there is.
func (m *machine) tell(f protocol.Frame) {
	m.mu.Lock()
	conn := m.conn
	m.mu.Unlock()
	m.send(conn, f)
}

func (m *machine) welcome(conn *websocket.Conn, p *pipes, f protocol.Welcome) {
	m.mu.Lock()
	m.conn, m.net, m.token = conn, p, f.Token
	var again []protocol.Event
	var names []string
	for lease, t := range m.running {
		switch {
		case !slices.Contains(f.Adopted, lease):
			t.stop()
			delete(m.running, lease)
		case t.final != nil:
			again = append(again, *t.final)
			names = append(names, t.tag())
		default:
			m.w.seen("adopted")
			if t.text != "" {
				t.seq++
				again = append(again, protocol.Event{Lease: lease, Seq: t.seq, Kind: protocol.EventText, Text: t.text, Reset: true})
				names = append(names, t.tag())
			}
		}
	}
	m.mu.Unlock()
	// In an order that the seed decides, not the map.
	at := make([]int, len(again))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	for _, i := range at {
		<-time.After(between(m.w.dice("again", m.i, names[i]), 0, time.Millisecond))
		m.send(conn, again[i])
	}
}

func (t *task) tag() string {
	switch a := t.assign; {
	case a.Chat != nil:
		return a.Chat.Messages[0].Text
	case a.Image != nil:
		return a.Image.Prompt
	default:
		return a.Translate.Segments[0][0].Text
	}
}

func (m *machine) hear(conn *websocket.Conn, f protocol.Frame) {
	switch f := f.(type) {
	case protocol.Assign:
		t := &task{assign: f, attempt: f.Attempt}
		var ctx context.Context
		ctx, t.stop = context.WithCancel(context.Background())
		m.mu.Lock()
		m.running[f.Lease] = t
		m.mu.Unlock()
		m.w.mu.Lock()
		m.w.leases = append(m.w.leases, f.Lease+fmt.Sprintf("%s/%d", t.tag(), f.Attempt))
		at, gone := m.w.revoked[m.i]
		m.w.mu.Unlock()
		if gone && time.Since(at) > 5*time.Second {
			m.w.wrong("machine %d got %s after it was revoked", m.i, t.tag())
		}
		m.w.note("machine %d: assigned %s attempt %d", m.i, t.tag(), f.Attempt)
		m.w.tasks.Go(func() { m.work(ctx, t) })
	case protocol.Cancel:
		m.drop(f.Lease)
	case protocol.Ack:
		m.drop(f.Lease)
	}
}

func (m *machine) drop(lease string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.running[lease]; t != nil {
		t.stop()
		delete(m.running, lease)
	}
}

// work does a job, or what this machine makes of it.
func (m *machine) work(ctx context.Context, t *task) {
	tag := t.tag()
	r := m.w.dice("work", m.i, tag, t.attempt)
	wait := func(low, high time.Duration) bool {
		select {
		case <-time.After(between(r, low, high)):
			return true
		case <-ctx.Done():
			return false
		}
	}
	lease := t.assign.Lease
	trick := ""
	if r.IntN(100) < m.lies {
		trick = []string{
			"refuse", "refuse", "engine", "engine", "overload", "request", "blocked", "too long", "silent", "mute", "nonsense", "nonsense", "empty", "twice", "late", "thief",
			"cut", "cut", "cut", "pause", "reorder", "missing",
		}[r.IntN(22)]
	}
	m.w.seen("trick " + trick)
	if !wait(0, 200*time.Millisecond) {
		return
	}
	fails := func(whose string) {
		m.finish(t, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: whose}})
	}
	switch trick {
	case "refuse":
		m.tell(protocol.Refuse{Lease: lease, Reason: []string{protocol.ReasonBusy, protocol.ReasonModel, protocol.ReasonPolicy, protocol.ReasonPaused}[r.IntN(4)]})
		m.drop(lease)
		return
	case "mute":
		return
	case "overload":
		fails(protocol.FaultOverload)
		return
	}
	m.tell(protocol.Accept{Lease: lease})
	if trick == "silent" {
		return
	}
	pieces := r.IntN(6)
	for k := range pieces {
		if !wait(10*time.Millisecond, 4*time.Second) {
			return
		}
		if t.assign.Chat == nil {
			m.event(t, protocol.Event{Kind: protocol.EventProgress, Fraction: float64(k) / 6})
			continue
		}
		word := "word "
		if k == 0 {
			word = tag + " "
		}
		if trick == "nonsense" {
			word = "nonsense "
		}
		m.mu.Lock()
		t.text += word
		m.mu.Unlock()
		m.event(t, protocol.Event{Kind: protocol.EventText, Text: word})
		if trick == "cut" && k == pieces/2 {
			m.mu.Lock()
			conn := m.conn
			m.mu.Unlock()
			if conn != nil {
				m.w.note("machine %d is cut", m.i)
				conn.CloseNow()
			}
		}
		if trick == "reorder" {
			m.mu.Lock()
			t.seq -= 2
			m.mu.Unlock()
		}
	}
	if !wait(10*time.Millisecond, 6*time.Second) {
		return
	}
	switch trick {
	case "engine":
		fails(protocol.FaultEngine)
		return
	case "request":
		fails(protocol.FaultRequest)
		return
	case "blocked":
		fails(protocol.FaultBlocked)
		return
	case "too long":
		fails(protocol.FaultTooLong)
		return
	case "pause":
		m.tell(protocol.Pause{Reason: "a game"})
		m.w.tasks.Go(func() {
			if m.w.pass(between(m.w.dice("pause", m.i, tag), time.Second, 20*time.Second)) {
				m.tell(protocol.Resume{})
			}
		})
	case "late":
		// A cancelled machine that goes on all the same.
		m.w.pass(time.Duration(t.assign.DeadlineMS)*time.Millisecond + between(r, 0, 5*time.Second))
	case "thief":
		m.w.mu.Lock()
		others := slices.Clone(m.w.leases)
		m.w.mu.Unlock()
		for _, other := range others[max(0, len(others)-5):] {
			if other = other[:32]; other != lease {
				m.tell(protocol.Event{Lease: other, Seq: 1000, Kind: protocol.EventDone, Done: &protocol.Done{Text: "stolen"}})
			}
		}
	}
	d := protocol.Done{Finish: "stop"}
	answer := tag + " from machine " + strconv.Itoa(m.i)
	switch trick {
	case "nonsense":
		answer = "nonsense"
	case "empty":
		answer = ""
	}
	switch a := t.assign; {
	case a.Chat != nil:
		d.Text = answer
	case a.Translate != nil:
		d.Segments = [][]protocol.Piece{{{Keep: 1}, {Text: answer}}, {{Text: "segundo"}}}
		if trick == "missing" {
			d.Segments[0] = d.Segments[0][1:]
		}
	case a.Image != nil:
		d.Blobs = max(a.Image.Count, 1)
		for n := range d.Blobs {
			if trick == "missing" && n == 0 {
				continue
			}
			m.put(lease, n+1, answer)
			if !wait(time.Millisecond, 20*time.Millisecond) {
				return
			}
		}
	}
	m.finish(t, protocol.Event{Kind: protocol.EventDone, Done: &d})
	if trick == "twice" || trick == "late" {
		<-time.After(between(r, 0, 3*time.Second))
		m.finish(t, protocol.Event{Kind: protocol.EventDone, Done: &d})
	}
}

func (m *machine) event(t *task, e protocol.Event) {
	m.mu.Lock()
	t.seq++
	e.Lease, e.Seq = t.assign.Lease, t.seq
	conn := m.conn
	if e.Kind == protocol.EventText && t.on != conn {
		e.Text, e.Reset, t.on = t.text, true, conn
	}
	m.mu.Unlock()
	m.send(conn, e)
}

// finish keeps the final event until it is acknowledged.
func (m *machine) finish(t *task, e protocol.Event) {
	m.mu.Lock()
	t.seq++
	e.Lease, e.Seq = t.assign.Lease, t.seq
	t.final = &e
	m.mu.Unlock()
	m.tell(e)
}

func (m *machine) put(lease string, n int, body string) {
	m.mu.Lock()
	p, token := m.net, m.token
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://pool"+protocol.BlobPath+lease+"/"+strconv.Itoa(n), bytes.NewReader([]byte(body)))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// books is memStore with a real ledger: every hold and resolution is a transaction with postings, checked when it is applied.
type books struct {
	*memStore
	mu       sync.Mutex
	balances map[ledger.Account]ledger.Amount
	applied  map[string]ledger.Transaction
	// operators are set before anything runs.
	operators map[community.MemberID]bool
}

func (b *books) Enrol(ctx context.Context, hash [32]byte, key []byte, hw protocol.Hardware, limit int, now time.Time) (Worker, error) {
	w, err := b.memStore.Enrol(ctx, hash, key, hw, limit, now)
	if err == nil {
		b.memStore.mu.Lock()
		defer b.memStore.mu.Unlock()
		b.memStore.workers[w.ID-1].Operator = b.operators[w.Owner]
	}
	return w, err
}

func newBooks() *books {
	return &books{memStore: newMemStore(), balances: map[ledger.Account]ledger.Amount{}, applied: map[string]ledger.Transaction{}, operators: map[community.MemberID]bool{}}
}

func (b *books) apply(x ledger.Transaction) {
	if len(x.Postings) == 0 {
		return
	}
	if err := x.Check(); err != nil {
		panic(err)
	}
	if _, twice := b.applied[x.Key]; twice {
		panic("applied twice: " + x.Key)
	}
	b.applied[x.Key] = x
	for _, p := range x.Postings {
		b.balances[p.Account] += p.Amount
		if b.balances[p.Account] < 0 && !p.Account.System() {
			panic(p.Account.String() + " owes")
		}
	}
}

func (b *books) purse(a ledger.Account) ledger.Purse {
	return ledger.Purse{Account: a, Balance: b.balances[a]}
}

func (b *books) Submit(ctx context.Context, j Job, c ledger.Charge, now time.Time) (Job, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.memStore.jobs)
	out, err := b.memStore.Submit(ctx, j, c, now)
	if err != nil || len(b.memStore.jobs) == before {
		return out, err
	}
	if b.applied[ledger.GrantKey(c.Payer.Allowance, now)].Key == "" {
		b.apply(ledger.Transaction{Kind: ledger.KindGrant, Key: ledger.GrantKey(c.Payer.Allowance, now), At: now,
			Postings: ledger.GrantPostings(b.purse(c.Payer.Allowance), c.Payer.Daily)})
	}
	postings, _, ok := ledger.HoldPostings(c.Amount, b.purse(c.Payer.Allowance), b.purse(c.Payer.Spend))
	if !ok {
		panic("the allowance of a world is too small")
	}
	b.apply(ledger.Transaction{Kind: ledger.KindHold, Key: ledger.HoldKey(out.ID), Job: out.ID, At: now, Postings: postings})
	return out, nil
}

func (b *books) Finish(ctx context.Context, s Settlement) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.memStore.Finish(ctx, s); err != nil {
		return err
	}
	b.resolve(ledger.Transaction{Kind: ledger.KindSettle, Job: s.Attempt.Job, At: s.At}, s.Bill.Paid, ledger.EscrowOf(s.Earner))
	return nil
}

func (b *books) Abandon(ctx context.Context, id int64, why *fault.Error, o Outcome, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.memStore.Abandon(ctx, id, why, o, now); err != nil {
		return err
	}
	b.resolve(ledger.Transaction{Kind: ledger.KindRefund, Job: id, At: now}, 0, ledger.Account{})
	return nil
}

// resolve empties the hold of x's job. Free credits go back after midnight, too: what counts here is that nothing is lost, doubled or owed.
func (b *books) resolve(x ledger.Transaction, paid ledger.Amount, earner ledger.Account) {
	var held ledger.Amount
	var drawn []ledger.Drawn
	for _, p := range b.applied[ledger.HoldKey(x.Job)].Postings {
		if p.Account == ledger.HoldAccount {
			held = p.Amount
		} else {
			drawn = append(drawn, ledger.Drawn{From: p.Account, Amount: -p.Amount})
		}
	}
	postings, err := ledger.SettlePostings(held, paid, earner, drawn)
	if err != nil {
		panic(err)
	}
	x.Key, x.Postings = ledger.ResolutionKey(x.Job), postings
	b.apply(x)
}

func (b *books) Sound(final bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memStore.mu.Lock()
	defer b.memStore.mu.Unlock()
	var sum, open ledger.Amount
	for _, v := range b.balances {
		sum += v
	}
	paid := map[ledger.Account]ledger.Amount{}
	for _, j := range b.memStore.jobs {
		x, resolved := b.applied[ledger.ResolutionKey(j.ID)]
		if !j.State.Final() {
			open += j.Held
		}
		if final && !j.State.Final() || j.State.Final() != resolved && j.Held > 0 || resolved && (x.Kind == ledger.KindSettle) != (j.State == Done) || j.State.Final() && b.memStore.resolved[j.ID] != 1 {
			return fmt.Errorf("job %d is %s, its resolution is a %q, ended %d times", j.ID, j.State, x.Kind, b.memStore.resolved[j.ID])
		}
		if j.State == Done {
			for _, p := range x.Postings {
				if p.Account.Kind == ledger.Escrow && p.Amount > 0 {
					paid[p.Account] += p.Amount
				}
			}
		}
	}
	if sum != 0 || b.balances[ledger.HoldAccount] != open {
		return fmt.Errorf("all balances sum to %v, the hold is %v, open jobs hold %v", sum, b.balances[ledger.HoldAccount], open)
	}
	for a, v := range paid {
		if b.balances[a] != v {
			return fmt.Errorf("%s has %v for jobs of %v", a, b.balances[a], v)
		}
	}
	return nil
}

func (b *books) Member(i int) (community.MemberID, ledger.Payer) {
	m := community.MemberID(i + 1)
	return m, ledger.Payer{Allowance: ledger.AllowanceOf(community.UserID(fmt.Sprint("sim:", i))), Daily: 1e9, Spend: ledger.SpendOf(m)}
}

func (b *books) MakeOperator(m community.MemberID) { b.operators[m] = true }

func (b *books) Earned(m community.MemberID) ledger.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balances[ledger.EscrowOf(m)]
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
		if seed%*replay == 1%*replay {
			if again, log2, _ := play(t, seed, open); again != hash {
				t.Fatalf("seed %d played differently the second time:\n%s", seed, firstDifference(log, log2))
			}
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
		h := b.enlist(9).connect(func(f *protocol.Hello) { f.Slots = jobs })
		var leases []protocol.Running
		for i := range jobs {
			b.do(asked(fmt.Sprint("r", i), 1))
			leases = append(leases, protocol.Running{Lease: h.take().Lease, Attempt: 1})
		}
		synctest.Wait()
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
