package bot_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/faketime"
)

// The bot was killed between the final and Delivered. The next run may show nothing over the answer but the answer itself.
func TestRestartPutsNoStatusOverAFinal(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		c := echo("look")
		c.Costly = true
		c.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("looking for a machine"), Status: true})
			pass(2 * time.Second) // of the bubble: what a status needs to go out
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("found")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{c}})
		h.p.Set(bottest.Hooks{After: func(_ context.Context, _ string, m bot.Outgoing) error {
			if m.Final {
				h.m.setKilled(true)
				return errKilled
			}
			return nil
		}})
		h.say("ann", "/look here")
		pass(5 * time.Second)
		h.kill()
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, m bot.Outgoing) error {
			if !m.Final {
				t.Errorf("%s of %q over the final answer", what, m.Text.Plain)
			}
			return nil
		}})
		h.start()
		pass(5 * time.Second)
		h.settle()
		h.want("found")
	})
}

// Stop comes while a command that runs again is still reading something: it is answered as stopped, and what the earlier run began is ended.
func TestStopDuringAReadOfARerunIsAStop(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		reading := func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("consent: %w", ctx.Err()) // as database/sql does: without the cause
		}
		c := echo("look")
		c.Costly = true
		c.Run = func(ctx context.Context, in *bot.Invocation) error { return reading(ctx) }
		var ended []string
		h := open(t, bot.Config{Commands: []bot.Command{c}, Cancel: func(_ context.Context, request string) error {
			ended = append(ended, request)
			return nil
		}})
		h.say("ann", "/look here")
		pass(5 * time.Second)
		h.kill()
		h.start()
		m := h.p.Messages("lobby")[0]
		if err := h.p.Press(t.Context(), m, "ann", "button.stop", community.Everyone); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("fault.cancelled")
		if len(ended) != 1 {
			t.Errorf("the jobs of %d requests were ended", len(ended))
		}
	})
}

// What was accepted before a kill is counted from the moment it is taken up until its final answer is saved.
func TestUnfinishedCountsWhatWasAcceptedBeforeAKill(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		c := echo("look")
		c.Run = func(ctx context.Context, in *bot.Invocation) error {
			select {
			case <-goOn:
				return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("found")})
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		h := open(t, bot.Config{Commands: []bot.Command{c}})
		want := func(n int) {
			t.Helper()
			if have, known := h.router.Unfinished(); have != n || !known {
				t.Errorf("%d unfinished (known: %t), want %d", have, known, n)
			}
		}
		if idle, err := bot.NewRouter(h.config); err != nil {
			t.Fatal(err)
		} else if _, known := idle.Unfinished(); known {
			t.Error("a Router that does not run knows what is unfinished")
		}
		want(0)
		h.say("ann", "/look here")
		h.say("ben", "/look there")
		pass(time.Second)
		want(2)
		h.kill()
		h.start()
		want(2)
		close(goOn)
		pass(5 * time.Second)
		want(0)
	})
}
