package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"potluck/storage"
)

// audit checks the ledger's invariants and names every breach. It works while no Potluck runs on the same data folder.
func audit(ctx context.Context, c call) error {
	path := filepath.Join(c.config.DataDir, "potluck.db")
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database at %s: name its folder with data_dir or POTLUCK_DATA_DIR", path)
	}
	secret, err := loadKey(c.config.DataDir, "secret.key")
	if err != nil {
		return err
	}
	db, err := storage.Open(ctx, storage.Config{Path: path, Key: secret, Log: c.log})
	if err != nil {
		return err
	}
	defer db.Close()
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
	fmt.Fprintln(c.out, "every invariant holds")
	return nil
}
