package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server speaks the protocol as Potluck's does: a real HTTP server with real WebSockets. Its network is loopback, or pipes in a
// synctest bubble. Each handshake that reached its hello waits in links for the test to answer.
type server struct {
	t      testing.TB
	key    ed25519.PrivateKey
	url    string
	client *http.Client
	links  chan *link
	http   *http.Server
	closed chan struct{}
	deaf   chan struct{} // when closed, connections of before read nothing more

	mu     sync.Mutex
	put    map[string][]byte // "lease/n" → picture
	inputs map[string][]byte
	calls  []string // blob requests in order
	status int      // answer to the next blob request, 0 = usual
}

// link is one connection on the server's side.
type link struct {
	s      *server
	conn   *websocket.Conn
	key    ed25519.PublicKey
	hello  protocol.Hello
	signed bool // the worker's signature is right
	frames chan protocol.Frame
	gone   chan struct{}
}

const token = "session-token"

// pipes is a network in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newServer(t testing.TB, listener net.Listener, client *http.Client, url string) *server {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, key: key, url: url, client: client, links: make(chan *link, 16), closed: make(chan struct{}), put: map[string][]byte{}, inputs: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+protocol.Path, s.serveLink)
	mux.HandleFunc(protocol.BlobPath+"{lease}/{n}", s.serveBlob)
	s.http = &http.Server{Handler: mux}
	var served sync.WaitGroup
	served.Go(func() { _ = s.http.Serve(listener) })
	t.Cleanup(func() {
		close(s.closed)
		s.http.Close()
		listener.Close()
		client.CloseIdleConnections()
		served.Wait()
	})
	return s
}

// inMemory is a server for a synctest bubble.
func inMemory(t testing.TB) *server {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	client := newClient()
	client.Transport.(*http.Transport).DialContext = p.dial
	client.Transport.(*http.Transport).Proxy = nil
	return newServer(t, p, client, "http://127.0.0.1")
}

func onLoopback(t testing.TB) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newServer(t, l, newClient(), "http://"+l.Addr().String())
}

func (s *server) serveLink(w http.ResponseWriter, r *http.Request) {
	key, _ := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("key"))
	workerNonce, _ := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("nonce"))
	if r.URL.Query().Get("v") != "1" || len(key) != ed25519.PublicKeySize || len(workerNonce) != 32 {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(protocol.MaxFrame)
	l := &link{s: s, conn: conn, key: key, frames: make(chan protocol.Frame, 4096), gone: make(chan struct{})}
	defer close(l.gone)
	public := s.key.Public().(ed25519.PublicKey)
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce)
	l.send(protocol.Challenge{Protocol: protocol.Version, Server: "test", Key: public, Nonce: nonce,
		Signature: ed25519.Sign(s.key, protocol.Transcript(protocol.RoleServer, protocol.Version, nonce, workerNonce, public, key))})
	for first := true; ; first = false {
		_, b, err := conn.Read(context.Background())
		if err != nil {
			close(l.frames)
			return
		}
		f, err := protocol.Decode(b)
		if err != nil {
			s.t.Errorf("worker sent %.200s: %v", b, err)
			continue
		}
		if first {
			l.hello = f.(protocol.Hello)
			l.signed = ed25519.Verify(key, protocol.Transcript(protocol.RoleWorker, protocol.Version, nonce, workerNonce, public, key), l.hello.Signature)
			s.links <- l
			continue
		}
		l.frames <- f
		select {
		case <-s.deaf:
			<-s.closed
			return
		default:
		}
		if _, ok := f.(protocol.Bye); ok {
			conn.Close(websocket.StatusNormalClosure, "")
			close(l.frames)
			return
		}
	}
}

func (s *server) serveBlob(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("lease") + "/" + r.PathValue("n")
	s.calls = append(s.calls, r.Method+" "+id)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		w.WriteHeader(http.StatusUnauthorized)
	case s.status != 0:
		w.WriteHeader(s.status)
		s.status = 0
	case r.Method == http.MethodPut:
		s.put[id] = body
		w.WriteHeader(http.StatusNoContent)
	case s.inputs[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write(s.inputs[id])
	}
}

func (s *server) fingerprint() [32]byte {
	return protocol.Fingerprint(s.key.Public().(ed25519.PublicKey))
}

func (s *server) joinString() string {
	return protocol.Join{Server: s.url, Fingerprint: s.fingerprint(), Code: "ABCD2345"}.String()
}

// accept waits for a worker's hello and welcomes it.
func (s *server) accept(adopted ...string) *link {
	s.t.Helper()
	l := s.hello()
	l.send(protocol.Welcome{Worker: 7, Name: "anna-pc", Owner: "Anna", Token: token, BeatMS: 5000, Adopted: adopted})
	return l
}

func (s *server) hello() *link {
	s.t.Helper()
	select {
	case l := <-s.links:
		if !l.signed {
			s.t.Error("the worker's signature is wrong")
		}
		return l
	case <-time.After(time.Minute):
		s.t.Fatal("no worker came")
		return nil
	}
}

func (l *link) send(f protocol.Frame) {
	b, err := protocol.Encode(f)
	if err != nil {
		l.s.t.Error(err)
		return
	}
	_ = l.conn.Write(context.Background(), websocket.MessageText, b)
}

// cut ends the connection without a word.
func (l *link) cut() {
	l.conn.CloseNow()
	<-l.gone
}

// next returns the worker's next frame that is of type F, leaving out beats and others.
func next[F protocol.Frame](l *link) F {
	l.s.t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		select {
		case f, ok := <-l.frames:
			if !ok {
				l.s.t.Fatalf("connection ended before a %T came", *new(F))
			}
			if want, ok := f.(F); ok {
				return want
			}
		case <-timeout:
			l.s.t.Fatalf("no %T came", *new(F))
		}
	}
}

// event returns the next event of a kind.
func (l *link) event(kind protocol.EventKind) protocol.Event {
	l.s.t.Helper()
	for {
		if e := next[protocol.Event](l); e.Kind == kind {
			return e
		}
	}
}

// pending returns the frames that have come and were not read.
func (l *link) pending() []protocol.Frame {
	var fs []protocol.Frame
	for {
		select {
		case f, ok := <-l.frames:
			if !ok {
				return fs
			}
			fs = append(fs, f)
		default:
			return fs
		}
	}
}

// toy is an engine whose jobs are functions of the test.
type toy struct {
	name   string
	offers []protocol.Offer
	run    func(ctx context.Context, job protocol.Assign, out engine.Output) (engine.Result, error)
}

func (e *toy) Name() string { return e.name }
func (e *toy) Offers(context.Context) ([]protocol.Offer, error) {
	return e.offers, nil
}
func (e *toy) Run(ctx context.Context, job protocol.Assign, out engine.Output) (engine.Result, error) {
	return e.run(ctx, job, out)
}

func newToy(run func(ctx context.Context, job protocol.Assign, out engine.Output) (engine.Result, error)) *toy {
	return &toy{name: "toy", run: run, offers: []protocol.Offer{
		{Kind: protocol.Chat, Engine: "toy", Model: "small", Quality: protocol.Postable, Context: 4096},
		{Kind: protocol.Chat, Engine: "toy", Model: "eyes", Quality: protocol.Postable, Features: []string{protocol.FeatureVision}},
		{Kind: protocol.Image, Engine: "toy", Model: "painter", MaxPixels: 1 << 20, Samplers: []string{"euler"}},
		{Kind: protocol.Translate, Engine: "toy", Model: "pairs", Pairs: []protocol.Pair{{From: "en", To: "ca", Quality: protocol.Rough}}},
	}}
}

// worker runs an agent until the test ends.
type worker struct {
	*Agent
	t    testing.TB
	done chan struct{}
	err  error
	stop context.CancelFunc
}

func (s *server) work(e engine.Engine, change ...func(*Config)) *worker {
	s.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	fp := s.fingerprint()
	cfg := Config{
		Link: Link{Server: s.url, Fingerprint: hex.EncodeToString(fp[:]), Worker: 7}, Key: key, Settings: DefaultSettings(), Program: "test", HTTP: s.client,
		Discover: func(context.Context) ([]Found, []Missed) { return []Found{{Engine: e, Where: "here"}}, nil },
		Log:      slog.New(slog.DiscardHandler), Rand: mathrand.New(mathrand.NewPCG(1, 2)),
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &worker{Agent: a, t: s.t, done: make(chan struct{}), stop: stop}
	go func() {
		defer close(w.done)
		w.err = a.Run(ctx)
	}()
	s.t.Cleanup(w.end)
	return w
}

func (w *worker) end() {
	w.stop()
	w.wait()
}

func (w *worker) wait() error {
	w.t.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(time.Minute):
		w.t.Fatal("the agent did not return")
		return nil
	}
}

func lease(n int) string { return fmt.Sprintf("%032x", n) }

func chatJob(n int) protocol.Assign {
	return protocol.Assign{Lease: lease(n), Attempt: 1, Kind: protocol.Chat, Model: "small", Engine: "toy", DeadlineMS: 60_000,
		Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: "hello"}}, MaxTokens: 100}}
}

func imageJob(n int) protocol.Assign {
	return protocol.Assign{Lease: lease(n), Attempt: 1, Kind: protocol.Image, Model: "painter", Engine: "toy", DeadlineMS: 60_000,
		Image: &protocol.ImageJob{Prompt: "a lighthouse", Width: 512, Height: 512, Steps: 20, CFG: 7, Sampler: "euler", Count: 2}}
}

func pngPicture() []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)))
	return b.Bytes()
}

func jpegPicture() []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil)
	return b.Bytes()
}

// says writes its words and ends.
func says(words ...string) func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
	return func(_ context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
		for _, w := range words {
			out.Text(w)
		}
		return engine.Result{Done: protocol.Done{Text: strings.Join(words, ""), Finish: "stop"}}, nil
	}
}
