package workers

import (
	"time"

	"potluck/ledger"
)

// Waits are how long the last jobs that were done waited for a worker, and how long they took in all, newest first.
type Waits struct {
	Waited, Took []time.Duration
}

// Leader is an owner's place in a leaderboard.
type Leader struct {
	Name   string // empty: wants no name
	Jobs   int    // of others
	Earned ledger.Amount
}
