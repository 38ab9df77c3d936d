package fakebotapi

import (
	"slices"
	"strings"
	"time"
)

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
