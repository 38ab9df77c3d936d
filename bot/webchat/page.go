package webchat

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/web/caller"
	"potluck/web/guard"
)

// Pictures keeps the files that messages show. *imagegen.Album implements it.
type Pictures interface {
	// Keep saves a file; saving the same name again is no error.
	Keep(name string, data []byte) error
	Open(name string) (io.ReadSeekCloser, error)
}

// OperatorUser is the identity of everyone who opened the one-time operator URL.
const OperatorUser community.UserID = "page:operator"

// Config is what a Page needs. Store and Pictures are required, everything else has a default.
type Config struct {
	Store    Store
	Pictures Pictures

	Name  string   // of the community: its id is "page:" + Name; default "potluck"
	Title string   // what people read on the page, and the bot's name there; default "Potluck"
	Chats []string // default lobby, english, español; the first is opened first

	// OperatorToken opens /webchat/operator once; empty: never. Operator is told before the session becomes the operator's.
	OperatorToken string
	// OperatorPass tells whether any other token opens it too, and says so once per token; nil: none does.
	OperatorPass func(token string) bool
	Operator     func(ctx context.Context, user community.UserID, name string) error

	// PrivateCommand tells whether a typed message is a command whose answer is private: then only its author sees it.
	PrivateCommand func(text string) bool
	// Asked tells whether the bot took a message up as a question: its text does not change any more. nil: none is.
	Asked func(ctx context.Context, chat community.ChatID, m community.MessageID) (bool, error)
	// Commands returns what the page completes after "/" for that visitor (empty: without a session), who reads that locale (BCP 47, may be
	// empty): a list of {"name", "description"} objects, or any other JSON.
	Commands func(ctx context.Context, user community.UserID, locale string) any
	// Language keeps in which language (one of reader.Languages) a visitor wants the bot's answers: who chooses one for the page wants both. nil: nobody does.
	Language func(ctx context.Context, user community.UserID, name, language string) error
	// Suggest completes what is typed so far as the value of an option ("worker link", "name"), at most 25 answers; nil: nothing.
	Suggest func(locale, command, option, typed string) []string
	// Pool says from memory what the machines can do now, Purse what a visitor may spend. Nil: the page does not show it.
	Pool  func() Pool
	Purse func(ctx context.Context, user community.UserID) (Purse, error)

	// Secure tells whether a request came in over TLS (also through a proxy that is trusted): cookies are then sent over TLS only.
	Secure func(*http.Request) bool
	// Address returns whose request it is, for the limits per address; default: the connection's own, as behind no proxy.
	Address func(*http.Request) string
	// Origins lists further origins ("https://chat.example.org") whose pages may post, beside the host that the request names.
	Origins []string

	Now    func() time.Time
	Log    *slog.Logger
	Limits Limits
}

// Limits bound what visitors can take. A zero field means its default. The history has no size of its own: what one address can write into
// it follows from its rate, TextLength and Keep; SessionsPerSecond bounds how fast one address makes sessions, which are as old as Keep at
// most when nobody uses them.
type Limits struct {
	TextLength         int           // characters of one message; 16,000
	Streams            int           // event streams in all; 2,000
	StreamsPerUser     int           // 6
	StreamsPerAddress  int           // a quarter of Streams: behind a proxy that is not trusted all visitors have one address
	Waiting            int           // events that a slow stream may be behind before it is dropped; 256
	Heartbeat          time.Duration // 15 s
	WriteTimeout       time.Duration // for one write to a stream; 10 s
	ReadTimeout        time.Duration // for the body of a request; 10 s
	MessagesPerSecond  float64       // of one visitor, also button presses; 1
	MessagesBurst      int           // 60
	AddressPerSecond   float64       // messages and presses from one address; 20
	AddressBurst       int           // 300
	SessionsPerSecond  float64       // new sessions and renames from one address; 5
	SessionsBurst      int           // 200
	StreamsPerSecond   float64       // event streams that one visitor opens; 1
	StreamsBurst       int           // 60
	RememberedVisitors int           // visitors and addresses whose rate or name is remembered; 10,000
	Keep               time.Duration // history, and sessions that nobody uses, are forgotten after it; 30 days

	SuggestionsPerSecond float64 // of one visitor who types; 10
	SuggestionsBurst     int     // 60
}

func (l Limits) withDefaults() Limits {
	l.TextLength = or(l.TextLength, 16_000)
	l.Streams = or(l.Streams, 2_000)
	l.StreamsPerUser = or(l.StreamsPerUser, 6)
	l.StreamsPerAddress = or(l.StreamsPerAddress, max(l.StreamsPerUser, l.Streams/4))
	l.Waiting = or(l.Waiting, 256)
	l.Heartbeat = or(l.Heartbeat, 15*time.Second)
	l.WriteTimeout = or(l.WriteTimeout, 10*time.Second)
	l.ReadTimeout = or(l.ReadTimeout, 10*time.Second)
	l.MessagesPerSecond = or(l.MessagesPerSecond, 1)
	l.MessagesBurst = or(l.MessagesBurst, 60)
	l.AddressPerSecond = or(l.AddressPerSecond, 20)
	l.AddressBurst = or(l.AddressBurst, 300)
	l.SessionsPerSecond = or(l.SessionsPerSecond, 5)
	l.SessionsBurst = or(l.SessionsBurst, 200)
	l.StreamsPerSecond = or(l.StreamsPerSecond, 1)
	l.StreamsBurst = or(l.StreamsBurst, 60)
	l.RememberedVisitors = or(l.RememberedVisitors, 10_000)
	l.Keep = or(l.Keep, 30*24*time.Hour)
	l.SuggestionsPerSecond = or(l.SuggestionsPerSecond, 10)
	l.SuggestionsBurst = or(l.SuggestionsBurst, 60)
	return l
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Page is the browser page as a chat platform. It implements bot.Platform and serves the page by Handler.
type Page struct {
	config Config
	hub    *hub
	assets *assets
	limits *limits
	seats  *seats
	guard  *guard.Guard

	// changing guards read-change-write of one message: an edit that crosses a delete must not bring the message back.
	changing [64]sync.Mutex
	seed     maphash.Seed

	mu       sync.Mutex
	handler  bot.Handler   // nil while Run does not run
	begun    chan struct{} // closed by the first Run
	handling sync.WaitGroup

	operator *oneTimeTokens
	starts   starts
	previews previews
	growing  growing
}

// CheckChats says which of the names cannot be that of a chat of the page, and why; nil when all can.
func CheckChats(names []string) error {
	for i, name := range names {
		if _, err := cleanName(name); err != nil || strings.ContainsAny(name, ":/ ") {
			return fmt.Errorf("chat name %q: use 1 to 32 characters without spaces, colons or slashes", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("chat name %q is listed twice", name)
		}
	}
	return nil
}

// New checks the configuration and makes a Page; it takes messages once Run runs.
func New(c Config) (*Page, error) {
	if c.Store == nil || c.Pictures == nil {
		return nil, errors.New("webchat: Store and Pictures are required")
	}
	c.Name = or(c.Name, "potluck")
	c.Title = or(c.Title, "Potluck")
	if len(c.Chats) == 0 {
		c.Chats = []string{"lobby", "english", "español"}
	}
	if err := CheckChats(c.Chats); err != nil {
		return nil, fmt.Errorf("webchat: %w", err)
	}
	if c.Operator == nil {
		c.Operator = func(context.Context, community.UserID, string) error { return nil }
	}
	if c.Asked == nil {
		c.Asked = func(context.Context, community.ChatID, community.MessageID) (bool, error) { return false, nil }
	}
	if c.PrivateCommand == nil {
		c.PrivateCommand = func(string) bool { return false }
	}
	if c.Commands == nil {
		c.Commands = func(context.Context, community.UserID, string) any { return nil }
	}
	if c.Language == nil {
		c.Language = func(context.Context, community.UserID, string, string) error { return nil }
	}
	if c.Suggest == nil {
		c.Suggest = func(string, string, string, string) []string { return nil }
	}
	if c.Secure == nil {
		c.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if c.Address == nil {
		c.Address = caller.New(nil).Of
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	a, err := loadAssets(c.Title)
	if err != nil {
		return nil, err
	}
	keeper, err := guard.New(c.Origins, "data:", "blob:")
	if err != nil {
		return nil, fmt.Errorf("webchat: %w", err)
	}
	return &Page{
		begun:    make(chan struct{}),
		config:   c,
		hub:      newHub(c.Limits),
		assets:   a,
		limits:   newLimits(c.Limits),
		seats:    newSeats(c.Limits.RememberedVisitors),
		guard:    keeper,
		seed:     maphash.MakeSeed(),
		operator: newOneTimeTokens(c.OperatorToken, c.OperatorPass),
		starts:   starts{from: map[string]int64{}},
		growing:  growing{messages: map[community.MessageID]*growth{}},
	}, nil
}

var _ bot.Platform = (*Page)(nil)

// Name is "page", which stands in front of all its ids.
func (p *Page) Name() string { return "page" }

// Community is the one community of the page.
func (p *Page) Community() community.CommunityID {
	return community.CommunityID("page:" + p.config.Name)
}

// Chats lists the chats of the page, the one that opens first in front. Their Row is 0: the database fills it in.
func (p *Page) Chats() []community.Chat {
	chats := make([]community.Chat, 0, len(p.config.Chats))
	for _, name := range p.config.Chats {
		chats = append(chats, p.chat(name))
	}
	return chats
}

func (p *Page) chat(name string) community.Chat {
	return community.Chat{ID: community.ChatID("page:" + name), Community: p.Community(), Name: name}
}

// Run takes messages and presses and hands them to h until ctx ends. Then it closes the streams (browsers connect again by themselves)
// and waits for the events that are being handed over. Send, Edit and Delete work before, during and after.
func (p *Page) Run(ctx context.Context, h bot.Handler) error {
	p.mu.Lock()
	if p.handler != nil {
		p.mu.Unlock()
		return errors.New("webchat: runs already")
	}
	p.handler = h
	select {
	case <-p.begun:
	default:
		close(p.begun)
	}
	p.mu.Unlock()
	p.hub.open()
	p.growing.open(true)

	p.forget(ctx)
	p.look()
	hourly, soon, save := time.NewTicker(time.Hour), time.NewTicker(lookEvery), time.NewTicker(saveEvery)
	defer hourly.Stop()
	defer soon.Stop()
	defer save.Stop()
	for ctx.Err() == nil {
		select {
		case <-save.C:
			p.saveGrowing(ctx)
		case <-hourly.C:
			p.forget(ctx)
		case <-soon.C:
			p.look()
		case <-ctx.Done():
		}
	}

	p.mu.Lock()
	p.handler = nil
	p.mu.Unlock()
	p.growing.open(false)
	p.saveGrowing(ctx)
	p.hub.close()
	p.handling.Wait()
	return nil
}

func (p *Page) forget(ctx context.Context) {
	if err := p.config.Store.Forget(ctx, p.config.Now().Add(-p.config.Limits.Keep)); err != nil && ctx.Err() == nil {
		p.config.Log.Warn("old page history was not forgotten; tried again in an hour", "err", err)
	}
}

// errNotRunning is answered while the program starts or stops.
var errNotRunning = errors.New("the page is not running")

// handle hands e over. The visitor's connection may go away meanwhile: what is on the page is handed over all the same.
func (p *Page) handle(ctx context.Context, e bot.Event) error {
	p.mu.Lock()
	h := p.handler
	if h != nil {
		p.handling.Add(1)
	}
	p.mu.Unlock()
	if h == nil {
		return errNotRunning
	}
	defer p.handling.Done()
	return h(ctx, e)
}

// startTime is how long somebody who writes while the program starts is kept waiting.
const startTime = 5 * time.Second

// running tells whether events can be handed over. While the program starts, it waits for that a little.
func (p *Page) running(ctx context.Context) bool {
	late := time.NewTimer(startTime)
	defer late.Stop()
	select {
	case <-p.begun:
	case <-late.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handler != nil
}

// writeTime bounds one durable write and handing over one event. It does not end with the request that asks for it: a write that was
// given up half-way could be in the database without being shown.
const writeTime = 15 * time.Second

func durable(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}

// Send posts m as one message (the page splits nothing). Sending again with the same Nonce returns the first message's id and changes nothing.
func (p *Page) Send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	chat, err := p.localChat(m.Chat)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	id := newMessageID()
	images, err := p.keep(id, m)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	message := Message{
		ID: id, Chat: chat, Author: p.config.Title, Only: m.Only, Text: m.Text, Images: images, Buttons: m.Buttons,
		Final: m.Final, Asks: m.Asks, ReplyTo: m.ReplyTo, Nonce: m.Nonce, At: p.config.Now(),
	}
	posted, err := p.post(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("send to the page: %w", err)
	}
	p.spent(ctx, message)
	return []community.MessageID{posted}, nil
}

// Edit makes the message show m. Who sees it and what it replies to stay as they were sent. A message that is gone is fault.Gone. What is
// final is saved when Edit returns; the words of an answer that still grows are shown at once and saved within saveEvery.
func (p *Page) Edit(ctx context.Context, parts []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("edit on the page: %w", fault.New(fault.Gone))
	}
	chat, err := p.localChat(m.Chat)
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	images, err := p.keep(parts[0], m)
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	lock := p.lock(parts[0])
	lock.Lock()
	defer lock.Unlock()
	if p.grow(parts[0], images, m) {
		return parts[:1:1], nil
	}
	var message Message
	found, err := p.rewrite(ctx, chat, parts[0], func(now *Message) {
		now.Text, now.Images, now.Buttons, now.Final, now.Asks = m.Text, images, m.Buttons, m.Final, m.Asks
		message = *now
	})
	if err != nil {
		return nil, fmt.Errorf("edit on the page: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("edit on the page: %w", fault.New(fault.Gone))
	}
	p.spent(ctx, message)
	return parts[:1:1], nil
}

// Whispers is true: a private message stands in its place in the chat, for one person.
func (p *Page) Whispers() bool { return true }

// Delete takes messages away, a visitor's too. One that is gone already is no error.
func (p *Page) Delete(ctx context.Context, chatID community.ChatID, parts []community.MessageID) error {
	chat, err := p.localChat(chatID)
	if err != nil {
		return fmt.Errorf("delete on the page: %w", err)
	}
	for _, id := range parts {
		p.previews.replace(id, nil)
		_, err := p.change(ctx, chat, id, func(now *Message) {
			now.Deleted, now.Final = true, true
			now.Text, now.Images, now.Buttons = bot.Text{}, nil, nil
		})
		if err != nil {
			return fmt.Errorf("delete on the page: %w", err)
		}
	}
	return nil
}

func (p *Page) localChat(id community.ChatID) (string, error) {
	name := community.Local(id)
	if community.Platform(id) != p.Name() || !slices.Contains(p.config.Chats, name) {
		return "", fmt.Errorf("no such chat: %q", id)
	}
	return name, nil
}

// keep puts the pictures of a message that is final into the picture folder, those of any other into the previews.
func (p *Page) keep(id community.MessageID, m bot.Outgoing) ([]Image, error) {
	var images []Image
	for _, pic := range m.Pictures {
		if !pictureName.MatchString(pic.Name) {
			return nil, fmt.Errorf("picture name %q is not <hash>.png or .jpg", pic.Name)
		}
		if m.Final {
			if err := p.config.Pictures.Keep(pic.Name, pic.Data); err != nil {
				return nil, fmt.Errorf("keep picture: %w", err)
			}
		}
		images = append(images, Image{Name: pic.Name, Alt: pic.Alt, Width: pic.Width, Height: pic.Height, Spoiler: pic.Spoiler})
	}
	if m.Final {
		p.previews.replace(id, nil)
	} else {
		p.previews.replace(id, m.Pictures)
	}
	return images, nil
}

// post saves a message and shows it to everyone who may see it; it returns the id of the message that has the nonce.
func (p *Page) post(ctx context.Context, m Message) (community.MessageID, error) {
	ctx, cancel := durable(ctx)
	defer cancel()
	ticket := p.hub.begin()
	e, ok, err := p.config.Store.Post(ctx, m)
	if ok && err == nil { // before it is shown: nobody can change a message that is not known yet
		p.growing.begin(e.Message)
	}
	p.show(ticket, e, ok, err)
	if err != nil {
		return "", fmt.Errorf("post: %w", err)
	}
	return e.Message.ID, nil
}

// lock is held by whoever changes that message.
func (p *Page) lock(id community.MessageID) *sync.Mutex {
	return &p.changing[maphash.String(p.seed, string(id))%uint64(len(p.changing))]
}

// change reads a message, changes it and shows the change; found is false when there is no such message (any more).
func (p *Page) change(ctx context.Context, chat string, id community.MessageID, as func(*Message)) (found bool, err error) {
	lock := p.lock(id)
	lock.Lock()
	defer lock.Unlock()
	return p.rewrite(ctx, chat, id, as)
}

// rewrite is change for who holds the message's lock.
func (p *Page) rewrite(ctx context.Context, chat string, id community.MessageID, as func(*Message)) (found bool, err error) {
	ctx, cancel := durable(ctx)
	defer cancel()
	known := false
	defer func() {
		if !known {
			p.growing.drop(id)
		}
	}()
	m, ok, err := p.config.Store.Message(ctx, chat, id)
	if err != nil {
		return false, fmt.Errorf("read message: %w", err)
	}
	if !ok || m.Deleted {
		return false, nil
	}
	as(&m)
	ticket := p.hub.begin()
	e, ok, err := p.config.Store.Change(ctx, m)
	if err == nil {
		p.growing.begin(m)
		known = true
	}
	p.show(ticket, e, ok, err)
	if fault.Has(err, fault.Gone) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("change: %w", err)
	}
	return true, nil
}

// show ends a write. An error with a code means that nothing was written. After any other nobody knows whether the event is in the
// database: the streams then start again from there.
func (p *Page) show(t ticket, e PageEvent, ok bool, err error) {
	switch {
	case err != nil && fault.Of(err).Code == fault.Internal:
		p.hub.end(t, nil)
		p.hub.disconnect()
	case err != nil || !ok:
		p.hub.end(t, nil)
	default:
		p.hub.end(t, newFrame(e))
	}
}
