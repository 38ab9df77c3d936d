package telegram_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram/fakebotapi"
)

// A question to a person is no progress: its newest form is always shown, nobody seems to be at work, and it comes up when the private chat is opened.
func TestQuestionsAreNotDropped(t *testing.T) {
	steps := []string{"one", "two", "three", "four"}
	wait := bot.Command{Name: "wait", Private: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		for _, step := range steps {
			in.Reply.Show(bot.Reply{Text: bot.Plain(step), Status: true, Asks: true})
			if !sleeps(ctx, 300*time.Millisecond) {
				return context.Cause(ctx)
			}
		}
		if !sleeps(ctx, 5*time.Minute) {
			return context.Cause(ctx)
		}
		return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("over")})
	}}
	routed(t, []bot.Command{wait}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		for range 30 { // so much is asked in private that there is no room for progress
			s.Say(fakebotapi.Say{Chat: olga, From: olga, Text: "/wait"})
		}
		bottest.Pass(3 * time.Minute)
		all := s.FromBot(olga)
		for _, m := range all {
			if m.Text != "four" {
				t.Errorf("it shows %q", m.Text)
			}
		}
		if len(all) == 0 || len(s.Requests("sendChatAction")) > 0 {
			t.Errorf("%d answers, %d signs of work", len(all), len(s.Requests("sendChatAction")))
		}
		// Boris has not opened the private chat.
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/wait"})
		bottest.Pass(30 * time.Second)
		in := s.FromBot(club)
		_, payload, ok := strings.Cut(in[len(in)-1].Buttons()[0].URL, "?start=")
		if !ok {
			t.Fatalf("%+v", in)
		}
		s.Say(fakebotapi.Say{Chat: boris, From: boris, Text: "/start " + payload})
		bottest.Pass(10 * time.Second)
		if m := s.FromBot(boris); len(m) != 1 || m[0].Text != "four" {
			t.Errorf("%+v\n%s", m, h.log)
		}
		bottest.Pass(10 * time.Minute)
		for _, m := range append(s.FromBot(olga), s.FromBot(boris)...) {
			if m.Text != "over" {
				t.Errorf("in the end %q", m.Text)
			}
		}
	})
}

// sleeps waits; false: ctx ended before.
func sleeps(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
