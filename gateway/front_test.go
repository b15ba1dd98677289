package gateway

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"userkeys"
)

// named is a handler that says its name and who calls.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := userkeys.FromContext(r.Context())
		_, _ = io.WriteString(w, strings.TrimSpace(name+" "+a.Username))
	})
}

func newFront(t *testing.T, cfg FrontConfig) *Front {
	t.Helper()
	f, err := NewFront(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNewFrontRefuses(t *testing.T) {
	t.Parallel()
	if _, err := NewFront(FrontConfig{Own: identities}); err == nil {
		t.Error("a front without a checker lets every key pass or panics at the first")
	}
	if _, err := NewFront(FrontConfig{Checker: &fakeChecker{}}); err == nil {
		t.Error("a front without a handler")
	}
}

func TestFrontDecidesWhoseAPathIs(t *testing.T) {
	t.Parallel()
	key := withKey()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nupstream")
	})
	for _, tt := range []struct {
		name, request string
		want          int
		body          string
		checks        int
	}{
		{"consent", get("/user-api-key/new?a=b"), 200, "own", 0},
		{"grant", post("/user-api-key", "a=b"), 200, "own", 0},
		{"clients", get("/user-api-key-client?client_id=x"), 200, "own", 0},
		{"draft", get("/api_key/generate?x"), 200, "own", 0},
		{"below the draft's is not ours", get("/api_key/generate/x"), 200, "upstream", 0},
		{"apps", get("/my/apps"), 200, "own", 0},
		{"below apps", get("/my/apps/3"), 200, "own", 0},
		{"beside apps", get("/my/apps2"), 200, "upstream", 0},
		{"description", get("/.well-known/user-api-key"), 200, "own", 0},
		{"health", get("/healthz"), 200, "own", 0},
		{"ready", get("/readyz"), 200, "own", 0},
		{"extra", get("/session/current.json"), 200, "own", 0},
		{"beside extra", get("/session/current.json2"), 200, "upstream", 0},
		{"extra tree", get("/ours/x"), 200, "own", 0},
		{"extra prefix", get("/wild-card"), 200, "own", 0},
		{"root", get("/"), 200, "upstream", 0},
		{"case counts", get("/User-Api-Key/new"), 200, "upstream", 0},
		{"odd spelling is not ours", get("//user-api-key/new"), 200, "upstream", 0},
		{"encoded spelling is not ours", get("/%75ser-api-key/new"), 200, "upstream", 0},
		{"the query takes no part", get("/x?/user-api-key/new"), 200, "upstream", 0},
		{"PS1 our paths are canonical", get("/user-api-key/../admin"), 400, "ambiguous path", 0},
		{"PS2 encoded dots", get("/user-api-key/%2e%2e/admin"), 400, "ambiguous path", 0},
		{"PS3 encoded slash", get("/user-api-key%2fnew"), 400, "ambiguous path", 0},
		{"PS4 two slashes", get("/user-api-key//new"), 400, "ambiguous path", 0},
		{"PS5 semicolon", get("/user-api-key;x/new"), 400, "ambiguous path", 0},
		{"PS18 odd method of ours", "FOO" + get("/my/apps")[3:], 405, "method not allowed", 0},
		{"odd method of the upstream's", "FOO" + get("/x")[3:], 200, "upstream", 0},
		{"PS18 TRACE", "TRACE" + get("/my/apps")[3:], 405, "method not allowed", 0},
		{"CONNECT", "CONNECT" + get("site.example:443")[3:], 405, "method not allowed", 0},
		{"PS20 absolute form", get("http://site.example/user-api-key/new"), 400, "absolute target", 0},
		{"RP12 h2c", get("/my/apps", "Connection: Upgrade", "Upgrade: h2c"), 400, "upgrade", 0},
		{"RP23 HTTP/1.0 without a host", "GET /my/apps HTTP/1.0\r\n\r\n", 400, "no host", 0},
		{"RP23 HTTP/1.2", "GET /my/apps HTTP/1.2\r\nHost: site.example\r\n\r\n", 505, "HTTP version", 0},
		{"key to ours", get("/my/apps", key...), 200, "own alice", 1},
		{"bad key to ours", get("/my/apps", "User-Api-Key: x"), 403, "invalid key", 1},
		{"bad key where nothing answers", get("/user-api-key/nothing-here", "User-Api-Key: x"), 403, "invalid key", 1},
		{"two keys to ours", get("/my/apps", withKey(key...)...), 400, "two keys", 0},
		{"key to the upstream is the upstream's door's", get("/x", key...), 200, "upstream", 0},
		{"preflight of ours", "OPTIONS" + get("/my/apps")[3:], 200, "own", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &fakeChecker{}
			front := newFront(t, FrontConfig{
				Own: named("own"), Owns: OwnPath("/session/current.json", "/ours/", "/wild*"), Checker: c,
				Upstream: newProxy(t, ProxyConfig{Upstream: up.url()}),
			})
			got := send(t, listen(t, front), tt.request)
			if got.status != tt.want || !strings.Contains(got.body, tt.body) || got.status == 200 && got.body != tt.body {
				t.Errorf("answer %d %q, want %d %q", got.status, got.body, tt.want, tt.body)
			}
			if n := len(c.seen()); n != tt.checks {
				t.Errorf("checked %d times, want %d", n, tt.checks)
			}
		})
	}
}

func TestFrontAloneChecksEveryPath(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	mux := http.NewServeMux()
	mux.Handle("GET /x", identities)
	addr := listen(t, newFront(t, FrontConfig{Own: mux, Checker: c}))
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"stranger", get("/x"), 200},
		{"key", get("/x", withKey()...), 200},
		{"bad key where nothing answers", get("/nothing", "User-Api-Key: x"), 403},
		{"good key where nothing answers", get("/nothing", withKey()...), 404},
		{"stranger where nothing answers", get("/nothing"), 404},
		{"the router redirects nobody", get("//x"), 400},
		{"nor dots", get("/y/../x"), 400},
		{"no path", get("*"), 400},
	} {
		if got := send(t, addr, tt.request); got.status != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got.status, tt.want)
		}
	}
	if n := len(c.seen()); n != 3 {
		t.Errorf("checked %d times, want 3", n)
	}
}

func TestFrontWithTheProxyIsOneDoor(t *testing.T) {
	t.Parallel()
	up, c := newUpstream(t, nil), &fakeChecker{}
	addr := listen(t, newFront(t, FrontConfig{Own: Require(c)(identities), Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c}), Checker: c}))
	for _, tt := range []struct{ request, body string }{
		{get("/my/apps", withKey()...), "user alice"},
		{get("/api", withKey()...), "ok"},
		{get("//odd/../path"), "ok"},
		{post("/user-api-key/revoke", "", withKey()...), "user alice"},
	} {
		if got := send(t, addr, tt.request); got.body != tt.body {
			t.Errorf("%.40q: %d %q, want %q", tt.request, got.status, got.body, tt.body)
		}
	}
	calls := c.seen()
	if len(calls) != 3 || !calls[2].ManagesItself || calls[1].Path != "/api" {
		t.Errorf("checked %+v, want once each", calls)
	}
	if got := up.got(); len(got) != 2 || requestLine(got[1]) != "GET //odd/../path HTTP/1.1" {
		t.Errorf("upstream got %q", got)
	}
}
