package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"potluck/community"
	"potluck/workers"
	"potluck/workers/protocol"
)

const dayMS = 24 * 60 * 60 * 1000

// setWorker changes one column of a worker that is linked.
func (s *Jobs) setWorker(ctx context.Context, what, column string, worker int64, value any) error {
	return s.DB.write(ctx, what, func(t *tx) error {
		n, err := t.exec(`UPDATE workers SET `+column+` = ? WHERE id = ? AND revoked_ms = 0`, value, worker)
		return oneRow(n, err, ErrNoWorker)
	})
}

// Rename gives a worker another name. Here and below: ErrNoWorker when no linked worker has that id.
func (s *Jobs) Rename(ctx context.Context, worker int64, name string) error {
	return s.setWorker(ctx, "rename worker", "name", worker, name)
}

// SetShare says whether the owner is named under the worker's results.
func (s *Jobs) SetShare(ctx context.Context, worker int64, share bool) error {
	return s.setWorker(ctx, "share worker", "share", worker, share)
}

// SetPaused keeps since when a worker is paused in the chat; the zero time lets it go on.
func (s *Jobs) SetPaused(ctx context.Context, worker int64, since time.Time) error {
	return s.setWorker(ctx, "pause worker", "paused_ms", worker, ms(since))
}

// SetLimits keeps what the owner lets the worker do, in place of all that was said before.
func (s *Jobs) SetLimits(ctx context.Context, worker int64, l workers.Limits) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("limit worker: %w", err)
	}
	return s.setWorker(ctx, "limit worker", "limits", worker, string(b))
}

// today fills in how many jobs a worker did in the day of its limits, where they count them.
func today(ctx context.Context, q querier, w *workers.Worker) error {
	if w.Limits.PerDay == 0 {
		return nil
	}
	return q.QueryRowContext(ctx, `SELECT count(*) FROM jobs WHERE ended_ms >= ? AND worker = ?`, ms(w.Limits.Day(time.Now())), w.ID).Scan(&w.Today)
}

// Record sums up what a worker did since a time. A worker that was linked later has no earlier time.
func (s *Jobs) Record(ctx context.Context, worker int64, since time.Time, errors int) (r workers.Record, err error) {
	snapshot, err := s.DB.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, wrap("worker's record", err)
	}
	defer snapshot.Rollback()
	var linked int64
	if err := snapshot.QueryRowContext(ctx, `SELECT linked_ms FROM workers WHERE id = ?`, worker).Scan(&linked); err != nil {
		return r, wrap("worker's record", err)
	}
	from := max(ms(since), linked)
	r = workers.Record{Since: at(from), Kinds: make(map[protocol.Kind]int), Faults: make(map[workers.Outcome]int)}
	rows, err := snapshot.QueryContext(ctx, `
		SELECT kind, count(*), coalesce(sum(json_extract(bill, '$.paid')), 0) FROM jobs
		WHERE ended_ms >= ? AND worker = ? GROUP BY kind`, from, worker)
	err = each(rows, err, func(rows *sql.Rows) error {
		var kind protocol.Kind
		var n int
		var paid int64
		err := rows.Scan(&kind, &n, &paid)
		r.Kinds[kind], r.Jobs, r.Paid = n, r.Jobs+n, r.Paid+paid
		return err
	})
	if err != nil {
		return r, wrap("worker's record", err)
	}
	rows, err = snapshot.QueryContext(ctx, `
		SELECT a.outcome, a.ended_ms, a.job, j.kind, a.model
		FROM attempts a JOIN jobs j ON j.id = a.job
		WHERE a.ended_ms >= ? AND a.worker = ? AND a.outcome IN ('lost', 'engine', 'expired', 'rejected')
		ORDER BY a.ended_ms DESC`, from, worker)
	err = each(rows, err, func(rows *sql.Rows) error {
		var m workers.Mishap
		var when int64
		if err := rows.Scan(&m.Outcome, &when, &m.Job, &m.Kind, &m.Model); err != nil {
			return err
		}
		m.At = at(when)
		r.Faults[m.Outcome]++
		if len(r.Errors) < errors {
			r.Errors = append(r.Errors, m)
		}
		return nil
	})
	if err != nil {
		return r, wrap("worker's record", err)
	}
	var seconds int64
	err = snapshot.QueryRowContext(ctx, `SELECT coalesce(sum(seconds), 0) FROM uptimes WHERE worker = ? AND day >= ?`, worker, from/dayMS).Scan(&seconds)
	r.Up = time.Duration(seconds) * time.Second
	return r, wrap("worker's record", err)
}

// CountUptime adds d to the day of now for each worker, and forgets days that nobody asks for.
func (s *Jobs) CountUptime(ctx context.Context, list []int64, d time.Duration, now time.Time) error {
	return s.DB.write(ctx, "count uptime", func(t *tx) error {
		day := ms(now) / dayMS
		for _, id := range list {
			if _, err := t.exec(`
				INSERT INTO uptimes (worker, day, seconds) VALUES (?, ?, ?)
				ON CONFLICT (worker, day) DO UPDATE SET seconds = min(86400, seconds + excluded.seconds)`, id, day, int64(d/time.Second)); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxWishes bounds how many different wishes of one day are kept: what stands in them was typed by people.
const maxWishes = 200

// CountWish counts what nobody could do. Wishes older than a month are forgotten.
func (s *Jobs) CountWish(ctx context.Context, w workers.Wish, now time.Time) error {
	return s.DB.write(ctx, "count wish", func(t *tx) error {
		day := ms(now) / dayMS
		n, err := t.exec(`UPDATE wishes SET times = times + 1, last_ms = ? WHERE day = ? AND kind = ? AND model = ? AND from_lang = ? AND to_lang = ?`,
			ms(now), day, w.Kind, w.Model, w.From, w.To)
		if err != nil || n > 0 {
			return err
		}
		var kept int
		if err := t.row(`SELECT count(*) FROM wishes WHERE day = ?`, day).Scan(&kept); err != nil || kept >= maxWishes {
			return err
		}
		if _, err := t.exec(`DELETE FROM wishes WHERE day < ?`, day-30); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO wishes (day, kind, model, from_lang, to_lang, times, last_ms) VALUES (?, ?, ?, ?, ?, 1, ?)`,
			day, w.Kind, w.Model, w.From, w.To, ms(now))
		return err
	})
}

// Wishes lists what could not be done since a time, the most wanted first.
func (s *Jobs) Wishes(ctx context.Context, since time.Time, limit int) (list []workers.Wish, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT kind, model, from_lang, to_lang, sum(times) AS n, max(last_ms)
		FROM wishes WHERE day >= ?
		GROUP BY kind, model, from_lang, to_lang
		ORDER BY n DESC, kind, model, from_lang, to_lang LIMIT ?`, ms(since)/dayMS, limit)
	err = each(rows, err, func(r *sql.Rows) error {
		var w workers.Wish
		var last int64
		err := r.Scan(&w.Kind, &w.Model, &w.From, &w.To, &w.Times, &last)
		w.Last = at(last)
		list = append(list, w)
		return err
	})
	return list, wrap("wishes", err)
}

// Waits looks at the last jobs that were done since a time, at most limit of them.
func (s *Jobs) Waits(ctx context.Context, since time.Time, limit int) (w workers.Waits, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT max(started_ms - created_ms, 0), max(ended_ms - created_ms, 0)
		FROM jobs WHERE ended_ms >= ? AND state = 'done' AND started_ms IS NOT NULL
		ORDER BY ended_ms DESC LIMIT ?`, ms(since), limit)
	err = each(rows, err, func(r *sql.Rows) error {
		var waited, took int64
		err := r.Scan(&waited, &took)
		w.Waited, w.Took = append(w.Waited, time.Duration(waited)*time.Millisecond), append(w.Took, time.Duration(took)*time.Millisecond)
		return err
	})
	return w, wrap("waits", err)
}

// Leaders lists who earned most in a community since a time with jobs of others. Only who lets a machine be named is named.
func (s *Jobs) Leaders(ctx context.Context, c community.CommunityID, since time.Time, limit int) (list []workers.Leader, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT CASE WHEN EXISTS (SELECT 1 FROM workers w WHERE w.owner = e.earner AND w.share = 1 AND w.revoked_ms = 0) THEN m.name ELSE '' END, e.jobs, e.earned
		FROM (
			SELECT coalesce(m.joined, m.id) AS earner, sum(d.jobs) AS jobs, sum(d.earned) AS earned
			FROM (
				SELECT earner, count(*) AS jobs, sum(json_extract(bill, '$.paid')) AS earned FROM jobs
				WHERE community = ? AND ended_ms >= ? AND earner IS NOT NULL AND earner != coalesce(member, 0)
				GROUP BY earner) d JOIN members m ON m.id = d.earner
			GROUP BY 1) e JOIN members m ON m.id = e.earner
		WHERE e.earned > 0
		ORDER BY e.earned DESC, e.earner LIMIT ?`, c, ms(since), limit)
	err = each(rows, err, func(r *sql.Rows) error {
		var l workers.Leader
		err := r.Scan(&l.Name, &l.Jobs, &l.Earned)
		list = append(list, l)
		return err
	})
	return list, wrap("leaders", err)
}
