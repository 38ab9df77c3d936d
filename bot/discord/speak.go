package discord

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
)

// Webhooks keeps through which webhook the bot speaks in a channel. *storage.Webhooks implements it. Whoever has a token can speak there, so
// it is kept sealed.
type Webhooks interface {
	Webhook(ctx context.Context, chat community.ChatID) (id, token string, ok bool, err error)
	SaveWebhook(ctx context.Context, chat community.ChatID, id, token string) error
	DropWebhook(ctx context.Context, chat community.ChatID) error
}

const (
	webhookName = "Potluck" // of the webhook itself; each message has its author's
	maxAuthor   = 80        // UTF-16 units
	authorRoom  = 100       // left in the first part for the line that names the author
)

// webhook is an open one.
type webhook struct{ id, token string }

func (w webhook) path(below string) string { return "/webhooks/" + w.id + "/" + w.token + below }

// spoken is the body of what a webhook posts.
type spoken struct {
	message
	Username string `json:"username"`
	Avatar   string `json:"avatar_url,omitempty"`
}

// speakers makes sure that one call at a time looks for, or makes, the webhook of a channel.
type speakers struct {
	mu      sync.Mutex
	locks   map[snowflake]*sync.Mutex
	refused map[snowflake]bool // where the bot wanted to speak under another name and may make no webhook
}

// note remembers whether a webhook was refused for want of the right.
func (s *speakers) note(channel snowflake, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := codeOf(err); code != codeMissingPermissions && code != codeMissingAccess {
		delete(s.refused, channel)
		return
	}
	if s.refused == nil {
		s.refused = make(map[snowflake]bool)
	}
	s.refused[channel] = true
}

func (s *speakers) wasRefused(channel snowflake) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[channel]
}

func (s *speakers) lock(channel snowflake) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks == nil {
		s.locks = make(map[snowflake]*sync.Mutex)
	}
	if s.locks[channel] == nil {
		s.locks[channel] = new(sync.Mutex)
	}
	return s.locks[channel]
}

// Speak posts m under the author's name through a webhook of the channel, which it finds or makes. Without the right to, it posts as the bot
// with a line that names the author, and tells the chat once a day what is missing.
func (p *Platform) Speak(ctx context.Context, m bot.Outgoing, as bot.Author) ([]community.MessageID, error) {
	channel, err := localChannel(m.Chat)
	if err != nil {
		return nil, fmt.Errorf("speak on Discord: %w", err)
	}
	all, err := parts(m, 0, defaultFileLimit)
	if err != nil {
		return nil, fmt.Errorf("speak on Discord: %w", err)
	}
	home, thread := p.webhookPlace(channel)
	var ids []community.MessageID
	begun := time.Now().Add(-time.Second)
	for i := 0; i < len(all); {
		hook, err := p.webhook(ctx, home)
		p.speakers.note(home, err)
		if err != nil {
			return p.speakAsBot(ctx, m, as, ids, err)
		}
		id, err := p.speak(ctx, hook, thread, channel, all[i], as, begun)
		switch {
		case codeOf(err) == codeUnknownWebhook || codeOf(err) == codeInvalidToken: // an admin deleted it
			if err := p.dropWebhook(ctx, home); err != nil {
				return nil, fmt.Errorf("speak on Discord: %w", err)
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("speak on Discord: %w", explain(err))
		}
		ids = append(ids, id)
		i++
	}
	return ids, nil
}

// webhookPlace returns where the webhook of a chat stands, and the thread to name: a thread speaks through that of its channel.
func (p *Platform) webhookPlace(channel string) (home snowflake, thread url.Values) {
	n, _ := parseDigits([]byte(channel)) // localChannel has looked
	home = snowflake(n)
	if parent := p.places.parent(p.places.guildOf(channel), home); parent != 0 {
		return parent, url.Values{"thread_id": {channel}}
	}
	return home, url.Values{}
}

// speak posts one part. When the answer is lost, the message is looked for before it is posted again.
func (p *Platform) speak(ctx context.Context, hook webhook, thread url.Values, channel string, one message, as bot.Author, begun time.Time) (community.MessageID, error) {
	query := url.Values{"wait": {"true"}}
	if id := thread.Get("thread_id"); id != "" {
		query.Set("thread_id", id)
	}
	body := spoken{message: one, Username: authorName(as.Name), Avatar: avatar(as.Avatar)}
	r := request{method: "POST", path: hook.path(""), query: query, body: body, files: one.files, once: true}
	var written rawMessage
	err := p.api.do(ctx, r, &written)
	if err != nil && statusOf(err) == 0 || statusOf(err) >= 500 {
		if id := p.spokenSince(ctx, channel, hook, one.Content, begun); id != "" {
			return id, nil
		}
		err = p.api.do(ctx, r, &written)
	}
	if err != nil {
		return "", err
	}
	return community.MessageID(written.ID.String()), nil
}

// spokenSince finds a message of a webhook with this text that is newer than begun.
func (p *Platform) spokenSince(ctx context.Context, channel string, hook webhook, content string, begun time.Time) community.MessageID {
	var list []rawMessage
	r := request{method: "GET", path: "/channels/" + channel + "/messages", query: url.Values{"limit": {"20"}}}
	if err := p.api.do(ctx, r, &list); err != nil {
		return ""
	}
	for _, m := range list {
		if m.WebhookID.String() == hook.id && m.Content == content && snowflakeTime(m.ID.String()).After(begun) {
			return community.MessageID(m.ID.String())
		}
	}
	return ""
}

// webhook returns that of a channel: the one that is kept, else one that this application made there before, else a new one.
func (p *Platform) webhook(ctx context.Context, channel snowflake) (webhook, error) {
	if p.config.Webhooks == nil {
		return webhook{}, errNoWebhooks
	}
	lock := p.speakers.lock(channel)
	lock.Lock()
	defer lock.Unlock()
	chat := chatID(channel.String())
	id, token, ok, err := p.config.Webhooks.Webhook(ctx, chat)
	if err != nil || ok {
		return webhook{id, token}, err
	}
	path := "/channels/" + channel.String() + "/webhooks"
	type entry struct {
		ID          string `json:"id"`
		Token       string `json:"token"`
		Application string `json:"application_id"`
	}
	var there []entry
	if err := p.api.do(ctx, request{method: "GET", path: path}, &there); err != nil {
		return webhook{}, err
	}
	app, _ := p.ids()
	own := slices.IndexFunc(there, func(e entry) bool { return e.Application == app && e.Token != "" })
	var hook webhook
	if own >= 0 {
		hook = webhook{there[own].ID, there[own].Token}
	} else {
		var made entry
		r := request{method: "POST", path: path, body: map[string]any{"name": webhookName}, once: true}
		if err := p.api.do(ctx, r, &made); err != nil {
			return webhook{}, err
		}
		hook = webhook{made.ID, made.Token}
	}
	return hook, p.config.Webhooks.SaveWebhook(ctx, chat, hook.id, hook.token)
}

var errNoWebhooks = errors.New("no store for webhooks")

func (p *Platform) dropWebhook(ctx context.Context, channel snowflake) error {
	lock := p.speakers.lock(channel)
	lock.Lock()
	defer lock.Unlock()
	return p.config.Webhooks.DropWebhook(ctx, chatID(channel.String()))
}

// speakAsBot posts as the bot what could not be said under another name; ids are the parts that could.
func (p *Platform) speakAsBot(ctx context.Context, m bot.Outgoing, as bot.Author, ids []community.MessageID, cause error) ([]community.MessageID, error) {
	switch codeOf(cause) {
	case codeMissingPermissions, codeMissingAccess, codeTooManyWebhooks:
	default:
		if !errors.Is(cause, errNoWebhooks) {
			return nil, fmt.Errorf("speak on Discord: %w", explain(cause))
		}
	}
	for _, id := range ids { // half of it under another name would be puzzling
		if err := p.DeleteSpoken(ctx, m.Chat, []community.MessageID{id}); err != nil {
			return nil, err
		}
	}
	p.tellNoWebhook(ctx, m.Chat, cause)
	m.Text = withAuthor(m.Text, as)
	return p.Send(ctx, m)
}

func withAuthor(t bot.Text, as bot.Author) bot.Text {
	return bot.Join(bot.Plain("\n"), bot.Plain(bot.Cut(authorName(as.Name), authorRoom)).In(bot.Bold, ""), t)
}

// tellNoWebhook says in the chat, and in the log, what is missing; once per chat and day.
func (p *Platform) tellNoWebhook(ctx context.Context, chat community.ChatID, cause error) {
	if errors.Is(cause, errNoWebhooks) || !p.told.Due("webhook "+string(chat), tellEvery) {
		return
	}
	p.log.Warn("the bot cannot speak under other names here: it needs Manage Webhooks, and a channel has at most 15 webhooks", "chat", chat, "err", cause)
	key := "discord.no_webhook"
	if codeOf(cause) == codeTooManyWebhooks {
		key = "discord.many_webhooks"
	}
	notice := p.config.Texts.Say(p.config.Texts.Match())(key)
	if _, err := p.Send(ctx, bot.Outgoing{Chat: chat, Text: notice, Nonce: "nohook" + time.Now().Format("060102")}); err != nil {
		p.log.Debug("tell that a right is missing", "chat", chat, "err", err)
	}
}

// EditSpoken changes what Speak posted: by the webhook, or by the bot where it posted itself.
func (p *Platform) EditSpoken(ctx context.Context, ids []community.MessageID, m bot.Outgoing, as bot.Author) ([]community.MessageID, error) {
	channel, err := localChannel(m.Chat)
	if err != nil || len(ids) == 0 {
		return nil, errors.Join(fault.New(fault.Gone), err)
	}
	home, thread := p.webhookPlace(channel)
	hook, ok, err := p.known(ctx, home)
	if err != nil {
		return nil, fmt.Errorf("edit on Discord: %w", err)
	}
	all, err := parts(m, 0, defaultFileLimit)
	if err != nil {
		return nil, fmt.Errorf("edit on Discord: %w", err)
	}
	var now []community.MessageID
	for i, one := range all {
		if i >= len(ids) {
			one.Content = strings.TrimSpace(one.Content)
			id, err := p.speak(ctx, hook, thread, channel, one, as, time.Now().Add(-time.Second))
			if err != nil {
				return nil, fmt.Errorf("edit on Discord: %w", explain(err))
			}
			now = append(now, id)
			continue
		}
		if ok {
			r := request{method: "PATCH", path: hook.path("/messages/" + string(ids[i])), query: thread, body: one, files: one.files}
			err = p.api.do(ctx, r, nil)
		}
		if !ok || tokenGone(err) || codeOf(err) == codeUnknownMessage && i == 0 {
			m.Text = withAuthor(m.Text, as)
			return p.Edit(ctx, ids, m) // the bot's own, or gone
		}
		if err != nil {
			return nil, fmt.Errorf("edit on Discord: %w", explain(err))
		}
		now = append(now, ids[i])
	}
	return now, p.DeleteSpoken(ctx, m.Chat, ids[min(len(all), len(ids)):])
}

// known returns the webhook that is kept for a channel, and makes none.
func (p *Platform) known(ctx context.Context, channel snowflake) (webhook, bool, error) {
	if p.config.Webhooks == nil {
		return webhook{}, false, nil
	}
	id, token, ok, err := p.config.Webhooks.Webhook(ctx, chatID(channel.String()))
	return webhook{id, token}, ok, err
}

// DeleteSpoken takes away what Speak posted. What is gone already is no error.
func (p *Platform) DeleteSpoken(ctx context.Context, chat community.ChatID, ids []community.MessageID) error {
	channel, err := localChannel(chat)
	if err != nil {
		return fmt.Errorf("delete on Discord: %w", err)
	}
	home, thread := p.webhookPlace(channel)
	hook, ok, err := p.known(ctx, home)
	if err != nil {
		return fmt.Errorf("delete on Discord: %w", err)
	}
	for _, id := range ids {
		gone := false
		if ok {
			err := p.api.do(ctx, request{method: "DELETE", path: hook.path("/messages/" + string(id)), query: thread}, nil)
			gone = err == nil
			if err != nil && codeOf(err) != codeUnknownMessage && !tokenGone(err) {
				return fmt.Errorf("delete on Discord: %w", explain(err))
			}
		}
		if !gone {
			if err := p.Delete(ctx, chat, []community.MessageID{id}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Discord takes no webhook names with these words in them.
var forbiddenNames = regexp.MustCompile(`(?i)c(lyde)|d(iscord)`)

// authorName makes a name one that Discord takes: 1 to 80 characters, one line, without its own names in it.
func authorName(name string) string {
	name = strings.ToValidUTF8(name, "")
	name = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return ' '
		}
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	// A dot behind the first letter: to be read, and no longer the word.
	name = forbiddenNames.ReplaceAllStringFunc(name, func(s string) string { return s[:1] + "·" + s[1:] })
	if strings.TrimFunc(name, func(c rune) bool { return !unicode.IsGraphic(c) || unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) }) == "" {
		return "…"
	}
	return bot.Cut(name, maxAuthor)
}

// avatar is an address that Discord takes, or none.
func avatar(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || len(s) > 2048 {
		return ""
	}
	return s
}
