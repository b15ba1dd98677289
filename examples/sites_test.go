package examples_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"userkeys/internal/sso"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/internal/testkit/provider"
	"userkeys/internal/wiring"
)

// exampleSites are the websites with users of their own.
var exampleSites = []struct {
	name, shows string
	main, added string   // files
	command     []string // SITE_LISTEN is put in place of LISTEN
	path        string   // of the API
}{
	{"python-site", "Sign in to Notes", "notes.py", "userkeys.py", []string{"python3", "notes.py"}, "/notes.json"},
	{"php-site", "Sign in to Books", "index.php", "userkeys.php", []string{"php", "-S", "LISTEN", "index.php"}, "/books.json"},
}

// startWebsite runs a website that another program serves, until the test ends.
func startWebsite(t *testing.T, dir, listen, siteURL string, command []string) {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true skips nothing, but there is no %s", command[0])
		}
		t.Skipf("there is no %s: an example is not run (scripts/setup installs it)", command[0])
	}
	var args []string
	for _, a := range command[1:] {
		args = append(args, strings.ReplaceAll(a, "LISTEN", listen))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, cmd: exec.CommandContext(ctx, command[0], args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p, p
	p.cmd.Env = append(os.Environ(), "SITE_URL="+siteURL, "SITE_LISTEN="+listen, "SITE_DATA="+t.TempDir(),
		"SSO_SECRET="+provider.ConnectSecret, "PYTHONDONTWRITEBYTECODE=1")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.ended
		if t.Failed() {
			t.Log(p.said())
		}
	})
	eventually(t, func() error {
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			return fmt.Errorf("%w; it said:\n%s", err, p.said())
		}
		return conn.Close()
	})
}

// siteOf is userkeys before a website that makes itself a provider at /sso.
func siteOf(t *testing.T, website string) *testkit.Site {
	t.Helper()
	return testkit.NewSite(t, dbtest.SQLite(t), testkit.Behind("http://"+website), func(cfg *wiring.Config) {
		at := cfg.BaseURL.JoinPath("/sso")
		cfg.NoPasswords = true
		cfg.Logins = []sso.Login{{
			Name: "site", Issuer: at.String(), PauseAfter: 30 * 24 * time.Hour, Rules: sso.Rules{TrustLevel: 1},
			Kind: sso.KindDiscourse, Discourse: sso.ConnectConfig{URL: at, Secret: provider.ConnectSecret},
		}}
	})
}

// walker is a person who goes wherever they are sent, and counts the pages that ask for a password.
type walker struct {
	*testkit.Person
	passwords int
}

func (w *walker) arrive(a testkit.Answer) testkit.Answer {
	for range 8 {
		to := a.Header.Get("Location")
		if to == "" {
			break
		}
		a = w.Get(to)
	}
	w.passwords += strings.Count(a.Body, `type="password"`)
	return a
}

// From an app's question to a revoked key: who signs in where they always do is asked for no other password.
func TestSitesWithUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, e := range exampleSites {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			listen := nettest.ReserveAddress(t)
			s := siteOf(t, listen)
			startWebsite(t, e.name, listen, s.URL, e.command)
			ann := &walker{Person: s.Visitor()}
			app := s.App("laptop", "read")
			asked := ann.arrive(ann.Get(app.Path())).Must(t, 200, e.shows)
			ann.Submit(asked, "/login", "name", "ann", "password", "wrong").Must(t, 403, "is wrong")
			ann.arrive(ann.Submit(asked, "/login", "name", "ann", "password", "ann keeps bees")).Must(t, 200, "App laptop", "ann")
			session := ann.Request("GET", e.path, "") // as a web server sends it that passes empty headers
			session.URL.Host, session.Host = listen, listen
			session.Header.Set("X-Userkeys-Key-Id", "")
			ann.Do(session).Must(t, 200, `"ann"`)
			app.Connect(ann.Person)
			app.Call("GET", e.path).Must(t, 200, `"user":`, `"ann"`)
			app.Call("POST", e.path).Must(t, 403, "scope")

			// The same browser is signed in at both; another app needs no sign-in at all.
			s.App("phone", "read").Connect(ann.Person)
			if ann.passwords != 1 {
				t.Errorf("%d pages asked for a password", ann.passwords)
			}
			ben := &walker{Person: s.Visitor()}
			asked = ben.arrive(ben.Get("/my/apps")).Must(t, 200, e.shows)
			ben.arrive(ben.Submit(asked, "/login", "name", "ben", "password", "ben bakes bread")).Must(t, 200).MustNot(t, "App laptop")
			other := s.App("laptop", "read").Connect(ben.Person)
			other.Call("GET", e.path).Must(t, 200, `"ben"`)

			stranger := s.Visitor()
			r := stranger.Request("GET", e.path, "")
			r.Header.Set("X-Userkeys-Key-Id", "1")
			r.Header.Set("X-Userkeys-External-Id", "17")
			stranger.Do(r).Must(t, 401)
			revokeAll(t, ann.Person)
			revokeAll(t, ann.Person)
			app.Call("GET", e.path).Must(t, 403, "invalid key")
			other.Call("GET", e.path).Must(t, 200)
		})
	}
}

// The websites answer nobody but userkeys, and send nobody who signs in elsewhere.
func TestSitesSendPeopleNowhereElse(t *testing.T) {
	t.Parallel()
	for _, e := range exampleSites {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			listen := nettest.ReserveAddress(t)
			s := siteOf(t, listen)
			startWebsite(t, e.name, listen, s.URL, e.command)
			ann := s.Visitor()
			for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`} {
				page := ann.Get("/login?next="+url.QueryEscape(next)).Must(t, 200)
				got := ann.Submit(page, "/login", "name", "ann", "password", "ann keeps bees")
				if to := got.Header.Get("Location"); got.StatusCode != http.StatusSeeOther || to != "/" {
					t.Errorf("%s: sent to %q", next, to)
				}
			}
			ann.Get("/sso?sso=bm9uY2U9MQ%3D%3D&sig="+provider.SignConnect("another")).Must(t, 400)
			elsewhere := "bm9uY2U9MSZyZXR1cm5fc3NvX3VybD1odHRwczovL2V2aWwuZXhhbXBsZS8=" // nonce=1&return_sso_url=https://evil.example/
			ann.Get("/sso?sso="+url.QueryEscape(elsewhere)+"&sig="+provider.SignConnect(elsewhere)).Must(t, 400)
		})
	}
}

// TestSitesAddLittle counts what the websites add for userkeys: a file, and the lines that say so.
func TestSitesAddLittle(t *testing.T) {
	t.Parallel()
	for _, e := range exampleSites {
		added, err := os.ReadFile(filepath.Join(e.name, e.added))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(e.name, e.main))
		if err != nil {
			t.Fatal(err)
		}
		marked := 0
		for line := range strings.Lines(string(text)) {
			if strings.HasSuffix(line, "# userkeys\n") || strings.HasSuffix(line, "// userkeys\n") {
				marked++
			}
		}
		if n := lines(string(added)) + marked; marked < 4 || n >= 40 {
			t.Errorf("%s adds %d lines", e.name, n)
		}
	}
}
