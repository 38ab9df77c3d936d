package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// mending reduces event streams to what go-openai reads: it fails on many comment pings in a row, on numbers of another type in fields that
// nobody needs, and on errors that are not written exactly as OpenAI's.
type mending struct{ next http.RoundTripper }

func (m mending) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := m.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, 64<<10), res.Body}
	} else if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
		res.Body = &mended{lines: lines, Closer: res.Body}
	}
	return res, nil
}

type mended struct {
	io.Closer
	lines    *bufio.Scanner
	ready    bytes.Buffer
	finished bool // a finish_reason was seen
}

func (m *mended) Read(b []byte) (int, error) {
	for m.ready.Len() == 0 {
		if !m.lines.Scan() {
			if err := m.lines.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		m.line(bytes.TrimSpace(m.lines.Bytes()))
	}
	return m.ready.Read(b)
}

type event struct {
	Choices []struct {
		Index        int    `json:"index"`
		FinishReason string `json:"finish_reason"`
		Delta        struct {
			Content          string `json:"content"`
			ReasoningContent string `json:"reasoning_content,omitempty"`
			Reasoning        string `json:"reasoning,omitempty"`
		} `json:"delta"`
	} `json:"choices"`
	Error json.RawMessage `json:"error,omitempty"`
}

func (m *mended) line(line []byte) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		if data, ok = bytes.CutPrefix(line, []byte("error:")); !ok {
			return // a comment, an event name or nothing
		}
		m.fail(data)
		return
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		if !m.finished {
			m.ready.WriteString(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n")
		}
		m.ready.WriteString("data: [DONE]\n")
		return
	}
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		m.fail([]byte(`{"message":"unreadable event"}`))
		return
	}
	if len(e.Error) > 0 && string(e.Error) != "null" {
		m.fail(e.Error)
		return
	}
	for i := range e.Choices {
		c := &e.Choices[i]
		m.finished = m.finished || c.FinishReason != ""
		c.Delta.ReasoningContent += c.Delta.Reasoning
		c.Delta.Reasoning = ""
	}
	clean, _ := json.Marshal(e) // strings and integers always encode
	fmt.Fprintf(&m.ready, "data: %s\n", clean)
}

// fail writes an error in the one shape that go-openai recognises.
func (m *mended) fail(raw []byte) {
	var wrapped struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &wrapped) == nil && len(wrapped.Error) > 0 {
		raw = wrapped.Error
	}
	var said struct {
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Code    json.RawMessage `json:"code"`
	}
	if json.Unmarshal(raw, &said) != nil && json.Unmarshal(raw, &said.Message) != nil {
		said.Message = "unreadable error"
	}
	var code int
	if json.Unmarshal(said.Code, &code) != nil || code == 0 {
		code = http.StatusInternalServerError
	}
	clean, _ := json.Marshal(map[string]any{"message": said.Message, "type": said.Type, "code": code})
	// The blank line makes go-openai look at the error now and not at the end of the stream.
	fmt.Fprintf(&m.ready, "data: {\"error\":%s}\n\n", clean)
}
