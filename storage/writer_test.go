package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var testKey = bytes.Repeat([]byte{7}, 32)

func open(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: path, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func fresh(t testing.TB) *DB { return open(t, filepath.Join(t.TempDir(), "potluck.db")) }

// occupy makes the writer wait inside a write until the returned function is called.
func occupy(t testing.TB, db *DB) (release func()) {
	t.Helper()
	inside, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- db.write(context.Background(), "occupy", func(*tx) error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	return func() {
		close(leave)
		if err := <-left; err != nil {
			t.Errorf("occupying write: %v", err)
		}
	}
}

// waitQueued returns when n writes wait.
func waitQueued(db *DB, n int) {
	for db.Stats().Queue < n {
		// The queue has no event of its own; the callers are on their way and nothing else runs.
		runtime.Gosched()
	}
}

func addCommunity(id string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO communities (id) VALUES (?)`, id)
		return err
	}
}

func communities(t testing.TB, db *DB) (n int) {
	t.Helper()
	if err := db.reads.QueryRow(`SELECT count(*) FROM communities`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWaitingWritesShareOneCommitAndFailAlone(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	db := fresh(t)
	defer db.Close()
	release := occupy(t, db)
	before := db.Stats()
	const n = 60
	refuse := errors.New("this one is wrong")
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			errs[i] = db.write(context.Background(), "add", func(t *tx) error {
				if err := addCommunity(fmt.Sprint("page:", i))(t); err != nil {
					return err
				}
				switch i {
				case 20:
					return refuse
				case 40:
					panic("broken write")
				}
				return nil
			})
		})
	}
	waitQueued(db, n)
	release()
	wg.Wait()
	for i, err := range errs {
		switch i {
		case 20:
			if !errors.Is(err, refuse) {
				t.Errorf("write 20: %v, want its own error", err)
			}
		case 40:
			if err == nil || !strings.Contains(err.Error(), "broken write") {
				t.Errorf("write 40: %v, want the panic's text", err)
			}
		default:
			if err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		}
	}
	if got := communities(t, db); got != n-2 {
		t.Errorf("%d rows, want %d", got, n-2)
	}
	after := db.Stats()
	if commits := after.Commits - before.Commits; commits != 1 {
		t.Errorf("%d commits for %d waiting writes, want 1", commits, n)
	}
	if after.Written-before.Written != n-2+1 || after.Failed-before.Failed != 2 || after.Queue != 0 || after.CommitTotal <= 0 {
		t.Errorf("stats %+v after %+v", after, before)
	}
}

func TestCallerThatGaveUpIsSkipped(t *testing.T) {
	db := fresh(t)
	release := occupy(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- db.write(ctx, "add", addCommunity("page:gone")) }()
	waitQueued(db, 1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want canceled", err)
	}
	release()
	if err := db.write(t.Context(), "add", addCommunity("page:here")); err != nil {
		t.Fatal(err)
	}
	if n := communities(t, db); n != 1 {
		t.Errorf("%d rows, want 1: the cancelled write must not be done", n)
	}
	if s := db.Stats(); s.Failed != 0 {
		t.Errorf("%d writes failed: it was not even begun", s.Failed)
	}
	if err := db.write(ctx, "add", addCommunity("page:late")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

func TestFullQueueHoldsCallersBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db, err := Open(t.Context(), Config{Path: path, Key: testKey, Queue: 1, Group: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	release := occupy(t, db)
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			if err := db.write(context.Background(), "add", addCommunity(fmt.Sprint("page:", i))); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(db, 1)
	release()
	wg.Wait()
	if n := communities(t, db); n != 9 {
		t.Errorf("%d rows, want 9", n)
	}
	if s := db.Stats(); s.Commits < 5 {
		t.Errorf("%d commits, want at least 5 of at most 2 writes each", s.Commits)
	}
}

func TestCloseDoesWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db := open(t, path)
	release := occupy(t, db)
	answer := make(chan error)
	go func() { answer <- db.write(context.Background(), "add", addCommunity("page:1")) }()
	waitQueued(db, 1)
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	release()
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := db.write(t.Context(), "add", addCommunity("page:2")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := db.Ping(t.Context()); err == nil {
		t.Error("Ping of a closed database works")
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		t.Errorf("WAL of %d bytes left behind", info.Size())
	}
	if n := communities(t, open(t, path)); n != 1 {
		t.Errorf("%d rows after opening again, want 1", n)
	}
}

func TestGroupThatCannotGoOnFailsWhole(t *testing.T) {
	db := fresh(t)
	inside, leave, occupied := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		occupied <- db.write(context.Background(), "occupy", func(t *tx) error {
			close(inside)
			<-leave
			return addCommunity("page:0")(t)
		})
	}()
	<-inside
	answers := make(chan error, 2)
	add := func(id string, then func(*tx) error) {
		go func() {
			answers <- db.write(context.Background(), "add", func(t *tx) error {
				return errors.Join(addCommunity(id)(t), then(t))
			})
		}()
	}
	// What SQLite does by itself on a full disk: everything is rolled back, savepoints too.
	add("page:1", func(t *tx) error {
		t.w.statement(rollback)
		return errors.New("disk full")
	})
	waitQueued(db, 1)
	// The occupying write shares the group and is lost with it.
	close(leave)
	if err := <-answers; err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("error %v, want disk full", err)
	}
	if err := <-occupied; err == nil {
		t.Fatal("a write that was rolled back is said to be done")
	}
	add("page:2", func(*tx) error { return nil })
	if err := <-answers; err != nil {
		t.Fatalf("the writer does not go on: %v", err)
	}
	if n := communities(t, db); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	s, err := newSealer(testKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed := s.seal("jobs.payload", "r:1", []byte("secret"))
	if again := s.seal("jobs.payload", "r:1", []byte("secret")); bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same bytes")
	}
	if got, err := s.open("jobs.payload", "r:1", sealed); err != nil || string(got) != "secret" {
		t.Fatalf("%q, %v", got, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"other row":    func() ([]byte, error) { return s.open("jobs.payload", "r:2", sealed) },
		"other column": func() ([]byte, error) { return s.open("jobs.result", "r:1", sealed) },
		"changed":      func() ([]byte, error) { return s.open("jobs.payload", "r:1", append(bytes.Clone(sealed), 0)) },
		"short":        func() ([]byte, error) { return s.open("jobs.payload", "r:1", sealed[:5]) },
		"other form":   func() ([]byte, error) { return s.open("jobs.payload", "r:1", append([]byte{9}, sealed[1:]...)) },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
	if got := s.seal("c", "r", nil); got != nil {
		t.Errorf("nil sealed as %x, want NULL", got)
	}
	if got, err := s.open("c", "r", s.seal("c", "r", []byte{})); err != nil || got == nil || len(got) != 0 {
		t.Errorf("empty came back as %v, %v", got, err)
	}
}
