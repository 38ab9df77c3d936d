package promptgate

import "slices"

// joinedWords finds words that are written as one ("nakedchild"), and words in pieces ("chi ld").
type joinedWords struct {
	tree   *lexicon
	pieces *lexicon
}

// skeleton gives letters as they look, each once in a row: what joinedWords compares. Where a digit may be two letters, other takes the second.
func skeleton(letters []rune, leet, other bool, out []rune) []rune {
	out = out[:0]
	for _, c := range letters {
		if both := signs[c]; other && leet && len(both) > 1 {
			c = both[1]
		}
		c = alike(c, leet)
		if n := len(out); n == 0 || out[n-1] != c {
			out = append(out, c)
		}
	}
	return out
}

func newJoinedWords() *joinedWords { return &joinedWords{tree: newLexicon(), pieces: newLexicon()} }

// add puts in a word, or the beginning of one, in its two skeletons.
func (j *joinedWords) add(word string, c class) {
	letters := []rune(folded(word))
	if len(letters) < 3 || len(letters) > maxWord {
		return
	}
	addSkeleton(j.tree, letters, c)
}

func addSkeleton(l *lexicon, letters []rune, c class) {
	l.path(skeleton(letters, false, false, nil)).class |= c
}

// deepest bounds a word of the tree, in letters.
const deepest = 24

// within tells what is hidden in one token: an explicit word and one for minors that do not overlap, or words of which nothing is left over.
func (j *joinedWords) within(letters []rune) class {
	if len(letters) < 6 {
		return 0
	}
	const sexual, young = explicit | explicitAbroad, minor | maybeMinor
	n := len(letters)
	// A word that ends at i can be followed by one that begins there. whole[i] is what the words up to i say; ok: nothing is left over.
	whole, ok := make([]class, n+1), make([]bool, n+1)
	ok[0] = true
	lastSexual, lastYoung := -1, -1 // the earliest end of one
	var found class
	var here [deepest]class
	for i := range letters {
		words := j.beginning(letters[i:], &here)
		if slices.ContainsFunc(words, func(c class) bool { return c&harmless != 0 }) {
			continue
		}
		for k, c := range words {
			d := k + 1
			if d < 3 || c == 0 {
				continue
			}
			if ok[i] {
				ok[i+d] = true
				whole[i+d] |= whole[i] | c
			}
			// Three letters are in too many words.
			if d > 3 && c&sexual != 0 {
				if lastYoung >= 0 && lastYoung <= i {
					found |= explicit | minor
				}
				if lastSexual < 0 || i+d < lastSexual {
					lastSexual = i + d
				}
			}
			if d > 3 && c&young != 0 {
				if lastSexual >= 0 && lastSexual <= i {
					found |= explicit | minor
				}
				if lastYoung < 0 || i+d < lastYoung {
					lastYoung = i + d
				}
			}
		}
	}
	if ok[n] {
		found |= whole[n]
	}
	return found &^ helpers
}

// beginning lists what the words are that letters begin with: of one letter, of two and so on, as far as the tree reaches. It writes them into list.
func (j *joinedWords) beginning(letters []rune, list *[deepest]class) []class {
	at := uint32(0)
	for k, c := range letters[:min(len(letters), deepest)] {
		if at = j.tree.next(at, c); at == 0 {
			return list[:k]
		}
		list[k] = j.tree.nodes[at].class
	}
	return list[:min(len(letters), deepest)]
}

// maxPieces bounds the tokens of a word in pieces.
const maxPieces = 6

// acrossTokens finds words in pieces: they begin and end where tokens do.
func (j *joinedWords) acrossTokens(skeletons [][]rune) class {
	var found class
	for i := range skeletons {
		at, last := uint32(0), rune(0)
		for k := i; k < len(skeletons) && k < i+maxPieces; k++ {
			for _, c := range skeletons[k] {
				if c == last {
					continue
				}
				if at = j.pieces.next(at, c); at == 0 {
					break
				}
				last = c
			}
			if at == 0 {
				break
			}
			if k > i {
				found |= j.pieces.nodes[at].class
			}
		}
	}
	return found
}

// in looks at all tokens of a reading.
func (j *joinedWords) in(r reading) class {
	var found class
	skeletons := make([][]rune, len(r.tokens))
	room := make([]rune, 0, len(r.letters))
	look := func(other bool) {
		room = room[:0]
		for i, t := range r.tokens {
			start := len(room)
			s := skeleton(r.letters[t.start:t.end], t.leet, other && t.leet, room[start:start])
			room = room[:start+len(s)]
			skeletons[i] = s
			found |= j.within(s)
		}
		found |= j.acrossTokens(skeletons)
	}
	look(false)
	for _, t := range r.tokens {
		if t.leet {
			look(true)
			break
		}
	}
	return found
}
