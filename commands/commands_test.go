package commands_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

func answers(markdown string, job int64) func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
	return func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{Markdown: markdown, Result: result(job)}, nil
	}
}

func TestAskAnswersWithFootnoteAndNoticeOnce(t *testing.T) {
	s := open(t)
	s.answer = answers("The sky **scatters** blue light.", 12)
	first := s.say("/ask why is the sky blue? model:llama3.1:8b")
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		r := result(13)
		r.WorkerName = ""
		return ask.Answer{Markdown: "Soup", Cut: true, Forgot: 2, Result: r}, nil
	}
	second := s.say("／ask　and now soup") // as a Japanese keyboard types it
	golden(t, "ask", shown(first)+"---\n"+shown(second))

	q := s.questions[0]
	if q.Text != "why is the sky blue?" || q.Model != "llama3.1:8b" || q.Parent != "" || q.Origin.Class != workers.Public || q.Origin.Key != q.Request ||
		q.Origin.Member != s.member("rita").ID || q.Origin.Quality != protocol.Rough || q.Origin.Payer.Daily != 60*ledger.Credit {
		t.Errorf("asked %+v", q)
	}
	if got := s.questions[1].Text; got != "and now soup" {
		t.Errorf("full-width: asked %q", got)
	}
}

func TestAskInPrivateChatGoesToTrustedWorkersOnly(t *testing.T) {
	s := open(t)
	s.answer = answers("Sure", 12)
	chat := s.platform.Chat("rita")
	chat.Private = true
	s.emit(bot.Event{Chat: chat, Text: bot.Plain("/ask a secret")})
	m := s.final()
	if s.questions[0].Origin.Class != workers.Private {
		t.Errorf("class %s", s.questions[0].Origin.Class)
	}
	if strings.Contains(m.Text.Plain, "New here?") {
		t.Errorf("the notice about other members' machines in a private chat: %s", m.Text.Plain)
	}
}

func TestReplyContinuesConversation(t *testing.T) {
	s := open(t)
	s.answer = answers("Because of scattering.", 12)
	first := s.say("/ask why is the sky blue?")
	s.emit(bot.Event{Text: bot.Plain("and at sunset?"), ReplyTo: first.ID})
	second := s.final()
	third := s.press(second, "Regenerate")
	if third.ReplyTo != second.ReplyTo || third.ReplyTo == "" || strings.Contains(third.Text.Plain, "Asked again by") {
		t.Errorf("Regenerate replies to %q, the question is %q: %s", third.ReplyTo, second.ReplyTo, third.Text.Plain)
	}
	s.emit(bot.Event{Text: bot.Plain("in short?"), ReplyTo: third.ID, User: s.platform.User("ken"), Name: "Ken"})
	s.final()

	q := s.questions
	if len(q) != 4 || q[1].Text != "and at sunset?" || q[1].Parent != q[0].Request {
		t.Fatalf("the reply asked %+v", q)
	}
	if q[2].Text != q[1].Text || q[2].Parent != q[0].Request || q[2].Request == q[1].Request {
		t.Errorf("Regenerate asked %+v", q[2])
	}
	if q[3].Parent != q[2].Request || q[3].Origin.Member == q[0].Origin.Member {
		t.Errorf("a reply of somebody else to an answer made by a button asked %+v", q[3])
	}
}

func TestPeopleTalkingToEachOtherAreLeftAlone(t *testing.T) {
	s := open(t)
	s.answer = answers("Yes", 12)
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "Hola", From: "en", To: "es", Result: result(13)}, nil
	}
	translated := s.say("/translate to:es Hello")
	for _, e := range []bot.Event{
		{Text: bot.Plain("why is the sky blue?")},
		{Text: bot.Plain("I agree"), ReplyTo: "in-1"},
		{Text: bot.Plain("/ask@otherbot hello"), FromBot: true},
		{ReplyTo: translated.ID},
	} {
		s.emit(e)
	}
	s.say("/language") // answered after all of them
	if all := s.platform.Messages(""); len(all) != 2 || len(s.questions) != 0 {
		t.Errorf("%d messages, asked %+v", len(all), s.questions)
	}
}

// A reply to what the bot cannot talk about gets one sentence, and a reply to that sentence none.
func TestReplyToWhatIsNoAnswerIsToldWhatWorks(t *testing.T) {
	s := open(t)
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "Hola", From: "en", To: "es", Result: result(13)}, nil
	}
	for _, m := range []bottest.Message{s.say("/translate to:es Hello"), s.say("/trnslate hello")} {
		s.emit(bot.Event{Text: bot.Plain("more formal, please"), ReplyTo: m.ID})
		hint := s.final()
		if !strings.HasPrefix(hint.Text.Plain, "I can only go on from answers of /ask.") {
			t.Errorf("%q", hint.Text.Plain)
		}
		s.emit(bot.Event{Text: bot.Plain("ah"), ReplyTo: hint.ID})
	}
	s.say("/language")
	if all := s.platform.Messages(""); len(all) != 5 || len(s.questions) != 0 {
		t.Errorf("%d messages, asked %+v", len(all), s.questions)
	}
}

// An admin who presses Regenerate is named, for the answer stands below somebody else's question.
func TestRegenerateNamesWhoPressedForSomebodyElse(t *testing.T) {
	s := open(t)
	s.answer = answers("Soup.", 12)
	first := s.say("/ask what is for dinner?")
	if err := s.platform.Press(s.ctx, first, "ken", "Regenerate", community.Admin); err != nil {
		t.Fatal(err)
	}
	if m := s.final(); m.ReplyTo != first.ReplyTo || !strings.Contains(m.Text.Plain, "\nAsked again by ken") {
		t.Errorf("replies to %q: %s", m.ReplyTo, m.Text.Plain)
	}
}

func TestMistypedPrivateCommandIsRefusedPrivately(t *testing.T) {
	s := open(t)
	for _, text := range []string{"/worker lnik x", "/worker foo", "/worker", "/worker_foo", "/worker revoke", "/worker link shrae:x", "/credits why", "/credits whyy:3"} {
		if m := s.say(text); m.Only != s.platform.User("rita") {
			t.Errorf("%s is refused for all to see: %s", text, m.Text.Plain)
		}
	}
	if m := s.say("/ask"); m.Only != "" {
		t.Errorf("/ask is refused privately: %s", m.Text.Plain)
	}
}

// What /delete refuses was told to the whole chat. It is told to who asked alone, where the platform can.
func TestDeleteRefusesAside(t *testing.T) {
	s := open(t)
	if m := s.say("/delete"); m.Only != "" {
		t.Errorf("a platform that cannot whisper: %+v", m)
	}
	s.emit(bot.Event{Text: bot.Plain("/delete"), Whisper: func() bool { return true }})
	if m := s.final(); m.Only != s.platform.User("rita") || !strings.Contains(m.Text.Plain, "/delete") {
		t.Errorf("where the event can be answered privately: %+v", m)
	}
	s.platform.Set(bottest.Hooks{Whispers: true})
	if m := s.say("/delete"); m.Only != s.platform.User("rita") {
		t.Errorf("where the platform whispers: %+v", m)
	}
}

// A job that came to nothing is named by its number; that it was free is said where the ledger says so.
func TestJobThatCameToNothingHasItsNumber(t *testing.T) {
	s := open(t)
	s.bills[20], s.bills[21], s.bills[22] = commands.Bill{Job: 20, State: workers.Cancelled}, commands.Bill{Job: 21, State: workers.Failed}, commands.Bill{Job: 22, State: workers.Done}
	s.overview = online()
	s.answer = func(ctx context.Context, _ ask.Question, show func(ask.Draft)) (ask.Answer, error) {
		show(ask.Draft{Event: workers.Event{Job: 20, Kind: workers.Waiting, Position: 2}})
		<-ctx.Done()
		return ask.Answer{}, context.Cause(ctx)
	}
	s.emit(bot.Event{Text: bot.Plain("/ask hm?")})
	if err := s.platform.Press(s.ctx, s.watch("2nd"), "rita", "Stop", community.Everyone); err != nil {
		t.Fatal(err)
	}
	if got := rendered(s.final().Text); got != "Stopped.\n<small>Job 20 · cost nothing</small>" {
		t.Errorf("stopped: %s", got)
	}
	s.translate = func(_ context.Context, _ translate.Request, progress func(workers.Event)) (translate.Translation, error) {
		progress(workers.Event{Job: 21, Kind: workers.Started, Attempt: 1})
		return translate.Translation{}, fault.New(fault.BadResult, "kind", protocol.Translate)
	}
	if got := s.say("/translate to:es hello").Text.Plain; !strings.HasSuffix(got, "\nJob 21 · cost nothing") {
		t.Errorf("failed: %s", got)
	}
	s.draw = func(_ context.Context, _ imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error) {
		progress(workers.Event{Job: 22, Kind: workers.Started, Attempt: 1})
		return imagegen.Drawing{}, fault.New(fault.Erased)
	}
	if got := s.say("/imagine soup").Text.Plain; !strings.HasSuffix(got, "\nJob 22") {
		t.Errorf("paid: %s", got)
	}
}

// online is a pool with one machine that can do everything.
func online() workers.Overview {
	var offers []workers.OfferView
	for _, k := range []protocol.Kind{protocol.Chat, protocol.Image, protocol.Translate} {
		offers = append(offers, workers.OfferView{Offer: protocol.Offer{Kind: k}})
	}
	return workers.Overview{Workers: []workers.WorkerView{{State: workers.Online, Offers: offers}}}
}

// While nobody is there to take a job, its place in the line says nothing.
func TestWaitWithNobodyOnlineSaysSo(t *testing.T) {
	s := open(t, func(h *commands.House) {
		h.Now, h.Patience = time.Now, 10*time.Minute
	})
	s.overview = online()
	s.overview.Workers[0].State = workers.Away
	next := make(chan workers.Event)
	s.translate = func(_ context.Context, _ translate.Request, progress func(workers.Event)) (translate.Translation, error) {
		for e := range next {
			progress(e)
		}
		return translate.Translation{Text: "Hola", From: "en", To: "es", Result: result(13)}, nil
	}
	s.emit(bot.Event{Text: bot.Plain("/translate to:es Hello")})
	next <- workers.Event{Kind: workers.Started, Attempt: 1}
	next <- workers.Event{Kind: workers.Waiting, Position: 1}
	got := s.watch("looking for another").Text
	if !strings.HasPrefix(got.Plain, "No luck with that machine; looking for another.\nNo machine that could take this is online now. I wait for one, until ") || strings.Contains(got.Plain, "next") ||
		len(got.Spans) != 1 || got.Spans[0].Kind != bot.Timestamp {
		t.Errorf("%+v", got)
	}
	close(next)
	s.final()
}

// watch returns what the reply shows once it says want.
func (s *stand) watch(want string) bottest.Message {
	s.t.Helper()
	all, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool {
		return len(all) > s.seen && strings.Contains(all[s.seen].Text.Plain, want)
	})
	if err != nil {
		s.t.Fatalf("waiting for %q: %v: %+v", want, err, all)
	}
	return all[s.seen]
}

func TestAskShowsHowItGoesAndStopKeepsWhatIsThere(t *testing.T) {
	s := open(t)
	next := make(chan ask.Draft)
	s.answer = func(ctx context.Context, _ ask.Question, show func(ask.Draft)) (ask.Answer, error) {
		for {
			select {
			case d := <-next:
				show(d)
			case <-ctx.Done():
				return ask.Answer{}, context.Cause(ctx)
			}
		}
	}
	s.overview = online()
	s.emit(bot.Event{Text: bot.Plain("/ask tell me a story")})
	var views strings.Builder
	for _, step := range []struct {
		draft ask.Draft
		want  string
	}{
		{ask.Draft{Event: workers.Event{Kind: workers.Waiting, Position: 2, ETA: 20 * time.Second}}, "2nd"},
		{ask.Draft{Event: workers.Event{Kind: workers.Waiting, Position: 1}}, "next"},
		{ask.Draft{Event: workers.Event{Kind: workers.Started, Attempt: 1, WorkerName: "Rita's RTX 3060"}}, "Rita's RTX 3060 is on it"},
		{ask.Draft{Event: workers.Event{Kind: workers.Text, Attempt: 1}, Markdown: "Once **upon"}, "Once"},
		{ask.Draft{Event: workers.Event{Kind: workers.Waiting, Attempt: 1, Position: 1, ETA: 3 * time.Second}}, "looking for another"},
		{ask.Draft{Event: workers.Event{Kind: workers.Started, Attempt: 2}}, "A community machine"},
		{ask.Draft{Event: workers.Event{Kind: workers.Text, Attempt: 2}, Markdown: "Once **upon** a time"}, "a time"},
	} {
		next <- step.draft
		views.WriteString(shown(s.watch(step.want)) + "---\n")
	}
	if err := s.platform.Press(s.ctx, s.watch("a time"), "rita", "Stop", community.Everyone); err != nil {
		t.Fatal(err)
	}
	golden(t, "ask_progress", views.String()+shown(s.final()))
	if len(s.kept) != 1 || s.kept[0] != "Once **upon** a time" {
		t.Errorf("kept %q", s.kept)
	}
}

func TestAskThatBreaksMidwayKeepsWhatIsThere(t *testing.T) {
	s := open(t)
	s.answer = func(_ context.Context, _ ask.Question, show func(ask.Draft)) (ask.Answer, error) {
		show(ask.Draft{Event: workers.Event{Kind: workers.Text, Attempt: 1}, Markdown: "Half an ans"})
		return ask.Answer{}, fault.New(fault.WorkerFailed, "kind", protocol.Chat, "attempts", 3)
	}
	golden(t, "ask_broken", shown(s.say("/ask tell me a story")))
	if len(s.kept) != 0 {
		t.Errorf("kept %q as if it were stopped", s.kept)
	}
}

// How a wait goes is no part of an answer: when nothing comes of it, the final says only what happened.
func TestWaitThatComesToNothingLeavesNoStatus(t *testing.T) {
	s := open(t)
	waits := []workers.Event{{Kind: workers.Waiting, Position: 2}, {Kind: workers.Started, Attempt: 1, WorkerName: "Rita's RTX 3060"}}
	s.answer = func(_ context.Context, _ ask.Question, show func(ask.Draft)) (ask.Answer, error) {
		for _, e := range waits {
			show(ask.Draft{Event: e})
		}
		return ask.Answer{}, fault.New(fault.NoWorker, "kind", protocol.Chat)
	}
	s.translate = func(_ context.Context, _ translate.Request, progress func(workers.Event)) (translate.Translation, error) {
		for _, e := range waits {
			progress(e)
		}
		return translate.Translation{}, fault.New(fault.NoWorker, "kind", protocol.Translate)
	}
	for _, command := range []string{"/ask are you there?", "/translate to:es hello"} {
		if got := s.say(command).Text.Plain; !strings.HasPrefix(got, "No machine that is online can ") {
			t.Errorf("%s: %q", command, got)
		}
	}
}

// A shutdown is no end of the answer: the request runs again at the next start.
func TestAskCutOffByShutdownStaysOpen(t *testing.T) {
	s := open(t)
	s.answer = func(ctx context.Context, _ ask.Question, show func(ask.Draft)) (ask.Answer, error) {
		show(ask.Draft{Event: workers.Event{Kind: workers.Text, Attempt: 1}, Markdown: "Half an ans"})
		<-ctx.Done()
		return ask.Answer{}, context.Cause(ctx)
	}
	s.emit(bot.Event{Text: bot.Plain("/ask tell me a story")})
	s.watch("Half an ans")
	s.stop()
	<-s.ended
	if m := s.platform.Messages("")[0]; m.Final || len(s.kept) != 0 {
		t.Errorf("ended as %+v, kept %q", m, s.kept)
	}
}

func TestAskThatFailsIsWordedInTheReadersLanguage(t *testing.T) {
	s := open(t)
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{}, fault.New(fault.NoWorker, "kind", protocol.Chat)
	}
	for locale, want := range map[string]string{"en-GB": "answer questions", "es-419": "responder preguntas", "de": "Fragen beantworten", "ja": "質問に答えられる", "fr": "answer questions"} {
		if got := s.sayIn(locale, "/ask hm?").Text.Plain; !strings.Contains(got, want) {
			t.Errorf("%s: %s", locale, got)
		}
	}
	s.sayIn("en", "/language de")
	if got := s.sayIn("es", "/ask hm?").Text.Plain; !strings.Contains(got, "Fragen beantworten") {
		t.Errorf("the chosen language does not count: %s", got)
	}
	s.sayIn("es", "/language auto")
	if got := s.sayIn("es", "/ask hm?").Text.Plain; !strings.Contains(got, "responder preguntas") {
		t.Errorf("auto does not undo it: %s", got)
	}
}

func TestLanguage(t *testing.T) {
	s := open(t)
	var b strings.Builder
	for _, text := range []string{"/language", "/language ja", "/language", "/language language:ｅｓ", "/language auto", "/language klingon"} {
		b.WriteString(text + "\n" + shown(s.say(text)))
	}
	golden(t, "language", b.String())
}

// A language that there is not was told of only after its text had been asked for.
func TestUnknownLanguageIsToldBeforeTheTextIsAskedFor(t *testing.T) {
	all := commands.All(commands.House{})
	for typed, want := range map[string]fault.Code{
		`/translate to:"Good morning dear friends"`: fault.UnknownLang, "/translate to:klingonish hello": fault.UnknownLang,
		"/translate to:de from:elvish hallo": fault.UnknownLang, "/translate to:Español": fault.MissingOption, `/translate to:"Ｅｎｇｌｉｓｈ"`: fault.MissingOption,
	} {
		if _, err := bot.ParseCommand(all, bot.Plain(typed)); !fault.Has(err, want) {
			t.Errorf("%s: %v, want %s", typed, err, want)
		}
	}
}

func TestImagineDrawsAndReRollTakesAnotherSeed(t *testing.T) {
	s := open(t)
	s.draw = func(_ context.Context, r imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error) {
		progress(workers.Event{Kind: workers.Progress, Attempt: 1, Fraction: 0.6, Step: 12, Steps: 20})
		res := result(14)
		res.Model = "sdxl"
		d := imagegen.Drawing{Seed: 7, Width: 1024, Height: 576, Steps: 20, Snapped: "16:9", Result: res}
		for range max(r.Count, 1) {
			d.Pictures = append(d.Pictures, imagegen.Picture{Name: "abc.png", PNG: []byte("png"), Width: 1024, Height: 576})
		}
		return d, nil
	}
	first := s.say("/imagine a lighthouse in a storm —aspect １６：１０ --seed ７ --count ２")
	r := s.drawings[0]
	if r.Prompt != "a lighthouse in a storm" || r.Aspect != "16:10" || r.Seed == nil || *r.Seed != 7 || r.Count != 2 {
		t.Errorf("asked %+v", r)
	}
	s.draw = func(context.Context, imagegen.Request, func(workers.Event)) (imagegen.Drawing, error) {
		res := result(15)
		res.Worker, res.WorkerName = 2, ""
		return imagegen.Drawing{Seed: 8, Width: 1024, Height: 576, Steps: 1, Pictures: []imagegen.Picture{{Name: "def.png"}}, Result: res}, nil
	}
	again := s.press(first, "Re-roll")
	if r := s.drawings[1]; r.Prompt != "a lighthouse in a storm" || r.Aspect != "16:10" || r.Seed == nil || *r.Seed == 7 || r.Count != 2 || r.Origin.Key == s.drawings[0].Origin.Key {
		t.Errorf("Re-roll asked %+v", r)
	}
	golden(t, "imagine", shown(first)+"---\n"+shown(again))
}

func TestImagineShowsLongPromptShortened(t *testing.T) {
	s := open(t)
	s.draw = func(_ context.Context, r imagegen.Request, _ func(workers.Event)) (imagegen.Drawing, error) {
		return imagegen.Drawing{Pictures: []imagegen.Picture{{Name: "abc.png"}}, Result: result(14)}, nil
	}
	long := strings.TrimSpace(strings.Repeat("cats and **dogs** ", 333))
	m := s.say("/imagine " + long)
	if s.drawings[0].Prompt != long {
		t.Errorf("the prompt was changed: %d bytes of %d", len(s.drawings[0].Prompt), len(long))
	}
	if first, _, _ := strings.Cut(m.Text.Plain, "\n"); len(first) > 210 || !strings.HasSuffix(first, "…") {
		t.Errorf("shown %q", first)
	}
	for _, span := range m.Text.Spans {
		if span.Kind == bot.Bold && span.Start > 0 {
			t.Errorf("the prompt is read as Markdown: %v", m.Text.Spans)
		}
	}
}

// The conversation could not be kept after the answer was paid: the answer is shown all the same.
func TestAskShowsAnAnswerThatCouldNotBeKept(t *testing.T) {
	s := open(t)
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{Markdown: "Paris", NotKept: errors.New("the disk is full"), Result: result(12)}, nil
	}
	if m := s.say("/ask capital of France?"); !strings.Contains(m.Text.Plain, "Paris") || strings.Contains(m.Text.Plain, "wrong") {
		t.Errorf("shown %q", m.Text.Plain)
	}
}

func TestImagineProgress(t *testing.T) {
	s := open(t)
	next := make(chan workers.Event)
	s.draw = func(_ context.Context, _ imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error) {
		for e := range next {
			progress(e)
		}
		return imagegen.Drawing{}, fault.New(fault.Expired, "kind", protocol.Image)
	}
	s.emit(bot.Event{Text: bot.Plain("/imagine soup"), Locale: "de"})
	next <- workers.Event{Kind: workers.Started, Attempt: 1}
	next <- workers.Event{Kind: workers.Progress, Attempt: 1, Fraction: 0.6, Step: 12, Steps: 20}
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, image.NewGray(image.Rect(0, 0, 64, 48)), nil); err != nil {
		t.Fatal(err)
	}
	next <- workers.Event{Kind: workers.Preview, Attempt: 1, Preview: jpg.Bytes()}
	all, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool { return len(all) > 0 && len(all[0].Pictures) > 0 })
	if err != nil {
		t.Fatal(err)
	}
	view := all[0]
	// The page takes no other names than hashes; this one hangs on how Go encodes JPEG.
	sum := sha256.Sum256(view.Pictures[0].Data)
	if want := hex.EncodeToString(sum[:]) + ".jpg"; view.Pictures[0].Name != want {
		t.Errorf("the preview is called %q, want %q", view.Pictures[0].Name, want)
	}
	view.Pictures[0].Name = "preview.jpg"
	// Worker 1 is trusted here: what it draws is uncovered, unfinished or not.
	next <- workers.Event{Kind: workers.Started, Attempt: 2, Worker: 1}
	next <- workers.Event{Kind: workers.Preview, Attempt: 2, Preview: jpg.Bytes()}
	if _, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool { return len(all[0].Pictures) > 0 && !all[0].Pictures[0].Spoiler }); err != nil {
		t.Error(err)
	}
	close(next)
	golden(t, "imagine_progress", shown(view)+"---\n"+shown(s.final()))
}

func TestTranslateKeepsMentionsAsMentions(t *testing.T) {
	s := open(t)
	s.translate = func(_ context.Context, r translate.Request, _ func(workers.Event)) (translate.Translation, error) {
		text := "@Ken ¡hola!"
		return translate.Translation{Text: text, Kept: [][2]int{{0, 4}}, From: "en", To: r.To, Rough: true, Result: result(16)}, nil
	}
	typed := "/translate to:Español from:en Hello @Ken, **hi**"
	at := strings.Index(typed, "@Ken")
	s.emit(bot.Event{Text: bot.Text{Plain: typed, Spans: []bot.Span{{Start: at, End: at + 4, Kind: bot.Mention, Value: "test:ken"}}}})
	m := s.final()
	r := s.translations[0]
	if r.Text != "Hello @Ken, **hi**" || r.To != "es" || r.From != "en" || len(r.Fixed) != 1 || r.Text[r.Fixed[0][0]:r.Fixed[0][1]] != "@Ken" {
		t.Errorf("asked %+v", r)
	}
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "123 👍", To: "es"}, nil
	}
	golden(t, "translate", shown(m)+"---\n"+shown(s.say("/translate to:es 123 👍"))+"---\n"+shown(s.say("/translate to:klingon hello"))+"---\n"+shown(s.say("/translate hello")))
}

func TestWorkerLinkIsPrivateAndSaysWhatToType(t *testing.T) {
	s := open(t)
	m := s.say("/worker link share:yes name:Attic PC")
	if m.Only != s.platform.User("rita") {
		t.Fatalf("the join string is shown to everybody: %q", m.Only)
	}
	if s.linked != `Rita "Attic PC" true` {
		t.Errorf("linked %s", s.linked)
	}
	out := shown(m)
	for _, l := range []string{"es", "de", "ja"} {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/worker link"))
	}
	golden(t, "worker_link", out)
}

func TestWorkerListAndRevoke(t *testing.T) {
	s := open(t)
	rita, ken := s.member("rita").ID, s.member("ken").ID
	gpu := []protocol.GPU{{Name: "NVIDIA GeForce RTX 3060", VRAMMB: 12288}}
	s.workers = []workers.Worker{
		{ID: 1, Owner: rita, Name: "Attic PC", Hardware: protocol.Hardware{CPUs: 16, RAMMB: 31900, GPUs: gpu}},
		{ID: 2, Owner: rita, Name: "Laptop", Seen: noon.Add(-3 * time.Hour), Hardware: protocol.Hardware{CPUs: 1, RAMMB: 8000}},
		{ID: 3, Owner: ken, Name: "Ken's tower"},
		{ID: 4, Owner: rita, Name: "Shed"},
	}
	s.overview = workers.Overview{Workers: []workers.WorkerView{
		{Worker: s.workers[0], State: workers.Online, Jobs: []int64{12}, Offers: []workers.OfferView{
			{Offer: protocol.Offer{Kind: protocol.Chat}, Canonical: "llama3.1:8b"}, {Offer: protocol.Offer{Kind: protocol.Image}, Canonical: "sdxl"},
		}},
		{Worker: s.workers[2], State: workers.Online},
		{Worker: s.workers[3], State: workers.Paused, Reason: "on battery"},
	}}
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/worker list"))
	}
	if strings.Contains(out, "tower") {
		t.Error("somebody else's worker is listed")
	}
	ask := s.say("/worker revoke 2")
	if len(s.revoked) != 0 {
		t.Error("revoked without being confirmed")
	}
	done := s.press(ask, "Unlink it")
	if len(s.revoked) != 1 || s.revoked[0] != 2 {
		t.Errorf("revoked %v", s.revoked)
	}
	out += "--- revoke\n" + shown(ask) + shown(done)
	for _, text := range []string{"/worker revoke 3", "/worker revoke ９９", "/worker revoke", "/worker"} {
		out += "--- " + text + "\n" + shown(s.say(text))
	}
	s.workers = nil
	golden(t, "worker_list", out+"--- none\n"+shown(s.say("/worker list"))+"--- pressed again\n"+shown(s.press(ask, "Unlink it")))
	for _, m := range s.platform.Messages("") {
		if m.Only == "" {
			t.Errorf("shown to everybody: %s", m.Text.Plain)
		}
	}
}

func TestCredits(t *testing.T) {
	s := open(t)
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/credits"))
	}
	golden(t, "credits", out)
	for _, m := range s.platform.Messages("") {
		if m.Only == "" {
			t.Errorf("shown to everybody: %s", m.Text.Plain)
		}
	}
}

func TestCreditsSayThatAnAllowanceIsShared(t *testing.T) {
	s := open(t, func(h *commands.House) {
		h.Payer = func(r bot.Request) ledger.Payer {
			return ledger.Payer{Allowance: ledger.AllowanceOf(r.Chat.Community), Daily: 2000 * ledger.Credit, Spend: ledger.SpendOf(r.Member)}
		}
	})
	for l, want := range map[string]string{"en": "shared by everyone on this page", "es": "compartidos entre todos", "de": "für alle auf dieser Seite zusammen", "ja": "このページの全員で共有"} {
		if got := s.sayIn(l, "/credits").Text.Plain; !strings.Contains(got, want) {
			t.Errorf("%s: %s", l, got)
		}
	}
}

// Where each household may use a part of what visitors share, people are told what of their part is left, not what others may use.
func TestCreditsSayWhatIsLeftOfAHouseholdsPart(t *testing.T) {
	s := open(t, func(h *commands.House) {
		h.Payer = func(r bot.Request) ledger.Payer {
			return ledger.Payer{
				Allowance: ledger.AllowanceOf(r.Chat.Community), Daily: 2000 * ledger.Credit, Spend: ledger.SpendOf(r.Member),
				Share: ledger.Share{Household: "3f", Most: 500 * ledger.Credit},
			}
		}
	})
	for l, want := range map[string]string{"en": "your share of what everyone on this page has", "es": "tu parte", "de": "dein Anteil", "ja": "あなたの分"} {
		if got := s.sayIn(l, "/credits").Text.Plain; !strings.Contains(got, want) || strings.Count(got, "500") != 2 {
			t.Errorf("%s: %s", l, got)
		}
	}
}

func TestCreditsOfSomebodyWhoLendsAndAsks(t *testing.T) {
	s := open(t, func(h *commands.House) {
		h.Credits = balance{h.Credits, ledger.Balance{
			Spendable: 1234567, Free: 12500, Daily: 60 * ledger.Credit, Pending: 48050, Held: 3000, Earned: 2_000_000 * ledger.Credit,
			NextRelease: noon.Add(26 * time.Hour),
		}}
	})
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/credits"))
	}
	golden(t, "credits_all", out)
}

// balance is a ledger that says always the same.
type balance struct {
	commands.Credits
	says ledger.Balance
}

func (b balance) Balance(context.Context, community.MemberID, ledger.Payer, time.Time) (ledger.Balance, error) {
	return b.says, nil
}

func bill() ledger.Bill {
	return ledger.Bill{
		Price: ledger.Price{
			Amount: 8640, Rates: 3, Model: "llama3.1:8b", Calibrated: true, Seconds: 8.64,
			Terms: []ledger.Term{
				{Name: "overhead", Quantity: 0.5, Unit: "s", PerSecond: 1, Seconds: 0.5},
				{Name: "input", Quantity: 120, Unit: "token", PerSecond: 1720, Seconds: 0.07},
				{Name: "output", Quantity: 347, Unit: "token", PerSecond: 43, Seconds: 8.07},
			},
		},
		Held: 12410, Paid: 8640, Returned: 3770,
	}
}

func TestCreditsWhyPrintsTheFormulaToThoseItConcerns(t *testing.T) {
	s := open(t)
	rita, ken := s.member("rita").ID, s.member("ken").ID
	own := bill()
	own.Own, own.Paid, own.Returned, own.Calibrated = true, 0, own.Held, false
	drawing := ledger.Bill{Price: ledger.Price{Amount: 15000, Rates: 3, Model: "sdxl", Calibrated: true, Seconds: 15, Terms: []ledger.Term{
		{Name: "drawing", Quantity: 20.97, Unit: "megapixel step", PerSecond: 1.4, Seconds: 15},
	}}, Held: 15000, Paid: 15000}
	s.bills = map[int64]commands.Bill{
		12: {Job: 12, State: workers.Done, Asker: rita, Earner: ken, Bill: bill()},
		13: {Job: 13, State: workers.Done, Asker: rita, Bill: own},
		14: {Job: 14, State: workers.Done, Asker: rita, Earner: ken, Bill: drawing},
		15: {Job: 15, State: workers.Failed, Asker: rita, Bill: ledger.Bill{Held: 4000}},
		16: {Job: 16, State: workers.Leased, Asker: rita, Bill: ledger.Bill{Held: 4000}},
		17: {Job: 17, State: workers.Done, Asker: ken, Earner: rita, Bill: bill()},
		18: {Job: 18, State: workers.Done, Asker: ken, Earner: ken, Bill: bill()},
	}
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/credits why:12"))
	}
	for _, text := range []string{"/credits １３", "/credits why:14", "/credits why:15", "/credits why:16", "/credits why:17", "/credits why:18", "/credits why:99"} {
		out += "--- " + text + "\n" + shown(s.say(text))
	}
	golden(t, "credits_why", out)

	s.emit(bot.Event{Text: bot.Plain("/credits why:12"), User: s.platform.User("eve"), Name: "Eve"})
	if m := s.final(); m.Only != s.platform.User("eve") || !strings.Contains(m.Text.Plain, "I know of no finished job 12") {
		t.Errorf("Eve is told about Rita's job: %s", m.Text.Plain)
	}
	if err := s.people.MakeOperator(s.ctx, s.member("eve").ID); err != nil {
		t.Fatal(err)
	}
	s.emit(bot.Event{Text: bot.Plain("/credits why:12"), User: s.platform.User("eve"), Name: "Eve"})
	if m := s.final(); !strings.Contains(m.Text.Plain, "8.64") {
		t.Errorf("the operator is not told: %s", m.Text.Plain)
	}
}

// What the real rate table makes of each kind of job is worded, also for a model that it does not know.
func TestEveryTermOfAPriceHasWords(t *testing.T) {
	rates := ledger.DefaultRates()
	s := open(t)
	rita := s.member("rita").ID
	for i, model := range []string{"llama3.1:8b", "sdxl", "never heard of"} {
		for j, w := range []ledger.Work{
			{Kind: "chat", InTokens: 100, OutTokens: 200}, {Kind: "image", Pixels: 1 << 20, Steps: 20}, {Kind: "translate", InTokens: 50},
		} {
			job := int64(10*i + j + 1)
			price := rates.Price(model, w)
			s.bills[job] = commands.Bill{Job: job, State: workers.Done, Asker: rita, Bill: ledger.Bill{Price: price}}
			text := s.sayIn("de", fmt.Sprintf("/credits why:%d", job)).Text.Plain
			for _, term := range price.Terms {
				if strings.Contains(text, term.Name) || strings.Contains(text, "token)") || strings.Contains(text, "megapixel step") {
					t.Errorf("%s %+v is not worded: %s", model, term, text)
				}
			}
			if n := strings.Count(text, "•"); n != len(price.Terms) {
				t.Errorf("%d of %d terms are shown: %s", n, len(price.Terms), text)
			}
		}
	}
	golden(t, "credits_unmeasured", shown(s.say("/credits why:21")))
}

func TestHelp(t *testing.T) {
	s := open(t)
	s.overview = workers.Overview{
		Workers: []workers.WorkerView{{State: workers.Online}, {State: workers.Online}, {State: workers.Paused}},
		Models: []workers.ModelView{
			{Kind: protocol.Chat, Model: "llama3.1:8b", Quality: protocol.Postable}, {Kind: protocol.Image, Model: "demo", Quality: protocol.Demo},
			{Kind: protocol.Translate, Model: "apertium", Quality: protocol.Rough},
		},
	}
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/help"))
	}
	for _, text := range []string{"/help imagine", "/help /worker link", "/help command:worker", "/help ＡＳＫ", "/help imagin", "/help worker fly", "/help ask now", "/help help"} {
		out += "--- " + text + "\n" + shown(s.say(text))
	}
	s.overview = workers.Overview{}
	golden(t, "help", out+"--- nobody online\n"+shown(s.say("/help")))
}

func TestPrivacy(t *testing.T) {
	s := open(t)
	out := ""
	for _, l := range commands.Languages() {
		out += "--- " + l + "\n" + shown(s.sayIn(l, "/privacy"))
	}
	golden(t, "privacy", out)
}

func TestSuggestions(t *testing.T) {
	s := services{overview: workers.Overview{
		Models: []workers.ModelView{{Kind: protocol.Chat, Model: "llama3.1:8b"}, {Kind: protocol.Chat, Model: "qwen3:4b"}, {Kind: protocol.Image, Model: "sdxl"}},
		Pairs:  []workers.PairView{{From: "en", To: "es"}, {From: "en", To: "ca"}, {From: "*", To: "*"}},
	}}
	suggest := make(map[string]func(string) []string)
	for _, c := range commands.All(commands.House{Pool: &s}) {
		for _, o := range c.Options {
			if o.Suggest != nil {
				suggest[c.Name+" "+o.Name] = o.Suggest
			}
		}
	}
	for _, c := range []struct{ option, typed, want string }{
		{"ask model", "", "llama3.1:8b qwen3:4b"},
		{"ask model", "ｑｗ", "qwen3:4b"},
		{"ask model", "3", "llama3.1:8b qwen3:4b"},
		{"imagine model", "", "sdxl"},
		{"imagine aspect", "16", "16:9 9:16"},
		{"translate to", "spa", "Spanish"},
		{"translate to", "es", "Spanish"},
		{"translate to", "español", "Spanish"},
		{"translate to", "ca", "Catalan"},
		{"translate from", "engl", "English"},
		{"help command", "/work", "worker worker link worker list worker revoke worker rename worker pause worker resume worker stats worker limits worker test worker share"},
	} {
		if got := strings.Join(suggest[c.option](c.typed), " "); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.option, c.typed, got, c.want)
		}
	}
	if n := len(suggest["translate to"]("")); n > 25 {
		t.Errorf("%d suggestions", n)
	}
}
