//go:build unix

package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockFile holds the only right to open the database. The system gives it free when the process ends, however it ends; the file stays.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &refusal{fmt.Sprintf("cannot write the lock file %s (%v): give the user that runs Potluck the right to write to that folder", path, cause(err)), ErrReadOnly, err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		database := strings.TrimSuffix(path, ".lock")
		if errors.Is(err, syscall.EWOULDBLOCK) {
			who := make([]byte, 32)
			n, _ := f.ReadAt(who, 0)
			return nil, inUse(database, strings.TrimSpace(string(who[:n])), err)
		}
		return nil, fmt.Errorf("lock database %s: %w", database, err)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid()) // for the sentence of inUse only
	}
	return heldLock{f}, nil
}

// heldLock is a locked file.
type heldLock struct{ f *os.File }

// Close gives the lock free at once: a child that another goroutine is starting shares it until its exec, and closing alone would leave it there.
func (l heldLock) Close() error {
	return errors.Join(syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN), l.f.Close())
}
