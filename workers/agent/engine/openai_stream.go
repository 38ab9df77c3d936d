package engine

//lint:file-ignore SA1019 local servers know max_tokens; several ignore its successor and would generate without a limit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	openai "github.com/sashabaranov/go-openai"

	"potluck/workers/protocol"
)

var errSlow = errors.New("no event in time")

// tokens estimates from above how many tokens a text has.
func tokens(text string) int { return utf8.RuneCountInString(text)/2 + 1 }

// stillEvery is how often a model that writes nothing for people is said to be at work all the same: it thinks, or translates. A server gives up a
// worker of which nothing comes.
const stillEvery = 5 * time.Second

// stream sends one request and hands the answer's text on as it comes (text may be nil: nobody looks). still is called now and then while the model
// writes something that is not shown.
func (e *OpenAI) stream(ctx context.Context, req openai.ChatCompletionRequest, text func(string), still func()) (protocol.Done, error) {
	if err := e.bound(&req); err != nil {
		return protocol.Done{}, err
	}
	req.StreamOptions = &openai.StreamOptions{IncludeUsage: true}

	// Ending this context closes the connection, which is the only thing that stops a server from generating on.
	ctx, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	watch := time.AfterFunc(e.cfg.FirstByte, func() { hangUp(errSlow) })
	defer watch.Stop()

	shown := time.Now()
	a := newAnswer(func(s string) {
		if text != nil {
			shown = time.Now()
			text(s)
		}
	})
	stream, err := e.client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return protocol.Done{}, broken(ctx, err)
	}
	defer stream.Close()
	for !a.full {
		chunk, err := stream.Recv()
		switch {
		case err != nil && a.finish != "":
			return a.done(), nil // whatever came after the end is no loss
		case errors.Is(err, io.EOF) && !errors.Is(context.Cause(ctx), errSlow):
			return protocol.Done{}, &JobError{Fault: protocol.FaultEngine, Detail: "the answer broke off"}
		case err != nil:
			return protocol.Done{}, broken(ctx, err)
		}
		ended := a.finish != ""
		a.take(chunk)
		if now := time.Now(); now.Sub(shown) >= stillEvery {
			shown = now
			still()
		}
		switch {
		case !ended && a.finish != "":
			// Only the usage and the end mark follow; some servers send neither and keep the connection.
			watch.Reset(2 * time.Second)
		case !ended:
			watch.Reset(e.cfg.Idle)
		}
	}
	return a.done(), nil
}

// bound gives a request a limit of tokens; a JobError says that the model cannot hold it.
func (e *OpenAI) bound(req *openai.ChatCompletionRequest) error {
	e.mu.Lock()
	limit := e.contexts[req.Model]
	e.mu.Unlock()
	if limit <= 0 {
		limit = e.cfg.Context
	}
	if req.MaxTokens <= 0 || req.MaxTokens > e.cfg.MaxTokens {
		req.MaxTokens = e.cfg.MaxTokens
	}
	if limit <= 0 {
		return nil
	}
	runes := 0
	for _, m := range req.Messages {
		runes += utf8.RuneCountInString(m.Content)
	}
	if runes/4 > limit {
		return &JobError{Fault: protocol.FaultTooLong, Detail: "longer than the model's context"}
	}
	req.MaxTokens = min(req.MaxTokens, limit)
	return nil
}

// broken is the error of a request that was given up because nothing came, or of one that failed.
func broken(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlow) {
		err = errSlow
	}
	return jobError(err)
}

// answer collects what a model writes, up to protocol.MaxText, and hands the visible part on.
type answer struct {
	text, thought strings.Builder
	sift          thinking
	finish        string // "" until the model says that it has ended
	full          bool
}

func newAnswer(text func(string)) *answer {
	a := &answer{}
	a.sift = thinking{text: func(s string) {
		if a.text.Len() == 0 {
			s = strings.TrimLeft(s, "\n\r ")
		}
		if a.text.Len()+len(s) > protocol.MaxText {
			s, a.full = protocol.CutText(s, protocol.MaxText-a.text.Len()), true
		}
		if s != "" {
			a.text.WriteString(s)
			text(s)
		}
	}, thought: func(s string) {
		// Half the room: text and thoughts go back in one frame.
		a.thought.WriteString(protocol.CutText(s, protocol.MaxText/2-a.thought.Len()))
	}}
	return a
}

func (a *answer) take(chunk openai.ChatCompletionStreamResponse) {
	for _, c := range chunk.Choices {
		if c.Index != 0 {
			continue
		}
		a.sift.thought(c.Delta.ReasoningContent)
		a.sift.write(c.Delta.Content)
		switch {
		case c.FinishReason == "" || a.finish != "":
		case c.FinishReason == openai.FinishReasonLength:
			a.finish = "length"
		default:
			a.finish = "stop"
		}
	}
}

func (a *answer) done() protocol.Done {
	a.sift.flush()
	if a.full {
		a.finish = "length"
	}
	return protocol.Done{Finish: a.finish, Text: a.text.String(), Reasoning: strings.TrimSpace(a.thought.String())}
}

// thinking takes <think>…</think> out of a text that comes in any cuts.
type thinking struct {
	text, thought func(string)
	held          string // the beginning of what may be a tag
	inside        bool
}

func (t *thinking) write(s string) {
	t.held += s
	for {
		tag, to := "<think>", t.text
		if t.inside {
			tag, to = "</think>", t.thought
		}
		if i := strings.Index(t.held, tag); i >= 0 {
			to(t.held[:i])
			t.held, t.inside = t.held[i+len(tag):], !t.inside
			continue
		}
		n := min(len(tag)-1, len(t.held)) // the longest end of held that begins the tag stays
		for !strings.HasSuffix(t.held, tag[:n]) {
			n--
		}
		to(t.held[:len(t.held)-n])
		t.held = t.held[len(t.held)-n:]
		return
	}
}

func (t *thinking) flush() {
	if t.inside {
		t.thought(t.held)
	} else {
		t.text(t.held)
	}
	t.held = ""
}

// jobError says whose fault a failed request is. Messages of servers hold paths and parts of prompts, so they are looked at and dropped.
func jobError(err error) error {
	status, kind, message := 0, "", ""
	if r, ok := errors.AsType[*openai.RequestError](err); ok { // comes first: it may wrap an APIError without a status
		status, message = r.HTTPStatusCode, string(r.Body)
	} else if api, ok := errors.AsType[*openai.APIError](err); ok {
		status, kind, message = api.HTTPStatusCode, api.Type, api.Message
		if status == 0 { // in the middle of a stream only the body tells
			status, _ = api.Code.(int)
		}
	}
	message = strings.ToLower(kind + " " + message)
	long := holdsAny(message, "exceed_context_size", "context length", "context_length", "context size", "context window", "maximum context")
	switch {
	case long && status != 429 && status != 503:
		return &JobError{Fault: protocol.FaultTooLong, Detail: "longer than the model's context"}
	case status == 429 || status == 503:
		return &JobError{Fault: protocol.FaultOverload, Detail: fmt.Sprintf("status %d", status)}
	case status == 401 || status == 403 || status == 404 || status == 408:
		// A wrong key or a model that has gone is this machine's matter: another worker can do the job.
		return &JobError{Fault: protocol.FaultEngine, Detail: fmt.Sprintf("status %d", status)}
	case status >= 400 && status < 500:
		return &JobError{Fault: protocol.FaultRequest, Detail: fmt.Sprintf("status %d", status)}
	case status != 0:
		return &JobError{Fault: protocol.FaultEngine, Detail: fmt.Sprintf("status %d", status)}
	}
	detail := "the answer cannot be read"
	var n net.Error
	if errors.As(err, &n) || errors.Is(err, syscall.ECONNREFUSED) {
		detail = "the server cannot be reached"
	} else if errors.Is(err, errSlow) {
		detail = "no event in time"
	}
	return &JobError{Fault: protocol.FaultEngine, Detail: detail}
}
