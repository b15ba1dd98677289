package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/server/admin"
	"userkeys/server/door"
	"userkeys/server/page"
	"userkeys/site"
)

// asRoot is a JSON call of an administrator's session.
func asRoot(method, path, body string) fakesite.Call {
	c := fakesite.JSONCall(method, path, body)
	c.As, c.Header[door.TokenHeader], c.Header["Origin"] = "root", "token-of-root", "https://site.example"
	return c
}

func TestAdminKeyMadeByTheAPI(t *testing.T) {
	t.Parallel()
	const path = "/user-api-key/admin/api-keys.json"
	f := fakesite.NewWithAdminKeys(t)
	a := f.Do(asRoot("POST", path, `{"description":"deploy","username":"root"}`))
	text := fakesite.Decode[struct{ Key struct{ Key string } }](t, a).Key.Key
	a.Must(t, 200, `{"key":{"id":5,"key":"`+text+`","description":"deploy","username":"root","permissions":[],"created_at":"2026-11-22T12:00:00Z","last_used_at":null,"expires_at":null,"revoked_at":null}}`)
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("AD12 the answer with the key may be kept")
	}
	f.Do(fakesite.Call{Path: path}.By(fakesite.AdminText("root"), "")).Must(t, 200, `"description":"deploy"`).MustNot(t, text)
	f.Do(asRoot("POST", path, `{"description":"narrow","permissions":["audit","users"],"expires_at":"2026-12-01T00:00:00Z"}`)).
		Must(t, 200, `"username":null,"permissions":["users","audit"]`, `"expires_at":"2026-12-01T00:00:00Z"`)
	f.Do(asRoot("POST", path, `{"description":"narrow","permissions":"keys"}`)).Must(t, 200, `"permissions":["keys"]`)
	for _, tt := range []struct{ body, text string }{
		{`{}`, "description"},
		{`{"description":"x","user":"root"}`, "there is no field"},
		{`{"description":"x","permissions":["root"]}`, `there is no permission \"root\"`},
		{`{"description":"x","permissions":" , "}`, "no permission is named"},
		{`{"description":"x","expires_at":"tomorrow"}`, "expires_at must be a time"},
		{`{"description":"x","expires_at":1}`, "expires_at must be a time"},
	} {
		if a := f.Do(asRoot("POST", path, tt.body)); a.StatusCode != 400 || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%s: %d %s", tt.body, a.StatusCode, a.Text)
		}
	}
}

// madeKey is what a page has before the text of a key that was just made.
const madeKey = `<code id="user-api-key-payload">`

// newest is the admin API key that was made last.
func newest(t *testing.T, f *fakesite.Site) site.AdminAPIKey {
	t.Helper()
	keys, err := f.AdminKeys(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

// TestNoKeyMakesAdminKeys: what may do little makes nothing that may do all, and nothing that outlives it.
func TestNoKeyMakesAdminKeys(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	for name, c := range map[string]fakesite.Call{
		"bound": fakesite.Call{}.By(fakesite.AdminText("root"), ""), "of anybody": fakesite.Call{}.By(fakesite.AdminText(""), "root"), "an administrator's own": {Key: "key-6"},
	} {
		for _, path := range []string{"/user-api-key/admin/api-keys", "/user-api-key/admin/api-keys.json"} {
			c.Method, c.Path, c.Form = "POST", path, map[string]string{"description": "child"}
			if a := f.Do(c); a.StatusCode != http.StatusForbidden || strings.Contains(a.Text, madeKey) || strings.Contains(a.Text, `"key":`) {
				t.Errorf("%s at %s: %d %s", name, path, a.StatusCode, a.Text)
			}
		}
	}
	f.NothingDone("with keys")
}

// TestAdminKeysWantAFreshSignIn: a browser left open is not enough for what outlives its session.
func TestAdminKeysWantAFreshSignIn(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	make := map[string]string{"description": "backup"}
	form := fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: make}
	f.Identity.Since = fakesite.Now.Add(-server.FreshSignIn)
	f.Do(form).Must(t, 200, madeKey)
	before := f.Count("userkeys_admin_keys")
	for _, since := range []time.Time{fakesite.Now.Add(-server.FreshSignIn - time.Second), {}, fakesite.Now.Add(time.Hour)} {
		f.Identity.Since = since
		const again = `href="/user-api-key/login?again=1&amp;redirect=%2Fuser-api-key%2Fadmin%2Fapi-keys"`
		form.Header = map[string]string{"Referer": "https://site.example/user-api-key/admin/api-keys"}
		f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}).Must(t, 200, again, "for root").MustNot(t, `name="description"`)
		f.Do(form).Must(t, 403, again).MustNot(t, madeKey)
		f.Do(asRoot("POST", "/user-api-key/admin/api-keys"+".json", `{"description":"x"}`)).Must(t, 403, `"reason":"sign in again"`)
		f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys/revoke", As: "root", Form: map[string]string{"id": "1"}}).Must(t, 403)
		f.Do(fakesite.Call{Path: "/user-api-key/settings", As: "root"}).Must(t, 200, `href="/user-api-key/login?again=1&amp;redirect=%2Fuser-api-key%2Fsettings"`)
	}
	if f.Count("userkeys_admin_keys") != before {
		t.Errorf("%d keys were made", f.Count("userkeys_admin_keys")-before)
	}
	f.Do(fakesite.Call{Path: "/user-api-key/login?again=1&redirect=/my/apps", As: "root"}).Must(t, 200, `name="password"`)
	f.Do(fakesite.Call{Path: "/user-api-key/login?redirect=/my/apps", As: "root"}).Must(t, 303)

	f = fakesite.New(t, fakesite.NotStandalone, func(c *server.Config) { c.Identity = fakesite.OnlyVisitors{F: fakesite.NewIdentity()} })
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}).Must(t, 200, "userkeys admin-keys add").MustNot(t, `name="description"`)
	f.Do(form).Must(t, 403, "userkeys admin-keys add").MustNot(t, madeKey)
	f.Do(asRoot("POST", "/user-api-key/admin/api-keys"+".json", `{"description":"x"}`)).Must(t, 403, `"reason":"the command only"`)
}

func TestAdminKeysPageHasPermissions(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	form := map[string]string{"description": "narrow", "may_audit": "1", "may_users": "1", "days": "30"}
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: form}).Must(t, 200, madeKey, "users, audit", "22 Dec 2026")
	if k := newest(t, f); k.Permissions.String() != "users,audit" || !k.ExpiresAt.Equal(fakesite.Now.AddDate(0, 0, 30)) {
		t.Errorf("made %+v", k)
	}
	delete(form, "description") // what was chosen stays
	f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: form}).Must(t, 400, `name="may_audit" value="1" checked`, `<option value="30" selected>`).
		MustNot(t, `name="may_keys" value="1" checked`)
	for _, days := range []string{"0", "-1", "x", "99999"} {
		f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: map[string]string{"description": "x", "days": days}}).Must(t, 400).MustNot(t, madeKey)
	}
	f.Pass(30 * page.Day)
	f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}).Must(t, 200, ">expired<")
}

// TestAdminPermissions walks every route that admin API keys may use: each permission opens what names it and nothing else.
func TestAdminPermissions(t *testing.T) {
	t.Parallel()
	opened := map[site.AdminPermission]int{}
	for _, may := range append(site.AllAdminPermissions(), "") {
		f := fakesite.NewWithInbox(t)
		f.FillOutbox()
		var named site.AdminPermissions
		if may != "" {
			named = append(named, may)
		}
		key := f.AddAdminKey("", named...)
		done := func() int { return len(f.Events()) }
		for _, rt := range f.Door.Routes() {
			if !rt.Lets(door.AdminKey | door.AnyAdminKey) {
				continue
			}
			c := adminCall(rt)
			if !strings.Contains(rt.Pattern, "/admin/") {
				c.Method, c.Path = fakesite.Concrete(rt.Pattern)
			}
			before := done()
			a := f.Do(c.By(key, "root"))
			refused := strings.Contains(a.Text, `"reason":"missing permission`)
			want := may != "" && !rt.Lets(door.AnyAdminKey) && rt.Permission != may && rt.OrPermission != may
			if refused != want || refused && a.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %q: %d %s", rt.Pattern, may, a.StatusCode, a.Text)
			}
			if refused && done() != before {
				t.Errorf("%s with %q: something was done", rt.Pattern, may)
			}
			if !refused && may != "" && rt.Permission == may {
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
		if admin.PermissionSentences[p] == "" {
			t.Errorf("the page says nothing of %s", p)
		}
	}
}

// TestNarrowKeysSpareAdministrators: whoever gives an administrator a password, or makes one, is one.
func TestNarrowKeysSpareAdministrators(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithAdminKeys(t)
	users := f.AddAdminKey("", site.AdminUsers)
	for name, c := range map[string]fakesite.Call{
		"make":      fakesite.JSONCall("POST", "users.json", `{"username":"eve","password":"p","admin":true}`),
		"promote":   fakesite.JSONCall("PUT", "users/alice.json", `{"admin":true}`),
		"password":  fakesite.JSONCall("PUT", "users/root.json", `{"password":"p"}`),
		"address":   fakesite.JSONCall("PUT", "users/root.json", `{"email":"eve@example.org"}`),
		"suspend":   fakesite.JSONCall("POST", "users/root/suspend.json", ``),
		"unsuspend": fakesite.JSONCall("POST", "users/root/unsuspend.json", ``),
		"delete":    fakesite.JSONCall("DELETE", "users/root.json", ``),
	} {
		c.Path = "/user-api-key/admin/" + c.Path
		f.Do(c.By(users, "root")).Must(t, 403, "not for this admin API key")
		f.Do(c.By(fakesite.AdminText("root"), "")).Must(t, 403, "not for this admin API key")
		f.NothingDone(name)
	}
	f.Do(fakesite.JSONCall("PUT", "/user-api-key/admin/users/alice.json", `{"password":"p"}`).By(users, "root")).Must(t, 200)
	f.Do(fakesite.JSONCall("PUT", "/user-api-key/admin/users/alice.json", `{"admin":true}`).By(fakesite.AdminText(""), "root")).Must(t, 200, `"admin":true`)
	f.Do(asRoot("PUT", "/user-api-key/admin/users/mod.json", `{"admin":true}`)).Must(t, 200, `"admin":true`)
	if done := f.Done(); !slices.Contains(done, "password set user 1 (by admin key 5) by 3 admin key") {
		t.Errorf("%q", done)
	}
}
