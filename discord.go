package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/bot/discord"
	"potluck/commands"
	"potluck/community"
	"potluck/storage"
)

// DiscordConfig connects Potluck to Discord. Without a token it is not.
type DiscordConfig struct {
	Token          string   `yaml:"token"`
	TokenFile      string   `yaml:"token_file"`
	MessageContent bool     `yaml:"message_content"`
	DemoEngine     bool     `yaml:"demo_engine"`
	Operators      []string `yaml:"operators"`
	Shards         int      `yaml:"shards"`
	DevGuild       string   `yaml:"dev_guild"`
	APIBase        string   `yaml:"api_base"`
}

func defaultDiscord() DiscordConfig {
	return DiscordConfig{MessageContent: true, Operators: []string{}, APIBase: discord.DefaultAPIBase}
}

// enabled tells whether there is a token.
func (d DiscordConfig) enabled() bool { return d.Token != "" }

// secrets reads the token from its file.
func (d *DiscordConfig) secrets() error {
	return secretFile("discord.token", &d.Token, d.TokenFile, "put the bot's token there")
}

// validate names what is wrong; bad takes a key, what it may be, and what it is.
func (d DiscordConfig) validate(bad func(key, want string, got any)) {
	if d.Shards < 0 || d.Shards > 10_000 {
		bad("discord.shards", "0 (as many as Discord recommends) to 10000", d.Shards)
	}
	if d.DevGuild != "" && !isID(d.DevGuild) {
		bad("discord.dev_guild", "a server's id, such as 123456789012345678", strconv.Quote(d.DevGuild))
	}
	for _, id := range d.Operators {
		if !isID(id) {
			bad("discord.operators", "people's ids (Discord: settings, Advanced, Developer Mode; then right-click the name, Copy User ID)", strconv.Quote(id))
		}
	}
	if u, err := url.Parse(d.APIBase); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("discord.api_base", "an address, such as "+discord.DefaultAPIBase, strconv.Quote(d.APIBase))
	}
	if strings.ContainsAny(d.Token, " \t\r\n") {
		bad("discord.token", "one word without spaces", "something else")
	}
}

func isID(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// config is what the adapter needs of the file.
func (d DiscordConfig) config(log *slog.Logger, all []bot.Command, texts bot.Catalogue) discord.Config {
	return discord.Config{
		Token: d.Token, APIBase: d.APIBase, Shards: d.Shards, DevGuild: d.DevGuild, Content: d.MessageContent, Commands: all, Texts: texts,
		AskCommand: "ask", TranslateCommand: "translate", Version: version, Log: log,
	}
}

// buildDiscord makes the platform, and operators of those that the configuration names.
func (h *house) buildDiscord(ctx context.Context, all []bot.Command, texts bot.Catalogue) (*discord.Platform, error) {
	for _, id := range h.config.Discord.Operators {
		if _, err := h.makeOperator(ctx, community.UserID("discord:"+id), ""); err != nil {
			return nil, fmt.Errorf("make an operator: %w", err)
		}
	}
	c := h.config.Discord.config(h.log, all, texts)
	c.Webhooks = &storage.Webhooks{DB: h.db}
	c.Delegate = func(ctx context.Context, c community.CommunityID) (string, error) {
		role, _, err := h.people.Setting(ctx, c, commands.DelegateSetting)
		return role, err
	}
	return discord.New(c)
}

// inspect asks a community's platform what the bot lacks there.
func (r *running) inspect(ctx context.Context, c community.CommunityID) (lacks []bot.Lack, known bool, err error) {
	p, ok := r.platforms[community.Platform(c)].(bot.Inspector)
	if !ok {
		return nil, false, nil
	}
	lacks, err = p.Inspect(ctx, c)
	return lacks, true, err
}

// discord looks at the token, the intent and the rights of the bot.
func (r *report) discord(ctx context.Context, c call) {
	if !c.config.Discord.enabled() {
		return
	}
	r.found(discord.Check(ctx, c.config.Discord.config(c.log, nil, commands.Texts())))
}
