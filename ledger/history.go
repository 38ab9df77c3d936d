package ledger

import (
	"strconv"
	"time"

	"potluck/community"
)

// EntryKind says what an Entry is about, from the member's side.
type EntryKind string

const (
	EntrySpent    EntryKind = "spent"    // a job that the member asked for
	EntryEarned   EntryKind = "earned"   // a job that one of the member's machines did
	EntryGave     EntryKind = "gave"     // a gift to somebody or to a pool
	EntryGot      EntryKind = "got"      // a gift
	EntryAdjusted EntryKind = "adjusted" // by the operator
)

// Entry is one line of what happened to a member's credits, newest first.
type Entry struct {
	ID     int64 // of its transaction
	Kind   EntryKind
	At     time.Time
	Amount Amount // what the member has more (or, negative, less) by it; the cost of a job counts whatever it was paid from
	Job    int64
	Work   string                // kind of the job
	With   community.MemberID    // of a gift: to whom or from whom; 0 = a pool
	Pool   community.CommunityID // of a gift to a pool
	Reason string                // of an adjustment
}

// GiveKey is the idempotency key of a gift: request is the one that asked whether it is meant.
func GiveKey(request string) string { return "give:" + request }

// JoinKey is that of what a member can spend going to the one it joins; request is the one whose code connected them.
func JoinKey(request string) string { return "join:" + request }

// HeirKey is that of what goes to a pool for a member who was forgotten; received is what ever came to the member's account.
func HeirKey(m community.MemberID, received Amount) string {
	return "heir:" + strconv.FormatInt(int64(m), 10) + ":" + strconv.FormatInt(int64(received), 10)
}
