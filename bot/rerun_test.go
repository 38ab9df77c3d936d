package bot_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
)

// The bot was killed between the final and Delivered. The next run may show nothing over the answer but the answer itself.
func TestRestartPutsNoStatusOverAFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := echo("look")
		c.Costly = true
		c.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("looking for a machine"), Status: true})
			time.Sleep(2 * time.Second) // of the bubble: what a status needs to go out
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
		time.Sleep(5 * time.Second)
		h.kill()
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, m bot.Outgoing) error {
			if !m.Final {
				t.Errorf("%s of %q over the final answer", what, m.Text.Plain)
			}
			return nil
		}})
		h.start()
		time.Sleep(5 * time.Second)
		h.settle()
		h.want("found")
	})
}
