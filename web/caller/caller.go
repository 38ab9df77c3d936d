// Package caller tells whose request one is, so that limits count households and not proxies.
package caller

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// mostHops bounds how far back X-Forwarded-For is read: nobody stands behind more proxies of the same operator.
const mostHops = 32

// Caller knows which proxies to believe. It never changes, so it may be used from any goroutine.
type Caller struct {
	proxies []netip.Prefix
}

// New believes the X-Forwarded-For of proxies in these ranges; without any, that of nobody.
func New(proxies []netip.Prefix) *Caller { return &Caller{proxies: proxies} }

// Of returns who is limited together: an IPv4 address, or the /64 of IPv6 that one household has. It is the connection's address or, where that
// is a trusted proxy's, the last one in X-Forwarded-For that is not; everything before that the visitor may have made up. What is no address ends the
// walk, and the proxy that passed it on stands in. Of a connection without an address (a socket that is a file) it is what the connection says.
func (c *Caller) Of(r *http.Request) string {
	addr, ok := parse(r.RemoteAddr)
	if !ok {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			return host
		}
		return r.RemoteAddr
	}
	forwarded := hops{lines: r.Header.Values("X-Forwarded-For")}
	for range mostHops {
		hop, more := forwarded.last()
		if !more || !c.trusted(addr) {
			break
		}
		next, ok := parse(hop)
		if !ok {
			break
		}
		addr = next
	}
	if addr.Is6() {
		if household, err := addr.Prefix(64); err == nil {
			return household.String()
		}
	}
	return addr.String()
}

// hops reads a header from its end, since that is what proxies add to, whose lines count as one list. Nothing is split beforehand: a header can be
// a megabyte of commas.
type hops struct {
	lines []string // those not yet begun
	line  string   // what is left of the one that is read
	begun bool
}

// last takes the last hop that is left, without the spaces around it.
func (h *hops) last() (hop string, ok bool) {
	if !h.begun {
		if len(h.lines) == 0 {
			return "", false
		}
		h.line, h.lines, h.begun = h.lines[len(h.lines)-1], h.lines[:len(h.lines)-1], true
	}
	comma := strings.LastIndexByte(h.line, ',')
	hop = strings.TrimSpace(h.line[comma+1:])
	if comma < 0 {
		h.begun = false
	} else {
		h.line = h.line[:comma]
	}
	return hop, true
}

func (c *Caller) trusted(a netip.Addr) bool {
	for _, p := range c.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parse reads an address with or without a port. One network has one form: IPv4 in IPv6 is IPv4, and there are no zones.
func parse(s string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// ParsePrefix reads a range ("10.0.0.0/8"), or one address as the range of itself, in the form in which Of compares.
func ParsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || strings.Contains(s, "/") { // a zone could hold it
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range of addresses", s)
		}
		a = a.Unmap()
		return a.Prefix(a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is wider than all of IPv4: write it as IPv4", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
