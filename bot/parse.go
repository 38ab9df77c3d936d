package bot

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"potluck/community"
	"potluck/fault"
	"potluck/nearest"
)

const defaultMax = 2000 // characters of a String option

// found is a command that can run, with what its path adds up to.
type found struct {
	command *Command
	path    []string
	needs   community.Role
	costly  bool
	private bool
}

// find walks down the command tree. The fault names what is near, or which subcommands there are; what was found until there comes with it,
// private when a command below it is.
func find(commands []Command, path []string) (found, error) {
	var f found
	level := commands
	for {
		if len(f.path) == len(path) {
			if f.command == nil {
				return found{}, fault.New(fault.UnknownCommand, "name", "/", "nearest", "")
			}
			return f.above(), missingSub(f)
		}
		word := fold(path[len(f.path)])
		i := index(level, word)
		if i < 0 {
			return f.above(), unknown(commands, f, level, word)
		}
		c := &level[i]
		f.command, f.path = c, append(f.path, c.Name)
		f.needs = max(f.needs, c.Needs)
		f.costly, f.private = f.costly || c.Costly, f.private || c.Private
		if level = c.Subcommands; len(level) == 0 {
			return f, nil
		}
	}
}

// above is f where the walk ended before a command that can run.
func (f found) above() found {
	if f.command != nil {
		f.private = f.private || anyPrivate(*f.command)
	}
	return f
}

func index(level []Command, name string) int {
	for i := range level {
		if level[i].Name == name {
			return i
		}
	}
	return -1
}

func unknown(commands []Command, f found, level []Command, word string) error {
	names := make([]string, len(level))
	for i, c := range level {
		names[i] = c.Name
	}
	name, near := word, meant(word, names)
	if len(f.path) > 0 {
		above := strings.Join(f.path, " ") + " "
		name = above + word
		if near != "" {
			near = above + near
		}
	}
	if near != "" {
		near = "/" + near
	}
	return fault.New(fault.UnknownCommand, "name", "/"+name, "nearest", near)
}

func missingSub(f found) error {
	names := make([]string, len(f.command.Subcommands))
	for i, c := range f.command.Subcommands {
		names[i] = c.Name
	}
	return fault.New(fault.MissingOption, "command", "/"+strings.Join(f.path, " "), "option", strings.Join(names, ", "), "what", "", "usage", usage(f))
}

// Usage is one line that shows how a command is typed: "/translate to:… [from:…] text". It is empty when there is no such command.
func Usage(commands []Command, path ...string) string {
	f, err := find(commands, path)
	if err != nil {
		level := commands
		for _, word := range path {
			i := index(level, fold(word))
			if i < 0 {
				return ""
			}
			f.command, f.path, level = &level[i], append(f.path, level[i].Name), level[i].Subcommands
		}
		if f.command == nil {
			return ""
		}
	}
	return usage(f)
}

func usage(f found) string {
	var b strings.Builder
	b.WriteString("/" + strings.Join(f.path, " "))
	if len(f.command.Subcommands) > 0 {
		names := make([]string, len(f.command.Subcommands))
		for i, c := range f.command.Subcommands {
			names[i] = c.Name
		}
		return b.String() + " " + strings.Join(names, "|")
	}
	rest, named := "", RestOption(f.command) != nil
	for _, o := range f.command.Options {
		word := o.Name
		switch {
		case !o.Rest && o.Required && !named:
			word = example(o) // without a rest, words without a name are values
		case !o.Rest:
			word += ":" + example(o)
			named = true
		}
		if !o.Required {
			word = "[" + word + "]"
		}
		if o.Rest {
			rest = " " + word
			continue
		}
		b.WriteString(" " + word)
	}
	return b.String() + rest
}

func example(o Option) string {
	switch o.Kind {
	case Integer:
		if o.Min != 0 || o.Max != 0 {
			return strconv.Itoa(o.Min) + "–" + strconv.Itoa(o.Max)
		}
		return "12"
	case Bool:
		return "yes|no"
	case Choice:
		if len(o.Choices) <= 6 {
			return strings.Join(o.Choices, "|")
		}
		return strings.Join(o.Choices[:5], "|") + "|…"
	}
	return "…"
}

// fold brings names and short values into the form they are compared in: full-width forms (as Japanese keyboards type them) become
// ASCII, capitals small.
func fold(s string) string { return strings.ToLower(width.Fold.String(s)) }

// isCommand tells whether a message is meant as a command: a slash and a word, or nothing but a slash, of somebody who wonders what there is.
// A path ("/etc/passwd") and a slash in front of other words are text.
func isCommand(s string) bool {
	word, _, ok := commandWord(s)
	return ok && (word != "" || utf8.RuneCountInString(strings.TrimSpace(s)) == 1)
}

// commandWord returns the word after the slash as typed and where it ends.
func commandWord(s string) (word string, end int, ok bool) {
	start := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
	slash, n := utf8.DecodeRuneInString(s[start:])
	if slash != '/' && slash != '／' {
		return "", 0, false
	}
	begin := start + n
	end = len(s)
	for i, c := range s[begin:] {
		if unicode.IsSpace(c) {
			end = begin + i
			break
		}
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) && c != '_' && c != '-' {
			return "", 0, false
		}
	}
	return s[begin:end], end, true
}

// ParseCommand reads a typed command: "/name sub option:value --option value rest words". Options stand before the rest words or after
// them; in between they are text. Every error is a fault that tells what to type instead.
func ParseCommand(commands []Command, t Text) (Parsed, error) {
	_, p, err := parse(commands, t)
	return p, err
}

// word is a piece of the typed text between spaces; a quoted value keeps its spaces.
type word struct{ start, end int }

func parse(commands []Command, t Text) (found, Parsed, error) {
	name, end, ok := commandWord(t.Plain)
	if !ok || name == "" {
		return found{}, Parsed{}, fault.New(fault.UnknownCommand, "name", "/", "nearest", "")
	}
	words := split(t.Plain, end)
	path := []string{name}
	level := commands
	// Telegram's menu cannot hold spaces, so "/worker_link" is "/worker link".
	if index(level, fold(name)) < 0 {
		if head, sub, ok := strings.Cut(fold(name), "_"); ok && index(level, head) >= 0 {
			path = []string{head, sub}
		}
	}
	for i := 0; ; i++ {
		if i == len(path) {
			if len(words) == 0 {
				break
			}
			path = append(path, t.Plain[words[0].start:words[0].end])
			words = words[1:]
		}
		at := index(level, fold(path[i]))
		if at < 0 {
			break
		}
		if level = level[at].Subcommands; len(level) == 0 {
			break
		}
	}
	for i := range path {
		if utf8.RuneCountInString(path[i]) > 40 {
			path[i] = string([]rune(path[i])[:40]) + "…" // it is shown in the answer
		}
	}
	f, err := find(commands, path)
	if err != nil {
		return f, Parsed{}, err
	}
	typed := Parsed{Path: f.path, Options: make(map[string]string)}
	if err := options(f, t, words, &typed); err != nil {
		return f, Parsed{}, err
	}
	p, err := check(f, typed)
	return f, p, err
}

// closing returns the quotation marks that end what open begins.
func closing(open rune) string {
	switch open {
	case '"', '＂':
		return `"＂`
	case '“', '”', '„':
		return "“”"
	case '«':
		return "»"
	}
	return ""
}

func unquote(s string) string {
	open, n := utf8.DecodeRuneInString(s)
	end, m := utf8.DecodeLastRuneInString(s)
	if marks := closing(open); marks != "" && len(s) >= n+m && strings.ContainsRune(marks, end) {
		return s[n : len(s)-m]
	}
	return s
}

// split cuts s[from:] into words. A quotation mark that begins a word or a value, and has its counterpart at a word's end, keeps the spaces between.
func split(s string, from int) []word {
	var words []word
	never := make(map[string]bool) // kinds of quotation marks that are not closed any more, so that this stays linear
	for i := from; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(c) {
			i += n
			continue
		}
		start, fresh := i, true
		for i < len(s) {
			c, n := utf8.DecodeRuneInString(s[i:])
			if unicode.IsSpace(c) {
				break
			}
			i += n
			if marks := closing(c); fresh && marks != "" && !never[marks] {
				if end := closed(s, i, marks); end > 0 {
					i = end
					break
				}
				never[marks] = true
			}
			fresh = c == ':' || c == '：' || c == '=' || c == '＝'
		}
		words = append(words, word{start, i})
	}
	return words
}

// closed returns where the quotation that goes on at from ends, 0 if nowhere.
func closed(s string, from int, marks string) int {
	for i, c := range s[from:] {
		if !strings.ContainsRune(marks, c) {
			continue
		}
		end := from + i + utf8.RuneLen(c)
		if next, _ := utf8.DecodeRuneInString(s[end:]); end == len(s) || unicode.IsSpace(next) {
			return end
		}
	}
	return 0
}

// check brings the values of a command into canonical form, also those that a platform parsed by itself.
func check(f found, p Parsed) (Parsed, error) {
	out := Parsed{Path: f.path, Options: make(map[string]string, len(p.Options)), Rest: p.Rest, RepliesTo: p.RepliesTo}
	known := optionNames(f.command)
	for name := range p.Options {
		if !slices.Contains(known, name) {
			return Parsed{}, unknownOption(f, name)
		}
	}
	for i := range f.command.Options {
		o := &f.command.Options[i]
		v, ok := p.Options[o.Name]
		if !ok || blank(v) {
			if o.Required {
				return Parsed{}, missing(f, o)
			}
			continue
		}
		canonical, err := o.canonical(v)
		if err != nil {
			return Parsed{}, err
		}
		out.Options[o.Name] = canonical
		if o.Rest && out.Rest.Plain != canonical {
			out.Rest = Plain(canonical)
		}
	}
	return out, nil
}

// blank: nothing of it can be seen.
func blank(v string) bool {
	return strings.TrimFunc(v, func(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) }) == ""
}

// canonical checks one value; the fault tells what it may be.
func (o *Option) canonical(v string) (string, error) {
	switch o.Kind {
	case Integer:
		return o.integer(v)
	case Bool:
		switch strings.TrimSpace(fold(v)) {
		case "true", "yes", "y", "on", "1":
			return "true", nil
		case "false", "no", "n", "off", "0":
			return "false", nil
		}
		return "", o.bad(v, "yes | no")
	case Choice:
		return o.choice(v)
	}
	most := o.Max
	if most == 0 {
		most = defaultMax
	}
	if n := utf8.RuneCountInString(v); n > most {
		return "", fault.New(fault.TooLong, "option", o.Name, "length", n, "max", most)
	}
	if o.Check != nil {
		if err := o.Check(v); err != nil {
			return "", err
		}
	}
	return v, nil
}

func (o *Option) integer(v string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(fold(v)))
	ranged := o.Min != 0 || o.Max != 0
	switch {
	case ranged && (err != nil || n < o.Min || n > o.Max):
		return "", o.bad(v, strconv.Itoa(o.Min)+"–"+strconv.Itoa(o.Max))
	case err != nil:
		return "", o.bad(v, "number")
	}
	return strconv.Itoa(n), nil
}

// choice takes a choice by its name, or by a beginning that no other has.
func (o *Option) choice(v string) (string, error) {
	typed, hit := strings.TrimSpace(fold(v)), ""
	for _, c := range o.Choices {
		if fold(c) == typed {
			return c, nil
		}
		if strings.HasPrefix(fold(c), typed) {
			if hit != "" {
				return "", o.bad(v, strings.Join(o.Choices, " | "))
			}
			hit = c
		}
	}
	if hit == "" {
		return "", o.bad(v, strings.Join(o.Choices, " | "))
	}
	return hit, nil
}

func (o *Option) bad(v, want string) error {
	if r := []rune(v); len(r) > 60 {
		v = string(r[:60]) + "…"
	}
	return fault.New(fault.BadOption, "option", o.Name, "value", v, "want", want)
}

// takes tells whether v is a value of o.
func (o *Option) takes(v string) bool {
	_, err := o.canonical(v)
	return err == nil
}

func isBool(s string) bool {
	_, err := (&Option{Kind: Bool}).canonical(s)
	return err == nil
}

// meant returns the candidate that a person most likely meant by typed, or "" when none is near. Three letters are enough of a longer word.
func meant(typed string, candidates []string) string {
	if near := nearest.Of(typed, candidates); near != "" || utf8.RuneCountInString(typed) < 3 {
		return near
	}
	for _, c := range candidates {
		if strings.HasPrefix(c, typed) {
			return c
		}
	}
	return ""
}
