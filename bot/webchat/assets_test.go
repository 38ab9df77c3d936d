package webchat

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"potluck/web/reader"
)

// shape lists the keys of a text file with the kind of each value and the places in it. Plural forms differ between languages.
func shape(prefix string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if _, plural := v["other"]; plural {
			into[prefix] = "plural"
			return
		}
		for k, x := range v {
			shape(prefix+"."+k, x, into)
		}
	case []any:
		into[prefix] = "list"
	case string:
		places := regexp.MustCompile(`\{\w+\}`).FindAllString(v, -1)
		slices.Sort(places)
		into[prefix] = "text " + strings.Join(places, " ")
	}
}

func TestEveryLanguageHasEveryText(t *testing.T) {
	shapes := map[string]map[string]string{}
	for _, l := range reader.Languages() {
		words, err := readWords(l)
		if err != nil {
			t.Fatal(err)
		}
		shapes[l] = map[string]string{}
		shape("", words, shapes[l])
	}
	for _, l := range reader.Languages()[1:] {
		for k, v := range shapes["en"] {
			if shapes[l][k] != v {
				t.Errorf("%s: %s is %q, in English %q", l, k, shapes[l][k], v)
			}
		}
		if len(shapes[l]) != len(shapes["en"]) {
			t.Errorf("%s has %d texts, English %d", l, len(shapes[l]), len(shapes["en"]))
		}
	}
}

// "That is too long." told nobody how much fits.
func TestTooLongSaysWhatFits(t *testing.T) {
	want := strconv.Itoa(Limits{}.withDefaults().TextLength)
	for _, l := range reader.Languages() {
		words, err := readWords(l)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := words["error"].(map[string]any)["too_long"].(string)
		if digits := regexp.MustCompile(`\D`).ReplaceAllString(text, ""); digits != want {
			t.Errorf("%s: %s", l, text)
		}
	}
}

// What the scripts and the page ask for is there, and nothing else is kept.
func TestTextsAreUsed(t *testing.T) {
	words, err := readWords("en")
	if err != nil {
		t.Fatal(err)
	}
	files, err := embedded.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	asked := map[string]bool{}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		data, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
		for _, m := range regexp.MustCompile(`(?:\bsay|\blist|\bplural)\("(\w+)"|\.Words\.(\w+)`).FindAllSubmatch(data, -1) {
			asked[string(m[1])+string(m[2])] = true
		}
	}
	for key := range asked {
		if words[key] == nil {
			t.Errorf("the page asks for %q, which has no text", key)
		}
	}
	for key := range words {
		if key != "error" && !strings.Contains(all.String(), `"`+key+`"`) && !strings.Contains(all.String(), ".Words."+key) {
			t.Errorf("nobody asks for %q", key)
		}
	}
}

func TestThePageSpeaksTheReadersLanguage(t *testing.T) {
	a, err := loadAssets(`Anna's <b>"table"</b>`)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range reader.Languages() {
		html := string(a.pages[l].Plain())
		if !strings.Contains(html, `<html lang="`+l+`">`) || strings.Contains(html, "<b>\"table") {
			t.Errorf("%s: %.200s", l, html)
		}
		_, data, _ := strings.Cut(html, `type="application/json">`)
		data, _, _ = strings.Cut(data, "</script>")
		var words map[string]any
		if err := json.Unmarshal([]byte(data), &words); err != nil || words["send"] == "" {
			t.Errorf("%s: the page carries no words: %v", l, err)
		}
	}
}

// Who came too late with a link of potluck operator read that it lasts until the program stops; it lasts 10 minutes.
func TestAUsedLinkTellsHowLongLinksLast(t *testing.T) {
	for _, l := range reader.Languages() {
		words, err := readWords(l)
		if err != nil {
			t.Fatal(err)
		}
		if text := words["used_text"].(string); !strings.Contains(text, "10") || strings.Count(text, "potluck operator") != 2 {
			t.Errorf("%s: %q", l, text)
		}
	}
}

// A first visit loads everything once. The budget is for what goes over the wire.
func TestThePageIsSmall(t *testing.T) {
	a, err := loadAssets("Potluck")
	if err != nil {
		t.Fatal(err)
	}
	sum := len(a.pages["ja"].Zipped())
	for name, f := range a.files {
		t.Logf("%-16s %6d %6d", name, len(f.Plain()), len(f.Zipped()))
		sum += len(f.Zipped())
	}
	if t.Logf("together %d bytes", sum); sum > 60_000 {
		t.Errorf("the page is %d bytes", sum)
	}
}
