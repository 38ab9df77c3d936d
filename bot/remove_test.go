package bot_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

// remover is a chat with /echo, /slow and /delete, which answers with what became of it; emit hands over a message.
func remover(t *testing.T, gate chan struct{}) (h *house, emit func(e bot.Event, user, text string, author string)) {
	var begun atomic.Int32
	del := bot.Command{Name: "delete", OnReply: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		said := "gone"
		if err := in.Remove(ctx); err != nil {
			said = string(fault.Of(err).Code)
		}
		return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(said)})
	}}
	h = open(t, bot.Config{Commands: []bot.Command{echo("echo"), slow(gate, &begun), del}})
	return h, func(e bot.Event, user, text string, author string) {
		t.Helper()
		if e.Chat.ID == "" {
			e.Chat = h.p.Chat("lobby")
		}
		e.User, e.Name, e.Text = h.p.User(user), user, bot.Plain(text)
		if author != "" {
			e.Command = &bot.Parsed{Path: []string{"delete"}, RepliesTo: h.p.User(author)}
		}
		if err := h.p.Emit(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		h.settle()
	}
}

// An answer goes with all its parts, for who asked and for a moderator, also after a restart; nobody else takes it away.
func TestRemoveTakesAnAnswerAway(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h, emit := remover(t, nil)
		h.p.Set(bottest.Hooks{Max: 20})
		emit(bot.Event{}, "ann", "/echo a fox in the snow, a hen in the rain", "")
		emit(bot.Event{}, "ann", "/echo two", "")
		h.close()
		h.start()
		all := h.p.Messages("lobby")
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		emit(bot.Event{ReplyTo: all[1].ID}, "bob", "/delete", "")
		emit(bot.Event{ReplyTo: all[1].ID}, "ann", "/delete", "")
		emit(bot.Event{ReplyTo: all[len(all)-1].ID, Role: community.Admin}, "eve", "/delete", "")
		emit(bot.Event{}, "ann", "/delete", "")
		h.want("not_yours", "gone", "gone", "gone")
		if len(h.m.states()) != 1 {
			t.Errorf("states %v", h.m.states())
		}
	})
}

// An answer that grows is stopped and leaves nothing.
func TestRemoveStopsAnAnswerThatGrows(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h, emit := remover(t, make(chan struct{}))
		emit(bot.Event{}, "ann", "/slow one", "")
		emit(bot.Event{ReplyTo: h.p.Messages("lobby")[0].ID}, "ann", "/delete", "")
		h.want("gone")
	})
}

// What somebody wrote goes as when the platform tells of its deletion: the answer goes along, also where the bot may not delete the message itself.
// Whose it is the platform tells, or the command in it. In private everything is theirs.
func TestRemoveTakesAMessageOfOnesOwnAway(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h, emit := remover(t, nil)
		emit(bot.Event{Message: "q1"}, "ann", "/echo one", "")
		emit(bot.Event{Message: "q2"}, "ann", "/echo two", "")
		emit(bot.Event{ReplyTo: "q1"}, "bob", "/delete", "ann")
		emit(bot.Event{ReplyTo: "q1"}, "ann", "/delete", "")
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, call string, _ bot.Outgoing) error {
			if call == "delete" {
				return fault.New(fault.Forbidden, "role", "")
			}
			return nil
		}})
		emit(bot.Event{ReplyTo: "talk"}, "ann", "/delete", "ann")
		h.p.Set(bottest.Hooks{})
		emit(bot.Event{ReplyTo: "q2"}, "ann", "/delete", "ann")
		h.want("not_yours", "gone", "forbidden", "gone")
		private := h.p.Chat("ann")
		private.Private = true
		emit(bot.Event{Chat: private, ReplyTo: "anything"}, "ann", "/delete", "")
		if got := fmt.Sprint(h.p.Messages("ann")[0].Text.Plain); got != "gone" {
			t.Errorf("in private: %s", got)
		}
	})
}

// replacer is a chat with /draw, whose message has the button Delete: it replaces the message and says beside what came of that.
func replacer(t *testing.T) *house {
	draw := echo("draw")
	draw.Run = func(ctx context.Context, in *bot.Invocation) error {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Rest, Buttons: []bot.NewButton{{Action: "replace", Label: bot.Plain("Delete")}}})
	}
	replace := bot.ActionHandler{Name: "replace", Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
		q := in.Request
		if err := in.Replace(ctx, bot.Standing{Request: a.Request, Chat: q.Chat.ID, Message: q.Source, Handle: q.Handle}, bot.Plain("removed")); err != nil {
			return err
		}
		return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done")})
	}}
	return open(t, bot.Config{Commands: []bot.Command{draw}, Actions: []bot.ActionHandler{replace}})
}

// After Replace nobody sees the answer, whatever kept the bot from changing it: where a message stands that cannot be edited any more, it is deleted, with
// its buttons. Where not even that can be, the answer stays whole, and so it is said.
func TestReplaceLeavesNothingOfTheAnswer(t *testing.T) {
	gone, lacking := error(fault.New(fault.Gone)), error(fault.New(fault.Forbidden, "role", ""))
	whole := func(told string) []string { return []string{"a fox in the snow, a", "hen in the rain", told} }
	for name, c := range map[string]struct {
		edit, delete error
		removed      int // parts that somebody takes away before
		want         []string
		again        string // what the button says to a second press
	}{
		"it can be changed":               {want: []string{"removed", "done"}, again: "fault.gone"},
		"it cannot be edited any more":    {edit: gone, want: []string{"done"}, again: "fault.gone"},
		"the bot may only delete":         {edit: lacking, want: []string{"done"}, again: "fault.gone"},
		"the bot may do neither":          {edit: gone, delete: lacking, want: whole("fault.forbidden role="), again: "done"},
		"the platform does not answer":    {edit: errKilled, want: whole("fault.internal"), again: "done"},
		"neither to the deletion":         {edit: gone, delete: errKilled, want: whole("fault.internal"), again: "done"},
		"somebody deleted one part of it": {removed: 1, want: []string{"done"}, again: "fault.gone"},
		"somebody deleted all of it":      {removed: 2, want: []string{"done"}, again: "fault.gone"},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				h := replacer(t)
				h.p.Set(bottest.Hooks{Max: 20})
				h.say("ann", "/draw a fox in the snow, a hen in the rain")
				h.settle()
				all := h.p.Messages("lobby")
				for _, m := range all[:c.removed] {
					h.p.Remove(m.ID)
				}
				h.p.Set(bottest.Hooks{Sure: true, Before: func(_ context.Context, what string, out bot.Outgoing) error {
					switch {
					case what == "edit" && out.Text.Plain == "removed":
						return c.edit
					case what == "delete":
						return c.delete
					}
					return nil
				}})
				h.press(all[len(all)-1], "ann", "Delete", community.Everyone)
				h.want(c.want...)
				h.p.Set(bottest.Hooks{Sure: true})
				h.press(all[len(all)-1], "ann", "Delete", community.Everyone)
				if got := h.texts(); got[len(got)-1] != c.again {
					t.Errorf("pressed again: %q", got)
				}
			})
		})
	}
}

// A press's handle opens what the bot itself may not see: Replace hands it on.
func TestReplaceUsesThePressThatFoundTheAnswer(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := replacer(t)
		h.say("ann", "/draw a fox")
		h.settle()
		m := h.p.Messages("lobby")[0]
		err := h.p.Emit(t.Context(), bot.Event{
			Kind: bot.ActionPressed, Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Name: "ann", Message: m.ID, Action: m.Buttons[0].ID, Handle: "token",
		})
		if err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("removed", "done")
		if got := h.p.Messages("lobby")[0].Handle; got != "token" {
			t.Errorf("changed with the handle %q", got)
		}
	})
}

// A moderator who deleted a growing answer saw it posted again, whole.
func TestDeletedGrowingAnswerStaysAway(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun), echo("echo")}})
		gone := func(user string) {
			t.Helper()
			e := bot.Event{ID: "test:gone:" + user, Kind: bot.MessagesDeleted, Chat: h.p.Chat("lobby"), Deleted: []community.MessageID{h.p.Messages("lobby")[0].ID}}
			if user != "" {
				e.User = h.p.User(user)
			} else if err := h.p.Delete(t.Context(), e.Chat.ID, e.Deleted); err != nil {
				t.Fatal(err)
			}
			if err := h.p.Emit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		h.say("ann", "/slow a")
		h.settle()
		gone("bob") // may not
		if n := h.m.states()[bot.Delivered]; n != 0 {
			t.Error("somebody else stopped it")
		}
		gone("") // the platform does not tell who it was, and lets nobody else
		pass(time.Minute)
		h.say("ann", "/echo still here")
		h.settle()
		var seen []string
		for _, m := range h.p.Visible("lobby", "ann") {
			seen = append(seen, m.Text.Plain)
		}
		if fmt.Sprint(seen) != "[still here]" || h.m.states()[bot.Delivered] != 2 {
			t.Errorf("shows %q, states %v", seen, h.m.states())
		}
	})
}

// A question that was deleted right before a kill came back as "Stopped" after it.
func TestDeletedQuestionStaysAwayAfterAKill(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		cmd := echo("slow")
		cmd.Costly = true
		cmd.Run = func(_ context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("half")})
			<-gate // deaf for a moment: the process ends meanwhile
			return fault.New(fault.Cancelled)
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/slow a")
		pass(time.Minute)
		if got := h.texts(); fmt.Sprint(got) != "[half]" {
			t.Fatalf("the chat shows %q", got)
		}
		asked, err := h.m.Unfinished(t.Context())
		if err != nil || len(asked) != 1 {
			t.Fatal(asked, err)
		}
		e := bot.Event{Kind: bot.MessagesDeleted, Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Deleted: []community.MessageID{asked[0].Source}}
		if err := h.p.Emit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { close(gate) })
		h.kill()
		h.start()
		h.settle()
		h.want()
		if h.m.states()[bot.Delivered] != 1 {
			t.Errorf("states %v", h.m.states())
		}
		for _, c := range h.p.Calls() {
			if strings.Contains(c.Out.Text.Plain, "cancelled") {
				t.Errorf("it was shown for a moment: %q", c.Out.Text.Plain)
			}
		}
	})
}
