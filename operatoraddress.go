package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"potluck/bot/webchat"
	"potluck/web/operator"
)

// operatorPath takes the token that makes whoever brings it the operator.
const operatorPath = "/webchat/operator?token="

// passFor is how long an address of potluck operator is good for.
const passFor = 10 * time.Minute

// newToken is 256 random bits for the one-time operator address.
func newToken() string {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return hex.EncodeToString(b[:])
}

// operatorPasses recognises the tokens that potluck operator makes beside the running program: both have secret.key, and whoever can read that
// has everything already. A pass works once, in the program that was running when it was made.
type operatorPasses struct {
	key   []byte
	began time.Time

	mu   sync.Mutex
	used map[string]time.Time // when; only passes that were right
}

func newOperatorPasses(key []byte, began time.Time) *operatorPasses {
	return &operatorPasses{key: key, began: began, used: make(map[string]time.Time)}
}

// A pass is the time in milliseconds, 16 random bytes, and the HMAC of both, all as hexadecimal digits.
const passHead = 2*8 + 2*16

func newPass(key []byte, now time.Time) string {
	var random [16]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	head := fmt.Sprintf("%016x%x", now.UnixMilli(), random)
	return head + passSum(key, head)
}

func passSum(key []byte, head string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("operator pass\n" + head))
	return hex.EncodeToString(mac.Sum(nil))
}

// take tells whether a token is a pass that was not used yet, and uses it up.
func (p *operatorPasses) take(token string, now time.Time) bool {
	if len(token) < passHead || !hmac.Equal([]byte(token[passHead:]), []byte(passSum(p.key, token[:passHead]))) {
		return false
	}
	ms, err := strconv.ParseInt(token[:16], 16, 64)
	if err != nil {
		return false
	}
	made := time.UnixMilli(ms)
	if ms < p.began.UnixMilli() || now.Sub(made) > passFor || made.Sub(now) > passFor {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for used, at := range p.used {
		if now.Sub(at) > 2*passFor { // too old to be made again, even by a clock that was ahead
			delete(p.used, used)
		}
	}
	if _, used := p.used[token]; used {
		return false
	}
	p.used[token] = now
	return true
}

// operatorAddress prints a one-time address for the Potluck that runs on this configuration.
func operatorAddress(ctx context.Context, c call) error {
	if !c.config.Page.Enabled {
		return errors.New("page.enabled is false, and the operator's view is part of the page: there is no address to open")
	}
	addr, err := net.ResolveTCPAddr("tcp", c.config.HTTP.Addr)
	if err != nil || addr.Port == 0 {
		return fmt.Errorf("the address %s tells nobody where Potluck listens: give http.addr a port", c.config.HTTP.Addr)
	}
	here := "http://" + reachable(addr)
	if err := answers(ctx, here); err != nil {
		return fmt.Errorf("no Potluck answers at %s (%w): start it first, an address works only in the Potluck that runs", here, reason(err))
	}
	key, err := readKey(c.config.DataDir, "secret.key")
	if err != nil {
		return err
	}
	base := here
	if u := strings.TrimRight(c.config.HTTP.PublicURL, "/"); u != "" {
		base = u
	}
	fmt.Fprintf(c.out, "Be its operator: %s (works once, for %d minutes)\nThe operator's view: %s%s\n", base+operatorPath+newPass(key, time.Now()), int(passFor.Minutes()), base, operator.Path)
	return nil
}

// answers tells whether a Potluck lives at that address.
func answers(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: this machine
	res, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}

// greet says where Potluck is and how one becomes its operator. The address stands on standard output, not in the log: whoever opens it first
// becomes operator. Where standard output is kept, as by systemd, it is printed only until there is an operator, and never between lines of JSON.
func (h *house) greet(ctx context.Context, c call) error {
	about := []any{"version", version, "addr", h.listener.Addr().String(), "data", c.config.DataDir}
	if h.operatorURL == "" {
		c.log.Info("potluck", about...)
		return nil
	}
	known, ok, err := h.people.MemberOf(ctx, webchat.OperatorUser)
	if err != nil {
		return err
	}
	show := isTerminal(c.out) || !(ok && known.Operator) && c.config.Log.Format != "json"
	if !show {
		about = append(about, "operator", "potluck operator prints a one-time address")
	}
	c.log.Info("potluck", about...)
	if show {
		fmt.Fprintf(c.out, "Potluck is at %s\nBe its operator: %s (works once)\nThe operator's view: %s%s\n", h.publicURL(), h.operatorURL, h.publicURL(), operator.Path)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
