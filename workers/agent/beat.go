package agent

import (
	"time"

	"potluck/workers/protocol"
)

// beatTimer ticks at the pace that the present connection's server asked for. Only the loop touches it.
type beatTimer struct {
	session *session
	ticker  *time.Ticker // nil without a session
}

// of returns the ticks of a session, beginning anew when it is another one than before; none for nil.
func (t *beatTimer) of(s *session) <-chan time.Time {
	if s != t.session {
		t.stop()
		if t.session = s; s != nil {
			t.ticker = time.NewTicker(s.beat)
		}
	}
	if t.ticker == nil {
		return nil
	}
	return t.ticker.C
}

func (t *beatTimer) stop() {
	if t.ticker != nil {
		t.ticker.Stop()
		t.ticker = nil
	}
}

func (a *Agent) beat(now time.Time) {
	for lease, j := range a.jobs {
		if j.final != nil && now.Sub(j.ended) > heldTime {
			delete(a.jobs, lease)
		}
	}
	if a.session != nil && a.session.roomy() {
		a.send(protocol.Beat{Free: a.free(), GPUs: a.loads})
	}
}

// free counts jobs that could begin now. A cancelled job holds its place until its engine has really stopped.
func (a *Agent) free() int {
	if a.paused || a.draining || a.hourUsed(time.Now()) {
		return 0
	}
	return max(a.slots-a.busy(), 0)
}

func (a *Agent) busy() int {
	n := 0
	for _, j := range a.jobs {
		if j.running {
			n++
		}
	}
	return n
}
