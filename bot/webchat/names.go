package webchat

import (
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"potluck/community"
	"potluck/hygiene"
)

var errName = errors.New("a name has 1 to 32 characters and no control characters")

// cleanName returns the name as it is shown: trimmed, one space at a time, 1 to 32 graphemes, without what cannot be seen. Control and bidi
// characters are refused: they would let a visitor rearrange the line that the name stands in.
func cleanName(name string) (string, error) {
	if len(name) > 1024 || !utf8.ValidString(name) {
		return "", errName
	}
	name = strings.TrimSpace(name)
	for _, r := range name {
		switch {
		case unicode.Is(unicode.Cc, r), r == utf8.RuneError, r == '\u2028', r == '\u2029', unicode.Is(unicode.Bidi_Control, r):
			return "", errName
		}
	}
	name = strings.Join(strings.Fields(hygiene.Line(name)), " ")
	visible := false
	for _, r := range name {
		switch {
		case unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.M, r) && !blank[r]:
			visible = true
		}
	}
	// The 1024 bytes above fit 32 family emoji, and end towers of accents, which count as one grapheme.
	if !visible || uniseg.GraphemeClusterCount(name) > 32 {
		return "", errName
	}
	return name, nil
}

// reserved are names that nobody may have but those who have them: what stands for the house, and what calls everybody.
var reserved = []string{"Potluck", "Operator", "Operador", "Betreiber", "運営者", "everyone", "here", "bot", "pool", "fondo", "topf", "プール"}

// numbered are names that a command would read as the number of somebody else: "#5", "Aoi#3".
var numbered = regexp.MustCompile(`^[#＃]|[#＃]\s*\p{Nd}+$`)

// speaksFor tells whether people would take a name for that of the bot or for a reserved one.
func speaksFor(name, title string) bool {
	looks := hygiene.Alike(name)
	return numbered.MatchString(name) || looks != "" && slices.ContainsFunc(append([]string{title}, reserved...), func(r string) bool { return hygiene.Alike(r) == looks })
}

// blank are letters that look like nothing.
var blank = map[rune]bool{'\u115f': true, '\u1160': true, '\u3164': true, '\uffa0': true, '\u2800': true}

// cleanText returns a message as it is kept: line breaks as \n, no other control characters, no space around it.
func cleanText(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return '\n'
		case unicode.Is(unicode.Cc, r):
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// pictureName is what the server calls a picture: a hash and its kind. Nothing else reaches the picture folder.
var pictureName = regexp.MustCompile(`^[0-9a-z]{8,128}\.(png|jpg|jpeg)$`)

func newMessageID() community.MessageID { return community.MessageID(randomID()) }

func newUser() community.UserID { return community.UserID("page:" + randomID()) }

// randomID has at least 128 bits.
func randomID() string { return strings.ToLower(rand.Text()) }
