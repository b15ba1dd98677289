package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/apology"
)

// OnlyHost lets requests through that were sent to base's host, to an IP address or to localhost, and the health
// checks; under other names it tells where the site is. It protects a site that only a private network reaches from
// pages which give a name of their own to its address (DNS rebinding).
func OnlyHost(base *url.URL, next http.Handler) http.Handler {
	want := canonicalHost(base.Host)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := canonicalHost(r.Host)
		name := strings.Trim(host, "[]")
		_, notIP := netip.ParseAddr(name)
		healthCheck := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		if host == want || notIP == nil || name == "localhost" || healthCheck {
			next.ServeHTTP(w, r)
			return
		}
		if WantsPage(r) {
			apology.Misdirected(base.String()).Write(w, r)
			return
		}
		WriteError(w, userkeys.Errorf(userkeys.Misdirected,
			"this site is %s; start it with another --url if that is wrong", base))
	})
}

// canonicalHost is a host without port, case and final dot.
func canonicalHost(hostport string) string {
	u := url.URL{Host: hostport}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}
