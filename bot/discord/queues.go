package discord

import (
	"context"

	"potluck/bot"
)

var queueLimits = bot.QueueLimits{PerChat: 200, Total: 20_000}

// enqueue puts f behind what waits for its chat; false: there is no room, and f is dropped.
func (p *Platform) enqueue(chat snowflake, f func(context.Context)) bool {
	if p.chats.Full(chat) {
		if n := p.dropped.Add(1); n&(n-1) == 0 { // 1, 2, 4, 8, …
			p.log.Warn("more events than can be handled: some are dropped", "chat", chat, "dropped", n)
		}
		return false
	}
	p.chats.Add(chat, f)
	return true
}

func (p *Platform) guarded(f func()) { bot.Guarded(p.log, f) }
