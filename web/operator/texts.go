package operator

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"

	"github.com/goccy/go-yaml"

	"potluck/web/reader"
)

//go:embed texts/*.yaml
var textFiles embed.FS

// texts holds what the page says, per language.
type texts map[string]words

// words is one language. JSON is what the page's script reads.
type words struct {
	Lang string
	T    map[string]string
	JSON template.JS
}

func readTexts() (texts, error) {
	all := texts{}
	for _, l := range reader.Languages() {
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
		all[l] = w
	}
	return all, nil
}
