package scenario_test

// A real browser, with the keyboard only and without JavaScript: signing in through a provider.

import (
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
)

// TestBrowserSignsInThroughAProvider: from a request for a key to the answer, with the account of elsewhere. The name
// there is taken here, so the page proposes another one, once.
func TestBrowserSignsInThroughAProvider(t *testing.T) {
	b := testkit.Chromium(t)
	b.Expect("the server responded with a status of 409")
	b.NoScripts()
	p, logins := ssoLogins(t)
	s := testkit.NewSite(t, dbtest.SQLite(t), logins)
	s.User("alice")
	p.forum.SignsIn("17", "username", "alice", "name", "Alice of the forum")
	app := s.App("laptop", "read")
	b.Open(s.URL + app.Path())
	b.At("Sign in")
	proper(t, b)
	b.TabTo(`a[href*="/login/forum"]`)
	b.Type("\r")
	b.At("Choose a user name")
	proper(t, b)
	if focused := testkit.Eval[string](b, "document.activeElement.id"); focused != "username" {
		t.Errorf("the keyboard is at %q", focused)
	}
	if proposed := testkit.Eval[string](b, "document.activeElement.value"); proposed != "alice-2" {
		t.Errorf("the page proposes %q", proposed)
	}
	b.Type("\r")
	b.Until(`document.querySelector("h1")?.textContent.includes("Allow an app")`)
	if at := b.Address(); at != s.URL+app.Path() {
		t.Errorf("the sign-in leads to %s", at)
	}
	// The second time nothing is asked.
	p.forum.SignsIn("17", "username", "alice")
	b.Open(s.URL + "/user-api-key/login?again=1&redirect=%2Fmy%2Fapps")
	b.TabTo(`a[href*="/login/forum"]`)
	b.Type("\r")
	b.At("Your apps")
}
