package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
)

const actionForget = "forget_me"

func (h House) mydata() bot.Command {
	return bot.Command{Name: "mydata", Private: true, Always: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		url, until, err := h.Running.Download(ctx, in.Member.ID, in.Language)
		if err != nil {
			return fmt.Errorf("my data: %w", err)
		}
		link := bot.Plain(url).In(bot.Link, url)
		return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n",
			joined("\n", in.Say("mydata.link", "left", until.Sub(h.Now()), "until", until), link), in.Say("mydata.what"), small(in.Say("mydata.more")))})
	}}
}

// farewell is what a Forget button does besides.
type farewell struct {
	Unlink bool               `json:"unlink"` // the machines, too
	Shown  []community.UserID `json:"shown"`  // whom the question was about
}

func (h House) forgetme() bot.Command {
	return bot.Command{Name: "forgetme", Private: true, Always: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		mine, err := h.Pool.Workers(ctx, in.Member.ID)
		if err != nil {
			return fmt.Errorf("look up workers: %w", err)
		}
		b, err := h.Credits.Balance(ctx, in.Member.ID, h.Payer(in.Request), h.Now())
		if err != nil {
			return fmt.Errorf("balance: %w", err)
		}
		all, err := h.Members.Identities(ctx, in.Member.ID)
		if err != nil {
			return fmt.Errorf("connected accounts: %w", err)
		}
		parts := []bot.Text{in.Say("forget.ask"), in.Say("forget.erased"), in.Say("forget.stays", "amount", b.Spendable+b.Pending)}
		button := func(key string, unlink bool) bot.NewButton {
			data, _ := json.Marshal(farewell{Unlink: unlink, Shown: all}) // of a bool and texts
			return bot.NewButton{Action: actionForget, Label: in.Say(key), Style: bot.Danger, Data: data}
		}
		reply := bot.Reply{Buttons: []bot.NewButton{button("button.forget", true)}}
		if len(mine) > 0 {
			parts = append(parts, in.Say("forget.machines", "n", len(mine)))
			reply.Buttons = append(reply.Buttons, button("button.forget_keep", false))
		}
		if len(all) > 1 {
			parts = append(parts, in.Say("forget.connected", "n", len(all)))
		}
		if in.Member.Operator {
			parts = append(parts, in.Say("forget.operator"))
		}
		reply.Text = joined("\n\n", parts...)
		return in.Reply.Final(ctx, reply)
	}}
}

func (h House) forgetConfirmed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var f farewell
	if err := json.Unmarshal(a.Data, &f); err != nil {
		return fault.Wrap(err, fault.Gone, "command", "forgetme")
	}
	given, err := h.farewell(ctx, in, f)
	if fault.Has(err, fault.Gone) {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("forget.changed")})
	}
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("forget.done", "amount", given)})
}

// farewell erases exactly whom the question was about: an account that is being connected stays out of it, or all is as before. fault.Gone: it is somebody
// else by now.
func (h House) farewell(ctx context.Context, in *bot.Invocation, f farewell) (given ledger.Amount, err error) {
	if h.Links != nil {
		if err := h.Links.Leave(ctx, in.Member.ID, f.Shown, time.Now()); err != nil {
			return 0, fmt.Errorf("end what is being connected: %w", err)
		}
	}
	if f.Unlink {
		mine, err := h.Pool.Workers(ctx, in.Member.ID)
		if err != nil {
			return 0, fmt.Errorf("look up workers: %w", err)
		}
		for _, w := range mine {
			if err := h.Pool.Revoke(ctx, w.ID, in.Member); err != nil {
				return 0, fmt.Errorf("unlink worker %d: %w", w.ID, err)
			}
		}
	}
	if given, err = h.Running.Erase(ctx, in.Member.ID, f.Shown, in.Request.Chat.Community, in.Request.Reply); err != nil {
		return 0, fmt.Errorf("forget a member: %w", err)
	}
	return given, nil
}
