package agent

import (
	"strings"
	"time"
	"unicode/utf8"

	"potluck/workers/protocol"
)

// maxTextFrame keeps a text event below protocol.MaxFrame even when JSON needs 6 bytes for every one of these.
const maxTextFrame = 32 << 10

// coalescer turns the tokens of one lease into few text events: the first at once, then at most one per protocol.TextInterval.
// It also keeps the whole text for a reset after a reconnect.
type coalescer struct {
	whole strings.Builder // at most protocol.MaxText bytes, valid UTF-8
	part  string          // the beginning of a character whose other bytes have not come yet
	sent  int             // bytes of whole that went out
	next  time.Time       // nothing goes out before
	reset bool            // the next event carries the text from its beginning
}

// add takes what the engine wrote; it returns false when the text is longer than an answer may be, and keeps what fits.
func (c *coalescer) add(delta string) bool {
	if c.part != "" {
		delta, c.part = c.part+delta, ""
	}
	if cut := incompleteTail(delta); cut < len(delta) {
		delta, c.part = delta[:cut], delta[cut:]
	}
	delta = strings.ToValidUTF8(delta, "\uFFFD")
	if room := protocol.MaxText - c.whole.Len(); len(delta) > room {
		c.whole.WriteString(protocol.CutText(delta, room))
		return false
	}
	c.whole.WriteString(delta)
	return true
}

// due tells whether text waits, and from when on it may go out.
func (c *coalescer) due() (time.Time, bool) {
	return c.next, c.sent < c.whole.Len() || c.reset
}

// take returns the next text event's text and whether it resets; ok is false when nothing may go out now.
func (c *coalescer) take(now time.Time) (text string, reset, ok bool) {
	at, waits := c.due()
	if !waits || now.Before(at) {
		return "", false, false
	}
	if c.reset {
		c.sent = 0
	}
	reset, c.reset = c.reset, false
	text = protocol.CutText(c.whole.String()[c.sent:], maxTextFrame)
	c.sent += len(text)
	c.next = now.Add(protocol.TextInterval)
	return text, reset, true
}

// restart makes the next event carry the whole text, because nobody knows which events the server has seen.
func (c *coalescer) restart() {
	c.reset = c.whole.Len() > 0
	c.next = time.Time{}
}

// incompleteTail returns where an unfinished character at the end of s begins, or len(s).
func incompleteTail(s string) int {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return i
			}
			break
		}
	}
	return len(s)
}
