package bot_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"potluck/bot"
)

// tags shows a text with its spans as tags, for tables.
func tags(t bot.Text) string {
	var b strings.Builder
	var open []bot.Span
	at := 0
	upTo := func(pos int) {
		for len(open) > 0 && open[len(open)-1].End <= pos {
			s := open[len(open)-1]
			b.WriteString(t.Plain[at:s.End] + "</" + string(s.Kind) + ">")
			at, open = s.End, open[:len(open)-1]
		}
		b.WriteString(t.Plain[at:pos])
		at = pos
	}
	for _, s := range t.Spans {
		upTo(s.Start)
		b.WriteString("<" + string(s.Kind))
		if s.Value != "" {
			b.WriteString("=" + s.Value)
		}
		b.WriteString(">")
		open = append(open, s)
	}
	upTo(len(t.Plain))
	return b.String()
}

var markdown = []struct{ in, want string }{
	{"plain", "plain"},
	{"", ""},
	{"a\n\nb\n", "a\n\nb\n"},
	{"**bold** and *it* and _it_ and __b__", "<bold>bold</bold> and <italic>it</italic> and <italic>it</italic> and <bold>b</bold>"},
	{"***both***", "<bold><italic>both</italic></bold>"},
	{"**a *b* c**", "<bold>a <italic>b</italic> c</bold>"},
	{"*a **b** c*", "<italic>a <bold>b</bold> c</italic>"},
	{"**a *b** c*", "<bold>a *b</bold> c*"},
	{"***a** b*", "<italic><bold>a</bold> b</italic>"},
	{"**_a_ *b**", "<bold><italic>a</italic> *b</bold>"},
	{"~~gone~~ ||secret||", "<strike>gone</strike> <spoiler>secret</spoiler>"},
	{"`code` ``a ` b`` `open", "<code>code</code> <code>a ` b</code> `open"},
	{"`**not bold**` **`x`**", "<code>**not bold**</code> <bold><code>x</code></bold>"},
	{"**open and *open and ~~open", "**open and *open and ~~open"},
	{"snake_case_name 2 * 3 * 4 a || b || c", "snake_case_name 2 * 3 * 4 a || b || c"},
	{"**「強調」**です", "<bold>「強調」</bold>です"},
	{`\*no\* \_no\_ C:\dir`, `*no* _no_ C:\dir`},
	{"# Title\ntext", "<heading>Title</heading>\ntext"},
	{"#hashtag", "#hashtag"},
	{"- one\n* **two**\n  + three\n1. four", "• one\n• <bold>two</bold>\n  • three\n1. four"},
	{"> a\n> **b**\nc", "<quote>a\n<bold>b</bold></quote>\nc"},
	{"> > deep", "<quote>deep</quote>"},
	{"```go\nfunc *x* {\n\n}\n```\nend", "<pre=go>func *x* {\n\n}</pre>\nend"},
	{"```\nopen\nend", "<pre>open\nend</pre>"},
	{"~~~py\nx\n~~~", "<pre=py>x</pre>"},
	{"````\n```\n````", "<pre>```</pre>"},
	{"```not a language\nx\n```", "<pre>not a language\nx</pre>"},
	{"- item\n  ```sh\n  ls\n    -l\n  ```", "• item\n<pre=sh>ls\n  -l</pre>"},
	{"> ```\n> x\n> ```", "<quote><pre>x</pre></quote>"},
	{"[here](https://a.b/c_d) x", "here (<link=https://a.b/c_d>https://a.b/c_d</link>) x"},
	{"[bank.com](https://evil.com)", "bank.com (<link=https://evil.com>https://evil.com</link>)"},
	{"[https://a.b](https://a.b)", "<link=https://a.b>https://a.b</link>"},
	{"**[x](https://a.b/(c))**", "<bold>x (<link=https://a.b/(c)>https://a.b/(c)</link>)</bold>"},
	{"[**x**](https://a.b)", "<bold>x</bold> (<link=https://a.b>https://a.b</link>)"},
	{"![cat](https://a.b/c.png)", "cat (<link=https://a.b/c.png>https://a.b/c.png</link>)"},
	{"[x](javascript:alert(1)) [y](tg://user?id=1) [1] a[0](i)", "[x](javascript:alert(1)) [y](tg://user?id=1) [1] a[0](i)"},
	{"<https://a.b> <b>", "<link=https://a.b>https://a.b</link> <b>"},
	{"https://a.b/_x_/__y__ **https://c.d**", "https://a.b/_x_/__y__ <bold>https://c.d</bold>"},
	{"@everyone <@123>", "@everyone <@123>"},
	{"**a\nb** c\n\n**d\n\ne**", "<bold>a\nb</bold> c\n\n**d\n\ne**"},
	{"😀q**werty**", "😀q<bold>werty</bold>"},
	{"a\r\nb", "a\nb"},
	{"| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"},
}

func TestParseMarkdown(t *testing.T) {
	for _, c := range markdown {
		got := bot.ParseMarkdown(c.in)
		if tags(got) != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, tags(got), c.want)
		}
		wellFormed(t, got)
	}
}

// Code with a line break was written so that its closing marks opened a code block, and what followed was lost.
func TestCodeWithLineBreaksIsWrittenOnOneLine(t *testing.T) {
	for plain, want := range map[string]string{"0``\n": "0``", "a\n~~~b": "a ~~~b", "a\n\n> c": "a  > c"} {
		written := bot.Plain(plain).In(bot.Code, "").Markdown() + "end"
		if got := bot.ParseMarkdown(written).Plain; strings.TrimSpace(strings.TrimSuffix(got, "end")) != want {
			t.Errorf("%q as %q is read as %q", plain, written, got)
		}
	}
}

// What Markdown writes is read back as the same text.
func TestMarkdownRoundTrip(t *testing.T) {
	for _, c := range markdown {
		want := bot.ParseMarkdown(c.in)
		if again := bot.ParseMarkdown(want.Markdown()); tags(again) != tags(want) {
			t.Errorf("%q: %q\n got %q\nwant %q", c.in, want.Markdown(), tags(again), tags(want))
		}
	}
}

func wellFormed(t *testing.T, x bot.Text) {
	t.Helper()
	if !utf8.ValidString(x.Plain) {
		t.Fatalf("%q is not UTF-8", x.Plain)
	}
	var open []bot.Span
	for i, s := range x.Spans {
		if s.Start < 0 || s.Start >= s.End || s.End > len(x.Plain) {
			t.Fatalf("span %+v of %d bytes", s, len(x.Plain))
		}
		if !utf8.RuneStart(x.Plain[s.Start]) || s.End < len(x.Plain) && !utf8.RuneStart(x.Plain[s.End]) {
			t.Fatalf("span %+v is not on rune borders of %q", s, x.Plain)
		}
		if i > 0 && (s.Start < x.Spans[i-1].Start || s.Start == x.Spans[i-1].Start && s.End > x.Spans[i-1].End) {
			t.Fatalf("spans are not sorted: %+v", x.Spans)
		}
		for len(open) > 0 && open[len(open)-1].End <= s.Start {
			open = open[:len(open)-1]
		}
		if len(open) > 0 && s.End > open[len(open)-1].End {
			t.Fatalf("spans cross: %+v in %q", x.Spans, x.Plain)
		}
		open = append(open, s)
	}
}

// letters is what of a text must never be lost.
func letters(s string) []rune {
	var l []rune
	for _, c := range s {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			l = append(l, c)
		}
	}
	return l
}

func FuzzParseMarkdown(f *testing.F) {
	for _, c := range markdown {
		f.Add(c.in)
	}
	for _, s := range []string{"> # a\n> ```go\n> **x\n", "[[a](http://b)](http://c)", "`` ` `` ```", "1) a\n   * b\n\t+ __c__", "**a\u3000** ***", "<http://a>b</http://c>", "||a~~b||c~~", "\\\\*\\", "~~~\n```\n~~~ x\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := bot.ParseMarkdown(s)
		wellFormed(t, got)
		all := got.Plain
		for _, sp := range got.Spans {
			if sp.Kind == bot.Pre || sp.Kind == bot.Link {
				all += sp.Value
			}
		}
		// Only a language moves: it stands in the span.
		want, have := letters(strings.ToValidUTF8(s, "\uFFFD")), letters(all)
		slices.Sort(want)
		slices.Sort(have)
		if len(have) < len(want) && !lostLanguage(s) {
			t.Fatalf("%q became %q", s, all)
		}
		// Written down and read again it is as well formed, and nothing is missing.
		again := bot.ParseMarkdown(got.Markdown())
		wellFormed(t, again)
		want, have = letters(got.Plain), letters(again.Plain)
		slices.Sort(want)
		slices.Sort(have)
		if !contains(have, want) {
			t.Fatalf("%q as %q became %q", tags(got), got.Markdown(), tags(again))
		}
		// A text without marks is never taken for one with marks.
		plain := strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r", "")
		if back := bot.ParseMarkdown(bot.Plain(plain).Markdown()); back.Plain != plain || len(back.Spans) > 0 {
			t.Fatalf("the plain %q as %q became %q", plain, bot.Plain(plain).Markdown(), tags(back))
		}
	})
}

// contains tells whether every letter of want is in have as often; both are sorted.
func contains(have, want []rune) bool {
	i := 0
	for _, c := range want {
		for i < len(have) && have[i] < c {
			i++
		}
		if i == len(have) || have[i] != c {
			return false
		}
		i++
	}
	return true
}

// lostLanguage: the language of an empty code block has no place to stand.
func lostLanguage(s string) bool { return strings.Contains(s, "```") || strings.Contains(s, "~~~") }

// Hostile input costs no more per byte than a plain text. A parser that goes back over what it has read takes minutes for one of these; this one takes
// a tenth of a second, so the bound holds on a busy machine too.
func TestParseMarkdownIsLinear(t *testing.T) {
	for _, piece := range []string{"*", "**a", "*a_b", "[", "](", "[a](", "`", "`a``b", "<http", "> ", "_a", "a*b**c", "***a", "\\", "#", "- ", "~~a||", "](http://a", "```\n", "![", "_*", "h", "http://"} {
		s := strings.Repeat(piece, 400_000/len(piece))
		began := time.Now()
		wellFormed(t, bot.ParseMarkdown(s))
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("400 KB of %q took %v", piece, d)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want []string
	}{
		{"short", 10, []string{"short"}},
		{"", 10, nil},
		{"para one\n\npara two", 12, []string{"para one", "para two"}},
		{"line one\nline two", 12, []string{"line one", "line two"}},
		{"many words here", 10, []string{"many words", "here"}},
		{"abcdefghijkl", 5, []string{"abcde", "fghij", "kl"}},
		{"ab👩‍👩‍👧‍👦cd", 12, []string{"ab", "👩‍👩‍👧‍👦c", "d"}},
		{"😀😀😀", 4, []string{"😀😀", "😀"}},
		{"**bold words over** the border", 10, []string{"<bold>bold words</bold>", "<bold>over</bold> the", "border"}},
		{"```go\nfirst line\nsecond line\nthird line\n```", 24, []string{"<pre=go>first line\nsecond line</pre>", "<pre=go>third line</pre>"}},
		{"    \n\n   ", 4, nil},
	} {
		var got []string
		for _, p := range bot.Split(bot.ParseMarkdown(c.in), c.max, nil) {
			wellFormed(t, p)
			got = append(got, tags(p))
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%q in %d:\n got %q\nwant %q", c.in, c.max, got, c.want)
		}
	}
}

// 300 lines of code: every part is one code block with the language, and no line is lost.
func TestSplitCode(t *testing.T) {
	var lines []string
	for i := range 300 {
		lines = append(lines, fmt.Sprintf("    fmt.Println(%d) // `tick`", i))
	}
	in := bot.ParseMarkdown("Here:\n```go\n" + strings.Join(lines, "\n") + "\n```\nThat is all.")
	measure := func(x bot.Text) int { return bot.Plain(x.Markdown()).Len16() }
	parts := bot.Split(in, 2000, measure)
	var back []string
	for _, p := range parts {
		if n := measure(p); n > 2000 {
			t.Errorf("a part of %d", n)
		}
		if strings.Count(p.Markdown(), "```")%2 != 0 || !strings.Contains(p.Markdown(), "```go\n") {
			t.Errorf("not balanced:\n%.80s", p.Markdown())
		}
		back = append(back, p.Plain)
	}
	if got := strings.Join(back, "\n"); got != in.Plain {
		t.Errorf("joined again it differs: %d and %d bytes", len(got), len(in.Plain))
	}
}

func FuzzSplit(f *testing.F) {
	for _, c := range markdown {
		f.Add(c.in, 7)
	}
	f.Add(strings.Repeat("a\u0301", 50), 5)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 1 || most > 5000 {
			return
		}
		in := bot.ParseMarkdown(s)
		var all strings.Builder
		for _, p := range bot.Split(in, most, nil) {
			wellFormed(t, p)
			if n := p.Len16(); n > most && utf8.RuneCountInString(p.Plain) > 1 {
				t.Fatalf("a part of %d, at most %d: %q", n, most, p.Plain)
			}
			all.WriteString(p.Plain)
		}
		strip := func(s string) string {
			return strings.Map(func(c rune) rune {
				if unicode.IsSpace(c) {
					return -1
				}
				return c
			}, s)
		}
		if strip(all.String()) != strip(in.Plain) {
			t.Fatalf("%q in %d became %q", in.Plain, most, all.String())
		}
	})
}

// A grapheme that fits is never torn.
func TestSplitKeepsGraphemes(t *testing.T) {
	s := strings.Repeat("👨‍🚀e\u0301🇩🇪", 100)
	for most := 12; most < 40; most++ {
		n := 0
		for _, p := range bot.Split(bot.Plain(s), most, nil) {
			n += uniseg.GraphemeClusterCount(p.Plain)
		}
		if want := uniseg.GraphemeClusterCount(s); n != want {
			t.Fatalf("in %d: %d graphemes, want %d", most, n, want)
		}
	}
}

// Names and labels are cut between graphemes and stay valid.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"}, {"exactly", 7, "exactly"}, {"a longer name", 8, "a longe…"}, {"two words", 6, "two…"}, {"", 5, ""}, {" \n", 5, ""},
		{"  blanks  ", 6, "blanks"}, {strings.Repeat("ა", 40), 20, strings.Repeat("ა", 19) + "…"}, {"👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 12, "👨‍👩‍👧‍👦…"}, {"ab", 2, "ab"}, {"abc", 2, "a…"},
	} {
		if got := bot.Cut(c.in, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) is %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestRuneBorder(t *testing.T) {
	for _, c := range []struct {
		in      string
		n, want int
	}{{"abc", 2, 2}, {"日本語", 2, 6}, {"日本語", 3, 9}, {"日本語", 9, 9}, {"日本語", 0, 0}, {"日本語", -5, 0}, {"", 1, 0}} {
		if got := bot.RuneBorder(c.in, c.n); got != c.want {
			t.Errorf("RuneBorder(%q, %d) is %d, want %d", c.in, c.n, got, c.want)
		}
	}
}

func TestTrimmedKeepsWhatIsInside(t *testing.T) {
	got := bot.Join(bot.Plain(""), bot.Plain(" \r\n"), bot.Plain("a \n b").In(bot.Bold, ""), bot.Plain("\t c ").In(bot.Italic, "")).Trimmed()
	if tags(got) != "<bold>a \n b</bold><italic>\t c</italic>" {
		t.Errorf("%q", tags(got))
	}
	if got := bot.Plain(" \n ").In(bot.Code, "").Trimmed(); got.Plain != "" || len(got.Spans) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestBuilder(t *testing.T) {
	var b bot.Builder
	b.Add("a ").Bold("b").Append(bot.Plain(" c").In(bot.Italic, "")).Link("d", "https://e.f")
	got := bot.Join(bot.Plain("|"), b.Text(), bot.Text{}, bot.Plain("x").In(bot.Code, "").In(bot.Bold, ""))
	if want := "a <bold>b</bold><italic> c</italic><link=https://e.f>d</link>|<bold><code>x</code></bold>"; tags(got) != want {
		t.Errorf("got %s\nwant %s", tags(got), want)
	}
	if got := bot.Plain("a😀é").Len16(); got != 4 {
		t.Errorf("Len16 = %d, want 4", got)
	}
	if got := tags(b.Text().Slice(2, 5)); got != "<bold>b</bold><italic> c</italic>" {
		t.Errorf("Slice: %s", got)
	}
}

var answer = strings.Repeat("Here is **how** you do it:\n\n1. Open `main.go` and read [the docs](https://go.dev/doc).\n2. Write *this*:\n\n```go\nfunc main() {\n\tprintln(\"hi\")\n}\n```\n> and be _happy_ about snake_case names.\n\n", 20)

func BenchmarkParseMarkdown(b *testing.B) {
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		bot.ParseMarkdown(answer)
	}
}

func BenchmarkSplit(b *testing.B) {
	in := bot.ParseMarkdown(answer)
	b.SetBytes(int64(len(in.Plain)))
	b.ReportAllocs()
	for b.Loop() {
		bot.Split(in, 2000, nil)
	}
}
