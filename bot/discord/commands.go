package discord

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/bwmarrin/discordgo"
	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/community"
)

// Commands are written by hand into these: discordgo's types send keys that Discord's specification does not know for every kind of option.

type command struct {
	Type           int               `json:"type"`
	Name           string            `json:"name"`
	Names          map[string]string `json:"name_localizations,omitempty"`
	Description    string            `json:"description,omitempty"`
	Descriptions   map[string]string `json:"description_localizations,omitempty"`
	Options        []option          `json:"options,omitempty"`
	Permissions    *string           `json:"default_member_permissions,omitempty"`
	Contexts       []int             `json:"contexts,omitempty"`
	InstalledWhere []int             `json:"integration_types,omitempty"`
}

type option struct {
	Type         int               `json:"type"`
	Name         string            `json:"name"`
	Description  string            `json:"description"`
	Descriptions map[string]string `json:"description_localizations,omitempty"`
	Required     bool              `json:"required,omitempty"`
	Options      []option          `json:"options,omitempty"`
	Choices      []choice          `json:"choices,omitempty"`
	Autocomplete bool              `json:"autocomplete,omitempty"`
	MinValue     *int              `json:"min_value,omitempty"`
	MaxValue     *int              `json:"max_value,omitempty"`
	MaxLength    int               `json:"max_length,omitempty"`
}

// locales are those that Discord's clients have.
var locales = []string{
	"id", "da", "de", "en-GB", "en-US", "es-ES", "es-419", "fr", "hr", "it", "lt", "hu", "nl", "no", "pl", "pt-BR", "ro", "fi", "sv-SE", "vi", "tr",
	"cs", "el", "bg", "ru", "uk", "hi", "th", "zh-CN", "ja", "zh-TW", "ko",
}

// tree makes Discord's form of all commands, and of the two entries of a message's menu.
func (p *Platform) tree() []command {
	var all []command
	for _, c := range p.config.Commands {
		if c.OnReply {
			continue // a slash command is no message, so it replies to none
		}
		out := command{Type: int(discordgo.ChatApplicationCommand), Name: c.Name}
		out.Description, out.Descriptions = p.localized("command."+c.Name, 100)
		out.Options = p.options(c, c.Name)
		if c.Needs >= community.Admin {
			manage := strconv.Itoa(discordgo.PermissionManageGuild)
			out.Permissions = &manage
		}
		all = append(all, p.scoped(out))
	}
	for key, wanted := range map[string]string{menuTranslate: p.config.TranslateCommand, menuAsk: p.config.AskCommand} {
		if wanted != "" {
			out := command{Type: menuOfMessage}
			out.Name, out.Names = p.localized(key, 32)
			all = append(all, p.scoped(out))
		}
	}
	return all
}

// scoped says where a command is offered: guilds, the bot's DM and other DMs; with the guild or with a person.
func (p *Platform) scoped(c command) command {
	if p.config.DevGuild == "" {
		c.Contexts, c.InstalledWhere = []int{0, 1, 2}, []int{0, 1}
	}
	return c
}

// options makes the options or subcommands of a command; required ones come first, as Discord wants it.
func (p *Platform) options(c bot.Command, path string) []option {
	var out []option
	for _, sub := range c.Subcommands {
		o := option{Type: int(discordgo.ApplicationCommandOptionSubCommand), Name: sub.Name}
		if len(sub.Subcommands) > 0 {
			o.Type = int(discordgo.ApplicationCommandOptionSubCommandGroup)
		}
		below := path + "." + sub.Name
		o.Description, o.Descriptions = p.localized("command."+below, 100)
		o.Options = p.options(sub, below)
		out = append(out, o)
	}
	for _, from := range c.Options {
		o := option{Name: from.Name, Required: from.Required, Autocomplete: from.Suggest != nil}
		o.Description, o.Descriptions = p.localized("command."+path+"."+from.Name, 100)
		switch from.Kind {
		case bot.Integer:
			o.Type = int(discordgo.ApplicationCommandOptionInteger)
			if from.Min != 0 || from.Max != 0 {
				o.MinValue, o.MaxValue = &from.Min, &from.Max
			}
		case bot.Bool:
			o.Type = int(discordgo.ApplicationCommandOptionBoolean)
		default:
			o.Type = int(discordgo.ApplicationCommandOptionString)
			for _, value := range from.Choices {
				o.Choices = append(o.Choices, choice{value, value})
			}
			if from.Kind == bot.String {
				o.MaxLength = min(cmp.Or(from.Max, 2000), 6000)
			}
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b option) int { return boolToInt(b.Required) - boolToInt(a.Required) })
	return out
}

// localized renders a text in the first language, and in every other one for the locales that it serves.
func (p *Platform) localized(key string, limit int) (text string, others map[string]string) {
	render := func(lang string) string { return bot.Cut(p.config.Texts.Say(lang)(key).Plain, limit) }
	first := p.config.Texts.Match()
	text = render(first)
	for _, l := range locales {
		lang := p.config.Texts.Match(l)
		if lang == first || base(lang) != base(l) {
			continue
		}
		if others == nil {
			others = make(map[string]string)
		}
		others[l] = render(lang)
	}
	return text, others
}

func base(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return tag
	}
	b, _ := t.Base()
	return b.String()
}

// syncCommands writes the commands when they are not what Discord has. Nothing else waits for it.
func (p *Platform) syncCommands(ctx context.Context) error {
	app, _ := p.ids()
	path := "/applications/" + app + "/commands"
	if p.config.DevGuild != "" {
		path = "/applications/" + app + "/guilds/" + p.config.DevGuild + "/commands"
	}
	want := p.tree()
	for wait := 5 * time.Second; ; wait = min(2*wait, 10*time.Minute) {
		changed, err := p.putCommands(ctx, path, want)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			p.log.Info("commands", "count", len(want), "changed", changed)
			return nil
		}
		p.log.Error("tell Discord the commands", "err", err, "again_in", wait)
		if bot.Wait(ctx, wait) != nil {
			return nil
		}
	}
}

func (p *Platform) putCommands(ctx context.Context, path string, want []command) (changed bool, err error) {
	var have []command
	r := request{method: "GET", path: path, query: map[string][]string{"with_localizations": {"true"}}}
	if err := p.api.do(ctx, r, &have); err != nil {
		return false, err
	}
	if bytes.Equal(canonical(have), canonical(want)) {
		return false, nil
	}
	return true, p.api.do(ctx, request{method: "PUT", path: path, body: want}, nil)
}

// canonical is the same for two lists that offer the same.
func canonical(list []command) []byte {
	list = slices.Clone(list)
	for i := range list {
		slices.Sort(list[i].Contexts)
		slices.Sort(list[i].InstalledWhere)
		list[i].Type = cmp.Or(list[i].Type, 1)
	}
	slices.SortFunc(list, func(a, b command) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) })
	b, _ := json.Marshal(list) // strings and numbers always encode
	return b
}

// welcome says hello in a guild that the bot came to: in the channel for such messages, else in the first where it may speak.
func (p *Platform) welcome(ctx context.Context, guildID, system snowflake, locale string) {
	text := p.config.Texts.Say(p.config.Texts.Match(locale))("discord.welcome")
	candidates := p.places.readable(guildID)
	if system != 0 {
		candidates = append([]snowflake{system}, slices.DeleteFunc(candidates, func(c snowflake) bool { return c == system })...)
	}
	for _, c := range candidates[:min(len(candidates), 5)] {
		t := target{p: p, chat: c.String()}
		_, err := t.post(ctx, bot.Outgoing{Text: text, Nonce: "welcome" + guildID.String()[:min(18, len(guildID.String()))]}, "", false)
		if err == nil || ctx.Err() != nil {
			return
		}
		p.log.Debug("say hello", "chat", chatID(c.String()), "err", err)
	}
}

// readable lists the text channels of a guild that everybody can read, in the order of their making.
func (p *places) readable(guildID snowflake) (ids []snowflake) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	g := p.guilds[uint64(guildID)]
	if g == nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(g.channels)) {
		if c := g.channels[id]; c.kind == 0 && !g.hidden(c) {
			ids = append(ids, snowflake(id))
		}
	}
	return ids
}
