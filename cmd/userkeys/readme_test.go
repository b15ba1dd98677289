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
	"testing"

	"userkeys/internal/testkit"
	"userkeys/store/storetest"
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
	website := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(website.Close)
	s := &ownSite{t: t, Site: testkit.NewSite(t, storetest.SQLite(t), testkit.Behind(website.URL))}
	s.User("alice")
	s.alice = s.Person("alice")
	browser := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := s.approve(r.URL.Query().Get("address")); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(browser.Close)
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
		cmd.Env = append(os.Environ(), "PASSWORD=a long enough one", "BROWSER=follow", followThrough+"="+browser.URL, "NO_COLOR=1",
			configDirEnv+"="+filepath.Join(dir, "keys"), keystoreEnv+"=plain")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
	}
	if ran != 2 {
		t.Errorf("README.md has %d blocks for the installed program, this test knows 2", ran)
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
