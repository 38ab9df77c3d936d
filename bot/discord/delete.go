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
	path := "/channels/" + chat + "/messages/" + local
	if t.byToken && !strings.HasPrefix(prefix, directID) {
		path = t.h.path("/messages/" + local)
	} else if prefix == ephemeralID {
		return nil // it goes by itself
	}
	t.p.seen.First(deletion(local), struct{}{}) // what the bot deletes itself is no event
	t.p.removed.Put(string(id), struct{}{})
	err := t.p.api.do(ctx, request{method: "DELETE", path: path, interaction: t.byToken}, nil)
	if codeOf(err) == codeUnknownMessage || codeOf(err) == codeUnknownChannel {
		return nil
	}
	return err
}
