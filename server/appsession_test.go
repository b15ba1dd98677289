package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys/site"
)

// signedInByAnApp is a site where every session is one that an app began.
func signedInByAnApp(t *testing.T) *fakeSite {
	t.Helper()
	f := withKeys(t)
	f.identity.app = "Phone <b>"
	return f
}

// TestAppSessionsAreNarrow walks every route: a session that an app began
// reaches those that say so, and no others, whoever its user is.
func TestAppSessionsAreNarrow(t *testing.T) {
	t.Parallel()
	f := newSite(t, withInbox(t))
	f.identity.app = "Phone <b>"
	f.pushes.fill()
	refused := 0
	for _, rt := range f.server.routes() {
		if !rt.door.session {
			continue
		}
		for _, as := range []string{"alice", "root"} {
			done := func() int {
				return len(f.authority.actors) + len(f.authority.open) + len(f.users.done) + len(f.pushes.done)
			}
			before := done()
			method, path := concrete(rt.pattern)
			c := call{method: method, path: strings.Replace(path, "{password}", strings.Repeat("a", 32), 1), as: as, form: formFor(method)}
			c.header = map[string]string{"Accept": "application/json", "Origin": "https://site.example", tokenHeader: "token-of-" + as}
			a := f.do(c)
			if got := strings.Contains(a.text, reasonAppSession); got == rt.door.appSessions {
				t.Errorf("%s as %s: status %d, refused is %v", rt.pattern, as, a.StatusCode, got)
			}
			if rt.door.appSessions {
				continue
			}
			refused++
			if a.must(t, http.StatusForbidden, `"error_type":"invalid_access"`, "Phone"); done() != before {
				t.Errorf("%s as %s: something was done", rt.pattern, as)
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
	f.do(call{path: "/user-api-key/settings?x=1", as: "root"}).must(t, http.StatusForbidden,
		"<h1>Sign in yourself</h1>", "Phone &lt;b&gt;", `href="/user-api-key/login?redirect=%2Fuser-api-key%2Fsettings%3Fx%3D1"`)
	f.do(call{method: http.MethodPost, path: "/user-api-key/undo-revoke", as: "alice", form: map[string]string{"id": "4"}}).must(t, http.StatusForbidden,
		`href="/user-api-key/login?redirect=%2Fmy%2Fapps"`)
	f.do(call{path: "/user-api-key/login?redirect=/my/apps", as: "alice"}).must(t, http.StatusOK, `name="password"`)
	a := f.do(call{path: "/my/apps", as: "root"})
	a.must(t, http.StatusOK, `id="app-session"`, "Sign in yourself")
	a.mustNot(t, `href="/user-api-key/settings"`)
	// What an administrator's app revokes is its user's own.
	f.do(call{method: http.MethodPost, path: "/user-api-key/revoke", as: "root", form: map[string]string{"id": "1"}})
	if n := len(f.authority.actors); n != 1 || f.authority.actors[0].Admin() {
		t.Errorf("it acted as %+v", f.authority.actors)
	}
}

func TestAppsPageShowsAppSessions(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	for i, k := range f.authority.keys {
		if k.ID == 4 {
			f.authority.keys[i].RevokedBy = site.RevokedByApp
		}
	}
	f.authority.signIns = []site.AppSession{
		{KeyID: 4, ApplicationName: "Gone", BeganAt: testNow.Add(-time.Hour)},
		{KeyID: 1, ApplicationName: "Old", BeganAt: testNow.Add(-2 * time.Hour)},
		{KeyID: 99, ApplicationName: "Guest<b>", BeganAt: testNow.Add(-3 * time.Hour)},
		{ApplicationName: "Keyless", BeganAt: testNow.Add(-4 * time.Hour)},
	}
	a := f.do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusOK)
	for id, want := range map[string][]string{
		"key-4": {"Signed in as you", "1 hour ago", "the app itself gave its key back", "Sign it out"},
		"key-1": {"Signed in as you", "2 hours ago"},
	} {
		for _, text := range want {
			if got := inside(t, a.text, id); !strings.Contains(got, text) {
				t.Errorf("%s lacks %q: %s", id, text, got)
			}
		}
	}
	if got := inside(t, a.text, "key-1"); strings.Contains(got, "Sign it out") {
		t.Errorf("revoking a live key signs the app out: %s", got)
	}
	a.must(t, http.StatusOK, "Signed in without a key", "Guest&lt;b&gt;", "Keyless", "Revoke all")
	f.authority.keys = nil
	f.do(call{path: "/my/apps", as: "alice"}).must(t, http.StatusOK, "The apps that are signed in as you are signed out")
}

// TestWhoRevokedAKeyIsSaid: who finds a key revoked learns whether it was they themselves.
func TestWhoRevokedAKeyIsSaid(t *testing.T) {
	t.Parallel()
	for why, want := range map[site.Ending]string{
		site.EndByOwner: "you revoked it", site.EndByApp: "the app itself gave its key back", site.EndByAdmin: "an administrator revoked it",
	} {
		if got := because(why, site.Settings{}, true); got != want {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
}
