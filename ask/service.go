package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"potluck/fault"
	"potluck/hygiene"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Config is what a Service needs. Jobs and Store are required; the rest has defaults.
type Config struct {
	Jobs  Jobs
	Store Store
	// Language tells which language (BCP 47 base) a text is in, however short, when that is sure; reader is the reader's own, which may decide. nil: the
	// model has to find out alone. A wrong guess is worse than none: the model then answers in that language.
	Language func(text, reader string) (tag string, ok bool)
	// MaxTokens is the longest answer; 0 = 512. Context is how many tokens question and conversation may have together; 0 = 3000, which fits
	// beside an answer into the 4,096 that inference programs commonly start with.
	MaxTokens, Context int
	MaxLength          int     // of a question, in characters; 0 = 4000
	Temperature        float64 // 0 = 0.7
	// Wait is how long an answer may take from submission to result; 0 = 5 min.
	Wait time.Duration
	// Now tells the date in the prompt and of a turn; nil = time.Now.
	Now func() time.Time
}

// Service answers questions. It may be used from any goroutine.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service {
	c.MaxTokens = cmp.Or(c.MaxTokens, 512)
	c.Context = cmp.Or(c.Context, 3000)
	c.MaxLength = cmp.Or(c.MaxLength, 4000)
	c.Wait = cmp.Or(c.Wait, 5*time.Minute)
	c.Temperature = cmp.Or(c.Temperature, 0.7)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

// Draft is news of an answer that is being written. Markdown is everything so far that may be shown, cleaned as in Answer; Event.Text is the same.
type Draft struct {
	Event    workers.Event
	Markdown string
}

const (
	// maxTurns of a conversation are sent at most, if they fit into the context.
	maxTurns = 50
	// maxReasoning bytes are kept of what a model thought, which has no limit of its own.
	maxReasoning = 16 << 10
)

var errNothing = errors.New("an empty answer")

// keepTime bounds saving a turn of an answer that is there.
const keepTime = 10 * time.Second

// Answer has a question answered and keeps the turn. Faults: MissingOption (nothing was asked), TooLong, and what the pool says. show gets drafts in
// order, and may be nil. When it is stopped, the caller may Keep what was shown.
func (s *Service) Answer(ctx context.Context, q Question, show func(Draft)) (Answer, error) {
	text := strings.TrimSpace(hygiene.Visible(q.Text))
	if text == "" {
		return Answer{}, fault.New(fault.MissingOption, "command", "ask", "option", "question", "usage", "/ask question")
	}
	if n := utf8.RuneCountInString(text); n > s.MaxLength {
		return Answer{}, fault.New(fault.TooLong, "option", "question", "length", n, "max", s.MaxLength)
	}
	turns, err := s.conversation(ctx, q)
	if err != nil {
		return Answer{}, err
	}
	lost := q.Parent != "" && len(turns) == 0
	if lost && q.GoOn {
		return Answer{}, fault.New(fault.Gone, "command", "ask") // there is nothing to go on from
	}
	asked := s.asked(q, text, turns)
	messages, forgot := s.messages(s.rule(asked, q.Language), turns, text)
	job := s.job(q, messages)
	res, err := s.Jobs.Do(ctx, job, drafts(show))
	if q.Else && q.Model != "" && fault.Has(err, fault.NoModel) {
		job.Model = "" // under the same key: run again after a kill, the request finds this job whatever model is there by then
		res, err = s.Jobs.Do(ctx, job, drafts(show))
	}
	if err != nil {
		return Answer{}, fmt.Errorf("ask: %w", err)
	}
	a := s.answer(res)
	if a.Markdown == "" { // the result of an earlier run comes without Check
		return Answer{}, fmt.Errorf("ask: %w", fault.Wrap(errNothing, fault.BadResult, "kind", protocol.Chat))
	}
	a.Forgot, a.Lost = forgot, lost
	if q.Model != "" && res.Model != q.Model {
		a.Missed = q.Model
	}
	if res.Quality != protocol.Demo {
		a.Asked, a.Strayed = asked, s.strayed(asked, text, a.Markdown)
	}
	// The answer is there and paid: neither a Stop nor a failure here takes it away.
	keep, done := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer done()
	a.NotKept = s.save(keep, q, a.Markdown, res.Model)
	return a, nil
}

// job is what a worker is to do with a question.
func (s *Service) job(q Question, messages []protocol.Message) workers.Job {
	in := 0
	for _, m := range messages {
		in += ledger.Tokens(m.Text)
	}
	temperature := s.Temperature
	job := workers.Job{
		Origin: q.Origin,
		Kind:   protocol.Chat,
		Model:  q.Model,
		Chat:   &protocol.ChatJob{Messages: messages, MaxTokens: s.MaxTokens, Temperature: &temperature},
		Work:   ledger.Work{Kind: string(protocol.Chat), InTokens: in, OutTokens: s.MaxTokens},
		Wait:   s.Wait,
		Check: func(r workers.Result) error {
			if s.answer(r).Markdown == "" {
				return errNothing
			}
			return nil
		},
		Visible: func(r workers.Result) string { return s.answer(r).Markdown },
	}
	job.Key += ":ask"
	return job
}

// Keep saves a turn whose answer was stopped: what was shown of it is what the conversation goes on from.
func (s *Service) Keep(ctx context.Context, q Question, partial string) error {
	markdown, _ := shown(partial, false)
	if markdown == "" {
		return nil
	}
	return s.save(ctx, q, markdown, "")
}

func (s *Service) save(ctx context.Context, q Question, markdown, model string) error {
	err := s.Store.SaveTurn(ctx, Turn{
		Request: q.Request, Parent: q.Parent, Chat: q.Chat, Member: q.Origin.Member,
		Question: strings.TrimSpace(hygiene.Visible(q.Text)), Answer: markdown, Model: model, At: s.Now(),
	})
	if err != nil {
		return fmt.Errorf("keep the turn: %w", err)
	}
	return nil
}

// answer is what of a result may be shown.
func (s *Service) answer(r workers.Result) Answer {
	markdown, thoughts := shown(r.Text, false)
	a := Answer{Markdown: markdown, Reasoning: thoughts, Cut: r.Finish == "length", Result: r}
	if said := strings.TrimSpace(hygiene.Visible(r.Reasoning)); said != "" {
		a.Reasoning = strings.TrimSpace(said + "\n" + thoughts)
	}
	a.Reasoning = hygiene.Cut(hygiene.Markdown(a.Reasoning, false), maxReasoning)
	// No token of any language has more bytes on average than this: the rest is beyond what was asked for.
	if cut := hygiene.Cut(a.Markdown, s.MaxTokens*8); len(cut) < len(a.Markdown) {
		a.Markdown, a.Cut = cut, true
	}
	return a
}

// drafts turns a job's events into Drafts. A new attempt starts again with nothing.
func drafts(show func(Draft)) func(workers.Event) {
	if show == nil {
		return nil
	}
	attempt, markdown := 0, ""
	return func(e workers.Event) {
		if e.Attempt != attempt {
			attempt, markdown = e.Attempt, ""
		}
		if e.Kind == workers.Text {
			markdown, _ = shown(e.Text, true)
			e.Text = markdown
		}
		show(Draft{Event: e, Markdown: markdown})
	}
}

// conversation is what was said before, oldest first.
func (s *Service) conversation(ctx context.Context, q Question) ([]Turn, error) {
	if q.Parent == "" {
		return nil, nil
	}
	turns, err := s.Store.Turns(ctx, q.Parent, maxTurns+1) // one more, to know that there is more
	if err != nil {
		return nil, fmt.Errorf("read the conversation: %w", err)
	}
	// A conversation stays in its chat, whoever names its request.
	return slices.DeleteFunc(turns, func(t Turn) bool { return t.Chat != q.Chat }), nil
}

// messages is the prompt: the house's rule, as much of the conversation as fits, newest first to be taken, and the question.
func (s *Service) messages(rule string, turns []Turn, text string) (messages []protocol.Message, forgot int) {
	left := s.Context - ledger.Tokens(rule) - ledger.Tokens(text)
	first := len(turns)
	for first > 0 && len(turns)-first < maxTurns {
		t := turns[first-1]
		if left -= ledger.Tokens(t.Question) + ledger.Tokens(t.Answer); left < 0 {
			break
		}
		first--
	}
	messages = append(messages, protocol.Message{Role: "system", Text: rule})
	for _, t := range turns[first:] {
		messages = append(messages, protocol.Message{Role: "user", Text: t.Question}, protocol.Message{Role: "assistant", Text: t.Answer})
	}
	return append(messages, protocol.Message{Role: "user", Text: text}), first
}

// rule is the system message. Workers can read it: it holds no secret, and nothing of the person or the chat.
func (s *Service) rule(asked, reader string) string {
	return "You are Potluck, an AI assistant in a community's chat. You are an AI model that runs on graphics cards lent by members of the community: say so when asked, " +
		"and never claim to be a person. Answer in the language of the question, briefly and in Markdown. When you do not know something, say so. " +
		"You cannot open links or see other messages. Today is " + s.Now().UTC().Format("Monday, 2 January 2006") + " (UTC)." + inLanguage(asked, reader)
}
