package commands

import (
	"math"
	"slices"
	"strings"

	"potluck/bot"
	"potluck/workers"
	"potluck/workers/protocol"
)

// progress words what happens to a job until its result begins to show.
type progress struct {
	say     bot.Say
	online  func() bool   // tells whether any machine could take such a job now
	until   any           // when the job is given up; "" = not told
	event   workers.Event // the newest that changes the words
	job     int64         // 0 = none yet
	started int           // attempt that runs or ran last; 0 = none yet
	worker  string
	left    bool // a worker left and the job goes to another
	nobody  bool // no machine that is online could take the job
}

func (h House) progress(in *bot.Invocation, kind protocol.Kind) progress {
	p := progress{say: in.Say, until: "", online: func() bool {
		return slices.ContainsFunc(h.Pool.Overview().Workers, func(w workers.WorkerView) bool {
			return w.State == workers.Online && slices.ContainsFunc(w.Offers, func(o workers.OfferView) bool { return o.Kind == kind })
		})
	}}
	if end := in.Request.Created.Add(h.Patience); h.Patience > 0 && end.After(h.Now()) {
		p.until = end
	}
	return p
}

func (p *progress) see(e workers.Event) {
	p.job = max(p.job, e.Job)
	switch e.Kind {
	case workers.Waiting:
		p.left = p.left || p.started > 0
		p.nobody = !p.online()
	case workers.Started:
		p.left = p.left || p.started > 0 && e.Attempt > p.started
		p.started, p.worker = e.Attempt, e.WorkerName
	case workers.Preview:
		return // carries no numbers: those of the last event stay
	}
	p.event = e
}

func (p *progress) text() bot.Text {
	var line, bar bot.Text
	switch e := p.event; e.Kind {
	case workers.Started, workers.Text, workers.Progress:
		line = p.say("wait.started", "worker", p.worker)
		if e.Kind == workers.Progress {
			bar = p.say("wait.progress", "bar", drawBar(e.Fraction), "fraction", e.Fraction, "step", e.Step, "steps", e.Steps)
		}
	default:
		if e.Kind == workers.Waiting && p.nobody {
			line = p.say("wait.nobody", "until", p.until)
			break
		}
		if e.Position < 1 {
			line = p.say("wait.looking")
			break
		}
		var eta any = ""
		if e.ETA > 0 {
			eta = e.ETA
		}
		line = p.say("wait.line", "position", e.Position, "eta", eta)
	}
	switch {
	case p.left && p.event.Kind == workers.Waiting:
		line = joined("\n", p.say("wait.left"), line)
	case p.left:
		line = joined("\n", p.say("wait.takes_over"), line)
	}
	return joined("\n", line, bar)
}

const barLength = 10

func drawBar(fraction float64) string {
	full := 0
	if fraction > 0 { // also false for NaN
		full = int(math.Round(min(fraction, 1) * barLength))
	}
	return strings.Repeat("▓", full) + strings.Repeat("░", barLength-full)
}
