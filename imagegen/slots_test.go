package imagegen

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"potluck/workers"
)

// Previews took the decoder from the results of others.
func TestPreviewIsLeftOutWhileResultsAreDecoded(t *testing.T) {
	for range cap(decoding) {
		decoding <- struct{}{}
	}
	preview := asJPEG(painted(64, 64))
	if _, err := SafePreview(preview); !errors.Is(err, errBusy) {
		t.Errorf("a preview without a slot: %v", err)
	}
	told := 0
	tell := safe(func(workers.Event) { told++ })
	tell(workers.Event{Kind: workers.Preview, Preview: preview})
	<-decoding
	tell(workers.Event{Kind: workers.Preview, Preview: preview})
	<-decoding
	if told != 1 {
		t.Errorf("%d previews were shown, want the second", told)
	}
	if len(decoding) != 0 {
		t.Error("a preview kept its slot")
	}
}

// A refused picture gives its slot back, whatever was wrong with it.
func TestSlotsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picture")
	for range 3 * cap(decoding) {
		for _, data := range [][]byte{nil, []byte("no picture"), bomb(60_000, 60_000), asPNG(painted(64, 64))[:100]} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := checkedFile(path, 64, 64); err == nil {
				t.Fatalf("%d bytes pass", len(data))
			}
			if _, err := SafePreview(data); err == nil || errors.Is(err, errBusy) {
				t.Fatalf("%d bytes as a preview: %v", len(data), err)
			}
		}
		if _, err := checkedFile(filepath.Join(t.TempDir(), "nothing"), 64, 64); !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func BenchmarkSafePreview(b *testing.B) {
	data := asJPEG(painted(1024, 1024))
	for b.Loop() {
		if _, err := SafePreview(data); err != nil {
			b.Fatal(err)
		}
	}
}
