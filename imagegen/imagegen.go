// Package imagegen checks a picture request, has it drawn by a worker and looks after the picture.
package imagegen

import (
	"context"

	"potluck/workers"
)

// Jobs runs one job to its end. *workers.Pool implements it.
type Jobs interface {
	Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error)
}

// Request is what a person wants drawn.
type Request struct {
	Origin   workers.Origin
	Prompt   string
	Negative string
	Style    string // a name of Styles; empty = none
	Aspect   string // "1:1", "16:9", …; empty = 1:1
	Seed     *int64 // nil: drawn from the request's key, so that a re-run after a kill draws the same
	Count    int    // 1–4; 0 = 1
	Model    string // canonical; empty = any
	// Else lets any other model draw when nobody who is there has Model: a button of an older picture is pressed, say.
	Else bool
	// Original is what the person wrote when Prompt is a translation of it: the safety gate looks at both.
	Original string
	// Typed is the prompt as it was typed, without flags but with what Read takes out for safety. Read sets it where it is empty.
	Typed string
	// Nudge is a small change of the wording, in English, behind the prompt: the same seed then gives a sister of the same picture.
	Nudge string
	// Start is a picture (PNG) of ours to start from, and Strength (0–1) how far to go from it. Only workers with protocol.FeatureInit can.
	Start    []byte
	Strength float64
}

// Drawing is a finished request.
type Drawing struct {
	Pictures []Picture
	Seed     int64
	Width    int
	Height   int
	Steps    int
	CFG      float64
	Sampler  string
	Prompt   string // as it was sent, with what the style adds
	Negative string
	Snapped  string // not empty: the aspect that was asked for was brought to this one
	Missed   string // the model that was asked for when another one drew (Request.Else)
	Result   workers.Result
}

// Picture was decoded under limits, re-encoded and marked as made by AI.
type Picture struct {
	Name   string // "<sha256>.png"
	PNG    []byte
	Width  int
	Height int
}
