package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"potluck/ledger"
)

// Report says whether the ledger is sound.
type Report struct {
	Transactions, Postings, Jobs int
	Outstanding                  ledger.Amount // what everybody has together, holds included
	Breaches                     []Breach      // none: sound
}

// Breach is one broken invariant; at most maxBreaches of each are listed.
type Breach struct {
	Invariant string // "I1" …
	Detail    string
}

const maxBreaches = 20

// holdGrace is how long after a job's deadline its hold may still stand.
const holdGrace = 5 * time.Minute

// waitsBegun is when the pool last read the open jobs: it begins their waits anew then, for how long the bot was down is nobody's time.
const waitsBegun = `coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM meta WHERE name = 'waits_begun'), 0)`

// beginWaits notes that the waits of open jobs begin anew. Only Audit needs it, so a disk that takes no writes keeps nobody from starting.
func (db *DB) beginWaits(ctx context.Context, now time.Time) {
	err := db.write(ctx, "begin waits", func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO meta (name, value) VALUES ('waits_begun', CAST(CAST(? AS TEXT) AS BLOB))
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, ms(now))
		return err
	})
	if err != nil {
		db.log.Warn("an audit may call holds old that are not", "err", err)
	}
}

// lastWrite is when the ledger was written last; zero: never.
const lastWrite = `coalesce((SELECT at_ms FROM transactions ORDER BY id DESC LIMIT 1), 0)`

// postingsSound reads all postings once, in their own order. Only when it finds that something is wrong, sumInvariants say what: three
// passes over millions of postings and a look-up for each transaction cost more than everything else. Numbers and sums of ids are compared
// because the ids of all transactions are exactly those that have postings.
const postingsSound = `
	SELECT p.n, p.transactions = x.n AND p.ids = x.ids AND p.uneven = 0 AND p.total = 0, x.n
	FROM
		(SELECT coalesce(sum(n), 0) AS n, count(*) AS transactions, coalesce(sum(id), 0) AS ids, count(nullif(total, 0)) AS uneven, coalesce(sum(total), 0) AS total
			FROM (SELECT transaction_id AS id, count(*) AS n, sum(amount) AS total FROM postings GROUP BY transaction_id)) p,
		(SELECT count(*) AS n, coalesce(sum(id), 0) AS ids FROM transactions) x`

type invariant struct{ name, query string }

// sumInvariants are asked when postingsSound says no.
var sumInvariants = []invariant{
	{"I1", `SELECT 'transaction ' || transaction_id || ' sums to ' || sum(amount) FROM postings GROUP BY transaction_id HAVING sum(amount) != 0`},
	{"I1", `SELECT 'transaction ' || x.id || ' has no postings' FROM transactions x WHERE NOT EXISTS (SELECT 1 FROM postings p WHERE p.transaction_id = x.id)`},
	{"I2", `SELECT 'all postings sum to ' || total FROM (SELECT sum(amount) AS total FROM postings) WHERE total != 0`},
	{"I1", `
		SELECT DISTINCT 'postings of transaction ' || transaction_id || ', which is not there' FROM postings p
		WHERE NOT EXISTS (SELECT 1 FROM transactions x WHERE x.id = p.transaction_id)`},
}

// invariants are queries that return one text for each breach. ?1 is the time by which holds are judged, less holdGrace.
var invariants = []invariant{
	{"I3", `
		WITH sums AS (SELECT account, sum(amount) AS total FROM postings GROUP BY account)
		SELECT 'account ' || a.kind || CASE a.owner WHEN '' THEN '' ELSE '/' || a.owner END || ' shows ' || a.balance || ', its postings sum to ' || coalesce(s.total, 0)
		FROM accounts a LEFT JOIN sums s ON s.account = a.id
		WHERE a.balance != coalesce(s.total, 0)`},
	{"I4", `SELECT 'account ' || kind || '/' || owner || ' is at ' || balance FROM accounts WHERE balance < 0 AND kind != 'mint'`},
	{"I5", `
		SELECT 'job ' || j.id || ' is ' || j.state || ' and its hold of ' || j.held || ' was never resolved' FROM jobs j
		WHERE j.ended_ms IS NOT NULL AND j.held > 0 AND NOT EXISTS (SELECT 1 FROM transactions x WHERE x.key = 'resolve:' || j.id)`},
	{"I5", `
		SELECT 'job ' || j.id || ' is ' || j.state || ' and its hold is resolved' FROM jobs j
		WHERE j.state IN ('queued', 'leased') AND EXISTS (SELECT 1 FROM transactions x WHERE x.key = 'resolve:' || j.id)`},
	{"I5", `
		SELECT 'job ' || x.job || ' is ' || j.state || ', its resolution ' || x.id || ' is a ' || x.kind
		FROM transactions x JOIN jobs j ON j.id = x.job
		WHERE x.kind IN ('settle', 'refund') AND (x.key != 'resolve:' || x.job OR (x.kind = 'settle') != (j.state = 'done'))`},
	{"I5", `
		SELECT 'job ' || j.id || ' says it holds ' || j.held || ', the ledger says ' || coalesce(p.amount, 0)
		FROM jobs j
		LEFT JOIN transactions x ON x.key = 'hold:' || j.id
		LEFT JOIN postings p ON p.transaction_id = x.id AND p.account = (SELECT id FROM accounts WHERE kind = 'hold')
		WHERE j.held != coalesce(p.amount, 0)`},
	{"I5", `
		SELECT 'the hold account is at ' || held || ', the jobs that are not final hold ' || open
		FROM (SELECT
			coalesce((SELECT balance FROM accounts WHERE kind = 'hold'), 0) AS held,
			coalesce((SELECT sum(held) FROM jobs WHERE state IN ('queued', 'leased')), 0) AS open)
		WHERE held != open`},
	{"I6", `
		SELECT 'job ' || id || ' is ' || state || ' and holds ' || held || ' since ' || strftime('%Y-%m-%dT%H:%M:%SZ', created_ms / 1000, 'unixepoch') FROM jobs
		WHERE state IN ('queued', 'leased') AND held > 0 AND max(created_ms, ` + waitsBegun + `) + max(wait_ms, coalesce( -- an adopted attempt may go on as long as its lease
			(SELECT deadline_ms - started_ms FROM attempts a WHERE a.job = jobs.id AND a.ended_ms IS NULL), 0)) < ?1`},
	{"I7", `
		SELECT 'job ' || x.job || ' paid ' || p.amount || ', its bill says ' || json_extract(j.bill, '$.paid') || ' of ' || j.held || ' held'
		FROM transactions x
		CROSS JOIN jobs j ON j.id = x.job -- in this order, which is the order on the disk
		CROSS JOIN postings p ON p.transaction_id = x.id
		CROSS JOIN accounts a ON a.id = p.account AND a.kind = 'escrow'
		WHERE x.kind = 'settle' AND (p.amount > j.held OR p.amount != json_extract(j.bill, '$.paid'))`},
	{"I7", `
		SELECT 'job ' || id || ' has a bill of ' || json_extract(bill, '$.paid') || ' paid and ' || json_extract(bill, '$.returned') || ' returned for '
			|| held || ' held' FROM jobs
		WHERE bill IS NOT NULL AND (json_extract(bill, '$.held') != held OR json_extract(bill, '$.paid') + json_extract(bill, '$.returned') != held)`},
	{"I10", `
		SELECT 'member ' || m.id || ' joined member ' || m.joined || ' and has ' || a.balance || ' to spend'
		FROM members m JOIN accounts a ON a.kind = 'spend' AND a.owner = CAST(m.id AS TEXT)
		WHERE m.joined IS NOT NULL AND a.balance != 0`},
	{"I10", `
		SELECT 'member ' || m.id || ' joined member ' || m.joined || ', who joined another' FROM members m JOIN members p ON p.id = m.joined
		WHERE p.joined IS NOT NULL`},
	{"I10", `
		SELECT 'identity or worker of member ' || m.id || ', who joined member ' || m.joined
		FROM members m WHERE m.joined IS NOT NULL AND
			(EXISTS (SELECT 1 FROM identities i WHERE i.member = m.id) OR EXISTS (SELECT 1 FROM workers w WHERE w.owner = m.id AND w.revoked_ms = 0))`},
	{"I9", `
		SELECT 'minted less burned is ' || net || ', outstanding is ' || outstanding
		FROM (SELECT
			coalesce(sum(CASE kind WHEN 'mint' THEN -balance WHEN 'burn' THEN -balance ELSE 0 END), 0) AS net,
			coalesce(sum(CASE WHEN kind IN ('mint', 'burn') THEN 0 ELSE balance END), 0) AS outstanding
			FROM accounts)
		WHERE net != outstanding`},
}

// Audit checks the ledger's invariants as of now, in one snapshot beside running work.
func (c *Credits) Audit(ctx context.Context) (Report, error) { return c.AuditAt(ctx, time.Now()) }

// AuditAt is Audit with the time by which holds are judged. Beside the process that has the database nobody knows whether that still runs and could have ended
// them: then they are judged by the last thing in the ledger, if that is earlier.
func (c *Credits) AuditAt(ctx context.Context, now time.Time) (r Report, err error) {
	snapshot, err := c.DB.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, wrap("audit", err)
	}
	defer snapshot.Rollback()
	var sound bool
	err = snapshot.QueryRowContext(ctx, postingsSound).Scan(&r.Postings, &sound, &r.Transactions)
	if err != nil {
		return r, wrap("audit", err)
	}
	err = snapshot.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM jobs), (SELECT coalesce(sum(balance), 0) FROM accounts WHERE kind NOT IN ('mint', 'burn'))`).
		Scan(&r.Jobs, &r.Outstanding)
	if err != nil {
		return r, wrap("audit", err)
	}
	judged := ms(now)
	if c.DB.writer == nil {
		var last int64
		if err = snapshot.QueryRowContext(ctx, `SELECT `+lastWrite).Scan(&last); err != nil {
			return r, wrap("audit", err)
		}
		judged = min(judged, last)
	}
	ask := invariants
	if !sound {
		ask = slices.Concat(sumInvariants, invariants)
	}
	for _, i := range ask {
		var args []any
		if strings.Contains(i.query, "?1") {
			args = []any{judged - holdGrace.Milliseconds()}
		}
		rows, err := snapshot.QueryContext(ctx, i.query+fmt.Sprintf(" LIMIT %d", maxBreaches), args...)
		err = each(rows, err, func(rows *sql.Rows) error {
			b := Breach{Invariant: i.name}
			err := rows.Scan(&b.Detail)
			r.Breaches = append(r.Breaches, b)
			return err
		})
		if err != nil {
			return r, fmt.Errorf("audit %s: %w", i.name, err)
		}
	}
	return r, nil
}
