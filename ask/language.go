package ask

import (
	"regexp"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// asked is the language that a question wants to be answered in: its own, or that of the newest question before it that has one. A question
// that the house asks says nothing. Empty: it cannot be told.
func (s *Service) asked(q Question, text string, before []Turn) string {
	if s.Language == nil {
		return ""
	}
	texts := []string{text}
	if q.GoOn {
		texts = nil
	}
	for i := len(before) - 1; i >= 0; i-- {
		texts = append(texts, before[i].Question)
	}
	for _, t := range texts {
		if got, ok := s.Language(t, q.Language); ok {
			return got
		}
	}
	return ""
}

// strayed is the language of an answer that is in another one than the question, which did not ask for that; else empty.
func (s *Service) strayed(asked, question, answer string) string {
	if s.Language == nil || asked == "" || wantsAnother.MatchString(question) {
		return ""
	}
	got, ok := s.Language(answer, asked)
	if !ok || got == asked || sisters[got] != "" && sisters[got] == sisters[asked] || named(question, got) {
		return ""
	}
	return got
}

// wantsAnother finds questions about translating.
var wantsAnother = regexp.MustCompile(`(?i)translat|traduc|traduz|tradut|tradui|übersetz|перев|翻訳|翻译|翻譯|訳し|번역`)

// sisters are languages that a few sentences do not tell apart.
var sisters = map[string]string{
	"nb": "scandinavian", "da": "scandinavian", "sv": "scandinavian",
	"es": "iberian", "ca": "iberian", "pt": "iberian",
	"ru": "east slavic", "uk": "east slavic", "bg": "east slavic",
}

// named tells whether a question names a language, in English, Spanish, German, Japanese or the language itself.
func named(question, tag string) bool {
	t, err := language.Parse(tag)
	if err != nil {
		return false
	}
	question = strings.ToLower(question)
	names := []string{display.Self.Name(t)}
	for _, in := range []language.Tag{language.English, language.Spanish, language.German, language.Japanese} {
		names = append(names, display.Languages(in).Name(t))
	}
	for _, n := range names {
		if n != "" && strings.Contains(question, strings.ToLower(n)) {
			return true
		}
	}
	return false
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$`)

// inLanguage is the sentence of the rule that says which language to answer in; reader is used only when the question's own cannot be told.
func inLanguage(asked, reader string) string {
	if t, err := language.Parse(asked); asked != "" && err == nil {
		name := display.English.Languages().Name(t)
		return " The question is in " + name + ": answer in " + name + ", unless it asks for another language."
	}
	if languageTag.MatchString(reader) {
		return " Only if you cannot tell the question's language, answer in the language with the tag " + reader + "."
	}
	return ""
}
