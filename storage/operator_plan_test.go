package storage

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/web/operator"
	"potluck/workers"
)

func openForView(t testing.TB) *DB {
	t.Helper()
	db, err := Open(context.Background(), Config{Path: filepath.Join(t.TempDir(), "potluck.db"), Key: []byte("potluck test key, never used else")[:32]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Whoever looks at a week of a million jobs must not read the jobs.
func TestOperatorReadsOnlyIndexes(t *testing.T) {
	db := openForView(t)
	for _, c := range []struct {
		name, query, index string
		args               []any
		joins              bool // reads the few rows that it shows
	}{
		{"groups", endedGroups, "COVERING INDEX jobs_history", []any{0, 1, 2}, false},
		{"waits", endedWaits, "COVERING INDEX jobs_history", []any{0, 1, 2}, false},
		{"stays", endedStays, "COVERING INDEX jobs_history", []any{0, 1, 2, 3}, false},
		{"newest waits", newestWaits, "COVERING INDEX jobs_history", []any{0, 1}, false},
		{"fault counts", countFaults, "COVERING INDEX attempts_faults", []any{0}, false},
		{"newest faults", newestFaults, "INDEX attempts_faults", []any{1}, true},
		{"newest failures", newestFailures, "INDEX jobs_failed", []any{1}, true},
	} {
		var plan []string
		rows, err := db.reads.Query(`EXPLAIN QUERY PLAN `+c.query, c.args...)
		err = each(rows, err, func(r *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(plan, "; ")
		if !strings.Contains(all, c.index) {
			t.Errorf("%s: %s", c.name, all)
		}
		for _, step := range plan {
			if (strings.HasPrefix(step, "SCAN jobs") || strings.HasPrefix(step, "SCAN a")) && !strings.Contains(step, "INDEX") {
				t.Errorf("%s reads a whole table: %s", c.name, all)
			}
			if c.joins && strings.Contains(step, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s sorts everything before it takes the newest: %s", c.name, all)
			}
		}
	}
}

var viewJobs = flag.Int("jobs", 50_000, "how many jobs of one week BenchmarkOperatorView looks at; 1000000 is what docs/operations.md tells the times of")

// BenchmarkOperatorView reads what one look of the operator reads, beside a history of a week.
func BenchmarkOperatorView(b *testing.B) {
	db := openForView(b)
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	writeWeek(b, db, end, *viewJobs)
	o, ctx := &Operator{DB: db}, context.Background()
	read := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	read("week", func() error { // all 84 stretches, as the first look after a start does
		for at := end.Add(-7 * 24 * time.Hour); at.Before(end); at = at.Add(2 * time.Hour) {
			if _, err := o.Ended(ctx, at, 2*time.Hour); err != nil {
				return err
			}
		}
		return nil
	})
	read("newest 2 h", func() error { _, err := o.Ended(ctx, end.Add(-2*time.Hour), 2*time.Hour); return err })
	read("newest minute", func() error { _, err := o.Ended(ctx, end.Add(-time.Minute), time.Minute); return err })
	read("waits", func() error { _, err := o.Waits(ctx, end.Add(-time.Hour)); return err })
	read("line", func() error { _, err := o.Line(ctx); return err })
	read("faults", func() error { _, err := o.Faults(ctx, 50); return err })
	read("fault counts", func() error { _, err := o.FaultCounts(ctx, end.Add(-24*time.Hour)); return err })
	read("jobs", func() error { _, _, err := o.Jobs(ctx, operator.Filter{}); return err })
	read("jobs failed", func() error { _, _, err := o.Jobs(ctx, operator.Filter{State: workers.Failed}); return err })
	read("jobs of a rare kind", func() error { _, _, err := o.Jobs(ctx, operator.Filter{Kind: "translate"}); return err })
}

// writeWeek writes n jobs that ended in the week before end, by set-based SQL: two thirds chat and one third pictures, one of 50 failed.
func writeWeek(b *testing.B, db *DB, end time.Time, n int) {
	b.Helper()
	raw, err := sql.Open("sqlite3", dsn(db.Path(), ""))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	raw.SetMaxOpenConns(1)
	week := int64(7 * 24 * time.Hour / time.Millisecond)
	bill := `'{"amount":600,"rates":3,"model":"qwen3-8b","calibrated":true,"terms":[{"name":"overhead","quantity":1,"unit":"s","per_second":1,"seconds":1},` +
		`{"name":"output","quantity":200,"unit":"token","per_second":40,"seconds":5}],"seconds":' || (1 + i % 9) || ',"held":1000,"paid":600,"returned":400,"own":false}'`
	for _, query := range []string{
		`INSERT INTO members (id, name, created_ms) VALUES (1, 'Ada', 0), (2, 'Rita', 0), (3, 'Sam', 0)`,
		`INSERT INTO workers (id, owner, name, key, share, linked_ms, hardware) VALUES (1, 2, 'one', zeroblob(32), 1, 0, '{}'), (2, 3, 'two', randomblob(32), 1, 0, '{}')`,
		fmt.Sprintf(`CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, %d + i * %d / %d AS at FROM n`,
			n, ms(end)-week, week, n),
		`INSERT INTO jobs (id, key, kind, class, quality, member, payer, model, features, work, wait_ms, created_ms, rates, held, attempts, state, started_ms,
				ended_ms, failure, bill, earner, worker, erased)
			SELECT i, 'page:' || hex(randomblob(12)) || ':answer', iif(i % 3 = 0, 'image', 'chat'), 'public', 'rough', 1,
				'{"Allowance":{"Kind":"allowance","Owner":"page:potluck"},"Daily":2000000,"Spend":{"Kind":"spend","Owner":"1"}}', 'qwen3-8b', '[]',
				'{"Kind":"chat","InTokens":120,"OutTokens":512,"Pixels":0,"Steps":0,"Sampler":""}', 60000, at - 20000 - (i * 7919) % 40000, 3, 1000, 1,
				iif(i % 50 = 0, 'failed', 'done'), at - 8000, at, iif(i % 50 = 0, 'expired', NULL), ` + bill + `,
				iif(i % 50 = 0, NULL, 2 + i % 2), iif(i % 50 = 0, NULL, 1 + i % 2), 1 FROM n`,
		`INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms, ended_ms, outcome, counts)
			SELECT lower(hex(randomblob(16))), i, 1, 1 + i % 2, 'openai', 'qwen3:8b', at - 8000, at + 60000, at, iif(i % 50 = 0, 'lost', 'done'), 0 FROM n`,
	} {
		if _, err := raw.Exec(query); err != nil {
			b.Fatalf("%.60s: %v", query, err)
		}
	}
}

// A database of the first schema learns from its attempts when each job began and who did it.
func TestOlderDatabaseLearnsWhenJobsBegan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	raw, err := sql.Open("sqlite3", dsn(path, ""))
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.ReadFile("migrations/0001_begin.sql")
	if err != nil {
		t.Fatal(err)
	}
	job := `INSERT INTO jobs (id, key, kind, class, quality, payer, model, features, work, wait_ms, created_ms, rates, held, state, ended_ms, bill, failure) VALUES `
	attempt := `INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms, ended_ms, outcome) VALUES `
	for _, query := range []string{
		string(first), fmt.Sprintf(`PRAGMA user_version = 1; PRAGMA application_id = %d`, applicationID),
		`INSERT INTO members (id, name, created_ms) VALUES (1, 'Rita', 0)`,
		`INSERT INTO workers (id, owner, name, key, share, linked_ms, hardware) VALUES (7, 1, 'one', zeroblob(32), 1, 0, '{}')`,
		job + `(1, 'r:1', 'chat', 'public', 'rough', '{}', '', '[]', '{}', 0, 1000, 3, 0, 'done', 9000, '{"seconds":2.5,"paid":0,"held":0,"returned":0}', NULL)`,
		job + `(2, 'r:2', 'chat', 'public', 'rough', '{}', '', '[]', '{}', 0, 1000, 3, 0, 'failed', 9000, '{}', 'expired')`,
		attempt + `(printf('%032d', 1), 1, 1, 7, 'e', 'm', 3000, 4000, 4000, 'lost'), (printf('%032d', 2), 1, 2, 7, 'e', 'm', 5000, 9000, 9000, 'done')`,
	} {
		if _, err := raw.Exec(query); err != nil {
			t.Fatalf("%.60s: %v", query, err)
		}
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{Path: path, Key: []byte("potluck test key, never used else")[:32]})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	o := &Operator{DB: db}
	done, _, _, err1 := o.Job(t.Context(), 1)
	failed, _, _, err2 := o.Job(t.Context(), 2)
	if err1 != nil || err2 != nil || done.Started.UnixMilli() != 3000 || done.Worker != 7 || !failed.Started.IsZero() || failed.Worker != 0 {
		t.Errorf("done %+v %v, failed %+v %v", done, err1, failed, err2)
	}
	e, err := o.Ended(t.Context(), time.UnixMilli(0), time.Minute)
	if err != nil || e.Waited != 1 || e.P50 != 2*time.Second || e.Groups[0].Seconds != 2.5 || e.Groups[0].Worker != 7 {
		t.Errorf("%+v %v", e, err)
	}
}
