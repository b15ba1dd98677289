package site_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

// good are the parameters of a request that every test may spoil in its own way.
func good() url.Values {
	return url.Values{
		"nonce": {"n1"}, "scopes": {"read"}, "client_id": {"c1"},
		"public_key": {testPublicKey}, "application_name": {"App"},
	}
}

func TestParseAuthorizationRequest(t *testing.T) {
	t.Parallel()
	p := url.Values{
		"nonce": {"n-._~"}, "scopes": {"read,,notifications,read,"}, "client_id": {"host\n"}, "public_key": {"pem\r\n"},
		"application_name": {"Discourse - Alice's \u201ciPhone\u201d \U0001f469\u200d\U0001f680"}, "auth_redirect": {"discourse://auth_redirect"},
		"push_url": {"https://push.example/p"}, "padding": {"oaep"}, "expires_in_seconds": {"60"},
		"discourse_app": {"1"}, "access": {""},
	}
	got, err := site.ParseAuthorizationRequest(p)
	if err != nil {
		t.Fatal(err)
	}
	want := site.AuthorizationRequest{
		Nonce: "n-._~", Scopes: userkeys.Scopes{"read", "", "notifications"}, ClientID: "host\n", PublicKey: "pem\r\n",
		ApplicationName: p.Get("application_name"), AuthRedirect: "discourse://auth_redirect", HasAuthRedirect: true,
		PushURL: "https://push.example/p", Padding: "oaep", ExpiresInSeconds: "60",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParametersTwice(t *testing.T) {
	t.Parallel()
	p := good()
	p["auth_redirect"] = []string{"https://a.example/", "https://b.example/"}
	_, err := site.ParseAuthorizationRequest(p)
	mustRefuse(t, err, userkeys.InvalidParameters, "duplicate parameter auth_redirect")
}

func TestEmptyRedirectIsNotAbsent(t *testing.T) {
	t.Parallel()
	p := good()
	r, err := site.ParseAuthorizationRequest(p)
	if err != nil || r.HasAuthRedirect {
		t.Fatalf("%v, %v", r, err)
	}
	p.Set("auth_redirect", "")
	if r, err = site.ParseAuthorizationRequest(p); err != nil || !r.HasAuthRedirect {
		t.Fatalf("%v, %v", r, err)
	}
}

// TestRQ9RequiredParameters: absent, empty and invisible are one, and asked for in the wire's order.
func TestRQ9RequiredParameters(t *testing.T) {
	t.Parallel()
	blanks := map[string]string{
		"empty": "", "spaces": "  ", "U+00A0": "\u00a0", "U+200B": "\u200b", "line end": "\n", "U+3164": "\u3164", "U+2800": "\u2800",
	}
	for _, name := range []string{"nonce", "scopes", "client_id"} {
		want := "param is missing or the value is empty: " + name
		p := good()
		p.Del(name)
		_, err := site.ParseAuthorizationRequest(p)
		mustRefuse(t, err, userkeys.MissingParameter, want)
		for what, blank := range blanks {
			p.Set(name, blank)
			if _, err := site.ParseAuthorizationRequest(p); userkeys.AsError(err).Public != want {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	p := url.Values{}
	for _, name := range []string{"nonce", "scopes", "client_id"} {
		_, err := site.ParseAuthorizationRequest(p)
		mustRefuse(t, err, userkeys.MissingParameter, name)
		p.Set(name, "read")
	}
}

// TestPresenceComesBeforeForm: who forgets one parameter and spoils another hears of the missing one first.
func TestPresenceComesBeforeForm(t *testing.T) {
	t.Parallel()
	p := good()
	p.Set("nonce", "a\x01")
	p.Del("client_id")
	_, err := site.ParseAuthorizationRequest(p)
	mustRefuse(t, err, userkeys.MissingParameter, "client_id")
	p.Set("client_id", "c\x01")
	for _, name := range []string{"nonce", "client_id"} {
		_, err := site.ParseAuthorizationRequest(p)
		mustRefuse(t, err, userkeys.InvalidParameters, name+" is not text")
		p.Set(name, "fine")
	}
}

func TestRequestBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, parameter, fits, tooLong, words string
	}{
		{"nonce", "nonce", strings.Repeat("n", 500), strings.Repeat("n", 501), "longer than 500 bytes"},
		{"client_id", "client_id", strings.Repeat("c", 200), strings.Repeat("c", 201), "longer than 200 bytes"},
		{"client_id and its line end", "client_id", strings.Repeat("c", 200) + "\n", strings.Repeat("c", 201) + "\n", "longer than 200 bytes"},
		{"ID12 characters of application_name", "application_name", strings.Repeat("n", 200), strings.Repeat("n", 10_000), "longer than 200 characters"},
		{"ID10 200 emoji", "application_name", strings.Repeat("\U0001f680", 200), strings.Repeat("\U0001f680", 201), "longer than 200 characters"},
		{"PK24 public_key", "public_key", strings.Repeat("k", 4096), strings.Repeat("k", 4097), "longer than 4096 bytes"},
		{"push_url", "push_url", strings.Repeat("u", 2000), strings.Repeat("u", 2001), "longer than 2000 bytes"},
		{"RD44 auth_redirect", "auth_redirect", strings.Repeat("u", 2000), strings.Repeat("u", 2001), "longer than 2000 bytes"},
		{"SC4 bytes of scopes", "scopes", strings.Repeat("s", 500), strings.Repeat("s", 501), "longer than 500 bytes"},
		{"SC4 names in scopes", "scopes", strings.Repeat("read,", 20), strings.Repeat("read,", 21), "more than 20 scopes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := good()
			p.Set(c.parameter, c.fits)
			if _, err := site.ParseAuthorizationRequest(p); err != nil {
				t.Error(err)
			}
			p.Set(c.parameter, c.tooLong)
			_, err := site.ParseAuthorizationRequest(p)
			mustRefuse(t, err, userkeys.InvalidParameters, c.words)
		})
	}
}

// TestRQ12Controls: nothing that could bend a log line or a header.
func TestRQ12Controls(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nonce", "client_id", "application_name", "push_url", "auth_redirect", "scopes"} {
		for _, bad := range []string{"\x01", "\t", "\x7f", "\u0085", "\u2028", "\u2029", "\r", "\n", "\x00", "\xff"} {
			p := good()
			p.Set(name, "a"+bad+"b")
			_, err := site.ParseAuthorizationRequest(p)
			mustRefuse(t, err, userkeys.InvalidParameters, name+" is not text")
		}
	}
	for value, ok := range map[string]bool{
		"h\n": true, "h\r": true, "h\r\n": true, "h\n\n": false, "h\n\r": false, "\nh": false, "h\x00\n": false,
	} {
		p := good()
		p.Set("client_id", value)
		r, err := site.ParseAuthorizationRequest(p)
		if (err == nil) != ok || ok && r.ClientID != value {
			t.Errorf("client_id %q: kept as %q, %v", value, r.ClientID, err)
		}
	}
	for value, words := range map[string]string{"k\x00": "control", "k\x0bk": "control", "k\xff": "not text"} {
		p := good()
		p.Set("public_key", value)
		_, err := site.ParseAuthorizationRequest(p)
		mustRefuse(t, err, userkeys.InvalidParameters, "public_key "+map[bool]string{true: "is ", false: "has "}[words == "not text"]+words)
	}
}

// FuzzParseAuthorizationRequest: no query crashes it, and what it lets through is
// text that its own rules let through again.
func FuzzParseAuthorizationRequest(f *testing.F) {
	f.Add("nonce=1&scopes=read&client_id=c")
	f.Add(good().Encode())
	f.Add("nonce=1&nonce=2&scopes[]=read&client_id=%zz;a")
	f.Add("nonce=%E2%80%8B&scopes=,&client_id=h%0A&auth_redirect=")
	s, c := site.DefaultSettings(), discourse(f)
	f.Fuzz(func(t *testing.T, query string) {
		p, err := userkeys.ParseParameters(query)
		if err != nil {
			if code := userkeys.AsError(err).Code; code != userkeys.InvalidParameters {
				t.Fatalf("%v", err)
			}
			return
		}
		if again, err := userkeys.ParseParameters(p.Encode()); err != nil || !cmp.Equal(p, again) {
			t.Fatalf("%q reads differently when written again: %v", query, err)
		}
		r, err := site.ParseAuthorizationRequest(p)
		if err != nil {
			return
		}
		if r.Nonce != p.Get("nonce") || r.ClientID != p.Get("client_id") || strings.ContainsAny(r.Nonce+r.ApplicationName+r.AuthRedirect, "\r\n\x00") {
			t.Fatalf("%q became %+v", query, r)
		}
		got, err := r.Check(s, c, site.Client{})
		if err == nil && (got.Redirect != nil && !got.Redirect.Loopback() && got.Redirect.Host() != "api.discourse.org" && got.Redirect.Host() != "auth_redirect") {
			t.Fatalf("%q is sent to %s", query, got.Redirect)
		}
	})
}
