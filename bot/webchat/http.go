package webchat

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"potluck/fault"
	"potluck/web/guard"
	"potluck/web/reader"
)

// Handler serves the page at / and everything it needs below /webchat/.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.index)
	mux.HandleFunc("GET /webchat/assets/{version}/{name}", p.file)
	mux.HandleFunc("GET /webchat/session", p.whoAmI)
	mux.HandleFunc("POST /webchat/session", p.enter)
	mux.HandleFunc("POST /webchat/language", p.withSession(p.chooseLanguage))
	mux.HandleFunc("POST /webchat/messages", p.withSession(p.postMessage))
	mux.HandleFunc("POST /webchat/messages/edit", p.withSession(p.editMessage))
	mux.HandleFunc("POST /webchat/messages/delete", p.withSession(p.deleteMessage))
	mux.HandleFunc("POST /webchat/actions", p.withSession(p.press))
	mux.HandleFunc("GET /webchat/events", p.withSession(p.events))
	mux.HandleFunc("GET /webchat/pictures/{name}", p.withSession(p.picture))
	mux.HandleFunc("GET /webchat/commands", p.commands)
	mux.HandleFunc("GET /webchat/suggest", p.withSession(p.suggest))
	mux.HandleFunc("GET /webchat/operator", p.becomeOperator)
	return p.timed(p.guard.Handler(mux))
}

// timed bounds how long the body of a request may take, also one that nobody reads: the server reads it before it answers.
func (p *Page) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.config.Limits.ReadTimeout)) // not every ResponseWriter has one
		}
		next.ServeHTTP(w, r)
	})
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
		guard.Refuse(w, http.StatusServiceUnavailable, "starting", "Potluck is starting or stopping. Try again in a moment.")
		return
	}
	if fault.Has(err, fault.Busy) {
		guard.Refuse(w, http.StatusServiceUnavailable, "busy", "Too much is going on right now. Try again in a moment.")
		return
	}
	if fault.Has(err, fault.Storage) {
		p.config.Log.Error("page request not kept", "path", r.URL.Path, "err", err)
		guard.Refuse(w, http.StatusServiceUnavailable, "storage", "The disk of this Potluck is full or takes nothing right now. Try again later.")
		return
	}
	p.config.Log.Error("page request not served", "path", r.URL.Path, "err", err)
	guard.Refuse(w, http.StatusInternalServerError, "internal", "Something went wrong here. Try again in a moment.")
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
		guard.Refuse(w, http.StatusRequestEntityTooLarge, "too_long", "That is too long.")
		return false
	}
	if err != nil {
		guard.Refuse(w, http.StatusBadRequest, "bad_json", "The request is not the JSON that is expected here.")
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
	guard.Refuse(w, http.StatusTooManyRequests, "too_fast", "That was a bit fast. Wait a moment and try again.")
	return true
}

// Pictures and commands

func (p *Page) picture(w http.ResponseWriter, r *http.Request, _ Session) {
	name := r.PathValue("name")
	if !pictureName.MatchString(name) {
		guard.Refuse(w, http.StatusNotFound, "no_picture", "There is no such picture.")
		return
	}
	h := w.Header()
	file, unfinished := p.previews.open(name)
	if !unfinished {
		var err error
		if file, err = p.config.Pictures.Open(name); err != nil {
			guard.Refuse(w, http.StatusNotFound, "no_picture", "This picture is gone.")
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
	s, _, err := p.session(r) // who has no seat yet reads what everybody may run
	if err != nil {
		p.broken(w, r, err)
		return
	}
	list, err := json.Marshal(p.config.Commands(r.Context(), s.User, reader.Locale(r)))
	if err != nil || bytes.Equal(list, []byte("null")) {
		list = []byte("[]")
	}
	answer(w, http.StatusOK, json.RawMessage(list))
}
