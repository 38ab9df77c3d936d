package workers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"potluck/fault"
	"potluck/workers/protocol"
)

// greet does the handshake up to the welcome. When it returns false, a Bye is on its way or the connection is dead.
func (l *link) greet(s *session, address string, key, nonce []byte) bool {
	server := l.pool.cfg.ServerKey
	public := server.Public().(ed25519.PublicKey)
	own := make([]byte, 32)
	if _, err := rand.Read(own); err != nil {
		panic(err)
	}
	signed := func(role string) []byte { return protocol.Transcript(role, protocol.Version, own, nonce, public, key) }
	s.send(protocol.Challenge{
		Protocol: protocol.Version, Server: l.pool.cfg.Name, Key: public, Nonce: own, Signature: ed25519.Sign(server, signed(protocol.RoleServer)),
	})
	ctx, cancel := context.WithTimeout(context.Background(), protocol.HelloTimeout)
	defer cancel()
	data, done, err := l.readHello(ctx, s.conn)
	if err != nil {
		return false
	}
	defer done()
	who, err := protocol.DecodeGreeting(data)
	if err != nil || who.Protocol != protocol.Version {
		return s.refuse(protocol.ByeProtocol, "want a hello of protocol 1")
	}
	if !ed25519.Verify(key, signed(protocol.RoleWorker), who.Signature) {
		return s.refuse(protocol.ByeBadSignature, "the signature does not fit the key")
	}
	return l.admit(s, address, key, who.JoinCode, data)
}

// admit reads the hello of somebody who has proved the key, and lets in whose worker it is, or becomes by the join code.
func (l *link) admit(s *session, address string, key []byte, joinCode string, data []byte) bool {
	began := time.Now()
	worker, code := l.known(address, key, joinCode)
	if code != "" {
		return s.refuse(code, "")
	}
	hello, ok := l.readRest(data)
	if !ok {
		if joinCode != "" {
			l.failed(address, began)
		}
		return s.refuse(protocol.ByeProtocol, "more slots, offers or pairs than any worker may have")
	}
	if joinCode != "" {
		if worker, code = l.enrol(address, key, joinCode, hello); code != "" {
			return s.refuse(code, "")
		}
	}
	if !l.greeted.pass(worker.ID, began) {
		l.bars.strike(s.key, began)
		return s.refuse(protocol.ByeProtocol, "this worker connects too often")
	}
	return l.arrive(arrival{
		session: s, worker: worker, read: began, hello: hello, offers: l.pool.offers(hello.Offers), reply: make(chan protocol.Frame, 1), joined: joinCode != "",
	})
}

// arrive hands a worker over to the loop and waits for its verdict.
func (l *link) arrive(a arrival) bool {
	s := a.session
	l.mu.Lock()
	s.worker = a.worker.ID // the blobs of a token that guesses this session's number look at it, too
	l.mu.Unlock()
	s.frames = rate.NewLimiter(protocol.FramesPerSec, 2*protocol.FramesPerSec)
	s.bytes = rate.NewLimiter(bytesPerSec, 2*bytesPerSec)
	s.offers = rate.NewLimiter(offersPerSec, offersBurst)
	if !l.pool.post(a) {
		return s.refuse(protocol.ByeShutdown, "")
	}
	select {
	case f := <-a.reply:
		if b, ok := f.(protocol.Bye); ok {
			s.end(b)
			return false
		}
		return true // the loop has queued the welcome: before anything else that it sends
	case <-l.pool.stopped:
		return s.refuse(protocol.ByeShutdown, "")
	}
}

func (s *session) refuse(code, reason string) bool {
	s.end(protocol.Bye{Code: code, Reason: reason})
	return false
}

// readHello reads the first message of somebody who has proved nothing. The caller calls done once it needs data no more.
func (l *link) readHello(ctx context.Context, conn *websocket.Conn) (data []byte, done func(), err error) {
	kind, r, err := conn.Reader(ctx)
	if err != nil {
		return nil, nil, err
	}
	if kind != websocket.MessageText {
		return nil, func() {}, nil // which is no hello
	}
	data = make([]byte, smallHello)
	n, err := io.ReadFull(r, data)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return data[:n], func() {}, nil
	case err != nil:
		return nil, nil, err
	}
	select {
	case l.large <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	whole := bytes.NewBuffer(make([]byte, 0, protocol.MaxFrame+bytes.MinRead)) // at once: growing would cost several times as much
	whole.Write(data)
	if _, err = whole.ReadFrom(r); err != nil {
		<-l.large
		return nil, nil, err
	}
	return whole.Bytes(), func() { <-l.large }, nil
}

// readRest reads all of a hello whose signature was right; ok is false when it says more than a worker may.
func (l *link) readRest(data []byte) (hello protocol.Hello, ok bool) {
	f, err := protocol.DecodeFromWorker(data)
	if err != nil {
		return hello, false
	}
	hello, ok = f.(protocol.Hello)
	return hello, ok && tidy(&hello)
}

// known finds out whose the key is, or with a join code whether it is worth reading on. code is the Bye when it is nobody's.
func (l *link) known(address string, key []byte, joinCode string) (w Worker, code string) {
	if joinCode != "" {
		if !l.mayTry(address, time.Now()) {
			return Worker{}, protocol.ByeBadCode
		}
		return Worker{}, ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	w, ok, err := l.pool.store.WorkerByKey(ctx, key)
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

// enrol links a key with a join code. Whatever is wrong with a code, the answer is the same.
func (l *link) enrol(address string, key []byte, joinCode string, hello protocol.Hello) (w Worker, code string) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	now := time.Now()
	clean, err := protocol.CleanCode(joinCode)
	if err != nil {
		l.failed(address, now)
		return Worker{}, protocol.ByeBadCode
	}
	w, err = l.pool.store.Enrol(ctx, sha256.Sum256([]byte(clean)), key, hello.Hardware, l.pool.cfg.MaxPerOwner, now)
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
		g.Name, g.VRAMMB = label(g.Name, 64), max(g.VRAMMB, 0)
	}
	return tidyOffers(&h.Slots, h.Offers)
}

// linking tells whether a name would bring people somewhere: it stands below answers, and chats make links of such texts.
func linking(name string) bool { return strings.Contains(name, "://") || strings.Contains(name, "](") }

func tidyOffers(slots *int, offers []protocol.Offer) bool {
	if *slots < 0 || *slots > protocol.MaxSlots || len(offers) > protocol.MaxOffers {
		return false
	}
	pairs := 0
	for i := range offers {
		o := &offers[i]
		if pairs += len(o.Pairs); pairs > protocol.MaxAllPairs || len(o.Pairs) > protocol.MaxPairs ||
			len(o.Features) > 32 || len(o.Samplers) > 128 || len(o.Model) > 256 || len(o.Engine) > 64 {
			return false
		}
		if o.Model != printable(o.Model, 256) || o.Engine != printable(o.Engine, 64) || linking(o.Model) || linking(o.Engine) {
			return false // the name goes back to the worker as it was, so it cannot be mended
		}
		// People see these in lists of what is possible; an odd one is left out.
		o.Features = slices.DeleteFunc(o.Features, func(s string) bool { return s != printable(s, 64) })
		o.Samplers = slices.DeleteFunc(o.Samplers, func(s string) bool { return s != printable(s, 64) })
		o.Pairs = slices.DeleteFunc(o.Pairs, func(p protocol.Pair) bool {
			return p.From == "" || p.To == "" || p.From != printable(p.From, 35) || p.To != printable(p.To, 35)
		})
		o.Context, o.MaxPixels, o.MaxSteps, o.MaxCount = max(o.Context, 0), max(o.MaxPixels, 0), max(o.MaxSteps, 0), max(o.MaxCount, 0)
		o.MaxTokens = max(o.MaxTokens, 0)
	}
	return true
}
