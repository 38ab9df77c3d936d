package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// check looks at everything, says all that is wrong, and makes nothing.
func TestCheckSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	data := filepath.Join(t.TempDir(), "data")
	checked := func(environ ...string) (int, string) {
		out := &transcript{}
		code := run(t.Context(), []string{"check"}, append([]string{"POTLUCK_DATA_DIR=" + data}, environ...), out, &transcript{})
		return code, out.String()
	}
	says := func(said string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(said, p) {
				t.Errorf("%q does not say %q", said, p)
			}
		}
	}

	code, said := checked("POTLUCK_HTTP_ADDR=127.0.0.1:0")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	// In the demo members can link workers without it: what check says must be true of both.
	says(said, "does not exist yet", "http.public_url is empty: with potluck serve members cannot", "with potluck demo everybody can",
		"the pages answer under IP addresses, localhost, and names without a dot or in .local only")
	if strings.Contains(said, "trusted_proxies") {
		t.Errorf("nobody comes through a proxy: %q", said)
	}
	// Behind a proxy that is not trusted everybody is one household.
	_, said = checked("POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_HTTP_PUBLIC_URL=https://potluck.example.org")
	says(said, "http.trusted_proxies is empty", "all of them count as one address", "Set it to 127.0.0.1")
	if _, err := os.Stat(data); err == nil {
		t.Error("check made the data folder")
	}

	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"server.key": "short", "potluck.db": "this is no database, but long enough to look like a file"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, said = checked("POTLUCK_HTTP_ADDR="+l.Addr().String(), "POTLUCK_HTTP_PUBLIC_URL=http://192.168.1.5", "POTLUCK_CREDITS_RATES_FILE=/nowhere/rates.yaml")
	if code != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
	says(said, "server.key is damaged", "potluck.db", "the address "+l.Addr().String()+" is in use", "stop that one, or choose another with http.addr",
		"/nowhere/rates.yaml cannot be read", "has no TLS")
}

// Invariants of a damaged file say nothing, so audit does not praise them.
func TestAuditRefusesADamagedDatabase(t *testing.T) {
	t.Parallel()
	data := withAwayWorker(t)
	path := filepath.Join(data, "potluck.db")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(20); page < info.Size()/4096; page += 3 {
		overwrite(t, path, page*4096, []byte(strings.Repeat("damage", 500)))
	}
	refuses(t, 1, []string{"POTLUCK_DATA_DIR=" + data}, []string{"audit"}, "is damaged", "restore the latest backup")
}

// check called everything sound where serve could not start: with another key, a damaged page, an empty database.
func TestCheckRefusesWhatServeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, data string)
		says  string
		audit bool // refuses it as well: it needs no key
	}{
		{"another secret.key", func(t *testing.T, data string) { write(t, filepath.Join(data, "secret.key"), strings.Repeat("k", 32)) }, "made with another secret.key", false},
		{"another server.key", func(t *testing.T, data string) { write(t, filepath.Join(data, "server.key"), strings.Repeat("k", 32)) }, "linked to another server.key", false},
		{"a damaged page", func(t *testing.T, data string) {
			overwrite(t, filepath.Join(data, "potluck.db"), 40960, []byte(strings.Repeat("\xff", 16<<10)))
		}, "is damaged", true},
		{"an empty database", func(t *testing.T, data string) { write(t, filepath.Join(data, "potluck.db"), "") }, "is empty (0 bytes)", true},
	} {
		data := withAwayWorker(t)
		environ := []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}
		c.spoil(t, data)
		out := &transcript{}
		if code := run(t.Context(), []string{"check"}, environ, out, &transcript{}); code != 1 || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: check: %d %s", c.name, code, out)
		}
		refuses(t, 1, environ, []string{"serve"}, c.says)
		if c.audit {
			refuses(t, 1, environ, []string{"audit"}, c.says)
		}
	}
}

// After an upgrade check said that something was wrong, although the next start mends it by itself.
func TestCheckTakesAnOlderDatabaseForWhatTheNextStartUpgrades(t *testing.T) {
	t.Parallel()
	data := withAwayWorker(t)
	overwrite(t, filepath.Join(data, "potluck.db"), 60, []byte{0, 0, 0, 1}) // user_version in SQLite's header
	out := &transcript{}
	code := run(t.Context(), []string{"check"}, []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}, out, &transcript{})
	if code != 0 || !strings.Contains(out.String(), "the next start brings it up to date") {
		t.Errorf("%d %s", code, out)
	}
}

// A house whose database was gone was begun anew although its WAL, or its key and pictures, were still there.
func TestAHouseWithoutItsDatabaseIsNotNew(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"potluck.db-wal", "pictures/1.png"} {
		data := t.TempDir()
		if err := os.Mkdir(filepath.Join(data, "pictures"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range keyFiles {
			write(t, filepath.Join(data, name), strings.Repeat("k", 32))
		}
		write(t, filepath.Join(data, rest), "rest")
		environ := []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}
		out := &transcript{}
		if code := run(t.Context(), []string{"check"}, environ, out, &transcript{}); code != 1 || !strings.Contains(out.String(), "is gone, but") ||
			!strings.Contains(out.String(), "restore the latest backup") {
			t.Errorf("check beside %s: %d %s", rest, code, out)
		}
		refuses(t, 1, environ, []string{"serve"}, "is gone, but", "restore the latest backup")
	}
}

// serve named a folder inside of the data folder, and not what to mend.
func TestADataFolderThatTakesNoFoldersIsNamed(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	write(t, filepath.Join(data, "blobs"), "")
	if err := makeFolders(data, "blobs"); err == nil || !strings.Contains(err.Error(), "the data folder "+data+" cannot be written (blobs: ") ||
		!strings.Contains(err.Error(), "mend its permissions") {
		t.Errorf("got %v", err)
	}
}

// backup took a database that it may not look at for none.
func TestBackupSaysWhyItCannotReadTheDatabase(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	path := filepath.Join(data, "potluck.db")
	if err := os.Symlink(path, path); err != nil {
		t.Skip(err)
	}
	refuses(t, 1, []string{"POTLUCK_DATA_DIR=" + data}, []string{"backup", "-to", filepath.Join(t.TempDir(), "copy")}, "cannot be read (too many levels", "mend its permissions")
}
