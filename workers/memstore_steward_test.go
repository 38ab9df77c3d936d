package workers

import (
	"context"
	"time"

	"potluck/community"
)

func (s *memStore) alter(worker int64, f func(*Worker)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.workers[worker-1])
	return nil
}

func (s *memStore) Rename(_ context.Context, worker int64, name string) error {
	return s.alter(worker, func(w *Worker) { w.Name = name })
}

func (s *memStore) SetShare(_ context.Context, worker int64, share bool) error {
	return s.alter(worker, func(w *Worker) { w.Share = share })
}

func (s *memStore) SetPaused(_ context.Context, worker int64, since time.Time) error {
	return s.alter(worker, func(w *Worker) { w.Paused = since })
}

func (s *memStore) SetLimits(_ context.Context, worker int64, l Limits) error {
	return s.alter(worker, func(w *Worker) { w.Limits = l })
}

func (s *memStore) Vouch(_ context.Context, worker int64, c community.CommunityID, class Class, _ community.MemberID, _ time.Time) error {
	return s.alter(worker, func(w *Worker) {
		all := map[community.CommunityID]Class{c: class}
		for known, v := range w.Vouched {
			if known != c {
				all[known] = v
			}
		}
		if class == "" {
			delete(all, c)
		}
		w.Vouched = all
	})
}

func (s *memStore) Record(context.Context, int64, time.Time, int) (Record, error) {
	return Record{}, nil
}

func (s *memStore) CountUptime(context.Context, []int64, time.Duration, time.Time) error { return nil }
