// Package clientip tells which address a request comes from, also behind proxies, and whether that address asks
// too often.
package clientip

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"userkeys"
)

// ParseTrusted reads the networks (or single addresses) of the proxies
// whose forwarding headers are believed. It refuses what would trust
// everybody: then any client could choose its address. Empty trusts nobody.
func ParseTrusted(list []string) ([]netip.Prefix, error) {
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

// clientIPHeaders are the headers in which a proxy may tell whose request it passes on.
var clientIPHeaders = []string{forwardedForHeader, forwardedHeader, realIPHeader}

const (
	forwardedForHeader = "X-Forwarded-For"
	forwardedHeader    = "Forwarded" // RFC 7239
	realIPHeader       = "X-Real-Ip"
)

// Config is what [New] needs to know of the proxies before a server.
type Config struct {
	TrustedProxies []netip.Prefix // see [ParseTrusted]; empty: nobody's header is believed
	TrustUnix      bool           // whoever connects by a Unix socket is a trusted proxy too
	Header         string         // X-Forwarded-For, Forwarded or X-Real-IP, in any case; empty: X-Forwarded-For
	Logger         *slog.Logger   // of the first header that cannot be read; nil: none
}

// ForwardedFor returns the finder of addresses behind proxies that send X-Forwarded-For.
func ForwardedFor(trusted []netip.Prefix) *ClientIPs {
	return &ClientIPs{trusted: trusted, header: forwardedForHeader}
}

// ClientIPs tells whose request it is: the peer, or, if the peer is a trusted
// proxy, the rightmost address of the header that is not one. What stands left of that a client may have
// invented. Addresses may have ports, brackets and quotes; empty entries are skipped. At an entry
// that is no address, the last address that was read counts, else the peer; with more than 32 trusted ones the
// peer counts. X-Real-IP has one address, which counts. A peer at the other end of a Unix socket has no address.
// It is trusted only if Config.TrustUnix says so; if no header names a client, the answer is "@" or "", as the server
// has it.
type ClientIPs struct {
	trusted []netip.Prefix
	unix    bool // peers without an address are trusted
	header  string
	log     *slog.Logger
	warned  atomic.Bool
}

// New returns the finder of addresses behind the proxies that cfg names. Errors: [userkeys.InvalidParameters] if Header
// is none of the three, or everybody would be trusted.
func New(cfg Config) (*ClientIPs, error) {
	c := &ClientIPs{
		trusted: cfg.TrustedProxies, unix: cfg.TrustUnix, header: http.CanonicalHeaderKey(cfg.Header), log: cfg.Logger,
	}
	if c.header == "" {
		c.header = forwardedForHeader
	}
	if !slices.Contains(clientIPHeaders, c.header) {
		return nil, userkeys.Errorf(userkeys.InvalidParameters,
			"%q is none of X-Forwarded-For, Forwarded and X-Real-IP", cfg.Header)
	}
	return c, checkTrusted(c.trusted)
}

// checkTrusted refuses to trust everybody.
func checkTrusted(trusted []netip.Prefix) error {
	for _, p := range trusted {
		if !p.IsValid() || p.Bits() == 0 {
			return userkeys.Errorf(userkeys.InvalidParameters, "trusted proxy %s: everybody would be trusted", p)
		}
	}
	return nil
}

// Of is the address of the client that sent r.
func (c *ClientIPs) Of(r *http.Request) string {
	peer, trusted := c.Peer(r)
	client := peer
	if lines := r.Header[c.header]; trusted && len(lines) > 0 {
		if c.header == realIPHeader {
			lines = lines[len(lines)-1:]
		}
		client = c.walk(r, lines, peer)
	}
	if !client.IsValid() {
		return r.RemoteAddr
	}
	return client.String()
}

// maxForwardedHops is how many entries of the header are looked at, from the right.
const maxForwardedHops = 32

// walk goes through the lines from the right to the first address that is not a trusted proxy's.
func (c *ClientIPs) walk(r *http.Request, lines []string, peer netip.Addr) netip.Addr {
	last, hops := peer, 0
	for i := len(lines) - 1; i >= 0; i-- {
		for line, more := lines[i], true; more; {
			var entry string
			j := c.lastComma(line)
			entry, line, more = strings.Trim(line[j+1:], " \t"), line[:max(j, 0)], j >= 0
			if entry == "" {
				continue
			}
			addr, ok := c.address(entry)
			if !ok {
				c.warn(r, entry)
				return last
			}
			if hops++; hops > maxForwardedHops {
				return peer
			}
			if last = addr; c.header == realIPHeader || !c.isTrusted(addr) {
				return addr
			}
		}
	}
	return last // every hop is one of ours: the first of them asks
}

// lastComma is where the last entry of a line begins, less one; -1: it is the only one. In Forwarded a comma
// between quotes belongs to a value, such as the host that a client named. Looked at from the right,
// so that a quote which a client left open further left changes nothing.
func (c *ClientIPs) lastComma(line string) int {
	quoted := false
	for i := len(line) - 1; i >= 0; i-- {
		switch {
		case line[i] == '"' && c.header == forwardedHeader:
			quoted = !quoted
		case line[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

// address reads an entry of the header.
func (c *ClientIPs) address(entry string) (netip.Addr, bool) {
	if c.header == forwardedHeader {
		var ok bool
		if entry, ok = forwardedNode(entry); !ok {
			return netip.Addr{}, false
		}
	}
	return parseNode(entry)
}

// forwardedNode is the value of the one parameter "for" of an element of RFC 7239. What stands between quotes is
// part of a value. Quotes that do not end, and escapes in them, are not read.
func forwardedNode(element string) (string, bool) {
	if strings.Contains(element, `\`) || strings.Count(element, `"`)%2 != 0 {
		return "", false
	}
	quoted := false
	pairs := strings.FieldsFunc(element, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ';' && !quoted
	})
	node, found := "", 0
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "for") {
			node = strings.Trim(value, " \t")
			found++
		}
	}
	return node, found == 1
}

// parseNode reads an address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or
// [2001:db8::1]:80, perhaps between quotes.
func parseNode(s string) (netip.Addr, bool) {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap(), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), true
	}
	inner, ok := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	a, err := netip.ParseAddr(inner)
	return a.Unmap(), ok && closed && err == nil && a.Is6()
}

// warn says once that an entry of the header is no address: all clients behind such a proxy may then
// look like one, and share its limits.
func (c *ClientIPs) warn(r *http.Request, entry string) {
	if c.log == nil || c.warned.Swap(true) {
		return
	}
	c.log.LogAttrs(r.Context(), slog.LevelWarn,
		"a trusted proxy names no address that can be read; "+
			"requests like this one count for the proxy (this is said once)",
		slog.String("header", c.header), slog.String("entry", userkeys.Shorten(entry, 64)), slog.String("peer", r.RemoteAddr))
}

// Peer returns the address at the other end of the connection and whether it is a trusted proxy. A peer at the other
// end of a Unix socket has no address: it is the zero Addr.
func (c *ClientIPs) Peer(r *http.Request) (peer netip.Addr, trusted bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, c.unix && IsUnixPeer(r)
	}
	peer = ap.Addr().Unmap()
	return peer, c.isTrusted(peer)
}

// IsUnixPeer reports whether r came over a Unix socket whose other end has no name, as those of clients.
func IsUnixPeer(r *http.Request) bool { return r.RemoteAddr == "" || r.RemoteAddr == "@" }

// ReadsForwardedFor reports whether the trusted proxies are known to send X-Forwarded-For.
func (c *ClientIPs) ReadsForwardedFor() bool { return c.header == forwardedForHeader }

func (c *ClientIPs) isTrusted(a netip.Addr) bool {
	a = a.WithZone("")
	for _, p := range c.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
