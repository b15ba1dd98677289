package gateway

import (
	"net/http"
	"net/netip"
	"strings"

	"userkeys"
)

// ParseTrustedProxies reads the networks (or single addresses) of the proxies
// whose forwarding headers are believed. It refuses what would trust
// everybody: then any client could choose its address. Empty trusts nobody.
func ParseTrustedProxies(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := parseNetwork(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	bad := func(why string) (netip.Prefix, error) {
		return netip.Prefix{}, userkeys.Errorf(userkeys.InvalidParameters, "trusted proxy %q: %s", s, why)
	}
	if s == "*" {
		return bad("everybody would be trusted; name the networks of your proxies")
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return bad("must be an address or a network such as 10.0.0.0/8")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return bad("a network of mapped addresses needs at least 96 bits")
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.Bits() == 0 {
		return bad("everybody would be trusted; name the networks of your proxies")
	}
	return p.Masked(), nil
}

// maxForwardedHops is how many entries of X-Forwarded-For are looked at, from the right.
const maxForwardedHops = 32

// ClientIP tells whose request it is: the peer, or, if the peer is a trusted
// proxy, the rightmost address of X-Forwarded-For that is not. What stands
// left of that a client may have invented. An entry that is no address, or
// more than 32 trusted ones, and the peer counts. A peer without an address (a Unix
// socket) is never trusted; the answer is then its name as the server has it.
func ClientIP(trusted []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string {
		a, ok := clientAddr(r, trusted)
		if !ok {
			return r.RemoteAddr
		}
		return a.String()
	}
}

// clientAddr is [ClientIP] as an address; ok is false if the peer has none.
func clientAddr(r *http.Request, trusted []netip.Prefix) (a netip.Addr, ok bool) {
	peer, ok := peerOf(r)
	if !ok {
		return netip.Addr{}, false
	}
	if a, ok := forwardedFor(r.Header["X-Forwarded-For"], peer, trusted); ok {
		return a, true
	}
	return peer, true
}

// peerOf is the address at the other end of the connection.
func peerOf(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap(), true
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	a = a.WithZone("")
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor walks the lines from the right; ok is false if the peer is to be used.
func forwardedFor(lines []string, peer netip.Addr, trusted []netip.Prefix) (a netip.Addr, ok bool) {
	if len(lines) == 0 || !isTrusted(peer, trusted) {
		return netip.Addr{}, false
	}
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for line, more := lines[i], true; more; {
			var entry string
			j := strings.LastIndexByte(line, ',')
			entry, line, more = line[j+1:], line[:max(j, 0)], j >= 0
			addr, err := netip.ParseAddr(strings.Trim(entry, " \t"))
			if hops++; err != nil || hops > maxForwardedHops {
				return netip.Addr{}, false
			}
			if a = addr.Unmap(); !isTrusted(a, trusted) {
				return a, true
			}
		}
	}
	return a, true // every hop is one of ours: the first of them asks
}
