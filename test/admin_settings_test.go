package scenario_test

// Administrators: the page of settings, and values that no setting may have. Group AD of docs/attacks.md.

import (
	"net/url"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

// TestSettingsPage tries the attacks AD on the page of settings, and values that no setting may have.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
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
		sc.refused("AD2 an older browser elsewhere", badCSRF,
			set("allow_user_api_keys", "false", "Sec-Fetch-Site", "", "Origin", "https://evil.example"))
		sc.refused("AD2 no token", badCSRF, func(sc *scene) testkit.Answer {
			return root.At(sc.Site).Post("/user-api-key/settings",
				url.Values{"name": {"allow_user_api_keys"}, "value": {"false"}})
		})
		sc.refused("AD2 a user's own token", want{status: 403}, func(sc *scene) testkit.Answer {
			return sc.alice.Post("/user-api-key/settings",
				url.Values{"name": {"allow_user_api_keys"}, "value": {"false"}, "authenticity_token": {sc.tokenOf(sc.alice)}})
		})
		no := want{status: 400}
		for _, rule := range []string{
			"https://*example.com/cb", "*", "https://*/cb", "https://*.com/*", "http://*:*/", "*://x/", "javascript://app.example/*", "data:*", "https://a.*.example/", "https://app.example/*/cb",
			"https://app.example@evil.example/*", "https://app.example/<script>alert(1)</script>",
		} {
			sc.refused("RD33 RD34 the redirect rule "+rule, no.notSaying("<script>alert"),
				set("allowed_user_api_auth_redirects", rule))
		}
		for name, value := range map[string]string{
			"max_user_api_reqs_per_minute": "-1", "max_user_api_reqs_per_day": "1e9", "allow_user_api_keys": "maybe", "user_api_key_prefix": "toolong",
			"allow_user_api_key_scopes": "read/write", "user_api_key_allowed_groups": "a b", "title": strings.Repeat("a",
				70000), "allowed_user_api_push_urls": "javascript:alert(1)",
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
		for _, query := range []string{
			"unused='", "unused=-1", "unused=99999999999999999999", "sort=name;drop", "sort=%27",
			"done=%3Cscript%3Ealert(1)", "a=%zz", strings.Repeat("a=b&", 500),
		} {
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
