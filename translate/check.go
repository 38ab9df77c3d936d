package translate

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"potluck/hygiene"
	"potluck/workers"
	"potluck/workers/protocol"
)

// A worker's result is refused with one of these: it earns nothing and the job is tried elsewhere. None holds text.
var (
	errAddress  = errors.New("an address, mention or link that the source does not have")
	errEmpty    = errors.New("an empty segment")
	errLength   = errors.New("far longer or shorter than the source")
	errEcho     = errors.New("the source text again")
	errLanguage = errors.New("not in the language that was asked for")
	errChatter  = errors.New("talk about the translation")
)

// knower is what a Detector may tell beside: whether it can return a language at all.
type knower interface{ Knows(language string) bool }

// checker decides whether a result may be shown.
type checker struct {
	source   Shielded
	from, to string
	detector Detector
	margin   float64
}

// translation cleans a result, checks it and puts it into the frame of the source.
func (c checker) translation(r workers.Result) (text string, kept [][2]int, err error) {
	if len(r.Segments) != len(c.source.Segments) {
		return "", nil, errKeeps
	}
	cleaned := make([][]protocol.Piece, len(r.Segments))
	for i, pieces := range r.Segments {
		if len(pieces) > 2*len(c.source.Segments[i])+64 {
			return "", nil, errKeeps
		}
		for _, p := range pieces {
			cleaned[i] = append(cleaned[i], protocol.Piece{Text: hygiene.Line(p.Text), Keep: p.Keep})
		}
	}
	text, kept, err = c.source.Unshield(cleaned)
	if err != nil {
		return "", nil, err
	}
	for i := range cleaned {
		if err := c.segment(words(c.source.Segments[i]), words(cleaned[i]), r.Quality == protocol.Demo); err != nil {
			return "", nil, fmt.Errorf("segment %d: %w", i+1, err)
		}
	}
	if r.Quality == protocol.Demo { // says itself that it is a demonstration: nobody takes it for the text
		return text, kept, nil
	}
	return text, kept, c.language(Shielded{Segments: cleaned}.Words())
}

// words is a segment's text with a blank for each keep.
func words(pieces []protocol.Piece) string {
	return Shielded{Segments: [][]protocol.Piece{pieces}}.Words()
}

var (
	markdownLink = regexp.MustCompile(`\]\(`)
	mention      = regexp.MustCompile(`<[@#/]|<a?:|<t:|@\S`)
	// How models announce their work; the colon behind it is looked for apart.
	announced = regexp.MustCompile(`(?i)^\W*(?:sure|certainly|of course|here(?:'s|’s| is| are)|hier ist|voici|aqu[ií] est|ecco|以下|こちら)`)
	stem      = regexp.MustCompile(`(?i)translat|traduc|traduz|tradut|tradui|übersetz|перевод|翻訳|翻译|翻譯`)
	confessed = regexp.MustCompile(`(?i)\bas an? (?:ai|artificial|large|language)\b|\bi(?:'|’)?m (?:just )?an? (?:ai|language model)\b`)
)

func (c checker) segment(source, result string, demo bool) error {
	if len(addresses(result)) > len(addresses(source)) || len(markdownLink.FindAllString(result, -1)) > len(markdownLink.FindAllString(source, -1)) ||
		len(mention.FindAllString(result, -1)) > len(mention.FindAllString(source, -1)) || strings.Count(result, "@") > strings.Count(source, "@") {
		return errAddress
	}
	long, short := weight(result), weight(source)
	if long > 6*short+200 { // also for demonstrations: what they say of themselves is short
		return errLength
	}
	if demo {
		return nil
	}
	if strings.ContainsFunc(source, unicode.IsLetter) && !strings.ContainsFunc(result, unicode.IsLetter) {
		return errEmpty
	}
	// Short texts grow and shrink a lot (了解 → "Understood"), so the ratio only counts beyond a floor.
	if long > 40+3.5*short || long < 0.25*short-20 {
		return errLength
	}
	if head, _, ok := cutColon(result); ok && len(head) <= 160 {
		_, _, colon := cutColon(source)
		if stem.MatchString(head) && !stem.MatchString(source) || announced.MatchString(head) && !colon {
			return errChatter
		}
	}
	if confessed.MatchString(result) && !mentionsAI.MatchString(source) {
		return errChatter
	}
	return nil
}

var mentionsAI = regexp.MustCompile(`(?i)\b(?:ai|ia|ki|llm|gpt)\b|ИИ|人工|語言模型|语言模型|言語モデル|artificial|künstlich|modelo|modell|modèle|model`)

func cutColon(s string) (head, tail string, ok bool) {
	if head, tail, ok = strings.Cut(s, ":"); ok {
		return head, tail, ok
	}
	return strings.Cut(s, "：")
}

// weight is a text's length in Latin letters: a Chinese or Japanese character says about three.
func weight(s string) float64 {
	n := 0.0
	for _, c := range s {
		switch {
		case unicode.IsSpace(c):
		case unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			n += 2.5
		default:
			n++
		}
	}
	return n
}

// enough letters for a detector to be trusted against a worker.
const enough = 24

func (c checker) language(result string) error {
	source := c.source.Words()
	letters := weight(strings.Join(strings.FieldsFunc(result, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.Is(unicode.M, r) }), ""))
	if letters < enough {
		return nil // names and short words are often the same
	}
	if fold(result) == fold(source) {
		return errEcho
	}
	if c.detector == nil {
		return nil
	}
	got, margin, ok := c.detector.Detect(result)
	if !ok || margin < c.margin || got == c.to {
		return nil
	}
	if got == c.from {
		return errLanguage
	}
	if k, ok := c.detector.(knower); ok && !k.Knows(c.to) {
		return nil // Occitan would be called Catalan
	}
	if margin >= 0.8 && !kin(got, c.to) {
		return errLanguage
	}
	return nil
}

// kin are languages that a detector may take for each other.
func kin(a, b string) bool {
	for _, family := range []string{" nb nn da sv ", " es ca gl pt oc ", " ru uk bg be sr mk ", " cs sk pl sl hr bs sr ", " id ms ", " zh ja yue ", " fa ar ur ", " hi mr ne "} {
		if strings.Contains(family, " "+a+" ") && strings.Contains(family, " "+b+" ") {
			return true
		}
	}
	return false
}

func fold(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, s)
}
