package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/community"
)

// Ids of messages that do not simply stand in the chat of their request. Each is unique in that chat, as a MessageID must be.
const (
	privateID = "p" // "p42/123": message 123 in the private chat with 42
	waitingID = "w" // "wNONCE/123": kept until the person opens the private chat; 123 asks for that in the group
	toastID   = "t" // "t77": shown as the answer to the pressed button 77
	inlineID  = "i" // "iABC": an inline message, in a chat that the bot does not know
)

// target is where messages are written.
type target struct {
	p      *Platform
	place  place
	prefix string // of the ids: "" or "p42/"
	inline string // id of an inline message
	reply  int    // the message that is answered, 0 without
	class  class
}

// lasting tells whether nothing else may take the place of a message before it was shown.
func lasting(m bot.Outgoing) bool { return m.Final || m.Asks }

func classOf(m bot.Outgoing) class {
	if lasting(m) {
		return final
	}
	return placeholder
}

// Send posts m, split as needed. What only one person may see goes to the private chat, or, short and behind a button, into the answer to
// the press.
func (p *Platform) Send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	ids, err := p.send(ctx, m)
	if err != nil {
		p.tellRefusal(m.Chat, err)
		return nil, fmt.Errorf("send to Telegram: %w", explain(err))
	}
	return ids, nil
}

func (p *Platform) send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	l, err := placeOf(m.Chat)
	if err != nil {
		return nil, err
	}
	if id, ok := strings.CutPrefix(m.Handle, handleInline); ok {
		t := target{p: p, inline: id, class: classOf(m)}
		return t.showInline(ctx, m)
	}
	// Whoever writes as the group has the group's id; that makes no private chat of it.
	if m.Only != "" && (l.chat < 0 || community.Local(m.Only) != strconv.FormatInt(l.chat, 10)) {
		return p.sendPrivate(ctx, l, m)
	}
	t := target{p: p, place: p.where(l), class: classOf(m), reply: number(m.ReplyTo)}
	ids, err := t.post(ctx, m, m.Nonce)
	if err == nil && !lasting(m) {
		p.showTyping(t.place, ids[0])
	}
	return ids, err
}

// number is a plain message id, 0 for others.
func number(id community.MessageID) int {
	n, err := strconv.Atoi(string(id))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// where follows a group that became a supergroup.
func (p *Platform) where(l place) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to := p.movedTo[l.chat]; to != 0 {
		l.chat = to
	}
	return l
}

// post writes m as new messages; those that an attempt before this one wrote under the same key are kept.
func (t target) post(ctx context.Context, m bot.Outgoing, key string) ([]community.MessageID, error) {
	all, err := cells(m)
	if err != nil {
		return nil, err
	}
	ids, _ := t.p.sent.Get(t.prefix + key)
	for i := 0; i < len(all); {
		if i < len(ids) {
			if !all[i].album || i+1 == len(all) || !all[i+1].album {
				if err := t.change(ctx, ids[i], all[i]); err != nil {
					return nil, err
				}
			}
			i++
			continue
		}
		n := 1
		for all[i].album && i+n < len(all) && all[i+n].album {
			n++
		}
		more, err := t.write(ctx, all[i:i+n])
		if err != nil {
			return nil, err
		}
		for k, id := range more {
			t.remember(id, all[i+k])
		}
		ids = append(ids[:len(ids):len(ids)], more...)
		if key != "" {
			t.p.sent.Put(t.prefix+key, ids)
		}
		i += len(more)
	}
	return ids[:len(all)], nil
}

func (t target) key(id community.MessageID) string {
	return strconv.FormatInt(t.place.chat, 10) + "/" + string(id)
}

func (t target) remember(id community.MessageID, c cell) { t.p.shown.Put(t.key(id), c.hash()) }

// write makes one call that posts one cell, or several as an album, and follows a group that moved.
func (t target) write(ctx context.Context, some []cell) ([]community.MessageID, error) {
	ids, err := t.writeHere(ctx, some)
	if e, ok := errors.AsType[*tg.MigrateError](err); ok {
		if t.place, err = t.p.follow(ctx, t.place, int64(e.MigrateToChatID)); err != nil {
			return nil, err
		}
		t.reply = 0 // it stayed behind
		ids, err = t.writeHere(ctx, some)
	}
	if says(err, "photo_invalid_dimensions", "image_process_failed", "photo_ext_invalid", "too big for a photo", "photo_save_file_invalid") && !some[0].file {
		files := make([]cell, len(some))
		for i, c := range some {
			c.file = true
			files[i] = c
		}
		return t.write(ctx, files)
	}
	if says(err, "can't parse entities", "entity_", "entities_too_long", "bounds_invalid") {
		bare := make([]cell, len(some))
		entities := 0
		for i, c := range some {
			entities += len(c.text.entities)
			c.text.entities = nil
			bare[i] = c
		}
		if entities > 0 {
			return t.write(ctx, bare) // without formatting rather than not at all
		}
	}
	return ids, err
}

// follow remembers where a group moved and tells the core.
func (p *Platform) follow(ctx context.Context, l place, to int64) (place, error) {
	if to == 0 || to == l.chat {
		return l, errors.New("the group moved to nowhere")
	}
	err := p.migrated(ctx, l.chat, to)
	return p.where(l), err
}

// stayed tells whether a message was left behind in a group that became a supergroup since: there its id is another message's.
func (p *Platform) stayed(l place, id community.MessageID) bool {
	t := target{p: p, place: p.where(l)}
	_, here := p.shown.Get(t.key(id))
	return t.place != l && !here
}

func (t target) writeHere(ctx context.Context, some []cell) (ids []community.MessageID, err error) {
	c := call{chat: t.place.chat, cost: len(some), class: t.class, long: some[0].picture != nil}
	var replied *models.ReplyParameters
	if t.reply != 0 && t.prefix == "" {
		replied = &models.ReplyParameters{MessageID: t.reply, AllowSendingWithoutReply: true}
	}
	var written []*models.Message
	var asked time.Time // zero while the call waits for its turn
	err = t.p.api.do(ctx, c, func(ctx context.Context) (err error) {
		asked = time.Now()
		if written, err = t.call(ctx, some, replied); err != nil {
			if _, limited := retryAfter(err); limited {
				asked = time.Time{}
			}
		}
		return err
	})
	if err != nil {
		if !asked.IsZero() {
			t.p.countDoubt(err, t.place, time.Since(asked))
		}
		return nil, err
	}
	for _, m := range written {
		if m == nil || m.ID == 0 {
			return nil, errors.New("the answer names no message")
		}
		ids = append(ids, community.MessageID(t.prefix)+messageID(m.ID))
	}
	if len(ids) != len(some) {
		return nil, fmt.Errorf("%d messages were sent, Telegram names %d", len(some), len(ids))
	}
	return ids, nil
}

// call is the one call that posts a cell, or an album.
func (t target) call(ctx context.Context, some []cell, replied *models.ReplyParameters) ([]*models.Message, error) {
	b, one, chat, topic := t.p.api.bot, some[0], t.place.chat, t.place.topic
	if len(some) > 1 {
		return b.SendMediaGroup(ctx, &tg.SendMediaGroupParams{ChatID: chat, MessageThreadID: topic, Media: media(some), ReplyParameters: replied})
	}
	var m *models.Message
	var err error
	switch {
	case one.picture == nil:
		m, err = b.SendMessage(ctx, &tg.SendMessageParams{
			ChatID: chat, MessageThreadID: topic, Text: one.text.text, Entities: one.text.entities, LinkPreviewOptions: noPreview(),
			ReplyParameters: replied, ReplyMarkup: one.markup(),
		})
	case one.file:
		m, err = b.SendDocument(ctx, &tg.SendDocumentParams{
			ChatID: chat, MessageThreadID: topic, Caption: one.text.text, CaptionEntities: one.text.entities,
			Document: &models.InputFileUpload{Filename: one.upload(0), Data: bytes.NewReader(one.picture.Data)}, ReplyParameters: replied, ReplyMarkup: one.markup(),
		})
	default:
		m, err = b.SendPhoto(ctx, &tg.SendPhotoParams{
			ChatID: chat, MessageThreadID: topic, Caption: one.text.text, CaptionEntities: one.text.entities, HasSpoiler: one.picture.Spoiler,
			Photo: &models.InputFileUpload{Filename: one.upload(0), Data: bytes.NewReader(one.picture.Data)}, ReplyParameters: replied, ReplyMarkup: one.markup(),
		})
	}
	return []*models.Message{m}, err
}

// countDoubt counts a send of which nobody knows whether it arrived: Telegram has no way to ask, so it is sent again and may stand there twice.
func (p *Platform) countDoubt(err error, l place, took time.Duration) {
	for _, known := range []error{tg.ErrorBadRequest, tg.ErrorForbidden, tg.ErrorUnauthorized, tg.ErrorNotFound, tg.ErrorConflict, errDropped} {
		if errors.Is(err, known) {
			return
		}
	}
	if _, moved := errors.AsType[*tg.MigrateError](err); moved || says(err, "connection refused", "no such host") {
		return
	}
	p.mu.Lock()
	p.doubtful++
	n := p.doubtful
	p.mu.Unlock()
	p.log.Warn("a message was sent and no answer came: it may appear twice", "chat", l.id(), "after", took.Round(time.Millisecond), "so_far", n, "err", err)
}

// media lists an album's pictures for Telegram.
func media(some []cell) (list []models.InputMedia) {
	for i, c := range some {
		name, data := "attach://"+c.upload(i), bytes.NewReader(c.picture.Data)
		if c.file {
			list = append(list, &models.InputMediaDocument{Media: name, MediaAttachment: data, Caption: c.text.text, CaptionEntities: c.text.entities})
			continue
		}
		list = append(list, &models.InputMediaPhoto{
			Media: name, MediaAttachment: data, Caption: c.text.text, CaptionEntities: c.text.entities, HasSpoiler: c.picture.Spoiler,
		})
	}
	return list
}

func noPreview() *models.LinkPreviewOptions { return &models.LinkPreviewOptions{IsDisabled: tg.True()} }

// tellRefusal tells the operator that the bot may not write somewhere, once per chat and day.
func (p *Platform) tellRefusal(chat community.ChatID, err error) {
	if !mayNotWrite(err) || !p.told.Due("refused "+string(chat), 24*time.Hour) {
		return
	}
	p.log.Warn("the bot may not write here: it was blocked or removed, or the group allows only some to write (make the bot an administrator, or open the topic)",
		"chat", chat, "err", err)
}
