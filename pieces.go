package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"potluck/commands"
	"potluck/community"
	"potluck/storage"
	"potluck/workers"
	"potluck/workers/protocol"
)

// creditsOf shows the ledger in the way that commands ask for it.
type creditsOf struct{ *storage.Credits }

func (c creditsOf) Bill(ctx context.Context, job int64) (commands.Bill, bool, error) {
	b, ok, err := c.Credits.Bill(ctx, job)
	return commands.Bill(b), ok, err
}

// second is the error of a call that also counts what it did.
func second(_ int, err error) error { return err }

// newToken is 256 random bits for the one-time operator address.
func newToken() string {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return hex.EncodeToString(b[:])
}

// describeOffers says in one line per offer what a worker can do.
func describeOffers(w workers.WorkerView) []string {
	var out []string
	for _, o := range w.Offers {
		what := map[protocol.Kind]string{protocol.Chat: "/ask", protocol.Image: "/imagine", protocol.Translate: "/translate"}[o.Kind]
		line := fmt.Sprintf("%-10s %s with %s", what, o.Engine, o.Model)
		switch {
		case o.AnyPair:
			line += ", any language"
		case len(o.Pairs) > 0:
			var pairs []string
			for _, p := range o.Pairs {
				pairs = append(pairs, p.From+"→"+p.To)
			}
			slices.Sort(pairs)
			line += ": " + strings.Join(slices.Compact(pairs), " ")
		}
		if o.Quality == protocol.Demo {
			line += " (a demonstration, no AI model)"
		}
		out = append(out, line)
	}
	return out
}

// aliasOf is the same for an identity for ever, and says of it only the platform.
func aliasOf(key []byte, id community.UserID) community.UserID {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("allowance\n" + string(id)))
	return community.UserID(community.Platform(id) + ":" + hex.EncodeToString(mac.Sum(nil)[:16]))
}
