package scenario_test

// Granting a key: by a program with an admin API key, without a page.

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

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
		events, err := sc.Store.AuditEvents(sc.t.Context(), 0, 1)
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
