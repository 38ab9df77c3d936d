package hygiene

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a\x00b\x1b[31mc\x07\u009bd", "ab[31mcd"},
		{"a\r\nb\rc\u2028d\te", "a\nb\nc\nd\te"},
		{"user\u202egnp.exe\u2066x\u2069\u200e\u061c", "usergnp.exex"},
		{"in\u200bvis\u2060ible\ufeff\u00ad\u3164\u115f\U0001D173\uffff", "invisible"},
		{"tag\U000E0041\U000E0042s", "tags"},
		{"\xff\xfeok\xed\xa0\x80", "\uFFFDok\uFFFD"},
		{"👩\u200d👩\u200d👧 and a\u200db", "👩\u200d👩\u200d👧 and ab"},
		{"❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{"क\u094d\u200dष", "क\u094d\u200dष"},
		{"👩\u200d\u200d\u200d👩", "👩\u200d👩"},
		{"z" + strings.Repeat("\u0335", 50) + "y", "z" + strings.Repeat("\u0335", 4) + "y"},
		{"م" + strings.Repeat("\u0610\u0611\u200d", 50), "م\u0610\u0611\u200d\u0610\u0611\u200d"}, // joiners do not make room for more marks
		{"Ελλάδα, ภาษาไทย, 한국어, かな, 漢字, \u0600١٢", "Ελλάδα, ภาษาไทย, 한국어, かな, 漢字, \u0600١٢"},
	} {
		if got := Visible(c.text); got != c.want {
			t.Errorf("Visible(%q) = %q, want %q", c.text, got, c.want)
		}
	}
	if got := Line("a\r\nb\tc\u2029\x00d"); got != "a b c d" {
		t.Errorf("Line: %q", got)
	}
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"see [your bank](https://evil.example/a_(b)) now", "see your bank (https://evil.example/a_(b)) now"},
		{"[https://a.b](https://a.b) ![cat](https://c.d/e.png \"title\") [](https://x.y)", "https://a.b cat (https://c.d/e.png) https://x.y"},
		{"[a](<https://b.c>)", "a (https://b.c)"},
		{"[see [x](https://y.z)](https://evil.example)", "see x (https://y.z) (https://evil.example)"},
		{"a](https://evil.example) [b](not a target", "a] (https://evil.example) [b] (not a target"},
		{"[" + strings.Repeat("a very long label ", 29) + "](https://a.b)", "[" + strings.Repeat("a very long label ", 29) + "] (https://a.b)"},
		{"`[a](b)` and\n```\n[a](b)\n```", "`[a](b)` and\n```\n[a](b)\n```"},
		{"a ` [b](c)", "a ` b (c)"},
		{"join https://discord.gg/abc or discord.com/invite/xyz or t.me/+AbC or https://t.me/joinchat/q", "join […] or […] or […] or […]"},
		{"discord.gg/a(https://evil.example)", "[…] (https://evil.example)"},
		{"discord.g[](g/abc)", "[…]"},
		{"a\n\n\n\n\n\n\nb", "a\n\n\nb"},
	} {
		if got := Markdown(c.text, false); got != c.want {
			t.Errorf("Markdown(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestRepetitionIsCut(t *testing.T) {
	for _, unit := range []string{"ha", "I am stuck. ", "0123456789abcdef0123456789abcdef", "日本", strings.Repeat("long sentence ", 9)} {
		for _, growing := range []bool{false, true} {
			text := "It begins well. " + strings.Repeat(unit, 3000/len(unit)+30)
			got := Markdown(text, growing)
			if !strings.HasPrefix(got, "It begins well. ") || !utf8.ValidString(got) || !growing && len(got) > 300 || growing && len(got) >= len(text) && len(unit) <= repeatUnit {
				t.Errorf("%q, growing %v: %d bytes, %.60q", unit, growing, len(got), got)
			}
		}
	}
	for _, text := range []string{
		strings.Repeat("| a | b |\n", 10) + strings.Repeat("-", 200),
		strings.Repeat("a", repeats*repeatUnit), // one byte less than a run
	} {
		if got := Markdown(text, false); got != text {
			t.Errorf("%d bytes became %d", len(text), len(got))
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"日本", 5, "日"}, {"日本", 2, ""}, {"abc", 0, ""}, {"abc", -1, ""}, {"", 5, ""}} {
		if got := Cut(c.text, c.limit); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

// hostile are texts of n bytes that a careless reader takes long for.
func hostile(n int) map[string]string {
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	// Numbered units are no repetition, which would be cut before anything else is looked at.
	numbered := func(s string) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			b.WriteString(s)
			b.WriteString(strconv.Itoa(i * 7919 % 100003))
		}
		return b.String()
	}
	return map[string]string{
		"plain":              numbered("Some words of an answer that is long. And 12345 others; "),
		"japanese":           numbered("これは長い答えの一部です。"),
		"marks":              fill("a\u0335"),
		"joiners":            fill("\u200d"),
		"titles never ended": numbered(`[a](b "[c](d)`),
		"brackets":           numbered("["),
		"nested":             numbered("[") + numbered("](a)"),
		"links":              numbered("[a](b)"),
		"begun":              numbered("[](("),
		"backticks":          numbered("`a\n[](b)"),
		"invites":            numbered("discord.g"),
		"nearly stuck":       fill(strings.Repeat("a", repeats*repeatUnit-1) + "b"),
		"stuck":              fill("ab"),
		"line breaks":        fill("\n\n\n"),
	}
}

// A reader that goes back over what it has read takes minutes for one of these; this one takes milliseconds, so the bound holds on a busy machine too.
func TestHostileTextsTakeNoTime(t *testing.T) {
	for name, text := range hostile(1 << 19) {
		began := time.Now()
		Markdown(Visible(text), false)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %v for 512 KiB", name, took)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("[b](c) `d` \u202e discord.gg/x [a [b](c)](d) ```", true)
	f.Add("disc[](ord.gg/abc) t.me/+x(y)", false)
	f.Fuzz(func(t *testing.T, text string, growing bool) {
		seen := Visible(text)
		got := Markdown(seen, growing)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\r\u202e\u200b\u2066\ufeff") || invites.MatchString(got) {
			t.Errorf("%q shows %q", text, got)
		}
		if !strings.Contains(got, "`") && strings.Contains(got, "](") {
			t.Errorf("%q shows the link %q", text, got)
		}
		if again := Visible(seen); again != seen {
			t.Errorf("%q: %q, then %q", text, seen, again)
		}
		if line := Line(text); strings.ContainsAny(line, "\n\t\r") || !utf8.ValidString(line) {
			t.Errorf("%q has the line %q", text, line)
		}
		if cut := Cut(seen, len(seen)/2); !strings.HasPrefix(seen, cut) || len(cut) > len(seen)/2 || !utf8.ValidString(cut) {
			t.Errorf("%q is cut to %q", seen, cut)
		}
	})
}

func BenchmarkMarkdown(b *testing.B) {
	for name, text := range hostile(1 << 16) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Markdown(Visible(text), false)
			}
		})
	}
}
