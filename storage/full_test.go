package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mattn/go-sqlite3"

	"potluck/fault"
)

func TestDiskErrorsAreNamed(t *testing.T) {
	for code, want := range map[sqlite3.ErrNo]fault.Code{
		sqlite3.ErrFull: fault.Storage, sqlite3.ErrIoErr: fault.Storage, sqlite3.ErrReadonly: fault.Storage, sqlite3.ErrCantOpen: fault.Storage,
		sqlite3.ErrConstraint: fault.Internal, sqlite3.ErrBusy: fault.Internal, sqlite3.ErrCorrupt: fault.Internal,
	} {
		err := named(fmt.Errorf("save: %w", sqlite3.Error{Code: code}))
		if got := fault.Of(err).Code; got != want || !errors.As(err, new(sqlite3.Error)) {
			t.Errorf("SQLite's %v is %s, want %s", code, got, want)
		}
	}
	if err := named(fault.New(fault.NoCredit)); fault.Of(err).Code != fault.NoCredit {
		t.Errorf("another fault became %v", err)
	}
}
