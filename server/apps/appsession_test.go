package apps_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
	"userkeys/site"
)

// signedInByAnApp is a site where every session is one that an app began.
func signedInByAnApp(t *testing.T) *fakesite.Site {
	t.Helper()
	f := fakesite.NewWithKeys(t)
	f.Identity.App = "Phone <b>"
	return f
}

// TestAppSessionsAreNarrow walks every route: a session that an app began
// reaches those that say so, and no others, whoever its user is.
func TestAppSessionsAreNarrow(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	f.Identity.App = "Phone <b>"
	f.FillOutbox()
	refused := 0
	for _, rt := range f.Door.Routes() {
		if !rt.Lets(door.Browser) {
			continue
		}
		for _, as := range []string{"alice", "root"} {
			done := func() int {
				return len(f.Events()) + f.Count("userkeys_consents") + f.Count("userkeys_deliveries")
			}
			before := done()
			method, path := fakesite.Concrete(rt.Pattern)
			c := fakesite.Call{Method: method, Path: strings.Replace(path, "{password}", strings.Repeat("a", 32), 1), As: as, Form: fakesite.FormFor(method)}
			c.Header = map[string]string{"Accept": "application/json", "Origin": "https://site.example", door.TokenHeader: "token-of-" + as}
			a := f.Do(c)
			if got := strings.Contains(a.Text, "session of an app"); got == rt.Lets(door.AppSession) {
				t.Errorf("%s as %s: status %d, refused is %v", rt.Pattern, as, a.StatusCode, got)
			}
			if rt.Lets(door.AppSession) {
				continue
			}
			refused++
			if a.Must(t, http.StatusForbidden, `"error_type":"invalid_access"`, "Phone"); done() != before {
				t.Errorf("%s as %s: something was done", rt.Pattern, as)
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// TestAppSessionsAreTold: the page of a refusal leads to where the user signs in themselves, and no page
// takes a session that an app began for theirs.
func TestAppSessionsAreTold(t *testing.T) {
	t.Parallel()
	f := signedInByAnApp(t)
	f.Do(fakesite.Call{Path: "/user-api-key/settings?x=1", As: "root"}).Must(t, http.StatusForbidden,
		"<h1>Sign in yourself</h1>", "Phone &lt;b&gt;", `href="/user-api-key/login?redirect=%2Fuser-api-key%2Fsettings%3Fx%3D1"`)
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/undo-revoke", As: "alice", Form: map[string]string{"id": "4"}}).Must(t, http.StatusForbidden,
		`href="/user-api-key/login?redirect=%2Fmy%2Fapps"`)
	f.Do(fakesite.Call{Path: "/user-api-key/login?redirect=/my/apps", As: "alice"}).Must(t, http.StatusOK, `name="password"`)
	a := f.Do(fakesite.Call{Path: "/my/apps", As: "root"})
	a.Must(t, http.StatusOK, `id="app-session"`, "Sign in yourself")
	a.MustNot(t, `href="/user-api-key/settings"`)
	// What an administrator's app revokes is its user's own.
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/revoke", As: "root", Form: map[string]string{"id": "1"}}).Must(t, http.StatusForbidden)
	f.NothingDone("with another user's key")
}

func TestAppsPageShowsAppSessions(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Exec("UPDATE userkeys_keys SET revoked_by = $1 WHERE id = 4", string(site.RevokedByApp))
	for i, s := range []site.AppSession{
		{KeyID: 4, ApplicationName: "Gone", BeganAt: fakesite.Now.Add(-time.Hour)},
		{KeyID: 1, ApplicationName: "Old", BeganAt: fakesite.Now.Add(-2 * time.Hour)},
		{ApplicationName: "Keyless<b>", BeganAt: fakesite.Now.Add(-4 * time.Hour)},
	} {
		f.Exec(`INSERT INTO userkeys_sessions (token_hash, user_id, data, expires_at, via_app, key_id, application_name, began_at)
			VALUES ($1, 1, x'', $2, 1, $3, $4, $5)`, []byte{byte(i)}, fakesite.Now.Add(time.Hour).UnixMicro(), s.KeyID, s.ApplicationName, s.BeganAt.UnixMicro())
	}
	a := f.Do(fakesite.Call{Path: "/my/apps", As: "alice"})
	a.Must(t, http.StatusOK, "Still signed in as you", "Keyless&lt;b&gt;", "Sign it out<span class=\"hidden\">: Gone", "Revoke all")
	a.MustNot(t, "Sign it out<span class=\"hidden\">: Old", "Sign it out<span class=\"hidden\">: Keyless") // revoking a live key signs it out
	if got := testkit.Inside(t, a.Text, "key-1"); !strings.Contains(got, "Signed in as you") || !strings.Contains(got, "2 hours ago") {
		t.Errorf("the app with a live key reads %s", got)
	}
	ended := f.Do(fakesite.Call{Path: "/my/apps?show=ended", As: "alice"}).Must(t, http.StatusOK)
	got := testkit.Inside(t, ended.Text, "key-4")
	for _, text := range []string{"Signed in as you", "1 hour ago", "the app itself gave its key back"} {
		if !strings.Contains(got, text) {
			t.Errorf("the app that gave its key back lacks %q: %s", text, got)
		}
	}
	if strings.Contains(got, "Undo") {
		t.Errorf("a key that its app has forgotten can come back: %s", got)
	}
	f.Exec("DELETE FROM userkeys_keys")
	f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).Must(t, http.StatusOK, "The apps that are signed in as you are signed out")
}
