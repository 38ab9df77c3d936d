package commands

import (
	"context"
	"fmt"
	"slices"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/workers"
	"potluck/workers/protocol"
)

func (h House) pool() bot.Command {
	id := bot.Option{Name: "id", Kind: bot.Integer, Required: true}
	return bot.Command{
		Name: "pool",
		Subcommands: []bot.Command{
			{Name: "show", Run: h.poolShow},
			{Name: "wanted", Run: h.poolWanted},
			{
				Name: "vouch", Needs: community.Admin, Run: h.vouch,
				Options: []bot.Option{id, {Name: "class", Kind: bot.Choice, Choices: []string{string(workers.Community), string(workers.Private)}}},
			},
			{Name: "unvouch", Needs: community.Admin, Run: h.unvouch, Options: []bot.Option{id}},
		},
	}
}

// maxMachines is how many machines /pool show lists, maxModels how many models.
const (
	maxMachines = 15
	maxModels   = 12
)

func (h House) poolShow(ctx context.Context, in *bot.Invocation) error {
	o := h.Pool.Overview()
	var lines []bot.Text
	for i, w := range o.Workers {
		if i == maxMachines {
			lines = append(lines, in.Say("pool.others", "n", len(o.Workers)-i))
			break
		}
		lines = append(lines, poolLine(in, w))
	}
	parts := []bot.Text{joined("\n", append([]bot.Text{in.Say("pool.machines", "n", len(o.Workers))}, lines...)...)}
	if can := poolModels(in.Say, o); can.Plain != "" {
		parts = append(parts, can)
	}
	line, err := h.poolLoad(ctx, in.Say, o)
	if err != nil {
		return err
	}
	if w := in.Request.Chat.Community; w != "" {
		b, err := h.Gifts.PoolBalance(ctx, w)
		if err != nil {
			return err
		}
		line = joined("\n", line, in.Say("pool.fund", "amount", b))
	}
	parts = append(parts, line)
	if in.Request.Role >= community.Admin && (in.Request.Private || in.Request.Chat.Private) { // nobody else in the chat needs it
		parts = append(parts, small(in.Say("pool.admins")))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", parts...)})
}

// poolLine is a machine as everybody may see it: its name only when its owner wants that.
func poolLine(in *bot.Invocation, w workers.WorkerView) bot.Text {
	state := string(w.State)
	if w.State == workers.Online && len(w.Jobs) > 0 {
		state = "working"
	}
	gpu := ""
	if len(w.Hardware.GPUs) > 0 {
		gpu = w.Hardware.GPUs[0].Name
	}
	class := string(w.Vouched[in.Request.Chat.Community])
	if w.Operator {
		class = string(workers.Private)
	}
	var kinds []string
	for _, k := range protocol.Kinds() {
		if slices.ContainsFunc(w.Offers, func(o workers.OfferView) bool { return o.Kind == k }) && (len(w.Limits.Kinds) == 0 || slices.Contains(w.Limits.Kinds, k)) {
			kinds = append(kinds, in.Say("help.kind", "kind", k).Plain)
		}
	}
	return in.Say("pool.machine", "name", creditTo(in.Say, w.ShownName, w.OwnerName), "id", w.ID, "gpu", gpu,
		"state", state, "class", class, "n", len(kinds), "kinds", kinds)
}

func poolModels(say bot.Say, o workers.Overview) bot.Text {
	var lines []bot.Text
	for _, k := range protocol.Kinds() {
		var names []string
		for _, m := range o.Models {
			if m.Kind == k && len(names) < maxModels {
				names = append(names, m.Model)
			}
		}
		if len(names) > 0 {
			lines = append(lines, say("pool.models", "kind", say("help.kind", "kind", k), "models", names))
		}
	}
	return joined("\n", lines...)
}

// waitsFor is how far back waits are looked at, waitsOf how many jobs.
const (
	waitsFor = 24 * time.Hour
	waitsOf  = 500
)

func (h House) poolLoad(ctx context.Context, say bot.Say, o workers.Overview) (bot.Text, error) {
	queued, running := 0, 0
	for _, k := range protocol.Kinds() {
		queued, running = queued+o.Queued[k], running+o.Running[k]
	}
	line := say("pool.load", "queued", queued, "running", running)
	w, err := h.Figures.Waits(ctx, h.Now().Add(-waitsFor), waitsOf)
	if err != nil {
		return bot.Text{}, fmt.Errorf("waits: %w", err)
	}
	return joined("\n", line, waitsText(say, w)), nil
}

func waitsText(say bot.Say, w workers.Waits) bot.Text {
	if len(w.Waited) == 0 {
		return say("pool.no_waits")
	}
	return say("pool.waits", "n", len(w.Waited), "half", percentile(w.Waited, 50), "most", percentile(w.Waited, 95),
		"done_half", percentile(w.Took, 50), "done_most", percentile(w.Took, 95))
}

// percentile is the value below or at which p percent of the values are.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*p+99)/100-1]
}

// wantedFor is how far back /pool wanted looks, maxWanted how much it lists.
const (
	wantedFor = 7 * 24 * time.Hour
	maxWanted = 15
)

func (h House) poolWanted(ctx context.Context, in *bot.Invocation) error {
	list, err := h.Figures.Wishes(ctx, h.Now().Add(-wantedFor), maxWanted)
	if err != nil {
		return fmt.Errorf("wishes: %w", err)
	}
	if len(list) == 0 {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("pool.nothing_wanted")})
	}
	lines := []bot.Text{in.Say("pool.wanted")}
	for _, w := range list {
		key := "pool.wish"
		if w.To != "" {
			key = "pool.wish_pair"
		}
		lines = append(lines, in.Say(key, "kind", w.Kind, "model", w.Model, "from", w.From, "to", w.To, "n", w.Times, "ago", h.Now().Sub(w.Last)))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", append(lines, small(in.Say("pool.wanted_more")))...)})
}

func (h House) vouch(ctx context.Context, in *bot.Invocation) error {
	class := workers.Class(in.Options["class"])
	if class == "" {
		class = workers.Community
	}
	return h.vouched(ctx, in, class)
}

func (h House) unvouch(ctx context.Context, in *bot.Invocation) error { return h.vouched(ctx, in, "") }

func (h House) vouched(ctx context.Context, in *bot.Invocation, class workers.Class) error {
	c := in.Request.Chat.Community
	if c == "" {
		return fault.New(fault.NotHere)
	}
	id, name := int64(0), ""
	if _, err := fmt.Sscan(in.Options["id"], &id); err != nil {
		return fault.Wrap(err, fault.UnknownWorker, "worker", in.Options["id"])
	}
	if err := h.Owners.Vouch(ctx, id, c, class, in.Member); err != nil {
		if fault.Has(err, fault.UnknownWorker) {
			return fault.Wrap(err, fault.UnknownMachine, "worker", id)
		}
		return err
	}
	if v := h.live(id); v.State != "" {
		name = creditTo(in.Say, v.ShownName, v.OwnerName)
	}
	h.audit("vouch", in, "worker", id, "class", class, "community", c)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("pool.vouched", "id", id, "name", name, "class", class)})
}
