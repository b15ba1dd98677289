package apps_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

func names(text string) []string {
	var out []string
	for _, n := range []string{"Old", "Never", "Fresh", "Gone", "Bobs"} {
		if strings.Contains(text, `<h2 class="app-head"><bdi>`+n) {
			out = append(out, n)
		}
	}
	return out
}

func TestAppsPage(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	a := f.Do(fakesite.Call{Path: "/my/apps", As: "alice"})
	a.Must(t, http.StatusOK, "read everything that you can read", "push.example", "not used yet",
		"Ends 29 Nov 2026.", "in 7 days", "used 40 days ago", "Not used for 30 days",
		"Fresh&lt;script&gt;", "This site no longer allows", "<code>write</code>", "All 3 apps with a live key")
	a.MustNot(t, "Bobs", "never by itself", "<script>\u202e", "\u202e")
	if diff := cmp.Diff([]string{"Old", "Never", "Fresh"}, names(a.Text)); diff != "" {
		t.Error(diff)
	}
	a.MustNot(t, `id="key-4"`, `type="search"`, "Previous page", "Next page")
	for id, want := range map[string]string{
		"key-1": "If unused: ends 11 Apr 2027.", "key-2": "not used yet", "key-3": "reads everything",
	} {
		if got := testkit.Inside(t, a.Text, id); !strings.Contains(got, want) {
			t.Errorf("%s reads %q, without %q", id, got, want)
		}
	}
}

func TestAppsFilterAndOrder(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	a := f.Do(fakesite.Call{Path: "/my/apps?unused=30", As: "alice"})
	if diff := cmp.Diff([]string{"Old", "Never"}, names(a.Text)); diff != "" {
		t.Errorf("not used for 30 days: %s", diff)
	}
	if !strings.Contains(a.Text, `name="unused" value="30"`) {
		t.Error("a form does not remember the filter")
	}
	a = f.Do(fakesite.Call{Path: "/my/apps?sort=used", As: "alice"})
	if strings.Index(a.Text, "<bdi>Never") > strings.Index(a.Text, "<bdi>Old") || strings.Index(a.Text, "<bdi>Old") > strings.Index(a.Text, "<bdi>Fresh") {
		t.Error("the longest unused does not come first")
	}
	f.Do(fakesite.Call{Path: "/my/apps?unused=90", As: "alice"}).Must(t, http.StatusOK, "No app was idle for 90 days")
	for _, odd := range []string{"?unused=-1", "?unused=1e9", "?unused=%27", "?sort=name;drop", "?sort=%00", "?done=<b>", "?page=0", "?page=-1", "?page=99999999999", "?page=7", "?show=all", "?done=revoked&key=4x", "?done=revoked&key=5"} { // AD3
		a := f.Do(fakesite.Call{Path: "/my/apps" + odd, As: "alice"})
		a.Must(t, http.StatusOK)
		if len(names(a.Text)) != 3 {
			t.Errorf("%s shows %v", odd, names(a.Text))
		}
	}
}

func TestAppsEmpty(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: "/my/apps", As: "bob"})
	a.Must(t, http.StatusOK, "No app has a key yet", "you can revoke it at any time")
	a.MustNot(t, "Revoke all", "Longest unused")
}

func TestAppsNeedsASession(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: "/my/apps?unused=30"})
	a.Must(t, http.StatusFound)
	if got := a.Header.Get("Location"); got != "/user-api-key/login?redirect=%2Fmy%2Fapps%3Funused%3D30" {
		t.Errorf("it leads to %q", got)
	}
	f.Do(fakesite.Call{Path: "/my/apps", Header: map[string]string{"Accept": "application/json"}}).Must(t, http.StatusForbidden, "not_logged_in")
}

func TestPreferencesAppsLeadsToTheList(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: "/u/alice/preferences/apps", As: "alice"})
	a.Must(t, http.StatusFound)
	if a.Header.Get("Location") != "/my/apps" {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
}

// revokedBy holds that alice's key was revoked, and nothing else done, by her or in her name.
func revokedBy(t *testing.T, f *fakesite.Site, key int64, as site.CallerKind) {
	t.Helper()
	done := f.Events()
	if len(done) != 1 || done[0].Action != "key revoked" || done[0].KeyID != key {
		t.Fatalf("done: %q", f.Done())
	}
	want := site.Caller{User: site.User{ID: fakesite.Alice.ID}, As: as, Address: "192.0.2.1"}
	if diff := cmp.Diff(want, done[0].Caller); diff != "" {
		t.Errorf("who did it: %s", diff)
	}
}

func revokeCall(as, id string) fakesite.Call {
	return fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke", As: as, Form: map[string]string{"id": id}}
}

func TestRevokeOnThePage(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	c := revokeCall("alice", "1")
	c.Form["unused"], c.Form["sort"] = "30", "used"
	a := f.Do(c)
	a.Must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/my/apps?done=revoked&key=1&sort=used&unused=30" {
		t.Errorf("it leads to %q", got)
	}
	if !f.Revoked(1) {
		t.Error("the key lives")
	}
	revokedBy(t, f, 1, site.CallerUser)
	page := f.Do(fakesite.Call{Path: a.Header.Get("Location"), As: "alice"}).Must(t, http.StatusOK, `role="status">Revoked`)
	if got := testkit.Inside(t, page.Text, "undo"); !strings.Contains(got, "Undo the revocation of Old") {
		t.Errorf("the notice offers %q", got)
	}
	c = revokeCall("alice", "1")
	c.Path = "/user-api-key/undo-revoke"
	f.Do(c).Must(t, http.StatusSeeOther)
	if f.Revoked(1) {
		t.Error("the key is still revoked")
	}
}

func TestRevokeForScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]fakesite.Call{
		"json path":   {Path: "/user-api-key/revoke.json", Form: map[string]string{"id": "1"}},
		"accept json": {Path: "/user-api-key/revoke", Form: map[string]string{"id": "1"}, Header: map[string]string{"Accept": "application/json"}},
		"xhr, token in the header, JSON body": {
			Path: "/user-api-key/revoke", Body: `{"id": 1}`, NoToken: true,
			Header: map[string]string{"X-Requested-With": "XMLHttpRequest", "Content-Type": "application/json", door.TokenHeader: "token-of-alice"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.NewWithKeys(t)
			c.Method, c.As = http.MethodPost, "alice"
			f.Do(c).Must(t, http.StatusOK, `{"success":"OK"}`)
			if !f.Revoked(1) {
				t.Error("the key lives")
			}
		})
	}
}

func TestRV1_OnlyOnesOwn(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Do(revokeCall("alice", "5")).Must(t, http.StatusForbidden, "not permitted")
	f.Do(revokeCall("mod", "5")).Must(t, http.StatusForbidden)
	if f.Revoked(5) {
		t.Error("bob's key is revoked")
	}
	f.Do(revokeCall("root", "5")).Must(t, http.StatusSeeOther)
	if !f.Revoked(5) {
		t.Error("an administrator could not revoke it")
	}
}

func TestRV2_IDsAreReadStrictly(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	for _, id := range []string{"", "0", "-1", "1 or 1=1", "9223372036854775808", "1e3", " 1", "1 ", "\u0661", "../1", "01", "+1", "1.0", "0x1", "999"} {
		for _, path := range []string{"/user-api-key/revoke", "/user-api-key/undo-revoke"} {
			c := revokeCall("alice", id)
			c.Path = path
			f.Do(c).Must(t, http.StatusNotFound)
		}
	}
	for _, body := range []string{`{"id":1.0}`, `{"id":1e0}`, `{"id":[1]}`, `{"id":{"a":1}}`, `{"id":true}`, `{"id":"1","id":"2"}`, `{"id":"1"}{}`, `{"Id":"1"}`, `[1]`, `1`, strings.Repeat("[", 10_000)} {
		c := fakesite.Call{
			Method: http.MethodPost, Path: "/user-api-key/revoke.json", As: "alice", Body: body, NoToken: true,
			Header: map[string]string{"Content-Type": "application/json", door.TokenHeader: "token-of-alice"},
		}
		if a := f.Do(c); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusBadRequest {
			t.Errorf("RQ16-RQ18 %s: status %d", body, a.StatusCode)
		}
	}
	f.NothingDone("with what is no id")
}

func TestRV3_RevokeIsAPostOfThisSite(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Do(fakesite.Call{Path: "/user-api-key/revoke?id=1", As: "alice"}).Must(t, http.StatusMethodNotAllowed)
	c := revokeCall("alice", "1")
	c.NoToken = true
	f.Do(c).Must(t, http.StatusForbidden, `["BAD CSRF"]`)
	c = revokeCall("alice", "1")
	c.Header = map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
	f.Do(c).Must(t, http.StatusForbidden, `["BAD CSRF"]`)
	if f.Revoked(1) {
		t.Error("the key is revoked")
	}
}

func TestCVE_2020_15223_AFailedRevokeIsNoSuccess(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Gone() // RV6
	a := f.Do(revokeCall("alice", "1"))
	a.Must(t, http.StatusServiceUnavailable)
	a.MustNot(t, "database is closed")
	c := fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke", Key: "key-1"}
	f.Do(c).Must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
	if f.Revoked(1) {
		t.Error("the key is revoked")
	}
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
		{"RQ13 too large", "/user-api-key/revoke", strings.Repeat("x", input.MaxBody+1), form, 413},
		{"unknown key", "/user-api-key/revoke", "", map[string]string{userkeys.KeyHeader: "key-99"}, 403},
		{"RV5 a revoked key", "/user-api-key/revoke", "", map[string]string{userkeys.KeyHeader: "key-4"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.NewWithKeys(t)
			a := f.Do(fakesite.Call{Method: http.MethodPost, Path: tt.path, Key: "key-1", Body: tt.body, Header: tt.header})
			a.Must(t, tt.status)
			if got := f.Revoked(1); got != (tt.status == 200) {
				t.Errorf("revoked: %v", got)
			}
			if tt.status == 200 {
				a.Must(t, 200, `{"success":"OK"}`)
				revokedBy(t, f, 1, site.CallerKey)
			}
			for _, other := range []int64{2, 3, 5} {
				if f.Revoked(other) {
					t.Errorf("key %d is revoked too", other)
				}
			}
		})
	}
}

func TestRV8_NoKeyUndoesARevocation(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/undo-revoke", Key: "key-1", Body: "id=4", Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}})
	a.Must(t, http.StatusForbidden, `"error_type":"invalid_access"`)
	c := revokeCall("bob", "4")
	c.Path = "/user-api-key/undo-revoke"
	f.Do(c).Must(t, http.StatusForbidden)
	if !f.Revoked(4) {
		t.Error("the key is back")
	}
}

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke-all", As: "alice", Form: map[string]string{}})
	a.Must(t, http.StatusSeeOther)
	for id := range int64(5) {
		k := f.UserKey(id + 1)
		if revoked := !k.RevokedAt.IsZero(); revoked != (k.UserID == 1) {
			t.Errorf("key %s of user %d: revoked %v", strconv.FormatInt(k.ID, 10), k.UserID, revoked)
		}
	}
}
