package discord

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Ids of messages that do not simply stand in the chat of their request. Each is unique in that chat, as a MessageID must be.
const (
	ephemeralID = "e" // "e123": only the asker sees it, and only the interaction's token changes it
	directID    = "d" // "d45/123": in the DM channel 45
)

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
			switch {
			case tokenGone(err):
				p.requests.void(h)
			case !fault.Has(err, fault.Gone):
				return ids, err
			}
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

// answer writes the first answer to an interaction by its token. Doing it again changes what is there. fault.Gone: there is nothing that could show it,
// and nobody but the bot itself or Discord took that away.
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
			id, err = t.original(ctx, one)
		default:
			id, err = t.followUp(ctx, one)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		t.p.sent.Put(m.Nonce, ids)
	}
	return ids, nil
}

// original makes the acknowledgement show one.
func (t target) original(ctx context.Context, one message) (community.MessageID, error) {
	id, err := t.write(ctx, request{method: "PATCH", path: t.h.path("/messages/@original")}, one)
	switch {
	case codeOf(err) == codeUnknownMessage && (t.prefix == ephemeralID || t.p.requests.takenBack(t.h)):
		return "", fault.Wrap(err, fault.Gone)
	case err == nil && !t.p.requests.answered(t.h):
		return "", fault.New(fault.Gone)
	}
	return id, err
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

// tellEvery is how often people are told of the same missing right in the same channel.
const tellEvery = 24 * time.Hour

// tellRefusal tells the operator that the bot lacks a permission, once per channel and day.
func (p *Platform) tellRefusal(chat community.ChatID, err error) {
	code := codeOf(err)
	if code != codeMissingAccess && code != codeMissingPermissions || !p.told.Due("refused "+string(chat), tellEvery) {
		return
	}
	p.log.Warn("the bot lacks a permission here: it needs View Channel, Send Messages, Send Messages in Threads, Embed Links, Attach Files and Read Message History",
		"chat", chat, "err", err)
}
