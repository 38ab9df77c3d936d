package fakebotapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

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
