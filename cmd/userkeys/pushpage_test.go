package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPushPageCommands holds the command lines of docs/push.md to what the program understands.
func TestPushPageCommands(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/push.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```sh try\\.sh\n(.*?)^```$").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/push.md has no block try.sh")
	}
	lines := strings.Split(strings.TrimSpace(string(block[1])), "\n")
	if len(lines) < 4 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		words := strings.Fields(line)
		var out bytes.Buffer
		code := run(t.Context(), append(words[1:], "--help"), streams{strings.NewReader(""), &out, &out})
		if words[0] != "userkeys" || code != 0 || !strings.Contains(out.String(), "Usage:\n  userkeys "+words[1]) {
			t.Errorf("%s: %d\n%s", line, code, out.String())
		}
	}
}
