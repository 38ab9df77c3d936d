// Package fakeserver is what the fake platforms of tests share: where they listen, how a test waits for them, where the official specifications are.
package fakeserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Host is the HTTP server of a fake.
type Host struct {
	// Dump says what a fake did lately, for a test that waits in vain.
	Dump func() string

	tb       testing.TB
	name     string
	address  string
	listener net.Listener
	pipes    *pipeListener // nil on loopback
	http     http.Server

	mu      sync.Mutex
	changed chan struct{} // closed and renewed at every change
}

// InMemory makes a Host that nothing but Dial reaches; under synctest its clock is the bubble's. address is its name in URLs.
func InMemory(tb testing.TB, name, address string) *Host {
	l := &pipeListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	return &Host{tb: tb, name: name, address: address, listener: l, pipes: l, changed: make(chan struct{})}
}

// OnLoopback makes a Host for bots in processes of their own.
func OnLoopback(tb testing.TB, name string) *Host {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return &Host{tb: tb, name: name, address: l.Addr().String(), listener: l, changed: make(chan struct{})}
}

// Serve begins; it ends with the test.
func (h *Host) Serve(handler http.Handler) {
	h.http.Handler = handler
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.http.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
			h.tb.Errorf("%s: %v", h.name, err)
		}
	}()
	h.tb.Cleanup(func() {
		h.Close()
		<-done
	})
}

// Close ends every connection. It is called when the test ends, and earlier where a bubble must be left before.
func (h *Host) Close() {
	if err := h.http.Close(); err != nil {
		h.tb.Errorf("%s: %v", h.name, err)
	}
}

// Address is host:port, or the name of one in memory.
func (h *Host) Address() string { return h.address }

// Dial connects to a Host in memory; for another one, to addr.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if h.pipes == nil {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	return h.pipes.dial(ctx)
}

// Notify tells everybody who waits that something has changed.
func (h *Host) Notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// Changed is closed at the next change.
func (h *Host) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Wait returns when ok is true; it is asked after every change, while nothing changes. A test that waits in vain fails after limit.
func (h *Host) Wait(what string, limit time.Duration, ok func() bool) {
	h.tb.Helper()
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		changed := h.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			h.tb.Fatalf("waited %v in vain for %s\n%s", limit, what, h.Dump())
		}
	}
}

type pipeListener struct {
	address string
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: l.address, Net: "pipe"} }

// SpecVariable names the environment variable with another place of the official specifications' folder.
const SpecVariable = "POTLUCK_TEST_SPECS"

// Specification reads an official specification: from ../shared/data beside the repository's root, or where SpecVariable leads. The error
// says in one line that requests go unchecked.
func Specification(file string) ([]byte, error) {
	dir := os.Getenv(SpecVariable)
	if dir == "" {
		root, err := moduleRoot()
		if err != nil {
			return nil, fmt.Errorf("requests are not checked against %s: %w", file, err)
		}
		dir = filepath.Join(filepath.Dir(root), "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, fmt.Errorf("requests are not checked against the official specification: %w", err)
	}
	return b, nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = up
	}
}
