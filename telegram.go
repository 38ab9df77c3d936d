package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/bot/telegram"
	"potluck/commands"
	"potluck/community"
)

// TelegramConfig connects Potluck to Telegram. Without a token it is not.
type TelegramConfig struct {
	Token      string   `yaml:"token"`
	TokenFile  string   `yaml:"token_file"`
	Webhook    bool     `yaml:"webhook"`
	DemoEngine bool     `yaml:"demo_engine"`
	Operators  []string `yaml:"operators"`
	APIBase    string   `yaml:"api_base"`
}

func defaultTelegram() TelegramConfig {
	return TelegramConfig{Operators: []string{}, APIBase: telegram.DefaultAPIBase}
}

// enabled tells whether there is a token.
func (c TelegramConfig) enabled() bool { return c.Token != "" }

// secrets reads the token from its file.
func (c *TelegramConfig) secrets() error {
	return secretFile("telegram.token", &c.Token, c.TokenFile, "put the bot's token there")
}

// validate names what is wrong; bad takes a key, what it may be, and what it is. publicURL is http.public_url.
func (c TelegramConfig) validate(bad func(key, want string, got any), publicURL string) {
	for _, id := range c.Operators {
		if !isID(id) {
			bad("telegram.operators", "people's ids, numbers such as 123456789 (@userinfobot tells yours)", strconv.Quote(id))
		}
	}
	if u, err := url.Parse(c.APIBase); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("telegram.api_base", "an address, such as "+telegram.DefaultAPIBase, strconv.Quote(c.APIBase))
	}
	if id, secret, ok := strings.Cut(c.Token, ":"); c.Token != "" && (!ok || !isID(id) || secret == "" || strings.ContainsAny(c.Token, " \t\r\n/?#")) {
		bad("telegram.token", "what @BotFather gave: a number, a colon, letters", "something else")
	}
	if c.Webhook && c.enabled() && !strings.HasPrefix(publicURL, "https://") {
		bad("telegram.webhook", "false, or a public https address in http.public_url", "true")
	}
}

// config is what the adapter needs of the file.
func (c TelegramConfig) config(log *slog.Logger, publicURL string, all []bot.Command, texts bot.Catalogue) telegram.Config {
	out := telegram.Config{
		Token: c.Token, APIBase: c.APIBase, Commands: all, Texts: texts, AskCommand: "ask", TranslateCommand: "translate", Log: log,
	}
	if c.Webhook {
		out.WebhookURL = strings.TrimRight(publicURL, "/") + telegram.WebhookPath
	}
	return out
}

// buildTelegram makes the platform, and operators of those that the configuration names.
func (h *house) buildTelegram(ctx context.Context, all []bot.Command, texts bot.Catalogue) (*telegram.Platform, error) {
	for _, id := range h.config.Telegram.Operators {
		if _, err := h.makeOperator(ctx, community.UserID("telegram:"+id), ""); err != nil {
			return nil, fmt.Errorf("make an operator: %w", err)
		}
	}
	return telegram.New(h.config.Telegram.config(h.log, h.config.HTTP.PublicURL, all, texts))
}

// telegram looks at the token, privacy mode and the webhook of the bot.
func (r *report) telegram(ctx context.Context, c call) {
	if !c.config.Telegram.enabled() {
		return
	}
	r.found(telegram.Check(ctx, c.config.Telegram.config(c.log, c.config.HTTP.PublicURL, nil, commands.Texts())))
}
