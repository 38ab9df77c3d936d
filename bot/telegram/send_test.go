package telegram_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
)

func picture(t testing.TB, w, h int) bot.Picture {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return bot.Picture{Name: fmt.Sprintf("p%dx%d.png", w, h), Data: b.Bytes(), Width: w, Height: h, Alt: "a picture"}
}

func marked(m fakebotapi.Message, kind string) (all []string) {
	text, list := m.Text, m.Entities
	if text == "" {
		text, list = m.Caption, m.CaptionEntities
	}
	units := utf16.Encode([]rune(text))
	for _, e := range list {
		if e.Type == kind {
			all = append(all, string(utf16.Decode(units[e.Offset:e.Offset+e.Length])))
		}
	}
	return all
}

// Offsets count UTF-16 units.
func TestEntitiesAfterEmoji(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		r.Send(bot.Outgoing{Chat: chat(club), Text: bot.ParseMarkdown("😀q**werty** 👩‍👩‍👧 *it* `c😀de` ~~no~~ [docs](https://example.org/x)\n> quoted **bold**\n\n```go\nx := 1\n```"), Final: true})
		m := s.FromBot(club)[0]
		for kind, want := range map[string]string{
			"bold": "[werty bold]", "italic": "[it]", "code": "[c😀de]", "strikethrough": "[no]", "pre": "[x := 1]", "blockquote": "[quoted bold]", "text_link": "[https://example.org/x]",
		} {
			if got := fmt.Sprint(marked(m, kind)); got != want {
				t.Errorf("%s is %s, want %s in %q %+v", kind, got, want, m.Text, m.Entities)
			}
		}
		if !strings.Contains(m.Text, "https://example.org/x") {
			t.Errorf("the link leads nowhere visible: %q", m.Text)
		}
		req := s.Requests("sendMessage")[0]
		if _, has := req.Params["parse_mode"]; has || fmt.Sprint(req.Params["link_preview_options"]) != "map[is_disabled:true]" {
			t.Errorf("%v", req.Params)
		}
	})
}

// Long texts come in ordered parts, formatted, each within the limit, no word cut.
func TestLongTextsAreSplit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		long := strings.Repeat("**seven** words stand in this line, & <b>.\n", 250)
		ids := r.Send(bot.Outgoing{Chat: chat(club), Text: bot.ParseMarkdown(long), Final: true})
		all := s.FromBot(club)
		if len(all) != 3 || len(ids) != 3 {
			t.Fatalf("%d parts", len(all))
		}
		words := 0
		for _, m := range all {
			words += len(strings.Fields(m.Text))
			if n := len(marked(m, "bold")); n != strings.Count(m.Text, "seven") || n > 100 {
				t.Errorf("%d bold words of %d", n, strings.Count(m.Text, "seven"))
			}
		}
		if words != len(strings.Fields(strings.ReplaceAll(long, "**", ""))) {
			t.Errorf("%d words arrived", words)
		}
		bottest.Pass(time.Minute)
		r.Send(bot.Outgoing{Chat: chat(old), Text: bot.Plain(strings.Repeat("<>&", 1333)), Final: true})
		if m := s.FromBot(old); len(m) != 1 {
			t.Errorf("%d parts of 4000 marks", len(m))
		}
		// A long block of code stays code in each part.
		bottest.Pass(time.Minute)
		r.Send(bot.Outgoing{Chat: chat(forum), Text: bot.ParseMarkdown("```go\n" + strings.Repeat("fmt.Println(\"hello\")\n", 300) + "```"), Final: true})
		for _, m := range s.FromBot(forum) {
			if len(m.Entities) != 1 || m.Entities[0].Type != "pre" || m.Entities[0].Language != "go" {
				t.Errorf("%+v", m.Entities)
			}
		}
		// The number of parts may change.
		bottest.Pass(time.Minute)
		now := r.Edit(ids, plain(club, "short"))
		if m := s.FromBot(club); len(m) != 1 || len(now) != 1 || m[0].Text != "short" {
			t.Errorf("%+v", m)
		}
		bottest.Pass(time.Minute)
		now = r.Edit(now, bot.Outgoing{Chat: chat(club), Text: bot.ParseMarkdown(long), Final: true})
		if m := s.FromBot(club); len(m) != 3 || len(now) != 3 {
			t.Errorf("%d parts", len(m))
		}
	})
}

// A picture takes the place of its placeholder, several are an album, one that is too large for a photo goes as a file.
func TestPictures(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		buttons := []bot.Button{{ID: "ABCDEFGHIJKLMNOP", Label: "Again"}, {ID: "BBCDEFGHIJKLMNOP", Label: "Delete", Style: bot.Danger}}
		// One picture takes the place of the placeholder and carries text and buttons.
		ids := r.Send(bot.Outgoing{Chat: chat(club), Text: bot.Plain("…"), Buttons: buttons[:1]})
		bottest.Pass(2 * time.Second)
		spoiler := picture(t, 64, 48)
		spoiler.Spoiler = true
		out := bot.Outgoing{Chat: chat(club), Text: bot.ParseMarkdown("**a cat**"), Pictures: []bot.Picture{spoiler}, Buttons: buttons, Final: true}
		now := r.Edit(ids, out)
		m := s.FromBot(club)
		if len(m) != 1 || len(m[0].Photo) == 0 || !m[0].Spoiler || m[0].Caption != "a cat" || len(marked(m[0], "bold")) != 1 || len(m[0].Buttons()) != 2 || now[0] != ids[0] {
			t.Fatalf("%+v", m)
		}
		// Its text can be changed and the picture taken back.
		bottest.Pass(time.Second)
		n := len(s.Requests())
		r.Edit(now, out)
		if len(s.Requests()) != n {
			t.Error("showing what is shown costs a call")
		}
		gone := r.Edit(now, plain(club, "deleted"))
		bottest.Pass(2 * time.Second)
		if m := s.FromBot(club); len(m) != 1 || m[0].Text != "deleted" || len(m[0].Photo) != 0 || gone[0] == now[0] {
			t.Errorf("a picture that was deleted: %+v", m)
		}
		// Several are an album; it has no buttons, so the text comes behind it.
		bottest.Pass(time.Minute)
		ids = r.Send(bot.Outgoing{Chat: chat(old), Text: bot.Plain("…")})
		bottest.Pass(2 * time.Second)
		now = r.Edit(ids, bot.Outgoing{Chat: chat(old), Text: bot.Plain("four cats"), Buttons: buttons, Final: true,
			Pictures: []bot.Picture{picture(t, 10, 10), picture(t, 20, 10), picture(t, 30, 10), picture(t, 40, 10)}})
		m = s.FromBot(old)
		if len(m) != 5 || len(now) != 5 || m[0].Album == "" || m[3].Album != m[0].Album || m[4].Text != "four cats" || len(m[4].Buttons()) != 2 {
			t.Fatalf("%+v", m)
		}
		// A long text does not fit below a picture; what is too large for a photo goes as a file.
		bottest.Pass(time.Minute)
		long := strings.Repeat("word ", 300)
		r.Send(bot.Outgoing{Chat: chat(forum), Text: bot.Plain(long), Pictures: []bot.Picture{picture(t, 6000, 10)}, Final: true})
		if m := s.FromBot(forum); len(m) != 2 || m[0].Document == nil || m[1].Text != strings.TrimSpace(long) {
			t.Errorf("%+v", m)
		}
	})
}

// After 48 hours Telegram lets nobody delete a message: the picture is then covered.
func TestOldPictureIsCovered(t *testing.T) {
	bubble(t, byWebhook, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		ids := r.Send(bot.Outgoing{Chat: chat(club), Text: bot.Plain("a cat"), Pictures: []bot.Picture{picture(t, 64, 48)}, Final: true})
		bottest.Pass(50 * time.Hour)
		r.Edit(ids, plain(club, "deleted"))
		m := s.FromBot(club)
		if len(m) != 2 || m[1].Text != "deleted" || len(m[0].Photo) != 1 || m[0].Photo[0].Width != 32 || m[0].Caption != "…" {
			t.Errorf("%+v", m)
		}
	})
}

// Topics are answered in their topic.
func TestTopics(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		q := s.Say(fakebotapi.Say{Chat: forum, From: anna, Topic: topic, Text: "/ask why?"})
		e := r.One(bot.MessageNew)
		if e.Chat.ID != community.ChatID(fmt.Sprintf("telegram:%d:%d", forum, topic)) || e.Chat.Community != community.CommunityID(fmt.Sprintf("telegram:%d", forum)) {
			t.Fatalf("%+v", e.Chat)
		}
		r.Send(bot.Outgoing{Chat: e.Chat.ID, ReplyTo: e.Message, Text: bot.Plain("because"), Final: true})
		if m := s.FromBot(forum); len(m) != 1 || m[0].Topic != topic || m[0].ReplyTo == nil || m[0].ReplyTo.ID != q.ID {
			t.Errorf("%+v", m)
		}
	})
}

// Bad input (blocked by the user, an unknown chat, a message that is gone, a file that is too large): each is clear and final.
func TestRefusals(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		try := func(m bot.Outgoing) error {
			_, err := r.platform.Send(t.Context(), m)
			return err
		}
		s.Block(anna, true)
		for what, m := range map[string]bot.Outgoing{"blocked": plain(anna, "x"), "unknown chat": plain(-77, "x")} {
			if err := try(m); !fault.Has(err, fault.Forbidden) {
				t.Errorf("%s: %v", what, err)
			}
		}
		ids := r.Send(plain(club, "hello"))
		s.Remove(club, 1)
		bottest.Pass(2 * time.Second)
		if _, err := r.platform.Edit(t.Context(), ids, plain(club, "changed")); !fault.Has(err, fault.Gone) {
			t.Errorf("%v", err)
		}
		if err := r.platform.Delete(t.Context(), chat(club), ids); err != nil {
			t.Errorf("deleting what is gone: %v", err)
		}
		large := bot.Outgoing{Chat: chat(club), Pictures: []bot.Picture{{Name: "x.png", Data: make([]byte, 51<<20)}}, Final: true}
		if err := try(large); err == nil || !strings.Contains(err.Error(), bot.ErrRejected.Error()) {
			t.Errorf("%v", err)
		}
		// The same shown once more is no error, also when nobody remembers.
		again := r.Send(plain(club, "same"))
		bottest.Pass(2 * time.Second)
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			return &fakebotapi.Answer{Status: 400, Description: "Bad Request: message is not modified: specified new message content …"}
		})
		if _, err := r.platform.Edit(t.Context(), again, plain(club, "other")); err != nil {
			t.Error(err)
		}
		if n := strings.Count(r.log.String(), "may not write here"); n != 2 {
			t.Errorf("the operator was told %d times\n%s", n, r.log)
		}
	})
}

// A message that is out although its answer cannot be read is not sent again: the answer holds a value that go-telegram/bot does not know.
func TestUnreadableAnswerDoublesNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Method != "sendMessage" {
				return nil
			}
			return &fakebotapi.Answer{Status: 200, Done: true, Body: `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":-1001000,"type":"supergroup"},` +
				`"reply_to_message":{"message_id":9,"paid_media":{"star_count":1,"paid_media":[{"type":"live_photo"}]},"forward_origin":{"type":"hologram"}}}}`}
		})
		if ids := r.Send(plain(club, "once")); len(ids) != 1 || ids[0] != "1" || len(s.FromBot(club)) != 1 {
			t.Errorf("%v, %d messages", ids, len(s.FromBot(club)))
		}
	})
}

// A send whose answer got lost is counted; formatting that Telegram refuses is left out rather than the message.
func TestDoubtAndEntities(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Before(func(fakebotapi.Request) *fakebotapi.Answer { return &fakebotapi.Answer{Drop: true, Done: true} })
		if _, err := r.platform.Send(t.Context(), plain(club, "lost")); err == nil || !strings.Contains(r.log.String(), "may appear twice") {
			t.Errorf("%v\n%s", err, r.log)
		}
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if _, has := q.Params["entities"]; has {
				return &fakebotapi.Answer{Status: 400, Description: "Bad Request: can't parse entities: ENTITY_BOUNDS_INVALID"}
			}
			return nil
		})
		r.Send(bot.Outgoing{Chat: chat(old), Text: bot.ParseMarkdown("**bold**"), Final: true})
		if m := s.FromBot(old); len(m) != 1 || m[0].Text != "bold" {
			t.Errorf("%+v", m)
		}
	})
}

// In private a growing answer is a draft, its placeholder keeps the button that stops it, and the final takes the place of both.
func TestDraftsInPrivate(t *testing.T) {
	routed(t, []bot.Command{story(40, 250*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "tell a story"})
		bottest.Pass(8 * time.Second)
		if m := s.FromBot(anna); len(m) != 1 || len(m[0].Buttons()) != 1 || len(s.Drafts(anna)) < 4 {
			t.Fatalf("%+v, drafts %q\n%s", m, s.Drafts(anna), h.log)
		}
		bottest.Pass(10 * time.Second)
		m := s.FromBot(anna)
		if len(m) != 1 || !strings.HasSuffix(m[0].Text, "the end of tell a story") || m[0].Edits != 0 || len(m[0].Buttons()) != 0 {
			t.Errorf("%+v\n%s", m, h.log)
		}
		if len(s.Requests("sendChatAction")) < 2 {
			t.Error("nothing showed that the bot is at it")
		}
	})
}

// Where drafts are refused the answer grows by edits.
func TestWithoutDrafts(t *testing.T) {
	routed(t, []bot.Command{story(40, 250*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.NoDrafts = true
		s.Say(fakebotapi.Say{Chat: anna, From: anna, Text: "tell a story"})
		bottest.Pass(20 * time.Second)
		m := s.FromBot(anna)
		if len(m) != 1 || !strings.HasSuffix(m[0].Text, "the end of tell a story") || m[0].Edits < 5 {
			t.Errorf("%+v\n%s", m, h.log)
		}
	})
}

// A limit of something beside the chats (telling the commands) makes nobody else wait; limits of several chats at once mean the bot.
func TestWhoWaitsForALimit(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Method == "setMyCommands" && len(s.Requests("setMyCommands")) == 1 {
				return &fakebotapi.Answer{Status: 429, Description: "Too Many Requests: retry after 300", RetryAfter: 300}
			}
			return nil
		})
		r := start(t, s, nil)
		bottest.Pass(6 * time.Second)
		begun := time.Now()
		r.Send(plain(club, "hello"))
		if d := time.Since(begun); d > 0 || len(s.Requests("setMyCommands")) != 1 {
			t.Errorf("a message waited %v", d)
		}
		bottest.Pass(6 * time.Minute)
		if n := len(s.Requests("setMyCommands")); n < 4 {
			t.Errorf("the commands were told %d times", n)
		}
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Chat == anna || q.Chat == boris || q.Chat == olga {
				return &fakebotapi.Answer{Status: 429, Description: "Too Many Requests: retry after 20", RetryAfter: 20}
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		for _, one := range []int64{anna, boris, olga} {
			go r.platform.Send(ctx, plain(one, "x"))
		}
		faketime.Wait()
		begun = time.Now()
		r.Send(plain(club, "hello again"))
		if d := time.Since(begun); d != 20*time.Second {
			t.Errorf("a message waited %v", d)
		}
		cancel()
		r.end()
	})
}

// The text of a progress that is dropped is not lost: the final holds it, and it does not wait for the group's minute to be over.
func TestFinalsDoNotWaitForProgress(t *testing.T) {
	routed(t, []bot.Command{story(120, 500*time.Millisecond)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		for range 5 {
			s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "/ask tell a story"})
			s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask tell a story"})
		}
		bottest.Pass(10 * time.Minute)
		m := s.FromBot(club)
		for _, one := range m {
			if !strings.HasSuffix(one.Text, "the end of tell a story") {
				t.Errorf("left: %.60q", one.Text)
			}
		}
		if len(m) != 10 {
			t.Errorf("%d answers", len(m))
		}
	})
}
