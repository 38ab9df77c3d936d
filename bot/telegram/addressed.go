package telegram

import (
	"context"
	"strings"
	"unicode/utf8"

	"potluck/bot"
	"potluck/fault"
)

// addressed finds out whether a message asks the bot for something: a command (with @thisbot anywhere in the text, without it at the
// beginning), a mention, or anything written in private. done: the event is for another bot, or it was answered here.
func (p *Platform) addressed(ctx context.Context, e *bot.Event, m *rawMessage) (done bool, err error) {
	me := p.self()
	private := m.Chat.private()
	if filled, ok := filledIn(m, me.ID); ok {
		e.Text = filled
		e.ReplyTo = ""
		return p.command(ctx, e, m, true)
	}
	entities := m.Entities
	if m.Text == "" {
		entities = m.CaptionEntities
	}
	switch typed, how := ownCommand(e.Text, entities, me.Username); how {
	case forAnother:
		return !private, nil
	case forUs, forAnyone:
		e.Text = typed
		return p.command(ctx, e, m, how == forUs || private)
	}
	if asCommand(p.config.Commands, e.Text) { // with a full-width slash, say, which Telegram takes for text
		return p.command(ctx, e, m, private)
	}
	rest, mentioned := withoutMention(e.Text, me)
	if !mentioned && !private {
		return false, nil
	}
	if asCommand(p.config.Commands, rest) {
		e.Text = rest
		return p.command(ctx, e, m, true)
	}
	if !mentioned && e.ReplyTo != "" && m.ReplyTo.From != nil && m.ReplyTo.From.ID == me.ID {
		return false, nil // the core knows whether that goes on with a conversation
	}
	return false, p.ask(ctx, e, m, rest, mentioned)
}

// ask makes a question of a message that mentions the bot, or that was written to it in private.
func (p *Platform) ask(ctx context.Context, e *bot.Event, m *rawMessage, rest bot.Text, mentioned bool) error {
	if p.config.AskCommand == "" {
		return nil
	}
	e.Role = max(e.Role, p.roleOf(ctx, m.Chat, authorOf(m)))
	about := quoted(m, p.self().ID)
	o := bot.RestOf(p.config.Commands, p.config.AskCommand)
	switch {
	case rest.Plain == "" && about.Plain != "":
		rest = about
	case about.Plain != "":
		if o != nil && o.Max > 0 {
			about = about.Slice(0, bot.RuneBorder(about.Plain, o.Max-utf8.RuneCountInString(rest.Plain)-10))
		}
		rest = bot.Join(bot.Plain("\n\n"), about.In(bot.Quote, ""), rest)
	}
	e.Command = &bot.Parsed{Path: []string{p.config.AskCommand}, Options: map[string]string{}, Rest: rest}
	switch {
	case rest.Plain == "" && mentioned:
		e.Command.Path = []string{"help"} // a bare mention asks who that is
	case rest.Plain == "":
		e.Command = nil // a picture or a voice message in private
		p.sayTextOnly(ctx, e, m)
	case o != nil:
		e.Command.Options[o.Name] = rest.Plain
	}
	return nil
}

// sayTextOnly tells somebody in private that pictures and voice are not understood.
func (p *Platform) sayTextOnly(_ context.Context, e *bot.Event, m *rawMessage) {
	l, reply, locale := m.place(), m.ID, e.Locale
	p.beside(func(ctx context.Context) {
		t := target{p: p, place: l, class: placeholder, reply: reply}
		if _, err := t.post(ctx, bot.Outgoing{Text: p.say(locale)("telegram.text_only")}, ""); err != nil {
			p.log.Debug("say that only text is read", "err", err)
		}
	})
}

func (p *Platform) say(locale string) bot.Say {
	return p.config.Texts.Say(p.config.Texts.Match(locale))
}

func authorOf(m *rawMessage) int64 {
	switch {
	case m.SenderChat != nil:
		return m.SenderChat.ID
	case m.From != nil:
		return m.From.ID
	}
	return 0
}

// whose tells for whom a typed command is.
type whose int

const (
	noCommand  whose = iota
	forAnyone        // it names no bot
	forUs            // it names this one
	forAnother       // it names another
)

// ownCommand finds the command in a text by Telegram's entities. One that names this bot counts wherever it stands: what is in front of it
// becomes part of what is asked.
func ownCommand(t bot.Text, entities []rawEntity, username string) (bot.Text, whose) {
	at := bytes16(t.Plain)
	for _, e := range entities {
		start, ok := at(e.Offset)
		end, okEnd := at(e.Offset + e.Length)
		if e.Type != "bot_command" || !ok || !okEnd || start >= end {
			continue
		}
		word, to, named := strings.Cut(t.Plain[start:end], "@")
		first := strings.TrimSpace(t.Plain[:start]) == ""
		switch {
		case named && !strings.EqualFold(to, username):
			if first {
				return t, forAnother
			}
			continue
		case !named && !first:
			continue
		case !named:
			return t, whole(t.Plain[end:])
		}
		before, after := t.Slice(0, start).Trimmed(), t.Slice(end, len(t.Plain)).Trimmed()
		return bot.Join(bot.Plain(" "), bot.Plain(word), before, after), forUs
	}
	return t, noCommand
}

// whole: a path such as /etc/passwd begins like a command and is none.
func whole(tail string) whose {
	if strings.HasPrefix(tail, "/") || strings.HasPrefix(tail, ".") {
		return noCommand
	}
	return forAnyone
}

// asCommand tells whether a text is a command as the core sees it, whether it exists or not.
func asCommand(commands []bot.Command, t bot.Text) bool {
	s := strings.TrimSpace(t.Plain)
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "／") {
		return false
	}
	_, err := bot.ParseCommand(commands, t)
	return !fault.Has(err, fault.UnknownCommand) || fault.Of(err).Args["name"] != "/" || utf8.RuneCountInString(s) == 1
}

// withoutMention takes the bot's mention out of a text.
func withoutMention(t bot.Text, me self) (rest bot.Text, mentioned bool) {
	for _, s := range t.Spans {
		if s.Kind != bot.Mention || s.Value != name+":@"+strings.ToLower(me.Username) && s.Value != string(userID(me.ID)) {
			continue
		}
		return bot.Join(bot.Plain(" "), t.Slice(0, s.Start).Trimmed(), t.Slice(s.End, len(t.Plain)).Trimmed()), true
	}
	return t.Trimmed(), false
}

// quoted is the text of the message that m replies to, or the part of it that was chosen, unless the bot wrote it.
func quoted(m *rawMessage, self int64) bot.Text {
	r := m.replied()
	if r == nil || r.From != nil && r.From.ID == self {
		return bot.Text{}
	}
	if m.Quote != nil && m.Quote.Text != "" {
		return readText(m.Quote.Text, m.Quote.Entities).Trimmed()
	}
	return r.content().Trimmed()
}

// command looks at a typed command: /start, one that is meant for another bot, one that still needs something. ours: it names this bot, or
// there is no other.
func (p *Platform) command(ctx context.Context, e *bot.Event, m *rawMessage, ours bool) (done bool, err error) {
	word, payload, _ := strings.Cut(strings.TrimSpace(e.Text.Plain), " ")
	if strings.EqualFold(word, "/start") {
		if m.Chat.private() && payload != "" && p.opened(m.Chat.ID, strings.TrimSpace(payload)) {
			return true, nil
		}
		e.Text = bot.Plain("/help")
	}
	e.Role = max(e.Role, p.roleOf(ctx, m.Chat, authorOf(m)))
	parsed, err := bot.ParseCommand(p.config.Commands, e.Text)
	switch {
	case err == nil:
		if c, _ := bot.CommandAt(p.config.Commands, parsed.Path); c.OnReply && m.replied() != nil {
			parsed.RepliesTo = userID(authorOf(m.replied()))
			e.Command = &parsed
		}
	case fault.Has(err, fault.UnknownCommand) && !ours && !strings.Contains(fault.Of(err).Args["name"], " "):
		return true, nil // in a group it is another bot's, most likely
	case fault.Has(err, fault.MissingOption):
		if about := p.about(m, fault.Of(err).Args); about.Plain != "" && p.complete(e, about) {
			return false, nil
		}
		return p.form(ctx, e, m, fault.Of(err).Args)
	}
	return false, nil
}

// about is what a command that needs something means by the message that it replies to: its author, where it wants a person, else its text. args
// are those of fault.MissingOption.
func (p *Platform) about(m *rawMessage, args map[string]string) bot.Text {
	o := bot.RestOf(p.config.Commands, strings.Fields(strings.TrimPrefix(args["command"], "/"))...)
	if o == nil || !o.Person {
		return quoted(m, p.self().ID)
	}
	r := m.replied()
	if r == nil || r.From == nil || r.From.Bot || r.SenderChat != nil {
		return bot.Text{}
	}
	return bot.Plain(r.From.shown()).In(bot.Mention, string(userID(r.From.ID)))
}

// stand is a text that nobody types: it stands where the replied text goes while the rest of a command is read.
const stand = "\uF8FF"

// complete gives a command whose text is missing that of the message that it replies to.
func (p *Platform) complete(e *bot.Event, about bot.Text) bool {
	parsed, err := bot.ParseCommand(p.config.Commands, bot.Join(bot.Plain(" "), e.Text.Trimmed(), bot.Plain(stand)))
	if err != nil || parsed.Rest.Plain != stand {
		return false
	}
	parsed.Rest = about
	for name, v := range parsed.Options {
		if v == stand {
			parsed.Options[name] = about.Plain
		}
	}
	e.Command = &parsed
	return true
}
