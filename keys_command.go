package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"potluck/storage"
)

// keys says which keys are here and what it costs to lose them. With -new it makes those that are missing, for whoever really lost them.
func keys(ctx context.Context, c call) error {
	dir := c.config.DataDir
	there, err := databaseIn(dir)
	if err != nil {
		return err
	}
	if !there {
		fmt.Fprintf(c.out, "There is no database in %s: the first potluck serve draws both keys.\n", dir)
		return nil
	}
	if err := keysFit(ctx, c); err != nil {
		return err
	}
	for _, name := range keyFiles {
		_, err := readKey(dir, name)
		switch missing := errors.Is(err, fs.ErrNotExist); {
		case err == nil:
			fmt.Fprintf(c.out, "%s is there\n", name)
		case !missing:
			return err
		case !c.newKeys:
			fmt.Fprintf(c.out, "%s is MISSING: %s\n", name, withoutKey[name])
		case name == "server.key":
			if err := storage.ForgetServer(ctx, databaseOf(dir, nil, nil, c.log)); err != nil {
				return err // without that the new key would be refused
			}
			if _, err := newKey(filepath.Join(dir, name)); err != nil {
				return err
			}
			fmt.Fprintln(c.out, "server.key is new: every worker must be linked anew, with /worker link")
		default:
			given, err := replaceSecret(ctx, c)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.out, "secret.key is new: the texts in the database are erased, %d jobs that were under way are given up and refunded; people, workers, settings and credits stay\n", given)
		}
	}
	if c.newKeys {
		fmt.Fprintln(c.out, "Keep a copy of both keys in another safe place.")
		return nil
	}
	return missingKeys(dir, keyFiles...)
}

// keysFit refuses keys of another database, before anything is made. One that is missing or cannot be used is not looked at: that is said in its turn.
func keysFit(ctx context.Context, c call) error {
	secret, _ := readKey(c.config.DataDir, "secret.key")
	seed, _ := readKey(c.config.DataDir, "server.key")
	db, err := storage.OpenBeside(ctx, databaseOf(c.config.DataDir, secret, seed, c.log))
	switch {
	case err == nil:
		return db.Close()
	case errors.Is(err, storage.ErrOlder), errors.Is(err, storage.ErrUnfinished): // its key was looked at first, or there is none yet
		return nil
	}
	return err
}

// replaceSecret gives the database a new key before the key has its file: cut off in between, it is done once more, and nothing is left to lose.
func replaceSecret(ctx context.Context, c call) (given int, err error) {
	fresh := make([]byte, ed25519.SeedSize)
	rand.Read(fresh) // never fails: crypto/rand ends the program instead
	if given, err = storage.Reseal(ctx, databaseOf(c.config.DataDir, fresh, nil, c.log)); err != nil {
		return given, err
	}
	saved, err := saveKey(filepath.Join(c.config.DataDir, "secret.key"), fresh)
	if err == nil && !bytes.Equal(saved, fresh) {
		err = fmt.Errorf("another secret.key came into %s meanwhile: remove it and run this again", c.config.DataDir)
	}
	if err != nil {
		return given, err
	}
	// Files of the jobs that were given up.
	blobs := filepath.Join(c.config.DataDir, "blobs")
	return given, errors.Join(os.RemoveAll(blobs), os.MkdirAll(blobs, 0o700))
}
