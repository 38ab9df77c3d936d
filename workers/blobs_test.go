package workers

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/community"
	"potluck/faketime"
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

// With the folder gone no picture succeeded until a restart, and the workers were blamed.
func TestFolderOfPicturesComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect()
		defer h.close()
		img := asked("r1", 1)
		img.Kind, img.Chat, img.Image = protocol.Image, nil, &protocol.ImageJob{Prompt: "a cat", Width: 64, Height: 64, Steps: 4, Count: 1}
		call := b.do(img)
		a := h.take()
		if err := os.RemoveAll(b.cfg.BlobDir); err != nil {
			t.Fatal(err)
		}
		if got := h.put(a.Lease, 1, []byte("picture")); got != http.StatusNoContent {
			t.Fatalf("the upload was answered with %d", got)
		}
		h.done(a.Lease, protocol.Done{Blobs: 1})
		call.ok()
	})
}

// A lease's input pictures could be fetched as often and by as many connections at once as its worker liked.
func TestHostileDownloadsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect(func(f *protocol.Hello) { f.Offers[0].Features = []string{protocol.FeatureVision} })
		defer h.close()
		j := asked("r1", 1)
		j.Input = [][]byte{bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<20)}
		j.Chat.Messages[0].Images, j.Features = []int{1, 2}, []string{protocol.FeatureVision}
		c := b.do(j)
		a := h.take()
		var hanging []*http.Response
		for range uploadsAtOnce { // they are begun and not read on
			hanging = append(hanging, h.blob(http.MethodGet, a.Lease, 1, nil))
		}
		more := h.blob(http.MethodGet, a.Lease, 2, nil)
		if more.Body.Close(); more.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more at once: %d", more.StatusCode)
		}
		for _, resp := range hanging {
			resp.Body.Close()
		}
		faketime.Wait()
		fetched := len(hanging)
		for ; fetched < 100; fetched++ {
			resp := h.blob(http.MethodGet, a.Lease, 1+fetched%2, nil)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				break
			}
			if err != nil || !bytes.Equal(body, j.Input[fetched%2]) {
				t.Errorf("picture %d: %d bytes, %v", 1+fetched%2, len(body), err)
			}
		}
		if fetched != sendsOfEach*len(j.Input) {
			t.Errorf("fetched %d times", fetched)
		}
		h.done(a.Lease, protocol.Done{Text: "two pictures"})
		c.ok()
	})
}
