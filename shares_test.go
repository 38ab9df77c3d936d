package main

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/web/caller"
)

// Somebody with many sessions of the page and a machine that answered with noise took the day's free credits of all visitors in half a minute: 1,832 of
// 2,000. One address has its part now, over sessions, /forgetme and kills, and others still have theirs.
func TestOneAddressDoesNotTakeThePagesCredits(t *testing.T) {
	t.Parallel()
	settings := []string{
		"POTLUCK_HTTP_TRUSTED_PROXIES=127.0.0.1", "POTLUCK_CREDITS_DAILY_PAGE=20", "POTLUCK_CREDITS_PAGE_SHARE=25", "POTLUCK_CREDITS_ESCROW=0s",
		"POTLUCK_LIMITS_PER_MINUTE=1000",
	}
	k := openKitchen(t, settings...)
	from := func(name, address string) *visitor {
		v := visitFrom(t, "http://"+k.addr, name, address)
		k.visitors = append(k.visitors, v)
		return v
	}
	const attacker, cousin = "2001:db8:1:2::66", "2001:db8:1:2:ffff::1" // of one household
	owner := from("Mallory", attacker)
	dir := filepath.Join(t.TempDir(), "sink")
	write(t, filepath.Join(dir, "config.yaml"), demoKitchen)
	sink := start(t, "potluck-worker", k.joinString(owner, "sink").String(), []string{"POTLUCK_WORKER_HASTE=1000"}, "run", "-dir", dir, "-join", "-")
	sink.said(sink.errs, "msg=connected")
	wish := "/imagine count:4 a sack of credits"
	refused := ""
	for i := 0; refused == ""; i++ {
		v := from(fmt.Sprint("Sock ", i), attacker)
		got := map[bool]string{}
		for range 3 {
			m := v.answer(v.say(wish))
			got[len(m.Images) > 0] = m.Text
		}
		if refused = got[false]; i > 3 {
			t.Fatalf("12 wishes were drawn: %q", got[true])
		}
	}
	want := "Each internet address may use 5 of this page's free credits a day, so that some are left for everybody. Your free credits come back at 00:00 UTC."
	if !strings.Contains(refused, want) {
		t.Errorf("refused with %q", refused)
	}
	if n := owner.earned(); n <= 0 || n > 5 {
		t.Errorf("the attacker's machine earned %v", n)
	}
	again := func(when string, v *visitor) {
		t.Helper()
		if m := v.answer(v.say(wish)); len(m.Images) > 0 || !strings.Contains(m.Text, want) {
			t.Errorf("%s: %q, %d pictures", when, m.Text, len(m.Images))
		}
	}
	again("another address of the same household", from("Cousin", cousin))

	gone := from("Fleeting", attacker)
	gone.press(gone.answer(gone.say("/forgetme")), "Forget me")
	gone.untilGone()
	again("after /forgetme", from("Fleeting Two", attacker))
	k.visitors = k.visitors[:0]

	k.bot.kill()
	k.startBot(settings...)
	again("after a kill", from("Sock Last", attacker))

	other := from("Anna", "198.51.100.20")
	if m := other.answer(other.say("/imagine a lighthouse")); len(m.Images) != 1 {
		t.Errorf("somebody else, afterwards: %q", m.Text)
	}
	if left := number(t, `Free today: ([\d.,]*\d) of 5`, other.ask("/credits").Text); left <= 2 || left >= 5 {
		t.Errorf("somebody else has %v left", left)
	}
	k.close()
}

// Who is counted together: an IPv4 address, a /64 of IPv6, for one day; and nobody while only this machine reaches the page.
func TestWhoSharesAPartOfThePagesCredits(t *testing.T) {
	key, today := []byte("secret"), time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	if a, b := householdOf(key, "198.51.100.7", today), householdOf(key, "198.51.100.7", today.Add(-23*time.Hour)); a != b || strings.Contains(a, "198") {
		t.Errorf("%q and %q on one day", a, b)
	}
	for _, other := range []string{householdOf(key, "198.51.100.8", today), householdOf(key, "198.51.100.7", today.Add(time.Hour)), householdOf([]byte("other"), "198.51.100.7", today)} {
		if other == householdOf(key, "198.51.100.7", today) {
			t.Errorf("%q is another's, too", other)
		}
	}
	for _, c := range []struct {
		http    HTTPConfig
		counted bool
	}{
		{HTTPConfig{Addr: "127.0.0.1:0"}, false}, // make demo
		{HTTPConfig{Addr: "127.0.0.1:0", PublicURL: "http://localhost:8080"}, false},
		{HTTPConfig{Addr: "127.0.0.1:0", PublicURL: "https://potluck.example.org"}, true}, // a proxy or a tunnel on this machine
		{HTTPConfig{Addr: "127.0.0.1:0", TrustedProxies: []string{"127.0.0.1"}}, true},
		{HTTPConfig{Addr: "0.0.0.0:0"}, true},
	} {
		l, err := listen(c.http.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		h := house{config: Config{HTTP: c.http}, listener: l, caller: caller.New(nil), alias: key}
		at := func(address string) string {
			r := httptest.NewRequest("POST", "/webchat/messages", nil)
			r.RemoteAddr = address
			return h.household(r)
		}
		one, same, other := at("[2001:db8:1:2::1]:4711"), at("[2001:db8:1:2:ffff::9]:12"), at("[2001:db8:1:3::1]:4711")
		if (one != "") != c.counted || one != same || c.counted && one == other || c.counted && at("127.0.0.1:1") == "" {
			t.Errorf("%+v: %q %q %q", c.http, one, same, other)
		}
	}
}
