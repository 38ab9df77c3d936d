package workers

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// memStore keeps the rules of Store in memory: one current lease per job, holds that resolve once, idempotent keys.
type memStore struct {
	mu       sync.Mutex
	jobs     []*Job
	running  map[int64]Attempt
	numbers  map[[2]int64]bool
	outcomes []Outcome
	counted  []bool
	balance  map[community.MemberID]ledger.Amount
	earned   map[community.MemberID]ledger.Amount
	resolved map[int64]int
	workers  []*Worker
	codes    map[[32]byte]memCode
	speeds   map[speedKey]Speed
	seen     map[int64]time.Time
	said     map[int64][]protocol.Offer
	visits   int  // calls of Seen
	broke    bool // nobody may owe anything
	// refuse, when set, may fail a call by name.
	refuse func(call string) error
}

type memCode struct {
	owner   community.MemberID
	name    string
	share   bool
	expires time.Time
}

func newMemStore() *memStore {
	return &memStore{
		running: map[int64]Attempt{}, numbers: map[[2]int64]bool{}, balance: map[community.MemberID]ledger.Amount{}, earned: map[community.MemberID]ledger.Amount{},
		resolved: map[int64]int{}, codes: map[[32]byte]memCode{}, speeds: map[speedKey]Speed{}, seen: map[int64]time.Time{}, said: map[int64][]protocol.Offer{},
	}
}

func (s *memStore) enter(call string) (func(), error) {
	s.mu.Lock()
	if s.refuse != nil {
		if err := s.refuse(call); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	return s.mu.Unlock, nil
}

// stored is a job as a database would give it back: nothing shared, no Check.
func stored(j *Job) Job {
	c := *j
	c.Check, c.Visible = nil, nil
	c.Chat, c.Image, c.Translate, c.Result = nil, nil, nil, nil
	for _, p := range []struct{ from, to any }{{j.Chat, &c.Chat}, {j.Image, &c.Image}, {j.Translate, &c.Translate}, {j.Result, &c.Result}} {
		b, err := json.Marshal(p.from)
		if err == nil {
			err = json.Unmarshal(b, p.to)
		}
		if err != nil {
			panic(err)
		}
	}
	return c
}

func (s *memStore) Submit(_ context.Context, j Job, c ledger.Charge, now time.Time) (Job, error) {
	leave, err := s.enter("submit")
	if err != nil {
		return Job{}, err
	}
	defer leave()
	for _, old := range s.jobs {
		if old.Key == j.Key {
			return stored(old), nil
		}
	}
	if have := s.balance[j.Member]; s.broke && have < c.Amount {
		return Job{}, fault.New(fault.NoCredit, "need", c.Amount, "have", have, "reset", "tomorrow")
	}
	s.balance[j.Member] -= c.Amount
	j.ID, j.State, j.Created, j.Held, j.Check = int64(len(s.jobs)+1), Queued, now, c.Amount, nil
	s.jobs = append(s.jobs, &j)
	return stored(&j), nil
}

func (s *memStore) JobByKey(_ context.Context, key string) (Job, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.Key == key {
			return stored(j), true, nil
		}
	}
	return Job{}, false, nil
}

func (s *memStore) Lease(_ context.Context, a Attempt) error {
	leave, err := s.enter("lease")
	if err != nil {
		return err
	}
	defer leave()
	j := s.jobs[a.Job-1]
	if j.State != Queued {
		return ErrStale
	}
	if s.numbers[[2]int64{a.Job, int64(a.Number)}] {
		return storeError("UNIQUE constraint failed: attempts.job, attempts.number")
	}
	s.numbers[[2]int64{a.Job, int64(a.Number)}] = true
	j.State, s.running[a.Job] = Leased, a
	return nil
}

func (s *memStore) Requeue(_ context.Context, lease string, o Outcome, counts bool, _ time.Time) error {
	leave, err := s.enter("requeue")
	if err != nil {
		return err
	}
	defer leave()
	for id, a := range s.running {
		if a.Lease == lease {
			delete(s.running, id)
			s.jobs[id-1].State = Queued
			if counts {
				s.jobs[id-1].Attempts++
			}
			s.outcomes, s.counted = append(s.outcomes, o), append(s.counted, counts)
			return nil
		}
	}
	return ErrStale
}

func (s *memStore) Finish(_ context.Context, f Settlement) error {
	leave, err := s.enter("finish")
	if err != nil {
		return err
	}
	defer leave()
	a, ok := s.running[f.Attempt.Job]
	if !ok || a.Lease != f.Attempt.Lease {
		return ErrStale
	}
	j := s.jobs[a.Job-1]
	if f.Bill.Paid+f.Bill.Returned != j.Held || f.Bill.Paid < 0 {
		panic("the bill does not resolve the hold")
	}
	delete(s.running, a.Job)
	res := f.Result
	j.State, j.Result = Done, &res
	s.resolved[j.ID]++
	s.balance[j.Member] += f.Bill.Returned
	s.earned[f.Earner] += f.Bill.Paid
	s.outcomes, s.counted = append(s.outcomes, OutcomeDone), append(s.counted, true)
	if f.Speed.Worker != 0 {
		s.speeds[speedKey{f.Speed.Worker, f.Speed.Kind, f.Speed.Model}] = f.Speed
	}
	return nil
}

func (s *memStore) Abandon(_ context.Context, id int64, why *fault.Error, o Outcome, _ time.Time) error {
	leave, err := s.enter("abandon")
	if err != nil {
		return err
	}
	defer leave()
	j := s.jobs[id-1]
	if j.State.Final() {
		return ErrStale
	}
	if _, ok := s.running[id]; ok {
		delete(s.running, id)
		s.outcomes = append(s.outcomes, o)
	}
	j.State, j.Failure = Failed, why
	if why.Code == fault.Cancelled {
		j.State = Cancelled
	}
	s.resolved[id]++
	s.balance[j.Member] += j.Held
	return nil
}

func (s *memStore) Open(context.Context) ([]Job, []Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var jobs []Job
	var attempts []Attempt
	for _, j := range s.jobs {
		if !j.State.Final() {
			jobs = append(jobs, stored(j))
			if a, ok := s.running[j.ID]; ok {
				attempts = append(attempts, a)
			}
		}
	}
	return jobs, attempts, nil
}

func (s *memStore) Running(_ context.Context, job int64) (Attempt, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.running[job]
	return a, ok, nil
}

func (s *memStore) Unerased(context.Context) (leases []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.Result == nil {
			continue
		}
		for _, path := range j.Result.Blobs {
			lease, _, _ := strings.Cut(filepath.Base(path), "-")
			leases = append(leases, lease)
		}
	}
	return leases, nil
}

func (s *memStore) Erase(_ context.Context, request string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, j := range s.jobs {
		if strings.HasPrefix(j.Key, request+":") && j.Result != nil {
			paths = append(paths, j.Result.Blobs...)
			j.Result = nil
		}
	}
	return paths, nil
}

func (s *memStore) SaveJoinCode(_ context.Context, hash [32]byte, owner community.MemberID, name string, share bool, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[hash] = memCode{owner, name, share, expires}
	return nil
}

func (s *memStore) Enrol(_ context.Context, hash [32]byte, key []byte, hw protocol.Hardware, limit int, now time.Time) (Worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.codes[hash]
	if !ok || !now.Before(c.expires) {
		return Worker{}, ErrBadCode
	}
	n := 0
	for _, w := range s.workers {
		if w.Owner == c.owner && !w.Revoked {
			n++
		}
	}
	if n >= limit {
		return Worker{}, fault.New(fault.TooManyWorkers, "max", limit)
	}
	delete(s.codes, hash)
	for _, w := range s.workers {
		if bytes.Equal(w.Key, key) {
			w.Owner, w.Revoked = c.owner, false
			return *w, nil
		}
	}
	w := &Worker{ID: int64(len(s.workers) + 1), Owner: c.owner, OwnerName: "Rita", Name: c.name, Share: c.share, Key: key, Linked: now, Hardware: hw}
	s.workers = append(s.workers, w)
	return *w, nil
}

func (s *memStore) Name(_ context.Context, worker int64, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.workers[worker-1]; w.Name == "" {
		w.Name = name
	}
	return nil
}

func (s *memStore) WorkerByKey(_ context.Context, key []byte) (Worker, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		if bytes.Equal(w.Key, key) {
			return *w, true, nil
		}
	}
	return Worker{}, false, nil
}

func (s *memStore) Workers(_ context.Context, owner community.MemberID) ([]Worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Worker
	for _, w := range s.workers {
		if !w.Revoked && (owner == 0 || owner == w.Owner) {
			out = append(out, *w)
		}
	}
	return out, nil
}

func (s *memStore) Revoke(_ context.Context, id int64, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[id-1].Revoked = true
	return nil
}

func (s *memStore) Seen(_ context.Context, worker int64, _ protocol.Hardware, offers []protocol.Offer, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[worker], s.said[worker] = at, offers
	s.visits++
	return nil
}

func (s *memStore) lastSeen(worker int64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[worker]
}

func (s *memStore) Speeds(context.Context) ([]Speed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Speed
	for _, v := range s.speeds {
		out = append(out, v)
	}
	return out, nil
}

// history is the outcomes of all attempts so far.
func (s *memStore) history() []Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.outcomes)
}
