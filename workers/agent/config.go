package agent

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"potluck/nearest"
	"potluck/workers/protocol"
)

// Settings is config.yaml: what the owner lets this machine do. The server can narrow it, never widen it.
type Settings struct {
	Name         string   `yaml:"name"`          // how the worker is called in the chat; a wish, used when linking
	Engines      Engines  `yaml:"engines"`       // auto, or the names of the inference programs to look for
	OpenAI       []OpenAI `yaml:"openai"`        // servers that speak the OpenAI API, named one by one
	Demo         Demo     `yaml:"demo"`          // false | true | fill
	Kinds        []string `yaml:"kinds"`         // chat, image, translate
	Models       []string `yaml:"models"`        // patterns as "llama3*"; empty = every model
	BlockedWords []string `yaml:"blocked_words"` // a job whose text holds one is refused
	Limits       Limits   `yaml:"limits"`
}

// OpenAI is one entry of openai.
type OpenAI struct {
	BaseURL    string `yaml:"base_url"`     // http://127.0.0.1:8080/v1
	APIKeyFile string `yaml:"api_key_file"` // empty = no key
	Slots      int    `yaml:"slots"`        // jobs at once; 0 = 1
	Force      bool   `yaml:"force"`        // allow an address outside this machine and its private network
}

// Limits are the owner's. A job beyond one is refused, which is no fault of the worker.
type Limits struct {
	JobsAtOnce  int `yaml:"jobs_at_once"`
	JobsPerHour int `yaml:"jobs_per_hour"` // 0 = no limit
	MaxTokens   int `yaml:"max_tokens"`    // of an answer
	MaxPixels   int `yaml:"max_pixels"`    // width × height of one picture
	MaxSteps    int `yaml:"max_steps"`
	MaxCount    int `yaml:"max_count"`   // pictures of one job
	MaxSeconds  int `yaml:"max_seconds"` // of one job
}

// Engines is a list of names; Auto stands for every program that is found.
type Engines struct {
	Auto  bool
	Names []string
}

func (e *Engines) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if err := unmarshal(&word); err == nil {
		if word != "auto" {
			return fmt.Errorf("engines: want auto or a list of names, not %q", word)
		}
		*e = Engines{Auto: true}
		return nil
	}
	e.Auto = false
	if err := unmarshal(&e.Names); err != nil {
		return errors.New("engines: want auto or a list of names")
	}
	return nil
}

// Demo says when the demonstration engine is offered.
type Demo string

const (
	DemoOff  Demo = "false"
	DemoOn   Demo = "true"
	DemoFill Demo = "fill" // only for kinds for which nothing real was found
)

// ParseDemo reads a flag's or a file's value.
func ParseDemo(s string) (Demo, error) {
	if !slices.Contains([]Demo{DemoOff, DemoOn, DemoFill}, Demo(s)) {
		return DemoOff, fmt.Errorf("demo: want true, false or fill, not %q", s)
	}
	return Demo(s), nil
}

func (d *Demo) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	var err error
	*d, err = ParseDemo(fmt.Sprint(v))
	return err
}

//go:embed config.yaml
var defaultConfig []byte

// DefaultSettings is what a fresh config.yaml says.
func DefaultSettings() Settings {
	return Settings{
		Engines: Engines{Auto: true},
		Demo:    DemoOff,
		Kinds:   []string{"chat", "image", "translate"},
		Limits:  Limits{JobsAtOnce: 2, MaxTokens: 4096, MaxPixels: 2_097_152, MaxSteps: 60, MaxCount: 4, MaxSeconds: 600},
	}
}

// Settings reads config.yaml; a missing file means the defaults. Errors name the line and, for a key nobody knows, the nearest one.
func (f Folder) Settings() (Settings, error) {
	b, err := f.read(configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultSettings(), nil
	}
	if err != nil {
		return Settings{}, err
	}
	s, err := ParseSettings(b)
	if err != nil {
		return Settings{}, fmt.Errorf("%s, %w", f.path(configFile), err)
	}
	return s, nil
}

// writeDefaults creates config.yaml for the owner to edit, unless there is one.
func (f Folder) writeDefaults() error {
	if _, err := f.read(configFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.write(configFile, defaultConfig)
}

var unknownKey = regexp.MustCompile(`unknown field "([^"]*)"`)

// ParseSettings reads the text of a config.yaml over the defaults.
func ParseSettings(b []byte) (Settings, error) {
	s := DefaultSettings()
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField()).Decode(&s)
	switch {
	case errors.Is(err, io.EOF): // nothing but comments: the library has emptied s
		return DefaultSettings(), nil
	case err != nil:
		line, what := 0, "cannot be read"
		if e, ok := errors.AsType[yaml.Error](err); ok {
			what = e.GetMessage()
			if t := e.GetToken(); t != nil {
				line = t.Position.Line
			}
		} else {
			what = err.Error()
		}
		if m := unknownKey.FindStringSubmatch(what); m != nil {
			what = fmt.Sprintf("unknown key %q", m[1])
			if line == 0 || !lineHasKey(b, line, m[1]) {
				line = lineOf(b, m[1])
			}
			if meant := nearest.Key(m[1], reflect.TypeFor[Settings]()); meant != "" {
				what += ", " + meant
			}
		}
		return Settings{}, fmt.Errorf("line %d: %s", max(line, 1), what)
	}
	return s, s.validate()
}

// lineHasKey and lineOf help where the YAML reader points at a key's value, which may begin on a later line.
func lineHasKey(b []byte, line int, key string) bool {
	lines := bytes.Split(b, []byte("\n"))
	return line <= len(lines) && bytes.Contains(lines[line-1], []byte(key+":"))
}

func lineOf(b []byte, key string) int {
	for i, l := range bytes.Split(b, []byte("\n")) {
		if bytes.HasPrefix(bytes.TrimLeft(l, " -"), []byte(key+":")) {
			return i + 1
		}
	}
	return 1
}

func (s Settings) validate() error {
	for _, k := range s.Kinds {
		if !slices.Contains(protocol.Kinds(), protocol.Kind(k)) {
			return fmt.Errorf("kinds: %q is none of chat, image, translate", k)
		}
	}
	for _, e := range s.Engines.Names {
		if !slices.Contains(engineNames, e) {
			return fmt.Errorf("engines: %q is none of %s", e, strings.Join(engineNames, ", "))
		}
	}
	for _, m := range s.Models {
		if _, err := path.Match(m, ""); err != nil {
			return fmt.Errorf("models: %q is not a pattern", m)
		}
	}
	for _, e := range s.OpenAI {
		if err := checkBackend(e.BaseURL, e.Force); err != nil {
			return fmt.Errorf("openai: %w", err)
		}
		if e.Slots < 0 || e.Slots > protocol.MaxSlots {
			return fmt.Errorf("openai: slots is 1 to %d", protocol.MaxSlots)
		}
	}
	l := s.Limits
	if l.JobsAtOnce < 1 || l.JobsAtOnce > protocol.MaxSlots {
		return fmt.Errorf("limits: jobs_at_once is 1 to %d", protocol.MaxSlots)
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"max_tokens", l.MaxTokens}, {"max_pixels", l.MaxPixels}, {"max_steps", l.MaxSteps}, {"max_count", l.MaxCount}, {"max_seconds", l.MaxSeconds}} {
		if n.value < 1 {
			return fmt.Errorf("limits: %s must be at least 1, not %s", n.key, strconv.Itoa(n.value))
		}
	}
	if l.JobsPerHour < 0 {
		return errors.New("limits: jobs_per_hour must not be negative; 0 means no limit")
	}
	return nil
}

// checkBackend keeps jobs, which hold what people wrote, on the owner's machine and network.
func checkBackend(base string, force bool) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not an address: want http://127.0.0.1:8080/v1", base)
	}
	if force || protocol.PrivateHost(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s is neither on this machine nor in a private network: set force: true if other people's texts may go there", u.Host)
}
