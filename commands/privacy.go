package commands

import (
	"context"

	"potluck/bot"
	"potluck/community"
)

func (h House) privacy() bot.Command {
	return bot.Command{
		Name:    "privacy",
		Private: true,
		Always:  true,
		Run: func(ctx context.Context, in *bot.Invocation) error {
			return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n",
				in.Say("privacy.sees"),
				in.Say("privacy.worker"),
				in.Say("privacy.private"),
				in.Say("privacy.kept"),
				in.Say("privacy.never"),
				in.Say("privacy.platform", "platform", community.Platform(in.Request.Chat.ID)),
				in.Say("privacy.more"),
			)})
		},
	}
}
