package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/site"
)

// pagesOnly are the routes that answer a browser only; all others are in the document.
var pagesOnly = []string{
	"GET /{$}", "GET /my/apps", "GET /my/account", "GET /my/apps/new", "POST /my/apps/new", "GET /login", "POST /login", "POST /logout", "GET /user-api-key/login", "POST /user-api-key/login", "POST /user-api-key/logout",
	"GET /user-api-key/setup", "POST /user-api-key/setup", "GET /user-api-key/settings", "POST /user-api-key/settings", "GET /user-api-key/assets/{name}",
	"GET /u/{username}/preferences/apps", "POST /user-api-key/revoke-all", "GET /healthz", "HEAD /user-api-key/new",
	"GET /user-api-key/admin/api-keys", "POST /user-api-key/admin/api-keys", "POST /user-api-key/admin/api-keys/revoke",
	"POST /user-api-key/push-test", "POST /user-api-key/push-resume", "GET /user-api-key/deliveries",
	"POST /user-api-key/deliveries/replay", "POST /user-api-key/deliveries/discard", "POST /user-api-key/deliveries/resume",
	"GET /user-api-key/login/{name}", "POST /user-api-key/login/{name}", "GET /user-api-key/login/{name}/callback",
	"GET /user-api-key/sign-in-link", "POST /user-api-key/sign-in-link",
	"GET /user-api-key/denied", "GET /session/otp/{password}", "POST /session/otp/{password}", "GET /api_key/generate",
}

// oneWay stands for a site where people sign in through a provider.
type oneWay struct{ server.Logins }

func (oneWay) Choices() []site.LoginChoice {
	return []site.LoginChoice{{Name: "id", Title: "Example ID"}}
}

// TestOpenAPIKnowsEveryRoute: what answers in JSON is in the document, and nothing else is.
// That the answers are as it says is held by every scenario of test, whose browser reads it.
func TestOpenAPIKnowsEveryRoute(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(server.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, methods := range doc.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+path] = false
		}
	}
	skip := map[string]bool{}
	for _, p := range pagesOnly {
		skip[p] = true
	}
	withProviders := func(c *server.Config) {
		c.Own = struct{ server.OwnAccounts }{}
		c.Logins, c.Links, c.Sync = oneWay{}, struct{ server.SignInLinks }{}, struct{ server.UserSync }{}
	}
	for _, rt := range fakesite.NewWithBus(t, withProviders).Door.Routes() {
		if skip[rt.Pattern] {
			skip[rt.Pattern] = false
			continue
		}
		name := rt.Pattern
		if _, ok := described[name]; !ok {
			name += ".json"
		}
		if _, ok := described[name]; !ok {
			t.Errorf("the document lacks %s", rt.Pattern)
			continue
		}
		described[name] = true
	}
	for name, answered := range described {
		if !answered {
			t.Errorf("the document has %s, which nothing answers", name)
		}
	}
	for name, unused := range skip {
		if unused {
			t.Errorf("there is no route %s", name)
		}
	}
}
