package webchat

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/web/guard"
)

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

// New checks the configuration and makes a Page; it takes messages once Run runs.
func New(c Config) (*Page, error) {
	if c.Store == nil || c.Pictures == nil {
		return nil, errors.New("webchat: Store and Pictures are required")
	}
	c = c.withDefaults()
	if err := CheckChats(c.Chats); err != nil {
		return nil, fmt.Errorf("webchat: %w", err)
	}
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
