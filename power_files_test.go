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

// Go makes its system calls without libc, so powercut does not see keys and pictures. strace does: a key, or a picture, is on the disk before
// it has its name, and its name is before anybody relies on it. (A power cut at the first start could leave an empty key, and one right after
// an answer could take its picture away.)
func TestKeysAndPicturesAreOnTheDiskBeforeAnybodyReliesOnThem(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil || exec.Command(strace, "-o", os.DevNull, "true").Run() != nil {
		t.Skip("no strace here, or it may not trace: nobody sees the system calls of Go")
	}
	k := &kitchen{t: t, data: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0"}
	trace := filepath.Join(t.TempDir(), "trace")
	k.bot = launch(t, "", []string{"POTLUCK_DATA_DIR=" + k.data, "POTLUCK_HTTP_ADDR=" + k.addr, "POTLUCK_HTTP_PUBLIC_URL=http://10.0.0.1:8080"},
		strace, "-D", "-f", "-y", "-s", "0", "-e", "trace=fsync,linkat,renameat,renameat2", "-o", trace, binary(t, "potluck"), "serve")
	k.addr = k.bot.said(k.bot.errs, `msg=potluck .*addr=(\S+)`)[1]
	k.operator, k.guest = k.visit("Olga"), k.visit("Gail")
	k.operator.becomeOperator(k.bot.said(k.bot.out, `Be its operator: (\S+)`)[1])
	k.lend(k.operator, "tower", demoKitchen)
	if m := k.guest.ask("/imagine a lighthouse at dusk"); len(m.Images) != 1 {
		t.Fatalf("the answer is %+v", m)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	k.close()

	seen, data := calls(b), regexp.QuoteMeta(k.data)
	for _, key := range []string{"secret.key", "server.key"} {
		named := strings.ReplaceAll(key, ".", `\.`)
		seen.inOrder(t, `fsync\(\d+<`+data+`/`+named+`\.new-`, `linkat\(`, `fsync\(\d+<`+data+`>`, `fsync\(\d+<`+data+`/potluck\.db`)
	}
	seen.inOrder(t, `fsync\(\d+<`+data+`/pictures/unfinished-`, `renameat\(`, `fsync\(\d+<`+data+`/pictures>`, `fsync\(\d+<`+data+`/potluck\.db-wal>`)
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
