package userkeys_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

// TestRedirectVectors judges every address of testdata/redirects.txt: hostile
// ones by the row of the threat table that they belong to, and those of shipped apps.
func TestRedirectVectors(t *testing.T) {
	t.Parallel()
	const file = "redirects.txt"
	s := site.DefaultSettings()
	for _, v := range vectorLines(t, file) {
		id, rest, _ := strings.Cut(v.text, " ")
		switch id {
		case "rules": // set past the check, as an older database may hold them
			s.AllowedUserAPIAuthRedirects = slices.DeleteFunc(strings.Split(rest, "|"), func(r string) bool { return r == "" })
			continue
		case "loopback":
			s.AllowUserAPILoopbackRedirect = rest == "on"
			continue
		}
		verdict, value, _ := strings.Cut(rest, " ")
		value = unquote(t, value)
		t.Run(id+" "+verdict+" "+v.at(file), func(t *testing.T) {
			got, err := s.CheckRedirect(value)
			if verdict == "refuse" {
				mustRefuse(t, err, userkeys.RedirectNotAllowed, v.note)
				return
			}
			if err != nil || verdict != "accept" {
				t.Fatalf("%s %q: %v", verdict, value, err)
			}
			if got.String() != value {
				t.Errorf("String %q is not what was given, %q", got, value)
			}
			if got.Origin() != v.note {
				t.Errorf("Origin %q, want %q", got.Origin(), v.note)
			}
			if scheme, host, _ := strings.Cut(v.note, "://"); got.Scheme() != strings.TrimSuffix(scheme, ":") || got.Host() != host {
				t.Errorf("Scheme %q, Host %q, want %q and %q", got.Scheme(), got.Host(), scheme, host)
			}
		})
	}
}

func TestRedirectRuleVectors(t *testing.T) {
	t.Parallel()
	const file = "rules.txt"
	for _, v := range vectorLines(t, file) {
		id, rest, _ := strings.Cut(v.text, " ")
		verdict, value, _ := strings.Cut(rest, " ")
		t.Run(id+" "+verdict+" "+v.at(file), func(t *testing.T) {
			r, err := site.ParseRedirectRule(value)
			settings := site.DefaultSettings()
			setErr := settings.Set("allowed_user_api_auth_redirects", value)
			if verdict == "refuse" {
				mustRefuse(t, err, userkeys.InvalidParameters, v.note)
				mustRefuse(t, setErr, userkeys.InvalidParameters, v.note)
				return
			}
			if err != nil || setErr != nil || r.String() != value {
				t.Errorf("%q: %v, %v, String %q", value, err, setErr, r)
			}
		})
	}
}

// TestCVE_2021_21291_WildcardMustNotCrossTheHost: oauth2-proxy let a domain in
// its list be followed by anything; Discourse's first wildcard ran over slashes (RD31).
func TestCVE_2021_21291_WildcardMustNotCrossTheHost(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"https://*.example.com/cb", "https://*.example.com/*", "https://app.example.com/*"} {
		r, err := site.ParseRedirectRule(rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{
			"https://evil.net/x.example.com/cb", "https://evil.net/.example.com/", "https://app.example.com.evil.net/cb",
			"https://evilexample.com/cb", "https://evil-app.example.com.net/", "http://app.example.com/cb",
		} {
			p, err := userkeys.ParseRedirect(to)
			if err != nil {
				t.Fatal(err)
			}
			if r.Matches(p) {
				t.Errorf("RD31 %s matches %s", rule, to)
			}
		}
	}
}

// TestCVE_2020_15234_PathIsComparedWithCase: fosite compared whole addresses without case (RD17, RD18).
func TestCVE_2020_15234_PathIsComparedWithCase(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	s.AllowedUserAPIAuthRedirects = []string{"https://App.example/Cb"}
	if _, err := s.CheckRedirect("https://aPP.EXAMPLE/Cb"); err != nil {
		t.Error(err)
	}
	if _, err := s.CheckRedirect("https://app.example/cb"); err == nil {
		t.Error("RD18 a path in another case was accepted")
	}
}

// TestCVE_2024_8883_LocalhostIsNotLoopback: a name is whoever answers for it (RD38).
func TestCVE_2024_8883_LocalhostIsNotLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://127.0.0.1:8787/cb": true, "http://[::1]/": true, "http://localhost:8787/cb": false,
		"https://127.0.0.1/": false, "app://127.0.0.1/": false, "http://127.0.0.2/": false,
	} {
		r, err := userkeys.ParseRedirect(address)
		if err != nil {
			t.Fatal(err)
		}
		if r.Loopback() != want {
			t.Errorf("Loopback of %s is %v", address, !want)
		}
	}
}

// TestRedirectWith holds the composed address to W8.3 (RD30, RD47).
func TestRedirectWith(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, to, want string }{
		{"no query", "http://o.the/r", "http://o.the/r?payload=a%2B%2F%3D%0A"},
		{"no path", "http://o.the", "http://o.the?payload=a%2B%2F%3D%0A"},
		{"RD30 a query", "http://o.the/?a=1", "http://o.the/?a=1&payload=a%2B%2F%3D%0A"},
		{"RD30 an empty query", "http://o.the/?", "http://o.the/?&payload=a%2B%2F%3D%0A"},
		{"the literal that an app cuts at", "discourse://auth_redirect", "discourse://auth_redirect?payload=a%2B%2F%3D%0A"},
		{"RD47 no byte before is changed", "HTTPS://O.the:443/%41?B=%62&c=d+e", "HTTPS://O.the:443/%41?B=%62&c=d+e&payload=a%2B%2F%3D%0A"},
		{"RD8 escapes stay escapes", "http://o.the/%0d%0aX:%20y", "http://o.the/%0d%0aX:%20y?payload=a%2B%2F%3D%0A"},
		{"one slash", "com.example.app:/cb", "com.example.app:/cb?payload=a%2B%2F%3D%0A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := userkeys.ParseRedirect(c.to)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.With("payload", "a+/=\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := r.With("payload", "a+/=\n", "oneTimePassword", "* ~"); got != c.want+"&oneTimePassword=%2A+~" {
				t.Errorf("two parameters: %s", got)
			}
			if got := r.With(); got != c.to {
				t.Errorf("no parameters: %s", got)
			}
		})
	}
	t.Run("a name without a value is a programmer's mistake", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		r, _ := userkeys.ParseRedirect("http://o.the/r")
		//lint:ignore SA5012 the mistake is the test
		_ = r.With("payload")
	})
}

func TestRedirectOfNothing(t *testing.T) {
	t.Parallel()
	var r userkeys.Redirect
	if r.String()+r.Origin()+r.Host()+r.Scheme() != "" || r.Loopback() {
		t.Error("the zero Redirect leads somewhere")
	}
	if (site.RedirectRule{}).Matches(r) {
		t.Error("the zero rule matches the zero Redirect")
	}
}

// TestRefusalNamesTheLineToAdd: the administrator copies one line and it works,
// also when the app adds new state to every request.
func TestRefusalNamesTheLineToAdd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, to, line, later string }{
		{"exact", "https://app.example/cb", "https://app.example/cb", "https://app.example/cb"},
		{"state in the query", "https://app.example/cb?state=1", "https://app.example/cb?*", "https://app.example/cb?state=2"},
		{"custom scheme", "fomio://auth/callback", "fomio://auth/callback", "fomio://auth/callback"},
		{"a star in the path", "https://app.example/a*b", "https://app.example/*", "https://app.example/a*b"},
		{"one slash", "com.example.app:/cb?x", "com.example.app:/cb?x", "com.example.app:/cb?x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := site.DefaultSettings()
			_, err := s.CheckRedirect(c.to)
			text, _ := public(err)
			if !strings.HasSuffix(text, "allowed_user_api_auth_redirects: "+c.line) {
				t.Fatalf("refusal %q does not end in the line %s", text, c.line)
			}
			if err := s.Set("allowed_user_api_auth_redirects", c.line); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CheckRedirect(c.later); err != nil {
				t.Errorf("with the line: %v", err)
			}
		})
	}
}

// TestLocalhostIsToldOfLoopback: a line with a port helps only until the app listens on the next one.
func TestLocalhostIsToldOfLoopback(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	for to, told := range map[string]bool{
		"http://localhost:51004/cb": true, "http://localhost/cb": true, "https://localhost:51004/cb": false, "http://localhost.example/cb": false,
	} {
		_, err := s.CheckRedirect(to)
		if text, _ := public(err); strings.Contains(text, "the app can use 127.0.0.1 in place of localhost") != told || !strings.HasSuffix(text, ": "+to) {
			t.Errorf("%s: %s", to, text)
		}
	}
	s.AllowUserAPILoopbackRedirect = false
	if text, _ := public(func() error { _, err := s.CheckRedirect("http://localhost:51004/cb"); return err }()); strings.Contains(text, "127.0.0.1") {
		t.Errorf("what is off is recommended: %s", text)
	}
}

func TestRD44RedirectIsBounded(t *testing.T) {
	t.Parallel()
	base := "https://app.example/"
	if _, err := userkeys.ParseRedirect(base + strings.Repeat("a", 2000-len(base))); err != nil {
		t.Error(err)
	}
	_, err := userkeys.ParseRedirect(base + strings.Repeat("a", 2001-len(base)))
	mustRefuse(t, err, userkeys.RedirectNotAllowed, "longer than 2000 bytes")
}

func TestHostBounds(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	four := strings.Join([]string{label, label, label, label}, ".") // 255 bytes
	for host, want := range map[string]bool{
		label + ".example": true, "a" + label + ".example": false, four[:253]: true, four[:254]: false,
	} {
		if _, err := userkeys.ParseRedirect("https://" + host + "/"); (err == nil) != want {
			t.Errorf("host of %d bytes: %v", len(host), err)
		}
	}
}

func TestWildcardDomain(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{"https://*.GitHub.io/*": "github.io", "https://app.example/*": ""} {
		r, err := site.ParseRedirectRule(rule)
		if err != nil {
			t.Fatal(err)
		}
		if r.WildcardDomain() != want {
			t.Errorf("RD35 %s: domain %q, want %q", rule, r.WildcardDomain(), want)
		}
	}
}

// FuzzRedirect: whatever is accepted is read by net/url alike, keeps its bytes,
// and carries exactly one payload.
func FuzzRedirect(f *testing.F) {
	for _, v := range vectorLines(f, "redirects.txt") {
		_, rest, _ := strings.Cut(v.text, " ")
		_, value, _ := strings.Cut(rest, " ")
		f.Add(unquote(f, value))
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := userkeys.ParseRedirect(s)
		if err != nil {
			return
		}
		sealed := "a+/ =\n&#?"
		composed := r.With("payload", sealed)
		if r.String() != s || !strings.HasPrefix(composed, s) {
			t.Fatalf("%q became %q", s, composed)
		}
		for _, text := range []string{s, composed} {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatalf("accepted %q: %v", text, err)
			}
			host := strings.ToLower(u.Host)
			if p := ":" + map[string]string{"http": "80", "https": "443"}[r.Scheme()]; len(p) > 1 {
				host = strings.TrimSuffix(host, p)
			}
			if u.Scheme != r.Scheme() || host != r.Host() || u.User != nil || u.Fragment != "" {
				t.Fatalf("%q is %+v for net/url", text, u)
			}
		}
		u, _ := url.Parse(composed)
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q["payload"]) != 1 || q.Get("payload") != sealed {
			t.Fatalf("%q carries %q, %v", composed, q["payload"], err)
		}
		if rule, err := site.ParseRedirectRule(s); err == nil && !rule.Matches(r) {
			t.Fatalf("the rule %q does not match itself", s)
		}
	})
}
