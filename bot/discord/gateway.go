package discord

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"potluck/bot"
)

// The connection is ours: discordgo's Open can hang for ever (it reads with its lock held, without a deadline), it closes with codes that
// end the session, and asks again after every refusal.

const (
	helloTime   = 20 * time.Second // to connect and get HELLO
	readyTime   = 30 * time.Second // from IDENTIFY or RESUME to READY or RESUMED
	readMargin  = 20 * time.Second // silence above the heartbeat interval that ends a connection
	frameLimit  = 64 << 20         // bytes; a GUILD_CREATE of a large guild has some megabytes
	identifyGap = 5*time.Second + 250*time.Millisecond
	firstRetry  = time.Second
	lastRetry   = time.Minute
	// 1000 and 1001 would end the session; with this one it can be resumed.
	closeToResume websocket.StatusCode = 4900
)

const (
	opDispatch       = 0
	opHeartbeat      = 1
	opIdentify       = 2
	opResume         = 6
	opReconnect      = 7
	opInvalidSession = 9
	opHello          = 10
	opHeartbeatAck   = 11
)

// closed is how Discord ended a connection.
type closed struct{ code int }

func (c closed) Error() string {
	return fmt.Sprintf("Discord closed the connection with code %d", c.code)
}

var (
	errReconnect      = errors.New("the gateway asks for a new connection")
	errInvalidSession = errors.New("the gateway does not know the session any more")
	errZombie         = errors.New("the gateway acknowledged no heartbeat")
)

// shard is one connection to the gateway, made anew as often as it takes. Its fields belong to the goroutine of run.
type shard struct {
	platform      *Platform
	index, count  int
	url           string // of /gateway/bot
	identifySlots *slots

	session   string // empty: none to be resumed
	resumeURL string
	seq       int64
	wasReady  bool
}

type packet struct {
	Op   int             `json:"op"`
	Seq  *int64          `json:"s"`
	Type string          `json:"t"`
	Data json.RawMessage `json:"d"`
}

// run keeps the shard connected until ctx ends. An error says why trying again would not help: see fatal and reshard.
func (s *shard) run(ctx context.Context) error {
	wait := firstRetry
	for {
		err := s.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if s.wasReady {
			wait = firstRetry
		}
		s.wasReady = false
		pause := time.Duration((0.5 + rand.Float64()/2) * float64(wait))
		switch c, isClosed := errors.AsType[closed](err); {
		case errors.Is(err, errReconnect):
			pause = time.Duration(rand.Int64N(int64(time.Second)))
		case errors.Is(err, errInvalidSession):
			s.session = ""
			pause = time.Second + time.Duration(rand.Int64N(int64(4*time.Second)))
		case isClosed && c.code == 4014 && s.platform.dropContent():
			s.session = ""
			s.platform.log.Error("Discord refuses the message content intent: going on without it. "+fixContent, "shard", s.index)
		case isClosed && endsForGood(c.code):
			return err
		case isClosed && (c.code == 4007 || c.code == 4009 || c.code == 4003):
			s.session = "" // the session is over, a new one is fine
		}
		s.platform.log.Info("the Discord connection ended", "shard", s.index, "err", err, "again_in", pause.Round(time.Millisecond))
		if bot.Wait(ctx, pause) != nil {
			return nil
		}
		wait = min(2*wait, lastRetry)
	}
}

// endsForGood lists the close codes after which Discord wants no further try with the same data.
func endsForGood(code int) bool { return code == 4004 || code >= 4010 && code <= 4014 }

// connect is one connection from its dial to its end.
func (s *shard) connect(stop context.Context) error {
	// The connection outlives stop for as long as a clean close takes.
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	begin, beginDone := context.WithTimeout(stop, helloTime)
	defer beginDone()
	ws, err := s.dial(begin)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	interval, err := hello(begin, ws)
	if err != nil {
		return err
	}
	if err := s.greet(stop, ws); err != nil {
		return err
	}
	c := &connection{shard: s, ws: ws, interval: interval, acknowledged: true, seq: s.seq}
	var beside sync.WaitGroup
	beside.Go(func() { c.beat(ctx, cancel) })
	beside.Go(func() {
		select {
		case <-stop.Done():
			_ = ws.Close(websocket.StatusNormalClosure, "") // nobody will resume; Discord shows the bot offline at once
			cancel()
		case <-ctx.Done():
		}
	})
	err = c.read(ctx)
	s.seq = c.seq
	if c.zombie() {
		err = errZombie
	}
	if _, isClosed := errors.AsType[closed](err); !isClosed && stop.Err() == nil {
		_ = ws.Close(closeToResume, "") // the other side may be gone
	}
	cancel()
	beside.Wait()
	return err
}

// dial opens a connection where the session can be resumed, or else where everybody begins one.
func (s *shard) dial(ctx context.Context) (*websocket.Conn, error) {
	address := s.url
	if s.session != "" && s.resumeURL != "" {
		address = s.resumeURL
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the gateway's address: %w", err)
	}
	u.RawQuery = "v=10&encoding=json"
	if u.Path == "" {
		u.Path = "/"
	}
	ws, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: s.platform.dialClient, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		s.resumeURL = "" // the next try asks the address that everybody gets
		return nil, fmt.Errorf("connect to the gateway: %w", err)
	}
	ws.SetReadLimit(frameLimit)
	return ws, nil
}

// hello waits for Discord's first word, which says how often the heart is to beat.
func hello(ctx context.Context, ws *websocket.Conn) (interval time.Duration, err error) {
	first, err := read(ctx, ws)
	if err != nil {
		return 0, fmt.Errorf("wait for HELLO: %w", err)
	}
	var said struct {
		Interval int64 `json:"heartbeat_interval"`
	}
	if err := json.Unmarshal(first.Data, &said); err != nil || first.Op != opHello || said.Interval < 100 || said.Interval > 600_000 {
		return 0, fmt.Errorf("the gateway began with operation %d instead of HELLO", first.Op)
	}
	return time.Duration(said.Interval) * time.Millisecond, nil
}

// greet resumes the session, or waits for its turn and identifies.
func (s *shard) greet(ctx context.Context, ws *websocket.Conn) error {
	p := s.platform
	if s.session != "" {
		return write(ctx, ws, opResume, map[string]any{"token": p.config.Token, "session_id": s.session, "seq": s.seq})
	}
	s.seq = 0
	if err := s.identifySlots.wait(ctx, s.index); err != nil {
		return err
	}
	return write(ctx, ws, opIdentify, map[string]any{
		"token": p.config.Token, "intents": p.intents(), "shard": [2]int{s.index, s.count}, "compress": false, "large_threshold": 50,
		"properties": map[string]string{"os": "linux", "browser": "potluck", "device": "potluck"},
	})
}

// connection is what the reader and the heart of one connection share.
type connection struct {
	shard    *shard
	ws       *websocket.Conn
	interval time.Duration

	mu           sync.Mutex
	acknowledged bool
	dead         bool
	seq          int64
}

func (c *connection) zombie() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// beat sends heartbeats, the first after a random part of the interval. When one was not acknowledged the connection is dead: it ends it.
func (c *connection) beat(ctx context.Context, end context.CancelFunc) {
	wait := time.Duration(rand.Float64() * float64(c.interval))
	for bot.Wait(ctx, wait) == nil {
		c.mu.Lock()
		alive := c.acknowledged
		c.acknowledged, c.dead = false, !alive
		seq := c.seq
		c.mu.Unlock()
		if !alive || c.send(ctx, seq) != nil {
			end()
			return
		}
		wait = c.interval
	}
}

func (c *connection) send(ctx context.Context, seq int64) error {
	var value any
	if seq > 0 {
		value = seq
	}
	return write(ctx, c.ws, opHeartbeat, value)
}

// read takes packets until the connection ends.
func (c *connection) read(ctx context.Context) error {
	patience, ready := readyTime, false
	late := time.Now().Add(patience)
	for {
		limit := c.interval + readMargin
		if !ready {
			limit = time.Until(late)
		}
		limited, done := context.WithTimeout(ctx, limit)
		p, err := read(limited, c.ws)
		done()
		if err != nil {
			if !ready && limited.Err() != nil && ctx.Err() == nil {
				return fmt.Errorf("no READY within %v: %w", patience, err)
			}
			return err
		}
		switch p.Op {
		case opDispatch:
			if p.Seq != nil {
				c.mu.Lock()
				c.seq = *p.Seq
				c.mu.Unlock()
			}
			if p.Type == "READY" || p.Type == "RESUMED" {
				ready = true
				c.shard.wasReady = true
			}
			if p.Type == "READY" {
				if err := c.shard.begun(p.Data); err != nil {
					return err
				}
			}
			c.shard.platform.dispatch(ctx, p.Type, p.Data)
		case opHeartbeat:
			c.mu.Lock()
			seq := c.seq
			c.mu.Unlock()
			if err := c.send(ctx, seq); err != nil {
				return err
			}
		case opHeartbeatAck:
			c.mu.Lock()
			c.acknowledged = true
			c.mu.Unlock()
		case opReconnect:
			return errReconnect
		case opInvalidSession:
			if string(p.Data) == "true" && c.shard.session != "" {
				return errReconnect
			}
			return errInvalidSession
		}
	}
}

// begun remembers the session of READY.
func (s *shard) begun(data json.RawMessage) error {
	var r struct {
		Session string `json:"session_id"`
		Resume  string `json:"resume_gateway_url"`
		User    struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal(data, &r); err != nil || r.Session == "" {
		return errors.New("READY cannot be read")
	}
	s.session, s.resumeURL = r.Session, r.Resume
	s.platform.ready(s.index, s.count)
	return nil
}

// read takes one packet. One that is no JSON is an empty heartbeat acknowledgement: it is logged nowhere and harms nobody; the sequence
// number that it may have had is made up for by the next packet.
func read(ctx context.Context, ws *websocket.Conn) (packet, error) {
	_, b, err := ws.Read(ctx)
	if err != nil {
		if code := websocket.CloseStatus(err); code > 0 {
			return packet{}, closed{int(code)}
		}
		return packet{}, err
	}
	var p packet
	if json.Unmarshal(b, &p) != nil {
		return packet{Op: -1}, nil
	}
	return p, nil
}

func write(ctx context.Context, ws *websocket.Conn, op int, data any) error {
	b, err := json.Marshal(map[string]any{"op": op, "d": data})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("write to the gateway: %w", err)
	}
	return nil
}

// slots spaces IDENTIFYs: one of each key (shard % concurrency) in five seconds, and no more than Discord has left for the day.
type slots struct {
	concurrency int

	mu    sync.Mutex
	next  map[int]time.Time
	left  int
	reset time.Time // when there are new ones
}

// renew takes what Discord says now; when each key identified last stays known.
func (s *slots) renew(l sessionLimit, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil || s.concurrency != max(1, l.MaxConcurrency) {
		// Other keys: each waits as if it had been the last.
		last := now
		for _, at := range s.next {
			last = later(last, at)
		}
		s.next = make(map[int]time.Time)
		for key := range max(1, l.MaxConcurrency) {
			s.next[key] = last
		}
	}
	s.concurrency, s.left = max(1, l.MaxConcurrency), l.Remaining
	s.reset = now.Add(time.Duration(l.ResetAfter) * time.Millisecond)
}

func (s *slots) wait(ctx context.Context, shard int) error {
	s.mu.Lock()
	now := time.Now()
	at := now
	if s.left <= 0 {
		if now.Before(s.reset) {
			at = s.reset
		}
		s.left = 1000
	}
	s.left--
	key := shard % s.concurrency
	at = later(at, s.next[key])
	s.next[key] = at.Add(identifyGap)
	s.mu.Unlock()
	if d := at.Sub(now); d > 0 {
		return bot.Wait(ctx, d)
	}
	return ctx.Err()
}

// sessionLimit is session_start_limit of /gateway/bot; ResetAfter is in milliseconds.
type sessionLimit struct {
	Total          int   `json:"total"`
	Remaining      int   `json:"remaining"`
	ResetAfter     int64 `json:"reset_after"`
	MaxConcurrency int   `json:"max_concurrency"`
}
