package discord_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord/fakediscord"
	"potluck/faketime"
	"potluck/storage"
)

// While Discord's webhooks fail, the bot takes back its own "thinking". The answer then found no message, which counted as deleted by somebody: nobody
// ever heard of it.
func TestAnswerComesThoughItsThinkingWasTakenBack(t *testing.T) {
	// The work takes worked; since the question, edits fail until edits and deletions until deletions.
	for name, c := range map[string]struct {
		worked, edits, deletions time.Duration
		restart                  bool // when the acknowledgement was taken back, before the work ends
	}{
		"at once":                        {10 * time.Second, 14*time.Minute + 20*time.Second, 0, false},
		"at the second try":              {10 * time.Second, 14*time.Minute + 20*time.Second, 14*time.Minute + 15*time.Second, false},
		"while the answer is on its way": {45 * time.Second, 14*time.Minute + 7*time.Second, 14*time.Minute + 10*time.Second, false},
		"by an earlier process":          {14*time.Minute + 6*time.Second, 14*time.Minute + 6*time.Second, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s, path := world(t), filepath.Join(t.TempDir(), "potluck.db")
				h := openHouse(t, s, path)
				begun := time.Now()
				s.Before(func(r fakediscord.Request) *fakediscord.Answer {
					until := map[string]time.Duration{"PATCH": c.edits, "DELETE": c.deletions}[r.Method]
					if !strings.HasSuffix(r.Path, "/messages/@original") || time.Since(begun) >= until {
						return nil
					}
					return &fakediscord.Answer{Status: 503, Body: `{"message":"503: Service Unavailable","code":0}`}
				})
				s.Use(fakediscord.Use{Channel: general, User: anna, Command: "ask", Options: map[string]any{"question": "hi"}})
				bottest.Pass(c.worked)
				if c.restart {
					h.stop()
					h = openHouse(t, s, path)
				}
				select {
				case h.tale <- "the end":
				case <-time.After(time.Minute): // nobody works on it any more
				}
				bottest.Pass(20 * time.Minute)
				left, err := (&storage.Requests{DB: h.db}).Unfinished(t.Context())
				if got := fmt.Sprint(h.shows(general)); got != "[the end]" || len(left) != 0 || err != nil {
					t.Errorf("shows %q; unfinished %v, %v\n%s", got, left, err, h.log)
				}
				h.stop()
				s.Close()
			})
		})
	}
}

// What only the asker sees, Discord forgets by itself: the answer comes in private.
func TestAnswerToTheAskerAloneWhoseThinkingIsGone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		token := s.Use(fakediscord.Use{Channel: general, User: anna, Command: "help"})
		bottest.Pass(time.Second)
		s.RemoveUntold(general, s.Seen(token).Original.ID)
		m := outgoing(r.Taken(bot.MessageNew)[0], "the secret")
		m.Only = "discord:" + anna
		r.Send(m)
		if got := s.FromBot("5"+anna, anna); len(got) != 1 || got[0].Content != "the secret" || len(s.FromBot(general, anna)) != 0 {
			t.Errorf("shows %+v, in the channel %+v", got, s.FromBot(general, anna))
		}
	})
}
