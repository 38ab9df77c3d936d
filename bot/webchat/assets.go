package webchat

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"

	"potluck/web/reader"
)

//go:embed assets
var embedded embed.FS

// asset is one file of the page, ready to be served.
type asset struct {
	kind    string // Content-Type
	plain   []byte
	zipped  []byte
	version string // start of its hash: its ETag
}

// assets is everything that the page is made of. Scripts and styles stand below /webchat/assets/<version>/, where the version is the hash of
// them all: browsers keep them for ever, and a module imports its neighbours by their plain names.
type assets struct {
	files   map[string]*asset
	pages   map[string]*asset // the page in each language
	used    map[string]*asset // what a used operator link shows, in each language
	version string
}

var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

func loadAssets(title string) (*assets, error) {
	a := &assets{files: map[string]*asset{}, pages: map[string]*asset{}, used: map[string]*asset{}}
	listed, err := embedded.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	all := sha256.New()
	var modules []string
	for _, f := range listed { // sorted by name
		kind := kinds[path.Ext(f.Name())]
		if kind == "" {
			continue
		}
		data, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		fmt.Fprintf(all, "%s %d\n%s", f.Name(), len(data), data)
		a.files[f.Name()] = newAsset(kind, data)
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
		for file, pages := range map[string]map[string]*asset{"index.html": a.pages, "used.html": a.used} {
			var b bytes.Buffer
			if err := t.ExecuteTemplate(&b, file, values); err != nil {
				return nil, fmt.Errorf("write page: %w", err)
			}
			pages[l] = newAsset("text/html; charset=utf-8", b.Bytes())
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

func newAsset(kind string, data []byte) *asset {
	sum := sha256.Sum256(data)
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	z.Write(data) // into memory: cannot fail
	z.Close()
	return &asset{kind: kind, plain: data, zipped: b.Bytes(), version: hex.EncodeToString(sum[:8])}
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.version+`"`)
	h.Add("Vary", "Accept-Encoding")
	if status == http.StatusOK && strings.Contains(r.Header.Get("If-None-Match"), h.Get("ETag")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	w.WriteHeader(status)
	w.Write(body) // the visitor may be gone
}

// file serves GET /webchat/assets/{version}/{name}. A page that was loaded before an update gets the newest file rather than none.
func (p *Page) file(w http.ResponseWriter, r *http.Request) {
	a := p.assets.files[r.PathValue("name")]
	if a == nil {
		refuse(w, http.StatusNotFound, "no_file", "There is no such file.")
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	if r.PathValue("version") == p.assets.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	a.serve(w, r, http.StatusOK)
}

// index serves the page in the language of its reader.
func (p *Page) index(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Language, Cookie")
	p.assets.pages[reader.Language(r)].serve(w, r, http.StatusOK)
}
