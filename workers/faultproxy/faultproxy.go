// Package faultproxy is a bad network for tests: it stands between two TCP ends and delays, cuts, swallows or slows what passes, and doubles or
// swaps WebSocket messages.
package faultproxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Faults says what goes wrong. The zero value is a good network. New values hold for what passes from then on, also on open connections.
type Faults struct {
	// Latency holds everything back for between Latency and Latency + Jitter, in each direction, in order.
	Latency, Jitter time.Duration
	// CutAfter closes each connection (with a reset where the system can) at a random time of up to twice this long; 0 = never.
	CutAfter time.Duration
	// HalfOpenAfter swallows everything from a random time of up to twice this long after a connection began: both ends believe that it is there.
	HalfOpenAfter time.Duration
	// BytesPerSecond is how slow each direction is; 0 = as fast as it goes.
	BytesPerSecond int
	// Duplicate and Swap are the probabilities that a WebSocket message is delivered twice, or after the next one of its direction
	// (or after SwapWait when none comes).
	Duplicate, Swap float64
}

// SwapWait is how long a message waits for another to be swapped with.
const SwapWait = 100 * time.Millisecond

// Stats counts what the proxy did.
type Stats struct {
	Connections, Cut, HalfOpen, Messages, Duplicated, Swapped int64
}

// Proxy forwards the connections that it accepts. Use New, then Run once.
type Proxy struct {
	listener net.Listener
	upstream string

	mu     sync.Mutex
	faults Faults
	rand   *rand.Rand
	pairs  map[*pair]bool

	connections, cut, halfOpen, messages, duplicated, swapped atomic.Int64
}

// New listens on a free port of this machine; upstream is host:port. The same seed draws the same faults as long as the traffic is the same.
func New(upstream string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &Proxy{listener: l, upstream: upstream, rand: rand.New(rand.NewPCG(seed, 0)), pairs: map[*pair]bool{}}, nil
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes the faults.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// CutAll closes every open connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.cut()
	}
}

// Stats tells what the proxy has done so far.
func (p *Proxy) Stats() Stats {
	return Stats{p.connections.Load(), p.cut.Load(), p.halfOpen.Load(), p.messages.Load(), p.duplicated.Load(), p.swapped.Load()}
}

// Run forwards until ctx ends; when it returns every connection is closed and every goroutine gone.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer p.CutAll()
	stop := context.AfterFunc(ctx, func() { p.listener.Close() })
	defer stop()
	for {
		near, err := p.listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		wg.Go(func() { p.serve(ctx, near) })
	}
}

// pair is one connection through the proxy.
type pair struct {
	near, far net.Conn
	over      chan struct{} // closed by the first cut
	once      sync.Once
	deaf      atomic.Bool
}

// cut closes both ends with a reset: bytes under way are lost.
func (c *pair) cut() { c.end(true) }

func (c *pair) end(reset bool) {
	c.once.Do(func() {
		close(c.over)
		for _, end := range [2]net.Conn{c.near, c.far} {
			if tcp, ok := end.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0)
			}
			end.Close()
		}
	})
}

func (p *Proxy) serve(ctx context.Context, near net.Conn) {
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.upstream)
	if err != nil {
		near.Close()
		return
	}
	p.connections.Add(1)
	c := &pair{near: near, far: far, over: make(chan struct{})}
	p.mu.Lock()
	p.pairs[c] = true
	f := p.faults
	cutAfter, deafAfter := p.upTo(2*f.CutAfter), p.upTo(2*f.HalfOpenAfter)
	p.mu.Unlock()
	if ctx.Err() != nil {
		c.cut()
	}
	defer func() {
		c.end(false)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.pairs, c)
	}()
	if f.CutAfter > 0 {
		t := time.AfterFunc(cutAfter, func() { p.cut.Add(1); c.cut() })
		defer t.Stop()
	}
	if f.HalfOpenAfter > 0 {
		t := time.AfterFunc(deafAfter, func() { p.halfOpen.Add(1); c.deaf.Store(true) })
		defer t.Stop()
	}
	var directions sync.WaitGroup
	directions.Go(func() { p.carry(c, near, far) })
	directions.Go(func() { p.carry(c, far, near) })
	directions.Wait()
}

// upTo draws a duration; p.mu is held.
func (p *Proxy) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(p.rand.Int64N(int64(d)))
}

func (p *Proxy) chance(of float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return of > 0 && p.rand.Float64() < of
}

// parcel is what is delivered at once: some bytes, or a whole WebSocket message.
type parcel struct {
	data  []byte
	at    time.Time
	whole bool // a data message that may be doubled or swapped
}

// parcels bounds what is under way in one direction; a sender that is faster waits, as on a real line.
const parcels = 256

// carry moves one direction until either end closes.
func (p *Proxy) carry(c *pair, from, to net.Conn) {
	line := make(chan parcel, parcels)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer c.half(to)
		p.deliver(c, line, to)
	})
	defer wg.Wait()
	defer close(line)
	send := func(data []byte, whole bool) bool {
		p.mu.Lock()
		f := p.faults
		late := f.Latency + p.upTo(f.Jitter)
		p.mu.Unlock()
		select {
		case line <- parcel{data, time.Now().Add(late), whole}:
			return true
		case <-c.over:
			return false
		}
	}
	r := bufio.NewReaderSize(from, 32<<10)
	if upgraded, ok := p.head(r, send); !ok {
		return
	} else if upgraded {
		p.frames(r, send)
		return
	}
	for {
		buf := make([]byte, 4<<10)
		n, err := r.Read(buf)
		if n > 0 && !send(buf[:n], false) || err != nil {
			return
		}
	}
}

// half tells the other end that no more comes in this direction.
func (c *pair) half(to net.Conn) {
	if tcp, ok := to.(*net.TCPConn); ok && !c.deaf.Load() {
		_ = tcp.CloseWrite()
	}
}

// maxHead bounds an HTTP head; one that is longer passes as plain bytes.
const maxHead = 16 << 10

// head passes the first HTTP head of a direction on and tells whether WebSocket frames follow it.
func (p *Proxy) head(r *bufio.Reader, send func([]byte, bool) bool) (upgraded, ok bool) {
	var head []byte
	for len(head) < maxHead {
		line, err := r.ReadSlice('\n')
		head = append(head, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if len(head) > 0 {
				send(head, false)
			}
			return false, false
		}
		if s := string(line); s == "\r\n" || s == "\n" {
			break
		}
	}
	return bytes.Contains(bytes.ToLower(head), []byte("\r\nupgrade: websocket\r\n")), send(head, false)
}

// frames passes WebSocket frames on, whole ones as far as they are of a sensible size.
func (p *Proxy) frames(r *bufio.Reader, send func([]byte, bool) bool) {
	for {
		frame, data, err := readFrame(r)
		if err != nil {
			return
		}
		if data {
			p.messages.Add(1)
		}
		if !send(frame, data) {
			return
		}
	}
}

// maxFrame bounds what is kept of one frame in memory.
const maxFrame = 16 << 20

var errFrame = errors.New("frame too large")

// readFrame reads one frame with its head. data tells whether it is a whole message; fragments and control frames are not.
func readFrame(r *bufio.Reader) (frame []byte, data bool, err error) {
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false, err
	}
	more := 0
	switch head[1] & 0x7f {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	head = head[:2+more]
	if _, err := io.ReadFull(r, head[2:]); err != nil {
		return nil, false, err
	}
	size := uint64(head[1] & 0x7f)
	switch more {
	case 2:
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		size = binary.BigEndian.Uint64(head[2:])
	}
	if size > maxFrame {
		return nil, false, errFrame
	}
	if head[1]&0x80 != 0 {
		size += 4 // the mask
	}
	frame = append(head, make([]byte, size)...)
	if _, err := io.ReadFull(r, frame[len(head):]); err != nil {
		return nil, false, err
	}
	final, opcode := head[0]&0x80 != 0, head[0]&0x0f
	return frame, final && (opcode == 1 || opcode == 2), nil
}

// deliver writes what is under way at its time, as slowly as it must, twice or in another order.
func (p *Proxy) deliver(c *pair, line <-chan parcel, to net.Conn) {
	d := delivery{proxy: p, pair: c, to: to}
	for {
		m, more := d.next(line)
		if !more {
			d.release()
			p.drain(c, line)
			return
		}
		if c.until(m.at) {
			d.pass(m)
		}
	}
}

// delivery is one direction of a pair.
type delivery struct {
	proxy *Proxy
	pair  *pair
	to    net.Conn
	held  []byte // waits to be swapped with the next message
}

// next waits for what comes next, while something is held only so long; more is false when nothing does.
func (d *delivery) next(line <-chan parcel) (m parcel, more bool) {
	if d.held != nil {
		t := time.NewTimer(SwapWait)
		defer t.Stop()
		select {
		case m, more = <-line:
			return m, more
		case <-t.C:
			if !d.release() {
				return m, false
			}
		case <-d.pair.over:
			return m, false
		}
	}
	select {
	case m, more = <-line:
	case <-d.pair.over:
	}
	return m, more
}

// pass writes a parcel, or holds it. What cannot be written ends the pair.
func (d *delivery) pass(m parcel) {
	p := d.proxy
	p.mu.Lock()
	f := p.faults
	p.mu.Unlock()
	if !m.whole && !d.release() { // nothing passes a close or a ping
		d.pair.cut()
	}
	if m.whole && d.held == nil && p.chance(f.Swap) {
		d.held = m.data
		p.swapped.Add(1)
		return
	}
	ok := p.write(d.pair, d.to, m.data)
	if ok && m.whole && p.chance(f.Duplicate) {
		p.duplicated.Add(1)
		ok = p.write(d.pair, d.to, m.data)
	}
	if !ok || !d.release() {
		d.pair.cut()
	}
}

// release writes what is held, if anything is; false: it could not be written.
func (d *delivery) release() bool {
	held := d.held
	d.held = nil
	return held == nil || d.proxy.write(d.pair, d.to, held)
}

// drain throws away what is left once a direction is over, so that its reader ends.
func (p *Proxy) drain(c *pair, line <-chan parcel) {
	for {
		select {
		case _, more := <-line:
			if !more {
				return
			}
		case <-c.over:
			return
		}
	}
}

// until waits; false when the connection is cut first.
func (c *pair) until(at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.over:
		return false
	}
}

// write delivers bytes, at the speed of the line. On a half-open connection they are gone.
func (p *Proxy) write(c *pair, to net.Conn, data []byte) bool {
	for len(data) > 0 {
		if c.deaf.Load() {
			return true
		}
		p.mu.Lock()
		speed := p.faults.BytesPerSecond
		p.mu.Unlock()
		n := len(data)
		if speed > 0 {
			n = min(n, max(speed/10, 1))
			if !c.until(time.Now().Add(time.Duration(n) * time.Second / time.Duration(speed))) {
				return false
			}
		}
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}
