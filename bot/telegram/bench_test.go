package telegram

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
)

// adapter is one that is never connected: updates are handed to it directly.
func adapter(tb testing.TB) *Platform {
	tb.Helper()
	p, err := New(Config{Token: "100:x", Texts: bottest.Catalogue{"en"}, AskCommand: "ask", Log: slog.New(slog.DiscardHandler), APIBase: "http://127.0.0.1:1"})
	if err != nil {
		tb.Fatal(err)
	}
	p.me = self{ID: 100, Username: "potluck_bot"}
	p.handler = func(context.Context, bot.Event) error { return nil }
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error)
	go func() { done <- p.chats.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return p
}

func update(id, chat int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1,"chat":{"id":%d,"type":"supergroup","title":"A group"},`+
		`"from":{"id":%d,"first_name":"Anna","language_code":"de"},"text":"Hello everybody, how are you today? 😀 https://example.org",`+
		`"entities":[{"type":"url","offset":39,"length":19}]}}`, id, id, -1000-chat, 5000+chat))
}

// BenchmarkUpdates is how many messages of groups pass the adapter: reading, recognising, queueing, handing over, confirming.
func BenchmarkUpdates(b *testing.B) {
	p := adapter(b)
	batch := make([]json.RawMessage, 100)
	id := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch {
			id++
			batch[i] = update(id, id%500)
		}
		if next, _ := p.takeAll(b.Context(), batch, 0); next != int64(id)+1 {
			b.Fatalf("next is %d after %d", next, id)
		}
	}
	b.ReportMetric(float64(id)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkChats is the memory of an adapter that 10,000 groups have written to, and that has answered each of them.
func BenchmarkChats(b *testing.B) {
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := memory()
		p := adapter(b)
		now := time.Now()
		for chat := range 10_000 {
			batch := []json.RawMessage{update(chat+1, chat)}
			p.takeAll(b.Context(), batch, 0)
			p.api.budget.mu.Lock()
			p.api.budget.count(&turn{chat: int64(-1000 - chat), cost: 1, class: final}, now.Add(-2*time.Second))
			p.api.budget.mu.Unlock()
			p.shown.Put(fmt.Sprint(-1000-chat, "/", chat), [32]byte{1})
		}
		b.ReportMetric(float64(memory()-before)/10_000, "B/chat")
		runtime.KeepAlive(p)
	}
}

// BenchmarkRender is a long answer of a model made into messages.
func BenchmarkRender(b *testing.B) {
	text := ""
	for i := range 200 {
		text += fmt.Sprintf("Line %d has **bold**, `code` and a [link](https://example.org/%d). 😀\n", i, i)
	}
	whole := bot.ParseMarkdown(text)
	b.ReportAllocs()
	for b.Loop() {
		for _, part := range split(whole, maxText) {
			render(part)
		}
	}
}
