package imagegen

import (
	_ "embed"
	"slices"
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
	// Reads are the languages (BCP 47 base) of a model's text encoder, by canonical model; those of any other model stand under "".
	Reads map[string][]string `yaml:"reads"`
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

// Reads tells whether a model draws what is asked for in a language.
func Reads(model, language string) bool {
	reads, ok := table().Reads[model]
	if !ok {
		reads = table().Reads[""]
	}
	return slices.Contains(reads, language)
}

// budget is how many pixels one picture of a model has.
func budget(model string) int {
	if b, ok := table().Budgets[model]; ok {
		return b
	}
	return table().Budgets[""]
}
