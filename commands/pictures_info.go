package commands

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/workers"
	"potluck/workers/protocol"
)

// info tells whoever asks how a picture was made; what it cost concerns the asker and operators.
func (h House) info(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	say := in.Say
	part := func(key, text string) bot.Text {
		if text == "" {
			return bot.Text{}
		}
		return joined("\n", say(key), bot.Plain(text))
	}
	blocks := []bot.Text{part("info.wish", cmp.Or(p.Typed, p.Prompt))}
	english := p.Options[optionPrompt]
	if p.From != "" {
		blocks = append(blocks, part("info.english", english))
	}
	if p.Sent != p.Prompt && p.Sent != english {
		blocks = append(blocks, part("info.sent", p.Sent))
	}
	blocks = append(blocks, part("info.negative", p.Negative))
	lines := []bot.Text{say("info.settings", "model", p.Model, "seed", p.Seed, "width", p.Width, "height", p.Height, "steps", p.Steps, "sampler", p.Sampler, "cfg", p.CFG)}
	if p.Count > 1 {
		lines = append(lines, say("info.seeds", "n", p.Count, "last", p.Seed+int64(p.Count)-1))
	}
	worker, err := h.creditNow(ctx, say, p.WorkerID)
	if err != nil {
		return err
	}
	lines = append(lines, say("info.machine", "worker", worker, "gpu", p.GPU, "engine", p.Engine))
	if in.Request.Member == p.Asker || in.Request.Role >= community.Operator {
		cost, err := h.cost(ctx, say, p)
		if err != nil {
			return err
		}
		lines = append(lines, cost)
	}
	options := p.settings()
	if p.Without != "" {
		options += " --no " + p.Without
	}
	lines = append(lines, say("info.again", "options", options), say("info.same", "here", h.sameMachine(p)))
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", append(blocks, joined("\n", lines...))...)})
}

// settings are the options that draw the same again.
func (p painting) settings() string {
	options := fmt.Sprintf("seed:%d aspect:%dx%d model:%s", p.Seed, p.Width, p.Height, p.Model)
	if p.Count > 1 {
		options += fmt.Sprintf(" count:%d", p.Count)
	}
	if p.Style != "" {
		options += " style:" + p.Style
	}
	return options
}

// editPrompt hands out the whole command that draws a picture, to be changed and sent: it can be copied on every platform, and the page puts it
// into the box.
func (h House) editPrompt(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	command := "/imagine " + p.settings() + " " + strings.Join(strings.Fields(cmp.Or(p.Typed, p.Prompt)), " ")
	if p.Without != "" {
		command += " --no " + p.Without
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", in.Say("picture.edit"), bot.Plain(command).In(bot.Pre, ""))})
}

// creditNow names a machine as its owner wants it now, whatever was wanted when it worked; empty when it is not to be named or is gone.
func (h House) creditNow(ctx context.Context, say bot.Say, id int64) (string, error) {
	all, err := h.Pool.Workers(ctx, 0)
	if err != nil {
		return "", fmt.Errorf("look up worker %d: %w", id, err)
	}
	i := slices.IndexFunc(all, func(w workers.Worker) bool { return w.ID == id && w.Share })
	switch {
	case i < 0:
		return "", nil
	case all[i].OwnerName == "":
		return all[i].Name, nil
	}
	return say("worker.shown", "owner", all[i].OwnerName, "name", all[i].Name).Plain, nil
}

// cost says what the drawing, and the translation before it, took from the asker.
func (h House) cost(ctx context.Context, say bot.Say, p painting) (bot.Text, error) {
	var lines []bot.Text
	for _, job := range []int64{p.Words, p.Job} {
		if job == 0 {
			continue
		}
		b, ok, err := h.Credits.Bill(ctx, job)
		if err != nil {
			return bot.Text{}, fmt.Errorf("bill of job %d: %w", job, err)
		}
		if ok {
			lines = append(lines, say("info.cost", "kind", b.Kind, "job", job, "own", b.Bill.Own, "amount", b.Bill.Amount))
		}
	}
	return joined("\n", lines...), nil
}

// sameMachine tells whether a machine is online that draws the same from the same seed: the same model, program and GPU.
func (h House) sameMachine(p painting) bool {
	return slices.ContainsFunc(h.Pool.Overview().Workers, func(w workers.WorkerView) bool {
		return w.State == workers.Online && gpuOf(w) == p.GPU && slices.ContainsFunc(w.Offers, func(o workers.OfferView) bool {
			return o.Kind == protocol.Image && o.Canonical == p.Model && o.Engine == p.Engine
		})
	})
}
