package fakediscord

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// outgoing is what every call that writes a message takes.
type outgoing struct {
	Content     *string         `json:"content"`
	Embeds      json.RawMessage `json:"embeds"`
	Components  json.RawMessage `json:"components"`
	Flags       *int            `json:"flags"`
	Attachments *[]Attachment   `json:"attachments"`
	Allowed     *allowed        `json:"allowed_mentions"`
	Reference   *struct {
		MessageID       string `json:"message_id"`
		FailIfNotExists *bool  `json:"fail_if_not_exists"`
	} `json:"message_reference"`
	Nonce        any    `json:"nonce"`
	EnforceNonce bool   `json:"enforce_nonce"`
	Username     string `json:"username"`
	AvatarURL    string `json:"avatar_url"`
}

type allowed struct {
	Parse       []string `json:"parse"`
	Users       []string `json:"users"`
	Roles       []string `json:"roles"`
	RepliedUser bool     `json:"replied_user"`
}

func (s *Server) postMessage(c *call) (any, error) {
	need := SendMessages
	if len(c.files) > 0 {
		need |= AttachFiles
	}
	channel, err := s.need(c, need)
	if err != nil {
		return nil, err
	}
	var o outgoing
	if err := c.decode(&o); err != nil {
		return nil, err
	}
	nonce := ""
	if o.Nonce != nil {
		nonce, _ = o.Nonce.(string)
	}
	key := channel.ID + " " + nonce
	if sent, ok := s.nonces[key]; ok && o.EnforceNonce && nonce != "" && time.Now().Before(sent.until) {
		return sent.message, nil
	}
	m := &Message{Author: &s.self, Application: s.self.ID, ChannelID: channel.ID, GuildID: channel.GuildID, Nonce: nonce}
	if o.Reference != nil {
		if s.find(channel.ID, o.Reference.MessageID) == nil && (o.Reference.FailIfNotExists == nil || *o.Reference.FailIfNotExists) {
			return nil, failure{400, 50035, "Invalid Form Body: message_reference: Unknown message"}
		}
		m.Type, m.Reference = 19, &Reference{MessageID: o.Reference.MessageID, ChannelID: channel.ID, GuildID: channel.GuildID}
	}
	if err := s.write(c, m, o); err != nil {
		return nil, err
	}
	s.add(m)
	if nonce != "" {
		s.nonces[key] = sentNonce{m, time.Now().Add(5 * time.Minute)}
	}
	return m, nil
}

// write puts what was sent into m.
func (s *Server) write(c *call, m *Message, o outgoing) error {
	if o.Allowed == nil && !s.AllowBadRequests {
		s.violation("%s %s: no allowed_mentions", c.Method, c.URL.Path)
	}
	if o.Content != nil {
		m.Content = *o.Content
	}
	if o.Components != nil {
		m.Components = o.Components
		if string(o.Components) == "null" {
			m.Components = nil
		}
	}
	if o.Embeds != nil {
		m.Embeds = o.Embeds
	}
	if o.Flags != nil {
		m.Flags = *o.Flags
	}
	if o.Attachments != nil || len(c.files) > 0 {
		var kept []Attachment
		if o.Attachments == nil {
			kept = m.Attachments
			for _, f := range c.files {
				kept = append(kept, s.stored(m, f, ""))
			}
		} else {
			for _, a := range *o.Attachments {
				if i := slices.IndexFunc(c.files, func(f Attachment) bool { return f.ID == a.ID }); i >= 0 {
					kept = append(kept, s.stored(m, c.files[i], a.Description))
				} else if i := slices.IndexFunc(m.Attachments, func(f Attachment) bool { return f.ID == a.ID }); i >= 0 {
					kept = append(kept, m.Attachments[i])
				} else {
					return failure{400, 50035, "Invalid Form Body: attachments: unknown id " + a.ID}
				}
			}
		}
		m.Attachments = kept
	}
	m.Pinged = append(m.Pinged, s.pings(m, o)...)
	m.Thinking = false
	if m.Content == "" && len(m.Attachments) == 0 && len(m.Embeds) <= 2 && len(m.Components) <= 2 {
		return failure{400, 50006, "Cannot send an empty message"}
	}
	seen := map[string]bool{}
	for _, b := range m.Buttons() {
		if seen[b.CustomID] {
			return failure{400, 50035, "Invalid Form Body: components: duplicated custom id"}
		}
		seen[b.CustomID] = true
	}
	return nil
}

func (s *Server) stored(m *Message, f Attachment, description string) Attachment {
	f.ID = s.id()
	f.Description = description
	f.URL = "http://" + s.Address() + "/attachments/" + m.ChannelID + "/" + f.ID + "/" + f.Filename
	return f
}

// pings lists who is notified by what was sent.
func (s *Server) pings(m *Message, o outgoing) (who []string) {
	a := o.Allowed
	if a == nil {
		a = &allowed{Parse: []string{"users", "roles", "everyone"}, RepliedUser: true}
	}
	if slices.Contains(a.Parse, "everyone") && (strings.Contains(m.Content, "@everyone") || strings.Contains(m.Content, "@here")) {
		who = append(who, "@everyone")
	}
	for _, kind := range []struct {
		mark, parse string
		ids         []string
	}{{"<@", "users", a.Users}, {"<@!", "users", a.Users}, {"<@&", "roles", a.Roles}} {
		for rest := m.Content; ; {
			i := strings.Index(rest, kind.mark)
			if i < 0 {
				break
			}
			rest = rest[i+len(kind.mark):]
			id, _, ok := strings.Cut(rest, ">")
			if _, err := strconv.ParseUint(id, 10, 64); ok && err == nil && (slices.Contains(a.Parse, kind.parse) || slices.Contains(kind.ids, id)) {
				who = append(who, id)
			}
		}
	}
	if m.Reference != nil && a.RepliedUser {
		if to := s.find(m.ChannelID, m.Reference.MessageID); to != nil {
			who = append(who, to.Author.ID)
		}
	}
	return who
}

// add keeps a new message and tells the bot.
func (s *Server) add(m *Message) {
	m.ID, m.Timestamp = s.id(), time.Now()
	s.messages[m.ChannelID] = append(s.messages[m.ChannelID], m)
	if m.Only == "" {
		s.dispatchMessage("MESSAGE_CREATE", m)
	}
}

func (s *Server) find(channel, id string) *Message {
	for _, m := range s.messages[channel] {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// named is the message that a call is about, if the bot has these permissions there. What only one person sees is none that channels know of.
func (s *Server) named(c *call, permissions int64) (*Message, error) {
	channel, err := s.need(c, permissions)
	if err != nil {
		return nil, err
	}
	m := s.find(channel.ID, c.PathValue("message"))
	if m == nil || m.Only != "" {
		return nil, errUnknownMessage
	}
	return m, nil
}

func (s *Server) listMessages(c *call) (any, error) {
	channel, err := s.need(c, ReadMessageHistory)
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(c.URL.Query().Get("limit"))
	if err != nil {
		limit = 50
	}
	after, _ := strconv.ParseUint(c.URL.Query().Get("after"), 10, 64)
	out := []map[string]any{}
	for _, m := range s.messages[channel.ID] {
		if id, _ := strconv.ParseUint(m.ID, 10, 64); id > after && m.Only == "" {
			out = append(out, s.past(m))
		}
	}
	if after > 0 {
		out = out[:min(limit, len(out))]
	} else {
		out = out[max(0, len(out)-limit):]
	}
	slices.Reverse(out)
	return out, nil
}

func (s *Server) getMessage(c *call) (any, error) {
	m, err := s.named(c, ReadMessageHistory)
	if err != nil {
		return nil, err
	}
	return s.past(m), nil
}

// past is a message as history tells it: without its nonce, without the guild, and what the application may not read left out.
func (s *Server) past(m *Message) map[string]any {
	shown := s.messageFor(s.Intents, m)
	delete(shown, "nonce")
	delete(shown, "guild_id")
	delete(shown, "member")
	return shown
}

func (s *Server) patchMessage(c *call) (any, error) {
	m, err := s.named(c, 0)
	if err != nil {
		return nil, err
	}
	if m.Author.ID != s.self.ID {
		return nil, errOtherAuthor
	}
	return m, s.edit(c, m)
}

func (s *Server) edit(c *call, m *Message) error {
	var o outgoing
	if err := c.decode(&o); err != nil {
		return err
	}
	was := *m
	if err := s.write(c, m, o); err != nil {
		*m = was
		return err
	}
	now := time.Now()
	m.Edited = &now
	m.Edits++
	if m.Only == "" {
		s.dispatchMessage("MESSAGE_UPDATE", m)
	}
	return nil
}

func (s *Server) deleteMessage(c *call) (any, error) {
	m, err := s.named(c, 0)
	if err != nil {
		return nil, err
	}
	if m.Author.ID != s.self.ID {
		return nil, errMissingPermissions
	}
	s.remove(m)
	return nil, nil
}

func (s *Server) remove(m *Message) {
	s.messages[m.ChannelID] = slices.DeleteFunc(s.messages[m.ChannelID], func(x *Message) bool { return x == m })
	if m.Only == "" {
		s.dispatch(m.GuildID, "MESSAGE_DELETE", map[string]any{"id": m.ID, "channel_id": m.ChannelID, "guild_id": m.GuildID})
	}
}
