package fakebotapi

import (
	"slices"
	"strconv"
	"time"
)

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
