package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// judges is where scripts/install.sh puts axe-core and the validators.
const judges = ".pagecheck/node_modules"

// axe is the source of axe-core; empty where it is not installed.
var axe = sync.OnceValue(func() string {
	source, err := os.ReadFile(filepath.Join(judges, "axe-core", "axe.min.js"))
	if err != nil {
		return ""
	}
	return string(source)
})

// accessible has axe-core look for what would keep people out of the page as it is now.
func (p *tab) accessible(where string) {
	p.t.Helper()
	if axe() == "" {
		return // told once by the test
	}
	value[bool](p, `(() => { if (!window.axe) {`+axe()+`}; return true; })()`)
	type violation struct {
		ID, Impact, Help string
		Nodes            []string
	}
	for _, v := range value[[]violation](p, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help,
		nodes: v.nodes.slice(0, 3).map((n) => n.target.join(" ") + ": " + n.failureSummary) })))`) {
		if v.Impact == "serious" || v.Impact == "critical" {
			p.t.Errorf("%s: axe: %s %s: %s\n%s", where, v.Impact, v.ID, v.Help, strings.Join(v.Nodes, "\n"))
		} else {
			p.t.Logf("%s: axe: %s %s: %s %s", where, v.Impact, v.ID, v.Help, v.Nodes)
		}
	}
}

// geometry lists what lies over something else, or beyond the window.
const geometry = `(() => {
	const wrong = [], seen = (n) => n.checkVisibility({ opacityProperty: true }) && n.getBoundingClientRect().width > 1;
	const name = (n) => n.id ? "#" + n.id : n.tagName.toLowerCase() + "." + String(n.className).replaceAll(" ", ".");
	const part = (...selectors) => selectors.flatMap((s) => [...document.querySelectorAll(s)]).filter(seen);
	const apart = (nodes) => nodes.forEach((a, i) => nodes.slice(i + 1).forEach((b) => {
		if (a.contains(b) || b.contains(a)) return;
		const x = a.getBoundingClientRect(), y = b.getBoundingClientRect();
		const w = Math.min(x.right, y.right) - Math.max(x.left, y.left), h = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
		if (w > 1 && h > 1) wrong.push(name(a) + " lies over " + name(b) + " by " + Math.round(w) + "×" + Math.round(h));
	}));
	apart(part(".brand", ".head", "#me", ".chats", "#logs", ".foot"));
	apart(part(".brand-pot", ".brand-name", "#room-name", "#state:not(.live)", "#glance", "#me"));
	apart(part("#slash", "#text", "#send", "#context p", "#context-cancel"));
	apart(part(".tab"));
	apart(part("[role=tabpanel]:not([hidden]) .table > *"));
	for (const m of part("[role=tabpanel]:not([hidden]) .msg")) apart([...m.querySelectorAll(".avatar, .meta > *, .body, .picture, .small-print, .buttons .button, .quote, .only-note")].filter(seen));
	// With a mouse the tools of a message lie over it while it is pointed at; with a finger they are always there.
	if (matchMedia("(hover: none)").matches) for (const m of part("[role=tabpanel]:not([hidden]) .msg")) apart([...m.querySelectorAll(".tools, .meta > *, .body, .picture, .quote")].filter(seen));
	apart(part("#menu:popover-open .menu-item"));
	apart(part("#viewer[open] > .icon", "#viewer-count", "#viewer-save", "#viewer-close", "#viewer-alt"));
	apart(part("#completion .row", "#completion .row-head"));
	for (const n of part("button", "a", "input", "select", "textarea", ".body", "dialog[open]", "[popover]:popover-open", "#completion")) {
		const r = n.getBoundingClientRect();
		if (n.closest(".tabs") || n.closest("pre") || n.closest(".skip")) continue;
		if (r.left < -0.5 || r.right > innerWidth + 0.5) wrong.push(name(n) + " reaches from " + Math.round(r.left) + " to " + Math.round(r.right) + " of " + innerWidth);
	}
	const root = document.documentElement;
	if (root.scrollWidth > root.clientWidth || document.body.scrollWidth > innerWidth) wrong.push("the page scrolls sideways");
	for (const log of part(".log")) if (log.scrollWidth > log.clientWidth) wrong.push("the messages scroll sideways");
	return wrong;
})()`

// fits checks the geometry of the page as it is now.
func (p *tab) fits(where string) {
	p.t.Helper()
	p.frame()
	for _, wrong := range value[[]string](p, geometry) {
		p.t.Errorf("%s: %s", where, wrong)
	}
}

// fine is everything that must hold of the page in any state.
func (p *tab) fine(where string) {
	p.t.Helper()
	p.fits(where)
	p.accessible(where)
}

// judge runs one of the validators over a file.
func judge(t *testing.T, program string, arguments ...string) {
	t.Helper()
	at, err := filepath.Abs(filepath.Join(judges, ".bin", program))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); err != nil {
		t.Skipf("%s is not installed (scripts/install.sh check): it did not look at the page", program)
	}
	if said, err := exec.Command(at, arguments...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", program, err, said)
	}
}

// What the page serves is valid HTML and CSS in every language.
func TestThePageIsValid(t *testing.T) {
	k := &kitchen{t: t, data: t.TempDir(), addr: "127.0.0.1:0"}
	k.startBot()
	get := func(path, language string) string {
		t.Helper()
		r, err := http.NewRequest("GET", "http://"+k.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", language)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if policy := res.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		return string(b)
	}
	dir := t.TempDir()
	rules, err := json.Marshal(map[string]any{"root": true, "extends": []string{"html-validate:standard"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".htmlvalidate.json"), string(rules))
	html := ""
	for _, language := range []string{"en", "es", "de", "ja"} {
		html = get("/", language)
		if !strings.Contains(html, fmt.Sprintf(`<html lang="%s">`, language)) {
			t.Errorf("%s: the page begins with %.80q", language, html)
		}
		write(t, filepath.Join(dir, language+".html"), html)
		write(t, filepath.Join(dir, "used-"+language+".html"), get("/webchat/operator?token=used", language))
	}
	style := regexp.MustCompile(`/webchat/assets/\w+/style\.css`).FindString(html)
	write(t, filepath.Join(dir, "style.css"), get(style, "en"))
	t.Run("HTML", func(t *testing.T) { judge(t, "html-validate", dir) })
	t.Run("CSS", func(t *testing.T) { judge(t, "csstree-validator", filepath.Join(dir, "style.css")) })
}
