package webchat

import (
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"potluck/community"
)

var errName = errors.New("a name has 1 to 32 characters and no control characters")

// cleanName returns the name as it is shown: trimmed, one space at a time, 1 to 32 graphemes. Control and bidi characters are refused:
// they would let a visitor rearrange the line that the name stands in.
func cleanName(name string) (string, error) {
	if len(name) > 1024 || !utf8.ValidString(name) {
		return "", errName
	}
	name = strings.TrimSpace(name)
	visible := false
	for _, r := range name {
		switch {
		case unicode.Is(unicode.Cc, r), r == utf8.RuneError, r == '\u2028', r == '\u2029', unicode.Is(unicode.Bidi_Control, r):
			return "", errName
		case unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.M, r) && !blank[r]:
			visible = true
		}
	}
	name = strings.Join(strings.Fields(name), " ")
	// The 1024 bytes above fit 32 family emoji, and end towers of accents, which count as one grapheme.
	if !visible || uniseg.GraphemeClusterCount(name) > 32 {
		return "", errName
	}
	return name, nil
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
