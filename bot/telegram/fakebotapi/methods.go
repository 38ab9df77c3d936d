package fakebotapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
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

func (s *Server) getMe(Request) (any, error) {
	return map[string]any{
		"id": s.self.ID, "is_bot": true, "first_name": s.self.FirstName, "username": s.self.Username, "can_join_groups": true,
		"can_read_all_group_messages": !s.Privacy, "supports_inline_queries": true,
	}, nil
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
