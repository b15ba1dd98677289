package scenario_test

// A user's own account: password, sessions, where they sign in from.

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
	"userkeys/site"
)

const newPassword = "another battery staple"

// ownAccount is /my/account.json as p reads it.
type ownAccount struct {
	Sessions []struct {
		ID, Device, Address, Login string
		Current                    bool
		App                        string     `json:"application_name"`
		BeganAt                    *time.Time `json:"began_at"`
		SeenAt                     *time.Time `json:"last_seen_at"`
	}
	Identities []struct{ Issuer, Subject, Username string }
}

func accountOf(t *testing.T, p *testkit.Person) ownAccount {
	t.Helper()
	var a ownAccount
	if err := json.Unmarshal([]byte(p.Get("/my/account.json").Must(t, 200).Body), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// at is a signed-in person whose browser says what it is.
func at(sc *scene, name, agent string) *testkit.Person {
	sc.t.Helper()
	p := sc.Visitor()
	r := p.Request("POST", "/user-api-key/login", url.Values{"username": {name}, "password": {testkit.Password}}.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", sc.URL)
	r.Header.Set("User-Agent", agent)
	p.Do(r).Must(sc.t, 303)
	return p
}

const (
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	android = "Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36"
)

func TestAccountSessions(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("dora")
		sc.User("bob")
		home, mobile, bob := at(sc, "dora", firefox), at(sc, "dora", android), at(sc, "bob", firefox)
		sc.Clock.Pass(2 * time.Minute)
		mine := accountOf(t, mobile)
		if len(mine.Sessions) != 2 || !mine.Sessions[0].Current || mine.Sessions[1].Current {
			t.Fatalf("%+v", mine)
		}
		other := mine.Sessions[1]
		if other.Device != "Firefox on Windows" || other.Address != "127.0.0.1" || other.BeganAt == nil || other.SeenAt == nil {
			t.Errorf("%+v", other)
		}
		page := mobile.Get("/my/account").Must(t, 200, "Firefox on Windows", "127.0.0.1", "this one", `name="id" value="`+other.ID+`"`)
		for _, c := range append(home.HTTP.Jar.Cookies(siteURL(t, sc)), mobile.HTTP.Jar.Cookies(siteURL(t, sc))...) {
			page.MustNot(t, c.Value)
		}
		// Nobody ends the session of somebody else, nor by a guess; who asks leaves by signing out.
		theirs := accountOf(t, bob).Sessions[0].ID
		for _, id := range []string{theirs, "", "x", strings.Repeat("0", 32)} {
			mobile.Submit(page, "/my/account/end-session", "id", id).MustNot(t, "done=session")
		}
		mobile.Submit(page, "/my/account/end-session", "id", mine.Sessions[0].ID).Must(t, 400)
		if whoIs(bob) != "bob" || whoIs(home) != "dora" || whoIs(mobile) != "dora" {
			t.Fatal("a session ended that was not to")
		}
		mobile.Follow(mobile.Submit(page, "/my/account/end-session")).Must(t, 200, "The session has ended.")
		if whoIs(home) != "" || whoIs(mobile) != "dora" {
			t.Error("the session goes on, or another ended")
		}
		home, third := at(sc, "dora", "curl/8.14.1"), at(sc, "dora", "")
		page = mobile.Get("/my/account").Must(t, 200, "curl")
		mobile.Follow(mobile.Submit(page, "/my/account/end-other-sessions")).Must(t, 200, "All your other sessions have ended.").
			MustNot(t, "end-session")
		if whoIs(home) != "" || whoIs(third) != "" || whoIs(mobile) != "dora" || whoIs(bob) != "bob" {
			t.Error("not the others alone ended")
		}
		sc.Visitor().Get("/my/account").Must(t, 302)
		sc.Visitor().Get("/my/account.json").Must(t, 403)
		app := sc.App("laptop", "read")
		app.Connect(mobile)
		app.Call("GET", "/my/account.json").Must(t, 403)
	})
}

func siteURL(t *testing.T, sc *scene) *url.URL {
	t.Helper()
	u, err := url.Parse(sc.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAccountPassword(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("bob")
		alice, elsewhere, bob := sc.Person("alice"), sc.Person("alice"), sc.Person("bob")
		page := alice.Get("/my/account").Must(t, 200, `autocomplete="current-password"`)
		change := func(p *testkit.Person, old, text, again string) testkit.Answer {
			return p.Submit(page, "/my/account/password", "old", old, "new", text, "new_again", again)
		}
		change(alice, testkit.Password, newPassword, "another").Must(t, 400, "The two new passwords differ.")
		change(alice, testkit.Password, "short", "short").Must(t, 400, "too short")
		change(alice, testkit.Password, "password123", "password123").Must(t, 400, "anybody would guess")
		change(alice, testkit.Password, testkit.Password, testkit.Password).Must(t, 400, "The new password is the old one.")
		change(alice, "wrong", newPassword, newPassword).Must(t, 403, "The old password is wrong.")
		change(bob, testkit.Password, newPassword, newPassword).Must(t, 403, "BAD CSRF")
		if whoIs(elsewhere) != "alice" {
			t.Fatal("a refusal ended a session")
		}
		alice.Follow(change(alice, testkit.Password, newPassword, newPassword)).Must(t, 200, "Your password is changed")
		if whoIs(elsewhere) != "" || whoIs(alice) != "alice" {
			t.Error("the other session goes on, or this one ended")
		}
		sc.Visitor().Login("alice", testkit.Password).Must(t, 403)
		sc.Visitor().Login("alice", newPassword).Must(t, 303)
		sc.Visitor().Login("bob", testkit.Password).Must(t, 303)
		events, err := sc.Store.AuditEvents(t.Context(), site.AuditFilter{Action: "password changed"})
		if err != nil || len(events) != 1 || events[0].Caller.User.ID != events[0].UserID || events[0].Caller.Address != "127.0.0.1" {
			t.Errorf("the audit log has %+v, %v", events, err)
		}
	})
}

// TestLG4_TheOldPasswordIsGuessedNoOftenerThanAtLogin: a browser left open is no way to find a password out.
func TestLG4_TheOldPasswordIsGuessedNoOftenerThanAtLogin(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		alice := sc.Person("alice")
		page := alice.Get("/my/account")
		refused := 0
		for range 10 {
			a := alice.Submit(page, "/my/account/password", "old", "a guess", "new", newPassword, "new_again", newPassword)
			if a.StatusCode == 429 {
				a.Must(t, 429, "Too many wrong passwords")
				refused++
			}
		}
		if refused < 4 {
			t.Errorf("%d of 10 guesses were refused", refused)
		}
		alice.Submit(page, "/my/account/password", "old", testkit.Password, "new", newPassword, "new_again", newPassword).Must(t, 429)
		sc.Visitor().Login("alice", testkit.Password).Must(t, 429) // they count together
	})
}

func TestAccountFromOutside(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("00u-17", "preferred_username", "carol")
		carol := sc.Visitor()
		goThrough(carol, "id", "/my/apps").Must(t, 303)
		carol.Get("/my/account").Must(t, 200, "Where you sign in from", "Example ID", "carol", "Through").MustNot(t, "Old password")
		a := accountOf(t, carol)
		if len(a.Identities) != 1 || a.Identities[0].Subject != "00u-17" || a.Identities[0].Username != "carol" || a.Sessions[0].Login != "id" || a.Sessions[0].BeganAt == nil {
			t.Errorf("%+v", a)
		}
		carol.Post("/my/account/password", url.Values{"authenticity_token": {sc.tokenOf(carol)}, "old": {""}, "new": {newPassword}}).
			Must(t, 400, "This account has no password.")
	})
	p, logins := ssoLogins(t)
	s := testkit.NewSite(t, dbtest.SQLite(t), logins, func(cfg *wiring.Config) { cfg.NoPasswords = true })
	p.oidc.SignsIn("00u-17", "preferred_username", "carol")
	carol := s.Visitor()
	goThrough(carol, "id", "/my/apps").Must(t, 303)
	carol.Get("/my/account").Must(t, 200, "Example ID").MustNot(t, "Old password")
	for _, path := range []string{"/my/account/password", "/my/account/password.json"} {
		carol.Post(path, url.Values{"old": {"x"}, "new": {newPassword}}).Must(t, 404)
	}
}
