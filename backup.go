package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"potluck/storage"
)

// backupOptions are the flags of potluck backup.
type backupOptions struct {
	to       string
	keys     bool
	pictures bool
}

func (o *backupOptions) flags(f *flag.FlagSet) {
	f.StringVar(&o.to, "to", "", "`folder` for the backup; it must be empty, or not be there yet")
	f.BoolVar(&o.keys, "keys", false, "copy server.key and secret.key too: whoever has the backup can then read it and pretend to be this server")
	f.BoolVar(&o.pictures, "pictures", true, "copy the pictures of the last 30 days too")
}

// backup copies the data folder to an empty one, whether a Potluck runs on it or not. What it makes is a data folder: docs/operations.md
// says how it is put in place.
func backup(ctx context.Context, c call) (err error) {
	from, to := c.config.DataDir, c.backup.to
	db, err := openForBackup(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	made, err := emptyFolder(to)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			undoBackup(to, made)
		}
	}()

	begun := time.Now()
	copied, err := db.BackUp(ctx, filepath.Join(to, "potluck.db"), progressOf(c.out))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "database   %s, %d transactions, %d jobs; every page and invariant checked\n", size(copied.Bytes), copied.Audit.Transactions, copied.Audit.Jobs)
	if copied.Ended > 0 {
		fmt.Fprintf(c.out, "           %d jobs were under way: in the copy they are given up and refunded\n", copied.Ended)
	}
	if c.backup.pictures {
		n, bytes, err := copyPictures(ctx, filepath.Join(from, "pictures"), filepath.Join(to, "pictures"))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "pictures   %d, %s\n", n, size(bytes))
	} else {
		fmt.Fprintln(c.out, "pictures   not copied, as you wished")
	}
	if err := copyKeys(c); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "done       %s in %v\n", to, time.Since(begun).Round(time.Millisecond))
	return nil
}

// openForBackup opens the database beside a Potluck that may run, once there is nothing to say against a backup.
func openForBackup(ctx context.Context, c call) (*storage.DB, error) {
	from, to := c.config.DataDir, c.backup.to
	if to == "" {
		return nil, errors.New("name the folder for the backup: potluck backup -to FOLDER")
	}
	path := filepath.Join(from, "potluck.db")
	switch there, err := databaseIn(from); {
	case err != nil:
		return nil, err
	case !there:
		return nil, fmt.Errorf("there is no database at %s: name its folder with data_dir or POTLUCK_DATA_DIR", path)
	}
	if err := outside(from, to); err != nil {
		return nil, err
	}
	if err := missingKeys(from, keyFiles...); err != nil {
		return nil, err
	}
	secret, err := readKey(from, "secret.key")
	if err != nil {
		return nil, err
	}
	seed, err := readKey(from, "server.key")
	if err != nil {
		return nil, err
	}
	return storage.OpenBeside(ctx, databaseOf(from, secret, seed, c.log))
}

// undoBackup takes away what there is of a backup that failed: half a backup is none. The folder was empty; where it was made, it goes, too.
func undoBackup(to string, made bool) {
	for _, name := range slices.Concat(keyFiles, []string{"potluck.db", "pictures"}) {
		os.RemoveAll(filepath.Join(to, name))
	}
	if made {
		os.Remove(to)
	}
}

// copyKeys copies the keys where that is wished, and else says what is to be done with them.
func copyKeys(c call) error {
	from, to := c.config.DataDir, c.backup.to
	if !c.backup.keys {
		fmt.Fprintf(c.out, "keys       NOT copied. Keep %s and %s in another safe place:\n", filepath.Join(from, "server.key"), filepath.Join(from, "secret.key"))
		fmt.Fprintln(c.out, "           without secret.key no text in this backup can be read, without server.key every worker must be linked anew")
		return nil
	}
	for _, name := range keyFiles {
		if _, err := copyFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.out, "keys       server.key and secret.key: keep this folder as safe as the server itself")
	return nil
}

// outside refuses a folder that is the data folder or lies in it: such a backup is lost with what it is a backup of.
func outside(data, to string) error {
	inside, err := filepath.Rel(realPath(data), realPath(to))
	if err == nil && filepath.IsLocal(inside) {
		return fmt.Errorf("the backup %s cannot be inside of the data folder %s, because it would be lost with it: choose another folder with -to", to, data)
	}
	return nil
}

// realPath follows the links of as much of a path as is there already.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	dir, name := filepath.Split(abs)
	if dir = filepath.Clean(dir); dir == abs {
		return abs
	}
	return filepath.Join(realPath(dir), name)
}

// emptyFolder makes the folder, or is content with one that is there and has nothing in it but the rest of a backup that was killed while it
// copied the database.
func emptyFolder(path string) (made bool, err error) {
	entries, err := os.ReadDir(path)
	rest := storage.BackUpRest("potluck.db")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(path, 0o700); err != nil {
			return false, fmt.Errorf("the folder %s cannot be made (%w): choose another with -to", path, reason(err))
		}
		return true, nil
	case err != nil:
		return false, fmt.Errorf("the folder %s cannot be used (%w): choose another with -to", path, reason(err))
	case slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !slices.Contains(rest, e.Name()) }):
		return false, fmt.Errorf("the folder %s is not empty, and a backup overwrites nothing: choose another with -to", path)
	}
	return false, nil
}

// progressOf prints how far a copy is, once per tenth, for databases that take a while.
func progressOf(out io.Writer) func(done, total int64) {
	const worthTelling = 64 << 20
	told := int64(0)
	return func(done, total int64) {
		if total < worthTelling {
			return
		}
		if tenth := done * 10 / total; tenth > told {
			told = tenth
			fmt.Fprintf(out, "copied     %d %% of %s\n", tenth*10, size(total))
			if tenth == 10 {
				fmt.Fprintln(out, "checking   the copy")
			}
		}
	}
}

// copyPictures copies what the album keeps. A picture has its final content from the moment that it has its name; one that is forgotten
// meanwhile is left out.
func copyPictures(ctx context.Context, from, to string) (n int, bytes int64, err error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return 0, 0, fmt.Errorf("copy pictures: %w", err)
	}
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("copy pictures: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return n, bytes, err
		}
		if filepath.Ext(e.Name()) != ".png" || !e.Type().IsRegular() {
			continue // one that is not finished
		}
		size, err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return n, bytes, err
		}
		n, bytes = n+1, bytes+size
	}
	return n, bytes, nil
}

// copyFile makes a new file that only this user can read, with the time of the old one: pictures are forgotten by it.
func copyFile(from, to string) (n int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy %s: %w", from, err)
		}
	}()
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return n, err
	}
	return n, os.Chtimes(to, info.ModTime(), info.ModTime())
}

// size is for people: "12.3 MB".
func size(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	default:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
}
