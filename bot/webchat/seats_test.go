package webchat_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot/webchat"
)

func TestNobodyTakesTheNameOfSomebodyWhoIsHere(t *testing.T) {
	var skew atomic.Int64 // of the page's clock
	tb := lay(t, func(c *webchat.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	})
	anna := tb.visitor("Anna")
	w := anna.watch("chat=lobby&after=0&brief=1") // "ready" says that the stream is counted
	w.must()
	enter := func(v *visitor, name string) (int, string) {
		status, body, _ := v.post("/webchat/session", map[string]any{"name": name})
		return status, field(t, body, "code")
	}
	skew.Add(int64(time.Hour)) // it is the open page that counts, not when she came
	for _, name := range []string{"Anna", "anna", "АNNА", "A n n a"} {
		if status, code := enter(tb.stranger(), name); status != http.StatusConflict || code != "name_in_use" {
			t.Errorf("%q: %d %s", name, status, code)
		}
	}
	ben := tb.visitor("Ben")
	if status, _ := enter(ben, "Anna"); status != http.StatusConflict {
		t.Errorf("Ben renamed: %d", status)
	}
	if status, _ := enter(anna, "Anna"); status != http.StatusOK {
		t.Errorf("Anna herself: %d", status)
	}
	ben.says("lobby", "I am still Ben")

	// She leaves; after a while the name is free. When she comes back, she has to choose another one.
	w.close()
	for { // until the server has noticed
		skew.Add(int64(time.Minute))
		if status, _ := enter(ben, "Anna"); status == http.StatusOK {
			break
		}
	}
	if _, body, _ := anna.get("/webchat/session"); field(t, body, "name") != "Anna" || !boolField(t, body, "name_in_use") {
		t.Errorf("back: %s", body)
	}
	if status, body, _ := anna.post("/webchat/messages", map[string]any{"chat": "lobby", "text": "It is me"}); status != http.StatusConflict || field(t, body, "code") != "name_in_use" {
		t.Errorf("two Annas talk: %d %s", status, body)
	}
	if status, _ := enter(anna, "Anna B."); status != http.StatusOK {
		t.Errorf("renamed: %d", status)
	}
	anna.says("lobby", "It is me")
}
