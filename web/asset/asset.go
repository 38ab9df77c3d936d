// Package asset serves the files that a page is made of: typed, compressed, and known again by the browser that has them.
package asset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
)

var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

// Kind is the Content-Type of a file of a page by its name; empty where a page serves no such files.
func Kind(name string) string { return kinds[path.Ext(name)] }

// Asset is one file, ready to be served. It never changes.
type Asset struct {
	kind    string // Content-Type
	plain   []byte
	zipped  []byte
	version string
}

// New compresses data, which it keeps.
func New(kind string, data []byte) *Asset {
	return &Asset{kind: kind, plain: data, zipped: Zip(data, gzip.BestCompression), version: version(data)}
}

// Zip compresses data as Content-Encoding gzip; level is one of compress/gzip.
func Zip(data []byte, level int) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, level)
	z.Write(data) // into memory: cannot fail
	z.Close()
	return b.Bytes()
}

// version is the start of a hash: 16 hexadecimal digits.
func version(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Tag is the ETag of data.
func Tag(data []byte) string { return `"` + version(data) + `"` }

// Version changes with the content: 16 hexadecimal digits, for an address that may be kept for ever.
func (a *Asset) Version() string { return a.version }

// Plain returns the content, which nobody changes.
func (a *Asset) Plain() []byte { return a.plain }

// Zipped returns the content as Content-Encoding gzip, which nobody changes.
func (a *Asset) Zipped() []byte { return a.zipped }

// Serve answers with the content, or only that the browser has it (304, where status is 200). Cache-Control and further Vary headers are the caller's,
// set before.
func (a *Asset) Serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	tag := `"` + a.version + `"`
	h.Set("ETag", tag)
	h.Add("Vary", "Accept-Encoding")
	if status == http.StatusOK && Known(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.kind)
	body := a.plain
	if TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	w.WriteHeader(status)
	w.Write(body) // the visitor may be gone
}

// Known tells whether whoever asks has the content with that ETag. A proxy that compresses makes tags weak ("W/…") on their way.
func Known(r *http.Request, tag string) bool {
	for _, line := range r.Header.Values("If-None-Match") {
		for had := range strings.SplitSeq(line, ",") {
			if had = strings.TrimSpace(had); had == "*" || strings.TrimPrefix(had, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// TakesGzip tells whether whoever asks can read Content-Encoding gzip.
func TakesGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				q, given := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
				return !given || strings.Trim(q, "0.") != ""
			}
		}
	}
	return false
}
