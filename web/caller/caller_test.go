package caller

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// behind believes proxies in these ranges.
func behind(t testing.TB, ranges ...string) *Caller {
	t.Helper()
	var proxies []netip.Prefix
	for _, s := range ranges {
		p, err := ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		proxies = append(proxies, p)
	}
	return New(proxies)
}

func (c *Caller) of(remote string, forwarded ...string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	for _, line := range forwarded {
		r.Header.Add("X-Forwarded-For", line)
	}
	return c.Of(r)
}

// The page and the link to the workers count by the same rule, whatever visitors write into the header. They had a rule each, which differed in
// ports, zones and IPv4 within IPv6.
func TestOf(t *testing.T) {
	c := behind(t, "127.0.0.1", "10.0.0.0/8", "2001:db8:aaaa::/48", "::ffff:192.168.7.0/120", "fe80::/10")
	const client, proxy = "198.51.100.1", "127.0.0.1:1234"
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"no header", "203.0.113.9:1234", nil, "203.0.113.9"},
		{"no header behind a proxy", proxy, nil, "127.0.0.1"},
		{"no proxy of ours: anybody can write this header", "203.0.113.9:1234", []string{client}, "203.0.113.9"},
		{"not even our own addresses in it help", "203.0.113.9:1234", []string{client + ", 10.0.0.1, 127.0.0.1"}, "203.0.113.9"},
		{"one proxy", proxy, []string{client}, client},
		{"two proxies", proxy, []string{client + ", 10.1.2.3"}, client},
		{"what stands before may be made up", proxy, []string{"192.0.2.7, " + client}, client},
		{"made up to look like a proxy of ours", proxy, []string{"10.9.9.9, 127.0.0.1, " + client}, client},
		{"nobody but proxies of ours", proxy, []string{"10.0.0.5, 10.0.0.6"}, "10.0.0.5"},
		{"several lines are one list", proxy, []string{"192.0.2.7", client, "10.1.2.3"}, client},
		{"a made-up line before the proxy's", proxy, []string{"192.0.2.7, 192.0.2.8", client}, client},
		{"a made-up line that ends open", proxy, []string{"192.0.2.7,", client}, client},
		{"spaces and tabs", proxy, []string{" \t" + client + " ,\t10.1.2.3 "}, client},
		{"no spaces", proxy, []string{client + ",10.1.2.3"}, client},

		{"rubbish", proxy, []string{"rubbish"}, "127.0.0.1"},
		{"a hidden address", proxy, []string{"unknown"}, "127.0.0.1"},
		{"nothing", proxy, []string{""}, "127.0.0.1"},
		{"an empty end", proxy, []string{client + ","}, "127.0.0.1"},
		{"commas only", proxy, []string{",,,,"}, "127.0.0.1"},
		{"rubbish behind the second proxy", proxy, []string{client + ", <script>, 10.1.2.3"}, "10.1.2.3"},
		{"a name", proxy, []string{"localhost"}, "127.0.0.1"},
		{"octal", proxy, []string{"0177.0.0.1"}, "127.0.0.1"},
		{"short IPv4", proxy, []string{"127.1"}, "127.0.0.1"},
		{"a number", proxy, []string{"2130706433"}, "127.0.0.1"},
		{"a range", proxy, []string{client + "/8"}, "127.0.0.1"},
		{"control characters", proxy, []string{client + "\x00"}, "127.0.0.1"},
		{"brackets that do not close", proxy, []string{"[" + client}, "127.0.0.1"},
		{"more brackets than belong", proxy, []string{"[[2001:db8::1]]"}, "127.0.0.1"},

		{"with a port, as some proxies write it", proxy, []string{client + ":4711"}, client},
		{"with a port that is none", proxy, []string{client + ":99999"}, "127.0.0.1"},
		{"IPv6", proxy, []string{"2001:db8:1:2::3"}, "2001:db8:1:2::/64"},
		{"IPv6 in brackets", proxy, []string{"[2001:db8:1:2::3]"}, "2001:db8:1:2::/64"},
		{"IPv6 with a port", proxy, []string{"[2001:db8:1:2::3]:443"}, "2001:db8:1:2::/64"},
		{"IPv6 behind a proxy with IPv6", "[2001:db8:aaaa:1::1]:99", []string{"2001:db8:1:2::3"}, "2001:db8:1:2::/64"},
		{"one household", "[2001:db8:1:2:3::4]:1234", nil, "2001:db8:1:2::/64"},
		{"the same household", "[2001:db8:1:2:ffff::9]:1234", nil, "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.9]:1234", nil, "203.0.113.9"},
		{"IPv4 in IPv6 in the header", proxy, []string{"::ffff:198.51.100.1"}, client},
		{"a proxy of ours as IPv4 in IPv6", "[::ffff:127.0.0.1]:1234", []string{client}, client},
		{"and in the header", proxy, []string{client + ", ::ffff:10.1.2.3"}, client},
		{"a range that was given as IPv4 in IPv6", "192.168.7.9:1", []string{client}, client},
		{"beside that range", "192.168.8.9:1", []string{client}, "192.168.8.9"},
		{"a zone", "[fe80::1%eth0]:1234", []string{client}, client},
		{"a made-up zone makes no new household", proxy, []string{"fe80::1%" + strings.Repeat("x", 40)}, "fe80::/64"},

		{"no port", "203.0.113.9", nil, "203.0.113.9"},
		{"a socket that is a file", "@", []string{client}, "@"},
		{"an empty address", "", []string{client}, ""},
		{"a pipe", "pipe", []string{client}, "pipe"},
	} {
		if got := c.of(tt.remote, tt.forwarded...); got != tt.want {
			t.Errorf("%s: %q with %q is %q, want %q", tt.name, tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

func TestOfWithoutProxiesBelievesNobody(t *testing.T) {
	for _, remote := range []string{"127.0.0.1:1", "10.0.0.1:1", "[::1]:1"} {
		bare := New(nil).of(remote)
		if got := New(nil).of(remote, "198.51.100.1"); got != bare {
			t.Errorf("%s with a header is %s, want %s", remote, got, bare)
		}
	}
}

// However long the header is, little of it is read, and the request's own header stays as it is.
func TestOfReadsABoundedPart(t *testing.T) {
	c := behind(t, "10.0.0.0/8")
	long := "198.51.100.1" + strings.Repeat(",10.0.0.7", 100_000)
	if got := c.of("10.0.0.1:1", long); got != "10.0.0.7" {
		t.Errorf("a header of %d bytes: %s", len(long), got)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	lines := []string{"198.51.100.1, 10.0.0.2", "10.0.0.3,10.0.0.4"}
	r.Header["X-Forwarded-For"] = lines
	for range 2 {
		if got := c.Of(r); got != "198.51.100.1" {
			t.Errorf("got %s", got)
		}
	}
	if lines[0] != "198.51.100.1, 10.0.0.2" || lines[1] != "10.0.0.3,10.0.0.4" {
		t.Errorf("the header is %q now", lines)
	}
}

func TestParsePrefix(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1": "127.0.0.1/32", "10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "::1": "::1/128", "2001:db8::1/32": "2001:db8::/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.0.0.1": "10.0.0.1/32", "fe80::1%eth0": "fe80::1/128",
	} {
		p, err := ParsePrefix(in)
		if err != nil || p.String() != want {
			t.Errorf("%s is %v (%v), want %s", in, p, err, want)
		}
	}
	for _, bad := range []string{"", "localhost", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "[::1]", "fe80::%eth0/64", "::ffff:10.0.0.0/64", "10.0.0.0/08", " 10.0.0.1"} {
		if p, err := ParsePrefix(bad); err == nil {
			t.Errorf("%q is %v", bad, p)
		}
	}
}

// FuzzOf: whatever a visitor writes before what the proxy adds, the visitor counts as the address that the proxy saw.
func FuzzOf(f *testing.F) {
	for _, s := range []string{"", "192.0.2.1", "10.0.0.1, 10.0.0.2", "rubbish,,", "[::1]:80", "::ffff:10.0.0.1", "fe80::1%a,b"} {
		f.Add(s)
	}
	c := behind(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, made string) {
		for _, forwarded := range [][]string{{made + ", 198.51.100.1"}, {made, "198.51.100.1"}, {made, "198.51.100.1, 10.0.0.9"}} {
			if got := c.of("10.0.0.1:1", forwarded...); got != "198.51.100.1" {
				t.Errorf("%q: %s", forwarded, got)
			}
		}
		if got := c.of("203.0.113.9:1", made); got != "203.0.113.9" {
			t.Errorf("%q without a proxy: %s", made, got)
		}
	})
}
