package bot

import (
	"slices"
	"strings"
)

// ParseMarkdown reads what models write: bold, italic, strike, spoiler, code, fences with a language (one that is not closed goes on to the
// end), links, quotes, lists and headings. A link becomes its text and the bare URL behind it, so that nobody is led astray. Marks that have
// no counterpart stay as they are; no text is lost. The time is linear in the length, whatever is in it.
func ParseMarkdown(s string) Text {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	var p blocks
	p.read(strings.Split(s, "\n"), false)
	mid := strings.TrimSuffix(p.out.String(), "\n")
	if strings.HasSuffix(s, "\n") && !strings.HasSuffix(mid, "\n") {
		mid += "\n"
	}
	in := inline{s: mid}
	for _, para := range p.paragraphs {
		in.read(para[0], min(para[1], len(mid)))
	}
	// Both lists hold inner spans before outer ones; of equal ranges the outer is to come first, and lines are around what is in them.
	slices.Reverse(p.spans)
	slices.Reverse(in.spans)
	in.spans = append(p.spans, in.spans...)
	return in.text()
}
