package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestReadmeCommandsRun runs what README.md says to type at the program, as it stands there: against a new site,
// and against one before a website that knows nothing of apps, where alice approves.
func TestReadmeCommandsRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("README.md shows commands for a POSIX shell")
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	s, browser := siteBeforeAWebsite(t, http.NotFound)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	testkit.Run(t, "", "migrate", "--data", data)
	here := strings.NewReplacer("https://forum.example", s.URL, "USERKEYS_DATA=/var/lib/userkeys", "USERKEYS_DATA="+data)
	ran := 0
	for _, block := range shellBlock.FindAllSubmatch(text, -1) {
		script := string(block[1])
		if !strings.HasPrefix(script, "userkeys ") && !strings.HasPrefix(script, "export ") {
			continue // builds and servers: the scripts run those
		}
		ran++
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", here.Replace(script))
		cmd.Env = append(os.Environ(), "PASSWORD=a long enough one", "BROWSER=follow", browser, "NO_COLOR=1",
			appkeys.ConfigDirEnv+"="+filepath.Join(dir, "keys"), appkeys.KeystoreEnv+"=plain")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
	}
	if ran != 2 {
		t.Errorf("README.md has %d blocks for the installed program, this test knows 2", ran)
	}
}

// siteBeforeAWebsite is a site before website where alice approves what a browser is sent to, and the environment of
// a program whose browser is hers.
func siteBeforeAWebsite(t *testing.T, website http.HandlerFunc, options ...testkit.Option) (*ownSite, string) {
	t.Helper()
	behind := httptest.NewServer(website)
	t.Cleanup(behind.Close)
	s := &ownSite{t: t, Site: testkit.NewSite(t, dbtest.SQLite(t), append(options, testkit.Behind(behind.URL))...)}
	s.User("alice")
	s.alice = s.Person("alice")
	browser := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := s.approve(r.URL.Query().Get("address")); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(browser.Close)
	return s, followThrough + "=" + browser.URL
}

// TestLoginTriesWhatItRecommends: the first thing that a person is told to type must work.
func TestLoginTriesWhatItRecommends(t *testing.T) {
	t.Parallel()
	noFallback := func(cfg *wiring.Config) { cfg.NoFallback = true }
	for _, tt := range []struct {
		name, scopes string
		website      http.HandlerFunc
		options      []testkit.Option
		want, not    string
	}{
		{"the session", "session_info", http.NotFound, nil, "Try: userkeys call GET /session/current.json", ""},
		{"notifications only", "notifications", http.NotFound, nil, "Try: userkeys call GET /notifications.json", "/session/"},
		{"nothing that could be tried", "push", http.NotFound, nil, "What it works for: userkeys doctor", "Try:"},
		{"nothing there", "session_info,notifications", http.NotFound, []testkit.Option{noFallback}, "why: userkeys doctor", "Try:"},
		{"a page for every path", "read", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, nil, "why: userkeys doctor", "Try:"},
		{"the website has notifications", "read", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/notifications.json" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, `{"notifications":[]}`)
		}, []testkit.Option{noFallback}, "Try: userkeys call GET /notifications.json", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var sessions atomic.Int64 // requests for the session
			s, browser := siteBeforeAWebsite(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/session/current.json" {
					sessions.Add(1)
				}
				tt.website(w, r)
			}, tt.options...)
			cmd := exec.CommandContext(t.Context(), "userkeys", "login", s.URL, "--scopes", tt.scopes)
			cmd.Env = append(os.Environ(), "BROWSER=follow", browser, appkeys.ConfigDirEnv+"="+t.TempDir(), appkeys.KeystoreEnv+"=plain")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) || tt.not != "" && strings.Contains(string(out), tt.not) {
				t.Errorf("%v, want %q:\n%s", err, tt.want, out)
			}
			if n := sessions.Load(); n > 1 {
				t.Errorf("the session was asked for %d times, each of which counts as a call of the key", n)
			}
		})
	}
}

// followThrough names the variable with the address of somebody who is signed in, and goes where follow is sent.
const followThrough = "FOLLOW_THROUGH"

// follow is a browser without a window.
func follow() {
	address := os.Args[1]
	if through := os.Getenv(followThrough); through != "" {
		address = through + "?address=" + url.QueryEscape(address)
	}
	resp, err := http.Get(address)
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
