package storage

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// SQLite asks the authorizer while it prepares a statement and never while it runs one, so what the authorizer hears is prepared anew.
func (w *writer) listen(t *testing.T, heard func(table string)) {
	t.Helper()
	err := w.conn.Raw(func(c any) error {
		c.(*sqlite3.SQLiteConn).RegisterAuthorizer(func(_ int, table, _, _ string) int {
			heard(table)
			return sqlite3.SQLITE_OK
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Half of what a settlement cost was SQLite preparing two joins anew at each: a join is, for every new value that one of its columns is compared with.
func TestNothingIsPreparedAnewOnTheWayOfAJob(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "potluck.db"))
	ctx, now := t.Context(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	jobs, people := &Jobs{DB: db}, &People{DB: db}
	asker, err1 := people.Member(ctx, "page:asker", "Ada", now)
	owner, err2 := people.Member(ctx, "page:owner", "Rita", now)
	var hash [32]byte
	err3 := jobs.SaveJoinCode(ctx, hash, owner.ID, "box", true, now.Add(time.Minute))
	worker, err4 := jobs.Enrol(ctx, hash, bytes.Repeat([]byte{1}, 32), protocol.Hardware{}, 5, now)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	payer := ledger.Payer{Allowance: ledger.AllowanceOf(community.UserID("page:asker")), Daily: 100 * ledger.Credit, Spend: ledger.SpendOf(asker.ID)}
	lease := func(job int64, number int) (workers.Attempt, error) {
		a := workers.Attempt{Lease: fmt.Sprintf("%024d%08d", job, number), Job: job, Number: number, Worker: worker.ID, Started: now, Deadline: now.Add(time.Minute)}
		return a, jobs.Lease(ctx, a)
	}
	// One job is put back and then settled, another is given up.
	work := func(i int) error {
		at := now.Add(time.Duration(i) * time.Minute)
		var submitted [2]workers.Job
		for n := range submitted {
			j := workers.Job{
				Origin: workers.Origin{Key: fmt.Sprintf("request%d:%d", i, n), Class: workers.Public, Community: "page:potluck", Member: asker.ID},
				Kind:   protocol.Chat, Model: "qwen3-8b", Chat: &protocol.ChatJob{}, Wait: time.Minute,
			}
			var err error
			if submitted[n], err = jobs.Submit(ctx, j, ledger.Charge{Payer: payer, Amount: 1000, Rates: 3}, at); err != nil {
				return err
			}
		}
		done, lost := submitted[0], submitted[1]
		a, err := lease(done.ID, 1)
		if err == nil {
			err = jobs.Requeue(ctx, a.Lease, workers.OutcomeLost, true, at)
		}
		if err == nil {
			a, err = lease(done.ID, 2)
		}
		if err == nil {
			err = jobs.Finish(ctx, workers.Settlement{
				Attempt: a, At: at, Earner: owner.ID, Release: at, Bill: ledger.Bill{Held: 1000, Paid: 600, Returned: 400},
				Speed: workers.Speed{Worker: worker.ID, Kind: protocol.Chat, Model: "qwen3-8b", Rate: float64(i), Jobs: i},
			})
		}
		if err == nil {
			_, err = lease(lost.ID, 1)
		}
		if err == nil {
			err = jobs.Abandon(ctx, lost.ID, fault.New(fault.Expired), workers.OutcomeExpired, at)
		}
		return err
	}
	listening, heard := false, map[string]int{}
	db.writer.listen(t, func(table string) {
		if listening { // the writer's goroutine calls this, and only inside of work
			heard[table]++
		}
	})
	for i := 1; i <= 6; i++ {
		listening = i > 3 // by then everything was prepared once
		if err := work(i); err != nil {
			t.Fatal(err)
		}
	}
	if len(heard) > 0 {
		var tables []string
		for table, n := range heard {
			tables = append(tables, fmt.Sprint(table, " ", n))
		}
		t.Errorf("statements over these tables were prepared anew in three rounds: %s", strings.Join(tables, ", "))
	}
}
