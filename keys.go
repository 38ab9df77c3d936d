package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"potluck/community"
	"potluck/storage"
)

// keyFiles stand in the data folder, outside of the database: the seed of the server's ed25519 key, and the key that seals private columns of
// the database.
var keyFiles = []string{"server.key", "secret.key"}

// withoutKey is what the loss of each costs.
var withoutKey = map[string]string{
	"server.key": "without server.key every worker must be linked anew",
	"secret.key": "without secret.key no text in the database can be read: what waits, buttons, conversations and the page's history are lost",
}

// databaseIn tells whether the data folder has a database, and refuses to take a folder for new in which a house lived: a first start that was cut
// off leaves keys, but no picture.
func databaseIn(dir string) (bool, error) {
	path := filepath.Join(dir, "potluck.db")
	there, err := storage.There(path)
	if there || err != nil {
		return there, err
	}
	if _, err := os.Stat(filepath.Join(dir, "secret.key")); err != nil {
		return false, nil
	}
	pictures, err := filepath.Glob(filepath.Join(dir, "pictures", "*.png"))
	if err != nil || len(pictures) == 0 {
		return false, nil
	}
	return false, fmt.Errorf("the database %s is gone, but its key and pictures are still there: put it back with its -wal file, or restore the latest backup; "+
		"to begin anew, choose another folder with data_dir or POTLUCK_DATA_DIR", path)
}

// houseKeys returns secret.key and the seed in server.key. The first start draws them. Beside a database no key is ever drawn: it would fit
// nothing, and hide that the right one is missing.
func houseKeys(dir string) (secret, seed []byte, err error) {
	path := filepath.Join(dir, "potluck.db")
	there, err := databaseIn(dir)
	if err != nil {
		return nil, nil, err
	}
	get := drawKey
	if there {
		get = readKey
		if err := storage.CheckHeader(path); err != nil {
			return nil, nil, err // no key is missing beside what is no database
		}
		if err := missingKeys(dir, keyFiles...); err != nil {
			return nil, nil, err
		}
	}
	if secret, err = get(dir, "secret.key"); err != nil {
		return nil, nil, err
	}
	seed, err = get(dir, "server.key")
	return secret, seed, err
}

// missingKeys says in one sentence which of these keys are not in the folder, where they are to be found, and what it costs to go on without.
func missingKeys(dir string, names ...string) error {
	var paths, costs []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			paths, costs = append(paths, path), append(costs, withoutKey[name])
		}
	}
	switch len(paths) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("the key %s is missing beside its database: put it back from where you keep it (potluck backup says to copy it); "+
			"if it is lost for good, potluck keys -new makes another one, but %s", paths[0], costs[0])
	}
	return fmt.Errorf("the keys %s are missing beside their database: put them back from where you keep them (potluck backup says to copy them); "+
		"if they are lost for good, potluck keys -new makes others, but %s", strings.Join(paths, " and "), strings.Join(costs, "; "))
}

// readKey returns the 32 bytes of that file in the data folder; fs.ErrNotExist when there is none.
func readKey(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key %s is missing (%w): put it back from where you keep it", path, reason(err))
	case err != nil:
		return nil, fmt.Errorf("the key %s cannot be read (%w): mend its permissions, or put it back from where you keep it", path, reason(err))
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

// databaseOf is how the database in a data folder is opened with its keys. A key that is nil is not looked at: only reading goes without.
func databaseOf(dir string, secret, seed []byte, log *slog.Logger) storage.Config {
	c := storage.Config{Path: filepath.Join(dir, "potluck.db"), Key: secret, Log: log}
	if seed != nil {
		c.Server = ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	}
	return c
}

// drawKey is readKey, but makes a key where there is none.
func drawKey(dir, name string) ([]byte, error) {
	b, err := readKey(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return newKey(filepath.Join(dir, name))
	}
	return b, err
}

// newKey draws a key, which gets its name only when it is on the disk as a whole: after a power cut there is the key or none, never an empty
// one. A key that is lost takes every sealed column with it.
func newKey(path string) ([]byte, error) {
	b := make([]byte, ed25519.SeedSize)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return saveKey(path, b)
}

// saveKey keeps b under that name and returns it, or the key that another process has put there meanwhile.
func saveKey(path string, b []byte) ([]byte, error) {
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
		return readKey(dir, name) // another process was first
	}
	if err != nil { // a file system without hard links
		err = os.Rename(f.Name(), path)
	}
	if err := errors.Join(err, storage.SyncFolder(dir)); err != nil {
		return nil, fmt.Errorf("the key %s cannot be written: %w", path, err)
	}
	return b, nil
}

// householdOf is the same for an address all day long (UTC), another one the next day, and says nothing of it.
func householdOf(key []byte, address string, now time.Time) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("household\n" + now.UTC().Format(time.DateOnly) + "\n" + address))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// aliasOf is the same for an identity as long as the key is, and says of it only the platform.
func aliasOf(key []byte, id community.UserID) community.UserID {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("allowance\n" + string(id)))
	return community.UserID(community.Platform(id) + ":" + hex.EncodeToString(mac.Sum(nil)[:16]))
}
