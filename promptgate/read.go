package promptgate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded brings a text into the form in which words are looked for: compatibility forms resolved, lower case, no accents, nothing invisible, letters
// in circles and squares as letters, some emoji as words.
func folded(s string) string { return fold(norm.NFKC.String(s)) }

// fold does what folded says to a text that is in NFKC already.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	var base rune
	composed := true // nothing is left that NFC would join
	for _, c := range norm.NFD.String(s) {
		if c < utf8.RuneSelf {
			switch {
			case c >= 'A' && c <= 'Z':
				c += 'a' - 'A'
			case c < ' ' && !unicode.IsSpace(c) || c == 0x7F:
				continue
			}
			base = c
			b.WriteByte(byte(c))
			continue
		}
		if !plainLetter(c) {
			if word, ok := pictographs[c]; ok {
				b.WriteString(word)
				base = 0
				continue
			}
		}
		switch {
		case c == 'ـ': // lengthens an Arabic word, says nothing
			continue
		case plainLetter(c):
			base = c
		case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c):
			continue
		case unicode.IsLetter(c):
			composed = composed && (c < 0x1100 || c > 0x11FF) // the letters that Hangul is made of
			c = unicode.ToLower(c)
			if word, ok := pictographs[c]; ok { // "Ø" and "ẞ"
				b.WriteString(word)
				continue
			}
			base = c
		case unicode.In(c, unicode.Mn, unicode.Me):
			// Kana keep their voicing: ハ is not バ.
			if (c != 0x3099 && c != 0x309A) || !unicode.In(base, unicode.Hiragana, unicode.Katakana) {
				continue
			}
			composed = false
		case unicode.In(c, unicode.Cf, unicode.Cc) && !unicode.IsSpace(c):
			continue
		case c >= 0x1F150 && c <= 0x1F169:
			c = 'a' + c - 0x1F150
		case c >= 0x1F170 && c <= 0x1F189:
			c = 'a' + c - 0x1F170
		case c >= 0x1F1E6 && c <= 0x1F1FF:
			c = 'a' + c - 0x1F1E6
		case unicode.Is(unicode.Nd, c):
			c = '0' + digitOf(c)
		}
		b.WriteRune(c)
	}
	if composed {
		return b.String()
	}
	return norm.NFC.String(b.String())
}

// digitOf returns the value of a decimal digit of any script: each script's ten stand in a row, zero first.
func digitOf(c rune) rune {
	for _, r := range unicode.Nd.R16 {
		if c <= rune(r.Hi) {
			return (c - rune(r.Lo)) % 10
		}
	}
	for _, r := range unicode.Nd.R32 {
		if c <= rune(r.Hi) {
			return (c - rune(r.Lo)) % 10
		}
	}
	return 0
}

// plainLetter knows the lower-case letters of which long texts are made: looking one up in Unicode's tables takes ten times as long.
func plainLetter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 0x0430 && c <= 0x044F || c >= 0x0621 && c <= 0x064A || c >= 0x3041 && c <= 0x3096 || c >= 0x30A1 && c <= 0x30FA ||
		c >= 0x3400 && c <= 0x4DBF || c >= 0x4E00 && c <= 0x9FFF || c >= 0xAC00 && c <= 0xD7A3
}

var pictographs = map[rune]string{
	'👶': " child ", '🧒': " child ", '👧': " child ", '👦': " child ", '🚼': " child ", '🍼': " child ", '🔞': " nsfw ",
	'ß': "ss", 'ø': "o", 'ł': "l", 'æ': "ae", 'œ': "oe", 'ı': "i", 'đ': "d", 'ħ': "h", 'ŧ': "t", 'ð': "d", 'ς': "σ", 'þ': "th",
}

// lookalikes are letters of other alphabets that look like Latin ones. A word is read both ways, mixed too.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range [][2]string{
		{"аеорсухіїјѕԁһкмтвнгпԛԝӏ", "aeopcyxiijsdhkmtbhrnqwl"},
		{"αβεικνορτυχηωγϲϳ", "abeiknoptuxnwycj"},
		{"ѵѡսոցօҽӕ", "vwungoea"},
		{"ⅼɑɡɩʟɴʀƽᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢʜɪʙɢғꜱʏ", "lagilnrsacdejkmoptuvwzhibgfsy"},
		{"ƀɓƈɖɗɇǝəɛɠɦɨɩɉʝƙɭɱɲŋɵɔƥʠɍɽʂʈƭʉʋʌɏƴʐƶ", "bbcddeeeeghiijjklmnnoopqrrsttuvvyyzz"},
		{"ꭺꮯꭼꮋꭻꮶꮮꮇꮲꮪꭲꮩꮃꮓ", "acehjklmpstvwz"}, // Cherokee, lower case
		{"ᗩᗷᑕᗪᗴᖴᘜᕼᒍᒪᗰᑎᑭᑫᖇᔕᑌᐯᗯ᙭ᘔ", "abcdefghjlmnpqrsuvwxz"},
		{"ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz"}, // Lisu
	} {
		latin := []rune(pair[1])
		for i, c := range []rune(pair[0]) {
			m[c] = latin[i]
		}
	}
	return m
}()

// signs are digits and signs that stand for letters inside of a word.
var signs = map[rune][]rune{
	'0': {'o'}, '1': {'i', 'l'}, '!': {'i', 'l'}, '|': {'i', 'l'}, '2': {'z'}, '3': {'e'}, '4': {'a'}, '@': {'a'},
	'5': {'s'}, '$': {'s'}, '6': {'g'}, '7': {'t'}, '+': {'t'}, '8': {'b'}, '9': {'g'},
	'€': {'e'}, '₳': {'a'}, '฿': {'b'}, '₵': {'c'}, '₣': {'f'}, '₲': {'g'}, '₭': {'k'}, '₥': {'m'}, '₦': {'n'}, '₱': {'p'}, '₴': {'s'}, '₮': {'t'}, '₩': {'w'},
	'¢': {'c'}, '£': {'l'}, '¥': {'y'},
}

// alike is equal for letters that may be repetitions of each other. Digits by themselves are no letters.
func alike(c rune, leet bool) rune {
	if c >= 'a' && c <= 'z' {
		return c
	}
	if leet {
		if latin := signs[c]; latin != nil {
			return latin[0]
		}
	}
	if latin, ok := lookalikes[c]; ok {
		return latin
	}
	if !unicode.IsLetter(c) {
		return -1 - c
	}
	return c
}

// reading is a text as words.
type reading struct {
	letters []rune
	tokens  []token
	tail    gap // behind the last token
}

// token is a word: letters[start:end] of its reading. leet: signs and digits in it are letters too.
type token struct {
	start, end int
	leet       bool
	before     gap
}

func inWord(c rune) bool {
	switch {
	case c < utf8.RuneSelf:
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+'
	}
	return plainLetter(c) || unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.M, c)
}

// read cuts a folded text into words of letters and digits; with leet, signs inside of words that hold a letter belong to them.
func read(text string, leet bool) reading {
	r := reading{letters: make([]rune, 0, len(text))}
	for field := range strings.FieldsSeq(text) {
		r.tail |= blank
		signed, whole := false, field
		if leet {
			if c, n := utf8.DecodeRuneInString(field); n == len(field) && signs[c] != nil {
				signed = true // "n 4 k e d"
			} else {
				field = strings.TrimFunc(field, func(c rune) bool { return !inWord(c) && signs[c] == nil || c == '!' || c == '+' || c == '|' })
				signed = strings.ContainsFunc(field, unicode.IsLetter)
			}
		}
		at := strings.Index(whole, field) // leet reading cuts signs off on both sides
		r.addGaps(whole[:at])
		start := len(r.letters)
		for _, c := range field {
			if inWord(c) || signed && signs[c] != nil {
				r.letters = append(r.letters, c)
				continue
			}
			if len(r.letters) > start {
				r.addToken(start, signed)
				start = len(r.letters)
			}
			r.tail |= gapSigns[c]
		}
		if len(r.letters) > start {
			r.addToken(start, signed)
		}
		r.addGaps(whole[at+len(field):])
	}
	return r
}

// addToken ends a token at the letters read so far.
func (r *reading) addToken(start int, leet bool) {
	r.tokens = append(r.tokens, token{start, len(r.letters), leet, r.tail})
	r.tail = 0
}

// addGaps notes what stands behind the last token.
func (r *reading) addGaps(signs string) {
	for _, c := range signs {
		r.tail |= gapSigns[c]
	}
}

// disguised tells whether a folded text holds anything that only a leet reading takes for a letter.
func disguised(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && c != ' ' && c < 0x3000 && signs[c] != nil
	})
}

// alone tells whether a token is a letter by itself, as in "n u d e".
func (r reading) alone(t token) bool {
	return t.end-t.start == 1 && (t.leet || unicode.IsLetter(r.letters[t.start]))
}

// numberOf returns the number that a token begins with, and the letters behind it; -1: none, or no age of anybody.
func numberOf(letters []rune) (n int, rest []rune) {
	i := 0
	for i < len(letters) && letters[i] >= '0' && letters[i] <= '9' {
		n = min(n*10+int(letters[i]-'0'), 1000)
		i++
	}
	if i == 0 {
		return -1, letters
	}
	return n, letters[i:]
}
