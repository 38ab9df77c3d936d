package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

const workerColumns = `w.id, w.owner, m.name, w.name, w.key, w.share, m.operator, w.linked_ms, w.seen_ms, w.revoked_ms, w.hardware, w.paused_ms, w.limits`

func scanWorker(row interface{ Scan(...any) error }) (w workers.Worker, err error) {
	var linked, seen, revoked, paused int64
	var hardware, limits []byte
	err = row.Scan(&w.ID, &w.Owner, &w.OwnerName, &w.Name, &w.Key, &w.Share, &w.Operator, &linked, &seen, &revoked, &hardware, &paused, &limits)
	if err != nil {
		return w, err
	}
	w.Linked, w.Seen, w.Revoked, w.Paused = at(linked), at(seen), revoked != 0, at(paused)
	return w, errors.Join(json.Unmarshal(hardware, &w.Hardware), json.Unmarshal(limits, &w.Limits))
}

// vouched fills in which communities allow the workers what, and what they did today where that is limited.
func vouched(ctx context.Context, q querier, list []workers.Worker) error {
	for i := range list {
		w := &list[i]
		rows, err := q.QueryContext(ctx, `SELECT community, class FROM vouches WHERE worker = ?`, w.ID)
		err = each(rows, err, func(r *sql.Rows) error {
			var c community.CommunityID
			var class workers.Class
			if err := r.Scan(&c, &class); err != nil {
				return err
			}
			if w.Vouched == nil {
				w.Vouched = make(map[community.CommunityID]workers.Class)
			}
			w.Vouched[c] = class
			return nil
		})
		if err == nil {
			err = today(ctx, q, w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SaveJoinCode keeps the SHA-256 of a code until expires, and forgets codes that expired a day before it.
func (s *Jobs) SaveJoinCode(ctx context.Context, hash [32]byte, owner community.MemberID, name string, share bool, expires time.Time) error {
	return s.DB.write(ctx, "save join code", func(t *tx) error {
		owner, err := memberExists(t, owner)
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM join_codes WHERE expires_ms < ?`, ms(expires.Add(-24*time.Hour))); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO join_codes (hash, owner, name, share, expires_ms) VALUES (?, ?, ?, ?, ?)`, hash[:], owner, name, share, ms(expires))
		return err
	})
}

// Enrol uses the code up and adds the worker. A worker that comes to another owner, or back after it was revoked, is vouched for by nobody.
func (s *Jobs) Enrol(ctx context.Context, codeHash [32]byte, key []byte, hw protocol.Hardware, limit int, now time.Time) (workers.Worker, error) {
	hardware, err := json.Marshal(hw)
	if err != nil {
		return workers.Worker{}, fmt.Errorf("enrol worker: %w", err)
	}
	var w workers.Worker
	err = s.DB.write(ctx, "enrol worker", func(t *tx) error {
		var (
			owner   community.MemberID
			name    string
			share   bool
			expires int64
		)
		err := t.row(`DELETE FROM join_codes WHERE hash = ? RETURNING owner, name, share, expires_ms`, codeHash[:]).Scan(&owner, &name, &share, &expires)
		late, early := expires <= ms(now), expires > ms(now.Add(protocol.JoinLifetime+time.Minute)) // made in the future: the clock was set back
		if errors.Is(err, sql.ErrNoRows) || err == nil && (late || early) {
			return workers.ErrBadCode
		}
		if err != nil {
			return err
		}
		var others int
		if err := t.row(`SELECT count(*) FROM workers WHERE owner = ? AND revoked_ms = 0 AND key != ?`, owner, key).Scan(&others); err != nil {
			return err
		}
		if others >= limit {
			return fault.New(fault.TooManyWorkers, "max", limit)
		}
		if _, err := t.exec(`DELETE FROM vouches WHERE worker = (SELECT id FROM workers WHERE key = ? AND (owner != ? OR revoked_ms != 0))`, key, owner); err != nil {
			return err
		}
		var id int64
		err = t.row(`
			INSERT INTO workers (owner, name, key, share, linked_ms, hardware)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET
				paused_ms = 0, limits = CASE owner WHEN excluded.owner THEN limits ELSE '{}' END,
				owner = excluded.owner, name = excluded.name, share = excluded.share, linked_ms = excluded.linked_ms, hardware = excluded.hardware, revoked_ms = 0
			RETURNING id`, owner, name, key, share, ms(now), string(hardware)).Scan(&id)
		if err != nil {
			return err
		}
		w, err = t.worker(id)
		return err
	})
	if err != nil {
		return workers.Worker{}, err
	}
	return w, nil
}

// Name gives a name to a worker that has none.
func (s *Jobs) Name(ctx context.Context, worker int64, name string) error {
	return s.DB.write(ctx, "name worker", func(t *tx) error {
		_, err := t.exec(`UPDATE workers SET name = ? WHERE id = ? AND name = ''`, name, worker)
		return err
	})
}

func (t *tx) worker(id int64) (workers.Worker, error) {
	w, err := scanWorker(t.row(`SELECT `+workerColumns+` FROM workers w JOIN members m ON m.id = w.owner WHERE w.id = ?`, id))
	if err != nil {
		return w, err
	}
	one := []workers.Worker{w}
	err = vouched(context.Background(), t.w.conn, one)
	return one[0], err
}

// WorkerByKey also finds a revoked worker.
func (s *Jobs) WorkerByKey(ctx context.Context, key []byte) (workers.Worker, bool, error) {
	w, err := scanWorker(s.DB.reads.QueryRowContext(ctx, `SELECT `+workerColumns+` FROM workers w JOIN members m ON m.id = w.owner WHERE w.key = ?`, key))
	if errors.Is(err, sql.ErrNoRows) {
		return workers.Worker{}, false, nil
	}
	if err != nil {
		return workers.Worker{}, false, wrap("worker by key", err)
	}
	one := []workers.Worker{w}
	err = vouched(ctx, s.DB.reads, one)
	return one[0], err == nil, wrap("worker by key", err)
}

// Workers lists the linked workers of an owner, or of everybody when owner is 0, by id.
func (s *Jobs) Workers(ctx context.Context, owner community.MemberID) (list []workers.Worker, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT `+workerColumns+` FROM workers w JOIN members m ON m.id = w.owner
		WHERE w.revoked_ms = 0 AND (? = 0 OR w.owner = ?)
		ORDER BY w.id`, owner, owner)
	err = each(rows, err, func(r *sql.Rows) error {
		w, err := scanWorker(r)
		list = append(list, w)
		return err
	})
	if err == nil {
		err = vouched(ctx, s.DB.reads, list)
	}
	return list, wrap("workers", err)
}

// ErrNoWorker says that no worker has that id.
var ErrNoWorker = errors.New("no such worker")

func oneRow(n int64, err, none error) error {
	if err == nil && n == 0 {
		return none
	}
	return err
}

// Revoke is final until the owner links the machine again; vouches end with it. Revoking twice changes nothing.
func (s *Jobs) Revoke(ctx context.Context, worker int64, now time.Time) error {
	return s.DB.write(ctx, "revoke worker", func(t *tx) error {
		n, err := t.exec(`UPDATE workers SET revoked_ms = CASE revoked_ms WHEN 0 THEN ? ELSE revoked_ms END WHERE id = ?`, ms(now), worker)
		if err := oneRow(n, err, ErrNoWorker); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM vouches WHERE worker = ?`, worker)
		return err
	})
}

// Vouch says up to which class an admin (or the operator) lets a worker see a community's jobs; an empty class takes it back.
func (s *Jobs) Vouch(ctx context.Context, worker int64, c community.CommunityID, class workers.Class, by community.MemberID, now time.Time) error {
	return s.DB.write(ctx, "vouch for worker", func(t *tx) error {
		if class == "" {
			_, err := t.exec(`DELETE FROM vouches WHERE worker = ? AND community = ?`, worker, c)
			return err
		}
		if err := saveCommunity(t, c); err != nil {
			return err
		}
		n, err := t.exec(`
			INSERT INTO vouches (worker, community, class, by_member, at_ms)
			SELECT id, ?, ?, ?, ? FROM workers WHERE id = ? AND revoked_ms = 0
			ON CONFLICT (worker, community) DO UPDATE SET class = excluded.class, by_member = excluded.by_member, at_ms = excluded.at_ms`,
			c, class, by, ms(now), worker)
		return oneRow(n, err, ErrNoWorker)
	})
}

// Seen keeps what a worker last said of itself and when it was there, in place of what was kept before. ErrNoWorker when there is no such worker.
func (s *Jobs) Seen(ctx context.Context, worker int64, hw protocol.Hardware, offers []protocol.Offer, now time.Time) error {
	hardware, err1 := json.Marshal(hw)
	if offers == nil {
		offers = []protocol.Offer{}
	}
	list, err2 := json.Marshal(offers)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("worker seen: %w", err)
	}
	return s.DB.write(ctx, "worker seen", func(t *tx) error {
		n, err := t.exec(`UPDATE workers SET seen_ms = ?, hardware = ?, offers = ? WHERE id = ?`, ms(now), string(hardware), string(list), worker)
		return oneRow(n, err, ErrNoWorker)
	})
}

// Offers returns what the worker last said that it can do.
func (s *Jobs) Offers(ctx context.Context, worker int64) (offers []protocol.Offer, err error) {
	var list []byte
	err = s.DB.reads.QueryRowContext(ctx, `SELECT offers FROM workers WHERE id = ?`, worker).Scan(&list)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoWorker
	}
	if err == nil {
		err = json.Unmarshal(list, &offers)
	}
	return offers, wrap("offers", err)
}

// Speeds returns the latest measurement of each linked worker, kind of job and model.
func (s *Jobs) Speeds(ctx context.Context) (speeds []workers.Speed, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT s.worker, s.kind, s.model, s.rate, s.jobs
		FROM speeds s JOIN workers w ON w.id = s.worker
		WHERE w.revoked_ms = 0 ORDER BY s.worker, s.kind, s.model`)
	err = each(rows, err, func(r *sql.Rows) error {
		var v workers.Speed
		err := r.Scan(&v.Worker, &v.Kind, &v.Model, &v.Rate, &v.Jobs)
		speeds = append(speeds, v)
		return err
	})
	return speeds, wrap("speeds", err)
}

// saveSpeed keeps the latest measurement; a Speed without worker is none.
func saveSpeed(t *tx, v workers.Speed) error {
	if v.Worker == 0 {
		return nil
	}
	_, err := t.exec(`
		INSERT INTO speeds (worker, kind, model, rate, jobs) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (worker, kind, model) DO UPDATE SET rate = excluded.rate, jobs = excluded.jobs`, v.Worker, v.Kind, v.Model, v.Rate, v.Jobs)
	return err
}
