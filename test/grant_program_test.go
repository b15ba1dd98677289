package scenario_test

// Granting a key: by a program with an admin API key, without a page.

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

// TestHeadlessGrant grants an app a key with an admin API key, without a page (W2), and notifies users.
func TestHeadlessGrant(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		app := sc.App("headless", "session_info")
		body := func(change ...string) string {
			text, err := json.Marshal(deviceFields(app, change...))
			if err != nil {
				sc.t.Fatal(err)
			}
			return string(text)
		}
		anybody := sc.Program("")
		a := anybody.As("alice").Call("POST", "/user-api-key.json", body()).Must(sc.t, http.StatusOK, `"payload":"`,
			`"instructions":"`)
		var answer struct{ Payload string }
		if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
			sc.t.Fatal(err)
		}
		payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, answer.Payload)
		if err != nil || payload.Nonce != "nonce-of-headless" {
			sc.t.Fatalf("%+v, %v", payload, err)
		}
		app.Key = payload.Key
		app.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
		events, err := sc.Store.AuditEvents(sc.t.Context(), site.AuditFilter{Limit: 1})
		if err != nil || len(events) != 1 || events[0].Caller.Kind() != site.CallerAdminKey || !strings.Contains(events[0].Detail, "admin key") {
			sc.t.Errorf("the log says %+v, %v", events, err)
		}
		before := sc.Keys()
		for name, c := range map[string]struct {
			from   *testkit.Program
			body   string
			status int
		}{
			"nobody is named":             {anybody, body(), 403},
			"nobody has that name":        {anybody.As("nobody"), body(), 403},
			"a one-user key, for another": {sc.Program("root").As("alice"), body(), 403},
			"a scope that is not allowed": {anybody.As("alice"), body("scopes", "write"), 403},
			"no nonce":                    {anybody.As("alice"), body("nonce", ""), 400},
			"a redirect that is not":      {anybody.As("alice"), body("auth_redirect", "https://evil.example/"), 403},
		} {
			sc.row("headless: "+name, func(sc *scene) {
				c.from.Call("POST", "/user-api-key.json", c.body).Must(sc.t, c.status, `{"errors":[`)
				sc.unchanged(before)
			})
		}
		sc.row("an administrator's program tells users something, another user's does not", func(sc *scene) {
			const told = `{"username":"alice","notification_type":1,"data":{}}`
			anybody.As("alice").Call("POST", "/user-api-key/admin/notifications.json", told).Must(sc.t, http.StatusForbidden)
			anybody.As("root").Call("POST", "/user-api-key/admin/notifications.json", told).Must(sc.t, http.StatusOK,
				`"created":1`)
		})
	})
}

// asked is a question as the site's own program gets it.
type asked struct {
	State     string   `json:"state"`
	ID        string   `json:"consent_id"`
	Scopes    string   `json:"scopes"`
	Sentences []string `json:"localized_scopes"`
}

// question has a program ask for the question of an app to the user whom it names.
func question(sc *scene, p *testkit.Program, app *testkit.App) asked {
	sc.t.Helper()
	var q asked
	a := p.Call("GET", strings.Replace(app.Path(), "new?", "new.json?", 1), "").Must(sc.t, http.StatusOK)
	if err := json.Unmarshal([]byte(a.Body), &q); err != nil {
		sc.t.Fatal(err)
	}
	return q
}

// TestTheSiteShowsTheQuestion has the site's own program put an app's request to a user, who is not signed in here at
// all, answer it for them, and list and revoke the user's apps. It needs the permission grant and no other.
func TestTheSiteShowsTheQuestion(t *testing.T) {
	t.Parallel()
	onBoth(t, func(sc *scene) {
		sc.User("bob")
		sc.Set("max_admin_api_reqs_per_minute", "10000")
		grants := sc.Program("", site.AdminGrant)
		alice, bob := grants.As("alice"), grants.As("bob")
		loopback := func(name string) *testkit.App {
			return sc.App(name, "read,session_info").With("auth_redirect", "http://127.0.0.1:7777/back")
		}
		yes := func(q asked) string { return sprint(`{"id":%q,"choose":"1","allow_session_info":"1"}`, q.ID) }
		sc.row("asked, approved with the scopes that the user left, listed and revoked", func(sc *scene) {
			app := sc.App("framed", "read,session_info")
			q := question(sc, alice, app)
			if q.State != "ready" || q.Scopes != "read,session_info" || len(q.Sentences) != 2 {
				sc.t.Fatalf("%+v", q)
			}
			var answer struct{ Payload string }
			a := alice.Call("POST", "/user-api-key.json", yes(q)).Must(sc.t, http.StatusOK, `"instructions":"`)
			if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
				sc.t.Fatal(err)
			}
			payload, err := userkeys.OpenPayload(app.Private, userkeys.PaddingPKCS1, answer.Payload)
			if err != nil {
				sc.t.Fatal(err)
			}
			app.Key = payload.Key
			app.Call("GET", "/session/current.json").Must(sc.t, http.StatusOK, `"username":"alice"`)
			key := sc.Keys()[0]
			if key.Scopes.String() != "session_info" {
				sc.t.Errorf("the key has %s", key.Scopes)
			}
			before := sc.Keys()
			if again := alice.Call("POST", "/user-api-key.json", yes(q)); again.Body != a.Body {
				sc.t.Errorf("a repeated answer is another one: %s", again.Body)
			}
			sc.unchanged(before)
			bob.Call("GET", "/user-api-key/apps.json", "").Must(sc.t, http.StatusOK,
				`{"apps":[],"page":1,"pages":1,"found":0,"live":0,"ended":0}`)
			bob.Call("POST", "/user-api-key/revoke.json", sprint(`{"id":"%d"}`, key.ID)).Must(sc.t, http.StatusForbidden)
			alice.Call("GET", "/user-api-key/apps.json", "").Must(sc.t, http.StatusOK,
				sprint(`{"apps":[{"id":%d,"user_id":%d,`, key.ID, key.UserID), `"localized_scopes":[`, `"can_undo":false`, `"destination":"copy"`)
			alice.Call("POST", "/user-api-key/revoke.json", sprint(`{"id":"%d"}`, key.ID)).Must(sc.t, http.StatusOK)
			sc.check(app.Call("GET", "/session/current.json"), deadKey)
			alice.Call("GET", "/user-api-key/apps.json", "").Must(sc.t, http.StatusOK, `"ended":1`).MustNot(sc.t, "App framed")
			alice.Call("GET", "/user-api-key/apps.json?show=ended", "").Must(sc.t, http.StatusOK, "App framed", `"can_undo":true`)
		})
		sc.row("the way back, and a no that a program on the user's machine is told", func(sc *scene) {
			alice.Call("POST", "/user-api-key.json", yes(question(sc, alice, loopback("back")))).Must(sc.t, http.StatusOK,
				`{"redirect_url":"http://127.0.0.1:7777/back?payload=`)
			q := question(sc, alice, loopback("back"))
			alice.Call("POST", "/user-api-key/deny.json", sprint(`{"id":%q}`, q.ID)).Must(sc.t, http.StatusOK,
				`{"redirect_url":"http://127.0.0.1:7777/back?error=access_denied"}`)
			alice.Call("POST", "/user-api-key.json", yes(q)).Must(sc.t, http.StatusForbidden, "answered already")
			q = question(sc, alice, sc.App("copied", "read"))
			alice.Call("POST", "/user-api-key/deny.json", sprint(`{"id":%q}`, q.ID)).Must(sc.t, http.StatusOK, `{"redirect_url":null}`)
		})
		sc.row("AD11 the log tells which key answered for whom", func(sc *scene) {
			events, err := sc.Store.AuditEvents(sc.t.Context(), site.AuditFilter{Limit: 1000})
			if err != nil {
				sc.t.Fatal(err)
			}
			by, found := sprint("by admin key %d", grants.ID), map[string]bool{}
			for _, e := range events {
				if e.Caller.Kind() == site.CallerAdminKey && e.Caller.User.ID == sc.Keys()[0].UserID && strings.HasPrefix(e.Detail, by) {
					found[e.Action] = true
				}
			}
			for _, action := range []string{"key granted", "consent denied", "key revoked"} {
				if !found[action] {
					sc.t.Errorf("no event %q of the admin API key", action)
				}
			}
		})
		for name, answer := range map[string]func(sc *scene, q asked) testkit.Answer{
			"for another user":        func(_ *scene, q asked) testkit.Answer { return bob.Call("POST", "/user-api-key.json", yes(q)) },
			"denied for another user": func(_ *scene, q asked) testkit.Answer { return bob.Call("POST", "/user-api-key/deny.json", yes(q)) },
			"with another admin key": func(_ *scene, q asked) testkit.Answer {
				return sc.Program("alice").Call("POST", "/user-api-key.json", yes(q))
			},
			"in the user's own session": func(sc *scene, q asked) testkit.Answer {
				return post(sc.alice, "/user-api-key", urlencoded, "id="+q.ID, "X-CSRF-Token", sc.tokenOf(sc.alice))
			},
			"after ten minutes": func(sc *scene, q asked) testkit.Answer {
				sc.Clock.Pass(10*time.Minute + time.Second)
				return alice.Call("POST", "/user-api-key.json", yes(q))
			},
		} {
			sc.refused("AD13 a question answered "+name, want{status: 403, has: []string{"answered already"}}, func(sc *scene) testkit.Answer {
				return answer(sc, question(sc, alice, sc.App("bound", "read,session_info")))
			})
		}
		sc.refused("AD13 a question of the page, answered with an admin API key", want{status: 403, has: []string{"answered already"}}, func(sc *scene) testkit.Answer {
			page, form := sc.consent()
			page.Must(sc.t, http.StatusOK)
			return alice.Call("POST", "/user-api-key.json", sprint(`{"id":%q}`, form.Get("id")))
		})
		path := strings.Replace(sc.App("gated", "read").Path(), "new?", "new.json?", 1)
		sc.refused("AD13 without the permission", want{status: 403, reason: "missing permission: grant"}, func(sc *scene) testkit.Answer {
			return sc.Program("alice", site.AdminKeys, site.AdminUsers).Call("GET", path, "")
		})
		sc.row("AD13 a suspended user is asked nothing", func(sc *scene) {
			u := sc.User("gone")
			q := question(sc, grants.As("gone"), sc.App("late", "read,session_info"))
			if _, err := sc.Identity.Suspend(sc.t.Context(), u.ID, testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			grants.As("gone").Call("GET", path, "").Must(sc.t, http.StatusForbidden, "suspended or not active")
			grants.As("gone").Call("POST", "/user-api-key.json", yes(q)).Must(sc.t, http.StatusForbidden, "suspended or not active")
		})
		sc.row("AD13 the settings hold as they do for the page", func(sc *scene) {
			evil := sc.App("evil", "read").With("auth_redirect", "https://evil.example/")
			if q := question(sc, alice, evil); q.State != "generic_error" || q.ID != "" {
				sc.t.Errorf("%+v", q)
			}
			q := question(sc, bob, sc.App("low", "session_info"))
			sc.Set("user_api_key_allowed_groups", "trust_level_4")
			if low := question(sc, bob, sc.App("low", "session_info")); low.State != "no_trust_level" || low.ID != "" {
				sc.t.Errorf("%+v", low)
			}
			bob.Call("POST", "/user-api-key.json", sprint(`{"id":%q}`, q.ID)).Must(sc.t, http.StatusForbidden, "trust level")
			sc.Set("user_api_key_allowed_groups", "trust_level_0")
			sc.Set("max_user_api_key_grants_per_hour", "1")
			bob.Call("POST", "/user-api-key.json", sprint(`{"id":%q}`, q.ID)).Must(sc.t, http.StatusOK)
			q = question(sc, bob, sc.App("more", "session_info"))
			bob.Call("POST", "/user-api-key.json", sprint(`{"id":%q}`, q.ID)).Must(sc.t, http.StatusTooManyRequests)
		})
	})
}
