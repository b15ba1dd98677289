package discourse_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/discourse"
)

func TestProbe(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		r := app{t: t, s: s}.do("HEAD", "/user-api-key/new", nil).must(t, 200)
		if got := r.Header.Get("Auth-Api-Version"); got != "4" {
			t.Errorf("Auth-Api-Version = %q", got)
		}
		want := ""
		if s.Era == discourse.New {
			want = "true"
		}
		if got := r.Header.Get("Auth-Api-Device-Code"); got != want {
			t.Errorf("Auth-Api-Device-Code = %q, want %q", got, want)
		}
	})
}

// TestConsentPage: what the eras answer to a request that is opened in a browser.
func TestConsentPage(t *testing.T) {
	t.Parallel()
	const generic = "unable to issue user API keys"
	tests := []struct {
		name    string
		changes []string
		status  [3]int // old, middle, new
		text    [3]string
	}{
		{"fine", nil, [3]int{200, 200, 200}, [3]string{"An app", "An app", "An app"}},
		{"nonce missing", []string{"nonce", "-"}, [3]int{400, 400, 400}, [3]string{`["param is missing`, `["param is missing`, `["param is missing`}},
		{"all missing", []string{"nonce", " ", "public_key", ""}, [3]int{400, 400, 400}, [3]string{"empty: public_key", "empty: nonce", "empty: nonce"}},
		{"unknown scope", []string{"scopes", "read, write"}, [3]int{200, 200, 200}, [3]string{generic, generic, generic}},
		{"empty scope first", []string{"scopes", ",read"}, [3]int{200, 200, 200}, [3]string{generic, generic, generic}},
		{"empty scope last", []string{"scopes", "read,"}, [3]int{200, 200, 200}, [3]string{"Read all", "Read all", "Read all"}},
		{"broken public key", []string{"public_key", "nonsense"}, [3]int{500, 500, 200}, [3]string{"", "", generic}},
		{"redirect not listed", []string{"auth_redirect", "https://a.example/x"}, [3]int{200, 200, 200}, [3]string{"Authorize", "Authorize", generic}},
		{"wrong padding", []string{"padding", "OAEP"}, [3]int{200, 200, 400}, [3]string{"Authorize", "Authorize", "padding"}},
		{"wrong end", []string{"expires_in_seconds", "soon"}, [3]int{200, 200, 200}, [3]string{"Authorize", "Authorize", generic}},
		{"unknown parameters", []string{"discourse_app", "1"}, [3]int{200, 200, 200}, [3]string{"Authorize", "Authorize", "Authorize"}},
	}
	for i, era := range discourse.Eras {
		s := newSite(t, era)
		b := s.Browser("alice")
		for _, tt := range tests {
			p, err := b.Open(consentURL(tt.changes...))
			if err != nil || p.Status != tt.status[i] || !strings.Contains(p.Body, tt.text[i]) {
				t.Errorf("%s, %s: status %d, want %d with %q: %v %.600s", era, tt.name, p.Status, tt.status[i], tt.text[i], err, p.Body)
			}
		}
	}
}

func TestConsentAsJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	key := s.Mint("alice", "read")
	a := app{t: t, s: s, key: key}
	path := "/user-api-key/new.json?" + asked("auth_redirect", "discourse://auth_redirect", "expires_in_seconds", "60").Encode()
	m := a.get(path).must(t, 200).value(t)
	if m["state"] != "ready" || m["write_scope"] != true || m["expires_at"] == nil || m["redirect_uri"] != nil {
		t.Errorf("model %v", m)
	}
	if m := a.get("/user-api-key/new.json?"+asked("scopes", "all").Encode()).must(t, 200).value(t); len(m) != 1 || m["state"] != "generic_error" {
		t.Errorf("model %v", m)
	}
	s.Set("user_api_key_allowed_groups", "trust_level_3")
	if m := a.get(path).must(t, 200).value(t); m["state"] != "no_trust_level" {
		t.Errorf("model %v", m)
	}
	middle := newSite(t, discourse.Middle)
	app{t: t, s: middle}.get(path).must(t, 406)
}

// TestStranger: the login page keeps where somebody wanted to go, whole.
func TestStranger(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		to := consentURL("padding", "oaep")
		r := app{t: t, s: s}.get(to).must(t, 302)
		if got := r.Header.Get("Location"); got != "/login" {
			t.Errorf("Location = %q", got)
		}
		b := s.Browser("")
		if p, err := b.Open(to); err != nil || !strings.HasSuffix(p.URL, "/login") {
			t.Fatalf("a stranger saw %s: %v", p.URL, err)
		}
		p, err := b.SignIn("alice")
		if err != nil || !strings.HasSuffix(p.URL, to) || !strings.Contains(p.Body, `value="oaep"`) {
			t.Errorf("after signing in: %s %v", p.URL, err)
		}
	})
}

// TestGrantRefused: what the eras answer to the grant, by an app that has a key with write.
func TestGrantRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 172) // one byte more than fits
	tests := []struct {
		name    string
		changes []string
		status  [3]int
		kind    string // in the newest era
	}{
		{"missing", []string{"client_id", "-"}, [3]int{400, 400, 400}, ""},
		{"unknown scope", []string{"scopes", "all"}, [3]int{403, 403, 403}, "invalid_access"},
		{"redirect not listed", []string{"auth_redirect", "https://a.example/"}, [3]int{403, 403, 403}, "invalid_access"},
		{"redirect empty", []string{"auth_redirect", ""}, [3]int{200, 200, 403}, "invalid_access"},
		{"broken public key", []string{"public_key", "nonsense"}, [3]int{500, 500, 400}, "invalid_parameters"},
		{"wrong padding", []string{"padding", "none"}, [3]int{200, 200, 400}, "invalid_parameters"},
		{"end too late", []string{"expires_in_seconds", "31536001"}, [3]int{200, 200, 400}, "invalid_parameters"},
		{"end signed", []string{"expires_in_seconds", "+60"}, [3]int{200, 200, 400}, "invalid_parameters"},
		{"nonce too long", []string{"nonce", long}, [3]int{500, 500, 400}, "Payload too large for PKCS#1"},
		{"redirect and scope", []string{"auth_redirect", "https://a.example/", "public_key", "nonsense"}, [3]int{403, 403, 400}, "invalid_parameters"},
	}
	for i, era := range discourse.Eras {
		s := newSite(t, era)
		a := app{t: t, s: s, key: s.Mint("alice", "write")}
		for _, tt := range tests {
			r := a.do("POST", "/user-api-key.json", asked(tt.changes...))
			if r.StatusCode != tt.status[i] || era == discourse.New && !strings.Contains(r.body, tt.kind) {
				t.Errorf("%s, %s: %d, want %d %s: %.300s", era, tt.name, r.StatusCode, tt.status[i], tt.kind, r.body)
			}
		}
		s.Set("min_trust_level_for_user_api_key", "2")
		s.Set("user_api_key_allowed_groups", "12")
		a.do("POST", "/user-api-key.json", asked()).must(t, 403, "invalid_access")
		s.ChangeUser("alice", func(u *discourse.User) { u.TrustLevel = 2 })
		a.do("POST", "/user-api-key.json", asked()).must(t, 200)
		app{t: t, s: s}.do("POST", "/user-api-key", asked()).must(t, 403, "BAD CSRF")
	}
}

// TestOrphanOfLongNonce: the key is made before its answer is found too long,
// and the old key is gone.
func TestOrphanOfLongNonce(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s, key: s.Mint("alice", "write")}
		a.do("POST", "/user-api-key.json", asked()).must(t, 200)
		first := s.Keys()[1]
		a.do("POST", "/user-api-key.json", asked("nonce", strings.Repeat("n", 200)))
		keys := s.Keys()
		if len(keys) != 2 || keys[1].ID == first.ID || !keys[1].Good(s.Clock.Now()) {
			t.Errorf("keys %+v", keys)
		}
	})
}

// TestGrantByHand: without an address the page shows the payload.
func TestGrantByHand(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		payload, err := s.Browser("alice").Approve(consentURL("padding", "oaep", "expires_in_seconds", "3600"))
		if err != nil {
			t.Fatal(err)
		}
		padding, end := userkeys.PaddingPKCS1, time.Time{}
		if s.Era == discourse.New {
			padding, end = userkeys.PaddingOAEP, s.Clock.Now().Add(time.Hour)
		}
		p := open(t, padding, payload)
		if p.Nonce != "nonce-1" || p.API != 4 || p.Push || !p.ExpiresAt.Equal(end) {
			t.Errorf("payload %+v, want the end %v", p, end)
		}
		a := app{t: t, s: s, key: p.Key}
		a.get("/session/current.json").must(t, 200, "alice")
		s.Clock.Pass(time.Hour)
		if s.Era == discourse.New {
			a.get("/session/current.json").must(t, 403)
		} else {
			a.get("/session/current.json").must(t, 200)
		}
	})
}

// TestGrantRedirects: the newest era gives scripts the address as JSON, the others redirect them.
func TestGrantRedirects(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		s.Set("allowed_user_api_push_urls", "https://push.example/v1")
		a := app{t: t, s: s, key: s.Mint("alice", "write")}
		params := asked("auth_redirect", "discourse://auth_redirect", "scopes", "push", "push_url", "https://push.example")
		r := a.do("POST", "/user-api-key.json", params)
		to := ""
		if s.Era == discourse.New {
			to = r.must(t, 200).value(t)["redirect_url"].(string)
		} else {
			to = r.must(t, 302).Header.Get("Location")
		}
		rest, ok := strings.CutPrefix(to, "discourse://auth_redirect?")
		q, err := url.ParseQuery(rest)
		if !ok || err != nil {
			t.Fatalf("sent to %q: %v", to, err)
		}
		if p := open(t, userkeys.PaddingPKCS1, q.Get("payload")); !p.Push {
			t.Error("push is false")
		}
		if got := a.do("POST", "/user-api-key", params).must(t, 302).Header.Get("Cache-Control") == "no-store"; got != (s.Era == discourse.New) {
			t.Errorf("no-store: %v", got)
		}
	})
}

// TestApproveFollows: the browser brings the answer to an app on this machine.
func TestApproveFollows(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		got := make(chan url.Values, 1)
		listener := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Query() }))
		t.Cleanup(listener.Close)
		s.Set("allowed_user_api_auth_redirects", "http://127.0.0.1:*/cb|"+listener.URL+"/cb*")
		to, err := s.Browser("alice").Approve(consentURL("auth_redirect", listener.URL+"/cb?state=1"))
		if err != nil || !strings.HasPrefix(to, listener.URL+"/cb?state=1&payload=") {
			t.Fatalf("sent to %q: %v", to, err)
		}
		open(t, userkeys.PaddingPKCS1, (<-got).Get("payload"))
	})
}

func TestApproveNothing(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		if _, err := s.Browser("alice").Approve(consentURL("scopes", "all")); err == nil || !strings.Contains(err.Error(), "unable to issue") {
			t.Errorf("approving nothing: %v", err)
		}
		if n := len(s.Keys()); n != 0 {
			t.Errorf("%d keys", n)
		}
	})
}

// TestRedirects: the older rule lets the first * run over everything.
func TestRedirects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list, address string
		older, newest bool
	}{
		{"https://a.example/cb", "https://a.example/cb", true, true},
		{"https://a.example/cb", "https://a.example/cb?x=1", false, false},
		{"https://a.example/cb", "HTTPS://A.EXAMPLE/CB", true, true},
		{"https://a.example/cb", "https://a.example:443/cb", false, true},
		{"https://a.example", "https://a.example/", false, false},
		{"https://*.example.com/cb", "https://evil.example/x.example.com/cb", true, false},
		{"https://*.example.com/cb", "https://a.b.example.com/cb", true, true},
		{"https://*.example.com/cb", "https://example.com/cb", false, false},
		{"https://*example.com/cb", "https://evilexample.com/cb", true, true},
		{"http://127.0.0.1:*/cb", "http://127.0.0.1:8080/cb", true, false},
		{"https://a.example/*/x/*", "https://a.example/1/x/2", false, true},
		{"*", "javascript://h/x", true, true},
		{"*", "myapp:cb", false, false},
		{"", "https://a.example/", false, false},
		{"x://y|discourse://auth_redirect", "discourse://auth_redirect", true, true},
		{"https://a.example/cb#f*", "https://a.example/cb#fragment", true, true},
		{"https://u@a.example/", "https://a.example/", false, false},
	}
	for _, era := range discourse.Eras {
		s := newSite(t, era)
		s.Set("max_user_api_reqs_per_minute", "1000")
		a := app{t: t, s: s, key: s.Mint("alice", "write")}
		for _, tt := range tests {
			s.Set("allowed_user_api_auth_redirects", tt.list)
			want := tt.older
			if era == discourse.New {
				want = tt.newest
			}
			r := a.do("POST", "/user-api-key", asked("auth_redirect", tt.address))
			if got := r.StatusCode == 302; got != want {
				t.Errorf("%s: %s against %s: allowed %v, want %v", era, tt.address, tt.list, got, want)
			}
		}
	}
}

func TestComposedAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	s.Set("allowed_user_api_auth_redirects", "*")
	a := app{t: t, s: s, key: s.Mint("alice", "write")}
	for address, want := range map[string]string{
		"http://o.the/r": "http://o.the/r?payload=", "http://o.the/?a=1": "http://o.the/?a=1&payload=",
		"http://o.the/?": "http://o.the/?&payload=", "myapp://cb": "myapp://cb?payload=",
	} {
		if got := a.do("POST", "/user-api-key", asked("auth_redirect", address)).Header.Get("Location"); !strings.HasPrefix(got, want) {
			t.Errorf("%s became %s", address, got)
		}
	}
	if got := a.do("POST", "/user-api-key", asked("auth_redirect", "http://o.the/r#f")).Header.Get("Location"); !strings.HasSuffix(got, "%0A#f") {
		t.Errorf("the fragment: %s", got)
	}
	m := a.get("/user-api-key/new.json?" + asked("auth_redirect", "http://o.the:8080/r").Encode()).value(t)
	if m["redirect_uri"] != "o.the:8080" {
		t.Errorf("redirect_uri = %v", m["redirect_uri"])
	}
}
