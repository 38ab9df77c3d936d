package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"potluck/failpoint"
	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

var (
	leaseForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

	// errEnough stops an engine that writes more than an answer may hold; what was written counts.
	errEnough   = errors.New("the answer is as long as an answer may be")
	errDropped  = errors.New("lease given up")
	errDeadline = errors.New("deadline of the lease")
)

const previewEvery = time.Second

// job is one lease: an engine at work, or a final event that the server has not confirmed. Only the loop touches it.
type job struct {
	assign  protocol.Assign
	engine  engine.Engine
	cancel  context.CancelCauseFunc
	text    coalescer
	seq     int
	running bool // its engine has not returned
	dropped bool // nobody wants it any more: nothing is sent
	began   time.Time
	ended   time.Time

	final     *protocol.Event // done or error, kept until the Ack
	pictures  [][]byte        // of final, PUT before it
	uploading *session        // the connection over which they go out

	progress  *protocol.Event // the newest; an older one that was not sent is of no use
	previews  int
	preview   bool // one is on its way
	previewAt time.Time
}

// assigned takes a job or refuses it; the owner's settings decide, not the server's.
func (a *Agent) assigned(as protocol.Assign) {
	if !leaseForm.MatchString(as.Lease) {
		a.cfg.Log.Warn("the server assigned a lease without a proper id")
		return
	}
	if j := a.jobs[as.Lease]; j != nil {
		if !j.dropped {
			a.send(protocol.Accept{Lease: as.Lease})
		}
		return
	}
	now := time.Now()
	if reason := a.refuse(as, now); reason != "" {
		a.cfg.Log.Info("job refused", "lease", as.Lease, "kind", as.Kind, "model", plain(as.Model, 100), "reason", reason)
		a.send(protocol.Refuse{Lease: as.Lease, Reason: reason})
		return
	}
	j := &job{assign: as, cancel: func(error) {}, began: now}
	a.jobs[as.Lease] = j
	a.hour = append(a.hour, now)
	a.send(protocol.Accept{Lease: as.Lease})
	if as.Image != nil && refusesPicture(as.Image.Prompt, as.Image.Negative) {
		// Not a refusal: the server asks one other owner's worker at most.
		a.end(j, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: protocol.FaultBlocked}})
		return
	}
	a.start(j)
}

func (a *Agent) refuse(as protocol.Assign, now time.Time) string {
	if a.paused || a.draining || a.session.draining {
		return protocol.ReasonPaused
	}
	if !slices.Contains(a.cfg.Settings.Kinds, string(as.Kind)) {
		return protocol.ReasonPolicy
	}
	o, ok := a.routes[route{as.Kind, as.Engine, as.Model}]
	if !ok {
		return protocol.ReasonModel
	}
	if reason := a.cfg.Settings.refuses(as, o.offer); reason != "" {
		return reason
	}
	if a.hourUsed(now) {
		return protocol.ReasonBusy // it may come again later
	}
	if n := slotsOf(o.engine); n > 0 && a.busyWith(o.engine) >= n {
		return protocol.ReasonBusy
	}
	if a.free() == 0 || len(a.jobs)-a.busy() >= maxHeld {
		return protocol.ReasonBusy
	}
	return ""
}

// hourUsed tells whether as many jobs as the owner allows began within the last hour.
func (a *Agent) hourUsed(now time.Time) bool {
	a.hour = slices.DeleteFunc(a.hour, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	n := a.cfg.Settings.Limits.JobsPerHour
	return n > 0 && len(a.hour) >= n
}

func (a *Agent) busyWith(e engine.Engine) int {
	n := 0
	for _, j := range a.jobs {
		if j.running && j.engine == e {
			n++
		}
	}
	return n
}

// start runs the engine in a goroutine that talks to the loop only.
func (a *Agent) start(j *job) {
	as := j.assign
	if limit := a.cfg.Settings.Limits.MaxTokens; as.Chat != nil && (as.Chat.MaxTokens <= 0 || as.Chat.MaxTokens > limit) {
		chat := *as.Chat
		chat.MaxTokens = limit // a shorter answer is better than none
		as.Chat = &chat
	}
	e := a.routes[route{as.Kind, as.Engine, as.Model}].engine
	in := blobs{a.cfg.HTTP, a.cfg.Link.Server, a.session.welcome.Token}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(a.stopped))
	ctx, cancelDeadline := context.WithTimeoutCause(ctx, a.cfg.Settings.deadline(as), errDeadline)
	j.engine, j.cancel, j.running = e, cancel, true
	a.cfg.Log.Info("job begins", "lease", as.Lease, "kind", as.Kind, "model", as.Model)
	a.running.Add(1)
	a.jobParts.Go(func() {
		defer a.running.Add(-1)
		defer cancel(nil)
		defer cancelDeadline()
		res, err := do(ctx, e, as, in, &output{agent: a, job: j, ctx: ctx})
		if errors.Is(context.Cause(ctx), errDeadline) && err != nil {
			err = &engine.JobError{Fault: protocol.FaultEngine, Detail: "not finished before the deadline", Cause: errDeadline}
		}
		tooMuch := errors.Is(context.Cause(ctx), errEnough)
		a.tell(func() {
			j.running = false
			a.finished(j, res, err, tooMuch)
		})
	})
}

// do fetches what the job needs, runs it and checks what came out. A panic in an engine is that engine's fault.
func do(ctx context.Context, e engine.Engine, as protocol.Assign, in blobs, out *output) (res engine.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &engine.JobError{Fault: protocol.FaultEngine, Detail: "the engine's driver crashed", Cause: fmt.Errorf("panic: %v", p)}
		}
	}()
	for _, n := range inputs(as) {
		picture, err := in.get(ctx, as.Lease, n)
		if err != nil {
			return res, &engine.JobError{Fault: protocol.FaultOverload, Detail: "an input picture could not be fetched", Cause: err}
		}
		if out.inputs == nil {
			out.inputs = map[int][]byte{}
		}
		out.inputs[n] = picture
	}
	if res, err = e.Run(ctx, as, out); err != nil {
		return engine.Result{}, err
	}
	if as.Kind == protocol.Image && (len(res.Pictures) == 0 || len(res.Pictures) > as.Image.Count) {
		return res, &engine.JobError{Fault: protocol.FaultEngine, Detail: fmt.Sprintf("%d pictures instead of %d", len(res.Pictures), as.Image.Count)}
	}
	for _, p := range res.Pictures {
		if _, err := checkPicture(p); err != nil {
			return res, &engine.JobError{Fault: protocol.FaultEngine, Detail: err.Error()}
		}
	}
	if as.Kind == protocol.Translate && len(res.Done.Segments) != len(as.Translate.Segments) {
		return res, &engine.JobError{Fault: protocol.FaultEngine, Detail: fmt.Sprintf("%d segments instead of %d", len(res.Done.Segments), len(as.Translate.Segments))}
	}
	return res, nil
}

// output brings what an engine shows to the loop.
type output struct {
	agent  *Agent
	job    *job
	ctx    context.Context // of the job: what comes after its end is not for the server
	inputs map[int][]byte
}

func (o *output) tell(h happening) {
	select {
	case o.agent.inbox <- h:
	case <-o.ctx.Done():
	case <-o.agent.stopped.Done():
	}
}

// Input returns input picture n of the job (PNG or JPEG): engines that take pictures find it by an interface assertion on their Output.
func (o *output) Input(n int) ([]byte, bool) {
	b, ok := o.inputs[n]
	return b, ok
}

func (o *output) Text(delta string) {
	if delta == "" {
		return
	}
	o.tell(func() {
		if j := o.job; !j.text.add(delta) {
			j.cancel(errEnough)
		}
		o.agent.flush(time.Now())
	})
}

func (o *output) Progress(fraction float64, step, steps int) {
	if !(fraction >= 0) { // also NaN, which JSON cannot say
		fraction = 0
	}
	o.tell(func() {
		o.job.progress = &protocol.Event{Kind: protocol.EventProgress, Fraction: min(fraction, 1), Step: max(step, 0), Steps: max(steps, 0)}
		o.agent.flush(time.Now())
	})
}

func (o *output) Preview(jpeg []byte) {
	if kind, err := checkPicture(jpeg); err != nil || kind != "image/jpeg" {
		return
	}
	jpeg = bytes.Clone(jpeg)
	o.tell(func() { o.agent.showPreview(o.job, jpeg) })
}

// nextFlush tells when the next text or progress event may go out.
func (a *Agent) nextFlush() (at time.Time, ok bool) {
	if a.session == nil {
		return
	}
	for _, j := range a.jobs {
		due, waits := j.text.due()
		if (waits || j.progress != nil) && !j.dropped && j.final == nil && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	// When the connection or its frame budget is the reason to wait, try again soon instead of at once.
	if ok && (!a.session.roomy() || a.frames.Tokens() < 1) {
		at = time.Now().Add(protocol.TextInterval / 5)
	}
	return at, ok
}

// flush sends what is due of all jobs, as far as the connection takes it.
func (a *Agent) flush(now time.Time) {
	if a.session == nil {
		return
	}
	for _, lease := range slices.Sorted(maps.Keys(a.jobs)) {
		j := a.jobs[lease]
		if j.dropped || j.final != nil {
			continue
		}
		if at, waits := j.text.due(); now.Before(at) || !waits && j.progress == nil || !a.session.roomy() || a.frames.TokensAt(now) < 1 {
			continue
		}
		if text, reset, ok := j.text.take(now); ok {
			a.event(j, protocol.Event{Kind: protocol.EventText, Text: text, Reset: reset})
		}
		if j.progress != nil {
			a.event(j, *j.progress)
			j.progress = nil
			j.text.next = now.Add(protocol.TextInterval)
		}
	}
}

func (a *Agent) event(j *job, e protocol.Event) {
	j.seq++
	e.Lease, e.Seq = j.assign.Lease, j.seq
	a.send(e)
}

// drop gives a lease up: its engine is stopped, and nothing about it is said any more.
func (a *Agent) drop(j *job, why string) {
	if j.dropped {
		return
	}
	a.cfg.Log.Info("job given up", "lease", j.assign.Lease, "kind", j.assign.Kind, "reason", why)
	j.dropped = true
	j.cancel(errDropped)
	if !j.running {
		delete(a.jobs, j.assign.Lease)
	}
}

// finished turns what an engine returned into the final event.
func (a *Agent) finished(j *job, res engine.Result, err error, tooMuch bool) {
	if j.dropped {
		delete(a.jobs, j.assign.Lease)
		a.beat(time.Now()) // a place is free again
		return
	}
	if tooMuch && err != nil {
		res, err = engine.Result{Done: protocol.Done{Finish: "length"}}, nil
	}
	failpoint.Hit("agent.done")
	took := time.Since(j.began)
	if err != nil {
		a.cfg.Log.Warn("job failed", "lease", j.assign.Lease, "kind", j.assign.Kind, "model", j.assign.Model, "err", plain(err.Error(), 300))
		a.end(j, protocol.Event{Kind: protocol.EventError, Error: faultOf(err)})
		return
	}
	a.cfg.Log.Info("job done", "lease", j.assign.Lease, "kind", j.assign.Kind, "model", j.assign.Model, "took", took.Round(time.Millisecond))
	d := res.Done
	if d.Text == "" {
		d.Text = j.text.whole.String()
	}
	d.Text = strings.ToValidUTF8(d.Text, "\uFFFD")
	if len(d.Text) > protocol.MaxText {
		d.Text, d.Finish = protocol.CutText(d.Text, protocol.MaxText), "length"
	}
	d.Reasoning = protocol.CutText(strings.ToValidUTF8(d.Reasoning, "\uFFFD"), protocol.MaxText)
	d.Blobs = len(res.Pictures)
	if d.TookMS == 0 {
		d.TookMS = took.Milliseconds()
	}
	j.pictures = res.Pictures
	e := protocol.Event{Kind: protocol.EventDone, Done: &d}
	if tooLarge(e) {
		d.Reasoning = ""
	}
	if tooLarge(e) {
		j.pictures = nil
		e = protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: protocol.FaultEngine, Detail: "the result does not fit in a frame"}}
	}
	a.end(j, e)
}

func tooLarge(e protocol.Event) bool {
	b, err := protocol.Encode(e)
	return err != nil || len(b) > protocol.MaxFrame-256 // lease and seq come later
}

func faultOf(err error) *protocol.Error {
	if e, ok := errors.AsType[*engine.JobError](err); ok {
		switch e.Fault {
		case protocol.FaultEngine, protocol.FaultRequest, protocol.FaultTooLong, protocol.FaultOverload, protocol.FaultBlocked:
			return &protocol.Error{Fault: e.Fault, Detail: plain(e.Detail, 200)}
		}
	}
	// The text of any other error may hold paths or prompts.
	return &protocol.Error{Fault: protocol.FaultEngine, Detail: "the engine failed"}
}

// end fixes the final event of a lease and sends it as soon as that is possible.
func (a *Agent) end(j *job, e protocol.Event) {
	if now := time.Now(); e.Kind == protocol.EventError && a.session != nil && a.session.roomy() && a.frames.TokensAt(now) >= 1 {
		// Done carries the whole text. People are to see what an answer that broke off had, the last words too.
		j.text.next = now
		if text, reset, ok := j.text.take(now); ok {
			a.event(j, protocol.Event{Kind: protocol.EventText, Text: text, Reset: reset})
		}
	}
	j.seq++
	e.Lease, e.Seq = j.assign.Lease, j.seq
	j.final, j.ended, j.progress = &e, time.Now(), nil
	a.deliver(j)
	a.beat(time.Now())
}

// deliver sends a final event, its pictures first. It is called again after each reconnect until the Ack: a server that restarted
// may have lost pictures that it took before.
func (a *Agent) deliver(j *job) {
	s := a.session
	if s == nil {
		return
	}
	if len(j.pictures) == 0 {
		a.send(*j.final)
		return
	}
	if j.uploading == s {
		return
	}
	j.uploading = s
	to := blobs{a.cfg.HTTP, a.cfg.Link.Server, s.welcome.Token}
	lease, pictures := j.assign.Lease, j.pictures
	a.parts.Go(func() {
		var err error
		for i, p := range pictures {
			if err = to.put(s.ctx, lease, i+1, p); err != nil {
				break
			}
		}
		a.tell(func() {
			if j.dropped || a.session != s || s.ctx.Err() != nil {
				return // the next connection begins again
			}
			if err != nil {
				a.cfg.Log.Warn("pictures could not be delivered", "lease", lease, "err", plain(err.Error(), 300))
				j.pictures = nil
				j.final.Kind, j.final.Done = protocol.EventError, nil
				j.final.Error = &protocol.Error{Fault: protocol.FaultEngine, Detail: "the pictures could not be delivered"}
			}
			a.send(*j.final)
		})
	})
}

// showPreview sends a picture of the unfinished picture, one at a time and not often: previews are a courtesy.
func (a *Agent) showPreview(j *job, jpeg []byte) {
	s, now := a.session, time.Now()
	if s == nil || j.dropped || j.preview || now.Before(j.previewAt) {
		return
	}
	n := firstPreview + j.previews
	j.previews++
	j.preview, j.previewAt = true, now.Add(previewEvery)
	to := blobs{a.cfg.HTTP, a.cfg.Link.Server, s.welcome.Token}
	a.parts.Go(func() {
		_, err := to.putOnce(s.ctx, j.assign.Lease, n, jpeg, "image/jpeg")
		a.tell(func() {
			j.preview = false
			if err == nil && a.session == s && !j.dropped && j.final == nil {
				a.event(j, protocol.Event{Kind: protocol.EventPreview, Preview: n})
			}
		})
	})
}
