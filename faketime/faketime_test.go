package faketime_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"potluck/faketime"
)

// On two processors the race detector did not survive a tenth of this.
func TestManyTimersAtOneInstant(t *testing.T) {
	for range 20 {
		faketime.Test(t, func(*testing.T) {
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					tick := time.NewTicker(time.Duration(1+i%3) * time.Millisecond)
					defer tick.Stop()
					for n := range 100 {
						select {
						case <-tick.C:
						default:
						}
						if n%3 == 0 {
							<-time.After(time.Millisecond)
						}
						<-time.NewTimer(0).C
					}
				})
			}
			all.Wait()
		})
	}
}

func TestOneProcessorWhileAnyTestRuns(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Run("both", func(t *testing.T) {
		for _, name := range []string{"one", "another"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				faketime.Test(t, func(t *testing.T) {
					if n := runtime.GOMAXPROCS(0); n != 1 {
						t.Errorf("%d processors", n)
					}
				})
			})
		}
	})
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors afterwards, %d before", n, before)
	}
}
