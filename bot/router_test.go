package bot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

// pass lets the fake time of a synctest bubble go on; no real time passes.
func pass(d time.Duration) { <-time.After(d) }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a Router with its platform and store; restart makes a new process on the same store and platform.
type house struct {
	t      testing.TB
	p      *bottest.Platform
	m      *memory
	config bot.Config
	router *bot.Router
	stop   context.CancelFunc
	ended  chan error
	log    strings.Builder
}

func open(t testing.TB, c bot.Config) *house {
	h := &house{t: t, p: bottest.New("test"), m: newMemory(), config: c}
	h.config.Platforms = []bot.Platform{h.p}
	h.config.Store, h.config.People, h.config.Eraser = h.m, h.m, h.m
	h.config.Catalogue = bottest.Catalogue{"en", "de"}
	h.config.Log = slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h.start()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *house) start() {
	h.t.Helper()
	router, err := bot.NewRouter(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.router, h.stop, h.ended = router, cancel, make(chan error, 1)
	ended := h.ended
	go func() { ended <- router.Run(ctx) }()
	faketime.Wait()
}

func (h *house) close() {
	if h.stop == nil {
		return
	}
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Errorf("Run: %v", err)
	}
	h.stop = nil
}

// kill ends the process without letting it say another word.
func (h *house) kill() {
	h.m.setKilled(true)
	h.p.Set(bottest.Hooks{Before: func(context.Context, string, bot.Outgoing) error { return errKilled }})
	h.close()
	h.p.Set(bottest.Hooks{})
	h.m.setKilled(false)
}

func (h *house) say(user, text string) {
	h.t.Helper()
	if err := h.p.Say(context.Background(), "lobby", user, text); err != nil {
		h.t.Fatal(err)
	}
	faketime.Wait()
}

// settle lets a minute pass, so that everything that waits for a time has happened.
func (h *house) settle() {
	pass(time.Minute) // synctest: no real time
	faketime.Wait()
}

func (h *house) texts() []string {
	var all []string
	for _, m := range h.p.Messages("lobby") {
		all = append(all, m.Text.Plain)
	}
	return all
}

func (h *house) want(texts ...string) {
	h.t.Helper()
	got := h.texts()
	if fmt.Sprint(got) != fmt.Sprint(texts) {
		h.t.Errorf("the chat shows %q, want %q", got, texts)
	}
	for _, m := range h.p.Messages("lobby") {
		if !m.Final {
			h.t.Errorf("%q is not final", m.Text.Plain)
		}
	}
}

func echo(name string) bot.Command {
	return bot.Command{
		Name:    name,
		Options: []bot.Option{{Name: "text", Kind: bot.String, Rest: true, Required: true, Max: 4000}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: in.Rest})
		},
	}
}

// slow answers "<text>" when go is closed, or with the cause when its context ends.
func slow(gate <-chan struct{}, begun *atomic.Int32) bot.Command {
	c := echo("slow")
	c.Costly = true
	c.Run = func(ctx context.Context, in *bot.Invocation) error {
		begun.Add(1)
		in.Reply.Show(bot.Reply{Text: bot.Plain("half of " + in.Options["text"])})
		select {
		case <-gate:
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done " + in.Options["text"])})
		case <-ctx.Done():
			return fmt.Errorf("wait: %w", context.Cause(ctx))
		}
	}
	return c
}

func TestAnswersOnce(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}})
		e := bot.Event{ID: "test:same", Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Text: bot.Plain("/echo hello")}
		for range 3 {
			if err := h.p.Emit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		e.ID, e.FromBot = "test:other", true
		if err := h.p.Emit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("hello")
		if len(h.m.erased) != 1 || h.m.states()[bot.Delivered] != 1 {
			t.Errorf("erased %v, states %v", h.m.erased, h.m.states())
		}
	})
}

func TestTellsWhatWasTypedWrong(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		admin := echo("setup")
		admin.Needs = community.Admin
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo"), admin}})
		h.say("ann", "/ecoh x")
		h.say("ann", "/echo")
		h.say("ann", "/echo "+strings.Repeat("é", 10_000))
		h.say("ann", "/setup x")
		h.say("ann", "no command")
		h.settle()
		h.want("fault.unknown_command name=/ecoh nearest=/echo",
			"fault.missing_option command=/echo option=text usage=/echo text what=option.echo.text",
			"fault.too_long length=10000 max=4000 option=text",
			"fault.forbidden role=admin")
	})
}

// Whoever the operator blocks was met with silence, and took the bot for broken.
func TestBlockedMemberIsToldOnceAnHour(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}})
		h.m.settings = func(m *community.Member) { m.Blocked = m.Name == "bob" }
		h.say("bob", "/echo x")
		h.say("bob", "/nothing")
		h.say("bob", "hello")
		h.settle()
		h.want("reply.blocked")
		pass(time.Hour)
		h.say("bob", "/echo x")
		h.settle()
		h.want("reply.blocked", "reply.blocked")
		if len(h.m.states()) != 0 {
			t.Errorf("requests were kept: %v", h.m.states())
		}
	})
}

// Somebody who is blocked saw "thinking…" without end from the second command of an hour on: an interaction wants an answer each time. What only
// they see costs nobody anything.
func TestBlockedMembersInteractionsAreAnsweredEachTime(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}})
		h.m.settings = func(m *community.Member) { m.Blocked = true }
		for _, whispers := range []bool{true, true, true, false, false} {
			e := bot.Event{
				Chat: h.p.Chat("lobby"), User: h.p.User("bob"), Name: "bob", Text: bot.Plain("/echo x"), Handle: "h", Whisper: func() bool { return whispers },
			}
			n := len(h.p.Messages("lobby"))
			err := h.p.Emit(t.Context(), e)
			h.settle()
			told := len(h.p.Messages("lobby")) > n
			if told == errors.Is(err, bot.ErrIgnored) {
				t.Errorf("whispers %t: told %t, and Handle returns %v", whispers, told, err)
			}
		}
		h.want("reply.blocked", "reply.blocked", "reply.blocked", "reply.blocked")
	})
}

func TestPanicBecomesAnAnswer(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		boom := echo("boom")
		boom.Run = func(context.Context, *bot.Invocation) error { panic("what ann wrote") }
		fails := echo("fails")
		fails.Run = func(context.Context, *bot.Invocation) error { return errors.New("database is locked") }
		h := open(t, bot.Config{Commands: []bot.Command{boom, fails, echo("echo")}})
		h.say("ann", "/boom x")
		h.say("ann", "/fails x")
		h.say("ann", "/echo still here")
		h.settle()
		h.want("fault.internal", "fault.internal", "still here")
		log := h.log.String()
		if strings.Contains(log, "what ann wrote") || !strings.Contains(log, "panic: string") || !strings.Contains(log, "fails: database is locked") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// Kill at each step of a send: the request is answered once, in the same message.
func TestRestartEditsTheSameMessage(t *testing.T) {
	for _, when := range []string{"before the placeholder", "between send and saving its id", "while it runs", "between the final and Delivered"} {
		t.Run(when, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				var begun atomic.Int32
				h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
				h.p.Set(bottest.Hooks{
					Before: func(_ context.Context, what string, m bot.Outgoing) error {
						if when == "before the placeholder" {
							return errKilled
						}
						return nil
					},
					After: func(_ context.Context, what string, m bot.Outgoing) error {
						if when == "between send and saving its id" || m.Final {
							h.m.setKilled(true)
							return errKilled
						}
						return nil
					},
				})
				h.say("ann", "/slow cake")
				if when == "between the final and Delivered" {
					close(gate)
				}
				pass(5 * time.Second)
				h.kill()
				before := h.p.Messages("lobby")
				h.start()
				if when != "between the final and Delivered" {
					close(gate)
				}
				h.settle()
				h.want("done cake")
				after := h.p.Messages("lobby")
				if len(before) > 0 && len(after) > 0 && before[0].ID != after[0].ID {
					t.Errorf("answered in %s, the placeholder was %s", after[0].ID, before[0].ID)
				}
				if s := h.m.states(); s[bot.Delivered] != 1 || len(s) != 1 {
					t.Errorf("states %v", s)
				}
				if len(h.m.actions) > 0 && when == "while it runs" {
					t.Errorf("buttons left: %v", h.m.actions)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(nil, &begun)}})
		h.say("ann", "/slow cake")
		h.settle()
		m := h.p.Messages("lobby")[0]
		if m.Text.Plain != "half of cake" {
			t.Fatalf("shown: %q", m.Text.Plain)
		}
		press := func(user string, role community.Role) {
			if err := h.p.Press(t.Context(), m, user, "button.stop", role); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		press("bob", community.Everyone)
		seen := h.p.Visible("lobby", "bob")
		if len(seen) != 2 || seen[1].Text.Plain != "fault.not_yours what=stop" || len(h.p.Visible("lobby", "ann")) != 1 {
			t.Fatalf("bob sees %+v", seen)
		}
		press("carl", community.Admin)
		press("ann", community.Everyone) // too late
		all := h.p.Visible("lobby", "carl")
		if len(all) != 1 || all[0].Text.Plain != "half of cake\n\nfault.cancelled" || len(all[0].Buttons) != 0 || !all[0].Final {
			t.Fatalf("shown at the end: %+v", all)
		}
		if late := h.p.Visible("lobby", "ann"); late[len(late)-1].Text.Plain != "fault.gone" {
			t.Errorf("the late press was answered %q", late[len(late)-1].Text.Plain)
		}
	})
}

func TestStopHoldsOverRestart(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(nil, &begun)}})
		h.say("ann", "/slow cake")
		h.settle()
		m := h.p.Messages("lobby")[0]
		h.p.Set(bottest.Hooks{Before: func(context.Context, string, bot.Outgoing) error { return errKilled }})
		if err := h.p.Press(t.Context(), m, "ann", "button.stop", 0); err != nil {
			t.Fatal(err)
		}
		h.kill()
		h.start()
		h.settle()
		h.want("fault.cancelled")
		if begun.Load() != 1 {
			t.Errorf("ran %d times, want once: it was stopped before the restart", begun.Load())
		}
	})
}

// Stop was saved, then the process was killed before the pool heard of it: the job waited on and held its credits.
func TestStopBeforeAKillCancelsTheJobsAfterIt(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		var cancelled []string
		tries := 0
		h := open(t, bot.Config{
			Commands: []bot.Command{slow(nil, &begun), echo("echo")},
			Cancel: func(_ context.Context, request string) error {
				if tries++; tries == 1 {
					return errors.New("the pool does not run yet")
				}
				cancelled = append(cancelled, request)
				return nil
			},
		})
		h.say("ann", "/slow cake")
		h.say("ann", "/slow plum")
		h.settle()
		stopped := h.m.order[0]
		h.kill()
		if err := h.m.SetState(t.Context(), stopped, bot.Stopped); err != nil {
			t.Fatal(err)
		}
		h.start()
		h.settle()
		if fmt.Sprint(cancelled) != fmt.Sprint([]string{stopped}) {
			t.Errorf("cancelled jobs of %q, want those of %q only", cancelled, stopped)
		}
		if all := h.p.Messages("lobby"); all[0].Text.Plain != "fault.cancelled" || !all[0].Final || all[1].Final {
			t.Errorf("shown: %+v", all)
		}
	})
}

// The answer was there and paid, and Stop was pressed before it was shown: it was taken away.
func TestStopAfterTheAnswerIsThereShowsTheAnswer(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("slow")
		cmd.Costly = true
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			<-ctx.Done() // stands for the moments between the job's end and the final
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("the answer")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/slow x")
		h.settle()
		if err := h.p.Press(t.Context(), h.p.Messages("lobby")[0], "ann", "button.stop", 0); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("the answer")
	})
}

// A request that takes the process down was taken up again at every start, for ever.
func TestRequestThatKillsTheProcessIsGivenUp(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		var cancelled []string
		h := open(t, bot.Config{
			Commands: []bot.Command{slow(nil, &begun)},
			Cancel:   func(_ context.Context, request string) error { cancelled = append(cancelled, request); return nil },
		})
		h.say("ann", "/slow cake")
		for range 4 {
			h.kill()
			h.start()
		}
		h.settle()
		h.want("fault.given_up times=3")
		if begun.Load() != 4 || len(cancelled) != 1 {
			t.Errorf("ran %d times, want once and 3 times more; cancelled %q", begun.Load(), cancelled)
		}
	})
}

// Whatever ends the process later, or in good order, was not this request.
func TestPatientRequestIsNotGivenUp(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
		h.say("ann", "/slow cake")
		for range 5 {
			h.close()
			h.start()
		}
		for range 5 {
			h.settle()
			h.kill()
			h.start()
		}
		close(gate)
		h.settle()
		h.want("done cake")
	})
}

// A row whose arguments cannot be read still gets its final answer.
func TestRequestWithoutReadableArgumentsIsAnswered(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(nil, &begun)}})
		h.say("ann", "/slow cake")
		h.kill()
		q := h.m.requests[h.m.order[0]]
		q.Args = nil
		h.m.requests[q.ID] = q
		h.start()
		h.settle()
		h.want("fault.internal")
	})
}

func TestButtonsWorkAfterRestart(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("draw")
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("drawn"), Buttons: []bot.NewButton{{Action: "again", Label: bot.Plain("Again"), Data: []byte("42")}}})
		}
		again := bot.ActionHandler{Name: "again", Moderators: true, Command: "draw", Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("again " + string(a.Data) + " " + in.Request.Name)})
		}}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}, Actions: []bot.ActionHandler{again}})
		h.say("ann", "/draw x")
		h.settle()
		h.close()
		pass(29 * 24 * time.Hour)
		h.start()
		m := h.p.Messages("lobby")[0]
		for _, user := range []string{"ann", "bob"} {
			if err := h.p.Press(t.Context(), m, user, "Again", 0); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		if err := h.p.Press(t.Context(), m, "eve", "Again", community.Admin); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("drawn", "again 42 ann", "fault.not_yours what=again", "again 42 eve")
		pass(2 * 24 * time.Hour)
		if err := h.p.Press(t.Context(), m, "ann", "Again", 0); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.want("drawn", "again 42 ann", "fault.not_yours what=again", "again 42 eve", "fault.gone command=draw")
	})
}

func TestOrderInAChat(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun), echo("echo")}, Limits: bot.Limits{Running: 3}})
		// The platform is slower with the first message than with the others.
		h.p.Set(bottest.Hooks{Before: func(ctx context.Context, what string, m bot.Outgoing) error {
			if what == "send" && len(h.p.Calls()) == 0 {
				pass(5 * time.Second)
			}
			return nil
		}})
		for _, s := range []string{"/slow a", "/echo b", "/slow c", "/echo d"} {
			h.say("ann", s)
		}
		h.settle()
		if got := fmt.Sprint(h.texts()); got != "[half of a b half of c d]" {
			t.Errorf("while it runs: %s", got)
		}
		close(gate)
		h.settle()
		h.want("done a", "b", "done c", "d")
	})
}

// Twenty requests of one member: the first two run, five wait, the others are told how long.
func TestLimits(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun), echo("echo")}})
		for i := range 20 {
			h.say("ann", fmt.Sprint("/slow ", i))
		}
		h.settle()
		refused := 0
		for _, s := range h.texts() {
			if s == "fault.too_many queued=5 running=2 wait=10s" {
				refused++
			}
		}
		if begun.Load() != 2 || refused != 13 {
			t.Errorf("%d run, %d refused: %q", begun.Load(), refused, h.texts())
		}
		h.say("bob", "/slow x")
		if begun.Load() != 3 {
			t.Error("bob waits because of ann")
		}
		close(gate)
		h.settle()
		done := 0
		for _, s := range h.texts() {
			if strings.HasPrefix(s, "done ") {
				done++
			}
		}
		if done != 8 {
			t.Errorf("%d done, want 8: %q", done, h.texts())
		}
	})
}

func TestRateLimit(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}, Limits: bot.Limits{PerMinute: 3}})
		for range 10 {
			h.say("ann", "/echo x")
		}
		h.settle()
		h.want("x", "x", "x", "fault.rate_limited wait=20s", "fault.rate_limited wait=20s", "fault.rate_limited wait=20s")
		h.say("ann", "/echo y")
		h.settle()
		if all := h.texts(); all[len(all)-1] != "y" {
			t.Errorf("a minute later: %q", all)
		}
	})
}

func TestFullChatSaysBusy(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}, Limits: bot.Limits{Chat: 2}})
		gate := make(chan struct{})
		h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, m bot.Outgoing) error {
			if strings.HasPrefix(m.Text.Plain, "n") {
				<-gate
			}
			return nil
		}})
		for i := range 4 {
			h.say("ann", fmt.Sprint("/echo n", i))
		}
		if err := h.p.Say(t.Context(), "lounge", "ann", "/echo other chats are free"); err != nil {
			t.Fatal(err)
		}
		faketime.Wait()
		if n := len(h.p.Messages("lounge")); n != 1 {
			t.Errorf("%d messages in the other chat", n)
		}
		close(gate)
		h.settle()
		h.want("fault.busy", "fault.busy", "n0", "n1")
	})
}

// A thousand Shows become few edits, and the final is the last of them.
func TestShowsAreCoalesced(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("stream")
		cmd.Costly = true
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			for i := range 1000 {
				in.Reply.Show(bot.Reply{Text: bot.Plain(fmt.Sprint("word ", i))})
				pass(10 * time.Millisecond)
			}
			if err := in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("all")}); err != nil {
				return err
			}
			in.Reply.Show(bot.Reply{Text: bot.Plain("too late")})
			if in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("twice")}) == nil {
				t.Error("a second final was taken")
			}
			return nil
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/stream x")
		h.settle()
		h.want("all")
		calls := h.p.Calls()
		if len(calls) > 28 || len(calls) < 20 {
			t.Errorf("%d calls for 10 s of stream at one per 400 ms", len(calls))
		}
		for i, c := range calls {
			last := i == len(calls)-1
			if c.Out.Final != last || (len(c.Out.Buttons) == 1) == last {
				t.Errorf("call %d of %d: final %t, buttons %v", i, len(calls), c.Out.Final, c.Out.Buttons)
			}
			if i > 1 && !last && c.At.Sub(calls[i-1].At) < 400*time.Millisecond {
				t.Errorf("calls %d and %d are %v apart", i-1, i, c.At.Sub(calls[i-1].At))
			}
		}
	})
}

func TestFinalSurvivesFailures(t *testing.T) {
	gone := errors.New("connection reset")
	for name, c := range map[string]struct {
		before func(n int, what string, m bot.Outgoing) error
		want   []string
	}{
		"the network is away for a minute": {func(n int, _ string, _ bot.Outgoing) error {
			if n < 8 {
				return gone
			}
			return nil
		}, []string{"done"}},
		"the answer is rejected": {func(_ int, _ string, m bot.Outgoing) error {
			if m.Text.Plain == "done" {
				return fmt.Errorf("picture too large: %w", bot.ErrRejected)
			}
			return nil
		}, []string{"fault.internal"}},
		"the bot may not write here": {func(int, string, bot.Outgoing) error { return fault.New(fault.Forbidden) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				cmd := echo("work")
				cmd.Costly = true
				cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
					pass(2 * time.Second)
					return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done")})
				}
				h := open(t, bot.Config{Commands: []bot.Command{cmd}})
				n := 0
				h.p.Set(bottest.Hooks{Before: func(_ context.Context, what string, m bot.Outgoing) error {
					n++
					return c.before(n, what, m)
				}})
				h.say("ann", "/work x")
				pass(10 * time.Minute)
				faketime.Wait()
				h.want(c.want...)
				if h.m.states()[bot.Delivered] != 1 {
					t.Errorf("states %v", h.m.states())
				}
			})
		})
	}
}

// An edit that hangs does not hold up the final for long, and the final is the last write.
func TestHangingEdit(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("work")
		cmd.Costly = true
		var took time.Duration
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: bot.Plain("hangs")})
			pass(time.Second)
			began := time.Now()
			defer func() { took = time.Since(began) }()
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.p.Set(bottest.Hooks{Before: func(ctx context.Context, _ string, m bot.Outgoing) error {
			if m.Text.Plain == "hangs" {
				<-ctx.Done()
			}
			return nil
		}})
		h.say("ann", "/work x")
		h.settle()
		h.want("done")
		if took != 3*time.Second {
			t.Errorf("the final took %v", took)
		}
	})
}

// What is stopped while it waits for its turn never runs, and the others go on.
func TestStopWhileQueued(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}, Limits: bot.Limits{Running: 1}})
		for _, s := range []string{"a", "b", "c"} {
			h.say("ann", "/slow "+s)
		}
		h.settle()
		if err := h.p.Press(t.Context(), h.p.Messages("lobby")[1], "ann", "button.stop", 0); err != nil {
			t.Fatal(err)
		}
		h.settle()
		close(gate)
		h.settle()
		h.want("done a", "fault.cancelled", "done c")
		if begun.Load() != 2 {
			t.Errorf("%d ran", begun.Load())
		}
	})
}

// Stop and the final at the same moment: one of them is shown, once.
func TestStopRacesWithFinal(t *testing.T) {
	for i := range 20 {
		faketime.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			var begun atomic.Int32
			h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
			h.say("ann", "/slow x")
			h.settle()
			m := h.p.Messages("lobby")[0]
			go func() {
				pass(time.Duration(i%2) * time.Nanosecond)
				close(gate)
			}()
			_ = h.p.Press(t.Context(), m, "ann", "button.stop", 0)
			h.settle()
			finals := 0
			for _, c := range h.p.Calls() {
				if c.Out.Final && len(c.IDs) == 1 && c.IDs[0] == m.ID {
					finals++
				}
			}
			if finals != 1 {
				t.Errorf("%d finals: %q", finals, h.texts())
			}
		})
	}
}

// A failure in the middle of an answer keeps what there is; a status line gives way.
func TestFailureAfterShow(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("half")
		cmd.Costly = true
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			in.Reply.Show(bot.Reply{Text: in.Rest, Status: in.Rest.Plain == "40 %"})
			pass(2 * time.Second)
			return fmt.Errorf("draw: %w", fault.New(fault.WorkerFailed, "kind", "image", "attempts", 3))
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/half Once upon")
		h.say("ann", "/half 40 %")
		h.settle()
		h.want("Once upon\n\nfault.worker_failed attempts=3 kind=image", "fault.worker_failed attempts=3 kind=image")
	})
}

// A stopped invocation learns why: its pool cancels the worker for a Stop, not for a restart.
func TestCauseOfStop(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var causes []string
		cmd := echo("wait")
		cmd.Costly = true
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			<-ctx.Done()
			causes = append(causes, fmt.Sprint(fault.Has(context.Cause(ctx), fault.Cancelled)))
			return context.Cause(ctx)
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/wait x")
		h.say("ann", "/wait y")
		if err := h.p.Press(t.Context(), h.p.Messages("lobby")[0], "ann", "button.stop", 0); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.close()
		if fmt.Sprint(causes) != "[true false]" {
			t.Errorf("stopped on purpose: %v", causes)
		}
	})
}

func TestDeletedPlaceholderIsSentAnew(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
		h.say("ann", "/slow cake")
		h.settle()
		h.p.Remove(h.p.Messages("lobby")[0].ID)
		close(gate)
		h.settle()
		h.want("done cake")
	})
}

// Where the platform is sure that somebody deleted a part of an answer, what grows is stopped and goes with all its parts; so does a final that is met
// too late. Nothing is sent anew.
func TestDeletedAnswerIsNotSentAnew(t *testing.T) {
	for _, final := range []bool{false, true} {
		faketime.Test(t, func(t *testing.T) {
			more, ended := make(chan bool), make(chan error, 1)
			tale := echo("tale")
			tale.Costly = true
			tale.Run = func(ctx context.Context, in *bot.Invocation) error {
				in.Reply.Show(bot.Reply{Text: bot.Plain("once upon a time there was a fox in the snow")})
				rep := bot.Reply{Text: bot.Plain("once upon a time there was a hen in the rain")}
				if <-more {
					ended <- in.Reply.Final(ctx, rep)
					return nil
				}
				in.Reply.Show(rep)
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return context.Cause(ctx)
			}
			h := open(t, bot.Config{Commands: []bot.Command{tale}})
			h.p.Set(bottest.Hooks{Max: 20, Sure: true})
			h.say("ann", "/tale please")
			h.settle()
			all := h.p.Messages("lobby")
			if len(all) != 3 {
				t.Fatalf("%+v", all)
			}
			h.p.Remove(all[1].ID)
			more <- final
			h.settle()
			if err := <-ended; fault.Has(err, fault.Cancelled) == final || final && err != nil {
				t.Errorf("final %v: the run ended with %v", final, err)
			}
			h.want()
			if got := h.m.states(); len(got) != 1 || got[bot.Delivered] != 1 {
				t.Errorf("final %v: states %v", final, got)
			}
		})
	}
}

func TestSilentListener(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var heard []string
		listen := func(name, prefix string, run func(context.Context, *bot.Invocation) error) bot.Listener {
			return bot.Listener{Name: name, Match: func(e bot.Event) bool { return strings.HasPrefix(e.Text.Plain, prefix) }, Run: run}
		}
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}, Listeners: []bot.Listener{
			listen("quiet", "q", func(_ context.Context, in *bot.Invocation) error {
				pass(5 * time.Second) // long enough for a placeholder, which is taken back
				heard = append(heard, in.Rest.Plain)
				return nil
			}),
			listen("shown", "s", func(_ context.Context, in *bot.Invocation) error {
				in.Reply.Show(bot.Reply{Text: bot.Plain("shown is the answer")})
				return nil
			}),
		}})
		h.say("ann", "quietly")
		h.say("ann", "something")
		h.say("ann", "else")
		h.say("ann", "/etc/passwd is a file")
		h.settle()
		h.want("shown is the answer")
		if fmt.Sprint(heard) != "[quietly]" || h.m.states()[bot.Delivered] != 2 {
			t.Errorf("heard %q, states %v", heard, h.m.states())
		}
	})
}

func TestShutdownLeavesRequestsForTheNextStart(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var begun atomic.Int32
		h := open(t, bot.Config{Commands: []bot.Command{slow(gate, &begun)}})
		for i := range 4 {
			h.say("ann", fmt.Sprint("/slow ", i))
		}
		h.settle()
		h.close()
		if s := h.m.states(); s[bot.Accepted] != 4 {
			t.Fatalf("states %v", s)
		}
		calls := len(h.p.Calls())
		for _, m := range h.p.Messages("lobby") {
			if m.Final {
				t.Errorf("final although the process ended: %q", m.Text.Plain)
			}
		}
		if err := h.router.Handle(t.Context(), bot.Event{Kind: bot.MessageNew, ID: "x", Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Text: bot.Plain("/slow 9")}); err == nil {
			t.Error("an event was taken after the end")
		}
		close(gate)
		h.start()
		h.settle()
		h.want("done 0", "done 1", "done 2", "done 3")
		for _, c := range h.p.Calls()[calls:] {
			if c.What != "edit" {
				t.Errorf("%s after the restart", c.What)
			}
		}
	})
}

func TestStubbornCommandDoesNotHangTheEnd(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		cmd := echo("stubborn")
		cmd.Run = func(context.Context, *bot.Invocation) error { <-gate; return nil }
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		h.say("ann", "/stubborn x")
		began := time.Now()
		h.stop()
		err := <-h.ended
		h.stop = nil
		if d := time.Since(began); err == nil || d > 12*time.Second || d < 10*time.Second {
			t.Errorf("Run returned after %v: %v", d, err)
		}
		close(gate)
	})
}

func TestPrivateAnswers(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("secret")
		cmd.Private = true
		h := open(t, bot.Config{Commands: []bot.Command{{Name: "my", Subcommands: []bot.Command{cmd}}}})
		h.say("ann", "/my secret x")
		h.say("ann", "/my_secret y")
		h.settle()
		if n := len(h.p.Visible("lobby", "bob")); n != 0 {
			t.Errorf("bob sees %d messages", n)
		}
		h.want("x", "y")
	})
}

// A reply to an answer is told apart from a reply to anybody else, also after a restart.
// A reply to a private message is seen by its author only, and its answer was shown to everybody; the same for buttons there.
func TestPrivateMessageIsAnsweredInPrivate(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("echo")
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: in.Rest, Buttons: []bot.NewButton{{Action: "again", Label: bot.Plain("again")}}})
		}
		h := open(t, bot.Config{
			Commands:  []bot.Command{cmd},
			Listeners: []bot.Listener{{Name: "hear", Match: func(e bot.Event) bool { return e.Text.Plain == "hello" }, Run: cmd.Run}},
			Actions: []bot.ActionHandler{{Name: "again", Run: func(ctx context.Context, in *bot.Invocation, _ bot.Action) error {
				return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("again")})
			}}},
		})
		for _, text := range []string{"/echo secret", "hello", "/ecko secret"} {
			if err := h.p.Emit(t.Context(), bot.Event{Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Text: bot.Plain(text), Private: true}); err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		if err := h.p.Press(t.Context(), h.p.Messages("lobby")[0], "ann", "again", 0); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if mine, theirs := h.p.Visible("lobby", "ann"), h.p.Visible("lobby", "bob"); len(mine) != 4 || len(theirs) != 0 {
			t.Errorf("ann sees %d messages, bob %+v", len(mine), theirs)
		}
	})
}

func TestReplyToAnAnswer(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		first := ""
		ask := echo("ask")
		ask.Run = func(ctx context.Context, in *bot.Invocation) error {
			first = in.Request.ID
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("42")})
		}
		h := open(t, bot.Config{Commands: []bot.Command{ask}, Listeners: []bot.Listener{{
			Name: "continue", Costly: true,
			Match: func(e bot.Event) bool { return e.Answers != "" },
			Run: func(ctx context.Context, in *bot.Invocation) error {
				return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(fmt.Sprint(in.Rest.Plain, " after the first: ", in.Answers == first))})
			},
		}}})
		h.say("ann", "/ask x")
		h.settle()
		h.close()
		h.start()
		for _, to := range []community.MessageID{"in-1", h.p.Messages("lobby")[0].ID} {
			err := h.p.Emit(t.Context(), bot.Event{Chat: h.p.Chat("lobby"), User: h.p.User("bob"), ReplyTo: to, Text: bot.Plain("why?")})
			if err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		h.want("42", "why? after the first: true")
	})
}

// A command that the platform parsed by itself is checked like a typed one; operators may do what admins may.
func TestParsedByThePlatform(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		setup := echo("setup")
		setup.Needs = community.Operator
		setup.Options = append(setup.Options, bot.Option{Name: "count", Kind: bot.Integer, Min: 1, Max: 4})
		h := open(t, bot.Config{Commands: []bot.Command{setup}})
		h.m.settings = func(m *community.Member) { m.Operator = m.Name == "olga" }
		for _, c := range []struct{ user, count string }{{"olga", "2"}, {"olga", "7"}, {"adam", "2"}} {
			err := h.p.Emit(t.Context(), bot.Event{
				Chat: h.p.Chat("lobby"), User: h.p.User(c.user), Name: c.user, Role: community.Admin,
				Command: &bot.Parsed{Path: []string{"setup"}, Options: map[string]string{"text": "t", "count": c.count}},
			})
			if err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		h.want("t", "fault.bad_option option=count value=7 want=1–4", "fault.forbidden role=operator")
	})
}

func TestChatMigrates(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{})
		if err := h.p.Emit(t.Context(), bot.Event{Kind: bot.ChatMigrated, Chat: h.p.Chat("1"), MovedTo: "test:-1002"}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(h.m.moved) != "[test:1 → test:-1002]" {
			t.Errorf("moved %v", h.m.moved)
		}
	})
}

func TestNewRouterRefusesNamesUsedTwice(t *testing.T) {
	run := func(context.Context, *bot.Invocation, bot.Action) error { return nil }
	for _, c := range []bot.Config{
		{Commands: []bot.Command{echo("again")}, Actions: []bot.ActionHandler{{Name: "again", Run: run}}},
		{Actions: []bot.ActionHandler{{Name: "stop", Run: run}}},
		{Listeners: []bot.Listener{{Name: ""}}},
		{Commands: []bot.Command{echo("Again")}},
		{Platforms: []bot.Platform{bottest.New("x"), bottest.New("x")}},
	} {
		if _, err := bot.NewRouter(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestReaderLanguage(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		cmd := echo("lang")
		cmd.Run = func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(in.Language)})
		}
		h := open(t, bot.Config{Commands: []bot.Command{cmd}})
		for i, locale := range []string{"de", "xx"} {
			err := h.p.Emit(t.Context(), bot.Event{ID: fmt.Sprint("e", i), Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Locale: locale, Text: bot.Plain("/lang x")})
			if err != nil {
				t.Fatal(err)
			}
			h.settle()
		}
		h.want("de", "en")
	})
}

func BenchmarkHandlePlainMessage(b *testing.B) {
	h := open2(b)
	e := bot.Event{ID: "e", Kind: bot.MessageNew, Chat: h.p.Chat("lobby"), User: h.p.User("ann"), Text: bot.Plain("Has anybody seen my keys? I left them on the table yesterday.")}
	b.ReportAllocs()
	for b.Loop() {
		if err := h.router.Handle(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

// open2 is open without a bubble.
func open2(b *testing.B) *house {
	h := &house{t: b, p: bottest.New("test"), m: newMemory()}
	router, err := bot.NewRouter(bot.Config{
		Platforms: []bot.Platform{h.p}, Commands: []bot.Command{echo("echo")}, Store: h.m, People: h.m, Catalogue: bottest.Catalogue{"en"},
		Listeners: []bot.Listener{{Name: "never", Match: func(bot.Event) bool { return false }, Run: func(context.Context, *bot.Invocation) error { return nil }}},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- router.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	h.router = router
	return h
}
