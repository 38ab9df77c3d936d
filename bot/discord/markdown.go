package discord

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"potluck/bot"
	"potluck/community"
)

// markdown writes t in Discord's Markdown. What is plain in t stays plain: marks in it are escaped, addresses stand in <…>, which shows them
// as they are and makes no preview.
func markdown(t bot.Text) string { return render(expanded(t)) }

// render is markdown of a text whose links were expanded.
func render(t bot.Text) string {
	w := writer{t: t}
	w.write(0, len(t.Plain), t.Spans, false)
	return w.out.String()
}

// expanded puts behind each link where it leads, unless that is what it shows. What is around a link is around that, too.
func expanded(t bot.Text) bot.Text {
	type insertion struct {
		at, span int // behind this byte, for the span with this index
		text     string
		link     bool
	}
	var all []insertion
	for i, s := range t.Spans {
		if s.Kind == bot.Link && t.Plain[s.Start:s.End] != s.Value {
			to := leadsTo(s.Value)
			all = append(all, insertion{s.End, i, " (" + to + ")", strings.HasPrefix(to, "http")})
		}
	}
	if len(all) == 0 {
		return t
	}
	slices.SortStableFunc(all, func(a, b insertion) int { return a.at - b.at })
	var plain strings.Builder
	var links []bot.Span
	at := 0
	for _, in := range all {
		plain.WriteString(t.Plain[at:in.at] + in.text)
		at = in.at
		if in.link {
			end := plain.Len() - 1
			links = append(links, bot.Span{Start: end - len(in.text) + 3, End: end, Kind: bot.Link, Value: in.text[2 : len(in.text)-1]})
		}
	}
	plain.WriteString(t.Plain[at:])
	var out bot.Builder
	spans := slices.Clone(t.Spans)
	for i := range spans {
		start, end := spans[i].Start, spans[i].End
		for _, in := range all {
			if in.at <= t.Spans[i].Start {
				start += len(in.text)
			}
			if in.at < t.Spans[i].End || in.at == t.Spans[i].End && i < in.span {
				end += len(in.text)
			}
		}
		spans[i].Start, spans[i].End = start, end
	}
	out.Append(bot.Text{Plain: plain.String(), Spans: append(spans, links...)})
	return out.Text()
}

// split cuts an expanded text into parts that are at most max long as Discord's Markdown.
func split(t bot.Text, max int) []bot.Text {
	for limit := max; ; limit -= max / 10 {
		// Where a part is cut decides which marks it needs, so that a shorter one may be longer by some: then everything is cut a bit shorter.
		parts := bot.Split(t, limit, length16)
		if limit <= max/2 || !slices.ContainsFunc(parts, func(p bot.Text) bool { return length16(p) > max }) {
			return parts
		}
	}
}

// length16 is the length of t in Discord's Markdown, in UTF-16 units, which is never less than the characters that Discord counts.
func length16(t bot.Text) int { return bot.Plain(render(t)).Len16() }

type writer struct {
	t     bot.Text
	out   strings.Builder
	quote bool // every line begins with "> "
}

var marks = map[bot.SpanKind]string{bot.Bold: "**", bot.Italic: "*", bot.Underline: "__", bot.Strike: "~~", bot.Spoiler: "||"}

func (w *writer) lineStart() bool {
	s := w.out.String()
	return s == "" || s[len(s)-1] == '\n' || w.quote && strings.HasSuffix(s, "\n> ")
}

// raw writes s as it is; within a quote its lines go on as lines of the quote.
func (w *writer) raw(s string) {
	if w.quote {
		s = strings.ReplaceAll(s, "\n", "\n> ")
	}
	w.out.WriteString(s)
}

func (w *writer) write(from, to int, spans []bot.Span, inCode bool) {
	for len(spans) > 0 {
		s := spans[0]
		inner := 1
		for inner < len(spans) && spans[inner].Start < s.End {
			inner++
		}
		w.plain(w.t.Plain[from:s.Start])
		w.span(s, spans[1:inner])
		from, spans = s.End, spans[inner:]
	}
	w.plain(w.t.Plain[from:to])
}

func (w *writer) span(s bot.Span, inner []bot.Span) {
	body := w.t.Plain[s.Start:s.End]
	switch s.Kind {
	case bot.Pre:
		w.ownLines(s, func() {
			w.raw("```" + s.Value + "\n" + strings.ReplaceAll(body, "```", "`\u200b``") + "\n```")
		})
	case bot.Code:
		w.raw(code(body))
	case bot.Quote:
		if w.quote {
			w.write(s.Start, s.End, inner, false)
			return
		}
		w.ownLines(s, func() {
			w.out.WriteString("> ")
			w.quote = true
			w.write(s.Start, s.End, inner, false)
			w.quote = false
		})
	case bot.Small, bot.Heading:
		w.lines(s, inner, map[bot.SpanKind]string{bot.Small: "-# ", bot.Heading: "### "}[s.Kind])
	case bot.Link:
		if body == s.Value {
			w.raw("<" + address(body) + ">")
			return
		}
		w.write(s.Start, s.End, inner, false) // where it leads was put behind it, or it is a piece of an address that was cut
	case bot.Mention, bot.Emoji, bot.Timestamp:
		w.raw(token(s, body))
	default:
		mark := marks[s.Kind]
		if body != strings.TrimSpace(body) {
			mark = "" // Discord reads no mark beside a space
		}
		w.raw(mark)
		w.write(s.Start, s.End, inner, false)
		w.raw(mark)
	}
}

// ownLines has a span begin a line and end one.
func (w *writer) ownLines(s bot.Span, write func()) {
	if !w.lineStart() {
		w.raw("\n")
	}
	write()
	if s.End < len(w.t.Plain) && w.t.Plain[s.End] != '\n' {
		w.raw("\n")
	}
}

// code is a text in backticks, whatever backticks it holds.
func code(body string) string {
	if !strings.Contains(body, "`") {
		return "`" + body + "`"
	}
	body = strings.ReplaceAll(body, "``", "`\u200b`")
	if body[0] == '`' {
		body = " " + body
	}
	if body[len(body)-1] == '`' {
		body += " "
	}
	return "``" + body + "``"
}

// lines writes a span whose mark stands at the beginning of each of its lines.
func (w *writer) lines(s bot.Span, inner []bot.Span, mark string) {
	if !w.lineStart() {
		w.write(s.Start, s.End, inner, false) // within a line there is no such mark
		return
	}
	for at := s.Start; at < s.End; {
		end := s.End
		if i := strings.IndexByte(w.t.Plain[at:s.End], '\n'); i >= 0 {
			end = at + i + 1
		}
		if line := w.t.Plain[at:end]; strings.TrimSpace(line) != "" {
			w.raw(mark)
		}
		var here []bot.Span
		for _, in := range inner {
			if in.Start < end && in.End > at {
				in.Start, in.End = max(in.Start, at), min(in.End, end)
				here = append(here, in)
			}
		}
		w.write(at, end, here, false)
		at = end
	}
}

// token writes what Discord shows in its own way; of another platform, it is its text.
func token(s bot.Span, body string) string {
	switch s.Kind {
	case bot.Mention:
		if community.Platform(s.Value) == name {
			if id := community.Local(s.Value); isDigits(id) {
				return "<@" + id + ">"
			}
		}
	case bot.Emoji:
		switch id, ok := strings.CutPrefix(s.Value, name+":"); {
		case !ok:
		case strings.HasPrefix(id, "#") && isDigits(id[1:]), isSlashMention(id):
			return "<" + id + ">"
		case strings.HasPrefix(id, "&") && isDigits(id[1:]):
			return "<@" + id + ">"
		}
		if animated, id, ok := emojiOf(s.Value); ok && len(body) > 2 {
			return "<" + animated + ":" + strings.Trim(body, ":") + ":" + id + ">"
		}
	case bot.Timestamp:
		seconds, style, _ := strings.Cut(s.Value, ":")
		if _, err := strconv.ParseInt(seconds, 10, 64); err == nil && len(style) <= 1 {
			if style != "" {
				seconds += ":" + style
			}
			return "<t:" + seconds + ">"
		}
	}
	return escaped(body, false)
}

// isSlashMention: "/worker link:123".
func isSlashMention(id string) bool {
	name, number, ok := strings.Cut(id, ":")
	return ok && len(name) > 1 && name[0] == '/' && isDigits(number) && !strings.ContainsAny(name, "<>:\n")
}

// emojiOf reads the value of an emoji span: "discord:123", or "discord:a123" for one that moves.
func emojiOf(value string) (animated, id string, ok bool) {
	id, ok = strings.CutPrefix(value, name+":")
	if moves, is := strings.CutPrefix(id, "a"); is {
		animated, id = "a", moves
	}
	return animated, id, ok && isDigits(id)
}

// leadsTo shows an address; of a very long one its site, since a message has no room for it.
func leadsTo(s string) string {
	const most = 500
	s = address(s)
	if len(s) <= most {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || len(u.Host) > 255 {
		return "…"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

func address(s string) string {
	return strings.NewReplacer(" ", "%20", ">", "%3E", "<", "%3C", "\n", "").Replace(s)
}

// plain writes text in which nothing is to be read as a mark. Addresses in it are put into <…>.
func (w *writer) plain(s string) {
	for s != "" {
		at, n := findAddress(s)
		if n == 0 {
			w.raw(escaped(s, w.lineStart()))
			return
		}
		w.raw(escaped(s[:at], w.lineStart()))
		w.raw("<" + s[at:at+n] + ">")
		s = s[at+n:]
	}
}

// findAddress returns where the first bare address stands in s and its length, 0 if there is none.
func findAddress(s string) (at, n int) {
	for from := 0; ; {
		i := strings.Index(s[from:], "http")
		if i < 0 {
			return 0, 0
		}
		at = from + i
		rest := s[at:]
		scheme := len("http://")
		if strings.HasPrefix(rest, "https://") {
			scheme = len("https://")
		} else if !strings.HasPrefix(rest, "http://") {
			from = at + 4
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(s[:at])
		if at > 0 && (unicode.IsLetter(before) || unicode.IsDigit(before)) {
			from = at + 4
			continue
		}
		end := strings.IndexFunc(rest, func(c rune) bool {
			return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune("<>\"`|\\*", c) || c == utf8.RuneError
		})
		if end < 0 {
			end = len(rest)
		}
		end = len(strings.TrimRight(rest[:end], ".,;:!?)]}'_~"))
		if end > scheme {
			return at, end
		}
		from = at + 4
	}
}

// escaped puts a backslash before each mark; lineStart: s begins a line.
func escaped(s string, lineStart bool) string {
	var b strings.Builder
	digits := lineStart
	for i := range len(s) {
		c := s[i]
		special := strings.IndexByte("\\*_`~|<[", c) >= 0
		special = special || lineStart && strings.IndexByte(">#-+", c) >= 0
		special = special || digits && !lineStart && c == '.' && i+1 < len(s) && s[i+1] == ' '
		if special {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		digits = c == '\n' || lineStart && (c == ' ' || c >= '0' && c <= '9') || digits && c >= '0' && c <= '9'
		lineStart = c == '\n' || lineStart && c == ' '
	}
	return b.String()
}
