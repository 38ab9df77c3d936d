package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"potluck/community"
	"potluck/ledger"
	"potluck/workers"
)

// durablePage returns a function that appends a page to a file and waits for the disk: what one commit costs at the very least on this machine.
func durablePage(b *testing.B) func() {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	page := make([]byte, 4096)
	return func() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFsyncFloor(b *testing.B) {
	write := durablePage(b)
	for b.Loop() {
		write()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsyncs/s")
}

// reportFloor reports the median of some durable writes, to be read beside what b measures.
func reportFloor(b *testing.B) {
	write := durablePage(b)
	took := make([]time.Duration, 200)
	for i := range took {
		begun := time.Now()
		write()
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "fsync-ms")
}

// cpuTime is what this process has used of all processors; nil where the system does not tell.
var cpuTime func() time.Duration

// measured runs f, which does n things, and reports what one cost the processors: on a busy machine that says more than the time.
func measured(b *testing.B, n int, f func()) {
	var before time.Duration
	if cpuTime != nil {
		before = cpuTime()
	}
	b.ResetTimer()
	f()
	b.StopTimer()
	if cpuTime != nil {
		b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/1000/float64(n), "cpu-µs/op")
	}
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
			measured(b, b.N, func() {
				parallel(b, b.N, callers, func(i int) {
					if err := w.jobs.Finish(b.Context(), ready[i]); err != nil {
						b.Error(err)
					}
				})
			})
			after := w.db.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "settles/s")
			b.ReportMetric(float64(after.Written-before.Written)/float64(after.Commits-before.Commits), "writes/commit")
			reportFloor(b)
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
			measured(b, b.N, func() {
				parallel(b, b.N, callers, func(i int) {
					j := w.submit(fmt.Sprint("req:", i), ledger.Credit)
					if err := w.jobs.Finish(b.Context(), w.settlement(j, w.lease(j, 1), 600)); err != nil {
						b.Error(err)
					}
				})
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
			reportFloor(b)
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
