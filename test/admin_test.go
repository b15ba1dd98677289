package scenario_test

import (
	"net/url"
	"strings"
	"testing"

	"userkeys/internal/identity"
	"userkeys/internal/testkit"
)

// TestRoutesByRole is AD1: every route of the server's own table, to every kind
// of visitor. What keys may is in TestNoKeyReachesManagement.
func TestRoutesByRole(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("mod", func(n *identity.NewUser) { n.Moderator, n.TrustLevel = true, 4 })
		sc.User("root", testkit.Admin)
		// The administrator last: what they do changes the others.
		for _, person := range []struct {
			who string
			p   *testkit.Person
		}{{"stranger", nil}, {"user", sc.alice}, {"moderator", sc.Person("mod")}, {"administrator", sc.Person("root")}} {
			who, p := person.who, person.p
			for _, r := range siteRoutes(sc.t) {
				if strings.HasSuffix(r.path, "/logout") || strings.HasSuffix(r.path, "/login") || strings.HasSuffix(r.path, "/setup") || !r.has("session") || r.method == "DELETE" && strings.HasPrefix(r.path, "/session/") {
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

// byRole holds an answer to what the role may see.
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

// TestSettingsPage holds the attacks AD on settings, and the rules that no site may be given.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		token := sc.tokenOf(root)
		set := func(name, value string, header ...string) func(*scene) testkit.Answer {
			return func(sc *scene) testkit.Answer {
				form := url.Values{"name": {name}, "value": {value}, "authenticity_token": {token}}
				return post(root.At(sc.Site), "/user-api-key/settings", urlencoded, form.Encode(), header...)
			}
		}
		for _, from := range []string{"cross-site", "same-site"} {
			sc.refused("AD2 CVE-2026-27589 "+from, badCSRF, set("allow_user_api_keys", "false", "Sec-Fetch-Site", from))
		}
		sc.refused("AD2 an older browser elsewhere", badCSRF, set("allow_user_api_keys", "false", "Sec-Fetch-Site", "", "Origin", "https://evil.example"))
		sc.refused("AD2 no token", badCSRF, func(sc *scene) testkit.Answer {
			return root.At(sc.Site).Post("/user-api-key/settings", url.Values{"name": {"allow_user_api_keys"}, "value": {"false"}})
		})
		sc.refused("AD2 a user's own token", want{status: 403}, func(sc *scene) testkit.Answer {
			return sc.alice.Post("/user-api-key/settings", url.Values{"name": {"allow_user_api_keys"}, "value": {"false"}, "authenticity_token": {sc.tokenOf(sc.alice)}})
		})
		no := want{status: 400}
		for _, rule := range []string{
			"https://*example.com/cb", "*", "https://*/cb", "https://*.com/*", "http://*:*/", "*://x/", "javascript://app.example/*", "data:*", "https://a.*.example/", "https://app.example/*/cb",
			"https://app.example@evil.example/*", "https://app.example/<script>alert(1)</script>",
		} {
			sc.refused("RD33 RD34 the redirect rule "+rule, no.notSaying("<script>alert"), set("allowed_user_api_auth_redirects", rule))
		}
		for name, value := range map[string]string{
			"max_user_api_reqs_per_minute": "-1", "max_user_api_reqs_per_day": "1e9", "allow_user_api_keys": "maybe", "user_api_key_prefix": "toolong",
			"allow_user_api_key_scopes": "read/write", "user_api_key_allowed_groups": "a b", "title": strings.Repeat("a", 70000), "allowed_user_api_push_urls": "javascript:alert(1)",
		} {
			w := no
			if len(value) > 64<<10 {
				w = tooLarge
			}
			sc.refused("RL14 SC6 AD8 "+name, w, set(name, value))
		}
		sc.refused("AD3 a setting that is none", unknown, set("name;drop", "1", "Accept", "application/json"))
		for what, value := range map[string]string{"NUL": "a\x00b", "a line end": "a\nb", "no UTF-8": "a\xffb"} {
			sc.refused("DB1 a title with "+what, no, set("title", value))
		}
		sc.row("RD35 a public suffix is taken with a warning", func(sc *scene) {
			set("allowed_user_api_auth_redirects", "https://*.github.io/*")(sc).Must(sc.t, 303)
			root.At(sc.Site).Get("/user-api-key/settings").Must(sc.t, 200, "anybody can register a name under github.io")
		})
		sc.row("ID8 AD5 a title is text on every page", func(sc *scene) {
			set("title", `<script>alert(1)</script>`)(sc).Must(sc.t, 303)
			for _, path := range []string{"/", "/my/apps", "/user-api-key/settings", "/no/such/page"} {
				root.At(sc.Site).Get(path).MustNot(sc.t, "<script>alert")
			}
		})
		for _, query := range []string{"unused='", "unused=-1", "unused=99999999999999999999", "sort=name;drop", "sort=%27", "done=%3Cscript%3Ealert(1)", "a=%zz", strings.Repeat("a=b&", 500)} {
			sc.row("AD3 AD4 the list of apps with ?"+query[:min(len(query), 40)], func(sc *scene) {
				a := sc.alice.Get("/my/apps?"+query).Must(sc.t, 200, "App victim")
				a.MustNot(sc.t, "<script>alert", "drop")
			})
		}
		sc.row("a secret setting is never shown", func(sc *scene) {
			set("push_api_secret_key", "planted-secret-value")(sc).Must(sc.t, 303)
			root.At(sc.Site).Get("/user-api-key/settings").Must(sc.t, 200).MustNot(sc.t, "planted-secret-value")
			if strings.Contains(sc.Log.String(), "planted-secret-value") {
				sc.t.Error("it is in the log")
			}
		})
		sc.row("GR14 a site that gives no new keys refuses them, and those that exist go on", func(sc *scene) {
			sc.Set("allow_user_api_keys", "false")
			sc.refusedAsk("asked", pageRefusal.saying("turned them off"), sc.ask())
			sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
		})
	})
}
