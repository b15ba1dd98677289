package scenario_test

// A real browser without a mouse: device codes and one-time passwords.

import (
	"net/url"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/site"
)

// The device flow in a browser without scripts, by keyboard alone: the code is
// typed, a scope unticked, an earlier end chosen, and the page says what to do next.
func TestChromiumDeviceByKeyboard(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.NoScripts()
	s := pagesOf(t)
	app := s.App("tv", "read,notifications")
	r, err := site.ParseDeviceRequest(app.Params)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Authority.BeginDevice(t.Context(), r, "203.0.113.7")
	if err != nil {
		t.Fatal(err)
	}
	b.Open(s.URL + "/user-api-key/activate")
	signIn(b, "alice", testkit.Password)
	b.At("Connect a device")
	if focused := testkit.Eval[string](b, `document.activeElement.id`); focused != "code" {
		b.TabTo("#code")
	}
	b.Type("nothing\r")
	b.Until(`document.querySelector("#problem")?.textContent`)
	b.At("Connect a device")
	proper(t, b)
	b.Open(s.URL + "/user-api-key/activate?request=" + d.RequestToken)
	b.At("Give a device access")
	proper(t, b)
	if got := b.Text("#destination"); got != "from the address 203.0.113.7" {
		t.Errorf("who asked: %q", got)
	}
	b.TabTo(`[name="allow_read"]`)
	b.Type(" ")
	b.TabTo("#choose-lifetime")
	b.Type("a") // the first choice that begins so: after 1 hour
	b.TabTo("#code")
	b.Type(site.ShowUserCode(d.UserCode) + "\r")
	b.At("Done: go back to the device")
	proper(t, b)
	keys := s.Keys()
	if len(keys) != 1 || keys[0].Scopes.String() != "notifications" || keys[0].ExpiresAt.Sub(keys[0].CreatedAt).Hours() != 1 {
		t.Errorf("granted %+v", keys)
	}
}

// A one-time password, asked for and used without scripts and by keyboard alone.
func TestChromiumOneTimePasswordByKeyboard(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	b.NoScripts()
	s := pagesOf(t)
	s.Set("allow_user_api_key_scopes", "read|one_time_password")
	to, got := program(t, "127.0.0.1:0")
	app := s.App("phone", "read")
	ask := url.Values{"public_key": app.Params["public_key"], "auth_redirect": {to}, "application_name": {"Phone"}}
	b.Open(s.URL + "/user-api-key/otp?" + ask.Encode())
	signIn(b, "alice", testkit.Password)
	b.At("Let an app sign in as you on")
	proper(t, b)
	b.TabTo("#approve")
	b.Type("\r")
	b.At("Connected")
	sealed := (<-got).Get("oneTimePassword")
	password, err := userkeys.OpenOneTimePassword(app.Private, userkeys.PaddingPKCS1, sealed)
	if err != nil {
		t.Fatal(err)
	}
	b.Open(s.URL + "/session/otp/" + password)
	b.At("Sign in to")
	proper(t, b)
	b.TabTo("#sign-in")
	b.Type("\r")
	b.Until(`location.pathname === "/" && document.querySelector("nav")`)
	b.Open(s.URL + "/session/otp/" + password)
	b.At("This link does not sign in")
	proper(t, b)
}
