package fakediscord

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

func (s *Server) gatewayBot(*call) (any, error) {
	return map[string]any{
		"url": "ws://" + s.Address() + "/gateway", "shards": s.Shards,
		"session_start_limit": map[string]any{"total": 1000, "remaining": 999, "reset_after": 14400000, "max_concurrency": s.Concurrency},
	}, nil
}

func (s *Server) application(*call) (any, error) {
	flags := 0
	if s.Intents&(1<<15) != 0 {
		flags |= 1 << 19 // the limited form of the message content intent
	}
	return map[string]any{"id": s.self.ID, "name": "Potluck", "flags": flags, "bot": s.self, "bot_public": true}, nil
}

func (s *Server) ownGuilds(*call) (any, error) {
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(s.guilds)) {
		g := s.guilds[id]
		list = append(list, map[string]any{"id": id, "name": g.Name, "permissions": strconv.FormatInt(s.permissions(g, s.self.ID, g.BotRoles, nil), 10)})
	}
	return list, nil
}

func (s *Server) openDM(c *call) (any, error) {
	user, _ := c.json["recipient_id"].(string)
	id := "5" + user
	if s.members[user] == nil {
		return nil, errCannotMessage
	}
	if s.channels[id] == nil {
		s.channels[id] = &Channel{ID: id, Type: 1, Recipients: []User{s.user(user)}}
	}
	return s.channels[id], nil
}

func (s *Server) getChannel(c *call) (any, error) {
	channel := s.channels[c.PathValue("channel")]
	if channel == nil {
		return nil, errUnknownChannel
	}
	if s.botPermissions(channel)&ViewChannel == 0 {
		return nil, errMissingAccess
	}
	return channel, nil
}

func (s *Server) getChannels(c *call) (any, error) {
	g := s.guilds[c.PathValue("guild")]
	if g == nil {
		return nil, errMissingAccess
	}
	return slices.DeleteFunc(slices.Clone(g.Channels), Channel.isThread), nil
}

func (s *Server) getRoles(c *call) (any, error) {
	g := s.guilds[c.PathValue("guild")]
	if g == nil {
		return nil, errMissingAccess
	}
	return g.Roles, nil
}

func (s *Server) getMember(c *call) (any, error) {
	g := s.guilds[c.PathValue("guild")]
	if g == nil {
		return nil, errMissingAccess
	}
	user := c.PathValue("user")
	m := s.member(g, user, nil, false)
	m["user"] = s.user(user)
	if user == s.self.ID {
		m["roles"] = append([]string{}, g.BotRoles...)
	}
	return m, nil
}

// need returns the channel when the bot may do that there.
func (s *Server) need(c *call, permissions int64) (*Channel, error) {
	channel := s.channels[c.PathValue("channel")]
	if channel == nil {
		return nil, errUnknownChannel
	}
	has := s.botPermissions(channel)
	if has&ViewChannel == 0 {
		return nil, errMissingAccess
	}
	if channel.isThread() && permissions&SendMessages != 0 {
		permissions = permissions&^SendMessages | SendInThreads
	}
	if has&permissions != permissions {
		return nil, errMissingPermissions
	}
	return channel, nil
}

func (s *Server) getCommands(c *call) (any, error) {
	if list, ok := s.commands[c.PathValue("guild")]; ok {
		return list, nil
	}
	return []any{}, nil
}

func (s *Server) putCommands(c *call) (any, error) {
	var list []map[string]any
	if err := c.decode(&list); err != nil {
		return nil, err
	}
	for _, command := range list {
		command["id"], command["application_id"], command["version"] = s.id(), s.self.ID, s.id()
		if command["type"] == nil {
			command["type"] = 1
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	s.commands[c.PathValue("guild")] = b
	s.puts++
	return list, nil
}

// Commands returns the commands of a guild ("" for global ones) and how often any were written.
func (s *Server) Commands(guild string) (commands []map[string]any, puts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.Unmarshal(s.commands[guild], &commands) // none is no JSON
	return commands, s.puts
}
