package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"userkeys/internal/testkit"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestReadmeCommandsRun runs what README.md says to type at the program, as it
// stands there: against a new site, and against one whose person approves.
func TestReadmeCommandsRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("README.md shows commands for a POSIX shell")
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	site := newAppSite(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	testkit.Run(t, "", "migrate", "--data", data)
	here := strings.NewReplacer("https://forum.example", site.URL, "USERKEYS_DATA=/var/lib/userkeys", "USERKEYS_DATA="+data)
	ran := 0
	for _, block := range shellBlock.FindAllSubmatch(text, -1) {
		script := string(block[1])
		if !strings.HasPrefix(script, "userkeys ") && !strings.HasPrefix(script, "export ") {
			continue // builds and servers: the scripts run those
		}
		ran++
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", here.Replace(script))
		cmd.Env = append(os.Environ(), "PASSWORD=a long enough one", "BROWSER=follow", "NO_COLOR=1",
			configDirEnv+"="+filepath.Join(dir, "keys"), keystoreEnv+"=plain")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
	}
	if ran != 2 {
		t.Errorf("README.md has %d blocks for the installed program, this test knows 2", ran)
	}
}

// follow is a browser without a window.
func follow() {
	resp, err := http.Get(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
