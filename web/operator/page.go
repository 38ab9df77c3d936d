package operator

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"potluck/web/asset"
	"potluck/web/reader"
)

//go:embed assets
var embedded embed.FS

// readAssets reads the files of the page by their names. They say nothing about this Potluck, so everybody may have them.
func readAssets() (map[string]*asset.Asset, error) {
	all := map[string]*asset.Asset{}
	for _, name := range []string{"view.js", "charts.js", "style.css", "icon.svg"} {
		b, err := embedded.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		all[name] = asset.New(asset.Kind(name), b)
	}
	return all, nil
}

// serve serves one file; under the address that names its version browsers keep it for ever.
func serve(a *asset.Asset) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == a.Version() {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		a.Serve(w, r, http.StatusOK)
	}
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
		version[strings.ReplaceAll(name, ".", "_")] = a.Version()
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
