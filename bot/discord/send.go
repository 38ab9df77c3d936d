package discord

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

const (
	maxContent = 2000 // UTF-16 units of a message
	maxButtons = 25
	maxLabel   = 80
	maxFiles   = 10
	// mentionRoom is left in the first part of an answer that mentions who asked.
	mentionRoom = 30
)

// Ids of messages that do not simply stand in the chat of their request. Each is unique in that chat, as a MessageID must be.
const (
	ephemeralID = "e" // "e123": only the asker sees it, and only the interaction's token changes it
	directID    = "d" // "d45/123": in the DM channel 45
)

// message is the body of every call that writes a message.
type message struct {
	Content     string       `json:"content"`
	Allowed     mentions     `json:"allowed_mentions"`
	Components  []row        `json:"components"`
	Attachments []attachment `json:"attachments"`
	Flags       int          `json:"flags"`
	Nonce       string       `json:"nonce,omitempty"`
	Enforce     bool         `json:"enforce_nonce,omitempty"`
	Reference   *reference   `json:"message_reference,omitempty"`

	files []file
}

type row struct {
	Type       discordgo.ComponentType `json:"type"`
	Components []discordgo.Button      `json:"components"`
}

type attachment struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	Description string `json:"description,omitempty"`
}

type reference struct {
	MessageID string `json:"message_id"`
	MustExist bool   `json:"fail_if_not_exists"`
}

// parts renders m as the messages that it needs: texts split, pictures and buttons at the last one. room is kept free in the first.
func parts(m bot.Outgoing, room, fileLimit int) ([]message, error) {
	texts := split(expanded(m.Text), maxContent-room)
	if len(texts) == 0 {
		texts = []bot.Text{{}}
	}
	all := make([]message, len(texts))
	for i, t := range texts {
		all[i] = message{
			Content: render(t), Allowed: nobody, Components: []row{}, Attachments: []attachment{}, Flags: flagSupress,
		}
	}
	last := &all[len(all)-1]
	last.Components = rows(m.Buttons, m.Nonce)
	return all, last.attach(m.Pictures, fileLimit)
}

// rows puts buttons into rows of five. The nonce behind an id lets a message be found again whose own id got lost in a kill.
func rows(buttons []bot.Button, nonce string) []row {
	all := []row{}
	for i, b := range buttons[:min(len(buttons), maxButtons)] {
		if i%5 == 0 {
			all = append(all, row{Type: discordgo.ActionsRowComponent})
		}
		style := map[bot.ButtonStyle]discordgo.ButtonStyle{bot.Primary: discordgo.PrimaryButton, bot.Danger: discordgo.DangerButton}[b.Style]
		if style == 0 {
			style = discordgo.SecondaryButton
		}
		id := b.ID
		if nonce != "" {
			id += "." + nonce
		}
		at := &all[len(all)-1]
		at.Components = append(at.Components, discordgo.Button{CustomID: id, Label: cut(b.Label, maxLabel), Style: style})
	}
	return all
}

func (m *message) attach(pictures []bot.Picture, limit int) error {
	for i, pic := range pictures[:min(len(pictures), maxFiles)] {
		data, kind, err := fitting(pic, limit)
		if err != nil {
			return fmt.Errorf("picture %d: %w", i+1, err)
		}
		base, _, _ := strings.Cut(pic.Name, ".")
		called := base + map[string]string{"image/png": ".png", "image/jpeg": ".jpg"}[kind]
		if pic.Spoiler {
			called = "SPOILER_" + called
		}
		m.files = append(m.files, file{name: called, kind: kind, data: data})
		m.Attachments = append(m.Attachments, attachment{ID: strconv.Itoa(i), Filename: called, Description: cut(pic.Alt, 1000)})
	}
	return nil
}

// hash tells whether two messages look the same.
func (m message) hash() [32]byte {
	h := sha256.New()
	m.Nonce, m.Reference = "", nil
	b, _ := json.Marshal(m) // strings and numbers always encode
	h.Write(b)
	for _, f := range m.files {
		h.Write(f.data)
	}
	return [32]byte(h.Sum(nil))
}

// target is where and how a message is written.
type target struct {
	p       *Platform
	chat    string // channel id
	h       handle
	byToken bool
	only    bool // for the asker only
	prefix  string
	start   time.Time // when it was asked
}

// Send posts m, split as needed. With a Handle it answers the interaction while its token lives; else, and after that, it is an ordinary
// message, which replies to what asked, or mentions who asked. What only one person may see comes as a DM then.
func (p *Platform) Send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	ids, err := p.send(ctx, m)
	if err != nil {
		p.tellRefusal(m.Chat, err)
		return nil, fmt.Errorf("send to Discord: %w", explain(err))
	}
	return ids, nil
}

func (p *Platform) send(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	channel, err := localChannel(m.Chat)
	if err != nil {
		return nil, err
	}
	h, ok := parseHandle(m.Handle)
	t := target{p: p, chat: channel, h: h, only: m.Only != "", start: snowflakeTime(string(m.ReplyTo))}
	if ok {
		t.start = snowflakeTime(h.ID)
		if t.byToken = p.requests.usable(ctx, h); t.byToken {
			ids, err := t.answer(ctx, m)
			if !tokenGone(err) {
				return ids, err
			}
			p.requests.void(h)
			t.byToken = false
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if t.only {
		return t.direct(ctx, m)
	}
	ids, err := t.post(ctx, m, string(m.ReplyTo), ok)
	if ok && fault.Has(explain(err), fault.Forbidden) && m.Final {
		t.only = true
		m.Only = userID(h.User)
		return t.direct(ctx, m) // better there than nowhere
	}
	return ids, err
}

// answer writes the first answer to an interaction by its token. Doing it again changes what is there.
func (t target) answer(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	all, err := parts(m, 0, t.fileLimit())
	if err != nil {
		return nil, err
	}
	if t.only || t.h.Private && t.h.Kind != interactionComponent {
		t.prefix = ephemeralID
	}
	sent := t.sent(m.Nonce)
	if len(sent) == 0 && t.doubtful() && t.prefix == "" {
		if sent, err = t.answersOf(ctx); err != nil {
			return nil, err
		}
	}
	var ids []community.MessageID
	for i, one := range all {
		var id community.MessageID
		switch {
		case i < len(sent):
			id, err = sent[i], t.change(ctx, sent[i], one)
		case i == 0 && t.h.Kind != interactionComponent:
			id, err = t.write(ctx, request{method: "PATCH", path: t.h.path("/messages/@original")}, one)
		default:
			id, err = t.followUp(ctx, one)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		t.p.sent.Put(m.Nonce, ids)
	}
	t.p.requests.answered(t.h)
	return ids, nil
}

// followUp posts one more message of an answer.
func (t target) followUp(ctx context.Context, one message) (community.MessageID, error) {
	if t.prefix == ephemeralID {
		one.Flags |= flagOnlyOne
	}
	return t.write(ctx, request{method: "POST", path: t.h.path(""), query: url.Values{"wait": {"true"}}, once: true}, one)
}

func (t target) write(ctx context.Context, r request, one message) (community.MessageID, error) {
	r.body, r.files, r.interaction = one, one.files, t.byToken
	var written rawMessage
	if err := t.p.api.do(ctx, r, &written); err != nil {
		return "", err
	}
	if written.ID == 0 {
		return "", errors.New("the answer names no message")
	}
	id := community.MessageID(t.prefix + written.ID.String())
	t.p.shown.Put(string(id), one.hash())
	return id, nil
}

// post writes m as ordinary messages. mention: nothing that could be replied to asked for it, so who asked is mentioned, once.
func (t target) post(ctx context.Context, m bot.Outgoing, replyTo string, mention bool) ([]community.MessageID, error) {
	room := 0
	if mention {
		room = mentionRoom
	}
	all, err := parts(m, room, t.fileLimit())
	if err != nil {
		return nil, err
	}
	if mention {
		all[0].Content = "<@" + t.h.User + "> " + all[0].Content
		all[0].Allowed = mentions{Parse: []string{}, Users: []string{t.h.User}}
	}
	if t.prefix == "" && isDigits(replyTo) {
		all[0].Reference = &reference{MessageID: replyTo}
	}
	sent := t.sent(m.Nonce)
	if len(sent) == 0 && t.doubtful() {
		sent = t.history(ctx, all, m.Nonce, replyTo)
	}
	var ids []community.MessageID
	for i, one := range all {
		if i < len(sent) {
			if err := t.change(ctx, sent[i], one); err != nil {
				return nil, err
			}
			ids = append(ids, sent[i])
			continue
		}
		if m.Nonce != "" {
			one.Nonce, one.Enforce = partNonce(m.Nonce, i), true
		}
		id, err := t.write(ctx, request{method: "POST", path: "/channels/" + t.chat + "/messages", once: one.Nonce == ""}, one)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		t.p.sent.Put(m.Nonce, ids)
	}
	return ids, nil
}

// sent lists what of a message is out already, here.
func (t target) sent(nonce string) []community.MessageID {
	ids, _ := t.p.sent.Get(nonce)
	for _, id := range ids {
		if _, prefix := place(id, t.chat); prefix != t.prefix {
			return nil // to the asker alone, while its token lived
		}
	}
	return ids
}

// partNonce is the nonce of one part; Discord takes 25 characters.
func partNonce(nonce string, part int) string {
	if part > 0 {
		nonce += "/" + strconv.Itoa(part)
	}
	if len(nonce) > 25 {
		sum := sha256.Sum256([]byte(nonce))
		nonce = base32.StdEncoding.EncodeToString(sum[:])[:25]
	}
	return nonce
}

// direct writes to the asker's DM.
func (t target) direct(ctx context.Context, m bot.Outgoing) ([]community.MessageID, error) {
	var dm struct {
		ID string `json:"id"`
	}
	r := request{method: "POST", path: "/users/@me/channels", body: map[string]any{"recipient_id": community.Local(m.Only)}}
	if err := t.p.api.do(ctx, r, &dm); err != nil {
		return nil, err
	}
	t.chat, t.prefix, t.byToken = dm.ID, directID+dm.ID+"/", false
	return t.post(ctx, m, "", false)
}

// doubtful: an earlier process may have written this already without having kept the ids.
func (t target) doubtful() bool { return !t.start.IsZero() && t.start.Before(t.p.started) }

// answersOf finds what an earlier process wrote for an interaction.
func (t target) answersOf(ctx context.Context) ([]community.MessageID, error) {
	list, err := t.since(ctx, t.h.ID)
	var ids []community.MessageID
	for _, m := range list {
		if m.Interaction != nil && m.Interaction.ID.String() == t.h.ID {
			ids = append(ids, community.MessageID(m.ID.String()))
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	return ids, nil // where nothing can be read it is written again
}

// history finds the messages that an earlier process posted for this: by the nonce in their buttons, or by the same text replying to the
// same message.
func (t target) history(ctx context.Context, all []message, nonce, replyTo string) []community.MessageID {
	after := replyTo
	if !isDigits(after) {
		after = t.h.ID
	}
	list, _ := t.since(ctx, after) // where nothing can be read it is posted again; Discord's own check of the nonce still holds for minutes
	var ids []community.MessageID
	for _, one := range all {
		for _, m := range list {
			id := community.MessageID(t.prefix + m.ID.String())
			if slices.Contains(ids, id) {
				continue
			}
			same := nonce != "" && strings.Contains(string(m.Components), "."+nonce+`"`)
			replies := replyTo == "" || len(ids) > 0 || m.Reference != nil && m.Reference.MessageID.String() == replyTo
			if same || replies && m.Content == one.Content {
				ids = append(ids, id)
				break
			}
		}
	}
	return ids
}

// since lists the bot's own messages in the chat behind an id, oldest first.
func (t target) since(ctx context.Context, after string) ([]rawMessage, error) {
	var list []rawMessage
	r := request{method: "GET", path: "/channels/" + t.chat + "/messages", query: url.Values{"after": {after}, "limit": {"100"}}}
	if err := t.p.api.do(ctx, r, &list); err != nil {
		return nil, err
	}
	_, self := t.p.ids()
	list = slices.DeleteFunc(list, func(m rawMessage) bool { return m.Author == nil || m.Author.ID.String() != self })
	slices.SortFunc(list, func(a, b rawMessage) int { return int(int64(a.ID) - int64(b.ID)) })
	return list, nil
}

// Edit makes the parts show m. The final of an interaction whose token is over comes as a new message that mentions who asked, since nobody
// looks at the old one any more; the old one then points to it.
func (p *Platform) Edit(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	now, err := p.edit(ctx, ids, m)
	if err != nil {
		p.tellRefusal(m.Chat, err)
		return nil, fmt.Errorf("edit on Discord: %w", explain(err))
	}
	return now, nil
}

func (p *Platform) edit(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	channel, err := localChannel(m.Chat)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.Gone)
	}
	h, ok := parseHandle(m.Handle)
	t := target{p: p, chat: channel, h: h, only: m.Only != ""}
	t.chat, t.prefix = place(ids[0], channel)
	if ok {
		t.start = snowflakeTime(h.ID)
		t.byToken = t.prefix != directPrefix(t.prefix) && p.requests.usable(ctx, h)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if ok && !t.byToken && m.Final && t.prefix == "" && h.Kind != interactionComponent && h.overBefore(ids[0]) {
		return t.late(ctx, ids, m)
	}
	if !m.Final && !t.byToken {
		if err := p.edits.wait(ctx, t.chat); err != nil {
			return nil, err
		}
	}
	all, err := parts(m, 0, t.fileLimit())
	if err != nil {
		return nil, err
	}
	return t.replace(ctx, ids, all)
}

// directPrefix returns the prefix if it is that of a DM, else something that no prefix is.
func directPrefix(prefix string) string {
	if strings.HasPrefix(prefix, directID) {
		return prefix
	}
	return "none"
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// replace changes what is there, adds what is missing and deletes what is too much.
func (t target) replace(ctx context.Context, ids []community.MessageID, all []message) (now []community.MessageID, err error) {
	for i, one := range all {
		if i < len(ids) {
			if was, _ := t.p.shown.Get(string(ids[i])); was == one.hash() {
				now = append(now, ids[i])
				continue
			}
			if err := t.change(ctx, ids[i], one); err != nil {
				return nil, err
			}
			now = append(now, ids[i])
			continue
		}
		key := "more" + string(ids[0]) + "/" + strconv.Itoa(i)
		if had, _ := t.p.sent.Get(key); len(had) > 0 { // of an edit that failed behind it
			if err := t.change(ctx, had[0], one); err != nil {
				return nil, err
			}
			now = append(now, had[0])
			continue
		}
		id, err := t.more(ctx, one, key)
		if err != nil {
			return nil, err
		}
		t.p.sent.Put(key, []community.MessageID{id})
		now = append(now, id)
	}
	for _, id := range ids[min(len(all), len(ids)):] {
		if err := t.remove(ctx, id); err != nil {
			return nil, err
		}
	}
	return now, nil
}

// more posts a further part behind those that are there.
func (t target) more(ctx context.Context, one message, key string) (community.MessageID, error) {
	if t.byToken {
		id, err := t.followUp(ctx, one)
		if err == nil || !tokenGone(err) && codeOf(err) != codeTooManyFollowUps || t.prefix != "" {
			return id, err
		}
		t.byToken = false
	}
	if t.prefix == ephemeralID {
		return "", &refusal{status: 404, code: codeUnknownMessage} // the Router sends it anew: as a DM
	}
	one.Nonce, one.Enforce = partNonce(key, 0), true
	return t.write(ctx, request{method: "POST", path: "/channels/" + t.chat + "/messages"}, one)
}

// change edits one message: by the token if that can be, else as its author.
func (t target) change(ctx context.Context, id community.MessageID, one message) error {
	chat, prefix := place(id, t.chat)
	local := strings.TrimPrefix(string(id), prefix)
	one.Nonce, one.Enforce, one.Reference = "", false, nil
	if t.byToken && !strings.HasPrefix(prefix, directID) {
		_, err := t.write(ctx, request{method: "PATCH", path: t.h.path("/messages/" + local)}, one)
		if err == nil {
			t.p.shown.Put(string(id), one.hash())
			return nil
		}
		if prefix != "" || !tokenGone(err) && codeOf(err) != codeUnknownMessage {
			return err
		}
	}
	if prefix == ephemeralID {
		return &refusal{status: 404, code: codeUnknownMessage, text: "the token is over"}
	}
	t.byToken = false
	_, err := t.write(ctx, request{method: "PATCH", path: "/channels/" + chat + "/messages/" + local}, one)
	if err == nil {
		t.p.shown.Put(string(id), one.hash())
	}
	return err
}

// late posts the final answer of an interaction whose token is over.
func (t target) late(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	m.Nonce = "late" + string(ids[0])
	now, err := t.post(ctx, m, string(ids[0]), true)
	if fault.Has(explain(err), fault.Forbidden) {
		t.only, m.Only = true, userID(t.h.User)
		now, err = t.direct(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	t.point(ctx, ids, now[0])
	return now, nil
}

// point makes the old placeholder lead to where the answer is.
func (t target) point(ctx context.Context, old []community.MessageID, to community.MessageID) {
	chat, prefix := place(to, t.chat)
	link := t.p.link(chat, strings.TrimPrefix(string(to), prefix))
	one := message{Content: "⤵ " + link, Allowed: nobody, Components: []row{}, Attachments: []attachment{}, Flags: flagSupress}
	if err := t.change(ctx, old[0], one); err != nil {
		t.p.log.Debug("point to a late answer", "err", err)
	}
	for _, id := range old[1:] {
		if err := t.remove(ctx, id); err != nil {
			t.p.log.Debug("remove an old part", "err", err)
		}
	}
}

// overBefore tells whether the token is over now and lived yet when the message was made: an answer behind it is late.
func (h handle) overBefore(id community.MessageID) bool {
	end := snowflakeTime(h.ID).Add(tokenLife - tokenMargin)
	return time.Now().After(end) && snowflakeTime(string(id)).Before(end)
}

// place reads the channel and the prefix of an id.
func place(id community.MessageID, chat string) (channel, prefix string) {
	s := string(id)
	if strings.HasPrefix(s, ephemeralID) {
		return chat, ephemeralID
	}
	if rest, ok := strings.CutPrefix(s, directID); ok {
		if channel, _, ok := strings.Cut(rest, "/"); ok {
			return channel, directID + channel + "/"
		}
	}
	return chat, ""
}

func (t target) fileLimit() int {
	if t.byToken && t.h.Limit > 0 {
		return t.h.Limit
	}
	return defaultFileLimit
}

// Delete takes messages away. What is gone already is no error.
func (p *Platform) Delete(ctx context.Context, chat community.ChatID, ids []community.MessageID) error {
	channel, err := localChannel(chat)
	if err != nil {
		return fmt.Errorf("delete on Discord: %w", err)
	}
	t := target{p: p, chat: channel}
	for _, id := range ids {
		if err := t.remove(ctx, id); err != nil {
			return fmt.Errorf("delete on Discord: %w", explain(err))
		}
	}
	return nil
}

func (t target) remove(ctx context.Context, id community.MessageID) error {
	chat, prefix := place(id, t.chat)
	local := strings.TrimPrefix(string(id), prefix)
	path := "/channels/" + chat + "/messages/" + local
	if t.byToken && !strings.HasPrefix(prefix, directID) {
		path = t.h.path("/messages/" + local)
	} else if prefix == ephemeralID {
		return nil // it goes by itself
	}
	t.p.seen.First(deletion(local), struct{}{}) // what the bot deletes itself is no event
	err := t.p.api.do(ctx, request{method: "DELETE", path: path, interaction: t.byToken}, nil)
	if codeOf(err) == codeUnknownMessage || codeOf(err) == codeUnknownChannel {
		return nil
	}
	return err
}

// tellRefusal tells the operator that the bot lacks a permission, once per channel and day.
func (p *Platform) tellRefusal(chat community.ChatID, err error) {
	code := codeOf(err)
	if code != codeMissingAccess && code != codeMissingPermissions {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if at, ok := p.told[string(chat)]; ok && now.Sub(at) < 24*time.Hour {
		return
	}
	if len(p.told) > 10_000 {
		clear(p.told)
	}
	p.told[string(chat)] = now
	p.log.Warn("the bot lacks a permission here: it needs View Channel, Send Messages, Send Messages in Threads, Embed Links, Attach Files and Read Message History",
		"chat", chat, "err", err)
}
