package telegram_test

import (
	"context"
	"fmt"
	"slices"
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

// asked renders what the core is asked: the command that the adapter made, else the text that the Router will parse.
func asked(e bot.Event) string {
	p := e.Command
	if p == nil {
		parsed, err := bot.ParseCommand(commands, e.Text)
		if err != nil {
			return "text " + e.Text.Plain
		}
		p = &parsed
	}
	return fmt.Sprint(p.Path, p.Options)
}

// Commands that name this bot or none, in any script, wherever they stand; mentions; other bots are left alone.
func TestWhatIsAsked(t *testing.T) {
	for text, want := range map[string]string{
		"/ask why is the sky blue?":              "[ask] map[question:why is the sky blue?]",
		"/ask@potluck_bot why?":                  "[ask] map[question:why?]",
		"/ASK@Potluck_Bot why?":                  "[ask] map[question:why?]",
		"/ask@other_bot why?":                    "",
		"/ban@other_bot":                         "",
		"/ban":                                   "",
		"/imagine a cat --style anime --ar 16:9": "[imagine] map[ar:16:9 prompt:a cat style:anime]",
		"/imagine a cat —style anime —ar 16:9":   "[imagine] map[ar:16:9 prompt:a cat style:anime]",
		"/imagine@potluck_bot 猫の絵 😀 style:anime": "[imagine] map[prompt:猫の絵 😀 style:anime]",
		"привет, /ask@potluck_bot почему?":       "[ask] map[question:привет, почему?]",
		"😀😀 /ask@potluck_bot почему?":            "[ask] map[question:😀😀 почему?]",
		"@potluck_bot why is the sky blue?":      "[ask] map[question:why is the sky blue?]",
		"why is the sky blue, @Potluck_Bot ?":    "[ask] map[question:why is the sky blue, ?]",
		"@potluck_bot":                           "[help] map[]",
		"@potluck_bot /imagine a cat":            "[imagine] map[prompt:a cat]",
		"@potluck_bot_two hello":                 "text @potluck_bot_two hello",
		"hello everybody":                        "text hello everybody",
		"/etc/passwd is a file":                  "text /etc/passwd is a file",
		"/worker_link@potluck_bot":               "[worker link] map[]",
		"/start@potluck_bot":                     "[help] map[]",
		"look: /ask is a command":                "text look: /ask is a command",
	} {
		bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: text})
			all := r.Taken(bot.MessageNew)
			got := ""
			if len(all) > 0 {
				got = asked(all[0])
			}
			if got != want || len(s.FromBot(club)) != 0 {
				t.Errorf("%q is %q, want %q", text, got, want)
			}
		})
	}
}

// In private everything is a question, unless it answers the bot.
func TestPrivateTextIsAQuestion(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "why is the sky blue?"})
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "/start"})
		ids := r.Send(plain(anna, "hello"))
		n := 0
		fmt.Sscan(string(ids[0]), &n)
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "and why?", ReplyTo: int64(n)})
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Photo: true})
		all := r.Taken(bot.MessageNew)
		if len(all) != 4 || asked(all[0]) != "[ask] map[question:why is the sky blue?]" || asked(all[1]) != "[help] map[]" || all[2].Command != nil || all[2].ReplyTo != ids[0] {
			t.Errorf("%+v", all)
		}
		if !all[0].Chat.Private || all[0].Chat.Community != "" || all[0].Locale != "de" || all[0].Name != "Anna" {
			t.Errorf("%+v", all[0])
		}
		bottest.Pass(3 * time.Second)
		if m := s.FromBot(anna); !strings.Contains(m[len(m)-1].Text, "telegram.text_only") {
			t.Errorf("%+v", m)
		}
	})
}

// Privacy mode keeps mentions from the bot; commands and replies work, and the operator is told why.
func TestPrivacyMode(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		s.Privacy = true
		r := start(t, s, nil)
		bottest.Pass(6 * time.Second)
		ids := r.Send(plain(club, "hello"))
		n := int64(0)
		fmt.Sscan(string(ids[0]), &n)
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "@potluck_bot why?"})
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask@potluck_bot why?"})
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "and why?", ReplyTo: n})
		if all := texts(r.Taken(bot.MessageNew)); fmt.Sprint(all) != "[/ask why? and why?]" {
			t.Errorf("%q", all)
		}
		if !strings.Contains(r.log.String(), "Group Privacy") {
			t.Error(r.log)
		}
		r.end()
	})
}

// What somebody else wrote becomes part of what is asked about it: as the text of a command that has none, else as a quote.
func TestAskingAboutAMessage(t *testing.T) {
	for text, want := range map[string]string{
		"/translate to:es":           "[translate] map[text:Guten Morgen --style to:de to:es]",
		"/ask":                       "[ask] map[question:Guten Morgen --style to:de]",
		"@potluck_bot":               "[ask] map[question:Guten Morgen --style to:de]",
		"@potluck_bot what is that?": "[ask] map[question:Guten Morgen --style to:de\n\nwhat is that?]",
		"/ask what is that?":         "[ask] map[question:what is that?]",
	} {
		bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
			m := s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "Guten Morgen --style to:de"})
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: text, ReplyTo: m.ID})
			all := r.Taken(bot.MessageNew)
			if got := asked(all[len(all)-1]); got != want {
				t.Errorf("%q is %q, want %q", text, got, want)
			}
		})
	}
}

// A mention by name was taken for the id of a member: credits that were given to @boris_b went to somebody who does not exist. It is resolved for
// whoever wrote lately and means nobody otherwise; in reply to a message, a command that lacks its person means whoever wrote that.
func TestWhoIsMeant(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		meant := func(text string, reply int64) string {
			s.Say(fakebotapi.Say{Chat: club, From: olga, Text: text, ReplyTo: reply})
			all := r.Taken(bot.MessageNew)
			e := all[len(all)-1]
			rest := e.Text
			if e.Command != nil {
				rest = e.Command.Rest
			}
			for _, m := range rest.Spans {
				if m.Kind == bot.Mention {
					return m.Value
				}
			}
			return "none in " + rest.Plain
		}
		if got := meant("/give amount:5 @Boris_B", 0); got != "" {
			t.Errorf("before he wrote: %q", got)
		}
		said := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "good morning"})
		for text, reply := range map[string]int64{"/give amount:5 @Boris_B": 0, "/give amount:5": said.ID} {
			if got := meant(text, reply); got != string(user(boris)) {
				t.Errorf("%s: %q", text, got)
			}
		}
		if got := meant("thanks, @nobody_here", 0); got != "" {
			t.Errorf("%q", got)
		}
	})
}

// A command that still needs something is asked for it: by buttons where there is a choice, else by a message to reply to. It works after a
// restart, for the one who asked, and what was typed stays.
func TestForms(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		q := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/translate"})
		bottest.Pass(time.Second)
		form := s.FromBot(club)[0]
		if !strings.HasPrefix(form.Text, "/translate\n") || len(form.Buttons()) != 3 || form.ReplyTo.ID != q.ID {
			t.Fatalf("%+v", form)
		}
		stranger := s.Press(club, form.ID, anna, form.Buttons()[0].Data)
		bottest.Pass(time.Second)
		if a := s.Query(stranger); !a.Alert || !strings.Contains(a.Text, "not_yours") {
			t.Errorf("%+v", a)
		}
		s.Press(club, form.ID, boris, form.Buttons()[0].Data)
		bottest.Pass(3 * time.Second)
		all := s.FromBot(club)
		if len(all) != 1 || !strings.HasPrefix(all[0].Text, "/translate to:es\n") || !all[0].Asks {
			t.Fatalf("%+v\n%s", all, r.log)
		}
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "Good morning", ReplyTo: all[0].ID})
		if e := r.One(bot.MessageNew); asked(e) != "[translate] map[text:Good morning to:es]" || e.User != user(boris) {
			t.Errorf("%+v", e)
		}
		bottest.Pass(time.Minute)
		s.Say(fakebotapi.Say{Chat: forum, From: boris, Text: "/worker", Topic: topic})
		bottest.Pass(2 * time.Second)
		form = s.FromBot(forum)[0]
		if form.Topic != topic || len(form.Buttons()) != 2 {
			t.Fatalf("%+v", form)
		}
		s.Press(forum, form.ID, boris, form.Buttons()[1].Data)
		taken := r.Taken(bot.MessageNew)
		if e := taken[len(taken)-1]; asked(e) != "[worker list] map[]" {
			t.Errorf("%+v", e)
		}
		bottest.Pass(3 * time.Second)
	})
}

// A form for an option that was typed without its value ("/credits why:") had that name twice, and whatever was replied, it was asked again.
func TestFormsOfNamesWithoutValues(t *testing.T) {
	for _, c := range []struct{ typed, form, reply, want string }{
		{"/credits why:", "/credits why:", "1", "[credits] map[why:1]"},
		{"/credits why", "/credits why:", "why: 1", "[credits] map[why:1]"},
		{"/credits Why：", "/credits why:", "7", "[credits] map[why:7]"},
		{"/ask model: hi there", "/ask hi there model:", "llama", "[ask] map[model:llama question:hi there]"},
		{"/imagine prompt:", "/imagine", "a red cat", "[imagine] map[prompt:a red cat]"},
		{"/imagine style:photo prompt:", "/imagine style:photo", "prompt: a red cat", "[imagine] map[prompt:a red cat style:photo]"},
	} {
		t.Run(c.typed, func(t *testing.T) {
			bubble(t, func(cfg *telegram.Config) {
				credits := bot.Command{Name: "credits", Options: []bot.Option{{Name: "why", Kind: bot.Integer, Min: 1, Max: 1000}}, Run: nothing}
				cfg.Commands = append(slices.Clone(cfg.Commands), credits)
			}, func(t *testing.T, s *fakebotapi.Server, r *rig) {
				s.Say(fakebotapi.Say{Chat: club, From: boris, Text: c.typed})
				bottest.Pass(time.Second)
				if len(s.FromBot(club)) != 1 {
					if got := r.Taken(bot.MessageNew); len(got) == 1 {
						t.Fatalf("no form: %s", asked(got[0]))
					}
					t.Fatalf("%+v", s.FromBot(club))
				}
				form := s.FromBot(club)[0]
				if !strings.HasPrefix(form.Text, c.form+"\n") {
					t.Errorf("the form is %q", form.Text)
				}
				s.Say(fakebotapi.Say{Chat: club, From: boris, Text: c.reply, ReplyTo: form.ID})
				p, err := bot.ParseCommand(append(slices.Clone(commands), bot.Command{
					Name: "credits", Options: []bot.Option{{Name: "why", Kind: bot.Integer, Min: 1, Max: 1000}}, Run: nothing,
				}), r.One(bot.MessageNew).Text)
				if got := fmt.Sprint(p.Path, " ", p.Options); got != c.want {
					t.Errorf("read as %s, %v", got, err)
				}
			})
		})
	}
}

// Somebody who may not use a command was asked in the group what it needs, and refused only afterwards.
func TestFormsAreForThoseWhoMay(t *testing.T) {
	who := bot.Option{Name: "who", Kind: bot.String, Rest: true, Required: true, Person: true}
	bubble(t, func(cfg *telegram.Config) {
		setup := bot.Command{Name: "setup", Needs: community.Admin, Subcommands: []bot.Command{{Name: "block", Options: []bot.Option{who}, Run: nothing}}}
		cfg.Commands = []bot.Command{commands[0], setup}
	}, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		for _, text := range []string{"/setup", "/setup block"} {
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: text})
			bottest.Pass(2 * time.Second)
			if n, taken := len(s.FromBot(club)), r.Taken(bot.MessageNew); n != 0 || len(taken) == 0 || taken[len(taken)-1].Text.Plain != text {
				t.Errorf("%s of a member: %d forms, the core got %+v", text, n, taken)
			}
		}
		s.Say(fakebotapi.Say{Chat: club, From: olga, Text: "/setup"})
		s.Say(fakebotapi.Say{Chat: club, From: olga, Text: "/setup block"})
		bottest.Pass(5 * time.Second)
		if n := len(s.FromBot(club)); n != 2 {
			t.Errorf("%d forms for an administrator", n)
		}
	})
}

// Administrators are known; those who write as the group are one, too; channels are nobody's.
func TestRoles(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.AddChat(fakebotapi.Chat{ID: -1009000, Type: "channel", Title: "News"})
		s.Say(fakebotapi.Say{Chat: club, From: olga, Text: "/setup"})
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/setup"})
		s.Say(fakebotapi.Say{Chat: club, As: club, Text: "/setup"})
		s.Say(fakebotapi.Say{Chat: club, As: -1009000, Text: "/setup"})
		s.Say(fakebotapi.Say{Chat: club, As: -1009000, Text: "/setup", Auto: true})
		all := r.Taken(bot.MessageNew)
		if len(all) != 5 {
			t.Fatalf("%d events", len(all))
		}
		for i, want := range []struct {
			role community.Role
			user int64
		}{{community.Admin, olga}, {community.Everyone, boris}, {community.Admin, club}, {community.Everyone, -1009000}, {community.Everyone, -1009000}} {
			if all[i].Role != want.role || all[i].User != user(want.user) || all[i].FromBot {
				t.Errorf("%d: %+v", i, all[i])
			}
		}
		if n := len(s.Requests("getChatAdministrators")); n != 1 {
			t.Errorf("asked %d times", n)
		}
		s.Push("chat_member", map[string]any{"chat": map[string]any{"id": club}, "new_chat_member": map[string]any{"status": "administrator"}})
		s.Say(fakebotapi.Say{Chat: club, From: olga, Text: "/setup"})
		faketime.Wait()
		if n := len(s.Requests("getChatAdministrators")); n != 2 {
			t.Errorf("asked %d times after a change", n)
		}
	})
}

// Other bots are marked, so that nobody answers them.
func TestOtherBotsAreMarked(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.AddUser(fakebotapi.User{ID: 777, IsBot: true, FirstName: "beep"})
		own := r.Send(plain(club, "hello"))
		n := int64(0)
		fmt.Sscan(string(own[0]), &n)
		s.Say(fakebotapi.Say{Chat: club, From: 777, Text: "@potluck_bot beep", ReplyTo: n})
		if e := r.One(bot.MessageNew); !e.FromBot {
			t.Errorf("%+v", e)
		}
	})
}

func TestEditedMessage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		m := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask one"})
		s.Edit(club, m.ID, "/ask two")
		s.Edit(club, m.ID, "/ask three")
		all := r.Taken(bot.MessageEdited)
		if len(all) != 2 || all[0].Message != r.One(bot.MessageNew).Message || all[0].ID == all[1].ID || all[1].Text.Plain != "/ask three" {
			t.Errorf("%+v", all)
		}
	})
}

// A press is answered in any case, within two seconds, and what is short and private is shown right there.
func TestPresses(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		ids := r.Send(bot.Outgoing{Chat: chat(club), Text: bot.Plain("hello"), Buttons: []bot.Button{{ID: "ABCDEFGHIJKLMNOP", Label: "Press"}}, Final: true})
		press := s.Press(club, 1, boris, "ABCDEFGHIJKLMNOP")
		e := r.One(bot.ActionPressed)
		if e.Action != "ABCDEFGHIJKLMNOP" || e.Message != ids[0] || e.User != user(boris) || e.Chat.ID != chat(club) {
			t.Errorf("%+v", e)
		}
		bottest.Pass(2 * time.Second)
		if q := s.Query(press); q.Answered.IsZero() || q.Text != "" {
			t.Errorf("%+v", q)
		}
		r.SetHandle(func(ctx context.Context, e bot.Event) error {
			_, err := r.platform.Send(ctx, bot.Outgoing{Chat: e.Chat.ID, Only: e.User, Text: bot.Plain("that is not yours"), Handle: e.Handle, Final: true, Nonce: "n"})
			return err
		})
		press = s.Press(club, 1, boris, "ABCDEFGHIJKLMNOP")
		bottest.Pass(2 * time.Second)
		if q := s.Query(press); !q.Alert || q.Text != "that is not yours" || len(s.FromBot(club)) != 1 {
			t.Errorf("%+v", q)
		}
		// Who is blocked sees the button stop at once.
		r.SetHandle(func(context.Context, bot.Event) error { return fmt.Errorf("accept: %w", bot.ErrIgnored) })
		press = s.Press(club, 1, boris, "ABCDEFGHIJKLMNOP")
		faketime.Wait()
		if q := s.Query(press); q.Answered.IsZero() || q.Text != "" {
			t.Errorf("%+v", q)
		}
		// The button of a message that is gone.
		s.Remove(club, 1)
		s.Press(club, 1, boris, "ABCDEFGHIJKLMNOP")
		if n := len(r.Taken(bot.ActionPressed)); n != 4 {
			t.Errorf("%d presses", n)
		}
		bottest.Pass(2 * time.Second)
	})
}

// Private answers go to the private chat; who never opened it gets a button in the group, and the answer once it is open.
func TestPrivateAnswers(t *testing.T) {
	routed(t, []bot.Command{secret}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: olga, Text: "/secret"})
		bottest.Pass(3 * time.Second)
		in := s.FromBot(club)
		if m := s.FromBot(olga); len(m) != 1 || m[0].Text != "potluck1.secret" || len(in) != 1 || !strings.Contains(in[0].Text, "telegram.in_private") || in[0].Buttons()[0].URL == "" {
			t.Fatalf("%+v %+v", m, in)
		}
		bottest.Pass(time.Minute)
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/secret"})
		bottest.Pass(3 * time.Second)
		in = s.FromBot(club)
		hint := in[len(in)-1]
		if len(in) != 2 || !strings.Contains(hint.Text, "telegram.open_first") || len(s.FromBot(boris)) != 0 {
			t.Fatalf("%+v", in)
		}
		_, payload, _ := strings.Cut(hint.Buttons()[0].URL, "?start=")
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "/start " + payload}) // a stranger pressed it
		s.Say(fakebotapi.Say{Chat: boris, From: boris, Text: "/start " + payload})
		bottest.Pass(3 * time.Second)
		if m := s.FromBot(boris); len(m) != 1 || m[0].Text != "potluck1.secret" {
			t.Errorf("%+v\n%s", m, h.log)
		}
		for _, m := range append(s.FromBot(club), s.FromBot(anna)...) {
			if strings.Contains(m.Text, "potluck1") || strings.Contains(m.Text, "open_first") {
				t.Errorf("%+v", m)
			}
		}
		bottest.Pass(time.Minute)
		s.Say(fakebotapi.Say{Chat: club, As: club, Text: "/secret"})
		bottest.Pass(3 * time.Second)
		if in = s.FromBot(club); !strings.Contains(in[len(in)-1].Text, "telegram.anonymous") {
			t.Errorf("%+v", in)
		}
	})
}

// Inline mode: an offer, a choice, and the message is the answer.
func TestInline(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		q := s.Inline(anna, "Good morning")
		bottest.Pass(time.Second)
		list, ok := s.Results(q)
		if !ok || len(list) != 3 || list[0]["id"] != "ask" || list[1]["id"] != "to:de" {
			t.Fatalf("%v", list)
		}
		id := s.Choose(anna, "Good morning", "to:de", "reply.working")
		e := r.One(bot.MessageNew)
		if asked(e) != "[translate] map[text:Good morning to:de]" || e.User != user(anna) || !e.Chat.Private {
			t.Fatalf("%+v", e)
		}
		ids := r.Send(bot.Outgoing{Chat: e.Chat.ID, Text: bot.Plain("…"), Handle: e.Handle, Nonce: "n"})
		r.Edit(ids, bot.Outgoing{Chat: e.Chat.ID, Text: bot.ParseMarkdown("**Guten Morgen**"), Handle: e.Handle, Final: true})
		if m := s.InlineMessage(id); m.Text != "Guten Morgen" || len(m.Entities) != 1 {
			t.Errorf("%+v", m)
		}
	})
}

var _ bot.Platform = (*telegram.Platform)(nil)
var _ bot.Pacer = (*telegram.Platform)(nil)
