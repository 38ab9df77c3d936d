// Package promptgate tells which wishes for a picture nobody may have drawn.
package promptgate

import (
	"regexp"
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
	if found&never != 0 {
		return true
	}
	sexual, hinted := found&explicit != 0, found&suggestive != 0
	young := found&minor != 0
	// Leaving out clothes or age is another way to ask for their contrary.
	if n != "" {
		left := rules().classes(n, false)
		sexual = sexual || left&leftOutClothes != 0
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
	if disguised(text) {
		found |= l.wordsOf(read(text, true), strict)
	}
	return found
}

// wordsOf finds words, phrases, spaced letters and ages.
func (l *lexicon) wordsOf(r reading, strict bool) class {
	var w walker
	tokens := make([]seen, len(r.tokens))
	excused := make([]bool, len(r.tokens))
	type place struct {
		at   uint32
		from int
	}
	var open, next []place // phrases that have begun
	type hit struct {
		class    class
		from, to int
	}
	var hits []hit
	for i, t := range r.tokens {
		letters, s := r.letters[t.start:t.end], &tokens[i]
		l.match(letters, t.leet, strict, &w, s)
		next = next[:0]
		for _, word := range s.words {
			for _, p := range append(open, place{0, i}) {
				to := l.phraseEdges[edge{p.at, rune(word)}]
				if to == 0 {
					continue
				}
				next = append(next, place{to, p.from})
				switch c := l.phrases[to].class; {
				case c&harmless != 0:
					for j := p.from; j <= i; j++ {
						excused[j] = true
					}
				case c != 0:
					hits = append(hits, hit{c, p.from, i})
				}
			}
		}
		open, next = next, open
		if !t.leet {
			l.segments(letters, strict, &w, s)
		}
	}
	var found class
	for i, s := range tokens {
		if !excused[i] {
			found |= s.class
		}
	}
	for _, h := range hits {
		free := true
		for i := h.from; i <= h.to; i++ {
			free = free && !excused[i]
		}
		if free {
			found |= h.class
		}
	}
	if r.saysYoung(tokens) {
		found |= minor
	}
	return (found | l.spaced(r, strict, &w)) &^ (ageUnit | ageWord | harmless)
}

// segments finds words beside digits: "kids3".
func (l *lexicon) segments(letters []rune, strict bool, w *walker, out *seen) {
	digits := func(c rune) bool { return c >= '0' && c <= '9' }
	for i := 0; i < len(letters); {
		if digits(letters[i]) {
			i++
			continue
		}
		end := i
		for end < len(letters) && !digits(letters[end]) {
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
		for i := range run {
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

// saysYoung finds ages below 18: "15yo", "12 year old", "aged 9", "12歳".
func (r reading) saysYoung(tokens []seen) bool {
	young := func(i int) (rest []rune, ok bool) {
		if i >= len(r.tokens) {
			return nil, false
		}
		n, rest := numberOf(r.letters[r.tokens[i].start:r.tokens[i].end])
		return rest, n >= 0 && n < 18
	}
	is := func(i int, word string) bool {
		return i < len(r.tokens) && string(r.letters[r.tokens[i].start:r.tokens[i].end]) == word
	}
	for i, t := range r.tokens {
		if rest, ok := young(i); ok {
			if len(rest) > 0 && tokens[i].class&ageUnit != 0 || len(rest) == 0 && i+1 < len(tokens) && tokens[i+1].class&ageUnit != 0 ||
				(len(rest) == 0 && is(i+1, "y") && is(i+2, "o")) || (len(rest) == 1 && rest[0] == 'y' && is(i+1, "o")) {
				return true
			}
			if len(rest) == 0 && i+1 < len(tokens) && strings.ContainsRune(yearSigns, r.letters[r.tokens[i+1].start]) {
				return true
			}
		}
		if tokens[i].class&ageWord != 0 {
			next := i + 1
			if is(next, "of") {
				next++
			}
			if rest, ok := young(next); ok && len(rest) == 0 {
				return true
			}
		}
		for j := t.start; j < t.end; {
			if r.letters[j] < '0' || r.letters[j] > '9' {
				j++
				continue
			}
			n, rest := numberOf(r.letters[j:t.end])
			if n < 18 && len(rest) > 0 && strings.ContainsRune(yearSigns, rest[0]) {
				return true
			}
			j = t.end - len(rest)
		}
	}
	return false
}

// yearSigns stand behind an age without a blank.
const yearSigns = "歳才岁歲살"

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
			if strings.HasPrefix(run[i:], p.text) {
				found |= p.class
			}
		}
	}
	return found
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
		for _, w := range strings.Fields(v.words) {
			l.add(w, v.class)
		}
		for _, w := range strings.Fields(v.stems) {
			l.path([]rune(folded(w))).begins |= v.class
		}
		for _, p := range v.phrases {
			l.add(p, v.class)
		}
		for _, p := range strings.Fields(v.parts) {
			l.addPart(p, v.class)
		}
	}
	for _, n := range strings.Fields("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen") {
		l.add(n+" year old", minor)
		l.add(n+" years old", minor)
	}
	var apart []string
	for _, p := range strings.Fields(harmlessParts) {
		apart = append(apart, folded(p), " | ")
	}
	l.apart = strings.NewReplacer(apart...)
	return l
})
