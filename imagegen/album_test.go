package imagegen

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAlbum(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pictures")
	a, err := NewAlbum(folder)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("ab", 32) + ".png"
	if _, err := a.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unknown: %v", err)
	}
	var wg sync.WaitGroup
	for range 8 { // the same picture may be kept twice at once
		wg.Go(func() {
			if err := a.Keep(name, []byte("picture")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := a.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(got) != "picture" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("%d files", len(entries))
	}

	for _, bad := range []string{"", "x.png", "../" + name, name + "/", strings.ToUpper(name), name[1:], name + "\x00", strings.Repeat("a", 64) + ".jpg", "/etc/passwd", name + "\n"} {
		if err := a.Keep(bad, []byte("x")); err == nil {
			t.Errorf("kept %q", bad)
		}
		if _, err := a.Open(bad); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opened %q: %v", bad, err)
		}
	}
}

func TestAlbumForgets(t *testing.T) {
	folder := t.TempDir()
	a, err := NewAlbum(folder)
	if err != nil {
		t.Fatal(err)
	}
	old, young := strings.Repeat("a", 64)+".png", strings.Repeat("b", 64)+".png"
	for _, name := range []string{old, young} {
		if err := a.Keep(name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	cut := time.Now().Add(-time.Hour)
	for _, name := range []string{old, tempPrefix + "x", "notes.txt"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, cut, cut.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := a.Forget(cut); n != 2 || err != nil {
		t.Errorf("%d gone, %v", n, err)
	}
	if _, err := a.Open(old); err == nil {
		t.Error("the old picture is still there")
	}
	for _, name := range []string{young, "notes.txt"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
}
