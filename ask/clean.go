package ask

import (
	"regexp"
	"strings"

	"potluck/hygiene"
)

// shown is what of a model's text people may see, and what it thought. unfinished tells that more is coming: then a tag that has only begun at the
// end is kept back.
func shown(text string, unfinished bool) (answer, reasoning string) {
	answer, reasoning = thoughtless(hygiene.Visible(text), unfinished)
	return hygiene.Markdown(answer, unfinished), strings.TrimSpace(reasoning)
}

var thoughtTags = regexp.MustCompile(`(?i)<\s*(/?)\s*(?:think|thinking|thought|reasoning)\s*>`)

// begunTag is the beginning of a thought tag at the end of a text, from its last "<" on.
var begunTag = regexp.MustCompile(`(?i)^<\s*/?\s*(?:t|th|thi|thin|think|thinki|thinkin|thinking|tho|thou|thoug|though|thought|` +
	`r|re|rea|reas|reaso|reason|reasoni|reasonin|reasoning)?\s*$`)

// thoughtless takes out what a model thought aloud: between tags, from a tag that is never closed to the end, and up to a closing tag that was never
// opened (some templates write the opening one). A tag right behind a backtick is talked about and stays.
func thoughtless(text string, unfinished bool) (answer, thoughts string) {
	var kept, thought strings.Builder
	at, thinking := 0, false
	for _, m := range thoughtTags.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > 0 && text[m[0]-1] == '`' {
			continue
		}
		closing := m[2] < m[3]
		switch {
		case thinking:
			thought.WriteString(text[at:m[0]])
		case closing:
			thought.WriteString(kept.String() + text[at:m[0]])
			kept.Reset()
		default:
			kept.WriteString(text[at:m[0]])
		}
		at, thinking = m[1], !closing
	}
	if thinking {
		thought.WriteString(text[at:])
	} else {
		kept.WriteString(text[at:])
	}
	answer = kept.String()
	if at := strings.LastIndexByte(answer, '<'); unfinished && at >= 0 && begunTag.MatchString(answer[at:]) {
		answer = answer[:at]
	}
	return answer, thought.String()
}
