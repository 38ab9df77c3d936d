package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExampleHoldsEveryDefault(t *testing.T) {
	var fromFile Config
	b, err := os.ReadFile("config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeConfig(b, &fromFile); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultConfig(), fromFile); diff != "" {
		t.Errorf("config.example.yaml differs from the defaults (-default +example):\n%s", diff)
	}
}

// A file whose lines are all comments, as somebody leaves who changes nothing, wiped every default.
func TestFileWithoutKeysMeansTheDefaults(t *testing.T) {
	for _, file := range []string{"", "\n", "# nothing changed\n", "---\n", "---\n# nothing\n---\n", "http:\n  # addr: 127.0.0.1:9090\n", "data_dir:\n"} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, file)
		c, err := loadConfig(path, nil)
		if err != nil {
			t.Errorf("%q: %v", file, err)
		}
		if diff := cmp.Diff(defaultConfig(), c); diff != "" {
			t.Errorf("%q (-default +read):\n%s", file, diff)
		}
	}
}

func TestConfigErrorsSayWhatToDo(t *testing.T) {
	tests := map[string]struct {
		file string
		env  []string
		want []string
	}{
		"unknown key":       {file: "data_dir: x\nhttp:\n  adr: 127.0.0.1:1\n", want: []string{"line 3", `"adr"`, `"addr"`}},
		"unknown, not near": {file: "flux_capacitor: 1\n", want: []string{"line 1", `"flux_capacitor"`}},
		"key of a group":    {file: "running: 3\n", want: []string{`line 1: unknown key "running": it belongs under limits:`}},
		"key of several":    {file: "http:\n  token: x\n", want: []string{"line 2", "it belongs under discord: or telegram:"}},
		"outermost key":     {file: "http:\n  data_dir: x\n", want: []string{"line 2", "it belongs at the left edge"}},
		"wrong type":        {file: "limits:\n  running: many\n", want: []string{"line 2", `"many"`, "a whole number"}},
		"half a number":     {file: "limits:\n  queued: 5\n  running: 2.5\n", want: []string{"line 3", `"2.5"`, "a whole number"}},
		"half, in a row":    {file: "limits: {running: 2.5}\n", want: []string{"line 1", `"2.5"`, "a whole number"}},
		"two documents":     {file: "data_dir: x\n---\ndata_dir: y\n", want: []string{"line 2", "second document"}},
		"not YAML":          {file: "http: [\n", want: []string{"1:"}},
		"bad address":       {file: "http:\n  addr: nowhere\n", want: []string{"http.addr", "127.0.0.1:8080"}},
		"bad public URL":    {file: "http:\n  public_url: potluck.example.org\n", want: []string{"http.public_url", "https://potluck.example.org"}},
		"public, no TLS":    {file: "http:\n  public_url: http://potluck.example.org\n", want: []string{"http.public_url", "want https"}},
		"public, a query":   {file: "http:\n  public_url: https://potluck.example.org?a=b\n", want: []string{"http.public_url", "an address without a path"}},
		"bad log level":     {file: "log:\n  level: loud\n", want: []string{"log.level", "debug, info, warn or error"}},
		"two at once":       {file: "limits: {running: 0, queued: 0}\n", want: []string{"limits.running", "limits.queued"}},
		"chat twice":        {file: "page:\n  chats: [a, a]\n", want: []string{"page.chats", `"a" is listed twice`}},
		"chat without name": {file: "page:\n  chats: [\"\", x]\n", want: []string{"page.chats", "1 to 32 characters"}},
		"chat of two words": {file: "page:\n  chats: [living room]\n", want: []string{"page.chats", `"living room"`, "without spaces"}},
		"chat with a slash": {env: []string{"POTLUCK_PAGE_CHATS=a/b"}, want: []string{"page.chats", `"a/b"`, "slashes"}},
		"chat too long":     {env: []string{"POTLUCK_PAGE_CHATS=" + strings.Repeat("x", 33)}, want: []string{"page.chats", "1 to 32 characters"}},
		"bad variable":      {env: []string{"POTLUCK_LIMITS_RUNNING=two"}, want: []string{"POTLUCK_LIMITS_RUNNING", "whole number"}},
		"unknown variable":  {env: []string{"POTLUCK_HTTP_ADR=127.0.0.1:1"}, want: []string{"POTLUCK_HTTP_ADR", "POTLUCK_HTTP_ADDR"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := ""
			if tt.file != "" {
				path = filepath.Join(t.TempDir(), "config.yaml")
				if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := loadConfig(path, tt.env)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

// Of two keys that are checked together only the wrong one is named.
func TestOnlyTheWrongKeyIsNamed(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"page:\n  name: \"\"\n", "page.name is empty: want a name"},
		{"page:\n  chats: []\n", "page.chats is empty: want at least one chat"},
		{"credits:\n  escrow: -1s\n", "credits.escrow is -1s: want 0 or more"},
		{"limits:\n  job_wait: 1ns\n", "limits.job_wait is 1ns: want at least 1s"},
		{"workers:\n  lost: 0s\n", "workers.lost is 0s: want more than 0"}, // 0 was taken, and meant 5 s
		{"workers:\n  heartbeat: 100ms\n", "workers.heartbeat is 100ms: want at least 500ms"},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, tt.file)
		if _, err := loadConfig(path, nil); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %q", tt.file, err, tt.want)
		}
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "page: {enabled: false, name: \"\", chats: [a, a]}\n")
	if _, err := loadConfig(path, nil); err != nil {
		t.Errorf("a page that is off: %v", err)
	}
}

func TestMissingConfigFileNamesTheExample(t *testing.T) {
	_, err := loadConfig(filepath.Join(t.TempDir(), "config.yaml"), nil)
	if err == nil || !strings.Contains(err.Error(), "config.example.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("http:\n  addr: 127.0.0.1:1\nworkers:\n  lost: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path, []string{
		"POTLUCK_HTTP_ADDR=127.0.0.1:2", "POTLUCK_PAGE_CHATS=a, b", "POTLUCK_PAGE_DEMO_ENGINE=false", "POTLUCK_WORKER_DIR=/elsewhere", "HOME=/root",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Addr != "127.0.0.1:2" || c.Page.DemoEngine || c.Workers.Lost != time.Second {
		t.Errorf("got %+v", c)
	}
	if diff := cmp.Diff([]string{"a", "b"}, c.Page.Chats); diff != "" {
		t.Error(diff)
	}
}

// potluck demo -h showed no way to another address or folder, although the program has defaults for both.
func TestHelpNamesTheVariablesThatMatter(t *testing.T) {
	c := defaultConfig()
	for _, args := range [][]string{nil, {"help"}, {"demo", "-h"}, {"serve", "-h"}} {
		said := &transcript{}
		if code := run(t.Context(), args, nil, said, said); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
		for _, want := range []string{"-config", "POTLUCK_HTTP_ADDR=" + c.HTTP.Addr, "POTLUCK_DATA_DIR=" + c.DataDir} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%v does not say %q: %s", args, want, said)
			}
		}
	}
}
