package webchat

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"potluck/community"
	"potluck/web/guard"
)

// briefMessages is how many public messages of a chat a brief replay shows at least, if there are as many; app.js keeps as many.
const briefMessages = 400

// replayPage is how many events one read from the database brings.
const replayPage = 200

// events serves GET /webchat/events?chat=NAME&after=EVENT_ID. Chat may be given several times; event ids rise over all chats. With brief=1,
// which the page itself uses, edits that repeat what the replay has shown are left out, a replay from the start may begin with the newest
// briefMessages of each chat, "ready" follows the replay, and the heartbeat is an event "beat", because scripts cannot see comments. Who has seen
// events that were never here (an older backup was restored meanwhile) gets "anew", and then everything from the start.
func (p *Page) events(w http.ResponseWriter, r *http.Request, s Session) {
	chats, after, ok := p.wanted(w, r)
	if !ok || p.limited(w, p.limits.streams, string(s.User)) {
		return
	}
	address := p.config.Address(r)
	if err := p.hub.enter(s.User, address); err != nil {
		refuseStream(w, err)
		return
	}
	defer p.hub.leave(s.User, address)
	if p.seats.sit(s.User, s.Name, p.config.Now()) { // otherwise the visitor may look on, not write
		defer func() { p.seats.stand(s.User, s.Name, p.config.Now()) }()
	}

	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	st := &stream{
		household: func() string { return p.config.Household(r) },
		page:      p, w: w, control: http.NewResponseController(w), user: s.User, chats: chats, last: after, brief: r.URL.Query().Get("brief") == "1",
	}
	st.session, _ = sessionHash(r)
	st.control.SetReadDeadline(time.Time{}) // a server's ReadTimeout would end the stream; not every ResponseWriter has one
	if err := st.run(r.Context()); err != nil && !errors.Is(err, errLeft) && !errors.Is(err, errUnseated) && r.Context().Err() == nil {
		p.config.Log.Warn("event stream ended", "err", err)
	}
}

// wanted reads which chats a stream is to show, each once, and behind which event. What it cannot read it refuses.
func (p *Page) wanted(w http.ResponseWriter, r *http.Request) (chats []string, after int64, ok bool) {
	query := r.URL.Query()
	for _, c := range query["chat"] {
		if !slices.Contains(p.config.Chats, c) {
			guard.Refuse(w, http.StatusNotFound, "no_chat", "There is no such chat.")
			return nil, 0, false
		}
		if !slices.Contains(chats, c) {
			chats = append(chats, c)
		}
	}
	if len(chats) == 0 {
		guard.Refuse(w, http.StatusBadRequest, "no_chat", "Say which chat: ?chat=NAME.")
		return nil, 0, false
	}
	from := cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("after"), "0")
	after, err := strconv.ParseInt(from, 10, 64)
	if err != nil || after < 0 {
		guard.Refuse(w, http.StatusBadRequest, "bad_after", "after is the id of an event, or 0.")
		return nil, 0, false
	}
	return chats, after, true
}

// refuseStream says why there is no room for another stream.
func refuseStream(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "5")
	switch err {
	case errStreamsOfUser:
		guard.Refuse(w, http.StatusTooManyRequests, "too_many_streams", "This page is open in too many tabs. Close one and try again.")
	case errStreamsOfAddress:
		guard.Refuse(w, http.StatusTooManyRequests, "too_many_streams", "This page is open too often at your address. Close a tab and try again.")
	case errStreams:
		guard.Refuse(w, http.StatusServiceUnavailable, "full", "The table is full right now. Try again in a moment.")
	default:
		guard.Refuse(w, http.StatusServiceUnavailable, "starting", "Potluck is starting or stopping. Try again in a moment.")
	}
}

// stream is one open event stream, owned by its request's goroutine.
type stream struct {
	page    *Page
	w       http.ResponseWriter
	control *http.ResponseController
	user    community.UserID
	// household changes at midnight.
	household func() string
	session   [32]byte // the hash of its cookie
	chats     []string
	last      int64 // every event up to this id was sent
	brief     bool
	sent      map[community.MessageID][32]byte // brief: what the replay has shown
	newest    map[string][]int64               // brief from the start: the newest message events of each chat
	pool      []byte                           // the notes that were sent last
	purse     []byte
}

// starts remembers for each chat where a brief replay may begin: briefMessages before the end, as the last one found it.
type starts struct {
	mu   sync.Mutex
	from map[string]int64
}

func (s *starts) of(chat string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from[chat]
}

func (s *starts) raise(newest map[string][]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for chat, ids := range newest {
		if len(ids) == briefMessages {
			s.from[chat] = max(s.from[chat], ids[0])
		}
	}
}

// after is the event behind which the replay of a chat begins.
func (st *stream) after(chat string) int64 {
	if st.newest == nil {
		return st.last
	}
	return max(st.last, st.page.starts.of(chat)-1)
}

// run sends what the visitor has not seen, and then what happens, until the visitor leaves or ctx ends.
func (st *stream) run(ctx context.Context) error {
	if err := st.write([]byte("retry: 2000\n\n")); err != nil {
		return err
	}
	if err := st.beginAnew(ctx); err != nil {
		return err
	}
	if err := st.readHistory(ctx); err != nil {
		return err
	}
	sub := &subscription{user: st.user, chats: st.chats, frames: make(chan *frame, st.page.config.Limits.Waiting), wake: make(chan struct{}, 1)}
	last := st.page.hub.subscribe(sub)
	defer st.page.hub.unsubscribe(sub)
	if err := st.catchUp(ctx, last); err != nil {
		return err
	}
	if err := st.tellPool(); err != nil {
		return err
	}
	if err := st.tellPurse(ctx); err != nil {
		return err
	}
	return st.follow(ctx, sub)
}

// readHistory replays what happened until a moment ago. Long histories are read so, before anything is buffered for this stream.
func (st *stream) readHistory(ctx context.Context) error {
	if st.brief {
		st.sent = map[community.MessageID][32]byte{}
		if st.last == 0 {
			st.newest = map[string][]int64{}
		}
	}
	for {
		n, err := st.replay(ctx, st.page.hub.shown())
		if err != nil || n < replayPage {
			return err
		}
	}
}

// catchUp replays what is left up to the event behind which the subscription begins, and says that this was all.
func (st *stream) catchUp(ctx context.Context, last int64) error {
	if _, err := st.replay(ctx, last); err != nil {
		return err
	}
	st.page.starts.raise(st.newest)
	st.sent, st.newest = nil, nil
	if !st.brief {
		return nil
	}
	return st.write(fmt.Appendf(nil, "id: %d\nevent: ready\ndata: {}\n\n", st.last))
}

// follow sends what happens, until the subscription or ctx ends.
func (st *stream) follow(ctx context.Context, sub *subscription) error {
	heartbeat := time.NewTicker(st.page.config.Limits.Heartbeat)
	defer heartbeat.Stop()
	beats := 0
	beat := []byte(": beat\n\n")
	if st.brief {
		beat = []byte("event: beat\ndata: {}\n\n")
	}
	for {
		select {
		case f, ok := <-sub.frames:
			if !ok {
				return nil
			}
			if st.knows(f) {
				continue
			}
			// What waits already goes out in one write.
			batch := f.bytesFor(st.user)
			st.last = f.id
			if len(sub.frames) > 0 {
				batch = st.waiting(sub, slices.Clone(batch))
			}
			if err := st.write(batch); err != nil {
				return err
			}
		case <-sub.wake:
			if err := st.tellPool(); err != nil {
				return err
			}
			if sub.poorer.Swap(false) {
				if err := st.lookUp(ctx, sub); err != nil {
					return err
				}
			}
		case <-heartbeat.C:
			if err := st.write(beat); err != nil {
				return err
			}
			if beats++; beats%pursesEvery == 0 {
				if err := st.lookUp(ctx, sub); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// beginAnew tells who has seen more than ever happened here to forget it. The ids of what comes now would be too small for such a reader.
func (st *stream) beginAnew(ctx context.Context) error {
	if st.last <= st.page.hub.shown() {
		return nil
	}
	newest, err := st.page.config.Store.NewestEvent(ctx)
	if err != nil {
		return fmt.Errorf("read page events: %w", err)
	}
	if st.last <= newest {
		return nil
	}
	st.last = 0
	return st.write([]byte("id: 0\nevent: anew\ndata: {}\n\n"))
}

// knows tells whether the replay has shown a frame.
func (st *stream) knows(f *frame) bool { return f.id < st.last || f.id == st.last && !f.passing }

// waiting appends what waits in a subscription already.
func (st *stream) waiting(sub *subscription, batch []byte) []byte {
	for range len(sub.frames) {
		f, ok := <-sub.frames
		if !ok {
			break
		}
		if !st.knows(f) {
			batch, st.last = append(batch, f.bytesFor(st.user)...), f.id
		}
	}
	return batch
}

// errUnseated: the visitor's session is gone, because the visitor asked to be forgotten say.
var errUnseated = errors.New("the session is gone")

// lookUp tells a visitor's purse anew. Whose session is gone gets what waits, then the event "gone", and the stream ends.
func (st *stream) lookUp(ctx context.Context, sub *subscription) error {
	_, ok, err := st.page.config.Store.Session(ctx, st.session)
	if err != nil {
		if ctx.Err() == nil {
			st.page.config.Log.Warn("a session was not looked up; it is tried again", "user", st.user, "err", err)
		}
		return nil
	}
	if ok {
		return st.tellPurse(ctx)
	}
	if err := st.write(append(st.waiting(sub, nil), note("gone", struct{}{})...)); err != nil {
		return err
	}
	return errUnseated
}

// replay sends what is in the database with st.last < id <= until, in the order of ids, and returns how many events there were.
// Every event up to until must be in the database already. until 0 means that nothing was shown since the program started.
func (st *stream) replay(ctx context.Context, until int64) (n int, err error) {
	if until == 0 {
		// A first reading finds the newest id. Whatever is newer is delivered live; reading chat by chat once could miss an event of an
		// earlier chat that is older than one of a later chat.
		for _, chat := range st.chats {
			newest, err := st.newestEvent(ctx, chat)
			if err != nil {
				return 0, err
			}
			until = max(until, newest)
		}
	}
	if until <= st.last {
		return 0, nil
	}
	events := st.merge()
	var batch []byte
	for {
		chat, e, ok, err := events.next(ctx)
		if err != nil {
			return n, err
		}
		if !ok || e.ID > until {
			break
		}
		n++
		data := st.encode(e)
		batch = append(batch, data...)
		if st.newest != nil && len(data) > 0 && e.Kind == MessageEvent && e.Message.Only == "" {
			ids := append(st.newest[chat], e.ID)
			st.newest[chat] = ids[max(0, len(ids)-briefMessages):]
		}
		st.last = e.ID
		if len(batch) > 32<<10 {
			if err := st.write(batch); err != nil {
				return n, err
			}
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		if err := st.write(batch); err != nil {
			return n, err
		}
	}
	st.last = max(st.last, until)
	return n, nil
}

// encode returns an event of the replay, or nothing when it need not be sent.
func (st *stream) encode(e PageEvent) []byte {
	if e.Message.Deleted && e.Kind != DeleteEvent {
		return nil // the event that deletes it follows
	}
	if st.sent != nil {
		e.Final = e.Message.Final // one event stands for all
	}
	if !e.Message.Final {
		e.Message.Text = st.page.growing.newest(e.Message)
	}
	f := newFrame(e)
	if !f.visibleTo(st.user) {
		return nil
	}
	data := f.bytesFor(st.user)
	if st.sent != nil && e.Kind != DeleteEvent {
		e.ID, e.Kind = 0, ""
		sum := sha256.Sum256(newFrame(e).bytesFor(st.user))
		before, known := st.sent[f.of]
		if known && before == sum || !known && f.kind == EditEvent && st.newest != nil {
			return nil
		}
		st.sent[f.of] = sum
	}
	return data
}

func (st *stream) newestEvent(ctx context.Context, chat string) (int64, error) {
	after := st.after(chat)
	for {
		events, err := st.page.config.Store.Events(ctx, chat, st.user, after, replayPage)
		if err != nil {
			return 0, fmt.Errorf("read page events: %w", err)
		}
		if len(events) > 0 {
			after = events[len(events)-1].ID
		}
		if len(events) < replayPage {
			return after, nil
		}
	}
}

// errLeft: the visitor is gone, which is nothing to tell anybody.
var errLeft = errors.New("the visitor left")

// write sends b at once. A visitor who does not read for WriteTimeout is gone.
func (st *stream) write(b []byte) error {
	st.control.SetWriteDeadline(time.Now().Add(st.page.config.Limits.WriteTimeout)) // not every ResponseWriter has one
	if _, err := st.w.Write(b); err != nil {
		return errLeft
	}
	if err := st.control.Flush(); err != nil {
		return errLeft
	}
	return nil
}
