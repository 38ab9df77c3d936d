package ask

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShown(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain **text**", "plain **text**"},
		{"a\x00b\x1b[31mc\x07\u009bd", "ab[31mcd"},
		{"a\r\nb\rc\u2028d\te", "a\nb\nc\nd\te"},
		{"user\u202egnp.exe\u2066x\u2069\u200e\u061c", "usergnp.exex"},
		{"in\u200bvis\u2060ible\ufeff\u00ad", "invisible"},
		{"tag\U000E0041\U000E0042s", "tags"},
		{"\xff\xfeok", "\uFFFDok"},
		{"👩\u200d👩\u200d👧 and a\u200db", "👩\u200d👩\u200d👧 and ab"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{"z" + strings.Repeat("\u0335", 50) + "y", "z" + strings.Repeat("\u0335", 4) + "y"},
		{"<think>a</think>b", "b"},
		{"<THINK >a</ think>b<think>c</think>d", "bd"},
		{"<think>never closed", ""},
		{"before <think>never closed", "before"},
		{"no opening</think>answer", "answer"},
		{"<think>a<think>b</think>c</think>d", "d"},
		{"<thinking>a</thinking>b", "b"},
		{"<th\u200bink>a</think>b", "b"},
		{"the tag `<think>` begins thoughts", "the tag `<think>` begins thoughts"},
		{"see [your bank](https://evil.example/a_(b)) now", "see your bank (https://evil.example/a_(b)) now"},
		{"[https://a.b](https://a.b) ![cat](https://c.d/e.png \"title\") [](https://x.y)", "https://a.b cat (https://c.d/e.png) https://x.y"},
		{"[a](<https://b.c>)", "a (https://b.c)"},
		{"`[a](b)` and\n```\n[a](b)\n```", "`[a](b)` and\n```\n[a](b)\n```"},
		{"join https://discord.gg/abc or discord.com/invite/xyz or t.me/+AbC or https://t.me/joinchat/q", "join […] or […] or […] or […]"},
		{"dis\u200bcord.gg/abc", "[…]"},
		{"a\n\n\n\n\n\n\nb", "a\n\n\nb"},
		{"@everyone stays: who may ping is for the adapters", "@everyone stays: who may ping is for the adapters"},
	} {
		if got, _ := shown(c.text, false); got != c.want {
			t.Errorf("shown(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestRepetitionIsCut(t *testing.T) {
	for _, unit := range []string{"ha", "I am stuck. ", "0123456789abcdef0123456789abcdef", "日本", strings.Repeat("long sentence ", 9)} {
		got, _ := shown("It begins well. "+strings.Repeat(unit, 3000/len(unit)+30), false)
		if !strings.HasPrefix(got, "It begins well. ") || len(got) > 300 || !utf8.ValidString(got) {
			t.Errorf("%q: %d bytes, %.60q", unit, len(got), got)
		}
	}
	table := strings.Repeat("| a | b |\n", 10) + strings.Repeat("-", 200)
	if got, _ := shown(table, false); got != table {
		t.Errorf("a table was cut: %q", got)
	}
}

func FuzzShown(f *testing.F) {
	f.Add("<think>a</think>[b](c) `d` \u202e discord.gg/x", true)
	f.Fuzz(func(t *testing.T, text string, unfinished bool) {
		got, _ := shown(text, unfinished)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\u202e\u200b\u2066") {
			t.Errorf("%q shows %q", text, got)
		}
	})
}

// BenchmarkDraft is what it costs to clean an answer that has grown by a word: one of 64 KiB, as long as any may be, and one as people get them. The pool
// tells news at most 20 times a second, and rests nine times as long as this takes.
func BenchmarkDraft(b *testing.B) {
	const most = 64 << 10
	for _, c := range []struct {
		name, part string
		size       int
	}{
		{"usual", "Some words of an answer that is long. And 12345 others; ", 4 << 10}, {"words", "The quick brown fox jumps over the lazy dog. ", most},
		{"kana", "これはとても長い文章です。", most}, {"links", "[a](https://b.example) ", most},
		{"invites", "tg: ", most}, {"letters", "t.me", most}, {"tags", "<think", most}, {"blanks", "<  ", most},
	} {
		text := strings.Repeat(c.part, c.size/len(c.part))
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				shown(text, true)
			}
		})
	}
}
