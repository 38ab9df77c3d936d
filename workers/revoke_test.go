package workers

import (
	"context"
	"testing"
	"time"

	"potluck/community"
	"potluck/workers/protocol"
)

// betweenJoinAndArrival does something after a worker was linked, before the pool knows.
type betweenJoinAndArrival struct {
	Store
	do func(Worker)
}

func (s betweenJoinAndArrival) Enrol(ctx context.Context, hash [32]byte, key []byte, hw protocol.Hardware, most int, now time.Time) (Worker, error) {
	w, err := s.Store.Enrol(ctx, hash, key, hw, most, now)
	if err == nil {
		s.do(w)
	}
	return w, err
}

// A worker that was unlinked in the moment when it was linked came in all the same.
func TestRevokeBetweenJoinAndArrival(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		owner := community.Member{ID: 9}
		revoke := true
		b.over = func(s Store) Store {
			return betweenJoinAndArrival{s, func(w Worker) {
				if revoke {
					if err := b.pool.Revoke(t.Context(), w.ID, owner); err != nil {
						t.Error(err)
					}
				}
			}}
		}
		b.begin()
		link := func() string {
			join, _, err := b.pool.Link(t.Context(), owner, "GPU", true)
			if err != nil {
				t.Fatal(err)
			}
			return join.Code
		}
		h := b.stranger().join(link())
		h.refused(protocol.ByeRevoked)
		h.connect().refused(protocol.ByeRevoked)
		// Linked again, it is welcome: what was before does not count.
		revoke = false
		if h.join(link()); h.bye != nil {
			t.Fatalf("linked again and answered %+v", h.bye)
		}
		h.close()
		if h.connect(); h.bye != nil {
			t.Fatalf("answered %+v", h.bye)
		}
		h.close()
	})
}
