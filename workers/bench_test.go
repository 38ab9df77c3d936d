package workers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/coder/websocket"

	"potluck/workers/protocol"
)

// These benchmarks run a pool with the real database, the real link and sockets. What the machine itself needs for one durable write is measured beside
// them, in the same run and folder, and given as a ratio: absolute numbers of another disk say little.

// fsyncs appends pages and waits for the disk; it returns the median of n such commits.
func fsyncs(b *testing.B, n int) time.Duration {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if _, err = f.Write(page); err == nil {
			err = f.Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n/2]
}

// crew is a set of machines that finish every chat job at once: an engine that costs nothing.
type crew struct {
	parts sync.WaitGroup
	stop  context.CancelFunc
	// given is called with the first message of a job as soon as its assignment was read.
	given func(text string)
}

func (y *yard) crew(b *testing.B, machines, slots int, given func(string)) *crew {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{stop: cancel, given: given}
	for i := range machines {
		_, key := y.enlist(5000 + i)
		a := &attacker{addr: y.addr, key: key, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
		conn, welcome, err := a.enter(ctx, func(h *protocol.Hello) {
			h.Slots, h.Offers = slots, []protocol.Offer{{Kind: protocol.Chat, Engine: "openai", Model: "llama3.1:8b", Context: 8192, Loaded: true}}
		})
		if err != nil {
			b.Fatal(err)
		}
		// One machine alone may not speak as fast as this measurement needs it.
		if err = y.pool.ask(ctx, func(time.Time) { y.pool.present[welcome.Worker].session.frames.SetLimit(rate.Inf) }); err != nil {
			b.Fatal(err)
		}
		c.parts.Go(func() { c.serve(ctx, a, conn) })
	}
	return c
}

func (c *crew) serve(ctx context.Context, a *attacker, conn *websocket.Conn) {
	defer conn.CloseNow()
	for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
		c.given(as.Chat.Messages[0].Text)
		_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "an answer"}})
	}
}

func (c *crew) end() {
	c.stop()
	c.parts.Wait()
}

func (y *yard) wish(i int) Job {
	j := y.job(300+i%50, 0, time.Minute)
	j.Key, j.Quality = fmt.Sprintf("wish-%d:step", i), protocol.Rough
	j.Chat = &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: fmt.Sprint(i)}}, MaxTokens: 200}
	return j
}

func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[min(int(float64(len(took))*q), len(took)-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// BenchmarkWholePath is a job from Do to its result, everything durable and settled, by 256 members at once on 16 machines.
func BenchmarkWholePath(b *testing.B) {
	y := newYard(b, nil)
	defer y.stop()
	c := y.crew(b, 16, 64, func(string) {})
	defer c.end()
	floor := fsyncs(b, 200)
	var next atomic.Int64
	var members sync.WaitGroup
	b.ResetTimer()
	for range 256 {
		members.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if _, err := y.pool.Do(context.Background(), y.wish(i), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	members.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()*floor.Seconds(), "jobs/fsync")
	b.ReportMetric(ms(floor), "fsync-ms")
}

// BenchmarkSubmitToWorker submits 200 jobs a second, evenly, and measures until a machine has read each one's assignment: two durable writes (the job with its
// hold, the lease) and a frame.
func BenchmarkSubmitToWorker(b *testing.B) {
	y := newYard(b, nil)
	defer y.stop()
	var mu sync.Mutex
	submitted := map[string]time.Time{}
	var took []time.Duration
	c := y.crew(b, 8, 64, func(text string) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		took = append(took, now.Sub(submitted[text]))
	})
	defer c.end()
	floor := fsyncs(b, 200)
	var members sync.WaitGroup
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-ticker.C
		j := y.wish(i)
		mu.Lock()
		submitted[fmt.Sprint(i)] = time.Now()
		mu.Unlock()
		members.Go(func() {
			if _, err := y.pool.Do(context.Background(), j, nil); err != nil {
				b.Error(err)
			}
		})
	}
	members.Wait()
	b.StopTimer()
	p50 := quantile(took, 0.5)
	b.ReportMetric(ms(p50), "p50-ms")
	b.ReportMetric(ms(quantile(took, 0.95)), "p95-ms")
	b.ReportMetric(ms(floor), "fsync-ms")
	b.ReportMetric(ms(p50)/(2*ms(floor)+1), "p50/(2fsync+1ms)")
}
