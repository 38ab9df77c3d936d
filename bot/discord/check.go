package discord

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
	"potluck/community"
)

// permission is a right that the bot uses in a channel.
type permission struct {
	bit  int64
	name string // as Discord's settings call it
	why  string
}

// wanted lists what the invitation asks for, and no more.
var wanted = []permission{
	{discordgo.PermissionViewChannel, "View Channel", "it sees nothing without"},
	{discordgo.PermissionSendMessages, "Send Messages", "it answers mentions and brings late results"},
	{discordgo.PermissionSendMessagesInThreads, "Send Messages in Threads", "the same in threads and forum posts"},
	{discordgo.PermissionEmbedLinks, "Embed Links", "links it shows stay links"},
	{discordgo.PermissionAttachFiles, "Attach Files", "pictures"},
	{discordgo.PermissionReadMessageHistory, "Read Message History", "it replies, reads what somebody puts a flag on, and finds its own messages after a restart"},
}

// speaking is wanted only where the bot tried to speak under a member's name.
var speaking = permission{discordgo.PermissionManageWebhooks, "Manage Webhooks", "it shows messages under their authors' names"}

// Permissions is the sum of the rights that the bot uses.
func Permissions() int64 {
	var sum int64
	for _, p := range wanted {
		sum |= p.bit
	}
	return sum
}

// Invitation is the address that brings the bot with this application id into a guild, with exactly the rights that it uses.
func Invitation(app string) string {
	q := url.Values{"client_id": {app}, "scope": {"bot applications.commands"}, "permissions": {strconv.FormatInt(Permissions(), 10)}}
	return "https://discord.com/oauth2/authorize?" + q.Encode()
}

const (
	checkTime   = 20 * time.Second
	checkGuilds = 20 // guilds whose channels are looked at
)

// Check asks Discord whether the bot can work: token, intent, and the rights in each channel. It changes nothing.
func Check(ctx context.Context, c Config) []bot.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	p, err := New(c)
	if err != nil {
		return []bot.Finding{bot.Broken.Says(err.Error())}
	}
	defer p.transport.CloseIdleConnections()
	var app struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Flags int    `json:"flags"`
		Bot   struct {
			ID string `json:"id"`
		} `json:"bot"`
	}
	err = p.api.do(ctx, request{method: "GET", path: "/applications/@me"}, &app)
	switch {
	case statusOf(err) == http.StatusUnauthorized:
		return []bot.Finding{bot.Broken.Says(ErrToken.Error())}
	case err != nil:
		return []bot.Finding{bot.ToDo.Says(fmt.Sprintf("Discord cannot be asked (%v), so the bot starts without it and tries again: is this machine online, and is discord.api_base right?", err))}
	}
	found := []bot.Finding{bot.Fine.Says(fmt.Sprintf("Discord knows the bot as %q (application %s)", app.Name, app.ID))}
	switch has := app.Flags&contentFlags != 0; {
	case c.Content && !has:
		found = append(found, bot.ToDo.Says("the message content intent is not switched on: commands, mentions and replies work, other messages cannot be read. "+fixContent))
	case has:
		found = append(found, bot.Fine.Says("the message content intent is switched on"))
	}
	return append(found, p.checkGuilds(ctx, app.ID, cmp.Or(app.Bot.ID, app.ID))...)
}

func (p *Platform) checkGuilds(ctx context.Context, app, self string) (found []bot.Finding) {
	var guilds []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := p.api.do(ctx, request{method: "GET", path: "/users/@me/guilds"}, &guilds); err != nil {
		return []bot.Finding{bot.ToDo.Says(fmt.Sprintf("Discord does not tell where the bot is: %v", err))}
	}
	if len(guilds) == 0 {
		return []bot.Finding{bot.ToDo.Says("the bot is in no server yet: invite it with " + Invitation(app))}
	}
	for _, g := range guilds[:min(len(guilds), checkGuilds)] {
		missing, err := p.missing(ctx, g.ID, self)
		switch {
		case err != nil:
			found = append(found, bot.ToDo.Says(fmt.Sprintf("%s: its channels cannot be looked at: %v", g.Name, err)))
		case len(missing) == 0:
			found = append(found, bot.Fine.Says(g.Name+": the bot may do what it needs in every channel that it sees"))
		}
		for _, m := range missing {
			found = append(found, bot.ToDo.Says(g.Name+", "+m))
		}
	}
	if n := len(guilds) - checkGuilds; n > 0 {
		found = append(found, bot.Note.Says(fmt.Sprintf("%d more servers were not looked at", n)))
	}
	return found
}

// Inspect lists the rights, and the intent, that the bot lacks in a guild.
func (p *Platform) Inspect(ctx context.Context, c community.CommunityID) ([]bot.Lack, error) {
	if community.Platform(c) != name {
		return nil, fmt.Errorf("no community of Discord: %q", c)
	}
	_, self := p.ids()
	lacks, err := p.lacks(ctx, community.Local(c), self)
	if err != nil {
		return nil, fmt.Errorf("inspect on Discord: %w", explain(err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config.Content && !p.content {
		lacks = append([]bot.Lack{{Rights: []string{"Message Content Intent"}}}, lacks...)
	}
	return lacks, nil
}

// missing is what lacks says, a sentence each.
func (p *Platform) missing(ctx context.Context, guildID, self string) (lines []string, err error) {
	lacks, err := p.lacks(ctx, guildID, self)
	for _, l := range lacks {
		var why []string
		for _, w := range append(slices.Clip(wanted), speaking) {
			if slices.Contains(l.Rights, w.name) {
				why = append(why, fmt.Sprintf("%s (%s)", w.name, w.why))
			}
		}
		lines = append(lines, fmt.Sprintf("#%s: allow the bot's role %s. Channel settings → Permissions", l.Chat, strings.Join(why, ", ")))
	}
	return lines, err
}

// lacks names, for each text channel of a guild, the rights that the bot lacks there. Channels that it is not to see are left out.
func (p *Platform) lacks(ctx context.Context, guildID, self string) (all []bot.Lack, err error) {
	var channels []rawOverwritten
	var roles []rawRole
	var me rawMember
	for path, into := range map[string]any{"/channels": &channels, "/roles": &roles, "/members/" + self: &me} {
		if err := p.api.do(ctx, request{method: "GET", path: "/guilds/" + guildID + path}, into); err != nil {
			return nil, err
		}
	}
	for _, c := range channels {
		switch c.Type {
		case 0, 5, 15: // text, announcements, forum
		default:
			continue
		}
		has := c.allowed(guildID, self, roles, me.Roles)
		if has&discordgo.PermissionViewChannel == 0 {
			continue
		}
		l := bot.Lack{Chat: c.Name}
		for _, w := range wanted {
			if has&w.bit == 0 {
				l.Rights = append(l.Rights, w.name)
			}
		}
		if has&speaking.bit == 0 && p.speakers.wasRefused(c.ID) {
			l.Rights = append(l.Rights, speaking.name)
		}
		if len(l.Rights) > 0 {
			all = append(all, l)
		}
	}
	return all, nil
}

type rawOverwritten struct {
	ID         snowflake `json:"id"`
	Type       int       `json:"type"`
	Name       string    `json:"name"`
	Overwrites []struct {
		ID    snowflake `json:"id"`
		Type  int       `json:"type"` // 0 role, 1 member
		Allow bits      `json:"allow"`
		Deny  bits      `json:"deny"`
	} `json:"permission_overwrites"`
}

// allowed computes what a member may do in a channel, as Discord's documentation says it: guild, then @everyone, roles, and the member there.
func (c rawOverwritten) allowed(guildID, user string, roles []rawRole, mine []snowflake) int64 {
	has := make(map[snowflake]bool, len(mine))
	for _, r := range mine {
		has[r] = true
	}
	var sum bits
	for _, r := range roles {
		if r.ID.String() == guildID || has[r.ID] {
			sum |= r.Permissions
		}
	}
	if sum&discordgo.PermissionAdministrator != 0 {
		return -1
	}
	var everyoneAllow, everyoneDeny, allow, deny, memberAllow, memberDeny bits
	for _, o := range c.Overwrites {
		switch {
		case o.ID.String() == guildID:
			everyoneAllow, everyoneDeny = o.Allow, o.Deny
		case o.Type == 0 && has[o.ID]:
			allow |= o.Allow
			deny |= o.Deny
		case o.Type == 1 && o.ID.String() == user:
			memberAllow, memberDeny = o.Allow, o.Deny
		}
	}
	sum = sum&^everyoneDeny | everyoneAllow
	sum = sum&^deny | allow
	return int64(sum&^memberDeny | memberAllow)
}
