package agent

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The guard is the second of two: the server checks every picture request first. It has no switch, because an owner answers for what
// the machine draws, also when a server is broken or hostile.

// refusesPicture tells whether a prompt combines minors and sexual content. Negative prompts name what must not be drawn, so their
// words do not count, except one that asks for no adults.
func refusesPicture(prompt, negative string) bool {
	p := normalise(prompt)
	if p.has(bothWords, bothParts) {
		return true
	}
	if !p.has(sexualWords, sexualParts) {
		return false
	}
	return p.minorAge || p.has(minorWords, minorParts) || normalise(negative).has(adultWords, nil)
}

// seen is a text in the forms in which its words are looked for.
type seen struct {
	words    map[string]bool // whole words, also pairs of neighbours as "little girl"
	run      string          // without blanks, for scripts that write none
	minorAge bool
}

func (s seen) has(words map[string]bool, parts []string) bool {
	for w := range s.words {
		if words[w] {
			return true
		}
	}
	for _, p := range parts {
		if strings.Contains(s.run, p) {
			return true
		}
	}
	return false
}

var age = regexp.MustCompile(`\b(\d{1,2})\s*[-_ ]?\s*(?:years?|yrs?|y/?o|yo|ans|anos|años|jahre|jährig\w*|лет|歳|岁|살)|\bage[ds]?\s*:?\s*(\d{1,2})\b`)

func normalise(text string) seen {
	text = strings.ToLower(norm.NFKC.String(cutText(text, 256<<10)))
	var s seen
	for _, m := range age.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[1] + m[2]); err == nil && n < 18 {
			s.minorAge = true
		}
	}
	s.words = map[string]bool{}
	// Digits are read as the letters that they imitate ("ch1ld") and as blanks ("kids3").
	for _, leet := range []bool{true, false} {
		s.read(text, leet)
	}
	return s
}

func (s *seen) read(text string, leet bool) {
	var b, run strings.Builder
	for _, r := range norm.NFD.String(text) {
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			continue // accents and invisible characters
		}
		if l, ok := lookalikes[r]; ok && (leet || unicode.IsLetter(r)) {
			r = l
		}
		if unicode.IsLetter(r) {
			b.WriteRune(r)
			run.WriteRune(r)
		} else {
			b.WriteByte(' ')
		}
	}
	s.run += norm.NFC.String(run.String()) + " "
	last := ""
	note := func(w string) {
		w = norm.NFC.String(w)
		latin := fromOtherScript.Replace(w)
		for _, form := range []string{w, latin, squeeze(latin, 1), squeeze(latin, 2)} {
			s.words[form] = true
			if last != "" {
				s.words[last+" "+form] = true
			}
		}
		last = w
	}
	var letters []rune // a spaced-out word: "a c h i l d"
	for _, w := range append(strings.Fields(b.String()), "") {
		if r := []rune(w); len(r) == 1 {
			letters = append(letters, r[0])
			continue
		}
		for i := range letters {
			for n := 3; n <= 14 && i+n <= len(letters); n++ {
				s.words[fromOtherScript.Replace(string(letters[i:i+n]))] = true
			}
		}
		letters = letters[:0]
		if w != "" {
			note(w)
		}
	}
}

// squeeze leaves n of 3 and more equal letters: "nuuude" is "nude", "teeen" is "teen".
func squeeze(s string, n int) string {
	letters := []rune(s)
	var b strings.Builder
	for i := 0; i < len(letters); {
		end := i + 1
		for end < len(letters) && letters[end] == letters[i] {
			end++
		}
		count := end - i
		if count > 2 {
			count = n
		}
		for range count {
			b.WriteRune(letters[i])
		}
		i = end
	}
	return b.String()
}

var lookalikes = map[rune]rune{
	'0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '8': 'b', '@': 'a', '$': 's', '!': 'i', '|': 'i', '€': 'e', 'ı': 'i', 'ø': 'o', 'ł': 'l',
}

// fromOtherScript reads Cyrillic and Greek letters that look like Latin ones; both readings of a word are looked up.
var fromOtherScript = strings.NewReplacer("а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "х", "x", "у", "y", "і", "i", "ѕ", "s", "ԁ", "d",
	"к", "k", "н", "h", "т", "t", "м", "m", "в", "b", "α", "a", "ε", "e", "ο", "o", "ι", "i", "ρ", "p", "ν", "v", "υ", "u", "κ", "k", "τ", "t")

func wordSet(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Split(s, ",") {
		m[normalWord(w)] = true
	}
	return m
}

// normalWord drops accents as normalise does, so that lists can be written as people write.
func normalWord(w string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(strings.TrimSpace(w))) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

func partList(s string) []string {
	var parts []string
	for _, w := range strings.Split(s, ",") {
		parts = append(parts, normalWord(w))
	}
	return parts
}

var (
	minorWords = wordSet("child,children,childlike,childish,kid,kids,kiddo,minor,minors,underage,underaged,toddler,toddlers,infant,infants,baby,babies,newborn," +
		"preteen,preteens,tween,teen,teens,teenage,teenager,teenagers,adolescent,adolescents,juvenile,prepubescent,pubescent,schoolgirl,schoolgirls," +
		"schoolboy,schoolboys,school girl,school boy,school girls,school boys,schoolchild,kindergarten,kindergartener,preschooler,loli,lolis,lolita,shota,shotas," +
		"little girl,little girls,little boy,little boys,young girl,young girls,young boy,young boys,small girl,small boy,tiny girl,daughter,daughters," +
		"niña,niñas,niño,niños,menor,menores,colegiala,enfant,enfants,fillette,fillettes,petite fille,mineure,mineures,écolière,kinder,mädchen,kleinkind,schulmädchen," +
		"minderjährig,minderjährige,menina,meninas,criança,crianças,bambina,bambine,bambino,bambini,minorenne,dziecko,dziewczynka,девочка,девочки,ребенок,дети," +
		"школьница,школьницы,малолетка,дитина,дівчинка,çocuk,anak kecil")
	minorParts  = partList("幼女,少女,儿童,兒童,小孩,女童,男童,小学生,小學生,中学生,未成年,萝莉,蘿莉,正太,ロリ,ショタ,子供,子ども,女児,幼児,園児,여아,아동,어린이,미성년,로리")
	sexualWords = wordSet("nude,nudes,nudity,nudist,naked,nsfw,sex,sexy,sexual,sexually,sexualized,sexualised,sensual,porn,porno,pornographic,pornography,hentai,ecchi,erotic," +
		"erotica,topless,bottomless,lingerie,underwear,panties,genital,genitals,genitalia,penis,vagina,pussy,dick,cock,nipple,nipples,breasts,boobs,tits,butt,ass," +
		"cum,cumshot,blowjob,handjob,masturbate,masturbating,masturbation,orgasm,fetish,bondage,bdsm,undressed,undressing,unclothed,clothesless,no clothes,without clothes," +
		"no clothing,seductive,xxx,lewd,aroused,horny,intercourse,fuck,fucked,fucking,rape,raped,upskirt,creampie,anal,stripper,stripping,see through,provocative," +
		"desnuda,desnudo,desnudas,sexo,nue,nues,nu,sexe,nackt,nackte,nacktes,erotisch,nuda,nudo,sesso,nua,pelada,naga,nago,голая,голый,голые,обнаженная,секс,порно,эротика," +
		"çıplak,telanjang")
	sexualParts = partList("裸,色情,性爱,性愛,性交,做爱,做愛,エロ,セックス,ヌード,全裸,下着,나체,알몸,섹스,야한")
	bothWords   = wordSet("lolicon,shotacon,childporn,child porn,kiddie porn,kid porn,csam,pedo,paedo,pedophile,paedophile,pedophilia,jailbait")
	bothParts   = partList("ロリコン,ショタコン,児童ポルノ,儿童色情,아동포르노")
	adultWords  = wordSet("adult,adults,grown up,grownup,mature,grown woman,grown man")
)

// holdsWord tells whether a text holds one of the owner's own blocked words.
func holdsWord(text string, words []string) bool {
	if len(words) == 0 {
		return false
	}
	s := normalise(text)
	for _, w := range words {
		if n := normalise(w); len(n.words) > 0 {
			w = normalWord(w)
			if s.words[w] || !isASCII(w) && strings.Contains(s.run, w) {
				return true
			}
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
