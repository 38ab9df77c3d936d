package discord

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

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
	if at := slices.IndexFunc(ids, t.tookAway); at > 0 { // by an edit that broke off: what stands behind it would be in the wrong order
		ids, err = ids[:at], t.removeAll(ctx, ids[at:])
		if err != nil {
			return nil, err
		}
	}
	for i, one := range all {
		id, err := t.part(ctx, ids, i, one)
		if err != nil {
			return nil, err
		}
		now = append(now, id)
	}
	return now, t.removeAll(ctx, ids[min(len(all), len(ids)):])
}

// part makes part i of the message that begins with ids[0] show one.
func (t target) part(ctx context.Context, ids []community.MessageID, i int, one message) (community.MessageID, error) {
	if i < len(ids) {
		if was, _ := t.p.shown.Get(string(ids[i])); was == one.hash() {
			return ids[i], nil
		}
		err := t.change(ctx, ids[i], one)
		if i > 0 && codeOf(err) == codeUnknownMessage && t.p.before(ids[i]) {
			return "", fault.Wrap(err, fault.Gone) // an earlier process may have taken it away itself
		}
		return ids[i], err
	}
	for n := 0; ; n++ { // a part that was taken away does not come back under its nonce
		key := fmt.Sprintf("more%s/%d/%d", ids[0], i, n)
		had, _ := t.p.sent.Get(key)
		if len(had) == 0 {
			id, err := t.more(ctx, one, key)
			if err == nil {
				t.p.sent.Put(key, []community.MessageID{id})
			}
			return id, err
		}
		if !t.tookAway(had[0]) { // of an edit that failed behind it
			return had[0], t.change(ctx, had[0], one)
		}
	}
}

// tookAway tells whether the bot itself deleted a message, or tried to.
func (t target) tookAway(id community.MessageID) bool {
	_, ok := t.p.removed.Get(string(id))
	return ok
}

// before tells whether a message is older than this process.
func (p *Platform) before(id community.MessageID) bool {
	local := strings.TrimLeft(string(id), ephemeralID+directID)
	return snowflakeTime(local[strings.LastIndexByte(local, '/')+1:]).Before(p.started)
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
		return "", fault.New(fault.Gone) // the Router sends it anew: as a DM
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
		if prefix == ephemeralID && codeOf(err) == codeUnknownMessage {
			return fault.Wrap(err, fault.Gone) // Discord forgets such messages by itself, and nobody but the asker can take them away
		}
		if prefix != "" || !tokenGone(err) && codeOf(err) != codeUnknownMessage {
			return err
		}
	}
	if prefix == ephemeralID {
		return fault.New(fault.Gone) // the token is over; the Router sends it anew: as a DM
	}
	t.byToken = false
	_, err := t.write(ctx, request{method: "PATCH", path: "/channels/" + chat + "/messages/" + local}, one)
	if err == nil {
		t.p.shown.Put(string(id), one.hash())
	}
	if codeOf(err) == codeUnknownMessage && t.tookAway(id) {
		return fault.Wrap(err, fault.Gone) // nobody else did
	}
	return err
}

// late posts the final answer of an interaction whose token is over.
func (t target) late(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	if err := t.stands(ctx, ids[0]); err != nil {
		return nil, err
	}
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

// stands returns Discord's error when a message is not there any more. Where the bot may not read, it counts as there.
func (t target) stands(ctx context.Context, id community.MessageID) error {
	err := t.p.api.do(ctx, request{method: "GET", path: "/channels/" + t.chat + "/messages/" + string(id)}, nil)
	if codeOf(err) == codeUnknownMessage {
		return err
	}
	return nil
}

// point makes the old placeholder lead to where the answer is.
func (t target) point(ctx context.Context, old []community.MessageID, to community.MessageID) {
	chat, prefix := place(to, t.chat)
	link := t.p.link(chat, strings.TrimPrefix(string(to), prefix))
	one := message{Content: "⤵ " + link, Allowed: nobody, Components: []row{}, Attachments: []attachment{}, Flags: flagSuppress}
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
