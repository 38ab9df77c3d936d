package commands

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"potluck/bot"
)

//go:embed texts/*/*.yaml
var textFiles embed.FS

// Languages lists the languages of the catalogue; the first one stands in where nothing else fits.
func Languages() []string { return []string{"en", "es", "de", "ja"} }

// Catalogue holds every text that the bot says, per language.
type Catalogue struct {
	tags    []language.Tag
	matcher language.Matcher
	texts   map[string]map[string]template // language → key → template
}

// Texts returns the catalogue of the embedded files. It panics when one of them is damaged, which a test would have told.
var Texts = sync.OnceValue(func() *Catalogue {
	c := &Catalogue{texts: make(map[string]map[string]template)}
	for _, l := range Languages() {
		texts, err := readTexts(textFiles, "texts/"+l)
		if err != nil {
			panic(err)
		}
		c.texts[l] = texts
		c.tags = append(c.tags, language.MustParse(l))
	}
	c.matcher = language.NewMatcher(c.tags)
	return c
})

// readTexts reads every file of one language. A section may go on in another file, a key stands in one only.
func readTexts(files fs.FS, folder string) (map[string]template, error) {
	names, err := fs.Glob(files, folder+"/*.yaml")
	if err != nil {
		return nil, err
	}
	all := make(map[string]template)
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		texts, err := parseTexts(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for key, t := range texts {
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("%s: %s stands in another file, too", name, key)
			}
			all[key] = t
		}
	}
	return all, nil
}

// parseTexts reads one file: sections of keys, each key with its template; "section.key" is how it is asked for.
func parseTexts(b []byte) (map[string]template, error) {
	var sections map[string]map[string]string
	if err := yaml.UnmarshalWithOptions(b, &sections, yaml.DisallowUnknownField()); err != nil {
		return nil, err
	}
	texts := make(map[string]template)
	for section, keys := range sections {
		for key, s := range keys {
			t, err := parseTemplate(strings.TrimRight(s, "\n"))
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", section, key, err)
			}
			texts[section+"."+key] = t
		}
	}
	return texts, nil
}

// Match returns the language of the catalogue that fits the preferred BCP 47 tags best, in their order; empty and unreadable ones do not count.
func (c *Catalogue) Match(preferred ...string) string {
	for _, p := range preferred {
		// One at a time: a later tag must not win because it fits more exactly.
		tag, err := language.Parse(strings.ReplaceAll(p, "_", "-"))
		if err != nil {
			continue
		}
		if _, i, confidence := c.matcher.Match(tag); confidence != language.No {
			return Languages()[i]
		}
	}
	return Languages()[0]
}

// Say returns the function that renders texts in a language. A key without text is shown as itself, a place without a value as "…".
func (c *Catalogue) Say(lang string) bot.Say {
	lang = c.Match(lang)
	tag := c.tags[slices.Index(Languages(), lang)]
	printer := message.NewPrinter(tag)
	return func(key string, args ...any) bot.Text {
		t, ok := c.texts[lang][key]
		if !ok {
			if t, ok = c.texts[Languages()[0]][key]; !ok {
				return bot.Plain(key)
			}
		}
		values := make(map[string]any, len(args)/2)
		for i := 0; i+1 < len(args); i += 2 {
			values[fmt.Sprint(args[i])] = args[i+1]
		}
		r := rendering{catalogue: c, lang: lang, tag: tag, printer: printer, values: values, out: new(bot.Builder)}
		r.nodes(t.nodes, nil)
		return r.out.Text()
	}
}

// Keys lists every key of a language, sorted.
func (c *Catalogue) Keys(lang string) []string {
	var keys []string
	for k := range c.texts[lang] {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// joined puts texts behind one another with sep between; empty ones are left out.
func joined(sep string, texts ...bot.Text) bot.Text { return bot.Join(bot.Plain(sep), texts...) }

// small is the form of side remarks: what stands below an answer.
func small(t bot.Text) bot.Text { return t.In(bot.Small, "") }
