package telegram

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/community"
)

// A command that still needs something is answered with a form: buttons where there is a choice, else a message to reply to. What was typed so
// far stands in the form itself, as code at its beginning; so a form works after a restart, and nothing of it is kept.

const (
	formMark   = "+" // in front of a form button's data; ids of actions have none
	maxTyped   = 1000
	maxChoices = 12
	maxData    = 64 // bytes of a button's data
)

// form asks for what a command still needs. args are those of fault.MissingOption. done is false when the core's own words must do.
func (p *Platform) form(ctx context.Context, e *bot.Event, m *rawMessage, args map[string]string) (done bool, err error) {
	typed := strings.TrimSpace(e.Text.Plain)
	path := strings.Fields(strings.TrimPrefix(args["command"], "/"))
	c, _ := bot.CommandAt(p.config.Commands, path)
	if c == nil || utf8.RuneCountInString(typed) > maxTyped || e.FromBot || e.Role < p.needs(path) {
		return false, nil // the core refuses who may not, and knows who is an operator
	}
	say := p.say(e.Locale)
	var b bot.Builder
	var choices []models.InlineKeyboardButton
	if len(c.Subcommands) > 0 {
		if args["what"] != "" {
			return false, nil
		}
		for _, sub := range c.Subcommands {
			if !sub.OfRoles {
				choices = append(choices, models.InlineKeyboardButton{Text: sub.Name, CallbackData: formMark + sub.Name})
			}
		}
		b.Code(typed).Add("\n").Append(say("telegram.choose", "what", say("command."+strings.Join(path, ".")).Plain))
		return true, p.showForm(ctx, m, e, b.Text(), choices)
	}
	var o *bot.Option
	for i := range c.Options {
		if c.Options[i].Name == args["option"] {
			o = &c.Options[i]
		}
	}
	if o == nil {
		return false, nil
	}
	typed = withoutName(typed, *o, bot.RestOption(c) != nil)
	for _, v := range choicesOf(*o) {
		if data := formMark + o.Name + ":" + quoteValue(v); len(data) <= maxData && len(choices) < maxChoices {
			choices = append(choices, models.InlineKeyboardButton{Text: bot.Cut(v, maxLabel), CallbackData: data})
		}
	}
	what := say("command." + strings.Join(path, ".") + "." + o.Name).Plain
	if len(choices) > 0 {
		b.Code(typed).Add("\n").Append(say("telegram.choose", "what", what))
		return true, p.showForm(ctx, m, e, b.Text(), choices)
	}
	if !o.Rest {
		typed += " " + o.Name + ":"
	}
	b.Code(typed).Add("\n").Append(say("telegram.fill", "what", what))
	return true, p.showForm(ctx, m, e, b.Text(), nil)
}

// needs is the lowest role that may use a command, by itself and those above it.
func (p *Platform) needs(path []string) (role community.Role) {
	for i := range path {
		if c, _ := bot.CommandAt(p.config.Commands, path[:i+1]); c != nil {
			role = max(role, c.Needs)
		}
	}
	return role
}

var typedWords = regexp.MustCompile(`\S+`)

// withoutName takes an option's name that stands without a value out of what was typed ("/credits why:"), for the form asks for that value. In text
// the name of an option that is not required may be followed by words, of which nobody knows whether they are its value: "/ask model: hi".
func withoutName(typed string, o bot.Option, hasRest bool) string {
	for _, at := range typedWords.FindAllStringIndex(typed, -1) {
		word, last := typed[at[0]:at[1]], at[1] == len(typed)
		called := strings.Trim(word, "-—–－:：=＝")
		marked := len(called) < len(word)
		if strings.EqualFold(called, o.Name) && (last && (marked || !hasRest) || marked && !o.Required) {
			return strings.TrimSpace(typed[:at[0]] + strings.TrimLeft(typed[at[1]:], " "))
		}
	}
	return typed
}

// choicesOf lists the values that an option offers.
func choicesOf(o bot.Option) []string {
	switch {
	case o.Kind == bot.Choice:
		return o.Choices
	case o.Kind == bot.Bool:
		return []string{"yes", "no"}
	case o.Suggest != nil && !o.Rest:
		return o.Suggest("")
	}
	return nil
}

func quoteValue(v string) string {
	if strings.ContainsAny(v, " \t\n") {
		return `"` + v + `"`
	}
	return v
}

func (p *Platform) showForm(ctx context.Context, m *rawMessage, e *bot.Event, text bot.Text, choices []models.InlineKeyboardButton) error {
	var markup models.ReplyMarkup = &models.ForceReply{ForceReply: true, Selective: true}
	if len(choices) > 0 {
		var all [][]models.InlineKeyboardButton
		for len(choices) > 0 {
			n := min(3, len(choices))
			all, choices = append(all, choices[:n]), choices[n:]
		}
		markup = &models.InlineKeyboardMarkup{InlineKeyboard: all}
	}
	out := render(text)
	l, reply := p.where(m.place()), number(e.Message)
	p.beside(func(ctx context.Context) {
		err := p.api.do(ctx, call{chat: l.chat, cost: 1, class: final}, func(ctx context.Context) error {
			_, err := p.api.bot.SendMessage(ctx, &tg.SendMessageParams{
				ChatID: l.chat, MessageThreadID: l.topic, Text: out.text, Entities: out.entities, LinkPreviewOptions: noPreview(), ReplyMarkup: markup,
				ReplyParameters: &models.ReplyParameters{MessageID: reply, AllowSendingWithoutReply: true},
			})
			return err
		})
		if err != nil && ctx.Err() == nil {
			p.tellRefusal(l.id(), err)
			p.log.Debug("show a form", "chat", l.id(), "err", err)
		}
	})
	return nil
}

// typedSoFar reads the command in a form of the bot's.
func typedSoFar(m *rawMessage, self int64) (typed string, ok bool) {
	if m == nil || m.From == nil || m.From.ID != self || len(m.Entities) == 0 {
		return "", false
	}
	e := m.Entities[0]
	end, ok := bytes16(m.Text)(e.Offset + e.Length)
	if e.Type != "code" || e.Offset != 0 || !ok || !strings.HasPrefix(m.Text, "/") || !strings.HasPrefix(m.Text[end:], "\n") {
		return "", false
	}
	return m.Text[:end], true
}

// filledIn is the whole command when m replies to a form.
func filledIn(m *rawMessage, self int64) (bot.Text, bool) {
	typed, ok := typedSoFar(m.ReplyTo, self)
	value := m.content().Trimmed()
	if !ok || value.Plain == "" || strings.HasPrefix(value.Plain, "/") {
		return bot.Text{}, false
	}
	if strings.HasSuffix(typed, ":") {
		called := typed[strings.LastIndexByte(typed, ' ')+1:]
		if n := len(called); len(value.Plain) >= n && strings.EqualFold(value.Plain[:n], called) { // typed once more: "why:1"
			value = value.Slice(n, len(value.Plain)).Trimmed()
		}
		return bot.Plain(typed + quoteValue(value.Plain)), true
	}
	return bot.Join(bot.Plain(" "), bot.Plain(typed), value), true
}

// chose takes a press on a form's button: the command as if it had been typed with that.
func (p *Platform) chose(ctx context.Context, c rawCallback) error {
	form := c.Message
	typed, ok := typedSoFar(form, p.self().ID)
	asker := form.ReplyTo
	say := p.say(c.From.Language)
	switch {
	case !ok:
		p.answerPress(ctx, c.ID, say("fault.gone", "command", "").Plain, true)
		return nil
	case asker != nil && asker.From != nil && asker.From.ID != c.From.ID && asker.SenderChat == nil:
		p.answerPress(ctx, c.ID, say("fault.not_yours", "what", "").Plain, true)
		return nil
	}
	p.answerPress(ctx, c.ID, "", false)
	m := *form
	m.From, m.SenderChat, m.ReplyTo = &c.From, nil, nil
	if asker != nil {
		m.ID = asker.ID
	}
	e := bot.Event{
		ID: name + ":c:" + c.ID, Kind: bot.MessageNew, At: time.Now(), Chat: p.chatOf(form.Chat, form.place()), Message: messageID(m.ID),
		Text: bot.Plain(typed + " " + strings.TrimPrefix(c.Data, formMark)),
	}
	p.author(&e, &c.From, nil, form.Chat)
	p.beside(func(ctx context.Context) { target{p: p, place: form.place()}.discard(ctx, messageID(form.ID)) })
	if done, err := p.command(ctx, &e, &m, true); done || err != nil {
		return err
	}
	return p.hand(ctx, e)
}

const (
	handlePress  = "press:"
	handleInline = "inline:"
	// A press is answered with nothing after this time, so that who pressed sees within a second that it was heard; Telegram takes answers for longer.
	pressPatience = 800 * time.Millisecond
	maxToast      = 200 // UTF-16 units
)

// press is a callback query that wants an answer: exactly one.
type press struct{}

// pressed takes a press on a button.
func (p *Platform) pressed(ctx context.Context, c rawCallback) error {
	p.mu.Lock()
	if len(p.presses) > 10_000 {
		clear(p.presses)
	}
	p.presses[c.ID] = new(press)
	p.mu.Unlock()
	defer p.beside(func(ctx context.Context) {
		if bot.Wait(ctx, pressPatience) == nil {
			p.answerPress(ctx, c.ID, "", false)
		}
	})
	if c.Message != nil && strings.HasPrefix(c.Data, formMark) {
		return p.chose(ctx, c)
	}
	e := bot.Event{ID: name + ":c:" + c.ID, Kind: bot.ActionPressed, At: time.Now(), Action: c.Data, Handle: handlePress + c.ID}
	p.author(&e, &c.From, nil, rawChat{})
	if c.Message == nil {
		e.Chat = community.Chat{ID: place{chat: c.From.ID}.id(), Private: true, Name: c.From.shown()}
		e.Message = community.MessageID(inlineID + c.Inline)
		return p.hand(ctx, e)
	}
	e.Chat, e.Message = p.chatOf(c.Message.Chat, c.Message.place()), messageID(c.Message.ID)
	e.Role = max(e.Role, p.roleOf(ctx, c.Message.Chat, c.From.ID))
	return p.hand(ctx, e)
}

// answerPress answers a pressed button, once; false when it has its answer already, or Telegram takes none any more.
func (p *Platform) answerPress(ctx context.Context, id, text string, alert bool) bool {
	p.mu.Lock()
	one := p.presses[id]
	delete(p.presses, id)
	p.mu.Unlock()
	if one == nil {
		return false
	}
	err := p.api.do(ctx, call{class: final}, func(ctx context.Context) error {
		_, err := p.api.bot.AnswerCallbackQuery(ctx, &tg.AnswerCallbackQueryParams{CallbackQueryID: id, Text: text, ShowAlert: alert})
		return err
	})
	if err != nil {
		p.log.Debug("answer a press", "err", err)
	}
	return err == nil
}

// toast shows a short private answer to a press where it was pressed.
func (p *Platform) toast(ctx context.Context, m bot.Outgoing) (community.MessageID, bool) {
	id, ok := strings.CutPrefix(m.Handle, handlePress)
	text := render(m.Text).text
	if !ok || !m.Final || len(m.Pictures)+len(m.Buttons) > 0 || text == "" || bot.Plain(text).Len16() > maxToast {
		return "", false
	}
	if !p.answerPress(ctx, id, text, true) {
		return "", false
	}
	return community.MessageID(fmt.Sprintf("%s%s", toastID, id)), true
}
