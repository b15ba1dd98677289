package store_test

import (
	"fmt"
	"testing"
	"time"

	"userkeys"
)

// All of 50 parallel guesses are counted (LG4).
func TestGuessesAreCounted(t *testing.T) {
	each(t, func(w *world) {
		counts := make([]int, 50)
		for _, err := range w.together(50, func(i int) (err error) {
			counts[i], _, err = w.ChargeAttempt(w.ctx, "user:1", time.Hour, noon)
			return err
		}) {
			w.ok(err)
		}
		seen := map[int]bool{}
		for _, n := range counts {
			seen[n] = true
		}
		for n := 1; n <= 50; n++ {
			if !seen[n] {
				w.Errorf("no guess was told that it is number %d: %v", n, counts)
				return
			}
		}
	})
}

// A window of guesses starts again when it is over.
func TestGuessWindows(t *testing.T) {
	each(t, func(w *world) {
		start := micro(noon)
		charge := func(name string, window, after time.Duration) string {
			w.Helper()
			n, since, err := w.ChargeAttempt(w.ctx, name, window, start.Add(after))
			w.ok(err)
			return fmt.Sprintf("%d since %v", n, since.Sub(start))
		}
		for i, test := range []struct {
			name          string
			window, after time.Duration
			want          string
		}{
			{"a", time.Minute, 0, "1 since 0s"},
			{"a", time.Minute, time.Minute - time.Microsecond, "2 since 0s"},
			{"b", time.Minute, time.Second, "1 since 1s"},
			{"a", time.Minute, time.Minute, "1 since 1m0s"},
			{"a", time.Hour, 30 * time.Minute, "2 since 1m0s"}, // the length is the caller's
			{"a", 0, 1000 * time.Hour, "3 since 1m0s"},
			{"ever", 0, 0, "1 since 0s"},
			{"ever", 0, 100000 * time.Hour, "2 since 0s"},
			{"a", time.Minute, 1000 * time.Hour, "1 since 1000h0m0s"},
		} {
			if got := charge(test.name, test.window, test.after); got != test.want {
				w.Errorf("%d: %s after %v: %s, want %s", i, test.name, test.after, got, test.want)
			}
		}
		w.ok(w.ForgetGuesses(w.ctx))
		w.ok(w.ForgetGuesses(w.ctx, "a", "unknown"))
		if got := charge("a", time.Hour, 0); got != "1 since 0s" {
			w.Errorf("after forgetting: %s", got)
		}
		if got := charge("ever", 0, 0); got != "3 since 0s" {
			w.Errorf("another name was forgotten too: %s", got)
		}
		_, _, err := w.ChargeAttempt(w.ctx, "a", -time.Second, noon)
		w.refused(err, userkeys.InvalidParameters)
	})
}

// Guesses at many other names make the store forget none (LG5).
func TestGuessFlood(t *testing.T) {
	each(t, func(w *world) {
		for i := range 3 {
			n, _, err := w.ChargeAttempt(w.ctx, "victim", time.Hour, noon)
			w.ok(err)
			if n != i+1 {
				w.Errorf("guess %d was counted as %d", i+1, n)
			}
			for j := range 100 {
				_, _, err := w.ChargeAttempt(w.ctx, fmt.Sprintf("flood %d.%d", i, j), time.Hour, noon)
				w.ok(err)
			}
		}
	})
}
