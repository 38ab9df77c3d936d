package agent

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"potluck/workers/protocol"
)

// Folder is where a worker keeps what it is: worker.key, link.yaml, config.yaml, and while it runs status.json, worker.lock and paused.
type Folder string

const (
	keyFile    = "worker.key"
	newKeyFile = "worker.key.new"
	linkFile   = "link.yaml"
	configFile = "config.yaml"
	statusFile = "status.json"
	pauseFile  = "paused"
	lockFile   = "worker.lock"
)

// maxStateFile bounds what is read from a file of the folder, in bytes.
const maxStateFile = 1 << 20

// DefaultFolder is POTLUCK_WORKER_DIR, or potluck-worker in the user's configuration folder.
func DefaultFolder() (Folder, error) {
	if dir := os.Getenv("POTLUCK_WORKER_DIR"); dir != "" {
		return Folder(dir), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the worker's key: set -dir or POTLUCK_WORKER_DIR: %w", err)
	}
	return Folder(filepath.Join(dir, "potluck-worker")), nil
}

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// ConfigPath is the owner's configuration file.
func (f Folder) ConfigPath() string { return f.path(configFile) }

func (f Folder) read(name string) ([]byte, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxStateFile))
}

// write replaces a file at once, so that a reader or a crash never meets half of it. Mode 0600 from the first byte.
func (f Folder) write(name string, b []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(string(f), name+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err == nil && name != statusFile {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), f.path(name))
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// key reads a private key file; fs.ErrNotExist when there is none.
func (f Folder) key(name string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others on this machine: run `chmod 600 %s`, or join again with -replace if somebody may have copied it", f.path(name), f.path(name))
	}
	b, err := f.read(name)
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is damaged: join again with -replace", f.path(name))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Key reads the worker's private key.
func (f Folder) Key() (ed25519.PrivateKey, error) { return f.key(keyFile) }

func (f Folder) newKey(name string) (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := f.write(name, []byte(base64.StdEncoding.EncodeToString(private.Seed())+"\n")); err != nil {
		return nil, fmt.Errorf("save the worker's key: %w", err)
	}
	return private, nil
}

// keyForJoin reads the key in a file or makes it.
func (f Folder) keyForJoin(name string) (ed25519.PrivateKey, error) {
	key, err := f.key(name)
	if errors.Is(err, fs.ErrNotExist) {
		return f.newKey(name)
	}
	return key, err
}

func (f Folder) rename(from, to string) error { return os.Rename(f.path(from), f.path(to)) }

// Link says to whom this worker belongs.
type Link struct {
	Server      string `yaml:"server"`
	Fingerprint string `yaml:"fingerprint"` // of the server's key, 64 hex digits
	Worker      int64  `yaml:"worker"`
	Name        string `yaml:"name"`
	Owner       string `yaml:"owner"`
	Unlinked    bool   `yaml:"unlinked,omitempty"` // the server said that this worker is revoked
}

func (l Link) fingerprint() (fp [32]byte, err error) {
	b, err := hex.DecodeString(l.Fingerprint)
	if err != nil || len(b) != len(fp) {
		return fp, errors.New("the fingerprint in link.yaml is damaged: join again with -replace")
	}
	return [32]byte(b), nil
}

// ErrNotLinked is what Link returns before the first join.
var ErrNotLinked = errors.New("this worker is not linked yet: write /worker link in the chat, then run `potluck-worker join <what it answered>`")

// Link reads link.yaml.
func (f Folder) Link() (Link, error) {
	b, err := f.read(linkFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Link{}, ErrNotLinked
	}
	if err != nil {
		return Link{}, err
	}
	var l Link
	if err := yaml.Unmarshal(b, &l); err != nil {
		return Link{}, fmt.Errorf("%s is damaged: join again with -replace", f.path(linkFile))
	}
	if _, err := l.fingerprint(); err != nil {
		return Link{}, err
	}
	return l, nil
}

func (f Folder) saveLink(l Link) error {
	b, err := yaml.Marshal(l)
	if err != nil {
		return err
	}
	return f.write(linkFile, append([]byte("# Written by potluck-worker join.\n"), b...))
}

// Pause leaves the marker that a running worker sees within 1 s; reason is for the server's people and may be empty.
func (f Folder) Pause(reason string) error {
	return f.write(pauseFile, []byte(plain(reason, 200)+"\n"))
}

// Resume takes the marker away.
func (f Folder) Resume() error {
	if err := os.Remove(f.path(pauseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Paused tells whether the owner paused the worker, and why.
func (f Folder) Paused() (reason string, paused bool) {
	b, err := f.read(pauseFile)
	return plain(string(b), 200), err == nil
}

// Status is what a running worker writes down every few seconds.
type Status struct {
	Started time.Time   `json:"started"`
	State   string      `json:"state"` // connecting | connected
	Problem string      `json:"problem,omitempty"`
	Paused  bool        `json:"paused,omitempty"`
	Slots   int         `json:"slots"`
	Offers  []string    `json:"offers,omitempty"` // "chat llama3.2 (openai)"
	Jobs    []StatusJob `json:"jobs,omitempty"`
	Done    int         `json:"done"` // confirmed by the server since the start
	Failed  int         `json:"failed"`

	fatal error // only in the loop: why the agent must not connect again
}

// StatusJob is one running job, without anything that it says.
type StatusJob struct {
	Kind  string    `json:"kind"`
	Model string    `json:"model"`
	Since time.Time `json:"since"`
}

func (f Folder) saveStatus(s Status) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return f.write(statusFile, append(b, '\n'))
}

// Status reads what the running worker wrote. Running is false when none runs in this folder; the Status is then an old one or empty.
func (f Folder) Status() (s Status, running bool, err error) {
	switch unlock, err := f.Lock(); {
	case errors.Is(err, ErrRunning):
		running = true
	case err == nil:
		unlock()
	default:
		return s, false, err
	}
	b, err := f.read(statusFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, running, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, running, err
}

// ErrRunning is what Lock returns while another process uses the folder.
var ErrRunning = errors.New("a potluck-worker already runs with this key on this machine: stop it first, or use another folder with -dir")

// Lock makes sure that one key runs once on this machine. The system frees it also when the process is killed.
func (f Folder) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, fmt.Errorf("make the worker's folder: %w", err)
	}
	return lock(f.path(lockFile))
}

// plain makes foreign text fit for a terminal, a log line or a frame: one line, no control or invisible characters, at most max bytes.
func plain(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xad || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f ||
			r == 0x61c || r == 0xfeff || r >= 0xe0000 && r <= 0xe0fff || r == 0xfffd:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return protocol.CutText(strings.TrimSpace(s), max)
}
