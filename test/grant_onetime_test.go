package scenario_test

// One-time passwords: asking for them, signing in with them, and programs that sign in. Group OT of docs/attacks.md.

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
)

// oneTimeFields is a request for a one-time password alone.
func oneTimeFields(app *testkit.App, redirect string) url.Values {
	return url.Values{
		"application_name": app.Params["application_name"], "public_key": app.Params["public_key"], "auth_redirect": {redirect},
	}
}

// openPassword decrypts the one-time password in an address that the browser was sent to.
func openPassword(t *testing.T, app *testkit.App, location string) string {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(location, "oneTimePassword="); n != 1 {
		t.Fatalf("%d one-time passwords in %q", n, location)
	}
	password, err := userkeys.OpenOneTimePassword(app.Private, userkeys.PaddingPKCS1, u.Query().Get("oneTimePassword"))
	if err != nil {
		t.Fatal(err)
	}
	return password
}

// askOneTime has alice approve a one-time password.
func (sc *scene) askOneTime(app *testkit.App, redirect string) string {
	sc.t.Helper()
	page := sc.alice.Get("/user-api-key/otp?"+oneTimeFields(app, redirect).Encode()).Must(sc.t, http.StatusOK,
		"sign in as you", "App phone")
	return openPassword(sc.t, app, sc.alice.Submit(page, "/user-api-key/otp").Must(sc.t,
		http.StatusFound).Header.Get("Location"))
}

// TestOneTimePasswordAttacks tries the attacks OT on one-time passwords.
func TestOneTimePasswordAttacks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		app := sc.App("phone", "read")
		const redirect = "discourse://auth_redirect"
		address := "/user-api-key/otp?" + oneTimeFields(app, redirect).Encode()
		sc.row("OT8 off unless the site's scopes have it", func(sc *scene) {
			sc.alice.Get(address).Must(sc.t, http.StatusForbidden, "No key for this app", "This site gives no one-time passwords.")
		})
		sc.Set("allow_user_api_key_scopes", "read|write|one_time_password")
		sc.Set("allowed_user_api_auth_redirects", "discourse://auth_redirect|https://app.example/cb*")
		sc.row("OT2 looking makes nothing, and a stranger signs in first", func(sc *scene) {
			sc.Visitor().Get(address).Must(sc.t, http.StatusFound)
			sc.alice.Get(address).Must(sc.t, http.StatusOK, "id=\"approve\"").MustNot(sc.t, "oneTimePassword")
			sc.refusedOnce(gone, func(sc *scene) testkit.Answer {
				return sc.alice.Post("/user-api-key/otp", url.Values{"id": {"x"}, "authenticity_token": {sc.token()}})
			})
		})
		for name, change := range map[string]struct {
			field, value string
			status       int
		}{
			"W10.1 without a public key":         {"public_key", "", 400},
			"W10.1 without a redirect":           {"auth_redirect", "", 400},
			"W10.1 without a name":               {"application_name", "", 400},
			"W10.1 a key that is none":           {"public_key", "x", 400},
			"W10.1 a padding that is none":       {"padding", "x", 400},
			"OT16 a redirect that is not listed": {"auth_redirect", "https://evil.example/", 403},
			"W10.1 a private key as public key": {
				"public_key",
				"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", 400,
			},
		} {
			sc.row(name, func(sc *scene) {
				f := oneTimeFields(app, redirect)
				f.Set(change.field, change.value)
				sc.alice.Get("/user-api-key/otp?"+f.Encode()).Must(sc.t, change.status).MustNot(sc.t, "id=\"approve\"")
			})
		}
		sc.row("OT3 OT4 looking consumes nothing, using does", func(sc *scene) {
			password := sc.askOneTime(app, redirect)
			for range 2 {
				sc.Visitor().Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "signing-in-as", "alice")
			}
			sc.alice.Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "signing-in-as")
			window := sc.Visitor()
			page := window.Get("/session/otp/" + password)
			window.Submit(page, "/session/otp/"+password).Must(sc.t, http.StatusFound)
			window.Get("/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
			again := sc.Visitor()
			again.Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusOK, "does not sign in")
			again.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		})
		sc.row("OT6 OT7 who is signed in as somebody else is told", func(sc *scene) {
			sc.User("bob")
			bob := sc.Person("bob")
			password := sc.askOneTime(app, redirect)
			page := bob.Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "id=\"instead\"", "bob", "alice")
			r := bob.Request("POST", "/session/otp/"+password, "")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			bob.Do(r).Must(sc.t, http.StatusForbidden, "BAD CSRF")
			bob.Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusForbidden, "BAD CSRF")
			bob.Get("/session/current.json").Must(sc.t, http.StatusOK, `"username":"bob"`)
			bob.Submit(page, "/session/otp/"+password).Must(sc.t, http.StatusFound)
			bob.Get("/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
		})
		sc.row("OT10 what cannot be one is not looked up", func(sc *scene) {
			before := sc.Store.Statements()
			for _, p := range []string{
				strings.Repeat("A", 32), strings.Repeat("a", 31), strings.Repeat("a", 33), "%2e%2e",
				strings.Repeat("a", 9000),
			} {
				if a := sc.Visitor().Get("/session/otp/" + p); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusBadRequest {
					sc.t.Errorf("%.40q: status %d", p, a.StatusCode)
				}
			}
			if n := sc.Store.Statements() - before; n > 8 { // the background reads the epoch
				sc.t.Errorf("%d statements", n)
			}
		})
		sc.row("OT12 a query that is there is kept", func(sc *scene) {
			page := sc.alice.Get("/user-api-key/otp?" + oneTimeFields(app, "https://app.example/cb?x=1").Encode())
			to := sc.alice.Submit(page, "/user-api-key/otp").Must(sc.t, http.StatusFound).Header.Get("Location")
			if !strings.HasPrefix(to, "https://app.example/cb?x=1&oneTimePassword=") {
				sc.t.Errorf("sent to %q", to)
			}
		})
		sc.row("OT15 the newest counts", func(sc *scene) {
			older, newer := sc.askOneTime(app, redirect), sc.askOneTime(app, redirect)
			sc.Visitor().Get("/session/otp/"+older).Must(sc.t, http.StatusOK, "does not sign in")
			sc.Visitor().Get("/session/otp/"+newer).Must(sc.t, http.StatusOK, "signing-in-as")
		})
		sc.row("OT11 LK2 neither the log nor a referrer has it", func(sc *scene) {
			sc.Clock.Pass(time.Minute)
			password := sc.askOneTime(app, redirect)
			a := sc.Visitor().Get("/session/otp/" + password)
			if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
				sc.t.Errorf("%v", a.Header)
			}
			if strings.Contains(sc.Log.String(), password) {
				sc.t.Error("the log has a one-time password")
			}
		})
		sc.row("W10.2 it is good for ten minutes", func(sc *scene) {
			password := sc.askOneTime(app, redirect)
			sc.Clock.Pass(601 * time.Second)
			sc.Visitor().Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusOK, "does not sign in")
		})
		sc.row("RV9 revoking everything takes it back", func(sc *scene) {
			sc.Clock.Pass(time.Minute)
			password := sc.askOneTime(app, redirect)
			sc.alice.Post("/user-api-key/revoke-all", url.Values{"authenticity_token": {sc.token()}}).Must(sc.t,
				http.StatusSeeOther)
			sc.Visitor().Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "does not sign in")
		})
		sc.row("OT1 a key makes none unless the site says so", func(sc *scene) {
			writer := sc.App("writer", "write").Connect(sc.alice)
			post := func() testkit.Answer {
				v := sc.Visitor()
				r := v.Request("POST", "/user-api-key/otp", oneTimeFields(app, redirect).Encode())
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("User-Api-Key", writer.Key.Reveal())
				return v.Do(r)
			}
			post().Must(sc.t, http.StatusForbidden, "allow_user_api_key_otp_by_key")
			sc.Set("allow_user_api_key_otp_by_key", "true")
			to := post().Must(sc.t, http.StatusFound).Header.Get("Location")
			openPassword(sc.t, app, to)
			sc.Set("allow_user_api_key_otp_by_key", "false")
		})
		sc.row("OT9 guesses are counted", func(sc *scene) {
			sc.Clock.Pass(time.Minute)
			status := 0
			for range 11 {
				status = sc.Visitor().Get("/session/otp/" + strings.Repeat("a", 32)).StatusCode
			}
			if status != http.StatusTooManyRequests {
				sc.t.Errorf("the eleventh guess: status %d", status)
			}
			sc.Clock.Pass(time.Minute)
		})
		sc.row("W10.2 a grant with the scope brings one", func(sc *scene) {
			both := sc.App("both", "read,one_time_password").With("auth_redirect", redirect)
			page := both.Ask(sc.alice).Must(sc.t, http.StatusOK, "id=\"sign-in-warning\"")
			to := sc.alice.Submit(page, "/user-api-key").Must(sc.t, http.StatusFound).Header.Get("Location")
			if !strings.HasPrefix(to, redirect+"?payload=") {
				sc.t.Errorf("sent to %q", to)
			}
			sc.Visitor().Get("/session/otp/"+openPassword(sc.t, both, to)).Must(sc.t, http.StatusOK, "signing-in-as")
		})
	})
}

// TestOneTimePasswordBounce opens any page with the parameters with which the official app asks for one-time passwords (W10.4).
func TestOneTimePasswordBounce(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		app := sc.App("phone", "read")
		ask := func(key, to string) string {
			return "/any/page?" + url.Values{"user_api_public_key": {key}, "auth_redirect": {to}}.Encode()
		}
		good := app.Params.Get("public_key")
		sc.Visitor().Get(ask(good, "discourse://auth_redirect")).Must(sc.t, http.StatusNotFound)
		sc.Set("allow_user_api_key_scopes", "read|one_time_password")
		if to := sc.Visitor().Get(ask(good, "discourse://auth_redirect")).Must(sc.t,
			http.StatusFound).Header.Get("Location"); to != "discourse://auth_redirect?otp=true" {
			sc.t.Errorf("sent to %q", to)
		}
		sc.row("OT16 a redirect that is not listed leads nowhere", func(sc *scene) {
			a := sc.Visitor().Get(ask(good, "https://evil.example/")).Must(sc.t, http.StatusOK, "does not send answers")
			if a.Header.Get("Location") != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
				sc.t.Errorf("%v", a.Header)
			}
			sc.Visitor().Get(ask("x", "discourse://auth_redirect")).Must(sc.t, http.StatusOK, "public_key")
		})
		sc.alice.Get(ask(good, "discourse://auth_redirect")).Must(sc.t, http.StatusNotFound)
	})
}

// TestSessionsForPrograms signs in as a program does, and uses the token that it got before.
func TestSessionsForPrograms(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		p := sc.Visitor()
		early := strings.Split(p.Get("/session/csrf.json").Must(sc.t, http.StatusOK, `{"csrf":"`).Body, `"`)[3]
		login := func(password string) testkit.Answer {
			r := p.Request("POST", "/session.json", url.Values{"login": {"alice"}, "password": {password}}.Encode())
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-CSRF-Token", early)
			return p.Do(r)
		}
		login("wrong").Must(sc.t, http.StatusOK, `"error":"`, `"errors":["`)
		login(testkit.Password).Must(sc.t, http.StatusOK, `"user":{"id":`, `"username":"alice"`)
		out := func(name, token string) testkit.Answer {
			r := p.Request("DELETE", "/session/"+name, "")
			r.Header.Set("X-CSRF-Token", token)
			return p.Do(r)
		}
		out("alice", "x").Must(sc.t, http.StatusForbidden, "BAD CSRF")
		out("bob.json", early).Must(sc.t, http.StatusForbidden, `"error_type":"invalid_access"`)
		// Another browser's early token is nothing here.
		other := strings.Split(sc.Visitor().Get("/session/csrf").Body, `"`)[3]
		out("alice", other).Must(sc.t, http.StatusForbidden, "BAD CSRF")
		out("alice", early).Must(sc.t, http.StatusOK, `{"success":"OK"}`)
		p.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
	})
}

// TestRevokingEndsSignIns checks that a one-time password ends with the key that it came with, and that sessions begun
// with one end when everything is revoked (RV9).
func TestRevokingEndsSignIns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Set("allow_user_api_key_scopes", "read|one_time_password")
		grant := func() (*testkit.App, string) {
			app := sc.App("phone", "read,one_time_password").With("auth_redirect", "discourse://auth_redirect")
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
			return app, openPassword(sc.t, app, to)
		}
		app, password := grant()
		app.Call("POST", "/user-api-key/revoke").Must(sc.t, http.StatusOK) // chat wrappers do, and sign in then
		sc.Visitor().Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "signing-in-as")

		_, password = grant()
		sc.alice.Post("/user-api-key/revoke", url.Values{
			"id":                 {sprint("%d", sc.Keys()[0].ID)},
			"authenticity_token": {sc.token()},
		}).Must(sc.t, http.StatusSeeOther)
		sc.Visitor().Get("/session/otp/"+password).Must(sc.t, http.StatusOK, "does not sign in")

		_, password = grant()
		window := sc.Visitor()
		window.Post("/session/otp/"+password, url.Values{}).Must(sc.t, http.StatusFound)
		window.Get("/session/current.json").Must(sc.t, http.StatusOK, "alice")
		sc.alice.Post("/user-api-key/revoke-all", url.Values{"authenticity_token": {sc.token()}}).Must(sc.t,
			http.StatusSeeOther)
		window.Get("/session/current.json").Must(sc.t, http.StatusNotFound)
		sc.alice.Get("/session/current.json").Must(sc.t, http.StatusOK, "alice")
	})
}
