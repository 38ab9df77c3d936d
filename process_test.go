package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs builds potluck and potluck-worker once per test run, puts their folder on the PATH, where the demo looks for its worker, and
// returns it.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "potluck-programs-")
	if err != nil {
		return "", err
	}
	programsDir = dir
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".", "./cmd/potluck-worker").CombinedOutput(); err != nil {
		return dir, errors.New(string(out))
	}
	return dir, os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
})

// programsDir is what TestMain removes; empty when no test needed a program.
var programsDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if programsDir != "" {
		os.RemoveAll(programsDir)
	}
	os.Exit(code)
}

// binary is the path of a built program.
func binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatalf("build the programs: %v", err)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// transcript keeps what a program prints and lets a test wait for words in it.
type transcript struct {
	mu    sync.Mutex
	text  strings.Builder
	grown chan struct{} // closed at the next write
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
	return len(b), nil
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// program is a running potluck or potluck-worker: a process of its own, or potluck's run in this one.
type program struct {
	t          testing.TB
	out, errs  *transcript
	cmd        *exec.Cmd // nil: in this process
	stopGently func()
	ended      chan struct{}
	code       int // valid once ended is closed
}

// start runs a program as a process of its own; stdin may be empty.
func start(t testing.TB, name, stdin string, environ []string, args ...string) *program {
	t.Helper()
	return launch(t, stdin, environ, binary(t, name), args...)
}

// launch is start with the path of any program.
func launch(t testing.TB, stdin string, environ []string, path string, args ...string) *program {
	t.Helper()
	p := newProgram(t)
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append(cleanEnviron(), environ...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = strings.NewReader(stdin), p.out, p.errs
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code says it
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.ended)
	}()
	p.stopGently = func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }
	t.Cleanup(p.kill)
	return p
}

// startHere runs potluck in this process.
func startHere(t testing.TB, environ []string, args ...string) *program {
	t.Helper()
	binary(t, "potluck-worker") // for demo
	p := newProgram(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		p.code = run(ctx, args, environ, p.out, p.errs)
		close(p.ended)
	}()
	p.stopGently = cancel
	t.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

func newProgram(t testing.TB) *program {
	p := &program{t: t, out: &transcript{}, errs: &transcript{}, ended: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", p.out, p.errs)
		}
	})
	return p
}

// cleanEnviron is this process's environment without anybody's Potluck in it.
func cleanEnviron() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "POTLUCK_") {
			env = append(env, e)
		}
	}
	return env
}

// said waits until the program has printed a pattern there and returns its groups.
func (p *program) said(where *transcript, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		where.mu.Lock()
		found := re.FindStringSubmatch(where.text.String())
		if where.grown == nil {
			where.grown = make(chan struct{})
		}
		grown := where.grown
		where.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-grown:
		case <-p.ended:
			p.t.Fatalf("the program ended with %d and did not say %s", p.code, pattern)
		case <-late.C:
			p.t.Fatalf("the program did not say %s", pattern)
		}
	}
}

// kill is SIGKILL: the program can do nothing about it.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the program to stop, waits until it has, and returns its exit code.
func (p *program) stop() int {
	p.t.Helper()
	p.stopGently()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		p.t.Fatal("the program did not stop")
	}
	return p.code
}

// execute runs a program to its end.
func execute(t testing.TB, name string, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := start(t, name, "", environ, args...)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		t.Fatalf("%s %v did not end", name, args)
	}
	return p.out.String(), p.errs.String(), p.code
}

// write makes a file with its folders.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
