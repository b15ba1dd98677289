package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/site"
)

// asRoot is a JSON call of an administrator's session.
func asRoot(method, path, body string) call {
	c := jsonCall(method, path, body)
	c.as, c.header[tokenHeader], c.header["Origin"] = "root", "token-of-root", "https://site.example"
	return c
}

func TestAdminKeyMadeByTheAPI(t *testing.T) {
	t.Parallel()
	const path = "/user-api-key/admin/api-keys.json"
	f := withAdminKeys(t)
	a := f.do(asRoot("POST", path, `{"description":"deploy","username":"root"}`))
	a.must(t, 200, `{"key":{"id":5,"key":"newkey5","description":"deploy","username":"root","permissions":[],"created_at":"2026-11-22T12:00:00Z","last_used_at":null,"expires_at":null,"revoked_at":null}}`)
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("AD12 the answer with the key may be kept")
	}
	f.do(call{path: path}.by(adminText("root"), "")).must(t, 200, `"description":"deploy"`).mustNot(t, "newkey5")
	f.do(asRoot("POST", path, `{"description":"narrow","permissions":["audit","users"],"expires_at":"2026-12-01T00:00:00Z"}`)).
		must(t, 200, `"username":null,"permissions":["users","audit"]`, `"expires_at":"2026-12-01T00:00:00Z"`)
	f.do(asRoot("POST", path, `{"description":"narrow","permissions":"keys"}`)).must(t, 200, `"permissions":["keys"]`)
	for _, tt := range []struct{ body, text string }{
		{`{}`, "description"},
		{`{"description":"x","user":"root"}`, "there is no field"},
		{`{"description":"x","permissions":["root"]}`, `there is no permission \"root\"`},
		{`{"description":"x","permissions":" , "}`, "no permission is named"},
		{`{"description":"x","expires_at":"tomorrow"}`, "expires_at must be a time"},
		{`{"description":"x","expires_at":1}`, "expires_at must be a time"},
	} {
		if a := f.do(asRoot("POST", path, tt.body)); a.StatusCode != 400 || !strings.Contains(a.text, tt.text) {
			t.Errorf("%s: %d %s", tt.body, a.StatusCode, a.text)
		}
	}
}

// TestNoKeyMakesAdminKeys: what may do little makes nothing that may do all, and nothing that outlives it.
func TestNoKeyMakesAdminKeys(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	for name, c := range map[string]call{
		"bound": call{}.by(adminText("root"), ""), "of anybody": call{}.by(adminText(""), "root"), "an administrator's own": {key: "key-6"},
	} {
		for _, path := range []string{adminKeysPath, adminKeysPath + ".json"} {
			c.method, c.path, c.form = "POST", path, map[string]string{"description": "child"}
			if a := f.do(c); a.StatusCode != http.StatusForbidden || strings.Contains(a.text, "newkey") {
				t.Errorf("%s at %s: %d %s", name, path, a.StatusCode, a.text)
			}
		}
	}
	if len(f.authority.actors) != 0 {
		t.Errorf("something was done: %v", f.authority.actors)
	}
}

// TestAdminKeysWantAFreshSignIn: a browser left open is not enough for what outlives its session.
func TestAdminKeysWantAFreshSignIn(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	make := map[string]string{"description": "backup"}
	page := call{method: "POST", path: adminKeysPath, as: "root", form: make}
	f.identity.since = testNow.Add(-FreshSignIn)
	f.do(page).must(t, 200, "newkey")
	before := len(f.authority.adminKeys)
	for _, since := range []time.Time{testNow.Add(-FreshSignIn - time.Second), {}, testNow.Add(time.Hour)} {
		f.identity.since = since
		const again = `href="/user-api-key/login?again=1&amp;redirect=%2Fuser-api-key%2Fadmin%2Fapi-keys"`
		f.do(call{path: adminKeysPath, as: "root"}).must(t, 200, again, "for root").mustNot(t, `name="description"`)
		f.do(page).must(t, 403, again).mustNot(t, "newkey")
		f.do(asRoot("POST", adminKeysPath+".json", `{"description":"x"}`)).must(t, 403, `"reason":"sign in again"`)
		f.do(call{method: "POST", path: adminKeysPath + "/revoke", as: "root", form: map[string]string{"id": "1"}}).must(t, 303)
	}
	if len(f.authority.adminKeys) != before {
		t.Errorf("%d keys were made", len(f.authority.adminKeys)-before)
	}
	f.do(call{path: "/user-api-key/login?again=1&redirect=/my/apps", as: "root"}).must(t, 200, `name="password"`)
	f.do(call{path: "/user-api-key/login?redirect=/my/apps", as: "root"}).must(t, 303)

	f = newSite(t, notStandalone, func(c *Config) { c.Identity = onlyVisitors{newFakeIdentity()} })
	f.do(call{path: adminKeysPath, as: "root"}).must(t, 200, "userkeys admin-keys add").mustNot(t, `name="description"`)
	f.do(page).must(t, 403, "userkeys admin-keys add").mustNot(t, "newkey")
	f.do(asRoot("POST", adminKeysPath+".json", `{"description":"x"}`)).must(t, 403, `"reason":"the command only"`)
}

func TestAdminKeysPageHasPermissions(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	form := map[string]string{"description": "narrow", "may_audit": "1", "may_users": "1", "days": "30"}
	f.do(call{method: "POST", path: adminKeysPath, as: "root", form: form}).must(t, 200, "newkey1", "users, audit", "22 Dec 2026")
	if k := f.authority.adminKeys[0]; k.Permissions.String() != "users,audit" || !k.ExpiresAt.Equal(testNow.AddDate(0, 0, 30)) {
		t.Errorf("made %+v", k)
	}
	delete(form, "description") // what was chosen stays
	f.do(call{method: "POST", path: adminKeysPath, as: "root", form: form}).must(t, 400, `name="may_audit" value="1" checked`, `<option value="30" selected>`).
		mustNot(t, `name="may_keys" value="1" checked`)
	for _, days := range []string{"0", "-1", "x", "99999"} {
		f.do(call{method: "POST", path: adminKeysPath, as: "root", form: map[string]string{"description": "x", "days": days}}).must(t, 400).mustNot(t, "newkey")
	}
	f.authority.adminKeys[0].ExpiresAt = testNow
	f.do(call{path: adminKeysPath, as: "root"}).must(t, 200, ">expired<")
}

// TestAdminPermissions walks every route that admin API keys may use: each permission opens what names it and nothing else.
func TestAdminPermissions(t *testing.T) {
	t.Parallel()
	inbox := withInbox(t)
	opened := map[site.AdminPermission]int{}
	for _, may := range append(site.AllAdminPermissions(), "") {
		f := newSite(t, inbox)
		f.pushes.fill()
		var named site.AdminPermissions
		if may != "" {
			named = append(named, may)
		}
		key := f.authority.addNarrowKey(named...)
		done := func() int { return len(f.authority.actors) + len(f.users.done) + len(f.pushes.done) }
		for _, rt := range f.server.routes() {
			if !rt.door.adminKeys {
				continue
			}
			c := adminCall(rt)
			if !strings.Contains(rt.pattern, "/admin/") {
				c.method, c.path = concrete(rt.pattern)
			}
			before := done()
			a := f.do(c.by(key, "root"))
			refused := strings.Contains(a.text, `"reason":"missing permission`)
			want := may != "" && rt.door.permission != anyPermission && rt.door.permission != may
			if refused != want || refused && a.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %q: %d %s", rt.pattern, may, a.StatusCode, a.text)
			}
			if refused && done() != before {
				t.Errorf("%s with %q: something was done", rt.pattern, may)
			}
			if !refused && may != "" && rt.door.permission == may {
				opened[may]++
			}
		}
	}
	for _, p := range site.AllAdminPermissions() {
		if opened[p] == 0 && p != site.AdminClients {
			t.Errorf("%s opens nothing", p)
		}
	}
	for _, p := range site.AllAdminPermissions() {
		if permissionSentences[p] == "" {
			t.Errorf("the page says nothing of %s", p)
		}
	}
}

// TestNarrowKeysSpareAdministrators: whoever gives an administrator a password, or makes one, is one.
func TestNarrowKeysSpareAdministrators(t *testing.T) {
	t.Parallel()
	f := withAdminKeys(t)
	users := f.authority.addNarrowKey(site.AdminUsers)
	for name, c := range map[string]call{
		"make":      jsonCall("POST", "users.json", `{"username":"eve","password":"p","admin":true}`),
		"promote":   jsonCall("PUT", "users/alice.json", `{"admin":true}`),
		"password":  jsonCall("PUT", "users/root.json", `{"password":"p"}`),
		"address":   jsonCall("PUT", "users/root.json", `{"email":"eve@example.org"}`),
		"suspend":   jsonCall("POST", "users/root/suspend.json", ``),
		"unsuspend": jsonCall("POST", "users/root/unsuspend.json", ``),
		"delete":    jsonCall("DELETE", "users/root.json", ``),
	} {
		c.path = "/user-api-key/admin/" + c.path
		f.do(c.by(users, "root")).must(t, 403, "not for this admin API key")
		f.do(c.by(adminText("root"), "")).must(t, 403, "not for this admin API key")
		if len(f.users.done) != 0 {
			t.Errorf("%s: %v", name, f.users.done)
		}
	}
	f.do(jsonCall("PUT", "/user-api-key/admin/users/alice.json", `{"password":"p"}`).by(users, "root")).must(t, 200)
	f.do(jsonCall("PUT", "/user-api-key/admin/users/alice.json", `{"admin":true}`).by(adminText(""), "root")).must(t, 200, `"admin":true`)
	f.do(asRoot("PUT", "/user-api-key/admin/users/mod.json", `{"admin":true}`)).must(t, 200, `"admin":true`)
	if !slices.Contains(f.users.done, "password 1 p by 3 admin key") {
		t.Errorf("%v", f.users.done)
	}
}
