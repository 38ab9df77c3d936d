package storagetest

import (
	"crypto/rand"
	"database/sql"
	"testing"
	"time"

	"potluck/ledger"
	"potluck/storage"
)

// Mint gives an account credits out of nothing, which no method of storage does: as an adjustment by the operator, under the database's own rules only.
func Mint(t testing.TB, db *storage.DB, to ledger.Account, amount ledger.Amount, reason string, now time.Time) {
	t.Helper()
	beside, err := sql.Open("sqlite3", "file:"+db.Path()+"?_busy_timeout=5000&_foreign_keys=1&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	tx, err := beside.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO accounts (kind, owner) VALUES (?, ''), (?, ?) ON CONFLICT DO NOTHING`, []any{ledger.Mint, to.Kind, to.Owner}},
		{`INSERT INTO transactions (kind, key, at_ms, reason) VALUES (?, ?, ?, ?)`, []any{ledger.KindAdjust, rand.Text(), now.UnixMilli(), reason}},
		{`INSERT INTO postings (transaction_id, account, amount)
			SELECT (SELECT max(id) FROM transactions), id, iif(kind = ?1, -?4, ?4) FROM accounts WHERE kind = ?1 OR kind = ?2 AND owner = ?3`,
			[]any{ledger.Mint, to.Kind, to.Owner, amount}},
	} {
		if _, err := tx.Exec(step.query, step.args...); err != nil {
			t.Fatalf("mint %v: %v", amount, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
