package bot_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

// shouter answers 📢 on a message with its text in capitals, except for eve; one reaction of each person in ten seconds.
func shouter() bot.ReactionHandler {
	return bot.ReactionHandler{
		Name: "shout", Every: 10 * time.Second,
		Wish: func(e bot.Event) string {
			if e.Text.Plain == "📢" {
				return "loud"
			}
			return ""
		},
		Allow: func(_ context.Context, e bot.Event, m community.Member) (bool, error) { return m.Name != "eve", nil },
		Run: func(ctx context.Context, in *bot.Invocation) error {
			m, err := in.Source(ctx)
			if err != nil || m.Text.Plain == "" {
				return err
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(strings.ToUpper(m.Text.Plain) + " " + m.Link + " for " + in.Request.Name)})
		},
	}
}

func (h *house) react(user string, m community.MessageID, emoji string) {
	h.t.Helper()
	e := bot.Event{Kind: bot.Reaction, Chat: h.p.Chat("lobby"), User: h.p.User(user), Name: user, Message: m, Text: bot.Plain(emoji), FromBot: user == "robot"}
	if err := h.p.Emit(context.Background(), e); err != nil {
		h.t.Fatal(err)
	}
	faketime.Wait()
}

// What a reaction asks for is done once, also after a restart, and a bot's reaction asks for nothing.
func TestReactionIsDoneOnce(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Reactions: []bot.ReactionHandler{shouter()}})
		h.p.Write("m1", bot.Plain("hello"))
		h.react("robot", "m1", "📢")
		h.react("ann", "m1", "👍")
		h.settle()
		h.want()
		h.react("ann", "m1", "📢")
		h.react("bob", "m1", "📢")
		h.settle()
		h.want("HELLO https://chat.example/m1 for ann")
		if m := h.p.Messages("lobby")[0]; m.ReplyTo != "m1" {
			t.Errorf("it replies to %q", m.ReplyTo)
		}
		h.close()
		h.start()
		h.react("ann", "m1", "📢")
		h.react("carl", "m1", "📢")
		h.settle()
		h.want("HELLO https://chat.example/m1 for ann")
	})
}

// Each person's reactions have a pause between them; what is passed over can be asked for again, by anybody.
func TestReactionsOfOnePersonArePaced(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Reactions: []bot.ReactionHandler{shouter()}})
		h.p.Write("m1", bot.Plain("one"))
		h.p.Write("m2", bot.Plain("two"))
		h.p.Write("m3", bot.Plain("three"))
		h.react("eve", "m1", "📢") // may not
		h.react("ann", "m1", "📢")
		h.react("ann", "m2", "📢") // too soon
		h.react("bob", "m3", "📢")
		pass(11 * time.Second)
		h.react("ann", "m2", "📢")
		h.settle()
		h.want("ONE https://chat.example/m1 for ann", "THREE https://chat.example/m3 for bob", "TWO https://chat.example/m2 for ann")
	})
}

// Whatever speaks against a reaction, the chat does not hear of it; what was taken and fails is told like any other failure.
func TestReactionsAreRefusedWithoutAWord(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Reactions: []bot.ReactionHandler{shouter()}, Limits: bot.Limits{PerMinute: 1}})
		h.p.Write("m1", bot.Plain("one"))
		h.p.Write("empty", bot.Plain(""))
		h.m.settings = func(m *community.Member) { m.Blocked = m.Name == "bob" }
		h.react("bob", "m1", "📢")
		h.react("ann", "empty", "📢")
		pass(11 * time.Second)
		h.react("ann", "m1", "📢") // the second in this minute
		h.settle()
		h.want()
		h.react("carl", "nowhere", "📢")
		h.settle()
		h.want("fault." + string(fault.Gone))
	})
}

// A flag on an answer that still grew had half a sentence translated, and the whole one never: the wish was done.
func TestReactionOnAGrowingAnswerIsPassedOver(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}, Reactions: []bot.ReactionHandler{shouter()}})
		h.say("ann", "/slow a")
		h.settle()
		answer := h.p.Messages("lobby")[0].ID
		h.p.Write(answer, bot.Plain("half of a"))
		h.react("bob", answer, "📢")
		h.settle()
		if got := h.texts(); len(got) != 1 || got[0] != "half of a" {
			t.Errorf("shown %q", got)
		}
		close(gate)
		h.settle()
		h.p.Write(answer, bot.Plain("done a"))
		h.react("bob", answer, "📢")
		h.settle()
		h.want("done a", "DONE A https://chat.example/"+string(answer)+" for bob")
	})
}
