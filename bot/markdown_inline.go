package bot

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// inline reads the marks within paragraphs. Positions are those of s; what is left out or put in is noted as edits.
type inline struct {
	s     string
	spans []Span
	edits []edit

	open     []mark         // marks without counterpart so far, in order
	counts   map[string]int // how many of each kind are open
	brackets []bracket
}

type mark struct {
	at   int
	kind string // "*", "**", "_", "__", "~~", "||"
}

type bracket struct{ at, depth int } // depth: len(open) when it was met

type edit struct {
	start, end int
	with       string
}

var markKinds = map[string]SpanKind{"*": Italic, "_": Italic, "**": Bold, "__": Bold, "~~": Strike, "||": Spoiler}

func (in *inline) read(start, end int) {
	s := in.s[:end]
	in.open, in.brackets, in.counts = in.open[:0], in.brackets[:0], make(map[string]int)
	code := ticks(s, start)
	for i := start; i < end; {
		switch c := s[i]; c {
		case '\\':
			if i+1 < end && s[i+1] < utf8.RuneSelf && unicode.In(rune(s[i+1]), unicode.P, unicode.S) {
				in.drop(i, i+1)
				i++
			}
			i++
		case '`':
			n := run(s, i)
			if closing := code.after(n, i+n); closing > 0 {
				in.span(i+n, closing, Code, "")
				in.drop(i, i+n)
				in.drop(closing, closing+n)
				i = closing + n
				continue
			}
			i += n
		case '*', '_', '~', '|':
			n := run(s, i)
			in.marks(s, start, i, n)
			i += n
		case '<':
			if target, n := autolink(s[i:]); n > 0 {
				in.drop(i, i+1)
				in.span(i+1, i+n-1, Link, target)
				in.drop(i+n-1, i+n)
				i += n
				continue
			}
			i++
		case '[':
			in.brackets = append(in.brackets, bracket{i, len(in.open)})
			i++
		case ']':
			i = in.link(s, i)
		case 'h': // an address keeps its underscores
			i += max(1, address(s[i:]))
		default:
			i++
		}
	}
}

// run counts how often the byte at i stands there in a row.
func run(s string, i int) int {
	n := 1
	for i+n < len(s) && s[i+n] == s[i] {
		n++
	}
	return n
}

// tickRuns knows where runs of backticks stand, by their length.
type tickRuns map[int][]int

func ticks(s string, from int) tickRuns {
	t := make(tickRuns)
	for i := from; i < len(s); {
		if s[i] != '`' {
			next := strings.IndexByte(s[i:], '`')
			if next < 0 {
				break
			}
			i += next
		}
		n := run(s, i)
		t[n] = append(t[n], i)
		i += n
	}
	return t
}

// after returns where the next run of n backticks at or behind from begins, 0 if there is none.
func (t tickRuns) after(n, from int) int {
	at := t[n]
	for len(at) > 0 && at[0] < from {
		at = at[1:]
	}
	if t[n] = at; len(at) == 0 {
		return 0
	}
	return at[0]
}

// marks reads a run of n equal characters at i: they close what is open, or open something, or are text.
func (in *inline) marks(s string, start, i, n int) {
	c := s[i : i+1]
	var before, after rune = ' ', ' '
	if i > start {
		before, _ = utf8.DecodeLastRuneInString(s[start:i])
	}
	if i+n < len(s) {
		after, _ = utf8.DecodeRuneInString(s[i+n:])
	}
	opens, closes := !unicode.IsSpace(after), !unicode.IsSpace(before)
	if c == "_" { // snake_case is no emphasis
		opens = opens && !isWord(before)
		closes = closes && !isWord(after)
	}
	var kinds []string // which marks the run is made of, outermost first
	switch {
	case (c == "*" || c == "_") && n == 1:
		kinds = []string{c}
	case n == 2:
		kinds = []string{c + c}
	case (c == "*" || c == "_") && n == 3:
		kinds = []string{c + c, c}
	default:
		return // "~", "|", "----": text
	}
	if closes {
		at := i
		left := kinds
		for len(left) > 0 {
			k := in.innermost(left)
			if k == "" {
				break
			}
			in.close(k, at)
			at += len(k)
			left = slices.DeleteFunc(slices.Clone(left), func(x string) bool { return x == k })
		}
		if len(left) < len(kinds) {
			return
		}
	}
	if opens {
		at := i
		for _, k := range kinds {
			in.open = append(in.open, mark{at, k})
			in.counts[k]++
			at += len(k)
		}
	}
}

func isWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// innermost returns which of at most two kinds was opened last, "" when none is open.
func (in *inline) innermost(kinds []string) string {
	var known []string
	for _, k := range kinds {
		if in.counts[k] > 0 {
			known = append(known, k)
		}
	}
	if len(known) < 2 {
		return strings.Join(known, "")
	}
	// Both are open, and whatever is above them is given up with the first that closes: every mark is looked at once.
	for i := len(in.open) - 1; i >= 0; i-- {
		if k := in.open[i].kind; slices.Contains(known, k) {
			in.giveUp(i + 1)
			return k
		}
	}
	return ""
}

// giveUp makes the open marks from depth on plain text.
func (in *inline) giveUp(depth int) {
	for _, m := range in.open[depth:] {
		in.counts[m.kind]--
	}
	in.open = in.open[:depth]
	for len(in.brackets) > 0 && in.brackets[len(in.brackets)-1].depth > depth {
		in.brackets = in.brackets[:len(in.brackets)-1]
	}
}

// close ends the innermost mark of a kind, which is open, at the mark that begins at.
func (in *inline) close(kind string, at int) {
	d := len(in.open) - 1
	for in.open[d].kind != kind {
		d--
	}
	m := in.open[d]
	// "***a** b*": which of the two marks is the outer one shows only where the first is closed.
	if n := m.at + 2; len(kind) == 2 && d+1 < len(in.open) && in.open[d+1] == (mark{n, kind[:1]}) {
		in.open[d], in.open[d+1] = mark{m.at, kind[:1]}, mark{m.at + 1, kind}
		d++
		m = in.open[d]
	}
	in.giveUp(d)
	in.span(m.at+len(kind), at, markKinds[kind], "")
	in.drop(m.at, m.at+len(kind))
	in.drop(at, at+len(kind))
}

// link reads what follows "]" at i and returns where to go on.
func (in *inline) link(s string, i int) int {
	if len(in.brackets) == 0 {
		return i + 1
	}
	b := in.brackets[len(in.brackets)-1]
	in.brackets = in.brackets[:len(in.brackets)-1]
	target, n := destination(s[i+1:])
	if n == 0 || b.at+1 >= i {
		return i + 1
	}
	if len(in.open) > b.depth {
		in.giveUp(b.depth)
	}
	from := b.at
	if from > 0 && s[from-1] == '!' { // a picture: its description and where it is
		in.drop(from-1, from)
	}
	in.drop(from, from+1)
	end := i + 1 + n
	if label := s[from+1 : i]; label == target {
		in.drop(i, end)
		in.span(from+1, i, Link, target)
		return end
	}
	at := i + 1 + strings.Index(s[i+1:end], target)
	in.replace(i, at, " (")
	in.span(at, at+len(target), Link, target)
	in.replace(at+len(target), end, ")")
	return end
}

// destination reads "(https://…)" or "(https://… "title")"; a title is left as it is found: then it is no link.
func destination(s string) (target string, n int) {
	if !strings.HasPrefix(s, "(") {
		return "", 0
	}
	depth := 1
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			if depth++; depth > 4 {
				return "", 0
			}
		case c == ')':
			if depth--; depth == 0 {
				if !isURL(s[1:i]) {
					return "", 0
				}
				return s[1:i], i + 1
			}
		case c <= ' ' || c == '[' || c == ']' || c == '<' || c == '\\':
			return "", 0
		}
	}
	return "", 0
}

func autolink(s string) (target string, n int) {
	if !strings.HasPrefix(s, "<http") {
		return "", 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '>':
			if isURL(s[1:i]) {
				return s[1:i], i + 1
			}
			return "", 0
		case c <= ' ' || c == '<':
			return "", 0
		}
	}
	return "", 0
}

// address returns the length of the bare URL that s begins with, 0 if it does not.
func address(s string) int {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return 0
	}
	for i := range len(s) {
		if s[i] <= ' ' || strings.IndexByte("<>[]()\"`|*\\", s[i]) >= 0 {
			return i
		}
	}
	return len(s)
}

// isURL: only addresses that people can judge by looking at them.
func isURL(s string) bool {
	if len(s) > 2048 || !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil
}

func (in *inline) drop(start, end int) { in.replace(start, end, "") }

func (in *inline) replace(start, end int, with string) {
	in.edits = append(in.edits, edit{start, end, with})
}

func (in *inline) span(start, end int, kind SpanKind, value string) {
	in.spans = append(in.spans, Span{Start: start, End: end, Kind: kind, Value: value})
}

// text carries the edits out and moves the spans along.
func (in *inline) text() Text {
	slices.SortFunc(in.edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out strings.Builder
	out.Grow(len(in.s))
	at := 0
	ends := make([]int, len(in.edits)) // length of out behind each edit
	for i, e := range in.edits {
		out.WriteString(in.s[at:e.start])
		out.WriteString(e.with)
		at, ends[i] = e.end, out.Len()
	}
	out.WriteString(in.s[at:])
	// move tells where a position of s is now. A span's start lies behind an edit that ends there, its end before one that begins there.
	move := func(pos int, start bool) int {
		i, _ := slices.BinarySearchFunc(in.edits, pos, func(e edit, pos int) int {
			if e.start < pos || start && e.end <= pos {
				return -1
			}
			return 1
		})
		if i == 0 {
			return pos
		}
		return ends[i-1] + pos - in.edits[i-1].end
	}
	for i := range in.spans {
		sp := &in.spans[i]
		sp.Start, sp.End = move(sp.Start, true), move(sp.End, false)
	}
	return Text{Plain: out.String(), Spans: in.spans}.normal()
}
