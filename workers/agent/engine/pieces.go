package engine

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"potluck/workers/protocol"
)

// maxSegment is how many bytes of text one segment may hold: more than any chat message, less than what a pipe of Apertium takes at once.
const maxSegment = 16 << 10

// join puts neighbouring texts together and drops empty ones, so that two ways of writing one segment compare equal.
func join(pieces []protocol.Piece) []protocol.Piece {
	var out []protocol.Piece
	for _, p := range pieces {
		switch last := len(out) - 1; {
		case p.Keep > 0:
			out = append(out, protocol.Piece{Keep: p.Keep})
		case p.Text == "":
		case last >= 0 && out[last].Keep == 0:
			out[last].Text += p.Text
		default:
			out = append(out, protocol.Piece{Text: p.Text})
		}
	}
	return out
}

// lines cuts a segment at its line ends; the line ends themselves are dropped.
func lines(pieces []protocol.Piece) [][]protocol.Piece {
	out := [][]protocol.Piece{nil}
	for _, p := range join(pieces) {
		if p.Keep > 0 {
			out[len(out)-1] = append(out[len(out)-1], p)
			continue
		}
		for i, text := range strings.Split(p.Text, "\n") {
			if i > 0 {
				out = append(out, nil)
			}
			out[len(out)-1] = append(out[len(out)-1], protocol.Piece{Text: text})
		}
	}
	return out
}

// margins takes the blanks at both ends off a segment: translators drop or move them.
func margins(pieces []protocol.Piece) (before string, core []protocol.Piece, after string) {
	core = slices.Clone(join(pieces))
	if n := len(core); n > 0 && core[0].Keep == 0 {
		t := strings.TrimLeftFunc(core[0].Text, unicode.IsSpace)
		before, core[0].Text = core[0].Text[:len(core[0].Text)-len(t)], t
	}
	if n := len(core); n > 0 && core[n-1].Keep == 0 {
		t := strings.TrimRightFunc(core[n-1].Text, unicode.IsSpace)
		after, core[n-1].Text = core[n-1].Text[len(t):], t
	}
	return before, join(core), after
}

// wordless tells that a segment has nothing to translate.
func wordless(pieces []protocol.Piece) bool {
	return !slices.ContainsFunc(pieces, func(p protocol.Piece) bool { return strings.ContainsFunc(p.Text, unicode.IsLetter) })
}

// plainLength is the number of text bytes in a segment.
func plainLength(pieces []protocol.Piece) (n int) {
	for _, p := range pieces {
		n += len(p.Text)
	}
	return n
}

// eachLine translates a segment line by line. It leaves out what has no words and gives each line back the blanks around it.
func eachLine(segment []protocol.Piece, translate func([]protocol.Piece) ([]protocol.Piece, error)) ([]protocol.Piece, error) {
	var out []protocol.Piece
	for i, line := range lines(segment) {
		if i > 0 {
			out = append(out, protocol.Piece{Text: "\n"})
		}
		before, core, after := margins(line)
		if !wordless(core) {
			translated, err := translate(core)
			if err != nil {
				return nil, err
			}
			_, core, _ = margins(translated)
		}
		out = append(out, protocol.Piece{Text: before})
		out = append(out, core...)
		out = append(out, protocol.Piece{Text: after})
	}
	return join(out), nil
}

// legend remembers which numbers in an encoded text are keeps, and which stand for characters that the encoding itself needs.
type legend struct {
	keeps    map[int]bool
	literals map[int]string
	next     int
}

func newLegend(pieces []protocol.Piece) *legend {
	l := &legend{keeps: map[int]bool{}, literals: map[int]string{}}
	for _, p := range pieces {
		if p.Keep > 0 {
			l.keeps[p.Keep] = true
			l.next = max(l.next, p.Keep)
		}
	}
	return l
}

func (l *legend) literal(s string) int {
	l.next++
	l.literals[l.next] = s
	return l.next
}

// piece is what number n stands for; ok is false for a number that was never written.
func (l *legend) piece(n int) (p protocol.Piece, ok bool) {
	if l.keeps[n] {
		return protocol.Piece{Keep: n}, true
	}
	s, ok := l.literals[n]
	return protocol.Piece{Text: s}, ok
}

// split decodes s: mark finds numbered places (its first group is the number), plain decodes what is between them. A number that was
// never written is left out: it is an invention of the translator, not text of the author.
func (l *legend) split(s string, mark *regexp.Regexp, plain func(string) string) []protocol.Piece {
	var out []protocol.Piece
	at := 0
	for _, m := range mark.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, protocol.Piece{Text: plain(s[at:m[0]])})
		if n, err := strconv.Atoi(s[m[2]:m[3]]); err == nil {
			if p, ok := l.piece(n); ok {
				out = append(out, p)
			}
		}
		at = m[1]
	}
	return join(append(out, protocol.Piece{Text: plain(s[at:])}))
}

// bracketed writes keeps as ⟦n⟧, which language models copy faithfully.
func bracketed(pieces []protocol.Piece) (string, *legend) {
	l := newLegend(pieces)
	var b strings.Builder
	for _, p := range pieces {
		if p.Keep > 0 {
			fmt.Fprintf(&b, "⟦%d⟧", p.Keep)
			continue
		}
		for _, r := range p.Text {
			if r == '⟦' || r == '⟧' {
				fmt.Fprintf(&b, "⟦%d⟧", l.literal(string(r)))
			} else {
				b.WriteRune(r)
			}
		}
	}
	return b.String(), l
}

var bracketMark = regexp.MustCompile(`⟦\s*([0-9]{1,9})\s*⟧`)

func unbracket(s string, l *legend) []protocol.Piece {
	return l.split(s, bracketMark, func(t string) string { return t })
}

// htmled writes keeps as <apertium-notrans>n</apertium-notrans> in HTML, and asterisks the same way: an apertium-apy that is asked not to
// mark unknown words strips one asterisk in front of every word.
func htmled(pieces []protocol.Piece) (string, *legend) {
	l := newLegend(pieces)
	var b strings.Builder
	mark := func(n int) { fmt.Fprintf(&b, "<apertium-notrans>%d</apertium-notrans>", n) }
	for _, p := range pieces {
		if p.Keep > 0 {
			mark(p.Keep)
			continue
		}
		for i, part := range strings.Split(p.Text, "*") {
			if i > 0 {
				mark(l.literal("*"))
			}
			b.WriteString(html.EscapeString(part))
		}
	}
	return b.String(), l
}

var htmlMark = regexp.MustCompile(`<apertium-notrans>\s*([0-9]{1,9})\s*</apertium-notrans>`)

func unhtml(s string, l *legend) []protocol.Piece { return l.split(s, htmlMark, html.UnescapeString) }

// streamReserved are the characters with a meaning in Apertium's stream format.
const streamReserved = `[]{}^$/\@<>*#+~=`

// streamEnd closes a sentence: without a full stop the tagger waits for more, and the empty blanks let it be told from the author's.
const streamEnd = "[].[]"

// streamed writes a segment in Apertium's stream format, keeps as superblanks [n], which pass through every stage.
func streamed(pieces []protocol.Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.Keep > 0 {
			fmt.Fprintf(&b, "[%d]", p.Keep)
			continue
		}
		for _, r := range p.Text {
			switch {
			case unicode.IsControl(r): // NUL would end the sentence
				b.WriteByte(' ')
			case strings.ContainsRune(streamReserved, r):
				b.WriteByte('\\')
				b.WriteRune(r)
			default:
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// unstream reads what came back for streamed(…)+streamEnd.
func unstream(s string) ([]protocol.Piece, error) {
	if t, ok := strings.CutSuffix(s, streamEnd); ok {
		s = t
	} else {
		// A stage moved the blanks: the last full stop is the added one.
		s = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "[]"), "."), "[]")
	}
	var out []protocol.Piece
	var text strings.Builder
	flush := func() {
		out = append(out, protocol.Piece{Text: text.String()})
		text.Reset()
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				text.WriteByte(s[i])
			}
		case '[':
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return nil, fmt.Errorf("open blank in the answer")
			}
			inside := s[i+1 : i+end]
			i += end
			if inside == "" {
				continue
			}
			n, err := strconv.Atoi(inside)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("strange blank in the answer")
			}
			flush()
			out = append(out, protocol.Piece{Keep: n})
		default:
			text.WriteByte(s[i])
		}
	}
	flush()
	return join(out), nil
}
