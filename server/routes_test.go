package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// TestEveryRouteIsDeclared is the second writing of the table's rules: a
// route that is not here, or whose door changed, is a decision to make anew.
func TestEveryRouteIsDeclared(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, rt := range newSite(t, withInbox(t), withBus).server.routes() {
		rules := []string{[]string{"anyone", "signed in", "administrator"}[rt.who]}
		for _, rule := range []struct {
			name string
			on   bool
		}{{"keys", rt.door.keys}, {"session", rt.door.session}, {"app sessions", rt.door.appSessions}, {"origin", rt.door.origin}, {"token", rt.door.token}, {"form", rt.door.form}, {"json", rt.door.json}, {"only JSON", rt.door.only}, {"lists", rt.door.lists}, {"once", rt.door.once}, {"long", rt.door.long}, {"admin keys", rt.door.adminKeys}} {
			if rule.on {
				rules = append(rules, rule.name)
			}
		}
		if rt.door.appSessions && !rt.door.session {
			t.Errorf("%s lets sessions of apps pass, and knows no session", rt.pattern)
		}
		if rt.door.permission != "" {
			rules = append(rules, "needing "+string(rt.door.permission))
		}
		if rt.door.permission != "" && !rt.door.adminKeys {
			t.Errorf("%s needs a permission of keys that may not pass", rt.pattern)
		}
		lines = append(lines, rt.pattern+": "+strings.Join(rules, " "))
		// What changes something for a session is protected; what knows no session cannot be abused by a page. A poll
		// changes nothing, and no page of another origin may send it.
		if !strings.HasPrefix(rt.pattern, "GET ") && !strings.HasPrefix(rt.pattern, "HEAD ") && rt.door.session && !(rt.door.origin && (rt.door.form || rt.door.token || rt.door.long)) {
			t.Errorf("%s is not protected", rt.pattern)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/routes.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the routes or their rules changed; if they should have, run go test ./server -run %s -update and read the difference\n%s", t.Name(), diff)
	}
}

// concrete is a request that a route's pattern stands for.
func concrete(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{$}", "", "{username}", "alice", "{name}", "style.css", "{id}", "1").Replace(path)
}

// TestEveryAnswer walks all routes as everybody; what must be so for every
// answer is held by do.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	for _, rt := range f.server.routes() {
		method, path := concrete(rt.pattern)
		for _, as := range []string{"", "alice", "mod", "root"} {
			for _, accept := range []string{"text/html", "application/json"} {
				a := f.do(call{method: method, path: path, as: as, form: formFor(method), header: map[string]string{"Accept": accept}})
				if a.StatusCode >= 500 {
					t.Errorf("%s as %q: status %d", rt.pattern, as, a.StatusCode)
				}
				if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Strict-Transport-Security") == "" {
					t.Errorf("%s as %q lacks headers: %v", rt.pattern, as, a.Header)
				}
				if as == "" && a.Header.Get("X-Discourse-Username") != "" {
					t.Errorf("%s names a stranger", rt.pattern)
				}
				if rt.name != a.Header.Get("X-Discourse-Route") {
					t.Errorf("%s: X-Discourse-Route is %q", rt.pattern, a.Header.Get("X-Discourse-Route"))
				}
			}
		}
	}
}

func formFor(method string) map[string]string {
	if method == http.MethodPost {
		return map[string]string{}
	}
	return nil
}

func TestKeysReachNoBrowserRoute(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	for _, rt := range f.server.routes() {
		if rt.door.keys {
			continue
		}
		method, path := concrete(rt.pattern)
		// A session's cookie and token beside the key help nothing.
		c := call{method: method, path: path, as: "root", key: "key-3", form: formFor(method), header: map[string]string{"Origin": "https://site.example"}}
		a := f.do(c)
		a.must(t, http.StatusForbidden, `"error_type":"invalid_access"`, userkeys.NotPermitted)
		if a.Header.Get("Location") != "" {
			t.Errorf("%s leads somewhere", rt.pattern)
		}
		c.key = "key-99"
		f.do(c).must(t, http.StatusForbidden, `"reason":"invalid key"`)
	}
	if len(f.authority.actors) != 0 {
		t.Errorf("something was done: %v", f.authority.actors)
	}
}

func TestAD1_SettingsAreTheAdministrators(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	for _, tt := range []struct {
		as, key   string
		get, post int
	}{{"", "", 302, 403}, {"alice", "", 403, 403}, {"mod", "", 403, 403}, {"", "key-3", 403, 403}, {"root", "", 200, 303}} {
		f.do(call{path: "/user-api-key/settings", as: tt.as, key: tt.key}).must(t, tt.get)
		f.do(call{method: http.MethodPost, path: "/user-api-key/settings", as: tt.as, key: tt.key, form: map[string]string{"name": "title", "value": "T"}}).must(t, tt.post)
	}
}

// TestGR2_GR3 holds the two checks of a form: where it came from, and that the session wrote it.
func TestGR2_GR3_CVE_2025_24358_FormsAreThisSessions(t *testing.T) {
	t.Parallel()
	own := map[string]string{"Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}
	for _, tt := range []struct {
		name, token string
		header      map[string]string
		ok          bool
	}{
		{"right", "token-of-alice", own, true},
		{"behind a proxy with another host", "token-of-alice", map[string]string{"Host": "inner", "Origin": "https://site.example", "Sec-Fetch-Site": ""}, true},
		{"of another user", "token-of-bob", own, false},
		{"last byte changed", "token-of-alicf", own, false},
		{"empty", "", own, false},
		{"longer", "token-of-alice ", own, false},
		{"cross-site", "token-of-alice", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, false},
		{"sub-domain", "token-of-alice", map[string]string{"Origin": "https://a.site.example", "Sec-Fetch-Site": "same-site"}, false},
		{"foreign origin alone", "token-of-alice", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": ""}, false},
		{"origin null", "token-of-alice", map[string]string{"Origin": "null", "Sec-Fetch-Site": ""}, false},
		{"neither header, but the token", "token-of-alice", map[string]string{"Origin": "", "Sec-Fetch-Site": ""}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := withKeys(t)
			a := f.do(call{method: http.MethodPost, path: "/user-api-key/revoke", as: "alice", header: tt.header, form: map[string]string{"id": "1", tokenField: tt.token}})
			if tt.ok {
				a.must(t, http.StatusSeeOther)
				return
			}
			a.must(t, http.StatusForbidden)
			if a.text != `["BAD CSRF"]` || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("the answer is %q, %s", a.text, a.Header.Get("Content-Type"))
			}
		})
	}
}

func TestSessionWithoutTokenRestsOnOrigin(t *testing.T) {
	t.Parallel()
	v := site.Visitor{User: alice, Session: site.Session{ID: "s"}}
	for _, tt := range []struct {
		name   string
		header string
		want   bool
	}{{"Origin", "Origin", true}, {"Sec-Fetch-Site", "Sec-Fetch-Site", true}, {"neither", "Accept", false}} {
		r := httptest.NewRequest(http.MethodPost, "/user-api-key", nil)
		r.Header.Set(tt.header, "x")
		if got := tokenHolds(r, v); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, kind, body string
		status           int
	}{
		{"RQ13 too large", "application/x-www-form-urlencoded", strings.Repeat("x", maxBody+1), 413},
		{"RQ14 multipart", "multipart/form-data; boundary=x", "--x--", 415},
		{"RQ15 text", "text/plain", "id=1", 415},
		{"JSON where there is none", "application/json", "{}", 415},
		{"no type", "", "id=1", 415},
		{"a broken type", "application/x-www-form-urlencoded; charset", "id=1", 415},
		{"a field twice", "application/x-www-form-urlencoded", "id=1&id=2", 400},
		{"a semicolon", "application/x-www-form-urlencoded", "id=1;x=2", 400},
		{"broken encoding", "application/x-www-form-urlencoded", "id=%zz", 400},
		{"no UTF-8", "application/x-www-form-urlencoded", "id=%ff", 400},
		{"NUL", "application/x-www-form-urlencoded", "id=%00", 400},
		{"101 fields", "application/x-www-form-urlencoded", strings.Repeat("a=1&", 100) + "b=1", 400},
		{"with a charset, but no token", "application/x-www-form-urlencoded; charset=UTF-8", "id=1", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newSite(t)
			a := f.do(call{method: http.MethodPost, path: "/user-api-key/deny", as: "alice", body: tt.body, header: map[string]string{"Content-Type": tt.kind}})
			a.must(t, tt.status)
		})
	}
}

func TestGR6_MethodsAndUnknownPaths(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/user-api-key", 405, "POST"},
		{"HEAD", "/user-api-key?id=consent-1", 405, "POST"},
		{"PUT", "/my/apps", 405, "GET, HEAD"},
		{"DELETE", "/user-api-key/new", 405, "GET, HEAD"},
		{"OPTIONS", "/user-api-key", 405, "POST"},
		{"GET", "/user-api-key/nothing", 404, ""},
		{"POST", "/user-api-key/new.json", 405, "GET, HEAD"},
		{"GET", "/user-api-keys", 404, ""},
		{"GET", "/nothing", 404, ""},
	} {
		a := f.do(call{method: tt.method, path: tt.path, as: "alice", header: map[string]string{"X-Http-Method-Override": "POST"}})
		a.must(t, tt.status)
		if got := a.Header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got, tt.allow)
		}
	}
	f.do(call{path: "/nothing"}).must(t, 404, "<h1>Nothing here</h1>")
	f.do(call{path: "/nothing", key: "key-1"}).must(t, 404, `"error_type":"not_found"`)
	f.do(call{path: "/nothing", header: map[string]string{"Accept": "application/json"}}).must(t, 404, `{"errors":[`)
	f.do(call{path: "/nothing.json"}).must(t, 404, `{"errors":[`)
}

func TestMountedBesideAnotherSite(t *testing.T) {
	t.Parallel()
	f := newSite(t, notStandalone)
	mux := http.NewServeMux()
	f.server.Mount(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the site") })
	f.handler = mux
	for path, ours := range map[string]bool{
		"/": false, "/login": false, "/u/alice/preferences/apps": false, "/other": false, "/my/apps": true,
		"/user-api-key/nothing": true, "/user-api-key/login": true, "/session/current": false, "/session/current.json": false,
	} {
		if got := f.do2(path); (got != "the site") != ours {
			t.Errorf("%s answers %q", path, cutBytes(got, 100))
		}
	}
	f = newSite(t, notStandalone, func(c *Config) { c.Endpoints = true })
	f.do(call{path: "/session/current.json", as: "alice"}).must(t, http.StatusOK, `"username":"alice"`)
}

// do2 is what a path answers to nobody, unchecked.
func (f *fakeSite) do2(path string) string {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Body.String()
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	f.do(call{path: ask("nonce=secret-nonce"), as: "alice"})
	f.do(call{method: http.MethodPost, path: "/user-api-key", as: "alice", form: map[string]string{"id": "consent-1"}})
	f.do(call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "secret-password"}})
	f.do(call{path: "/user-api-key/setup?token=secret-token"})
	f.do(call{method: http.MethodPost, path: "/user-api-key/revoke?secret-query", key: "key-1"})
	f.do(call{path: "/nothing?secret-query"})
	log := f.log.String()
	if n := strings.Count(log, "\n"); n != 6 {
		t.Errorf("%d lines for 6 requests:\n%s", n, log)
	}
	for _, secret := range []string{"secret-", "consent-1", "token-of", "payload", "key-1", "n-0123456789"} { // LK1, LK2
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
	for _, want := range []string{"user=1", "key=1", `route="GET /user-api-key/new"`, `refused="invalid credentials"`, "status=404", "ip=192.0.2.1"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestLK4_APanicIsAnErrorWithoutABody(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.handler = f.server.serve(route{pattern: "GET /boom", door: page, handle: func(http.ResponseWriter, *http.Request, site.Visitor) error {
		panic("boom")
	}})
	a := f.do(call{path: "/boom?secret", as: "alice"})
	a.must(t, http.StatusInternalServerError, "Something went wrong", "Reference: <code>"+a.Header.Get("X-Request-Id"))
	a.mustNot(t, "boom")
	if log := f.log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "level=ERROR") || strings.Contains(log, "secret") {
		t.Errorf("the log reads %s", log)
	}
}

func TestVisitorUnknownIsNotNobody(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.identity.err = errDown
	f.do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusServiceUnavailable)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Identity: newFakeIdentity()}); err == nil {
		t.Error("a server without an authority")
	}
	if _, err := newServer(Config{}, newFakeAuthority()); err == nil {
		t.Error("a server without an identity")
	}
	if _, err := newServer(Config{Identity: onlyVisitors{newFakeIdentity()}, Standalone: true}, newFakeAuthority()); err == nil {
		t.Error("a standalone site without accounts")
	}
	for name, base := range map[string]*url.URL{
		"no address": nil, "no host": {Scheme: "https"}, "no scheme": {Host: "www.example"}, "another scheme": {Scheme: "ftp", Host: "www.example"},
		"a folder": {Scheme: "https", Host: "www.example", Path: "/forum"}, "a query": {Scheme: "https", Host: "www.example", RawQuery: "a"},
		"no name": {Scheme: "https", Host: "\u2028"},
	} {
		_, err := newServer(Config{Identity: onlyVisitors{newFakeIdentity()}, BaseURL: base}, newFakeAuthority())
		if err == nil || !strings.Contains(err.Error(), "Config.BaseURL") {
			t.Errorf("a site with %s: %v", name, err)
		}
	}
}

// TestNoAddressIsMadeOfAHostHeader asks every route by another name: whoever can make somebody send a request
// with a Host of theirs would else lead people, and apps, to their own site.
func TestNoAddressIsMadeOfAHostHeader(t *testing.T) {
	t.Parallel()
	for _, standalone := range []bool{true, false} {
		f := newSite(t, withInbox(t), func(c *Config) { c.Standalone, c.Endpoints = standalone, true })
		for _, rt := range f.server.routes() {
			method, path := concrete(rt.pattern)
			for _, as := range []string{"", "root"} {
				a := f.do(call{method: method, path: path, as: as, form: formFor(method), header: map[string]string{
					"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example",
				}})
				if strings.Contains(a.text, "evil.example") {
					t.Errorf("%s as %q answers\n%s", rt.pattern, as, a.text)
				}
				for name, lines := range a.Header {
					if strings.Contains(strings.Join(lines, " "), "evil.example") {
						t.Errorf("%s as %q answers %s: %s", rt.pattern, as, name, lines)
					}
				}
			}
		}
		a := f.do(call{path: "/.well-known/user-api-key", header: map[string]string{"Host": "evil.example"}})
		a.must(t, http.StatusOK, "https://site.example/user-api-key/new")
	}
}

// TestBaseURLIsSpelledOnce: what browsers send as their origin is known, however the operator wrote it.
func TestBaseURLIsSpelledOnce(t *testing.T) {
	t.Parallel()
	f := newSite(t, func(c *Config) { c.BaseURL = &url.URL{Scheme: "https", Host: "B\u00fccher.Example:443", Path: "/"} })
	f.do(call{path: "/.well-known/user-api-key"}).must(t, http.StatusOK, `"https://xn--bcher-kva.example/user-api-key/new"`)
}

// onlyVisitors is an embedder's identity: it has no accounts.
type onlyVisitors struct{ f *fakeIdentity }

func (o onlyVisitors) Visitor(r *http.Request) (site.Visitor, error) { return o.f.Visitor(r) }
func (o onlyVisitors) LoginURL(back string) string                   { return "https://site.example/in?to=" + back }

func TestEmbeddersSessions(t *testing.T) {
	t.Parallel()
	f := newSite(t, notStandalone, func(c *Config) { c.Identity = onlyVisitors{newFakeIdentity()} })
	f.do(call{path: "/user-api-key/login"}).must(t, http.StatusNotFound)
	a := f.do(call{path: ask(), as: "alice"})
	a.must(t, http.StatusOK, "approve-form")
	a.mustNot(t, "logout", "Not you?")
}
