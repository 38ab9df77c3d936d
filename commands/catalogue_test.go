package commands

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"potluck/bot"
	"potluck/fault"
	"potluck/ledger"
)

// places lists the places of a template, with the formats that decide what kind of value they take.
func places(nodes []node, into map[string]bool) map[string]bool {
	for _, n := range nodes {
		if n.place != "" {
			into[n.place] = true
		}
		places(n.inner, into)
		for _, b := range n.cases {
			places(b.nodes, into)
		}
	}
	return into
}

// literals are all strings in the sources that may name keys.
func literals(t *testing.T) map[string]bool {
	all := make(map[string]bool)
	for _, pattern := range []string{"*.go", "../bot/*.go", "../bot/discord/*.go", "../bot/telegram/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if s, err := strconv.Unquote(l.Value); err == nil {
						all[s] = true
					}
				}
				return true
			})
		}
	}
	return all
}

// commandKeys are the keys of a tree of commands: descriptions, options and examples.
func commandKeys(prefix string, commands []bot.Command) (keys []string) {
	for _, c := range commands {
		path := prefix + c.Name
		keys = append(keys, "command."+path)
		for _, o := range c.Options {
			keys = append(keys, "command."+path+"."+o.Name, "option."+path+"."+o.Name)
		}
		if len(c.Subcommands) == 0 {
			keys = append(keys, "example."+path)
		}
		keys = append(keys, commandKeys(path+".", c.Subcommands)...)
	}
	return keys
}

func TestEveryLanguageHasEveryTextAndNoOther(t *testing.T) {
	c := Texts()
	wanted := make(map[string]bool)
	for _, code := range fault.Codes() {
		wanted["fault."+string(code)] = true
	}
	for _, k := range commandKeys("", All(House{})) {
		wanted[k] = true
	}
	sections := make(map[string]bool)
	for _, k := range c.Keys("en") {
		section, _, _ := strings.Cut(k, ".")
		sections[section] = true
	}
	for s := range literals(t) {
		section, rest, ok := strings.Cut(s, ".")
		if ok && rest != "" && sections[section] && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_.") == "" {
			wanted[s] = true
		}
	}
	for _, l := range Languages() {
		have := c.Keys(l)
		for _, k := range slices.Sorted(maps.Keys(wanted)) {
			if !slices.Contains(have, k) {
				t.Errorf("%s: %s is missing", l, k)
			}
		}
		for _, k := range have {
			if !wanted[k] {
				t.Errorf("%s: nobody uses %s", l, k)
			}
		}
	}
}

func TestPlacesAreTheSameInEveryLanguage(t *testing.T) {
	c := Texts()
	for _, k := range c.Keys("en") {
		want := slices.Sorted(maps.Keys(places(c.texts["en"][k].nodes, map[string]bool{})))
		for _, l := range Languages()[1:] {
			got := slices.Sorted(maps.Keys(places(c.texts[l][k].nodes, map[string]bool{})))
			if !slices.Equal(got, want) {
				t.Errorf("%s in %s has places %v, in English %v", k, l, got, want)
			}
		}
	}
}

func TestDescriptionsAndLabelsFitThePlatforms(t *testing.T) {
	for _, l := range Languages() {
		say := Texts().Say(l)
		for _, k := range Texts().Keys(l) {
			limit := 0
			switch section, _, _ := strings.Cut(k, "."); section {
			case "command":
				limit = 100 // Discord
			case "button":
				limit = 40 // more is cut on phones
			}
			if n := utf8.RuneCountInString(say(k).Plain); limit > 0 && (n > limit || n == 0) {
				t.Errorf("%s: %s has %d characters, at most %d are possible", l, k, n, limit)
			}
		}
	}
}

// Each use of a text in the sources gives it a value for each of its places.
func TestEveryPlaceGetsAValue(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || call.Ellipsis != token.NoPos {
				return true
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				ok = f.Name == "say"
			case *ast.SelectorExpr:
				ok = f.Sel.Name == "Say" || f.Sel.Name == "say"
			default:
				ok = false
			}
			lit, isLit := call.Args[0].(*ast.BasicLit)
			if !ok || !isLit {
				return true
			}
			key, _ := strconv.Unquote(lit.Value)
			given := make(map[string]bool)
			for i := 1; i < len(call.Args); i += 2 {
				if l, ok := call.Args[i].(*ast.BasicLit); ok {
					name, _ := strconv.Unquote(l.Value)
					given[name] = true
				}
			}
			template, known := Texts().texts["en"][key]
			if !known {
				return true // "command." + name, or a language
			}
			seen++
			if want := places(template.nodes, map[string]bool{}); !maps.Equal(given, want) {
				t.Errorf("%s: %s is given %v and has places %v", fset.Position(call.Pos()), key, given, want)
			}
			return true
		})
	}
	if seen < 30 {
		t.Errorf("only %d uses found: does the search still work?", seen)
	}
}

func TestTemplate(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lang, template string
		args           []any
		want           string
	}{
		{"en", "{n, plural, =0 {none} one {# job} other {# jobs}}", []any{"n", 0}, "none"},
		{"en", "{n, plural, one {# job} other {# jobs}}", []any{"n", 1}, "1 job"},
		{"de", "{n, plural, one {# Auftrag} other {# Aufträge}}", []any{"n", 1234}, "1.234 Aufträge"},
		{"en", "{n, plural, one {# job} other {# jobs}}", []any{"n", "3"}, "3 jobs"},
		{"en", "{n, ordinal, one {#st} two {#nd} few {#rd} other {#th}}", []any{"n", 22}, "22nd"},
		{"en", "{n, ordinal, one {#st} two {#nd} few {#rd} other {#th}}", []any{"n", 11}, "11th"},
		{"en", "{x, select, none {nothing} a {A{y}} other {{x}}}", []any{"x", ""}, "nothing"},
		{"en", "{x, select, none {nothing} a {A{y}} other {{x}}}", []any{"x", "a", "y", "!"}, "A!"},
		{"en", "{x, select, none {nothing} a {A{y}} other {{x}}}", []any{"x", "other one"}, "other one"},
		{"en", "{x, select, none {nothing} other {x}}", nil, "nothing"},
		{"en", "{x} and {y}", []any{"x", 1}, "1 and …"},
		{"es", "{c, credits}", []any{"c", ledger.Amount(12345)}, "12,345"},
		{"en", "{c, credits}", []any{"c", ledger.Amount(1234500)}, "1,234.5"},
		{"en", "{c, credits}", []any{"c", "12.5"}, "12.5"},
		{"en", "{c, plural, one {# credit} other {# credits}}", []any{"c", ledger.Amount(1000)}, "1 credit"},
		{"en", "{c, plural, one {# credit} other {# credits}}", []any{"c", ledger.Amount(1250)}, "1.25 credits"},
		{"en", "{c, plural, one {# credit} other {# credits}}", []any{"c", "0.5"}, "0.5 credits"},
		{"en", "{c, plural, one {# credit} other {# credits}}", []any{"c", "1"}, "1 credit"},
		{"de", "{c, plural, one {# Credit} other {# Credits}}", []any{"c", ledger.Amount(1500)}, "1,5 Credits"},
		{"es", "{c, plural, one {# crédito} other {# créditos}}", []any{"c", ledger.Amount(1000)}, "1 crédito"},
		{"es", "{c, plural, one {# crédito} other {# créditos}}", []any{"c", ledger.Amount(1234500)}, "1.234,5 créditos"},
		{"ja", "{c, plural, other {# クレジット}}", []any{"c", ledger.Amount(1500)}, "1.5 クレジット"},
		{"de", "{f, percent}", []any{"f", 0.6}, "60\u00a0%"},
		{"en", "{f, percent}", []any{"f", 7.0}, "100%"},
		{"en", "{d, duration}", []any{"d", 300 * time.Millisecond}, "1 s"},
		{"en", "{d, duration}", []any{"d", "1m29s"}, "89 s"},
		{"en", "{d, duration}", []any{"d", 10 * time.Minute}, "10 min"},
		{"ja", "{d, duration}", []any{"d", 5 * time.Hour}, "5 時間"},
		{"en", "{d, duration}", []any{"d", 49 * time.Hour}, "2 days"},
		{"en", "{t, clock}", []any{"t", at}, "00:00 UTC"},
		{"en", "{t, clock}", []any{"t", "2026-11-23T00:00:00Z"}, "00:00 UTC"},
		{"en", "{t, date}", []any{"t", at}, "2026-11-23 00:00 UTC"},
		{"es", "{l, language}", []any{"l", "ja"}, "japonés"},
		{"en", "{l, languages}", []any{"l", "ca, es"}, "Catalan, Spanish"},
		{"en", "{l, list}", []any{"l", []string{"a", "b"}}, "a, b"},
		{"en", "/{c, bare}", []any{"c", "/ask"}, "/ask"},
		{"en", "{x}", []any{"x", "**{y}** `z` # \u202eevil\u0007\nline"}, "**{y}** `z` # evil line"},
		{"en", "{x}", []any{"x", strings.Repeat("é", 5000)}, strings.Repeat("é", 399) + "…"},
	} {
		parsed, err := parseTemplate(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		cat := *Texts()
		cat.texts = map[string]map[string]template{c.lang: maps.Clone(Texts().texts[c.lang])}
		cat.texts[c.lang]["x"] = parsed
		if got := cat.Say(c.lang)("x", c.args...).Plain; got != c.want {
			t.Errorf("%s in %s with %v: %q, want %q", c.template, c.lang, c.args, got, c.want)
		}
	}
}

func TestTemplateMarks(t *testing.T) {
	parsed, err := parseTemplate("a **b `{x}` {y}** {at, clock}")
	if err != nil {
		t.Fatal(err)
	}
	cat := *Texts()
	cat.texts = map[string]map[string]template{"en": {"x": parsed}}
	got := cat.Say("en")("x", "x", "**no**", "y", bot.Plain("L").In(bot.Link, "https://a.example"), "at", time.Unix(0, 0))
	want := bot.Text{Plain: "a b **no** L 00:00 UTC", Spans: []bot.Span{
		{Start: 2, End: 12, Kind: bot.Bold}, {Start: 4, End: 10, Kind: bot.Code},
		{Start: 11, End: 12, Kind: bot.Link, Value: "https://a.example"}, {Start: 13, End: 22, Kind: bot.Timestamp, Value: "0"},
	}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTemplateRefusesWhatIsNotWhole(t *testing.T) {
	for _, s := range []string{"{", "{x", "}", "**a", "`a", "{x, }", "{x, colour}", "{x, plural}", "{x, number, one {}}", "{x, select, a {b}}", "{x, select, other {", "{X}", "{}"} {
		if _, err := parseTemplate(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		preferred []string
		want      string
	}{
		{nil, "en"}, {[]string{"", "es-419"}, "es"}, {[]string{"de_AT"}, "de"}, {[]string{"ja-JP", "en"}, "ja"}, {[]string{"xx", "de"}, "de"},
		{[]string{"!!", "ja"}, "ja"}, {[]string{"en-GB", "de"}, "en"}, {[]string{"fr"}, "en"}, {[]string{strings.Repeat("a", 1000)}, "en"},
	} {
		if got := Texts().Match(c.preferred...); got != c.want {
			t.Errorf("%q: %s, want %s", c.preferred, got, c.want)
		}
	}
}

func TestCutCountsWhatPeopleSee(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"👨‍👩‍👧👨‍👩‍👧", 2, "👨‍👩‍👧👨‍👩‍👧"}, {"👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 2, "👨‍👩‍👧…"}, {"", 3, ""},
	} {
		if got := cut(c.s, c.n); got != c.want {
			t.Errorf("%q to %d: %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func TestTextsOfSeveralFiles(t *testing.T) {
	files := fstest.MapFS{
		"texts/en/a.yaml": {Data: []byte("x:\n  one: One\n")},
		"texts/en/b.yaml": {Data: []byte("x:\n  two: Two\n")},
	}
	texts, err := readTexts(files, "texts/en")
	if err != nil || len(texts) != 2 {
		t.Fatalf("%d texts, %v; want the section of both files", len(texts), err)
	}
	files["texts/en/c.yaml"] = &fstest.MapFile{Data: []byte("x:\n  one: Uno\n")}
	if _, err = readTexts(files, "texts/en"); err == nil || !strings.Contains(err.Error(), "x.one") {
		t.Errorf("%v; want the key that stands in two files", err)
	}
}
