package scenario_test

// Using a key, a session or nothing: every route of the server, for everybody. A new route is covered without a
// change here.

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"userkeys/internal/accounts"
	"userkeys/internal/testkit"
)

// siteRoute is a row of the server's table of routes.
type siteRoute struct{ method, path, rules string }

func (r siteRoute) String() string { return r.method + " " + r.path }

// has reports whether the route has a rule.
func (r siteRoute) has(rule string) bool { return strings.Contains(" "+r.rules+" ", " "+rule+" ") }

// siteRoutes returns all routes of the server, read from the table of its own test. A new route is in these tests at
// once.
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
		path = strings.NewReplacer("{$}", "", "{username}", "alice", "{password}", strings.Repeat("a", 32), "{id}", "999999",
			"{name}", "title").Replace(path)
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
	withWays(t, func(sc *scene, _ ways) {
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		sc.Set("allow_user_api_key_scopes", "read|write|one_time_password|session_info")
		keys := map[string]*testkit.App{
			"with write":    sc.App("writer", "read,write").Connect(sc.alice),
			"of an admin":   sc.App("root's", "read,write").Connect(root),
			"with the most": sc.App("most", "read,write,one_time_password,session_info").Connect(root),
		}
		routes := siteRoutes(sc.t)
		for _, r := range []string{
			"POST /u/alice/password", "DELETE /user-api-key/settings", "GET /admin",
			"GET /no/such/page", "POST /no/such/page", "PUT /user-api-key/no/such",
		} {
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
						a := app.At(sc.Site).Call(r.method, r.path, "Content-Type", urlencoded, "Sec-Fetch-Site", "same-origin", "Cookie",
							sc.cookie(root))
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

// TestRoutesByRole tries every route of the server's table as every kind of visitor (AD1). What keys may do is in
// TestNoKeyReachesManagement.
func TestRoutesByRole(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("mod", func(n *accounts.NewUser) { n.Moderator, n.TrustLevel = true, 4 })
		sc.User("root", testkit.Admin)
		// The administrator last: what they do changes the others.
		for _, person := range []struct {
			who string
			p   *testkit.Person
		}{{"stranger", nil}, {"user", sc.alice}, {"moderator", sc.Person("mod")}, {"administrator", sc.Person("root")}} {
			who, p := person.who, person.p
			for _, r := range siteRoutes(sc.t) {
				if strings.HasSuffix(r.path, "/logout") || strings.HasSuffix(r.path, "/login") || strings.HasSuffix(r.path,
					"/setup") || !r.has("session") || r.method == "DELETE" && strings.HasPrefix(r.path, "/session/") {
					continue // for strangers; they have rows of their own
				}
				if r.has("long") {
					continue // open to anyone, and waits for news
				}
				sc.row("AD1 "+who+": "+r.String(), func(sc *scene) {
					visitor := sc.Visitor()
					if p != nil {
						visitor = p.At(sc.Site)
					}
					before := sc.Keys()
					form := url.Values{"id": {"999999"}, "name": {"allow_user_api_keys"}, "value": {"no boolean"}}
					if p != nil && r.has("token") {
						form.Set("authenticity_token", sc.tokenOf(visitor))
					}
					var a testkit.Answer
					if r.method == "POST" {
						a = visitor.Post(r.path, form)
					} else {
						request := visitor.Request(r.method, r.path, "")
						if p != nil { // so that it is the role that is refused, and not the token
							request.Header.Set("X-CSRF-Token", sc.tokenOf(visitor))
						}
						a = visitor.Do(request)
					}
					sc.byRole(a, who, r)
					if !strings.HasSuffix(r.path, "revoke-all") || p == nil {
						sc.unchanged(before)
					}
				})
				if strings.HasSuffix(r.path, "/revoke-all") && p == sc.alice {
					sc.victim.Connect(sc.alice)
				}
			}
		}
	})
}

// byRole compares an answer with what the role may see.
func (sc *scene) byRole(a testkit.Answer, who string, r siteRoute) {
	sc.t.Helper()
	forAdministrators := strings.HasPrefix(r.rules, "administrator")
	forAnyone := strings.HasPrefix(r.rules, "anyone") || strings.HasPrefix(r.rules, "known")
	switch {
	case a.StatusCode/100 == 5:
		sc.t.Errorf("status %d: %.300s", a.StatusCode, a.Body)
	case forAnyone: // what these say is looked at elsewhere
	case who == "stranger" && r.method == "GET" && !strings.HasSuffix(r.path, ".json"):
		if a.StatusCode != 302 || !strings.HasPrefix(a.Header.Get("Location"), "/login?redirect=") {
			sc.t.Errorf("status %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
	case who == "stranger":
		sc.check(a, want{status: 403})
	case forAdministrators && who != "administrator":
		sc.check(a, want{status: 403, hasNot: []string{"max_user_api_reqs"}})
	case r.path == "/user-api-key/settings" && r.method == "POST":
		sc.check(a, want{status: 400, has: []string{"true or false"}})
	case a.StatusCode == 302 && strings.HasPrefix(a.Header.Get("Location"), "/login"):
		sc.t.Errorf("status %d: %.300s", a.StatusCode, a.Body)
	}
}
