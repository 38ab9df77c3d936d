package webchat_test

import (
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/storage/storagetest"
)

// growingAnswer posts a placeholder as an answer begins; grow makes it a text of that many words.
func growingAnswer(t *testing.T, tb *table) (id community.MessageID, grow func(words int, final bool)) {
	t.Helper()
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…"), Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	return parts[0], func(words int, final bool) {
		t.Helper()
		if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(strings.Repeat("word ", words)), Final: final}); err != nil {
			t.Fatal(err)
		}
	}
}

// The page paced words 400 ms apart, because each was a durable write. Now they are shown from memory: in order, each longer than the one
// before, with ids that never fall, and the final ends them.
func TestWordsAreShownAsTheyCome(t *testing.T) {
	tb := lay(t)
	w := tb.visitor("Anna").watch("chat=lobby&after=0&brief=1")
	for w.must().event != "ready" {
	}
	id, grow := growingAnswer(t, tb)
	last := w.must()
	for i := range 100 {
		grow(i+1, false)
		if i%10 == 0 { // other events cross it
			if _, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:english", Text: bot.Plain("beside"), Final: true}); err != nil {
				t.Fatal(err)
			}
		}
		for now := last; now.Text != strings.Repeat("word ", i+1); last = now {
			now = w.must()
			if now.event != "edit" || now.ID != string(id) || now.id < last.id || now.Final || i > 0 && len(now.Text) < len(last.Text) {
				t.Fatalf("after event %d of %d bytes: %+v", last.id, len(last.Text), now)
			}
		}
	}
	grow(120, true)
	for !last.Final {
		now := w.must()
		if now.id < last.id || len(now.Text) < len(last.Text) {
			t.Fatalf("after event %d: %+v", last.id, now)
		}
		last = now
	}
	if saved, ok, err := tb.store.Message(t.Context(), "lobby", id); !ok || err != nil || !saved.Final || saved.Text.Plain != last.Text || len(last.Text) != 600 {
		t.Errorf("saved: %+v %v %v", saved, ok, err)
	}
	grow(5, false) // a button takes its place
	if now := w.must(); now.id <= last.id || now.Final || now.Text != strings.Repeat("word ", 5) {
		t.Errorf("taken up again: %+v", now)
	}
}

// Whoever comes back, or comes late, gets the words so far, not those of the last save.
func TestALateVisitorGetsTheWordsSoFar(t *testing.T) {
	tb := lay(t)
	_, grow := growingAnswer(t, tb)
	late := tb.visitor("Late")
	for i := range 20 {
		grow(i+1, false)
		for _, query := range []string{"chat=lobby&after=0", "chat=lobby&after=0&brief=1"} {
			w := late.watch(query)
			if got := w.must(); got.Text != strings.Repeat("word ", i+1) {
				t.Fatalf("%s: %q, want %d words", query, got.Text, i+1)
			}
			w.close()
		}
	}
}

// Words follow to the database by themselves, under an id of their own.
func TestWordsAreSavedByThemselves(t *testing.T) {
	tb := lay(t)
	w := tb.visitor("Anna").watch("chat=lobby&after=0")
	id, grow := growingAnswer(t, tb)
	posted := w.must()
	grow(7, false)
	for now := posted; now.id == posted.id; {
		now = w.must()
	}
	if saved, _, err := tb.store.Message(t.Context(), "lobby", id); err != nil || saved.Final || saved.Text.Plain != strings.Repeat("word ", 7) {
		t.Errorf("saved: %+v %v", saved, err)
	}
}

// A page that stops saves what people saw, and one that does not run saves each edit: nobody would come by to do it.
func TestWordsAreSavedWhenThePageStops(t *testing.T) {
	db := storagetest.Open(t)
	tb := layOver(t, db)
	id, grow := growingAnswer(t, tb)
	grow(7, false)
	tb.stop()
	for _, words := range []int{7, 8, 9} {
		if words > 7 {
			grow(words, false)
		}
		if saved, _, err := tb.store.Message(t.Context(), "lobby", id); err != nil || saved.Text.Plain != strings.Repeat("word ", words) {
			t.Errorf("saved: %+v %v, want %d words", saved, err, words)
		}
	}
	again := layOver(t, db)
	if got := again.visitor("Anna").watch("chat=lobby&after=0").must(); got.Text != strings.Repeat("word ", 9) {
		t.Errorf("after a restart: %q", got.Text)
	}
}

// A button counts from the moment that it is seen.
func TestAButtonOfAGrowingAnswerIsSavedAtOnce(t *testing.T) {
	tb := lay(t)
	id, grow := growingAnswer(t, tb)
	grow(3, false)
	out := bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("words"), Buttons: []bot.Button{{ID: "stop", Label: "Stop"}}}
	if _, err := tb.Edit(t.Context(), []community.MessageID{id}, out); err != nil {
		t.Fatal(err)
	}
	anna := tb.visitor("Anna")
	if status, body, _ := anna.post("/webchat/actions", map[string]any{"message": string(id), "action": "stop"}); status != 202 {
		t.Errorf("pressed: %d %s", status, body)
	}
}

// An answer that was forgotten in the database meanwhile does not come back, and whoever writes it is told.
func TestAForgottenAnswerStopsGrowing(t *testing.T) {
	tb := lay(t)
	id, grow := growingAnswer(t, tb)
	grow(1, false)
	if err := tb.store.Forget(t.Context(), time.Now().AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	var err error
	for words := 2; err == nil; words++ { // until the words were to be saved
		_, err = tb.Edit(t.Context(), []community.MessageID{id}, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain(strings.Repeat("word ", words%50))})
	}
	if !fault.Has(err, fault.Gone) {
		t.Errorf("edited: %v", err)
	}
}

// A question to somebody is no growing answer: it is saved when it is shown, says that it asks, and nobody is shown at work on it.
func TestAQuestionToSomebodyIsSavedAtOnce(t *testing.T) {
	tb := lay(t)
	w := tb.visitor("Anna").watch("chat=lobby&after=0&brief=1")
	for w.must().event != "ready" {
	}
	id, grow := growingAnswer(t, tb)
	if now := w.must(); now.Asks {
		t.Errorf("a placeholder asks: %+v", now)
	}
	ask := bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("Is that you?"), Asks: true}
	if _, err := tb.Edit(t.Context(), []community.MessageID{id}, ask); err != nil {
		t.Fatal(err)
	}
	if now := w.must(); !now.Asks || now.Final {
		t.Errorf("shown: %+v", now)
	}
	if saved, ok, err := tb.store.Message(t.Context(), "lobby", id); !ok || err != nil || !saved.Asks || saved.Text.Plain != "Is that you?" {
		t.Errorf("saved: %+v %v %v", saved, ok, err)
	}
	grow(2, false) // it was answered, and work begins
	if now := w.must(); now.Asks {
		t.Errorf("still asks: %+v", now)
	}
	grow(3, true)
	if saved, _, err := tb.store.Message(t.Context(), "lobby", id); err != nil || saved.Asks || !saved.Final {
		t.Errorf("in the end: %+v %v", saved, err)
	}
}
