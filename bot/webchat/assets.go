package webchat

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"

	"potluck/web/asset"
	"potluck/web/guard"
	"potluck/web/reader"
)

//go:embed assets
var embedded embed.FS

// assets is everything that the page is made of. Scripts and styles stand below /webchat/assets/<version>/, where the version is the hash of
// them all: browsers keep them for ever, and a module imports its neighbours by their plain names.
type assets struct {
	files   map[string]*asset.Asset
	pages   map[string]*asset.Asset // the page in each language
	used    map[string]*asset.Asset // what a used operator link shows, in each language
	version string
}

func loadAssets(title string) (*assets, error) {
	a := &assets{files: map[string]*asset.Asset{}, pages: map[string]*asset.Asset{}, used: map[string]*asset.Asset{}}
	listed, err := embedded.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	all := sha256.New()
	var modules []string
	for _, f := range listed { // sorted by name
		kind := asset.Kind(f.Name())
		if kind == "" {
			continue
		}
		data, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		fmt.Fprintf(all, "%s %d\n%s", f.Name(), len(data), data)
		a.files[f.Name()] = asset.New(kind, data)
		if path.Ext(f.Name()) == ".js" && f.Name() != "app.js" {
			modules = append(modules, f.Name())
		}
	}
	a.version = hex.EncodeToString(all.Sum(nil)[:8])
	t, err := template.ParseFS(embedded, "assets/*.html")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	for _, l := range reader.Languages() {
		words, err := readWords(l)
		if err != nil {
			return nil, err
		}
		values := map[string]any{"Title": title, "Language": l, "Languages": reader.Names(), "Words": words, "Modules": modules, "Assets": "/webchat/assets/" + a.version}
		for file, pages := range map[string]map[string]*asset.Asset{"index.html": a.pages, "used.html": a.used} {
			var b bytes.Buffer
			if err := t.ExecuteTemplate(&b, file, values); err != nil {
				return nil, fmt.Errorf("write page: %w", err)
			}
			pages[l] = asset.New("text/html; charset=utf-8", b.Bytes())
		}
	}
	return a, nil
}

// readWords reads the texts of the page in one language.
func readWords(language string) (map[string]any, error) {
	data, err := embedded.ReadFile("assets/words/" + language + ".json")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var words map[string]any
	if err := json.Unmarshal(data, &words); err != nil {
		return nil, fmt.Errorf("read page: words of %s: %w", language, err)
	}
	return words, nil
}

// file serves GET /webchat/assets/{version}/{name}. A page that was loaded before an update gets the newest file rather than none.
func (p *Page) file(w http.ResponseWriter, r *http.Request) {
	a := p.assets.files[r.PathValue("name")]
	if a == nil {
		guard.Refuse(w, http.StatusNotFound, "no_file", "There is no such file.")
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	if r.PathValue("version") == p.assets.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	a.Serve(w, r, http.StatusOK)
}

// index serves the page in the language of its reader.
func (p *Page) index(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Language, Cookie")
	p.assets.pages[reader.Language(r)].Serve(w, r, http.StatusOK)
}
