package storage_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"potluck/storage"
	"potluck/storage/storagetest"
)

// A child process has every file of its parent between fork and exec; the database must not stay locked for so long.
func TestCloseFreesTheDatabaseWhileAChildStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "potluck.db")
	db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		t.Fatal(err)
	}
	child := duplicate(t, path+".lock")
	defer syscall.Close(child)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := storage.Open(t.Context(), storage.Config{Path: path, Key: storagetest.Key})
	if err != nil {
		t.Fatalf("the database stays locked: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// duplicate shares the open file of that name, as fork does.
func duplicate(t *testing.T, path string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range all {
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		copied, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		return copied
	}
	t.Fatalf("%s is not open", path)
	return -1
}
