package fakediscord

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Privileged intents, and that of message contents.
const (
	IntentMembers  = 1 << 1
	IntentPresence = 1 << 8
	IntentContent  = 1 << 15
)

// Script is what a handshake gets instead of its answer.
type Script struct {
	// Silent: neither READY nor RESUMED ever comes. Mute: not even HELLO.
	Silent, Mute bool
	// Op is sent instead: 7 (reconnect) or 9 (session invalid; Resumable is its value).
	Op        int
	Resumable bool
	// Close ends the connection with this code.
	Close int
	// Raw is sent as it is.
	Raw string
}

// gateway is guarded by Server.mu.
type gateway struct {
	sessions   map[string]*session
	scripts    []Script
	identified map[int]time.Time // by shard % concurrency
	identifies int
	resumes    int
	beats      int
	deaf       bool // heartbeats are not acknowledged
	conns      []*conn
	wait       sync.WaitGroup
	ended      bool
}

// session is one shard's, which outlives its connection.
type session struct {
	id      string
	shard   [2]int
	intents int
	seq     int64
	history []frame
	conn    *conn // nil: not connected
	dead    bool
}

type frame struct {
	Op   int    `json:"op"`
	Seq  *int64 `json:"s,omitempty"`
	Type string `json:"t,omitempty"`
	Data any    `json:"d"`
	raw  string
}

type conn struct {
	ws     *websocket.Conn
	out    chan frame
	cancel context.CancelFunc
	close  chan int
}

// Next makes the following handshakes (IDENTIFY or RESUME) end in another way, one script each.
func (s *Server) Next(scripts ...Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.scripts = append(s.gateway.scripts, scripts...)
}

// Handshakes counts how often the bot identified and resumed.
func (s *Server) Handshakes() (identifies, resumes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateway.identifies, s.gateway.resumes
}

// Connected tells how many sessions have a connection.
func (s *Server) Connected() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.gateway.sessions {
		if x.conn != nil {
			n++
		}
	}
	return n
}

// Deaf makes the gateway acknowledge no heartbeat.
func (s *Server) Deaf(deaf bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.deaf = deaf
}

// Op sends an operation (7, or 9 with its value) to every shard.
func (s *Server) Op(op int, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.gateway.sessions {
		if op == 9 && value != true {
			x.dead = true
		}
		x.send(frame{Op: op, Data: value})
	}
}

// Raw sends bytes as they are to every shard.
func (s *Server) Raw(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.gateway.sessions {
		x.send(frame{raw: text})
	}
}

// CloseAll ends every connection with a close code; 0 cuts them. With forget, no session can be resumed.
func (s *Server) CloseAll(code int, forget bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.gateway.sessions {
		x.dead = x.dead || forget
		if x.conn != nil {
			x.conn.close <- code
			x.conn = nil
		}
	}
}

func (x *session) send(f frame) {
	if x.conn == nil {
		return
	}
	select {
	case x.conn.out <- f:
	default:
		x.conn.cancel()
	}
}

// Dispatch sends an event to the shard of a guild ("" is the shard of direct messages), as often as times says.
func (s *Server) Dispatch(guild, kind string, data any, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range times {
		s.dispatch(guild, kind, data)
	}
}

// dispatch needs mu.
func (s *Server) dispatch(guild, kind string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		s.tb.Errorf("fake Discord: %s: %v", kind, err)
		return
	}
	s.Notify()
	for _, x := range s.gateway.sessions {
		if x.dead || shardOf(guild, x.shard[1]) != x.shard[0] || !x.wants(kind, guild) {
			continue
		}
		x.event(kind, json.RawMessage(b))
	}
}

func (x *session) event(kind string, data any) {
	x.seq++
	seq := x.seq
	f := frame{Op: 0, Seq: &seq, Type: kind, Data: data}
	x.history = append(x.history, f)
	x.send(f)
}

func (x *session) wants(kind, guild string) bool {
	switch kind {
	case "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK":
		if guild == "" {
			return x.intents&(1<<12) != 0
		}
		return x.intents&(1<<9) != 0
	case "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE":
		return x.intents&(1<<10) != 0
	case "INTERACTION_CREATE":
		return true
	}
	return x.intents&1 != 0
}

func shardOf(guild string, shards int) int {
	id, err := strconv.ParseUint(guild, 10, 64)
	if err != nil {
		return 0
	}
	return int(id >> 22 % uint64(shards))
}

// dispatchMessage tells of a message as each session may see it.
func (s *Server) dispatchMessage(kind string, m *Message) {
	for _, x := range s.gateway.sessions {
		if x.dead || shardOf(m.GuildID, x.shard[1]) != x.shard[0] || !x.wants(kind, m.GuildID) {
			continue
		}
		b, err := json.Marshal(s.messageFor(x.intents, m))
		if err != nil {
			s.tb.Errorf("fake Discord: %v", err)
			return
		}
		x.event(kind, json.RawMessage(b))
	}
	s.Notify()
}

// messageFor is a message as an application with these intents may see it.
func (s *Server) messageFor(intents int, m *Message) map[string]any {
	b, _ := json.Marshal(m) // a Message always encodes
	out := map[string]any{}
	_ = json.Unmarshal(b, &out)
	if g := s.guilds[m.GuildID]; g != nil && m.WebhookID == "" {
		out["member"] = s.member(g, m.Author.ID, nil, false)
	}
	if m.Reference != nil && m.Type == 19 {
		if to := s.find(m.ChannelID, m.Reference.MessageID); to != nil {
			out["referenced_message"] = to
		}
	}
	mentioned := slices.ContainsFunc(m.Mentions, func(u User) bool { return u.ID == s.self.ID })
	if intents&IntentContent == 0 && m.GuildID != "" && m.Author.ID != s.self.ID && !mentioned {
		out["content"], out["attachments"] = "", []any{}
		for _, key := range []string{"embeds", "components", "poll"} {
			delete(out, key)
		}
	}
	return out
}

// connect is the gateway's endpoint.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ended := s.gateway.ended
	if !ended {
		s.gateway.wait.Add(1)
	}
	s.mu.Unlock()
	if ended {
		return
	}
	defer s.gateway.wait.Done()
	if q := r.URL.Query(); q.Get("v") != "10" || q.Get("encoding") != "json" {
		s.violation("the gateway was asked for %q", r.URL.RawQuery)
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	c := &conn{ws: ws, out: make(chan frame, 4096), cancel: cancel, close: make(chan int, 4)}
	s.mu.Lock()
	s.gateway.conns = append(s.gateway.conns, c)
	mute := len(s.gateway.scripts) > 0 && s.gateway.scripts[0].Mute
	if mute {
		s.gateway.scripts = s.gateway.scripts[1:]
	}
	s.mu.Unlock()
	if !mute {
		c.out <- frame{Op: 10, Data: map[string]any{"heartbeat_interval": 41250}}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.writes(ctx)
	}()
	s.reads(ctx, c)
	cancel()
	<-done
	s.mu.Lock()
	for _, x := range s.gateway.sessions {
		if x.conn == c {
			x.conn = nil
		}
	}
	s.gateway.conns = slices.DeleteFunc(s.gateway.conns, func(x *conn) bool { return x == c })
	s.Notify()
	s.mu.Unlock()
}

func (c *conn) writes(ctx context.Context) {
	defer c.cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case code := <-c.close:
			if code == 0 {
				c.ws.CloseNow()
				return
			}
			_ = c.ws.Close(websocket.StatusCode(code), "") // the other side may be gone
			return
		case f := <-c.out:
			b := []byte(f.raw)
			if f.raw == "" {
				b, _ = json.Marshal(f)
			}
			if c.ws.Write(ctx, websocket.MessageText, b) != nil {
				return
			}
		}
	}
}

func (s *Server) reads(ctx context.Context, c *conn) {
	for {
		_, b, err := c.ws.Read(ctx)
		if err != nil {
			s.closedBy(c, websocket.CloseStatus(err))
			return
		}
		if len(b) > 4096 {
			s.violation("a gateway message of %d bytes", len(b))
			c.close <- 4002
			continue
		}
		var f struct {
			Op   int             `json:"op"`
			Data json.RawMessage `json:"d"`
		}
		if json.Unmarshal(b, &f) != nil {
			c.close <- 4002
			continue
		}
		s.mu.Lock()
		switch f.Op {
		case 1:
			s.gateway.beats++
			if !s.gateway.deaf {
				c.out <- frame{Op: 11}
			}
		case 2:
			s.identify(c, f.Data)
		case 6:
			s.resume(c, f.Data)
		}
		s.Notify()
		s.mu.Unlock()
	}
}

// closedBy: when the bot closes with 1000 or 1001 its session is over.
func (s *Server) closedBy(c *conn, code websocket.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.gateway.sessions {
		if x.conn == c && (code == websocket.StatusNormalClosure || code == websocket.StatusGoingAway) {
			x.dead = true
		}
	}
}

// scripted needs mu.
func (s *Server) scripted(c *conn) bool {
	if len(s.gateway.scripts) == 0 {
		return false
	}
	now := s.gateway.scripts[0]
	s.gateway.scripts = s.gateway.scripts[1:]
	switch {
	case now.Silent:
	case now.Close != 0:
		c.close <- now.Close
	case now.Op != 0:
		var value any
		if now.Op == 9 {
			value = now.Resumable
		}
		c.out <- frame{Op: now.Op, Data: value}
	default:
		c.out <- frame{raw: now.Raw}
	}
	return true
}

// identify needs mu.
func (s *Server) identify(c *conn, data json.RawMessage) {
	var id struct {
		Token      string         `json:"token"`
		Intents    int            `json:"intents"`
		Shard      [2]int         `json:"shard"`
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(data, &id); err != nil {
		c.close <- 4002
		return
	}
	s.gateway.identifies++
	if s.scripted(c) {
		return
	}
	if id.Shard[1] == 0 {
		id.Shard[1] = 1
	}
	switch {
	case id.Token != Token:
		c.close <- 4004
		return
	case id.Shard[0] >= id.Shard[1]:
		c.close <- 4010
		return
	case id.Intents&^s.Intents&(IntentMembers|IntentPresence|IntentContent) != 0:
		c.close <- 4014
		return
	}
	key := id.Shard[0] % max(1, s.Concurrency)
	if last, ok := s.gateway.identified[key]; ok && time.Since(last) < 5*time.Second {
		if !s.Restarts {
			s.violation("shard %d identified %v after another of its key", id.Shard[0], time.Since(last))
		}
		c.out <- frame{Op: 9, Data: false}
		return
	}
	s.gateway.identified[key] = time.Now()
	x := &session{id: "session" + s.id(), shard: id.Shard, intents: id.Intents, conn: c}
	s.gateway.sessions[x.id] = x
	s.ready(x)
}

// ready tells a new session who it is and which guilds are there. It needs mu.
func (s *Server) ready(x *session) {
	var guilds []any
	for _, g := range s.guilds {
		if shardOf(g.ID, x.shard[1]) == x.shard[0] {
			guilds = append(guilds, map[string]any{"id": g.ID, "unavailable": true})
		}
	}
	x.event("READY", map[string]any{
		"v": 10, "user": s.self, "session_id": x.id, "resume_gateway_url": "ws://" + s.Address() + "/gateway", "guilds": guilds,
		"application": map[string]any{"id": s.self.ID, "flags": 0}, "shard": x.shard,
	})
	if x.intents&1 == 0 {
		return
	}
	for _, g := range s.guilds {
		if shardOf(g.ID, x.shard[1]) == x.shard[0] {
			x.event("GUILD_CREATE", s.guildCreate(g))
		}
	}
}

// resume needs mu.
func (s *Server) resume(c *conn, data json.RawMessage) {
	var r struct {
		Token   string `json:"token"`
		Session string `json:"session_id"`
		Seq     int64  `json:"seq"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		c.close <- 4002
		return
	}
	s.gateway.resumes++
	if s.scripted(c) {
		return
	}
	x := s.gateway.sessions[r.Session]
	if x == nil || x.dead || r.Token != Token {
		c.out <- frame{Op: 9, Data: false}
		return
	}
	x.conn = c
	for _, f := range x.history {
		if *f.Seq > r.Seq {
			c.out <- f
		}
	}
	x.event("RESUMED", map[string]any{})
}

func (g *gateway) end(s *Server) {
	s.mu.Lock()
	g.ended = true
	for _, c := range g.conns {
		c.cancel()
	}
	s.mu.Unlock()
	g.wait.Wait()
}
