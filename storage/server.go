package storage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// serverRow holds the public key of the server that the workers in the database are linked to.
const serverRow = "server_key"

// checkServer refuses the server.key of another house: every worker would turn away from it, one by one and far from here. A database without a
// server gets this one.
func checkServer(ctx context.Context, conn *sql.Conn, public []byte, path string) error {
	err := sameServer(ctx, conn, public, path)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES (?, ?)`, serverRow, public)
	}
	return err
}

// sameServer only looks; sql.ErrNoRows when the database has no server yet.
func sameServer(ctx context.Context, conn *sql.Conn, public []byte, path string) error {
	var known []byte
	if err := conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, serverRow).Scan(&known); err != nil {
		return err
	}
	if !bytes.Equal(known, public) {
		return &refusal{fmt.Sprintf("the workers of the database %s are linked to another server.key: restore the key that belongs to it from your backup; if it is lost for good, "+
			"remove this one and run potluck keys -new, then every worker must be linked anew", path), ErrKey, nil}
	}
	return nil
}

// ForgetServer lets the next Open take whatever server it is told: for whoever lost server.key. c.Key and c.Server are not looked at.
func ForgetServer(ctx context.Context, c Config) error {
	db, err := openSealed(ctx, c, nil, func(ctx context.Context, conn *sql.Conn, _ *sealer, _ string) error {
		_, err := conn.ExecContext(ctx, `DELETE FROM meta WHERE name = ?`, serverRow)
		return err
	})
	if err != nil {
		return err
	}
	return db.Close()
}
