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
