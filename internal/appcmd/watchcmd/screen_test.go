package watchcmd

import (
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
