package gateway

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestFrontAnswersWhatTheWebsiteHasNot: apps ask every site whose key they have; a website that knows nothing of it says 404.
func TestFrontAnswersWhatTheWebsiteHasNot(t *testing.T) {
	t.Parallel()
	fallback := func(path string) bool { return path == "/session/current.json" }
	for _, tt := range []struct {
		name, request string
		website       int
		status        int
		body          string
		checks        int
	}{
		{"the website has none", get("/session/current.json", withKey()...), 404, 200, "own alice", 1},
		{"with a query", get("/session/current.json?a=b", withKey()...), 404, 200, "own alice", 1},
		{"HEAD", "HEAD" + get("/session/current.json", withKey()...)[3:], 404, 200, "", 1},
		{"the website has it", get("/session/current.json", withKey()...), 200, 200, "website", 1},
		{"the website knows better", get("/session/current.json", withKey()...), 410, 410, "website", 1},
		{"the website is broken", get("/session/current.json", withKey()...), 500, 500, "website", 1},
		{"a stranger", get("/session/current.json"), 404, 404, "website", 0},
		{"a bad key", get("/session/current.json", "User-Api-Key: x"), 404, 403, "invalid key", 1},
		{"another method", post("/session/current.json", "a=b", withKey()...), 404, 404, "website", 1},
		{"another path", get("/session/current.jsonx", withKey()...), 404, 404, "website", 1},
		{"another spelling", get("/session/current%2ejson", withKey()...), 404, 404, "website", 1},
		{"below it", get("/session/current.json/x", withKey()...), 404, 404, "website", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, func(head string, c net.Conn) {
				body := "website"
				if strings.HasPrefix(head, "HEAD ") {
					body = ""
				}
				_, _ = io.WriteString(c, "HTTP/1.1 "+strconv.Itoa(tt.website)+" X\r\nSet-Cookie: theirs=1\r\nX-Theirs: 1\r\nContent-Length: 7\r\n\r\n"+body)
			})
			c := newEdged(t, "cors_origins", "https://app.example")
			addr := listen(t, newFront(t, FrontConfig{
				Own: named("own"), Checker: c, Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}), Fallback: fallback,
			}))
			got := send(t, addr, strings.Replace(tt.request, "\r\n\r\n", "\r\nOrigin: https://app.example\r\n\r\n", 1))
			if got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("%d %q, want %d %q", got.status, got.body, tt.status, tt.body)
			}
			if n := len(c.seen()); n != tt.checks {
				t.Errorf("checked %d times, want %d", n, tt.checks)
			}
			own := strings.HasPrefix(got.body, "own") || tt.name == "HEAD"
			if theirs := got.header.Get("X-Theirs") + got.header.Get("Set-Cookie"); own && theirs != "" {
				t.Errorf("our answer has headers of the website's: %v", got.header)
			}
			if own && (got.header.Get("Cache-Control") != "private" || len(got.header["Access-Control-Allow-Origin"]) != 1) {
				t.Errorf("our answer has the headers %v", got.header)
			}
		})
	}
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		up, c := newUpstream(t, func(_ string, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nwebsite")
		}), &fakeChecker{}
		addr := listen(t, newFront(t, FrontConfig{Own: named("own"), Checker: c, Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})}))
		if got := send(t, addr, get("/session/current.json", withKey()...)); got.status != http.StatusNotFound || got.body != "website" {
			t.Errorf("%d %q", got.status, got.body)
		}
	})
}
