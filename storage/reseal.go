package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"potluck/fault"
	"potluck/workers"
)

// Reseal makes c.Key the key of a database whose own is lost. Everything that was sealed is erased, because nobody can read it any more: what
// waits and what is under way (jobs are refunded), buttons, conversations, the page's history, webhooks. People, workers, settings and the
// ledger stay. The database must not be in use.
func Reseal(ctx context.Context, c Config) (given int, err error) {
	seal, err := newSealer(c.Key)
	if err != nil {
		return 0, err
	}
	if there, err := There(c.Path); err != nil || !there {
		return 0, errors.Join(err, fmt.Errorf("there is no database at %s that could get another key", c.Path))
	}
	db, err := openSealed(ctx, c, seal, replaceKey)
	if err != nil {
		return 0, err
	}
	given, err = db.giveUpJobs(ctx, time.Now())
	if closed := db.Close(); err == nil {
		err = closed
	}
	return given, err
}

// replaceKey erases and gives the database its new key, both or nothing.
func replaceKey(ctx context.Context, conn *sql.Conn, s *sealer, _ string) error {
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) // after a commit there is nothing to take back
	for _, q := range resealing {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		keyRow, s.seal(keyColumn, keyRow, []byte(keyPlain)))
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}

// resealing names every sealed column. A request that is not delivered cannot run again without what was typed.
var resealing = []string{
	`DELETE FROM requests WHERE state != 'delivered'`,
	`UPDATE requests SET args_sealed = NULL, handle_sealed = NULL`,
	`DELETE FROM actions`,
	`DELETE FROM turns`,
	`UPDATE page_messages SET deleted = 1, body_sealed = NULL WHERE NOT deleted`,
	`DELETE FROM webhooks`,
	`UPDATE jobs SET payload_sealed = NULL, input_sealed = NULL, result_sealed = NULL, failure_sealed = NULL, erased = ended_ms IS NOT NULL WHERE NOT erased`,
}

// giveUpJobs ends every open job as expired and refunds it; n is how many there were.
func (db *DB) giveUpJobs(ctx context.Context, now time.Time) (n int, err error) {
	jobs := &Jobs{DB: db}
	open, _, err := jobs.Open(ctx)
	if err != nil {
		return 0, err
	}
	for _, j := range open {
		if err := jobs.Abandon(ctx, j.ID, fault.New(fault.Expired, "kind", j.Kind), workers.OutcomeRestart, now); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
