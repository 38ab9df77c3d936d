package discord

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
)

// Everything that comes from the gateway is decoded here, into as little as is needed: what Discord adds some day is not looked at, and an
// event that cannot be read is dropped alone.

type rawUser struct {
	ID         snowflake `json:"id"`
	Username   string    `json:"username"`
	GlobalName string    `json:"global_name"`
	Bot        bool      `json:"bot"`
	System     bool      `json:"system"`
}

type rawMember struct {
	User        rawUser     `json:"user"`
	Nick        string      `json:"nick"`
	Roles       []snowflake `json:"roles"`
	Permissions bits        `json:"permissions"`
}

type rawMessage struct {
	ID          snowflake  `json:"id"`
	ChannelID   snowflake  `json:"channel_id"`
	GuildID     snowflake  `json:"guild_id"`
	Type        int        `json:"type"`
	Author      *rawUser   `json:"author"`
	Member      *rawMember `json:"member"`
	Content     string     `json:"content"`
	Edited      string     `json:"edited_timestamp"`
	Mentions    []rawUser  `json:"mentions"`
	WebhookID   snowflake  `json:"webhook_id"`
	Flags       int        `json:"flags"`
	Attachments []struct {
		Filename    string `json:"filename"`
		URL         string `json:"url"`
		ContentType string `json:"content_type"`
		Size        int    `json:"size"`
	} `json:"attachments"`
	Stickers []struct {
		Name string `json:"name"`
	} `json:"sticker_items"`
	Poll *struct {
		Question struct {
			Text string `json:"text"`
		} `json:"question"`
		Answers []struct {
			Media struct {
				Text string `json:"text"`
			} `json:"poll_media"`
		} `json:"answers"`
	} `json:"poll"`
	Reference *struct {
		Type      int       `json:"type"`
		MessageID snowflake `json:"message_id"`
	} `json:"message_reference"`
	Snapshots []struct {
		Message struct {
			Content string     `json:"content"`
			Embeds  []rawEmbed `json:"embeds"`
		} `json:"message"`
	} `json:"message_snapshots"`
	Embeds     []rawEmbed      `json:"embeds"`
	Components json.RawMessage `json:"components"`
	// Interaction names the interaction that a message of the bot answers.
	Interaction *struct {
		ID snowflake `json:"id"`
	} `json:"interaction_metadata"`
}

type rawEmbed struct {
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Fields      []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"fields"`
}

// Message types that people write; all others are Discord's own notices ("X joined", "X pinned a message", a thread's first message repeated).
const (
	typeDefault = 0
	typeReply   = 19
	typeSlash   = 20
	typeMenu    = 23

	flagVoice    = 1 << 13
	forwarded    = 1 // type of a reference
	flagSuppress = 1 << 2
	flagOnlyOne  = 1 << 6 // ephemeral
)

// dispatch takes one event of the gateway. It runs on the goroutine that reads the connection, so it waits for nothing.
func (p *Platform) dispatch(ctx context.Context, kind string, data json.RawMessage) {
	p.guarded(func() {
		if err := p.take(ctx, kind, data); err != nil {
			p.log.Warn("an event of Discord cannot be read", "event", kind, "err", kindOf(err))
		}
	})
}

// kindOf is an error without what people wrote: a decoding error may quote it.
func kindOf(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok {
		return "field " + e.Field + " is no " + e.Type.String()
	}
	return "no valid JSON"
}

func (p *Platform) take(ctx context.Context, kind string, data json.RawMessage) error {
	switch kind {
	case "READY":
		return p.expect(data)
	case "INTERACTION_CREATE":
		return p.interaction(ctx, data)
	case "MESSAGE_CREATE", "MESSAGE_UPDATE":
		var m rawMessage
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		if m.ID == 0 || m.ChannelID == 0 || m.Author == nil {
			return nil // an update of a message without its author only adds a preview
		}
		p.message(m, kind == "MESSAGE_UPDATE")
	case "MESSAGE_DELETE", "MESSAGE_DELETE_BULK":
		return p.deleted(data)
	case "MESSAGE_REACTION_ADD":
		return p.reaction(data)
	case "GUILD_CREATE", "GUILD_DELETE":
		return p.guildEvent(kind, data)
	default:
		return p.places.learn(kind, data)
	}
	return nil
}

// expect remembers the guilds that the bot is in already, so that their GUILD_CREATE is no joining.
func (p *Platform) expect(data json.RawMessage) error {
	var r struct {
		Guilds []struct {
			ID snowflake `json:"id"`
		} `json:"guilds"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expected == nil {
		p.expected = make(map[snowflake]bool)
	}
	for _, g := range r.Guilds {
		p.expected[g.ID] = true
	}
	return nil
}

func (p *Platform) guildEvent(kind string, data json.RawMessage) error {
	var g struct {
		ID          snowflake `json:"id"`
		Name        string    `json:"name"`
		Unavailable bool      `json:"unavailable"`
		System      snowflake `json:"system_channel_id"`
		Locale      string    `json:"preferred_locale"`
	}
	if err := json.Unmarshal(data, &g); err != nil {
		return err
	}
	if err := p.places.learn(kind, data); err != nil || g.ID == 0 || g.Unavailable {
		return err
	}
	p.mu.Lock()
	was := p.expected[g.ID]
	if p.expected == nil {
		p.expected = make(map[snowflake]bool)
	}
	if kind == "GUILD_CREATE" {
		p.expected[g.ID] = true
	} else {
		delete(p.expected, g.ID)
	}
	p.mu.Unlock()
	e := bot.Event{Chat: community.Chat{Community: communityID(g.ID.String()), Name: g.Name}, At: time.Now(), FromBot: true}
	switch {
	case kind == "GUILD_DELETE":
		e.Kind, e.ID = bot.Left, name+":left:"+g.ID.String()
		p.log.Info("the bot left a guild", "community", e.Chat.Community)
	case !was:
		e.Kind, e.ID = bot.Joined, name+":joined:"+g.ID.String()
		p.log.Info("the bot joined a guild", "community", e.Chat.Community)
		p.enqueue(g.ID, func(ctx context.Context) { p.welcome(ctx, g.ID, g.System, g.Locale) })
	default:
		return nil
	}
	p.enqueue(g.ID, func(ctx context.Context) { _ = p.hand(ctx, e) }) // hand has logged it
	return nil
}

// message takes a new or edited message of anybody.
func (p *Platform) message(m rawMessage, edited bool) {
	_, self := p.ids()
	if m.Author.ID.String() == self || m.Author.System {
		return
	}
	id := name + ":m:" + m.ID.String()
	if edited {
		if m.Edited == "" {
			return // Discord added a preview: nobody edited anything
		}
		id = name + ":e:" + m.ID.String() + ":" + m.Edited
	}
	switch m.Type {
	case typeDefault, typeReply, typeSlash, typeMenu:
	default:
		return // Discord's own notices
	}
	if !p.seen.First(id, struct{}{}) {
		return
	}
	e := bot.Event{
		ID: id, Kind: bot.MessageNew, At: snowflakeTime(m.ID.String()), User: userID(m.Author.ID.String()), Name: p.nameOf(*m.Author, m.Member),
		FromBot: m.Author.Bot || m.WebhookID != 0, Message: community.MessageID(m.ID.String()),
	}
	if edited {
		e.Kind = bot.MessageEdited
	}
	if m.Reference != nil && m.Reference.Type != forwarded && m.Reference.MessageID != 0 {
		e.ReplyTo = community.MessageID(m.Reference.MessageID.String())
	}
	e.Text, e.Carried = p.textOf(m), carried(m, p.namesOf(m))
	p.addressed(&e, m, self)
	if e.Text.Plain == "" && len(e.Carried) == 0 && e.Command == nil {
		return // without the message content intent there is nothing to be read
	}
	p.enqueue(m.ChannelID, func(ctx context.Context) {
		if m.Member != nil {
			e.Role = p.promote(ctx, m.GuildID, p.places.role(m.GuildID, m.Author.ID, m.Member.Roles), m.Member.Roles)
		}
		e.Chat = p.chat(ctx, m.GuildID, m.ChannelID)
		_ = p.hand(ctx, e) // hand has logged it
	})
}

// addressed makes a command of a message that mentions the bot, unless a command is typed behind the mention.
func (p *Platform) addressed(e *bot.Event, m rawMessage, self string) {
	at := -1
	for i, s := range e.Text.Spans {
		if s.Kind == bot.Mention && s.Value == name+":"+self {
			at = i
			break
		}
	}
	if at < 0 || p.config.AskCommand == "" || e.FromBot || e.Kind != bot.MessageNew {
		return
	}
	s := e.Text.Spans[at]
	rest := bot.Join(bot.Plain(" "), e.Text.Slice(0, s.Start).Trimmed(), e.Text.Slice(s.End, len(e.Text.Plain)).Trimmed()).Trimmed()
	if strings.HasPrefix(rest.Plain, "/") {
		e.Text = rest
		return
	}
	if rest.Plain == "" && len(e.Carried) > 0 {
		for _, c := range e.Carried {
			if c.Text.Plain != "" {
				rest = c.Text
				break
			}
		}
	}
	e.Command = &bot.Parsed{Path: []string{p.config.AskCommand}, Options: map[string]string{}, Rest: rest}
	if rest.Plain == "" {
		e.Command.Path = []string{"help"} // a bare mention asks who that is
		return
	}
	if o := bot.RestOf(p.config.Commands, e.Command.Path...); o != nil {
		e.Command.Options[o.Name] = rest.Plain
	}
}

func (p *Platform) nameOf(u rawUser, m *rawMember) string {
	switch {
	case m != nil && m.Nick != "":
		return m.Nick
	case u.GlobalName != "":
		return u.GlobalName
	}
	return u.Username
}

func (p *Platform) namesOf(m rawMessage) names {
	return names{
		user: func(id string) string {
			for _, u := range m.Mentions {
				if u.ID.String() == id {
					return p.nameOf(u, nil)
				}
			}
			return ""
		},
		channel: func(id string) string {
			n, _ := parseDigits([]byte(id))
			return p.places.name(m.GuildID, snowflake(n))
		},
	}
}

func (p *Platform) textOf(m rawMessage) bot.Text { return readMarkdown(m.Content, p.namesOf(m)) }

// carried lists what a message brings besides its text.
func carried(m rawMessage, n names) (all []bot.Carried) {
	for _, a := range m.Attachments {
		kind := bot.CarriedFile
		if m.Flags&flagVoice != 0 {
			kind = bot.CarriedVoice
		}
		if u, err := url.Parse(a.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" {
			a.URL = ""
		}
		all = append(all, bot.Carried{Kind: kind, Name: a.Filename, URL: a.URL, Type: a.ContentType, Size: a.Size})
	}
	for _, s := range m.Stickers {
		all = append(all, bot.Carried{Kind: bot.CarriedSticker, Name: s.Name})
	}
	if m.Poll != nil {
		var lines []string
		for _, a := range m.Poll.Answers {
			lines = append(lines, "• "+a.Media.Text)
		}
		all = append(all, bot.Carried{Kind: bot.CarriedPoll, Name: m.Poll.Question.Text, Text: bot.Plain(strings.Join(lines, "\n"))})
	}
	for _, s := range m.Snapshots {
		text := bot.Join(bot.Plain("\n\n"), append([]bot.Text{readMarkdown(s.Message.Content, n)}, embedded(s.Message.Embeds, n)...)...)
		all = append(all, bot.Carried{Kind: bot.CarriedForward, Text: text})
	}
	return all
}

// embedded reads the texts of embeds, previews of links left out.
func embedded(embeds []rawEmbed, n names) (all []bot.Text) {
	for _, e := range embeds {
		if e.Type != "" && e.Type != "rich" {
			continue
		}
		parts := []bot.Text{readMarkdown(e.Title, n), readMarkdown(e.Description, n)}
		for _, f := range e.Fields {
			parts = append(parts, readMarkdown(f.Name, n), readMarkdown(f.Value, n))
		}
		all = append(all, bot.Join(bot.Plain("\n"), parts...))
	}
	return all
}

// whole is everything that can be read in a message: its text, its embeds, what it forwards.
func (p *Platform) whole(m rawMessage) bot.Text {
	n := p.namesOf(m)
	parts := append([]bot.Text{p.textOf(m)}, embedded(m.Embeds, n)...)
	for _, c := range carried(m, n) {
		if c.Kind == bot.CarriedPoll {
			parts = append(parts, bot.Plain(c.Name))
		}
		parts = append(parts, c.Text)
	}
	return bot.Join(bot.Plain("\n\n"), parts...).Trimmed()
}

// deletion is the id of the event that tells of a deleted message.
func deletion(message string) string { return name + ":d:" + message }

func (p *Platform) deleted(data json.RawMessage) error {
	var d struct {
		ID      snowflake   `json:"id"`
		IDs     []snowflake `json:"ids"`
		Channel snowflake   `json:"channel_id"`
		Guild   snowflake   `json:"guild_id"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	if d.ID != 0 {
		d.IDs = []snowflake{d.ID}
	}
	if len(d.IDs) == 0 || d.Channel == 0 {
		return nil
	}
	e := bot.Event{ID: deletion(d.IDs[0].String()), Kind: bot.MessagesDeleted, At: time.Now()}
	for _, id := range d.IDs {
		e.Deleted = append(e.Deleted, community.MessageID(id.String()))
	}
	if !p.seen.First(e.ID, struct{}{}) {
		return nil
	}
	p.enqueue(d.Channel, func(ctx context.Context) {
		e.Chat = p.chat(ctx, d.Guild, d.Channel)
		_ = p.hand(ctx, e) // hand has logged it
	})
	return nil
}

func (p *Platform) reaction(data json.RawMessage) error {
	var r struct {
		User    snowflake  `json:"user_id"`
		Channel snowflake  `json:"channel_id"`
		Message snowflake  `json:"message_id"`
		Guild   snowflake  `json:"guild_id"`
		Member  *rawMember `json:"member"`
		Emoji   struct {
			ID   snowflake `json:"id"`
			Name string    `json:"name"`
		} `json:"emoji"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	_, self := p.ids()
	if r.Channel == 0 || r.Message == 0 || r.User == 0 || r.User.String() == self || r.Emoji.ID != 0 {
		return nil // a guild's own emoji means nothing to the core
	}
	e := bot.Event{
		Kind: bot.Reaction, At: time.Now(), User: userID(r.User.String()), Message: community.MessageID(r.Message.String()), Text: bot.Plain(r.Emoji.Name),
		ID: name + ":r:" + r.Message.String() + ":" + r.User.String() + ":" + r.Emoji.Name,
	}
	if r.Member != nil {
		e.Name, e.FromBot = p.nameOf(r.Member.User, r.Member), r.Member.User.Bot
		e.Role = p.places.role(r.Guild, r.User, r.Member.Roles)
	}
	// Not looked up in seen: who takes a reaction back and sets it again asks again.
	p.enqueue(r.Channel, func(ctx context.Context) {
		e.Chat = p.chat(ctx, r.Guild, r.Channel)
		_ = p.hand(ctx, e) // hand has logged it
	})
	return nil
}

// chat describes a channel. One that no event told of is looked up; when that fails it counts as private.
func (p *Platform) chat(ctx context.Context, guild, channel snowflake) community.Chat {
	for range 3 { // a thread, its channel, and the answer
		c, ok := p.places.chat(guild, channel)
		if ok {
			return c
		}
		ask := channel
		if parent := p.places.parent(guild, channel); parent != 0 {
			ask = parent
		}
		var found json.RawMessage
		err := p.api.do(ctx, request{method: "GET", path: "/channels/" + ask.String()}, &found)
		if err == nil {
			err = p.places.learn("CHANNEL_UPDATE", found)
		}
		if err != nil || !p.places.known(guild) {
			p.log.Debug("look a channel up", "chat", c.ID, "err", err)
			return c
		}
	}
	c, _ := p.places.chat(guild, channel)
	return c
}
