package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"potluck/workers/protocol"
)

type joined struct {
	link Link
	err  error
}

// join runs Join while the test answers as the server.
func join(t *testing.T, s *server, f Folder, str string, o JoinOptions) <-chan joined {
	done := make(chan joined, 1)
	o.HTTP, o.Program = s.client, "test"
	go func() {
		l, err := Join(context.Background(), f, str, o)
		done <- joined{l, err}
	}()
	return done
}

func TestJoin(t *testing.T) {
	s, f := onLoopback(t), Folder(filepath.Join(t.TempDir(), "worker"))
	done := join(t, s, f, s.joinString(), JoinOptions{Name: "Anna's PC"})
	l := s.accept()
	if l.hello.JoinCode != "ABCD2345" || l.hello.Name != "Anna's PC" || l.hello.Program != "test" || l.hello.Hardware.CPUs < 1 {
		t.Errorf("hello %+v", l.hello)
	}
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	saved, err := f.Link()
	if err != nil || saved != got.link || saved.Owner != "Anna" || saved.Worker != 7 || saved.Server != s.url {
		t.Errorf("saved %+v, %v", saved, err)
	}
	key, err := f.Key()
	if err != nil || !key.Public().(ed25519.PublicKey).Equal(l.key) {
		t.Errorf("the saved key is not the one that was shown: %v", err)
	}
	for _, name := range []string{keyFile, linkFile, configFile} {
		info, err := os.Stat(f.path(name))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}

	// The same string again: the same server, so nothing has to be given up. Another server: refused until -replace, which takes a new key.
	again := join(t, s, f, s.joinString(), JoinOptions{})
	if l2 := s.accept(); !l2.key.Equal(l.key) {
		t.Error("a second join to the same server has another key")
	}
	if r := <-again; r.err != nil {
		t.Error(r.err)
	}
	other := onLoopback(t)
	if r := <-join(t, other, f, other.joinString(), JoinOptions{}); r.err == nil || !strings.Contains(r.err.Error(), "already linked to "+s.url) {
		t.Errorf("join elsewhere: %v", r.err)
	}
	replaced := join(t, other, f, other.joinString(), JoinOptions{Replace: true})
	if l3 := other.accept(); l3.key.Equal(l.key) {
		t.Error("another server was shown the same key")
	}
	if r := <-replaced; r.err != nil || r.link.Server != other.url {
		t.Errorf("%+v", r)
	}
}

func TestJoinFailures(t *testing.T) {
	s := onLoopback(t)
	_, strange, _ := ed25519.GenerateKey(rand.Reader)
	wrong := protocol.Join{Server: s.url, Fingerprint: protocol.Fingerprint(strange.Public().(ed25519.PublicKey)), Code: "ABCD2345"}.String()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	nobody := protocol.Join{Server: "http://" + closed.Addr().String(), Code: "ABCD2345"}.String()
	web := &http.Server{Handler: http.NotFoundHandler()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	defer func() { web.Close(); <-served }()
	page := protocol.Join{Server: "http://" + listener.Addr().String(), Code: "ABCD2345"}.String()

	for name, c := range map[string]struct {
		str  string
		bye  string
		want string
	}{
		"damaged":     {s.joinString()[:40], "", "part of the join string is missing"},
		"wrong key":   {wrong, "", "this is not the server that gave out the join string"},
		"old code":    {s.joinString(), protocol.ByeBadCode, "expired, already used or mistyped"},
		"too many":    {s.joinString(), protocol.ByeTooMany, "as many workers as this server allows"},
		"revoked":     {s.joinString(), protocol.ByeRevoked, "revoked"},
		"unreachable": {nobody, "", "cannot be reached: connect: connection refused"},
		"a web page":  {page, "", "it answered 404 Not Found instead of a worker link"},
	} {
		t.Run(name, func(t *testing.T) {
			f := Folder(t.TempDir())
			done := join(t, s, f, c.str, JoinOptions{})
			if c.bye != "" {
				s.hello().send(protocol.Bye{Code: c.bye})
			}
			r := <-done
			if r.err == nil || !strings.Contains(r.err.Error(), c.want) || strings.Contains(r.err.Error(), "\n") {
				t.Errorf("error %v, want one sentence with %q", r.err, c.want)
			}
			if _, err := f.Link(); !errors.Is(err, ErrNotLinked) {
				t.Errorf("link after a failure: %v", err)
			}
			select {
			case l := <-s.links:
				t.Errorf("a hello was sent: %+v", l.hello)
			default:
			}
		})
	}
}

func TestJoinOnceTakesTheLinkThatIsThere(t *testing.T) {
	s, f := onLoopback(t), Folder(t.TempDir())
	done := join(t, s, f, s.joinString(), JoinOptions{})
	s.accept()
	<-done
	once := func() <-chan joined {
		done := make(chan joined, 1)
		go func() {
			l, err := JoinOnce(context.Background(), f, s.joinString(), JoinOptions{HTTP: s.client})
			done <- joined{l, err}
		}()
		return done
	}
	known := once()
	if l := s.accept(); l.hello.JoinCode != "" || !l.hello.Paused {
		t.Errorf("hello %+v", l.hello)
	}
	if r := <-known; r.err != nil {
		t.Error(r.err)
	}
	forgotten := once()
	s.hello().send(protocol.Bye{Code: protocol.ByeBadSignature})
	if l := s.accept(); l.hello.JoinCode == "" {
		t.Error("a server with a new database was not joined again")
	}
	if r := <-forgotten; r.err != nil {
		t.Error(r.err)
	}
}

func TestRevokedWorkerIsRememberedUntilTheNextJoin(t *testing.T) {
	s, f := onLoopback(t), Folder(t.TempDir())
	linked := func(o JoinOptions) {
		t.Helper()
		done := join(t, s, f, s.joinString(), o)
		s.accept()
		if r := <-done; r.err != nil || r.link.Unlinked {
			t.Fatalf("%+v", r)
		}
	}
	linked(JoinOptions{})
	for _, err := range []error{nil, errors.New("the power failed"), &ByeError{Code: protocol.ByeShutdown}} {
		if got := f.NoteEnd(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
		if l, err := f.Link(); err != nil || l.Unlinked {
			t.Errorf("%+v, %v", l, err)
		}
	}
	end := &ByeError{Code: protocol.ByeRevoked}
	if err := f.NoteEnd(end); err != error(end) {
		t.Errorf("NoteEnd: %v", err)
	}
	if l, err := f.Link(); err != nil || !l.Unlinked || l.Owner != "Anna" {
		t.Errorf("%+v, %v", l, err)
	}
	linked(JoinOptions{})
	if l, err := f.Link(); err != nil || l.Unlinked {
		t.Errorf("after the next join: %+v, %v", l, err)
	}
}

func TestKeyMustNotBeReadableByOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	f := Folder(t.TempDir())
	if _, err := f.newKey(keyFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.path(keyFile), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Key(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("Key: %v", err)
	}
}

func TestLock(t *testing.T) {
	f := Folder(t.TempDir())
	unlock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock(); !errors.Is(err, ErrRunning) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	unlock, err = f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestPauseFile(t *testing.T) {
	f := Folder(t.TempDir())
	if err := f.Pause("game\nnight\x1b"); err != nil {
		t.Fatal(err)
	}
	if reason, paused := f.Paused(); !paused || reason != "game night" {
		t.Errorf("%q %v", reason, paused)
	}
	for range 2 {
		if err := f.Resume(); err != nil {
			t.Error(err)
		}
	}
	if _, paused := f.Paused(); paused {
		t.Error("still paused")
	}
}

func TestSettings(t *testing.T) {
	s, err := ParseSettings(defaultConfig)
	if err != nil {
		t.Fatal(err)
	}
	if d := DefaultSettings(); s.Limits != d.Limits || s.Demo != d.Demo || !s.Engines.Auto || len(s.Kinds) != 3 {
		t.Errorf("the default file says %+v, the program %+v", s, d)
	}
	s, err = ParseSettings([]byte("engines: [openai]\ndemo: fill\nopenai:\n  - base_url: http://192.168.1.5:8080/v1\n    slots: 2\nlimits:\n  max_steps: 20\n"))
	if err != nil || s.Engines.Auto || s.Engines.Names[0] != "openai" || s.Demo != DemoFill || s.OpenAI[0].Slots != 2 || s.Limits.MaxSteps != 20 || s.Limits.MaxTokens != 4096 {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"kinds: [chat]\nmodel: [x]\n":                             `line 2: unknown key "model", did you mean "models"?`,
		"limits:\n  max_tokens: 5\n  max_stepz: 5\n":              `line 3: unknown key "max_stepz", did you mean "max_steps"?`,
		"openai:\n  - base_url: http://127.0.0.1/v1\n    slot: 1": `line 3: unknown key "slot", did you mean "slots"?`,
		"max_seconds: 60\n":                                       `line 1: unknown key "max_seconds", it belongs under limits:`,
		"limits:\n  kinds: [chat]\n":                              `line 2: unknown key "kinds", it belongs at the left edge`,
		"base_url: http://127.0.0.1/v1\n":                         `line 1: unknown key "base_url", it belongs under openai:`,
		"limits: {max_tokens: many}":                              "line 1:",
		"kinds: [video]":                                          `"video" is none of chat, image, translate`,
		"openai: [{base_url: https://api.example.com/v1}]":        "force: true",
		"openai: [{base_url: 'file:///etc'}]":                     "is not an address",
		"demo: maybe":                                             "want true, false or fill",
		"engines: some":                                           "want auto or a list",
		"limits: {jobs_at_once: 0}":                               "jobs_at_once is 1 to 64",
		"models: ['[']":                                           "not a pattern",
		"a: [":                                                    "line 1:",
	} {
		if _, err := ParseSettings([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Folder(t.TempDir()).Settings(); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// A config.yaml whose lines are all comments wiped every default: no kinds, no programs, and an error about jobs_at_once.
func TestFileWithoutKeysMeansTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing changed\n", "---\n", "limits:\n  # max_steps: 20\n", "engines:\nkinds:\ndemo:\n"} {
		s, err := ParseSettings([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(DefaultSettings(), s); diff != "" {
			t.Errorf("%q (-default +read):\n%s", text, diff)
		}
	}
}

func TestConfigNeedsALink(t *testing.T) {
	if _, err := Folder(t.TempDir()).Config(t.Context()); !errors.Is(err, ErrNotLinked) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Config: %v", err)
	}
}
