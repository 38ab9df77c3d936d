// Package engine drives the inference programs on an owner's machine: one file per program.
package engine

import (
	"context"

	"potluck/workers/protocol"
)

// Engine is one inference program that was found on this machine (or built in).
type Engine interface {
	// Name is the word used in offers, the configuration and the log: "openai", "apertium", "demo".
	Name() string
	// Offers lists what the program can do now. It is asked again every few seconds, so it answers from what it knows or within a short timeout.
	Offers(ctx context.Context) ([]protocol.Offer, error)
	// Run does one job. It sends text, progress and preview events to out (Lease and Seq are filled in by the caller) and returns the whole
	// result. When ctx ends it stops the program's own work, not only the display, and returns ctx's error. Errors that the server should
	// know about are *JobError; any other counts as a fault of the engine.
	Run(ctx context.Context, job protocol.Assign, out Output) (Result, error)
}

// Output takes what a running job shows before it ends. Calls come from one goroutine at a time and must not block for long.
type Output interface {
	Text(delta string)
	Progress(fraction float64, step, steps int)
	// Preview takes a small JPEG of the unfinished picture.
	Preview(jpeg []byte)
}

// Result is a finished job: Done's fields but Blobs, and the pictures themselves as PNG or JPEG.
type Result struct {
	Done     protocol.Done
	Pictures [][]byte
}

// JobError says whose fault a failed job is. Fault is one of the protocol's Fault constants.
type JobError struct {
	Fault  string
	Detail string // for logs: no path, no prompt
	Cause  error
}

func (e *JobError) Error() string {
	if e.Cause != nil {
		return e.Fault + ": " + e.Detail + ": " + e.Cause.Error()
	}
	return e.Fault + ": " + e.Detail
}

func (e *JobError) Unwrap() error { return e.Cause }
