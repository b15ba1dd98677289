package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit"
)

// npmProgram is a program of testdata/apps, to be run by the Node that is installed there.
func npmProgram(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	dir := filepath.Join("..", "..", "testdata", "apps")
	node, err := filepath.Abs(filepath.Join(dir, "node_modules", ".bin", "node"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(node); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true skips nothing, but the npm packages are missing: %v", err)
		}
		t.Skip("no testdata/apps/node_modules: an app that others wrote is not run (scripts/setup installs it)")
	}
	// It ends by itself when its input does, after the test's context has ended.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), node, append([]string{program}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = t.Output()
	return cmd
}

// npmApp starts a program of testdata/apps; it is written to, and heard, line by line.
func npmApp(t *testing.T, program string, args ...string) (say io.Writer, heard func() map[string]any) {
	t.Helper()
	cmd := npmProgram(t, program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", program, err)
		}
	})
	lines := bufio.NewScanner(out)
	return in, func() map[string]any {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("%s said no more: %v", program, lines.Err())
		}
		var said map[string]any
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatalf("%s said %q", program, lines.Text())
		}
		return said
	}
}

// forum is a small website as node-discourse-api expects it.
func forum(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(path, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Api-Key") != "" {
				t.Error("the website was given the key")
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "WHO", r.Header.Get("X-Userkeys-Username")))
		})
	}
	answer("/site.json", `{"default_archetype":"regular"}`)
	answer("/latest.json", `{"users":[{"username":"WHO"}]}`)
	mux.HandleFunc("POST /", func(http.ResponseWriter, *http.Request) { t.Error("a write came through") })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// An app written by nobody here asks for a key at the real program, opens the
// answer with its own means (PKCS#1 v1.5, which Node took away in version 20 and gave back),
// uses the key and gives it back.
func TestNodeDiscourseAPI(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	server := testkit.Serve(t, "--data", data, "--upstream", forum(t), "--own", "/session/current.json")
	s := testkit.At(t, server.URL)
	say, heard := npmApp(t, "node_discourse_api.cjs", server.URL)

	address, err := url.Parse(heard()["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	alice := s.Person("alice")
	page := alice.Get(address.RequestURI()).Must(t, http.StatusOK, "node-discourse-api")
	sealed, ok := alice.Submit(page, "/user-api-key").Must(t, http.StatusOK).Text("user-api-key-payload")
	if !ok {
		t.Fatal("the page shows no payload")
	}
	if _, err := io.WriteString(say, strings.ReplaceAll(sealed, "\n", "")+"\n"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[string]any{
		{"nonceIsRight": true, "api": 4.0, "push": false, "members": []any{"api", "key", "nonce", "push"}},
		{"me": "alice"},
		{"site": map[string]any{"default_archetype": "regular"}},
		{"latest": map[string]any{"users": []any{map[string]any{"username": "alice"}}}},
		{"write": 403.0},
		{"revoke": map[string]any{"success": "OK"}},
		{"afterwards": 403.0},
	} {
		if diff := cmp.Diff(want, heard()); diff != "" {
			t.Errorf("the app (-want +got):\n%s", diff)
		}
	}
	alice.Get("/my/apps?show=ended").Must(t, http.StatusOK, "node-discourse-api", "the app itself gave its key back")
	if out := server.Stop(t); strings.Contains(out, sealed[:40]) {
		t.Error("the log has the payload")
	}
}
