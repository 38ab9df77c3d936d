package discord

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"potluck/bot"
)

var someNames = names{
	user:    func(id string) string { return map[string]string{"1": "Anna"}[id] },
	channel: func(id string) string { return map[string]string{"2": "general"}[id] },
}

// What people write becomes text with spans, and that becomes what they wrote.
func TestMarkdownBothWays(t *testing.T) {
	for _, c := range []struct{ written, plain, again string }{
		{"hello", "hello", ""},
		{"**bold** and *italic* and __under__ and ~~gone~~ and ||hidden||", "bold and italic and under and gone and hidden", ""},
		{"***both***", "both", ""},
		{"**bold *italic* bold**", "bold italic bold", ""},
		{"_italic_ snake_case_name", "italic snake_case_name", "*italic* snake\\_case\\_name"},
		{"2 * 3 * 4", "2 * 3 * 4", "2 \\* 3 \\* 4"},
		{"`code *x*` and ``a`b``", "code *x* and a`b", ""},
		{"```go\nx := 1\n```", "x := 1", ""},
		{"see\n```\na\nb\n```\nthere", "see\na\nb\nthere", ""},
		{"> one\n> two\nthree", "one\ntwo\nthree", ""},
		{"### Title\ntext", "Title\ntext", ""},
		{"-# small\ntext", "small\ntext", ""},
		{"Hi <@1>, {x} [y] <:pog:3> <a:wave:4> <#2> <@&9> </worker link:5> https://a.b/c?d=e", "Hi @Anna, {x} [y] :pog: :wave: #general @9 /worker link https://a.b/c?d=e",
			"Hi <@1>, {x} \\[y] <:pog:3> <a:wave:4> <#2> <@&9> </worker link:5> <https://a.b/c?d=e>"},
		{"<@!1>", "@Anna", "<@1>"},
		{"<t:1618953630:R>", "2021-04-20 21:20 UTC", ""},
		{"[text](https://example.org/x)", "text", "text (<https://example.org/x>)"},
		{"> see [docs](https://example.org/docs)\n> there\nend", "see docs\nthere\nend", "> see docs (<https://example.org/docs>)\n> there\nend"},
		{"**[a](https://a.example) and [b](https://b.example)**", "a and b", "**a (<https://a.example>) and b (<https://b.example>)**"},
		{"<https://example.org/a_b_c>", "https://example.org/a_b_c", ""},
		{"(https://en.wikipedia.org/wiki/A_(b)) ok", "(https://en.wikipedia.org/wiki/A_(b)) ok", "(<https://en.wikipedia.org/wiki/A_(b>)) ok"},
		{`\*no\* \<@1> \# \\`, `*no* <@1> # \`, `\*no\* \<@1> # \\`},
		{"%1$s {{name}} 100%", "%1$s {{name}} 100%", ""},
		{"😀q**werty**", "😀qwerty", ""},
		{"# not\\# 1. x", "not# 1. x", "### not# 1. x"},
		{"**open", "**open", "\\*\\*open"},
		{"@everyone <@> <@x> <:a:> <t:x>", "@everyone <@> <@x> <:a:> <t:x>", "@everyone \\<@> \\<@x> \\<:a:> \\<t:x>"},
	} {
		got := readMarkdown(c.written, someNames)
		if got.Plain != c.plain {
			t.Errorf("%q reads as %q, want %q", c.written, got.Plain, c.plain)
		}
		want := c.again
		if want == "" {
			want = c.written
		}
		if again := markdown(got); again != want {
			t.Errorf("%q comes back as %q, want %q (%+v)", c.written, again, want, got)
		}
	}
}

// What a model writes keeps its shape on Discord.
func TestModelsMarkdown(t *testing.T) {
	for written, want := range map[string]string{
		"# Title\n\n- one\n- **two**\n\n1. x":      "### Title\n\n• one\n• **two**\n\n1\\. x",
		"Look [here](https://evil.example/x_y).":   "Look here (<https://evil.example/x_y>).",
		"a ~~b~~ `c` _d_":                          "a ~~b~~ `c` *d*",
		"```python\nprint('`')\n```":               "```python\nprint('`')\n```",
		"> quoted\n> **twice**\n\nafter":           "> quoted\n> **twice**\n\nafter",
		"@everyone look at <@301> and <#1>":        "@everyone look at \\<@301> and \\<#1>",
		"price: 5 * 3, a_b, `x`":                   "price: 5 \\* 3, a\\_b, `x`",
		"A code `` `tick` `` here":                 "A code `` `tick` `` here",
		"Two\n```\nfences ``` inside\n```\nthere.": "Two\n```\nfences `\u200b`` inside\n```\nthere.",
	} {
		if got := markdown(bot.ParseMarkdown(written)); got != want {
			t.Errorf("%q is shown as %q, want %q", written, got, want)
		}
	}
}

// Whatever somebody writes: no panic, valid text, valid spans; and what the bot shows of it reads as the same text again.
func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		"**a *b* c** `d` ```go\ne```", "> q\n>>> r", "<@1><#2><:x:3><t:1:R>", `\*\_\<`, "[a](https://b.c/d)", "|| a ~~b|| c~~", "__*x*__", "# h\n-# s",
		"https://a.b/c_d_e https://x", "*" + strings.Repeat("_*", 40), "``a`b``", "```\n```", "> ```x\n> y```", "1. a\n- b", "a\n\n\nb ", "`\u200b`",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4000 {
			return
		}
		first := readMarkdown(s, someNames)
		if !utf8.ValidString(first.Plain) {
			t.Fatalf("%q: not valid UTF-8", s)
		}
		last := 0
		for _, sp := range first.Spans {
			if sp.Start < last || sp.End <= sp.Start || sp.End > len(first.Plain) {
				t.Fatalf("%q: span %+v of %q", s, sp, first.Plain)
			}
			last = sp.Start
		}
		// Plain text is shown as it is, whatever marks are in it.
		plain := bot.Plain(first.Plain)
		if back := readMarkdown(markdown(plain), names{}); back.Plain != plain.Plain || !onlyLinks(back) {
			t.Fatalf("plain %q is shown as %q, which reads %q %+v", plain.Plain, markdown(plain), back.Plain, back.Spans)
		}
		for _, part := range split(expanded(first), 100) {
			if n := length16(part); n > 100 && len([]rune(part.Plain)) > 1 {
				t.Fatalf("%q: a part measures %d: %q", s, n, markdown(part))
			}
		}
	})
}

func onlyLinks(t bot.Text) bool {
	for _, s := range t.Spans {
		if s.Kind != bot.Link || t.Plain[s.Start:s.End] != s.Value {
			return false
		}
	}
	return true
}

// What is logged of a call holds no token.
func TestRouteNamesHoldNoToken(t *testing.T) {
	if diff := cmp.Diff([]string{"PATCH /webhooks/:id/:token/messages/@original", "POST /interactions/:id/:token/callback"},
		[]string{routeOf("PATCH", "/webhooks/1/secret/messages/@original").name, routeOf("POST", "/interactions/1/secret/callback").name}); diff != "" {
		t.Error(diff)
	}
}

// A link whose address alone fills a message must not make a message that Discord refuses, nor a thousand of one letter each.
func TestLongAddresses(t *testing.T) {
	long := "https://example.org/" + strings.Repeat("a_b/", 500)
	for _, text := range []bot.Text{
		readMarkdown("see "+long+" there", names{}), bot.ParseMarkdown("[here](" + long + ") and [there](" + long + ")"), bot.Plain(long + long + long),
		new(bot.Builder).Link("harmless", "https://example.org/"+strings.Repeat("x", 5000)).Text(),
	} {
		parts := split(expanded(text), maxContent)
		if len(parts) > 6 {
			t.Errorf("%d parts", len(parts))
		}
		for _, p := range parts {
			if n := length16(p); n > maxContent {
				t.Errorf("a part of %d", n)
			}
		}
	}
}
