package commands

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/bot"
	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

// progress words what happens to a job until its result begins to show.
type progress struct {
	say     bot.Say
	now     func() time.Time
	able    func() (able bool, others []string) // whether a machine that is here could take such a job, and which other models there are
	model   string                              // that was asked for; "" = any
	until   any                                 // when the job is given up; "" = not told
	event   workers.Event                       // the newest that changes the words
	came    time.Time                           // when the event came
	begun   time.Time                           // when the attempt that runs began
	job     int64                               // 0 = none yet
	started int                                 // attempt that runs or ran last; 0 = none yet
	worker  string
	left    bool // a worker left and the job goes to another
}

func (h House) progress(in *bot.Invocation, kind protocol.Kind, model string) progress {
	p := progress{say: in.Say, now: h.Now, until: "", model: model, able: func() (bool, []string) {
		return able(h.Pool.Overview(), h.origin(in), kind, model)
	}}
	if end := in.Request.Created.Add(h.Patience); h.Patience > 0 && end.After(h.Now()) {
		p.until = end
	}
	return p
}

// able tells whether a machine that is online now may take a job of a kind and model (empty: any), and which other models are there.
func able(o workers.Overview, from workers.Origin, kind protocol.Kind, model string) (able bool, others []string) {
	for _, w := range o.Workers {
		if w.State != workers.Online || from.Class == workers.Private && !w.Operator && w.Vouched[from.Community] != workers.Private {
			continue
		}
		for _, offer := range w.Offers {
			switch {
			case offer.Kind != kind:
			case model == "" || offer.Canonical == model:
				able = true
			case !slices.Contains(others, offer.Canonical):
				others = append(others, offer.Canonical)
			}
		}
	}
	slices.Sort(others)
	return able, others
}

func (p *progress) see(e workers.Event) {
	p.job = max(p.job, e.Job)
	switch e.Kind {
	case workers.Waiting:
		p.left = p.left || p.started > 0
	case workers.Started:
		p.left = p.left || p.started > 0 && e.Attempt > p.started
		p.started, p.worker, p.begun = e.Attempt, creditTo(p.say, e.WorkerName, e.WorkerOwner), p.now()
	case workers.Preview:
		return // carries no numbers: those of the last event stay
	}
	p.event, p.came = e, p.now()
}

// working tells whether a job of this very run waits or is worked on, see bot.Reply.Working.
func (p *progress) working() bool { return p.event.Kind != "" }

func (p *progress) text() bot.Text {
	var line, bar bot.Text
	switch e := p.event; e.Kind {
	case workers.Started, workers.Text, workers.Progress:
		line = p.say("wait.started", "worker", p.worker)
		if e.Kind == workers.Progress {
			bar = p.say("wait.progress", "bar", drawBar(e.Fraction), "fraction", e.Fraction, "step", e.Step, "steps", e.Steps, "left", p.rest())
		}
	default:
		line = p.waiting(e)
	}
	switch {
	case p.left && p.event.Kind == workers.Waiting:
		line = joined("\n", p.say("wait.left"), line)
	case p.left:
		line = joined("\n", p.say("wait.takes_over"), line)
	}
	return joined("\n", line, bar)
}

func (p *progress) waiting(e workers.Event) bot.Text {
	if e.Kind == workers.Waiting {
		if able, others := p.able(); !able {
			return p.say("wait.nobody", "until", p.until, "model", p.model, "others", strings.Join(others, ", "))
		}
	}
	if e.Position < 1 {
		return p.say("wait.looking")
	}
	var eta any = ""
	if e.ETA > 0 {
		// What was guessed when the event came runs down; the guess was wrong when it has.
		left := e.ETA - p.now().Sub(p.came)
		if left <= 0 {
			return p.say("wait.late", "position", e.Position)
		}
		eta = left
	}
	return p.say("wait.line", "position", e.Position, "eta", eta)
}

// rest guesses how long the attempt still needs from how far it has come; "" while that says too little.
func (p *progress) rest() any {
	f, took := p.event.Fraction, p.came.Sub(p.begun)
	if !(f >= 0.1 && f < 1) || p.begun.IsZero() || took < time.Second {
		return ""
	}
	left := time.Duration(float64(took)*(1-f)/f) - p.now().Sub(p.came)
	if left < time.Second {
		return ""
	}
	return left
}

const barLength = 10

func drawBar(fraction float64) string {
	full := 0
	if fraction > 0 { // also false for NaN
		full = int(math.Round(min(fraction, 1) * barLength))
	}
	return strings.Repeat("▓", full) + strings.Repeat("░", barLength-full)
}

// tick is how often what is told of a wait is looked at anew while nothing happens.
const tick = 5 * time.Second

// ticking calls show every now and then, so that guesses of times run down, until stop is called; show is not called any more then.
func ticking(ctx context.Context, show func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				show()
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// possible is what stands below a refusal for want of a machine: what those that are there can do instead.
func (h House) possible(in *bot.Invocation, err error) bot.Text {
	if !fault.Has(err, fault.NoWorker) && !fault.Has(err, fault.NoPrivateWorker) {
		return bot.Text{}
	}
	o := h.Pool.Overview()
	if len(o.Models) == 0 || !slices.ContainsFunc(o.Workers, func(w workers.WorkerView) bool { return w.State == workers.Online }) {
		return bot.Text{} // the refusal says it already
	}
	return small(h.online(in.Say, in.Request.Chat))
}
