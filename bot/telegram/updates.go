package telegram

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	tg "github.com/go-telegram/bot"

	"potluck/bot"
)

const (
	pollTime   = 50 * time.Second // Telegram holds an empty answer back no longer
	pollMargin = 15 * time.Second
	// A batch is given this long before the next is asked for; what is not safe by then is asked for again and recognised.
	batchTime  = 10 * time.Second
	maxFlights = 1000 // updates under way
	// An update that cannot be kept (the database is full, say) is tried this often, with a pause between; then it is given up.
	maxTries  = 20
	triesWait = time.Second

	maxWebhookBody = 1 << 20
	// Telegram waits about a minute for a webhook; what is not safe before is delivered again.
	webhookTime = 25 * time.Second
)

// updateKinds are what Telegram is asked for.
var updateKinds = []string{
	"message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "my_chat_member", "chat_member", "message_reaction",
	"inline_query", "chosen_inline_result",
}

// intake knows which updates are under way and which were taken, so that a second delivery changes nothing.
type intake struct {
	mu     sync.Mutex
	open   map[int64]*flight
	taken  map[int64]bool
	ring   []int64 // of taken
	at     int
	tries  map[int64]int
	unread map[string]int // updates that could not be read, by kind
}

// flight is an update under way.
type flight struct {
	done chan struct{} // closed when it is safe, or could not be kept
	err  error         // set before done is closed
	part bool          // of an album: it is safe when its siblings are there, which the next batch may bring
}

func newIntake() *intake {
	return &intake{
		open: make(map[int64]*flight), taken: make(map[int64]bool), ring: make([]int64, 8192), tries: make(map[int64]int), unread: make(map[string]int),
	}
}

var landed = func() *flight {
	f := &flight{done: make(chan struct{})}
	close(f.done)
	return f
}()

// begin returns the flight of an update; fresh is true for a new one, which the caller is to land.
func (in *intake) begin(id int64) (f *flight, fresh bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.taken[id] {
		return landed, false
	}
	if f = in.open[id]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	in.open[id] = f
	return f, true
}

// land ends a flight. One that failed is begun again when it is delivered again, but not for ever.
func (in *intake) land(id int64, f *flight, err error) (gaveUp bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.open[id] != f {
		return false
	}
	delete(in.open, id)
	if err != nil {
		in.tries[id]++
		if gaveUp = in.tries[id] >= maxTries; gaveUp {
			err = nil
		}
	}
	if err == nil {
		delete(in.tries, id)
		delete(in.taken, in.ring[in.at])
		in.ring[in.at] = id
		in.taken[id] = true
		in.at = (in.at + 1) % len(in.ring)
	}
	f.err = err
	close(f.done)
	return gaveUp
}

func (in *intake) full() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.open) >= maxFlights
}

// countUnread counts an update that could not be read; tell is true for the 1st, 2nd, 4th, 8th … of its kind.
func (in *intake) countUnread(kind string) (n int, tell bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.unread[kind]++
	n = in.unread[kind]
	return n, n&(n-1) == 0
}

// take lets an update begin. Each is read alone: one that cannot be read stops no other. ok is false for what is no update at all.
func (p *Platform) take(raw json.RawMessage) (id int64, f *flight, ok bool) {
	var head struct {
		ID int64 `json:"update_id"`
	}
	if json.Unmarshal(raw, &head) != nil || head.ID == 0 {
		return 0, nil, false
	}
	f, fresh := p.intake.begin(head.ID)
	if !fresh {
		return head.ID, f, true
	}
	land := func(err error) {
		if p.intake.land(head.ID, f, err) {
			p.log.Error("an update could not be kept and is given up", "update", head.ID, "tries", maxTries, "err", err)
		}
	}
	var u rawUpdate
	if err := json.Unmarshal(raw, &u); err != nil {
		kind := kindIn(raw)
		if n, tell := p.intake.countUnread(kind); tell {
			p.log.Warn("an update of Telegram cannot be read and is left out", "kind", kind, "err", kindOf(err), "so_far", n)
		}
		land(nil)
		return head.ID, f, true
	}
	if m, edited := u.message(); m != nil && !edited {
		f.part = m.Album != ""
	}
	p.guarded(func() {
		defer func() {
			if r := recover(); r != nil {
				land(nil) // it would panic again
				panic(r)
			}
		}()
		p.sort(u, land)
	})
	return head.ID, f, true
}

// kindIn names an update's kind from its keys.
func kindIn(raw json.RawMessage) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) == nil {
		for _, k := range updateKinds {
			if _, ok := keys[k]; ok {
				return k
			}
		}
	}
	return "unknown"
}

// poll asks for updates until ctx ends. The next are asked for, and these thereby confirmed, only when all of these are safe: a kill loses
// none, and what comes twice is recognised by its id, also after a restart, when the requests are in the database.
func (p *Platform) poll(ctx context.Context) error {
	var offset int64
	for wait := firstRetry; ; {
		batch, err := p.updates(ctx, offset, pollTime)
		if ctx.Err() != nil {
			p.confirm(ctx, offset)
			return nil
		}
		if err != nil {
			pause := p.pollFailed(ctx, err, wait)
			wait = min(2*wait, lastRetry)
			if bot.Wait(ctx, pause) != nil {
				return nil
			}
			continue
		}
		wait = firstRetry
		next, fresh := p.takeAll(ctx, batch, offset)
		if next == offset && len(batch) > 0 && !fresh && bot.Wait(ctx, triesWait) != nil {
			return nil
		}
		offset = next
	}
}

func (p *Platform) updates(ctx context.Context, offset int64, hold time.Duration) (batch []json.RawMessage, err error) {
	params := map[string]any{"offset": offset, "limit": 100, "timeout": int(hold / time.Second), "allowed_updates": updateKinds}
	err = p.api.raw(ctx, "getUpdates", params, &batch, hold+pollMargin)
	return batch, err
}

// confirm tells Telegram, when the bot stops, what it has taken, so that the next start does not see it again.
func (p *Platform) confirm(ctx context.Context, offset int64) {
	if offset == 0 {
		return
	}
	params := map[string]any{"offset": offset, "limit": 1, "timeout": 0}
	if err := p.api.raw(context.WithoutCancel(ctx), "getUpdates", params, nil, 2*time.Second); err != nil {
		p.log.Debug("confirm the last updates", "err", err)
	}
}

// takeAll begins a batch, waits until it is safe (batchTime at most), and returns the first update that is not.
func (p *Platform) takeAll(ctx context.Context, batch []json.RawMessage, offset int64) (next int64, fresh bool) {
	next = offset
	type one struct {
		id int64
		*flight
	}
	var all []one
	for _, raw := range batch {
		for p.intake.full() && bot.Wait(ctx, triesWait) == nil {
		}
		id, f, ok := p.take(raw)
		if ok {
			all = append(all, one{id, f})
		}
	}
	late, soon := time.NewTimer(batchTime), time.NewTimer(albumWait/4)
	defer late.Stop()
	defer soon.Stop()
	over := false
	for _, f := range all {
		if !over {
			var sibling <-chan time.Time
			if f.part {
				sibling = soon.C
			}
			select {
			case <-sibling:
				over, fresh = true, true
			case <-f.done:
			case <-late.C:
				over = true
			case <-ctx.Done():
				return next, fresh
			}
		}
		select {
		case <-f.done:
		default:
			return next, fresh // it comes again and is recognised
		}
		if f.err != nil {
			return next, false // tried again after a pause
		}
		if f.id >= next {
			next, fresh = f.id+1, true
		}
	}
	return next, fresh
}

// pollFailed tells what is wrong with polling and how long to wait.
func (p *Platform) pollFailed(ctx context.Context, err error, wait time.Duration) time.Duration {
	if after, limited := retryAfter(err); limited {
		p.log.Warn("Telegram limits how often updates are asked for", "wait", after)
		return after
	}
	switch {
	case errors.Is(err, tg.ErrorConflict) && says(err, "webhook"):
		p.log.Warn("a webhook is set for this bot, and the configuration wants polling: the webhook is removed (telegram.webhook: true would use it)")
		if err := p.api.raw(ctx, "deleteWebhook", struct{}{}, nil, callTime); err != nil {
			p.log.Warn("remove the webhook", "err", err)
			return wait
		}
		return 0
	case errors.Is(err, tg.ErrorConflict):
		if p.told.Due("conflict", time.Minute) {
			p.log.Error("another program asks for updates with this bot's token: stop the other one, or make a token of its own for each (@BotFather → /newbot)", "err", err)
		}
		return max(wait, 5*time.Second)
	case refusedToken(err):
		p.log.Error("Telegram refuses the bot; everything else goes on", "err", ErrToken, "again_in", lostPause)
		return lostPause
	}
	p.log.Warn("ask Telegram for updates", "err", err, "again_in", wait)
	return wait
}

// hook has Telegram bring updates to Handler, until ctx ends.
func (p *Platform) hook(ctx context.Context) error {
	params := map[string]any{"url": p.config.WebhookURL, "secret_token": p.secret, "allowed_updates": updateKinds, "max_connections": 40}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := p.api.raw(ctx, "setWebhook", params, nil, callTime)
		if err == nil {
			p.log.Info("Telegram brings updates by webhook")
			<-ctx.Done()
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		p.log.Error("Telegram does not take the webhook: it needs a public https address (http.public_url)", "err", err, "again_in", wait)
		if bot.Wait(ctx, wait) != nil {
			return nil
		}
	}
}

// Handler takes what Telegram's webhook brings. It answers 200 when an update is safe; 503 when there is no room or it could not be kept, so
// that Telegram brings it again; 401 to everybody else.
func (p *Platform) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-Telegram-Bot-Api-Secret-Token")
		switch {
		case subtle.ConstantTimeCompare([]byte(given), []byte(p.secret)) != 1:
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		case r.Method != http.MethodPost:
			http.Error(w, "POST only", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhookBody))
		if err != nil {
			http.Error(w, "too large, or cut off", http.StatusRequestEntityTooLarge)
			return
		}
		code := p.webhook(r.Context(), body)
		if code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "2")
		}
		w.Header().Set("Content-Length", strconv.Itoa(0))
		w.WriteHeader(code)
	})
}

// webhook takes one update and returns the status for it.
func (p *Platform) webhook(ctx context.Context, body []byte) int {
	if p.intake.full() || p.chats.Full(chatIn(body)) {
		return http.StatusServiceUnavailable
	}
	_, f, ok := p.take(body)
	if !ok {
		return http.StatusBadRequest
	}
	late := time.NewTimer(webhookTime)
	defer late.Stop()
	select {
	case <-f.done:
		if f.err == nil {
			return http.StatusOK
		}
	case <-late.C:
	case <-ctx.Done():
	}
	return http.StatusServiceUnavailable
}

// chatIn finds the chat in whose queue an update would wait, 0 if none is seen.
func chatIn(raw json.RawMessage) int64 {
	var u rawUpdate
	if json.Unmarshal(raw, &u) != nil {
		return 0
	}
	m, _ := u.message()
	if m == nil && u.Callback != nil {
		m = u.Callback.Message
	}
	if m == nil {
		return 0
	}
	return m.Chat.ID
}
