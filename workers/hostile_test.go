package workers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	_ "image/png" // what the picture check of this test decodes
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

var hostile = flag.Bool("hostile", false, "play the attacks of TestHostileWorkers for longer, and judge what they do to the speed of others")

// A worker that was put out for flooding was read at full speed until the linger after its goodbye was over: 50,000 frames more, each time.
func TestFloodIsNotReadAfterTheGoodbye(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9).connect()
		defer h.close()
		go func() {
			for h.read() != nil {
			}
		}()
		beat, err := protocol.Encode(protocol.Beat{Free: 1})
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for ; sent < 10*protocol.FramesPerSec && h.conn.Write(t.Context(), websocket.MessageText, beat) == nil; sent++ {
		}
		if sent > 5*protocol.FramesPerSec {
			t.Errorf("%d frames were read", sent)
		}
	})
}

// PictureWish has a picture drawn through the gate that the real program uses; the external tests set it, because imagegen imports workers.
var PictureWish func(ctx context.Context, jobs interface {
	Do(context.Context, Job, func(Event)) (Result, error)
}, o Origin, wait time.Duration) error

// besieger is set in the process of the attackers.
const besieger = "POTLUCK_TEST_SIEGE"

// TestBesiege is no test: it is the process in which TestHostileWorkers' attackers live.
func TestBesiege(t *testing.T) {
	if os.Getenv(besieger) == "" {
		t.Skip("is started by TestHostileWorkers")
	}
	stdin := bufio.NewReader(os.Stdin)
	first, err := stdin.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var s siege
	if err = json.Unmarshal(first, &s); err != nil {
		t.Fatal(err)
	}
	if err = besiege(s, stdin, os.NewFile(3, "report")); err != nil {
		t.Fatal(err)
	}
}

// besieged starts the attackers' process; lift ends it and returns what each attacker reports. Where the system can, the process gets only the
// processor time that nobody else wants: the attackers' machines are not the server's.
func besieged(t *testing.T, s siege) (stolen func(lease string), lift func() []spoils) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{exe, "-test.run=^TestBesiege$", "-test.v"}
	if chrt, err := exec.LookPath("chrt"); err == nil {
		args = append([]string{chrt, "--idle", "0"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), besieger+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{w}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	tell := func(v any) {
		b, ok := v.(string)
		if !ok {
			j, _ := json.Marshal(v)
			b = string(j)
		}
		_, _ = io.WriteString(in, b+"\n") // an error means that it died, which lift tells
	}
	tell(s)
	return func(lease string) { tell(lease) }, func() []spoils {
		in.Close()
		var all []spoils
		for d := json.NewDecoder(r); ; {
			var one spoils
			if err := d.Decode(&one); err != nil {
				break
			}
			all = append(all, one)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attackers' process: %v\n%s", err, out.String())
		}
		r.Close()
		return all
	}
}

// Everything at once against one pool, with an honest machine beside it. What must hold: attackers earn nothing, every job ends, memory stays
// bounded, nothing is left behind. How much longer the honest machine's jobs take is judged only when -hostile asks for it: it is a measurement.
func TestHostileWorkers(t *testing.T) {
	honestJobs, victims := 60, 30
	if *hostile {
		honestJobs, victims = 400, 60
	}
	y := newYard(t, nil)
	cfg := y.pool.cfg
	y.stop()
	goroutines, files := footprint()
	// Silence and LeaseMax are long enough for an honest machine that hardly gets any time; who holds a job in vain loses it to others by its share of the wait.
	cfg.Beat, cfg.Silence, cfg.Reconnect, cfg.LeaseMin, cfg.LeaseMax = 300*time.Millisecond, 10*time.Second, 500*time.Millisecond, time.Second, 10*time.Second
	y = newYardOn(t, y.store, cfg)

	leases := make(chan string, 16)
	honest := y.honest(t, 50, leases)
	quiet := y.p95(t, "quiet", honestJobs)
	debug.FreeOSMemory()
	before := heap()

	s := siege{Addr: y.addr, Keys: map[string][]byte{}}
	owners := map[string]int{}
	for i, name := range sortedKeys(attacks) {
		_, key := y.enlist(1000 + i)
		s.Keys[name], owners[name] = key.Seed(), 1000+i
	}
	stolen, lift := besieged(t, s)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for l := range leases {
			stolen(l)
		}
	}()

	for views := 0; views < 2; { // until there are attackers who offer pictures, and some who offer text
		views = 0
		for _, m := range y.pool.Overview().Models {
			if m.Model == "evil-xl" || m.Model == "evil-7b" {
				views++
			}
		}
		<-time.After(10 * time.Millisecond)
	}
	var most atomic.Uint64 // live memory while it lasts
	watch, unwatch := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ticker := time.NewTicker(time.Second); ; {
			select {
			case <-watch.Done():
				ticker.Stop()
				return
			case <-ticker.C:
				most.Store(max(most.Load(), live()))
			}
		}
	})
	var jobs sync.WaitGroup
	ends := map[string]int{}
	var mu sync.Mutex
	for i := range victims {
		jobs.Go(func() {
			const wait = 8 * time.Second
			j := y.job(200+i%5, i*3, wait)
			j.Quality = protocol.Rough
			if i%4 == 1 {
				j.Model = "evil-7b" // the honest machine has it not
			}
			how := ""
			var err error
			if i%2 == 0 {
				err = PictureWish(context.Background(), y.pool, j.Origin, wait)
				how = "picture drawn"
			} else {
				var res Result
				res, err = y.pool.Do(context.Background(), j, nil)
				how = "answered by " + res.WorkerName
			}
			if err != nil && !explained(err) {
				t.Errorf("%s ended without a reason: %v", j.Key, err)
			}
			if err != nil {
				how = string(fault.Of(err).Code)
			}
			mu.Lock()
			ends[how]++
			mu.Unlock()
		})
	}
	loud := y.p95(t, "loud", honestJobs)
	jobs.Wait()
	unwatch()
	watching.Wait()
	honest()
	<-told
	for _, a := range lift() {
		for _, w := range a.Wrongs {
			t.Errorf("%s: %s", a.Name, w)
		}
		if i, linked := owners[a.Name]; linked {
			owner, _ := y.store.Member(i)
			if earned := y.store.Earned(owner); earned != 0 {
				t.Errorf("%s earned %v", a.Name, earned)
			}
		}
		t.Logf("%-28s sent %6d, was put out %4d times, got %3d jobs", a.Name, a.Frames, a.Kicked, a.Taken)
	}
	if err := y.store.Sound(false); err != nil {
		t.Error(err)
	}
	y.stop()
	if err := y.store.Sound(true); err != nil {
		t.Error(err)
	}
	settles(t, goroutines, files)
	after := heap()
	for name, now := range map[string]uint64{"during": most.Load(), "after": after} {
		if grown := int64(now) - int64(before); grown > 64<<20 {
			t.Errorf("memory grew by %d MiB %s the attack", grown>>20, name)
		}
	}
	slower := float64(loud) / float64(quiet)
	t.Logf("jobs that any worker could take: %v", ends)
	t.Logf("honest jobs p95: %v alone, %v under attack (%.2f×); live memory %.1f MiB before, at most %.1f during, %.1f after",
		quiet.Round(100*time.Microsecond), loud.Round(100*time.Microsecond), slower, mib(before), mib(most.Load()), mib(after))
	if *hostile && slower > 1.5 {
		t.Errorf("honest jobs took %.2f times as long, want at most 1.5", slower)
	}
}

func mib(b uint64) float64 { return float64(b) / (1 << 20) }

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	return live()
}

// live is what the last collection found in use: unlike HeapAlloc it counts no garbage.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// honestWork is how long the honest machine is at a job: far less than any real one takes.
const honestWork = 100 * time.Millisecond

// honest is a machine that answers soon; the returned function ends it.
func (y *yard) honest(t *testing.T, owner int, leases chan<- string) (stop func()) {
	_, key := y.enlist(owner)
	a := &attacker{addr: y.addr, key: key, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	ctx, cancel := context.WithCancel(context.Background())
	conn, _, err := a.enter(ctx, func(h *protocol.Hello) {
		h.Slots, h.Offers = 4, []protocol.Offer{{Kind: protocol.Chat, Engine: "openai", Model: "llama3.1:8b", Context: 8192, Loaded: true}}
	})
	if err != nil {
		t.Fatal(err)
	}
	var parts sync.WaitGroup
	parts.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = a.say(ctx, conn, protocol.Beat{Free: 4})
			case <-ctx.Done():
				return
			}
		}
	})
	parts.Go(func() {
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			select {
			case leases <- as.Lease:
			default: // enough of them are known
			}
			_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
			parts.Go(func() {
				<-time.After(honestWork)
				_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "an honest answer"}})
			})
		}
		if ctx.Err() == nil {
			t.Error("the honest machine was put out")
		}
	})
	return func() {
		cancel()
		parts.Wait()
		conn.CloseNow()
		close(leases)
	}
}

// p95 has jobs done that only the honest machine can do, one after another, and returns how long the slowest twentieth took.
func (y *yard) p95(t *testing.T, name string, n int) time.Duration {
	member, payer := y.store.Member(7)
	var took []time.Duration
	for i := range n {
		j := Job{
			Origin: Origin{Key: fmt.Sprint(name, i, ":step"), Class: Public, Community: "sim:yard", Member: member, Payer: payer, Quality: protocol.Rough},
			Kind:   protocol.Chat, Model: ledger.DefaultRates().Canonical("llama3.1:8b"), Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: "hi"}}, MaxTokens: 50},
			Work: ledger.Work{Kind: "chat", InTokens: 5, OutTokens: 50}, Wait: time.Minute,
		}
		began := time.Now()
		res, err := y.pool.Do(context.Background(), j, nil)
		if err != nil || res.Text != "an honest answer" {
			t.Errorf("honest job %d: %q, %v", i, res.Text, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[n*95/100]
}
