package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"potluck/community"
)

// Chat returns the chat with c.ID, making it (and its community) when it is new and updating what changed.
func (p *People) Chat(ctx context.Context, c community.Chat) (community.Chat, error) {
	if known, ok := p.DB.cache.chat(c.ID); ok {
		if c.Row = known.Row; c == known {
			return known, nil
		}
	}
	err := p.DB.write(ctx, "chat", func(t *tx) (err error) {
		c.Row, err = saveChat(t, c)
		if err == nil {
			saved := c
			t.afterCommit(func() { p.DB.cache.putChat(saved) })
		}
		return err
	})
	return c, err
}

// MoveChat gives a chat the id that its platform moved it to (a Telegram group that becomes a supergroup): everything that refers to it
// stays, and where the chat is its community, everything of that, too. When the new id is known already the old chat stays as it is.
func (p *People) MoveChat(ctx context.Context, from, to community.ChatID) error {
	return p.DB.write(ctx, "move chat", func(t *tx) error {
		if err := moveCommunity(t, community.CommunityID(from), community.CommunityID(to)); err != nil {
			return err
		}
		t.afterCommit(func() {
			p.DB.cache.dropChat(from)
			p.DB.cache.dropChat(to)
		})
		var known bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM chats WHERE id = ?)`, to).Scan(&known); err != nil || known {
			return err
		}
		_, err := t.exec(`UPDATE chats SET id = ? WHERE id = ?`, to, from)
		return err
	})
}

// moveCommunity hands what belongs to a community over to its new id: settings (those of its one chat name that), trust in machines, jobs, and
// the pool. What the new one has already stays. The old row is left, with nothing that refers to it, so that this may be done again.
func moveCommunity(t *tx, from, to community.CommunityID) error {
	var known bool
	if err := t.row(`SELECT EXISTS (SELECT 1 FROM communities WHERE id = ?)`, from).Scan(&known); err != nil || !known {
		return err
	}
	if err := saveCommunity(t, to); err != nil {
		return err
	}
	for _, move := range []string{
		`UPDATE OR IGNORE settings SET community = ?2, name = replace(name, '@' || ?1, '@' || ?2) WHERE community = ?1`,
		`UPDATE OR IGNORE vouches SET community = ?2 WHERE community = ?1`,
		`UPDATE jobs SET community = ?2 WHERE community = ?1`,
		`UPDATE chats SET community = ?2 WHERE community = ?1`,
		`UPDATE OR IGNORE accounts SET owner = ?2 WHERE kind = 'pool' AND owner = ?1`,
	} {
		if _, err := t.exec(move, from, to); err != nil {
			return err
		}
	}
	return nil
}

func saveCommunity(t *tx, c community.CommunityID) error {
	if c == "" {
		return nil
	}
	_, err := t.exec(`INSERT INTO communities (id) VALUES (?) ON CONFLICT DO NOTHING`, c)
	return err
}

func saveChat(t *tx, c community.Chat) (row int64, err error) {
	if err := saveCommunity(t, c.Community); err != nil {
		return 0, err
	}
	err = t.row(`
		INSERT INTO chats (id, community, private, age_restricted, name)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			community = excluded.community, private = excluded.private, age_restricted = excluded.age_restricted, name = excluded.name
		RETURNING row`, c.ID, null(c.Community), c.Private, c.AgeRestricted, c.Name).Scan(&row)
	return row, err
}

// chatRow finds a chat's row, making a bare one for an id that was never announced. It is private until the platform says otherwise.
func chatRow(t *tx, id community.ChatID) (row int64, err error) {
	err = t.row(`SELECT row FROM chats WHERE id = ?`, id).Scan(&row)
	if !errors.Is(err, sql.ErrNoRows) {
		return row, err
	}
	if id == "" {
		return 0, fmt.Errorf("chat without id")
	}
	return t.insert(`INSERT INTO chats (id, private) VALUES (?, 1)`, id)
}
