package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
)

// accountIDs remembers rows of accounts, so that a posting needs no look-up. It is touched by the writer only, and learns after commits.
type accountIDs struct{ ids map[ledger.Account]int64 }

func (a *accountIDs) init() { a.ids = make(map[ledger.Account]int64) }

func (t *tx) account(a ledger.Account) (id int64, err error) {
	if id, ok := t.w.accounts.ids[a]; ok {
		return id, nil
	}
	err = t.row(`SELECT id FROM accounts WHERE kind = ? AND owner = ?`, a.Kind, a.Owner).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		id, err = t.insert(`INSERT INTO accounts (kind, owner) VALUES (?, ?)`, a.Kind, a.Owner)
	}
	if err == nil {
		t.afterCommit(func() { put(t.w.accounts.ids, a, id) })
	}
	return id, err
}

// balance is 0 for an account that was never used.
func balance(ctx context.Context, q querier, a ledger.Account) (b ledger.Amount, err error) {
	if a == (ledger.Account{}) {
		return 0, nil
	}
	err = q.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE kind = ? AND owner = ?`, a.Kind, a.Owner).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return b, err
}

func (t *tx) balance(a ledger.Account) (ledger.Amount, error) {
	return balance(context.Background(), t.w.conn, a)
}

// insertPostings inserts n rows with one statement.
func insertPostings(n int) string {
	const one = `INSERT INTO postings (transaction_id, account, amount) VALUES (?, ?, ?)`
	return one + strings.Repeat(`, (?, ?, ?)`, n-1)
}

// post applies a transaction. applied is false when its key is known: then nothing changed and id is the first one's.
func (t *tx) post(x ledger.Transaction) (id int64, applied bool, err error) {
	if err := x.Check(); err != nil {
		return 0, false, err
	}
	n, id, err := t.insertNew(`
		INSERT INTO transactions (kind, key, job, attempt, rates, at_ms, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`, x.Kind, x.Key, null(x.Job), x.Attempt, x.Rates, ms(x.At), x.Reason)
	if err != nil {
		return 0, false, err
	}
	if n == 0 {
		id, _, err = t.transaction(x.Key)
		return id, false, err
	}
	args := make([]any, 0, 3*len(x.Postings))
	for _, p := range x.Postings {
		account, err := t.account(p.Account)
		if err != nil {
			return 0, false, err
		}
		args = append(args, id, account, p.Amount)
	}
	if _, err := t.exec(insertPostings(len(x.Postings)), args...); err != nil {
		return 0, false, fmt.Errorf("post %s: %w", x.Kind, err)
	}
	return id, true, nil
}

func (t *tx) transaction(key string) (id int64, known bool, err error) {
	err = t.row(`SELECT id FROM transactions WHERE key = ?`, key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// purse is an account with what stands in it.
func (t *tx) purse(a ledger.Account) (ledger.Purse, error) {
	b, err := t.balance(a)
	return ledger.Purse{Account: a, Balance: b}, err
}

// grant gives an account its credits of now's UTC day, once.
func (t *tx) grant(to ledger.Account, daily ledger.Amount, now time.Time) error {
	if to == (ledger.Account{}) || daily <= 0 {
		return nil
	}
	key := ledger.GrantKey(to, now)
	if _, known, err := t.transaction(key); err != nil || known {
		return err
	}
	purse, err := t.purse(to)
	if err != nil {
		return err
	}
	postings := ledger.GrantPostings(purse, daily)
	if len(postings) == 0 {
		return nil
	}
	_, _, err = t.post(ledger.Transaction{Kind: ledger.KindGrant, Key: key, At: now, Postings: postings})
	return err
}

// hold grants what is due and puts the charge aside for the job.
func (t *tx) hold(job int64, c ledger.Charge, now time.Time) error {
	if c.Amount < 0 {
		return fmt.Errorf("charge of %d", c.Amount)
	}
	if c.Amount == 0 {
		return nil
	}
	if err := t.grant(c.Payer.Allowance, c.Payer.Daily, now); err != nil {
		return err
	}
	free, err := t.purse(c.Payer.Allowance)
	if err != nil {
		return err
	}
	own, err := t.purse(c.Payer.Spend)
	if err != nil {
		return err
	}
	shared := free.Balance
	if err := shareOf(context.Background(), t.w.conn, c.Payer.Share, &free.Balance); err != nil {
		return err
	}
	postings, have, ok := ledger.HoldPostings(c.Amount, free, own)
	if !ok {
		args := []any{"need", c.Amount, "have", have, "reset", ledger.NextDay(now).Format(time.RFC3339)}
		if free.Balance < shared {
			args = append(args, "share", c.Payer.Share.Most)
		}
		return fault.New(fault.NoCredit, args...)
	}
	_, _, err = t.post(ledger.Transaction{Kind: ledger.KindHold, Key: ledger.HoldKey(job), Job: job, Rates: c.Rates, At: now, Postings: postings})
	if err != nil {
		return err
	}
	return t.drawShare(job, c.Payer.Share.Household, -moved(postings, ledger.Allowance), now)
}

// resolve empties a job's hold once: paid goes to the earner's escrow, the rest back.
func (t *tx) resolve(x ledger.Transaction, held, paid ledger.Amount, earner community.MemberID) (id int64, err error) {
	if held == 0 {
		return 0, nil
	}
	drawn, err := t.drawn(x.Job)
	if err != nil {
		return 0, err
	}
	x.Key = ledger.ResolutionKey(x.Job)
	if x.Postings, err = ledger.SettlePostings(held, paid, ledger.EscrowOf(earner), drawn); err != nil {
		return 0, err
	}
	id, applied, err := t.post(x)
	if err == nil && !applied {
		err = fmt.Errorf("job %d is resolved already", x.Job)
	}
	if err == nil {
		err = t.giveBackShare(x.Job, moved(x.Postings, ledger.Allowance))
	}
	return id, err
}

// drawn reads what a job's hold took. What somebody paid who joined another member since is that one's.
func (t *tx) drawn(job int64) (list []ledger.Drawn, err error) {
	// A sub-query, and not x.key = ?: SQLite prepares a join anew for every value that one of its columns is compared with.
	rows, err := t.rows(`
		SELECT a.kind, coalesce((SELECT CAST(m.joined AS TEXT) FROM members m WHERE a.kind = 'spend' AND m.id = CAST(a.owner AS INTEGER)), a.owner), -p.amount, x.at_ms
		FROM postings p JOIN transactions x ON x.id = p.transaction_id JOIN accounts a ON a.id = p.account
		WHERE p.transaction_id = (SELECT id FROM transactions WHERE key = ?) AND p.amount < 0`, ledger.HoldKey(job))
	err = each(rows, err, func(r *sql.Rows) error {
		var d ledger.Drawn
		var when int64
		if err := r.Scan(&d.From.Kind, &d.From.Owner, &d.Amount, &when); err != nil {
			return err
		}
		var err error
		d.Expired, err = t.grantedSince(d.From, at(when))
		list = append(list, d)
		return err
	})
	return list, err
}

// grantedSince tells whether an allowance got its credits of a later UTC day than when. A pool keeps what it has, so it is never that.
func (t *tx) grantedSince(a ledger.Account, when time.Time) (since bool, err error) {
	if a.Kind != ledger.Allowance {
		return false, nil
	}
	// The keys of one account's grants sort by their day.
	last := ledger.GrantKey(a, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
	err = t.row(`SELECT EXISTS (SELECT 1 FROM transactions WHERE key > ? AND key <= ?)`, ledger.GrantKey(a, when), last).Scan(&since)
	return since, err
}
