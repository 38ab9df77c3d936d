// Package detect tells the language of a chat message with lingua's small models.
package detect

import (
	"math"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/pemistahl/lingua-go"
)

// Detector tells languages. Its zero value is ready; the models (about 50 MB, 0.3 s) are loaded by the first Detect that needs them. It may be used
// from any goroutine and always gives the same answer for the same text.
type Detector struct {
	once   sync.Once
	lingua lingua.LanguageDetector
}

// New returns a Detector that has loaded nothing yet.
func New() *Detector { return &Detector{} }

// A wide set on purpose: built with few languages, text in others is labelled as one of the few. Accepting only some is for the caller.
var languages = []lingua.Language{
	lingua.English, lingua.French, lingua.Spanish, lingua.German, lingua.Italian, lingua.Portuguese, lingua.Dutch, lingua.Polish, lingua.Russian,
	lingua.Ukrainian, lingua.Bulgarian, lingua.Turkish, lingua.Arabic, lingua.Persian, lingua.Chinese, lingua.Japanese, lingua.Korean, lingua.Catalan,
	lingua.Swedish, lingua.Danish, lingua.Bokmal, lingua.Finnish, lingua.Czech, lingua.Greek, lingua.Hebrew, lingua.Hindi, lingua.Indonesian,
	lingua.Vietnamese, lingua.Romanian, lingua.Hungarian, lingua.Thai,
}

var known = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, l := range languages {
		m[code(l)] = true
	}
	return m
})

func code(l lingua.Language) string { return strings.ToLower(l.IsoCode639_1().String()) }

// Knows tells whether a BCP 47 base language is one that Detect can return.
func (d *Detector) Knows(language string) bool { return known()[language] }

// maxText bytes are looked at: a language shows long before, and lingua's time grows with the text.
const maxText = 2000

// Detect returns a BCP 47 base language and the margin (0–1) of the first guess over the second. ok is false where nothing can be told: too few
// letters beside code, addresses, names of chats, emoji and chat slang that is the same everywhere.
func (d *Detector) Detect(text string) (language string, margin float64, ok bool) {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	text = cut(text)
	letters := 0
	scripts := map[string]int{}
	for _, c := range text {
		if !unicode.IsLetter(c) {
			continue
		}
		letters++
		if s := settling(c); s != "" {
			scripts[s]++
		}
	}
	switch {
	case scripts["kana"] >= 2 && 2*(scripts["kana"]+scripts["han"]) > letters:
		return "ja", 1, true
	case scripts["hangul"] >= 2 && 2*scripts["hangul"] > letters:
		return "ko", 1, true
	case letters < 8 && scripts["han"]+scripts["other"]+scripts["kana"] < 2, looksLikeCode(text):
		return "", 0, false
	}
	d.once.Do(func() {
		d.lingua = lingua.NewLanguageDetectorBuilder().FromLanguages(languages...).WithLowAccuracyMode().Build()
	})
	best, second, sum := "", 0.0, 0.0
	first := 0.0
	for _, v := range d.lingua.ComputeLanguageConfidenceValues(text) {
		c := code(v.Language())
		value := v.Value() * math.Pow(foreignWord, float64(foreignWords(text, c)))
		sum += value
		switch {
		case value > first:
			best, first, second = c, value, first
		case value > second:
			second = value
		}
	}
	if best == "" {
		return "", 0, false
	}
	// lingua adds up in the order of a map: the last digits differ from call to call.
	return best, math.Round((first-second)/sum*1e4) / 1e4, true
}

// foreignWord is by how much a word makes a language less likely that does not have its letters. The small models alone call
// "El gremio se reúne mañana en la plaza" Finnish with 0.99, because n-grams that a language never saw cost it nothing.
const foreignWord = 0.005

// accents are the letters of a language in Latin script beside a–z, those of its common loan words included.
var accents = map[string]string{
	"en": "é", "fr": "àâæçéèêëîïôœùûüÿ", "es": "áéíóúüñ", "de": "äöüß", "it": "àèéìíîòóùú", "pt": "áâãàçéêíóôõúü", "nl": "éëïöüèóáê", "pl": "ąćęłńóśźż",
	"tr": "çğıöşüâîûi̇", "ca": "àçéèíïóòúül·", "sv": "åäöé", "da": "åæøé", "nb": "åæøéòôêó", "fi": "äöåšž", "cs": "áčďéěíňóřšťúůýž", "id": "é",
	"vi": "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ", "ro": "ăâîșțşţ", "hu": "áéíóöőúüű",
}

// foreignWords counts the words with a Latin letter that the language does not have.
func foreignWords(text, language string) int {
	own, latin := accents[language]
	if !latin {
		return 0
	}
	n := 0
	for _, w := range strings.Fields(text) {
		if strings.ContainsFunc(w, func(c rune) bool {
			c = unicode.ToLower(c)
			return c > unicode.MaxASCII && unicode.Is(unicode.Latin, c) && !strings.ContainsRune(own, c)
		}) {
			n++
		}
	}
	return n
}

// settling names the script of a letter where two letters of it are enough to go on.
func settling(c rune) string {
	switch {
	case unicode.In(c, unicode.Hiragana, unicode.Katakana):
		return "kana"
	case unicode.Is(unicode.Hangul, c):
		return "hangul"
	case unicode.Is(unicode.Han, c):
		return "han"
	case unicode.In(c, unicode.Arabic, unicode.Greek, unicode.Hebrew, unicode.Devanagari, unicode.Thai):
		return "other"
	}
	return ""
}

var (
	noise = regexp.MustCompile("(?s)```.*?(?:```|$)|`[^`\n]+`|" +
		"(?i:[a-z][a-z0-9+.-]{1,15}://\\S+|www\\.\\S+)|\\S+@\\S+\\.\\S+|<[^<>\\s]{1,64}>|[@#/]\\w[\\w-]*|:\\w{2,40}:|\\{[^{}\n]{0,64}\\}|%\\w")
	// slang is written alike in many languages.
	slang = words(`ok okay okey okk k kk lol lmao rofl xd xdd gg ggwp wp gl hf glhf brb afk omg wtf np ty thx tx pls plz nvm imo idk irl btw fyi
		gz gratz nice cool hi hey hello bye yo sup bro wow hm hmm hmmm uh eh ah oh ups oops noob pro bot admin mod spam ping pong lag afaik asap rip ez n1 +1 test`)
	laughter = regexp.MustCompile(`^(?:(?:[hj][aeiu]+){2,}[hj]?|(?:he){2,}|k{2,}|w{2,}|(?:ха){2,}|(?:хе){2,}|5{3,}|[aeiouh]{4,}|lo+l|xd+)$`)
)

func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// cut drops what says nothing about the language.
func cut(text string) string {
	var kept []string
	for _, w := range strings.Fields(noise.ReplaceAllString(text, " ")) {
		bare := strings.ToLower(strings.TrimFunc(w, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }))
		if bare == "" || slang[bare] || laughter.MatchString(bare) {
			continue
		}
		kept = append(kept, w)
	}
	return strings.Join(kept, " ")
}

// looksLikeCode tells whether more than 8 % of the characters are signs that prose has few of.
func looksLikeCode(text string) bool {
	all, signs := 0, 0
	for _, c := range text {
		all++
		if strings.ContainsRune(`{}[]();=<>\_|&*$`, c) {
			signs++
		}
	}
	return signs*100 > 8*all
}
