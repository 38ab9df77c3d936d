package operator

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/language"
)

//go:embed texts/*.yaml
var textFiles embed.FS

// Languages lists the languages of the page; the first one stands in where nothing else fits.
func Languages() []string { return []string{"en", "es", "de", "ja"} }

// texts holds what the page says, per language.
type texts struct {
	matcher language.Matcher
	all     map[string]words
}

// words is one language. JSON is what the page's script reads.
type words struct {
	Lang string
	T    map[string]string
	JSON template.JS
}

func readTexts() (*texts, error) {
	t := &texts{all: map[string]words{}}
	var tags []language.Tag
	for _, l := range Languages() {
		b, err := textFiles.ReadFile("texts/" + l + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		w := words{Lang: l}
		if err := yaml.Unmarshal(b, &w.T); err != nil {
			return nil, fmt.Errorf("texts/%s.yaml: %w", l, err)
		}
		script, err := json.Marshal(w.T) // escapes <, > and &
		if err != nil {
			return nil, fmt.Errorf("texts/%s.yaml: %w", l, err)
		}
		w.JSON = template.JS(script)
		t.all[l] = w
		tags = append(tags, language.MustParse(l))
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// match finds the language for a browser's Accept-Language.
func (t *texts) match(accepted string) words {
	if len(accepted) <= 200 {
		tags, _, err := language.ParseAcceptLanguage(accepted)
		if err == nil && len(tags) > 0 {
			if _, i, confidence := t.matcher.Match(tags...); confidence != language.No {
				return t.all[Languages()[i]]
			}
		}
	}
	return t.all[Languages()[0]]
}
