package telegram

import (
	"context"
	"fmt"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Inline mode: "@bot some words" in any chat offers an answer and translations. The work begins when one is chosen, as a request of the person
// who chose it, with that person's limits; the message is then edited. Telegram tells of a choice only when @BotFather's /setinlinefeedback
// is on for the bot.

type rawInline struct {
	ID    string  `json:"id"`
	From  rawUser `json:"from"`
	Query string  `json:"query"`
}

type rawChosen struct {
	Result string  `json:"result_id"`
	From   rawUser `json:"from"`
	Query  string  `json:"query"`
	Inline string  `json:"inline_message_id"`
}

const (
	inlineAsk       = "ask"
	inlineTranslate = "to:" // with the language behind it
	maxInlineQuery  = 256
)

// offer answers an inline query with what could be done.
func (p *Platform) offer(ctx context.Context, q rawInline) error {
	say := p.say(q.From.Language)
	results := []models.InlineQueryResult{}
	add := func(id, title string) {
		results = append(results, &models.InlineQueryResultArticle{
			ID: id, Title: bot.Cut(title, 100), Description: bot.Cut(q.Query, 100),
			InputMessageContent: &models.InputTextMessageContent{MessageText: say("reply.working").Plain, LinkPreviewOptions: noPreview()},
			// Only a message with a button has an id by which it can be edited.
			ReplyMarkup: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{
				{{Text: say("telegram.open").Plain, URL: "https://t.me/" + p.self().Username}},
			}},
		})
	}
	if strings.TrimSpace(q.Query) != "" {
		if p.config.AskCommand != "" {
			add(inlineAsk, say("telegram.inline_ask").Plain)
		}
		if p.config.TranslateCommand != "" {
			for _, to := range inlineLanguages(q.From.Language) {
				add(inlineTranslate+to, say("telegram.inline_translate", "language", to).Plain)
			}
		}
	}
	err := p.api.do(ctx, call{class: final}, func(ctx context.Context) error {
		_, err := p.api.bot.AnswerInlineQuery(ctx, &tg.AnswerInlineQueryParams{InlineQueryID: q.ID, Results: results, CacheTime: 60, IsPersonal: true})
		return err
	})
	if err != nil {
		p.log.Debug("answer an inline query", "err", err)
	}
	return nil // an old query is of no interest
}

// inlineLanguages are those that somebody most likely wants: the own one and English.
func inlineLanguages(locale string) []string {
	own := "en"
	if tag, err := language.Parse(locale); err == nil {
		base, _ := tag.Base()
		own = base.String()
	}
	if own == "en" {
		return []string{"en", "es"}
	}
	return []string{own, "en"}
}

// chosen makes a request of a chosen result. Nobody knows in which chat it stands, so it is as private as a private chat.
func (p *Platform) chosen(ctx context.Context, c rawChosen) error {
	text := strings.TrimSpace(c.Query)
	if c.Inline == "" || text == "" || len([]rune(text)) > maxInlineQuery {
		return nil
	}
	e := bot.Event{
		ID: fmt.Sprintf("%s:i:%s", name, c.Inline), Kind: bot.MessageNew, At: time.Now(), Handle: handleInline + c.Inline,
		Chat: community.Chat{ID: place{chat: c.From.ID}.id(), Private: true, Name: c.From.shown()}, Text: bot.Plain(text),
		Command: &bot.Parsed{Path: []string{p.config.AskCommand}, Options: map[string]string{}, Rest: bot.Plain(text)},
	}
	p.author(&e, &c.From, nil, rawChat{})
	if to, ok := strings.CutPrefix(c.Result, inlineTranslate); ok {
		e.Command.Path, e.Command.Options["to"] = []string{p.config.TranslateCommand}, to
	}
	o := bot.RestOf(p.config.Commands, e.Command.Path...)
	if o == nil {
		return nil
	}
	e.Command.Options[o.Name] = text
	return p.hand(ctx, e)
}

// showInline makes an inline message show m, as far as one message holds it.
func (t target) showInline(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	m.Pictures = nil // a file cannot be put into an inline message
	all, err := cells(m)
	if err != nil {
		return nil, err
	}
	t.place = place{}
	id := community.MessageID(inlineID + t.inline)
	c := all[0]
	if len(all) > 1 {
		c.buttons = all[len(all)-1].buttons
	}
	if err := t.change(ctx, id, c); err != nil {
		if messageGone(err) {
			return nil, fault.Wrap(err, fault.Forbidden, "role", "") // it cannot be posted anew
		}
		return nil, err
	}
	return []community.MessageID{id}, nil
}
