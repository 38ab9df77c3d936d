package translate

import (
	"slices"
	"strings"
	"unicode"
)

// functionWords are words of a language that stand in nearly every phrase and question and in no English one. A few words describe a picture or ask
// something, and of so few the letters tell nothing: "mona lisa smiling" is Indonesian by its n-grams, "write a haiku about soup" Czech. The languages
// stand in the order in which a tie is decided.
var functionWords = []struct {
	language string
	words    map[string]bool
}{
	{"de", set(`ein eine einen einem einer eines der das dem des im ins vom zum zur und mit auf unter über neben vor hinter zwischen aus bei ohne für
		wie warum wieso wer wo wann welche welcher welches ist sind kann kannst erklär erkläre schreib schreibe mir ich du es gibt nicht mach sag`)},
	{"es", set(`de un una unos unas el la los las del al en con sobre bajo entre por para sin y junto cerca hacia su como que
		qué quién cómo cuándo dónde cuál cuáles cuánto es son está hay puedo puedes cuéntame escribe explica explícame dime haz mi`)},
	{"fr", set(`de un une des le la les du au aux en dans avec sur sous entre et près devant derrière chez sans pour qui vers son
		pourquoi comment quoi quand où quel quelle est sont peux peut explique écris donne moi je tu il ce cette qu`)},
	{"pt", set(`de um uma uns umas os as do da dos das no na nos nas em com sobre sob entre ao à às por para sem e perto que
		quê quem como quando onde qual é são está explique escreva conte diga eu você`)},
	{"it", set(`un una uno il lo la gli del della dei delle nel nella nei sul sulla con su tra fra per di da che al alla e sotto sopra
		perché cosa chi quando dove quale è sono puoi spiega spiegami scrivi dimmi mi io`)},
	{"nl", set(`een het de en van met op onder boven naast bij tussen achter voor zonder aan uit naar
		waarom hoe wat wie wanneer waar welke zijn kan ik je leg schrijf geef`)},
	{"ca", set(`de un una uns unes el la els les del dels al als amb sobre sota entre per sense i en prop que què qui com quan quin quina és són hi ha explica digues`)},
	{"pl", set("na pod nad przy przed obok oraz się ze bez jest dla przez między dlaczego jak co kto kiedy gdzie jaki jaka są czy napisz")},
	{"sv", set("en ett och på med av som från under över vid mellan bredvid utan varför hur vad vem när vilken är kan jag du skriv")},
	{"da", set("en et og på med af som fra under over ved mellem uden hvorfor hvordan hvad hvem hvornår hvor hvilken er kan jeg du skriv")},
	{"nb", set("en et og på med av som fra under over ved mellom uten hvorfor hvordan hva hvem når hvor hvilken er kan jeg du skriv")},
	{"tr", set("bir ve ile için üzerinde altında yanında içinde olan gibi neden nasıl ne kim nerede hangi nedir yaz")},
	{"id", set("di dan dengan yang sebuah seekor seorang dalam atas bawah dari untuk mengapa bagaimana apa siapa kapan adalah ini itu saya")},
	{"vi", set("một và trong với trên dưới của những các đang bên tại sao thế nào là gì ai tôi")},
	{"ro", set("un cu și pe din lângă sub într-o într-un sau care peste ce cum cine când unde este sunt")},
	{"hu", set("egy az és alatt felett mellett egyik között miért hogyan mi ki mikor hol melyik van")},
	{"cs", set("se pod nad mezi vedle na ve jak proč co kdo kdy kde který je jsou")},
	{"fi", set("ja on sekä alla päällä vieressä jossa miksi miten mikä kuka milloin missä ovat")},
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// english are the words by which a phrase is an English one after all.
var english = set(`a an the of in on at with and by from into under over near while is are was were to for his her its their between behind
	what why how who when where which do does did can could would should tell me my you your i it this that make write list give explain about best not be or than`)

const (
	// manyLetters are enough for the detector, if it is as sure as sure.
	manyLetters = 80
	sure        = 0.9
)

// Language tells which language a text is in, however short, when that is sure; reader is the reader's language, which decides where the words fit
// several.
func (s *Service) Language(text, reader string) (tag string, ok bool) {
	if tag, ok = s.Foreign(text, reader); ok {
		return tag, true
	}
	letters, latin, spoken := 0, 0, 0
	bare := Shield(text, nil).Words()
	for _, c := range bare {
		if unicode.IsLetter(c) {
			letters++
			if unicode.Is(unicode.Latin, c) {
				latin++
			}
		}
	}
	for w := range wordsOf(bare) {
		if english[w] {
			spoken++
		}
	}
	guess, margin := "", 0.0
	if s.Detector != nil {
		guess, margin, _ = s.Detector.Detect(bare)
	}
	switch {
	case spoken > 0 && 2*latin > letters:
		// "was" and "in" are also German: a few of them against the letters settle nothing.
		if spoken > 2 || guess == "en" || margin < sure {
			return "en", true
		}
	case letters >= manyLetters && margin >= sure:
		return guess, true
	}
	return "", false
}

// wordsOf are the words of a text, in small letters.
func wordsOf(text string) map[string]bool {
	seen := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) && c != '-' && !unicode.Is(unicode.M, c) }) {
		seen[w] = true
	}
	return seen
}

// Foreign tells in which language a few words are ("ein Fuchs im Schnee", "狐"), when that is surely not English; reader is the reader's language,
// which decides where the words fit several.
func (s *Service) Foreign(text, reader string) (from string, ok bool) {
	own, _ := Parse(reader)
	bare := Shield(text, nil).Words()
	scripts, letters := map[string]int{}, 0
	for _, c := range bare {
		if unicode.IsLetter(c) {
			letters++
			scripts[scriptOf(c)]++
		}
	}
	latin := scripts["latin"]
	switch {
	case letters == 0:
		return "", false
	case scripts["kana"] > 0 && 2*(scripts["kana"]+scripts["han"]) >= letters:
		return "ja", true
	case 2*scripts["hangul"] >= letters:
		return "ko", true
	case 2*scripts["han"] >= letters:
		if own == "ja" {
			return "ja", true
		}
		return "zh", true
	case 2*latin > letters:
		return s.latin(bare, own)
	}
	if s.Detector != nil { // one script, few languages: any guess is a good one
		if got, _, ok := s.Detector.Detect(bare); ok && got != "en" {
			return got, true
		}
	}
	if 2*scripts["cyrillic"] >= letters {
		if slices.Contains([]string{"uk", "bg", "sr", "mk", "be"}, own) {
			return own, true
		}
		return "ru", true
	}
	return "", false
}

func scriptOf(c rune) string {
	for name, table := range map[string]*unicode.RangeTable{"latin": unicode.Latin, "han": unicode.Han, "hangul": unicode.Hangul, "cyrillic": unicode.Cyrillic} {
		if unicode.Is(table, c) {
			return name
		}
	}
	if unicode.In(c, unicode.Hiragana, unicode.Katakana) || c == 'ー' {
		return "kana"
	}
	return "other"
}

// latin goes by the function words: two of them settle it, one needs the reader's language or the detector beside it.
func (s *Service) latin(text, own string) (string, bool) {
	seen := wordsOf(text)
	var best []string
	most, inEnglish := 0, 0
	for w := range seen {
		if english[w] {
			inEnglish++
		}
	}
	for _, l := range functionWords {
		n := 0
		for w := range seen {
			if l.words[w] && !english[w] {
				n++
			}
		}
		switch {
		case n > most:
			best, most = []string{l.language}, n
		case n == most && n > 0:
			best = append(best, l.language)
		}
	}
	if most <= inEnglish {
		return "", false
	}
	if slices.Contains(best, own) {
		return own, true
	}
	guess, margin := "", 0.0
	if s.Detector != nil {
		guess, margin, _ = s.Detector.Detect(text)
	}
	switch {
	case slices.Contains(best, guess) && (most > 1 || margin >= 0.3):
		return guess, true
	case most > 1:
		return best[0], true
	}
	return "", false
}
