package workers

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"potluck/workers/protocol"
	"testing"
	"time"
)

func TestBarsGrowAndAreForgiven(t *testing.T) {
	var b bars
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if b.left("evil", now) != 0 {
		t.Fatal("barred without a strike")
	}
	for _, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, longestBar, longestBar} {
		b.strike("evil", now)
		b.strike("evil", now.Add(time.Second)) // the rest of the same flood
		if got := b.left("evil", now); got != want {
			t.Fatalf("barred for %v, want %v", got, want)
		}
		now = now.Add(want)
		if b.left("evil", now) != 0 || b.left("good", now) != 0 {
			t.Fatal("the bar has not ended, or hits another")
		}
	}
	now = now.Add(forgiven)
	b.strike("evil", now)
	if got := b.left("evil", now); got != firstBar {
		t.Errorf("barred for %v after it behaved for long, want %v", got, firstBar)
	}
}

func TestBarsKeepOnlyThoseThatMatter(t *testing.T) {
	var b bars
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * keptBars {
		b.strike(string(rune(i)), now)
		now = now.Add(time.Second)
	}
	if len(b.all) > keptBars {
		t.Errorf("%d bars are kept", len(b.all))
	}
}

func TestWhoIsPutOutStaysOutForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9).connect()
		h.send(protocol.OfferFrame{Slots: protocol.MaxSlots + 1})
		for h.read() != nil {
		}
		key := base64.RawURLEncoding.EncodeToString(h.key.Public().(ed25519.PublicKey))
		knock := func() (int, string) {
			resp, err := b.client.Get("http://" + b.net.Addr().String() + protocol.Path + "?v=1&nonce=" + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + "&key=" + key)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode, resp.Header.Get("Retry-After")
		}
		if status, after := knock(); status != http.StatusTooManyRequests || after == "" {
			t.Errorf("answered %d, Retry-After %q", status, after)
		}
		other := b.enlist(8).connect()
		if other.bye != nil {
			t.Errorf("another machine was told %+v", other.bye)
		}
		other.close()
		<-time.After(firstBar)
		if h.connect(); h.bye != nil {
			t.Errorf("after the bar: %+v", h.bye)
		}
		h.close()
	})
}
