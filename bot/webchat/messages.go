package webchat

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"potluck/bot"
	"potluck/community"
	"potluck/web/guard"
	"potluck/web/reader"
)

// bodyLimit fits TextLength characters in JSON's longest form, twelve bytes for one beyond the basic plane.
func (p *Page) bodyLimit() int64 { return int64(p.config.Limits.TextLength)*12 + 4<<10 }

func (p *Page) postMessage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Chat    string              `json:"chat"`
		Text    string              `json:"text"`
		ReplyTo community.MessageID `json:"reply_to"`
		// Nonce makes sending again after a lost answer safe: the same visitor, chat and nonce are the same message.
		Nonce string `json:"nonce"`
	}
	if !read(w, r, p.bodyLimit(), &body) {
		return
	}
	text, ok := p.readable(w, body.Chat, body.Text)
	if !ok {
		return
	}
	if len(body.Nonce) > 64 || len(body.ReplyTo) > 64 {
		guard.Refuse(w, http.StatusBadRequest, "bad_json", "The request is not the JSON that is expected here.")
		return
	}
	if !p.mayWrite(w, r, s) || p.nameInUse(w, s.User, s.Name) {
		return
	}
	m := Message{
		ID: newMessageID(), Chat: body.Chat, User: s.User, Author: s.Name, Text: bot.Plain(text), Final: true, At: p.config.Now(),
	}
	if body.Nonce != "" {
		sum := sha256.Sum256([]byte(string(s.User) + "\x00" + body.Nonce))
		m.Nonce = "v:" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if p.config.PrivateCommand(text) {
		m.Only = s.User
	}
	if body.ReplyTo != "" {
		target, ok, err := p.visible(r.Context(), body.Chat, body.ReplyTo, s.User)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		if !ok {
			guard.Refuse(w, http.StatusNotFound, "gone", "The message that you reply to is gone.")
			return
		}
		m.ReplyTo = target.ID
		if target.Only != "" { // what answers a private message stays private
			m.Only = s.User
		}
	}
	id, err := p.post(r.Context(), m)
	if err == nil {
		// A message that was posted before, but not handed over, is handed over now; the Router ignores an event that it knows.
		e := p.event(r, s, bot.MessageNew, body.Chat)
		e.ID, e.Message, e.ReplyTo, e.Text, e.Private = "page:"+string(id), id, m.ReplyTo, m.Text, m.Only != ""
		err = p.handOver(r.Context(), e)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]community.MessageID{"id": id})
}

// readable returns what somebody wrote as it is kept, and refuses what cannot be posted in that chat.
func (p *Page) readable(w http.ResponseWriter, chat, typed string) (text string, ok bool) {
	text = cleanText(typed)
	switch {
	case !slices.Contains(p.config.Chats, chat):
		guard.Refuse(w, http.StatusNotFound, "no_chat", "There is no such chat.")
	case text == "":
		guard.Refuse(w, http.StatusBadRequest, "empty", "Write something first.")
	case utf8.RuneCountInString(text) > p.config.Limits.TextLength:
		guard.Refuse(w, http.StatusRequestEntityTooLarge, "too_long",
			fmt.Sprintf("That is too long: a message has at most %d characters.", p.config.Limits.TextLength))
	default:
		return text, true
	}
	return "", false
}

// mayWrite checks the rates, and that the program is there to take an event.
func (p *Page) mayWrite(w http.ResponseWriter, r *http.Request, s Session) bool {
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return false
	}
	if !p.running(r.Context()) {
		p.broken(w, r, errNotRunning)
		return false
	}
	return true
}

// editMessage changes the text of a visitor's own message.
func (p *Page) editMessage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Chat    string              `json:"chat"`
		Message community.MessageID `json:"message"`
		Text    string              `json:"text"`
	}
	if !read(w, r, p.bodyLimit(), &body) {
		return
	}
	text, ok := p.readable(w, body.Chat, body.Text)
	if !ok {
		return
	}
	m, ok := p.changeable(w, r, s, body.Chat, body.Message)
	if !ok {
		return
	}
	if m.User != s.User {
		guard.Refuse(w, http.StatusForbidden, "not_yours", "Only who wrote a message can change it.")
		return
	}
	asked, err := p.config.Asked(r.Context(), p.chat(body.Chat).ID, m.ID)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	if asked { // the answer below would stand under words that nobody asked
		guard.Refuse(w, http.StatusConflict, "answered", "The bot has taken this up already. Ask anew instead.")
		return
	}
	found, err := p.change(r.Context(), body.Chat, m.ID, func(now *Message) {
		if now.Text.Plain != text {
			now.Text, now.Edited = bot.Plain(text), true
		}
	})
	if err == nil && !found {
		guard.Refuse(w, http.StatusNotFound, "gone", "That message is gone.")
		return
	}
	if err == nil {
		e := p.event(r, s, bot.MessageEdited, body.Chat)
		e.ID, e.Message, e.ReplyTo, e.Text, e.Private = "page:"+string(m.ID)+":"+randomID(), m.ID, m.ReplyTo, bot.Plain(text), m.Only != ""
		err = p.handOver(r.Context(), e)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]community.MessageID{"id": m.ID})
}

// deleteMessage takes a visitor's own message away; operators may take away any that is finished.
func (p *Page) deleteMessage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Chat    string              `json:"chat"`
		Message community.MessageID `json:"message"`
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	m, ok := p.changeable(w, r, s, body.Chat, body.Message)
	if !ok {
		return
	}
	switch {
	case m.User != s.User && s.User != OperatorUser:
		guard.Refuse(w, http.StatusForbidden, "not_yours", "Only who wrote a message can delete it.")
		return
	case !m.Final: // its answer would only be posted anew
		guard.Refuse(w, http.StatusConflict, "unfinished", "This answer is still being made. Stop it first.")
		return
	}
	err := p.Delete(r.Context(), p.chat(body.Chat).ID, []community.MessageID{m.ID})
	if err == nil {
		e := p.event(r, s, bot.MessagesDeleted, body.Chat)
		e.ID, e.Deleted, e.Private = "page:"+string(m.ID)+":"+randomID(), []community.MessageID{m.ID}, m.Only != ""
		err = p.handOver(r.Context(), e)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]community.MessageID{"id": m.ID})
}

// changeable finds the message that somebody wants to change, and refuses what is not there for that visitor.
func (p *Page) changeable(w http.ResponseWriter, r *http.Request, s Session, chat string, id community.MessageID) (Message, bool) {
	if !slices.Contains(p.config.Chats, chat) || len(id) > 64 {
		guard.Refuse(w, http.StatusNotFound, "gone", "That message is gone.")
		return Message{}, false
	}
	if !p.mayWrite(w, r, s) {
		return Message{}, false
	}
	m, ok, err := p.visible(r.Context(), chat, id, s.User)
	if err != nil {
		p.broken(w, r, err)
		return Message{}, false
	}
	if !ok {
		guard.Refuse(w, http.StatusNotFound, "gone", "That message is gone.")
		return Message{}, false
	}
	return m, true
}

func (p *Page) press(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Message community.MessageID `json:"message"`
		Action  string              `json:"action"`
		Chat    string              `json:"chat"` // where it stands, if known
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return
	}
	for _, chat := range p.config.Chats {
		if body.Chat != "" && body.Chat != chat || len(body.Message) > 64 {
			continue
		}
		m, ok, err := p.visible(r.Context(), chat, body.Message, s.User)
		if err != nil {
			p.broken(w, r, err)
			return
		}
		if !ok || !slices.ContainsFunc(m.Buttons, func(b bot.Button) bool { return b.ID == body.Action }) {
			continue
		}
		e := p.event(r, s, bot.ActionPressed, chat)
		e.ID, e.Message, e.Action, e.Private = "page:"+string(m.ID)+":"+randomID(), m.ID, body.Action, m.Only != ""
		if err := p.handOver(r.Context(), e); err != nil {
			p.broken(w, r, err)
			return
		}
		answer(w, http.StatusAccepted, map[string]community.MessageID{"id": m.ID})
		return
	}
	guard.Refuse(w, http.StatusNotFound, "gone", "That button is gone.")
}

func (p *Page) visible(ctx context.Context, chat string, id community.MessageID, user community.UserID) (Message, bool, error) {
	m, ok, err := p.config.Store.Message(ctx, chat, id)
	if err != nil {
		return Message{}, false, fmt.Errorf("read message: %w", err)
	}
	if !ok || m.Deleted || m.Only != "" && m.Only != user {
		return Message{}, false, nil
	}
	return m, true, nil
}

func (p *Page) event(r *http.Request, s Session, kind bot.EventKind, chat string) bot.Event {
	e := bot.Event{Kind: kind, At: p.config.Now(), Chat: p.chat(chat), User: s.User, Name: s.Name, Locale: reader.Locale(r), Household: p.config.Household(r)}
	if s.User == OperatorUser {
		e.Role = community.Admin
	}
	return e
}

func (p *Page) handOver(ctx context.Context, e bot.Event) error {
	ctx, cancel := durable(ctx)
	defer cancel()
	return p.handle(ctx, e)
}
