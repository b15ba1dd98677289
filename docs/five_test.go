package docs_test

import (
	"go/format"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What stands around the five lines in an app.
const (
	beforeFive = `package main

import (
	"context"
	"fmt"
	"os"

	"userkeys"
	"userkeys/client"
)

func main() {
	site, id := os.Getenv("SITE"), client.RandomID()
`
	afterFive = "}\n"
)

// Five lines to a key, and five to a call, by the person's own browser: here one that writes down what it is to open.
func TestFiveLines(t *testing.T) {
	t.Parallel()
	findGo(t)
	lines := snippets(t)["five.go"]
	if n := strings.Count(lines, "\n"); n != 10 {
		t.Errorf("the page promises five lines and five lines; there are %d", n)
	}
	text := beforeFive + "\t" + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n\t") + "\n" + afterFive
	if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
		t.Errorf("five.go is not formatted by gofmt: %v\n%s", err, formatted)
	}
	f, home := newForum(t), t.TempDir()
	opened := filepath.Join(home, "opened")
	for _, name := range []string{"xdg-open", "open"} { // Linux's and macOS's
		browser := "#!/bin/sh\necho \"$1\" > '" + opened + ".new' && /bin/mv '" + opened + ".new' '" + opened + "'\n"
		if err := os.WriteFile(filepath.Join(home, name), []byte(browser), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), builtGo(t, "five.go", text))
	cmd.Env = []string{"SITE=" + f.URL, "PATH=" + home}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address []byte
	for deadline := time.Now().Add(time.Minute); len(address) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it opens no browser")
		}
		address, _ = os.ReadFile(opened) // not there yet
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(string(address)), f.URL)
	if !ok {
		t.Fatalf("it opens %q", address)
	}
	page := f.alice.Get(path).Must(t, http.StatusOK, "Hello", "alice")
	to := f.alice.Submit(page, "/user-api-key").Must(t, http.StatusFound).Header.Get("Location")
	f.alice.Get(to).Must(t, http.StatusOK, "You can close this window")
	if err := cmd.Wait(); err != nil || said.String() != "Hello alice <nil>\n" {
		t.Errorf("%v\n%s", err, said.String())
	}
}
