package telegram

import (
	"context"
	"time"

	"potluck/community"
)

// adminList is who administers a group, as far as was asked.
type adminList struct {
	ids map[int64]bool
	at  time.Time
}

const (
	adminsFor = 5 * time.Minute
	maxAdmins = 5000 // groups whose administrators are remembered
)

// roleOf asks, at most every five minutes, who administers a group. When Telegram does not tell, nobody is an administrator.
func (p *Platform) roleOf(ctx context.Context, chat rawChat, user int64) community.Role {
	if chat.private() {
		return community.Everyone
	}
	p.mu.Lock()
	list, ok := p.admins[chat.ID]
	p.mu.Unlock()
	if !ok || time.Since(list.at) > adminsFor {
		var all []rawStatus
		list = adminList{ids: make(map[int64]bool), at: time.Now()}
		if err := p.api.raw(ctx, "getChatAdministrators", map[string]any{"chat_id": chat.ID}, &all, callTime); err != nil {
			p.log.Debug("ask for administrators", "chat", chat.ID, "err", err)
			list.at = time.Now().Add(30*time.Second - adminsFor)
		}
		for _, s := range all {
			list.ids[s.User.ID] = true
		}
		p.mu.Lock()
		if len(p.admins) >= maxAdmins {
			clear(p.admins)
		}
		p.admins[chat.ID] = list
		p.mu.Unlock()
	}
	if list.ids[user] {
		return community.Admin
	}
	return community.Everyone
}

func (p *Platform) forgetAdmins(chat int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.admins, chat)
}
