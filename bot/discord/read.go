package discord

import (
	"context"
	"fmt"

	"potluck/bot"
	"potluck/community"
)

// Read returns a message of anybody as it stands now, however old. Without the message content intent Discord tells the text only of what
// mentions the bot and of what it wrote itself.
func (p *Platform) Read(ctx context.Context, chat community.ChatID, id community.MessageID) (bot.Written, error) {
	channel, err := localChannel(chat)
	if err != nil {
		return bot.Written{}, fmt.Errorf("read on Discord: %w", err)
	}
	var m rawMessage
	err = p.api.do(ctx, request{method: "GET", path: "/channels/" + channel + "/messages/" + string(id)}, &m)
	if err != nil {
		p.tellRefusal(chat, err)
		return bot.Written{}, fmt.Errorf("read on Discord: %w", explain(err))
	}
	m.GuildID = p.places.guildOf(channel)
	return bot.Written{Text: p.whole(m), Link: p.link(channel, string(id))}, nil
}

// link is the address by which people find a message.
func (p *Platform) link(channel, id string) string {
	guild := "@me"
	if g := p.places.guildOf(channel); g != 0 {
		guild = g.String()
	}
	return "https://discord.com/channels/" + guild + "/" + channel + "/" + id
}
