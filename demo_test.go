package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers"
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

// Beside another worker of the operator the welcome came a minute late, and told that one's offers as the demo's own.
func TestDemoWaitsForItsOwnWorkerOnly(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		other, own := workers.WorkerView{Offers: offering("llama3")}, workers.WorkerView{Offers: offering("demo")}
		other.ID, own.ID = 1, 2
		begun := time.Now()
		w, ok := awaitOffers(t.Context(), func() (workers.WorkerView, bool) {
			here := []workers.WorkerView{other}
			if time.Since(begun) >= 5*time.Second {
				here = append(here, own)
			}
			return withID(here, own.ID)
		})
		if !ok || w.ID != own.ID {
			t.Errorf("it took worker %d, %v", w.ID, ok)
		}
		if took := time.Since(begun); took > 9*time.Second {
			t.Errorf("a worker that came after 5 s was told after %v", took)
		}
	})
}

func offering(model string) []workers.OfferView {
	return []workers.OfferView{{Offer: protocol.Offer{Kind: protocol.Chat, Engine: "openai", Model: model}}}
}
