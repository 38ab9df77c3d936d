package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Jobs is the workers.Store.
type Jobs struct{ DB *DB }

var _ workers.Store = (*Jobs)(nil)

// payload is what a job asks for: what people wrote, so it is sealed.
type payload struct {
	Chat      *protocol.ChatJob      `json:"chat,omitempty"`
	Image     *protocol.ImageJob     `json:"image,omitempty"`
	Translate *protocol.TranslateJob `json:"translate,omitempty"`
}

// Names of the sealed columns, for the additional data; the row is the job's key.
const (
	jobPayload = "jobs.payload"
	jobInput   = "jobs.input"
	jobResult  = "jobs.result"
	jobFailure = "jobs.failure"
)

const jobColumns = `j.id, j.key, j.kind, j.class, j.quality, coalesce(j.community, ''), coalesce(j.member, 0), j.payer, j.model, j.features, j.work,
	j.payload_sealed, j.input_sealed, j.wait_ms, j.created_ms, j.held, j.attempts, j.state, j.result_sealed, coalesce(j.failure, ''), j.failure_sealed, j.only_worker`

func (db *DB) scanJob(row interface{ Scan(...any) error }) (j workers.Job, err error) {
	var (
		payer, features, work                        []byte
		sealedPayload, sealedInput, result, failArgs []byte
		wait, created                                int64
		failure                                      fault.Code
	)
	err = row.Scan(&j.ID, &j.Key, &j.Kind, &j.Class, &j.Quality, &j.Community, &j.Member, &payer, &j.Model, &features, &work,
		&sealedPayload, &sealedInput, &wait, &created, &j.Held, &j.Attempts, &j.State, &result, &failure, &failArgs, &j.Only)
	if err != nil {
		return j, err
	}
	j.Wait, j.Created = time.Duration(wait)*time.Millisecond, at(created)
	if err := errors.Join(json.Unmarshal(payer, &j.Payer), json.Unmarshal(features, &j.Features), json.Unmarshal(work, &j.Work)); err != nil {
		return j, fmt.Errorf("job %d: %w", j.ID, err)
	}
	var p payload
	if err := db.seal.openJSON(jobPayload, j.Key, sealedPayload, &p); err != nil {
		return j, fmt.Errorf("job %d: %w", j.ID, err)
	}
	j.Chat, j.Image, j.Translate = p.Chat, p.Image, p.Translate
	if err := db.seal.openJSON(jobInput, j.Key, sealedInput, &j.Input); err != nil {
		return j, fmt.Errorf("job %d: %w", j.ID, err)
	}
	if result != nil {
		j.Result = new(workers.Result)
		if err := db.seal.openJSON(jobResult, j.Key, result, j.Result); err != nil {
			return j, fmt.Errorf("job %d: %w", j.ID, err)
		}
	}
	if failure != "" {
		j.Failure = fault.New(failure)
		if err := db.seal.openJSON(jobFailure, j.Key, failArgs, &j.Failure.Args); err != nil {
			return j, fmt.Errorf("job %d: %w", j.ID, err)
		}
	}
	return j, nil
}

// Submit saves a new job with its hold. The same key returns the stored job and moves no credit.
func (s *Jobs) Submit(ctx context.Context, j workers.Job, c ledger.Charge, now time.Time) (workers.Job, error) {
	payer, err1 := json.Marshal(c.Payer)
	features, err2 := json.Marshal(j.Features)
	work, err3 := json.Marshal(j.Work)
	sealed, err4 := s.DB.seal.sealJSON(jobPayload, j.Key, payload{j.Chat, j.Image, j.Translate})
	var input []byte
	var err5 error
	if len(j.Input) > 0 {
		input, err5 = s.DB.seal.sealJSON(jobInput, j.Key, j.Input)
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return j, fmt.Errorf("submit job: %w", err)
	}
	var stored workers.Job
	err := s.DB.write(ctx, "submit job", func(t *tx) error {
		var err error
		stored, err = s.DB.scanJob(t.row(`SELECT `+jobColumns+` FROM jobs j WHERE j.key = ?`, j.Key))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := saveCommunity(t, j.Community); err != nil {
			return err
		}
		if j.Member != 0 {
			person, err := memberExists(t, j.Member)
			if err != nil {
				return err
			}
			if c.Payer.Spend == ledger.SpendOf(j.Member) {
				c.Payer.Spend = ledger.SpendOf(person)
			}
			j.Member = person
		}
		id, err := t.insert(`
			INSERT INTO jobs (key, kind, class, quality, community, member, payer, model, features, work, payload_sealed, input_sealed,
				wait_ms, created_ms, rates, held, only_worker)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			j.Key, j.Kind, j.Class, j.Quality, null(j.Community), null(j.Member), string(payer), j.Model, string(features), string(work), sealed, input,
			j.Wait.Milliseconds(), ms(now), c.Rates, c.Amount, j.Only)
		if err != nil {
			return err
		}
		if err := t.hold(id, c, now); err != nil {
			return err
		}
		stored = j
		stored.ID, stored.State, stored.Created, stored.Held = id, workers.Queued, whole(now), c.Amount
		stored.Payer, stored.Attempts, stored.Result, stored.Failure = c.Payer, 0, nil, nil
		return nil
	})
	if err != nil {
		return j, err
	}
	return stored, nil
}

// JobByKey returns ok false when there is no such job. One whose texts were erased comes without them.
func (s *Jobs) JobByKey(ctx context.Context, key string) (workers.Job, bool, error) {
	j, err := s.DB.scanJob(s.DB.reads.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs j WHERE j.key = ?`, key))
	if errors.Is(err, sql.ErrNoRows) {
		return workers.Job{}, false, nil
	}
	return j, err == nil, wrap("job by key", err)
}

// Lease saves a new attempt and makes its job leased. ErrStale when the job is not queued; a number that the job had before is refused.
func (s *Jobs) Lease(ctx context.Context, a workers.Attempt) error {
	return s.DB.write(ctx, "lease job", func(t *tx) error {
		n, err := t.exec(`UPDATE jobs SET state = 'leased', started_ms = coalesce(started_ms, ?) WHERE id = ? AND state = 'queued'`, ms(a.Started), a.Job)
		if err != nil {
			return err
		}
		if n == 0 {
			return workers.ErrStale
		}
		_, err = t.exec(`
			INSERT INTO attempts (lease, job, number, worker, engine, model, started_ms, deadline_ms)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			a.Lease, a.Job, a.Number, a.Worker, a.Engine, a.Model, ms(a.Started), ms(a.Deadline))
		return err
	})
}

// endAttempt ends the running attempt of a lease. ErrStale when it does not run.
func endAttempt(t *tx, lease string, o workers.Outcome, counts bool, now time.Time) error {
	n, err := t.exec(`UPDATE attempts SET ended_ms = ?, outcome = ?, counts = ? WHERE lease = ? AND ended_ms IS NULL`, ms(now), o, counts, lease)
	if err == nil && n == 0 {
		err = workers.ErrStale
	}
	return err
}

// Requeue ends an attempt and makes its job queued again. ErrStale when the lease is not the job's current one.
func (s *Jobs) Requeue(ctx context.Context, lease string, o workers.Outcome, counts bool, now time.Time) error {
	return s.DB.write(ctx, "requeue job", func(t *tx) error {
		if err := endAttempt(t, lease, o, counts, now); err != nil {
			return err
		}
		_, err := t.exec(`
			UPDATE jobs SET state = 'queued', attempts = attempts + ?
			WHERE id = (SELECT job FROM attempts WHERE lease = ?)`, counts, lease)
		return err
	})
}

// Finish ends attempt and job with a result, settles the hold and keeps the measured speed. ErrStale when the lease is not the job's
// current one, or another worker's.
func (s *Jobs) Finish(ctx context.Context, f workers.Settlement) error {
	if f.Bill.Paid < 0 || f.Bill.Returned < 0 || f.Bill.Paid+f.Bill.Returned != f.Bill.Held || f.Bill.Own && f.Bill.Paid != 0 {
		return fmt.Errorf("finish job %d: the bill holds %d, pays %d and returns %d", f.Attempt.Job, f.Bill.Held, f.Bill.Paid, f.Bill.Returned)
	}
	f.Result.Job, f.Result.Bill = f.Attempt.Job, f.Bill
	bill, err1 := json.Marshal(f.Bill)
	result, err2 := json.Marshal(f.Result)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("finish job %d: %w", f.Attempt.Job, err)
	}
	return s.DB.write(ctx, "finish job", func(t *tx) error {
		var (
			key           string
			worker        int64
			number, rates int
			held          ledger.Amount
		)
		err := t.row(`SELECT worker, number FROM attempts WHERE lease = ? AND job = ? AND ended_ms IS NULL`, f.Attempt.Lease, f.Attempt.Job).Scan(&worker, &number)
		if err == nil {
			err = t.row(`SELECT key, held, rates FROM jobs WHERE id = ? AND state = 'leased'`, f.Attempt.Job).Scan(&key, &held, &rates)
		}
		if errors.Is(err, sql.ErrNoRows) || err == nil && f.Attempt.Worker != 0 && f.Attempt.Worker != worker {
			return workers.ErrStale
		}
		if err != nil {
			return err
		}
		if f.Bill.Held != held {
			return fmt.Errorf("job %d: the bill says %d was held, it was %d", f.Attempt.Job, f.Bill.Held, held)
		}
		if err := endAttempt(t, f.Attempt.Lease, workers.OutcomeDone, false, f.At); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE jobs SET state = 'done', ended_ms = ?, result_sealed = ?, bill = ?, earner = ?, worker = ? WHERE id = ?`,
			ms(f.At), s.DB.seal.seal(jobResult, key, result), string(bill), null(f.Earner), worker, f.Attempt.Job)
		if err != nil {
			return err
		}
		settlement, err := t.resolve(ledger.Transaction{Kind: ledger.KindSettle, Job: f.Attempt.Job, Attempt: number, Rates: rates, At: f.At},
			held, f.Bill.Paid, f.Earner)
		if err != nil {
			return err
		}
		if f.Bill.Paid > 0 {
			if _, err := t.exec(`INSERT INTO escrows (settlement, member, amount, due_ms) VALUES (?, ?, ?, ?)`,
				settlement, f.Earner, f.Bill.Paid, ms(f.Release)); err != nil {
				return err
			}
		}
		return saveSpeed(t, f.Speed)
	})
}

// Abandon makes a job failed or cancelled, ends its attempt if one runs, and refunds the hold. ErrStale when the job is final or unknown.
func (s *Jobs) Abandon(ctx context.Context, job int64, failure *fault.Error, o workers.Outcome, now time.Time) error {
	if failure == nil {
		failure = fault.New(fault.Internal)
	}
	state := workers.Failed
	if failure.Code == fault.Cancelled {
		state = workers.Cancelled
	}
	return s.DB.write(ctx, "abandon job", func(t *tx) error {
		var (
			key   string
			held  ledger.Amount
			rates int
		)
		err := t.row(`SELECT key, held, rates FROM jobs WHERE id = ? AND state IN ('queued', 'leased')`, job).Scan(&key, &held, &rates)
		if errors.Is(err, sql.ErrNoRows) {
			return workers.ErrStale
		}
		if err != nil {
			return err
		}
		var lease string
		var number int
		err = t.row(`SELECT lease, number FROM attempts WHERE job = ? AND ended_ms IS NULL`, job).Scan(&lease, &number)
		if err == nil {
			err = endAttempt(t, lease, o, false, now)
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var args []byte
		if len(failure.Args) > 0 {
			if args, err = s.DB.seal.sealJSON(jobFailure, key, failure.Args); err != nil {
				return err
			}
		}
		bill, err := json.Marshal(ledger.Bill{Price: ledger.Price{Rates: rates}, Held: held, Returned: held})
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE jobs SET state = ?, ended_ms = ?, failure = ?, failure_sealed = ?, bill = ? WHERE id = ?`,
			state, ms(now), failure.Code, args, string(bill), job)
		if err != nil {
			return err
		}
		_, err = t.resolve(ledger.Transaction{Kind: ledger.KindRefund, Job: job, Attempt: number, Rates: rates, At: now}, held, 0, 0)
		return err
	})
}

// Open returns every job that is not final in the order of submission, with LastNumber, and the running attempts. A job that cannot be read
// (a damaged row) fails and is refunded instead: one row must not keep the house from starting. From now on their waits begin anew.
func (s *Jobs) Open(ctx context.Context) (jobs []workers.Job, attempts []workers.Attempt, err error) {
	s.DB.beginWaits(ctx, time.Now())
	snapshot, err := s.DB.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // jobs and attempts of the same moment
	if err != nil {
		return nil, nil, wrap("open jobs", err)
	}
	defer snapshot.Rollback()
	jobs, unreadable, err := s.openJobs(ctx, snapshot)
	if err != nil {
		return nil, nil, wrap("open jobs", err)
	}
	attempts, err = openAttempts(ctx, snapshot)
	if err != nil {
		return nil, nil, wrap("open attempts", err)
	}
	attempts = slices.DeleteFunc(attempts, func(a workers.Attempt) bool { return slices.Contains(unreadable, a.Job) })
	for _, id := range unreadable {
		err := s.Abandon(ctx, id, fault.New(fault.Internal), workers.OutcomeRestart, time.Now())
		if err != nil && !errors.Is(err, workers.ErrStale) {
			return nil, nil, err
		}
	}
	return jobs, attempts, nil
}

// openJobs returns the jobs that are not final and can be read, and the ids of those that cannot.
func (s *Jobs) openJobs(ctx context.Context, snapshot *sql.Tx) (jobs []workers.Job, unreadable []int64, err error) {
	last, err := lastNumbers(ctx, snapshot)
	if err != nil {
		return nil, nil, err
	}
	rows, err := snapshot.QueryContext(ctx, `SELECT `+jobColumns+` FROM jobs j WHERE j.state IN ('queued', 'leased') ORDER BY j.id`)
	err = each(rows, err, func(r *sql.Rows) error {
		j, err := s.DB.scanJob(r)
		if err != nil && j.ID != 0 {
			s.DB.log.Error("a job that cannot be read is given up", "job", j.ID, "err", err)
			unreadable = append(unreadable, j.ID)
			return nil
		}
		j.LastNumber = last[j.ID]
		jobs = append(jobs, j)
		return err
	})
	return jobs, unreadable, err
}

// lastNumbers returns the number of each open job's last attempt.
func lastNumbers(ctx context.Context, snapshot *sql.Tx) (map[int64]int, error) {
	last := make(map[int64]int)
	rows, err := snapshot.QueryContext(ctx, `
		SELECT a.job, max(a.number) FROM jobs j JOIN attempts a ON a.job = j.id
		WHERE j.state IN ('queued', 'leased') GROUP BY a.job`)
	err = each(rows, err, func(r *sql.Rows) error {
		var job int64
		var number int
		err := r.Scan(&job, &number)
		last[job] = number
		return err
	})
	return last, err
}

const attemptColumns = `lease, job, number, worker, engine, model, started_ms, deadline_ms`

func scanAttempt(r interface{ Scan(...any) error }) (a workers.Attempt, err error) {
	var started, deadline int64
	err = r.Scan(&a.Lease, &a.Job, &a.Number, &a.Worker, &a.Engine, &a.Model, &started, &deadline)
	a.Started, a.Deadline = at(started), at(deadline)
	return a, err
}

func openAttempts(ctx context.Context, snapshot *sql.Tx) (attempts []workers.Attempt, err error) {
	rows, err := snapshot.QueryContext(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE ended_ms IS NULL ORDER BY job`)
	err = each(rows, err, func(r *sql.Rows) error {
		a, err := scanAttempt(r)
		attempts = append(attempts, a)
		return err
	})
	return attempts, err
}

// Running returns the attempt of a job that has not ended; ok is false when there is none. Other than Open it begins no waits anew.
func (s *Jobs) Running(ctx context.Context, job int64) (a workers.Attempt, ok bool, err error) {
	a, err = scanAttempt(s.DB.reads.QueryRowContext(ctx, `SELECT `+attemptColumns+` FROM attempts WHERE job = ? AND ended_ms IS NULL`, job))
	if errors.Is(err, sql.ErrNoRows) {
		return workers.Attempt{}, false, nil
	}
	return a, err == nil, wrap("running attempt", err)
}

// Unerased returns the leases of finished jobs whose results are kept still.
func (s *Jobs) Unerased(ctx context.Context) (leases []string, err error) {
	rows, err := s.DB.reads.QueryContext(ctx, `
		SELECT a.lease FROM jobs j JOIN attempts a ON a.job = j.id
		WHERE j.ended_ms IS NOT NULL AND NOT j.erased AND a.outcome = 'done'`)
	err = each(rows, err, func(r *sql.Rows) error {
		var lease string
		err := r.Scan(&lease)
		leases = append(leases, lease)
		return err
	})
	return leases, wrap("unerased jobs", err)
}

const eraseJob = `UPDATE jobs SET payload_sealed = NULL, input_sealed = NULL, result_sealed = NULL, failure_sealed = NULL, erased = 1 WHERE id = ?`

// Erase forgets payload and result of a request's jobs that are final. One that still runs keeps what its worker needs; EraseEnded takes it
// once it is over.
func (s *Jobs) Erase(ctx context.Context, request string) (blobs []string, err error) {
	// ';' follows ':', so the range holds every key that begins with request + ":".
	return s.erase(ctx, `SELECT id, key, result_sealed FROM jobs WHERE key >= ? AND key < ? AND ended_ms IS NOT NULL AND NOT erased`, request+":", request+";")
}

// undeliveredLife is how much longer EraseEnded leaves the jobs of a request that was not delivered yet.
const undeliveredLife = 24 * time.Hour

// EraseEnded does the same for at most limit jobs that ended before a time. What a request still has to show is left for a day more: after
// a kill the answer, which is paid, is shown at the next start.
func (s *Jobs) EraseEnded(ctx context.Context, before time.Time, limit int) (blobs []string, err error) {
	if !s.DB.ClockSteady() {
		return nil, nil
	}
	return s.erase(ctx, `
		SELECT id, key, result_sealed FROM jobs
		WHERE ended_ms IS NOT NULL AND NOT erased AND ended_ms < ? AND (ended_ms < ? OR NOT EXISTS (
			SELECT 1 FROM requests r WHERE r.id = substr(key, 1, instr(key, ':') - 1) AND r.state != 'delivered'))
		ORDER BY ended_ms LIMIT ?`, ms(before), ms(before.Add(-undeliveredLife)), limit)
}

func (s *Jobs) erase(ctx context.Context, query string, args ...any) (blobs []string, err error) {
	err = s.DB.write(ctx, "erase jobs", func(t *tx) error {
		blobs = nil
		var ids []int64
		rows, err := t.rows(query, args...)
		err = each(rows, err, func(r *sql.Rows) error {
			var id int64
			var key string
			var sealed []byte
			if err := r.Scan(&id, &key, &sealed); err != nil {
				return err
			}
			var result workers.Result
			if err := s.DB.seal.openJSON(jobResult, key, sealed, &result); err != nil {
				// What cannot be read is erased all the more; its blobs are left to the sweep of the folder.
				s.DB.log.Warn("erase unreadable result", "job", id, "err", err)
			}
			ids, blobs = append(ids, id), append(blobs, result.Blobs...)
			return nil
		})
		for _, id := range ids {
			if err == nil {
				_, err = t.exec(eraseJob, id)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return blobs, nil
}
