package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot/discord/fakediscord"
)

// The server of these tests and who is in it.
const (
	discordServer  = "1000"
	discordGeneral = "2000"
	discordOlga    = "301" // its operator and admin
	discordGail    = "302"
)

// server is a kitchen that is also on a Discord.
type server struct {
	*kitchen
	fake    *fakediscord.Server
	environ []string
	tower   *worker // its only machine
}

// openServer starts the real bot as a process of its own, on a fake Discord, with a machine that shows the demonstration engine.
func openServer(t testing.TB) *server {
	t.Helper()
	return openServerWith(t, demoKitchen)
}

// openServerWith is openServer with the config.yaml of its machine, and more settings of the bot.
func openServerWith(t testing.TB, machine string, environ ...string) *server {
	t.Helper()
	fake := fakediscord.Listen(t)
	fake.Restarts = true
	fake.AddMember(fakediscord.Member{User: fakediscord.User{ID: discordOlga, Username: "olga"}, Roles: []string{"1001"}})
	fake.AddMember(fakediscord.Member{User: fakediscord.User{ID: discordGail, Username: "gail"}, Locale: "de"})
	fake.AddGuild(fakediscord.Guild{
		ID: discordServer, Name: "Kitchen", Roles: []fakediscord.Role{{ID: "1001", Name: "admins", Permissions: fakediscord.ManageGuild}},
		Channels: []fakediscord.Channel{{ID: discordGeneral, Name: "general"}},
	})
	s := &server{fake: fake, environ: []string{
		"POTLUCK_DISCORD_TOKEN=" + fakediscord.Token, "POTLUCK_DISCORD_API_BASE=" + fake.Base(), "POTLUCK_DISCORD_DEMO_ENGINE=true",
		"POTLUCK_DISCORD_OPERATORS=" + discordOlga, "POTLUCK_LIMITS_PER_MINUTE=600",
	}}
	s.environ = append(s.environ, environ...)
	s.kitchen = openKitchen(t, s.environ...)
	s.tower = s.lend(s.operator, "tower", machine)
	s.connected()
	return s
}

func (s *server) connected() {
	s.t.Helper()
	s.fake.Wait("the connection", patience, func() bool {
		_, puts := s.fake.Commands("")
		return s.fake.Connected() == 1 && puts > 0
	})
}

// restart starts the bot again after a kill.
func (s *server) restart(environ ...string) {
	s.t.Helper()
	s.startBot(append(slices.Clone(s.environ), environ...)...)
}

// slash uses a command and returns the token by which the fake knows it.
func (s *server) slash(user, command string, options map[string]any) string {
	return s.fake.Use(fakediscord.Use{Channel: discordGeneral, User: user, Command: command, Options: options})
}

// working tells whether a message of the bot is not its final.
func working(m fakediscord.Message) bool {
	stops := slices.ContainsFunc(m.Buttons(), func(b fakediscord.Button) bool { return b.Label == "Stop" || b.Label == "Stopp" })
	return m.Thinking || stops || m.Content == "One moment…" || strings.HasPrefix(m.Content, "Einen Moment")
}

// final waits for the answer of an interaction.
func (s *server) final(token string) fakediscord.Message {
	s.t.Helper()
	s.fake.Wait("a final answer", patience, func() bool {
		in := s.fake.Seen(token)
		return in.Original != nil && !working(*in.Original)
	})
	return *s.fake.Seen(token).Original
}

// end stops the bot and checks the ledger.
func (s *server) end() {
	s.t.Helper()
	for _, m := range s.fake.Messages(discordGeneral, discordGail) {
		if m.Thinking {
			s.t.Errorf("message %s is left thinking", m.ID)
		}
		if len(m.Pinged) > 0 && m.Author.ID == "100" {
			s.t.Errorf("%q notified %v", m.Content, m.Pinged)
		}
	}
	if n := s.fake.Limited(); n > 0 {
		s.t.Errorf("%d limits of Discord were hit", n)
	}
	s.close()
}

// optionsFor fills in what a command of Discord needs: whatever fits.
func optionsFor(options []any) map[string]any {
	values := map[string]any{}
	for _, o := range options {
		o := o.(map[string]any)
		if o["required"] != true {
			continue
		}
		name := fmt.Sprint(o["name"])
		switch choices, _ := o["choices"].([]any); {
		case len(choices) > 0:
			values[name] = choices[0].(map[string]any)["value"]
		case o["type"] == 4.0:
			values[name] = 1
		case o["type"] == 5.0:
			values[name] = true
		case name == "to":
			values[name] = "es"
		default:
			values[name] = "Good morning, dear friends"
		}
	}
	return values
}

// leaves lists every command that can be run, with what it needs.
func leaves(prefix string, commands []map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, c := range commands {
		path := strings.TrimSpace(prefix + " " + fmt.Sprint(c["name"]))
		options, _ := c["options"].([]any)
		var below []map[string]any
		for _, o := range options {
			if o := o.(map[string]any); o["type"] == 1.0 || o["type"] == 2.0 {
				below = append(below, o)
			}
		}
		if len(below) > 0 {
			for p, v := range leaves(path, below) {
				all[p] = v
			}
			continue
		}
		all[path] = optionsFor(options)
	}
	return all
}

// Every command that Discord offers ends in exactly one final answer, with the real bot, pool and worker as processes.
func TestEveryCommandOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	offered, _ := s.fake.Commands("")
	offered = slices.DeleteFunc(offered, func(c map[string]any) bool { return c["type"] != 1.0 })
	commands := leaves("", offered)
	if len(commands) < 10 {
		t.Fatalf("only %d commands are offered", len(commands))
	}
	tokens := map[string]string{}
	for command, options := range commands {
		if command == "worker revoke" || command == "forgetme" {
			continue // the others need what these take away
		}
		tokens[command] = s.slash(discordGail, command, options)
		m := s.final(tokens[command])
		if m.Content == "" && len(m.Attachments) == 0 {
			t.Errorf("/%s answers nothing", command)
		}
		t.Logf("/%s: %.70q", command, m.Content)
	}
	if m := s.final(tokens["imagine"]); len(m.Attachments) == 0 || m.Attachments[0].ContentType != "image/png" || m.Attachments[0].Description == "" {
		t.Errorf("/imagine: %+v", m)
	}
	if m := s.final(tokens["ask"]); !strings.Contains(m.Content, "Good morning, dear friends") {
		t.Errorf("/ask: %q", m.Content)
	}
	if m := s.final(tokens["worker link"]); m.Only != discordGail || !strings.Contains(m.Content, "potluck1") {
		t.Errorf("/worker link is seen by %q: %q", m.Only, m.Content)
	}
	s.end()
}

// Conversation by mention, reply and buttons, as people have it on Discord.
func TestConversationOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	fromBot := func() []fakediscord.Message { return s.fake.FromBot(discordGeneral, discordGail) }
	answers := func(n int) fakediscord.Message {
		t.Helper()
		s.fake.Wait(fmt.Sprint(n, " answers"), patience, func() bool {
			all := fromBot()
			return len(all) == n && !working(all[n-1])
		})
		return fromBot()[n-1]
	}
	q := s.fake.Say(discordGeneral, discordGail, "<@100> why is the sky blue?")
	first := answers(1)
	if first.Reference == nil || first.Reference.MessageID != q.ID || !strings.Contains(first.Content, "why is the sky blue?") {
		t.Errorf("the mention's answer is %+v", first)
	}
	// The same message once more. Another bot answers the bot.
	s.fake.Post(fakediscord.Write{Channel: discordGeneral, User: "777", Bot: true, Content: "<@100> beep", ReplyTo: first.ID})
	s.fake.Post(fakediscord.Write{Channel: discordGeneral, User: discordOlga, Content: "and at night?", ReplyTo: first.ID, Deliver: 2})
	second := answers(2)
	if !strings.Contains(second.Content, "and at night?") {
		t.Errorf("the reply's answer is %q", second.Content)
	}
	// One final state.
	token := s.slash(discordGail, "ask", map[string]any{"question": "tell me a long story"})
	s.fake.Wait("a growing answer", patience, func() bool {
		in := s.fake.Seen(token)
		return in.Original != nil && len(in.Original.Buttons()) > 0 && strings.Contains(in.Original.Content, "demo")
	})
	growing := *s.fake.Seen(token).Original
	s.fake.Use(fakediscord.Use{Channel: discordGeneral, User: discordGail, Message: growing.ID, Button: growing.Buttons()[len(growing.Buttons())-1].CustomID})
	stopped := s.final(token)
	if !strings.Contains(stopped.Content, "Gestoppt") {
		t.Errorf("stopped: %q", stopped.Content)
	}
	// A button works after a restart.
	if code := s.bot.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.restart()
	s.connected()
	s.fake.Use(fakediscord.Use{Channel: discordGeneral, User: discordGail, Message: first.ID, Button: first.Buttons()[0].CustomID})
	if again := answers(4); !strings.Contains(again.Content, "why is the sky blue?") {
		t.Errorf("asked again: %q", again.Content)
	}
	s.end()
}

// What is missing is named, and the admin's side works, with the real bot.
func TestSetupOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	s.fake.AddMember(fakediscord.Member{User: fakediscord.User{ID: "303", Username: "dora"}, Roles: []string{"1002"}})
	s.fake.ChangeChannel(discordGeneral, func(c *fakediscord.Channel) {
		c.Overwrites = []fakediscord.Overwrite{{ID: discordServer, Deny: fakediscord.AttachFiles}}
	})
	for _, c := range []struct {
		user, command string
		options       map[string]any
		want          string
	}{
		{"303", "setup show", nil, "Only an admin"},
		{discordOlga, "setup check", nil, "#general: Attach Files"},
		{discordOlga, "setup delegate", map[string]any{"role": "<@&1002>"}, "Whoever has <@&1002>"},
		{discordOlga, "setup features", map[string]any{"feature": "imagine", "on": false}, "off in this chat now"},
		{discordGail, "imagine", map[string]any{"prompt": "a cat"}, "Die Verwaltung hat"},
		{discordOlga, "setup block", map[string]any{"who": "<@" + discordGail + ">"}, "can no longer use me here"},
		{discordGail, "ask", map[string]any{"question": "hello?"}, "Die Verwaltung dieses Ortes möchte nicht"},
	} {
		m := s.final(s.slash(c.user, c.command, c.options))
		if !strings.Contains(m.Content, c.want) {
			t.Errorf("/%s of %s: %q does not say %q", c.command, c.user, m.Content, c.want)
		}
		if m.Only != c.user { // what is refused, too
			t.Errorf("the answer of /%s is for %q", c.command, m.Only)
		}
	}
	s.end()
}

// Kill -9 while Discord carries a call out, also between the acknowledgement and the answer, and between a send and its reply: the answer
// arrives all the same, once.
func TestKilledWhileDiscordAnswers(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(fakediscord.Request) bool{
		"at the acknowledgement": func(q fakediscord.Request) bool { return strings.HasSuffix(q.Path, "/callback") },
		"at the placeholder": func(q fakediscord.Request) bool {
			return q.Method == "PATCH" && strings.HasSuffix(q.Path, "/@original")
		},
		"after the acknowledgement, the answer not taken": func(q fakediscord.Request) bool {
			return q.Method == "PATCH" && strings.HasSuffix(q.Path, "/@original")
		},
		"at an edit": func(q fakediscord.Request) bool {
			return q.Method == "PATCH" && !strings.HasSuffix(q.Path, "/@original")
		},
		"at the reply's message":  func(q fakediscord.Request) bool { return q.Method == "POST" && strings.HasSuffix(q.Path, "/messages") },
		"at the reply, not taken": func(q fakediscord.Request) bool { return q.Method == "POST" && strings.HasSuffix(q.Path, "/messages") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openServer(t)
			before := len(s.fake.FromBot(discordGeneral, discordGail))
			var killed atomic.Bool
			s.fake.Before(func(q fakediscord.Request) *fakediscord.Answer {
				if !at(q) || !killed.CompareAndSwap(false, true) {
					return nil
				}
				s.bot.kill()
				return &fakediscord.Answer{Done: !strings.Contains(name, "not taken"), Drop: true}
			})
			if strings.Contains(name, "reply") {
				s.fake.Say(discordGeneral, discordGail, "<@100> why is the sky blue?")
			} else {
				s.slash(discordGail, "ask", map[string]any{"question": "why is the sky blue?"})
			}
			s.fake.Wait("the kill", patience, killed.Load)
			<-s.bot.ended
			s.restart()
			s.connected()
			s.fake.Wait("the answer", patience, func() bool {
				all := s.fake.FromBot(discordGeneral, discordGail)
				return len(all) > before && !working(all[len(all)-1]) && strings.Contains(all[len(all)-1].Content, "why is the sky blue?")
			})
			if code := s.bot.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if all := s.fake.FromBot(discordGeneral, discordGail); len(all) != before+1 || working(all[before]) {
				t.Errorf("%d messages: %+v", len(all)-before, all)
			}
		})
	}
}

// rush has n questions asked, 50 a second, and returns how long after its making each was acknowledged.
func (s *server) rush(n int) []time.Duration {
	s.t.Helper()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	var tokens []string
	for i := range n {
		<-every.C
		tokens = append(tokens, s.slash(fmt.Sprint(9000+i%125), "ask", map[string]any{"question": "hello"}))
	}
	s.fake.Wait("all acknowledgements", patience, func() bool {
		return !slices.ContainsFunc(tokens, func(x string) bool { return s.fake.Seen(x).Acked.IsZero() })
	})
	var took []time.Duration
	for _, x := range tokens {
		in := s.fake.Seen(x)
		took = append(took, in.Acked.Sub(in.Created))
	}
	slices.Sort(took)
	return took
}

// With the real bot: everybody asks while the only machine is busy, and every question is acknowledged. How fast is measured by
// BenchmarkAcknowledgeOnDiscord, and checked against fake time by TestFiveHundredInteractionsAreAcknowledged.
func TestFiveHundredAtOnceOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	took := s.rush(500)
	t.Logf("acknowledged: half within %v, the slowest after %v", took[len(took)/2], took[len(took)-1])
	s.bot.kill()
}

// What people really write into /imagine on Discord.
func TestPictureWishesOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	long := strings.TrimSpace(strings.Repeat("a quiet harbour at dawn ", 250)) // 6,000 characters
	for _, c := range []struct {
		prompt, want string
		drawn        bool
	}{
		{"a lighthouse —ar 16:9", " × ", true}, {"a lighthouse --ar 0:1", "0:1", false}, {"a lighthouse --ar 513x513", "513x513 is not possible, so I took the nearest", true},
		{long, "a quiet harbour", true},
	} {
		m := s.final(s.slash(discordOlga, "imagine", map[string]any{"prompt": c.prompt}))
		if !strings.Contains(m.Content, c.want) || c.drawn != (len(m.Attachments) == 1) || len(m.Content) > 2000 {
			t.Errorf("%.40q: %d pictures, %.300q does not say %q", c.prompt, len(m.Attachments), m.Content, c.want)
		}
		if c.prompt != long {
			continue
		}
		token := s.press(discordOlga, m, "Info")
		s.fake.Wait("the whole prompt", patience, func() bool {
			words := 0
			for _, part := range s.fake.Seen(token).Later {
				words += strings.Count(part.Content, "harbour")
			}
			return words == 250
		})
		for _, part := range s.fake.Seen(token).Later {
			if part.Only != discordOlga {
				t.Errorf("%.60q is seen by %q", part.Content, part.Only)
			}
		}
	}
	s.end()
}
