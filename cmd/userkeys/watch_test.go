package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"userkeys/internal/watch"
)

func TestScreenText(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	states := []watch.State{
		{Site: "https://quiet.example", Health: watch.Well, CheckedAt: now},
		{Site: "https://loud.example", Name: "alice\x1b[2J", Health: watch.Well, Live: true, Unread: 3, Messages: 1, CheckedAt: now.Add(-3 * time.Minute)},
		{Site: "https://dead.example", Health: watch.Dead, Says: "the key was revoked"},
	}
	text := screenText(states, now, 200, 20)
	for _, want := range []string{"4 unread on 3 accounts", "3 min ago", "live", "dead.example: the key was revoked", "just now", "-       -         dead   dead.example"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b[2J") {
		t.Error("a name steers the terminal")
	}
	if loud, quiet := strings.Index(text, "loud"), strings.Index(text, "quiet"); loud > quiet || !strings.Contains(text, "\x1b[1m3 ") {
		t.Errorf("what is unread does not stand out:\n%s", text)
	}
	for width := range 60 {
		for line := range strings.SplitSeq(screenText(states, now, width+5, 20), "\r\n") {
			plain := strings.NewReplacer("\x1b[K", "", "\x1b[1m", "", "\x1b[0m", "").Replace(line)
			if n := len([]rune(plain)); n > width+5 {
				t.Fatalf("%d columns in a window of %d: %q", n, width+5, plain)
			}
		}
	}
	many := make([]watch.State, 100)
	if n := strings.Count(screenText(many, now, 80, 10), "\r\n"); n >= 10 {
		t.Errorf("%d line ends in a window of 10 lines", n)
	}
}

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
	t.Setenv(keyEnv, appTestKey)
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
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "a.example|") || strings.Contains(lines[0], appTestKey) {
		t.Errorf("shown were %q", lines)
	}
}

// TestHarmless: what others wrote must not steer a terminal, nor look like something else there; in pieces of any size.
func TestHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\x1b[2Jb\tc\r\nd\u009be\x00\u00e4": "a?[2Jb\tc\r\nd?e?\u00e4",
		"good\revil\n":                       "good?evil\n",
		"\r\r\n":                             "?\r\n",
		"a\u202eb\u2066c\u200bd\u200de\ufefff\u00adg\u2028h": "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh",
		"\U0001f600 \u05d0 \xff.":                            "\U0001f600 \u05d0 \ufffd.",
	} {
		for size := 1; size <= len(text); size++ {
			var out bytes.Buffer
			w := &harmless{to: &out}
			for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if n, err := w.Write(rest[:min(size, len(rest))]); err != nil || n != min(size, len(rest)) {
					t.Fatal(n, err)
				}
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
}
