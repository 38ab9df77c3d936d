package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"potluck/workers/protocol"
)

var (
	errSilent = errors.New("the server is silent")
	errSlow   = errors.New("the connection takes no more frames")
	errClosed = errors.New("connection closed by this side")
)

// session is one live connection. The agent's loop owns it; its goroutines only move frames.
type session struct {
	conn    *websocket.Conn
	welcome protocol.Welcome
	beat    time.Duration
	out     chan []byte
	closing chan struct{} // closed by the loop: send what is queued, then end
	ctx     context.Context
	cancel  context.CancelCauseFunc
	began   time.Time

	// only touched by the loop
	draining bool
	closed   bool
	lastBye  *ByeError
}

// close lets what is queued go out and then ends the session.
func (s *session) close() {
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
}

// newSession belongs to ctx for its whole life; the context is kept because blob transfers end with the connection.
func newSession(ctx context.Context, c *connection) *session {
	s := &session{conn: c.conn, welcome: c.welcome, out: make(chan []byte, queuedFrames), closing: make(chan struct{}), began: time.Now()}
	s.beat = 5 * time.Second
	if ms := c.welcome.BeatMS; ms > 0 {
		s.beat = min(max(time.Duration(ms)*time.Millisecond, 100*time.Millisecond), time.Minute)
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// send queues a frame and never blocks; a connection that takes no more is given up.
func (s *session) send(b []byte) {
	select {
	case s.out <- b:
	default:
		s.cancel(errSlow)
	}
}

// roomy tells whether a frame that may wait or be left out should be queued now.
func (s *session) roomy() bool { return len(s.out) < queuedFrames/2 }

// run moves frames until the connection ends, and returns why.
func (s *session) run(received func(protocol.Frame)) error {
	// A dead parent must not cut the writer off before a bye went out: close() and cancel() end it.
	g, ctx := errgroup.WithContext(s.ctx)
	g.Go(func() error { return s.read(ctx, received) })
	g.Go(func() error { return s.write(ctx) })
	g.Go(func() error { return s.ping(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		return s.conn.CloseNow()
	})
	err := g.Wait()
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	s.cancel(errClosed)
	return err
}

func (s *session) read(ctx context.Context, received func(protocol.Frame)) error {
	for {
		f, err := readFrame(ctx, s.conn)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		received(f)
	}
}

func (s *session) write(ctx context.Context) error {
	put := func(b []byte, within time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if err := s.conn.Write(ctx, websocket.MessageText, b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return nil
	}
	for {
		select {
		case b := <-s.out:
			if err := put(b, writeTimeout); err != nil {
				return err
			}
		case <-s.closing:
			for {
				select {
				case b := <-s.out:
					if err := put(b, closeTimeout); err != nil {
						return err
					}
					continue
				default:
				}
				break
			}
			// The server closes when it has read the bye; the reader then ends this session.
			t := time.NewTimer(closeTimeout)
			defer t.Stop()
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ping finds a server that is gone without a word.
func (s *session) ping(ctx context.Context) error {
	t := time.NewTicker(s.beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.closing:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		pong, cancel := context.WithTimeoutCause(ctx, 4*s.beat, errSilent)
		err := s.conn.Ping(pong)
		silent := errors.Is(context.Cause(pong), errSilent)
		cancel()
		if silent {
			return errSilent
		}
		if err != nil {
			return fmt.Errorf("ping: %w", err)
		}
	}
}
