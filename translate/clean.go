package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks one letter may carry: more is a tower over the lines around it.
const maxMarks = 4

// clean makes one segment's text from a worker harmless: valid UTF-8 without control, bidi and tag characters, without invisible ones except joiners
// between letters that need them and between emoji, and without towers of marks. Line breaks become blanks.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	var before rune // the last rune that was kept
	marks := 0
	for i, c := range s {
		switch {
		case c == '\n' || c == '\t' || c == '\u2028' || c == '\u2029':
			c = ' '
		case unicode.IsControl(c), c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069, c == 0x200E, c == 0x200F, c == 0x061C, c >= 0xE0000 && c <= 0xE0FFF,
			c == 0x200B, c == 0x2060, c == 0xFEFF, c == 0x00AD, c == 0x034F, c == 0x115F, c == 0x1160, c == 0x3164, c == 0xFFA0, c >= 0x2061 && c <= 0x2064, c >= 0x206A && c <= 0x206F,
			c >= 0xFFF9 && c <= 0xFFFB, c >= 0x17B4 && c <= 0x17B5, c >= 0x180B && c <= 0x180F:
			continue
		case c == 0x200C || c == 0x200D:
			next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(c):])
			if !joins(before) || !joins(next) {
				continue
			}
		case unicode.In(c, unicode.Mn, unicode.Me):
			if marks++; marks > maxMarks {
				continue
			}
			b.WriteRune(c)
			before = c
			continue
		}
		marks = 0
		b.WriteRune(c)
		before = c
	}
	return b.String()
}

// joins tells whether a zero-width joiner has a meaning beside this rune.
func joins(c rune) bool {
	return emoji(c) || c == 0xFE0F || c >= 0x1F3FB && c <= 0x1F3FF || unicode.In(c, unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali,
		unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Mongolian)
}
