package storage_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/community"
	"potluck/storage"
	"potluck/storage/storagetest"
)

// TestMain lets the test binary be the other process: with this variable set it opens that database and writes until it is killed.
const childVariable = "POTLUCK_STORAGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		writeForever(path)
		return
	}
	os.Exit(m.Run())
}

// writeForever prints the number of each member once it is on the disk.
func writeForever(path string) {
	ctx := context.Background()
	db, err := storage.Open(ctx, storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	people := &storage.People{DB: db}
	numbers := make(chan int)
	for range 8 {
		go func() {
			for i := range numbers {
				if _, err := people.Member(ctx, community.UserID(fmt.Sprint("page:", i)), "Child", time.Now()); err != nil {
					fmt.Println("write:", err)
					os.Exit(1)
				}
				fmt.Println(i)
			}
		}()
	}
	for i := 0; ; i++ {
		numbers <- i
	}
}

func TestKilledProcessKeepsWhatItAnsweredAndTheLockIsFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	var answered []string
	for len(answered) < 300 && lines.Scan() {
		answered = append(answered, lines.Text())
	}
	if len(answered) < 300 {
		t.Fatalf("the child said %q", answered)
	}

	_, err = storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	if !errors.Is(err, storage.ErrInUse) {
		t.Fatalf("second process: %v, want ErrInUse", err)
	}
	if want := fmt.Sprintf("in use by process %d", child.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}

	child.Process.Kill()
	for lines.Scan() {
		answered = append(answered, lines.Text())
	}
	child.Wait()
	db := storagetest.OpenPath(t, path)
	raw := rawOpen(t, path)
	for _, n := range answered {
		var ok bool
		if err := raw.QueryRow(`SELECT EXISTS (SELECT 1 FROM identities WHERE id = ?)`, "page:"+n).Scan(&ok); err != nil || !ok {
			t.Fatalf("member %s was answered and is lost (%v)", n, err)
		}
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// rawOpen is a second connection beside the database's own, for looking and tampering.
func rawOpen(t testing.TB, path string) *sql.DB {
	t.Helper()
	raw, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1)
	t.Cleanup(func() { raw.Close() })
	return raw
}

func mustExec(t testing.TB, raw *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := raw.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestOpenRefusesWithOneSentence(t *testing.T) {
	ready := func(t *testing.T) string { // a closed database with something in it
		path := filepath.Join(t.TempDir(), "potluck.db")
		db := storagetest.OpenPath(t, path)
		people := &storage.People{DB: db}
		for i := range 40 {
			if _, err := people.Member(t.Context(), community.UserID(fmt.Sprint("page:", i)), strings.Repeat("x", 200), now); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := map[string]struct {
		make func(t *testing.T) string
		key  []byte
		is   error
		says string
	}{
		"newer schema": {func(t *testing.T) string {
			path := ready(t)
			raw := rawOpen(t, path)
			mustExec(t, raw, `PRAGMA user_version = 9999`)
			raw.Close()
			return path
		}, nil, storage.ErrNewer, "start that newer version"},
		"not a database": {func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "notes.txt")
			write(t, path, []byte("shopping list, and more of it"))
			return path
		}, nil, storage.ErrForeign, "is not a Potluck database"},
		"short file": {func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "notes.txt")
			write(t, path, []byte("hm"))
			return path
		}, nil, storage.ErrForeign, "is not a Potluck database"},
		"another program's": {func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "other.db")
			raw := rawOpen(t, path)
			mustExec(t, raw, `CREATE TABLE bookmarks (url TEXT)`)
			raw.Close()
			return path
		}, nil, storage.ErrForeign, "database of another program"},
		"overwritten pages": {func(t *testing.T) string {
			path := ready(t)
			b := read(t, path)
			for i := 8192; i < len(b)-4096; i += 4096 {
				copy(b[i:], bytes.Repeat([]byte{0xa5}, 2000))
			}
			write(t, path, b)
			return path
		}, nil, storage.ErrDamaged, "restore the latest backup"},
		"cut off": {func(t *testing.T) string {
			path := ready(t)
			b := read(t, path)
			write(t, path, b[:len(b)/2])
			return path
		}, nil, storage.ErrDamaged, "restore the latest backup"},
		"only a header": {func(t *testing.T) string {
			path := ready(t)
			b := read(t, path)
			for i := 100; i < 4096; i++ {
				b[i] = 0xff
			}
			write(t, path, b)
			return path
		}, nil, storage.ErrDamaged, "restore the latest backup"},
		"other key":   {ready, bytes.Repeat([]byte{1}, 32), storage.ErrKey, "secret.key"},
		"short key":   {ready, []byte("short"), nil, "must have 32"},
		"is a folder": {func(t *testing.T) string { return t.TempDir() }, nil, storage.ErrForeign, "is a folder"},
		"folder cannot be made": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, nil)
			return filepath.Join(file, "data", "potluck.db")
		}, nil, storage.ErrReadOnly, "choose another folder with data_dir"},
		"folder not writable": {func(t *testing.T) string {
			if os.Getuid() == 0 {
				return "/proc/potluck.db" // nobody can make a file there, not even root
			}
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "potluck.db")
		}, nil, storage.ErrReadOnly, "the right to write"},
		"no path": {func(t *testing.T) string { return "" }, nil, nil, "no path given"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			key := c.key
			if key == nil {
				key = storagetest.Key
			}
			path := c.make(t)
			db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: key})
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("says %q, want one line with %q", err, c.says)
			}
			// The lock is free again: the same refusal comes, not "in use".
			if _, again := storage.Open(t.Context(), storage.Config{Path: path, Key: key}); errors.Is(again, storage.ErrInUse) {
				t.Error("the refused database stays locked")
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenTwiceInOneProcessAndAgainAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with # and ?", "100% potluck.db")
	db := storagetest.OpenPath(t, path)
	if _, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("second Open: %v, want ErrInUse", err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err == nil {
		if _, err := storage.Open(t.Context(), storage.Config{Path: link, Key: storagetest.Key}); !errors.Is(err, storage.ErrInUse) {
			t.Errorf("Open by another name: %v, want ErrInUse", err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	storagetest.OpenPath(t, path)
}

// A database whose whole content stood in the WAL was begun anew, without a word, when the WAL was lost.
func TestADatabaseThatLostItsWALIsALoss(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, path string){
		"removed":     func(*testing.T, string) {},
		"overwritten": func(t *testing.T, path string) { write(t, path+"-wal", bytes.Repeat([]byte("random"), 20000)) },
	} {
		t.Run(name, func(t *testing.T) {
			running := filepath.Join(t.TempDir(), "potluck.db")
			storagetest.OpenPath(t, running)
			path := filepath.Join(t.TempDir(), "potluck.db")
			write(t, path, read(t, running)) // what a kill leaves, without the WAL
			lose(t, path)
			for range 2 {
				if db, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrDamaged) ||
					!strings.Contains(err.Error(), "restore the latest backup") {
					t.Errorf("OpenBeside: %v %v", db, err)
				}
				if db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrDamaged) ||
					!strings.Contains(err.Error(), "restore the latest backup") {
					t.Fatalf("Open: %v %v", db, err)
				}
			}
			// Beside the mark it is a first start that was cut off.
			write(t, path+".new", nil)
			if db, err := storage.OpenBeside(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrUnfinished) {
				t.Errorf("OpenBeside of one that is being made: %v %v", db, err)
			}
			storagetest.OpenPath(t, path)
		})
	}
}

// Where the file was removed and its WAL was not, a new database was begun and the WAL thrown away.
func TestAWALWithoutItsDatabaseIsALoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	write(t, path+"-wal", []byte("what was written last"))
	if there, err := storage.There(path); there || !errors.Is(err, storage.ErrDamaged) || !strings.Contains(err.Error(), "restore the latest backup") {
		t.Errorf("There: %v %v", there, err)
	}
	if db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("Open: %v %v", db, err)
	}
	if got := string(read(t, path+"-wal")); got != "what was written last" {
		t.Errorf("the WAL was changed: %q", got)
	}
}
