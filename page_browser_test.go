package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestThePageInABrowser is one evening on the page: two visitors in real browsers, the real programs, one machine with the demonstration engine.
func TestThePageInABrowser(t *testing.T) {
	browser := openBrowser(t)
	if axe() == "" {
		t.Log("axe-core is not installed (scripts/install.sh check): nobody looked for barriers")
	}
	k := openKitchen(t)
	k.lend(k.operator, "stove", demoKitchen)
	base := "http://" + k.addr
	anna, ben := openTab(t, browser, base, deskByDay), openTab(t, browser, base, phoneByNight)

	t.Run("two visitors take their seats", func(t *testing.T) { takeSeats(on(t, anna), on(t, ben)) })
	t.Run("commands are completed", func(t *testing.T) { completeCommands(on(t, anna), on(t, ben)) })
	t.Run("an input method's Enter never sends", func(t *testing.T) { compose(on(t, anna)) })
	t.Run("Stop and Again", func(t *testing.T) { stopAndAgain(on(t, anna), on(t, ben)) })
	t.Run("reply, edit, delete", func(t *testing.T) { replyEditDelete(on(t, anna), on(t, ben)) })
	t.Run("pictures", func(t *testing.T) { pictures(on(t, anna), on(t, ben)) })
	t.Run("nothing that people write is more than text", func(t *testing.T) { textStaysText(k, on(t, anna)) })
	t.Run("the bot is killed and started again", func(t *testing.T) { comeBack(k, on(t, anna), on(t, ben)) })
	t.Run("an older backup is restored", func(t *testing.T) { restoreOlder(k, on(t, anna), on(t, ben)) })
	t.Run("language and colours are a choice", func(t *testing.T) { chooseLooks(on(t, ben)) })
	t.Run("who is forgotten takes a new seat", func(t *testing.T) { beForgotten(on(t, anna)) })
	for name, p := range map[string]*tab{"Anna": anna, "Ben": ben} {
		for _, c := range p.complaints() {
			t.Errorf("%s's browser: %s", name, c)
		}
	}
}

// on has a tab tell its failures to the subtest that runs.
func on(t *testing.T, p *tab) *tab {
	p.t = t
	return p
}

const pageBudget = 150_000 // bytes over the wire for a first visit

func takeSeats(anna, ben *tab) {
	anna.enter("Anna")
	if n := anna.bytes(); n > pageBudget || n < 10_000 {
		anna.t.Errorf("the first visit took %d bytes", n)
	}
	anna.t.Logf("the first visit took %d bytes", anna.bytes())
	anna.fine("the welcome on a desk")
	// Nobody is called like somebody who is here.
	ben.do(navigate(ben.base + "/"))
	ben.until(`document.querySelector("#name-dialog[open]") !== null`)
	ben.fine("the name dialog on a phone")
	ben.replace("#name", "ANNA")
	ben.enterKey()
	ben.until(`document.querySelector("#name-error").textContent.includes("Elige otro")`)
	ben.replace("#name", "Ben")
	ben.enterKey()
	ben.live()
	ben.fine("the welcome on a phone")

	anna.say("Good evening, Ben!")
	ben.say("¡Hola!")
	for name, p := range map[string]*tab{"Anna": anna, "Ben": ben} {
		p.await(`m.text === "Good evening, Ben!"`)
		p.await(`m.text === "¡Hola!"`)
		if got := p.messages(); len(got) != 2 {
			p.t.Errorf("%s sees %+v", name, got)
		}
	}
	// What the pool can do and what she may spend came by itself.
	anna.until(`/1 machine/.test(document.querySelector("#glance").textContent) && /credits/.test(document.querySelector("#glance").textContent)`)
	anna.click("#glance")
	anna.until(`document.querySelector("#glance-card").matches(":popover-open") && document.querySelectorAll(".abilities .can").length >= 2`)
	anna.fine("the pool at a glance")
	anna.keys(kb.Escape)
}

func completeCommands(anna, ben *tab) {
	const offered = `[...document.querySelectorAll("#completion .row b")].map((b) => b.textContent)`
	anna.replace("#text", "/")
	anna.until(offered + `.length > 4`)
	anna.fine("the list of commands")
	listed := value[[]string](anna, `fetch("/webchat/commands").then((r) => r.json()).then((l) => l.map((c) => "/" + c.name))`)
	if got := value[[]string](anna, offered); !slices.Equal(got, listed) || len(listed) < 8 {
		anna.t.Errorf("offered %q, the server has %q", got, listed)
	}
	// Each command can be reached by typing its beginning and Tab.
	for _, name := range listed {
		anna.replace("#text", name[:len(name)-1])
		anna.until(fmt.Sprintf(`%s.includes(%q)`, offered, name))
		for range 30 {
			if value[string](anna, `document.querySelector("#completion [aria-selected=true] b")?.textContent || ""`) == name {
				break
			}
			anna.keys(kb.ArrowDown)
		}
		anna.keys(kb.Tab)
		if got := value[string](anna, `document.querySelector("#text").value`); got != name+" " {
			anna.t.Errorf("Tab made %q of the beginning of %q", got, name)
		}
	}
	// Options come with their ranges and choices, values from the server.
	anna.replace("#text", "/imagine ")
	anna.until(offered + `.includes("count:")`)
	anna.fine("the options of a command")
	if hints := value[string](anna, `document.querySelector("#completion").innerText`); !strings.Contains(hints, "1 to 4") || !strings.Contains(hints, "anime") {
		anna.t.Errorf("options: %q", hints)
	}
	anna.replace("#text", "/imagine a fox style:an")
	anna.until(offered + `.includes("anime")`)
	anna.enterKey()
	if got := value[string](anna, `document.querySelector("#text").value`); got != "/imagine a fox style:anime " {
		anna.t.Errorf("the style became %q", got)
	}
	anna.replace("#text", "/ask model:")
	anna.until(offered + `.includes("demo")`)
	anna.keys(kb.Escape)
	anna.until(`document.querySelector("#completion").hidden`)
	// A finger chooses, too.
	ben.replace("#text", "/he")
	ben.until(offered + `.includes("/help")`)
	ben.fine("the list of commands on a phone")
	ben.keys(kb.Tab)
	ben.until(`document.querySelector("#text").value === "/help " && ` + offered + `.includes("ask")`)
	ben.enterKey() // what could follow does not keep a whole command from being sent
	ben.await(`m.bot && /\/imagine/.test(m.text) && !m.cooking`)
	// A lone slash is answered.
	anna.say("/")
	anna.await(`m.bot && m.text.includes("/help") && !m.cooking`)
	ben.fine("help on a phone")
}

func compose(anna *tab) {
	anna.replace("#text", "")
	before := len(anna.messages())
	command(anna, input.ImeSetComposition, input.ImeSetCompositionParams{Text: "こんにちは", SelectionStart: 5, SelectionEnd: 5})
	anna.until(`document.querySelector("#text").value === "こんにちは"`)
	for _, kind := range []input.DispatchKeyEventType{"rawKeyDown", "keyUp"} {
		command(anna, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 229})
	}
	anna.frame()
	if got := value[string](anna, `document.querySelector("#text").value`); got != "こんにちは" || len(anna.messages()) != before {
		anna.t.Errorf("the Enter of the composition: box %q, %d messages after %d", got, len(anna.messages()), before)
	}
	command(anna, input.InsertText, input.InsertTextParams{Text: "こんにちは"})
	anna.enterKey()
	anna.await(`m.text === "こんにちは" && !m.sending`)
	if got := value[string](anna, `document.querySelector("#text").value`); got != "" {
		anna.t.Errorf("after sending, the box holds %q", got)
	}
}

func stopAndAgain(anna, ben *tab) {
	anna.say(question)
	growing := anna.await(`m.bot && m.cooking && m.text.includes("demonstration") && m.buttons.includes("Stop")`)
	ben.await(fmt.Sprintf(`m.id === %q`, growing.ID))
	if got := ben.await(fmt.Sprintf(`m.id === %q`, growing.ID)); len(got.Buttons) != 0 {
		ben.t.Errorf("Ben sees the buttons %q of Anna's answer", got.Buttons)
	}
	anna.press(growing.ID, "Stop")
	stopped := anna.await(fmt.Sprintf(`m.id === %q && !m.cooking`, growing.ID))
	if slices.Contains(stopped.Buttons, "Stop") || strings.Contains(stopped.Text, "within a minute") {
		anna.t.Errorf("after Stop: %+v", stopped)
	}
	again := slices.IndexFunc(stopped.Buttons, func(b string) bool { return b == "Again" || b == "Regenerate" })
	if again < 0 {
		anna.t.Fatalf("nothing to ask again with: %q", stopped.Buttons)
	}
	anna.press(growing.ID, stopped.Buttons[again])
	anna.await(`m.bot && !m.cooking && m.text.includes("why is the sky blue") && m.text.includes("within a minute")`)
	anna.fine("answers on a desk")
	anna.see(deskByNight)
	anna.fine("answers on a desk at night")
	anna.see(deskByDay)
}

func replyEditDelete(anna, ben *tab) {
	anna.say("Who brings the salat?")
	asked := ben.await(`m.text === "Who brings the salat?"`)
	ben.choose(asked.ID, "reply")
	ben.until(`!document.querySelector("#context").hidden && document.activeElement.id === "text"`)
	ben.fits("a reply on a phone")
	ben.say("Me!")
	reply := anna.await(`m.text === "Me!"`)
	if reply.Of != asked.ID {
		anna.t.Errorf("the reply points to %q", reply.Of)
	}
	// The quote leads back.
	value[bool](anna, fmt.Sprintf(`(() => { document.querySelector('[data-id="%s"] .quote').click(); return true; })()`, reply.ID))
	anna.until(fmt.Sprintf(`document.activeElement.dataset.id === %q`, asked.ID))

	anna.choose(asked.ID, "edit")
	anna.until(`document.querySelector("#text").value === "Who brings the salat?"`)
	anna.fine("editing")
	// "My credits" once became the new text of the message that was being changed.
	anna.click("#glance")
	anna.click(`#glance-card [data-say="/credits"]`)
	anna.await(`m.mine && m.text === "/credits" && !m.sending`)
	if got := value[string](anna, `document.querySelector("#text").value`); got != "Who brings the salat?" {
		anna.t.Errorf("while editing, the box holds %q after a look at the credits", got)
	}
	anna.replace("#text", "Who brings the salad?")
	anna.enterKey()
	if got := ben.await(`m.text === "Who brings the salad?"`); !got.Edited || got.ID != asked.ID {
		ben.t.Errorf("after the edit Ben sees %+v", got)
	}
	ben.until(fmt.Sprintf(`document.querySelector('[data-id="%s"] .quote').textContent.includes("salad")`, reply.ID))
	// The key above opens the last own message, Escape closes it.
	anna.replace("#text", "")
	anna.keys(kb.ArrowUp)
	anna.until(`document.querySelector("#text").value === "/credits"`)
	anna.keys(kb.Escape) // the list of commands
	anna.keys(kb.Escape)
	anna.until(`document.querySelector("#context").hidden && document.querySelector("#text").value === ""`)

	anna.choose(asked.ID, "trash")
	anna.until(`document.querySelector("#confirm").open`)
	anna.fine("the question before deleting")
	anna.do(clickOn("#confirm-yes"))
	for _, p := range []*tab{anna, ben} {
		p.until(fmt.Sprintf(`!%s.some((m) => m.id === %q)`, messages, asked.ID))
		p.until(fmt.Sprintf(`document.querySelector('[data-id="%s"] .quote.gone') !== null`, reply.ID))
	}
	// What is somebody else's has no such items.
	anna.click(fmt.Sprintf(`[data-id="%s"] .tools .icon:last-child`, reply.ID))
	anna.until(`document.querySelector("#menu").matches(":popover-open")`)
	if got := value[[]string](anna, `[...document.querySelectorAll(".menu-item")].map((i) => i.textContent)`); !slices.Equal(got, []string{"Reply", "Copy text"}) {
		anna.t.Errorf("the menu of Ben's message: %q", got)
	}
	anna.fine("an open menu")
	anna.keys(kb.Escape)
}

func pictures(anna, ben *tab) {
	const wish = `/imagine count:2 a "pie" \o/ <b>for</b> everybody`
	ben.say(wish)
	drawing := anna.await(`m.bot && m.cooking && m.pictures > 0`)
	anna.until(fmt.Sprintf(`(() => { const b = document.querySelector('[data-id="%s"] [role=progressbar]'); return b && Number(b.ariaValueNow) > 0 && Number(b.ariaValueNow) <= 100; })()`, drawing.ID))
	anna.fine("a picture that is being drawn")
	drawn := anna.await(fmt.Sprintf(`m.id === %q && !m.cooking && m.pictures === 2`, drawing.ID))
	tile := fmt.Sprintf(`[data-id="%s"] .picture`, drawn.ID)
	anna.until(fmt.Sprintf(`[...document.querySelectorAll('%s img')].every((i) => i.complete && i.naturalWidth > 0)`, tile))
	if strings.Contains(value[string](anna, fmt.Sprintf(`document.querySelector('%s').className`, tile)), "spoilered") {
		value[bool](anna, fmt.Sprintf(`(() => { document.querySelectorAll('%s').forEach((b) => b.click()); return true; })()`, tile))
	}
	anna.fine("pictures on a desk")
	ben.fine("pictures on a phone")
	anna.click(tile)
	const viewed = `document.querySelector("#viewer").open && document.querySelector("#viewer-image").naturalWidth > 0`
	anna.until(viewed)
	anna.fine("the viewer on a desk")
	first := value[string](anna, `document.querySelector("#viewer-image").src`)
	anna.keys(kb.ArrowRight)
	if second := value[string](anna, `document.querySelector("#viewer-image").src`); second == first {
		anna.t.Error("the arrow key does not turn to the next picture")
	}
	if name := value[string](anna, `document.querySelector("#viewer-save").download`); strings.ContainsAny(name, `<>/\"`) || !strings.HasSuffix(name, ".png") && !strings.HasSuffix(name, ".jpg") {
		anna.t.Errorf("the picture would be saved as %q", name)
	}
	if alt := value[string](anna, `document.querySelector("#viewer-alt").textContent`); !strings.Contains(alt, `"pie"`) {
		anna.t.Errorf("the description reads %q", alt)
	}
	anna.keys(kb.Escape)
	anna.until(`!document.querySelector("#viewer").open && document.activeElement.matches(".picture")`)
	// Edit (the buttons speak the language of who asked): the command comes back, to be changed in the box.
	anna.press(drawn.ID, "Editar")
	handed := anna.await(`m.bot && !m.cooking && m.text.includes("/imagine seed:")`)
	anna.fine("a command to change")
	anna.click(fmt.Sprintf(`[data-id="%s"] .block .copy`, handed.ID))
	anna.until(fmt.Sprintf(`document.activeElement.id === "text" && document.activeElement.value.startsWith("/imagine seed:") && document.activeElement.value.endsWith(%q)`, strings.TrimPrefix(wish, "/imagine count:2 ")))
	anna.replace("#text", "")
	ben.click(tile)
	if value[bool](ben, `!document.querySelector("#viewer").open`) { // it was covered
		ben.click(tile)
	}
	ben.until(viewed)
	ben.fine("the viewer on a phone")
	ben.keys(kb.Escape)
}

func textStaysText(k *kitchen, anna *tab) {
	const evil = `<img src=x onerror=alert(1)>`
	mallory := k.visit(evil)
	text := `<script>alert(2)</script> <svg onload=alert(3)> javascript:alert(4) https://example.org/?a=<b>`
	mallory.say(text)
	got := anna.await(`m.text.includes("alert(2)")`)
	if got.Text != text {
		anna.t.Errorf("the message reads %q", got.Text)
	}
	if author := value[string](anna, fmt.Sprintf(`document.querySelector('[data-id="%s"] .meta strong').textContent`, got.ID)); author != evil {
		anna.t.Errorf("the author reads %q", author)
	}
	if n := value[int](anna, `document.querySelectorAll(".log script, .log svg[onload], .log a[href^='javascript'], .log img:not([src^='/webchat/pictures/']), [onerror]").length`); n != 0 {
		anna.t.Errorf("%d elements were made out of text", n)
	}
	anna.fits("a message full of markup")
}

func comeBack(k *kitchen, anna, ben *tab) {
	before := len(anna.messages())
	k.bot.kill()
	anna.until(`document.documentElement.dataset.state === "lost"`)
	ben.until(`document.documentElement.dataset.state === "lost"`)
	anna.fits("without the bot")
	ben.fine("without the bot on a phone")
	k.startBot()
	k.guest.say("Is anybody still here?")
	for _, p := range []*tab{anna, ben} {
		p.live()
		p.await(`m.text === "Is anybody still here?"`)
	}
	anna.say("Of course.")
	ben.await(`m.text === "Of course."`)
	ids := map[string]bool{}
	for _, m := range anna.messages() {
		if ids[m.ID] {
			anna.t.Errorf("%q stands there twice", m.Text)
		}
		ids[m.ID] = true
	}
	if len(ids) != before+2 {
		anna.t.Errorf("%d messages, before the kill %d", len(ids), before)
	}
}

// Open pages were connected and deaf after an older backup was restored, and went on showing what never happened.
func restoreOlder(k *kitchen, anna, ben *tab) {
	const unsaid = "Nobody will remember this."
	k.bot.kill()
	backup := k.t.TempDir() // it stays the data folder
	if err := os.CopyFS(backup, os.DirFS(k.data)); err != nil {
		anna.t.Fatal(err)
	}
	for _, name := range []string{"server.key", "secret.key"} {
		if err := os.Chmod(filepath.Join(backup, name), 0o600); err != nil {
			anna.t.Fatal(err)
		}
	}
	for _, p := range []*tab{anna, ben} {
		p.until(`document.documentElement.dataset.state === "lost"`)
	}
	k.startBot()
	anna.live()
	ben.live()
	for range 3 {
		anna.say(unsaid)
	}
	ben.until(messages + `.filter((m) => m.text === "` + unsaid + `").length === 3`)
	ben.replace("#text", "half a word")
	k.bot.kill()
	for _, p := range []*tab{anna, ben} {
		p.until(`document.documentElement.dataset.state === "lost"`)
	}
	k.data = backup
	k.startBot()
	for _, p := range []*tab{anna, ben} {
		p.live()
		p.until(`!` + messages + `.some((m) => m.text === "` + unsaid + `")`)
		p.await(`m.text === "Of course."`)
	}
	k.operator.say("What did I miss?")
	for _, p := range []*tab{anna, ben} {
		p.await(`m.text === "What did I miss?"`)
	}
	if got := value[string](ben, `document.querySelector("#text").value`); got != "half a word" {
		ben.t.Errorf("of what was half written, %q is left", got)
	}
	ben.replace("#text", "")
}

func chooseLooks(ben *tab) {
	ben.click("#me")
	ben.until(`document.querySelector("#settings").matches(":popover-open")`)
	ben.fine("the settings on a phone")
	value[bool](ben, `(() => { document.querySelector("[name=theme][value=light]").click(); return true; })()`)
	ben.until(`getComputedStyle(document.body).colorScheme === "light"`)
	ben.keys(kb.Escape)
	ben.see(phoneByDay)
	ben.fine("a phone by day")
	ben.see(phoneByNight)
	// The page loads anew in the other language and knows who he is, what he chose and what he was about to say.
	ben.replace("#text", "half a sent")
	value[bool](ben, `(() => { const s = document.querySelector("#language"); s.value = "ja"; s.dispatchEvent(new Event("change")); return true; })()`)
	ben.until(`document.documentElement.lang === "ja" && document.documentElement.dataset.theme === "light"`)
	ben.live()
	ben.await(`m.text === "Of course."`)
	if got := value[string](ben, `document.querySelector("#text").value`); got != "half a sent" {
		ben.t.Errorf("of what was half written, %q is left", got)
	}
	ben.fits("a phone in Japanese")
	ben.see(deskByNight)
	ben.fits("a desk in Japanese")
	if got := value[string](ben, `document.querySelector("#text").placeholder`); !strings.Contains(got, "に書く") {
		ben.t.Errorf("the box says %q", got)
	}
}

// The page that was open during /forgetme went on under the old name, and the browser kept it.
func beForgotten(anna *tab) {
	anna.say("/forgetme")
	asked := anna.await(`m.bot && !m.cooking && m.buttons.length > 0 && m.buttons.some((b) => /forget/i.test(b))`)
	anna.press(asked.ID, asked.Buttons[0])
	anna.until(`document.querySelector("#name-dialog").open`)
	if got := value[string](anna, `(localStorage.getItem("potluck-name") || "") + document.querySelector("#name").value`); got != "" {
		anna.t.Errorf("the browser still knows %q", got)
	}
	anna.fine("the name dialog of who was forgotten")
	anna.replace("#name", "Nobody")
	anna.enterKey()
	anna.live()
	anna.say("New here.")
	if got := anna.await(`m.text === "New here." && !m.sending`); got.ID == "" {
		anna.t.Error("the new seat's message has no id")
	}
	if old := value[int](anna, `[...document.querySelectorAll(".log .msg.mine")].length`); old != 1 {
		anna.t.Errorf("%d messages are called her own, one is", old)
	}

	// What is sent while the seat is lost goes out from the next one, and still says whom it answers.
	bens := anna.await(`!m.bot && !m.mine && m.text`)
	anna.choose(bens.ID, "reply")
	command(anna, network.ClearBrowserCookies, cdp.Empty{})
	value[bool](anna, `(() => { const b = document.querySelector("#text"); b.focus(); return true; })()`)
	anna.do(chromedp.KeyEvent("Me again."))
	anna.enterKey()
	anna.until(`document.querySelector("#name-dialog").open`)
	anna.replace("#name", "Somebody")
	anna.enterKey()
	anna.live()
	if got := anna.await(`m.text === "Me again." && !m.sending`); got.Of != bens.ID {
		anna.t.Errorf("sent from the new seat, the reply points to %q, not to %q", got.Of, bens.ID)
	}
}
