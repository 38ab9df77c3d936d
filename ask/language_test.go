package ask

import (
	"context"
	"strings"
	"testing"

	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

// told tells languages by a word in front: "de: …". A second colon makes it unsure, "de:: …", unless it is the reader's own.
func told(text, reader string) (string, bool) {
	tag, rest, ok := strings.Cut(text, ":")
	return tag, ok && len(tag) == 2 && (!strings.HasPrefix(rest, ":") || tag == reader)
}

// A question is answered in its own language: the rule names it, a short one takes that of the conversation, and what the house words says nothing.
func TestAnswersInTheLanguageOfTheQuestion(t *testing.T) {
	s, p, _ := service(workers.Result{Text: "de: Ja"})
	s.Language = told
	for i, c := range []struct {
		q    Question
		want string
	}{
		{question("1", "", "de: Warum?"), "The question is in German"},
		{question("2", "1", "and?"), "The question is in German"},
		{question("3", "", "and?"), "the tag es"},
		{question("4", "", "de:: hm"), "the tag es"},
		{question("5", "", "es:: hm"), "The question is in Spanish"}, // the reader's own
		{question("6", "1", "fr: Pourquoi?"), "The question is in French"},
	} {
		if _, err := s.Answer(t.Context(), c.q, nil); err != nil {
			t.Fatal(err)
		}
		if rule := p.jobs[i].Chat.Messages[0].Text; !strings.Contains(rule, c.want) {
			t.Errorf("%q: rule %q", c.q.Text, rule)
		}
	}
	q := question("7", "1", "en: Please go on.")
	q.GoOn = true
	if _, err := s.Answer(t.Context(), q, nil); err != nil || !strings.Contains(p.jobs[6].Chat.Messages[0].Text, "The question is in German") {
		t.Errorf("go on: %v", err)
	}
}

func TestAnswerThatStrayedIsNoticed(t *testing.T) {
	for _, c := range []struct{ question, answer, want string }{
		{"de: Warum?", "en: Because", "en"},
		{"de: Warum?", "de: Darum", ""},
		{"de: Warum?", "en:: Because", ""},
		{"Warum?", "en: Because", ""},
		{"de: Wie heißt das auf Englisch?", "en: Because", ""},
		{"de: Übersetze das bitte", "en: Because", ""},
		{"en: say it in 日本語", "ja: はい", ""},
		{"es: ¿Por qué?", "ca: Perquè", ""},
	} {
		s, _, _ := service(workers.Result{Text: c.answer})
		s.Language = told
		a, err := s.Answer(t.Context(), question("1", "", c.question), nil)
		if err != nil || a.Strayed != c.want {
			t.Errorf("%q, %q: strayed to %q, %v", c.question, c.answer, a.Strayed, err)
		}
	}
	s, _, _ := service(workers.Result{Text: "en: This is a demonstration", Quality: protocol.Demo})
	s.Language = told
	if a, err := s.Answer(t.Context(), question("1", "", "de: Warum?"), nil); err != nil || a.Strayed != "" {
		t.Errorf("a demonstration speaks English: %q, %v", a.Strayed, err)
	}
}

// choosy is a pool where nobody has one model.
type choosy struct {
	*pool
	lacks string
}

func (c choosy) Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	if j.Model == c.lacks {
		c.jobs = append(c.jobs, j)
		return workers.Result{}, fault.New(fault.NoModel, "model", c.lacks, "models", "qwen3:4b")
	}
	return c.pool.Do(ctx, j, progress)
}

// A button remembers the model of an older day. Another one answers then, and it is said; who types a model is told which there are.
func TestAnotherModelStandsInForButtons(t *testing.T) {
	s, p, _ := service(workers.Result{Text: "yes", Model: "qwen3:4b"})
	s.Jobs = choosy{p, "llama2:7b"}
	q := question("1", "", "what?")
	q.Model = "llama2:7b"
	if _, err := s.Answer(t.Context(), q, nil); !fault.Has(err, fault.NoModel) {
		t.Errorf("typed: %v", err)
	}
	q.Else = true
	a, err := s.Answer(t.Context(), q, nil)
	if err != nil || a.Missed != "llama2:7b" {
		t.Fatalf("missed %q, %v", a.Missed, err)
	}
	if first, second := p.jobs[len(p.jobs)-2], p.jobs[len(p.jobs)-1]; first.Key != second.Key || second.Model != "" {
		t.Errorf("keys %q and %q: a rerun would pay twice", first.Key, second.Key)
	}
}

// More turns than are ever read are there: that some are left out is said all the same.
func TestVeryLongConversationIsCutWithANote(t *testing.T) {
	s, p, m := service(workers.Result{Text: "yes"})
	parent := ""
	for i := range maxTurns + 20 {
		id := strings.Repeat("x", i+1)
		m.turns = append(m.turns, Turn{Request: id, Parent: parent, Chat: "page:lobby", Question: "a", Answer: "b"})
		parent = id
	}
	a, err := s.Answer(t.Context(), question("5", parent, "go on"), nil)
	if err != nil || a.Forgot < 1 || len(p.jobs[0].Chat.Messages) != 2+2*maxTurns {
		t.Errorf("forgot %d of %d, sent %d messages, %v", a.Forgot, len(m.turns), len(p.jobs[0].Chat.Messages), err)
	}
}

// What a model thought is for one button: cleaned, bounded, and no part of the conversation.
func TestReasoningIsCleanAndBounded(t *testing.T) {
	var thoughts strings.Builder
	for i := range 9000 {
		thoughts.WriteString(strings.Repeat("é", i%7) + " ")
	}
	s, _, m := service(workers.Result{Text: "<think>see [your bank](https://evil.example) \u202e</think>yes", Reasoning: thoughts.String()})
	a, err := s.Answer(t.Context(), question("1", "", "what?"), nil)
	if err != nil || len(a.Reasoning) > maxReasoning || strings.ContainsAny(a.Reasoning, "\u202e\uFFFD") || a.Markdown != "yes" || m.turns[0].Answer != "yes" {
		t.Errorf("%d bytes, %q, kept %+v, %v", len(a.Reasoning), a.Markdown, m.turns, err)
	}
	s, _, _ = service(workers.Result{Text: "<think>see [your bank](https://evil.example)</think>yes"})
	if a, err := s.Answer(t.Context(), question("1", "", "what?"), nil); err != nil || a.Reasoning != "see your bank (https://evil.example)" {
		t.Errorf("%q, %v", a.Reasoning, err)
	}
}

// Nothing is kept of what was said: "Please go on" would be a question about nothing, and any other answer says that it stands alone.
func TestLostConversation(t *testing.T) {
	s, p, _ := service(workers.Result{Text: "yes"})
	q := question("2", "1", "Please go on.")
	q.GoOn = true
	if _, err := s.Answer(t.Context(), q, nil); !fault.Has(err, fault.Gone) || fault.Of(err).Args["command"] != "ask" || len(p.jobs) != 0 {
		t.Errorf("%v, %d jobs", err, len(p.jobs))
	}
	a, err := s.Answer(t.Context(), question("3", "1", "and then?"), nil)
	if err != nil || !a.Lost {
		t.Errorf("lost %v, %v", a.Lost, err)
	}
	if a, err := s.Answer(t.Context(), question("4", "3", "and then?"), nil); err != nil || a.Lost {
		t.Errorf("lost %v, %v", a.Lost, err)
	}
}
