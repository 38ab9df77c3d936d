package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/storage"
	"potluck/storage/storagetest"
)

// What the operator sets holds over a restart and wins over the configuration until it is taken back.
func TestKnobsHoldOverARestart(t *testing.T) {
	db := storagetest.Open(t)
	people := &storage.People{DB: db}
	ctx := t.Context()
	olga, err := people.Member(ctx, "page:olga", "Olga", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	open := func() *knobs {
		k := newKnobs(defaultConfig())
		k.people = people
		if err := k.load(ctx); err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open()
	var applied bot.Limits
	k.apply = func(l bot.Limits) { applied = l }
	if err := k.set(ctx, knobRunning, "7", olga.ID); err != nil || applied.Running != 7 || applied.Queued != defaultConfig().Limits.Queued {
		t.Errorf("%v, applied %+v", err, applied)
	}
	for _, bad := range []string{"0", "101", "many", "-1"} {
		if err := k.set(ctx, knobRunning, bad, olga.ID); !fault.Has(err, fault.BadOption) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := k.set(ctx, "limits.job_wait", "7", olga.ID); !fault.Has(err, fault.UnknownOption) {
		t.Errorf("what cannot be set: %v", err)
	}
	if k = open(); k.value(knobRunning) != 7 || k.value(knobQueued) != defaultConfig().Limits.Queued {
		t.Errorf("after a restart %+v", k.settings())
	}
	if err := people.SetSetting(ctx, "", knobRunning, "100000", olga.ID, time.Now()); err != nil { // of a version that allowed more
		t.Fatal(err)
	}
	if k = open(); k.value(knobRunning) != defaultConfig().Limits.Running {
		t.Errorf("a value out of range is %d", k.value(knobRunning))
	}
	if err := k.set(ctx, knobRunning, "", olga.ID); err != nil || k.value(knobRunning) != defaultConfig().Limits.Running {
		t.Errorf("%v, %d", err, k.value(knobRunning))
	}
}

// The address of a member's data gives nothing away to programs that only look at it, hands out the file to who presses the button, and is good
// for some minutes only.
func TestDownloadOfMyData(t *testing.T) {
	db := storagetest.Open(t)
	people := &storage.People{DB: db}
	rita, err := people.Member(t.Context(), "page:rita", "Rita <script>", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := &downloads{people: people, texts: commands.Texts(), log: slog.New(slog.DiscardHandler)}
	do := func(method, token string) (int, string, http.Header) {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, downloadPath+token, nil))
		b, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(b), w.Result().Header
	}
	token, until := d.make(rita.ID, "de", time.Now())
	if left := time.Until(until); left > downloadLife || left < downloadLife-time.Minute {
		t.Errorf("good for %v", left)
	}
	code, page, header := do(http.MethodGet, token)
	if code != 200 || strings.Contains(page, "Rita") || !strings.Contains(page, "Datei herunterladen") || header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v\n%s", code, header, page)
	}
	code, file, header := do(http.MethodPost, token)
	if code != 200 || !json.Valid([]byte(file)) || !strings.Contains(file, "page:rita") || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %v\n%s", code, header, file)
	}
	for _, c := range []struct{ method, token string }{{"GET", ""}, {"POST", "x"}, {"POST", token + "0"}} {
		if code, body, _ := do(c.method, c.token); code != http.StatusNotFound || strings.Contains(body, "Rita") {
			t.Errorf("%s %q: %d %s", c.method, c.token, code, body)
		}
	}
	if code, _, _ := do(http.MethodPut, token); code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", code)
	}
	old, _ := d.make(rita.ID, "en", time.Now().Add(-downloadLife))
	if code, _, _ := do(http.MethodPost, old); code != http.StatusNotFound {
		t.Errorf("an old address: %d", code)
	}
	d.forget(rita.ID)
	if code, _, _ := do(http.MethodPost, token); code != http.StatusNotFound {
		t.Errorf("of somebody who is forgotten: %d", code)
	}
	for range 2 * maxDownloads {
		d.make(rita.ID, "en", time.Now())
	}
	if len(d.all) > maxDownloads {
		t.Errorf("%d addresses", len(d.all))
	}
}

// The free credits of an identity stand in the ledger under a name that is always the same and tells nobody whose it is.
func TestAliasTellsOnlyThePlatform(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	a, b := aliasOf(key, "discord:1234"), aliasOf(key, "discord:1235")
	if a != aliasOf(key, "discord:1234") || a == b || community.Platform(a) != "discord" || strings.Contains(string(a), "1234") {
		t.Errorf("%s %s", a, b)
	}
	if a == aliasOf(bytes.Repeat([]byte{8}, 32), "discord:1234") {
		t.Error("another house knows it, too")
	}
}

// Everything of a member is gone from the whole program, and others see it go.
func TestForgottenThroughTheHouse(t *testing.T) {
	t.Parallel()
	config := defaultConfig()
	config.DataDir, config.HTTP.Addr = t.TempDir(), "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	h, err := build(ctx, config, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() { // after the visitors have left
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	rita, ken := visit(t, h.publicURL(), "Rita"), visit(t, h.publicURL(), "Ken")
	secret := rita.say("I love leek soup")
	ken.await("Rita's message", func(m message) bool { return m.ID == secret })

	link := rita.ask("/mydata").Text
	from := strings.Index(link, h.publicURL()+downloadPath)
	if from < 0 {
		t.Fatalf("no address in %q", link)
	}
	address, _, _ := strings.Cut(link[from:], "\n")
	res, err := rita.client.Post(address, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !json.Valid(file) || !bytes.Contains(file, []byte("I love leek soup")) || bytes.Contains(file, []byte("Ken")) {
		t.Errorf("%v: %s", err, file)
	}

	asked := rita.ask("/forgetme")
	rita.press(asked, "Forget me")
	rita.await("the farewell", func(m message) bool { return m.ID == asked.ID && strings.Contains(m.Text, "I have forgotten you") })
	for gone := false; !gone; {
		e := ken.next("the deletion")
		gone = e.kind == "delete" && e.ID == secret
	}
	if left, err := h.people.Known(ctx, ""); err != nil || len(left) > 1 { // Ken, if he has asked anything
		t.Errorf("%+v %v", left, err)
	}
	if r, err := h.credits.Audit(ctx); err != nil || len(r.Breaches) > 0 {
		t.Errorf("%+v %v", r.Breaches, err)
	}
	if late, err := rita.client.Post(address, "application/x-www-form-urlencoded", nil); err != nil || late.StatusCode != http.StatusNotFound {
		t.Errorf("the file is still there: %v", err)
	} else {
		late.Body.Close()
	}
}
