package webchat

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"potluck/community"
	"potluck/web/guard"
	"potluck/web/reader"
)

// cookieName names the session cookie. It holds 256 random bits; the database knows only their hash.
const cookieName = "potluck_session"

const cookieAge = 365 * 24 * time.Hour

// session finds who makes a request, and remembers once a day that the session is used.
func (p *Page) session(r *http.Request) (Session, bool, error) {
	hash, ok := sessionHash(r)
	if !ok {
		return Session{}, false, nil
	}
	s, ok, err := p.config.Store.Session(r.Context(), hash)
	if err != nil {
		return Session{}, false, fmt.Errorf("find session: %w", err)
	}
	if now := p.config.Now(); ok && now.Sub(s.Seen) > seenEvery {
		ctx, cancel := durable(r.Context())
		defer cancel()
		if err := p.config.Store.SeeSession(ctx, hash, now); err != nil {
			p.config.Log.Warn("a page session's use was not kept", "err", err) // it is tried again with the next request
		}
	}
	return s, ok, nil
}

// sessionHash is under what the database knows the session of a request.
func sessionHash(r *http.Request) (hash [32]byte, ok bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return hash, false
	}
	secret, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(secret) != 32 {
		return hash, false
	}
	return sha256.Sum256(secret), true
}

// seenEvery is how exactly it is known when a session was used last: each time costs a write.
const seenEvery = 24 * time.Hour

func (p *Page) withSession(serve func(http.ResponseWriter, *http.Request, Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok, err := p.session(r)
		switch {
		case err != nil:
			p.broken(w, r, err)
		case !ok:
			guard.Refuse(w, http.StatusUnauthorized, "no_session", "Tell us your name first.")
		default:
			serve(w, r, s)
		}
	}
}

// newSession saves s under a fresh secret and sends the cookie. A renamed visitor gets a new one too: a session never changes.
func (p *Page) newSession(w http.ResponseWriter, r *http.Request, s Session) error {
	var secret [32]byte
	rand.Read(secret[:])
	s.Seen = p.config.Now()
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
		Limit    int              `json:"limit"` // characters of a message
		// NameInUse: somebody else who is here has that name, so this visitor cannot write before choosing another one.
		NameInUse bool `json:"name_in_use"`
	}{s.User, s.Name, p.config.Chats, s.User == OperatorUser, p.config.Limits.TextLength, !p.seats.take(s.User, s.Name, p.config.Now())})
}

// whoAmI tells a visitor's seat. To have none yet is no error, and browsers would show one to everybody who comes for the first time.
func (p *Page) whoAmI(w http.ResponseWriter, r *http.Request) {
	s, ok, err := p.session(r)
	switch {
	case err != nil:
		p.broken(w, r, err)
	case !ok:
		answer(w, http.StatusOK, map[string]bool{"seat": false})
	default:
		p.describe(w, s)
	}
}

// nameInUse refuses who has a name that somebody else who is here has.
func (p *Page) nameInUse(w http.ResponseWriter, user community.UserID, name string) bool {
	if p.seats.take(user, name, p.config.Now()) {
		return false
	}
	guard.Refuse(w, http.StatusConflict, "name_in_use", "Somebody who is here has that name, or one that looks like it. Choose another one.")
	return true
}

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
		guard.Refuse(w, http.StatusBadRequest, "bad_name", "Choose a name with 1 to 32 characters, without control characters.")
		return
	}
	if speaksFor(name, p.config.Title) && !(known && s.User == OperatorUser && name == operatorName) {
		guard.Refuse(w, http.StatusBadRequest, "taken_name", "People would take that name for the bot, the operator or everybody. Choose another one.")
		return
	}
	if p.limited(w, p.limits.sessions, p.config.Address(r)) {
		return
	}
	if !known {
		s = Session{User: newUser(), Created: p.config.Now()}
	}
	if p.nameInUse(w, s.User, name) {
		return
	}
	s.Name = name
	if err := p.newSession(w, r, s); err != nil {
		p.broken(w, r, err)
		return
	}
	p.describe(w, s)
}

// oneTimeTokens are the operator's: each is right once.
type oneTimeTokens struct {
	pass func(token string) bool // may be nil

	mu   sync.Mutex
	good []string
}

func newOneTimeTokens(first string, pass func(string) bool) *oneTimeTokens {
	t := &oneTimeTokens{pass: pass}
	if first != "" {
		t.good = []string{first}
	}
	return t
}

func (t *oneTimeTokens) take(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	got := sha256.Sum256([]byte(token))
	for i, g := range t.good {
		// Hashed first, so that the time of the comparison does not depend on the length either.
		if want := sha256.Sum256([]byte(g)); subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			t.good = slices.Delete(t.good, i, i+1)
			return true
		}
	}
	return t.pass != nil && token != "" && t.pass(token)
}

func (t *oneTimeTokens) giveBack(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.good = append(t.good, token)
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
		p.assets.used[reader.Language(r)].Serve(w, r, http.StatusForbidden)
		return
	}
	s, known, err := p.session(r)
	if err == nil {
		if !known {
			s = Session{Name: operatorName, Created: p.config.Now()}
		}
		before := s.User
		s.User = OperatorUser
		ctx, cancel := durable(r.Context())
		defer cancel()
		if err = p.config.Operator(ctx, s.User, s.Name); err == nil {
			err = p.newSession(w, r, s)
		}
		if err == nil {
			p.seats.hand(s.Name, before, s.User)
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
