package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// withAdminKeys is a site with users' keys, and admin API keys of root, alice, the moderator and anybody.
func withAdminKeys(t *testing.T) *fakeSite {
	t.Helper()
	f := withKeys(t)
	f.authority.add(site.UserAPIKey{UserID: root.ID, ApplicationName: "Roots", Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: testNow, LastUsedAt: testNow})
	for _, name := range []string{"root", "alice", "mod", ""} {
		f.authority.addAdminKey(name)
	}
	return f
}

// json is a call with a JSON body.
func jsonCall(method, path, body string) call {
	return call{method: method, path: path, body: body, header: map[string]string{"Content-Type": "application/json"}}
}

func (c call) by(adminKey, acts string) call {
	c.adminKey, c.acts = adminKey, acts
	return c
}

// jsonRoute tells a route of the JSON admin API.
func jsonRoute(rt route) bool {
	return rt.who == administrator && rt.door.adminKeys
}

// adminCall is a request that a route of the admin API answers well.
func adminCall(rt route) call {
	method, path := concrete(rt.pattern)
	body := map[string]string{
		"PUT /user-api-key/admin/settings/{name}":    `{"value":"A title"}`,
		"POST /user-api-key/admin/users.json":        `{"username":"carol"}`,
		"PUT /user-api-key/admin/users/{username}":   `{"name":"A."}`,
		"DELETE /user-api-key/admin/settings/{name}": ``,

		"POST /user-api-key/admin/deliveries/replay.json":  `{"all":true}`,
		"POST /user-api-key/admin/deliveries/discard.json": `{"ids":[4,5]}`,
		"POST /user-api-key/admin/deliveries/resume.json":  `{"host":"https://push.example"}`,
	}[rt.pattern]
	path = strings.Replace(path, "/settings/style.css", "/settings/title", 1)
	if !strings.HasSuffix(path, ".json") {
		path += ".json"
	}
	c := jsonCall(method, path, body)
	if body == "" {
		c.header = nil
	}
	return c
}

// TestAD1_AdminAPIByEverybody walks every route of the JSON admin API as everybody.
func TestAD1_AdminAPIByEverybody(t *testing.T) {
	t.Parallel()
	session := func(as string) func(call) call {
		return func(c call) call {
			if c.as = as; as != "" && c.method != http.MethodGet {
				h := map[string]string{tokenHeader: "token-of-" + as}
				for name, value := range c.header {
					h[name] = value
				}
				c.header = h
			}
			return c
		}
	}
	key := func(text string) func(call) call { return func(c call) call { c.key = text; return c } }
	admin := func(text, acts string) func(call) call { return func(c call) call { return c.by(text, acts) } }
	n := 0
	for _, rt := range newSite(t).server.routes() {
		if !jsonRoute(rt) {
			continue
		}
		n++
		for _, who := range []struct {
			name   string
			sends  func(call) call
			status int
			text   string
		}{
			{"anonymous", session(""), 403, "not_logged_in"},
			{"user", session("alice"), 403, "administrator"},
			{"moderator", session("mod"), 403, "administrator"},
			{"administrator", session("root"), 200, ""},
			{"administrator without a token", func(c call) call { c.as = "root"; return c }, 403, "BAD CSRF"},
			{"key", key("key-1"), 403, "not for keys"},
			{"key of an administrator", key("key-6"), 403, "not for keys"},
			{"unknown key", key("key-99"), 403, "invalid key"},
			{"admin key of an administrator", admin(adminText("root"), ""), 200, ""},
			{"admin key of anybody as an administrator", admin(adminText(""), "ROOT"), 200, ""},
			{"admin key of anybody as a user", admin(adminText(""), "alice"), 403, "administrator"},
			{"admin key of anybody as nobody", admin(adminText(""), ""), 403, "invalid Api-Username"},
			{"admin key of a user", admin(adminText("alice"), ""), 403, "administrator"},
			{"admin key of a user as an administrator", admin(adminText("alice"), "root"), 403, "administrator"},
			{"admin key of a moderator", admin(adminText("mod"), ""), 403, "administrator"},
			{"unknown admin key", admin(strings.Repeat("f", 64), "root"), 403, "invalid admin API key"},
			{"unknown admin key beside an administrator's session", func(c call) call { return session("root")(c).by(strings.Repeat("f", 64), "root") }, 403, "invalid admin API key"},
			{"both kinds of keys", func(c call) call { c.key = "key-6"; return c.by(adminText("root"), "") }, 400, "not both"},
		} {
			f := withAdminKeys(t)
			f.pushes.fill()
			c := who.sends(adminCall(rt))
			a := f.do(c)
			status := who.status
			if who.name == "administrator without a token" && c.method == http.MethodGet {
				status = 200
			}
			if status == 200 {
				a.must(t, 200)
				continue
			}
			if a.must(t, status, who.text); t.Failed() {
				t.Fatalf("%s as %s", rt.pattern, who.name)
			}
			if len(f.authority.actors)+len(f.users.done)+len(f.pushes.done) != 0 {
				t.Errorf("%s as %s: something was done: %v %v %v", rt.pattern, who.name, f.authority.actors, f.users.done, f.pushes.done)
			}
		}
	}
	if n != 20 {
		t.Errorf("%d routes were walked; a new one wants a line in adminCall", n)
	}
}

// TestAdminKeysReachNoOtherRoute: where an admin API key is not for, it is
// refused and does not leave the request to the session's cookie.
func TestAdminKeysReachNoOtherRoute(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	for _, rt := range f.server.routes() {
		if rt.door.adminKeys || rt.door == bare {
			continue
		}
		method, path := concrete(rt.pattern)
		c := call{method: method, path: path, as: "root", form: formFor(method)}.by(adminText("root"), "")
		a := f.do(c)
		a.must(t, http.StatusForbidden, `"reason":"not for admin API keys"`, userkeys.NotPermitted)
		if a.Header.Get("Location") != "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s leads somewhere", rt.pattern)
		}
	}
	if len(f.authority.actors) != 0 {
		t.Errorf("something was done: %v", f.authority.actors)
	}
}

func TestAdminKeyStandsAlone(t *testing.T) {
	t.Parallel()
	revoke := func(f *fakeSite, c call) answer {
		c.method, c.path = http.MethodPost, "/user-api-key/revoke.json"
		if c.form == nil && c.body == "" {
			c.form, c.noToken = map[string]string{"id": "1"}, true
		}
		return f.do(c)
	}
	for _, tt := range []struct {
		name   string
		call   call
		status int
		text   string
	}{
		{"W2 without a token or an origin", call{}.by(adminText("root"), ""), 200, "OK"},
		{"the owner's", call{}.by(adminText(""), "alice"), 200, "OK"},
		{"W14 a moderator is no administrator", call{}.by(adminText("mod"), ""), 403, "invalid_access"},
		{"a stranger's", call{}.by(adminText(""), "bob"), 403, "invalid_access"},
		{"KU7 an invalid key beside a session", call{as: "alice"}.by(strings.Repeat("f", 64), "alice"), 403, "invalid admin API key"},
		{"KU7 an empty key beside a session and its token", call{as: "alice", form: map[string]string{"id": "1", tokenField: "token-of-alice"}, header: map[string]string{"Api-Key": " "}}, 403, "invalid admin API key"},
		{"the session beside it says nothing", call{as: "bob"}.by(adminText("root"), ""), 200, "OK"},
		{"a cross-site page cannot send the header unasked, and the key decides", call{header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}}.by(adminText("root"), ""), 200, "OK"},
		{"JSON", call{body: `{"id":"1"}`, header: map[string]string{"Content-Type": "application/json"}}.by(adminText("root"), ""), 200, "OK"},
		{"JSON with a number", call{body: `{"id":1}`, header: map[string]string{"Content-Type": "application/json"}}.by(adminText("root"), ""), 200, "OK"},
		{"a broken body", call{body: `{"id":`, header: map[string]string{"Content-Type": "application/json"}}.by(adminText("root"), ""), 400, "flat JSON"},
		{"KU2 both kinds of keys", call{key: "key-1"}.by(adminText("root"), ""), 400, "not both"},
		{"KU8 a name beside a user's key is ignored", call{key: "key-1", acts: "root", body: `{}`}, 200, "OK"},
	} {
		f := withAdminKeys(t)
		a := revoke(f, tt.call)
		if a.must(t, tt.status, tt.text); t.Failed() {
			t.Fatal(tt.name)
		}
		if revoked := !f.authority.keys[0].RevokedAt.IsZero(); revoked != (tt.status == 200) {
			t.Errorf("%s: revoked is %v", tt.name, revoked)
		}
		if strings.Contains(f.log.String(), adminText("root")) {
			t.Errorf("LK1 %s: the key is in the log", tt.name)
		}
	}
}

func TestAdminKeyIsReadFromItsHeaderAlone(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	text := adminText("root")
	for name, c := range map[string]call{
		"KU4 query":           {path: "/user-api-key/admin/keys.json?api_key=" + text + "&api_username=root"},
		"KU5 bearer":          {path: "/user-api-key/admin/keys.json", header: map[string]string{"Authorization": "Bearer " + text}},
		"KU5 basic":           {path: "/user-api-key/admin/keys.json", header: map[string]string{"Authorization": "Basic cm9vdDp4"}},
		"KU5 other name":      {path: "/user-api-key/admin/keys.json", header: map[string]string{"X-Api-Key": text, "Api-Username": "root"}},
		"KU5 as a user's key": {path: "/user-api-key/admin/keys.json", key: text},
	} {
		if a := f.do(c); a.StatusCode != 403 || strings.Contains(a.text, "application_name") {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
	}
	r := jsonCall("GET", "/session/current.json", "")
	f.do(r.by(text, "")).must(t, 200, `"username":"root"`)
	if h := f.do(r.by(text, "")).Header.Get("X-Discourse-Username"); h != "root" {
		t.Errorf("X-Discourse-Username is %q", h)
	}
	f.do(call{path: "/session/current.json", acts: "root"}).must(t, 404) // a name alone is nobody
	if !strings.Contains(f.log.String(), "admin_key=1") {
		t.Errorf("the log does not tell which key it was: %s", f.log)
	}
	f.authority.down = errDown
	f.do(r.by(text, "")).must(t, 503, "read_only")
	f.do(call{path: "/healthz"}.by(text, "")).must(t, 200) // whoever asks
}

func TestTwoAdminKeyHeaders(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	for _, name := range []string{site.AdminKeyHeader, site.AdminUsernameHeader} {
		a := f.do(call{path: "/session/current.json", adminKey: adminText(""), acts: "alice", twice: name})
		a.must(t, 400, "once")
	}
}

// TestAD2 is what protects an administrator's session on the methods that forms do not have.
func TestAD2_CVE_2026_27589_AdminAPIOfASession(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"PUT", "DELETE"} {
		for _, tt := range []struct {
			name   string
			header map[string]string
			ok     bool
		}{
			{"token", map[string]string{tokenHeader: "token-of-root", "Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}, true},
			{"no token", map[string]string{"Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}, false},
			{"another's token", map[string]string{tokenHeader: "token-of-alice", "Origin": "https://site.example"}, false},
			{"cross-site", map[string]string{tokenHeader: "token-of-root", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, false},
			{"same-site", map[string]string{tokenHeader: "token-of-root", "Origin": "https://a.site.example", "Sec-Fetch-Site": "same-site"}, false},
		} {
			f := withAdminKeys(t)
			c := jsonCall(method, "/user-api-key/admin/settings/title.json", `{"value":"T"}`)
			c.as = "root"
			for name, value := range tt.header {
				c.header[name] = value
			}
			if a := f.do(c); tt.ok {
				a.must(t, 200, `"setting"`)
			} else if a.text != `["BAD CSRF"]` || a.StatusCode != 403 {
				t.Errorf("%s %s: %d %s", method, tt.name, a.StatusCode, a.text)
			}
		}
	}
}

func TestAdminAPISettings(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	f.authority.pinned["max_user_api_keys_per_user"] = true
	set := func(name, body string) answer {
		return f.do(jsonCall("PUT", "/user-api-key/admin/settings/"+name, body).by(adminText("root"), ""))
	}
	set("title.json", `{"value":"My <site>"}`).must(t, 200, `"value":"My <site>"`, `"changed":true`)
	set("max_user_api_reqs_per_minute.json", `{"value":30}`).must(t, 200, `"value":"30"`)
	set("allow_user_api_keys.json", `{"value":false}`).must(t, 200, `"value":"false"`)
	set("allow_user_api_key_scopes.json", `{"value":["read","write"]}`).must(t, 200, `"value":"read|write"`)
	set("min_trust_level_for_user_api_key.json", `{"value":2}`).must(t, 200, `"name":"user_api_key_allowed_groups"`, `trust_level_2`)
	set("push_api_secret_key.json", `{"value":"planted-secret"}`).must(t, 200, `"value":null`, `"set":true`)
	want := site.Caller{User: root, AdminKey: 1, Address: "192.0.2.1"}
	for _, by := range f.authority.actors {
		if diff := cmp.Diff(want, by); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	list := f.do(call{path: "/user-api-key/admin/settings.json"}.by(adminText("root"), ""))
	list.must(t, 200, `"name":"title"`, `"kind":"int","value":"30","set":true,"default":"20","min":0,"max":10000,"changed":true`, `"pinned":true`)
	list.mustNot(t, "planted-secret")
	for _, tt := range []struct {
		name, file, body string
		status           int
		text             string
	}{
		{"AD3 no setting", "name;drop.json", `{"value":"1"}`, 404, "there is no setting"},
		{"no .json", "title", `{"value":"1"}`, 404, "it ends with .json"},
		{"no value", "title.json", `{}`, 400, "value"},
		{"null", "title.json", `{"value":null}`, 400, "value"},
		{"a misspelled field", "title.json", `{"values":"x"}`, 400, `there is no field`},
		{"a wrong value", "max_user_api_reqs_per_minute.json", `{"value":"many"}`, 400, "whole number"},
		{"pinned", "max_user_api_keys_per_user.json", `{"value":"7"}`, 409, "configuration"},
		{"an empty secret", "push_api_secret_key.json", `{"value":""}`, 400, "DELETE"},
		{"a nested value", "title.json", `{"value":{"a":"b"}}`, 400, "flat JSON"},
		{"a list of numbers", "title.json", `{"value":[1]}`, 400, "flat JSON"},
		{"a list with a separator", "allow_user_api_key_scopes.json", `{"value":["read|write"]}`, 400, "flat JSON"},
		{"a list without end", "title.json", `{"value":["a"`, 400, "flat JSON"},
		{"no UTF-8", "title.json", "{\"value\":[\"\xff\"]}", 400, "flat JSON"},
		{"DB1 NUL", "title.json", `{"value":["\u0000"]}`, 400, "flat JSON"},
		{"twice", "title.json", `{"value":"a","value":"b"}`, 400, "flat JSON"},
	} {
		if a := set(tt.file, tt.body); a.StatusCode != tt.status || !strings.Contains(a.text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	f.do(call{method: "DELETE", path: "/user-api-key/admin/settings/title.json"}.by(adminText("root"), "")).must(t, 200, `"value":"userkeys"`, `"changed":false`)
}

func TestAdminAPIUsers(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	do := func(method, path, body string) answer {
		return f.do(jsonCall(method, "/user-api-key/admin/"+path, body).by(adminText("root"), ""))
	}
	do("POST", "users.json", `{"username":"carol.json","name":"C.","email":"c@example.org","trust_level":3,"moderator":true,"active":false,"groups":["a","b"],"password":"planted-password"}`).
		must(t, 200, `{"user":{"id":5,"username":"carol.json","name":"C.","email":"c@example.org","trust_level":3,"admin":false,"moderator":true,"active":false,"groups":["a","b"],"suspended_at":null`)
	do("GET", "users/carol.json.json", "").must(t, 200, `"id":5`)
	do("GET", "users/carol.json", "").must(t, 404, "no user of that name") // that is carol's address
	do("PUT", "users/carol.json.json", `{"groups":"c|d"}`).must(t, 200, `"groups":["c","d"]`, `"admin":false`, `"email":"c@example.org"`, `"trust_level":3`)
	do("PUT", "users/carol.json.json", `{"groups":[]}`).must(t, 200, `"groups":[]`)
	do("PUT", "users/alice.json", `{"password":"planted-password"}`).must(t, 200, `"username":"alice"`).mustNot(t, "planted-password")
	do("POST", "users/alice/suspend.json", "").must(t, 200) // programs send the type also without a body
	f.do(call{method: "POST", path: "/user-api-key/admin/users/alice/suspend.json"}.by(adminText("root"), "")).must(t, 200, `"suspended_at":"2026-11-22T12:00:00Z"`)
	f.do(call{method: "POST", path: "/user-api-key/admin/users/alice/unsuspend.json"}.by(adminText("root"), "")).must(t, 200, `"suspended_at":null`)
	f.do(call{method: "DELETE", path: "/user-api-key/admin/users/bob.json"}.by(adminText("root"), "")).must(t, 200, "OK")
	if diff := cmp.Diff([]string{
		"create carol.json planted-password by 3 admin key", "update by 3 admin key", "update by 3 admin key",
		"password 1 planted-password by 3 admin key", "update by 3 admin key", "update by 3 admin key", "update by 3 admin key", "delete 2 by 3 admin key",
	}, f.users.done); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	f.users.done = nil
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"no name", "POST", "users.json", `{"name":"x"}`, 400, "username"},
		{"a misspelled field", "POST", "users.json", `{"username":"x","trustlevel":1}`, 400, `there is no field \"trustlevel\"`},
		{"no boolean", "POST", "users.json", `{"username":"x","admin":"yes"}`, 400, "admin must be true or false"},
		{"no number", "POST", "users.json", `{"username":"x","trust_level":"high"}`, 400, "a trust level is 0 to 4"},
		{"an unknown user", "PUT", "users/nobody.json", `{"name":"x"}`, 404, "no user of that name"},
		{"nothing to change", "PUT", "users/alice.json", `{}`, 400, "nothing is to be changed"},
		{"a password among others", "PUT", "users/alice.json", `{"name":"x","password":"p"}`, 400, "a request of its own"},
		{"a wrong value changes nothing", "PUT", "users/alice.json", `{"name":"x","admin":"maybe"}`, 400, "true or false"},
		{"no .json", "GET", "users/alice", "", 404, "it ends with .json"},
		{"DB1 a name that is no text", "GET", "users/%ff.json", "", 404, "nothing at this address"},
		{"an unknown verb", "POST", "users/alice/promote.json", "", 404, "nothing at this address"},
		{"an unknown method", "PATCH", "users/alice.json", "{}", 405, "DELETE, GET, HEAD, PUT"},
	} {
		if a := do(tt.method, tt.path, tt.body); a.StatusCode != tt.status || !strings.Contains(a.text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	if len(f.users.done) != 0 {
		t.Errorf("something was done: %v", f.users.done)
	}
	if strings.Contains(f.log.String(), "planted-password") {
		t.Error("LK1 a password is in the log")
	}
}

func TestAdminAPILists(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	f.authority.events = []site.AuditEvent{
		{ID: 1, At: testNow, Caller: site.Caller{As: site.CallerSystem}, Action: "purged"},
		{ID: 2, At: testNow, Caller: site.Caller{User: root, Address: "192.0.2.1"}, Action: "key revoked", UserID: 1, KeyID: 3, ClientID: "c", Detail: "admin"},
	}
	get := func(path string) answer {
		return f.do(call{path: "/user-api-key/admin/" + path}.by(adminText("root"), ""))
	}
	get("audit.json").must(t, 200, `{"events":[{"id":2,"at":"2026-11-22T12:00:00Z","actor":{"kind":"user","user_id":3,"ip":"192.0.2.1","admin":true},"action":"key revoked","user_id":1,"key_id":3,"client_id":"c","detail":"admin"},{"id":1,`, `"next":null`)
	get("audit.json?limit=1").must(t, 200, `"next":2`)
	get("audit.json?limit=1&before=2").must(t, 200, `"id":1`)
	get("users.json?filter=o&limit=1").must(t, 200, `"username":"bob"`, `"next":2`)
	get("users.json?filter=o&limit=1&after=2").must(t, 200, `"username":"root"`)
	get("users.json?filter=nobody").must(t, 200, `{"next":null,"users":[]}`)
	get("keys.json?user=alice&live=true").must(t, 200, `"username":"alice"`).mustNot(t, "key-1")
	get("keys.json?user_id=2").must(t, 200, `"username":"bob"`).mustNot(t, `"username":"alice"`)
	get("keys.json?limit=1").must(t, 200, `"next":`)
	get("api-keys.json").must(t, 200, `"description":"for root"`).mustNot(t, adminText("root"))
	get("api-keys.json?limit=1&before=3").must(t, 200, `"id":2`, `"next":2`)
	for _, tt := range []struct{ name, path, text string }{
		{"AD4 a cursor that is no id", "audit.json?before=1%27", "before must be a whole number"},
		{"AD4 a negative cursor", "users.json?after=-1", "after must be a whole number"},
		{"AD4 a cursor in another spelling", "keys.json?before=01", "before must be"},
		{"AD4 a cursor past all numbers", "keys.json?before=99999999999999999999", "before must be"},
		{"AD4 a cursor of SQL", "api-keys.json?before=1;drop", "not well-formed"},
		{"a limit of zero", "users.json?limit=0", "limit must be"},
		{"a limit too high", "users.json?limit=1001", "limit must be a whole number from 1 to 1000"},
		{"AD3 a filter of 10 KB", "users.json?filter=" + strings.Repeat("x", 10_000), "longer than 1024 bytes"},
		{"AD3 a filter that is no text", "users.json?filter=%00", "no text"},
		{"AD3 an unknown filter", "users.json?sort=name", `no parameter \"sort\"; it has filter, after, limit`},
		{"a filter twice", "users.json?filter=a&filter=b", "twice"},
		{"no boolean", "keys.json?live=maybe", "live must be true or false"},
		{"a user in two ways", "keys.json?user=alice&user_id=2", "user_id"},
		{"broken encoding", "keys.json?user=%zz", "not well-formed"},
	} {
		if a := get(tt.path); a.StatusCode != 400 || !strings.Contains(a.text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	get("keys.json?user=nobody").must(t, 404, "no user of that name")
	f.do(call{method: "POST", path: "/user-api-key/admin/keys/1/revoke.json"}.by(adminText("root"), "")).must(t, 200, "OK")
	f.do(call{method: "POST", path: "/user-api-key/admin/api-keys/2/revoke.json"}.by(adminText("root"), "")).must(t, 200, "OK")
	for _, id := range []string{"0", "-1", "01", "x", "99999999999999999999", "999"} {
		f.do(call{method: "POST", path: "/user-api-key/admin/keys/" + id + "/revoke.json"}.by(adminText("root"), "")).must(t, 404)
		f.do(call{method: "POST", path: "/user-api-key/admin/api-keys/" + id + "/revoke.json"}.by(adminText("root"), "")).must(t, 404)
	}
	f.do(call{path: "/session/current.json"}.by(adminText("alice"), "")).must(t, 403, "invalid admin API key")
}

func TestWithoutAccountsThereAreNoUserRoutes(t *testing.T) {
	t.Parallel()
	f := newSite(t, func(c *Config) { c.Accounts = nil })
	f.authority.addAdminKey("root")
	f.do(call{path: "/user-api-key/admin/users.json"}.by(adminText("root"), "")).must(t, 404, "nothing at this address")
	f.do(call{path: "/user-api-key/admin/keys.json?user=alice"}.by(adminText("root"), "")).must(t, 400, "user_id")
	f.do(call{path: "/user-api-key/admin/keys.json"}.by(adminText("root"), "")).must(t, 200)
}

func TestAdminKeysPage(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: adminKeysPath, as: "root"}).must(t, 200, "There are no API keys", `href="/user-api-key/admin/api-keys"`)
	f.do(call{path: "/my/apps", as: "alice"}).mustNot(t, adminKeysPath)
	made := f.do(call{method: "POST", path: adminKeysPath, as: "root", form: map[string]string{"description": `<b>backup</b>`, "username": ""}})
	made.must(t, 200, `<code id="user-api-key-payload">newkey1</code>`, "only this once", "&lt;b&gt;backup", "any user")
	if p, c := made.Header.Get("Referrer-Policy"), made.Header.Get("Cache-Control"); p != "no-referrer" || c != "no-store" {
		t.Errorf("AD12 the page with the key: Referrer-Policy %s, Cache-Control %s", p, c)
	}
	f.do(call{method: "POST", path: adminKeysPath, as: "root", form: map[string]string{"description": "of root", "username": "root"}}).must(t, 200, "newkey2")
	page := f.do(call{path: adminKeysPath, as: "root"})
	page.must(t, 200, "&lt;b&gt;backup", "of root", "not used yet")
	page.mustNot(t, "newkey1", "newkey2", "<b>backup")
	for _, tt := range []struct {
		form map[string]string
		text string
	}{
		{map[string]string{"username": "root"}, "Say what the key is for"},
		{map[string]string{"description": "for it", "username": "nobody"}, "There is no such user."},
	} {
		a := f.do(call{method: "POST", path: adminKeysPath, as: "root", form: tt.form})
		a.must(t, 400, tt.text, `value="`+tt.form["username"]+`"`, `value="`+tt.form["description"]+`"`)
		a.mustNot(t, "newkey")
	}
	revoked := f.do(call{method: "POST", path: adminKeysPath + "/revoke", as: "root", form: map[string]string{"id": "1"}})
	revoked.must(t, 303)
	f.do(call{path: revoked.Header.Get("Location"), as: "root"}).must(t, 200, "is refused from now on", ">revoked<")
	f.do(call{method: "POST", path: adminKeysPath + "/revoke", as: "root", form: map[string]string{"id": "99"}}).must(t, 404)
	f.do(call{method: "POST", path: adminKeysPath + "/revoke", as: "root", form: map[string]string{"id": "x"}}).must(t, 404)
	if strings.Contains(f.log.String(), "newkey") {
		t.Error("LK1 a key is in the log")
	}
	for range adminKeysShown {
		f.authority.addAdminKey("root")
	}
	f.do(call{path: adminKeysPath, as: "root"}).must(t, 200, `href="/user-api-key/admin/api-keys?before=3"`)
	f.do(call{path: adminKeysPath + "?before=3", as: "root"}).must(t, 200, "of root").mustNot(t, "Older keys")
	f.do(call{path: adminKeysPath + "?before=%27", as: "root"}).must(t, 200, "Older keys") // AD4
}

// FuzzJSONBody: whatever is read means one thing, and can be stored.
func FuzzJSONBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":"b","n":1,"t":true,"f":false,"z":null,"l":["x","y"],"e":[]}`, `{"a":["b"`, `{"a":[[]]}`, `{"a":[{}]}`, `{"a":["b|c"]}`,
		`{"a":1,"a":2}`, `{"a":[],"a":"x"}`, `[]`, `{"a":["\ud800"]}`, "{\"a\":[\"\xff\"]}", `{"a":["b"]]}`, `{"a":[null]}`, `{"a":[""]}`, `{"a":{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		texts, others, err := parseJSON(body, true)
		if err != nil {
			if texts != nil || others != nil {
				t.Fatal("a body that was refused has fields")
			}
			return
		}
		for _, fields := range []map[string][]string{texts, others} {
			for name, values := range fields {
				if len(values) != 1 || !userkeys.IsStorable(values[0]) || texts.Has(name) && others.Has(name) {
					t.Fatalf("%q is %q", name, values)
				}
			}
		}
		plain, numbers, err := parseJSON(body, false)
		if err == nil && (cmp.Diff(texts, plain) != "" || cmp.Diff(others, numbers) != "") {
			t.Fatal("without lists the same body means something else")
		}
	})
}
