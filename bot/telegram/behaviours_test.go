package telegram_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/storage"
)

// again does once more what was asked, below an answer that has the same button.
var again = bot.ActionHandler{Name: "again", Costly: true, Moderators: true, Anew: true, Command: "ask", Run: func(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	return in.Reply.Final(ctx, withAgain("once more "+string(a.Data)))
}}

func withAgain(text string) bot.Reply {
	return bot.Reply{Text: bot.Plain(text), Buttons: []bot.NewButton{{Action: "again", Label: bot.Plain("Again"), Data: []byte(text)}}}
}

// brief is a command that answers at once, with the button Again.
var brief = bot.Command{Name: "ask", Costly: true, Options: []bot.Option{{Name: "question", Kind: bot.String, Required: true, Rest: true}},
	Run: func(ctx context.Context, in *bot.Invocation) error {
		return in.Reply.Final(ctx, withAgain(in.Rest.Plain))
	}}

func newest(s *fakebotapi.Server, chat int64) fakebotapi.Message {
	all := s.FromBot(chat)
	if len(all) == 0 {
		return fakebotapi.Message{}
	}
	return all[len(all)-1]
}

// A press is acknowledged within a second while five hundred chats wait for their answers.
func TestPressIsAcknowledgedAmongFiveHundred(t *testing.T) {
	routed(t, []bot.Command{story(60, 10*time.Second)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask first"})
		bottest.Pass(20 * time.Second)
		m := newest(s, club)
		if len(m.Buttons()) != 1 {
			t.Fatalf("%+v", m)
		}
		for i := range int64(500) {
			s.AddUser(fakebotapi.User{ID: 20_000 + i, FirstName: fmt.Sprint("member ", i)})
			s.AddChat(fakebotapi.Chat{ID: -3_000_000 - i, Type: "supergroup", Title: fmt.Sprint("group ", i)})
			s.Say(fakebotapi.Say{Chat: -3_000_000 - i, From: 20_000 + i, Text: "/ask tell a story"})
		}
		bottest.Pass(time.Second)
		for range 5 {
			press := s.Press(club, m.ID, anna, m.Buttons()[0].Data) // not hers: the answer is said, in private
			bottest.Pass(3 * time.Second)
			if q := s.Query(press); q.Answered.IsZero() || q.Answered.Sub(q.At) > time.Second {
				t.Errorf("pressed at %v, answered at %v", q.At, q.Answered)
			}
		}
	})
}

// What takes longer than a quarter of an hour arrives all the same, in the message that was there from the beginning.
func TestResultAfterTwentyMinutes(t *testing.T) {
	routed(t, []bot.Command{story(40, 30*time.Second)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		q := s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask tell a story"})
		bottest.Pass(time.Minute)
		first := newest(s, club)
		bottest.Pass(20 * time.Minute)
		all := s.FromBot(club)
		if len(all) != 1 || all[0].ID != first.ID || all[0].ReplyTo.ID != q.ID || !strings.HasSuffix(all[0].Text, "the end of tell a story") {
			t.Errorf("%+v", all)
		}
	})
}

// A button works after a restart and almost thirty days later, also one below what a button made; then it says what to type.
func TestButtonsWorkForThirtyDays(t *testing.T) {
	routed(t, []bot.Command{brief}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask one"})
		bottest.Pass(10 * time.Second)
		first := newest(s, club)
		away := func(d time.Duration) { // nobody asks for updates meanwhile: that would be thousands of calls
			h.stop()
			bottest.Pass(d)
			h.start()
			bottest.Pass(10 * time.Second)
		}
		away(29 * 24 * time.Hour)
		s.Press(club, first.ID, boris, first.Buttons()[0].Data)
		bottest.Pass(10 * time.Second)
		second := newest(s, club)
		if second.Text != "once more one" || len(second.Buttons()) != 1 || len(second.Buttons()[0].Data) > 64 {
			t.Fatalf("%+v", second)
		}
		s.Press(club, second.ID, boris, second.Buttons()[0].Data)
		bottest.Pass(10 * time.Second)
		if third := newest(s, club); third.Text != "once more once more one" {
			t.Errorf("%+v", third)
		}
		away(2 * 24 * time.Hour)
		old := s.Press(club, first.ID, boris, first.Buttons()[0].Data)
		bottest.Pass(10 * time.Second)
		if q := s.Query(old); !q.Alert || !strings.Contains(q.Text, "gone") {
			t.Errorf("%+v", q)
		}
	}, again)
}

// mention is what Telegram makes a mention of by itself.
var mention = regexp.MustCompile(`(?:^|\W)@[A-Za-z0-9_]{2,}`)

// Nothing that goes out can call anybody: no text, no edit, no draft, no caption, no link to a person.
func TestNothingCallsAnybody(t *testing.T) {
	const wicked = "@everyone and @boris_b, [you](tg://user?id=302), **@anna_k** and <@302>"
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		text := bot.ParseMarkdown(wicked)
		ids := r.Send(bot.Outgoing{Chat: chat(club), Text: text, Final: true})
		bottest.Pass(2 * time.Second)
		r.Edit(ids, bot.Outgoing{Chat: chat(club), Text: bot.Join(bot.Plain(" "), text, text), Final: true})
		r.Send(bot.Outgoing{Chat: chat(old), Text: text, Pictures: []bot.Picture{picture(t, 64, 48)}, Final: true})
		private := r.Send(bot.Outgoing{Chat: chat(anna), Text: bot.Plain("…")})
		bottest.Pass(2 * time.Second)
		r.Edit(private, bot.Outgoing{Chat: chat(anna), Text: text})
		shown := append(s.Drafts(anna), newest(s, club).Text, newest(s, old).Caption)
		for _, text := range shown {
			if !strings.Contains(text, "boris_b") || mention.MatchString(text) {
				t.Errorf("%q calls somebody", text)
			}
		}
		for _, m := range append(s.FromBot(club), s.FromBot(old)...) {
			for _, e := range append(m.Entities, m.CaptionEntities...) {
				if e.Type != "bold" {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}

// Stop ends the work within two seconds, of a request that runs and of one that waits, for who asked and for moderators, and
// of nothing else; each request has exactly one final.
func TestStopEndsOneRequestOnly(t *testing.T) {
	var ended sync.Map // question → time.Time
	tell := bot.Command{Name: "ask", Costly: true, Options: []bot.Option{{Name: "question", Kind: bot.String, Required: true, Rest: true}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			defer func() { ended.Store(in.Rest.Plain, time.Now()) }()
			return story(40, time.Second).Run(ctx, in)
		}}
	routed(t, []bot.Command{tell}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		for _, question := range []string{"one", "two", "three", "four"} { // two run, two wait
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask " + question})
		}
		bottest.Pass(15 * time.Second)
		all := s.FromBot(club)
		stop := func(i int, who int64) time.Time {
			b := all[i].Buttons()
			s.Press(club, all[i].ID, who, b[len(b)-1].Data)
			at := time.Now()
			bottest.Pass(3 * time.Second)
			return at
		}
		stop(0, anna) // a stranger: nothing ends
		stop(3, boris)
		at := stop(0, olga) // a moderator
		if one, ok := ended.Load("one"); !ok || one.(time.Time).Before(at) || one.(time.Time).Sub(at) > 2*time.Second {
			t.Errorf("stopped at %v, ended at %v", at, one)
		}
		if _, begun := ended.Load("four"); begun {
			t.Error("what was stopped while it waited had begun")
		}
		bottest.Pass(3 * time.Minute)
		for i, want := range []string{"cancelled", "the end of two", "the end of three", "cancelled"} {
			if m := s.FromBot(club)[i]; !strings.Contains(m.Text, want) || len(m.Buttons()) != 0 {
				t.Errorf("%d: %q, want %q", i, m.Text, want)
			}
		}
		if n := len(s.FromBot(club)); n != 4 {
			t.Errorf("%d messages", n)
		}
	})
}

// What is too large for a photo goes as a file, what Telegram takes in no form is said, once and for good.
func TestLargePicturesArrive(t *testing.T) {
	draw := bot.Command{Name: "draw", Options: []bot.Option{{Name: "bytes", Kind: bot.Integer, Min: 1, Max: 100 << 20, Required: true}}, Run: func(ctx context.Context, in *bot.Invocation) error {
		pic := picture(t, 64, 48)
		n := 0
		fmt.Sscan(in.Options["bytes"], &n)
		pic.Data = append(pic.Data, make([]byte, max(n-len(pic.Data), 0))...)
		return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("a cat"), Pictures: []bot.Picture{pic}})
	}}
	routed(t, []bot.Command{draw}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		shown := func(n int) fakebotapi.Message {
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: fmt.Sprint("/draw bytes:", n)})
			bottest.Pass(time.Minute)
			return newest(s, club)
		}
		if m := shown(9 << 20); len(m.Photo) != 1 || m.Caption != "a cat" {
			t.Errorf("9 MB: %+v", m)
		}
		if m := shown(12 << 20); m.Document == nil || m.Caption != "a cat" {
			t.Errorf("12 MB: %+v", m)
		}
		if m := shown(51 << 20); !strings.Contains(m.Text, "fault.internal") || len(s.FromBot(club)) != 3 {
			t.Errorf("51 MB: %+v", m)
		}
	})
}

// That the bot may not write somewhere is told to the operator once per chat and day, not per message.
func TestRefusalIsToldOnceADay(t *testing.T) {
	bubble(t, byWebhook, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.SetStatus(club, "kicked", olga)
		for range 2 {
			for range 20 {
				if _, err := r.platform.Send(t.Context(), plain(club, "hello")); err == nil {
					t.Error("it was sent")
				}
			}
			bottest.Pass(25 * time.Hour)
		}
		if n := strings.Count(r.log.String(), "may not write here"); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}

// What admins set for a group and what was said there follow it to its new id, an answer that is under way arrives there, and nothing is
// said twice.
func TestMigrationTakesEverythingAlong(t *testing.T) {
	const now = int64(-1005000)
	routed(t, []bot.Command{story(40, time.Second)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		people := &storage.People{DB: h.db}
		s.Say(fakebotapi.Say{Chat: old, From: boris, Text: "/ask before"})
		bottest.Pass(time.Minute)
		member, err := people.Member(t.Context(), user(boris), "Boris", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := people.SetSetting(t.Context(), community.CommunityID(chat(old)), "limit.daily", "7", member.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.Say(fakebotapi.Say{Chat: old, From: boris, Text: "/ask meanwhile"})
		bottest.Pass(10 * time.Second)
		s.Migrate(old, now)
		bottest.Pass(3 * time.Minute)
		if v, ok, err := people.Setting(t.Context(), community.CommunityID(chat(now)), "limit.daily"); v != "7" || !ok || err != nil {
			t.Errorf("the setting is %q %v %v", v, ok, err)
		}
		whole := func(chat int64, of string) (n int) {
			for _, m := range s.FromBot(chat) {
				if strings.HasSuffix(m.Text, "the end of "+of) {
					n++
				}
			}
			return n
		}
		if whole(old, "before") != 1 || whole(now, "meanwhile") != 1 || len(s.FromBot(now)) != 1 {
			t.Errorf("%+v %+v\n%s", s.FromBot(old), s.FromBot(now), h.log)
		}
		s.Say(fakebotapi.Say{Chat: now, From: boris, Text: "/ask after"})
		bottest.Pass(time.Minute)
		if whole(now, "after") != 1 {
			t.Errorf("%+v", s.FromBot(now))
		}
		h.stop()
		h.start()
		bottest.Pass(time.Minute)
		if n := len(s.FromBot(now)); n != 2 {
			t.Errorf("%d messages after a restart", n)
		}
	})
}

// What cannot be done any more ends at once and clearly: an answer whose message is too old to be edited comes as a new one, somebody who blocks
// the bot meanwhile is left alone, and a group that throws it out, too.
func TestFinalsThatFindNoMessageOrNobody(t *testing.T) {
	routed(t, []bot.Command{story(20, time.Second)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask too old"})
		bottest.Pass(10 * time.Second)
		first := newest(s, club).ID
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Method == "editMessageText" && fmt.Sprint(q.Params["message_id"]) == fmt.Sprint(first) {
				return &fakebotapi.Answer{Status: 400, Description: "Bad Request: message can't be edited"}
			}
			return nil
		})
		bottest.Pass(time.Minute)
		if m := newest(s, club); !strings.HasSuffix(m.Text, "the end of too old") || len(s.FromBot(club)) != 2 {
			t.Errorf("%+v\n%s", s.FromBot(club), h.log)
		}
		s.Before(nil)
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "/ask blocked"})
		s.Say(fakebotapi.Say{Chat: old, From: boris, Text: "/ask thrown out"})
		bottest.Pass(10 * time.Second)
		s.Block(anna, true)
		s.SetStatus(old, "kicked", boris)
		bottest.Pass(2 * time.Minute)
		n := len(s.Requests("sendMessage", "editMessageText", "sendMessageDraft"))
		bottest.Pass(time.Hour)
		if more := len(s.Requests("sendMessage", "editMessageText", "sendMessageDraft")) - n; more != 0 {
			t.Errorf("%d calls for nobody", more)
		}
		unfinished, err := (&storage.Requests{DB: h.db}).Unfinished(t.Context())
		if err != nil || len(unfinished) != 0 {
			t.Errorf("unfinished: %v %+v", err, unfinished)
		}
	})
}

// A button whose message somebody deleted: what it does is done or refused as if the message were there, and who pressed is answered.
func TestButtonOfADeletedMessage(t *testing.T) {
	cover := bot.ActionHandler{Name: "cover", InPlace: true, Run: func(ctx context.Context, in *bot.Invocation, _ bot.Action) error {
		return in.Reply.Final(ctx, bot.Reply{Text: bot.Plain("covered")})
	}}
	both := brief
	both.Run = func(ctx context.Context, in *bot.Invocation) error {
		rep := withAgain(in.Rest.Plain)
		rep.Buttons = append(rep.Buttons, bot.NewButton{Action: "cover", Label: bot.Plain("Cover")})
		return in.Reply.Final(ctx, rep)
	}
	routed(t, []bot.Command{both}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask one"})
		bottest.Pass(10 * time.Second)
		m := newest(s, club)
		s.Remove(club, m.ID)
		for i, want := range []string{"once more one", "covered"} {
			press := s.Press(club, m.ID, boris, m.Buttons()[i].Data)
			bottest.Pass(10 * time.Second)
			if q := s.Query(press); q.Answered.IsZero() || newest(s, club).Text != want {
				t.Errorf("%+v, in the chat %+v\n%s", q, s.FromBot(club), h.log)
			}
		}
	}, again, cover)
}

// A file of more than 20 MB, which no bot may fetch, is nothing to wait for: alone it is answered at once, its caption is a question as ever.
func TestLargeFileOfAMember(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		large := map[string]any{"document": map[string]any{"file_id": "d", "file_name": "film.mkv", "file_size": 21 << 20}}
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Raw: large})
		bottest.Pass(3 * time.Second)
		if m := newest(s, anna); !strings.Contains(m.Text, "telegram.text_only") {
			t.Errorf("%+v", m)
		}
		withText := map[string]any{"document": large["document"], "caption": "what is that?"}
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Raw: withText})
		all := r.Taken(bot.MessageNew)
		if e := all[len(all)-1]; asked(e) != "[ask] map[question:what is that?]" || len(e.Carried) != 1 || e.Carried[0].Size != 21<<20 {
			t.Errorf("%+v", e)
		}
		if n := len(s.Requests("getFile")); n != 0 {
			t.Errorf("%d files were asked for", n)
		}
	})
}
