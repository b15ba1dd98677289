package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
)

const (
	mcpGenerator = "node_modules/@discourse/mcp/dist/user-api-key-generator.js"
	mcpServer    = "node_modules/@discourse/mcp/dist/index.js"
)

// forMCP is a site that gives what @discourse/mcp asks for.
func forMCP(t *testing.T, settings ...string) *testkit.Site {
	t.Helper()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	settings = append(settings, "allow_user_api_key_scopes", "read|write|session_info")
	for i := 0; i < len(settings); i += 2 {
		testkit.Run(t, "", "settings", "set", settings[i], settings[i+1], "--data", data)
	}
	return testkit.At(t, testkit.Serve(t, "--data", data).URL)
}

// mcpAsks starts the official key generator and tells what it shows to its user.
func mcpAsks(t *testing.T, s *testkit.Site, profile string) (say io.WriteCloser, shown *bufio.Scanner, done func()) {
	t.Helper()
	cmd := npmProgram(t, mcpGenerator, "--site", s.URL, "--save-to", profile)
	cmd.Stderr = nil
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // where the test ended early
	shown = bufio.NewScanner(out)
	return in, shown, func() {
		t.Helper()
		for shown.Scan() {
			t.Log(shown.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the generator: %v", err)
		}
	}
}

// find reads what the program shows until a line has pattern.
func find(t *testing.T, shown *bufio.Scanner, pattern string) string {
	t.Helper()
	for shown.Scan() {
		if m := regexp.MustCompile(pattern).FindString(shown.Text()); m != "" {
			return m
		}
	}
	t.Fatalf("the program never showed %s", pattern)
	return ""
}

// mcpKey is the key that the generator saved.
func mcpKey(t *testing.T, profile string) userkeys.Key {
	t.Helper()
	text, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Pairs []struct {
			Key userkeys.Key `json:"user_api_key"`
		} `json:"auth_pairs"`
	}
	if err := json.Unmarshal(text, &p); err != nil || len(p.Pairs) != 1 {
		t.Fatalf("profile %v: %d keys", err, len(p.Pairs))
	}
	return p.Pairs[0].Key
}

// The official @discourse/mcp, unchanged, gets its key by the device flow and
// answers a question about a user with it.
func TestDiscourseMCPByDevice(t *testing.T) {
	t.Parallel()
	s := forMCP(t)
	profile := filepath.Join(t.TempDir(), "profile.json")
	_, shown, done := mcpAsks(t, s, profile)
	address, err := url.Parse(find(t, shown, `http://\S+/user-api-key/\S+`))
	if err != nil {
		t.Fatal(err)
	}
	code := find(t, shown, `[A-Z2-9]{4}-[A-Z2-9]{4}`)
	alice := s.Person("alice")
	page := alice.Get(address.RequestURI()).Must(t, http.StatusOK, "Discourse MCP")
	alice.Follow(alice.Submit(page, "/user-api-key/device/authorize", "code", code)).Must(t, http.StatusOK)
	done()
	mcpReadsAUser(t, s, profile)
}

// With the device flow off, the same program falls back to a payload that its user pastes.
func TestDiscourseMCPByPaste(t *testing.T) {
	t.Parallel()
	s := forMCP(t, "allow_user_api_key_device_auth", "false")
	profile := filepath.Join(t.TempDir(), "profile.json")
	say, shown, done := mcpAsks(t, s, profile)
	address, err := url.Parse(find(t, shown, `http://\S+/user-api-key/\S+`))
	if err != nil {
		t.Fatal(err)
	}
	alice := s.Person("alice")
	page := alice.Get(address.RequestURI()).Must(t, http.StatusOK, "Discourse MCP")
	sealed, ok := alice.Submit(page, "/user-api-key").Must(t, http.StatusOK).Text("user-api-key-payload")
	if !ok {
		t.Fatal("the page shows no payload")
	}
	if _, err := io.WriteString(say, strings.ReplaceAll(sealed, "\n", "")+"\n"); err != nil {
		t.Fatal(err)
	}
	_ = say.Close() // it reads one line, and ends when there is no more
	done()
	mcpReadsAUser(t, s, profile)
}

// mcpReadsAUser starts the MCP server with the key and has it use a tool.
func mcpReadsAUser(t *testing.T, s *testkit.Site, profile string) {
	t.Helper()
	say, heard := npmApp(t, mcpServer, "--site", s.URL, "--profile", profile)
	ask := func(id int, method, params string) map[string]any {
		t.Helper()
		if _, err := fmt.Fprintf(say, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", id, method, params); err != nil {
			t.Fatal(err)
		}
		for {
			if said := heard(); said["id"] == float64(id) {
				return said
			}
		}
	}
	ask(1, "initialize", `{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)
	if _, err := io.WriteString(say, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(ask(2, "tools/call", `{"name":"discourse_get_user","arguments":{"username":"alice"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(answer), `\"username\":\"alice\"`) && !strings.Contains(string(answer), `\"username\": \"alice\"`) {
		t.Errorf("the tool answered %s", answer)
	}
	if mcpKey(t, profile) == "" {
		t.Error("no key was saved")
	}
}
