package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/bot"
	"potluck/community"
)

// Requests is the bot.Store.
type Requests struct{ DB *DB }

var _ bot.Store = (*Requests)(nil)

// Names of the sealed columns; the row is the request's id.
const (
	requestArgs   = "requests.args"
	requestHandle = "requests.handle"
)

const requestColumns = `r.id, r.event, c.row, c.id, coalesce(c.community, ''), c.private, c.age_restricted, c.name, r.user, coalesce((SELECT p.joined FROM members p WHERE p.id = r.member), r.member, 0), r.name, r.locale, r.role,
	r.command, r.args_sealed, r.source, r.reply_to, r.handle_sealed, r.private, r.reply, r.state, r.created_ms, r.household`

func (db *DB) scanRequest(row interface{ Scan(...any) error }) (r bot.Request, err error) {
	var args, handle, reply []byte
	var created int64
	err = row.Scan(&r.ID, &r.Event, &r.Chat.Row, &r.Chat.ID, &r.Chat.Community, &r.Chat.Private, &r.Chat.AgeRestricted, &r.Chat.Name,
		&r.User, &r.Member, &r.Name, &r.Locale, &r.Role, &r.Command, &args, &r.Source, &r.ReplyTo, &handle, &r.Private, &reply, &r.State, &created, &r.Household)
	if err != nil {
		return r, err
	}
	r.Created = at(created)
	// A damaged row comes without what cannot be read: the Router then answers that something went wrong, and the request ends.
	var err1, err2 error
	r.Args, err1 = db.seal.open(requestArgs, r.ID, args)
	handle, err2 = db.seal.open(requestHandle, r.ID, handle)
	r.Handle = string(handle)
	err3 := json.Unmarshal(reply, &r.Reply)
	if err := errors.Join(err1, err2, err3); err != nil {
		db.log.Error("a part of a request cannot be read", "request", r.ID, "err", err)
	}
	if len(r.Reply) == 0 {
		r.Reply = nil
	}
	return r, nil
}

// Accept saves a new request, and its chat when that is new; ok is false when its Event is known already.
func (s *Requests) Accept(ctx context.Context, r bot.Request) (ok bool, err error) {
	reply, err := json.Marshal(append([]community.MessageID{}, r.Reply...))
	if err != nil {
		return false, fmt.Errorf("accept request: %w", err)
	}
	if r.State == "" {
		r.State = bot.Accepted
	}
	var handle []byte
	if r.Handle != "" {
		handle = []byte(r.Handle)
	}
	args, handle := s.DB.seal.seal(requestArgs, r.ID, r.Args), s.DB.seal.seal(requestHandle, r.ID, handle)
	err = s.DB.write(ctx, "accept request", func(t *tx) error {
		ok = false
		var known bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM requests WHERE event = ?)`, r.Event).Scan(&known); err != nil || known {
			return err
		}
		var chat int64
		err := t.row(`SELECT row FROM chats WHERE id = ?`, r.Chat.ID).Scan(&chat)
		if errors.Is(err, sql.ErrNoRows) {
			chat, err = saveChat(t, r.Chat)
		}
		if err != nil {
			return err
		}
		_, err = t.exec(`
			INSERT INTO requests (id, event, chat, user, member, name, locale, role, command, args_sealed, source, reply_to, handle_sealed, private, reply, state, created_ms, household)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.Event, chat, r.User, null(r.Member), r.Name, r.Locale, r.Role, r.Command, args, r.Source, r.ReplyTo, handle, r.Private, string(reply), r.State, ms(r.Created), r.Household)
		ok = err == nil
		return err
	})
	return ok && err == nil, err
}

// ErrNoRequest says that no request has that id.
var ErrNoRequest = errors.New("no such request")

// SetReply keeps the ids of the messages that show a request's answer, in their order. ErrNoRequest when there is no such request.
func (s *Requests) SetReply(ctx context.Context, id string, parts []community.MessageID) error {
	reply, err := json.Marshal(append([]community.MessageID{}, parts...))
	if err != nil {
		return fmt.Errorf("set reply: %w", err)
	}
	return s.DB.write(ctx, "set reply", func(t *tx) error {
		n, err := t.exec(`UPDATE requests SET reply = ? WHERE id = ?`, string(reply), id)
		return oneRow(n, err, ErrNoRequest)
	})
}

// SetState moves on: a delivered request stays so without an error, and a withdrawn one unless it is delivered. With that its household is forgotten.
// ErrNoRequest when there is no such request.
func (s *Requests) SetState(ctx context.Context, id string, state bot.RequestState) error {
	return s.DB.write(ctx, "set request state", func(t *tx) error {
		n, err := t.exec(`
			UPDATE requests SET
				state = CASE WHEN state = 'delivered' OR state = 'withdrawn' AND ?1 != 'delivered' THEN state ELSE ?1 END,
				household = CASE ?1 WHEN 'delivered' THEN '' ELSE household END
			WHERE id = ?2`, state, id)
		return oneRow(n, err, ErrNoRequest)
	})
}

// CountStart adds by to how often a process took the request up again without getting through, and returns the sum.
func (s *Requests) CountStart(ctx context.Context, id string, by int) (starts int, err error) {
	err = s.DB.write(ctx, "count start", func(t *tx) error {
		err := t.row(`UPDATE requests SET starts = max(0, starts + ?) WHERE id = ? RETURNING starts`, by, id).Scan(&starts)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoRequest
		}
		return err
	})
	return starts, err
}

// Request returns ok false when there is no such request. What of it cannot be read any more is missing, without an error.
func (s *Requests) Request(ctx context.Context, id string) (bot.Request, bool, error) {
	r, err := s.DB.scanRequest(s.DB.reads.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests r JOIN chats c ON c.row = r.chat WHERE r.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return bot.Request{}, false, nil
	}
	return r, err == nil, wrap("request", err)
}

// Unfinished lists every request that is not delivered, the oldest first, each as Request would return it.
func (s *Requests) Unfinished(ctx context.Context) (list []bot.Request, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT `+requestColumns+` FROM requests r JOIN chats c ON c.row = r.chat
		WHERE r.state != 'delivered' ORDER BY r.created_ms, r.rowid`)
	err = each(rows, err, func(rows *sql.Rows) error {
		r, err := s.DB.scanRequest(rows)
		list = append(list, r)
		return err
	})
	return list, wrap("unfinished requests", err)
}

// Asked lists what one message asked for, oldest first.
func (s *Requests) Asked(ctx context.Context, chat community.ChatID, m community.MessageID) (list []bot.Request, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT `+requestColumns+` FROM requests r JOIN chats c ON c.row = r.chat
		WHERE c.id = ? AND r.source = ? ORDER BY r.created_ms, r.rowid`, chat, m)
	err = each(rows, err, func(rows *sql.Rows) error {
		r, err := s.DB.scanRequest(rows)
		list = append(list, r)
		return err
	})
	return list, wrap("requests of message", err)
}

// Forget deletes what is older than before: delivered requests, expired actions, sent messages.
func (s *Requests) Forget(ctx context.Context, before time.Time) error {
	if !s.DB.ClockSteady() {
		return nil
	}
	return s.DB.write(ctx, "forget requests", func(t *tx) error {
		for _, query := range []string{
			`DELETE FROM requests WHERE state = 'delivered' AND created_ms < ?`,
			`DELETE FROM actions WHERE expires_ms < ?`,
			`DELETE FROM sent WHERE at_ms < ?`,
		} {
			if _, err := t.exec(query, ms(before)); err != nil {
				return err
			}
		}
		return nil
	})
}
