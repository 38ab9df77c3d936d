package promptgate

// vocabulary is what a rule looks for. Words are whole ones, stems begin a word, phrases are words in a row, parts stand anywhere (for scripts without
// blanks). People's spelling is right: accents are dropped when they are read.
type vocabulary struct {
	class               class
	words, stems, parts string
	phrases             []string
}

var vocabularies = []vocabulary{
	{
		class: minor,
		words: `child children childs childlike childish kid kids kiddo kiddie minor minors underage underaged toddler toddlers infant infants baby babies newborn preteen preteens
			tween tweens teen teens teenage teenager teenagers teeny schoolgirl schoolgirls schoolboy schoolboys schoolchild schoolchildren schoolkid lolita
			kindergartner kindergartener kindergarten preschooler juvenile adolescent adolescents prepubescent pubescent youngster daughter daughters stepdaughter
			niña niño niñas niños menor menores adolescente adolescentes bebe colegiala criança crianças menino menina meninos meninas kinder kleinkind minderjährig minderjährige
			minderjähriges mädchen schulmädchen jugendliche jugendlicher enfant enfants fillette fillettes gamine mineur mineure mineures écolière bambino bambina bambini bambine
			minorenne ragazzina dziecko dziewczynka ребенок дети девочка девочки мальчик школьница школьницы малолетка подросток несовершеннолетняя дитина дівчинка çocuk`,
		phrases: []string{"little girl", "little girls", "little boy", "little boys", "young girl", "young girls", "young boy", "young boys", "small girl", "small boy", "tiny girl",
			"under age", "under 18", "below 18", "school girl", "school girls", "school boy", "school boys", "elementary school", "primary school", "middle school", "junior high",
			"high school student", "high schooler", "year old girl", "year old boy", "petite fille", "petit garçon", "barely legal", "pre teen", "not yet adult", "anak kecil"},
		parts: `ロリ ショタ 幼女 少女 少年 子供 子ども こども 女児 男児 幼児 園児 児童 未成年 小学生 小學生 中学生 女子高生 儿童 兒童 小孩 幼童 女童 男童 萝莉 蘿莉 正太 어린이 여아 아동 미성년 로리 طفل طفلة`,
	},
	{
		class: maybeMinor,
		words: `girl girls boy boys 1girl 2girls 1boy 2boys pupil pupils kind student students young youthful youth petite chica chico muchacha muchacho junge fille garçon
			ragazza ragazzo menininha девушка`,
		phrases: []string{"school uniform", "flat chested", "just turned 18"},
	},
	{
		class: explicit,
		words: `nude nudes nudity nudist naked nsfw sex sexual sexually sexualized sexualised porn porno pornographic pornography hentai ecchi ahegao erotic erotica eroticism topless
			bottomless genital genitals genitalia penis vagina vulva nipple nipples areola orgasm intercourse lewd fetish xxx r18 rule34 unclothed clothesless undressed undressing
			disrobed bdsm bondage fellatio cunnilingus coitus pron prn blowjob handjob cumshot creampie fuck fucked fucking rape raped anal
			desnudo desnuda desnudos desnudas sexo nackt nackte nackter nacktes nacktheit erotisch nue nues sexe nudo nuda nudi sesso nua pelado pelada nago nagi goly gola
			секс голая голый голые обнаженная порно эротика çıplak telanjang`,
		stems: `masturbat pornogra ejaculat erotis copulat`,
		phrases: []string{"without clothes", "no clothes", "without clothing", "no clothing", "not wearing anything", "wearing nothing", "bare breasts", "bare breasted",
			"bare chested woman", "exposed breasts", "birthday suit", "sin ropa", "ohne kleidung", "ohne kleider", "sans vêtements", "senza vestiti", "sem roupa", "having sex",
			"make love", "making love", "18+", "explicit pose", "sexually explicit"},
		parts: `ヌード 裸 エロ 全裸 セックス ポルノ 色情 性交 性爱 性愛 做爱 做愛 누드 나체 알몸 섹스 야한 عاري عارية`,
	},
	{
		class: suggestive,
		words: `sexy seductive seductively sensual sensually lingerie provocative provocatively underwear panties thong arousing aroused suggestive suggestively sultry
			kinky horny fetishized voluptuous busty cleavage upskirt breasts boobs tits butt ass pussy dick cock cum stripper stripping sinnlich reizwäsche dessous sensuell sexi
			lencería seductora`,
		phrases: []string{"spread legs", "bedroom eyes", "see through", "wet shirt", "skimpy"},
		parts:   `セクシー 下着 パンツ 性感 내의 섹시`,
	},
	{
		class: realPerson,
		words: `celebrity celebrities actress actor politician president princess influencer youtuber streamer popstar deepfake deepfakes prominente schauspielerin promi
			celebridad actriz`,
		phrases: []string{"real person", "real people", "real woman", "real man", "my ex", "my girlfriend", "my boyfriend", "my wife", "my husband", "my classmate", "my teacher", "my coworker",
			"my colleague", "my boss", "my neighbor", "my neighbour", "my sister", "my mother", "my mom", "my friend", "my crush", "my cousin", "this person", "this woman", "prime minister",
			"pop star", "movie star", "meine freundin", "meine ex", "mi novia", "mi ex", "ma copine",
			"taylor swift", "emma watson", "scarlett johansson", "billie eilish", "ariana grande", "selena gomez", "kim kardashian", "donald trump", "barack obama", "joe biden",
			"kamala harris", "elon musk", "greta thunberg", "angela merkel", "vladimir putin", "natalie portman", "margot robbie", "jenna ortega", "millie bobby brown"},
		parts: `芸能人 女優 アイドル 有名人 名人 明星`,
	},
	{
		// It names one of the two things, or asks to undress somebody's picture.
		class: never,
		words: `lolicon shotacon nudify nudified nudifier deepnude childporn csam pedo paedo pedophile paedophile pedophilia jailbait`,
		phrases: []string{"undress her", "undress him", "undress this", "undress my", "remove her clothes", "remove his clothes", "remove the clothes", "take off her clothes",
			"strip her clothes", "child porn", "kiddie porn", "kid porn"},
		parts: `ロリコン ショタコン 児童ポルノ 儿童色情 아동포르노`,
	},
	{class: coded | minor | neverNow, words: `loli lolis lolies shota shotas lolii`},
	{
		class: minor,
		// Lolita is a way to dress as well.
		phrases: []string{"gothic lolita", "lolita dress", "lolita fashion"},
	},
	{class: leftOutClothes, words: `clothes clothing clothed clothe dressed dress shirt pants underwear bra bikini swimsuit censored censorship censor`},
	{class: leftOutAge, words: `old older aged milf`},
	{class: leftOutAge | leftOutAdult, words: `adult adults mature grown grownup`, phrases: []string{"grown up", "grown woman", "grown man"}},
	{
		class: styled,
		words: `art nouveau deco renaissance baroque style ancient greek roman greece rome new york oil painting marble statue venus milo botticelli museum
			naked mole sculpture south north west east africa america`,
	},
	{
		class: harmless,
		phrases: []string{"naked eye", "naked mole rat", "naked mole rats", "nude lipstick", "nude color", "nude colour", "nude tones", "nude heels", "minor key", "minor chord", "minor scale",
			"minor characters", "minor details", "ursa minor", "adult content", "baby blue", "kid gloves", "kind of", "asia minor", "billy the kid",
			"naked flame", "naked flames", "naked bulb", "naked bulbs", "naked light", "naked oak", "naked branch", "naked branches", "naked truth", "naked cake", "naked wall", "naked walls",
			"naked blade", "naked sword", "naked singularity", "nude shoes", "nude pumps", "nude nails", "nude makeup", "nude lips", "nude palette", "nude polish", "nude shade", "nude beige",
			"dress code", "not dressed for", "clothes line", "clothes peg", "clothes pegs", "baby carrots", "baby grand", "baby s breath", "kid goat", "minor league", "minor planet",
			"minor scratches", "minor third", "minor arcana", "shota rustaveli", "shota imanaga", "dekan der", "der dekan", "ein dekan", "x rays",
			"canis minor", "minor prophets", "elementary particle", "elementary particles", "sans serif", "comic sans", "nothing on the", "comic strip", "film strip",
			"à poil long", "à poil ras", "à poil court", "à poil dur", "oeil nu", "pieds nus", "pied nu", "tête nue", "mains nues", "piedi nudi", "piede nudo", "occhio nudo", "mani nude", "ojo desnudo",
			"pies desnudos", "manos desnudas", "olho nu", "pés nus", "gołym okiem", "голыми руками", "голые ветки", "голые деревья", "голая земля", "blote voeten", "blote handen", "blote oog", "blote hemel"},
	},
	{
		class: ageUnit,
		words: `year years yearold yearsold yr yrs yo yold jahre anos ans anni лет let lat`,
		stems: `jährig`,
	},
	{
		class: person,
		words: `woman man lady gentleman female male gal guy dude model person somebody someone lover wife husband bride redhead brunette blonde blond beauty waifu elf fairy mermaid witch vampire nymph goddess
			catgirl dancer stripper camgirl actress babe chick girlfriend boyfriend frau mann dame weib herr modell fräulein mensch freundin freund blondine elfe fee mujer hombre señora señor señorita dama modelo
			persona rubia morena elfa hada novia novio`,
	},
	{class: turns, words: `turned turn celebrating celebrates looks look looking looked appears appearing seems seeming wurde wurden aussieht aussehend sieht wirkt wirkend scheint cumplió cumplido parece pareciendo aparenta aparentando luce`},
	{class: notYet, words: `turning turns almost nearly becoming becomes became wird werde werden fast bald beinahe knapp cumple cumplirá cumpla cumplir cumpliendo casi apenas recién unter`},
	{
		class: minor,
		words: `u18 u17 u16 gymnasiast gymnasiasten`,
		stems: `gymnasiastin oberschul realschul hauptschul mittelschul gesamtschul`,
		phrases: []string{"sweet sixteen", "sweet seventeen", "sweet 16", "sweet 17", "dulces dieciséis", "dulces 16", "süße sechzehn", "süße siebzehn", "süße 16", "süße 17",
			"tenth birthday", "eleventh birthday", "twelfth birthday", "thirteenth birthday", "fourteenth birthday", "fifteenth birthday", "sixteenth birthday", "seventeenth birthday",
			"before her eighteenth birthday", "before his eighteenth birthday", "zwölfter geburtstag", "dreizehnter geburtstag", "vierzehnter geburtstag", "fünfzehnter geburtstag", "sechzehnter geburtstag",
			"siebzehnter geburtstag", "vor dem achtzehnten geburtstag", "fiesta de quince", "fiesta de quince años",
			"not yet an adult", "not quite an adult", "not quite adult", "isn t an adult", "isnt an adult", "almost an adult", "nearly an adult", "soon an adult", "yet to be an adult", "not legal yet", "not yet legal",
			"not of legal age", "not yet grown up", "noch nicht erwachsen", "nicht erwachsen", "noch keine erwachsene", "noch kein erwachsener", "keine erwachsene", "fast erwachsen", "nicht volljährig",
			"noch nicht volljährig", "no es adulta", "no es adulto", "aún no es adulta", "aún no adulta", "todavía no adulta", "todavía no es adulta", "no adulta", "casi adulta", "casi adulto",
			"no es mayor de edad", "no mayor de edad", "todavía no es mayor de edad", "estudiante de secundaria", "estudiante de instituto", "estudiante de primaria"},
		parts: `高校 成人前 大人になる前 成人していない 大人ではない 大人じゃない 成年前`,
	},
	{class: suggestive, words: `explicit explizit explizite explícito explícita`},
	{class: ageWord, words: `age aged ages edad alter grade klasse alder ålder edat età âge leeftijd wiek yaş umur usia возраст sub`},
}

// harmlessParts hold a part of the rules without its meaning: a clown, bare feet, the naked eye, a bare bulb.
const harmlessParts = `ピエロ 裸足 裸眼 裸電球`
