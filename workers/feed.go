package workers

import (
	"sync"
	"time"

	"potluck/workers/protocol"
)

// feed carries news of one job from the link to those who wait for it, past the run loop. It keeps only the latest of each kind, so a slow
// caller misses steps but never text, and nobody is ever waited for.
type feed struct {
	mu      sync.Mutex
	readers map[chan struct{}]struct{}
	now     news
	job     int64
	over    bool // nothing changes any more

	sign  time.Time // when the running attempt last showed that it is at work
	spoke bool      // text of it has come
	most  int       // bytes of text that it had at most
}

// news is the state of a job as callers see it; each version counts how often its part changed.
type news struct {
	waiting, started, text, progress, preview uint64

	position    int
	eta         time.Duration
	attempt     int // the running one, 0 = none
	startedFor  int // the last attempt that a worker accepted
	worker      int64
	workerName  string
	workerOwner string
	written     []byte
	fraction    float64
	step, steps int
	image       []byte
}

func newFeed() *feed { return &feed{readers: map[chan struct{}]struct{}{}} }

func (f *feed) change(attempt int, do func(*news)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if attempt != f.now.attempt || f.over {
		return // of an attempt that is over
	}
	do(&f.now)
	for r := range f.readers {
		select {
		case r <- struct{}{}:
		default:
		}
	}
}

// wait tells where the job stands in the queue.
func (f *feed) wait(position int, eta time.Duration) {
	f.change(0, func(n *news) {
		if n.waiting > 0 && n.position == position && n.eta.Round(time.Second) == eta.Round(time.Second) {
			return
		}
		n.position, n.eta = position, eta
		n.waiting++
	})
}

// of says which job this is about, as soon as it has a number.
func (f *feed) of(job int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.job = job
}

// begin makes attempt the running one (0: none); what an earlier one wrote is forgotten.
func (f *feed) begin(attempt int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = false
	f.now.attempt, f.now.written, f.now.image = attempt, nil, nil
	f.now.fraction, f.now.step, f.now.steps = 0, 0, 0
	f.sign, f.spoke, f.most = time.Time{}, false, 0
	if attempt == 0 {
		f.now.position = 0
	}
}

// end lets nothing change any more; what the last attempt wrote stays, for callers who have not read it yet.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

func (f *feed) start(attempt int, w Worker) {
	f.change(attempt, func(n *news) {
		if n.startedFor != attempt {
			n.startedFor, n.worker, n.workerName, n.workerOwner = attempt, w.ID, shownName(w), shownOwner(w)
			n.started++
		}
	})
}

// write adds text of an attempt; with reset it replaces all. It returns false when the answer is longer than any may be.
func (f *feed) write(attempt int, text string, reset bool) bool {
	ok := true
	f.change(attempt, func(n *news) {
		if reset {
			n.written = n.written[:0]
		}
		if ok = len(n.written)+len(text) <= protocol.MaxText; ok {
			n.written = append(n.written, text...)
			n.text++
		}
		if len(n.written) > f.most { // the same text again is no sign of work
			f.sign, f.spoke, f.most = time.Now(), true, len(n.written)
		}
	})
	return ok
}

func (f *feed) advance(attempt int, fraction float64, step, steps int) {
	f.change(attempt, func(n *news) {
		n.fraction, n.step, n.steps = fraction, step, steps
		n.progress++
		f.sign = time.Now()
	})
}

func (f *feed) show(attempt int, image []byte) {
	f.change(attempt, func(n *news) {
		n.image = image
		n.preview++
		f.sign = time.Now()
	})
}

// signs tells when an attempt last showed that it is at work (zero: never), and whether it has written anything.
func (f *feed) signs(attempt int) (last time.Time, spoke bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if attempt != f.now.attempt {
		return time.Time{}, false
	}
	return f.sign, f.spoke
}

// written is what an attempt has written so far.
func (f *feed) written(attempt int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if attempt != f.now.attempt {
		return ""
	}
	return string(f.now.written)
}

func (f *feed) subscribe() chan struct{} {
	r := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers[r] = struct{}{}
	r <- struct{}{}
	return r
}

func (f *feed) unsubscribe(r chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

// since returns what changed after seen, in an order that makes sense, and moves seen on. Without previews a new one stays for the next time.
func (f *feed) since(seen *news, previews bool) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Event
	n := &f.now
	add := func(changed bool, e Event) {
		if changed {
			e.Job, e.Attempt = f.job, n.attempt
			out = append(out, e)
		}
	}
	if n.attempt != 0 && n.startedFor == n.attempt {
		add(n.started != seen.started, Event{Kind: Started, Worker: n.worker, WorkerName: n.workerName, WorkerOwner: n.workerOwner})
		if n.text != seen.text && len(n.written) > 0 {
			add(true, Event{Kind: Text, Text: string(n.written)})
		}
		add(n.progress != seen.progress && (n.fraction > 0 || n.step > 0), Event{Kind: Progress, Fraction: n.fraction, Step: n.step, Steps: n.steps})
		add(previews && n.preview != seen.preview && n.image != nil, Event{Kind: Preview, Preview: n.image})
	} else if n.attempt == 0 {
		add(n.waiting != seen.waiting && n.position > 0, Event{Kind: Waiting, Position: n.position, ETA: n.eta})
	}
	if n.attempt != 0 && n.startedFor != n.attempt {
		return out // Started is still to come, and nothing of this attempt before it
	}
	shown := n.preview
	if !previews {
		shown = seen.preview
	}
	*seen = news{waiting: n.waiting, started: n.started, text: n.text, progress: n.progress, preview: shown}
	return out
}
