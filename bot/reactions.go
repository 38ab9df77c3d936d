package bot

import (
	"context"
	"fmt"
	"time"

	"potluck/community"
)

// ReactionHandler does what people ask for by an emoji on a message. Its run is a Request like a command's, whose Source is that message and
// whose Rest is the emoji, but nobody is told of what is not done: an emoji may be meant for people only. The first handler whose Wish is not
// empty gets the reaction, on platforms that are a Reader. On an answer of the bot that still grows it is passed over. Handlers share the names of
// Commands, Listeners and ActionHandlers.
type ReactionHandler struct {
	Name string
	// Wish names what the emoji asks for ("fr"), empty if nothing. The same wish on the same message is done once, whoever reacts how often.
	Wish func(e Event) string
	// Allow is asked before anything is kept; on false nothing happens, and somebody else may ask for the same.
	Allow func(ctx context.Context, e Event, m community.Member) (bool, error)
	// Every is how far apart the reactions of one member are that are taken.
	Every time.Duration
	Run   func(ctx context.Context, in *Invocation) error
}

// Reader is a Platform that can read any message of a chat again, however old.
type Reader interface {
	// Read returns a message as it stands now. Errors carry fault.Gone and fault.Forbidden as those of Platform.Edit do.
	Read(ctx context.Context, chat community.ChatID, m community.MessageID) (Written, error)
}

// Written is a message that somebody wrote.
type Written struct {
	Text Text   // with what it carries besides, as far as that is text
	Link string // https address by which people find it
}

// Source reads the message that the request is about, on platforms that are a Reader.
func (in *Invocation) Source(ctx context.Context) (Written, error) {
	reader, ok := in.Reply.platform.(Reader)
	if !ok {
		return Written{}, fmt.Errorf("%s cannot read messages", in.Reply.platform.Name())
	}
	w, err := reader.Read(ctx, in.Request.Chat.ID, in.Request.Source)
	if err != nil {
		return Written{}, fmt.Errorf("read a message: %w", err)
	}
	w.Text = w.Text.valid()
	return w, nil
}

// Reacts tells whether reactions are answered on the platform of this invocation.
func (in *Invocation) Reacts() bool {
	_, ok := in.Reply.platform.(Reader)
	return ok
}

// reacted makes a request of a reaction that asks for something.
func (r *Router) reacted(ctx context.Context, e Event) error {
	if _, ok := r.platforms[community.Platform(e.Chat.ID)].(Reader); !ok {
		return nil
	}
	for _, h := range r.reactions {
		wanted := h.Wish(e)
		if wanted == "" {
			continue
		}
		m, err := r.who(ctx, &e)
		if err != nil || m.Blocked {
			return err
		}
		if h.Allow != nil {
			if ok, err := h.Allow(ctx, e, m); err != nil || !ok {
				return err
			}
		}
		if grows, err := r.grows(ctx, e); err != nil || grows {
			return err // half an answer is not what people want; they can ask for it again once it is whole
		}
		if !r.mayReact(m.ID, h.Every) {
			return nil
		}
		e.ID = fmt.Sprintf("%s:%s:%s:%s", e.Chat.ID, h.Name, e.Message, wanted)
		return r.accept(ctx, wish{event: e, member: &m, command: h.Name, args: Parsed{Rest: e.Text}, quiet: true})
	}
	return nil
}

// grows tells whether the message of an event is an answer of the bot that is not final yet.
func (r *Router) grows(ctx context.Context, e Event) (bool, error) {
	request, err := r.answers(ctx, e.Chat.ID, e.Message)
	if err != nil || request == "" {
		return false, err
	}
	q, ok, err := r.store.Request(ctx, request)
	if err != nil {
		return false, fmt.Errorf("find how far an answer is: %w", err)
	}
	return ok && q.State != Delivered, nil
}

// mayReact tells whether a member's last reaction was long enough ago, and counts this one if so.
func (r *Router) mayReact(m community.MemberID, every time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.allowance(m)
	if !a.reacted.IsZero() && time.Since(a.reacted) < every {
		return false
	}
	a.reacted = time.Now()
	return true
}
