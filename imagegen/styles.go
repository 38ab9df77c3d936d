package imagegen

import (
	_ "embed"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed styles.yaml
var stylesFile []byte

type styleTable struct {
	Styles   []style           `yaml:"styles"`
	Negative string            `yaml:"negative"`
	Budgets  map[string]int    `yaml:"budgets"`
	Aspects  map[string]string `yaml:"aspects"`
}

type style struct {
	Name     string  `yaml:"name"`
	Prefix   string  `yaml:"prefix"`
	Suffix   string  `yaml:"suffix"`
	Negative string  `yaml:"negative"`
	Steps    int     `yaml:"steps"`
	CFG      float64 `yaml:"cfg"`
	Sampler  string  `yaml:"sampler"`
}

var table = sync.OnceValue(func() styleTable {
	var t styleTable
	if err := yaml.UnmarshalWithOptions(stylesFile, &t, yaml.Strict()); err != nil {
		panic(err) // the embedded file is wrong; a test loads it
	}
	return t
})

// Styles lists the names that Request.Style takes.
func Styles() []string {
	var names []string
	for _, s := range table().Styles {
		names = append(names, s.Name)
	}
	return names
}

func styleOf(name string) (style, bool) {
	if name == "" {
		name = "none"
	}
	for _, s := range table().Styles {
		if s.Name == name {
			return s, true
		}
	}
	return style{}, false
}

// budget is how many pixels one picture of a model has.
func budget(model string) int {
	if b, ok := table().Budgets[model]; ok {
		return b
	}
	return table().Budgets[""]
}
