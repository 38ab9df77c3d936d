package webchat

import (
	"net/http"
	"slices"

	"golang.org/x/text/language"
)

// Languages lists the languages of the page; the first one stands in where nothing else fits.
func Languages() []string { return []string{"en", "es", "de", "ja"} }

// languageName is a language with its own name for itself.
type languageName struct{ Tag, Name string }

func languageNames() []languageName {
	return []languageName{{"en", "English"}, {"es", "Español"}, {"de", "Deutsch"}, {"ja", "日本語"}}
}

// languageCookie holds the language that a visitor chose on the page. The page sets it itself.
const languageCookie = "potluck_language"

var pageLanguages = language.NewMatcher([]language.Tag{language.English, language.Spanish, language.German, language.Japanese})

// chosen is the language that the visitor chose; empty: none.
func chosen(r *http.Request) string {
	c, err := r.Cookie(languageCookie)
	if err != nil || !slices.Contains(Languages(), c.Value) {
		return ""
	}
	return c.Value
}

// accepted lists the languages that the browser asks for, the most wanted first.
func accepted(r *http.Request) []language.Tag {
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > 200 {
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return nil
	}
	return tags
}

// readerLanguage is the language in which the page is served. The tags are tried one at a time: the first that the page has wins.
func readerLanguage(r *http.Request) string {
	if l := chosen(r); l != "" {
		return l
	}
	for _, tag := range accepted(r) {
		if _, i, confidence := pageLanguages.Match(tag); confidence != language.No {
			return Languages()[i]
		}
	}
	return Languages()[0]
}

// chooseLanguage serves POST /webchat/language {"language"}: from now on the visitor reads the page and the bot's answers in it.
func (p *Page) chooseLanguage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Language string `json:"language"`
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	if !slices.Contains(Languages(), body.Language) {
		refuse(w, http.StatusBadRequest, "bad_language", "The page does not speak that language.")
		return
	}
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return
	}
	ctx, cancel := durable(r.Context())
	defer cancel()
	if err := p.config.Language(ctx, s.User, s.Name, body.Language); err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"language": body.Language})
}

// locale is the language that the visitor chose, or else the one that the browser asks for first.
func locale(r *http.Request) string {
	if l := chosen(r); l != "" {
		return l
	}
	tags := accepted(r)
	if len(tags) == 0 || tags[0] == language.Und {
		return ""
	}
	return tags[0].String()
}
