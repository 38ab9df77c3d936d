package hygiene

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// lookalikes are letters that are easily taken for Latin ones: Cyrillic, Greek, Armenian, small capitals, Cherokee, Lisu. What normalising
// makes of styled letters (𝐏, Ⓟ, Ｐ) needs no line here.
var lookalikes = func() map[rune]rune {
	m := make(map[rune]rune)
	for _, pair := range [][2]string{
		{"аеорсухіїјѕԁһкмтвнгпԛԝӏьүғ", "aeopcyxiijsdhkmtbhrnqwlbyf"},
		{"αβεικνορτυχηωγϲϳμς", "abeiknoptuxnwycjuc"},
		{"ѵѡսոցօҽӕհ", "vwungoeah"},
		{"ɑɡɩʟɴʀᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢʜɪʙɢꜰꜱʏ", "agilnracdejkmoptuvwzhibgfsy"},
		{"øłđħŧƀɓƈɖɗɛɠɦɨƙɭɱɲŋɔƥʠʂʈʉʋƴʐƶ", "oldhtbbcddeghiklmnnopqstuvyzz"},
		{"ꭺꮯꭼꮋꭻꮶꮮꮇꮲꮪꭲꮩꮃꮓ", "acehjklmpstvwz"},
		{"ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz"},
		{"01|3456789ı", "olleasgtbgl"},
	} {
		latin := []rune(pair[1])
		for i, c := range []rune(pair[0]) {
			m[c] = latin[i]
		}
	}
	return m
}()

// Alike returns the same for names that people take for each other: case, style, accents, blanks, signs and invisible characters do not
// count, and letters of other alphabets that look like Latin ones become those. It is for comparing, not for showing. A name without a letter
// or digit gives "".
func Alike(name string) string {
	var b strings.Builder
	for _, c := range norm.NFKD.String(strings.ToLower(norm.NFKC.String(Line(name)))) {
		if latin, ok := lookalikes[c]; ok {
			c = latin
		}
		switch {
		case c == 'i': // I and l look the same
			c = 'l'
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			continue
		}
		b.WriteRune(c)
	}
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(b.String())
}
