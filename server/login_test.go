package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a := f.do(call{path: "/user-api-key/login?redirect=%2Fmy%2Fapps"})
	a.must(t, http.StatusOK, `value="/my/apps"`, `autocomplete="current-password"`)
	post := call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "right", "redirect": "/my/apps?sort=used"}}
	a = f.do(post)
	a.must(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "/my/apps?sort=used" {
		t.Errorf("it leads to %q", got)
	}
	post.form["password"] = "wrong"
	a = f.do(post)
	a.must(t, http.StatusForbidden, `value="alice"`, `value="/my/apps?sort=used"`, "The user name or the password is wrong.", `role="alert"`)
	a.mustNot(t, "wrong\"")
	post.path = "/login"
	f.do(post).must(t, http.StatusForbidden)
	if got := f.do(call{path: "/login?redirect=%2Fmy%2Fapps", as: "alice"}); got.Header.Get("Location") != "/my/apps" {
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
			f := newSite(t)
			f.identity.loginErr = tt.err
			a := f.do(call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "<b>alice", "password": "right"}})
			a.must(t, tt.status, tt.text)
			a.mustNot(t, "<b>alice")
			if got := a.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
		})
	}
}

func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{
		method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "right"},
		header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
	}).must(t, http.StatusForbidden, `["BAD CSRF"]`)
}

func TestRD48_ReturnAddresses(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	for _, bad := range []string{
		"//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/%2fevil.example", "/%5cevil.example", "javascript:alert(1)", "evil",
		"/a/../../x", "/a//b", "/user-api-key/new?x\nSet-Cookie: a=b", "/x#y", "/\u00e9", "/" + strings.Repeat("x", maxReturn), "",
		"///evil.example", "\\/evil.example", "https:evil.example", "data:text/html,x", "HTTPS://site.example/", "/\t/evil.example", "\t//evil.example",
		" //evil.example", "/a\x7f", "/a\u0085", "/a\u2028b", "/\u202e", "?a=b", "#a", "/a%0d%0ab", "/a\\..\\b", "/%zz",
		"/../evil.example", "/..//evil.example", "/a/%2e%2e//evil.example", "/.//evil.example", "/./\\evil.example", "/%2e//evil.example",
	} {
		a := f.do(call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "right", "redirect": bad}})
		a.must(t, http.StatusSeeOther)
		if got := a.Header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", cutBytes(bad, 50), got)
		}
	}
	for _, good := range []string{"/", "/my/apps?unused=30", "/user-api-key/new?nonce=%0a&auth_redirect=https%3A%2F%2Fapp.example%2F..//", "/?" + strings.Repeat("x", maxReturn-2), "/@evil.example", "/a:b", "/a?b=..%2F..&c=%5C"} {
		if !localPath(good) {
			t.Errorf("%q is refused", good)
		}
	}
}

// An app may percent-encode every byte, of the longest request that headers
// hold: after signing in the user is at that very request.
func TestLoginComesBackToALongRequest(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	asked := "x=" + strings.Repeat("p", 8000) + "&y=" + strings.Repeat("+%26%C3%A9 ", 200) + "&" + strings.TrimPrefix(ask(), "/user-api-key/new?")
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
	login := f.do(call{path: path})
	login.must(t, http.StatusFound)
	to := login.Header.Get("Location")
	if len(to) > maxReturn-4096 {
		t.Errorf("the login page's address has %d bytes: other headers would not fit beside it", len(to))
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	a := f.do(call{method: http.MethodPost, path: "/user-api-key/login", form: map[string]string{"username": "alice", "password": "right", "redirect": u.Query().Get("redirect")}})
	a.must(t, http.StatusSeeOther)
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

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/my/apps", "//evil.example", "/\\evil.example", "/a?b=//c", "/%2f/x", "/.//x", "/\t/evil.example"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "site.example"}
	f.Fuzz(func(t *testing.T, s string) {
		if !localPath(s) {
			return
		}
		to, err := base.Parse(s)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil {
			t.Errorf("%q leads to %v: %v", s, to, err)
		}
		if strings.HasPrefix(to.Path, "//") || strings.ContainsAny(s, "\\\r\n\t\x00") {
			t.Errorf("%q could be read as another host", s)
		}
	})
}

func TestNotYouSignsOutAndComesBack(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	path := ask()
	a := f.do(call{path: path, as: "alice"})
	form := byID(t, a.text, "not-you")
	if form == nil || attr(form, "action") != "/user-api-key/logout" || attr(form, "method") != "post" {
		t.Fatal("there is no form to sign out")
	}
	a = f.do(call{method: http.MethodPost, path: "/user-api-key/logout", as: "alice", form: map[string]string{"redirect": path}})
	a.must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != path || f.identity.logouts != 1 {
		t.Errorf("it leads to %q after %d logouts", a.Header.Get("Location"), f.identity.logouts)
	}
	f.do(call{method: http.MethodPost, path: "/logout", as: "alice", noToken: true, form: map[string]string{}}).must(t, http.StatusForbidden)
	if f.identity.logouts != 1 {
		t.Error("a form without the token signed out")
	}
	f.do(call{method: http.MethodPost, path: "/logout", form: map[string]string{}}).must(t, http.StatusSeeOther)
}

func TestSetup(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: "/user-api-key/setup?token=good"}).must(t, http.StatusOK, `value="good"`, "administrator")
	dead := f.do(call{path: "/user-api-key/setup?token=used"})
	dead.must(t, http.StatusForbidden, "<title>Set up this site", "This link was used", `href="/user-api-key/login"`)
	dead.mustNot(t, `name="password"`, "administrator")
	form := func(token, again string) call {
		return call{method: http.MethodPost, path: "/user-api-key/setup", form: map[string]string{"token": token, "username": "root", "password": "long enough", "password_again": again}}
	}
	a := f.do(form("good", "other"))
	a.must(t, http.StatusBadRequest, "The two passwords differ.", `value="root"`, `value="good"`)
	a.mustNot(t, "long enough")
	a = f.do(form("used", "long enough"))
	a.must(t, http.StatusForbidden, "<title>Set up this site", "This link was used", `href="/user-api-key/login"`)
	a.mustNot(t, "/my/apps", "already in your list", `name="password"`)
	a = f.do(form("good", "long enough"))
	a.must(t, http.StatusSeeOther)
	if a.Header.Get("Location") != "/user-api-key/settings" {
		t.Errorf("it leads to %q", a.Header.Get("Location"))
	}
	f.identity.setupErr = userkeys.Errorf(userkeys.InvalidParameters, "the password is too short")
	f.do(form("good", "long enough")).must(t, http.StatusBadRequest, "The password is too short.")
}

func TestHome(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: "/"}).must(t, http.StatusOK, "Sign in")
	a := f.do(call{path: "/", as: "alice"})
	a.must(t, http.StatusOK, "Your apps")
	a.mustNot(t, "/user-api-key/settings")
	f.do(call{path: "/", as: "root"}).must(t, http.StatusOK, "/user-api-key/settings")
}
