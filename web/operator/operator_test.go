package operator_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/web/operator"
	"potluck/web/reader"
	"potluck/workers"
	"potluck/workers/protocol"
)

const prompt = "an unmistakable lighthouse"

// desk is a view over a real database and a real pool. Requests with the header "Test-Operator" are the operator's.
type desk struct {
	t        *testing.T
	db       *storage.DB
	jobs     *storage.Jobs
	pool     *workers.Pool
	operator community.Member
	worker   workers.Worker
	view     http.Handler
	config   operator.Config
	audit    operator.Audit
	broken   error // what Who says
}

func open(t *testing.T, change ...func(*operator.Config)) *desk {
	t.Helper()
	db := storagetest.Open(t)
	d := &desk{t: t, db: db, jobs: &storage.Jobs{DB: db}}
	ctx, people := context.Background(), &storage.People{DB: db}
	m, err := people.Member(ctx, "page:operator", "Olga", time.Now())
	d.ok(err)
	d.ok(people.MakeOperator(ctx, m.ID))
	d.operator, err = people.MemberByID(ctx, m.ID)
	d.ok(err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	d.ok(err)
	cfg := workers.DefaultConfig()
	cfg.ServerKey, cfg.BlobDir, cfg.PublicURL, cfg.AllowLoopback = key, t.TempDir(), "http://127.0.0.1", true
	d.pool, err = workers.New(cfg, d.jobs, ledger.DefaultRates(), slog.New(slog.DiscardHandler))
	d.ok(err)
	d.worker = d.enrol("attic <b>3060</b>")
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.pool.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) { // a short test is over before the pool has read what is open
			d.ok(err)
		}
	})
	d.config = operator.Config{
		Store: &storage.Operator{DB: db}, Pool: d.pool, Title: "Test & Kitchen", Version: "v1", Origins: []string{"https://potluck.example.org"},
		Settings: func() []operator.Setting {
			return []operator.Setting{{Key: "http.addr", Value: "127.0.0.1:1", Default: "127.0.0.1:8080", Set: true}, {Key: "discord.token", Secret: true, Set: true}}
		},
		Audit: func(context.Context) (operator.Audit, error) { return d.audit, nil },
		Who: func(r *http.Request) (community.Member, bool, error) {
			return d.operator, r.Header.Get("Test-Operator") != "", d.broken
		},
	}
	for _, f := range change {
		f(&d.config)
	}
	v, err := operator.New(d.config)
	d.ok(err)
	d.view = v.Handler()
	return d
}

func (d *desk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) enrol(name string) workers.Worker {
	d.t.Helper()
	var hash [32]byte
	rand.Read(hash[:])
	public, _, err := ed25519.GenerateKey(rand.Reader)
	d.ok(err)
	d.ok(d.jobs.SaveJoinCode(d.t.Context(), hash, d.operator.ID, name, true, time.Now().Add(time.Minute)))
	w, err := d.jobs.Enrol(d.t.Context(), hash, public, protocol.Hardware{OS: "linux", Arch: "amd64", CPUs: 8, RAMMB: 16384, GPUs: []protocol.GPU{{Name: "RTX 3060\u202e", VRAMMB: 12288}}}, 5, time.Now())
	d.ok(err)
	return w
}

// do sends a request as the operator's browser; headers are pairs and win.
func (d *desk) do(method, path, body string, headers ...string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequest(method, "http://potluck.example.org"+path, strings.NewReader(body))
	r.Header.Set("Test-Operator", "yes")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	d.view.ServeHTTP(w, r)
	return w.Result()
}

func (d *desk) text(res *http.Response) string {
	d.t.Helper()
	b, err := io.ReadAll(res.Body)
	d.ok(err)
	return string(b)
}

// get reads JSON.
func get[T any](d *desk, path string) (v T) {
	d.t.Helper()
	res := d.do(http.MethodGet, path, "")
	text := d.text(res)
	if res.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s %s", path, res.Status, text)
	}
	d.ok(json.Unmarshal([]byte(text), &v))
	return v
}

func (d *desk) wish(key string) workers.Job {
	return workers.Job{
		Origin: workers.Origin{Key: key, Class: workers.Community, Community: "page:potluck", Member: d.operator.ID, Quality: protocol.Rough,
			Payer: ledger.Payer{Allowance: ledger.AllowanceOf(community.UserID("page:operator")), Daily: 100 * ledger.Credit}},
		Kind: protocol.Chat, Model: "qwen3-8b", Chat: &protocol.ChatJob{Messages: []protocol.Message{{Role: "user", Text: prompt}}, MaxTokens: 64},
		Work: ledger.Work{Kind: "chat", InTokens: 10, OutTokens: 64}, Wait: time.Hour,
	}
}

var reads = []string{"/operator/now", "/operator/history?span=hour", "/operator/history?span=day", "/operator/history?span=week", "/operator/jobs", "/operator/jobs/1", "/operator/settings"}

func TestOnlyTheOperatorLooks(t *testing.T) {
	d := open(t)
	for _, path := range reads {
		res := d.do(http.MethodGet, path, "", "Test-Operator", "")
		if body := d.text(res); res.StatusCode != http.StatusForbidden || strings.Contains(body, "attic") || !strings.Contains(body, "not_operator") {
			t.Errorf("%s as a stranger: %s %s", path, res.Status, body)
		}
	}
	for _, path := range []string{"/operator/audit", fmt.Sprintf("/operator/workers/%d/revoke", d.worker.ID)} {
		if res := d.do(http.MethodPost, path, "{}", "Test-Operator", ""); res.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s as a stranger: %s", path, res.Status)
		}
	}
	if list, err := d.pool.Workers(t.Context(), 0); err != nil || len(list) != 1 {
		t.Errorf("a stranger unlinked a worker: %v %v", list, err)
	}
	for lang, word := range map[string]string{"de": "Betreiber", "es": "operador", "ja": "運営者", "fr": "operator"} {
		res := d.do(http.MethodGet, "/operator", "", "Test-Operator", "", "Accept-Language", lang)
		if body := d.text(res); res.StatusCode != http.StatusForbidden || !strings.Contains(body, word) || !strings.Contains(body, "Be its operator") || strings.Contains(body, "view.js") {
			t.Errorf("the page in %s as a stranger: %s %s", lang, res.Status, body)
		}
	}
	d.broken = errors.New("disk at /secret is gone")
	if res := d.do(http.MethodGet, "/operator/now", ""); res.StatusCode != http.StatusServiceUnavailable || strings.Contains(d.text(res), "secret") {
		t.Errorf("when nobody can tell who asks: %s", res.Status)
	}
}

// Who chose German on the page got the operator's view in the language of the browser.
func TestTheViewFollowsTheLanguageChosenOnThePage(t *testing.T) {
	d := open(t)
	for _, path := range []string{"/operator", "/operator/nothing"} {
		res := d.do(http.MethodGet, path, "", "Accept-Language", "en-GB,en;q=0.9", "Cookie", reader.Cookie+"=de")
		if page := d.text(res); !strings.Contains(page, `<html lang="de">`) || res.Header.Get("Content-Language") != "de" || !strings.Contains(res.Header.Get("Vary"), "Cookie") {
			t.Errorf("%s: %s %v %.200s", path, res.Status, res.Header, page)
		}
	}
}

func TestThePageAndItsHeaders(t *testing.T) {
	d := open(t)
	inline := regexp.MustCompile(`(?i)<script(?:>| (?:[^>]*[^t"]>))|\son\w+=|\sstyle=`)
	var page string
	for _, lang := range reader.Languages() {
		res := d.do(http.MethodGet, "/operator", "", "Accept-Language", lang)
		page = d.text(res)
		if res.StatusCode != http.StatusOK || !strings.Contains(page, `<html lang="`+lang+`">`) || !strings.Contains(page, "Test &amp; Kitchen") {
			t.Errorf("%s: %s %.200s", lang, res.Status, page)
		}
		policy := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("policy %q", policy)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("headers %v", res.Header)
		}
		if found := inline.FindString(page); found != "" {
			t.Errorf("%s: %q is inline", lang, found)
		}
		if outside := regexp.MustCompile(`(?:src|href)="(?:https?:)?//[^"]*"`).FindString(page); outside != "" {
			t.Errorf("%s: %s leads elsewhere", lang, outside)
		}
	}
	files := regexp.MustCompile(`/operator/assets/[\w.]+\?v=\w+`).FindAllString(page, -1)
	if len(files) < 3 {
		t.Errorf("the page has only %v", files)
	}
	for _, f := range files {
		res := d.do(http.MethodGet, f, "")
		if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %v", f, res.Status, res.Header)
		}
		if again := d.do(http.MethodGet, f, "", "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", f, again.Status)
		}
	}
	for path, want := range map[string]int{"/operator/nothing": 404, "/operator/assets/none.js": 404, "/operator/": 308, "/operator/jobs/x": 404, "/operator/jobs/4711": 404, "/operator/history?span=year": 404, "/operator/jobs?state=odd": 404, "/operator/jobs?from=x": 404, "/operator/jobs?from=1": 404} {
		if res := d.do(http.MethodGet, path, ""); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	if res := d.do(http.MethodHead, "/operator", ""); res.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %s", res.Status)
	}
}

func TestWhatTheOperatorSees(t *testing.T) {
	d := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := d.pool.Do(ctx, d.wish("r1:answer"), nil)
		over <- err
	}()
	defer func() {
		cancel()
		<-over
	}()
	type job struct {
		ID                       int64
		Kind, State, Asker, Held any
		Why                      *struct {
			Obstacle, Model string
			Until           int64
		}
	}
	type page struct{ Jobs []job }
	var list page
	for len(list.Jobs) == 0 { // until the pool has saved it
		list = get[page](d, "/operator/jobs?state=queued&kind=chat")
	}
	j := list.Jobs[0]
	for j.Why == nil || j.Why.Obstacle == string(workers.ObstacleOver) || j.Why.Obstacle == string(workers.ObstacleSaving) {
		j = get[page](d, "/operator/jobs").Jobs[0]
	}
	// The worker is linked and has not come yet: it may come back.
	if j.Why.Obstacle != string(workers.ObstacleGrace) || j.Why.Until == 0 || j.Why.Model != "qwen3-8b" || j.Asker != "Olga" {
		t.Errorf("%+v, why %+v", j, j.Why)
	}
	if list := get[page](d, "/operator/jobs?state=done"); len(list.Jobs) != 0 {
		t.Errorf("done are %+v", list)
	}
	now := get[struct {
		Queue []struct {
			Kind   string
			Queued int
			Oldest int64
		}
		States  map[string]int
		Workers []struct {
			ID                 int64
			Name, State, Owner string
			GPUs               []struct{ Name string }
		}
		Ledger map[string]int64
	}](d, "/operator/now")
	if q := now.Queue[0]; q.Kind != "chat" || q.Queued != 1 || q.Oldest == 0 {
		t.Errorf("queue %+v", now.Queue)
	}
	if len(now.Workers) != 1 || now.Workers[0].State != "offline" || now.Workers[0].Name != "attic <b>3060</b>" || now.Workers[0].Owner != "Olga" || now.Workers[0].GPUs[0].Name != "RTX 3060" || now.States["offline"] != 1 {
		t.Errorf("workers %+v", now.Workers)
	}
	if now.Ledger["held"] <= 0 || now.Ledger["minted"] != int64(100*ledger.Credit) {
		t.Errorf("ledger %v", now.Ledger)
	}
	detail := get[struct {
		Job      job
		Attempts []any
	}](d, fmt.Sprintf("/operator/jobs/%d", j.ID))
	if detail.Job.ID != j.ID || detail.Job.Why == nil || len(detail.Attempts) != 0 {
		t.Errorf("details %+v", detail)
	}
	for _, path := range append(reads, fmt.Sprintf("/operator/jobs/%d", j.ID)) {
		if body := d.text(d.do(http.MethodGet, path, "")); strings.Contains(body, "unmistakable") || strings.Contains(body, "r1:answer") {
			t.Errorf("%s shows what people wrote: %s", path, body)
		}
	}
	settings := d.text(d.do(http.MethodGet, "/operator/settings", ""))
	if !strings.Contains(settings, "http.addr") || !strings.Contains(settings, `"secret":true`) {
		t.Errorf("settings %s", settings)
	}
	// What did not change is not sent again.
	res := d.do(http.MethodGet, "/operator/settings", "")
	if again := d.do(http.MethodGet, "/operator/settings", "", "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || d.text(again) != "" {
		t.Errorf("the same again: %s", again.Status)
	}
}

func TestActsOnlyFromItsOwnPage(t *testing.T) {
	var paused []string
	d := open(t, func(c *operator.Config) {
		c.Pause = func(_ context.Context, worker int64, by community.Member, pause bool) error {
			paused = append(paused, fmt.Sprint(worker, by.Name, pause))
			return nil
		}
	})
	path := fmt.Sprintf("/operator/workers/%d/revoke", d.worker.ID)
	for name, headers := range map[string][]string{
		"another site":          {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"another origin":        {"Sec-Fetch-Site", "same-origin", "Origin", "https://evil.example"},
		"an old browser's form": {"Sec-Fetch-Site", "", "Origin", "https://evil.example", "Content-Type", "application/x-www-form-urlencoded"},
		"a form":                {"Content-Type", "text/plain"},
		"no type":               {"Content-Type", ""},
	} {
		if res := d.do(http.MethodPost, path, "{}", headers...); res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	if res := d.do(http.MethodGet, path, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("GET: %s", res.Status)
	}
	if list, err := d.pool.Workers(t.Context(), 0); err != nil || len(list) != 1 {
		t.Fatalf("the worker is gone: %v %v", list, err)
	}
	for _, act := range []string{"pause", "resume"} {
		if res := d.do(http.MethodPost, fmt.Sprintf("/operator/workers/%d/%s", d.worker.ID, act), "{}"); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", act, res.Status)
		}
	}
	if want := []string{fmt.Sprint(d.worker.ID, "Olga", true), fmt.Sprint(d.worker.ID, "Olga", false)}; !slices.Equal(paused, want) {
		t.Errorf("paused %v, want %v", paused, want)
	}
	if res := d.do(http.MethodPost, path, "{}", "Origin", "https://potluck.example.org"); res.StatusCode != http.StatusOK {
		t.Errorf("the operator's own page: %s %s", res.Status, d.text(res))
	}
	if now := get[struct{ Workers []any }](d, "/operator/now"); len(now.Workers) != 0 {
		t.Errorf("after it was unlinked: %v", now.Workers)
	}
	for path, code := range map[string]string{path: string(fault.UnknownWorker), "/operator/workers/x/revoke": string(fault.UnknownWorker), "/operator/workers/1/explode": "unknown_act"} {
		if res := d.do(http.MethodPost, path, "{}"); res.StatusCode != http.StatusNotFound || !strings.Contains(d.text(res), code) {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestAudit(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	d := open(t, func(c *operator.Config) {
		c.Audit = func(context.Context) (operator.Audit, error) {
			begun <- true
			<-finish
			return operator.Audit{Jobs: 3, Breaches: []string{"I1: transaction 7 sums to 3"}}, nil
		}
	})
	first := make(chan string, 1)
	go func() { first <- d.text(d.do(http.MethodPost, "/operator/audit", "{}")) }()
	<-begun
	if res := d.do(http.MethodPost, "/operator/audit", "{}"); res.StatusCode != http.StatusConflict {
		t.Errorf("a second one at the same time: %s", res.Status)
	}
	close(finish)
	if said := <-first; !strings.Contains(said, "transaction 7") || !strings.Contains(said, `"jobs":3`) {
		t.Errorf("audit: %s", said)
	}
}

// counting counts how often the past is read.
type counting struct {
	operator.Store
	ended int
}

func (c *counting) Ended(ctx context.Context, from time.Time, width time.Duration) (operator.Ended, error) {
	c.ended++
	return c.Store.Ended(ctx, from, width)
}

// The past does not change: it is read once, however many windows are open.
func TestThePastIsReadOnce(t *testing.T) {
	store := &counting{}
	d := open(t, func(c *operator.Config) {
		store.Store = c.Store
		c.Store = store
	})
	type chart struct {
		Complete   float64
		P50, Depth []float64
		Begin      int64
	}
	for complete := 0.0; complete < 1; { // a busy machine may need more than one look
		c := get[chart](d, "/operator/history?span=hour")
		if len(c.P50) != 60 || len(c.Depth) != 60 || c.P50[0] != -1 {
			t.Fatalf("%+v", c)
		}
		complete = c.Complete
	}
	if store.ended < 60 {
		t.Errorf("read %d stretches, an hour has 60", store.ended)
	}
	before := store.ended
	get[chart](d, "/operator/history?span=hour")
	if again := store.ended - before; again > 4 { // those that may still change, when the first look was long ago
		t.Errorf("read %d stretches again", again)
	}
}
