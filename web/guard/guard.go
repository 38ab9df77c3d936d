// Package guard keeps a page to itself: it answers under its own names only, its browser loads nothing from elsewhere, and no other site posts in its visitor's name.
package guard

import (
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guard stands before every answer of a page.
type Guard struct {
	origins []string
	hosts   []string // those of origins
	policy  string
	foreign *http.CrossOriginProtection
}

// New makes a Guard. Origins ("https://chat.example.org") are where the page is: it answers under their names, too, and they may post beside the host that a
// request names. Pictures come from the page's own host and the further sources ("blob:").
func New(origins []string, pictures ...string) (*Guard, error) {
	g := &Guard{origins: origins, foreign: http.NewCrossOriginProtection(), policy: contentPolicy(pictures)}
	for _, o := range origins {
		if err := g.foreign.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("origin %q: %w", o, err)
		}
		u, err := url.Parse(o)
		if err != nil {
			return nil, fmt.Errorf("origin %q: %w", o, err)
		}
		g.hosts = append(g.hosts, strings.ToLower(u.Hostname()))
	}
	return g, nil
}

// contentPolicy lets a page load its own files and nothing else; scripts cannot even make HTML out of text.
func contentPolicy(pictures []string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src " + strings.Join(append([]string{"'self'"}, pictures...), " ") + "; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// Handler sets the headers of every answer, and lets only those posts through that are JSON and come from the page itself. Its refusals are
// JSON: {"code": "foreign_origin" or "not_json", "error": a sentence}; whoever asks under a name that is not the page's gets 421 and a sentence alone, because
// people see it in a browser.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", g.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if !g.ownHost(r.Host) {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusMisdirectedRequest)
			fmt.Fprintf(w, unknownHost, r.Host[:min(len(r.Host), 100)]) // the visitor may be gone
			return
		}
		if r.Method == http.MethodPost {
			if !g.ownOrigin(r) {
				Refuse(w, http.StatusForbidden, "foreign_origin", "This request came from another site.")
				return
			}
			// No form of another site can send this type.
			if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
				Refuse(w, http.StatusUnsupportedMediaType, "not_json", "Send JSON with Content-Type: application/json.")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

const unknownHost = "Potluck does not answer under the name %q. Open it by its IP address or as localhost. If this name is Potluck's own, " +
	"set http.public_url (or POTLUCK_HTTP_PUBLIC_URL) to the address with this name, and restart it.\n"

// ownHost tells whether a request names a host that is the page's. Anybody can point a name of theirs at this machine, and a page of theirs would then talk to
// this one from the visitor's own network, as if it were the same site. So a name counts only if it is an origin's, or nobody from outside can point it
// anywhere: an IP address, localhost, and names that one's own network alone answers, which have no dot or end in .local.
func (g *Guard) ownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name != "" && !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".local") || slices.Contains(g.hosts, name)
}

// ownOrigin is stricter than the standard check: an Origin that is present must fit even when Sec-Fetch-Site says same-origin.
func (g *Guard) ownOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && !slices.Contains(g.origins, origin) {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return g.foreign.Check(r) == nil
}

// Refuse answers with JSON: a code for the page, which has the sentence in more languages, and the sentence.
func Refuse(w http.ResponseWriter, status int, code, sentence string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"code": code, "error": sentence}) // the visitor may be gone
}
