package workers

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/agent"
	"potluck/workers/agent/engine"
	"potluck/workers/faultproxy"
	"potluck/workers/protocol"
)

var (
	faultsFor   = flag.Duration("faults", 0, "how long TestBadNetwork plays each fault, all of them at once; 0 = a few jobs")
	faultsAlone = flag.Bool("faults.alone", false, "play the faults that -test.run names in this process, one after the other")
)

// yard is a pool over real sockets with the real database, for tests that measure.
type yard struct {
	t      testing.TB
	store  simStore
	pool   *Pool
	addr   string
	key    ed25519.PublicKey
	linked int
	stop   func()
}

func newYard(t testing.TB, change func(*Config)) *yard {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.ServerKey, cfg.BlobDir, cfg.PublicURL, cfg.AllowLoopback = key, t.TempDir(), "http://127.0.0.1", true
	if change != nil {
		change(&cfg)
	}
	return newYardOn(t, inSQLite(t), cfg)
}

func newYardOn(t testing.TB, store simStore, cfg Config) *yard {
	t.Helper()
	pool, err := New(cfg, store, ledger.DefaultRates(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{t: t, store: store, pool: pool, key: cfg.ServerKey.Public().(ed25519.PublicKey), addr: listener.Addr().String()}
	server := &http.Server{Handler: pool.Handler(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = server.Serve(listener) })
	parts.Go(func() {
		if err := pool.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	y.stop = func() {
		cancel()
		<-pool.stopped
		server.Close()
		parts.Wait()
	}
	if err := pool.ask(ctx, func(now time.Time) { pool.decide(now) }); err != nil {
		t.Fatal(err)
	}
	return y
}

// enlist links a machine of member i.
func (y *yard) enlist(i int) (Worker, ed25519.PrivateKey) {
	y.t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		y.t.Fatal(err)
	}
	y.linked++
	code := sha256.Sum256(fmt.Append(nil, "yard", y.linked))
	owner, _ := y.store.Member(i)
	if err := y.store.SaveJoinCode(context.Background(), code, owner, fmt.Sprint("box ", y.linked), true, time.Now().Add(protocol.JoinLifetime)); err != nil {
		y.t.Fatal(err)
	}
	w, err := y.store.Enrol(context.Background(), code, public, protocol.Hardware{}, 1000, time.Now())
	if err != nil {
		y.t.Fatal(err)
	}
	return w, key
}

// job is one of member i's wishes, of each kind in turn.
func (y *yard) job(i, n int, wait time.Duration) Job {
	member, payer := y.store.Member(i)
	j := Job{Origin: Origin{
		Key: fmt.Sprintf("yard-%d-%d:step", i, n), Class: Public, Community: "sim:yard", Member: member, Payer: payer, Quality: protocol.Demo,
	}, Wait: wait}
	switch n % 3 {
	case 0:
		j.Kind, j.Chat = protocol.Chat, &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: fmt.Sprint("hello ", n)}}, MaxTokens: 200}
		j.Work = ledger.Work{Kind: "chat", InTokens: 10, OutTokens: 200}
	case 1:
		j.Kind, j.Translate = protocol.Translate, &protocol.TranslateJob{From: "en", To: "es", Segments: [][]protocol.Piece{{{Text: "good "}, {Keep: 1}}}}
		j.Work = ledger.Work{Kind: "translate", InTokens: 10}
	default:
		j.Kind, j.Image = protocol.Image, &protocol.ImageJob{Prompt: "a lighthouse", Width: 64, Height: 64, Steps: 2, Count: 1}
		j.Work = ledger.Work{Kind: "image", Pixels: 64 * 64, Steps: 2}
	}
	return j
}

// footprint is what must be back to the start when everything has ended; files is -1 where the system does not tell.
func footprint() (goroutines, files int) {
	files = -1
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		files = 0
		for _, f := range list { // the database opens readers as it needs them, and keeps them
			if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.Contains(to, ".db") {
				files++
			}
		}
	}
	return runtime.NumGoroutine(), files
}

// atRest is the footprint once what just ended has gone: a start that counted it too would hide as many leaks.
func atRest() (goroutines, files int) {
	http.DefaultClient.CloseIdleConnections()
	for same := 0; same < 10; same++ {
		g, f := footprint()
		if g != goroutines || f != files {
			goroutines, files, same = g, f, 0
		}
		<-time.After(20 * time.Millisecond)
	}
	return goroutines, files
}

// settles waits until nothing more is left than before, and tells what is.
func settles(t testing.TB, goroutines, files int) (g, f int) {
	t.Helper()
	for range 600 {
		if g, f = footprint(); g <= goroutines && f <= files {
			return g, f
		}
		http.DefaultClient.CloseIdleConnections()
		<-time.After(100 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines and %d files, before %d and %d\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
	return g, f
}

// machine starts the real agent with the demonstration engine; the returned function ends it.
func (y *yard) machine(owner int, addr string) (stop func()) {
	y.t.Helper()
	w, key := y.enlist(owner)
	fp := protocol.Fingerprint(y.key)
	settings := agent.DefaultSettings()
	settings.Demo, settings.Limits.JobsAtOnce = agent.DemoOn, 2
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ResponseHeaderTimeout: 10 * time.Second}
	a, err := agent.New(agent.Config{
		Link: agent.Link{Server: "http://" + addr, Fingerprint: hex.EncodeToString(fp[:]), Worker: w.ID, Name: w.Name}, Key: key, Settings: settings, Program: "test",
		Discover: func(context.Context) ([]agent.Found, []agent.Missed) {
			return []agent.Found{{Engine: engine.NewDemo(engine.DemoConfig{WordPace: time.Millisecond})}}, nil
		},
		HTTP: &http.Client{Transport: transport}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		y.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			y.t.Errorf("the agent gave up: %v", err)
		}
		transport.CloseIdleConnections()
	}
}

// spell is how the network is for a while.
type spell struct {
	faults faultproxy.Faults
	lasts  time.Duration // 0 = to the end
}

// badNetwork is one kind of fault. Its spells come in turn, again and again.
type badNetwork struct {
	name   string
	spells []spell
	// harmless: it delays and annoys, but no job may fail.
	harmless bool
	// gaps: text that is overtaken never comes, so what people see of an unfinished answer may lack words; the finished one may not.
	gaps bool
}

// The limits of this test's pool: the usual ones, made shorter in about the same proportion. A worker gives up a server after four beats.
const (
	faultyBeat      = 600 * time.Millisecond
	faultySilence   = 2 * time.Second
	faultyReconnect = time.Second
	faultyLease     = 6 * time.Second
	// A job that must be done may wait so long: how busy this machine is says nothing about the network.
	patience = 4 * time.Minute
)

// badNetworks is what TestBadNetwork plays; with long there is time for what takes minutes.
func badNetworks(long bool) []badNetwork {
	pick := func(short, forLong time.Duration) time.Duration {
		if long {
			return forLong
		}
		return short
	}
	always := func(f faultproxy.Faults) []spell { return []spell{{faults: f}} }
	var good faultproxy.Faults
	return []badNetwork{
		{name: "good", spells: always(good), harmless: true},
		// Half a second to a second for each answer, as over a satellite; frames come up to 250 ms nearer or farther than they were sent, well within the silence.
		{name: "late", spells: always(faultproxy.Faults{Latency: 250 * time.Millisecond, Jitter: 250 * time.Millisecond}), harmless: true},
		// A round trip of 6 s is more than a worker waits for a pong and the server for a hello: the link breaks and cannot come back until it is over.
		{name: "too-late", spells: []spell{{faultproxy.Faults{Latency: 3 * time.Second}, pick(3*time.Second, 8*time.Second)}, {good, pick(3*time.Second, 6*time.Second)}}},
		// An old modem: a picture takes a second or two.
		{name: "slow", spells: always(faultproxy.Faults{BytesPerSecond: 8000}), harmless: true},
		// At a byte per second nothing can be said: a frame takes minutes. What matters is that it passes for alive to TCP and must not to us. A dip that is
		// shorter than the silence costs nothing but time; after a longer one the worker is gone, its jobs wait for it and are done when the line is good
		// again; when it takes longer than people wait, they are told.
		{name: "1-byte", spells: []spell{
			{faultproxy.Faults{BytesPerSecond: 1}, 300 * time.Millisecond}, {good, pick(300*time.Millisecond, 3*time.Second)},
			{faultproxy.Faults{BytesPerSecond: 1}, pick(3*time.Second, 8*time.Second)}, {good, 5 * time.Second},
			{faultproxy.Faults{BytesPerSecond: 1}, 40 * time.Second}, {good, 8 * time.Second},
		}},
		{name: "cut", spells: always(faultproxy.Faults{CutAfter: pick(500*time.Millisecond, 3*time.Second)})},
		{name: "half-open", spells: always(faultproxy.Faults{HalfOpenAfter: pick(1500*time.Millisecond, 5*time.Second)})},
		{name: "twice", spells: always(faultproxy.Faults{Duplicate: 0.3}), harmless: true},
		{name: "swapped", spells: always(faultproxy.Faults{Swap: 0.3}), harmless: true, gaps: true},
		{name: "all", spells: always(faultproxy.Faults{Latency: time.Millisecond, Jitter: pick(50*time.Millisecond, 500*time.Millisecond), CutAfter: 3 * time.Second,
			HalfOpenAfter: 20 * time.Second, Duplicate: 0.1, Swap: 0.1}), gaps: true},
	}
}

// Whatever the network does, every job ends once, with a result or with a reason that people hear, and nothing is left behind. Each fault has a process of
// its own, so that all can be played at once (they mostly wait) and what each leaves behind can be told apart.
// For one alone: -run TestBadNetwork/late -faults.alone.
func TestBadNetwork(t *testing.T) {
	long := *faultsFor
	if *faultsAlone {
		for _, n := range badNetworks(long > 0) {
			t.Run(n.name, func(t *testing.T) { n.play(t, long) })
		}
		return
	}
	type process struct {
		name string
		said strings.Builder
		cmd  *exec.Cmd
	}
	var all []*process
	for _, n := range badNetworks(long > 0) {
		p := &process{name: n.name}
		p.cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestBadNetwork$/^"+n.name+"$", "-test.v", "-test.timeout", (long + 10*time.Minute).String(),
			"-faults", long.String(), "-faults.alone")
		p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		err := p.cmd.Wait()
		t.Run(p.name, func(t *testing.T) {
			if t.Log(p.said.String()); err != nil {
				t.Error(err)
			}
		})
	}
}

// ordeal is one fault being played.
type ordeal struct {
	badNetwork
	*yard
	t     *testing.T
	proxy *faultproxy.Proxy
	jobs  int           // of each member, when there is no end of time
	wait  time.Duration // of a job
	until time.Time     // zero = until the jobs are done

	mu      sync.Mutex
	ends    map[string]int
	took    []time.Duration
	answers map[int]string // to the n-th question, the same for everybody
	doubled int
}

func (n badNetwork) play(t *testing.T, long time.Duration) {
	limits := time.Duration(1)
	if n.harmless && long == 0 {
		limits = 3 // nobody waits for their end, and a machine that is busy with other things may miss shorter ones
	}
	y := newYard(t, func(c *Config) {
		c.Beat, c.Silence, c.Reconnect, c.LeaseMin = limits*faultyBeat, limits*faultySilence, limits*faultyReconnect, limits*faultyLease
	})
	y.stop() // the database's own goroutines are part of the start
	goroutines, files := atRest()
	y = newYardOn(t, y.store, y.pool.cfg)
	proxy, err := faultproxy.New(y.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	proxied := make(chan error, 1)
	go func() { proxied <- proxy.Run(ctx) }()
	o := &ordeal{badNetwork: n, yard: y, t: t, proxy: proxy, jobs: 6, ends: map[string]int{}, answers: map[int]string{}}
	switch {
	case long > 0:
		o.jobs, o.wait, o.until = 1<<30, 30*time.Second, time.Now().Add(long)
	case n.harmless:
		o.wait = patience
	default:
		o.wait = 12 * time.Second
	}
	stops := []func(){y.machine(100, proxy.Addr()), y.machine(101, proxy.Addr())}
	o.live(time.Time{}) // both are there before anything goes wrong

	over := make(chan struct{})
	var weather, members sync.WaitGroup
	weather.Go(func() { o.weather(over) })
	for i := range 3 {
		members.Go(func() { o.member(i) })
	}
	members.Wait()
	close(over)
	weather.Wait()
	if err := y.store.Sound(false); err != nil {
		t.Error(err)
	}
	o.recovers()
	for _, stop := range stops {
		stop()
	}
	y.stop()
	stats := y.pool.Stats() // the last ones: while the pool runs they may be a tick old
	cancel()
	if err := <-proxied; err != nil {
		t.Error(err)
	}
	if err := y.store.Sound(true); err != nil {
		t.Error(err)
	}
	if o.doubled += abs(stats.Attempts[OutcomeDone] - o.ends["done"]); o.doubled > 0 {
		t.Errorf("%d attempts were paid for %d answers; %d doubled", stats.Attempts[OutcomeDone], o.ends["done"], o.doubled)
	}
	g, f := settles(t, goroutines, files)
	o.tell(stats, fmt.Sprintf("goroutines %d→%d, files %d→%d", goroutines, g, files, f))
}

// live waits until both workers are here, on connections that began after a moment, and returns when they did.
func (o *ordeal) live(after time.Time) (since [2]time.Time) {
	for {
		live := 0
		for _, w := range o.pool.Overview().Workers {
			if w.State == Online && w.Since.After(after) {
				since[live] = w.Since
				live++
			}
		}
		if live == len(since) {
			return since
		}
		<-time.After(10 * time.Millisecond)
	}
}

// weather plays the spells until over is closed.
func (o *ordeal) weather(over <-chan struct{}) {
	for i := 0; ; i++ {
		s := o.spells[i%len(o.spells)]
		o.proxy.Set(s.faults)
		if s.faults.CutAfter+s.faults.HalfOpenAfter > 0 {
			o.proxy.CutAll() // connections draw their fate when they begin
		}
		var next <-chan time.Time
		if s.lasts > 0 {
			next = time.After(s.lasts)
		}
		select {
		case <-next:
		case <-over:
			return
		}
	}
}

// member asks one thing after the other, in any case until something is done: on a busy machine a good moment of the network may be too short.
func (o *ordeal) member(i int) {
	for n := 0; (n < o.jobs || !o.anything()) && (o.until.IsZero() || time.Now().Before(o.until)); n++ {
		err := o.ask(i, n, o.wait)
		if !o.until.IsZero() || err != nil { // people read what they got before they ask again; without that, a bot without workers would only say so
			<-time.After(250 * time.Millisecond)
		}
		if o.harmless && err != nil {
			o.t.Errorf("job %d of member %d: %v, on a network on which all can be done", n, i, err)
		}
	}
}

// anything tells whether any job has been done.
func (o *ordeal) anything() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ends["done"] > 0
}

// ask has one job done and looks at how it ends.
func (o *ordeal) ask(i, n int, wait time.Duration) error {
	began := time.Now()
	j := o.job(i, n, wait)
	var checked atomic.Int32
	j.Check = func(Result) error { checked.Add(1); return nil }
	seen := ""
	ctx, cancel := context.WithTimeout(context.Background(), wait+patience)
	res, err := o.pool.Do(ctx, j, func(e Event) { seen = e.Text })
	cancel()
	how := "done"
	if err != nil {
		if how = string(fault.Of(err).Code); !explained(err) {
			o.t.Errorf("job %s ended without a reason: %v", j.Key, err)
		}
	} else if !o.gaps && j.Kind == protocol.Chat && !strings.HasPrefix(res.Text, seen) {
		o.t.Errorf("job %s showed %q on the way to %q", j.Key, seen, res.Text)
	}
	o.mu.Lock()
	o.ends[how]++
	if n := checked.Load(); n > 1 {
		o.doubled++
		o.t.Errorf("%d results of %s were looked at, %s", n, j.Key, how)
	}
	if err == nil {
		o.took = append(o.took, time.Since(began))
		answer := fmt.Sprintf("%q %v %d pictures", res.Text, res.Segments, len(res.Blobs))
		if first, ok := o.answers[n]; ok && first != answer {
			o.t.Errorf("job %s is answered by %s, for somebody else by %s", j.Key, answer, first)
		}
		o.answers[n] = answer
	}
	o.mu.Unlock()
	if err == nil && j.Kind == protocol.Image {
		if err := o.pool.Erase(context.Background(), strings.TrimSuffix(j.Key, ":step")); err != nil {
			o.t.Error(err)
		}
	}
	return err
}

// recovers: once the network is good again, so is everything. A job may fail only when its worker was lost: that the machine is too busy for a beat.
func (o *ordeal) recovers() {
	o.proxy.Set(faultproxy.Faults{})
	cut := time.Now()
	o.proxy.CutAll()
	for done, lost := 0, 0; done < 3; {
		before := o.live(cut)
		err := o.ask(3, done+3*lost, patience)
		switch {
		case err == nil:
			done++
		case o.live(cut) == before:
			o.t.Errorf("on a good network again: %v", err)
			return
		default:
			lost++
		}
	}
	if o.ends["done"] <= 3 {
		o.t.Errorf("nothing was done while the network was bad: %v", o.ends)
	}
}

func abs(n int) int { return max(n, -n) }

func (o *ordeal) tell(stats Stats, left string) {
	slices.Sort(o.took)
	jobs := 0
	for _, n := range o.ends {
		jobs += n
	}
	o.t.Logf("%s: jobs %d, ends %v, doubled %d, %s; median %v, longest %v; attempts %v; proxy %+v", o.name, jobs, o.ends, o.doubled, left,
		o.took[len(o.took)/2].Round(time.Millisecond), o.took[len(o.took)-1].Round(time.Millisecond), stats.Attempts, o.proxy.Stats())
}
