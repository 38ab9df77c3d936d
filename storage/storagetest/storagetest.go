// Package storagetest opens a fresh database for a test.
package storagetest

import (
	"context"
	"path/filepath"
	"testing"

	"potluck/storage"
)

// Key seals the columns of every test database.
var Key = []byte("potluck test key, never used else")[:32]

// Open returns a migrated, empty database in a folder of its own; it is closed when the test ends.
func Open(t testing.TB) *storage.DB {
	t.Helper()
	return OpenPath(t, filepath.Join(t.TempDir(), "potluck.db"))
}

// OpenPath opens the database of an earlier OpenPath again, or a new one. Closing it early is allowed.
func OpenPath(t testing.TB, path string) *storage.DB {
	t.Helper()
	db, err := storage.Open(context.Background(), storage.Config{Path: path, Key: Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}
