package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	"potluck/web/operator"
	"potluck/web/reader"
)

// TestTheOperatorsViewInABrowser: the real programs, a machine with the demonstration engine, three visitors who want more than it can do at once.
func TestTheOperatorsViewInABrowser(t *testing.T) {
	browser := openBrowser(t)
	k := openKitchen(t)
	base := "http://" + k.addr
	k.lend(k.operator, "stove", demoKitchen)

	stranger := openTab(t, browser, base, phoneByNight)
	stranger.do(navigate(base + operator.Path))
	stranger.until(`document.querySelector("h1")?.textContent.includes("operador") && !document.querySelector("#worker-cards")`)
	stranger.fits("a stranger on a phone")
	stranger.accessible("a stranger on a phone")

	desk := openTab(t, browser, base, deskByDay)
	lendSession(desk, k.operator)
	desk.do(navigate(base + operator.Path))
	desk.until(`document.querySelector("#state").classList.contains("live")`)
	desk.until(`document.querySelector("#worker-cards h3")?.textContent === "stove" && document.querySelector("#worker-cards .chips") !== null`)

	answered := k.guest.ask(question) // so that the pictures have something to show
	desk.until(`document.querySelectorAll("#charts .bar").length > 0 && document.querySelectorAll("#job-rows tr").length > 0`)
	t.Logf("job %s is on the pictures", jobOf(t, answered))

	// Two of six pictures are drawn at once; the machine is paused, and each of the others says so.
	visitors := []*visitor{k.guest, k.visit("Ada"), k.visit("Bo")}
	for _, v := range visitors {
		v.say("/imagine a lighthouse at dusk")
		v.say("/imagine a fox in the snow")
	}
	desk.until(`[...document.querySelectorAll("#job-rows .badge")].filter((b) => b.textContent === "waiting").length >= 2`)
	desk.until(`document.querySelector("#job-rows").innerText.includes("is busy")`)
	value[bool](desk, `(() => { document.querySelector('#worker-cards [data-focus="pause"]').click(); return true; })()`)
	desk.until(`document.querySelector("#confirm").open`)
	desk.accessible("the question whether to pause")
	desk.click("#confirm-yes")
	desk.until(`document.querySelector("#worker-cards .badge").textContent === "paused" && document.querySelector("#job-rows").innerText.includes("The workers that can do it are paused.")`)
	value[bool](desk, `(() => { [...document.querySelectorAll("#job-rows tr")].find((r) => r.innerText.includes("that can do it are paused")).querySelector("button").click(); return true; })()`)
	desk.until(`document.querySelector("#job-dialog").open && /stove\s*paused/.test(document.querySelector("#job-body").innerText)`)
	desk.accessible("a job's details")
	desk.click("#job-close")
	value[bool](desk, `(() => { document.querySelector('#worker-cards [data-focus="resume"]').click(); return true; })()`)
	desk.until(`document.querySelector("#worker-cards .badge").textContent === "here"`)

	// A machine that was done for the day, with nothing to do, stood there with all slots at work.
	k.operator.say("/worker limits jobs:1")
	desk.until(`document.querySelector("#worker-cards .badge").textContent === "paused" && document.querySelector("#worker-cards .meter-words").textContent.startsWith("0 of ")`)
	k.operator.say("/worker limits jobs:0")

	desk.click("#audit")
	desk.until(`document.querySelector("#audit-result").textContent.includes("Every invariant holds")`)
	for _, span := range []string{"day", "week"} {
		desk.click("input[value=" + span + "]")
		desk.until(`document.querySelectorAll("#charts .bar").length > 0 && document.querySelector("#reading").textContent === ""`)
		// Of a day with hardly anybody in line, the axis said 0, 0, 0.
		if axes := value[[]string](desk, `[...document.querySelectorAll("#charts svg")].map((s) => [...s.querySelectorAll("text[text-anchor=end]")].map((t) => t.textContent)).filter((l) => new Set(l).size !== l.length).map((l) => l.join(" "))`); len(axes) > 0 {
			t.Errorf("over a %s axes say %q", span, axes)
		}
		// Nor is 0.0008 of a job a height that anybody can read.
		if top := value[string](desk, `[...document.querySelectorAll("#charts svg")[1].querySelectorAll("text[text-anchor=end]")].pop()?.textContent ?? "none"`); strings.HasPrefix(top, "0") {
			t.Errorf("over a %s the axis of those in line ends at %s", span, top)
		}
	}
	if values := value[[]string](desk, `(() => { const d = document.querySelector("#charts details"); d.open = true; return new Promise((r) => setTimeout(() => r([...d.querySelectorAll("td")].map((n) => n.textContent).filter((s) => s !== "–")), 50)); })()`); len(values) == 0 {
		t.Error("the table beside the waits is empty")
	}
	desk.accessible("the whole view by day")
	desk.fits("the whole view on a desk")
	for _, s := range []sight{phoneByNight, phoneByDay, deskByNight} {
		desk.see(s)
		// On a phone the caption of the line stood one letter wide, and the last cell of a job said not what it is.
		if w := value[float64](desk, `document.querySelector("#c-queue").getBoundingClientRect().width`); w < 150 {
			t.Errorf("%s: the caption is %v pixels wide", s.scheme, w)
		}
		if s.width < 500 && !value[bool](desk, `(() => { const last = getComputedStyle(document.querySelector("#job-rows td:last-child"), "::before"); return last.display !== "none" && last.content !== "none"; })()`) {
			t.Errorf("%s: the last cell of a job has no label", s.scheme)
		}
		desk.fits("the whole view, " + s.scheme)
		desk.accessible("the whole view, " + s.scheme)
	}
	for name, p := range map[string]*tab{"the operator": desk, "the stranger": stranger} {
		for _, c := range p.complaints() {
			t.Errorf("%s's browser: %s", name, c)
		}
	}
}

// lendSession gives a tab the cookie of a visitor.
func lendSession(p *tab, v *visitor) {
	p.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		command(p, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: v.base})
	}
}

// The operator's session holds over a restart, the one-time address works once, and what a page of another site sends changes nothing.
func TestTheOperatorsSessionOverARestart(t *testing.T) {
	k := openKitchen(t)
	k.lend(k.operator, "stove", demoKitchen)
	status := func(v *visitor, method, path string) int {
		t.Helper()
		var body any
		if method == http.MethodPost {
			body = map[string]string{}
		}
		res := v.request(method, path, body)
		defer res.Body.Close()
		return res.StatusCode
	}
	used := k.bot.said(k.bot.out, `Be its operator: \S+(/webchat/operator\S+)`)[1]
	if code := status(k.guest, http.MethodGet, used); code != http.StatusForbidden {
		t.Errorf("the one-time address a second time: %d", code)
	}
	for path, want := range map[string]int{operator.Path: 403, operator.Path + "/now": 403, operator.Path + "/settings": 403, operator.Path + "/nothing": 404} {
		if code := status(k.guest, http.MethodGet, path); code != want {
			t.Errorf("%s as a guest: %d, want %d", path, code, want)
		}
	}
	if code := status(k.guest, http.MethodPost, operator.Path+"/workers/1/revoke"); code != http.StatusForbidden {
		t.Errorf("a guest unlinks a worker: %d", code)
	}
	k.bot.stop()
	k.startBot()
	if code := status(k.operator, http.MethodGet, operator.Path); code != http.StatusOK {
		t.Errorf("the operator after a restart: %d", code)
	}
	if code := status(k.guest, http.MethodGet, operator.Path); code != http.StatusForbidden {
		t.Errorf("a guest after a restart: %d", code)
	}
	if code := status(k.operator, http.MethodPost, operator.Path+"/workers/1/revoke"); code != http.StatusOK {
		t.Errorf("the operator unlinks a worker: %d", code)
	}
}

// read gets a page in a language.
func (v *visitor) read(path, language string) string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", language)
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(b)
}

// Secrets never leave the program, and everything else of the configuration does.
func TestSettingsHideSecrets(t *testing.T) {
	c := defaultConfig()
	c.DataDir = "/somewhere"
	c.Discord.Token = "abc.def.ghi"
	list := settings(c)
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "abc.def") {
		t.Errorf("a token is shown: %s", b)
	}
	find := func(key string) operator.Setting {
		t.Helper()
		i := slices.IndexFunc(list, func(s operator.Setting) bool { return s.Key == key })
		if i < 0 {
			t.Fatalf("%s is not listed", key)
		}
		return list[i]
	}
	if s := find("discord.token"); !s.Secret || !s.Set {
		t.Errorf("%+v", s)
	}
	if s := find("data_dir"); s.Value != "/somewhere" || s.Default != "./data" || !s.Set {
		t.Errorf("%+v", s)
	}
	if s := find("workers.first_token"); s.Secret || s.Value != "1m0s" {
		t.Errorf("a time was taken for a secret: %+v", s)
	}
	if s := find("limits.job_wait"); s.Value != "10m0s" || s.Set {
		t.Errorf("%+v", s)
	}
}

// What the operator's view serves is valid HTML and CSS in every language.
func TestTheOperatorsViewIsValid(t *testing.T) {
	k := openKitchen(t)
	dir := t.TempDir()
	rules, err := json.Marshal(map[string]any{"root": true, "extends": []string{"html-validate:standard"}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".htmlvalidate.json"), string(rules))
	for _, l := range reader.Languages() {
		for who, v := range map[string]*visitor{"operator": k.operator, "guest": k.guest} {
			write(t, filepath.Join(dir, who+"-"+l+".html"), v.read(operator.Path, l))
		}
	}
	write(t, filepath.Join(dir, "style.css"), k.guest.read(operator.Path+"/assets/style.css", "en"))
	t.Run("HTML", func(t *testing.T) { judge(t, "html-validate", dir) })
	t.Run("CSS", func(t *testing.T) { judge(t, "csstree-validator", filepath.Join(dir, "style.css")) })
}
