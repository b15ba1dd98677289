package watchcmd

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"userkeys/internal/cli"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/watch"
)

func TestNotifierShowsOneAtATime(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script")
	}
	dir := t.TempDir()
	program, seen := filepath.Join(dir, "notify"), filepath.Join(dir, "seen")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$1|$2|$USERKEYS_KEY\" >> "+seen+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("USERKEYS_NOTIFY", program)
	t.Setenv(cli.KeyEnv, clitest.Key)
	n := startNotifier(context.Background())
	for i := range 500 {
		n.rise(watch.State{ID: "a", Site: "https://a.example", Unread: i + 1}, 1)
	}
	var got []byte
	for deadline := time.Now().Add(30 * time.Second); len(got) == 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got, _ = os.ReadFile(seen) // it is there once one was shown
	}
	n.stop()
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "a.example|") || strings.Contains(lines[0], clitest.Key) {
		t.Errorf("shown were %q", lines)
	}
}
