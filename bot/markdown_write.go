package bot

import (
	"strings"
)

// Markdown writes t as Markdown that ParseMarkdown reads back: "**bold**", "_italic_", "~~strike~~", "||spoiler||", "__underline__".
// Mentions, emoji, timestamps and Small are plain text in it.
func (t Text) Markdown() string {
	var b strings.Builder
	t.markdown(&b, 0, len(t.Plain), t.Spans)
	return b.String()
}

var marksOf = map[SpanKind]string{Bold: "**", Italic: "_", Underline: "__", Strike: "~~", Spoiler: "||"}

func (t Text) markdown(b *strings.Builder, from, to int, spans []Span) {
	for len(spans) > 0 {
		s := spans[0]
		inner := 1
		for inner < len(spans) && spans[inner].Start < s.End {
			inner++
		}
		escape(b, t.Plain[from:s.Start], from)
		body := t.Plain[s.Start:s.End]
		switch s.Kind {
		case Pre:
			fence := strings.Repeat("`", max(3, longestTicks(body)+1))
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
				b.WriteByte('\n')
			}
			b.WriteString(fence + s.Value + "\n" + body + "\n" + fence)
			if s.End < len(t.Plain) && t.Plain[s.End] != '\n' {
				b.WriteByte('\n')
			}
		case Code:
			fence := strings.Repeat("`", longestTicks(body)+1)
			// What follows a line break could be read as the beginning of a block, and the closing marks themselves as a fence.
			b.WriteString(fence + strings.ReplaceAll(body, "\n", " ") + fence)
		case Quote, Heading:
			var in strings.Builder
			t.markdown(&in, s.Start, s.End, spans[1:inner])
			prefix := "> "
			if s.Kind == Heading {
				prefix = "# "
			}
			b.WriteString(prefix + strings.ReplaceAll(in.String(), "\n", "\n"+prefix))
		case Link:
			if s.Value == body {
				b.WriteString("<" + body + ">")
				break
			}
			b.WriteByte('[')
			t.markdown(b, s.Start, s.End, spans[1:inner])
			b.WriteString("](" + s.Value + ")")
		default:
			mark := marksOf[s.Kind]
			b.WriteString(mark)
			t.markdown(b, s.Start, s.End, spans[1:inner])
			b.WriteString(mark)
		}
		from, spans = s.End, spans[inner:]
	}
	escape(b, t.Plain[from:to], from)
}

func longestTicks(s string) int {
	longest := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '`' {
			n := run(s, i)
			longest = max(longest, n)
			i += n - 1
		}
	}
	return longest
}

// escape writes plain text so that no mark in it is read; at is where it stands in the whole.
func escape(b *strings.Builder, s string, at int) {
	lineStart := at == 0
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte("\\*_`~|[]<", c) >= 0 || lineStart && strings.IndexByte(">#-+", c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		lineStart = c == '\n' || lineStart && (c == ' ' || c == '\t')
	}
}
