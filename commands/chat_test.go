package commands_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is what the clock of every House in these tests shows.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// services stand in for the features and the pool; what they were asked is read after the answer is out.
type services struct {
	answer    func(ctx context.Context, q ask.Question, show func(ask.Draft)) (ask.Answer, error)
	draw      func(ctx context.Context, r imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error)
	translate func(ctx context.Context, r translate.Request, progress func(workers.Event)) (translate.Translation, error)

	mu           sync.Mutex
	questions    []ask.Question
	drawings     []imagegen.Request
	translations []translate.Request
	kept         []string
	revoked      []int64
	linked       string

	foreign  map[string]string // text → its language
	overview workers.Overview
	workers  []workers.Worker
	bills    map[int64]commands.Bill
}

func (s *services) Answer(ctx context.Context, q ask.Question, show func(ask.Draft)) (ask.Answer, error) {
	s.mu.Lock()
	s.questions = append(s.questions, q)
	s.mu.Unlock()
	return s.answer(ctx, q, show)
}

func (s *services) Keep(_ context.Context, _ ask.Question, partial string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, partial)
	return nil
}

func (s *services) Draw(ctx context.Context, r imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error) {
	s.mu.Lock()
	s.drawings = append(s.drawings, r)
	s.mu.Unlock()
	return s.draw(ctx, r, progress)
}

func (s *services) Translate(ctx context.Context, r translate.Request, progress func(workers.Event)) (translate.Translation, error) {
	s.mu.Lock()
	s.translations = append(s.translations, r)
	s.mu.Unlock()
	return s.translate(ctx, r, progress)
}

func (s *services) Foreign(text, _ string) (string, bool) {
	from, ok := s.foreign[text]
	return from, ok
}

func (s *services) Overview() workers.Overview { return s.overview }

func (s *services) Link(_ context.Context, owner community.Member, name string, share bool) (protocol.Join, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.linked = fmt.Sprintf("%s %q %t", owner.Name, name, share)
	return protocol.Join{Server: "https://potluck.example.org", Fingerprint: [32]byte{1, 2, 3}, Code: "ABCD1234"}, noon.Add(10 * time.Minute), nil
}

func (s *services) Workers(_ context.Context, owner community.MemberID) ([]workers.Worker, error) {
	var mine []workers.Worker
	for _, w := range s.workers {
		if owner == 0 || w.Owner == owner {
			mine = append(mine, w)
		}
	}
	return mine, nil
}

func (s *services) Revoke(_ context.Context, id int64, _ community.Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = append(s.revoked, id)
	return nil
}

// credits are the real ledger, with bills of jobs that nobody did.
type credits struct {
	*storage.Credits
	s *services
}

func (c credits) Bill(ctx context.Context, job int64) (commands.Bill, bool, error) {
	if b, ok := c.s.bills[job]; ok {
		return b, true, nil
	}
	info, ok, err := c.Credits.Bill(ctx, job)
	return commands.Bill(info), ok, err
}

// stand is a whole chat: a real Router on a real database with a platform in memory.
type stand struct {
	*services
	t        *testing.T
	ctx      context.Context
	stop     context.CancelFunc // ends the Router; then wait on ended
	ended    chan struct{}
	platform *bottest.Platform
	people   *storage.People
	seen     int // messages of the bot that were looked at
}

// open starts a stand; change alters its House before.
func open(t *testing.T, change ...func(*commands.House)) *stand {
	t.Helper()
	return openOn(t, storagetest.Open(t), bottest.New("test"), &services{bills: make(map[int64]commands.Bill)}, change...)
}

// openOn starts a stand on a database and a platform that may have been there before, as after a restart.
func openOn(t *testing.T, db *storage.DB, platform *bottest.Platform, services *services, change ...func(*commands.House)) *stand {
	t.Helper()
	s := &stand{t: t, platform: platform, people: &storage.People{DB: db}, services: services, seen: len(platform.Messages(""))}
	requests := &storage.Requests{DB: db}
	house := commands.House{
		Ask: s, Draw: s, Translate: s, Pool: s, Credits: credits{&storage.Credits{DB: db}, s.services}, Requests: requests, People: s.people, Texts: commands.Texts(),
		Payer: func(r bot.Request) ledger.Payer {
			return ledger.Payer{Allowance: ledger.AllowanceOf(r.User), Daily: 60 * ledger.Credit, Spend: ledger.SpendOf(r.Member)}
		},
		Quality: func(community.Chat) protocol.Quality { return protocol.Rough },
		Trusted: func(worker int64, _ community.Chat) bool { return worker == 1 },
		Now:     func() time.Time { return noon },
	}
	for _, f := range change {
		f(&house)
	}
	router, err := bot.NewRouter(bot.Config{
		Platforms: []bot.Platform{s.platform}, Commands: commands.All(house), Actions: commands.Actions(house), Listeners: commands.Listeners(house),
		Reactions: commands.Reactions(house), Gate: house.Gate,
		Store: requests, People: s.people, Catalogue: commands.Texts(), Log: slog.New(slog.DiscardHandler), Pace: time.Millisecond,
		Limits: bot.Limits{PerMinute: 100}, // a test says more in a minute than a person
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ctx, s.stop = context.WithTimeout(context.Background(), 5*time.Minute) // the machine may be busy
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		if err := router.Run(s.ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() {
		s.stop()
		<-s.ended
	})
	return s
}

// emit hands the platform a message; user Rita writes in the lobby unless the event says otherwise.
func (s *stand) emit(e bot.Event) {
	s.t.Helper()
	if e.User == "" {
		e.User, e.Name = s.platform.User("rita"), "Rita"
	}
	if e.Chat.ID == "" {
		e.Chat = s.platform.Chat("lobby")
	}
	if err := s.platform.Emit(s.ctx, e); err != nil {
		s.t.Fatal(err)
	}
}

// final waits for the bot's next finished message.
func (s *stand) final() bottest.Message {
	s.t.Helper()
	all, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool { return len(all) > s.seen && all[s.seen].Final })
	if err != nil {
		s.t.Fatalf("%v: %+v", err, all)
	}
	s.seen++
	return all[s.seen-1]
}

func (s *stand) say(text string) bottest.Message {
	s.t.Helper()
	s.emit(bot.Event{Text: bot.Plain(text)})
	return s.final()
}

// sayIn is say in the language that the platform tells.
func (s *stand) sayIn(locale, text string) bottest.Message {
	s.t.Helper()
	s.emit(bot.Event{Text: bot.Plain(text), Locale: locale})
	return s.final()
}

func (s *stand) press(m bottest.Message, label string) bottest.Message {
	s.t.Helper()
	if err := s.platform.Press(s.ctx, m, "rita", label, community.Everyone); err != nil {
		s.t.Fatal(err)
	}
	return s.final()
}

func (s *stand) member(local string) community.Member {
	s.t.Helper()
	m, err := s.people.Member(s.ctx, s.platform.User(local), local, noon)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// rendered writes a text with its spans as tags.
func rendered(t bot.Text) string {
	out, open := "", []bot.Span(nil)
	closeUntil := func(at int) {
		for len(open) > 0 && open[len(open)-1].End <= at {
			out += "</" + string(open[len(open)-1].Kind) + ">"
			open = open[:len(open)-1]
		}
	}
	next := 0
	for i := range t.Plain {
		closeUntil(i)
		for next < len(t.Spans) && t.Spans[next].Start == i {
			tag := string(t.Spans[next].Kind)
			if v := t.Spans[next].Value; v != "" {
				tag += " " + v
			}
			out += "<" + tag + ">"
			open = append(open, t.Spans[next])
			next++
		}
		r := t.Plain[i:]
		for j := range r {
			if j > 0 {
				r = r[:j]
				break
			}
		}
		out += r
	}
	closeUntil(len(t.Plain))
	return out
}

// shown writes a message as it is to be seen: who sees it, pictures, text, buttons.
func shown(m bottest.Message) string {
	var b strings.Builder
	if m.Only != "" {
		fmt.Fprintf(&b, "(only for %s)\n", m.Only)
	}
	for _, p := range m.Pictures {
		fmt.Fprintf(&b, "[picture %s %d×%d spoiler:%t alt: %s]\n", p.Name, p.Width, p.Height, p.Spoiler, p.Alt)
	}
	b.WriteString(rendered(m.Text) + "\n")
	for _, button := range m.Buttons {
		fmt.Fprintf(&b, "[%s %s]\n", button.Label, button.Style)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got), see -update:\n%s", path, d)
	}
}

func result(job int64) workers.Result {
	return workers.Result{Job: job, Model: "llama3.1:8b", Worker: 1, WorkerName: "Rita's RTX 3060", Took: 3200 * time.Millisecond, Quality: protocol.Postable}
}

func TestCommandsAreWhatPlatformsTake(t *testing.T) {
	if err := bot.CheckCommands(commands.All(commands.House{})); err != nil {
		t.Error(err)
	}
}

// Every fault as it reaches people, with arguments as the packages give them; an argument that may be empty comes both ways.
func TestFaultsReadWell(t *testing.T) {
	cases := []struct {
		code fault.Code
		args []any
	}{
		{fault.UnknownCommand, []any{"name", "/imagin", "nearest", "/imagine"}},
		{fault.UnknownCommand, []any{"name", "/", "nearest", ""}},
		{fault.MissingOption, []any{"command", "/translate", "option", "to", "what", "option.translate.to", "usage", "/translate to:… [from:…] text"}},
		{fault.MissingOption, []any{"command", "/worker", "option", "link, list", "what", "", "usage", "/worker link|list"}},
		{fault.BadOption, []any{"option", "seed", "value", "x", "want", "number"}},
		{fault.BadOption, []any{"option", "count", "value", "7", "want", "1–4"}},
		{fault.BadOption, []any{"option", "share", "value", "perhaps", "want", ""}},
		{fault.UnknownOption, []any{"command", "/imagine", "option", "colour", "nearest", ""}},
		{fault.UnknownOption, []any{"command", "/imagine", "option", "sed", "nearest", "seed"}},
		{fault.TooLong, []any{"option", "prompt", "length", 6001, "max", 6000}},
		{fault.UnknownJob, []any{"job", 12}},
		{fault.UnknownWorker, []any{"worker", 3}},
		{fault.UnknownLang, []any{"value", "klingonish"}},
		{fault.SameLanguage, []any{"language", "es"}},
		{fault.LanguageUnsure, nil},
		{fault.Forbidden, []any{"role", community.Admin}},
		{fault.Forbidden, []any{"role", community.Operator}},
		{fault.Forbidden, []any{"role", ""}},
		{fault.NotYours, []any{"what", "ask_again"}},
		{fault.NotYours, []any{"what", "stop"}},
		{fault.Gone, nil},
		{fault.Gone, []any{"command", "imagine"}},
		{fault.GivenUp, []any{"times", 3}},
		{fault.Blocked, nil},
		{fault.RateLimited, []any{"wait", 2 * time.Second}},
		{fault.TooMany, []any{"running", 1, "queued", 5, "wait", 20 * time.Second}},
		{fault.TooMany, []any{"running", 2, "queued", 5}},
		{fault.NoCredit, []any{"need", "23.5", "have", "4", "reset", "2026-11-23T00:00:00Z"}},
		{fault.NoCredit, []any{"need", "23.5", "have", "0", "reset", ""}},
		{fault.NoCredit, []any{"need", "23.5", "have", "4", "reset", "2026-11-23T00:00:00Z", "share", "500"}},
		{fault.Busy, nil},
		{fault.Storage, nil},
		{fault.Erased, nil},
		{fault.NoWorker, []any{"kind", protocol.Chat}},
		{fault.NoWorker, []any{"kind", protocol.Image}},
		{fault.NoModel, []any{"model", "gpt-99", "models", "llama3.1:8b, qwen3:4b"}},
		{fault.NoModel, []any{"model", "gpt-99", "models", ""}},
		{fault.NoPair, []any{"from", "en", "to", "ja", "targets", "ca, es", "pairs", "en→ca, en→es, es→ca"}},
		{fault.NoPair, []any{"from", "ja", "to", "en", "targets", "", "pairs", "en→ca, en→es"}},
		{fault.NoPair, []any{"from", "ja", "to", "en", "targets", "", "pairs", ""}},
		{fault.NoPrivateWorker, []any{"kind", protocol.Translate}},
		{fault.NoFit, []any{"what", "context", "max", 8192}},
		{fault.NoFit, []any{"what", "pixels", "max", 1048576}},
		{fault.NoFit, []any{"what", "steps", "max", 30}},
		{fault.NoFit, []any{"what", "count", "max", 2}},
		{fault.NoFit, []any{"what", "vision", "max", 0}},
		{fault.NoFit, []any{"what", "", "max", 0}},
		{fault.Expired, []any{"kind", protocol.Chat}},
		{fault.WorkerFailed, []any{"kind", protocol.Image, "attempts", 1}},
		{fault.WorkerFailed, []any{"kind", protocol.Image, "attempts", 3}},
		{fault.EngineRefused, []any{"kind", protocol.Image}},
		{fault.BadResult, []any{"kind", protocol.Translate}},
		{fault.BadResult, []any{"kind", "something new"}},
		{fault.Cancelled, nil},
		{fault.PublicURL, []any{"url", "http://127.0.0.1:8080"}},
		{fault.TooManyWorkers, []any{"max", 10}},
		{fault.TooManyWorkers, []any{"max", 1}},
		{fault.NameTaken, []any{"name", "Attic PC"}},
		{fault.WhichWorker, []any{"workers", "3 (Attic PC), 4 (RTX 3060)"}},
		{fault.UnknownMachine, []any{"worker", 77}},
		{fault.UnknownMember, []any{"name", "Riat", "nearest", "Rita"}},
		{fault.UnknownMember, []any{"name", "Riat", "nearest", ""}},
		{fault.ManyMembers, []any{"name", "Rita", "members", "#12, #17"}},
		{fault.NotEnough, []any{"need", "12.5", "have", "3"}},
		{fault.NotHere, nil},
		{fault.SwitchedOff, []any{"feature", "imagine", "state", "chat"}},
		{fault.SwitchedOff, []any{"feature", "imagine", "state", "everywhere"}},
		{fault.Unwanted, nil},
		{fault.EnoughToday, []any{"limit", 20, "reset", noon.Add(12 * time.Hour)}},
		{fault.BadLinkCode, nil},
		{fault.OwnLinkCode, nil},
		{fault.LinkTries, []any{"wait", 10 * time.Minute}},
		{fault.LinkRefused, []any{"why", "already", "max", 8}},
		{fault.LinkRefused, []any{"why", "blocked", "max", 8}},
		{fault.LinkRefused, []any{"why", "operator", "max", 8}},
		{fault.LinkRefused, []any{"why", "many", "max", 8}},
		{fault.LinkRefused, []any{"why", "often", "max", 8}},
		{fault.Internal, nil},
	}
	covered := make(map[fault.Code]bool)
	for _, lang := range commands.Languages() {
		say := commands.Texts().Say(lang)
		var b strings.Builder
		for _, c := range cases {
			covered[c.code] = true
			// As the Router passes them on: strings.
			var args []any
			for name, value := range fault.New(c.code, c.args...).Args {
				args = append(args, name, value)
			}
			text := rendered(say("fault."+string(c.code), args...))
			if strings.ContainsAny(text, "{}") || (strings.Contains(text, "…") && c.code != fault.MissingOption) || strings.TrimSpace(text) != text {
				t.Errorf("%s %s %v reads badly: %s", lang, c.code, c.args, text)
			}
			fmt.Fprintf(&b, "%s: %s\n", c.code, text)
		}
		golden(t, "faults."+lang, b.String())
	}
	for _, code := range fault.Codes() {
		if !covered[code] {
			t.Errorf("no case for %s", code)
		}
	}
}
