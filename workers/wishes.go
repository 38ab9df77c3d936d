package workers

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"potluck/fault"
	"potluck/workers/protocol"
)

// Wish is what was asked for and could not be done: no text, and not by whom.
type Wish struct {
	Kind     protocol.Kind
	Model    string // empty = any would have done
	From, To string // of a translation, base languages
	Times    int
	Last     time.Time
}

// WishStore counts wishes.
type WishStore interface {
	CountWish(ctx context.Context, w Wish, now time.Time) error
}

// Wishing is a Pool that has counted what nobody could do, so that people see what is missing.
type Wishing struct {
	Pool  *Pool
	Store WishStore
	Log   *slog.Logger
}

// Do is Pool.Do.
func (w Wishing) Do(ctx context.Context, j Job, progress func(Event)) (Result, error) {
	r, err := w.Pool.Do(ctx, j, progress)
	if wish, ok := wishOf(&j, err); ok {
		if kept := w.Store.CountWish(context.WithoutCancel(ctx), wish, time.Now()); kept != nil {
			w.Log.Error("a wish was not counted", "err", kept)
		}
	}
	return r, err
}

// wishOf says what was missing; ok is false when nothing was, or when it is nobody else's matter.
func wishOf(j *Job, err error) (w Wish, ok bool) {
	if err == nil || j.Only != 0 {
		return w, false
	}
	w = Wish{Kind: j.Kind}
	switch fault.Of(err).Code {
	case fault.NoModel:
		// Anybody can type anything here: only what looks like the name of a model is kept.
		if w.Model = modelName(j.Model); w.Model == "" {
			return w, false
		}
	case fault.NoPair:
	case fault.NoWorker, fault.NoPrivateWorker, fault.Expired:
	default:
		return w, false
	}
	if j.Translate != nil {
		w.From, w.To = baseLanguage(j.Translate.From), baseLanguage(j.Translate.To)
	}
	return w, true
}

// modelName returns a typed name if it can be one of a model: a short word with a digit or one of its signs in it, as all of them have.
func modelName(s string) string {
	const signs = "-_.:/"
	if len(s) > 60 || !strings.ContainsAny(s, "0123456789"+signs) {
		return ""
	}
	s = strings.ToLower(s)
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789"+signs) != "" {
		return ""
	}
	return s
}
