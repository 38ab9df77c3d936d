package storage

import (
	"context"
	"database/sql"
	"errors"

	"potluck/community"
)

// Webhooks is the discord.Webhooks: through which webhook the bot speaks under other names in a channel.
type Webhooks struct{ DB *DB }

const webhookToken = "webhooks.token"

// Webhook returns the webhook of a channel; ok is false when there is none, or its token cannot be read any more.
func (w *Webhooks) Webhook(ctx context.Context, chat community.ChatID) (id, token string, ok bool, err error) {
	var sealed []byte
	err = w.DB.reads.QueryRowContext(ctx, `SELECT id, token_sealed FROM webhooks WHERE chat = ?`, chat).Scan(&id, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, wrap("webhook", err)
	}
	open, err := w.DB.seal.open(webhookToken, string(chat), sealed)
	if err != nil {
		w.DB.log.Error("a webhook's token cannot be read; another one is made", "chat", chat, "err", err)
		return "", "", false, nil
	}
	return id, string(open), true, nil
}

// SaveWebhook replaces the webhook of a channel.
func (w *Webhooks) SaveWebhook(ctx context.Context, chat community.ChatID, id, token string) error {
	sealed := w.DB.seal.seal(webhookToken, string(chat), []byte(token))
	return w.DB.write(ctx, "save webhook", func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO webhooks (chat, id, token_sealed) VALUES (?, ?, ?)
			ON CONFLICT (chat) DO UPDATE SET id = excluded.id, token_sealed = excluded.token_sealed`, chat, id, sealed)
		return err
	})
}

// DropWebhook forgets the webhook of a channel.
func (w *Webhooks) DropWebhook(ctx context.Context, chat community.ChatID) error {
	return w.DB.write(ctx, "drop webhook", func(t *tx) error {
		_, err := t.exec(`DELETE FROM webhooks WHERE chat = ?`, chat)
		return err
	})
}
