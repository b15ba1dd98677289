package scenario_test

// Using a key: notifications, counts and what else apps of Discourse ask for.

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/internal/accounts"
	"userkeys/internal/testkit"
	"userkeys/server"
	"userkeys/site"
)

// notify sends a body to the admin API as p's page would.
func (sc *scene) notify(p *testkit.Person, path, body string, header ...string) testkit.Answer {
	sc.t.Helper()
	return post(p, path, "application/json", body, append([]string{"X-CSRF-Token", sc.tokenOf(p)}, header...)...)
}

// send calls with an app's key as the official app does: JSON, and a client id that is empty.
func send(app *testkit.App, method, path, body string) testkit.Answer {
	r := app.Request(method, path, body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Discourse ios App / 1.0",
		"Dont-Chunk": "true", "User-Api-Client-Id": "",
	} {
		r.Header.Set(name, value)
	}
	return app.Site.Visitor().Do(r)
}

const adminNotifications = "/user-api-key/admin/notifications.json"

// TestDiscourseMobile walks the official app's way from the probe to the end of its key.
func TestDiscourseMobile(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		root := sc.Person("root")
		sc.Set("site_description", "A place to talk.")
		probe := sc.Visitor().Do(sc.Visitor().Request("HEAD", "/user-api-key/new", "")).Must(sc.t, 200)
		if probe.Header.Get("Auth-Api-Version") != "4" {
			sc.t.Errorf("the version is %q", probe.Header.Get("Auth-Api-Version"))
		}
		info := sc.Visitor().Get("/site/basic-info.json").Must(sc.t, 200, `"title":"userkeys"`,
			`"description":"A place to talk."`, `"login_required":false`)
		var site struct {
			Icon string `json:"apple_touch_icon_url"`
		}
		if err := json.Unmarshal([]byte(info.Body), &site); err != nil || !strings.HasPrefix(site.Icon, sc.URL) {
			sc.t.Fatalf("the icon is %q: %v", site.Icon, err)
		}
		sc.Visitor().Get(site.Icon).Must(sc.t, 200, "\x89PNG")
		app := sc.App("6d6f62696c65", "notifications,session_info").With("auth_redirect", "discourse://auth_redirect",
			"application_name", "Discourse - Alice's iPhone", "discourse_app", "1").Connect(sc.alice)
		send(app, "GET", "/session/current.json", "").Must(sc.t, 200, `"username":"alice"`, `"unread_notifications":0`)
		sc.notify(root, adminNotifications,
			`{"usernames":["alice","root"],"notification_type":"private_message","topic_id":42,"post_number":1,"slug":"hello","fancy_title":"Hello","data":{"display_username":"root","topic_title":"Hello"}}`).Must(sc.t, 200, `"created":2`)
		sc.notify(root, adminNotifications, `{"username":"alice","notification_type":"mentioned"}`).Must(sc.t, 200,
			`"created":1`)

		send(app, "GET", "/notifications/totals.json", "").Must(sc.t, 200, `"unread_notifications":1`,
			`"unread_personal_messages":1`, `"topic_tracking":{"new":0,"unread":0}`, `"username":"alice"`).MustNot(sc.t, "chat_notifications", "group_inboxes")
		list := send(app, "GET", "/notifications.json?recent=true&limit=25", "").Must(sc.t, 200, `"notification_type":6`,
			`"slug":"hello"`, `"display_username":"root"`, `"seen_notification_id":0`)
		var got struct {
			Notifications []struct {
				ID   int64
				Type int `json:"notification_type"`
			}
		}
		if err := json.Unmarshal([]byte(list.Body),
			&got); err != nil || len(got.Notifications) != 2 || got.Notifications[0].Type != 6 {
			sc.t.Fatalf("the list is %+v: %v", got, err)
		}
		send(app, "GET", "/notifications/totals.json", "").Must(sc.t, 200, `"unread_notifications":0`,
			`"unread_personal_messages":0`) // seen
		send(app, "GET", "/session/current.json", "").Must(sc.t, 200, `"unread_high_priority_notifications":1`)
		send(app, "PUT", "/notifications/read", sprint(`{"id":%d}`, got.Notifications[0].ID)).Must(sc.t, 200,
			`{"success":"OK"}`)
		send(app, "GET", "/session/current.json", "").Must(sc.t, 200, `"unread_high_priority_notifications":0`)
		send(app, "POST", "/user-api-key/revoke", "").Must(sc.t, 200, `{"success":"OK"}`)
		for _, path := range []string{"/notifications/totals.json", "/notifications.json", "/session/current.json"} {
			sc.check(send(app, "GET", path, ""), deadKey)
		}
		sc.check(send(app, "PUT", "/notifications/mark-read", ""), deadKey)
		sc.alice.Get("/notifications.json?filter=unread").Must(sc.t, 200, `"total_rows_notifications":1`)
	})
}

// TestInbox tries what keys, sessions and strangers may do with notifications.
func TestInbox(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(sc *scene) {
		sc.User("root", testkit.Admin)
		sc.User("mod", func(n *accounts.NewUser) { n.Moderator, n.TrustLevel = true, 4 })
		bobUser := sc.User("bob")
		root, mod, bob := sc.Person("root"), sc.Person("mod"), sc.Person("bob")
		sc.Set("allow_user_api_key_scopes", "read|write|notifications|session_info|user_status")
		one := `{"username":"alice","notification_type":1}`
		for who, p := range map[string]*testkit.Person{"a user": sc.alice, "a moderator": mod} {
			sc.refused("AD1 users are notified by administrators only: "+who, denied, func(sc *scene) testkit.Answer {
				return sc.notify(p.At(sc.Site), adminNotifications, one)
			})
		}
		sc.refused("AD1 a stranger notifies", want{status: 403, kind: "not_logged_in"}, func(sc *scene) testkit.Answer {
			return post(sc.Visitor(), adminNotifications, "application/json", one)
		})
		for _, from := range []string{"cross-site", "same-site"} {
			sc.refused("AD2 notify "+from, badCSRF, func(sc *scene) testkit.Answer {
				return sc.notify(root.At(sc.Site), adminNotifications, one, "Sec-Fetch-Site", from)
			})
		}
		rootKey := sc.App("root's", "read,write").Connect(root)
		for _, path := range []string{adminNotifications, "/admin/notifications.json"} {
			sc.refused("AD1 SC13 an administrator's key with write at "+path, notForKeys, func(sc *scene) testkit.Answer {
				return send(rootKey, "POST", path, one)
			})
		}
		sc.refused("422 unknown users", want{status: 422, has: []string{"there is no user ghost"}}, func(sc *scene) testkit.Answer {
			return sc.notify(root.At(sc.Site), adminNotifications, `{"usernames":["alice","ghost"],"notification_type":1}`)
		})
		for name, body := range map[string]string{
			"DB1 NUL": `{"username":"alice","notification_type":1,"slug":"a\u0000b"}`, "DB1 a surrogate": `{"username":"alice","notification_type":1,"fancy_title":"\udead"}`,
			"DB1 no UTF-8": "{\"username\":\"alice\",\"notification_type\":1,\"data\":{\"a\":\"\xff\"}}", "DB3 long text": `{"username":"alice","notification_type":1,"fancy_title":"` + strings.Repeat("x", 60000) + `"}`,
			"DB5 1.0": `{"username":"alice","notification_type":1.0}`, "DB5 1e0": `{"username":"alice","notification_type":1e0}`, "DB5 past int64": `{"username":"alice","notification_type":1,"topic_id":9223372036854775808}`,
		} {
			sc.refused(name+" in a notification", want{status: 400, kind: "invalid_parameters"}, func(sc *scene) testkit.Answer {
				return sc.notify(root.At(sc.Site), adminNotifications, body)
			})
		}
		sc.alice.Get("/notifications.json").Must(sc.t, 200, `"total_rows_notifications":0`)
		sc.row("DB2 text that looks like SQL", func(sc *scene) {
			const odd = `'; DROP TABLE userkeys_users; -- $1 ? $$ \\ :name`
			sc.notify(root.At(sc.Site), "/admin/notifications.json",
				`{"usernames":["alice","bob"],"notification_type":9999,"fancy_title":"`+odd+`","data":{"`+odd+`":"`+odd+`"}}`).Must(sc.t, 200, `"created":2`)
			sc.alice.Get("/notifications.json").Must(sc.t, 200, `"fancy_title":"`+odd+`"`, `"data":{"`+odd+`":"`+odd+`"`)
			events, err := sc.Store.AuditEvents(sc.t.Context(), site.AuditFilter{Limit: 1})
			if err != nil || events[0].Action != "users notified" || events[0].Detail != "type 9999, 2 users: alice, bob" || events[0].Caller.Address == "" {
				sc.t.Errorf("the log has %+v: %v", events, err)
			}
		})
		sc.row("KU7 a cookie beside an invalid key marks nothing", func(sc *scene) {
			r := sc.alice.Request("PUT", "/notifications/mark-read.json", "{}")
			r.Header.Set("User-Api-Key", strings.Repeat("0", 32))
			sc.check(sc.alice.Do(r), deadKey)
			r = sc.alice.Request("PUT", "/notifications/mark-read.json", "{}")
			sc.check(sc.alice.Do(r), badCSRF)
			sc.alice.Get("/notifications.json?filter=unread").Must(sc.t, 200, `"total_rows_notifications":1`)
		})
		sc.row("KU8 Api-Username beside a key", func(sc *scene) {
			app := sc.App("notes", "notifications").Connect(sc.alice)
			app.Call("GET", "/notifications.json", "Api-Username", "bob").Must(sc.t, 200,
				sprint(`"user_id":%d`, sc.Keys()[0].UserID))
			sc.check(app.Call("GET", "/notifications.json?username=bob"), denied)
		})
		sc.row("SC1 each scope opens its own", func(sc *scene) {
			type try struct{ method, path, scopes string }
			for _, c := range []try{
				{"GET", "/notifications", "notifications,read,write"},
				{"GET", "/notifications/totals.json", "notifications,read,write"},
				{"PUT", "/notifications/mark-read.json", "notifications,write"},
				{"PUT", "/notifications/read", "notifications,write"},
				{"GET", "/user-status.json", "user_status,read,write"},
				{"PUT", "/user-status", "user_status,write"},
				{"DELETE", "/user-status.json", "user_status,write"},
				{"POST", "/do-not-disturb.json", "write"},
				{"DELETE", "/do-not-disturb", "write"},
				{"GET", "/u/alice.json", "read,write"},
				{"GET", "/session/current", "session_info,read,write"},
			} {
				for _, scope := range []string{"notifications", "read", "write", "session_info", "user_status"} {
					app := sc.App("of "+scope, scope).Connect(sc.alice)
					a := send(app, c.method, c.path, `{"id":1,"emoji":"e","description":"d","duration":5}`)
					if open := slices.Contains(strings.Split(c.scopes, ","),
						scope); (a.StatusCode == 200) != open || !open && a.StatusCode != 403 {
						sc.t.Errorf("%s %s with %s: %d %.200s", c.method, c.path, scope, a.StatusCode, a.Body)
					}
				}
			}
		})
		sc.row("do not disturb ends by itself", func(sc *scene) {
			app := sc.App("quiet", "write,session_info").Connect(sc.alice)
			var until struct {
				At string `json:"ends_at"`
			}
			a := send(app, "POST", "/do-not-disturb.json", `{"duration":60}`).Must(sc.t, 200)
			if err := json.Unmarshal([]byte(a.Body), &until); err != nil || until.At == "" {
				sc.t.Fatalf("%s: %v", a.Body, err)
			}
			sc.alice.Get("/session/current.json").Must(sc.t, 200, `"do_not_disturb_until":"`+until.At+`"`)
			sc.Clock.Pass(time.Hour)
			sc.alice.Get("/session/current.json").Must(sc.t, 200).MustNot(sc.t, "do_not_disturb")
			sc.check(sc.alice.Do(sc.alice.Request("POST", "/do-not-disturb.json", `{"duration":60}`)), badCSRF)
			sc.check(sc.Visitor().Do(sc.Visitor().Request("POST", "/do-not-disturb.json", `{"duration":60}`)),
				want{status: 403, kind: "not_logged_in"})
		})
		sc.row("W20 keys are listed to their owner and administrators, at a browser", func(sc *scene) {
			sc.alice.Get("/u/alice.json").Must(sc.t, 200, `"application_name":"App victim"`, `"user_api_keys":[{`).MustNot(sc.t,
				sc.victim.Key.Reveal(), "hash")
			root.At(sc.Site).Get("/u/alice.json").Must(sc.t, 200, `"user_api_keys":[{`)
			for _, a := range []testkit.Answer{
				bob.At(sc.Site).Get("/u/alice.json"), mod.At(sc.Site).Get("/u/alice.json"),
				sc.App("reader", "read").Connect(sc.alice).Call("GET", "/u/alice.json"),
			} {
				a.Must(sc.t, 200, `"username":"alice"`).MustNot(sc.t, "user_api_keys", "App victim", "email")
			}
			sc.check(sc.Visitor().Get("/u/alice.json"), want{status: 403, kind: "not_logged_in"})
		})
		sc.row("a status ends by itself", func(sc *scene) {
			app := sc.App("status", "user_status").Connect(sc.alice)
			ends := sc.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			send(app, "PUT", "/user-status.json", `{"emoji":"tooth","description":"out","ends_at":"`+ends+`"}`).Must(sc.t, 200)
			sc.alice.Get("/user-status.json").Must(sc.t, 200, `"description":"out"`)
			sc.Clock.Pass(time.Hour)
			if a := sc.alice.Get("/user-status.json").Must(sc.t, 200); strings.TrimSpace(a.Body) != "null" {
				sc.t.Errorf("after its end: %s", a.Body)
			}
		})
		sc.row("KU9 RV9 what belongs to a deleted user is gone", func(sc *scene) {
			app := sc.App("bob's", "notifications").Connect(bob.At(sc.Site))
			app.Call("GET", "/notifications.json").Must(sc.t, 200, `"total_rows_notifications":1`)
			if err := sc.Identity.Delete(sc.t.Context(), bobUser.ID, testkit.Command); err != nil {
				sc.t.Fatal(err)
			}
			sc.Clock.Pass(2 * time.Second)
			sc.check(app.Call("GET", "/notifications.json"), deadKey)
			sc.check(sc.notify(root.At(sc.Site), adminNotifications, `{"username":"bob","notification_type":1}`),
				want{status: 422})
		})
		sc.row("a database that fails says so, and marks nothing", func(sc *scene) {
			sc.notify(root.At(sc.Site), adminNotifications, one).Must(sc.t, 200)
			sc.exec("ALTER TABLE userkeys_notifications RENAME TO gone")
			a := sc.alice.Get("/notifications.json")
			b := sc.notify(root.At(sc.Site), adminNotifications, one)
			sc.exec("ALTER TABLE gone RENAME TO userkeys_notifications")
			if a.StatusCode < 500 || b.StatusCode < 500 || strings.Contains(a.Body+b.Body, "userkeys_") {
				sc.t.Errorf("%d %s; %d %s", a.StatusCode, a.Body, b.StatusCode, b.Body)
			}
			sc.alice.Get("/notifications.json?filter=unread").Must(sc.t, 200, `"total_rows_notifications":1`)
		})
		sc.row("an announcement is made once, whoever asks again", func(sc *scene) {
			const hello = `{"usernames":["root","alice"],"title":"Hello","excerpt":"all","link":"/t/1","from":"root","idempotency_key":"7f1c"}`
			ids := func(a testkit.Answer) (got struct{ IDs []int64 }) {
				if err := json.Unmarshal([]byte(a.Must(sc.t, 200, `"created":2`).Body), &got); err != nil {
					sc.t.Fatal(err)
				}
				return got
			}
			first := ids(sc.notify(root.At(sc.Site), adminNotifications, hello))
			again := ids(sc.notify(root.At(sc.Site), "/admin/notifications.json", hello).Must(sc.t, 200, `"repeated":true`,
				`"queued":0`))
			if !slices.Equal(first.IDs, again.IDs) {
				sc.t.Errorf("first %v, again %v", first, again)
			}
			sc.check(sc.notify(root.At(sc.Site), adminNotifications, strings.Replace(hello, "all", "some", 1)),
				want{status: 409})
			sc.check(sc.notify(root.At(sc.Site), adminNotifications, hello, "Idempotency-Key", "other"),
				want{status: 400, kind: "invalid_parameters"})
			sc.alice.Get("/notifications.json?filter_by_types=custom").Must(sc.t, 200, `"total_rows_notifications":1`,
				`"excerpt":"all"`)
			own := strings.Replace(hello, "/t/1", sc.URL+"/t/1", 1)
			sc.notify(root.At(sc.Site), adminNotifications, strings.Replace(own, "7f1c", "7f1d", 1)).Must(sc.t, 200,
				`"repeated":false`)
		})
	})
}

// TestEndpointsBeforeAWebsite checks which paths the site answers itself before an upstream.
func TestEndpointsBeforeAWebsite(t *testing.T) {
	t.Parallel()
	paths := append(server.EndpointPaths(), "/u/alice.json", "/admin/notifications.json")
	behind(t, func(sc *scene, up *testkit.Upstream) {
		for _, path := range paths {
			if path == "/session/current.json" {
				continue // the scene's own
			}
			sc.alice.Get(path).Must(sc.t, 200, "target="+path)
		}
		up.Take()
		sc.User("root", testkit.Admin)
		sc.notify(sc.Person("root"), adminNotifications, `{"username":"alice","notification_type":1}`).Must(sc.t, 200)
		if got := up.Take(); len(got) != 0 {
			sc.t.Errorf("the upstream got %+v", got)
		}
	})
	behind(t, func(sc *scene, up *testkit.Upstream) {
		for _, path := range paths {
			if path == "/session/" || path == "/message-bus/" { // all below it
				continue
			}
			method := "GET"
			switch {
			case strings.Contains(path, "read"):
				method = "PUT"
			case path == "/events":
				method = "HEAD" // which does not wait
			}
			a := sc.alice.Do(sc.alice.Request(method, path, ""))
			if strings.Contains(a.Body, "target=") || a.StatusCode == 404 {
				sc.t.Errorf("%s: %d %.100s", path, a.StatusCode, a.Body)
			}
		}
		sc.alice.Get("/u/alice/summary.json").Must(sc.t, 404) // --own /u/* takes all below it
		sc.alice.Get("/notifications/other").Must(sc.t, 200, "target=")
		if got := up.Take(); len(got) != 1 {
			sc.t.Errorf("the upstream got %+v", got)
		}
	}, own(append(server.EndpointPaths(), "/u/*", "/admin/notifications.json")...))
}
