package storage

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Rules that statements of every job are checked by must not compare with a list of three texts or more: SQLite builds a tree in memory for such a list each time.
func TestRulesOfEveryJobBuildNoTrees(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "potluck.db"))
	list := regexp.MustCompile(`\w+ IN \('[^)]*,[^)]*,[^)]*\)`)
	rows, err := db.reads.Query(`
		SELECT name, sql FROM sqlite_schema
		WHERE tbl_name IN ('jobs', 'attempts', 'transactions', 'postings', 'escrows', 'speeds', 'requests', 'page_messages', 'page_events') AND sql IS NOT NULL`)
	seen := 0
	err = each(rows, err, func(r *sql.Rows) error {
		var name, text string
		err := r.Scan(&name, &text)
		if found := list.FindString(text); found != "" {
			t.Errorf("%s says %s", name, found)
		}
		seen++
		return err
	})
	if err != nil || seen < 9 {
		t.Errorf("%d texts, %v", seen, err)
	}
}

// The rules that got other words still hold, each with all its words.
func TestRulesStillRefuse(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "potluck.db"))
	exec := func(query string) error { _, err := db.writer.conn.ExecContext(t.Context(), query); return err }
	refused := func(query string) {
		t.Helper()
		if err := exec(query); err == nil || !strings.Contains(err.Error(), "CHECK constraint failed") && !strings.Contains(err.Error(), "a job ends once") {
			t.Errorf("%s: %v", query, err)
		}
	}
	kept := func(query string) {
		t.Helper()
		if err := exec(query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	words := func(query string, all ...string) {
		t.Helper()
		for _, word := range all {
			kept(strings.ReplaceAll(query, "?", "'"+word+"'"))
		}
		for _, word := range []string{"", "other", strings.ToUpper(all[0]), all[0] + " "} {
			refused(strings.ReplaceAll(query, "?", "'"+word+"'"))
		}
	}
	kept(`INSERT INTO members (id, name, created_ms) VALUES (1, 'Rita', 0)`)
	kept(`INSERT INTO chats (row, id) VALUES (1, 'page:1')`)
	kept(`INSERT INTO workers (id, owner, name, key, share, linked_ms, hardware) VALUES (1, 1, 'one', zeroblob(32), 1, 0, '{}')`)
	const job = `INSERT INTO jobs (key, kind, class, quality, payer, model, features, work, wait_ms, created_ms, rates, held, state, ended_ms, bill, failure)
		VALUES (hex(randomblob(8)), `
	const rest = `'rough', '{}', '', '[]', '{}', 0, 0, 3, 0, `
	words(job+`?, 'public', `+rest+`'queued', NULL, NULL, NULL)`, "chat", "image", "translate")
	words(job+`'chat', ?, `+rest+`'queued', NULL, NULL, NULL)`, "public", "community", "private")
	words(job+`'chat', 'public', `+rest+`?, NULL, NULL, NULL)`, "queued", "leased")
	words(job+`'chat', 'public', `+rest+`?, 1, '{}', 'expired')`, "failed", "cancelled")
	words(job+`'chat', 'public', `+rest+`?, 1, '{}', NULL)`, "done")
	for _, state := range []string{"done", "failed", "cancelled"} {
		refused(job + `'chat', 'public', ` + rest + `'` + state + `', NULL, '{}', iif('` + state + `' = 'done', NULL, 'expired'))`) // an end without a time
		refused(job + `'chat', 'public', ` + rest + `'` + state + `', 1, NULL, iif('` + state + `' = 'done', NULL, 'expired'))`)    // an end without a bill
		refused(`UPDATE jobs SET held = 5 WHERE state = '` + state + `'`)
	}
	words(`INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms, ended_ms, outcome)
		VALUES (lower(hex(randomblob(16))), 1, 1 + (SELECT count(*) FROM attempts), 1, '', '', 0, 0, 1, ?)`,
		"done", "refused", "overload", "lost", "engine", "expired", "rejected", "request", "cancelled", "restart")
	kept(`INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms) VALUES (printf('%032d', 1), 1, 99, 1, '', '', 0, 0)`)
	const move = `INSERT INTO transactions (kind, key, at_ms, reason, job) VALUES (?, hex(randomblob(8)), 0, 'why', `
	words(move+`1)`, "hold", "settle", "refund")
	words(move+`NULL)`, "grant", "release", "give", "adjust")
	for _, kind := range []string{"hold", "settle", "refund"} {
		refused(strings.ReplaceAll(move+`NULL)`, "?", "'"+kind+"'"))
	}
	words(`INSERT INTO speeds (worker, kind, model, rate, jobs) VALUES (1, ?, '', 1, 1)`, "chat", "image", "translate")
	words(`INSERT INTO requests (id, event, chat, user, name, locale, role, command, source, reply_to, private, state, created_ms)
		VALUES (hex(randomblob(8)), hex(randomblob(8)), 1, '', '', '', 0, '', '', '', 0, ?, 0)`, "accepted", "stopped", "delivered")
	kept(`INSERT INTO page_messages (row, chat, id, user, author, only_user, body_sealed, final, reply_to, nonce, at_ms) VALUES (1, '', '1', '', '', '', x'00', 1, '', '', 0)`)
	words(`INSERT INTO page_events (kind, chat, message, final) VALUES (?, '', 1, 1)`, "message", "edit", "delete")

	var verdict string
	if err := db.reads.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Error(verdict, err)
	}
}
