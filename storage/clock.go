package storage

import (
	"sync"
	"time"
)

const (
	// clockStep is how far the system's clock may move away from the time that really passed before it counts as set: time servers slew by
	// far less, and a machine that wakes up from sleep has missed more.
	clockStep = 2 * time.Minute
	// clockSettles is how long after such a step nothing is deleted or paid out because of its age. A clock that was wrong at the start of the
	// machine, or set by mistake, is right again by then; and if it is right now, ten minutes do no harm.
	clockSettles = 10 * time.Minute
)

// clock notices when the system's clock is set while the database is open. Ages are wall time, because they outlive the process; a clock
// that jumps ahead by a month would make everything old at once, and what is deleted or paid out then never comes back.
type clock struct {
	mu    sync.Mutex
	began time.Time // has a monotonic reading
	drift time.Duration
	set   time.Duration // since began, by the monotonic clock; 0 = never
}

// steady returns whether the clock can be believed, and by how much it was set when that is noticed just now.
func (c *clock) steady(wall time.Time, passed time.Duration) (ok bool, by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	drift := wall.Round(0).Sub(c.began.Round(0)) - passed // Round(0) drops the monotonic reading
	if by = drift - c.drift; by.Abs() > clockStep {
		c.drift, c.set = drift, max(passed, 1)
		return false, by
	}
	// A slow drift is no step, however long it goes on.
	c.drift = drift
	return c.set == 0 || passed-c.set >= clockSettles, 0
}

// ClockSteady is false for some minutes after the system's clock was set. Whatever deletes or pays by age waits until then.
func (db *DB) ClockSteady() bool {
	now := time.Now()
	ok, by := db.clock.steady(now, now.Sub(db.clock.began))
	if by != 0 {
		db.log.Warn("the system's clock was set; nothing is deleted or paid out by age for now", "by", by.Round(time.Second).String(), "wait", clockSettles.String())
	}
	return ok
}
