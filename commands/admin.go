package commands

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/nearest"
)

const actionAnnounce = "announce_confirm"

func (h House) admin() bot.Command {
	who := []bot.Option{{Name: "who", Kind: bot.String, Rest: true, Person: true, Required: true, Max: 100}}
	return bot.Command{
		Name: "admin", Private: true, Needs: community.Admin,
		Subcommands: []bot.Command{
			{Name: "news", Private: true, Needs: community.Admin, Run: h.news, Options: []bot.Option{{Name: "on", Kind: bot.Bool, Required: true}}},
			{Name: "block", Private: true, Needs: community.Operator, Options: who, Run: h.block},
			{Name: "unblock", Private: true, Needs: community.Operator, Options: who, Run: h.unblock},
			{
				Name: "announce", Private: true, Needs: community.Operator, Run: h.announce,
				Options: []bot.Option{{Name: "text", Kind: bot.String, Rest: true, Required: true, Max: 1500}},
			},
			{Name: "settings", Private: true, Needs: community.Operator, Run: h.settings},
			{
				Name: "set", Private: true, Needs: community.Operator, Run: h.set,
				Options: []bot.Option{
					{Name: "name", Kind: bot.String, Required: true, Max: 40, Suggest: h.suggestSetting},
					{Name: "value", Kind: bot.String, Required: true, Max: 20},
				},
			},
		},
	}
}

// audit writes what somebody with rights did into the log: who and what, never a text.
func (h House) audit(what string, in *bot.Invocation, args ...any) {
	if h.Log != nil {
		h.Log.Info("admin: "+what, append([]any{"by", in.Member.ID, "chat", in.Request.Chat.ID}, args...)...)
	}
}

func (h House) block(ctx context.Context, in *bot.Invocation) error {
	return h.setBlocked(ctx, in, true)
}

func (h House) unblock(ctx context.Context, in *bot.Invocation) error {
	return h.setBlocked(ctx, in, false)
}

func (h House) setBlocked(ctx context.Context, in *bot.Invocation, blocked bool) error {
	m, err := h.anybody(ctx, in, in.Rest)
	if err != nil {
		return err
	}
	if blocked && (m.ID == in.Member.ID || m.Operator) {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.not_operator", "name", m.Name)})
	}
	if err := h.Members.SetBlocked(ctx, m.ID, blocked); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	h.audit("block", in, "member", m.ID, "blocked", blocked)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.blocked", "name", m.Name, "blocked", blocked, "id", int64(m.ID))})
}

func (h House) news(ctx context.Context, in *bot.Invocation) error {
	c := in.Request.Chat.Community
	if c == "" || in.Request.Chat.Private {
		return fault.New(fault.NotHere)
	}
	chat, on := "", in.Options["on"] == "true"
	if on {
		chat = string(in.Request.Chat.ID)
	}
	if err := h.Members.SetSetting(ctx, c, NewsSetting, chat, in.Member.ID, h.Now()); err != nil {
		return err
	}
	h.audit("news", in, "community", c, "on", on)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.news", "on", on)})
}

func (h House) announce(ctx context.Context, in *bot.Invocation) error {
	places, err := h.Running.Places(ctx)
	if err != nil {
		return fmt.Errorf("places: %w", err)
	}
	if len(places) == 0 {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.no_places")})
	}
	text := in.Rest
	if len(text.Spans) == 0 { // typed where nothing can be made bold
		text = bot.ParseMarkdown(text.Plain)
	}
	data, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{
		Text:    joined("\n\n", in.Say("admin.announce", "n", len(places)), text.In(bot.Quote, "")),
		Buttons: []bot.NewButton{{Action: actionAnnounce, Label: in.Say("button.announce"), Style: bot.Primary, Data: data}},
	})
}

// announceConfirmed posts in each place once: the nonce comes from the request that asked.
func (h House) announceConfirmed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	if in.Request.Role < community.Operator { // whoever asked may have lost the right since
		return fault.New(fault.Forbidden, "role", community.Operator)
	}
	var text bot.Text
	if err := json.Unmarshal(a.Data, &text); err != nil {
		return fault.Wrap(err, fault.Gone, "command", "admin announce")
	}
	places, err := h.Running.Places(ctx)
	if err != nil {
		return fmt.Errorf("places: %w", err)
	}
	reached := 0
	for _, chat := range places {
		sum := sha256.Sum256([]byte(a.Request + " " + string(chat)))
		if err := h.Running.Announce(ctx, chat, text, base32.StdEncoding.EncodeToString(sum[:])[:16]); err != nil {
			h.audit("announce failed", in, "place", chat, "err", err)
			continue
		}
		reached++
	}
	h.audit("announce", in, "places", len(places), "reached", reached)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.announced", "n", reached, "all", len(places))})
}

func (h House) settings(ctx context.Context, in *bot.Invocation) error {
	lines := []bot.Text{in.Say("admin.settings")}
	for _, s := range h.Running.Settings() {
		lines = append(lines, in.Say("admin.setting", "name", s.Name, "what", in.Say(settingKey(s.Name)), "value", s.Value,
			"changed", s.Value != s.Configured, "configured", s.Configured))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", append(lines, small(in.Say("admin.settings_more")))...)})
}

// settingKey is the key of what a setting means.
func settingKey(name string) string {
	_, last, _ := strings.Cut(name, ".")
	switch last {
	case "running":
		return "setting.running"
	case "queued":
		return "setting.queued"
	case "per_minute":
		return "setting.per_minute"
	case "daily_member":
		return "setting.daily_member"
	case "daily_page":
		return "setting.daily_page"
	case "page_share":
		return "setting.page_share"
	}
	return "setting.other"
}

// suggestSetting completes the name of a setting.
func (h House) suggestSetting(typed string) []string {
	var names []string
	for _, s := range h.Running.Settings() {
		names = append(names, s.Name)
	}
	return matching(typed, names)
}

func (h House) set(ctx context.Context, in *bot.Invocation) error {
	name, value := strings.ToLower(plainForm(in.Options["name"])), plainForm(in.Options["value"])
	var names []string
	for _, s := range h.Running.Settings() {
		names = append(names, s.Name)
		if s.Name != name {
			continue
		}
		n, err := strconv.Atoi(value)
		if strings.EqualFold(value, "default") {
			n, value, err = s.Configured, "", nil
		}
		if err != nil || value != "" && (n < s.Min || n > s.Max) {
			return fault.New(fault.BadOption, "option", "value", "value", value, "want", fmt.Sprintf("%d–%d, default", s.Min, s.Max))
		}
		if err := h.Running.Set(ctx, name, value, in.Member); err != nil {
			return fmt.Errorf("set: %w", err)
		}
		h.audit("set", in, "name", name, "value", n)
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("admin.set", "name", name, "old", s.Value, "value", n)})
	}
	near := nearest.Of(name, names)
	want := strings.Join(names, ", ")
	if near != "" {
		want = near
	}
	return fault.New(fault.BadOption, "option", "name", "value", name, "want", want)
}
