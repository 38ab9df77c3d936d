package workers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"potluck/workers/protocol"
)

// Limits below those of whole messages: the library answers pings and joins fragments inside one Read, so nobody else sees them.
const (
	// WebSocket frames of all kinds. A worker's library may cut a message into some of them.
	piecesPerSec = 2 * protocol.FramesPerSec
	piecesBurst  = 2 * piecesPerSec
	// Pings and pongs: a worker owes us one every pingEvery, and pings by itself at each heartbeat.
	controlPerSec = 5
	controlBurst  = 20
	// Reads of the socket. Whoever sends single bytes is not put out for it, networks may do that; but more of them are read at once.
	readsPerSec = 1000
	readsBurst  = 2000
)

var errFlood = errors.New("more WebSocket frames than a worker needs")

// meter counts the WebSocket frames that a worker sends, where they come out of the socket. Once there are too many nothing more is read.
type meter struct {
	net.Conn
	pieces, control, reads *rate.Limiter
	over                   atomic.Bool

	// Of the reader: where in a frame the stream is.
	head [14]byte // of the frame that begins: at most 2 bytes, 8 of length, 4 of mask
	have int      // bytes of head
	skip uint64   // bytes of its content that are still to come
}

func newMeter() *meter {
	return &meter{
		pieces:  rate.NewLimiter(piecesPerSec, piecesBurst),
		control: rate.NewLimiter(controlPerSec, controlBurst),
		reads:   rate.NewLimiter(readsPerSec, readsBurst),
	}
}

func (m *meter) Read(p []byte) (int, error) {
	if m.over.Load() {
		return 0, errFlood
	}
	now := time.Now()
	if wait := m.reads.ReserveN(now, 1).DelayFrom(now); wait > 0 {
		<-time.After(wait) // a millisecond at most, for reads come one after another
	}
	n, err := m.Conn.Read(p)
	if !m.scan(p[:n]) {
		m.over.Store(true)
		return 0, errFlood
	}
	return n, err
}

// scan follows the frames in what was read; false when there are too many.
func (m *meter) scan(b []byte) bool {
	now := time.Now()
	for len(b) > 0 {
		if m.skip > 0 {
			n := min(m.skip, uint64(len(b)))
			b, m.skip = b[n:], m.skip-n
			continue
		}
		m.head[m.have], b = b[0], b[1:]
		if m.have++; m.have < 2 || m.have < headSize(m.head[1]) {
			continue
		}
		m.have, m.skip = 0, contentSize(&m.head)
		if control := m.head[0]&8 != 0; !m.pieces.AllowN(now, 1) || control && !m.control.AllowN(now, 1) {
			return false
		}
	}
	return true
}

// headSize is how many bytes stand before the content of a frame, by its second byte.
func headSize(second byte) int {
	n := 2
	switch second & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if second&0x80 != 0 {
		n += 4 // the mask
	}
	return n
}

func contentSize(head *[14]byte) uint64 {
	switch n := head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		return binary.BigEndian.Uint64(head[2:])
	default:
		return uint64(n)
	}
}

// metered has whoever hijacks a connection read it through a meter.
type metered struct {
	http.ResponseWriter
	m *meter
}

func (w metered) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.m.Conn = conn
	early, _ := rw.Reader.Peek(rw.Reader.Buffered()) // came behind the request, and does not pass Read
	if !w.m.scan(early) {
		w.m.over.Store(true)
	}
	return w.m, rw, nil
}
