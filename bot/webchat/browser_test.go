package webchat_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
)

// browser starts a headless Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	var program string
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
		chromedp.Flag("no-first-run", true), chromedp.Flag("lang", "en-US"), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	timed, stopTime := context.WithTimeout(allocator, 5*time.Minute)
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

// openTab opens a tab with cookies of its own.
func openTab(t *testing.T, browser context.Context) (tab context.Context, complaints func() []string) {
	t.Helper()
	heard := make(chan string, 1000)
	tab, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(e any) {
		if what := complaint(e); what != "" {
			select {
			case heard <- what:
			default:
			}
		}
	}))
	t.Cleanup(end)
	for _, enable := range []func() error{
		func() error { _, err := chromedp.Call(tab, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(tab, page.Enable, page.EnableParams{}); return err },
	} {
		if err := enable(); err != nil {
			t.Fatalf("open a tab: %v", err)
		}
	}
	return tab, func() (all []string) {
		for {
			select {
			case s := <-heard:
				all = append(all, s)
			default:
				return all
			}
		}
	}
}

// complaint is what should never happen in the page.
func complaint(e any) string {
	switch e := e.(type) {
	case *runtime.EventExceptionThrown:
		return fmt.Sprintf("exception: %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			return fmt.Sprintf("console: %+v", e.Args)
		}
	case *page.EventJavascriptDialogOpening:
		return "dialog: " + e.Message
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "http://127.0.0.1:") && !strings.HasPrefix(e.Request.URL, "data:") {
			return "request to " + e.Request.URL
		}
	}
	return ""
}

// eval runs a script in the page and returns its value.
func eval[T any](t *testing.T, tab context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// run is for scripts without a value.
func run(t *testing.T, tab context.Context, script string) {
	t.Helper()
	eval[bool](t, tab, "(() => {"+script+"; return true })()")
}

// until waits for a condition in the page.
func until(t *testing.T, tab context.Context, condition string) {
	t.Helper()
	if _, err := chromedp.Run(tab, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(4*time.Minute))); err != nil {
		t.Fatalf("never true: %s: %v; the page shows %q", condition, err, eval[string](t, tab, "document.body.innerText"))
	}
}

const inLog = `[...document.querySelectorAll("[role=tabpanel]:not([hidden]) .msg .body")].map((n) => n.textContent)`

// enter fills the first-visit dialog.
func enter(t *testing.T, tab context.Context, tb *table, name string) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(tb.url+"/"), chromedp.WaitVisible(chromedp.CSS("#name-dialog[open]")), chromedp.SendKeys(chromedp.CSS("#name"), name), chromedp.Click(chromedp.CSS("#name-save"))); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `!document.querySelector("#name-dialog").open && document.querySelector("#state").classList.contains("live")`)
}

func key(t *testing.T, tab context.Context, init string) {
	t.Helper()
	eval[bool](t, tab, `document.querySelector("#text").dispatchEvent(new KeyboardEvent("keydown", {bubbles: true, cancelable: true, `+init+`}))`)
}

func TestThePageInABrowser(t *testing.T) {
	chromium := browser(t)
	t.Run("talk", func(t *testing.T) { talk(t, chromium) })
	t.Run("cards", func(t *testing.T) { cards(t, chromium) })
	t.Run("tabs", func(t *testing.T) { tabsFade(t, chromium) })
	t.Run("screenshots", func(t *testing.T) { screenshots(t, chromium) })
}

func talk(t *testing.T, chromium context.Context) {
	tb := lay(t)
	tab, complaints := openTab(t, chromium)

	// A refused name says why until another one is typed.
	if err := chromedp.Do(tab, chromedp.Navigate(tb.url+"/"), chromedp.WaitVisible(chromedp.CSS("#name-dialog[open]")), chromedp.SendKeys(chromedp.CSS("#name"), "Operator"), chromedp.Click(chromedp.CSS("#name-save"))); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.querySelector("#name-error").textContent.includes("Choose another one")`)
	if err := chromedp.Do(tab, chromedp.SendKeys(chromedp.CSS("#name"), "a")); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.querySelector("#name-error").textContent === ""`)
	run(t, tab, `document.querySelector("#name").value = ""`)
	enter(t, tab, tb, "Anna")

	// Typing and Enter.
	if err := chromedp.Do(tab, chromedp.SendKeys(chromedp.CSS("#text"), "Hello everybody\r")); err != nil {
		t.Fatal(err)
	}
	until(t, tab, inLog+`.includes("Hello everybody")`)
	if e := tb.event(); e.Text.Plain != "Hello everybody" || e.Name != "Anna" {
		t.Errorf("the bot got %+v", e)
	}

	// An input method's Enter chooses a word; it never sends.
	run(t, tab, `const b = document.querySelector("#text"); b.focus(); b.value = "こんにち"; b.dispatchEvent(new Event("input"));`)
	key(t, tab, `key: "Enter", isComposing: true`)
	key(t, tab, `key: "Enter", keyCode: 229`)
	key(t, tab, `key: "Enter", shiftKey: true`)
	if got := eval[string](t, tab, `document.querySelector("#text").value`); got != "こんにち" {
		t.Errorf("after a composing Enter the box holds %q", got)
	}
	key(t, tab, `key: "Enter", keyCode: 13`)
	until(t, tab, inLog+`.includes("こんにち")`)
	if e := tb.event(); e.Text.Plain != "こんにち" {
		t.Errorf("the bot got %q, want what was composed, once", e.Text.Plain)
	}

	// Scripts stay text: from a visitor, in a name, in spans of the bot, in a picture's words.
	mallory := tb.visitor(`<img src=x onerror=alert(1)>`)
	evil := `<script>alert(1)</script><img src=x onerror="alert(2)"> javascript:alert(3) https://example.org/a?b=<b>`
	mallory.says("lobby", evil)
	text := `click me and <svg onload=alert(4)> "code <b>"`
	if _, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Final: true, Text: bot.Text{Plain: text, Spans: []bot.Span{
		{Start: 0, End: 8, Kind: bot.Link, Value: "javascript:alert(5)"}, {Start: 13, End: 33, Kind: bot.Link, Value: "https://example.org/x"}, {Start: 34, End: 44, Kind: bot.Code},
	}}, Buttons: []bot.Button{{ID: "b1", Label: "<i>Press</i>", Style: bot.Primary}}}); err != nil {
		t.Fatal(err)
	}
	until(t, tab, inLog+`.some((s) => s.includes("click me"))`)
	if shown := eval[[]string](t, tab, inLog); !strings.Contains(strings.Join(shown, "\n"), evil) {
		t.Errorf("shown: %q", shown)
	}
	if n := eval[int](t, tab, `document.querySelectorAll(".msg img, .msg script, .msg svg[onload], .msg a[href^='javascript'], .msg i").length`); n != 0 {
		t.Errorf("%d elements were made out of text", n)
	}
	if links := eval[[]string](t, tab, `[...document.querySelectorAll(".msg a")].map((a) => a.href + " " + a.rel + " " + a.target)`); len(links) != 2 ||
		links[0] != "https://example.org/a?b= noopener noreferrer nofollow _blank" || links[1] != "https://example.org/x noopener noreferrer nofollow _blank" {
		t.Errorf("links: %q", links)
	}
	if !eval[bool](t, tab, `document.querySelector(".msg .address").textContent.includes("https://example.org/x")`) {
		t.Error("a link hides where it leads")
	}

	// Buttons.
	tb.event() // mallory's message
	if err := chromedp.Do(tab, chromedp.Click(chromedp.CSS(".buttons .button"))); err != nil {
		t.Fatal(err)
	}
	if e := tb.event(); e.Kind != bot.ActionPressed || e.Action != "b1" {
		t.Errorf("the bot got %+v", e)
	}

	// A growing answer stays one message.
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("")})
	if err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.querySelector(".msg.cooking") !== null`)
	before := eval[int](t, tab, `document.querySelectorAll(".msg").length`)
	for i := range 5 {
		if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(strings.Repeat("dough ", i+1)), Final: i == 4}); err != nil {
			t.Fatal(err)
		}
		until(t, tab, fmt.Sprintf(inLog+`.includes("dough ".repeat(%d))`, i+1))
	}
	until(t, tab, inLog+`.includes("dough ".repeat(5)) && document.querySelector(".msg.cooking") === null`)
	if after := eval[int](t, tab, `document.querySelectorAll(".msg").length`); after != before {
		t.Errorf("an edit made %d messages of %d", after, before)
	}

	// Completion by keyboard.
	if err := chromedp.Do(tab, chromedp.SendKeys(chromedp.CSS("#text"), "/i")); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `!document.querySelector("#completion").hidden`)
	key(t, tab, `key: "Enter", keyCode: 13`)
	if got := eval[string](t, tab, `document.querySelector("#text").value`); got != "/imagine " {
		t.Errorf("completed to %q", got)
	}
	// Clicking an example writes it, the person sends it.
	run(t, tab, `document.querySelector(".try").click()`)
	if got := eval[string](t, tab, `document.querySelector("#text").value`); !strings.HasPrefix(got, "/ask ") {
		t.Errorf("the example wrote %q", got)
	}

	count := eval[int](t, tab, `document.querySelectorAll(".msg").length`)
	// Reloading replays everything once.
	if err := chromedp.Do(tab, chromedp.Reload()); err != nil {
		t.Fatal(err)
	}
	until(t, tab, fmt.Sprintf(`document.querySelectorAll(".msg").length === %d`, count))

	for _, c := range complaints() {
		t.Errorf("the browser complains: %s", c)
	}
}

// screenshots lays a full table and takes its picture in four ways, into POTLUCK_SCREENSHOTS or a folder that goes away.
// The cards behind the two buttons opened without the focus and stood behind the whole history, out of reach of Tab.
func cards(t *testing.T, chromium context.Context) {
	tb := lay(t)
	tab, complaints := openTab(t, chromium)
	enter(t, tab, tb, "Anna")
	press := func(keys string) {
		t.Helper()
		if err := chromedp.Do(tab, chromedp.KeyEvent(keys)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, tab, `document.querySelector("#me").focus()`)
	press("\r")
	until(t, tab, `document.querySelector("#settings").matches(":popover-open") && document.activeElement.id === "settings"`)
	press("\t")
	until(t, tab, `document.activeElement.id === "rename"`)
	press("\t")
	until(t, tab, `document.activeElement.id === "language"`)
	press("\x1b")
	until(t, tab, `!document.querySelector("#settings").matches(":popover-open") && document.activeElement.id === "me"`)
	if err := chromedp.Do(tab, chromedp.Click(chromedp.CSS("#me"))); err != nil {
		t.Fatal(err)
	}
	until(t, tab, `document.activeElement.id === "settings"`)
	for _, c := range complaints() {
		t.Error(c)
	}
}

// At 360 px the tabs could be scrolled, and nothing told so.
func tabsFade(t *testing.T, chromium context.Context) {
	tb := lay(t, func(c *webchat.Config) { c.Chats = []string{"lobby", "english", "español", "deutsch", "mathematics"} })
	tab, _ := openTab(t, chromium)
	if err := chromedp.Do(tab, chromedp.EmulateViewport(360, 740)); err != nil {
		t.Fatal(err)
	}
	enter(t, tab, tb, "Anna")
	until(t, tab, `document.querySelector("#tabs").className === "tabs behind"`)
	run(t, tab, `document.querySelector("#tabs").scrollLeft = 9999`)
	until(t, tab, `document.querySelector("#tabs").className === "tabs before"`)
}

func screenshots(t *testing.T, chromium context.Context) {
	folder := os.Getenv("POTLUCK_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	tb := lay(t, func(c *webchat.Config) { c.Limits.MessagesBurst = 1000 })
	tab, complaints := openTab(t, chromium)
	shoot := func(name string, width, height int64, scheme string) {
		t.Helper()
		err := chromedp.Do(tab, chromedp.EmulateViewport(width, height, func(p *emulation.SetDeviceMetricsOverrideParams, _ *emulation.SetTouchEmulationEnabledParams) {
			p.Mobile = width < 500
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}); err != nil {
			t.Fatal(err)
		}
		eval[bool](t, tab, `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
		data, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".png"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if wide := eval[int](t, tab, `document.documentElement.scrollWidth`); int64(wide) > width {
			t.Errorf("%s: the page is %d px wide", name, wide)
		}
	}
	if err := chromedp.Do(tab, chromedp.Navigate(tb.url+"/"), chromedp.WaitVisible(chromedp.CSS("#name-dialog[open]"))); err != nil {
		t.Fatal(err)
	}
	shoot("name-1400-light", 1400, 900, "light")
	shoot("name-360-dark", 360, 720, "dark")
	enter(t, tab, tb, "Anna")
	shoot("welcome-1400-light", 1400, 900, "light")
	shoot("welcome-360-light", 360, 720, "light")

	ctx := t.Context()
	ben := tb.visitor("Ben")
	mio := tb.visitor("美緒")
	send := func(m bot.Outgoing) community.MessageID {
		t.Helper()
		m.Chat = "page:lobby"
		parts, err := tb.Send(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		return parts[0]
	}
	mio.says("lobby", "おはようございます。今日は何を作りますか?")
	ask := ben.says("lobby", "/ask How do I keep a sourdough starter alive while I am away?")
	answer := "Keep it cold and stiff. Feed it 1 : 2 : 1 (starter, flour, water), wait an hour, then put it in the fridge.\n\nBefore you leave\n• Mix a stiff dough, about 50 % hydration\n• Close the lid loosely\n\nfor day in range(14):\n    starter.rest(hours=24)\n    if day == 13: starter.feed(flour=50, water=50)\n\nA cold starter sleeps, it does not die.\n\nMore in the guide to wild yeast.\nllama3.1 8b · anna-pc · 0.8 credits"
	spans := []bot.Span{}
	mark := func(what string, kind bot.SpanKind, value string) {
		i := strings.Index(answer, what)
		spans = append(spans, bot.Span{Start: i, End: i + len(what), Kind: kind, Value: value})
	}
	mark("cold and stiff", bot.Bold, "")
	mark("1 : 2 : 1", bot.Code, "")
	mark("Before you leave", bot.Heading, "")
	mark("for day in range(14):\n    starter.rest(hours=24)\n    if day == 13: starter.feed(flour=50, water=50)", bot.Pre, "python")
	mark("A cold starter sleeps, it does not die.", bot.Quote, "")
	mark("guide to wild yeast", bot.Link, "https://example.org/yeast")
	mark("llama3.1 8b · anna-pc · 0.8 credits", bot.Small, "")
	send(bot.Outgoing{ReplyTo: ask, Final: true, Text: bot.Text{Plain: answer, Spans: spans}, Buttons: []bot.Button{{ID: "a", Label: "Regenerate"}, {ID: "b", Label: "Continue", Style: bot.Primary}}})
	run(t, tab, `const b = document.querySelector("#text"); b.value = "Lovely, thank you! I will try that before the trip."; document.querySelector("#composer").requestSubmit();`)
	until(t, tab, inLog+`.some((s) => s.startsWith("Lovely"))`)
	shoot("talk-1400-light", 1400, 900, "light")
	shoot("talk-1400-dark", 1400, 900, "dark")
	shoot("talk-360-light", 360, 720, "light")

	drawn := func(seed int) bot.Picture {
		picture := image.NewRGBA(image.Rect(0, 0, 256, 256))
		for y := range 256 {
			for x := range 256 {
				picture.Set(x, y, color.RGBA{uint8(200 - y/3 + seed*9), uint8(90 + x/3), uint8(60 + (x*y>>9)*seed), 255})
			}
		}
		var b strings.Builder
		png.Encode(&b, picture)
		return bot.Picture{Name: strings.Repeat("ab12", 15) + fmt.Sprintf("%04d.png", seed), Data: []byte(b.String()), Alt: `A long table <img src=x onerror="alert(6)"> under lemon trees at dusk`, Width: 256, Height: 256, Spoiler: seed == 4}
	}
	draw := ben.says("lobby", "/imagine a long table under lemon trees at dusk")
	grid := send(bot.Outgoing{ReplyTo: draw, Final: true, Text: bot.Plain("Four plates, fresh from the oven."), Pictures: []bot.Picture{drawn(1), drawn(2), drawn(3), drawn(4)}, Buttons: []bot.Button{{ID: "v", Label: "Vary", Style: bot.Primary}, {ID: "r", Label: "Again"}, {ID: "d", Label: "Delete", Style: bot.Danger}}})
	me := community.UserID(eval[string](t, tab, `fetch("/webchat/session").then((r) => r.json()).then((s) => s.user)`))
	send(bot.Outgoing{Only: me, Final: true, Text: bot.Plain("You have 41.2 credits. Your worker anna-pc earned 3.6 of them today.")})
	send(bot.Outgoing{Text: bot.Plain("Here is a first idea for the menu: roasted squash, lentils with")})
	until(t, tab, `document.querySelectorAll(".picture img").length === 4 && [...document.querySelectorAll(".picture img")].every((i) => i.complete && i.naturalWidth > 0) && document.querySelector(".msg.cooking") !== null`)
	tb.visitor("Carla").says("english", "Is dinner ready?")
	until(t, tab, `!document.querySelectorAll(".tab .count")[1].hidden`)
	run(t, tab, `document.querySelector(".msg.bot .tools button").click()`)
	run(t, tab, `const b = document.querySelector("#text"); b.value = "/"; b.dispatchEvent(new Event("input"));`)
	shoot("pictures-1400-light", 1400, 900, "light")
	shoot("pictures-360-dark", 360, 720, "dark")
	run(t, tab, `const b = document.querySelector("#text"); b.value = ""; b.dispatchEvent(new Event("input"));`)
	shoot("pictures-1400-dark", 1400, 900, "dark")
	shoot("pictures-360-light", 360, 720, "light")
	run(t, tab, `document.querySelector("[data-id='`+string(grid)+`'] .picture").click()`)
	until(t, tab, `document.querySelector("#viewer").open && document.querySelector("#viewer-image").naturalWidth > 0`)
	shoot("viewer-1400-dark", 1400, 900, "dark")
	shoot("viewer-360-light", 360, 720, "light")
	key := `document.querySelector("#viewer").dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}))`
	eval[bool](t, tab, key)
	if !strings.Contains(eval[string](t, tab, `document.querySelector("#viewer-image").src`), "0002.png") {
		t.Error("the arrow key does not turn to the next picture")
	}
	for _, c := range complaints() {
		t.Errorf("the browser complains: %s", c)
	}
}
