// Package fakebotapi is a strict Bot API of Telegram for tests: long polling, sending, limits and what goes wrong there.
package fakebotapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/bot/fakeserver"
)

// Token is the bot's token that the fake takes.
const Token = "100:fake-token"

// BotID is the bot's own id, BotName its username.
const (
	BotID   = 100
	BotName = "potluck_bot"
)

// Request is one call as it came.
type Request struct {
	Method string
	Params map[string]any
	Files  map[string]Upload // by form field
	At     time.Time
	Status int
	Chat   int64 // chat_id, 0 without
}

// Upload is an uploaded file.
type Upload struct {
	Name string
	Data []byte
}

// Answer is what Before gives instead of the API's own.
type Answer struct {
	Status      int
	Description string
	RetryAfter  int    // seconds, for 429
	Body        string // instead of JSON: HTML of a proxy, say
	// Drop: the connection ends without any answer.
	Drop bool
	// Done: the call is carried out before; what it gives is thrown away.
	Done bool
}

// Server is the fake. Its exported fields may be set until the first connection.
type Server struct {
	*fakeserver.Host
	tb testing.TB

	// Privacy mode keeps ordinary messages of groups from the bot.
	Privacy bool
	// PerSecond calls that write, PerMinute of them in one group; a chat takes one in Apart. 0 = as many as come.
	PerSecond, PerMinute int
	Apart                time.Duration
	// NoDrafts: the server knows no sendMessageDraft for this bot.
	NoDrafts bool
	// AllowBadCalls: a call that breaks the specification is refused, but fails no test.
	AllowBadCalls bool

	spec *specification

	mu         sync.Mutex
	last       int64
	lastUpdate int64
	self       User
	users      map[int64]*User
	chats      map[int64]*Chat
	messages   map[int64][]*Message
	drafts     map[int64][]string
	queries    map[string]*Query
	results    map[string][]map[string]any
	inline     map[string]*Message
	commands   map[string][]string
	updates    []update // not confirmed
	all        []update
	allowed    []string
	polling    int
	webhook    string
	secret     string
	requests   []Request
	before     func(Request) *Answer
	limited    int
	written    []time.Time
	perChat    map[int64][]time.Time
	paused     map[int64]time.Time
}

type update struct {
	id   int64
	kind string
	raw  []byte
}

// New starts a fake in memory: nothing but Dial reaches it, and under synctest its clock is the bubble's. It ends with the test.
func New(tb testing.TB) *Server {
	s := newServer(tb)
	s.serve(fakeserver.InMemory(tb, "fake Bot API", "telegram.test"))
	return s
}

// Listen starts a fake on a loopback address, for bots in processes of their own. It has no limits: a busy machine brings calls closer together
// than they were sent, and the clocks of two processes prove nothing about that.
func Listen(tb testing.TB) *Server {
	s := newServer(tb)
	s.PerSecond, s.PerMinute, s.Apart = 0, 0, 0
	s.serve(fakeserver.OnLoopback(tb, "fake Bot API"))
	return s
}

func newServer(tb testing.TB) *Server {
	spec, err := official()
	if err != nil {
		tb.Log(err)
	}
	return &Server{
		tb: tb, spec: spec, PerSecond: 30, PerMinute: 20, Apart: time.Second,
		self:  User{ID: BotID, IsBot: true, FirstName: "Potluck", Username: BotName},
		users: make(map[int64]*User), chats: make(map[int64]*Chat), messages: make(map[int64][]*Message), drafts: make(map[int64][]string),
		queries: make(map[string]*Query), results: make(map[string][]map[string]any), inline: make(map[string]*Message),
		commands: make(map[string][]string), perChat: make(map[int64][]time.Time), paused: make(map[int64]time.Time), lastUpdate: 7000,
	}
}

func (s *Server) serve(h *fakeserver.Host) {
	s.Host, h.Dump = h, s.dump
	h.Serve(http.HandlerFunc(s.handle))
}

// Base is the API's address for the bot.
func (s *Server) Base() string { return "http://" + s.Address() }

// Before is asked about each call; a nil answer lets it through.
func (s *Server) Before(f func(Request) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Requests lists what was called so far, of these methods (none: all).
func (s *Server) Requests(methods ...string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return len(methods) > 0 && !slices.Contains(methods, r.Method) })
}

// Limited counts the 429 that the fake's own limits gave.
func (s *Server) Limited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limited
}

// Secret is that of the webhook, once one is set.
func (s *Server) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// SetWebhook makes as if a webhook were set from elsewhere: polling then gets 409.
func (s *Server) SetWebhook(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhook = url
	s.Notify()
}

// dump says what was called lately, and what stands in the chats.
func (s *Server) dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, r := range s.requests[max(0, len(s.requests)-25):] {
		fmt.Fprintf(&b, "%s %s chat=%d → %d\n", r.At.Format("15:04:05.000"), r.Method, r.Chat, r.Status)
	}
	for chat, list := range s.messages {
		for _, m := range list {
			fmt.Fprintf(&b, "message %d in %d: %.80q buttons=%d\n", m.ID, chat, m.Shown(), len(m.Buttons()))
		}
	}
	return b.String()
}

// failure is an error as the API words it.
type failure struct {
	code        int
	description string
	retryAfter  int
	migrateTo   int64
}

func (f failure) Error() string { return f.description }

func bad(description string) error {
	return failure{code: 400, description: "Bad Request: " + description}
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	token, method, _ := strings.Cut(path, "/")
	req, err := s.read(r, method)
	if errors.Is(err, io.ErrUnexpectedEOF) || r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the bot gave the call up
	}
	if err != nil {
		s.reject("%s cannot be read: %v", method, err)
		s.answer(w, -1, nil, bad(err.Error()))
		return
	}
	s.mu.Lock()
	entry := len(s.requests)
	s.requests = append(s.requests, req)
	before := s.before
	s.mu.Unlock()
	if token != "bot"+Token {
		s.answer(w, entry, nil, failure{code: 401, description: "Unauthorized"})
		return
	}
	if before != nil {
		if a := before(req); a != nil {
			if a.Done {
				_, _ = s.carryOut(r.Context(), req) // what it gives is thrown away
			}
			s.instead(w, entry, *a)
			return
		}
	}
	result, err := s.carryOut(r.Context(), req)
	s.answer(w, entry, result, err)
}

// instead gives what Before wants.
func (s *Server) instead(w http.ResponseWriter, entry int, a Answer) {
	switch {
	case a.Drop:
		s.mu.Lock()
		s.Notify()
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	case a.Body != "":
		s.status(entry, a.Status)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(a.Status)
		_, _ = io.WriteString(w, a.Body) // the bot may be gone
	default:
		s.answer(w, entry, nil, failure{code: a.Status, description: a.Description, retryAfter: a.RetryAfter})
	}
}

func (s *Server) status(entry, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry >= 0 {
		s.requests[entry].Status = code
	}
	s.Notify()
}

func (s *Server) answer(w http.ResponseWriter, entry int, result any, err error) {
	body := map[string]any{"ok": true, "result": result}
	code := 200
	if err != nil {
		f, ok := errors.AsType[failure](err)
		if !ok {
			f = failure{code: 500, description: err.Error()}
		}
		code = f.code
		body = map[string]any{"ok": false, "error_code": code, "description": f.description}
		params := map[string]any{}
		if f.retryAfter > 0 {
			params["retry_after"] = f.retryAfter
		}
		if f.migrateTo != 0 {
			params["migrate_to_chat_id"] = f.migrateTo
		}
		if len(params) > 0 {
			body["parameters"] = params
		}
	}
	s.status(entry, code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the bot may be gone
}

// reject fails the test of a bot that breaks the specification.
func (s *Server) reject(format string, args ...any) {
	if !s.AllowBadCalls {
		s.tb.Errorf("fake Bot API: "+format, args...)
	}
}

// read decodes a call: multipart, or JSON.
func (s *Server) read(r *http.Request, method string) (Request, error) {
	req := Request{Method: method, Params: make(map[string]any), Files: make(map[string]Upload), At: time.Now()}
	kind, attrs, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "multipart/form-data":
		if err := readForm(multipart.NewReader(r.Body, attrs["boundary"]), s.typesOf(method), &req); err != nil {
			return req, err
		}
	default:
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return req, err
		}
		if len(bytes.TrimSpace(b)) > 0 {
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			if err := d.Decode(&req.Params); err != nil {
				return req, err
			}
		}
	}
	if n, ok := req.Params["chat_id"].(json.Number); ok {
		req.Chat, _ = strconv.ParseInt(n.String(), 10, 64)
	}
	return req, nil
}

// typesOf tells for each parameter whether it is a plain string.
func (s *Server) typesOf(method string) func(name string) (text bool) {
	return func(name string) bool {
		if s.spec == nil || s.spec.Methods[method] == nil {
			return slices.Contains([]string{
				"text", "caption", "callback_query_id", "inline_query_id", "next_offset", "language_code", "url", "inline_message_id", "secret_token",
			}, name)
		}
		for _, f := range s.spec.Methods[method].Fields {
			if f.Name == name {
				return len(f.Types) == 1 && f.Types[0] == "String"
			}
		}
		return false
	}
}

func readForm(form *multipart.Reader, isText func(string) bool, req *Request) error {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			// go-telegram/bot ends a form without any field with nothing at all.
			if len(req.Params) == 0 && len(req.Files) == 0 {
				return nil
			}
			return err
		}
		b, err := io.ReadAll(io.LimitReader(part, 60<<20))
		if err != nil {
			return err
		}
		name := part.FormName()
		if part.FileName() != "" {
			if _, twice := req.Files[name]; twice {
				return fmt.Errorf("the file %q twice", name)
			}
			req.Files[name] = Upload{part.FileName(), b}
			continue
		}
		req.Params[name] = string(b)
		if isText(name) {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err == nil && !d.More() {
			req.Params[name] = v
		}
	}
}
