package discord

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bwmarrin/discordgo"
	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/community"
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

	maxAcks     = 512
	maxSuggests = 64
	maxChoices  = 25
)

// rawInteraction is one use of a command, menu, button or form, or a keystroke of an autocomplete.
type rawInteraction struct {
	ID        string      `json:"id"`
	App       string      `json:"application_id"`
	Type      int         `json:"type"`
	Token     string      `json:"token"`
	GuildID   snowflake   `json:"guild_id"`
	ChannelID snowflake   `json:"channel_id"`
	Channel   *rawChannel `json:"channel"`
	Member    *rawMember  `json:"member"`
	User      *rawUser    `json:"user"`
	Locale    string      `json:"locale"`
	SizeLimit int         `json:"attachment_size_limit"`
	Message   *rawMessage `json:"message"`
	Data      rawData     `json:"data"`
}

type rawData struct {
	Name     string      `json:"name"`
	Type     int         `json:"type"` // of a command: 1 slash, 2 user, 3 message
	CustomID string      `json:"custom_id"`
	TargetID string      `json:"target_id"`
	Options  []rawOption `json:"options"`
	Resolved struct {
		Messages map[string]rawMessage `json:"messages"`
		Users    map[string]rawUser    `json:"users"`
	} `json:"resolved"`
	Components []rawField `json:"components"`
}

type rawOption struct {
	Name    string          `json:"name"`
	Type    int             `json:"type"`
	Value   json.RawMessage `json:"value"`
	Focused bool            `json:"focused"`
	Options []rawOption     `json:"options"`
}

// rawField is a part of a form that was sent; today a label holds one component, older forms have rows of several.
type rawField struct {
	CustomID   string          `json:"custom_id"`
	Value      json.RawMessage `json:"value"`
	Component  *rawField       `json:"component"`
	Components []rawField      `json:"components"`
}

const (
	interactionCommand      = 2
	interactionComponent    = 3
	interactionAutocomplete = 4
	interactionForm         = 5
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
	answered  bool
	withdrawn bool
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

// usable has an interaction acknowledged, waits for that and tells whether its token can be used. One of an earlier process may be.
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
	return !o.void
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

func (i *interactions) answered(h handle) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if o := i.open[h.ID]; o != nil {
		o.answered = true
	}
}

// withdraw claims the taking back of an acknowledgement; false: it was answered, or is being taken back.
func (i *interactions) withdraw(h handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	o := i.open[h.ID]
	if o == nil || o.answered || o.withdrawn {
		return false
	}
	o.withdrawn = true
	return true
}

// sweep forgets interactions that are over, and takes back the acknowledgements that nobody answered.
func (p *Platform) sweep(ctx context.Context) error {
	for await(ctx, 5*time.Second, nil) == nil {
		var silent []handle
		p.requests.mu.Lock()
		for id, o := range p.requests.open {
			switch age := o.handle.age(); {
			case age > tokenLife:
				delete(p.requests.open, id)
			case age > unansweredAfter && !o.answered && !o.withdrawn && !o.void && o.handle.Kind != interactionComponent:
				o.withdrawn = true
				silent = append(silent, o.handle)
			}
		}
		p.requests.mu.Unlock()
		for _, h := range silent {
			p.log.Warn("nobody answered an interaction: it is taken back", "user", userID(h.User))
			p.takeBack(ctx, h)
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
	if err := p.api.do(ctx, request{method: "DELETE", path: h.path("/messages/@original"), interaction: true}, nil); err != nil {
		p.log.Debug("take an acknowledgement back", "err", err)
	}
}

func (h handle) path(below string) string { return "/webhooks/" + h.App + "/" + h.Token + below }

// interaction takes an INTERACTION_CREATE.
func (p *Platform) interaction(ctx context.Context, data json.RawMessage) error {
	var in rawInteraction
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if !isDigits(in.ID) || in.Token == "" || in.user() == nil || in.ChannelID == 0 || !p.seen.First("i:"+in.ID, struct{}{}) {
		return nil
	}
	if time.Since(snowflakeTime(in.ID)) > ackLimit {
		p.log.Warn("an interaction came too late to be acknowledged; its answer will be an ordinary message", "chat", chatID(in.ChannelID.String()))
	}
	switch in.Type {
	case interactionAutocomplete:
		p.autocomplete(ctx, in)
		return nil
	case interactionCommand:
		if in.Data.Type == menuOfMessage && in.Data.Name == p.menuName(menuAsk) {
			p.work.Go(func() { p.guarded(func() { p.form(ctx, in) }) })
			return nil
		}
	case interactionComponent, interactionForm:
	default:
		return nil
	}
	e, ok := p.event(in)
	if !ok {
		return nil
	}
	p.accept(ctx, in, e)
	return nil
}

// accept hands the event over and acknowledges it when it is safe and the first answer comes, or after ackAfter.
func (p *Platform) accept(ctx context.Context, in rawInteraction, e bot.Event) {
	h, _ := parseHandle(e.Handle)
	o := p.requests.begin(h)
	e.Whisper = func() bool { return p.requests.whisper(h) }
	handled := make(chan struct{})
	room := p.enqueue(in.ChannelID, func(ctx context.Context) {
		defer close(handled)
		e.Chat = p.chatOf(ctx, in)
		if in.Member != nil {
			e.Role = p.promote(ctx, in.GuildID, e.Role, in.Member.Roles)
		}
		if err := p.hand(ctx, e); errors.Is(err, bot.ErrIgnored) {
			p.ignore(ctx, h)
		}
	})
	p.work.Go(func() {
		p.guarded(func() {
			defer close(o.acked)
			wait := time.NewTimer(ackAfter - min(ackAfter, max(0, time.Since(snowflakeTime(in.ID)))))
			defer wait.Stop()
			before := []<-chan struct{}{handled}
			if h.Kind != interactionComponent && !h.Private { // else it is settled who sees the answer
				before = append(before, o.isWanted)
			}
			for i := 0; room && i < len(before); i++ {
				select {
				case <-before[i]:
				case <-wait.C:
					i = len(before)
				}
			}
			p.acknowledge(ctx, o, room, e.Locale)
		})
	})
}

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

func (in rawInteraction) user() *rawUser {
	if in.Member != nil && in.Member.User.ID != 0 {
		return &in.Member.User
	}
	if in.User != nil && in.User.ID != 0 {
		return in.User
	}
	return nil
}

// chatOf describes where an interaction happens. A guild that the bot is not in is no community of ours: somebody brought the bot along.
func (p *Platform) chatOf(ctx context.Context, in rawInteraction) community.Chat {
	if in.GuildID == 0 {
		return community.Chat{ID: chatID(in.ChannelID.String()), Private: true}
	}
	if !p.places.known(in.GuildID) {
		c := community.Chat{ID: chatID(in.ChannelID.String()), Private: true}
		if in.Channel != nil {
			c.Name, c.AgeRestricted = in.Channel.Name, in.Channel.NSFW
		}
		return c
	}
	return p.chat(ctx, in.GuildID, in.ChannelID)
}

// event makes an Event of an interaction, all but its chat.
func (p *Platform) event(in rawInteraction) (bot.Event, bool) {
	u := in.user()
	h := handle{
		App: in.App, ID: in.ID, Token: in.Token, Kind: in.Type, User: u.ID.String(), Limit: in.SizeLimit,
		Foreign: in.GuildID != 0 && !p.places.known(in.GuildID),
	}
	e := bot.Event{
		ID: name + ":i:" + in.ID, Kind: bot.MessageNew, At: snowflakeTime(in.ID), User: userID(u.ID.String()), Name: p.nameOf(*u, in.Member),
		Locale: in.Locale,
	}
	if in.Member != nil {
		e.Role = roleOf(in.Member.Permissions)
	}
	switch in.Type {
	case interactionComponent:
		id, _, _ := strings.Cut(in.Data.CustomID, ".")
		e.Kind, e.Action = bot.ActionPressed, id
		if in.Message != nil {
			e.Message = community.MessageID(in.Message.ID.String())
			e.Private = in.Message.Flags&flagOnlyOne != 0
			if e.Private {
				e.Message = ephemeralID + e.Message
			}
		}
		h.Private = e.Private
	case interactionForm:
		if !p.formSent(in, &e) {
			return e, false
		}
	case interactionCommand:
		if in.Data.Type == menuOfMessage {
			if !p.menu(in, &e) {
				return e, false
			}
			h.Private = true
			break
		}
		e.Command = p.parsed(in)
		_, h.Private = bot.CommandAt(p.config.Commands, e.Command.Path)
	}
	b, err := json.Marshal(h)
	if err != nil {
		return e, false
	}
	e.Handle = string(b)
	return e, true
}

// parsed reads the options of a slash command.
func (p *Platform) parsed(in rawInteraction) *bot.Parsed {
	c := &bot.Parsed{Path: []string{in.Data.Name}, Options: make(map[string]string)}
	options := in.Data.Options
	for len(options) == 1 && (options[0].Type == 1 || options[0].Type == 2) {
		c.Path = append(c.Path, options[0].Name)
		options = options[0].Options
	}
	rest := p.restOf(c.Path)
	n := names{
		user: func(id string) string {
			if u, ok := in.Data.Resolved.Users[id]; ok {
				return p.nameOf(u, nil)
			}
			return ""
		},
		channel: func(id string) string {
			at, _ := parseDigits([]byte(id))
			return p.places.name(in.GuildID, snowflake(at))
		},
	}
	for _, o := range options {
		v := o.text()
		if rest != nil && o.Name == rest.Name {
			c.Rest = readMarkdown(v, n)
			v = c.Rest.Plain
		}
		c.Options[o.Name] = v
	}
	return c
}

// text is an option's value in the form that people type.
func (o rawOption) text() string {
	var s string
	if json.Unmarshal(o.Value, &s) == nil {
		return s
	}
	return strings.Trim(string(o.Value), `"`)
}

// autocomplete suggests values from memory. Under a flood some keystrokes get no suggestions: the next one does.
func (p *Platform) autocomplete(ctx context.Context, in rawInteraction) {
	select {
	case p.suggests <- struct{}{}:
	default:
		return
	}
	p.work.Go(func() {
		defer func() { <-p.suggests }()
		p.guarded(func() {
			choices := p.suggestions(in)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackLimit)
			defer cancel()
			h := handle{ID: in.ID, Token: in.Token}
			body := map[string]any{"type": discordgo.InteractionApplicationCommandAutocompleteResult, "data": map[string]any{"choices": choices}}
			if err := p.respond(ctx, h, body); err != nil {
				p.log.Debug("suggest", "command", in.Data.Name, "err", err)
			}
		})
	})
}

type choice struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

func (p *Platform) suggestions(in rawInteraction) []choice {
	c := p.parsed(in)
	options := in.Data.Options
	for len(options) == 1 && (options[0].Type == 1 || options[0].Type == 2) {
		options = options[0].Options
	}
	choices := []choice{}
	cmd, _ := bot.CommandAt(p.config.Commands, c.Path)
	i := slices.IndexFunc(options, func(o rawOption) bool { return o.Focused })
	if cmd == nil || i < 0 {
		return choices
	}
	at := slices.IndexFunc(cmd.Options, func(o bot.Option) bool { return o.Name == options[i].Name })
	if at < 0 || cmd.Options[at].Suggest == nil {
		return choices
	}
	for _, s := range cmd.Options[at].Suggest(options[i].text()) {
		if len(choices) == maxChoices {
			break
		}
		if s == "" || utf8.RuneCountInString(s) > 100 {
			continue
		}
		var value any = s
		if cmd.Options[at].Kind == bot.Integer {
			n, err := strconv.Atoi(s)
			if err != nil {
				continue
			}
			value = n
		}
		choices = append(choices, choice{s, value})
	}
	return choices
}

// The two entries of a message's menu.
const (
	menuOfMessage = 3 // type of the command
	menuTranslate = "discord.menu_translate"
	menuAsk       = "discord.menu_ask"

	fieldQuestion = "question"
)

// menuName is how an entry is called in the first language, which is the name that Discord sends back.
func (p *Platform) menuName(key string) string {
	return p.config.Texts.Say(p.config.Texts.Match())(key).Plain
}

// menu makes a command of "Translate" on a message: privately, into the reader's language.
func (p *Platform) menu(in rawInteraction, e *bot.Event) bool {
	m, ok := in.Data.Resolved.Messages[in.Data.TargetID]
	if !ok || in.Data.Name != p.menuName(menuTranslate) || p.config.TranslateCommand == "" {
		return false
	}
	m.GuildID = in.GuildID
	to := "en"
	if tag, err := language.Parse(in.Locale); err == nil {
		base, _ := tag.Base()
		to = base.String()
		if to == "zh" {
			to = tag.String()
		}
	}
	text := p.whole(m)
	e.Private = true
	e.Command = &bot.Parsed{Path: []string{p.config.TranslateCommand}, Options: map[string]string{"to": to}, Rest: text}
	if o := p.restOf(e.Command.Path); o != nil {
		e.Command.Options[o.Name] = text.Plain
	}
	return true
}

// maxForms are the messages that forms ask about and that are remembered.
const maxForms = 1000

// form shows the form of "Ask about this"; the message is remembered until it comes back.
func (p *Platform) form(ctx context.Context, in rawInteraction) {
	m := in.Data.Resolved.Messages[in.Data.TargetID]
	m.GuildID = in.GuildID
	say := p.config.Texts.Say(p.config.Texts.Match(in.Locale))
	id := "about." + in.ID
	p.requests.mu.Lock()
	p.requests.ask[id] = p.whole(m)
	if p.requests.asks = append(p.requests.asks, id); len(p.requests.asks) > maxForms {
		delete(p.requests.ask, p.requests.asks[0])
		p.requests.asks = slices.Delete(p.requests.asks, 0, 1)
	}
	p.requests.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackLimit)
	defer cancel()
	// Built by hand: discordgo knows no labels.
	body := map[string]any{"type": discordgo.InteractionResponseModal, "data": map[string]any{
		"custom_id": id, "title": cut(say("discord.form_title").Plain, 45), "components": []any{map[string]any{
			"type": 18, "label": cut(say("discord.form_label").Plain, 45), "component": map[string]any{
				"type": discordgo.TextInputComponent, "custom_id": fieldQuestion, "style": discordgo.TextInputParagraph, "min_length": 1, "max_length": 1000, "required": true,
			},
		}},
	}}
	if err := p.respond(ctx, handle{ID: in.ID, Token: in.Token}, body); err != nil {
		p.log.Warn("show a form", "err", err)
	}
}

// formSent makes a command of a form that comes back: the question, and the message that it is about as a quote.
func (p *Platform) formSent(in rawInteraction, e *bot.Event) bool {
	question := trimmed(bot.Plain(field(in.Data.Components, fieldQuestion)))
	if question.Plain == "" || p.config.AskCommand == "" {
		return false
	}
	p.requests.mu.Lock()
	about, ok := p.requests.ask[in.Data.CustomID]
	delete(p.requests.ask, in.Data.CustomID)
	p.requests.mu.Unlock()
	text := question
	if ok && about.Plain != "" {
		o := p.restOf([]string{p.config.AskCommand})
		if o != nil && o.Max > 0 {
			about = about.Slice(0, runeBorder(about.Plain, o.Max-utf8.RuneCountInString(question.Plain)-10))
		}
		text = bot.Join(bot.Plain("\n\n"), about.In(bot.Quote, ""), question)
	}
	e.Command = &bot.Parsed{Path: []string{p.config.AskCommand}, Options: map[string]string{}, Rest: text}
	if o := p.restOf(e.Command.Path); o != nil {
		e.Command.Options[o.Name] = text.Plain
	}
	return true
}

// runeBorder is where the first n characters of s end.
func runeBorder(s string, n int) int {
	for i := range s {
		if n--; n < 0 {
			return i
		}
	}
	return len(s)
}

func field(fields []rawField, id string) string {
	for _, f := range fields {
		if f.CustomID == id {
			var s string
			if json.Unmarshal(f.Value, &s) == nil {
				return s
			}
		}
		below := f.Components
		if f.Component != nil {
			below = append(below, *f.Component)
		}
		if s := field(below, id); s != "" {
			return s
		}
	}
	return ""
}

// nobody is allowed_mentions of everything that the bot sends: no text of a model or a person notifies anyone.
var nobody = mentions{Parse: []string{}}

type mentions struct {
	Parse []string `json:"parse"`
	Users []string `json:"users,omitempty"`
}

// cut shortens s to at most n characters, between graphemes.
func cut(s string, n int) string {
	parts := bot.Split(bot.Plain(s), n, nil)
	if len(parts) == 0 {
		return s
	}
	if len(parts) > 1 {
		parts = bot.Split(bot.Plain(s), n-1, nil)
		return strings.TrimSpace(parts[0].Plain) + "…"
	}
	return parts[0].Plain
}
