// Package workers is the pool: it takes jobs, decides which linked worker does each, carries them there and back, and has them paid.
package workers

import (
	"context"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// Class says which workers may see a job.
type Class string

const (
	Public    Class = "public"    // any linked worker
	Community Class = "community" // vouched by an admin of that community, or the operator's
	Private   Class = "private"   // vouched for private text, or the operator's
)

// State of a job. queued → leased → done | failed | cancelled; back to queued when an attempt ends without a result.
type State string

const (
	Queued    State = "queued"
	Leased    State = "leased"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final tells whether a job's state can no longer change.
func (s State) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Origin says for whom, from where and at whose cost a job is done. A worker never sees any of it.
type Origin struct {
	// Key makes Do idempotent: "request:step". The same key joins the running job or returns the stored result.
	Key       string
	Class     Class
	Community community.CommunityID
	Member    community.MemberID
	Payer     ledger.Payer
	// Quality is the lowest that may be shown here; protocol.Demo allows demonstrations.
	Quality protocol.Quality
	// Only names the one worker that may do it, 0 = any. Free jobs hold nothing, cost nothing and earn nothing. Both are for an owner's test of a machine.
	Only int64
	Free bool `json:"-"`
}

// Job is a unit of work. Exactly one of Chat, Image and Translate is set, as Kind says.
type Job struct {
	Origin
	ID        int64 // given by the store
	Kind      protocol.Kind
	Model     string // canonical name; empty = any
	Features  []string
	Chat      *protocol.ChatJob
	Image     *protocol.ImageJob
	Translate *protocol.TranslateJob
	Work      ledger.Work
	// Wait is how long the job may take from submission to result; afterwards it fails with fault.Expired and is refunded.
	Wait time.Duration
	// Input are pictures that the worker fetches as blobs 1…n.
	Input [][]byte
	// Check is the feature's own look at a result, before anything is paid: an error rejects it (OutcomeRejected) and the job is tried
	// elsewhere. It runs on no loop, may be nil, and is not kept by the store: after a restart the Do that is run again brings it.
	Check func(Result) error `json:"-"`
	// Visible is what of a chat result people can see: that is what is paid. nil means the whole text. Like Check it runs on no loop and is not kept.
	Visible func(Result) string `json:"-"`

	State    State
	Created  time.Time
	Held     ledger.Amount
	Attempts int // that count against the limit: not those ended by a restart, a refusal or an overload
	// LastNumber is the highest Attempt.Number that the job ever had, counted or not; Store.Open sets it.
	LastNumber int
	Result     *Result      // when Done
	Failure    *fault.Error // when Failed or Cancelled
}

// Result is what a worker made of a job, after the pool's own checks (sizes, order, keeps) and before the feature's.
type Result struct {
	Job       int64              `json:"job"`
	Text      string             `json:"text,omitempty"`
	Reasoning string             `json:"reasoning,omitempty"`
	Finish    string             `json:"finish,omitempty"` // stop | length
	Segments  [][]protocol.Piece `json:"segments,omitempty"`
	// Blobs are paths of files in the pool's blob folder: what the worker PUT, unchecked bytes ≤ protocol.MaxBlob each. They live until Erase.
	Blobs   []string         `json:"blobs,omitempty"`
	Seed    int64            `json:"seed,omitempty"`
	Model   string           `json:"model"` // canonical
	Engine  string           `json:"engine"`
	Quality protocol.Quality `json:"quality"`
	Worker  int64            `json:"worker"`
	// WorkerName is what may be shown ("Rita's RTX 3060"); empty when the owner did not agree to be named.
	WorkerName string `json:"worker_name,omitempty"`
	// WorkerOwner is the part of WorkerName that names the owner, for languages that say it differently; empty when there is none.
	WorkerOwner string        `json:"worker_owner,omitempty"`
	Took        time.Duration `json:"took"` // lease to result, seen by the server
	Bill        ledger.Bill   `json:"bill"`
}

// Event is news of a running job, in order. A new Attempt means that Text starts again.
type Event struct {
	Job     int64
	Attempt int
	Kind    EventKind
	// Waiting: Position counts from 1 among the jobs that would go first; ETA is 0 when unknown.
	Position int
	ETA      time.Duration
	// Started: the worker, and its shown name, which may be empty; WorkerOwner as in a Result.
	Worker      int64
	WorkerName  string
	WorkerOwner string
	// Text is everything so far in this attempt: a slow caller misses deltas, never text.
	Text string
	// Progress 0–1 and, where the engine tells, steps.
	Fraction    float64
	Step, Steps int
	// Preview is a small JPEG, unchecked bytes from a worker.
	Preview []byte
}

type EventKind string

const (
	Waiting  EventKind = "waiting"
	Started  EventKind = "started"
	Text     EventKind = "text"
	Progress EventKind = "progress"
	Preview  EventKind = "preview"
)

// Attempt is one try of a job on one worker.
type Attempt struct {
	Lease    string // 32 hex digits, random
	Job      int64
	Number   int // counts from 1, never reused within a job
	Worker   int64
	Engine   string
	Model    string // local name
	Started  time.Time
	Deadline time.Time
}

// Outcome says how an attempt ended.
type Outcome string

const (
	OutcomeDone      Outcome = "done"
	OutcomeRefused   Outcome = "refused"  // by the worker, no fault
	OutcomeOverload  Outcome = "overload" // no fault
	OutcomeLost      Outcome = "lost"     // connection gone for good, or silence: worker's fault
	OutcomeEngine    Outcome = "engine"   // the inference program failed: worker's fault
	OutcomeExpired   Outcome = "expired"  // the lease ran out: worker's fault
	OutcomeRejected  Outcome = "rejected" // the server's checks refused the result: worker's fault
	OutcomeRequest   Outcome = "request"  // the request itself cannot be done
	OutcomeCancelled Outcome = "cancelled"
	OutcomeRestart   Outcome = "restart" // the bot restarted and the worker did not come back in time: nobody's
)

// Worker is a linked machine.
type Worker struct {
	ID        int64
	Owner     community.MemberID
	OwnerName string
	Name      string
	Key       []byte                          // ed25519 public key
	Share     bool                            // the owner agrees to be named under results
	Operator  bool                            // the owner is an operator: eligible for every class
	Vouched   map[community.CommunityID]Class // highest class that this community's admins allow
	Linked    time.Time
	Seen      time.Time
	Revoked   bool
	Paused    time.Time // in the chat, since then; zero = it is not
	Limits    Limits
	Today     int // jobs done in the day of Limits, when they limit that; as of reading
	Hardware  protocol.Hardware
}

// Speed is what the server measured: reference seconds of work done per second of lease time, averaged over Jobs.
type Speed struct {
	Worker int64
	Kind   protocol.Kind
	Model  string // canonical
	Rate   float64
	Jobs   int
}

// Settlement is what Store.Finish makes true together.
type Settlement struct {
	Attempt Attempt
	Result  Result
	At      time.Time
	// Earner is the worker's owner; Bill says what is paid and returned.
	Earner community.MemberID
	Bill   ledger.Bill
	// Release is when the earnings leave escrow.
	Release time.Time
	Speed   Speed // as measured after this job; zero when this job says nothing about it
}

// Store keeps jobs, attempts and their money. Every method is one durable transaction.
type Store interface {
	// Submit saves a new job with its hold (granting today's allowance first when due) and returns it with ID, State, Created and Held set.
	// When the key is known it returns the stored job unchanged, with its Result or Failure when final.
	// A payer without enough credit gets fault.NoCredit with need, have and reset.
	Submit(ctx context.Context, j Job, c ledger.Charge, now time.Time) (Job, error)
	// JobByKey returns the job of that key; ok is false when there is none.
	JobByKey(ctx context.Context, key string) (j Job, ok bool, err error)
	// Lease saves a new attempt and makes its job leased. ErrStale when the job is not queued.
	Lease(ctx context.Context, a Attempt) error
	// Requeue ends an attempt without a result and makes its job queued again; counts tells whether the attempt counts against the limit.
	Requeue(ctx context.Context, lease string, o Outcome, counts bool, now time.Time) error
	// Finish ends attempt and job with a result and settles the hold. ErrStale when the lease is not the job's current one.
	Finish(ctx context.Context, s Settlement) error
	// Abandon makes a job failed (or cancelled when the failure's code says so), ends its attempt if it has one, and refunds the hold.
	Abandon(ctx context.Context, job int64, failure *fault.Error, o Outcome, now time.Time) error
	// Open returns every job that is not final, and the running attempts of the leased ones, in the order of submission. It is for a start: waits begin anew.
	Open(ctx context.Context) ([]Job, []Attempt, error)
	// Running returns the attempt of a job that has not ended; ok is false when there is none.
	Running(ctx context.Context, job int64) (a Attempt, ok bool, err error)
	// Unerased returns the leases whose results are kept still: their pictures are needed until Erase.
	Unerased(ctx context.Context) (leases []string, err error)
	// Erase forgets payload and result of all jobs whose key is request + ":" + anything, and returns the blob paths that may be deleted.
	Erase(ctx context.Context, request string) ([]string, error)
	Registry
	Steward
}

// Registry keeps linked workers and join codes.
type Registry interface {
	// SaveJoinCode keeps the SHA-256 of a code until expires.
	SaveJoinCode(ctx context.Context, hash [32]byte, owner community.MemberID, name string, share bool, expires time.Time) error
	// Enrol uses the code up and adds the worker, in one transaction. ErrBadCode when the code is unknown, used or expired; fault.TooManyWorkers
	// when the owner has max already. A key that is linked already (even if revoked) is moved to the code's owner with its id kept.
	Enrol(ctx context.Context, codeHash [32]byte, key []byte, hw protocol.Hardware, max int, now time.Time) (Worker, error)
	// Name gives a name to a worker that has none; one that has a name keeps it.
	Name(ctx context.Context, worker int64, name string) error
	// WorkerByKey returns ok false for a key that was never linked.
	WorkerByKey(ctx context.Context, key []byte) (w Worker, ok bool, err error)
	// Workers lists an owner's workers that are not revoked; owner 0 lists all.
	Workers(ctx context.Context, owner community.MemberID) ([]Worker, error)
	Revoke(ctx context.Context, worker int64, now time.Time) error
	// Seen keeps what a worker said of itself when it connected, or that it left.
	Seen(ctx context.Context, worker int64, hw protocol.Hardware, offers []protocol.Offer, now time.Time) error
	Speeds(ctx context.Context) ([]Speed, error)
}

// Rates is the rate table: what models are called and what work costs. *ledger.Rates implements it; it may be used from any goroutine.
type Rates interface {
	// Canonical gives the name that all workers' names of one model share.
	Canonical(local string) string
	Price(model string, w ledger.Work) ledger.Price
	Version() int
}

type storeError string

func (e storeError) Error() string { return string(e) }

const (
	// ErrStale says that the lease is not the job's current one any more: the result comes too late or twice.
	ErrStale = storeError("stale lease")
	// ErrBadCode says that a join code is unknown, used or expired.
	ErrBadCode = storeError("bad join code")
)
