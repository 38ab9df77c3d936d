package workers

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"potluck/failpoint"
	"potluck/fault"
	"potluck/workers/protocol"
)

// link is where workers connect. It proves who they are, keeps them within their limits, and carries frames: text past the loop to the feeds,
// the rest to the loop. Everything that comes in is hostile.
type link struct {
	pool    *Pool
	proxies []netip.Prefix
	wg      sync.WaitGroup
	ids     atomic.Uint64

	mu       sync.Mutex
	ready    bool // Run has begun
	closed   bool
	sessions map[uint64]*session
	strange  map[string]int // connections per address that have not proved who they are
	stranger int            // all of them
	failures map[string][]time.Time
	greeted  map[int64]*rate.Limiter // handshakes per worker
	bars     bars
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
	lingerFor           = 500 * time.Millisecond
	storePatience       = 5 * time.Second
)

// everybody is the key under which failed join codes of all addresses are counted.
const everybody = ""

func newLink(p *Pool) *link {
	proxies, _ := p.cfg.proxies() // Validate has read them
	return &link{pool: p, proxies: proxies, sessions: map[uint64]*session{}, strange: map[string]int{}, failures: map[string][]time.Time{}, greeted: map[int64]*rate.Limiter{}}
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

// address is who is limited together: an IPv4 address or an IPv6 /64, the real one behind a trusted proxy.
func (l *link) address(r *http.Request) string {
	addr := parseAddr(r.RemoteAddr)
	if l.trusted(addr) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0; i-- {
			hop := parseAddr(strings.TrimSpace(hops[i]))
			if !hop.IsValid() {
				break
			}
			if addr = hop; !l.trusted(hop) {
				break
			}
		}
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

func (l *link) trusted(a netip.Addr) bool {
	for _, p := range l.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func parseAddr(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, _ := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone("")
}

// session is one worker's connection. Its reader is the only goroutine of an idle one; a writer lives as long as there is something to write.
type session struct {
	id   uint64
	link *link
	conn *websocket.Conn
	key  string // the worker's public key
	// secret is the second half of the token for blobs; the first says which session.
	secret string

	// Set before the reader starts; worker under link.mu.
	worker int64
	ping   *time.Timer
	frames *rate.Limiter
	bytes  *rate.Limiter
	offers *rate.Limiter
	done   chan struct{} // closed when the reader has ended

	mu       sync.Mutex
	bindings map[string]*binding
	queue    []protocol.Frame
	writing  bool
	ending   bool // a Bye is queued: nothing more goes in
	dead     bool
	offered  *protocol.OfferFrame // that the loop has not taken yet
	prepared []*offer             // of it
}

// binding is a lease as the link sees it. It moves to the next session when its worker reconnects.
type binding struct {
	lease    string
	attempt  int
	feed     *feed
	inputs   [][]byte
	pictures int // how many may be PUT

	mu       sync.Mutex
	seq      int
	previews map[int][]byte
	order    []int
	uploads  map[*session]int // under way
	sent     int64            // bytes, of all uploads so far
	sealed   bool             // the result is being looked at: its pictures change no more
}

const (
	firstPreview = 1000 // blob numbers from here are previews
	maxPreview   = 256 << 10
	keptPreviews = 2
)

// bind lets the worker speak about a lease.
func (s *session) bind(b *binding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bindings == nil {
		s.bindings = map[string]*binding{}
	}
	s.bindings[b.lease] = b
}

func (s *session) release(lease string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bindings, lease)
}

func (s *session) binding(lease string) *binding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bindings[lease]
}

// send queues a frame and never waits. A worker that takes no more is disconnected.
func (s *session) send(f protocol.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || s.dead {
		return
	}
	if len(s.queue) >= queuedFrames {
		s.kill()
		return
	}
	s.push(f)
}

func (s *session) push(f protocol.Frame) {
	s.queue = append(s.queue, f)
	if !s.writing {
		s.writing = true
		s.link.wg.Go(s.write)
	}
}

// end sends a Bye as the last frame and then closes the connection.
func (s *session) end(b protocol.Bye) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || s.dead {
		return
	}
	s.ending = true
	s.bindings = nil
	if len(s.queue) >= queuedFrames {
		s.kill()
		return
	}
	s.push(b)
}

// kill closes the connection; the reader sees that and reports it. s.mu is held.
func (s *session) kill() {
	if !s.dead {
		s.dead = true
		s.link.wg.Go(func() { s.conn.CloseNow() })
	}
}

func (s *session) write() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.dead {
			s.queue, s.writing = nil, false
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.mu.Unlock()
		failpoint.HitFrame("link.out.", protocol.Name(f))
		b, err := protocol.Encode(f)
		if err == nil {
			err = s.put(b)
		}
		if _, last := f.(protocol.Bye); err != nil || last {
			if err == nil {
				s.linger()
			}
			s.mu.Lock()
			s.dead, s.queue, s.writing = true, nil, false
			s.mu.Unlock()
			s.conn.CloseNow()
			return
		}
	}
}

func (s *session) put(b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, b)
}

// linger gives the last frame time to be read: closing at once would throw it away with a TCP reset when the worker has just sent something.
func (s *session) linger() {
	timer := time.NewTimer(lingerFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	}
}

// connect serves GET /worker/v1.
func (l *link) connect(w http.ResponseWriter, r *http.Request) {
	address := l.address(r)
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
	if wait := l.bars.left(string(key), time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		http.Error(w, "this worker was put out, and may come back later", http.StatusTooManyRequests)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(protocol.MaxFrame)
	s := &session{id: l.ids.Add(1), link: l, conn: conn, key: string(key), secret: newSecret(), done: make(chan struct{})}
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

// greet does the handshake up to the welcome. When it returns false, a Bye is on its way or the connection is dead.
func (l *link) greet(s *session, address string, key, nonce []byte) bool {
	server := l.pool.cfg.ServerKey
	public := server.Public().(ed25519.PublicKey)
	own := make([]byte, 32)
	if _, err := rand.Read(own); err != nil {
		panic(err)
	}
	s.send(protocol.Challenge{
		Protocol: protocol.Version, Server: l.pool.cfg.Name, Key: public, Nonce: own,
		Signature: ed25519.Sign(server, protocol.Transcript(protocol.RoleServer, protocol.Version, own, nonce, public, key)),
	})
	ctx, cancel := context.WithTimeout(context.Background(), protocol.HelloTimeout)
	defer cancel()
	kind, data, err := s.conn.Read(ctx)
	if err != nil {
		return false
	}
	f, err := protocol.Decode(data)
	hello, ok := f.(protocol.Hello)
	if err != nil || !ok || kind != websocket.MessageText || hello.Protocol != protocol.Version {
		return s.refuse(protocol.ByeProtocol, "want a hello of protocol 1")
	}
	if !ed25519.Verify(key, protocol.Transcript(protocol.RoleWorker, protocol.Version, own, nonce, public, key), hello.Signature) {
		return s.refuse(protocol.ByeBadSignature, "the signature does not fit the key")
	}
	if !tidy(&hello) {
		return s.refuse(protocol.ByeProtocol, "more slots, offers or pairs than any worker may have")
	}
	began := time.Now()
	worker, code := l.identify(address, key, &hello)
	if code != "" {
		return s.refuse(code, "")
	}
	if !l.mayGreet(worker.ID, began) {
		l.bars.strike(s.key, began)
		return s.refuse(protocol.ByeProtocol, "this worker connects too often")
	}
	reply := make(chan protocol.Frame, 1)
	l.mu.Lock()
	s.worker = worker.ID // the blobs of a token that guesses this session's number look at it, too
	l.mu.Unlock()
	s.frames = rate.NewLimiter(protocol.FramesPerSec, 2*protocol.FramesPerSec)
	s.bytes = rate.NewLimiter(bytesPerSec, 2*bytesPerSec)
	s.offers = rate.NewLimiter(offersPerSec, offersBurst)
	if !l.pool.post(arrival{session: s, worker: worker, read: began, hello: hello, offers: l.pool.offers(hello.Offers), reply: reply, joined: hello.JoinCode != ""}) {
		return s.refuse(protocol.ByeShutdown, "")
	}
	select {
	case f := <-reply:
		if b, ok := f.(protocol.Bye); ok {
			s.end(b)
			return false
		}
		return true // the loop has queued the welcome: before anything else that it sends
	case <-l.pool.stopped:
		return s.refuse(protocol.ByeShutdown, "")
	}
}

// token goes with blob requests.
func (s *session) token() string { return strconv.FormatUint(s.id, 10) + "." + s.secret }

func (s *session) refuse(code, reason string) bool {
	s.end(protocol.Bye{Code: code, Reason: reason})
	return false
}

// identify finds out whose the key is, linking it when the hello carries a join code. code is the Bye when it is nobody's.
func (l *link) identify(address string, key []byte, hello *protocol.Hello) (w Worker, code string) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	now := time.Now()
	store := l.pool.store
	if hello.JoinCode == "" {
		w, ok, err := store.WorkerByKey(ctx, key)
		switch {
		case err != nil:
			l.pool.log.Error("worker not looked up", "err", err)
			return Worker{}, protocol.ByeShutdown
		case !ok:
			return Worker{}, protocol.ByeBadSignature
		case w.Revoked:
			return Worker{}, protocol.ByeRevoked
		}
		return l.pool.calledByDefault(ctx, w), ""
	}
	// Whatever is wrong with a code, the answer is the same.
	if !l.mayTry(address, now) {
		return Worker{}, protocol.ByeBadCode
	}
	clean, err := protocol.CleanCode(hello.JoinCode)
	if err != nil {
		l.failed(address, now)
		return Worker{}, protocol.ByeBadCode
	}
	w, err = store.Enrol(ctx, sha256.Sum256([]byte(clean)), key, hello.Hardware, l.pool.cfg.MaxPerOwner, now)
	switch {
	case errors.Is(err, ErrBadCode):
		l.failed(address, now)
		return Worker{}, protocol.ByeBadCode
	case fault.Has(err, fault.TooManyWorkers):
		return Worker{}, protocol.ByeTooMany
	case err != nil:
		l.pool.log.Error("worker not linked", "err", err)
		return Worker{}, protocol.ByeShutdown
	}
	return l.pool.keepName(ctx, w, hello.Name), ""
}

// mayGreet tells whether a linked worker has not connected too often.
func (l *link) mayGreet(worker int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.greeted[worker]
	if limit == nil {
		if len(l.greeted) >= 1024 {
			for id, v := range l.greeted {
				if v.TokensAt(now) >= greetsBurst {
					delete(l.greeted, id)
				}
			}
		}
		limit = rate.NewLimiter(greetsPerSec, greetsBurst)
		l.greeted[worker] = limit
	}
	return limit.AllowN(now, 1)
}

// triesInAll is how many wrong join codes a minute of all addresses together stop everybody's linking. It is far above what one address may try, so that
// strangers at many addresses cannot stop it easily, and low enough to make guessing hopeless: 20,000 guesses in the ten minutes of a code of 40 bits
// find it once in 55 million.
const triesInAll = 2000

// mayTry tells whether an address, and all together, have failed less often within the last minute than is allowed.
func (l *link) mayTry(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, who := range [2]string{address, everybody} {
		most := l.pool.cfg.JoinTries
		if who == everybody {
			most = max(triesInAll, most)
		}
		recent := l.failures[who]
		for len(recent) > 0 && now.Sub(recent[0]) >= time.Minute {
			recent = recent[1:]
		}
		if l.failures[who] = recent; len(recent) == 0 {
			delete(l.failures, who)
		}
		if len(recent) >= most {
			return false
		}
	}
	return true
}

func (l *link) failed(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for who, times := range l.failures { // at most triesInAll new ones a minute, so this stays short
		if now.Sub(times[len(times)-1]) >= time.Minute {
			delete(l.failures, who)
		}
	}
	l.failures[address] = append(l.failures[address], now)
	l.failures[everybody] = append(l.failures[everybody], now)
}

// tidy brings what a worker says of itself within bounds; false when it is beyond them.
func tidy(h *protocol.Hello) bool {
	h.Program, h.Name = label(h.Program, 64), label(h.Name, 32)
	h.Hardware.OS, h.Hardware.Arch = printable(h.Hardware.OS, 16), printable(h.Hardware.Arch, 16)
	if len(h.Hardware.GPUs) > 16 || len(h.Running) > 4*protocol.MaxSlots {
		return false
	}
	h.Hardware.CPUs, h.Hardware.RAMMB = max(h.Hardware.CPUs, 0), max(h.Hardware.RAMMB, 0)
	for i := range h.Hardware.GPUs {
		g := &h.Hardware.GPUs[i]
		g.Name, g.Driver, g.VRAMMB = label(g.Name, 64), label(g.Driver, 32), max(g.VRAMMB, 0)
	}
	return tidyOffers(&h.Slots, h.Offers)
}

func tidyOffers(slots *int, offers []protocol.Offer) bool {
	if *slots < 0 || *slots > protocol.MaxSlots || len(offers) > protocol.MaxOffers {
		return false
	}
	for i := range offers {
		o := &offers[i]
		if len(o.Pairs) > protocol.MaxPairs || len(o.Features) > 32 || len(o.Samplers) > 128 || len(o.Model) > 256 || len(o.Engine) > 64 {
			return false
		}
		if o.Model != printable(o.Model, 256) || o.Engine != printable(o.Engine, 64) {
			return false // the name goes back to the worker as it was, so it cannot be mended
		}
		// People see these in lists of what is possible; an odd one is left out.
		o.Features = slices.DeleteFunc(o.Features, func(s string) bool { return s != printable(s, 64) })
		o.Samplers = slices.DeleteFunc(o.Samplers, func(s string) bool { return s != printable(s, 64) })
		o.Pairs = slices.DeleteFunc(o.Pairs, func(p protocol.Pair) bool { return p.From != printable(p.From, 35) || p.To != printable(p.To, 35) })
		o.Digest = printable(o.Digest, 128)
		o.Context, o.MaxPixels, o.MaxSteps, o.MaxCount = max(o.Context, 0), max(o.MaxPixels, 0), max(o.MaxSteps, 0), max(o.MaxCount, 0)
		o.MaxTokens = max(o.MaxTokens, 0)
	}
	return true
}

// read carries a worker's frames until the connection ends.
func (s *session) read() {
	defer close(s.done)
	s.mu.Lock()
	s.ping = time.AfterFunc(pingEvery, s.pingNow)
	s.mu.Unlock()
	final := s.readAll()
	s.link.pool.post(departure{session: s, worker: s.worker, final: final})
	s.mu.Lock()
	ending := s.ending
	s.mu.Unlock()
	if ending && !final {
		s.discard()
	}
	s.ping.Stop()
	s.link.drop(s)
}

// discard reads what a worker still sends until the writer has closed the connection: unread bytes would make a reset of the close, and the
// worker would never learn why.
//
// A worker that goes on flooding is not read for long: it would cost more than it did before it was put out.
func (s *session) discard() {
	bytes := 0
	for range 2 * protocol.FramesPerSec {
		_, data, err := s.conn.Read(context.Background())
		if bytes += len(data); err != nil || bytes > bytesPerSec {
			return
		}
	}
}

func (s *session) pingNow() {
	s.mu.Lock()
	if s.dead || s.ending {
		s.mu.Unlock()
		return
	}
	s.link.wg.Add(1)
	s.mu.Unlock()
	defer s.link.wg.Done()
	ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
	defer cancel()
	if s.conn.Ping(ctx) != nil {
		s.conn.CloseNow()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead && !s.ending {
		s.ping.Reset(pingEvery)
	}
}

// readAll returns whether the worker is gone for good: silent, or it said goodbye.
func (s *session) readAll() (final bool) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), s.link.pool.cfg.Silence)
		kind, data, err := s.conn.Read(ctx)
		silent := ctx.Err() != nil
		cancel()
		if errors.Is(err, websocket.ErrMessageTooBig) { // the library has said so, and closed
			s.link.bars.strike(s.key, time.Now())
		}
		if err != nil {
			return silent
		}
		now := time.Now()
		if kind != websocket.MessageText || !s.frames.AllowN(now, 1) || !s.bytes.AllowN(now, len(data)) {
			return s.putOut("too many frames or bytes")
		}
		f, err := protocol.Decode(data)
		if errors.Is(err, protocol.ErrUnknownFrame) {
			continue
		}
		if err != nil {
			return s.putOut("a frame that is no JSON of its type")
		}
		failpoint.HitFrame("link.in.", protocol.Name(f))
		if _, ok := f.(protocol.Bye); ok {
			return true
		}
		if !s.hear(f) {
			return false
		}
	}
}

// hear takes one frame; false ends the session.
func (s *session) hear(f protocol.Frame) bool {
	switch f := f.(type) {
	case protocol.Event:
		return s.hearEvent(f)
	case protocol.OfferFrame:
		if !s.mayChange() {
			return false
		}
		if !tidyOffers(&f.Slots, f.Offers) {
			return s.putOut("more slots, offers or pairs than any worker may have")
		}
		return s.offer(f)
	case protocol.Beat:
		f.GPUs = f.GPUs[:min(len(f.GPUs), 16)]
		return s.tell(f)
	case protocol.Pause:
		f.Reason = printable(f.Reason, 100)
		return s.mayChange() && s.tell(f)
	case protocol.Resume, protocol.Drain:
		return s.mayChange() && s.tell(f)
	case protocol.Accept, protocol.Refuse:
		return s.tell(f)
	default:
		return true // frames of the server's side mean nothing here
	}
}

// mayChange counts what changes what the worker can do; false when that was too often, and the session has ended.
func (s *session) mayChange() bool {
	if s.offers.Allow() {
		return true
	}
	return s.putOut("what this worker can do changes too often")
}

// putOut ends the session of a worker that breaks the rules, and keeps it away for a while. It returns false, for the reader.
func (s *session) putOut(why string) bool {
	s.link.bars.strike(s.key, time.Now())
	s.end(protocol.Bye{Code: protocol.ByeProtocol, Reason: why})
	return false
}

// offer hands new offers to the loop; those that it has not taken yet are replaced.
func (s *session) offer(f protocol.OfferFrame) bool {
	prepared := s.link.pool.offers(f.Offers)
	s.mu.Lock()
	waiting := s.offered != nil
	s.offered, s.prepared = &f, prepared
	s.mu.Unlock()
	return waiting || s.link.pool.post(offering{session: s, worker: s.worker})
}

// takeOffers returns the newest offers, once for each offering.
func (s *session) takeOffers() (protocol.OfferFrame, []*offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, prepared := *s.offered, s.prepared
	s.offered, s.prepared = nil, nil
	return f, prepared
}

func (s *session) tell(f protocol.Frame) bool {
	return s.link.pool.post(word{session: s, worker: s.worker, frame: f})
}

func (s *session) hearEvent(e protocol.Event) bool {
	if e.Kind == protocol.EventDone || e.Kind == protocol.EventError {
		return s.tell(protocol.Event{Lease: e.Lease, Kind: e.Kind, Seq: e.Seq, Done: e.Done, Error: e.Error})
	}
	b := s.binding(e.Lease)
	if b == nil {
		return true // of a lease that has just ended
	}
	b.mu.Lock()
	fresh := e.Seq > b.seq
	if fresh {
		b.seq = e.Seq
	}
	preview := b.previews[e.Preview]
	b.mu.Unlock()
	if !fresh {
		return true
	}
	switch e.Kind {
	case protocol.EventText:
		if !b.feed.write(b.attempt, e.Text, e.Reset) {
			// An event of kind done without a result is one that fails every check.
			return s.tell(protocol.Event{Lease: e.Lease, Kind: protocol.EventDone})
		}
	case protocol.EventProgress:
		b.feed.advance(b.attempt, min(max(e.Fraction, 0), 1), max(e.Step, 0), max(e.Steps, 0))
	case protocol.EventPreview:
		if preview != nil {
			b.feed.show(b.attempt, preview)
		}
	}
	return true
}
