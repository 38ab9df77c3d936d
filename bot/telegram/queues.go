package telegram

import "potluck/bot"

// queueLimits: the intake bounds what is under way of all chats together, so Total is never reached first.
var queueLimits = bot.QueueLimits{PerChat: 200, Total: 1 << 20}

func (p *Platform) guarded(f func()) { bot.Guarded(p.log, f) }
