package telegram

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"potluck/bot"
	"potluck/community"
)

const checkTime = 20 * time.Second

// Check asks Telegram whether the bot can work: its token, privacy mode, inline mode, and who else takes its updates. It changes nothing.
func Check(ctx context.Context, c Config) []bot.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	p, err := New(c)
	if err != nil {
		return []bot.Finding{bot.Broken.Says(err.Error())}
	}
	defer p.transport.CloseIdleConnections()
	var me self
	err = p.api.raw(ctx, "getMe", struct{}{}, &me, checkTime)
	switch {
	case refusedToken(err):
		return []bot.Finding{bot.Broken.Says(ErrToken.Error())}
	case err != nil:
		return []bot.Finding{bot.ToDo.Says(fmt.Sprintf("Telegram cannot be asked (%v), so the bot starts without it and tries again: is this machine online, and is telegram.api_base right?", err))}
	}
	found := []bot.Finding{bot.Fine.Says(fmt.Sprintf("Telegram knows the bot as %q: https://t.me/%s", me.Name, me.Username))}
	if me.ReadsAll {
		found = append(found, bot.Fine.Says("privacy mode is off: the bot hears everything in its groups"))
	} else {
		found = append(found, bot.ToDo.Says("privacy mode is on: "+privacyHint))
	}
	if !me.Groups {
		found = append(found, bot.ToDo.Says("the bot cannot be added to groups: @BotFather → /mybots → your bot → Bot Settings → Allow Groups?"))
	}
	if !me.Inline {
		found = append(found, bot.Note.Says("inline mode is off (@botname in any chat): @BotFather → /setinline, and /setinlinefeedback → Enabled"))
	}
	return append(found, p.checkHook(ctx, c)...)
}

// checkHook looks at how updates come.
func (p *Platform) checkHook(ctx context.Context, c Config) []bot.Finding {
	var hook struct {
		URL     string `json:"url"`
		Pending int    `json:"pending_update_count"`
		Failed  string `json:"last_error_message"`
	}
	if err := p.api.raw(ctx, "getWebhookInfo", struct{}{}, &hook, checkTime); err != nil {
		return []bot.Finding{bot.ToDo.Says(fmt.Sprintf("Telegram does not tell whether a webhook is set: %v", err))}
	}
	switch {
	case hook.URL != "" && c.WebhookURL == "":
		return []bot.Finding{bot.ToDo.Says("a webhook is set for this bot, by another program perhaps; potluck serve removes it and asks for updates by itself. Give each program a bot of its own")}
	case hook.URL != "" && hook.URL != c.WebhookURL:
		return []bot.Finding{bot.ToDo.Says("the bot's webhook leads elsewhere; potluck serve sets it anew. Give each program a bot of its own")}
	case hook.Failed != "":
		return []bot.Finding{bot.ToDo.Says(fmt.Sprintf("Telegram could not bring updates lately: %s (%d wait). See docs/publishing.md", hook.Failed, hook.Pending))}
	case c.WebhookURL != "":
		return []bot.Finding{bot.Fine.Says("Telegram is to bring updates to " + c.WebhookURL)}
	}
	return []bot.Finding{bot.Fine.Says("the bot asks Telegram for updates by itself: no public address is needed for that")}
}

// Inspect tells what keeps the bot from working in a group, in the words of Telegram's settings.
func (p *Platform) Inspect(ctx context.Context, c community.CommunityID) ([]bot.Lack, error) {
	chat, err := strconv.ParseInt(community.Local(c), 10, 64)
	if err != nil || community.Platform(c) != name {
		return nil, fmt.Errorf("no group of Telegram: %q", c)
	}
	chat = p.where(place{chat: chat}).chat
	me := p.self()
	var mine struct {
		Status string `json:"status"`
		Send   *bool  `json:"can_send_messages"` // of one who is restricted
		Photos *bool  `json:"can_send_photos"`
	}
	if err := p.api.raw(ctx, "getChatMember", map[string]any{"chat_id": chat, "user_id": me.ID}, &mine, callTime); err != nil {
		return nil, fmt.Errorf("ask for the bot's rights: %w", explain(err))
	}
	if mine.Status == "administrator" || mine.Status == "creator" {
		return nil, nil
	}
	var group struct {
		Permissions struct {
			Send   *bool `json:"can_send_messages"`
			Photos *bool `json:"can_send_photos"`
		} `json:"permissions"`
	}
	if err := p.api.raw(ctx, "getChat", map[string]any{"chat_id": chat}, &group, callTime); err != nil {
		return nil, fmt.Errorf("ask for the group's rights: %w", explain(err))
	}
	no := func(all ...*bool) bool {
		for _, b := range all {
			if b != nil && !*b {
				return true
			}
		}
		return false
	}
	var rights []string
	if no(mine.Send, group.Permissions.Send) {
		rights = append(rights, "Send Messages")
	}
	if no(mine.Photos, group.Permissions.Photos) {
		rights = append(rights, "Send Photos")
	}
	if !me.ReadsAll {
		rights = append(rights, "Administrator (or @BotFather: Group Privacy off)")
	}
	if len(rights) == 0 {
		return nil, nil
	}
	return []bot.Lack{{Rights: rights}}, nil
}
