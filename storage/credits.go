package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/community"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Credits is what commands and main need of the ledger.
type Credits struct{ DB *DB }

// Balance tells what a member has. payer says which allowance is the member's, what it is granted each day and how much of it one household may use; before
// today's grant, Free is the whole of it.
func (c *Credits) Balance(ctx context.Context, member community.MemberID, payer ledger.Payer, now time.Time) (b ledger.Balance, err error) {
	snapshot, err := c.DB.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // every number of the same moment
	if err != nil {
		return b, wrap("balance", err)
	}
	defer snapshot.Rollback()
	spend := payer.Spend
	if spend == (ledger.Account{}) {
		spend = ledger.SpendOf(member)
	}
	if b.Spendable, err = balance(ctx, snapshot, spend); err != nil {
		return b, wrap("balance", err)
	}
	b.Daily = payer.Daily
	if b.Free, err = balance(ctx, snapshot, payer.Allowance); err != nil {
		return b, wrap("balance", err)
	}
	if payer.Allowance != (ledger.Account{}) && payer.Daily > 0 {
		var granted bool
		err = snapshot.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM transactions WHERE key = ?)`, ledger.GrantKey(payer.Allowance, now)).Scan(&granted)
		if err != nil {
			return b, wrap("balance", err)
		}
		if !granted {
			b.Free = ledger.Granted(ledger.Purse{Account: payer.Allowance, Balance: b.Free}, payer.Daily)
		}
	}
	if payer.Share.Household != "" {
		b.Daily = min(b.Daily, payer.Share.Most)
	}
	if err := shareOf(ctx, snapshot, payer.Share, &b.Free); err != nil {
		return b, wrap("balance", err)
	}
	var due int64
	err = snapshot.QueryRowContext(ctx, `
		WITH me (id) AS `+persons+`
		SELECT
			coalesce(sum((SELECT balance FROM accounts WHERE kind = 'escrow' AND owner = CAST(me.id AS TEXT))), 0),
			coalesce(sum((SELECT received FROM accounts WHERE kind = 'escrow' AND owner = CAST(me.id AS TEXT))), 0),
			coalesce(min((SELECT min(due_ms) FROM escrows INDEXED BY escrows_pending WHERE member = me.id AND release IS NULL)), 0),
			coalesce(sum((SELECT sum(held) FROM jobs WHERE member = me.id AND state IN ('queued', 'leased'))), 0)
		FROM me`, member).
		Scan(&b.Pending, &b.Earned, &due, &b.Held)
	b.NextRelease = at(due)
	return b, wrap("balance", err)
}

// BillInfo is what is known of a job's price, also after its text was erased.
type BillInfo struct {
	Job    int64
	Kind   protocol.Kind
	State  workers.State
	Asker  community.MemberID // 0 = nobody: an automatic translation
	Earner community.MemberID // 0 = nobody earned
	Bill   ledger.Bill        // of a job that is not final, only Held and Rates
	At     time.Time          // when the job ended, or began while it is not final
}

// Bill returns ok false for an unknown job.
func (c *Credits) Bill(ctx context.Context, job int64) (b BillInfo, ok bool, err error) {
	var bill []byte
	var when int64
	var held ledger.Amount
	var rates int
	err = c.DB.reads.QueryRowContext(ctx, `
		SELECT id, kind, state, coalesce(`+personOf("jobs.member")+`, 0), coalesce(`+personOf("jobs.earner")+`, 0), bill, coalesce(ended_ms, created_ms), held, rates
		FROM jobs WHERE id = ?`, job).Scan(&b.Job, &b.Kind, &b.State, &b.Asker, &b.Earner, &bill, &when, &held, &rates)
	if errors.Is(err, sql.ErrNoRows) {
		return b, false, nil
	}
	if err != nil {
		return b, false, wrap("bill", err)
	}
	b.At = at(when)
	if bill == nil {
		b.Bill.Held, b.Bill.Rates = held, rates
		return b, true, nil
	}
	err = json.Unmarshal(bill, &b.Bill)
	return b, err == nil, wrap("bill", err)
}

// Release moves at most limit due earnings from escrow to their owners' own credits (those of forgotten members to a pool) and returns how many. Call it again while n == limit.
// For some minutes after the clock was set, none are due.
func (c *Credits) Release(ctx context.Context, now time.Time, limit int) (n int, err error) {
	type due struct {
		settlement     int64
		member, person community.MemberID // person may spend it
		amount         ledger.Amount
	}
	if !c.DB.ClockSteady() {
		return 0, nil
	}
	err = c.DB.write(ctx, "release earnings", func(t *tx) error {
		n = 0
		var list []due
		rows, err := t.rows(`
			SELECT settlement, member, `+personOf("escrows.member")+`, amount FROM escrows
			WHERE release IS NULL AND due_ms <= ?
			ORDER BY due_ms, settlement LIMIT ?`, ms(now), limit)
		err = each(rows, err, func(r *sql.Rows) error {
			var d due
			err := r.Scan(&d.settlement, &d.member, &d.person, &d.amount)
			list = append(list, d)
			return err
		})
		if err != nil {
			return err
		}
		for _, d := range list {
			id, applied, err := t.post(ledger.Transaction{Kind: ledger.KindRelease, Key: ledger.ReleaseKey(d.settlement), At: now, Postings: []ledger.Posting{
				{Account: ledger.EscrowOf(d.member), Amount: -d.amount},
				{Account: ledger.SpendOf(d.person), Amount: d.amount},
			}})
			if err != nil {
				return err
			}
			if !applied {
				return fmt.Errorf("settlement %d was released already", d.settlement)
			}
			if _, err := t.exec(`UPDATE escrows SET release = ? WHERE settlement = ?`, id, d.settlement); err != nil {
				return err
			}
		}
		n = len(list)
		return t.inherit(now)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// GrantPool fills a community's pool up to daily, once each UTC day; gifts in it stay. It returns the pool's balance.
func (c *Credits) GrantPool(ctx context.Context, id community.CommunityID, daily ledger.Amount, now time.Time) (b ledger.Amount, err error) {
	err = c.DB.write(ctx, "grant pool", func(t *tx) error {
		if err := t.grant(ledger.PoolOf(id), daily, now); err != nil {
			return err
		}
		b, err = t.balance(ledger.PoolOf(id))
		return err
	})
	return b, err
}
