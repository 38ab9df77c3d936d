package storage

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, each migration in its own transaction. A landed migration is never edited.
func migrate(ctx context.Context, conn *sql.Conn, path string, log *slog.Logger) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	var version int
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(names) {
		return &refusal{fmt.Sprintf("the database %s was written by a newer Potluck (schema %d, this program knows %d): start that newer version, or restore a backup made before the upgrade",
			path, version, len(names)), ErrNewer, nil}
	}
	for i, name := range names[version:] {
		n := version + i + 1
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if got, err := strconv.Atoi(number); err != nil || got != n {
			return fmt.Errorf("migration %s: want number %04d", name, n)
		}
		script, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := apply(ctx, conn, n, string(script)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		log.Info("database migrated", "schema", n)
	}
	return nil
}

func apply(ctx context.Context, conn *sql.Conn, n int, script string) error {
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	// user_version and application_id stand in page 1: they belong to the transaction like any row.
	script += fmt.Sprintf("\n;PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", n, applicationID)
	if _, err := conn.ExecContext(ctx, script); err != nil {
		conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		return err
	}
	return nil
}
