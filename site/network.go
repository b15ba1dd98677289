package site

import "net/netip"

// Network is what counts as one address where somebody is limited by it: an
// IPv4 address, or the /64 that an IPv6 customer has. What is no address stays as it is.
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
