package storage_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
)

func TestBackupIsCompleteButForTheTextsOfJobs(t *testing.T) {
	dir := t.TempDir()
	w := newWorldAt(t, filepath.Join(dir, "potluck.db"))
	over := w.submit("req:over", ledger.Credit)
	w.ok(w.jobs.Finish(t.Context(), w.settlement(over, w.lease(over, 1), 600)))
	running := w.submit("req:running", ledger.Credit)
	w.lease(running, 1)
	w.submit("req:queued", ledger.Credit)

	var told int64
	to := filepath.Join(dir, "copy.db")
	c, err := w.db.BackUp(t.Context(), to, func(done, total int64) {
		if done > total || done < told {
			t.Errorf("%d of %d bytes after %d", done, total, told)
		}
		told = done
	})
	w.ok(err)
	if c.Ended != 2 || c.Erased != 1 || told == 0 || len(c.Audit.Breaches) > 0 || c.Audit.Jobs != 3 {
		t.Errorf("%+v, %d bytes told", c, told)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 || info.Size() != c.Bytes {
		t.Errorf("%v %v", info, err)
	}
	if left, _ := filepath.Glob(to + ".*"); len(left) > 0 {
		t.Errorf("the backup left %v", left)
	}
	// The source is as it was.
	if j, ok, err := w.jobs.JobByKey(t.Context(), "req:running"); !ok || err != nil || j.Chat == nil || j.State != "leased" {
		t.Errorf("the backup changed its source: %+v %v %v", j, ok, err)
	}
	if _, err := w.db.BackUp(t.Context(), to, nil); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("a second backup to the same file: %v", err)
	}

	copied := storagetest.OpenPath(t, to)
	raw := rawOpen(t, to)
	var texts int
	w.ok(raw.QueryRow(`SELECT count(*) FROM jobs WHERE coalesce(payload_sealed, input_sealed, result_sealed) IS NOT NULL`).Scan(&texts))
	if texts != 0 {
		t.Errorf("%d jobs in the copy have texts", texts)
	}
	w.db, w.jobs.DB, w.credits.DB = copied, copied, copied
	for _, key := range []string{"req:running", "req:queued"} {
		j, ok, err := w.jobs.JobByKey(t.Context(), key)
		if !ok || err != nil || j.State != "failed" || j.Failure.Code != fault.Expired || j.Failure.Args["kind"] != "chat" {
			t.Errorf("%s in the copy: %+v %v %v", key, j, ok, err)
		}
	}
	b, err := w.credits.Balance(t.Context(), w.asker, w.payer, now)
	w.ok(err)
	if b.Held != 0 {
		t.Errorf("the copy holds %d", b.Held)
	}
	w.sound()
}

func TestBackupOfWhatIsWrittenMeanwhileIsOneMoment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "potluck.db")
	w := newWorldAt(t, path)
	w.payer.Daily = 1000 * ledger.Credit
	for i := range 200 { // several steps of copying
		j := w.job("req:" + strings.Repeat("a", i+1))
		j.Chat.Messages[0].Text = strings.Repeat("x", 60_000)
		_, err := w.jobs.Submit(t.Context(), j, ledger.Charge{Payer: w.payer, Amount: 1, Rates: 3}, now)
		w.ok(err)
	}
	beside, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	w.ok(err)
	defer beside.Close()
	steps := 0
	c, err := beside.BackUp(t.Context(), filepath.Join(dir, "copy.db"), func(done, total int64) {
		w.submit("during:"+strings.Repeat("b", steps+1), ledger.Credit) // between two steps
		steps++
	})
	w.ok(err)
	if steps < 3 || c.Audit.Jobs != 200 || c.Ended != 200 {
		t.Errorf("%d steps, %d jobs in the copy, %d ended; want those of the first moment, 200", steps, c.Audit.Jobs, c.Ended)
	}

	// Giving up in the middle leaves nothing.
	ctx, cancel := context.WithCancel(t.Context())
	_, err = beside.BackUp(ctx, filepath.Join(dir, "second.db"), func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "second*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	w.sound()
}

func TestOpenBesideReadsWithAndWithoutAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	w := newWorldAt(t, path)
	w.submit("req:1", ledger.Credit)
	look := func(jobs int) {
		t.Helper()
		beside, err := storage.OpenBeside(t.Context(), storage.Config{Path: path})
		w.ok(err)
		defer beside.Close()
		report, err := (&storage.Credits{DB: beside}).AuditAt(t.Context(), now)
		w.ok(err)
		if report.Jobs != jobs || len(report.Breaches) > 0 {
			t.Errorf("%+v, want %d jobs", report, jobs)
		}
		if err := beside.Ping(t.Context()); !errors.Is(err, storage.ErrReadOnly) {
			t.Errorf("writing: %v, want ErrReadOnly", err)
		}
	}
	look(1)
	w.submit("req:2", ledger.Credit)
	look(2)
	w.ok(w.db.Close())
	look(2)
	db := storagetest.OpenPath(t, path) // the lock was never taken, and nothing is in the way
	look(2)
	w.ok(db.Close())
}

func TestOpenBesideRefusesWithOneSentence(t *testing.T) {
	cases := map[string]struct {
		make func(t *testing.T, path string)
		is   error
		says string
	}{
		"nothing there": {func(*testing.T, string) {}, storage.ErrForeign, "there is no database"},
		"empty":         {func(t *testing.T, path string) { write(t, path, nil) }, storage.ErrDamaged, "is empty"},
		"not ours":      {func(t *testing.T, path string) { write(t, path, []byte("shopping list, and more of it")) }, storage.ErrForeign, "not a Potluck database"},
		"newer": {func(t *testing.T, path string) {
			storagetest.OpenPath(t, path).Close()
			mustExec(t, rawOpen(t, path), `PRAGMA user_version = 9999`)
		}, storage.ErrNewer, "use that newer version"},
		"older": {func(t *testing.T, path string) {
			storagetest.OpenPath(t, path).Close()
			mustExec(t, rawOpen(t, path), `PRAGMA user_version = 0`)
		}, storage.ErrOlder, "start this one once"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "potluck.db")
			c.make(t, path)
			db, err := storage.OpenBeside(t.Context(), storage.Config{Path: path})
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("says %q, want one line with %q", err, c.says)
			}
		})
	}
}

// What a killed process left in the WAL is read, and stays there for the next one that writes.
func TestOpenBesideAfterAKillReadsTheWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, answered := bufio.NewScanner(out), 0
	for answered < 100 && lines.Scan() {
		answered++
	}
	child.Process.Kill()
	for lines.Scan() {
		answered++
	}
	child.Wait()
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("no WAL is left to be read: %v %v", info, err)
	}

	members := func(path string) (n int) {
		t.Helper()
		if err := rawOpen(t, path).QueryRow(`SELECT count(*) FROM members`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	beside, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy.db")
	if _, err := beside.BackUp(t.Context(), to, nil); err != nil {
		t.Fatal(err)
	}
	if err := beside.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Errorf("reading moved the WAL: %v %v", info, err)
	}
	storagetest.OpenPath(t, path)
	if n, copied := members(path), members(to); n < answered || copied != n {
		t.Errorf("%d members were answered, %d are there, %d in the copy", answered, n, copied)
	}
}

// An empty file used to be taken for a first start: whoever truncated or restored badly got a fresh community without a word. Only a start that
// was cut off may leave one.
func TestAnEmptyDatabaseIsALossUnlessItsFirstStartWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	write(t, path, nil)
	for range 2 {
		db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
		if err == nil {
			db.Close()
			t.Fatal("an empty file was opened as a new database")
		}
		if !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), "is empty (0 bytes)") {
			t.Errorf("got %v", err)
		}
	}
	if there, err := storage.There(path); there || !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("There: %v %v", there, err)
	}

	write(t, path+".new", nil) // what a first start leaves that is killed right after it made the file
	if there, err := storage.There(path); there || err != nil {
		t.Errorf("There after a first start that was cut off: %v %v", there, err)
	}
	if _, err := storage.OpenBeside(t.Context(), storage.Config{Path: path}); !errors.Is(err, storage.ErrForeign) {
		t.Errorf("OpenBeside after a first start that was cut off: %v", err)
	}
	db := storagetest.OpenPath(t, path)
	if left, _ := filepath.Glob(path + ".new"); len(left) > 0 {
		t.Error("the mark of a new database stays beside the finished one")
	}
	// Nothing was written to it yet, and still it is no empty file.
	if there, err := storage.There(path); !there || err != nil {
		t.Errorf("There beside a running one: %v %v", there, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// The rest of a backup that was killed stood in the way of the next one for ever.
func TestBackupTakesAwayTheRestOfAKilledOne(t *testing.T) {
	dir := t.TempDir()
	w := newWorldAt(t, filepath.Join(dir, "potluck.db"))
	to := filepath.Join(dir, "copy.db")
	for _, name := range storage.BackUpRest(to) {
		write(t, filepath.Join(dir, name), []byte("half"))
	}
	_, err := w.db.BackUp(t.Context(), to, nil)
	w.ok(err)
	if left, _ := filepath.Glob(to + "?*"); len(left) > 0 {
		t.Errorf("the backup left %v", left)
	}

	// What another one is writing is left alone.
	second := filepath.Join(dir, "second.db")
	busy := storagetest.OpenPath(t, filepath.Join(dir, "other.db"))
	var inside error
	_, err = busy.BackUp(t.Context(), second, func(int64, int64) {
		if inside == nil {
			_, inside = w.db.BackUp(t.Context(), second, nil)
		}
	})
	w.ok(err)
	if inside == nil || !strings.Contains(inside.Error(), "another backup to "+second+" is at work") {
		t.Errorf("a second backup to the same file at the same time: %v", inside)
	}
}

// Whoever looks with a key learns that it is the wrong one, as whoever opens does.
func TestOpenBesideRefusesAnotherKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	storagetest.OpenPath(t, path).Close()
	if db, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: bytes.Repeat([]byte{1}, 32)}); !errors.Is(err, storage.ErrKey) {
		if err == nil {
			db.Close()
		}
		t.Errorf("another key: %v, want ErrKey", err)
	}
	db, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// A lost key costs the sealed texts, not the community: people, workers and credits stay, and what was under way is refunded.
func TestResealKeepsEverythingButTheTexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	w := newWorldAt(t, path)
	over := w.submit("req:over", ledger.Credit)
	w.ok(w.jobs.Finish(t.Context(), w.settlement(over, w.lease(over, 1), 600)))
	w.lease(w.submit("req:running", ledger.Credit), 1)
	w.submit("req:queued", ledger.Credit)
	held := func() ledger.Amount {
		t.Helper()
		b, err := w.credits.Balance(t.Context(), w.asker, w.payer, now)
		w.ok(err)
		return b.Held
	}
	if held() == 0 {
		t.Fatal("nothing is held: this test would show nothing")
	}
	raw := rawOpen(t, path)
	for _, q := range []string{
		`INSERT INTO chats (row, id) VALUES (900, 'page:sealed')`,
		`INSERT INTO webhooks (chat, id, token_sealed) VALUES ('discord:1', 'hook', x'01')`,
		`INSERT INTO actions (id, name, request, data_sealed, expires_ms) VALUES ('button', 'again', 'r', x'01', 0)`,
		`INSERT INTO turns (request, parent, chat, question_sealed, answer_sealed, model, at_ms) VALUES ('r', '', 900, x'01', x'01', 'm', 0)`,
		`INSERT INTO page_messages (chat, id, user, author, only_user, body_sealed, final, reply_to, nonce, at_ms) VALUES ('lobby', 'm', '', '', '', x'01', 1, '', '', 0)`,
		`INSERT INTO requests (id, event, chat, user, name, locale, role, command, args_sealed, source, reply_to, handle_sealed, private, state, created_ms)
			VALUES ('open', 'e1', 900, 'page:x', '', '', 0, 'ask', x'01', '', '', x'01', 0, 'accepted', 0),
				('done', 'e2', 900, 'page:x', '', '', 0, 'ask', x'01', '', '', x'01', 0, 'delivered', 0)`,
	} {
		mustExec(t, raw, q)
	}
	fresh := bytes.Repeat([]byte{7}, 32)
	if _, err := storage.Reseal(t.Context(), storage.Config{Path: path, Key: fresh}); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("while the database is in use: %v", err)
	}
	w.ok(w.db.Close())
	given, err := storage.Reseal(t.Context(), storage.Config{Path: path, Key: fresh})
	w.ok(err)
	if given != 2 {
		t.Errorf("%d jobs were given up, want 2", given)
	}
	if _, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrKey) {
		t.Errorf("the old key: %v, want ErrKey", err)
	}
	for table, columns := range sealedColumns(t, raw) {
		var n int
		w.ok(raw.QueryRow(`SELECT count(*) FROM ` + table + ` WHERE coalesce(` + columns + `, NULL) IS NOT NULL`).Scan(&n))
		if want := map[string]int{"jobs": 2}[table]; n != want { // why the two were given up is sealed with the new key
			t.Errorf("%s: %d rows are sealed still, want %d", table, n, want)
		}
	}
	var requests string
	w.ok(raw.QueryRow(`SELECT group_concat(id) FROM requests WHERE chat = 900`).Scan(&requests))
	if requests != "done" {
		t.Errorf("requests %q are left; one that cannot run again must not be tried at each start", requests)
	}
	raw.Close()
	db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: fresh})
	w.ok(err)
	defer db.Close()
	w.db, w.jobs.DB, w.credits.DB = db, db, db
	if n := held(); n != 0 {
		t.Errorf("%d are held still", n)
	}
	if list, err := w.jobs.Workers(t.Context(), 0); err != nil || len(list) == 0 {
		t.Errorf("workers: %v %v", list, err)
	}
	w.sound()
	if _, err := storage.Reseal(t.Context(), storage.Config{Path: filepath.Join(t.TempDir(), "potluck.db"), Key: fresh}); err == nil {
		t.Error("a database was made")
	}
}

// sealedColumns finds every sealed column of the schema, so that a new one is not forgotten.
func sealedColumns(t *testing.T, raw *sql.DB) map[string]string {
	t.Helper()
	rows, err := raw.Query(`SELECT s.name, group_concat(c.name) FROM sqlite_schema s, pragma_table_info(s.name) c
		WHERE s.type = 'table' AND c.name LIKE '%\_sealed' ESCAPE '\' GROUP BY s.name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := make(map[string]string)
	for rows.Next() {
		var table, columns string
		if err := rows.Scan(&table, &columns); err != nil {
			t.Fatal(err)
		}
		found[table] = columns
	}
	if len(found) < 6 {
		t.Fatalf("found only %v", found)
	}
	return found
}
