package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"potluck/community"
	"potluck/ledger"
	"potluck/workers"
)

// BenchmarkFsyncFloor appends a page and waits for the disk: what one commit costs at the very least on this machine.
func BenchmarkFsyncFloor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsyncs/s")
}

// BenchmarkSettle is Finish with its settlement, by 1 caller and by 64 who share commits.
func BenchmarkSettle(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := newWorld(b)
			w.give(w.asker, ledger.Amount(b.N+1)*ledger.Credit)
			w.payer.Daily = 0
			ready := make([]workers.Settlement, b.N)
			parallel(b, b.N, 64, func(i int) {
				j := w.submit(fmt.Sprint("req:", i), ledger.Credit)
				ready[i] = w.settlement(j, w.lease(j, 1), 600)
			})
			before := w.db.Stats()
			b.ResetTimer()
			parallel(b, b.N, callers, func(i int) {
				if err := w.jobs.Finish(b.Context(), ready[i]); err != nil {
					b.Error(err)
				}
			})
			b.StopTimer()
			after := w.db.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "settles/s")
			b.ReportMetric(float64(after.Written-before.Written)/float64(after.Commits-before.Commits), "writes/commit")
		})
	}
}

// BenchmarkWholeJob is Submit, Lease and Finish: three durable writes.
func BenchmarkWholeJob(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := newWorld(b)
			w.give(w.asker, ledger.Amount(b.N+1)*ledger.Credit)
			w.payer.Daily = 0
			b.ResetTimer()
			parallel(b, b.N, callers, func(i int) {
				j := w.submit(fmt.Sprint("req:", i), ledger.Credit)
				if err := w.jobs.Finish(b.Context(), w.settlement(j, w.lease(j, 1), 600)); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkPointRead reads a job by its key (with opening the sealed payload), a consent by its primary key, and a member from memory.
func BenchmarkPointRead(b *testing.B) {
	w := newWorld(b)
	for i := range 1000 {
		w.submit(fmt.Sprint("req:", i), 0)
	}
	b.Run("job", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok, err := w.jobs.JobByKey(b.Context(), fmt.Sprint("req:", i%1000)); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("consent", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.people.Consent(b.Context(), w.asker, "public"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("member", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.people.Member(b.Context(), community.UserID(askerIdentity), "Ada", now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAudit checks a ledger of 20,000 settled jobs.
func BenchmarkAudit(b *testing.B) {
	w := newWorld(b)
	const jobs = 20_000
	w.give(w.asker, jobs*ledger.Credit)
	w.payer.Daily = 0
	parallel(b, jobs, 64, func(i int) {
		j := w.submit(fmt.Sprint("req:", i), ledger.Credit)
		if err := w.jobs.Finish(b.Context(), w.settlement(j, w.lease(j, 1), 600)); err != nil {
			b.Error(err)
		}
	})
	b.ResetTimer()
	postings := 0
	for b.Loop() {
		postings = w.sound().Postings
	}
	b.ReportMetric(float64(postings)*float64(b.N)/b.Elapsed().Seconds(), "postings/s")
}

// parallel calls f for 0…n-1 from that many goroutines.
func parallel(b *testing.B, n, callers int, f func(i int)) {
	var next atomic.Int64
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		}()
	}
	for range callers {
		<-done
	}
}
