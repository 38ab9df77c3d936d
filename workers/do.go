package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/fault"
	"potluck/workers/protocol"
)

// errStopped says that the pool ended before the job did; the job goes on after the next start.
var errStopped = errors.New("the pool has stopped")

// assignRoom is what an assign may need beside the job itself.
const assignRoom = 8 << 10

// What a caller makes of news costs the server something (a text is cleaned, a picture decoded), and a worker may send any amount of them. So a caller is
// told at most once in protocol.TextInterval, and when that took long, less often: it rests tellRest times as long, but not more than tellPause. previewEvery
// is for pictures of unfinished pictures.
const (
	tellRest     = 9
	tellPause    = time.Second
	previewEvery = time.Second
)

// Do has a job done and returns its result. It is idempotent by the job's Key: the same key joins the running job or returns the stored result,
// and any number of callers may wait for one job. progress (may be nil) is called on this goroutine, with events in order; between two calls of it for news
// pass at least protocol.TextInterval, and between two previews a second: what comes meanwhile is merged, never queued, and the newest wins.
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
	news, err := p.handIn(ctx, submission{job: j, w: w, got: make(chan *feed, 1)})
	if err != nil {
		return Result{}, err
	}
	return p.follow(ctx, w, news, progress)
}

// handIn gives a job to the loop and returns where its news come.
func (p *Pool) handIn(ctx context.Context, sub submission) (*feed, error) {
	leave := ctx.Done()
	for sent := false; !sent; {
		select {
		case p.inbox <- sub:
			sent = true
		case <-p.stopped:
			return nil, errStopped
		case <-leave:
			if !fault.Has(context.Cause(ctx), fault.Cancelled) {
				return nil, waited(ctx)
			}
			leave = nil // an earlier run may have begun the job: only the loop can stop it
		}
	}
	select {
	case news := <-sub.got:
		return news, nil
	case <-p.stopped:
		return nil, errStopped
	}
}

// follow tells a caller the news of a job until its end, or the caller's.
func (p *Pool) follow(ctx context.Context, w *waiter, news *feed, progress func(Event)) (Result, error) {
	changed := news.subscribe()
	defer news.unsubscribe(changed)
	over := ctx.Done()
	var seen feedState
	rest := time.NewTimer(0)
	defer rest.Stop()
	var awake chan struct{} // changed, or nil while the caller rests
	for {
		select {
		case <-rest.C:
			awake = changed
		case <-awake:
			awake = nil
			rest.Reset(seen.tell(news, progress))
		case out := <-w.done:
			seen.last(news, progress)
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
type feedState struct {
	news
	previewed time.Time // when a preview was told
}

// tell tells what is new, and returns how long to wait before the next time: not at all when nothing was.
func (s *feedState) tell(f *feed, progress func(Event)) time.Duration {
	began := time.Now()
	previews := began.Sub(s.previewed) >= previewEvery
	told := f.since(&s.news, previews)
	if len(told) == 0 {
		return 0
	}
	for _, e := range told {
		if e.Kind == Preview {
			s.previewed = began
		}
		if progress != nil {
			progress(e)
		}
	}
	return max(protocol.TextInterval, min(tellRest*time.Since(began), tellPause))
}

// last tells what is new when the job is over: a preview is of no use any more.
func (s *feedState) last(f *feed, progress func(Event)) {
	for _, e := range f.since(&s.news, false) {
		if progress != nil {
			progress(e)
		}
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
