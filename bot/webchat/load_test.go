package webchat_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
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
		v := tb.visitor("visitor " + distinct(i))
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

// distinct spells a number in letters of which no two look alike, so that names made of it do not either.
func distinct(n int) string {
	const letters = "bdfghkpstz"
	var name []byte
	for _, digit := range strconv.Itoa(n) {
		name = append(name, letters[digit-'0'])
	}
	return string(name)
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
		all(b, readers, text, func() error {
			_, err := tb.Send(b.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(text), Final: true})
			return err
		})
	}
}

// From the next word of an answer of 400 words to the last of a thousand visitors having read it.
func BenchmarkThousandVisitorsReadAWord(b *testing.B) {
	tb := lay(b, manyStreams)
	readers := openStreams(b, tb, 1000)
	parts, err := tb.Send(b.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…")})
	if err != nil {
		b.Fatal(err)
	}
	said := strings.Repeat("word ", 400)
	n := 0
	for b.Loop() {
		n++
		last := fmt.Sprintf("word %d ends", n)
		all(b, readers, last, func() error {
			_, err := tb.Edit(b.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(said + last)})
			return err
		})
	}
}

// all waits until each reader has read what post posts.
func all(b *testing.B, readers []*bufio.Reader, text string, post func() error) {
	b.Helper()
	var work sync.WaitGroup
	for _, r := range readers {
		work.Go(func() { readUntil(b, r, text) })
	}
	if err := post(); err != nil {
		b.Fatal(err)
	}
	work.Wait()
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
