package detect

import (
	"strings"
	"sync"
	"testing"
)

// samples are chat lines as people write them: 3 or more per language.
var samples = map[string][]string{
	"en": {"does anyone know how to fix this error?", "I'll be home in about twenty minutes", "what time does the meeting start tomorrow", "You should have told me earlier", "let us ask José about the plan for tomorrow"},
	"es": {"no me gusta nada lo que has dicho", "¿alguien sabe a qué hora empieza?", "mañana tengo que trabajar todo el día", "muchas gracias por la ayuda", "El gremio se reúne mañana en la plaza"},
	"fr": {"quelqu'un sait comment corriger cette erreur ?", "je ne comprends pas ce que tu veux dire", "on se retrouve demain matin", "merci beaucoup pour votre aide"},
	"de": {"weiß jemand, wie man diesen Fehler behebt?", "ich komme heute etwas später nach Hause", "das habe ich nicht verstanden", "wann fängt das Treffen morgen an"},
	"it": {"qualcuno sa come risolvere questo errore?", "non ho capito quello che vuoi dire", "ci vediamo domani mattina davanti alla stazione"},
	"pt": {"alguém sabe como corrigir este erro?", "não entendi o que você quis dizer", "amanhã vou trabalhar o dia inteiro"},
	"nl": {"weet iemand hoe je deze fout oplost?", "ik begrijp niet wat je bedoelt", "morgen moet ik de hele dag werken"},
	"pl": {"czy ktoś wie, jak naprawić ten błąd?", "nie rozumiem, co masz na myśli", "jutro muszę pracować cały dzień"},
	"ru": {"кто-нибудь знает, как исправить эту ошибку?", "я не понимаю, что ты имеешь в виду", "завтра буду работать весь день"},
	"uk": {"хтось знає, як виправити цю помилку?", "я не розумію, що ти маєш на увазі", "завтра буду працювати цілий день"},
	"tr": {"bu hatayı nasıl düzelteceğimi bilen var mı?", "ne demek istediğini anlamadım", "yarın bütün gün çalışmam gerekiyor"},
	"ar": {"هل يعرف أحد كيف أصلح هذا الخطأ؟", "لا أفهم ما تقصده", "غدا سأعمل طوال اليوم"},
	"zh": {"有人知道怎么修复这个错误吗", "我不明白你的意思", "明天我要工作一整天"},
	"ja": {"このエラーの直し方を知っている人いますか", "何を言っているのか分かりません", "ありがとう", "明日は一日中仕事です"},
	"ko": {"이 오류를 어떻게 고치는지 아는 사람 있나요?", "무슨 말인지 모르겠어요", "감사합니다", "내일은 하루 종일 일해야 해요"},
	"ca": {"algú sap com corregir aquest error?", "no m'agrada gens el que has dit", "demà he de treballar tot el dia"},
	"sv": {"vet någon hur man fixar det här felet?", "jag förstår inte vad du menar", "imorgon måste jag jobba hela dagen"},
	"fi": {"tietääkö kukaan miten tämä virhe korjataan?", "en ymmärrä mitä tarkoitat", "huomenna minun täytyy työskennellä koko päivän"},
	"cs": {"ví někdo, jak opravit tuhle chybu?", "nerozumím tomu, co tím myslíš", "zítra musím celý den pracovat"},
	"el": {"ξέρει κανείς πώς να διορθώσω αυτό το σφάλμα;", "δεν καταλαβαίνω τι εννοείς", "ευχαριστώ πολύ"},
	"id": {"ada yang tahu cara memperbaiki kesalahan ini?", "saya tidak mengerti maksud kamu", "besok saya harus bekerja sepanjang hari"},
	"vi": {"có ai biết cách sửa lỗi này không?", "tôi không hiểu ý bạn là gì", "ngày mai tôi phải làm việc cả ngày"},
	"he": {"מישהו יודע איך לתקן את השגיאה הזאת?", "אני לא מבין למה אתה מתכוון", "תודה רבה"},
	"hi": {"क्या किसी को पता है कि यह त्रुटि कैसे ठीक करें?", "मुझे समझ नहीं आया", "बहुत धन्यवाद"},
}

// negatives say nothing, or nothing sure, about a language.
var negatives = []string{
	"ok", "ok, fine", "lol", "Hi", "gg wp", "hahahaha", "jajaja", "kkkkk", "wwww", "xD", "12345", "404", "😀😀👍", "https://example.org/some/english/words",
	"<@1234567890>", "@everyone", "#general", ":pog:", "`git push origin main`", "```\nthe quick brown fox jumps\n```", "x = foo(bar[1]);", "if (a && b) { return c; }",
	"rita@example.org", "brb", "", "   ", "???", "%s {{name}}", "+1", "nice bro",
}

func TestDetect(t *testing.T) {
	d := New()
	lines, right, decided := 0, 0, 0
	for want, texts := range samples {
		for _, text := range texts {
			lines++
			got, margin, ok := d.Detect(text)
			if !ok || margin < 0.5 {
				t.Logf("unsure: %q is %s (%.2f), want %s", text, got, margin, want)
				continue
			}
			decided++
			if got == want {
				right++
			} else {
				t.Logf("wrong: %q is %s (%.2f), want %s", text, got, margin, want)
			}
		}
	}
	t.Logf("%d of %d lines decided, %d right", decided, lines, right)
	if right*100 < 97*decided || decided*100 < 80*lines {
		t.Errorf("%d of %d lines decided, %d right", decided, lines, right)
	}
	for _, text := range negatives {
		if got, margin, ok := d.Detect(text); ok && margin >= 0.5 {
			t.Errorf("%q is said to be %s (%.2f)", text, got, margin)
		}
	}
}

func TestDetectIsDeterministic(t *testing.T) {
	texts := []string{"You are a noob", "ok, fine", "ich hab das update installed", "Minecraft server lag"}
	type answer struct {
		language string
		margin   float64
		ok       bool
	}
	ask := func(d *Detector, text string) answer {
		l, m, ok := d.Detect(text)
		return answer{l, m, ok}
	}
	shared := New()
	for _, text := range texts {
		want := ask(New(), text)
		if want.ok && want.margin >= 0.5 && want.language != "en" && want.language != "de" {
			t.Errorf("%q is said to be %+v", text, want)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := ask(shared, text); got != want {
					t.Errorf("%q: %+v, then %+v", text, want, got)
				}
			})
		}
		wg.Wait()
	}
}

func TestDetectOfHostileText(t *testing.T) {
	d := New()
	for _, text := range []string{"\xff\xfe", strings.Repeat("字", 100_000), strings.Repeat("a b ", 100_000), strings.Repeat("`", 10_000), "\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		d.Detect(text)
	}
}

func TestKnows(t *testing.T) {
	d := New()
	if !d.Knows("en") || !d.Knows("nb") || d.Knows("oc") || d.Knows("") {
		t.Error("the set of languages is not what Detect returns")
	}
}

func BenchmarkDetect(b *testing.B) {
	d := New()
	d.Detect("warm up with a whole sentence")
	for b.Loop() {
		d.Detect("weiß jemand, wie man diesen Fehler behebt?")
	}
}
