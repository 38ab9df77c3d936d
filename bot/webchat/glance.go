package webchat

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"potluck/community"
	"potluck/web/guard"
	"potluck/web/reader"
)

// Pool is what the page shows of the machines at a glance.
type Pool struct {
	Machines  int       `json:"machines"` // online
	Abilities []Ability `json:"abilities"`
}

// Ability is a kind of work ("chat", "image", "translate") that somebody can do now, and with which models.
type Ability struct {
	Kind   string   `json:"kind"`
	Models []string `json:"models"`
	// Into lists for the page's languages into which others of them they can be translated now ("de": ["en"]); nil unless Kind is "translate".
	Into map[string][]string `json:"into,omitempty"`
}

// Purse is what a visitor may spend, in credits.
type Purse struct {
	Own   float64   `json:"own"`
	Free  float64   `json:"free"`  // left of today's allowance, which all visitors may share, or of the part that one household may use
	Daily float64   `json:"daily"` // the whole of it, or of the part; 0: there is none
	Reset time.Time `json:"reset"` // when it is full again
}

const (
	// lookEvery is how often the page looks whether the pool changed; only a change is sent.
	lookEvery = 2 * time.Second
	// pursesEvery is after how many heartbeats a stream tells the purse without a reason: others earn and spend, too.
	pursesEvery = 4
)

// look tells all streams when the pool is not as it was.
func (p *Page) look() {
	if p.config.Pool == nil {
		return
	}
	p.hub.setPool(note("pool", p.config.Pool()))
}

// note is an event without an id: a browser that comes back gets the newest one anyway.
func note(kind string, data any) []byte {
	return sse(0, kind, data)
}

// tellPurse sends what a visitor may spend, when it is not what the visitor knows.
func (st *stream) tellPurse(ctx context.Context) error {
	if st.page.config.Purse == nil || !st.brief {
		return nil
	}
	purse, err := st.page.config.Purse(ctx, st.user, st.household())
	if err != nil {
		if ctx.Err() == nil {
			st.page.config.Log.Warn("a purse was not read", "user", st.user, "err", err)
		}
		return nil
	}
	if now := note("purse", purse); !bytes.Equal(now, st.purse) {
		st.purse = now
		return st.write(now)
	}
	return nil
}

// tellPool sends the pool, when it is not what the visitor knows.
func (st *stream) tellPool() error {
	if now := st.page.hub.poolNote(); st.brief && len(now) > 0 && !bytes.Equal(now, st.pool) {
		st.pool = now
		return st.write(now)
	}
	return nil
}

// spent has the streams of whoever asked look up the purse, and whether the session is still there, because the answer is there.
func (p *Page) spent(ctx context.Context, m Message) {
	if !m.Final || m.User != "" {
		return
	}
	asker := m.Only
	if asker == "" && m.ReplyTo != "" {
		question, ok, err := p.config.Store.Message(ctx, m.Chat, m.ReplyTo)
		if err != nil || !ok {
			return // the next heartbeats tell it
		}
		asker = question.User
	}
	p.hub.nudge(asker)
}

// suggest completes the value of an option: GET /webchat/suggest?command=ask&option=model&typed=ll.
func (p *Page) suggest(w http.ResponseWriter, r *http.Request, s Session) {
	query := r.URL.Query()
	command, option, typed := query.Get("command"), query.Get("option"), query.Get("typed")
	if len(command) > 100 || len(option) > 100 || len(typed) > 400 {
		guard.Refuse(w, http.StatusBadRequest, "too_long", "That is too long.")
		return
	}
	if p.limited(w, p.limits.suggestions, string(s.User)) {
		return
	}
	found := p.config.Suggest(reader.Locale(r), command, option, typed)
	answer(w, http.StatusOK, append([]string{}, found[:min(len(found), 25)]...))
}

// setPool has every stream tell the pool when it changed.
func (h *hub) setPool(now []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(h.pool, now) {
		return
	}
	h.pool = now
	for s := range h.streams {
		s.wakeUp()
	}
}

func (h *hub) poolNote() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pool
}

// nudge has the streams of one visitor look at the purse.
func (h *hub) nudge(user community.UserID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		if s.user == user {
			s.poorer.Store(true)
			s.wakeUp()
		}
	}
}

func (s *subscription) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
