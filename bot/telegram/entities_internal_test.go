package telegram

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"

	"potluck/bot"
)

// sound fails when Telegram would refuse the entities: outside the text, within a character, crossing, or within code.
func sound(t *testing.T, r rendered) {
	t.Helper()
	units := utf16.Encode([]rune(r.text))
	low := func(at int) bool { return at < len(units) && units[at] >= 0xDC00 && units[at] < 0xE000 }
	if len(r.entities) > maxEntities {
		t.Fatalf("%d entities", len(r.entities))
	}
	for i, e := range r.entities {
		end := e.Offset + e.Length
		if e.Offset < 0 || e.Length < 1 || end > len(units) || low(e.Offset) || low(end) {
			t.Fatalf("entity %+v is outside of %q or within a character", e, r.text)
		}
		for _, o := range r.entities[:i] {
			oEnd := o.Offset + o.Length
			if oEnd <= e.Offset || end <= o.Offset {
				continue
			}
			if !(o.Offset <= e.Offset && end <= oEnd) && !(e.Offset <= o.Offset && oEnd <= end) {
				t.Fatalf("%+v crosses %+v in %q", e, o, r.text)
			}
			quotes := o.Type == models.MessageEntityTypeBlockquote || e.Type == models.MessageEntityTypeBlockquote
			if !quotes && (isCode(o) || isCode(e)) {
				t.Fatalf("%+v stands with %+v over the same text", e, o)
			}
		}
	}
}

// FuzzMarkdown: whatever a model writes becomes messages that Telegram takes, and no letter is lost.
func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		"😀q**werty**", "**a `b` c**", "> q\n> ```go\nx\n```\n", "[a](https://b.c) [d](javascript:x) <https://e.f>", "***x** y*", "||s||__u__~~t~~",
		"# h\n- a\n- b\n1. c", "@anna **@boris**: @**olga** ||@x||@y 😀@z a@b.c `@code` https://m.social/@me [@l](https://m.social/@l) @", strings.Repeat("@ab ", 1500), strings.Repeat("**b** ", 150), strings.Repeat("😀", 3000), "\u2028 ** \u202e", "```\n" + strings.Repeat("x\n", 3000), " \n ", "`", "**[a](https://b.c/`d`)**",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		whole := bot.ParseMarkdown(s)
		var got strings.Builder
		for _, part := range split(whole, maxText) {
			r := render(part)
			sound(t, r)
			if n := len(utf16.Encode([]rune(r.text))); n > maxText && utf8.RuneCountInString(r.text) > 1 {
				t.Fatalf("%d units", n)
			}
			if !utf8.ValidString(r.text) {
				t.Fatal("no UTF-8")
			}
			got.WriteString(r.text)
		}
		// Letters only: white space at the ends goes, addresses of links come.
		rest := got.String()
		for _, c := range strings.Join(strings.Fields(whole.Plain), "") {
			at := strings.IndexRune(rest, c)
			if at < 0 {
				t.Fatalf("%q is lost of %q in %q", c, whole.Plain, got.String())
			}
			rest = rest[at+utf8.RuneLen(c):]
		}
	})
}

// FuzzReadText: any text with any entities becomes a Text whose spans are as the core wants them, and the text is as it was.
func FuzzReadText(f *testing.F) {
	f.Add("😀q werty @anna /ask", "bold", 2, 5, "text_link", 0, 3)
	f.Add("x", "pre", -1, 9, "code", 1, 1)
	f.Fuzz(func(t *testing.T, s, kind string, from, n int, kind2 string, from2, n2 int) {
		if !utf8.ValidString(s) {
			return
		}
		got := readText(s, []rawEntity{{Type: kind, Offset: from, Length: n, URL: "https://x.y"}, {Type: kind2, Offset: from2, Length: n2}})
		if got.Plain != s {
			t.Fatalf("%q became %q", s, got.Plain)
		}
		for _, sp := range got.Spans {
			if sp.Start >= sp.End || sp.End > len(s) || !utf8.RuneStart(s[sp.Start]) || sp.End < len(s) && !utf8.RuneStart(s[sp.End]) {
				t.Fatalf("%+v in %q", sp, s)
			}
		}
		sound(t, render(got))
	})
}

// FuzzCommand: no text of a person breaks the search for a command; what is for another bot is never taken.
func FuzzCommand(f *testing.F) {
	f.Add("/ask@potluck_bot why", 0, 16)
	f.Add("😀 /ask@other why", 3, 10)
	f.Add("／ask 猫", 0, 4)
	f.Fuzz(func(t *testing.T, s string, from, n int) {
		if !utf8.ValidString(s) {
			return
		}
		text, how := ownCommand(bot.Plain(s), []rawEntity{{Type: "bot_command", Offset: from, Length: n}}, "potluck_bot")
		if how == forUs && !strings.Contains(strings.ToLower(s), "@potluck_bot") {
			t.Fatalf("%q is taken for a command to this bot", s)
		}
		if !utf8.ValidString(text.Plain) {
			t.Fatalf("%q", text.Plain)
		}
		asCommand(nil, text)
		m := &rawMessage{Text: s, Entities: []rawEntity{{Type: "code", Offset: from, Length: n}}, From: &rawUser{ID: 7}}
		typedSoFar(m, 7)
	})
}

// Nobody is called by what a model or a member writes through the bot, and formatting stays where it was.
func TestNobodyIsCalled(t *testing.T) {
	for in, want := range map[string]string{
		"@everyone and @anna_k":            "@\u2060everyone and @\u2060anna_k",
		"😀@anna, (@boris)":                 "😀@\u2060anna, (@\u2060boris)",
		"write to a@b.example or @ 5":      "write to a@b.example or @ 5",
		"`@code` stays":                    "@code stays",
		"https://m.social/@me is a page":   "https://m.social/@me is a page",
		"x://@anna and https://a/@boris":   "x://@\u2060anna and https://a/@\u2060boris",
		"/ask@potluck_bot calls no person": "/ask@potluck_bot calls no person",
		"[here](https://m.social/@me)":     "here (https://m.social/@me)",
		"名前@anna":                          "名前@anna", // Telegram sees a word before it
	} {
		if got := render(bot.ParseMarkdown(in)); got.text != want {
			t.Errorf("%q becomes %q, want %q", in, got.text, want)
		}
	}
	got := render(bot.ParseMarkdown("@anna **@boris *x*** @**olga**"))
	units := utf16.Encode([]rune(got.text))
	var marked []string
	for _, e := range got.entities {
		marked = append(marked, string(utf16.Decode(units[e.Offset:e.Offset+e.Length])))
	}
	if len(marked) != 3 || marked[0] != "@\u2060boris x" || marked[1] != "x" || marked[2] != "olga" {
		t.Errorf("%q", marked)
	}
	if n := measure(bot.Plain(strings.Repeat("@ab ", 1000))); n != 5000 {
		t.Errorf("measured %d", n)
	}
}

func TestReadText(t *testing.T) {
	got := readText("😀q werty see example.org", []rawEntity{
		{Type: "bold", Offset: 4, Length: 5}, {Type: "url", Offset: 14, Length: 11}, {Type: "italic", Offset: 1, Length: 2}, {Type: "novel", Offset: 0, Length: 2},
	})
	if len(got.Spans) != 2 || got.Plain[got.Spans[0].Start:got.Spans[0].End] != "werty" || got.Spans[1].Value != "https://example.org" {
		t.Errorf("%+v", got)
	}
}

// Of what waits, finals go first, then placeholders, then progress; what progress cannot have soon it is refused.
func TestBudgetOrder(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	b := newBudget(nil)
	b.pause = now.Add(time.Second)
	add := func(c class, chat int64) *turn {
		b.order++
		w := &turn{chat: chat, cost: 1, class: c, order: b.order, free: make(chan struct{})}
		b.waiting = append(b.waiting, w)
		return w
	}
	for i := range int64(40) {
		add(progress, -100-i)
	}
	late := add(placeholder, -1)
	last := add(final, -2)
	for i := range int64(28) {
		add(final, -10-i)
	}
	slices.SortFunc(b.waiting, before)
	b.dispatch(now)
	if len(b.waiting) != 70 {
		t.Fatalf("%d wait during the pause", len(b.waiting))
	}
	b.dispatch(now.Add(time.Second))
	for _, w := range []*turn{late, last} {
		select {
		case <-w.free:
		default:
			t.Errorf("%+v still waits", w)
		}
	}
	if len(b.waiting) != 40 {
		t.Errorf("%d wait", len(b.waiting))
	}
	for range 19 {
		b.count(&turn{chat: -2, cost: 1}, now.Add(time.Second))
	}
	at := b.when(&turn{chat: -2, cost: 1, class: final}, now.Add(5*time.Second))
	if at.Sub(now) != 61*time.Second {
		t.Errorf("the 21st message of a minute may go after %v", at.Sub(now))
	}
	b.close()
}
