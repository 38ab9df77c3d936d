package telegram

import (
	"context"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/community"
)

const (
	maxListed      = 100 // commands in a menu
	maxDescription = 256
)

// languages are the two-letter codes in which the menus are offered besides the first language.
var languages = []string{"de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "uk", "zh"}

// menu is the list of commands of one scope in one language.
type menu struct {
	scope    models.BotCommandScope
	language string
	commands []models.BotCommand
}

// menus lists what Telegram is told: everybody's commands for all chats, those of administrators for them, in each language.
func (p *Platform) menus() (all []menu) {
	first := p.config.Texts.Match()
	codes := []string{""}
	for _, code := range languages {
		if lang := p.config.Texts.Match(code); lang != first && (lang == code || strings.HasPrefix(lang, code+"-")) {
			codes = append(codes, code)
		}
	}
	for _, code := range codes {
		say := p.say(code)
		for scope, role := range map[models.BotCommandScope]community.Role{
			&models.BotCommandScopeAllPrivateChats{}: community.Everyone, &models.BotCommandScopeAllGroupChats{}: community.Everyone,
			&models.BotCommandScopeAllChatAdministrators{}: community.Admin,
		} {
			all = append(all, menu{scope, code, listed(p.config.Commands, say, role)})
		}
	}
	return all
}

// listed flattens the commands: "/worker link" is offered as /worker_link, which means the same.
func listed(commands []bot.Command, say bot.Say, role community.Role) (list []models.BotCommand) {
	add := func(word, key string) {
		if len(word) <= 32 && len(list) < maxListed {
			list = append(list, models.BotCommand{Command: word, Description: bot.Cut(say(key).Plain, maxDescription)})
		}
	}
	for _, c := range commands {
		if c.Needs > role {
			continue
		}
		if len(c.Subcommands) == 0 {
			add(c.Name, "command."+c.Name)
		}
		for _, sub := range c.Subcommands {
			if sub.Needs <= role && len(sub.Subcommands) == 0 && !sub.OfRoles {
				add(c.Name+"_"+sub.Name, "command."+c.Name+"."+sub.Name)
			}
		}
	}
	return list
}

// syncCommands tells Telegram the commands. Nothing else waits for it.
func (p *Platform) syncCommands(ctx context.Context) error {
	for _, m := range p.menus() {
		for wait := firstRetry; ; wait = min(2*wait, 10*time.Minute) {
			err := p.api.do(ctx, call{class: placeholder}, func(ctx context.Context) error {
				_, err := p.api.bot.SetMyCommands(ctx, &tg.SetMyCommandsParams{Commands: m.commands, Scope: m.scope, LanguageCode: m.language})
				return err
			})
			if err == nil || ctx.Err() != nil {
				break
			}
			p.log.Warn("tell Telegram the commands", "language", m.language, "err", err, "again_in", wait)
			if bot.Wait(ctx, wait) != nil {
				return nil
			}
		}
	}
	return nil
}

// welcome says hello in a group that the bot came to, and what it hears there.
func (p *Platform) welcome(ctx context.Context, c rawChange) {
	say := p.say(c.From.Language)
	text := say("telegram.welcome")
	if !p.self().ReadsAll && c.New.Status != "administrator" {
		text = bot.Join(bot.Plain("\n\n"), text, say("telegram.privacy_mode"))
	}
	t := target{p: p, place: place{chat: c.Chat.ID}, class: placeholder}
	if _, err := t.post(ctx, bot.Outgoing{Text: text}, ""); err != nil {
		p.log.Debug("say hello", "chat", t.place.id(), "err", err)
	}
}
