package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const errorSharingViolation = syscall.Errno(32)

// lockFile holds the only right to open the database: a file opened without sharing. The system gives it free when the process ends.
func lockFile(path string) (io.Closer, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("lock database %s: %w", path, err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, inUse(strings.TrimSuffix(path, ".lock"), "", err)
	}
	if err != nil {
		return nil, &refusal{fmt.Sprintf("cannot write the lock file %s (%v): give the user that runs Potluck the right to write to that folder", path, err), ErrReadOnly, err}
	}
	return os.NewFile(uintptr(h), path), nil
}
