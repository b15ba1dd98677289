package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/gateway/internal/transport"
	"userkeys/site"
)

func requestLine(head string) string { line, _, _ := strings.Cut(head, "\r\n"); return line }

func TestProxyPassesRequestsWithoutAKeyAsTheyCame(t *testing.T) {
	t.Parallel()
	addr, up, c := proxyTo(t, ProxyConfig{})
	for _, line := range []string{
		"GET /",
		"GET /x?",
		"GET /x??",
		"GET /x?a=1;b=2&c=%zz&d=3",
		"GET /x?a=b#c",
		"GET //a/../b",
		"GET //a",
		"GET //",
		"GET ///a//b/./c/../d/",
		"GET //a%2Fb?c",
		"GET //a?",
		"GET /a%2Fb",
		"GET /a%2fb/%2e%2e/c",
		"GET /%61dmin",
		"GET /a;x=1/b",
		"GET /a\\b",
		"GET /a#b",
		"GET /a\"b<c>{d}|e^f`g",
		"GET /caf\xc3\xa9?\xff",
		"GET /a%00b",
		"GET /x?user_api_key=abc",
		"GET /" + strings.Repeat("long/", 2000),
		"GET *",
		"HEAD /x",
		"POST /x",
		"PROPFIND /dav/",
		"MKCOL /dav/x",
		"FOO /x",
		"get /x",
		"OPTIONS /x",
		"DELETE /a/b?c",
	} {
		method, target, _ := strings.Cut(line, " ")
		got := send(t, addr, method+get(target)[3:])
		heads := up.got()
		if got.status != 200 || len(heads) == 0 || requestLine(heads[len(heads)-1]) != line+" HTTP/1.1" {
			t.Errorf("%.60q: answer %d %s, upstream got %.80q", line, got.status, got.body, heads[max(0, len(heads)-1):])
		}
	}
	if n := len(c.seen()); n != 0 {
		t.Errorf("the checker was asked %d times about nothing", n)
	}
}

func TestProxyKeepsHeadersAndBodyOfStrangers(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{SessionCookies: []string{"__Host-userkeys"}})
	lines := []string{
		"Authorization: Basic eDp5", "Cookie: a=1;b=\"2; c\" ; __Host-userkeys=secret;d", "Accept-Encoding: br", "X-Odd_name.x: 1",
		"X-HTTP-Method-Override: PUT", "Api-Key: k", "If-None-Match: \"x\"", "X-Twice: 1", "X-Twice: 2",
	}
	send(t, addr, post("/x", "a=1&b=2", lines...))
	head := up.got()[0]
	for _, want := range []string{
		"Authorization: Basic eDp5", "Cookie: a=1;b=\"2; c\" ;d", "Accept-Encoding: br", "X-Odd_name.x: 1",
		"X-Http-Method-Override: PUT", "Api-Key: k", "If-None-Match: \"x\"", "X-Twice: 1\r\nX-Twice: 2",
		"Host: site.example", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 7",
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: site.example", "X-Forwarded-Proto: http",
	} {
		if !strings.Contains(head, "\r\n"+want+"\r\n") {
			t.Errorf("upstream did not get %q:\n%s", want, head)
		}
	}
	for _, not := range []string{"User-Agent", "Accept-Encoding: gzip", "secret", "X-Userkeys"} {
		if strings.Contains(head, not) {
			t.Errorf("upstream got %q:\n%s", not, head)
		}
	}
	if diff := cmp.Diff([]string{"a=1&b=2"}, up.body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestProxyTellsTheUpstreamWhoCalls(t *testing.T) {
	t.Parallel()
	identity := func(head string) map[string]string {
		m := map[string]string{}
		for line := range strings.SplitSeq(head, "\r\n") {
			if n, v, _ := strings.Cut(line, ": "); strings.HasPrefix(n, "X-Userkeys-") {
				m[n] += v
			}
		}
		return m
	}
	addr, up, _ := proxyTo(t, ProxyConfig{})
	for _, tt := range []struct {
		name, key string
		want      map[string]string
	}{
		{"a user with groups", aliceKey, map[string]string{
			UsernameHeader: "alice", UserIDHeader: "1", TrustLevelHeader: "2", AdminHeader: "false", ModeratorHeader: "false",
			GroupsHeader: "staff,night%20shift%2C%20Berlin", ScopesHeader: "read,push", IdentityClientIDHeader: "phone", KeyIDHeader: "7",
		}},
		{"RP3 an administrator without groups and scopes", bobKey, map[string]string{
			UsernameHeader: "bob", UserIDHeader: "2", TrustLevelHeader: "4", AdminHeader: "true", ModeratorHeader: "true",
			IdentityClientIDHeader: "b%C3%BCro%201", KeyIDHeader: "8",
		}},
	} {
		before := len(up.got())
		send(t, addr, get("/x", "User-Api-Key: "+tt.key, "X-Userkeys-Groups: admins", "X-Userkeys-Scopes: write"))
		if diff := cmp.Diff(tt.want, identity(up.got()[before])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestProxyTakesOffWhatAKeyReplaces(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{SessionCookies: []string{"ours"}})
	got := send(t, addr, get("/x?a=%20b&user_api_key="+bobKey+"&c=1&user%5fapi%5Fkey=2", withKey(
		"Cookie: session=1", "Cookie2: x", "Api-Key: k", "Api-Username: admin", "X-HTTP-Method-Override: DELETE",
		"X-Method-Override: DELETE", "X_HTTP_Method: DELETE", "User_Api_Key: "+bobKey, "Accept: text/x", "Authorization: Basic eDp5",
	)...))
	head := up.got()[0]
	if got.status != 200 || requestLine(head) != "GET /x?a=%20b&c=1 HTTP/1.1" {
		t.Errorf("answer %d, upstream got %q", got.status, requestLine(head))
	}
	for _, not := range []string{aliceKey, bobKey, "Cookie", "Api-Username", "Api-Key", "Override", "X_http", "User-Api-Key", "User_api_key"} {
		if strings.Contains(strings.ToLower(head), strings.ToLower(not)) {
			t.Errorf("upstream got %q:\n%s", not, head)
		}
	}
	if headerLine(head, "Accept") != "text/x" || headerLine(head, "Authorization") != "Basic eDp5" {
		t.Errorf("upstream did not get the rest:\n%s", head)
	}
	if got.header.Get("Vary") != userkeys.KeyHeader {
		t.Errorf("Vary is %q: a cache would mix users", got.header.Get("Vary"))
	}
}

// A name that begins with HTTP is what CGI and its heirs make of the name without.
func TestProxyTakesOutKeysInEverySpelling(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	for _, name := range []string{
		"HTTP_USER_API_KEY", "Http-User-Api-Key", "http_user-api.key", "HTTP-HTTP-USER-API-KEY", "USER_API_KEY", "User.Api.Key", "user~api~key",
	} {
		before := len(up.got())
		send(t, addr, get("/x", name+": "+bobKey))
		if head := up.got()[before]; strings.Contains(head, bobKey) {
			t.Errorf("a stranger's %s reached the upstream:\n%s", name, head)
		}
		send(t, addr, get("/x", withKey(name+": "+bobKey)...))
		if head := up.got()[before+1]; strings.Contains(head, bobKey) || headerLine(head, UsernameHeader) != "alice" {
			t.Errorf("%s beside a key reached the upstream:\n%s", name, head)
		}
	}
}

// adminKeys is a checker of a site that made one admin API key.
type adminKeys struct {
	fakeChecker
	ours string
}

func (c *adminKeys) IsAdminKey(_ context.Context, text string) bool { return text == c.ours }

// An admin API key acts as anybody: the website, and whoever reads its logs, must not get it.
func TestOurAdminKeysDoNotReachTheUpstream(t *testing.T) {
	t.Parallel()
	up, ours, theirs := newUpstream(t, nil), site.NewAdminKey().Reveal(), site.NewAdminKey().Reveal()
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), Checker: &adminKeys{ours: ours}}))
	for _, name := range []string{"Api-Key", "API_KEY", "HTTP_API_KEY", "api.key"} {
		before := len(up.got())
		for _, lines := range [][]string{{ours}, {"other", ours}, {" " + ours + " "}} {
			var headers []string
			for _, value := range lines {
				headers = append(headers, name+": "+value)
			}
			send(t, addr, get("/x", headers...))
		}
		for _, head := range up.got()[before:] {
			if strings.Contains(head, ours) {
				t.Errorf("%s reached the upstream:\n%s", name, head)
			}
		}
		for _, value := range []string{theirs, "short", strings.ToUpper(ours)} { // the website's own
			before := len(up.got())
			send(t, addr, get("/x", name+": "+value, "Api-Username: system"))
			if head := up.got()[before]; !strings.Contains(head, value) || headerLine(head, "Api-Username") != "system" {
				t.Errorf("%s: %s did not reach the upstream:\n%s", name, value, head)
			}
		}
	}
}

func TestProxyRefusesBadRequestsWithAKey(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"PS1", get("/pub/../admin/x", withKey()...), 400},
		{"PS2", get("/pub/%2e%2e/admin/x", withKey()...), 400},
		{"PS3", get("/admin%2fx", withKey()...), 400},
		{"PS4", get("//admin/x", withKey()...), 400},
		{"PS5", get("/admin;x=1/y", withKey()...), 400},
		{"PS6", get(`/a\b`, withKey()...), 400},
		{"PS7", get("/a#b", withKey()...), 400},
		{"PS18 TRACE", "TRACE" + get("/x", withKey()...)[3:], 405},
		{"PS18 PROPFIND", "PROPFIND" + get("/x", withKey()...)[3:], 405},
		{"PS19", "OPTIONS" + get("/x", withKey()...)[3:], 200},
		{"PS20", get("http://other.example/x", withKey()...), 400},
		{"RP16", get("/x?a=1;b", withKey()...), 400},
		{"KU2", get("/x", withKey(withKey()...)...), 400},
		{"unknown key", get("/x", "User-Api-Key: x"), 403},
	} {
		if got := send(t, addr, tt.request); got.status != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got.status, tt.want)
		}
	}
	if heads := up.got(); len(heads) != 0 {
		t.Errorf("upstream got %q", heads)
	}
}

func TestProxyRefusesWhatNoUpstreamShouldGet(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"PS18 TRACE", "TRACE" + get("/x")[3:], 405},
		{"PS18 CONNECT", "CONNECT" + get("other.example:443")[3:], 405},
		{"PS20 absolute form", get("http://other.example/admin"), 400},
		{"PS20 script", get("javascript:alert(1)"), 400},
		{"RP12 h2c", get("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 400},
		{"RP12 h2c with a key", get("/x", withKey("Connection: Upgrade", "Upgrade: h2c")...), 400},
		{"RP12 h2c beside websocket", get("/x", "Connection: Upgrade", "Upgrade: websocket, h2c"), 400},
		{"RP12 two lines", get("/x", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"), 400},
		{"RP12 empty", get("/x", "Connection: Upgrade", "Upgrade:"), 400},
		{"RP23 HTTP/1.0 without a host", "GET /x HTTP/1.0\r\n\r\n", 400},
		{"RP23 empty host", "GET /x HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"RP23 HTTP/1.2", "GET /x HTTP/1.2\r\nHost: site.example\r\n\r\n", 505},
		{"RP23 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"RP23 HTTP/3.0", "GET /x HTTP/3.0\r\nHost: site.example\r\n\r\n", 505},
		{"RP23 HTTP/0.9", "GET /x HTTP/0.9\r\nHost: site.example\r\n\r\n", 505},
		{"two slashes and a byte that cannot be sent", get(`//a"b`), 400},
	} {
		if got := send(t, addr, tt.request); got.status != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, got.status, got.body, tt.want)
		}
	}
	if heads := up.got(); len(heads) != 0 {
		t.Errorf("upstream got %q", heads)
	}
	if got := send(t, addr, "GET /x HTTP/1.0\r\nHost: site.example\r\n\r\n"); got.status != 200 {
		t.Errorf("HTTP/1.0 with a host: %d", got.status)
	}
}

// TestProxyForwardsNoTrailers tests RP9: trailers, which are headers too, are not forwarded.
func TestProxyForwardsNoTrailers(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	send(t, addr, "POST"+get("/x", "Trailer: X-Userkeys-Username", "Transfer-Encoding: chunked", "TE: trailers")[3:]+
		"2\r\nhi\r\n0\r\nX-Userkeys-Username: root\r\n\r\n")
	if head := up.got()[0]; strings.Contains(head, "Trailer") || strings.Contains(head, "X-Userkeys") || up.body[0] != "hi" {
		t.Errorf("upstream got\n%s%s", head, up.body[0])
	}
}

// TestProxyDoesNotReadIdentityOutOfAFoldedLine tests RP10: a folded line is the value of the header above it.
func TestProxyDoesNotReadIdentityOutOfAFoldedLine(t *testing.T) {
	t.Parallel()
	addr, up, _ := proxyTo(t, ProxyConfig{})
	got := send(t, addr, get("/x", "X-A: b", " X-Userkeys-Username: root"))
	if got.status == 400 {
		return
	}
	if v := headerLine(up.got()[0], "X-A"); v != "b X-Userkeys-Username: root" || headerLine(up.got()[0], UsernameHeader) != "" {
		t.Errorf("upstream got X-A %q\n%s", v, up.got()[0])
	}
}

func TestProxyTakesRevokingForNothingSpecial(t *testing.T) {
	t.Parallel()
	addr, _, c := proxyTo(t, ProxyConfig{})
	send(t, addr, post("/user-api-key/revoke", "", withKey()...))
	if c.seen()[0].ManagesItself {
		t.Error("a request for the upstream was let in as one that revokes its key")
	}
}

func TestNewProxyRefusesBadConfigurations(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	for _, raw := range []string{
		"", "127.0.0.1:3000", "ftp://h", "http://", "http://h/path", "http://h/?q", "http://h/#f", "http://u:p@h",
		"unix:run/x", "unix://run/x", "unix:", "unix:/run/x?q", "unix:/run/x#f",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			u = &url.URL{}
		}
		if _, err := NewProxy(ProxyConfig{Upstream: u, Checker: c}); err == nil {
			t.Errorf("upstream %q was taken", raw)
		}
	}
	good := &url.URL{Scheme: "http", Host: "h"}
	if _, err := NewProxy(ProxyConfig{Upstream: good}); err == nil {
		t.Error("a proxy without a checker was made")
	}
	if _, err := NewProxy(ProxyConfig{Upstream: good, Checker: c}); err != nil {
		t.Errorf("a good configuration was refused: %v", err)
	}
	if tr := transport.Standard(transport.Config{}); tr.Proxy != nil {
		t.Error("the transport asks the environment for a proxy")
	}
}

// RP15 and session fixation by an upstream.
func TestUpstreamCannotGiveOurCookies(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: //elsewhere\r\nX-Accel-Redirect: /x\r\n"+
			"Set-Cookie: __Host-userkeys=evil; Path=/; Secure\r\nSet-Cookie: __host-USERKEYS = evil\r\n"+
			"Set-Cookie: =__Host-userkeys=evil; Path=/\r\nSet-Cookie: theirs=1; Path=/\r\n\r\n")
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url(), SessionCookies: []string{"__Host-userkeys"}}))
	got := send(t, addr, get("/x"))
	if diff := cmp.Diff([]string{"theirs=1; Path=/"}, got.header["Set-Cookie"]); diff != "" {
		t.Errorf("Set-Cookie (-want +got):\n%s", diff)
	}
	if got.header.Get("Location") != "//elsewhere" || got.header.Get("X-Accel-Redirect") != "/x" {
		t.Errorf("other headers are not ours to change: %v", got.header)
	}
}

func TestProxyPassesAnswersAsTheyCame(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 418 Teapot\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nETag: \"x\"\r\nTrailer: X-Sum\r\n\r\n"+
			"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
	})
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("http://" + addr + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 418 || string(b) != "abc" || res.Header.Get("ETag") != `"x"` || res.Trailer.Get("X-Sum") != "6" {
		t.Errorf("got %d %q %v %v", res.StatusCode, b, res.Header, res.Trailer)
	}
}
