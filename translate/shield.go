package translate

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"potluck/workers/protocol"
)

// Shielded is a text taken apart: Segments go to a worker, everything else stays here until Unshield.
type Shielded struct {
	// Segments are the lines that have words in them, without blanks, marks and emoji at their ends. A piece with Keep n stands for a place whose
	// content the worker never sees; n counts from 1 within its segment.
	Segments [][]protocol.Piece
	frame    []framePart
}

// framePart is literal text, or (segment ≥ 0) the place of a segment.
type framePart struct {
	literal string
	kept    [][2]int // ranges of literal that are keeps
	segment int
	keeps   []keep
}

// keep is what stands behind a Keep: the text, and the ranges of the single mentions, URLs … in it (neighbours share one Keep).
type keep struct {
	text  string
	parts [][2]int
}

// span is a range of the text that must stay. Soft ones (emoji) carry no grammar: at the ends of a line they need not be sent at all.
type span struct {
	start, end int
	soft       bool
	parts      [][2]int
}

const (
	urlChars = `[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]`
	// Letters beyond ASCII belong to a URL only right behind a slash: "https://a.b/cを見て" ends before を.
	urlPath = `(?:/[\p{L}\p{N}_%\-]+|` + urlChars + `)*`
	domains = `(?:com|net|org|io|gg|me|dev|app|tv|info|xyz|co|ai|edu|gov|eu|us|uk|de|fr|es|it|nl|pl|ru|jp|cn|br|ca|ch|at|se|be|link|site|online|shop|club|to|ly|gl|cc|ws)`
)

var (
	urls     = regexp.MustCompile(`(?i)(?:[a-z][a-z0-9+.\-]{1,15}://|mailto:|www\.)` + urlPath)
	bareURLs = regexp.MustCompile(`(?i)\b(?:[a-z0-9][a-z0-9\-]{0,62}\.){1,5}` + domains + `\b(?:[:/]` + urlPath + `)?`)
	hard     = []*regexp.Regexp{
		regexp.MustCompile(`<(?:@[!&]?|#)\d{1,20}>|<a?:\w{1,40}:\d{1,20}>|<t:-?\d{1,15}(?::[a-zA-Z])?>|</[^<>\n]{1,100}:\d{1,20}>|<id:[a-z]{1,20}>`),
		regexp.MustCompile(`</?[A-Za-z][^<>\n]{0,80}>`),                                                     // tags
		regexp.MustCompile(`[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.)+[A-Za-z]{2,24}`),              // mail
		regexp.MustCompile(`@[A-Za-z][A-Za-z0-9_]{1,63}`),                                                   // @everyone, @name
		regexp.MustCompile(`#[\p{L}\p{N}_][\p{L}\p{N}_\-]{0,99}`),                                           // #general
		regexp.MustCompile(`%(?:\d{1,2}\$)?[-+0#]{0,4}\d{0,4}(?:\.\d{1,4})?[sdifgxXcu]\b|%(?:\d{1,2}\$)?@`), // printf
		regexp.MustCompile(`\{\{[^{}\n]{0,64}\}\}|\$?\{[\w.:\-]{0,64}\}|\[[A-Za-z0-9 ]?\]|\[\d{1,4}\]`),
	}
	commands   = regexp.MustCompile(`(?:^|\s)(/[A-Za-z][A-Za-z0-9_\-]{0,31}(?:@[A-Za-z0-9_]{2,64})?)(?:$|[\s.,!?:;)])`)
	shortcodes = regexp.MustCompile(`:[A-Za-z_][A-Za-z0-9_+\-]{1,40}:`)
	custom     = regexp.MustCompile(`<a?:\w{1,40}:\d{1,20}>`)
	// lineMarks start a quote, heading or list item; the blanks around them belong to them.
	lineMarks = regexp.MustCompile(`^(?:\s*(?:>{1,3}|#{1,6}|-#|[-*+•·‣–—]|\d{1,3}[.)]|\[[ xX]\])(?:\s+|$))*\s*`)
	// wrappers enclose a whole line: they are put back by us, because engines drop them.
	wrappers = [][2]string{{"**", "**"}, {"__", "__"}, {"~~", "~~"}, {"||", "||"}, {"*", "*"}, {"_", "_"}, {`"`, `"`}, {"'", "'"}, {"“", "”"}, {"„", "“"},
		{"‘", "’"}, {"«", "»"}, {"「", "」"}, {"『", "』"}, {"(", ")"}, {"（", "）"}}
)

// Shield takes a text apart. fixed are byte ranges that must stay beside what is found here: mentions, custom emoji, timestamps, URLs, mail addresses,
// code, placeholders, commands, emoji. Shield followed by Unshield of the same segments gives the text back byte by byte, whatever it is.
func Shield(text string, fixed [][2]int) Shielded {
	var s Shielded
	at := 0
	spans := stays(text, fixed)
	for at < len(text) {
		end, next := lineEnd(text, at, spans)
		n := 0
		for n < len(spans) && spans[n].start < next {
			n++
		}
		s.line(text, at, end, spans[:n])
		s.literal(text[end:next], nil)
		at, spans = next, spans[n:]
	}
	return s
}

// lineEnd returns where the line that begins at ends, without and with its line break. A break inside a span does not end it.
func lineEnd(text string, at int, spans []span) (end, next int) {
	stay := at // where the last span ended
	for i := at; i < len(text); i++ {
		for len(spans) > 0 && spans[0].end <= i {
			stay, spans = spans[0].end, spans[1:]
		}
		if text[i] != '\n' || len(spans) > 0 && spans[0].start <= i {
			continue
		}
		end = i
		if end > stay && text[end-1] == '\r' {
			end--
		}
		return end, i + 1
	}
	return len(text), len(text)
}

// line adds text[at:end], cut into literal ends and a segment between them.
func (s *Shielded) line(text string, at, end int, spans []span) {
	from, to := at, end
	firstHard := end
	if len(spans) > 0 {
		firstHard = spans[0].start
	}
	from += len(lineMarks.FindString(text[from:firstHard]))
	for changed := true; changed && from < to; {
		changed = false
		inner := inside(spans, from, to)
		if len(inner) > 0 && inner[0].soft && inner[0].start == from {
			from, changed = inner[0].end, true
			continue
		}
		if n := len(inner); n > 0 && inner[n-1].soft && inner[n-1].end == to {
			to, changed = inner[n-1].start, true
			continue
		}
		left, right := to, from // text without a span at either end
		if len(inner) > 0 {
			left, right = inner[0].start, inner[len(inner)-1].end
		}
		if n := blanksBefore(text[from:left]); n > 0 {
			from, changed = from+n, true
			continue
		}
		if n := blanksBehind(text[right:to]); n > 0 {
			to, changed = to-n, true
			continue
		}
		for _, w := range wrappers {
			open, shut := len(w[0]), len(w[1])
			if left-from >= open && to-right >= shut && to-from > open+shut && strings.HasPrefix(text[from:left], w[0]) && strings.HasSuffix(text[right:to], w[1]) &&
				!strings.Contains(text[from+open:to-shut], w[0]) && !strings.Contains(text[from+open:to-shut], w[1]) {
				from, to, changed = from+open, to-shut, true
				break
			}
		}
	}

	inner := inside(spans, from, to)
	pieces, keeps, words := piecesOf(text, from, to, inner)
	if !words {
		s.literal(text[at:end], within(spans, at, end))
		return
	}
	s.literal(text[at:from], within(spans, at, from))
	s.frame = append(s.frame, framePart{segment: len(s.Segments), keeps: keeps})
	s.Segments = append(s.Segments, pieces)
	s.literal(text[to:end], within(spans, to, end))
}

// piecesOf cuts a range into text and keeps; words tells whether there is a letter outside of the keeps.
func piecesOf(text string, from, to int, spans []span) (pieces []protocol.Piece, keeps []keep, words bool) {
	at := from
	for _, k := range spans {
		if between := text[at:k.start]; between != "" {
			if len(keeps) > 0 && at != from && strings.TrimSpace(between) == "" { // neighbours share one Keep: less to lose
				last := &keeps[len(keeps)-1]
				offset := len(last.text) + len(between)
				last.text += between + text[k.start:k.end]
				last.parts = append(last.parts, moved(k.parts, offset-k.start)...)
				at = k.end
				continue
			}
			pieces = append(pieces, protocol.Piece{Text: between})
			words = words || strings.ContainsFunc(between, unicode.IsLetter)
		}
		keeps = append(keeps, keep{text[k.start:k.end], moved(k.parts, -k.start)})
		pieces = append(pieces, protocol.Piece{Keep: len(keeps)})
		at = k.end
	}
	if at < to {
		pieces = append(pieces, protocol.Piece{Text: text[at:to]})
		words = words || strings.ContainsFunc(text[at:to], unicode.IsLetter)
	}
	return pieces, keeps, words
}

func (s *Shielded) literal(text string, kept [][2]int) {
	if text != "" {
		s.frame = append(s.frame, framePart{literal: text, kept: kept, segment: -1})
	}
}

func moved(parts [][2]int, by int) [][2]int {
	out := make([][2]int, len(parts))
	for i, p := range parts {
		out[i] = [2]int{p[0] + by, p[1] + by}
	}
	return out
}

func inside(spans []span, from, to int) []span {
	for len(spans) > 0 && spans[0].end <= from {
		spans = spans[1:]
	}
	for len(spans) > 0 && spans[len(spans)-1].start >= to {
		spans = spans[:len(spans)-1]
	}
	return spans
}

// within are the parts of the spans in text[from:to], counted from from.
func within(spans []span, from, to int) [][2]int {
	var out [][2]int
	for _, k := range inside(spans, from, to) {
		out = append(out, moved(k.parts, -from)...)
	}
	return out
}

func blanksBefore(s string) int { return len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace)) }
func blanksBehind(s string) int { return len(s) - len(strings.TrimRightFunc(s, unicode.IsSpace)) }

// stays finds every span, sorted, apart from each other.
func stays(text string, fixed [][2]int) []span { return apart(found(text, fixed)) }

// found finds every span of a text; they may overlap.
func found(text string, fixed [][2]int) (all []span) {
	add := func(start, end int, soft bool) {
		if start < end {
			all = append(all, span{start, end, soft, [][2]int{{start, end}}})
		}
	}
	for _, f := range fixed {
		start, end := max(0, f[0]), min(len(text), f[1])
		for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) {
			start--
		}
		for end < len(text) && end > 0 && !utf8.RuneStart(text[end]) {
			end++
		}
		add(start, end, false)
	}
	for _, c := range codeRanges(text) {
		add(c[0], c[1], false)
	}
	for _, m := range addresses(text) {
		add(m[0], m[1], false)
	}
	for _, pattern := range hard {
		for _, m := range pattern.FindAllStringIndex(text, -1) {
			add(m[0], m[1], custom.MatchString(text[m[0]:m[1]]))
		}
	}
	for at := 0; ; { // the blank behind one command may be the blank before the next
		m := commands.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		add(at+m[2], at+m[3], false)
		at += m[3]
	}
	for _, m := range shortcodes.FindAllStringIndex(text, -1) {
		add(m[0], m[1], true)
	}
	for _, m := range emojiRanges(text) {
		add(m[0], m[1], true)
	}
	return all
}

// apart sorts spans and makes one of those that overlap.
func apart(all []span) []span {
	slices.SortStableFunc(all, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	var out []span
	for _, k := range all {
		last := len(out) - 1
		if last < 0 || k.start >= out[last].end {
			out = append(out, k)
			continue
		}
		if k.end > out[last].end { // they cross: one span, one part
			out[last].end = k.end
			out[last].parts[0][1] = k.end
		}
		out[last].soft = out[last].soft && k.soft
	}
	return out
}

// addresses finds URLs, without the punctuation of the sentence behind them.
func addresses(text string) [][2]int {
	var out [][2]int
	for _, pattern := range []*regexp.Regexp{urls, bareURLs} {
		for _, m := range pattern.FindAllStringIndex(text, -1) {
			end := m[1]
			for end > m[0] {
				last := text[end-1]
				if strings.IndexByte(`.,;:!?'"*~`, last) >= 0 || last == ')' && strings.Count(text[m[0]:end], ")") > strings.Count(text[m[0]:end], "(") ||
					last == ']' && strings.Count(text[m[0]:end], "]") > strings.Count(text[m[0]:end], "[") {
					end--
					continue
				}
				break
			}
			out = append(out, [2]int{m[0], end})
		}
	}
	return out
}

// codeRanges finds code between runs of backticks of the same length. Three or more without an end run to the end of the text.
func codeRanges(text string) [][2]int {
	var out [][2]int
	for at := 0; at < len(text); {
		start := strings.IndexByte(text[at:], '`')
		if start < 0 {
			break
		}
		start += at
		ticks := run(text, start)
		end := -1
		for i := start + ticks; i < len(text); {
			next := strings.IndexByte(text[i:], '`')
			if next < 0 {
				break
			}
			i += next
			n := run(text, i)
			if n == ticks || ticks >= 3 && n >= ticks {
				end = i + n
				break
			}
			i += n
		}
		switch {
		case end >= 0:
		case ticks >= 3:
			end = len(text)
		default:
			at = start + ticks
			continue
		}
		out = append(out, [2]int{start, end})
		at = end
	}
	return out
}

func run(text string, at int) int {
	n := 0
	for at+n < len(text) && text[at+n] == '`' {
		n++
	}
	return n
}

// emojiRanges finds runs of emoji with their joiners, skin tones, flags and keycaps.
func emojiRanges(text string) [][2]int {
	var out [][2]int
	start, last := -1, 0
	for i, c := range text {
		switch {
		case emoji(c):
			if start < 0 {
				start = i
			}
		case start >= 0 && (c == 0x200D || c == 0xFE0F || c == 0x20E3 || c >= 0x1F3FB && c <= 0x1F3FF || c >= 0xE0020 && c <= 0xE007F):
		case c == 0xFE0F || c == 0x20E3: // a keycap: the digit before it belongs to it
			start = last
		default:
			if start >= 0 {
				out = append(out, [2]int{start, i})
				start = -1
			}
		}
		last = i
	}
	if start >= 0 {
		out = append(out, [2]int{start, len(text)})
	}
	return out
}

func emoji(c rune) bool {
	return c >= 0x1F000 && c <= 0x1FAFF || c >= 0x2600 && c <= 0x27BF || c >= 0x2B00 && c <= 0x2BFF || c >= 0x2300 && c <= 0x23FF ||
		c >= 0x2190 && c <= 0x21FF || c >= 0x25A0 && c <= 0x25FF || c == 0x203C || c == 0x2049 || c == 0x3030 || c == 0x303D || c == 0x3297 || c == 0x3299
}

// Words is what Segments say, without the keeps: one line per segment.
func (s Shielded) Words() string {
	var b strings.Builder
	for i, pieces := range s.Segments {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, p := range pieces {
			if p.Keep > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

var errKeeps = errors.New("the segments or their keeps do not match what was sent")

// Unshield puts translated segments into the frame of the source. kept are the byte ranges of the result that stand as they were. It fails when the
// number of segments differs or a keep does not stand exactly once.
func (s Shielded) Unshield(translated [][]protocol.Piece) (text string, kept [][2]int, err error) {
	if len(translated) != len(s.Segments) {
		return "", nil, errKeeps
	}
	var b strings.Builder
	for _, part := range s.frame {
		if part.segment < 0 {
			kept = append(kept, moved(part.kept, b.Len())...)
			b.WriteString(part.literal)
			continue
		}
		pieces := trim(translated[part.segment])
		alone := standAlone(s.Segments[part.segment])
		seen := make([]bool, len(part.keeps)+1)
		for i, p := range pieces {
			if p.Keep == 0 {
				b.WriteString(p.Text)
				continue
			}
			if p.Text != "" || p.Keep < 0 || p.Keep >= len(seen) || seen[p.Keep] {
				return "", nil, errKeeps
			}
			seen[p.Keep] = true
			if alone[p.Keep] && i > 0 && sticks(lastRune(pieces[i-1].Text)) {
				b.WriteByte(' ')
			}
			k := part.keeps[p.Keep-1]
			kept = append(kept, moved(k.parts, b.Len())...)
			b.WriteString(k.text)
			if alone[p.Keep] && i+1 < len(pieces) && sticks(firstRune(pieces[i+1].Text)) {
				b.WriteByte(' ')
			}
		}
		if slices.Contains(seen[1:], false) {
			return "", nil, errKeeps
		}
	}
	return b.String(), kept, nil
}

// trim drops the blanks at a segment's ends, and line breaks: a segment is a line.
func trim(pieces []protocol.Piece) []protocol.Piece {
	var out []protocol.Piece
	for _, p := range pieces {
		p.Text = strings.ReplaceAll(p.Text, "\n", " ")
		if p.Keep == 0 && len(out) > 0 && out[len(out)-1].Keep == 0 {
			out[len(out)-1].Text += p.Text
			continue
		}
		out = append(out, p)
	}
	if len(out) > 0 {
		out[0].Text = strings.TrimLeftFunc(out[0].Text, unicode.IsSpace)
		out[len(out)-1].Text = strings.TrimRightFunc(out[len(out)-1].Text, unicode.IsSpace)
	}
	return out
}

// standAlone tells which keeps of a source segment touch no letter. Engines lose the blanks beside them.
func standAlone(pieces []protocol.Piece) map[int]bool {
	out := map[int]bool{}
	for i, p := range pieces {
		if p.Keep > 0 {
			out[p.Keep] = (i == 0 || !sticks(lastRune(pieces[i-1].Text))) && (i+1 == len(pieces) || !sticks(firstRune(pieces[i+1].Text)))
		}
	}
	return out
}

// sticks tells whether a word that ends with this letter needs a blank before a keep. Other scripts are written without, or join particles to it.
func sticks(c rune) bool {
	return unicode.In(c, unicode.Latin, unicode.Cyrillic, unicode.Greek) && unicode.IsLetter(c) || unicode.IsDigit(c)
}

func lastRune(s string) rune {
	c, _ := utf8.DecodeLastRuneInString(s)
	return c
}

func firstRune(s string) rune {
	c, _ := utf8.DecodeRuneInString(s)
	return c
}
