package commands

import (
	"context"
	"fmt"

	"potluck/bot"
	"potluck/ledger"
)

func (h House) quota() bot.Command {
	return bot.Command{Name: "quota", Private: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		now := h.Now()
		payer := h.Payer(in.Request)
		b, err := h.Credits.Balance(ctx, in.Member.ID, payer, now)
		if err != nil {
			return fmt.Errorf("balance: %w", err)
		}
		waiting, running, err := h.Gifts.OpenJobs(ctx, in.Member.ID)
		if err != nil {
			return err
		}
		reset := ledger.NextDay(now)
		limits := h.Running.Limits()
		lines := []bot.Text{in.Say("quota.left", "amount", b.Free+b.Spendable)}
		if b.Daily > 0 {
			lines = append(lines, in.Say("credits.free", "amount", b.Free, "daily", b.Daily, "left", reset.Sub(now), "reset", reset,
				"shared", shared(payer, in.Request.Chat)))
		}
		lines = append(lines,
			in.Say("quota.jobs", "running", running, "waiting", waiting, "most_running", limits.Running, "most_waiting", limits.Queued),
			in.Say("quota.speed", "n", limits.PerMinute),
			small(in.Say("quota.more")))
		return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", lines...)})
	}}
}
