//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// forgedIdentity is what a client may try in order to be somebody.
var forgedIdentity = []string{
	"X-Userkeys-Username: root", "X-USERKEYS-ADMIN: true", "x-userkeys-key-id: 1", "X_Userkeys_Username: root",
	"X-Userkeys_Username: root", "x.userkeys.username: root", "HTTP_X_USERKEYS_USERNAME: root", "HTTP-X-Userkeys-Username: root", "X-Userkeys-Groups: staff",
	"X-Userkeys-External-Id: root", "Remote-User: root", "Remote_User: root", "HTTP_REMOTE_USER: root",
	"X-Forwarded-User: root", "X_Forwarded_User: root", "HTTP-X-Forwarded-User: root", "X-Auth-Request-Email: root", "X-Auth-User: root",
	"X-Authentik-Username: root", "Cf-Access-Authenticated-User-Email: root", "X-WebAuth-User: root", "X-Ms-Client-Principal: root",
}

// forgedForPrograms is what a client may try besides: programs that take HTTP-X for X would take the first for a key,
// and send requests of their own through the second.
var forgedForPrograms = []string{"HTTP-User-Api-Key: root", "Proxy: root", "HTTP-Proxy: root"}

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
			if strings.Contains(folded, "userkeys") && v == "" {
				t.Errorf("the website is given an empty %s", name)
			}
			if strings.Contains(folded, "userkeys") && v != "" && got.Header.Get("X-Userkeys-Key-Id") == "" || v == "root" {
				t.Errorf("the website is told %s: %s", name, v)
			}
		}
	}
	return got.Header.Get("X-Userkeys-Username")
}

// outcome is what becomes of a request: refused with a status, answered by userkeys, or passed on to the website.
type outcome struct {
	status        int    // of the answer, or passes, passesOrBad, passesOrRefused, answered
	user          string // who the website is told calls
	body          string // is in the answer
	authorization string // what the website gets of this header
}

// What becomes of a request that is not refused with one status. The first may be left out.
const (
	passes          = iota // the website gets it, and answers 200
	passesOrBad            // it passes, or it is refused with 400
	passesOrRefused        // it passes, or it is refused
	answered               // userkeys answers 200 itself
)

// whatPasses are the requests that every web server must tell apart; {key} is a key of alice that may read, and {site}
// the address of the web server.
var whatPasses = []struct {
	name    string
	request wireRequest
	want    outcome
}{
	{"stranger", wireRequest{method: "GET", target: "/a"}, outcome{body: "target=/a"}},
	{"stranger who forges", wireRequest{method: "GET", target: "/a", header: slices.Concat(forgedIdentity, forgedForPrograms)}, outcome{}},
	{"key", wireRequest{method: "GET", target: "/a?x=1&y=%20z", header: []string{
		"User-Api-Key: {key}",
	}}, outcome{user: "alice", body: "target=/a?x=1&y=%20z"}},
	{"key and forged", wireRequest{method: "GET", target: "/a", header: append([]string{
		"User-Api-Key: {key}", "Cookie: session=bob",
	}, slices.Concat(forgedIdentity, forgedForPrograms)...)}, outcome{user: "alice"}},
	{"a scope that is missing", wireRequest{method: "POST", target: "/a", header: []string{"User-Api-Key: {key}"}, body: "x=1"}, outcome{status: 403}},
	{"bad key", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: zzz"}}, outcome{status: 403, body: "invalid key"}},
	{"empty key", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: "}}, outcome{status: passesOrRefused}},
	{"%2F", wireRequest{method: "GET", target: "/a%2Fb", header: []string{"User-Api-Key: {key}"}}, outcome{status: 400}},
	{"//", wireRequest{method: "GET", target: "//a", header: []string{"User-Api-Key: {key}"}}, outcome{status: 400}},
	{"..", wireRequest{method: "GET", target: "/pub/../admin", header: []string{"User-Api-Key: {key}"}}, outcome{status: 400}},
	{"; in the path", wireRequest{method: "GET", target: "/a;x/b", header: []string{"User-Api-Key: {key}"}}, outcome{status: 400}},
	{"; in the query", wireRequest{method: "GET", target: "/a?x=1;y=2", header: []string{"User-Api-Key: {key}"}}, outcome{status: 400}},
	{"two keys", wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: {key}", "User-Api-Key: l"}}, outcome{status: 400}},
	{"OPTIONS with a key", wireRequest{method: "OPTIONS", target: "/a", header: []string{"User-Api-Key: {key}"}}, outcome{status: 405}},
	{"FOO with a key", wireRequest{method: "FOO", target: "/a", header: []string{"User-Api-Key: {key}"}}, outcome{status: 405}},
	{"PROPFIND of a stranger", wireRequest{method: "PROPFIND", target: "/a"}, outcome{}},
	{"HEAD", wireRequest{method: "HEAD", target: "/a", header: []string{"User-Api-Key: {key}"}}, outcome{user: "alice"}},
	{"forged question", wireRequest{method: "POST", target: "/admin", header: []string{
		"User-Api-Key: {key}", "X-Forwarded-Uri: /public", "X-Forwarded-Method: GET", "X-Original-URI: /public",
		"X-Original-Method: GET", "X-Original-URL: /public", "X-Envoy-Original-Path: /public",
	}, body: "x=1"}, outcome{status: 403}},
	{"Connection names a header of the identity", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "Connection: close, X-Userkeys-Key-Id, x-userkeys-scopes, X-Userkeys-Username, User-Api-Key",
	}}, outcome{status: passesOrBad, user: "alice"}},
	{"a key in Authorization", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer {key}",
	}}, outcome{user: "alice"}},
	{"a token of the website where no key may stand in Authorization", wireRequest{method: "GET", target: "/a", header: []string{
		"Authorization: Bearer of the website",
	}}, outcome{authorization: "Bearer of the website"}},
	{"a key in Authorization goes no further", wireRequest{method: "GET", target: "/a", header: []string{
		"Authorization: Bearer {key}",
	}}, outcome{}},
	{"a key, and another in Authorization, goes no further", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "Authorization: Bearer {key}",
	}}, outcome{user: "alice"}},
	{"key and overrides", wireRequest{method: "GET", target: "/a", header: []string{
		"User-Api-Key: {key}", "X-HTTP-Method-Override: root", "X-Method-Override: root", "X-Original-URL: root", "X-Rewrite-URL: root",
		"Api-Key: root", "Api-Username: root", "HTTP-Api-Key: root",
	}}, outcome{user: "alice"}},
	{"h2c", wireRequest{method: "GET", target: "/a", header: []string{"Connection: Upgrade", "Upgrade: h2c"}}, outcome{}},
	{"a token of the website", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer of the website",
	}}, outcome{authorization: "Bearer of the website"}},
	{"a key in Authorization from a page of another site, as browsers say it without TLS", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer {key}", "Origin: http://evil.example",
	}}, outcome{status: 403, body: "pages of other sites"}},
	{"a key in Authorization from a page of the site itself, as browsers say it without TLS", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer {key}", "Origin: {site}",
	}}, outcome{user: "alice"}},
	{"a key in the query", wireRequest{method: "GET", target: "/a?user_api_key={key}"}, outcome{status: 400, body: "in the header User-Api-Key"}},
	{"a key in the query beside one in the header", wireRequest{method: "GET", target: "/a?user_api_key={key}", header: []string{
		"User-Api-Key: {key}",
	}}, outcome{status: 400, body: "in the header User-Api-Key"}},
	{"a bad key in Authorization", wireRequest{method: "GET", target: "/api/a", header: []string{
		"Authorization: Bearer uk_zzz",
	}}, outcome{status: 401, body: "invalid"}},
	{"what userkeys answers itself", wireRequest{method: "GET", target: "/.well-known/user-api-key"}, outcome{status: answered, body: "auth"}},
	{"what userkeys answers for the website", wireRequest{method: "GET", target: "/session/current.json", header: []string{
		"User-Api-Key: {key}",
	}}, outcome{user: "alice"}},
}

// mustBecome holds an answer and what the website got to what is wanted.
func (a *asking) mustBecome(t *testing.T, name string, got testkit.Answer, w outcome) {
	t.Helper()
	reached := a.website.Take()
	refused := w.status >= 400 || w.status == passesOrBad && got.StatusCode == 400 || w.status == passesOrRefused && got.StatusCode >= 400
	switch {
	case refused || w.status == answered:
		if len(reached) > 0 {
			t.Errorf("%s: %d, but the website got %+v", name, got.StatusCode, reached)
		}
	case len(reached) != 1:
		t.Errorf("%s: %d %.300s, and the website got %d requests", name, got.StatusCode, got.Body, len(reached))
		return
	default:
		mustBeTold(t, name, reached[0], w)
	}
	switch {
	case w.status >= 400:
		if n := len(got.Header.Values("WWW-Authenticate")); w.status == 401 && n != 1 {
			t.Errorf("%s: %d challenges", name, n)
		}
		if w.status == 405 && !strings.Contains(got.Header.Get("Allow"), "PATCH") {
			t.Errorf("%s: allowed are %q", name, got.Header.Get("Allow"))
		}
		a.mustBeRefusal(t, name, got)
	case refused: // in whatever words
		return
	default:
		w.status = 200
	}
	if got.StatusCode != w.status || !strings.Contains(got.Body, w.body) {
		t.Errorf("%s: %d %.300s, want %d with %q", name, got.StatusCode, got.Body, w.status, w.body)
	}
	if c := got.Header.Values("Cache-Control"); w.user != "" && !strings.Contains(strings.Join(c, ","), "private") {
		t.Errorf("%s: caches are told %q", name, c)
	}
}

// mustBeTold holds what the website got to what is wanted.
func mustBeTold(t *testing.T, name string, got testkit.Received, w outcome) {
	t.Helper()
	if told := toldOf(t, got); told != w.user || got.Header.Get("Remote-User") != w.user {
		t.Errorf("%s: the website is told %q and %q, want %q", name, told, got.Header.Get("Remote-User"), w.user)
	}
	if said := got.Header.Get("Authorization"); said != w.authorization {
		t.Errorf("%s: the website gets Authorization %q, want %q", name, said, w.authorization)
	}
	if got.Header.Get("Upgrade") != "" {
		t.Errorf("%s: the website is asked for another protocol", name)
	}
	if w.user == "" {
		return
	}
	for _, h := range []string{"User-Id", "Client-Id", "Key-Id", "Trust-Level", "Admin", "Moderator", "Scopes"} {
		if got.Header.Get("X-Userkeys-"+h) == "" {
			t.Errorf("%s: the website is not told %s", name, h)
		}
	}
	if got.Header.Get("Cookie") != "" {
		t.Errorf("%s: the website got cookies: %v", name, got.Header)
	}
}
