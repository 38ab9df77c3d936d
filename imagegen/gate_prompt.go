package imagegen

import (
	"regexp"

	"potluck/promptgate"
)

var angles = regexp.MustCompile(`(?s)<[^<>]*>`)

// forbidden tells whether a request may not be drawn. What was typed and what is sent are looked at, and what was typed without the tags in it:
// cutting must neither hide nor make anything. Neither may a translation: what it was made from counts as well.
func forbidden(typed, sent Request) bool {
	bare := angles.ReplaceAllString(typed.Prompt, "")
	if o := typed.Original; o != "" && (promptgate.Refuses(o, sent.Negative) || promptgate.Refuses(o+" "+sent.Prompt, sent.Negative)) {
		return true
	}
	if sent.Nudge != "" && promptgate.Refuses(sent.Prompt+", "+sent.Nudge, sent.Negative) {
		return true
	}
	return promptgate.Refuses(sent.Prompt, sent.Negative) ||
		(typed.Prompt != sent.Prompt || typed.Negative != sent.Negative) && promptgate.Refuses(typed.Prompt, typed.Negative) ||
		(bare != typed.Prompt || sent.Negative != typed.Negative) && promptgate.Refuses(bare, sent.Negative)
}
