package webchat

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/community"
)

func frameOf(id int64, chat string) *frame {
	return newFrame(PageEvent{ID: id, Kind: MessageEvent, Message: Message{ID: community.MessageID(strconv.FormatInt(id, 10)), Chat: chat, Text: bot.Plain("x")}})
}

func newTestHub(waiting int) *hub {
	return newHub(Limits{Waiting: waiting}.withDefaults())
}

// The write that got the smaller id may be the last one to return.
func TestHubShowsEventsInTheOrderOfTheirIDs(t *testing.T) {
	h := newTestHub(10)
	s := &subscription{user: "page:a", chats: []string{"lobby"}, frames: make(chan *frame, 10)}
	h.subscribe(s)
	slow, fast, failed := h.begin(), h.begin(), h.begin()
	h.end(fast, frameOf(2, "lobby"))
	if len(s.frames) != 0 {
		t.Fatal("event 2 was shown while event 1 was being written")
	}
	later := h.begin()
	h.end(slow, frameOf(1, "lobby"))
	if len(s.frames) != 0 {
		t.Fatal("a third write of that time could still bring a smaller id")
	}
	h.end(failed, nil)
	if a, b := <-s.frames, <-s.frames; a.id != 1 || b.id != 2 {
		t.Fatalf("shown: %d, %d", a.id, b.id)
	}
	h.end(later, frameOf(3, "lobby"))
	if c := <-s.frames; c.id != 3 || h.shown() != 3 || len(h.held) != 0 {
		t.Fatalf("shown: %d", c.id)
	}
}

func TestHubDropsWhoDoesNotRead(t *testing.T) {
	h := newTestHub(2)
	slow := &subscription{user: "page:a", chats: []string{"lobby"}, frames: make(chan *frame, 2)}
	quick := &subscription{user: "page:b", chats: []string{"lobby"}, frames: make(chan *frame, 10)}
	h.subscribe(slow)
	h.subscribe(quick)
	for id := range int64(5) {
		h.end(h.begin(), frameOf(id+1, "lobby"))
	}
	n := 0
	for range slow.frames {
		n++
	}
	if n != 2 || len(quick.frames) != 5 || len(h.streams) != 1 {
		t.Errorf("slow got %d, quick %d, %d streams left", n, len(quick.frames), len(h.streams))
	}
	h.unsubscribe(slow) // its goroutine leaves later
	h.close()
	h.unsubscribe(quick)
}

func TestRatesRememberABoundedNumberOfKeys(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := newRates(1, 2, 100)
	r.take("greedy", now)
	r.take("greedy", now)
	if wait, ok := r.take("greedy", now); ok || wait <= 0 || wait > time.Second {
		t.Fatalf("a third token: %v %v", wait, ok)
	}
	for i := range 49 {
		r.take(strconv.Itoa(i), now)
	}
	if _, ok := r.take("greedy", now); ok {
		t.Error("forgotten although it was among the last ones")
	}
	for i := range 10_000 {
		r.take("key "+strconv.Itoa(i), now)
	}
	if n := len(r.younger) + len(r.older); n > 100 {
		t.Errorf("%d keys are remembered", n)
	}
	if _, ok := r.take("greedy", now.Add(time.Second)); !ok {
		t.Error("no token after a second")
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"Anna", " ", "\u202e", "👩‍👩‍👧‍👦", "e\u0301\u0301\u0301", "\xff", "名前", "a\tb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := cleanName(s)
		if err != nil {
			return
		}
		if again, err := cleanName(name); err != nil || again != name || name == "" || len(name) > 1024 || strings.ContainsAny(name, "\n\r\x00\u202e") {
			t.Errorf("%q became %q, then %q, %v", s, name, again, err)
		}
	})
}

// One event to a thousand streams: what the writer of an event waits for.
func BenchmarkFanOut1000(b *testing.B) {
	h := newTestHub(256)
	done := make(chan struct{})
	for i := range 1000 {
		s := &subscription{user: community.UserID("page:" + strconv.Itoa(i)), chats: []string{"lobby"}, frames: make(chan *frame, 256)}
		h.subscribe(s)
		go func() {
			for {
				select {
				case _, ok := <-s.frames:
					if !ok {
						return
					}
				case <-done:
					return
				}
			}
		}()
	}
	m := Message{ID: "m", Chat: "lobby", User: "page:1", Author: "Anna", Text: bot.Plain(strings.Repeat("words and ", 100))}
	var id int64
	for b.Loop() {
		id++
		h.end(h.begin(), newFrame(PageEvent{ID: id, Kind: MessageEvent, Message: m}))
	}
	h.close()
	close(done)
}

// The words of a growing answer keep their place between the events that are saved, also while those are held back.
func TestHubPassesWordsInTheirPlace(t *testing.T) {
	h := newTestHub(10)
	s := &subscription{user: "page:a", chats: []string{"lobby"}, frames: make(chan *frame, 10)}
	h.subscribe(s)
	words := func() *frame {
		return newFrame(PageEvent{Kind: EditEvent, Message: Message{ID: "m", Chat: "lobby", Text: bot.Plain("words")}})
	}
	h.pass(words())
	if len(s.frames) != 0 {
		t.Fatal("words were shown without an event to go on from")
	}
	h.end(h.begin(), frameOf(1, "lobby"))
	h.pass(words())
	if a, b := <-s.frames, <-s.frames; a.id != 1 || b.id != 1 || !b.passing || !strings.HasPrefix(string(b.bytesFor("page:b")), "id: 1\nevent: edit\n") {
		t.Fatalf("shown: %d, then %d %s", a.id, b.id, b.bytesFor("page:b"))
	}
	slow, fast := h.begin(), h.begin()
	h.end(fast, frameOf(3, "lobby"))
	h.pass(words())
	later := h.begin()
	h.end(later, frameOf(4, "lobby"))
	if len(s.frames) != 0 {
		t.Fatal("words overtook the event before them")
	}
	h.end(slow, frameOf(2, "lobby"))
	for i, want := range []struct {
		id      int64
		passing bool
	}{{2, false}, {3, false}, {3, true}, {4, false}} {
		if f := <-s.frames; f.id != want.id || f.passing != want.passing {
			t.Errorf("event %d: %d, passing %v; want %+v", i, f.id, f.passing, want)
		}
	}
}

// Words that nobody saved are not what a slow stream is dropped for.
func TestHubPassesNoWordsToWhoIsBehind(t *testing.T) {
	h := newTestHub(4)
	s := &subscription{user: "page:a", chats: []string{"lobby"}, frames: make(chan *frame, 4)}
	h.subscribe(s)
	h.end(h.begin(), frameOf(1, "lobby"))
	for range 20 {
		h.pass(newFrame(PageEvent{Kind: EditEvent, Message: Message{ID: "m", Chat: "lobby"}}))
	}
	if len(h.streams) != 1 || len(s.frames) != 3 {
		t.Errorf("%d streams are left, %d frames wait", len(h.streams), len(s.frames))
	}
}

// Every edit goes to every stream, so the pace follows from how many there are of both.
func TestPaceFollowsFromHowBusyThePageIs(t *testing.T) {
	p := &Page{hub: newTestHub(1), growing: growing{messages: map[community.MessageID]*growth{}}}
	for _, c := range []struct {
		streams, answers int
		want             time.Duration
	}{{0, 0, quickest}, {1, 1, quickest}, {1000, 1, 100 * time.Millisecond}, {1000, 4, 400 * time.Millisecond}, {2000, 50, slowest}} {
		for len(p.hub.streams) < c.streams {
			p.hub.subscribe(&subscription{})
		}
		for i := range c.answers {
			p.growing.begin(Message{ID: community.MessageID(strconv.Itoa(i))})
		}
		if got := p.Pace(); got != c.want {
			t.Errorf("%d streams, %d answers: %v, want %v", c.streams, c.answers, got, c.want)
		}
	}
	p.growing.begin(Message{ID: "0", Final: true})
	p.growing.begin(Message{ID: "1", Deleted: true})
	if n := p.growing.number(); n != 48 {
		t.Errorf("%d answers grow, want 48", n)
	}
}
