// Package hygiene takes out of a worker's text what people must not be shown.
package hygiene

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Everything here takes time in proportion to the length of the text, whatever is in it.

// maxMarks is how many combining marks one letter may carry: more is a tower over the lines around it.
const maxMarks = 4

// Visible drops what cannot be seen or steers the text around it: invalid bytes, control, bidi and tag characters, invisible ones except joiners that
// mean something where they stand, and towers of marks. Line breaks and tabs stay.
func Visible(s string) string { return visible(s, '\n', '\t') }

// Line is Visible for a text of one line: line breaks and tabs become blanks.
func Line(s string) string { return visible(s, ' ', ' ') }

func visible(s string, lineBreak, tab rune) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s))
	var before rune // the last rune that was kept
	marks := 0
	for i, c := range s {
		switch {
		case c >= ' ' && c <= '~':
		case c == '\n' || c == '\r' || c == '\u2028' || c == '\u2029':
			c = lineBreak
		case c == '\t':
			c = tab
		case c == zwnj || c == zwj:
			// It does not begin the count of marks anew: a tower with joiners in it is one.
			if next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(c):]); joins(before) && joins(next) {
				b.WriteRune(c)
				before = c
			}
			continue
		case unseen(c):
			continue
		case unicode.In(c, unicode.Mn, unicode.Me):
			if marks++; marks <= maxMarks {
				b.WriteRune(c)
				before = c
			}
			continue
		}
		marks = 0
		b.WriteRune(c)
		before = c
	}
	return b.String()
}

const zwnj, zwj = '\u200C', '\u200D'

// unseen tells whether a rune shows nothing by itself. Signs that enclose the digits behind them (Arabic number signs) are format characters too, but
// people see them.
func unseen(c rune) bool {
	switch {
	case c < 0x20 || c >= 0x7F && c < 0xA0:
		return true
	case c < 0x300:
		return c == 0xAD
	case c >= 0x3040 && c < 0x3164 || c >= 0x3165 && c < 0xD800: // kana, Han, Hangul: most of what is not Latin
		return false
	case c >= 0xE0000 && c <= 0xE0FFF, c >= 0x180B && c <= 0x180F: // tags, and variation selectors that no chat needs
		return true
	}
	return unicode.Is(unicode.Cf, c) && !unicode.Is(unicode.Prepended_Concatenation_Mark, c) ||
		unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// joins tells whether a zero-width joiner has a meaning beside this rune: in emoji, and in scripts whose letters it shapes.
func joins(c rune) bool {
	return c >= 0x1F000 && c <= 0x1FAFF || c >= 0x2190 && c <= 0x2BFF || c == 0xFE0F || unicode.In(c, unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Mongolian)
}

// Markdown makes a visible text fit for a chat: it ends where the model got stuck, shows the address behind every link, and holds no invites to other
// communities and no tall gaps. Of a growing text only the end is looked at for repetitions: the rest was when it was the end, and the whole is once
// it is finished.
func Markdown(text string, growing bool) string {
	head := 0
	if growing {
		head = len(Cut(text, max(0, len(text)-2*repeats*repeatUnit)))
	}
	text = text[:head] + unrepeated(text[head:])
	text = uninviting(openLinks(text)) // in this order: opening a link must not make an invite
	return strings.TrimSpace(blankLines.ReplaceAllString(text, "\n\n\n"))
}

var blankLines = regexp.MustCompile(`\n{4,}`)

// Cut returns as many whole characters of the beginning of s as fit into limit bytes.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	limit = max(0, limit)
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

const (
	maxPeriod  = 128 // bytes of what may be repeated
	repeatUnit = 32
	repeats    = 20
)

// unrepeated cuts a text where a model got stuck: the same bytes over and over, 20 times and at least 640 bytes long. Two of them stay.
func unrepeated(text string) string {
	cut := len(text)
	for period := 1; period <= maxPeriod; period++ {
		if at := firstRun(text[:cut], period, repeats*max(period, repeatUnit)); at >= 0 {
			cut = at + period
		}
	}
	if cut == len(text) {
		return text
	}
	return strings.TrimSpace(Cut(text, cut)) + " …"
}

// firstRun returns where the first run of n bytes begins that each equal the byte one period before, or -1. A run is looked at from its end, as most
// are none: then a look every n bytes is enough.
func firstRun(text string, period, n int) int {
	start, known := period, period // text[start:known] is part of a run
	for start+n <= len(text) {
		i := start + n - 1
		for i >= known && text[i] == text[i-period] {
			i--
		}
		if i < known {
			return start
		}
		start, known = i+1, start+n
	}
	return -1
}

var invites = regexp.MustCompile(`(?i)(?:https?://)?(?:www\.|ptb\.|canary\.)?(?:discord(?:app)?\.com/+invite|discord\.gg|discord\.me|dsc\.gg|` +
	`t\.me/+\+|t\.me/+joinchat|telegram\.(?:me|dog)/+(?:\+|joinchat))/*[\w\-+]*|tg:/*(?:join|resolve)\?\S*`)

// uninviting removes invites to other communities. The pattern is slow and a draft comes up to 20 times a second (workers.Pool.Do), so it is tried only
// where one may stand.
func uninviting(text string) string {
	lower := strings.ToLower(strings.ToUpper(text)) // also "ſ", which the pattern takes for an s
	for _, part := range []string{"discord", "dsc.gg", "t.me", "telegram.", "tg:"} {
		if strings.Contains(lower, part) {
			// "discord.gg/a(https://evil)" must not become a link.
			return strings.ReplaceAll(invites.ReplaceAllString(text, "[…]"), "[…](", "[…] (")
		}
	}
	return text
}

const (
	maxLabel  = 512  // bytes of a link's text
	maxTarget = 2048 // bytes of what stands in a link's parentheses
)

// openLinks writes the address behind every link that shows something else: "[bank](https://evil)" becomes "bank (https://evil)". What only resembles
// a link is taken apart by a blank, so that none is left. Code stays.
func openLinks(text string) string {
	if !strings.Contains(text, "](") {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	var open []int // where brackets without counterpart stand in out
	for i := 0; i < len(text); {
		c := text[i]
		switch c {
		case '`':
			n := codeLength(text[i:])
			out = append(out, text[i:i+n]...)
			i += n
			if n > 1 {
				open = open[:0]
			}
			continue
		case '\n':
			open = open[:0]
		case '[':
			open = append(open, len(out))
		case ']':
			from := -1
			if n := len(open); n > 0 {
				from, open = open[n-1], open[:n-1]
			}
			if !strings.HasPrefix(text[i:], "](") {
				break
			}
			target, n := target(text[i+1:])
			if n == 0 || from < 0 || len(out)-from > maxLabel {
				out = append(out, "] "...)
				i++
				continue
			}
			label := strings.TrimSpace(string(out[from+1:]))
			if out = out[:from]; from > 0 && out[from-1] == '!' { // a picture
				out = out[:from-1]
			}
			switch {
			case label == "" || label == target:
				out = append(out, target...)
			default:
				out = append(out, label+" ("+target+")"...)
			}
			i += 1 + n
			continue
		}
		out = append(out, c)
		i++
	}
	return string(out)
}

// codeLength returns how long the code is that s begins with, 1 when the backtick is just that. A block that is not closed goes on to the end.
func codeLength(s string) int {
	if strings.HasPrefix(s, "```") {
		if end := strings.Index(s[3:], "```"); end >= 0 {
			return 3 + end + 3
		}
		return len(s)
	}
	if end := strings.IndexAny(s[1:], "`\n"); end > 0 && s[1+end] == '`' {
		return end + 2
	}
	return 1
}

// target reads "(https://…)", "(<https://…>)" or "(https://… "title")" and how long it is; 0: it is none. The address may hold pairs of parentheses.
func target(s string) (address string, n int) {
	i := skipBlanks(s, 1)
	pointed := strings.HasPrefix(s[i:], "<")
	if pointed {
		i++
	}
	start, depth := i, 0
	for ; i < len(s) && i < maxTarget && s[i] > ' ' && strings.IndexByte("<>[]`", s[i]) < 0; i++ {
		if s[i] == '(' {
			depth++
		} else if s[i] == ')' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	if depth > 0 {
		return "", 0
	}
	address = s[start:i]
	if pointed && strings.HasPrefix(s[i:], ">") {
		i++
	}
	if titled := skipBlanks(s, i); titled > i && titled < len(s) && strings.IndexByte(`"'(`, s[titled]) >= 0 {
		end := strings.IndexAny(s[titled+1:min(len(s), titled+maxTitle)], "\"')\n")
		if end < 0 || s[titled+1+end] == '\n' {
			return "", 0
		}
		i = titled + 1 + end + 1
	}
	if i = skipBlanks(s, i); strings.HasPrefix(s[i:], ")") {
		return address, i + 1
	}
	return "", 0
}

const maxTitle = 256 // bytes

// skipBlanks returns where the blanks at i end; more than a few dozen are no part of a link.
func skipBlanks(s string, i int) int {
	for n := 0; n < 64 && i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n'); n++ {
		i++
	}
	return i
}
