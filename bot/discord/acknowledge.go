package discord

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
)

const (
	// Discord shows "the application did not respond" after 3 s. What is asked is saved before it is acknowledged, so that a kill in between
	// loses nothing, and once something is to be shown, for the acknowledgement settles who sees it; when that takes longer than this, it is
	// acknowledged meanwhile.
	ackAfter  = 400 * time.Millisecond
	ackLimit  = 3 * time.Second
	tokenLife = 15 * time.Minute
	// tokenMargin: a call that begins this shortly before the token ends may arrive behind it.
	tokenMargin = 10 * time.Second
	// An acknowledged interaction that nobody answered by then is taken back: it would stay "thinking" for ever.
	unansweredAfter = tokenLife - time.Minute

	maxAcks = 512
)

// handle is what answers an interaction later, also after a restart; it is Event.Handle as JSON.
type handle struct {
	App     string `json:"a"`
	ID      string `json:"i"`
	Token   string `json:"t"`
	Kind    int    `json:"k"`
	User    string `json:"u"`
	Private bool   `json:"p,omitempty"` // the first answer is for the asker only
	Limit   int    `json:"l,omitempty"` // bytes of one file
	Foreign bool   `json:"f,omitempty"` // the bot is not in that guild: five follow-ups, and nothing after the token's end
}

func parseHandle(s string) (h handle, ok bool) {
	if s == "" || json.Unmarshal([]byte(s), &h) != nil {
		return handle{}, false
	}
	return h, h.ID != "" && h.Token != "" && h.App != ""
}

func (h handle) age() time.Duration { return time.Since(snowflakeTime(h.ID)) }

// interactions remembers those that can still be answered by their token.
type interactions struct {
	mu   sync.Mutex
	open map[string]*openInteraction // by id
	ask  map[string]bot.Text         // messages that a form asks about, by the form's id
	asks []string                    // keys of ask, oldest first
}

type openInteraction struct {
	handle    handle
	acked     chan struct{} // closed when Discord has the acknowledgement, or never will
	wanted    func()        // somebody waits for acked; may be called often
	isWanted  chan struct{} // closed by wanted
	void      bool          // the token opens nothing; set before acked is closed, or later with mu
	begun     bool          // the acknowledgement is on its way, and with it who will see the answer
	only      bool          // that is the asker alone
	answered  bool          // by its token
	withdrawn bool          // it is taken back, or that was tried: what answers it is a message of its own
	removing  bool          // the call that takes it back is under way, or succeeded
}

func newInteractions() *interactions {
	return &interactions{open: make(map[string]*openInteraction), ask: make(map[string]bot.Text)}
}

func (i *interactions) begin(h handle) *openInteraction {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := &openInteraction{handle: h, acked: make(chan struct{}), isWanted: make(chan struct{})}
	o.wanted = sync.OnceFunc(func() { close(o.isWanted) })
	i.open[h.ID] = o
	return o
}

// usable has an interaction acknowledged, waits for that and tells whether its token can be used. That of an earlier process may be.
func (i *interactions) usable(ctx context.Context, h handle) bool {
	if h.age() > tokenLife-tokenMargin {
		return false
	}
	i.mu.Lock()
	o := i.open[h.ID]
	i.mu.Unlock()
	if o == nil {
		return true
	}
	o.wanted()
	select {
	case <-o.acked:
	case <-ctx.Done():
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return !o.void && !o.withdrawn
}

func (i *interactions) void(h handle) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if o := i.open[h.ID]; o != nil {
		o.void = true
	}
}

// whisper makes the answer one for the asker only; false: it is decided already that all see it. What answers a button is a message of its own.
func (i *interactions) whisper(h handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := i.open[h.ID]
	if o == nil || o.begun {
		return h.Private || h.Kind == interactionComponent
	}
	o.only = true
	return true
}

// acknowledging tells whether the answer is for the asker only; that cannot be changed any more.
func (i *interactions) acknowledging(o *openInteraction) (only bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	o.begun = true
	return o.only || o.handle.Private
}

// answered keeps an acknowledgement that became an answer from being taken back; false: that has begun, and takes the answer away.
func (i *interactions) answered(h handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := i.open[h.ID]
	if o == nil {
		return true
	}
	o.answered = !o.withdrawn
	return o.answered
}

// withdraw claims the taking back of an acknowledgement; false: it was answered, or is being taken back.
func (i *interactions) withdraw(h handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := i.open[h.ID]
	return o != nil && o.withdraw()
}

// withdraw needs mu.
func (o *openInteraction) withdraw() bool {
	if o.answered || o.removing {
		return false
	}
	o.withdrawn, o.removing = true, true
	return true
}

// takenBack tells whether the bot itself took an acknowledgement back, as far as is known: an earlier process may have done that.
func (i *interactions) takenBack(h handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if o := i.open[h.ID]; o != nil {
		return o.withdrawn
	}
	return h.age() > unansweredAfter
}

// removed tells how taking an acknowledgement back went: if it failed, sweep tries it again.
func (i *interactions) removed(h handle, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if o := i.open[h.ID]; o != nil {
		o.removing = ok
	}
}

// sweep forgets interactions that are over, and takes back the acknowledgements that nobody answered.
func (p *Platform) sweep(ctx context.Context) error {
	for bot.Wait(ctx, 5*time.Second) == nil {
		var silent []handle
		p.requests.mu.Lock()
		for id, o := range p.requests.open {
			switch age := o.handle.age(); {
			case age > tokenLife:
				delete(p.requests.open, id)
			case age > unansweredAfter && !o.void && o.handle.Kind != interactionComponent && o.withdraw():
				silent = append(silent, o.handle)
			}
		}
		p.requests.mu.Unlock()
		for _, h := range silent {
			p.log.Warn("nobody answered an interaction: it is taken back", "user", userID(h.User))
			p.work.Go(func() { p.takeBack(ctx, h) })
		}
		p.edits.sweep(time.Now())
	}
	return nil
}

// ignore takes the acknowledgement of an interaction back as soon as it is out: nobody will answer it.
func (p *Platform) ignore(ctx context.Context, h handle) {
	p.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*ackLimit)
		defer cancel()
		if p.requests.usable(ctx, h) && h.Kind != interactionComponent && p.requests.withdraw(h) {
			p.takeBack(ctx, h)
		}
	})
}

// takeBack deletes the acknowledgement of a command: it would stay "thinking" for ever.
func (p *Platform) takeBack(ctx context.Context, h handle) {
	err := p.api.do(ctx, request{method: "DELETE", path: h.path("/messages/@original"), interaction: true}, nil)
	if err != nil {
		p.log.Debug("take an acknowledgement back", "err", err)
	}
	p.requests.removed(h, err == nil || codeOf(err) == codeUnknownMessage || tokenGone(err))
}

func (h handle) path(below string) string { return "/webhooks/" + h.App + "/" + h.Token + below }

// acknowledge posts the first answer: "thinking" for commands and forms, nothing to be seen for buttons.
func (p *Platform) acknowledge(ctx context.Context, o *openInteraction, room bool, locale string) {
	p.acks <- struct{}{}
	defer func() { <-p.acks }()
	// Discord says itself when it is too late: giving up before it answers would leave unknown what the token is good for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*ackLimit)
	defer cancel()
	h, only := o.handle, p.requests.acknowledging(o)
	body := map[string]any{"type": discordgo.InteractionResponseDeferredMessageUpdate}
	switch {
	case !room:
		text := markdown(p.config.Texts.Say(p.config.Texts.Match(locale))("fault.busy"))
		body = map[string]any{"type": discordgo.InteractionResponseChannelMessageWithSource, "data": map[string]any{
			"content": text, "flags": flagOnlyOne, "allowed_mentions": nobody,
		}}
	case h.Kind != interactionComponent:
		body["type"] = discordgo.InteractionResponseDeferredChannelMessageWithSource
		if only {
			body["data"] = map[string]any{"flags": flagOnlyOne}
		}
	}
	err := p.respond(ctx, h, body)
	if !room {
		p.requests.answered(h)
	}
	if err != nil && codeOf(err) != codeAcknowledged {
		if tokenGone(err) {
			p.requests.void(h)
		}
		p.log.Warn("acknowledge an interaction", "user", userID(h.User), "after", h.age().Round(time.Millisecond), "err", err)
	}
}

func (p *Platform) respond(ctx context.Context, h handle, body any) error {
	return p.api.do(ctx, request{method: "POST", path: "/interactions/" + h.ID + "/" + h.Token + "/callback", body: body, interaction: true}, nil)
}
