package agent

import (
	"os"
	"strconv"
	"sync"
	"time"

	"potluck/workers/agent/engine"
)

// haste divides the time that the demonstration takes and the waits between dials: POTLUCK_WORKER_HASTE, 1 to 1000, for tests that kill programs by the
// thousand. Owners never need it.
var haste = sync.OnceValue(func() time.Duration {
	n, err := strconv.Atoi(os.Getenv("POTLUCK_WORKER_HASTE"))
	if err != nil {
		return 1
	}
	return time.Duration(min(max(n, 1), 1000))
})

func demoPace() engine.DemoConfig {
	pace := engine.DemoPace()
	return engine.DemoConfig{WordPace: pace.WordPace / haste(), StepPace: pace.StepPace / haste()}
}
