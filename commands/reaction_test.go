package commands_test

import (
	"context"
	"strings"
	"testing"

	"potluck/bot"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/translate"
	"potluck/workers"
)

// flag puts an emoji on a message.
func (s *stand) flag(who string, m community.MessageID, emoji string) {
	s.t.Helper()
	s.emit(bot.Event{Kind: bot.Reaction, User: s.platform.User(who), Name: who, Message: m, Text: bot.Plain(emoji)})
}

func TestFlagsMeanLanguages(t *testing.T) {
	wish := commands.Reactions(commands.House{})[0].Wish
	for emoji, want := range map[string]string{
		"🇫🇷": "fr", "🇬🇧": "en", "🇺🇸": "en", "🇧🇷": "pt", "🇯🇵": "ja", "🇺🇦": "uk", "🇵🇭": "fil", "🇳🇴": "nb", "🇹🇼": "zh", "🇰🇿": "kk", "🇵🇾": "es", "🏴󠁧󠁢󠁥󠁮󠁧󠁿": "en", "🏴󠁧󠁢󠁷󠁬󠁳󠁿": "cy",
		"🇪🇺": "", "🇺🇳": "", "🇦🇶": "", "🇫": "", "🇫🇷🇩🇪": "", "🏴": "", "🏳️‍🌈": "", "🏴‍☠️": "", "👍": "", "fr": "", "": "", "🇫🇷 ": "", "🏴󠁧󠁢󠁳󠁣󠁴󠁿": "",
	} {
		e := bot.Event{Chat: community.Chat{ID: "test:lobby", Community: "test:home"}, Text: bot.Plain(emoji)}
		if got := wish(e); got != want {
			t.Errorf("%s is %q, want %q", emoji, got, want)
		}
		e.Chat.Private = true
		if got := wish(e); got != "" {
			t.Errorf("%s in a private chat is %q", emoji, got)
		}
	}
}

// A flag on a message has it translated below it, once for each language, and says who asked.
func TestFlagOnAMessageTranslatesItOnce(t *testing.T) {
	s := open(t)
	s.translate = func(_ context.Context, r translate.Request, show func(workers.Event)) (translate.Translation, error) {
		show(workers.Event{Kind: workers.Waiting, Job: 12, Position: 1})
		return translate.Translation{Text: "Bonjour @Ken", From: "en", To: r.To, Kept: [][2]int{{8, 12}}, Result: result(12)}, nil
	}
	var b bot.Builder
	s.platform.Write("m1", b.Add("Hello ").Mark(bot.Mention, "test:ken", "@Ken").Text())
	s.flag("rita", "m1", "🇫🇷")
	s.flag("ken", "m1", "🇫🇷")
	first := s.final()
	if first.ReplyTo != "m1" || first.Only != "" {
		t.Errorf("%+v", first)
	}
	golden(t, "flag", shown(first))
	s.flag("olga", "m1", "🇧🇪") // another language
	second := s.final()
	if !strings.Contains(second.Text.Plain, "olga") {
		t.Errorf("%q", second.Text.Plain)
	}
	s.say("/language") // answered after all of them
	if n := len(s.platform.Messages("")); n != 3 || len(s.translations) != 2 {
		t.Errorf("%d messages, translated %+v", n, s.translations)
	}
	r := s.translations[0]
	if r.To != "fr" || r.Text != "Hello @Ken" || len(r.Fixed) != 1 || s.translations[1].To != "nl" || r.Origin.Class != workers.Public {
		t.Errorf("translated %+v", r)
	}
}

// A spoiler must not be told in another language.
func TestFlagOnASpoilerStaysASpoiler(t *testing.T) {
	s := open(t)
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "Der Gärtner war es", From: "en", To: "de", Result: result(12)}, nil
	}
	var b bot.Builder
	s.platform.Write("m1", b.Add("It was ").Mark(bot.Spoiler, "", "the gardener").Text())
	s.flag("rita", "m1", "🇩🇪")
	if got := shown(s.final()); !strings.HasPrefix(got, "<spoiler>Der Gärtner war es</spoiler>") {
		t.Errorf("%s", got)
	}
}

// Where there is nothing to translate the flag was meant for people; where nobody can do it, that is told once.
func TestFlagWithNothingToTranslateSaysNothing(t *testing.T) {
	s := open(t)
	var answer error
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "ok"}, answer
	}
	s.platform.Write("empty", bot.Plain(""))
	s.platform.Write("trivial", bot.Plain("ok"))
	s.flag("a", "empty", "🇫🇷")
	s.flag("b", "gone", "🇫🇷")
	s.flag("c", "trivial", "🇫🇷")
	s.say("/language")
	answer = fault.New(fault.SameLanguage, "language", "French")
	s.platform.Write("same", bot.Plain("Bonjour"))
	s.flag("d", "same", "🇫🇷")
	s.say("/language")
	answer = fault.New(fault.LanguageUnsure)
	s.platform.Write("unsure", bot.Plain("Salut"))
	s.flag("e", "unsure", "🇫🇷")
	s.say("/language")
	answer = fault.New(fault.NoPair, "from", "en", "to", "fr", "targets", []string{"es"}, "pairs", []string{"en → es"})
	s.platform.Write("real", bot.Plain("Hello"))
	s.flag("f", "real", "🇫🇷")
	s.flag("g", "real", "🇫🇷")
	if m := s.final(); m.ReplyTo != "real" || !strings.Contains(m.Text.Plain, "French") {
		t.Errorf("%+v", m)
	}
	s.say("/language")
	if n := len(s.platform.Messages("")); n != 5 {
		t.Errorf("%d messages: %+v", n, s.platform.Messages(""))
	}
}

// A flag that came to nothing can be tried again by a button; the flag itself counts once.
func TestFlagThatFailedIsTriedAgain(t *testing.T) {
	s := open(t)
	answer := error(fault.New(fault.NoPair, "from", "en", "to", "fr", "targets", []string{"es"}, "pairs", []string{"en → es"}))
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		if answer != nil {
			return translate.Translation{}, answer
		}
		return translate.Translation{Text: "Bonjour", From: "en", To: "fr", Result: result(12)}, nil
	}
	s.platform.Write("m1", bot.Plain("Hello"))
	s.flag("ken", "m1", "🇫🇷")
	failed := s.final()
	answer = nil
	done := s.press(failed, "Try again") // by somebody else
	if done.ReplyTo != "m1" || !strings.HasPrefix(done.Text.Plain, "Bonjour") || !strings.Contains(done.Text.Plain, "🇫🇷") || len(s.translations) != 2 || s.translations[1].To != "fr" {
		t.Errorf("%+v after %+v", done, s.translations)
	}
	answer = fault.New(fault.SameLanguage, "language", "French")
	if m := s.press(failed, "Try again"); !strings.Contains(m.Text.Plain, "French already") {
		t.Errorf("a press was answered with %+v", m)
	}
}

// An admin can switch flags off, or translating as a whole; who is blocked or has had enough for a day takes the flag from nobody else.
func TestAdminsDecideAboutFlags(t *testing.T) {
	y := openYard(t, func(h *commands.House) { h.Setups = h.Members.(commands.Setups) })
	y.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "Bonjour", From: "en", To: "fr", Result: result(12)}, nil
	}
	y.as("ken", community.Everyone, "/language") // somebody whom the bot knows
	y.platform.Write("m1", bot.Plain("Hello"))
	if got := y.as("rita", community.Admin, "/setup features reactions off").Text.Plain; got != "Translating messages that get a flag as a reaction is off in this chat now." {
		t.Errorf("%q", got)
	}
	y.flag("ken", "m1", "🇫🇷")
	y.as("rita", community.Admin, "/setup features reactions on")
	y.as("rita", community.Admin, "/setup features feature:translate on:no everywhere:yes")
	y.flag("ken", "m1", "🇫🇷")
	y.as("rita", community.Admin, "/setup features feature:translate on:yes everywhere:yes")
	y.as("rita", community.Admin, "/setup block @Ken")
	y.flag("ken", "m1", "🇫🇷")
	y.as("rita", community.Admin, "/setup unblock @Ken")
	if got := y.as("rita", community.Admin, "/setup show").Text.Plain; !strings.Contains(got, "a flag as a reaction is on.") {
		t.Errorf("%q", got)
	}
	if len(y.translations) != 0 {
		t.Errorf("translated %+v", y.translations)
	}
	y.as("rita", community.Admin, "/setup limits 1")
	y.as("ken", community.Everyone, "/translate to:fr Good evening")
	y.flag("ken", "m1", "🇫🇷") // the second wish of this day
	y.as("rita", community.Admin, "/setup limits 0")
	if len(y.translations) != 1 {
		t.Errorf("translated %+v", y.translations)
	}
	y.flag("ken", "m1", "🇫🇷")
	if m := y.final(); !strings.HasPrefix(m.Text.Plain, "Bonjour") || m.ReplyTo != "m1" {
		t.Errorf("%+v", m)
	}
}
