package fakediscord

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Permission bits that the fake knows.
const (
	Administrator      int64 = 1 << 3
	ManageGuild        int64 = 1 << 5
	ViewChannel        int64 = 1 << 10
	SendMessages       int64 = 1 << 11
	EmbedLinks         int64 = 1 << 14
	AttachFiles        int64 = 1 << 15
	ReadMessageHistory int64 = 1 << 16
	ManageWebhooks     int64 = 1 << 29
	SendInThreads      int64 = 1 << 38

	// Ordinary is what @everyone and the bot may do when a test says nothing else.
	Ordinary = ViewChannel | SendMessages | EmbedLinks | AttachFiles | ReadMessageHistory | SendInThreads
)

// User is a person, a bot or a webhook.
type User struct {
	ID         string `json:"id"`
	Username   string `json:"username"`
	GlobalName string `json:"global_name,omitempty"`
	Bot        bool   `json:"bot,omitempty"`
}

// Role of a guild; the one with the guild's id is @everyone.
type Role struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Permissions int64  `json:"permissions,string"`
	Managed     bool   `json:"managed"`
}

// Overwrite of a channel's permissions: Type 0 is a role, 1 a member.
type Overwrite struct {
	ID    string `json:"id"`
	Type  int    `json:"type"`
	Allow int64  `json:"allow,string"`
	Deny  int64  `json:"deny,string"`
}

// Channel is a channel, thread or DM.
type Channel struct {
	ID         string      `json:"id"`
	Type       int         `json:"type"` // 0 text, 1 DM, 11 public thread, 12 private thread, 15 forum
	GuildID    string      `json:"guild_id,omitempty"`
	Name       string      `json:"name,omitempty"`
	ParentID   string      `json:"parent_id,omitempty"`
	NSFW       bool        `json:"nsfw,omitempty"`
	Overwrites []Overwrite `json:"permission_overwrites,omitempty"`
	Recipients []User      `json:"recipients,omitempty"`
}

func (c Channel) isThread() bool { return c.Type >= 10 && c.Type <= 12 }

// Guild is a server with what the gateway tells of it.
type Guild struct {
	ID       string
	Name     string
	OwnerID  string
	Roles    []Role
	Channels []Channel
	// BotRoles are the bot's besides @everyone.
	BotRoles []string
}

// Member is somebody in a guild.
type Member struct {
	User  User
	Roles []string
	Nick  string
	// Locale is the person's language in the client.
	Locale string
}

// Attachment is a file that a message carries.
type Attachment struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	Size        int    `json:"size"`
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitempty"`
	Description string `json:"description,omitempty"`
	Spoiler     bool   `json:"-"`
	Data        []byte `json:"-"`
}

// Reference points to the message that is replied to.
type Reference struct {
	Type      int    `json:"type"`
	MessageID string `json:"message_id,omitempty"`
	ChannelID string `json:"channel_id,omitempty"`
	GuildID   string `json:"guild_id,omitempty"`
}

// Message is a message as it is now.
type Message struct {
	ID          string          `json:"id"`
	ChannelID   string          `json:"channel_id"`
	GuildID     string          `json:"guild_id,omitempty"`
	Type        int             `json:"type"`
	Author      *User           `json:"author,omitempty"`
	Content     string          `json:"content"`
	Timestamp   time.Time       `json:"timestamp"`
	Edited      *time.Time      `json:"edited_timestamp"`
	Mentions    []User          `json:"mentions"`
	Attachments []Attachment    `json:"attachments"`
	Embeds      json.RawMessage `json:"embeds,omitempty"`
	Components  json.RawMessage `json:"components,omitempty"`
	Stickers    json.RawMessage `json:"sticker_items,omitempty"`
	Poll        json.RawMessage `json:"poll,omitempty"`
	Snapshots   json.RawMessage `json:"message_snapshots,omitempty"`
	Reference   *Reference      `json:"message_reference,omitempty"`
	WebhookID   string          `json:"webhook_id,omitempty"`
	Application string          `json:"application_id,omitempty"`
	Flags       int             `json:"flags,omitempty"`
	Nonce       string          `json:"nonce,omitempty"`
	Interaction *ByInteraction  `json:"interaction_metadata,omitempty"`

	// Pinged are those who were notified; Edits counts the edits; Only is who sees an ephemeral one.
	Pinged []string `json:"-"`
	Edits  int      `json:"-"`
	Only   string   `json:"-"`
	// Thinking: the answer was deferred and there is nothing to read yet.
	Thinking bool `json:"-"`
}

// ByInteraction names the interaction that a message answers.
type ByInteraction struct {
	ID   string `json:"id"`
	Type int    `json:"type"`
	User User   `json:"user"`
}

// Button is one button of a message.
type Button struct {
	CustomID string `json:"custom_id"`
	Label    string `json:"label"`
	Style    int    `json:"style"`
}

// Buttons lists the buttons of a message in order.
func (m Message) Buttons() []Button {
	var rows []struct {
		Components []Button `json:"components"`
	}
	_ = json.Unmarshal(m.Components, &rows) // none is no JSON
	var all []Button
	for _, r := range rows {
		all = append(all, r.Components...)
	}
	return all
}

const discordEpoch = 1420070400000

// id makes a snowflake of now; it needs mu.
func (s *Server) id() string {
	s.last++
	return strconv.FormatInt((time.Now().UnixMilli()-discordEpoch)<<22|s.last&0x3fffff, 10)
}

// AddGuild puts a guild into the world; the bot is in it and hears of it. Missing roles and owner are filled in.
func (s *Server) AddGuild(g Guild) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(g.Roles, func(r Role) bool { return r.ID == g.ID }) {
		g.Roles = append(g.Roles, Role{ID: g.ID, Name: "@everyone", Permissions: Ordinary})
	}
	if g.OwnerID == "" {
		g.OwnerID = "9"
	}
	for i := range g.Channels {
		g.Channels[i].GuildID = g.ID
		s.channels[g.Channels[i].ID] = &g.Channels[i]
	}
	s.guilds[g.ID] = &g
	s.dispatch(g.ID, "GUILD_CREATE", s.guildCreate(&g))
}

// RemoveGuild throws the bot out of a guild.
func (s *Server) RemoveGuild(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.guilds[id].Channels {
		delete(s.channels, c.ID)
	}
	delete(s.guilds, id)
	s.dispatch(id, "GUILD_DELETE", map[string]any{"id": id})
}

// AddChannel makes a channel (or a thread, or a DM when it has no guild) and tells the bot.
func (s *Server) AddChannel(guild string, c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.GuildID = guild
	s.channels[c.ID] = &c
	what := "CHANNEL_CREATE"
	if c.isThread() {
		what = "THREAD_CREATE"
	}
	if g := s.guilds[guild]; g != nil {
		g.Channels = append(g.Channels, c)
		s.channels[c.ID] = &g.Channels[len(g.Channels)-1]
		for i := range g.Channels {
			s.channels[g.Channels[i].ID] = &g.Channels[i]
		}
		s.dispatch(guild, what, c)
	}
}

// ChangeChannel changes a channel and tells the bot.
func (s *Server) ChangeChannel(id string, change func(*Channel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	change(c)
	s.dispatch(c.GuildID, "CHANNEL_UPDATE", c)
}

// RemoveChannel deletes a channel and tells the bot.
func (s *Server) RemoveChannel(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *s.channels[id]
	delete(s.channels, id)
	if g := s.guilds[c.GuildID]; g != nil {
		g.Channels = slices.DeleteFunc(slices.Clone(g.Channels), func(x Channel) bool { return x.ID == id })
		for i := range g.Channels {
			s.channels[g.Channels[i].ID] = &g.Channels[i]
		}
	}
	s.dispatch(c.GuildID, "CHANNEL_DELETE", c)
}

// SetBotRole changes what the bot's own role of a guild allows (the role is made when it is not there) and tells the bot.
func (s *Server) SetBotRole(guild string, permissions int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	role := Role{ID: "7" + guild, Name: "Potluck", Permissions: permissions, Managed: true}
	i := slices.IndexFunc(g.Roles, func(r Role) bool { return r.ID == role.ID })
	if i < 0 {
		g.Roles = append(g.Roles, role)
		g.BotRoles = append(g.BotRoles, role.ID)
	} else {
		g.Roles[i] = role
	}
	s.dispatch(guild, "GUILD_ROLE_UPDATE", map[string]any{"guild_id": guild, "role": role})
}

// SetRole changes a role of a guild and tells the bot.
func (s *Server) SetRole(guild string, role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guilds[guild]
	i := slices.IndexFunc(g.Roles, func(r Role) bool { return r.ID == role.ID })
	if i < 0 {
		g.Roles = append(g.Roles, role)
	} else {
		g.Roles[i] = role
	}
	s.dispatch(guild, "GUILD_ROLE_UPDATE", map[string]any{"guild_id": guild, "role": role})
}

// AddMember makes a person known; roles hold in every guild of the test.
func (s *Server) AddMember(m Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[m.User.ID] = &m
}

// permissions computes what somebody with these roles may do in a channel (0 channel: in the guild).
func (s *Server) permissions(g *Guild, user string, roles []string, channel *Channel) int64 {
	if g == nil {
		return Ordinary
	}
	if user == g.OwnerID {
		return -1 >> 1 & (1<<52 - 1)
	}
	var p int64
	for _, r := range g.Roles {
		if r.ID == g.ID || slices.Contains(roles, r.ID) {
			p |= r.Permissions
		}
	}
	if p&Administrator != 0 {
		return 1<<52 - 1
	}
	if channel == nil {
		return p
	}
	if channel.isThread() {
		if parent := s.channels[channel.ParentID]; parent != nil {
			channel = parent
		}
	}
	for _, o := range channel.Overwrites {
		if o.ID == g.ID {
			p = p&^o.Deny | o.Allow
		}
	}
	var allow, deny int64
	for _, o := range channel.Overwrites {
		if o.Type == 0 && o.ID != g.ID && slices.Contains(roles, o.ID) {
			allow |= o.Allow
			deny |= o.Deny
		}
	}
	p = p&^deny | allow
	for _, o := range channel.Overwrites {
		if o.Type == 1 && o.ID == user {
			p = p&^o.Deny | o.Allow
		}
	}
	return p
}

func (s *Server) botPermissions(c *Channel) int64 {
	g := s.guilds[c.GuildID]
	if g == nil {
		return Ordinary
	}
	return s.permissions(g, s.self.ID, g.BotRoles, c)
}

func (s *Server) guildCreate(g *Guild) map[string]any {
	var channels, threads []Channel
	for _, c := range g.Channels {
		if c.isThread() {
			threads = append(threads, c)
		} else {
			channels = append(channels, c)
		}
	}
	return map[string]any{
		"id": g.ID, "name": g.Name, "owner_id": g.OwnerID, "roles": g.Roles, "channels": append([]Channel{}, channels...),
		"threads": append([]Channel{}, threads...), "large": false, "unavailable": false, "member_count": 3,
		"members": []any{map[string]any{"user": s.self, "roles": append([]string{}, g.BotRoles...)}},
	}
}

// member is what events carry of a person in a guild.
func (s *Server) member(g *Guild, user string, channel *Channel, withUser bool) map[string]any {
	m := s.members[user]
	if m == nil {
		m = &Member{User: User{ID: user, Username: "user" + user}}
	}
	out := map[string]any{"roles": append([]string{}, m.Roles...), "joined_at": "2026-01-01T00:00:00Z", "deaf": false, "mute": false}
	if m.Nick != "" {
		out["nick"] = m.Nick
	}
	if withUser {
		out["user"] = m.User
		out["permissions"] = strconv.FormatInt(s.permissions(g, user, m.Roles, channel), 10)
	}
	return out
}

func (s *Server) user(id string) User {
	if id == s.self.ID {
		return s.self
	}
	if m := s.members[id]; m != nil {
		return m.User
	}
	return User{ID: id, Username: "user" + id}
}
