package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"potluck/bot"
)

func TestCompletions(t *testing.T) {
	all := []bot.Command{
		{Name: "draw", Options: []bot.Option{
			{Name: "what", Kind: bot.String, Rest: true, Required: true, Max: 500},
			{Name: "count", Kind: bot.Integer, Min: 1, Max: 4},
			{Name: "style", Kind: bot.Choice, Choices: []string{"oil", "ink"}},
			{Name: "model", Kind: bot.String, Suggest: func(typed string) []string { return []string{typed + "!"} }},
		}},
		{Name: "worker", Subcommands: []bot.Command{{Name: "list"}, {Name: "name", Options: []bot.Option{
			{Name: "id", Kind: bot.Integer, Required: true, Suggest: func(string) []string { return []string{"3"} }}}}}},
	}
	say := func(key string, _ ...any) bot.Text { return bot.Plain(key) }
	want := []completion{
		{"draw", bot.Usage(all, "draw"), "command.draw", []completionOption{
			{Name: "what", Description: "command.draw.what", Kind: bot.String, Rest: true, Required: true},
			{Name: "count", Description: "command.draw.count", Kind: bot.Integer, Min: 1, Max: 4},
			{Name: "style", Description: "command.draw.style", Kind: bot.Choice, Choices: []string{"oil", "ink"}},
			{Name: "model", Description: "command.draw.model", Kind: bot.String, Suggests: true},
		}},
		{"worker list", bot.Usage(all, "worker", "list"), "command.worker.list", []completionOption{}},
		{"worker name", bot.Usage(all, "worker", "name"), "command.worker.name", []completionOption{
			{Name: "id", Description: "command.worker.name.id", Kind: bot.Integer, Required: true, Suggests: true}}},
	}
	if d := cmp.Diff(want, completions(all, say)); d != "" {
		t.Errorf("completions (-want +got):\n%s", d)
	}
	for _, c := range []struct {
		command, option, typed string
		want                   []string
	}{
		{"draw", "model", "fl", []string{"fl!"}}, {"worker name", "id", "", []string{"3"}},
		{"draw", "count", "", nil}, {"draw", "none", "", nil}, {"worker", "id", "", nil}, {"worker none", "id", "", nil}, {"", "", "", nil}, {"none", "x", "", nil},
	} {
		if got := suggest(all, c.command, c.option, c.typed); !slices.Equal(got, c.want) {
			t.Errorf("suggest(%q, %q, %q) = %q", c.command, c.option, c.typed, got)
		}
	}
}
