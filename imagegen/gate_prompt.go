package imagegen

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The rules below block two things, with no switch: minors together with anything sexual, and sexual pictures of real people. They lean to the safe
// side; people are never told which rule it was.

// forbidden tells whether a prompt and what it wants left out may not be drawn.
func forbidden(prompt, negative string) bool {
	if swollen(prompt) || swollen(negative) {
		return true
	}
	minor, maybeMinor, suggestive, explicit := false, false, false, false
	real := false
	for _, f := range forms(prompt) {
		minor = minor || f.has(minors) || f.matches(youngAge)
		maybeMinor = maybeMinor || f.has(maybeMinors)
		explicit = explicit || f.has(explicits)
		suggestive = suggestive || f.has(suggestives)
		real = real || f.has(realPeople)
		if f.has(never) {
			return true
		}
	}
	// Leaving out clothes or age is another way to ask for their contrary.
	for _, f := range forms(negative) {
		explicit = explicit || f.has(leftOutClothes)
		minor = minor || explicit && f.has(leftOutAge)
	}
	real = real || explicit && namesSomebody(prompt)
	return minor && (explicit || suggestive) || maybeMinor && explicit || real && explicit
}

// vocabulary is what a rule looks for. Words are whole ones, stems begin a word, phrases are words in a row, parts stand anywhere (for scripts without
// blanks). All in the form that forms gives: lower case, without accents.
type vocabulary struct {
	words, stems, phrases, parts []string
}

// fields reads a vocabulary's words, in whose own language accents are right.
func fields(s string) []string { return strings.Fields(foldAccents(s)) }

var (
	minors = vocabulary{
		words: fields(`child children childs childlike kid kids kiddo minor minors underage underaged toddler toddlers infant infants baby babies newborn preteen preteens
			tween tweens teen teens teenage teenager teenagers teeny schoolgirl schoolgirls schoolboy schoolboys schoolchild schoolkid loli lolis lolita lolicon
			shota shotacon kindergartner kindergarten preschooler juvenile adolescent adolescents youngster daughter stepdaughter
			nino nina ninos ninas menor menores adolescente adolescentes bebe colegiala crianca criancas menino menina kinder kleinkind minderjahrig minderjahrige
			minderjahriges schulmadchen jugendliche jugendlicher enfant enfants fillette gamine mineur mineure bambino bambina bambini minorenne ragazzina dziecko
			ребенок дети девочка мальчик школьница подросток несовершеннолетняя`),
		phrases: []string{"little girl", "little boy", "young girl", "young boy", "small girl", "small boy", "under age", "under 18", "below 18", "school girl", "school boy",
			"elementary school", "primary school", "middle school", "junior high", "high school student", "high schooler", "year old girl", "year old boy", "junges madchen",
			"kleines madchen", "petite fille", "petit garcon", "barely legal", "pre teen", "not yet adult"},
		parts: []string{"ロリ", "ショタ", "幼女", "少女", "少年", "子供", "子ども", "こども", "女児", "男児", "児童", "未成年", "小学生", "中学生", "女子高生", "儿童", "兒童", "小孩", "幼童", "萝莉", "蘿莉", "正太", "어린이", "미성년", "로리", "طفل", "طفلة"},
	}
	// maybeMinors are used for adults too: they count beside explicit words only.
	maybeMinors = vocabulary{
		words:   fields(`girl girls boy boys 1girl 2girls 1boy 2boys pupil pupils kind student students young youthful youth petite chica chico muchacha muchacho madchen junge fille garcon ragazza ragazzo menininha девушка`),
		phrases: []string{"school uniform", "flat chested", "just turned 18"},
	}
	explicits = vocabulary{
		words: fields(`nude nudes nudity naked nsfw sex sexual sexually sexualized sexualised porn porno pornographic pornography hentai ecchi ahegao erotic erotica eroticism topless
			bottomless genital genitals genitalia penis vagina vulva nipples areola orgasm intercourse lewd fetish xxx r18 rule34 unclothed undressed undressing disrobed bdsm bondage
			fellatio cunnilingus coitus pron prn desnudo desnuda desnudos desnudas sexo nackt nackte nackter nacktes nacktheit nue nues sexe nudo nuda nudi sesso pelado pelada
			nago goly gola секс голая голый порно эротика`),
		stems:   fields(`masturbat pornogra ejaculat erotis copulat`),
		phrases: []string{"without clothes", "no clothes", "without clothing", "no clothing", "not wearing anything", "wearing nothing", "bare breasts", "bare breasted", "bare chested woman", "exposed breasts", "birthday suit", "sin ropa", "ohne kleidung", "ohne kleider", "sans vetements", "senza vestiti", "sem roupa", "having sex", "make love", "making love", "18+", "explicit pose", "sexually explicit"},
		parts:   []string{"ヌード", "裸", "エロ", "全裸", "セックス", "ポルノ", "色情", "性交", "누드", "알몸", "섹스", "야한", "عاري", "عارية"},
	}
	suggestives = vocabulary{
		words: fields(`sexy seductive seductively sensual sensually lingerie provocative provocatively underwear panties thong arousing aroused suggestive suggestively sultry
			kinky horny fetishized voluptuous busty cleavage upskirt sinnlich reizwasche dessous sensuell sexi lenceria seductora`),
		phrases: []string{"spread legs", "bedroom eyes", "see through", "wet shirt", "skimpy"},
		parts:   []string{"セクシー", "下着", "パンツ", "性感", "내의", "섹시"},
	}
	realPeople = vocabulary{
		words: fields(`celebrity celebrities actress actor politician president princess influencer youtuber streamer popstar deepfake deepfakes prominente schauspielerin promi
			celebridad actriz`),
		phrases: []string{"real person", "real people", "real woman", "real man", "my ex", "my girlfriend", "my boyfriend", "my wife", "my husband", "my classmate", "my teacher", "my coworker",
			"my colleague", "my boss", "my neighbor", "my neighbour", "my sister", "my mother", "my mom", "my friend", "my crush", "my cousin", "this person", "this woman", "prime minister",
			"pop star", "movie star", "meine freundin", "meine ex", "mi novia", "mi ex", "ma copine",
			"taylor swift", "emma watson", "scarlett johansson", "billie eilish", "ariana grande", "selena gomez", "kim kardashian", "donald trump", "barack obama", "joe biden",
			"kamala harris", "elon musk", "greta thunberg", "angela merkel", "vladimir putin", "natalie portman", "margot robbie", "jenna ortega", "millie bobby brown"},
		parts: []string{"芸能人", "女優", "アイドル", "有名人", "名人", "明星"},
	}
	// never is blocked by itself: it names one of the two things, or asks to undress somebody's picture.
	never = vocabulary{
		words:   fields(`lolicon shotacon nudify nudified nudifier deepnude`),
		phrases: []string{"undress her", "undress him", "undress this", "undress my", "remove her clothes", "remove his clothes", "remove the clothes", "take off her clothes", "strip her clothes"},
	}
	leftOutClothes = vocabulary{words: fields(`clothes clothing clothed clothe dressed dress shirt pants underwear bra bikini swimsuit censored censorship censor`)}
	leftOutAge     = vocabulary{words: fields(`adult adults mature old older aged grown milf`), phrases: []string{"grown up"}}

	youngAge = regexp.MustCompile(`\b(?:[0-9]|1[0-7]) ?(?:years?|yrs?|yr|y ?o|yo|jahre|jahrig\w*|anos|ans|anni|лет|let|lat)\b|\b(?:aged?|age of|edad|alter) ?:? ?(?:[0-9]|1[0-7])\b|` +
		`\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen) years? old\b|(?:^|\D)(?:[0-9]|1[0-7])(?:歳|才|岁|歲|살)`)

	// harmless phrases hold a word of the rules without its meaning.
	harmless = []string{"naked eye", "naked mole rat", "naked mole rats", "nude lipstick", "nude color", "nude colour", "nude tones", "nude heels", "minor key", "minor chord", "minor scale",
		"minor characters", "minor details", "ursa minor", "adult content", "baby blue", "kid gloves", "kind of", "asia minor", "billy the kid"}
)

// maxFolded is how many bytes a prompt may have in normal form: twice the longest one of letters. A few signs unfold to 18 letters each, and nobody
// who wants a picture writes thousands of them.
const maxFolded = 48 << 10

func swollen(prompt string) bool {
	return len(prompt) > maxFolded || len(norm.NFKC.String(prompt)) > maxFolded
}

// form is one reading of a prompt: words with one blank between, and one before and behind all.
type form string

func (f form) has(v vocabulary) bool {
	for _, w := range strings.Fields(string(f)) {
		if slices.Contains(v.words, w) || slices.ContainsFunc(v.stems, func(s string) bool { return strings.HasPrefix(w, s) }) {
			return true
		}
	}
	return slices.ContainsFunc(v.phrases, func(p string) bool { return strings.Contains(string(f), " "+p+" ") }) ||
		slices.ContainsFunc(v.parts, func(p string) bool { return strings.Contains(string(f), p) })
}

func (f form) matches(p *regexp.Regexp) bool { return p.MatchString(string(f)) }

// forms reads a prompt in the ways in which people hide words: other alphabets, accents, digits and signs for letters, spaced letters, letters
// repeated, emoji. A rule that holds in one of them holds.
func forms(prompt string) []form {
	folded := foldAccents(strings.ToLower(norm.NFKC.String(prompt)))
	folded = pictographs.Replace(folded)
	lookalike := strings.Map(func(c rune) rune {
		if latin, ok := lookalikes[c]; ok {
			return latin
		}
		return c
	}, folded)

	var out []form
	for _, text := range []string{folded, lookalike} {
		for _, leet := range []map[rune]rune{nil, leetI, leetL} {
			words := wordsOf(text, leet)
			for _, w := range [][]string{words, closed(words)} {
				for _, letters := range []int{99, 2, 1} {
					f := form(" " + strings.Join(squeezed(w, letters), " ") + " ")
					for _, h := range harmless {
						f = form(strings.ReplaceAll(string(f), " "+h+" ", " "))
					}
					if !slices.Contains(out, f) {
						out = append(out, f)
					}
				}
			}
		}
	}
	return out
}

// foldAccents drops combining marks and what cannot be seen. Kana keep theirs: ハ is not バ.
func foldAccents(s string) string {
	var b strings.Builder
	var base rune
	for _, c := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, c) && !unicode.In(base, unicode.Hiragana, unicode.Katakana):
			continue
		case unicode.In(c, unicode.Cf, unicode.Cc) && !unicode.IsSpace(c), c == 0x034F, c == 0x115F, c == 0x1160, c == 0x3164, unicode.Is(unicode.Variation_Selector, c):
			continue
		}
		if !unicode.Is(unicode.Mn, c) {
			base = c
		}
		b.WriteRune(c)
	}
	return norm.NFC.String(b.String())
}

var pictographs = strings.NewReplacer("👶", " child ", "🧒", " child ", "👧", " child ", "👦", " child ", "🚼", " child ", "🍼", " child ", "🔞", " nsfw ", "ß", "ss", "ø", "o", "ł", "l", "æ", "ae", "œ", "oe", "ı", "i")

// lookalikes are letters of other alphabets that look like Latin ones.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	other, latin := []rune("аеорсухіїјѕԁһкмтвнгпԛԝӏαβεικνορτυχηωγѡսոցօսһⅼɑɡɩʟɴʀѵƽᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢʜɪʙɢғꜱʏ"), []rune("aeopcyxiijsdhkmtbhrnqwlabeiknoptuxnwywungouhlagilnrvsacdejkmoptuvwzhibgfsy")
	for i, c := range other {
		m[c] = latin[i]
	}
	return m
}()

var (
	leetI = map[rune]rune{'0': 'o', '1': 'i', '!': 'i', '3': 'e', '4': 'a', '@': 'a', '5': 's', '$': 's', '7': 't', '+': 't', '8': 'b', '9': 'g', '6': 'g', '|': 'i', '€': 'e', '2': 'z'}
	leetL = map[rune]rune{'0': 'o', '1': 'l', '!': 'l', '3': 'e', '4': 'a', '@': 'a', '5': 's', '$': 's', '7': 't', '+': 't', '8': 'b', '9': 'g', '6': 'g', '|': 'l', '€': 'e', '2': 'z'}
)

// wordsOf cuts a text into words of letters and digits; with leet, signs and digits inside of words are read as letters.
func wordsOf(text string, leet map[rune]rune) []string {
	var out []string
	for _, field := range strings.Fields(text) {
		if leet != nil {
			field = strings.TrimFunc(field, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '@' && c != '$' })
			if strings.ContainsFunc(field, unicode.IsLetter) {
				field = strings.Map(func(c rune) rune {
					if l, ok := leet[c]; ok {
						return l
					}
					return c
				}, field)
			}
		}
		out = append(out, strings.FieldsFunc(field, func(c rune) bool {
			return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.M, c) && c != '+'
		})...)
	}
	return out
}

// maxRun bounds the spaced letters that are read as one.
const maxRun = 48

// closed reads single letters in a row as words: "n u d e" and "n.u.d.e" hold "nude". Where one such word ends and the next begins cannot be seen, so
// every stretch of 3 to 12 letters is one.
func closed(words []string) []string {
	var out []string
	var run []rune
	flush := func() {
		run = run[:min(len(run), maxRun)]
		for i := range run {
			for n := 3; n <= 12 && i+n <= len(run); n++ {
				out = append(out, string(run[i:i+n]))
			}
		}
		run = nil
	}
	for _, w := range words {
		if c := []rune(w); len(c) == 1 && !unicode.IsDigit(c[0]) {
			run = append(run, c[0])
			continue
		}
		flush()
		out = append(out, w)
	}
	flush()
	return out
}

// squeezed cuts runs of the same letter down to at most letters.
func squeezed(words []string, letters int) []string {
	out := make([]string, len(words))
	for i, w := range words {
		var b strings.Builder
		var last rune
		n := 0
		for _, c := range w {
			if c == last && unicode.IsLetter(c) {
				n++
			} else {
				last, n = c, 1
			}
			if n <= letters {
				b.WriteRune(c)
			}
		}
		out[i] = b.String()
	}
	return out
}

var capitalised = regexp.MustCompile(`\b\p{Lu}\p{Ll}+(?:['’-]\p{Lu}?\p{Ll}+)? \p{Lu}\p{Ll}{2,}\b`)

// namesSomebody tells whether two capitalised words stand together that look like a name. A prompt whose every other word is a capital says nothing.
func namesSomebody(prompt string) bool {
	all, capitals := 0, 0
	for _, w := range strings.Fields(prompt) {
		all++
		if unicode.IsUpper([]rune(w)[0]) {
			capitals++
		}
	}
	if all > 4 && capitals*10 > all*7 {
		return false
	}
	for _, name := range capitalised.FindAllString(prompt, -1) {
		f := form(" " + strings.ToLower(name) + " ")
		if !f.has(explicits) && !f.has(styled) {
			return true
		}
	}
	return false
}

// styled are capitalised pairs that name a way of painting or a place rather than a person.
var styled = vocabulary{words: fields(`art nouveau deco renaissance baroque style ancient greek roman greece rome new york oil painting marble statue venus milo botticelli museum
	naked mole sculpture south north west east africa america`)}
