package discord

import (
	"context"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"potluck/bot"
)

// Whatever the gateway sends: no panic, and what reaches the core is well-formed.
func FuzzEvents(f *testing.F) {
	kinds := []string{
		"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD", "GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE",
		"CHANNEL_CREATE", "CHANNEL_DELETE", "THREAD_UPDATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE", "READY", "UNKNOWN",
	}
	for i, s := range []string{
		`{"id":"5","channel_id":"6","guild_id":"7","author":{"id":"8","username":"a"},"content":"<@100> hi","mentions":[{"id":"100"}],"type":0}`,
		`{"id":"5","channel_id":"6","author":{"id":"8"},"edited_timestamp":"x","content":"y","message_snapshots":[{"message":{"content":"z"}}]}`,
		`{"id":"5","channel_id":"6"}`, `{"ids":["1","2"],"channel_id":"6"}`, `{"user_id":"1","channel_id":"2","message_id":"3","emoji":{"name":"👍"}}`,
		string(guildJSON(0)[:400]), `{"id":"7","roles":[{"id":"7","permissions":"1024"}],"channels":[{"id":"6","permission_overwrites":[{"id":"7","deny":"1024"}]}]}`,
	} {
		f.Add(i, []byte(s))
	}
	f.Add(0, []byte(`{"id":"1376000000000000001","application_id":"1","type":2,"token":"t","channel_id":"6","user":{"id":"8"},"data":{"name":"ask","options":[{"name":"q","value":1}]}}`))
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		if len(data) > 20_000 {
			return
		}
		p := idle(t, nil)
		var events []bot.Event
		p.handler = func(_ context.Context, e bot.Event) error { events = append(events, e); return nil }
		which := kinds[uint(kind)%uint(len(kinds))]
		if which == "GUILD_CREATE" || which == "GUILD_DELETE" {
			_ = p.places.learn(which, data) // it may be nonsense; a joining would speak with Discord
		} else {
			_ = p.take(t.Context(), which, data) // it may be nonsense
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		p.chats.Drain(ended)
		for _, e := range events {
			if !utf8.ValidString(e.Text.Plain) || e.ID == "" || e.Kind == "" {
				t.Errorf("%+v", e)
			}
		}
		var in rawInteraction
		if json.Unmarshal(data, &in) == nil && in.user() != nil {
			if e, ok := p.event(in); ok {
				if h, ok := parseHandle(e.Handle); in.Token != "" && in.ID != "" && in.App != "" && (!ok || h.Token != in.Token) && utf8.ValidString(in.Token) {
					t.Errorf("handle %q of %+v", e.Handle, in)
				}
			}
			p.suggestions(in)
		}
	})
}
