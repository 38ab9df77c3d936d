package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"potluck/community"
)

// Sent remembers which request a message of the bot answers.
func (s *Requests) Sent(ctx context.Context, chat community.ChatID, parts []community.MessageID, request string, now time.Time) error {
	if len(parts) == 0 {
		return nil
	}
	return s.DB.write(ctx, "remember sent message", func(t *tx) error {
		row, err := chatRow(t, chat)
		if err != nil {
			return err
		}
		for _, part := range parts {
			_, err := t.exec(`
				INSERT INTO sent (chat, message, request, at_ms) VALUES (?, ?, ?, ?)
				ON CONFLICT (chat, message) DO UPDATE SET request = excluded.request, at_ms = excluded.at_ms`, row, part, request, ms(now))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// RequestOf tells which request a message of the bot answers; ok is false for any other message.
func (s *Requests) RequestOf(ctx context.Context, chat community.ChatID, m community.MessageID) (request string, ok bool, err error) {
	err = s.DB.reads.QueryRowContext(ctx, `
		SELECT s.request FROM chats c JOIN sent s ON s.chat = c.row
		WHERE c.id = ? AND s.message = ?`, chat, m).Scan(&request)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return request, err == nil, wrap("request of message", err)
}
