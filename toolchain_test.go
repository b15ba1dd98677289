package userkeys_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// leastGo has the fixes of published security holes in net/http.
const leastGo = "go1.26.11"

// toolchainOf is the Go that a module file names to build with.
func toolchainOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^toolchain (go\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s names no toolchain", file)
	}
	return string(m[1])
}

// TestToolchain: what users build and what checks the code are built with one
// Go, and with none that has holes in net/http.
func TestToolchain(t *testing.T) {
	t.Parallel()
	build, tools := toolchainOf(t, "go.mod"), toolchainOf(t, "tools.mod")
	if build != tools {
		t.Errorf("go.mod names %s and tools.mod %s", build, tools)
	}
	version := func(toolchain string) string { return "v" + strings.TrimPrefix(toolchain, "go") }
	if compareVersions(version(build), version(leastGo)) < 0 {
		t.Errorf("go.mod names %s, want %s or newer", build, leastGo)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Go " + strings.TrimPrefix(build, "go") + " or newer"; !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not say %q", want)
	}
}

// TestScriptToolchain runs scripts/toolchain with a go command that says what
// the test wants.
func TestScriptToolchain(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	// The fake go is the machine's own: asked for another one by "auto", it says that it fetched that.
	const fake = `#!/bin/sh
case "$2" in
GOTOOLCHAIN) echo "$FAKE_TOOLCHAIN" ;;
GOVERSION)
	case "$GOTOOLCHAIN" in
	auto) [ -n "$FAKE_FETCHED" ] || { echo "go: cannot fetch" >&2; exit 1; }
		echo "$FAKE_FETCHED" ;;
	*) echo "$FAKE_INSTALLED" ;;
	esac ;;
esac
`
	wanted := toolchainOf(t, "go.mod")
	tests := []struct {
		name      string
		toolchain string // what the machine says
		installed string
		fetched   string // what auto brings; empty: nothing can be fetched
		out       string
		refused   string // part of what it says on standard error; empty: it accepts
	}{
		{"local, old: fetched", "local", "go1.26.8", wanted, "auto", ""},
		{"local, new", "local", "go1.27.0", "go1.27.0", "auto", ""},
		{"auto", "auto", "go1.26.0", wanted, "auto", ""},
		{"auto, nothing can be fetched", "auto", "go1.26.8", "", "", "cannot fetch"},
		{"another way to fetch stays", "go1.27.0+auto", "go1.27.0", "", "go1.27.0+auto", ""},
		{"named, the very one", wanted, wanted, "", wanted, ""},
		{"named, with experiments", "go1.27.1", "go1.27.1 X:nojsonv2", "", "go1.27.1", ""},
		{"named, old", "go1.26.8", "go1.26.8", "", "go1.26.8", "go1.26.8 is older than " + wanted},
		{"named, older by number, not by letter", "go1.26.9", "go1.26.9", "", "go1.26.9", "go1.26.9 is older than " + wanted},
		{"built from source, new", "go1.99", "devel go1.99-0123456789 Mon Nov 30 2026", "", "go1.99", ""},
		{"built from source, old", "go1.25", "devel go1.25-0123456789 Mon Nov 30 2026", "", "go1.25", "is older than " + wanted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "go"), []byte(fake), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "scripts/toolchain")
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "GOTOOLCHAIN=",
				"FAKE_TOOLCHAIN="+tt.toolchain, "FAKE_INSTALLED="+tt.installed, "FAKE_FETCHED="+tt.fetched)
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if got := strings.TrimSpace(string(out)); got != tt.out {
				t.Errorf("it printed %q, want %q", got, tt.out)
			}
			if (err != nil) != (tt.refused != "") || !strings.Contains(errs.String(), tt.refused) {
				t.Errorf("it ended with %v and said %q, want %q", err, errs.String(), tt.refused)
			}
		})
	}
}
