package discord_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/community"
)

var _ bot.Speaker = (*discord.Platform)(nil)

// hooks keeps webhooks in memory.
type hooks struct {
	mu   sync.Mutex
	kept map[community.ChatID][2]string
}

func (h *hooks) Webhook(_ context.Context, chat community.ChatID) (id, token string, ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.kept[chat]
	return w[0], w[1], ok, nil
}

func (h *hooks) SaveWebhook(_ context.Context, chat community.ChatID, id, token string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept[chat] = [2]string{id, token}
	return nil
}

func (h *hooks) DropWebhook(_ context.Context, chat community.ChatID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.kept, chat)
	return nil
}

// speaking runs a test on a server where the bot may manage webhooks.
func speaking(t *testing.T, f func(t *testing.T, s *fakediscord.Server, r *rig)) {
	t.Helper()
	h := &hooks{kept: make(map[community.ChatID][2]string)}
	bubble(t, func(c *discord.Config) { c.Webhooks = h }, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.SetBotRole(home, fakediscord.Ordinary|fakediscord.ManageWebhooks)
		bottest.Pass(time.Second)
		f(t, s, r)
	})
}

func (r *rig) speak(chat, text, name string) []community.MessageID {
	r.t.Helper()
	ids, err := r.platform.Speak(r.t.Context(), bot.Outgoing{Chat: community.ChatID("discord:" + chat), Text: bot.Plain(text), Nonce: "s" + text[:min(9, len(text))]}, bot.Author{Name: name})
	if err != nil {
		r.t.Fatalf("Speak: %v\n%s", err, r.log)
	}
	return ids
}

// shown is a channel without who sees what.
func shown(s *fakediscord.Server, channel string) string {
	var b strings.Builder
	for _, m := range s.Messages(channel, anna) {
		fmt.Fprintf(&b, "%s: %s\n", m.Author.Username, m.Content)
	}
	return b.String()
}

func TestSpeakEditAndDelete(t *testing.T) {
	for _, channel := range []string{general, thread} {
		speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
			ids := r.speak(channel, "hello", "Aoi")
			if got := shown(s, channel); got != "Aoi: hello\n" || len(s.Messages(general, anna)) != len(s.Messages(channel, anna))*b2i(channel == general) {
				t.Errorf("shows\n%s", got)
			}
			m := bot.Outgoing{Chat: community.ChatID("discord:" + channel), Text: bot.Plain(strings.Repeat("long ", 500))}
			now, err := r.platform.EditSpoken(t.Context(), ids, m, bot.Author{Name: "Aoi"})
			if err != nil || len(now) != 2 || now[0] != ids[0] {
				t.Fatalf("%v %v", now, err)
			}
			m.Text = bot.Plain("short")
			if now, err = r.platform.EditSpoken(t.Context(), now, m, bot.Author{Name: "Aoi"}); err != nil || len(now) != 1 {
				t.Fatalf("%v %v", now, err)
			}
			if got := shown(s, channel); got != "Aoi: short\n" {
				t.Errorf("shows\n%s", got)
			}
			for range 2 {
				if err := r.platform.DeleteSpoken(t.Context(), m.Chat, now); err != nil {
					t.Error(err)
				}
			}
			if got := shown(s, channel); got != "" {
				t.Errorf("shows\n%s", got)
			}
			for _, e := range r.Taken(bot.MessageNew) {
				if !e.FromBot {
					t.Errorf("what the bot said counts as a person's: %+v", e)
				}
			}
		})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// An admin deleted the webhook: another one is made, the message comes once.
func TestDeletedWebhookIsMadeAnew(t *testing.T) {
	speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
		first := r.speak(general, "one", "Aoi")
		s.RemoveWebhooks(general)
		r.speak(general, "two", "Aoi")
		if got := shown(s, general); got != "Aoi: one\nAoi: two\n" {
			t.Errorf("shows\n%s", got)
		}
		// The first one can be changed by nobody any more.
		if _, err := r.platform.EditSpoken(t.Context(), first, bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("x")}, bot.Author{Name: "Aoi"}); err == nil {
			t.Error("a message of a deleted webhook was changed")
		}
	})
}

// Bad input: the limit of webhooks is reached. Fifteen webhooks of others: the bot speaks itself, names the author, and says once what is wrong.
func TestWithoutWebhookTheAuthorIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(*fakediscord.Server)
		notice string
	}{
		"fifteen of others": {func(s *fakediscord.Server) { s.AddWebhooks(general, 15) }, "discord.many_webhooks"},
		"no right":          {func(s *fakediscord.Server) { s.SetBotRole(home, fakediscord.Ordinary) }, "discord.no_webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
				c.break_(s)
				ids := r.speak(general, "one", "Aoi @everyone")
				r.speak(general, "two", "Aoi")
				want := "Potluck: " + strings.ReplaceAll(c.notice, "_", `\_`) + "\nPotluck: **Aoi @everyone**\none\nPotluck: **Aoi**\ntwo\n"
				if got := shown(s, general); got != want {
					t.Errorf("shows\n%s", got)
				}
				if _, err := r.platform.EditSpoken(t.Context(), ids, bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("new")}, bot.Author{Name: "Aoi"}); err != nil {
					t.Error(err)
				}
				if got := shown(s, general); !strings.Contains(got, "Potluck: **Aoi**\nnew\n") {
					t.Errorf("shows\n%s", got)
				}
				if err := r.platform.DeleteSpoken(t.Context(), "discord:"+general, ids); err != nil || strings.Contains(shown(s, general), "new") {
					t.Errorf("%v\n%s", err, shown(s, general))
				}
				for _, m := range s.Messages(general, anna) {
					if len(m.Pinged) > 0 {
						t.Errorf("%q notified %v", m.Content, m.Pinged)
					}
				}
			})
		})
	}
}

// Manage Webhooks counts as missing only where the bot wanted to speak under another name, and until it may.
func TestInspectNamesManageWebhooksWhereItIsNeeded(t *testing.T) {
	speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.SetBotRole(home, fakediscord.Ordinary)
		lacks := func() string {
			t.Helper()
			all, err := r.platform.Inspect(t.Context(), "discord:"+home)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(all)
		}
		if got := lacks(); got != "[]" {
			t.Errorf("before: %s", got)
		}
		r.speak(thread, "one", "Aoi")
		if got := lacks(); got != "[{general [Manage Webhooks]}]" {
			t.Errorf("refused: %s", got)
		}
		s.SetBotRole(home, fakediscord.Ordinary|fakediscord.ManageWebhooks)
		r.speak(thread, "two", "Aoi")
		if got := lacks(); got != "[]" {
			t.Errorf("mended: %s", got)
		}
	})
}

// An own webhook of an earlier installation is used again, so that they do not pile up.
func TestOwnWebhookIsReused(t *testing.T) {
	speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
		r.speak(general, "one", "Aoi")
		other := start(t, s, func(c *discord.Config) { c.Webhooks = &hooks{kept: make(map[community.ChatID][2]string)} })
		s.Restarts = true
		bottest.Pass(15 * time.Second)
		other.speak(general, "two", "Aoi")
		made := 0
		for _, q := range s.Requests() {
			if q.Method == "POST" && strings.HasSuffix(q.Path, "/webhooks") {
				made++
			}
		}
		if made != 1 {
			t.Errorf("%d webhooks were made", made)
		}
		other.Stop()
		<-other.Done
	})
}

// Whatever somebody is called, the message comes.
func TestEveryNameIsDelivered(t *testing.T) {
	speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
		for name, want := range map[string]string{
			"Clyde the Discordian": "C·lyde the D·iscordian", "  a\n b\t": "a b", "": "…", "\u200b\u2060": "…", "DISCORD": "D·ISCORD", "Anna": "Anna",
			strings.Repeat("ა", 100): strings.Repeat("ა", 79) + "…", strings.Repeat("👩‍👩‍👧", 20): "", "\xff\xfeok": "ok", "clydeclyde": "c·lydec·lyde",
		} {
			ids := r.speak(general, "hello", name)
			var got string
			for _, m := range s.Messages(general, anna) {
				if m.ID == string(ids[0]) {
					got = m.Author.Username
				}
			}
			if want != "" && got != want || !utf8.ValidString(got) || got == "" {
				t.Errorf("%q is shown as %q, want %q", name, got, want)
			}
			bottest.Pass(2 * time.Second)
		}
	})
}

// A lost answer makes no second message.
func TestLostAnswerOfAWebhook(t *testing.T) {
	speaking(t, func(t *testing.T, s *fakediscord.Server, r *rig) {
		r.speak(general, "zero", "Aoi")
		lost := 1
		s.Before(func(q fakediscord.Request) *fakediscord.Answer {
			if q.Method == "POST" && strings.HasPrefix(q.Path, "/webhooks/") && lost > 0 {
				lost--
				return &fakediscord.Answer{Done: true, Drop: true}
			}
			return nil
		})
		r.speak(general, "one", "Aoi")
		if got := shown(s, general); got != "Aoi: zero\nAoi: one\n" {
			t.Errorf("shows\n%s", got)
		}
	})
}
