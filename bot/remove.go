package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"potluck/community"
	"potluck/fault"
)

// Remove deletes the message that this request replies to, where its member may: what the bot answered them (a moderator: what it answered
// anybody), what they wrote themselves, and in private everything. What they wrote goes as if the platform had told of its deletion: whatever
// hangs on that message goes with it, also when the platform lets the bot not delete the message itself, which is fault.Forbidden.
// fault.NotYours: it is somebody else's. fault.Gone: the request replies to nothing.
func (in *Invocation) Remove(ctx context.Context) error {
	r, q := in.Reply.router, in.Request
	switch {
	case q.ReplyTo == "":
		return fault.New(fault.Gone)
	case in.Answers != "":
		return r.removeAnswer(ctx, q, in.Answers)
	}
	own, err := r.wrote(ctx, q)
	if err != nil {
		return err
	}
	if !own && !q.Chat.Private {
		return fault.New(fault.NotYours, "what", "message")
	}
	refused := in.Reply.platform.Delete(ctx, q.Chat.ID, []community.MessageID{q.ReplyTo})
	err = r.Handle(ctx, Event{
		ID: q.Event + ":removed", Kind: MessagesDeleted, At: time.Now(), Chat: q.Chat, User: q.User, Name: q.Name, Role: q.Role,
		Deleted: []community.MessageID{q.ReplyTo},
	})
	if err != nil {
		return err
	}
	if refused != nil && !fault.Has(refused, fault.Gone) {
		return fmt.Errorf("remove a message: %w", refused)
	}
	return nil
}

// wrote tells whether the message that a request replies to is by the same person, as the platform tells, or because it asked for something.
func (r *Router) wrote(ctx context.Context, q Request) (bool, error) {
	p, err := q.Parsed()
	if err != nil || p.RepliesTo == q.User {
		return err == nil, err
	}
	asked, err := r.store.Asked(ctx, q.Chat.ID, q.ReplyTo)
	if err != nil {
		return false, fmt.Errorf("find what a message asked: %w", err)
	}
	return slices.ContainsFunc(asked, func(a Request) bool { return a.User == q.User && a.Source == q.ReplyTo }), nil
}

// removeAnswer deletes all parts of an answer of the bot; one that still grows is stopped and goes when it has ended. by is the request that
// wants it, request the one that was answered.
func (r *Router) removeAnswer(ctx context.Context, by Request, request string) error {
	answered, ok, err := r.store.Request(ctx, request)
	switch {
	case err != nil:
		return fmt.Errorf("find whose answer that is: %w", err)
	case (!ok || answered.Member != by.Member) && by.Role < community.Admin:
		return fault.New(fault.NotYours, "what", "answer")
	case ok && answered.State != Delivered && !r.actions[answered.Command].InPlace:
		return r.withdraw(ctx, answered)
	}
	parts := []community.MessageID{by.ReplyTo}
	if slices.Contains(answered.Reply, by.ReplyTo) {
		parts = answered.Reply
	}
	p := r.platforms[community.Platform(by.Chat.ID)]
	if err := p.Delete(ctx, by.Chat.ID, parts); err != nil && !fault.Has(err, fault.Gone) {
		return fmt.Errorf("remove an answer: %w", err)
	}
	return nil
}

// Standing is an answer of the bot as a press on one of its buttons found it. Buttons elsewhere can carry it as JSON.
type Standing struct {
	Request string              `json:"request"` // whose answer it is
	Chat    community.ChatID    `json:"chat"`
	Message community.MessageID `json:"message"` // the part of it that has the button
	// Handle is that of the press: where the bot may not see the chat itself, only this changes the message, for as long as the platform lets it.
	Handle string `json:"handle,omitempty"`
}

// Replace shows t for good in place of an earlier answer, without its pictures and buttons. What cannot be changed any more is deleted, and what somebody
// deleted stays so: after nil nobody sees the answer. Who may have that done the caller decides. Of a request that is forgotten, the one message alone is
// replaced. fault.Forbidden: the bot may neither change nor delete it.
func (in *Invocation) Replace(ctx context.Context, at Standing, t Text) error {
	r := in.Reply.router
	p := r.platforms[community.Platform(at.Chat)]
	if p == nil {
		return fmt.Errorf("replace an answer: no platform has the chat %q", at.Chat)
	}
	out, parts := Outgoing{Chat: at.Chat, Text: t, Final: true, Handle: at.Handle}, []community.MessageID{at.Message}
	q, ok, err := r.store.Request(ctx, at.Request)
	if err != nil {
		return fmt.Errorf("find the answer to be replaced: %w", err)
	}
	if ok = ok && q.Chat.ID == at.Chat && slices.Contains(q.Reply, at.Message); ok {
		out.ReplyTo, parts = q.Source, q.Reply
	}
	now, err := p.Edit(ctx, parts, out)
	switch {
	case fault.Has(err, fault.Gone) || fault.Has(err, fault.Forbidden):
		err = clearAway(ctx, p, at.Chat, parts, err)
	case err == nil && ok && !slices.Equal(now, q.Reply):
		if err := r.store.SetReply(ctx, at.Request, now); err != nil {
			return fmt.Errorf("keep what stands for an answer: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("replace an answer: %w", err)
	}
	if err := r.store.DropActions(ctx, at.Request); err != nil {
		return fmt.Errorf("forget the buttons of an answer: %w", err)
	}
	return nil
}

// clearAway deletes the parts of an answer that could not be changed; why is the error of that.
func clearAway(ctx context.Context, p Platform, chat community.ChatID, parts []community.MessageID, why error) error {
	if errors.Is(why, ErrDeleted) && len(parts) == 1 {
		return nil // of several only one may be gone
	}
	err := p.Delete(ctx, chat, parts)
	switch {
	case err == nil || fault.Has(err, fault.Gone):
		return nil
	case fault.Has(err, fault.Forbidden):
		return fault.Wrap(errors.Join(why, err), fault.Forbidden, "role", "")
	}
	return err
}
