package discord_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/faketime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever a handshake gets instead of its answer, the bot is connected some seconds later.
func TestEveryBrokenHandshakeEndsWell(t *testing.T) {
	for name, c := range map[string]struct {
		script []fakediscord.Script
		within time.Duration
	}{
		"op 7 first":                   {[]fakediscord.Script{{Op: 7}}, 20 * time.Second},
		"op 7 first, five times":       {[]fakediscord.Script{{Op: 7}, {Op: 7}, {Op: 7}, {Op: 7}, {Op: 7}}, 90 * time.Second},
		"no HELLO":                     {[]fakediscord.Script{{Mute: true}}, 30 * time.Second},
		"no READY":                     {[]fakediscord.Script{{Silent: true}}, 50 * time.Second},
		"op 9":                         {[]fakediscord.Script{{Op: 9}}, 20 * time.Second},
		"op 9 that claims a resume":    {[]fakediscord.Script{{Op: 9, Resumable: true}}, 20 * time.Second},
		"unknown error":                {[]fakediscord.Script{{Close: 4000}}, 20 * time.Second},
		"rate limited":                 {[]fakediscord.Script{{Close: 4008}}, 20 * time.Second},
		"session timed out":            {[]fakediscord.Script{{Close: 4009}}, 20 * time.Second},
		"no JSON, then silence":        {[]fakediscord.Script{{Raw: "{{{"}}, 60 * time.Second},
		"READY without anything":       {[]fakediscord.Script{{Raw: `{"op":0,"s":1,"t":"READY","d":[]}`}}, 20 * time.Second},
		"a wrong type in the packet":   {[]fakediscord.Script{{Raw: `{"op":"x"}`}}, 60 * time.Second},
		"an operation nobody knows":    {[]fakediscord.Script{{Op: 77}}, 60 * time.Second},
		"everything one after another": {[]fakediscord.Script{{Op: 7}, {Silent: true}, {Op: 9}, {Close: 4000}}, 150 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				s.Next(c.script...)
				r := start(t, s, nil)
				bottest.Pass(c.within)
				s.Say(general, anna, "<@100> hello")
				if got := r.Taken(bot.MessageNew); len(got) != 1 {
					t.Errorf("%d events arrived\n%s", len(got), r.log)
				}
				r.end()
			})
		})
	}
}

// What happens while a connection is cut comes after the resume, in order and once.
func TestResumeLosesNothing(t *testing.T) {
	for name, disturb := range map[string]func(s *fakediscord.Server){
		"cut":               func(s *fakediscord.Server) { s.CloseAll(0, false) },
		"op 7":              func(s *fakediscord.Server) { s.Op(7, nil) },
		"op 9 with a value": func(s *fakediscord.Server) { s.Op(9, true) },
		"close 1001":        func(s *fakediscord.Server) { s.CloseAll(1001, false) },
		"close 4000":        func(s *fakediscord.Server) { s.CloseAll(4000, false) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
				s.Say(general, anna, "one")
				disturb(s)
				s.Say(general, anna, "two")
				s.Say(general, anna, "three")
				bottest.Pass(10 * time.Second)
				s.Say(general, anna, "four")
				var got []string
				for _, e := range r.Taken(bot.MessageNew) {
					got = append(got, e.Text.Plain)
				}
				if strings.Join(got, " ") != "one two three four" {
					t.Errorf("took %v\n%s", got, r.log)
				}
				if identifies, resumes := s.Handshakes(); identifies != 1 || resumes != 1 {
					t.Errorf("%d identifies, %d resumes", identifies, resumes)
				}
			})
		})
	}
}

// A session that cannot be resumed is begun anew: after a restart of the gateway, after op 9, after a heartbeat without an answer.
func TestNewSessions(t *testing.T) {
	for name, disturb := range map[string]func(s *fakediscord.Server){
		"restart of the gateway": func(s *fakediscord.Server) { s.CloseAll(1001, true) },
		"op 9":                   func(s *fakediscord.Server) { s.Op(9, false) },
		"close 4009":             func(s *fakediscord.Server) { s.CloseAll(4009, true) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
				disturb(s)
				bottest.Pass(30 * time.Second)
				s.Say(general, anna, "after")
				if got := r.Taken(bot.MessageNew); len(got) != 1 || got[0].Text.Plain != "after" {
					t.Errorf("took %v\n%s", got, r.log)
				}
				if identifies, _ := s.Handshakes(); identifies != 2 {
					t.Errorf("%d identifies", identifies)
				}
				if joined := r.Taken(bot.Joined); len(joined) != 0 {
					t.Errorf("a reconnect counts as joining: %v", joined)
				}
			})
		})
	}
}

func TestDeafGatewayIsLeft(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Deaf(true)
		bottest.Pass(3 * time.Minute)
		s.Deaf(false)
		bottest.Pass(2 * time.Minute)
		if _, resumes := s.Handshakes(); resumes == 0 {
			t.Errorf("no resume\n%s", r.log)
		}
		s.Say(general, anna, "there?")
		if got := r.Taken(bot.MessageNew); len(got) != 1 {
			t.Errorf("took %v", got)
		}
	})
}

// Bad input: a wrong token.
func TestWrongTokenIsNamed(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		r := start(t, s, func(c *discord.Config) { c.Token = "wrong" })
		err := <-r.Done
		if !errors.Is(err, discord.ErrToken) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("Run ended with %v", err)
		}
		s.Close()
	})
}

// The gateway alone may refuse: at the start that is an error that says what to do.
func TestRefusalsForGoodAreNamed(t *testing.T) {
	for code, part := range map[int]string{4004: "Reset Token", 4013: "update Potluck", 4012: "update Potluck"} {
		faketime.Test(t, func(t *testing.T) {
			s := world(t)
			s.Next(fakediscord.Script{Close: code})
			r := start(t, s, nil)
			if err := <-r.Done; err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("close code %d: Run ended with %v", code, err)
			}
			s.Close()
		})
	}
}

// Bad input: a missing intent, 4014. Without the intent the bot goes on with everything that works without it.
func TestMissingIntentIsGoneWithout(t *testing.T) {
	for name, flags := range map[string]bool{"told by the application": true, "told by the gateway": false} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				if flags {
					s.Intents = ^fakediscord.IntentContent
				} else {
					s.Next(fakediscord.Script{Close: 4014})
				}
				r := start(t, s, nil)
				bottest.Pass(30 * time.Second)
				s.Say(general, anna, "not for the bot")
				s.Say(general, anna, "<@100> for the bot")
				got := r.Taken(bot.MessageNew)
				if len(got) != 1 || got[0].Command == nil || got[0].Command.Rest.Plain != "for the bot" {
					t.Errorf("took %+v\n%s", got, r.log)
				}
				if !strings.Contains(r.log.String(), "Message Content Intent") {
					t.Errorf("the log does not say what to do:\n%s", r.log)
				}
				r.end()
			})
		})
	}
}

// Once connected, not even a refusal for good ends Run: Discord may take it back.
func TestLaterRefusalStopsNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.CloseAll(4004, true)
		bottest.Pass(11 * time.Minute)
		s.Say(general, anna, "back?")
		if got := r.Taken(bot.MessageNew); len(got) != 1 {
			t.Errorf("took %v\n%s", got, r.log)
		}
		if !strings.Contains(r.log.String(), "Reset Token") {
			t.Errorf("the log does not say what to do:\n%s", r.log)
		}
	})
}

func TestMoreShardsWhenDiscordWantsThem(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := world(t)
		s.Next(fakediscord.Script{Close: 4011})
		s.Shards, s.Concurrency = 4, 2 // the fake fails the test when two shards of a key identify within five seconds
		r := start(t, s, nil)
		bottest.Pass(40 * time.Second)
		if n := s.Connected(); n != 4 {
			t.Errorf("%d connections\n%s", n, r.log)
		}
		s.Say(general, anna, "hello")
		if got := r.Taken(bot.MessageNew); len(got) != 1 {
			t.Errorf("took %v", got)
		}
		r.end()
	})
}

// Bad input: malformed JSON of the gateway. Events that cannot be read, or that came twice, disturb no other.
func TestBadEventsAreDroppedAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Raw("")
		s.Raw("[]")
		s.Raw(`{"op":0,"s":"x","t":"MESSAGE_CREATE","d":{}}`)
		s.Raw(strings.Repeat("[", 20_000))
		for _, kind := range []string{
			"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "INTERACTION_CREATE", "GUILD_CREATE", "GUILD_DELETE",
			"CHANNEL_CREATE", "THREAD_CREATE", "GUILD_ROLE_UPDATE", "MESSAGE_REACTION_ADD", "NEVER_HEARD_OF",
		} {
			for _, data := range []any{nil, 1, "x", []any{}, map[string]any{}, map[string]any{"id": 5, "author": 7, "data": "x", "channel_id": []any{1}}} {
				s.Dispatch("", kind, data, 1)
			}
		}
		s.Dispatch(home, "MESSAGE_CREATE", map[string]any{
			"id": "1376000000000000001", "channel_id": general, "guild_id": home, "author": map[string]any{"id": anna, "username": "anna"}, "content": "fine",
			"components": []any{map[string]any{"type": 99, "wild": []any{}}}, "mentions": []any{},
		}, 2)
		got := r.Taken(bot.MessageNew)
		if len(got) != 1 || got[0].Text.Plain != "fine" {
			t.Errorf("took %+v\n%s", got, r.log)
		}
		if identifies, resumes := s.Handshakes(); identifies != 1 || resumes != 0 {
			t.Errorf("%d identifies, %d resumes", identifies, resumes)
		}
	})
}

func TestHandlerThatPanicsHarmsNobody(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *fakediscord.Server, r *rig) {
		s.Say(general, anna, "first")
		r.Taken(bot.MessageNew)
		r.platformPanics()
		s.Say(general, anna, "boom")
		bottest.Pass(time.Second)
		r.SetHandle(nil)
		s.Say(general, anna, "last")
		if got := r.Taken(bot.MessageNew); len(got) != 3 {
			t.Errorf("took %d events\n%s", len(got), r.log)
		}
		if strings.Contains(r.log.String(), "boom") {
			t.Error("the log holds what somebody wrote")
		}
	})
}
