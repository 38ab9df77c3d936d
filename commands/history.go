package commands

import (
	"context"
	"encoding/json"
	"fmt"

	"potluck/bot"
	"potluck/fault"
	"potluck/ledger"
)

const (
	actionHistory = "credits_history"
	actionBalance = "credits_balance"
)

// historyPage is how many entries one page of the history shows.
const historyPage = 8

// page says where a page of the history begins. Before 0 is now; Newer are the beginnings of the pages that were left behind.
type page struct {
	Before int64   `json:"before"`
	Newer  []int64 `json:"newer,omitempty"`
}

// historyButton leads from the balance to the history.
func historyButton(in *bot.Invocation) bot.NewButton {
	return bot.NewButton{Action: actionHistory, Label: in.Say("button.history"), Data: []byte(`{"before":0}`)}
}

func (h House) balanceAgain(ctx context.Context, in *bot.Invocation, _ bot.Action) error {
	return h.balance(ctx, in)
}

func (h House) history(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var p page
	if err := json.Unmarshal(a.Data, &p); err != nil {
		return fault.Wrap(err, fault.Gone, "command", "credits")
	}
	list, err := h.Gifts.History(ctx, in.Member.ID, p.Before, historyPage+1)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	more := len(list) > historyPage
	list = list[:min(len(list), historyPage)]
	lines := []bot.Text{in.Say("history.title", "n", len(list))}
	for _, e := range list {
		lines = append(lines, h.entryText(ctx, in, e))
	}
	lines = append(lines, small(in.Say("history.why")))
	reply := bot.Reply{Text: joined("\n", lines...)}
	button := func(action, key string, data any) error {
		b, err := json.Marshal(data)
		reply.Buttons = append(reply.Buttons, bot.NewButton{Action: action, Label: in.Say(key), Data: b})
		return err
	}
	if n := len(p.Newer); n > 0 {
		if err := button(actionHistory, "button.newer", page{p.Newer[n-1], p.Newer[:n-1]}); err != nil {
			return err
		}
	} else if err := button(actionBalance, "button.balance", nil); err != nil {
		return err
	}
	if more {
		if err := button(actionHistory, "button.older", page{list[len(list)-1].ID, append(p.Newer[:len(p.Newer):len(p.Newer)], p.Before)}); err != nil {
			return err
		}
	}
	return in.Reply.Final(ctx, reply)
}

// entryText is one entry in words.
func (h House) entryText(ctx context.Context, in *bot.Invocation, e ledger.Entry) bot.Text {
	with := ""
	if e.With != 0 {
		with = h.called(ctx, in, e.With)
	}
	amount := e.Amount
	if amount < 0 {
		amount = -amount
	}
	return in.Say("history.entry", "at", e.At, "what", string(e.Kind), "amount", amount, "minus", e.Amount < 0,
		"job", e.Job, "kind", e.Work, "with", with, "reason", e.Reason)
}
