package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"potluck/storage"
	"potluck/workers/protocol"
)

// check says what is wrong and how to mend it. It looks at everything, stops at nothing, and changes nothing.
func check(ctx context.Context, c call) error {
	r := report{out: c.out}
	r.say("ok", "the configuration can be read")
	r.folder(ctx, c)
	l, err := listen(c.config.HTTP.Addr)
	if err == nil {
		err = l.Close()
		r.say("ok", "the address %s is free", c.config.HTTP.Addr)
	}
	r.failed(err)
	if _, err := loadRates(c.config.Credits.RatesFile); err != nil {
		r.failed(err)
	}
	r.publicURL(c.config.HTTP.PublicURL)
	r.discord(ctx, c)
	r.telegram(ctx, c)
	if !c.config.Page.Enabled && !c.config.Discord.enabled() && !c.config.Telegram.enabled() {
		r.say("todo", "page.enabled is false, and discord.token and telegram.token are empty: nobody can talk to the bot")
	}
	if r.wrong > 0 {
		return fmt.Errorf("%d of these must be mended before potluck serve can start", r.wrong)
	}
	return nil
}

// report prints what was found, a line each, and counts what is wrong.
type report struct {
	out   io.Writer
	wrong int
}

func (r *report) say(state, format string, args ...any) {
	fmt.Fprintf(r.out, "%-5s %s\n", state, fmt.Sprintf(format, args...))
}

func (r *report) failed(err error) {
	if err != nil {
		r.wrong++
		r.say("WRONG", "%s", err)
	}
}

// folder looks at the data folder, its keys and its database.
func (r *report) folder(ctx context.Context, c call) {
	dir := c.config.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.say("note", "the data folder %s does not exist yet: the first start makes it", dir)
		return
	case err != nil:
		r.failed(fmt.Errorf("the data folder %s cannot be read (%w): mend its permissions, or choose another with data_dir", dir, reason(err)))
		return
	case !info.IsDir():
		r.failed(fmt.Errorf("the data folder %s is a file: choose another with data_dir", dir))
		return
	}
	if err := writable(dir); err != nil {
		r.failed(err)
		return
	}
	r.say("ok", "the data folder %s can be written", dir)
	for _, name := range []string{"server.key", "secret.key"} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			r.say("note", "%s does not exist yet: the first start makes it. With an old database, put it back from your backup first", filepath.Join(dir, name))
			continue
		}
		key, err := loadKey(dir, name)
		r.failed(err)
		if err == nil && len(key) == ed25519.SeedSize {
			r.say("ok", "%s is sound", name)
		}
	}
	path := filepath.Join(dir, "potluck.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		r.say("note", "there is no database yet: the first start makes it")
		return
	}
	db, err := storage.OpenBeside(ctx, storage.Config{Path: path, Log: c.log})
	if err != nil {
		r.failed(err)
		return
	}
	defer db.Close()
	linked, err := (&storage.Jobs{DB: db}).Workers(ctx, 0)
	r.failed(err)
	if err == nil {
		r.say("ok", "the database can be read; %d linked workers", len(linked))
	}
}

func (r *report) publicURL(url string) {
	switch {
	case url == "":
		r.say("todo", "http.public_url is empty: members cannot link workers. docs/publishing.md shows how to get an address")
	case protocol.Loopback(url):
		r.say("todo", "http.public_url is an address that only this machine reaches: members cannot link workers. See docs/publishing.md")
	case protocol.CheckServer(url) != nil:
		r.say("todo", "http.public_url is public and has no TLS: workers refuse it. See docs/publishing.md")
	case strings.HasPrefix(url, "http://"):
		r.say("note", "http.public_url has no TLS: fine inside a home network or VPN only")
	default:
		r.say("ok", "workers and visitors reach it at %s", url)
	}
}
