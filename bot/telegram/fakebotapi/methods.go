package fakebotapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg" // pictures are measured
	_ "image/png"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// carryOut checks a call and does what it asks.
func (s *Server) carryOut(ctx context.Context, r Request) (any, error) {
	if s.spec != nil {
		if err := s.spec.check(r.Method, r.Params, slices.Collect(maps.Keys(r.Files))); err != nil {
			s.reject("%v", err)
			return nil, bad(err.Error())
		}
	}
	do := map[string]func(Request) (any, error){
		"getMe": s.getMe, "setWebhook": s.setWebhook, "deleteWebhook": s.deleteWebhook, "getWebhookInfo": s.webhookInfo,
		"sendMessage": s.sendMessage, "sendMessageDraft": s.sendDraft, "sendPhoto": s.sendPhoto, "sendDocument": s.sendDocument,
		"sendMediaGroup": s.sendAlbum, "editMessageText": s.editText, "editMessageCaption": s.editCaption, "editMessageMedia": s.editMedia,
		"editMessageReplyMarkup": s.editMarkup, "deleteMessage": s.deleteMessage, "deleteMessages": s.deleteMessages,
		"answerCallbackQuery": s.answerQuery, "answerInlineQuery": s.answerInline, "setMyCommands": s.setCommands,
		"sendChatAction": s.chatAction, "getChat": s.getChat, "getChatAdministrators": s.admins, "getChatMember": s.member, "leaveChat": s.leave,
	}
	if r.Method == "getUpdates" {
		return s.getUpdates(ctx, r)
	}
	f := do[r.Method]
	if f == nil {
		return nil, failure{code: 404, description: "Not Found"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.limit(r); err != nil {
		return nil, err
	}
	return f(r)
}

// writes lists the methods that count against the limits of messages, with how many messages they are.
func writes(r Request) int {
	switch r.Method {
	case "sendMessage", "sendPhoto", "sendDocument", "sendMessageDraft", "editMessageText", "editMessageCaption", "editMessageMedia", "editMessageReplyMarkup":
		return 1
	case "sendMediaGroup":
		list, _ := r.Params["media"].([]any)
		return len(list)
	}
	return 0
}

// limit counts a call, and refuses what is too much: then the chat takes nothing until retry_after is over. It needs mu.
func (s *Server) limit(r Request) error {
	n := writes(r)
	if n == 0 || r.Chat == 0 {
		return nil
	}
	now := time.Now()
	if until := s.paused[r.Chat]; now.Before(until) {
		return s.tooMany(r.Chat, until.Sub(now))
	}
	recent := func(list []time.Time, in time.Duration) []time.Time {
		return slices.DeleteFunc(list, func(at time.Time) bool { return now.Sub(at) >= in })
	}
	s.written = recent(s.written, time.Second)
	chat := recent(s.perChat[r.Chat], time.Minute)
	s.perChat[r.Chat] = chat
	switch {
	case len(s.written)+n > s.PerSecond && s.PerSecond > 0:
		return s.tooMany(r.Chat, time.Second)
	case len(chat) > 0 && now.Sub(chat[len(chat)-1]) < s.Apart:
		return s.tooMany(r.Chat, time.Second)
	case r.Chat < 0 && len(chat)+n > s.PerMinute && s.PerMinute > 0:
		return s.tooMany(r.Chat, time.Minute-now.Sub(chat[0]))
	}
	for range n {
		s.written, s.perChat[r.Chat] = append(s.written, now), append(s.perChat[r.Chat], now)
	}
	return nil
}

func (s *Server) tooMany(chat int64, wait time.Duration) error {
	s.limited++
	seconds := int((wait + time.Second - 1) / time.Second)
	s.paused[chat] = time.Now().Add(time.Duration(seconds) * time.Second)
	return failure{code: 429, description: "Too Many Requests: retry after " + strconv.Itoa(seconds), retryAfter: seconds}
}

func (s *Server) getMe(Request) (any, error) {
	return map[string]any{
		"id": s.self.ID, "is_bot": true, "first_name": s.self.FirstName, "username": s.self.Username, "can_join_groups": true,
		"can_read_all_group_messages": !s.Privacy, "supports_inline_queries": true,
	}, nil
}

func (s *Server) getUpdates(ctx context.Context, r Request) (any, error) {
	offset, timeout, limit := number(r.Params["offset"]), number(r.Params["timeout"]), number(r.Params["limit"])
	if limit == 0 {
		limit = 100
	}
	s.mu.Lock()
	if list, ok := r.Params["allowed_updates"].([]any); ok {
		s.allowed = nil
		for _, k := range list {
			s.allowed = append(s.allowed, fmt.Sprint(k))
		}
	}
	s.polling++
	mine := s.polling
	s.Notify() // whoever polls already hears of it
	s.mu.Unlock()
	late := time.NewTimer(time.Duration(timeout) * time.Second)
	defer late.Stop()
	for {
		s.mu.Lock()
		changed := s.Changed()
		var conflict error
		if s.webhook != "" {
			conflict = failure{code: 409, description: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"}
		} else if s.polling != mine {
			conflict = failure{code: 409, description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
		}
		s.updates = slices.DeleteFunc(s.updates, func(u update) bool { return u.id < offset })
		out := []json.RawMessage{}
		for _, u := range s.updates[:min(len(s.updates), int(limit))] {
			out = append(out, u.raw)
		}
		s.mu.Unlock()
		if conflict != nil {
			return nil, conflict
		}
		if len(out) > 0 || timeout == 0 {
			return out, nil
		}
		select {
		case <-changed:
		case <-late.C:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func number(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := strconv.ParseInt(n.String(), 10, 64)
	return i
}

func text(v any) string {
	t, _ := v.(string)
	return t
}

func flag(v any) bool { b, _ := v.(bool); return b }

// decode reads a parameter into a type.
func decode[T any](v any) (out T, err error) {
	if v == nil {
		return out, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	err = json.Unmarshal(b, &out)
	return out, err
}

func (s *Server) setWebhook(r Request) (any, error) {
	s.webhook, s.secret = text(r.Params["url"]), text(r.Params["secret_token"])
	s.Notify()
	return true, nil
}

func (s *Server) deleteWebhook(Request) (any, error) {
	s.webhook, s.secret = "", ""
	s.Notify()
	return true, nil
}

func (s *Server) webhookInfo(Request) (any, error) {
	return map[string]any{"url": s.webhook, "has_custom_certificate": false, "pending_update_count": len(s.updates)}, nil
}

// target finds the chat of a call and tells what the bot may not do there.
func (s *Server) target(r Request) (*Chat, error) {
	c := s.chat(r.Chat)
	switch {
	case c == nil:
		return nil, bad("chat not found")
	case c.MovedTo != 0:
		return nil, failure{code: 400, description: "Bad Request: group chat was upgraded to a supergroup chat", migrateTo: c.MovedTo}
	case c.Status == "kicked":
		return nil, failure{code: 403, description: "Forbidden: bot was kicked from the " + c.Type + " chat"}
	case c.Status == "left":
		return nil, failure{code: 403, description: "Forbidden: bot is not a member of the " + c.Type + " chat"}
	case c.Type == "private" && s.users[c.ID].Blocked:
		return nil, failure{code: 403, description: "Forbidden: bot was blocked by the user"}
	case c.Type == "private" && !s.users[c.ID].Started:
		return nil, failure{code: 403, description: "Forbidden: bot can't initiate conversation with a user"}
	}
	if topic := number(r.Params["message_thread_id"]); topic != 0 {
		if !c.IsForum {
			return nil, bad("message thread not found")
		}
		if slices.Contains(c.Closed, topic) {
			return nil, bad("TOPIC_CLOSED")
		}
	}
	return c, nil
}

// begin makes a message of the bot from what all sending methods share.
func (s *Server) begin(r Request) (*Message, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	m := &Message{From: &s.self, Date: time.Now().Unix(), Chat: *c, Topic: number(r.Params["message_thread_id"]), Sent: time.Now()}
	m.IsTopic = m.Topic != 0
	if reply, ok := r.Params["reply_parameters"].(map[string]any); ok {
		to := s.message(c.ID, number(reply["message_id"]))
		if to == nil && !flag(reply["allow_sending_without_reply"]) {
			return nil, bad("message to be replied not found")
		}
		if to != nil {
			copied := *to
			copied.ReplyTo = nil
			m.ReplyTo = &copied
		}
	}
	return m, s.markup(m, r.Params["reply_markup"])
}

func (s *Server) markup(m *Message, v any) error {
	m.Markup = nil
	if v == nil {
		return nil
	}
	k, err := decode[Markup](v)
	if err != nil {
		return bad("can't parse reply keyboard markup JSON object")
	}
	if raw, ok := v.(map[string]any); ok && raw["force_reply"] == true {
		m.Asks = true
		return nil
	}
	for _, row := range k.Rows {
		if len(row) > 8 || len(row) == 0 {
			return bad("a row has 1 to 8 buttons")
		}
		for _, b := range row {
			if b.Text == "" || b.Data == "" && b.URL == "" {
				return bad("BUTTON_INVALID")
			}
		}
	}
	if len(k.Rows) > 0 {
		m.Markup = &k
	}
	return nil
}

// written checks a text with its entities.
func (s *Server) checked(t string, entities any) ([]Entity, error) {
	list, err := decode[[]Entity](entities)
	if err != nil {
		return nil, bad("can't parse entities")
	}
	if err := checkEntities(t, list); err != nil {
		s.reject("%v in %.80q", err, t)
		return nil, bad(err.Error())
	}
	return list, nil
}

func (s *Server) sendMessage(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	m.Text = text(r.Params["text"])
	if strings.TrimSpace(m.Text) == "" {
		return nil, bad("message text is empty")
	}
	if m.Entities, err = s.checked(m.Text, r.Params["entities"]); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

func (s *Server) sendDraft(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	if c.Type != "private" || number(r.Params["draft_id"]) == 0 || s.NoDrafts {
		return nil, bad("TEXTDRAFT_PEER_INVALID")
	}
	if _, err := s.checked(text(r.Params["text"]), r.Params["entities"]); err != nil {
		return nil, err
	}
	s.drafts[c.ID] = append(s.drafts[c.ID], text(r.Params["text"]))
	s.Notify()
	return true, nil
}

// upload finds the bytes that a media value names.
func upload(r Request, field, media string) (Upload, bool) {
	if name, ok := strings.CutPrefix(media, "attach://"); ok {
		field = name
	}
	u, ok := r.Files[field]
	return u, ok
}

// photo checks a picture as Telegram does.
func photo(u Upload) ([]File, error) {
	if len(u.Data) > 10<<20 {
		return nil, bad("file is too big for a photo")
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(u.Data))
	if err != nil {
		return nil, bad("IMAGE_PROCESS_FAILED")
	}
	if size.Width+size.Height > 10_000 || size.Width > 20*size.Height || size.Height > 20*size.Width {
		return nil, bad("PHOTO_INVALID_DIMENSIONS")
	}
	return []File{{ID: "photo-" + u.Name, Unique: u.Name, Width: size.Width, Height: size.Height, Size: len(u.Data), Name: u.Name}}, nil
}

func document(u Upload) (*File, error) {
	if len(u.Data) > 50<<20 {
		return nil, failure{code: 413, description: "Request Entity Too Large"}
	}
	return &File{ID: "doc-" + u.Name, Unique: u.Name, Size: len(u.Data), Name: u.Name}, nil
}

func (s *Server) sendPhoto(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	u, ok := upload(r, "photo", text(r.Params["photo"]))
	if !ok {
		return nil, bad("there is no photo in the request")
	}
	if m.Photo, err = photo(u); err != nil {
		return nil, err
	}
	m.Spoiler, m.Caption = flag(r.Params["has_spoiler"]), text(r.Params["caption"])
	if m.CaptionEntities, err = s.checked(m.Caption, r.Params["caption_entities"]); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

func (s *Server) sendDocument(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	u, ok := upload(r, "document", text(r.Params["document"]))
	if !ok {
		return nil, bad("there is no document in the request")
	}
	if m.Document, err = document(u); err != nil {
		return nil, err
	}
	m.Caption = text(r.Params["caption"])
	if m.CaptionEntities, err = s.checked(m.Caption, r.Params["caption_entities"]); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

// media is an element of an album, or what an edit puts in.
type media struct {
	Type     string   `json:"type"`
	Media    string   `json:"media"`
	Caption  string   `json:"caption"`
	Entities []Entity `json:"caption_entities"`
	Spoiler  bool     `json:"has_spoiler"`
}

func (s *Server) fill(r Request, m *Message, in media) (err error) {
	u, ok := upload(r, "", in.Media)
	if !ok {
		return bad("wrong file identifier/HTTP URL specified")
	}
	m.Photo, m.Document = nil, nil
	switch in.Type {
	case "photo":
		m.Photo, err = photo(u)
	case "document":
		m.Document, err = document(u)
	default:
		err = bad("unknown media")
	}
	if err != nil {
		return err
	}
	if err := checkEntities(in.Caption, in.Entities); err != nil {
		s.reject("%v", err)
		return bad(err.Error())
	}
	m.Caption, m.CaptionEntities, m.Spoiler, m.Text, m.Entities = in.Caption, in.Entities, in.Spoiler, "", nil
	return nil
}

func (s *Server) sendAlbum(r Request) (any, error) {
	list, err := decode[[]media](r.Params["media"])
	if err != nil || len(list) < 2 || len(list) > 10 {
		return nil, bad("media must have 2 to 10 items")
	}
	s.last++
	var all []*Message
	for _, in := range list {
		m, err := s.begin(r)
		if err != nil {
			return nil, err
		}
		m.Album = "album" + strconv.FormatInt(s.last, 10)
		if err := s.fill(r, m, in); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, m := range all {
		s.keep(m)
	}
	return all, nil
}

// edited finds the message of an edit.
func (s *Server) edited(r Request) (*Message, error) {
	if id := text(r.Params["inline_message_id"]); id != "" {
		if m := s.inline[id]; m != nil {
			return m, nil
		}
		return nil, bad("MESSAGE_ID_INVALID")
	}
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	m := s.message(c.ID, number(r.Params["message_id"]))
	switch {
	case m == nil:
		return nil, bad("message to edit not found")
	case m.From == nil || m.From.ID != s.self.ID:
		return nil, bad("message can't be edited")
	}
	return m, nil
}

// change replaces a message's content unless it stays the same.
func (s *Server) change(m *Message, next Message) (any, error) {
	a, _ := json.Marshal(content(*m))
	b, _ := json.Marshal(content(next))
	if bytes.Equal(a, b) {
		return nil, bad("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	next.Edits++
	next.EditDate = time.Now().Unix()
	*m = next
	s.Notify()
	if m.ID == 0 {
		return true, nil // an inline message
	}
	return m, nil
}

func content(m Message) []any {
	return []any{m.Text, m.Entities, m.Caption, m.CaptionEntities, m.Photo, m.Document, m.Spoiler, m.Markup}
}

func (s *Server) editText(r Request) (any, error) {
	m, err := s.edited(r)
	if err != nil {
		return nil, err
	}
	if len(m.Photo) > 0 || m.Document != nil {
		return nil, bad("there is no text in the message to edit")
	}
	next := *m
	next.Text = text(r.Params["text"])
	if next.Entities, err = s.checked(next.Text, r.Params["entities"]); err != nil {
		return nil, err
	}
	if err := s.markup(&next, r.Params["reply_markup"]); err != nil {
		return nil, err
	}
	return s.change(m, next)
}

func (s *Server) editCaption(r Request) (any, error) {
	m, err := s.edited(r)
	if err != nil {
		return nil, err
	}
	if len(m.Photo) == 0 && m.Document == nil {
		return nil, bad("there is no caption in the message to edit")
	}
	next := *m
	next.Caption = text(r.Params["caption"])
	if next.CaptionEntities, err = s.checked(next.Caption, r.Params["caption_entities"]); err != nil {
		return nil, err
	}
	if err := s.markup(&next, r.Params["reply_markup"]); err != nil {
		return nil, err
	}
	return s.change(m, next)
}

func (s *Server) editMedia(r Request) (any, error) {
	m, err := s.edited(r)
	if err != nil {
		return nil, err
	}
	in, err := decode[media](r.Params["media"])
	if err != nil {
		return nil, bad("can't parse media")
	}
	next := *m
	if err := s.fill(r, &next, in); err != nil {
		return nil, err
	}
	if err := s.markup(&next, r.Params["reply_markup"]); err != nil {
		return nil, err
	}
	return s.change(m, next)
}

func (s *Server) editMarkup(r Request) (any, error) {
	m, err := s.edited(r)
	if err != nil {
		return nil, err
	}
	next := *m
	if err := s.markup(&next, r.Params["reply_markup"]); err != nil {
		return nil, err
	}
	return s.change(m, next)
}

func (s *Server) deleteMessage(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	m := s.message(c.ID, number(r.Params["message_id"]))
	if m == nil {
		return nil, bad("message to delete not found")
	}
	own := m.From != nil && m.From.ID == s.self.ID
	switch {
	case c.Status == "administrator":
	case !own && c.Type != "private":
		return nil, bad("message can't be deleted")
	case time.Since(time.Unix(m.Date, 0)) >= 48*time.Hour:
		return nil, bad("message can't be deleted for everyone")
	}
	s.messages[c.ID] = slices.DeleteFunc(s.messages[c.ID], func(o *Message) bool { return o == m })
	s.Notify()
	return true, nil
}

func (s *Server) deleteMessages(r Request) (any, error) {
	list, _ := r.Params["message_ids"].([]any)
	for _, id := range list {
		one := r
		one.Params = map[string]any{"message_id": id}
		_, _ = s.deleteMessage(one) // those that cannot be found are skipped
	}
	return true, nil
}

func (s *Server) answerQuery(r Request) (any, error) {
	q := s.queries[text(r.Params["callback_query_id"])]
	if q == nil || time.Since(q.At) > time.Minute || !q.Answered.IsZero() {
		return nil, bad("query is too old and response timeout expired or query ID is invalid")
	}
	q.Answered, q.Text, q.Alert, q.URL = time.Now(), text(r.Params["text"]), flag(r.Params["show_alert"]), text(r.Params["url"])
	s.Notify()
	return true, nil
}

func (s *Server) answerInline(r Request) (any, error) {
	list, err := decode[[]map[string]any](r.Params["results"])
	if err != nil {
		return nil, bad("can't parse results")
	}
	s.results[text(r.Params["inline_query_id"])] = list
	s.Notify()
	return true, nil
}

func (s *Server) setCommands(r Request) (any, error) {
	list, err := decode[[]struct {
		Command string `json:"command"`
	}](r.Params["commands"])
	if err != nil {
		return nil, bad("can't parse commands")
	}
	scope := "default"
	if m, ok := r.Params["scope"].(map[string]any); ok {
		scope = text(m["type"])
	}
	var names []string
	for _, c := range list {
		if strings.Trim(c.Command, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, bad("BOT_COMMAND_INVALID")
		}
		names = append(names, c.Command)
	}
	s.commands[scope+"/"+text(r.Params["language_code"])] = names
	s.Notify()
	return true, nil
}

func (s *Server) chatAction(r Request) (any, error) {
	if _, err := s.target(r); err != nil {
		return nil, err
	}
	return true, nil
}

func (s *Server) getChat(r Request) (any, error) {
	c := s.chat(r.Chat)
	if c == nil {
		return nil, bad("chat not found")
	}
	return c, nil
}

func (s *Server) admins(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	if c.Type == "private" {
		return nil, bad("there are no administrators in the private chat")
	}
	all := []any{}
	for i, id := range c.Admins {
		status := "administrator"
		if i == 0 {
			status = "creator"
		}
		all = append(all, map[string]any{"status": status, "user": s.users[id], "is_anonymous": false})
	}
	if c.Status == "administrator" {
		all = append(all, map[string]any{"status": "administrator", "user": s.self})
	}
	return all, nil
}

func (s *Server) member(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	user := number(r.Params["user_id"])
	status := "member"
	if slices.Contains(c.Admins, user) {
		status = "administrator"
	}
	if user == s.self.ID {
		return map[string]any{"status": c.Status, "user": s.self}, nil
	}
	return map[string]any{"status": status, "user": s.users[user]}, nil
}

func (s *Server) leave(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	c.Status = "left"
	return true, nil
}
