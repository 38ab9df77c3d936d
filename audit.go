package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"potluck/storage"
)

// audit checks the ledger's invariants and names every breach. It only reads, beside a running Potluck or without one.
func audit(ctx context.Context, c call) error {
	path := filepath.Join(c.config.DataDir, "potluck.db")
	db, err := storage.OpenBeside(ctx, storage.Config{Path: path, Log: c.log})
	if err != nil {
		return err
	}
	defer db.Close()
	begun := time.Now()
	// Invariants of a file that cannot be trusted say nothing.
	if err := db.Sound(ctx); err != nil {
		return err
	}
	report, err := (&storage.Credits{DB: db}).Audit(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	fmt.Fprintf(c.out, "%d transactions, %d postings, %d jobs; %s credits outstanding\n", report.Transactions, report.Postings, report.Jobs, report.Outstanding)
	for _, b := range report.Breaches {
		fmt.Fprintf(c.out, "BREACH %s: %s\n", b.Invariant, b.Detail)
	}
	if n := len(report.Breaches); n > 0 {
		return fmt.Errorf("%d breaches of the ledger's invariants: keep a copy of %s before anything else is done with it", n, path)
	}
	fmt.Fprintf(c.out, "every invariant holds (checked in %v)\n", time.Since(begun).Round(time.Millisecond))
	return nil
}
