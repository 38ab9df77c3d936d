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

// Everything that comes from Telegram is decoded here, into as little as is needed: what Telegram adds some day is not looked at.

type rawUpdate struct {
	ID           int64        `json:"update_id"`
	Message      *rawMessage  `json:"message"`
	Edited       *rawMessage  `json:"edited_message"`
	Post         *rawMessage  `json:"channel_post"`
	EditedPost   *rawMessage  `json:"edited_channel_post"`
	Callback     *rawCallback `json:"callback_query"`
	Mine         *rawChange   `json:"my_chat_member"`
	Theirs       *rawChange   `json:"chat_member"`
	Reacted      *rawReaction `json:"message_reaction"`
	Inline       *rawInline   `json:"inline_query"`
	InlineChosen *rawChosen   `json:"chosen_inline_result"`
}

// message is the message of an update, if it is about one.
func (u rawUpdate) message() (m *rawMessage, edited bool) {
	if m = cmp.Or(u.Message, u.Post); m != nil {
		return m, false
	}
	m = cmp.Or(u.Edited, u.EditedPost)
	return m, m != nil
}

type rawUser struct {
	ID       int64  `json:"id"`
	Bot      bool   `json:"is_bot"`
	First    string `json:"first_name"`
	Last     string `json:"last_name"`
	Username string `json:"username"`
	Language string `json:"language_code"`
}

func (u rawUser) shown() string {
	return cmp.Or(strings.TrimSpace(u.First+" "+u.Last), u.Username, strconv.FormatInt(u.ID, 10))
}

type rawChat struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Title    string `json:"title"`
	Username string `json:"username"`
	First    string `json:"first_name"`
	Last     string `json:"last_name"`
}

func (c rawChat) private() bool { return c.Type == "private" }

func (c rawChat) shown() string {
	return cmp.Or(c.Title, strings.TrimSpace(c.First+" "+c.Last), c.Username)
}

type rawEntity struct {
	Type     string  `json:"type"`
	Offset   int     `json:"offset"`
	Length   int     `json:"length"`
	URL      string  `json:"url"`
	Language string  `json:"language"`
	Emoji    string  `json:"custom_emoji_id"`
	UnixTime int64   `json:"unix_time"`
	User     rawUser `json:"user"`
}

type rawFile struct {
	Name string `json:"file_name"`
	Type string `json:"mime_type"`
	Size int    `json:"file_size"`
}

type rawMessage struct {
	ID          int         `json:"message_id"`
	Thread      int         `json:"message_thread_id"`
	From        *rawUser    `json:"from"`
	SenderChat  *rawChat    `json:"sender_chat"`
	Date        int64       `json:"date"`
	EditDate    int64       `json:"edit_date"`
	Chat        rawChat     `json:"chat"`
	InTopic     bool        `json:"is_topic_message"`
	AutoForward bool        `json:"is_automatic_forward"`
	ReplyTo     *rawMessage `json:"reply_to_message"`
	Quote       *struct {
		Text     string      `json:"text"`
		Entities []rawEntity `json:"entities"`
	} `json:"quote"`
	Album           string      `json:"media_group_id"`
	Text            string      `json:"text"`
	Entities        []rawEntity `json:"entities"`
	Caption         string      `json:"caption"`
	CaptionEntities []rawEntity `json:"caption_entities"`

	Photo []struct {
		Size int `json:"file_size"`
	} `json:"photo"`
	Document  *rawFile `json:"document"`
	Video     *rawFile `json:"video"`
	Animation *rawFile `json:"animation"`
	Audio     *rawFile `json:"audio"`
	Voice     *rawFile `json:"voice"`
	VideoNote *rawFile `json:"video_note"`
	PaidMedia *struct {
		Stars int `json:"star_count"`
	} `json:"paid_media"`
	Sticker *struct {
		Emoji string `json:"emoji"`
		Set   string `json:"set_name"`
	} `json:"sticker"`
	Poll *struct {
		Question string `json:"question"`
		Options  []struct {
			Text string `json:"text"`
		} `json:"options"`
	} `json:"poll"`
	Location *rawLocation `json:"location"`
	Venue    *struct {
		Location rawLocation `json:"location"`
		Title    string      `json:"title"`
		Address  string      `json:"address"`
	} `json:"venue"`
	Contact *struct {
		First string `json:"first_name"`
		Last  string `json:"last_name"`
	} `json:"contact"`
	Dice *struct {
		Emoji string `json:"emoji"`
		Value int    `json:"value"`
	} `json:"dice"`
	Origin *struct {
		User *rawUser `json:"sender_user"`
		Name string   `json:"sender_user_name"`
		Chat *rawChat `json:"sender_chat"`
		From *rawChat `json:"chat"`
	} `json:"forward_origin"`

	MovedTo      int64     `json:"migrate_to_chat_id"`
	MovedFrom    int64     `json:"migrate_from_chat_id"`
	TopicCreated *struct{} `json:"forum_topic_created"`
}

type rawLocation struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// content is the text or caption.
func (m *rawMessage) content() bot.Text {
	if m.Text != "" {
		return readText(m.Text, m.Entities)
	}
	return readText(m.Caption, m.CaptionEntities)
}

func (m *rawMessage) place() place {
	l := place{chat: m.Chat.ID}
	if m.InTopic {
		l.topic = m.Thread
	}
	return l
}

// replied is the message that this one answers. In a topic every message "answers" the one that opened it: that is none.
func (m *rawMessage) replied() *rawMessage {
	if r := m.ReplyTo; r != nil && r.ID != 0 && r.TopicCreated == nil && (!m.InTopic || r.ID != m.Thread) {
		return r
	}
	return nil
}

type rawCallback struct {
	ID      string      `json:"id"`
	From    rawUser     `json:"from"`
	Message *rawMessage `json:"message"`
	Inline  string      `json:"inline_message_id"`
	Data    string      `json:"data"`
}

type rawChange struct {
	Chat rawChat   `json:"chat"`
	From rawUser   `json:"from"`
	Date int64     `json:"date"`
	Old  rawStatus `json:"old_chat_member"`
	New  rawStatus `json:"new_chat_member"`
}

type rawStatus struct {
	Status string  `json:"status"`
	User   rawUser `json:"user"`
	Member bool    `json:"is_member"` // of restricted ones
}

func (s rawStatus) there() bool {
	switch s.Status {
	case "creator", "administrator", "member":
		return true
	case "restricted":
		return s.Member
	}
	return false
}

type rawReaction struct {
	Chat  rawChat           `json:"chat"`
	ID    int               `json:"message_id"`
	User  *rawUser          `json:"user"`
	Actor *rawChat          `json:"actor_chat"`
	Old   []rawReactionType `json:"old_reaction"`
	New   []rawReactionType `json:"new_reaction"`
}

type rawReactionType struct {
	Type  string `json:"type"`
	Emoji string `json:"emoji"`
}

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

// carried lists what a message brings besides its text.
func carried(m *rawMessage) (all []bot.Carried) {
	file := func(kind bot.CarriedKind, f *rawFile, called, media string) {
		if f != nil {
			all = append(all, bot.Carried{Kind: kind, Name: cmp.Or(f.Name, called), Type: cmp.Or(f.Type, media), Size: f.Size})
		}
	}
	if n := len(m.Photo); n > 0 {
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: "photo.jpg", Type: "image/jpeg", Size: m.Photo[n-1].Size})
	}
	if m.Animation == nil { // an animation comes as a document, too
		file(bot.CarriedFile, m.Document, "file", "")
	}
	file(bot.CarriedFile, m.Video, "video.mp4", "video/mp4")
	file(bot.CarriedFile, m.Animation, "animation.mp4", "video/mp4")
	file(bot.CarriedFile, m.Audio, "audio", "audio/mpeg")
	file(bot.CarriedVoice, m.Voice, "voice.ogg", "audio/ogg")
	file(bot.CarriedVoice, m.VideoNote, "video-note.mp4", "video/mp4")
	if m.PaidMedia != nil {
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: fmt.Sprintf("⭐ %d", m.PaidMedia.Stars)})
	}
	if s := m.Sticker; s != nil {
		all = append(all, bot.Carried{Kind: bot.CarriedSticker, Name: strings.TrimSpace(s.Emoji + " " + s.Set)})
	}
	if m.Poll != nil {
		var lines []string
		for _, o := range m.Poll.Options {
			lines = append(lines, "• "+o.Text)
		}
		all = append(all, bot.Carried{Kind: bot.CarriedPoll, Name: m.Poll.Question, Text: bot.Plain(strings.Join(lines, "\n"))})
	}
	switch {
	case m.Venue != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedPlace, Name: m.Venue.Title, Text: bot.Plain(m.Venue.Address), URL: m.Venue.Location.address()})
	case m.Location != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedPlace, URL: m.Location.address()})
	case m.Contact != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: strings.TrimSpace(m.Contact.First+" "+m.Contact.Last) + ".vcf", Type: "text/vcard"})
	case m.Dice != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedSticker, Name: fmt.Sprintf("%s %d", m.Dice.Emoji, m.Dice.Value)})
	}
	if o := m.Origin; o != nil {
		from := o.Name
		switch {
		case o.User != nil:
			from = o.User.shown()
		case o.Chat != nil:
			from = o.Chat.shown()
		case o.From != nil:
			from = o.From.shown()
		}
		all = append(all, bot.Carried{Kind: bot.CarriedForward, Name: from})
	}
	return all
}

// address is where a place can be looked at.
func (l rawLocation) address() string {
	return fmt.Sprintf("https://www.openstreetmap.org/?mlat=%.5f&mlon=%.5f", l.Latitude, l.Longitude)
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

// adminList is who administers a group, as far as was asked.
type adminList struct {
	ids map[int64]bool
	at  time.Time
}

const (
	adminsFor = 5 * time.Minute
	maxAdmins = 5000 // groups whose administrators are remembered
)

// roleOf asks, at most every five minutes, who administers a group. When Telegram does not tell, nobody is an administrator.
func (p *Platform) roleOf(ctx context.Context, chat rawChat, user int64) community.Role {
	if chat.private() {
		return community.Everyone
	}
	p.mu.Lock()
	list, ok := p.admins[chat.ID]
	p.mu.Unlock()
	if !ok || time.Since(list.at) > adminsFor {
		var all []rawStatus
		list = adminList{ids: make(map[int64]bool), at: time.Now()}
		if err := p.api.raw(ctx, "getChatAdministrators", map[string]any{"chat_id": chat.ID}, &all, callTime); err != nil {
			p.log.Debug("ask for administrators", "chat", chat.ID, "err", err)
			list.at = time.Now().Add(30*time.Second - adminsFor)
		}
		for _, s := range all {
			list.ids[s.User.ID] = true
		}
		p.mu.Lock()
		if len(p.admins) >= maxAdmins {
			clear(p.admins)
		}
		p.admins[chat.ID] = list
		p.mu.Unlock()
	}
	if list.ids[user] {
		return community.Admin
	}
	return community.Everyone
}

func (p *Platform) forgetAdmins(chat int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.admins, chat)
}
