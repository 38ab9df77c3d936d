package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the direction in which imports point (docs/design.md §2): a package (and what lies below it, unless it has its own line)
// may import the listed packages of ours. Edges know the core, the core knows no edge, features do not know each other.
var mayImport = map[string][]string{
	"fault":                   {},
	"nearest":                 {},
	"failpoint":               {},
	"faketime":                {},
	"hygiene":                 {},
	"promptgate":              {},
	"workers/protocol":        {},
	"community":               {"fault"},
	"ledger":                  {"community", "fault"},
	"bot":                     {"community", "fault", "nearest", "failpoint"},
	"bot/webchat":             {"bot", "community", "fault", "hygiene", "web/guard", "web/caller", "web/reader", "web/asset"},
	"bot/discord":             {"bot", "community", "fault"},
	"bot/fakeserver":          {},
	"bot/discord/fakediscord": {"bot/fakeserver"},
	"bot/telegram":            {"bot", "community", "fault"},
	"bot/telegram/fakebotapi": {"bot/fakeserver"},
	"bot/bottest":             {"bot", "community", "fault", "faketime"},
	"workers":                 {"ledger", "community", "workers/protocol", "fault", "failpoint", "web/caller"},
	"workers/faultproxy":      {},
	"workers/agent":           {"workers/protocol", "workers/agent/engine", "fault", "nearest", "promptgate", "failpoint"},
	"workers/agent/engine":    {"workers/protocol", "fault"},
	"ask":                     {"workers", "workers/protocol", "ledger", "community", "fault", "hygiene"},
	"imagegen":                {"workers", "workers/protocol", "ledger", "community", "fault", "promptgate"},
	"translate":               {"workers", "workers/protocol", "ledger", "community", "fault", "hygiene"},
	"translate/detect":        {},
	"commands":                {"bot", "ask", "imagegen", "translate", "workers", "workers/protocol", "ledger", "community", "fault", "nearest"},
	"web":                     {"ask", "imagegen", "translate", "workers", "ledger", "community", "fault"},
	"web/operator":            {"workers", "workers/protocol", "ledger", "community", "fault", "hygiene", "web/guard", "web/reader", "web/asset"},
	"web/guard":               {},
	"web/caller":              {},
	"web/asset":               {},
	"web/reader":              {},
	"storage": {
		"community", "ledger", "workers", "workers/protocol", "bot", "bot/webchat", "web/operator", "ask", "imagegen", "translate", "fault", "failpoint",
		"storage/migrations",
	},
	"storage/storagetest": {"storage", "ledger"},
	"storage/powercut":    {},
	"cmd/potluck-worker":  {"workers/agent", "nearest", "failpoint"},
}

// onlyImporter names the one package (and those below it) that may import a library: the rest of the house does not depend on its shape.
var onlyImporter = map[string]string{
	"github.com/bwmarrin/discordgo":     "bot/discord",
	"github.com/go-telegram/bot":        "bot/telegram",
	"github.com/mattn/go-sqlite3":       "storage",
	"github.com/pemistahl/lingua-go":    "translate/detect",
	"github.com/sashabaranov/go-openai": "workers/agent/engine",
}

// sources calls f for each Go file of the module below root with the package's folder ("" is main) and its imports.
func sources(t *testing.T, root string, f func(dir, file string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "data", "dist", "node_modules", "testdata"}, d.Name())) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, name)
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(rel))
		if dir == "." {
			dir = ""
		}
		f(dir, filepath.ToSlash(rel), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// breach says what is wrong with dir importing name; "" when nothing is. Tests may import more: the real parts that they are made with.
func breach(dir, file, name string) string {
	test := strings.HasSuffix(file, "_test.go")
	for library, owner := range onlyImporter {
		if (name == library || strings.HasPrefix(name, library+"/")) && dir != owner && !strings.HasPrefix(dir, owner+"/") && !test {
			return "only " + owner + " may import " + library
		}
	}
	if name == "testing/synctest" && dir != "faketime" { // on several processors it breaks the race detector
		return "fake clocks come from faketime"
	}
	ours, isOurs := strings.CutPrefix(name, "potluck/")
	if !isOurs || dir == "" {
		return ""
	}
	allowed, listed := mayImport[dir]
	if !listed {
		return "package " + dir + " is not in the import table: give it a line here and a sentence in docs/design.md"
	}
	if slices.Contains(allowed, ours) {
		return ""
	}
	if test && dir == "workers" && ours == "imagegen" { // the real gate for the pictures of hostile machines
		return ""
	}
	if test && (ours == dir || strings.HasPrefix(ours, dir+"/") || ours == "storage" || strings.HasPrefix(ours, "storage/") || ours == "bot/bottest" || ours == "faketime" || ours == "workers/protocol" || ours == "workers/agent/engine") {
		return ""
	}
	return dir + " must not import " + ours
}

func TestImportsPointInward(t *testing.T) {
	seen := 0
	sources(t, ".", func(dir, file string, imports []string) {
		seen++
		for _, name := range imports {
			if b := breach(dir, file, name); b != "" {
				t.Errorf("%s: %s", file, b)
			}
		}
	})
	if seen < 30 {
		t.Fatalf("read only %d files: the walk is broken", seen)
	}
}

// The table itself is tested, so that the check above can fail.
func TestImportTableRefuses(t *testing.T) {
	for _, bad := range [][3]string{
		{"ask", "ask/a.go", "potluck/translate"},
		{"bot", "bot/a.go", "potluck/workers"},
		{"workers", "workers/a.go", "potluck/storage"},
		{"ledger", "ledger/a.go", "potluck/workers"},
		{"web", "web/a.go", "potluck/bot"},
		{"commands", "commands/a.go", "potluck/bot/webchat"},
		{"workers/agent", "workers/agent/a.go", "potluck/workers"},
		{"", "main.go", "github.com/bwmarrin/discordgo"},
		{"workers", "workers/a.go", "github.com/mattn/go-sqlite3"},
		{"helpers", "helpers/a.go", "potluck/fault"},
		{"workers", "workers/a_test.go", "testing/synctest"},
		{"workers", "workers/a.go", "potluck/faketime"},
	} {
		if breach(bad[0], bad[1], bad[2]) == "" {
			t.Errorf("%s may import %s", bad[0], bad[2])
		}
	}
	for _, good := range [][3]string{
		{"commands", "commands/a.go", "potluck/ask"},
		{"workers", "workers/a_test.go", "potluck/storage/storagetest"},
		{"bot/discord", "bot/discord/a.go", "github.com/bwmarrin/discordgo"},
		{"", "main.go", "potluck/storage"},
	} {
		if b := breach(good[0], good[1], good[2]); b != "" {
			t.Error(b)
		}
	}
}
