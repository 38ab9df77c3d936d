package storage_test

import (
	"testing"

	"potluck/community"
	"potluck/ledger"
	"potluck/storage"
)

// A group that becomes a supergroup keeps its settings, its trust in machines and its pool under the new id, also when the first
// message of the new one came before.
func TestMovedGroupKeepsWhatItHas(t *testing.T) {
	for _, early := range []bool{false, true} {
		w, ctx := newWorld(t), t.Context()
		credits := &storage.Credits{DB: w.db}
		const from, to = "telegram:-5", "telegram:-100"
		c, err := w.people.Chat(ctx, community.Chat{ID: from, Community: from, Name: "Kitchen"})
		w.ok(err)
		w.ok(w.people.SetSetting(ctx, from, "off.ask@"+from, "yes", 0, now))
		w.ok(w.people.SetSetting(ctx, from, "limit.daily", "20", 0, now))
		if _, err := credits.GrantPool(ctx, from, 70*ledger.Credit, now); err != nil {
			t.Fatal(err)
		}
		if early {
			_, err := w.people.Chat(ctx, community.Chat{ID: to, Community: to, Name: "Kitchen"})
			w.ok(err)
		}
		for range 2 {
			w.ok(w.people.MoveChat(ctx, from, to))
		}
		moved, err := w.people.Chat(ctx, community.Chat{ID: to, Community: to, Name: "Kitchen"})
		w.ok(err)
		if !early && moved.Row != c.Row {
			t.Errorf("the chat is %+v, it was %+v", moved, c)
		}
		for name, want := range map[string]string{"off.ask@" + to: "yes", "limit.daily": "20"} {
			if v, ok, err := w.people.Setting(ctx, to, name); err != nil || !ok || v != want {
				t.Errorf("%s is %q %t %v", name, v, ok, err)
			}
		}
		if pool, err := credits.PoolBalance(ctx, to); err != nil || pool != 70*ledger.Credit {
			t.Errorf("the pool has %v, %v", pool, err)
		}
	}
}
