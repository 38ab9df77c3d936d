package commands_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"image/png"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/commands"
	"potluck/community"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// yard is a stand with the real pool and the real ledger behind it, and everything that the program around the commands does.
type yard struct {
	*stand
	pool    *workers.Pool
	jobs    *storage.Jobs
	credits *storage.Credits
	log     bytes.Buffer // of what operators do
	posted  []string
	set     map[string]string
	kept    []community.MessageID
}

func openYard(t *testing.T, change ...func(*commands.House)) *yard {
	t.Helper()
	y := &yard{set: make(map[string]string)}
	y.stand = open(t, func(h *commands.House) {
		db := h.Credits.(credits).DB
		y.jobs, y.credits = &storage.Jobs{DB: db}, &storage.Credits{DB: db}
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cfg := workers.DefaultConfig()
		cfg.ServerKey, cfg.BlobDir, cfg.PublicURL, cfg.AllowLoopback = key, t.TempDir(), "http://127.0.0.1", true
		if y.pool, err = workers.New(cfg, y.jobs, ledger.DefaultRates(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- y.pool.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		h.Pool, h.Owners, h.Gifts, h.Figures, h.Members, h.Running = y.pool, y.pool, y.credits, y.jobs, h.People.(*storage.People), y
		h.Log = slog.New(slog.NewTextHandler(&y.log, nil))
		for _, f := range change {
			f(h)
		}
	})
	return y
}

// The program around the commands.

func (y *yard) Limits() bot.Limits { return bot.Limits{Running: 2, Queued: 5, PerMinute: 20} }

func (y *yard) Settings() []commands.Setting {
	return []commands.Setting{{Name: "limits.running", Value: 3, Configured: 2, Min: 1, Max: 100}, {Name: "credits.daily_page", Value: 2000, Configured: 2000, Max: 9999}}
}

func (y *yard) Set(_ context.Context, name, value string, _ community.Member) error {
	y.set[name] = value
	return nil
}

func (y *yard) Health(context.Context) (commands.Health, error) {
	return commands.Health{Version: "1.2", Started: noon.Add(-3 * time.Hour), Database: 4 * time.Millisecond, Loop: 100 * time.Millisecond, Memory: 80 << 20, Goroutines: 40, Size: 5 << 20}, nil
}

func (y *yard) Download(_ context.Context, m community.MemberID, language string) (string, time.Time, error) {
	return fmt.Sprintf("https://potluck.example.org/mydata/%d-%s", m, language), noon.Add(10 * time.Minute), nil
}

func (y *yard) Erase(ctx context.Context, m community.MemberID, shown []community.UserID, heir community.CommunityID, keep []community.MessageID) (ledger.Amount, error) {
	y.kept = keep
	f, err := y.people.Forget(ctx, m, shown, heir, noon)
	return f.Given, err
}

func (y *yard) Places(context.Context) ([]community.ChatID, error) {
	return []community.ChatID{"test:lobby", "test:kitchen"}, nil
}

func (y *yard) Announce(_ context.Context, chat community.ChatID, text bot.Text, nonce string) error {
	y.posted = append(y.posted, fmt.Sprint(chat, " ", text.Plain, " ", len(nonce)))
	return nil
}

// links gives a member a machine.
func (y *yard) links(local, name string, share bool) workers.Worker {
	y.t.Helper()
	key := sha256.Sum256([]byte(local + name))
	var code [32]byte
	rand.Read(code[:])
	if err := y.jobs.SaveJoinCode(y.ctx, code, y.member(local).ID, name, share, noon.Add(10*time.Minute)); err != nil {
		y.t.Fatal(err)
	}
	hw := protocol.Hardware{CPUs: 8, RAMMB: 32 << 10, GPUs: []protocol.GPU{{Name: "NVIDIA GeForce RTX 3060", VRAMMB: 12 << 10}}}
	w, err := y.jobs.Enrol(y.ctx, code, key[:], hw, 10, noon)
	if err != nil {
		y.t.Fatal(err)
	}
	return w
}

// mints gives a member credits.
func (y *yard) mints(local string, amount ledger.Amount) {
	y.t.Helper()
	storagetest.Mint(y.t, y.credits.DB, ledger.SpendOf(y.member(local).ID), amount, "for the soup", noon)
}

// sound fails the test when the ledger is not.
func (y *yard) sound() {
	y.t.Helper()
	r, err := y.credits.AuditAt(y.ctx, noon)
	if err != nil || len(r.Breaches) > 0 {
		y.t.Errorf("%v %v", r.Breaches, err)
	}
}

// as says something as somebody else, with a role.
func (y *yard) as(local string, role community.Role, text string) bottest.Message {
	y.t.Helper()
	y.emit(bot.Event{Text: bot.Plain(text), User: y.platform.User(local), Name: strings.ToUpper(local[:1]) + local[1:], Role: role})
	return y.final()
}

// changed presses a button that changes its own message, and waits until it shows want.
func (y *yard) changed(m bottest.Message, label, want string) bottest.Message {
	y.t.Helper()
	if err := y.platform.Press(y.ctx, m, community.Local(m.Only), label, community.Everyone); err != nil {
		y.t.Fatal(err)
	}
	all, err := y.platform.Wait(y.ctx, "", func(all []bottest.Message) bool {
		return slices.ContainsFunc(all, func(n bottest.Message) bool { return n.ID == m.ID && n.Final && strings.Contains(n.Text.Plain, want) })
	})
	if err != nil {
		y.t.Fatalf("waiting for %q: %v: %+v", want, err, all)
	}
	return all[slices.IndexFunc(all, func(n bottest.Message) bool { return n.ID == m.ID })]
}

func TestOwnersCommands(t *testing.T) {
	y := openYard(t)
	var b strings.Builder
	say := func(texts ...string) {
		for _, text := range texts {
			fmt.Fprintf(&b, "--- %s\n%s", text, shown(y.say(text)))
		}
	}
	say("/worker stats", "/worker pause")
	y.links("ken", "Ken's", true)
	y.links("rita", "Attic PC", false)
	say("/worker rename Kitchen PC", "/worker pause", "/worker list", "/worker resume", "/worker share on", "/worker share off",
		"/worker limits", "/worker limits kinds:chat,image jobs:50 hours:22:00-07:00 zone:Europe/Berlin", "/worker limits hours:22-7 zone:Mars", "/worker limits hours:7",
		"/worker limits kinds:cook", "/worker limits kinds:all jobs:0 hours:all", "/worker stats", "/worker test", "/worker pause 1", "/worker stats 77")
	y.links("rita", "Cellar", false)
	say("/worker pause", "/worker pause cellar", "/worker rename 3 Kitchen PC", "/worker rename 3 Shed", "/worker rename id:2 Shed", "/worker share off 2", "/worker rename id:2 "+strings.Repeat("x", 40))
	golden(t, "owners", b.String())
}

func TestOwnersCommandsInEveryLanguage(t *testing.T) {
	var b strings.Builder
	for _, lang := range commands.Languages() {
		y := openYard(t)
		w := y.links("rita", "Attic PC", false)
		if err := y.jobs.Vouch(y.ctx, w.ID, "test:home", workers.Private, y.member("rita").ID, noon); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"/worker pause", "/worker limits hours:22-7 jobs:5", "/worker stats", "/quota", "/pool show", "/status", "/forgetme", "/mydata", "/pool wanted"} {
			fmt.Fprintf(&b, "--- %s %s\n%s", lang, text, shown(y.sayIn(lang, text)))
		}
	}
	golden(t, "owners_languages", b.String())
}

// A test is a real job that only this machine may do, at no cost; what keeps it from one is said instead.
func TestMachineIsTestedAlone(t *testing.T) {
	s := open(t)
	rita := s.member("rita")
	offers := []workers.OfferView{
		{Offer: protocol.Offer{Kind: protocol.Image}, Canonical: "sdxl"}, {Offer: protocol.Offer{Kind: protocol.Chat}, Canonical: "llama3.1:8b"},
		{Offer: protocol.Offer{Kind: protocol.Translate, Pairs: []protocol.Pair{{From: "es", To: "en"}}}, Canonical: "apertium"},
	}
	view := workers.WorkerView{Worker: workers.Worker{ID: 7, Owner: rita.ID, Name: "Attic PC"}, State: workers.Online, Offers: offers}
	s.workers = []workers.Worker{view.Worker}
	r := result(12)
	r.Bill.Amount = 2500
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{Markdown: "**Time** and salt.", Result: r}, nil
	}
	s.draw = func(context.Context, imagegen.Request, func(workers.Event)) (imagegen.Drawing, error) {
		return imagegen.Drawing{Pictures: []imagegen.Picture{{Name: "x.png", Width: 1, Height: 1}}, Result: r}, nil
	}
	s.translate = func(context.Context, translate.Request, func(workers.Event)) (translate.Translation, error) {
		return translate.Translation{Text: "Good morning, the soup is ready.", From: "es", To: "en", Result: r}, nil
	}
	var b strings.Builder
	for _, c := range []struct {
		text   string
		change func(*workers.WorkerView)
	}{
		{"/worker test", nil},
		{"/worker test kind:image", nil},
		{"/worker test 7 translate", nil},
		{"/worker test", func(v *workers.WorkerView) { v.Limits.Kinds = []protocol.Kind{protocol.Translate} }},
		{"/worker test kind:image", func(v *workers.WorkerView) { v.Offers = offers[1:] }},
		{"/worker test", func(v *workers.WorkerView) { v.State = workers.Away }},
		{"/worker test", func(v *workers.WorkerView) { v.State, v.Closed = workers.Paused, workers.ClosedByOwner }},
		{"/worker test", func(v *workers.WorkerView) { v.State, v.Closed = workers.Paused, workers.ClosedHours }},
		{"/worker test", func(v *workers.WorkerView) { v.State, v.Reason = workers.Paused, "a game" }},
		{"/worker test", func(v *workers.WorkerView) { v.State = workers.Draining }},
	} {
		v := view
		if c.change != nil {
			c.change(&v)
		}
		s.overview.Workers = []workers.WorkerView{v}
		fmt.Fprintf(&b, "--- %s\n%s", c.text, shown(s.say(c.text)))
	}
	golden(t, "worker_test", b.String())
	origins := []workers.Origin{s.questions[0].Origin, s.drawings[0].Origin, s.translations[0].Origin}
	for _, o := range origins {
		if o.Only != 7 || !o.Free || o.Class != workers.Public || o.Quality != protocol.Demo || o.Member != rita.ID {
			t.Errorf("tested with %+v", o)
		}
	}
	if q := s.translations[0]; q.From != "es" || q.To != "en" || !strings.Contains(q.Text, "sopa") {
		t.Errorf("translated %+v", q)
	}
}

func TestGiftsAreAskedForAndGivenOnce(t *testing.T) {
	y := openYard(t)
	y.as("ken", community.Everyone, "/language") // known here
	y.as("rosa", community.Everyone, "/language")
	y.mints("rita", 10*ledger.Credit)
	var b strings.Builder
	note := func(what string, m bottest.Message) bottest.Message {
		fmt.Fprintf(&b, "--- %s\n%s", what, shown(m))
		return m
	}
	ask := note("/give 5 @Ken", y.say("/give 5 @Ken"))
	note("Give", y.changed(ask, "Give", "You gave"))
	if err := y.platform.Press(y.ctx, ask, "rita", "Give", community.Everyone); err != nil { // an old copy of the message
		t.Fatal(err)
	}
	for _, text := range []string{"/give @ken 6", "/give amount:6 to:@Ken", "/give @ken", "/give 0 @ken", "/give 5 @Kne", "/give 5 @nobody", "/give 1 @Rita", "/give 2 pool"} {
		note(text, y.say(text))
	}
	last := y.say("/give 2 pool")
	note("Give", y.changed(last, "Give", "You gave"))
	balance := y.say("/credits")
	note("History", y.changed(balance, "History", "What moved"))
	golden(t, "give", b.String())
	ken, err := y.credits.Balance(y.ctx, y.member("ken").ID, ledger.Payer{}, noon)
	pool, err2 := y.credits.PoolBalance(y.ctx, "test:home")
	if err != nil || err2 != nil || ken.Spendable != 5*ledger.Credit || pool != 2*ledger.Credit {
		t.Errorf("Ken has %v, the pool %v: %v %v", ken.Spendable, pool, err, err2)
	}
	y.sound()
}

// "/worker share 1" was taken for "on" and published the owner's name; "/worker rename 2" without the name called the only machine "2".
func TestMachineNumberIsNoSwitchAndNoName(t *testing.T) {
	y := openYard(t)
	w := y.links("rita", "Attic PC", false)
	state := func() workers.Worker {
		t.Helper()
		all, err := y.pool.Workers(y.ctx, y.member("rita").ID)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	for _, c := range []struct {
		typed, want string
		share       bool
	}{
		{"/worker share %d", "still needs the word on or off. Type it like this: /worker share on|off %d", false},
		{"/worker share on:%d", "still needs the word on or off.", false},
		{"/worker share %d on", "From now on Attic PC is named", true},
		{"/worker share %d", "still needs", true},
		{"/worker share %d off", "Lines that are posted already keep the name.", false},
		{"/worker share yes %d", "From now on Attic PC is named", true},
		{"/worker share no", "is not named", false},
		{"/worker share perhaps", "Possible: on, off", false},
		{"/worker rename %d", "still needs the new name", false},
		{"/worker rename #%d", "still needs the new name", false},
	} {
		typed, want := strings.ReplaceAll(c.typed, "%d", fmt.Sprint(w.ID)), strings.ReplaceAll(c.want, "%d", fmt.Sprint(w.ID))
		if got := y.say(typed).Text.Plain; !strings.Contains(got, want) {
			t.Errorf("%s: %s", typed, got)
		}
		if got := state(); got.Share != c.share || got.Name != "Attic PC" {
			t.Errorf("after %s: share %t, name %s", typed, got.Share, got.Name)
		}
	}
}

// The new name of a machine was confirmed as it was typed, not as it is called from then on.
func TestRenameSaysWhatIsKept(t *testing.T) {
	y := openYard(t)
	y.links("rita", "Attic PC", false)
	got := y.say("/worker rename <i>Küche</i>").Text.Plain
	all, err := y.pool.Workers(y.ctx, y.member("rita").ID)
	if err != nil || len(all) != 1 || got != "Attic PC is called "+all[0].Name+" from now on." {
		t.Errorf("%s: %+v %v", got, all, err)
	}
}

// Setting a limit told "0 done today" of a machine that had done some: they are counted only where they are limited.
func TestNewLimitKnowsTheDay(t *testing.T) {
	var s *stand
	s = open(t, func(h *commands.House) { h.Owners = limiter{h.Owners, func() []workers.Worker { return s.workers }} })
	s.workers = []workers.Worker{{ID: 7, Owner: s.member("rita").ID, Name: "Attic PC"}}
	if got := s.say("/worker limits jobs:50").Text.Plain; !strings.Contains(got, "(6 done today") {
		t.Error(got)
	}
}

// limiter limits workers that did six jobs today.
type limiter struct {
	commands.Owners
	all func() []workers.Worker
}

func (o limiter) Limit(_ context.Context, id int64, l workers.Limits, _ community.Member) error {
	for i, w := range o.all() {
		if w.ID == id {
			o.all()[i].Limits, o.all()[i].Today = l, 6
		}
	}
	return nil
}

// What only admins can use stood below an admin's /pool show for the whole chat.
func TestHintForAdminsIsForThemAlone(t *testing.T) {
	y := openYard(t)
	const hint = "As an admin"
	if got := y.as("eve", community.Admin, "/pool show").Text.Plain; strings.Contains(got, hint) {
		t.Errorf("shown to everybody: %s", got)
	}
	y.emit(bot.Event{Text: bot.Plain("/pool show"), User: y.platform.User("eve"), Name: "Eve", Role: community.Admin, Private: true})
	if got := y.final(); got.Only == "" || !strings.Contains(got.Text.Plain, hint) {
		t.Errorf("for %q: %s", got.Only, got.Text.Plain)
	}
}

// "Possible: 22:00-07:00, all" read as if there were no other hours.
func TestHoursAreAnExample(t *testing.T) {
	y := openYard(t)
	y.links("rita", "Attic PC", false)
	if got := y.say("/worker limits hours:25:00-07:00").Text.Plain; strings.Contains(got, "Possible") || !strings.Contains(got, "such as 22:00-07:00") {
		t.Error(got)
	}
}

// A gift that is no whole number of credits "still needed a number of credits".
func TestGiftOfNoWholeNumber(t *testing.T) {
	y := openYard(t)
	for _, amount := range []string{"0.01", "1e9", "NaN", "0", "-3", "1000001", "99999999999999999999", "1,5"} {
		for _, typed := range []string{"/give " + amount + " @ken", "/give @ken " + amount} {
			if got := y.say(typed).Text.Plain; !strings.Contains(got, "Whole credits only, 1–1,000,000.") {
				t.Errorf("%s: %s", typed, got)
			}
		}
	}
}

// Somebody may be called "Aoi#3" while another Aoi has the number 3: a gift goes to nobody by chance.
func TestNameThatLooksLikeANumber(t *testing.T) {
	y := openYard(t)
	y.mints("rita", 10*ledger.Credit)
	meet := func(user, name string) community.MemberID {
		y.emit(bot.Event{Text: bot.Plain("/language"), User: y.platform.User(user), Name: name})
		y.final()
		return y.memberOf(user)
	}
	aoi := meet("aoi", "Aoi")
	meet("other", "Aoi#77")
	thief := meet("thief", fmt.Sprintf("Aoi#%d", aoi))
	for typed, want := range map[string]string{
		"/give 1 @Aoi#77":                             "to Aoi#77?",
		"/give 1 @Aoi":                                "to Aoi?",
		fmt.Sprintf("/give 1 @Aoi#%d", aoi):           fmt.Sprintf("@Aoi#%d#%d (test, ", aoi, thief),
		fmt.Sprintf("/give 1 @Aoi#%d#%d", aoi, thief): fmt.Sprintf("to Aoi#%d?", aoi),
		fmt.Sprintf("/give 1 #%d", aoi):               "to Aoi?",
	} {
		if got := y.say(typed).Text.Plain; !strings.Contains(got, want) {
			t.Errorf("%s: %s", typed, got)
		}
	}
}

// Two people of one name are told apart by number; a mention needs none.
func TestPeopleOfOneName(t *testing.T) {
	y := openYard(t)
	y.mints("rita", 10*ledger.Credit)
	for _, user := range []string{"sam1", "sam2"} {
		y.emit(bot.Event{Text: bot.Plain("/language"), User: y.platform.User(user), Name: "Sam"})
		y.final()
	}
	m := y.say("/give 1 @sam").Text.Plain
	ids := []string{fmt.Sprintf("#%d (test, ", y.memberOf("sam1")), fmt.Sprintf("#%d (test, ", y.memberOf("sam2"))}
	if !strings.HasPrefix(m, "More than one person here is called sam.") || !strings.Contains(m, ids[0]) || !strings.Contains(m, ids[1]) {
		t.Errorf("%s", m)
	}
	for _, typed := range []string{fmt.Sprintf("/give 1 @Sam#%d", y.memberOf("sam2")), fmt.Sprintf("/give 1 #%d", y.memberOf("sam2"))} {
		ask := y.say(typed)
		if !strings.Contains(ask.Text.Plain, "to Sam?") {
			t.Errorf("%s: %s", typed, ask.Text.Plain)
		}
		y.changed(ask, "Give", "You gave")
	}
	y.emit(bot.Event{Text: bot.Text{Plain: "/give 1 @Sam", Spans: []bot.Span{{Start: 8, End: 12, Kind: bot.Mention, Value: string(y.platform.User("sam1"))}}}})
	y.changed(y.final(), "Give", "You gave")
	for user, want := range map[string]ledger.Amount{"sam1": ledger.Credit, "sam2": 2 * ledger.Credit} {
		if got, err := y.credits.Balance(y.ctx, y.memberOf(user), ledger.Payer{}, noon); err != nil || got.Spendable != want {
			t.Errorf("%s has %v: %v", user, got.Spendable, err)
		}
	}
}

// memberOf does not touch the shown name.
func (y *yard) memberOf(local string) community.MemberID {
	y.t.Helper()
	m, err := y.people.Member(y.ctx, y.platform.User(local), "", noon)
	if err != nil {
		y.t.Fatal(err)
	}
	return m.ID
}

func TestHistoryHasPages(t *testing.T) {
	y := openYard(t)
	for range 20 {
		y.mints("rita", ledger.Credit)
	}
	m := y.changed(y.say("/credits"), "History", "What moved")
	count := func(m bottest.Message) int { return strings.Count(m.Text.Plain, "for the soup") }
	labels := func(m bottest.Message) (out []string) {
		for _, b := range m.Buttons {
			out = append(out, b.Label)
		}
		return out
	}
	first := m.Text.Plain
	for i, want := range [][]string{{"Back to my credits", "Older"}, {"Newer", "Older"}, {"Newer"}} {
		if got := labels(m); !slices.Equal(got, want) || count(m) != []int{8, 8, 4}[i] {
			t.Errorf("page %d has buttons %v and %d entries", i, got, count(m))
		}
		if i < 2 {
			edits := m.Edits
			if err := y.platform.Press(y.ctx, m, "rita", "Older", community.Everyone); err != nil {
				t.Fatal(err)
			}
			m = y.edited(m, edits)
		}
	}
	for range 2 {
		edits := m.Edits
		if err := y.platform.Press(y.ctx, m, "rita", "Newer", community.Everyone); err != nil {
			t.Fatal(err)
		}
		m = y.edited(m, edits)
	}
	if m.Text.Plain != first {
		t.Errorf("back on the first page:\n%s", m.Text.Plain)
	}
	y.changed(m, "Back to my credits", "Your credits: 20")
}

// edited waits until a message was edited once more, for good.
func (y *yard) edited(m bottest.Message, edits int) bottest.Message {
	y.t.Helper()
	var now bottest.Message
	_, err := y.platform.Wait(y.ctx, "", func(all []bottest.Message) bool {
		i := slices.IndexFunc(all, func(n bottest.Message) bool { return n.ID == m.ID })
		now = all[i]
		return now.Edits > edits && now.Final
	})
	if err != nil {
		y.t.Fatal(err)
	}
	return now
}

func TestForgetMe(t *testing.T) {
	y := openYard(t)
	y.mints("rita", 3*ledger.Credit)
	y.links("rita", "Attic PC", true)
	id := y.member("rita").ID
	ask := y.say("/forgetme")
	done := y.changed(ask, "Forget me", "I have forgotten you")
	if !strings.Contains(done.Text.Plain, "3 credits went to the pool") || len(done.Buttons) != 0 || !slices.Contains(y.kept, ask.ID) {
		t.Errorf("%s, kept %v", shown(done), y.kept)
	}
	if again := y.member("rita"); again.ID == id {
		t.Error("still the same member")
	}
	if mine, err := y.pool.Workers(y.ctx, id); err != nil || len(mine) != 0 {
		t.Errorf("still linked: %v %v", mine, err)
	}
	if pool, err := y.credits.PoolBalance(y.ctx, "test:home"); err != nil || pool != 3*ledger.Credit {
		t.Errorf("the pool has %v: %v", pool, err)
	}
	// A second press comes from somebody new, whose button it is not; there is none any more.
	if err := y.platform.Press(y.ctx, ask, "rita", "Forget me", community.Everyone); err != nil {
		t.Fatal(err)
	}
	if m := y.final(); !strings.HasPrefix(m.Text.Plain, "That is no longer there.") {
		t.Errorf("%s", m.Text.Plain)
	}
	y.sound()
}

func TestForgetMeLeavesMachinesAsAGift(t *testing.T) {
	y := openYard(t)
	w := y.links("rita", "Attic PC", true)
	id := y.member("rita").ID
	y.changed(y.say("/forgetme"), "Forget me, keep my machines going", "I have forgotten you")
	if mine, err := y.pool.Workers(y.ctx, id); err != nil || len(mine) != 1 || mine[0].ID != w.ID || mine[0].Share || mine[0].OwnerName != "" {
		t.Errorf("%+v %v", mine, err)
	}
}

func TestLeaderboardAsTextAndPicture(t *testing.T) {
	places := []workers.Leader{{Name: "Rita", Jobs: 12, Earned: 34_500}, {Jobs: 1, Earned: 9000}, {Name: "葵", Jobs: 3, Earned: 1000}, {Name: strings.Repeat("Wide", 40), Jobs: 1, Earned: 1}}
	y := openYard(t, func(h *commands.House) { h.Figures = leaders{h.Figures, places} })
	m := y.say("/leaderboard week")
	golden(t, "leaderboard", rendered(m.Text)+"\n"+m.Pictures[0].Alt+"\n")
	p := m.Pictures[0]
	if img, err := png.Decode(bytes.NewReader(p.Data)); err != nil || img.Bounds().Dx() != p.Width || img.Bounds().Dy() != p.Height || m.Only != "" {
		t.Errorf("%v, only for %q", err, m.Only)
	} else {
		// A bar without a name stood beside a dash: the sign of a person stands there now, the same for both who have none that can be written.
		sign := func(row int) (inked int) {
			for y := range 40 {
				for x := range 40 {
					if at := img.At(90+x, 30+92*row+y); at != img.At(0, 0) {
						inked++
					}
				}
			}
			return inked
		}
		if unnamed, unwritable := sign(1), sign(2); unnamed < 200 || unnamed != unwritable {
			t.Errorf("signs of %d and %d dots", unnamed, unwritable)
		}
	}
}

type leaders struct {
	commands.Figures
	list []workers.Leader
}

func (l leaders) Leaders(context.Context, community.CommunityID, time.Time, int) ([]workers.Leader, error) {
	return l.list, nil
}

func TestAdminsAndOperators(t *testing.T) {
	y := openYard(t)
	y.as("ken", community.Everyone, "/language")
	w := y.links("ken", "Ken's", true)
	if err := y.people.MakeOperator(y.ctx, y.member("olga").ID); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range []struct {
		who  string
		role community.Role
		text string
	}{
		{"rita", community.Everyone, "/pool vouch 1"},
		{"rita", community.Everyone, "/admin block @Ken"},
		{"rita", community.Everyone, "/help admin"},
		{"rita", community.Admin, "/pool vouch 1"},
		{"rita", community.Admin, "/pool vouch 1 private"},
		{"rita", community.Admin, "/pool vouch 77"},
		{"rita", community.Admin, "/admin block @Ken"},
		{"rita", community.Admin, "/admin news on"},
		{"rita", community.Admin, "/help"},
		{"olga", community.Everyone, "/help"},
		{"olga", community.Everyone, "/admin block @Ken"},
		{"olga", community.Everyone, "/admin unblock @ken"},
		{"olga", community.Everyone, "/admin block @Olga"},
		{"olga", community.Everyone, "/admin settings"},
		{"olga", community.Everyone, "/admin set limits.running 5"},
		{"olga", community.Everyone, "/admin set limits.running 0"},
		{"olga", community.Everyone, "/admin set limits.running default"},
		{"olga", community.Everyone, "/admin set limits.runing 5"},
		{"olga", community.Everyone, "/status"},
	} {
		fmt.Fprintf(&b, "--- %s (%s) %s\n%s", c.who, c.role, c.text, shown(y.as(c.who, c.role, c.text)))
	}
	got := y.as("olga", community.Everyone, "/admin announce The kitchen **moves** on Sunday.")
	b.WriteString("--- announce\n" + shown(got))
	b.WriteString(shown(y.changed(got, "Post it", "Posted in")))
	golden(t, "admin", strings.ReplaceAll(b.String(), runtime.Version(), "go1.x"))
	if want := []string{"test:lobby The kitchen moves on Sunday. 16", "test:kitchen The kitchen moves on Sunday. 16"}; !slices.Equal(y.posted, want) {
		t.Errorf("posted %q", y.posted)
	}
	if all, err := y.jobs.Workers(y.ctx, 0); err != nil || all[0].ID != w.ID || all[0].Vouched["test:home"] != workers.Private {
		t.Errorf("%+v %v", all, err)
	}
	if v, ok, err := y.people.Setting(y.ctx, "test:home", commands.NewsSetting); v != "test:lobby" || !ok || err != nil {
		t.Errorf("%q %v %v", v, ok, err)
	}
	log := y.log.String()
	for _, want := range []string{"admin: block", "admin: set", "name=limits.running value=5", "admin: announce", "admin: vouch"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: %s", want, log)
		}
	}
	if strings.Contains(log, "kitchen moves") || strings.Contains(log, "Sunday") {
		t.Errorf("a text in the log: %s", log)
	}
}

// Who is blocked is told so and gets nothing else, and may use everything again afterwards.
func TestBlockedMemberIsToldSo(t *testing.T) {
	y := openYard(t)
	if err := y.people.MakeOperator(y.ctx, y.member("olga").ID); err != nil {
		t.Fatal(err)
	}
	y.as("ken", community.Everyone, "/language")
	y.as("olga", community.Everyone, "/admin block @ken")
	if m := y.as("ken", community.Everyone, "/language"); !strings.HasPrefix(m.Text.Plain, "The operator has blocked you") {
		t.Errorf("%s", m.Text.Plain)
	}
	for text, want := range map[string]string{"/privacy": "Who sees what you ask", "/mydata": "Everything that I keep", "/forgetme": "Do you want me to forget you"} {
		if m := y.as("ken", community.Everyone, text); !strings.HasPrefix(m.Text.Plain, want) { // blocked or not, one may know and be forgotten
			t.Errorf("%s: %s", text, m.Text.Plain)
		}
	}
	if m := y.as("olga", community.Everyone, "/admin unblock @ken"); !strings.Contains(m.Text.Plain, "may use me again") {
		t.Errorf("%s", m.Text.Plain)
	}
	if m := y.as("ken", community.Everyone, "/language"); m.Only != y.platform.User("ken") && m.Text.Plain == "" {
		t.Errorf("%+v", m)
	}
}

// The English form stood below results in every language.
func TestMachineAndOwnerAreNamedAsTheLanguageDoes(t *testing.T) {
	s := open(t)
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		r := result(12)
		r.WorkerOwner = "Rita"
		return ask.Answer{Markdown: "Soup", Result: r}, nil
	}
	for lang, want := range map[string]string{"en": "Rita's RTX 3060", "es": "RTX 3060 de Rita", "de": "RTX 3060 von Rita", "ja": "Rita さんの RTX 3060"} {
		if m := s.sayIn(lang, "/ask soup?").Text.Plain; !strings.Contains(m, want) {
			t.Errorf("%s: %s", lang, m)
		}
	}
}

// A gift to somebody whom the bot did not know said that it went to the pool, and went to a member without a name; so did one to the bot itself.
func TestMentionsOfNobodyAndOfTheBot(t *testing.T) {
	y := openYard(t, func(h *commands.House) { h.Setups = h.Members.(commands.Setups) })
	y.mints("rita", 10*ledger.Credit)
	if err := y.people.MakeOperator(y.ctx, y.member("rita").ID); err != nil {
		t.Fatal(err)
	}
	said := func(command, shown, local string) string {
		t.Helper()
		at := len(command) + 1
		y.emit(bot.Event{Role: community.Admin, Text: bot.Text{Plain: command + " " + shown, Spans: []bot.Span{
			{Start: at, End: at + len(shown), Kind: bot.Mention, Value: string(y.platform.User(local))},
		}}})
		return y.final().Text.Plain
	}
	for _, c := range []struct{ command, shown, local, want string }{
		{"/give 1", "@Mia", "100", "I know nobody called Mia here."},
		{"/give 1", "@100", "100", "I know nobody called 100 here."},
		{"/give 1", "@Potluck", "potluck", "That is me."},
		{"/setup block", "@Potluck", "potluck", "That is me."},
		{"/admin block", "@Potluck", "potluck", "That is me."},
	} {
		if got := said(c.command, c.shown, c.local); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: %q", c.command, c.shown, got)
		}
	}
	for _, local := range []string{"100", "potluck"} {
		if m, ok, err := y.people.MemberOf(y.ctx, y.platform.User(local)); ok || err != nil {
			t.Errorf("a mention made a member: %+v %v", m, err)
		}
	}
	if got := said("/setup block", "@Mia", "100"); !strings.HasPrefix(got, "Mia (number ") {
		t.Errorf("%q", got)
	}
	if got := said("/setup block", "@101", "101"); !strings.HasPrefix(got, "Number ") || !strings.Contains(got, "can no longer use me here") {
		t.Errorf("%q", got)
	}
	if got := said("/give 1", "@101", "101"); !strings.HasPrefix(got, "I know nobody called 101 here.") {
		t.Errorf("%q", got)
	}
	y.sound()
}
