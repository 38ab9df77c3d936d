// Package reader tells which language the reader of a page wants.
package reader

import (
	"net/http"
	"slices"

	"golang.org/x/text/language"
)

// Cookie holds the language that a reader chose on the page. The page's script sets it, for every path.
const Cookie = "potluck_language"

// Named is a language (BCP 47) with its own name for itself.
type Named struct{ Tag, Name string }

// Names lists the languages of the pages as a chooser shows them.
func Names() []Named {
	return []Named{{"en", "English"}, {"es", "Español"}, {"de", "Deutsch"}, {"ja", "日本語"}}
}

// Languages lists the tags of the languages of the pages; the first one stands in where nothing else fits.
func Languages() []string {
	var tags []string
	for _, n := range Names() {
		tags = append(tags, n.Tag)
	}
	return tags
}

var matcher = func() language.Matcher {
	var tags []language.Tag
	for _, l := range Languages() {
		tags = append(tags, language.MustParse(l))
	}
	return language.NewMatcher(tags)
}()

// Language is the one of Languages in which a page is served: the chosen one, or the first that the browser asks for and the pages have. The tags are
// tried one at a time: matched together, one that is less wanted could win because it is closer.
func Language(r *http.Request) string {
	if l := chosen(r); l != "" {
		return l
	}
	for _, tag := range accepted(r) {
		if _, i, confidence := matcher.Match(tag); confidence != language.No {
			return Languages()[i]
		}
	}
	return Languages()[0]
}

// Locale is the language in which the bot answers (BCP 47): the chosen one, or else what the browser asks for first, whether the pages have it or not.
// Empty: nobody said.
func Locale(r *http.Request) string {
	if l := chosen(r); l != "" {
		return l
	}
	tags := accepted(r)
	if len(tags) == 0 || tags[0] == language.Und {
		return ""
	}
	return tags[0].String()
}

// chosen is the language that the reader chose; empty: none.
func chosen(r *http.Request) string {
	c, err := r.Cookie(Cookie)
	if err != nil || !slices.Contains(Languages(), c.Value) {
		return ""
	}
	return c.Value
}

// accepted lists the languages that the browser asks for, the most wanted first.
func accepted(r *http.Request) []language.Tag {
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > 200 { // parsing takes time; no browser sends more
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return nil
	}
	return tags
}
