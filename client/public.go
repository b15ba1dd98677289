package client

import (
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"userkeys"
)

// inward are networks that no public site lives in, beside those that [netip.Addr] knows: shared,
// protocol, benchmark and reserved ranges, and those that embed IPv4 addresses.
var inward = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
}

// public tells whether ip can be a public site's.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range inward {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Outward makes a client for an app whose users choose the site: it reaches public addresses only. Else every
// user could look into the app's own network. The address is looked at when it is dialled, after the
// name was resolved; no proxy is used, for that would dial elsewhere.
func Outward() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !public(to.Addr()) {
			return userkeys.Errorf(userkeys.InvalidParameters, "this is no public address")
		}
		return nil
	}}
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}}
}
