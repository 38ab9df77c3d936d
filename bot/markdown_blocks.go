package bot

import (
	"strings"
	"unicode"
)

// blocks reads lines: marks at their beginning are taken off and become spans over what is left.
type blocks struct {
	out        strings.Builder
	spans      []Span
	paragraphs [][2]int // ranges of out that may hold inline marks; none of these reaches over a range's end
}

// mark adds a span over what was written since start, without the line break at its end.
func (b *blocks) mark(start int, kind SpanKind, value string) {
	end := b.out.Len()
	if end > start {
		end-- // every line was written with its break
	}
	if end > start {
		b.spans = append(b.spans, Span{Start: start, End: end, Kind: kind, Value: value})
	}
}

func (b *blocks) line(s string) {
	b.out.WriteString(s)
	b.out.WriteByte('\n')
}

// read reads lines; quoted tells whether they are those of a quotation.
func (b *blocks) read(lines []string, quoted bool) {
	open := -1 // where the paragraph began
	flush := func() {
		if open >= 0 && b.out.Len() > open {
			b.paragraphs = append(b.paragraphs, [2]int{open, b.out.Len() - 1})
		}
		open = -1
	}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimLeft(line, " \t")
		if fence := fenceOf(trimmed); fence != "" {
			flush()
			i = b.fence(lines, i, fence)
			continue
		}
		if !quoted && strings.HasPrefix(trimmed, ">") {
			flush()
			i = b.quote(lines, i)
			continue
		}
		if level := len(trimmed) - len(strings.TrimLeft(trimmed, "#")); level >= 1 && level <= 6 && len(trimmed) > level && trimmed[level] == ' ' {
			flush()
			open = b.out.Len()
			b.line(strings.TrimSpace(trimmed[level:]))
			b.mark(open, Heading, "")
			flush()
			continue
		}
		if trimmed == "" {
			flush()
			b.line(line)
			continue
		}
		if mark := listMark(trimmed); mark != "" {
			flush()
			b.out.WriteString(line[:len(line)-len(trimmed)])
			b.out.WriteString(bullet(mark))
			open = b.out.Len()
			b.line(trimmed[len(mark):])
			continue
		}
		if open < 0 {
			open = b.out.Len()
		}
		b.line(line)
	}
	flush()
}

// listMark returns "- ", "* ", "+ " or "12. " when a line begins with it.
func listMark(s string) string {
	if len(s) >= 2 && strings.IndexByte("-*+", s[0]) >= 0 && s[1] == ' ' {
		return s[:2]
	}
	n := 0
	for n < len(s) && n < 9 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > 0 && n+1 < len(s) && (s[n] == '.' || s[n] == ')') && s[n+1] == ' ' {
		return s[:n+2]
	}
	return ""
}

// bullet is what is shown for a listMark.
func bullet(mark string) string {
	if len(mark) == 2 && !unicode.IsDigit(rune(mark[0])) {
		return "• "
	}
	return mark
}

// quote writes the quotation that begins at lines[i] and returns the index of its last line. A quotation within one is the same quotation.
func (b *blocks) quote(lines []string, i int) int {
	var inner []string
	for ; i < len(lines); i++ {
		l := strings.TrimLeft(lines[i], " \t")
		if !strings.HasPrefix(l, ">") {
			break
		}
		for strings.HasPrefix(l, ">") {
			l = strings.TrimPrefix(l[1:], " ")
		}
		inner = append(inner, l)
	}
	start := b.out.Len()
	b.read(inner, true)
	b.mark(start, Quote, "")
	return i - 1
}

// fenceOf returns the marks of a line that opens a code block, else "".
func fenceOf(trimmed string) string {
	for _, c := range []string{"`", "~"} {
		rest := strings.TrimLeft(trimmed, c)
		if n := len(trimmed) - len(rest); n >= 3 && !(c == "`" && strings.Contains(rest, "`")) {
			return trimmed[:n]
		}
	}
	return ""
}

// fence writes the code block that opens at lines[i] and returns the index of its last line.
func (b *blocks) fence(lines []string, i int, fence string) int {
	indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " \t"))
	info := strings.TrimSpace(lines[i][indent+len(fence):])
	start := b.out.Len()
	language := info
	if !isLanguage(info) {
		language = ""
		b.line(info)
	}
	for i++; i < len(lines); i++ {
		l := lines[i]
		trimmed := strings.TrimSpace(l)
		if len(trimmed) >= len(fence) && strings.Trim(trimmed, fence[:1]) == "" {
			break
		}
		for n := 0; n < indent && l != "" && (l[0] == ' ' || l[0] == '\t'); n++ {
			l = l[1:]
		}
		b.line(l)
	}
	b.mark(start, Pre, language)
	return i
}

func isLanguage(s string) bool {
	if len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("+#-_.", c) < 0 {
			return false
		}
	}
	return true
}
