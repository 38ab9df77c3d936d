package fakediscord

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Write is what a person writes.
type Write struct {
	Channel, User, Content string
	ReplyTo                string
	Type                   int // 0 ordinary; 19 is set for a reply
	Webhook                string
	Bot                    bool
	Attachments            []Attachment
	Stickers, Poll         string // JSON
	Snapshots, Embeds      string // JSON
	// Deliver is how often the event comes; 0 is once.
	Deliver int
}

// Say posts a message of a person and returns it.
func (s *Server) Say(channel, user, content string) Message {
	return s.Post(Write{Channel: channel, User: user, Content: content})
}

// Post posts what a person (or another bot) writes and returns it.
func (s *Server) Post(w Write) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[w.Channel]
	author := s.user(w.User)
	author.Bot = author.Bot || w.Bot
	m := &Message{
		ChannelID: c.ID, GuildID: c.GuildID, Author: &author, Content: w.Content, Type: w.Type, WebhookID: w.Webhook, Attachments: w.Attachments,
		Stickers: raw(w.Stickers), Poll: raw(w.Poll), Snapshots: raw(w.Snapshots), Embeds: raw(w.Embeds), Mentions: s.mentioned(w.Content),
	}
	if w.ReplyTo != "" {
		m.Type, m.Reference = 19, &Reference{MessageID: w.ReplyTo, ChannelID: c.ID, GuildID: c.GuildID}
		if to := s.find(c.ID, w.ReplyTo); to != nil && to.WebhookID == "" {
			m.Mentions = append(m.Mentions, *to.Author) // a reply pings by default
		}
	}
	m.ID, m.Timestamp = s.id(), time.Now()
	s.messages[c.ID] = append(s.messages[c.ID], m)
	for range max(1, w.Deliver) {
		s.dispatchMessage("MESSAGE_CREATE", m)
	}
	return *m
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

func (s *Server) mentioned(content string) []User {
	list := []User{}
	for rest := content; ; {
		i := strings.Index(rest, "<@")
		if i < 0 {
			return list
		}
		rest = rest[i+2:]
		id, _, ok := strings.Cut(strings.TrimPrefix(rest, "!"), ">")
		if ok && (s.members[id] != nil || id == s.self.ID) {
			list = append(list, s.user(id))
		}
	}
}

// Rewrite edits a person's message; with unfurl it only gains an embed.
func (s *Server) Rewrite(channel, id, content string, unfurl bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(channel, id)
	if unfurl {
		m.Embeds = raw(`[{"type":"link","title":"unfurled"}]`)
	} else {
		now := time.Now()
		m.Content, m.Edited = content, &now
	}
	s.dispatchMessage("MESSAGE_UPDATE", m)
}

// Remove deletes messages as a person (several: as a moderator does in one go).
func (s *Server) Remove(channel string, ids ...string) { s.RemoveUntold(channel, ids...)() }

// RemoveUntold deletes as Remove does, but the bot hears of it only by tell, if ever.
func (s *Server) RemoveUntold(channel string, ids ...string) (tell func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	guild := s.channels[channel].GuildID
	var kept []*Message
	for _, m := range s.messages[channel] {
		gone := false
		for _, id := range ids {
			gone = gone || m.ID == id
		}
		if !gone {
			kept = append(kept, m)
		}
	}
	s.messages[channel] = kept
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(ids) == 1 {
			s.dispatch(guild, "MESSAGE_DELETE", map[string]any{"id": ids[0], "channel_id": channel, "guild_id": guild})
			return
		}
		s.dispatch(guild, "MESSAGE_DELETE_BULK", map[string]any{"ids": ids, "channel_id": channel, "guild_id": guild})
	}
}

// React puts a reaction of a person on a message.
func (s *Server) React(channel, user, message, emoji string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	data := map[string]any{
		"user_id": user, "channel_id": channel, "message_id": message, "guild_id": c.GuildID, "emoji": map[string]any{"id": nil, "name": emoji},
	}
	if g := s.guilds[c.GuildID]; g != nil {
		data["member"] = s.member(g, user, c, true)
	}
	s.dispatch(c.GuildID, "MESSAGE_REACTION_ADD", data)
}

// Use is how a person uses an interaction.
type Use struct {
	Channel, User string
	// Command is the path, such as "worker link"; Options its values by name (string, int, bool).
	Command string
	Options map[string]any
	Target  string // of a menu: the message
	Message string // with the button
	Button  string // custom id
	// Typed is the option that is being typed; then it is an autocomplete.
	Typed string
	// Modal is the custom id of a form, Fields what was typed into it.
	Modal  string
	Fields map[string]string
	// Installed: by the person and not in this guild.
	Installed bool
	// Late: the event comes this long after the interaction was made. Deliver is how often.
	Late    time.Duration
	Deliver int
	// Extra is put into the event's data as it is.
	Extra map[string]any
}

// Use sends an interaction and returns its id for Seen.
func (s *Server) Use(u Use) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[u.Channel]
	in := &Interaction{ID: s.id(), Type: 2, User: u.User, Channel: u.Channel, Guild: c.GuildID, Created: time.Now().Add(-u.Late), UserInstalled: u.Installed}
	in.Token = "token" + in.ID
	var data map[string]any
	switch {
	case u.Modal != "":
		in.Type, data = 5, s.form(u)
	case u.Button != "":
		in.Type, data = 3, map[string]any{"custom_id": u.Button, "component_type": 2}
	default:
		if u.Typed != "" {
			in.Type = 4
		}
		data = s.command(u)
	}
	for key, v := range u.Extra {
		data[key] = v
	}
	s.inter[in.Token] = in
	m := s.members[u.User]
	locale := "en-US"
	if m != nil && m.Locale != "" {
		locale = m.Locale
	}
	event := map[string]any{
		"id": in.ID, "application_id": s.self.ID, "type": in.Type, "token": in.Token, "version": 1, "locale": locale, "channel_id": c.ID,
		"channel": c, "data": data, "attachment_size_limit": s.UploadLimit, "entitlements": []any{}, "context": 0,
		"app_permissions": "0", "authorizing_integration_owners": map[string]any{"0": c.GuildID},
	}
	g := s.guilds[c.GuildID]
	switch {
	case c.GuildID != "":
		event["guild_id"], event["guild_locale"] = c.GuildID, "en-US"
		if g == nil {
			g = &Guild{ID: c.GuildID, OwnerID: "9", Roles: []Role{{ID: c.GuildID, Permissions: Ordinary}}}
		}
		event["member"] = s.member(g, u.User, c, true)
	default:
		event["user"], event["context"] = s.user(u.User), 1
	}
	if u.Installed {
		event["authorizing_integration_owners"] = map[string]any{"1": u.User}
	}
	if u.Message != "" {
		event["message"] = s.find(u.Channel, u.Message)
		in.Original = s.find(u.Channel, u.Message)
	}
	for range max(1, u.Deliver) {
		s.dispatch(c.GuildID, "INTERACTION_CREATE", event)
	}
	return in.Token
}

func (s *Server) form(u Use) map[string]any {
	var rows []any
	for id, value := range u.Fields {
		rows = append(rows, map[string]any{"type": 18, "id": 1, "component": map[string]any{"type": 4, "id": 2, "custom_id": id, "value": value}})
	}
	return map[string]any{"custom_id": u.Modal, "components": rows}
}

func (s *Server) command(u Use) map[string]any {
	if u.Target != "" {
		return map[string]any{
			"id": "1", "name": u.Command, "type": 3, "target_id": u.Target,
			"resolved": map[string]any{"messages": map[string]any{u.Target: s.find(u.Channel, u.Target)}},
		}
	}
	path := strings.Fields(u.Command)
	var options []any
	for name, value := range u.Options {
		kind := 3
		switch value.(type) {
		case int:
			kind = 4
		case bool:
			kind = 5
		}
		o := map[string]any{"name": name, "type": kind, "value": value}
		if name == u.Typed {
			o["focused"] = true
		}
		options = append(options, o)
	}
	for i := len(path) - 1; i > 0; i-- {
		kind := 1
		if i < len(path)-1 {
			kind = 2
		}
		options = []any{map[string]any{"name": path[i], "type": kind, "options": options}}
	}
	return map[string]any{"id": "1", "name": path[0], "type": 1, "options": options}
}

// Seen returns what became of an interaction.
func (s *Server) Seen(token string) Interaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := *s.inter[token]
	if in.Original != nil {
		shown := *in.Original
		in.Original = &shown
	}
	in.Later = slices.Clone(in.Later)
	for i, m := range in.Later {
		shown := *m
		in.Later[i] = &shown
	}
	return in
}

// Messages returns the messages of a channel, oldest first, as this person sees them.
func (s *Server) Messages(channel, user string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.messages[channel] {
		if m.Only == "" || m.Only == user {
			out = append(out, *m)
		}
	}
	return out
}

// FromBot is Messages of the bot alone.
func (s *Server) FromBot(channel, user string) []Message {
	var out []Message
	for _, m := range s.Messages(channel, user) {
		if m.Author.ID == s.self.ID {
			out = append(out, m)
		}
	}
	return out
}

// AddWebhooks puts webhooks of other people into a channel.
func (s *Server) AddWebhooks(channel string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		w := &Webhook{ID: s.id(), Token: "other" + s.id(), Channel: channel, Name: "other"}
		s.webhooks[w.ID] = w
	}
}

// RemoveWebhooks deletes all webhooks of a channel, as an admin does.
func (s *Server) RemoveWebhooks(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, w := range s.webhooks {
		if w.Channel == channel {
			delete(s.webhooks, id)
		}
	}
}
