package telegram

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"potluck/bot"
	"potluck/community"
)

// sort puts an update into its chat's queue; land is called once it is safe, or with why it could not be kept.
func (p *Platform) sort(u rawUpdate, land func(error)) {
	m, edited := u.message()
	switch {
	case m != nil && m.Album != "" && !edited:
		p.collect(u.ID, m, land)
	case m != nil:
		p.queue(m.Chat.ID, land, func(ctx context.Context) error { return p.message(ctx, u.ID, m, nil, edited) })
	case u.Callback != nil:
		chat := u.Callback.From.ID
		if u.Callback.Message != nil {
			chat = u.Callback.Message.Chat.ID
		}
		p.queue(chat, land, func(ctx context.Context) error { return p.pressed(ctx, *u.Callback) })
	case u.Mine != nil:
		p.queue(u.Mine.Chat.ID, land, func(ctx context.Context) error { return p.moved(ctx, u.ID, *u.Mine) })
	case u.Theirs != nil:
		p.forgetAdmins(u.Theirs.Chat.ID)
		land(nil)
	case u.Reacted != nil:
		p.queue(u.Reacted.Chat.ID, land, func(ctx context.Context) error { return p.reacted(ctx, u.ID, *u.Reacted) })
	case u.Inline != nil:
		p.queue(u.Inline.From.ID, land, func(ctx context.Context) error { return p.offer(ctx, *u.Inline) })
	case u.InlineChosen != nil:
		p.queue(u.InlineChosen.From.ID, land, func(ctx context.Context) error { return p.chosen(ctx, *u.InlineChosen) })
	default:
		land(nil)
	}
}

func (p *Platform) queue(chat int64, land func(error), f func(context.Context) error) {
	p.chats.Add(chat, func(ctx context.Context) {
		landed := false
		defer func() {
			if !landed {
				land(nil) // a panic: it would come again
			}
		}()
		err := f(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.Warn("an update could not be taken", "chat", chat, "err", err)
		}
		landed = true
		land(err)
	})
}

// albumWait is how long after an album's last picture the next is waited for.
const albumWait = 500 * time.Millisecond

// albums are messages that belong together and come one by one.
type albums struct {
	mu   sync.Mutex
	open map[string]*album
}

type album struct {
	messages []*rawMessage
	lands    []func(error)
	timer    *time.Timer
}

// collect puts the pictures of an album together into one message.
func (p *Platform) collect(update int64, m *rawMessage, land func(error)) {
	key := strconv.FormatInt(m.Chat.ID, 10) + "/" + m.Album
	c := p.albums
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.open[key]
	if a == nil {
		a = new(album)
		c.open[key] = a
		a.timer = time.AfterFunc(albumWait, func() {
			c.mu.Lock()
			delete(c.open, key)
			all, lands := a.messages, a.lands
			c.mu.Unlock()
			slices.SortFunc(all, func(x, y *rawMessage) int { return cmp.Compare(x.ID, y.ID) })
			first := all[0]
			for _, one := range all {
				if one.Caption != "" {
					first = one
					break
				}
			}
			p.queue(m.Chat.ID, func(err error) {
				for _, land := range lands {
					land(err)
				}
			}, func(ctx context.Context) error { return p.message(ctx, update, first, all, false) })
		})
	} else {
		a.timer.Reset(albumWait)
	}
	a.messages, a.lands = append(a.messages, m), append(a.lands, land)
}

// chatOf describes a chat as the core knows it.
func (p *Platform) chatOf(c rawChat, l place) community.Chat {
	out := community.Chat{ID: l.id(), Name: c.shown(), Private: c.private()}
	if !c.private() {
		out.Community = communityID(c.ID)
	}
	return out
}

// author fills in who an event is by. Administrators who write as the group, and channels, are members of their own.
func (p *Platform) author(e *bot.Event, from *rawUser, sender *rawChat, chat rawChat) {
	switch {
	case sender != nil:
		e.User, e.Name = userID(sender.ID), sender.shown()
		if sender.ID == chat.ID {
			e.Role = community.Admin
		}
	case from != nil:
		e.User, e.Name, e.Locale, e.FromBot = userID(from.ID), from.shown(), from.Language, from.Bot
		p.locales.Put(string(e.User), from.Language)
		p.usernames.Put(strings.ToLower(from.Username), e.User)
	}
}

// message takes a new or edited message of anybody; album lists all pictures of one.
func (p *Platform) message(ctx context.Context, update int64, m *rawMessage, album []*rawMessage, edited bool) error {
	if m.MovedTo != 0 || m.MovedFrom != 0 {
		from, to := m.Chat.ID, m.MovedTo
		if to == 0 {
			from, to = m.MovedFrom, m.Chat.ID
		}
		return p.migrated(ctx, from, to)
	}
	if m.From == nil && m.SenderChat == nil || m.From != nil && m.From.ID == p.self().ID {
		return nil
	}
	e := bot.Event{
		ID: fmt.Sprintf("%s:m:%d:%d", name, m.Chat.ID, m.ID), Kind: bot.MessageNew, At: time.Unix(m.Date, 0), Chat: p.chatOf(m.Chat, m.place()),
		Message: messageID(m.ID), Text: m.content(),
	}
	if edited {
		e.ID, e.Kind, e.At = fmt.Sprintf("%s:e:%d:%d:%d", name, m.Chat.ID, m.ID, update), bot.MessageEdited, time.Unix(m.EditDate, 0)
	}
	p.author(&e, m.From, m.SenderChat, m.Chat)
	if r := m.replied(); r != nil {
		e.ReplyTo = messageID(r.ID)
	}
	if len(album) == 0 {
		album = []*rawMessage{m}
	}
	for _, one := range album {
		e.Carried = append(e.Carried, carried(one)...)
	}
	if e.Text.Plain == "" && len(e.Carried) == 0 {
		return nil // a service message: somebody came, a title changed
	}
	if !edited && !e.FromBot && !m.AutoForward {
		done, err := p.addressed(ctx, &e, m)
		if done || err != nil {
			return err
		}
	}
	return p.hand(ctx, e)
}

// migrated tells the core that a group became a supergroup with another id.
func (p *Platform) migrated(ctx context.Context, from, to int64) error {
	p.forgetAdmins(from)
	p.mu.Lock()
	p.movedTo[from] = to
	p.mu.Unlock()
	p.log.Info("a group became a supergroup", "chat", place{chat: from}.id(), "now", place{chat: to}.id())
	e := bot.Event{
		ID: fmt.Sprintf("%s:migrated:%d:%d", name, from, to), Kind: bot.ChatMigrated, At: time.Now(),
		Chat: community.Chat{ID: place{chat: from}.id(), Community: communityID(from)}, MovedTo: place{chat: to}.id(),
	}
	return p.hand(ctx, e)
}

// moved takes what became of the bot in a chat.
func (p *Platform) moved(ctx context.Context, update int64, c rawChange) error {
	p.forgetAdmins(c.Chat.ID)
	was, is := c.Old.there(), c.New.there()
	if c.Chat.private() || was == is {
		return nil // blocked or unblocked, or only other rights
	}
	e := bot.Event{
		ID: fmt.Sprintf("%s:at:%d:%d", name, c.Chat.ID, update), Kind: bot.Joined, At: time.Unix(c.Date, 0),
		Chat: p.chatOf(c.Chat, place{chat: c.Chat.ID}), User: userID(c.From.ID), FromBot: true,
	}
	if !is {
		e.Kind = bot.Left
	}
	p.log.Info("the bot's place in a chat changed", "chat", e.Chat.ID, "there", is)
	if is && c.Chat.Type != "channel" {
		p.beside(func(ctx context.Context) { p.welcome(ctx, c) })
	}
	return p.hand(ctx, e)
}

func (p *Platform) reacted(ctx context.Context, update int64, r rawReaction) error {
	for _, t := range r.New {
		if t.Type != "emoji" || t.Emoji == "" || slices.Contains(r.Old, t) {
			continue // a group's own emoji means nothing to the core, and what stood there was told
		}
		e := bot.Event{
			ID: fmt.Sprintf("%s:r:%d:%s", name, update, t.Emoji), Kind: bot.Reaction, At: time.Now(), Chat: p.chatOf(r.Chat, place{chat: r.Chat.ID}),
			Message: messageID(r.ID), Text: bot.Plain(t.Emoji),
		}
		p.author(&e, r.User, r.Actor, r.Chat)
		if err := p.hand(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
