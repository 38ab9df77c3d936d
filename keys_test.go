package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"potluck/storage"
)

// A restored backup without its keys got new ones before it was refused, and check called them sound; with server.key alone missing, Potluck
// started as another server, which no worker knew.
func TestBesideADatabaseNoKeyIsEverDrawn(t *testing.T) {
	t.Parallel()
	for _, lost := range [][]string{{"server.key"}, {"secret.key"}, keyFiles} {
		data := withAwayWorker(t)
		environ := []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}
		for _, name := range lost {
			if err := os.Remove(filepath.Join(data, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range lost {
			wants := []string{filepath.Join(data, name), "missing beside", "put ", "from where you keep", "potluck keys -new", withoutKey[name]}
			refuses(t, 1, environ, []string{"serve"}, wants...)
			refuses(t, 1, environ, []string{"keys"}, wants...)
			refuses(t, 1, environ, []string{"backup", "-to", filepath.Join(t.TempDir(), "copy")}, wants...)
			out := &transcript{}
			if code := run(t.Context(), []string{"check"}, environ, out, &transcript{}); code != 1 || !strings.Contains(out.String(), "WRONG the key "+filepath.Join(data, name)+" is missing") {
				t.Errorf("check without %s: %d %s", name, code, out)
			}
			if _, err := os.Stat(filepath.Join(data, name)); err == nil {
				t.Errorf("%s was drawn beside a database", name)
			}
		}

		// Whoever really lost them says so, and everything else stays.
		before := map[string]string{}
		for _, name := range keyFiles {
			b, _ := os.ReadFile(filepath.Join(data, name))
			before[name] = string(b)
		}
		out, errs := &transcript{}, &transcript{}
		if code := run(t.Context(), []string{"keys", "-new"}, environ, out, errs); code != 0 {
			t.Fatalf("keys -new without %v: %d %s %s", lost, code, out, errs)
		}
		for _, name := range keyFiles {
			fresh := slices.Contains(lost, name)
			if strings.Contains(out.String(), name+" is new") != fresh || strings.Contains(out.String(), name+" is there") == fresh {
				t.Errorf("keys -new without %v says %s", lost, out)
			}
			if b, err := os.ReadFile(filepath.Join(data, name)); err != nil || !fresh && string(b) != before[name] {
				t.Errorf("keys -new without %v: %s: %v", lost, name, err)
			}
		}
		out = &transcript{}
		if code := run(t.Context(), []string{"check"}, environ, out, &transcript{}); code != 0 || !strings.Contains(out.String(), "1 linked workers") {
			t.Errorf("check after keys -new: %d %s", code, out)
		}
		serveHere(t, environ[1])
	}
}

// A first start that was cut off between the keys and the database goes on with these keys.
func TestFirstStartGoesOnWithTheKeysThatAreThere(t *testing.T) {
	dir := t.TempDir()
	secret, seed, err := houseKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, seedAgain, err := houseKeys(dir)
	if err != nil || string(again) != string(secret) || string(seedAgain) != string(seed) {
		t.Errorf("other keys at the second try (%v)", err)
	}
	path := filepath.Join(dir, "potluck.db")
	write(t, path, "")
	if _, _, err := houseKeys(dir); err == nil || !strings.Contains(err.Error(), "is empty (0 bytes)") {
		t.Errorf("beside an empty database: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), storage.Config{Path: path, Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if err := os.Remove(filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := houseKeys(dir); err == nil {
		t.Error("a key was drawn beside a database")
	}
}

// keys called a secret.key sound that belongs to another database; with a server.key of another house serve started, and every worker turned away from it.
func TestKeysAndBackupRefuseAnotherKey(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"secret.key": "made with another secret.key", "server.key": "linked to another server.key"} {
		data := withAwayWorker(t)
		write(t, filepath.Join(data, name), strings.Repeat("k", 32))
		for _, args := range [][]string{{"keys"}, {"keys", "-new"}, {"backup", "-keys", "-to", filepath.Join(t.TempDir(), "copy")}} {
			refuses(t, 1, []string{"POTLUCK_DATA_DIR=" + data}, args, says, "restore the key")
		}
	}
}

// A database of before the server's key was remembered takes the one that is there, and knows it from then on.
func TestAnOlderDatabaseRemembersTheServerFromItsNextStart(t *testing.T) {
	t.Parallel()
	data := withAwayWorker(t)
	if err := storage.ForgetServer(t.Context(), databaseOf(data, nil, nil, nil)); err != nil {
		t.Fatal(err)
	}
	environ := []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}
	first, _ := serveHere(t, environ[1])
	first.stop()
	write(t, filepath.Join(data, "server.key"), strings.Repeat("k", 32))
	refuses(t, 1, environ, []string{"serve"}, "linked to another server.key", "every worker must be linked anew")
}

// The sentence about a key that cannot be read did not say what to do.
func TestAKeyThatCannotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secret.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := readKey(dir, "secret.key"); err == nil || !strings.Contains(err.Error(), "mend its permissions, or put it back") {
		t.Errorf("got %v", err)
	}
}
