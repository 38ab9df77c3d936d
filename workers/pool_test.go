package workers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

func TestMain(m *testing.M) {
	// net/http keeps the connection of a refused upload open for half a second.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// pipes is a network in memory: synctest bubbles know when everybody in it waits.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bed is a pool that runs, with its HTTP server.
type bed struct {
	t      testing.TB
	cfg    Config
	store  *memStore
	rates  *ledger.Rates
	net    net.Listener
	client *http.Client
	pool   *Pool
	server *http.Server
	stop   context.CancelFunc
	ended  chan error
	over   func(Store) Store // what the next pool sees instead of store; nil = store itself
}

func newBed(t testing.TB, listener net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *bed {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.ServerKey, cfg.BlobDir, cfg.PublicURL, cfg.AllowLoopback = key, t.TempDir(), "http://127.0.0.1", true
	b := &bed{t: t, cfg: cfg, store: newMemStore(), net: listener}
	b.rates = ledger.DefaultRates()
	b.client = &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	b.begin()
	return b
}

func (b *bed) begin() {
	b.t.Helper()
	var store Store = b.store
	if b.over != nil {
		store = b.over(store)
	}
	pool, err := New(b.cfg, store, b.rates, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	b.pool = pool
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	b.ended = make(chan error, 1)
	go func() { b.ended <- pool.Run(ctx) }()
	b.server = &http.Server{Handler: pool.Handler()}
	if p, ok := b.net.(*pipes); ok {
		b.net = &pipes{conns: p.conns, closed: make(chan struct{})}
	}
	go b.server.Serve(b.net)
	if err := pool.ask(ctx, func(time.Time) {}); err != nil { // it has read the store
		b.t.Fatal(err)
	}
}

// decided skips the restart grace.
func (b *bed) decided() *bed {
	if err := b.pool.ask(context.Background(), func(now time.Time) { b.pool.decide(now) }); err != nil {
		b.t.Fatal(err)
	}
	return b
}

func (b *bed) end() {
	b.t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		b.t.Error(err)
	}
	b.server.Close()
}

// inBubble runs a test with a fake clock and a network in memory.
func inBubble(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Helper()
	faketime.Test(t, func(t *testing.T) {
		p := newPipes()
		b := newBed(t, p, p.dial)
		defer func() {
			b.end()
			<-time.After(time.Second) // net/http keeps a connection for half a second after it refused a body
		}()
		test(t, b)
	})
}

// hand is a worker played by the test.
type hand struct {
	t       testing.TB
	b       *bed
	key     ed25519.PrivateKey
	conn    *websocket.Conn
	welcome protocol.Welcome
	bye     *protocol.Bye
	seq     int
	early   []protocol.Frame      // read while another was wanted
	frames  <-chan protocol.Frame // of one that is kept alive, else nil
}

// enlist puts a linked worker of that owner into the store.
func (b *bed) enlist(owner community.MemberID, change ...func(*Worker)) *hand {
	b.t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	w := &Worker{ID: int64(len(b.store.workers) + 1), Owner: owner, OwnerName: "Rita", Name: "RTX 3060", Share: true, Key: public}
	for _, c := range change {
		c(w)
	}
	b.store.workers = append(b.store.workers, w)
	return &hand{t: b.t, b: b, key: key}
}

// known makes a worker one that the askers' community vouched for: it need not do jobs one at a time first.
func known(w *Worker) { w.Vouched = map[community.CommunityID]Class{"page:p": Community} }

var allOffers = []protocol.Offer{
	{Kind: protocol.Chat, Engine: "openai", Model: "llama3.1:8b", Context: 8192, Loaded: true},
	{Kind: protocol.Image, Engine: "comfyui", Model: "sdxl", MaxPixels: 1 << 20, MaxSteps: 50, MaxCount: 4},
	{Kind: protocol.Translate, Engine: "apertium", Model: "apertium", Pairs: []protocol.Pair{{From: "en", To: "es", Quality: protocol.Postable}}},
}

// connect does the handshake; hello may be changed before it is sent.
func (h *hand) connect(change ...func(*protocol.Hello)) *hand {
	h.t.Helper()
	ctx := context.Background()
	nonce := make([]byte, 32)
	public := h.key.Public().(ed25519.PublicKey)
	q := url.Values{"v": {"1"}, "key": {base64.RawURLEncoding.EncodeToString(public)}, "nonce": {base64.RawURLEncoding.EncodeToString(nonce)}}
	conn, _, err := websocket.Dial(ctx, "http://"+h.b.net.Addr().String()+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: h.b.client})
	if err != nil {
		h.t.Fatal(err)
	}
	conn.SetReadLimit(protocol.MaxAssign)
	h.conn, h.bye, h.early, h.frames = conn, nil, nil, nil
	c, ok := h.read().(protocol.Challenge)
	if !ok || !ed25519.Verify(c.Key, protocol.Transcript(protocol.RoleServer, 1, c.Nonce, nonce, c.Key, public), c.Signature) {
		h.t.Fatal("the server did not prove its key")
	}
	hello := protocol.Hello{
		Protocol: 1, Slots: 1, Offers: slices.Clone(allOffers), Program: "test",
		Signature: ed25519.Sign(h.key, protocol.Transcript(protocol.RoleWorker, 1, c.Nonce, nonce, c.Key, public)),
	}
	for _, f := range change {
		f(&hello)
	}
	h.send(hello)
	switch f := h.read().(type) {
	case protocol.Welcome:
		h.welcome = f
	case protocol.Bye:
		h.bye = &f
		conn.CloseNow()
	default:
		h.t.Fatalf("after hello came %#v", f)
	}
	return h
}

func (h *hand) close() { h.conn.CloseNow() }

func (h *hand) send(f protocol.Frame) {
	h.t.Helper()
	b, err := protocol.Encode(f)
	if err == nil {
		err = h.conn.Write(context.Background(), websocket.MessageText, b)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// read returns the next frame, nil when the connection has ended.
func (h *hand) read() protocol.Frame {
	h.t.Helper()
	if h.frames != nil {
		return <-h.frames
	}
	_, b, err := h.conn.Read(context.Background())
	if err != nil {
		return nil
	}
	f, err := protocol.Decode(b)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// want returns the next frame of a type; what comes before it is kept for later wants.
func want[F protocol.Frame](h *hand) F {
	h.t.Helper()
	for i, f := range h.early {
		if v, ok := f.(F); ok {
			h.early = slices.Delete(h.early, i, i+1)
			return v
		}
	}
	for {
		f := h.read()
		if v, ok := f.(F); ok {
			return v
		}
		if f == nil {
			var v F
			h.t.Fatalf("the connection ended before a %T, with %#v", v, h.early)
		}
		h.early = append(h.early, f)
	}
}

// take accepts the next assignment.
func (h *hand) take() protocol.Assign {
	h.t.Helper()
	a := want[protocol.Assign](h)
	h.send(protocol.Accept{Lease: a.Lease})
	return a
}

// answers has a worker treat every assignment alike until its connection ends.
func (h *hand) answers(how func(protocol.Assign)) {
	go func() {
		for {
			switch f := h.read().(type) {
			case nil:
				return
			case protocol.Assign:
				how(f)
			}
		}
	}()
}

// swallows has a worker accept whatever it gets and do nothing more; it counts that in taken.
func (h *hand) swallows(taken *int) {
	h.answers(func(a protocol.Assign) {
		*taken++
		h.send(protocol.Accept{Lease: a.Lease})
	})
}

func (h *hand) say(lease string, e protocol.Event) {
	h.t.Helper()
	h.seq++
	e.Lease, e.Seq = lease, h.seq
	h.send(e)
}

func (h *hand) done(lease string, d protocol.Done) {
	h.t.Helper()
	h.say(lease, protocol.Event{Kind: protocol.EventDone, Done: &d})
}

func (h *hand) fail(lease, whose string) {
	h.t.Helper()
	h.say(lease, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: whose}})
}

func (h *hand) put(lease string, n int, body []byte) int {
	h.t.Helper()
	resp := h.blob(http.MethodPut, lease, n, bytes.NewReader(body))
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// blob is one HTTP request about picture n of a lease; the caller closes the body of its answer.
func (h *hand) blob(method, lease string, n int, body io.Reader) *http.Response {
	h.t.Helper()
	req, err := http.NewRequest(method, "http://"+h.b.net.Addr().String()+protocol.BlobPath+lease+"/"+strconv.Itoa(n), body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.welcome.Token)
	resp, err := h.b.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// call is a running Do.
type call struct {
	t      testing.TB
	cancel context.CancelCauseFunc
	out    chan outcome
	mu     sync.Mutex
	events []Event
}

func (b *bed) do(j Job) *call {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &call{t: b.t, cancel: cancel, out: make(chan outcome, 1)}
	go func() {
		res, err := b.pool.Do(ctx, j, func(e Event) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, e)
		})
		c.out <- outcome{res, err}
	}()
	return c
}

func (c *call) ok() Result {
	c.t.Helper()
	o := <-c.out
	if o.err != nil {
		c.t.Fatalf("job failed: %v", o.err)
	}
	return o.result
}

func (c *call) fails(code fault.Code) *fault.Error {
	c.t.Helper()
	o := <-c.out
	if !fault.Has(o.err, code) {
		c.t.Fatalf("job ended with %v, want %s", o.err, code)
	}
	return fault.Of(o.err)
}

// lastText is the newest text once the caller has been told; for bubbles only.
func (c *call) lastText() string {
	<-time.After(protocol.TextInterval)
	faketime.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, e := range c.events {
		if e.Kind == Text {
			text = e.Text
		}
	}
	return text
}

func asked(key string, m community.MemberID) Job {
	return Job{
		Origin: Origin{Key: key + ":answer", Class: Public, Community: "page:p", Member: m, Quality: protocol.Rough},
		Kind:   protocol.Chat, Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: "hello"}}, MaxTokens: 100},
		Work: ledger.Work{Kind: "chat", InTokens: 10, OutTokens: 100}, Wait: 5 * time.Minute,
	}
}

func translation(key string) Job {
	return Job{
		Origin: Origin{Key: key + ":text", Class: Public, Community: "page:p", Member: 1, Quality: protocol.Postable}, Kind: protocol.Translate,
		Translate: &protocol.TranslateJob{From: "en", To: "es", Segments: [][]protocol.Piece{{{Text: "hi "}, {Keep: 1}}}},
		Work:      ledger.Work{Kind: "translate", InTokens: 10}, Wait: 5 * time.Minute,
	}
}

func (b *bed) settledOnce(job int64) {
	b.t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	if n := b.store.resolved[job]; n != 1 {
		b.t.Errorf("job %d was settled %d times", job, n)
	}
}

func testThreeKinds(t *testing.T, b *bed) {
	h := b.decided().enlist(9).connect()
	defer h.close()

	c := b.do(asked("r1", 1))
	a := h.take()
	h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "good "})
	h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "morning"})
	h.done(a.Lease, protocol.Done{Text: "good morning", Finish: "stop"})
	res := c.ok()
	if res.Text != "good morning" || res.WorkerName != "Rita's RTX 3060" || res.Model != b.rates.Canonical("llama3.1:8b") {
		t.Errorf("result %+v", res)
	}
	if res.Bill.Paid <= 0 || b.store.earned[9] != res.Bill.Paid || b.store.balance[1] != -res.Bill.Paid {
		t.Errorf("paid %v, earned %v, balance %v", res.Bill.Paid, b.store.earned[9], b.store.balance[1])
	}
	want[protocol.Ack](h)
	b.settledOnce(res.Job)

	// The same key gives the stored result, without a worker.
	if again := b.do(asked("r1", 1)).ok(); again.Text != res.Text || again.Job != res.Job {
		t.Errorf("again: %+v", again)
	}

	c = b.do(translation("r2"))
	a = h.take()
	h.done(a.Lease, protocol.Done{Segments: [][]protocol.Piece{{{Keep: 1}, {Text: " hola"}}}})
	if got := c.ok(); len(got.Segments) != 1 || got.Quality != protocol.Postable {
		t.Errorf("translation %+v", got)
	}
	want[protocol.Ack](h)

	img := asked("r3", 1)
	img.Kind, img.Chat, img.Input = protocol.Image, nil, [][]byte{[]byte("sketch")}
	img.Image = &protocol.ImageJob{Prompt: "a cat", Width: 64, Height: 64, Steps: 4, Count: 2}
	img.Work = ledger.Work{Kind: "image", Pixels: 2 * 64 * 64, Steps: 4}
	c = b.do(img)
	a = h.take()
	req, _ := http.NewRequest(http.MethodGet, "http://"+b.net.Addr().String()+protocol.BlobPath+a.Lease+"/1", nil)
	req.Header.Set("Authorization", "Bearer "+h.welcome.Token)
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if sketch, _ := io.ReadAll(resp.Body); string(sketch) != "sketch" {
		t.Errorf("input picture is %q, status %d", sketch, resp.StatusCode)
	}
	resp.Body.Close()
	for n, status := range map[int]int{1: 204, 2: 204, 3: 404, 1000: 204} {
		if got := h.put(a.Lease, n, []byte("picture")); got != status {
			t.Errorf("PUT %d: %d, want %d", n, got, status)
		}
	}
	if got := h.put(strings.Repeat("0", 32), 1, nil); got != 404 {
		t.Errorf("PUT to a foreign lease: %d", got)
	}
	if got := h.put(a.Lease, 1, make([]byte, protocol.MaxBlob+1)); got != 413 {
		t.Errorf("PUT of too much: %d", got)
	}
	h.say(a.Lease, protocol.Event{Kind: protocol.EventPreview, Preview: 1000})
	h.done(a.Lease, protocol.Done{Blobs: 2, Seed: 7})
	res = c.ok()
	want[protocol.Ack](h)
	if len(res.Blobs) != 2 {
		t.Fatalf("blobs %v", res.Blobs)
	}
	for _, p := range res.Blobs {
		if data, err := os.ReadFile(p); err != nil || string(data) != "picture" {
			t.Errorf("%s: %q %v", filepath.Base(p), data, err)
		}
	}
	if got := h.put(a.Lease, 1, []byte("late")); got != 404 {
		t.Errorf("PUT after the end: %d", got)
	}
	if err := b.pool.Erase(t.Context(), "r3"); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(b.cfg.BlobDir); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

func TestThreeKindsOverRealSockets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, listener, (&net.Dialer{}).DialContext)
	defer func() { b.end() }()
	testThreeKinds(t, b)
}

func TestThreeKinds(t *testing.T) { inBubble(t, testThreeKinds) }

func TestDeadWorkersJobGoesElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h1 := b.enlist(9).connect()
		c := b.do(asked("r1", 1))
		a := h1.take()
		h1.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "half an"})
		h2 := b.enlist(8).connect()
		defer h2.close()
		began := time.Now()
		h1.close()
		a2 := h2.take()
		if d := time.Since(began); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("re-dispatched after %v, want 5 s", d)
		}
		if a2.Attempt == a.Attempt || a2.Lease == a.Lease {
			t.Error("the attempt is not a new one")
		}
		// The dead one comes back and has finished after all: it is told to drop that, and a result sent anyway is unpaid.
		h1.connect(func(h *protocol.Hello) { h.Running = []protocol.Running{{Lease: a.Lease, Attempt: a.Attempt}} })
		defer h1.close()
		if len(h1.welcome.Adopted) != 0 {
			t.Error("a lease that was given away was adopted")
		}
		h1.done(a.Lease, protocol.Done{Text: "half an answer"})
		want[protocol.Ack](h1)
		h2.done(a2.Lease, protocol.Done{Text: "a whole answer"})
		if res := c.ok(); res.Text != "a whole answer" || res.Worker != 2 {
			t.Errorf("result %+v", res)
		}
		if b.store.earned[9] != 0 || b.store.earned[8] == 0 {
			t.Errorf("earned: %v", b.store.earned)
		}
		b.settledOnce(1)
	})
}

func TestSilentWorkerIsGoneAfter15Seconds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h1 := b.enlist(9).connect()
		defer h1.close()
		c := b.do(asked("r1", 1))
		h1.take()
		began := time.Now()
		h2 := b.enlist(8).connect()
		defer h2.close()
		alive := time.AfterFunc(10*time.Second, func() { h2.send(protocol.Beat{Free: 1}) })
		defer alive.Stop()
		a := h2.take()
		if d := time.Since(began); d < 15*time.Second || d > 16*time.Second {
			t.Errorf("re-dispatched after %v, want 15 s", d)
		}
		h2.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

func TestRestartInTheMiddleOfAnAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		c := b.do(asked("r1", 1))
		a := h.take()
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "one "})
		faketime.Wait()
		b.end()
		if o := <-c.out; o.err == nil || fault.Has(o.err, fault.Cancelled) {
			t.Fatalf("the interrupted Do returned %+v", o)
		}
		b.begin()
		h.connect(func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: a.Attempt}} })
		defer h.close()
		if !slices.Equal(h.welcome.Adopted, []string{a.Lease}) {
			t.Fatalf("adopted %v", h.welcome.Adopted)
		}
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "one two ", Reset: true})
		h.done(a.Lease, protocol.Done{Text: "one two three"})
		faketime.Wait()
		if len(b.store.history()) != 0 {
			t.Fatal("the result was settled before anybody could check it")
		}
		checked := 0
		j := asked("r1", 1)
		j.Check = func(r Result) error { checked++; return nil }
		c = b.do(j)
		if res := c.ok(); res.Text != "one two three" || checked != 1 {
			t.Errorf("result %q, checked %d times", res.Text, checked)
		}
		if c.lastText() != "one two " {
			t.Errorf("last text event %q", c.lastText())
		}
		want[protocol.Ack](h)
		b.settledOnce(1)
		if got := b.store.history(); !slices.Equal(got, []Outcome{OutcomeDone}) {
			t.Errorf("attempts ended %v", got)
		}
	})
}

func TestRestartWithoutTheWorker(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		b.do(asked("r1", 1))
		h.take()
		faketime.Wait()
		b.end()
		h.close()
		b.begin()
		h2 := b.enlist(8).connect()
		defer h2.close()
		c := b.do(asked("r1", 1))
		began := time.Now()
		beat := time.AfterFunc(10*time.Second, func() { h2.send(protocol.Beat{Free: 1}) })
		defer beat.Stop()
		a := h2.take()
		if d := time.Since(began); d < 19*time.Second || d > 21*time.Second {
			t.Errorf("re-dispatched after %v, want 20 s", d)
		}
		h2.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		if b.store.jobs[0].Attempts != 0 {
			t.Error("a restart counted as an attempt")
		}
	})
}

func TestQueuedJobsWaitForWorkersAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9)
		b.end()
		b.begin()
		c := b.do(asked("r1", 1)) // nobody is here, but the bot has just begun
		faketime.Wait()
		h.connect()
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		h.close()
		<-time.After(30 * time.Second) // the bubble's clock
		if f := b.do(asked("r2", 1)).fails(fault.NoWorker); f.Args["kind"] != "chat" {
			t.Errorf("args %v", f.Args)
		}
	})
}

// TestGraceIsForLinkedWorkers: people waited 20 s for machines where none was linked.
func TestGraceIsForLinkedWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.enlist(9, func(w *Worker) { w.Revoked = true })
		b.end()
		b.begin()
		began := time.Now()
		b.do(asked("r1", 1)).fails(fault.NoWorker)
		if d := time.Since(began); d > time.Second {
			t.Errorf("refused after %v", d)
		}
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "new", true)
		if err != nil {
			t.Fatal(err)
		}
		h := b.stranger().join(join.Code)
		defer h.close()
		c := b.do(asked("r2", 1))
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

func TestNobodyComesInTheGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.enlist(9)
		b.end()
		b.begin()
		began := time.Now()
		b.do(asked("r1", 1)).fails(fault.NoWorker)
		if d := time.Since(began); d < 19*time.Second || d > 21*time.Second {
			t.Errorf("refused after %v", d)
		}
		if b.store.balance[1] != 0 {
			t.Errorf("balance %v", b.store.balance[1])
		}
		b.settledOnce(1)
	})
}

func TestCancelReachesTheWorker(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		other := b.do(asked("r1", 1)) // joins
		a := h.take()
		waiting := b.do(asked("r2", 1))
		faketime.Wait()
		began := time.Now()
		waiting.cancel(fault.New(fault.Cancelled))
		waiting.fails(fault.Cancelled)
		c.cancel(fault.New(fault.Cancelled))
		if got := want[protocol.Cancel](h); got.Lease != a.Lease {
			t.Errorf("cancelled %s", got.Lease)
		}
		c.fails(fault.Cancelled)
		other.fails(fault.Cancelled)
		if d := time.Since(began); d > time.Second {
			t.Errorf("took %v", d)
		}
		b.settledOnce(1)
		b.settledOnce(2)
		if b.store.balance[1] != 0 {
			t.Errorf("balance %v", b.store.balance[1])
		}
	})
}

func TestLeavingOnlyEndsTheWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		c.cancel(errors.New("the bot is shutting down"))
		if o := <-c.out; o.err == nil || fault.Has(o.err, fault.Cancelled) {
			t.Fatalf("got %+v", o)
		}
		h.done(a.Lease, protocol.Done{Text: "ok"})
		want[protocol.Ack](h)
		if res := b.do(asked("r1", 1)).ok(); res.Text != "ok" {
			t.Errorf("got %+v", res)
		}
	})
}

func TestWhoseFaultItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect(func(h *protocol.Hello) { h.Slots = 4 })
		defer h.close()
		next := func(whose string) {
			a := h.take()
			h.fail(a.Lease, whose)
			want[protocol.Ack](h)
		}
		c := b.do(asked("request", 1))
		next(protocol.FaultRequest)
		c.fails(fault.EngineRefused)
		c = b.do(asked("blocked", 1))
		next(protocol.FaultBlocked)
		c.fails(fault.Blocked)
		c = b.do(asked("long", 1))
		next(protocol.FaultTooLong)
		if f := c.fails(fault.NoFit); f.Args["max"] != "8192" {
			t.Errorf("args %v", f.Args)
		}
		c = b.do(asked("overload", 1))
		next(protocol.FaultOverload)
		a := want[protocol.Assign](h)
		h.send(protocol.Refuse{Lease: a.Lease, Reason: protocol.ReasonBusy})
		a = want[protocol.Assign](h)
		h.done(a.Lease, protocol.Done{Text: "at last"})
		c.ok()
		if n := b.store.jobs[3].Attempts; n != 0 {
			t.Errorf("overload and refusal counted %d attempts", n)
		}
		want[protocol.Ack](h)
		c = b.do(asked("engine", 1))
		for range 3 {
			next(protocol.FaultEngine)
		}
		if f := c.fails(fault.WorkerFailed); f.Args["attempts"] != "3" {
			t.Errorf("args %v", f.Args)
		}
		for i := range b.store.jobs {
			b.settledOnce(int64(i + 1))
		}
	})
}

// The last words of an answer that breaks off reach a caller who was slow: what is shown keeps them.
func TestLastWordsBeforeAFailureReachASlowCaller(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		held, text, out := make(chan struct{}), "", make(chan error, 1)
		go func() {
			_, err := b.pool.Do(t.Context(), asked("slow", 1), func(e Event) {
				switch e.Kind {
				case Started:
					if e.Attempt == 3 {
						<-held
					}
					text = ""
				case Text:
					text = e.Text
				}
			})
			out <- err
		}()
		for range 3 {
			a := h.take()
			faketime.Wait() // the caller has seen that it began
			h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "The first half"})
			h.say(a.Lease, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: protocol.FaultEngine}})
			want[protocol.Ack](h)
		}
		faketime.Wait()
		close(held)
		if err := <-out; !fault.Has(err, fault.WorkerFailed) || text != "The first half" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

func TestExpiredJobIsRefunded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		j := asked("r1", 1)
		j.Wait = 8 * time.Second
		c := b.do(j)
		a := h.take()
		if a.DeadlineMS != 8000 {
			t.Errorf("deadline %d ms", a.DeadlineMS)
		}
		if got := want[protocol.Cancel](h); got.Lease != a.Lease {
			t.Error("wrong lease")
		}
		c.fails(fault.Expired)
		if b.store.balance[1] != 0 {
			t.Errorf("balance %v", b.store.balance[1])
		}
	})
}

func TestRevocationCutsAndRequeues(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		h2 := b.enlist(8).connect()
		defer h2.close()
		c := b.do(asked("r1", 9)) // goes to the owner's own
		h.take()
		if err := b.pool.Revoke(t.Context(), 1, community.Member{ID: 5}); !fault.Has(err, fault.UnknownWorker) {
			t.Fatalf("a stranger's revocation: %v", err)
		}
		began := time.Now()
		if err := b.pool.Revoke(t.Context(), 1, community.Member{ID: 9}); err != nil {
			t.Fatal(err)
		}
		if f := want[protocol.Bye](h); f.Code != protocol.ByeRevoked {
			t.Errorf("bye %s", f.Code)
		}
		if h.read() != nil {
			t.Error("the connection is still open")
		}
		a := h2.take()
		if d := time.Since(began); d > time.Second {
			t.Errorf("took %v", d)
		}
		h2.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		if h.connect().bye == nil || h.bye.Code != protocol.ByeRevoked {
			t.Errorf("a revoked worker was answered %+v", h.bye)
		}
	})
}

func TestOwnJobIsFree(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 9))
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		res := c.ok()
		if !res.Bill.Own || res.Bill.Paid != 0 || res.Bill.Returned != res.Bill.Held || b.store.balance[9] != 0 || b.store.earned[9] != 0 {
			t.Errorf("bill %+v", res.Bill)
		}
	})
}

func TestLostKeepIsTriedWithAnotherPrompt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		j := translation("r1")
		bad := true
		j.Check = func(r Result) error {
			if bad {
				bad = false
				return errors.New("not Spanish")
			}
			return nil
		}
		c := b.do(j)
		a := h.take()
		h.done(a.Lease, protocol.Done{Segments: [][]protocol.Piece{{{Text: "hola"}}}}) // keep 1 is lost
		want[protocol.Ack](h)
		a = h.take()
		h.done(a.Lease, protocol.Done{Segments: [][]protocol.Piece{{{Text: "hola "}, {Keep: 1}}}}) // refused by Check
		want[protocol.Ack](h)
		a = h.take()
		if a.Translate.Variant != 2 || a.Attempt != 3 {
			t.Errorf("variant %d, attempt %d", a.Translate.Variant, a.Attempt)
		}
		h.done(a.Lease, protocol.Done{Segments: [][]protocol.Piece{{{Text: "hola "}, {Keep: 1}}}})
		c.ok()
		b.settledOnce(1)
	})
}

func TestUploadsOfAFailedAttemptAreDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		j := asked("r1", 1)
		j.Kind, j.Chat, j.Image = protocol.Image, nil, &protocol.ImageJob{Width: 64, Height: 64, Steps: 4, Count: 2}
		c := b.do(j)
		a := h.take()
		h.put(a.Lease, 1, []byte("only one"))
		h.done(a.Lease, protocol.Done{Blobs: 2})
		want[protocol.Ack](h)
		c.cancel(fault.New(fault.Cancelled))
		c.fails(fault.Cancelled)
		faketime.Wait()
		if left, _ := os.ReadDir(b.cfg.BlobDir); len(left) != 0 {
			t.Errorf("%d files are left", len(left))
		}
	})
}

func TestStoreThatFailsForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		failures := 2
		b.store.refuse = func(call string) error {
			if call == "finish" && failures > 0 {
				failures--
				return errors.New("disk is full")
			}
			return nil
		}
		c := b.do(asked("r1", 1))
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		want[protocol.Ack](h)
		b.settledOnce(1)
	})
}

func TestWaitingTellsThePosition(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		first := b.do(asked("r1", 1))
		a := h.take()
		second := b.do(asked("r2", 2))
		faketime.Wait()
		third := b.do(asked("r3", 3))
		faketime.Wait()
		third.mu.Lock()
		if e := third.events; len(e) != 1 || e[0].Kind != Waiting || e[0].Position != 2 || e[0].ETA <= 0 {
			t.Errorf("events %+v", e)
		}
		third.mu.Unlock()
		for _, c := range []*call{first, second, third} {
			h.done(a.Lease, protocol.Done{Text: "ok"})
			c.ok()
			want[protocol.Ack](h)
			if c != third {
				a = h.take()
			}
		}
		var kinds []EventKind
		for _, e := range third.events {
			kinds = append(kinds, e.Kind)
		}
		if i := slices.Index(kinds, Started); i < 1 || slices.Index(kinds[i:], Waiting) >= 0 {
			t.Errorf("events %v", kinds)
		}
	})
}
