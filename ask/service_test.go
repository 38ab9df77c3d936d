package ask

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/fault"
	"potluck/workers"
)

// pool gives a job to its workers in turn until Check takes a result, as the real pool does.
type pool struct {
	results []workers.Result
	events  []workers.Event
	jobs    []workers.Job
}

func (p *pool) Do(_ context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	p.jobs = append(p.jobs, j)
	for _, e := range p.events {
		progress(e)
	}
	for _, r := range p.results {
		if j.Check(r) == nil {
			return r, nil
		}
	}
	return workers.Result{}, fault.New(fault.BadResult, "kind", "chat")
}

// memory is a Store.
type memory struct {
	turns []Turn
	fail  error // what saving returns
}

func (m *memory) SaveTurn(ctx context.Context, t Turn) error {
	if err := errors.Join(m.fail, ctx.Err()); err != nil {
		return err
	}
	m.turns = append(m.turns, t)
	return nil
}

func (m *memory) Turns(_ context.Context, request string, limit int) ([]Turn, error) {
	var out []Turn
	for request != "" && len(out) < limit {
		i := slices.IndexFunc(m.turns, func(t Turn) bool { return t.Request == request })
		if i < 0 {
			break
		}
		out = append([]Turn{m.turns[i]}, out...)
		request = m.turns[i].Parent
	}
	return out, nil
}

func service(results ...workers.Result) (*Service, *pool, *memory) {
	p, m := &pool{results: results}, &memory{}
	return New(Config{Jobs: p, Store: m, Now: func() time.Time { return time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC) }}), p, m
}

func question(request, parent, text string) Question {
	return Question{Origin: workers.Origin{Key: request, Member: 3}, Request: request, Parent: parent, Chat: "page:lobby", Text: text, Language: "es"}
}

func TestConversationGoesOn(t *testing.T) {
	s, p, m := service(workers.Result{Text: "<think>hm</think>**Paris**", Model: "llama-3.1-8b", Finish: "stop"})
	if _, err := s.Answer(t.Context(), question("1", "", "capital of France?"), nil); err != nil {
		t.Fatal(err)
	}
	a, err := s.Answer(t.Context(), question("2", "1", "and how many people?"), nil)
	if err != nil || a.Markdown != "**Paris**" || a.Reasoning != "hm" || a.Forgot != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	j := p.jobs[1]
	var roles []string
	for _, message := range j.Chat.Messages {
		roles = append(roles, message.Role+":"+message.Text)
	}
	if len(roles) != 4 || roles[1] != "user:capital of France?" || roles[2] != "assistant:**Paris**" || roles[3] != "user:and how many people?" {
		t.Errorf("%q", roles)
	}
	if !strings.Contains(roles[0], "22 November 2026") || !strings.Contains(roles[0], "tag es") || strings.Contains(roles[0], "lobby") {
		t.Errorf("rule %q", roles[0])
	}
	if j.Key != "2:ask" || j.Work.InTokens < 50 || j.Work.OutTokens != 512 || j.Chat.MaxTokens != 512 || *j.Chat.Temperature != 0.7 || j.Wait <= 0 {
		t.Errorf("job %+v", j)
	}
	if last := m.turns[1]; last.Parent != "1" || last.Member != 3 || last.Model != "llama-3.1-8b" || last.Answer != "**Paris**" {
		t.Errorf("kept %+v", last)
	}
}

// The answer was paid, then the turn could not be saved: people read that something went wrong instead of their answer.
func TestAnswerIsThereAlthoughTheTurnIsNot(t *testing.T) {
	s, _, m := service(workers.Result{Text: "Paris"})
	m.fail = errors.New("the disk is full")
	a, err := s.Answer(t.Context(), question("1", "", "capital of France?"), nil)
	if err != nil || a.Markdown != "Paris" || !errors.Is(a.NotKept, m.fail) {
		t.Errorf("%+v, %v", a, err)
	}
	m.fail = nil
	stopped, stop := context.WithCancel(t.Context())
	stop() // after Do
	if a, err = s.Answer(stopped, question("2", "", "capital of France?"), nil); err != nil || a.NotKept != nil || len(m.turns) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestOldTurnsAreForgottenFirst(t *testing.T) {
	s, p, m := service(workers.Result{Text: "yes"})
	parent := ""
	for _, id := range []string{"1", "2", "3", "4"} {
		m.turns = append(m.turns, Turn{Request: id, Parent: parent, Chat: "page:lobby", Question: id + strings.Repeat(" word", 300), Answer: strings.Repeat("word ", 600)})
		parent = id
	}
	a, err := s.Answer(t.Context(), question("5", "4", "go on"), nil)
	if err != nil || a.Forgot != 2 || len(p.jobs[0].Chat.Messages) != 6 || !strings.HasPrefix(p.jobs[0].Chat.Messages[1].Text, "3 ") || p.jobs[0].Work.InTokens > 3000 {
		t.Errorf("forgot %d, sent %d messages of %d tokens, %v", a.Forgot, len(p.jobs[0].Chat.Messages), p.jobs[0].Work.InTokens, err)
	}
}

func TestConversationStaysInItsChat(t *testing.T) {
	s, p, m := service(workers.Result{Text: "yes"})
	m.turns = []Turn{{Request: "1", Chat: "page:secret", Question: "secret", Answer: "secret"}}
	if _, err := s.Answer(t.Context(), question("2", "1", "what was it?"), nil); err != nil || len(p.jobs[0].Chat.Messages) != 2 {
		t.Errorf("%+v, %v", p.jobs[0].Chat.Messages, err)
	}
}

func TestAnswerRefuses(t *testing.T) {
	for text, want := range map[string]fault.Code{
		"": fault.MissingOption, " \n\u200b ": fault.MissingOption, strings.Repeat("字", 4001): fault.TooLong,
	} {
		s, p, m := service(workers.Result{Text: "yes"})
		_, err := s.Answer(t.Context(), question("1", "", text), nil)
		if !fault.Has(err, want) || len(p.jobs)+len(m.turns) != 0 {
			t.Errorf("%.20q: %v", text, err)
		}
		if f := fault.Of(err); want == fault.TooLong && (f.Args["length"] != "4001" || f.Args["max"] != "4000") {
			t.Errorf("%v", f.Args)
		}
	}
}

func TestEmptyAnswersAreAskedElsewhere(t *testing.T) {
	s, _, _ := service(workers.Result{Text: " \u200b\n"}, workers.Result{Text: "<think>only thoughts"}, workers.Result{Text: "42"})
	if a, err := s.Answer(t.Context(), question("1", "", "what?"), nil); err != nil || a.Markdown != "42" {
		t.Errorf("%+v, %v", a, err)
	}
	none, _, m := service(workers.Result{Text: ""})
	if _, err := none.Answer(t.Context(), question("1", "", "what?"), nil); !errors.Is(err, fault.New(fault.BadResult)) || len(m.turns) != 0 {
		t.Errorf("%v, kept %+v", err, m.turns)
	}
}

func TestDraftsNeverShowThoughts(t *testing.T) {
	s, p, _ := service(workers.Result{Text: "<think>secret</think>The answer", Finish: "length"})
	text := "<think>secret</think>The answer"
	p.events = append(p.events, workers.Event{Kind: workers.Started, Attempt: 1})
	for i := 1; i <= len(text); i++ {
		p.events = append(p.events, workers.Event{Kind: workers.Text, Attempt: 1, Text: text[:i]})
	}
	p.events = append(p.events, workers.Event{Kind: workers.Waiting, Attempt: 1}, workers.Event{Kind: workers.Started, Attempt: 2})
	var drafts []Draft
	a, err := s.Answer(t.Context(), question("1", "", "what?"), func(d Draft) { drafts = append(drafts, d) })
	if err != nil || !a.Cut || len(drafts) != len(p.events) {
		t.Fatalf("%+v, %v, %d drafts", a, err, len(drafts))
	}
	for _, d := range drafts {
		if strings.ContainsAny(d.Markdown+d.Event.Text, "<>") || strings.Contains(d.Markdown+d.Event.Text, "s") && !strings.Contains(d.Markdown, "ans") {
			t.Errorf("shown: %q", d.Markdown)
		}
	}
	if kept := drafts[len(drafts)-2].Markdown; kept != "The answer" {
		t.Errorf("an event without text shows %q", kept)
	}
	if last := drafts[len(drafts)-1].Markdown; last != "" {
		t.Errorf("a new attempt begins with %q", last)
	}
}

func TestStoppedAnswerIsKept(t *testing.T) {
	s, _, m := service()
	if err := s.Keep(t.Context(), question("1", "", "what?"), "The ans<think>wer"); err != nil || len(m.turns) != 1 || m.turns[0].Answer != "The ans" {
		t.Errorf("%+v, %v", m.turns, err)
	}
	if err := s.Keep(t.Context(), question("2", "", "what?"), " "); err != nil || len(m.turns) != 1 {
		t.Errorf("%+v, %v", m.turns, err)
	}
}

func TestEndlessAnswerIsCut(t *testing.T) {
	var b strings.Builder
	for i := range 4000 {
		b.WriteString(time.Duration(i*7919).String() + "é ")
	}
	s, _, _ := service(workers.Result{Text: b.String()})
	a, err := s.Answer(t.Context(), question("1", "", "what?"), nil)
	if err != nil || !a.Cut || len(a.Markdown) > 512*8 || strings.Contains(a.Markdown, "\uFFFD") {
		t.Errorf("%d bytes, cut %v, %v", len(a.Markdown), a.Cut, err)
	}
}
