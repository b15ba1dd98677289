package scenario_test

import (
	"os"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// TestScopes holds the attacks SC: which scopes an app may ask for, and when they count.
func TestScopes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
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
		for what, list := range map[string]string{"SC3 one comma at the end": "read,", "SC4 the same 20 times": strings.Repeat("read,", 19) + "read"} {
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
	if a := app.Call("OPTIONS", path).Must(sc.t, 200); a.Body != "" || a.Header.Get("Allow") == "" || a.Header.Get("X-Discourse-Username") != "" {
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

// siteRoute is a line of the server's table of routes.
type siteRoute struct{ method, path, rules string }

func (r siteRoute) String() string { return r.method + " " + r.path }

// has tells whether the route's door has a rule.
func (r siteRoute) has(rule string) bool { return strings.Contains(" "+r.rules+" ", " "+rule+" ") }

// siteRoutes are all routes of the server, read from what its own test holds
// them to: a route that is added is in these tests from its first day.
func siteRoutes(t *testing.T) []siteRoute {
	t.Helper()
	text, err := os.ReadFile("../server/testdata/routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []siteRoute
	for line := range strings.Lines(string(text)) {
		route, rules, _ := strings.Cut(strings.TrimSpace(line), ": ")
		method, path, _ := strings.Cut(route, " ")
		if strings.Contains(path, "/admin/") { // what an administrator may do to users must not be done to alice
			path = strings.ReplaceAll(path, "{username}", "nobody")
		}
		path = strings.NewReplacer("{$}", "", "{username}", "alice", "{password}", strings.Repeat("a", 32), "{id}", "999999", "{name}", "title").Replace(path)
		out = append(out, siteRoute{method, path, rules})
	}
	if len(out) < 50 {
		t.Fatalf("%d routes: %q", len(out), out)
	}
	return out
}

// TestNoKeyReachesManagement is SC13, SC15, T9 and the keys' part of AD1: no key, whatever its
// scopes and whoever its owner, reaches a route that makes, restores or widens keys or sessions.
func TestNoKeyReachesManagement(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		sc.Set("allow_user_api_key_scopes", "read|write|one_time_password|session_info")
		keys := map[string]*testkit.App{
			"with write":    sc.App("writer", "read,write").Connect(sc.alice),
			"of an admin":   sc.App("root's", "read,write").Connect(root),
			"with the most": sc.App("most", "read,write,one_time_password,session_info").Connect(root),
		}
		routes := siteRoutes(sc.t)
		for _, r := range []string{"POST /u/alice/password", "DELETE /user-api-key/settings", "GET /admin", "GET /no/such/page", "POST /no/such/page", "PUT /user-api-key/no/such"} {
			method, path, _ := strings.Cut(r, " ")
			routes = append(routes, siteRoute{method, path, ""})
		}
		for who, app := range keys {
			for _, r := range routes {
				if r.has("keys") { // what these answer has tests of its own
					continue
				}
				sc.row("SC15 GitLab CVE-2024-8114 a key "+who+": "+r.String(), func(sc *scene) {
					before := sc.Keys()
					for range 2 {
						a := app.At(sc.Site).Call(r.method, r.path, "Content-Type", urlencoded, "Sec-Fetch-Site", "same-origin", "Cookie", sc.cookie(root))
						if r.rules != "" {
							sc.check(a, notForKeys)
						} else if a.StatusCode != 404 && a.StatusCode != 403 && a.StatusCode != 405 {
							sc.t.Errorf("status %d", a.StatusCode)
						}
						if a.Header.Get("Set-Cookie") != "" {
							sc.t.Error("a key was given a cookie")
						}
					}
					sc.unchanged(before)
				})
			}
		}
		sc.row("SC15 a key may end itself and no other, not even of the same user", func(sc *scene) {
			app, other := sc.App("self", "read").Connect(sc.alice), sc.Keys()[1].ID
			body := app.Request("POST", "/user-api-key/revoke", sprint("id=%d", other))
			body.Header.Set("Content-Type", urlencoded)
			sc.check(sc.Visitor().Do(body), want{status: 403, kind: "invalid_access", reason: "a key revokes only itself"})
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
			app.Call("POST", "/user-api-key/revoke").Must(sc.t, 200, `{"success":"OK"}`)
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
		})
	})
}

// cookie is the Cookie header of somebody's browser.
func (sc *scene) cookie(p *testkit.Person) string {
	r := p.Request("GET", "/", "")
	var out []string
	for _, c := range p.HTTP.Jar.Cookies(r.URL) {
		out = append(out, c.Name+"="+c.Value)
	}
	return strings.Join(out, "; ")
}
