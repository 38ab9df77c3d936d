package discord

import (
	"context"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
)

const (
	maxSuggests = 64
	maxChoices  = 25
)

// autocomplete suggests values from memory. Under a flood some keystrokes get no suggestions: the next one does.
func (p *Platform) autocomplete(ctx context.Context, in rawInteraction) {
	select {
	case p.suggests <- struct{}{}:
	default:
		return
	}
	p.work.Go(func() {
		defer func() { <-p.suggests }()
		p.guarded(func() {
			choices := p.suggestions(in)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackLimit)
			defer cancel()
			h := handle{ID: in.ID, Token: in.Token}
			body := map[string]any{"type": discordgo.InteractionApplicationCommandAutocompleteResult, "data": map[string]any{"choices": choices}}
			if err := p.respond(ctx, h, body); err != nil {
				p.log.Debug("suggest", "command", in.Data.Name, "err", err)
			}
		})
	})
}

type choice struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

func (p *Platform) suggestions(in rawInteraction) []choice {
	c := p.parsed(in)
	options := in.Data.Options
	for len(options) == 1 && (options[0].Type == 1 || options[0].Type == 2) {
		options = options[0].Options
	}
	choices := []choice{}
	cmd, _ := bot.CommandAt(p.config.Commands, c.Path)
	i := slices.IndexFunc(options, func(o rawOption) bool { return o.Focused })
	if cmd == nil || i < 0 {
		return choices
	}
	at := slices.IndexFunc(cmd.Options, func(o bot.Option) bool { return o.Name == options[i].Name })
	if at < 0 || cmd.Options[at].Suggest == nil {
		return choices
	}
	for _, s := range cmd.Options[at].Suggest(options[i].text()) {
		if len(choices) == maxChoices {
			break
		}
		if s == "" || utf8.RuneCountInString(s) > 100 {
			continue
		}
		var value any = s
		if cmd.Options[at].Kind == bot.Integer {
			n, err := strconv.Atoi(s)
			if err != nil {
				continue
			}
			value = n
		}
		choices = append(choices, choice{s, value})
	}
	return choices
}
