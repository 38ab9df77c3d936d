package bot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"potluck/community"
	"potluck/fault"
)

// pressed finds what a button does. Stop is done at once; everything else becomes a request.
func (r *Router) pressed(ctx context.Context, e Event) error {
	a, ok, err := r.store.Action(ctx, e.Action)
	if err != nil {
		return fmt.Errorf("find the action: %w", err)
	}
	want := wish{event: e, private: true}
	handler := r.actions[a.Name]
	if !ok || !time.Now().Before(a.Expires) || (handler.Run == nil && a.Name != stopAction) {
		want.refused = tooOld(handler)
		return r.accept(ctx, want)
	}
	member, err := r.who(ctx, &e)
	if err != nil {
		return err
	}
	if member.Blocked {
		return nil
	}
	want.event, want.member = e, &member
	moderates := e.Role >= community.Admin && (handler.Moderators || a.Name == stopAction)
	if a.Owner != 0 && a.Owner != member.ID && !moderates {
		want.refused = fault.New(fault.NotYours, "what", a.Name)
		return r.accept(ctx, want)
	}
	if a.Name == stopAction {
		return r.stop(ctx, a, want)
	}
	if handler.Anew || handler.InPlace {
		q, ok, err := r.store.Request(ctx, a.Request)
		if err != nil {
			return fmt.Errorf("find the question: %w", err)
		}
		here := ok && q.Chat.ID == e.Chat.ID
		if handler.InPlace {
			want.reply = []community.MessageID{e.Message} // all there is to go by once the request is forgotten
			if here && slices.Contains(q.Reply, e.Message) {
				want.reply = q.Reply
			}
			want.event.Message = "" // it stays an answer to the question
		}
		if here && q.Source != "" {
			want.event.Message = q.Source
		}
	}
	want.needs = handler.Needs
	want.command, want.costly, want.private, want.args = a.Name, handler.Costly, handler.Private || e.Private, a
	return r.accept(ctx, want)
}

// stop is saved first, so that it also holds when the process ends before the final is out.
func (r *Router) stop(ctx context.Context, a Action, want wish) error {
	q, ok, err := r.store.Request(ctx, a.Request)
	if err != nil {
		return fmt.Errorf("find the request: %w", err)
	}
	if !ok || q.State == Delivered {
		want.refused = fault.New(fault.Gone)
		return r.accept(ctx, want)
	}
	if err := r.store.SetState(ctx, q.ID, Stopped); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	r.mu.Lock()
	inv := r.running[q.ID]
	r.mu.Unlock()
	if inv != nil {
		inv.cancel(fault.New(fault.Cancelled))
	}
	return nil
}

// tooOld says that a button is no longer there, and what to type instead where that is known.
func tooOld(h ActionHandler) error {
	if h.Command == "" {
		return fault.New(fault.Gone)
	}
	return fault.New(fault.Gone, "command", h.Command)
}
