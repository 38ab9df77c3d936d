package promptgate

import (
	"regexp"
	"slices"
	"strings"
)

// gap is what stands before a token, or at the end of a text.
type gap uint8

const (
	blank   gap = 1 << iota // a blank, or the text's beginning
	bound                   // a comma, a bracket, a quotation mark, the end of a sentence: what is between two of them stands by itself
	dot                     // a full stop, a colon, a hyphen: bound beside a blank, joins ("1.5", "16:9") without
	measure                 // makes a number one of something else: "17%", "#17", "f/17"
	colon                   // beside dot: may be the weight of a word, "(woman:1)"
	less                    // beside bound: "<18"
	listed                  // beside bound or dot: "1." and "1)"
)

var gapSigns = func() map[rune]gap {
	m := map[rune]gap{'.': dot | listed, ':': dot | colon, '-': dot, ')': bound | listed}
	for _, c := range `,;([]{}"|!?*~<>“”„‟‘‚«»‹›「」『』【】〔〕〈〉《》、。・…–—―•·⟨⟩` {
		m[c] = bound
	}
	m['<'] |= less
	for _, c := range "%‰°$€£¥#№×=/\\^′″" {
		m[c] = measure
	}
	return m
}()

// closed tells whether a gap ends what stands before it.
func (g gap) closed() bool {
	return g&measure == 0 && (g&bound != 0 || g&dot != 0 && g&blank != 0)
}

// numberWords are the numbers below 19 in words, from four on: below, they count things. "elf" and "once" are English words as well.
var numberWords = func() map[string]int {
	m := map[string]int{}
	for _, words := range []string{
		"four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen",
		"vier funf sechs sieben acht neun zehn - zwolf dreizehn vierzehn funfzehn sechzehn siebzehn achtzehn",
		"cuatro cinco seis siete ocho nueve diez - doce trece catorce quince dieciseis diecisiete dieciocho",
	} {
		for i, w := range strings.Fields(words) {
			m[w] = i + 4
		}
	}
	return m
}()

// longestNumberWord is in letters.
const longestNumberWord = 10

// Words beside an age, in English, German and Spanish, as they are folded.
var (
	behindAge = wordSet(`yesterday today tomorrow tonight last next this in on at soon now ago and but yet or though although while when who with from again already
	just before after during since the a to is was however despite even naked nude gestern heute morgen nachstes nachsten nachste nachster
	letzte letzten letztes im am bald jetzt und aber oder obwohl doch wird wurde wurden geworden werden ist war sein aus alt mit nackt ayer hoy
	manana el la este esta proximo pasado y pero aunque pronto ahora en con desnuda desnudo`)  // nobody counts these
	beforeAge = wordSet(`just only barely like about around maybe roughly yesterday today tomorrow soon next last year month week be to turn yet even quite still no
	not more than old as if she he is was were the age of a an under below for sweet gestern heute morgen demnachst bald gerade erst nachstes nachste
	nachsten nachster letztes letzte letzten woche monat jahr im am vor aus wie keine mal noch nicht kaum etwa ungefahr hochstens hat ist jung
	so als sei ware ayer hoy manana sus los las solo apenas recien de tener tiene tenia ha cumple cumplido cumplio llega que unos casi aun
	todavia pronto el ano proximo pasado mes semana proxima pasada la ser`)  // between a word for getting an age and the age
	linksAge = wordSet(`of at is s was are just only barely still now being who that von mit ist war noch erst gerade die der de con es era tiene tenia solo apenas
	que`)  // between a person and an age
)

// behindOrdinal stand behind "17." in German, where it means "17th".
var behindOrdinal = wordSet(`jahrhundert jahrhunderts jh jhd januar februar marz april mai juni juli august september oktober november dezember
	kapitel bild band stock etage szene akt teil folge platz`)

// days may stand behind an age that has nothing else beside it.
var days = wordSet(`tomorrow yesterday today tonight gestern heute morgen ayer hoy manana`)

func wordSet(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// oneOf tells whether token i is in a set.
func (a ages) oneOf(i int, words map[string]bool) bool {
	if i < 0 || i >= len(a.tokens) {
		return false
	}
	t := a.reading.tokens[i]
	return words[string(a.letters[t.start:t.end])]
}

// number returns the number that token i is, in digits or words; -1: none.
func (a ages) number(i int) int {
	if i < 0 || i >= len(a.tokens) {
		return -1
	}
	t := a.reading.tokens[i]
	letters := a.letters[t.start:t.end]
	if n, rest := numberOf(letters); n >= 0 {
		if len(rest) == 0 || same(rest, "ish") || n > 9 && same(rest, "f") {
			return n
		}
		return -1
	}
	if len(letters) > longestNumberWord {
		return -1
	}
	if n, ok := numberWords[string(letters)]; ok {
		return n
	}
	if t.leet && len(letters) > 4 && a.has(i, youngNumber) && slices.ContainsFunc(letters, func(c rune) bool { return c >= '0' && c <= '9' }) {
		return 17 // "s3venteen", or any below
	}
	return -1
}

// ageAt tells whether token i is an age from 1 to limit.
func (a ages) ageAt(i, limit int) bool {
	n := a.number(i)
	return n > 0 && n <= limit
}

// eleven tells whether token i is the German or Spanish word for it, behind a verb of that language: an elf and "once" are English as well.
func (a ages) eleven(verb, i int) bool {
	return a.is(i, "elf") && a.is(verb, "wird", "wurde", "wurden", "wirkt", "sieht", "scheint") ||
		a.is(i, "once") && a.is(verb, "cumple", "cumplio", "cumplira", "parece", "aparenta")
}

// gapBehind returns what stands behind token i.
func (a ages) gapBehind(i int) gap {
	if i+1 < len(a.tokens) {
		return a.reading.tokens[i+1].before
	}
	return a.tail | bound
}

// ends tells whether token i, a number, has nothing behind it that it counts. "16-17" is one number here, "16:9" is none.
func (a ages) ends(i int) bool {
	g := a.gapBehind(i)
	if g.closed() {
		return g&bound != 0 || !a.oneOf(i+1, behindOrdinal)
	}
	if g&dot != 0 && g&(colon|listed|blank|measure) == 0 { // joined by a hyphen
		return a.is(i+1, "ish") || a.number(i+1) > 0 && a.gapBehind(i+1).closed()
	}
	return false
}

// goesOn tells whether token i, a number, ends or has a word behind it that nobody counts: "17 yesterday", "12 but 500 years old".
func (a ages) goesOn(i int) bool {
	return a.ends(i) || a.oneOf(i+1, behindAge) && a.gapBehind(i)&measure == 0
}

// standsAlone tells whether token i is a young age between two signs: ", 17", "(17)", "“seventeen”". "1. A castle" begins a list.
func (a ages) standsAlone(i int) bool {
	opens := a.reading.tokens[i].before
	if opens&less != 0 && a.ends(i) {
		return a.ageAt(i, 18) && a.number(i) > 3 // "<3" is a heart
	}
	if i > 0 && !opens.closed() || !a.ends(i) && !a.oneOf(i+1, days) || !a.ageAt(i, 17) {
		return false
	}
	if opens&listed != 0 && opens&dot != 0 && a.is(i-1, "no", "nr", "num", "vol", "fig", "pl", "op", "ch", "ep", "pt", "p", "pp") {
		return false
	}
	return i > 0 || opens&bound != 0 || i+1 == len(a.tokens) || a.gapBehind(i)&listed == 0
}

// person tells whether token i means one person.
func (a ages) person(i int) bool { return i >= 0 && a.has(i, person) }

// besidePerson tells whether token i is the young age of a person who stands beside it.
func (a ages) besidePerson(i int) bool {
	return a.ageAt(i, 17) && (a.rightBehindPerson(i) || a.linkedToPerson(i) || a.beforePerson(i))
}

// rightBehindPerson tells whether a person stands right before the age at token i: "woman 17".
func (a ages) rightBehindPerson(i int) bool {
	before := a.reading.tokens[i].before
	return before&measure == 0 && a.person(i-1) && a.ends(i) && (before&(colon|less) == 0 || a.number(i) > 3)
}

// linkedToPerson tells whether one to four small words link the age at token i to a person before it: "mujer desnuda de 17", "woman who is 17".
func (a ages) linkedToPerson(i int) bool {
	from := i - 1
	for from >= 0 && from > i-5 && a.oneOf(from, linksAge) {
		from--
	}
	if from == i-1 || !a.goesOn(i) {
		return false
	}
	if from < i-2 && a.is(from+1, "who") {
		return true
	}
	return from >= 0 && (a.has(from, person|explicit) || a.is(from, "she", "he", "they", "i", "sie", "er", "ella"))
}

// beforePerson tells whether a person stands behind the age at token i: "17 naked woman", "17 of age", "17/f".
func (a ages) beforePerson(i int) bool {
	if behind := a.gapBehind(i); a.number(i) < 4 || behind&^blank != 0 && behind != dot {
		return a.is(i+1, "f") && a.number(i) > 9 && a.gapBehind(i+1).closed() // "17/f"
	}
	if a.is(i+1, "of") && a.is(i+2, "age") {
		return true
	}
	to := i + 1
	for to < i+3 && a.has(to, explicit) {
		to++
	}
	if !a.person(to) || a.reading.tokens[to].before&bound != 0 {
		return false
	}
	return a.gapBehind(to).closed() || a.is(to, "woman", "man", "lady", "frau", "mann", "mujer", "hombre")
}

// birthday tells whether token i says which birthday a young person has: "17th birthday", "17. Geburtstag", "cumpleaños número 17".
func (a ages) birthday(i int) bool {
	if !a.is(i, "birthday", "bday", "geburtstag", "geburtstages", "geburtstags", "cumpleanos") {
		return false
	}
	for _, at := range []int{i - 1, i + 1, i + 2} {
		if at < 0 || at >= len(a.tokens) || at == i+2 && !a.is(i+1, "number", "nummer", "numero", "no", "nr") {
			continue
		}
		limit := 17
		if at == i-1 && (a.is(i-2, "before", "vor", "antes", "her", "his", "ihrem", "seinem", "su") && a.is(i-3, "before", "vor", "del", "de", "until", "bis")) {
			limit = 18
		}
		t := a.reading.tokens[at]
		n, rest := numberOf(a.letters[t.start:t.end])
		ordinal := len(rest) == 0 && at != i+1 || len(rest) == 0 && a.ends(at) || at < i && slices.Contains([]string{"st", "nd", "rd", "th", "o"}, string(rest))
		if n > 0 && n <= limit && ordinal {
			return true
		}
	}
	return false
}

// becoming tells whether an age follows token i, a word for getting or seeming one: "turned 17 last week", "wurde gestern 17", "looks twelve".
func (a ages) becoming(i int) bool {
	limit := a.becomes(i)
	if limit == 0 {
		return false
	}
	next := i + 1
	for ; next < len(a.tokens) && next < i+7; next++ {
		if a.reading.tokens[next].before&bound != 0 {
			return false
		}
		if a.number(next) >= 0 || !a.oneOf(next, beforeAge) {
			break
		}
	}
	return (a.ageAt(next, limit) || a.eleven(i, next)) && a.goesOn(next) && (limit == 17 || !a.is(i, "yet") || a.number(next) > 9)
}

// becomes returns the highest age that is young behind token i, a word for getting or seeming it; 0: it is none. An age that is not there yet may be 18.
func (a ages) becomes(i int) (limit int) {
	switch {
	case a.has(i, notYet),
		a.is(i, "turn") && a.is(i-1, "to", "will", "ll"),
		a.is(i, "turned", "reached") && a.is(i-1, "t", "not", "never", "hasnt", "yet"):
		return 18
	case a.has(i, turns):
		return 17
	case a.is(i, "be", "become", "reach") && a.is(i-1, "will", "ll", "would", "to", "soon", "gonna", "not", "only", "yet", "til", "until"),
		a.deniesAge(i),
		a.is(i, "than", "als", "de") && a.is(i-1, "younger", "less", "junger", "weniger", "menos", "menor"):
		return 18
	}
	return 0
}

// deniesAge tells whether token i says that somebody is not as old as what follows: "isn't 18", "keine 18", "no tiene 18".
func (a ages) deniesAge(i int) bool {
	return a.is(i, "not", "isnt", "nicht", "never", "yet") && !a.is(i+1, "at", "in", "on", "with") ||
		a.is(i, "t") && a.is(i-1, "isn", "wasn", "ain") ||
		a.is(i, "kein", "keine") ||
		a.is(i, "no") && a.is(i+1, "tiene", "ha", "cumple", "llega", "cumplio", "tenia")
}

// backwards tells whether token i is an age and a word for getting it follows: "die gestern 17 wurde", "17 geworden", "18 wird".
func (a ages) backwards(i int) bool {
	limit := 17
	switch {
	case a.is(i+1, "wird", "werden", "yet"):
		limit = 18
	case !a.is(i+1, "wurde", "wurden", "geworden", "aussieht", "aussehend"):
		return false
	}
	behind := a.gapBehind(i)
	return a.ageAt(i, limit) && !behind.closed() && behind&measure == 0 && (limit == 17 || a.number(i) > 3)
}

// bareAge finds ages that no word for years stands beside.
func (a ages) bareAge(i int) bool {
	return a.becoming(i) || a.birthday(i) || a.standsAlone(i) || a.besidePerson(i) || a.backwards(i)
}

// japaneseAge finds the same in Japanese: "17になった", "もうすぐ18", "12くらいに見える", "18歳未満".
var japaneseAge = regexp.MustCompile(`(?:^|[^0-9十百二三四五六七八九])(?:(?:1[0-7]|[1-9]|十[一二三四五六七]?|[四五六七八九])(?:歳|才|つ)? ?(?:くらい|ぐらい|ほど|位)?に(?:なっ|なり|見え|みえ)` +
	`|(?:1[0-8]|[1-9]|十[一二三四五六七八]?|[四五六七八九])(?:歳|才|つ)? ?(?:になる|未満|以下|前の|手前|を迎え))` +
	`|(?:もうすぐ|もうじき|まもなく|間もなく|まだ|来年|来月|来週|明日|あした|ほぼ) ?(?:で|に)? ?(?:1[0-8]|十[一二三四五六七八]?)(?:$|[^0-9十百])` +
	`|(?:^|[^0-9十百二三四五六七八九])(?:1[0-7]|十[一二三四五六七]?)の(?:女|男|娘|子|裸)`)

// saysYoungInJapanese spares texts without any Japanese the search.
func saysYoungInJapanese(text string) bool {
	return strings.ContainsFunc(text, unspaced) && japaneseAge.MatchString(text)
}

// pupils are what Japanese calls girls and boys of three kinds of school.
var pupils = []string{"jk", "jc", "js", "dk"}

// pupil finds them in a token: beside Japanese they mean nothing else. "three.js" is a library, "JK1" is in her first year.
func (r reading) pupil(t token) class {
	if t.leet || t.before&dot != 0 && t.before&blank == 0 {
		return 0
	}
	letters := r.letters[t.start:t.end]
	for i := 0; i < len(letters); {
		end := i
		for end < len(letters) && letters[end] >= 'a' && letters[end] <= 'z' {
			end++
		}
		if end == i+2 && slices.Contains(pupils, string(letters[i:end])) {
			if i > 0 && letters[i-1] >= 0x3000 || end < len(letters) && letters[end] >= 0x3000 {
				return minor
			}
			if i == 0 && (end == len(letters) || end+1 == len(letters)) {
				return maybeMinor
			}
		}
		i = max(end, i+1)
	}
	return 0
}
