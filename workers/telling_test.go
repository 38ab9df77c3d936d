package workers

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/workers/protocol"
)

// heard is what one caller of Do was told, by fake time.
type heard struct {
	mu   sync.Mutex
	at   []time.Duration
	last Event
}

// sofar waits until everything has come to rest.
func (h *heard) sofar() (at []time.Duration, last Event) {
	faketime.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.at), h.last
}

// listen does a job and returns what was told of one kind, and its end; making something of an event takes the caller that long.
func (b *bed) listen(t *testing.T, j Job, kind EventKind, takes time.Duration) (*heard, chan Result) {
	h, begun, out := &heard{}, time.Now(), make(chan Result, 1)
	go func() {
		res, err := b.pool.Do(t.Context(), j, func(e Event) {
			if e.Kind != kind {
				return
			}
			h.mu.Lock()
			h.at, h.last = append(h.at, time.Since(begun)), e
			h.mu.Unlock()
			if takes > 0 {
				<-time.After(takes)
			}
		})
		if err != nil {
			t.Error(err)
		}
		out <- res
	}()
	return h, out
}

// A worker sends a byte 200 times a second; each cost the cleaning of the whole answer.
func TestTextIsToldAtThePaceOfTheServer(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		most  int // calls in 5 s
	}{
		{"at once", 0, 101},
		{"slow", 20 * time.Millisecond, 26}, // a tenth of the time
		{"very slow", time.Second, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				h := b.enlist(9).connect()
				defer h.close()
				told, out := b.listen(t, asked("pace", 1), Text, c.takes)
				a := h.take()
				const frames = 5 * 190 // below what ends a session
				for range frames {
					<-time.After(time.Second / 190)
					h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "a"})
				}
				if at, _ := told.sofar(); len(at) > c.most || len(at) < c.most*3/4 {
					t.Errorf("told %d times in 5 s, want %d", len(at), c.most)
				}
				<-time.After(2 * time.Second)
				if _, last := told.sofar(); len(last.Text) != frames {
					t.Errorf("the newest text has %d bytes, want %d", len(last.Text), frames)
				}
				at := time.Now()
				h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "b"})
				h.done(a.Lease, protocol.Done{Text: strings.Repeat("a", frames) + "b"})
				<-out
				if waited := time.Since(at); waited > 2*c.takes { // the call that may be under way, and the last one
					t.Errorf("the result came after %v", waited)
				}
			})
		})
	}
}

// One preview, sent 200 times a second under the same number, was decoded and encoded each time.
func TestPreviewIsShownOnceAndNotOften(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9).connect()
		defer h.close()
		told, out := b.listen(t, picture("previews"), Preview, 0)
		a := h.take()
		show := func(n, times int) {
			if got := h.put(a.Lease, n, []byte{byte(n)}); got != 204 {
				t.Fatalf("PUT of a preview: %d", got)
			}
			for range times {
				<-time.After(time.Second / 100)
				h.say(a.Lease, protocol.Event{Kind: protocol.EventPreview, Preview: n})
			}
		}
		show(firstPreview+5, 300)
		show(firstPreview+4, 1)
		show(firstPreview+5, 1)
		if at, _ := told.sofar(); len(at) != 1 {
			t.Errorf("one preview was told %d times", len(at))
		}
		for n := range 50 {
			show(firstPreview+10+n, 10)
		}
		at, _ := told.sofar()
		if len(at) < 5 || len(at) > 7 {
			t.Errorf("previews told at %v, want about one a second", at)
		}
		for i := range at[1:] {
			if at[i+1]-at[i] < previewEvery {
				t.Errorf("two previews within a second: %v", at)
			}
		}
		h.put(a.Lease, 1, []byte("a picture"))
		h.done(a.Lease, protocol.Done{Blobs: 1})
		<-out
	})
}
