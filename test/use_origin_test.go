package scenario_test

// Using a key from a page of another site (CORS).

import (
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// TestOrigins is W18 through the whole site.
func TestOrigins(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		const page, path = "https://app.example", "/session/current.json"
		preflight := func(sc *scene, origin string) testkit.Answer {
			r := sc.Visitor().Request("OPTIONS", path, "")
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Header.Set("Access-Control-Request-Headers", "user-api-key")
			return sc.Visitor().Do(r)
		}
		allows := func(a testkit.Answer) string { return a.Header.Get("Access-Control-Allow-Origin") }
		sc.row("nothing is listed", func(sc *scene) {
			if a := sc.victim.Call("GET", path, "Origin", page).Must(sc.t,
				200); allows(a) != "" || a.Header.Get("Vary") != "User-Api-Key" {
				sc.t.Errorf("%v", a.Header)
			}
			if a := preflight(sc, page); allows(a) != "" {
				sc.t.Errorf("%v", a.Header)
			}
		})
		sc.Set("cors_origins", page)
		sc.row("a listed page with a key", func(sc *scene) {
			if a := preflight(sc, page).Must(sc.t,
				200); allows(a) != page || a.Header.Get("Access-Control-Allow-Credentials") != "true" {
				sc.t.Errorf("%v", a.Header)
			}
			a := sc.victim.Call("GET", path, "Origin", page, "Sec-Fetch-Site", "cross-site").Must(sc.t, 200,
				`"username":"alice"`)
			if allows(a) != page || !strings.Contains(a.Header.Get("Vary"),
				"Origin") || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
				sc.t.Errorf("%v", a.Header)
			}
			if a := sc.key("x", "GET", path, "Origin", page); allows(a) != page || a.StatusCode != 403 {
				sc.t.Errorf("%d %v", a.StatusCode, a.Header)
			}
		})
		sc.row("a session is nothing for pages elsewhere", func(sc *scene) {
			for _, at := range []string{path, "/my/apps", "/user-api-key/new?" + sc.ask()} {
				r := sc.alice.Request("GET", at, "")
				r.Header.Set("Origin", page)
				if a := sc.alice.Do(r); a.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
					sc.t.Errorf("%s: %v", at, a.Header)
				}
			}
			sc.check(post(sc.alice, "/user-api-key/revoke-all", urlencoded, "", "Origin", page, "Sec-Fetch-Site", "same-site"),
				badCSRF)
		})
		sc.row("another page", func(sc *scene) {
			for _, other := range []string{
				"https://evil.example", "null", page + ":443", page + ".evil.example",
				"http://app.example",
			} {
				if a := sc.victim.Call("GET", path, "Origin", other).Must(sc.t,
					200); allows(a) != "" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
					sc.t.Errorf("%s: %v", other, a.Header)
				}
				if a := preflight(sc, other).Must(sc.t, 200); allows(a) != "" || a.Body != "" {
					sc.t.Errorf("%s: %v", other, a.Header)
				}
			}
		})
	})
}
