// Package fakediscord is a strict Discord for tests: REST and gateway, with its clocks, limits and everything that goes wrong there.
package fakediscord

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/bot/fakeserver"
)

// Token is the bot's token that the fake takes.
const Token = "MTAw.fake.token"

// Request is one REST call as it came.
type Request struct {
	Method string
	Path   string // below the API's base
	Query  string
	Body   map[string]any // JSON, or payload_json
	Files  int
	At     time.Time
	Status int
}

// Answer is what Before gives instead of Discord's own.
type Answer struct {
	Status int
	Header http.Header
	Body   string // JSON, or HTML when it begins with "<"
	// Drop: the connection ends without any answer.
	Drop bool
	// Done: the call is carried out before; what it gives is thrown away.
	Done bool
}

// Limit is how many calls a bucket takes in a time.
type Limit struct {
	Calls int
	In    time.Duration
}

// Server is the fake. Its exported fields may be set until the first connection.
type Server struct {
	*fakeserver.Host
	tb testing.TB

	// UploadLimit is the largest file in bytes; default 10 MiB.
	UploadLimit int
	// Intents that the application may use; default all.
	Intents int
	// Shards is what /gateway/bot recommends; Concurrency how many may IDENTIFY within five seconds.
	Shards, Concurrency int
	// Limits are the buckets by the route's template; default are those that are observed at Discord's.
	Limits map[string]Limit
	// Global is the limit of all calls but those of interactions.
	Global Limit
	// Restarts: the bot may be started again at any moment, and cannot know when it identified last; too early, it gets op 9.
	Restarts bool
	// AckWithin is how long after its making an interaction can be acknowledged; default three seconds, as at Discord's.
	AckWithin time.Duration
	// AllowBadRequests: a request that breaks the specification is refused, but fails no test.
	AllowBadRequests bool

	spec *specification

	mu       sync.Mutex
	last     int64
	self     User
	guilds   map[string]*Guild
	channels map[string]*Channel
	members  map[string]*Member
	messages map[string][]*Message // by channel
	nonces   map[string]sentNonce
	inter    map[string]*Interaction // by token
	commands map[string]json.RawMessage
	puts     int
	webhooks map[string]*Webhook
	buckets  map[string]*bucket
	global   bucket
	requests []Request
	before   func(Request) *Answer
	limited  int
	gateway  gateway
}

type sentNonce struct {
	message *Message
	until   time.Time
}

type bucket struct {
	left  int
	reset time.Time
}

// Webhook of a channel.
type Webhook struct {
	ID, Token, Channel, Name string
	Application              string
}

// New starts a fake in memory: nothing but Dial reaches it, and under synctest its clocks are the bubble's. It ends with the test.
func New(tb testing.TB) *Server {
	s := newServer(tb)
	s.serve(fakeserver.InMemory(tb, "fake Discord", "discord.test"))
	return s
}

// Listen starts a fake on a loopback address, for bots in processes of their own. It takes acknowledgements for an hour and has no limit for
// all calls together: what is tested there must not depend on how often the machine stalls.
func Listen(tb testing.TB) *Server {
	s := newServer(tb)
	s.AckWithin, s.Global = time.Hour, Limit{}
	s.serve(fakeserver.OnLoopback(tb, "fake Discord"))
	return s
}

func newServer(tb testing.TB) *Server {
	spec, err := official()
	if err != nil {
		tb.Log(err)
	}
	return &Server{
		tb: tb, spec: spec, UploadLimit: 10 << 20, Intents: -1, Shards: 1, Concurrency: 1, Global: Limit{50, time.Second},
		AckWithin: 3 * time.Second,
		Limits: map[string]Limit{
			"POST /channels/{channel}/messages":                       {5, 5 * time.Second},
			"PATCH /channels/{channel}/messages/{message}":            {5, 5 * time.Second},
			"POST /webhooks/{webhook}/{token}":                        {5, 2 * time.Second},
			"PATCH /webhooks/{webhook}/{token}/messages/{message}":    {5, 2 * time.Second},
			"PUT /applications/{application}/commands":                {2, 5 * time.Second},
			"PUT /applications/{application}/guilds/{guild}/commands": {2, 5 * time.Second},
		},
		self:   User{ID: "100", Username: "Potluck", Bot: true},
		guilds: make(map[string]*Guild), channels: make(map[string]*Channel), members: make(map[string]*Member),
		messages: make(map[string][]*Message), nonces: make(map[string]sentNonce), inter: make(map[string]*Interaction),
		commands: make(map[string]json.RawMessage), webhooks: make(map[string]*Webhook), buckets: make(map[string]*bucket),
		gateway: gateway{sessions: make(map[string]*session), identified: make(map[int]time.Time)},
	}
}

func (s *Server) serve(h *fakeserver.Host) {
	s.Host, h.Dump = h, s.dump
	h.Serve(s.handler())
	s.tb.Cleanup(func() { s.gateway.end(s) }) // before the Host is closed
}

// Close ends every connection. It is called when the test ends, and earlier where a bubble must be left before.
func (s *Server) Close() {
	s.gateway.end(s)
	s.Host.Close()
}

// Base is the API's address for the bot.
func (s *Server) Base() string { return "http://" + s.Address() + "/api/v10" }

// Before is asked about each request; a nil answer lets it through.
func (s *Server) Before(f func(Request) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Requests lists what was called so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Limited counts the 429 that the fake's own buckets gave.
func (s *Server) Limited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limited
}

// dump says what was called lately, and what stands in the chats.
func (s *Server) dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	from := max(0, len(s.requests)-25)
	for _, r := range s.requests[from:] {
		fmt.Fprintf(&b, "%s %s → %d\n", r.Method, r.Path, r.Status)
	}
	for channel, list := range s.messages {
		for _, m := range list {
			fmt.Fprintf(&b, "message %s in %s: %.80q thinking=%t buttons=%d\n", m.ID, channel, m.Content, m.Thinking, len(m.Buttons()))
		}
	}
	return b.String()
}

// call is a request on its way through the fake.
type call struct {
	*http.Request
	route string
	body  []byte         // JSON
	json  map[string]any // the same, when it is an object
	files []Attachment
	entry int // in Server.requests
}

// failure is an error as Discord's API words it.
type failure struct {
	status, code int
	message      string
}

func (f failure) Error() string { return f.message }

var (
	errUnknownChannel     = failure{404, 10003, "Unknown Channel"}
	errUnknownMessage     = failure{404, 10008, "Unknown Message"}
	errUnknownWebhook     = failure{404, 10015, "Unknown Webhook"}
	errUnknownInteraction = failure{404, 10062, "Unknown interaction"}
	errAcknowledged       = failure{400, 40060, "Interaction has already been acknowledged."}
	errMissingAccess      = failure{403, 50001, "Missing Access"}
	errMissingPermissions = failure{403, 50013, "Missing Permissions"}
	errTooLarge           = failure{413, 40005, "Request entity too large"}
	errCannotMessage      = failure{403, 50007, "Cannot send messages to this user"}
	errFollowUps          = failure{400, 40094, "This interaction has reached the maximum of follow-up messages"}
	errOtherAuthor        = failure{403, 50005, "Cannot edit a message authored by another user"}
)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	routes := map[string]func(*call) (any, error){
		"GET /gateway/bot":                                        s.gatewayBot,
		"GET /users/@me":                                          func(*call) (any, error) { return s.self, nil },
		"GET /users/@me/guilds":                                   s.ownGuilds,
		"GET /applications/@me":                                   s.application,
		"POST /users/@me/channels":                                s.openDM,
		"GET /channels/{channel}":                                 s.getChannel,
		"GET /guilds/{guild}/channels":                            s.getChannels,
		"GET /guilds/{guild}/roles":                               s.getRoles,
		"GET /guilds/{guild}/members/{user}":                      s.getMember,
		"POST /channels/{channel}/messages":                       s.postMessage,
		"GET /channels/{channel}/messages":                        s.listMessages,
		"GET /channels/{channel}/messages/{message}":              s.getMessage,
		"PATCH /channels/{channel}/messages/{message}":            s.patchMessage,
		"DELETE /channels/{channel}/messages/{message}":           s.deleteMessage,
		"POST /channels/{channel}/typing":                         func(*call) (any, error) { return nil, nil },
		"GET /applications/{application}/commands":                s.getCommands,
		"PUT /applications/{application}/commands":                s.putCommands,
		"GET /applications/{application}/guilds/{guild}/commands": s.getCommands,
		"PUT /applications/{application}/guilds/{guild}/commands": s.putCommands,
		"POST /interactions/{interaction}/{token}/callback":       s.callback,
		"POST /webhooks/{webhook}/{token}":                        s.execute,
		"GET /webhooks/{webhook}/{token}/messages/{message}":      s.getByToken,
		"PATCH /webhooks/{webhook}/{token}/messages/{message}":    s.patchByToken,
		"DELETE /webhooks/{webhook}/{token}/messages/{message}":   s.deleteByToken,
		"GET /channels/{channel}/webhooks":                        s.listWebhooks,
		"POST /channels/{channel}/webhooks":                       s.createWebhook,
	}
	for route, f := range routes {
		method, path, _ := strings.Cut(route, " ")
		mux.HandleFunc(method+" /api/v10"+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, route, f) })
	}
	mux.HandleFunc("/gateway", s.connect)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.violation("%s %s: no such route in the fake", r.Method, r.URL.Path)
		writeJSON(w, 404, map[string]any{"code": 0, "message": "404: Not Found"})
	})
	return mux
}

func (s *Server) violation(format string, args ...any) {
	if !s.AllowBadRequests {
		s.tb.Errorf("fake Discord: "+format, args...)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(204)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the bot may have hung up
}

// answer carries one call out: authorization, specification, limits, then what the route does.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, route string, f func(*call) (any, error)) {
	c := &call{Request: r, route: route}
	if err := c.read(); err != nil {
		s.violation("%s: %v", route, err)
		writeJSON(w, 400, map[string]any{"code": 50109, "message": "The request body contains invalid JSON."})
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/v10")
	entry := Request{Method: r.Method, Path: path, Query: r.URL.RawQuery, Body: c.json, Files: len(c.files), At: time.Now()}
	s.mu.Lock()
	before := s.before
	c.entry = len(s.requests)
	s.requests = append(s.requests, entry)
	s.mu.Unlock()
	if before != nil {
		if a := before(entry); a != nil {
			if a.Done {
				_, _ = s.carryOut(c, path, w.Header(), f)
			}
			s.instead(w, a)
			s.note(c, a.Status)
			return
		}
	}
	v, err := s.carryOut(c, path, w.Header(), f)
	if err == nil {
		s.note(c, 200)
		writeJSON(w, 200, v)
		return
	}
	fail, ok := errors.AsType[failure](err)
	if !ok {
		fail = failure{500, 0, err.Error()}
	}
	s.note(c, fail.status)
	if fail.status == 429 {
		after, _ := strconv.ParseFloat(w.Header().Get("Retry-After"), 64)
		writeJSON(w, 429, map[string]any{"message": fail.message, "retry_after": after, "global": w.Header().Get("X-RateLimit-Global") != ""})
		return
	}
	writeJSON(w, fail.status, map[string]any{"code": fail.code, "message": fail.message})
}

func (s *Server) note(c *call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[c.entry].Status = status
	s.Notify()
}

func (s *Server) instead(w http.ResponseWriter, a *Answer) {
	if a.Drop {
		if h, ok := w.(http.Hijacker); ok {
			if conn, _, err := h.Hijack(); err == nil {
				conn.Close()
			}
		}
		return
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(a.Body, "<") {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // the bot may have hung up
}

// userAgent is the form that Discord asks for: who made the client, its version, and what else there is to say.
var userAgent = regexp.MustCompile(`^DiscordBot \(https://\S+, \S+\)( \S+)*$`)

func (s *Server) carryOut(c *call, path string, h http.Header, f func(*call) (any, error)) (any, error) {
	if agent := c.Header.Get("User-Agent"); !userAgent.MatchString(agent) {
		s.violation("%s: the User-Agent is %q", c.route, agent)
	}
	byToken := strings.Contains(c.route, "{token}")
	if auth := c.Header.Get("Authorization"); !byToken && auth != "Bot "+Token {
		return nil, failure{401, 0, "401: Unauthorized"}
	}
	if s.spec != nil {
		if wrong := s.spec.check(c.Method, path, c.URL.Query(), c.body); len(wrong) > 0 {
			s.violation("%s %s %s: %s", c.Method, path, c.body, strings.Join(wrong, "; "))
			return nil, failure{400, 50035, "Invalid Form Body: " + strings.Join(wrong, "; ")}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.Notify()
	if err := s.limit(c, h); err != nil {
		return nil, err
	}
	for _, file := range c.files {
		if len(file.Data) > s.UploadLimit {
			return nil, errTooLarge
		}
	}
	v, err := f(c)
	if err != nil || v == nil {
		return nil, err
	}
	b, err := json.Marshal(v) // here: the next call may change what v points to
	return json.RawMessage(b), err
}

// limit needs mu.
func (s *Server) limit(c *call, h http.Header) error {
	interaction := strings.HasPrefix(c.route, "POST /interactions/") || strings.Contains(c.route, "/{token}") && s.inter[c.PathValue("token")] != nil
	now := time.Now()
	if !interaction {
		if ok, _ := s.global.take(s.Global, now); !ok {
			return s.tooMany(h, "global", s.global.reset.Sub(now))
		}
	}
	limit, ok := s.Limits[c.route]
	if !ok {
		return nil
	}
	key := c.route + " " + c.PathValue("channel") + c.PathValue("webhook") + c.PathValue("token")
	b := s.buckets[key]
	if b == nil {
		b = new(bucket)
		s.buckets[key] = b
	}
	ok, left := b.take(limit, now)
	h.Set("X-RateLimit-Bucket", strings.NewReplacer(" ", "-", "/", "-", "{", "", "}", "").Replace(c.route))
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit.Calls))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset-After", strconv.FormatFloat(b.reset.Sub(now).Seconds(), 'f', 3, 64))
	if !ok {
		return s.tooMany(h, "user", b.reset.Sub(now))
	}
	return nil
}

func (s *Server) tooMany(h http.Header, scope string, after time.Duration) error {
	s.limited++
	h.Set("X-RateLimit-Scope", scope)
	if scope == "global" {
		h.Set("X-RateLimit-Global", "true")
	}
	h.Set("Retry-After", strconv.FormatFloat(after.Seconds(), 'f', 3, 64))
	return failure{429, 0, "You are being rate limited."}
}

func (b *bucket) take(l Limit, now time.Time) (ok bool, left int) {
	if l.Calls == 0 {
		return true, 1
	}
	if !now.Before(b.reset) {
		b.left, b.reset = l.Calls, now.Add(l.In)
	}
	if b.left == 0 {
		return false, 0
	}
	b.left--
	return true, b.left
}

// read takes the body: JSON, or a form with payload_json and files[n].
func (c *call) read() error {
	b, err := io.ReadAll(io.LimitReader(c.Body, 30<<20))
	if err != nil {
		return err
	}
	kind, params, _ := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if kind == "multipart/form-data" {
		form := multipart.NewReader(bytes.NewReader(b), params["boundary"])
		b = nil
		for {
			part, err := form.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			data, err := io.ReadAll(part)
			if err != nil {
				return err
			}
			switch name := part.FormName(); {
			case name == "payload_json":
				b = data
			case strings.HasPrefix(name, "files["):
				id := strings.Trim(name, "files[]")
				c.files = append(c.files, Attachment{
					ID: id, Filename: part.FileName(), Size: len(data), Data: data, ContentType: part.Header.Get("Content-Type"),
					Spoiler: strings.HasPrefix(part.FileName(), "SPOILER_"),
				})
			default:
				return fmt.Errorf("unknown part %q of a form", name)
			}
		}
	} else if len(b) > 0 && kind != "application/json" {
		return fmt.Errorf("content type %q", kind)
	}
	c.body = b
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, &c.json)
	}
	return nil
}

// decode reads the body into v.
func (c *call) decode(v any) error { return json.Unmarshal(c.body, v) }
