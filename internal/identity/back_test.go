package identity

import (
	"net/url"
	"strings"
	"testing"
)

func TestRD48_SafeBack(t *testing.T) {
	t.Parallel()
	kept := []string{
		"/", "/my/apps", "/user-api-key/new?scopes=read,write&nonce=1&public_key=-----BEGIN%20PUBLIC%20KEY-----%0AMII",
		"/user-api-key/new?auth_redirect=https://app.example/cb&x=//y&a=%5C", "/a?b=..%2F..", "/@evil.example", "/a:b", "/my/apps#top",
		"/?" + strings.Repeat("x", maxBack-2), "/a//b", "/a;b=1?c;d",
	}
	for _, raw := range kept {
		if got := SafeBack(raw); got != raw {
			t.Errorf("RD48 %.60q became %.60q", raw, got)
		}
	}
	refused := []string{
		"", "evil.example", "my/apps", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "\\\\evil.example",
		"https://evil.example", "https:evil.example", "javascript:alert(1)", "data:text/html,x", "HTTPS://keys.example/",
		"/\t/evil.example", "\t//evil.example", " //evil.example", "/ok\r\nSet-Cookie: a=b", "/a\x00", "/a\x7f", "/a\u0085", "/a\u2028b", "/\xff",
		"/user-api-key/new?a=1\n", "?a=b", "#a", "/%2Fevil.example", "/%5Cevil.example", "/%2f%2fevil.example", "/a%0d%0ab", "/a\\..\\b",
		"/../evil.example", "/..//evil.example", "/a/%2e%2e//evil.example", "/%zz", "/?" + strings.Repeat("x", maxBack), "/\u202e",
		"/.//evil.example", "/./\\evil.example", "/%2e//evil.example",
	}
	for _, raw := range refused {
		if got := SafeBack(raw); got != "/" {
			t.Errorf("RD48 %.60q was kept as %.60q", raw, got)
		}
	}
}

func TestLoginURL_Brings_every_parameter_back(t *testing.T) {
	t.Parallel()
	s := newSite(t, newMemory(), func(c *Config) { c.LoginPath = "/user-api-key/login" })
	back := "/user-api-key/new?application_name=A%26B+%C3%A9&nonce=a%3Db&scopes=read&x=1&x=2"
	u, err := url.Parse(s.LoginURL(back))
	if err != nil || u.Path != "/user-api-key/login" || u.Host != "" || u.Query().Get("redirect") != back {
		t.Errorf("%v, %v", u, err)
	}
	if got := s.LoginURL("//evil.example"); got != "/user-api-key/login?redirect=%2F" {
		t.Errorf("RD48 %s", got)
	}
}

// What SafeBack keeps must stay on this site for whoever resolves it.
func FuzzSafeBack(f *testing.F) {
	for _, s := range []string{"/", "//a", "/\\a", "/a?b#c", "/%2f", "/..//a", "/a\n", "/.//x", "/a/..;/"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "keys.example", Path: "/user-api-key/login"}
	f.Fuzz(func(t *testing.T, raw string) {
		got := SafeBack(raw)
		if got != raw && got != "/" {
			t.Fatalf("%q became %q", raw, got)
		}
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "keys.example" || u.User != nil ||
			strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.EscapedPath(), "//") {
			t.Fatalf("%q leads to %v", got, u)
		}
	})
}
