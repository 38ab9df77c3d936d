// Package storage keeps everything that Potluck must not forget in one SQLite file, and all SQL stands here.
package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Config says where the database is and how it is opened.
type Config struct {
	// Path of the file; its folder is made when it is missing. Beside it stand Path-wal, Path-shm and Path.lock.
	Path string
	// Key is 32 bytes for the sealed columns. It never stands in the database.
	Key []byte
	// Server is the public half of server.key. Another one than the workers in the database are linked to is refused; nil is not looked at.
	Server []byte
	// Readers is the number of reading connections; 0 means 4.
	Readers int
	// Queue is how many writes may wait for the writer before callers wait to be queued; 0 means 1024.
	Queue int
	// Group is how many writes share one commit at most; 0 means 256.
	Group int
	// CheckBelow is the size in bytes up to which Open reads the whole file to find damage; 0 means 64 MiB, negative never.
	CheckBelow int64
	// Log may be nil.
	Log *slog.Logger
}

// What Open refuses. The error's text is one sentence for the operator's terminal.
var (
	ErrInUse    = errors.New("in use by another process")
	ErrNewer    = errors.New("written by a newer Potluck")
	ErrForeign  = errors.New("not a Potluck database")
	ErrDamaged  = errors.New("damaged")
	ErrKey      = errors.New("sealed with another key")
	ErrReadOnly = errors.New("not writable")
	// ErrUnfinished is a database whose first start was cut off; the next Open goes on. Only OpenBeside refuses it.
	ErrUnfinished = errors.New("not made yet")
	// ErrClosed is what every method returns after Close.
	ErrClosed = errors.New("database closed")
)

// refusal is an error with its own sentence that still is one of the errors above.
type refusal struct {
	text   string
	is     error
	detail error // what the system said; may be nil
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() []error {
	if r.detail == nil {
		return []error{r.is}
	}
	return []error{r.is, r.detail}
}

// applicationID stands in the header of every Potluck database: "POTL".
const applicationID = 0x504f544c

// DB is one open database. Its methods and those of the Stores over it are safe for concurrent use.
type DB struct {
	path   string
	log    *slog.Logger
	seal   *sealer
	lock   io.Closer
	reads  *sql.DB
	writer *writer
	cache  peopleCache
	clock  clock

	closing sync.Once
	closed  error
}

// Open opens the database at c.Path, making it when there is none, brings its schema up to date and starts the writer.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Path == "" {
		return nil, errors.New("open database: no path given")
	}
	seal, err := newSealer(c.Key)
	if err != nil {
		return nil, err
	}
	return openSealed(ctx, c, seal, func(ctx context.Context, conn *sql.Conn, s *sealer, path string) error {
		if err := checkKey(ctx, conn, s, path); err != nil || c.Server == nil {
			return err
		}
		return checkServer(ctx, conn, c.Server, path)
	})
}

// keyStep looks at the key of a database that is being opened, after its schema was brought up to date: checkKey and checkServer, or what replaces them.
type keyStep func(ctx context.Context, conn *sql.Conn, s *sealer, path string) error

func openSealed(ctx context.Context, c Config, seal *sealer, key keyStep) (_ *DB, err error) {
	path, lock, err := lockedPath(c.Path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	if err := CheckHeader(path); err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, path, c.Queue, c.Group)
	if err != nil {
		return nil, opening(path, err)
	}
	defer func() {
		if err != nil {
			w.conn.Close()
			w.db.Close()
		}
	}()
	db := &DB{path: path, log: logOr(c.Log), seal: seal, lock: lock, writer: w, clock: clock{began: time.Now()}}
	if err := db.bringUpToDate(ctx, w.conn, cmp.Or(c.CheckBelow, 64<<20), key); err != nil {
		return nil, err
	}
	if db.reads, err = openReaders(ctx, path, "&_query_only=1&_stmt_cache_size=64&_cache_size=-8192", cmp.Or(max(0, c.Readers), 4)); err != nil {
		return nil, err
	}
	db.cache.init()
	w.start()
	return db, nil
}

func logOr(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// lockedPath makes the database's folder where it is missing and takes its lock. path is the absolute one of the file itself, so that two names of one
// file share one lock.
func lockedPath(name string) (path string, lock io.Closer, err error) {
	path, err = filepath.Abs(name)
	if err != nil {
		return "", nil, fmt.Errorf("open database %s: %w", name, err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := prepareFolder(path); err != nil {
		return "", nil, err
	}
	lock, err = lockFile(path + ".lock")
	return path, lock, err
}

// bringUpToDate makes of the file what this program reads: it refuses a damaged one, migrates the schema and takes the key's step. A file that was being
// made is then made. The tables of a new one stay in the WAL until a checkpoint takes them over together with the first rows: were they in the file from
// the start, a house that lost its WAL would look like a new one, and nobody would notice.
func (db *DB) bringUpToDate(ctx context.Context, conn *sql.Conn, checkBelow int64, key keyStep) error {
	if err := checkDamage(ctx, conn, db.path, checkBelow); err != nil {
		return err
	}
	if err := migrate(ctx, conn, db.path, db.log); err != nil {
		return opening(db.path, err)
	}
	if err := key(ctx, conn, db.seal, db.path); err != nil {
		return opening(db.path, err)
	}
	if err := os.Remove(db.path + beingMade); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return opening(db.path, err)
	}
	return nil
}

// openReaders opens n connections at most, the first of them now.
func openReaders(ctx context.Context, path, options string, n int) (*sql.DB, error) {
	reads, err := sql.Open("sqlite3", dsn(path, options))
	if err != nil {
		return nil, opening(path, err)
	}
	reads.SetMaxOpenConns(n)
	reads.SetMaxIdleConns(n)
	if err := reads.PingContext(ctx); err != nil {
		reads.Close()
		return nil, opening(path, err)
	}
	return reads, nil
}

// Close takes no more writes, does those that wait, and gives the file free. It returns the first call's error each time.
func (db *DB) Close() error {
	db.closing.Do(func() {
		if db.writer == nil { // opened beside
			db.closed = db.reads.Close()
			return
		}
		err := db.writer.stop()
		db.closed = errors.Join(db.reads.Close(), err, db.lock.Close())
	})
	return db.closed
}

const (
	// probeAfter is how long after the last write Ping writes itself to learn whether the disk still takes it.
	probeAfter = 5 * time.Second
	// doubtFor is how long after a write that the disk refused Ping asks for room instead of for any place.
	doubtFor = 30 * time.Second
	probe    = 16        // bytes that Ping writes
	bigProbe = 256 << 10 // and after a refusal
)

// Ping tells whether the database can be read, its writer answers, and the disk takes what is written (fault.Storage if not). It writes at
// most once in probeAfter, unless the disk refused a write lately: then it writes so much that a page which happens to be free is not taken for room.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	if err := db.reads.QueryRowContext(ctx, `SELECT 1 FROM meta LIMIT 1`).Scan(&one); err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	size, w := probe, db.writer
	switch {
	case w != nil && w.doubtful():
		size = bigProbe
	case w != nil && time.Since(w.begun)-time.Duration(w.kept.Load()) < probeAfter:
		return db.queued(ctx, "reach the writer", &call{f: func(*tx) error { return nil }, empty: true, answer: make(chan error, 1)})
	}
	return db.write(ctx, "write to the disk", func(t *tx) error {
		// Random, so that no page is found unchanged.
		_, err := t.exec(`INSERT INTO meta (name, value) VALUES ('probe', randomblob(?)) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, size)
		return err
	})
}

// Path returns the absolute path of the file.
func (db *DB) Path() string { return db.path }

// dsn is the address of the file for the driver. busy_timeout is the first pragma that the driver sets.
func dsn(path, more string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath() + "?_busy_timeout=5000&_foreign_keys=1" + more
}

// beingMade is the end of the name of an empty file that stands beside a database from before it has its name until it has its tables and its
// key. Only beside it an empty database is a beginning; everywhere else it is one that was lost.
const beingMade = ".new"

// There tells whether a database stands at path, also a damaged one. An empty file is a loss and refused (ErrDamaged), unless a first start was
// cut off there: then there is none yet.
func There(path string) (bool, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, onlyTheWAL(path)
	case err != nil:
		return false, &refusal{fmt.Sprintf("the database %s cannot be read (%v): mend its permissions, or choose another folder with data_dir or POTLUCK_DATA_DIR",
			path, cause(err)), ErrReadOnly, err}
	case info.IsDir():
		return false, &refusal{fmt.Sprintf("%s is a folder, not a database file: move it away, or choose another folder with data_dir or POTLUCK_DATA_DIR", path), ErrForeign, nil}
	case info.Size() > 0:
		return true, nil
	}
	if isBeingMade(path) {
		return false, nil
	}
	return false, &refusal{fmt.Sprintf("the database %s is empty (0 bytes), so what was in it is lost: restore the latest backup, or remove this file to begin anew", path), ErrDamaged, nil}
}

func isBeingMade(path string) bool {
	_, err := os.Stat(path + beingMade)
	return err == nil
}

// onlyTheWAL refuses a database that is gone while its WAL is not: SQLite would throw the WAL away.
func onlyTheWAL(path string) error {
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() == 0 || isBeingMade(path) {
		return nil
	}
	return &refusal{fmt.Sprintf("the database %s is gone, but what was written last to it is still there in %s-wal: put both back from where they went, or restore the latest backup",
		path, path), ErrDamaged, nil}
}

func prepareFolder(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &refusal{fmt.Sprintf("cannot make the folder %s for the database (%v): make it yourself, or choose another folder with data_dir or POTLUCK_DATA_DIR",
			dir, cause(err)), ErrReadOnly, err}
	}
	_, err := There(path)
	return err
}

// prepareFile makes the file where there is none; whoever calls it has the lock.
func prepareFile(path string) error {
	there, err := There(path)
	if err == nil && !there {
		err = markNew(path)
	}
	if err != nil {
		return err
	}
	// SQLite gives its -wal and -shm files the mode of the database itself.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return unwritable(path, err)
	}
	return f.Close()
}

// markNew puts the mark beside a database that is about to be made; its name is on the disk before the database's.
func markNew(path string) error {
	f, err := os.OpenFile(path+beingMade, os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), SyncFolder(filepath.Dir(path)))
	}
	if err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return &refusal{fmt.Sprintf("cannot write to the database %s (%v): give the user that runs Potluck the right to write to that folder and file",
		path, cause(err)), ErrReadOnly, err}
}

// cause is the system's own word without the path, which the sentence names already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// CheckHeader refuses a file that is not SQLite's (ErrForeign) before SQLite touches it. A process that has the database open must not call it:
// closing the file here would drop SQLite's locks.
func CheckHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if n == 0 {
		return nil // new
	}
	if err != nil || string(head) != "SQLite format 3\x00" {
		return &refusal{fmt.Sprintf("%s is not a Potluck database: move it away, or choose another folder with data_dir or POTLUCK_DATA_DIR", path), ErrForeign, nil}
	}
	return nil
}

func damaged(path string, detail error) error {
	said := strings.Join(strings.Fields(detail.Error()), " ") // SQLite's verdict has several lines
	return &refusal{fmt.Sprintf("the database %s is damaged (%s): stop Potluck, keep a copy of the file and restore the latest backup", path, said), ErrDamaged, detail}
}

// opening turns SQLite's own codes into sentences that say what to do.
func opening(path string, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return err
	}
	var s sqlite3.Error
	if errors.As(err, &s) {
		switch s.Code {
		case sqlite3.ErrCorrupt:
			return damaged(path, err)
		case sqlite3.ErrNotADB:
			return &refusal{fmt.Sprintf("%s is not a Potluck database: move it away, or choose another folder with data_dir or POTLUCK_DATA_DIR", path), ErrForeign, err}
		case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
			return &refusal{fmt.Sprintf("cannot write to the database %s (%v): give the user that runs Potluck the right to write to that folder and file", path, err), ErrReadOnly, err}
		case sqlite3.ErrFull:
			return &refusal{fmt.Sprintf("the disk that holds the database %s is full: free some space", path), ErrReadOnly, err}
		case sqlite3.ErrBusy:
			return &refusal{fmt.Sprintf("another program has the database %s open: close it and start again", path), ErrInUse, err}
		}
	}
	return fmt.Errorf("open database %s: %w", path, err)
}

func checkDamage(ctx context.Context, conn *sql.Conn, path string, below int64) error {
	var id, tables int64
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return opening(path, err)
	}
	if err := conn.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return opening(path, err)
	}
	if tables > 0 && id != applicationID {
		return &refusal{fmt.Sprintf("%s is the database of another program: move it away, or choose another folder with data_dir or POTLUCK_DATA_DIR", path), ErrForeign, nil}
	}
	if tables == 0 && !isBeingMade(path) {
		return &refusal{fmt.Sprintf("the database %s has no tables, so what was in it is lost (it stood in %s-wal, which is missing or damaged): put both back from where they belong, "+
			"or restore the latest backup", path, path), ErrDamaged, nil}
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	if info.Size() > below {
		return nil
	}
	var verdict string
	if err := conn.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return opening(path, err)
	}
	if verdict != "ok" {
		return damaged(path, errors.New(verdict))
	}
	return nil
}

// ms and at carry times: milliseconds since 1970 UTC, 0 for the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// whole is t to the millisecond, as it is stored, and keeps the monotonic clock, which does not jump. (UTC would drop it.)
func whole(t time.Time) time.Time { return t.Add(-time.Duration(t.Nanosecond() % 1e6)) }

// null stores the zero value as NULL: an id of 0 or "" refers to nothing.
func null[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
