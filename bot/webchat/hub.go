package webchat

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"potluck/community"
)

// hub hands events to the streams, in the order of their ids. Writes run side by side (the database commits them together), so an event
// whose write returns first may have the larger id: the hub holds it back until no write is under way that could still bring a smaller one.
type hub struct {
	limits Limits

	mu         sync.Mutex
	closed     bool
	streams    map[*subscription]struct{}
	entered    int
	perUser    map[community.UserID]int
	perAddress map[string]int
	// last: every event up to this id is in the database; 0 until the first one was shown.
	last     int64
	issued   ticket
	underWay map[ticket]struct{}
	held     []heldFrame // sorted by id
	pool     []byte      // the newest note of the pool
}

// ticket numbers a write by the moment it began.
type ticket uint64

type heldFrame struct {
	*frame
	// after is the newest ticket when the write ended. A write that began later has a larger event id.
	after ticket
}

// subscription is one event stream. The channel is closed when the stream fell too far behind or the page stops.
type subscription struct {
	user   community.UserID
	chats  []string
	frames chan *frame
	wake   chan struct{} // there is something else to tell; nil in tests of frames
	poorer atomic.Bool   // namely what the visitor may spend
}

func newHub(l Limits) *hub {
	return &hub{limits: l, streams: map[*subscription]struct{}{}, perUser: map[community.UserID]int{}, perAddress: map[string]int{}, underWay: map[ticket]struct{}{}}
}

func (h *hub) begin() ticket {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.issued++
	h.underWay[h.issued] = struct{}{}
	return h.issued
}

// end tells that the write is over; f is nil when it made no event.
func (h *hub) end(t ticket, f *frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.underWay, t)
	if f != nil {
		at, _ := slices.BinarySearchFunc(h.held, f.id, func(x heldFrame, id int64) int { return cmp.Compare(x.id, id) })
		h.held = slices.Insert(h.held, at, heldFrame{f, h.issued})
	}
	oldest := h.issued + 1
	for u := range h.underWay {
		oldest = min(oldest, u)
	}
	// When nothing under way can come before an event, nothing can come before those with smaller ids either.
	n := len(h.held)
	for n > 0 && h.held[n-1].after >= oldest {
		n--
	}
	for _, x := range h.held[:n] {
		h.show(x.frame)
	}
	h.held = slices.Delete(h.held, 0, n)
}

// pass shows what the database does not have yet, in its place behind the events that were ended before: it carries the id of the newest of
// them, so a stream that breaks off here begins again with what is saved.
func (h *hub) pass(f *frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.passing = true
	if n := len(h.held); n > 0 {
		f.number(h.held[n-1].id)
		h.held = append(h.held, heldFrame{f, h.held[n-1].after})
	} else if h.last > 0 {
		f.number(h.last)
		h.show(f)
	}
}

func (h *hub) show(f *frame) {
	h.last = max(h.last, f.id)
	for s := range h.streams {
		if f.passing && len(s.frames) > cap(s.frames)/2 {
			continue // what is saved says it all, too
		}
		if !slices.Contains(s.chats, f.chat) || !f.visibleTo(s.user) {
			continue
		}
		select {
		case s.frames <- f:
		default: // Too slow: it comes back and reads what it missed from the database.
			h.drop(s)
		}
	}
}

// drop ends a stream from this side; its goroutine still has to leave.
func (h *hub) drop(s *subscription) {
	if _, ok := h.streams[s]; ok {
		delete(h.streams, s)
		close(s.frames)
	}
}

var (
	errStreamsOfUser    = errors.New("too many event streams of this visitor")
	errStreamsOfAddress = errors.New("too many event streams of this address")
	errStreams          = errors.New("too many event streams")
)

// enter counts a stream from its first byte of replay on; leave must follow.
func (h *hub) enter(user community.UserID, address string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return errNotRunning
	case h.perUser[user] >= h.limits.StreamsPerUser:
		return errStreamsOfUser
	case h.perAddress[address] >= h.limits.StreamsPerAddress:
		return errStreamsOfAddress
	case h.entered >= h.limits.Streams:
		return errStreams
	}
	h.perUser[user]++
	h.perAddress[address]++
	h.entered++
	return nil
}

func (h *hub) leave(user community.UserID, address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entered--
	if h.perUser[user]--; h.perUser[user] <= 0 {
		delete(h.perUser, user)
	}
	if h.perAddress[address]--; h.perAddress[address] <= 0 {
		delete(h.perAddress, address)
	}
}

// number is how many streams are open.
func (h *hub) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// subscribe delivers to s every event with an id above last, which it returns; the events up to last are in the database.
// last 0 means that it is not known yet.
func (h *hub) subscribe(s *subscription) (last int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(s.frames)
		return h.last
	}
	h.streams[s] = struct{}{}
	return h.last
}

func (h *hub) unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(s)
}

// shown is subscribe's answer without subscribing.
func (h *hub) shown() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// disconnect drops all streams; they come back by themselves.
func (h *hub) disconnect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		h.drop(s)
	}
}

func (h *hub) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = false
}

// close drops all streams and lets no new one in.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.streams {
		h.drop(s)
	}
}
