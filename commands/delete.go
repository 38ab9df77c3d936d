package commands

import (
	"context"

	"potluck/bot"
	"potluck/fault"
)

func (h House) delete() bot.Command {
	return bot.Command{Name: "delete", OnReply: true, Run: func(ctx context.Context, in *bot.Invocation) error {
		const done = "delete.done"
		key := done
		switch err := in.Remove(ctx); {
		case fault.Has(err, fault.Gone):
			key = "delete.how"
		case fault.Has(err, fault.NotYours):
			key = "delete.not_yours"
		case fault.Has(err, fault.Forbidden):
			key = "delete.no_right"
		case err != nil:
			return err
		}
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say(key), Aside: key != done})
	}}
}
