package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"

	"potluck/fault"
)

// ErrOlder is what OpenBeside refuses with when nobody has brought the schema up to date yet.
var ErrOlder = errors.New("written by an older Potluck")

// OpenBeside opens a database for reading only. It takes no lock, so it works beside the process that writes, and without one; it changes
// nothing and never runs a migration. Key may be nil where nothing sealed is read; another database's is refused with ErrKey. Methods that write fail with ErrReadOnly.
func OpenBeside(ctx context.Context, c Config) (_ *DB, err error) {
	db := &DB{log: logOr(c.Log), clock: clock{began: time.Now()}}
	if c.Key != nil {
		if db.seal, err = newSealer(c.Key); err != nil {
			return nil, err
		}
	}
	if db.path, err = filepath.Abs(c.Path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", c.Path, err)
	}
	// The file is not opened but by SQLite: closing another descriptor of it would drop the locks that this process may have on it.
	switch there, err := There(db.path); {
	case err != nil:
		return nil, err
	case !there:
		return nil, &refusal{fmt.Sprintf("there is no database at %s: name its folder with data_dir or POTLUCK_DATA_DIR", db.path), ErrForeign, nil}
	}
	// mode=ro: the last of several connections to close would otherwise move the WAL into the file, which belongs to the writing process.
	if db.reads, err = openReaders(ctx, db.path, "&mode=ro&_query_only=1&_stmt_cache_size=64&_cache_size=-65536", max(1, c.Readers)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.reads.Close()
		}
	}()
	conn, err := db.reads.Conn(ctx)
	if err != nil {
		return nil, opening(db.path, err)
	}
	defer conn.Close()
	if err := checkDamage(ctx, conn, db.path, -1); err != nil {
		return nil, err
	}
	if err := checkMade(ctx, conn, db.path); err != nil {
		return nil, err
	}
	// Read through the page cache of the system: an audit reads gigabytes once. No Potluck ever shortens its file under a reader.
	if _, err := conn.ExecContext(ctx, `PRAGMA mmap_size = 17179869184`); err != nil {
		return nil, opening(db.path, err)
	}
	if db.seal != nil {
		if err := sameKey(ctx, conn, db.seal, db.path); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, opening(db.path, err)
		}
	}
	if c.Server != nil {
		if err := sameServer(ctx, conn, c.Server, db.path); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, opening(db.path, err)
		}
	}
	if err := checkVersion(ctx, conn, db.path); err != nil {
		return nil, opening(db.path, err)
	}
	db.cache.init()
	return db, nil
}

// checkMade refuses a database without tables; checkDamage let it pass, so its first start was cut off.
func checkMade(ctx context.Context, conn *sql.Conn, path string) error {
	var tables int
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return opening(path, err)
	}
	if tables == 0 {
		return &refusal{fmt.Sprintf("there is no database at %s yet, its first start was cut off: start Potluck once more", path), ErrUnfinished, nil}
	}
	return nil
}

// checkVersion refuses every schema but this program's own.
func checkVersion(ctx context.Context, conn *sql.Conn, path string) error {
	names, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	var version int
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	switch {
	case version > len(names):
		return &refusal{fmt.Sprintf("the database %s was written by a newer Potluck (schema %d, this program knows %d): use that newer version",
			path, version, len(names)), ErrNewer, nil}
	case version < len(names):
		return &refusal{fmt.Sprintf("the database %s was written by an older Potluck (schema %d, this program's is %d): use that older version, or start this one once",
			path, version, len(names)), ErrOlder, nil}
	}
	return nil
}

// Copied says what a backup holds.
type Copied struct {
	Path   string
	Bytes  int64
	Ended  int // jobs that were under way: the copy has them ended as expired and refunded, because their texts are not in it
	Erased int // jobs that were over and whose texts are not in the copy
	Audit  Report
}

// backupStep is how many pages are copied between two looks at ctx: about 4 MB.
const backupStep = 1000

// BackUp writes a copy of the database as it is at this moment to a new file, without holding up whoever writes. What jobs ask and answer
// is not in the copy; everything else is, sealed as it was, so the copy needs the same secret.key. The copy is checked as a whole and its
// ledger audited before it gets its name; when anything goes wrong, nothing stays. progress (may be nil) is told the bytes copied so far
// and in all. db must have been opened with its key.
func (db *DB) BackUp(ctx context.Context, to string, progress func(done, total int64)) (c Copied, err error) {
	if db.seal == nil {
		return c, errors.New("back up: the database was opened without its key")
	}
	if c.Path, err = filepath.Abs(to); err != nil {
		return c, fmt.Errorf("back up to %s: %w", to, err)
	}
	if _, err := os.Lstat(c.Path); err == nil {
		return c, fmt.Errorf("back up: %s is there already and is never overwritten", c.Path)
	}
	// The lock of the database that is being made: the system gives it free when this process ends, so what stands behind a free lock is the
	// rest of a backup that was killed.
	lock, err := lockFile(c.Path + ".lock")
	if errors.Is(err, ErrInUse) {
		return c, fmt.Errorf("back up: another backup to %s is at work", c.Path)
	}
	if err != nil {
		return c, fmt.Errorf("back up: %w", err)
	}
	partial := c.Path + ".partial"
	removeParts(partial)
	defer func() {
		removeParts(partial)
		// While it is held, so that nobody takes it meanwhile; Windows removes no open file.
		early := os.Remove(c.Path + ".lock")
		lock.Close()
		if early != nil {
			os.Remove(c.Path + ".lock")
		}
	}()
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return c, fmt.Errorf("back up: %w", err)
	}
	if err := f.Close(); err != nil {
		return c, fmt.Errorf("back up: %w", err)
	}
	if err := db.copyTo(ctx, partial, progress); err != nil {
		return c, fmt.Errorf("back up to %s: %w", c.Path, named(err))
	}
	if err := db.finishCopy(ctx, partial, &c); err != nil {
		return c, fmt.Errorf("back up to %s: %w", c.Path, err)
	}
	info, err := os.Stat(partial)
	if err != nil {
		return c, fmt.Errorf("back up to %s: %w", c.Path, err)
	}
	c.Bytes = info.Size()
	// A link fails where a rename would overwrite.
	if err := os.Link(partial, c.Path); err != nil {
		if _, there := os.Lstat(c.Path); there == nil {
			return c, fmt.Errorf("back up: %s is there already and is never overwritten", c.Path)
		}
		if err := os.Rename(partial, c.Path); err != nil { // a file system without hard links
			return c, fmt.Errorf("back up: %w", err)
		}
	}
	return c, SyncFolder(filepath.Dir(c.Path))
}

// partEnds are the ends of the names of what SQLite and the lock leave beside a copy that is not finished.
var partEnds = []string{"-journal", "-wal", "-shm", ".lock", ""}

func removeParts(partial string) {
	for _, end := range partEnds {
		os.Remove(partial + end) // most of them are not there
	}
}

// BackUpRest lists the names that a killed BackUp to that file leaves in its folder. The next BackUp to the same file removes them.
func BackUpRest(to string) []string {
	name := filepath.Base(to)
	list := []string{name + ".lock"}
	for _, end := range partEnds {
		list = append(list, name+".partial"+end)
	}
	return list
}

// copyTo copies page by page within one read transaction: the source stays as it was at its begin, whoever writes meanwhile.
func (db *DB) copyTo(ctx context.Context, path string, progress func(done, total int64)) error {
	source, err := db.reads.Conn(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	if _, err := source.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	defer source.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	var page int64 // reading it begins the transaction
	if err := source.QueryRowContext(ctx, `SELECT page_size FROM pragma_page_size, (SELECT count(*) FROM meta)`).Scan(&page); err != nil {
		return err
	}
	target, err := sql.Open("sqlite3", dsn(path, ""))
	if err != nil {
		return err
	}
	defer target.Close()
	into, err := target.Conn(ctx)
	if err != nil {
		return err
	}
	defer into.Close()
	return into.Raw(func(to any) error {
		return source.Raw(func(from any) error {
			b, err := to.(*sqlite3.SQLiteConn).Backup("main", from.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			for done := false; !done; {
				if err := ctx.Err(); err != nil {
					return errors.Join(err, b.Finish())
				}
				if done, err = b.Step(backupStep); err != nil {
					b.Finish() // says the same once more
					return err
				}
				if progress != nil {
					progress(int64(b.PageCount()-b.Remaining())*page, int64(b.PageCount())*page)
				}
			}
			return b.Finish()
		})
	})
}

// finishCopy opens the copy as a Potluck would, takes out what jobs ask and answer, and checks the whole.
func (db *DB) finishCopy(ctx context.Context, path string, c *Copied) (err error) {
	copied, err := openSealed(ctx, Config{Path: path, CheckBelow: -1, Log: db.log}, db.seal, checkKey)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	now := time.Now()
	if c.Ended, err = copied.giveUpJobs(ctx, now); err != nil {
		return err
	}
	// Also what ended in the future of this clock.
	if err := copied.write(ctx, "erase texts of jobs", func(t *tx) error {
		n, err := t.exec(`
			UPDATE jobs SET payload_sealed = NULL, input_sealed = NULL, result_sealed = NULL, failure_sealed = NULL, erased = 1
			WHERE ended_ms IS NOT NULL AND NOT erased AND failure IS NOT ?`, fault.Expired)
		if err != nil {
			return err
		}
		c.Erased = int(n)
		// The kind of an expired job is no text of anybody's, and its person is still to be told.
		_, err = t.exec(`UPDATE jobs SET payload_sealed = NULL, input_sealed = NULL WHERE ended_ms IS NOT NULL AND NOT erased`)
		return err
	}); err != nil {
		return err
	}
	if err := copied.checkWhole(ctx); err != nil {
		return err
	}
	if c.Audit, err = (&Credits{DB: copied}).AuditAt(ctx, now); err != nil {
		return err
	}
	if len(c.Audit.Breaches) > 0 {
		b := c.Audit.Breaches[0]
		return fmt.Errorf("the ledger is not sound (%d breaches; %s: %s): run potluck audit and keep earlier backups", len(c.Audit.Breaches), b.Invariant, b.Detail)
	}
	return nil
}

// Sound reads the whole file for damage, but trusts that indices agree with their tables; ErrDamaged when it finds any.
func (db *DB) Sound(ctx context.Context) error {
	var verdict string
	if err := db.reads.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return opening(db.path, err)
	}
	if verdict != "ok" {
		return damaged(db.path, errors.New(verdict))
	}
	return nil
}

// checkWhole reads every page and index.
func (db *DB) checkWhole(ctx context.Context) error {
	var verdict string
	if err := db.reads.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if verdict != "ok" {
		return damaged(db.path, errors.New(verdict))
	}
	return nil
}

// SyncFolder makes a new name in it durable; Windows has no such call and needs none.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrInvalid) {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
