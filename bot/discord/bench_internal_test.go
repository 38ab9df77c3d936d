package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"potluck/bot"
)

type keys struct{}

func (keys) Say(string) bot.Say {
	return func(key string, _ ...any) bot.Text { return bot.Plain(key) }
}
func (keys) Match(...string) string { return "en" }

// idle is a Platform that is not connected; events go to h.
func idle(tb testing.TB, h bot.Handler) *Platform {
	p, err := New(Config{Token: "x", Texts: keys{}, AskCommand: "ask", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		tb.Fatal(err)
	}
	p.handler, p.self, p.app = h, "100", "100"
	return p
}

// guildJSON is a GUILD_CREATE as large as an ordinary one: 30 roles, 40 channels with overwrites, members that nobody keeps.
func guildJSON(n int) []byte {
	id := func(kind, i int) string { return fmt.Sprint(1_000_000_000_000 + n*10_000 + kind*1000 + i) }
	var roles, channels, members []any
	for i := range 30 {
		roles = append(roles, map[string]any{"id": id(1, i), "name": fmt.Sprint("role ", i), "permissions": "1071698660929", "color": 3447003, "hoist": true})
	}
	roles = append(roles, map[string]any{"id": id(0, 0), "name": "@everyone", "permissions": "1071698660929"})
	for i := range 40 {
		channels = append(channels, map[string]any{
			"id": id(2, i), "type": 0, "name": fmt.Sprintf("channel-of-some-length-%d", i), "topic": "a topic that is of no interest to the bot", "position": i,
			"permission_overwrites": []any{map[string]any{"id": id(0, 0), "type": 0, "allow": "0", "deny": "1024"}, map[string]any{"id": id(1, 3), "type": 0, "allow": "1024", "deny": "0"}},
		})
	}
	for i := range 50 {
		members = append(members, map[string]any{"user": map[string]any{"id": id(3, i), "username": fmt.Sprint("member", i)}, "roles": []any{}})
	}
	b, err := json.Marshal(map[string]any{
		"id": id(0, 0), "name": fmt.Sprint("guild ", n), "owner_id": id(3, 1), "roles": roles, "channels": channels, "threads": []any{}, "members": members,
	})
	if err != nil {
		panic(err)
	}
	return b
}

// 2,500 guilds with 40 channels each are remembered in at most 40 MB.
func TestMemoryOfManyGuilds(t *testing.T) {
	p := idle(t, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range 2500 {
		if err := p.places.learn("GUILD_CREATE", guildJSON(n)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (1 << 20)
	t.Logf("2,500 guilds × 40 channels, 30 roles: %.1f MB", used)
	if used > 40 {
		t.Errorf("%.1f MB", used)
	}
	runtime.KeepAlive(p)
}

// From the gateway's bytes to the core.
func BenchmarkMessageEvents(b *testing.B) {
	var taken atomic.Int64
	all := make(chan struct{})
	p := idle(b, func(context.Context, bot.Event) error {
		if taken.Add(1) == int64(b.N) {
			close(all)
		}
		return nil
	})
	if err := p.places.learn("GUILD_CREATE", guildJSON(0)); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { _ = p.chats.Run(ctx); close(done) }()
	const form = `{"id":"%d","channel_id":"10000000020%02d","guild_id":"1000000000000","type":0,"author":{"id":"301","username":"anna","global_name":"Anna"},` +
		`"member":{"roles":["1000000001001"],"nick":"Anna"},"content":"Good **morning** <@302>, how are you? https://example.org/a_b","timestamp":"2026-11-22T00:00:00Z",` +
		`"edited_timestamp":null,"mentions":[{"id":"302","username":"boris"}],"attachments":[],"embeds":[],"components":[]}`
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p.dispatch(ctx, "MESSAGE_CREATE", fmt.Appendf(nil, form, 1376000000000000000+i, i%40))
		if i%1000 == 999 { // as fast as it is taken
			for taken.Load() < int64(i-900) {
				runtime.Gosched()
			}
		}
	}
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	<-done
}
