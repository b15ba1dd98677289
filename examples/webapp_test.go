package examples_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
)

// webapp is the running web app, behind what ends TLS for it.
type webapp struct {
	*program
	url, data string
	front     *httptest.Server
}

// newWebapp starts the app; private lets it call the tests' sites, which are on this machine.
func newWebapp(t *testing.T, private string) *webapp {
	t.Helper()
	address := nettest.ReserveAddress(t)
	a := &webapp{data: t.TempDir()}
	a.front = httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(a.front.Close)
	a.url = a.front.URL
	a.start(t, address, a.url, private, strings.Repeat("0123456789abcdef", 4))
	return a
}

func (a *webapp) start(t *testing.T, address, url, private, secret string) {
	t.Helper()
	a.program = start(t, "webapp", []string{
		"WEBAPP_URL=" + url, "WEBAPP_SECRET=" + secret, "WEBAPP_DATA=" + a.data, "WEBAPP_LISTEN=" + address, "WEBAPP_PRIVATE=" + private,
	})
	eventually(t, func() error {
		select {
		case <-a.ended:
			t.Fatalf("it ended: %s", a.said())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// visitor is somebody's browser at the app.
func (a *webapp) visitor(t *testing.T) *testkit.Person {
	t.Helper()
	v := testkit.At(t, a.url).Visitor()
	v.HTTP.Transport = a.front.Client().Transport
	return v
}

// connect has v, who is p at the site, connect it.
func (a *webapp) connect(t *testing.T, v, p *testkit.Person) {
	t.Helper()
	to := approve(t, p, a.ask(t, v, p.Site))
	v.Get(to).Must(t, 303).MustNot(t, "payload")
}

// ask gives the address that v is sent to.
func (a *webapp) ask(t *testing.T, v *testkit.Person, s *testkit.Site) string {
	t.Helper()
	return v.Post("/connect", url.Values{"site": {s.URL}}).Must(t, 303).Header.Get("Location")
}

// kept is everything that lies in the app's folder.
func (a *webapp) kept(t *testing.T) (files []string, content string) {
	t.Helper()
	err := filepath.WalkDir(a.data, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		files, content = append(files, name), content+name+string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, content
}

// newWebSite is a site that sends answers to the app.
func newWebSite(t *testing.T, a *webapp) *testkit.Site {
	s := newSite(t)
	s.Set("allowed_user_api_auth_redirects", a.url+"/callback?*")
	s.Set("allow_user_api_key_loopback_redirects", "false")
	return s
}

func TestWebapp(t *testing.T) {
	t.Parallel()
	a := newWebapp(t, "yes")
	one, two := newWebSite(t, a), newWebSite(t, a)
	notify(t, one, "alice", 3)
	notify(t, two, "alice", 1)
	alice, bob := a.visitor(t), a.visitor(t)
	alice.Get("/").Must(t, 200, "No site is connected")
	a.connect(t, alice, one.Person("alice"))
	a.connect(t, alice, two.Person("alice"))
	a.connect(t, bob, one.Person("bob"))

	pages := alice.Get("/").Must(t, 200, one.URL+": 3 notifications", two.URL+": 1 notifications").Body
	pages += bob.Get("/").Must(t, 200, one.URL+": 0 notifications").MustNot(t, two.URL).Body
	a.visitor(t).Get("/").Must(t, 200, "No site is connected")
	files, content := a.kept(t)
	if len(files) != 3 {
		t.Errorf("kept are %q", files)
	}
	for _, s := range []*testkit.Site{one, two} {
		secret(t, s, "a page", pages)
		secret(t, s, "the folder", content)
		secret(t, s, "the output", a.said())
	}
	for _, k := range one.Keys() {
		if k.ClientID != one.Keys()[0].ClientID {
			t.Error("the app has more than one client id")
		}
	}

	alice.Submit(alice.Get("/"), "/disconnect").Must(t, 303)
	ended := slices.Concat(one.Keys(), two.Keys())
	if n := len(slices.DeleteFunc(ended, func(k site.UserAPIKey) bool { return k.RevokedAt.IsZero() })); n != 1 {
		t.Errorf("%d keys are revoked, want 1", n)
	}
	if files, _ := a.kept(t); len(files) != 2 {
		t.Errorf("kept are %q", files)
	}
	revokeAll(t, one.Person("bob"))
	bob.Get("/").Must(t, 200, "no longer takes the key")
	bob.Submit(bob.Get("/"), "/disconnect").Must(t, 303)
	bob.Get("/").Must(t, 200, "No site is connected")
}

// TestWebappRefuses is what others may not do with somebody's browser or keys.
func TestWebappRefuses(t *testing.T) {
	t.Parallel()
	a := newWebapp(t, "yes")
	site := newWebSite(t, a)
	tests := []struct {
		name string
		run  func(t *testing.T, s *testkit.Site, v *testkit.Person)
	}{
		{"an answer for another browser", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			other := a.visitor(t)
			other.Get("/")
			to := approve(t, s.Person("alice"), a.ask(t, v, s))
			other.Get(to).Must(t, 400, "this browser has not asked for that")
			a.visitor(t).Get(to).Must(t, 400, "this browser has not asked for that")
			v.Get(to).Must(t, 303) // that try took nothing from the right one
			v.Get(to).Must(t, 400, "this browser has not asked for that")
		}},
		{"another state", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			to := approve(t, s.Person("alice"), a.ask(t, v, s))
			v.Get(strings.Replace(to, "state=", "state=0", 1)).Must(t, 400, "this browser has not asked for that")
		}},
		{"another nonce", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			address := a.ask(t, v, s)
			to := v.Request("GET", address, "").URL.Query().Get("auth_redirect")
			v.Get(to+"&"+query("payload", forge(t, address))).Must(t, 400, "this answers another request")
			v.Get("/").Must(t, 200, "No site is connected")
		}},
		{"a form of another page", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			a.connect(t, v, s.Person("bob"))
			for _, path := range []string{"/connect", "/disconnect"} {
				r := v.Request("POST", path, url.Values{"site": {s.URL}}.Encode())
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				v.Do(r).Must(t, 403)
			}
			v.Get("/").Must(t, 200, s.URL)
		}},
		{"a redirect that the site does not allow", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			v.Post("/connect", url.Values{"site": {newSite(t).URL}}).Must(t, 400, "allowed_user_api_auth_redirects")
		}},
		{"a scope that the site does not allow", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			strict := newWebSite(t, a)
			strict.Set("allow_user_api_key_scopes", "read")
			v.Post("/connect", url.Values{"site": {strict.URL}}).Must(t, 400, "does not allow the scope notifications")
		}},
		{"no site", func(t *testing.T, s *testkit.Site, v *testkit.Person) {
			v.Post("/connect", url.Values{"site": {"http://" + nettest.ReserveAddress(t)}}).Must(t, 400, "cannot reach").MustNot(t, "refused")
			v.Post("/connect", url.Values{"site": {"ftp://forum.example"}}).Must(t, 400, "begins with https")
			v.Post("/disconnect", url.Values{"site": {s.URL}}).Must(t, 400, "there is no key that opens")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, site.For(t), a.visitor(t))
		})
	}
}

// TestWebappKeysAreBound: a key opens only for its visitor and its site, under the secret.
func TestWebappKeysAreBound(t *testing.T) {
	t.Parallel()
	a := newWebapp(t, "yes")
	s := newWebSite(t, a)
	notify(t, s, "alice", 5)
	alice, bob := a.visitor(t), a.visitor(t)
	a.connect(t, alice, s.Person("alice"))
	hers, _ := a.kept(t)
	a.connect(t, bob, s.Person("bob"))
	all, _ := a.kept(t)
	his := slices.DeleteFunc(all, func(name string) bool { return name == hers[0] })
	sealed, err := os.ReadFile(hers[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(his[0], sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	bob.Get("/").Must(t, 200, s.URL, "there is no key that opens; connect again").MustNot(t, "5 notifications")
	alice.Get("/").Must(t, 200, "5 notifications")
	a.connect(t, bob, s.Person("bob"))
	bob.Get("/").Must(t, 200, s.URL+": 0 notifications")
	if info, err := os.Stat(hers[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}

	address := nettest.ReserveAddress(t)
	a.start(t, address, a.url, "yes", strings.Repeat("f", 64))
	r := alice.Request("GET", "http://"+address+"/", "")
	for _, c := range alice.HTTP.Jar.Cookies(alice.Request("GET", "/", "").URL) {
		r.AddCookie(c)
	}
	alice.Do(r).Must(t, 200, s.URL, "there is no key that opens; connect again").MustNot(t, "5 notifications")
}

// TestWebappLeavesNoKeyBehind: what is replaced, and what cannot be kept, is revoked, for nobody could later.
func TestWebappLeavesNoKeyBehind(t *testing.T) {
	t.Parallel()
	a := newWebapp(t, "yes")
	s := newWebSite(t, a)
	v := a.visitor(t)
	a.connect(t, v, s.Person("alice"))
	a.connect(t, v, s.Person("bob"))
	if keys := s.Keys(); len(keys) != 2 || !keys[0].RevokedAt.IsZero() || keys[1].RevokedAt.IsZero() {
		t.Errorf("the newest key alone must be good: %+v", keys)
	}
	v.Get("/").Must(t, 200, s.URL+": 0 notifications")

	files, _ := a.kept(t)
	if err := errors.Join(os.Remove(files[0]), os.MkdirAll(filepath.Join(files[0], "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	to := approve(t, s.Person("alice"), a.ask(t, v, s))
	if k := s.Keys()[0]; !k.RevokedAt.IsZero() {
		t.Fatalf("the key is revoked before it comes: %+v", k)
	}
	v.Get(to).Must(t, 400, "something went wrong").MustNot(t, a.data)
	if k := s.Keys()[0]; k.RevokedAt.IsZero() {
		t.Errorf("the key that nobody keeps is good: %+v", k)
	}
	if files, _ := a.kept(t); len(files) != 0 {
		t.Errorf("kept are %q", files)
	}
}

// TestWebappStaysOutside: the address that a visitor gives is not a way into the network of the app.
func TestWebappStaysOutside(t *testing.T) {
	t.Parallel()
	a := newWebapp(t, "")
	called := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(inside.Close)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"} {
		a.visitor(t).Post("/connect", url.Values{"site": {"http://" + host + port}}).Must(t, 400, "cannot reach").MustNot(t, "public address")
	}
	inside.Close()
	if called {
		t.Error("it called a program on its own machine")
	}
}

// TestWebappNeedsItsSecret: without one it does not run.
func TestWebappNeedsItsSecret(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"none": "", "short": strings.Repeat("0", 62), "no hex": strings.Repeat("x", 64)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, "webapp", []string{"WEBAPP_URL=https://app.example", "WEBAPP_DATA=" + t.TempDir(), "WEBAPP_SECRET=" + value}).must(1, "WEBAPP_SECRET 64 hex digits")
		})
	}
}

// TestWebappInChromium: the policy lets the form lead to the site, and the cookie comes back with the answer.
func TestWebappInChromium(t *testing.T) {
	t.Parallel()
	b := testkit.Chromium(t)
	a := &webapp{data: t.TempDir()}
	address := nettest.ReserveAddress(t)
	a.url = "http://localhost" + address[strings.LastIndex(address, ":"):] // for a browser another site than 127.0.0.1
	a.start(t, address, a.url, "yes", strings.Repeat("0123456789abcdef", 4))
	s := newWebSite(t, a)
	notify(t, s, "alice", 2)
	b.Open(a.url + "/")
	b.TabTo("[name=site]")
	b.Type(s.URL + "\r")
	b.At("Sign in")
	b.TabTo("#username")
	b.Type("alice\t" + testkit.Password + "\r")
	b.At("Allow an app")
	b.Press("#approve")
	b.At("What waits for you")
	if text, want := b.Text("form"), fmt.Sprintf("%s: 2 notifications", s.URL); !strings.Contains(text, want) {
		t.Errorf("the page says %q, want %q", text, want)
	}
	if b.Address() != a.url+"/" {
		t.Errorf("the answer stays in the address: %s", b.Address())
	}
	b.Press("[action='/disconnect'] button")
	b.Until(`document.body.textContent.includes("No site is connected")`)
	if s.Keys()[0].RevokedAt.IsZero() {
		t.Error("the key is still good")
	}
}
