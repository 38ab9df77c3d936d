package workers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"potluck/fault"
	"potluck/ledger"
)

// frail is the store as one run of the bot sees it: each call takes a while, may fail before or after it was saved, and none comes
// through once the run was killed.
type frail struct {
	simStore
	w    *world
	dead chan struct{}
}

var errStore = errors.New("the disk said no")

func (f *frail) call(ctx context.Context, what, about string, do func() error) error {
	select {
	case <-f.dead: // how often a killed pool tries while it falls is chance, and must not be counted
		return errStore
	default:
	}
	f.w.mu.Lock()
	key := what + " " + about
	f.w.calls[key]++
	r := f.w.dice("store", key, f.w.calls[key])
	f.w.mu.Unlock()
	slow := 3 * time.Millisecond
	if r.IntN(20) == 0 {
		slow = 400 * time.Millisecond
	}
	t := time.NewTimer(between(r, 100*time.Microsecond, slow))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-f.dead:
		return errStore
	}
	luck := r.IntN(25)
	if f.w.shaky && luck == 0 {
		f.w.note("store %s refused", key)
		return errStore
	}
	err := do()
	f.w.note("store %s: %v", key, err)
	if f.w.shaky && luck == 1 && err == nil {
		f.w.note("store %s saved, but says no", key)
		f.w.seen("commit of unknown end")
		return errStore
	}
	return err
}

func (f *frail) Submit(ctx context.Context, j Job, c ledger.Charge, now time.Time) (out Job, err error) {
	err = f.call(ctx, "submit", j.Key, func() (err error) { out, err = f.Store.Submit(ctx, j, c, now); return err })
	return out, err
}

func (f *frail) JobByKey(ctx context.Context, key string) (out Job, ok bool, err error) {
	err = f.call(ctx, "job", key, func() (err error) { out, ok, err = f.Store.JobByKey(ctx, key); return err })
	return out, ok, err
}

func (f *frail) Lease(ctx context.Context, a Attempt) error {
	f.w.mu.Lock()
	f.w.names[a.Lease] = fmt.Sprint(a.Job, "/", a.Number)
	f.w.mu.Unlock()
	return f.call(ctx, "lease", fmt.Sprint(a.Job, " to ", a.Worker, " as ", a.Number), func() error { return f.Store.Lease(ctx, a) })
}

func (f *frail) Requeue(ctx context.Context, lease string, o Outcome, counts bool, now time.Time) error {
	f.w.mu.Lock()
	name := f.w.names[lease]
	f.w.mu.Unlock()
	return f.call(ctx, "requeue", name+" "+string(o), func() error { return f.Store.Requeue(ctx, lease, o, counts, now) })
}

func (f *frail) Finish(ctx context.Context, s Settlement) error {
	return f.call(ctx, "finish", fmt.Sprint(s.Attempt.Job, " as ", s.Attempt.Number, " paid ", s.Bill.Paid), func() error { return f.Store.Finish(ctx, s) })
}

func (f *frail) Abandon(ctx context.Context, job int64, why *fault.Error, o Outcome, now time.Time) error {
	return f.call(ctx, "abandon", fmt.Sprint(job, " ", why.Code, " ", o), func() error { return f.Store.Abandon(ctx, job, why, o, now) })
}

func (f *frail) WorkerByKey(ctx context.Context, key []byte) (out Worker, ok bool, err error) {
	err = f.call(ctx, "worker", hex.EncodeToString(key[:4]), func() (err error) { out, ok, err = f.Store.WorkerByKey(ctx, key); return err })
	return out, ok, err
}
