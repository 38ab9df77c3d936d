package storage

import (
	"context"
	"database/sql"

	"potluck/community"
	"potluck/ledger"
)

// exporter fills an Export, each list with a query of its own.
type exporter struct {
	ctx    context.Context // of the one Export
	db     *DB
	q      querier
	member community.MemberID
	e      *Export
	alias  func(community.UserID) community.UserID // see People.Alias; may be nil
}

// list reads at most maxExported rows of a query whose only argument is the member.
func (x *exporter) list(query string, scan func(*sql.Rows) error) error {
	n := 0
	rows, err := x.q.QueryContext(x.ctx, query+" LIMIT ?2", x.member, maxExported+1)
	return each(rows, err, func(r *sql.Rows) error {
		if n++; n > maxExported {
			x.e.Shortened = true
			return nil
		}
		return scan(r)
	})
}

func (x *exporter) person() error {
	var since int64
	v := &x.e.Member
	err := x.q.QueryRowContext(x.ctx, `SELECT id, name, language, operator, blocked, created_ms FROM members WHERE id = ?`, x.member).
		Scan(&v.Number, &v.Name, &v.Language, &v.Operator, &v.Blocked, &since)
	if err != nil {
		return err
	}
	v.Since = at(since)
	err = x.list(`SELECT id, name, created_ms FROM identities WHERE member = ?1 ORDER BY created_ms`, func(r *sql.Rows) error {
		var i ExportedIdentity
		var since int64
		err := r.Scan(&i.ID, &i.Name, &since)
		i.Since = at(since)
		x.e.Identities = append(x.e.Identities, i)
		return err
	})
	if err != nil {
		return err
	}
	return x.list(`SELECT notice, at_ms FROM consents WHERE member = ?1 ORDER BY at_ms`, func(r *sql.Rows) error {
		var n ExportedNotice
		var when int64
		err := r.Scan(&n.Name, &when)
		n.At = at(when)
		x.e.Notices = append(x.e.Notices, n)
		return err
	})
}

// marks are the blocks, and what outlived a forgetting (see keepMarks): each identity has its counts under an alias.
func (x *exporter) marks() error {
	rows, err := x.q.QueryContext(x.ctx, `SELECT community, changed_ms FROM settings WHERE name = ? ORDER BY community`, community.BlockSetting(x.member))
	err = each(rows, err, func(r *sql.Rows) error {
		var b ExportedBlock
		var when int64
		err := r.Scan(&b.Community, &when)
		b.Since = at(when)
		x.e.Blocks = append(x.e.Blocks, b)
		return err
	})
	if err != nil || x.alias == nil {
		return err
	}
	for _, id := range x.e.Identities {
		rows, err := x.q.QueryContext(x.ctx, `SELECT community, command, n FROM forgotten_asked WHERE alias = ? ORDER BY community, command`, x.alias(id.ID))
		if err := each(rows, err, func(r *sql.Rows) error {
			var c ExportedCount
			err := r.Scan(&c.Community, &c.Command, &c.Times)
			x.e.Counts = append(x.e.Counts, c)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) credits() error {
	own, err := balance(x.ctx, x.q, ledger.SpendOf(x.member))
	if err != nil {
		return err
	}
	var waiting, earned ledger.Amount
	err = x.q.QueryRowContext(x.ctx, `
		WITH me (id) AS `+persons+`
		SELECT coalesce(sum(a.balance), 0), coalesce(sum(a.received), 0)
		FROM me JOIN accounts a ON a.kind = 'escrow' AND a.owner = CAST(me.id AS TEXT)`, x.member).Scan(&waiting, &earned)
	x.e.Credits = ExportedCredits{own.String(), waiting.String(), earned.String()}
	return err
}

func (x *exporter) workers() error {
	return x.list(`
		SELECT id, name, share, linked_ms, seen_ms, revoked_ms != 0, hardware, offers, limits FROM workers WHERE owner = ?1 ORDER BY id`, func(r *sql.Rows) error {
		var w ExportedWorker
		var linked, seen int64
		err := r.Scan(&w.Number, &w.Name, &w.Named, &linked, &seen, &w.Unlinked, &w.Hardware, &w.Offers, &w.Limits)
		w.Linked, w.Seen = at(linked), at(seen)
		x.e.Workers = append(x.e.Workers, w)
		return err
	})
}

func (x *exporter) jobs() error {
	return x.list(`
		SELECT id, kind, model, state, created_ms, coalesce(json_extract(bill, '$.paid'), 0) FROM jobs WHERE member IN `+persons+` ORDER BY id DESC`, func(r *sql.Rows) error {
		var j ExportedJob
		var when int64
		var cost ledger.Amount
		err := r.Scan(&j.Number, &j.Kind, &j.Model, &j.State, &when, &cost)
		j.At, j.Cost = at(when), cost.String()
		x.e.Jobs = append(x.e.Jobs, j)
		return err
	})
}

func (x *exporter) postings() error {
	return x.list(`
		WITH me (id) AS `+persons+`
		SELECT x.at_ms, x.kind, a.kind, p.amount, coalesce(x.job, 0)
		FROM me JOIN accounts a ON a.owner = CAST(me.id AS TEXT) JOIN postings p ON p.account = a.id JOIN transactions x ON x.id = p.transaction_id
		WHERE a.kind IN ('spend', 'escrow')
		ORDER BY x.id DESC`, func(r *sql.Rows) error {
		var p ExportedPosting
		var when int64
		var amount ledger.Amount
		err := r.Scan(&when, &p.Kind, &p.Account, &amount, &p.Job)
		p.At, p.Amount = at(when), amount.String()
		x.e.Postings = append(x.e.Postings, p)
		return err
	})
}

func (x *exporter) requests() error {
	err := x.list(`
		SELECT r.id, r.created_ms, c.id, r.command, r.args_sealed FROM requests r JOIN chats c ON c.row = r.chat
		WHERE r.member IN `+persons+` ORDER BY r.created_ms DESC`, func(r *sql.Rows) error {
		var v ExportedRequest
		var id string
		var when int64
		var sealed []byte
		if err := r.Scan(&id, &when, &v.Chat, &v.Command, &sealed); err != nil {
			return err
		}
		v.At = at(when)
		if typed, err := x.db.seal.open(requestArgs, id, sealed); err == nil { // what cannot be read any more is nobody's
			v.Typed = rawJSON(typed)
		}
		x.e.Requests = append(x.e.Requests, v)
		return nil
	})
	if err != nil {
		return err
	}
	return x.q.QueryRowContext(x.ctx, `SELECT count(*) FROM actions WHERE owner IN `+persons, x.member).Scan(&x.e.Buttons)
}

func (x *exporter) turns() error {
	return x.list(`
		SELECT t.request, t.at_ms, c.id, t.question_sealed, t.answer_sealed, t.model FROM turns t JOIN chats c ON c.row = t.chat
		WHERE t.member IN `+persons+` ORDER BY t.at_ms DESC`, func(r *sql.Rows) error {
		var v ExportedTurn
		var id string
		var when int64
		var question, answer []byte
		if err := r.Scan(&id, &when, &v.Chat, &question, &answer, &v.Model); err != nil {
			return err
		}
		question, _ = x.db.seal.open(turnQuestion, id, question)
		answer, _ = x.db.seal.open(turnAnswer, id, answer)
		v.At, v.Question, v.Answer = at(when), string(question), string(answer)
		x.e.Turns = append(x.e.Turns, v)
		return nil
	})
}

func (x *exporter) messages() error {
	page := Page{DB: x.db}
	return x.list(`
		SELECT `+pageColumns+` FROM page_messages m
		WHERE NOT m.deleted AND m.user IN (SELECT id FROM identities WHERE member = ?1) ORDER BY m.row DESC`, func(r *sql.Rows) error {
		m, _, err := page.scanMessage(r)
		x.e.Messages = append(x.e.Messages, ExportedMessage{m.At, m.Chat, m.Text.Plain})
		return err
	})
}
