package discord

import (
	"encoding/json"
	"strconv"
	"sync"

	"github.com/bwmarrin/discordgo"

	"potluck/community"
)

// places remembers what must be known of guilds and channels to judge an event: who may read a channel, and what roles allow. Nothing else
// of a guild is kept: no members, no texts.
type places struct {
	mu     sync.RWMutex
	guilds map[uint64]*guild
}

type guild struct {
	owner    uint64
	everyone int64            // what @everyone may do
	roles    map[uint64]int64 // what the roles allow
	channels map[uint64]channel
	threads  int
}

// channel is 48 bytes besides its name.
type channel struct {
	name   string
	parent uint64
	kind   uint8
	bits   uint8
}

const (
	bitNSFW      uint8 = 1 << iota
	bitDenyView        // @everyone may not read it
	bitAllowView       // @everyone may read it, whatever the guild says
)

// maxThreads of one guild are remembered; the others are looked up when somebody writes there.
const maxThreads = 1000

func newPlaces() *places { return &places{guilds: make(map[uint64]*guild)} }

// rawChannel is a channel or thread as events tell it.
type rawChannel struct {
	ID         snowflake `json:"id"`
	GuildID    snowflake `json:"guild_id"`
	ParentID   snowflake `json:"parent_id"`
	Type       uint8     `json:"type"`
	Name       string    `json:"name"`
	NSFW       bool      `json:"nsfw"`
	Overwrites []struct {
		ID    snowflake `json:"id"`
		Allow bits      `json:"allow"`
		Deny  bits      `json:"deny"`
	} `json:"permission_overwrites"`
	Metadata struct {
		Archived bool `json:"archived"`
	} `json:"thread_metadata"`
}

type rawRole struct {
	ID          snowflake `json:"id"`
	Permissions bits      `json:"permissions"`
}

type rawGuild struct {
	ID          snowflake    `json:"id"`
	Name        string       `json:"name"`
	OwnerID     snowflake    `json:"owner_id"`
	Unavailable bool         `json:"unavailable"`
	Roles       []rawRole    `json:"roles"`
	Channels    []rawChannel `json:"channels"`
	Threads     []rawChannel `json:"threads"`
}

// snowflake is an id; Discord sends it as a string, and null, "" and nonsense are 0.
type snowflake uint64

func (s *snowflake) UnmarshalJSON(b []byte) error {
	n, _ := parseDigits(b)
	*s = snowflake(n)
	return nil
}

func (s snowflake) String() string { return strconv.FormatUint(uint64(s), 10) }

// bits are permissions, sent as a string of digits.
type bits int64

func (p *bits) UnmarshalJSON(b []byte) error {
	n, _ := parseDigits(b)
	*p = bits(n)
	return nil
}

func parseDigits(b []byte) (uint64, error) {
	if len(b) >= 2 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	return strconv.ParseUint(string(b), 10, 64)
}

func (c rawChannel) small(everyone uint64) channel {
	out := channel{name: c.Name, parent: uint64(c.ParentID), kind: c.Type}
	if c.NSFW {
		out.bits |= bitNSFW
	}
	for _, o := range c.Overwrites {
		if uint64(o.ID) != everyone {
			continue
		}
		if o.Deny&discordgo.PermissionViewChannel != 0 {
			out.bits |= bitDenyView
		}
		if o.Allow&discordgo.PermissionViewChannel != 0 {
			out.bits |= bitAllowView
		}
	}
	return out
}

// learn takes the events about places; joined is set for a guild that was not known before.
func (p *places) learn(kind string, data json.RawMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case "GUILD_CREATE", "GUILD_UPDATE":
		var g rawGuild
		if err := json.Unmarshal(data, &g); err != nil {
			return err
		}
		p.guild(g, kind == "GUILD_CREATE")
	case "GUILD_DELETE":
		var g rawGuild
		if err := json.Unmarshal(data, &g); err != nil {
			return err
		}
		if !g.Unavailable { // an outage ends by itself; what was known stays true
			delete(p.guilds, uint64(g.ID))
		}
	case "CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE", "CHANNEL_DELETE", "THREAD_DELETE":
		var c rawChannel
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		p.channel(c, kind == "CHANNEL_DELETE" || kind == "THREAD_DELETE" || c.Metadata.Archived)
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE":
		var r struct {
			Guild snowflake `json:"guild_id"`
			Role  rawRole   `json:"role"`
			Gone  snowflake `json:"role_id"`
		}
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if g := p.guilds[uint64(r.Guild)]; g != nil {
			delete(g.roles, uint64(r.Gone))
			g.role(r.Guild, r.Role)
		}
	}
	return nil
}

// guild needs mu.
func (p *places) guild(raw rawGuild, whole bool) {
	if raw.Unavailable || raw.ID == 0 {
		return
	}
	g := p.guilds[uint64(raw.ID)]
	if g == nil || whole {
		g = &guild{roles: make(map[uint64]int64, len(raw.Roles)), channels: make(map[uint64]channel, len(raw.Channels))}
		p.guilds[uint64(raw.ID)] = g
	}
	g.owner = uint64(raw.OwnerID)
	for _, r := range raw.Roles {
		g.role(raw.ID, r)
	}
	for _, c := range append(raw.Channels, raw.Threads...) {
		c.GuildID = raw.ID
		p.channel(c, false)
	}
}

func (g *guild) role(guild snowflake, r rawRole) {
	switch {
	case r.ID == 0:
	case r.ID == guild:
		g.everyone = int64(r.Permissions)
	default:
		g.roles[uint64(r.ID)] = int64(r.Permissions)
	}
}

// channel needs mu.
func (p *places) channel(c rawChannel, gone bool) {
	g := p.guilds[uint64(c.GuildID)]
	if g == nil || c.ID == 0 {
		return
	}
	old, known := g.channels[uint64(c.ID)]
	if gone {
		delete(g.channels, uint64(c.ID))
		if known && isThread(old.kind) {
			g.threads--
		}
		return
	}
	if isThread(c.Type) && !known {
		if g.threads >= maxThreads {
			for id, x := range g.channels {
				if isThread(x.kind) {
					delete(g.channels, id)
					g.threads--
					break
				}
			}
		}
		g.threads++
	}
	g.channels[uint64(c.ID)] = c.small(uint64(c.GuildID))
}

func isThread(kind uint8) bool { return kind >= 10 && kind <= 12 }

const kindPrivateThread = 12

// chat describes a channel as the core knows it. ok is false when the channel is not known: then it counts as private.
func (p *places) chat(guildID, channelID snowflake) (c community.Chat, ok bool) {
	c = community.Chat{ID: chatID(channelID.String()), Private: true}
	if guildID == 0 {
		return c, true // a DM
	}
	c.Community = communityID(guildID.String())
	p.mu.RLock()
	defer p.mu.RUnlock()
	g := p.guilds[uint64(guildID)]
	if g == nil {
		return c, false
	}
	at, ok := g.channels[uint64(channelID)]
	if !ok {
		return c, false
	}
	c.Name = at.name
	c.AgeRestricted = at.bits&bitNSFW != 0
	if isThread(at.kind) {
		parent, known := g.channels[at.parent]
		if !known {
			return c, false
		}
		c.AgeRestricted = c.AgeRestricted || parent.bits&bitNSFW != 0
		c.Private = at.kind == kindPrivateThread || g.hidden(parent)
		return c, true
	}
	c.Private = g.hidden(at)
	return c, true
}

// hidden tells whether not everybody in the guild may read a channel.
func (g *guild) hidden(c channel) bool {
	may := g.everyone&(discordgo.PermissionViewChannel|discordgo.PermissionAdministrator) != 0
	may = may && c.bits&bitDenyView == 0
	return !may && c.bits&bitAllowView == 0
}

// parent returns the channel that a thread belongs to, 0 for others.
func (p *places) parent(guildID, channelID snowflake) snowflake {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if g := p.guilds[uint64(guildID)]; g != nil {
		if c := g.channels[uint64(channelID)]; isThread(c.kind) {
			return snowflake(c.parent)
		}
	}
	return 0
}

// name returns a channel's name for a mention, "" if it is not known.
func (p *places) name(guildID, channelID snowflake) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if g := p.guilds[uint64(guildID)]; g != nil {
		return g.channels[uint64(channelID)].name
	}
	return ""
}

// guildOf finds the guild of a channel, 0 if none is known.
func (p *places) guildOf(channelID string) snowflake {
	id, err := parseDigits([]byte(channelID))
	if err != nil {
		return 0
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for g, at := range p.guilds {
		if _, ok := at.channels[id]; ok {
			return snowflake(g)
		}
	}
	return 0
}

// known tells whether the bot is in a guild.
func (p *places) known(guildID snowflake) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.guilds[uint64(guildID)] != nil
}

// role says what somebody with these roles is in a guild: Discord's Manage Server makes an admin.
func (p *places) role(guildID, user snowflake, roles []snowflake) community.Role {
	p.mu.RLock()
	defer p.mu.RUnlock()
	g := p.guilds[uint64(guildID)]
	if g == nil {
		return community.Everyone
	}
	if g.owner == uint64(user) {
		return community.Admin
	}
	may := g.everyone
	for _, r := range roles {
		may |= g.roles[uint64(r)]
	}
	return roleOf(bits(may))
}

func roleOf(p bits) community.Role {
	if p&(discordgo.PermissionAdministrator|discordgo.PermissionManageGuild) != 0 {
		return community.Admin
	}
	return community.Everyone
}

func chatID(id string) community.ChatID           { return community.ChatID(name + ":" + id) }
func userID(id string) community.UserID           { return community.UserID(name + ":" + id) }
func communityID(id string) community.CommunityID { return community.CommunityID(name + ":" + id) }
