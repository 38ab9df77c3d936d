package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/bot/discord/fakediscord"
)

// errBreaks is what an answering returns for a model that breaks down there.
var errBreaks = errors.New("the model breaks down")

// answering writes a model's answer to a question; gone is closed when nobody reads it any more.
type answering func(question string, say func(words string), gone <-chan struct{}) error

// serveAnswers speaks llama-server's part of the OpenAI API, with answers of the test, and returns the config.yaml of a machine that uses it.
func serveAnswers(t testing.TB, answer answering) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"toy-1b.gguf","object":"model","created":1764000000,"owned_by":"llamacpp","meta":{"n_ctx":4096,"n_params":1000000000,"size":700000000}}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Messages []struct{ Role, Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Messages) == 0 {
			http.Error(w, `{"error":{"code":400,"message":"want messages","type":"invalid_request_error"}}`, http.StatusBadRequest)
			return
		}
		begun := false
		chunk := func(delta map[string]string, finish any) {
			if !begun {
				w.Header().Set("Content-Type", "text/event-stream")
			}
			begun = true
			b, _ := json.Marshal(map[string]any{ // strings always encode
				"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000001, "model": "toy-1b.gguf",
				"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
			})
			fmt.Fprintf(w, "data: %s\n\n", b)
			_ = http.NewResponseController(w).Flush() // the client may have left
		}
		err := answer(asked.Messages[len(asked.Messages)-1].Content, func(words string) { chunk(map[string]string{"content": words}, nil) }, r.Context().Done())
		switch {
		case err == nil:
			chunk(map[string]string{}, "stop")
			fmt.Fprint(w, "data: [DONE]\n\n")
		case begun:
			panic(http.ErrAbortHandler) // cuts the connection
		default:
			http.Error(w, `{"error":{"code":500,"message":"out of memory","type":"server_error"}}`, http.StatusInternalServerError)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return "engines: []\nopenai:\n  - base_url: " + s.URL + "/v1\n"
}

// ask uses /ask.
func (s *server) ask(user, question string) (token string) {
	return s.slash(user, "ask", map[string]any{"question": question})
}

// growing waits until an answer shows these words and returns it.
func (s *server) growing(token, words string) fakediscord.Message {
	s.t.Helper()
	s.fake.Wait("an answer that shows "+words, patience, func() bool {
		in := s.fake.Seen(token)
		return in.Original != nil && strings.Contains(in.Original.Content, words)
	})
	return *s.fake.Seen(token).Original
}

// press presses a button by its label and returns the token.
func (s *server) press(user string, m fakediscord.Message, label string) (token string) {
	s.t.Helper()
	for _, b := range m.Buttons() {
		if b.Label == label {
			return s.fake.Use(fakediscord.Use{Channel: m.ChannelID, User: user, Message: m.ID, Button: b.CustomID})
		}
	}
	s.t.Fatalf("no button %q at %q: %+v", label, m.Content, m.Buttons())
	return ""
}

// later waits for the message that answers a press.
func (s *server) later(token string) fakediscord.Message {
	s.t.Helper()
	s.fake.Wait("the answer to a press", patience, func() bool {
		list := s.fake.Seen(token).Later
		return len(list) > 0 && !working(*list[0])
	})
	return *s.fake.Seen(token).Later[0]
}

func labels(m fakediscord.Message) (all []string) {
	for _, b := range m.Buttons() {
		all = append(all, b.Label)
	}
	return all
}

// A model that breaks down before its first word, or in the middle: the answer says so, keeps what was there, and offers to
// try again.
func TestModelThatBreaksDownOnDiscord(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"before the first word": "", "in the middle": "The first half of it."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openServerWith(t, serveAnswers(t, func(_ string, say func(string), _ <-chan struct{}) error {
				if first != "" {
					say(first)
				}
				return errBreaks
			}))
			m := s.final(s.ask(discordOlga, "what is it?"))
			if !strings.HasPrefix(m.Content, first) || !strings.Contains(m.Content, "failed") || strings.Contains(m.Content, "out of memory") {
				t.Errorf("it says %q", m.Content)
			}
			if !slices.Contains(labels(m), "Try again") && !slices.Contains(labels(m), "Regenerate") {
				t.Errorf("it offers %v", labels(m))
			}
			s.end()
		})
	}
}

// Neither a member nor a model can make the bot notify anybody.
func TestNobodyIsPingedOnDiscord(t *testing.T) {
	t.Parallel()
	const all = "@everyone @here <@&1001> <@302> <@!301>"
	s := openServerWith(t, serveAnswers(t, func(_ string, say func(string), _ <-chan struct{}) error {
		say("Hey " + all)
		say(", look! [here](https://example.org)")
		return nil
	}))
	m := s.final(s.ask(discordOlga, all+" look"))
	if !strings.Contains(m.Content, "@everyone") || strings.Contains(m.Content, " <@302>") || !strings.Contains(m.Content, "https://example.org") {
		t.Errorf("it says %q", m.Content)
	}
	s.fake.Say(discordGeneral, discordOlga, "<@100> "+all)
	s.fake.Wait("the answer to the mention", patience, func() bool {
		list := s.fake.FromBot(discordGeneral, discordOlga)
		return len(list) == 2 && !working(list[1])
	})
	for _, m := range s.fake.Messages(discordGeneral, discordOlga) {
		if m.Author.ID == "100" && len(m.Pinged) > 0 {
			t.Errorf("%q notified %v", m.Content, m.Pinged)
		}
	}
	s.end()
}

// Stop, Regenerate and Continue are for who asked and for moderators, and Stop ends the work of the machine, too.
// It works while a question runs and while one waits, touches that one only, and leaves one final message.
func TestStopRegenerateContinueOnDiscord(t *testing.T) {
	t.Parallel()
	begun, left, released := make(chan string, 8), make(chan string, 8), make(chan struct{})
	s := openServerWith(t, serveAnswers(t, func(question string, say func(string), gone <-chan struct{}) error {
		say("Once upon a time.")
		begun <- question
		select {
		case <-gone:
			left <- question
		case <-released:
		}
		say(" The end.")
		return nil
	}), "POTLUCK_LIMITS_RUNNING=1")
	first, second := s.ask(discordOlga, "the first"), ""
	await(t, "the first question at the model", begun)
	running := s.growing(first, "Once upon a time.")
	second = s.ask(discordOlga, "the second")
	waiting := s.growing(second, "1")
	if len(waiting.Buttons()) == 0 {
		t.Fatalf("the second question shows %q", waiting.Content)
	}
	if refused := s.later(s.press("304", running, "Stop")); refused.Only != "304" || strings.Contains(refused.Content, "Stopped") {
		t.Errorf("somebody else's Stop is answered %q for %q", refused.Content, refused.Only)
	}
	s.press(discordOlga, waiting, "Stop")
	if m := s.final(second); !strings.Contains(m.Content, "Stopped") {
		t.Errorf("stopped while it waited: %q", m.Content)
	}
	if in := s.fake.Seen(first); !working(*in.Original) {
		t.Errorf("the first question ended with the second: %q", in.Original.Content)
	}
	s.fake.AddMember(fakediscord.Member{User: fakediscord.User{ID: "305", Username: "mo"}, Roles: []string{"1001"}})
	s.press("305", *s.fake.Seen(first).Original, "Stop")
	await(t, "the end of the request at the model", left)
	m := s.final(first)
	if !strings.HasPrefix(m.Content, "Once upon a time.") || !strings.Contains(m.Content, "Stopped") || !slices.Equal(labels(m), []string{"Regenerate", "Continue"}) {
		t.Errorf("stopped while it ran: %q %v", m.Content, labels(m))
	}
	close(released)
	for _, label := range labels(m) {
		if more := s.later(s.press(discordOlga, m, label)); !strings.HasPrefix(more.Content, "Once upon a time. The end.") || working(more) {
			t.Errorf("%s: %q", label, more.Content)
		}
	}
	if n := len(s.fake.FromBot(discordGeneral, discordOlga)); n != 4 {
		t.Errorf("%d messages", n)
	}
	s.end()
}

// Stop is pressed in the moment in which the answer is complete: one final message, which nothing changes any more.
func TestStopRacesTheEndOnDiscord(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := openServerWith(t, serveAnswers(t, func(_ string, say func(string), gone <-chan struct{}) error {
		say("All but one.")
		select {
		case <-release:
		case <-gone:
		}
		say(" Done.")
		return nil
	}))
	stopped := 0
	for range 12 {
		token := s.ask(discordOlga, "count")
		running := s.growing(token, "All but one.")
		raced := make(chan struct{})
		go func() {
			defer close(raced)
			select {
			case release <- struct{}{}:
			case <-s.bot.ended:
			case <-time.After(patience):
			}
		}()
		s.press(discordOlga, running, "Stop")
		m := s.final(token)
		select { // when Stop won, nobody takes it
		case <-release:
		case <-raced:
		}
		<-raced
		// Stopped behind its last word it says both.
		if !strings.HasPrefix(m.Content, "All but one.") || !strings.Contains(m.Content, "Stopped") && !strings.Contains(m.Content, "Done.") {
			t.Errorf("it says %q", m.Content)
		}
		if strings.Contains(m.Content, "Stopped") {
			stopped++
		}
	}
	t.Logf("%d of 12 were stopped", stopped)
	before := s.fake.FromBot(discordGeneral, discordOlga)
	s.end()
	for i, m := range s.fake.FromBot(discordGeneral, discordOlga) {
		if m.Only == "" && m.Content != before[i].Content {
			t.Errorf("%q became %q", before[i].Content, m.Content)
		}
	}
}

// The menu Translate answers privately, in the language of who used it, also for embeds and other bots' messages.
// A flag translates a message once, however many people set it; a bot's flag does nothing.
func TestTranslatingMessagesOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	news := s.fake.Post(fakediscord.Write{
		Channel: discordGeneral, User: "777", Bot: true, Content: "Good morning, dear friends <@301>", Embeds: `[{"type":"rich","title":"News","description":"Good evening, dear friends"}]`,
	})
	m := s.final(s.fake.Use(fakediscord.Use{Channel: discordGeneral, User: discordGail, Command: "Translate", Target: news.ID}))
	if m.Only != discordGail || !strings.Contains(m.Content, "Englisch → Deutsch") {
		t.Errorf("for %q: %q", m.Only, m.Content)
	}
	before := len(s.fake.FromBot(discordGeneral, "304"))
	s.fake.AddMember(fakediscord.Member{User: fakediscord.User{ID: "778", Username: "beep", Bot: true}})
	s.fake.React(discordGeneral, "778", news.ID, "🇪🇸")
	for _, user := range []string{"304", "305", "306"} {
		s.fake.React(discordGeneral, user, news.ID, "🇪🇸")
	}
	s.fake.React(discordGeneral, "307", news.ID, "🇫🇷")
	translations := func() (found []fakediscord.Message) {
		for _, m := range s.fake.FromBot(discordGeneral, "304")[before:] {
			if !working(m) && strings.Contains(m.Content, "job ") {
				found = append(found, m)
			}
		}
		return found
	}
	s.fake.Wait("both translations", patience, func() bool { return len(translations()) == 2 })
	s.final(s.ask(discordOlga, "anything else?")) // comes behind whatever the flags may have asked for
	for i, who := range []string{"🇪🇸 Asked for by user304", "🇫🇷 Asked for by user307"} {
		m := translations()[i]
		link := "https://discord.com/channels/" + discordServer + "/" + discordGeneral + "/" + news.ID
		if !strings.Contains(m.Content, who) || !strings.Contains(m.Content, link) || m.Reference == nil || m.Reference.MessageID != news.ID || len(m.Pinged) > 0 {
			t.Errorf("%q replies to %+v", m.Content, m.Reference)
		}
	}
	if all := s.fake.FromBot(discordGeneral, "304")[before:]; len(all) != 3 {
		t.Errorf("%d messages", len(all))
	}
	s.end()
}

// The machine dies in the middle of an answer. The same message ends with the whole answer once the machine is back.
func TestMachineDiesWhileDiscordWaits(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	token := s.ask(discordOlga, "why is the sky blue?")
	s.growing(token, "demonstration")
	s.tower.kill()
	<-s.tower.ended
	s.tower.start("")
	m := s.final(token)
	complete(t, message{Text: m.Content})
	if n := len(s.fake.FromBot(discordGeneral, discordOlga)); n != 1 {
		t.Errorf("%d messages", n)
	}
	s.end()
}

// Bad input: a wrong token ends the start with what to do.
func TestWrongTokenOnDiscord(t *testing.T) {
	t.Parallel()
	fake := fakediscord.Listen(t)
	bot := start(t, "potluck", "", []string{
		"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + t.TempDir(), "POTLUCK_DISCORD_TOKEN=MTAw.other.token", "POTLUCK_DISCORD_API_BASE=" + fake.Base(),
	}, "serve")
	bot.said(bot.errs, `potluck: discord: the bot's token is refused: .*Reset Token.*discord\.token_file`)
	if await(t, "the end", bot.ended); bot.code != 1 || strings.Contains(bot.errs.String(), "MTAw.other") {
		t.Errorf("exit code %d", bot.code)
	}
}

// The gateway stumbles at the start, restarts in the middle of an answer, and refuses the token that it took before: answers come all the same,
// and what cannot be mended is told to the operator while the page goes on.
func TestGatewayTroubleOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServerWith(t, demoKitchen)
	if code := s.bot.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.fake.Next(fakediscord.Script{Op: 7}, fakediscord.Script{Op: 9})
	s.restart()
	s.fake.Wait("the connection", patience, func() bool { return s.fake.Connected() == 1 })
	token := s.ask(discordOlga, "why is the sky blue?")
	s.growing(token, "demonstration")
	s.fake.CloseAll(1001, true)
	complete(t, message{Text: s.final(token).Content})
	s.fake.Wait("a new session", patience, func() bool { return s.fake.Connected() == 1 })
	s.fake.Say(discordGeneral, discordOlga, "<@100> and at night?")
	s.fake.Wait("the answer in the new session", patience, func() bool {
		list := s.fake.FromBot(discordGeneral, discordOlga)
		return len(list) == 2 && !working(list[1])
	})
	s.fake.CloseAll(4004, true)
	s.bot.said(s.bot.errs, `Discord refuses the bot for good.*Reset Token`)
	if m := s.guest.ask("/status"); m.Text == "" {
		t.Error("the page does not answer")
	}
	s.end()
}

// typed returns what is suggested for an option of which so much is typed.
func (s *server) typed(command, option, so string) (names []string) {
	s.t.Helper()
	token := s.fake.Use(fakediscord.Use{Channel: discordGeneral, User: discordOlga, Command: command, Typed: option, Options: map[string]any{option: so}})
	s.fake.Wait("suggestions", patience, func() bool { return !s.fake.Seen(token).Acked.IsZero() })
	for _, choice := range s.fake.Seen(token).Choices {
		names = append(names, choice.Name)
	}
	return names
}

// What is typed is completed from memory at once, also right after the start and while the only machine is busy.
func TestAutocompleteOnDiscord(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	busy := s.ask(discordOlga, "keep the machine busy")
	for _, c := range []struct{ command, option, typed, want string }{
		{"translate", "to", "spa", "Spanish"}, {"ask", "model", "", "demo"}, {"ask", "model", "nothing like this", ""},
	} {
		names := s.typed(c.command, c.option, c.typed)
		for begun := time.Now(); len(names) == 0 && c.want != "" && time.Since(begun) < patience; { // the pool has not told of the machine yet
			names = s.typed(c.command, c.option, c.typed)
		}
		if all := strings.Join(names, ", "); len(names) > 25 || c.want == "" && len(names) > 0 || !strings.Contains(all, c.want) {
			t.Errorf("/%s %s:%q suggests %s", c.command, c.option, c.typed, all)
		}
	}
	s.final(busy)
	s.end()
}
