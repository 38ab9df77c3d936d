package commands

import (
	"context"
	"fmt"
	"strconv"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
)

func (h House) credits() bot.Command {
	return bot.Command{
		Name:    "credits",
		Private: true,
		Options: []bot.Option{{Name: "why", Kind: bot.Integer}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			if why := plainForm(in.Options["why"]); why != "" {
				return h.why(ctx, in, why)
			}
			return h.balance(ctx, in)
		},
	}
}

func (h House) balance(ctx context.Context, in *bot.Invocation) error {
	now := h.Now()
	payer := h.Payer(in.Request)
	b, err := h.Credits.Balance(ctx, in.Member.ID, payer, now)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	reset := ledger.NextDay(now)
	lines := []bot.Text{in.Say("credits.spendable", "amount", b.Spendable)}
	if b.Daily > 0 {
		lines = append(lines, in.Say("credits.free", "amount", b.Free, "daily", b.Daily, "left", reset.Sub(now), "reset", reset, "shared", shared(payer, in.Request.Chat)))
	}
	if b.Held > 0 {
		lines = append(lines, in.Say("credits.held", "amount", b.Held))
	}
	if b.Pending > 0 {
		lines = append(lines, in.Say("credits.pending", "amount", b.Pending, "left", b.NextRelease.Sub(now), "release", b.NextRelease))
	}
	lines = append(lines, in.Say("credits.earned", "amount", b.Earned), small(in.Say("credits.meaning")))
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", lines...), Buttons: []bot.NewButton{historyButton(in)}})
}

// shared tells with whom somebody has an allowance: "true" with everybody in a place, "part" with a household, which has a part of that, "false" with nobody.
func shared(payer ledger.Payer, place community.Chat) string {
	switch {
	case payer.Share.Household != "":
		return "part"
	case payer.Allowance == ledger.AllowanceOf(place.Community):
		return "true"
	}
	return "false"
}

// why shows how a job's price came about, to those whom it concerns: who asked, whose worker did it, and operators. Anybody else learns not
// even that the job exists.
func (h House) why(ctx context.Context, in *bot.Invocation, typed string) error {
	job, err := strconv.ParseInt(typed, 10, 64)
	if err != nil {
		return fault.Wrap(err, fault.UnknownJob, "job", typed)
	}
	b, ok, err := h.Credits.Bill(ctx, job)
	if err != nil {
		return fmt.Errorf("bill of job %d: %w", job, err)
	}
	me := in.Member
	if !ok || me.ID != b.Asker && me.ID != b.Earner && !me.Operator {
		return fault.New(fault.UnknownJob, "job", job)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: billText(in.Say, b)})
}

func billText(say bot.Say, info Bill) bot.Text {
	job, b := info.Job, info.Bill
	if info.State != workers.Done {
		return say("credits.unpaid", "job", job, "state", info.State, "held", b.Held)
	}
	lines := []bot.Text{say("credits.why", "job", job, "amount", b.Amount, "model", b.Model, "own", b.Own)}
	for _, t := range b.Terms {
		key := "credits.term"
		if t.Unit == "s" { // not counted in anything else
			key = "credits.term_fixed"
		}
		lines = append(lines, say(key, "name", t.Name, "quantity", t.Quantity, "unit", t.Unit, "rate", t.PerSecond, "seconds", t.Seconds))
	}
	lines = append(lines, say("credits.sum", "seconds", b.Seconds, "amount", b.Amount, "rates", b.Rates))
	if !b.Calibrated {
		lines = append(lines, say("credits.estimated"))
	}
	if b.Own {
		return joined("\n", append(lines, say("credits.own"))...)
	}
	return joined("\n", append(lines, say("credits.settled", "held", b.Held, "paid", b.Paid, "returned", b.Returned))...)
}
