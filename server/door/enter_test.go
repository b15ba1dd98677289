package door_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

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
			f := fakesite.NewWithKeys(t)
			a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke", As: "alice", Header: tt.header, Form: map[string]string{"id": "1", input.TokenField: tt.token}})
			if tt.ok {
				a.Must(t, http.StatusSeeOther)
				return
			}
			a.Must(t, http.StatusForbidden)
			if a.Text != `["BAD CSRF"]` || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("the answer is %q, %s", a.Text, a.Header.Get("Content-Type"))
			}
			browser := maps.Clone(tt.header)
			browser["Accept"], browser["Referer"] = "text/html,*/*;q=0.8", "https://site.example/my/apps"
			a = f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke", As: "alice", Header: browser, Form: map[string]string{"id": "1", input.TokenField: tt.token}})
			a.Must(t, http.StatusForbidden, "<h1>This page is out of date</h1>", `href="/my/apps"`)
			f.NothingDone(tt.name)
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, kind, body string
		status           int
	}{
		{"RQ13 too large", "application/x-www-form-urlencoded", strings.Repeat("x", input.MaxBody+1), 413},
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
			f := fakesite.New(t)
			a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/deny", As: "alice", Body: tt.body, Header: map[string]string{"Content-Type": tt.kind}})
			a.Must(t, tt.status)
		})
	}
}

func TestGR6_MethodsAndUnknownPaths(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
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
		a := f.Do(fakesite.Call{Method: tt.method, Path: tt.path, As: "alice", Header: map[string]string{"X-Http-Method-Override": "POST"}})
		a.Must(t, tt.status)
		if got := a.Header.Get("Allow"); got != tt.allow {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got, tt.allow)
		}
	}
	f.Do(fakesite.Call{Path: "/nothing"}).Must(t, 404, "<h1>Nothing here</h1>")
	f.Do(fakesite.Call{Path: "/nothing", Key: "key-1"}).Must(t, 404, `"error_type":"not_found"`)
	f.Do(fakesite.Call{Path: "/nothing", Header: map[string]string{"Accept": "application/json"}}).Must(t, 404, `{"errors":[`)
	f.Do(fakesite.Call{Path: "/nothing.json"}).Must(t, 404, `{"errors":[`)
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Do(fakesite.Call{Path: fakesite.Ask("nonce=secret-nonce"), As: "alice"})
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key", As: "alice", Form: map[string]string{"id": "consent-1"}})
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "secret-password"}})
	f.Do(fakesite.Call{Path: "/user-api-key/setup?token=secret-token"})
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke?secret-query", Key: "key-1"})
	f.Do(fakesite.Call{Path: "/nothing?secret-query"})
	log := f.Log.String()
	if n := strings.Count(log, "\n"); n != 6 {
		t.Errorf("%d lines for 6 requests:\n%s", n, log)
	}
	for _, secret := range []string{"secret-", "consent-1", "token-of", "payload", fakesite.KeyText("key-1"), "n-0123456789"} { // LK1, LK2
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
	f := fakesite.New(t)
	f.Door.Handle("GET /boom", door.Rules{Who: door.Browser}, func(http.ResponseWriter, *http.Request, site.Caller) error {
		panic("boom")
	})
	f.Handle(http.NewServeMux())
	a := f.Do(fakesite.Call{Path: "/boom?secret", As: "alice"})
	a.Must(t, http.StatusInternalServerError, "Something went wrong", "Reference: <code>"+a.Header.Get("X-Request-Id"))
	a.MustNot(t, "boom")
	if log := f.Log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "level=ERROR") || strings.Contains(log, "secret") {
		t.Errorf("the log reads %s", log)
	}
}

func TestVisitorUnknownIsNotNobody(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Identity.Err = userkeys.Errorf(userkeys.Unavailable, "the database does not answer")
	f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).Must(t, http.StatusServiceUnavailable)
}

func TestUsernamesThatAreNoHeader(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Identity.People["alice"] = site.User{ID: 1, Username: "al\u00efce\r\nX: y", Active: true}
	a := f.Do(fakesite.Call{Path: "/session/current.json", As: "alice"})
	a.Must(t, http.StatusOK)
	if a.Header.Get("X-Discourse-Username") != "" || a.Header.Get("X") != "" {
		t.Errorf("the headers are %v", a.Header)
	}
}

// TestErrorsAreSaidToPeople tests that a browser reads what happened and has one way on, and that programs read what they
// read before.
func TestErrorsAreSaidToPeople(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	form := func(kind, body string) fakesite.Call {
		return fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/deny", As: "alice", Body: body, Header: map[string]string{"Content-Type": kind}}
	}
	for _, tt := range []struct {
		name              string
		call              fakesite.Call
		status            int
		title, way, inner string
	}{
		{"method", fakesite.Call{Path: "/user-api-key/logout"}, 405, "There is no page here", "/", `{"errors":["this address answers POST only"],"error_type":"invalid_parameters"}`},
		{"too large", form("application/x-www-form-urlencoded", strings.Repeat("x", input.MaxBody+1)), 413, "That is too large", "/my/apps", `{"errors":["the body is larger than 65536 bytes"],"error_type":"invalid_parameters"}`},
		{"no form", form("text/plain", "id=1"), 415, "That cannot be read", "/", `{"errors":["the body must be application/x-www-form-urlencoded"],"error_type":"invalid_parameters"}`},
		{"nothing there", fakesite.Call{Path: "/nothing"}, 404, "Nothing here", "/", `{"errors":["there is nothing at this address"],"error_type":"not_found"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(accept string) fakesite.Answer {
				c := tt.call
				c.Header = maps.Clone(c.Header)
				if c.Header == nil {
					c.Header = map[string]string{}
				}
				c.Header["Accept"], c.Header["Referer"] = accept, "https://site.example/my/apps"
				return f.Do(c)
			}
			a := ask("text/html,application/xhtml+xml,*/*;q=0.8")
			a.Must(t, tt.status, "<h1>"+tt.title+"</h1>", `<p class="row"><a class="second" href="`+tt.way+`">`)
			if n := strings.Count(a.Text, `<p class="row">`); n != 1 {
				t.Errorf("%d ways lead on", n)
			}
			if a := ask("application/json"); a.StatusCode != tt.status || strings.TrimSpace(a.Text) != tt.inner {
				t.Errorf("a program reads %d %s", a.StatusCode, a.Text)
			}
		})
	}
}
