package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"potluck/bot"
	"potluck/community"
	"potluck/workers"
	"potluck/workers/protocol"
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
	all = append(all, bot.Command{Name: "admin", Needs: community.Admin, Subcommands: []bot.Command{{Name: "news"}, {Name: "set", Needs: community.Operator},
		{Name: "delegate", OfRoles: true}}}) // the page has no roles
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
	if d := cmp.Diff(want, completions(all, community.Everyone, say)); d != "" {
		t.Errorf("completions (-want +got):\n%s", d)
	}
	// The page offered "/admin" to everybody.
	for role, more := range map[community.Role]int{community.Everyone: 0, community.Admin: 1, community.Operator: 2} {
		if got := len(completions(all, role, say)); got != len(want)+more {
			t.Errorf("role %v completes %d commands", role, got)
		}
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

// The welcome of the page once proposed a translation that nobody in the pool could make.
func TestDirections(t *testing.T) {
	pairs := []workers.PairView{
		{From: "spa", To: "eng", Quality: protocol.Postable}, {From: "es", To: "ca", Quality: protocol.Postable}, {From: "x!", To: "de", Quality: protocol.Postable},
		{From: "de", To: "ja", Quality: protocol.Demo},
	}
	if d := cmp.Diff(map[string][]string{"es": {"en"}}, directions(pairs, protocol.Postable)); d != "" {
		t.Errorf("directions (-want +got):\n%s", d)
	}
	all := directions([]workers.PairView{{From: "*", To: "*", Quality: protocol.Demo}}, protocol.Demo)
	if len(all) != 4 || len(all["ja"]) != 3 {
		t.Errorf("of a model that reads everything: %v", all)
	}
}
