package storage_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// A clock that goes to and fro grants each day once, and never more than one day's allowance at a time.
func TestClockSetBackAndForthGrantsNoDayTwice(t *testing.T) {
	w := newWorld(t)
	minted := func() (n ledger.Amount) {
		t.Helper()
		w.ok(rawOpen(t, w.db.Path()).QueryRow(`SELECT -balance FROM accounts WHERE kind = 'mint'`).Scan(&n))
		return n
	}
	spend := func(key string, at time.Time) error {
		_, err := w.jobs.Submit(t.Context(), w.job(key), ledger.Charge{Payer: w.payer, Amount: w.payer.Daily, Rates: 3}, at)
		return err
	}
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	w.ok(spend("req:1", midnight.Add(-time.Second)))
	w.ok(spend("req:2", midnight.Add(time.Second)))
	for i, at := range []time.Time{midnight.Add(-time.Hour), midnight.Add(time.Hour), midnight.Add(-time.Minute), midnight.Add(23 * time.Hour)} {
		if err := spend("again:"+strings.Repeat("x", i+1), at); err == nil {
			t.Errorf("at %v a day's credits were spent twice", at)
		}
	}
	if n := minted(); n != 2*w.payer.Daily {
		t.Errorf("%d was minted on two days of %d", n, w.payer.Daily)
	}
	// Hours behind, on a day that nobody had: that day's allowance, and what is left of it does not pile up.
	for _, at := range []time.Time{midnight.Add(-72 * time.Hour), midnight.Add(-48 * time.Hour), midnight.Add(48 * time.Hour)} {
		j, err := w.jobs.Submit(t.Context(), w.job("small:"+at.String()), ledger.Charge{Payer: w.payer, Amount: 1, Rates: 3}, at)
		w.ok(err)
		b, err := w.credits.Balance(t.Context(), w.asker, w.payer, at)
		w.ok(err)
		if b.Free != w.payer.Daily-1 {
			t.Errorf("at %v the allowance holds %d, want %d", at, b.Free, w.payer.Daily-1)
		}
		w.ok(w.jobs.Abandon(t.Context(), j.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, at))
	}
	w.sound()
}

func TestClockSetBackMakesNoJoinCodeLiveLonger(t *testing.T) {
	for name, c := range map[string]struct {
		at time.Time
		ok bool
	}{
		"in time":            {now.Add(9 * time.Minute), true},
		"a little behind":    {now.Add(-30 * time.Second), true},
		"too late":           {now.Add(protocol.JoinLifetime), false},
		"set back two hours": {now.Add(-2 * time.Hour), false},
	} {
		w := newWorld(t)
		hash := sha256.Sum256([]byte(name))
		w.ok(w.jobs.SaveJoinCode(t.Context(), hash, w.owner, "box", true, now.Add(protocol.JoinLifetime)))
		_, err := w.jobs.Enrol(t.Context(), hash, bytes.Repeat([]byte{9}, 32), protocol.Hardware{}, 5, c.at)
		if c.ok && err != nil || !c.ok && !errors.Is(err, workers.ErrBadCode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The pool measures a job's wait by the monotonic clock, so the time of a new job has to carry it.
func TestNewJobKeepsTheMonotonicClock(t *testing.T) {
	w := newWorld(t)
	j, err := w.jobs.Submit(t.Context(), w.job("req:1"), ledger.Charge{Payer: w.payer, Amount: 1, Rates: 3}, time.Now())
	w.ok(err)
	if !strings.Contains(j.Created.String(), "m=") {
		t.Errorf("created %v: without the monotonic clock", j.Created)
	}
	stored, _, err := w.jobs.JobByKey(t.Context(), "req:1")
	w.ok(err)
	if !stored.Created.Equal(j.Created) {
		t.Errorf("created %v, stored %v", j.Created, stored.Created)
	}
}
