package bot_test

import (
	"context"
	"errors"
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

// Refusals stood in the chat for everybody, although they concern one person.
func TestRefusalsAreForOnePersonWhereThePlatformCan(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo"), slow(gate, &begun)}, Limits: bot.Limits{Running: 1, Queued: 1}})
		h.p.Set(bottest.Hooks{Whispers: true})
		h.m.settings = func(m *community.Member) { m.Blocked = m.Name == "bob" }
		h.say("ann", "/ecoh x")
		h.say("ann", "/echo")
		h.say("bob", "/echo x")
		h.say("ann", "/slow a")
		h.say("ann", "/slow b")
		h.say("ann", "/slow c") // one too many
		h.say("ann", "/echo heard by all")
		close(gate)
		h.settle()
		var seen []string
		for _, m := range h.p.Visible("lobby", "carl") {
			seen = append(seen, m.Text.Plain)
		}
		if got := fmt.Sprint(seen); got != "[done a done b heard by all]" {
			t.Errorf("carl sees %s", got)
		}
		if got := len(h.p.Visible("lobby", "ann")); got != 6 {
			t.Errorf("ann sees %d messages: %q", got, h.texts())
		}
	})
}

// Where only the event knows whether its answer can still be for one person (an interaction of Discord), it is asked, and for refusals only.
func TestRefusalsWhisperWhereTheEventCan(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}, Limits: bot.Limits{PerMinute: 4}})
		h.m.settings = func(m *community.Member) { m.Blocked = m.Name == "bob" }
		for _, c := range []struct {
			user, text string
			can        bool
			want       community.UserID
		}{
			{"ann", "/echo hello", true, ""}, {"ann", "/ecoh hello", true, "test:ann"}, {"ann", "/echo", false, ""}, {"bob", "/echo hello", true, "test:bob"},
			{"ann", "/echo four", true, ""}, {"ann", "/echo too many", true, "test:ann"},
		} {
			asked := false
			e := bot.Event{
				Chat: h.p.Chat("lobby"), User: h.p.User(c.user), Name: c.user, Text: bot.Plain(c.text), Handle: "h",
				Whisper: func() bool { asked = true; return c.can },
			}
			if err := h.p.Emit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			faketime.Wait()
			all := h.p.Messages("lobby")
			if m := all[len(all)-1]; m.Only != c.want || asked != (m.Text.Plain != "hello" && m.Text.Plain != "four") {
				t.Errorf("%s: %q is for %q; asked whether it can be: %t", c.text, m.Text.Plain, m.Only, asked)
			}
		}
	})
}

// A wrong value that only the run finds ("seed:-5") was refused for everybody to see, below "One moment…". What is no mistake of the asker, or comes
// when something is shown already, stays in the open.
func TestMistakesThatTheRunFindsWhisper(t *testing.T) {
	wrong := fault.New(fault.BadOption, "option", "seed")
	for name, c := range map[string]struct {
		costly, can bool
		everywhere  bool // the platform whispers without being asked for each event
		after       time.Duration
		shows       bot.Reply
		err         error
		aside       bool // the refusal is a reply of its own
		private     bool
		edits       int // what stood there before the refusal
	}{
		"at once":           {can: true, err: wrong, private: true},
		"costly":            {costly: true, can: true, err: wrong, private: true},
		"behind a status":   {costly: true, can: true, shows: bot.Reply{Text: bot.Plain("in line"), Status: true}, err: wrong, private: true},
		"behind an answer":  {costly: true, can: true, shows: bot.Reply{Text: bot.Plain("half")}, after: time.Second, err: wrong, edits: 2},
		"late":              {costly: true, can: true, after: time.Second, err: wrong, edits: 1},
		"all see it":        {costly: true, err: wrong},
		"nobody's mistake":  {costly: true, can: true, err: fault.New(fault.NoWorker)},
		"an internal error": {can: true, err: errors.New("the disk is on fire")},
		"on the page":       {everywhere: true, err: wrong, private: true},
		"late on the page":  {costly: true, everywhere: true, after: time.Second, err: wrong, edits: 1},
		"a reply aside":     {can: true, aside: true, private: true},
		"aside on the page": {everywhere: true, aside: true, private: true},
		"aside for all":     {aside: true},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				look := echo("look")
				look.Costly = c.costly
				look.Run = func(ctx context.Context, in *bot.Invocation) error {
					if c.shows.Text.Plain != "" {
						in.Reply.Show(c.shows)
					}
					pass(c.after)
					if c.aside {
						return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("look elsewhere"), Aside: true})
					}
					return c.err
				}
				h := open(t, bot.Config{Commands: []bot.Command{look}})
				h.p.Set(bottest.Hooks{Whispers: c.everywhere})
				e := bot.Event{Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Name: "ann", Text: bot.Plain("/look x"), Handle: "h"}
				if !c.everywhere {
					e.Whisper = func() bool { return c.can }
				}
				if err := h.p.Emit(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Second)
				all := h.p.Messages("lobby")
				if len(all) != 1 || all[0].Only != "" != c.private || all[0].Edits != c.edits {
					t.Errorf("shown %+v", all)
				}
			})
		})
	}
}

// A mistyped code stood as a warning in the operator's log.
func TestMistakesAreNoWarnings(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		link := echo("link")
		link.Run = func(_ context.Context, in *bot.Invocation) error {
			return fault.Wrap(errors.New("checksum"), fault.Code(in.Options["text"]))
		}
		h := open(t, bot.Config{Commands: []bot.Command{link}})
		h.say("ann", "/link "+string(fault.BadLinkCode))
		h.say("ann", "/link "+string(fault.UnknownMachine))
		h.settle()
		if h.log.String() != "" {
			t.Errorf("log %s", h.log.String())
		}
		h.say("ann", "/link "+string(fault.BadResult))
		h.settle()
		if !strings.Contains(h.log.String(), "checksum") {
			t.Errorf("log %s", h.log.String())
		}
	})
}

// What a place does not want was begun first, with "One moment…" for everybody to see.
func TestGateRefusesBeforeAnythingIsShown(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		close(gate)
		var begun atomic.Int32
		var asked []string
		broken := errors.New("the disk is on fire")
		h := open(t, bot.Config{
			Commands: []bot.Command{echo("echo"), slow(gate, &begun)},
			Gate: func(_ context.Context, q bot.Request, m community.Member) error {
				asked = append(asked, fmt.Sprint(q.Command, " of ", m.Name, " in ", q.Chat.Name))
				switch m.Name {
				case "bob":
					return fault.New(fault.SwitchedOff, "feature", q.Command)
				case "eve":
					return broken
				}
				return nil
			},
		})
		h.p.Set(bottest.Hooks{Whispers: true})
		h.say("bob", "/slow a")
		h.say("bob", "/echo b")
		h.say("ann", "/slow c")
		if err := h.p.Say(t.Context(), "lobby", "eve", "/slow d"); !errors.Is(err, broken) {
			t.Errorf("a gate that is broken: %v", err)
		}
		h.settle()
		h.want("fault.switched_off feature=slow", "b", "done c")
		if m := h.p.Messages("lobby")[0]; m.Only != "test:bob" || m.Edits > 0 {
			t.Errorf("%+v", m)
		}
		if got := fmt.Sprint(asked); begun.Load() != 1 || got != "[slow of bob in lobby slow of ann in lobby slow of eve in lobby]" {
			t.Errorf("%d began, asked %s", begun.Load(), got)
		}
	})
}

// A visitor was told that a number is missing for a command that is for admins only.
func TestPermissionIsCheckedBeforeArguments(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		admin := echo("setup")
		admin.Needs = community.Admin
		h := open(t, bot.Config{Commands: []bot.Command{admin}})
		h.say("ann", "/setup")
		h.settle()
		h.want("fault.forbidden role=admin")
	})
}

// What waited for the member's own limit showed "One moment…" for minutes.
func TestWaitForOnesOwnLimitIsShownAndMoves(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gates := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{}), "c": make(chan struct{})}
		c := echo("slow")
		c.Costly = true
		c.Run = func(ctx context.Context, in *bot.Invocation) error {
			<-gates[in.Options["text"]]
			return in.Reply.Final(ctx, bot.Reply{Text: in.Rest})
		}
		h := open(t, bot.Config{Commands: []bot.Command{c}, Limits: bot.Limits{Running: 1}})
		for _, text := range []string{"a", "b", "c"} {
			h.say("ann", "/slow "+text)
		}
		h.settle()
		if got := fmt.Sprint(h.texts()[1:]); got != "[wait.own line=2 place=1 running=1 wait.own line=2 place=2 running=1]" {
			t.Errorf("in line: %s", got)
		}
		close(gates["a"])
		h.settle()
		if got := h.texts()[2]; got != "wait.own line=1 place=1 running=1" {
			t.Errorf("moved on: %s", got)
		}
		close(gates["b"])
		close(gates["c"])
		h.settle()
		h.want("a", "b", "c")
	})
}

// A request that ran again after a restart showed nothing until its final.
func TestRerunShowsTheWorkOfItsJobs(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := echo("look")
		c.Costly = true
		c.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("looking"), Status: true})
			pass(2 * time.Second)
			in.Reply.Show(bot.Reply{Text: bot.Plain("in line"), Status: true, Working: true})
			select {
			case <-gate:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("found")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{c}})
		h.say("ann", "/look here")
		h.kill()
		edits := make(chan string, 10)
		h.p.Set(bottest.Hooks{After: func(_ context.Context, what string, m bot.Outgoing) error {
			edits <- m.Text.Plain
			return nil
		}})
		h.start()
		h.settle()
		if len(edits) != 1 || <-edits != "in line" {
			t.Errorf("shown after the restart: %q", h.texts())
		}
		close(gate)
		h.settle()
		h.want("found")
	})
}

// A question that was deleted went on working, and its answer stayed below nothing.
func TestDeletedQuestionStopsAndTakesItsAnswerAlong(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun), echo("echo")}})
		ask := func(id, text string) {
			e := bot.Event{ID: "test:" + id, Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Name: "ann", Text: bot.Plain(text), Message: community.MessageID(id)}
			if err := h.p.Emit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		remove := func(user, id string, role community.Role) {
			e := bot.Event{
				ID: "test:gone:" + user + id, Kind: bot.MessagesDeleted, Chat: h.p.Chat("lobby"), User: h.p.User(user), Role: role, Deleted: []community.MessageID{community.MessageID(id)},
			}
			if err := h.p.Emit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		left := func(want string) {
			t.Helper()
			var all []string
			for _, m := range h.p.Visible("lobby", "ann") {
				all = append(all, m.Text.Plain)
			}
			if got := fmt.Sprint(all); got != want {
				t.Errorf("the chat shows %s, want %s", got, want)
			}
		}
		ask("q1", "/slow one")
		ask("q2", "/echo two")
		ask("q3", "/echo three")
		remove("bob", "q1", community.Everyone)
		remove("bob", "q2", community.Everyone)
		left("[half of one two three]")
		remove("ann", "q1", community.Everyone)
		left("[two three]")
		remove("ann", "q2", community.Everyone)
		remove("bob", "q3", community.Admin)
		left("[]")
		if got := h.m.states(); got[bot.Delivered] != 3 {
			t.Errorf("states %v", got)
		}
	})
}
