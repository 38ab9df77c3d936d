package webchat

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// cookieName names the session cookie. It holds 256 random bits; the database knows only their hash.
const cookieName = "potluck_session"

const cookieAge = 365 * 24 * time.Hour

// Handler serves the page at / and everything it needs below /webchat/.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", p.assets["index.html"])
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		mux.Handle("GET /webchat/"+name, p.assets[name])
	}
	mux.HandleFunc("GET /webchat/session", p.withSession(p.whoAmI))
	mux.HandleFunc("POST /webchat/session", p.enter)
	mux.HandleFunc("POST /webchat/messages", p.withSession(p.postMessage))
	mux.HandleFunc("POST /webchat/actions", p.withSession(p.press))
	mux.HandleFunc("GET /webchat/events", p.withSession(p.events))
	mux.HandleFunc("GET /webchat/pictures/{name}", p.withSession(p.picture))
	mux.HandleFunc("GET /webchat/commands", p.commands)
	mux.HandleFunc("GET /webchat/operator", p.becomeOperator)
	return p.guard(mux)
}

// contentPolicy lets the page load its own files and nothing else; scripts cannot even make HTML out of text.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard sets the headers of every answer, and refuses posts that another site made this visitor's browser send.
func (p *Page) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 { // also a body that nobody reads: the server reads it before it answers
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.config.Limits.ReadTimeout)) // not every ResponseWriter has one
		}
		if r.Method == http.MethodPost {
			if !p.ownOrigin(r) {
				refuse(w, http.StatusForbidden, "foreign_origin", "This request came from another site.")
				return
			}
			if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
				refuse(w, http.StatusUnsupportedMediaType, "not_json", "Send JSON with Content-Type: application/json.")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// ownOrigin is stricter than the standard check: an Origin that is present must fit even when Sec-Fetch-Site says same-origin.
func (p *Page) ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && !slices.Contains(p.config.Origins, origin) {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return p.foreign.Check(r) == nil
}

// refuse answers with a sentence for people and a code for the page, which has the sentence in more languages.
func refuse(w http.ResponseWriter, status int, code, sentence string) {
	answer(w, status, map[string]string{"error": sentence, "code": code})
}

func answer(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{"error":"Something went wrong here.","code":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(encoded, '\n')) // the visitor may be gone
}

// broken logs err and answers without telling what it is.
func (p *Page) broken(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", "1")
	if errors.Is(err, errNotRunning) {
		refuse(w, http.StatusServiceUnavailable, "starting", "Potluck is starting or stopping. Try again in a moment.")
		return
	}
	if fault.Has(err, fault.Busy) {
		refuse(w, http.StatusServiceUnavailable, "busy", "Too much is going on right now. Try again in a moment.")
		return
	}
	if fault.Has(err, fault.Storage) {
		p.config.Log.Error("page request not kept", "path", r.URL.Path, "err", err)
		refuse(w, http.StatusServiceUnavailable, "storage", "The disk of this Potluck is full or takes nothing right now. Try again later.")
		return
	}
	p.config.Log.Error("page request not served", "path", r.URL.Path, "err", err)
	refuse(w, http.StatusInternalServerError, "internal", "Something went wrong here. Try again in a moment.")
}

// read decodes a JSON body of at most limit bytes; what it cannot read it refuses.
func read(w http.ResponseWriter, r *http.Request, limit int64, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more than one value")
		}
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		refuse(w, http.StatusRequestEntityTooLarge, "too_long", "That is too long.")
		return false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_json", "The request is not the JSON that is expected here.")
		return false
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // it would end the request's context while that is served
	return true
}

func (p *Page) limited(w http.ResponseWriter, r *rates, key string) bool {
	wait, ok := r.take(key, p.config.Now())
	if ok {
		return false
	}
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	refuse(w, http.StatusTooManyRequests, "too_fast", "That was a bit fast. Wait a moment and try again.")
	return true
}

// Sessions

func (p *Page) session(r *http.Request) (Session, bool, error) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return Session{}, false, nil
	}
	secret, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(secret) != 32 {
		return Session{}, false, nil
	}
	s, ok, err := p.config.Store.Session(r.Context(), sha256.Sum256(secret))
	if err != nil {
		return Session{}, false, fmt.Errorf("find session: %w", err)
	}
	return s, ok, nil
}

func (p *Page) withSession(serve func(http.ResponseWriter, *http.Request, Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok, err := p.session(r)
		switch {
		case err != nil:
			p.broken(w, r, err)
		case !ok:
			refuse(w, http.StatusUnauthorized, "no_session", "Tell us your name first.")
		default:
			serve(w, r, s)
		}
	}
}

// newSession saves s under a fresh secret and sends the cookie. A renamed visitor gets a new one too: a session never changes.
func (p *Page) newSession(w http.ResponseWriter, r *http.Request, s Session) error {
	var secret [32]byte
	rand.Read(secret[:])
	ctx, cancel := durable(r.Context())
	defer cancel()
	if err := p.config.Store.NewSession(ctx, sha256.Sum256(secret[:]), s); err != nil {
		return fmt.Errorf("save session: %w", err)
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: base64.RawURLEncoding.EncodeToString(secret[:]), Path: "/", MaxAge: int(cookieAge / time.Second),
		HttpOnly: true, Secure: p.config.Secure(r), SameSite: http.SameSiteLaxMode,
	})
	return nil
}

func (p *Page) describe(w http.ResponseWriter, s Session) {
	answer(w, http.StatusOK, struct {
		User     community.UserID `json:"user"`
		Name     string           `json:"name"`
		Chats    []string         `json:"chats"`
		Operator bool             `json:"operator"`
	}{s.User, s.Name, p.config.Chats, s.User == OperatorUser})
}

func (p *Page) whoAmI(w http.ResponseWriter, _ *http.Request, s Session) { p.describe(w, s) }

func (p *Page) enter(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name string `json:"name"`
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	s, known, err := p.session(r)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	if known && (body.Name == "" || body.Name == s.Name) {
		p.describe(w, s)
		return
	}
	name, err := cleanName(body.Name)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad_name", "Choose a name with 1 to 32 characters, without control characters.")
		return
	}
	if speaksFor(name, p.config.Title) && !(known && s.User == OperatorUser && name == operatorName) {
		refuse(w, http.StatusBadRequest, "taken_name", "People would take that name for the bot, the operator or everybody. Choose another one.")
		return
	}
	if p.limited(w, p.limits.sessions, p.config.Address(r)) {
		return
	}
	if !known {
		s = Session{User: newUser(), Created: p.config.Now()}
	}
	s.Name = name
	if err := p.newSession(w, r, s); err != nil {
		p.broken(w, r, err)
		return
	}
	p.describe(w, s)
}

// oneTimeToken is the operator's: it is right once.
type oneTimeToken struct {
	mu    sync.Mutex
	token string
}

func (t *oneTimeToken) take(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Hashed first, so that the time of the comparison does not depend on the length either.
	want, got := sha256.Sum256([]byte(t.token)), sha256.Sum256([]byte(token))
	if t.token == "" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return false
	}
	t.token = ""
	return true
}

func (t *oneTimeToken) giveBack(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token = token
}

func (p *Page) becomeOperator(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // HEAD: something looks whether the address exists
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if p.limited(w, p.limits.sessions, p.config.Address(r)) {
		return
	}
	token := r.URL.Query().Get("token")
	if !p.operator.take(token) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, usedToken)
		return
	}
	s, known, err := p.session(r)
	if err == nil {
		if !known {
			s = Session{Name: operatorName, Created: p.config.Now()}
		}
		s.User = OperatorUser
		ctx, cancel := durable(r.Context())
		defer cancel()
		if err = p.config.Operator(ctx, s.User, s.Name); err == nil {
			err = p.newSession(w, r, s)
		}
	}
	if err != nil {
		p.operator.giveBack(token)
		p.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// operatorName is what a visitor is called who opened the operator URL first.
const operatorName = "Operator"

const usedToken = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>This operator link does not work</title><link rel="stylesheet" href="/webchat/style.css"></head>
<body class="plain"><main><h1>This operator link does not work</h1>
<p>It works once, and only until the program stops. Whoever runs this Potluck finds a fresh link in its output after a restart.</p>
<p><a href="/">Go to the chat</a></p></main></body></html>
`

// Messages and presses

// bodyLimit fits TextLength characters in JSON's longest form, twelve bytes for one beyond the basic plane.
func (p *Page) bodyLimit() int64 { return int64(p.config.Limits.TextLength)*12 + 4<<10 }

func (p *Page) postMessage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Chat    string              `json:"chat"`
		Text    string              `json:"text"`
		ReplyTo community.MessageID `json:"reply_to"`
		// Nonce makes sending again after a lost answer safe: the same visitor, chat and nonce are the same message.
		Nonce string `json:"nonce"`
	}
	if !read(w, r, p.bodyLimit(), &body) {
		return
	}
	text := cleanText(body.Text)
	switch {
	case !slices.Contains(p.config.Chats, body.Chat):
		refuse(w, http.StatusNotFound, "no_chat", "There is no such chat.")
		return
	case text == "":
		refuse(w, http.StatusBadRequest, "empty", "Write something first.")
		return
	case utf8.RuneCountInString(text) > p.config.Limits.TextLength:
		refuse(w, http.StatusRequestEntityTooLarge, "too_long",
			fmt.Sprintf("That is too long: a message has at most %d characters.", p.config.Limits.TextLength))
		return
	case len(body.Nonce) > 64 || len(body.ReplyTo) > 64:
		refuse(w, http.StatusBadRequest, "bad_json", "The request is not the JSON that is expected here.")
		return
	}
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return
	}
	if !p.running(r.Context()) {
		p.broken(w, r, errNotRunning)
		return
	}
	m := Message{
		ID: newMessageID(), Chat: body.Chat, User: s.User, Author: s.Name, Text: bot.Plain(text), Final: true, At: p.config.Now(),
	}
	if body.Nonce != "" {
		sum := sha256.Sum256([]byte(string(s.User) + "\x00" + body.Nonce))
		m.Nonce = "v:" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if p.config.PrivateCommand(text) {
		m.Only = s.User
	}
	if body.ReplyTo != "" {
		target, ok, err := p.visible(r.Context(), body.Chat, body.ReplyTo, s.User)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		if !ok {
			refuse(w, http.StatusNotFound, "gone", "The message that you reply to is gone.")
			return
		}
		m.ReplyTo = target.ID
		if target.Only != "" { // what answers a private message stays private
			m.Only = s.User
		}
	}
	id, err := p.post(r.Context(), m)
	if err == nil {
		// A message that was posted before, but not handed over, is handed over now; the Router ignores an event that it knows.
		e := p.event(r, s, bot.MessageNew, body.Chat)
		e.ID, e.Message, e.ReplyTo, e.Text, e.Private = "page:"+string(id), id, m.ReplyTo, m.Text, m.Only != ""
		err = p.handOver(r.Context(), e)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]community.MessageID{"id": id})
}

func (p *Page) press(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Message community.MessageID `json:"message"`
		Action  string              `json:"action"`
		Chat    string              `json:"chat"` // where it stands, if known
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return
	}
	for _, chat := range p.config.Chats {
		if body.Chat != "" && body.Chat != chat || len(body.Message) > 64 {
			continue
		}
		m, ok, err := p.visible(r.Context(), chat, body.Message, s.User)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		if !ok || !slices.ContainsFunc(m.Buttons, func(b bot.Button) bool { return b.ID == body.Action }) {
			continue
		}
		e := p.event(r, s, bot.ActionPressed, chat)
		e.ID, e.Message, e.Action, e.Private = "page:"+string(m.ID)+":"+randomID(), m.ID, body.Action, m.Only != ""
		if err := p.handOver(r.Context(), e); err != nil {
			p.broken(w, r, err)
			return
		}
		answer(w, http.StatusAccepted, map[string]community.MessageID{"id": m.ID})
		return
	}
	refuse(w, http.StatusNotFound, "gone", "That button is gone.")
}

func (p *Page) visible(ctx context.Context, chat string, id community.MessageID, user community.UserID) (Message, bool, error) {
	m, ok, err := p.config.Store.Message(ctx, chat, id)
	if err != nil {
		return Message{}, false, fmt.Errorf("read message: %w", err)
	}
	if !ok || m.Deleted || m.Only != "" && m.Only != user {
		return Message{}, false, nil
	}
	return m, true, nil
}

func (p *Page) event(r *http.Request, s Session, kind bot.EventKind, chat string) bot.Event {
	e := bot.Event{Kind: kind, At: p.config.Now(), Chat: p.chat(chat), User: s.User, Name: s.Name, Locale: locale(r)}
	if s.User == OperatorUser {
		e.Role = community.Admin
	}
	return e
}

func (p *Page) handOver(ctx context.Context, e bot.Event) error {
	ctx, cancel := durable(ctx)
	defer cancel()
	return p.handle(ctx, e)
}

// locale is the language that the browser asks for first.
func locale(r *http.Request) string {
	accepted := r.Header.Get("Accept-Language")
	if accepted == "" || len(accepted) > 200 {
		return ""
	}
	tags, _, err := language.ParseAcceptLanguage(accepted)
	if err != nil || len(tags) == 0 || tags[0] == language.Und {
		return ""
	}
	return tags[0].String()
}

// Pictures and commands

func (p *Page) picture(w http.ResponseWriter, r *http.Request, _ Session) {
	name := r.PathValue("name")
	if !pictureName.MatchString(name) {
		refuse(w, http.StatusNotFound, "no_picture", "There is no such picture.")
		return
	}
	h := w.Header()
	file, unfinished := p.previews.open(name)
	if !unfinished {
		var err error
		if file, err = p.config.Pictures.Open(name); err != nil {
			refuse(w, http.StatusNotFound, "no_picture", "This picture is gone.")
			return
		}
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	defer file.Close()
	h.Set("Content-Type", "image/jpeg")
	if strings.HasSuffix(name, ".png") {
		h.Set("Content-Type", "image/png")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	http.ServeContent(w, r, "", time.Time{}, file)
}

func (p *Page) commands(w http.ResponseWriter, r *http.Request) {
	list, err := json.Marshal(p.config.Commands(locale(r)))
	if err != nil || bytes.Equal(list, []byte("null")) {
		list = []byte("[]")
	}
	answer(w, http.StatusOK, json.RawMessage(list))
}
