package scenario_test

// Every page in every look: axe-core finds nothing wrong with it, and people may have pictures of it.

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
)

// photographer looks at pages: with axe-core, and, where it has a folder for them, by pictures: light and dark, wide and
// narrow.
type photographer struct {
	*testkit.Browser
	t   *testing.T
	dir string // empty: no pictures
	axe string
}

// newPhotographer takes pictures into the folder that USERKEYS_SCREENSHOTS names.
func newPhotographer(t *testing.T) photographer {
	t.Helper()
	p := photographer{testkit.Chromium(t), t, os.Getenv("USERKEYS_SCREENSHOTS"), testkit.Axe(t)}
	if p.dir != "" {
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// click looks at the page that the browser shows.
func (p photographer) click(name string) {
	p.Dark(false)
	for _, violation := range p.Violations(p.axe) {
		p.t.Errorf("%s: %s", name, violation)
	}
	p.Dark(true)
	for _, violation := range p.Violations(p.axe, "color-contrast") {
		p.t.Errorf("%s, dark: %s", name, violation)
	}
	if p.dir == "" {
		return
	}
	for _, width := range []int64{1000, 375, 320} {
		p.Width(width)
		for _, look := range []string{"light", "dark"} {
			p.Dark(look == "dark")
			p.Picture(filepath.Join(p.dir, fmt.Sprintf("%s-%d-%s.png", name, width, look)))
		}
	}
	p.Width(1000)
}

// TestEveryPageIsForEverybody walks through the pages. axe-core finds no violation on any, in either color scheme.
func TestEveryPageIsForEverybody(t *testing.T) {
	t.Parallel()
	p := newPhotographer(t)
	p.Expect("the server responded with a status of 4")
	s := pagesOf(t)
	s.Set("title", "The Noticeboard of the Society of Friends of Old Bicycles")
	s.Set("allow_user_api_key_scopes", "read|write|notifications|session_info|message_bus|push")
	s.Set("allowed_user_api_auth_redirects", "https://*.apps.example.net/*|discourse://auth_redirect")
	s.Set("allowed_user_api_push_urls", "https://push.apps.example.net/hook")
	p.beforeLogin(s)
	p.consents(s)
	p.byHand(s)
	p.devices(s)
	p.apps(t, s)
	p.settings(t, s)
	p.oneTimes(t, s)
	p.sent(s)
}

// TestEveryPageOfPushesIsForEverybody walks through more of them: the apps page with pushes in every state, and the
// administrator's page of them.
func TestEveryPageOfPushesIsForEverybody(t *testing.T) {
	t.Parallel()
	newPhotographer(t).pushes(t)
}

func (p photographer) pushes(t *testing.T) {
	s, f := pushedSite(t)
	p.Open(s.URL + "/my/apps")
	signIn(p.Browser, "alice", testkit.Password)
	p.At("Your apps")
	p.click("apps-pushes")
	p.signOut()
	p.Open(s.URL + "/user-api-key/deliveries")
	signIn(p.Browser, "root", testkit.Password)
	p.At("Deliveries")
	p.click("deliveries-none")
	f.fill(s.Clock.Now())
	p.Open(s.URL + "/user-api-key/deliveries")
	p.click("deliveries")
	p.Open(s.URL + "/user-api-key/deliveries?host=push.old-hub.example:8443&done=replayed&n=2")
	p.click("deliveries-host")
	f.failEverywhere(s.Clock.Now())
	p.Open(s.URL + "/user-api-key/deliveries")
	p.click("deliveries-failing")
}

func (p photographer) signOut() {
	p.Press(`form[action$="/logout"] button`)
	p.Until(`location.pathname === "/" && !document.querySelector("nav")`)
}

// sent must come last: a browser that failed to open an app's address accepts no more keys and clicks.
func (p photographer) sent(s *testkit.Site) {
	p.Expect("Failed to launch")
	p.Open(s.URL + s.App("phone", "read").With("auth_redirect", "discourse://auth_redirect").Path())
	signIn(p.Browser, "root", testkit.Password)
	p.Press("#approve")
	p.Until(`document.getElementById("sent").textContent !== ""`)
	p.click("consent-sent")
}

func (p photographer) beforeLogin(s *testkit.Site) {
	p.Open(s.URL + "/")
	p.click("home-stranger")
	for name, app := range map[string]*testkit.App{
		"refused-redirect": s.App("x", "read").With("auth_redirect",
			"https://"+strings.Repeat("very-long-name.", 12)+"example/"+strings.Repeat("path", 60)),
		"refused-scope": s.App("x", "read,everything,and_more"),
		"refused-key":   s.App("x", "read").With("public_key", "none"),
	} {
		p.Open(s.URL + app.Path())
		p.click(name)
	}
	p.Open(s.URL + s.App("x", "read").With("nonce", "").Path())
	p.click("refused-malformed")
	p.Open(s.URL + "/nothing/here")
	p.click("not-found")
	p.Open(s.URL + "/user-api-key")
	p.click("no-page")
	p.Open(s.URL + "/login")
	p.click("login")
	signIn(p.Browser, "alice", "wrong")
	p.Until(`document.getElementById("login-error")`)
	p.click("login-wrong")
	p.Type(testkit.Password + "\r")
	p.Until(`document.querySelector("nav")`)
	p.click("home-user")
	p.Open(s.URL + "/my/account")
	p.click("account")
}

func (p photographer) consents(s *testkit.Site) {
	asks := map[string]*testkit.App{
		"consent-computer": s.App("computer", "read,notifications").With("auth_redirect", "http://127.0.0.1:38211/callback"),
		"consent-site": s.App("web", "read,write,notifications,push,session_info,message_bus").With(
			"auth_redirect", "https://"+strings.Repeat("login.your-own-bank.", 5)+"apps.example.net/cb",
			"push_url", "https://push.apps.example.net/hook", "expires_in_seconds", "2592000",
			"application_name", strings.Repeat("A very honest reader ", 9)),
		"consent-app": s.App("phone", "session_info").With("auth_redirect", "discourse://auth_redirect",
			"push_url", "https://elsewhere.example/hook", "application_name", strings.Repeat("W", 120)),
		"consent-page": s.App("terminal", "read").With("application_name", "\u05e7\u05d5\u05e8\u05d0 <b>\u202eevil"),
	}
	for name, app := range asks {
		p.Open(s.URL + app.Path())
		p.At("Allow an app")
		p.Until(`!document.getElementById("approve").disabled`)
		p.click(name)
	}
	p.Do(chromedp.Click("details summary"))
	p.click("consent-details")
	p.Open(s.URL + asks["consent-site"].Path())
	p.Do(chromedp.Click(`[name="allow_write"]`), chromedp.Click(`[name="allow_push"]`), chromedp.Click(`[name="allow_notifications"]`),
		chromedp.SetValue("#choose-lifetime", "3600"))
	p.click("consent-chosen")
	p.Open(s.URL + s.App("web", "read,write").Path())
	p.Do(chromedp.Click(`[name="allow_write"]`), chromedp.Click(`[name="allow_read"]`))
	p.click("consent-nothing")
	p.Press("#approve")
	p.Until(`document.getElementById("problem")`)
	p.click("consent-again")
	p.Open(s.URL + asks["consent-page"].Path())
	p.Press("#approve")
	p.At("Copy this")
	p.click("payload")
	p.Open(s.URL + asks["consent-page"].Path())
	p.Press("#deny")
	p.At("Nothing was given")
	p.click("denied")
}

// byHand is the page that makes a key by hand.
func (p photographer) byHand(s *testkit.Site) {
	s.Set("allow_user_api_keys_by_hand", "true")
	p.Open(s.URL + "/my/apps/new")
	p.click("by-hand")
	p.Type("\t")
	p.TabTo("#name")
	p.Type(" ")
	p.TabTo("form.fields .first")
	p.Type("\r")
	p.Until(`document.getElementById("make-error")`)
	p.click("by-hand-refused")
	p.Type("Nightly backup of everything that I wrote")
	p.TabTo(`input[name="allow_read"]`)
	p.Type(" ")
	p.TabTo("form.fields .first")
	p.Type("\r")
	p.At("Your new key")
	p.click("by-hand-new")
	p.Open(s.URL + "/my/apps")
	p.click("by-hand-listed")
	s.Clock.Pass(16 * time.Minute)
	p.Open(s.URL + "/my/apps/new")
	p.click("by-hand-stale")
	s.Set("allow_user_api_keys_by_hand", "false")
}

// devices are the pages where a device's code is typed and its request answered.
func (p photographer) devices(s *testkit.Site) {
	app := s.App("tv", "read,write,notifications").With("expires_in_seconds", "2592000", "application_name", "Living room television")
	begin := func() site.DeviceGrant {
		r, err := site.ParseDeviceRequest(app.Params)
		if err != nil {
			panic(err)
		}
		d, err := s.Authority.BeginDevice(context.Background(), r, "203.0.113.7")
		if err != nil {
			panic(err)
		}
		return d
	}
	d := begin()
	p.Open(s.URL + "/user-api-key/activate")
	p.click("device-code")
	p.Do(chromedp.SendKeys("#code", "wrong\r"))
	p.Until(`document.getElementById("problem")`)
	p.click("device-wrong-code")
	p.Open(s.URL + "/user-api-key/activate?request=" + d.RequestToken)
	p.click("device-preview")
	p.Open(s.URL + "/user-api-key/activate")
	p.Do(chromedp.SendKeys("#code", strings.ToLower(d.UserCode)+"\r"))
	p.Until(`document.getElementById("approve") && !document.getElementById("approve").disabled`)
	p.click("device-ask")
	p.Press("#approve")
	p.Until(`document.getElementById("device-done")`)
	p.click("device-done")
}

// oneTimes are the pages of one-time passwords, walked through.
func (p photographer) oneTimes(t *testing.T, s *testkit.Site) {
	s.Set("allow_user_api_key_scopes", "read|one_time_password")
	app := s.App("phone", "read")
	ask := url.Values{
		"public_key": app.Params["public_key"], "auth_redirect": {"discourse://auth_redirect"},
		"application_name": {"Discourse - Alice's iPhone"},
	}
	p.Open(s.URL + "/user-api-key/otp?" + ask.Encode())
	signIn(p.Browser, "root", testkit.Password)
	p.Until(`document.getElementById("sign-in-warning")`)
	p.click("one-time")
	p.Open(s.URL + "/session/otp/" + strings.Repeat("0", 32))
	p.click("one-time-gone")
	u, err := s.Identity.FindUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	password := userkeys.NewOneTimePassword()
	now := s.Clock.Now()
	err = s.Store.CreateOneTimePassword(t.Context(), site.OneTimePassword{
		Password: password, UserID: u.ID, ApplicationName: "phone", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}, "", testkit.Command)
	if err != nil {
		t.Fatal(err)
	}
	p.Open(s.URL + "/session/otp/" + password)
	p.click("one-time-sign-in-other")
	p.signOut()
	p.Open(s.URL + "/session/otp/" + password)
	p.click("one-time-sign-in")
	p.Press("#sign-in")
	p.Until(`location.pathname === "/" && document.querySelector("nav")`)
	p.signOut()
}

func (p photographer) apps(t *testing.T, s *testkit.Site) {
	alice := s.Person("alice")
	old := s.App("old", "write,read").With("application_name", "Forgotten since winter").Connect(alice)
	old.Call("GET", "/session/current.json")
	s.Clock.Pass(40 * 24 * time.Hour)
	alice = s.Person("alice")
	fresh := s.App("fresh", "session_info,notifications").Connect(alice)
	fresh.Call("GET", "/session/current.json").Must(t, http.StatusOK)
	p.Open(s.URL + "/my/apps")
	signIn(p.Browser, "alice", testkit.Password)
	p.At("Your apps")
	p.Do(chromedp.Click(".key:nth-child(2) summary"))
	p.click("apps-open")
	p.Press(".key:nth-child(2) form button")
	p.Until(`document.querySelector("#undo")`)
	p.Do(chromedp.Click("details.all summary"))
	p.click("apps")
	p.Open(s.URL + "/my/apps?show=ended")
	p.click("apps-ended")
	p.Open(s.URL + "/my/apps?unused=30")
	p.click("apps-unused")
	p.signOut()
	p.Open(s.URL + "/my/apps")
	signIn(p.Browser, "bob", testkit.Password)
	p.At("Your apps")
	p.click("apps-empty")
	p.Open(s.URL + "/user-api-key/settings")
	p.click("not-for-you")
	p.signOut()
}

func (p photographer) settings(t *testing.T, s *testkit.Site) {
	p.Open(s.URL + "/user-api-key/settings")
	signIn(p.Browser, "root", testkit.Password)
	p.At("Settings")
	p.click("settings-all")
	p.Open(s.URL + "/user-api-key/settings?q=address+app")
	p.click("settings-found")
	p.Do(chromedp.SetValue("#allowed_user_api_auth_redirects-value", "javascript:alert(1)//"),
		chromedp.Click("#allowed_user_api_auth_redirects button"))
	p.Until(`document.getElementById("allowed_user_api_auth_redirects-error")`)
	p.click("settings")
	p.Open(s.URL + s.App("x", "read").With("auth_redirect", "https://not-listed.example/cb").Path())
	p.click("refused-administrator")
	p.Open(s.URL + "/")
	p.click("home-administrator")
	p.Open(s.URL + "/user-api-key/admin/api-keys")
	p.At("API keys")
	p.Press("#description")
	p.Type("the nightly backup of the society's photographs\troot\r")
	p.Until(`document.getElementById("user-api-key-payload")`)
	p.click("api-keys-new")
	p.Press(".danger")
	p.Until(`document.querySelector(".tag")`)
	p.click("api-keys")

	empty := testkit.NewSite(t, dbtest.SQLite(t))
	token, _, err := empty.Identity.SetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.signOut()
	p.Open(empty.URL + "/user-api-key/setup?token=" + url.QueryEscape(token))
	p.Type("root\tshort\tshort\r")
	p.Until(`document.getElementById("setup-error")`)
	p.click("setup")
}
