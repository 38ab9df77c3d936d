package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"potluck/storage"
	"potluck/storage/powercut"
)

var (
	powerCuts   = flag.Int("power.cuts", 4, "how many times TestPowerCut cuts the power below the running bot")
	powerSeed   = flag.Uint64("power.seed", 1, "what TestPowerCut derives its schedule and the disk's choices from")
	powerStates = flag.Int("power.states", 3, "how many other moments of each life TestPowerCut looks at")
)

// power stands below one bot: it records what SQLite does to the database's files, and what people were told meanwhile.
type power struct {
	t *testing.T
	*powercut.Recorder
	data   string // the bot's data folder
	key    []byte // secret.key
	life   int
	open   bool // this life was not looked at yet
	random *rand.Rand
	told   []promise

	states, records, syncs, pages int // for the test's log
}

// promise is something that somebody outside has seen, so that no power cut may take it away.
type promise struct {
	life int
	at   int64  // how long the life's record was when it was seen, or longer
	what string // "accepted", "final"
	id   string // of the page's message
	text string
	job  string // settled; empty: none
}

func openPower(t *testing.T, data string) *power {
	t.Helper()
	return &power{t: t, Recorder: powercut.Below(t, binary(t, "potluck"), data), data: data, random: rand.New(rand.NewPCG(*powerSeed, 0))}
}

// begin is called before each life of the bot.
func (p *power) begin() {
	p.gentle()
	p.life++
	p.Begin()
	p.open = true
}

// accepted and final are called when the page has accepted a message, and when it has shown the final answer.
func (p *power) accepted(id string) {
	p.told = append(p.told, promise{life: p.life, at: p.Length(), what: "accepted", id: id})
}

var settledJob = regexp.MustCompile(`job (\d+)`)

func (p *power) final(m message) {
	told := promise{life: p.life, at: p.Length(), what: "final", id: m.ID, text: m.Text}
	if found := settledJob.FindStringSubmatch(m.Text); found != nil && !strings.Contains(m.Text, "Stopped") {
		told.job = found[1]
	}
	p.told = append(p.told, told)
}

// cut is called when a life was killed: the data folder becomes what the disk may hold if the power failed at that very moment.
func (p *power) cut() {
	p.t.Helper()
	powercut.WriteFiles(p.t, p.data, p.inspect().Cut(powercut.Choices(p.random)))
}

// gentle looks at a life that ended by itself, by a checkpoint at its end.
func (p *power) gentle() {
	if p.open {
		p.inspect()
	}
}

// inspect looks at some moments of the life that has ended, as if the power had failed then, and returns the disk at its end.
func (p *power) inspect() *powercut.Disk {
	p.t.Helper()
	p.open = false
	records := p.Records()
	p.records += len(records)
	d, done := p.Disk(nil), 0
	for _, m := range append(powercut.Moments(records, *powerStates, p.random), len(records)) {
		for ; done < m; done++ {
			d.Do(records[done])
		}
		at := int64(0)
		if m > 0 {
			at = records[m-1].End
		}
		if m == len(records) {
			at = p.Length() // the call that the kill cut short
		}
		if wrong := p.look(d.Cut(powercut.Choices(p.random)), at); len(wrong) > 0 {
			p.t.Errorf("life %d, power cut after record %d of %d: %s", p.life, m, len(records), strings.Join(wrong, "; "))
		}
	}
	p.syncs, p.pages = p.syncs+d.Syncs, p.pages+d.Pages
	return d
}

// look opens a copy of a database as the bot would and returns what is wrong with it; at is the moment of this life's record.
func (p *power) look(files map[string][]byte, at int64) (wrong []string) {
	p.t.Helper()
	p.states++
	if p.key == nil {
		var err error
		if p.key, err = os.ReadFile(filepath.Join(p.data, "secret.key")); err != nil {
			p.t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "potluck-power-")
	if err != nil {
		p.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	powercut.WriteFiles(p.t, dir, files)
	ctx := context.Background()
	db, err := storage.Open(ctx, storage.Config{Path: filepath.Join(dir, "potluck.db"), Key: p.key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return []string{err.Error()}
	}
	defer func() {
		if err := db.Close(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}()
	report, err := (&storage.Credits{DB: db}).AuditAt(ctx, time.Now())
	if err != nil {
		return []string{err.Error()}
	}
	for _, b := range report.Breaches {
		wrong = append(wrong, b.Invariant+": "+b.Detail)
	}
	return append(wrong, p.broken(dir, at)...)
}

// broken lists the promises that a database does not keep.
func (p *power) broken(dir string, at int64) (wrong []string) {
	p.t.Helper()
	db := openReading(p.t, dir)
	defer db.Close()
	has := map[string]bool{}
	for what, query := range map[string]string{
		"message": `SELECT id FROM page_messages`,
		"final":   `SELECT id FROM page_messages WHERE final`,
		"settled": `SELECT x.job FROM transactions x JOIN jobs j ON j.id = x.job WHERE x.kind = 'settle' AND j.state = 'done'`,
	} {
		for _, id := range everything(p.t, db, query) {
			has[what+" "+id] = true
		}
	}
	for _, told := range p.told {
		if told.life == p.life && told.at > at {
			continue
		}
		switch {
		case told.what == "accepted" && !has["message "+told.id]:
			wrong = append(wrong, "the page had accepted message "+told.id+", which is gone")
		case told.what == "final" && !has["final "+told.id]:
			wrong = append(wrong, fmt.Sprintf("a visitor saw the final answer %s, which is gone: %.60q", told.id, told.text))
		}
		if told.job != "" && !has["settled "+told.job] {
			wrong = append(wrong, "a visitor saw the answer of job "+told.job+", whose settlement is gone")
		}
	}
	return wrong
}

// The power fails below the running bot again and again, while visitors ask: nothing that anybody was told is lost, every question gets
// exactly one final answer, and the ledger holds.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	c := openChaos(t, *powerSeed, *powerCuts)
	p := openPower(t, c.k.data)
	for _, m := range c.machines {
		m.safe = true
	}
	c.bot.environ = append(c.bot.environ, p.Environ()...)
	c.bot.before = p.begin
	c.bot.died = p.cut
	c.saw = func(h any) {
		switch h := h.(type) {
		case *posting:
			p.accepted(h.id)
		case pageEvent:
			if h.Bot && h.Final && h.kind != "delete" {
				p.final(h.message)
			}
		}
	}
	c.run()
	p.gentle()
	settled := 0
	for _, told := range p.told {
		if told.job != "" {
			settled++
		}
	}
	t.Logf("seed %d: %d power cuts in %d rounds, %v; %d other moments looked at; %d calls recorded, %d fsyncs, %d pages written by checkpoints; kept: %d messages, finals and %d settlements",
		c.seed, c.kills, c.round, time.Since(begun).Round(time.Second), p.states-c.kills, p.records, p.syncs, p.pages, len(p.told), settled)
	t.Logf("how lives ended: %v; final answers: %v", c.reached, c.endings)
	if settled == 0 {
		t.Error("no settlement was seen: this test has shown nothing")
	}
}

// The test above can fail: when an fsync of the WAL does nothing, as with PRAGMA synchronous=NORMAL, it misses what visitors were told.
func TestPowerCutBelowALyingDiskIsNoticed(t *testing.T) {
	t.Parallel()
	k := openKitchen(t)
	p := openPower(t, k.data)
	tower := k.lend(k.operator, "tower", demoKitchen)
	k.bot.kill()
	p.begin()
	k.startBot(p.Environ()...)
	tower.kill()
	tower.start("")
	q := k.guest.say("/translate to:es Good evening.")
	p.accepted(q)
	p.final(k.guest.answer(q))
	if p.told[1].job == "" {
		t.Fatalf("no job stands below %q", p.told[1].text)
	}
	k.bot.kill()

	for _, c := range []struct {
		name string
		lies func(string) bool
		want []string
	}{
		{"keeps what was synced", nil, nil},
		{"lies about the WAL", func(file string) bool { return strings.HasSuffix(file, "-wal") }, []string{
			"the page had accepted message " + q + ", which is gone", "whose settlement is gone", "which is gone: \"",
		}},
	} {
		d := p.Disk(c.lies)
		for _, r := range p.Records() {
			d.Do(r)
		}
		wrong := p.look(d.Cut(nil), p.Length())
		t.Logf("below a disk that %s: %q", c.name, wrong)
		for _, want := range c.want {
			if !strings.Contains(strings.Join(wrong, "; "), want) {
				t.Errorf("below a disk that %s: %q does not say %q", c.name, wrong, want)
			}
		}
		if len(c.want) == 0 && len(wrong) > 0 {
			t.Errorf("below a disk that %s: %q", c.name, wrong)
		}
	}
}

// openReading opens a database beside whoever has it open.
func openReading(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "potluck.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	return db
}
