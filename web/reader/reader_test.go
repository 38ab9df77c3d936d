package reader

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheLanguageOfTheReader(t *testing.T) {
	for _, c := range []struct{ accept, cookie, page, locale string }{
		{"", "", "en", ""},
		{"de-AT,de;q=0.9,en;q=0.8", "", "de", "de-AT"},
		{"fr-FR,ja;q=0.5", "", "ja", "fr-FR"},
		{"fr,es;q=0.5", "", "es", "fr"},
		{"en;q=0.5,ja", "", "ja", "ja"},
		{"en-GB", "", "en", "en-GB"},
		{"fr", "", "en", "fr"},
		{"tlh", "", "en", "tlh"},
		{"es-MX", "ja", "ja", "ja"},
		{"es-MX", "tlh", "es", "es-MX"},
		{strings.Repeat("a", 300), "", "en", ""},
		{";;;", "", "en", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: Cookie, Value: c.cookie})
		}
		if page, l := Language(r), Locale(r); page != c.page || l != c.locale {
			t.Errorf("%+v: the page speaks %s, the bot %q", c, page, l)
		}
	}
}
