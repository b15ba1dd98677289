package client_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

func TestBeginBuildsTheAddress(t *testing.T) {
	t.Parallel()
	full := client.Request{
		Site: "https://Forum.Example:443/forum/", ApplicationName: "Reader & Co", ClientID: "c1",
		Scopes: userkeys.Scopes{"read", "push"}, AuthRedirect: "http://127.0.0.1:9/cb?a=1",
		PushURL: "https://push.example/p?x=1&y=2", ExpiresIn: 90 * time.Second, KeyPair: testPair(),
	}
	plain := full
	plain.AuthRedirect, plain.PushURL, plain.ExpiresIn, plain.Padding = "", "", 0, userkeys.PaddingPKCS1
	tests := []struct {
		name    string
		request client.Request
		want    url.Values
	}{
		{"everything", full, url.Values{
			"application_name": {"Reader & Co"}, "client_id": {"c1"}, "scopes": {"read,push"},
			"auth_redirect": {"http://127.0.0.1:9/cb?a=1"}, "push_url": {"https://push.example/p?x=1&y=2"},
			"padding": {"oaep"}, "expires_in_seconds": {"90"}, "public_key": {testPair().PublicPEM()},
		}},
		{"the least", plain, url.Values{
			"application_name": {"Reader & Co"}, "client_id": {"c1"}, "scopes": {"read,push"},
			"public_key": {testPair().PublicPEM()},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := client.Begin(tt.request)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(a.URL)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if got := q.Get("nonce"); got != a.Nonce || len(got) != 32 {
				t.Errorf("nonce in the address is %q, want %q", got, a.Nonce)
			}
			q.Del("nonce")
			if diff := cmp.Diff(tt.want, q); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			u.RawQuery = ""
			if got := u.String(); got != "https://forum.example/forum/user-api-key/new" {
				t.Errorf("the browser goes to %s", got)
			}
		})
	}
}

func TestEveryRequestHasItsOwnNonce(t *testing.T) {
	t.Parallel()
	r := client.Request{Site: "forum.example", ApplicationName: "a", ClientID: "c", Scopes: userkeys.Scopes{"read"}, KeyPair: testPair()}
	seen := map[string]bool{}
	for range 100 {
		a, err := client.Begin(r)
		if err != nil {
			t.Fatal(err)
		}
		if seen[a.Nonce] {
			t.Fatalf("nonce %s came twice", a.Nonce)
		}
		seen[a.Nonce] = true
	}
}

func TestBeginRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*client.Request)
		want   userkeys.Code
	}{
		{"no site", func(r *client.Request) { r.Site = " " }, userkeys.MissingParameter},
		{"no name", func(r *client.Request) { r.ApplicationName = "" }, userkeys.MissingParameter},
		{"no client id", func(r *client.Request) { r.ClientID = "" }, userkeys.MissingParameter},
		{"no scopes", func(r *client.Request) { r.Scopes = nil }, userkeys.MissingParameter},
		{"unknown padding", func(r *client.Request) { r.Padding = "none" }, userkeys.InvalidPadding},
		{"half a second", func(r *client.Request) { r.ExpiresIn = 500 * time.Millisecond }, userkeys.InvalidExpiry},
		{"negative lifetime", func(r *client.Request) { r.ExpiresIn = -time.Second }, userkeys.InvalidExpiry},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := client.Request{Site: "https://forum.example", ApplicationName: "a", ClientID: "c", Scopes: userkeys.Scopes{"read"}, KeyPair: testPair()}
			tt.change(&r)
			if _, err := client.Begin(r); !errors.Is(err, tt.want) {
				t.Errorf("Begin = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParseSite(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"as it should be", "https://forum.example", "https://forum.example"},
		{"bare host", "forum.example", "https://forum.example"},
		{"slash, case, usual port", " HTTPS://Forum.Example:443/ ", "https://forum.example"},
		{"folder", "https://example.com/forum/", "https://example.com/forum"},
		{"loopback with port", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"IPv6", "http://[::1]:8080/", "http://[::1]:8080"},
		{"IPv6 with usual port", "http://[::1]:80/", "http://[::1]"},
		{"dot segments", "https://example.com/a/../b", "https://example.com/b"},
		{"host and port without scheme", "localhost:8080", "https://localhost:8080"},
		{"a name outside of ASCII", "B\u00fccher.Example", "https://xn--bcher-kva.example"},
		{"with a port", "http://b\u00fccher.test:8080/x", "http://xn--bcher-kva.test:8080/x"},
		{"as browsers send it", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"a final dot", "https://forum.example./", "https://forum.example"},
		{"no name", "https://\u2028", ""},
		{"nothing", "", ""},
		{"another scheme", "ftp://forum.example", ""},
		{"user name", "https://me@forum.example", ""},
		{"query", "https://forum.example/?a=1", ""},
		{"fragment", "https://forum.example/#a", ""},
		{"no host", "https:///x", ""},
		{"space inside", "https://forum example", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := client.ParseSite(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("ParseSite(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	for site, want := range map[string]bool{
		"https://forum.example": false, "http://forum.example": true, "http://127.0.0.1:8080": false,
		"http://[::1]:8080": false, "http://localhost": false, "http://192.168.1.2": true, "http://127.0.0.1.evil.example": true,
	} {
		if got := client.PlainHTTP(site); got != want {
			t.Errorf("PlainHTTP(%q) = %v, want %v", site, got, want)
		}
	}
}
