package discord_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/community"
)

// outgoing is what answers an event.
func outgoing(e bot.Event, text string) bot.Outgoing {
	m := bot.Outgoing{Chat: e.Chat.ID, ReplyTo: e.Message, Text: bot.Plain(text), Handle: e.Handle, Nonce: "nonce" + e.ID[len(e.ID)-8:]}
	if e.Private {
		m.Only = e.User
	}
	return m
}

func TestSlashCommandIsAcknowledgedAndAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Deliver: 3, Options: map[string]any{
			"question": "what says <@302> in **bold**?", "model": "qwen",
		}})
		e := r.One(bot.MessageNew)
		if e.Command == nil || strings.Join(e.Command.Path, " ") != "ask" || e.Command.Options["model"] != "qwen" ||
			e.Command.Rest.Plain != "what says @302 in bold?" || e.Command.Options["question"] != e.Command.Rest.Plain {
			t.Errorf("command %+v", e.Command)
		}
		if e.User != "discord:"+anna || e.Name != "Anna" || e.Locale != "de" || e.Chat.ID != "discord:"+general || e.Chat.Community != "discord:"+home || e.Chat.Private || e.Role != community.Everyone {
			t.Errorf("event %+v", e)
		}
		bottest.Pass(time.Second)
		in := s.Seen(token)
		if in.AckType != 5 || in.Acked.Sub(in.Created) > time.Second || in.Original.Only != "" {
			t.Fatalf("acknowledged as %d after %v", in.AckType, in.Acked.Sub(in.Created))
		}
		m := outgoing(e, "working")
		ids := r.Send(m)
		m.Text = bot.Plain("done")
		m.Final = true
		if now := r.Edit(ids, m); len(now) != 1 || now[0] != ids[0] {
			t.Errorf("Edit gives %v, Send gave %v", now, ids)
		}
		if got := s.FromBot(general, boris); len(got) != 1 || got[0].Content != "done" || got[0].ID != string(ids[0]) {
			t.Errorf("shows %+v", got)
		}
	})
}

func TestOptionsOfEveryKind(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		token := s.Use(fakediscord.Use{Channel: general, User: admin, Command: "worker link", Options: map[string]any{"share": true, "limit": 7, "mode": "b"}})
		e := r.One(bot.MessageNew)
		if got := fmt.Sprint(e.Command.Path, e.Command.Options); got != "[worker link] map[limit:7 mode:b share:true]" {
			t.Errorf("command %s", got)
		}
		if e.Role != community.Admin {
			t.Errorf("role %v", e.Role)
		}
		bottest.Pass(time.Second)
		if in := s.Seen(token); in.Original == nil || in.Original.Only != admin {
			t.Errorf("the answer of a private command is for everybody: %+v", in.Original)
		}
		e.Private = true
		ids := r.Send(outgoing(e, "a secret"))
		if len(s.FromBot(general, anna)) != 0 || len(s.FromBot(general, admin)) != 1 {
			t.Error("others see it")
		}
		r.Edit(ids, outgoing(e, "another secret"))
		if got := s.FromBot(general, admin); got[0].Content != "another secret" {
			t.Errorf("shows %+v", got)
		}
		// After the token's end the secret comes as a DM; the chat never sees it.
		bottest.Pass(16 * time.Minute)
		if _, err := r.platform.Edit(t.Context(), ids, outgoing(e, "late")); err == nil {
			t.Error("an ephemeral message was edited after its token's end")
		}
		again := r.Send(outgoing(e, "late"))
		r.Edit(again, outgoing(e, "later"))
		if got := s.FromBot("5"+admin, admin); len(got) != 1 || got[0].Content != "later" || len(s.FromBot(general, anna)) != 0 {
			t.Errorf("the DM shows %+v", got)
		}
	})
}

// With everything busy, all are acknowledged within a second.
func TestFiveHundredInteractionsAreAcknowledged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		r.SetHandle(func(ctx context.Context, e bot.Event) error { // a disk that is slow
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			return nil
		})
		var tokens []string
		for i := range 500 {
			channel := []string{general, staff, adult, thread}[i%4]
			tokens = append(tokens, s.Use(fakediscord.Use{Channel: channel, User: anna, Command: "ask", Options: map[string]any{"question": "hello"}}))
			<-time.After(20 * time.Millisecond)
		}
		bottest.Pass(2 * time.Second)
		slowest := time.Duration(0)
		for _, token := range tokens {
			in := s.Seen(token)
			if in.Acked.IsZero() {
				t.Fatal("one was not acknowledged")
			}
			slowest = max(slowest, in.Acked.Sub(in.Created))
		}
		t.Logf("the slowest of 500 took %v", slowest)
		if slowest > time.Second {
			t.Errorf("one was acknowledged after %v", slowest)
		}
		bottest.Pass(time.Minute)
		if n := len(r.Taken(bot.MessageNew)); n != 500 {
			t.Errorf("%d were taken", n)
		}
	})
}

// More than can wait: those are told so, privately, instead of "did not respond".
func TestTooManyInOneChannelAreTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		block := make(chan struct{})
		r.SetHandle(func(context.Context, bot.Event) error { <-block; return nil })
		var tokens []string
		for range 220 {
			tokens = append(tokens, s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hello"}}))
		}
		bottest.Pass(2 * time.Second)
		told := 0
		for _, token := range tokens {
			in := s.Seen(token)
			if in.Acked.IsZero() || in.Acked.Sub(in.Created) > time.Second {
				t.Fatalf("acknowledged at %v", in.Acked)
			}
			if in.AckType == 4 && in.Original.Only == anna && in.Original.Content == "fault.busy" {
				told++
			}
		}
		if told < 15 || told > 25 {
			t.Errorf("%d were told", told)
		}
		close(block)
		bottest.Pass(time.Second)
	})
}

// A final after 15 minutes is a message that mentions who asked, once; the placeholder leads to it.
func TestLateFinalArrivesInTheChannel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "draw"}})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		m := outgoing(e, "in line")
		m.Buttons = []bot.Button{{ID: "STOP", Label: "Stop", Style: bot.Danger}}
		ids := r.Send(m)
		bottest.Pass(20 * time.Minute)
		m.Text, m.Buttons = bot.Plain("still in line"), nil
		if now := r.Edit(ids, m); now[0] != ids[0] {
			t.Errorf("progress made a new message: %v", now)
		}
		m.Text, m.Final = bot.Plain("here it is"), true
		m.Pictures = []bot.Picture{picture(t, 64)}
		now := r.Edit(ids, m)
		got := s.FromBot(general, boris)
		if len(got) != 2 || !strings.HasPrefix(got[0].Content, "⤵ https://discord.com/channels/"+home+"/"+general+"/"+string(now[0])) || len(got[0].Buttons()) != 0 {
			t.Fatalf("shows %+v", got)
		}
		if got[1].Content != "<@"+anna+"> here it is" || len(got[1].Attachments) != 1 || got[1].Reference.MessageID != got[0].ID || fmt.Sprint(got[1].Pinged) != "["+anna+"]" {
			t.Errorf("late answer %+v", got[1])
		}
		// Once more, as after a kill before the ids were saved, or after it.
		if again := r.Edit(ids, m); again[0] != now[0] {
			t.Errorf("the answer came twice: %v, %v", now, again)
		}
		if again := r.Edit(now, m); again[0] != now[0] || len(s.FromBot(general, boris)) != 2 {
			t.Errorf("the answer came twice: %v, %v", now, again)
		}
	})
}

// An interaction that comes too late to be acknowledged (3 s) is answered by a message of its own.
func TestInteractionThatCameTooLate(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}, Late: 4 * time.Second})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		ids := r.Send(outgoing(e, "hello"))
		r.Edit(ids, outgoing(e, "hello, you"))
		if got := s.FromBot(general, boris); len(got) != 1 || got[0].Content != "hello, you" || fmt.Sprint(got[0].Pinged) != "["+anna+"]" {
			t.Errorf("shows %+v", got)
		}
	})
}

// Discord loses a token before its time: the picture comes all the same.
func TestTokenThatIsLostEarly(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		s.Before(func(q fakediscord.Request) *fakediscord.Answer {
			if strings.HasPrefix(q.Path, "/webhooks/") {
				return &fakediscord.Answer{Status: 404, Body: `{"code":10015,"message":"Unknown Webhook"}`}
			}
			return nil
		})
		m := outgoing(e, "hello")
		m.Final, m.Pictures = true, []bot.Picture{picture(t, 64)}
		ids := r.Send(m)
		r.Edit(ids, m)
		if got := s.FromBot(general, boris); len(got) != 2 || !got[0].Thinking || !strings.HasSuffix(got[1].Content, "hello") || len(got[1].Attachments) != 1 {
			t.Errorf("shows %+v", got)
		}
	})
}

// Nobody answered: "thinking" is taken back before its token ends.
func TestUnansweredInteractionIsTakenBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		bottest.Pass(time.Second)
		if got := s.FromBot(general, anna); len(got) != 1 || !got[0].Thinking {
			t.Fatalf("shows %+v", got)
		}
		bottest.Pass(15 * time.Minute)
		if got := s.FromBot(general, anna); len(got) != 0 {
			t.Errorf("shows %+v", got)
		}
	})
}

// A role that an admin chose counts as admin.
func TestDelegatedRole(t *testing.T) {
	delegate := func(c *discord.Config) {
		c.Delegate = func(_ context.Context, c community.CommunityID) (string, error) {
			return map[community.CommunityID]string{"discord:" + home: "discord:&1002"}[c], nil
		}
	}
	bubble(t, delegate, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.AddMember(fakediscord.Member{User: fakediscord.User{ID: "304", Username: "dora"}, Roles: []string{"1002"}})
		for user, want := range map[string]community.Role{"304": community.Admin, anna: community.Everyone, admin: community.Admin} {
			s.Use(fakediscord.Use{Channel: general, User: user, Command: "ask", Options: map[string]any{"question": "hi"}})
			s.Say(general, user, "hi")
			got := r.Taken(bot.MessageNew)
			for _, e := range got[len(got)-2:] {
				if e.Role != want {
					t.Errorf("%s is %v, want %v", user, e.Role, want)
				}
			}
		}
	})
}

// An interaction that nobody answers does not show "thinking" for longer than a moment.
func TestIgnoredInteractionIsTakenBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		r.SetHandle(func(context.Context, bot.Event) error { return fmt.Errorf("take: %w", bot.ErrIgnored) })
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		bottest.Pass(time.Second)
		if got := s.FromBot(general, anna); len(got) != 0 || len(r.Taken(bot.MessageNew)) != 1 {
			t.Errorf("shows %+v", got)
		}
	})
}

// Bad input: a flood of autocompletes. Suggestions come at once, 25 of them, also in a flood.
func TestAutocomplete(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		var tokens []string
		for range 100 {
			tokens = append(tokens, s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Typed: "model", Options: map[string]any{"model": "qw"}}))
		}
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		bottest.Pass(2 * time.Second)
		answered := 0
		for _, x := range tokens {
			in := s.Seen(x)
			if in.Acked.IsZero() {
				continue
			}
			answered++
			if len(in.Choices) != 25 || in.Choices[0].Name != "qw-0" || in.Acked.Sub(in.Created) > time.Second {
				t.Fatalf("suggested %v after %v", in.Choices, in.Acked.Sub(in.Created))
			}
		}
		if answered < 60 || s.Seen(token).Acked.IsZero() {
			t.Errorf("%d of 100 got suggestions", answered)
		}
		if last := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "nothing", Typed: "x", Options: map[string]any{"x": ""}}); last != "" {
			bottest.Pass(time.Second)
			if in := s.Seen(last); in.AckType != 8 || len(in.Choices) != 0 {
				t.Errorf("an unknown command suggests %v", in.Choices)
			}
		}
	})
}

// "Translate" on any message, privately and into the reader's language.
func TestTranslateMenu(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		target := s.Post(fakediscord.Write{
			Channel: general, User: "777", Bot: true, Content: "Hello <@301>", Embeds: `[{"type":"rich","title":"News","description":"It *rains*"},{"type":"link","title":"preview"}]`,
		})
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "discord.menu_translate", Target: target.ID})
		var e bot.Event
		for _, x := range r.Taken(bot.MessageNew) {
			if !x.FromBot {
				e = x
			}
		}
		if !e.Private || e.Command == nil || e.Command.Path[0] != "translate" || e.Command.Options["to"] != "de" || e.Command.Rest.Plain != "Hello @Anna\n\nNews\nIt rains" {
			t.Fatalf("event %+v %+v", e, e.Command)
		}
		bottest.Pass(time.Second)
		r.Send(outgoing(e, "Hallo"))
		if in := s.Seen(token); in.Original.Only != anna || in.Original.Content != "Hallo" || len(s.FromBot(general, boris)) != 0 {
			t.Errorf("answered %+v", in.Original)
		}
	})
}

func TestAskAboutThis(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		target := s.Say(general, boris, "the moon is made of **cheese**")
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "discord.menu_ask", Target: target.ID})
		bottest.Pass(time.Second)
		var form struct {
			ID string `json:"custom_id"`
		}
		if in := s.Seen(token); in.AckType != 9 || json.Unmarshal(in.Modal, &form) != nil || form.ID == "" {
			t.Fatalf("no form: %+v", in)
		}
		answer := s.Use(fakediscord.Use{Channel: general, User: anna, Modal: form.ID, Fields: map[string]string{"question": "is that so?"}})
		got := r.Taken(bot.MessageNew)
		e := got[len(got)-1]
		if e.Command == nil || e.Command.Path[0] != "ask" || e.Command.Rest.Plain != "the moon is made of cheese\n\nis that so?" || e.Private {
			t.Fatalf("event %+v %+v", e, e.Command)
		}
		bottest.Pass(time.Second)
		r.Send(outgoing(e, "no"))
		if in := s.Seen(answer); in.AckType != 5 || in.Original.Content != "no" {
			t.Errorf("answered %+v", in.Original)
		}
		// A form whose message was forgotten is a question all the same.
		s.Use(fakediscord.Use{Channel: general, User: anna, Modal: "about.1", Fields: map[string]string{"question": "why?"}})
		got = r.Taken(bot.MessageNew)
		if last := got[len(got)-1]; last.Command.Rest.Plain != "why?" {
			t.Errorf("event %+v", last.Command)
		}
	})
}

// A press shows nothing by itself; what answers it is a message of its own, private where only one person sees the button.
func TestButtons(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		q := s.Say(general, anna, "<@100> hi")
		e := r.One(bot.MessageNew)
		m := outgoing(e, "hello")
		for i := range 7 {
			m.Buttons = append(m.Buttons, bot.Button{ID: fmt.Sprintf("BUTTON%d", i), Label: strings.Repeat("ü", 100), Style: bot.Primary})
		}
		ids := r.Send(m)
		shown := s.FromBot(general, anna)[0]
		if len(shown.Buttons()) != 7 || shown.Reference.MessageID != q.ID || len(shown.Pinged) != 0 {
			t.Fatalf("shows %+v", shown)
		}
		token := s.Use(fakediscord.Use{Channel: general, User: boris, Message: string(ids[0]), Button: shown.Buttons()[3].CustomID})
		p := r.One(bot.ActionPressed)
		if p.Action != "BUTTON3" || p.Message != ids[0] || p.User != "discord:"+boris || p.Name != "Борис" || p.Private {
			t.Errorf("press %+v", p)
		}
		bottest.Pass(time.Second)
		if in := s.Seen(token); in.AckType != 6 {
			t.Errorf("acknowledged as %d", in.AckType)
		}
		refusal := outgoing(p, "not yours")
		refusal.Only = p.User
		r.Send(refusal)
		if len(s.FromBot(general, anna)) != 1 || len(s.FromBot(general, boris)) != 2 {
			t.Error("the refusal is not private")
		}
		again := outgoing(p, "once more")
		again.Nonce = "again"
		r.Edit(r.Send(again), again)
		if got := s.FromBot(general, anna); len(got) != 2 || got[1].Content != "once more" || got[0].Content != "hello" {
			t.Errorf("shows %+v", got)
		}
	})
}

// Somebody brought the bot along into a guild that it is not in: five follow-ups, private text, no community.
func TestUserInstalled(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.AddChannel("9000", fakediscord.Channel{ID: "9001", Name: "elsewhere"})
		s.Use(fakediscord.Use{Channel: "9001", User: anna, Command: "ask", Options: map[string]any{"question": "hi"}, Installed: true})
		bottest.Pass(time.Second)
		// The event of a guild without the bot comes to the first shard.
		e := r.One(bot.MessageNew)
		if e.Chat.Community != "" || !e.Chat.Private || e.Chat.Name != "elsewhere" {
			t.Errorf("chat %+v", e.Chat)
		}
		r.Send(outgoing(e, "hello"))
	})
}

func TestDirectMessages(t *testing.T) {
	bubble(t, func(c *discord.Config) { c.Content = false }, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Use(fakediscord.Use{Channel: "5" + anna, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		e := r.One(bot.MessageNew)
		if e.Chat.Community != "" || !e.Chat.Private || e.Role != community.Everyone {
			t.Errorf("chat %+v", e.Chat)
		}
		bottest.Pass(time.Second)
		r.Send(outgoing(e, "hello"))
		s.Say("5"+anna, anna, "and now?")
		if got := r.Taken(bot.MessageNew); len(got) != 2 || got[1].Text.Plain != "and now?" {
			t.Errorf("took %+v", got)
		}
	})
}
