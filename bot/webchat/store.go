// Package webchat is a page in the browser as a chat platform: try Potluck without any account.
package webchat

import (
	"context"
	"time"

	"potluck/bot"
	"potluck/community"
)

// Message is one message of the page as it is now.
type Message struct {
	ID      community.MessageID
	Chat    string           // the page's own name of the chat: "lobby"
	User    community.UserID // who wrote it; empty for the bot
	Author  string
	Only    community.UserID // visible to this person only; empty: to all
	Text    bot.Text         // sealed in the database
	Images  []Image
	Buttons []bot.Button
	Final   bool
	Asks    bool // no final: a question to a person, who is waited for
	ReplyTo community.MessageID
	Nonce   string // unique within the chat when not empty
	At      time.Time
	Edited  bool // by who wrote it, after it was posted
	Deleted bool
}

// Image is a picture of a message; its bytes are a file of the picture folder.
type Image struct {
	Name          string `json:"name"` // "<hash>.png"
	Alt           string `json:"alt"`
	Width, Height int
	Spoiler       bool `json:"spoiler,omitempty"`
}

// EventKind is the name of the SSE event.
type EventKind string

const (
	MessageEvent EventKind = "message"
	EditEvent    EventKind = "edit"
	DeleteEvent  EventKind = "delete"
)

// PageEvent is one line of a chat's history. IDs rise over all chats.
type PageEvent struct {
	ID      int64
	Kind    EventKind
	Message Message // as it was after the event, or as it is now; for a delete only ID, Chat, Only
	// Final is the message's as it was after the event: who counts finals in a replay counts what was shown.
	Final bool
}

// Session is one visitor's cookie.
type Session struct {
	User    community.UserID // "page:<random>"
	Name    string
	Created time.Time
	Seen    time.Time // used last, to the day
}

// Store keeps the page. Every method is one durable transaction.
type Store interface {
	// NewSession saves a session under the SHA-256 of its cookie; Session finds it again (ok false: unknown).
	NewSession(ctx context.Context, tokenHash [32]byte, s Session) error
	Session(ctx context.Context, tokenHash [32]byte) (s Session, ok bool, err error)
	// SeeSession remembers that a session was used.
	SeeSession(ctx context.Context, tokenHash [32]byte, now time.Time) error
	// Post saves a new message with its event. When a message of that chat has m.Nonce already, it returns that one's id with ok false and no event.
	Post(ctx context.Context, m Message) (e PageEvent, ok bool, err error)
	// Change saves a message as it is now (edited or Deleted) with its event. An edit that changes nothing makes no event (ok false).
	Change(ctx context.Context, m Message) (e PageEvent, ok bool, err error)
	Message(ctx context.Context, chat string, id community.MessageID) (m Message, ok bool, err error)
	// Events returns at most limit events of a chat with id > after, oldest first, only those that user may see. For a message that was edited
	// since, its first event carries the newest text (a replay needs only the end), and of its edits the newest event is left.
	Events(ctx context.Context, chat string, user community.UserID, after int64, limit int) ([]PageEvent, error)
	// NewestEvent is the largest id that an event ever had, also one that is forgotten; 0: there was none.
	NewestEvent(ctx context.Context) (int64, error)
	// Forget deletes messages and events older than before, and sessions that were not used since, but not those of people who lend a machine.
	Forget(ctx context.Context, before time.Time) error
}
