// Package ask answers a question: it keeps the conversation, writes the prompt and streams what a worker's model says.
package ask

import (
	"context"
	"time"

	"potluck/community"
	"potluck/workers"
)

// Jobs runs one job to its end. *workers.Pool implements it.
type Jobs interface {
	Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error)
}

// Turn is one question with its answer. The texts are sealed in the database and kept 30 days or until /forgetme.
type Turn struct {
	Request  string // the request that asked
	Parent   string // the request whose answer this one replies to; empty = a new conversation
	Chat     community.ChatID
	Member   community.MemberID
	Question string
	Answer   string
	Model    string
	At       time.Time
}

// Store keeps conversations.
type Store interface {
	SaveTurn(ctx context.Context, t Turn) error
	// Turns returns the conversation that ends with request, oldest first, at most limit turns.
	Turns(ctx context.Context, request string, limit int) ([]Turn, error)
}

// Question is what a person asks.
type Question struct {
	Origin   workers.Origin
	Request  string
	Parent   string // see Turn
	Chat     community.ChatID
	Text     string
	Language string // the reader's, BCP 47: used only when the question's own cannot be told
	Model    string // canonical; empty = any
	// Else lets any other model answer when nobody who is there has Model: a button of an older answer is pressed, say.
	Else bool
	// GoOn tells that the house worded Text: its language says nothing of the person's.
	GoOn bool
}

// Answer is what a model said, safe to show: Markdown, cleaned of control and bidi characters.
type Answer struct {
	Markdown  string
	Reasoning string // cleaned, too; never shown in the chat, and no part of the conversation
	Cut       bool   // ended at the length limit
	Forgot    int    // turns of the conversation that did not fit any more; of a very long one there may be more
	Lost      bool   // nothing of the conversation that was to go on is kept any more
	Missed    string // the model that was asked for when another one answered (Question.Else)
	// Strayed is the answer's language (BCP 47) when it is another than the question's, which did not ask for that; Asked is the question's.
	Asked, Strayed string
	Result         workers.Result
	// NotKept is why the turn could not be saved, for the log: what is asked in reply to this answer goes on without it.
	NotKept error
}
