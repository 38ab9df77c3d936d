package translate

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// offered are the base languages that Parse knows. Which of them can be translated now is for the pool to say.
var offered = strings.Fields(`en es fr de it pt nl pl ru uk tr ar zh ja ko ca sv da nb nn fi cs el hi he id vi ro hu th bg sr hr sl sk et lv lt fa ur bn ta te
	ml kn mr gu pa ne si my km lo ka hy az kk uz ky tg mn ms fil jv su sw am ha yo ig zu xh af sq mk bs is ga cy gd br eu gl oc ast an eo la mt lb be
	yi so rw mg ht hi ps ku sd ug tt ceb haw mi sm fy co bo yue`)

// names maps what people call a language, in English, Spanish, German, Japanese and the language itself, to its base tag.
var names = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, in := range []language.Tag{language.English, language.Spanish, language.German, language.Japanese} {
		namer := display.Languages(in)
		for _, tag := range offered {
			add(m, namer.Name(language.Make(tag)), tag)
		}
	}
	for _, tag := range offered {
		add(m, display.Self.Name(language.Make(tag)), tag)
	}
	for name, tag := range map[string]string{
		"mandarin": "zh", "simplified chinese": "zh", "traditional chinese": "zh", "farsi": "fa", "valencian": "ca", "valencià": "ca", "castellano": "es",
		"castilian": "es", "tagalog": "fil", "brazilian": "pt", "norwegian": "nb", "norsk": "nb", "noruego": "nb", "norwegisch": "nb", "ノルウェー語": "nb", "flemish": "nl",
		"中国語": "zh", "普通话": "zh", "國語": "zh", "汉语": "zh", "漢語": "zh",
	} {
		add(m, name, tag)
	}
	return m
})

func add(m map[string]string, name, tag string) {
	for _, n := range []string{strings.ToLower(name), plain(name)} {
		if _, ok := m[n]; n != "" && !ok {
			m[n] = tag
		}
	}
}

// plain is lower case without accents: phones leave them out. Only Latin letters lose theirs; が is not か.
func plain(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.ContainsFunc(s, func(c rune) bool { return unicode.IsLetter(c) && !unicode.Is(unicode.Latin, c) }) {
		return norm.NFC.String(s)
	}
	bare, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), s)
	if err != nil {
		return s
	}
	return bare
}

// Parse reads what a person calls a language: a tag ("es", "spa", "es-MX", "es_MX") or a name in English, Spanish, German, Japanese or the
// language itself ("Spanish", "español", "スペイン語"), and returns its BCP 47 base language ("es"). ok is false for everything else.
func Parse(value string) (base string, ok bool) {
	if len(value) > 100 {
		return "", false
	}
	if tag, ok := names()[plain(value)]; ok {
		return tag, true
	}
	tag, err := language.Parse(strings.ReplaceAll(strings.TrimSpace(value), "_", "-"))
	if err != nil {
		return "", false
	}
	b, confidence := tag.Base()
	if confidence == language.No || tag == language.Und {
		return "", false
	}
	base = b.String()
	switch base {
	case "no":
		base = "nb"
	case "tl":
		base = "fil"
	case "sh":
		base = "sr"
	}
	for _, o := range offered {
		if o == base {
			return base, true
		}
	}
	return "", false
}

// Name is what a language is called in another ("Spanish" in "en", "スペイン語" in "ja"). in may be empty or unknown: English. A tag without a name comes
// back as it is.
func Name(tag, in string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return tag
	}
	reader, err := language.Parse(in)
	if err != nil {
		reader = language.English
	}
	for _, namer := range []display.Namer{display.Languages(reader), display.Languages(language.English)} {
		if namer == nil {
			continue
		}
		if n := namer.Name(t); n != "" {
			return n
		}
	}
	return tag
}
