package discord

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"potluck/bot"
)

// names tells how people, channels and roles that a message mentions are called; "" is unknown.
type names struct {
	user, channel, role func(id string) string
}

// readMarkdown reads what people write on Discord. No text is lost; the time is linear in its length but for the depth of marks.
func readMarkdown(s string, n names) bot.Text {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
	r := reader{names: n}
	r.blocks(s)
	return r.b.Text()
}

type reader struct {
	names names
	b     bot.Builder
}

// blocks reads fences, and lines with a mark at their beginning.
func (r *reader) blocks(s string) {
	lineStart := true
	for s != "" {
		if fence, body, language, ok := fenced(s); ok {
			r.b.Pre(language, body)
			s = s[fence:]
			lineStart = false
			continue
		}
		end := strings.IndexByte(s, '\n') + 1
		if end == 0 {
			end = len(s)
		}
		// A fence may begin within a line.
		if i := strings.Index(s[:end], "```"); i > 0 {
			if _, _, _, ok := fenced(s[i:]); ok {
				end = i
			}
		}
		line := s[:end]
		if !lineStart {
			r.b.Append(r.inline(line, 0))
		} else {
			s = s[r.line(s, line):]
			lineStart = true
			continue
		}
		s = s[end:]
		lineStart = strings.HasSuffix(line, "\n")
	}
}

// fenced reads a code block that s begins with; n is its length.
func fenced(s string) (n int, body, language string, ok bool) {
	if !strings.HasPrefix(s, "```") {
		return 0, "", "", false
	}
	end := strings.Index(s[3:], "```")
	if end <= 0 {
		return 0, "", "", false
	}
	body = s[3 : 3+end]
	if first, rest, ok := strings.Cut(body, "\n"); ok && isLanguage(first) {
		language, body = first, rest
	}
	if strings.Trim(body, "\n") == "" {
		return 0, "", "", false
	}
	body = strings.TrimSuffix(strings.TrimPrefix(body, "\n"), "\n")
	return end + 6, body, language, body != ""
}

func isLanguage(s string) bool {
	return len(s) <= 32 && strings.IndexFunc(s, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("+#-_.", c)
	}) < 0
}

// line reads the line at the beginning of s (or more: a quote) and returns how much it took.
func (r *reader) line(s, line string) (taken int) {
	text := strings.TrimSuffix(line, "\n")
	tail := line[len(text):]
	switch {
	case strings.HasPrefix(s, ">>> "):
		r.b.Append(r.inline(s[4:], 0).In(bot.Quote, ""))
		return len(s)
	case strings.HasPrefix(text, "> "):
		var quoted []string
		for strings.HasPrefix(s[taken:], "> ") {
			l := s[taken:]
			if i := strings.IndexByte(l, '\n'); i >= 0 {
				l = l[:i+1]
			}
			taken += len(l)
			quoted = append(quoted, strings.TrimSuffix(l[2:], "\n"))
		}
		inner := reader{names: r.names}
		inner.blocks(strings.Join(quoted, "\n"))
		r.b.Append(inner.b.Text().In(bot.Quote, ""))
		if s[taken-1] == '\n' {
			r.b.Add("\n")
		}
		return taken
	}
	for mark, kind := range map[string]bot.SpanKind{"# ": bot.Heading, "## ": bot.Heading, "### ": bot.Heading, "-# ": bot.Small} {
		if rest, ok := strings.CutPrefix(text, mark); ok && strings.TrimSpace(rest) != "" {
			r.b.Append(r.inline(strings.TrimLeft(rest, " "), 0).In(kind, "")).Add(tail)
			return len(line)
		}
	}
	r.b.Append(r.inline(line, 0))
	return len(line)
}

var readMarks = []struct {
	mark string
	kind bot.SpanKind
}{{"**", bot.Bold}, {"__", bot.Underline}, {"~~", bot.Strike}, {"||", bot.Spoiler}, {"*", bot.Italic}, {"_", bot.Italic}}

// maxDepth bounds marks within marks: deeper ones are text.
const maxDepth = 12

// inline reads the marks within a line.
func (r *reader) inline(s string, depth int) bot.Text {
	var b bot.Builder
	never := make(map[string]bool) // marks that are not closed any more
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && s[i+1] < utf8.RuneSelf && strings.IndexByte("\\*_`~|<>[]()#-+.:@", s[i+1]) >= 0:
			b.Add(s[i+1 : i+2])
			i += 2
			continue
		case c == '`':
			if n, body := inlineCode(s[i:], never); n > 0 {
				b.Code(body)
				i += n
				continue
			}
			n := ticks(s[i:])
			b.Add(s[i : i+n])
			i += n
			continue
		case c == '<':
			if n := r.token(&b, s[i:]); n > 0 {
				i += n
				continue
			}
		case c == '[':
			if n := r.link(&b, s[i:], depth); n > 0 {
				i += n
				continue
			}
		case c == 'h' && strings.HasPrefix(s[i:], "http"):
			if at, n := findAddress(s[i:min(len(s), i+2100)]); n > 0 && at == 0 && (i == 0 || !isLetterBefore(s[:i])) {
				b.Link(s[i:i+n], s[i:i+n])
				i += n
				continue
			}
		case depth < maxDepth && strings.IndexByte("*_~|", c) >= 0:
			if n := r.marked(&b, s, i, depth, never); n > 0 {
				i += n
				continue
			}
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		b.Add(s[i : i+n])
		i += n
	}
	return b.Text()
}

func isLetterBefore(s string) bool {
	c, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsLetter(c) || unicode.IsDigit(c)
}

func ticks(s string) int { return len(s) - len(strings.TrimLeft(s, "`")) }

func inlineCode(s string, never map[string]bool) (n int, body string) {
	open := ticks(s)
	fence := s[:open]
	if open > 2 || never[fence] {
		return 0, ""
	}
	for at := open; at < len(s); {
		i := strings.IndexByte(s[at:], '`')
		if i < 0 {
			break
		}
		at += i
		k := ticks(s[at:])
		if k == open && at > open {
			body = s[open:at]
			if open == 2 && strings.HasPrefix(body, " `") {
				body = body[1:]
			}
			if open == 2 && strings.HasSuffix(body, "` ") {
				body = body[:len(body)-1]
			}
			return at + k, body
		}
		at += k
	}
	never[fence] = true
	return 0, ""
}

// marked reads a mark at i with what stands between it and its counterpart.
func (r *reader) marked(b *bot.Builder, s string, i, depth int, never map[string]bool) (n int) {
	for _, m := range readMarks {
		if !strings.HasPrefix(s[i:], m.mark) || never[m.mark] {
			continue
		}
		if m.mark == "_" && i > 0 && isLetterBefore(s[:i]) {
			continue // snake_case
		}
		begin := i + len(m.mark)
		end := closing(s, begin, m.mark)
		if end < 0 {
			never[m.mark] = true
			continue
		}
		body := s[begin:end]
		if strings.TrimSpace(body) == "" || len(m.mark) == 1 && (body[0] == ' ' || body[len(body)-1] == ' ') {
			continue
		}
		b.Append(r.inline(body, depth+1).In(m.kind, ""))
		return end + len(m.mark) - i
	}
	return 0
}

// closing finds the counterpart of a mark: not escaped, not within code or a longer run of the same character, for "_" at a word's end.
func closing(s string, from int, mark string) int {
	for i := from; i < len(s); {
		switch {
		case s[i] == '\\':
			i += 2
			continue
		case s[i] == '`':
			if n, _ := inlineCode(s[i:], map[string]bool{}); n > 0 {
				i += n
				continue
			}
			i += ticks(s[i:])
			continue
		case s[i] == '<':
			if end := strings.IndexAny(s[i+1:], "<> \n"); end >= 0 && s[i+1+end] == '>' {
				i += end + 2
				continue
			}
		case s[i] == mark[0]:
			run := 1
			for i+run < len(s) && s[i+run] == mark[0] {
				run++
			}
			if len(mark) == 2 && run >= 2 {
				return i + run - 2
			}
			if len(mark) == 1 && run%2 == 1 {
				at := i + run - 1
				after, _ := utf8.DecodeRuneInString(s[at+1:])
				if at > from && (mark != "_" || at+1 == len(s) || !unicode.IsLetter(after) && !unicode.IsDigit(after)) {
					return at
				}
			}
			i += run
			continue
		}
		i++
	}
	return -1
}

// token reads <@1>, <#1>, <@&1>, <:name:1>, <t:1:R>, </name:1> and <https://…>; it returns how long it is.
func (r *reader) token(b *bot.Builder, s string) int {
	end := strings.IndexByte(s[:min(len(s), 2100)], '>')
	if end < 2 {
		return 0
	}
	in, n := s[1:end], end+1
	if strings.ContainsAny(in, "<\n") {
		return 0
	}
	if r.inToken(b, in) {
		return n
	}
	return 0
}

// inToken reads what stands between < and >. To the core a mention is a person; channels, roles and commands are signs of Discord's, like an emoji.
func (r *reader) inToken(b *bot.Builder, in string) bool {
	switch {
	case strings.HasPrefix(in, "@&"):
		return mention(b, bot.Emoji, in[2:], in[1:], "@", r.names.role)
	case strings.HasPrefix(in, "@"):
		id := strings.TrimPrefix(in[1:], "!")
		return mention(b, bot.Mention, id, id, "@", r.names.user)
	case strings.HasPrefix(in, "#"):
		return mention(b, bot.Emoji, in[1:], in, "#", r.names.channel)
	case isSlashMention(in):
		shown, _, _ := strings.Cut(in, ":")
		b.Mark(bot.Emoji, name+":"+in, shown)
		return true
	case strings.HasPrefix(in, ":") || strings.HasPrefix(in, "a:"):
		return customEmoji(b, in)
	case strings.HasPrefix(in, "t:"):
		return timestamp(b, in)
	case (strings.HasPrefix(in, "http://") || strings.HasPrefix(in, "https://")) && !strings.ContainsAny(in, " "):
		b.Link(in, in)
		return true
	}
	return false
}

// mention marks an id by the name that of knows for it (of may be nil).
func mention(b *bot.Builder, kind bot.SpanKind, id, value, sign string, of func(string) string) bool {
	if !isDigits(id) || len(id) > 20 {
		return false
	}
	shown := ""
	if of != nil {
		shown = of(id)
	}
	b.Mark(kind, name+":"+value, sign+cmp.Or(shown, id))
	return true
}

// customEmoji reads ":name:1" and "a:name:1", an animated one.
func customEmoji(b *bot.Builder, in string) bool {
	animated, rest, _ := strings.Cut(in, ":")
	shown, id, ok := strings.Cut(rest, ":")
	if !ok || shown == "" || !isDigits(id) || strings.Trim(shown, emojiLetters) != "" {
		return false
	}
	b.Mark(bot.Emoji, name+":"+animated+id, ":"+shown+":")
	return true
}

// timestamp reads "t:1" and "t:1:R".
func timestamp(b *bot.Builder, in string) bool {
	seconds, style, _ := strings.Cut(in[2:], ":")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(style) > 1 || at < -1e12 || at > 1e12 || strconv.FormatInt(at, 10) != seconds || strings.HasSuffix(in, ":") {
		return false
	}
	b.Mark(bot.Timestamp, in[2:], time.Unix(at, 0).UTC().Format("2006-01-02 15:04 UTC"))
	return true
}

const emojiLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_~"

// link reads [text](https://…).
func (r *reader) link(b *bot.Builder, s string, depth int) int {
	mid := strings.Index(s[:min(len(s), 1000)], "](")
	if mid < 2 || depth >= maxDepth || strings.ContainsAny(s[1:mid], "[\n") {
		return 0
	}
	end := strings.IndexByte(s[mid:min(len(s), mid+2100)], ')')
	if end < 0 {
		return 0
	}
	target := strings.Trim(s[mid+2:mid+end], "<>")
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") || strings.ContainsAny(target, " \n<>") {
		return 0
	}
	b.Append(r.inline(s[1:mid], depth+1).In(bot.Link, target))
	return mid + end + 1
}
