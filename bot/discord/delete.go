package discord

import (
	"context"
	"fmt"
	"strings"

	"potluck/community"
)

// Delete takes messages away. What is gone already is no error.
func (p *Platform) Delete(ctx context.Context, chat community.ChatID, ids []community.MessageID) error {
	channel, err := localChannel(chat)
	if err != nil {
		return fmt.Errorf("delete on Discord: %w", err)
	}
	t := target{p: p, chat: channel}
	if err := t.removeAll(ctx, ids); err != nil {
		return fmt.Errorf("delete on Discord: %w", explain(err))
	}
	return nil
}

func (t target) removeAll(ctx context.Context, ids []community.MessageID) error {
	for _, id := range ids {
		if err := t.remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (t target) remove(ctx context.Context, id community.MessageID) error {
	chat, prefix := place(id, t.chat)
	local := strings.TrimPrefix(string(id), prefix)
	byToken := t.byToken && !strings.HasPrefix(prefix, directID)
	if !byToken && prefix == ephemeralID {
		return nil // it goes by itself
	}
	t.p.seen.First(deletion(local), struct{}{}) // what the bot deletes itself is no event
	t.p.removed.Put(string(id), struct{}{})
	r := request{method: "DELETE", path: "/channels/" + chat + "/messages/" + local}
	if !byToken {
		return unlessGone(t.p.api.do(ctx, r, nil))
	}
	err := t.p.api.do(ctx, request{method: "DELETE", path: t.h.path("/messages/" + local), interaction: true}, nil)
	if prefix == "" && codeOf(err) == codeUnknownMessage { // the token of a press opens of all parts only the one with the button
		if asBot := t.p.api.do(ctx, r, nil); codeOf(asBot) != codeMissingAccess {
			err = asBot
		}
	}
	return unlessGone(err)
}

// unlessGone returns the error of a deletion unless there was nothing to delete.
func unlessGone(err error) error {
	if codeOf(err) == codeUnknownMessage || codeOf(err) == codeUnknownChannel {
		return nil
	}
	return err
}
