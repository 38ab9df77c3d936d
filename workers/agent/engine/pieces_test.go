package engine

import (
	"slices"
	"strings"
	"testing"

	"potluck/workers/protocol"
)

// fromText makes a segment of s: every "#" in it becomes the next keep.
func fromText(s string) (pieces []protocol.Piece) {
	for i, part := range strings.Split(s, "#") {
		if i > 0 {
			pieces = append(pieces, protocol.Piece{Keep: i})
		}
		pieces = append(pieces, protocol.Piece{Text: part})
	}
	return join(pieces)
}

func FuzzKeepsRoundTrip(f *testing.F) {
	for _, s := range []string{"", "hello # and #", "⟦1⟧ # ⟧⟦", "a*b **#**", `[1] \# {x}^y$/@<z>`, "&lt;b&gt; # <apertium-notrans>1</apertium-notrans>", "ends with a stop.", ".[]", "[].[]#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s = strings.ToValidUTF8(s, ""); len(s) > maxSegment {
			return // no engine takes it
		}
		want := fromText(s)
		text, l := bracketed(want)
		if got := unbracket(text, l); !slices.Equal(got, want) {
			t.Errorf("brackets: %q gave %+v, want %+v", text, got, want)
		}
		text, l = htmled(want)
		if got := unhtml(text, l); !slices.Equal(got, want) {
			t.Errorf("HTML: %q gave %+v, want %+v", text, got, want)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			return // the stream turns control characters into blanks
		}
		text = streamed(want) + streamEnd
		if got, err := unstream(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("stream: %q gave %+v, %v, want %+v", text, got, err, want)
		}
	})
}

func TestInventedMarksAreDropped(t *testing.T) {
	_, l := bracketed(fromText("see #"))
	got := unbracket("mira ⟦ 1 ⟧ y ⟦7⟧", l)
	want := []protocol.Piece{{Text: "mira "}, {Keep: 1}, {Text: " y "}}
	if !slices.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestThinkingIsTakenOutHoweverItIsCut(t *testing.T) {
	const said = "<think>They greet.\n</think>\n\nHello <b>you</b>, 1 <2. <think>more</think>Bye <thin"
	for size := 1; size <= len(said); size++ {
		var text, thought strings.Builder
		s := thinking{text: func(s string) { text.WriteString(s) }, thought: func(s string) { thought.WriteString(s) }}
		for chunk := range slices.Chunk([]byte(said), size) {
			s.write(string(chunk))
		}
		s.flush()
		if text.String() != "\n\nHello <b>you</b>, 1 <2. Bye <thin" || thought.String() != "They greet.\nmore" {
			t.Fatalf("in cuts of %d: text %q, thought %q", size, text.String(), thought.String())
		}
	}
}
