package commands_test

import (
	"strings"
	"testing"

	"potluck/commands"
)

// Blocks and the day's count outlive a forgetting, as /privacy says; the question that /forgetme asks, and its last word, said the opposite, and whoever
// blocked somebody heard that all is ignored, though /privacy, /mydata and /forgetme still answer.
func TestForgettingSaysWhatStays(t *testing.T) {
	for lang, words := range map[string][]string{"en": {"block", "somebody new"}, "de": {"gesperrt", "jemand Neues"}, "es": {"bloque", "alguien nuevo"}, "ja": {"ブロック", "初めての方"}} {
		say := commands.Texts().Say(lang)
		if s := say("forget.stays", "amount", 0).Plain; !strings.Contains(s, words[0]) {
			t.Errorf("%s, before: %q", lang, s)
		}
		if s := say("forget.done", "amount", 0).Plain; strings.Contains(s, words[1]) {
			t.Errorf("%s, after, to somebody whose block and count come back: %q", lang, s)
		}
		if s := say("admin.blocked", "blocked", true, "name", "Rita", "id", 7).Plain; !strings.Contains(s, "/forgetme") {
			t.Errorf("%s, of a block: %q", lang, s)
		}
	}
}
