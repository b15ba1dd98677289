package scenario_test

// Signing in through providers: what ends when an owner is gone, and providers that do not answer.

import (
	"net"
	"net/http"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// TestAPauseEndsWhatWasMade: with the keys of an owner who is gone, the sessions that their apps began and the admin API
// keys that are bound to them stop working, and nothing new can be made.
func TestAPauseEndsWhatWasMade(t *testing.T) {
	t.Parallel()
	withWays(t, func(sc *scene, p ways) {
		p.oidc.SignsIn("1", "preferred_username", "carol", "groups", []string{"root"})
		sc.Set("allow_user_api_key_scopes", "read|one_time_password")
		sc.alice = sc.Visitor()
		goThrough(sc.alice, "id", "/my/apps").Must(t, 303)
		phone := sc.signedInPhone("phone")
		bound := sc.Program("carol")
		bound.Call("GET", "/session/current.json", "").Must(t, 200)

		sc.Clock.Pass(31 * 24 * time.Hour)
		phone.Call("GET", "/session/current.json").Must(t, 403, "owner must sign in again")
		phone.in(sc, false)
		bound.Call("GET", "/session/current.json", "").Must(t, 403)
		sc.App("new", "read").Ask(sc.alice).Must(t, 302)

		goThrough(sc.alice, "id", "/my/apps").Must(t, 303)
		phone.Call("GET", "/session/current.json").Must(t, 200)
		bound.Call("GET", "/session/current.json", "").Must(t, 200)
	})
}

// TestProviderThatHangs: a provider that takes connections and never answers holds nobody for longer than it may, and
// nobody but those who wait for it.
func TestProviderThatHangs(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the connections stay in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	withWays(t, func(sc *scene, _ ways) {
		answered := make(chan testkit.Answer, 1)
		go func() { answered <- sc.Visitor().Get("/user-api-key/login/id?redirect=%2Fmy%2Fapps") }()
		sc.Visitor().Get("/user-api-key/login").Must(t, 200)
		sc.victim.Call("GET", "/session/current.json").Must(t, 200)
		a := <-answered
		a.Must(t, http.StatusServiceUnavailable, "Example ID does not answer at the moment.")
	}, func(cfg *wiring.Config) { cfg.Logins[0].OIDC.Issuer = "http://" + silent.Addr().String() })
}
