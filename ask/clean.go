package ask

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shown is what of a model's text people may see, and what it thought. unfinished tells that more is coming: then a tag that has only begun at the
// end is kept back.
func shown(text string, unfinished bool) (answer, reasoning string) {
	answer, reasoning = thoughtless(visible(text), unfinished)
	// Of a growing text only the end is new; the whole is looked at once it is finished.
	head := 0
	if unfinished {
		head = max(0, len(answer)-2*repeats*repeatUnit)
		for head > 0 && !utf8.RuneStart(answer[head]) {
			head--
		}
	}
	answer = answer[:head] + unrepeated(answer[head:])
	answer = uninviting(openLinks(answer)) // in this order: opening a link must not make an invite
	return strings.TrimSpace(blankLines.ReplaceAllString(answer, "\n\n\n")), strings.TrimSpace(reasoning)
}

// maxMarks is how many combining marks one letter may carry: more is a tower over the lines around it.
const maxMarks = 4

// visible drops what cannot be seen or steers the text around it: invalid bytes, control, bidi and tag characters, invisible ones except joiners that
// mean something where they stand, and towers of marks. Line breaks and tabs stay.
func visible(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s))
	var before rune
	marks := 0
	for i, c := range s {
		switch {
		case c >= ' ' && c <= '~' || c == '\n' || c == '\t':
		case c == '\r' || c == '\u2028' || c == '\u2029':
			c = '\n'
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c), c >= 0xE0000 && c <= 0xE0FFF, c == 0x200B, c == 0x2060, c == 0xFEFF, c == 0x00AD, c == 0x034F,
			c == 0x115F, c == 0x1160, c == 0x3164, c == 0xFFA0, c >= 0x2061 && c <= 0x2064, c >= 0x206A && c <= 0x206F, c >= 0xFFF9 && c <= 0xFFFB, c >= 0x17B4 && c <= 0x17B5, c >= 0x180B && c <= 0x180F:
			continue
		case c == 0x200C || c == 0x200D:
			next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(c):])
			if !joins(before) || !joins(next) {
				continue
			}
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

// joins tells whether a zero-width joiner has a meaning beside this rune: in emoji, and in scripts whose letters it shapes.
func joins(c rune) bool {
	return c >= 0x1F000 && c <= 0x1FAFF || c >= 0x2190 && c <= 0x2BFF || c == 0xFE0F || unicode.In(c, unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Mongolian)
}

var thoughtTags = regexp.MustCompile(`(?i)<\s*(/?)\s*(?:think|thinking|thought|reasoning)\s*>`)

// begunTag is the beginning of a thought tag at the end of a text.
var begunTag = regexp.MustCompile(`(?i)<\s*/?\s*(?:t|th|thi|thin|think|thinki|thinkin|thinking|tho|thou|thoug|though|thought|r|re|rea|reas|reaso|reason|reasoni|reasonin|reasoning)?\s*$`)

// thoughtless takes out what a model thought aloud: between tags, from a tag that is never closed to the end, and up to a closing tag that was never
// opened (some templates write the opening one). A tag right behind a backtick is talked about and stays.
func thoughtless(text string, unfinished bool) (answer, thoughts string) {
	var kept, thought strings.Builder
	at, thinking := 0, false
	for _, m := range thoughtTags.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > 0 && text[m[0]-1] == '`' {
			continue
		}
		closing := m[2] < m[3]
		switch {
		case thinking:
			thought.WriteString(text[at:m[0]])
		case closing:
			thought.WriteString(kept.String() + text[at:m[0]])
			kept.Reset()
		default:
			kept.WriteString(text[at:m[0]])
		}
		at, thinking = m[1], !closing
	}
	if thinking {
		thought.WriteString(text[at:])
	} else {
		kept.WriteString(text[at:])
	}
	answer = kept.String()
	if unfinished {
		answer = answer[:len(answer)-len(begunTag.FindString(answer))]
	}
	return answer, thought.String()
}

const (
	maxPeriod  = 128 // bytes of what may be repeated
	repeatUnit = 32
	repeats    = 20
)

// unrepeated cuts a text where a model got stuck: the same bytes over and over, 20 times and at least 640 bytes long.
func unrepeated(text string) string {
	cut := len(text)
	for period := 1; period <= maxPeriod; period++ {
		run := 0
		for i := period; i < cut; i++ {
			if text[i] != text[i-period] {
				run = 0
				continue
			}
			if run++; run >= repeats*max(period, repeatUnit) {
				cut = i + 1 - run + period // two of them stay
				break
			}
		}
	}
	if cut == len(text) {
		return text
	}
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimSpace(text[:cut]) + " …"
}

var (
	invites    = regexp.MustCompile(`(?i)(?:https?://)?(?:www\.|ptb\.|canary\.)?(?:discord(?:app)?\.com/+invite|discord\.gg|discord\.me|dsc\.gg|t\.me/+\+|t\.me/+joinchat|telegram\.(?:me|dog)/+(?:\+|joinchat))/*[\w\-+]*|tg:/*(?:join|resolve)\?\S*`)
	blankLines = regexp.MustCompile(`\n{4,}`)
	code       = regexp.MustCompile("(?s)```.*?(?:```|$)|`[^`\n]+`")
	maskedLink = regexp.MustCompile(`!?\[([^\[\]\n]*)\]\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+["'(][^\n]*?["')])?\s*\)`)
)

// uninviting removes invites to other communities. The pattern is slow, so it is tried only where one may stand: drafts come 20 times a second.
func uninviting(text string) string {
	lower := strings.ToLower(strings.ToUpper(text)) // also "ſ", which the pattern takes for an s
	for _, part := range []string{"discord", "dsc.gg", "t.me", "telegram.", "tg:"} {
		if strings.Contains(lower, part) {
			return invites.ReplaceAllString(text, "[…]")
		}
	}
	return text
}

// openLinks writes the address behind every link that shows something else: "[bank](https://evil)" becomes "bank (https://evil)". Code stays.
func openLinks(text string) string {
	if !strings.Contains(text, "](") {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range append(code.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
		b.WriteString(maskedLink.ReplaceAllStringFunc(text[at:m[0]], func(link string) string {
			parts := maskedLink.FindStringSubmatch(link)
			label, address := strings.TrimSpace(parts[1]), parts[2]
			if label == "" || label == address {
				return address
			}
			return label + " (" + address + ")"
		}))
		b.WriteString(text[m[0]:m[1]])
		at = m[1]
	}
	return b.String()
}
