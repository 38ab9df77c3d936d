package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"potluck/failpoint"
)

// calls are the system calls that strace has seen, one per line.
type calls string

// inOrder checks that these patterns are found one behind the other.
func (c calls) inOrder(t *testing.T, patterns ...string) {
	t.Helper()
	rest := string(c)
	for i, p := range patterns {
		at := regexp.MustCompile("(?m)^.*" + p + ".*$").FindStringIndex(rest)
		if at == nil {
			t.Errorf("the calls %q are not there in this order; looking for the one at %d", patterns, i)
			return
		}
		rest = rest[at[1]:]
	}
}

// traced is a kitchen whose bot runs below strace: Go makes its system calls without libc, so powercut does not see keys and pictures. read returns the
// calls so far.
func traced(t *testing.T, environ ...string) (k *kitchen, read func() calls) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil || exec.Command(strace, "-o", os.DevNull, "true").Run() != nil {
		t.Skip("no strace here, or it may not trace: nobody sees the system calls of Go")
	}
	k = &kitchen{t: t, data: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0"}
	trace := filepath.Join(t.TempDir(), "trace")
	environ = append([]string{"POTLUCK_DATA_DIR=" + k.data, "POTLUCK_HTTP_ADDR=" + k.addr, "POTLUCK_HTTP_PUBLIC_URL=http://10.0.0.1:8080"}, environ...)
	k.bot = launch(t, "", environ, strace, "-D", "-f", "-y", "-s", "0", "-e", "trace=fsync,linkat,renameat,renameat2", "-o", trace, binary(t, "potluck"), "serve")
	k.addr = k.bot.said(k.bot.errs, `msg=potluck .*addr=(\S+)`)[1]
	k.operator, k.guest = k.visit("Olga"), k.visit("Gail")
	k.operator.becomeOperator(k.bot.said(k.bot.out, `Be its operator: (\S+)`)[1])
	return k, func() calls {
		t.Helper()
		b, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		return calls(b)
	}
}

// A key, or a picture, is on the disk before it has its name, and its name is before anybody relies on it. (A power cut at the first start could leave an
// empty key, and one right after an answer could take its picture away.)
func TestKeysAndPicturesAreOnTheDiskBeforeAnybodyReliesOnThem(t *testing.T) {
	t.Parallel()
	k, read := traced(t)
	k.lend(k.operator, "tower", demoKitchen)
	if m := k.guest.ask("/imagine a lighthouse at dusk"); len(m.Images) != 1 {
		t.Fatalf("the answer is %+v", m)
	}
	seen, data := read(), regexp.QuoteMeta(k.data)
	k.close()

	for _, key := range []string{"secret.key", "server.key"} {
		named := strings.ReplaceAll(key, ".", `\.`)
		seen.inOrder(t, `fsync\(\d+<`+data+`/`+named+`\.new-`, `linkat\(`, `fsync\(\d+<`+data+`>`, `fsync\(\d+<`+data+`/potluck\.db`)
	}
	seen.inOrder(t, `fsync\(\d+<`+data+`/pictures/unfinished-`, `renameat\(`, `fsync\(\d+<`+data+`/pictures>`, `fsync\(\d+<`+data+`/potluck\.db-wal>`)
}

// drop takes from a folder of the bot what a power cut takes: a file that was not synced under its name, and a name that the folder was not synced with.
func (c calls) drop(t *testing.T, folder string) (kept, dropped int) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(folder, f.Name())
		durable := regexp.MustCompile(`(?s)fsync\(\d+<` + regexp.QuoteMeta(path) + `>.*fsync\(\d+<` + regexp.QuoteMeta(folder) + `>`)
		if durable.MatchString(string(c)) {
			kept++
			continue
		}
		dropped++
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return kept, dropped
}

// The power fails right after a picture was paid, before it stands in the album: what the worker sent has to be on the disk by then, or a paid request
// ends with an apology.
func TestPowerCutKeepsThePictureOfAPaidJob(t *testing.T) {
	t.Parallel()
	k, read := traced(t, failpoint.Variable+"=settle.after=1:kill")
	tower := k.lend(k.operator, "tower", demoKitchen)
	q := k.guest.say("/imagine a lighthouse at dusk")
	<-k.bot.ended
	tower.kill() // nobody can draw it again
	kept, dropped := read().drop(t, filepath.Join(k.data, "blobs"))
	t.Logf("%d files in blobs/ were on the disk, %d were not", kept, dropped)

	k.startBot()
	if m := k.guest.answer(q); len(m.Images) != 1 {
		t.Errorf("a paid request ends with %q and %d pictures", m.Text, len(m.Images))
	}
	k.close()
}

// A key that was not finished when the power failed is drawn anew, and two who draw it at the same time get the same one.
func TestUnfinishedKeyIsDrawnAnewAndOnlyOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret.key.new-17"), "half")
	keys := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = drawKey(dir, "secret.key"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) || len(k) != 32 {
			t.Fatalf("the keys differ: %x", keys)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "secret.key"))
	if err != nil || keepsModes && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}
