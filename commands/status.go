package commands

import (
	"context"
	"fmt"
	"runtime"

	"potluck/bot"
	"potluck/community"
	"potluck/workers"
	"potluck/workers/protocol"
)

func (h House) status() bot.Command {
	return bot.Command{Name: "status", Private: true, Run: h.showStatus}
}

func (h House) showStatus(ctx context.Context, in *bot.Invocation) error {
	s, err := h.Running.Health(ctx)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	o := h.Pool.Overview()
	states := make(map[workers.WorkerState]int)
	for _, w := range o.Workers {
		states[w.State]++
	}
	load, err := h.poolLoad(ctx, in.Say, o)
	if err != nil {
		return err
	}
	lines := []bot.Text{
		in.Say(verdict(s, o)),
		in.Say("status.machines", "n", states[workers.Online], "paused", states[workers.Paused]+states[workers.Draining], "away", states[workers.Away]),
		load,
		in.Say("status.lag", "database", s.Database.Milliseconds(), "loop", s.Loop.Milliseconds()),
		in.Say("status.program", "version", s.Version, "up", h.Now().Sub(s.Started), "since", s.Started),
	}
	if in.Request.Role >= community.Admin {
		lines = append(lines, adminStatus(in.Say, o))
	}
	if in.Request.Role >= community.Operator {
		lines = append(lines, in.Say("status.operator", "memory", s.Memory>>20, "goroutines", s.Goroutines, "database", s.Size>>20, "go", runtime.Version()))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", lines...)})
}

// slow is what makes people wait noticeably, in milliseconds.
const slow = 1000

// verdict is the key of the one sentence that says whether everything is well.
func verdict(s Health, o workers.Overview) string {
	switch {
	case s.Database.Milliseconds() > slow || s.Loop.Milliseconds() > slow:
		return "status.slow"
	case len(o.Models) == 0:
		return "status.nobody"
	}
	return "status.well"
}

// adminStatus tells per kind how much waits and who could do it.
func adminStatus(say bot.Say, o workers.Overview) bot.Text {
	var lines []bot.Text
	for _, k := range protocol.Kinds() {
		able := 0
		for _, m := range o.Models {
			if m.Kind == k {
				able = max(able, m.Workers)
			}
		}
		lines = append(lines, say("status.kind", "kind", say("help.kind", "kind", k), "queued", o.Queued[k], "running", o.Running[k], "able", able))
	}
	return joined("\n", lines...)
}
