package telegram_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/faketime"
)

// The world of these tests.
const (
	anna  = int64(301)
	boris = int64(302)
	olga  = int64(303) // administrator of the groups
	club  = int64(-1001000)
	forum = int64(-1002000)
	topic = int64(45)
	old   = int64(-500) // a group that is no supergroup yet
)

func world(t testing.TB) *fakebotapi.Server {
	s := fakebotapi.New(t)
	settle(s)
	return s
}

func settle(s *fakebotapi.Server) {
	s.AddUser(fakebotapi.User{ID: anna, FirstName: "Anna", LanguageCode: "de", Started: true})
	s.AddUser(fakebotapi.User{ID: boris, FirstName: "Борис", Username: "boris_b"})
	s.AddUser(fakebotapi.User{ID: olga, FirstName: "Olga", Started: true})
	s.AddChat(fakebotapi.Chat{ID: club, Type: "supergroup", Title: "Club", Admins: []int64{olga}})
	s.AddChat(fakebotapi.Chat{ID: forum, Type: "supergroup", Title: "Forum", IsForum: true, Admins: []int64{olga}})
	s.AddChat(fakebotapi.Chat{ID: old, Type: "group", Title: "Old"})
}

// rig is an adapter that runs with a handler of the test.
type rig struct {
	t        testing.TB
	fake     *fakebotapi.Server
	platform *telegram.Platform
	log      *bottest.Log
	*bottest.Running
}

func nothing(context.Context, *bot.Invocation) error { return nil }

var commands = []bot.Command{
	{Name: "help", Private: true, Run: nothing},
	{Name: "ask", Costly: true, Options: []bot.Option{
		{Name: "question", Kind: bot.String, Required: true, Rest: true, Max: 4000}, {Name: "model", Kind: bot.String},
	}, Run: nothing},
	{Name: "imagine", Costly: true, Options: []bot.Option{
		{Name: "prompt", Kind: bot.String, Required: true, Rest: true, Max: 6000}, {Name: "style", Kind: bot.Choice, Choices: []string{"anime", "photo"}},
		{Name: "ar", Kind: bot.String},
	}, Run: nothing},
	{Name: "translate", Options: []bot.Option{
		{Name: "to", Kind: bot.String, Required: true, Suggest: func(string) []string { return []string{"es", "de", "ja"} }},
		{Name: "text", Kind: bot.String, Required: true, Rest: true},
	}, Run: nothing},
	{Name: "worker", Subcommands: []bot.Command{{Name: "link", Private: true, Run: nothing}, {Name: "list", Private: true, Run: nothing}}},
	{Name: "give", Options: []bot.Option{
		{Name: "amount", Kind: bot.Integer, Required: true, Min: 1, Max: 100}, {Name: "to", Kind: bot.String, Required: true, Rest: true, Person: true},
	}, Run: nothing},
	{Name: "setup", Needs: community.Admin, Run: nothing},
}

func config(s *fakebotapi.Server, log io.Writer) telegram.Config {
	return telegram.Config{
		Token: fakebotapi.Token, APIBase: s.Base(), Dial: s.Dial, Commands: commands, Texts: bottest.Catalogue{"en", "de"},
		AskCommand: "ask", TranslateCommand: "translate", Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start runs an adapter on a fake until the test ends; change may change its configuration.
func start(t testing.TB, s *fakebotapi.Server, change func(*telegram.Config)) *rig {
	t.Helper()
	log := &bottest.Log{}
	c := config(s, log)
	if change != nil {
		change(&c)
	}
	p, err := telegram.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, fake: s, platform: p, log: log, Running: bottest.Run(t, p, log)}
}

// end stops the adapter and the fake, as a bubble needs it.
func (r *rig) end() {
	r.t.Helper()
	r.End()
	r.fake.Close()
	if n := r.fake.Limited(); n > 0 {
		r.t.Errorf("%d limits of Telegram were hit\n%s", n, r.log)
	}
	if strings.Contains(r.log.String(), "fake-token") {
		r.t.Error("the log holds the token")
	}
}

// bubble runs a test in fake time with a running adapter.
func bubble(t *testing.T, change func(*telegram.Config), f func(t *testing.T, s *fakebotapi.Server, r *rig)) {
	t.Helper()
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		r := start(t, s, change)
		bottest.Pass(6 * time.Second) // commands are told
		f(t, s, r)
		r.end()
	})
}

func chat(id int64) community.ChatID { return community.ChatID(fmt.Sprintf("telegram:%d", id)) }

func user(id int64) community.UserID { return community.UserID(fmt.Sprintf("telegram:%d", id)) }

func plain(to int64, text string) bot.Outgoing {
	return bot.Outgoing{Chat: chat(to), Text: bot.Plain(text), Final: true}
}

func TestTellsTelegramTheCommands(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		if got := strings.Join(s.Commands("all_group_chats/"), " "); got != "help ask imagine translate worker_link worker_list give" {
			t.Errorf("groups get %q\n%s", got, r.log)
		}
		if got := strings.Join(s.Commands("all_chat_administrators/de"), " "); !strings.HasSuffix(got, "setup") {
			t.Errorf("administrators get %q", got)
		}
		if !strings.Contains(r.log.String(), "connected to Telegram") || strings.Contains(r.log.String(), "privacy mode") {
			t.Error(r.log)
		}
	})
}

// A token that Telegram does not know ends the start with what to do, and is not told itself.
func TestWrongToken(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		r := start(t, s, func(c *telegram.Config) { c.Token = "100:another" })
		err := <-r.Done
		if err == nil || !strings.Contains(err.Error(), "@BotFather") || strings.Contains(err.Error(), "100:another") {
			t.Errorf("%v", err)
		}
		r.Stop()
		s.Close()
	})
}
