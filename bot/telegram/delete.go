package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"strconv"
	"strings"

	tg "github.com/go-telegram/bot"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Delete takes messages away. What is gone already is no error; fault.Forbidden says that Telegram lets the bot not delete one: somebody else wrote
// it, and the bot may not delete in this chat.
func (p *Platform) Delete(ctx context.Context, chat community.ChatID, ids []community.MessageID) error {
	l, err := placeOf(chat)
	if err != nil {
		return fmt.Errorf("delete on Telegram: %w", err)
	}
	for _, id := range ids {
		t := target{p: p, place: p.where(l), class: final}
		local := string(id)
		switch {
		case strings.HasPrefix(local, toastID) || strings.HasPrefix(local, inlineID):
			continue // it goes by itself, or is not ours to take away
		case strings.HasPrefix(local, waitingID):
			nonce, hint, _ := strings.Cut(local[len(waitingID):], "/")
			p.pending.drop(nonce)
			id = community.MessageID(hint)
		case strings.HasPrefix(local, privateID):
			user, _, _ := strings.Cut(local[len(privateID):], "/")
			at, err := strconv.ParseInt(user, 10, 64)
			if err != nil {
				continue
			}
			t.place, t.prefix = place{chat: at}, privateID+user+"/"
		case p.stayed(l, id):
			continue // nobody can reach it any more
		}
		p.stopTyping(t.place, id)
		if err := t.erase(ctx, id); err != nil {
			if messageGone(err) {
				err = fault.Wrap(err, fault.Forbidden, "role", "")
			}
			return fmt.Errorf("delete on Telegram: %w", explain(err))
		}
	}
	return nil
}

// remove deletes a message; that it is gone, or cannot go, is no error.
func (t target) remove(ctx context.Context, id community.MessageID) error {
	if err := t.delete(ctx, id); !messageGone(err) {
		return err
	}
	return nil
}

func (t target) delete(ctx context.Context, id community.MessageID) error {
	local, err := strconv.Atoi(strings.TrimPrefix(string(id), t.prefix))
	if err != nil {
		return nil // no message of Telegram
	}
	return t.p.api.do(ctx, call{chat: t.place.chat, class: placeholder}, func(ctx context.Context) error {
		_, err := t.p.api.bot.DeleteMessage(ctx, &tg.DeleteMessageParams{ChatID: t.place.chat, MessageID: local})
		return err
	})
}

// discard erases a message that something else stands for. If that fails it is tried again while Run runs, and nothing waits for that.
func (t target) discard(ctx context.Context, id community.MessageID) {
	t.class = final
	if t.erase(ctx, id) == nil {
		return
	}
	t.p.beside(func(ctx context.Context) {
		err := bot.TakeAway(ctx, func() error { return explain(t.erase(ctx, id)) })
		if err != nil && ctx.Err() == nil {
			t.p.log.Warn("an old message could not be taken away", "chat", t.place.id(), "err", err)
		}
	})
}

// erase takes a message away. One that is older than 48 hours cannot be deleted, only edited: then it shows nothing any more. An error of
// messageGone says that it can be neither: it is not the bot's.
func (t target) erase(ctx context.Context, id community.MessageID) error {
	err := t.delete(ctx, id)
	if !says(err, "message can't be deleted") {
		if messageGone(err) {
			return nil
		}
		return err
	}
	blank := cell{text: rendered{text: "…"}}
	if err := t.change(ctx, id, blank); !errors.Is(err, errIsPicture) {
		return err
	}
	blank.picture = &bot.Picture{Name: "gone.png", Data: blankPicture(), Width: blankEdge, Height: blankEdge}
	return t.change(ctx, id, blank)
}

const blankEdge = 32 // pixels

// blankPicture is what stands where a picture was.
func blankPicture() []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, blankEdge, blankEdge))) // into memory: it cannot fail
	return b.Bytes()
}
