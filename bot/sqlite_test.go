package bot_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/community"
	"potluck/storage"
	"potluck/storage/storagetest"
)

// process runs a Router on a database until stop is called.
func process(t testing.TB, p *bottest.Platform, db *storage.DB, c bot.Config) (stop func()) {
	t.Helper()
	c.Platforms, c.Store, c.People = []bot.Platform{p}, &storage.Requests{DB: db}, &storage.People{DB: db}
	c.Catalogue = bottest.Catalogue{"en"}
	c.Pace = time.Millisecond
	router, err := bot.NewRouter(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func wait(t testing.TB, p *bottest.Platform, ok func([]bottest.Message) bool) []bottest.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	all, err := p.Wait(ctx, "lobby", ok)
	if err != nil {
		t.Fatalf("%v: %+v", err, all)
	}
	return all
}

// The real database keeps arguments, replies, buttons and states over restarts: three requests, one of them stopped while waiting for its
// turn; after a restart in the middle each has one final, in the message it began with.
func TestRestartOnSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db := storagetest.OpenPath(t, path)
	p := bottest.New("test")
	gate := make(chan struct{})
	var begun atomic.Int32
	c := bot.Config{Commands: []bot.Command{slow(gate, &begun)}, Limits: bot.Limits{Running: 1}}
	stop := process(t, p, db, c)
	for _, cake := range []string{"apple", "plum", "cream"} {
		if err := p.Say(t.Context(), "lobby", "ann", "/slow "+cake); err != nil {
			t.Fatal(err)
		}
	}
	same := bot.Event{ID: "test:once", Chat: p.Chat("lobby"), User: p.User("bob"), Text: bot.Plain("/slow once")}
	for range 2 {
		if err := p.Emit(t.Context(), same); err != nil {
			t.Fatal(err)
		}
	}
	before := wait(t, p, func(all []bottest.Message) bool {
		return len(all) == 4 && all[0].Text.Plain == "half of apple" && all[3].Text.Plain == "half of once"
	})
	if err := p.Press(t.Context(), before[1], "ann", "button.stop", community.Everyone); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func(all []bottest.Message) bool { return all[1].Final })
	if begun.Load() != 2 {
		t.Errorf("%d at work, want one each of ann and bob", begun.Load())
	}
	stop()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	close(gate)
	stop = process(t, p, storagetest.OpenPath(t, path), c)
	after := wait(t, p, bottest.Finals(4))
	stop()
	var shown []string
	for i, m := range after {
		shown = append(shown, m.Text.Plain)
		if m.ID != before[i].ID || len(m.Buttons) > 0 {
			t.Errorf("message %d: %+v, was %s", i, m, before[i].ID)
		}
	}
	if got := strings.Join(shown, ", "); got != "done apple, fault.cancelled, done cream, done once" {
		t.Errorf("shown: %s", got)
	}
}

func BenchmarkCommandOnSQLite(b *testing.B) {
	p := bottest.New("test")
	stop := process(b, p, storagetest.Open(b), bot.Config{Commands: []bot.Command{echo("echo")}, Limits: bot.Limits{PerMinute: 1 << 30, Chat: 1 << 20}})
	defer stop()
	n := 0
	for b.Loop() {
		if err := p.Say(b.Context(), "lobby", fmt.Sprint("user", n%50), "/echo hello"); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
