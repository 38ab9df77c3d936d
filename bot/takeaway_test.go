package bot_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

// withdrawn opens a house in which an answer grows; withdraw deletes its question.
func withdrawn(t *testing.T) (h *house, withdraw func()) {
	t.Helper()
	h = open(t, bot.Config{Commands: []bot.Command{slow(make(chan struct{}), new(atomic.Int32)), echo("echo")}})
	emit := func(e bot.Event) {
		t.Helper()
		e.Chat, e.User, e.Name = h.p.Chat("lobby"), h.p.User("ann"), "ann"
		if err := h.p.Emit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		faketime.Wait()
	}
	emit(bot.Event{Text: bot.Plain("/slow one"), Message: "q"})
	h.settle()
	return h, func() { emit(bot.Event{Kind: bot.MessagesDeleted, Deleted: []community.MessageID{"q"}}) }
}

// failing makes the platform fail at deletions, the first times of them, with err.
func (h *house) failing(times int, err error) (tries *int) {
	tries = new(int)
	h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, _ bot.Outgoing) error {
		if what != "delete" {
			return nil
		}
		if *tries++; *tries > times {
			return nil
		}
		return err
	}})
	return tries
}

// One failed call left half an answer with its Stop in the chat for ever.
func TestWithdrawnAnswerGoesThoughDeletingFailsAtFirst(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h, withdraw := withdrawn(t)
		h.failing(5, errors.New("HTTP 500"))
		withdraw()
		h.say("ann", "/echo meanwhile") // nothing waits for that
		if got := fmt.Sprint(h.texts()); got != "[half of one meanwhile]" || h.m.states()[bot.Withdrawn] != 1 {
			t.Errorf("the chat shows %s; states %v", got, h.m.states())
		}
		h.settle()
		h.want("meanwhile")
		if n := h.m.states()[bot.Delivered]; n != 2 {
			t.Errorf("states %v", h.m.states())
		}
	})
}

// A process that ended before the answer was away had noted that all was done; an orderly stop waits for no platform that is down.
func TestWithdrawnAnswerGoesAtTheNextStart(t *testing.T) {
	for name, end := range map[string]func(h *house, withdraw func()){
		"stop": func(h *house, withdraw func()) {
			h.failing(1000, errors.New("HTTP 500"))
			withdraw()
			h.settle()
			begun := time.Now()
			h.close()
			if took := time.Since(begun); took > 0 {
				h.t.Errorf("stopped after %v", took)
			}
			h.p.Set(bottest.Hooks{})
		},
		"kill": func(h *house, withdraw func()) {
			h.p.Set(bottest.Hooks{Before: func(ctx context.Context, what string, _ bot.Outgoing) error {
				if what == "delete" { // the process is killed while this call is on its way
					<-ctx.Done()
				}
				return ctx.Err()
			}})
			withdraw()
			h.kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				h, withdraw := withdrawn(t)
				end(h, withdraw)
				h.start()
				h.settle()
				h.want()
				if n := h.m.states()[bot.Delivered]; n != 1 {
					t.Errorf("states %v", h.m.states())
				}
			})
		})
	}
}

// What a platform never deletes stays, and the request ends all the same.
func TestAnswerThatCannotBeTakenAwayEnds(t *testing.T) {
	for name, c := range map[string]struct {
		err         error
		least, most int
	}{
		"forbidden": {fault.New(fault.Forbidden), 1, 1},
		"rejected":  {fmt.Errorf("HTTP 400: %w", bot.ErrRejected), 1, 1},
		"broken":    {errors.New("HTTP 500"), 100, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				h, withdraw := withdrawn(t)
				tries := h.failing(10_000, c.err)
				withdraw()
				pass(24 * time.Hour)
				faketime.Wait()
				if n := h.m.states()[bot.Delivered]; n != 1 || *tries < c.least || *tries > c.most {
					t.Errorf("tried %d times; states %v", *tries, h.m.states())
				}
			})
		})
	}
}

// A run that has nothing to say, but took long enough for a placeholder: one failed call left "working" in the chat for ever.
func TestPlaceholderOfASilentRunGoes(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		runs := 0
		quiet := echo("quiet")
		quiet.Run = func(context.Context, *bot.Invocation) error {
			runs++
			pass(5 * time.Second)
			return nil
		}
		h := open(t, bot.Config{Commands: []bot.Command{quiet}})
		h.failing(1000, errors.New("HTTP 502"))
		h.say("ann", "/quiet a")
		h.settle()
		h.close()
		h.p.Set(bottest.Hooks{})
		h.start() // does not run it again
		h.settle()
		h.want()
		if runs != 1 || h.m.states()[bot.Delivered] != 1 {
			t.Errorf("ran %d times; states %v", runs, h.m.states())
		}
	})
}
