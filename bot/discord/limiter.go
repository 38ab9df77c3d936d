package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"potluck/bot"
)

const (
	// Discord takes 50 calls a second of a bot, those about interactions not counted. After a rest callsAtOnce go out together, so that no
	// second holds more than the sum.
	callsPerSecond = 44
	callsAtOnce    = 5
	// 10,000 answers 401, 403 or 429 within ten minutes make Cloudflare block the address of this machine.
	invalidLimit  = 9000
	invalidWindow = 10 * time.Minute

	callTime    = 30 * time.Second // of one try
	maxTries    = 6                // after 5xx or a lost connection
	firstPause  = 250 * time.Millisecond
	answerLimit = 16 << 20 // bytes of an answer
	maxBuckets  = 4096     // idle ones above this are forgotten
	tokenSlots  = 1024     // buckets of interactions share these
)

// errTooManyInvalid keeps calls back that would bring a ban nearer.
var errTooManyInvalid = errors.New("thousands of calls were refused within ten minutes: waiting, so that Discord does not block this address")

// route is what the limiter knows of a call.
type route struct {
	name   string // "PATCH /webhooks/:id/:token/messages/:id": safe to be logged
	bucket string // name with what limits are per: channel, guild, webhook
	exempt bool   // of the limit for all calls
	once   bool   // see request
}

type routeKey struct{}

func withRoute(ctx context.Context, r route) context.Context {
	return context.WithValue(ctx, routeKey{}, r)
}

// routeOf reads a path below the API's base. Tokens become one of tokenSlots numbers, so that the buckets stay bounded.
func routeOf(method, path string) route {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	name, bucket := make([]string, len(parts)), make([]string, len(parts))
	r := route{}
	for i, p := range parts {
		name[i], bucket[i] = p, p
		before := ""
		if i > 0 {
			before = parts[i-1]
		}
		token := i == 2 && (parts[0] == "webhooks" || parts[0] == "interactions")
		switch {
		case token:
			h := fnv.New32a()
			h.Write([]byte(p))
			name[i], bucket[i] = ":token", strconv.Itoa(int(h.Sum32()%tokenSlots))
		case strings.HasPrefix(p, "@") || !isDigits(p):
		case i == 1 && (before == "channels" || before == "guilds" || before == "webhooks"):
			name[i] = ":id"
		default:
			name[i], bucket[i] = ":id", ":id"
		}
	}
	if len(parts) > 1 && parts[0] == "interactions" {
		bucket[1] = ":id"
	}
	r.name = method + " /" + strings.Join(name, "/")
	r.bucket = method + " /" + strings.Join(bucket, "/")
	return r
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// limiter is the http.RoundTripper of all calls: it waits for Discord's limits, tries again what can be tried again, and reads answers
// whole. Discord's headers tell the limits; before the first answer of a route, one call at a time is under way there.
type limiter struct {
	next   http.RoundTripper
	global *rate.Limiter

	mu      sync.Mutex
	buckets map[string]*bucket
	pause   time.Time // no call before, after a limit on all of them
	invalid []time.Time
	told    func(scope, route string, wait time.Duration) // a 429, for the log
}

// bucket is guarded by limiter.mu.
type bucket struct {
	known     bool
	limit     int
	remaining int
	reset     time.Time
	window    time.Duration
	underWay  int
	changed   chan struct{} // closed and renewed
}

func newLimiter(next http.RoundTripper, told func(scope, route string, wait time.Duration)) *limiter {
	return &limiter{next: next, global: rate.NewLimiter(callsPerSecond, callsAtOnce), buckets: make(map[string]*bucket), told: told}
}

func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	r, _ := ctx.Value(routeKey{}).(route)
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
	}
	pause := firstPause
	for try := 1; ; {
		if err := l.enter(ctx, r); err != nil {
			return nil, err
		}
		res, answer, err := l.try(req, body)
		wait, limited := l.leave(r, res, answer)
		switch {
		case limited:
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			continue
		case err == nil && res.StatusCode < 500:
			return l.plain(res, answer), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case r.once || try == maxTries:
			if err != nil {
				return nil, err
			}
			return l.plain(res, answer), nil
		}
		try++
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func (l *limiter) try(req *http.Request, body []byte) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), callTime)
	defer cancel()
	again := req.Clone(ctx)
	if body != nil {
		again.Body = io.NopCloser(bytes.NewReader(body))
		again.ContentLength = int64(len(body))
	}
	res, err := l.next.RoundTrip(again)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err == nil && len(answer) > answerLimit {
		err = errors.New("the answer is too large")
	}
	if err != nil {
		return nil, nil, err
	}
	return res, answer, nil
}

// plain is the answer without the headers that discordgo's own limiter would act upon.
func (l *limiter) plain(res *http.Response, answer []byte) *http.Response {
	for name := range res.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-ratelimit-") {
			res.Header.Del(name)
		}
	}
	switch res.StatusCode {
	case http.StatusBadGateway:
		res.StatusCode = http.StatusServiceUnavailable // for this one discordgo would lock its own bucket again
	case http.StatusTooManyRequests: // no limit, see tooOldToEdit; of a limit discordgo would keep the code to itself
		res.StatusCode = http.StatusBadRequest
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res
}

// enter waits until a call may be made.
func (l *limiter) enter(ctx context.Context, r route) error {
	if !r.exempt {
		if err := l.global.Wait(ctx); err != nil {
			return err
		}
	}
	for {
		l.mu.Lock()
		now := time.Now()
		if l.tooManyInvalid(now) {
			l.mu.Unlock()
			return errTooManyInvalid
		}
		b := l.bucket(r.bucket, now)
		wait, changed := time.Duration(0), b.changed
		switch {
		case now.Before(l.pause) && !r.exempt:
			wait = l.pause.Sub(now)
		case b.take(now, r.exempt):
			l.mu.Unlock()
			return nil
		case b.known:
			wait = b.reset.Sub(now)
		}
		l.mu.Unlock()
		if err := await(ctx, wait, changed); err != nil {
			return err
		}
	}
}

// take tells whether a call may be made now, and counts it.
func (b *bucket) take(now time.Time, exempt bool) bool {
	if b.known && !now.Before(b.reset) {
		b.remaining, b.reset = b.limit, now.Add(b.window)
	}
	if b.known && b.remaining > 0 || !b.known && (exempt || b.underWay == 0) {
		b.remaining--
		b.underWay++
		return true
	}
	return false
}

// bucket needs mu.
func (l *limiter) bucket(key string, now time.Time) *bucket {
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			for k, old := range l.buckets {
				if old.underWay == 0 && !now.Before(old.reset) {
					close(old.changed) // whoever waits here asks again
					delete(l.buckets, k)
				}
			}
		}
		b = &bucket{changed: make(chan struct{})}
		l.buckets[key] = b
	}
	return b
}

// leave learns from an answer. For a 429 it returns how long to wait before the same call is made again.
func (l *limiter) leave(r route, res *http.Response, answer []byte) (wait time.Duration, limited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b := l.bucket(r.bucket, now)
	b.underWay = max(0, b.underWay-1)
	defer func() {
		close(b.changed)
		b.changed = make(chan struct{})
	}()
	if res == nil {
		return 0, false
	}
	b.learn(res.Header, now)
	scope := res.Header.Get("X-RateLimit-Scope")
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		l.invalid = append(l.invalid, now)
	case http.StatusTooManyRequests:
		if scope != "shared" {
			l.invalid = append(l.invalid, now)
		}
		if tooOldToEdit(answer) {
			return 0, false
		}
		global := false
		if wait, global = retryAfter(res.Header, answer); global || scope == "global" {
			scope, l.pause = "global", later(l.pause, now.Add(wait))
		} else {
			b.known, b.remaining, b.reset = true, 0, later(b.reset, now.Add(wait))
			b.limit, b.window = max(1, b.limit), max(b.window, wait)
		}
		if l.told != nil {
			l.told(scope, r.name, wait)
		}
		return wait, true
	}
	return 0, false
}

func (b *bucket) learn(h http.Header, now time.Time) {
	limit, err := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	if err != nil || limit < 1 {
		return
	}
	left, err1 := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	after, err2 := strconv.ParseFloat(h.Get("X-RateLimit-Reset-After"), 64)
	if err1 != nil || err2 != nil || after < 0 || after > 86400 {
		return
	}
	in := time.Duration(after * float64(time.Second))
	reset := now.Add(in)
	// Answers of parallel calls come in any order: within one window only the smallest number is true.
	if !b.known || reset.After(b.reset.Add(100*time.Millisecond)) {
		b.remaining = left - b.underWay
	} else {
		b.remaining = min(b.remaining, left)
	}
	b.known, b.limit, b.reset, b.window = true, limit, reset, max(b.window, in)
}

// tooOldToEdit tells a 429 that is about one message from one that ends by waiting: it was sent more than an hour ago and edited too often since, and
// Discord names no time, or one of 0.2 s again and again (https://github.com/discord-net/Discord.Net/issues/2375).
func tooOldToEdit(answer []byte) bool {
	var body struct {
		Code int `json:"code"`
	}
	return json.Unmarshal(answer, &body) == nil && body.Code == codeOldMessageEdits
}

// retryAfter reads how long a 429 lasts; Cloudflare's come as HTML and hold for everything.
func retryAfter(h http.Header, answer []byte) (wait time.Duration, global bool) {
	var body struct {
		After  float64 `json:"retry_after"`
		Global bool    `json:"global"`
	}
	seconds, err := strconv.ParseFloat(h.Get("Retry-After"), 64)
	if json.Unmarshal(answer, &body) != nil {
		body.Global = true
		if err != nil {
			seconds = 60
		}
	} else {
		seconds = max(seconds, body.After)
	}
	seconds = min(max(seconds, 0.05), 3600)
	return time.Duration(seconds * float64(time.Second)), body.Global || h.Get("X-RateLimit-Global") != ""
}

func (l *limiter) tooManyInvalid(now time.Time) bool {
	old := 0
	for old < len(l.invalid) && now.Sub(l.invalid[old]) > invalidWindow {
		old++
	}
	l.invalid = append(l.invalid[:0], l.invalid[old:]...)
	return len(l.invalid) >= invalidLimit
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// await waits for a change, for a time (0: only for the change), or for the end of ctx.
func await(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	var late <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-late:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if err := bot.Wait(ctx, d); err != nil {
		return fmt.Errorf("waiting for Discord's limit: %w", err)
	}
	return nil
}
