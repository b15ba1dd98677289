package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
)

// TestOpenBrowser sets the search path, so it does not run in parallel.
func TestOpenBrowser(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stands in for the program that Linux has")
	}
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	t.Setenv("PATH", dir)
	if err := client.OpenBrowser(t.Context(), "https://forum.example/"); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("without a program: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\nprintf '%s' \"$*\" > "+seen+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"", "file:///etc/passwd", "--help", "javascript:alert(1)", "https://", "/etc/passwd"} {
		if err := client.OpenBrowser(t.Context(), address); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := os.Stat(seen); err == nil {
		t.Error("something was opened")
	}
	const address = "https://forum.example/user-api-key/new?a=b&c=%0A"
	if err := client.OpenBrowser(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(seen); err != nil || strings.TrimSpace(string(got)) != address {
		t.Errorf("opened %q, %v", got, err)
	}
}
