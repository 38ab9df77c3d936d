package bot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

// painter is a chat with /draw, whose message has the button Delete, and Show once it is deleted.
func painter(t *testing.T, broken *bool) *house {
	draw := echo("draw")
	draw.Run = func(ctx context.Context, in *bot.Invocation) error {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Rest, Buttons: []bot.NewButton{{Action: "remove", Label: bot.Plain("Delete")}}})
	}
	remove := bot.ActionHandler{Name: "remove", Moderators: true, InPlace: true, Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
		if *broken {
			return errors.New("the disk is on fire")
		}
		return in.Reply.Final(ctx, bot.Reply{
			Text: bot.Plain("removed by " + in.Request.Name), Buttons: []bot.NewButton{{Action: "remove", Label: bot.Plain("Show"), Owner: a.Owner, Only: "test:ann"}},
		})
	}}
	return open(t, bot.Config{Commands: []bot.Command{draw}, Actions: []bot.ActionHandler{remove}})
}

func (h *house) press(m bottest.Message, user, label string, role community.Role) {
	h.t.Helper()
	if err := h.p.Press(context.Background(), m, user, label, role); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

// A button that changes its message in place does so with all parts, also after a restart and for a moderator; the asker may press what is
// there then, as if it were still the first answer.
func TestInPlaceTakesThePlaceOfAllParts(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		broken := false
		h := painter(t, &broken)
		h.p.Set(bottest.Hooks{Max: 20})
		h.say("ann", "/draw a fox in the snow, a hen in the rain")
		h.settle()
		h.close()
		h.start()
		all := h.p.Messages("lobby")
		if len(all) < 2 || all[len(all)-1].Buttons[0].Only != "test:ann" {
			t.Fatalf("%+v", all)
		}
		h.press(all[len(all)-1], "bob", "Delete", community.Everyone)
		h.press(all[len(all)-1], "eve", "Delete", community.Admin)
		now := h.p.Messages("lobby")
		if now[0].Text.Plain != "removed by eve" || now[0].ID != all[0].ID || len(now) != 3 { // the refusal of bob has two parts
			t.Fatalf("%+v", now)
		}
		if b := now[0].Buttons; len(b) != 1 || b[0].Only != "test:ann" {
			t.Errorf("buttons %+v", b)
		}
		h.press(now[0], "ann", "Show", community.Everyone)
		if got := h.texts()[0]; got != "removed by ann" {
			t.Errorf("the asker may not press what a moderator left: %q", got)
		}
	})
}

// What fails in place is told beside: the message itself stays as it was.
func TestInPlaceThatFailsLeavesTheMessage(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		broken := true
		h := painter(t, &broken)
		h.say("ann", "/draw a fox")
		h.settle()
		h.press(h.p.Messages("lobby")[0], "ann", "Delete", community.Everyone)
		h.want("a fox", "fault.internal")
		broken = false
		h.press(h.p.Messages("lobby")[0], "ann", "Delete", community.Everyone)
		h.want("removed by ann", "fault.internal")
	})
}

// A message that somebody deleted while one of its buttons was at work does not come back by it.
func TestInPlaceOfADeletedMessageShowsNothing(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		broken := false
		h := painter(t, &broken)
		h.p.Set(bottest.Hooks{Sure: true})
		h.say("ann", "/draw a fox")
		h.settle()
		m := h.p.Messages("lobby")[0]
		h.p.Remove(m.ID)
		h.press(m, "ann", "Delete", community.Everyone)
		h.want()
		if got := h.m.states(); len(got) != 1 || got[bot.Delivered] != 2 {
			t.Errorf("states %v", got)
		}
	})
}

// A message that stands but cannot be edited any more went on showing what "removed" was told of: it is deleted, as soon as the platform does that, before
// the new one comes.
func TestInPlaceOfWhatCannotBeEditedDeletesIt(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		broken, tries := false, 0
		h := painter(t, &broken)
		h.say("ann", "/draw a fox")
		h.settle()
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, call string, _ bot.Outgoing) error {
			if call == "edit" {
				return fault.New(fault.Gone)
			}
			if tries++; call == "delete" && tries == 1 {
				return errors.New("502")
			}
			return nil
		}})
		h.press(h.p.Messages("lobby")[0], "ann", "Delete", community.Everyone)
		h.want("removed by ann")
	})
}

// The process dies while the message is changed: the next one changes it, and nothing is said twice.
func TestInPlaceSurvivesAKill(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		broken := false
		h := painter(t, &broken)
		h.say("ann", "/draw a fox")
		h.settle()
		m := h.p.Messages("lobby")[0]
		h.p.Set(bottest.Hooks{Before: func(context.Context, string, bot.Outgoing) error { return errKilled }})
		if err := h.p.Press(t.Context(), m, "ann", "Delete", community.Everyone); err != nil {
			t.Fatal(err)
		}
		faketime.Wait()
		h.kill()
		h.start()
		h.settle()
		h.want("removed by ann")
	})
}

// An operator decides how often a request that dies with the process is tried.
func TestStartsAreConfigured(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("look")
		cmd.Run = func(ctx context.Context, _ *bot.Invocation) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}, Limits: bot.Limits{Starts: 1, Calm: time.Minute}})
		h.say("ann", "/look here")
		for range 2 {
			pass(30 * time.Second)
			h.kill()
			h.start()
		}
		h.settle()
		h.want("fault.given_up times=1")
	})
}
