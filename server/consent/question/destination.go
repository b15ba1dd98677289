package question

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"userkeys"
)

// Destination is where the answer to a request goes, as the consent page shows
// it: first, in full, never cut on the left, the part that somebody had to
// register set off from what its owner may choose freely.
type Destination struct {
	Kind    string // "site", "computer", "app", "page", or, where somebody signs in first, "device"
	Before  string // "https://bank.example."
	Domain  string // "evil.net"
	After   string // ":8443"
	Address string // of a computer's program or an app
}

// To is where the answer to a request goes by r; nil: the app named no address, and a page shows the answer.
func To(r *userkeys.Redirect) Destination {
	switch {
	case r == nil:
		return Destination{Kind: "page"}
	case r.Loopback():
		return Destination{Kind: "computer", Address: r.Host()}
	case r.Scheme() != "https" && r.Scheme() != "http":
		return Destination{Kind: "app", Address: r.Origin()}
	}
	host, port := splitPort(r.Host())
	domain := registrable(host)
	return Destination{
		Kind:   "site",
		Before: r.Scheme() + "://" + strings.TrimSuffix(host, domain),
		Domain: domain,
		After:  port,
	}
}

// splitPort cuts ":8443" off a host; an address in brackets keeps its colons.
func splitPort(hostport string) (host, port string) {
	i := strings.LastIndexByte(hostport, ':')
	if i < 0 || strings.HasSuffix(hostport, "]") {
		return hostport, ""
	}
	return hostport[:i], hostport[i:]
}

// registrable is the part of host that somebody registered; all of it where
// there is no such part (an address, a name without a dot).
func registrable(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil || !strings.HasSuffix(host, domain) {
		return host
	}
	return domain
}
