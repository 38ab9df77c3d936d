package powercut

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// The model itself: what was synced stays, what was not may go, in parts.
func TestPowerModelKeepsWhatWasSyncedAndNothingElse(t *testing.T) {
	a, b := bytes.Repeat([]byte("a"), 2*sector), bytes.Repeat([]byte("b"), 2*sector)
	d := NewDisk(map[string][]byte{"old": []byte("old")}, nil)
	run := func(all ...Record) {
		for _, r := range all {
			d.Do(r)
		}
	}
	run(Record{what: opened, file: 1, data: []byte("new")}, Record{what: written, file: 1, data: a}, Record{what: synced, file: 1})
	if got := d.Cut(nil); len(got) != 1 || string(got["old"]) != "old" {
		t.Errorf("a file whose folder was not synced is there: %v", slices.Collect(maps.Keys(got)))
	}
	run(Record{what: folderSynced}, Record{what: written, file: 1, offset: sector, data: b}, Record{what: unlinked, data: []byte("old")})
	if got := d.Cut(nil); !bytes.Equal(got["new"], a) || string(got["old"]) != "old" {
		t.Errorf("without a sync something changed: %q", got)
	}
	seen := map[string]int{}
	for seed := range uint64(500) {
		got := d.Cut(rand.New(rand.NewPCG(seed, 0)))
		content := resized(got["new"], 3*sector)
		for i := range 3 {
			if part := content[i*sector : (i+1)*sector]; bytes.Count(part, part[:1]) != sector {
				t.Fatalf("a sector is torn: %q", part)
			}
		}
		_, old := got["old"]
		seen[fmt.Sprintf("%c%c%c %v", content[0], content[sector], content[2*sector], old)]++
	}
	for _, want := range []string{"aa\x00 true", "aa\x00 false", "ab\x00 false", "aab true", "abb false", "abb true"} {
		if seen[want] == 0 {
			t.Errorf("%q was never seen: %v", want, seen)
		}
	}
	if len(seen) > 8 {
		t.Errorf("what was synced did not stay: %v", seen)
	}
	run(Record{what: truncated, file: 1, offset: 3}, Record{what: synced, file: 1}, Record{what: folderSynced})
	if got := d.Cut(nil); len(got) != 1 || string(got["new"]) != "aaa" {
		t.Errorf("after the syncs: %q", got)
	}
}
