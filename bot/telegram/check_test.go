package telegram_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"potluck/bot/telegram"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
)

func found(t *testing.T, s *fakebotapi.Server, change func(*telegram.Config)) string {
	t.Helper()
	c := config(s, io.Discard)
	if change != nil {
		change(&c)
	}
	var b strings.Builder
	for _, f := range telegram.Check(t.Context(), c) {
		fmt.Fprintf(&b, "%s %s\n", f.State, f.Text)
	}
	if strings.Contains(b.String(), "fake-token") {
		t.Error("the token is told")
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	s := world(t)
	if got := found(t, s, nil); !strings.Contains(got, "ok Telegram knows the bot") || !strings.Contains(got, "ok privacy mode is off") || strings.Contains(got, "todo") {
		t.Error(got)
	}
	s.Privacy = true
	s.SetWebhook("https://elsewhere.example")
	if got := found(t, s, nil); !strings.Contains(got, "todo privacy mode is on") || !strings.Contains(got, "Group Privacy") || !strings.Contains(got, "todo a webhook is set") {
		t.Error(got)
	}
	if got := found(t, s, func(c *telegram.Config) { c.WebhookURL = "https://here.example/telegram/webhook" }); !strings.Contains(got, "leads elsewhere") {
		t.Error(got)
	}
	if got := found(t, s, func(c *telegram.Config) { c.Token = "7:revoked" }); !strings.HasPrefix(got, "wrong") || !strings.Contains(got, "@BotFather") {
		t.Error(got)
	}
	s.Close()
	if got := found(t, s, nil); !strings.HasPrefix(got, "todo Telegram cannot be asked") {
		t.Error(got)
	}
}

// What the bot lacks in a group, in the words of Telegram's settings.
func TestInspect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		lacks, err := r.platform.Inspect(t.Context(), community.CommunityID(chat(club)))
		if err != nil || len(lacks) != 0 {
			t.Errorf("%v %v", lacks, err)
		}
		if _, err := r.platform.Inspect(t.Context(), "telegram:-77"); err == nil {
			t.Error("an unknown group lacks nothing")
		}
	})
	bubble(t, func(*telegram.Config) {}, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Restrict(club, "can_send_photos")
		lacks, err := r.platform.Inspect(t.Context(), community.CommunityID(chat(club)))
		if err != nil || fmt.Sprint(lacks) != "[{ [Send Photos]}]" {
			t.Errorf("%v %v", lacks, err)
		}
	})
}
