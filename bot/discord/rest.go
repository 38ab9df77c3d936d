package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
	"potluck/fault"
)

// api makes REST calls. discordgo builds requests and reads errors; limits and retries are ours (see limiter), because discordgo's limiter
// has one bucket for all answers to interactions, holds it during a call, and waits without looking at the context.
type api struct {
	session *discordgo.Session
	base    string // "https://discord.com/api/v10"
}

func newAPI(c Config, l *limiter) (*api, error) {
	s, err := discordgo.New("Bot " + c.Token)
	if err != nil {
		return nil, fmt.Errorf("discordgo: %w", err)
	}
	s.Client = &http.Client{Transport: l, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.UserAgent += " potluck/" + c.Version // behind discordgo's "DiscordBot (address, version)", which Discord asks for
	s.MaxRestRetries = 0
	s.ShouldRetryOnRateLimit = false
	s.StateEnabled = false
	return &api{session: s, base: strings.TrimRight(c.APIBase, "/")}, nil
}

// request is one REST call.
type request struct {
	method string
	path   string // below the base: "/channels/1/messages"
	query  url.Values
	body   any // JSON; nil: none
	files  []file
	// once: doing it twice is not the same as doing it once, so an answer that got lost is not asked for again.
	once bool
	// interaction: the token in the path is an interaction's; such calls do not count against the limit for all calls.
	interaction bool
}

// do carries r out and decodes the answer into out, unless that is nil. No error holds a path: interaction and webhook tokens stand there.
func (a *api) do(ctx context.Context, r request, out any) error {
	target := a.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	route := routeOf(r.method, r.path)
	route.once, route.exempt = r.once, r.interaction
	body, kind, err := r.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", route.name, err)
	}
	// A bucket of its own, so that discordgo's limiter has nothing to say.
	var free discordgo.Bucket
	free.Lock()
	b, err := a.session.RequestWithLockedBucket(r.method, target, kind, body, &free, 0, discordgo.WithContext(withRoute(ctx, route)))
	if err != nil {
		return fmt.Errorf("%s: %w", route.name, readable(err))
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: decode the answer: %w", route.name, err)
	}
	return nil
}

// file is what a message carries, in memory: pictures of at most some megabytes.
type file struct {
	name, kind string // kind is its content type
	data       []byte
}

func (r request) encode() (body []byte, kind string, err error) {
	if len(r.files) > 0 {
		files := make([]*discordgo.File, len(r.files))
		for i, f := range r.files {
			files[i] = &discordgo.File{Name: f.name, ContentType: f.kind, Reader: bytes.NewReader(f.data)}
		}
		kind, body, err = discordgo.MultipartBodyWithJSON(r.body, files)
		return body, kind, err
	}
	if r.body != nil {
		body, err = json.Marshal(r.body)
	}
	return body, "application/json", err
}

// readable takes the address out of an error, and makes discordgo's error short.
func readable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*discordgo.RESTError](err); ok {
		r := &refusal{status: e.Response.StatusCode}
		if e.Message != nil {
			r.code, r.text = e.Message.Code, e.Message.Message
		}
		return r
	}
	return err
}

// refusal is an error that Discord answered with.
type refusal struct {
	status int
	code   int // Discord's own error code, 0 if it gave none
	text   string
}

func (r *refusal) Error() string {
	text := r.text
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return fmt.Sprintf("HTTP %d, code %d %s", r.status, r.code, text)
}

// codeOf returns Discord's error code, 0 for other errors.
func codeOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return 0
}

func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	return 0
}

// Discord's error codes that mean something here.
const (
	codeUnknownChannel      = 10003
	codeUnknownMessage      = 10008
	codeUnknownWebhook      = 10015
	codeUnknownInteraction  = 10062
	codeTooManyWebhooks     = 30007
	codeOldMessageEdits     = 30046
	codeTooLarge            = 40005
	codeAcknowledged        = 40060
	codeTooManyFollowUps    = 40094
	codeMissingAccess       = 50001
	codeOtherAuthor         = 50005
	codeEmptyMessage        = 50006
	codeCannotMessageUser   = 50007
	codeMissingPermissions  = 50013
	codeInvalidToken        = 50027
	codeInvalidForm         = 50035
	codeThreadArchived      = 50083
	codeAutoModBlocked      = 200000
	codeAutoModBlockedTitle = 200001
)

// tokenGone tells that an interaction's or webhook's token opens nothing (any more).
func tokenGone(err error) bool {
	switch codeOf(err) {
	case codeUnknownWebhook, codeInvalidToken, codeUnknownInteraction:
		return true
	}
	return false
}

// explain gives an error of a send or edit the meaning that the Router knows.
func explain(err error) error {
	if err == nil || fault.Has(err, fault.Gone) {
		return err
	}
	switch codeOf(err) {
	case codeUnknownMessage:
		return errors.Join(bot.ErrDeleted, fault.Wrap(err, fault.Gone))
	case codeOldMessageEdits, codeOtherAuthor, codeUnknownWebhook, codeInvalidToken:
		return fault.Wrap(err, fault.Gone)
	case codeUnknownChannel, codeMissingAccess, codeMissingPermissions, codeCannotMessageUser, codeThreadArchived:
		return fault.Wrap(err, fault.Forbidden, "role", "")
	case codeInvalidForm, codeEmptyMessage, codeTooLarge, codeAutoModBlocked, codeAutoModBlockedTitle:
		return errors.Join(bot.ErrRejected, err)
	}
	if statusOf(err) == http.StatusRequestEntityTooLarge {
		return errors.Join(bot.ErrRejected, err)
	}
	return err
}
