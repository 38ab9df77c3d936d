package fakediscord

import (
	"encoding/json"
	"slices"
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
		if err := s.reply(c, in, body.Data, body.Type == 5); err != nil {
			return nil, err
		}
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

// reply posts the message that answers an interaction; thinking: it shows nothing yet.
func (s *Server) reply(c *call, in *Interaction, data json.RawMessage, thinking bool) error {
	m := &Message{
		ChannelID: in.Channel, GuildID: in.Guild, Author: &s.self, Application: s.self.ID, Thinking: thinking, Type: 20,
		Interaction: &ByInteraction{ID: in.ID, Type: in.Type, User: s.user(in.User)},
	}
	var o outgoing
	if data != nil {
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
	}
	if o.Flags != nil && *o.Flags&ephemeral != 0 {
		m.Only = in.User
	}
	if !thinking {
		if err := s.write(c, m, o); err != nil {
			return err
		}
	} else if o.Flags != nil {
		m.Flags = *o.Flags
	}
	s.add(m)
	in.Original = m
	return nil
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
