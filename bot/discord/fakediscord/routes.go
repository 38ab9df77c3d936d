package fakediscord

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Interaction is one use of a command, button, menu or form.
type Interaction struct {
	ID, Token string
	Type      int // 2 command, 3 component, 4 autocomplete, 5 modal
	User      string
	Channel   string
	Guild     string
	Created   time.Time

	// What the bot did with it.
	Acked    time.Time
	AckType  int
	Original *Message // of types 4 and 5; for a component, the message with it
	Choices  []Choice // of an autocomplete
	Modal    json.RawMessage
	Later    []*Message // follow-ups
	// UserInstalled: at most five follow-ups.
	UserInstalled bool
}

// Choice is one suggestion of an autocomplete.
type Choice struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

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
	channel, err := s.need(c, ReadMessageHistory)
	if err != nil {
		return nil, err
	}
	m := s.find(channel.ID, c.PathValue("message"))
	if m == nil || m.Only != "" {
		return nil, errUnknownMessage
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
	channel, err := s.need(c, 0)
	if err != nil {
		return nil, err
	}
	m := s.find(channel.ID, c.PathValue("message"))
	if m == nil || m.Only != "" {
		return nil, errUnknownMessage
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
	channel, err := s.need(c, 0)
	if err != nil {
		return nil, err
	}
	m := s.find(channel.ID, c.PathValue("message"))
	if m == nil || m.Only != "" {
		return nil, errUnknownMessage
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

const (
	tokenLife = 15 * time.Minute
	ephemeral = 64
)

// callback is the first answer to an interaction.
func (s *Server) callback(c *call) (any, error) {
	in := s.inter[c.PathValue("token")]
	if in == nil || in.ID != c.PathValue("interaction") || time.Since(in.Created) > s.AckWithin {
		return nil, errUnknownInteraction
	}
	if !in.Acked.IsZero() {
		return nil, errAcknowledged
	}
	var body struct {
		Type int             `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	fits := map[int][]int{2: {4, 5, 9}, 3: {4, 5, 6, 7, 9}, 4: {8}, 5: {4, 5, 6, 7}}[in.Type]
	if !slices.Contains(fits, body.Type) {
		return nil, failure{400, 50035, "Invalid Form Body: this type does not answer such an interaction"}
	}
	switch body.Type {
	case 4, 5:
		m := &Message{
			ChannelID: in.Channel, GuildID: in.Guild, Author: &s.self, Application: s.self.ID, Thinking: body.Type == 5, Type: 20,
			Interaction: &ByInteraction{ID: in.ID, Type: in.Type, User: s.user(in.User)},
		}
		var o outgoing
		if body.Data != nil {
			if err := json.Unmarshal(body.Data, &o); err != nil {
				return nil, err
			}
		}
		if o.Flags != nil && *o.Flags&ephemeral != 0 {
			m.Only = in.User
		}
		if body.Type == 4 {
			if err := s.write(c, m, o); err != nil {
				return nil, err
			}
		} else if o.Flags != nil {
			m.Flags = *o.Flags
		}
		s.add(m)
		in.Original = m
	case 8:
		var d struct {
			Choices []Choice `json:"choices"`
		}
		if err := json.Unmarshal(body.Data, &d); err != nil {
			return nil, err
		}
		in.Choices = d.Choices
	case 9:
		in.Modal = body.Data
	}
	in.Acked, in.AckType = time.Now(), body.Type
	return nil, nil
}

// byToken finds what a webhook's or interaction's token opens.
func (s *Server) byToken(c *call) (*Interaction, *Webhook, error) {
	if in := s.inter[c.PathValue("token")]; in != nil {
		if c.PathValue("webhook") != s.self.ID || in.Acked.IsZero() {
			return nil, nil, errUnknownWebhook
		}
		if time.Since(in.Created) > tokenLife {
			return nil, nil, failure{401, 50027, "Invalid Webhook Token"}
		}
		return in, nil, nil
	}
	if w := s.webhooks[c.PathValue("webhook")]; w != nil && w.Token == c.PathValue("token") {
		return nil, w, nil
	}
	return nil, nil, errUnknownWebhook
}

func (s *Server) execute(c *call) (any, error) {
	in, hook, err := s.byToken(c)
	if err != nil {
		return nil, err
	}
	var o outgoing
	if err := c.decode(&o); err != nil {
		return nil, err
	}
	if hook != nil {
		return s.speak(c, hook, o)
	}
	if in.UserInstalled && len(in.Later) >= 5 {
		return nil, errFollowUps
	}
	if in.Original != nil && in.Original.Thinking {
		return in.Original, s.edit(c, in.Original)
	}
	m := &Message{
		ChannelID: in.Channel, GuildID: in.Guild, Author: &s.self, Application: s.self.ID, WebhookID: s.self.ID,
		Interaction: &ByInteraction{ID: in.ID, Type: in.Type, User: s.user(in.User)},
	}
	if o.Flags != nil && *o.Flags&ephemeral != 0 {
		m.Only = in.User
	}
	if err := s.write(c, m, o); err != nil {
		return nil, err
	}
	s.add(m)
	in.Later = append(in.Later, m)
	return m, nil
}

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

// tokenMessage finds the message that a token may change.
func (s *Server) tokenMessage(c *call) (*Message, error) {
	in, hook, err := s.byToken(c)
	if err != nil {
		return nil, err
	}
	id := c.PathValue("message")
	switch {
	case hook != nil:
		channel := hook.Channel
		if thread := c.URL.Query().Get("thread_id"); thread != "" {
			channel = thread
		}
		if m := s.find(channel, id); m != nil && m.WebhookID == hook.ID {
			return m, nil
		}
	case in.Original != nil && (id == "@original" || id == in.Original.ID):
		if s.find(in.Channel, in.Original.ID) != nil {
			return in.Original, nil
		}
	default:
		for _, m := range in.Later {
			if m.ID == id && s.find(in.Channel, id) != nil {
				return m, nil
			}
		}
	}
	return nil, errUnknownMessage
}

func (s *Server) getByToken(c *call) (any, error) { return s.tokenMessage(c) }

func (s *Server) patchByToken(c *call) (any, error) {
	m, err := s.tokenMessage(c)
	if err != nil {
		return nil, err
	}
	return m, s.edit(c, m)
}

func (s *Server) deleteByToken(c *call) (any, error) {
	m, err := s.tokenMessage(c)
	if err != nil {
		return nil, err
	}
	s.remove(m)
	return nil, nil
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
