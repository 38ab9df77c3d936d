package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Split cuts t into parts that measure at most max each; measure nil counts UTF-16 units. It cuts between paragraphs if it can, else
// between lines, words, graphemes, and leaves out the white space where it cuts. Every span is closed at the end of a part and opened
// again in the next, so that a code block stays one in each part. measure must not be smaller than the number of characters.
func Split(t Text, max int, measure func(Text) int) []Text {
	if measure == nil {
		measure = Text.Len16
	}
	var parts []Text
	for t.Plain != "" {
		// No character measures less than 1 and none has more than 4 bytes: what may fit is in this window.
		window := border(t.Plain, utf8.UTFMax*max)
		if window == len(t.Plain) && measure(t) <= max {
			if strings.TrimSpace(t.Plain) != "" {
				parts = append(parts, t)
			}
			break
		}
		fits, over := 0, window+1
		for over-fits > 1 {
			at := border(t.Plain, (fits+over)/2)
			if at <= fits { // within the character behind fits
				_, n := utf8.DecodeRuneInString(t.Plain[fits:])
				if at = fits + n; at >= over {
					break
				}
			}
			if measure(t.Slice(0, at)) <= max {
				fits = at
			} else {
				over = at
			}
		}
		end, next := partEnd(t, fits)
		if part := t.Slice(0, end); strings.TrimSpace(part.Plain) != "" {
			parts = append(parts, part)
		}
		t = t.Slice(next, len(t.Plain))
	}
	return parts
}

// partEnd returns where a part of at most fits bytes ends and where the next begins; the next is always > 0.
func partEnd(t Text, fits int) (end, next int) {
	s := t.Plain
	if fits >= len(s) {
		return len(s), len(s)
	}
	if fits == 0 { // not even one character: it goes alone, too long as it is
		_, fits = utf8.DecodeRuneInString(s)
		return fits, fits
	}
	// The separator itself may lie just behind what fits.
	_, n := utf8.DecodeRuneInString(s[fits:])
	head := s[:fits+n]
	inCode := func(at int) bool {
		for _, sp := range t.Spans {
			if (sp.Kind == Pre || sp.Kind == Code) && sp.Start < at && at < sp.End {
				return true
			}
		}
		return false
	}
	if i := strings.LastIndex(head, "\n\n"); i > fits/3 && !inCode(i) {
		return len(strings.TrimRight(s[:i], "\n")), i + len(s[i:]) - len(strings.TrimLeft(s[i:], "\n"))
	}
	if i := strings.LastIndexByte(head, '\n'); i > fits/4 {
		return i, i + 1
	}
	if i := strings.LastIndexFunc(head, unicode.IsSpace); i > fits/4 {
		_, n := utf8.DecodeRuneInString(s[i:])
		return i, i + n
	}
	// A grapheme (a family emoji, a letter with its accents) is not torn apart unless it is longer than a part.
	end = 0
	state := -1
	for rest := s; end < len(s); {
		var g string
		g, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if end+len(g) > fits {
			break
		}
		end += len(g)
	}
	if end == 0 {
		end = fits
	}
	return end, end
}

// Cut shortens s to at most n ≥ 2 UTF-16 units, between graphemes, with … behind what is left. White space at the ends goes in any case.
func Cut(s string, n int) string {
	t := Plain(strings.TrimSpace(s))
	if t.Len16() <= n {
		return t.Plain
	}
	return strings.TrimSpace(Split(t, n-1, nil)[0].Plain) + "…"
}
