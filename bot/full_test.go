package bot_test

import (
	"context"
	"sync/atomic"
	"testing"

	"potluck/bot"
	"potluck/faketime"
	"potluck/fault"
)

// fullStore keeps no request while the disk is full.
type fullStore struct {
	bot.Store
	full atomic.Bool
}

func (s *fullStore) Accept(ctx context.Context, r bot.Request) (bool, error) {
	if s.full.Load() {
		return false, fault.New(fault.Storage)
	}
	return s.Store.Accept(ctx, r)
}

func TestFullDiskIsToldWithoutARequest(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		h := open(t, bot.Config{Commands: []bot.Command{echo("echo")}})
		h.close()
		store := &fullStore{Store: h.m}
		h.config.Store = store
		h.start()
		store.full.Store(true)
		if err := h.p.Say(t.Context(), "lobby", "ann", "/echo nobody keeps this"); !fault.Has(err, fault.Storage) {
			t.Errorf("the platform heard %v, want fault.Storage: it may deliver the event again", err)
		}
		faketime.Wait()
		h.want("fault.storage")
		store.full.Store(false)
		h.say("ann", "/echo there is room again")
		h.settle()
		h.want("fault.storage", "there is room again")
	})
}
