package fakebotapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// User is a person, or another bot.
type User struct {
	ID           int64  `json:"id"`
	IsBot        bool   `json:"is_bot"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name,omitempty"`
	Username     string `json:"username,omitempty"`
	LanguageCode string `json:"language_code,omitempty"`

	// Started: the person has begun a private chat with the bot, so that it may write there. Blocked: and has blocked it since.
	Started bool `json:"-"`
	Blocked bool `json:"-"`
}

// Chat is a private chat, a group or a channel.
type Chat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"` // private, group, supergroup, channel
	Title     string `json:"title,omitempty"`
	Username  string `json:"username,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	IsForum   bool   `json:"is_forum,omitempty"`

	Admins []int64 `json:"-"`
	// Status of the bot here: member (default), administrator, left or kicked.
	Status string `json:"-"`
	// MovedTo: the group became a supergroup with this id.
	MovedTo int64 `json:"-"`
	// Closed topics take no message.
	Closed []int64 `json:"-"`
	// Permissions of ordinary members, as getChat tells them.
	Permissions map[string]bool `json:"permissions,omitempty"`
	last        int64
}

// Entity marks a part of a text, in UTF-16 units.
type Entity struct {
	Type     string `json:"type"`
	Offset   int    `json:"offset"`
	Length   int    `json:"length"`
	URL      string `json:"url,omitempty"`
	Language string `json:"language,omitempty"`
	User     *User  `json:"user,omitempty"`
}

// File of a message.
type File struct {
	ID     string `json:"file_id"`
	Unique string `json:"file_unique_id"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Size   int    `json:"file_size,omitempty"`
	Name   string `json:"file_name,omitempty"`
	Type   string `json:"mime_type,omitempty"`
}

// Button of an inline keyboard.
type Button struct {
	Text string `json:"text"`
	URL  string `json:"url,omitempty"`
	Data string `json:"callback_data,omitempty"`
}

// Markup is what stands below a message.
type Markup struct {
	Rows       [][]Button `json:"inline_keyboard,omitempty"`
	ForceReply bool       `json:"-"`
}

// Message is a message as the API shows it.
type Message struct {
	ID              int64    `json:"message_id"`
	Topic           int64    `json:"message_thread_id,omitempty"`
	From            *User    `json:"from,omitempty"`
	SenderChat      *Chat    `json:"sender_chat,omitempty"`
	Date            int64    `json:"date"`
	Chat            Chat     `json:"chat"`
	IsTopic         bool     `json:"is_topic_message,omitempty"`
	AutoForward     bool     `json:"is_automatic_forward,omitempty"`
	ReplyTo         *Message `json:"reply_to_message,omitempty"`
	EditDate        int64    `json:"edit_date,omitempty"`
	Album           string   `json:"media_group_id,omitempty"`
	Text            string   `json:"text,omitempty"`
	Entities        []Entity `json:"entities,omitempty"`
	Photo           []File   `json:"photo,omitempty"`
	Document        *File    `json:"document,omitempty"`
	Caption         string   `json:"caption,omitempty"`
	CaptionEntities []Entity `json:"caption_entities,omitempty"`
	Spoiler         bool     `json:"has_media_spoiler,omitempty"`
	Markup          *Markup  `json:"reply_markup,omitempty"`

	// Sent and Edits tell when the bot wrote it, and how often it changed it.
	Sent  time.Time `json:"-"`
	Edits int       `json:"-"`
	// Asks: a reply is asked for.
	Asks bool `json:"-"`
}

// Shown is the message's text or caption.
func (m Message) Shown() string { return m.Text + m.Caption }

// Buttons lists what stands below.
func (m Message) Buttons() (all []Button) {
	if m.Markup != nil {
		for _, row := range m.Markup.Rows {
			all = append(all, row...)
		}
	}
	return all
}

// AddUser lets somebody exist.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.ID] = &u
}

// AddChat makes a group or channel that the bot is in.
func (s *Server) AddChat(c Chat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Status == "" {
		c.Status = "member"
	}
	s.chats[c.ID] = &c
}

// SetStatus changes what the bot is in a chat, and tells it.
func (s *Server) SetStatus(chat int64, status string, by int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chat(chat)
	old := c.Status
	c.Status = status
	s.push("my_chat_member", map[string]any{
		"chat": c, "from": s.users[by], "date": time.Now().Unix(),
		"old_chat_member": map[string]any{"status": old, "user": s.self}, "new_chat_member": map[string]any{"status": status, "user": s.self},
	})
}

// Restrict takes a right from the ordinary members of a chat.
func (s *Server) Restrict(chat int64, right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chat(chat).Permissions = map[string]bool{right: false}
}

// Block sets whether somebody has blocked the bot.
func (s *Server) Block(user int64, blocked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user].Blocked = blocked
}

// chat needs mu; private chats come into being when they are needed.
func (s *Server) chat(id int64) *Chat {
	c := s.chats[id]
	if u := s.users[id]; c == nil && u != nil {
		c = &Chat{ID: id, Type: "private", FirstName: u.FirstName, Username: u.Username, Status: "member"}
		s.chats[id] = c
	}
	return c
}

// Say is a message of a person.
type Say struct {
	Chat, From int64
	As         int64 // the chat in whose name it is sent: the group itself (an anonymous admin), or a channel
	Text       string
	Entities   []Entity
	ReplyTo    int64
	Topic      int64
	Photo      bool // the text is its caption
	Album      string
	Raw        map[string]any // further fields of the message
	Auto       bool           // forwarded by itself from the linked channel
}

var commandForm = regexp.MustCompile(`(?:^|\s)(/[A-Za-z0-9_]+(?:@[A-Za-z0-9_]+)?)`)

// found adds the entities that Telegram finds by itself: commands and mentions.
func found(text string, have []Entity) []Entity {
	add := func(kind string, from, to int) {
		have = append(have, Entity{Type: kind, Offset: len(utf16.Encode([]rune(text[:from]))), Length: len(utf16.Encode([]rune(text[from:to])))})
	}
	for _, m := range commandForm.FindAllStringSubmatchIndex(text, -1) {
		add("bot_command", m[2], m[3])
	}
	for _, m := range regexp.MustCompile(`(?:^|\s)(@[A-Za-z0-9_]{5,})`).FindAllStringSubmatchIndex(text, -1) {
		add("mention", m[2], m[3])
	}
	return have
}

// Say posts a message and tells the bot, unless its privacy mode keeps that from it. It returns the message.
func (s *Server) Say(say Say) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chat(say.Chat)
	m := &Message{From: s.users[say.From], Date: time.Now().Unix(), Chat: *c, Topic: say.Topic, IsTopic: say.Topic != 0, Album: say.Album, AutoForward: say.Auto}
	if say.As != 0 {
		m.SenderChat = s.chat(say.As)
		m.From = &User{ID: 1087968824, IsBot: true, FirstName: "Group", Username: "GroupAnonymousBot"}
	}
	if c.Type == "private" {
		s.users[say.Chat].Started = true
	}
	if say.ReplyTo != 0 {
		if r := s.message(say.Chat, say.ReplyTo); r != nil {
			copied := *r
			copied.ReplyTo = nil
			m.ReplyTo = &copied
		}
	}
	entities := found(say.Text, say.Entities)
	if say.Photo {
		m.Caption, m.CaptionEntities = say.Text, entities
		m.Photo = []File{{ID: "in" + strconv.Itoa(len(s.messages[say.Chat])), Unique: "u", Width: 100, Height: 80, Size: 1000}}
	} else {
		m.Text, m.Entities = say.Text, entities
	}
	s.keep(m)
	if s.hears(c, m) {
		kind := "message"
		if c.Type == "channel" {
			kind, m.From = "channel_post", nil
			m.SenderChat = c
		}
		s.push(kind, merged(m, say.Raw))
	}
	return *m
}

// merged is a message with further fields.
func merged(m *Message, more map[string]any) any {
	if len(more) == 0 {
		return m
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		panic(err)
	}
	for k, v := range more {
		all[k] = v
	}
	return all
}

// hears tells whether Telegram shows the bot a message, see Server.Privacy. It needs mu.
func (s *Server) hears(c *Chat, m *Message) bool {
	if c.Status == "left" || c.Status == "kicked" {
		return false
	}
	if c.Type == "private" || c.Type == "channel" || !s.Privacy || c.Status == "administrator" {
		return true
	}
	if m.ReplyTo != nil && m.ReplyTo.From != nil && m.ReplyTo.From.ID == s.self.ID {
		return true
	}
	text := m.Shown()
	if strings.Contains(text, "@"+s.self.Username) && strings.HasPrefix(text, "/") {
		return true
	}
	return strings.HasPrefix(text, "/") && !strings.Contains(strings.Fields(text)[0], "@")
}

// Edit changes a person's message and tells the bot.
func (s *Server) Edit(chat, id int64, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.message(chat, id)
	m.Text, m.Entities, m.EditDate = text, found(text, nil), time.Now().Unix()
	s.push("edited_message", m)
}

// Press presses a button; it returns the query's id.
func (s *Server) Press(chat, message, user int64, data string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := strconv.FormatInt(s.last, 10)
	q := map[string]any{"id": id, "from": s.users[user], "chat_instance": "1", "data": data}
	if m := s.message(chat, message); m != nil {
		q["message"] = m
	} else {
		q["message"] = map[string]any{"message_id": message, "date": 0, "chat": s.chat(chat)}
	}
	s.queries[id] = &Query{At: time.Now()}
	s.push("callback_query", q)
	return id
}

// Query is what became of a pressed button.
type Query struct {
	At       time.Time
	Answered time.Time
	Text     string
	Alert    bool
	URL      string
}

// Query returns what the bot answered to a pressed button.
func (s *Server) Query(id string) Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.queries[id]
}

// Inline types an inline query, Choose takes one of its results, which gives an inline message.
func (s *Server) Inline(user int64, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := strconv.FormatInt(s.last, 10)
	s.push("inline_query", map[string]any{"id": id, "from": s.users[user], "query": text, "offset": ""})
	return id
}

// Choose takes a result of an inline query; the bot may then edit the inline message whose id is returned.
func (s *Server) Choose(user int64, query, result, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := "in" + strconv.FormatInt(s.last, 10)
	s.inline[id] = &Message{Text: text}
	s.push("chosen_inline_result", map[string]any{"result_id": result, "from": s.users[user], "query": query, "inline_message_id": id})
	return id
}

// InlineMessage is what an inline message shows.
func (s *Server) InlineMessage(id string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.inline[id]
}

// Results of an inline query; ok once the bot has answered.
func (s *Server) Results(query string) (list []map[string]any, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok = s.results[query]
	return list, ok
}

// Migrate makes a supergroup of a group.
func (s *Server) Migrate(from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.chats[from]
	moved := *old
	moved.ID, moved.Type, moved.last = to, "supergroup", 0
	s.chats[to] = &moved
	old.MovedTo = to
	s.push("message", map[string]any{"message_id": s.next(old), "date": time.Now().Unix(), "chat": old, "migrate_to_chat_id": to})
	s.push("message", map[string]any{"message_id": s.next(&moved), "date": time.Now().Unix(), "chat": &moved, "migrate_from_chat_id": from})
}

// Push queues an update of any kind, given as JSON without its id.
func (s *Server) Push(kind string, raw any) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.push(kind, raw)
}

// Repeat delivers updates again that were confirmed, as Telegram does now and then.
func (s *Server) Repeat(ids ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.all {
		if slices.Contains(ids, u.id) {
			s.updates = append(s.updates, u)
		}
	}
	slices.SortFunc(s.updates, func(a, b update) int { return int(a.id - b.id) })
	s.Notify()
}

// push needs mu.
func (s *Server) push(kind string, v any) int64 {
	s.lastUpdate++
	b, err := json.Marshal(map[string]any{"update_id": s.lastUpdate, kind: v})
	if err != nil {
		panic(err)
	}
	u := update{s.lastUpdate, kind, b}
	s.all = append(s.all, u)
	if len(s.allowed) == 0 || slices.Contains(s.allowed, kind) {
		s.updates = append(s.updates, u)
	}
	s.Notify()
	return u.id
}

// LastUpdate is the id of the newest update.
func (s *Server) LastUpdate() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastUpdate
}

// Update returns an update's JSON, as a webhook would get it.
func (s *Server) Update(id int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.all {
		if u.id == id {
			return u.raw
		}
	}
	return nil
}

// Waiting is how many updates the bot has not confirmed.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// next needs mu.
func (s *Server) next(c *Chat) int64 {
	c.last++
	return c.last
}

// keep needs mu.
func (s *Server) keep(m *Message) {
	c := s.chats[m.Chat.ID]
	m.ID = s.next(c)
	s.messages[c.ID] = append(s.messages[c.ID], m)
	s.Notify()
}

// message needs mu.
func (s *Server) message(chat, id int64) *Message {
	for _, m := range s.messages[chat] {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// Messages lists what stands in a chat.
func (s *Server) Messages(chat int64) (all []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages[chat] {
		all = append(all, *m)
	}
	return all
}

// FromBot lists the bot's messages in a chat.
func (s *Server) FromBot(chat int64) []Message {
	return slices.DeleteFunc(s.Messages(chat), func(m Message) bool { return m.From == nil || m.From.ID != s.self.ID })
}

// Remove takes a message away, as a person does it: bots hear nothing of that.
func (s *Server) Remove(chat, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[chat] = slices.DeleteFunc(s.messages[chat], func(m *Message) bool { return m.ID == id })
}

// Drafts lists the texts that drafts of a chat showed.
func (s *Server) Drafts(chat int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.drafts[chat])
}

// Commands are those set for a scope and language: "all_group_chats/de" → names.
func (s *Server) Commands(scope string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands[scope])
}
