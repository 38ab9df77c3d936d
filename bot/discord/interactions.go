package discord

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
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
	rest := bot.RestOf(p.config.Commands, c.Path...)
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
