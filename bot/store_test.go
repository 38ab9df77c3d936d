package bot_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"potluck/bot"
	"potluck/community"
)

var errKilled = errors.New("the process is gone")

// memory is a bot.Store and a bot.People. After kill nothing is written any more until revive, as when the process has died.
type memory struct {
	mu       sync.Mutex
	killed   bool
	requests map[string]bot.Request
	order    []string
	events   map[string]bool
	actions  map[string]bot.Action
	sent     map[string]string
	members  map[community.UserID]community.Member
	erased   []string
	starts   map[string]int
	moved    []string
	settings func(*community.Member)
}

func newMemory() *memory {
	return &memory{
		requests: make(map[string]bot.Request), events: make(map[string]bool), actions: make(map[string]bot.Action),
		sent: make(map[string]string), starts: make(map[string]int), members: make(map[community.UserID]community.Member),
	}
}

func (m *memory) setKilled(k bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killed = k
}

func (m *memory) do(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.killed {
		return errKilled
	}
	f()
	return nil
}

func (m *memory) Accept(_ context.Context, r bot.Request) (ok bool, err error) {
	err = m.do(func() {
		if ok = !m.events[r.Event]; ok {
			m.events[r.Event], m.requests[r.ID] = true, r
			m.order = append(m.order, r.ID)
		}
	})
	return ok, err
}

func (m *memory) SetReply(_ context.Context, id string, parts []community.MessageID) error {
	return m.do(func() { r := m.requests[id]; r.Reply = slices.Clone(parts); m.requests[id] = r })
}

func (m *memory) SetState(_ context.Context, id string, s bot.RequestState) error {
	return m.do(func() {
		if r := m.requests[id]; r.State != bot.Delivered {
			r.State = s
			m.requests[id] = r
		}
	})
}

func (m *memory) CountStart(_ context.Context, id string, by int) (starts int, err error) {
	err = m.do(func() { m.starts[id] = max(0, m.starts[id]+by); starts = m.starts[id] })
	return starts, err
}

func (m *memory) Request(_ context.Context, id string) (r bot.Request, ok bool, err error) {
	err = m.do(func() { r, ok = m.requests[id] })
	return r, ok, err
}

func (m *memory) Asked(_ context.Context, chat community.ChatID, source community.MessageID) (list []bot.Request, err error) {
	err = m.do(func() {
		for _, id := range m.order {
			if q := m.requests[id]; q.Chat.ID == chat && q.Source == source {
				list = append(list, q)
			}
		}
	})
	return list, err
}

func (m *memory) Unfinished(context.Context) (list []bot.Request, err error) {
	err = m.do(func() {
		for _, id := range m.order {
			if r := m.requests[id]; r.State != bot.Delivered {
				list = append(list, r)
			}
		}
	})
	return list, err
}

func (m *memory) SaveActions(_ context.Context, actions []bot.Action) error {
	return m.do(func() {
		for _, a := range actions {
			m.actions[a.ID] = a
		}
	})
}

func (m *memory) Action(_ context.Context, id string) (a bot.Action, ok bool, err error) {
	err = m.do(func() { a, ok = m.actions[id] })
	return a, ok, err
}

func (m *memory) DropActions(_ context.Context, request string, names ...string) error {
	return m.do(func() {
		maps.DeleteFunc(m.actions, func(_ string, a bot.Action) bool {
			return a.Request == request && (len(names) == 0 || slices.Contains(names, a.Name))
		})
	})
}

func (m *memory) Sent(_ context.Context, chat community.ChatID, parts []community.MessageID, request string, _ time.Time) error {
	return m.do(func() {
		for _, p := range parts {
			m.sent[string(chat)+" "+string(p)] = request
		}
	})
}

func (m *memory) RequestOf(_ context.Context, chat community.ChatID, id community.MessageID) (request string, ok bool, err error) {
	err = m.do(func() { request, ok = m.sent[string(chat)+" "+string(id)] })
	return request, ok, err
}

func (m *memory) Forget(context.Context, time.Time) error { return m.do(func() {}) }

func (m *memory) Erase(_ context.Context, request string) error {
	return m.do(func() { m.erased = append(m.erased, request) })
}

func (m *memory) Chat(_ context.Context, c community.Chat) (community.Chat, error) {
	c.Row = 1
	return c, m.do(func() {})
}

func (m *memory) Member(_ context.Context, u community.UserID, name string, _ time.Time) (mem community.Member, err error) {
	err = m.do(func() {
		var ok bool
		if mem, ok = m.members[u]; !ok {
			mem = community.Member{ID: community.MemberID(len(m.members) + 1), Name: name}
			if m.settings != nil {
				m.settings(&mem)
			}
			m.members[u] = mem
		}
	})
	return mem, err
}

func (m *memory) MemberByID(_ context.Context, id community.MemberID) (mem community.Member, err error) {
	e := m.do(func() {
		err = errors.New("no such member")
		for _, x := range m.members {
			if x.ID == id {
				mem, err = x, nil
			}
		}
	})
	return mem, errors.Join(e, err)
}

func (m *memory) MoveChat(_ context.Context, from, to community.ChatID) error {
	return m.do(func() { m.moved = append(m.moved, string(from)+" → "+string(to)) })
}

func (m *memory) states() map[bot.RequestState]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := make(map[bot.RequestState]int)
	for _, r := range m.requests {
		n[r.State]++
	}
	return n
}
