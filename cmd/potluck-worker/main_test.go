package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"potluck/workers/agent"
	"potluck/workers/protocol"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "potluck-worker")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "potluck-worker")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		println(err.Error())
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// server answers each worker as the test says and hands over what it wrote.
type server struct {
	*httptest.Server
	key    ed25519.PrivateKey
	hellos chan protocol.Hello
	frames chan protocol.Frame
}

func newServer(t *testing.T, answer protocol.Frame, then ...protocol.Frame) *server {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{key: key, hellos: make(chan protocol.Hello, 8), frames: make(chan protocol.Frame, 256)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		workerKey, _ := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("key"))
		workerNonce, _ := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("nonce"))
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		send := func(f protocol.Frame) {
			b, _ := protocol.Encode(f)
			_ = conn.Write(r.Context(), websocket.MessageText, b)
		}
		public, nonce := key.Public().(ed25519.PublicKey), make([]byte, 32)
		send(protocol.Challenge{Protocol: 1, Key: public, Nonce: nonce, Signature: ed25519.Sign(key, protocol.Transcript(protocol.RoleServer, 1, nonce, workerNonce, public, workerKey))})
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			f, _ := protocol.Decode(b)
			switch f := f.(type) {
			case protocol.Hello:
				s.hellos <- f
				send(answer)
				for _, f := range then {
					send(f)
				}
			case protocol.Bye:
				s.frames <- f
				return
			default:
				s.frames <- f
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) join() string {
	return protocol.Join{Server: s.URL, Fingerprint: protocol.Fingerprint(s.key.Public().(ed25519.PublicKey)), Code: "ABCD2345"}.String()
}

var welcome = protocol.Welcome{Worker: 3, Name: "anna-pc", Owner: "Anna", Token: "t", BeatMS: 1000}

// worker runs the program to its end.
func worker(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "POTLUCK_WORKER_DIR="+dir)
	return cmd
}

func TestUnknownCommandNamesTheNearest(t *testing.T) {
	_, stderr, code := worker(t, t.TempDir(), "stauts")
	if code != 2 || !strings.Contains(stderr, `no command "stauts", did you mean "status"?`) {
		t.Errorf("%d %s", code, stderr)
	}
	if stdout, _, code := worker(t, t.TempDir(), "help"); code != 0 || !strings.Contains(stdout, "potluck-worker join <string>") {
		t.Errorf("help: %d %s", code, stdout)
	}
	if stdout, _, code := worker(t, t.TempDir(), "version"); code != 0 || !strings.HasPrefix(stdout, program()) {
		t.Errorf("version: %d %s", code, stdout)
	}
}

func TestJoinThenStatus(t *testing.T) {
	s, dir := newServer(t, welcome), filepath.Join(t.TempDir(), "worker")
	if _, stderr, code := worker(t, dir, "status"); code != 1 || !strings.Contains(stderr, "not linked yet") {
		t.Errorf("status before: %d %s", code, stderr)
	}
	stdout, stderr, code := worker(t, dir, "join", s.join(), "-name", "my box")
	if code != 0 || !strings.Contains(stdout, "Linked to "+s.URL+" as anna-pc, owner Anna.") || !strings.Contains(stdout, "potluck-worker run") {
		t.Fatalf("join: %d %s%s", code, stdout, stderr)
	}
	if h := <-s.hellos; h.JoinCode != "ABCD2345" || h.Name != "my box" {
		t.Errorf("hello %+v", h)
	}
	stdout, _, code = worker(t, dir, "status")
	if code != 0 || !strings.Contains(stdout, "owner Anna") || !strings.Contains(stdout, "Not running") || !strings.Contains(stdout, "/credits") {
		t.Errorf("status: %d %s", code, stdout)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	if err != nil || !strings.Contains(string(config), "max_pixels:") {
		t.Errorf("config.yaml: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("engines: auto\nkindz: [chat]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := worker(t, dir, "run"); code != 1 || !strings.Contains(stderr, `line 2: unknown key "kindz", did you mean "kinds"?`) {
		t.Errorf("run with a wrong key: %d %s", code, stderr)
	}
	other := newServer(t, welcome)
	if _, stderr, code := worker(t, dir, "join", other.join()); code != 1 || !strings.Contains(stderr, "use -replace") {
		t.Errorf("join elsewhere: %d %s", code, stderr)
	}
}

func TestJoinTakesABrokenString(t *testing.T) {
	s, dir := newServer(t, welcome), filepath.Join(t.TempDir(), "worker")
	str := s.join()
	stdout, stderr, code := worker(t, t.TempDir(), "join", str[:20]+"\r\n  "+str[20:50], str[50:80]+" ", "\n"+str[80:], "-dir", dir)
	if code != 0 {
		t.Fatalf("join: %d %s%s", code, stdout, stderr)
	}
	want := "What this machine may do stands in " + filepath.Join(dir, "config.yaml") + ".\nTo begin: potluck-worker run -dir " + dir + "\n"
	if !strings.HasSuffix(stdout, want) {
		t.Errorf("join says %q, want %q at its end", stdout, want)
	}
}

func TestUnlinkedWorkerSaysSo(t *testing.T) {
	s, dir := newServer(t, protocol.Bye{Code: protocol.ByeRevoked}), filepath.Join(t.TempDir(), "worker")
	linker := newServer(t, welcome)
	if _, stderr, code := worker(t, dir, "join", linker.join()); code != 0 {
		t.Fatalf("join: %d %s", code, stderr)
	}
	link, err := os.ReadFile(filepath.Join(dir, "link.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	finger := func(s *server) string {
		f := protocol.Fingerprint(s.key.Public().(ed25519.PublicKey))
		return hex.EncodeToString(f[:])
	}
	moved := strings.NewReplacer(linker.URL, s.URL, finger(linker), finger(s)).Replace(string(link))
	if err := os.WriteFile(filepath.Join(dir, "link.yaml"), []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := worker(t, dir, "run"); code != 1 || !strings.Contains(stderr, "the server has revoked this worker") {
		t.Errorf("run: %d %s", code, stderr)
	}
	stdout, _, code := worker(t, dir, "status")
	if code != 0 || !strings.Contains(stdout, "unlinked by "+s.URL) || !strings.Contains(stdout, "/worker link") || strings.Contains(stdout, "To begin") {
		t.Errorf("status: %d %s", code, stdout)
	}
}

func TestPauseNeedsALink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "worker")
	if stdout, stderr, code := worker(t, dir, "pause", "game", "night"); code != 1 || !strings.Contains(stderr, "not linked yet") || !strings.Contains(stderr, dir) {
		t.Errorf("pause: %d %s%s", code, stdout, stderr)
	}
}

func TestStatusOfTheFirstSeconds(t *testing.T) {
	s, dir := newServer(t, welcome), t.TempDir()
	if _, stderr, code := worker(t, dir, "join", s.join()); code != 0 {
		t.Fatal(stderr)
	}
	unlock, err := agent.Folder(dir).Lock() // as a worker that runs
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for state, offersNothing := range map[string]bool{"connecting": false, "connected": true} {
		if err := os.WriteFile(filepath.Join(dir, "status.json"), []byte(`{"state":"`+state+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		stdout, _, code := worker(t, dir, "status")
		if code != 0 || strings.Contains(stdout, "Offers nothing") != offersNothing || !strings.Contains(stdout, state) {
			t.Errorf("%s: %d %s", state, code, stdout)
		}
	}
}

func TestEnginesStandInColumns(t *testing.T) {
	dir := t.TempDir()
	config := "engines: []\ndemo: true\nopenai:\n  - base_url: http://127.0.0.1:1/a/rather/long/address/v1\n"
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := worker(t, dir, "engines")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 2 {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	where, why := strings.Index(lines[0], "built in"), strings.Index(lines[1], "it does not list its models")
	if where < 0 || where != why || !strings.Contains(lines[1], "/v1  it does") {
		t.Errorf("the last column begins at %d and %d:\n%s", where, why, stdout)
	}
}

func TestJoinFailuresAreOneSentence(t *testing.T) {
	s := newServer(t, protocol.Bye{Code: protocol.ByeBadCode})
	wrong := protocol.Join{Server: s.URL, Code: "ABCD2345"}.String()
	for str, want := range map[string]string{
		"potluck1.abc": "part of the join string is missing",
		wrong:          "this is not the server that gave out the join string",
		s.join():       "expired, already used or mistyped",
	} {
		_, stderr, code := worker(t, t.TempDir(), "join", str)
		if code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d %s", str, code, stderr)
		}
	}
	if n := len(s.hellos); n != 1 {
		t.Errorf("%d hellos, want only the one to the right server", n)
	}
}

func TestRunJoinsServesAndDrains(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no interrupt to another process")
	}
	job := protocol.Assign{Lease: strings.Repeat("a", 32), Attempt: 1, Kind: protocol.Chat, Model: "none", Engine: "none", Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: "x"}}}}
	s, dir := newServer(t, welcome, job), t.TempDir()
	cmd := command(t, dir, "run", "-join", s.join(), "-demo", "fill")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(errs)
	var log strings.Builder
	for connected := false; !connected && lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		connected = strings.Contains(lines.Text(), "msg=connected")
	}
	rest := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(errs)
		rest <- string(b)
	}()
	if h := <-s.hellos; h.JoinCode == "" {
		t.Error("the first hello must join")
	}
	if h := <-s.hellos; h.JoinCode != "" {
		t.Error("the second hello must not join again")
	}
	await := func(what string, is func(protocol.Frame) bool) {
		t.Helper()
		timeout := time.After(5 * time.Minute)
		for {
			select {
			case f := <-s.frames:
				if is(f) {
					return
				}
			case <-timeout:
				t.Fatalf("no %s came; log: %s", what, log.String())
			}
		}
	}
	await("refusal", func(f protocol.Frame) bool {
		r, ok := f.(protocol.Refuse)
		return ok && r.Reason == protocol.ReasonModel
	})

	if _, stderr, code := worker(t, dir, "run"); code != 1 || !strings.Contains(stderr, "already runs with this key on this machine") {
		t.Errorf("a second run: %d %s", code, stderr)
	}
	if stdout, _, _ := worker(t, dir, "status"); !strings.Contains(stdout, "Running") {
		t.Errorf("status: %s", stdout)
	}
	if stdout, _, code := worker(t, dir, "pause", "game", "night"); code != 0 || !strings.Contains(stdout, "Paused") {
		t.Errorf("pause: %s", stdout)
	}
	await("pause", func(f protocol.Frame) bool { p, ok := f.(protocol.Pause); return ok && p.Reason == "game night" })
	if _, _, code := worker(t, dir, "resume"); code != 0 {
		t.Error("resume")
	}
	await("resume", func(f protocol.Frame) bool { _, ok := f.(protocol.Resume); return ok })

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	await("drain", func(f protocol.Frame) bool { _, ok := f.(protocol.Drain); return ok })
	await("bye", func(f protocol.Frame) bool { _, ok := f.(protocol.Bye); return ok })
	tail := <-rest
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s%s", err, log.String(), tail)
	}
}

func TestNeedsNoDatabaseAndNoBot(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"go-sqlite3", "discordgo", "go-telegram", "lingua-go", "potluck/storage", "potluck/bot"} {
		if strings.Contains(string(out), not) {
			t.Errorf("the worker links %s", not)
		}
	}
}
