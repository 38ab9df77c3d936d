package imagegen

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Album keeps pictures as files of one folder. It may be used from any goroutine.
type Album struct{ folder string }

var pictureName = regexp.MustCompile(`^[0-9a-f]{64}\.png$`)

// NewAlbum makes the folder when it is missing, readable by this user only.
func NewAlbum(folder string) (*Album, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open album: %w", err)
	}
	return &Album{folder}, nil
}

// Keep saves a picture under a name as Picture.Name has it. Keeping it again is no error and lets it live longer.
func (a *Album) Keep(name string, png []byte) (err error) {
	if !pictureName.MatchString(name) {
		return fmt.Errorf("keep picture: bad name %.80q", name)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep picture: %w", err)
		}
	}()
	path := filepath.Join(a.folder, name)
	if _, err := os.Stat(path); err == nil {
		now := time.Now()
		return errors.Join(os.Chtimes(path, now, now), a.sync()) // whoever kept it first may have been killed before that
	}
	temp := filepath.Join(a.folder, tempPrefix+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(png)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	// Without this a power cut may take the name away although the answer that shows it stays.
	return a.sync()
}

// sync makes the names in the folder durable; Windows has no such call and needs none.
func (a *Album) sync() error {
	d, err := os.Open(a.folder)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && runtime.GOOS != "windows" {
		return err
	}
	return nil
}

const tempPrefix = "unfinished-"

// Open returns a kept picture, or an error that is fs.ErrNotExist for an unknown or impossible name.
func (a *Album) Open(name string) (io.ReadSeekCloser, error) {
	if !pictureName.MatchString(name) {
		return nil, fmt.Errorf("open picture %.80q: %w", name, fs.ErrNotExist)
	}
	f, err := os.Open(filepath.Join(a.folder, name))
	if err != nil {
		return nil, fmt.Errorf("open picture: %w", err)
	}
	return f, nil
}

// Remove deletes one picture; an unknown or impossible name is no error.
func (a *Album) Remove(name string) error {
	if !pictureName.MatchString(name) {
		return nil
	}
	if err := os.Remove(filepath.Join(a.folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove picture: %w", err)
	}
	return nil
}

// Forget deletes what was kept before a time, and unfinished files from then, and tells how many files went. Other files are not touched.
func (a *Album) Forget(before time.Time) (int, error) {
	entries, err := os.ReadDir(a.folder)
	if err != nil {
		return 0, fmt.Errorf("forget pictures: %w", err)
	}
	gone := 0
	for _, e := range entries {
		if !pictureName.MatchString(e.Name()) && !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return gone, fmt.Errorf("forget pictures: %w", err)
		}
		if !info.ModTime().Before(before) {
			continue
		}
		if err := os.Remove(filepath.Join(a.folder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return gone, fmt.Errorf("forget pictures: %w", err)
		}
		gone++
	}
	return gone, nil
}
