package commands_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"potluck/ask"
	"potluck/bot"
	"potluck/commands"
	"potluck/storage"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// pool does every job at once, as the one worker of a small house would.
type pool struct {
	mu   sync.Mutex
	jobs []workers.Job
}

func (p *pool) Do(_ context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	n := int64(len(p.jobs))
	p.mu.Unlock()
	r := result(n)
	switch j.Kind {
	case protocol.Chat:
		r.Text = "<think>hm</think>Light **scatters**."
		progress(workers.Event{Kind: workers.Started, Attempt: 1})
		progress(workers.Event{Kind: workers.Text, Attempt: 1, Text: "<think>hm"})
	case protocol.Translate:
		r.Segments = j.Translate.Segments // an echo
		r.Quality = protocol.Rough
	}
	if j.Check != nil {
		if err := j.Check(r); err != nil {
			return workers.Result{}, err
		}
	}
	return r, nil
}

// From a typed question through the real feature and back: the conversation is remembered, thoughts stay out, and every job can be erased
// with its request.
func TestConversationThroughTheRealFeature(t *testing.T) {
	p := new(pool)
	s := open(t, func(h *commands.House) {
		db := h.Credits.(credits).DB
		h.Ask = ask.New(ask.Config{Jobs: p, Store: &storage.Turns{DB: db}})
		h.Translate = translate.New(translate.Config{Jobs: p})
	})
	first := s.say("/ask why is the sky blue?")
	if got := first.Text.Plain; !strings.HasPrefix(got, "Light scatters.\n\nAnswered in") || strings.Contains(got, "hm") {
		t.Errorf("shown %q", got)
	}
	s.emit(bot.Event{Text: bot.Plain("and at sunset?"), ReplyTo: first.ID})
	s.final()
	var said []string
	for _, m := range p.jobs[1].Chat.Messages[1:] {
		said = append(said, m.Role+": "+m.Text)
	}
	if got := strings.Join(said, " | "); got != "user: why is the sky blue? | assistant: Light **scatters**. | user: and at sunset?" {
		t.Errorf("the worker was told %s", got)
	}
	s.say("/translate to:es from:en Good morning everyone in the kitchen")
	for _, j := range p.jobs {
		request, step, ok := strings.Cut(j.Key, ":")
		if !ok || len(request) != 16 || step == "" {
			t.Errorf("key %q cannot be erased by its request", j.Key)
		}
	}
}
