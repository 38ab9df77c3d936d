package faultproxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// through starts a proxy before upstream with some faults.
func through(t *testing.T, upstream string, f Faults) *Proxy {
	t.Helper()
	p, err := New(upstream, 1)
	if err != nil {
		t.Fatal(err)
	}
	p.Set(f)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// echo sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// counter is a WebSocket server that says the numbers from 1 to n and closes.
func counter(t *testing.T, n int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for i := 1; i <= n; i++ {
			if err := conn.Write(r.Context(), websocket.MessageText, fmt.Append(nil, i)); err != nil {
				return
			}
		}
		conn.Close(websocket.StatusNormalClosure, "")
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func count(t *testing.T, p *Proxy) (numbers []string) {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+p.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for {
		_, b, err := conn.Read(t.Context())
		if err != nil {
			return numbers
		}
		numbers = append(numbers, string(b))
	}
}

func TestGoodNetworkChangesNothing(t *testing.T) {
	p := through(t, counter(t, 500), Faults{})
	if got := count(t, p); len(got) != 500 || got[0] != "1" || got[499] != "500" {
		t.Errorf("%d numbers", len(got))
	}
	q := through(t, echo(t), Faults{})
	c, err := net.Dial("tcp", q.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := bytes.Repeat([]byte("no head of HTTP\n"), 64<<10)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came back: %v", len(got), len(sent), err)
	}
}

func TestDuplicates(t *testing.T) {
	p := through(t, counter(t, 20), Faults{Duplicate: 1})
	got := count(t, p)
	if len(got) != 40 || got[0] != "1" || got[1] != "1" || got[39] != "20" {
		t.Errorf("got %v", got)
	}
}

func TestSwaps(t *testing.T) {
	p := through(t, counter(t, 200), Faults{Swap: 0.3})
	got := count(t, p)
	seen, swapped := map[string]bool{}, 0
	for i, n := range got {
		seen[n] = true
		if n != fmt.Sprint(i+1) {
			swapped++
		}
	}
	if len(seen) != 200 || len(got) != 200 || swapped < 20 || p.Stats().Swapped < 20 {
		t.Errorf("%d of 200 arrived, %d elsewhere: %+v", len(seen), swapped, p.Stats())
	}
}

func TestLatency(t *testing.T) {
	p := through(t, echo(t), Faults{Latency: 50 * time.Millisecond})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	fmt.Fprint(c, "ping\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 8)); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("back after %v: %v", time.Since(began), err)
	}
}

func TestSlowLine(t *testing.T) {
	p := through(t, echo(t), Faults{BytesPerSecond: 100})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	fmt.Fprint(c, "0123456789012345\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 20)); err != nil || time.Since(began) < 200*time.Millisecond {
		t.Errorf("20 bytes after %v: %v", time.Since(began), err)
	}
}

func TestCut(t *testing.T) {
	p := through(t, echo(t), Faults{CutAfter: 20 * time.Millisecond})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("read something")
	}
	if p.Stats().Cut != 1 {
		t.Errorf("%+v", p.Stats())
	}
}

func TestHalfOpen(t *testing.T) {
	p := through(t, echo(t), Faults{HalfOpenAfter: time.Nanosecond})
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for p.Stats().HalfOpen == 0 {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _ = c.Read(make([]byte, 1))
	}
	fmt.Fprint(c, "anybody?\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if e, ok := err.(net.Error); n != 0 || !ok || !e.Timeout() {
		t.Errorf("%d bytes, %v; want silence on an open connection", n, err)
	}
	p.CutAll()
	_ = c.SetReadDeadline(time.Time{})
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
}
