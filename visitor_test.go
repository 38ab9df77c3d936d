package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait of these tests; only a broken program uses it up.
const patience = 4 * time.Minute

// message is what the page knows of one message.
type message struct {
	ID      string   `json:"id"`
	Author  string   `json:"author"`
	Bot     bool     `json:"bot"`
	Text    string   `json:"text"`
	Images  []string `json:"images"`
	Buttons []struct {
		ID    string `json:"id"`
		Label string `json:"label"`
	} `json:"buttons"`
	Final   bool   `json:"final"`
	ReplyTo string `json:"reply_to"`
}

type pageEvent struct {
	id   int64
	kind string // message, edit, delete, or gone: the stream has ended
	message
}

// visitor is somebody who has the lobby open. It belongs to the goroutine of its test.
type visitor struct {
	t      testing.TB
	base   string // http://127.0.0.1:4711
	from   string // the address that a proxy says this visitor has; empty: there is no proxy
	client *http.Client
	seen   []pageEvent
	last   int64 // event up to which the visitor has seen everything
	stream chan pageEvent
	leave  func()
}

func visit(t testing.TB, base, name string) *visitor { return visitFrom(t, base, name, "") }

// visitFrom is visit through a proxy, from an address of the internet.
func visitFrom(t testing.TB, base, name, address string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	v := &visitor{t: t, base: base, from: address, client: &http.Client{Jar: jar, Transport: transport}}
	t.Cleanup(func() {
		v.close()
		transport.CloseIdleConnections()
	})
	v.post("/webchat/session", map[string]string{"name": name})
	v.listen()
	return v
}

// again is the same person with another browser window, who sees the chat from its start.
func (v *visitor) again() *visitor {
	transport := &http.Transport{}
	w := &visitor{t: v.t, base: v.base, from: v.from, client: &http.Client{Jar: v.client.Jar, Transport: transport}}
	v.t.Cleanup(func() {
		w.close()
		transport.CloseIdleConnections()
	})
	w.listen()
	return w
}

func (v *visitor) request(method, path string, body any) *http.Response {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	v.t.Cleanup(cancel)
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			v.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.base+path, r)
	if err != nil {
		v.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	v.proxied(req)
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res
}

// proxied adds what the proxy adds.
func (v *visitor) proxied(r *http.Request) {
	if v.from != "" {
		r.Header.Set("X-Forwarded-For", v.from)
	}
}

// post sends JSON and returns the id in the answer, if there is one.
func (v *visitor) post(path string, body any) string {
	v.t.Helper()
	res := v.request(http.MethodPost, path, body)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		v.t.Fatalf("POST %s: %s %s %v", path, res.Status, b, err)
	}
	var answer struct{ ID string }
	if err := json.Unmarshal(b, &answer); err != nil {
		v.t.Fatalf("POST %s: %q: %v", path, b, err)
	}
	return answer.ID
}

// say types a text and returns its message id.
func (v *visitor) say(text string) string {
	v.t.Helper()
	return v.post("/webchat/messages", map[string]string{"chat": "lobby", "text": text})
}

// press presses a button of a message.
func (v *visitor) press(m message, label string) {
	v.t.Helper()
	for _, b := range m.Buttons {
		if b.Label == label {
			v.post("/webchat/actions", map[string]string{"message": m.ID, "action": b.ID})
			return
		}
	}
	v.t.Fatalf("no button %q below %+v", label, m)
}

// listen opens the event stream behind what the visitor has seen, as a browser does when the connection was lost.
func (v *visitor) listen() {
	v.t.Helper()
	v.close()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/webchat/events?chat=lobby&after="+strconv.FormatInt(v.last, 10), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	v.proxied(req)
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		v.t.Fatalf("event stream: %s", res.Status)
	}
	stream, ended := make(chan pageEvent), make(chan struct{})
	go func() {
		defer close(ended)
		defer res.Body.Close()
		emit := func(e pageEvent) {
			select {
			case stream <- e:
			case <-ctx.Done():
			}
		}
		if err := readEvents(res.Body, emit); err != nil {
			v.t.Error(err)
		}
		emit(pageEvent{kind: "gone"})
	}()
	v.stream = stream
	v.leave = func() {
		cancel()
		<-ended
	}
}

// readEvents calls emit for each event of a stream until that ends. Its error is an event that is no JSON.
func readEvents(r io.Reader, emit func(pageEvent)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var e pageEvent
	var data string // read when the event is complete: a stream that is cut may end in the middle of a line
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			e.id, _ = strconv.ParseInt(value, 10, 64)
		case "event":
			e.kind = value
		case "data":
			data = value
		case "":
			if e.kind != "" {
				if err := json.Unmarshal([]byte(data), &e.message); err != nil {
					return fmt.Errorf("event %q: %w", data, err)
				}
				emit(e)
			}
			e, data = pageEvent{}, ""
		}
	}
	return nil
}

func (v *visitor) close() {
	if v.leave != nil {
		v.leave()
		v.leave = nil
	}
}

// next waits for one event and remembers it.
func (v *visitor) next(what string) pageEvent {
	v.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case e := <-v.stream:
		if e.kind != "gone" {
			v.seen, v.last = append(v.seen, e), e.id
		}
		return e
	case <-late.C:
		v.t.Fatalf("%s did not come; the newest events: %s", what, v.newest())
		panic("unreachable")
	}
}

func (v *visitor) newest() string {
	var b strings.Builder
	for _, e := range v.seen[max(0, len(v.seen)-5):] {
		b.WriteString("\n  " + e.kind + " " + e.ID + " " + strconv.Quote(e.Text))
	}
	return b.String()
}

// await returns the first message or edit, seen already or still to come, that is what the caller wants.
func (v *visitor) await(what string, is func(message) bool) message {
	v.t.Helper()
	for i := 0; ; i++ {
		if i == len(v.seen) && v.next(what).kind == "gone" {
			v.t.Fatalf("the stream ended before %s; the newest events: %s", what, v.newest())
		}
		if e := v.seen[i]; e.kind != "delete" && is(e.message) {
			return e.message
		}
	}
}

// growing waits for an unfinished answer to a message that holds a text.
func (v *visitor) growing(question, text string) message {
	v.t.Helper()
	return v.await("an answer that grows to "+strconv.Quote(text), func(m message) bool {
		return m.Bot && m.ReplyTo == question && !m.Final && strings.Contains(m.Text, text)
	})
}

// answer waits for the final answer to a message.
func (v *visitor) answer(question string) message {
	v.t.Helper()
	return v.await("the final answer", func(m message) bool { return m.Bot && m.ReplyTo == question && m.Final })
}

// ask is say and answer.
func (v *visitor) ask(text string) message {
	v.t.Helper()
	return v.answer(v.say(text))
}

// untilGone reads what is still to come until the server closes the stream.
func (v *visitor) untilGone() {
	v.t.Helper()
	for v.next("the end of the stream").kind != "gone" {
	}
}

// steps lists the distinct texts that the answer to a message has shown, in order.
func (v *visitor) steps(question string) []string {
	var texts []string
	for _, e := range v.seen {
		if e.Bot && e.ReplyTo == question && (len(texts) == 0 || texts[len(texts)-1] != e.Text) {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// answeredOnce checks that a message has one answer in one message, which became final once and did not change afterwards.
func (v *visitor) answeredOnce(question string) {
	v.t.Helper()
	answers, finals := map[string]bool{}, 0
	for _, e := range v.seen {
		switch {
		case e.kind == "delete" && answers[e.ID]:
			v.t.Errorf("the answer %s was deleted", e.ID)
		case e.kind == "delete" || !e.Bot || e.ReplyTo != question:
			continue
		case finals > 0 && !e.Final:
			v.t.Errorf("the answer changed after its final: %q", e.Text)
		case e.Final:
			finals++
		}
		answers[e.ID] = true
	}
	if len(answers) != 1 || finals != 1 {
		v.t.Errorf("%d messages answer %s, %d finals; want one of each: %s", len(answers), question, finals, v.newest())
	}
}

// becomeOperator opens the one-time address, of which only path and token count here.
func (v *visitor) becomeOperator(address string) {
	v.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		v.t.Fatal(err)
	}
	res := v.request(http.MethodGet, u.RequestURI(), nil)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		v.t.Fatalf("operator address: %s", res.Status)
	}
	v.listen() // as the operator, who has another identity
}

// picture fetches and decodes a picture of a message.
func (v *visitor) picture(address string) image.Image {
	v.t.Helper()
	res := v.request(http.MethodGet, address, nil)
	defer res.Body.Close()
	m, format, err := image.Decode(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || format != "png" {
		v.t.Fatalf("picture %s: %s %s %v", address, res.Status, format, err)
	}
	return m
}

// number finds the one number that a pattern's group names in a text, such as `job (\d+)`. Thousands separators are dropped.
func number(t testing.TB, pattern, text string) float64 {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %q", pattern, text)
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(found[1], ",", ""), 64)
	if err != nil {
		t.Fatalf("%s in %q: %v", pattern, text, err)
	}
	return n
}

// jobOf is the number that stands below an answer.
func jobOf(t testing.TB, m message) string {
	t.Helper()
	return strconv.Itoa(int(number(t, `job (\d+)`, m.Text)))
}

// earned is what a visitor's workers have earned ever, as /credits tells.
func (v *visitor) earned() float64 {
	v.t.Helper()
	return number(v.t, `Earned ever: ([\d.,]*\d)`, v.ask("/credits").Text)
}
