// Package promptgate tells which wishes for a picture nobody may have drawn.
package promptgate

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The rules block two things, with no switch: minors together with anything sexual, and sexual pictures of real people. They lean to the safe side;
// people are never told which rule it was. The server and each worker ask: an owner answers for what the machine draws, also when a server is broken.

// maxFolded is how many bytes a prompt may have in normal form: 12,000 Chinese letters, twice what may be typed. A few signs unfold to 18 letters each, and nobody
// who wants a picture writes thousands of them.
const maxFolded = 40 << 10

// Refuses tells whether a prompt, with what is to be left out, may not be drawn. Texts of more than 40 KiB in normal form may not either. The time is linear in the
// length, whatever is written.
func Refuses(prompt, negative string) bool {
	p, short := bounded(prompt, maxFolded)
	n, alsoShort := bounded(negative, maxFolded)
	if !short || !alsoShort {
		return true
	}
	found := rules().classes(p, false)
	if found&(never|coded) != 0 || found&minorAbroad != 0 && found&explicitAbroad != 0 || found&halfBare != 0 && found&neverNow != 0 ||
		found&bareForeign != 0 && found&minorForeign != 0 {
		return true
	}
	sexual, hinted := found&explicit != 0, found&suggestive != 0
	young := found&minor != 0
	// Leaving out clothes or age is another way to ask for their contrary.
	if n != "" {
		left := rules().classes(n, false)
		sexual = sexual || left&(leftOutClothes|garment) != 0
		young = young || sexual && left&leftOutAge != 0 || (sexual || hinted) && left&leftOutAdult != 0
	}
	return young && (sexual || hinted) || sexual && (found&(maybeMinor|realPerson) != 0 || namesSomebody(prompt))
}

const maxText = 256 << 10 // bytes of a text that Holds reads

// Holds tells whether a text holds one of the words, or phrases, in any disguise. It reads 256 KiB, and takes a text that unfolds to more than twice
// its length for one that hides something.
func Holds(text string, words []string) bool {
	if len(words) == 0 {
		return false
	}
	l := newLexicon()
	for _, w := range words {
		l.add(w, never)
		if w = strings.TrimSpace(w); strings.ContainsFunc(w, func(c rune) bool { return c >= utf8.RuneSelf && unicode.IsLetter(c) }) {
			l.addPart(w, never)
		}
	}
	if len(text) > maxText {
		text = text[:maxText] // half a character at the end is none
	}
	t, short := bounded(text, 2*len(text)+1024)
	return !short || l.classes(t, true)&never != 0
}

// bounded folds a text; false: its normal form is longer than limit.
func bounded(text string, limit int) (string, bool) {
	if len(text) > limit {
		return "", false
	}
	if text = norm.NFKC.String(text); len(text) > limit {
		return "", false
	}
	return fold(text), true
}

// classes tells what kinds of words are in a folded text. With strict, letters written twice are two.
func (l *lexicon) classes(text string, strict bool) class {
	found := l.partsOf(text) | l.wordsOf(read(text, false), strict)
	if !strict && saysYoungInJapanese(text) {
		found |= minor
	}
	if disguised(text) {
		found |= l.wordsOf(read(text, true), strict)
	}
	return found
}

// wordsOf finds words, phrases, spaced letters and ages.
func (l *lexicon) wordsOf(r reading, strict bool) class {
	var w walker
	tokens := make([]seen, len(r.tokens))
	phrases := phraseReader{lexicon: l, excused: make([]bool, len(r.tokens))}
	for i, t := range r.tokens {
		letters, s := r.letters[t.start:t.end], &tokens[i]
		l.match(letters, t.leet, strict, &w, s)
		phrases.read(i, s.words)
		if !t.leet {
			l.segments(letters, strict, &w, s)
		}
	}
	found := phrases.classes()
	for i, s := range tokens {
		if !phrases.excused[i] {
			found |= s.class
		}
	}
	if !strict {
		if r.saysYoung(tokens) {
			found |= minor
		}
		for _, t := range r.tokens {
			found |= r.pupil(t)
		}
	}
	found |= missesGarment(tokens, phrases.excused)
	if l.joined != nil && !strict {
		found |= l.joined.in(r)
	}
	return (found | l.spaced(r, strict, &w)) &^ helpers
}

// phraseReader finds phrases in a row of tokens.
type phraseReader struct {
	lexicon    *lexicon
	open, next []begunPhrase
	hits       []phraseHit
	excused    []bool // by token: it is part of something harmless
}

// begunPhrase is a place in the tree of phrases, and the token that the way there began with.
type begunPhrase struct {
	at   uint32
	from int
}

type phraseHit struct {
	class    class
	from, to int // tokens
}

// read takes the next token, i, which may be any of words.
func (p *phraseReader) read(i int, words []uint32) {
	p.open, p.next = append(p.open, begunPhrase{0, i}), p.next[:0]
	for _, word := range words {
		for _, begun := range p.open {
			to := p.lexicon.phraseEdges[edge{begun.at, rune(word)}]
			if to == 0 {
				continue
			}
			p.next = append(p.next, begunPhrase{to, begun.from})
			switch c := p.lexicon.phrases[to].class; {
			case c&harmless != 0:
				for j := begun.from; j <= i; j++ {
					p.excused[j] = true
				}
			case c != 0:
				p.hits = append(p.hits, phraseHit{c, begun.from, i})
			}
		}
	}
	p.open, p.next = p.next, p.open
}

// classes returns what the phrases say of which no part is excused.
func (p *phraseReader) classes() (found class) {
	for _, h := range p.hits {
		if !slices.Contains(p.excused[h.from:h.to+1], true) {
			found |= h.class
		}
	}
	return found
}

// missesGarment finds "without any clothes": at most four small words may stand between.
func missesGarment(tokens []seen, excused []bool) (found class) {
	for i, s := range tokens {
		if s.class&without == 0 {
			continue
		}
		for j := i + 1; j < len(tokens) && j <= i+5 && !excused[j]; j++ {
			if c := tokens[j].class; c&garment != 0 {
				found |= explicit
				if c&garmentAbroad != 0 {
					found |= explicitAbroad
				}
			}
			if tokens[j].class&between == 0 {
				break
			}
		}
	}
	return found
}

// segments finds words beside digits and beside Japanese or Chinese: "kids3", "裸のteen".
func (l *lexicon) segments(letters []rune, strict bool, w *walker, out *seen) {
	digits := func(c rune) bool { return c >= '0' && c <= '9' }
	for i := 0; i < len(letters); {
		if digits(letters[i]) {
			i++
			continue
		}
		end := i
		for end < len(letters) && !digits(letters[end]) && unspaced(letters[end]) == unspaced(letters[i]) {
			end++
		}
		if end-i < len(letters) {
			var s seen
			l.match(letters[i:end], false, strict, w, &s)
			out.class |= s.class
		}
		i = end
	}
}

// spaced reads single letters in a row as words: "n u d e" and "n.u.d.e" hold "nude". Where one such word ends and the next begins cannot be seen, so
// a word may begin at every letter.
func (l *lexicon) spaced(r reading, strict bool, w *walker) class {
	var found class
	var run []rune
	leet := false
	flush := func() {
		letter := -1 // the last one that is no digit or sign
		for i := range run {
			for letter < i || letter < len(run) && !unicode.IsLetter(run[letter]) {
				letter++
			}
			if letter > i+2 {
				continue // "1 0 1 1"
			}
			l.walk(run[i:], leet, strict, w, func(n *node, _ bool) {
				if n.depth >= 3 {
					found |= n.class | n.begins
				}
			})
		}
		run, leet = run[:0], false
	}
	for _, t := range r.tokens {
		if !r.alone(t) {
			flush()
			continue
		}
		c := r.letters[t.start]
		leet = leet || t.leet
		// Three of a letter say what a hundred say; more would be read again from each of them.
		if n := len(run); n < 3 || alike(run[n-1], true) != alike(c, true) || alike(run[n-2], true) != alike(c, true) || alike(run[n-3], true) != alike(c, true) {
			run = append(run, c)
		}
	}
	flush()
	return found
}

// ages reads what a text says about ages.
type ages struct {
	reading
	tokens []seen
}

// youngAt tells whether token i is, or begins with, a number below 18. rest: the letters behind its digits.
func (a ages) youngAt(i int) (rest []rune, ok bool) {
	if i >= len(a.reading.tokens) {
		return nil, false
	}
	t := a.reading.tokens[i]
	if n, rest := numberOf(a.letters[t.start:t.end]); n >= 0 {
		return rest, n < 18
	}
	return nil, a.tokens[i].class&youngNumber != 0 && (i == 0 || a.tokens[i-1].class&tens == 0)
}

func (a ages) is(i int, words ...string) bool {
	if i < 0 || i >= len(a.reading.tokens) {
		return false
	}
	t := a.reading.tokens[i]
	for _, word := range words {
		if same(a.letters[t.start:t.end], word) {
			return true
		}
	}
	return false
}

// same compares letters with a word in ASCII.
func same(letters []rune, word string) bool {
	if len(letters) != len(word) {
		return false
	}
	for i, c := range letters {
		if c != rune(word[i]) {
			return false
		}
	}
	return true
}

func (a ages) has(i int, c class) bool { return i < len(a.tokens) && a.tokens[i].class&c != 0 }

// behind tells whether token i is a number of years: "12 year old", "15yo", "twelve-year-old", "8 months old".
func (a ages) behind(i int) bool {
	rest, ok := a.youngAt(i)
	if !ok {
		return false
	}
	if len(rest) > 0 {
		return a.has(i, ageUnit) || len(rest) == 1 && rest[0] == 'y' && a.is(i+1, "o")
	}
	if a.is(i+1, "full", "whole", "tender", "and") { // "twelve and a half years"
		for i++; a.is(i+1, "a", "half"); i++ {
		}
	}
	return a.has(i+1, ageUnit) || a.is(i+1, "y") && a.is(i+2, "o") || a.has(i+1, monthUnit) && a.is(i+2, "old") ||
		i+1 < len(a.tokens) && strings.ContainsRune(yearSigns, a.letters[a.reading.tokens[i+1].start])
}

// before tells whether a number of years follows token i: "aged 9", "age of nine", "under 12", "she is 11".
func (a ages) before(i int) bool {
	next := i + 1
	switch {
	case a.has(i, ageWord):
		for a.is(next, "of", "is", "de", "von", "about", "around", "only", "just", "under", "below") {
			next++
		}
		rest, ok := a.youngAt(next)
		return ok && len(rest) == 0
	case a.is(i, "under", "below", "younger"):
		for a.is(next, "the", "age", "than", "of") {
			next++
		}
	case a.is(i, "she", "he"):
		for a.is(next, "is", "s", "was", "turned", "turns", "just", "only", "barely") {
			next++
		}
		if next == i+1 {
			return false
		}
	default:
		return false
	}
	// "under 2 moons" is no age.
	rest, ok := a.youngAt(next)
	return ok && len(rest) == 0 && !a.is(next, "one", "two", "three", "1", "2", "3", "v", "x")
}

// grade tells whether token i is an ordinal number before a grade of school: "3rd grade".
func (a ages) grade(i int) bool {
	rest, ok := a.youngAt(i)
	return ok && a.is(i+1, "grade", "grader", "graders", "grades", "graded", "klasse") &&
		(len(rest) == 0 || slices.Contains([]string{"st", "nd", "rd", "th"}, string(rest)))
}

// saysYoung finds ages below 18: "15yo", "12 year old", "aged 9", "12歳", "十二岁".
func (r reading) saysYoung(tokens []seen) bool {
	a := ages{r, tokens}
	for i, t := range r.tokens {
		if a.behind(i) || a.before(i) || a.grade(i) || a.bareAge(i) {
			return true
		}
		letters := r.letters[t.start:t.end]
		for j, c := range letters {
			if c < 0x3000 || !strings.ContainsRune(yearSigns, c) {
				continue
			}
			before := letters[:j]
			if j == 0 && i > 0 { // "十 岁"
				before = r.letters[r.tokens[i-1].start:r.tokens[i-1].end]
			}
			if n := numberBefore(before); n >= 0 && n < 18 {
				return true
			}
		}
	}
	return false
}

// numberBefore returns the number that stands at the end of some letters, in digits or in Chinese; -1: none.
func numberBefore(letters []rune) int {
	i := len(letters)
	for i > 0 && len(letters)-i < 8 && (letters[i-1] >= '0' && letters[i-1] <= '9' || strings.ContainsRune(hanNumbers, letters[i-1])) {
		i--
	}
	if i == len(letters) {
		return -1
	}
	n, digit := 0, -1
	for _, c := range letters[i:] {
		switch value, ok := hanDigits[c]; {
		case ok && value == 10:
			if digit < 0 {
				digit = 1
			}
			n, digit = n+10*digit, -1
		case ok && value > 10:
			return 100
		case ok:
			digit = max(digit, 0)*10 + value
		default:
			digit = max(digit, 0)*10 + int(c-'0')
		}
	}
	return n + max(digit, 0)
}

// hanNumbers are the signs that Chinese, Japanese and Korean write numbers with, those of banks too.
const hanNumbers = "〇零一二三四五六七八九十百壹贰叁肆伍陆柒捌玖拾貳參陸両两兩廿卅"

var hanDigits = map[rune]int{
	'〇': 0, '零': 0, '一': 1, '二': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9, '十': 10, '百': 100, '壹': 1, '贰': 2, '叁': 3, '肆': 4, '伍': 5, '陆': 6,
	'柒': 7, '捌': 8, '玖': 9, '拾': 10, '貳': 2, '參': 3, '陸': 6, '両': 2, '两': 2, '兩': 2, '廿': 100, '卅': 100,
}

// yearSigns stand behind an age without a blank.
const yearSigns = "歳才岁歲살세"

// partsOf finds what stands anywhere in a text. Blanks and signs between Han and kana are skipped: those are written without blanks.
func (l *lexicon) partsOf(text string) class {
	if l.apart != nil {
		text = l.apart.Replace(text)
	}
	var b strings.Builder
	var last rune
	gap := false
	for _, c := range text {
		if c < utf8.RuneSelf || !plainLetter(c) && !unicode.IsLetter(c) && !unicode.Is(unicode.M, c) {
			gap = true
			continue
		}
		if gap && !(unspaced(last) && unspaced(c)) {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
		last, gap = c, false
	}
	run := b.String()
	var found class
	for i, c := range run {
		for _, p := range l.parts[c] {
			if !strings.HasPrefix(run[i:], p.text) {
				continue
			}
			found |= p.class &^ coded
			if p.class&coded != 0 && standsAlone(run[:i], run[i+len(p.text):]) {
				found |= coded
			}
		}
	}
	return found
}

// standsAlone tells whether no katakana joins a word on either side, and no sign that makes a name of it: calories hold "ロリ", Mr. Shotaro "正太".
func standsAlone(before, behind string) bool {
	b, _ := utf8.DecodeLastRuneInString(before)
	a, _ := utf8.DecodeRuneInString(behind)
	katakana := func(c rune) bool { return c >= 0x30A1 && c <= 0x30FF }
	return !katakana(b) && !katakana(a) && a != '郎'
}

func unspaced(c rune) bool {
	return c >= 0x3040 && c <= 0x30FF || c >= 0x3400 && c <= 0x9FFF
}

var capitalised = regexp.MustCompile(`\b\p{Lu}\p{Ll}+(?:['’-]\p{Lu}?\p{Ll}+)? \p{Lu}\p{Ll}{2,}\b`)

// namesSomebody tells whether two capitalised words stand together that look like a name. A prompt whose every other word is a capital says nothing.
func namesSomebody(prompt string) bool {
	all, capitals := 0, 0
	for w := range strings.FieldsSeq(prompt) {
		all++
		if c, _ := utf8.DecodeRuneInString(w); unicode.IsUpper(c) {
			capitals++
		}
	}
	if all > 4 && capitals*10 > all*7 {
		return false
	}
	for _, name := range capitalised.FindAllString(prompt, -1) {
		if rules().wordsOf(read(folded(name), false), false)&(explicit|styled) == 0 {
			return true
		}
	}
	return false
}

var rules = sync.OnceValue(func() *lexicon {
	l := newLexicon()
	for _, v := range vocabularies {
		l.addWords(v.words, v.class)
		l.addStems(v.stems, v.class)
		for _, p := range v.phrases {
			l.add(p, v.class)
		}
		for _, p := range strings.Fields(v.parts) {
			l.addPart(p, v.class)
		}
	}
	l.addLanguages()
	l.addJoined()
	var apart []string
	for _, p := range strings.Fields(harmlessParts) {
		apart = append(apart, folded(p), " | ")
	}
	l.apart = strings.NewReplacer(apart...)
	return l
})
