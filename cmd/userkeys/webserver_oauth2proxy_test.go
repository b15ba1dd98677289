//go:build unix

package main

import (
	"html"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/internal/testkit/provider"
)

const oauth2Proxy = "github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6"

// signInForm is on the page of oauth2-proxy that asks people to sign in.
var signInForm = regexp.MustCompile(`(?s)<form method="GET" action="(/oauth2/start)".*?name="rd" value="([^"]*)"`)

// startOAuth2Proxy starts oauth2-proxy for a website at front, with a provider at which everybody is bob. It returns
// where it listens, and what ends it.
func startOAuth2Proxy(t *testing.T, front string) (addr string, end func()) {
	t.Helper()
	addr = nettest.ReserveAddress(t)
	p := provider.NewOIDC(t, time.Now)
	p.SignsIn("bob", "email", "bob@example.com", "email_verified", true, "preferred_username", "Bob", "groups", []string{"staff"})
	process := nettest.StartProgram(t, addr, nettest.BuildProgram(t, oauth2Proxy), "--http-address", addr, "--reverse-proxy", "--trusted-proxy-ip", "127.0.0.1", "--set-xauthrequest",
		"--provider", "oidc", "--oidc-issuer-url", p.Issuer, "--client-id", provider.ClientID, "--client-secret", provider.ClientSecret,
		"--code-challenge-method", "S256", "--insecure-oidc-skip-nonce=false", "--redirect-url", "http://"+front+"/oauth2/callback",
		"--email-domain", "*", "--upstream", "static://202", "--cookie-secure=false", "--cookie-secret", strings.Repeat("x", 32))
	return addr, func() {
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		for {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}
}

// besideOAuth2Proxy has the real oauth2-proxy decide about requests without a key: a person signs in and out there.
func (a *asking) besideOAuth2Proxy(t *testing.T, server, key string) {
	front := nettest.ReserveAddress(t)
	addr, end := startOAuth2Proxy(t, front)
	args := append(slices.Clone(a.args), "--beside", "oauth2-proxy="+addr)
	w := testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: args}.Start(t)
	bob := w.Visitor()
	page := bob.Get("/a?x=1&y=2")
	for page.StatusCode/100 == 3 && strings.HasPrefix(page.Header.Get("Location"), "/") { // never to the provider without a click
		page = bob.Get(page.Header.Get("Location"))
	}
	form := signInForm.FindStringSubmatch(page.Body)
	if form == nil {
		t.Fatalf("no page asks bob to sign in: %d %v %s", page.StatusCode, page.Header, page.Body)
	}
	to := html.UnescapeString(form[2])
	follow303(bob, bob.Get(form[1]+"?rd="+url.QueryEscape(to))).Must(t, 200, "target=/a?x=1&y=2")
	got := a.website.Take()
	if len(got) != 1 {
		t.Fatalf("before bob had signed in, the website got %+v", got)
	}
	site, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	session := ""
	for _, c := range bob.HTTP.Jar.Cookies(site) {
		session += "; " + c.Name + "=" + c.Value
	}
	session = "Cookie: " + strings.TrimPrefix(session, "; ")
	broken := strings.Replace(session, "|", "x|", 1)
	forged := forgedBeside("X-Auth-Request-User")
	for _, tt := range []struct {
		name   string
		header []string
		want   decision
	}{
		{"a key", []string{"User-Api-Key: " + key}, decision{user: "alice"}},
		{"a key and forged", append([]string{"User-Api-Key: " + key}, forged...), decision{user: "alice"}},
		{"a key beside a session", []string{"User-Api-Key: " + key, session}, decision{user: "alice"}},
		{"a key beside a session, and forged", append([]string{"User-Api-Key: " + key, session}, forged...), decision{user: "alice"}},
		{"a bad key beside a session", []string{"User-Api-Key: zzz", session}, decision{}},
		{"a session", []string{session}, decision{person: "bob"}},
		{"a session and forged", append([]string{session}, forged...), decision{person: "bob"}},
		{"a session that somebody changed", []string{broken}, decision{}},
		{"neither", nil, decision{}},
		{"neither and forged", forged, decision{}},
		{"neither, for another path and address", []string{
			"X-Forwarded-Uri: /oauth2/sign_in", "X-Original-Uri: /ping", "X-Forwarded-Host: other.example", "X-Real-Ip: 127.0.0.1",
		}, decision{}},
	} {
		got := wireRequest{method: "GET", target: "/a", header: tt.header}.over11(w)
		a.mustDecide(t, tt.name, "X-Auth-Request-User", got, tt.want)
	}
	bob.Get("/a").Must(t, 200)
	bob.Get("/oauth2/sign_out").Must(t, 302)
	a.website.Take()
	a.mustDecide(t, "signed out", "X-Auth-Request-User", bob.Get("/a"), decision{})
	end()
	for header, want := range map[string]decision{session: {}, "User-Api-Key: " + key: {user: "alice"}, "Accept: */*": {}} {
		got := wireRequest{method: "GET", target: "/a", header: []string{header}}.over11(w)
		a.mustDecide(t, "oauth2-proxy has ended, "+header, "X-Auth-Request-User", got, want)
	}
}
