package agent

import (
	"math/rand/v2"
	"time"
)

const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// backoff spreads reconnects: doubling from firstRetry to lastRetry, each drawn from the upper half so that a restarted server
// does not meet all its workers in the same moment.
type backoff struct {
	tries int
	rand  *rand.Rand
}

func (b *backoff) next() time.Duration {
	d := lastRetry
	if b.tries < 6 {
		d = firstRetry << b.tries
	}
	b.tries++
	d = min(d, lastRetry)
	return d/2 + time.Duration(b.rand.Int64N(int64(d/2)+1))
}
