package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/faketime"
	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

func TestDemoEngineDoesEveryKindOverTheLink(t *testing.T) {
	s := onLoopback(t)
	s.work(engine.NewDemo(engine.DemoConfig{}), func(c *Config) { c.Settings.Demo = DemoFill })
	l := s.accept()
	if len(l.hello.Offers) != 3 {
		t.Fatalf("offers %+v", l.hello.Offers)
	}
	for n, o := range l.hello.Offers {
		job := protocol.Assign{Lease: lease(n), Attempt: 1, Kind: o.Kind, Engine: o.Engine, Model: o.Model, DeadlineMS: 30_000}
		switch o.Kind {
		case protocol.Chat:
			job.Chat = chatJob(n).Chat
		case protocol.Image:
			job.Image = &protocol.ImageJob{Prompt: "a lighthouse", Width: 256, Height: 128, Steps: 4, CFG: 7, Count: 2, Seed: 9}
		case protocol.Translate:
			job.Translate = &protocol.TranslateJob{From: "en", To: "ca", Segments: [][]protocol.Piece{{{Text: "hello "}, {Keep: 1}}}}
		}
		l.send(job)
		d := l.event(protocol.EventDone).Done
		switch {
		case o.Kind == protocol.Chat && d.Text == "", o.Kind == protocol.Image && d.Blobs != 2, o.Kind == protocol.Translate && len(d.Segments) != 1:
			t.Errorf("%s: %+v", o.Kind, d)
		}
		l.send(protocol.Ack{Lease: lease(n)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.put[lease(1)+"/2"]) == 0 {
		t.Errorf("blobs %v", s.calls)
	}
}

func TestLookExplainsWhatIsNotUsed(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := secret(key); err != nil || got != "secret" {
		t.Errorf("secret: %q, %v", got, err)
	}
	s := DefaultSettings()
	s.Engines = Engines{}
	s.OpenAI = []OpenAI{{BaseURL: "http://127.0.0.1:1/v1", APIKeyFile: key}, {BaseURL: "http://127.0.0.1:2/v1", APIKeyFile: key + ".none"}}
	found, missed := s.Look()(t.Context())
	if len(found) != 0 || len(missed) != 3 || !strings.Contains(missed[0].Why, "does not list") || !strings.Contains(missed[1].Why, "api_key_file") || !strings.Contains(missed[2].Why, "-demo") {
		t.Errorf("found %+v, missed %+v", found, missed)
	}
	s.Demo = DemoFill
	if found, _ := s.Look()(t.Context()); len(found) != 1 || found[0].Engine.Name() != demoEngine {
		t.Errorf("found %+v", found)
	}
}

// narrowEngine does one job at once, and says so.
type narrowEngine struct {
	*toy
	closed chan struct{}
}

func (narrowEngine) Slots() int     { return 1 }
func (e narrowEngine) Close() error { close(e.closed); return nil }

func TestSlotsOfAnEngineCountAndItIsClosed(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		closed := make(chan struct{})
		e := narrowEngine{newToy(func(ctx context.Context, _ protocol.Assign, _ engine.Output) (engine.Result, error) {
			<-ctx.Done()
			return engine.Result{}, ctx.Err()
		}), closed}
		w := s.work(e)
		l := s.accept()
		if l.hello.Slots != 1 {
			t.Errorf("slots %d", l.hello.Slots)
		}
		l.send(chatJob(1))
		l.send(chatJob(2))
		if r := next[protocol.Refuse](l); r.Lease != lease(2) || r.Reason != protocol.ReasonBusy {
			t.Errorf("refused %+v", r)
		}
		w.end()
		<-closed
	})
}
