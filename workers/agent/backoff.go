package agent

import (
	"math/rand/v2"
	"time"

	"potluck/workers/protocol"
)

const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = protocol.MaxRetry
	// told is the longest wait after an answer that will not change by itself soon: another machine with this key, too many workers, a foreign server.
	told = 30 * time.Second
)

// backoff spreads reconnects: doubling from firstRetry to a limit, each drawn from the upper half so that a restarted server
// does not meet all its workers in the same moment.
type backoff struct {
	tries int
	rand  *rand.Rand
}

func (b *backoff) next(limit time.Duration) time.Duration {
	d := limit
	if b.tries < 6 {
		d = min(firstRetry<<b.tries, limit)
	}
	b.tries++
	return (d/2 + time.Duration(b.rand.Int64N(int64(d/2)+1))) / haste()
}
