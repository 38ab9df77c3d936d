package webchat

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
)

//go:embed assets
var embedded embed.FS

// asset is one file of the page, ready to be served.
type asset struct {
	kind    string // Content-Type
	plain   []byte
	zipped  []byte
	version string // start of its hash: in its address and its ETag
}

type assets map[string]*asset

// loadAssets reads the embedded page. Scripts and styles carry their hash in their address, so browsers keep them for ever.
func loadAssets(title string) (assets, error) {
	kinds := map[string]string{
		"app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
	}
	all := assets{}
	version := map[string]string{}
	for name, kind := range kinds {
		data, err := embedded.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		all[name] = newAsset(kind, data)
		version[strings.ReplaceAll(name, ".", "_")] = all[name].version
	}
	t, err := template.ParseFS(embedded, "assets/index.html")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Title": title, "Version": version}); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	all["index.html"] = newAsset("text/html; charset=utf-8", b.Bytes())
	return all, nil
}

func newAsset(kind string, data []byte) *asset {
	sum := sha256.Sum256(data)
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	z.Write(data) // into memory: cannot fail
	z.Close()
	return &asset{kind: kind, plain: data, zipped: b.Bytes(), version: hex.EncodeToString(sum[:8])}
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
	if strings.Contains(r.Header.Get("If-None-Match"), h.Get("ETag")) {
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
