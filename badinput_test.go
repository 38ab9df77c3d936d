package main

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"potluck/storage"
	"potluck/workers/protocol"
)

// serveHere runs serve in this process, without a worker.
func serveHere(t *testing.T, environ ...string) (p *program, base string) {
	t.Helper()
	p = startHere(t, append([]string{"POTLUCK_HTTP_ADDR=127.0.0.1:0"}, environ...), "serve")
	return p, "http://" + p.said(p.errs, `msg=potluck .*addr=(\S+)`)[1]
}

func TestBadCommandsAreAnsweredWithWhatToDo(t *testing.T) {
	t.Parallel()
	// Nobody waits for workers that could come back.
	_, base := serveHere(t, "POTLUCK_DATA_DIR="+t.TempDir(), "POTLUCK_WORKERS_RESTART_GRACE=1ms", "POTLUCK_LIMITS_PER_MINUTE=1000")
	v := visit(t, base, "Anna")
	for _, c := range []struct{ say, want string }{
		{"/imagin a cat", "There is no command /imagin. Did you mean /imagine? /help shows everything."},
		{"/zzzzzz", "There is no command /zzzzzz. Type /help to see what I can do."},
		{"/imagine", "/imagine still needs a description of the picture. Type it like this: /imagine "},
		{"/translate to:es", "/translate still needs the text to translate. Type it like this: /translate "},
		{"/translate guten Tag", "/translate still needs the language to translate to. Type it like this: /translate "},
		{"/worker revoke", "/worker revoke still needs the number of the machine. Type it like this: /worker revoke 12"},
		{"/imagine style:animee a cat", "Possible: "},
		{"/imagine seed:lots a cat", "“lots” does not fit seed."},
		{"/ask " + strings.Repeat("x", 10_000), "question is too long: 10,000 characters, and 4,000 fit. Please shorten it and try again."},
		{"/imagine " + strings.Repeat("a cat ", 2000)[:10_000], "prompt is too long: "},
		{"/translate to:es " + strings.Repeat("猫", 10_000), "text is too long: 10,000 characters, and 4,000 fit."},
		{"/translate to:klingonish hello", "I do not know the language “klingonish”. Write its name or its code, like spanish or es."},
		{"/ask are you there?", "No machine that is online can answer questions right now. Try again later, or lend a GPU of your own with /worker link."},
		{"/imagine a cat", "No machine that is online can draw pictures right now."},
		{"/translate from:en to:es hello", "No machine that is online can translate right now."},
		{"/credits why:77", "I know of no finished job 77 of yours."},
		{"/worker link", "Other machines cannot reach this Potluck at " + base + ", so I give out no link. Ask the operator to set the public address (public_url) first."},
	} {
		if got := v.ask(c.say).Text; !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%.60s: %q, want %q", c.say, got, c.want)
		}
	}
}

func TestUnsupportedPairNamesWhatIsPossible(t *testing.T) {
	if _, err := os.Stat("/usr/share/apertium/modes/eng-spa.mode"); err != nil {
		t.Skip("Apertium with eng-spa is not installed: scripts/install.sh check")
	}
	t.Parallel()
	k := openKitchen(t, "POTLUCK_WORKERS_RESTART_GRACE=1ms")
	k.lend(k.operator, "tower", "engines: [apertium]\n")
	k.until("/translate from:en to:es hello", "hola")
	got := k.guest.ask("/translate from:en to:ja hello").Text
	for _, part := range []string{"Nobody online translates from English into Japanese.", "From English you can have ", "Spanish", "Catalan"} {
		if !strings.Contains(got, part) {
			t.Errorf("an unsupported pair: %q, want %q", got, part)
		}
	}
	if got := k.guest.ask("/translate from:ja to:en こんにちは").Text; !strings.Contains(got, "Nobody online translates from Japanese into English. Possible now: ") {
		t.Errorf("an unsupported source language: %q", got)
	}
	k.close()
}

func TestJoinCodesThatDoNotWork(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	expired := expiredCode(t, data)
	_, base := serveHere(t, "POTLUCK_DATA_DIR="+data, "POTLUCK_HTTP_PUBLIC_URL=http://10.0.0.1:8080")
	k := &kitchen{t: t, addr: strings.TrimPrefix(base, "http://")}
	good := k.joinString(k.visit("Anna"), "tower")

	join := func(j protocol.Join) (stdout, stderr string, code int) {
		return execute(t, "potluck-worker", nil, "join", "-dir", filepath.Join(t.TempDir(), "worker"), j.String())
	}
	refused := func(what, want string, change func(*protocol.Join)) {
		t.Helper()
		j := good
		change(&j)
		_, stderr, code := join(j)
		if code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d %q, want one sentence with %q", what, code, stderr, want)
		}
	}
	const newOne = "the code in the join string is expired, already used or mistyped: write /worker link again and copy all of the answer"
	refused("an expired code", newOne, func(j *protocol.Join) { j.Code = expired })
	refused("a mistyped code", newOne, func(j *protocol.Join) {
		j.Code = map[bool]string{true: "8", false: "9"}[j.Code[0] == '9'] + j.Code[1:]
	})
	refused("another server's fingerprint", "this is not the server that gave out the join string", func(j *protocol.Join) { j.Fingerprint[0]++ })
	refused("a server that is not there", "cannot be reached", func(j *protocol.Join) { j.Server = "http://127.0.0.1:1" })
	if stdout, stderr, code := join(good); code != 0 || !strings.Contains(stdout, "Linked to "+base+" as tower, owner Anna.") {
		t.Errorf("the code should have survived all that: %d %s%s", code, stdout, stderr)
	}
	refused("a code for the second time", newOne, func(*protocol.Join) {})
	_, stderr, code := execute(t, "potluck-worker", nil, "join", "-dir", t.TempDir(), good.String()[:40])
	if code != 1 || !strings.Contains(stderr, "part of the join string is missing: copy all of what /worker link answered") {
		t.Errorf("half a join string: %d %s", code, stderr)
	}
}

// expiredCode leaves a code in a new data folder that expired a second ago.
func expiredCode(t *testing.T, data string) string {
	t.Helper()
	secret, _, err := houseKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), storage.Config{Path: filepath.Join(data, "potluck.db"), Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	owner, err := (&storage.People{DB: db}).Member(t.Context(), "page:zoe", "Zoe", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	code := protocol.NewCode()
	if err := (&storage.Jobs{DB: db}).SaveJoinCode(t.Context(), sha256.Sum256([]byte(code)), owner.ID, "attic", true, time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	return code
}

// refuses runs potluck in this process, which must fail with one line on standard error that holds every part.
func refuses(t *testing.T, code int, environ, args []string, parts ...string) {
	t.Helper()
	out, errs := &transcript{}, &transcript{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := run(ctx, args, environ, out, errs)
	said := errs.String()
	if got != code || strings.Count(said, "\n") != 1 && code == 1 || !strings.HasPrefix(said, "potluck") {
		t.Errorf("%v: exit code %d and %q, want %d and one sentence", args, got, said, code)
	}
	for _, p := range parts {
		if !strings.Contains(said, p) {
			t.Errorf("%v: %q does not say %q", args, said, p)
		}
	}
}

func TestStartsThatCannotWorkSayWhatToDo(t *testing.T) {
	t.Parallel()
	free := "POTLUCK_HTTP_ADDR=127.0.0.1:0"
	in := func(dir string) []string { return []string{free, "POTLUCK_DATA_DIR=" + dir} }
	serve := []string{"serve"}
	// used is a data folder in which Potluck has run.
	used := func(t *testing.T) string {
		data := t.TempDir()
		p, _ := serveHere(t, "POTLUCK_DATA_DIR="+data)
		if code := p.stop(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		return data
	}

	t.Run("unknown subcommand", func(t *testing.T) {
		refuses(t, 2, nil, []string{"srve"}, `there is no command "srve"`, `did you mean "serve"?`, "potluck help")
	})
	t.Run("unexpected word", func(t *testing.T) {
		refuses(t, 2, nil, []string{"serve", "now"}, `"now" was not expected`)
	})
	t.Run("unknown configuration key", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, "http:\n  adr: 127.0.0.1:1\n")
		refuses(t, 1, nil, []string{"serve", "-config", path}, path, "line 2", `unknown key "adr"`, `did you mean "addr"?`)
	})
	t.Run("unknown variable", func(t *testing.T) {
		refuses(t, 1, []string{"POTLUCK_HTTP_ADRR=127.0.0.1:1"}, serve, "POTLUCK_HTTP_ADRR", "did you mean POTLUCK_HTTP_ADDR?")
	})
	t.Run("no configuration file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		refuses(t, 1, nil, []string{"serve", "-config", path}, path+" cannot be read", "copy config.example.yaml")
	})
	t.Run("port in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addr := l.Addr().String()
		for _, name := range []string{"serve", "demo"} {
			binary(t, "potluck-worker")
			refuses(t, 1, []string{"POTLUCK_HTTP_ADDR=" + addr, "POTLUCK_DATA_DIR=" + t.TempDir()}, []string{name},
				"the address "+addr+" is in use", "stop that one, or choose another with http.addr or POTLUCK_HTTP_ADDR")
		}
	})
	t.Run("data folder is a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data")
		write(t, path, "")
		refuses(t, 1, in(path), serve, path, "cannot be made", "POTLUCK_DATA_DIR")
	})
	t.Run("unwritable data folder", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("folders there have no mode")
		}
		if os.Getuid() == 0 { // no mode stops root; nobody can make anything in /proc
			if runtime.GOOS != "linux" {
				t.Skip("root may write everywhere")
			}
			refuses(t, 1, in("/proc"), serve, "the data folder /proc", "cannot be", "choose another with data_dir or POTLUCK_DATA_DIR")
			return
		}
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		refuses(t, 1, in(dir), serve, dir, "cannot be", "permission denied", "POTLUCK_DATA_DIR")
	})
	t.Run("damaged server key", func(t *testing.T) {
		data := used(t)
		write(t, filepath.Join(data, "server.key"), "too short")
		refuses(t, 1, in(data), serve, filepath.Join(data, "server.key")+" is damaged (9 bytes, want 32)", "backup")
	})
	t.Run("lost secret key", func(t *testing.T) {
		data := used(t)
		if err := os.Remove(filepath.Join(data, "secret.key")); err != nil {
			t.Fatal(err)
		}
		refuses(t, 1, in(data), serve, "secret.key")
	})
	t.Run("not a database", func(t *testing.T) {
		data := t.TempDir()
		write(t, filepath.Join(data, "potluck.db"), strings.Repeat("shopping list\n", 1000))
		refuses(t, 1, in(data), serve, filepath.Join(data, "potluck.db")+" is not a Potluck database", "data_dir")
	})
	t.Run("corrupt database", func(t *testing.T) {
		data := used(t)
		overwrite(t, filepath.Join(data, "potluck.db"), 4096, []byte(strings.Repeat("\xde\xad", 16*4096)))
		for _, name := range []string{"serve", "audit"} {
			refuses(t, 1, in(data), []string{name}, filepath.Join(data, "potluck.db")+" is damaged", "keep a copy of the file and restore the latest backup")
		}
	})
	t.Run("newer schema", func(t *testing.T) {
		data := used(t)
		overwrite(t, filepath.Join(data, "potluck.db"), 60, []byte{0, 0, 3, 231}) // user_version in SQLite's header
		refuses(t, 1, in(data), serve, filepath.Join(data, "potluck.db"), "newer", "999")
	})
	t.Run("second process", func(t *testing.T) {
		data := t.TempDir()
		serveHere(t, "POTLUCK_DATA_DIR="+data)
		_, stderr, code := execute(t, "potluck", in(data), "serve")
		if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, filepath.Join(data, "potluck.db")+" is in use by process ") || !strings.Contains(stderr, "stop that Potluck first, or choose another folder with data_dir or POTLUCK_DATA_DIR") {
			t.Errorf("serve: %d %s", code, stderr)
		}
		for _, name := range []string{"audit", "check"} { // they only read
			if _, stderr, code := execute(t, "potluck", in(data), name); code != 0 {
				t.Errorf("%s: %d %s", name, code, stderr)
			}
		}
	})
	t.Run("nothing to audit", func(t *testing.T) {
		refuses(t, 1, in(t.TempDir()), []string{"audit"}, "there is no database at ", "POTLUCK_DATA_DIR")
	})
}

// overwrite puts bytes over a part of a file.
func overwrite(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A name that somebody else could point at this machine was taken for the page's own, as long as no public address was set.
func TestThePagesAnswerUnderTheirOwnNames(t *testing.T) {
	t.Parallel()
	_, base := serveHere(t, "POTLUCK_DATA_DIR="+t.TempDir())
	_, port, _ := strings.Cut(strings.TrimPrefix(base, "http://"), ":")
	ask := func(path, host string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		said, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(said)
	}
	for _, path := range []string{"/", "/webchat/session", "/operator"} {
		for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "192.168.1.5:8080", "raspberrypi:8080"} {
			if code, said := ask(path, host); code == http.StatusMisdirectedRequest {
				t.Errorf("%s at %s: %d %.200s", path, host, code, said)
			}
		}
		if code, said := ask(path, "evil.example:"+port); code != http.StatusMisdirectedRequest || !strings.Contains(said, "set http.public_url") || strings.Contains(said, "<") {
			t.Errorf("%s at another name: %d %.200s", path, code, said)
		}
	}
	if code, _ := ask("/healthz", "potluck.internal.example"); code != http.StatusOK {
		t.Errorf("who watches it under another name gets %d", code)
	}
}
