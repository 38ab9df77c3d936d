package commands

import (
	"math"
	"strings"

	"potluck/bot"
	"potluck/workers"
)

// progress words what happens to a job until its result begins to show.
type progress struct {
	say     bot.Say
	event   workers.Event // the newest that changes the words
	started int           // attempt that runs or ran last; 0 = none yet
	worker  string
	left    bool // a worker left and the job goes to another
}

func (p *progress) see(e workers.Event) {
	switch e.Kind {
	case workers.Waiting:
		p.left = p.left || p.started > 0
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
	if p.left {
		line = joined("\n", p.say("wait.left"), line)
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
