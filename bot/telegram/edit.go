package telegram

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	tg "github.com/go-telegram/bot"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Edit makes the parts show m. Progress for which there is no room is dropped: what comes next says more.
func (p *Platform) Edit(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	now, err := p.edit(ctx, ids, m)
	if errors.Is(err, errDropped) && !lasting(m) {
		return ids, nil
	}
	if err != nil {
		p.tellRefusal(m.Chat, err)
		return nil, fmt.Errorf("edit on Telegram: %w", explain(err))
	}
	return now, nil
}

func (p *Platform) edit(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	l, err := placeOf(m.Chat)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.Gone)
	}
	t := target{p: p, place: p.where(l), class: progress, reply: number(m.ReplyTo)}
	if lasting(m) {
		t.class = final
	}
	first := string(ids[0])
	switch {
	case strings.HasPrefix(first, toastID):
		return ids, nil // it was shown and is gone
	case strings.HasPrefix(first, waitingID):
		return p.editWaiting(ctx, ids, m)
	case strings.HasPrefix(first, inlineID):
		t.inline = first[len(inlineID):]
		return t.showInline(ctx, m)
	case strings.HasPrefix(first, privateID):
		user, _, _ := strings.Cut(first[len(privateID):], "/")
		chat, err := strconv.ParseInt(user, 10, 64)
		if err != nil {
			return nil, fault.Wrap(err, fault.Gone)
		}
		t.place, t.prefix, t.reply = place{chat: chat}, privateID+user+"/", 0
	case p.stayed(l, ids[0]):
		return nil, fault.New(fault.Gone)
	}
	if lasting(m) {
		p.stopTyping(t.place, ids[0])
	}
	if !lasting(m) && !m.Status && t.draft(ctx, ids[0], m) {
		return ids, nil
	}
	if _, drafted := p.drafts.Get(t.key(ids[0])); m.Final && drafted {
		return t.persist(ctx, ids, m)
	}
	return t.replace(ctx, ids, m)
}

// replace changes what is there, posts what is missing and deletes what is too much. Pictures that are to be an album cannot be put into
// messages that are none: then everything is posted anew and the old goes away.
func (t target) replace(ctx context.Context, ids []community.MessageID, m bot.Outgoing) (now []community.MessageID, err error) {
	all, err := cells(m)
	if err != nil {
		return nil, err
	}
	if !m.Final {
		all = all[:min(len(all), len(ids)+1)] // progress of a long answer costs one more message at a time
	}
	albumed := 0
	for _, c := range all {
		if c.album {
			albumed++
		}
	}
	if albumed > len(ids) {
		return t.persist(ctx, ids, m)
	}
	for i, c := range all {
		if i < len(ids) {
			err := t.change(ctx, ids[i], c)
			if errors.Is(err, errIsPicture) {
				return t.persist(ctx, ids, m)
			}
			if err != nil {
				return nil, err
			}
			now = append(now, ids[i])
			continue
		}
		key := "more" + t.key(ids[0]) + "/" + strconv.Itoa(i)
		had, ok := t.p.sent.Get(key) // of an edit that failed behind it
		if !ok {
			if had, err = t.write(ctx, []cell{c}); err != nil {
				return nil, err
			}
			t.remember(had[0], c)
			t.p.sent.Put(key, had)
		} else if err := t.change(ctx, had[0], c); err != nil {
			return nil, err
		}
		now = append(now, had[0])
	}
	for _, id := range ids[min(len(all), len(ids)):] {
		if err := t.remove(ctx, id); err != nil {
			return nil, err
		}
	}
	return now, nil
}

// draft shows a growing answer as a draft below its placeholder, which keeps the button that stops it. Only private chats have drafts.
func (t target) draft(ctx context.Context, placeholder community.MessageID, m bot.Outgoing) bool {
	chat := t.place.chat
	t.p.mu.Lock()
	none := t.p.noDraft[chat]
	t.p.mu.Unlock()
	if chat <= 0 || none || t.inline != "" || len(m.Pictures) > 0 {
		return false
	}
	parts := split(m.Text, maxText)
	text := render(parts[len(parts)-1]) // of a long answer, its end
	if text.text == "" {
		return false
	}
	id := strings.TrimPrefix(string(placeholder), t.prefix)
	err := t.p.api.do(ctx, call{chat: chat, cost: 1, class: progress}, func(ctx context.Context) error {
		_, err := t.p.api.bot.SendMessageDraft(ctx, &tg.SendMessageDraftParams{
			ChatID: chat, MessageThreadID: t.place.topic, DraftID: id, Text: text.text, Entities: text.entities,
		})
		return err
	})
	switch {
	case errors.Is(err, tg.ErrorBadRequest) || errors.Is(err, tg.ErrorNotFound):
		t.p.log.Debug("this chat takes no drafts: the answer grows by edits", "chat", t.place.id(), "err", err)
		t.p.mu.Lock()
		if len(t.p.noDraft) > 10_000 {
			clear(t.p.noDraft)
		}
		t.p.noDraft[chat] = true
		t.p.mu.Unlock()
		return false
	case err == nil:
		t.p.drafts.Put(t.key(placeholder), 1)
	}
	return true // what found no room or got lost: the next one says more
}

// persist posts a final as new messages and then takes the old ones away: what a draft showed stays only so, an album is never an edit, and
// a picture that is to go does not become a text.
func (t target) persist(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	now, err := t.post(ctx, m, "final"+t.key(ids[0]))
	if err != nil {
		return nil, err
	}
	t.p.drafts.Drop(t.key(ids[0]))
	for _, id := range ids {
		t.discard(ctx, id)
	}
	return now, nil
}

// errIsPicture: the message is a picture, and no edit makes a text of it.
var errIsPicture = errors.New("the message is a picture")

// change makes a message show c. What it shows already costs no call.
func (t target) change(ctx context.Context, id community.MessageID, c cell) error {
	if was, ok := t.p.shown.Get(t.key(id)); ok && was == c.hash() {
		return nil
	}
	local, err := strconv.Atoi(strings.TrimPrefix(string(id), t.prefix))
	if t.inline == "" && err != nil {
		return fmt.Errorf("no message of Telegram: %q", id)
	}
	if c.picture != nil {
		err = t.calling(ctx, c, local, t.editPicture)
	} else if err = t.calling(ctx, c, local, t.editText); says(err, "there is no text in the message") {
		if t.class == final {
			return errIsPicture
		}
		if short := split(bot.Plain(c.text.text), maxCaption); len(short) > 1 {
			c.text = render(short[0]) // a text over a picture that stays: what is too much for a caption is left out
		}
		err = t.calling(ctx, c, local, t.editCaption)
	}
	if err == nil {
		t.remember(id, c)
	}
	return err
}

// calling makes the call of one way to change a message. That it shows c already is no error.
func (t target) calling(ctx context.Context, c cell, local int, edit func(context.Context, any, int, cell) error) error {
	var chat any = t.place.chat
	if t.inline != "" {
		chat = nil
	}
	kind := call{chat: t.place.chat, cost: 1, class: t.class, long: c.picture != nil}
	err := t.p.api.do(ctx, kind, func(ctx context.Context) error { return edit(ctx, chat, local, c) })
	if unchanged(err) {
		return nil
	}
	if e, moved := errors.AsType[*tg.MigrateError](err); moved {
		if _, err := t.p.follow(ctx, t.place, int64(e.MigrateToChatID)); err != nil {
			return err
		}
		return fault.Wrap(err, fault.Gone) // what stood in the group stayed behind
	}
	return err
}

func (t target) editText(ctx context.Context, chat any, local int, c cell) error {
	_, err := t.p.api.bot.EditMessageText(ctx, &tg.EditMessageTextParams{
		ChatID: chat, MessageID: local, InlineMessageID: t.inline, Text: c.text.text, Entities: c.text.entities,
		LinkPreviewOptions: noPreview(), ReplyMarkup: c.markup(),
	})
	return err
}

func (t target) editCaption(ctx context.Context, chat any, local int, c cell) error {
	_, err := t.p.api.bot.EditMessageCaption(ctx, &tg.EditMessageCaptionParams{
		ChatID: chat, MessageID: local, InlineMessageID: t.inline, Caption: c.text.text, CaptionEntities: c.text.entities, ReplyMarkup: c.markup(),
	})
	return err
}

func (t target) editPicture(ctx context.Context, chat any, local int, c cell) error {
	_, err := t.p.api.bot.EditMessageMedia(ctx, &tg.EditMessageMediaParams{
		ChatID: chat, MessageID: local, InlineMessageID: t.inline, Media: media([]cell{c})[0], ReplyMarkup: c.markup(),
	})
	return err
}
