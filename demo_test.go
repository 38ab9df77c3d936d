package main

import (
	"context"
	"os/exec"
	"testing"

	"potluck/workers/protocol"
)

// A worker that dies does not take the demo's chat, and everybody else's workers, with it.
func TestDemoGoesOnWithoutItsWorker(t *testing.T) {
	t.Parallel()
	dies, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no program called false here")
	}
	p := newProgram(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keepWorker(ctx, dies, t.TempDir(), protocol.Join{}, p.out) }()
	p.said(p.out, `The demo's worker has gone \(exit status 1\). Another one starts in 1s`)
	p.said(p.out, `Another one starts in 2s`)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
