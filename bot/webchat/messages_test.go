package webchat_test

import (
	"net/http"
	"strings"
	"testing"

	"potluck/bot"
	"potluck/community"
)

func TestPeopleChangeAndDeleteTheirOwnMessages(t *testing.T) {
	tb := lay(t)
	anna, ben := tb.visitor("Anna"), tb.visitor("Ben")
	id := anna.says("lobby", "good mornnig")
	tb.event()
	his := ben.watch("chat=lobby&after=0")
	his.must()
	refused := func(v *visitor, path string, body map[string]any, status int, code string) {
		t.Helper()
		if got, answer, _ := v.post("/webchat/messages/"+path, body); got != status || field(t, answer, "code") != code {
			t.Errorf("%s %v: %d %s, want %d %s", path, body, got, answer, status, code)
		}
	}
	refused(ben, "edit", map[string]any{"chat": "lobby", "message": id, "text": "mine now"}, http.StatusForbidden, "not_yours")
	refused(ben, "delete", map[string]any{"chat": "lobby", "message": id}, http.StatusForbidden, "not_yours")
	refused(anna, "edit", map[string]any{"chat": "lobby", "message": id, "text": " \n"}, http.StatusBadRequest, "empty")
	refused(anna, "edit", map[string]any{"chat": "lobby", "message": id, "text": strings.Repeat("x", 16_001)}, http.StatusRequestEntityTooLarge, "too_long")
	refused(anna, "edit", map[string]any{"chat": "english", "message": id, "text": "elsewhere"}, http.StatusNotFound, "gone")
	refused(anna, "edit", map[string]any{"chat": "cellar", "message": id, "text": "elsewhere"}, http.StatusNotFound, "no_chat")
	refused(anna, "delete", map[string]any{"chat": "cellar", "message": id}, http.StatusNotFound, "gone")

	if status, answer, _ := anna.post("/webchat/messages/edit", map[string]any{"chat": "lobby", "message": id, "text": "good morning "}); status != http.StatusAccepted {
		t.Fatalf("edit: %d %s", status, answer)
	}
	if e := tb.event(); e.Kind != bot.MessageEdited || e.Message != id || e.Text.Plain != "good morning" || string(e.User) != anna.user || e.ID == "page:"+string(id) {
		t.Errorf("the bot got %+v", e)
	}
	if got := his.must(); got.event != "edit" || got.Text != "good morning" || !got.Edited || got.Mine {
		t.Errorf("Ben sees %+v", got)
	}
	if got := anna.watch("chat=lobby&after=0").must(); !got.Edited || got.Text != "good morning" || !got.Mine {
		t.Errorf("Anna's replay shows %+v", got)
	}
	if status, answer, _ := anna.post("/webchat/messages/delete", map[string]any{"chat": "lobby", "message": id}); status != http.StatusAccepted {
		t.Fatalf("delete: %d %s", status, answer)
	}
	if e := tb.event(); e.Kind != bot.MessagesDeleted || len(e.Deleted) != 1 || e.Deleted[0] != id {
		t.Errorf("the bot got %+v", e)
	}
	if got := his.must(); got.event != "delete" || got.ID != string(id) {
		t.Errorf("Ben sees %+v", got)
	}
	refused(anna, "edit", map[string]any{"chat": "lobby", "message": id, "text": "back"}, http.StatusNotFound, "gone")
	refused(anna, "delete", map[string]any{"chat": "lobby", "message": id}, http.StatusNotFound, "gone")
}

func TestOperatorsDeleteWhatIsFinished(t *testing.T) {
	tb := lay(t)
	anna, boss := tb.visitor("Anna"), tb.visitor("Boss")
	if status, _, _ := boss.get("/webchat/operator?token=let-me-in"); status != http.StatusSeeOther {
		t.Fatalf("operator: %d", status)
	}
	rude := anna.says("lobby", "something rude")
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("working")})
	if err != nil {
		t.Fatal(err)
	}
	remove := func(id community.MessageID) int {
		status, _, _ := boss.post("/webchat/messages/delete", map[string]any{"chat": "lobby", "message": id})
		return status
	}
	if status := remove(parts[0]); status != http.StatusConflict {
		t.Errorf("an answer that is being made: %d", status)
	}
	if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("done"), Final: true}); err != nil {
		t.Fatal(err)
	}
	if a, b := remove(parts[0]), remove(rude); a != http.StatusAccepted || b != http.StatusAccepted {
		t.Errorf("delete the bot's %d, a visitor's %d", a, b)
	}
	if status, _, _ := boss.post("/webchat/messages/edit", map[string]any{"chat": "lobby", "message": rude, "text": "x"}); status != http.StatusNotFound {
		t.Errorf("edit: %d", status)
	}
	// Who becomes the operator keeps the name.
	boss.says("lobby", "That was not nice.")
}

func TestStopIsShownToTheAskerAndModerators(t *testing.T) {
	tb := lay(t)
	anna, ben, boss := tb.visitor("Anna"), tb.visitor("Ben"), tb.visitor("Boss")
	boss.get("/webchat/operator?token=let-me-in")
	hers, his, theirs := anna.watch("chat=lobby"), ben.watch("chat=lobby"), boss.watch("chat=lobby")
	_, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("…"), Buttons: []bot.Button{
		{ID: "stop", Label: "Stop", Only: community.UserID(anna.user)}, {ID: "info", Label: "Info"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]struct {
		watch *watch
		want  int
	}{"Anna": {hers, 2}, "Ben": {his, 1}, "the operator": {theirs, 2}} {
		if got := w.watch.must(); len(got.Btns) != w.want {
			t.Errorf("%s sees %+v", name, got.Btns)
		}
	}
	for name, w := range map[string]*watch{"Anna": anna.watch("chat=lobby&after=0&brief=1"), "the operator": boss.watch("chat=lobby&after=0")} {
		if got := w.must(); len(got.Btns) != 2 {
			t.Errorf("%s's replay shows %+v", name, got.Btns)
		}
	}
	if got := ben.watch("chat=lobby&after=0").must(); len(got.Btns) != 1 {
		t.Errorf("Ben's replay shows %+v", got.Btns)
	}
}
