package bot

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
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
	parts     []community.MessageID
	sends     int  // messages that were lost and replaced: part of the nonce
	doubtful  bool // a message with this nonce may be there although its id is not known
	written   bool // the platform shows something of this run
	last      Outgoing
	actions   map[string]string // what a NewButton does → id of its saved Action
	delivered bool
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
	err := r.close(ctx)
	if r.withdrawn.Load() && !r.inPlace {
		r.router.takeAway(ctx, r.request, r.parts)
	}
	return err
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
		if !sleep(ctx, wait) {
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
		if !sleep(ctx, wait) {
			return fmt.Errorf("mark as delivered: %w", err)
		}
	}
	failpoint.Hit("delivered.after")
	r.delivered = true
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
	return nil
}

// show writes what Show hands over until the final is claimed or base ends (the process stops). It is the only writer until then.
func (r *Responder) show(base context.Context) {
	defer close(r.done)

	late := time.NewTimer(placeholderAfter)
	defer late.Stop()
	// After a restart nobody knows whether a message with this nonce is out; the placeholder finds it or makes it.
	if len(r.parts) > 0 {
		r.post()
	} else if r.costly || r.rerun {
		if r.whisper != nil && !r.holdBack(base) {
			return
		}
		if err := r.write(Reply{Text: r.say("reply.working"), Status: true}); err != nil {
			r.router.log.Debug("show the placeholder", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
		}
		r.post()
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
			r.mu.Lock()
			if r.next == nil && !r.claimed {
				r.next = &Reply{Text: r.say("reply.working"), Status: true}
			}
			r.mu.Unlock()
		case <-r.wake:
		}
		r.mu.Lock()
		rep := r.next
		r.next = nil
		r.mu.Unlock()
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
			r.mu.Lock()
			if r.next == nil && !r.claimed && !errors.Is(err, ErrRejected) {
				r.next = rep
			}
			r.mu.Unlock()
		} else {
			wait = r.pace()
		}
		r.post()
		pause := time.NewTimer(wait)
		select {
		case <-r.claim:
		case <-base.Done():
		case <-pause.C:
		}
		pause.Stop()
		r.mu.Lock()
		if r.next != nil {
			select {
			case r.wake <- struct{}{}:
			default:
			}
		}
		r.mu.Unlock()
	}
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
	if r.next != nil {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// write is put for what is not final: an edit of it may be abandoned by the final, a first message never (its id would be lost).
func (r *Responder) write(rep Reply) error {
	ctx := r.router.deliver
	if r.withdrawn.Load() {
		return nil
	}
	if len(r.parts) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		r.mu.Lock()
		r.cancelPut = cancel
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			r.cancelPut = nil
			r.mu.Unlock()
		}()
	}
	return r.put(ctx, rep, false)
}

// put makes the platform show rep: an edit of what is there, else a new message. Should an adapter panic over what a model wrote, that is a message which
// the platform rejects: it costs this reply and not the process.
func (r *Responder) put(ctx context.Context, rep Reply, final bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w", ErrRejected, panicked(p))
			r.router.log.Error("panic", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err, "stack", string(debug.Stack()))
		}
	}()
	out := Outgoing{
		Chat: r.request.Chat.ID, ReplyTo: r.request.Source, Text: rep.Text, Pictures: rep.Pictures, Final: final, Handle: r.request.Handle,
		Status: rep.Status, Asks: rep.Asks,
	}
	if r.request.Private {
		out.Only = r.request.User
	}
	if out.Buttons, err = r.buttons(ctx, rep, final); err != nil {
		return fmt.Errorf("save buttons: %w", err)
	}
	if !final && r.written && reflect.DeepEqual(out, r.last) {
		return nil
	}
	if len(r.parts) > 0 {
		return r.edit(ctx, out)
	}
	out.Nonce = r.request.ID
	if r.sends > 0 {
		out.Nonce += "-" + strconv.Itoa(r.sends)
	}
	known := !r.doubtful
	r.doubtful = true
	failpoint.Hit("send.before")
	parts, err := r.platform.Send(ctx, out)
	failpoint.Hit("send.after")
	if errors.Is(err, ErrDeleted) {
		r.deleted()
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", r.platform.Name(), err)
	}
	r.doubtful = false
	if err := r.keep(ctx, parts); err != nil {
		return err
	}
	out.Nonce = ""
	if !known {
		return r.edit(ctx, out) // Send may have found the older message, which still shows something else
	}
	r.written, r.last = true, out
	return nil
}

func (r *Responder) edit(ctx context.Context, out Outgoing) error {
	parts, err := r.platform.Edit(ctx, r.parts, out)
	switch {
	case errors.Is(err, ErrDeleted):
		r.deleted()
	case fault.Has(err, fault.Gone):
		r.parts, r.doubtful = nil, r.rerun
		r.sends++
	}
	if err != nil {
		return fmt.Errorf("edit on %s: %w", r.platform.Name(), err)
	}
	r.written, r.last = true, out
	if !slices.Equal(parts, r.parts) {
		return r.keep(ctx, parts)
	}
	return nil
}

// keep remembers which messages are the reply. The parts are used even if saving fails: a final edits them and saves again.
func (r *Responder) keep(ctx context.Context, parts []community.MessageID) error {
	r.parts = parts
	err := r.router.store.SetReply(ctx, r.request.ID, parts)
	if err == nil {
		err = r.router.store.Sent(ctx, r.request.Chat.ID, parts, r.request.ID, time.Now())
	}
	if err != nil && !r.router.forgotten(ctx, r.request.ID) {
		return fmt.Errorf("save the reply's ids: %w", err)
	}
	return nil
}

// buttons gives each new button an id and saves its Action. A button that stays over several Shows keeps its id.
func (r *Responder) buttons(ctx context.Context, rep Reply, final bool) ([]Button, error) {
	wanted := rep.Buttons
	if r.costly && !final {
		wanted = append(slices.Clip(wanted), NewButton{Action: stopAction, Label: r.say("button.stop"), Style: Danger})
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	var fresh []Action
	buttons := make([]Button, len(wanted))
	ids := make(map[string]string)
	for i, b := range wanted {
		does := fmt.Sprintf("%s %t %d %d %s", b.Action, b.Everyone, b.Owner, i, b.Data)
		id, ok := r.actions[does]
		if !ok {
			id = newID()
			a := Action{ID: id, Name: b.Action, Request: r.request.ID, Data: b.Data, Owner: cmp.Or(b.Owner, r.request.Member), Expires: time.Now().Add(actionLife)}
			if b.Everyone {
				a.Owner = 0
			}
			fresh = append(fresh, a)
			ids[does] = id
		}
		buttons[i] = Button{ID: id, Label: b.Label.Plain, Style: b.Style}
		if !b.Everyone {
			buttons[i].Only = cmp.Or(b.Only, r.request.User)
		}
	}
	if len(fresh) > 0 {
		if err := r.router.store.SaveActions(ctx, fresh); err != nil {
			return nil, err
		}
	}
	for does, id := range ids {
		r.actions[does] = id
	}
	return buttons, nil
}

// newID returns 80 random bits as 16 characters of base32.
func newID() string { return rand.Text()[:16] }

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
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
	if len(resp.parts) > 0 && !resp.inPlace { // a placeholder that came up because the run took long
		if err := resp.platform.Delete(r.deliver, resp.request.Chat.ID, resp.parts); err != nil && !fault.Has(err, fault.Gone) {
			r.log.Warn("take back a placeholder", "chat", resp.request.Chat.ID, "command", resp.request.Command, "err", err)
		}
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
