package workers

import (
	"context"
	"errors"
	"io"
	"potluck/failpoint"
	"potluck/workers/protocol"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// session is one worker's connection. Its reader is the only goroutine of an idle one; a writer lives as long as there is something to write.
type session struct {
	id   uint64
	link *link
	conn *websocket.Conn
	// meter is what conn reads from.
	meter *meter
	key   string // the worker's public key
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
	shown    int              // highest number of a preview that was shown: numbers rise, and none is shown twice
	uploads  map[*session]int // under way
	sent     int64            // bytes, of all uploads so far
	fetched  int64            // bytes, of all downloads so far
	sealed   bool             // the result is being looked at: its pictures change no more
}

const (
	firstPreview = 1000 // blob numbers from here are previews
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

// token goes with blob requests.
func (s *session) token() string { return strconv.FormatUint(s.id, 10) + "." + s.secret }

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
	if s.meter.over.Load() {
		_, _ = io.CopyN(io.Discard, s.meter.Conn, protocol.MaxFrame)
		return
	}
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
		if err != nil && s.meter.over.Load() {
			return s.putOut("too many frames, pings or pieces of frames")
		}
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
		f, err := protocol.DecodeFromWorker(data)
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
		f.GPUs = slices.Clone(f.GPUs[:min(len(f.GPUs), 16)]) // a cut list would keep all that was decoded
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
	var preview []byte
	if fresh && e.Kind == protocol.EventPreview && e.Preview > b.shown {
		if preview = b.previews[e.Preview]; preview != nil {
			b.shown = e.Preview
		}
	}
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
