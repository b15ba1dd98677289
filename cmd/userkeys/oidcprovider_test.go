package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// loginForm is the form of the provider's page, and where it leads.
var loginForm = regexp.MustCompile(`(?s)<form[^>]* action="([^"]+)".*?name="prompt" value="(\w+)"`)

// TestOIDCProviderOfNpm signs somebody in through an OpenID provider that others wrote and that requires PKCE: from an
// app's question to a key, and from a provider that is down to one that is there.
func TestOIDCProviderOfNpm(t *testing.T) {
	t.Parallel()
	_, port, _ := strings.Cut(nettest.ReserveAddress(t), ":")
	issuer := "http://127.0.0.1:" + port
	dir := t.TempDir()
	files := map[string]string{"secret": "the secret of the site\n", "userkeys.toml": `
password-login = false

[[login]]
name               = "id"
kind               = "oidc"
issuer             = "` + issuer + `"
client-id          = "userkeys"
client-secret-file = "` + filepath.Join(dir, "secret") + `"
owner-gone         = "30d"

[[login.rule]]
group       = "regulars"
trust-level = 3
into        = "regulars"
`}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	npmProgram(t, "oidc_provider.mjs") // before a server is started that needs it
	p := testkit.Serve(t, "--data", filepath.Join(dir, "data"), "--config", filepath.Join(dir, "userkeys.toml"))
	s := testkit.At(t, p.URL)
	app, ann := s.App("laptop", "read,session_info"), s.Visitor()
	away := ann.Get(app.Path())
	for range 3 {
		if to := away.Header.Get("Location"); to != "" {
			away = ann.Get(to)
		}
	}
	away.Must(t, 503)

	_, heard := npmApp(t, "oidc_provider.mjs", port, p.URL+"/user-api-key/login/id/callback")
	if said := heard(); said["issuer"] != issuer {
		t.Fatalf("the provider said %v", said)
	}
	var page testkit.Answer
	for range 600 { // it was asked a moment ago and is left alone for some seconds
		if page = follow303(ann, ann.Get(app.Path())); page.StatusCode == 200 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 2 { // its sign-in, and its own question whether the site may know
		m := loginForm.FindStringSubmatch(page.Body)
		if m == nil {
			t.Fatalf("%d %.2000s", page.StatusCode, page.Body)
		}
		r := ann.Request("POST", m[1], url.Values{"prompt": {m[2]}, "login": {"00u-17"}, "password": {"hers, there"}}.Encode())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		page = follow303(ann, ann.Do(r))
	}
	page.Must(t, 200, "App laptop", "ann")
	app.Connect(ann)
	app.Call("GET", "/session/current.json").Must(t, 200, `"username":"ann"`, "Ann \u00dcnal")
	listed := testkit.Run(t, "", "user", "list", "--json", "--data", filepath.Join(dir, "data"))
	for _, want := range []string{`"ann@mail.example"`, `"regulars"`, `"trust_level": 3`} {
		if !strings.Contains(listed, want) {
			t.Errorf("the user lacks %s: %s", want, listed)
		}
	}
}

// follow303 goes wherever the browser is sent.
func follow303(p *testkit.Person, a testkit.Answer) testkit.Answer {
	for range 10 {
		to := a.Header.Get("Location")
		if to == "" {
			break
		}
		if u, err := a.Request.URL.Parse(to); err == nil {
			to = u.String()
		}
		a = p.Get(to)
	}
	return a
}
