package webchat

import (
	"strings"
	"sync"
	"time"

	"potluck/community"
	"potluck/hygiene"
)

// seatGrace is how long a name stays somebody's after the last sign of life: a page that reloads finds its name free.
const seatGrace = 30 * time.Second

// seats knows who of those who are here has which name: two who are called alike could be taken for each other. It is empty after a start,
// and then whoever comes first has the name.
type seats struct {
	max int // names; beyond, nobody is refused

	mu     sync.Mutex
	byName map[string]seat // by how the name looks
}

type seat struct {
	user    community.UserID
	streams int       // open event streams
	until   time.Time // taken at least so long
}

func newSeats(max int) *seats { return &seats{max: max, byName: map[string]seat{}} }

// looks is the same for names that people take for each other.
func looks(name string) string {
	if l := hygiene.Alike(name); l != "" {
		return l
	}
	return strings.ToLower(name) // of signs only
}

// take tells whether a visitor may have a name now, and keeps it for seatGrace.
func (s *seats) take(user community.UserID, name string, now time.Time) bool {
	return s.change(user, name, now, 0)
}

// sit keeps a name as long as an event stream is open; stand must follow when it was free.
func (s *seats) sit(user community.UserID, name string, now time.Time) bool {
	return s.change(user, name, now, 1)
}

func (s *seats) stand(user community.UserID, name string, now time.Time) {
	s.change(user, name, now, -1)
}

// hand gives somebody's name to the identity that this person has from now on.
func (s *seats) hand(name string, from, to community.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is, taken := s.byName[looks(name)]; taken && is.user == from {
		s.byName[looks(name)] = seat{user: to, until: is.until}
	}
}

func (s *seats) change(user community.UserID, name string, now time.Time, streams int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := looks(name)
	is, taken := s.byName[key]
	if taken && is.user != user && (is.streams > 0 || now.Before(is.until)) {
		return false
	}
	if is.user != user {
		if streams < 0 {
			return false // the name went to another one meanwhile
		}
		is = seat{user: user}
	}
	is.streams, is.until = max(0, is.streams+streams), now.Add(seatGrace)
	if !taken && len(s.byName) >= s.max {
		for k, v := range s.byName {
			if v.streams == 0 && !now.Before(v.until) {
				delete(s.byName, k)
			}
		}
		if len(s.byName) >= s.max {
			return true
		}
	}
	s.byName[key] = is
	return true
}
