package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/faketime"
)

// An adapter that panicked over a model's text ended the process, and after each restart the text came again.
func TestPanicOfAPlatformCostsOneReply(t *testing.T) {
	const words = "a text that no adapter bears"
	for _, c := range []struct {
		name  string
		draft bool // it panics over a draft, too
		what  string
	}{{"final", false, "edit"}, {"draft and final", true, "edit"}, {"first message", false, "send"}} {
		t.Run(c.name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				h := open(t, bot.Config{Commands: []bot.Command{echo("hello"), {
					Name: "ask", Costly: c.what == "edit",
					Run: func(ctx context.Context, in *bot.Invocation) error {
						if c.draft {
							in.Reply.Show(bot.Reply{Text: bot.Plain(words)})
							pass(time.Minute)
						}
						return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(words)})
					},
				}}})
				panics := 0
				h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, m bot.Outgoing) error {
					if what == c.what && m.Text.Plain == words {
						panics++
						panic(fmt.Sprintf("cannot split %q", m.Text.Plain))
					}
					return nil
				}})
				h.say("ana", "/ask")
				h.settle()
				h.settle()
				h.want("fault.internal")
				if want := map[bool]int{false: 1, true: 2}[c.draft]; panics != want {
					t.Errorf("it was tried %d times, want %d", panics, want)
				}
				if log := h.log.String(); !strings.Contains(log, "panic: string") || strings.Contains(log, words) {
					t.Errorf("the log says %s", log)
				}
				if left, err := h.m.Unfinished(t.Context()); len(left) > 0 || err != nil {
					t.Errorf("%d requests are left, %v", len(left), err)
				}
				h.say("ana", "/hello hi")
				h.settle()
				h.want("fault.internal", "hi")
			})
		})
	}
}

// What a platform rejects of an answer that grows is not sent again and again.
func TestRejectedDraftIsNotSentAgain(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{{
			Name: "ask", Costly: true,
			Run: func(ctx context.Context, in *bot.Invocation) error {
				in.Reply.Show(bot.Reply{Text: bot.Plain("half")})
				pass(time.Minute)
				return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("whole")})
			},
		}}})
		tries := 0
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, _ string, m bot.Outgoing) error {
			if m.Text.Plain == "half" {
				tries++
				return errors.Join(errors.New("too long"), bot.ErrRejected)
			}
			return nil
		}})
		h.say("ana", "/ask")
		h.settle()
		h.settle()
		h.want("whole")
		if tries != 1 {
			t.Errorf("it was tried %d times", tries)
		}
	})
}
