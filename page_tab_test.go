package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// openBrowser starts a headless Chromium; each tab in it is a visitor with cookies of its own.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium on this machine: the page was not tried in a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	timed, stopTime := context.WithTimeout(allocator, 3*patience)
	root, end := chromedp.NewContext(timed)
	t.Cleanup(func() {
		if err := chromedp.Cancel(root); err != nil {
			t.Logf("close browser: %v", err)
		}
		end()
		stopTime()
		stop()
	})
	if err := chromedp.Do(root, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return root
}

// tab is one visitor's page in the browser.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	heard    []string // what should never happen
	received float64  // bytes over the wire, headers included
}

// sight is how a visitor's browser looks at the page.
type sight struct {
	width, height int64
	scheme        string
	language      string
	touch         bool
}

var (
	deskByDay    = sight{1400, 900, "light", "en-US", false}
	deskByNight  = sight{1400, 900, "dark", "en-US", false}
	phoneByDay   = sight{360, 740, "light", "es-ES", true}
	phoneByNight = sight{360, 740, "dark", "es-ES", true}
)

func openTab(t *testing.T, browser context.Context, base string, s sight) *tab {
	t.Helper()
	p := &tab{t: t, base: base}
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	t.Cleanup(end)
	p.ctx = ctx
	command(p, network.Enable, network.EnableParams{})
	command(p, page.Enable, page.EnableParams{})
	command(p, cdplog.Enable, cdp.Empty{})
	command(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	command(p, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": s.language}})
	p.see(s)
	return p
}

// command sends one command of the DevTools protocol.
func command[P, R any](p *tab, c cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, c, params); err != nil {
		p.t.Fatalf("%s: %v", c.Method, err)
	}
}

// see changes the size of the window, its colours and whether there is a finger or a mouse.
func (p *tab) see(s sight) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(s.width, s.height, func(m *emulation.SetDeviceMetricsOverrideParams, f *emulation.SetTouchEmulationEnabledParams) {
		m.Mobile, f.Enabled = s.touch, s.touch
	}))
	command(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: s.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	p.frame()
}

// frame waits until the browser has drawn what is there now.
func (p *tab) frame() {
	p.t.Helper()
	value[bool](p, `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.heard = append(p.heard, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			p.heard = append(p.heard, fmt.Sprintf("console: %+v", e.Args))
		}
	case *cdplog.EventEntryAdded:
		// A page that comes to a bot which is down hears that from the network; a breach of the policy is of "security".
		if e.Entry.Source != "network" && e.Entry.Level == "error" {
			p.heard = append(p.heard, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
		}
	case *page.EventJavascriptDialogOpening:
		p.heard = append(p.heard, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.base+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			p.heard = append(p.heard, "request to "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		p.received += e.EncodedDataLength
	}
}

// complaints is what should never have happened.
func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

func (p *tab) bytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.received)
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// value runs a script in the page; a promise is waited for.
func value[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a condition in the page.
func (p *tab) until(condition string) {
	p.t.Helper()
	var err error
	for range 5 { // a page that loads anew takes the question with it
		_, err = chromedp.Run(p.ctx, chromedp.Poll[bool](condition, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(patience)))
		if err == nil {
			return
		}
		if strings.Contains(err.Error(), "timeout") {
			break
		}
	}
	p.t.Fatalf("never true: %s: %v; the page shows %q", condition, err, value[string](p, `document.body?.innerText || ""`))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
	value[bool](p, fmt.Sprintf(`(() => { document.querySelector(%q).scrollIntoView({ block: "nearest" }); return true; })()`, selector))
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// enterKey presses Enter as a keyboard does: key and character are one event, so that who prevents the one prevents the other.
func (p *tab) enterKey() {
	p.t.Helper()
	for _, e := range []input.DispatchKeyEventParams{{Type: "keyDown", Text: "\r"}, {Type: "keyUp"}} {
		e.Key, e.Code, e.WindowsVirtualKeyCode = "Enter", "Enter", 13
		command(p, input.DispatchKeyEvent, e)
	}
}

// enter opens the page and takes a seat.
func (p *tab) enter(name string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.base + "/"))
	p.until(`document.querySelector("#name-dialog[open]") !== null`)
	p.do(chromedp.SendKeys(chromedp.CSS("#name"), name))
	p.enterKey()
	p.live()
}

func (p *tab) live() {
	p.t.Helper()
	p.until(`document.documentElement.dataset.state === "live" && !document.querySelector("#name-dialog").open && !document.querySelector("#glance").hidden`)
}

// say types a message and sends it by Enter.
func (p *tab) say(text string) {
	p.t.Helper()
	value[bool](p, `(() => { const b = document.querySelector("#text"); b.focus(); b.select(); return true; })()`)
	p.do(chromedp.KeyEvent(text))
	if strings.HasPrefix(text, "/") {
		p.keys("\x1b") // the list of completions
	}
	p.enterKey()
	p.until(fmt.Sprintf(`%s.some((m) => m.text === %q && !m.sending)`, messages, text))
}

// messages lists what stands in the open chat.
const messages = `[...document.querySelectorAll("[role=tabpanel]:not([hidden]) .msg")].map((n) => ({
	id: n.dataset.id, text: n.querySelector(".body").textContent, bot: n.matches(".bot"), cooking: n.matches(".cooking"), sending: n.matches(".sending"),
	mine: n.matches(".mine"), edited: !n.querySelector(".edited").hidden, of: n.querySelector(".quote")?.dataset.of || "",
	buttons: [...n.querySelectorAll(".buttons .button")].map((b) => b.textContent), pictures: n.querySelectorAll(".picture img").length }))`

type shownMessage struct {
	ID, Text, Of                        string
	Bot, Cooking, Sending, Mine, Edited bool
	Buttons                             []string
	Pictures                            int
}

func (p *tab) messages() []shownMessage {
	p.t.Helper()
	return value[[]shownMessage](p, messages)
}

// await waits for a message for which a condition over m holds, and returns the newest one.
func (p *tab) await(condition string) shownMessage {
	p.t.Helper()
	p.until(messages + `.some((m) => ` + condition + `)`)
	return value[shownMessage](p, messages+`.findLast((m) => `+condition+`)`)
}

// choose opens the menu of a message and chooses the item with that icon.
func (p *tab) choose(id, icon string) {
	p.t.Helper()
	// On a phone a message that follows another by the same author shows its menu when it is touched.
	value[bool](p, fmt.Sprintf(`(() => { document.querySelector('[data-id="%s"]').focus(); return true; })()`, id))
	p.click(fmt.Sprintf(`[data-id="%s"] .tools .icon:last-child`, id))
	p.until(`document.querySelector("#menu").matches(":popover-open")`)
	item := fmt.Sprintf(`.menu-item:has([href="#i-%s"])`, icon)
	p.do(chromedp.Click(chromedp.CSS(item)))
}

// press presses a button of a message.
func (p *tab) press(id, label string) {
	p.t.Helper()
	value[bool](p, fmt.Sprintf(`(() => { const b = [...document.querySelectorAll('[data-id="%s"] .button')].find((b) => b.textContent === %q); b.scrollIntoView(); b.click(); return true; })()`, id, label))
}

func navigate(address string) chromedp.Action[chromedp.Void] { return chromedp.Navigate(address) }

func clickOn(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

// replace puts a text into a box as typing would, in place of what is there.
func (p *tab) replace(selector, text string) {
	p.t.Helper()
	value[bool](p, fmt.Sprintf(`(() => { const b = document.querySelector(%q); b.focus(); b.value = %q; b.setSelectionRange(b.value.length, b.value.length); b.dispatchEvent(new Event("input", { bubbles: true })); return true; })()`, selector, text))
}
