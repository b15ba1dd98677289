package scenario_test

// The life of a key between its grant and its end: another client id, renewal, its expiry.

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/site"
)

func (sc *scene) cleanUp() {
	sc.t.Helper()
	if err := sc.Authority.CleanUp(sc.t.Context()); err != nil {
		sc.t.Fatal(err)
	}
}

// TestRebinding sends User-Api-Client-Id: it can move a key, and is never a reason to refuse (W7.4).
func TestRebinding(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		clientOf := func(app *testkit.App) string {
			for _, k := range sc.Keys() {
				if k.Hash == app.Key.Hash() {
					return k.ClientID
				}
			}
			return ""
		}
		app := sc.App("phone", "read").Connect(sc.alice)
		call := func(app *testkit.App, id string) {
			app.Call("GET", "/session/current.json", "User-Api-Client-Id", id).Must(sc.t, http.StatusOK)
		}
		call(app, "")
		call(app, "phone")
		if got := clientOf(app); got != "phone" {
			sc.t.Errorf("moved to %q", got)
		}
		call(app, "fcm-token-1")
		call(app, "fcm-token-1")
		if got := clientOf(app); got != "fcm-token-1" {
			sc.t.Errorf("bound to %q", got)
		}
		sc.row("a known id is found, and the user's other key on it dropped", func(sc *scene) {
			other := sc.App("tablet", "read").Connect(sc.alice)
			call(app, "tablet")
			if clientOf(app) != "tablet" || !other.Call("GET", "/session/current.json").IsRefused() {
				sc.t.Errorf("bound to %q; the other key is still good", clientOf(app))
			}
		})
		sc.row("another user's key on that id stays", func(sc *scene) {
			sc.User("bob")
			theirs := sc.App("shared", "read").Connect(sc.Person("bob"))
			call(app, "shared")
			theirs.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, "bob")
		})
		sc.row("RL3 the limit goes on, whatever the id", func(sc *scene) {
			sc.Clock.Pass(time.Minute)
			sc.Set("max_user_api_reqs_per_minute", "5")
			limited := sc.App("limited", "read").Connect(sc.alice)
			status := 0
			for i := range 6 {
				status = limited.Call("GET", "/session/current.json", "User-Api-Client-Id", sprint("id-%d", i)).StatusCode
			}
			if status != http.StatusTooManyRequests {
				sc.t.Errorf("the sixth request: %d", status)
			}
			sc.Set("max_user_api_reqs_per_minute", "10000")
		})
		sc.row("a registered client takes no key that it was not granted", func(sc *scene) {
			sc.Set("allow_user_api_key_client_scopes", "read")
			sc.register(registration(sc.App("bank", "read"))).Must(sc.t, http.StatusOK)
			before := clientOf(app)
			call(app, "bank")
			if got := clientOf(app); got != before {
				sc.t.Errorf("moved to %q", got)
			}
		})
		sc.row("what is no client id is passed over", func(sc *scene) {
			before := clientOf(app)
			call(app, strings.Repeat("x", 300))
			if got := clientOf(app); got != before {
				sc.t.Errorf("moved to %.20q", got)
			}
		})
	})
}

// TestRenewal renews keys, without a new approval, as long as nothing is widened.
func TestRenewal(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		renew := func(app *testkit.App, body string) testkit.Answer {
			v := sc.Visitor()
			r := v.Request("POST", "/user-api-key/renew.json", body)
			r.Header.Set("User-Api-Key", app.Key.Reveal())
			return v.Do(r)
		}
		open := func(app *testkit.App, a testkit.Answer, nonce string) *testkit.App {
			var answer struct{ Payload string }
			if err := json.Unmarshal([]byte(a.Must(sc.t, http.StatusOK).Body), &answer); err != nil {
				sc.t.Fatal(err)
			}
			p, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, answer.Payload)
			if err != nil || p.Nonce != nonce {
				sc.t.Fatalf("%v: nonce %q", err, p.Nonce)
			}
			next := *app
			next.Key = p.Key
			return &next
		}
		works := func(app *testkit.App, want bool) {
			sc.t.Helper()
			if got := app.Call("GET", "/session/current.json").StatusCode == http.StatusOK; got != want {
				sc.t.Errorf("the key works: %v, want %v", got, want)
			}
		}
		first := sc.App("lasting", "session_info").With("expires_in_seconds", "86400").Connect(sc.alice)
		works(first, true)
		sc.Clock.Pass(20 * time.Hour)
		answer := renew(first, `{"nonce":"fresh"}`).Must(sc.t, http.StatusOK, `"expires_at":"`)
		second := open(first, answer, "fresh")
		works(first, true)
		works(second, true)
		again := open(first, renew(first, ""), "") // the answer was lost: once more with the key before
		works(second, false)
		works(again, true)
		if n := len(sc.Keys()); n != 2 {
			sc.t.Errorf("%d keys", n)
		}
		sc.Clock.Pass(11 * time.Minute)
		works(first, false)
		sc.Clock.Pass(20 * time.Hour)
		works(again, true) // past its first end
		sc.Clock.Pass(4 * time.Hour)
		works(again, false)

		sc.row("a renewal reaches no further than a consent does", func(sc *scene) {
			sc.Set("max_user_api_key_expiry_days", "1")
			app := sc.App("short", "session_info").With("expires_in_seconds", "86400").Connect(sc.alice)
			renew(app, "").Must(sc.t, http.StatusConflict, `"reason":"maximum life reached"`)
			works(app, true)
			sc.Set("max_user_api_key_expiry_days", "365")
		})
		sc.row("revoking ends the key and the one before it", func(sc *scene) {
			old := sc.App("revoked", "session_info").Connect(sc.alice)
			next := open(old, renew(old, ""), "")
			works(old, true)
			next.Call("POST", "/user-api-key/revoke").Must(sc.t, http.StatusOK)
			works(old, false)
			works(next, false)
			if a := renew(old, ""); !a.IsRefused() {
				sc.t.Errorf("a revoked key is renewed: %d", a.StatusCode)
			}
		})
		sc.row("the limits go on over a renewal", func(sc *scene) {
			sc.Set("max_user_api_reqs_per_minute", "5")
			old := sc.App("limited", "session_info").Connect(sc.alice)
			for range 4 {
				works(old, true)
			}
			next := open(old, renew(old, ""), "")
			if got := next.Call("GET", "/session/current.json").StatusCode; got != http.StatusTooManyRequests {
				sc.t.Errorf("status %d", got)
			}
			sc.Set("max_user_api_reqs_per_minute", "10000")
		})
		sc.row("a site that gives no keys renews none", func(sc *scene) {
			app := sc.App("off", "session_info").Connect(sc.alice)
			sc.Set("allow_user_api_keys", "false")
			renew(app, "").Must(sc.t, http.StatusForbidden, "allow_user_api_keys")
			sc.Set("allow_user_api_keys", "true")
		})
		sc.Visitor().Post("/user-api-key/renew", nil).Must(sc.t, http.StatusForbidden)
	})
}

// TestEndedKeysStayVisible checks that keys that expired, or that an administrator revoked, are shown for 90 days.
func TestEndedKeysStayVisible(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.App("lasting", "read").With("expires_in_seconds", "86400").Connect(sc.alice)
		ends := sc.Clock.Now().Add(24 * time.Hour).UTC().Format("2 Jan 2006")
		sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK, "App lasting", "Ends", ends)
		sc.alice.Get("/my/apps?show=ended").Must(sc.t, http.StatusOK).MustNot(sc.t, "App lasting")
		sc.Clock.Pass(25 * time.Hour)
		sc.alice.Get("/my/apps").Must(sc.t, http.StatusOK).MustNot(sc.t, "App lasting")
		sc.alice.Get("/my/apps?show=ended").Must(sc.t, http.StatusOK, "App lasting", "its lifetime was over")
		sc.Set("revoke_user_api_keys_unused_days", "10")
		sc.Clock.Pass(11 * 24 * time.Hour)
		sc.cleanUp()
		sc.alice.Get("/my/apps?show=ended").Must(sc.t, http.StatusOK, "App victim", "it was not used for a long time")
		sc.Clock.Pass(91 * 24 * time.Hour)
		sc.cleanUp()
		sc.Person("alice").Get("/my/apps?show=ended").Must(sc.t, http.StatusOK).MustNot(sc.t, "App lasting", "App victim")
	})
}

// TestAChosenEndStays checks that an app cannot move an end that the user chose.
func TestAChosenEndStays(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		app := sc.App("short", "session_info,read")
		page := app.Ask(sc.alice).Must(sc.t, http.StatusOK)
		sealed, ok := sc.alice.Submit(page, "/user-api-key", "lifetime", "3600").Must(sc.t,
			http.StatusOK).Text("user-api-key-payload")
		if !ok {
			sc.t.Fatal("no payload")
		}
		payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, sealed)
		if err != nil || !payload.ExpiresAt.IsZero() {
			sc.t.Fatalf("%+v, %v", payload, err)
		}
		app.Key = payload.Key
		sc.Clock.Pass(50 * time.Minute)
		app.Call("POST", "/user-api-key/renew.json").Must(sc.t, http.StatusOK)
		sc.Clock.Pass(11 * time.Minute)
		for _, k := range sc.Keys() {
			if k.ClientID == "short" && k.Live(sc.Clock.Now()) {
				sc.t.Errorf("it lives until %v", k.ExpiresAt)
			}
		}
	})
}

// Two changes of a user at once: none undoes the other (a script that writes
// names must not bring back whom an administrator suspends).
func TestConcurrentChangesOfAUser(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		u := sc.User("busy")
		first := true
		_, err := sc.Identity.Update(sc.t.Context(), u.ID, func(u *site.User) {
			if first {
				first = false
				if _, err := sc.Identity.Suspend(sc.t.Context(), u.ID, testkit.Command); err != nil {
					sc.t.Fatal(err)
				}
			}
			u.Name = "Busy"
		}, testkit.Command)
		if err != nil {
			sc.t.Fatal(err)
		}
		got, err := sc.Identity.User(sc.t.Context(), u.ID)
		if err != nil || got.SuspendedAt.IsZero() || got.Name != "Busy" {
			sc.t.Errorf("%+v, %v", got, err)
		}
	})
}
