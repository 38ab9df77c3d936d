package webchat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
)

// wireMessage is the data of the events "message" and "edit".
type wireMessage struct {
	ID       community.MessageID `json:"id"`
	Chat     string              `json:"chat"`
	Author   string              `json:"author"`
	User     community.UserID    `json:"user,omitempty"`
	Bot      bool                `json:"bot"`
	Mine     bool                `json:"mine"`
	Text     string              `json:"text"`
	Spans    []bot.Span          `json:"spans"`
	Shown    *wireText           `json:"shown,omitempty"` // instead of Text, which is what was typed
	Images   []string            `json:"images"`
	Pictures []wirePicture       `json:"pictures"` // the same, with size and alternative text
	Buttons  []wireButton        `json:"buttons"`
	Final    bool                `json:"final"`
	Asks     bool                `json:"asks,omitempty"`
	ReplyTo  community.MessageID `json:"reply_to,omitempty"`
	At       time.Time           `json:"at"`
	Only     bool                `json:"only"`
	Edited   bool                `json:"edited,omitempty"`
}

// wireText is a visitor's text without the marks of its Markdown.
type wireText struct {
	Text  string     `json:"text"`
	Spans []bot.Span `json:"spans"`
}

// typedText is how a visitor's text looks when its Markdown is read; nil: as it was typed. Commands stay as they are.
func typedText(m Message) *wireText {
	typed := m.Text.Plain
	if m.User == "" || len(m.Text.Spans) > 0 || strings.HasPrefix(typed, "/") || !strings.ContainsAny(typed, "*_`~|[#>") {
		return nil
	}
	read := bot.ParseMarkdown(typed)
	spans := safeSpans(read.Spans)
	if len(spans) == 0 {
		return nil
	}
	return &wireText{Text: read.Plain, Spans: spans}
}

type wirePicture struct {
	URL     string `json:"url"`
	Alt     string `json:"alt"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Spoiler bool   `json:"spoiler,omitempty"`
}

type wireButton struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Style string `json:"style"`
}

// wireDelete is the data of the event "delete".
type wireDelete struct {
	ID   community.MessageID `json:"id"`
	Chat string              `json:"chat"`
}

// frame is one event, encoded once for all streams that get it.
type frame struct {
	id      int64
	passing bool // not saved: id is that of an event before it, and nobody needs it who gets what follows
	kind    EventKind
	chat    string
	of      community.MessageID
	only    community.UserID // empty: everyone may see it
	others  []byte           // as everyone gets it who is not in special
	// special is what some get instead: the author with "mine", and with those buttons that not everybody may press who may press them.
	special map[community.UserID][]byte
}

func newFrame(e PageEvent) *frame {
	m := e.Message
	f := &frame{id: e.ID, kind: e.Kind, chat: m.Chat, of: m.ID, only: m.Only}
	if e.Kind == DeleteEvent {
		f.others = sse(e.ID, string(e.Kind), wireDelete{ID: m.ID, Chat: m.Chat})
		return f
	}
	w := wireMessage{
		ID: m.ID, Chat: m.Chat, Author: m.Author, User: m.User, Bot: m.User == "", Text: m.Text.Plain, Spans: safeSpans(m.Text.Spans), Shown: typedText(m),
		Images: []string{}, Pictures: []wirePicture{}, Buttons: []wireButton{}, Final: e.Final, Asks: m.Asks && !e.Final, ReplyTo: m.ReplyTo, At: m.At.UTC(),
		Only: m.Only != "", Edited: m.Edited,
	}
	for _, i := range m.Images {
		address := "/webchat/pictures/" + url.PathEscape(i.Name)
		w.Images = append(w.Images, address)
		w.Pictures = append(w.Pictures, wirePicture{URL: address, Alt: i.Alt, Width: i.Width, Height: i.Height, Spoiler: i.Spoiler})
	}
	forUser := func(user community.UserID) []byte {
		w.Mine, w.Buttons = user != "" && user == m.User, []wireButton{}
		for _, b := range m.Buttons {
			if mayPress(b, user) {
				w.Buttons = append(w.Buttons, wireButton{ID: b.ID, Label: b.Label, Style: string(b.Style)})
			}
		}
		return sse(e.ID, string(e.Kind), w)
	}
	f.others, f.special = forUser(""), map[community.UserID][]byte{}
	if m.User != "" {
		f.special[m.User] = forUser(m.User)
	}
	for _, b := range m.Buttons {
		for _, user := range []community.UserID{b.Only, OperatorUser} {
			if _, done := f.special[user]; b.Only != "" && !done {
				f.special[user] = forUser(user)
			}
		}
	}
	return f
}

// mayPress tells whether a button is for that visitor. Operators moderate.
func mayPress(b bot.Button, user community.UserID) bool {
	return b.Only == "" || b.Only == user || user == OperatorUser
}

func (f *frame) visibleTo(user community.UserID) bool {
	return f.only == "" || f.only == user
}

func (f *frame) bytesFor(user community.UserID) []byte {
	if own, ok := f.special[user]; ok {
		return own
	}
	return f.others
}

// number gives a frame that was made without an id one.
func (f *frame) number(id int64) {
	f.id = id
	line := idLine(id)
	f.others = slices.Concat(line, f.others)
	for user, data := range f.special {
		f.special[user] = slices.Concat(line, data)
	}
}

func idLine(id int64) []byte { return fmt.Appendf(nil, "id: %d\n", id) }

// sse writes one event in the form of text/event-stream, without an id when that is 0. JSON holds no raw line break, so one data line is enough.
func sse(id int64, kind string, data any) []byte {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic("webchat: wire types are always encodable: " + err.Error())
	}
	var b bytes.Buffer
	b.Grow(len(encoded) + 64)
	if id != 0 {
		b.Write(idLine(id))
	}
	b.WriteString("event: ")
	b.WriteString(kind)
	b.WriteString("\ndata: ")
	b.Write(encoded)
	b.WriteString("\n\n")
	return b.Bytes()
}

// safeSpans leaves out links that lead anywhere but to the web; their text stays.
func safeSpans(spans []bot.Span) []bot.Span {
	safe := make([]bot.Span, 0, len(spans))
	for _, s := range spans {
		if s.Kind == bot.Link && !webAddress(s.Value) {
			continue
		}
		safe = append(safe, s)
	}
	return safe
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
