package storage

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"potluck/ask"
)

// Turns is the ask.Store.
type Turns struct{ DB *DB }

var _ ask.Store = (*Turns)(nil)

const (
	turnQuestion = "turns.question"
	turnAnswer   = "turns.answer"
)

// SaveTurn replaces the turn of the same request: one that ran again after a restart answers anew. Of who was forgotten meanwhile nothing is kept.
func (s *Turns) SaveTurn(ctx context.Context, v ask.Turn) error {
	question := s.DB.seal.seal(turnQuestion, v.Request, []byte(v.Question))
	answer := s.DB.seal.seal(turnAnswer, v.Request, []byte(v.Answer))
	return s.DB.write(ctx, "save turn", func(t *tx) error {
		if gone, err := forgottenMember(t, v.Member); err != nil || gone {
			return err
		}
		chat, err := chatRow(t, v.Chat)
		if err != nil {
			return err
		}
		_, err = t.exec(`
			INSERT INTO turns (request, parent, chat, member, question_sealed, answer_sealed, model, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (request) DO UPDATE SET
				parent = excluded.parent, chat = excluded.chat, member = excluded.member, question_sealed = excluded.question_sealed,
				answer_sealed = excluded.answer_sealed, model = excluded.model, at_ms = excluded.at_ms`,
			v.Request, v.Parent, chat, null(v.Member), question, answer, v.Model, ms(v.At))
		return err
	})
}

// Turns follows the parents from request back. A conversation whose beginning was forgotten begins later.
func (s *Turns) Turns(ctx context.Context, request string, limit int) (turns []ask.Turn, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		WITH RECURSIVE back (request, depth) AS (
			SELECT ?, 1
			UNION ALL
			SELECT t.parent, back.depth + 1 FROM back JOIN turns t ON t.request = back.request WHERE t.parent != '' AND back.depth < ?
		)
		SELECT t.request, t.parent, c.id, coalesce(t.member, 0), t.question_sealed, t.answer_sealed, t.model, t.at_ms
		FROM back JOIN turns t ON t.request = back.request JOIN chats c ON c.row = t.chat
		ORDER BY back.depth LIMIT ?`, request, limit, limit)
	seen := make(map[string]bool) // a circle of parents ends where it closes
	err = each(rows, err, func(r *sql.Rows) error {
		var v ask.Turn
		var question, answer []byte
		var when int64
		if err := r.Scan(&v.Request, &v.Parent, &v.Chat, &v.Member, &question, &answer, &v.Model, &when); err != nil {
			return err
		}
		if seen[v.Request] {
			return nil
		}
		seen[v.Request] = true
		var err1, err2 error
		question, err1 = s.DB.seal.open(turnQuestion, v.Request, question)
		answer, err2 = s.DB.seal.open(turnAnswer, v.Request, answer)
		if err := errors.Join(err1, err2); err != nil { // a damaged row: the conversation goes on without it
			s.DB.log.Error("a turn cannot be read", "request", v.Request, "err", err)
			return nil
		}
		v.Question, v.Answer, v.At = string(question), string(answer), at(when)
		turns = append(turns, v)
		return nil
	})
	slices.Reverse(turns)
	return turns, wrap("turns", err)
}

// Forget deletes turns older than before. For some minutes after the clock was set, none are.
func (s *Turns) Forget(ctx context.Context, before time.Time) error {
	if !s.DB.ClockSteady() {
		return nil
	}
	return s.DB.write(ctx, "forget turns", func(t *tx) error {
		_, err := t.exec(`DELETE FROM turns WHERE at_ms < ?`, ms(before))
		return err
	})
}
