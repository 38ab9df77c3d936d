package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"potluck/bot"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
)

// running is the house as the commands see it.
type running struct {
	*house
	began     time.Time
	downloads *downloads
	platforms map[string]bot.Platform
	pictures  string // folder
}

var _ commands.Running = (*running)(nil)

func (r *running) Limits() bot.Limits { return r.knobs.limits() }

func (r *running) Settings() []commands.Setting { return r.knobs.settings() }

func (r *running) Set(ctx context.Context, name, value string, by community.Member) error {
	return r.knobs.set(ctx, name, value, by.ID)
}

func (r *running) Health(ctx context.Context) (commands.Health, error) {
	asked := time.Now()
	if err := r.db.Ping(ctx); err != nil {
		return commands.Health{}, err
	}
	h := commands.Health{Version: version, Started: r.began, Database: time.Since(asked), Goroutines: runtime.NumGoroutine()}
	var err error
	if h.Loop, err = r.pool.Lag(ctx); err != nil {
		return h, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.Memory = int64(m.Sys - m.HeapReleased)
	if info, err := os.Stat(r.db.Path()); err == nil {
		h.Size = info.Size()
	}
	return h, nil
}

func (r *running) Download(_ context.Context, member community.MemberID, language string) (string, time.Time, error) {
	token, until := r.downloads.make(member, language, time.Now())
	return r.publicURL() + downloadPath + token, until, nil
}

// Erase stops what a member asked for, takes the messages off the page, and erases the rest. Each step may be done again.
func (r *running) Erase(ctx context.Context, member community.MemberID, shown []community.UserID, heir community.CommunityID, keep []community.MessageID) (ledger.Amount, error) {
	if heir == "" {
		heir = "page:" + communityName
	}
	open, err := r.people.OpenRequests(ctx, member)
	if err != nil {
		return 0, err
	}
	for _, request := range open {
		if err := r.pool.CancelRequest(ctx, request); err != nil {
			return 0, err
		}
	}
	if err := r.settled(ctx, member); err != nil {
		return 0, err
	}
	if err := r.takeDown(ctx, member, keep); err != nil {
		return 0, err
	}
	f, err := r.people.Forget(ctx, member, shown, heir, time.Now())
	if err != nil {
		return 0, err
	}
	for _, b := range f.Blobs {
		if err := os.Remove(b); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.log.Warn("a picture of somebody who is forgotten was not deleted", "err", err)
		}
	}
	r.downloads.forget(member)
	left, err := r.pool.Workers(ctx, member)
	for _, w := range left {
		err = errors.Join(err, r.pool.Refresh(ctx, w.ID))
	}
	if err != nil {
		r.log.Warn("machines of somebody who is forgotten are shown as before until they connect again", "err", err)
	}
	return f.Given, nil
}

// takeDown deletes what a member wrote on the page and what was answered to it, before the eyes of whoever looks at it, and the pictures in it.
func (r *running) takeDown(ctx context.Context, member community.MemberID, keep []community.MessageID) error {
	trace, err := r.people.Trace(ctx, member)
	if err != nil {
		return err
	}
	if page := r.platforms["page"]; page != nil {
		for chat, ids := range trace.Messages {
			if err := page.Delete(ctx, community.ChatID("page:"+chat), without(ids, keep)); err != nil && !fault.Has(err, fault.Gone) {
				r.log.Warn("a message of somebody who is forgotten stays on open pages until they are loaded anew", "err", err)
			}
		}
	}
	for _, name := range trace.Pictures {
		if err := os.Remove(filepath.Join(r.pictures, filepath.Base(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// settled waits until what was stopped has said so, lest its last words come after everything else is gone. One request stays open: the one that
// asks to be forgotten.
func (r *running) settled(ctx context.Context, member community.MemberID) error {
	patience := time.NewTimer(settleTime)
	defer patience.Stop()
	look := time.NewTicker(settleTime / 50)
	defer look.Stop()
	for {
		if n, err := r.people.Undelivered(ctx, member); err != nil || n <= 1 {
			return err
		}
		select {
		case <-look.C:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settleTime is how long settled waits at most.
const settleTime = 5 * time.Second

func without(ids, keep []community.MessageID) []community.MessageID {
	var out []community.MessageID
	for _, id := range ids {
		kept := false
		for _, k := range keep {
			kept = kept || k == id
		}
		if !kept {
			out = append(out, id)
		}
	}
	return out
}

// Places are the page's chats, and elsewhere those that an admin chose.
func (r *running) Places(ctx context.Context) ([]community.ChatID, error) {
	var out []community.ChatID
	if r.platforms["page"] != nil {
		for _, name := range r.config.Page.Chats {
			out = append(out, community.ChatID("page:"+name))
		}
	}
	chosen, err := r.people.SettingOf(ctx, commands.NewsSetting)
	for _, c := range chosen {
		if id := community.ChatID(c); r.platforms[community.Platform(id)] != nil && community.Platform(id) != "page" {
			out = append(out, id)
		}
	}
	return out, err
}

func (r *running) Announce(ctx context.Context, chat community.ChatID, text bot.Text, nonce string) error {
	p := r.platforms[community.Platform(chat)]
	if p == nil {
		return fmt.Errorf("no platform for %s", community.Platform(chat))
	}
	_, err := p.Send(ctx, bot.Outgoing{Chat: chat, Text: text, Final: true, Nonce: nonce})
	return err
}

// creditsOf shows the ledger in the way that commands ask for it.
type creditsOf struct{ *storage.Credits }

func (c creditsOf) Bill(ctx context.Context, job int64) (commands.Bill, bool, error) {
	b, ok, err := c.Credits.Bill(ctx, job)
	return commands.Bill(b), ok, err
}
