package bot

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"potluck/community"
	"potluck/fault"
)

// Handle is the Handler of every platform. It returns nil once the event is safe: its request saved, or of no interest.
func (r *Router) Handle(ctx context.Context, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil { // of a Listener's Match
			err = panicked(p)
			r.log.Error("panic", "chat", e.Chat.ID, "user", e.User, "err", err, "stack", string(debug.Stack()))
		}
	}()
	select {
	case <-r.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.FromBot {
		return nil
	}
	if r.base.Err() != nil {
		return errStopping
	}
	e.Text = e.Text.valid()
	switch e.Kind {
	case MessageNew:
		err = r.message(ctx, e)
	case ActionPressed:
		err = r.pressed(ctx, e)
	case MessagesDeleted:
		err = r.deleted(ctx, e)
	case Reaction:
		err = r.reacted(ctx, e)
	case ChatMigrated:
		if m, ok := r.people.(mover); ok {
			err = m.MoveChat(ctx, e.Chat.ID, e.MovedTo)
		}
	}
	if err != nil {
		return fmt.Errorf("take %s of %s: %w", e.Kind, e.Chat.ID, err)
	}
	return nil
}

// mover is a People that can give a chat another id and keep what belongs to it.
type mover interface {
	MoveChat(ctx context.Context, from, to community.ChatID) error
}

func (r *Router) message(ctx context.Context, e Event) error {
	want := wish{event: e}
	if e.Command != nil || isCommand(e.Text.Plain) {
		var f found
		var p Parsed
		var err error
		if e.Command != nil {
			f, err = find(r.commands, e.Command.Path)
			if err == nil {
				p, err = check(f, *e.Command)
			}
		} else {
			f, p, err = parse(r.commands, e.Text)
		}
		want.needs, want.costly, want.private = f.needs, f.costly, f.private || e.Private
		want.command, want.always = strings.Join(f.path, " "), f.command != nil && f.command.Always
		if want.args, want.refused = p, err; err != nil {
			want.costly = false
		}
		return r.accept(ctx, want)
	}
	if e.ReplyTo != "" && len(r.listeners) > 0 {
		var err error
		if e.Answers, err = r.answers(ctx, e.Chat.ID, e.ReplyTo); err != nil {
			return err
		}
	}
	for _, l := range r.listeners {
		if l.Match(e) {
			want.command, want.costly, want.private = l.Name, l.Costly, e.Private
			want.args = Parsed{Rest: e.Text}
			return r.accept(ctx, want)
		}
	}
	return nil
}

// answers returns the request whose answer a message is, "" if none.
func (r *Router) answers(ctx context.Context, chat community.ChatID, m community.MessageID) (string, error) {
	request, _, err := r.store.RequestOf(ctx, chat, m)
	if err != nil {
		return "", fmt.Errorf("find what is replied to: %w", err)
	}
	return request, nil
}

// wish is what an event asks for, before it is a Request.
type wish struct {
	event   Event
	member  *community.Member // nil: accept looks it up
	command string
	args    any
	costly  bool
	private bool
	always  bool // also of somebody who is blocked
	needs   community.Role
	refused error
	reply   []community.MessageID // messages of the bot that the answer is to take the place of, see ActionHandler.InPlace
	quiet   bool                  // nobody is told why it is refused
}

// who makes sure of the chat and the member and adds the role of operators.
func (r *Router) who(ctx context.Context, e *Event) (community.Member, error) {
	chat, err := r.people.Chat(ctx, e.Chat)
	if err != nil {
		return community.Member{}, fmt.Errorf("chat: %w", err)
	}
	e.Chat = chat
	m, err := r.people.Member(ctx, e.User, e.Name, time.Now())
	if err != nil {
		return community.Member{}, fmt.Errorf("member: %w", err)
	}
	if m.Operator {
		e.Role = community.Operator
	}
	return m, nil
}

// accept saves a wish, or the answer that refuses it, and puts it into the chat's queue.
func (r *Router) accept(ctx context.Context, w wish) error {
	if w.member == nil {
		m, err := r.who(ctx, &w.event)
		if err != nil {
			if e := w.event; fault.Has(err, fault.Storage) {
				r.tell(Request{Event: e.ID, Chat: e.Chat, User: e.User, Locale: r.catalogue.Match("", e.Locale), Source: e.Message, Handle: e.Handle, Private: w.private || whispered(e)}, "fault."+string(fault.Storage))
			}
			return err
		}
		w.member = &m
	}
	if w.member.Blocked && !w.always {
		return r.tellBlocked(w.event, *w.member, w.private)
	}
	if w.event.Role < w.needs { // also when an argument is wrong: whoever may not do it need not learn how
		w.refused = fault.New(fault.Forbidden, "role", w.needs)
	}
	if err := r.passes(ctx, &w); err != nil {
		return err
	}
	verdict := r.weigh(&w)
	if w.quiet && (w.refused != nil || verdict == noRoom) {
		return nil
	}
	if (w.refused != nil || verdict == noRoom) && !w.private && r.whispers(w.event) {
		w.private = true // it concerns one person, and the chat need not read it
	}
	if verdict == ignored {
		return nil
	}
	q, err := r.request(w)
	if verdict == noRoom {
		r.tell(q, "fault."+string(fault.Busy))
		return nil
	}
	fresh := false
	if err == nil {
		fresh, err = r.store.Accept(ctx, q)
	}
	if err != nil || !fresh {
		if verdict == counted {
			r.uncount(w.member.ID)
		}
		if fault.Has(err, fault.Storage) && !w.quiet {
			r.tell(q, "fault."+string(fault.Storage))
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		return nil
	}
	inv := &invocation{request: q, member: *w.member, costly: w.costly && w.refused == nil, counted: verdict == counted, whisper: w.event.Whisper}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enqueue(inv) // when the Router has closed meanwhile, the request runs at the next start
	return nil
}

// passes asks the gate about something costly; what it has against that becomes the wish's refusal.
func (r *Router) passes(ctx context.Context, w *wish) error {
	if r.gate == nil || !w.costly || w.refused != nil {
		return nil
	}
	e := w.event
	err := r.gate(ctx, Request{Event: e.ID, Chat: e.Chat, User: e.User, Member: w.member.ID, Role: e.Role, Command: w.command}, *w.member)
	if fault.Of(err).Code == fault.Internal && err != nil {
		return fmt.Errorf("ask what the place wants: %w", err)
	}
	w.refused = err
	return nil
}

// whispers sees to it that the answer to an event is shown to one person, at no cost to the others, and tells whether the platform can.
func (r *Router) whispers(e Event) bool {
	w, ok := r.platforms[community.Platform(e.Chat.ID)].(Whisperer)
	return whispered(e) || ok && w.Whispers()
}

func whispered(e Event) bool { return e.Whisper != nil && e.Whisper() }

// tellBlocked says now and then to somebody whom the operator has blocked why nothing happens; nothing is kept of it. Who waits for an answer that
// nobody else sees gets it every time.
func (r *Router) tellBlocked(e Event, m community.Member, private bool) error {
	private = r.whispers(e) || private
	waits := e.Handle != ""
	if waits && private || r.mayTellBlocked(m.ID) {
		told := r.tell(Request{
			Event: e.ID, Chat: e.Chat, User: e.User, Locale: r.catalogue.Match(m.Language, e.Locale), Source: e.Message, Handle: e.Handle,
			Private: private,
		}, "reply.blocked")
		if told {
			return nil
		}
	}
	if waits {
		return ErrIgnored // whoever waits for an answer is not to wait in vain
	}
	return nil
}

// verdict is what becomes of a wish.
type verdict int

const (
	taken   verdict = iota // saved, as what was asked or as its refusal
	counted                // the same, and it stands in the member's pending
	noRoom                 // the chat's queue is full
	ignored                // not even a refusal: there were enough of them in this minute
)

// weigh decides by the limits of the chat and the member; a limit that is passed becomes the wish's refusal.
func (r *Router) weigh(w *wish) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.chats[w.event.Chat.ID]; q != nil && len(q.waiting) >= r.limits.Chat {
		return noRoom
	}
	al, v := r.allowance(w.member.ID), taken
	if w.refused == nil {
		if w.refused = r.admit(al, w.costly, time.Now()); w.refused == nil && w.costly {
			v = counted
		}
	} else if err := r.admit(al, false, time.Now()); err != nil {
		w.refused = err
	}
	if fault.Has(w.refused, fault.RateLimited) && w.event.Handle == "" && !al.mayTell(r.limits.PerMinute, time.Now()) {
		return ignored
	}
	return v
}

func (r *Router) uncount(m community.MemberID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowance(m).pending--
}

// request is the row of a wish. It comes whole but for its arguments when those cannot be encoded.
func (r *Router) request(w wish) (Request, error) {
	e := w.event
	q := Request{
		ID: newID(), Event: e.ID, Chat: e.Chat, User: e.User, Member: w.member.ID, Name: e.Name,
		Locale: r.catalogue.Match(w.member.Language, e.Locale), Role: e.Role, Command: w.command, Source: e.Message, ReplyTo: e.ReplyTo,
		Handle: e.Handle, Household: e.Household, Private: w.private, Reply: w.reply, State: Accepted, Created: time.Now(),
	}
	if w.refused != nil {
		f := fault.Of(w.refused)
		q.Command, q.Reply, w.args = refusal, nil, fault.Error{Code: f.Code, Args: f.Args}
	}
	var err error
	if q.Args, err = json.Marshal(w.args); err != nil {
		return q, fmt.Errorf("arguments: %w", err)
	}
	return q, nil
}

// tell answers with a text of the catalogue without a request: what there is no room for is not kept either. The nonce comes from the event, for a
// second delivery. False: it is not even said, for so many are told something already.
func (r *Router) tell(q Request, key string) bool {
	select {
	case r.busy <- struct{}{}:
	default:
		r.log.Warn("too many requests to answer", "chat", q.Chat.ID, "user", q.User)
		return false
	}
	sum := sha256.Sum256([]byte(q.Event))
	out := Outgoing{
		Chat: q.Chat.ID, ReplyTo: q.Source, Text: r.catalogue.Say(q.Locale)(key), Final: true,
		Nonce: base32.StdEncoding.EncodeToString(sum[:])[:16], Handle: q.Handle,
	}
	if q.Private {
		out.Only = q.User
	}
	if !r.spawn(func() {
		defer func() { <-r.busy }()
		ctx, cancel := context.WithTimeout(r.base, postLimit)
		defer cancel()
		if p := r.platforms[community.Platform(q.Chat.ID)]; p != nil {
			if _, err := p.Send(ctx, out); err != nil {
				r.log.Warn("tell why a request was not kept", "what", key, "chat", q.Chat.ID, "user", q.User, "err", err)
			}
		}
	}) {
		<-r.busy
		return false
	}
	return true
}
