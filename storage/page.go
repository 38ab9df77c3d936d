package storage

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/fault"
)

// Page is the webchat.Store.
type Page struct{ DB *DB }

var _ webchat.Store = (*Page)(nil)

// NewSession keeps a visitor's session under the SHA-256 of its token, which stands nowhere. A token that is known already is an error.
func (s *Page) NewSession(ctx context.Context, tokenHash [32]byte, v webchat.Session) error {
	return s.DB.write(ctx, "new page session", func(t *tx) error {
		_, err := t.exec(`INSERT INTO page_sessions (hash, user, name, created_ms, seen_ms) VALUES (?, ?, ?, ?, ?)`,
			tokenHash[:], v.User, v.Name, ms(v.Created), ms(v.Seen))
		return err
	})
}

// SeeSession remembers when a session was used last.
func (s *Page) SeeSession(ctx context.Context, tokenHash [32]byte, now time.Time) error {
	return s.DB.write(ctx, "see page session", func(t *tx) error {
		_, err := t.exec(`UPDATE page_sessions SET seen_ms = ? WHERE hash = ? AND seen_ms < ?`, ms(now), tokenHash[:], ms(now))
		return err
	})
}

// Session returns ok false when no session has a token of that hash.
func (s *Page) Session(ctx context.Context, tokenHash [32]byte) (v webchat.Session, ok bool, err error) {
	var created, seen int64
	err = s.DB.reads.QueryRowContext(ctx, `SELECT user, name, created_ms, seen_ms FROM page_sessions WHERE hash = ?`, tokenHash[:]).Scan(&v.User, &v.Name, &created, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	v.Created, v.Seen = at(created), at(seen)
	return v, err == nil, wrap("page session", err)
}

// pageBody is what people can read of a message: sealed, gone when it is deleted.
type pageBody struct {
	Text    bot.Text        `json:"text"`
	Images  []webchat.Image `json:"images,omitempty"`
	Buttons []bot.Button    `json:"buttons,omitempty"`
	Edited  bool            `json:"edited,omitempty"`
	Asks    bool            `json:"asks,omitempty"`
}

func bodyOf(m webchat.Message) pageBody {
	return pageBody{m.Text, m.Images, m.Buttons, m.Edited, m.Asks}
}

const pageMessage = "page_messages.body"

// pageRow names a message for the additional data; a chat's name has no line break.
func pageRow(chat string, id community.MessageID) string { return chat + "\n" + string(id) }

const pageColumns = `m.id, m.chat, m.user, m.author, m.only_user, m.body_sealed, m.final, m.reply_to, m.nonce, m.at_ms, m.deleted`

// scanMessage reads pageColumns behind what the query selects before them. A damaged row gives the message without what it says, and
// blank is true.
func (s *Page) scanMessage(row interface{ Scan(...any) error }, before ...any) (m webchat.Message, blank bool, err error) {
	var sealed []byte
	var when int64
	err = row.Scan(append(before, &m.ID, &m.Chat, &m.User, &m.Author, &m.Only, &sealed, &m.Final, &m.ReplyTo, &m.Nonce, &when, &m.Deleted)...)
	if err != nil {
		return m, false, err
	}
	m.At = at(when)
	var b pageBody
	if err := s.DB.seal.openJSON(pageMessage, pageRow(m.Chat, m.ID), sealed, &b); err != nil {
		s.DB.log.Error("a page message cannot be read", "chat", m.Chat, "message", m.ID, "err", err)
		return m, true, nil
	}
	m.Text, m.Images, m.Buttons, m.Edited, m.Asks = b.Text, b.Images, b.Buttons, b.Edited, b.Asks
	return m, false, nil
}

func (t *tx) pageEvent(kind webchat.EventKind, message int64, m webchat.Message) (webchat.PageEvent, error) {
	id, err := t.insert(`INSERT INTO page_events (kind, chat, message, final) VALUES (?, ?, ?, ?)`, kind, m.Chat, message, m.Final)
	return webchat.PageEvent{ID: id, Kind: kind, Message: m, Final: m.Final}, err
}

// bare is all that is told of a deleted message.
func bare(m webchat.Message) webchat.Message {
	return webchat.Message{ID: m.ID, Chat: m.Chat, Only: m.Only, Deleted: true}
}

// Post saves a new message with its event. When a message of that chat has m.Nonce already, the event carries only that one's id.
func (s *Page) Post(ctx context.Context, m webchat.Message) (e webchat.PageEvent, ok bool, err error) {
	body, err := s.DB.seal.sealJSON(pageMessage, pageRow(m.Chat, m.ID), bodyOf(m))
	if err != nil {
		return e, false, fmt.Errorf("post page message: %w", err)
	}
	m.At, m.Deleted = at(ms(m.At)), false
	err = s.DB.write(ctx, "post page message", func(t *tx) error {
		e, ok = webchat.PageEvent{}, false
		if m.Nonce != "" {
			var first community.MessageID
			err := t.row(`SELECT id FROM page_messages WHERE chat = ? AND nonce = ?`, m.Chat, m.Nonce).Scan(&first)
			if err == nil {
				e.Message = webchat.Message{ID: first, Chat: m.Chat}
				return nil
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		row, err := t.insert(`
			INSERT INTO page_messages (chat, id, user, author, only_user, body_sealed, final, reply_to, nonce, at_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.Chat, m.ID, m.User, m.Author, m.Only, body, m.Final, m.ReplyTo, m.Nonce, ms(m.At))
		if err != nil {
			return err
		}
		e, err = t.pageEvent(webchat.MessageEvent, row, m)
		ok = err == nil
		return err
	})
	return e, ok && err == nil, err
}

// Change saves a message as it is now. Who wrote it, who may see it, its nonce and its time never change. fault.Gone when it is not there;
// a deleted message stays deleted, and what it said is erased.
func (s *Page) Change(ctx context.Context, m webchat.Message) (e webchat.PageEvent, ok bool, err error) {
	err = s.DB.write(ctx, "change page message", func(t *tx) error {
		e, ok = webchat.PageEvent{}, false
		var row int64
		old, _, err := s.scanMessage(t.row(`SELECT m.row, `+pageColumns+` FROM page_messages m WHERE m.chat = ? AND m.id = ?`, m.Chat, m.ID), &row)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.Gone)
		}
		if err != nil || old.Deleted {
			return err
		}
		if m.Deleted {
			if _, err := t.exec(`UPDATE page_messages SET deleted = 1, body_sealed = NULL WHERE row = ?`, row); err != nil {
				return err
			}
			if err := dropEdits(t, row); err != nil {
				return err
			}
			e, err = t.pageEvent(webchat.DeleteEvent, row, bare(old))
			ok = err == nil
			return err
		}
		now := old
		now.Text, now.Images, now.Buttons, now.Edited, now.Asks, now.Final, now.ReplyTo = m.Text, m.Images, m.Buttons, m.Edited, m.Asks, m.Final, m.ReplyTo
		before, err1 := json.Marshal(bodyOf(old))
		after, err2 := json.Marshal(bodyOf(now))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if bytes.Equal(before, after) && old.Final == now.Final && old.ReplyTo == now.ReplyTo {
			return nil
		}
		if _, err := t.exec(`UPDATE page_messages SET body_sealed = ?, final = ?, reply_to = ? WHERE row = ?`,
			s.DB.seal.seal(pageMessage, pageRow(m.Chat, m.ID), after), now.Final, now.ReplyTo, row); err != nil {
			return err
		}
		if err := dropEdits(t, row); err != nil {
			return err
		}
		e, err = t.pageEvent(webchat.EditEvent, row, now)
		ok = err == nil
		return err
	})
	return e, ok && err == nil, err
}

// dropEdits forgets a message's edit events before a newer event says it all: a replay would repeat the newest text for each of them. Who
// has seen one of them gets the newer event, whose id is larger.
func dropEdits(t *tx, row int64) error {
	_, err := t.exec(`DELETE FROM page_events WHERE message = ? AND kind = 'edit'`, row)
	return err
}

// Message returns ok false when the chat never had it. A deleted one comes as Deleted, without its text.
func (s *Page) Message(ctx context.Context, chat string, id community.MessageID) (webchat.Message, bool, error) {
	m, _, err := s.scanMessage(s.DB.reads.QueryRowContext(ctx, `SELECT `+pageColumns+` FROM page_messages m WHERE m.chat = ? AND m.id = ?`, chat, id))
	if errors.Is(err, sql.ErrNoRows) {
		return webchat.Message{}, false, nil
	}
	return m, err == nil, wrap("page message", err)
}

// Events carry each message as it is now, but Final as it was then; those of a message that was deleted since, or that cannot be read, carry
// nothing of it but Deleted.
func (s *Page) Events(ctx context.Context, chat string, user community.UserID, after int64, limit int) (events []webchat.PageEvent, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT e.id, e.kind, e.final, `+pageColumns+`
		FROM page_events e JOIN page_messages m ON m.row = e.message
		WHERE e.chat = ? AND e.id > ? AND (m.only_user = '' OR m.only_user = ?)
		ORDER BY e.id LIMIT ?`, chat, after, user, limit)
	err = each(rows, err, func(r *sql.Rows) error {
		var e webchat.PageEvent
		m, blank, err := s.scanMessage(r, &e.ID, &e.Kind, &e.Final)
		if m.Deleted || blank { // either way there is nothing to be shown, but the event keeps its place
			m = bare(m)
		}
		e.Message = m
		events = append(events, e)
		return err
	})
	return events, wrap("page events", err)
}

// NewestEvent is the largest id that an event ever had; 0: there was none.
func (s *Page) NewestEvent(ctx context.Context) (id int64, err error) {
	err = s.DB.reads.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'page_events'`).Scan(&id)
	return id, wrap("newest page event", err)
}

// Forget deletes messages older than before with their events, and sessions that nobody used since then. The session of somebody who has
// linked a machine stays: nobody else could look after that machine.
func (s *Page) Forget(ctx context.Context, before time.Time) error {
	if !s.DB.ClockSteady() {
		return nil
	}
	return s.DB.write(ctx, "forget page messages", func(t *tx) error {
		if _, err := t.exec(`DELETE FROM page_messages WHERE at_ms < ?`, ms(before)); err != nil { // its events go with it
			return err
		}
		_, err := t.exec(`
			DELETE FROM page_sessions WHERE seen_ms < ? AND NOT EXISTS (
				SELECT 1 FROM identities i JOIN workers w ON w.owner = i.member WHERE i.id = page_sessions.user AND w.revoked_ms = 0)`, ms(before))
		return err
	})
}
