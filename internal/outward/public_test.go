package outward

import (
	"bytes"
	"net/netip"
	"testing"
)

// refusedAddresses are inside, with the row of the attack; no name leads to them, and no address names them.
var refusedAddresses = []struct{ row, ip string }{
	{"SS4 the machine itself", "127.0.0.1"},
	{"SS4 the machine itself, another number", "127.0.0.2"},
	{"SS4 the end of its network", "127.255.255.255"},
	{"SS4 no address", "0.0.0.0"},
	{"SS4 IPv6", "::1"},
	{"SS4 no IPv6 address", "::"},
	{"SS4 with a zone", "::1%lo"},
	{"SS7 mapped", "::ffff:127.0.0.1"},
	{"SS7 mapped, in hexadecimal", "::ffff:7f00:1"},
	{"SS7 mapped, written out", "0:0:0:0:0:ffff:7f00:1"},
	{"SS7 mapped private", "::ffff:10.0.0.1"},
	{"SS7 mapped metadata", "::ffff:169.254.169.254"},
	{"SS7 mapped with a zone", "::ffff:8.8.8.8%eth0"},
	{"SS7 compatible", "::127.0.0.1"},
	{"SS7 compatible, public number", "::8.8.8.8"},
	{"SS7 translated", "::ffff:0:127.0.0.1"},
	{"SS7 translated, public number", "::ffff:0:8.8.8.8"},
	{"SS8 most clouds", "169.254.169.254"},
	{"SS8 Amazon, IPv6", "fd00:ec2::254"},
	{"SS8 Amazon's containers", "169.254.170.2"},
	{"SS8 Alibaba", "100.100.100.200"},
	{"SS8 Azure", "168.63.129.16"},
	{"SS8 Oracle", "192.0.0.192"},
	{"SS8 Google, IPv6", "fd20:ce::254"},
	{"SS9 this network", "0.0.0.1"},
	{"SS9 this network, its end", "0.255.255.255"},
	{"SS9 private 10", "10.0.0.0"},
	{"SS9 private 10, its end", "10.255.255.255"},
	{"SS9 shared", "100.64.0.0"},
	{"SS9 shared, its end", "100.127.255.255"},
	{"SS9 link-local", "169.254.0.0"},
	{"SS9 link-local, its end", "169.254.255.255"},
	{"SS9 private 172", "172.16.0.0"},
	{"SS9 private 172, its end", "172.31.255.255"},
	{"SS9 protocols", "192.0.0.0"},
	{"SS9 protocols, its end", "192.0.0.255"},
	{"SS9 documentation 1", "192.0.2.0"},
	{"SS9 documentation 1, its end", "192.0.2.255"},
	{"SS9 relays", "192.88.99.0"},
	{"SS9 relays, its end", "192.88.99.255"},
	{"SS9 private 192", "192.168.0.0"},
	{"SS9 private 192, its end", "192.168.255.255"},
	{"SS9 benchmarks", "198.18.0.0"},
	{"SS9 benchmarks, its end", "198.19.255.255"},
	{"SS9 documentation 2", "198.51.100.0"},
	{"SS9 documentation 2, its end", "198.51.100.255"},
	{"SS9 documentation 3", "203.0.113.0"},
	{"SS9 documentation 3, its end", "203.0.113.255"},
	{"SS9 multicast", "224.0.0.1"},
	{"SS9 multicast, its end", "239.255.255.255"},
	{"SS9 reserved", "240.0.0.0"},
	{"SS9 reserved, near its end", "255.255.255.254"},
	{"SS9 broadcast", "255.255.255.255"},
	{"SS10 NAT64", "64:ff9b::7f00:1"},
	{"SS10 NAT64, public number", "64:ff9b::808:808"},
	{"SS10 NAT64 of a network", "64:ff9b:1::1"},
	{"SS10 6to4", "2002:7f00:1::"},
	{"SS10 6to4, public number", "2002:808:808::1"},
	{"SS10 6to4, its end", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"SS10 Teredo", "2001::"},
	{"SS10 Teredo with a server", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
	{"SS10 benchmarks", "2001:2::1"},
	{"SS10 hashes", "2001:10::1"},
	{"SS10 hashes, the second kind", "2001:20::1"},
	{"SS10 protocols, their end", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"SS10 documentation", "2001:db8::"},
	{"SS10 documentation, its end", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"SS10 documentation, the second", "3fff::"},
	{"SS10 documentation, the second, its end", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"SS10 segments", "5f00::"},
	{"SS10 discard", "100::"},
	{"SS10 site-local", "fec0::"},
	{"SS10 link-local", "fe80::1"},
	{"SS10 link-local with a zone", "fe80::1%eth0"},
	{"SS10 multicast", "ff02::1"},
	{"SS10 private", "fc00::1"},
	{"SS10 private, the used half", "fd12:3456:789a::1"},
	{"SS10 never given out", "4000::1"},
	{"SS10 the last before the public ones", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
}

// publicAddresses are everybody's, among them the neighbours of those above.
var publicAddresses = []string{
	"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
	"192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
	"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "::ffff:8.8.8.8",
	"2000::", "2001:200::", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::", "2003::", "2606:4700:4700::1111",
	"2a00:1450:4001:81b::200e", "3ffe:ffff::1", "3fff:1000::",
}

func TestSS4_SS10_Public(t *testing.T) {
	t.Parallel()
	if len(refusedAddresses) < 72 {
		t.Errorf("the table has %d addresses", len(refusedAddresses))
	}
	for _, tt := range refusedAddresses {
		t.Run(tt.row, func(t *testing.T) {
			t.Parallel()
			if Public(netip.MustParseAddr(tt.ip)) {
				t.Errorf("%s counts as public", tt.ip)
			}
		})
	}
	for _, ip := range publicAddresses {
		if !Public(netip.MustParseAddr(ip)) {
			t.Errorf("%s does not count as public", ip)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address at all counts as public")
	}
}

// slowInward is the same rule as first and last bytes of ranges, in 16 bytes, from IANA's tables.
var slowInward = [][2]string{
	{"::", "::fffe:ffff:ffff"}, // all before the mapped ones
	{"::ffff:0.0.0.0", "::ffff:0.255.255.255"},
	{"::ffff:10.0.0.0", "::ffff:10.255.255.255"},
	{"::ffff:100.64.0.0", "::ffff:100.127.255.255"},
	{"::ffff:127.0.0.0", "::ffff:127.255.255.255"},
	{"::ffff:168.63.129.16", "::ffff:168.63.129.16"},
	{"::ffff:169.254.0.0", "::ffff:169.254.255.255"},
	{"::ffff:172.16.0.0", "::ffff:172.31.255.255"},
	{"::ffff:192.0.0.0", "::ffff:192.0.0.255"},
	{"::ffff:192.0.2.0", "::ffff:192.0.2.255"},
	{"::ffff:192.88.99.0", "::ffff:192.88.99.255"},
	{"::ffff:192.168.0.0", "::ffff:192.168.255.255"},
	{"::ffff:198.18.0.0", "::ffff:198.19.255.255"},
	{"::ffff:198.51.100.0", "::ffff:198.51.100.255"},
	{"::ffff:203.0.113.0", "::ffff:203.0.113.255"},
	{"::ffff:224.0.0.0", "::ffff:255.255.255.255"},
	{"::1:0:0:0", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, // from after the mapped ones to the public ones
	{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
}

func slowPublic(ip netip.Addr) bool {
	b := ip.As16()
	for _, r := range slowInward {
		first, last := netip.MustParseAddr(r[0]).As16(), netip.MustParseAddr(r[1]).As16()
		if bytes.Compare(first[:], b[:]) <= 0 && bytes.Compare(b[:], last[:]) <= 0 {
			return false
		}
	}
	return true
}

// FuzzPublic compares with ranges, and with what net/netip knows to be inside.
func FuzzPublic(f *testing.F) {
	for _, tt := range refusedAddresses {
		f.Add(netip.MustParseAddr(tt.ip).AsSlice())
	}
	for _, ip := range publicAddresses {
		f.Add(netip.MustParseAddr(ip).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ip, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		got := Public(ip)
		if want := slowPublic(ip); got != want {
			t.Errorf("%s: %v, by ranges %v", ip, got, want)
		}
		if got != Public(netip.AddrFrom16(ip.As16())) {
			t.Errorf("%s: judged otherwise when mapped", ip)
		}
		if std := ip.Unmap(); got && (!std.IsGlobalUnicast() || std.IsPrivate()) {
			t.Errorf("%s: counts as public, and net/netip knows that it is inside", ip)
		}
	})
}
