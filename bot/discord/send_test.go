package discord_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord/fakediscord"
	"potluck/community"
	"potluck/faketime"
	"potluck/fault"

	"golang.org/x/sync/errgroup"
)

// picture is noise, which no format makes small: size × size pixels.
func picture(t testing.TB, size int) bot.Picture {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range size {
		for x := range size {
			img.Set(x, y, color.RGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return bot.Picture{Name: "abc123.png", Data: b.Bytes(), Alt: "noise", Width: size, Height: size}
}

// post sends text into a chat of the world.
func (r *rig) post(chat, text, nonce string) ([]community.MessageID, error) {
	return r.platform.Send(r.t.Context(), bot.Outgoing{Chat: community.ChatID("discord:" + chat), Text: bot.Plain(text), Nonce: nonce})
}

// A long answer comes in parts, cut at lines, each code block whole in itself.
func TestLongAnswerIsSplit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		var code strings.Builder
		for i := range 300 {
			fmt.Fprintf(&code, "line_%d := \"*not* _bold_\"\n", i)
		}
		text := bot.ParseMarkdown("Look:\n\n```go\n" + code.String() + "```\n\nThat is **all**.")
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "code"}})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		ids := r.Send(outgoing(e, "working"))
		m := outgoing(e, "")
		m.Text, m.Final = text, true
		m.Buttons = []bot.Button{{ID: "AGAIN", Label: "Again"}}
		now := r.Edit(ids, m)
		got := s.FromBot(general, anna)
		if len(got) != len(now) || len(got) < 4 {
			t.Fatalf("%d messages, %d ids", len(got), len(now))
		}
		lines := 0
		for i, one := range got {
			if n := strings.Count(one.Content, "```"); n%2 != 0 {
				t.Errorf("part %d has %d fences", i, n)
			}
			if strings.Contains(one.Content, "line_") && !strings.Contains(one.Content, "```go\n") {
				t.Errorf("part %d lost its language", i)
			}
			if (len(one.Buttons()) > 0) != (i == len(got)-1) {
				t.Errorf("part %d has %d buttons", i, len(one.Buttons()))
			}
			lines += strings.Count(one.Content, ":=")
		}
		if lines != 300 {
			t.Errorf("%d of 300 lines", lines)
		}
		// It shrinks again: what is too much goes.
		m.Text = bot.Plain("short")
		if short := r.Edit(now, m); len(short) != 1 || len(s.FromBot(general, anna)) != 1 {
			t.Errorf("%d messages", len(s.FromBot(general, anna)))
		}
	})
}

// Whatever stands in a text, nobody is notified.
func TestNobodyIsPinged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		var b bot.Builder
		text := b.Add("@everyone @here <@301> <@&1001> ").Mark(bot.Mention, "discord:"+anna, "@Anna").Add(" [x](https://evil.example)").Text()
		ids := r.Send(bot.Outgoing{Chat: "discord:" + general, Text: text, Nonce: "n"})
		r.Edit(ids, bot.Outgoing{Chat: "discord:" + general, Text: bot.Join(bot.Plain(" "), text, bot.Plain("!")), Final: true})
		got := s.FromBot(general, anna)
		if len(got) != 1 || len(got[0].Pinged) != 0 || !strings.Contains(got[0].Content, "<@301>") || !strings.Contains(got[0].Content, `\<@301>`) || !strings.Contains(got[0].Content, `\[x](<https://evil.example>)`) {
			t.Errorf("%+v", got)
		}
	})
}

// A send whose answer got lost is found again: by its nonce, a follow-up by the interaction that it answers.
func TestLostAnswersMakeNoSecondMessage(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		lost := 2
		s.Before(func(q fakediscord.Request) *fakediscord.Answer {
			if q.Method == "POST" && strings.HasSuffix(q.Path, "/messages") && lost > 0 {
				lost--
				return &fakediscord.Answer{Done: true, Drop: true}
			}
			return nil
		})
		if _, err := r.post(general, "hello", "once"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.post(general, "hello", "once"); err != nil {
			t.Fatal(err)
		}
		if got := s.FromBot(general, anna); len(got) != 1 {
			t.Errorf("%d messages", len(got))
		}
	})
}

// A kill between a send and the moment when its id is kept: the next process finds the message, even when Discord has forgotten the nonce.
func TestNextProcessFindsWhatWasSent(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		first := start(t, s, nil)
		bottest.Pass(6 * time.Second)
		s.Say(general, anna, "<@100> hi")
		mention := first.One(bot.MessageNew)
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		slash := first.Taken(bot.MessageNew)[1]
		bottest.Pass(time.Second)
		working := outgoing(mention, "One moment…")
		working.Buttons = []bot.Button{{ID: "STOP1", Label: "Stop"}}
		long := outgoing(slash, strings.Repeat("word ", 700))
		a, b := first.Send(working), first.Send(long)
		first.Stop()
		<-first.Done

		bottest.Pass(8 * time.Minute)
		second := start(t, s, nil)
		bottest.Pass(10 * time.Second)
		working.Buttons[0].ID = "STOP2" // a new process makes new buttons
		if again := second.Send(working); fmt.Sprint(again) != fmt.Sprint(a) {
			t.Errorf("the first time %v, again %v", a, again)
		}
		if again := second.Send(long); fmt.Sprint(again) != fmt.Sprint(b) {
			t.Errorf("the first time %v, again %v", b, again)
		}
		buttons := ""
		got := s.FromBot(general, anna)
		for _, m := range got {
			for _, b := range m.Buttons() {
				buttons += b.CustomID
			}
		}
		if len(got) != 3 || !strings.HasPrefix(buttons, "STOP2") {
			t.Errorf("%d messages with buttons %q", len(got), buttons)
		}
		second.end()
	})
}

// Every kind of 429, and failures of Discord's: the call is made again, and nothing is lost or doubled.
func TestLimitsAndFailuresAreWaitedFor(t *testing.T) {
	html := `<html><body>error code: 1015</body></html>`
	for name, answer := range map[string]fakediscord.Answer{
		"429 of the user":  {Status: 429, Header: http.Header{"X-Ratelimit-Scope": {"user"}, "Retry-After": {"2"}}, Body: `{"message":"slow","retry_after":2,"global":false}`},
		"429 shared":       {Status: 429, Header: http.Header{"X-Ratelimit-Scope": {"shared"}, "Retry-After": {"30"}}, Body: `{"message":"slow","retry_after":30.5,"global":false}`},
		"429 for all":      {Status: 429, Header: http.Header{"X-Ratelimit-Global": {"true"}, "Retry-After": {"3"}}, Body: `{"message":"slow","retry_after":3,"global":true}`},
		"429 of HTML":      {Status: 429, Header: http.Header{"Retry-After": {"20"}}, Body: html},
		"429 without time": {Status: 429, Body: html},
		"500":              {Status: 500, Body: `{"message":"500: Internal Server Error","code":0}`},
		"502 of HTML":      {Status: 502, Body: html},
		"503":              {Status: 503, Body: ""},
		"504, but done":    {Status: 504, Body: html, Done: true},
		"no answer":        {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
				left := 3
				s.Before(func(q fakediscord.Request) *fakediscord.Answer {
					if strings.Contains(q.Path, "/messages") && left > 0 {
						left--
						return &answer
					}
					return nil
				})
				ids, err := r.post(general, "hello", "n")
				if err != nil {
					t.Fatalf("%v\n%s", err, r.log)
				}
				left = 2
				if _, err := r.platform.Edit(t.Context(), ids, bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("changed"), Final: true}); err != nil {
					t.Fatalf("%v\n%s", err, r.log)
				}
				if got := s.FromBot(general, anna); len(got) != 1 || got[0].Content != "changed" {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// After a rest all channels are written to at once: no second holds more calls than Discord takes of a bot.
func TestManyChannelsAtOnceShareTheLimitForAll(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		const channels = 120
		for i := range channels {
			s.AddChannel(home, fakediscord.Channel{ID: fmt.Sprint(7000 + i), Name: fmt.Sprint("room-", i)})
		}
		bottest.Pass(time.Minute)
		begun := time.Now()
		var all errgroup.Group
		for i := range channels {
			all.Go(func() error {
				_, err := r.post(fmt.Sprint(7000+i), "hello", fmt.Sprint("n", i))
				return err
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); s.Limited() > 0 || d > 4*time.Second {
			t.Errorf("%d calls were refused, all took %v", s.Limited(), d)
		}
	})
}

// A call that nobody waits for any more ends, also while it waits for a limit.
func TestWaitingEndsWithItsContext(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Before(func(q fakediscord.Request) *fakediscord.Answer {
			return &fakediscord.Answer{Status: 429, Header: http.Header{"Retry-After": {"3000"}}, Body: `{"retry_after":3000}`}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := r.platform.Send(ctx, bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("x"), Nonce: "n"}); err == nil || time.Since(begun) > 6*time.Second {
			t.Errorf("ended after %v with %v", time.Since(begun), err)
		}
	})
}

// The bot stops before Cloudflare bans its address, and goes on when the ten minutes are over.
func TestInvalidCallsAreStopped(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		refused := 0
		s.Before(func(q fakediscord.Request) *fakediscord.Answer {
			if q.Method != "PATCH" {
				return nil
			}
			refused++
			return &fakediscord.Answer{Status: 403, Body: `{"code":50013,"message":"Missing Permissions"}`}
		})
		ids, err := r.post(general, "hello", "n")
		if err != nil {
			t.Fatal(err)
		}
		m := bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("x"), Final: true}
		for range 11_000 {
			if _, err = r.platform.Edit(t.Context(), ids, m); !fault.Has(err, fault.Forbidden) {
				break
			}
		}
		if err == nil || refused > 9500 || refused < 8000 {
			t.Errorf("%d refused calls, then %v", refused, err)
		}
		s.Before(nil)
		bottest.Pass(11 * time.Minute)
		if _, err := r.platform.Edit(t.Context(), ids, m); err != nil {
			t.Error(err)
		}
	})
}

// An answer that shrinks and grows again (another attempt writes it anew) has its parts in order, whatever broke off in between; that the bot took parts away
// itself is no sign that somebody does not want the answer.
func TestAnswerThatShrinksAndGrows(t *testing.T) {
	long := bot.Outgoing{Chat: "discord:" + general, Nonce: "n", Text: bot.Plain(strings.Repeat("one ", 480) + "\n" + strings.Repeat("two ", 480) + "\n" + strings.Repeat("three ", 300))}
	short := bot.Outgoing{Chat: "discord:" + general, Text: bot.Plain("short")}
	for name, broken := range map[string]bool{"in one go": false, "broken off": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
				ids := r.Send(long)
				if len(ids) != 3 {
					t.Fatalf("%d parts", len(ids))
				}
				for range 3 {
					if broken {
						deletes := 0
						s.Before(func(q fakediscord.Request) *fakediscord.Answer {
							if q.Method == "DELETE" {
								if deletes++; deletes > 1 {
									return &fakediscord.Answer{Status: 400, Body: `{"code":0,"message":"broken"}`}
								}
							}
							return nil
						})
						if _, err := r.platform.Edit(t.Context(), ids, short); err == nil {
							t.Fatal("nothing broke off")
						}
						s.Before(nil)
					} else if ids = r.Edit(ids, short); len(ids) != 1 {
						t.Fatalf("%d parts are left", len(ids))
					}
					if ids = r.Edit(ids, long); len(ids) != 3 {
						t.Fatalf("%d parts", len(ids))
					}
				}
				var begin []string
				for _, m := range s.FromBot(general, anna) {
					begin = append(begin, m.Content[:3])
				}
				if got := fmt.Sprint(begin); got != "[one two thr]" {
					t.Errorf("shows %s", got)
				}
				// A part that somebody else takes away is another matter.
				s.Remove(general, string(ids[1]))
				if _, err := r.platform.Edit(t.Context(), ids, bot.Outgoing{Chat: long.Chat, Text: bot.Plain(strings.Repeat("four ", 500))}); !errors.Is(err, bot.ErrDeleted) {
					t.Errorf("a part was deleted: %v", err)
				}
			})
		})
	}
}

// Bad input: a message, a right, a channel that is gone. Errors mean to the Router what they are.
// A right that is missing is told once per channel and day.
func TestErrorsHaveTheirMeaning(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		chat := community.ChatID("discord:" + general)
		ids, err := r.post(general, "hello", "n")
		if err != nil {
			t.Fatal(err)
		}
		s.Remove(general, string(ids[0]))
		if _, err := r.platform.Edit(t.Context(), ids, bot.Outgoing{Chat: chat, Text: bot.Plain("x")}); !fault.Has(err, fault.Gone) || !errors.Is(err, bot.ErrDeleted) {
			t.Errorf("edit of what is gone: %v", err)
		}
		if err := r.platform.Delete(t.Context(), chat, ids); err != nil {
			t.Errorf("delete what is gone: %v", err)
		}
		if _, err := r.platform.Send(t.Context(), bot.Outgoing{Chat: chat, Nonce: "empty"}); !errors.Is(err, bot.ErrRejected) {
			t.Errorf("an empty message: %v", err)
		}
		if _, err := r.platform.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("x")}); err == nil {
			t.Error("another platform's chat was taken")
		}
		s.SetRole(home, fakediscord.Role{ID: home, Permissions: fakediscord.ViewChannel})
		for range 3 {
			if _, err := r.post(general, "x", "y"); !fault.Has(err, fault.Forbidden) {
				t.Errorf("without the permission: %v", err)
			}
		}
		if n := strings.Count(r.log.String(), "lacks a permission"); n != 1 {
			t.Errorf("that was told %d times", n)
		}
		s.RemoveChannel(adult)
		if _, err := r.post(adult, "x", "z"); !fault.Has(err, fault.Forbidden) {
			t.Errorf("a channel that is gone: %v", err)
		}
	})
}

// The edits of many people's answers do not wait for each other.
func TestFortyStreamsRunSideBySide(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		for range 40 {
			s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		}
		bottest.Pass(time.Second)
		events := r.Taken(bot.MessageNew)
		s.Before(func(q fakediscord.Request) *fakediscord.Answer { // each call takes 100 ms
			<-time.After(100 * time.Millisecond)
			return nil
		})
		begun := time.Now()
		var g sync.WaitGroup
		for _, e := range events {
			g.Go(func() {
				m := outgoing(e, "first")
				ids, err := r.platform.Send(t.Context(), m)
				if err != nil {
					t.Error(err)
					return
				}
				m.Nonce = ""
				for i := range 10 {
					<-time.After(1200 * time.Millisecond)
					m.Text = bot.Plain(fmt.Sprintf("text %d", i))
					m.Final = i == 9
					if _, err := r.platform.Edit(t.Context(), ids, m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		g.Wait()
		took := time.Since(begun)
		t.Logf("40 answers of 11 writes each took %v; %d limits were hit", took, s.Limited())
		if took > 15*time.Second || s.Limited() != 0 {
			t.Errorf("40 answers took %v, %d limits were hit", took, s.Limited())
		}
		for _, m := range s.FromBot(general, anna) {
			if m.Content != "text 9" {
				t.Errorf("shows %q", m.Content)
			}
		}
	})
}

// In one channel, growing ordinary messages share what Discord allows there; a final never waits behind progress.
func TestStreamsInOneChannelShareItsLimit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		var parts [][]community.MessageID
		for i := range 6 {
			ids, err := r.post(general, "first", fmt.Sprint("n", i))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, ids)
		}
		bottest.Pass(10 * time.Second)
		from := len(s.Requests())
		var g sync.WaitGroup
		for _, ids := range parts {
			g.Go(func() {
				m := bot.Outgoing{Chat: "discord:" + general}
				for i := range 5 {
					m.Text = bot.Plain(fmt.Sprintf("text %d", i))
					if _, err := r.platform.Edit(t.Context(), ids, m); err != nil {
						t.Error(err)
					}
				}
				m.Text, m.Final = bot.Plain("final"), true
				if _, err := r.platform.Edit(t.Context(), ids, m); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		var at []time.Time
		for _, q := range s.Requests()[from:] {
			if q.Method == "PATCH" && q.Body["content"] != "final" {
				at = append(at, q.At)
			}
		}
		for i := 4; i < len(at); i++ {
			if d := at[i].Sub(at[i-4]); d < 5*time.Second {
				t.Errorf("five edits within %v", d)
			}
		}
		for _, m := range s.FromBot(general, anna) {
			if m.Content != "final" {
				t.Errorf("shows %q", m.Content)
			}
		}
		if s.Limited() > 0 {
			t.Errorf("%d limits were hit", s.Limited())
		}
	})
}

// A picture that is too large is made smaller; its siblings come as they are, the AI mark stays.
func TestPicturesFitTheLimit(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.UploadLimit = 100_000
		s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "draw"}})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		large, small := picture(t, 512), picture(t, 32)
		large.Data = marked(large.Data)
		small.Spoiler = true
		m := outgoing(e, "two pictures")
		m.Pictures = []bot.Picture{large, small}
		r.Send(m)
		got := s.FromBot(general, anna)[0].Attachments
		if len(got) != 2 || got[0].Size > s.UploadLimit || got[1].Size != len(small.Data) || got[0].Description != "noise" {
			t.Fatalf("attached %+v", got)
		}
		if !bytes.Contains(got[0].Data, []byte("trainedAlgorithmicMedia")) || got[0].Filename != "abc123.jpg" || got[1].Filename != "SPOILER_abc123.png" {
			t.Errorf("attached %s, %s; the mark is there: %t", got[0].Filename, got[1].Filename, bytes.Contains(got[0].Data, []byte("trainedAlgorithmicMedia")))
		}
		if _, _, err := image.Decode(bytes.NewReader(got[0].Data)); err != nil {
			t.Error(err)
		}
		m.Pictures = nil
		ids := []community.MessageID{community.MessageID(s.FromBot(general, anna)[0].ID)}
		r.Edit(ids, m)
		if got := s.FromBot(general, anna)[0].Attachments; len(got) != 0 {
			t.Errorf("the pictures stay: %+v", got)
		}
	})
}

// marked puts an XMP packet into a PNG, behind its header.
func marked(data []byte) []byte {
	body := append([]byte("iTXtXML:com.adobe.xmp\x00\x00\x00\x00\x00"), "<x:xmpmeta>trainedAlgorithmicMedia</x:xmpmeta>"...)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE(body))
	const header = 8 + 25
	return append(append(append([]byte{}, data[:header]...), chunk...), data[header:]...)
}

// Secrets stand in the addresses of many calls: no error and no log line may hold one.
func TestNoTokenIsLogged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
		e := r.One(bot.MessageNew)
		bottest.Pass(time.Second)
		s.Before(func(fakediscord.Request) *fakediscord.Answer { return &fakediscord.Answer{Drop: true} })
		_, err := r.platform.Send(t.Context(), outgoing(e, "hello"))
		if err == nil || strings.Contains(err.Error(), token) || strings.Contains(r.log.String(), token) || strings.Contains(r.log.String(), fakediscord.Token) {
			t.Errorf("%v\n%s", err, r.log)
		}
	})
}
