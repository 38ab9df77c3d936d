// Package bottest is a chat platform in memory, for tests: it keeps what the bot posts and can fail on demand.
package bottest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Message is one message of the bot as it is now: one per part.
type Message struct {
	ID community.MessageID
	bot.Outgoing
	Deleted bool
	Edits   int
}

// Call is one thing that the bot did, in order.
type Call struct {
	What string // "send", "edit", "delete"
	IDs  []community.MessageID
	Out  bot.Outgoing
	At   time.Time
}

// Platform is a bot.Platform. Its hooks may be set before it is used, and with Set later.
type Platform struct {
	name string

	mu      sync.Mutex
	hooks   Hooks
	handler bot.Handler
	up      chan struct{} // closed while Run runs
	changed chan struct{} // closed and renewed at every change
	last    int
	order   []community.MessageID
	posts   map[community.MessageID]*Message
	nonces  map[string][]community.MessageID
	written map[community.MessageID]bot.Text // see Write
	calls   []Call
}

// Hooks change what the platform does. Each may be nil.
type Hooks struct {
	// Before is called before a send, edit or delete is done; its error is returned instead, and nothing happens.
	Before func(ctx context.Context, what string, m bot.Outgoing) error
	// After is called when it is done; its error is returned although the message is out, as when the process is killed between both.
	After func(ctx context.Context, what string, m bot.Outgoing) error
	// Max is the most UTF-16 units of one message; longer texts become several parts. 0: no limit.
	Max int
	// Whispers: see bot.Whisperer.
	Whispers bool
	// Pace: see bot.Pacer; 0 leaves it to the Router.
	Pace time.Duration
	// NoNonce makes every send a new message.
	NoNonce bool
	// Whisper is the Event.Whisper of every press; nil: none can be answered privately.
	Whisper func() bool
	// Sure makes an edit of what was deleted say so, see bot.ErrDeleted; otherwise the message is only gone.
	Sure bool
}

// New makes a platform; name stands in front of its ids.
func New(name string) *Platform {
	return &Platform{
		name: name, up: make(chan struct{}), changed: make(chan struct{}),
		posts: make(map[community.MessageID]*Message), nonces: make(map[string][]community.MessageID),
		written: make(map[community.MessageID]bot.Text),
	}
}

// Set changes the hooks.
func (p *Platform) Set(h Hooks) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks = h
}

// Self is the bot's own account, local id "potluck".
func (p *Platform) Self() community.UserID { return p.User("potluck") }

func (p *Platform) Name() string { return p.name }

func (p *Platform) hook() Hooks {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hooks
}

// Whispers is as the hooks say.
func (p *Platform) Whispers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hooks.Whispers
}

// Pace is as the hooks say.
func (p *Platform) Pace() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hooks.Pace
}

// Run hands the events of Emit to h until ctx ends. It can run again with another Router: what was posted stays.
func (p *Platform) Run(ctx context.Context, h bot.Handler) error {
	p.mu.Lock()
	p.handler = h
	close(p.up)
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.handler, p.up = nil, make(chan struct{})
	p.mu.Unlock()
	return nil
}

// Emit waits until the platform runs and hands it the event. What is empty is filled in: ID, At, Kind (MessageNew), Message.
func (p *Platform) Emit(ctx context.Context, e bot.Event) error {
	p.mu.Lock()
	up := p.up
	p.mu.Unlock()
	select {
	case <-up:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.mu.Lock()
	h := p.handler
	p.last++
	n := strconv.Itoa(p.last)
	p.mu.Unlock()
	if h == nil {
		return fmt.Errorf("%s does not run", p.name)
	}
	if e.ID == "" {
		e.ID = p.name + ":event-" + n
	}
	if e.Kind == "" {
		e.Kind = bot.MessageNew
	}
	if e.Message == "" {
		e.Message = community.MessageID("in-" + n)
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	return h(ctx, e)
}

// Chat is a public chat of this platform: Chat("lobby") is "name:lobby" in the community "name:home".
func (p *Platform) Chat(local string) community.Chat {
	return community.Chat{ID: community.ChatID(p.name + ":" + local), Community: community.CommunityID(p.name + ":home"), Name: local}
}

// User is the identity with a local name.
func (p *Platform) User(local string) community.UserID { return community.UserID(p.name + ":" + local) }

// Say emits a message of user in chat; both are local names.
func (p *Platform) Say(ctx context.Context, chat, user, text string) error {
	return p.Emit(ctx, bot.Event{Chat: p.Chat(chat), User: p.User(user), Name: user, Text: bot.Plain(text)})
}

// Press presses the button with that label on a message of the bot.
func (p *Platform) Press(ctx context.Context, m Message, user, label string, role community.Role) error {
	for _, b := range m.Buttons {
		if b.Label == label {
			return p.Emit(ctx, bot.Event{
				Kind: bot.ActionPressed, Chat: community.Chat{ID: m.Chat, Community: community.CommunityID(p.name + ":home")},
				User: p.User(user), Name: user, Role: role, Message: m.ID, Action: b.ID, Private: m.Only != "", Whisper: p.hook().Whisper,
			})
		}
	}
	return fmt.Errorf("message %s has no button %q", m.ID, label)
}

// Messages returns what the bot posted and did not delete, oldest first; with a chat's local name only there.
func (p *Platform) Messages(chat string) []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages(chat)
}

func (p *Platform) messages(chat string) []Message {
	var all []Message
	for _, id := range p.order {
		if m := p.posts[id]; !m.Deleted && (chat == "" || community.Local(m.Chat) == chat) {
			all = append(all, *m)
		}
	}
	return all
}

// Visible returns what one person (a local name) sees of Messages.
func (p *Platform) Visible(chat, user string) []Message {
	return slices.DeleteFunc(p.Messages(chat), func(m Message) bool { return m.Only != "" && m.Only != p.User(user) })
}

// Calls returns everything that the bot did.
func (p *Platform) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// Wait returns the bot's messages in the chat as soon as ok likes them; an error when ctx ends before.
func (p *Platform) Wait(ctx context.Context, chat string, ok func([]Message) bool) ([]Message, error) {
	for {
		p.mu.Lock()
		all, changed := p.messages(chat), p.changed
		p.mu.Unlock()
		if ok(all) {
			return all, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return all, fmt.Errorf("waiting for messages in %s: %w", chat, context.Cause(ctx))
		}
	}
}

// Finals is for Wait: n finished messages, and no unfinished one.
func Finals(n int) func([]Message) bool {
	return func(all []Message) bool {
		return len(all) == n && !slices.ContainsFunc(all, func(m Message) bool { return !m.Final })
	}
}

func (p *Platform) Send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	return p.do(ctx, "send", nil, m)
}

func (p *Platform) Edit(ctx context.Context, parts []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	return p.do(ctx, "edit", parts, m)
}

func (p *Platform) Delete(ctx context.Context, chat community.ChatID, parts []community.MessageID) error {
	_, err := p.do(ctx, "delete", parts, bot.Outgoing{Chat: chat})
	return err
}

func (p *Platform) do(ctx context.Context, what string, parts []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	p.mu.Lock()
	hooks := p.hooks
	p.mu.Unlock()
	if hooks.Before != nil {
		if err := hooks.Before(ctx, what, m); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ids, err := p.apply(hooks, what, parts, m)
	if err == nil && hooks.After != nil {
		err = hooks.After(ctx, what, m)
	}
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func (p *Platform) apply(hooks Hooks, what string, parts []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.stand(parts, what == "delete", hooks.Sure); err != nil {
		return nil, err
	}
	defer func() { close(p.changed); p.changed = make(chan struct{}) }()
	nonce := string(m.Chat) + " " + m.Nonce
	switch what {
	case "delete":
		for _, id := range parts {
			p.posts[id].Deleted = true
		}
		p.calls = append(p.calls, Call{What: what, IDs: parts, Out: m, At: time.Now()})
		return nil, nil
	case "send":
		if ids, ok := p.nonces[nonce]; ok && m.Nonce != "" && !hooks.NoNonce {
			p.calls = append(p.calls, Call{What: "send again", IDs: ids, Out: m, At: time.Now()})
			return slices.Clone(ids), nil
		}
	}
	ids := p.show(parts, m, hooks.Max)
	if what == "send" && m.Nonce != "" {
		p.nonces[nonce] = slices.Clone(ids)
	}
	p.calls = append(p.calls, Call{What: what, IDs: slices.Clone(ids), Out: m, At: time.Now()})
	return ids, nil
}

// stand returns why messages cannot be changed; deleting what is gone already is no error. sure: the platform knows when somebody took one away.
func (p *Platform) stand(parts []community.MessageID, deleting, sure bool) error {
	for _, id := range parts {
		switch old := p.posts[id]; {
		case deleting && old != nil:
		case old == nil || old.Deleted && !sure:
			return fmt.Errorf("message %s: %w", id, fault.New(fault.Gone))
		case old.Deleted:
			return fmt.Errorf("message %s: %w: %w", id, bot.ErrDeleted, fault.New(fault.Gone))
		}
	}
	return nil
}

// show makes the parts show m, in pieces of at most most characters (0: one piece), and returns the pieces' ids.
func (p *Platform) show(parts []community.MessageID, m bot.Outgoing, most int) (ids []community.MessageID) {
	texts := []bot.Text{m.Text}
	if most > 0 {
		texts = bot.Split(m.Text, most, nil)
	}
	for i, t := range texts {
		one := m
		one.Text = t
		if i < len(texts)-1 {
			one.Buttons, one.Pictures = nil, nil
		}
		if i < len(parts) {
			old := p.posts[parts[i]]
			one.Nonce = old.Nonce
			old.Outgoing = one
			old.Edits++
			ids = append(ids, old.ID)
			continue
		}
		p.last++
		id := community.MessageID("out-" + strconv.Itoa(p.last))
		p.posts[id] = &Message{ID: id, Outgoing: one}
		p.order = append(p.order, id)
		ids = append(ids, id)
	}
	for _, id := range parts[min(len(texts), len(parts)):] {
		p.posts[id].Deleted = true
	}
	return ids
}

// Write lets Read find what people wrote; Read knows what the bot posted, too.
func (p *Platform) Write(id community.MessageID, t bot.Text) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written[id] = t
}

// Read returns a message as it is now; its link is made of its id.
func (p *Platform) Read(_ context.Context, _ community.ChatID, id community.MessageID) (bot.Written, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.written[id]
	if m := p.posts[id]; m != nil && !m.Deleted {
		t, ok = m.Text, true
	}
	if !ok {
		return bot.Written{}, fmt.Errorf("message %s: %w", id, fault.New(fault.Gone))
	}
	return bot.Written{Text: t, Link: "https://chat.example/" + string(id)}, nil
}

// Remove deletes a message as a person would.
func (p *Platform) Remove(id community.MessageID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posts[id].Deleted = true
	close(p.changed)
	p.changed = make(chan struct{})
}
