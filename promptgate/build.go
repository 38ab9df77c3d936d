package promptgate

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// addLanguages puts in the words of all languages, and those that stand in no language's lists.
func (l *lexicon) addLanguages() {
	for name, g := range languages {
		l.addLanguage(name, g)
	}
	l.addOthers()
}

func (l *lexicon) addLanguage(name string, g language) {
	young, bare, cloth := minor|minorForeign, explicit|explicitAbroad, garment|garmentAbroad
	if name == "English" {
		young, bare, cloth = minor, explicit, garment
	}
	nu := class(0)
	switch name {
	case "English", "French", "Portuguese", "Romanian":
		nu = neverNow
	}
	for _, list := range []struct {
		words string
		class class
	}{
		{g.minor, young | nu}, {g.maybe, maybeMinor | nu}, {g.bareHere, bareForeign}, {g.abroad, minorAbroad}, {g.bare, bare},
		{g.without, without}, {g.garments, cloth}, {g.years, ageUnit}, {g.numbers, youngNumber}, {g.tens, tens},
	} {
		l.addWords(list.words, list.class)
	}
	l.addStems(g.minorStems, young)
	l.addStems(g.bareStems, bare)
	l.addStems(g.yearStems, ageUnit)
	for _, p := range g.minorPhrases {
		l.add(p, young)
	}
	for _, p := range g.barePhrases {
		l.add(p, bare)
	}
	for _, p := range strings.Fields(g.minorParts) {
		l.addPart(p, minor)
	}
	for _, p := range strings.Fields(g.bareParts) {
		l.addPart(p, explicit)
	}
	for _, child := range strings.Fields(g.pairs[0]) {
		for _, naked := range strings.Fields(g.pairs[1]) {
			l.add(child+" "+naked, young|bare)
			l.add(naked+" "+child, young|bare)
		}
	}
	for _, n := range strings.Fields(g.numbers) {
		if len(n) < 3 {
			continue // "iiyo" and the like
		}
		for _, suffix := range g.grown {
			l.addStems(n+suffix, young)
		}
	}
}

// betweens are small words of several languages that may stand between "without" and a garment.
const betweens = `a an any of the her his their its all single one stitch piece shred scrap item bit articles article wearing proper other more much visible
	your my our on in t ever jede jegliche jeglicher irgendwelche alle seine ihre aucun aucune ses leurs ningún ninguna ninguno nada de su nessun nessuna nenhuma
	någon några noen nogen enige enkele żadnych żádného никакой всякой своей καθόλου hiçbir`

// addOthers puts in the words that stand in no language's lists.
func (l *lexicon) addOthers() {
	for _, p := range strings.Fields("ロリ ショタ 萝莉 蘿莉 正太") {
		l.addPart(p, coded|minor)
	}
	l.addWords("로리 쇼타 лоли шота", coded|minor)
	l.addWords(betweens, between)
	l.addWords("month months mo mos week weeks day days", monthUnit)
	for _, w := range strings.Fields("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth") {
		l.add(w+" grade", minor|neverNow)
		l.add(w+" graders", minor|neverNow)
	}
	l.addWords(minorBackwards, minor|neverNow)
	l.addWords(bareBackwards, explicit)
	l.add("nu", halfBare)
	l.add("nu de", halfBare)
}

// addWords puts in whole words.
func (l *lexicon) addWords(words string, c class) {
	for _, w := range strings.Fields(words) {
		l.add(w, c)
	}
}

// addStems puts in beginnings of words.
func (l *lexicon) addStems(stems string, c class) {
	for _, w := range strings.Fields(stems) {
		l.path([]rune(folded(w))).begins |= c
	}
}

// addJoined prepares the words that are looked for in words written as one and in pieces.
func (l *lexicon) addJoined() {
	const counts = minor | maybeMinor | explicit | neverNow | explicitAbroad
	j := newJoinedWords()
	add := func(words string, c class) {
		for _, w := range strings.Fields(words) {
			// Short words are in too many others: "analysis", "Kinderrappel".
			short := []string{"nude", "porn", "nsfw", "loli", "teen", "baby", "girl", "kids", "boys", "kid", "boy", "sex", "kind", "nina", "nino", "ninas", "ninos"}
			if folded := folded(w); utf8.RuneCountInString(folded) >= 5 || folded[0] >= utf8.RuneSelf && len(folded) >= 8 || slices.Contains(short, folded) {
				j.add(w, c&counts)
			}
		}
	}
	for _, v := range vocabularies {
		if v.class&(minor|maybeMinor|explicit) != 0 {
			add(v.words+" "+v.stems, v.class)
		}
	}
	for name, g := range languages {
		bare := explicit
		if name != "English" {
			bare |= explicitAbroad
		}
		add(g.minor+" "+g.minorStems, minor)
		add(g.maybe, maybeMinor)
		add(g.bare+" "+g.bareStems, bare)
	}
	for _, w := range strings.Fields(joints) {
		j.add(w, joint)
	}
	j.add("nudel", harmless) // German pasta
	add(minorBackwards, minor)
	add(bareBackwards, explicit)
	for _, w := range strings.Fields(parted) {
		var s seen
		l.match([]rune(folded(w)), false, false, &walker{}, &s)
		addSkeleton(j.pieces, []rune(folded(w)), s.class&counts)
	}
	// Dutch says "nu de" for "now the".
	n := j.pieces.path([]rune("nude"))
	n.class = 0
	for _, pieces := range []string{"n ude", "nud e", "n u de", "n ud e", "nu d e"} {
		l.add(pieces, explicit)
	}
	l.joined = j
}
