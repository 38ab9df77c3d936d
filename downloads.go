package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"potluck/commands"
	"potluck/community"
	"potluck/storage"
)

const (
	downloadPath = "/mydata/"
	// downloadLife is how long the address of a member's data is good.
	downloadLife = 10 * time.Minute
	// maxDownloads bounds how many addresses are good at once; the oldest goes.
	maxDownloads = 1000
)

// downloads hands each member the file with everything that is kept about the member, at an address that nobody can guess and that is good for
// some minutes. It forgets all of them when the program ends.
type downloads struct {
	people *storage.People
	texts  *commands.Catalogue
	log    *slog.Logger

	mu  sync.Mutex
	all map[[32]byte]download
}

type download struct {
	member   community.MemberID
	language string
	until    time.Time
}

func (d *downloads) make(member community.MemberID, language string, now time.Time) (token string, until time.Time) {
	token, until = newToken(), now.Add(downloadLife)
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest [32]byte
	first := until
	for key, v := range d.all {
		if !v.until.After(now) {
			delete(d.all, key)
		} else if v.until.Before(first) {
			oldest, first = key, v.until
		}
	}
	if len(d.all) >= maxDownloads {
		delete(d.all, oldest)
	}
	if d.all == nil {
		d.all = make(map[[32]byte]download)
	}
	d.all[sha256.Sum256([]byte(token))] = download{member, language, until}
	return token, until
}

func (d *downloads) find(token string, now time.Time) (download, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.all[sha256.Sum256([]byte(token))]
	return v, ok && now.Before(v.until)
}

func (d *downloads) forget(member community.MemberID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, v := range d.all {
		if v.member == member {
			delete(d.all, key)
		}
	}
}

// The page has a button because chat platforms fetch the addresses in messages by themselves: a look at it gives nothing away.
var downloadPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="{{.Language}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>Potluck</title><form method="post"><p>{{.What}}</p><button>{{.Button}}</button></form></html>
`))

// ServeHTTP shows the button on GET and hands out the file on POST.
func (d *downloads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
	v, ok := d.find(strings.TrimPrefix(r.URL.Path, downloadPath), time.Now())
	switch {
	case !ok:
		http.Error(w, "This address is no longer good. Type /mydata in the chat to get a new one.", http.StatusNotFound)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		say := d.texts.Say(v.language)
		header.Set("Content-Type", "text/html; charset=utf-8")
		err := downloadPage.Execute(w, map[string]string{"Language": v.language, "What": say(commands.DownloadText).Plain, "Button": say(commands.DownloadButton).Plain})
		if err != nil {
			d.log.Debug("show the download page", "err", err)
		}
	case r.Method == http.MethodPost:
		d.send(r.Context(), w, v)
	default:
		header.Set("Allow", "GET, POST")
		http.Error(w, "Use GET or POST.", http.StatusMethodNotAllowed)
	}
}

func (d *downloads) send(ctx context.Context, w http.ResponseWriter, v download) {
	e, err := d.people.Export(ctx, v.member, time.Now())
	var b []byte
	if err == nil {
		b, err = json.MarshalIndent(e, "", "  ")
	}
	if err != nil {
		d.log.Error("hand out a member's data", "user", v.member, "err", err)
		http.Error(w, "Something went wrong. Please try again in a moment.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="potluck-my-data.json"`)
	if _, err := w.Write(b); err != nil {
		d.log.Debug("hand out a member's data", "err", err)
	}
}
