package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

func TestSessionCurrent(t *testing.T) {
	t.Parallel()
	f := withKeys(t)
	avatar := f.server.assets.url("avatar.svg")
	name := "Alice A."
	for _, tt := range []struct {
		name string
		call call
		want currentUser
	}{
		{"session", call{as: "alice"}, currentUser{ID: 1, Username: "alice", Name: &name, Avatar: avatar, TrustLevel: 2}},
		{"key", call{key: "key-1"}, currentUser{ID: 1, Username: "alice", Avatar: avatar, TrustLevel: 2}},
		{"a key beside a foreign cookie", call{as: "bob", key: "key-1"}, currentUser{ID: 1, Username: "alice", Avatar: avatar, TrustLevel: 2}},
	} {
		for _, path := range []string{"/session/current", "/session/current.json"} {
			t.Run(tt.name+path, func(t *testing.T) {
				c := tt.call
				c.path = path
				a := f.do(c)
				a.must(t, http.StatusOK)
				var got struct {
					CurrentUser currentUser `json:"current_user"`
				}
				if err := json.Unmarshal([]byte(a.text), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got.CurrentUser); diff != "" {
					t.Error(diff)
				}
				if a.Header.Get("X-Discourse-Username") != "alice" {
					t.Errorf("X-Discourse-Username is %q", a.Header.Get("X-Discourse-Username"))
				}
			})
		}
	}
	f.do(call{path: "/session/current.json"}).must(t, http.StatusNotFound)
	f.do(call{path: "/session/current.json", as: "alice", key: "key-99"}).must(t, http.StatusForbidden, `"reason":"invalid key"`)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.do(call{path: "/healthz"}).must(t, http.StatusOK, "ok")
	f.do(call{path: "/readyz"}).must(t, http.StatusOK, "ready")
	f.authority.down = errDown
	f.do(call{path: "/healthz"}).must(t, http.StatusOK, "ok")
	a := f.do(call{path: "/readyz"})
	a.must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
	a.mustNot(t, "secret-dsn")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	without := newSite(t, func(c *Config) { c.Ready = nil })
	without.do(call{path: "/healthz"}).must(t, http.StatusNotFound)
}

func TestAssets(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	page := f.do(call{path: "/"})
	found := regexp.MustCompile(`(?:href|src)="(/user-api-key/assets/[^"]+)"`).FindAllStringSubmatch(page.text, -1)
	if len(found) != 3 {
		t.Fatalf("the page loads %v", found)
	}
	for _, m := range found {
		a := f.do(call{path: m[1]})
		a.must(t, http.StatusOK)
		if got := a.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", m[1], got)
		}
		if kind := a.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") || kind == "" {
			t.Errorf("%s is %q", m[1], kind)
		}
	}
	a := f.do(call{path: "/user-api-key/assets/style.000000000000.css"})
	a.must(t, http.StatusOK, "prefers-color-scheme: dark")
	if got := a.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("another version's name: Cache-Control is %q", got)
	}
	for _, name := range []string{"nothing.css", "frame.html", "..%2fserver.go", "style.css.map"} {
		f.do(call{path: "/user-api-key/assets/" + name}).must(t, http.StatusNotFound)
	}
}

func TestStyleLoadsNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"style.css", "page.js"} {
		content, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, no := range []string{"http:", "https:", "url(", "@import", "innerHTML", "eval("} {
			if strings.Contains(string(content), no) {
				t.Errorf("%s has %s", name, no)
			}
		}
	}
}

func TestPayloadsAreBase64(t *testing.T) {
	t.Parallel()
	if _, err := sealedHTML("<script>"); err == nil {
		t.Error("markup is let into a page")
	}
	if got, err := sealedHTML("ab+/=\n"); err != nil || string(got) != "ab+/=\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	if got := csp(nil); !strings.HasSuffix(got, "form-action 'self'") {
		t.Errorf("without an address: %q", got)
	}
	for address, want := range map[string]string{
		"https://app.example/cb": "form-action 'self' https:", "http://[::1]:8080/": "form-action 'self' http:",
		"web+Next.cloud-1://done": "form-action 'self' web+next.cloud-1:",
	} {
		to, err := userkeys.ParseRedirect(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := csp(&to); !strings.HasSuffix(got, want) {
			t.Errorf("%q gives %q", address, got)
		}
	}
	for _, scheme := range []string{"x; script-src *", "1x", "'self'", "x 'unsafe-inline'"} {
		if to, err := userkeys.ParseRedirect(scheme + "://done"); err == nil {
			t.Errorf("%q is a scheme, and would give %q", scheme, csp(&to))
		}
	}
}

func TestUsernamesThatAreNoHeader(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	f.identity.users["alice"] = site.User{ID: 1, Username: "al\u00efce\r\nX: y", Active: true}
	a := f.do(call{path: "/session/current.json", as: "alice"})
	a.must(t, http.StatusOK)
	if a.Header.Get("X-Discourse-Username") != "" || a.Header.Get("X") != "" {
		t.Errorf("the headers are %v", a.Header)
	}
}
