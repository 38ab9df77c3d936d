// Package operator is the page on which the operator of a Potluck sees workers, waits, jobs, ledger and settings, and acts on workers.
package operator

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/web/asset"
	"potluck/web/guard"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Path is where the page stands; everything that it needs stands below it.
const Path = "/operator"

// Pool is what the view needs of the workers. *workers.Pool implements it.
type Pool interface {
	Overview() workers.Overview
	Workers(ctx context.Context, owner community.MemberID) ([]workers.Worker, error)
	Why(ctx context.Context, jobs ...int64) (map[int64]workers.Why, error)
	Revoke(ctx context.Context, worker int64, by community.Member) error
}

// Config is what a View needs; Pause and Origins may be missing.
type Config struct {
	Store Store
	Pool  Pool
	// Who tells which member a request comes from; ok is false unless that is an operator.
	Who func(*http.Request) (m community.Member, ok bool, err error)
	// Pause stops a worker from taking anything new, or lets it again. nil: only its owner can.
	Pause func(ctx context.Context, worker int64, by community.Member, pause bool) error
	// Audit checks the ledger's invariants.
	Audit    func(context.Context) (Audit, error)
	Settings func() []Setting // what holds now, secrets left out
	Title    string           // what people call this Potluck
	Version  string
	Origins  []string // whose pages may post, beside the host that the request names
	Now      func() time.Time
	Log      *slog.Logger
}

// Setting is one key of the configuration.
type Setting struct {
	Key     string `json:"key"`     // "http.addr"
	Value   string `json:"value"`   // empty when Secret
	Default string `json:"default"` // empty when Secret
	Secret  bool   `json:"secret"`  // Value tells only whether it is set
	Set     bool   `json:"set"`     // differs from the default
	Chat    bool   `json:"chat"`    // set while the program ran, which wins over the configuration
}

// Audit says whether the ledger is sound.
type Audit struct {
	Jobs         int           `json:"jobs"`
	Transactions int           `json:"transactions"`
	Postings     int           `json:"postings"`
	Outstanding  ledger.Amount `json:"outstanding"`
	Breaches     []string      `json:"breaches"` // none: sound
}

// View is the page. It keeps what it read for some seconds, so that many open windows cost no more than one.
type View struct {
	config   Config
	texts    texts
	assets   map[string]*asset.Asset
	guard    *guard.Guard
	history  history
	linked   kept[[]workers.Worker]
	waits    kept[[]Wait]
	faults   kept[[]Fault]
	counts   kept[map[int64]FaultCount]
	accounts kept[accountsRead]
	auditing sync.Mutex
}

type accountsRead struct {
	kinds  []Accounts
	earned map[community.MemberID]ledger.Amount
}

// New reads the embedded page.
func New(c Config) (*View, error) {
	if c.Store == nil || c.Pool == nil || c.Who == nil || c.Audit == nil || c.Settings == nil {
		return nil, errors.New("operator's view: Store, Pool, Who, Audit and Settings are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	v := &View{config: c, history: history{store: c.Store, known: map[stretch]Ended{}}}
	var err error
	if v.guard, err = guard.New(c.Origins); err != nil {
		return nil, fmt.Errorf("operator's view: %w", err)
	}
	if v.texts, err = readTexts(); err != nil {
		return nil, fmt.Errorf("operator's view: %w", err)
	}
	if v.assets, err = readAssets(); err != nil {
		return nil, fmt.Errorf("operator's view: %w", err)
	}
	return v, nil
}

// Handler serves Path and everything below it.
func (v *View) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, v.page)
	for name, a := range v.assets {
		mux.HandleFunc("GET "+Path+"/assets/"+name, serve(a))
	}
	mux.HandleFunc("GET "+Path+"/now", v.operators(v.now))
	mux.HandleFunc("GET "+Path+"/history", v.operators(v.chart))
	mux.HandleFunc("GET "+Path+"/jobs", v.operators(v.jobs))
	mux.HandleFunc("GET "+Path+"/jobs/{id}", v.operators(v.job))
	mux.HandleFunc("GET "+Path+"/settings", v.operators(v.settings))
	mux.HandleFunc("POST "+Path+"/audit", v.operators(v.audit))
	mux.HandleFunc("POST "+Path+"/workers/{id}/{act}", v.operators(v.act))
	mux.HandleFunc("GET "+Path+"/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, Path, http.StatusPermanentRedirect) })
	mux.HandleFunc("GET "+Path+"/", v.missing)
	return bounded(v.guard.Handler(mux))
}

// bounded bounds the body of a request, which is at most a short answer, and the time that it may take.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second)) // not every ResponseWriter has one
			r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		}
		next.ServeHTTP(w, r)
	})
}

// operators lets only operators through.
func (v *View) operators(serve func(http.ResponseWriter, *http.Request, community.Member)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, ok, err := v.config.Who(r)
		switch {
		case err != nil:
			v.broken(w, r, err)
		case !ok:
			guard.Refuse(w, http.StatusForbidden, "not_operator", "Only the operator of this Potluck may see this.")
		default:
			serve(w, r, m)
		}
	}
}

// broken answers without telling what is wrong and logs it; errors that people can act on keep their code.
func (v *View) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for it any more
	}
	if f := fault.Of(err); f.Code == fault.UnknownWorker {
		guard.Refuse(w, http.StatusNotFound, string(f.Code), "That worker is not linked any more.")
		return
	}
	v.config.Log.Error("operator's page not served", "path", r.URL.Path, "err", err)
	w.Header().Set("Retry-After", "2")
	guard.Refuse(w, http.StatusServiceUnavailable, "internal", "Something went wrong here. Try again in a moment.")
}

// answer sends body as JSON, or only that it is still the same.
func (v *View) answer(w http.ResponseWriter, r *http.Request, body any) {
	plain, err := json.Marshal(body)
	if err != nil {
		v.broken(w, r, err)
		return
	}
	h := w.Header()
	tag := asset.Tag(plain)
	h.Set("ETag", tag)
	h.Set("Vary", "Accept-Encoding, Cookie")
	if r.Method == http.MethodGet && asset.Known(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	if len(plain) > 1024 && asset.TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		plain = asset.Zip(plain, gzip.BestSpeed)
	}
	w.Write(plain) // the visitor may be gone
}

func (v *View) settings(w http.ResponseWriter, r *http.Request, _ community.Member) {
	v.answer(w, r, map[string]any{"version": v.config.Version, "settings": v.config.Settings()})
}

// auditTime bounds one audit; the largest that was measured took 7 s.
const auditTime = 2 * time.Minute

func (v *View) audit(w http.ResponseWriter, r *http.Request, by community.Member) {
	if !v.auditing.TryLock() {
		guard.Refuse(w, http.StatusConflict, "auditing", "An audit is under way already.")
		return
	}
	defer v.auditing.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), auditTime)
	defer cancel()
	report, err := v.config.Audit(ctx)
	if err != nil {
		v.broken(w, r, err)
		return
	}
	v.config.Log.Info("the operator had the ledger audited", "member", by.ID, "breaches", len(report.Breaches))
	if report.Breaches == nil {
		report.Breaches = []string{}
	}
	v.answer(w, r, report)
}

// act does what the operator wants with a worker.
func (v *View) act(w http.ResponseWriter, r *http.Request, by community.Member) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		guard.Refuse(w, http.StatusNotFound, string(fault.UnknownWorker), "That worker is not linked any more.")
		return
	}
	// It is done also when the browser goes away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 15*time.Second)
	defer cancel()
	act := r.PathValue("act")
	switch {
	case act == "revoke":
		err = v.config.Pool.Revoke(ctx, id, by)
	case (act == "pause" || act == "resume") && v.config.Pause != nil:
		err = v.config.Pause(ctx, id, by, act == "pause")
	default:
		guard.Refuse(w, http.StatusNotFound, "unknown_act", "There is nothing like that to do with a worker.")
		return
	}
	if err != nil {
		v.broken(w, r, err)
		return
	}
	v.config.Log.Info("the operator acted on a worker", "act", act, "worker", id, "member", by.ID)
	v.linked.forget()
	v.answer(w, r, map[string]bool{"ok": true})
}

// kept is a value that was read a moment ago. The zero value is ready.
type kept[T any] struct {
	mu    sync.Mutex
	at    time.Time
	value T
}

// get returns a value of at most that age; it belongs to everybody and is never changed.
func (k *kept[T]) get(ctx context.Context, age time.Duration, read func(context.Context) (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && time.Since(k.at) < age {
		return k.value, nil
	}
	value, err := read(ctx)
	if err == nil {
		k.value, k.at = value, time.Now()
	}
	return value, err
}

func (k *kept[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func kinds() []protocol.Kind { return protocol.Kinds() }
