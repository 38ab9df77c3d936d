package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"potluck/storage"
)

// loadKey returns the secret of that file name in the data folder, drawing it at the first start. It is 32 bytes: the seed of the server's
// ed25519 key (server.key), or the key that seals private columns of the database (secret.key).
func loadKey(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newKey(path)
	case err != nil:
		return nil, fmt.Errorf("the key %s cannot be read: %w", path, err)
	case len(b) != ed25519.SeedSize:
		return nil, fmt.Errorf("the key %s is damaged (%d bytes, want %d): put it back from your backup", path, len(b), ed25519.SeedSize)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && keepsModes {
		return nil, fmt.Errorf("the key %s can be read by others: run chmod 600 %s", path, path)
	}
	return b, nil
}

// newKey draws a key, which gets its name only when it is on the disk as a whole: after a power cut there is the key or none, never an empty
// one. A key that is lost takes every sealed column with it.
func newKey(path string) ([]byte, error) {
	b := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(dir, name+".new-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("the key %s cannot be written: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("the key %s cannot be written: %w", path, err)
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return loadKey(dir, name) // another process was first
	}
	if err != nil { // a file system without hard links
		err = os.Rename(f.Name(), path)
	}
	if err := errors.Join(err, storage.SyncFolder(dir)); err != nil {
		return nil, fmt.Errorf("the key %s cannot be written: %w", path, err)
	}
	return b, nil
}
