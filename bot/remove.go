package bot

import (
	"context"
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

// Replace shows t for good in place of an earlier answer of the bot: the one to request, which message is a part of, without its pictures and buttons.
// Who may have that done the caller decides. Of a request that is forgotten, message alone is changed, in chat. fault.Gone: it is no longer there.
func (in *Invocation) Replace(ctx context.Context, request string, chat community.ChatID, message community.MessageID, t Text) error {
	r := in.Reply.router
	out, parts := Outgoing{Chat: chat, Text: t, Final: true}, []community.MessageID{message}
	q, ok, err := r.store.Request(ctx, request)
	if err != nil {
		return fmt.Errorf("find the answer to be replaced: %w", err)
	}
	if ok = ok && q.Chat.ID == chat && slices.Contains(q.Reply, message); ok {
		out.ReplyTo, parts = q.Source, q.Reply
	}
	p := r.platforms[community.Platform(chat)]
	if p == nil {
		return fmt.Errorf("replace an answer: no platform has the chat %q", chat)
	}
	now, err := p.Edit(ctx, parts, out)
	if err != nil {
		return fmt.Errorf("replace an answer: %w", err)
	}
	if ok && !slices.Equal(now, q.Reply) {
		if err := r.store.SetReply(ctx, request, now); err != nil {
			return fmt.Errorf("keep what stands for an answer: %w", err)
		}
	}
	if err := r.store.DropActions(ctx, request); err != nil {
		return fmt.Errorf("forget the buttons of an answer: %w", err)
	}
	return nil
}
