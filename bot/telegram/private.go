package telegram

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// A bot may write to people only after they have begun a private chat with it. Until then a private answer waits here, in memory alone: it may
// hold a secret, and whoever waits longer than a restart can ask again.

const (
	maxUnopened = 1000
	unopenedFor = time.Hour
)

type unopened struct {
	mu   sync.Mutex
	have map[string]*waiting // by the request's nonce
}

// waiting is an answer for somebody who has not opened the private chat.
type waiting struct {
	user   int64
	answer *bot.Outgoing // nil until there is one
	opened bool
	hint   target // the message in the group that asks to open it
	hintID community.MessageID
	at     time.Time
}

func newUnopened() *unopened { return &unopened{have: make(map[string]*waiting)} }

func (u *unopened) put(nonce string, w *waiting) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, old := range u.have {
		if time.Since(old.at) > unopenedFor || len(u.have) >= maxUnopened {
			delete(u.have, k)
		}
	}
	u.have[nonce] = w
}

func (u *unopened) drop(nonce string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.have, nonce)
}

// sendPrivate writes what only one person may see and tells in the group where it is.
func (p *Platform) sendPrivate(ctx context.Context, l place, m bot.Outgoing) ([]community.MessageID, error) {
	if id, ok := p.toast(ctx, m); ok {
		return []community.MessageID{id}, nil
	}
	user, err := strconv.ParseInt(community.Local(m.Only), 10, 64)
	if err != nil {
		return nil, err
	}
	group := target{p: p, place: p.where(l), class: classOf(m), reply: number(m.ReplyTo)}
	if user < 0 { // an administrator who writes as the group, or a channel: there is nobody to write to
		ids, err := group.post(ctx, bot.Outgoing{Text: p.say("")("telegram.anonymous")}, m.Nonce)
		if err != nil {
			return nil, err
		}
		return []community.MessageID{community.MessageID(toastID) + ids[0]}, nil
	}
	ids, err := p.toPerson(user, classOf(m)).post(ctx, m, m.Nonce)
	if err == nil {
		p.tellWhere(group, m)
		return ids, nil
	}
	if !errors.Is(err, tg.ErrorForbidden) && !says(err, "chat not found", "peer_id_invalid") {
		return nil, err
	}
	hint, err := p.askToOpen(ctx, group, m.Only, m.Nonce)
	if err != nil {
		return nil, err
	}
	w := &waiting{user: user, hint: group, hintID: hint, at: time.Now()}
	if lasting(m) {
		w.answer = &m
	}
	p.pending.put(m.Nonce, w)
	return []community.MessageID{community.MessageID(waitingID + m.Nonce + "/" + string(hint))}, nil
}

// localeOf is the language that Telegram told of somebody, empty if it did not.
func (p *Platform) localeOf(user community.UserID) string {
	locale, _ := p.locales.Get(string(user))
	return locale
}

// toPerson is the private chat with somebody, as seen from a group.
func (p *Platform) toPerson(user int64, c class) target {
	return target{p: p, place: place{chat: user}, prefix: privateID + strconv.FormatInt(user, 10) + "/", class: c}
}

// askToOpen posts the message with the button that leads to the private chat.
func (p *Platform) askToOpen(ctx context.Context, group target, user community.UserID, nonce string) (community.MessageID, error) {
	say := p.say(p.localeOf(user))
	return group.link(ctx, say("telegram.open_first"), say("telegram.open").Plain, "https://t.me/"+p.self().Username+"?start="+nonce)
}

// link posts a line with a button that leads somewhere.
func (t target) link(ctx context.Context, text bot.Text, label, url string) (community.MessageID, error) {
	c := cell{text: render(text), buttons: [][]models.InlineKeyboardButton{{{Text: bot.Cut(label, maxLabel), URL: url}}}}
	ids, err := t.write(ctx, []cell{c})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// tellWhere says in the group, or to who pressed, that the answer is in private. It is a courtesy: nothing waits for it.
func (p *Platform) tellWhere(group target, m bot.Outgoing) {
	say := p.say(p.localeOf(m.Only))
	if id, ok := strings.CutPrefix(m.Handle, handlePress); ok {
		p.beside(func(ctx context.Context) { p.answerPress(ctx, id, say("telegram.in_private").Plain, false) })
		return
	}
	group.class = placeholder
	p.beside(func(ctx context.Context) {
		if _, err := group.link(ctx, say("telegram.in_private"), say("telegram.open").Plain, "https://t.me/"+p.self().Username); err != nil {
			p.log.Debug("tell where the answer is", "chat", group.place.id(), "err", err)
		}
	})
}

// editWaiting changes an answer that waits, or sends it when the private chat was opened meanwhile.
func (p *Platform) editWaiting(ctx context.Context, ids []community.MessageID, m bot.Outgoing) ([]community.MessageID, error) {
	nonce, hint, _ := strings.Cut(string(ids[0])[len(waitingID):], "/")
	p.pending.mu.Lock()
	w := p.pending.have[nonce]
	opened := w != nil && w.opened
	if w != nil && !opened && lasting(m) {
		w.answer = &m
	}
	p.pending.mu.Unlock()
	user, err := strconv.ParseInt(community.Local(m.Only), 10, 64)
	if err != nil {
		return nil, fault.Wrap(err, fault.Gone)
	}
	switch {
	case !lasting(m) || w != nil && !opened:
		return ids, nil
	case w == nil: // a restart lies between: it waits again, or the chat is open now
		w = &waiting{user: user, answer: &m, hintID: community.MessageID(hint), at: time.Now()}
		l, err := placeOf(m.Chat)
		if err != nil {
			return nil, err
		}
		w.hint = target{p: p, place: p.where(l), class: placeholder}
		p.pending.put(nonce, w)
	}
	now, err := p.toPerson(user, final).post(ctx, m, nonce)
	if errors.Is(err, tg.ErrorForbidden) {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	p.pending.drop(nonce)
	return now, nil
}

// opened is called when somebody starts the private chat by the button of an answer that waits. false: there is none.
func (p *Platform) opened(user int64, nonce string) bool {
	p.pending.mu.Lock()
	w := p.pending.have[nonce]
	if w == nil || w.user != user {
		p.pending.mu.Unlock()
		return false
	}
	w.opened = true
	answer := w.answer
	if answer != nil {
		delete(p.pending.have, nonce)
	}
	p.pending.mu.Unlock()
	p.beside(func(ctx context.Context) {
		w.hint.discard(ctx, w.hintID)
		if answer == nil {
			return // it comes when it is ready
		}
		for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
			_, err := p.toPerson(user, final).post(ctx, *answer, nonce)
			if err == nil || ctx.Err() != nil || errors.Is(err, tg.ErrorForbidden) || errors.Is(err, tg.ErrorBadRequest) {
				return
			}
			if bot.Wait(ctx, wait) != nil {
				return
			}
		}
	})
	return true
}
