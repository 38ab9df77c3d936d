package operator

import (
	"testing"
	"time"

	"potluck/community"
	"potluck/workers"
	"potluck/workers/protocol"
)

// One job waits from the middle of the last stretch but two until the middle of the last but one, one waits for 6 s within the last but two, one is
// still waiting since the last one began, half a minute ago.
func TestDepthIsTheTimeThatJobsStood(t *testing.T) {
	s := span{time.Minute, 4}
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	at := now.Truncate(time.Minute).UnixMilli() / 60_000
	all := make([]Ended, 4)
	all[2].Stays = []Stay{{Came: at - 2, Left: at - 1, Jobs: 1, In: 30 * time.Second, Out: 30 * time.Second}}
	all[3].Stays = []Stay{{Came: at - 2, Left: at - 2, Jobs: 1, In: 4 * time.Second, Out: 10 * time.Second}, {Came: at - 9, Left: at - 8, Jobs: 5}}
	line := []Line{{Open: []Open{{Came: now.Add(-30 * time.Second)}, {Came: now, Left: now.Add(-time.Hour)}}}}
	want := []float64{0, 0.6, 0.5, 1}
	for i, got := range depth(s, now, all, line) {
		if got < want[i]-0.001 || got > want[i]+0.001 {
			t.Errorf("stretch %d: %v jobs stood in line, want %v", i, got, want[i])
		}
	}
}

func TestOwnersBeyondTheFirstAreAddedUp(t *testing.T) {
	e := Ended{}
	for id := community.MemberID(1); id <= 8; id++ {
		e.Groups = append(e.Groups, Group{Kind: protocol.Chat, State: workers.Done, Earner: id, Jobs: 1, Seconds: float64(id)})
	}
	e.Groups = append(e.Groups, Group{Kind: protocol.Image, State: workers.Failed, Jobs: 2}, Group{Kind: protocol.Image, State: workers.Cancelled, Jobs: 2})
	c := draw(span{time.Hour, 1}, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), []Ended{e}, nil)
	if len(c.Owners) != maxOwners+1 || c.Owners[0].Owner != 8 || c.Owners[maxOwners].Owner != 0 || c.Owners[maxOwners].Seconds[0] != 1+2+3 {
		t.Errorf("owners %+v", c.Owners)
	}
	if c.Done[protocol.Chat][0] != 8 || c.Done[protocol.Image][0] != 0 || c.Failed[0] != 2 || c.P50[0] != -1 {
		t.Errorf("%+v", c)
	}
}
