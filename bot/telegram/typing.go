package telegram

import (
	"context"
	"errors"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/community"
)

const (
	typingEvery = 4500 * time.Millisecond // a chat action lasts five seconds
	typingFor   = 15 * time.Minute
	maxTyping   = 1000
)

// showTyping shows that the bot is at it until stopTyping is called.
func (p *Platform) showTyping(l place, id community.MessageID) {
	key := string(l.id()) + "/" + string(id)
	p.mu.Lock()
	if len(p.typing) >= maxTyping || p.typing[key] != nil || p.base.Err() != nil {
		p.mu.Unlock()
		return
	}
	ctx, cancel := context.WithTimeout(p.base, typingFor)
	p.typing[key] = cancel
	p.mu.Unlock()
	p.beside(func(context.Context) {
		defer p.stopTyping(l, id)
		for ctx.Err() == nil {
			err := p.api.do(ctx, call{chat: l.chat, class: progress}, func(ctx context.Context) error {
				_, err := p.api.bot.SendChatAction(ctx, &tg.SendChatActionParams{ChatID: l.chat, MessageThreadID: l.topic, Action: models.ChatActionTyping})
				return err
			})
			if err != nil && !errors.Is(err, errDropped) || bot.Wait(ctx, typingEvery) != nil {
				return
			}
		}
	})
}

func (p *Platform) stopTyping(l place, id community.MessageID) {
	key := string(l.id()) + "/" + string(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if cancel := p.typing[key]; cancel != nil {
		cancel()
		delete(p.typing, key)
	}
}
