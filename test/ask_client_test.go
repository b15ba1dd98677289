package scenario_test

// Asking for a key: clients that register themselves.

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
)

// registration returns the form with which an app registers itself.
func registration(app *testkit.App, change ...string) url.Values {
	f := url.Values{
		"client_id": app.Params["client_id"], "application_name": {"Registered"}, "public_key": app.Params["public_key"],
		"auth_redirect": {"https://app.example/cb"}, "scopes": {"read"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	return f
}

// register sends a registration as an app does, without a browser.
func (sc *scene) register(f url.Values) testkit.Answer {
	sc.t.Helper()
	v := sc.Visitor()
	r := v.Request("POST", "/user-api-key-client.json", f.Encode())
	r.Header.Set("Content-Type", urlencoded)
	return v.Do(r)
}

// TestClientRegistration registers clients, well and badly (W15, W13.4, W8.2).
func TestClientRegistration(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.Set("user_api_key_clients_create_per_day", "1000")
		sc.Set("allowed_user_api_auth_redirects", "https://app.example/cb|https://app.example/other")
		app := sc.App("fed", "read")
		sc.row("W15 an empty list of scopes refuses all", func(sc *scene) {
			sc.register(registration(app)).Must(sc.t, http.StatusForbidden, "allow_user_api_key_client_scopes")
		})
		sc.Set("allow_user_api_key_client_scopes", "read|notifications")
		for name, c := range map[string]struct {
			field, value string
			status       int
		}{
			"no client id": {"client_id", "", 400}, "no name": {"application_name", "", 400}, "no key": {"public_key", "", 400},
			"no redirect": {"auth_redirect", "", 400}, "no scopes": {"scopes", "", 400},
			"a key that is none": {"public_key", "x", 400}, "an address that is none": {
				"auth_redirect", "javascript:alert(1)",
				400,
			},
			"a scope that the list lacks": {"scopes", "write", 403}, "a scope that nobody knows": {
				"scopes", "made_up",
				403,
			}, "a comma for scopes": {"scopes", ",", 400},
			"a client_id in use by a grant": {"client_id", "victim", 403},
		} {
			sc.row("W15 "+name, func(sc *scene) {
				sc.register(registration(app, c.field, c.value)).Must(sc.t, c.status, `{"errors":[`)
				sc.Visitor().Get("/user-api-key-client?client_id=fed").Must(sc.t, http.StatusBadRequest)
			})
		}
		sc.Visitor().Get("/user-api-key-client?client_id=victim").Must(sc.t, http.StatusBadRequest)
		sc.register(registration(app)).Must(sc.t, http.StatusOK, `{"success":"OK"}`)
		for _, method := range []string{"GET", "HEAD"} {
			if a := sc.Visitor().Do(sc.Visitor().Request(method, "/user-api-key-client.json?client_id=fed",
				"")); a.StatusCode != 200 || a.Body != "" {
				sc.t.Errorf("%s: %d %q", method, a.StatusCode, a.Body)
			}
		}
		sc.register(registration(app)).Must(sc.t, http.StatusForbidden, "not permitted")

		// The stored key and name count, the redirect must be the registered one, and the scopes are bounded.
		ask := func(change ...string) testkit.Answer {
			q := url.Values{
				"client_id": {"fed"}, "nonce": {"n"}, "scopes": {"read"},
				"auth_redirect": {"https://app.example/cb"},
			}
			for i := 0; i+1 < len(change); i += 2 {
				q.Set(change[i], change[i+1])
			}
			return sc.alice.Get("/user-api-key/new?" + q.Encode())
		}
		page := ask().Must(sc.t, http.StatusOK, "Registered")
		to := sc.alice.Submit(page, "/user-api-key").Must(sc.t, http.StatusFound).Header.Get("Location")
		u, err := url.Parse(to)
		if err != nil {
			sc.t.Fatal(err)
		}
		if _, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, u.Query().Get("payload")); err != nil {
			sc.t.Errorf("not sealed to the registered key: %v", err)
		}
		ask("auth_redirect", "https://app.example/other").Must(sc.t, http.StatusOK, "letter by letter")
		ask("scopes", "notifications").Must(sc.t, http.StatusOK, "registered for read")
		ask("application_name", "Bank").Must(sc.t, http.StatusOK, "Registered").MustNot(sc.t,
			"<bdi id=\"application-name\">Bank")

		sc.row("W16 age and use keep a client", func(sc *scene) {
			sc.Clock.Pass(29 * 24 * time.Hour)
			sc.cleanUp()
			sc.Visitor().Get("/user-api-key-client?client_id=fed").Must(sc.t, http.StatusOK)
			sc.Clock.Pass(2 * 24 * time.Hour)
			sc.cleanUp()
			sc.Visitor().Get("/user-api-key-client?client_id=fed").Must(sc.t, http.StatusBadRequest)
			for _, k := range sc.Keys() {
				if k.ClientID == "fed" {
					sc.t.Error("its key is still there")
				}
			}
		})
		sc.row("W13.4 registrations are counted by address", func(sc *scene) {
			sc.Set("user_api_key_clients_create_per_day", "1")
			sc.Clock.Pass(24 * time.Hour)
			sc.register(registration(app, "client_id", "one")).Must(sc.t, http.StatusOK)
			if a := sc.register(registration(app, "client_id", "two")).Must(sc.t, http.StatusTooManyRequests,
				`"error_type":"rate_limit"`); a.Header.Get("Retry-After") == "" {
				sc.t.Error("no Retry-After")
			}
			sc.Set("create_user_api_key_client_ip_rate_limit_override_ips", "127.0.0.0/8")
			sc.register(registration(app, "client_id", "three")).Must(sc.t, http.StatusOK)
		})
	})
}
