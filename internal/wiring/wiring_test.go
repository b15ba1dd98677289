package wiring_test

import (
	"net/http"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/store"
)

// The whole path: ask, sign in, approve, open, call, see, revoke, refused.
func TestAUserGivesAnAppAKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		s := testkit.NewSite(t, st)
		s.User("alice")
		app := s.App("notifier", "session_info")
		stranger := s.Visitor()
		to := app.Ask(stranger).Must(t, http.StatusFound).Header.Get("Location")
		if !strings.HasPrefix(to, "/login?redirect=") {
			t.Fatalf("a stranger is sent to %q", to)
		}
		alice := s.Person("alice")
		app.Ask(alice).Must(t, http.StatusOK, "App notifier", "see who you are and your session", "alice").MustNot(t, "onclick=", "<style")
		app.Connect(alice)
		app.Call("GET", "/session/current.json").Must(t, http.StatusOK, `"username":"alice"`)
		app.Call("POST", "/posts.json").Must(t, http.StatusForbidden, `"reason":"missing scope: write"`)
		apps := alice.Get("/my/apps").Must(t, http.StatusOK, "App notifier", "Revoke")
		alice.Submit(apps, "/user-api-key/revoke").Must(t, http.StatusSeeOther)
		if !app.Call("GET", "/session/current.json").IsRefused() {
			t.Error("a revoked key is accepted")
		}
		undo := alice.Get("/my/apps?show=ended").Must(t, http.StatusOK, "Undo")
		alice.Submit(undo, "/user-api-key/undo-revoke").Must(t, http.StatusSeeOther)
		app.Call("GET", "/session/current.json").Must(t, http.StatusOK)
		app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK, `{"success":"OK"}`)
		if !app.Call("GET", "/session/current.json").IsRefused() {
			t.Error("a key that revoked itself is accepted")
		}
	})
}
