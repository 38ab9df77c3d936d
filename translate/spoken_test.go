package translate_test

import (
	"testing"

	"potluck/translate"
	"potluck/translate/detect"
)

func TestForeignWishes(t *testing.T) {
	s := translate.New(translate.Config{Detector: detect.New()})
	for _, c := range []struct{ text, reader, want string }{
		{"a fox", "de", ""}, {"cat", "es", ""}, {"a lighthouse in a storm", "es", ""}, {"", "de", ""}, {"123 👍", "ja", ""},
		{"anime girl, katana, 4k, trending on artstation", "de", ""}, {"masterpiece, best quality, 1girl, solo, kimono, sakura", "de", ""}, {"mona lisa smiling", "id", ""},
		{"portrait of Frida Kahlo", "es", ""}, {"Renaissance", "en", ""}, {"la la land poster", "en", ""}, {"El Capitan at sunrise", "en", ""}, {"van gogh style sunflower field", "en", ""},
		{"paella on a table", "es", ""}, {"château de Chambord in fog", "en", ""}, {"two women drinking coffee in Paris", "de", ""}, {"die hard movie poster", "de", ""}, {"a piñata", "es", ""},
		{"macro photo of a bee", "en", ""}, {"logo minimal vector", "en", ""}, {"kawaii neko", "ja", ""}, {"big red tractor", "en", ""}, {"sushi ramen tempura", "ja", ""},
		{"ein roter Fuchs im Schnee", "en", "de"}, {"ein Leuchtturm im Sturm", "de", "de"}, {"Katze auf dem Dach", "en", "de"}, {"ein Fuchs", "de", "de"},
		{"un faro en la tormenta", "es", "es"}, {"un faro en la tormenta", "en", "es"}, {"un zorro rojo", "es", "es"}, {"un gato negro con sombrero", "en", "es"},
		{"una casa roja junto al mar al atardecer", "en", "es"}, {"un renard dans la neige", "en", "fr"}, {"tre gatti sul tetto", "en", "it"}, {"um farol na tempestade", "en", "pt"},
		{"嵐の中の灯台", "en", "ja"}, {"キツネ", "en", "ja"}, {"狐", "ja", "ja"}, {"狐", "en", "zh"}, {"暴风雨中的灯塔", "en", "zh"}, {"等4k", "zh", "zh"}, {"폭풍 속의 등대", "en", "ko"},
		{"лиса в снегу", "en", "ru"}, {"маяк", "en", "ru"}, {"маяк", "uk", "uk"}, {"منارة في العاصفة", "en", "ar"}, {"アニメ風 4k masterpiece, best quality, highres", "ja", ""},
	} {
		got, ok := s.Foreign(c.text, c.reader)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q for a reader of %s: %q %v, want %q", c.text, c.reader, got, ok, c.want)
		}
	}
	if got, ok := (&translate.Service{}).Foreign("ein Fuchs im Schnee", "en"); got != "de" || !ok {
		t.Errorf("without a detector: %q %v", got, ok)
	}
}

func TestLanguageOfShortQuestions(t *testing.T) {
	s := translate.New(translate.Config{Detector: detect.New()})
	for _, c := range []struct{ text, reader, want string }{
		{"why is the sky blue?", "de", "en"}, {"write a haiku about soup", "en", "en"}, {"tell me a joke", "es", "en"}, {"what is tempura", "ja", "en"}, {"how do magnets work", "en", "en"},
		{"pros and cons of TypeScript", "de", "en"}, {"what does c'est la vie mean", "fr", "en"}, {"fix: panic: runtime error: index out of range", "de", ""}, {"dat was in Amsterdam", "nl", ""}, {"meaning of carpe diem", "en", "en"},
		{"haiku soup", "de", ""}, {"Explain quantum tunneling", "en", "en"}, {"vim vs emacs", "es", ""}, {"regex email", "en", ""}, {"recipe paella valenciana", "en", ""}, {"Mozart vs Salieri", "it", ""}, {"2+2?", "de", ""},
		{"wie spät ist es in Tokio?", "en", "de"}, {"was ist ein Lagrange-Punkt?", "en", "de"}, {"erklär mir Git", "en", "de"}, {"und im Winter?", "en", "de"}, {"Rezept für Apfelkuchen", "de", "de"},
		{"¿qué hora es?", "en", "es"}, {"cuéntame un chiste", "en", "es"}, {"¿por qué el cielo es azul?", "en", "es"}, {"y en invierno?", "en", "es"}, {"capital de Mongolia", "es", "es"},
		{"pourquoi le ciel est bleu", "en", "fr"}, {"c'est quoi un trou noir", "en", "fr"}, {"perché il cielo è blu", "en", "it"}, {"por que o céu é azul?", "en", "pt"}, {"hvorfor er himlen blå", "da", "da"},
		{"空はなぜ青い", "en", "ja"}, {"なぜ", "en", "ja"}, {"什么是黑洞", "en", "zh"}, {"почему небо голубое?", "en", "ru"}, {"`SELECT * FROM a` ??", "de", ""},
	} {
		got, ok := s.Language(c.text, c.reader)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q for a reader of %s: %q %v, want %q", c.text, c.reader, got, ok, c.want)
		}
	}
	answer := "Rayleigh scattering makes blue light bounce around more than red light does, which is why the sky looks blue to us in the daytime."
	if got, ok := s.Language(answer, "de"); got != "en" || !ok {
		t.Errorf("an answer: %q %v", got, ok)
	}
}
