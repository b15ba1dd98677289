package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// jsonRoute tells a route of the JSON admin API.
func jsonRoute(rt door.Route) bool {
	return rt.As == door.Administrator && rt.Lets(door.AdminKey|door.AnyAdminKey)
}

// adminCall is a request that a route of the admin API answers well.
func adminCall(rt door.Route) fakesite.Call {
	method, path := fakesite.Concrete(rt.Pattern)
	body := map[string]string{
		"PUT /user-api-key/admin/settings/{name}":    `{"value":"A title"}`,
		"POST /user-api-key/admin/users.json":        `{"username":"carol"}`,
		"PUT /user-api-key/admin/users/{username}":   `{"name":"A."}`,
		"DELETE /user-api-key/admin/settings/{name}": ``,

		"POST /user-api-key/admin/deliveries/replay.json":  `{"all":true}`,
		"POST /user-api-key/admin/deliveries/discard.json": `{"ids":[4,5]}`,
		"POST /user-api-key/admin/deliveries/resume.json":  `{"host":"https://push.example"}`,
	}[rt.Pattern]
	path = strings.Replace(path, "/settings/style.css", "/settings/title", 1)
	if !strings.HasSuffix(path, ".json") {
		path += ".json"
	}
	c := fakesite.JSONCall(method, path, body)
	if body == "" {
		c.Header = nil
	}
	return c
}

// TestAD1_AdminAPIByEverybody walks every route of the JSON admin API as everybody.
func TestAD1_AdminAPIByEverybody(t *testing.T) {
	t.Parallel()
	session := func(as string) func(fakesite.Call) fakesite.Call {
		return func(c fakesite.Call) fakesite.Call {
			if c.As = as; as != "" && c.Method != http.MethodGet {
				h := map[string]string{door.TokenHeader: "token-of-" + as}
				for name, value := range c.Header {
					h[name] = value
				}
				c.Header = h
			}
			return c
		}
	}
	key := func(text string) func(fakesite.Call) fakesite.Call {
		return func(c fakesite.Call) fakesite.Call { c.Key = text; return c }
	}
	admin := func(text, acts string) func(fakesite.Call) fakesite.Call {
		return func(c fakesite.Call) fakesite.Call { return c.By(text, acts) }
	}
	n := 0
	for _, rt := range fakesite.New(t).Door.Routes() {
		if !jsonRoute(rt) {
			continue
		}
		n++
		f := fakesite.NewWithAdminKeys(t)
		f.FillOutbox()
		f.Set("allow_user_api_key_scopes", "read|write")
		for _, who := range []struct {
			name   string
			sends  func(fakesite.Call) fakesite.Call
			status int
			text   string
		}{
			{"anonymous", session(""), 403, "not_logged_in"},
			{"user", session("alice"), 403, "administrator"},
			{"moderator", session("mod"), 403, "administrator"},
			{"administrator", session("root"), 200, ""},
			{"administrator without a token", func(c fakesite.Call) fakesite.Call { c.As = "root"; return c }, 403, "BAD CSRF"},
			{"key", key("key-3"), 403, "not for keys"},
			{"key of an administrator", key("key-6"), 403, "not for keys"},
			{"unknown key", key("key-99"), 403, "invalid key"},
			{"admin key of an administrator", admin(fakesite.AdminText("root"), ""), 200, ""},
			{"admin key of anybody as an administrator", admin(fakesite.AdminText(""), "ROOT"), 200, ""},
			{"admin key of anybody as a user", admin(fakesite.AdminText(""), "alice"), 403, "administrator"},
			{"admin key of anybody as nobody", admin(fakesite.AdminText(""), ""), 403, "invalid Api-Username"},
			{"admin key of a user", admin(fakesite.AdminText("alice"), ""), 403, "administrator"},
			{"admin key of a user as an administrator", admin(fakesite.AdminText("alice"), "root"), 403, "invalid Api-Username"},
			{"admin key of a moderator", admin(fakesite.AdminText("mod"), ""), 403, "administrator"},
			{"unknown admin key", admin(strings.Repeat("f", 64), "root"), 403, "invalid admin API key"},
			{"unknown admin key beside an administrator's session", func(c fakesite.Call) fakesite.Call { return session("root")(c).By(strings.Repeat("f", 64), "root") }, 403, "invalid admin API key"},
			{"both kinds of keys", func(c fakesite.Call) fakesite.Call { c.Key = "key-6"; return c.By(fakesite.AdminText("root"), "") }, 400, "not both"},
		} {
			c := who.sends(adminCall(rt))
			if who.status == 200 || who.name == "administrator without a token" && c.Method == http.MethodGet {
				own := fakesite.NewWithAdminKeys(t)
				own.FillOutbox()
				own.Do(c).Must(t, 200)
				continue
			}
			if f.Do(c).Must(t, who.status, who.text); t.Failed() {
				t.Fatalf("%s as %s", rt.Pattern, who.name)
			}
			f.NothingDone(rt.Pattern + " as " + who.name)
		}
	}
	if n != 20 {
		t.Errorf("%d routes were walked; a new one wants a line in adminCall", n)
	}
}

func TestAdminKeyStandsAlone(t *testing.T) {
	t.Parallel()
	revoke := func(f *fakesite.Site, c fakesite.Call) fakesite.Answer {
		c.Method, c.Path = http.MethodPost, "/user-api-key/revoke.json"
		if c.Form == nil && c.Body == "" {
			c.Form, c.NoToken = map[string]string{"id": "1"}, true
		}
		return f.Do(c)
	}
	for _, tt := range []struct {
		name   string
		call   fakesite.Call
		status int
		text   string
	}{
		{"W2 without a token or an origin", fakesite.Call{}.By(fakesite.AdminText("root"), ""), 200, "OK"},
		{"the owner's", fakesite.Call{}.By(fakesite.AdminText(""), "alice"), 200, "OK"},
		{"W14 a moderator is no administrator", fakesite.Call{}.By(fakesite.AdminText("mod"), ""), 403, "invalid_access"},
		{"a stranger's", fakesite.Call{}.By(fakesite.AdminText(""), "bob"), 403, "invalid_access"},
		{"KU7 an invalid key beside a session", fakesite.Call{As: "alice"}.By(strings.Repeat("f", 64), "alice"), 403, "invalid admin API key"},
		{"KU7 an empty key beside a session and its token", fakesite.Call{As: "alice", Form: map[string]string{"id": "1", input.TokenField: "token-of-alice"}, Header: map[string]string{"Api-Key": " "}}, 403, "invalid admin API key"},
		{"the session beside it says nothing", fakesite.Call{As: "bob"}.By(fakesite.AdminText("root"), ""), 200, "OK"},
		{"a cross-site page cannot send the header unasked, and the key decides", fakesite.Call{Header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}}.By(fakesite.AdminText("root"), ""), 200, "OK"},
		{"JSON", fakesite.Call{Body: `{"id":"1"}`, Header: map[string]string{"Content-Type": "application/json"}}.By(fakesite.AdminText("root"), ""), 200, "OK"},
		{"JSON with a number", fakesite.Call{Body: `{"id":1}`, Header: map[string]string{"Content-Type": "application/json"}}.By(fakesite.AdminText("root"), ""), 200, "OK"},
		{"a broken body", fakesite.Call{Body: `{"id":`, Header: map[string]string{"Content-Type": "application/json"}}.By(fakesite.AdminText("root"), ""), 400, "flat JSON"},
		{"KU2 both kinds of keys", fakesite.Call{Key: "key-1"}.By(fakesite.AdminText("root"), ""), 400, "not both"},
		{"KU8 a name beside a user's key is ignored", fakesite.Call{Key: "key-1", Acts: "root", Body: `{}`}, 200, "OK"},
	} {
		f := fakesite.NewWithAdminKeys(t)
		a := revoke(f, tt.call)
		if a.Must(t, tt.status, tt.text); t.Failed() {
			t.Fatal(tt.name)
		}
		if revoked := f.Revoked(1); revoked != (tt.status == 200) {
			t.Errorf("%s: revoked is %v", tt.name, revoked)
		}
		if strings.Contains(f.Log.String(), fakesite.AdminText("root")) {
			t.Errorf("LK1 %s: the key is in the log", tt.name)
		}
	}
}

func TestAdminKeyIsReadFromItsHeaderAlone(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	text := fakesite.AdminText("root")
	for name, c := range map[string]fakesite.Call{
		"KU4 query":           {Path: "/user-api-key/admin/keys.json?api_key=" + text + "&api_username=root"},
		"KU5 bearer":          {Path: "/user-api-key/admin/keys.json", Header: map[string]string{"Authorization": "Bearer " + text}},
		"KU5 basic":           {Path: "/user-api-key/admin/keys.json", Header: map[string]string{"Authorization": "Basic cm9vdDp4"}},
		"KU5 other name":      {Path: "/user-api-key/admin/keys.json", Header: map[string]string{"X-Api-Key": text, "Api-Username": "root"}},
		"KU5 as a user's key": {Path: "/user-api-key/admin/keys.json", Key: text},
	} {
		if a := f.Do(c); a.StatusCode != 403 || strings.Contains(a.Text, "application_name") {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.Text)
		}
	}
	r := fakesite.JSONCall("GET", "/session/current.json", "")
	f.Do(r.By(text, "")).Must(t, 200, `"username":"root"`)
	if h := f.Do(r.By(text, "")).Header.Get("X-Discourse-Username"); h != "root" {
		t.Errorf("X-Discourse-Username is %q", h)
	}
	f.Do(fakesite.Call{Path: "/session/current.json", Acts: "root"}).Must(t, 404) // a name alone is nobody
	if !strings.Contains(f.Log.String(), "admin_key=1") {
		t.Errorf("the log does not tell which key it was: %s", f.Log)
	}
	f.Gone()
	f.Do(r.By(text, "")).Must(t, 503, "read_only")
	f.Do(fakesite.Call{Path: "/healthz"}.By(text, "")).Must(t, 200) // whoever asks
}

func TestTwoAdminKeyHeaders(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	for _, name := range []string{site.AdminKeyHeader, site.AdminUsernameHeader} {
		a := f.Do(fakesite.Call{Path: "/session/current.json", AdminKey: fakesite.AdminText(""), Acts: "alice", Twice: name})
		a.Must(t, 400, "once")
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
			{"token", map[string]string{door.TokenHeader: "token-of-root", "Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}, true},
			{"no token", map[string]string{"Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}, false},
			{"another's token", map[string]string{door.TokenHeader: "token-of-alice", "Origin": "https://site.example"}, false},
			{"cross-site", map[string]string{door.TokenHeader: "token-of-root", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, false},
			{"same-site", map[string]string{door.TokenHeader: "token-of-root", "Origin": "https://a.site.example", "Sec-Fetch-Site": "same-site"}, false},
		} {
			f := fakesite.NewWithAdminKeys(t)
			c := fakesite.JSONCall(method, "/user-api-key/admin/settings/title.json", `{"value":"T"}`)
			c.As = "root"
			for name, value := range tt.header {
				c.Header[name] = value
			}
			if a := f.Do(c); tt.ok {
				a.Must(t, 200, `"setting"`)
			} else if a.Text != `["BAD CSRF"]` || a.StatusCode != 403 {
				t.Errorf("%s %s: %d %s", method, tt.name, a.StatusCode, a.Text)
			}
		}
	}
}

func TestAdminAPISettings(t *testing.T) {
	t.Parallel()
	f := fakesite.NewPinned(t, map[string]string{"max_user_api_keys_per_user": "5"})
	f.AddAdminKeys()
	set := func(name, body string) fakesite.Answer {
		return f.Do(fakesite.JSONCall("PUT", "/user-api-key/admin/settings/"+name, body).By(fakesite.AdminText("root"), ""))
	}
	set("title.json", `{"value":"My <site>"}`).Must(t, 200, `"value":"My <site>"`, `"changed":true`)
	set("max_user_api_reqs_per_minute.json", `{"value":30}`).Must(t, 200, `"value":"30"`)
	set("allow_user_api_keys.json", `{"value":false}`).Must(t, 200, `"value":"false"`)
	set("allow_user_api_key_scopes.json", `{"value":["read","write"]}`).Must(t, 200, `"value":"read|write"`)
	set("min_trust_level_for_user_api_key.json", `{"value":2}`).Must(t, 200, `"name":"user_api_key_allowed_groups"`, `trust_level_2`)
	set("push_api_secret_key.json", `{"value":"planted-secret"}`).Must(t, 200, `"value":null`, `"set":true`)
	for _, e := range f.Events() {
		if by := e.Caller; by.User.ID != fakesite.Root.ID || !by.Admin() || by.Kind() != site.CallerAdminKey || by.Address != "192.0.2.1" || !strings.HasPrefix(e.Detail, "by admin key 1: ") {
			t.Errorf("%s: by %+v", e.Detail, by)
		}
	}
	if n := len(f.Events()); n != 6 {
		t.Errorf("%d settings were changed", n)
	}
	list := f.Do(fakesite.Call{Path: "/user-api-key/admin/settings.json"}.By(fakesite.AdminText("root"), ""))
	list.Must(t, 200, `"name":"title"`, `"kind":"int","value":"30","set":true,"default":"20","min":0,"max":10000,"changed":true`, `"pinned":true`)
	list.MustNot(t, "planted-secret")
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
		if a := set(tt.file, tt.body); a.StatusCode != tt.status || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.Text)
		}
	}
	f.Do(fakesite.Call{Method: "DELETE", Path: "/user-api-key/admin/settings/title.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, `"value":"userkeys"`, `"changed":false`)
}

func TestAdminAPIUsers(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	do := func(method, path, body string) fakesite.Answer {
		return f.Do(fakesite.JSONCall(method, "/user-api-key/admin/"+path, body).By(fakesite.AdminText("root"), ""))
	}
	do("POST", "users.json", `{"username":"carol.json","name":"C.","email":"c@example.org","trust_level":3,"moderator":true,"active":false,"groups":["a","b"],"password":"planted-password"}`).
		Must(t, 200, `{"user":{"id":5,"username":"carol.json","name":"C.","email":"c@example.org","trust_level":3,"admin":false,"moderator":true,"active":false,"groups":["a","b"],"suspended_at":null`)
	do("GET", "users/carol.json.json", "").Must(t, 200, `"id":5`)
	do("GET", "users/carol.json", "").Must(t, 404, "no user of that name") // that is carol's address
	do("PUT", "users/carol.json.json", `{"groups":"c|d"}`).Must(t, 200, `"groups":["c","d"]`, `"admin":false`, `"email":"c@example.org"`, `"trust_level":3`)
	do("PUT", "users/carol.json.json", `{"groups":[]}`).Must(t, 200, `"groups":[]`)
	do("PUT", "users/alice.json", `{"password":"planted-password"}`).Must(t, 200, `"username":"alice"`).MustNot(t, "planted-password")
	do("POST", "users/alice/suspend.json", "").Must(t, 200) // programs send the type also without a body
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/users/alice/suspend.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, `"suspended_at":"2026-11-22T12:00:00Z"`)
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/users/alice/unsuspend.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, `"suspended_at":null`)
	f.Do(fakesite.Call{Method: "DELETE", Path: "/user-api-key/admin/users/bob.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, "OK")
	done := f.Done()
	if diff := cmp.Diff([]string{
		"user created user 5 (by admin key 1: carol.json) by 3 admin key",
		"user updated user 5 (by admin key 1: groups a|b -> c|d) by 3 admin key",
		"user updated user 5 (by admin key 1: groups c|d -> ) by 3 admin key",
		"password set user 1 (by admin key 1) by 3 admin key",
		"user updated user 1 (by admin key 1: suspended) by 3 admin key",
		"user updated user 1 (by admin key 1) by 3 admin key",
		"user updated user 1 (by admin key 1: unsuspended) by 3 admin key",
		"user deleted user 2 (by admin key 1: bob, with 1 keys) by 3 admin key",
	}, done); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
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
		if a := do(tt.method, tt.path, tt.body); a.StatusCode != tt.status || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.Text)
		}
	}
	if now := f.Done(); len(now) != len(done) {
		t.Errorf("something was done: %v", now[len(done):])
	}
	if strings.Contains(f.Log.String(), "planted-password") {
		t.Error("LK1 a password is in the log")
	}
}

func TestAdminAPILists(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/revoke", As: "root", Form: map[string]string{"id": "3"}}).Must(t, 303)
	last := f.Events()[0].ID
	get := func(path string) fakesite.Answer {
		return f.Do(fakesite.Call{Path: "/user-api-key/admin/" + path}.By(fakesite.AdminText("root"), ""))
	}
	get("audit.json").Must(t, 200, fmt.Sprintf(`{"events":[{"id":%d,"at":"2026-11-22T12:00:00Z","actor":{"kind":"user","user_id":3,"ip":"192.0.2.1","admin":true},"action":"key revoked","user_id":1,"key_id":3,"client_id":"client-of-key-3","detail":"admin"},{"id":%d,`, last, last-1), `"next":null`)
	get("audit.json?limit=1").Must(t, 200, fmt.Sprintf(`"next":%d`, last))
	get(fmt.Sprintf("audit.json?limit=1&before=%d", last)).Must(t, 200, fmt.Sprintf(`"id":%d`, last-1))
	get("audit.json?user_id=1&key_id=3&action=key+revoked&since=2026-11-22T12:00:00Z").Must(t, 200, fmt.Sprintf(`{"events":[{"id":%d,`, last), `"next":null`)
	for _, other := range []string{"user_id=99", "key_id=99", "action=key+granted&key_id=3&since=2026-11-22T12:00:00Z", "since=2026-11-22T12:00:00.000001Z"} {
		get("audit.json?"+other).Must(t, 200, `{"events":[],"next":null}`)
	}
	get("users.json?filter=o&limit=1").Must(t, 200, `"username":"bob"`, `"next":2`)
	get("users.json?filter=o&limit=1&after=2").Must(t, 200, `"username":"root"`)
	get("users.json?filter=nobody").Must(t, 200, `{"next":null,"users":[]}`)
	get("keys.json?user=alice&live=true").Must(t, 200, `"username":"alice"`).MustNot(t, fakesite.KeyText("key-1"))
	get("keys.json?user_id=2").Must(t, 200, `"username":"bob"`).MustNot(t, `"username":"alice"`)
	get("keys.json?limit=1").Must(t, 200, `"next":`)
	get("api-keys.json").Must(t, 200, `"description":"for root"`).MustNot(t, fakesite.AdminText("root"))
	get("api-keys.json?limit=1&before=3").Must(t, 200, `"id":2`, `"next":2`)
	for _, tt := range []struct{ name, path, text string }{
		{"AD4 a cursor that is no id", "audit.json?before=1%27", "before must be a whole number"},
		{"a key that is no id", "audit.json?key_id=x", "key_id must be a whole number"},
		{"an action that is none", "audit.json?action=revoked", `did you mean \"key revoked\" or \"admin key revoked\"?`},
		{"a time that is none", "audit.json?since=yesterday", "since must be a time"},
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
		if a := get(tt.path); a.StatusCode != 400 || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.Text)
		}
	}
	get("keys.json?user=nobody").Must(t, 404, "no user of that name")
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/keys/1/revoke.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, "OK")
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/2/revoke.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200, "OK")
	for _, id := range []string{"0", "-1", "01", "x", "99999999999999999999", "999"} {
		f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/keys/" + id + "/revoke.json"}.By(fakesite.AdminText("root"), "")).Must(t, 404)
		f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/" + id + "/revoke.json"}.By(fakesite.AdminText("root"), "")).Must(t, 404)
	}
	f.Do(fakesite.Call{Path: "/session/current.json"}.By(fakesite.AdminText("alice"), "")).Must(t, 403, "invalid admin API key")
}

func TestWithoutAccountsThereAreNoUserRoutes(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t, func(c *server.Config) { c.Accounts = nil })
	f.AddAdminKey("root")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/users.json"}.By(fakesite.AdminText("root"), "")).Must(t, 404, "nothing at this address")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/keys.json?user=alice"}.By(fakesite.AdminText("root"), "")).Must(t, 400, "user_id")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/keys.json"}.By(fakesite.AdminText("root"), "")).Must(t, 200)
}

func TestAdminKeysPage(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}).Must(t, 200, "There are no API keys", `href="/user-api-key/admin/api-keys"`)
	f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).MustNot(t, "/user-api-key/admin/api-keys")
	made := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: map[string]string{"description": `<b>backup</b>`, "username": ""}})
	text := testkit.Inside(t, made.Text, "user-api-key-payload")
	made.Must(t, 200, `<code id="user-api-key-payload">`+text+`</code>`, "only this once", "&lt;b&gt;backup", "any user")
	if p, c := made.Header.Get("Referrer-Policy"), made.Header.Get("Cache-Control"); p != "no-referrer" || c != "no-store" {
		t.Errorf("AD12 the page with the key: Referrer-Policy %s, Cache-Control %s", p, c)
	}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: map[string]string{"description": "of root", "username": "root"}}).Must(t, 200, madeKey)
	page := f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"})
	page.Must(t, 200, "&lt;b&gt;backup", "of root", "not used yet")
	page.MustNot(t, text, madeKey, "<b>backup")
	for _, tt := range []struct {
		form map[string]string
		text string
	}{
		{map[string]string{"username": "root"}, "Say what the key is for"},
		{map[string]string{"description": "for it", "username": "nobody"}, "There is no such user."},
	} {
		a := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: tt.form})
		a.Must(t, 400, tt.text, `value="`+tt.form["username"]+`"`, `value="`+tt.form["description"]+`"`)
		a.MustNot(t, madeKey)
	}
	revoked := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/revoke", As: "root", Form: map[string]string{"id": "1"}})
	revoked.Must(t, 303)
	f.Do(fakesite.Call{Path: revoked.Header.Get("Location"), As: "root"}).Must(t, 200, "is refused from now on", ">revoked<")
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/revoke", As: "root", Form: map[string]string{"id": "99"}}).Must(t, 404)
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/revoke", As: "root", Form: map[string]string{"id": "x"}}).Must(t, 404)
	if strings.Contains(f.Log.String(), text) {
		t.Error("LK1 a key is in the log")
	}
	for range 50 {
		if _, _, err := f.Authority.CreateAdminKey(t.Context(), site.NewAdminAPIKey{Description: "one more"}, testkit.Command); err != nil {
			t.Fatal(err)
		}
	}
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}).Must(t, 200, `href="/user-api-key/admin/api-keys?before=3"`)
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys?before=3", As: "root"}).Must(t, 200, "of root").MustNot(t, "Older keys")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys?before=%27", As: "root"}).Must(t, 200, "Older keys") // AD4
}
