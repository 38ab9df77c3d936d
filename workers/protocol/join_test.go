package protocol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestJoinStringRoundTrips(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Join{Server: "https://potluck.example.org", Fingerprint: Fingerprint(public), Code: NewCode()}
	s := want.String()
	// Chat apps and terminals break long lines.
	for _, typed := range []string{s, " " + s[:20] + "\n  " + s[20:] + "\r\n", strings.TrimSuffix(s, want.Code) + strings.ToLower(want.Code[:4]+"-"+want.Code[4:])} {
		got, err := ParseJoin(typed)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
}

func TestDamagedJoinStrings(t *testing.T) {
	good := strings.Split(Join{Server: "https://potluck.example.org", Code: "ABCD2345"}.String(), ".")
	with := func(i int, s string) string {
		p := append([]string{}, good...)
		p[i] = s
		return strings.Join(p, ".")
	}
	server := func(s string) string { return strings.Split(Join{Server: s, Code: "ABCD2345"}.String(), ".")[1] }
	for s, want := range map[string]string{
		"":                                       "not a join string",
		strings.Join(good[:3], "."):              "part of the join string is missing",
		with(0, "potluck2"):                      "not a join string",
		with(1, "%%"):                            "server address",
		with(1, server("ftp://x")):               "not a server address",
		with(1, server("https://user:pw@x.org")): "not a server address",
		with(1, server("http://potluck.example")): "no TLS",
		with(2, "AAAA"):      "fingerprint",
		with(2, good[2]+"A"): "fingerprint",
		with(3, "ABCD234"):   "code",
		with(3, "ABCD234U"):  "code",
	} {
		if _, err := ParseJoin(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

func TestCheckServer(t *testing.T) {
	for server, ok := range map[string]bool{
		"https://potluck.example.org": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": true, "http://192.168.1.2": true, "http://100.100.1.1": true, "http://nas.local": true, "http://nas:8080": true,
		"http://8.8.8.8": false, "http://134744072": false, "http://0x8080808": false, "http://nas.": false, "http://localhost.example.org": false, "ws://127.0.0.1": false, "https://": false, "": false, "http://[::ffff:8.8.8.8]": false,
		// What a link's path behind it would make another address, and what would not look on a terminal like what it is.
		"https://:443": false, "https://x.org?y": false, "https://x.org/#y": false, "https://x.org/\u202ey": false, "https://a\u009bb": false, "https://a b": false, "https://x\xff": false,
		"https://bücher.example/potluck": true,
	} {
		if err := CheckServer(server); (err == nil) != ok {
			t.Errorf("%q: %v, want ok %v", server, err, ok)
		}
	}
	if !Loopback("http://localhost:1") || !Loopback("http://127.0.0.1") || Loopback("http://192.168.1.1") || Loopback("https://example.org") {
		t.Error("Loopback")
	}
}

func TestNewCodesAreCleanAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		c := NewCode()
		if clean, err := CleanCode(c); err != nil || clean != c || seen[c] {
			t.Fatalf("%q: %q, %v, seen %v", c, clean, err, seen[c])
		}
		seen[c] = true
	}
}

func FuzzCleanCode(f *testing.F) {
	for _, s := range []string{"ABCD-2345", "abcd 2345", "OILoil00", "", "ABCD234\xff", "ſſſſſſſſ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := CleanCode(s)
		if err != nil {
			return
		}
		if len(c) != 8 || strings.Trim(c, crockford) != "" {
			t.Errorf("%q became %q", s, c)
		}
		if again, err := CleanCode(c[:4] + "-" + strings.ToLower(c[4:])); err != nil || again != c {
			t.Errorf("%q became %q, then %q, %v", s, c, again, err)
		}
	})
}

func FuzzParseJoin(f *testing.F) {
	f.Add(Join{Server: "https://potluck.example.org", Code: "ABCD2345"}.String())
	f.Add("potluck1.aHR0cDovLzEyNy4wLjAuMQ..")
	for _, server := range []string{"http://127.0.0.1:8080", "http://[fe80::1%25eth0]:1/", "https://bücher.example/a/b", "https://:443", "https://x?y", "https://x#y", "https://x/\u202ey", "http://8.8.8.8",
		"https://u:p@x", "https://x:99999", "https://%41", "HTTPS://X.local.", "http://nas.local", "https://a b", "https://a\u009bb", "ftp://x", "https://x/%2e%2e?"} {
		f.Add(Join{Server: server, Code: "ABCD2345"}.String())
	}
	f.Add(" POTLUCK1.aHR0cDovLzEyNy4wLjAuMQ." + strings.Repeat("A", 43) + ".oil0-oil0\n")
	f.Fuzz(func(t *testing.T, s string) {
		j, err := ParseJoin(s)
		if err != nil {
			// The sentence goes to a terminal as it is.
			if e := err.Error(); j != (Join{}) || !printable(e) {
				t.Errorf("%q: %+v and %q", s, j, e)
			}
			return
		}
		u, err := url.Parse(j.Server)
		if CheckServer(j.Server) != nil || err != nil || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(j.Server, "?#") || !printable(j.Server) {
			t.Errorf("%q was accepted: %v, %v", j.Server, CheckServer(j.Server), err)
		}
		if u.Scheme == "http" && !PrivateHost(u.Hostname()) {
			t.Errorf("%q is public and has no TLS", j.Server)
		}
		if code, err := CleanCode(j.Code); err != nil || code != j.Code {
			t.Errorf("%q has the code %q", s, j.Code)
		}
		clean := j.String()
		if again, err := ParseJoin(clean); err != nil || again != j {
			t.Errorf("%+v became %+v, %v", j, again, err)
		}
		// Chats and terminals break it anywhere, and people type the code in their own way.
		at := len(s) % len(clean)
		code := len(clean) - len(j.Code)
		typed := "\n " + clean[:at] + " \r\n\t" + clean[at:code] + strings.ToLower(clean[code:code+4]) + "-" + clean[code+4:]
		if at < code {
			if again, err := ParseJoin(typed); err != nil || again != j {
				t.Errorf("%q became %+v, %v", typed, again, err)
			}
		}
		if cut, err := ParseJoin(clean[:len(clean)-1]); err == nil {
			t.Errorf("%q was cut and is still %+v", clean, cut)
		}
	})
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsGraphic(c) })
}

func TestTranscriptBindsEverything(t *testing.T) {
	base := func() []byte {
		return Transcript(RoleServer, 1, []byte("sn"), []byte("wn"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk"))
	}
	// The exact bytes are the protocol: a program in another language must be able to build them.
	want := "00000013706f746c75636b20776f726b6572206c696e6b" + "00000006736572766572" + "0000000400000001" + "00000002736e" + "00000002776e" + "00000002736b" + "00000002776b"
	if got := hex.EncodeToString(base()); got != want {
		t.Errorf("transcript\n%s, want\n%s", got, want)
	}
	for name, other := range map[string][]byte{
		"role":         Transcript(RoleWorker, 1, []byte("sn"), []byte("wn"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk")),
		"version":      Transcript(RoleServer, 2, []byte("sn"), []byte("wn"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk")),
		"server nonce": Transcript(RoleServer, 1, []byte("sN"), []byte("wn"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk")),
		"worker nonce": Transcript(RoleServer, 1, []byte("sn"), []byte("wN"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk")),
		"server key":   Transcript(RoleServer, 1, []byte("sn"), []byte("wn"), ed25519.PublicKey("sK"), ed25519.PublicKey("wk")),
		"worker key":   Transcript(RoleServer, 1, []byte("sn"), []byte("wn"), ed25519.PublicKey("sk"), ed25519.PublicKey("wK")),
		"borders":      Transcript(RoleServer, 1, []byte("snw"), []byte("n"), ed25519.PublicKey("sk"), ed25519.PublicKey("wk")),
	} {
		if bytes.Equal(base(), other) {
			t.Errorf("another %s gives the same transcript", name)
		}
	}
}
