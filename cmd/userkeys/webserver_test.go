//go:build unix

package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// asking is a website, the program before which nobody stands, and the arguments of `userkeys recipe` for both.
type asking struct {
	website *testkit.Upstream
	serve   *testkit.Process
	args    []string
}

// askingConfig has a route where a key may stand in Authorization.
const askingConfig = `
[settings]
user_api_key_prefix = "uk"
allow_user_api_key_scopes = ["read", "write", "pub"]

[[carrier]]
kind   = "bearer"
routes = ["GET /api/{rest...}"]

[[identity-header]]
name  = "Remote-User"
value = "username"

[[scope]]
name     = "pub"
sentence = "read what is public"
routes   = ["GET /pub/{rest...}"]
`

// startAsking starts a website and the program, which a web server at front is to ask, or any other. settings are more
// lines of its configuration.
func startAsking(t *testing.T, front string, settings ...string) *asking {
	t.Helper()
	a := &asking{website: testkit.NewUpstream(t)}
	ask, listen, data := nettest.ReserveAddress(t), nettest.ReserveAddress(t), t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	a.args = []string{"--app", strings.TrimPrefix(a.website.URL, "http://"), "--ask", ask, "--listen", listen, "--identity-header", "Remote-User"}
	config := filepath.Join(t.TempDir(), "userkeys.toml")
	text := strings.Replace(askingConfig, "[settings]\n", "[settings]\n"+strings.Join(settings, "\n")+"\n", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a.serve = testkit.ServeAt(t, listen, "--data", data, "--config", config, "--url", "http://"+front, "--upstream", a.website.URL,
		"--ask-listen", ask, "--trusted-proxy", "127.0.0.1")
	return a
}

// each runs a test for every web server that can be had here, with the program behind it.
func eachWebServer(t *testing.T, test func(t *testing.T, server string)) {
	t.Helper()
	for _, server := range []string{"nginx", "haproxy", "caddy"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
}

// wireRequest is a request whose target and headers reach the web server as they stand here.
type wireRequest struct {
	method, target string
	header         []string // lines
	body           string
}

// naming returns r with other texts in its target and headers: each second of namesTexts instead of the one before.
func (r wireRequest) naming(namesTexts ...string) wireRequest {
	names := strings.NewReplacer(namesTexts...)
	r.target, r.header = names.Replace(r.target), slices.Clone(r.header)
	for i := range r.header {
		r.header[i] = names.Replace(r.header[i])
	}
	return r
}

// over11 sends a request by HTTP/1.1.
func (r wireRequest) over11(w *testkit.WebServer) testkit.Answer {
	lines := append([]string{r.method + " " + r.target + " HTTP/1.1", "Host: " + w.Addr, "Connection: close"}, r.header...)
	if r.body != "" {
		lines = append(lines, "Content-Length: "+string(rune('0'+len(r.body))))
	}
	return w.Raw(strings.Join(lines, "\r\n") + "\r\n\r\n" + r.body)
}

// over2 sends a request by HTTP/2.
func (r wireRequest) over2(t *testing.T, w *testkit.WebServer, client *http.Client) testkit.Answer {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), r.method, w.URL, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	q.URL.Opaque = "//" + w.Addr + r.target
	for _, line := range r.header {
		name, value, _ := strings.Cut(line, ": ")
		q.Header[name] = append(q.Header[name], value)
	}
	res, err := client.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.target, err)
	}
	if res.ProtoMajor != 2 {
		t.Fatalf("%s answers by %s", w.URL, res.Proto)
	}
	return testkit.Answer{Response: res, Body: testkit.Read(res)}
}

// forgedIdentity is what a client may try in order to be somebody.
var forgedIdentity = []string{
	"X-Userkeys-Username: root", "X-USERKEYS-ADMIN: true", "x-userkeys-key-id: 1", "X_Userkeys_Username: root",
	"X-Userkeys_Username: root", "x.userkeys.username: root", "HTTP_X_USERKEYS_USERNAME: root", "HTTP-X-Userkeys-Username: root", "X-Userkeys-Groups: staff",
	"X-Userkeys-External-Id: root", "Remote-User: root", "Remote_User: root", "HTTP_REMOTE_USER: root",
	"X-Forwarded-User: root", "X_Forwarded_User: root", "HTTP-X-Forwarded-User: root", "X-Auth-Request-Email: root", "X-Auth-User: root",
	"X-Authentik-Username: root", "Cf-Access-Authenticated-User-Email: root", "X-WebAuth-User: root", "X-Ms-Client-Principal: root",
}

// toldOf returns who a website was told calls, in whatever spelling.
func toldOf(t *testing.T, got testkit.Received) string {
	t.Helper()
	if got.Header.Get("X-Userkeys-Username") != "" && got.Header.Get("X-Userkeys-Key-Id") == "" {
		t.Errorf("the website is told a user without a key: %v", got.Header)
	}
	if strings.Contains(got.Target, "uk_") { // every key of the site begins so
		t.Errorf("the website is given the key: %s", got.Target)
	}
	for name, values := range got.Header {
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if strings.Contains(folded, "user-api-key") {
			t.Errorf("the website is given the key: %s", name)
		}
		for _, v := range values {
			if strings.Contains(folded, "userkeys") && v != "" && got.Header.Get("X-Userkeys-Key-Id") == "" || v == "root" {
				t.Errorf("the website is told %s: %s", name, v)
			}
		}
	}
	return got.Header.Get("X-Userkeys-Username")
}

// whatPasses are the requests that every web server must tell apart; {key} is a key of alice that may read, and {site}
// the address of the web server.
var whatPasses = []struct {
	name    string
	request wireRequest
	status  int    // 0: 200 with all of the identity, or 400
	user    string // who the website is told calls
	body    string // is in the answer
}{
	{"stranger", wireRequest{method: "GET", target: "/a"}, 200, "", "target=/a"},
	{"stranger who forges", wireRequest{method: "GET", target: "/a", header: forgedIdentity}, 200, "", ""},
	{"key", wireRequest{method: "GET", target: "/a?x=1&y=%20z", header: []string{"User-Api-Key: {key}"}}, 200, "alice", "target=/a?x=1&y=%20z"},
	{"key and forged", wireRequest{method: "GET", target: "/a", header: append([]string{"User-Api-Key: {key}", "Cookie: session=bob"}, forgedIdentity...)}, 200, "alice", ""},
	{"a scope that is missing", wireRequest{method: "POST", target: "/a", header: []string{"User-Api-Key: {key}"}, body: "x=1"}, 403, "", ""},
	{"bad key", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: zzz"}}, 403, "", "invalid key"},
	{"empty key", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: "}}, -1, "", ""},
	{"%2F", wireRequest{method: "GET", target: "/a%2Fb", header: []string{"User-Api-Key: {key}"}}, 400, "", ""},
	{"//", wireRequest{method: "GET", target: "//a", header: []string{"User-Api-Key: {key}"}}, 400, "", ""},
	{"..", wireRequest{method: "GET", target: "/pub/../admin", header: []string{"User-Api-Key: {key}"}}, 400, "", ""},
	{"; in the path", wireRequest{method: "GET", target: "/a;x/b", header: []string{"User-Api-Key: {key}"}}, 400, "", ""},
	{"; in the query", wireRequest{method: "GET", target: "/a?x=1;y=2", header: []string{"User-Api-Key: {key}"}}, 400, "", ""},
	{"two keys", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: {key}", "User-Api-Key: l"}}, 400, "", ""},
	{"OPTIONS with a key", wireRequest{method: "OPTIONS", target: "/a", header: []string{"User-Api-Key: {key}"}}, 405, "", ""},
	{"FOO with a key", wireRequest{method: "FOO", target: "/a", header: []string{"User-Api-Key: {key}"}}, 405, "", ""},
	{"PROPFIND of a stranger", wireRequest{method: "PROPFIND", target: "/a"}, 200, "", ""},
	{"HEAD", wireRequest{method: "HEAD", target: "/a", header: []string{"User-Api-Key: {key}"}}, 200, "alice", ""},
	{"forged question", wireRequest{method: "POST", target: "/admin", header: []string{
		"User-Api-Key: {key}", "X-Forwarded-Uri: /public", "X-Forwarded-Method: GET", "X-Original-URI: /public",
		"X-Original-Method: GET", "X-Original-URL: /public", "X-Envoy-Original-Path: /public",
	}, body: "x=1"}, 403, "", ""},
	{"Connection names a header of the identity", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "Connection: close, X-Userkeys-Key-Id, x-userkeys-scopes, X-Userkeys-Username, User-Api-Key",
	}}, 0, "alice", ""},
	{"a key in Authorization", wireRequest{method: "GET", target: "/api/a", header: []string{"Authorization: Bearer {key}"}}, 200, "alice", ""},
	{"a key in Authorization elsewhere", wireRequest{method: "GET", target: "/a", header: []string{"Authorization: Bearer of the website"}}, 200, "", ""},
	{"a key in Authorization goes no further", wireRequest{method: "GET", target: "/a", header: []string{"Authorization: Bearer {key}"}}, 200, "", ""},
	{"a key, and another in Authorization, goes no further", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "Authorization: Bearer {key}",
	}}, 200, "alice", ""},
	{"key and overrides", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "X-HTTP-Method-Override: root", "X-Method-Override: root", "X-Original-URL: root", "X-Rewrite-URL: root",
		"Api-Key: root", "Api-Username: root", "HTTP-Api-Key: root",
	}}, 200, "alice", ""},
	{"h2c", wireRequest{method: "GET", target: "/a", header: []string{"Connection: Upgrade", "Upgrade: h2c"}}, 200, "", ""},
	{"a token of the website", wireRequest{method: "GET", target: "/api/a", header: []string{"Authorization: Bearer of the website"}}, 200, "", ""},
	{"a key in Authorization from a page of another site, as browsers say it without TLS", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer {key}", "Origin: http://evil.example",
	}}, 403, "", "pages of other sites"},
	{"a key in Authorization from a page of the site itself, as browsers say it without TLS", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer {key}", "Origin: {site}",
	}}, 200, "alice", ""},
	{"a key in the query", wireRequest{method: "GET", target: "/a?user_api_key={key}"}, 400, "", "in the header User-Api-Key"},
	{"a key in the query beside one in the header", wireRequest{method: "GET", target: "/a?user_api_key={key}", header: []string{
		"User-Api-Key: {key}",
	}}, 400, "", "in the header User-Api-Key"},
	{"a bad key in Authorization", wireRequest{method: "GET", target: "/api/a", header: []string{"Authorization: Bearer uk_zzz"}}, 401, "", "invalid"},
	{"what userkeys answers itself", wireRequest{method: "GET", target: "/.well-known/user-api-key"}, -200, "", "auth"},
	{"what userkeys answers for the website", wireRequest{method: "GET", target: "/session/current.json", header: []string{"User-Api-Key: {key}"}}, 200, "alice", ""},
}

// TestWebServers has real web servers ask the real program about the requests that went wrong elsewhere: what was
// judged is what the website gets, or it gets nothing.
func TestWebServers(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		a, plain := startAskingAt(t, server)
		alice := plain.Person("alice") // signs in through the web server
		app, other := plain.App("reader", "read").Connect(alice), plain.App("other", "read").Connect(alice)
		secure := testkit.Recipe{Server: server, Scheme: "https", Args: a.args}.Start(t)
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: secure.Trust}, ForceAttemptHTTP2: true,
		}}
		defer client.CloseIdleConnections()
		for _, tt := range whatPasses {
			r := tt.request.naming("{key}", app.Key.Reveal(), "{site}", plain.URL)
			a.mustPass(t, "HTTP/1.1, "+tt.name, r.over11(plain), tt.status, tt.user, tt.body)
			if strings.Contains(strings.Join(r.header, "\n"), "Connection") {
				continue // HTTP/2 has no such header
			}
			r = tt.request.naming("{key}", other.Key.Reveal(), "{site}", secure.URL)
			a.mustPass(t, "HTTP/2, "+tt.name, r.over2(t, secure, client), tt.status, tt.user, tt.body)
		}
		a.mustBePrivate(t, plain, plain.App("private", "read").Connect(alice).Key.Reveal())
		t.Run("limit and revoke", func(t *testing.T) { a.limitAndRevoke(t, plain, alice) })
		t.Run("stopped", func(t *testing.T) { a.stopped(t, plain, plain.App("patient", "read").Connect(alice)) })
	})
}

// startAskingAt starts the program and a web server at the address of which the program knows.
func startAskingAt(t *testing.T, server string) (*asking, *testkit.WebServer) {
	t.Helper()
	front := nettest.ReserveAddress(t)
	a := startAsking(t, front)
	return a, testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: a.args}.Start(t)
}

// mustPass holds an answer and what the website got to what is wanted.
func (a *asking) mustPass(t *testing.T, name string, got testkit.Answer, status int, user, body string) {
	t.Helper()
	reached := a.website.Take()
	switch {
	case status == 0 && got.StatusCode == 400, status == -1 && got.StatusCode >= 400: // refused
		if len(reached) > 0 {
			t.Errorf("%s: refused, but the website got it", name)
		}
		return
	case status == 0:
		status = 200
	case status == -1:
		status = 200
	case status == -200:
		if got.StatusCode != 200 || !strings.Contains(got.Body, body) || len(reached) > 0 {
			t.Errorf("%s: %d %.200s, which userkeys did not answer", name, got.StatusCode, got.Body)
		}
		return
	}
	if got.StatusCode != status || !strings.Contains(got.Body, body) {
		t.Errorf("%s: %d %.300s, want %d with %q", name, got.StatusCode, got.Body, status, body)
	}
	if status != 200 {
		if len(reached) > 0 {
			t.Errorf("%s: the website got a refused request: %+v", name, reached)
		}
		if n := len(got.Header.Values("WWW-Authenticate")); status == 401 && n != 1 {
			t.Errorf("%s: %d challenges", name, n)
		}
		a.mustBeRefusal(t, name, got)
		return
	}
	if len(reached) != 1 {
		t.Errorf("%s: the website got %d requests", name, len(reached))
		return
	}
	if told := toldOf(t, reached[0]); told != user || reached[0].Header.Get("Remote-User") != user {
		t.Errorf("%s: the website is told %q and %q, want %q", name, told, reached[0].Header.Get("Remote-User"), user)
	}
	if strings.Contains(name, "Authorization elsewhere") || strings.Contains(name, "token of the website") {
		if reached[0].Header.Get("Authorization") != "Bearer of the website" {
			t.Errorf("%s: the website does not get its own token", name)
		}
	}
	if strings.Contains(name, "goes no further") && reached[0].Header.Get("Authorization") != "" {
		t.Errorf("%s: the website gets the key", name)
	}
	if reached[0].Header.Get("Upgrade") != "" {
		t.Errorf("%s: the website is asked for another protocol", name)
	}
	if user != "" {
		for _, h := range []string{"User-Id", "Client-Id", "Key-Id", "Trust-Level", "Admin", "Moderator", "Scopes"} {
			if reached[0].Header.Get("X-Userkeys-"+h) == "" {
				t.Errorf("%s: the website is not told %s", name, h)
			}
		}
		if reached[0].Header.Get("Cookie")+reached[0].Header.Get("Authorization") != "" {
			t.Errorf("%s: the website got cookies or a key: %v", name, reached[0].Header)
		}
		if c := got.Header.Values("Cache-Control"); !strings.Contains(strings.Join(c, ","), "private") {
			t.Errorf("%s: caches are told %q", name, c)
		}
	}
}

// mustBePrivate holds that an answer to a key tells no shared cache that it may store it, whatever the website says to
// caches, and that an answer to a stranger says what the website says.
func (a *asking) mustBePrivate(t *testing.T, w *testkit.WebServer, key string) {
	t.Helper()
	shared := http.Header{
		"Surrogate-Control": {"max-age=60"}, "Cdn-Cache-Control": {"max-age=60"}, "Cache-Control": {"Public, max-age=60", "s-maxage=600"},
	}
	for _, said := range []http.Header{{}, shared, {"Cache-Control": {"no-store"}}, {"Cache-Control": {"max-age=0, no-cache"}}} {
		a.website.Say(func(w http.ResponseWriter, _ *http.Request) { maps.Copy(w.Header(), said) })
		got := wireRequest{method: "GET", target: "/a"}.over11(w).Must(t, 200).Header
		for name, values := range said {
			if strings.Join(got.Values(name), ", ") != strings.Join(values, ", ") {
				t.Errorf("%v for a stranger became %s: %q", said, name, got.Values(name))
			}
		}
		got = wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: " + key}}.over11(w).Must(t, 200).Header
		control := strings.ToLower(strings.Join(got.Values("Cache-Control"), ", "))
		stricter := strings.Trim(strings.TrimPrefix(strings.Join(said["Cache-Control"], ", "), "max-age=0, "), " ")
		if strings.HasPrefix(stricter, "no-") && !strings.Contains(control, stricter) ||
			!strings.Contains(control, "private") && !strings.Contains(control, "no-store") {
			t.Errorf("%v for a key became Cache-Control: %s", said, control)
		}
		for _, name := range []string{"Surrogate-Control", "Cdn-Cache-Control"} {
			if got.Get(name) != "" {
				t.Errorf("an answer to a key has %s: %s", name, got.Get(name))
			}
		}
	}
	a.website.Say(nil)
	a.website.Take()
}

// mustBeRefusal holds an answer to the form that apps read.
func (a *asking) mustBeRefusal(t *testing.T, name string, got testkit.Answer) {
	t.Helper()
	var said struct{ Errors []string }
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil || len(said.Errors) == 0 {
		t.Errorf("%s: an app gets %d %q, which it cannot read", name, got.StatusCode, got.Body)
	}
}

// limitAndRevoke calls up to the limit and beyond, and revokes a key between two requests.
func (a *asking) limitAndRevoke(t *testing.T, w *testkit.WebServer, alice *testkit.Person) {
	app := w.App("eager", "read").Connect(alice)
	for i := range 20 {
		if got := app.Call("GET", "/a"); got.StatusCode != 200 {
			t.Fatalf("call %d: %d %s", i+1, got.StatusCode, got.Body)
		}
	}
	over := app.Call("GET", "/a").Must(t, 429)
	if over.Header.Get("Retry-After") == "" || over.Header.Get("Discourse-Rate-Limit-Error-Code") == "" {
		t.Errorf("call 21 does not say when to come back: %v", over.Header)
	}
	a.mustBeRefusal(t, "call 21", over)

	app = w.App("gone", "read").Connect(alice)
	app.Call("GET", "/a").Must(t, 200)
	app.Call("POST", "/user-api-key/revoke").Must(t, 200)
	a.website.Take()
	app.Call("GET", "/a").Must(t, 403, "invalid key")
	if got := a.website.Take(); len(got) > 0 {
		t.Errorf("the website got a request with a revoked key: %+v", got)
	}
}

// stopped stops the program without ending it, as a machine without memory does: connections are taken and nothing is
// answered.
func (a *asking) stopped(t *testing.T, w *testkit.WebServer, app *testkit.App) {
	a.website.Take()
	if err := syscall.Kill(a.serve.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped(t, a.serve.PID())
	got := app.Call("GET", "/a")
	if err := syscall.Kill(a.serve.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.mustBeDown(t, "stopped", got)
	app.Call("GET", "/a").Must(t, 200)
}

// waitStopped waits until every thread of a process has stopped: the signal returns before, and a thread that still runs
// may answer once more.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(nettest.Patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Skip("this system does not tell whether a process has stopped")
		}
		if !slices.ContainsFunc(threads, func(file string) bool {
			stat, err := os.ReadFile(file)
			_, after, _ := strings.Cut(string(stat), ") ")
			return err == nil && !strings.HasPrefix(after, "T")
		}) {
			return
		}
	}
	t.Fatal("the program does not stop")
}

func (a *asking) mustBeDown(t *testing.T, name string, got testkit.Answer) {
	t.Helper()
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v", name, got.StatusCode, got.Header)
	}
	a.mustBeRefusal(t, name, got)
	if reached := a.website.Take(); len(reached) > 0 {
		t.Errorf("%s: the website got %+v", name, reached)
	}
}

// TestWebServersWithoutAnAnswer has web servers ask at an address where nobody answers, or only half, or what is
// no answer. Neither keys nor strangers get to the website.
func TestWebServersWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	answers := []string{
		"HTTP/1.1 200 OK\r\nX-Userk", "", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", // of a website, which is no answer to a question
	}
	eachWebServer(t, func(t *testing.T, server string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var answer atomic.Value
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer.Load().(string))
				_ = c.Close()
			}
		}()
		a := &asking{website: testkit.NewUpstream(t)}
		w := testkit.Recipe{Server: server, Scheme: "http", Args: []string{
			"--app", strings.TrimPrefix(a.website.URL, "http://"), "--ask", l.Addr().String(), "--listen", nettest.ReserveAddress(t),
		}}.Start(t)
		key := wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: 0123456789abcdef0123456789abcdef"}}
		for _, text := range answers {
			answer.Store(text)
			for _, r := range []wireRequest{key, {method: "GET", target: "/a"}} {
				a.mustBeDown(t, text, r.over11(w))
			}
		}
		_ = l.Close()
		a.mustBeDown(t, "nobody listens", key.over11(w))
	})
}

// TestWebServersPages has web servers pass what a client sends to a stand-in for the pages: a login by a header of a
// proxy must not learn from a client who that is. The host is that of the website, whatever the client says.
func TestWebServersPages(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		pages := testkit.NewUpstream(t)
		w := testkit.Recipe{Server: server, Scheme: "http", Args: []string{
			"--app", nettest.ReserveAddress(t), "--ask", nettest.ReserveAddress(t), "--listen", strings.TrimPrefix(pages.URL, "http://"),
			"--login-header", "X-Sso-Name",
		}}.Start(t)
		forged := append([]string{"X-Sso-Name: root"}, forgedIdentity...)
		wireRequest{method: "GET", target: "/user-api-key/login/sso", header: forged}.over11(w).Must(t, 200)
		w.Raw("GET http://other.example/user-api-key/login/sso HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
		w.Raw("GET /user-api-key/login/sso HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
		for _, got := range pages.Take() {
			toldOf(t, got)
			if got.Host != w.Addr {
				t.Errorf("the pages are told the host %s", got.Host)
			}
		}
	})
}

// TestWebServersStrict has web servers refuse what has no key.
func TestWebServersStrict(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		front := nettest.ReserveAddress(t)
		a := startAsking(t, front)
		w := testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: append(a.args, "--strict")}.Start(t)
		app := w.App("reader", "read").Connect(w.Person("alice"))
		app.Call("GET", "/a").Must(t, 200, "user=alice")
		a.website.Take()
		for _, target := range []string{
			"/a", "/session/current.json", "/user-api-key/../secret", "/secret/../user-api-key/x", "/secret/..;/user-api-key/x",
			"/secret/%2e%2e/user-api-key/x", "/user-api-key%2f..%2fsecret", "/USER-API-KEY/x", "//user-api-key/x", "/my%2fapps",
			"/notifications.json?x", "/secret?/user-api-key/",
		} {
			for _, header := range [][]string{nil, {"User-Api-Key: "}, {"User-Api-Key: ", "User-Api-Key:  "}} {
				got := wireRequest{method: "GET", target: target, header: header}.over11(w)
				if reached := a.website.Take(); len(reached) > 0 || got.StatusCode < 300 {
					t.Errorf("%s %q: %d, and the website got %+v", target, header, got.StatusCode, reached)
				}
			}
		}
		wireRequest{method: "GET", target: "/a"}.over11(w).Must(t, 403)
	})
}

// signIn is a program that signs people in: those with the cookie session=bob are bob.
type signIn struct {
	*httptest.Server
	asked atomic.Int32
}

func startSignIn(t *testing.T, name string) *signIn {
	s := &signIn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/sign_in" {
			w.WriteHeader(403)
			_, _ = io.WriteString(w, "Sign in here, then "+r.Header.Get("X-Auth-Request-Redirect"))
			return
		}
		s.asked.Add(1)
		c, err := r.Cookie("session")
		switch {
		case err == nil && c.Value == "bob" && name == "authelia":
			for h, v := range map[string]string{"User": "bob", "Groups": "staff", "Name": "Bob", "Email": "bob@example.com"} {
				w.Header().Set("Remote-"+h, v)
			}
		case err == nil && c.Value == "bob":
			for h, v := range map[string]string{"User": "bob", "Groups": "staff", "Preferred-Username": "Bob", "Email": "bob@example.com"} {
				w.Header().Set("X-Auth-Request-"+h, v)
			}
			w.WriteHeader(202)
		case err == nil && c.Value == "bypass": // whom a rule lets pass without a name
		case strings.HasSuffix(r.URL.Path, "/forward-auth"):
			w.Header().Set("Location", "https://auth.example/?rd=x")
			w.WriteHeader(302)
		default:
			w.Header().Set("Location", "https://auth.example/?rd=x")
			w.WriteHeader(401)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestWebServersBesideSignIn has another program decide about requests without a key: never neither of them, and never
// the identity of the one that was not asked.
func TestWebServersBesideSignIn(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		a, plain := startAskingAt(t, server)
		key := plain.App("reader", "read").Connect(plain.Person("alice")).Key.Reveal()
		for name, header := range map[string]string{"authelia": "Remote-User", "oauth2-proxy": "X-Auth-Request-User"} {
			s := startSignIn(t, name)
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			w := testkit.Recipe{Server: server, Scheme: "http", Args: append(a.args, "--beside", name+"="+u.Host)}.Start(t)
			forged := append([]string{
				header + ": root", strings.ReplaceAll(header, "-", "_") + ": root", "HTTP_" + strings.ReplaceAll(header, "-", "_") + ": root",
				"http-" + header + ": root", strings.Replace(strings.ToLower(header), "-", ".", 1) + ": root",
			}, forgedIdentity...)
			a.website.Take()
			for _, tt := range []struct {
				name   string
				target string
				header []string
				user   string // by the key
				person string // by the other program; empty, and no user: refused
				asked  int32  // how often it was asked
			}{
				{"a key", "/a", []string{"User-Api-Key: " + key}, "alice", "", 0},
				{"a key beside a session", "/a", []string{"User-Api-Key: " + key, "Cookie: session=bob"}, "alice", "", 0},
				{"a key and forged", "/a", append([]string{"User-Api-Key: " + key}, forged...), "alice", "", 0},
				{"a bad key beside a session", "/a", []string{"User-Api-Key: zzz", "Cookie: session=bob"}, "", "", 0},
				{"a session", "/a", []string{"Cookie: session=bob"}, "", "bob", 1},
				{"a session and forged", "/a", append([]string{"Cookie: session=bob"}, forged...), "", "bob", 1},
				{"passed without a name, and forged", "/a", append([]string{"Cookie: session=bypass"}, forged...), "", "-", 1},
				{"neither", "/a", nil, "", "", 1},
				{"neither and forged", "/a", forged, "", "", 1},
				{"a key in the query of no feed", "/a?user_api_key=" + key, []string{"Cookie: session=bob"}, "", "", 0},
				{"session/current.json without a key", "/session/current.json", nil, "", "", 1},
			} {
				s.asked.Store(0)
				got := wireRequest{method: "GET", target: tt.target, header: tt.header}.over11(w)
				reached := a.website.Take()
				if tt.user == "" && tt.person == "" {
					if len(reached) > 0 || got.StatusCode < 300 {
						t.Errorf("%s, %s: %d, and the website got %+v", name, tt.name, got.StatusCode, reached)
					}
				} else if len(reached) != 1 || got.StatusCode != 200 {
					t.Errorf("%s, %s: %d %.300s, and the website got %+v", name, tt.name, got.StatusCode, got.Body, reached)
				} else {
					person := strings.TrimPrefix(tt.person, "-")
					if header == "Remote-User" { // in which userkeys names the owner of a key, too
						person += tt.user
					}
					if told := toldOf(t, reached[0]); told != tt.user || reached[0].Header.Get(header) != person {
						t.Errorf("%s, %s: the website is told %v", name, tt.name, reached[0].Header)
					}
				}
				if n := s.asked.Load(); n != tt.asked {
					t.Errorf("%s, %s: %s was asked %d times, want %d", name, tt.name, name, n, tt.asked)
				}
			}
			got := wireRequest{method: "GET", target: "/a?x=1&y=2"}.over11(w)
			if to := got.Header.Get("Location"); !strings.HasPrefix(to, "https://auth.example/") &&
				!strings.Contains(to, "rd=/a%3Fx%3D1%26y%3D2") && !strings.Contains(got.Body, "Sign in here, then /a?x=1&y=2") {
				t.Errorf("%s: nobody says where to sign in: %d %v %s", name, got.StatusCode, got.Header, got.Body)
			}
		}
	})
}

// TestNginxCacheBehindAKey has nginx keep answers for everybody: alice, bob, a stranger and a revoked key each get
// their own.
func TestNginxCacheBehindAKey(t *testing.T) {
	t.Parallel()
	front := nettest.ReserveAddress(t)
	a := startAsking(t, front)
	w := testkit.Recipe{Server: "nginx", Scheme: "http", Addr: front, Args: a.args, Change: func(recipe string) string {
		recipe = strings.Replace(recipe, "proxy_pass http://$userkeys_to;",
			"proxy_cache pages; proxy_cache_valid any 1h; add_header X-Cache $upstream_cache_status always; proxy_pass http://$userkeys_to;", 1)
		return "proxy_cache_path DIR/cache keys_zone=pages:1m;\n" + recipe
	}}.Start(t)
	a.website.Say(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = io.WriteString(w, "hello "+r.Header.Get("X-Userkeys-Username")+r.Header.Get("X-Userkeys-Client-Id"))
	})
	alice := w.Person("alice")
	one, two := w.App("one", "read").Connect(alice), w.App("two", "read").Connect(alice)
	gone := w.App("gone", "read").Connect(alice)
	gone.Call("GET", "/page").Must(t, 200, "hello alicegone")
	gone.Call("POST", "/user-api-key/revoke").Must(t, 200)
	stranger := w.Visitor()
	for _, tt := range []struct {
		name, want, cache string
		status            int
		got               testkit.Answer
	}{
		{"alice first", "hello aliceone", "BYPASS", 200, one.Call("GET", "/page")},
		{"a stranger", "hello ", "MISS", 200, stranger.Get("/page")},
		{"a stranger again", "hello ", "HIT", 200, stranger.Get("/page")},
		{"alice after a stranger", "hello aliceone", "BYPASS", 200, one.Call("GET", "/page")},
		{"another key", "hello alicetwo", "BYPASS", 200, two.Call("GET", "/page")},
		{"a revoked key", "invalid key", "", 403, gone.Call("GET", "/page")},
		{"a stranger after all", "hello ", "HIT", 200, stranger.Get("/page")},
	} {
		if tt.got.StatusCode != tt.status || tt.got.Header.Get("X-Cache") != tt.cache ||
			tt.got.Body != tt.want && (tt.status == 200 || !strings.Contains(tt.got.Body, tt.want)) {
			t.Errorf("%s: %d %s %q", tt.name, tt.got.StatusCode, tt.got.Header.Get("X-Cache"), tt.got.Body)
		}
	}
}
