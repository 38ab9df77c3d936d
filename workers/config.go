package workers

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"time"

	"potluck/web/caller"
	"potluck/workers/protocol"
)

// Config is how the pool works. DefaultConfig has working values; zero durations and numbers mean the default.
type Config struct {
	Name      string // the server's name, for people
	PublicURL string // what workers dial: https://potluck.example.org
	// AllowLoopback lets Link hand out a PublicURL that only this machine can reach to everybody (demo), not to operators only.
	AllowLoopback bool
	// ExpectWorker says that a worker is about to be linked (demo): what people ask before it is there waits for it, as after a restart.
	ExpectWorker bool
	BlobDir      string // where pictures of workers stand until they are fetched
	MaxPerOwner  int    // workers of one member
	JoinTries    int    // wrong join codes per minute of one address (an IPv6 /64 is one)

	// Address tells whose connection a request is, for the limits of one address; nil: the connection's own, as behind no proxy.
	Address func(*http.Request) string

	Beat         time.Duration // how often a worker says that it lives
	Silence      time.Duration // without a frame for so long it is gone
	Reconnect    time.Duration // a lost connection may come back for so long before its jobs go elsewhere
	RestartGrace time.Duration // the same after a start of the bot
	AcceptWithin time.Duration // a worker says so soon that a job has begun
	FirstToken   time.Duration // until the first sign of work on a job; longer for a long question, a slow worker, a model that is not loaded
	TextGap      time.Duration // between two pieces of an answer
	LeaseMin     time.Duration
	LeaseMax     time.Duration
	MaxAttempts  int
	EscrowFor    time.Duration // from earning to spending
	BackOff      time.Duration // the first rest of a model on a worker after 3 failures in a row; it doubles
	BackOffMax   time.Duration // the longest rest
	Affinity     float64       // how many model loads a loaded model may bend the fair order; negative = none
	LoadTime     time.Duration // what loading a model takes

	ServerKey ed25519.PrivateKey
}

// DefaultConfig has every value but PublicURL, BlobDir and ServerKey.
func DefaultConfig() Config {
	return Config{
		Name: "Potluck", MaxPerOwner: 3, JoinTries: 20,
		Beat: 5 * time.Second, Silence: 15 * time.Second, Reconnect: 5 * time.Second, RestartGrace: 20 * time.Second,
		AcceptWithin: 10 * time.Second, FirstToken: time.Minute, TextGap: 20 * time.Second,
		LeaseMin: 30 * time.Second, LeaseMax: 15 * time.Minute, MaxAttempts: 3, EscrowFor: 24 * time.Hour,
		BackOff: 30 * time.Second, BackOffMax: 10 * time.Minute, Affinity: 4, LoadTime: 20 * time.Second,
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.Name = cmp.Or(c.Name, d.Name)
	c.MaxPerOwner = cmp.Or(c.MaxPerOwner, d.MaxPerOwner)
	c.JoinTries = cmp.Or(c.JoinTries, d.JoinTries)
	c.Beat = cmp.Or(c.Beat, d.Beat)
	c.Silence = cmp.Or(c.Silence, d.Silence)
	c.Reconnect = cmp.Or(c.Reconnect, d.Reconnect)
	c.RestartGrace = cmp.Or(c.RestartGrace, d.RestartGrace)
	c.AcceptWithin = cmp.Or(c.AcceptWithin, d.AcceptWithin)
	c.FirstToken = cmp.Or(c.FirstToken, d.FirstToken)
	c.TextGap = cmp.Or(c.TextGap, d.TextGap)
	c.LeaseMin = cmp.Or(c.LeaseMin, d.LeaseMin)
	c.LeaseMax = cmp.Or(c.LeaseMax, d.LeaseMax)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, d.MaxAttempts)
	c.BackOff = cmp.Or(c.BackOff, d.BackOff)
	c.BackOffMax = cmp.Or(c.BackOffMax, d.BackOffMax)
	c.Affinity = cmp.Or(c.Affinity, d.Affinity)
	c.LoadTime = cmp.Or(c.LoadTime, d.LoadTime)
	if c.Address == nil {
		c.Address = caller.New(nil).Of
	}
	return c // EscrowFor 0 is a value of its own: earnings can be spent at once
}

// Validate names the first field that cannot work.
func (c Config) Validate() error {
	c = c.withDefaults()
	if c.PublicURL != "" {
		if err := protocol.CheckServer(c.PublicURL); err != nil {
			return fmt.Errorf("PublicURL: %w", err)
		}
	}
	if c.BlobDir == "" {
		return errors.New("BlobDir is missing")
	}
	if len(c.ServerKey) != ed25519.PrivateKeySize {
		return errors.New("ServerKey is missing")
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Beat", c.Beat}, {"Silence", c.Silence}, {"Reconnect", c.Reconnect}, {"RestartGrace", c.RestartGrace}, {"LeaseMin", c.LeaseMin}, {"BackOff", c.BackOff},
		{"AcceptWithin", c.AcceptWithin}, {"FirstToken", c.FirstToken}, {"TextGap", c.TextGap}} {
		if d.value < 0 {
			return fmt.Errorf("%s is negative", d.field)
		}
	}
	if c.LeaseMax < c.LeaseMin || c.BackOffMax < c.BackOff {
		return errors.New("LeaseMax and BackOffMax must not be below LeaseMin and BackOff")
	}
	return nil
}
