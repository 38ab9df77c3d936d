package operator

import (
	"context"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Store is what the view reads of the database; *storage.Operator implements it. Each method is a bounded read that stays quick however many jobs
// there are, and none returns what people wrote.
type Store interface {
	// Ended sums up the jobs that ended in [from, from + width), where from is a whole number of widths since 1970.
	Ended(ctx context.Context, from time.Time, width time.Duration) (Ended, error)
	// Line describes the jobs that are not final, by kind.
	Line(ctx context.Context) ([]Line, error)
	// Waits tells how long jobs that ended since then had waited for a worker, by kind; of very many the newest.
	Waits(ctx context.Context, since time.Time) ([]Wait, error)
	// Jobs lists at most a page of jobs and where the next page begins; next is empty after the last one.
	Jobs(ctx context.Context, f Filter) (page []Job, next string, err error)
	// Job returns a job and its attempts, the first one first; ok is false for an unknown one.
	Job(ctx context.Context, id int64) (j Job, attempts []Attempt, ok bool, err error)
	// Faults lists attempts and jobs that failed, the newest first.
	Faults(ctx context.Context, limit int) ([]Fault, error)
	// FaultCounts counts the attempts since then that ended by a worker's fault, by worker.
	FaultCounts(ctx context.Context, since time.Time) (map[int64]FaultCount, error)
	// Accounts sums up the ledger by kind of account, and tells what each member ever earned.
	Accounts(ctx context.Context) ([]Accounts, map[community.MemberID]ledger.Amount, error)
	// Names tells how members are called.
	Names(ctx context.Context, ids []community.MemberID) (map[community.MemberID]string, error)
}

// Ended is what is known of the jobs that ended in one stretch of time.
type Ended struct {
	Groups []Group
	// P50 and P95 of the time between asking and the first worker; Waited is how many jobs that is about.
	P50, P95 time.Duration
	Waited   int
	// Stays say from when to when the jobs stood in line, by stretches of the same width.
	Stays []Stay
}

// Group is jobs that have all of this in common. Worker and Earner are 0 unless State is done.
type Group struct {
	Kind    protocol.Kind
	State   workers.State
	Worker  int64
	Earner  community.MemberID
	Jobs    int
	Seconds float64 // reference GPU-seconds
	Paid    ledger.Amount
}

// Stay is a number of jobs that came in stretch Came (counted in widths since 1970) and left the line in stretch Left. In and Out are the sums of
// how far into these stretches that was.
type Stay struct {
	Came, Left int64
	Jobs       int
	In, Out    time.Duration
}

// Line is the jobs of one kind that are not final.
type Line struct {
	Kind            protocol.Kind
	Queued, Running int
	Oldest          time.Time // when the one that waits longest was asked for; zero when none waits
	Open            []Open
}

// Open is a job that is not final: when it was asked for, and when a worker first got it (zero: none has).
type Open struct{ Came, Left time.Time }

// Wait is how long the jobs of one kind waited.
type Wait struct {
	Kind     protocol.Kind
	Jobs     int
	P50, P95 time.Duration
}

// Filter says which jobs are listed; the zero value lists all, the newest first.
type Filter struct {
	State workers.State // empty = any
	Kind  protocol.Kind // empty = any
	From  string        // where the page begins, as Jobs returned it
}

// Job is a job without what it asks and answers.
type Job struct {
	ID        int64
	Kind      protocol.Kind
	State     workers.State
	Class     workers.Class
	Model     string // that was asked for; empty = any
	Community community.CommunityID
	Asker     string // the member's name
	Created   time.Time
	Started   time.Time // when a worker first got it
	Ended     time.Time
	Attempts  int // that count
	Held      ledger.Amount
	Paid      ledger.Amount
	Seconds   float64
	Failure   fault.Code
	Worker    int64 // who did it or does it now
}

// Attempt is one try of a job.
type Attempt struct {
	Number         int
	Worker         int64
	Name           string // of the worker
	Engine, Model  string
	Started, Ended time.Time // Ended is zero while it runs
	Outcome        workers.Outcome
	Counts         bool // against the limit of attempts
}

// Fault is an attempt or a job that failed; Outcome or Failure is set.
type Fault struct {
	At      time.Time
	Job     int64
	Kind    protocol.Kind
	Worker  int64
	Name    string // of the worker
	Model   string
	Outcome workers.Outcome
	Failure fault.Code
}

// FaultCount is what one worker did wrong.
type FaultCount struct {
	Faults  int
	Last    time.Time
	Outcome workers.Outcome // of the last one
}

// Accounts is all accounts of a kind together.
type Accounts struct {
	Kind     ledger.AccountKind
	Accounts int
	Balance  ledger.Amount
	Received ledger.Amount // ever
}
