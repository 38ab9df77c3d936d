package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"potluck/fault"
	"potluck/workers/protocol"
)

// errStopped says that the pool ended before the job did; the job goes on after the next start.
var errStopped = errors.New("the pool has stopped")

// assignRoom is what an assign may need beside the job itself.
const assignRoom = 8 << 10

// Do has a job done and returns its result. It is idempotent by the job's Key: the same key joins the running job or returns the stored result,
// and any number of callers may wait for one job. progress (may be nil) is called on this goroutine, with events in order; for a slow caller
// they are merged, never queued.
//
// When ctx ends with a cause that carries fault.Cancelled, the job is cancelled and refunded and Do returns fault.Cancelled – or the result,
// when that was being saved already. Any other end of ctx only ends the waiting: the job goes on, and Do with the same key finds it again,
// also after a restart. Errors that people can act on are fault.Errors: NoWorker, NoModel, NoPair, NoFit, NoPrivateWorker, NoCredit, Expired,
// WorkerFailed, EngineRefused, Blocked, Cancelled.
func (p *Pool) Do(ctx context.Context, j Job, progress func(Event)) (Result, error) {
	if err := whole(&j); err != nil {
		return Result{}, err
	}
	w := &waiter{done: make(chan outcome, 1)}
	sub := submission{job: j, w: w, got: make(chan *feed, 1)}
	leave := ctx.Done()
	for sent := false; !sent; {
		select {
		case p.inbox <- sub:
			sent = true
		case <-p.stopped:
			return Result{}, errStopped
		case <-leave:
			if !fault.Has(context.Cause(ctx), fault.Cancelled) {
				return Result{}, waited(ctx)
			}
			leave = nil // an earlier run may have begun the job: only the loop can stop it
		}
	}
	var news *feed
	select {
	case news = <-sub.got:
	case <-p.stopped:
		return Result{}, errStopped
	}
	changed := news.subscribe()
	defer news.unsubscribe(changed)
	over := ctx.Done()
	var seen feedState
	for {
		select {
		case <-changed:
			seen.tell(news, progress)
		case out := <-w.done:
			seen.tell(news, progress)
			return out.result, out.err
		case <-over:
			if !fault.Has(context.Cause(ctx), fault.Cancelled) {
				p.post(detachment{w})
				return Result{}, waited(ctx)
			}
			over = nil // the loop answers with whatever came first, result or cancellation
			progress = nil
			if !p.post(cancellation{w}) {
				return Result{}, errStopped
			}
		case <-p.stopped:
			select {
			case out := <-w.done:
				return out.result, out.err
			default:
				return Result{}, errStopped
			}
		}
	}
}

func waited(ctx context.Context) error { return fmt.Errorf("wait for job: %w", context.Cause(ctx)) }

// feedState is what one caller has been told.
type feedState struct{ news }

func (s *feedState) tell(f *feed, progress func(Event)) {
	events := f.since(&s.news)
	if progress == nil {
		return
	}
	for _, e := range events {
		progress(e)
	}
}

// whole refuses a job that could never be carried: those are mistakes of the program, except for its size.
func whole(j *Job) error {
	if j.Key == "" {
		return errors.New("job without a key")
	}
	n := 0
	for _, set := range []bool{j.Chat != nil, j.Image != nil, j.Translate != nil} {
		if set {
			n++
		}
	}
	if n != 1 || (j.Chat != nil) != (j.Kind == protocol.Chat) || (j.Image != nil) != (j.Kind == protocol.Image) || (j.Translate != nil) != (j.Kind == protocol.Translate) {
		return fmt.Errorf("job of kind %q without exactly its own payload", j.Kind)
	}
	if j.Class != Public && j.Class != Community && j.Class != Private {
		return fmt.Errorf("job of class %q", j.Class)
	}
	payload, err := json.Marshal([]any{j.Chat, j.Image, j.Translate})
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if len(payload) > protocol.MaxAssign-assignRoom {
		return fault.New(fault.NoFit, "what", "size", "max", protocol.MaxAssign-assignRoom)
	}
	for _, b := range j.Input {
		if len(b) > protocol.MaxBlob {
			return fault.New(fault.NoFit, "what", "picture", "max", protocol.MaxBlob)
		}
	}
	return nil
}
