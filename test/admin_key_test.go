package scenario_test

// Administrators: the admin API, and admin API keys.

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/accounts"
	"userkeys/internal/testkit"
	"userkeys/site"
)

// adminRoutes returns the routes of the JSON admin API, read from the server's source.
func adminRoutes(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../server/admin/handlers.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	handled := regexp.MustCompile(`Handle\("([A-Z]+ /[^"]*)", (?:read|write|danger)\(`)
	for _, m := range handled.FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.NewReplacer("{username}/", "alice/", "{username}", "alice.json", "{id}", "999999", "{name}",
			"title.json").Replace(m[1]))
	}
	if len(out) != 15 {
		t.Fatalf("%d routes: %q", len(out), out)
	}
	return out
}

// TestAdminAPIIsTheAdministrators tries every route of the JSON admin API as everybody (AD1).
func TestAdminAPIIsTheAdministrators(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		sc.User("mod", func(n *accounts.NewUser) { n.Moderator, n.TrustLevel = true, 4 })
		sc.Set("max_admin_api_reqs_per_minute", "10000")
		sc.Set("allow_user_api_key_scopes", "read|write|session_info")
		root, mod := sc.Person("root"), sc.Person("mod")
		session := func(p *testkit.Person) func(sc *scene, method, path string) testkit.Answer {
			token := sc.tokenOf(p)
			return func(sc *scene, method, path string) testkit.Answer {
				r := p.At(sc.Site).Request(method, path, "")
				r.Header.Set("X-CSRF-Token", token)
				return p.At(sc.Site).Do(r)
			}
		}
		key := func(app *testkit.App) func(sc *scene, method, path string) testkit.Answer {
			return func(sc *scene, method, path string) testkit.Answer {
				return app.At(sc.Site).Call(method, path, "Cookie", sc.cookie(root))
			}
		}
		program := func(p *testkit.Program) func(sc *scene, method, path string) testkit.Answer {
			return func(sc *scene, method, path string) testkit.Answer {
				return p.Call(method, path, "", "Cookie", sc.cookie(root)) // the cookie helps nothing
			}
		}
		any := sc.Program("")
		for who, tt := range map[string]struct {
			send func(sc *scene, method, path string) testkit.Answer
			want want
		}{
			"anonymous": {func(sc *scene, method, path string) testkit.Answer {
				v := sc.Visitor()
				return v.Do(v.Request(method, path, ""))
			}, want{status: 403, kind: "not_logged_in"}},
			"user":                     {session(sc.alice), denied.saying("only an administrator")},
			"moderator":                {session(mod), denied.saying("only an administrator")},
			"key with write":           {key(sc.App("writer", "read,write").Connect(sc.alice)), notForKeys},
			"key of an administrator":  {key(sc.App("roots", "read,write").Connect(root)), notForKeys},
			"admin key as a user":      {program(any.As("alice")), denied.saying("only an administrator")},
			"admin key as nobody":      {program(any), denied.saying("Api-Username")},
			"admin key of a moderator": {program(sc.Program("mod")), denied.saying("only an administrator")},
			"no admin key": {
				program(&testkit.Program{Site: sc.Site, Key: site.NewAdminKey(), Acts: "root"}),
				want{status: 403, kind: "invalid_access", reason: "invalid admin API key"},
			},
		} {
			for _, route := range adminRoutes(sc.t) {
				method, path, _ := strings.Cut(route, " ")
				sc.refused("AD1 "+who+": "+route, tt.want, func(sc *scene) testkit.Answer { return tt.send(sc, method, path) })
			}
		}
		for _, route := range adminRoutes(sc.t) {
			method, path, _ := strings.Cut(route, " ")
			if method != "GET" {
				continue
			}
			sc.row("AD1 administrator: "+route, func(sc *scene) {
				root.At(sc.Site).Get(path).Must(sc.t, 200)
				any.As("root").Call(method, path, "").Must(sc.t, 200)
			})
		}
	})
}

// TestAdminAPIManages does with the admin API what a program of the site does: users, keys, clients, settings, the log.
func TestAdminAPIManages(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		sc.Set("max_admin_api_reqs_per_minute", "10000")
		root := sc.Program("").As("root")
		sc.row("a user that was made signs in, and loses everything when suspended", func(sc *scene) {
			root.Call("POST", "/user-api-key/admin/users.json",
				`{"username":"carol","trust_level":2,"groups":["editors"],"password":"`+testkit.Password+`"}`).Must(sc.t, 200, `"groups":["editors"]`)
			carol := sc.Person("carol")
			app := sc.App("carols", "read").Connect(carol)
			root.Call("POST", "/user-api-key/admin/users/CAROL/suspend.json", "").Must(sc.t, 200, `"suspended_at":"20`)
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
			carol.Get("/my/apps").Must(sc.t, 302)
			root.Call("POST", "/user-api-key/admin/users/carol/unsuspend.json", "").Must(sc.t, 200, `"suspended_at":null`)
			app.Call("GET", "/session/current.json").Must(sc.t, 200, `"trust_level":2`)
			root.Call("PUT", "/user-api-key/admin/users/carol.json", `{"trust_level":1}`).Must(sc.t, 200)
			app.Call("GET", "/session/current.json").Must(sc.t, 200, `"trust_level":1`)
			root.Call("PUT", "/user-api-key/admin/users/carol.json", `{"active":false}`).Must(sc.t, 200)
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
			root.Call("PUT", "/user-api-key/admin/users/carol.json", `{"active":true}`).Must(sc.t, 200)
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
			root.Call("PUT", "/user-api-key/admin/users/carol.json", `{"password":"another long password"}`).Must(sc.t, 200)
			sc.Visitor().Login("carol", testkit.Password).Must(sc.t, 403)
			sc.Visitor().Login("carol", "another long password").Must(sc.t, 303)
			root.Call("DELETE", "/user-api-key/admin/users/carol.json", "").Must(sc.t, 200, "OK")
			root.Call("GET", "/user-api-key/admin/users/carol.json", "").Must(sc.t, 404)
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
		})
		sc.row("what is wrong with a user is said", func(sc *scene) {
			root.Call("POST", "/user-api-key/admin/users.json", `{"username":"ALICE"}`).Must(sc.t, 409, "taken")
			root.Call("POST", "/user-api-key/admin/users.json", `{"username":"a b"}`).Must(sc.t, 400, "a user name has")
			root.Call("POST", "/user-api-key/admin/users.json", `{"username":"x","groups":["admins"]}`).Must(sc.t, 400,
				"given by the site itself")
			root.Call("PUT", "/user-api-key/admin/users/alice.json", `{"trust_level":5}`).Must(sc.t, 400, "0 to 4")
			root.Call("GET", "/user-api-key/admin/users/x.json", "").Must(sc.t, 404)
		})
		for what, call := range map[string][3]string{
			"is not deleted":    {"DELETE", "/user-api-key/admin/users/root.json", ""},
			"is not demoted":    {"PUT", "/user-api-key/admin/users/root.json", `{"admin":false}`},
			"is not put asleep": {"PUT", "/user-api-key/admin/users/root.json", `{"active":false}`},
			"is not suspended":  {"POST", "/user-api-key/admin/users/root/suspend.json", ""},
		} {
			sc.refused("AD10 the last administrator "+what, want{status: 409, has: []string{"last active administrator"}}, func(*scene) testkit.Answer {
				return root.Call(call[0], call[1], call[2])
			})
		}
		sc.row("AD9 who is demoted is an administrator no more, at the next request", func(sc *scene) {
			sc.User("second", testkit.Admin)
			second, browser := sc.Program("second"), sc.Person("second")
			second.Call("GET", "/user-api-key/admin/users.json", "").Must(sc.t, 200)
			browser.Get("/user-api-key/admin/users.json").Must(sc.t, 200)
			root.Call("PUT", "/user-api-key/admin/users/second.json", `{"admin":false}`).Must(sc.t, 200)
			second.Call("GET", "/user-api-key/admin/users.json", "").Must(sc.t, 403, "only an administrator")
			browser.Get("/user-api-key/admin/users.json").Must(sc.t, 403)
			second.Call("GET", "/session/current.json", "").Must(sc.t, 200, `"admin":false`)
		})
		sc.row("settings count at once", func(sc *scene) {
			root.Call("PUT", "/user-api-key/admin/settings/title.json", `{"value":"By <program>"}`).Must(sc.t, 200)
			sc.Visitor().Get("/").Must(sc.t, 200, "By &lt;program&gt;")
			root.Call("DELETE", "/user-api-key/admin/settings/title.json", "").Must(sc.t, 200)
			sc.Visitor().Get("/").MustNot(sc.t, "By &lt;program&gt;")
			root.Call("PUT", "/user-api-key/admin/settings/allow_user_api_key_scopes.json",
				`{"value":"read|no_such_scope"}`).Must(sc.t, 400, "no scope no_such_scope")
		})
		sc.row("keys are found by user and client, and revoked for good", func(sc *scene) {
			app := sc.App("doomed", "read").Connect(sc.alice)
			list := root.Call("GET", "/user-api-key/admin/keys.json?user=alice&client_id=doomed&live=true", "").Must(sc.t, 200,
				`"username":"alice"`)
			var found struct{ Keys []struct{ ID int64 } }
			if err := json.Unmarshal([]byte(list.Body), &found); err != nil || len(found.Keys) != 1 {
				sc.t.Fatalf("%v %s", err, list.Body)
			}
			root.Call("POST", sprint("/user-api-key/admin/keys/%d/revoke.json", found.Keys[0].ID), "").Must(sc.t, 200,
				`{"success":"OK"}`)
			if !app.Call("GET", "/session/current.json").IsRefused() {
				sc.t.Error("the key still works")
			}
			sc.manage(sc.alice, "undo-revoke", sprint("%d", found.Keys[0].ID)).Must(sc.t, 403) // its owner cannot undo that
			root.Call("POST", "/user-api-key/undo-revoke.json", sprint(`{"id":"%d"}`, found.Keys[0].ID)).Must(sc.t, 200, "OK")
			app.Call("GET", "/session/current.json").Must(sc.t, 200)
			root.Call("POST", "/user-api-key/revoke", sprint("id=%d", found.Keys[0].ID), "Content-Type", urlencoded).Must(sc.t,
				200, "OK")
			root.Call("POST", "/user-api-key/revoke.json", `{"id":"999999"}`).Must(sc.t, 404)
		})
		sc.row("AD11 the log tells which key acted for whom", func(sc *scene) {
			root.Call("GET", "/user-api-key/admin/audit.json?limit=1000", "").Must(sc.t, 200,
				`"kind":"admin key","user_id":`, sprint(`"detail":"by admin key %d: carol, with 1 keys"`,
					root.ID), sprint("by admin key %d: title = By <program>", root.ID), "admin key created")
		})
	})
}

// TestAdminKeyOfThePage makes an admin API key on the page for administrators.
func TestAdminKeyOfThePage(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		root.Get("/my/apps").Must(sc.t, 200, `href="/user-api-key/admin/api-keys"`)
		sc.alice.Get("/my/apps").MustNot(sc.t, `href="/user-api-key/admin/api-keys"`)
		page := root.Get("/user-api-key/admin/api-keys").Must(sc.t, 200, "There are no API keys")
		made := root.Submit(page, "/user-api-key/admin/api-keys", "description", "backup", "username", "ALICE").Must(sc.t,
			200, "backup")
		text, ok := made.Text("user-api-key-payload")
		if _, err := site.ParseAdminKey(text); !ok || err != nil {
			sc.t.Fatalf("the page shows the key %q", text)
		}
		program := &testkit.Program{Site: sc.Site, Key: userkeys.Key(text)}
		program.Call("GET", "/session/current.json", "").Must(sc.t, 200, `"username":"alice"`)
		page = root.Get("/user-api-key/admin/api-keys").Must(sc.t, 200, "backup", "alice", "just now").MustNot(sc.t, text)
		root.Submit(page, "/user-api-key/admin/api-keys/revoke").Must(sc.t, 303)
		program.Call("GET", "/session/current.json", "").Must(sc.t, 403, "invalid admin API key")
		root.Get("/user-api-key/admin/api-keys").Must(sc.t, 200, "revoked").MustNot(sc.t, text)
		if strings.Contains(sc.Log.String(), text) {
			sc.t.Error("LK1 the key is in the log")
		}
		token := sc.tokenOf(root)
		for _, from := range []string{"cross-site", "same-site"} {
			sc.refused("AD2 a key made from "+from, badCSRF, func(sc *scene) testkit.Answer {
				return post(root.At(sc.Site), "/user-api-key/admin/api-keys", urlencoded,
					url.Values{"description": {"x"}, "authenticity_token": {token}}.Encode(), "Sec-Fetch-Site", from)
			})
		}
		sc.refused("AD2 a key made without the token", badCSRF, func(sc *scene) testkit.Answer {
			return root.At(sc.Site).Post("/user-api-key/admin/api-keys", url.Values{"description": {"x"}})
		})
		sc.refused("AD1 a key made by a user", denied, func(sc *scene) testkit.Answer {
			return sc.alice.Post("/user-api-key/admin/api-keys",
				url.Values{"description": {"x"}, "authenticity_token": {sc.tokenOf(sc.alice)}})
		})
	})
}

// TestAdminKeyIsNoBackDoor tries what an admin API key must not open, and what must not count as one.
func TestAdminKeyIsNoBackDoor(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		sc.Set("max_admin_api_reqs_per_minute", "10000")
		root, any := sc.Program("root"), sc.Program("")
		no := want{status: 403, kind: "invalid_access", reason: "invalid admin API key"}
		dead := &testkit.Program{Site: sc.Site, Key: site.NewAdminKey()}
		id := sprint(`{"id":"%d"}`, sc.Keys()[0].ID)
		sc.row("what is bound to a user makes nothing that is not, and no key makes another", func(sc *scene) {
			narrow := sc.Program("", site.AdminUsers).As("root")
			for _, p := range []*testkit.Program{root, any.As("root"), narrow} {
				p.Call("POST", "/user-api-key/admin/api-keys.json", `{"description":"child"}`).Must(sc.t, 403, "invalid_access")
			}
			for _, p := range []*testkit.Program{root, narrow} {
				p.Call("POST", "/user-api-key/admin/users.json",
					`{"username":"eve","admin":true,"password":"`+testkit.Password+`"}`).Must(sc.t, 403, "not for this admin API key")
				p.Call("PUT", "/user-api-key/admin/users/root.json", `{"password":"`+testkit.Password+`"}`).Must(sc.t, 403,
					"not for this admin API key")
			}
			narrow.Call("GET", "/user-api-key/admin/audit.json", "").Must(sc.t, 403, "missing permission: audit")
		})
		sc.refused("KU7 an invalid key beside a session and without a token", no, func(sc *scene) testkit.Answer {
			return dead.Call("POST", "/user-api-key/revoke.json", id, "Cookie", sc.cookie(sc.alice))
		})
		sc.refused("KU2 both kinds of keys", want{status: 400, has: []string{"not both"}}, func(sc *scene) testkit.Answer {
			return root.Call("POST", "/user-api-key/revoke.json", id, "User-Api-Key", sc.victim.Key.Reveal())
		})
		sc.refused("KU13 a stored hash as the key", no, func(sc *scene) testkit.Answer {
			h := root.Key.Hash()
			p := &testkit.Program{Site: sc.Site, Key: userkeys.Key(sprint("%x", h[:]))}
			return p.Call("GET", "/session/current.json", "")
		})
		sc.refused("a user's key in Api-Key", no, func(sc *scene) testkit.Answer {
			p := &testkit.Program{Site: sc.Site, Key: sc.victim.Key}
			return p.Call("GET", "/session/current.json", "")
		})
		sc.refused("an admin API key in User-Api-Key", deadKey, func(sc *scene) testkit.Answer {
			return sc.key(root.Key.Reveal(), "GET", "/session/current.json")
		})
		sc.refused("KU4 in the address", want{status: 403, kind: "not_logged_in"}, func(sc *scene) testkit.Answer {
			return sc.Visitor().Get("/user-api-key/admin/keys.json?api_key=" + root.Key.Reveal() + "&api_username=root")
		})
		for _, path := range []string{
			"/my/apps", "/user-api-key/settings", "/user-api-key/new",
			"/user-api-key/admin/api-keys",
		} {
			sc.refused("a page is not for it: "+path, want{status: 403, kind: "invalid_access", reason: "not for admin API keys"}, func(sc *scene) testkit.Answer {
				return root.Call("GET", path, "", "Cookie", sc.cookie(sc.alice))
			})
		}
		sc.row("KU8 Api-Username beside a user's key or a session is ignored", func(sc *scene) {
			sc.victim.Call("GET", "/session/current.json", "Api-Username", "root").Must(sc.t, 200, `"username":"alice"`)
			r := sc.alice.Request("GET", "/session/current.json", "")
			r.Header.Set("Api-Username", "root")
			sc.alice.Do(r).Must(sc.t, 200, `"username":"alice"`)
		})
		sc.row("KU9 a key of somebody suspended, and naming them", func(sc *scene) {
			sc.User("gone")
			own := sc.Program("gone")
			own.Call("GET", "/session/current.json", "").Must(sc.t, 200)
			root.Call("POST", "/user-api-key/admin/users/gone/suspend.json", "").Must(sc.t, 200)
			own.Call("GET", "/session/current.json", "").Must(sc.t, 403, "suspended or not active")
			any.As("gone").Call("GET", "/session/current.json", "").Must(sc.t, 403, "suspended or not active")
			root.Call("DELETE", "/user-api-key/admin/users/gone.json", "").Must(sc.t, 200)
			own.Call("GET", "/session/current.json", "").Must(sc.t, 403, "invalid admin API key")
		})
		sc.row("AD12 LK1 no secret in an answer of the admin API, or in the log", func(sc *scene) {
			root.Call("PUT", "/user-api-key/admin/settings/push_api_secret_key.json",
				`{"value":"planted-secret-value"}`).Must(sc.t, 200)
			root.Call("POST", "/user-api-key/admin/users.json", `{"username":"dora","password":"planted password 1"}`).Must(sc.t,
				200)
			sc.Person("alice")
			secrets := []string{
				"planted", "argon2", sc.victim.Key.Reveal(), any.Key.Reveal(), root.Key.Reveal(),
				sprint("%x", root.Key.Hash()),
			}
			for _, c := range sc.alice.HTTP.Jar.Cookies(&url.URL{
				Scheme: "http", Host: strings.TrimPrefix(sc.URL, "http://"),
				Path: "/",
			}) {
				secrets = append(secrets, c.Value)
			}
			if len(secrets) < 7 {
				sc.t.Fatal("alice has no session to look for")
			}
			for _, route := range adminRoutes(sc.t) {
				if method, path, _ := strings.Cut(route, " "); method == "GET" {
					root.Call(method, path, "").Must(sc.t, 200).MustNot(sc.t, secrets...)
				}
			}
			for _, s := range secrets {
				if strings.Contains(sc.Log.String(), s) {
					sc.t.Errorf("%q is in the log", s)
				}
			}
		})
		sc.row("C 13 a limit of its own", func(sc *scene) {
			sc.Set("max_admin_api_reqs_per_minute", "2")
			p := sc.Program("alice")
			p.Call("GET", "/session/current.json", "").Must(sc.t, 200)
			p.Call("GET", "/session/current.json", "").Must(sc.t, 200)
			a := p.Call("GET", "/session/current.json", "").Must(sc.t, http.StatusTooManyRequests, `"error_type":"rate_limit"`,
				"limit: 2 per 60 s")
			if got := a.Header.Get("Discourse-Rate-Limit-Error-Code"); got != "admin_api_key_rate_limit" || a.Header.Get("Retry-After") == "" {
				sc.t.Errorf("the code is %q, Retry-After %q", got, a.Header.Get("Retry-After"))
			}
			sc.victim.Call("GET", "/session/current.json").Must(sc.t, 200)
		})
	})
}

// TestAdminKeyBeforeAnUpstream passes Api-Key on untouched where the path is the upstream's.
func TestAdminKeyBeforeAnUpstream(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		sc.User("root", testkit.Admin)
		p := sc.Program("").As("root")
		up.Take()
		sc.row("W7.1 on the upstream's paths the headers pass as they came", func(sc *scene) {
			theirs := &testkit.Program{Site: sc.Site, Key: "the upstream's own key", Acts: "system"}
			theirs.Call("POST", "/posts.json", `{"raw":"x"}`).Must(sc.t, 200, "user= target=/posts.json")
			got := up.Take()
			if len(got) != 1 || got[0].Header.Get("Api-Key") != "the upstream's own key" || got[0].Header.Get("Api-Username") != "system" {
				sc.t.Errorf("the upstream got %v", got)
			}
		})
		sc.row("on ours it is ours, and goes no further", func(sc *scene) {
			p.Call("GET", "/user-api-key/admin/users.json", "").Must(sc.t, 200, `"username":"alice"`)
			p.Call("GET", "/session/current.json", "").Must(sc.t, 200, `"username":"root"`)
			p.Call("GET", "/user-api-key/admin/no-such.json", "").Must(sc.t, 404)
			if got := up.Take(); len(got) != 0 {
				sc.t.Errorf("the upstream got %v", got)
			}
		})
	})
}
