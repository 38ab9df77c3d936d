package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"potluck/failpoint"
	"potluck/fault"
)

// writer owns the one connection that writes. Writes that wait at the same time share one transaction and so one fsync (group commit);
// each runs in a savepoint of its own, so that one that fails takes back only itself.
type writer struct {
	db   *sql.DB
	conn *sql.Conn
	// prepared are the statements around each write. The driver keeps the others, but prepares anew what has no arguments.
	prepared map[string]*sql.Stmt
	// accounts are the rows of ledger accounts; only touched by run.
	accounts accountIDs

	group int
	calls chan *call
	mu    sync.RWMutex // guards closed against the sends on calls
	// closed is set before calls is closed.
	closed bool
	done   chan struct{}

	commits, written, failed, commitNanos, slowestNanos atomic.Int64

	// refused is set while the disk takes no writes; kept is when it last took one and refusedAt when it last did not (0: never), in nanoseconds since
	// begun (a clock that is set moves none).
	refused         atomic.Bool
	kept, refusedAt atomic.Int64
	begun           time.Time
}

// call is one waiting write. Its state decides between the caller who gives up and the writer who begins.
type call struct {
	f      func(*tx) error
	empty  bool // writes nothing: its success says nothing of the disk
	state  atomic.Int32
	answer chan error // holds 1
	err    error
	after  []func()
}

const (
	begin      = `BEGIN IMMEDIATE`
	commit     = `COMMIT`
	rollback   = `ROLLBACK`
	savepoint  = `SAVEPOINT call`
	rollbackTo = `ROLLBACK TO call`
	release    = `RELEASE call`
)

const (
	waiting int32 = iota
	running
	givenUp
)

// tx is what a write runs in. It is used by one goroutine, the writer's, and its statements cannot be interrupted: an interrupt would
// take back the whole group.
type tx struct {
	w    *writer
	call *call
}

func openWriter(ctx context.Context, path string, queue, group int) (*writer, error) {
	if queue <= 0 {
		queue = 1024
	}
	if group <= 0 {
		group = 256
	}
	db, err := sql.Open("sqlite3", dsn(path, "&_journal_mode=WAL&_synchronous=FULL&_secure_delete=1&_stmt_cache_size=160"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	// After a burst the WAL file shrinks to 64 MB at the next checkpoint. 64 MB of pages stay in memory: the writer reads before it writes.
	for _, pragma := range []string{
		`PRAGMA journal_size_limit = 67108864`, `PRAGMA wal_autocheckpoint = 4000`, `PRAGMA cache_size = -65536`, `PRAGMA temp_store = MEMORY`,
	} {
		if _, err := conn.ExecContext(ctx, pragma); err != nil {
			conn.Close()
			db.Close()
			return nil, err
		}
	}
	w := &writer{db: db, conn: conn, prepared: make(map[string]*sql.Stmt), group: group, calls: make(chan *call, queue), done: make(chan struct{}), begun: time.Now()}
	for _, query := range []string{begin, commit, rollback, savepoint, rollbackTo, release} {
		if w.prepared[query], err = conn.PrepareContext(ctx, query); err != nil {
			conn.Close() // and with it what is prepared
			db.Close()
			return nil, err
		}
	}
	w.accounts.init()
	return w, nil
}

// start lets run begin; stop waits for its end.
func (w *writer) start() { go w.run() }

func (w *writer) stop() error {
	w.mu.Lock()
	w.closed = true
	close(w.calls)
	w.mu.Unlock()
	<-w.done
	// Leaves an empty WAL behind, so that the file alone is the whole database.
	_, err := w.conn.ExecContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(err, w.conn.Close(), w.db.Close())
}

// write runs f in one durable transaction and returns when it is on the disk. What f returns besides its error must be safe to
// set although the commit fails. A caller whose ctx ends before its turn is skipped; afterwards it waits for the truth.
func (db *DB) write(ctx context.Context, what string, f func(*tx) error) error {
	if db.writer == nil {
		return fmt.Errorf("%s: %w", what, ErrReadOnly)
	}
	return db.queued(ctx, what, &call{f: f, answer: make(chan error, 1)})
}

func (db *DB) queued(ctx context.Context, what string, c *call) error {
	if err := db.writer.queue(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	select {
	case err := <-c.answer:
		return wrap(what, err)
	case <-ctx.Done():
		if c.state.CompareAndSwap(waiting, givenUp) {
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		return wrap(what, <-c.answer)
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (w *writer) queue(ctx context.Context, c *call) error {
	w.mu.RLock() // held while the queue is full: run goes on until it is empty, so Close cannot hang behind it
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.calls <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	defer close(w.done)
	group := make([]*call, 0, w.group)
	for first := range w.calls {
		group = w.collect(group[:0], first)
		clear(group)
	}
}

// diskTook notes whether the disk took what was written.
func (w *writer) diskTook(ok bool) {
	w.refused.Store(!ok)
	if !ok {
		w.refusedAt.Store(max(1, int64(time.Since(w.begun))))
	}
}

// doubtful tells whether the disk refuses writes, or did so just now: then what is small may still find a place, and nothing else does.
func (w *writer) doubtful() bool {
	at := w.refusedAt.Load()
	return w.refused.Load() || at != 0 && time.Since(w.begun)-time.Duration(at) < doubtFor
}

// collect runs first and whatever waits behind it in one transaction, commits and answers.
func (w *writer) collect(group []*call, first *call) []*call {
	if err := w.statement(begin); err != nil {
		err = named(err)
		w.diskTook(!fault.Has(err, fault.Storage))
		first.answer <- err
		return group
	}
	group, err := w.gather(group, first)
	w.answer(group, w.finish(err))
	return group
}

// gather runs first and then whatever waits. Its error says that none of the group can be kept.
func (w *writer) gather(group []*call, first *call) ([]*call, error) {
	yielded := false
	for next := first; next != nil; {
		if next.state.CompareAndSwap(waiting, running) {
			group = append(group, next)
			if err := w.attempt(next); err != nil {
				return group, err
			}
		}
		if len(group) == w.group {
			return group, nil
		}
		next = w.another()
		if next == nil && !yielded && len(group) > 0 {
			// Callers that were just answered are about to come back: let them, it costs less than an fsync alone.
			yielded = true
			runtime.Gosched()
			next = w.another()
		}
	}
	return group, nil
}

// another returns a call that waits, nil when none does.
func (w *writer) another() *call {
	select {
	case c := <-w.calls: // nil once it is closed and empty
		return c
	default:
		return nil
	}
}

// finish commits, or takes back a group that is broken. It returns why nothing of the group is kept.
func (w *writer) finish(broken error) error {
	if broken == nil {
		failpoint.Hit("commit.before")
		begun := time.Now()
		broken = w.statement(commit)
		failpoint.Hit("commit.after")
		took := time.Since(begun).Nanoseconds()
		w.commitNanos.Add(took)
		w.slowestNanos.Store(max(w.slowestNanos.Load(), took))
	}
	if broken != nil {
		w.statement(rollback) // fails when SQLite rolled back by itself: also right
		return broken
	}
	w.commits.Add(1)
	return nil
}

// answer tells every caller of a group what became of its write, and remembers whether the disk takes any.
func (w *writer) answer(group []*call, broken error) {
	var full, kept bool
	for _, c := range group {
		switch {
		case broken != nil:
			c.err = broken
			w.failed.Add(1)
		case c.err != nil:
			w.failed.Add(1)
		default:
			w.written.Add(1)
			for _, f := range c.after {
				f()
			}
		}
		c.err = named(c.err)
		full = full || fault.Has(c.err, fault.Storage)
		kept = kept || c.err == nil && !c.empty
	}
	if full || kept {
		w.diskTook(!full)
	}
	if kept {
		w.kept.Store(int64(time.Since(w.begun)))
	}
	for _, c := range group {
		c.answer <- c.err
	}
}

// attempt runs one call in its savepoint. It returns an error only when the whole group cannot go on.
func (w *writer) attempt(c *call) error {
	if err := w.statement(savepoint); err != nil {
		return err
	}
	c.err = safely(c.f, &tx{w: w, call: c})
	if c.err != nil {
		// A full disk or an I/O error makes SQLite roll back everything: then there is no savepoint any more.
		if err := w.statement(rollbackTo); err != nil {
			return c.err
		}
	}
	return w.statement(release)
}

// safely turns a panic into an error: one bad write must not end the writer that everybody needs.
func safely(f func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(t)
}

func (w *writer) statement(query string) error {
	_, err := w.prepared[query].ExecContext(context.Background())
	return err
}

// afterCommit has f run by the writer once everything is on the disk, before the caller is answered.
func (t *tx) afterCommit(f func()) { t.call.after = append(t.call.after, f) }

// exec returns how many rows were changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.w.conn.ExecContext(context.Background(), query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// insert returns the new row's id.
func (t *tx) insert(query string, args ...any) (int64, error) {
	r, err := t.w.conn.ExecContext(context.Background(), query, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// insertNew is insert for a row that may be there already: then n is 0.
func (t *tx) insertNew(query string, args ...any) (n, id int64, err error) {
	r, err := t.w.conn.ExecContext(context.Background(), query, args...)
	if err != nil {
		return 0, 0, err
	}
	if n, err = r.RowsAffected(); err != nil || n == 0 {
		return 0, 0, err
	}
	id, err = r.LastInsertId()
	return n, id, err
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.w.conn.QueryRowContext(context.Background(), query, args...)
}

func (t *tx) rows(query string, args ...any) (*sql.Rows, error) {
	return t.w.conn.QueryContext(context.Background(), query, args...)
}

// querier is what reads need; *tx's connection and the readers have it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls scan for every row and closes rows.
func each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Stats are plain numbers for metrics, counted since Open.
type Stats struct {
	Commits       int64 // transactions on the disk
	Written       int64 // writes in them: Written ÷ Commits is how many share one fsync
	Failed        int64 // writes taken back
	Queue         int   // writes that wait now
	Refused       bool  // the disk took no write the last time it was asked
	CommitTotal   time.Duration
	CommitSlowest time.Duration
}

// Stats may be called at any time.
func (db *DB) Stats() Stats {
	w := db.writer
	if w == nil {
		return Stats{}
	}
	return Stats{
		Commits: w.commits.Load(), Written: w.written.Load(), Failed: w.failed.Load(), Queue: len(w.calls), Refused: w.refused.Load(),
		CommitTotal: time.Duration(w.commitNanos.Load()), CommitSlowest: time.Duration(w.slowestNanos.Load()),
	}
}
