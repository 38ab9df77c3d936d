package storage

import (
	"context"
	"time"

	"potluck/ledger"
)

// shareOf lowers what stands in an allowance to what a household may still use of it.
func shareOf(ctx context.Context, q querier, s ledger.Share, free *ledger.Amount) error {
	if s.Household == "" {
		return nil
	}
	var used ledger.Amount
	err := q.QueryRowContext(ctx, `SELECT coalesce(sum(amount), 0) FROM drawn_shares WHERE household = ?`, s.Household).Scan(&used)
	*free = min(*free, s.Left(used))
	return err
}

// drawShare counts what a job's hold took of an allowance for a household.
func (t *tx) drawShare(job int64, household string, amount ledger.Amount, now time.Time) error {
	if household == "" || amount <= 0 {
		return nil
	}
	_, err := t.exec(`INSERT INTO drawn_shares (job, household, day_ms, amount) VALUES (?, ?, ?, ?)`, job, household, ms(now.UTC().Truncate(day)), amount)
	return err
}

// ForgetShares forgets what households used before yesterday: a wish of before midnight may be held after it. For some minutes after the clock was set, it
// forgets nothing.
func (c *Credits) ForgetShares(ctx context.Context, now time.Time) error {
	if !c.DB.ClockSteady() {
		return nil
	}
	return c.DB.write(ctx, "forget shares", func(t *tx) error {
		_, err := t.exec(`DELETE FROM drawn_shares WHERE day_ms < ?`, ms(now.UTC().Truncate(day).Add(-day)))
		return err
	})
}

// giveBackShare gives a household back what a job took of an allowance and did not cost.
func (t *tx) giveBackShare(job int64, amount ledger.Amount) error {
	if amount <= 0 {
		return nil
	}
	return t.steps(
		step{`DELETE FROM drawn_shares WHERE job = ? AND amount <= ?`, []any{job, amount}},
		step{`UPDATE drawn_shares SET amount = amount - ? WHERE job = ?`, []any{amount, job}},
	)
}

// moved is what postings change in accounts of a kind.
func moved(postings []ledger.Posting, kind ledger.AccountKind) (sum ledger.Amount) {
	for _, p := range postings {
		if p.Account.Kind == kind {
			sum += p.Amount
		}
	}
	return sum
}
