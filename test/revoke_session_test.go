package scenario_test

// Revoking: sessions that an app began with what it got with its key.

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
)

// phone is an app that got a key with a one-time password, and the browser window that it signed in.
type phone struct {
	*testkit.App
	window *testkit.Person
	id     int64 // of the key
}

// grantPhone approves an app that also wants to sign in. It keeps its client_id from one grant to the next.
func (sc *scene) grantPhone(app *testkit.App) string {
	sc.t.Helper()
	to := app.Approve(sc.alice).Must(sc.t, http.StatusFound).Header.Get("Location")
	u, err := url.Parse(to)
	if err != nil {
		sc.t.Fatal(err)
	}
	payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, u.Query().Get("payload"))
	if err != nil {
		sc.t.Fatal(err)
	}
	app.Key = payload.Key
	return openPassword(sc.t, app, to)
}

func (sc *scene) signedInPhone(name string, change ...string) *phone {
	sc.t.Helper()
	app := sc.App(name, "read,one_time_password").With("auth_redirect", "discourse://auth_redirect")
	for i := 0; i+1 < len(change); i += 2 {
		app = app.With(change[i], change[i+1])
	}
	p := &phone{App: app, window: sc.Visitor()}
	password := sc.grantPhone(app)
	p.id = sc.Keys()[0].ID
	p.window.Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusFound)
	p.in(sc, true)
	return p
}

// in fails unless the window is signed in as wanted.
func (p *phone) in(sc *scene, want bool) {
	sc.t.Helper()
	status := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[want]
	p.window.Get("/session/current.json").Must(sc.t, status)
}

// post sends a form of the window with its session's token.
func (p *phone) post(sc *scene, path string, fields ...string) testkit.Answer {
	sc.t.Helper()
	form := url.Values{"authenticity_token": {sc.tokenOf(p.window)}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return p.window.Post(path, form)
}

func (sc *scene) asAlice(path string, id int64) testkit.Answer {
	sc.t.Helper()
	return sc.alice.Post(path, url.Values{"id": {sprint("%d", id)}, "authenticity_token": {sc.token()}})
}

// TestAppSessionEndsWithItsKey checks that a session that an app began with a one-time password ends with the key that
// the password came with. Otherwise the user could not get rid of the app.
func TestAppSessionEndsWithItsKey(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Set("allow_user_api_key_scopes", "read|one_time_password")
		sc.Set("max_user_api_keys_per_user", "100")
		sc.row("the owner revokes it, and undoing that does not sign the app in again", func(sc *scene) {
			p, other := sc.signedInPhone("revoked"), sc.signedInPhone("another")
			sc.asAlice("/user-api-key/revoke", p.id).Must(sc.t, http.StatusSeeOther)
			p.in(sc, false)
			other.in(sc, true)
			sc.asAlice("/user-api-key/undo-revoke", p.id).Must(sc.t, http.StatusSeeOther)
			p.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK)
			p.in(sc, false)
		})
		sc.row("an administrator revokes it", func(sc *scene) {
			p := sc.signedInPhone("stopped")
			if err := sc.Authority.Revoke(sc.t.Context(), p.id, testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			p.in(sc, false)
			if err := sc.Authority.UndoRevoke(sc.t.Context(), p.id, testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			p.in(sc, false)
		})
		sc.row("the app gives its key back and stays, until its user signs it out", func(sc *scene) {
			p := sc.signedInPhone("wrapper")
			p.Call("POST", "/user-api-key/revoke").Must(sc.t, http.StatusOK)
			p.in(sc, true)
			sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, "Still signed in as you", "Sign it out")
			sc.alice.Get("/my/apps?show=ended").Must(sc.t, http.StatusOK, "the app itself gave its key back")
			sc.asAlice("/user-api-key/revoke", p.id).Must(sc.t, http.StatusSeeOther)
			p.in(sc, false)
		})
		sc.row("and so also when the day in which the key could come back is over", func(sc *scene) {
			p := sc.signedInPhone("late wrapper")
			p.Call("POST", "/user-api-key/revoke").Must(sc.t, http.StatusOK)
			sc.Clock.Pass(25 * time.Hour)
			p.in(sc, true)
			sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, "Still signed in as you", "Sign it out")
			sc.asAlice("/user-api-key/revoke", p.id).Must(sc.t, http.StatusSeeOther)
			p.in(sc, false)
		})
		sc.row("a new grant to the same app carries the session over", func(sc *scene) {
			p := sc.signedInPhone("again")
			sc.grantPhone(p.App)
			p.in(sc, true)
			p.id = sc.Keys()[0].ID
			sc.asAlice("/user-api-key/revoke", p.id).Must(sc.t, http.StatusSeeOther)
			p.in(sc, false)
			sc.grantPhone(p.App) // but nothing that has ended
			p.in(sc, false)
		})
		sc.row("the key expires", func(sc *scene) {
			p := sc.signedInPhone("short", "expires_in_seconds", "3600")
			sc.Clock.Pass(59 * time.Minute)
			p.in(sc, true)
			sc.Clock.Pass(2 * time.Minute)
			p.in(sc, false)
			sc.grantPhone(p.App)
			p.in(sc, false)
		})
		sc.row("the clean-up revokes it", func(sc *scene) {
			sc.Set("revoke_user_api_keys_unused_days", "1")
			defer sc.Set("revoke_user_api_keys_unused_days", "180")
			p := sc.signedInPhone("idle")
			sc.Clock.Pass(25 * time.Hour)
			p.in(sc, true)
			if err := sc.Authority.CleanUp(sc.t.Context()); err != nil {
				sc.t.Fatal(err)
			}
			p.in(sc, false)
		})
		sc.row("a password that was not used yet ends with it", func(sc *scene) {
			app := sc.App("late", "read,one_time_password").With("auth_redirect",
				"discourse://auth_redirect").With("expires_in_seconds", "300")
			password, window := sc.grantPhone(app), sc.Visitor()
			sc.Clock.Pass(6 * time.Minute)
			window.Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusOK, "does not sign in")
			window.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		})
		sc.row("a password asked for alone belongs to the app's key", func(sc *scene) {
			app := sc.App("phone", "read").Connect(sc.alice)
			id, window := sc.Keys()[0].ID, sc.Visitor()
			window.Post("/session/otp/"+sc.askOneTime(app, "discourse://auth_redirect"), url.Values{}).Must(sc.t,
				http.StatusFound)
			window.Get("/session/current.json").Must(sc.t, http.StatusOK)
			sc.asAlice("/user-api-key/revoke", id).Must(sc.t, http.StatusSeeOther)
			window.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		})
		sc.row("and does so however the app writes its public key then", func(sc *scene) {
			app := sc.App("phone", "read").Connect(sc.alice)
			id, window := sc.Keys()[0].ID, sc.Visitor()
			app.Params.Set("public_key", "made by phone\n"+app.Params.Get("public_key")+"\n")
			window.Post("/session/otp/"+sc.askOneTime(app, "discourse://auth_redirect"), url.Values{}).Must(sc.t,
				http.StatusFound)
			window.Get("/session/current.json").Must(sc.t, http.StatusOK)
			sc.asAlice("/user-api-key/revoke", id).Must(sc.t, http.StatusSeeOther)
			window.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		})
		sc.row("an app without a key is shown, and revoking everything signs it out", func(sc *scene) {
			app, window := sc.App("phone of nobody", "read"), sc.Visitor()
			window.Post("/session/otp/"+sc.askOneTime(app, "discourse://auth_redirect"), url.Values{}).Must(sc.t,
				http.StatusFound)
			sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, "Still signed in as you", "App phone of nobody")
			sc.alice.Post("/user-api-key/revoke-all", url.Values{"authenticity_token": {sc.token()}}).Must(sc.t,
				http.StatusSeeOther)
			window.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		})
	})
}

// TestAppSessionReadsAndRevokes checks that an app's session cannot approve what its user would have to approve, nor
// undo what its user did.
func TestAppSessionReadsAndRevokes(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.Set("allow_user_api_key_scopes", "read|write|one_time_password")
		kept, gone := sc.App("kept", "read").Connect(sc.alice), sc.App("gone", "read").Connect(sc.alice)
		keptID, goneID := sc.Keys()[1].ID, sc.Keys()[0].ID
		p := sc.signedInPhone("phone")
		sc.asAlice("/user-api-key/revoke", goneID).Must(sc.t, http.StatusSeeOther)
		before := len(sc.Keys())

		refused := func(a testkit.Answer) {
			sc.t.Helper()
			a.Must(sc.t, http.StatusForbidden, "App phone")
			if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				a.Must(sc.t, http.StatusForbidden, "Sign in yourself", "/login?")
			} else {
				a.Must(sc.t, http.StatusForbidden, `"reason":"session of an app"`)
			}
		}
		refused(p.post(sc, "/user-api-key/undo-revoke", "id", sprint("%d", goneID)))
		refused(p.post(sc, "/user-api-key/undo-revoke.json", "id", sprint("%d", goneID)))
		gone.Call("GET", "/session/current.json").Must(sc.t, http.StatusForbidden)
		more := sc.App("more", "read,write")
		refused(more.Ask(p.window))
		r := p.window.Request("POST", "/user-api-key.json", more.Params.Encode())
		r.Header.Set("Content-Type", urlencoded)
		r.Header.Set("X-CSRF-Token", sc.tokenOf(p.window))
		refused(p.window.Do(r))
		refused(p.window.Get("/user-api-key/otp?" + oneTimeFields(more, "discourse://auth_redirect").Encode()))
		refused(p.window.Get("/user-api-key/activate"))
		if n := len(sc.Keys()); n != before {
			sc.t.Errorf("%d keys, %d before", n, before)
		}

		p.window.Get("/my/apps").Must(sc.t, http.StatusOK, "App kept", "signed in by")
		p.post(sc, "/user-api-key/revoke", "id", sprint("%d", keptID)).Must(sc.t, http.StatusSeeOther)
		kept.Call("GET", "/session/current.json").Must(sc.t, http.StatusForbidden)

		// Its user, who signs in there, may do it all.
		p.window.Get("/login?redirect=%2Fmy%2Fapps").Must(sc.t, http.StatusOK, "Password")
		p.window.Login("alice", testkit.Password).Must(sc.t, http.StatusSeeOther)
		p.post(sc, "/user-api-key/undo-revoke", "id", sprint("%d", goneID)).Must(sc.t, http.StatusSeeOther)
		gone.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK)
	})
}

// TestAppSessionOfAnAdministrator checks that an app's session revokes its user's own keys only.
func TestAppSessionOfAnAdministrator(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.Set("allow_user_api_key_scopes", "read|one_time_password")
		sc.App("alice's", "read").Connect(sc.alice)
		id := sc.Keys()[0].ID
		sc.User("root", testkit.Admin)
		sc.alice = sc.Person("root")
		p := sc.signedInPhone("phone")
		for _, path := range []string{
			"/user-api-key/settings", "/user-api-key/admin/api-keys",
			"/user-api-key/admin/users.json",
		} {
			p.window.Get(path).Must(sc.t, http.StatusForbidden, "App phone")
		}
		p.post(sc, "/user-api-key/revoke", "id", sprint("%d", id)).Must(sc.t, http.StatusForbidden)
	})
}
