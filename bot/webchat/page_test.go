package webchat_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/storage"
	"potluck/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a picture folder.
type folder string

func (f folder) Keep(name string, data []byte) error {
	return os.WriteFile(filepath.Join(string(f), name), data, 0o600)
}

func (f folder) Open(name string) (io.ReadSeekCloser, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrNotExist
	}
	return os.Open(filepath.Join(string(f), name))
}

// table is a running page with a real database behind real HTTP.
type table struct {
	*webchat.Page
	store  webchat.Store
	t      testing.TB
	url    string
	events chan bot.Event
	stop   func() // ends Run and waits for it

	mu   sync.Mutex
	fail error // what the handler answers
}

func (tb *table) handle(_ context.Context, e bot.Event) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.fail == nil {
		select {
		case tb.events <- e:
		default: // a benchmark does not look
		}
	}
	return tb.fail
}

func (tb *table) failWith(err error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.fail = err
}

func (tb *table) event() bot.Event {
	tb.t.Helper()
	select {
	case e := <-tb.events:
		return e
	case <-time.After(5 * time.Minute):
		tb.t.Fatal("no event reached the bot")
	}
	return bot.Event{}
}

func lay(t testing.TB, change ...func(*webchat.Config)) *table {
	t.Helper()
	return layOver(t, storagetest.Open(t), change...)
}

func layOver(t testing.TB, db *storage.DB, change ...func(*webchat.Config)) *table {
	t.Helper()
	c := webchat.Config{
		Store: &storage.Page{DB: db}, Pictures: folder(t.TempDir()), OperatorToken: "let-me-in", Chats: []string{"lobby", "english", "español"},
		PrivateCommand: func(text string) bool { return strings.HasPrefix(text, "/credits") },
		Commands: func(context.Context, community.UserID, string) any {
			return []map[string]string{{"name": "ask", "description": "Ask a question"}, {"name": "imagine", "description": "Draw a picture"}, {"name": "translate", "description": "Translate a text"}, {"name": "credits", "description": "What you may spend"}}
		},
		Limits: webchat.Limits{MessagesBurst: 10_000, AddressBurst: 100_000, SessionsBurst: 100_000, StreamsBurst: 100_000},
	}
	for _, f := range change {
		f(&c)
	}
	p, err := webchat.New(c)
	if err != nil {
		t.Fatal(err)
	}
	tb := &table{Page: p, store: c.Store, t: t, events: make(chan bot.Event, 1000)}
	server := httptest.NewServer(p.Handler())
	tb.url = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx, tb.handle) }()
	var once sync.Once
	tb.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ran; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		tb.stop()
		server.Close()
	})
	// Run takes messages from now on: without a handler the answer is 503.
	for {
		v := tb.visitor("probe")
		status, _, _ := v.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "x", "reply_to": "none"})
		if status == http.StatusNotFound {
			return tb
		}
	}
}

// visitor is a browser without a screen.
type visitor struct {
	table  *table
	client *http.Client
	user   string
}

func (tb *table) stranger() *visitor {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{}
	tb.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{table: tb, client: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (tb *table) visitor(name string) *visitor {
	tb.t.Helper()
	v := tb.stranger()
	status, body, _ := v.post("/webchat/session", map[string]any{"name": name})
	if status != http.StatusOK {
		tb.t.Fatalf("enter as %q: %d %s", name, status, body)
	}
	v.user = field(tb.t, body, "user")
	return v
}

func (v *visitor) do(r *http.Request) (int, string, http.Header) {
	v.table.t.Helper()
	response, err := v.client.Do(r)
	if err != nil {
		v.table.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.table.t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func (v *visitor) post(path string, body any, headers ...string) (int, string, http.Header) {
	v.table.t.Helper()
	encoded, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			v.table.t.Fatal(err)
		}
		encoded = string(b)
	}
	r, _ := http.NewRequest("POST", v.table.url+path, strings.NewReader(encoded))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.do(r)
}

func (v *visitor) get(path string, headers ...string) (int, string, http.Header) {
	v.table.t.Helper()
	r, _ := http.NewRequest("GET", v.table.url+path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.do(r)
}

// says posts a message, which must be taken, and returns its id.
func (v *visitor) says(chat, text string, more ...string) community.MessageID {
	v.table.t.Helper()
	body := map[string]any{"chat": chat, "text": text}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = more[i+1]
	}
	status, answer, _ := v.post("/webchat/messages", body)
	if status != http.StatusAccepted {
		v.table.t.Fatalf("say %q: %d %s", text, status, answer)
	}
	return community.MessageID(field(v.table.t, answer, "id"))
}

func boolField(t testing.TB, body, name string) bool {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	b, _ := m[name].(bool)
	return b
}

func field(t testing.TB, body, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	s, _ := m[name].(string)
	return s
}

// shown is an event as a browser gets it.
type shown struct {
	event  string
	id     int64
	ID     string       `json:"id"`
	Chat   string       `json:"chat"`
	Name   string       `json:"author"`
	User   string       `json:"user"`
	Bot    bool         `json:"bot"`
	Mine   bool         `json:"mine"`
	Text   string       `json:"text"`
	Spans  []bot.Span   `json:"spans"`
	Imgs   []string     `json:"images"`
	Pics   []any        `json:"pictures"`
	Btns   []bot.Button `json:"buttons"`
	Final  bool         `json:"final"`
	Asks   bool         `json:"asks"`
	Reply  string       `json:"reply_to"`
	At     time.Time    `json:"at"`
	Only   bool         `json:"only"`
	Edited bool         `json:"edited"`
	raw    string       // the data
}

// watch is an open event stream.
type watch struct {
	t     testing.TB
	lines *bufio.Scanner
	close func()
}

func (v *visitor) watch(query string, headers ...string) *watch {
	v.table.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	r, _ := http.NewRequestWithContext(ctx, "GET", v.table.url+"/webchat/events?"+query, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.table.t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		v.table.t.Fatalf("watch %s: %d %s", query, response.StatusCode, kind)
	}
	w := &watch{t: v.table.t, lines: bufio.NewScanner(response.Body), close: func() { cancel(); response.Body.Close() }}
	w.lines.Buffer(nil, 1<<20)
	v.table.t.Cleanup(w.close)
	return w
}

// next returns the next event; ok is false when the stream ended.
func (w *watch) next() (s shown, ok bool) {
	w.t.Helper()
	for w.lines.Scan() {
		name, value, _ := strings.Cut(w.lines.Text(), ": ")
		switch name {
		case "id":
			s.id, _ = strconv.ParseInt(value, 10, 64)
		case "event":
			s.event = value
		case "data":
			s.raw = value
			if err := json.Unmarshal([]byte(value), &s); err != nil {
				w.t.Errorf("data %q: %v", value, err)
			}
		case "":
			if s.event != "" {
				return s, true
			}
		}
	}
	return s, false
}

func (w *watch) must() shown {
	w.t.Helper()
	s, ok := w.next()
	if !ok {
		w.t.Fatalf("the stream ended: %v", w.lines.Err())
	}
	return s
}

func TestTwoVisitorsSeeEachOther(t *testing.T) {
	tb := lay(t)
	anna, ben := tb.visitor("Anna"), tb.visitor("  Ben   B. ")
	hers, his := anna.watch("chat=lobby&after=0"), ben.watch("chat=lobby")

	id := anna.says("lobby", "Hello <b>Ben</b>\r\nhow are you?")
	e := tb.event()
	if e.ID != "page:"+string(id) || e.Kind != bot.MessageNew || e.Message != id || e.Chat.ID != "page:lobby" || e.Chat.Community != "page:potluck" ||
		string(e.User) != anna.user || e.Name != "Anna" || e.Text.Plain != "Hello <b>Ben</b>\nhow are you?" || e.FromBot || e.Chat.Private {
		t.Errorf("the bot got %+v", e)
	}
	h, b := hers.must(), his.must()
	if h.ID != string(id) || !h.Mine || h.Bot || h.Name != "Anna" || h.User != anna.user || !h.Final || h.Only || h.event != "message" {
		t.Errorf("Anna sees %+v", h)
	}
	if b.ID != string(id) || b.Mine || b.id != h.id || b.Text != "Hello <b>Ben</b>\nhow are you?" {
		t.Errorf("Ben sees %+v", b)
	}
	answer := ben.says("lobby", "Fine", "reply_to", string(id))
	if got := hers.must(); got.ID != string(answer) || got.Reply != string(id) || got.Name != "Ben B." {
		t.Errorf("Anna sees %+v", got)
	}
	if e := tb.event(); e.ReplyTo != id {
		t.Errorf("the bot got a reply to %q", e.ReplyTo)
	}
	// Another chat is another chat.
	elsewhere := anna.watch("chat=" + url.QueryEscape("español"))
	there := ben.says("español", "Hola")
	if got := elsewhere.must(); got.ID != string(there) || got.Chat != "español" {
		t.Errorf("Anna sees %+v in español", got)
	}
}

func TestTheBotAnswersEditsAndDeletes(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	id := anna.says("lobby", "/ask why")
	w := anna.watch("chat=lobby&after=0")
	w.must()

	ctx := t.Context()
	out := bot.Outgoing{Chat: "page:lobby", ReplyTo: id, Text: bot.Plain("…"), Nonce: "n1", Buttons: []bot.Button{{ID: "stop1", Label: "Stop", Style: bot.Danger}}}
	parts, err := tb.Send(ctx, out)
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	if got := w.must(); !got.Bot || got.Name != "Potluck" || got.User != "" || got.Final || got.Mine || got.Reply != string(id) || len(got.Btns) != 1 || got.Btns[0].Style != "danger" {
		t.Errorf("sent: %+v", got)
	}
	again, err := tb.Send(ctx, out)
	if err != nil || again[0] != parts[0] {
		t.Errorf("the same nonce made %v, %v", again, err)
	}
	out.Text = bot.Text{Plain: "Because see here", Spans: []bot.Span{{Start: 8, End: 11, Kind: bot.Link, Value: "javascript:alert(1)"}, {Start: 12, End: 16, Kind: bot.Bold}}}
	out.Final, out.Buttons = true, nil
	if _, err := tb.Edit(ctx, parts, out); err != nil {
		t.Fatal(err)
	}
	if got := w.must(); got.event != "edit" || got.ID != string(parts[0]) || !got.Final || len(got.Spans) != 1 || got.Spans[0].Kind != bot.Bold || len(got.Btns) != 0 {
		t.Errorf("edited: %+v", got)
	}
	if _, err := tb.Edit(ctx, parts, out); err != nil { // nothing changes, nobody is told
		t.Fatal(err)
	}
	if err := tb.Delete(ctx, "page:lobby", parts); err != nil {
		t.Fatal(err)
	}
	if got := w.must(); got.event != "delete" || got.ID != string(parts[0]) || got.Text != "" {
		t.Errorf("deleted: %+v", got)
	}
	if err := tb.Delete(ctx, "page:lobby", append(parts, "unknown")); err != nil {
		t.Errorf("delete again: %v", err)
	}
	if _, err := tb.Edit(ctx, parts, out); err == nil {
		t.Error("a deleted message was edited")
	}
	if _, err := tb.Send(ctx, bot.Outgoing{Chat: "page:cellar"}); err == nil {
		t.Error("sent to a chat that is not there")
	}
	// Who comes later sees the question and, of the answer, only that it is gone.
	late := tb.visitor("Late").watch("chat=lobby&after=0")
	if a, b := late.must(), late.must(); a.ID != string(id) || b.event != "delete" {
		t.Errorf("later: %+v, %+v", a, b)
	}
}

func TestPrivateMessagesReachTheirPersonOnly(t *testing.T) {
	tb := lay(t)
	anna, ben := tb.visitor("Anna"), tb.visitor("Ben")
	hers, his := anna.watch("chat=lobby"), ben.watch("chat=lobby")

	asked := anna.says("lobby", "/credits")
	if e := tb.event(); e.Message != asked {
		t.Errorf("the bot got %+v", e)
	}
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Only: community.UserID(anna.user), ReplyTo: asked, Text: bot.Plain("12 credits"), Buttons: []bot.Button{{ID: "why", Label: "Why?"}}})
	if err != nil {
		t.Fatal(err)
	}
	// Public again by mistake of an edit: it is not.
	if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("13 credits"), Buttons: []bot.Button{{ID: "why", Label: "Why?"}}, Final: true}); err != nil {
		t.Fatal(err)
	}
	whispered := anna.says("lobby", "and yesterday?", "reply_to", string(parts[0]))
	public := anna.says("lobby", "good morning")

	for i, want := range []string{string(asked), string(parts[0]), string(parts[0]), string(whispered), string(public)} {
		if got := hers.must(); got.ID != want || got.Only != (i < 4) {
			t.Errorf("event %d for Anna: %+v", i, got)
		}
	}
	if got := his.must(); got.ID != string(public) {
		t.Errorf("Ben sees %+v", got)
	}
	if got := ben.watch("chat=lobby&after=0").must(); got.ID != string(public) {
		t.Errorf("Ben's replay shows %+v", got)
	}
	if got := anna.watch("chat=lobby&after=0").must(); got.ID != string(asked) || !got.Only {
		t.Errorf("Anna's replay shows %+v", got)
	}
	if status, _, _ := ben.post("/webchat/actions", map[string]any{"message": parts[0], "action": "why"}); status != http.StatusNotFound {
		t.Errorf("Ben pressed Anna's button: %d", status)
	}
	if status, _, _ := ben.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "hm", "reply_to": parts[0]}); status != http.StatusNotFound {
		t.Errorf("Ben replied to Anna's message: %d", status)
	}
	if status, _, _ := anna.post("/webchat/actions", map[string]any{"message": parts[0], "action": "why"}); status != http.StatusAccepted {
		t.Errorf("Anna's own press: %d", status)
	}
}

func TestPressesAreEventsOfTheirOwn(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:english", Text: bot.Plain("?"), Buttons: []bot.Button{{ID: "yes", Label: "Yes"}}, Final: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 2 {
		if status, body, _ := anna.post("/webchat/actions", map[string]any{"message": parts[0], "action": "yes"}, "Accept-Language", "de-AT,de;q=0.9"); status != http.StatusAccepted {
			t.Fatalf("press: %d %s", status, body)
		}
		e := tb.event()
		if e.Kind != bot.ActionPressed || e.Action != "yes" || e.Message != parts[0] || e.Chat.ID != "page:english" || e.Locale != "de-AT" || seen[e.ID] || !strings.HasPrefix(e.ID, "page:") {
			t.Errorf("press: %+v", e)
		}
		seen[e.ID] = true
	}
	for _, body := range []map[string]any{{"message": parts[0], "action": "no"}, {"message": "x", "action": "yes"}, {"message": parts[0], "action": "yes", "chat": "lobby"}, {}} {
		if status, answer, _ := anna.post("/webchat/actions", body); status != http.StatusNotFound || field(t, answer, "error") == "" {
			t.Errorf("press %v: %d %s", body, status, answer)
		}
	}
}

// Streams that come, go and come back while several writers write must show every event once and in order.
func TestReplayAndLiveHaveNoGap(t *testing.T) {
	const writers, each, watchers = 6, 40, 8
	for _, cold := range []bool{true, false} {
		for _, query := range []string{"chat=lobby", "chat=lobby&chat=english&chat=espa%C3%B1ol"} {
			t.Run(fmt.Sprintf("cold %v %s", cold, query), func(t *testing.T) {
				tb := lay(t, func(c *webchat.Config) { c.Limits.Waiting = 4 }) // slow ones are dropped all the time
				chats := []community.ChatID{"page:lobby"}
				if strings.Contains(query, "english") {
					chats = append(chats, "page:english", "page:español")
				}
				if !cold {
					tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("first")})
				}
				// IDs start where the table was laid.
				total := writers * each
				if !cold {
					total++
				}
				var work sync.WaitGroup
				for w := range watchers {
					v := tb.visitor("watcher " + strconv.Itoa(w))
					work.Go(func() {
						var last int64
						seen := map[string]bool{}
						for reconnects := 0; len(seen) < total; reconnects++ {
							s := v.watch(query+"&after="+strconv.FormatInt(last, 10), "Last-Event-ID", strconv.FormatInt(last, 10))
							for n := 0; len(seen) < total; n++ {
								got, ok := s.next()
								if !ok || (w%2 == 0 && n == 15) {
									break // dropped, or tired of it; the event just read is not counted
								}
								if got.id <= last || seen[got.ID] {
									t.Errorf("event %d (%s) after %d", got.id, got.ID, last)
								}
								last, seen[got.ID] = got.id, true
							}
							s.close()
						}
					})
				}
				for i := range writers {
					work.Go(func() {
						for n := range each {
							if _, err := tb.Send(t.Context(), bot.Outgoing{Chat: chats[(i+n)%len(chats)], Text: bot.Plain("x"), Final: true}); err != nil {
								t.Error(err)
							}
						}
					})
				}
				work.Wait()
			})
		}
	}
}

func TestLastEventIDWinsOverAfter(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	for i := range 5 {
		anna.says("lobby", strconv.Itoa(i))
	}
	first := anna.watch("chat=lobby&after=0")
	first.must()
	second := first.must()
	if got := anna.watch("chat=lobby&after=0", "Last-Event-ID", strconv.FormatInt(second.id, 10)).must(); got.Text != "2" {
		t.Errorf("went on with %q, want the third message", got.Text)
	}
	for _, bad := range []string{"after=0", "chat=cellar", "chat=lobby&after=x", "chat=lobby&after=-1", "chat=lobby&chat=cellar"} {
		if status, body, _ := anna.get("/webchat/events?" + bad); status < 400 || status > 404 || field(t, body, "error") == "" {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

// After an older backup was restored, open pages were connected and deaf: the ids of all new events were below the last one they had seen.
func TestWhoSawMoreThanEverHappenedBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db := storagetest.OpenPath(t, path)
	before := layOver(t, db)
	before.visitor("Anna").says("lobby", "hello")
	before.stop()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	tb := layOver(t, storagetest.OpenPath(t, path)) // the hub knows no event yet
	anna := tb.visitor("Anna")
	for _, query := range []string{"chat=lobby", "chat=lobby&brief=1"} {
		w := anna.watch(query + "&after=7000")
		if first, second := w.must(), w.must(); first.event != "anew" || first.id != 0 || second.Text != "hello" {
			t.Errorf("%s: %+v, %+v", query, first, second)
		}
	}
	old := anna.watch("chat=lobby&brief=1&after=7000")
	for old.must().event != "ready" {
	}
	anna.says("lobby", "news")
	for e := old.must(); e.Text != "news"; e = old.must() {
		if e.event == "message" {
			t.Errorf("got %q", e.Text)
		}
	}
	// Who has seen the newest event goes on there, also when that event is forgotten meanwhile.
	w := anna.watch("chat=lobby&after=1")
	if e := w.must(); e.event != "message" || e.Text != "news" {
		t.Errorf("going on after the first event: %+v", e)
	}
	newest, err := tb.store.NewestEvent(t.Context())
	if err != nil || newest < 2 {
		t.Fatalf("newest event %d, %v", newest, err)
	}
	if err := tb.store.Forget(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after, err := tb.store.NewestEvent(t.Context()); err != nil || after != newest {
		t.Errorf("after forgetting, the newest event is %d (%v), not %d", after, err, newest)
	}
}

// Who had once typed /language had a chooser on the page that no longer moved the bot.
func TestThePagesLanguageIsTheBotsToo(t *testing.T) {
	var chosen []string
	tb := lay(t, func(c *webchat.Config) {
		c.Language = func(_ context.Context, user community.UserID, name, language string) error {
			chosen = append(chosen, string(user)+" "+name+" "+language)
			return nil
		}
	})
	anna := tb.visitor("Anna")
	if status, _, _ := anna.post("/webchat/language", map[string]string{"language": "de"}); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if status, _, _ := anna.post("/webchat/language", map[string]string{"language": "xx"}); status != http.StatusBadRequest {
		t.Errorf("an unknown language: %d", status)
	}
	if status, _, _ := tb.stranger().post("/webchat/language", map[string]string{"language": "de"}); status != http.StatusUnauthorized {
		t.Errorf("without a session: %d", status)
	}
	if want := []string{anna.user + " Anna de"}; !slices.Equal(chosen, want) {
		t.Errorf("chosen: %q, want %q", chosen, want)
	}
}

func TestBriefReplayShowsEachTextOnce(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	parts, _ := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("0")})
	for i := range 20 {
		if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(strconv.Itoa(i + 1)), Final: i == 19}); err != nil {
			t.Fatal(err)
		}
	}
	last := anna.says("lobby", "thanks")
	w := anna.watch("chat=lobby&chat=english&brief=1&after=0")
	a, b, ready := w.must(), w.must(), w.must()
	if a.ID != string(parts[0]) || a.Text != "20" || b.ID != string(last) || ready.event != "ready" || ready.id < b.id {
		t.Errorf("brief: %+v, %+v, %+v", a, b, ready)
	}
	w = anna.watch("chat=lobby&after=0")
	for i, want := range []string{"message", "edit", "message"} { // in full, each message also with its newest edit
		if got := w.must(); got.id <= 0 || got.event != want {
			t.Errorf("event %d: %+v", i, got)
		}
	}
}

func TestBriefReplayOfALongChatShowsItsEnd(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	post := func(n int, only community.UserID) (last community.MessageID) {
		for range n {
			parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Only: only, Text: bot.Plain("x"), Final: true})
			if err != nil {
				t.Fatal(err)
			}
			last = parts[0]
		}
		return last
	}
	old := post(1, "")
	post(449, "")
	post(10, community.UserID(anna.user))
	shown := func(brief string) (n int) {
		w := anna.watch("chat=lobby&after=0&brief=" + brief)
		defer w.close()
		for {
			if got := w.must(); got.event == "ready" || n == 460 {
				return n
			} else if got.event == "message" {
				n++
			} else {
				t.Errorf("unexpected %+v", got)
			}
		}
	}
	if first := shown("1"); first != 460 {
		t.Errorf("the first brief replay shows %d messages", first)
	}
	if err := tb.Delete(t.Context(), "page:english", []community.MessageID{old}); err != nil { // not there: nothing happens
		t.Fatal(err)
	}
	// An edit of what lies before the start is left out, too.
	if _, err := tb.Edit(t.Context(), []community.MessageID{old}, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("y"), Final: true}); err != nil {
		t.Fatal(err)
	}
	if second := shown("1"); second != 410 {
		t.Errorf("the next brief replay shows %d messages", second)
	}
	if w := anna.watch("chat=lobby&after=0"); w.must().ID != string(old) {
		t.Error("the full replay does not start at the start")
	}
}

func TestTheSameNonceIsTheSameMessage(t *testing.T) {
	tb := lay(t)
	anna, ben := tb.visitor("Anna"), tb.visitor("Ben")
	tb.failWith(context.DeadlineExceeded)
	body := map[string]any{"chat": "lobby", "text": "hello", "nonce": "abc"}
	if status, answer, _ := anna.post("/webchat/messages", body); status < 500 || strings.Contains(answer, "deadline") || field(t, answer, "error") == "" {
		t.Errorf("while the bot cannot take it: %d %s", status, answer)
	}
	tb.failWith(nil)
	first := anna.says("lobby", "hello", "nonce", "abc")
	second := anna.says("lobby", "hello", "nonce", "abc")
	if first != second {
		t.Errorf("one message became %s and %s", first, second)
	}
	if a, b := tb.event(), tb.event(); a.ID != b.ID || a.Message != first {
		t.Errorf("handed over as %s and %s", a.ID, b.ID)
	}
	if other := ben.says("lobby", "hello", "nonce", "abc"); other == first {
		t.Error("two visitors share a nonce")
	}
}

func TestSessions(t *testing.T) {
	tb := lay(t)
	v := tb.stranger()
	if status, body, _ := v.get("/webchat/session"); status != http.StatusOK || strings.TrimSpace(body) != `{"seat":false}` {
		t.Errorf("without a session: %d %s", status, body)
	}
	for _, path := range []string{"/webchat/events?chat=lobby", "/webchat/pictures/" + strings.Repeat("a", 64) + ".png"} {
		if status, _, _ := v.get(path); status != http.StatusUnauthorized {
			t.Errorf("%s without a session: %d", path, status)
		}
	}
	for _, bad := range []string{"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Repeat("A", 5000), "%00", `"quoted"`} {
		if status, body, _ := v.get("/webchat/session", "Cookie", "potluck_session="+bad); status != http.StatusOK || strings.Contains(body, "user") {
			t.Errorf("cookie %.20q: %d %s", bad, status, body)
		}
		if status, _, _ := v.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "x"}, "Cookie", "potluck_session="+bad); status != http.StatusUnauthorized {
			t.Errorf("post with cookie %.20q: %d", bad, status)
		}
	}
	for _, bad := range []any{"", "   ", "a\x00b", "a\nb", "\u202eevil", "x\u2066y", strings.Repeat("x", 33), "\u200b", "\u3164", "potluck", "a\u2028b",
		"Роtluсk", "Pot\u200bluck", "Ｐｏｔｌｕｃｋ", "Operator", "Орerator", "@everyone", "@here", "P0tluck!"} {
		if status, body, _ := v.post("/webchat/session", map[string]any{"name": bad}); status != http.StatusBadRequest {
			t.Errorf("name %q: %d %s", bad, status, body)
		}
	}
	family := strings.Repeat("👩‍👩‍👧‍👦", 32)
	status, body, headers := v.post("/webchat/session", map[string]any{"name": family})
	if status != http.StatusOK || field(t, body, "name") != family || !strings.HasPrefix(field(t, body, "user"), "page:") {
		t.Fatalf("enter: %d %s", status, body)
	}
	cookie := headers.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || strings.Contains(cookie, "Secure") {
		t.Errorf("cookie: %s", cookie)
	}
	user := field(t, body, "user")
	status, body, _ = v.post("/webchat/session", map[string]any{"name": "Zoë"})
	if status != http.StatusOK || field(t, body, "user") != user || field(t, body, "name") != "Zoë" {
		t.Errorf("rename: %d %s", status, body)
	}
	if _, body, _ := tb.stranger().post("/webchat/session", map[string]any{"name": "An\u200bna\u00ad \U000E0041"}); field(t, body, "name") != "Anna" {
		t.Errorf("what cannot be seen stays in a name: %s", body)
	}
	status, body, _ = v.get("/webchat/session")
	var who struct {
		User, Name string
		Chats      []string
		Operator   bool
	}
	if err := json.Unmarshal([]byte(body), &who); err != nil || status != 200 || who.User != user || who.Name != "Zoë" || len(who.Chats) != 3 || who.Chats[0] != "lobby" || who.Operator {
		t.Errorf("who am I: %d %s", status, body)
	}
	secure := lay(t, func(c *webchat.Config) { c.Secure = func(r *http.Request) bool { return true } }).stranger()
	if _, _, h := secure.post("/webchat/session", map[string]any{"name": "Tia"}); !strings.Contains(h.Get("Set-Cookie"), "Secure") {
		t.Errorf("over TLS: %s", h.Get("Set-Cookie"))
	}
}

func TestForeignPagesCannotPost(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) { c.Origins = []string{"https://chat.example.org"} })
	anna := tb.visitor("Anna")
	cases := []struct {
		headers []string
		want    int
	}{
		{nil, 202},
		{[]string{"Origin", tb.url}, 202},
		{[]string{"Origin", tb.url, "Sec-Fetch-Site", "same-origin"}, 202},
		{[]string{"Origin", "https://chat.example.org"}, 202},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Content-Type", "text/plain"}, 415},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{[]string{"Content-Type", ""}, 415},
		{[]string{"Content-Type", "application/json; charset=utf-8"}, 202},
	}
	for _, c := range cases {
		for _, path := range []string{"/webchat/messages", "/webchat/session"} {
			want := c.want
			if path == "/webchat/session" && want == 202 {
				want = 200
			}
			status, body, _ := anna.post(path, map[string]any{"chat": "lobby", "text": "x", "name": "Anna"}, c.headers...)
			if status != want || status >= 400 && field(t, body, "error") == "" {
				t.Errorf("%s with %v: %d %s, want %d", path, c.headers, status, body, want)
			}
		}
	}
}

func TestMessagesHaveLimits(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) {
		c.Limits.MessagesBurst, c.Limits.AddressBurst = 40, 60
		c.Limits.MessagesPerSecond, c.Limits.AddressPerSecond = never, never
	})
	anna := tb.visitor("Anna")
	anna.says("lobby", strings.Repeat("🥘", 16_000))
	for _, c := range []struct {
		body any
		want int
	}{
		{map[string]any{"chat": "lobby", "text": strings.Repeat("x", 16_001)}, 413},
		{map[string]any{"chat": "lobby", "text": strings.Repeat("x", 1<<20)}, 413},
		{map[string]any{"chat": "lobby", "text": " \n\t "}, 400},
		{map[string]any{"chat": "lobby", "text": "\x00\x07"}, 400},
		{map[string]any{"chat": "cellar", "text": "x"}, 404},
		{map[string]any{"chat": "lobby", "text": "x", "reply_to": strings.Repeat("x", 65)}, 400},
		{map[string]any{"chat": "lobby", "text": 7}, 400},
		{`{"chat":"lobby","text":"x"} {}`, 400},
		{`{"chat":`, 400},
		{`[]`, 400},
	} {
		if status, answer, _ := anna.post("/webchat/messages", c.body); status != c.want || field(t, answer, "error") == "" {
			t.Errorf("%.60v: %d %s, want %d", c.body, status, answer, c.want)
		}
	}
	taken := func(v *visitor) (n int) {
		for ; n < 80; n++ {
			status, _, h := v.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "x"})
			if status == http.StatusTooManyRequests && h.Get("Retry-After") != "" {
				break
			}
		}
		return n
	}
	if n := taken(anna); n >= 40 {
		t.Errorf("a visitor can flood: %d were taken", n)
	}
	ben := tb.visitor("Ben")
	ben.says("lobby", "one visitor's flood is not another's")
	if n := taken(ben); n >= 39 {
		t.Errorf("an address can flood by several visitors: %d more were taken", n)
	}
}

// never is a rate at which nothing comes back while a test runs, however busy the machine is.
const never = 1.0 / 3600

func TestStreamsHaveLimits(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) { c.Limits.Streams, c.Limits.StreamsPerAddress = 8, 9 })
	anna := tb.visitor("Anna")
	var first *watch
	for range 6 {
		if w := anna.watch("chat=lobby"); first == nil {
			first = w
		}
	}
	if status, body, h := anna.get("/webchat/events?chat=lobby"); status != http.StatusTooManyRequests || field(t, body, "error") == "" || h.Get("Retry-After") == "" {
		t.Errorf("a seventh stream: %d %s", status, body)
	}
	ben := tb.visitor("Ben")
	ben.watch("chat=lobby")
	ben.watch("chat=lobby")
	if status, _, _ := ben.get("/webchat/events?chat=lobby"); status != http.StatusServiceUnavailable {
		t.Errorf("a ninth stream in all: %d", status)
	}
	few := lay(t, func(c *webchat.Config) { c.Limits.StreamsBurst, c.Limits.StreamsPerSecond = 3, never }).visitor("Anna")
	for range 3 {
		few.watch("chat=lobby").close()
	}
	if status, body, _ := few.get("/webchat/events?chat=lobby"); status != http.StatusTooManyRequests || !strings.Contains(body, "too_fast") {
		t.Errorf("opening streams again and again: %d %s", status, body)
	}
}

func TestTheOperatorLinkWorksOnce(t *testing.T) {
	var told []string
	tb := lay(t, func(c *webchat.Config) {
		c.Operator = func(_ context.Context, user community.UserID, name string) error {
			told = append(told, string(user)+" "+name)
			if len(told) == 1 {
				return context.DeadlineExceeded
			}
			return nil
		}
	})
	anna := tb.visitor("Anna")
	for _, bad := range []string{"", "?token=", "?token=wrong", "?token=let-me-i"} {
		if status, body, h := anna.get("/webchat/operator" + bad); status != http.StatusForbidden || !strings.Contains(body, "does not work") || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d", bad, status)
		}
	}
	r, _ := http.NewRequest("HEAD", tb.url+"/webchat/operator?token=let-me-in", nil)
	if status, _, _ := anna.do(r); status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD: %d", status)
	}
	if status, _, _ := anna.get("/webchat/operator?token=let-me-in"); status != 500 {
		t.Errorf("while the database fails: %d", status)
	}
	// A failure did not use the link up; of many at once, one gets through.
	var won []*visitor
	var mu sync.Mutex
	var work sync.WaitGroup
	for i := range 8 {
		v := tb.visitor(fmt.Sprint("Racer ", i))
		work.Go(func() {
			status, _, h := v.get("/webchat/operator?token=let-me-in")
			if status == http.StatusSeeOther && h.Get("Location") == "/" {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, v)
			} else if status != http.StatusForbidden {
				t.Errorf("operator: %d", status)
			}
		})
	}
	work.Wait()
	if len(won) != 1 || len(told) != 2 || !strings.HasPrefix(told[1], "page:operator Racer ") {
		t.Fatalf("%d became operator, told %v", len(won), told)
	}
	if _, body, _ := won[0].get("/webchat/session"); !strings.Contains(body, `"operator":true`) || field(t, body, "user") != "page:operator" {
		t.Errorf("the operator is %s", body)
	}
	won[0].says("lobby", "hello")
	if e := tb.event(); e.User != webchat.OperatorUser || e.Role != community.Admin {
		t.Errorf("the operator's event: %+v", e)
	}
	if status, _, _ := tb.stranger().get("/webchat/operator?token=let-me-in"); status != http.StatusForbidden {
		t.Errorf("a second use: %d", status)
	}
}

func TestPictures(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	name := strings.Repeat("0a", 32) + ".png"
	data := []byte("\x89PNG\r\n\x1a\n<script>")
	_, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Pictures: []bot.Picture{{Name: name, Data: data, Alt: `a "pot"`, Width: 512, Height: 256, Spoiler: true}}, Final: true})
	if err != nil {
		t.Fatal(err)
	}
	got := anna.watch("chat=lobby&after=0").must()
	if len(got.Imgs) != 1 || got.Imgs[0] != "/webchat/pictures/"+name || fmt.Sprint(got.Pics) != `[map[alt:a "pot" height:256 spoiler:true url:/webchat/pictures/`+name+` width:512]]` {
		t.Errorf("shown: %+v", got)
	}
	status, body, h := anna.get(got.Imgs[0])
	if status != 200 || body != string(data) || h.Get("Content-Type") != "image/png" || !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("picture: %d %v", status, h)
	}
	for _, bad := range []string{"..%2f..%2fetc%2fpasswd", "x.png", strings.Repeat("b", 64) + ".png", strings.Repeat("0a", 32) + ".svg", name + "%00", "%2e%2e"} {
		if status, _, _ := anna.get("/webchat/pictures/" + bad); status != 404 && status != 307 && status != 301 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	for _, bad := range []string{"../evil.png", "", "a.png", name + ".html"} {
		if _, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Pictures: []bot.Picture{{Name: bad, Data: data}}}); err == nil {
			t.Errorf("kept a picture as %q", bad)
		}
	}
}

func TestThePageIsServedSafely(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) { c.Title = `Pot & <script>alert(1)</script>` })
	v := tb.stranger()
	status, body, h := v.get("/")
	policy := h.Get("Content-Security-Policy")
	if status != 200 || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %d %v", status, h)
	}
	if strings.Contains(body, "alert(1)</script>") || strings.Contains(body, " style=") || strings.Contains(body, "http://www.google") || strings.Contains(body, "https://") {
		t.Error("the page holds a script of its title, an inline style or an address elsewhere")
	}
	size := len(body)
	for _, part := range strings.Split(body, `"`) {
		if !strings.HasPrefix(part, "/webchat/") {
			continue
		}
		status, file, h := v.get(strings.ReplaceAll(part, "&amp;", "&"))
		if status != 200 || !strings.Contains(h.Get("Cache-Control"), "immutable") || len(file) < 100 {
			t.Errorf("%s: %d %v", part, status, h)
		}
		if again, _, _ := v.get(part, "If-None-Match", h.Get("ETag")); again != http.StatusNotModified {
			t.Errorf("%s again: %d", part, again)
		}
		size += len(file)
	}
	if size > 150_000 || size < 20_000 {
		t.Errorf("the page weighs %d bytes", size)
	}
	if status, body, _ := v.get("/webchat/commands"); status != 200 || !strings.Contains(body, "imagine") {
		t.Errorf("commands: %d %s", status, body)
	}
	for _, path := range []string{"/webchat/", "/webchat/index.html", "/other", "/webchat/assets/app.js"} {
		if status, _, _ := v.get(path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestEverythingStandsAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db := storagetest.OpenPath(t, path)
	before := layOver(t, db)
	anna := before.visitor("Anna")
	id := anna.says("lobby", "hello")
	parts, err := before.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…"), Nonce: "n", Buttons: []bot.Button{{ID: "b", Label: "B"}}})
	if err != nil {
		t.Fatal(err)
	}
	w := anna.watch("chat=lobby")
	before.stop()
	for {
		if _, ok := w.next(); !ok {
			break // a stop ends the streams
		}
	}
	if status, _, h := anna.get("/webchat/events?chat=lobby"); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("a stream after the stop: %d", status)
	}
	if status, _, _ := anna.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "too late"}); status != http.StatusServiceUnavailable {
		t.Errorf("a message after the stop: %d", status)
	}
	// What runs may still finish.
	if _, err := before.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("done"), Final: true, Buttons: []bot.Button{{ID: "b", Label: "B"}}}); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	after := layOver(t, storagetest.OpenPath(t, path))
	u, _ := url.Parse(before.url)
	cookies := anna.client.Jar.Cookies(u)
	anna.table = after
	u, _ = url.Parse(after.url)
	anna.client.Jar.SetCookies(u, cookies)
	w = anna.watch("chat=lobby&after=0")
	if a, b := w.must(), w.must(); a.ID != string(id) || !a.Mine || b.ID != string(parts[0]) || b.Text != "done" {
		t.Errorf("after the restart: %+v, %+v", a, b)
	}
	if again, err := after.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…"), Nonce: "n"}); err != nil || again[0] != parts[0] {
		t.Errorf("the nonce of before: %v %v", again, err)
	}
	if status, _, _ := anna.post("/webchat/actions", map[string]any{"message": parts[0], "action": "b"}); status != http.StatusAccepted {
		t.Errorf("the button of before: %d", status)
	}
}

func TestHeartbeat(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) { c.Limits.Heartbeat = time.Millisecond })
	w := tb.visitor("Anna").watch("chat=lobby")
	for w.lines.Scan() {
		if w.lines.Text() == ": beat" {
			return
		}
	}
	t.Error("no heartbeat")
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []webchat.Config{
		{},
		{Store: &storage.Page{}, Pictures: folder("."), Chats: []string{"a", "a"}},
		{Store: &storage.Page{}, Pictures: folder("."), Chats: []string{"a b"}},
		{Store: &storage.Page{}, Pictures: folder("."), Chats: []string{""}},
		{Store: &storage.Page{}, Pictures: folder("."), Origins: []string{"not an origin"}},
	} {
		if _, err := webchat.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// A long answer that streams is edited hundreds of times; a visitor who came later got its whole text for each of them.
func TestReplayDoesNotRepeatEdits(t *testing.T) {
	tb := lay(t)
	ids, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…"), Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	show := func(words int, final bool) {
		t.Helper()
		if _, err := tb.Edit(t.Context(), ids, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(strings.Repeat("word ", words)), Final: final}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		show(10*(i+1), false)
	}
	v := tb.visitor("Anna")
	replay := v.watch("chat=lobby&after=0")
	first, _ := replay.next()
	edit, _ := replay.next()
	if first.event != "message" || edit.event != "edit" || edit.id <= first.id || edit.Text != strings.Repeat("word ", 500) {
		t.Errorf("replayed: %s %d, %s %d", first.event, first.id, edit.event, edit.id)
	}
	// Who left when an edit was shown that is forgotten now gets the newer one.
	show(600, true)
	last, _ := replay.next()
	back, _ := v.watch(fmt.Sprint("chat=lobby&after=", edit.id)).next()
	if back.id != last.id || back.id <= edit.id || back.Text != strings.Repeat("word ", 600) {
		t.Errorf("after event %d came %d, live it was %d", edit.id, back.id, last.id)
	}
}

// Unfinished pictures are shown while a message grows, and are gone when it shows others or is final.
func TestPreviewsAreShownAndNotKept(t *testing.T) {
	dir := t.TempDir()
	tb := lay(t, func(c *webchat.Config) { c.Pictures = folder(dir) })
	v := tb.visitor("Anna")
	ids, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("drawing…"), Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	show := func(name string, final bool) {
		t.Helper()
		out := bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("a duck"), Pictures: []bot.Picture{{Name: name, Data: []byte(name), Width: 8, Height: 8}}, Final: final}
		if _, err := tb.Edit(t.Context(), ids, out); err != nil {
			t.Fatal(err)
		}
	}
	status := func(name string, want int, caching string) {
		t.Helper()
		got, body, header := v.get("/webchat/pictures/" + name)
		if got != want || got == http.StatusOK && (body != name || header.Get("Cache-Control") != caching) {
			t.Errorf("%s: %d %q %q", name, got, body, header.Get("Cache-Control"))
		}
	}
	show("00000001.jpg", false)
	status("00000001.jpg", http.StatusOK, "no-store")
	show("00000002.jpg", false)
	status("00000001.jpg", http.StatusNotFound, "")
	status("00000002.jpg", http.StatusOK, "no-store")
	show("00000003.png", true)
	status("00000002.jpg", http.StatusNotFound, "")
	status("00000003.png", http.StatusOK, "private, max-age=31536000, immutable")
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the folder has %v (%v), want the final picture only", files, err)
	}
}

// One address could hold every event stream, whatever each of its sessions was allowed.
func TestOneAddressCannotTakeAllStreams(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) {
		c.Limits.Streams, c.Limits.StreamsPerAddress = 100, 8
		c.Address = func(r *http.Request) string { return r.Header.Get("X-From") }
	})
	get := func(v *visitor, from string) int {
		t.Helper()
		r, _ := http.NewRequest("GET", tb.url+"/webchat/events?chat=lobby", nil)
		r.Header.Set("X-From", from)
		response, err := v.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response.StatusCode
	}
	for i := range 4 {
		v := tb.visitor(fmt.Sprint("bot ", i))
		for range 2 {
			if s := get(v, "here"); s != http.StatusOK {
				t.Fatalf("stream of visitor %d: %d", i, s)
			}
		}
	}
	v := tb.visitor("one more")
	if s := get(v, "here"); s != http.StatusTooManyRequests {
		t.Errorf("the ninth stream of an address: %d", s)
	}
	if s := get(v, "elsewhere"); s != http.StatusOK {
		t.Errorf("a stream from another address: %d", s)
	}
}

// A body that never comes held a connection for ever, also where nobody reads it.
func TestSlowBodyIsNotWaitedFor(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) { c.Limits.ReadTimeout = 50 * time.Millisecond })
	for _, path := range []string{"/webchat/session", "/webchat/messages", "/"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(tb.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", path, strings.TrimPrefix(tb.url, "http://"))
		c.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s waits for a body of one byte", path)
		}
	}
}

// What only its author sees is an event that says so: a reply to a private message, and a button on one.
func TestPrivateMessagesMakePrivateEvents(t *testing.T) {
	tb := lay(t)
	v := tb.visitor("Anna")
	private := bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("for you"), Only: community.UserID(v.user), Final: true, Buttons: []bot.Button{{ID: "again", Label: "Again"}}}
	ids, err := tb.Send(t.Context(), private)
	if err != nil {
		t.Fatal(err)
	}
	v.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "/ask why?", "reply_to": ids[0]})
	if e := tb.event(); !e.Private || e.ReplyTo != ids[0] {
		t.Errorf("the reply: %+v", e)
	}
	v.post("/webchat/actions", map[string]any{"chat": "lobby", "message": ids[0], "action": "again"})
	if e := tb.event(); !e.Private || e.Action != "again" {
		t.Errorf("the press: %+v", e)
	}
	v.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "hello"})
	if e := tb.event(); e.Private {
		t.Errorf("a public message: %+v", e)
	}
}
