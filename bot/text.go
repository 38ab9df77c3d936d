package bot

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
	Value string   `json:"value,omitempty"` // Link: the URL; Pre: the language; Mention: the UserID; Emoji: the platform's id; Timestamp: Unix seconds
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
