package bot

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is what a message says: plain UTF-8 and spans over it. Adapters convert both ways; Markdown is read by ParseMarkdown only.
type Text struct {
	Plain string `json:"plain"`
	Spans []Span `json:"spans,omitempty"`
}

// Span marks Plain[Start:End], in bytes, on rune borders. Spans nest or stand apart, never cross; they are sorted by Start, then longest first.
type Span struct {
	Start int      `json:"start"`
	End   int      `json:"end"`
	Kind  SpanKind `json:"kind"`
	// Value is, of a Link, the URL; Pre: the language; Mention: the UserID; Emoji: a sign of the platform's own, by its id; Timestamp: Unix seconds, and
	// how it is shown behind a colon.
	Value string `json:"value,omitempty"`
}

type SpanKind string

const (
	Bold      SpanKind = "bold"
	Italic    SpanKind = "italic"
	Underline SpanKind = "underline"
	Strike    SpanKind = "strike"
	Spoiler   SpanKind = "spoiler"
	Code      SpanKind = "code"
	Pre       SpanKind = "pre"
	Link      SpanKind = "link"
	Quote     SpanKind = "quote"
	Mention   SpanKind = "mention"
	Emoji     SpanKind = "emoji"
	Timestamp SpanKind = "timestamp"
	// Small is a side remark: the line below an answer.
	Small SpanKind = "small"
	// Heading and List items keep their marks in Plain ("• ", "1. "); Heading is for adapters that can show one.
	Heading SpanKind = "heading"
)

// Plain makes a Text without any span; nothing in s is read as Markdown.
func Plain(s string) Text { return Text{Plain: s} }

// Builder puts a Text together. The zero value is ready; methods return the Builder, to be chained.
type Builder struct {
	plain strings.Builder
	spans []Span
}

// Add appends s without a span; nothing in it is read as Markdown.
func (b *Builder) Add(s string) *Builder {
	b.plain.WriteString(s)
	return b
}

// Mark appends s under one span.
func (b *Builder) Mark(kind SpanKind, value, s string) *Builder {
	if s != "" {
		b.spans = append(b.spans, Span{Start: b.plain.Len(), End: b.plain.Len() + len(s), Kind: kind, Value: value})
		b.plain.WriteString(s)
	}
	return b
}

func (b *Builder) Bold(s string) *Builder          { return b.Mark(Bold, "", s) }
func (b *Builder) Italic(s string) *Builder        { return b.Mark(Italic, "", s) }
func (b *Builder) Code(s string) *Builder          { return b.Mark(Code, "", s) }
func (b *Builder) Pre(language, s string) *Builder { return b.Mark(Pre, language, s) }
func (b *Builder) Small(s string) *Builder         { return b.Mark(Small, "", s) }

// Link appends s, which leads to url.
func (b *Builder) Link(s, url string) *Builder { return b.Mark(Link, url, s) }

// Append appends t with its spans.
func (b *Builder) Append(t Text) *Builder {
	at := b.plain.Len()
	for _, s := range t.Spans {
		s.Start += at
		s.End += at
		b.spans = append(b.spans, s)
	}
	b.plain.WriteString(t.Plain)
	return b
}

// Len is the length of what is there so far, in bytes.
func (b *Builder) Len() int { return b.plain.Len() }

// Text returns what was put together.
func (b *Builder) Text() Text {
	return Text{Plain: b.plain.String(), Spans: slices.Clone(b.spans)}.normal()
}

// Join puts texts behind each other with sep between; empty ones are left out.
func Join(sep Text, parts ...Text) Text {
	var b Builder
	for _, p := range parts {
		if p.Plain == "" {
			continue
		}
		if b.Len() > 0 {
			b.Append(sep)
		}
		b.Append(p)
	}
	return b.Text()
}

// In returns t with a span over all of it: Plain("x").In(Bold, "").
func (t Text) In(kind SpanKind, value string) Text {
	if t.Plain == "" {
		return t
	}
	return Text{Plain: t.Plain, Spans: append([]Span{{Start: 0, End: len(t.Plain), Kind: kind, Value: value}}, t.Spans...)}.normal()
}

// Slice returns t[start:end], in bytes on rune borders; spans are cut.
func (t Text) Slice(start, end int) Text {
	out := Text{Plain: t.Plain[start:end]}
	for _, s := range t.Spans {
		if s.Start >= end {
			break
		}
		s.Start, s.End = max(s.Start, start)-start, min(s.End, end)-start
		if s.Start < s.End {
			out.Spans = append(out.Spans, s)
		}
	}
	if start > 0 {
		sortSpans(out.Spans) // cutting made some begin at the same place
	}
	return out
}

// Trimmed is t without white space (blanks, tabs, line breaks) at its ends.
func (t Text) Trimmed() Text {
	const space = " \t\r\n"
	start := len(t.Plain) - len(strings.TrimLeft(t.Plain, space))
	end := len(strings.TrimRight(t.Plain, space))
	if start >= end {
		return Text{}
	}
	return t.Slice(start, end)
}

// RuneBorder is the byte offset behind the first n characters (runes) of s: 0 if n < 1, len(s) if there are no more.
func RuneBorder(s string, n int) int {
	for i := range s {
		if n--; n < 0 {
			return i
		}
	}
	return len(s)
}

// Len16 is the length in UTF-16 units, in which platforms count.
func (t Text) Len16() int {
	n := 0
	for _, c := range t.Plain {
		n += utf16.RuneLen(c)
	}
	return n
}

// sortSpans orders by Start, then longest first; equal ranges keep their order, so that what was put around stays around.
func sortSpans(spans []Span) {
	slices.SortStableFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
}

// normal returns t with spans as Span promises: inside Plain, on rune borders, not empty, sorted; one that crosses another is cut at its end.
func (t Text) normal() Text {
	if len(t.Spans) == 0 {
		return Text{Plain: t.Plain}
	}
	spans := make([]Span, 0, len(t.Spans))
	for _, s := range t.Spans {
		s.Start, s.End = border(t.Plain, s.Start), border(t.Plain, s.End)
		if s.Start < s.End {
			spans = append(spans, s)
		}
	}
	sortSpans(spans)
	var open []int // ends of the spans around
	kept := spans[:0]
	for _, s := range spans {
		for len(open) > 0 && open[len(open)-1] <= s.Start {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			s.End = min(s.End, open[len(open)-1])
		}
		open = append(open, s.End)
		kept = append(kept, s)
	}
	sortSpans(kept)
	if len(kept) == 0 {
		kept = nil
	}
	return Text{Plain: t.Plain, Spans: kept}
}

// border moves a byte offset into s and back to the beginning of its rune.
func border(s string, at int) int {
	at = min(max(at, 0), len(s))
	for at > 0 && at < len(s) && !utf8.RuneStart(s[at]) {
		at--
	}
	return at
}

// valid returns t as valid UTF-8 with well-formed spans: platforms and people can send anything.
func (t Text) valid() Text {
	if !utf8.ValidString(t.Plain) {
		return Plain(strings.ToValidUTF8(t.Plain, "\uFFFD"))
	}
	return t.normal()
}
