package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

const actionRevoke = "worker_revoke"

func (h House) worker() bot.Command {
	return bot.Command{
		Name:    "worker",
		Private: true,
		Subcommands: append([]bot.Command{
			{
				Name: "link", Private: true, Run: h.link,
				Options: []bot.Option{
					{Name: "name", Kind: bot.String, Rest: true, Max: 32},
					{Name: "share", Kind: bot.Bool},
				},
			},
			{Name: "list", Private: true, Run: h.list},
			{
				Name: "revoke", Private: true, Run: h.revoke,
				Options: []bot.Option{{Name: "id", Kind: bot.Integer, Required: true}},
			},
		}, h.ownerCommands()...),
	}
}

func (h House) link(ctx context.Context, in *bot.Invocation) error {
	join, expires, err := h.Pool.Link(ctx, in.Member, plainForm(in.Options["name"]), in.Options["share"] == "true")
	if err != nil {
		return fmt.Errorf("link a worker: %w", err)
	}
	s := join.String()
	code := bot.Plain(s).In(bot.Code, "")
	run := bot.Plain("potluck-worker join "+s+"\npotluck-worker run").In(bot.Pre, "sh")
	text := joined("\n\n",
		joined("\n", in.Say("worker.link_string"), code),
		joined("\n", in.Say("worker.link_run"), run),
		in.Say("worker.link_once", "left", expires.Sub(h.Now()), "expires", expires),
	)
	if protocol.Loopback(join.Server) {
		text = joined("\n\n", text, in.Say("worker.link_loopback", "url", join.Server))
	}
	if in.Options["share"] != "true" {
		text = joined("\n\n", text, small(in.Say("worker.link_unnamed")))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: text})
}

func (h House) list(ctx context.Context, in *bot.Invocation) error {
	mine, err := h.Pool.Workers(ctx, in.Member.ID)
	if err != nil {
		return fmt.Errorf("list workers: %w", err)
	}
	if len(mine) == 0 {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("worker.none")})
	}
	live := make(map[int64]workers.WorkerView)
	for _, v := range h.Pool.Overview().Workers {
		live[v.ID] = v
	}
	lines := []bot.Text{in.Say("worker.list", "n", len(mine))}
	for _, w := range mine {
		v, ok := live[w.ID]
		if !ok || v.State == workers.Away {
			v = workers.WorkerView{Worker: w, State: workers.Away}
		}
		lines = append(lines, h.workerText(in.Say, v))
	}
	lines = append(lines, in.Say("worker.list_more"))
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", lines...)})
}

// maxOffers is how many models of one worker are listed.
const maxOffers = 8

func (h House) workerText(say bot.Say, w workers.WorkerView) bot.Text {
	state := string(w.State)
	if w.State == workers.Online && len(w.Jobs) > 0 {
		state = "working"
	}
	reason := w.Reason
	if w.Closed != "" {
		reason = say("worker.closed", "why", w.Closed).Plain
	}
	lines := []bot.Text{say("worker.line", "name", w.Name, "state", state, "reason", reason, "id", w.ID)}

	var gpus []string
	for _, g := range w.Hardware.GPUs {
		gpus = append(gpus, say("worker.gpu", "name", g.Name, "vram", gigabytes(g.VRAMMB)).Plain)
	}
	lines = append(lines, say("worker.hardware", "gpus", strings.Join(gpus, " + "), "cpus", w.Hardware.CPUs, "ram", gigabytes(w.Hardware.RAMMB)))
	if w.State == workers.Away {
		if w.Seen.IsZero() {
			lines = append(lines, say("worker.never_seen"))
		} else {
			lines = append(lines, say("worker.seen", "ago", h.Now().Sub(w.Seen), "seen", w.Seen))
		}
		if !w.Paused.IsZero() {
			lines = append(lines, say("worker.halted", "id", w.ID))
		}
		return joined("\n", lines...)
	}

	var offers []string
	for i, o := range w.Offers {
		if i == maxOffers {
			offers = append(offers, "…")
			break
		}
		offers = append(offers, say("help.kind", "kind", o.Kind).Plain+" "+o.Canonical)
	}
	return joined("\n", append(lines, say("worker.offers", "n", len(offers), "offers", offers))...)
}

// gigabytes rounds as cards are sold: 12288 MB and 12036 MB are 12 GB.
func gigabytes(mb int) int { return (mb + 512) / 1024 }

// owned finds a worker that the member may revoke: an own one, or any for an operator.
func (h House) owned(ctx context.Context, m community.Member, id int64) (workers.Worker, error) {
	owner := m.ID
	if m.Operator {
		owner = 0
	}
	all, err := h.Pool.Workers(ctx, owner)
	if err != nil {
		return workers.Worker{}, fmt.Errorf("look up worker: %w", err)
	}
	i := slices.IndexFunc(all, func(w workers.Worker) bool { return w.ID == id })
	if i < 0 {
		return workers.Worker{}, fault.New(fault.UnknownWorker, "worker", id)
	}
	return all[i], nil
}

func (h House) revoke(ctx context.Context, in *bot.Invocation) error {
	id, err := strconv.ParseInt(plainForm(in.Options["id"]), 10, 64)
	if err != nil {
		return fault.Wrap(err, fault.UnknownWorker, "worker", in.Options["id"])
	}
	w, err := h.owned(ctx, in.Member, id)
	if err != nil {
		return err
	}
	data, err := json.Marshal(w.ID)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{
		Text:    in.Say("worker.revoke", "name", w.Name, "id", w.ID),
		Buttons: []bot.NewButton{{Action: actionRevoke, Label: in.Say("button.revoke"), Style: bot.Danger, Data: data}},
	})
}

func (h House) revokeConfirmed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var id int64
	if err := json.Unmarshal(a.Data, &id); err != nil {
		return fault.Wrap(err, fault.Gone)
	}
	w, err := h.owned(ctx, in.Member, id)
	if errors.Is(err, fault.New(fault.UnknownWorker)) {
		return fault.Wrap(err, fault.Gone) // revoked meanwhile
	}
	if err != nil {
		return err
	}
	if err := h.Pool.Revoke(ctx, id, in.Member); err != nil {
		return fmt.Errorf("revoke worker: %w", err)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("worker.revoked", "name", w.Name)})
}
