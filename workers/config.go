package workers

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"time"

	"potluck/web/caller"
	"potluck/workers/protocol"
)

// Config is what an operator may set about the pool. DefaultConfig has working values; zero durations and numbers mean the default.
type Config struct {
	Name      string `yaml:"name"`       // the server's name, for people
	PublicURL string `yaml:"public_url"` // what workers dial: https://potluck.example.org
	// AllowLoopback lets Link hand out a PublicURL that only this machine can reach to everybody (demo), not to operators only.
	AllowLoopback bool `yaml:"allow_loopback"`
	// ExpectWorker says that a worker is about to be linked (demo): what people ask before it is there waits for it, as after a restart.
	ExpectWorker bool   `yaml:"expect_worker"`
	BlobDir      string `yaml:"blob_dir"`      // where pictures of workers stand until they are fetched
	MaxPerOwner  int    `yaml:"max_per_owner"` // workers of one member
	JoinTries    int    `yaml:"join_tries"`    // wrong join codes per minute of one address (an IPv6 /64 is one)

	// Address tells whose connection a request is, for the limits of one address; nil: the connection's own, as behind no proxy.
	Address func(*http.Request) string `yaml:"-"`

	Beat         time.Duration `yaml:"beat"`          // how often a worker says that it lives
	Silence      time.Duration `yaml:"silence"`       // without a frame for so long it is gone
	Reconnect    time.Duration `yaml:"reconnect"`     // a lost connection may come back for so long before its jobs go elsewhere
	RestartGrace time.Duration `yaml:"restart_grace"` // the same after a start of the bot
	AcceptWithin time.Duration `yaml:"accept_within"` // a worker says so soon that a job has begun
	FirstToken   time.Duration `yaml:"first_token"`   // until the first sign of work on a job; longer for a long question, a slow worker, a model that is not loaded
	TextGap      time.Duration `yaml:"text_gap"`      // between two pieces of an answer
	LeaseMin     time.Duration `yaml:"lease_min"`
	LeaseMax     time.Duration `yaml:"lease_max"`
	MaxAttempts  int           `yaml:"max_attempts"`
	EscrowFor    time.Duration `yaml:"escrow_for"` // from earning to spending
	BackOff      time.Duration `yaml:"back_off"`   // the first rest of a model on a worker after 3 failures in a row; it doubles
	BackOffMax   time.Duration `yaml:"back_off_max"`
	Affinity     float64       `yaml:"affinity"`  // how many model loads a loaded model may bend the fair order; negative = none
	LoadTime     time.Duration `yaml:"load_time"` // what loading a model takes

	ServerKey ed25519.PrivateKey `yaml:"-"`
}

// DefaultConfig has every value but PublicURL, BlobDir and ServerKey.
func DefaultConfig() Config {
	return Config{
		Name: "Potluck", MaxPerOwner: 3, JoinTries: 20,
		Beat: 5 * time.Second, Silence: 15 * time.Second, Reconnect: 5 * time.Second, RestartGrace: 20 * time.Second,
		AcceptWithin: 10 * time.Second, FirstToken: time.Minute, TextGap: 20 * time.Second, LeaseMin: 30 * time.Second, LeaseMax: 15 * time.Minute, MaxAttempts: 3, EscrowFor: 24 * time.Hour,
		BackOff: 30 * time.Second, BackOffMax: 10 * time.Minute, Affinity: 4, LoadTime: 20 * time.Second,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	fill(&c.Name, d.Name)
	fill(&c.MaxPerOwner, d.MaxPerOwner)
	fill(&c.JoinTries, d.JoinTries)
	fill(&c.Beat, d.Beat)
	fill(&c.Silence, d.Silence)
	fill(&c.Reconnect, d.Reconnect)
	fill(&c.RestartGrace, d.RestartGrace)
	fill(&c.AcceptWithin, d.AcceptWithin)
	fill(&c.FirstToken, d.FirstToken)
	fill(&c.TextGap, d.TextGap)
	fill(&c.LeaseMin, d.LeaseMin)
	fill(&c.LeaseMax, d.LeaseMax)
	fill(&c.MaxAttempts, d.MaxAttempts)
	fill(&c.BackOff, d.BackOff)
	fill(&c.BackOffMax, d.BackOffMax)
	fill(&c.Affinity, d.Affinity)
	fill(&c.LoadTime, d.LoadTime)
	if c.Address == nil {
		c.Address = caller.New(nil).Of
	}
	return c // EscrowFor 0 is a value of its own: earnings can be spent at once
}

func fill[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate names the first key that cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.PublicURL != "" {
		if err := protocol.CheckServer(c.PublicURL); err != nil {
			return fmt.Errorf("public_url: %w", err)
		}
	}
	if c.BlobDir == "" {
		return fmt.Errorf("blob_dir is missing")
	}
	if len(c.ServerKey) != ed25519.PrivateKeySize {
		return fmt.Errorf("the server key is missing")
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"beat", c.Beat}, {"silence", c.Silence}, {"reconnect", c.Reconnect}, {"restart_grace", c.RestartGrace}, {"lease_min", c.LeaseMin}, {"back_off", c.BackOff},
		{"accept_within", c.AcceptWithin}, {"first_token", c.FirstToken}, {"text_gap", c.TextGap}} {
		if d.value < 0 {
			return fmt.Errorf("%s is negative", d.key)
		}
	}
	if c.LeaseMax < c.LeaseMin || c.BackOffMax < c.BackOff {
		return fmt.Errorf("lease_max and back_off_max must not be below lease_min and back_off")
	}
	return nil
}
