package bot_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/fault"
)

func tree() []bot.Command {
	run := func(context.Context, *bot.Invocation) error { return nil }
	return []bot.Command{
		{Name: "imagine", Run: run, Options: []bot.Option{
			{Name: "prompt", Kind: bot.String, Required: true, Rest: true, Max: 1000},
			{Name: "style", Kind: bot.String},
			{Name: "aspect", Kind: bot.Choice, Choices: []string{"1:1", "16:9", "9:16"}},
			{Name: "count", Kind: bot.Integer, Min: 1, Max: 4},
			{Name: "seed", Kind: bot.Integer},
			{Name: "private", Kind: bot.Bool},
		}},
		{Name: "translate", Run: run, Options: []bot.Option{
			{Name: "to", Kind: bot.String, Required: true},
			{Name: "from", Kind: bot.String},
			{Name: "text", Kind: bot.String, Required: true, Rest: true},
		}},
		{Name: "worker", Subcommands: []bot.Command{
			{Name: "link", Run: run},
			{Name: "pause", Run: run, Options: []bot.Option{{Name: "worker", Kind: bot.String, Required: true}, {Name: "minutes", Kind: bot.Integer}}},
			{Name: "forget", Run: run, Options: []bot.Option{{Name: "job", Kind: bot.Integer}}},
			{Name: "keep", Run: run, Options: []bot.Option{{Name: "job", Kind: bot.Integer, Required: true}}},
		}},
	}
}

func TestParseCommand(t *testing.T) {
	for typed, want := range map[string]string{
		"/imagine a red cat":                            `imagine {prompt=a red cat}`,
		"/IMAGINE a red cat":                            `imagine {prompt=a red cat}`,
		"/imagine style:film a red cat":                 `imagine {prompt=a red cat, style=film}`,
		"/imagine a red cat style:film count:2":         `imagine {count=2, prompt=a red cat, style=film}`,
		"/imagine prompt:a red cat style:film":          `imagine {prompt=a red cat, style=film}`,
		"/imagine prompt: a red cat":                    `imagine {prompt=a red cat}`,
		`/imagine prompt:"a red cat" style:"film noir"`: `imagine {prompt=a red cat, style=film noir}`,
		"/imagine style:“film noir” a cat":              `imagine {prompt=a cat, style=film noir}`,
		`/imagine "a cat" she said`:                     `imagine {prompt="a cat" she said}`,
		`/imagine a 5" disk`:                            `imagine {prompt=a 5" disk}`,
		`/imagine "never closed style:film`:             `imagine {prompt="never closed, style=film}`,
		"/imagine a cat --aspect 16:9":                  `imagine {aspect=16:9, prompt=a cat}`,
		"/imagine a cat —aspect 16:9":                   `imagine {aspect=16:9, prompt=a cat}`,
		"/imagine a cat –aspect=16:9":                   `imagine {aspect=16:9, prompt=a cat}`,
		"/imagine a cat aspect:16":                      `imagine {aspect=16:9, prompt=a cat}`,
		"/imagine a cat --private":                      `imagine {private=true, prompt=a cat}`,
		"/imagine --private a cat":                      `imagine {private=true, prompt=a cat}`,
		"/imagine a cat --private no --seed 007":        `imagine {private=false, prompt=a cat, seed=7}`,
		"/imagine a poster with style: retro":           `imagine {prompt=a poster with style: retro}`,
		"/imagine style:retro in the middle of":         `imagine {prompt=in the middle of, style=retro}`,
		"/imagine a style:retro in the middle":          `imagine {prompt=a style:retro in the middle}`,
		"/imagine note: http://a.b/c?d=e 1:30":          `imagine {prompt=note: http://a.b/c?d=e 1:30}`,
		"/imagine count: 2 cats":                        `imagine {count=2, prompt=cats}`,
		"/worker keep 2":                                `worker keep {job=2}`,
		"/translate to:es so:la":                        `translate {text=so:la, to=es}`,
		"/imagine line one\n\n  line two\u3000end":      "imagine {prompt=line one\n\n  line two\u3000end}",
		"／ｉｍａｇｉｎｅ\u3000ｃｏｕｎｔ：２\u3000ｃａｔ：１":              `imagine {count=2, prompt=ｃａｔ：１}`,
		"/translate to:es Good morning":                 `translate {text=Good morning, to=es}`,
		"/translate to: es Good morning":                `translate {text=Good morning, to=es}`,
		"/translate to:ｅｓ from：en hi":                   `translate {from=en, text=hi, to=es}`,
		"/worker link":                                  `worker link {}`,
		"/worker_link":                                  `worker link {}`,
		"/Worker  Pause rita-pc 30":                     `worker pause {minutes=30, worker=rita-pc}`,
		`/worker pause "rita pc" minutes:5`:             `worker pause {minutes=5, worker=rita pc}`,

		"/imagin a cat":                           "unknown_command name=/imagin nearest=/imagine",
		"/trans x":                                "unknown_command name=/trans nearest=/translate",
		"/zzzzzz":                                 "unknown_command name=/zzzzzz nearest=",
		"/imgaien x":                              "unknown_command name=/imgaien nearest=/imagine",
		"/im x":                                   "unknown_command name=/im nearest=",
		"/worker lnik":                            "unknown_command name=/worker lnik nearest=/worker link",
		"/worker":                                 "missing_option command=/worker option=link, pause, forget, keep usage=/worker link|pause|forget|keep what=",
		"/imagine":                                "missing_option command=/imagine option=prompt usage=/imagine [style:…] [aspect:1:1|16:9|9:16] [count:1–4] [seed:12] [private:yes|no] prompt what=option.imagine.prompt",
		"/imagine count:2":                        "missing_option command=/imagine option=prompt usage=/imagine [style:…] [aspect:1:1|16:9|9:16] [count:1–4] [seed:12] [private:yes|no] prompt what=option.imagine.prompt",
		"/translate hello":                        "missing_option command=/translate option=to usage=/translate to:… [from:…] text what=option.translate.to",
		"/imagine a cat count:9":                  "bad_option option=count value=9 want=1–4",
		"/imagine a cat count:two":                "bad_option option=count value=two want=1–4",
		"/imagine a cat aspect:0:1":               "bad_option option=aspect value=0:1 want=1:1 | 16:9 | 9:16",
		"/imagine a cat private:maybe":            "bad_option option=private value=maybe want=yes | no",
		"/imagine --styel film a cat":             "unknown_option command=/imagine nearest=style option=styel",
		"/imagine a cat --styel film":             "unknown_option command=/imagine nearest=style option=styel",
		"/imagine a cat styel:film":               "unknown_option command=/imagine nearest=style option=styel",
		"/imagine styel:film a cat":               "unknown_option command=/imagine nearest=style option=styel",
		"/translate lang:es hi":                   "unknown_option command=/translate nearest=to option=lang",
		"/imagine style: retro cat":               "missing_option command=/imagine option=style usage=/imagine style:… prompt what=option.imagine.style",
		"/imagine style:":                         "missing_option command=/imagine option=style usage=/imagine style:… prompt what=option.imagine.style",
		"/imagine a cat seed:x":                   "bad_option option=seed value=x want=number",
		"/worker pause":                           "missing_option command=/worker pause option=worker usage=/worker pause … [minutes:12] what=option.worker.pause.worker",
		"/worker pause pc minutes:":               "missing_option command=/worker pause option=minutes usage=/worker pause minutes:12 what=option.worker.pause.minutes",
		"/worker forget job":                      "missing_option command=/worker forget option=job usage=/worker forget job:12 what=option.worker.forget.job",
		"/worker link now":                        "unknown_option command=/worker link nearest= option=now",
		"/worker pause wroker:x":                  "unknown_option command=/worker pause nearest=worker option=wroker",
		"/imagine " + strings.Repeat("x", 10_000): "too_long length=10000 max=1000 option=prompt",
		"/translate to:es " + strings.Repeat("é", 2001): "too_long length=2001 max=2000 option=text",
	} {
		p, err := bot.ParseCommand(tree(), bot.Plain(typed))
		got := strings.Join(p.Path, " ") + " " + show(p.Options)
		if err != nil {
			f := fault.Of(err)
			var args []any
			for k, v := range f.Args {
				args = append(args, k, v)
			}
			got = sayLine(string(f.Code), args...)
		}
		if got != want {
			t.Errorf("%.60q\n got %s\nwant %s", typed, got, want)
		}
	}
}

func show(m map[string]string) string {
	s := strings.TrimPrefix(fmt.Sprint(m), "map[")
	s = strings.TrimSuffix(s, "]")
	for k := range m {
		s = strings.Replace(s, " "+k+":", ", "+k+"=", 1)
		if strings.HasPrefix(s, k+":") {
			s = k + "=" + s[len(k)+1:]
		}
	}
	return "{" + s + "}"
}

func TestRestKeepsItsSpans(t *testing.T) {
	var b bot.Builder
	in := b.Add("/translate to:es ").Bold("Good").Add(" ").Mark(bot.Mention, "test:ann", "@ann").Add("\nx to:fr").Text()
	p, err := bot.ParseCommand(tree(), in)
	if err != nil {
		t.Fatal(err)
	}
	var want bot.Builder
	if diff := gocmp.Diff(want.Bold("Good").Add(" ").Mark(bot.Mention, "test:ann", "@ann").Add("\nx").Text(), p.Rest); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"/imagine a cat --seed 5", `/imagine style:"x y" “z`, "/worker pause a b", "／imagine　count：２", "/imagine --", "/imagine prompt:", "/translate to:", `/imagine "a "a "a`,
		"/translate to:es from:en hello to:fr", `/imagine style:"film „noir“" --count 4 --private a cat`, "/worker_pause box 30", "/worker pause worker:«a b» minutes:-5", "/imagine x aspect:9 seed:00１2",
		"/imagine private:on prompt:« a »", "／worker　keep　１２", "/imagine cat --setps 30", "/imagine colour:red a cat", "/" + strings.Repeat("x", 100), "/imagine " + strings.Repeat("é", 1001)} {
		f.Add(s)
	}
	commands := tree()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		p, err := bot.ParseCommand(commands, bot.Plain(s))
		if err != nil {
			e := fault.Of(err)
			if e.Code == fault.Internal {
				t.Fatalf("%q: %v", s, err)
			}
			for name, v := range e.Args { // they stand in the answer
				if n := utf8.RuneCountInString(v); n > 200 {
					t.Fatalf("%q: %s of %s has %d characters", s, name, e.Code, n)
				}
			}
			return
		}
		if !strings.Contains(s, p.Rest.Plain) {
			t.Fatalf("%q: the rest %q is not what was typed", s, p.Rest.Plain)
		}
		sound(t, commands, s, p)
	})
}

// sound: what was parsed fits the command, and typed again in the plainest way it is the same.
func sound(t *testing.T, commands []bot.Command, s string, p bot.Parsed) {
	t.Helper()
	c := bot.Command{Subcommands: commands}
	for _, name := range p.Path {
		i := slices.IndexFunc(c.Subcommands, func(c bot.Command) bool { return c.Name == name })
		if i < 0 {
			t.Fatalf("%q: there is no %v", s, p.Path)
		}
		c = c.Subcommands[i]
	}
	if c.Run == nil {
		t.Fatalf("%q: %v cannot run", s, p.Path)
	}
	known, again, rest := 0, "/"+strings.Join(p.Path, " "), ""
	for _, o := range c.Options {
		v, ok := p.Options[o.Name]
		if !ok {
			if o.Required {
				t.Fatalf("%q: %v has no %s", s, p, o.Name)
			}
			continue
		}
		known++
		switch o.Kind {
		case bot.Integer:
			n, err := strconv.Atoi(v)
			ok = err == nil && strconv.Itoa(n) == v && (o.Min == 0 && o.Max == 0 || o.Min <= n && n <= o.Max)
		case bot.Bool:
			ok = v == "true" || v == "false"
		case bot.Choice:
			ok = slices.Contains(o.Choices, v)
		default:
			ok = strings.TrimSpace(v) != "" && utf8.RuneCountInString(v) <= cmp.Or(o.Max, 2000)
		}
		if !ok {
			t.Fatalf("%q: %q is no %s", s, v, o.Name)
		}
		if o.Rest {
			if rest = " plain words"; v != p.Rest.Plain {
				t.Fatalf("%q: the rest is %q and %q", s, v, p.Rest.Plain)
			}
			continue
		}
		if strings.ContainsAny(v, `"＂“”„«»`) {
			return // nothing to put it in
		}
		again += " " + o.Name + `:"` + v + `"`
	}
	if known != len(p.Options) {
		t.Fatalf("%q: %v has options that %v does not know", s, p.Options, p.Path)
	}
	q, err := bot.ParseCommand(commands, bot.Plain(again+rest))
	if err != nil {
		t.Fatalf("%q, as %q: %v", s, again+rest, err)
	}
	for name, v := range p.Options {
		if got := q.Options[name]; got != v && got != strings.TrimSpace(rest) {
			t.Fatalf("%q, as %q: %s is %q, was %q", s, again+rest, name, got, v)
		}
	}
}

func TestRestOf(t *testing.T) {
	commands := []bot.Command{
		{Name: "ask", Options: []bot.Option{{Name: "model"}, {Name: "question", Rest: true}}},
		{Name: "worker", Subcommands: []bot.Command{{Name: "name", Options: []bot.Option{{Name: "as", Rest: true}}}, {Name: "list"}}},
	}
	for path, want := range map[string]string{"ask": "question", "worker name": "as", "worker list": "", "worker": "", "worker ask": "", "": ""} {
		got := ""
		if o := bot.RestOf(commands, strings.Fields(path)...); o != nil {
			got = o.Name
		}
		if got != want {
			t.Errorf("the rest of %q is %q, want %q", path, got, want)
		}
	}
}

func TestCheckCommands(t *testing.T) {
	run := func(context.Context, *bot.Invocation) error { return nil }
	if err := bot.CheckCommands(tree()); err != nil {
		t.Errorf("a good tree: %v", err)
	}
	many := make([]bot.Option, 26)
	for i := range many {
		many[i] = bot.Option{Name: fmt.Sprint("o", i), Kind: bot.String}
	}
	deep := bot.Command{Name: "d", Run: run}
	for range 3 {
		deep = bot.Command{Name: "d", Subcommands: []bot.Command{deep}}
	}
	with := func(o ...bot.Option) bot.Command { return bot.Command{Name: "c", Options: o, Run: run} }
	for want, c := range map[string]bot.Command{
		"the name must be":               {Name: "Imagine", Run: run},
		"no Run":                         {Name: "c"},
		"26 options":                     with(many...),
		"deeper than 3":                  deep,
		"neither options nor Run":        {Name: "c", Run: run, Subcommands: []bot.Command{{Name: "s", Run: run}}},
		"required options stand before":  with(bot.Option{Name: "a", Kind: bot.String}, bot.Option{Name: "b", Kind: bot.String, Required: true}),
		"0 choices":                      with(bot.Option{Name: "a", Kind: bot.Choice}),
		"choices, but kind string":       with(bot.Option{Name: "a", Kind: bot.String, Choices: []string{"x"}}),
		"one option at most is the rest": with(bot.Option{Name: "a", Kind: bot.String, Rest: true}, bot.Option{Name: "b", Kind: bot.String, Rest: true}),
		"the name is used twice":         with(bot.Option{Name: "a", Kind: bot.String}, bot.Option{Name: "a", Kind: bot.String}),
		`kind "colour"`:                  with(bot.Option{Name: "a", Kind: "colour"}),
		"from 5 to 1":                    with(bot.Option{Name: "a", Kind: bot.Integer, Min: 5, Max: 1}),
	} {
		if err := bot.CheckCommands([]bot.Command{c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func sayLine(key string, args ...any) string {
	return bottest.Catalogue{}.Say("en")(key, args...).Plain
}

// A question of nothing that can be seen was said to lack "one of the words question", and a lone dash to be the option "".
func TestInvisibleValuesAndLoneDashes(t *testing.T) {
	nothing := func(context.Context, *bot.Invocation) error { return nil }
	all := []bot.Command{
		{Name: "ask", Options: []bot.Option{{Name: "question", Kind: bot.String, Rest: true, Required: true}}, Run: nothing},
		{Name: "credits", Options: []bot.Option{{Name: "why", Kind: bot.String}}, Run: nothing},
	}
	_, err := bot.ParseCommand(all, bot.Plain("/ask \u200b\u2060\u200d"))
	if f := fault.Of(err); f.Code != fault.MissingOption || f.Args["what"] != "option.ask.question" {
		t.Errorf("%v, %v", err, f.Args)
	}
	_, err = bot.ParseCommand(all, bot.Plain("/credits why:— –"))
	if f := fault.Of(err); f.Code != fault.UnknownOption || f.Args["option"] != "–" {
		t.Errorf("%v, %v", err, f.Args)
	}
}
