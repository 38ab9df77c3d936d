package commands

import (
	"context"
	"fmt"
	"time"

	"potluck/bot"
)

// maxLeaders is how many places a leaderboard has.
const maxLeaders = 10

func (h House) leaderboard() bot.Command {
	return bot.Command{
		Name: "leaderboard", Run: h.showLeaders,
		Options: []bot.Option{{Name: "period", Kind: bot.Choice, Choices: []string{"week", "month", "all"}}},
	}
}

func (h House) showLeaders(ctx context.Context, in *bot.Invocation) error {
	period := in.Options["period"]
	if period == "" {
		period = "month"
	}
	list, err := h.Figures.Leaders(ctx, in.Request.Chat.Community, since(period, h.Now()), maxLeaders)
	if err != nil {
		return fmt.Errorf("leaders: %w", err)
	}
	if len(list) == 0 {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("leaders.none", "period", period)})
	}
	for i := range list {
		list[i].Name = cut(list[i].Name, maxMachineName)
	}
	lines := []bot.Text{in.Say("leaders.title", "period", period)}
	for i, l := range list {
		lines = append(lines, in.Say("leaders.line", "place", i+1, "name", l.Name, "amount", l.Earned, "n", l.Jobs))
	}
	lines = append(lines, small(in.Say("leaders.more")))
	reply := bot.Reply{Text: joined("\n", lines...)}
	chart, err := drawLeaders(list)
	if err != nil {
		return fmt.Errorf("draw the leaderboard: %w", err)
	}
	chart.Alt = in.Say("leaders.alt", "n", len(list)).Plain
	reply.Pictures = []bot.Picture{chart}
	return in.Reply.Final(ctx, reply)
}

// since is when a period that ends now began; zero for all.
func since(period string, now time.Time) time.Time {
	switch period {
	case "week":
		return now.Add(-7 * 24 * time.Hour)
	case "month":
		return now.Add(-30 * 24 * time.Hour)
	}
	return time.Time{}
}
