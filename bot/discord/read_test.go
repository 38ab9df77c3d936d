package discord_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord/fakediscord"
	"potluck/community"
	"potluck/fault"
)

func (r *rig) read(channel, id string) (string, error) {
	w, err := r.platform.Read(r.t.Context(), community.ChatID("discord:"+channel), community.MessageID(id))
	return w.Text.Plain + " | " + w.Link, err
}

// A message that no event told of can be read, with what it carries.
func TestReadsOldMessages(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		m := s.Post(fakediscord.Write{
			Channel: thread, User: "777", Bot: true, Content: "Hello <@301> in <#2000>", Embeds: `[{"type":"rich","title":"News","description":"It *rains*"}]`,
		})
		bottest.Pass(time.Hour)
		link := "https://discord.com/channels/" + home + "/" + thread + "/" + m.ID
		if got, err := r.read(thread, m.ID); err != nil || got != "Hello @Anna in #general\n\nNews\nIt rains | "+link {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := r.read(thread, "12345"); !fault.Has(err, fault.Gone) {
			t.Errorf("a message that is not there: %v", err)
		}
		s.SetRole(home, fakediscord.Role{ID: home, Permissions: fakediscord.Ordinary &^ fakediscord.ReadMessageHistory})
		if _, err := r.read(thread, m.ID); !fault.Has(err, fault.Forbidden) {
			t.Errorf("without the right: %v", err)
		}
		if !strings.Contains(r.log.String(), "Read Message History") {
			t.Errorf("the log does not say what is missing\n%s", r.log)
		}
	})
}

// Without the message content intent Discord tells no text, also not when it is asked.
func TestReadsWhatTheIntentAllows(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		own := r.Send(bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("from the bot"), Nonce: "n"})
		s.Intents = ^fakediscord.IntentContent
		for text, want := range map[string]string{"not for the bot": "", "<@100> for the bot": "@Potluck for the bot"} {
			m := s.Say(general, anna, text)
			if got, err := r.read(general, m.ID); err != nil || !strings.HasPrefix(got, want+" | ") {
				t.Errorf("%q is read as %q, %v", text, got, err)
			}
		}
		if got, err := r.read(general, string(own[0])); err != nil || !strings.HasPrefix(got, "from the bot | ") {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// What the core refuses before it returns is seen by the asker only; later nothing can be changed, and all see it.
func TestRefusalIsPrivateWhileThatCanBe(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		seen  int
	}{"at once": {0, 0}, "when all see it already": {time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
				told := make(chan bool, 1)
				whispers := func(e bot.Event) error {
					<-time.After(c.after)
					told <- e.Whisper()
					return nil
				}
				r.SetHandle(func(_ context.Context, e bot.Event) error { return whispers(e) })
				token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
				bottest.Pass(2 * time.Second)
				e := r.One(bot.MessageNew)
				m := outgoing(e, "too fast")
				if m.Final = true; <-told {
					m.Only = e.User
				}
				r.Send(m)
				if in := s.Seen(token); in.Original.Content != "too fast" || len(s.FromBot(general, boris)) != c.seen {
					t.Errorf("answered %+v, others see %d messages", in.Original, len(s.FromBot(general, boris)))
				}
			})
		})
	}
}
