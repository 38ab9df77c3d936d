package storage_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage/storagetest"
)

func TestFullDiskLosesNothingThatWasAnsweredAndRecovers(t *testing.T) {
	dir := storagetest.SmallDisk(t, 24<<20)
	path := filepath.Join(dir, "potluck.db")
	w := newWorldAt(t, path)
	w.ok(w.db.Ping(t.Context()))
	leased := w.submit("req:leased", ledger.Credit)
	attempt := w.lease(leased, 1)
	free := storagetest.Fill(t, dir, 1<<20)

	// Until the disk takes no more: what the WAL file has room for still fits.
	var kept []string
	var refused error
	for i := 0; refused == nil; i++ {
		if i > 1000 {
			t.Fatal("the disk never got full")
		}
		j := w.job(fmt.Sprint("req:", i))
		j.Chat.Messages[0].Text = strings.Repeat("x", 60_000)
		if _, refused = w.jobs.Submit(t.Context(), j, ledger.Charge{Payer: w.payer, Amount: 1, Rates: 3}, now); refused == nil {
			kept = append(kept, j.Key)
		}
	}
	if !fault.Has(refused, fault.Storage) {
		t.Fatalf("the disk is full: %v, want fault.Storage", refused)
	}
	if len(kept) == 0 {
		t.Error("nothing was written to the last free megabyte")
	}
	// What is small finds a place yet. A sign of health was believed in that, and real writes failed.
	for i := range 100 {
		if _, err := w.people.Member(t.Context(), community.UserID(fmt.Sprint("page:small", i)), "Neo", now); err != nil {
			break
		}
	}
	if err := w.db.Ping(t.Context()); !fault.Has(err, fault.Storage) {
		t.Errorf("on a full disk Ping says %v", err)
	}
	if _, ok, err := w.jobs.JobByKey(t.Context(), "req:leased"); !ok || err != nil {
		t.Errorf("reading beside a full disk: %v %v", ok, err)
	}
	// A copy made now does not fit, and leaves nothing behind.
	if _, err := w.db.BackUp(t.Context(), filepath.Join(dir, "copy.db"), nil); err == nil {
		t.Error("a backup fits on a full disk")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "copy*")); len(left) > 0 {
		t.Errorf("the backup left %v", left)
	}

	free()
	w.ok(w.db.Ping(t.Context()))
	w.ok(w.jobs.Finish(t.Context(), w.settlement(leased, attempt, 600)))
	if _, err := w.people.Member(t.Context(), community.UserID("page:new"), "Neo", now); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
	w.ok(w.db.Close())
	db := storagetest.OpenPath(t, path)
	w.db, w.jobs.DB, w.credits.DB = db, db, db
	for _, key := range kept {
		if _, ok, err := w.jobs.JobByKey(t.Context(), key); !ok || err != nil {
			t.Errorf("%s was answered and is lost (%v)", key, err)
		}
	}
	w.sound()
}
