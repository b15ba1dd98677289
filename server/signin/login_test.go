package signin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	a := f.Do(fakesite.Call{Path: "/user-api-key/login?redirect=%2Fmy%2Fapps"})
	a.Must(t, http.StatusOK, `value="/my/apps"`, `autocomplete="current-password"`)
	post := fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "right", "redirect": "/my/apps?sort=used"}}
	a = f.Do(post)
	a.Must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/my/apps?sort=used" {
		t.Errorf("it leads to %q", got)
	}
	post.Form["password"] = "wrong"
	a = f.Do(post)
	a.Must(t, http.StatusForbidden, `value="alice"`, `value="/my/apps?sort=used"`, "The user name or the password is wrong.", `role="alert"`)
	a.MustNot(t, "wrong\"")
	post.Path = "/login"
	f.Do(post).Must(t, http.StatusForbidden)
	if got := f.Do(fakesite.Call{Path: "/login?redirect=%2Fmy%2Fapps", As: "alice"}); got.Header.Get("Location") != "/my/apps" {
		t.Errorf("who is signed in is led to %q", got.Header.Get("Location"))
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		status int
		retry  string
		text   string
	}{
		{"limited", &userkeys.Error{Code: userkeys.RateLimited, Public: "too many attempts", RetryAfter: 5 * time.Minute}, 429, "300", "Try again in 5 minutes."},
		{"locked until an administrator helps", &userkeys.Error{Code: userkeys.RateLimited, Public: "ask an administrator"}, 429, "", "Ask an administrator.</p>"},
		{"unavailable", &userkeys.Error{Code: userkeys.Unavailable, Public: "sign-in is busy", RetryAfter: 2 * time.Second}, 503, "2", "Try again in 2 seconds."},
		{"internal", http.ErrBodyNotAllowed, 500, "", "Something went wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := fakesite.New(t)
			f.Identity.LoginErr = tt.err
			a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "<b>alice", "password": "right"}})
			a.Must(t, tt.status, tt.text)
			a.MustNot(t, "<b>alice")
			if got := a.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
		})
	}
}

func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{
		Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "right"},
		Header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
	}).Must(t, http.StatusForbidden, `["BAD CSRF"]`)
}

func TestRD48_ReturnAddresses(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for _, bad := range []string{
		"//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/%2fevil.example", "/%5cevil.example", "javascript:alert(1)", "evil",
		"/a/../../x", "/a//b", "/user-api-key/new?x\nSet-Cookie: a=b", "/x#y", "/\u00e9", "/" + strings.Repeat("x", (32<<10)), "",
		"///evil.example", "\\/evil.example", "https:evil.example", "data:text/html,x", "HTTPS://site.example/", "/\t/evil.example", "\t//evil.example",
		" //evil.example", "/a\x7f", "/a\u0085", "/a\u2028b", "/\u202e", "?a=b", "#a", "/a%0d%0ab", "/a\\..\\b", "/%zz",
		"/../evil.example", "/..//evil.example", "/a/%2e%2e//evil.example", "/.//evil.example", "/./\\evil.example", "/%2e//evil.example",
	} {
		a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "right", "redirect": bad}})
		a.Must(t, http.StatusSeeOther)
		if got := a.Header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", userkeys.Shorten(bad, 50), got)
		}
	}
	for _, good := range []string{"/", "/my/apps?unused=30", "/user-api-key/new?nonce=%0a&auth_redirect=https%3A%2F%2Fapp.example%2F..//", "/?" + strings.Repeat("x", (32<<10)-2), "/@evil.example", "/a:b", "/a?b=..%2F..&c=%5C"} {
		if got := door.ReturnAddress(good); got != good {
			t.Errorf("%q leads to %q", good, got)
		}
	}
}

// An app may percent-encode every byte, of the longest request that headers
// hold: after signing in the user is at that very request.
func TestLoginComesBackToALongRequest(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	asked := "x=" + strings.Repeat("p", 8000) + "&y=" + strings.Repeat("+%26%C3%A9 ", 200) + "&" + strings.TrimPrefix(fakesite.Ask(), "/user-api-key/new?")
	want, err := url.ParseQuery(strings.ReplaceAll(asked, " ", "+"))
	if err != nil {
		t.Fatal(err)
	}
	var q strings.Builder
	for name, values := range want {
		q.WriteString(everyByte(name) + "=" + everyByte(values[0]) + "&")
	}
	path := "/user-api-key/new?" + q.String()
	if len(path) < 28<<10 {
		t.Fatalf("the request has only %d bytes", len(path))
	}
	login := f.Do(fakesite.Call{Path: path})
	login.Must(t, http.StatusFound)
	to := login.Header.Get("Location")
	if len(to) > (32<<10)-4096 {
		t.Errorf("the login page's address has %d bytes: other headers would not fit beside it", len(to))
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	a := f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "right", "redirect": u.Query().Get("redirect")}})
	a.Must(t, http.StatusSeeOther)
	back, err := url.Parse(a.Header.Get("Location"))
	if err != nil || back.Path != "/user-api-key/new" {
		t.Fatalf("it leads to %.100q: %v", a.Header.Get("Location"), err)
	}
	if diff := cmp.Diff(want, back.Query()); diff != "" {
		t.Errorf("it is another request (-asked +after login):\n%s", diff)
	}
}

func everyByte(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func TestNotYouSignsOutAndComesBack(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	path := fakesite.Ask()
	a := f.Do(fakesite.Call{Path: path, As: "alice"})
	form := testkit.ByID(t, a.Text, "not-you")
	if form == nil || testkit.Attr(form, "action") != "/user-api-key/logout" || testkit.Attr(form, "method") != "post" {
		t.Fatal("there is no form to sign out")
	}
	a = f.Do(fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/logout", As: "alice", Form: map[string]string{"redirect": path}})
	a.Must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != path || f.Identity.Logouts != 1 {
		t.Errorf("it leads to %q after %d logouts", a.Header.Get("Location"), f.Identity.Logouts)
	}
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/logout", As: "alice", NoToken: true, Form: map[string]string{}}).Must(t, http.StatusForbidden)
	if f.Identity.Logouts != 1 {
		t.Error("a form without the token signed out")
	}
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/logout", Form: map[string]string{}}).Must(t, http.StatusSeeOther)
}

func TestSetup(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: "/user-api-key/setup?token=good"}).Must(t, http.StatusOK, `value="good"`, "administrator")
	dead := f.Do(fakesite.Call{Path: "/user-api-key/setup?token=used"})
	dead.Must(t, http.StatusForbidden, "<title>Set up this site", "This link was used", `href="/user-api-key/login"`)
	dead.MustNot(t, `name="password"`, "administrator")
	form := func(token, again string) fakesite.Call {
		return fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/setup", Form: map[string]string{"token": token, "username": "root", "password": "long enough", "password_again": again}}
	}
	a := f.Do(form("good", "other"))
	a.Must(t, http.StatusBadRequest, "The two passwords differ.", `value="root"`, `value="good"`)
	a.MustNot(t, "long enough")
	a = f.Do(form("used", "long enough"))
	a.Must(t, http.StatusForbidden, "<title>Set up this site", "This link was used", `href="/user-api-key/login"`)
	a.MustNot(t, "/my/apps", "already in your list", `name="password"`)
	a = f.Do(form("good", "long enough"))
	a.Must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != "/user-api-key/settings" {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
	f.Identity.SetupErr = userkeys.Errorf(userkeys.InvalidParameters, "the password is too short")
	f.Do(form("good", "long enough")).Must(t, http.StatusBadRequest, "The password is too short.")
}

func TestHome(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: "/"}).Must(t, http.StatusOK, "Sign in")
	a := f.Do(fakesite.Call{Path: "/", As: "alice"})
	a.Must(t, http.StatusOK, "Your apps")
	a.MustNot(t, "/user-api-key/settings")
	f.Do(fakesite.Call{Path: "/", As: "root"}).Must(t, http.StatusOK, "/user-api-key/settings")
}

// TestLoginSaysWhoAsks tests that who signs in for an app reads which address asks, and that a return address that
// somebody made up has the page name nobody who could not be given access.
func TestLoginSaysWhoAsks(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	for _, tt := range []struct{ back, want string }{
		{fakesite.Ask("auth_redirect=https://app.example/cb"), "app.example asks for access to your account."},
		{fakesite.Ask("auth_redirect=https://bank.example.evil.net/"), "evil.net asks for access to your account."},
		{fakesite.Ask("auth_redirect=http://127.0.0.1:8787/cb"), "A program on this computer (127.0.0.1:8787) asks"},
		{fakesite.Ask("auth_redirect=discourse://auth_redirect"), "An app on this device that opens discourse://auth_redirect asks"},
		{fakesite.Ask("-auth_redirect"), "An app asks"},
		{fakesite.Ask("auth_redirect=https://bank.example/"), "An app asks"},
		{fakesite.Ask() + "&auth_redirect=https://bank.example/", "An app asks"},
		{"/user-api-key/otp?auth_redirect=https%3A%2F%2Fapp.example%2Fcb", "app.example asks"},
		{"/api_key/generate?redirect_url=https%3A%2F%2Fapp.example%2Fcb", "app.example asks"},
		{"/user-api-key/activate?request=x", "A device asks"},
		{"/my/apps?auth_redirect=https://app.example/cb", ""},
		{"https://evil.example/user-api-key/new", ""},
	} {
		login := "/user-api-key/login?" + url.Values{"redirect": {tt.back}}.Encode()
		a := f.Do(fakesite.Call{Path: login})
		a.Must(t, http.StatusOK)
		a.MustNot(t, "<strong>bank.example")
		if tt.want == "" {
			a.MustNot(t, `id="asks"`)
			continue
		}
		if got := testkit.Inside(t, a.Text, "asks"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: the page says %q, want %q", tt.back, got, tt.want)
		}
	}
	wrong := fakesite.Call{Method: http.MethodPost, Path: "/user-api-key/login", Form: map[string]string{"username": "alice", "password": "wrong", "redirect": fakesite.Ask()}}
	f.Do(wrong).Must(t, http.StatusForbidden, `id="asks"`)
}
