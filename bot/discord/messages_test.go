package discord_test

import (
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

// A mention asks, once, also when it comes twice.
func TestMentionAsks(t *testing.T) {
	for text, want := range map[string]string{
		"<@100> why is the sky blue?":      "[ask] map[question:why is the sky blue?]",
		"why is the sky blue, <@!100> ?":   "[ask] map[question:why is the sky blue, ?]",
		"<@100>":                           "[help] map[]",
		"<@100> and <@302>: who is right?": "[ask] map[question:and @boris: who is right?]",
	} {
		bubble(t, func(c *discord.Config) { c.Content = false }, func(t *testing.T, s *fakediscord.Server, r *rig) {
			s.Post(fakediscord.Write{Channel: general, User: anna, Content: text, Deliver: 2})
			e := r.One(bot.MessageNew)
			if e.Command == nil || fmt.Sprint(e.Command.Path, e.Command.Options) != want {
				t.Errorf("%q is %+v", text, e.Command)
			}
		})
	}
}

// A typed command behind the mention is left to the Router.
func TestMentionWithCommand(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Say(general, anna, "<@100> /imagine a cat")
		if e := r.One(bot.MessageNew); e.Command != nil || e.Text.Plain != "/imagine a cat" {
			t.Errorf("%+v", e)
		}
	})
}

func TestReplyTellsWhatItRepliesTo(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Say(general, anna, "<@100> hi")
		ids := r.Send(outgoing(r.One(bot.MessageNew), "hello"))
		s.Post(fakediscord.Write{Channel: general, User: boris, Content: "and why?", ReplyTo: string(ids[0])})
		got := r.Taken(bot.MessageNew)
		if e := got[len(got)-1]; e.ReplyTo != ids[0] || e.Command != nil || e.Text.Plain != "and why?" {
			t.Errorf("%+v", e)
		}
	})
}

// What bots and webhooks write, and how they react, is marked; the bot's own is not even handed over.
func TestBotsAreMarked(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		own := r.Send(bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("hello"), Nonce: "n"})
		s.Post(fakediscord.Write{Channel: general, User: "777", Bot: true, Content: "<@100> beep", ReplyTo: string(own[0])})
		s.Post(fakediscord.Write{Channel: general, User: "778", Webhook: "555", Content: "<@100> hook"})
		for _, e := range r.Taken(bot.MessageNew) {
			if !e.FromBot || e.Command != nil {
				t.Errorf("%+v", e)
			}
		}
		s.AddMember(fakediscord.Member{User: fakediscord.User{ID: "777", Username: "beep", Bot: true}})
		s.React(general, anna, string(own[0]), "👍")
		s.React(general, "777", string(own[0]), "👍")
		s.React(general, "100", string(own[0]), "👍")
		got := r.Taken(bot.Reaction)
		if len(got) != 2 || got[0].Text.Plain != "👍" || got[0].Message != own[0] || got[0].FromBot || !got[1].FromBot {
			t.Errorf("reactions %+v", got)
		}
		// Who takes a reaction back and sets it again asks again; the core does the same wish once.
		s.React(general, anna, string(own[0]), "👍")
		if n := len(r.Taken(bot.Reaction)); n != 3 {
			t.Errorf("%d reactions", n)
		}
	})
}

// A preview that Discord adds is no edit.
func TestEditsAndDeletions(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		m := s.Say(general, anna, "https://example.org/a_b_c")
		s.Rewrite(general, m.ID, "", true)
		if got := r.Taken(bot.MessageEdited); len(got) != 0 {
			t.Errorf("a preview is an edit: %+v", got)
		}
		bottest.Pass(time.Second)
		s.Rewrite(general, m.ID, "new", false)
		s.Rewrite(general, m.ID, "", true)
		if e := r.One(bot.MessageEdited); e.Text.Plain != "new" || e.Message != community.MessageID(m.ID) {
			t.Errorf("%+v", e)
		}
		a, b := s.Say(general, anna, "a"), s.Say(general, anna, "b")
		s.Remove(general, m.ID)
		s.Remove(general, a.ID, b.ID)
		got := r.Taken(bot.MessagesDeleted)
		if len(got) != 2 || len(got[0].Deleted) != 1 || len(got[1].Deleted) != 2 || got[1].Deleted[1] != community.MessageID(b.ID) {
			t.Errorf("%+v", got)
		}
	})
}

// Nothing is dropped silently.
func TestWhatMessagesCarry(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Post(fakediscord.Write{
			Channel: general, User: anna, Attachments: []fakediscord.Attachment{{ID: "1", Filename: "cat.png", Size: 7, URL: "https://cdn.test/cat.png", ContentType: "image/png"}},
			Stickers: `[{"id":"1","name":"wave","format_type":1}]`, Poll: `{"question":{"text":"tea?"},"answers":[{"answer_id":1,"poll_media":{"text":"yes"}},{"poll_media":{"text":"no"}}]}`,
			Snapshots: `[{"message":{"content":"from **afar**"}}]`,
		})
		e := r.One(bot.MessageNew)
		var got []string
		for _, c := range e.Carried {
			got = append(got, fmt.Sprintf("%s %q %q %s", c.Kind, c.Name, c.Text.Plain, c.URL))
		}
		want := "file \"cat.png\" \"\" https://cdn.test/cat.png\nsticker \"wave\" \"\" \npoll \"tea?\" \"• yes\\n• no\" \nforward \"\" \"from afar\" "
		if strings.Join(got, "\n") != want {
			t.Errorf("carries\n%s", strings.Join(got, "\n"))
		}
		for kind := range 60 {
			switch kind {
			case 0, 19, 20, 23:
			default:
				s.Post(fakediscord.Write{Channel: general, User: anna, Content: "joined", Type: kind})
			}
		}
		if n := len(r.Taken(bot.MessageNew)); n != 1 {
			t.Errorf("%d of Discord's own notices count as messages", n-1)
		}
	})
}

// Where somebody writes decides who may work on it.
func TestChatsAreDescribed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.AddChannel(home, fakediscord.Channel{ID: "2100", Name: "secret thread", Type: 12, ParentID: general})
		s.AddChannel(home, fakediscord.Channel{ID: "2101", Name: "staff thread", Type: 11, ParentID: staff})
		s.AddChannel(home, fakediscord.Channel{ID: "2102", Name: "adult post", Type: 11, ParentID: adult})
		for channel, want := range map[string]string{
			general: "general false false", staff: "staff true false", adult: "adult false true", thread: "a thread false false",
			"2100": "secret thread true false", "2101": "staff thread true false", "2102": "adult post false true",
		} {
			s.Say(channel, anna, "hello")
			got := r.Taken(bot.MessageNew)
			c := got[len(got)-1].Chat
			if fmt.Sprint(c.Name, " ", c.Private, " ", c.AgeRestricted) != want || c.ID != community.ChatID("discord:"+channel) {
				t.Errorf("%s: %+v, want %s", channel, c, want)
			}
		}
		// Rights change: the same channel is another then.
		s.ChangeChannel(general, func(c *fakediscord.Channel) {
			c.Overwrites = []fakediscord.Overwrite{{ID: home, Deny: fakediscord.ViewChannel}}
		})
		s.SetBotRole(home, fakediscord.Administrator)
		s.Say(general, anna, "psst")
		got := r.Taken(bot.MessageNew)
		if c := got[len(got)-1].Chat; !c.Private {
			t.Errorf("%+v", c)
		}
		s.SetRole(home, fakediscord.Role{ID: home, Permissions: 0})
		s.Say(adult, anna, "psst")
		got = r.Taken(bot.MessageNew)
		if c := got[len(got)-1].Chat; !c.Private {
			t.Errorf("%+v", c)
		}
	})
}

// Bad input: a guild removes the bot and takes it back.
func TestGuildsComeAndGo(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		guild := func() fakediscord.Guild {
			return fakediscord.Guild{ID: "7000", Name: "New", Channels: []fakediscord.Channel{
				{ID: "7001", Name: "hidden", Overwrites: []fakediscord.Overwrite{{ID: "7000", Deny: fakediscord.ViewChannel}}},
				{ID: "7002", Name: "read only", Overwrites: []fakediscord.Overwrite{{ID: "7000", Deny: fakediscord.SendMessages}}},
				{ID: "7003", Name: "chat"},
			}}
		}
		s.AddGuild(guild())
		e := r.One(bot.Joined)
		if e.Chat.Community != "discord:7000" {
			t.Errorf("%+v", e)
		}
		bottest.Pass(5 * time.Second)
		if got := s.FromBot("7003", anna); len(got) != 1 || got[0].Content != "discord.welcome" {
			t.Errorf("welcome: %+v\n%s", got, r.log)
		}
		s.RemoveGuild("7000")
		s.AddGuild(guild())
		bottest.Pass(5 * time.Second)
		if len(r.Taken(bot.Left)) != 1 || len(r.Taken(bot.Joined)) != 2 {
			t.Errorf("joined %d, left %d", len(r.Taken(bot.Joined)), len(r.Taken(bot.Left)))
		}
		s.Say("7003", anna, "hi")
		if got := r.Taken(bot.MessageNew); got[len(got)-1].Chat.Private {
			t.Errorf("%+v", got)
		}
		// An outage of a guild is no goodbye.
		s.Dispatch("7000", "GUILD_DELETE", map[string]any{"id": "7000", "unavailable": true}, 1)
		if len(r.Taken(bot.Left)) != 1 {
			t.Error("an outage counts as leaving")
		}
	})
}
