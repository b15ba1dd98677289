package logs

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPaceCountsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	p := NewPace(2)
	var got []int
	for _, second := range []int64{5, 5, 5, 5, 6, 6, 6, 7} {
		if out, ok := p.Allow(time.Unix(second, 0)); ok {
			got = append(got, out)
		}
	}
	if !slices.Equal(got, []int{0, 0, 2, 0, 1}) {
		t.Errorf("got %v", got)
	}
}

func TestErrorsSayHowManyWereLeftOut(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	now := time.Unix(5, 0)
	e := NewErrors(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	for range 3 {
		e.Write(t.Context(), "it broke", slog.Int("n", 7))
	}
	now = now.Add(time.Second)
	e.Write(t.Context(), "it broke", slog.Int("n", 8))
	if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "level=ERROR") != 2 || !strings.HasSuffix(got, "n=8 left_out=2\n") {
		t.Errorf("logged\n%s", got)
	}
	NewErrors(nil, time.Now).Write(t.Context(), "nothing")
}

func TestPathHidesOneTimePasswords(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/posts.json":                                  "/posts.json",
		"/session/otp/0123456789abcdef":                "/session/otp/...",
		"/x/otp/secret/otp/secret":                     "/x/otp/...",
		"/" + strings.Repeat("a", 300):                 "/" + strings.Repeat("a", 255) + "...",
		"/" + strings.Repeat("a", 300) + "/otp/secret": "/" + strings.Repeat("a", 255) + "...",
	} {
		if got := Path(path); got != want {
			t.Errorf("%q becomes %q, want %q", path, got, want)
		}
	}
}
