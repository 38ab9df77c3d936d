package commands

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"

	"potluck/bot"
	"potluck/ledger"
	"potluck/translate"
)

// template is a parsed text of the catalogue. It knows **bold**, `code`, and places in the manner of ICU messages:
//
//	{name}                                          the value as it is
//	{name, number|percent|credits|duration}         a quantity, written as the language does
//	{name, clock|date}                              a moment: 18:30 UTC, or with its day
//	{name, language|languages|list}                 names of languages, or several values
//	{name, bare}                                    a command without its slash
//	{name, text}                                    the text of the key that the value is
//	{name, plural, one {# job} other {# jobs}}      also "ordinal", and of credits; # is the number, =0 an exact case
//	{name, select, chat {answer} other {do that}}   "none" is the case of an empty or missing value
//
// Only the template is parsed, never a value.
type template struct{ nodes []node }

type node struct {
	text  string // literal, when mark and place are empty
	mark  bot.SpanKind
	inner []node // of mark
	place string
	as    string // format of place
	cases []branch
	count bool // # within a plural
}

type branch struct {
	name  string
	nodes []node
}

var formats = map[string]bool{
	"number": true, "percent": true, "credits": true, "duration": true, "clock": true, "date": true, "language": true, "languages": true,
	"list": true, "bare": true, "text": true, "plural": true, "ordinal": true, "select": true,
}

func parseTemplate(s string) (template, error) {
	p := reader{rest: s}
	nodes, err := p.nodes("", false)
	if err == nil && p.rest != "" {
		err = fmt.Errorf("stray %q", p.rest)
	}
	return template{nodes}, err
}

type reader struct{ rest string }

// nodes reads until end (which is not consumed) or the end of the text.
func (p *reader) nodes(end string, inPlural bool) ([]node, error) {
	var out []node
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, node{text: lit.String()})
			lit.Reset()
		}
	}
	for p.rest != "" {
		switch {
		case end != "" && strings.HasPrefix(p.rest, end):
			flush()
			return out, nil
		case strings.HasPrefix(p.rest, "**"):
			flush()
			n, err := p.span("**", bot.Bold, inPlural)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		case p.rest[0] == '`':
			flush()
			n, err := p.span("`", bot.Code, inPlural)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		case p.rest[0] == '{':
			flush()
			n, err := p.placeholder()
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		case p.rest[0] == '}':
			return nil, fmt.Errorf("stray } before %q", p.rest)
		case p.rest[0] == '#' && inPlural:
			flush()
			out = append(out, node{count: true})
			p.rest = p.rest[1:]
		default:
			lit.WriteByte(p.rest[0])
			p.rest = p.rest[1:]
		}
	}
	if end != "" {
		return nil, fmt.Errorf("no closing %s", end)
	}
	flush()
	return out, nil
}

func (p *reader) span(border string, kind bot.SpanKind, inPlural bool) (node, error) {
	p.rest = p.rest[len(border):]
	inner, err := p.nodes(border, inPlural)
	if err != nil {
		return node{}, err
	}
	p.rest = p.rest[len(border):]
	return node{mark: kind, inner: inner}, nil
}

func (p *reader) placeholder() (node, error) {
	p.rest = p.rest[1:]
	place, closed, err := p.word()
	if err != nil {
		return node{}, err
	}
	n := node{place: place}
	if n.place == "" || strings.Trim(n.place, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return node{}, fmt.Errorf("bad name of a place %q", n.place)
	}
	if closed {
		return n, nil
	}
	if n.as, closed, err = p.word(); err != nil {
		return node{}, err
	}
	if !formats[n.as] {
		return node{}, fmt.Errorf("unknown format %q", n.as)
	}
	branches := n.as == "plural" || n.as == "ordinal" || n.as == "select"
	if closed == branches {
		return node{}, fmt.Errorf("cases of {%s, %s}", n.place, n.as)
	}
	if closed {
		return n, nil
	}
	if err := p.branches(&n); err != nil {
		return node{}, err
	}
	return n, nil
}

// word reads a part of a place up to its comma, or to what closes the place.
func (p *reader) word() (word string, closed bool, err error) {
	i := strings.IndexAny(p.rest, ",}")
	if i < 0 {
		return "", false, fmt.Errorf("no closing }")
	}
	word, closed = strings.TrimSpace(p.rest[:i]), p.rest[i] == '}'
	p.rest = p.rest[i+1:]
	return word, closed, nil
}

// branches reads the cases of a place and what closes it.
func (p *reader) branches(n *node) error {
	for {
		p.rest = strings.TrimLeft(p.rest, " \n")
		if strings.HasPrefix(p.rest, "}") {
			p.rest = p.rest[1:]
			break
		}
		name, after, ok := strings.Cut(p.rest, "{")
		if !ok {
			return fmt.Errorf("no cases of {%s}", n.place)
		}
		p.rest = after
		nodes, err := p.nodes("}", n.as != "select")
		if err != nil {
			return err
		}
		p.rest = p.rest[1:]
		n.cases = append(n.cases, branch{strings.TrimSpace(name), nodes})
	}
	if _, ok := n.branch("other"); !ok {
		return fmt.Errorf("{%s} has no case other", n.place)
	}
	return nil
}

func (n node) branch(name string) ([]node, bool) {
	for _, b := range n.cases {
		if b.name == name {
			return b.nodes, true
		}
	}
	return nil, false
}

// rendering is one use of a template.
type rendering struct {
	catalogue *Catalogue
	lang      string
	tag       language.Tag
	printer   *message.Printer
	values    map[string]any
	out       *bot.Builder
}

func (r *rendering) nodes(nodes []node, count any) {
	for _, n := range nodes {
		switch {
		case n.mark != "":
			outer := r.out
			r.out = new(bot.Builder)
			r.nodes(n.inner, count)
			outer.Append(r.out.Text().In(n.mark, ""))
			r.out = outer
		case n.count:
			r.out.Add(r.number(count, 3))
		case n.place != "":
			r.place(n)
		default:
			r.out.Add(n.text)
		}
	}
}

func (r *rendering) place(n node) {
	v, ok := r.values[n.place]
	switch n.as {
	case "select":
		name := fmt.Sprint(v)
		if !ok || name == "" {
			name = "none"
		}
		nodes, found := n.branch(name)
		if !found {
			nodes, _ = n.branch("other")
		}
		r.nodes(nodes, nil)
		return
	case "plural", "ordinal":
		r.count(n, v)
		return
	}
	if !ok {
		r.out.Add("…")
		return
	}
	switch n.as {
	case "number":
		r.out.Add(r.number(v, 3))
	case "percent":
		f, _ := v.(float64)
		r.out.Add(r.printer.Sprint(number.Percent(min(max(f, 0), 1), number.MaxFractionDigits(0))))
	case "credits":
		r.out.Add(r.credits(v))
	case "duration":
		r.duration(v)
	case "clock", "date":
		r.moment(v, n.as)
	case "language":
		r.out.Add(translate.Name(shown(v), r.lang))
	case "languages", "list":
		r.list(v, n.as)
	case "text":
		r.out.Append(r.catalogue.Say(r.lang)(shown(v)))
	case "bare":
		r.out.Add(strings.TrimLeft(shown(v), "/"))
	default:
		if t, isText := v.(bot.Text); isText {
			r.out.Append(t)
			return
		}
		r.out.Add(shown(v))
	}
}

// count chooses how a number is spoken of: 1 credit, 1.5 credits, the 2nd.
func (r *rendering) count(n node, v any) {
	i, isWhole := whole(v)
	if credits, ok := amount(v); !isWhole && ok {
		if isWhole = credits == math.Trunc(credits); !isWhole {
			nodes, found := n.branch(forms[plural.Cardinal.MatchPlural(r.tag, int(credits)%10_000_000, 1, 1, 1, 1)])
			if !found {
				nodes, _ = n.branch("other")
			}
			r.nodes(nodes, credits)
			return
		}
		i = int64(credits)
	}
	nodes, found := n.branch("=" + strconv.FormatInt(i, 10))
	if !found {
		rules := plural.Cardinal
		if n.as == "ordinal" {
			rules = plural.Ordinal
		}
		if nodes, found = n.branch(forms[rules.MatchPlural(r.tag, int(i%10_000_000), 0, 0, 0, 0)]); !found {
			nodes, _ = n.branch("other")
		}
	}
	r.nodes(nodes, i)
}

var forms = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// whole reads a count; fault arguments come as decimal strings.
func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case string:
		i, err := strconv.ParseInt(v, 10, 64)
		return i, err == nil
	}
	return 0, false
}

func (r *rendering) number(v any, digits int) string {
	if i, ok := whole(v); ok {
		return r.printer.Sprint(number.Decimal(i))
	}
	if f, ok := v.(float64); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return r.printer.Sprint(number.Decimal(f, number.MaxFractionDigits(digits)))
	}
	return shown(v)
}

// credits writes an amount, or a string with a number of credits, as fault arguments carry it.
func (r *rendering) credits(v any) string {
	credits, ok := amount(v)
	if !ok {
		return shown(v)
	}
	return r.number(credits, 3)
}

// amount reads a number of credits.
func amount(v any) (credits float64, ok bool) {
	if a, isAmount := v.(ledger.Amount); isAmount {
		return float64(a) / float64(ledger.Credit), true
	}
	credits, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	return credits, err == nil && !math.IsNaN(credits) && !math.IsInf(credits, 0)
}

func (r *rendering) duration(v any) {
	d, ok := v.(time.Duration)
	if !ok {
		var err error
		if d, err = time.ParseDuration(fmt.Sprint(v)); err != nil {
			seconds, isWhole := whole(v)
			if !isWhole {
				r.out.Add(shown(v))
				return
			}
			d = time.Duration(seconds) * time.Second
		}
	}
	key, unit := "unit.days", 24*time.Hour
	switch {
	case d < 90*time.Second:
		key, unit = "unit.seconds", time.Second
	case d < 90*time.Minute:
		key, unit = "unit.minutes", time.Minute
	case d < 36*time.Hour:
		key, unit = "unit.hours", time.Hour
	}
	n := max(int64((d+unit/2)/unit), 1)
	r.out.Append(r.catalogue.Say(r.lang)(key, "n", n))
}

// moment writes a time in UTC, in a span that a platform may show in the reader's own time zone.
func (r *rendering) moment(v any, as string) {
	t, ok := v.(time.Time)
	if !ok {
		s := fmt.Sprint(v)
		if d, err := time.ParseDuration(s); err == nil {
			r.duration(d)
			return
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST"} {
			if parsed, err := time.Parse(layout, s); err == nil {
				t, ok = parsed, true
				break
			}
		}
		if !ok {
			r.out.Add(shown(v))
			return
		}
	}
	layout := "15:04 UTC"
	if as == "date" {
		layout = "2006-01-02 15:04 UTC"
	}
	r.out.Mark(bot.Timestamp, strconv.FormatInt(t.Unix(), 10), t.UTC().Format(layout))
}

// maxListed is how many values of a list are written out.
const maxListed = 20

func (r *rendering) list(v any, as string) {
	values, ok := v.([]string)
	if !ok {
		for s := range strings.SplitSeq(fmt.Sprint(v), ",") {
			if s = strings.TrimSpace(s); s != "" {
				values = append(values, s)
			}
		}
	}
	sep := r.catalogue.Say(r.lang)("unit.comma").Plain
	for i, s := range values {
		if i > 0 {
			r.out.Add(sep)
		}
		if i == maxListed {
			r.out.Add("…")
			break
		}
		if as == "languages" {
			s = translate.Name(s, r.lang)
		}
		r.out.Add(shown(s))
	}
}

// maxShown is how many characters of one value are shown: enough for a join string, too little to bury a message.
const maxShown = 400

// shown makes a value fit to stand within a sentence: no control or invisible direction characters, not endless.
func shown(v any) string {
	s := strings.Map(func(c rune) rune {
		if c == '\n' {
			return ' '
		}
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, fmt.Sprint(v))
	return cut(s, maxShown)
}
