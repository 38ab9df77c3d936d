package engine

import (
	"slices"
	"strings"

	"potluck/workers/protocol"
)

// apertiumQuality: only between close relatives is the result good enough to be posted without being asked for.
func apertiumQuality(from, to string) protocol.Quality {
	relatives := [][2]string{{"es", "ca"}, {"fr", "ca"}, {"pt", "ca"}, {"es", "pt"}, {"fr", "oc"}, {"nn", "nb"}, {"sv", "da"}}
	if slices.Contains(relatives, [2]string{from, to}) || slices.Contains(relatives, [2]string{to, from}) {
		return protocol.Postable
	}
	return protocol.Rough
}

// baseLanguage brings a code of ISO 639-3 or BCP 47 to the BCP 47 base language; a language without a two-letter code keeps three.
func baseLanguage(code string) string {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(code, "_", "-")), "-")
	if short, ok := twoLetters[base]; ok {
		return short
	}
	return base
}

var twoLetters = map[string]string{
	"afr": "af", "ara": "ar", "arg": "an", "asm": "as", "ava": "av", "aze": "az", "bak": "ba", "bel": "be", "ben": "bn", "bos": "bs", "bre": "br",
	"bul": "bg", "cat": "ca", "ces": "cs", "chv": "cv", "cor": "kw", "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "epo": "eo",
	"est": "et", "eus": "eu", "fao": "fo", "fas": "fa", "fin": "fi", "fra": "fr", "gla": "gd", "gle": "ga", "glg": "gl", "glv": "gv", "grn": "gn",
	"guj": "gu", "hat": "ht", "hau": "ha", "hbs": "sh", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy", "ibo": "ig", "ina": "ia",
	"ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kal": "kl", "kan": "kn", "kat": "ka", "kaz": "kk", "kir": "ky", "kor": "ko", "lat": "la",
	"lav": "lv", "lit": "lt", "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mon": "mn", "msa": "ms", "nep": "ne", "nld": "nl", "nno": "nn",
	"nob": "nb", "oci": "oc", "ori": "or", "oss": "os", "pan": "pa", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "san": "sa", "slk": "sk",
	"slv": "sl", "sme": "se", "sna": "sn", "spa": "es", "sqi": "sq", "srd": "sc", "srp": "sr", "swa": "sw", "swe": "sv", "tam": "ta", "tat": "tt",
	"tel": "te", "tgk": "tg", "tgl": "tl", "tuk": "tk", "tur": "tr", "uig": "ug", "ukr": "uk", "urd": "ur", "uzb": "uz", "vie": "vi", "xho": "xh",
	"zho": "zh", "zul": "zu",
}

var testSentence = map[string]string{
	"en": "The house is big.", "es": "La casa es grande.", "ca": "La casa és gran.", "fr": "La maison est grande.", "pt": "A casa é grande.",
	"it": "La casa è grande.", "oc": "L'ostal es grand.", "ro": "Casa este mare.", "gl": "A casa é grande.", "nb": "Huset er stort.",
	"nn": "Huset er stort.", "sv": "Huset är stort.", "da": "Huset er stort.", "ru": "Дом большой.", "uk": "Будинок великий.",
	"be": "Дом вялікі.", "pl": "Dom jest duży.", "eo": "La domo estas granda.", "sh": "Kuća je velika.", "mk": "Куќата е голема.",
	"bg": "Къщата е голяма.", "eu": "Etxea handia da.", "an": "A casa ye gran.", "sc": "Sa domo est manna.",
}
