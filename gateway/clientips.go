package gateway

import (
	"net/http"
	"net/netip"

	"userkeys/gateway/internal/clientip"
)

// ClientIPs tells whose request it is, behind proxies too; its method Of returns the address.
type ClientIPs = clientip.ClientIPs

// ClientIPConfig is what [NewClientIPs] needs to know of the proxies before a server: whose headers are believed
// (TrustedProxies), and which header (Header: X-Forwarded-For, Forwarded or X-Real-IP).
type ClientIPConfig = clientip.Config

// NewClientIPs returns the finder of addresses behind the proxies that cfg names. Errors: [userkeys.InvalidParameters]
// if everybody would be trusted, or there is no such header.
func NewClientIPs(cfg ClientIPConfig) (*ClientIPs, error) { return clientip.New(cfg) }

// ClientIP returns [ClientIPs.Of] behind proxies that send X-Forwarded-For.
func ClientIP(trusted []netip.Prefix) func(*http.Request) string {
	return clientip.ForwardedFor(trusted).Of
}

// IsUnixPeer reports whether r came over a Unix socket whose other end has no name, as those of clients.
func IsUnixPeer(r *http.Request) bool { return clientip.IsUnixPeer(r) }

// ParseTrustedProxies reads the networks (or single addresses) of the proxies
// whose forwarding headers are believed. It refuses what would trust
// everybody: then any client could choose its address. Empty trusts nobody.
func ParseTrustedProxies(list []string) ([]netip.Prefix, error) { return clientip.ParseTrusted(list) }
