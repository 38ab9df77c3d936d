package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// modelServer speaks llama-server's part of the OpenAI API. Each of its words waits until the test says it, so that a test decides where in
// an answer something happens.
type modelServer struct {
	*httptest.Server
	requests atomic.Int32
	begun    chan struct{}
	words    chan string // closed: the answer ends
	left     chan time.Time
}

func serveModel(t testing.TB) *modelServer {
	s := &modelServer{begun: make(chan struct{}, 8), words: make(chan string), left: make(chan time.Time, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, `{"models":[{"name":"toy-1b.gguf"}],"object":"list","data":[{"id":"toy-1b.gguf","aliases":["toy-1b.gguf"],"tags":[],"object":"model","created":1764000000,`+
			`"owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":49152,"n_ctx_train":8192,"n_ctx":4096,"n_embd":576,"n_params":1000000000,"size":700000000}}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", s.complete)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// config is the config.yaml of a machine whose only engine is this server.
func (s *modelServer) config() string {
	return "engines: []\nopenai:\n  - base_url: " + s.URL + "/v1\n"
}

func (s *modelServer) complete(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Stream   bool `json:"stream"`
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !asked.Stream || len(asked.Messages) == 0 {
		http.Error(w, `{"error":{"code":400,"message":"want a stream of an answer to messages","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	s.requests.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := func(delta, finish string) {
		fmt.Fprintf(w, `data: {"choices":[{"finish_reason":%s,"index":0,"delta":%s}],"created":1764000001,"id":"chatcmpl-1","model":"toy-1b.gguf","system_fingerprint":"b1","object":"chat.completion.chunk"}`+"\n\n", finish, delta)
		_ = http.NewResponseController(w).Flush() // the client may have left
	}
	chunk(`{"role":"assistant","content":null}`, "null")
	s.begun <- struct{}{}
	for {
		select {
		case word, ok := <-s.words:
			if !ok {
				chunk("{}", `"stop"`)
				fmt.Fprint(w, "data: [DONE]\n\n")
				return
			}
			text, _ := json.Marshal(map[string]string{"content": word}) // a string always encodes
			chunk(string(text), "null")
		case <-r.Context().Done():
			s.left <- time.Now()
			return
		}
	}
}

// asked waits until a request is there.
func (s *modelServer) asked(t testing.TB) {
	t.Helper()
	await(t, "a request at the model server", s.begun)
}

// say has the model write these words.
func (s *modelServer) say(t testing.TB, words ...string) {
	t.Helper()
	for _, word := range words {
		late := time.NewTimer(patience)
		select {
		case s.words <- word:
			late.Stop()
		case <-late.C:
			t.Fatalf("nobody reads the model's word %q", word)
		}
	}
}

// end ends this and all further answers.
func (s *modelServer) end() { close(s.words) }

func await[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v := <-ch:
		return v
	case <-late.C:
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func TestStopReachesTheModelServer(t *testing.T) {
	t.Parallel()
	k, model := openKitchen(t), serveModel(t)
	k.lend(k.operator, "tower", model.config())
	before := k.guest.ask("/credits").Text

	q := k.guest.say("/ask tell me a long story")
	model.asked(t)
	model.say(t, "Once ", "upon ", "a ")
	k.guest.growing(q, "Once upon a")
	model.say(t, "time, ")
	running := k.guest.growing(q, "Once upon a time,")
	if during := k.guest.ask("/credits").Text; !strings.Contains(during, "Set aside for running jobs") {
		t.Errorf("while the answer grows, /credits says %q", during)
	}

	pressed := time.Now()
	k.guest.press(running, "Stop")
	t.Logf("Stop pressed, the server saw its client leave after %v", await(t, "the end of the request at the model server", model.left).Sub(pressed).Round(time.Microsecond))
	stopped := k.guest.answer(q)
	t.Logf("and the final was on the page after %v", time.Since(pressed).Round(time.Millisecond))
	if stopped.ID != running.ID || !strings.Contains(stopped.Text, "Once upon a time,") || !strings.Contains(stopped.Text, "Stopped.") {
		t.Errorf("after Stop the answer is %+v", stopped)
	}
	for _, line := range []string{"Your credits: ", "Free today: "} {
		if b, a := lineWith(t, line, before), lineWith(t, line, k.guest.ask("/credits").Text); firstWords(b) != firstWords(a) {
			t.Errorf("before the question /credits said %q, after Stop %q", b, a)
		}
	}
	if n := k.operator.earned(); n != 0 {
		t.Errorf("a stopped answer earned %v", n)
	}

	// The server is free again for the next question.
	q = k.guest.say("/ask and a short one?")
	model.asked(t)
	model.say(t, "The ", "end.")
	model.end()
	if next := k.guest.answer(q); !strings.Contains(next.Text, "The end.") || !strings.Contains(next.Text, "toy-1b") {
		t.Errorf("the next answer is %q", next.Text)
	}
	k.close()
	k.guest.answeredOnce(q)
}

func lineWith(t testing.TB, beginning, text string) string {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, beginning) {
			return line
		}
	}
	t.Fatalf("no line %q in %q", beginning, text)
	return ""
}

// firstWords leaves out how long something lasts still, which changes with every minute.
func firstWords(line string) string {
	first, _, _ := strings.Cut(line, ", full again")
	return first
}
