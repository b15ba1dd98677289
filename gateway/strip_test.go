package gateway

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"userkeys/gateway/internal/clientip"
	"userkeys/gateway/internal/headers"
)

// forgeries are header lines with which a client claims to be somebody.
var forgeries = func() []string {
	var lines []string
	for _, name := range []string{UsernameHeader, AdminHeader, GroupsHeader} {
		lower := strings.ToLower(name)
		lines = append(lines,
			name, lower, strings.ToUpper(name), "x-USERKEYS-"+lower[11:],
			strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(lower, "-", "_"), strings.ReplaceAll(strings.ToUpper(name), "-", "_"),
			strings.Replace(name, "-", "_", 1), "X-Userkeys_"+name[11:], strings.ReplaceAll(lower, "-", "."),
			strings.Replace(name, "-", ".", 1), "X-Userkeys."+name[11:], "x_userkeys."+lower[11:],
			"HTTP_"+strings.ReplaceAll(strings.ToUpper(name), "-", "_"), "Http-"+name, "http.http_"+lower,
			strings.ReplaceAll(name, "-", "~"), strings.Replace(name, "-", "!", 1), strings.Replace(name, "-", "+", 1),
		)
	}
	lines = append(lines,
		"HTTP_REMOTE_USER", "Http-Remote-User", "HTTP_X_AUTH_REQUEST_USER", "Http-Proxy",
		"X-Userkeys-", "X-Userkeys-Anything", "X-Userkeys-User", "X-Userkeys-Username-2",
		"X-Auth-User", "X_Auth_User", "X-Auth_User", "x.auth.user", "X-AUTH-USER", "X-Auth-Email", "X-Auth-Groups",
		"X-Auth-Request-User", "X_Auth_Request_User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Access-Token",
		"X-Forwarded-User", "X_Forwarded_User", "X-Forwarded_User", "x.forwarded.user", "X-Forwarded-Email", "X-Forwarded-Groups",
		"X-Forwarded-Preferred-Username", "X-Remote-User", "X_Remote_User", "x-remote.user", "X-Remote-Group",
		"Remote-User", "Remote_User", "REMOTE_USER", "remote.user", "Remote-Groups", "Remote-Email",
		"X-WebAuth-User", "X_WEBAUTH_USER", "x-webauth.user", "X-WebAuth-Groups", "X-Authenticated-User", "X_Authenticated_UserId",
	)
	for i, name := range lines {
		lines[i] = name + ": FORGED"
	}
	return lines
}()

// oauth2-proxy CVE-2025-64484: a header with '_' for '-' reached upstreams that take both for the same.
func TestCVE_2025_64484_NoClientForgesIdentityInAnySpelling(t *testing.T) {
	t.Parallel()
	if len(forgeries) < 80 {
		t.Fatalf("only %d spellings", len(forgeries))
	}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
		key     []string
		user    string
	}{
		{"RP1 stranger", nil, nil, ""},
		{"RP1 key", nil, withKey(), "alice"},
		{"stranger through a trusted proxy", prefixes("127.0.0.0/8"), nil, ""},
		{"key through a trusted proxy", prefixes("127.0.0.0/8"), withKey(), "alice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr, up, _ := proxyTo(t, ProxyConfig{ClientIPs: clientip.ForwardedFor(tt.trusted)})
			for i, line := range forgeries {
				send(t, addr, get("/x", slices.Concat(tt.key, []string{line, line})...))
				head := up.got()[i]
				if strings.Contains(head, "FORGED") {
					t.Errorf("RP2 %s reached the upstream", line)
				}
				if headerLine(head, UsernameHeader) != tt.user {
					t.Errorf("%s changed our header to %q", line, headerLine(head, UsernameHeader))
				}
			}
			send(t, addr, get("/x", slices.Concat(tt.key, forgeries[:90])...))
			if head := up.got()[len(forgeries)]; strings.Contains(head, "FORGED") {
				t.Errorf("all at once:\n%s", head)
			}
		})
	}
}

// What a proxy before this one says of who calls does not stand beside a key, whose owner is somebody else.
func TestIdentityOfAProxyDoesNotStandBesideAKey(t *testing.T) {
	t.Parallel()
	for _, trusted := range [][]netip.Prefix{nil, prefixes("127.0.0.0/8")} {
		addr, up, _ := proxyTo(t, ProxyConfig{
			ClientIPs: clientip.ForwardedFor(trusted), LoginHeaders: []string{"X-Company-User"},
		})
		lines := []string{"X-Company-User: boss", "x_company.user: boss", "Tailscale-User-Login: boss", "X-Authentik-Username: boss"}
		send(t, addr, get("/x", withKey(lines...)...))
		if head := up.got()[0]; strings.Contains(head, "boss") || headerLine(head, UsernameHeader) != "alice" {
			t.Errorf("with a key:\n%s", head)
		}
		send(t, addr, get("/x", lines[0]))
		if head := up.got()[1]; headerLine(head, "X-Company-User") != "boss" {
			t.Errorf("without a key the website has its own reading:\n%s", head)
		}
	}
}

// Go CVE-2021-33197, Traefik CVE-2024-45410, Fabio CVE-2025-48865: a client names our header in Connection.
func TestCVE_2021_33197_ConnectionCannotRemoveOurHeaders(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	for i, line := range []string{
		"Connection: X-Userkeys-Username", "Connection: close, x-userkeys-username", "Connection: X-USERKEYS-USERNAME,keep-alive",
		"Connection: X-Forwarded-For", "Connection: Cookie, Authorization", "Connection: Host", "Connection: Content-Length",
		"Connection: User-Api-Key", "Connection: X-Forwarded-Proto, X-Forwarded-Host", "Keep-Alive: X-Userkeys-Username", "Proxy-Connection: X-Userkeys-Username",
	} {
		got := send(t, addr, post("/x", "body", withKey(line)...))
		head := up.got()[i]
		if got.status != 200 || headerLine(head, UsernameHeader) != "alice" || headerLine(head, "X-Forwarded-For") != "127.0.0.1" ||
			headerLine(head, "Host") != "site.example" || headerLine(head, "X-Forwarded-Proto") != "http" || headerLine(head, "Content-Length") != "4" {
			t.Errorf("RP4 RP5 %s: %d, upstream got\n%s", line, got.status, head)
		}
	}
	for _, b := range up.body {
		if b != "body" {
			t.Errorf("upstream got the body %q", b)
		}
	}
}

// Caddy CVE-2026-30851: a header that is not set for this request was the client's.
func TestCVE_2026_30851_AbsentIdentityIsNotTheClients(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	send(t, addr, get("/x", "User-Api-Key: "+bobKey, "X-Userkeys-Groups: FORGED", "X_Userkeys_Scopes: FORGED"))
	if head := up.got()[0]; strings.Contains(head, "FORGED") || headerLine(head, GroupsHeader) != "" {
		t.Errorf("RP3 upstream got\n%s", head)
	}
}

var forwarding = []string{
	"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil",
	"X-Forwarded-Uri: /evil", "X-Forwarded-Method: DELETE", "X-Forwarded: evil", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
	"X-Amzn-Oidc-Identity: evil", "Cf-Access-Authenticated-User-Email: evil@x", "Tailscale_User_Login: evil", "X-Authentik-Username: evil",
	"X-Goog-Authenticated-User-Email: evil@x", "X-MS-CLIENT-PRINCIPAL-NAME: evil", "X-Pomerium-Claim-Email: evil@x", "Ssl-Client-Cert: evil",
	"True-Client-IP: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "X-Cluster-Client-IP: 6.6.6.6", "X-Original-URL: /evil",
	"X-Rewrite-URL: /evil", "Via: 1.1 evil", "Proxy: http://evil", "X_Forwarded_For: 6.6.6.6", "X-Forwarded_Host: evil", "x.real.ip: 6.6.6.6",
	"Client-IP: 6.6.6.6", "Client_Ip: 6.6.6.6", "HTTP_CLIENT_IP: 6.6.6.6", "HTTP_X_FORWARDED_FOR: 6.6.6.6", "HTTP_X_FORWARDED_PROTO: evil",
	"X-Forwarded-For-Original: 6.6.6.6", "X-Original-Forwarded-For: 6.6.6.6", "X-Remote-IP: 6.6.6.6", "X-Remote-Addr: 6.6.6.6",
	"Remote-Addr: 6.6.6.6", "X-ProxyUser-IP: 6.6.6.6", "X-Host: evil", "X-Forwarded-Server: evil", "X-Originating-IP: 6.6.6.6", "Fastly-Client-IP: 6.6.6.6",
	"X-Azure-ClientIP: 6.6.6.6", "X-Azure-SocketIP: 6.6.6.6", "Fly-Client-IP: 6.6.6.6", "X-AppEngine-User-IP: 6.6.6.6", "X-Vercel-Forwarded-For: 6.6.6.6",
	"X-NF-Client-Connection-IP: 6.6.6.6", "DO-Connecting-IP: 6.6.6.6", "CF-Pseudo-IPv4: 6.6.6.6", "X-Envoy-External-Address: 6.6.6.6", "X-Appengine-Remote-Addr: 6.6.6.6",
}

// Traefik CVE-2026-35051, chi GHSA-3fxj-6jh8-hvhx: forwarding headers of a client were believed.
func TestCVE_2026_35051_ForwardingHeadersOfStrangersAreOurs(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{ClientIPs: clientip.ForwardedFor(prefixes("10.0.0.0/8"))})
	for i, line := range forwarding {
		send(t, addr, get("/x", line, line))
		head := up.got()[i]
		if strings.Contains(head, "6.6.6.6") || strings.Contains(head, "evil") || headerLine(head, "X-Forwarded-For") != "127.0.0.1" ||
			headerLine(head, "X-Forwarded-Proto") != "http" || headerLine(head, "X-Forwarded-Host") != "site.example" {
			t.Errorf("RP6 RP20 %s: upstream got\n%s", line, head)
		}
	}
}

func TestTrustedProxysForwardingHeadersStay(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{ClientIPs: clientip.ForwardedFor(prefixes("127.0.0.1/32"))})
	send(t, addr, get("/x",
		"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 5.5.5.5", "X-Forwarded-Proto: https", "X-Forwarded-Host: real.example",
		"X-Real-IP: 5.5.5.5", "X_Forwarded_For: 9.9.9.9", "X_Real_Ip: 9.9.9.9", "Proxy: http://evil", "Connection: X-Forwarded-For"))
	head := up.got()[0]
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 5.5.5.5, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "real.example", "X-Real-Ip": "5.5.5.5", "Proxy": "",
	} {
		if got := headerLine(head, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if strings.Contains(head, "9.9.9.9") {
		t.Errorf("an odd spelling is a client's, also through a trusted proxy:\n%s", head)
	}
}

func TestUpstreamIsToldTheClientOfAnotherHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ header, value, want string }{
		{"X-Real-IP", "5.5.5.5:1", "5.5.5.5, 127.0.0.1"},
		{"Forwarded", "for=1.2.3.4, for=5.5.5.5;proto=https", "5.5.5.5, 127.0.0.1"},
		{"X-Real-IP", "junk", "127.0.0.1"},
		{"X-Forwarded-For", "1.2.3.4, 5.5.5.5", "1.2.3.4, 5.5.5.5, 127.0.0.1"},
	} {
		ips, err := NewClientIPs(ClientIPConfig{TrustedProxies: prefixes("127.0.0.1/32"), Header: tt.header})
		if err != nil {
			t.Fatal(err)
		}
		addr, up, _ := proxyTo(t, ProxyConfig{ClientIPs: ips})
		lines := []string{tt.header + ": " + tt.value}
		if tt.header != "X-Forwarded-For" {
			lines = append(lines, "X-Forwarded-For: 6.6.6.6") // a client's, which that proxy passed on
		}
		send(t, addr, get("/x", lines...))
		if got := headerLine(up.got()[0], "X-Forwarded-For"); got != tt.want {
			t.Errorf("%s: %s: the upstream is told %q, want %q", tt.header, tt.value, got, tt.want)
		}
	}
}

// bitly/oauth2_proxy#177: a website that was told http redirects to https for ever.
func TestUpstreamIsToldThePublicScheme(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, scheme, came string
		trusted            []netip.Prefix
		want               string
	}{
		{"named", "https", "", nil, "https"},
		{"named, and a stranger says otherwise", "https", "http", nil, "https"},
		{"named, and a trusted proxy says otherwise", "https", "http", prefixes("127.0.0.1/32"), "http"},
		{"named, and a trusted proxy says nothing", "https", "", prefixes("127.0.0.1/32"), "https"},
		{"http named", "http", "https", nil, "http"},
		{"not named", "", "", nil, "http"},
	} {
		addr, up, _ := proxyTo(t, ProxyConfig{Scheme: tt.scheme, ClientIPs: clientip.ForwardedFor(tt.trusted)})
		var lines []string
		if tt.came != "" {
			lines = append(lines, "X-Forwarded-Proto: "+tt.came)
		}
		send(t, addr, get("/x", lines...))
		if got := headerLine(up.got()[0], "X-Forwarded-Proto"); got != tt.want {
			t.Errorf("%s: the upstream is told %q, want %q", tt.name, got, tt.want)
		}
	}
	if _, err := NewProxy(ProxyConfig{Upstream: newUpstream(t, nil).url(), Checker: &fakeChecker{}, Scheme: "ftp"}); err == nil {
		t.Error("a scheme of no website is taken")
	}
}

// TestEncodeHeaderCannotBeSplit tests RP8: one value is one header line and one element.
func TestEncodeHeaderCannotBeSplit(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"plain", "a, admin", "a\r\nX: y", "\u00fc", "50%", "", " ", strings.Repeat("\x00\xff", 5000), `a"b;c\d`, "x@y.example",
	} {
		got := headers.Encode(s)
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(",;\"\\", r) }) {
			t.Errorf("%q becomes %q", s, got)
		}
		if back, err := url.PathUnescape(got); err != nil || back != s {
			t.Errorf("%q comes back as %q (%v)", s, back, err)
		}
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
