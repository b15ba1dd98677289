package site

import "net/netip"

// Network returns what limits count as one address: an IPv4 address, or the /64 network that an IPv6 customer
// has. Text that is no IP address is returned as it is.
func Network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // cannot fail: the address is valid and 64 in range
	return p.String()
}
