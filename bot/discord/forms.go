package discord

import (
	"context"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/bwmarrin/discordgo"
	"golang.org/x/text/language"

	"potluck/bot"
)

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
	if o := bot.RestOf(p.config.Commands, e.Command.Path...); o != nil {
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
		"custom_id": id, "title": bot.Cut(say("discord.form_title").Plain, 45), "components": []any{map[string]any{
			"type": 18, "label": bot.Cut(say("discord.form_label").Plain, 45), "component": map[string]any{
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
	question := bot.Plain(field(in.Data.Components, fieldQuestion)).Trimmed()
	if question.Plain == "" || p.config.AskCommand == "" {
		return false
	}
	p.requests.mu.Lock()
	about, ok := p.requests.ask[in.Data.CustomID]
	delete(p.requests.ask, in.Data.CustomID)
	p.requests.mu.Unlock()
	text := question
	if ok && about.Plain != "" {
		o := bot.RestOf(p.config.Commands, p.config.AskCommand)
		if o != nil && o.Max > 0 {
			about = about.Slice(0, bot.RuneBorder(about.Plain, o.Max-utf8.RuneCountInString(question.Plain)-10))
		}
		text = bot.Join(bot.Plain("\n\n"), about.In(bot.Quote, ""), question)
	}
	e.Command = &bot.Parsed{Path: []string{p.config.AskCommand}, Options: map[string]string{}, Rest: text}
	if o := bot.RestOf(p.config.Commands, e.Command.Path...); o != nil {
		e.Command.Options[o.Name] = text.Plain
	}
	return true
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
