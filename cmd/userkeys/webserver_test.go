//go:build unix

package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// asking is a website, the program before which nobody stands, and the arguments of `userkeys recipe` for both.
type asking struct {
	website *testkit.Upstream
	serve   *testkit.Process
	ask     string // the address of its asking listener
	data    string
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
	a := &asking{website: testkit.NewUpstream(t), ask: nettest.ReserveAddress(t), data: t.TempDir()}
	listen := nettest.ReserveAddress(t)
	a.add(t, "alice")
	a.args = []string{"--app", strings.TrimPrefix(a.website.URL, "http://"), "--ask", a.ask, "--listen", listen, "--identity-header", "Remote-User"}
	config := filepath.Join(t.TempDir(), "userkeys.toml")
	text := strings.Replace(askingConfig, "[settings]\n", "[settings]\n"+strings.Join(settings, "\n")+"\n", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a.serve = testkit.ServeAt(t, listen, "--data", a.data, "--config", config, "--url", "http://"+front, "--upstream", a.website.URL,
		"--ask-listen", a.ask, "--trusted-proxy", "127.0.0.1")
	return a
}

// add adds a user.
func (a *asking) add(t *testing.T, name string) {
	t.Helper()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", name, "--password-stdin", "--data", a.data)
}

// startAskingAt starts the program and a web server at the address of which the program knows.
func startAskingAt(t *testing.T, server string) (*asking, *testkit.WebServer) {
	t.Helper()
	front := nettest.ReserveAddress(t)
	a := startAsking(t, front)
	return a, testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: a.args}.Start(t)
}

// eachWebServer runs a test for every web server that can be had here, with the program behind it.
func eachWebServer(t *testing.T, test func(t *testing.T, server string)) {
	t.Helper()
	servers := []string{"nginx", "haproxy", "caddy"}
	if os.Getenv("USERKEYS_LONG") != "" {
		servers = append(servers, "caddy@v2.11.9")
	}
	for _, server := range servers {
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
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(r.body)))
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

// mustBeRefusal holds an answer to the form that apps read.
func (a *asking) mustBeRefusal(t *testing.T, name string, got testkit.Answer) {
	t.Helper()
	var said struct{ Errors []string }
	if err := json.Unmarshal([]byte(got.Body), &said); err != nil || len(said.Errors) == 0 {
		t.Errorf("%s: an app gets %d %q, which it cannot read", name, got.StatusCode, got.Body)
	}
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
			a.mustBecome(t, "HTTP/1.1, "+tt.name, r.over11(plain), tt.want)
			if strings.Contains(strings.Join(r.header, "\n"), "Connection") {
				continue // HTTP/2 has no such header
			}
			r = tt.request.naming("{key}", other.Key.Reveal(), "{site}", secure.URL)
			a.mustBecome(t, "HTTP/2, "+tt.name, r.over2(t, secure, client), tt.want)
		}
		a.mustBePrivate(t, plain, plain.App("private", "read").Connect(alice).Key.Reveal())
		t.Run("limit and revoke", func(t *testing.T) { a.limitAndRevoke(t, plain, alice) })
		t.Run("stopped", func(t *testing.T) { a.stopped(t, plain, plain.App("patient", "read").Connect(alice)) })
	})
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
