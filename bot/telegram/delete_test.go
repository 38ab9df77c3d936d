package telegram_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/fault"
)

// removing is /delete, which tells what became of it.
var removing = bot.Command{Name: "delete", OnReply: true, Run: func(ctx context.Context, in *bot.Invocation) error {
	said := "gone"
	if err := in.Remove(ctx); err != nil {
		said = string(fault.Of(err).Code)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(said)})
}}

// removable is a chat of Telegram whose members use /delete.
type removable struct {
	t    testing.TB
	fake *fakebotapi.Server
	chat int64
}

// try lets somebody reply /delete to a message, and tells what was answered and whether the message is still there.
func (r removable) try(from, message int64) (said string, there bool) {
	r.t.Helper()
	r.fake.Say(fakebotapi.Say{Chat: r.chat, From: from, Text: "/delete@" + fakebotapi.BotName, ReplyTo: message})
	bottest.Pass(10 * time.Second)
	all := r.fake.Messages(r.chat)
	for _, m := range all {
		there = there || m.ID == message
	}
	return all[len(all)-1].Text, there
}

func (r removable) want(from, message int64, want string, gone bool) {
	r.t.Helper()
	if said, there := r.try(from, message); said != want || there == gone {
		r.t.Errorf("%d replies /delete to %d: %q, there %v; want %q, gone %v", from, message, said, there, want, gone)
	}
}

// Telegram tells bots nothing of deletions, so /delete is how people take things away: the bot's answers to them (administrators: to anybody),
// and their own messages where the bot may delete. All parts of a long answer go.
func TestDeleteByReply(t *testing.T) {
	long := story(900, 0) // about 7,000 characters
	routed(t, []bot.Command{long, removing}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		in := removable{t, s, club}
		ask := func(from int64) (question, answer int64) {
			question = s.Say(fakebotapi.Say{Chat: club, From: from, Text: "/ask tell a story"}).ID
			bottest.Pass(time.Minute)
			all := s.FromBot(club)
			return question, all[len(all)-1].ID
		}
		_, answer := ask(boris)
		parts := len(s.FromBot(club))
		if parts < 2 {
			t.Fatalf("%d parts", parts)
		}
		in.want(anna, answer, "not_yours", false)
		in.want(boris, answer, "gone", true)
		if n := len(s.FromBot(club)); n != 2 { // what was said about it
			t.Errorf("%d messages of the bot are left", n)
		}
		_, answer = ask(boris)
		in.want(olga, answer, "gone", true)
		// A question takes its answer along, also where the bot may not delete the question.
		asked, answer := ask(boris)
		in.want(boris, asked, "forbidden", false)
		in.want(boris, answer, "gone", true) // that it is gone already is no error
		talk := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "so true"}).ID
		in.want(anna, talk, "not_yours", false)
		s.SetStatus(club, "administrator", olga)
		in.want(anna, talk, "not_yours", false)
		in.want(boris, talk, "gone", true)
		in.want(boris, asked, "gone", true)
		// In private everything may go.
		in.chat = anna
		talk = s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "/ask one"}).ID
		bottest.Pass(time.Minute)
		in.want(anna, talk, "gone", true)
		if n := len(s.FromBot(anna)); n != 1 {
			t.Errorf("the answer to a deleted question is still there: %d messages", n)
		}
		in.want(anna, s.FromBot(anna)[0].ID, "gone", true)
	})
}

// An answer that is older than 48 hours cannot be deleted: it is covered instead. What others wrote stays and is said to.
func TestDeleteWhatIsTooOld(t *testing.T) {
	bubble(t, byWebhook, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		ids := r.Send(plain(club, "an answer"))
		other := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "hello"})
		bottest.Pass(50 * time.Hour)
		if err := r.platform.Delete(t.Context(), chat(club), ids); err != nil || s.FromBot(club)[0].Text != "…" {
			t.Errorf("%v %+v", err, s.FromBot(club))
		}
		if err := r.platform.Delete(t.Context(), chat(club), []community.MessageID{community.MessageID(fmt.Sprint(other.ID))}); !fault.Has(err, fault.Forbidden) {
			t.Errorf("%v", err)
		}
	})
}

// failOnce makes the first deletion fail.
func failOnce(s *fakebotapi.Server) {
	failed := false
	s.Before(func(r fakebotapi.Request) *fakebotapi.Answer {
		if r.Method != "deleteMessage" || failed {
			return nil
		}
		failed = true
		return &fakebotapi.Answer{Status: 502, Description: "Bad Gateway"}
	})
}

// One failed call left an answer that /delete had called gone, half and with its Stop, for ever.
func TestDeletedGrowingAnswerGoesThoughTelegramFails(t *testing.T) {
	routed(t, []bot.Command{story(240, 500*time.Millisecond), removing}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		failOnce(s)
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask tell a story"})
		bottest.Pass(20 * time.Second)
		in := removable{t, s, club}
		in.want(boris, s.FromBot(club)[0].ID, "gone", true)
	})
}

// In private an answer grows as a draft and its final is a new message. One failed call left the placeholder above it, with its Stop, for ever.
func TestPlaceholderAboveTheFinalGoesThoughTelegramFails(t *testing.T) {
	routed(t, []bot.Command{story(20, 500*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		failOnce(s)
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "/ask tell a story"})
		bottest.Pass(time.Minute)
		if all := s.FromBot(anna); len(all) != 1 || len(all[0].Buttons()) != 0 {
			t.Errorf("%+v answers one question", all)
		}
	})
}
