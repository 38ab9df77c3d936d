package promptgate

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// class is a set of the rules' kinds of words.
type class uint32

const (
	minor          class = 1 << iota
	maybeMinor           // used for adults too: counts beside explicit words only
	explicit             // sexual by itself
	suggestive           // counts beside minors only
	realPerson           // somebody who lives
	never                // forbidden by itself
	leftOutClothes       // in what is left out: asks for the contrary
	leftOutAge           // likewise, beside explicit words
	leftOutAdult         // likewise, beside suggestive words too
	styled               // in a pair of capitalised words: no name of a person
	harmless             // holds a word of the rules without its meaning
	ageUnit              // behind a number: "years"
	ageWord              // before a number: "aged"
	coded                // a word for minors in pictures that means nothing else
	neverNow             // beside minor: a word of a language in which "nu" does not mean "now", as it does in Dutch and Swedish
	minorAbroad          // counts beside explicitAbroad only
	explicitAbroad       // beside explicit: no English word
	halfBare             // "nu": counts beside neverNow only
	minorForeign         // beside minor: a word that is not English
	bareForeign          // means something else in English: counts beside minorForeign only
	garmentAbroad        // beside garment: no English word
	monthUnit            // behind a number and before "old"
	youngNumber          // a number below 18 in words
	tens                 // before one, they make an age of adults
	without              // before a garment: explicit
	garment
	between // may stand between those two
	joint   // between words that are written as one
	person  // one grown person, or one of unknown age: a number beside it may be the age
	turns   // before a number: gets or seems so old
	notYet  // likewise, in the future or nearly: 18 is young, too

	// helpers mean something beside others only.
	helpers = ageUnit | ageWord | harmless | monthUnit | youngNumber | tens | without | between | joint | person | turns | notYet
)

// lexicon is a tree of letters in which words are found in all their disguises in one pass.
type lexicon struct {
	nodes       []node
	others      map[edge]uint32 // letters beside a–z
	words       uint32          // how many have a number
	phrases     []phrase        // a tree of words; 0 is its root
	phraseEdges map[edge]uint32
	parts       map[rune][]part // by first letter
	apart       *strings.Replacer
	joined      *joinedWords // nil: looks for no words in pieces
}

type node struct {
	latin  [26]uint32
	class  class  // of the word that ends here
	begins class  // of every word that begins so
	word   uint32 // its number in phrases; 0: in none
	depth  uint8  // letters
}

type edge struct {
	from uint32
	by   rune // or the number of a word
}

type phrase struct{ class class }

type part struct {
	text  string
	class class
}

func newLexicon() *lexicon {
	return &lexicon{nodes: make([]node, 1, 4096), others: map[edge]uint32{}, phrases: make([]phrase, 1), phraseEdges: map[edge]uint32{}, parts: map[rune][]part{}}
}

func (l *lexicon) next(n uint32, c rune) uint32 {
	if c >= 'a' && c <= 'z' {
		return l.nodes[n].latin[c-'a']
	}
	return l.others[edge{n, c}]
}

// path returns the node of a word, which is made if need be.
func (l *lexicon) path(word []rune) *node {
	at := uint32(0)
	for _, c := range word {
		to := l.next(at, c)
		if to == 0 {
			to = uint32(len(l.nodes))
			l.nodes = append(l.nodes, node{depth: l.nodes[at].depth + 1})
			if c >= 'a' && c <= 'z' {
				l.nodes[at].latin[c-'a'] = to
			} else {
				l.others[edge{at, c}] = to
			}
		}
		at = to
	}
	return &l.nodes[at]
}

// maxWord bounds the depth of the tree, in letters.
const maxWord = 60

// add puts in a word or a phrase: words with a blank between. A phrase is found when it is written as one word too.
func (l *lexicon) add(text string, c class) {
	r := read(folded(text), false)
	var whole []rune
	for _, t := range r.tokens {
		whole = append(whole, r.letters[t.start:t.end]...)
	}
	if len(whole) == 0 || len(whole) > maxWord {
		return
	}
	if len(r.tokens) == 1 || c != harmless {
		l.path(whole).class |= c
	}
	if len(r.tokens) == 1 {
		return
	}
	at := uint32(0)
	for _, t := range r.tokens {
		n := l.path(r.letters[t.start:t.end])
		if n.word == 0 {
			l.words++
			n.word = l.words
		}
		e := edge{at, rune(n.word)}
		if l.phraseEdges[e] == 0 {
			l.phraseEdges[e] = uint32(len(l.phrases))
			l.phrases = append(l.phrases, phrase{})
		}
		at = l.phraseEdges[e]
	}
	l.phrases[at].class |= c
}

// addPart puts in what is looked for anywhere in a text: for scripts without blanks.
func (l *lexicon) addPart(text string, c class) {
	text = folded(text)
	first, _ := utf8.DecodeRuneInString(text)
	l.parts[first] = append(l.parts[first], part{text, c})
}

// seen is what a token may be read as.
type seen struct {
	class class
	words []uint32 // numbers in phrases
}

// walk reads letters from their beginning in all disguises at once: other alphabets, signs and digits for letters when leet, letters repeated.
// Of a row of the same letter at least one counts; when strict, a pair is a pair.
// At each step found gets the nodes that are reached; to the end tells whether all letters are read.
func (l *lexicon) walk(letters []rune, leet, strict bool, w *walker, found func(n *node, toEnd bool)) {
	states := append(w.states[:0], 0)
	next := w.next[:0]
	for i, c := range letters {
		next = next[:0]
		step := func(c rune) {
			for _, s := range states {
				if to := l.next(s, c); to != 0 && !slices.Contains(next, to) {
					next = append(next, to)
				}
			}
		}
		step(c)
		if c >= utf8.RuneSelf {
			if latin, ok := lookalikes[c]; ok {
				step(latin)
			}
		}
		if leet {
			for _, latin := range signs[c] {
				step(latin)
			}
		}
		again := func(at int) bool { return at >= 0 && at < len(letters) && alike(letters[at], leet) == alike(c, leet) }
		if again(i-1) && (!strict || again(i-2) || again(i+1)) {
			for _, s := range states {
				if s != 0 && !slices.Contains(next, s) {
					next = append(next, s)
				}
			}
		}
		if len(next) == 0 {
			break
		}
		for _, s := range next {
			if n := &l.nodes[s]; n.class != 0 || n.begins != 0 || n.word != 0 {
				found(n, i == len(letters)-1)
			}
		}
		states, next = next, states
	}
	w.states, w.next = states, next
}

// walker keeps the lists that walk needs from one walk to the next.
type walker struct{ states, next []uint32 }

// match tells what a token may be read as.
func (l *lexicon) match(letters []rune, leet, strict bool, w *walker, out *seen) {
	l.walk(letters, leet, strict, w, func(n *node, toEnd bool) {
		out.class |= n.begins
		if toEnd {
			out.class |= n.class
			if n.word != 0 {
				out.words = append(out.words, n.word)
			}
		}
	})
}
