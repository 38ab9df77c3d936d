package commands

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Setups keeps how admins set the bot up in their places. *storage.People implements it.
type Setups interface {
	Setting(ctx context.Context, c community.CommunityID, name string) (value string, ok bool, err error)
	// Asked counts a member's requests in a community since a time whose command is one of these.
	Asked(ctx context.Context, m community.MemberID, c community.CommunityID, since time.Time, commands ...string) (int, error)
}

// features can be switched off by an admin, in one chat or in the whole place: commands, and translating for those who show a flag.
var features = []string{"ask", "imagine", "translate", featureReactions}

// Names of settings of a community.
const (
	settingOff   = "off."        // and the feature; in one chat, "@" and the chat behind it
	settingDaily = "limit.daily" // requests of one member a day
	// DelegateSetting is the role whose members count as admins, as the platform calls it: "discord:&123".
	DelegateSetting = "delegate"
)

const everyDay = 24 * time.Hour

func (h House) setup() bot.Command {
	sub := func(name string, run func(context.Context, *bot.Invocation) error, options ...bot.Option) bot.Command {
		return bot.Command{Name: name, Private: true, Needs: community.Admin, Run: run, Options: options}
	}
	delegate := sub("delegate", h.setupDelegate, bot.Option{Name: "role", Kind: bot.String, Rest: true, Required: true, Max: 100})
	delegate.OfRoles = true
	return bot.Command{
		Name: "setup", Private: true, Needs: community.Admin,
		Subcommands: []bot.Command{
			sub("show", h.setupShow),
			sub("check", h.setupCheck),
			sub("features", h.setupFeatures,
				bot.Option{Name: "feature", Kind: bot.Choice, Required: true, Choices: features},
				bot.Option{Name: "on", Kind: bot.Bool, Required: true},
				bot.Option{Name: "everywhere", Kind: bot.Bool}),
			sub("limits", h.setupLimits, bot.Option{Name: "daily", Kind: bot.Integer, Required: true, Min: 0, Max: 100_000}),
			delegate,
			sub("block", func(ctx context.Context, in *bot.Invocation) error { return h.setupBlock(ctx, in, true) },
				bot.Option{Name: "who", Kind: bot.String, Rest: true, Person: true, Required: true, Max: 100}),
			sub("unblock", func(ctx context.Context, in *bot.Invocation) error { return h.setupBlock(ctx, in, false) },
				bot.Option{Name: "who", Kind: bot.String, Rest: true, Person: true, Required: true, Max: 100}),
		},
	}
}

// place is the community that an admin sets up; a private chat without one is none.
func (h House) place(in *bot.Invocation) (community.CommunityID, error) {
	c := in.Request.Chat.Community
	if c == "" || h.Setups == nil {
		return "", fault.New(fault.NotHere)
	}
	return c, nil
}

// settingOf returns a setting of a place, "" when nobody set it.
func (h House) settingOf(ctx context.Context, c community.CommunityID, name string) (string, error) {
	v, _, err := h.Setups.Setting(ctx, c, name)
	if err != nil {
		return "", fmt.Errorf("look up %s: %w", name, err)
	}
	return v, nil
}

// state tells whether a feature is "on", off in this "chat", or off "everywhere" in the place.
func (h House) state(ctx context.Context, chat community.Chat, feature string) (string, error) {
	for _, s := range []struct{ name, state string }{
		{settingOff + feature, "everywhere"}, {settingOff + feature + "@" + string(chat.ID), "chat"},
	} {
		if v, err := h.settingOf(ctx, chat.Community, s.name); err != nil || v != "" {
			return s.state, err
		}
	}
	return "on", nil
}

func (h House) daily(ctx context.Context, c community.CommunityID) (int, error) {
	v, err := h.settingOf(ctx, c, settingDaily)
	if err != nil || v == "" {
		return 0, err
	}
	return strconv.Atoi(v)
}

func (h House) setupShow(ctx context.Context, in *bot.Invocation) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	lines := []bot.Text{in.Say("setup.title")}
	for _, f := range features {
		if f == featureReactions && !in.Reacts() {
			continue
		}
		state, err := h.state(ctx, in.Request.Chat, f)
		if err != nil {
			return err
		}
		lines = append(lines, in.Say("setup.feature", "feature", f, "state", state))
	}
	limit, err := h.daily(ctx, c)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", append(lines, in.Say("setup.daily", "limit", limit), in.Say("setup.more"))...)})
}

func (h House) setupCheck(ctx context.Context, in *bot.Invocation) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	if h.Inspect == nil {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.unchecked")})
	}
	lacks, known, err := h.Inspect(ctx, c)
	switch {
	case err != nil:
		return fmt.Errorf("check the rights: %w", err)
	case !known:
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.unchecked")})
	case len(lacks) == 0:
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.fine")})
	}
	const most = 25
	lines := []bot.Text{in.Say("setup.lacks")}
	for _, l := range lacks[:min(len(lacks), most)] {
		lines = append(lines, in.Say("setup.lack", "chat", l.Chat, "rights", l.Rights))
	}
	if n := len(lacks) - most; n > 0 {
		lines = append(lines, in.Say("setup.more_lacks", "n", n))
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", append(lines, in.Say("setup.mend", "platform", community.Platform(c)))...)})
}

func (h House) setupFeatures(ctx context.Context, in *bot.Invocation) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	feature, on, everywhere := in.Options["feature"], in.Options["on"] == "true", in.Options["everywhere"] == "true"
	value := "1"
	if on {
		value = ""
	}
	name := settingOff + feature
	if !everywhere {
		name += "@" + string(in.Request.Chat.ID)
	}
	if err := h.Members.SetSetting(ctx, c, name, value, in.Member.ID, h.Now()); err != nil {
		return fmt.Errorf("switch a feature: %w", err)
	}
	h.audit("feature", in, "community", c, "feature", feature, "on", on, "everywhere", everywhere)
	state, err := h.state(ctx, in.Request.Chat, feature)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.switched", "feature", feature, "state", state)})
}

func (h House) setupLimits(ctx context.Context, in *bot.Invocation) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(in.Options["daily"])
	if err != nil {
		return fmt.Errorf("daily limit: %w", err) // the option is an integer
	}
	value := ""
	if limit > 0 {
		value = strconv.Itoa(limit)
	}
	if err := h.Members.SetSetting(ctx, c, settingDaily, value, in.Member.ID, h.Now()); err != nil {
		return fmt.Errorf("set the daily limit: %w", err)
	}
	h.audit("limit", in, "community", c, "daily", limit)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.limited", "limit", limit)})
}

// setupDelegate makes a role's members admins to the bot. A role is a sign of the platform's own, which its adapter knows again.
func (h House) setupDelegate(ctx context.Context, in *bot.Invocation) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	role, shown := "", any("")
	for _, s := range in.Rest.Spans {
		if s.Kind == bot.Emoji && strings.HasPrefix(community.Local(s.Value), "&") {
			role, shown = s.Value, bot.Plain(in.Rest.Plain[s.Start:s.End]).In(s.Kind, s.Value)
		}
	}
	typed := strings.ToLower(plainForm(in.Rest.Plain))
	if role == "" && typed != "none" && typed != "nobody" {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.no_role")})
	}
	if err := h.Members.SetSetting(ctx, c, DelegateSetting, role, in.Member.ID, h.Now()); err != nil {
		return fmt.Errorf("delegate: %w", err)
	}
	h.audit("delegate", in, "community", c, "role", role)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.delegated", "role", shown)})
}

func (h House) setupBlock(ctx context.Context, in *bot.Invocation, blocked bool) error {
	c, err := h.place(in)
	if err != nil {
		return err
	}
	m, err := h.anybody(ctx, in, in.Rest)
	if err != nil {
		return err
	}
	if blocked && (m.ID == in.Member.ID || m.Operator) {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.not_them", "name", m.Name)})
	}
	value := ""
	if blocked {
		value = "1"
	}
	if err := h.Members.SetSetting(ctx, c, community.BlockSetting(m.ID), value, in.Member.ID, h.Now()); err != nil {
		return fmt.Errorf("block here: %w", err)
	}
	h.audit("block here", in, "community", c, "member", m.ID, "blocked", blocked)
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("setup.blocked", "name", m.Name, "id", int64(m.ID), "blocked", blocked)})
}

// Gate is a fault where an admin does not want something costly done. It is for bot.Config.
func (h House) Gate(ctx context.Context, q bot.Request, m community.Member) error {
	feature, _, _ := strings.Cut(q.Command, " ")
	if q.Command == listenerReply {
		feature = "ask"
	}
	for _, a := range Actions(h) {
		if a.Name == q.Command {
			feature = a.Command
		}
	}
	return h.objection(ctx, q.Chat, m, q.Role, feature)
}

// objection is a fault where an admin does not want a feature's work done for somebody. Operators may everything.
func (h House) objection(ctx context.Context, chat community.Chat, m community.Member, role community.Role, feature string) error {
	if h.Setups == nil || chat.Community == "" || m.Operator {
		return nil
	}
	blocked, err := h.settingOf(ctx, chat.Community, community.BlockSetting(m.ID))
	switch {
	case err != nil:
		return err
	case blocked != "":
		return fault.New(fault.Unwanted)
	}
	if slices.Contains(features, feature) {
		state, err := h.state(ctx, chat, feature)
		switch {
		case err != nil:
			return err
		case state != "on":
			return fault.New(fault.SwitchedOff, "feature", feature, "state", state)
		}
	}
	limit, err := h.daily(ctx, chat.Community)
	if err != nil || limit == 0 || role >= community.Admin {
		return err
	}
	day := h.Now().UTC().Truncate(everyDay)
	asked, err := h.Setups.Asked(ctx, m.ID, chat.Community, day, counted...)
	if err != nil || asked < limit {
		return err
	}
	return fault.New(fault.EnoughToday, "limit", limit, "reset", day.Add(everyDay))
}

// counted are the requests that a daily limit counts.
var counted = []string{
	"ask", "imagine", "translate", reactionTranslate, actionRetryFlag, listenerReply,
	actionAskAgain, actionAskContinue, actionDrawAgain, actionRedraw, actionVary,
}
