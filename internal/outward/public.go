package outward

import "net/netip"

// A reach is a list of networks that are not public.
type reach []netip.Prefix

func prefixes(texts ...string) reach {
	r := make(reach, len(texts))
	for i, text := range texts {
		r[i] = netip.MustParsePrefix(text)
	}
	return r
}

func (r reach) contains(ip netip.Addr) bool {
	for _, p := range r {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// The networks that no public host lives in. The methods of [netip.Addr] (IsPrivate, IsGlobalUnicast and so on)
// miss most of them, so all are written out (IANA's registries of special-purpose addresses; SS4 to SS10).
var (
	inwardIPv4 = prefixes(
		"0.0.0.0/8",        // this network; Linux takes 0.0.0.0 for the machine itself
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // shared by a provider's customers; 100.100.100.200 tells a machine at Alibaba its secrets
		"127.0.0.0/8",      // the machine itself
		"168.63.129.16/32", // tells a machine at Azure its secrets, though the number is public
		"169.254.0.0/16",   // link-local; 169.254.169.254 tells a machine in most clouds its secrets
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocols; 192.0.0.192 tells a machine at Oracle its secrets
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // relays of 6to4
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved, and broadcast
	)
	// all that was ever given out; loopback, private, NAT64 and the like lie outside
	publicIPv6 = netip.MustParsePrefix("2000::/3")
	inwardIPv6 = prefixes(
		"2001::/23",     // protocols: Teredo, which holds IPv4 addresses, benchmarks, hashes
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4, which holds IPv4 addresses
		"3fff::/20",     // documentation
	)
)

// Public reports whether ip can be the address of a public host. IPv4 in IPv6 (::ffff:127.0.0.1) is judged as
// IPv4; an address with a zone is never public. Public cannot recognise public numbers that a network uses
// privately.
func Public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	if ip = ip.Unmap(); ip.Is4() {
		return !inwardIPv4.contains(ip)
	}
	return publicIPv6.Contains(ip) && !inwardIPv6.contains(ip)
}
