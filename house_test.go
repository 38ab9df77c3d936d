package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"potluck/commands"
	"potluck/storage"
	"potluck/web/caller"
	"potluck/web/reader"
	"potluck/workers/protocol"
)

// withAwayWorker returns a data folder in which a worker is linked that never comes: what people ask waits for it during the restart grace.
func withAwayWorker(t *testing.T) string {
	t.Helper()
	c := defaultConfig()
	c.DataDir, c.HTTP.Addr = t.TempDir(), "127.0.0.1:0"
	h, err := build(t.Context(), c, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	owner, err := h.people.Member(t.Context(), "page:zoe", "Zoe", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	jobs, code := &storage.Jobs{DB: h.db}, sha256.Sum256([]byte(protocol.NewCode()))
	if err := jobs.SaveJoinCode(t.Context(), code, owner.ID, "attic", true, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.Enrol(t.Context(), code, key, protocol.Hardware{}, 3, time.Now()); err != nil {
		t.Fatal(err)
	}
	return c.DataDir
}

// An orderly stop is no answer: whoever waits for a worker then gets one after the next start, not "something went wrong" for good.
func TestStopLeavesWaitingRequestsToTheNextStart(t *testing.T) {
	t.Parallel()
	data := withAwayWorker(t)
	var questions []string
	for range 8 { // it took luck to see the mended bug: about 3 stops of 4 showed it
		p, base := serveHere(t, "POTLUCK_DATA_DIR="+data)
		v := visit(t, base, "Anna")
		question := v.say("/ask are you there?")
		questions = append(questions, question)
		v.await("a placeholder", func(m message) bool { return m.ReplyTo == question && !m.Final })
		p.stopGently()
		<-p.ended
		v.close()
	}
	_, base := serveHere(t, "POTLUCK_DATA_DIR="+data, "POTLUCK_WORKERS_RESTART_GRACE=1ms")
	v := visit(t, base, "Berta")
	for _, q := range questions {
		m := v.answer(q)
		v.answeredOnce(q)
		if want := "No machine that is online can answer questions right now. Try again later, or lend a GPU of your own with /worker link."; m.Text != want {
			t.Errorf("answered %q, want %q", m.Text, want)
		}
	}
}

// What the configuration says of proxies reaches the parts that count addresses.
func TestTrustedProxiesOfTheConfiguration(t *testing.T) {
	c := HTTPConfig{TrustedProxies: []string{"127.0.0.1", "10.0.0.0/8"}}
	proxies, err := c.proxies()
	if err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]string{"127.0.0.1:1": "198.51.100.1", "10.4.5.6:1": "198.51.100.1", "203.0.113.9:1": "203.0.113.9"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if got := caller.New(proxies).Of(r); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
	c.TrustedProxies = append(c.TrustedProxies, "everybody")
	if _, err := c.proxies(); err == nil {
		t.Error("a proxy that is no address is believed")
	}
}

// Whoever chooses a language on the page chooses it for the bot's answers, too.
func TestPagesAndCommandsSpeakTheSameLanguages(t *testing.T) {
	if pages, bot := reader.Languages(), commands.Languages(); !slices.Equal(pages, bot) {
		t.Errorf("the pages have %v, the commands %v", pages, bot)
	}
}
