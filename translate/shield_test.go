package translate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"potluck/workers/protocol"
)

// sent writes a segment as a worker sees it.
func sent(pieces []protocol.Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.Keep > 0 {
			b.WriteString("⟦" + string(rune('0'+p.Keep)) + "⟧")
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

func TestShield(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // segments
	}{
		{"Hi <@1>, {x} [y] <:pog:3> https://a.b/c?d=e", []string{"Hi ⟦1⟧, ⟦2⟧"}},
		{"Hello %1$s {{name}}", []string{"Hello ⟦1⟧"}},
		{"Hello %s and %d of 100% sure", []string{"Hello ⟦1⟧ and ⟦2⟧ of 100% sure"}},
		{`"Hello"`, []string{"Hello"}},
		{"```go\nfmt.Println(\"hello\")\n```", nil},
		{"look:\n```\nx := 1\n```\nnice", []string{"look:", "nice"}},
		{"run `make all` now", []string{"run ⟦1⟧ now"}},
		{"``a`b`` c", []string{"⟦1⟧ c"}},
		{"unclosed ```code and more", []string{"unclosed ⟦1⟧"}},
		{"a ` lone tick", []string{"a ` lone tick"}},
		{"> quoted **text** here", []string{"quoted **text** here"}},
		{"# Title\n- one\n- two\n1. three", []string{"Title", "one", "two", "three"}},
		{"**Important**", []string{"Important"}},
		{"||spoiler||", []string{"spoiler"}},
		{"*a* and *b*", []string{"*a* and *b*"}},
		{"hello 😀👩‍👩‍👧‍👦🇪🇸", []string{"hello"}},
		{"I love 🍕 pizza", []string{"I love ⟦1⟧ pizza"}},
		{"press 1️⃣ now", []string{"press ⟦1⟧ now"}},
		{"mail rita@example.org or @everyone", []string{"mail ⟦1⟧ or ⟦2⟧"}},
		{"type /imagine in #general, see (https://a.b/x_(y)).", []string{"type ⟦1⟧ in ⟦2⟧, see (⟦3⟧)."}},
		{"https://ja.wikipedia.org/wiki/日本を見て", []string{}},
		{"見てhttps://a.b/c。次の日", []string{"見て⟦1⟧。次の日"}},
		{"join discord.gg/abc at <t:1700000000:R>", []string{"join ⟦1⟧ at ⟦2⟧"}},
		{"<@1> <@2> hello", []string{"⟦1⟧ hello"}},
		{"a <b>bold</b> word", []string{"a ⟦1⟧bold⟦2⟧ word"}},
		{"I <3 you", []string{"I <3 you"}},
		{"at 10:30:45 :smile:", []string{"at 10:30:45"}},
		{"\n\n  hello  \n\t\n", []string{"hello"}},
		{"😀 12 https://x.org", nil},
	} {
		s := Shield(c.text, nil)
		var got []string
		for _, pieces := range s.Segments {
			got = append(got, sent(pieces))
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") && len(c.want) > 0 || c.want == nil && len(got) > 0 {
			t.Errorf("Shield(%q) = %q, want %q", c.text, got, c.want)
		}
		checkRoundTrip(t, c.text, nil)
	}
}

func checkRoundTrip(t *testing.T, text string, fixed [][2]int) {
	t.Helper()
	s := Shield(text, fixed)
	back, kept, err := s.Unshield(s.Segments)
	if err != nil || back != text {
		t.Fatalf("%q came back as %q, %v", text, back, err)
	}
	last := 0
	for _, k := range kept {
		if k[0] < last || k[1] <= k[0] || k[1] > len(back) {
			t.Fatalf("%q: kept %v", text, kept)
		}
		last = k[1]
	}
	for _, pieces := range s.Segments {
		for _, p := range pieces {
			if strings.Contains(p.Text, "\n") || (p.Keep > 0) == (p.Text != "") {
				t.Fatalf("%q: piece %+v", text, p)
			}
		}
	}
}

func FuzzShieldRoundTrip(f *testing.F) {
	for _, text := range []string{"Hi <@1>, {x} [y] <:pog:3> https://a.b/c?d=e", "**a**\r\n> b `c\nd` e", "``````", "1️⃣\n- \n#", "“a”\n\"\"", "\u2028x\v y\r\n\r"} {
		f.Add(text, 3, 9)
	}
	f.Fuzz(func(t *testing.T, text string, start, end int) {
		checkRoundTrip(t, text, nil)
		if utf8.ValidString(text) {
			checkRoundTrip(t, text, [][2]int{{start, end}, {end, start + 1}})
		}
	})
}

func TestFixedRangesNeverLeave(t *testing.T) {
	text := "ask José about it\nplease"
	start := strings.Index(text, "José")
	s := Shield(text, [][2]int{{start, start + len("José")}})
	if got := sent(s.Segments[0]); got != "ask ⟦1⟧ about it" {
		t.Fatalf("sent %q", got)
	}
	back, kept, err := s.Unshield([][]protocol.Piece{{{Text: "pregúntale a"}, {Keep: 1}, {Text: "sobre eso\n "}}, {{Text: " por favor"}}})
	if err != nil || back != "pregúntale a José sobre eso\npor favor" {
		t.Fatalf("%q, %v", back, err)
	}
	if len(kept) != 1 || back[kept[0][0]:kept[0][1]] != "José" {
		t.Errorf("kept %v", kept)
	}
}

func TestUnshieldRefusesLostAndDoubledKeeps(t *testing.T) {
	s := Shield("a <@1> b <@2> c", nil)
	for name, pieces := range map[string][][]protocol.Piece{
		"lost":        {{{Text: "x"}, {Keep: 1}}},
		"doubled":     {{{Keep: 1}, {Keep: 2}, {Keep: 1}}},
		"unknown":     {{{Keep: 1}, {Keep: 2}, {Keep: 3}}},
		"negative":    {{{Keep: 1}, {Keep: 2}, {Keep: -1}}},
		"with text":   {{{Keep: 1, Text: "x"}, {Keep: 2}}},
		"no segment":  {},
		"two of them": {{{Keep: 1}, {Keep: 2}}, {{Text: "x"}}},
	} {
		if text, _, err := s.Unshield(pieces); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}
