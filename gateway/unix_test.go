package gateway

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// A client at the other end of a Unix socket has no address. What it says of its clients counts only if it is trusted.
func TestClientsOfUnixSockets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		trusted        bool
		peer           string
		given          http.Header
		want, upstream string
	}{
		{"nobody is trusted", false, "@", http.Header{"X-Forwarded-For": {"6.6.6.6"}}, "@", ""},
		{"trusted", true, "@", http.Header{"X-Forwarded-For": {"6.6.6.6"}}, "6.6.6.6", "6.6.6.6"},
		{"what stands left is invented", true, "@", http.Header{"X-Forwarded-For": {"1.2.3.4, 6.6.6.6, 10.0.0.1"}}, "6.6.6.6", "1.2.3.4, 6.6.6.6, 10.0.0.1"},
		{"without a name", true, "", http.Header{"X-Forwarded-For": {"6.6.6.6"}}, "6.6.6.6", "6.6.6.6"},
		{"with a name", true, "/tmp/client", http.Header{"X-Forwarded-For": {"6.6.6.6"}}, "/tmp/client", ""},
		{"it names nobody", true, "@", http.Header{}, "@", ""},
		{"it names no address", true, "@", http.Header{"X-Forwarded-For": {"unknown"}}, "@", "unknown"},
		{"an address is not a socket", true, "7.7.7.7:1", http.Header{"X-Forwarded-For": {"6.6.6.6"}}, "7.7.7.7", "7.7.7.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ips, err := NewClientIPs(ClientIPConfig{
				TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, TrustUnix: tt.trusted,
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header = tt.peer, tt.given
			if got := ips.Of(r); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			u := newUpstream(t, nil)
			p := newProxy(t, ProxyConfig{Upstream: u.url(), ClientIPs: ips})
			p.ServeHTTP(httptest.NewRecorder(), r)
			if got := headerLine(u.got()[0], "X-Forwarded-For"); got != tt.upstream {
				t.Errorf("the upstream is told %q, want %q", got, tt.upstream)
			}
		})
	}
}

// Clients of a Unix socket that nobody tells apart are not limited together.
func TestClientsOfUnixSocketsAreNotOne(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		ips, err := NewClientIPs(ClientIPConfig{TrustUnix: trusted})
		if err != nil {
			t.Fatal(err)
		}
		f, _, _, log := limitedFront(t, FrontConfig{ClientIPs: ips}, "max_reqs_per_ip_per_10_seconds", "2")
		ask := func(forwarded string) int {
			r := httptest.NewRequest("GET", "/my/apps", nil)
			if r.RemoteAddr = "@"; forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			return answerOf(f, r).Code
		}
		for range 10 {
			if got := ask(""); got == http.StatusTooManyRequests {
				t.Fatalf("trusted %v: %d", trusted, got)
			}
		}
		for range 2 {
			_ = ask("6.6.6.6")
		}
		if got := ask("6.6.6.6"); (got == http.StatusTooManyRequests) != trusted {
			t.Errorf("trusted %v: a client that asks too often gets %d", trusted, got)
		}
		if !strings.Contains(log.String(), "of Unix sockets are not limited by address") {
			t.Errorf("nobody is told: %s", log)
		}
	}
}

// A website may listen on a Unix socket. Its name is not told to it as its host.
func TestProxyToAUnixSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "site.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	u := newUpstreamOn(t, l, nil)
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: &url.URL{Scheme: "unix", Path: socket}}))
	for _, target := range []string{"/a%2Fb?c", "//two", "/three"} {
		send(t, addr, "GET "+target+" HTTP/1.1\r\nHost: site.example\r\n\r\n")
	}
	heads := u.got()
	if len(heads) != 3 || headerLine(heads[0], "Host") != "site.example" || heads[1][:14] != "GET //two HTTP" {
		t.Errorf("the website got %q", heads)
	}
	_ = l.Close()
	res := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: &url.URL{Scheme: "unix", Path: socket}})), "GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
	if res.status != http.StatusBadGateway {
		t.Errorf("without a website: %d", res.status)
	}
}
