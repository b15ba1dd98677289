package desktop

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestBrowserVariableChoosesTheProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script as the browser")
	}
	dir := t.TempDir()
	script, seen := filepath.Join(dir, "browser"), filepath.Join(dir, "seen")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s' \"$*\" > "+seen+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	spaced := filepath.Join(dir, "Program Files", "it's a browser.exe")
	if err := errors.Join(os.Mkdir(filepath.Dir(spaced), 0o700), os.Symlink(script, spaced)); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		spaced: "https://x.example/?a=b&c", `"` + spaced + `"`: "https://x.example/?a=b&c", `"` + spaced + `" --new "%s"`: "--new https://x.example/?a=b&c",
		strings.NewReplacer(" ", `\ `, "'", `\'`).Replace(spaced) + " -p 'a \\ b'": `-p a \ b https://x.example/?a=b&c`, "/nowhere:" + spaced: "https://x.example/?a=b&c",
		script + ` "" %s`: " https://x.example/?a=b&c",
		script:            "https://x.example/?a=b&c", "/nowhere:" + script: "https://x.example/?a=b&c", script + " --new %s": "--new https://x.example/?a=b&c",
	} {
		t.Setenv("BROWSER", value)
		if err := Open(t.Context(), "https://x.example/?a=b&c"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(seen); err != nil || string(got) != want {
			t.Errorf("BROWSER=%s was given %q, %v", value, got, err)
		}
	}
	t.Setenv("BROWSER", "/nowhere")
	if err := Open(t.Context(), "https://x.example"); err == nil {
		t.Error("a browser that is not there counts as opened")
	}
}
