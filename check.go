package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"potluck/bot"
	"potluck/storage"
	"potluck/workers/protocol"
)

// check says what is wrong and how to mend it. It looks at everything, stops at nothing, and changes nothing: what it writes to try the disk is
// gone when it ends.
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
	r.proxies(c.config.HTTP)
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

// found says what a platform's own check found.
func (r *report) found(findings []bot.Finding) {
	for _, f := range findings {
		if f.State == bot.Broken {
			r.failed(errors.New(f.Text))
			continue
		}
		r.say(string(f.State), "%s", f.Text)
	}
}

// folder looks at the data folder, its keys and its database.
func (r *report) folder(ctx context.Context, c call) {
	dir := c.config.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := roomy(above(dir)); err != nil {
			r.failed(fmt.Errorf("the data folder %s cannot be made: %w", dir, err))
			return
		}
		r.say("note", "the data folder %s does not exist yet: the first start makes it", dir)
		return
	case err != nil:
		r.failed(fmt.Errorf("the data folder %s cannot be read (%w): mend its permissions, or choose another with data_dir", dir, reason(err)))
		return
	case !info.IsDir():
		r.failed(fmt.Errorf("the data folder %s is a file: choose another with data_dir", dir))
		return
	}
	if err := roomy(dir); err != nil {
		r.failed(err)
	} else {
		r.say("ok", "the data folder %s can be written and has room", dir)
	}
	there, err := databaseIn(dir)
	r.failed(err)
	secret, seed := r.keys(dir, there || err != nil)
	switch {
	case there:
		r.database(ctx, c, secret, seed)
	case err == nil:
		r.say("note", "there is no database yet: the first start makes it")
	}
}

// above is the nearest folder that exists around a path.
func above(path string) string {
	for {
		up := filepath.Dir(path)
		if _, err := os.Stat(up); err == nil || up == path {
			return up
		}
		path = up
	}
}

// keys looks at both keys and returns secret.key and the seed in server.key, nil if they cannot be used. Beside a database none may be missing.
func (r *report) keys(dir string, database bool) (secret, seed []byte) {
	for _, name := range keyFiles {
		key, err := readKey(dir, name)
		switch missing := errors.Is(err, fs.ErrNotExist); {
		case missing && database:
			r.failed(missingKeys(dir, name))
		case missing:
			r.say("note", "%s does not exist yet: the first start makes it. With an old database, put it back from your backup first", filepath.Join(dir, name))
		case err != nil:
			r.failed(err)
		case name == "secret.key":
			secret = key
			r.say("ok", "%s is sound", name)
		default:
			seed = key
			r.say("ok", "%s is sound", name)
		}
	}
	return secret, seed
}

// lookFor bounds how long check reads a database for damage; potluck audit reads it to the end.
const lookFor = 20 * time.Second

// database looks whether the database opens with its keys and has no damage. secret and seed may be nil.
func (r *report) database(ctx context.Context, c call, secret, seed []byte) {
	db, err := storage.OpenBeside(ctx, databaseOf(c.config.DataDir, secret, seed, c.log))
	if errors.Is(err, storage.ErrOlder) {
		r.say("note", "the database was written by an older Potluck: the next start brings it up to date. Make a backup with that older program first")
		return
	}
	if errors.Is(err, storage.ErrUnfinished) {
		r.say("note", "the first start was cut off before the database was made: the next start goes on")
		return
	}
	if err != nil {
		r.failed(err)
		return
	}
	defer db.Close()
	bounded, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	switch err := db.Sound(bounded); {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		r.say("note", "no damage was found in the database in %v, and not all of it was read: potluck audit reads it to the end", lookFor)
	case err != nil:
		r.failed(err)
		return
	default:
		r.say("ok", "the database is undamaged")
	}
	linked, err := (&storage.Jobs{DB: db}).Workers(ctx, 0)
	r.failed(err)
	if err == nil {
		r.say("ok", "the database can be read; %d linked workers", len(linked))
	}
}

// roomBytes is what a start and the first minutes need on the disk.
const roomBytes = 1 << 20

// roomy writes a file of that size to the disk and takes it away again.
func roomy(dir string) error {
	if err := writable(dir); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		_, err = probe.Write(make([]byte, roomBytes))
		if err == nil {
			err = probe.Sync() // some file systems find out only now
		}
		err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		return fmt.Errorf("the disk of the data folder %s does not take even %s more (%w): make room, or choose another with data_dir", dir, size(roomBytes), reason(err))
	}
	return nil
}

// proxies notices visitors who all seem to come from this machine: what a household may use and the limits per address would be those of all together.
func (r *report) proxies(c HTTPConfig) {
	if protocol.Loopback("http://"+c.Addr) && c.PublicURL != "" && !protocol.Loopback(c.PublicURL) && len(c.TrustedProxies) == 0 {
		r.say("todo", "http.trusted_proxies is empty, and only a proxy or tunnel on this machine can bring visitors to %s: all of them count as one address, "+
			"so together they get the part of the page's free credits that one may use (credits.page_share). Set it to 127.0.0.1", c.PublicURL)
	}
}

func (r *report) publicURL(url string) {
	// potluck demo gives join strings for this machine to members, too.
	const serveOnly = "with potluck serve members cannot link workers, only the operator can, on this machine (with potluck demo everybody can, on this machine)"
	switch {
	case url == "":
		r.say("todo", "http.public_url is empty: %s. docs/publishing.md shows how to get an address", serveOnly)
		r.say("note", "without it the pages answer under IP addresses, localhost, and names without a dot or in .local only: anybody could point any other name at this machine")
	case protocol.Loopback(url):
		r.say("todo", "http.public_url is an address that only this machine reaches: %s. See docs/publishing.md", serveOnly)
	case strings.HasPrefix(url, "http://"):
		r.say("note", "http.public_url has no TLS: fine inside a home network or VPN only")
	default:
		r.say("ok", "workers and visitors reach it at %s", url)
	}
}
