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

// The job waited for twenty minutes, and what the platform gave for answering is long void: the result comes as a message of its own, once, and
// still answers the person's message.
func TestResultAfterTwentyMinutesArrives(t *testing.T) {
	for _, gone := range []bool{false, true} {
		faketime.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			var begun atomic.Int32
			h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
			h.say("ann", "/slow cake")
			pass(20 * time.Minute)
			if gone {
				h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, _ bot.Outgoing) error {
					if what == "edit" {
						return fmt.Errorf("unknown webhook: %w", fault.New(fault.Gone))
					}
					return nil
				}})
			}
			close(gate)
			h.settle()
			all := h.p.Messages("lobby")
			last := all[len(all)-1]
			if last.Text.Plain != "done cake" || !last.Final || last.ReplyTo != all[0].ReplyTo || last.ReplyTo == "" || len(all) > 2 || (len(all) == 2) != gone {
				t.Errorf("gone %v: %+v", gone, all)
			}
		})
	}
}

// A platform delivers the same event twice, and once more after a restart: one answer.
func TestSameEventIsAnsweredOnce(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}})
		e := bot.Event{ID: "test:same", Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Name: "ann", Message: "in-1", Text: bot.Plain("/echo hello")}
		for range 3 {
			for range 2 {
				if err := h.p.Emit(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			h.settle()
			h.close()
			h.start()
		}
		h.want("hello")
	})
}

// Stop is pressed in the moment in which the result comes, a thousand times with another delay of the platform: there is one final state, and
// nothing is written over it.
func TestStopAgainstCompletionHasOneOutcome(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("draw")
		cmd.Costly = true
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("99 %"), Status: true})
			select {
			case <-time.After(time.Second):
				return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("picture")})
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}, Limits: bot.Limits{PerMinute: 1 << 30}})
		pictures, stops := 0, 0
		for i := range 1000 {
			h.p.Set(bottest.Hooks{Before: func(context.Context, string, bot.Outgoing) error {
				pass(time.Duration(i%7) * time.Millisecond)
				return nil
			}})
			chat := fmt.Sprint("room", i)
			if err := h.p.Say(t.Context(), chat, "ann", "/draw it"); err != nil {
				t.Fatal(err)
			}
			pass(time.Second - 4*time.Millisecond + time.Duration(i%9)*time.Millisecond)
			faketime.Wait()
			if m := h.p.Messages(chat)[0]; !m.Final {
				if err := h.p.Press(t.Context(), m, "ann", "button.stop", community.Everyone); err != nil {
					t.Fatal(err)
				}
			}
			pass(time.Minute)
			finals := map[string]bool{}
			for _, c := range h.p.Calls()[max(0, len(h.p.Calls())-12):] {
				if string(c.Out.Chat) == "test:"+chat && c.Out.Final {
					finals[c.Out.Text.Plain] = true
				}
			}
			switch m := h.p.Messages(chat)[0]; {
			case len(finals) != 1 || !m.Final || len(m.Buttons) != 0:
				t.Fatalf("press %d: finals %v, shown %+v", i, finals, m)
			case m.Text.Plain == "picture":
				pictures++
			case m.Text.Plain == "fault.cancelled":
				stops++
			}
		}
		if pictures+stops != 1000 || pictures == 0 || stops == 0 {
			t.Errorf("%d pictures and %d stops", pictures, stops)
		}
	})
}

// Twenty requests of one person: the first are taken, the rest are refused with the time to wait, and others are not held up.
func TestTwentyRequestsOfOnePerson(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}, Limits: bot.Limits{Running: 1, Queued: 3, PerMinute: 100}})
		for i := range 20 {
			h.say("ann", fmt.Sprint("/slow ", i))
		}
		h.say("bob", "/slow bob")
		if begun.Load() != 2 {
			t.Errorf("%d at work, want one of each", begun.Load())
		}
		close(gate)
		h.settle()
		refused := 0
		for _, text := range h.texts() {
			if strings.HasPrefix(text, "fault.too_many") {
				refused++
				if !strings.Contains(text, "wait=") || !strings.Contains(text, "queued=3 running=1") {
					t.Errorf("refused without a way on: %s", text)
				}
			}
		}
		if all := h.texts(); refused != 16 || len(all) != 21 || all[20] != "done bob" {
			t.Errorf("%d refused: %q", refused, all)
		}
	})
}

// A block of 300 lines of code is cut into parts, each of them a block of its own in the same language.
func TestLongCodeStaysCodeInEveryPart(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		code := strings.Repeat("x := compute(42) // a line\n", 300)
		cmd := echo("ask")
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.ParseMarkdown("Here:\n```go\n" + code + "```\nDone.")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.p.Set(bottest.Hooks{Max: 2000})
		h.say("ann", "/ask code")
		h.settle()
		lines := 0
		for _, m := range h.p.Messages("lobby") {
			covered := 0
			for _, s := range m.Text.Spans {
				if s.Kind == bot.Pre && s.Value == "go" {
					covered += strings.Count(m.Text.Plain[s.Start:s.End]+"\n", "compute(42) // a line\n")
				}
			}
			if all := strings.Count(m.Text.Plain, "compute(42)"); covered != all {
				t.Errorf("%d of %d lines are code in %.60q…", covered, all, m.Text.Plain)
			}
			lines += covered
		}
		if lines != 300 {
			t.Errorf("%d lines", lines)
		}
	})
}

// What a model writes pings nobody: there is no mention in it, whatever it looks like.
func TestModelTextHoldsNoMention(t *testing.T) {
	for _, s := range bot.ParseMarkdown("@everyone <@1> <@&2> @here [x](tg://user?id=1) <#3> [y](mailto:a@b.c)").Spans {
		if s.Kind == bot.Mention || s.Kind == bot.Link && !strings.HasPrefix(s.Value, "http") {
			t.Errorf("%+v", s)
		}
	}
}

// A page that few look at is quick, and slows down when many come: it is asked after each edit.
func TestAPlatformMayChangeItsPace(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		grow := echo("grow")
		grow.Costly = true
		grow.Run = func(ctx context.Context, in *bot.Invocation) error {
			pass(time.Second)
			for i := range 38 {
				in.Reply.Show(bot.Reply{Text: bot.Plain(fmt.Sprint("word ", i))})
				pass(50 * time.Millisecond)
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{grow}})
		edits := func(pace time.Duration) (n int) {
			h.p.Set(bottest.Hooks{Pace: pace})
			before := len(h.p.Calls())
			h.say("ann", "/grow it")
			h.settle()
			return len(h.p.Calls()) - before - 2 // without the placeholder and the final
		}
		if quick, slow, usual := edits(20*time.Millisecond), edits(time.Second), edits(0); quick != 38 || slow != 2 || usual != 5 {
			t.Errorf("1.9 s of words made %d edits at 20 ms, %d at 1 s, %d as the Router is set", quick, slow, usual)
		}
	})
}
