package telegram

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/go-telegram/bot/models"

	"potluck/bot"
)

// Texts go out as plain text with entities, never with a parse mode: nothing that a model or a person writes can break or forge formatting.

const (
	maxText    = 4096 // UTF-16 units
	maxCaption = 1024
	// Telegram keeps a hundred entities of a message and forgets the others, code blocks among them.
	maxEntities = 100
	maxHost     = 253 // bytes of a web address's host
)

// entityKinds are the spans that have a counterpart.
var entityKinds = map[bot.SpanKind]models.MessageEntityType{
	bot.Bold: models.MessageEntityTypeBold, bot.Italic: models.MessageEntityTypeItalic, bot.Underline: models.MessageEntityTypeUnderline,
	bot.Strike: models.MessageEntityTypeStrikethrough, bot.Spoiler: models.MessageEntityTypeSpoiler, bot.Code: models.MessageEntityTypeCode,
	bot.Pre: models.MessageEntityTypePre, bot.Link: models.MessageEntityTypeTextLink, bot.Quote: models.MessageEntityTypeBlockquote,
	bot.Small: models.MessageEntityTypeItalic, bot.Heading: models.MessageEntityTypeBold,
}

// rendered is a text with its entities, as Telegram takes it.
type rendered struct {
	text     string
	entities []models.MessageEntity
}

// render makes Telegram's form of t: offsets count UTF-16 units, code holds nothing else, quotes do not nest, white space at the ends (which
// Telegram would cut off, moving nothing else) is gone. Nobody is called by what looks like a name.
func render(t bot.Text) rendered {
	t = t.Trimmed()
	t = visible(t)
	calls := callsIn(t)
	before := func(at int) int { // calls that lie before a place in the text
		n, _ := slices.BinarySearch(calls, at)
		return n
	}
	at := offsets16(t.Plain)
	out := rendered{text: silent(t.Plain, calls)}
	codeEnd, quoteEnd := 0, 0 // of the code and the quote that are open, in bytes
	for _, s := range t.Spans {
		kind, ok := entityKinds[s.Kind]
		if !ok || s.Start < codeEnd || s.Kind == bot.Quote && s.Start < quoteEnd {
			continue
		}
		e := models.MessageEntity{Type: kind, Offset: at(s.Start) + before(s.Start+1)}
		e.Length = at(s.End) + before(s.End) - e.Offset
		switch s.Kind {
		case bot.Pre:
			e.Language = languageOf(s.Value)
			codeEnd = s.End
		case bot.Code:
			codeEnd = s.End
		case bot.Quote:
			quoteEnd = s.End
		case bot.Link:
			if !linkable(s.Value) {
				continue
			}
			e.URL = s.Value
		}
		out.entities = append(out.entities, e)
	}
	out.entities = uncovered(out.entities)
	return out
}

// uncovered cuts what stands around code into the pieces beside it, since Telegram lets only quotes hold code, and drops what is said twice
// of the same place; of too many entities it keeps code and links first.
func uncovered(list []models.MessageEntity) []models.MessageEntity {
	code := slices.DeleteFunc(slices.Clone(list), func(e models.MessageEntity) bool { return !isCode(e) })
	seen := make(map[models.MessageEntity]bool)
	var out []models.MessageEntity
	next := 0 // of code: those before end where e begins or earlier
	for _, e := range list {
		plain := models.MessageEntity{Type: e.Type, Offset: e.Offset, Length: e.Length}
		if seen[plain] {
			continue
		}
		seen[plain] = true
		for next < len(code) && code[next].Offset+code[next].Length <= e.Offset {
			next++
		}
		if isCode(e) || e.Type == models.MessageEntityTypeBlockquote {
			out = append(out, e)
			continue
		}
		end := e.Offset + e.Length
		for i := next; i < len(code) && code[i].Offset < end; i++ {
			if e.Length = code[i].Offset - e.Offset; e.Length > 0 {
				out = append(out, e)
			}
			e.Offset = code[i].Offset + code[i].Length
		}
		if e.Length = end - e.Offset; e.Length > 0 {
			out = append(out, e)
		}
	}
	order := func(a, b models.MessageEntity) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Length, a.Length))
	}
	if len(out) > maxEntities {
		slices.SortStableFunc(out, func(a, b models.MessageEntity) int { return cmp.Compare(rank(a), rank(b)) })
		out = out[:maxEntities]
	}
	slices.SortStableFunc(out, order)
	return out
}

// rank orders entities by what is lost without them.
func rank(e models.MessageEntity) int {
	switch {
	case e.Type == models.MessageEntityTypePre:
		return 0
	case isCode(e) || e.URL != "" || e.Type == models.MessageEntityTypeBlockquote:
		return 1
	}
	return 2
}

func isCode(e models.MessageEntity) bool {
	return e.Type == models.MessageEntityTypePre || e.Type == models.MessageEntityTypeCode
}

// hidden calls f for each link whose text is not its address, with where the text ends.
func hidden(t bot.Text, f func(end int, address string)) {
	from := 0
	for _, s := range t.Spans {
		if s.Kind != bot.Link || s.End < from {
			continue
		}
		label := t.Plain[s.Start:s.End]
		if strings.Contains(s.Value, strings.TrimSuffix(label, "/")) || strings.HasPrefix(strings.TrimLeft(t.Plain[s.End:], " ("), s.Value) || !linkable(s.Value) {
			continue
		}
		f(s.End, s.Value)
		from = s.End
	}
}

// visible writes the address behind each link whose text is something else, so that nobody is led astray.
func visible(t bot.Text) bot.Text {
	var b bot.Builder
	from := 0
	hidden(t, func(end int, address string) {
		b.Append(t.Slice(from, end)).Add(" (" + address + ")")
		from = end
	})
	if from == 0 {
		return t
	}
	return b.Append(t.Slice(from, len(t.Plain))).Text()
}

// callBreak has no width and no letter: behind an "@" it keeps a name from being a mention.
const callBreak = "\u2060"

// callsIn lists where in a text, behind an "@", a name begins of which Telegram would make a mention by itself, so that its owner is called: what
// models and members write through the bot calls nobody. Code, links and addresses call nobody anyway, and are to stay as they are.
func callsIn(t bot.Text) (all []int) {
	if !strings.Contains(t.Plain, "@") {
		return nil
	}
	var last rune
	from, address := 0, false // the word that is passed through, and whether it is one
	spans, covered := t.Spans, 0
	for i, c := range t.Plain {
		for ; len(spans) > 0 && spans[0].Start <= i; spans = spans[1:] {
			if k := spans[0].Kind; k == bot.Code || k == bot.Pre || k == bot.Link {
				covered = max(covered, spans[0].End)
			}
		}
		if i == from {
			address = isAddress(t.Plain[i:])
		}
		switch {
		case strings.ContainsRune(" \t\r\n(<\"", c):
			from = i + 1
		case c == '@' && i >= covered && !address && !isWord(last) && i+1 < len(t.Plain) && isWord(rune(t.Plain[i+1])) && t.Plain[i+1] < 0x80:
			all = append(all, i+1)
		}
		last = c
	}
	return all
}

func isWord(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }

// isAddress tells whether a text begins with a web address, as far as its host shows it.
func isAddress(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	host := rest[:min(len(rest), maxHost)]
	if end := strings.IndexAny(host, "/?#:@ \t\r\n"); end >= 0 {
		host = host[:end]
	}
	return ok && strings.Contains(strings.Trim(host, "."), ".")
}

// silent puts a callBreak at each of these places.
func silent(s string, calls []int) string {
	var b strings.Builder
	from := 0
	for _, at := range calls {
		b.WriteString(s[from:at])
		b.WriteString(callBreak)
		from = at
	}
	b.WriteString(s[from:])
	return b.String()
}

// linkable: Telegram takes web addresses, and refuses the whole message for others.
func linkable(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.Contains(u.Hostname(), ".") && len(s) < 2000
}

// languageOf is a code block's language in a form that Telegram takes.
func languageOf(s string) string {
	if len(s) > 30 || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return s
}

// offsets16 turns byte offsets of a text into UTF-16 offsets.
func offsets16(s string) func(int) int {
	table := make([]int32, len(s)+1) // at the first byte of each character, and at the end
	units := int32(0)
	for i, c := range s {
		table[i] = units
		units += int32(utf16.RuneLen(c))
	}
	table[len(s)] = units
	return func(at int) int { return int(table[at]) }
}

// measure is how long t is once it is rendered. More entities than a message can have make it too long for one.
func measure(t bot.Text) int {
	n := -maxEntities
	for _, s := range t.Spans {
		if _, ok := entityKinds[s.Kind]; ok {
			n++
		}
	}
	units := t.Len16() + max(n, 0)*maxText + len(callsIn(t))
	hidden(t, func(_ int, address string) { units += bot.Plain(address).Len16() + len(" ()") })
	return units
}

// split cuts t into texts that each fit into a message.
func split(t bot.Text, most int) []bot.Text {
	parts := bot.Split(t, most, measure)
	if len(parts) == 0 {
		return []bot.Text{{}}
	}
	return parts
}

// spanKinds are the entities that the core knows.
var spanKinds = map[string]bot.SpanKind{
	"bold": bot.Bold, "italic": bot.Italic, "underline": bot.Underline, "strikethrough": bot.Strike, "spoiler": bot.Spoiler, "code": bot.Code,
	"pre": bot.Pre, "text_link": bot.Link, "url": bot.Link, "blockquote": bot.Quote, "expandable_blockquote": bot.Quote, "mention": bot.Mention,
	"text_mention": bot.Mention, "custom_emoji": bot.Emoji, "date_time": bot.Timestamp,
}

// readText makes the core's form of a text with entities; those that are out of place are left out.
func readText(text string, list []rawEntity) bot.Text {
	t := bot.Text{Plain: text}
	at := bytes16(text)
	for _, e := range list {
		kind, ok := spanKinds[e.Type]
		start, fine := at(e.Offset)
		end, fineEnd := at(e.Offset + e.Length)
		if !ok || !fine || !fineEnd || start >= end {
			continue
		}
		s := bot.Span{Start: start, End: end, Kind: kind}
		switch e.Type {
		case "pre":
			s.Value = e.Language
		case "text_link":
			s.Value = e.URL
		case "url":
			if s.Value = text[start:end]; !strings.Contains(s.Value, "://") {
				s.Value = "https://" + s.Value
			}
		case "mention":
			s.Value = name + ":" + strings.ToLower(text[start:end])
		case "text_mention":
			s.Value = string(userID(e.User.ID))
		case "custom_emoji":
			s.Value = e.Emoji
		case "date_time":
			s.Value = strconv.FormatInt(e.UnixTime, 10)
		}
		t.Spans = append(t.Spans, s)
	}
	var b bot.Builder
	return b.Append(t).Text()
}

// bytes16 turns UTF-16 offsets of s into byte offsets; false for those outside, or within a character.
func bytes16(s string) func(int) (int, bool) {
	starts := make([]int, 0, len(s)+1)
	for i, c := range s {
		starts = append(starts, i)
		if utf16.RuneLen(c) == 2 {
			starts = append(starts, -1)
		}
	}
	starts = append(starts, len(s))
	return func(at int) (int, bool) {
		if at < 0 || at >= len(starts) || starts[at] < 0 {
			return 0, false
		}
		return starts[at], true
	}
}
