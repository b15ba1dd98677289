package scenario_test

// Asking for a key: the scopes of a request. Group SC of docs/attacks.md.

import (
	"strings"
	"testing"
)

// TestScopes tries the attacks SC: which scopes an app may ask for, and when they count.
func TestScopes(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		for _, list := range []string{",read", "read,,write", "read, write", " read", "READ", "read\u00a0"} {
			sc.refusedAsk(sprint("SC2 SC3 %q", list), pageRefusal.saying("knows no scope"), sc.ask("scopes", list))
		}
		sc.refusedAsk("SC3 a comma alone", pageRefusal.saying("no scope"), sc.ask("scopes", ","))
		sc.refusedAsk("SC3 commas alone", pageRefusal.saying("no scope"), sc.ask("scopes", ",,"))
		for _, name := range []string{"__proto__", "constructor", "1", "read/write", "*", "all", "admin"} {
			sc.refusedAsk("SC6 a scope named "+name, pageRefusal.saying("knows no scope"), sc.ask("scopes", name))
		}
		sc.refusedAsk("SC4 21 scopes", malformed.saying("20 scopes"), sc.ask("scopes", strings.Repeat("read,", 20)+"read"))
		sc.refusedAsk("SC4 501 bytes", malformed.saying("500 bytes"), sc.ask("scopes", "read,"+strings.Repeat("a", 496)))
		sc.refusedAsk("SC4 500 bytes", pageRefusal, sc.ask("scopes", "read,"+strings.Repeat("a", 495)))
		for what, list := range map[string]string{
			"SC3 one comma at the end": "read,",
			"SC4 the same 20 times":    strings.Repeat("read,", 19) + "read",
		} {
			sc.row(what, func(sc *scene) {
				sc.App("lists", list).Connect(sc.alice)
				if k := sc.Keys()[0]; k.Scopes.String() != "read" {
					sc.t.Errorf("granted %q", k.Scopes)
				}
			})
		}
		sc.row("SC9 no scopes in the database are no rights", func(sc *scene) {
			app := sc.App("emptied", "read").Connect(sc.alice)
			sc.exec("UPDATE userkeys_keys SET scopes = '' WHERE client = (SELECT id FROM userkeys_clients WHERE client_id = 'emptied')")
			for _, path := range []string{"/", "/session/current.json", "/notifications.json"} {
				sc.check(app.Call("GET", path), denied)
			}
		})
		sc.row("SC5 a scope that the site takes back ends at once", func(sc *scene) {
			app := sc.App("later", "read").Connect(sc.alice)
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
			sc.Set("allow_user_api_key_scopes", "session_info|notifications")
			sc.check(app.Call("GET", "/anything"), denied)
			sc.alice.Get("/my/apps").Must(sc.t, 200, "no longer allows")
			sc.Set("allow_user_api_key_scopes", "read")
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
		})
		sc.row("SC10 the methods of read", methodsOfRead)
	})
}

func methodsOfRead(sc *scene) {
	app := sc.App("reader", "read").Connect(sc.alice)
	const path = "/session/current.json"
	app.Call("GET", path).Must(sc.t, 200, `"username":"alice"`)
	if a := app.Call("HEAD", path).Must(sc.t, 200); a.Body != "" {
		sc.t.Errorf("HEAD has a body: %q", a.Body)
	}
	if a := app.Call("OPTIONS", path).Must(sc.t,
		200); a.Body != "" || a.Header.Get("Allow") == "" || a.Header.Get("X-Discourse-Username") != "" {
		sc.t.Errorf("OPTIONS: %q, %v", a.Body, a.Header)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		sc.check(app.Call(method, path), want{status: 403, kind: "invalid_access", reason: "missing scope: write"})
	}
	for _, method := range []string{"get", "FOO", "TRACE", "PROPFIND", "MKCOL", "PRI"} {
		a := app.Call(method, path)
		sc.check(a, wrongMethod)
		if a.Header.Get("Allow") == "" {
			sc.t.Errorf("%s: no Allow", method)
		}
	}
}
