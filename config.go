package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"potluck/bot/webchat"
	"potluck/failpoint"
	"potluck/ledger"
	"potluck/nearest"
	"potluck/web/caller"
	"potluck/workers/protocol"
)

// Config is everything that an operator can set. Each key stands in config.example.yaml with its default and a sentence; each is also an
// environment variable: http.public_url is POTLUCK_HTTP_PUBLIC_URL. The environment wins over the file.
type Config struct {
	DataDir  string         `yaml:"data_dir"`
	HTTP     HTTPConfig     `yaml:"http"`
	Log      LogConfig      `yaml:"log"`
	Page     PageConfig     `yaml:"page"`
	Discord  DiscordConfig  `yaml:"discord"`
	Telegram TelegramConfig `yaml:"telegram"`
	Limits   LimitsConfig   `yaml:"limits"`
	Credits  CreditsConfig  `yaml:"credits"`
	Workers  WorkersConfig  `yaml:"workers"`
	Ask      AskConfig      `yaml:"ask"`
}

type HTTPConfig struct {
	Addr           string   `yaml:"addr"`
	PublicURL      string   `yaml:"public_url"`
	TrustedProxies []string `yaml:"trusted_proxies"`
}

type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

type LimitsConfig struct {
	Running   int           `yaml:"running"`
	Queued    int           `yaml:"queued"`
	PerMinute int           `yaml:"per_minute"`
	JobWait   time.Duration `yaml:"job_wait"`
	Restarts  int           `yaml:"restarts"`
	CalmAfter time.Duration `yaml:"calm_after"`
}

type CreditsConfig struct {
	DailyMember int           `yaml:"daily_member"`
	DailyPage   int           `yaml:"daily_page"`
	PageShare   int           `yaml:"page_share"`
	Escrow      time.Duration `yaml:"escrow"`
	RatesFile   string        `yaml:"rates_file"`
}

type WorkersConfig struct {
	Heartbeat    time.Duration `yaml:"heartbeat"`
	Silence      time.Duration `yaml:"silence"`
	Lost         time.Duration `yaml:"lost"`
	RestartGrace time.Duration `yaml:"restart_grace"`
	AcceptWithin time.Duration `yaml:"accept_within"`
	FirstToken   time.Duration `yaml:"first_token"`
	TextGap      time.Duration `yaml:"text_gap"`
	LeaseMin     time.Duration `yaml:"lease_min"`
	LeaseMax     time.Duration `yaml:"lease_max"`
	Attempts     int           `yaml:"attempts"`
	MaxPerOwner  int           `yaml:"max_per_owner"`
}

type AskConfig struct {
	MaxTokens int `yaml:"max_tokens"`
}

// defaultConfig is what holds where neither file nor environment say otherwise.
func defaultConfig() Config {
	return Config{
		DataDir:  "./data",
		HTTP:     HTTPConfig{Addr: "127.0.0.1:8080", TrustedProxies: []string{}},
		Log:      LogConfig{Level: "info", Format: "text"},
		Page:     PageConfig{Enabled: true, Name: "Potluck", Chats: webchat.DefaultChats(), DemoEngine: true},
		Discord:  defaultDiscord(),
		Telegram: defaultTelegram(),
		Limits:   LimitsConfig{Running: 2, Queued: 5, PerMinute: 20, JobWait: 10 * time.Minute, Restarts: 3, CalmAfter: 10 * time.Second},
		Credits:  CreditsConfig{DailyMember: 200, DailyPage: 2000, PageShare: 25, Escrow: 24 * time.Hour},
		Workers: WorkersConfig{
			Heartbeat: 5 * time.Second, Silence: 15 * time.Second, Lost: 5 * time.Second, RestartGrace: 20 * time.Second,
			AcceptWithin: 10 * time.Second, FirstToken: time.Minute, TextGap: 20 * time.Second,
			LeaseMin: 30 * time.Second, LeaseMax: 15 * time.Minute, Attempts: 3, MaxPerOwner: 3,
		},
		Ask: AskConfig{MaxTokens: 512},
	}
}

// loadConfig reads defaults, then the file (path may be empty), then the environment, and checks the whole.
func loadConfig(path string, environ []string) (Config, error) {
	c := defaultConfig()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("%s cannot be read (%w): copy config.example.yaml there and edit it", path, errors.Unwrap(err))
		}
		if err := decodeConfig(b, &c); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := c.applyEnviron(environ); err != nil {
		return c, err
	}
	if err := errors.Join(c.Discord.secrets(), c.Telegram.secrets()); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// decodeConfig reads the text of a file over c. What the file does not say stays as it is.
func decodeConfig(b []byte, c *Config) error {
	read := *c // of a file without any key the library makes an empty struct
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&read)
	switch {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil
	case err == nil:
		*c = read
		return readWhole(b)
	}
	if unknown, ok := errors.AsType[*yaml.UnknownFieldError](err); ok {
		tok := unknown.GetToken()
		key := tok.Value
		hint := ""
		if meant := nearest.Key(key, reflect.TypeFor[Config]()); meant != "" {
			hint = ": " + meant
		}
		return fmt.Errorf("line %d: unknown key %q%s", tok.Position.Line, key, hint)
	}
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		return fmt.Errorf("line %d: %q is not %s", wrong.Token.Position.Line, wrong.Token.Value, wanted(wrong.DstType))
	}
	// Line and column stand in the library's own message; its source excerpt could show a secret.
	return errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
}

// readWhole refuses what the decoder passes over in silence: a second document, and the fraction of a number that has to be whole.
func readWhole(b []byte) error {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return err
	}
	if len(file.Docs) > 1 {
		where := ""
		if start := file.Docs[1].Start; start != nil {
			where = fmt.Sprintf("line %d: ", start.Position.Line)
		}
		return errors.New(where + "a second document begins here, and only the first would be read: keep one, without lines of --- or ... between")
	}
	for _, doc := range file.Docs {
		if err := wholeNumbers(doc.Body, reflect.TypeFor[Config]()); err != nil {
			return err
		}
	}
	return nil
}

// wholeNumbers finds a fraction in a value that is read into a whole number.
func wholeNumbers(n ast.Node, t reflect.Type) error {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := wholeNumbers(v, t); err != nil {
				return err
			}
		}
	case *ast.MappingValueNode:
		for f := range t.Fields() {
			if f.Tag.Get("yaml") == n.Key.String() {
				return wholeNumbers(n.Value, f.Type)
			}
		}
	case *ast.FloatNode:
		if t.Kind() == reflect.Int {
			return fmt.Errorf("line %d: %q is not %s", n.GetToken().Position.Line, n.GetToken().Value, wanted(t))
		}
	}
	return nil
}

// wanted names a type in the words of somebody who edits a file.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return `a time such as "5s" or "24h"`
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list such as [one, two]"
	case t.Kind() == reflect.Struct:
		return "a group of keys"
	default:
		return "a text"
	}
}

const envPrefix = "POTLUCK_"

// applyEnviron sets keys from variables such as POTLUCK_HTTP_ADDR; an unknown POTLUCK_ variable is an error like an unknown key.
func (c *Config) applyEnviron(environ []string) error {
	vars := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	// POTLUCK_WORKER_… belongs to potluck-worker, and fail points were armed before.
	for name := range vars {
		if strings.HasPrefix(name, envPrefix+"WORKER_") || name == failpoint.Variable {
			delete(vars, name)
		}
	}
	known := []string{}
	if err := setFromEnviron(reflect.ValueOf(c).Elem(), envPrefix, vars, &known); err != nil {
		return err
	}
	for name := range vars {
		hint := ""
		if near := nearest.Of(name, known); near != "" {
			hint = fmt.Sprintf(": did you mean %s?", near)
		}
		return fmt.Errorf("unknown environment variable %s%s", name, hint)
	}
	return nil
}

func setFromEnviron(v reflect.Value, prefix string, vars map[string]string, known *[]string) error {
	for f, fv := range v.Fields() {
		name := prefix + strings.ToUpper(f.Tag.Get("yaml"))
		if f.Type.Kind() == reflect.Struct {
			if err := setFromEnviron(fv, name+"_", vars, known); err != nil {
				return err
			}
			continue
		}
		*known = append(*known, name)
		value, ok := vars[name]
		if !ok {
			continue
		}
		delete(vars, name)
		if err := setField(fv, value); err != nil {
			return fmt.Errorf("%s=%q: %w", name, value, err)
		}
	}
	return nil
}

func setField(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = s
	case *bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("want true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return errors.New("want a whole number")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			return errors.New(`want a time such as "5s" or "24h"`)
		}
		*p = d
	case *[]string:
		*p = nil
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	default:
		return fmt.Errorf("keys of type %s cannot come from the environment", v.Type())
	}
	return nil
}

// complain notes a key that is wrong: what it has to be, and what it is.
type complain func(key, want string, got any)

// Validate says which keys are wrong and what they may be.
func (c Config) Validate() error {
	var wrong []error
	bad := func(key, want string, got any) {
		wrong = append(wrong, fmt.Errorf("%s is %v: want %s", key, got, want))
	}
	if c.DataDir == "" {
		bad("data_dir", "a folder", `""`)
	}
	c.HTTP.validate(bad)
	c.Log.validate(bad)
	wrong = append(wrong, c.Page.validate()...)
	c.Discord.validate(bad)
	c.Telegram.validate(bad, c.HTTP.PublicURL)
	c.Limits.validate(bad)
	c.Credits.validate(bad)
	c.Workers.validate(bad)
	atLeastOne(bad, "ask.max_tokens", c.Ask.MaxTokens)
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) }) // the same at every start
	return errors.Join(wrong...)
}

func (c HTTPConfig) validate(bad complain) {
	if _, port, err := net.SplitHostPort(c.Addr); err != nil || port == "" {
		bad("http.addr", `host:port, such as "127.0.0.1:8080"`, strconv.Quote(c.Addr))
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.User != nil || strings.ContainsAny(c.PublicURL, "?#") {
			bad("http.public_url", `an address without a path, such as "https://potluck.example.org"`, strconv.Quote(c.PublicURL))
		} else if protocol.CheckServer(c.PublicURL) != nil {
			bad("http.public_url", "https, because it is public and workers refuse it without TLS (docs/publishing.md)", strconv.Quote(c.PublicURL))
		}
	}
	for _, p := range c.TrustedProxies {
		if _, err := caller.ParsePrefix(p); err != nil {
			bad("http.trusted_proxies", `addresses or ranges, such as "127.0.0.1" or "10.0.0.0/8"`, strconv.Quote(p))
		}
	}
}

func (c LogConfig) validate(bad complain) {
	if _, err := logLevel(c.Level); err != nil {
		bad("log.level", "debug, info, warn or error", strconv.Quote(c.Level))
	}
	if c.Format != "text" && c.Format != "json" {
		bad("log.format", "text or json", strconv.Quote(c.Format))
	}
}

func (c LimitsConfig) validate(bad complain) {
	atLeastOne(bad, "limits.running", c.Running)
	atLeastOne(bad, "limits.queued", c.Queued)
	atLeastOne(bad, "limits.per_minute", c.PerMinute)
	atLeastOne(bad, "limits.restarts", c.Restarts)
	if c.JobWait < time.Second {
		bad("limits.job_wait", "at least 1s", c.JobWait)
	}
	positive(bad, "limits.calm_after", c.CalmAfter)
}

func (c CreditsConfig) validate(bad complain) {
	for key, n := range map[string]int{"credits.daily_member": c.DailyMember, "credits.daily_page": c.DailyPage} {
		if n < 0 || n > 1_000_000_000 {
			bad(key, "0 or more credits", n)
		}
	}
	if c.PageShare < 1 || c.PageShare > 100 {
		bad("credits.page_share", "1 to 100 percent", c.PageShare)
	}
	if c.Escrow < 0 {
		bad("credits.escrow", "0 or more", c.Escrow)
	}
}

// minHeartbeat: workers ping once in a heartbeat, and whoever pings more than some times a second is taken for a flood.
const minHeartbeat = 500 * time.Millisecond

func (c WorkersConfig) validate(bad complain) {
	atLeastOne(bad, "workers.attempts", c.Attempts)
	atLeastOne(bad, "workers.max_per_owner", c.MaxPerOwner)
	if c.Heartbeat < minHeartbeat {
		bad("workers.heartbeat", fmt.Sprint("at least ", minHeartbeat), c.Heartbeat)
	}
	positive(bad, "workers.silence", c.Silence)
	positive(bad, "workers.lost", c.Lost)
	positive(bad, "workers.restart_grace", c.RestartGrace)
	positive(bad, "workers.accept_within", c.AcceptWithin)
	positive(bad, "workers.first_token", c.FirstToken)
	positive(bad, "workers.text_gap", c.TextGap)
	positive(bad, "workers.lease_min", c.LeaseMin)
	positive(bad, "workers.lease_max", c.LeaseMax)
	if c.Silence < 2*c.Heartbeat {
		bad("workers.silence", "at least twice workers.heartbeat", c.Silence)
	}
	if c.LeaseMax < c.LeaseMin {
		bad("workers.lease_max", "at least workers.lease_min", c.LeaseMax)
	}
}

func atLeastOne(bad complain, key string, n int) {
	if n < 1 || n > 100_000 {
		bad(key, "1 to 100000", n)
	}
}

func positive(bad complain, key string, d time.Duration) {
	if d <= 0 {
		bad(key, "more than 0", d)
	}
}

// proxies are the ranges whose X-Forwarded-For is believed.
func (c HTTPConfig) proxies() (ranges []netip.Prefix, err error) {
	for _, s := range c.TrustedProxies {
		p, err := caller.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		ranges = append(ranges, p)
	}
	return ranges, nil
}

func credits(n int) ledger.Amount { return ledger.Amount(n) * ledger.Credit }

// secretFile reads a key's value from the file that key_file names, if any; advice says what belongs there.
func secretFile(key string, value *string, path, advice string) error {
	switch {
	case path == "":
		return nil
	case *value != "":
		return fmt.Errorf("%s and %s_file are both set: keep one", key, key)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s_file: %s cannot be read (%w): %s", key, path, reason(err), advice)
	}
	if *value = strings.TrimSpace(string(b)); *value == "" {
		return fmt.Errorf("%s_file: %s is empty: %s", key, path, advice)
	}
	return nil
}
