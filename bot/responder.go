package bot

import (
	"context"
)

// Reply is what an invocation shows.
type Reply struct {
	Text     Text
	Pictures []Picture
	Buttons  []NewButton
}

// NewButton is a button to be made: the Responder gives it a random id and saves its Action before the message that carries it is sent.
type NewButton struct {
	Action   string // an ActionHandler's name
	Label    Text
	Style    ButtonStyle
	Data     []byte
	Everyone bool // anybody may press it, not only the asker and moderators
}

// Responder shows one invocation's answer: a placeholder at once, edits while it grows, one final.
type Responder struct{}

// Show replaces what the reply shows. It does not wait for the platform: calls are coalesced and paced (a platform tells its pace),
// the newest wins. While a Costly command runs, a Stop button is added.
func (r *Responder) Show(rep Reply) {}

// Final shows the answer for good and returns when the platform has it and the request is Delivered. It wins over any Show.
func (r *Responder) Final(ctx context.Context, rep Reply) error { return nil }
