package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"potluck/community"
	"potluck/failpoint"
	"potluck/fault"
)

// Reply is what an invocation shows.
type Reply struct {
	Text     Text
	Pictures []Picture
	Buttons  []NewButton
	// Status tells that Text only says how the work goes (its place in the queue, percent) and is no part of the answer: when the work is
	// stopped or fails, what was shown with Status goes away, while the beginning of an answer stays.
	Status bool
	// Working tells of a Status that a job waits or is worked on in this very run. So no final of an earlier process can be out: its jobs would
	// be over, and their results come at once.
	Working bool
	// Asks tells of what is no final that it asks a person something and waits for that: nobody is at work, and it is to be seen whatever else goes on.
	Asks bool
	// beside tells that a run that was to change a message in place failed: its own message says so, and that one stays.
	beside bool
	// Aside tells that this concerns the asker only (a refusal, a mistake): while nothing of the answer is up and the platform can, it is shown to the
	// asker alone.
	Aside bool
}

// NewButton is a button to be made: the Responder gives it a random id and saves its Action before the message that carries it is sent.
type NewButton struct {
	Action   string // an ActionHandler's name
	Label    Text
	Style    ButtonStyle
	Data     []byte
	Everyone bool // anybody may press it, not only the asker and moderators
	// Owner, with the identity Only, may press it besides moderators, where that is not the one whose request this answer is.
	Owner community.MemberID
	Only  community.UserID
}

const (
	actionLife = 30 * 24 * time.Hour
	// A command that is not Costly answers without a placeholder when it is ready within this time.
	placeholderAfter = time.Second
	// A final waits this long for an edit on its way before it abandons that edit: an abandoned one could still arrive after the final.
	editGrace = 3 * time.Second
	// A placeholder that all would see is held back this long where a mistake found meanwhile can still be told to the asker alone.
	mistakeAfter = 150 * time.Millisecond
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
)

var errFinal = errors.New("the request has its final answer already")

// Responder shows one invocation's answer: a placeholder at once, edits while it grows, one final.
type Responder struct {
	router   *Router
	platform Platform
	request  Request
	say      Say
	costly   bool
	inPlace  bool // parts are those of another request's answer, see ActionHandler.InPlace
	rerun    bool // the process that accepted the request is gone; it may have sent what Reply does not know of

	wake  chan struct{} // next was set
	claim chan struct{} // closed by the final: no Show is written any more
	post  func()        // tells the chat's queue that the first message is up, or could not be sent at once
	done  chan struct{} // closed when show has returned
	// whisper: see Event; nil: the answer cannot become private, or is.
	whisper func() bool
	// withdrawn: see invocation
	withdrawn *atomic.Bool

	mu        sync.Mutex
	next      *Reply // newest Show not yet written
	shown     Reply
	below     Text        // see Below
	ways      []NewButton // see Below
	claimed   bool
	cancelPut context.CancelFunc // of the edit on its way

	// Owned by show until done is closed, then by the one that claimed the final.
	parts    []community.MessageID
	sends    int  // messages that were lost and replaced: part of the nonce
	doubtful bool // a message with this nonce may be there although its id is not known
	written  bool // the platform shows something of this run
	last     Outgoing
	actions  map[string]string // what a NewButton does → id of its saved Action
}

func (r *Router) responder(inv *invocation, p Platform, say Say) *Responder {
	whisper := inv.whisper
	if inv.request.Private {
		whisper = nil
	}
	return &Responder{
		whisper: whisper, router: r, platform: p, request: inv.request, say: say, costly: inv.costly, rerun: inv.rerun,
		inPlace: r.actions[inv.request.Command].InPlace,
		wake:    make(chan struct{}, 1), claim: make(chan struct{}), post: inv.post, done: make(chan struct{}), withdrawn: &inv.withdrawn,
		parts: inv.request.Reply, doubtful: inv.rerun, actions: make(map[string]string),
	}
}

// pace is how long to wait after an edit.
func (r *Responder) pace() time.Duration {
	if p, ok := r.platform.(Pacer); ok {
		return cmp.Or(max(0, p.Pace()), r.router.pace)
	}
	return r.router.pace
}

// Show replaces what the reply shows. It does not wait for the platform: calls are coalesced and paced (a platform tells its pace),
// the newest wins. While a Costly command runs, a Stop button is added.
func (r *Responder) Show(rep Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed {
		return
	}
	r.shown, r.next = rep, &rep
	r.rewake()
}

// rewake has show look at next; mu is held.
func (r *Responder) rewake() {
	if r.next == nil {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// inLine shows the place in the line of the member's own requests.
func (r *Responder) inLine(running, place, line int) {
	r.Show(Reply{Text: r.say("wait.own", "running", running, "place", place, "line", line), Status: true})
}

// atWork forgets what inLine showed: it is no part of what the command shows.
func (r *Responder) atWork() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.claimed {
		r.shown, r.next = Reply{}, nil
	}
}

// Shown returns what the newest Show or Final gave.
func (r *Responder) Shown() Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// Below sets the last line of the answer if the run ends with an error: what is known of the work although nothing came of it, and the buttons
// by which people go on from there.
func (r *Responder) Below(t Text, ways ...NewButton) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.below, r.ways = t, ways
}

// Final shows the answer for good and returns when the platform has it and the request is Delivered. It wins over any Show, and over a
// Stop that was pressed when the answer was there already: it is paid. When ctx is over for another reason (the process ends), nothing
// is written and its cause returned. Once begun, it is tried until the platform has it or the process ends. A second Final is an error.
func (r *Responder) Final(ctx context.Context, rep Reply) error {
	if cause := context.Cause(ctx); cause != nil && !fault.Has(cause, fault.Cancelled) {
		return cause
	}
	return r.final(rep)
}

func (r *Responder) final(rep Reply) error {
	ctx := r.router.deliver
	defer r.post()
	if !r.take(rep) {
		return errFinal
	}
	if rep.Aside && len(r.parts) == 0 && !r.doubtful && r.whispers() {
		r.request.Private = true
	}
	if !r.withdrawn.Load() {
		if err := r.settle(ctx, rep); err != nil {
			return fmt.Errorf("show the final answer: %w", err)
		}
	}
	if r.withdrawn.Load() && !r.inPlace {
		r.vanish()
		return nil
	}
	err := r.close(ctx)
	if r.withdrawn.Load() && !r.inPlace { // since then
		r.vanish()
	}
	return err
}

// vanish takes away what was shown of a request that is Withdrawn, and only then ends it: what an orderly stop or a kill leaves standing goes at the next
// start. It does not wait: the chat and the member go on.
func (r *Responder) vanish() {
	r.router.work.Go(func() { // perform is counted in work, so the count cannot be zero here
		r.forget(r.router.deliver) // that it may take hours to be gone from the chat keeps nothing of it here
		if !r.router.takeAway(r.router.base, r.request, r.parts) {
			return
		}
		if err := r.close(r.router.deliver); err != nil {
			r.router.log.Warn("end a withdrawn request", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
		}
	})
}

// take claims the final and waits until show has ended.
func (r *Responder) take(rep Reply) bool {
	r.mu.Lock()
	if r.claimed {
		r.mu.Unlock()
		return false
	}
	r.claimed, r.next, r.shown = true, nil, rep
	close(r.claim)
	r.mu.Unlock()

	grace := time.NewTimer(editGrace)
	defer grace.Stop()
	select {
	case <-r.done:
		return true
	case <-grace.C:
	}
	r.mu.Lock()
	if r.cancelPut != nil {
		r.cancelPut()
	}
	r.mu.Unlock()
	<-r.done
	return true
}

// settle brings the final to the platform, however often it takes.
func (r *Responder) settle(ctx context.Context, rep Reply) error {
	if rep.beside && r.inPlace {
		r.parts, r.inPlace = nil, false
	}
	plain := false
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		failpoint.Hit("edit.final.before")
		err := r.put(ctx, rep, true)
		failpoint.Hit("edit.final.after")
		switch {
		case err == nil:
			return nil
		case fault.Has(err, fault.Forbidden):
			r.router.log.Warn("the bot may not answer here", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
			return nil
		case errors.Is(err, ErrRejected) && !plain:
			plain = true
			r.router.log.Error("the platform rejects an answer", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
			rep = Reply{Text: r.say("fault." + string(fault.Internal))}
			continue
		case errors.Is(err, ErrRejected):
			return nil // not even that: there is nothing to be shown
		case fault.Has(err, fault.Gone) && r.sends <= 3:
			wait = firstBackoff // put forgot the parts and sends a new message, unless the platform tells soon that somebody deleted the old one
		}
		if Wait(ctx, wait) != nil {
			return err
		}
		if r.withdrawn.Load() {
			return nil
		}
	}
}

// close ends the request after its final is out, or when nothing is to be said.
func (r *Responder) close(ctx context.Context) error {
	failpoint.Hit("delivered.before")
	var err error
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		if err = r.router.store.SetState(ctx, r.request.ID, Delivered); err == nil || r.router.forgotten(ctx, r.request.ID) {
			break
		}
		if Wait(ctx, wait) != nil {
			return fmt.Errorf("mark as delivered: %w", err)
		}
	}
	failpoint.Hit("delivered.after")
	r.forget(ctx)
	return nil
}

// forget drops what only an answer still to come needs.
func (r *Responder) forget(ctx context.Context) {
	if r.router.eraser != nil {
		if err := r.router.eraser.Erase(ctx, r.request.ID); err != nil {
			r.router.log.Error("erase after delivery", "command", r.request.Command, "err", err)
		}
	}
	if r.costly {
		if err := r.router.store.DropActions(ctx, r.request.ID, stopAction); err != nil {
			r.router.log.Error("forget the stop button", "command", r.request.Command, "err", err)
		}
	}
}

// show writes what Show hands over until the final is claimed or base ends (the process stops). It is the only writer until then.
func (r *Responder) show(base context.Context) {
	defer close(r.done)
	late := time.NewTimer(placeholderAfter)
	defer late.Stop()
	if !r.begin(base) {
		return
	}
	wait := r.pace()
	for {
		select {
		case <-r.claim:
			return
		case <-base.Done():
			return
		case <-late.C:
			if r.written || len(r.parts) > 0 {
				r.post()
				continue
			}
			r.retake(&Reply{Text: r.say("reply.working"), Status: true})
		case <-r.wake:
		}
		rep := r.takeNext()
		if rep == nil {
			continue
		}
		// What the earlier process showed may be the final, and a status over it would take the answer away for a moment.
		if rep.Status && !rep.Working && r.rerun && !r.written && len(r.parts) > 0 {
			continue
		}
		if err := r.write(*rep); err != nil {
			wait = min(max(2*wait, firstBackoff), lastBackoff)
			r.router.log.Debug("show progress", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
			if !errors.Is(err, ErrRejected) {
				r.retake(rep)
			}
		} else {
			wait = r.pace()
		}
		r.post()
		r.rest(base, wait)
	}
}

// begin brings up the placeholder where one is due at once. After a restart nobody knows whether a message with this nonce is out; the placeholder finds it
// or makes it. False: there is a final, or base ended.
func (r *Responder) begin(base context.Context) bool {
	switch {
	case len(r.parts) > 0:
	case !r.costly && !r.rerun:
		return true // show's timer sees to it when the answer takes long
	default:
		if r.whisper != nil && !r.holdBack(base) {
			return false
		}
		if err := r.write(Reply{Text: r.say("reply.working"), Status: true}); err != nil {
			r.router.log.Debug("show the placeholder", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
		}
	}
	r.post()
	return true
}

// takeNext is what is to be written now, nil = nothing.
func (r *Responder) takeNext() *Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.next
	r.next = nil
	return rep
}

// retake puts a reply where the next one is taken from, unless something newer is there.
func (r *Responder) retake(rep *Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil && !r.claimed {
		r.next = rep
	}
}

// rest waits until the platform may be written to again.
func (r *Responder) rest(base context.Context, wait time.Duration) {
	pause := time.NewTimer(wait)
	defer pause.Stop()
	select {
	case <-r.claim:
	case <-base.Done():
	case <-pause.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rewake()
}

// holdBack waits until the first message may be shown to all: the run has more to show than that it begins, or found no mistake in mistakeAfter. The
// chat's queue does not wait for that. False: there is a final, or base ended.
func (r *Responder) holdBack(base context.Context) bool {
	r.post()
	held := time.NewTimer(mistakeAfter)
	defer held.Stop()
	for waits := true; waits; {
		select {
		case <-r.claim:
			return false
		case <-base.Done():
			return false
		case <-held.C:
			waits = false
		case <-r.wake:
			r.mu.Lock()
			waits = r.next == nil || r.next.Status && !r.next.Working && !r.next.Asks
			r.mu.Unlock()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rewake()
	return true
}

// conclude ends a request whose run returned nil without Final: what it showed last is the answer; if that is nothing, nothing is said.
func (r *Router) conclude(resp *Responder) error {
	shown := resp.Shown()
	if !empty(shown) {
		return resp.final(shown)
	}
	if resp.costly {
		return errors.New("the command ended without an answer")
	}
	if !resp.take(Reply{}) {
		return nil
	}
	if len(resp.parts) > 0 && !resp.inPlace { // a placeholder that came up because the run took long; should it stand at the next start, nothing runs again
		if err := r.store.SetState(r.deliver, resp.request.ID, Withdrawn); err != nil {
			r.log.Warn("withdraw what ended in silence", "chat", resp.request.Chat.ID, "command", resp.request.Command, "err", err)
		}
		resp.vanish()
		return nil
	}
	return resp.close(r.deliver)
}

func empty(rep Reply) bool { return rep.Text.Plain == "" && len(rep.Pictures) == 0 }

// failed is the final of a run that ended with a fault: what there is of the answer, then what happened.
func (r *Responder) failed(f *fault.Error) Reply {
	r.mu.Lock()
	shown, below, ways, say := r.shown, r.below, r.ways, r.say
	r.mu.Unlock()
	args := make([]any, 0, 2*len(f.Args))
	for _, name := range slices.Sorted(maps.Keys(f.Args)) {
		args = append(args, name, f.Args[name])
	}
	line := say("fault."+string(f.Code), args...)
	if !shown.Status {
		line = Join(Plain("\n\n"), shown.Text, line)
	}
	return Reply{Text: Join(Plain("\n"), line, below), Buttons: ways, beside: true, Aside: f.Code.Mistake()}
}

func (r *Responder) isClaimed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claimed
}
