package server

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// withKeys is a site where alice has keys 1 to 4 and bob has 5.
func withKeys(t *testing.T) *fakeSite {
	f := newSite(t)
	ago := func(days int) time.Time { return testNow.Add(-time.Duration(days) * day) }
	for _, k := range []site.UserAPIKey{
		{UserID: 1, ApplicationName: "Old", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(100), LastUsedAt: ago(40)},
		{UserID: 1, ApplicationName: "Never", Scopes: userkeys.Scopes{"read", "push"}, PushURL: "https://push.example/x", CreatedAt: ago(50), LastUsedAt: ago(50)},
		{UserID: 1, ApplicationName: "Fresh<script>\u202e", Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: ago(5), LastUsedAt: ago(1), ExpiresAt: ago(-7)},
		{UserID: 1, ApplicationName: "Gone", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(3), LastUsedAt: ago(3), RevokedAt: ago(0), RevokedBy: site.RevokedByOwner},
		{UserID: 2, ApplicationName: "Bobs", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(3), LastUsedAt: ago(3)},
	} {
		f.authority.add(k)
	}
	return f
}

func names(text string) []string {
	var out []string
	for _, n := range []string{"Old", "Never", "Fresh", "Gone", "Bobs"} {
		if strings.Contains(text, "<h2><bdi>"+n) {
			out = append(out, n)
		}
	}
	return out
}

func TestAppsPage(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	a := f.do(call{path: "/my/apps", as: "alice"})
	a.must(t, http.StatusOK, "read everything that you can read", "push.example", "not used yet",
		`datetime="2026-11-29T12:00:00Z"`, "29 Nov 2026, 12:00 UTC", "in 7 days", "40 days ago", "not used for 30 days",
		"Fresh&lt;script&gt;", "This site no longer allows", "<code>write</code>", "All 3 apps with a live key")
	a.mustNot(t, "Bobs", "never by itself", "<script>\u202e", "\u202e")
	if diff := cmp.Diff([]string{"Old", "Never", "Fresh", "Gone"}, names(a.text)); diff != "" {
		t.Error(diff)
	}
	if got := inside(t, a.text, "key-4"); !strings.Contains(got, "Undo") || strings.Contains(got, "Revoke Gone") {
		t.Errorf("the revoked key reads %q", got)
	}
}

func TestAppsFilterAndOrder(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	a := f.do(call{path: "/my/apps?unused=30", as: "alice"})
	if diff := cmp.Diff([]string{"Old", "Never"}, names(a.text)); diff != "" {
		t.Errorf("not used for 30 days: %s", diff)
	}
	if !strings.Contains(a.text, `name="unused" value="30"`) {
		t.Error("a form does not remember the filter")
	}
	a = f.do(call{path: "/my/apps?sort=used", as: "alice"})
	if strings.Index(a.text, "<bdi>Never") > strings.Index(a.text, "<bdi>Old") || strings.Index(a.text, "<bdi>Old") > strings.Index(a.text, "<bdi>Fresh") {
		t.Error("the longest unused does not come first")
	}
	f.do(call{path: "/my/apps?unused=90", as: "alice"}).must(t, http.StatusOK, "No app was idle for 90 days")
	for _, odd := range []string{"?unused=-1", "?unused=1e9", "?unused=%27", "?sort=name;drop", "?sort=%00", "?done=<b>"} { // AD3
		a := f.do(call{path: "/my/apps" + odd, as: "alice"})
		a.must(t, http.StatusOK)
		if len(names(a.text)) != 4 {
			t.Errorf("%s shows %v", odd, names(a.text))
		}
	}
}

func TestAppsEmpty(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: "/my/apps", as: "bob"})
	a.must(t, http.StatusOK, "No app has a key yet", "you can revoke it at any time")
	a.mustNot(t, "Revoke all", "Longest unused")
}

func TestAppsNeedsASession(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: "/my/apps?unused=30"})
	a.must(t, http.StatusFound)
	if got := a.Header.Get("Location"); got != "/user-api-key/login?redirect=%2Fmy%2Fapps%3Funused%3D30" {
		t.Errorf("it leads to %q", got)
	}
	f.do(call{path: "/my/apps", header: map[string]string{"Accept": "application/json"}}).must(t, http.StatusForbidden, "not_logged_in")
}

func TestPreferencesAppsLeadsToTheList(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: "/u/alice/preferences/apps", as: "alice"})
	a.must(t, http.StatusFound)
	if a.Header.Get("Location") != "/my/apps" {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
}

func revokeCall(as, id string) call {
	return call{method: http.MethodPost, path: "/user-api-key/revoke", as: as, form: map[string]string{"id": id}}
}

func TestRevokeOnThePage(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	c := revokeCall("alice", "1")
	c.form["unused"], c.form["sort"] = "30", "used"
	a := f.do(c)
	a.must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/my/apps?done=revoked&sort=used&unused=30" {
		t.Errorf("it leads to %q", got)
	}
	if f.authority.keys[0].RevokedAt.IsZero() {
		t.Error("the key lives")
	}
	want := site.Caller{
		User: alice, Session: site.Session{ID: "session-of-alice", CSRF: "token-of-alice"}, Address: "192.0.2.1",
	}
	if diff := cmp.Diff([]site.Caller{want}, f.authority.actors); diff != "" {
		t.Errorf("who did it: %s", diff)
	}
	f.do(call{path: "/my/apps?done=revoked", as: "alice"}).must(t, http.StatusOK, `role="status">Revoked`)
	c = revokeCall("alice", "1")
	c.path = "/user-api-key/undo-revoke"
	f.do(c).must(t, http.StatusSeeOther)
	if !f.authority.keys[0].RevokedAt.IsZero() {
		t.Error("the key is still revoked")
	}
}

func TestRevokeForScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]call{
		"json path":   {path: "/user-api-key/revoke.json", form: map[string]string{"id": "1"}},
		"accept json": {path: "/user-api-key/revoke", form: map[string]string{"id": "1"}, header: map[string]string{"Accept": "application/json"}},
		"xhr, token in the header, JSON body": {
			path: "/user-api-key/revoke", body: `{"id": 1}`, noToken: true,
			header: map[string]string{"X-Requested-With": "XMLHttpRequest", "Content-Type": "application/json", tokenHeader: "token-of-alice"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withKeys(t)
			c.method, c.as = http.MethodPost, "alice"
			f.do(c).must(t, http.StatusOK, `{"success":"OK"}`)
			if f.authority.keys[0].RevokedAt.IsZero() {
				t.Error("the key lives")
			}
		})
	}
}

func TestRV1_OnlyOnesOwn(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	f.do(revokeCall("alice", "5")).must(t, http.StatusForbidden, "not permitted")
	f.do(revokeCall("mod", "5")).must(t, http.StatusForbidden)
	if !f.authority.keys[4].RevokedAt.IsZero() {
		t.Error("bob's key is revoked")
	}
	f.do(revokeCall("root", "5")).must(t, http.StatusSeeOther)
	if f.authority.keys[4].RevokedAt.IsZero() {
		t.Error("an administrator could not revoke it")
	}
}

func TestRV2_IDsAreReadStrictly(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	for _, id := range []string{"", "0", "-1", "1 or 1=1", "9223372036854775808", "1e3", " 1", "1 ", "\u0661", "../1", "01", "+1", "1.0", "0x1", "999"} {
		for _, path := range []string{"/user-api-key/revoke", "/user-api-key/undo-revoke"} {
			c := revokeCall("alice", id)
			c.path = path
			f.do(c).must(t, http.StatusNotFound)
		}
	}
	for _, body := range []string{`{"id":1.0}`, `{"id":1e0}`, `{"id":[1]}`, `{"id":{"a":1}}`, `{"id":true}`, `{"id":"1","id":"2"}`, `{"id":"1"}{}`, `{"Id":"1"}`, `[1]`, `1`, strings.Repeat("[", 10_000)} {
		c := call{
			method: http.MethodPost, path: "/user-api-key/revoke.json", as: "alice", body: body, noToken: true,
			header: map[string]string{"Content-Type": "application/json", tokenHeader: "token-of-alice"},
		}
		if a := f.do(c); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusBadRequest {
			t.Errorf("RQ16-RQ18 %s: status %d", body, a.StatusCode)
		}
	}
	if len(f.authority.actors) != 2 { // 999, twice
		t.Errorf("the authority was asked %d times", len(f.authority.actors))
	}
}

func TestRV3_RevokeIsAPostOfThisSite(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	f.do(call{path: "/user-api-key/revoke?id=1", as: "alice"}).must(t, http.StatusMethodNotAllowed)
	c := revokeCall("alice", "1")
	c.noToken = true
	f.do(c).must(t, http.StatusForbidden, `["BAD CSRF"]`)
	c = revokeCall("alice", "1")
	c.header = map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
	f.do(c).must(t, http.StatusForbidden, `["BAD CSRF"]`)
	if !f.authority.keys[0].RevokedAt.IsZero() {
		t.Error("the key is revoked")
	}
}

func TestCVE_2020_15223_AFailedRevokeIsNoSuccess(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	f.authority.down = errDown // RV6
	a := f.do(revokeCall("alice", "1"))
	a.must(t, http.StatusServiceUnavailable)
	a.mustNot(t, "secret-dsn")
	c := call{method: http.MethodPost, path: "/user-api-key/revoke", key: "key-1"}
	f.do(c).must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
	f.authority.down = nil
	f.do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusOK, "Revoke<span class=\"hidden\"> Old")
}

func TestAKeyRevokesItself(t *testing.T) {
	t.Parallel()
	json := map[string]string{"Content-Type": "application/json"}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, tt := range []struct {
		name   string
		path   string
		body   string
		header map[string]string
		status int
	}{
		{"no body", "/user-api-key/revoke", "", nil, 200},
		{"no body, JSON type", "/user-api-key/revoke", "", json, 200},
		{"empty object", "/user-api-key/revoke", "{}", json, 200},
		{"empty form", "/user-api-key/revoke.json", "", form, 200},
		{"an object called a form", "/user-api-key/revoke", "{}", form, 200},
		{"a form called JSON", "/user-api-key/revoke", "id=1", json, 200},
		{"some text", "/user-api-key/revoke", "hello", map[string]string{"Content-Type": "text/plain"}, 200},
		{"multipart", "/user-api-key/revoke", "--x--", map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, 200},
		{"its own id", "/user-api-key/revoke", "id=1", form, 200},
		{"its own id in JSON", "/user-api-key/revoke", `{"id":"1"}`, json, 200},
		{"cookies and a foreign Origin", "/user-api-key/revoke", "", map[string]string{"Cookie": "session=bob", "Origin": "chrome-extension://abc", "Sec-Fetch-Site": "cross-site"}, 200},
		{"RV1 another id", "/user-api-key/revoke", "id=2", form, 403},
		{"RV1 another id in JSON", "/user-api-key/revoke", `{"id":"2"}`, json, 403},
		{"a number is no text", "/user-api-key/revoke", `{"id":1}`, json, 403},
		{"an empty id", "/user-api-key/revoke", "id=", form, 403},
		{"RQ13 too large", "/user-api-key/revoke", strings.Repeat("x", maxBody+1), form, 413},
		{"unknown key", "/user-api-key/revoke", "", map[string]string{userkeys.KeyHeader: "key-99"}, 403},
		{"RV5 a revoked key", "/user-api-key/revoke", "", map[string]string{userkeys.KeyHeader: "key-4"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := withKeys(t)
			a := f.do(call{method: http.MethodPost, path: tt.path, key: "key-1", body: tt.body, header: tt.header})
			a.must(t, tt.status)
			if got := !f.authority.keys[0].RevokedAt.IsZero(); got != (tt.status == 200) {
				t.Errorf("revoked: %v", got)
			}
			if tt.status == 200 {
				a.must(t, 200, `{"success":"OK"}`)
				byKey := site.Caller{
					User: site.User{ID: 1, Username: "alice", TrustLevel: 2, Active: true}, Key: 1, Address: "192.0.2.1",
				}
				if diff := cmp.Diff([]site.Caller{byKey}, f.authority.actors); diff != "" {
					t.Errorf("who did it: %s", diff)
				}
			}
			for i, k := range f.authority.keys[1:] {
				if !k.RevokedAt.IsZero() && k.ID != 4 {
					t.Errorf("key %d is revoked too", i+2)
				}
			}
		})
	}
}

func TestRV8_NoKeyUndoesARevocation(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	a := f.do(call{method: http.MethodPost, path: "/user-api-key/undo-revoke", key: "key-1", body: "id=4", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}})
	a.must(t, http.StatusForbidden, `"error_type":"invalid_access"`)
	c := revokeCall("bob", "4")
	c.path = "/user-api-key/undo-revoke"
	f.do(c).must(t, http.StatusForbidden)
	if f.authority.keys[3].RevokedAt.IsZero() {
		t.Error("the key is back")
	}
}

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	a := f.do(call{method: http.MethodPost, path: "/user-api-key/revoke-all", as: "alice", form: map[string]string{}})
	a.must(t, http.StatusSeeOther)
	for _, k := range f.authority.keys {
		if revoked := !k.RevokedAt.IsZero(); revoked != (k.UserID == 1) {
			t.Errorf("key %s of user %d: revoked %v", strconv.FormatInt(k.ID, 10), k.UserID, revoked)
		}
	}
}
