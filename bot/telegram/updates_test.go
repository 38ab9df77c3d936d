package telegram_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/telegram"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/faketime"
)

func texts(events []bot.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Text.Plain)
	}
	return all
}

// go-telegram/bot's own polling would ask for this batch again and again: one value of a union that it does not know. Here the message is
// taken, too, since nobody needs that value; what cannot be read at all is left out alone.
func TestUnknownValuesBlockNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Method == "getUpdates" {
				s.Before(nil)
				s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "before"})
				s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "with a live photo", Raw: map[string]any{
					"paid_media":     map[string]any{"star_count": 1, "paid_media": []any{map[string]any{"type": "live_photo"}}},
					"forward_origin": map[string]any{"type": "hologram", "date": 1},
				}})
				s.Push("message", "no message at all, and secret")
				s.Push("message", map[string]any{"message_id": "x", "chat": 7, "text": "secret"})
				s.Push("brain_wave", map[string]any{"thought": "secret"})
				s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "after"})
			}
			return nil
		})
		bottest.Pass(55 * time.Second)
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "next batch"})
		all := texts(r.Taken(bot.MessageNew))
		if fmt.Sprint(all) != "[before with a live photo after next batch]" {
			t.Errorf("%q\n%s", all, r.log)
		}
		if log := r.log.String(); !strings.Contains(log, "kind=message") || strings.Contains(log, "secret") {
			t.Error(log)
		}
		bottest.Pass(time.Second)
		if n := s.Waiting(); n > 1 {
			t.Errorf("%d updates are not confirmed", n)
		}
	})
}

// What could not be kept is not confirmed, comes again and is taken once; the order in its chat stays.
func TestUpdateThatCannotBeKeptComesAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		fails := 3
		r.SetHandle(func(_ context.Context, e bot.Event) error {
			if e.Text.Plain == "stubborn" && fails > 0 {
				fails--
				return errors.New("the disk is full")
			}
			return nil
		})
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "stubborn"})
		s.Say(fakebotapi.Say{Chat: old, From: anna, Text: "elsewhere"})
		bottest.Pass(30 * time.Second)
		all := texts(r.Taken(bot.MessageNew))
		if n := len(all); n != 5 || fails != 0 || s.Waiting() > 0 {
			t.Errorf("%q, %d fails left, %d waiting", all, fails, s.Waiting())
		}
	})
}

// A handler that hangs holds up its own chat only.
func TestHangingChatStopsNoOther(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		release := make(chan struct{})
		r.SetHandle(func(_ context.Context, e bot.Event) error {
			if e.Chat.ID == chat(club) {
				<-release
			}
			return nil
		})
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hangs"})
		for i := range 5 {
			bottest.Pass(12 * time.Second)
			s.Say(fakebotapi.Say{Chat: old, From: anna, Text: fmt.Sprint("message ", i)})
		}
		bottest.Pass(15 * time.Second)
		if all := r.Taken(bot.MessageNew); len(all) != 6 {
			t.Errorf("%q", texts(all))
		}
		close(release)
		bottest.Pass(15 * time.Second)
		if n := len(s.Requests("getUpdates")); s.Waiting() > 0 || n > 150 {
			t.Errorf("%d updates are not confirmed after %d polls", s.Waiting(), n)
		}
	})
}

// An update that comes twice is taken once.
func TestRepeatedUpdatesAreTakenOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		for i := range 5 {
			s.Say(fakebotapi.Say{Chat: club, From: anna, Text: fmt.Sprint(i)})
		}
		bottest.Pass(time.Second)
		last := s.LastUpdate()
		s.Repeat(last-1, last)
		bottest.Pass(2 * time.Second)
		if all := texts(r.Taken(bot.MessageNew)); fmt.Sprint(all) != "[0 1 2 3 4]" {
			t.Errorf("%q", all)
		}
	})
}

// Another program polls with the same token: the operator is told, not flooded, and it goes on when that ends.
func TestSecondPollerIsNamed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		end := time.Now().Add(150 * time.Second)
		s.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
			if q.Method == "getUpdates" && time.Now().Before(end) {
				return &fakebotapi.Answer{Status: 409, Description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
			}
			return nil
		})
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "wakes the poll"})
		bottest.Pass(200 * time.Second)
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hello"})
		bottest.Pass(time.Minute)
		if n := strings.Count(r.log.String(), "another program asks"); n < 1 || n > 3 {
			t.Errorf("told %d times\n%s", n, r.log)
		}
		if all := texts(r.Taken(bot.MessageNew)); !slices.Contains(all, "hello") {
			t.Errorf("%q", all)
		}
	})
}

func TestForgottenWebhookIsRemoved(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.SetWebhook("https://elsewhere.example")
		bottest.Pass(10 * time.Second)
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hello"})
		if r.One(bot.MessageNew).Text.Plain != "hello" || len(s.Requests("deleteWebhook")) != 1 {
			t.Error(r.log)
		}
	})
}

// Telegram is down when the bot starts, answers with a proxy's page, and is back.
func TestTelegramDownAtStart(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		var up atomic.Bool
		s.Before(func(fakebotapi.Request) *fakebotapi.Answer {
			if !up.Load() {
				return &fakebotapi.Answer{Status: 502, Body: "<html>bad gateway, and bot" + fakebotapi.Token}
			}
			return nil
		})
		r := start(t, s, nil)
		bottest.Pass(3 * time.Minute)
		up.Store(true)
		bottest.Pass(70 * time.Second)
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hello"})
		if r.One(bot.MessageNew).Text.Plain != "hello" {
			t.Error(r.log)
		}
		r.end()
	})
}

// byWebhook has updates brought: where days go by, asking for them would be thousands of calls.
func byWebhook(c *telegram.Config) { c.WebhookURL = "https://potluck.example" + telegram.WebhookPath }

// hooked runs an adapter whose updates come by webhook.
func hooked(t *testing.T, f func(t *testing.T, s *fakebotapi.Server, r *rig, post func(secret string, body []byte) int)) {
	bubble(t, byWebhook, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		f(t, s, r, func(secret string, body []byte) int {
			req := httptest.NewRequestWithContext(t.Context(), "POST", telegram.WebhookPath, bytes.NewReader(body))
			if secret != "" {
				req.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
			}
			w := httptest.NewRecorder()
			r.platform.Handler().ServeHTTP(w, req)
			return w.Code
		})
	})
}

// A webhook without the secret is 401, and nothing of it is taken; what it brings twice is taken once.
func TestWebhook(t *testing.T) {
	hooked(t, func(t *testing.T, s *fakebotapi.Server, r *rig, post func(string, []byte) int) {
		secret := s.Secret()
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hello"})
		body := s.Update(s.LastUpdate())
		for _, wrong := range []string{"", "x", secret + "x", secret[:len(secret)-1]} {
			if code := post(wrong, body); code != http.StatusUnauthorized {
				t.Errorf("secret %q: %d", wrong, code)
			}
		}
		if len(r.Taken(bot.MessageNew)) != 0 {
			t.Error("taken without the secret")
		}
		if code := post(secret, bytes.Repeat([]byte("x"), 2<<20)); code != http.StatusRequestEntityTooLarge {
			t.Errorf("too large: %d", code)
		}
		if code := post(secret, []byte(`{"update_id":`)); code != http.StatusBadRequest {
			t.Errorf("no JSON: %d", code)
		}
		if code := post(secret, []byte(`{"update_id": 1, "message": "nonsense"}`)); code != http.StatusOK {
			t.Errorf("an update that cannot be read would come for ever: %d", code)
		}
		for range 2 {
			if code := post(secret, body); code != http.StatusOK {
				t.Errorf("%d", code)
			}
		}
		if r.One(bot.MessageNew).Text.Plain != "hello" {
			t.Error("not hello")
		}
		if len(s.Requests("getUpdates")) != 0 {
			t.Error("it polls besides")
		}
	})
}

// A full queue is 503, and what Telegram then brings again is taken once.
func TestWebhookWithoutRoom(t *testing.T) {
	hooked(t, func(t *testing.T, s *fakebotapi.Server, r *rig, post func(string, []byte) int) {
		release := make(chan struct{})
		r.SetHandle(func(context.Context, bot.Event) error { <-release; return nil })
		codes := make(chan int, 300)
		var bodies [][]byte
		for i := range 250 {
			s.Say(fakebotapi.Say{Chat: club, From: anna, Text: fmt.Sprint(i)})
			bodies = append(bodies, s.Update(s.LastUpdate()))
			go func() { codes <- post(s.Secret(), bodies[i]) }()
			faketime.Wait()
		}
		if n := len(codes); n < 40 || n > 60 {
			t.Errorf("%d were refused at once", n)
		}
		for range len(codes) {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("%d", code)
			}
		}
		bottest.Pass(30 * time.Second) // Telegram loses patience with the others
		for range len(codes) {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("%d", code)
			}
		}
		close(release)
		faketime.Wait()
		for _, b := range bodies {
			if code := post(s.Secret(), b); code != http.StatusOK {
				t.Errorf("brought again: %d", code)
			}
		}
		all := texts(r.Taken(bot.MessageNew))
		slices.Sort(all)
		if n := len(slices.Compact(slices.Clone(all))); n != 250 || len(all) != 250 {
			t.Errorf("%d events, %d different", len(all), n)
		}
	})
}

// A handler that could not keep the event makes it 503.
func TestWebhookThatCannotKeep(t *testing.T) {
	hooked(t, func(t *testing.T, s *fakebotapi.Server, r *rig, post func(string, []byte) int) {
		broken := true
		r.SetHandle(func(context.Context, bot.Event) error {
			if broken {
				return errors.New("the disk is full")
			}
			return nil
		})
		s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "hello"})
		body := s.Update(s.LastUpdate())
		if code := post(s.Secret(), body); code != http.StatusServiceUnavailable {
			t.Errorf("%d", code)
		}
		broken = false
		if code := post(s.Secret(), body); code != http.StatusOK || len(r.Taken(bot.MessageNew)) != 2 {
			t.Errorf("%d", code)
		}
	})
}

// A restart neither loses nor repeats: what the Router has kept is recognised when Telegram brings it again, what it has not is taken then.
func TestRestartNeitherLosesNorRepeats(t *testing.T) {
	routed(t, []bot.Command{story(3, time.Second)}, func(t *testing.T, s *fakebotapi.Server, h *house) {
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask one"})
		bottest.Pass(500 * time.Millisecond)
		first := s.LastUpdate()
		h.stop()
		s.Say(fakebotapi.Say{Chat: club, From: boris, Text: "/ask two"})
		s.Repeat(first)
		h.start()
		bottest.Pass(time.Minute)
		all := s.FromBot(club)
		if len(all) != 2 || !strings.HasSuffix(all[0].Text, "the end of one") || !strings.HasSuffix(all[1].Text, "the end of two") {
			t.Errorf("%+v", all)
		}
	})
}

// A group that became a supergroup.
func TestMigration(t *testing.T) {
	const now = int64(-1005000)
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.Migrate(old, now)
		all := r.Taken(bot.ChatMigrated)
		if len(all) == 0 || all[0].Chat.ID != chat(old) || all[0].MovedTo != chat(now) {
			t.Fatalf("%+v", all)
		}
		// Who still writes to the old id arrives in the new group.
		ids := r.Send(plain(old, "hello"))
		if m := s.FromBot(now); len(m) != 1 || m[0].Text != "hello" {
			t.Errorf("%+v\n%s", m, r.log)
		}
		bottest.Pass(2 * time.Second)
		r.Edit(ids, plain(old, "hello again"))
		if m := s.FromBot(now); m[0].Text != "hello again" {
			t.Errorf("%+v", m)
		}
	})
}

// An album is one message with everything in it.
func TestAlbumIsOneMessage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		for i := range 4 {
			text := ""
			if i == 1 {
				text = "our cats"
			}
			s.Say(fakebotapi.Say{Chat: club, From: anna, Text: text, Photo: true, Album: "a1"})
			bottest.Pass(100 * time.Millisecond)
		}
		bottest.Pass(time.Second)
		e := r.One(bot.MessageNew)
		if len(e.Carried) != 4 || e.Text.Plain != "our cats" || e.Carried[0].Kind != bot.CarriedFile {
			t.Errorf("%+v", e)
		}
	})
}

// Whatever comes is represented.
func TestEverythingIsRepresented(t *testing.T) {
	for what, raw := range map[string]string{
		"sticker 😺 Cats":       `{"sticker": {"emoji": "😺", "set_name": "Cats"}}`,
		"voice voice.ogg":      `{"voice": {"file_id": "v", "duration": 2}}`,
		"file report.pdf":      `{"document": {"file_id": "d", "file_name": "report.pdf", "mime_type": "application/pdf", "file_size": 5}}`,
		"poll Tea?":            `{"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}}`,
		"place ":               `{"location": {"latitude": 52.5, "longitude": 13.4}}`,
		"place Café":           `{"venue": {"location": {"latitude": 52.5, "longitude": 13.4}, "title": "Café", "address": "Street 1"}}`,
		"forward Carla":        `{"text": "hi", "forward_origin": {"type": "user", "sender_user": {"id": 5, "first_name": "Carla"}}}`,
		"sticker 🎲 4":          `{"dice": {"emoji": "🎲", "value": 4}}`,
		"file Anna.vcf":        `{"contact": {"phone_number": "1", "first_name": "Anna"}}`,
		"voice video-note.mp4": `{"video_note": {"file_id": "n"}}`,
		"file animation.mp4":   `{"animation": {"file_id": "g"}, "document": {"file_id": "g"}}`,
		"forward A channel":    `{"text": "news", "forward_origin": {"type": "channel", "chat": {"id": -9, "title": "A channel"}}}`,
		"file ⭐ 3":             `{"paid_media": {"star_count": 3, "paid_media": [{"type": "novel"}]}}`,
	} {
		bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
			var m map[string]any
			if err := json.Unmarshal([]byte(raw), &m); err != nil {
				t.Fatal(err)
			}
			s.Say(fakebotapi.Say{Chat: club, From: anna, Raw: m})
			e := r.One(bot.MessageNew)
			if len(e.Carried) != 1 || string(e.Carried[0].Kind)+" "+e.Carried[0].Name != what {
				t.Errorf("%s: %+v", what, e.Carried)
			}
		})
	}
}

// Reactions reach the core where Telegram shows them: each emoji that is put on a message, of whom, on what; a group's own emoji and taking one back are nothing.
func TestReactions(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		m := s.Say(fakebotapi.Say{Chat: club, From: anna, Text: "guten Morgen"})
		thumb, heart := map[string]any{"type": "emoji", "emoji": "👍"}, map[string]any{"type": "emoji", "emoji": "❤"}
		put := func(old []any, emoji ...map[string]any) {
			s.Push("message_reaction", map[string]any{
				"chat": map[string]any{"id": club, "type": "supergroup"}, "message_id": m.ID, "user": map[string]any{"id": boris, "first_name": "Борис"},
				"date": 1, "old_reaction": old, "new_reaction": emoji,
			})
		}
		put(nil, map[string]any{"type": "custom_emoji", "custom_emoji_id": "7"})
		put(nil, thumb)
		put([]any{thumb})
		if e := r.One(bot.Reaction); e.Message != community.MessageID(fmt.Sprint(m.ID)) || e.User != user(boris) || e.Text.Plain != "👍" || e.Chat.ID != chat(club) {
			t.Errorf("%+v", e)
		}
		put([]any{thumb}, thumb, heart) // one more beside the first
		if all := texts(r.Taken(bot.Reaction)); fmt.Sprint(all) != "[👍 ❤]" {
			t.Errorf("%q", all)
		}
	})
}

// Thrown out, the bot writes nothing there; added again, it says hello.
func TestComingAndGoing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakebotapi.Server, r *rig) {
		s.SetStatus(club, "kicked", olga)
		if e := r.One(bot.Left); e.Chat.Community != community.CommunityID("telegram:-1001000") {
			t.Errorf("%+v", e)
		}
		_, err := r.platform.Send(t.Context(), plain(club, "hello"))
		if err == nil || !strings.Contains(err.Error(), "kicked") {
			t.Errorf("%v", err)
		}
		s.SetStatus(club, "member", olga)
		r.One(bot.Joined)
		bottest.Pass(2 * time.Second)
		if all := s.FromBot(club); len(all) != 1 || !strings.Contains(all[0].Text, "telegram.welcome") {
			t.Errorf("%+v", all)
		}
	})
}
