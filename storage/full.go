package storage

import (
	"errors"

	"github.com/mattn/go-sqlite3"

	"potluck/fault"
)

// named gives a write that the disk did not take the name that people are told: they can try again later, the operator can make room.
// Nothing of such a write is kept, and the next one may succeed: the writer begins anew with each group.
func named(err error) error {
	var s sqlite3.Error
	if !errors.As(err, &s) || fault.Has(err, fault.Storage) {
		return err
	}
	switch s.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrCantOpen:
		return fault.Wrap(err, fault.Storage)
	}
	return err
}
