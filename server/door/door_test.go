package door

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

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

func TestSessionWithoutTokenRestsOnOrigin(t *testing.T) {
	t.Parallel()
	v := site.Caller{User: site.User{ID: 1, Username: "alice", Active: true}, Session: site.Session{ID: "s"}}
	for _, tt := range []struct {
		name   string
		header string
		want   bool
	}{{"Origin", "Origin", true}, {"Sec-Fetch-Site", "Sec-Fetch-Site", true}, {"neither", "Accept", false}} {
		r := httptest.NewRequest(http.MethodPost, "/user-api-key", nil)
		r.Header.Set(tt.header, "x")
		if got := tokenHolds(r, v); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	if got := CSP(nil); !strings.HasSuffix(got, "form-action 'self'") {
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
		if got := CSP(&to); !strings.HasSuffix(got, want) {
			t.Errorf("%q gives %q", address, got)
		}
	}
	for _, scheme := range []string{"x; script-src *", "1x", "'self'", "x 'unsafe-inline'"} {
		if to, err := userkeys.ParseRedirect(scheme + "://done"); err == nil {
			t.Errorf("%q is a scheme, and would give %q", scheme, CSP(&to))
		}
	}
}
