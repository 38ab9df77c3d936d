package discord_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/faketime"
	"potluck/fault"
	"potluck/storage"
	"potluck/storage/storagetest"
)

// house is the adapter below the real Router on a real database.
type house struct {
	t    *testing.T
	fake *fakediscord.Server
	log  *bottest.Log
	db   *storage.DB
	stop func()
	// tale is what /ask waits for before its end; each value ends one.
	tale chan string
}

// openHouse starts a house; a second one on the same path is a restart.
func openHouse(t *testing.T, s *fakediscord.Server, path string) *house {
	t.Helper()
	h := &house{t: t, fake: s, log: &bottest.Log{}, tale: make(chan string)}
	db := storagetest.OpenPath(t, path)
	h.db = db
	ask := commands[1]
	ask.Run = func(ctx context.Context, in *bot.Invocation) error {
		if how, wrong := strings.CutPrefix(in.Rest.Plain, "wrong"); wrong {
			if how != "" {
				bottest.Pass(time.Second)
			}
			return fault.New(fault.BadOption, "option", "seed")
		}
		in.Reply.Show(bot.Reply{Text: bot.Plain("Once upon a time")})
		select {
		case end := <-h.tale:
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(end), Buttons: []bot.NewButton{again, {Action: "remove", Label: bot.Plain("Delete")}}})
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	c := config(s, h.log)
	c.Commands = []bot.Command{ask}
	c.TranslateCommand = ""
	p, err := discord.New(c)
	if err != nil {
		t.Fatal(err)
	}
	router, err := bot.NewRouter(bot.Config{
		Platforms: []bot.Platform{p}, Commands: c.Commands, Store: &storage.Requests{DB: db}, People: &storage.People{DB: db},
		Catalogue: bottest.Catalogue{"en", "de"}, Log: slog.New(slog.DiscardHandler),
		Actions: []bot.ActionHandler{{Name: "again", Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain(string(a.Data) + " again"), Buttons: []bot.NewButton{again}})
		}}, {Name: "remove", InPlace: true, Aside: "remove_aside", Run: func(ctx context.Context, in *bot.Invocation, _ bot.Action) error {
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("removed in place")})
		}}, {Name: "remove_aside", Private: true, Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
			q := in.Request
			data, err := json.Marshal(bot.Standing{Request: a.Request, Chat: q.Chat.ID, Message: q.Source, Handle: q.Handle})
			if err != nil {
				return err
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("sure?"), Buttons: []bot.NewButton{{Action: "removed", Label: bot.Plain("Yes"), Data: data}}})
		}}, {Name: "removed", Private: true, InPlace: true, Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
			var there bot.Standing
			if err := json.Unmarshal(a.Data, &there); err != nil {
				return err
			}
			if err := in.Replace(ctx, there, bot.Plain("removed by "+in.Request.Name)); err != nil {
				return err
			}
			return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("done")})
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- router.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	bottest.Pass(10 * time.Second)
	return h
}

var again = bot.NewButton{Action: "again", Label: bot.Plain("Again"), Data: []byte("the end"), Everyone: true}

// shows is what one channel shows of the bot.
func (h *house) shows(channel string) (all []string) {
	faketime.Wait()
	for _, m := range h.fake.FromBot(channel, anna) {
		all = append(all, m.Content)
	}
	return all
}

// pressLast presses the first button of the newest message.
func (h *house) pressLast(channel string) {
	h.t.Helper()
	all := h.fake.FromBot(channel, boris)
	last := all[len(all)-1]
	if len(last.Buttons()) == 0 || len(last.Buttons()[0].CustomID) > 100 {
		h.t.Fatalf("%q has the buttons %+v", last.Content, last.Buttons())
	}
	h.fake.Use(fakediscord.Use{Channel: channel, User: boris, Message: last.ID, Button: last.Buttons()[0].CustomID})
	bottest.Pass(5 * time.Second)
}

// Buttons work after a restart and a month later, and so do those of what a button brought.
func TestButtonsWorkAfterAMonth(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s, path := world(t), filepath.Join(t.TempDir(), "potluck.db")
		h := openHouse(t, s, path)
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		bottest.Pass(time.Second)
		h.tale <- "the end"
		bottest.Pass(time.Second)
		h.stop()
		bottest.Pass(29 * 24 * time.Hour)
		h = openHouse(t, s, path)
		h.pressLast(general)
		h.pressLast(general)
		h.stop()
		bottest.Pass(29 * 24 * time.Hour)
		h = openHouse(t, s, path)
		h.pressLast(general)
		if got := fmt.Sprint(h.shows(general)); got != "[the end the end again the end again the end again]" {
			t.Errorf("shows %s\n%s", got, h.log)
		}
		h.stop()
		s.Close()
	})
}

// A wrong value that only the run of a command finds is refused to the asker alone, though the interaction was kept already; the slow one, which all
// see thinking by then, in the open.
func TestMistakeFoundByTheRunIsPrivate(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s, path := world(t), filepath.Join(t.TempDir(), "potluck.db")
		h := openHouse(t, s, path)
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "wrong"}})
		bottest.Pass(2 * time.Second)
		if in := s.Seen(token); !strings.Contains(in.Original.Content, "option=seed") || len(s.FromBot(general, boris)) != 0 {
			t.Errorf("answered %+v, others see %+v", in.Original, s.FromBot(general, boris))
		}
		token = s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "wrong, told late"}})
		bottest.Pass(2 * time.Second)
		if in := s.Seen(token); !strings.Contains(in.Original.Content, "option=seed") || len(s.FromBot(general, boris)) != 1 {
			t.Errorf("answered %+v, others see %+v", in.Original, s.FromBot(general, boris))
		}
		h.stop()
		s.Close()
	})
}

// A moderator who deleted a growing answer saw it posted again, whole. What the bot deletes itself stops nothing.
func TestDeletedAnswerStaysAway(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s, path := world(t), filepath.Join(t.TempDir(), "potluck.db")
		h := openHouse(t, s, path)
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		bottest.Pass(2 * time.Second)
		all := s.FromBot(general, boris)
		if len(all) != 1 || !strings.Contains(all[0].Content, "Once upon a time") {
			t.Fatalf("shows %+v", all)
		}
		s.Remove(general, all[0].ID)
		bottest.Pass(time.Minute)
		if got := h.shows(general); len(got) != 0 {
			t.Errorf("shows %q", got)
		}
		h.stop()
		s.Close()
	})
}

// The notice of a deletion that came after the final had met the deleted message, or never, had the answer posted again. It stays away whenever the
// notice comes: for interactions by their token, for mentions, and for what is answered after the token's end.
func TestDeletedAnswerStaysAwayBeforeItsNoticeComes(t *testing.T) {
	for name, c := range map[string]struct {
		mention    bool
		asked, met time.Duration // from the question to the deletion, and on to the final
		tell       time.Duration // from there to the notice; 0: none ever
	}{
		"by the token":             {met: time.Second, tell: 2 * time.Second},
		"a mention":                {mention: true, met: time.Second, tell: 2 * time.Second},
		"long after":               {met: time.Second, tell: time.Hour},
		"never told":               {met: time.Second},
		"the token is over":        {asked: 20 * time.Minute, met: time.Second, tell: 2 * time.Second},
		"the token ends meanwhile": {met: 20 * time.Minute, tell: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				h := openHouse(t, s, filepath.Join(t.TempDir(), "potluck.db"))
				if c.mention {
					s.Say(general, anna, "<@100> tell me a story")
				} else {
					s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
				}
				bottest.Pass(2*time.Second + c.asked)
				all := s.FromBot(general, boris)
				if len(all) != 1 || !strings.Contains(all[0].Content, "Once upon a time") {
					t.Fatalf("shows %+v", all)
				}
				tell := s.RemoveUntold(general, all[0].ID)
				bottest.Pass(c.met)
				h.tale <- "the end"
				bottest.Pass(5 * time.Second)
				if c.tell > 0 {
					bottest.Pass(c.tell)
					tell()
				}
				bottest.Pass(time.Minute)
				if got := h.shows(general); len(got) != 0 {
					t.Errorf("shows %q\n%s", got, h.log)
				}
				if all, err := (&storage.Requests{DB: h.db}).Unfinished(t.Context()); err != nil || len(all) != 0 {
					t.Errorf("unfinished: %+v, %v", all, err)
				}
				h.stop()
				s.Close()
			})
		})
	}
}

// What a button asks before it changes its message is asked of who pressed alone, also below an answer in several parts and a day later. In a direct chat, where nobody else sees it, the message itself asks.
func TestButtonAsksAside(t *testing.T) {
	for name, c := range map[string]struct {
		channel, end, want string
		after              time.Duration
	}{
		"at once":        {general, "the end", "[removed by Anna]", time.Second},
		"a day later":    {general, "the end", "[removed by Anna]", 24 * time.Hour},
		"several parts":  {general, strings.Repeat("and so on ", 500), "[removed by Anna]", time.Second},
		"a direct chat":  {"5" + anna, "the end", "[removed in place]", time.Second},
		"it was deleted": {general, "the end", "[]", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				h := openHouse(t, s, filepath.Join(t.TempDir(), "potluck.db"))
				s.Use(fakediscord.Use{Channel: c.channel, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
				bottest.Pass(time.Second)
				h.tale <- c.end
				bottest.Pass(c.after)
				all := s.FromBot(c.channel, boris)
				last, before := all[len(all)-1], fmt.Sprint(h.shows(c.channel))
				token := s.Use(fakediscord.Use{Channel: c.channel, User: anna, Message: last.ID, Button: last.Buttons()[1].CustomID})
				bottest.Pass(2 * time.Second)
				if asked := s.Seen(token).Later; c.channel == general {
					if len(asked) != 1 || asked[0].Only != anna || asked[0].Content != "sure?" || fmt.Sprint(publicly(s, c.channel)) != before {
						t.Fatalf("asked %+v, others see %q\n%s", asked, publicly(s, c.channel), h.log)
					}
					if name == "it was deleted" {
						s.Remove(general, last.ID)
					}
					s.Use(fakediscord.Use{Channel: c.channel, User: anna, Message: asked[0].ID, Button: asked[0].Buttons()[0].CustomID})
					bottest.Pass(2 * time.Second)
					if told := s.Seen(token).Later[0]; name != "it was deleted" && (told.Content != "done" || len(told.Buttons()) != 0) {
						t.Errorf("told %+v\n%s", told, h.log)
					}
				}
				if got := fmt.Sprint(publicly(s, c.channel)); got != c.want {
					t.Errorf("others see %s\n%s", got, h.log)
				}
				h.stop()
				s.Close()
			})
		})
	}
}

// Delete below an answer asks aside and changes the message then: by the first press's token in a public channel that the bot itself cannot see, as long
// as that lives. What cannot be edited is deleted. Where the bot may do neither, who pressed is told, and may press once more.
func TestButtonAsksAsideWhereTheBotMayNotEdit(t *testing.T) {
	unseen := func(s *fakediscord.Server) {
		s.ChangeChannel(general, func(c *fakediscord.Channel) {
			c.Overwrites = []fakediscord.Overwrite{{ID: "100", Type: 1, Deny: fakediscord.ViewChannel}}
		})
	}
	refused := func(code, status int) func(*fakediscord.Server) {
		return func(s *fakediscord.Server) {
			s.Before(func(q fakediscord.Request) *fakediscord.Answer {
				if q.Method != "PATCH" || q.Body["content"] != "removed by Anna" {
					return nil
				}
				return &fakediscord.Answer{Status: status, Body: fmt.Sprintf(`{"code":%d,"message":"not any more"}`, code)}
			})
		}
	}
	for name, c := range map[string]struct {
		lacks      func(*fakediscord.Server)
		after      time.Duration // until the question is answered
		told, want string
	}{
		"it cannot see the channel":             {unseen, time.Second, "done", "[removed by Anna]"},
		"and the first press is too long ago":   {unseen, 20 * time.Minute, "fault.forbidden role=", "[the end]"},
		"the thread was archived":               {refused(50083, 400), time.Second, "done", "[]"},
		"the message was edited too often":      {refused(30046, 429), time.Second, "done", "[]"},
		"Discord says that it is not the bot's": {refused(50005, 400), 20 * time.Minute, "done", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				h := openHouse(t, s, filepath.Join(t.TempDir(), "potluck.db"))
				c.lacks(s)
				s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
				bottest.Pass(time.Second)
				h.tale <- "the end"
				bottest.Pass(time.Second)
				press := func(m fakediscord.Message, button int) fakediscord.Message {
					t.Helper()
					token := s.Use(fakediscord.Use{Channel: general, User: anna, Message: m.ID, Button: m.Buttons()[button].CustomID})
					bottest.Pass(2 * time.Second)
					later := s.Seen(token).Later
					if len(later) == 0 {
						return fakediscord.Message{}
					}
					return *later[0]
				}
				answer := s.FromBot(general, anna)[0]
				asked := press(answer, 1)
				bottest.Pass(c.after)
				told := press(asked, 0)
				if told.ID == "" { // in the place of the question
					told = s.FromBot(general, anna)[len(s.FromBot(general, anna))-1]
				}
				if got := fmt.Sprint(publicly(s, general)); got != c.want || told.Content != c.told || told.Only != anna {
					t.Errorf("others see %s; told %+v\n%s", got, told, h.log)
				}
				if c.told != "done" {
					press(press(answer, 1), 0)
					if got := fmt.Sprint(publicly(s, general)); got != "[removed by Anna]" {
						t.Errorf("once more: others see %s\n%s", got, h.log)
					}
				}
				h.stop()
				s.Close()
			})
		})
	}
}

// publicly is what everybody sees of the bot in a channel.
func publicly(s *fakediscord.Server, channel string) (all []string) {
	for _, m := range s.FromBot(channel, "") {
		if m.Only == "" {
			all = append(all, m.Content)
		}
	}
	return all
}

// Bad input: rights are revoked, the channel is deleted, the guild removes the bot, each in the middle of an answer. The request ends, other
// channels go on, and once all is mended so does this one. That a right is missing is told once.
func TestTroubleInTheMiddleOfAnAnswer(t *testing.T) {
	deny := func(bits int64) func(s *fakediscord.Server) {
		return func(s *fakediscord.Server) {
			s.ChangeChannel(general, func(c *fakediscord.Channel) { c.Overwrites = []fakediscord.Overwrite{{ID: home, Deny: bits}} })
		}
	}
	for name, c := range map[string]struct {
		trouble, mended func(s *fakediscord.Server)
		told            int
	}{
		"it may not see the channel any more": {deny(fakediscord.ViewChannel), deny(0), 1},
		"it may not write any more":           {deny(fakediscord.SendMessages), deny(0), 0}, // what is there can still be edited
		"the channel is deleted": {
			func(s *fakediscord.Server) { s.RemoveChannel(general) },
			func(s *fakediscord.Server) { s.AddChannel(home, fakediscord.Channel{ID: general, Name: "general"}) }, 0,
		},
		"the guild removes the bot": {func(s *fakediscord.Server) { s.RemoveGuild(home) }, settle, 0},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				h := openHouse(t, s, filepath.Join(t.TempDir(), "potluck.db"))
				s.Say(general, anna, "<@100> tell me a story")
				bottest.Pass(3 * time.Second)
				if got := fmt.Sprint(h.shows(general)); got != "[Once upon a time]" {
					t.Fatalf("shows %s\n%s", got, h.log)
				}
				c.trouble(s)
				bottest.Pass(10 * time.Second)
				h.tale <- "the end"
				bottest.Pass(5 * time.Minute)
				s.Use(fakediscord.Use{Channel: "5" + anna, User: anna, Command: "ask", Options: map[string]any{"question": "elsewhere?"}})
				bottest.Pass(time.Second)
				h.tale <- "the end elsewhere"
				bottest.Pass(time.Second)
				if got := fmt.Sprint(h.shows("5" + anna)); got != "[the end elsewhere]" {
					t.Errorf("elsewhere it shows %s\n%s", got, h.log)
				}
				if n := strings.Count(h.log.String(), "lacks a permission"); n != c.told {
					t.Errorf("that a right is missing was told %d times\n%s", n, h.log)
				}
				c.mended(s)
				bottest.Pass(10 * time.Second)
				s.Say(general, boris, "<@100> and now?")
				bottest.Pass(3 * time.Second)
				h.tale <- "the end of another"
				bottest.Pass(3 * time.Second)
				got := h.shows(general)
				if len(got) == 0 || got[len(got)-1] != "the end of another" {
					t.Errorf("shows %q\n%s", got, h.log)
				}
				h.stop()
				s.Close()
			})
		})
	}
}
