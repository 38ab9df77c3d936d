package webchat_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/storage"
	"potluck/storage/storagetest"
)

func TestPoolAndPurseArePushed(t *testing.T) {
	var machines, spent atomic.Int64
	machines.Store(1)
	tb := lay(t, func(c *webchat.Config) {
		c.Pool = func() webchat.Pool {
			return webchat.Pool{Machines: int(machines.Load()), Abilities: []webchat.Ability{{Kind: "chat", Models: []string{"toy"}}}}
		}
		c.Purse = func(_ context.Context, user community.UserID, _ string) (webchat.Purse, error) {
			return webchat.Purse{Own: float64(10 - spent.Load()), Daily: 100, Free: 50}, nil
		}
	})
	anna := tb.visitor("Anna")
	asked := anna.says("lobby", "/ask why")
	w := anna.watch("chat=lobby&after=0&brief=1")
	wait := func(event, want string) {
		t.Helper()
		for {
			s := w.must()
			if s.event == event && strings.Contains(s.raw, want) {
				return
			}
		}
	}
	wait("pool", `"machines":1`)
	wait("purse", `"own":10`)
	machines.Store(2)
	wait("pool", `"machines":2`)
	spent.Store(3)
	parts, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", ReplyTo: asked, Text: bot.Plain("…")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Edit(t.Context(), parts, bot.Outgoing{Chat: "page:lobby", Text: bot.Plain("because"), Final: true}); err != nil {
		t.Fatal(err)
	}
	wait("purse", `"own":7`)
}

func TestSuggestionsComeFromTheServer(t *testing.T) {
	tb := lay(t, func(c *webchat.Config) {
		c.Suggest = func(locale, command, option, typed string) []string {
			return []string{locale + " " + command + " " + option + " " + typed}
		}
	})
	anna := tb.visitor("Anna")
	status, body, _ := anna.get("/webchat/suggest?command=worker+link&option=name&typed=at", "Accept-Language", "de")
	var got []string
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || len(got) != 1 || got[0] != "de worker link name at" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := anna.get("/webchat/suggest?command=" + strings.Repeat("x", 101)); status != http.StatusBadRequest {
		t.Errorf("a long one: %d", status)
	}
	if status, _, _ := tb.stranger().get("/webchat/suggest?command=ask"); status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", status)
	}
}

// A session is remembered as used, once a day: after thirty days without use it is forgotten.
func TestSessionsInUseAreKept(t *testing.T) {
	var skew atomic.Int64
	tb := lay(t, func(c *webchat.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	})
	anna, ben := tb.visitor("Anna"), tb.visitor("Ben")
	forget := func() {
		t.Helper()
		if err := tb.store.Forget(t.Context(), time.Now().Add(time.Duration(skew.Load())-30*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		skew.Add(int64(20 * 24 * time.Hour))
		if status, _, _ := anna.get("/webchat/session"); status != http.StatusOK {
			t.Fatalf("Anna comes every twenty days: %d", status)
		}
		forget()
	}
	if _, body, _ := ben.get("/webchat/session"); strings.Contains(body, "user") {
		t.Errorf("Ben was away for sixty days: %s", body)
	}
}

// After /forgetme an open page went on under the old name.
func TestWhoIsForgottenIsTold(t *testing.T) {
	db := storagetest.Open(t)
	tb := layOver(t, db)
	anna, ben := tb.visitor("Anna"), tb.visitor("Ben")
	asked := anna.says("lobby", "forget me")
	a, b := anna.watch("chat=lobby&after=0&brief=1"), ben.watch("chat=lobby&after=0&brief=1")
	for _, w := range []*watch{a, b} {
		for w.must().event != "ready" {
		}
	}
	var user struct{ User community.UserID }
	if _, body, _ := anna.get("/webchat/session"); json.Unmarshal([]byte(body), &user) != nil || user.User == "" {
		t.Fatal(body)
	}
	people := &storage.People{DB: db}
	m, err := people.Member(t.Context(), user.User, "Anna", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := people.Forget(t.Context(), m.ID, []community.UserID{user.User}, tb.Community(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Send(t.Context(), bot.Outgoing{Chat: "page:lobby", Only: user.User, Text: bot.Plain("forgotten " + string(asked)), Final: true}); err != nil {
		t.Fatal(err)
	}
	said := false
	for {
		s := a.must()
		said = said || strings.Contains(s.raw, "forgotten")
		if s.event == "gone" {
			break
		}
	}
	if !said {
		t.Error("the last answer was not shown")
	}
	if status, _, _ := anna.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "still me"}); status != http.StatusUnauthorized {
		t.Errorf("a message of who is forgotten: %d", status)
	}
	if status, _, _ := ben.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "hello"}); status != http.StatusAccepted {
		t.Errorf("Ben's message: %d", status)
	}
}

// What visitors wrote in Markdown stood there with its marks.
func TestVisitorsMarkdownIsShown(t *testing.T) {
	tb := lay(t)
	anna := tb.visitor("Anna")
	w := anna.watch("chat=lobby&after=0&brief=1")
	for typed, shown := range map[string]string{
		"**hot**": `"shown":{"text":"hot","spans":[{`, "2 * 3 * 4": "", "/ask **x**": "", "<b>no</b>": "", "[x](javascript:alert(1))": "",
	} {
		anna.says("lobby", typed)
		s := w.must()
		for s.event != "message" {
			s = w.must()
		}
		if got := strings.Contains(s.raw, `"shown"`); got != (shown != "") || !strings.Contains(s.raw, shown) {
			t.Errorf("%q: %s", typed, s.raw)
		}
	}
}
