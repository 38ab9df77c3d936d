package engine

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers/protocol"
)

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// thoughtful answers every request after half a minute of thoughts, one a second.
func thoughtful(*http.Request) *http.Response {
	body, w := io.Pipe()
	go func() {
		for range 30 {
			fmt.Fprintf(w, "%s\r\n\r\n", chunk(`{"reasoning_content":"hm "}`, "null"))
			<-time.After(time.Second)
		}
		fmt.Fprintf(w, "%s\r\n\r\n%s\r\n\r\n", chunk(`{"content":"ok"}`, `"stop"`), "data: [DONE]")
		w.Close()
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}
}

// A model that thought for longer than a server waits for the first word was taken for dead: nothing was said of it.
func TestThinkingModelShowsThatItIsAtWork(t *testing.T) {
	for name, job := range map[string]protocol.Assign{
		"chat": chatJob("why?"),
		"translation": {Kind: protocol.Translate, Model: "qwen", Translate: &protocol.TranslateJob{From: "en", To: "es",
			Segments: [][]protocol.Piece{{{Text: "one"}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				e, err := NewOpenAI(OpenAIConfig{BaseURL: "http://127.0.0.1:1/v1"})
				if err != nil {
					t.Fatal(err)
				}
				e.http.Transport = mending{roundTrip(thoughtful)}
				var out shown
				if _, err := e.Run(t.Context(), job, &out); err != nil {
					t.Fatal(err)
				}
				if n := len(out.progress); n < 5 || n > 8 {
					t.Errorf("half a minute of thoughts showed %d signs", n)
				}
			})
		})
	}
}
