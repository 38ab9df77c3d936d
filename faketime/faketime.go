// Package faketime runs tests under the fake clock of testing/synctest, on one processor.
//
// One processor, for two reasons. Goroutines that become ready at the same instant then run one after the other in the order in which they became so (see
// Exact): a test that draws everything from a seed goes the same way each time, as long as no two timers end at the same nanosecond, whose order is chance. And under the race detector timers of a bubble that two threads run at once share one context of the detector, which breaks it
// ("ThreadSanitizer: CHECK failed", or a fault within it; https://go.dev/issue/78156, open in Go 1.26): one run of the tests in some dozens died of that.
// Races are found as well on one processor as on two: the detector compares what was ordered, not what overlapped.
package faketime

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

var (
	mu    sync.Mutex
	inUse int // tests that run under a fake clock now
	procs int // what the program had before the first of them
)

// Test runs f as synctest.Test does, on one processor. Other tests that run meanwhile have one, too.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	mu.Lock()
	if inUse == 0 {
		procs = runtime.GOMAXPROCS(1)
	}
	inUse++
	mu.Unlock()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		if inUse--; inUse == 0 {
			runtime.GOMAXPROCS(procs)
		}
	}()
	synctest.Test(t, f)
}

// Wait returns when all other goroutines of the bubble are blocked, see synctest.Wait.
func Wait() { synctest.Wait() }
