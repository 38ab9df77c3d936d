package workers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/community"
	"potluck/workers/protocol"
)

// Killed between forgetting a result and deleting its picture, the bot deletes the picture at its next start, and nothing that is needed.
func TestStartDeletesPicturesThatNobodyNeeds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.end()
		kept, gone := strings.Repeat("a", 32)+"-1", strings.Repeat("b", 32)+"-1"
		for _, name := range []string{kept, gone, ".upload-123", "notes.txt"} {
			if err := os.WriteFile(filepath.Join(b.cfg.BlobDir, name), []byte("picture"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b.store.jobs = append(b.store.jobs, &Job{
			ID: 1, Kind: protocol.Image, Origin: Origin{Key: "r1:draw", Member: community.MemberID(1)}, State: Done,
			Result: &Result{Blobs: []string{filepath.Join(b.cfg.BlobDir, kept)}},
		})
		b.begin()
		b.decided()
		var left []string
		files, err := os.ReadDir(b.cfg.BlobDir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			left = append(left, f.Name())
		}
		if got := strings.Join(left, " "); got != kept+" notes.txt" {
			t.Errorf("left: %s", got)
		}
	})
}
