package workers

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"potluck/workers/protocol"
)

// link is where workers connect. It proves who they are, keeps them within their limits, and carries frames: text past the loop to the feeds,
// the rest to the loop. Everything that comes in is hostile.
type link struct {
	pool *Pool
	wg   sync.WaitGroup
	ids  atomic.Uint64

	mu       sync.Mutex
	ready    bool // Run has begun
	closed   bool
	sessions map[uint64]*session
	strange  map[string]int // connections per address that have not proved who they are
	stranger int            // all of them
	failures map[string][]time.Time
	bars     bars

	knocks  *turnstile[string] // connections per address
	greeted *turnstile[int64]  // handshakes per worker
	large   chan struct{}      // holds one for each large hello that is being read
}

const (
	strangersPerAddress = 10
	strangersInAll      = 1000
	writeDeadline       = 10 * time.Second
	pingEvery           = 20 * time.Second
	queuedFrames        = 256
	bytesPerSec         = 2 << 20 // from one worker, sustained; text of 64 streams needs far less
	offersPerSec        = 1       // offer, pause, resume and drain frames: each is much work for the scheduler, and an offer is a write to the store
	offersBurst         = 15
	greetsPerSec        = 0.5 // handshakes of one worker: each is what an offer frame is, and more
	greetsBurst         = 15
	knocksPerSec        = 10 // connections of one address, which may be a house full of workers
	knocksBurst         = 100
	smallHello          = 8 << 10 // bytes; larger ones of strangers take turns, or 1,000 of them would fill the memory
	largeHellos         = 32      // more than one address may have under way
	lingerFor           = 500 * time.Millisecond
	storePatience       = 5 * time.Second
)

// everybody is the key under which failed join codes of all addresses are counted.
const everybody = ""

func newLink(p *Pool) *link {
	return &link{pool: p, sessions: map[uint64]*session{}, strange: map[string]int{}, failures: map[string][]time.Time{},
		knocks: newTurnstile[string](knocksPerSec, knocksBurst), greeted: newTurnstile[int64](greetsPerSec, greetsBurst), large: make(chan struct{}, largeHellos)}
}

// Handler serves protocol.Path and protocol.BlobPath. Before Run and after it, workers are told to come again.
func (p *Pool) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+protocol.Path, p.link.connect)
	mux.HandleFunc("PUT "+protocol.BlobPath+"{lease}/{n}", p.link.upload)
	mux.HandleFunc("GET "+protocol.BlobPath+"{lease}/{n}", p.link.download)
	return mux
}

func (l *link) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
}

// shut says goodbye to every worker and waits until no goroutine of the link is left.
func (l *link) shut() {
	l.mu.Lock()
	l.closed = true
	all := make([]*session, 0, len(l.sessions))
	for _, s := range l.sessions {
		all = append(all, s)
	}
	l.mu.Unlock()
	for _, s := range all {
		s.end(protocol.Bye{Code: protocol.ByeShutdown, Reason: "the server restarts"})
	}
	l.wg.Wait()
}

// enter counts a connection that has not proved anything yet; false when there are too many or the link is closed. When it is true the
// caller calls leave once, and l.wg.Done when its goroutine ends.
func (l *link) enter(address string) (ok bool, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.ready || l.closed:
		return false, http.StatusServiceUnavailable
	case l.strange[address] >= strangersPerAddress || l.stranger >= strangersInAll:
		return false, http.StatusTooManyRequests
	}
	l.strange[address]++
	l.stranger++
	l.wg.Add(1)
	return true, 0
}

func (l *link) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stranger--
	if l.strange[address]--; l.strange[address] == 0 {
		delete(l.strange, address)
	}
}

// connect serves GET /worker/v1.
func (l *link) connect(w http.ResponseWriter, r *http.Request) {
	address := l.pool.cfg.Address(r)
	ok, status := l.enter(address)
	if !ok {
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer l.wg.Done()
	defer l.leave(address)
	q := r.URL.Query()
	key, err1 := base64.RawURLEncoding.DecodeString(q.Get("key"))
	nonce, err2 := base64.RawURLEncoding.DecodeString(q.Get("nonce"))
	if q.Get("v") != strconv.Itoa(protocol.Version) || err1 != nil || err2 != nil || len(key) != ed25519.PublicKeySize || len(nonce) != 32 {
		http.Error(w, "this is where Potluck workers connect", http.StatusBadRequest)
		return
	}
	if !l.knocks.pass(address, time.Now()) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many connections from this address", http.StatusTooManyRequests)
		return
	}
	if wait := l.bars.left(string(key), time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		http.Error(w, "this worker was put out, and may come back later", http.StatusTooManyRequests)
		return
	}
	m := newMeter()
	conn, err := websocket.Accept(metered{w, m}, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(protocol.MaxFrame)
	s := &session{id: l.ids.Add(1), link: l, conn: conn, meter: m, key: string(key), secret: newSecret(), done: make(chan struct{})}
	l.mu.Lock()
	l.sessions[s.id] = s
	closed := l.closed
	l.mu.Unlock()
	if closed || !l.greet(s, address, key, nonce) {
		l.drop(s)
		return
	}
	l.wg.Go(s.read) // a fresh goroutine: this one's stack has grown with the handshake
}

// drop forgets a session that never began or has ended. After it nothing more is queued, so no new goroutine begins.
func (l *link) drop(s *session) {
	l.mu.Lock()
	delete(l.sessions, s.id)
	l.mu.Unlock()
	s.mu.Lock()
	dying := !s.ending // else the writer closes after the Bye
	s.dead = s.dead || dying
	s.mu.Unlock()
	if dying {
		s.conn.CloseNow()
	}
}

func newSecret() string {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return base64.RawURLEncoding.EncodeToString(b[:])
}
