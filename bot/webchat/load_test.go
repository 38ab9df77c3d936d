package webchat_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"potluck/bot"
	"potluck/bot/webchat"
)

// openStreams opens n event streams over plain connections, as lean as a client can be, and returns their readers.
func openStreams(b testing.TB, tb *table, n int) []*bufio.Reader {
	b.Helper()
	var readers []*bufio.Reader
	address := strings.TrimPrefix(tb.url, "http://")
	for i := 0; i < n; {
		v := tb.visitor(fmt.Sprintf("visitor %d", i))
		r, _ := http.NewRequest("GET", tb.url, nil)
		cookie := v.client.Jar.Cookies(r.URL)[0]
		v.client.CloseIdleConnections()
		for range 6 {
			if i++; i > n {
				break
			}
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			fmt.Fprintf(c, "GET /webchat/events?chat=lobby&chat=english&brief=1 HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", address, cookie)
			reader := bufio.NewReaderSize(c, 4096)
			readUntil(b, reader, "event: ready")
			readers = append(readers, reader)
		}
	}
	return readers
}

func readUntil(b testing.TB, r *bufio.Reader, what string) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			b.Errorf("stream: %v", err)
			return
		}
		if strings.Contains(line, what) {
			return
		}
	}
}

func manyStreams(c *webchat.Config) { c.Limits.Streams = 100_000 }

// From the bot's Send to the last of a thousand visitors having read it, over real connections.
func BenchmarkThousandVisitorsReadAMessage(b *testing.B) {
	tb := lay(b, manyStreams)
	readers := openStreams(b, tb, 1000)
	n := 0
	for b.Loop() {
		n++
		text := fmt.Sprintf("message %d ends", n)
		var work sync.WaitGroup
		for _, r := range readers {
			work.Go(func() { readUntil(b, r, text) })
		}
		if _, err := tb.Send(b.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(text), Final: true}); err != nil {
			b.Fatal(err)
		}
		work.Wait()
	}
}

// What one visitor's open stream costs the server (and this test's reader with its 4 KiB, which is taken off).
func BenchmarkMemoryPerStream(b *testing.B) {
	tb := lay(b, manyStreams)
	memory := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	const streams = 2000
	for b.Loop() { // once is enough: -benchtime 1x
		before := memory()
		readers := openStreams(b, tb, streams)
		b.ReportMetric(float64(memory()-before)/streams-4096, "B/stream")
		runtime.KeepAlive(readers)
	}
}
