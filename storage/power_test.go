package storage_test

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"potluck/community"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/powercut"
	"potluck/storage/storagetest"
)

var (
	powerLives  = flag.Int("power.lives", 2, "how many times the power fails below a process that settles jobs")
	powerStates = flag.Int("power.states", 8, "how many moments of each of its lives are looked at")
	powerSeed   = flag.Uint64("power.seed", 1, "what moments and the disk's choices derive from")
)

// settlingVariable makes the test binary the process that settles jobs, in the database that the variable names.
const settlingVariable = "POTLUCK_STORAGE_TEST_SETTLING"

// settleForever settles jobs by eight goroutines at once and prints each one's number once it was told that this is on the disk, with the
// length of the record at that moment.
func settleForever(t *testing.T, path string) {
	w := newWorldAt(t, path)
	w.owner = w.member(community.UserID(fmt.Sprint("page:owner-", os.Getpid())), "Rita")
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(rand.IntN(256))
	}
	w.worker = w.enrol(w.owner, key)
	w.give(w.asker, 1_000_000_000*ledger.Credit)
	recorded := os.Getenv("POWER_LOG")
	told := make(chan string)
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				j := w.submit(fmt.Sprintf("req-%d-%d:%d", os.Getpid(), g, i), 2*ledger.Credit)
				a := w.lease(j, 1)
				w.ok(w.jobs.Finish(context.Background(), w.settlement(j, a, ledger.Credit)))
				info, err := os.Stat(recorded)
				w.ok(err)
				told <- fmt.Sprintln("settled", j.ID, info.Size())
			}
		}()
	}
	for line := range told {
		os.Stdout.WriteString(line)
	}
}

// settled is a job whose settlement a process was told to be on the disk.
type settled struct {
	job, at int64 // at is the length of the record when it was told
}

// settling is a folder in which a process settles jobs until the power fails.
type settling struct {
	t      *testing.T
	rec    *powercut.Recorder
	folder string
	random *rand.Rand
	before []settled // in earlier lives
	now    []settled // in this life
}

func openSettling(t *testing.T) *settling {
	folder := t.TempDir()
	return &settling{t: t, rec: powercut.Below(t, os.Args[0], folder), folder: folder, random: rand.New(rand.NewPCG(*powerSeed, 0))}
}

// live lets a process settle that many jobs and kills it.
func (s *settling) live(jobs int) {
	s.t.Helper()
	for _, before := range s.now {
		s.before = append(s.before, settled{job: before.job})
	}
	s.now = nil
	s.rec.Begin()
	child := exec.Command(os.Args[0], "-test.run=^"+s.t.Name()+"$")
	child.Env = append(append(os.Environ(), settlingVariable+"="+filepath.Join(s.folder, "potluck.db")), s.rec.Environ()...)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() { // to the end: what it had printed before the kill counts too
		var told settled
		if n, _ := fmt.Sscanln(strings.TrimPrefix(lines.Text(), "settled "), &told.job, &told.at); n == 2 {
			s.now = append(s.now, told)
		} else {
			s.t.Errorf("the process said %q", lines.Text())
		}
		if len(s.now) == jobs {
			_ = child.Process.Kill() // it may have ended
		}
	}
	_ = child.Wait() // killed
	if len(s.now) < jobs {
		s.t.Fatalf("the process ended after %d of %d jobs", len(s.now), jobs)
	}
}

// lost opens a copy of a database and returns what it does not have of what the process had been told at that moment of the record.
func (s *settling) lost(files map[string][]byte, at int64) (wrong []string) {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "potluck-power-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	powercut.WriteFiles(s.t, dir, files)
	path := filepath.Join(dir, "potluck.db")
	db, err := storage.Open(context.Background(), storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		return []string{err.Error()}
	}
	report, err := (&storage.Credits{DB: db}).AuditAt(context.Background(), now)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, b := range report.Breaches {
		wrong = append(wrong, b.Invariant+": "+b.Detail)
	}
	if err := db.Close(); err != nil {
		wrong = append(wrong, err.Error())
	}
	raw, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		s.t.Fatal(err)
	}
	defer raw.Close()
	paid, err := paidJobs(raw)
	if err != nil {
		return append(wrong, err.Error())
	}
	missing := 0
	for _, told := range append(s.before, s.now...) {
		if told.at <= at && !paid[told.job] {
			missing++
		}
	}
	if missing > 0 {
		wrong = append(wrong, fmt.Sprintf("%d settlements are gone", missing))
	}
	return wrong
}

// paidJobs are the jobs that are done and settled.
func paidJobs(db *sql.DB) (map[int64]bool, error) {
	rows, err := db.Query(`SELECT j.id FROM transactions x JOIN jobs j ON j.id = x.job WHERE x.kind = 'settle' AND j.state = 'done'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	paid := map[int64]bool{}
	for rows.Next() {
		var job int64
		if err := rows.Scan(&job); err != nil {
			return nil, err
		}
		paid[job] = true
	}
	return paid, rows.Err()
}

// moments calls look for the disk at some moments of the life that was killed and at its end. lies is as in Recorder.Disk.
func (s *settling) moments(lies func(string) bool, look func(d *powercut.Disk, n, of int, at int64)) *powercut.Disk {
	s.t.Helper()
	records := s.rec.Records()
	d, done := s.rec.Disk(lies), 0
	for _, m := range append(powercut.Moments(records, *powerStates, s.random), len(records)) {
		for ; done < m; done++ {
			d.Do(records[done])
		}
		at := int64(0)
		if m > 0 {
			at = records[m-1].End
		}
		if m == len(records) {
			at = s.rec.Length() // with the call that the kill cut short
		}
		look(d, m, len(records), at)
	}
	return d
}

// The power fails below a process that settles jobs by group commit, at any moment, its first start and its checkpoints among them. The disk
// loses what was not synced, or keeps torn parts of it in any order. No settlement of which the process was told is lost.
func TestPowerCutLosesNoSettlement(t *testing.T) {
	if path := os.Getenv(settlingVariable); path != "" {
		settleForever(t, path)
	}
	s := openSettling(t)
	states, syncs, pages := 0, 0, 0
	for life := range *powerLives {
		s.live(300 + s.random.IntN(900))
		d := s.moments(nil, func(d *powercut.Disk, n, of int, at int64) {
			states++
			if wrong := s.lost(d.Cut(powercut.Choices(s.random)), at); len(wrong) > 0 {
				t.Errorf("seed %d, life %d, power cut after record %d of %d: %s", *powerSeed, life, n, of, strings.Join(wrong, "; "))
			}
		})
		syncs, pages = syncs+d.Syncs, pages+d.Pages
		powercut.WriteFiles(t, s.folder, d.Cut(powercut.Choices(s.random))) // the next life begins with it
	}
	t.Logf("%d lives, %d power cuts looked at, %d settlements acknowledged, %d fsyncs, %d pages written by checkpoints", *powerLives, states, len(s.before)+len(s.now), syncs, pages)
	if pages == 0 {
		t.Error("no checkpoint was seen")
	}
}

// The test above can fail: when fsync of the WAL does nothing (as with PRAGMA synchronous=NORMAL), or no fsync does anything (as with OFF), it
// finds lost settlements.
func TestPowerCutBelowALyingDiskIsNoticed(t *testing.T) {
	if path := os.Getenv(settlingVariable); path != "" {
		settleForever(t, path)
	}
	s := openSettling(t)
	s.live(1)
	powercut.WriteFiles(t, s.folder, s.moments(nil, func(*powercut.Disk, int, int, int64) {}).Cut(nil))
	s.live(100)
	for name, lies := range map[string]func(string) bool{
		"WAL":        func(file string) bool { return strings.HasSuffix(file, "-wal") },
		"everything": func(string) bool { return true },
	} {
		records := s.rec.Records()
		d := s.rec.Disk(lies)
		for _, r := range records {
			d.Do(r)
		}
		wrong := strings.Join(s.lost(d.Cut(nil), s.rec.Length()), "; ")
		t.Logf("fsync of %s does nothing: %s", name, wrong)
		if !strings.Contains(wrong, "settlements are gone") {
			t.Errorf("fsync of %s does nothing, and what is wrong after a power cut is %q", name, wrong)
		}
		honest := s.rec.Disk(nil)
		for _, r := range records {
			honest.Do(r)
		}
		if wrong := s.lost(honest.Cut(nil), s.rec.Length()); len(wrong) > 0 {
			t.Errorf("below an honest disk: %v", wrong)
		}
	}
}
