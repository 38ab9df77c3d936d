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
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/agent"
	"potluck/workers/agent/engine"
	"potluck/workers/faultproxy"
	"potluck/workers/protocol"
)

var faultsFor = flag.Duration("faults", 0, "how long TestBadNetwork plays each fault; 0 = a few jobs")

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

// settles waits until nothing more is left than before.
func settles(t testing.TB, goroutines, files int) {
	t.Helper()
	var g, f int
	for range 100 {
		if g, f = footprint(); g <= goroutines && f <= files {
			return
		}
		http.DefaultClient.CloseIdleConnections()
		<-time.After(100 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines and %d files, before %d and %d\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
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

// Whatever the network does, every job ends once, with a result or with a reason that people hear.
func TestBadNetwork(t *testing.T) {
	long := *faultsFor > 0
	pick := func(short, forLong time.Duration) time.Duration {
		if long {
			return forLong
		}
		return short
	}
	for _, c := range []struct {
		name   string
		faults faultproxy.Faults
	}{
		{"good", faultproxy.Faults{}},
		{"late", faultproxy.Faults{Latency: 20 * time.Millisecond, Jitter: pick(100*time.Millisecond, 800*time.Millisecond)}},
		{"cut", faultproxy.Faults{CutAfter: pick(200*time.Millisecond, 3*time.Second)}},
		{"half-open", faultproxy.Faults{HalfOpenAfter: pick(500*time.Millisecond, 5*time.Second)}},
		{"1 byte per second", faultproxy.Faults{BytesPerSecond: 1}},
		{"twice", faultproxy.Faults{Duplicate: 0.3}},
		{"swapped", faultproxy.Faults{Swap: 0.3}},
		{"all", faultproxy.Faults{Latency: time.Millisecond, Jitter: pick(50*time.Millisecond, time.Second), CutAfter: 3 * time.Second, HalfOpenAfter: 20 * time.Second, Duplicate: 0.1, Swap: 0.1}},
	} {
		t.Run(c.name, func(t *testing.T) { testFault(t, c.faults, *faultsFor) })
	}
}

func testFault(t *testing.T, faults faultproxy.Faults, long time.Duration) {
	y := newYard(t, func(c *Config) {
		c.Beat, c.Silence, c.Reconnect, c.LeaseMin = 300*time.Millisecond, 1200*time.Millisecond, 500*time.Millisecond, 2*time.Second
	})
	y.stop() // the database's own goroutines are part of the start
	goroutines, files := footprint()
	store := y.store
	y = newYardOn(t, store, y.pool.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	proxy, err := faultproxy.New(y.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	proxied := make(chan error, 1)
	go func() { proxied <- proxy.Run(ctx) }()
	stops := []func(){y.machine(100, proxy.Addr()), y.machine(101, proxy.Addr())}
	for { // both are there before anything goes wrong
		live := 0
		for _, w := range y.pool.Overview().Workers {
			if w.State == Online {
				live++
			}
		}
		if live == 2 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	proxy.Set(faults)
	if faults.CutAfter+faults.HalfOpenAfter > 0 {
		proxy.CutAll() // connections draw their fate when they begin
	}

	var mu sync.Mutex
	ends := map[string]int{}
	var took []time.Duration
	until := time.Now().Add(long)
	jobs, wait := 8, 8*time.Second
	if long > 0 {
		jobs, wait = 1<<30, 30*time.Second
	}
	var members sync.WaitGroup
	for i := range 3 {
		members.Go(func() {
			for n := 0; n < jobs && (long == 0 || time.Now().Before(until)); n++ {
				began := time.Now()
				j := y.job(i, n, wait)
				checked := 0
				j.Check = func(Result) error { checked++; return nil }
				ctx, cancel := context.WithTimeout(context.Background(), wait+30*time.Second)
				_, err := y.pool.Do(ctx, j, nil)
				cancel()
				how := "done"
				if err != nil {
					if how = string(fault.Of(err).Code); !explained(err) {
						t.Errorf("job %s ended without a reason: %v", j.Key, err)
					}
					if long > 0 { // whoever reads the answer takes a moment; without it a bot without workers would only answer that
						<-time.After(200 * time.Millisecond)
					}
				}
				if checked > 1 {
					t.Errorf("%d results of %s were looked at, %s", checked, j.Key, how)
				}
				mu.Lock()
				ends[how]++
				if err == nil {
					took = append(took, time.Since(began))
				}
				mu.Unlock()
				if err == nil && j.Kind == protocol.Image {
					if err := y.pool.Erase(context.Background(), strings.TrimSuffix(j.Key, ":step")); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	members.Wait()
	if err := y.store.Sound(false); err != nil {
		t.Error(err)
	}
	proxy.Set(faultproxy.Faults{})
	proxy.CutAll()
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
	if int(stats.Attempts[OutcomeDone]) != ends["done"] {
		t.Errorf("%d attempts were paid for %d answers", stats.Attempts[OutcomeDone], ends["done"])
	}
	settles(t, goroutines, files)
	slices.Sort(took)
	median, worst := time.Duration(0), time.Duration(0)
	if len(took) > 0 {
		median, worst = took[len(took)/2], took[len(took)-1]
	}
	t.Logf("jobs %v, median %v, longest %v; attempts %v; proxy %+v", ends, median.Round(time.Millisecond), worst.Round(time.Millisecond), stats.Attempts, proxy.Stats())
}
