package storage

import (
	"testing"
	"time"
)

func TestClockThatIsSetIsNotBelievedForAWhile(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := clock{began: began}
	for _, s := range []struct {
		what   string
		passed time.Duration // really
		shown  time.Duration // by the clock on the wall
		ok     bool
		by     time.Duration
	}{
		{"an hour", time.Hour, time.Hour, true, 0},
		{"a time server slews", 2 * time.Hour, 2*time.Hour + time.Minute, true, 0},
		{"and goes on", 3 * time.Hour, 3*time.Hour + 2*time.Minute, true, 0},
		{"set ahead by a month", 3*time.Hour + time.Minute, 3*time.Hour + 3*time.Minute + 720*time.Hour, false, 720 * time.Hour},
		{"still", 3*time.Hour + 9*time.Minute, 3*time.Hour + 11*time.Minute + 720*time.Hour, false, 0},
		{"set back", 3*time.Hour + 10*time.Minute, 3*time.Hour + 12*time.Minute, false, -720 * time.Hour},
		{"ten minutes later", 3*time.Hour + 20*time.Minute, 3*time.Hour + 22*time.Minute, true, 0},
		{"over midnight", 13 * time.Hour, 13*time.Hour + 2*time.Minute, true, 0},
		{"the machine slept for a night", 13*time.Hour + time.Minute, 21 * time.Hour, false, 7*time.Hour + 57*time.Minute},
		{"and is awake", 14 * time.Hour, 21*time.Hour + 59*time.Minute, true, 0},
	} {
		if ok, by := c.steady(began.Add(s.shown), s.passed); ok != s.ok || by != s.by {
			t.Errorf("%s: steady %v, set by %v; want %v, %v", s.what, ok, by, s.ok, s.by)
		}
	}
}
