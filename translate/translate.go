// Package translate brings a text into another language: what to leave as it is, which language it is in, and whether the result may be shown.
package translate

import (
	"context"
	"time"

	"potluck/workers"
)

// Jobs runs one job to its end. *workers.Pool implements it.
type Jobs interface {
	Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error)
}

// Detector tells the language of a text. Package translate/detect implements it.
type Detector interface {
	// Detect returns a BCP 47 base language and the margin (0–1) of the first guess over the second; ok is false when it cannot tell.
	Detect(text string) (language string, margin float64, ok bool)
}

// Request is a text to be translated.
type Request struct {
	Origin workers.Origin
	Text   string
	// Fixed are byte ranges of Text that must come back as they are (mentions, code …), beside those that Shield finds by itself.
	Fixed    [][2]int
	From     string // BCP 47 base language; empty = detect
	To       string
	Glossary map[string]string
	Language string // the reader's: no guess is made from it, it only breaks ties
	// Wait is how long the translation may take from submission to result; 0 = what the Service's Config says.
	Wait time.Duration
}

// Translation is the text in the other language.
type Translation struct {
	Text string
	From string // as given or detected
	To   string
	// Kept are the byte ranges of Text that stand as they were in the source.
	Kept   [][2]int
	Rough  bool           // by an engine whose output must be marked
	Result workers.Result // zero when no job was needed (nothing to translate)
}
