package discord_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/community"
	"potluck/faketime"
)

// The world of these tests.
const (
	home    = "1000"
	general = "2000"
	staff   = "2001"
	adult   = "2002"
	thread  = "2003"
	anna    = "301"
	boris   = "302"
	admin   = "303"
)

// world is a fake with people in it. A bubble begins in the year 2000, when Discord's ids would be negative: it is brought forward.
func world(t testing.TB) *fakediscord.Server {
	if d := time.Until(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); d > 0 {
		<-time.After(d)
	}
	s := fakediscord.New(t)
	settle(s)
	return s
}

func settle(s *fakediscord.Server) {
	s.AddMember(fakediscord.Member{User: fakediscord.User{ID: anna, Username: "anna", GlobalName: "Anna"}, Locale: "de"})
	s.AddMember(fakediscord.Member{User: fakediscord.User{ID: boris, Username: "boris"}, Nick: "Борис"})
	s.AddMember(fakediscord.Member{User: fakediscord.User{ID: admin, Username: "olga"}, Roles: []string{"1001"}})
	s.AddGuild(fakediscord.Guild{
		ID: home, Name: "Home",
		Roles: []fakediscord.Role{{ID: "1001", Name: "admins", Permissions: fakediscord.ManageGuild}},
		Channels: []fakediscord.Channel{
			{ID: general, Name: "general"},
			{ID: staff, Name: "staff", Overwrites: []fakediscord.Overwrite{{ID: home, Deny: fakediscord.ViewChannel}, {ID: "100", Type: 1, Allow: fakediscord.ViewChannel}}},
			{ID: adult, Name: "adult", NSFW: true},
			{ID: thread, Name: "a thread", Type: 11, ParentID: general},
		},
	})
	s.AddChannel("", fakediscord.Channel{ID: "5" + anna, Type: 1, Recipients: []fakediscord.User{{ID: anna}}})
}

// rig is an adapter that runs with a handler of the test.
type rig struct {
	t        testing.TB
	fake     *fakediscord.Server
	platform *discord.Platform
	log      *bottest.Log
	*bottest.Running
}

var commands = []bot.Command{
	{Name: "help", Private: true, Run: func(context.Context, *bot.Invocation) error { return nil }},
	{Name: "ask", Costly: true, Options: []bot.Option{
		{Name: "model", Kind: bot.String, Suggest: func(typed string) []string {
			var all []string
			for i := range 100 {
				all = append(all, fmt.Sprintf("%s-%d", typed, i))
			}
			return all
		}},
		{Name: "question", Kind: bot.String, Required: true, Rest: true, Max: 4000},
	}, Run: func(context.Context, *bot.Invocation) error { return nil }},
	{Name: "translate", Options: []bot.Option{
		{Name: "to", Kind: bot.String, Required: true}, {Name: "text", Kind: bot.String, Required: true, Rest: true},
	}, Run: func(context.Context, *bot.Invocation) error { return nil }},
	{Name: "worker", Subcommands: []bot.Command{
		{Name: "link", Private: true, Options: []bot.Option{
			{Name: "share", Kind: bot.Bool}, {Name: "limit", Kind: bot.Integer, Min: 0, Max: 10}, {Name: "mode", Kind: bot.Choice, Choices: []string{"a", "b"}},
		}, Run: func(context.Context, *bot.Invocation) error { return nil }},
	}},
	{Name: "setup", Needs: community.Admin, Run: func(context.Context, *bot.Invocation) error { return nil }},
}

func config(s *fakediscord.Server, log io.Writer) discord.Config {
	return discord.Config{
		Token: fakediscord.Token, APIBase: s.Base(), Dial: s.Dial, Commands: commands, Texts: bottest.Catalogue{"en", "de"}, Content: true,
		AskCommand: "ask", TranslateCommand: "translate", Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start runs an adapter on a fake until the test ends; change may change its configuration.
func start(t testing.TB, s *fakediscord.Server, change func(*discord.Config)) *rig {
	t.Helper()
	log := &bottest.Log{}
	c := config(s, log)
	if change != nil {
		change(&c)
	}
	p, err := discord.New(c)
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
}

// bubble runs a test in fake time with a running adapter.
func bubble(t *testing.T, change func(*discord.Config), f func(t *testing.T, s *fakediscord.Server, r *rig)) {
	t.Helper()
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		r := start(t, s, change)
		bottest.Pass(6 * time.Second) // commands are synced, the session stands
		f(t, s, r)
		r.end()
	})
}

func TestConnectsAndOffersCommands(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		if n := s.Connected(); n != 1 {
			t.Fatalf("%d connections\n%s", n, r.log)
		}
		offered, puts := s.Commands("")
		var names []string
		for _, c := range offered {
			names = append(names, fmt.Sprint(c["name"]))
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "ask discord.menu_ask discord.menu_translate help setup translate worker" || puts != 1 {
			t.Errorf("offers %q, written %d times\n%s", got, puts, r.log)
		}
	})
}

func (r *rig) platformPanics() {
	r.SetHandle(func(_ context.Context, e bot.Event) error { panic(e.Text.Plain) })
}
