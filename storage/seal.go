package storage

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// sealer encrypts columns with AES-256-GCM. A sealed value is version (1 byte), nonce (12 bytes), ciphertext and tag. The additional
// data names column and row, so that a value copied to another row does not open.
type sealer struct{ aead cipher.AEAD }

const sealVersion = 1

func newSealer(key []byte) (*sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("open database: the key has %d bytes, it must have 32: restore secret.key from your backup", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &sealer{aead}, nil
}

// seal returns nil (NULL) for nil.
func (s *sealer) seal(column, row string, plain []byte) []byte {
	if plain == nil {
		return nil
	}
	head := 1 + s.aead.NonceSize()
	out := make([]byte, head, head+len(plain)+s.aead.Overhead())
	out[0] = sealVersion
	rand.Read(out[1:]) // never fails: crypto/rand ends the program instead
	return s.aead.Seal(out, out[1:head], plain, []byte(column+"\x00"+row))
}

func (s *sealer) open(column, row string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	head := 1 + s.aead.NonceSize()
	if len(sealed) < head || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open sealed %s: unknown form", column)
	}
	plain, err := s.aead.Open(nil, sealed[1:head], sealed[head:], []byte(column+"\x00"+row))
	if err != nil {
		return nil, fmt.Errorf("open sealed %s: wrong key, or the row was changed by hand", column)
	}
	if plain == nil {
		plain = []byte{}
	}
	return plain, nil
}

func (s *sealer) sealJSON(column, row string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", column, err)
	}
	return s.seal(column, row, b), nil
}

// openJSON leaves v as it is when the column is NULL.
func (s *sealer) openJSON(column, row string, sealed []byte, v any) error {
	b, err := s.open(column, row, sealed)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", column, err)
	}
	return nil
}

// What checkKey seals to recognise a key, and where that stands.
const keyColumn, keyRow, keyPlain = "meta.value", "key_check", "potluck"

// checkKey refuses a key that the database was not made with: nothing sealed could be read, and new rows would be lost to the old key. A new
// database gets the key.
func checkKey(ctx context.Context, conn *sql.Conn, s *sealer, path string) error {
	err := sameKey(ctx, conn, s, path)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES (?, ?)`, keyRow, s.seal(keyColumn, keyRow, []byte(keyPlain)))
	}
	return err
}

// sameKey only looks; sql.ErrNoRows when the database has no key yet.
func sameKey(ctx context.Context, conn *sql.Conn, s *sealer, path string) error {
	var sealed []byte
	if err := conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, keyRow).Scan(&sealed); err != nil {
		return err
	}
	if got, err := s.open(keyColumn, keyRow, sealed); err != nil || string(got) != keyPlain {
		return &refusal{fmt.Sprintf("the database %s was made with another secret.key: restore the key that belongs to it from your backup", path), ErrKey, err}
	}
	return nil
}
