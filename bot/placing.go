package bot

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"potluck/community"
	"potluck/failpoint"
	"potluck/fault"
)

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
		if r.inPlace && out.Final {
			r.clearPlace(ctx)
		}
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

// clearPlace deletes the answer that a final was to take the place of and that cannot be edited any more: what is sent anew may say that it is gone.
func (r *Responder) clearPlace(ctx context.Context) {
	if err := TakeAway(ctx, func() error { return r.platform.Delete(ctx, r.request.Chat.ID, r.parts) }); err != nil && ctx.Err() == nil {
		r.router.log.Warn("take away an answer that cannot be changed", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
	}
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
