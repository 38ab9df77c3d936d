package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The restore of docs/operations.md, step by step: backup of a busy Potluck, stop, the backup becomes the data folder, start.
func TestBackupOfABusyBotRestores(t *testing.T) {
	t.Parallel()
	k := openKitchen(t, "POTLUCK_LIMITS_PER_MINUTE=1000", "POTLUCK_LIMITS_QUEUED=50")
	k.lend(k.operator, "tower", demoKitchen)
	picture := k.guest.say("/imagine a lighthouse at dusk")
	drawn := k.guest.answer(picture)
	asked := k.guest.say(question)
	answer := k.guest.answer(asked)
	paid := k.operator.earned()
	environ := []string{"POTLUCK_DATA_DIR=" + k.data}

	// Load: one job runs and others wait while the copy is made.
	var busy []string
	for range 3 {
		busy = append(busy, k.guest.say(question))
	}
	k.guest.growing(busy[0], middle)
	to := filepath.Join(t.TempDir(), "made", "here")
	out, errs, code := execute(t, "potluck", environ, "backup", "-to", to, "-keys")
	if code != 0 || !strings.Contains(out, "every page and invariant checked") || !strings.Contains(out, "were under way") || !strings.Contains(out, "pictures   1,") {
		t.Fatalf("backup: %d\n%s%s", code, out, errs)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "potluck.db": 0o600, "server.key": 0o600, "secret.key": 0o600, "pictures": 0o700} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s in the backup: %v %v, want mode %v", name, info, err, mode)
		}
	}
	if out, errs, code := execute(t, "potluck", environ, "audit"); code != 0 || !strings.Contains(out, "every invariant holds") {
		t.Errorf("audit beside the running bot: %d\n%s%s", code, out, errs)
	}
	if _, errs, code := execute(t, "potluck", environ, "backup", "-to", to); code == 0 || !strings.Contains(errs, "is not empty, and a backup overwrites nothing") {
		t.Errorf("a second backup into the same folder: %d %s", code, errs)
	}
	after := k.guest.say("/help") // is not in the backup
	k.guest.answer(after)
	if code := k.bot.stop(); code != 0 {
		t.Errorf("the bot's exit code is %d", code)
	}
	if out, errs, code := execute(t, "potluck", []string{"POTLUCK_DATA_DIR=" + to}, "audit"); code != 0 {
		t.Errorf("audit of the backup: %d\n%s%s", code, out, errs)
	}

	// The server burnt down; the backup is all there is. The worker still runs at its owner's home.
	if err := os.RemoveAll(k.data); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to, k.data); err != nil {
		t.Fatal(err)
	}
	for _, v := range k.visitors {
		v.last, v.seen = 0, nil
	}
	k.startBot("POTLUCK_LIMITS_PER_MINUTE=1000")
	if earned := k.operator.earned(); earned != paid {
		t.Errorf("after the restore the operator has earned %v, before the backup %v", earned, paid)
	}
	if m := k.guest.answer(asked); m.Text != answer.Text {
		t.Errorf("after the restore the answer is %q", m.Text)
	}
	if m := k.guest.answer(picture); len(m.Images) != 1 || len(drawn.Images) != 1 || m.Images[0] != drawn.Images[0] {
		t.Errorf("after the restore the picture is %+v", m)
	} else {
		k.guest.picture(m.Images[0])
	}
	// What a worker was at is told to have failed, once, and cost nothing. What still waited is done now.
	failed := 0
	for _, q := range busy {
		switch m := k.guest.answer(q); {
		case strings.Contains(m.Text, "It cost you nothing"):
			failed++
		case !strings.Contains(m.Text, "demonstration engine"):
			t.Errorf("what was under way ended in %q", m.Text)
		}
	}
	if failed != 2 {
		t.Errorf("%d of the %d requests under way were given up, want the 2 that had a job", failed, len(busy))
	}
	// The link of the worker is still good: no new join string.
	k.until(question, "demonstration engine")
	if earned := k.operator.earned(); earned <= paid {
		t.Errorf("the worker answered after the restore and earned %v in all", earned)
	}
	k.close()
	for _, q := range append(busy, asked, picture) {
		k.guest.answeredOnce(q)
	}
}

func TestBackupWithoutARunningBotSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	environ := []string{"POTLUCK_DATA_DIR=" + data}
	refused := func(want string, args ...string) {
		t.Helper()
		out, errs, code := execute(t, "potluck", environ, append([]string{"backup"}, args...)...)
		if code != 1 || !strings.Contains(errs, want) || strings.Count(strings.TrimSpace(errs), "\n") > 0 {
			t.Errorf("backup %v: %d %q %q, want one line with %q", args, code, out, errs, want)
		}
	}
	to := filepath.Join(t.TempDir(), "copy")
	refused("there is no database", "-to", to)
	p := start(t, "potluck", "", append(environ, "POTLUCK_HTTP_ADDR=127.0.0.1:0"), "serve")
	p.said(p.errs, "msg=potluck ")
	p.stop()
	refused("-to FOLDER")
	refused("cannot be", "-to", filepath.Join(data, "potluck.db", "copy"))

	for _, inside := range []string{data, filepath.Join(data, "backups", "today")} { // it would be lost with what it is a backup of
		refused("cannot be inside of the data folder "+data, "-to", inside)
	}

	// What a backup leaves that was killed while it copied the database is taken away by the next one; anything else is not touched.
	write(t, filepath.Join(to, "potluck.db.partial"), "half")
	write(t, filepath.Join(to, "potluck.db.partial-wal"), "half")
	write(t, filepath.Join(to, "notes.txt"), "mine")
	refused("is not empty", "-to", to)
	if err := os.Remove(filepath.Join(to, "notes.txt")); err != nil {
		t.Fatal(err)
	}
	out, errs, code := execute(t, "potluck", environ, "backup", "-to", to, "-pictures=false")
	if code != 0 || !strings.Contains(out, "NOT copied") || !strings.Contains(out, "not copied, as you wished") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(to, "secret.key")); err == nil {
		t.Error("the keys were copied without -keys")
	}
	// A backup without its key starts nothing: a new key would fit nothing.
	environ = []string{"POTLUCK_DATA_DIR=" + to, "POTLUCK_HTTP_ADDR=127.0.0.1:0"}
	if _, errs, code := execute(t, "potluck", environ, "serve"); code == 0 || !strings.Contains(errs, "secret.key") {
		t.Errorf("serve on a backup without keys: %d %q", code, errs)
	}

	if err := os.Remove(filepath.Join(data, "secret.key")); err != nil {
		t.Fatal(err)
	}
	environ = []string{"POTLUCK_DATA_DIR=" + data}
	refused("secret.key is missing", "-to", filepath.Join(t.TempDir(), "second"))
}
