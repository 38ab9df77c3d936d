package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"potluck/community"
	"potluck/ledger"
	"potluck/web/operator"
	"potluck/workers"
)

// Operator is the operator.Store: bounded reads over indexes, so that whoever looks is in nobody's way.
type Operator struct{ DB *DB }

var _ operator.Store = (*Operator)(nil)

const (
	// endedMost bounds how many jobs one call of Ended reads: a stretch with more is summed up from its first ones.
	endedMost = 250_000
	// waitsMost is how many of the newest jobs Waits reads.
	waitsMost = 20_000
	// lineMost is how many jobs of a line are read.
	lineMost = 20_000
	// jobsPage is how many jobs a list has; jobsScan is how many are looked at for them.
	jobsPage, jobsScan = 20, 5_000
)

// faultOutcomes is the condition of the index attempts_faults, word for word: only then is that index used.
const faultOutcomes = `(outcome = 'lost' OR outcome = 'engine' OR outcome = 'expired' OR outcome = 'rejected' OR outcome = 'request' OR outcome = 'restart')`

// The queries of Ended read nothing but the index jobs_history. ?1 and ?2 are begin and end, ?3 the width, ?4 endedMost.
const (
	endedGroups = `
		SELECT kind, state, coalesce(worker, 0), coalesce(earner, 0), count(*), coalesce(sum(seconds), 0), coalesce(sum(paid), 0)
		FROM (SELECT kind, state, worker, earner, json_extract(bill, '$.seconds') AS seconds, json_extract(bill, '$.paid') AS paid
			FROM jobs WHERE ended_ms >= ?1 AND ended_ms < ?2 LIMIT ?3)
		GROUP BY 1, 2, 3, 4`
	endedWaits = `
		SELECT wait, n, total FROM (
			SELECT wait, row_number() OVER (ORDER BY wait) AS n, count(*) OVER () AS total
			FROM (SELECT max(started_ms - created_ms, 0) AS wait FROM jobs WHERE ended_ms >= ?1 AND ended_ms < ?2 AND started_ms IS NOT NULL LIMIT ?3))
		WHERE n IN ((total + 1) / 2, (total * 95 + 99) / 100)
		ORDER BY n`
	endedStays = `
		SELECT came / ?4, gone / ?4, count(*), sum(came % ?4), sum(gone % ?4)
		FROM (SELECT created_ms AS came, max(coalesce(started_ms, ended_ms), created_ms) AS gone FROM jobs WHERE ended_ms >= ?1 AND ended_ms < ?2 LIMIT ?3)
		GROUP BY 1, 2`
)

// Ended sums up the jobs that ended in one stretch of time.
func (o *Operator) Ended(ctx context.Context, from time.Time, width time.Duration) (e operator.Ended, err error) {
	args := []any{ms(from), ms(from.Add(width)), endedMost}
	rows, err := o.DB.reads.QueryContext(ctx, endedGroups, args...)
	err = each(rows, err, func(r *sql.Rows) error {
		var g operator.Group
		err := r.Scan(&g.Kind, &g.State, &g.Worker, &g.Earner, &g.Jobs, &g.Seconds, &g.Paid)
		e.Groups = append(e.Groups, g)
		return err
	})
	if err != nil {
		return e, wrap("sum up ended jobs", err)
	}
	rows, err = o.DB.reads.QueryContext(ctx, endedWaits, args...)
	err = each(rows, err, func(r *sql.Rows) error {
		var wait int64
		var n int
		err := r.Scan(&wait, &n, &e.Waited)
		if n == (e.Waited+1)/2 {
			e.P50 = milliseconds(wait)
		}
		e.P95 = milliseconds(wait) // the last row, also where both are the same
		return err
	})
	if err != nil {
		return e, wrap("waits of ended jobs", err)
	}
	rows, err = o.DB.reads.QueryContext(ctx, endedStays, append(args, width.Milliseconds())...)
	err = each(rows, err, func(r *sql.Rows) error {
		var s operator.Stay
		var in, out int64
		err := r.Scan(&s.Came, &s.Left, &s.Jobs, &in, &out)
		s.In, s.Out = milliseconds(in), milliseconds(out)
		e.Stays = append(e.Stays, s)
		return err
	})
	return e, wrap("stays of ended jobs", err)
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Line describes the jobs that are not final.
func (o *Operator) Line(ctx context.Context) (line []operator.Line, err error) {
	rows, err := o.DB.reads.QueryContext(ctx, `
		SELECT kind, state, created_ms, coalesce(started_ms, 0) FROM jobs WHERE state IN ('queued', 'leased') ORDER BY id LIMIT ?`, lineMost)
	err = each(rows, err, func(r *sql.Rows) error {
		var l operator.Line
		var state workers.State
		var created, started int64
		if err := r.Scan(&l.Kind, &state, &created, &started); err != nil {
			return err
		}
		i := slices.IndexFunc(line, func(k operator.Line) bool { return k.Kind == l.Kind })
		if i < 0 {
			line, i = append(line, l), len(line)
		}
		k := &line[i]
		k.Open = append(k.Open, operator.Open{Came: at(created), Left: at(started)})
		if state == workers.Leased {
			k.Running++
			return nil
		}
		k.Queued++
		if came := at(created); k.Oldest.IsZero() || came.Before(k.Oldest) {
			k.Oldest = came
		}
		return nil
	})
	return line, wrap("line", err)
}

const newestWaits = `
	SELECT kind, wait, n, total FROM (
		SELECT kind, wait, row_number() OVER (PARTITION BY kind ORDER BY wait) AS n, count(*) OVER (PARTITION BY kind) AS total
		FROM (SELECT kind, max(started_ms - created_ms, 0) AS wait FROM jobs WHERE ended_ms >= ? AND started_ms IS NOT NULL ORDER BY ended_ms DESC LIMIT ?))
	WHERE n IN ((total + 1) / 2, (total * 95 + 99) / 100)
	ORDER BY kind, n`

// Waits tells how long the jobs waited that ended since then, of more than waitsMost the newest.
func (o *Operator) Waits(ctx context.Context, since time.Time) (waits []operator.Wait, err error) {
	rows, err := o.DB.reads.QueryContext(ctx, newestWaits, ms(since), waitsMost)
	err = each(rows, err, func(r *sql.Rows) error {
		var w operator.Wait
		var wait int64
		var n int
		if err := r.Scan(&w.Kind, &wait, &n, &w.Jobs); err != nil {
			return err
		}
		w.P50, w.P95 = milliseconds(wait), milliseconds(wait)
		if last := len(waits) - 1; last >= 0 && waits[last].Kind == w.Kind {
			waits[last].P95 = w.P95
		} else {
			waits = append(waits, w)
		}
		return nil
	})
	return waits, wrap("waits", err)
}

const listColumns = `j.id, j.kind, j.state, j.class, j.model, coalesce(j.community, ''), coalesce(m.name, ''), j.created_ms, coalesce(j.started_ms, 0),
	coalesce(j.ended_ms, 0), j.attempts, j.held, coalesce(json_extract(j.bill, '$.paid'), 0), coalesce(json_extract(j.bill, '$.seconds'), 0), coalesce(j.failure, ''),
	coalesce(j.worker, (SELECT a.worker FROM attempts a WHERE a.job = j.id AND a.ended_ms IS NULL), 0)`

func scanListed(row interface{ Scan(...any) error }) (j operator.Job, err error) {
	var created, started, ended int64
	err = row.Scan(&j.ID, &j.Kind, &j.State, &j.Class, &j.Model, &j.Community, &j.Asker, &created, &started, &ended,
		&j.Attempts, &j.Held, &j.Paid, &j.Seconds, &j.Failure, &j.Worker)
	j.Created, j.Started, j.Ended = at(created), at(started), at(ended)
	return j, err
}

// ErrBadPage says that no list goes on from there.
var ErrBadPage = errors.New("no such page")

// Jobs lists a page of jobs: open ones by age, those that failed by their end, all others newest first. It looks at jobsScan jobs at most, so a page may
// be short although there is a next one.
func (o *Operator) Jobs(ctx context.Context, f operator.Filter) (page []operator.Job, next string, err error) {
	const from = ` FROM jobs j LEFT JOIN members m ON m.id = j.member WHERE `
	var query string
	var args []any
	end, id, err := pageStart(f.From)
	if err != nil {
		return nil, "", err
	}
	switch f.State {
	case workers.Queued, workers.Leased:
		query, args = from+`j.state IN ('queued', 'leased') AND j.id > ? ORDER BY j.id`, []any{id}
	case workers.Failed:
		query, args = from+`j.state = 'failed' AND (j.ended_ms, j.id) < (?, ?) ORDER BY j.ended_ms DESC, j.id DESC`, []any{cmp.Or(end, maxID), cmp.Or(id, maxID)}
	default:
		query, args = from+`j.id < ? ORDER BY j.id DESC`, []any{cmp.Or(id, maxID)}
	}
	rows, err := o.DB.reads.QueryContext(ctx, `SELECT `+listColumns+query+` LIMIT ?`, append(args, jobsScan)...)
	if err != nil {
		return nil, "", wrap("list jobs", err)
	}
	defer rows.Close()
	for seen := 1; rows.Next(); seen++ {
		j, err := scanListed(rows)
		if err != nil {
			return nil, "", wrap("list jobs", err)
		}
		if (f.Kind == "" || f.Kind == j.Kind) && (f.State == "" || f.State == j.State) {
			page = append(page, j)
		}
		if len(page) == jobsPage || seen == jobsScan {
			return page, fmt.Sprintf("%d.%d", ms(j.Ended), j.ID), nil
		}
	}
	return page, "", wrap("list jobs", rows.Err())
}

// maxID is larger than any id or time.
const maxID = int64(1)<<62 - 1

// pageStart reads "ended.id", the last job of the page before.
func pageStart(s string) (ended, id int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(s, ".")
	ended, err1 := strconv.ParseInt(a, 10, 64)
	id, err2 := strconv.ParseInt(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || ended < 0 || id < 0 {
		return 0, 0, ErrBadPage
	}
	return ended, id, nil
}

// Job returns a job with its attempts.
func (o *Operator) Job(ctx context.Context, id int64) (j operator.Job, attempts []operator.Attempt, ok bool, err error) {
	j, err = scanListed(o.DB.reads.QueryRowContext(ctx, `SELECT `+listColumns+` FROM jobs j LEFT JOIN members m ON m.id = j.member WHERE j.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return j, nil, false, nil
	}
	if err != nil {
		return j, nil, false, wrap("job", err)
	}
	rows, err := o.DB.reads.QueryContext(ctx, `
		SELECT a.number, a.worker, w.name, a.engine, a.model, a.started_ms, coalesce(a.ended_ms, 0), coalesce(a.outcome, ''), a.counts
		FROM attempts a JOIN workers w ON w.id = a.worker WHERE a.job = ? ORDER BY a.number LIMIT 100`, id)
	err = each(rows, err, func(r *sql.Rows) error {
		var a operator.Attempt
		var started, ended int64
		err := r.Scan(&a.Number, &a.Worker, &a.Name, &a.Engine, &a.Model, &started, &ended, &a.Outcome, &a.Counts)
		a.Started, a.Ended = at(started), at(ended)
		attempts = append(attempts, a)
		return err
	})
	return j, attempts, err == nil, wrap("attempts of a job", err)
}

const (
	newestFaults = `
		SELECT a.ended_ms, a.job, j.kind, a.worker, w.name, a.model, a.outcome, ''
		FROM attempts a JOIN jobs j ON j.id = a.job JOIN workers w ON w.id = a.worker
		WHERE ` + faultOutcomes + ` ORDER BY a.ended_ms DESC LIMIT ?`
	newestFailures = `SELECT ended_ms, id, kind, 0, '', model, '', failure FROM jobs WHERE state = 'failed' ORDER BY ended_ms DESC LIMIT ?`
)

// Faults lists the newest attempts that somebody or nobody is to blame for, and the newest jobs that failed.
func (o *Operator) Faults(ctx context.Context, limit int) (faults []operator.Fault, err error) {
	for _, query := range []string{newestFaults, newestFailures} {
		rows, err := o.DB.reads.QueryContext(ctx, query, limit)
		err = each(rows, err, func(r *sql.Rows) error {
			var f operator.Fault
			var ended int64
			err := r.Scan(&ended, &f.Job, &f.Kind, &f.Worker, &f.Name, &f.Model, &f.Outcome, &f.Failure)
			f.At = at(ended)
			faults = append(faults, f)
			return err
		})
		if err != nil {
			return nil, wrap("faults", err)
		}
	}
	slices.SortStableFunc(faults, func(a, b operator.Fault) int { return b.At.Compare(a.At) })
	return faults[:min(len(faults), limit)], nil
}

const countFaults = `
	SELECT worker, outcome, count(*), max(ended_ms) FROM attempts
	WHERE ended_ms >= ? AND ` + faultOutcomes + ` AND outcome NOT IN ('request', 'restart')
	GROUP BY worker, outcome`

// FaultCounts counts what workers are to blame for.
func (o *Operator) FaultCounts(ctx context.Context, since time.Time) (map[int64]operator.FaultCount, error) {
	counts := map[int64]operator.FaultCount{}
	rows, err := o.DB.reads.QueryContext(ctx, countFaults, ms(since))
	err = each(rows, err, func(r *sql.Rows) error {
		var worker, last int64
		var n int
		var outcome workers.Outcome
		if err := r.Scan(&worker, &outcome, &n, &last); err != nil {
			return err
		}
		c := counts[worker]
		if c.Faults += n; at(last).After(c.Last) {
			c.Last, c.Outcome = at(last), outcome
		}
		counts[worker] = c
		return nil
	})
	return counts, wrap("count faults", err)
}

// Accounts reads each account once.
func (o *Operator) Accounts(ctx context.Context) (kinds []operator.Accounts, earned map[community.MemberID]ledger.Amount, err error) {
	rows, err := o.DB.reads.QueryContext(ctx, `SELECT kind, count(*), sum(balance), sum(received) FROM accounts GROUP BY kind ORDER BY kind`)
	err = each(rows, err, func(r *sql.Rows) error {
		var a operator.Accounts
		err := r.Scan(&a.Kind, &a.Accounts, &a.Balance, &a.Received)
		kinds = append(kinds, a)
		return err
	})
	if err != nil {
		return nil, nil, wrap("accounts", err)
	}
	earned = map[community.MemberID]ledger.Amount{}
	rows, err = o.DB.reads.QueryContext(ctx, `SELECT CAST(owner AS INTEGER), received FROM accounts WHERE kind = 'escrow'`)
	err = each(rows, err, func(r *sql.Rows) error {
		var m community.MemberID
		var a ledger.Amount
		err := r.Scan(&m, &a)
		earned[m] = a
		return err
	})
	return kinds, earned, wrap("earnings", err)
}

// Names tells how members are called.
func (o *Operator) Names(ctx context.Context, ids []community.MemberID) (map[community.MemberID]string, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, wrap("names", err)
	}
	names := make(map[community.MemberID]string, len(ids))
	rows, err := o.DB.reads.QueryContext(ctx, `SELECT id, name FROM members WHERE id IN (SELECT value FROM json_each(?))`, string(list))
	err = each(rows, err, func(r *sql.Rows) error {
		var id community.MemberID
		var name string
		err := r.Scan(&id, &name)
		names[id] = name
		return err
	})
	return names, wrap("names", err)
}
