package storage_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"potluck/storage"
)

// -postings=10000000 is the size that docs/operations.md tells the time of.
var auditPostings = flag.Int("postings", 200_000, "size of the ledger of BenchmarkAuditLarge")

// BenchmarkAuditLarge checks a ledger as years of work leave it, opened beside as potluck audit does. Jobs are paid by 5,000 askers to 500
// owners, one of ten was refunded, what was paid was released.
func BenchmarkAuditLarge(b *testing.B) {
	path := filepath.Join(b.TempDir(), "potluck.db")
	w := newWorldAt(b, path)
	w.ok(w.db.Close())
	writeHistory(b, path, *auditPostings)
	db, err := storage.OpenBeside(b.Context(), storage.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	postings := 0
	for b.Loop() {
		report, err := (&storage.Credits{DB: db}).AuditAt(b.Context(), now)
		if err != nil || len(report.Breaches) > 0 {
			b.Fatal(err, report.Breaches)
		}
		postings = report.Postings
	}
	b.ReportMetric(float64(postings)*float64(b.N)/b.Elapsed().Seconds(), "postings/s")
	b.ReportMetric(float64(postings), "postings")
}

// writeHistory writes a ledger by set-based SQL: through the writer 10 million postings would take an hour.
func writeHistory(b *testing.B, path string, postings int) {
	b.Helper()
	begun := time.Now()
	raw := rawOpen(b, path)
	const perJob = 7 // hold 3 (free and own), settle 3 or refund 3, release 2 of nine of ten
	jobs := postings / perJob
	for _, query := range []string{
		`PRAGMA synchronous = OFF`, `PRAGMA cache_size = -400000`, `PRAGMA temp_store = MEMORY`, `PRAGMA foreign_keys = OFF`,
		`DROP TRIGGER postings_move_balance`,
		`CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + fmt.Sprint(jobs) + `) SELECT i FROM n`,
		`WITH RECURSIVE m (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM m WHERE i < 5502) INSERT INTO members (id, name, created_ms) SELECT i, 'm', 0 FROM m`,
		`INSERT INTO accounts (id, kind, owner) VALUES (1, 'mint', ''), (2, 'burn', ''), (3, 'hold', '')`,
		`INSERT INTO accounts (id, kind, owner) SELECT 10000 + id, 'allowance', 'page:' || id FROM members`,
		`INSERT INTO accounts (id, kind, owner) SELECT 20000 + id, 'spend', 'member:' || id FROM members`,
		`INSERT INTO accounts (id, kind, owner) SELECT 30000 + id, 'escrow', 'member:' || id FROM members`,
		// What everybody has to begin with.
		`INSERT INTO transactions (id, kind, key, at_ms) SELECT id, 'grant', 'grant:' || id, 0 FROM members WHERE id > 2`,
		`INSERT INTO postings SELECT id, 1, -2000000000 FROM members WHERE id > 2 UNION ALL SELECT id, 10000 + id, 1000000000 FROM members WHERE id > 2
			UNION ALL SELECT id, 20000 + id, 1000000000 FROM members WHERE id > 2`,
		`INSERT INTO jobs (id, key, kind, class, quality, member, payer, model, features, work, wait_ms, created_ms, rates, held, attempts, state, ended_ms, failure, bill, earner, erased)
			SELECT i, 'request' || i || ':1', 'chat', 'public', 'rough', 3 + i % 5000, '{}', 'qwen3-8b', '[]', '{}', 60000, i, 3, 1000, 1,
				iif(i % 10 = 0, 'failed', 'done'), i + 5, iif(i % 10 = 0, 'expired', NULL),
				iif(i % 10 = 0, '{"amount":0,"rates":3,"held":1000,"paid":0,"returned":1000}', '{"amount":600,"rates":3,"model":"qwen3-8b","held":1000,"paid":600,"returned":400}'),
				iif(i % 10 = 0, NULL, 5003 + i % 500), 1 FROM n`,
		`INSERT INTO transactions (id, kind, key, job, rates, at_ms) SELECT 10000 + 3 * i, 'hold', 'hold:' || i, i, 3, i FROM n`,
		`INSERT INTO transactions (id, kind, key, job, rates, at_ms) SELECT 10001 + 3 * i, iif(i % 10 = 0, 'refund', 'settle'), 'resolve:' || i, i, 3, i FROM n`,
		`INSERT INTO transactions (id, kind, key, at_ms) SELECT 10002 + 3 * i, 'release', 'release:' || (10001 + 3 * i), i FROM n WHERE i % 10 != 0`,
		`INSERT INTO postings
			SELECT 10000 + 3 * i, 10003 + i % 5000, -300 FROM n UNION ALL SELECT 10000 + 3 * i, 20003 + i % 5000, -700 FROM n UNION ALL SELECT 10000 + 3 * i, 3, 1000 FROM n
			UNION ALL SELECT 10001 + 3 * i, 3, -1000 FROM n UNION ALL SELECT 10001 + 3 * i, 20003 + i % 5000, 400 FROM n WHERE i % 10 != 0
			UNION ALL SELECT 10001 + 3 * i, 20003 + i % 5000, 700 FROM n WHERE i % 10 = 0 UNION ALL SELECT 10001 + 3 * i, 10003 + i % 5000, 300 FROM n WHERE i % 10 = 0
			UNION ALL SELECT 10001 + 3 * i, 35003 + i % 500, 600 FROM n WHERE i % 10 != 0
			UNION ALL SELECT 10002 + 3 * i, 35003 + i % 500, -600 FROM n WHERE i % 10 != 0 UNION ALL SELECT 10002 + 3 * i, 25003 + i % 500, 600 FROM n WHERE i % 10 != 0
			ORDER BY 1, 2`,
		`INSERT INTO escrows (settlement, member, amount, due_ms, release) SELECT 10001 + 3 * i, 5003 + i % 500, 600, i, 10002 + 3 * i FROM n WHERE i % 10 != 0`,
		`UPDATE accounts SET balance = t.total, received = t.came FROM
			(SELECT account, sum(amount) AS total, sum(max(amount, 0)) AS came FROM postings GROUP BY account) t WHERE t.account = accounts.id`,
		`CREATE TRIGGER postings_move_balance AFTER INSERT ON postings
			BEGIN UPDATE accounts SET balance = balance + NEW.amount, received = received + max(NEW.amount, 0) WHERE id = NEW.account; END`,
		`DROP TABLE n`,
	} {
		mustExec(b, raw, query)
	}
	raw.Close()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d jobs written in %v: %d bytes each", jobs, time.Since(begun).Round(time.Second), info.Size()/int64(jobs))
}
