package workers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"potluck/workers/protocol"
)

// cuttable is a store below which the power can fail right after a result was saved: what was not synced by then is gone. A store is durable by itself.
type cuttable struct {
	Store
	synced func() map[string]bool
	wrong  func(string)
}

func (c cuttable) Finish(ctx context.Context, s Settlement) error {
	synced := c.synced()
	for _, path := range s.Result.Blobs {
		if !synced[path] || !synced[filepath.Dir(path)] {
			c.wrong(path)
			if err := os.Remove(path); err != nil {
				c.wrong(err.Error())
			}
		}
	}
	return c.Store.Finish(ctx, s)
}

// watchSyncs records which files and folders were synced; refuse may fail such a call.
func watchSyncs(t *testing.T, refuse func() error) (synced func() map[string]bool) {
	var mu sync.Mutex
	seen, really := map[string]bool{}, fsync
	fsync = func(f *os.File) error {
		if err := refuse(); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		seen[f.Name()] = true
		return really(f)
	}
	t.Cleanup(func() { fsync = really })
	return func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// A job was paid before its picture was on the disk: a power cut then left a payment and an apology.
func TestPictureIsOnTheDiskBeforeItIsPaid(t *testing.T) {
	synced := watchSyncs(t, func() error { return nil })
	inBubble(t, func(t *testing.T, b *bed) {
		b.over = func(s Store) Store {
			return cuttable{s, synced, func(what string) { t.Error("not on the disk: ", what) }}
		}
		b.end()
		b.begin()
		h := b.decided().enlist(9).connect()
		defer h.close()
		j := picture("r1")
		j.Image.Count = 2
		c := b.do(j)
		a := h.take()
		h.put(a.Lease, firstPreview, []byte("a preview"))
		for n := range 2 {
			h.put(a.Lease, n+1, []byte("a picture"))
		}
		if len(synced()) > 0 {
			t.Error("an upload alone is no reason to make other writes wait")
		}
		h.done(a.Lease, protocol.Done{Blobs: 2})
		for _, path := range c.ok().Blobs {
			if got, err := os.ReadFile(path); string(got) != "a picture" {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

// Below a disk that takes no picture nothing is paid, and nobody is blamed.
func TestPictureThatTheDiskRefusesIsDrawnAgain(t *testing.T) {
	refusals := 1
	watchSyncs(t, func() error {
		if refusals--; refusals >= 0 {
			return errors.New("input/output error")
		}
		return nil
	})
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		c := b.do(picture("r1"))
		for range 2 {
			a := h.take()
			h.put(a.Lease, 1, []byte("a picture"))
			h.done(a.Lease, protocol.Done{Blobs: 1})
			want[protocol.Ack](h)
		}
		c.ok()
		b.settledOnce(1)
	})
}
