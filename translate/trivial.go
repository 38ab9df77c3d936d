package translate

import (
	"regexp"
	"strings"
	"unicode"
)

// untranslated are words of chats that everybody reads as they are. A message of nothing else costs no job.
var untranslated = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("ok okay k kk lol lmao rofl xd gg wp ggwp gl hf glhf brb afk omg wtf np ty thx plz pls idk imo btw rip ez n1 hm hmm hmmm") {
		m[w] = true
	}
	return m
}()

var laughter = regexp.MustCompile(`^(?:(?:[hj][aeiu]+){2,}[hj]?|k{2,}|w{3,}|lo+l|xd+|(?:ха){2,})$`)

// trivial tells whether a text has nothing to translate: nothing but chat slang, laughter, numbers, emoji and what is shielded.
func trivial(s Shielded) bool {
	for _, w := range strings.FieldsFunc(s.Words(), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.M, c) }) {
		w = strings.ToLower(w)
		if strings.ContainsFunc(w, unicode.IsLetter) && !untranslated[w] && !laughter.MatchString(w) {
			return false
		}
	}
	return true
}
