// Package ledger is the credit of a community: amounts, accounts, transactions that sum to zero, and the rates that price a job.
//
// It is pure: no SQL, no clock, no I/O. Package storage reads what stands in the accounts, has the postings computed here and keeps them.
package ledger

import (
	"errors"
	"fmt"
	"time"

	"potluck/community"
)

// Amount is a number of milli-credits. 1 credit = 1 reference GPU-second: a second of an RTX 3060 12 GB.
type Amount int64

// Credit is one credit.
const Credit Amount = 1000

// AccountKind says what an account is for. Only system accounts may be negative.
type AccountKind string

const (
	Spend     AccountKind = "spend"     // a member's own credits; Owner is the MemberID
	Escrow    AccountKind = "escrow"    // a member's earnings that are not released yet; Owner is the MemberID
	Allowance AccountKind = "allowance" // today's free credits; Owner is an identity (UserID), or a CommunityID where visitors share one
	PoolFund  AccountKind = "pool"      // a community's pool: what members gave to it; Owner is the CommunityID
	Mint      AccountKind = "mint"      // where credits come from (negative or zero)
	Burn      AccountKind = "burn"      // where credits end
	Hold      AccountKind = "hold"      // what running jobs may cost at most
)

// Account is one account: a kind and whose it is (empty for the system's mint, burn and hold).
type Account struct {
	Kind  AccountKind
	Owner string
}

// SpendOf is a member's own credits.
func SpendOf(m community.MemberID) Account { return Account{Spend, fmt.Sprint(int64(m))} }

// EscrowOf is what a member earned and cannot spend yet.
func EscrowOf(m community.MemberID) Account { return Account{Escrow, fmt.Sprint(int64(m))} }

// AllowanceOf is an identity's free credits of the day, or those that the visitors of a community share. It goes by identity and not by member, so that
// nobody gets a day's credits twice by connecting and disconnecting accounts.
func AllowanceOf[T community.UserID | community.CommunityID](id T) Account {
	return Account{Allowance, string(id)}
}

// PoolOf is what belongs to a community together.
func PoolOf(c community.CommunityID) Account { return Account{PoolFund, string(c)} }

var (
	MintAccount = Account{Kind: Mint}
	BurnAccount = Account{Kind: Burn}
	HoldAccount = Account{Kind: Hold}
)

// System tells whether the account belongs to the house itself.
func (a Account) System() bool { return a.Kind == Mint || a.Kind == Burn || a.Kind == Hold }

// String is "spend/12", or the kind alone for the house's own. It stands in keys of grants, which are kept for ever.
func (a Account) String() string {
	if a.Owner == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + "/" + a.Owner
}

// Posting changes one account's balance.
type Posting struct {
	Account Account
	Amount  Amount
}

// TransactionKind says why credits move.
type TransactionKind string

const (
	KindGrant   TransactionKind = "grant"   // mint → allowance or pool; the rest of the day before is burned in the same transaction
	KindHold    TransactionKind = "hold"    // payer → hold
	KindSettle  TransactionKind = "settle"  // hold → the worker's owner (escrow), the rest back to the payer
	KindRefund  TransactionKind = "refund"  // hold → payer
	KindRelease TransactionKind = "release" // escrow → spend
	KindGive    TransactionKind = "give"    // spend → spend or pool
	KindAdjust  TransactionKind = "adjust"  // by the operator, with a reason
)

// Transaction moves credits. Key is unique for ever: applying the same Key twice changes nothing. Settle and refund of one job share the key
// ResolutionKey(job), so that a job is never both paid and refunded.
type Transaction struct {
	Kind     TransactionKind
	Key      string
	Job      int64 // 0 = none
	Attempt  int
	Rates    int // version of the rate table
	At       time.Time
	Reason   string // only for an adjustment
	Postings []Posting
}

// HoldKey lets a job hold credits once.
func HoldKey(job int64) string { return fmt.Sprintf("hold:%d", job) }

// ResolutionKey is that of a job's settlement and of its refund, so that only one of them ever happens.
func ResolutionKey(job int64) string { return fmt.Sprintf("resolve:%d", job) }

// ReleaseKey lets the earnings of one settlement, whose transaction's id it takes, leave escrow once.
func ReleaseKey(settlement int64) string { return fmt.Sprintf("release:%d", settlement) }

// GrantKey lets an account have its grant once in the UTC day of a time. The keys of one account sort by their days.
func GrantKey(to Account, day time.Time) string {
	return "grant:" + to.String() + ":" + day.UTC().Format(time.DateOnly)
}

// NextDay is when the next day of GrantKey begins, and with it new free credits: midnight UTC.
func NextDay(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// Check tells whether the transaction may be applied at all: it has a key and postings, none is zero, and they sum to zero.
func (t Transaction) Check() error {
	if t.Key == "" || len(t.Postings) == 0 {
		return errors.New("transaction without key or postings")
	}
	var sum Amount
	for _, p := range t.Postings {
		if p.Amount == 0 {
			return fmt.Errorf("transaction %s: empty posting to %s", t.Key, p.Account)
		}
		sum += p.Amount
	}
	if sum != 0 {
		return fmt.Errorf("transaction %s: postings sum to %d", t.Key, sum)
	}
	return nil
}

// Payer says who pays for a job: the free allowance first, then own credits.
type Payer struct {
	Allowance Account // may be the zero Account: no free allowance
	Daily     Amount  // what the allowance is granted each UTC day
	Spend     Account // may be the zero Account: only the allowance pays
	// Share bounds how much of an allowance that many have together this payer's household may use. It is no part of what is kept with a job for ever.
	Share Share `json:"-"`
}

// Share is the part of a day's allowance that one household may use, however many of its members ask.
type Share struct {
	Household string // names it for one day, and tells nobody whose it is; "" = there is no limit
	Most      Amount
}

// Left is what a household may still use when it has used that much.
func (s Share) Left(used Amount) Amount { return max(0, s.Most-used) }

// Charge is the hold that a job needs when it is submitted: at most Amount, priced by rate table Rates.
type Charge struct {
	Payer  Payer
	Amount Amount
	Rates  int
}

// Work is the countable size of a job: what the server knows before and after, never what a worker claims.
type Work struct {
	Kind      string // "chat", "image", "translate"
	InTokens  int    // counted by Tokens
	OutTokens int    // chat: the limit before, the counted output after
	Pixels    int64  // width × height × count
	Steps     int
	Sampler   string
}

// Price is what a job costs and why: Terms sum to Seconds, and Amount is Seconds in milli-credits, rounded up.
type Price struct {
	Amount     Amount  `json:"amount"`
	Rates      int     `json:"rates"`
	Model      string  `json:"model"` // canonical
	Calibrated bool    `json:"calibrated"`
	Terms      []Term  `json:"terms"`
	Seconds    float64 `json:"seconds"` // reference GPU-seconds
}

// Term is one addend of a price: Seconds = Quantity ÷ PerSecond (or Quantity × 1 for an overhead with PerSecond 1).
type Term struct {
	Name      string  `json:"name"` // "overhead", "input", "output", "drawing"
	Quantity  float64 `json:"quantity"`
	Unit      string  `json:"unit"` // "s", "token", "megapixel step"
	PerSecond float64 `json:"per_second"`
	Seconds   float64 `json:"seconds"`
}

// Bill is a finished job's price with what was done about it; it is kept after the job's text is erased.
type Bill struct {
	Price
	Held     Amount `json:"held"`
	Paid     Amount `json:"paid"`     // to the worker's owner
	Returned Amount `json:"returned"` // to the payer
	Own      bool   `json:"own"`      // done on the asker's own worker: nothing charged, nothing earned
}

// Balance is what a member sees.
type Balance struct {
	Spendable   Amount    // own credits
	Free        Amount    // left of today's allowance (before today's first job: the whole grant)
	Daily       Amount    // of it all or, where each household may use a part only, of that part
	Pending     Amount    // in escrow
	Held        Amount    // by running jobs
	Earned      Amount    // ever
	NextRelease time.Time // zero when nothing is pending
}
