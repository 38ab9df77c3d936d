package operator

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"potluck/web/reader"
)

//go:embed assets
var embedded embed.FS

// asset is one file of the page, ready to be served. It says nothing about this Potluck, so everybody may have it.
type asset struct {
	kind    string // Content-Type
	plain   []byte
	zipped  []byte
	version string // start of its hash: in its address and its ETag
}

func readAssets() (map[string]*asset, error) {
	all := map[string]*asset{}
	for name, kind := range map[string]string{
		"view.js": "text/javascript; charset=utf-8", "charts.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		b, err := embedded.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		sum := sha256.Sum256(b)
		all[name] = &asset{kind: kind, plain: b, zipped: zip(b, gzip.BestCompression), version: hex.EncodeToString(sum[:8])}
	}
	return all, nil
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.version+`"`)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), a.version) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	w.Write(body) // the visitor may be gone
}

var pages = template.Must(template.ParseFS(embedded, "assets/*.html"))

// page shows the view to operators, and tells everybody else how to become one.
func (v *View) page(w http.ResponseWriter, r *http.Request) {
	_, ok, err := v.config.Who(r)
	switch {
	case err != nil:
		v.broken(w, r, err)
	case !ok:
		v.show(w, r, http.StatusForbidden, "plain.html", "denied")
	default:
		v.show(w, r, http.StatusOK, "index.html", "title")
	}
}

func (v *View) missing(w http.ResponseWriter, r *http.Request) {
	v.show(w, r, http.StatusNotFound, "plain.html", "missing")
}

// show writes a page in the reader's language. what is the key of its heading.
func (v *View) show(w http.ResponseWriter, r *http.Request, status int, name, what string) {
	said := v.texts[reader.Language(r)]
	version := map[string]string{}
	for name, a := range v.assets {
		version[strings.ReplaceAll(name, ".", "_")] = a.version
	}
	var b bytes.Buffer
	err := pages.ExecuteTemplate(&b, name, map[string]any{
		"Title": v.config.Title, "Version": version, "Lang": said.Lang, "T": said.T, "Texts": said.JSON, "Heading": said.T[what], "Text": said.T[what+"_text"],
	})
	if err != nil {
		v.broken(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", said.Lang)
	h.Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	w.Write(b.Bytes()) // the visitor may be gone
}
