//go:build unix

package imagegen

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"potluck/workers"
)

// 64 results that came at once were read into memory, 8 MiB a picture, before they waited for a slot.
func TestPictureIsReadOnlyInASlot(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	g, out := gate{width: 64, height: 64, count: 1}, make(chan error)
	go func() {
		_, err := g.pictures(workers.Result{Blobs: []string{pipe}})
		out <- err
	}()
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the other side is about to read
	if err != nil {
		t.Fatal(err)
	}
	if len(decoding) != 1 {
		t.Errorf("%d slots are taken while a picture is read, want 1", len(decoding))
	}
	if _, err := w.Write(asPNG(painted(64, 64))); err != nil {
		t.Error(err)
	}
	w.Close()
	if err := <-out; err != nil {
		t.Error(err)
	}
}
