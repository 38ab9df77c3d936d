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
	if member.Blocked && !handler.Always {
		return r.tellBlocked(e, member, true)
	}
	want.event, want.member, want.always = e, &member, handler.Always
	moderates := e.Role >= community.Admin && (handler.Moderators || a.Name == stopAction)
	if a.Owner != 0 && a.Owner != member.ID && !moderates {
		want.refused = fault.New(fault.NotYours, "what", a.Name)
		return r.accept(ctx, want)
	}
	if a.Name == stopAction {
		return r.stop(ctx, a, want)
	}
	if aside, ok := r.actions[handler.Aside]; ok && !e.Private && !e.Chat.Private && whispered(e) {
		a.Name, handler = aside.Name, aside
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
	if !ok || q.State == Delivered || q.State == Withdrawn {
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

// deleted takes back what was asked by messages that are gone: what runs is stopped, and the answers go, too. Who deletes takes back what
// they asked themselves, a moderator what anybody did; where the platform does not tell who it was, it lets nobody else.
func (r *Router) deleted(ctx context.Context, e Event) error {
	for _, m := range e.Deleted {
		if m == "" {
			continue
		}
		// Buttons below an answer of the bot have it as their source; it goes by itself when pictures are taken away, say.
		if of, err := r.answers(ctx, e.Chat.ID, m); err != nil || of != "" {
			if err == nil {
				err = r.answerDeleted(ctx, e, m, of)
			}
			if err != nil {
				return err
			}
			continue
		}
		asked, err := r.store.Asked(ctx, e.Chat.ID, m)
		if err != nil {
			return fmt.Errorf("find what a message asked: %w", err)
		}
		for _, q := range asked {
			if e.User == "" || q.User == e.User || e.Role >= community.Admin {
				if err := r.withdraw(ctx, q); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// answerDeleted stops a request whose growing answer was deleted: whoever may do that does not want it to come back.
func (r *Router) answerDeleted(ctx context.Context, e Event, m community.MessageID, request string) error {
	q, ok, err := r.store.Request(ctx, request)
	if err != nil {
		return fmt.Errorf("find whose answer was deleted: %w", err)
	}
	may := e.User == "" || q.User == e.User || e.Role >= community.Admin
	if !ok || !may || q.State == Delivered || !slices.Contains(q.Reply, m) || r.actions[q.Command].InPlace {
		return nil
	}
	return r.withdraw(ctx, q)
}

// deleted ends the run of an answer that somebody took away, as the platform says, whether and whenever it tells of the deletion besides. What was to
// take the place of another request's answer goes on with its work and shows nothing.
func (r *Responder) deleted() {
	if r.inPlace {
		r.withdrawn.Store(true)
		return
	}
	if err := r.router.withdraw(r.router.deliver, r.request); err != nil {
		r.router.log.Warn("stop what answers in a deleted message", "chat", r.request.Chat.ID, "command", r.request.Command, "err", err)
	}
}

// withdraw stops a request as its Stop does, and sees to it that no answer stays, also when the process ends before that.
func (r *Router) withdraw(ctx context.Context, q Request) error {
	r.mu.Lock()
	inv := r.running[q.ID]
	r.mu.Unlock()
	if inv != nil {
		inv.withdrawn.Store(true)
	}
	if q.State != Delivered {
		if err := r.store.SetState(ctx, q.ID, Withdrawn); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
	}
	if inv != nil {
		inv.cancel(fault.New(fault.Cancelled))
	}
	// Read once more: the final may have gone out before withdrawn was set.
	now, ok, err := r.store.Request(ctx, q.ID)
	if err != nil {
		return fmt.Errorf("read a withdrawn request: %w", err)
	}
	if ok && now.State == Delivered {
		r.spawn(func() { r.takeAway(r.deliver, now, now.Reply) })
	}
	return nil
}

// takeAway deletes what was shown for a request, see TakeAway. One that cannot be deleted stays. False: ctx ended before that was known.
func (r *Router) takeAway(ctx context.Context, q Request, parts []community.MessageID) bool {
	p := r.platforms[community.Platform(q.Chat.ID)]
	if p == nil || len(parts) == 0 || r.actions[q.Command].InPlace {
		return true
	}
	err := TakeAway(ctx, func() error { return p.Delete(r.deliver, q.Chat.ID, parts) })
	if err != nil && ctx.Err() != nil {
		return false
	}
	if err != nil {
		r.log.Warn("take away what nobody wants to see", "chat", q.Chat.ID, "command", q.Command, "err", err)
	}
	return true
}

// tooOld says that a button is no longer there, and what to type instead where that is known.
func tooOld(h ActionHandler) error {
	if h.Command == "" {
		return fault.New(fault.Gone)
	}
	return fault.New(fault.Gone, "command", h.Command)
}
