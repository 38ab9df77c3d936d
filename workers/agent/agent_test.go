package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"potluck/faketime"
	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

func TestAssignTextDoneAck(t *testing.T) {
	s := onLoopback(t)
	w := s.work(newToy(says("Hello, ", "world")))
	l := s.accept()
	if l.hello.Slots != 2 || len(l.hello.Offers) != 4 || l.hello.Protocol != protocol.Version || l.hello.JoinCode != "" {
		t.Errorf("hello %+v", l.hello)
	}
	l.send(chatJob(1))
	if a := next[protocol.Accept](l); a.Lease != lease(1) {
		t.Errorf("accepted %q", a.Lease)
	}
	if e := l.event(protocol.EventText); e.Text != "Hello, " || e.Seq != 1 || e.Reset {
		t.Errorf("first text event %+v", e)
	}
	e := l.event(protocol.EventDone)
	if e.Done.Text != "Hello, world" || e.Done.Finish != "stop" || e.Seq < 2 || e.Lease != lease(1) {
		t.Errorf("done %+v %+v", e, e.Done)
	}
	l.send(protocol.Ack{Lease: lease(1)})
	w.stop()
	if err := w.wait(); err != nil {
		t.Error(err)
	}
	if b := next[protocol.Bye](l); b.Code != protocol.ByeShutdown {
		t.Errorf("bye %+v", b)
	}
}

func TestDoneIsResentUntilAck(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(says("all of it")))
		l := s.accept()
		l.send(chatJob(1))
		first := l.event(protocol.EventDone)
		l.cut()

		l = s.hello()
		want := []protocol.Running{{Lease: lease(1), Attempt: 1}}
		if d := cmp.Diff(want, l.hello.Running); d != "" {
			t.Error(d)
		}
		l.send(protocol.Welcome{Worker: 7, Token: token, BeatMS: 5000, Adopted: []string{lease(1)}})
		if again := l.event(protocol.EventDone); again.Seq != first.Seq || again.Done.Text != "all of it" {
			t.Errorf("resent %+v, first was %+v", again, first)
		}
		l.send(protocol.Ack{Lease: lease(1)})
		faketime.Wait()
		l.cut()
		if l = s.accept(); len(l.hello.Running) != 0 {
			t.Errorf("still running after the ack: %+v", l.hello.Running)
		}
	})
}

func TestAdoptedJobBeginsItsTextAnewAndOthersStop(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		goOn, end, stopped := make(chan struct{}), make(chan struct{}), make(chan string, 2)
		s.work(newToy(func(ctx context.Context, job protocol.Assign, out engine.Output) (engine.Result, error) {
			out.Text("one ")
			select {
			case <-goOn:
				out.Text("three")
				<-end
			case <-ctx.Done():
				stopped <- job.Lease
				return engine.Result{}, ctx.Err()
			}
			return engine.Result{Done: protocol.Done{Text: "one three"}}, nil
		}))
		l := s.accept()
		l.send(chatJob(1))
		l.send(chatJob(2))
		l.event(protocol.EventText)
		l.event(protocol.EventText)
		l.cut()

		l = s.accept(lease(1))
		if len(l.hello.Running) != 2 {
			t.Errorf("running %+v", l.hello.Running)
		}
		if e := l.event(protocol.EventText); e.Lease != lease(1) || !e.Reset || e.Text != "one " || e.Seq != 2 {
			t.Errorf("first text after adoption %+v", e)
		}
		if got := <-stopped; got != lease(2) {
			t.Errorf("stopped %s", got)
		}
		close(goOn)
		if e := l.event(protocol.EventText); e.Reset || e.Text != "three" {
			t.Errorf("next text %+v", e)
		}
		close(end)
		if e := l.event(protocol.EventDone); e.Lease != lease(1) || e.Done.Text != "one three" {
			t.Errorf("done %+v", e)
		}
	})
}

func TestCancelReachesTheEngineAndNothingMoreIsSaid(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		ended := make(chan error, 1)
		s.work(newToy(func(ctx context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			out.Text("begin")
			<-ctx.Done()
			out.Text("too late")
			ended <- ctx.Err()
			return engine.Result{}, ctx.Err()
		}))
		l := s.accept()
		l.send(chatJob(1))
		l.event(protocol.EventText)
		began := time.Now()
		l.send(protocol.Cancel{Lease: lease(1), Reason: "asker"})
		<-ended
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		faketime.Wait()
		var said []protocol.Frame
		for _, f := range l.pending() {
			if b, ok := f.(protocol.Beat); ok && b.Free == 2 {
				continue
			}
			said = append(said, f)
		}
		if len(said) != 0 {
			t.Errorf("said after the cancel: %+v", said)
		}
	})
}

func TestDrain(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		goOn := make(chan struct{})
		w := s.work(newToy(func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			<-goOn
			return engine.Result{Done: protocol.Done{Text: "finished"}}, nil
		}))
		l := s.accept()
		l.send(chatJob(1))
		next[protocol.Accept](l)
		w.Drain()
		next[protocol.Drain](l)
		l.send(chatJob(2))
		if r := next[protocol.Refuse](l); r.Reason != protocol.ReasonPaused {
			t.Errorf("refused for %q", r.Reason)
		}
		close(goOn)
		l.event(protocol.EventDone)
		l.send(protocol.Ack{Lease: lease(1)})
		next[protocol.Bye](l)
		if err := w.wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestDrainEndsAfterItsTime(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		w := s.work(newToy(func(ctx context.Context, _ protocol.Assign, _ engine.Output) (engine.Result, error) {
			<-ctx.Done()
			return engine.Result{}, ctx.Err()
		}))
		l := s.accept()
		l.send(chatJob(1))
		next[protocol.Accept](l)
		began := time.Now()
		w.Drain()
		if err := w.wait(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < drainTime || took > drainTime+5*time.Second {
			t.Errorf("took %v", took)
		}
		next[protocol.Bye](l)
	})
}

func TestServerDrainsThenWorkerComesBack(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(says("x")))
		l := s.accept()
		l.send(chatJob(1))
		l.event(protocol.EventDone)
		l.send(protocol.Drain{Reason: "update"})
		l.send(chatJob(2))
		next[protocol.Refuse](l)
		l.send(protocol.Ack{Lease: lease(1)})
		next[protocol.Bye](l)
		s.accept()
	})
}

func TestByes(t *testing.T) {
	for code, comesBack := range map[string]bool{
		protocol.ByeRevoked: false, protocol.ByeBadSignature: false, protocol.ByeBadCode: false, protocol.ByeShutdown: true, protocol.ByeReplaced: true, "future": true,
	} {
		for _, afterWelcome := range []bool{false, true} {
			faketime.Test(t, func(t *testing.T) {
				s := inMemory(t)
				w := s.work(newToy(says("x")))
				l := s.hello()
				if afterWelcome {
					l.send(protocol.Welcome{Worker: 7, Token: token, BeatMS: 5000})
				}
				l.send(protocol.Bye{Code: code, Reason: "because\x1b[31m"})
				if comesBack {
					s.accept()
					return
				}
				err := w.wait()
				e, ok := errors.AsType[*ByeError](err)
				if !ok || e.Code != code || e.Reason != "because[31m" {
					t.Errorf("%s: Run returned %v", code, err)
				}
			})
		}
	}
}

func TestSilentServerIsLeft(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.deaf = make(chan struct{})
		s.work(newToy(says("x")))
		l := s.accept()
		next[protocol.Beat](l)
		close(s.deaf) // the server reads nothing more, so it answers no ping
		began := time.Now()
		s.accept()
		if took := time.Since(began); took < 10*time.Second || took > 30*time.Second {
			t.Errorf("left after %v", took)
		}
	})
}

func TestRefusesByTheOwnersLimits(t *testing.T) {
	change := func(f func(*protocol.Assign)) protocol.Assign {
		a := imageJob(1)
		f(&a)
		return a
	}
	chat := func(f func(*protocol.Assign)) protocol.Assign {
		a := chatJob(1)
		f(&a)
		return a
	}
	translate := protocol.Assign{Lease: lease(1), Kind: protocol.Translate, Model: "pairs", Engine: "toy",
		Translate: &protocol.TranslateJob{From: "en", To: "../../etc", Segments: [][]protocol.Piece{{{Text: "hi"}}}}}
	settings := DefaultSettings()
	settings.BlockedWords = []string{"dragon"}
	chatOnly := DefaultSettings()
	chatOnly.Kinds = []string{"chat"}
	oneModel := DefaultSettings()
	oneModel.Models = []string{"pain*"}
	for name, c := range map[string]struct {
		job      protocol.Assign
		settings Settings
		want     string
	}{
		"too many pixels":    {change(func(a *protocol.Assign) { a.Image.Width = 4096; a.Image.Height = 4096 }), settings, protocol.ReasonLimit},
		"negative width":     {change(func(a *protocol.Assign) { a.Image.Width = -512; a.Image.Height = -512 }), settings, protocol.ReasonLimit},
		"too many steps":     {change(func(a *protocol.Assign) { a.Image.Steps = 61 }), settings, protocol.ReasonLimit},
		"too many pictures":  {change(func(a *protocol.Assign) { a.Image.Count = 5 }), settings, protocol.ReasonLimit},
		"path as LoRA":       {change(func(a *protocol.Assign) { a.Image.LoRAs = []protocol.LoRA{{Name: "../x"}} }), settings, protocol.ReasonLimit},
		"foreign sampler":    {change(func(a *protocol.Assign) { a.Image.Sampler = "rm -rf" }), settings, protocol.ReasonLimit},
		"picture to start":   {change(func(a *protocol.Assign) { a.Image.Init = 1 }), settings, protocol.ReasonFeature},
		"blocked word":       {change(func(a *protocol.Assign) { a.Image.Prompt = "a DR4GON" }), settings, protocol.ReasonPolicy},
		"kind not shared":    {imageJob(1), chatOnly, protocol.ReasonPolicy},
		"model not shared":   {chatJob(1), oneModel, protocol.ReasonModel},
		"unknown model":      {chat(func(a *protocol.Assign) { a.Model = "huge" }), settings, protocol.ReasonModel},
		"unknown feature":    {chat(func(a *protocol.Assign) { a.Features = []string{"telepathy"} }), settings, protocol.ReasonFeature},
		"strange role":       {chat(func(a *protocol.Assign) { a.Chat.Messages[0].Role = "tool" }), settings, protocol.ReasonLimit},
		"pictures unseen":    {chat(func(a *protocol.Assign) { a.Chat.Messages[0].Images = []int{1} }), settings, protocol.ReasonFeature},
		"two payloads":       {chat(func(a *protocol.Assign) { a.Image = imageJob(1).Image }), settings, protocol.ReasonLimit},
		"no payload":         {chat(func(a *protocol.Assign) { a.Chat = nil }), settings, protocol.ReasonLimit},
		"path as a language": {translate, settings, protocol.ReasonLimit},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := inMemory(t)
				s.work(newToy(func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
					t.Error("the engine was asked")
					return engine.Result{}, nil
				}), func(cfg *Config) { cfg.Settings = c.settings })
				l := s.accept()
				l.send(c.job)
				if r := next[protocol.Refuse](l); r.Reason != c.want || r.Lease != lease(1) {
					t.Errorf("refused %+v, want %s", r, c.want)
				}
			})
		})
	}
}

func TestLongerAnswersThanAllowedAreShortened(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		asked := make(chan int, 1)
		s.work(newToy(func(_ context.Context, a protocol.Assign, _ engine.Output) (engine.Result, error) {
			asked <- a.Chat.MaxTokens
			return engine.Result{Done: protocol.Done{Text: "x"}}, nil
		}), func(c *Config) { c.Settings.Limits.MaxTokens = 100 })
		l := s.accept()
		for _, o := range l.hello.Offers {
			if o.Kind == protocol.Chat && o.MaxTokens != 100 {
				t.Errorf("offers answers of %d tokens", o.MaxTokens)
			}
		}
		a := chatJob(1)
		a.Chat.MaxTokens = 5000
		l.send(a)
		if n := <-asked; n != 100 {
			t.Errorf("the engine was asked for %d tokens", n)
		}
		l.event(protocol.EventDone)
	})
}

func TestRefusesWhenBusyAndBeyondTheHour(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		goOn := make(chan struct{})
		s.work(newToy(func(ctx context.Context, _ protocol.Assign, _ engine.Output) (engine.Result, error) {
			select {
			case <-goOn:
			case <-ctx.Done():
			}
			return engine.Result{Done: protocol.Done{Text: "x"}}, ctx.Err()
		}), func(c *Config) { c.Settings.Limits.JobsPerHour = 3 })
		l := s.accept()
		for n := range 3 {
			l.send(chatJob(n))
		}
		if r := next[protocol.Refuse](l); r.Lease != lease(2) || r.Reason != protocol.ReasonBusy {
			t.Errorf("refused %+v", r)
		}
		close(goOn)
		l.event(protocol.EventDone)
		l.event(protocol.EventDone)
		l.send(chatJob(3))
		l.event(protocol.EventDone)
		l.send(chatJob(4))
		if r := next[protocol.Refuse](l); r.Reason != protocol.ReasonBusy {
			t.Errorf("refused %+v", r)
		}
		for next[protocol.Beat](l).Free > 0 { // so that the server does not try it again and again
		}
	})
}

func TestPauseMarker(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		var paused atomic.Bool
		s.work(newToy(says("x")), func(c *Config) { c.Paused = func() (string, bool) { return "gaming", paused.Load() } })
		l := s.accept()
		began := time.Now()
		paused.Store(true)
		if p := next[protocol.Pause](l); p.Reason != "gaming" || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", p, time.Since(began))
		}
		l.send(chatJob(1))
		if r := next[protocol.Refuse](l); r.Reason != protocol.ReasonPaused {
			t.Errorf("refused %+v", r)
		}
		paused.Store(false)
		next[protocol.Resume](l)
		l.send(chatJob(2))
		l.event(protocol.EventDone)
	})
}

func TestPauseOfBeforeTheStartSaysWhy(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		var reason atomic.Value
		reason.Store("game night")
		var log bytes.Buffer
		w := s.work(newToy(says("x")), func(c *Config) {
			c.Paused = func() (string, bool) { return reason.Load().(string), true }
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		l := s.accept()
		if !l.hello.Paused {
			t.Error("the hello does not say that it is paused")
		}
		if p := next[protocol.Pause](l); p.Reason != "game night" {
			t.Errorf("after the hello: %+v", p)
		}
		reason.Store("too hot")
		if p := next[protocol.Pause](l); p.Reason != "too hot" {
			t.Errorf("after the reason changed: %+v", p)
		}
		w.end()
		if want := `level=WARN msg="paused: game night – potluck-worker resume to take jobs"`; !strings.Contains(log.String(), want) {
			t.Errorf("log %s, want %s", &log, want)
		}
	})
}

func TestStatusOfAnEarlierRunIsReplacedAtOnce(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		began := time.Now()
		said := make(chan Status, 100)
		s.work(newToy(says("x")), func(c *Config) { c.Status = func(st Status) { said <- st } })
		if st := <-said; time.Since(began) != 0 || st.State != "connecting" || len(st.Offers) != 0 {
			t.Errorf("after %v: %+v", time.Since(began), st)
		}
		s.accept()
	})
}

func TestPicturesArePutBeforeDone(t *testing.T) {
	s := onLoopback(t)
	picture, preview := pngPicture(), jpegPicture()
	shown := make(chan struct{})
	s.work(newToy(func(_ context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
		out.Progress(0.5, 10, 20)
		out.Preview(preview)
		<-shown
		return engine.Result{Done: protocol.Done{Seed: 5}, Pictures: [][]byte{picture, jpegPicture()}}, nil
	}))
	l := s.accept()
	l.send(imageJob(1))
	if e := l.event(protocol.EventProgress); e.Fraction != 0.5 || e.Step != 10 || e.Steps != 20 {
		t.Errorf("progress %+v", e)
	}
	if e := l.event(protocol.EventPreview); e.Preview != 1000 {
		t.Errorf("preview %+v", e)
	}
	s.mu.Lock()
	s.status = 503 // the first try of the first picture meets a server that is busy
	s.mu.Unlock()
	close(shown)
	if e := l.event(protocol.EventDone); e.Done.Blobs != 2 || e.Done.Seed != 5 {
		t.Errorf("done %+v", e.Done)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{"PUT " + lease(1) + "/1000", "PUT " + lease(1) + "/1", "PUT " + lease(1) + "/1", "PUT " + lease(1) + "/2"}
	if d := cmp.Diff(want, s.calls); d != "" {
		t.Error(d)
	}
	if string(s.put[lease(1)+"/1"]) != string(picture) {
		t.Error("another picture arrived")
	}
}

func TestPicturesArePutAgainAfterAReconnect(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			return engine.Result{Pictures: [][]byte{pngPicture()}}, nil
		}))
		l := s.accept()
		l.send(imageJob(1))
		l.event(protocol.EventDone)
		l.cut()
		l = s.accept(lease(1))
		l.event(protocol.EventDone)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.calls) != 2 {
			t.Errorf("calls %v", s.calls)
		}
	})
}

func TestBadResultsAreTheEnginesFault(t *testing.T) {
	for name, run := range map[string]func(context.Context, protocol.Assign, engine.Output) (engine.Result, error){
		"no picture": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			return engine.Result{}, nil
		},
		"a GIF": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			return engine.Result{Pictures: [][]byte{[]byte("GIF89a")}}, nil
		},
		"too many": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			p := pngPicture()
			return engine.Result{Pictures: [][]byte{p, p, p}}, nil
		},
		"too large": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			return engine.Result{Pictures: [][]byte{append(pngPicture(), make([]byte, protocol.MaxBlob)...)}}, nil
		},
		"panic": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) { panic("/home/anna") },
		"an error with a path": func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			return engine.Result{}, errors.New("open /home/anna/model: no such file")
		},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := inMemory(t)
				s.work(newToy(run))
				l := s.accept()
				l.send(imageJob(1))
				e := l.event(protocol.EventError)
				if e.Error.Fault != protocol.FaultEngine || strings.Contains(e.Error.Detail, "anna") {
					t.Errorf("error %+v", e.Error)
				}
			})
		})
	}
}

func TestFaultsOfJobs(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(func(ctx context.Context, job protocol.Assign, _ engine.Output) (engine.Result, error) {
			if job.DeadlineMS == 1000 {
				<-ctx.Done()
				return engine.Result{}, ctx.Err()
			}
			return engine.Result{}, &engine.JobError{Fault: protocol.FaultTooLong, Detail: "9000 tokens"}
		}))
		l := s.accept()
		l.send(chatJob(1))
		if e := l.event(protocol.EventError); e.Error.Fault != protocol.FaultTooLong || e.Error.Detail != "9000 tokens" {
			t.Errorf("%+v", e.Error)
		}
		late := chatJob(2)
		late.DeadlineMS = 1000
		began := time.Now()
		l.send(late)
		if e := l.event(protocol.EventError); e.Error.Fault != protocol.FaultEngine || !strings.Contains(e.Error.Detail, "deadline") || time.Since(began) < time.Second {
			t.Errorf("%+v after %v", e.Error, time.Since(began))
		}
	})
}

func TestBlockedPictureIsAFaultAndNoRefusal(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(func(context.Context, protocol.Assign, engine.Output) (engine.Result, error) {
			t.Error("the engine was asked")
			return engine.Result{}, nil
		}))
		l := s.accept()
		job := imageJob(1)
		job.Image.Prompt = "n u d e ch1ld"
		l.send(job)
		if e := l.event(protocol.EventError); e.Error.Fault != protocol.FaultBlocked || e.Error.Detail != "" {
			t.Errorf("%+v", e.Error)
		}
	})
}

func TestInputPictures(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		picture := jpegPicture()
		s.inputs[lease(1)+"/3"] = picture
		s.work(newToy(func(_ context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			in, ok := out.(interface{ Input(int) ([]byte, bool) }).Input(3)
			if !ok || string(in) != string(picture) {
				t.Error("the input picture is not there")
			}
			return engine.Result{Done: protocol.Done{Text: "a grey square"}}, nil
		}))
		l := s.accept()
		job := chatJob(1)
		job.Model, job.Features, job.Chat.Messages[0].Images = "eyes", []string{protocol.FeatureVision}, []int{3}
		l.send(job)
		l.event(protocol.EventDone)
		job.Lease, job.Chat.Messages[0].Images = lease(2), []int{9}
		l.send(job)
		if e := l.event(protocol.EventError); e.Error.Fault != protocol.FaultOverload {
			t.Errorf("%+v", e.Error)
		}
	})
}

func TestTextIsCoalesced(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		const tokens, pause = 400, 5 * time.Millisecond // 2 s of text at 200 tokens/s
		s.work(newToy(func(ctx context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for range tokens {
				out.Text("ab ")
				<-tick.C
			}
			return engine.Result{Done: protocol.Done{Text: strings.Repeat("ab ", tokens)}}, nil
		}))
		l := s.accept()
		began := time.Now()
		l.send(chatJob(1))
		if e := l.event(protocol.EventText); e.Text != "ab " || time.Since(began) != 0 {
			t.Errorf("first token %+v after %v", e, time.Since(began))
		}
		events, text := 1, "ab "
		for {
			e := next[protocol.Event](l)
			if e.Kind == protocol.EventDone {
				break
			}
			events, text = events+1, text+e.Text
		}
		if max := int(2*time.Second/protocol.TextInterval) + 1; events > max || events < max-2 {
			t.Errorf("%d text events in 2 s, want about %d", events, max)
		}
		if whole := strings.Repeat("ab ", tokens); !strings.HasPrefix(whole, text) || len(whole)-len(text) > 60 {
			t.Errorf("%d bytes came", len(text))
		}
	})
}

// An answer that breaks off has what was written until then, also the words that waited for the next frame.
func TestLastWordsGoOutBeforeAnError(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(func(_ context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			out.Text("The first ")
			out.Text("half of it.")
			return engine.Result{}, errors.New("out of memory")
		}))
		l := s.accept()
		l.send(chatJob(1))
		text := ""
		for {
			e := next[protocol.Event](l)
			if e.Kind == protocol.EventError {
				break
			}
			text += e.Text
		}
		if text != "The first half of it." {
			t.Errorf("%q came", text)
		}
	})
}

func TestManyStreamsKeepBelowTheFrameLimit(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		const streams = 40
		s.work(newToy(func(ctx context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for range 400 {
				out.Text("x")
				<-tick.C
			}
			return engine.Result{}, nil
		}), func(c *Config) { c.Settings.Limits.JobsAtOnce = streams })
		l := s.accept()
		for n := range streams {
			l.send(chatJob(n))
		}
		began := time.Now()
		frames, done := 0, 0
		for done < streams {
			f := <-l.frames
			frames++
			if e, ok := f.(protocol.Event); ok && e.Kind == protocol.EventDone {
				if done++; e.Done.Text != strings.Repeat("x", 400) {
					t.Fatalf("%d bytes", len(e.Done.Text))
				}
			}
		}
		if limit := int(time.Since(began).Seconds()*protocol.FramesPerSec) + 2*protocol.FramesPerSec; frames > limit {
			t.Errorf("%d frames in %v, at most %d are allowed", frames, time.Since(began), limit)
		}
	})
}

func TestTooLongAnswerIsCut(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		s.work(newToy(func(ctx context.Context, _ protocol.Assign, out engine.Output) (engine.Result, error) {
			for ctx.Err() == nil {
				out.Text(strings.Repeat("é", 500))
			}
			return engine.Result{}, ctx.Err()
		}))
		l := s.accept()
		l.send(chatJob(1))
		if e := l.event(protocol.EventDone); e.Done.Finish != "length" || len(e.Done.Text) != protocol.MaxText {
			t.Errorf("%d bytes, finish %q", len(e.Done.Text), e.Done.Finish)
		}
	})
}

func TestBeatsAndOffers(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		s := inMemory(t)
		var loaded atomic.Bool
		e := newToy(says("x"))
		s.work(changing{e, &loaded}, func(c *Config) {
			c.Load = func(context.Context) []protocol.GPULoad { return []protocol.GPULoad{{Busy: 40}} }
		})
		l := s.accept()
		next[protocol.Beat](l) // at once
		began := time.Now()
		b := next[protocol.Beat](l)
		if took := time.Since(began); took != 5*time.Second || b.Free != 2 || !slices.Equal(b.GPUs, []protocol.GPULoad{{Busy: 40}}) {
			t.Errorf("%+v after %v", b, took)
		}
		loaded.Store(true)
		o := next[protocol.OfferFrame](l)
		if len(o.Offers) != 1 || !o.Offers[0].Loaded || o.Slots != 2 {
			t.Errorf("%+v", o)
		}
	})
}

// changing offers one model whose state changes.
type changing struct {
	*toy
	loaded *atomic.Bool
}

func (c changing) Offers(context.Context) ([]protocol.Offer, error) {
	o := c.offers[0]
	o.Loaded = c.loaded.Load()
	return []protocol.Offer{o}, nil
}

func TestDemoFillsOnlyWhatIsMissing(t *testing.T) {
	demo := &toy{name: demoEngine}
	all := []offered{
		{demo, protocol.Offer{Kind: protocol.Chat, Engine: "demo", Model: "demo"}},
		{demo, protocol.Offer{Kind: protocol.Image, Engine: "demo", Model: "demo"}},
		{&toy{name: "toy"}, protocol.Offer{Kind: protocol.Chat, Engine: "toy", Model: "small"}},
	}
	for mode, want := range map[Demo][]string{DemoOff: {"chat toy"}, DemoOn: {"chat demo", "image demo", "chat toy"}, DemoFill: {"image demo", "chat toy"}} {
		s := DefaultSettings()
		s.Demo = mode
		_, offers := s.share(all)
		var got []string
		for _, o := range offers {
			got = append(got, string(o.Kind)+" "+o.Engine)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", mode, d)
		}
	}
}

// A server puts out a worker that offers more language pairs than any has.
func TestNoMorePairsAreOfferedThanServersTake(t *testing.T) {
	var all []offered
	for i := range 8 {
		o := protocol.Offer{Kind: protocol.Translate, Engine: "toy", Model: fmt.Sprint("m", i)}
		for range protocol.MaxPairs - 100 {
			o.Pairs = append(o.Pairs, protocol.Pair{From: "en", To: "ca", Quality: protocol.Rough})
		}
		all = append(all, offered{&toy{name: "toy"}, o})
	}
	all = append(all, offered{&toy{name: "toy"}, protocol.Offer{Kind: protocol.Chat, Engine: "toy", Model: "small"}})
	routes, offers := DefaultSettings().share(all)
	pairs := 0
	for _, o := range offers {
		if pairs += len(o.Pairs); o.Kind == protocol.Translate && len(o.Pairs) == 0 {
			t.Errorf("%s is offered for no pair", o.Model)
		}
	}
	if pairs != protocol.MaxAllPairs || len(offers) != 6 || len(routes) != 6 || offers[5].Kind != protocol.Chat {
		t.Errorf("%d pairs in %d offers", pairs, len(offers))
	}
}

func TestBackoffIsFastFirstAndBounded(t *testing.T) {
	b := backoff{rand: mathrand.New(mathrand.NewPCG(1, 2))}
	for n, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, protocol.MaxRetry, protocol.MaxRetry, protocol.MaxRetry} {
		if d := b.next(lastRetry); d > most || d < most/2 {
			t.Errorf("wait %d is %v, want %v to %v", n, d, most/2, most)
		}
	}
	if d := b.next(told); d < told/2 || d > told {
		t.Errorf("after an answer that says why: %v", d)
	}
	if d := b.next(lastRetry); d > protocol.MaxRetry { // what the server's grace after a restart counts on
		t.Errorf("and then: %v", d)
	}
}

func TestWrongServerGetsNoHello(t *testing.T) {
	s := onLoopback(t)
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	other := protocol.Fingerprint(key.Public().(ed25519.PublicKey))
	_, err := dial(t.Context(), s.client, s.url, other, key, protocol.Hello{JoinCode: "ABCD2345"})
	if !errors.Is(err, ErrFingerprint) {
		t.Errorf("dial: %v", err)
	}
	s.http.Close()
	select {
	case l := <-s.links:
		t.Errorf("the wrong server got %+v", l.hello)
	default:
	}
}
