package bottest

import (
	"fmt"
	"slices"
	"strings"

	"potluck/bot"
)

// Catalogue renders a text as its key and arguments: "fault.too_long length=5 max=3 option=prompt". It speaks the languages listed,
// the first of them by default.
type Catalogue []string

func (c Catalogue) Say(language string) bot.Say {
	return func(key string, args ...any) bot.Text {
		var pairs []string
		for i := 0; i+1 < len(args); i += 2 {
			pairs = append(pairs, fmt.Sprintf(" %v=%v", args[i], args[i+1]))
		}
		slices.Sort(pairs)
		return bot.Plain(key + strings.Join(pairs, ""))
	}
}

func (c Catalogue) Match(preferred ...string) string {
	for _, p := range preferred {
		if slices.Contains(c, p) {
			return p
		}
	}
	if len(c) > 0 {
		return c[0]
	}
	return "en"
}
