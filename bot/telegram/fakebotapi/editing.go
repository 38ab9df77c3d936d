package fakebotapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

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

// change replaces a message's content, and its buttons by those of the edit, unless all stays the same.
func (s *Server) change(r Request, m *Message, next Message) (any, error) {
	if err := s.markup(&next, r.Params["reply_markup"]); err != nil {
		return nil, err
	}
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
	return s.change(r, m, next)
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
	if err := s.caption(r, &next); err != nil {
		return nil, err
	}
	return s.change(r, m, next)
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
	return s.change(r, m, next)
}

func (s *Server) editMarkup(r Request) (any, error) {
	m, err := s.edited(r)
	if err != nil {
		return nil, err
	}
	return s.change(r, m, *m)
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
