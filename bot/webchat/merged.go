package webchat

import (
	"context"
	"fmt"

	"potluck/community"
)

// merged reads the events of several chats that a visitor may see, in the order of their ids, a page of each at a time.
type merged struct {
	store   Store
	user    community.UserID
	sources []*source
}

// source is one chat of a merged.
type source struct {
	chat   string
	events []PageEvent // read and not yet taken
	after  int64       // everything up to this id was read
	ended  bool        // nothing was behind that
}

// merge begins behind what the stream has sent.
func (st *stream) merge() *merged {
	m := &merged{store: st.page.config.Store, user: st.user}
	for _, chat := range st.chats {
		m.sources = append(m.sources, &source{chat: chat, after: st.after(chat)})
	}
	return m
}

// next takes the oldest event that is left, and tells in which chat it is; ok is false at the end.
func (m *merged) next(ctx context.Context) (chat string, e PageEvent, ok bool, err error) {
	var oldest *source
	for _, s := range m.sources {
		if err := m.fill(ctx, s); err != nil {
			return "", e, false, err
		}
		if len(s.events) > 0 && (oldest == nil || s.events[0].ID < oldest.events[0].ID) {
			oldest = s
		}
	}
	if oldest == nil {
		return "", e, false, nil
	}
	e, oldest.events = oldest.events[0], oldest.events[1:]
	return oldest.chat, e, true, nil
}

// fill reads on in a chat of which nothing is left.
func (m *merged) fill(ctx context.Context, s *source) (err error) {
	if len(s.events) > 0 || s.ended {
		return nil
	}
	if s.events, err = m.store.Events(ctx, s.chat, m.user, s.after, replayPage); err != nil {
		return fmt.Errorf("read page events: %w", err)
	}
	s.ended = len(s.events) < replayPage
	if len(s.events) > 0 {
		s.after = s.events[len(s.events)-1].ID
	}
	return nil
}
