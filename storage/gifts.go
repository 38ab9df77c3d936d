package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
)

// Give moves own credits of a member to somebody else's or to a community's pool, once per key. Credits that are free, held or not released
// yet cannot be given: fault.NotEnough. A member who is not there (any more) gets nothing: fault.UnknownMember.
func (c *Credits) Give(ctx context.Context, key string, from community.MemberID, to ledger.Account, amount ledger.Amount, now time.Time) (applied bool, err error) {
	if amount <= 0 || to == ledger.SpendOf(from) || to.Kind != ledger.Spend && to.Kind != ledger.PoolFund {
		return false, fmt.Errorf("give %d to %s", amount, to.Kind)
	}
	err = c.DB.write(ctx, "give", func(t *tx) error {
		applied = false
		if _, known, err := t.transaction(key); err != nil || known {
			return err
		}
		giver, err := t.person(from)
		if err != nil {
			return err
		}
		from := ledger.SpendOf(giver)
		if to.Kind == ledger.Spend {
			err := t.row(`SELECT CAST(coalesce(joined, id) AS TEXT) FROM members WHERE id = ? AND forgotten_ms = 0`, to.Owner).Scan(&to.Owner)
			if errors.Is(err, sql.ErrNoRows) {
				return fault.New(fault.UnknownMember, "name", "#"+to.Owner, "nearest", "")
			}
			if err != nil {
				return err
			}
			if to == from { // the two became one since it was asked
				return fault.New(fault.Gone, "command", "give")
			}
		} else if err := saveCommunity(t, community.CommunityID(to.Owner)); err != nil {
			return err
		}
		have, err := t.balance(from)
		if err != nil {
			return err
		}
		if have < amount {
			return fault.New(fault.NotEnough, "need", amount, "have", have)
		}
		_, applied, err = t.post(ledger.Transaction{Kind: ledger.KindGive, Key: key, At: now, Postings: []ledger.Posting{
			{Account: from, Amount: -amount}, {Account: to, Amount: amount},
		}})
		return err
	})
	return applied && err == nil, err
}

// History lists what happened to a member's credits, the newest first, at most limit entries before the one called before (0: from now on back).
// What was refunded, or done on an own machine, is no entry, and neither is what moved when two members became one.
func (c *Credits) History(ctx context.Context, m community.MemberID, before int64, limit int) (list []ledger.Entry, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := c.DB.reads.QueryContext(ctx, `
		WITH me (id) AS `+persons+`,
		mine (id) AS (SELECT a.id FROM me JOIN accounts a ON a.kind IN ('spend', 'escrow') AND a.owner = CAST(me.id AS TEXT)),
		touched (id) AS (
			SELECT transaction_id FROM postings WHERE account IN mine AND transaction_id < ?2
			UNION
			SELECT x.id FROM jobs j JOIN transactions x ON x.key = 'resolve:' || j.id WHERE j.member IN me AND j.state = 'done' AND x.id < ?2
		)
		SELECT x.id, x.kind, x.at_ms, x.reason, coalesce(x.job, 0), coalesce(j.kind, ''), coalesce(json_extract(j.bill, '$.paid'), 0), coalesce(j.member, 0) IN me,
			coalesce((SELECT sum(p.amount) FROM postings p WHERE p.transaction_id = x.id AND p.account IN mine), 0),
			coalesce((SELECT a.kind FROM postings p JOIN accounts a ON a.id = p.account WHERE p.transaction_id = x.id AND p.account NOT IN mine LIMIT 1), ''),
			coalesce((SELECT a.owner FROM postings p JOIN accounts a ON a.id = p.account WHERE p.transaction_id = x.id AND p.account NOT IN mine LIMIT 1), '')
		FROM touched JOIN transactions x ON x.id = touched.id LEFT JOIN jobs j ON j.id = x.job
		WHERE x.kind = 'adjust' OR x.kind = 'give' AND x.reason != '`+linkedReason+`' OR x.kind = 'settle' AND json_extract(j.bill, '$.paid') > 0
		ORDER BY x.id DESC LIMIT ?3`, m, before, limit)
	err = each(rows, err, func(r *sql.Rows) error {
		e, err := scanEntry(r)
		list = append(list, e)
		return err
	})
	return list, wrap("history", err)
}

// scanEntry reads a row of History's query.
func scanEntry(r *sql.Rows) (e ledger.Entry, err error) {
	var (
		kind      ledger.TransactionKind
		when      int64
		paid, sum ledger.Amount
		asked     bool
		other     ledger.Account
	)
	if err := r.Scan(&e.ID, &kind, &when, &e.Reason, &e.Job, &e.Work, &paid, &asked, &sum, &other.Kind, &other.Owner); err != nil {
		return e, err
	}
	e.At, e.Amount = at(when), sum
	switch {
	case kind == ledger.KindAdjust:
		e.Kind = ledger.EntryAdjusted
	case kind == ledger.KindSettle && asked:
		e.Kind, e.Amount = ledger.EntrySpent, -paid
	case kind == ledger.KindSettle:
		e.Kind = ledger.EntryEarned
	case sum < 0:
		e.Kind = ledger.EntryGave
	default:
		e.Kind = ledger.EntryGot
	}
	if kind == ledger.KindGive && other.Kind == ledger.Spend {
		id, err := strconv.ParseInt(other.Owner, 10, 64)
		if err != nil {
			return e, fmt.Errorf("account of %q", other.Owner)
		}
		e.With = community.MemberID(id)
	} else if kind == ledger.KindGive {
		e.Pool = community.CommunityID(other.Owner)
	}
	return e, nil
}

// OpenJobs counts a member's jobs that wait and that run.
func (c *Credits) OpenJobs(ctx context.Context, m community.MemberID) (waiting, running int, err error) {
	err = c.DB.reads.QueryRowContext(ctx, `
		SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'leased')
		FROM jobs WHERE member IN `+persons+` AND state IN ('queued', 'leased')`, m).Scan(&waiting, &running)
	return waiting, running, wrap("open jobs of a member", err)
}

// PoolBalance is what a community's pool has.
func (c *Credits) PoolBalance(ctx context.Context, id community.CommunityID) (ledger.Amount, error) {
	b, err := balance(ctx, c.DB.reads, ledger.PoolOf(id))
	return b, wrap("pool's balance", err)
}

// inherit gives the pools what came to members who were forgotten.
func (t *tx) inherit(now time.Time) error {
	type left struct {
		member            community.MemberID
		heir              community.CommunityID
		balance, received ledger.Amount
	}
	var all []left
	rows, err := t.rows(`
		SELECT m.id, m.heir, a.balance, a.received
		FROM members m JOIN accounts a ON a.kind = 'spend' AND a.owner = CAST(m.id AS TEXT)
		WHERE m.forgotten_ms > 0 AND a.balance > 0`)
	err = each(rows, err, func(r *sql.Rows) error {
		var l left
		err := r.Scan(&l.member, &l.heir, &l.balance, &l.received)
		all = append(all, l)
		return err
	})
	for _, l := range all {
		if err != nil {
			return err
		}
		_, _, err = t.post(ledger.Transaction{Kind: ledger.KindGive, Key: ledger.HeirKey(l.member, l.received), At: now, Postings: []ledger.Posting{
			{Account: ledger.SpendOf(l.member), Amount: -l.balance}, {Account: ledger.PoolOf(l.heir), Amount: l.balance},
		}})
	}
	return err
}
