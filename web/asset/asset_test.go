package asset

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(a *Asset, status int, header ...string) *http.Response {
	r, w := httptest.NewRequest("GET", "/app.js", nil), httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w.Header().Set("Vary", "Cookie")
	a.Serve(w, r, status)
	return w.Result()
}

// The two pages compared tags and encodings each in its own way: by what the header contains.
func TestServe(t *testing.T) {
	text := strings.Repeat("hello, page. ", 100)
	a, other := New(Kind("app.js"), []byte(text)), New(Kind("app.js"), []byte("other"))
	tag := `"` + a.Version() + `"`
	if a.Version() == other.Version() || tag != Tag([]byte(text)) {
		t.Errorf("versions %s and %s, tag %s", a.Version(), other.Version(), Tag([]byte(text)))
	}
	for _, c := range []struct {
		name   string
		header []string
		status int
		zipped bool
	}{
		{"a first visit", nil, 200, false},
		{"a browser", []string{"Accept-Encoding", "gzip, deflate, br"}, 200, true},
		{"with weights", []string{"Accept-Encoding", "br;q=1.0, GZIP;q=0.5"}, 200, true},
		{"in two lines", []string{"Accept-Encoding", "br", "Accept-Encoding", "gzip"}, 200, true},
		{"anything but gzip", []string{"Accept-Encoding", "gzip; q=0.0, br"}, 200, false},
		{"something like it", []string{"Accept-Encoding", "xgzip"}, 200, false},
		{"the same again", []string{"If-None-Match", tag}, 304, false},
		{"a proxy has compressed it", []string{"If-None-Match", "W/" + tag}, 304, false},
		{"one of several", []string{"If-None-Match", `"x", ` + tag + `, "y"`}, 304, false},
		{"anything", []string{"If-None-Match", "*"}, 304, false},
		{"an older one", []string{"If-None-Match", `"` + other.Version() + `"`}, 200, false},
		{"no tag, though it contains it", []string{"If-None-Match", `"x` + a.Version() + `"`}, 200, false},
		{"without quotes", []string{"If-None-Match", a.Version()}, 200, false},
	} {
		res := ask(a, http.StatusOK, c.header...)
		var body io.Reader = res.Body
		if zipped := res.Header.Get("Content-Encoding") == "gzip"; zipped != c.zipped || res.StatusCode != c.status {
			t.Errorf("%s: %s %v", c.name, res.Status, res.Header)
			continue
		}
		if c.zipped {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(body)
		if want := map[int]string{200: text}[c.status]; err != nil || string(b) != want {
			t.Errorf("%s: %.40q %v", c.name, b, err)
		}
		if vary := strings.Join(res.Header.Values("Vary"), ", "); res.Header.Get("ETag") != tag || vary != "Cookie, Accept-Encoding" {
			t.Errorf("%s: %v", c.name, res.Header)
		}
	}
	if res := ask(a, http.StatusForbidden, "If-None-Match", tag); res.StatusCode != http.StatusForbidden || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("a refusal: %s %v", res.Status, res.Header)
	}
}
