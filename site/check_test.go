package site_test

import (
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// checkCase is a request to a site; the zero values are those that pass.
type checkCase struct {
	name     string
	set      map[string]string // parameters; "-" removes
	settings map[string]string
	client   site.Client
	code     userkeys.Code // empty: it passes
	words    string
}

// run checks one case.
func (c checkCase) run(t *testing.T) site.CheckedRequest {
	t.Helper()
	p := good()
	for name, value := range c.set {
		if p.Set(name, value); value == "-" {
			p.Del(name)
		}
	}
	r, err := site.ParseAuthorizationRequest(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Check(settingsWith(t, c.settings), discourse(t), c.client)
	if c.code != "" {
		mustRefuse(t, err, c.code, c.words)
	} else if err != nil {
		t.Error(err)
	}
	return got
}

func settingsWith(t testing.TB, values map[string]string) site.Settings {
	t.Helper()
	s := site.DefaultSettings()
	for name, value := range values {
		if err := s.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// registered is a client that came by registration.
func registered() site.Client {
	return site.Client{
		ID: 1, ClientID: "c1", ApplicationName: "Registered", PublicKey: otherPublicKey,
		AuthRedirect: "https://app.example/cb", Scopes: userkeys.Scopes{"read"},
	}
}

var listed = map[string]string{"allowed_user_api_auth_redirects": "https://app.example/*"}

func TestCheck(t *testing.T) {
	t.Parallel()
	unregistered := site.Client{ID: 1, ClientID: "c1", ApplicationName: "Stored"}
	write := map[string]string{"allow_user_api_key_scopes": "read|write|gone"}
	for _, c := range []checkCase{
		{name: "plain"},
		{name: "keys are off", settings: map[string]string{"allow_user_api_keys": "false"}, code: userkeys.KeysNotAllowed, words: "unable to issue user api keys"},
		{name: "keys are off is told before the missing public_key", set: map[string]string{"public_key": "-"}, settings: map[string]string{"allow_user_api_keys": "false"}, code: userkeys.KeysNotAllowed, words: "unable"},
		{name: "no public_key", set: map[string]string{"public_key": "-", "application_name": "-"}, code: userkeys.MissingParameter, words: "empty: public_key"},
		{name: "RQ9 invisible public_key", set: map[string]string{"public_key": " \n"}, code: userkeys.MissingParameter, words: "empty: public_key"},
		{name: "no application_name", set: map[string]string{"application_name": "\u200b"}, code: userkeys.MissingParameter, words: "empty: application_name"},
		{name: "T6 the name of an unregistered client is what somebody else was told", set: map[string]string{"application_name": "-"}, client: unregistered, code: userkeys.MissingParameter, words: "application_name"},
		{name: "an unregistered client has no key", set: map[string]string{"public_key": "-"}, client: unregistered, code: userkeys.MissingParameter, words: "public_key"},
		{name: "a registered client needs neither", set: map[string]string{"public_key": "-", "application_name": "-"}, client: registered()},

		{name: "scope not on the site's list", set: map[string]string{"scopes": "read,write"}, code: userkeys.ScopeNotAllowed, words: "does not allow the scope write, only read, notifications, session_info, message_bus, push; an administrator can add it to allow_user_api_key_scopes"},
		{name: "scope on the site's list", set: map[string]string{"scopes": "read,write"}, settings: write},
		{name: "scope on the list that the site does not know", set: map[string]string{"scopes": "gone"}, settings: write, code: userkeys.ScopeNotAllowed, words: "knows no scope gone"},
		{name: "SC2 leading comma", set: map[string]string{"scopes": ",read"}, code: userkeys.ScopeNotAllowed, words: `knows no scope ""`},
		{name: "SC2 inner comma", set: map[string]string{"scopes": "read,,push"}, code: userkeys.ScopeNotAllowed, words: `knows no scope ""`},
		{name: "SC2 space", set: map[string]string{"scopes": "read, push"}, code: userkeys.ScopeNotAllowed, words: `knows no scope " push"`},
		{name: "another case", set: map[string]string{"scopes": "READ"}, code: userkeys.ScopeNotAllowed, words: "knows no scope READ"},
		{name: "SC3 trailing comma", set: map[string]string{"scopes": "read,"}},
		{name: "SC6 name of an internal", set: map[string]string{"scopes": "__proto__"}, code: userkeys.ScopeNotAllowed, words: "__proto__"},
		{name: "ID8 markup in a scope is quoted", set: map[string]string{"scopes": "<script>\u202e"}, code: userkeys.ScopeNotAllowed, words: `"<script>\u202e"`},
		{name: "SC7 scope beyond the client's", set: map[string]string{"scopes": "read,push"}, client: registered(), code: userkeys.ScopeNotAllowed, words: "may not ask for the scope push"},

		{name: "no key at all in public_key", set: map[string]string{"public_key": "hello"}, code: userkeys.InvalidPublicKey, words: "no PEM"},
		{name: "scopes are told before the key", set: map[string]string{"public_key": "hello", "scopes": "write"}, code: userkeys.ScopeNotAllowed, words: "write"},
		{name: "the key is told before the padding", set: map[string]string{"public_key": "hello", "padding": "x"}, code: userkeys.InvalidPublicKey, words: "no PEM"},
		{name: "RQ24 OAEP", set: map[string]string{"padding": "OAEP"}, code: userkeys.InvalidPadding, words: "lower case"},
		{name: "RQ24 oaep and a space", set: map[string]string{"padding": "oaep "}, code: userkeys.InvalidPadding, words: "pkcs1 or oaep"},
		{name: "RQ24 none", set: map[string]string{"padding": "none"}, code: userkeys.InvalidPadding, words: "pkcs1 or oaep"},
		{name: "RQ24 pkcs1v15", set: map[string]string{"padding": "pkcs1v15"}, code: userkeys.InvalidPadding, words: "pkcs1 or oaep"},
		{name: "RQ24 oaep-256", set: map[string]string{"padding": "oaep-256"}},
		{name: "RQ24 oaep-256 when off", set: map[string]string{"padding": "oaep-256"}, settings: map[string]string{"allow_user_api_key_oaep_256": "false"}, code: userkeys.InvalidPadding, words: "does not seal"},
		{name: "the padding is told before the redirect", set: map[string]string{"padding": "x", "auth_redirect": ""}, code: userkeys.InvalidPadding, words: "pkcs1"},

		{name: "auth_redirect present and empty", set: map[string]string{"auth_redirect": ""}, code: userkeys.RedirectNotAllowed, words: "is empty"},
		{name: "auth_redirect not listed", set: map[string]string{"auth_redirect": "https://evil.example/"}, code: userkeys.RedirectNotAllowed, words: "allowed_user_api_auth_redirects: https://evil.example/"},
		{name: "auth_redirect listed", set: map[string]string{"auth_redirect": "https://app.example/cb"}, settings: listed},
		{name: "the redirect is told before the push address", set: map[string]string{"auth_redirect": "", "push_url": "x"}, code: userkeys.RedirectNotAllowed, words: "empty"},
		{name: "RD41 registered client, other redirect", set: map[string]string{"auth_redirect": "https://app.example/other"}, settings: listed, client: registered(), code: userkeys.RedirectNotAllowed, words: "letter by letter"},
		{name: "RD42 registered client, redirect no longer listed", set: map[string]string{"auth_redirect": "https://app.example/cb"}, client: registered(), code: userkeys.RedirectNotAllowed, words: "does not send answers"},
		{name: "RD43 registered client, trailing slash", set: map[string]string{"auth_redirect": "https://app.example/cb/"}, settings: listed, client: registered(), code: userkeys.RedirectNotAllowed, words: "letter by letter"},
		{name: "RD43 registered client, default port", set: map[string]string{"auth_redirect": "https://app.example:443/cb"}, settings: listed, client: registered(), code: userkeys.RedirectNotAllowed, words: "letter by letter"},
		{name: "registered client, its redirect", set: map[string]string{"auth_redirect": "https://app.example/cb"}, settings: listed, client: registered()},

		{name: "push_url is no address", set: map[string]string{"push_url": "push.example"}, code: userkeys.InvalidParameters, words: "push_url is no http or https address"},
		{name: "push_url of a custom scheme", set: map[string]string{"push_url": "app://push"}, code: userkeys.InvalidParameters, words: "its scheme is app"},
		{name: "push_url with a user name", set: map[string]string{"push_url": "https://a@push.example/"}, code: userkeys.InvalidParameters, words: "user name"},
		{name: "push_url empty, as older pages send it", set: map[string]string{"push_url": ""}},
		{name: "push_url not listed", set: map[string]string{"push_url": "https://push.example/p"}},
		{name: "the push address is told before the lifetime", set: map[string]string{"push_url": "x", "expires_in_seconds": "x"}, code: userkeys.InvalidParameters, words: "push_url"},

		{name: "lifetime blank", set: map[string]string{"expires_in_seconds": " "}},
		{name: "lifetime when the site allows none", set: map[string]string{"expires_in_seconds": "1"}, settings: map[string]string{"max_user_api_key_expiry_days": "0"}, code: userkeys.InvalidExpiry, words: "leave expires_in_seconds out"},
		{name: "lifetime too long", set: map[string]string{"expires_in_seconds": "31536001"}, code: userkeys.InvalidExpiry, words: "from 1 to 31536000"},
		{name: "the lifetime is told before the size", set: map[string]string{"expires_in_seconds": "x", "nonce": strings.Repeat("n", 500)}, code: userkeys.InvalidExpiry, words: "whole number"},
		{name: "too large", set: map[string]string{"nonce": strings.Repeat("n", 172)}, code: userkeys.PayloadTooLarge, words: "Payload too large for PKCS#1: it has 246 bytes, and a key of 2048 bits takes at most 245"},
		{name: "too large with oaep", set: map[string]string{"nonce": strings.Repeat("n", 141), "padding": "oaep"}, code: userkeys.PayloadTooLarge, words: "Payload too large for OAEP: it has 215 bytes, and a key of 2048 bits takes at most 214"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// TestRQ23ExpiryFailsClosed: what is not plainly a number of seconds never becomes "no expiry".
func TestRQ23ExpiryFailsClosed(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"abc", "-1", "0", "1.5", "1e3", "0x10", " 60", "60 ", "+60", "\u0666\u0660", "99999999999", strings.Repeat("9", 1000),
		"00000000060", "6_0", "\u200b", "18446744073709551617", "0000000000",
	} {
		checkCase{set: map[string]string{"expires_in_seconds": bad}, code: userkeys.InvalidExpiry, words: "whole number"}.run(t)
	}
	for text, want := range map[string]time.Duration{"1": time.Second, "0000000060": time.Minute, "31536000": 365 * 24 * time.Hour, "": 0} {
		if got := (checkCase{set: map[string]string{"expires_in_seconds": text}}).run(t); got.Lifetime != want {
			t.Errorf("%q lasts %v, want %v", text, got.Lifetime, want)
		}
	}
}

func TestCheckedRequest(t *testing.T) {
	t.Parallel()
	key, err := userkeys.ParsePublicKey(testPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c := checkCase{
		set:      map[string]string{"auth_redirect": "https://app.example/cb", "padding": "oaep", "expires_in_seconds": "60"},
		settings: listed,
		client:   site.Client{ID: 1, ClientID: "c1", ApplicationName: "Stored"},
	}
	got := c.run(t)
	if got.Name != "App" || got.Pad != userkeys.PaddingOAEP || got.Lifetime != time.Minute || got.Push || !got.Key.Equal(key) {
		t.Errorf("%+v", got)
	}
	if got.Redirect == nil || got.Redirect.String() != "https://app.example/cb" {
		t.Errorf("redirect %v", got.Redirect)
	}
	if got := (checkCase{}).run(t); got.Redirect != nil || got.Pad != userkeys.PaddingPKCS1 || got.Lifetime != 0 {
		t.Errorf("%+v", got)
	}
}

// TestID2RegisteredNameStands: nobody renames an app for everybody.
func TestID2RegisteredNameStands(t *testing.T) {
	t.Parallel()
	got := checkCase{client: registered(), set: map[string]string{"application_name": "Your Bank"}}.run(t)
	if got.Name != "Registered" {
		t.Errorf("name %q", got.Name)
	}
}

// TestPK25StoredKeyWins: the answer goes to the key that was registered, whatever the request says.
func TestPK25StoredKeyWins(t *testing.T) {
	t.Parallel()
	want, err := userkeys.ParsePublicKey(otherPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{testPublicKey, "hello", "-"} {
		if got := (checkCase{client: registered(), set: map[string]string{"public_key": text}}).run(t); !got.Key.Equal(want) {
			t.Errorf("with public_key %.10q another key", text)
		}
	}
	broken := registered()
	broken.PublicKey = "gone"
	checkCase{client: broken, code: userkeys.InvalidPublicKey, words: "no PEM"}.run(t)
}

// TestPushFlag: only a listed address, letter by letter, and a scope that has pushes.
func TestPushFlag(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"allowed_user_api_push_urls": "https://push.example/p|https://push.example/q"}
	for _, c := range []struct {
		name, scopes, url string
		want              bool
	}{
		{"push", "push", "https://push.example/p", true},
		{"notifications", "read,notifications", "https://push.example/q", true},
		{"no scope for it", "read", "https://push.example/p", false},
		{"none asked for", "push", "", false},
		{"SS1 part of a listed address", "push", "https://push.example/", false},
		{"SS1 more than a listed address", "push", "https://push.example/p?device=1", false},
		{"another case", "push", "https://push.example/P", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := checkCase{set: map[string]string{"scopes": c.scopes, "push_url": c.url}, settings: settings}.run(t)
			if got.Push != c.want {
				t.Errorf("push is %v", got.Push)
			}
			if got.PushURL != c.url {
				t.Errorf("push_url became %q", got.PushURL)
			}
		})
	}
}

// TestSizeCountsWhatWillBeSealed: with the prefix, the push flag and the end.
func TestSizeCountsWhatWillBeSealed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		set, settings map[string]string
		most          int // bytes of nonce
	}{
		{"plain", nil, nil, 171},
		{"oaep", map[string]string{"padding": "oaep"}, nil, 140},
		{"an end", map[string]string{"expires_in_seconds": "60"}, nil, 135},
		{"a prefix", nil, map[string]string{"user_api_key_prefix": "abc"}, 167},
		{"push", map[string]string{"scopes": "push", "push_url": "https://push.example/p"}, map[string]string{"allowed_user_api_push_urls": "https://push.example/p"}, 172},
		{"all", map[string]string{"scopes": "push", "push_url": "https://push.example/p", "expires_in_seconds": "60"}, map[string]string{"allowed_user_api_push_urls": "https://push.example/p", "user_api_key_prefix": "ab"}, 133},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := map[string]string{"nonce": strings.Repeat("n", c.most)}
			for k, v := range c.set {
				set[k] = v
			}
			checkCase{set: set, settings: c.settings}.run(t)
			set["nonce"] += "n"
			checkCase{set: set, settings: c.settings, code: userkeys.PayloadTooLarge, words: "Payload too large"}.run(t)
		})
	}
}

// TestCheckJudgesWhatWasNotParsed: an embedder may fill a request by hand.
func TestCheckJudgesWhatWasNotParsed(t *testing.T) {
	t.Parallel()
	fine := site.AuthorizationRequest{Nonce: "1", Scopes: userkeys.Scopes{"read"}, ClientID: "c", PublicKey: testPublicKey, ApplicationName: "A"}
	for _, c := range []struct {
		name  string
		spoil func(*site.AuthorizationRequest)
		code  userkeys.Code
		words string
	}{
		{"no nonce", func(r *site.AuthorizationRequest) { r.Nonce = "" }, userkeys.MissingParameter, "nonce"},
		{"no scopes", func(r *site.AuthorizationRequest) { r.Scopes = nil }, userkeys.MissingParameter, "scopes"},
		{"no client_id", func(r *site.AuthorizationRequest) { r.ClientID = "" }, userkeys.MissingParameter, "client_id"},
		{"control in the nonce", func(r *site.AuthorizationRequest) { r.Nonce = "\x01" }, userkeys.InvalidParameters, "nonce"},
		{"redirect without the mark", func(r *site.AuthorizationRequest) { r.AuthRedirect = "https://evil.example/" }, userkeys.RedirectNotAllowed, "does not send"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := fine
			c.spoil(&r)
			_, err := r.Check(site.DefaultSettings(), discourse(t), site.Client{})
			mustRefuse(t, err, c.code, c.words)
		})
	}
}

func TestCheckGrantor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, groups string
		user         site.User
		want         bool
	}{
		{"anybody, by default", "admins|moderators|trust_level_0", site.User{}, true},
		{"below the level", "trust_level_2", site.User{TrustLevel: 1}, false},
		{"at the level", "trust_level_2", site.User{TrustLevel: 2}, true},
		{"above the level", "trust_level_2", site.User{TrustLevel: 4}, true},
		{"administrator", "trust_level_4", site.User{Admin: true}, true},
		{"moderator", "trust_level_4", site.User{Moderator: true}, true},
		{"administrator, empty list", "", site.User{Admin: true}, true},
		{"nobody", "", site.User{TrustLevel: 4}, false},
		{"group", "app-testers", site.User{Groups: []string{"app-testers"}}, true},
		{"not in the group", "app-testers", site.User{Groups: []string{"others"}}, false},
		{"a group named like a level gives no level", "trust_level_3", site.User{Groups: []string{"trust_level_3"}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := settingsWith(t, map[string]string{"user_api_key_allowed_groups": c.groups}).CheckGrantor(c.user)
			if c.want && err != nil {
				t.Error(err)
			}
			if !c.want {
				mustRefuse(t, err, userkeys.UserNotAllowed, "trust level")
				mustRefuse(t, err, userkeys.UserNotAllowed, "allowed group")
			}
		})
	}
}
