package bot_test

import (
	"testing"

	"potluck/bot"
)

func TestRecentForgetsTheOldest(t *testing.T) {
	r := bot.NewRecent[int](3)
	there := func(key string, want int) {
		t.Helper()
		if v, ok := r.Get(key); v != want || ok != (want != 0) {
			t.Errorf("%s: %d, %t", key, v, ok)
		}
	}
	for i, key := range []string{"a", "b", "c"} {
		r.Put(key, i+1)
	}
	r.Put("b", 20)
	r.Put("d", 4)
	there("a", 0)
	there("b", 20)
	there("d", 4)
	if r.First("d", 5) || !r.First("e", 5) {
		t.Error("First: d was there, e was not")
	}
	there("b", 0)
	there("d", 4)

	// What was dropped and comes back is as young as it is new: its old place takes nothing away.
	r.Drop("d")
	there("d", 0)
	r.Put("d", 40) // in the place of c
	r.Put("f", 6)  // in the old place of d
	there("d", 40)
	there("e", 5)
	there("f", 6)
	r.Put("", 1)
	there("", 0)
}
