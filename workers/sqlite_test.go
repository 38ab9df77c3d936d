package workers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"potluck/community"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/workers"
)

// The tests of package workers that need a database get it from here: storage imports workers, so they cannot open one themselves.
func init() {
	workers.SetSQLite(func(t testing.TB) (workers.Store, workers.Ledger) {
		db := storagetest.Open(t)
		return &storage.Jobs{DB: db}, &house{t, db}
	})
	workers.PictureWish = func(ctx context.Context, jobs interface {
		Do(context.Context, workers.Job, func(workers.Event)) (workers.Result, error)
	}, o workers.Origin, wait time.Duration) error {
		_, err := imagegen.New(imagegen.Config{Jobs: jobs, Wait: wait}).Draw(ctx, imagegen.Request{Origin: o, Prompt: "a lighthouse"}, nil)
		return err
	}
}

// house is the database as a test sees it beside the pool.
type house struct {
	t  testing.TB
	db *storage.DB
}

func (h *house) Member(i int) (community.MemberID, ledger.Payer) {
	id := community.UserID(fmt.Sprint("sim:", i))
	m, err := (&storage.People{DB: h.db}).Member(context.Background(), id, fmt.Sprint("member ", i), time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return m.ID, ledger.Payer{Allowance: ledger.AllowanceOf(id), Daily: 1e9, Spend: ledger.SpendOf(m.ID)}
}

func (h *house) MakeOperator(m community.MemberID) {
	if err := (&storage.People{DB: h.db}).MakeOperator(context.Background(), m); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) Sound(final bool) error {
	now := time.Now()
	if final {
		now = now.Add(24 * time.Hour) // every hold is overdue then
	}
	r, err := (&storage.Credits{DB: h.db}).AuditAt(context.Background(), now)
	if err != nil {
		return err
	}
	if len(r.Breaches) > 0 {
		return fmt.Errorf("%d breaches, the first: %+v", len(r.Breaches), r.Breaches[0])
	}
	return nil
}

func (h *house) Earned(m community.MemberID) ledger.Amount {
	b, err := (&storage.Credits{DB: h.db}).Balance(context.Background(), m, ledger.Payer{Spend: ledger.SpendOf(m)}, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return b.Pending
}
