package guard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"potluck/web/guard"
)

func TestOnlyThePageItselfPosts(t *testing.T) {
	g, err := guard.New([]string{"https://chat.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	page := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	for name, c := range map[string]struct {
		headers []string
		code    string // "" = let through
	}{
		"the page":                      {[]string{"Origin", "http://potluck.local"}, ""},
		"no browser":                    {nil, ""},
		"an origin of the settings":     {[]string{"Origin", "https://chat.example.org", "Sec-Fetch-Site", "cross-site"}, ""},
		"another site":                  {[]string{"Origin", "https://evil.example"}, "foreign_origin"},
		"another port":                  {[]string{"Origin", "http://potluck.local:81"}, "foreign_origin"},
		"a sandbox":                     {[]string{"Origin", "null"}, "foreign_origin"},
		"a site that claims to be ours": {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, "foreign_origin"},
		"another site without origin":   {[]string{"Sec-Fetch-Site", "cross-site"}, "foreign_origin"},
		"a form":                        {[]string{"Content-Type", "text/plain"}, "not_json"},
		"a type of two":                 {[]string{"Content-Type", "text/plain; application/json"}, "not_json"},
		"no type":                       {[]string{"Content-Type", ""}, "not_json"},
	} {
		r := httptest.NewRequest("POST", "http://potluck.local/x", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		var refused struct{ Code, Error string }
		json.Unmarshal(w.Body.Bytes(), &refused) // what is let through has no body
		if (w.Code == http.StatusAccepted) != (c.code == "") || refused.Code != c.code || (refused.Error == "") != (c.code == "") {
			t.Errorf("%s: %d %+v, want %q", name, w.Code, refused, c.code)
		}
	}
	if _, err := guard.New([]string{"not an origin"}); err == nil {
		t.Error("no origin was accepted as one")
	}
}

func TestAPageLoadsItsOwnFilesOnly(t *testing.T) {
	g, err := guard.New(nil, "data:", "blob:")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	g.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/", nil))
	h := w.Header()
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'; ", "script-src 'self'; ", "img-src 'self' data: blob:; ", "frame-ancestors 'none'; ", "trusted-types 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy", "Cache-Control"} {
		if h.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
}

// Without a public address the page answered under any name. Whoever pointed a name of theirs at a visitor's own machine could talk to the page there.
func TestThePageAnswersUnderItsOwnNamesOnly(t *testing.T) {
	g, err := guard.New([]string{"https://Chat.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	page := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	ask := func(method, host string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://127.0.0.1/", strings.NewReader("{}"))
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "http://"+host)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		return w
	}
	for _, host := range []string{
		"127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "192.168.1.5:8080", "203.0.113.9", "[2001:db8::7]:80", "localhost:8080", "LOCALHOST", "localhost.",
		"potluck.localhost:8080", "raspberrypi:8080", "attic.local", "chat.example.org", "Chat.Example.ORG:443", "chat.example.org.",
	} {
		if w := ask("POST", host); w.Code != http.StatusAccepted {
			t.Errorf("%s: %d %s", host, w.Code, w.Body)
		}
	}
	for _, host := range []string{
		"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "chat.example.org.evil.example", "xchat.example.org", "evil.localhost.example",
		"127.0.0.1.nip.io:8080", "1.2.3", "", strings.Repeat("a.", 5000),
	} {
		for _, method := range []string{"GET", "POST"} {
			w := ask(method, host)
			said := w.Body.String()
			if w.Code != http.StatusMisdirectedRequest || !strings.Contains(said, "http.public_url") || len(said) > 500 || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s %.30s: %d %.300s", method, host, w.Code, said)
			}
		}
	}
}
