package fakediscord

import "strings"

func (s *Server) speak(c *call, hook *Webhook, o outgoing) (any, error) {
	name := o.Username
	if name == "" {
		name = hook.Name
	}
	if low := strings.ToLower(name); strings.Contains(low, "discord") || strings.Contains(low, "clyde") {
		return nil, failure{400, 50035, "Invalid Form Body: username"}
	}
	channel := hook.Channel
	if thread := c.URL.Query().Get("thread_id"); thread != "" {
		if s.channels[thread] == nil || s.channels[thread].ParentID != channel {
			return nil, errUnknownChannel
		}
		channel = thread
	}
	m := &Message{
		ChannelID: channel, GuildID: s.channels[channel].GuildID, WebhookID: hook.ID, Application: hook.Application,
		Author: &User{ID: hook.ID, Username: name, Bot: true},
	}
	if err := s.write(c, m, o); err != nil {
		return nil, err
	}
	s.add(m)
	return m, nil
}

func (s *Server) listWebhooks(c *call) (any, error) {
	channel, err := s.need(c, ManageWebhooks)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, w := range s.webhooks {
		if w.Channel == channel.ID {
			list = append(list, w.show(s.self.ID))
		}
	}
	return list, nil
}

func (w *Webhook) show(self string) map[string]any {
	m := map[string]any{"id": w.ID, "type": 1, "channel_id": w.Channel, "name": w.Name, "application_id": nil}
	if w.Application != "" {
		m["application_id"] = w.Application
	}
	if w.Application == "" || w.Application == self {
		m["token"] = w.Token
	}
	return m
}

func (s *Server) createWebhook(c *call) (any, error) {
	channel, err := s.need(c, ManageWebhooks)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, w := range s.webhooks {
		if w.Channel == channel.ID {
			n++
		}
	}
	if n >= 15 {
		return nil, failure{400, 30007, "Maximum number of webhooks reached (15)"}
	}
	name, _ := c.json["name"].(string)
	w := &Webhook{ID: s.id(), Token: "hook" + s.id(), Channel: channel.ID, Name: name, Application: s.self.ID}
	s.webhooks[w.ID] = w
	return w.show(s.self.ID), nil
}
