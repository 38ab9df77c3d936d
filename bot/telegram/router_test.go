package telegram_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram"
	"potluck/bot/telegram/fakebotapi"
	"potluck/faketime"
	"potluck/storage"
	"potluck/storage/storagetest"
)

// house is a real Router with a real database on a fake Telegram, in fake time.
type house struct {
	t        testing.TB
	fake     *fakebotapi.Server
	db       *storage.DB
	log      *bottest.Log
	commands []bot.Command
	actions  []bot.ActionHandler
	stop     func()
}

// story is a command that grows an answer: words of it, every step, then the whole as its final.
func story(words int, step time.Duration) bot.Command {
	return bot.Command{Name: "ask", Costly: true, Options: []bot.Option{{Name: "question", Kind: bot.String, Required: true, Rest: true}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			var b strings.Builder
			for i := range words {
				fmt.Fprintf(&b, "word%d ", i)
				in.Reply.Show(bot.Reply{Text: bot.Plain(b.String())})
				select {
				case <-time.After(step):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(b.String() + "the end of " + in.Rest.Plain)})
		}}
}

// secret is a command whose answer is for the asker alone.
var secret = bot.Command{Name: "secret", Private: true, Run: func(ctx context.Context, in *bot.Invocation) error {
	return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("potluck1.secret")})
}}

func open(t testing.TB, s *fakebotapi.Server, commands []bot.Command, actions ...bot.ActionHandler) *house {
	h := &house{t: t, fake: s, db: storagetest.Open(t), log: &bottest.Log{}, commands: commands, actions: actions}
	h.start()
	return h
}

// start runs a process on what there is.
func (h *house) start() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	texts := bottest.Catalogue{"en", "de"}
	p, err := telegram.New(telegram.Config{
		Token: fakebotapi.Token, APIBase: h.fake.Base(), Dial: h.fake.Dial, Commands: h.commands, Texts: texts, AskCommand: "ask", Log: log,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	router, err := bot.NewRouter(bot.Config{
		Platforms: []bot.Platform{p}, Commands: h.commands, Actions: h.actions, Store: &storage.Requests{DB: h.db}, People: &storage.People{DB: h.db}, Catalogue: texts, Log: log,
		Limits: bot.Limits{PerMinute: 1000},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	}
}

// routed runs a test in fake time with a Router.
func routed(t *testing.T, commands []bot.Command, f func(t *testing.T, s *fakebotapi.Server, h *house), actions ...bot.ActionHandler) {
	t.Helper()
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		h := open(t, s, commands, actions...)
		bottest.Pass(6 * time.Second)
		f(t, s, h)
		h.stop()
		s.Close()
		if n := s.Limited(); n > 0 {
			t.Errorf("%d limits of Telegram were hit", n)
		}
	})
}

// An answer that grows for 120 s in a group, then Telegram wants 137 s of silence: no call to the group before they are over, then
// the whole text.
func TestLongAnswerInAGroupThenSilence(t *testing.T) {
	routed(t, []bot.Command{story(240, 500*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		begun := time.Now()
		var limitedAt time.Time
		s.Before(func(r fakebotapi.Request) *fakebotapi.Answer {
			if r.Chat != club || r.Method == "getChatAdministrators" {
				return nil
			}
			if limitedAt.IsZero() && r.Method == "editMessageText" && r.At.Sub(begun) > 110*time.Second {
				limitedAt = time.Now()
				return &fakebotapi.Answer{Status: 429, Description: "Too Many Requests: retry after 137", RetryAfter: 137}
			}
			if wait := r.At.Sub(limitedAt); !limitedAt.IsZero() && wait > 0 && wait < 137*time.Second { // at 0 it was on its way already
				t.Errorf("%s %v after the limit", r.Method, wait)
			}
			return nil
		})
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask tell a story"})
		bottest.Pass(109 * time.Second)
		edits := s.Requests("editMessageText")
		if n := len(edits); n < 25 || n > 32 {
			t.Errorf("%d edits in 109 s", n)
		}
		for i := 1; i < len(edits); i++ {
			if gap := edits[i].At.Sub(edits[i-1].At); gap < 3500*time.Millisecond {
				t.Errorf("edits %v apart", gap)
			}
		}
		bottest.Pass(5 * time.Minute)
		all := s.FromBot(club)
		if limitedAt.IsZero() || len(all) != 1 || !strings.HasSuffix(all[0].Text, "the end of tell a story") || !strings.HasPrefix(all[0].Text, "word0 ") || len(all[0].Buttons()) != 0 {
			t.Fatalf("limited at %v, %d messages: %+v\n%s", limitedAt, len(all), all, h.log)
		}
		last := s.Requests("editMessageText")
		if after := last[len(last)-1].At.Sub(limitedAt); after > 138*time.Second {
			t.Errorf("the final came %v after the limit", after)
		}
	})
}

// A hundred groups at once stay within 30 calls a second and 20 a minute each; finals go before progress.
func TestHundredGroupsAtOnce(t *testing.T) {
	routed(t, []bot.Command{story(60, 500*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		for i := range int64(100) {
			s.AddUser(fakebotapi.User{ID: 10_000 + i, FirstName: fmt.Sprint("member ", i)})
			s.AddChat(fakebotapi.Chat{ID: -2_000_000 - i, Type: "supergroup", Title: fmt.Sprint("group ", i)})
		}
		begun := time.Now()
		for i := range int64(100) {
			s.Say(fakebotapi.Say{Chat: -2_000_000 - i, From: 10_000 + i, Text: "/ask tell a story"})
		}
		bottest.Pass(2 * time.Minute)
		finals := 0
		var latest time.Time
		for i := range int64(100) {
			all := s.FromBot(-2_000_000 - i)
			if len(all) == 1 && strings.HasSuffix(all[0].Text, "the end of tell a story") {
				finals++
			}
		}
		calls := s.Requests("sendMessage", "editMessageText")
		for _, c := range calls {
			if text, _ := c.Params["text"].(string); strings.HasSuffix(text, "the end of tell a story") && c.At.After(latest) {
				latest = c.At
			}
		}
		if finals != 100 || latest.Sub(begun) > 45*time.Second {
			t.Errorf("%d finals, the last after %v\n%.4000s", finals, latest.Sub(begun), h.log)
		}
		t.Logf("%d calls, the last final after %v", len(calls), latest.Sub(begun).Round(100*time.Millisecond))
	})
}
