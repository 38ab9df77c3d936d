package bot

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"potluck/fault"
	"potluck/nearest"
)

// options takes the options at both ends of words; what stands between them is the rest.
func options(f found, t Text, words []word, p *Parsed) error {
	r := optionReader{f: f, t: t, words: words, rest: RestOption(f.command), p: p}
	first, err := r.front()
	if err != nil || first >= len(words) || r.rest == nil {
		return err
	}
	if _, ok := p.Options[r.rest.Name]; ok {
		return unknownOption(f, r.typed(first))
	}
	last, takes := r.back(first)
	if err := r.slips(first, last); err != nil {
		return err
	}
	for i := last; i < len(words); i += takes[i] {
		o, v, _ := r.value(i, true)
		if _, ok := p.Options[o.Name]; !ok {
			r.set(o, v)
		}
	}
	if err := stranger(f, t.Plain, words[first:last], p); err != nil {
		return err
	}
	p.Rest = t.Slice(words[first].start, words[last-1].end)
	p.Options[r.rest.Name] = p.Rest.Plain
	return nil
}

// optionReader sorts the words behind a command's name into options and rest.
type optionReader struct {
	f     found
	t     Text
	words []word
	rest  *Option // nil: the command has none
	p     *Parsed
}

func (r *optionReader) typed(i int) string { return r.t.Plain[r.words[i].start:r.words[i].end] }

// value reads the option at words[i]: its value and how many words it takes; 0: it is none. With spaced the value may be the next word.
func (r *optionReader) value(i int, spaced bool) (o *Option, v string, n int) {
	dashed := isDashed(r.typed(i))
	o, v, ok := option(r.f.command, r.typed(i))
	switch {
	case !ok || o == r.rest && v == "" && !dashed:
		return nil, "", 0
	case v != "":
		return o, v, 1
	case o.Kind == Bool && dashed && (i+1 == len(r.words) || !isBool(r.typed(i+1))):
		return o, "true", 1
	case i+1 < len(r.words) && spaced && (o.Required || dashed || o.Kind != String && o.takes(r.typed(i+1))):
		return o, r.typed(i + 1), 2
	}
	return nil, "", 0
}

func (r *optionReader) set(o *Option, v string) {
	v = unquote(v)
	if o == r.rest {
		r.p.Rest = Plain(v)
	} else {
		v = width.Fold.String(v)
	}
	r.p.Options[o.Name] = v
}

// front takes the options before the rest, and returns where the rest begins. A command without a rest takes every word.
func (r *optionReader) front() (first int, err error) {
	for first < len(r.words) {
		typed := r.typed(first)
		o, v, n := r.value(first, true)
		if n > 0 && (o != r.rest || unquote(v) != v) {
			r.set(o, v)
			first += n
			continue
		}
		if r.rest != nil {
			return r.begin(first)
		}
		if o := named(r.f.command, typed); o != nil && (strings.HasSuffix(fold(typed), ":") || len(r.words) == 1 && !o.takes(typed)) {
			return first, missing(r.f, o) // "/credits why"
		}
		if !positional(r.f, r.p, unquote(typed), typed) {
			return first, unknownOption(r.f, typed)
		}
		first++
	}
	return first, nil
}

// begin starts the rest at words[first], which may name it: from "prompt:a red cat" on all is the rest.
func (r *optionReader) begin(first int) (int, error) {
	typed := r.typed(first)
	o, v, ok := option(r.f.command, typed)
	switch {
	case ok && o != r.rest:
		return first, missing(r.f, o) // "/ask model: hi": which word is meant?
	case ok:
		w := &r.words[first]
		if w.start = w.end - len(v); w.start == w.end {
			first++
		}
	case strings.HasPrefix(fold(typed), "--") && isDashed(typed):
		return first, unknownOption(r.f, typed)
	}
	return first, nil
}

// back finds the options behind the rest: they begin at words[last], and the one at words[i] takes takes[i] words.
func (r *optionReader) back(first int) (last int, takes []int) {
	last, takes = len(r.words), make([]int, len(r.words)+1)
	for i := len(r.words) - 1; i > first; i-- {
		for _, spaced := range []bool{false, true} {
			if spaced && !isDashed(r.typed(i)) {
				continue // "a poster with style: retro" is text
			}
			if o, _, n := r.value(i, spaced); n > 0 && o != r.rest && (i+n == len(r.words) || takes[i+n] > 0) {
				takes[i] = n
			}
		}
		if takes[i] > 0 {
			last = i
		}
	}
	return last, takes
}

// slips refuses a mistyped option within the rest: "a cat --setps 30" is a slip of the finger, no text.
func (r *optionReader) slips(first, last int) error {
	for i := first; i < last; i++ {
		typed := r.typed(i)
		if !strings.HasPrefix(typed, "--") || !isDashed(typed) {
			continue
		}
		name, _, _ := strings.Cut(typed[2:], "=")
		if _, _, known := option(r.f.command, typed); !known && meant(fold(name), optionNames(r.f.command)) != "" {
			return unknownOption(r.f, typed)
		}
	}
	return nil
}

// positional gives a word without a name to the first option that has no value yet, where a command has no rest.
func positional(f found, p *Parsed, v, typed string) bool {
	if isDashed(typed) {
		return false
	}
	if name, _, ok := strings.Cut(width.Fold.String(typed), ":"); ok && meant(fold(name), optionNames(f.command)) != "" {
		return false
	}
	for _, o := range f.command.Options {
		if _, ok := p.Options[o.Name]; !ok {
			p.Options[o.Name] = width.Fold.String(v)
			return true
		}
	}
	return false
}

// named returns the option whose name was typed with nothing behind it: "why" or "why:".
func named(c *Command, typed string) *Option {
	name := strings.TrimRight(fold(typed), ":")
	for i := range c.Options {
		if o := &c.Options[i]; o.Name == name && !o.Rest {
			return o
		}
	}
	return nil
}

// stranger refuses "word:value" in front or at the end of the rest when it was meant as an option: its name is close to that of one, or it
// stands in front while a required option is missing. A colon alone makes no option: "note: buy soup" and addresses are text.
func stranger(f found, s string, rest []word, p *Parsed) error {
	var absent *Option
	var others []string
	for i := range f.command.Options {
		o := &f.command.Options[i]
		if o.Rest {
			continue
		}
		others = append(others, o.Name)
		if _, ok := p.Options[o.Name]; o.Required && !ok && absent == nil {
			absent = o
		}
	}
	for _, i := range []int{0, len(rest) - 1} {
		typed := s[rest[i].start:rest[i].end]
		name, value, ok := strings.Cut(fold(typed), ":")
		letters := strings.TrimFunc(name, unicode.IsLetter) == ""
		if !ok || name == "" || value == "" || !letters || strings.HasPrefix(value, "//") || slices.Contains(others, name) {
			continue
		}
		near := nearest.Of(name, others)
		if near == "" && absent != nil && i == 0 && len(rest) > 1 {
			near = absent.Name
		}
		if _, given := p.Options[near]; near != "" && !given {
			return strange(f, name, near)
		}
	}
	return nil
}

func unknownOption(f found, typed string) error {
	name := strings.TrimLeft(width.Fold.String(typed), "-—–")
	if i := strings.IndexAny(name, ":="); i > 0 {
		name = name[:i]
	}
	if name == "" {
		name = typed // nothing but a dash
	}
	return strange(f, name, meant(strings.ToLower(name), optionNames(f.command)))
}

func strange(f found, name, near string) error {
	if r := []rune(name); len(r) > 40 {
		name = string(r[:40]) + "…"
	}
	return fault.New(fault.UnknownOption, "command", "/"+strings.Join(f.path, " "), "option", name, "nearest", near)
}

// missing says that an option has no value: what it is in words is the text of the key "what".
func missing(f found, o *Option) error {
	shown := usage(f)
	if !o.Required && !o.Rest {
		shown = "/" + strings.Join(f.path, " ") + " " + o.Name + ":" + example(*o)
		if rest := RestOption(f.command); rest != nil {
			shown += " " + rest.Name
		}
	}
	return fault.New(fault.MissingOption, "command", "/"+strings.Join(f.path, " "), "option", o.Name,
		"what", "option."+strings.Join(f.path, ".")+"."+o.Name, "usage", shown)
}

func optionNames(c *Command) []string {
	names := make([]string, len(c.Options))
	for i, o := range c.Options {
		names[i] = o.Name
	}
	return names
}

// isDashed: "--style", and what phones make of it.
func isDashed(s string) bool {
	for _, dash := range []string{"--", "—", "–", "－－"} {
		if rest, ok := strings.CutPrefix(s, dash); ok {
			c, _ := utf8.DecodeRuneInString(rest)
			return unicode.IsLetter(c)
		}
	}
	return false
}

// option reads "name:value", "--name=value" or "--name" (value empty).
func option(c *Command, s string) (o *Option, value string, ok bool) {
	dashed := isDashed(s)
	if dashed {
		s = strings.TrimLeft(s, "-—–－")
	}
	name := s
	for i, c := range s {
		if i > 40*utf8.UTFMax {
			break
		}
		if c == ':' || c == '：' || dashed && (c == '=' || c == '＝') {
			name, value, ok = s[:i], s[i+utf8.RuneLen(c):], true
			break
		}
	}
	if !ok && !dashed || len(name) > 40*utf8.UTFMax {
		return nil, "", false
	}
	name = fold(name)
	for i := range c.Options {
		if c.Options[i].Name == name {
			return &c.Options[i], value, true
		}
	}
	return nil, "", false
}
